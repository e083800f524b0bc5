#include "cli/client.h"
#include "cli/command.h"
#include "cli/table.h"

#include "base/vec.h"
#include "schema/regexp.h"

#include <stdlib.h>

static bool is_detailed, is_wan;
static struct str segment, status_pattern;

static const struct cli_flag flags[] = {
    {"detailed", CLI_BOOL, &is_detailed, "Show all tags of each member."},
    {"segment", CLI_STR, &segment,
     "Network segment to list, a feature of Consul Enterprise; by "
     "default all."},
    {"status", CLI_STR, &status_pattern,
     "Only members whose status (alive, leaving, left, failed) matches this regular expression."},
    {"wan", CLI_BOOL, &is_wan, "List the servers of all datacenters, as a server knows them."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

struct member {
    const struct value *v;
    struct str name, segment, address, status;
};

struct members {
    struct member *v; /* in the arena */
    size_t n, cap;
};

static struct str status_text(int64_t status)
{
    static const struct str texts[] = {STR_INIT("none"), STR_INIT("alive"), STR_INIT("leaving"),
                                       STR_INIT("left"), STR_INIT("failed")};
    return status >= 0 && status < (int64_t)ARRAY_SIZE(texts) ? texts[status] : STR("unknown");
}

/* By segment, then by name. */
static int member_cmp(const void *x, const void *y)
{
    const struct member *a = x, *b = y;
    int order = str_cmp(a->segment, b->segment);
    return order != 0 ? order : str_cmp(a->name, b->name);
}

static struct member member_read(struct arena *a, const struct value *v)
{
    const struct value *tags = value_member(v, "Tags");
    struct str in_segment = value_member_str(tags, "segment");
    struct str host = value_member_str(v, "Addr");
    bool is_v6 = str_find_byte(host, ':') >= 0;
    if (in_segment.n == 0) {
        in_segment = STR("<default>");
    }
    if (str_eq_lit(segment, "_all") && str_eq_lit(value_member_str(tags, "role"), "consul")) {
        in_segment = STR("<all>");
    }
    return (struct member){
        .v = v,
        .name = value_member_str(v, "Name"),
        .segment = in_segment,
        .address = arena_printf(a, "%s%.*s%s:%lld", is_v6 ? "[" : "", STRF(host), is_v6 ? "]" : "",
                                (long long)value_member_i64(v, "Port")),
        .status = status_text(value_member_i64(v, "Status")),
    };
}

static void row_standard(struct table *t, const struct member *m)
{
    const struct value *tags = value_member(m->v, "Tags");
    struct str role = value_member_str(tags, "role"), build = value_member_str(tags, "build");
    if (build.n == 0) {
        build = STR("< 0.3");
    }
    (void)str_cut(build, ':', &build, &(struct str){0});
    if (!str_eq_lit(role, "node") && !str_eq_lit(role, "consul")) {
        table_row(t, 8, (struct str[8]){m->name, m->address, m->status, STR("unknown")});
        return;
    }
    table_row(t, 8,
              (struct str[]){m->name, m->address, m->status,
                             str_eq_lit(role, "node") ? STR("client") : STR("server"), build,
                             value_member_str(tags, "vsn"), value_member_str(tags, "dc"),
                             m->segment});
}

/* All tags by name, "segment" as it is shown. */
static void row_detailed(struct table *t, struct arena *a, const struct member *m)
{
    const struct value *tags = value_member(m->v, "Tags");
    size_t count = tags != NULL && tags->kind == VALUE_MAP ? tags->map.n : 0;
    struct value shown = {.kind = VALUE_MAP};
    shown.map.v = ARENA_ARRAY(a, struct value_pair, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (!str_eq_lit(tags->map.v[i].key, "segment")) {
            shown.map.v[shown.map.n++] = tags->map.v[i];
        }
    }
    shown.map.v[shown.map.n++] =
        (struct value_pair){STR("segment"), {.kind = VALUE_STR, .s = m->segment}};
    table_row(t, 4, (struct str[]){m->name, m->address, m->status, table_map_text(a, &shown, ",")});
}

static void members_print(struct arena *a, const struct members *members)
{
    struct table t = {0};
    if (is_detailed) {
        table_row(&t, 4, (struct str[]){STR("Node"), STR("Address"), STR("Status"), STR("Tags")});
    } else {
        table_row(&t, 8,
                  (struct str[]){STR("Node"), STR("Address"), STR("Status"), STR("Type"),
                                 STR("Build"), STR("Protocol"), STR("DC"), STR("Segment")});
    }
    for (size_t i = 0; i < members->n; i++) {
        if (is_detailed) {
            row_detailed(&t, a, &members->v[i]);
        } else {
            row_standard(&t, &members->v[i]);
        }
    }
    table_print(&t);
    table_deinit(&t);
}

static int members_list(struct client *c, const struct regexp *status_re)
{
    struct arena *a = client_arena(c);
    struct err err = {0};
    struct client_request r;
    const struct value *list;
    struct members members = {0};
    client_request_init(&r, c, "GET", "/v1/agent/members");
    client_param(&r, STR("segment"), segment);
    if (is_wan) {
        client_param(&r, STR("wan"), STR("1"));
    }
    if (client_get(&r, &list, &err) < 0) {
        return cli_error("Error retrieving members: %s", err_text(&err));
    }
    for (size_t i = 0; i < value_count(list); i++) {
        struct member m = member_read(a, &list->list.v[i]);
        if (regexp_match(status_re, m.status) == 1) {
            avec_push(a, &members, m);
        }
    }
    if (members.n == 0) {
        return 2;
    }
    qsort(members.v, members.n, sizeof(*members.v), member_cmp);
    members_print(a, &members);
    return 0;
}

static int members_matching(struct arena *a)
{
    struct regexp *status_re = NULL;
    struct err err = {0};
    if (regexp_compile(a, status_pattern, &status_re, &err) < 0) {
        return cli_error("Failed to compile status regexp: %s", err_text(&err));
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? members_list(c, status_re) : 1;
}

static int members_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    segment = STR("_all");
    status_pattern = STR(".*");
    if (!cli_parse("members", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    struct arena a = {0};
    code = members_matching(&a);
    arena_deinit(&a);
    return code;
}

const struct cli_command cli_members_commands[] = {
    {.name = "members",
     .synopsis = "List the members of the cluster",
     .run = members_run,
     .help = "  Lists the agents that this agent knows of through gossip. When none is left after "
             "filtering,\n  nothing is printed and the exit code is 2."},
};
const size_t cli_members_commands_count = ARRAY_SIZE(cli_members_commands);
