#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>

static struct str name, node, service, tag;

static const struct cli_flag flags[] = {
    {"name", CLI_STR, &name, "Name of the event."},
    {"node", CLI_STR, &node, "Regular expression: only nodes of such names handle it."},
    {"service", CLI_STR, &service, "Regular expression: only nodes with such services handle it."},
    {"tag", CLI_STR, &tag, "Regular expression for a tag of that -service."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

static int event_fire(struct client *c, const struct cli_args *args)
{
    struct err err = {0};
    struct client_request r;
    const struct value *answer;
    client_request_init(&r, c, "GET", "/v1/agent/self");
    r.params_count = 0;
    if (client_get(&r, &answer, &err) < 0) {
        return cli_error("Error querying Consul agent: %s", err_text(&err));
    }
    client_request_init(&r, c, "PUT", "/v1/event/fire/%.*s", STRF(name));
    if (node.n > 0) {
        client_param(&r, STR("node"), node);
    }
    if (service.n > 0) {
        client_param(&r, STR("service"), service);
    }
    if (tag.n > 0) {
        client_param(&r, STR("tag"), tag);
    }
    struct str payload = args->argc > 0 ? str_from_cstr(args->argv[0]) : STR_NULL;
    client_body(&r, payload, STR("application/octet-stream"));
    if (client_get(&r, &answer, &err) < 0) {
        return cli_error("Error firing event: %s", err_text(&err));
    }
    printf("Event ID: %.*s\n", STRF(value_member_str(answer, "ID")));
    return 0;
}

static int event_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("event", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (name.n == 0) {
        return cli_usage_error("event", groups, ARRAY_SIZE(groups), "Event name must be specified");
    }
    if (!cli_filter_is_valid("node", node) || !cli_filter_is_valid("service", service) ||
        !cli_filter_is_valid("tag", tag)) {
        return 1;
    }
    if (tag.n > 0 && service.n == 0) {
        return cli_error("Cannot provide tag filter without service filter.");
    }
    if (args.argc > 1) {
        return cli_usage_error("event", groups, ARRAY_SIZE(groups),
                               "Too many command line arguments.");
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? event_fire(c, &args) : 1;
}

const struct cli_command cli_event_commands[] = {
    {.name = "event",
     .synopsis = "Fire a user event",
     .run = event_run,
     .usage = "[options] [payload]",
     .help = "  Sends an event with a name, and a payload if there is one, to the agents of a "
             "datacenter:\n\n      $ consul event -name=deploy -service=web 1609030"},
};
const size_t cli_event_commands_count = ARRAY_SIZE(cli_event_commands);
