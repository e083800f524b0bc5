/* DiscoveryChain.*: what config entries make of one service. */
#include "store/discovery_chain.h"

#include "base/metrics.h"
#include "server/acl.h"
#include "server/ca_cert.h"
#include "server/chain.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/connect_ca.h"

#define INDEX_NAME_CONFIG STR("config-entries")

int chain_read(struct rpc_ctx *ctx, struct str service, struct str datacenter,
               const struct chain_overrides *overrides, uint64_t *ret_index,
               const struct compiled_discovery_chain **ret_chain)
{
    const struct ca_configuration *ca;
    struct str own = ctx->server->options.datacenter;
    const struct chain_entries entries = {.view = ctx->view, .ws = ctx->ws};
    struct chain_options options = {
        .datacenter = datacenter.n > 0 ? datacenter : own, .use_in = own, .overrides = *overrides};
    (void)ca_config_get(ctx->view, ctx->ws, &ca);
    if (ca == NULL) {
        return err_set(ctx->err, ERR_FAILED, "no cluster ca config setup");
    }
    options.trust_domain = ca_trust_domain(ctx->arena, ca->cluster_id);
    if (chain_compile(ctx->arena, &entries, service, &options, ret_chain, ctx->err) < 0) {
        return err_wrap(ctx->err, "failed to compile discovery chain");
    }
    *ret_index = store_index(ctx->view, INDEX_NAME_CONFIG);
    return 0;
}

static int get_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct discovery_chain_request *args = data;
    struct discovery_chain_response *reply = out;
    int r = rpc_check_connect(ctx);
    if (r < 0) {
        return r;
    }
    if (args->name.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide service name");
    }
    r = acl_check(ctx, ACL_SERVICE_READ, args->name);
    if (r < 0) {
        return r;
    }
    return chain_read(ctx, args->name, args->evaluate_in_datacenter, &args->overrides,
                      &reply->meta.index, &reply->chain);
}

static struct metric time_get = METRIC_SAMPLE("discovery_chain.get");

const struct rpc_method rpc_discovery_chain_get = {
    .name = "DiscoveryChain.Get",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &discovery_chain_request_schema,
    .reply = &discovery_chain_response_schema,
    .options_offset = offsetof(struct discovery_chain_request, options),
    .meta_offset = offsetof(struct discovery_chain_response, meta),
    .acl = "service:read",
    .time = &time_get,
    .read = get_read,
};
