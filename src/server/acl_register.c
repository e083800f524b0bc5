#include "server/acl_register.h"

#include "schema/catalog.h"
#include "schema/txn.h"
#include "store/catalog.h"

/* Every server registers itself under this name. */
#define CONSUL_SERVICE STR("consul")

int acl_check_service(const struct rpc_ctx *ctx, const struct node_service *service)
{
    int r = acl_known(ctx);
    if (r >= 0 && !str_eq(service->service, CONSUL_SERVICE)) {
        r = acl_check(ctx, ACL_SERVICE_WRITE, service->service);
    }
    if (r >= 0 && str_eq(service->kind, SERVICE_KIND_CONNECT_PROXY)) {
        r = acl_check(ctx, ACL_SERVICE_WRITE, service->proxy.destination_service_name);
    }
    return r;
}

/* A request tells the node's particulars along with each service; only who changes them must be
 * allowed to. */
static bool changes_node(const struct register_request *args, const struct node *node)
{
    if (node == NULL) {
        return true;
    }
    return !args->skip_node_update &&
           !(str_eq(args->id, node->id) && str_eq(args->node, node->node) &&
             str_eq(args->address, node->address) && str_eq(args->datacenter, node->datacenter) &&
             strmap_eq(args->tagged_addresses, node->tagged_addresses) &&
             strmap_eq(args->node_meta, node->meta));
}

static int fail_other_node(const struct rpc_ctx *ctx, const struct register_request *args,
                           const struct health_check *check)
{
    return err_set(ctx->err, ERR_FAILED,
                   "Node '%.*s' for check '%.*s' doesn't match register request node '%.*s'",
                   STRF(check->node), STRF(check->check_id), STRF(args->node));
}

static int check_check(const struct rpc_ctx *ctx, const struct register_request *args,
                       const struct health_check *check)
{
    if (!str_eq(check->node, args->node)) {
        return fail_other_node(ctx, args, check);
    }
    if (check->service_id.n == 0) {
        return acl_check(ctx, ACL_NODE_WRITE, args->node);
    }
    if (args->service != NULL && str_eq(args->service->id, check->service_id)) {
        return 0; /* is the caller's */
    }
    const struct service_row *other = catalog_service_row(ctx->view, args->node, check->service_id);
    if (other == NULL) {
        return err_set(ctx->err, ERR_FAILED, "Unknown service '%.*s' for check '%.*s'",
                       STRF(check->service_id), STRF(check->check_id));
    }
    return acl_check(ctx, ACL_SERVICE_WRITE, other->service.service);
}

int acl_check_register(const struct rpc_ctx *ctx, const struct register_request *args)
{
    int r = acl_known(ctx);
    if (r < 0 || ctx->who == NULL) {
        return r;
    }
    if (changes_node(args, catalog_node(ctx->view, args->node))) {
        r = acl_check(ctx, ACL_NODE_WRITE, args->node);
    }
    if (r >= 0 && args->service != NULL) {
        const struct service_row *other =
            catalog_service_row(ctx->view, args->node, args->service->id);
        r = acl_check(ctx, ACL_SERVICE_WRITE, args->service->service);
        if (r >= 0 && other != NULL) {
            r = acl_check(ctx, ACL_SERVICE_WRITE, other->service.service);
        }
    }
    for (size_t i = 0; i < args->checks.n && r >= 0; i++) {
        r = check_check(ctx, args, args->checks.v[i]);
    }
    return r;
}

/* In the order in which the state machine looks at the members. */
int acl_check_deregister(const struct rpc_ctx *ctx, const struct deregister_request *args)
{
    int r = acl_known(ctx);
    if (r < 0 || acl_may(ctx, ACL_NODE_WRITE, args->node)) {
        return r; /* whoever has the node may rid it of anything */
    }
    if (args->service_id.n > 0) {
        const struct service_row *s = catalog_service_row(ctx->view, args->node, args->service_id);
        return s == NULL
                   ? err_set(ctx->err, ERR_FAILED, "Unknown service '%.*s'", STRF(args->service_id))
                   : acl_check(ctx, ACL_SERVICE_WRITE, s->service.service);
    }
    if (args->check_id.n > 0) {
        const struct health_check *c = catalog_check(ctx->view, args->node, args->check_id);
        if (c == NULL) {
            return err_set(ctx->err, ERR_FAILED, "Unknown check '%.*s'", STRF(args->check_id));
        }
        return c->service_id.n > 0 ? acl_check(ctx, ACL_SERVICE_WRITE, c->service_name)
                                   : acl_deny(ctx);
    }
    return acl_deny(ctx);
}

int acl_check_txn_check(const struct rpc_ctx *ctx, const struct txn_check_op *op)
{
    return op->check.service_id.n > 0 ? acl_check(ctx, ACL_SERVICE_WRITE, op->check.service_name)
                                      : acl_check(ctx, ACL_NODE_WRITE, op->check.node);
}
