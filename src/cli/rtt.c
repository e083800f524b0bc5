#include "cli/client.h"
#include "cli/command.h"

#include "base/gofmt.h"

#include <math.h>
#include <stdio.h>

static bool is_wan;

static const struct cli_flag flags[] = {
    {"wan", CLI_BOOL, &is_wan, "Between datacenters; the names are NODE.DATACENTER."},
    CLI_FLAGS_END};
static const struct cli_flag_group groups[] = {{CLIENT_TITLE, cli_client_flags},
                                               {"Command Options", flags}};

static double number(const struct value *v)
{
    if (v == NULL) {
        return 0;
    }
    return v->kind == VALUE_FLOAT ? v->f : v->kind == VALUE_INT ? (double)v->i : 0;
}

/* Vivaldi's distance in milliseconds: between the points, plus heights and adjustments unless those
 * would make it negative. */
static double distance_ms(const struct value *a, const struct value *b)
{
    const struct value *x = value_member(a, "Vec"), *y = value_member(b, "Vec");
    double sum = 0;
    for (size_t i = 0; i < value_count(x) && i < value_count(y); i++) {
        double d = number(&x->list.v[i]) - number(&y->list.v[i]);
        sum += d * d;
    }
    double distance =
        sqrt(sum) + number(value_member(a, "Height")) + number(value_member(b, "Height"));
    double adjusted =
        distance + number(value_member(a, "Adjustment")) + number(value_member(b, "Adjustment"));
    return (adjusted > 0 ? adjusted : distance) * 1000;
}

static int not_found(struct str node)
{
    struct buf quoted = {0};
    go_quote(&quoted, node);
    (void)cli_error("Could not find a coordinate for node %.*s", STRF(buf_view(&quoted)));
    buf_deinit(&quoted);
    return 1;
}

static int report(const struct str nodes[2], const struct value *const coordinates[2])
{
    for (size_t i = 0; i < 2; i++) {
        if (coordinates[i] == NULL) {
            return not_found(nodes[i]);
        }
    }
    printf("Estimated %.*s <-> %.*s rtt: %.3f ms (using %s coordinates)\n", STRF(nodes[0]),
           STRF(nodes[1]), distance_ms(coordinates[0], coordinates[1]), is_wan ? "WAN" : "LAN");
    return 0;
}

/* A node's coordinates by segment: one that is in a single segment says which to compare in. */
struct segments {
    struct str only; /* the segment, when there is one */
    size_t count;
};

static const struct value *lan_find(const struct value *entries, struct str node,
                                    const struct str *segment, struct segments *ret_segments)
{
    const struct value *found = NULL;
    for (size_t i = 0; i < value_count(entries); i++) {
        const struct value *e = &entries->list.v[i];
        struct str in = value_member_str(e, "Segment");
        if (!str_eq(value_member_str(e, "Node"), node)) {
            continue;
        }
        if (ret_segments != NULL) {
            ret_segments->only = in;
            ret_segments->count++;
        }
        if (segment != NULL && str_eq(in, *segment)) {
            found = value_member(e, "Coord");
        }
    }
    return found;
}

static int rtt_lan(struct client *c, struct str nodes[2])
{
    struct err err = {0};
    struct client_request r;
    const struct value *entries, *coordinates[2];
    struct segments segments[2] = {{STR_NULL, 0}};
    client_request_init(&r, c, "GET", "/v1/coordinate/nodes");
    if (client_get(&r, &entries, &err) < 0) {
        return cli_error("Error getting coordinates: %s", err_text(&err));
    }
    struct str segment = STR("");
    for (size_t i = 0; i < 2; i++) {
        (void)lan_find(entries, nodes[i], NULL, &segments[i]);
        segment = segments[i].count == 1 ? segments[i].only : segment;
    }
    for (size_t i = 0; i < 2; i++) {
        coordinates[i] = lan_find(entries, nodes[i], &segment, NULL);
    }
    return report(nodes, coordinates);
}

