#include "cli/client.h"
#include "cli/command.h"

static bool is_prune;

static const struct cli_flag flags[] = {
    {"prune", CLI_BOOL, &is_prune, "Forget the member altogether, instead of listing it as left."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

static int force_leave_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("force-leave", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc != 1) {
        return cli_usage_error("force-leave", groups, ARRAY_SIZE(groups),
                               "A single node name must be specified to force leave.");
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    if (c == NULL) {
        return 1;
    }
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_request_init(&r, c, "PUT", "/v1/agent/force-leave/%s", args.argv[0]);
    if (is_prune) {
        client_param(&r, STR("prune"), STR("1"));
    }
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error force leaving: %s", err_text(&err));
    }
    return 0;
}

const struct cli_command cli_force_leave_commands[] = {
    {.name = "force-leave",
     .synopsis = "Make the cluster forget a member that failed",
     .run = force_leave_run,
     .usage = "[options] name",
     .help =
         "  Counts a failed member as one that left, so that nobody tries to reach it any more. "
         "One that\n  still runs comes back by itself."},
};
const size_t cli_force_leave_commands_count = ARRAY_SIZE(cli_force_leave_commands);
