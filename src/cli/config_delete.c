#include "cli/client.h"
#include "cli/command.h"
#include "cli/config.h"

#include <stdio.h>

static int config_delete(struct client *c)
{
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_request_init(&r, c, "DELETE", "/v1/config/%.*s/%.*s", STRF(config_kind),
                        STRF(config_name));
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error deleting config entry %.*s/%.*s: %s", STRF(config_kind),
                         STRF(config_name), err_text(&err));
    }
    printf("Config entry deleted: %.*s/%.*s\n", STRF(config_kind), STRF(config_name));
    return 0;
}

static int config_delete_run(int argc, char **argv)
{
    int code;
    if (!config_parse_named("config delete", argc, argv, &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error connect to Consul agent");
    return c != NULL ? config_delete(c) : 1;
}

const struct cli_command cli_config_delete_commands[] = {
    {.name = "config delete",
     .synopsis = "Delete a configuration entry",
     .run = config_delete_run,
     .usage = "[options] -kind <config kind> -name <config name>",
     .help = "  Deletes an entry.\n\n"
             "      $ consul config delete -kind service-defaults -name web"},
};
const size_t cli_config_delete_commands_count = ARRAY_SIZE(cli_config_delete_commands);
