/* Internal.*: dumps of the catalog for the UI. */
#include "schema/dump.h"
#include "server/acl_filter.h"
#include "server/read.h"
#include "server/rpc.h"
#include "store/catalog.h"
#include "store/gateway_services.h"

static int node_info(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct node_request *args = data;
    struct indexed_node_dump *reply = out;
    /* An empty name would mean all of them. */
    if (args->node.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide node");
    }
    reply->meta.index = catalog_node_dump(ctx->view, ctx->ws, ctx->arena, args->node, &reply->dump);
    return acl_filter_node_dump(ctx, &reply->dump);
}

static int node_dump(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct dc_request *args = data;
    struct indexed_node_dump *reply = out;
    reply->meta.index = catalog_node_dump(ctx->view, ctx->ws, ctx->arena, STR_NULL, &reply->dump);
    int r = acl_filter_node_dump(ctx, &reply->dump);
    return r < 0 ? r : read_filter_objs(ctx, args->options.filter, &node_info_schema, &reply->dump);
}

static int service_dump(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct service_dump_request *args = data;
    struct indexed_nodes_with_gateways *reply = out;
    reply->meta.index =
        catalog_service_dump(ctx->view, ctx->ws, ctx->arena,
                             args->use_service_kind ? &args->service_kind : NULL, &reply->nodes);
    uint64_t index = gateway_services_list_all(ctx->view, ctx->ws, ctx->arena, &reply->gateways);
    reply->meta.index = MAX(reply->meta.index, index);
    int r = acl_filter_check_service_nodes(ctx, &reply->nodes);
    if (r < 0 || (r = acl_filter_gateway_services(ctx, &reply->gateways)) < 0) {
        return r;
    }
    return read_filter_objs(ctx, args->options.filter, &check_service_node_schema, &reply->nodes);
}

const struct rpc_method rpc_internal_node_info = {
    .name = "Internal.NodeInfo",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &node_request_schema,
    .reply = &indexed_node_dump_schema,
    .options_offset = offsetof(struct node_request, options),
    .meta_offset = offsetof(struct indexed_node_dump, meta),
    .acl = "node:read,service:read",
    .read = node_info,
};
const struct rpc_method rpc_internal_node_dump = {
    .name = "Internal.NodeDump",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &dc_request_schema,
    .reply = &indexed_node_dump_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct indexed_node_dump, meta),
    .acl = "node:read,service:read",
    .read = node_dump,
};
const struct rpc_method rpc_internal_service_dump = {
    .name = "Internal.ServiceDump",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &service_dump_request_schema,
    .reply = &indexed_nodes_with_gateways_schema,
    .options_offset = offsetof(struct service_dump_request, options),
    .meta_offset = offsetof(struct indexed_nodes_with_gateways, meta),
    .acl = "node:read,service:read",
    .read = service_dump,
};
