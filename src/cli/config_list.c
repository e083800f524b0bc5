#include "cli/client.h"
#include "cli/command.h"
#include "cli/config.h"

#include "base/gofmt.h"

#include <stdio.h>

static const struct cli_flag flags[] = {
    {"kind", CLI_STR, &config_kind, "Kind of the entries, for example service-defaults."},
    CLIENT_NAMESPACE_FLAG,
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

static int config_list(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    const struct value *entries;
    client_request_init(&r, c, "GET", "/v1/config/%.*s", STRF(config_kind));
    client_param_stale(&r);
    if (client_get(&r, &entries, &err) < 0) {
        return cli_error("Error listing config entries for kind %.*s: %s",
                         STRF(go_quoted(client_arena(c), config_kind)), err_text(&err));
    }
    for (size_t i = 0; i < value_count(entries); i++) {
        const struct value *entry = &entries->list.v[i];
        bool is_mesh = str_eq_lit(value_member_str(entry, "Kind"), "mesh"); /* has no name */
        struct str name = is_mesh ? STR("mesh") : value_member_str(entry, "Name");
        printf("%.*s\n", STRF(name));
    }
    return 0;
}

static int config_list_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("config list", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (!config_has_kind()) {
        return 1;
    }
    CLEANUP(client_free) struct client *c = client_open("Error connect to Consul agent");
    return c != NULL ? config_list(c) : 1;
}

const struct cli_command cli_config_list_commands[] = {
    {.name = "config list",
     .synopsis = "List configuration entries of a kind",
     .run = config_list_run,
     .usage = "[options] -kind <config kind>",
     .help = "  Lists the names of all entries of one kind.\n\n"
             "      $ consul config list -kind service-defaults"},
};
const size_t cli_config_list_commands_count = ARRAY_SIZE(cli_config_list_commands);
