/* Catalog.GatewayServices: the services behind a gateway. */
#include "store/gateway_services.h"

#include "base/log.h"
#include "server/rpc.h"
#include "store/config_entry.h"

static int gateway_services(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct service_request *args = data;
    struct indexed_gateway_services *reply = out;
    /* No error: the proxy of a gateway may well start before its entry is written. */
    if (config_entry_find(ctx->view, CONFIG_INGRESS_GATEWAY, args->service_name) == NULL &&
        config_entry_find(ctx->view, CONFIG_TERMINATING_GATEWAY, args->service_name) == NULL) {
        log_write(LOG_WARN, "agent.server.catalog",
                  "no terminating-gateway or ingress-gateway associated with this gateway",
                  LOG_STR("gateway", args->service_name));
    }
    reply->meta.index =
        gateway_services_list(ctx->view, ctx->ws, ctx->arena, args->service_name, &reply->services);
    return 0;
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
