#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"

static bool is_detailed;
static struct str filter, near, service;
static struct cli_map node_meta;

static const struct cli_flag flags[] = {
    {"detailed", CLI_BOOL, &is_detailed, "Show whole ids, tagged addresses and metadata."},
    {"filter", CLI_STR, &filter,
     "Expression that nodes have to meet; @ and a file's path reads "
     "it from there."},
    {"near", CLI_STR, &near,
     "Sort by the estimated round-trip time from this node; \"_agent\" is "
     "the agent's own."},
    {"node-meta", CLI_STRMAP, &node_meta, "Only nodes with this metadata. May be repeated."},
    {"service", CLI_STR, &service, "Only nodes that have this service.", .type = "id or name"},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_http_flags},
                                               {"Command Options", flags}};

static void nodes_print(struct arena *a, const struct value *nodes)
{
    struct table t = {0};
    const char *meta = service.n > 0 ? "NodeMeta" : "Meta";
    size_t columns = is_detailed ? 6 : 4;
    table_row(&t, columns,
              (struct str[]){STR("Node"), STR("ID"), STR("Address"), STR("DC"),
                             STR("TaggedAddresses"), STR("Meta")});
    for (size_t i = 0; i < value_count(nodes); i++) {
        const struct value *n = &nodes->list.v[i];
        struct str id = value_member_str(n, "ID");
        ptrdiff_t dash = str_find_byte(id, '-');
        table_row(&t, columns,
                  (struct str[]){value_member_str(n, "Node"),
                                 is_detailed || dash <= 0 ? id : str_first(id, (size_t)dash),
                                 value_member_str(n, "Address"), value_member_str(n, "Datacenter"),
                                 table_map_text(a, value_member(n, "TaggedAddresses"), ", "),
                                 table_map_text(a, value_member(n, meta), ", ")});
    }
    table_print(&t);
    table_deinit(&t);
}

static int nodes_list(struct client *c)
{
    struct arena *a = client_arena(c);
    struct err err = {0};
    struct client_request r;
    const struct value *nodes;
    if (cli_data_read(a, filter, &filter, &err) < 0) {
        return cli_error("Could not process filter argument: %s", err_text(&err));
    }
    if (service.n > 0) {
        client_request_init(&r, c, "GET", "/v1/catalog/service/%.*s", STRF(service));
    } else {
        client_request_init(&r, c, "GET", "/v1/catalog/nodes");
    }
    if (near.n > 0) {
        client_param(&r, STR("near"), near);
    }
    if (filter.n > 0) {
        client_param(&r, STR("filter"), filter);
    }
    client_param_pairs(&r, STR("node-meta"), &node_meta);
    if (client_get(&r, &nodes, &err) < 0) {
        return cli_error("Error listing nodes%s: %s", service.n > 0 ? " for service" : "",
                         err_text(&err));
    }
    if (value_count(nodes) == 0) {
        (void)cli_error("No nodes match the given query - try expanding your search.");
    } else {
        nodes_print(a, nodes);
    }
    return 0;
}

static int nodes_with_args(const struct cli_args *args)
{
    if (args->argc > 0) {
        return cli_error("Too many arguments (expected 0, got %d)", args->argc);
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? nodes_list(c) : 1;
}

static int catalog_nodes_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (cli_parse("catalog nodes", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        code = nodes_with_args(&args);
    }
    cli_map_deinit(&node_meta);
    return code;
}

const struct cli_command cli_catalog_nodes_commands[] = {
    {.name = "catalog nodes",
     .synopsis = "List nodes",
     .run = catalog_nodes_run,
     .help = "  Lists the nodes of a datacenter:\n\n"
             "      $ consul catalog nodes -service=web -near=_agent"},
};
const size_t cli_catalog_nodes_commands_count = ARRAY_SIZE(cli_catalog_nodes_commands);
