#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>

static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags}};

static int leave_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("leave", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc > 0) {
        fputs("Error found unexpected args: [", stderr);
        for (int i = 0; i < args.argc; i++) {
            fprintf(stderr, "%s%s", i > 0 ? " " : "", args.argv[i]);
        }
        fputs("]\n", stderr);
        cli_help(stdout, "leave", groups, ARRAY_SIZE(groups));
        return 1;
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    if (c == NULL) {
        return 1;
    }
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_request_init(&r, c, "PUT", "/v1/agent/leave");
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error leaving: %s", err_text(&err));
    }
    puts("Graceful leave complete");
    return 0;
}

const struct cli_command cli_leave_commands[] = {
    {.name = "leave",
     .synopsis = "Have the agent leave the cluster and end",
     .run = leave_run,
     .help = "  Tells the agent to leave the cluster, so that the others do not take it for "
             "failed, and to end."},
};
const size_t cli_leave_commands_count = ARRAY_SIZE(cli_leave_commands);
