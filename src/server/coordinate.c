/* Coordinate.*: network coordinates of nodes and data centers. */
#include "store/coordinate.h"
#include "server/acl_filter.h"
#include "server/coordinate_batch.h"
#include "server/read.h"
#include "server/rpc.h"
#include "server/server.h"

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