/* A WAN coordinate of "node.dc", of an area. */
static const struct value *wan_find(const struct value *dcs, struct str node, struct str dc,
                                    struct str *ret_area)
{
    const struct value *found = NULL;
    for (size_t i = 0; i < value_count(dcs); i++) {
        const struct value *d = &dcs->list.v[i], *entries = value_member(d, "Coordinates");
        for (size_t j = 0; j < value_count(entries); j++) {
            const struct value *e = &entries->list.v[j];
            if (found == NULL && str_eq(value_member_str(d, "Datacenter"), dc) &&
                str_eq(value_member_str(e, "Node"), node)) {
                found = value_member(e, "Coord");
                *ret_area = value_member_str(d, "AreaID");
            }
        }
    }
    return found;
}

static int rtt_wan(struct client *c, struct str nodes[2])
{
    struct err err = {0};
    struct client_request r;
    const struct value *dcs, *coordinates[2] = {NULL, NULL};
    struct str names[2], dc[2], areas[2] = {STR_NULL, STR_NULL};
    for (size_t i = 0; i < 2; i++) {
        if (!str_cut(nodes[i], '.', &names[i], &dc[i]) || str_find_byte(dc[i], '.') >= 0) {
            return cli_error("Node names must be specified as <node name>.<datacenter> with -wan");
        }
    }
    client_request_init(&r, c, "GET", "/v1/coordinate/datacenters");
    if (client_get(&r, &dcs, &err) < 0) {
        return cli_error("Error getting coordinates: %s", err_text(&err));
    }
    for (size_t i = 0; i < 2; i++) {
        coordinates[i] = wan_find(dcs, names[i], dc[i], &areas[i]);
    }
    if (coordinates[0] == NULL || coordinates[1] == NULL || !str_eq(areas[0], areas[1])) {
        return not_found(nodes[0]); /* Consul names the first, whichever it is */
    }
    return report(nodes, coordinates);
}

static int rtt_between(struct client *c, const struct cli_args *args)
{
    struct str nodes[2] = {str_from_cstr(args->argv[0])};
    if (args->argc == 2) {
        nodes[1] = str_from_cstr(args->argv[1]);
    } else {
        struct err err = {0};
        struct client_request r;
        const struct value *self;
        client_request_init(&r, c, "GET", "/v1/agent/self");
        if (client_get(&r, &self, &err) < 0) {
            return cli_error("Unable to look up agent info: %s", err_text(&err));
        }
        const struct value *config = value_member(self, "Config");
        nodes[1] = value_member_str(config, "NodeName");
        if (is_wan) {
            nodes[1] = arena_printf(client_arena(c), "%.*s.%.*s", STRF(nodes[1]),
                                    STRF(value_member_str(config, "Datacenter")));
        }
    }
    return is_wan ? rtt_wan(c, nodes) : rtt_lan(c, nodes);
}

static int rtt_run(int argc, char **argv)
{
    struct cli_args args;
    int code;
    if (!cli_parse("rtt", argc, argv, groups, ARRAY_SIZE(groups), &args, &code)) {
        return code;
    }
    if (args.argc < 1 || args.argc > 2) {
        return cli_usage_error("rtt", groups, ARRAY_SIZE(groups),
                               "One or two node names must be specified");
    }
    CLEANUP(client_free) struct client *c = client_open("Error connecting to Consul agent");
    return c != NULL ? rtt_between(c, &args) : 1;
}

const struct cli_command cli_rtt_commands[] = {
    {.name = "rtt",
     .synopsis = "Estimate the round trip between two nodes",
     .run = rtt_run,
     .usage = "[options] node1 [node2]",
     .help =
         "  Estimates the round-trip time between two nodes from their network coordinates. The "
         "second is\n  the agent's own when it is not given."},
};
const size_t cli_rtt_commands_count = ARRAY_SIZE(cli_rtt_commands);
