#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>

static bool is_wan;

static const struct cli_flag flags[] = {
    {"wan", CLI_BOOL, &is_wan, "Join a server of another datacenter."}, CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

static int join_all(struct client *c, const struct cli_args *args)
{
    int joined = 0;
    for (int i = 0; i < args->argc; i++) {
        struct client_request r;
        struct client_response response;
        struct err err = {0};
        client_request_init(&r, c, "PUT", "/v1/agent/join/%s", args->argv[i]);
        if (is_wan) {
            client_param(&r, STR("wan"), STR("1"));
        }
        if (client_send_ok(&r, &response, &err) < 0) {
            (void)cli_error("Error joining address '%s': %s", args->argv[i], err_text(&err));
        } else {
            joined++;
        }
    }
    if (joined == 0) {
        return cli_error("Failed to join any nodes.");
    }
    printf("Successfully joined cluster by contacting %d nodes.\n", joined);
    return 0;
}

static int join_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("join", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc == 0) {
        return cli_usage_error("join", groups, ARRAY_SIZE(groups),
                               "At least one address to join must be specified.");
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? join_all(c, &args) : 1;
}

const struct cli_command cli_join_commands[] = {
    {.name = "join",
     .synopsis = "Have the agent join others",
     .run = join_run,
     .usage = "[options] address ...",
     .help = "  Tells the agent to join the cluster that the agents at these addresses belong to. "
             "One that\n  answers is enough."},
};
const size_t cli_join_commands_count = ARRAY_SIZE(cli_join_commands);
