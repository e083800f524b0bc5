#include "cli/client.h"
#include "cli/command.h"

#include <stdio.h>

static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags}};

static int datacenters_print(struct client *c)
{
    struct client_request r;
    struct err err = {0};
    const struct value *names;
    client_request_init(&r, c, "GET", "/v1/catalog/datacenters");
    if (client_get(&r, &names, &err) < 0) {
        return cli_error("Error listing datacenters: %s", err_text(&err));
    }
    for (size_t i = 0; i < value_count(names); i++) {
        if (names->list.v[i].kind == VALUE_STR) {
            printf("%.*s\n", STRF(names->list.v[i].s));
        }
    }
    return 0;
}

static int catalog_datacenters_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("catalog datacenters", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc > 0) {
        return cli_error("Too many arguments (expected 0, got %d)", args.argc);
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? datacenters_print(c) : 1;
}

const struct cli_command cli_catalog_commands[] = {
    {.name = "catalog",
     .synopsis = "Look into the catalog",
     .help = "  Lists what the whole datacenter knows: nodes, services, and the other "
             "datacenters."},
    {.name = "catalog datacenters",
     .synopsis = "List the datacenters",
     .run = catalog_datacenters_run,
     .help = "  Lists the datacenters that are known, the nearest first."},
};
const size_t cli_catalog_commands_count = ARRAY_SIZE(cli_catalog_commands);
