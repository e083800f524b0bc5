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
    struct client *c = NULL;
    struct err err = {0};
    if (client_new(&c, &err) < 0) {
        return cli_error("Error connecting to Consul agent: %s", err_text(&err));
    }
    struct client_request r;
    struct client_response response;
    client_request_init(&r, c, "PUT", "/v1/agent/reload");
    code = 0;
    if (client_send_ok(&r, &response, &err) < 0) {
        code = cli_error("Error reloading: %s", err_text(&err));
    } else {
        puts("Configuration reload triggered");
    }
    client_free(c);
    return code;
}

const struct cli_command cli_reload_commands[] = {
    {.name = "reload",
     .synopsis = "Triggers the agent to reload configuration files",
     .run = reload_run,
     .usage = "",
     .help = "  Tells the agent to read its configuration again, as SIGHUP does."},
};
const size_t cli_reload_commands_count = ARRAY_SIZE(cli_reload_commands);
