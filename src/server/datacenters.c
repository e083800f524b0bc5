#include "server/datacenters.h"

#include "base/log.h"
#include "base/mem.h"
#include "gossip/pool.h"
#include "schema/coordinate.h"
#include "schema/dump.h"
#include "server/membership.h"
#include "server/reply.h"
#include "server/router.h"
#include "server/rpc.h"
#include "server/rpc_ask.h"
#include "server/server.h"
#include "server/server_info.h"

#include <math.h>
#include <stdlib.h>

/* --- the router's lists ----------------------------------------------------------------------- */

struct datacenters {
    struct server *server;
    struct membership_listener listener;
};

static void route_event(struct router *r, enum membership_event event,
                        const struct server_info *info)
{
    switch (event) {
    case MEMBERSHIP_JOIN:
    case MEMBERSHIP_UPDATE:
        router_add(r, ROUTER_WAN, info);
        break;
    case MEMBERSHIP_FAILED:
        router_fail(r, ROUTER_WAN, info);
        break;
    case MEMBERSHIP_LEAVE:
    case MEMBERSHIP_REAP:
        router_remove(r, ROUTER_WAN, info);
        break;
    }
}

static const char *event_text(enum membership_event event)
{
    switch (event) {
    case MEMBERSHIP_JOIN:
        return "member-join";
    case MEMBERSHIP_UPDATE:
        return "member-update";
    case MEMBERSHIP_FAILED:
        return "member-failed";
    case MEMBERSHIP_LEAVE:
        return "member-leave";
    case MEMBERSHIP_REAP:
        break;
    }
    return "member-reap";
}

static void wan_event(struct membership_listener *l, enum membership_event event,
                      const struct member *member)
{
    struct server *s = container_of(l, struct datacenters, listener)->server;
    struct arena a = {0};
    struct server_info info;
    if (!server_info_of(member, &a, &info)) {
        log_write(LOG_WARN, "agent.server", "Non-server in server-only area",
                  LOG_STR("non_server", member->name), LOG_CSTR("area", "wan"));
    } else {
        if (!str_eq(info.datacenter, s->delegate.datacenter)) {
            route_event(s->delegate.router, event, &info);
        }
        log_write(LOG_INFO, "agent.server", "Handled event for server in area",
                  LOG_CSTR("event", event_text(event)), LOG_STR("server", info.name),
                  LOG_CSTR("area", "wan"));
    }
    arena_deinit(&a);
}

struct datacenters *datacenters_new(struct server *s)
{
    struct datacenters *d = xcalloc(1, sizeof(*d));
    d->server = s;
    d->listener.event = wan_event;
    if (s->delegate.wan != NULL) {
        membership_listen(s->delegate.wan, &d->listener);
    }
    return d;
}

void datacenters_stop(struct datacenters *d)
{
    list_remove(&d->listener.node);
}

struct datacenters *datacenters_free(struct datacenters *d)
{
    return mem_free(d);
}

/* --- by distance ------------------------------------------------------------------------------ */

struct distant {
    struct str datacenter;
    double *seconds; /* to its servers */
    size_t count;
    double median;
};

static int by_seconds(const void *x, const void *y)
{
    const double *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

static int by_distance(const void *x, const void *y)
{
    const struct distant *a = x, *b = y;
    int order = by_seconds(&a->median, &b->median);
    return order != 0 ? order : str_cmp(a->datacenter, b->datacenter);
}

static const struct coordinate *coordinate_of(const struct node_coordinate *known, size_t n,
                                              struct str name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(known[i].node, name)) {
            return known[i].coord;
        }
    }
    return NULL;
}

/* Which of the first *n it is; a new one is put behind them. */
static struct distant *distant_of(struct distant *v, size_t *n, struct str datacenter,
                                  size_t members, struct arena *a)
{
    for (size_t i = 0; i < *n; i++) {
        if (str_eq(v[i].datacenter, datacenter)) {
            return &v[i];
        }
    }
    v[*n] = (struct distant){.datacenter = datacenter, .seconds = ARENA_ARRAY(a, double, members)};
    return &v[(*n)++];
}

struct strlist datacenters_by_distance(const struct member_list *wan, struct str own,
                                       struct str own_name, const struct node_coordinate *known,
                                       size_t known_count, struct arena *a)
{
    const struct coordinate *from = coordinate_of(known, known_count, own_name);
    size_t members = wan != NULL ? wan->count : 0, n = 0;
    struct distant *v = ARENA_ARRAY(a, struct distant, members + 1);
    v[n++] = (struct distant){.datacenter = own, .seconds = NULL};
    for (size_t i = 0; i < members; i++) {
        struct server_info info;
        if (wan->v[i]->status == MEMBER_LEFT || !server_info_of(wan->v[i], a, &info) ||
            str_eq(info.datacenter, own)) {
            continue;
        }
        struct distant *d = distant_of(v, &n, info.datacenter, members, a);
        const struct coordinate *to = coordinate_of(known, known_count, info.name);
        d->seconds[d->count++] = coordinate_distance(from, to);
    }
    struct str *names = ARENA_ARRAY(a, struct str, n);
    for (size_t i = 0; i < n; i++) {
        if (v[i].count > 0) {
            qsort(v[i].seconds, v[i].count, sizeof(double), by_seconds);
            v[i].median = v[i].seconds[v[i].count / 2];
        }
    }
    qsort(v, n, sizeof(v[0]), by_distance);
    for (size_t i = 0; i < n; i++) {
        names[i] = v[i].datacenter;
    }
    return (struct strlist){names, n};
}

