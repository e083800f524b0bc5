#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>

static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags}};

static int reload_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("reload", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    if (c == NULL) {
        return 1;
    }
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_request_init(&r, c, "PUT", "/v1/agent/reload");
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error reloading: %s", err_text(&err));
    }
    puts("Configuration reload triggered");
    return 0;
}

const struct cli_command cli_reload_commands[] = {
    {.name = "reload",
     .synopsis = "Have the agent read its configuration again",
     .run = reload_run,
     .usage = "",
     .help = "  Tells the agent to read its configuration again, as SIGHUP does."},
};
const size_t cli_reload_commands_count = ARRAY_SIZE(cli_reload_commands);
