#include "cli/child.h"
#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>

static bool is_json;
static struct str level;

static const struct cli_flag flags[] = {
    {"log-json", CLI_BOOL, &is_json, "Lines as JSON."},
    {"log-level", CLI_STR, &level, "Least level of the lines to show; INFO when not given."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

static int print_lines(void *data, struct str bytes)
{
    (void)data;
    (void)fwrite(bytes.p, 1, bytes.n, stdout);
    return fflush(stdout) == 0 ? 0 : -1;
}

static int monitor_stream(struct client *c)
{
    struct err err = {0};
    struct client_request r;
    struct client_response response;
    client_request_init(&r, c, "GET", "/v1/agent/monitor");
    if (level.n > 0) {
        client_param(&r, STR("loglevel"), level);
    }
    if (is_json) {
        client_param(&r, STR("logjson"), STR("true"));
    }
    r.on_body = print_lines;
    client_set_interrupt(c, cli_signals_catch());
    int rc = client_send_ok(&r, &response, &err);
    if (rc == -ERR_CANCELED) {
        return cli_signal != 0 ? 0 : 1;
    }
    if (rc < 0 && rc != -ERR_CLOSED) {
        return cli_error("Error starting%s monitor: %s", is_json ? " JSON" : "", err_text(&err));
    }
    puts("\nRemote side ended the monitor! This usually means that the\n"
         "remote side has exited or crashed.");
    return 1;
}

static int monitor_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    level = STR("INFO");
    if (!cli_parse("monitor", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? monitor_stream(c) : 1;
}

const struct cli_command cli_monitor_commands[] = {
    {.name = "monitor",
     .synopsis = "Follow an agent's log",
     .run = monitor_run,
     .help =
         "  Prints the agent's log as it is written, at a level of its own, until interrupted."},
};
const size_t cli_monitor_commands_count = ARRAY_SIZE(cli_monitor_commands);
