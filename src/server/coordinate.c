/* Coordinate.*: network coordinates of nodes and data centers. */
#include "store/coordinate.h"
#include "base/mem.h"
#include "gossip/pool.h"
#include "schema/dump.h"
#include "server/acl_filter.h"
#include "server/coordinate_batch.h"
#include "server/membership.h"
#include "server/read.h"
#include "server/rpc.h"
#include "server/rpc_ask.h"
#include "server/server.h"
#include "server/server_info.h"

#include <stdlib.h>

static int update_prepare(struct rpc_ctx *ctx, void *data, void *reply UNUSED,
                          struct buf *entry UNUSED)
{
    const struct coordinate_update_request *args = data;
    if (args->coord == NULL || !coordinate_is_valid(args->coord)) {
        return err_set(ctx->err, ERR_FAILED, "invalid coordinate");
    }
    if (args->coord->vec.n != COORDINATE_DIMENSIONS) {
        return err_set(ctx->err, ERR_FAILED, "incompatible coordinate");
    }
    int r = acl_check(ctx, ACL_NODE_WRITE, args->node);
    if (r < 0) {
        return r;
    }
    struct node_coordinate update = {
        .node = args->node, .segment = args->segment, .coord = args->coord};
    coordinate_batch_add(ctx->server->coordinates, &update);
    return RPC_PREPARE_DONE;
}

/* --- data centers: where their servers are, by the WAN pool -------------------------------------
 */

struct maps_ask {
    struct rpc_ask *ask;
    struct pool_coordinates coordinates;
    struct arena arena; /* of the coordinates */
};

static int by_datacenter(const void *a, const void *b)
{
    const struct datacenter_map *x = a, *y = b;
    return str_cmp(x->datacenter, y->datacenter);
}

static const struct coordinate *coordinate_of(const struct pool_coordinates *c, struct str name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (str_eq(c->v[i].node, name)) {
            return c->v[i].coord;
        }
    }
    return NULL;
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

static void put_maps(const struct maps_ask *k, struct datacenter_maps_reply *reply)
{
    struct arena *a = k->ask->arena;
    struct member_list *list = membership_list(k->ask->server->delegate.wan);
    size_t n = list->count;
    reply->maps = (struct objlist){ARENA_ARRAY(a, struct datacenter_map, n + 1), 0};
    for (size_t i = 0; i < n; i++) {
        struct server_info info;
        const struct coordinate *c = coordinate_of(&k->coordinates, list->v[i]->name);
        if (c == NULL || list->v[i]->status == MEMBER_LEFT ||
            !server_info_of(list->v[i], a, &info)) {
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
    (void)member_list_unref(list);
    qsort(reply->maps.v, reply->maps.n, sizeof(struct datacenter_map), by_datacenter);
}

static void maps_known(struct pool_coordinates *c)
{
    struct maps_ask *k = c->data;
    struct rpc_ask *ask = k->ask;
    if (c->err.code != 0) {
        ask->err = c->err;
    } else if (!ask->is_dropped) {
        put_maps(k, ask->reply);
    }
    arena_deinit(&k->arena);
    mem_free(k);
    rpc_ask_finish(ask);
}

static void list_datacenters(struct rpc_ask *ask)
{
    const struct membership *wan = ask->server->delegate.wan;
    if (wan == NULL || wan->pool == NULL) {
        rpc_ask_finish(ask); /* nobody knows of any */
        return;
    }
    struct maps_ask *k = xcalloc(1, sizeof(*k));
    k->ask = ask;
    k->coordinates = (struct pool_coordinates){.done = maps_known, .arena = &k->arena, .data = k};
    pool_coordinates(wan->pool, &k->coordinates);
}

/* --- nodes -------------------------------------------------------------------------------------
 */

static struct objlist objects(struct rpc_ctx *ctx, struct ptrlist rows)
{
    struct node_coordinate *list = ARENA_ARRAY(ctx->arena, struct node_coordinate, rows.n);
    for (size_t i = 0; i < rows.n; i++) {
        list[i] = *(const struct node_coordinate *)rows.v[i];
    }
    return (struct objlist){rows.n > 0 ? list : NULL, rows.n};
}

static int list_nodes(struct rpc_ctx *ctx, const void *args UNUSED, void *out)
{
    struct indexed_coordinates *reply = out;
    struct ptrlist rows;
    reply->meta.index = coordinate_list(ctx->view, ctx->ws, ctx->arena, &rows);
    reply->coordinates = objects(ctx, rows);
    return acl_filter_coordinates(ctx, &reply->coordinates);
}

/* The name is answered as it was asked for. */
static int node(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct node_request *args = data;
    struct indexed_coordinates *reply = out;
    struct ptrlist rows;
    int r = acl_check(ctx, ACL_NODE_READ, args->node);
    if (r < 0) {
        return r;
    }
    reply->meta.index = coordinate_node(ctx->view, ctx->ws, ctx->arena, args->node, &rows);
    reply->coordinates = objects(ctx, rows);
    struct node_coordinate *list = reply->coordinates.v;
    for (size_t i = 0; i < reply->coordinates.n; i++) {
        list[i].node = args->node;
    }
    return 0;
}

const struct rpc_method rpc_coordinate_update = {
    .name = "Coordinate.Update",
    .flags = RPC_WRITE,
    .args = &coordinate_update_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "node:write",
    .prepare = update_prepare,
};
const struct rpc_method rpc_coordinate_list_datacenters = {
    .name = "Coordinate.ListDatacenters",
    .flags = RPC_READ | RPC_LOCAL,
    .args = &empty_request_schema,
    .reply = &datacenter_maps_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .ask = list_datacenters,
};
const struct rpc_method rpc_coordinate_list_nodes = {
    .name = "Coordinate.ListNodes",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &dc_request_schema,
    .reply = &indexed_coordinates_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct indexed_coordinates, meta),
    .acl = "node:read",
    .read = list_nodes,
};
const struct rpc_method rpc_coordinate_node = {
    .name = "Coordinate.Node",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &node_request_schema,
    .reply = &indexed_coordinates_schema,
    .options_offset = offsetof(struct node_request, options),
    .meta_offset = offsetof(struct indexed_coordinates, meta),
    .acl = "node:read",
    .read = node,
};
