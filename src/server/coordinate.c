/* Coordinate.*: network coordinates of nodes and data centers. */
#include "store/coordinate.h"
#include "schema/dump.h"
#include "server/coordinate_batch.h"
#include "server/read.h"
#include "server/rpc.h"
#include "server/server.h"

/* Where a node stands that has measured nothing yet (Serf's defaults). */
#define ORIGIN_ERROR 1.5
#define ORIGIN_HEIGHT 10.0e-6

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
    struct node_coordinate update = {
        .node = args->node, .segment = args->segment, .coord = args->coord};
    coordinate_batch_add(ctx->server->coordinates, &update);
    return RPC_PREPARE_DONE;
}

/* One data center, and of the wide area only ourselves, at the origin, until there is gossip
 * that knows more. */
static int list_datacenters(struct rpc_ctx *ctx, const void *args UNUSED, void *out)
{
    struct datacenter_maps_reply *reply = out;
    struct arena *a = ctx->arena;
    struct coordinate *origin = ARENA_NEW(a, struct coordinate);
    origin->vec =
        (struct f64list){ARENA_ARRAY(a, double, COORDINATE_DIMENSIONS), COORDINATE_DIMENSIONS};
    origin->error = ORIGIN_ERROR;
    origin->height = ORIGIN_HEIGHT;
    struct node_coordinate *self = ARENA_NEW(a, struct node_coordinate);
    self->node = ctx->server->options.node_name;
    self->coord = origin;
    struct datacenter_map *map = ARENA_NEW(a, struct datacenter_map);
    map->datacenter = ctx->server->options.datacenter;
    map->area_id = STR("wan");
    map->coordinates = (struct objlist){self, 1};
    reply->maps = (struct objlist){map, 1};
    return 0;
}

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
    return 0;
}

/* The name is answered as it was asked for. */
static int node(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct node_request *args = data;
    struct indexed_coordinates *reply = out;
    struct ptrlist rows;
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
    .read = list_datacenters,
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
