#include "cli/client.h"
#include "cli/command.h"

#include "base/gofmt.h"

#include <stdio.h>

static bool is_enable, is_disable;
static struct str reason, service;

static const struct cli_flag flags[] = {
    {"disable", CLI_BOOL, &is_disable, "End maintenance."},
    {"enable", CLI_BOOL, &is_enable, "Begin maintenance."},
    {"reason", CLI_STR, &reason, "Why; shown as the note of the check."},
    {"service", CLI_STR, &service, "Id of a service, instead of the whole node."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

/* What is in maintenance: it shows as checks of certain ids. */
static int maint_list(struct client *c)
{
    struct err err = {0};
    struct client_request r;
    const struct value *self, *checks;
    client_request_init(&r, c, "GET", "/v1/agent/self");
    if (client_get(&r, &self, &err) < 0) {
        return cli_error("Error querying Consul agent: %s", err_text(&err));
    }
    struct str node = value_member_str(value_member(self, "Config"), "NodeName");
    client_request_init(&r, c, "GET", "/v1/agent/checks");
    if (client_get(&r, &checks, &err) < 0) {
        return cli_error("Error getting checks: %s", err_text(&err));
    }
    for (size_t i = 0; checks->kind == VALUE_MAP && i < checks->map.n; i++) {
        const struct value *check = &checks->map.v[i].value;
        struct str id = value_member_str(check, "CheckID");
        struct str notes = value_member_str(check, "Notes");
        if (str_eq_lit(id, "_node_maintenance")) {
            printf("Node:\n  Name:   %.*s\n  Reason: %.*s\n\n", STRF(node), STRF(notes));
        } else if (str_has_prefix(id, STR("_service_maintenance:"))) {
            printf("Service:\n  ID:     %.*s\n  Reason: %.*s\n\n",
                   STRF(value_member_str(check, "ServiceID")), STRF(notes));
        }
    }
    return 0;
}

static int maint_set(struct client *c)
{
    struct err err = {0};
    struct client_request r;
    struct client_response response;
    if (service.n > 0) {
        client_request_init(&r, c, "PUT", "/v1/agent/service/maintenance/%.*s", STRF(service));
    } else {
        client_request_init(&r, c, "PUT", "/v1/agent/maintenance");
    }
    client_param(&r, STR("enable"), is_enable ? STR("true") : STR("false"));
    if (is_enable) {
        client_param(&r, STR("reason"), reason);
    }
    if (client_send_ok(&r, &response, &err) < 0) {
        return cli_error("Error %s %s maintenance: %s", is_enable ? "enabling" : "disabling",
                         service.n > 0 ? "service" : "node", err_text(&err));
    }
    const char *now = is_enable ? "enabled" : "disabled";
    if (service.n == 0) {
        printf("Node maintenance is now %s\n", now);
        return 0;
    }
    struct buf quoted = {0};
    go_quote(&quoted, service);
    printf("Service maintenance is now %s for %.*s\n", now, STRF(buf_view(&quoted)));
    buf_deinit(&quoted);
    return 0;
}

static int maint_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("maint", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (is_enable && is_disable) {
        return cli_error("Only one of -enable or -disable may be provided");
    }
    if (!is_enable && reason.n > 0) {
        return cli_error("Reason may only be provided with -enable");
    }
    if (!is_enable && !is_disable && service.n > 0) {
        return cli_error("Service requires either -enable or -disable");
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? (is_enable || is_disable ? maint_set(c) : maint_list(c)) : 1;
}

const struct cli_command cli_maint_commands[] = {
    {.name = "maint",
     .synopsis = "Take a node or a service out of use, and back",
     .run = maint_run,
     .help = "  Takes the agent's node, or one of its services, out of what DNS and health queries "
             "answer, by\n  a critical check, until it is disabled again; restarts do not end it. "
             "Without flags it prints\n  what is in maintenance."},
};
const size_t cli_maint_commands_count = ARRAY_SIZE(cli_maint_commands);