/* --- both methods: first the coordinates are asked for -----------------------------------------
 */

struct known {
    struct rpc_ask *ask;
    void (*put)(const struct known *k, struct member_list *wan);
    struct pool_coordinates coordinates;
    struct arena arena; /* of the coordinates */
};

static void put_answer(struct known *k)
{
    struct membership *wan = k->ask->server->delegate.wan;
    struct member_list *list = wan != NULL ? membership_list(wan) : NULL;
    k->put(k, list);
    if (list != NULL) {
        (void)member_list_unref(list);
    }
}

static void coordinates_known(struct pool_coordinates *c)
{
    struct known *k = c->data;
    struct rpc_ask *ask = k->ask;
    if (c->err.code != 0) {
        ask->err = c->err;
    } else if (!ask->is_dropped) {
        put_answer(k);
    }
    arena_deinit(&k->arena);
    mem_free(k);
    rpc_ask_finish(ask);
}

static void ask_coordinates(struct rpc_ask *ask,
                            void (*put)(const struct known *k, struct member_list *wan))
{
    const struct membership *wan = ask->server->delegate.wan;
    struct known *k = xcalloc(1, sizeof(*k));
    *k = (struct known){.ask = ask, .put = put};
    k->coordinates =
        (struct pool_coordinates){.done = coordinates_known, .arena = &k->arena, .data = k};
    if (wan != NULL && wan->pool != NULL) {
        pool_coordinates(wan->pool, &k->coordinates);
    } else {
        coordinates_known(&k->coordinates); /* nobody has any */
    }
}

static void put_names(const struct known *k, struct member_list *wan)
{
    struct arena *a = k->ask->arena;
    const struct delegate *d = &k->ask->server->delegate;
    struct strlist_reply *reply = k->ask->reply;
    struct str own_name = arena_printf(a, "%.*s.%.*s", STRF(d->node_name), STRF(d->datacenter));
    struct strlist names = datacenters_by_distance(wan, d->datacenter, own_name, k->coordinates.v,
                                                   k->coordinates.count, a);
    struct str *v = ARENA_ARRAY(a, struct str, names.n);
    for (size_t i = 0; i < names.n; i++) {
        v[i] = arena_str(a, names.v[i]);
    }
    reply->values = (struct strlist){v, names.n};
}

static void list_datacenters(struct rpc_ask *ask)
{
    ask_coordinates(ask, put_names);
}

const struct rpc_method rpc_catalog_list_datacenters = {
    .name = "Catalog.ListDatacenters",
    .flags = RPC_READ | RPC_LOCAL,
    .args = &datacenters_request_schema,
    .reply = &strlist_reply_schema,
    .options_offset = offsetof(struct datacenters_request, options),
    .meta_offset = -1,
    .acl = "none",
    .ask = list_datacenters,
};

/* --- where their servers are ------------------------------------------------------------------ */

static int map_by_name(const void *x, const void *y)
{
    const struct datacenter_map *a = x, *b = y;
    return str_cmp(a->datacenter, b->datacenter);
}

static struct datacenter_map *map_of(struct objlist *maps, struct str datacenter)
{
    struct datacenter_map *v = maps->v;
    for (size_t i = 0; i < maps->n; i++) {
        if (str_eq(v[i].datacenter, datacenter)) {
            return &v[i];
        }
    }
    v[maps->n] = (struct datacenter_map){.datacenter = datacenter, .area_id = STR("wan")};
    return &v[maps->n++];
}

/* Without the data center that a name of the WAN pool ends in. */
static struct str short_name(const struct server_info *info, struct arena *a)
{
    struct str suffix = arena_printf(a, ".%.*s", STRF(info->datacenter));
    return str_has_suffix(info->name, suffix) ? str_first(info->name, info->name.n - suffix.n)
                                              : info->name;
}

static void put_maps(const struct known *k, struct member_list *wan)
{
    struct arena *a = k->ask->arena;
    struct datacenter_maps_reply *reply = k->ask->reply;
    size_t n = wan != NULL ? wan->count : 0;
    reply->maps = (struct objlist){ARENA_ARRAY(a, struct datacenter_map, n + 1), 0};
    for (size_t i = 0; i < n; i++) {
        struct server_info info;
        const struct coordinate *c =
            coordinate_of(k->coordinates.v, k->coordinates.count, wan->v[i]->name);
        if (c == NULL || wan->v[i]->status == MEMBER_LEFT || !server_info_of(wan->v[i], a, &info)) {
            continue;
        }
        struct datacenter_map *map = map_of(&reply->maps, arena_str(a, info.datacenter));
        if (map->coordinates.n == 0) {
            map->coordinates.v = ARENA_ARRAY(a, struct node_coordinate, n);
        }
        struct node_coordinate *servers = map->coordinates.v;
        servers[map->coordinates.n++] =
            (struct node_coordinate){.node = arena_str(a, short_name(&info, a)),
                                     .coord = schema_copy(a, &coordinate_schema, c)};
    }
    qsort(reply->maps.v, reply->maps.n, sizeof(struct datacenter_map), map_by_name);
}

static void list_maps(struct rpc_ask *ask)
{
    ask_coordinates(ask, put_maps);
}

const struct rpc_method rpc_coordinate_list_datacenters = {
    .name = "Coordinate.ListDatacenters",
    .flags = RPC_READ | RPC_LOCAL,
    .args = &empty_request_schema,
    .reply = &datacenter_maps_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .ask = list_maps,
};
