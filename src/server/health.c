/* Health.*: checks, and service instances with the checks that concern them. */
#include "server/acl_filter.h"
#include "server/query_metrics.h"
#include "server/read.h"
#include "server/rpc.h"
#include "store/catalog.h"

/* --- checks ---------------------------------------------------------------------------------- */

static struct str node_of_check(const void *element)
{
    return ((const struct health_check *)element)->node;
}

static int finish_checks(struct rpc_ctx *ctx, const struct query_options *options,
                         const struct query_source *source, struct ptrlist *checks)
{
    int r = acl_filter_checks(ctx, checks);
    if (r >= 0) {
        r = read_filter_ptrs(ctx, options->filter, &health_check_schema, checks);
    }
    if (r >= 0 && source != NULL) {
        read_sort_ptrs(ctx, source, node_of_check, checks);
    }
    return r;
}

static int checks_in_state(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct checks_in_state_request *args = data;
    struct indexed_health_checks *reply = out;
    reply->meta.index = catalog_checks_in_state(ctx->view, ctx->ws, ctx->arena, args->state,
                                                args->node_meta_filters, &reply->health_checks);
    return finish_checks(ctx, &args->options, &args->source, &reply->health_checks);
}

static int node_checks(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct node_request *args = data;
    struct indexed_health_checks *reply = out;
    reply->meta.index =
        catalog_node_checks(ctx->view, ctx->ws, ctx->arena, args->node, &reply->health_checks);
    return finish_checks(ctx, &args->options, NULL, &reply->health_checks);
}

static int service_checks(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct service_request *args = data;
    struct indexed_health_checks *reply = out;
    if (args->tag_filter) {
        return err_set(ctx->err, ERR_FAILED, "Tag filtering is not supported");
    }
    reply->meta.index = catalog_service_checks(ctx->view, ctx->ws, ctx->arena, args->service_name,
                                               args->node_meta_filters, &reply->health_checks);
    return finish_checks(ctx, &args->options, &args->source, &reply->health_checks);
}

/* --- instances ------------------------------------------------------------------------------- */

static struct str node_of_instance(const void *element)
{
    return ((const struct check_service_node *)element)->node->node;
}

/* Which instances: a connect query looks for proxies and disregards tags, as in 1.10.3, and one for
 * ingress gateways looks for them only where it names no tags. */
static uint64_t find_instances(struct rpc_ctx *ctx, const struct service_request *args,
                               struct objlist *ret_nodes)
{
    if (args->connect) {
        return catalog_health_connect_nodes(ctx->view, ctx->ws, ctx->arena, args->service_name,
                                            ret_nodes);
    }
    if (args->ingress && !args->tag_filter) {
        return catalog_health_ingress_nodes(ctx->view, ctx->ws, ctx->arena, args->service_name,
                                            ret_nodes);
    }
    struct strlist tags = service_request_tags(args);
    return catalog_health_nodes(ctx->view, ctx->ws, ctx->arena, args->service_name,
                                args->tag_filter ? &tags : NULL, ret_nodes);
}

static int service_nodes(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct service_request *args = data;
    struct indexed_check_service_nodes *reply = out;
    if (args->service_name.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide service name");
    }
    /* Who asks for the proxies of a service, or its gateways, must be able to read the service. */
    int r = acl_known(ctx);
    if (r < 0) {
        return r;
    }
    if ((args->connect || args->ingress) && !acl_may(ctx, ACL_SERVICE_READ, args->service_name)) {
        ctx->ws = NULL; /* answered at once, and with nothing */
        return 0;
    }
    reply->meta.index = find_instances(ctx, args, &reply->nodes);
    read_keep_node_meta(args->node_meta_filters, sizeof(struct check_service_node), &reply->nodes);
    r = acl_filter_check_service_nodes(ctx, &reply->nodes);
    if (r < 0) {
        return r;
    }
    r = read_filter_objs(ctx, args->options.filter, &check_service_node_schema, &reply->nodes);
    if (r < 0) {
        return r;
    }
    read_sort_objs(ctx, &args->source, node_of_instance, sizeof(struct check_service_node),
                   &reply->nodes);
    if (read_will_answer(ctx, &args->options, reply->meta.index)) {
        query_metrics_count("health", args, reply->nodes.n);
    }
    return 0;
}

/* --- the table ------------------------------------------------------------------------------- */

const struct rpc_method rpc_health_checks_in_state = {
    .name = "Health.ChecksInState",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &checks_in_state_request_schema,
    .reply = &indexed_health_checks_schema,
    .options_offset = offsetof(struct checks_in_state_request, options),
    .meta_offset = offsetof(struct indexed_health_checks, meta),
    .acl = "node:read,service:read",
    .read = checks_in_state,
};
const struct rpc_method rpc_health_node_checks = {
    .name = "Health.NodeChecks",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &node_request_schema,
    .reply = &indexed_health_checks_schema,
    .options_offset = offsetof(struct node_request, options),
    .meta_offset = offsetof(struct indexed_health_checks, meta),
    .acl = "node:read,service:read",
    .read = node_checks,
};
const struct rpc_method rpc_health_service_checks = {
    .name = "Health.ServiceChecks",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &service_request_schema,
    .reply = &indexed_health_checks_schema,
    .options_offset = offsetof(struct service_request, options),
    .meta_offset = offsetof(struct indexed_health_checks, meta),
    .acl = "node:read,service:read",
    .read = service_checks,
};
const struct rpc_method rpc_health_service_nodes = {
    .name = "Health.ServiceNodes",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &service_request_schema,
    .reply = &indexed_check_service_nodes_schema,
    .options_offset = offsetof(struct service_request, options),
    .meta_offset = offsetof(struct indexed_check_service_nodes, meta),
    .acl = "node:read,service:read",
    .read = service_nodes,
};
