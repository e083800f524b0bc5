/* Catalog.GatewayServices and Internal.GatewayServiceDump: the services behind a gateway, and their
 * instances. */
#include "store/gateway_services.h"

#include "base/log.h"
#include "base/vec.h"
#include "server/acl_filter.h"
#include "server/rpc.h"
#include "store/catalog.h"
#include "store/config_entry.h"

static int gateway_services(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct service_request *args = data;
    struct indexed_gateway_services *reply = out;
    int r = acl_check(ctx, ACL_SERVICE_READ, args->service_name);
    if (r < 0) {
        return r;
    }
    /* No error: the proxy of a gateway may well start before its entry is written. */
    if (config_entry_find(ctx->view, CONFIG_INGRESS_GATEWAY, args->service_name) == NULL &&
        config_entry_find(ctx->view, CONFIG_TERMINATING_GATEWAY, args->service_name) == NULL) {
        log_write(LOG_WARN, "agent.server.catalog",
                  "no terminating-gateway or ingress-gateway associated with this gateway",
                  LOG_STR("gateway", args->service_name));
    }
    reply->meta.index =
        gateway_services_list(ctx->view, ctx->ws, ctx->arena, args->service_name, &reply->services);
    return acl_filter_gateway_services(ctx, &reply->services);
}

const struct rpc_method rpc_catalog_gateway_services = {
    .name = "Catalog.GatewayServices",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &service_request_schema,
    .reply = &indexed_gateway_services_schema,
    .options_offset = offsetof(struct service_request, options),
    .meta_offset = offsetof(struct indexed_gateway_services, meta),
    .acl = "service:read",
    .read = gateway_services,
};

/* A link is told even when the service has no instance. */
static int gateway_service_dump(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct service_request *args = data;
    struct indexed_service_dump *reply = out;
    VEC(struct service_info) dump = {0};
    struct ptrlist links;
    if (args->service_name.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide gateway name");
    }
    int r = acl_check(ctx, ACL_SERVICE_READ, args->service_name);
    if (r < 0) {
        return r;
    }
    uint64_t index =
        gateway_services_list(ctx->view, ctx->ws, ctx->arena, args->service_name, &links);
    for (size_t i = 0; i < links.n; i++) {
        const struct gateway_service *g = links.v[i];
        struct objlist list;
        index = MAX(index, catalog_health_nodes(ctx->view, ctx->ws, ctx->arena, g->service.name,
                                                NULL, &list));
        const struct check_service_node *nodes = list.v;
        for (size_t j = 0; j < MAX(list.n, 1u); j++) {
            struct service_info info = {.gateway_service = g};
            if (list.n > 0) {
                info.node = nodes[j].node;
                info.service = nodes[j].service;
                info.checks = nodes[j].checks;
            }
            avec_push(ctx->arena, &dump, info);
        }
    }
    reply->dump = (struct objlist){dump.v, dump.n};
    reply->meta.index = index;
    return acl_filter_service_dump(ctx, &reply->dump);
}

const struct rpc_method rpc_internal_gateway_service_dump = {
    .name = "Internal.GatewayServiceDump",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &service_request_schema,
    .reply = &indexed_service_dump_schema,
    .options_offset = offsetof(struct service_request, options),
    .meta_offset = offsetof(struct indexed_service_dump, meta),
    .acl = "service:read,node:read",
    .read = gateway_service_dump,
};
