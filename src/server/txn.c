/* Txn.*: several operations, all or none. Txn.Apply goes through the log; Txn.Read, for those that
 * only read, does not. Operations are checked before, as their own methods would; what fails there
 * is told for each operation, in the reply. */
#include "store/txn.h"

#include "base/metrics.h"
#include "base/vec.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/acl_filter.h"
#include "server/acl_register.h"
#include "server/kvs.h"
#include "server/rpc.h"
#include "server/validate.h"

#define VERB_GET STR("get")

/* 0, or negative with ctx->err set. Completes what the operation left out. */
static int txn_op_check(struct rpc_ctx *ctx, struct txn_op *op)
{
    if (op->kv != NULL) {
        int rc = kvs_check(ctx, op->kv->verb, &op->kv->dir_ent);
        return rc != 0
                   ? rc
                   : err_set(ctx->err, ERR_FAILED, "failed to lock key \"%.*s\" due to lock delay",
                             STRF(op->kv->dir_ent.key));
    }
    if (op->node != NULL && !str_eq(op->node->verb, VERB_GET)) {
        int rc = validate_node(op->node->node.node, op->node->node.id, ctx->err);
        return rc < 0 ? rc : acl_check(ctx, ACL_NODE_WRITE, op->node->node.node);
    }
    if (op->service != NULL && !str_eq(op->service->verb, VERB_GET)) {
        int rc = validate_prepare_service(&op->service->service, ctx->err);
        return rc < 0 ? rc : acl_check_service(ctx, &op->service->service);
    }
    if (op->check != NULL && !str_eq(op->check->verb, VERB_GET)) {
        validate_prepare_check(&op->check->check);
        return acl_check_txn_check(ctx, op->check);
    }
    return 0;
}

/* True when all passed; else the errors are in the answer. */
static bool txn_check(struct rpc_ctx *ctx, const struct objlist *ops, struct txn_response *answer)
{
    struct txn_op *v = ops->v;
    VEC(struct txn_error) errors = {0};
    for (size_t i = 0; i < ops->n; i++) {
        if (txn_op_check(ctx, &v[i]) < 0) {
            struct txn_error e = {.op_index = (int64_t)i,
                                  .what = arena_str(ctx->arena, str_from_cstr(err_text(ctx->err)))};
            avec_push(ctx->arena, &errors, e);
            err_clear(ctx->err);
        }
    }
    answer->errors = (struct objlist){errors.v, errors.n};
    return errors.n == 0;
}

static int txn_apply_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    struct txn_request *request = args;
    int rc = acl_known(ctx);
    if (rc < 0) {
        return rc;
    }
    if (!txn_check(ctx, &request->ops, reply)) {
        return RPC_PREPARE_DONE;
    }
    buf_byte(entry, FSM_TXN);
    msgpack_object(entry, &txn_request_schema, request);
    return RPC_PREPARE_PROPOSE;
}

/* What was done is done, even if it may not be seen. */
static int txn_applied(struct rpc_ctx *ctx, const void *args UNUSED,
                       const struct fsm_result *result, void *reply)
{
    struct txn_response *r = reply;
    if (result->kind != FSM_RESULT_TXN) {
        return err_set(ctx->err, ERR_INTERNAL, "a transaction had no result");
    }
    *r = *result->txn;
    return acl_filter_txn_results(ctx, &r->results);
}

static struct metric time_apply = METRIC_SAMPLE("txn.apply");

const struct rpc_method rpc_txn_apply = {
    .name = "Txn.Apply",
    .flags = RPC_WRITE,
    .args = &txn_request_schema,
    .reply = &txn_response_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "key:read|write,node:read|write,service:read|write",
    .time = &time_apply,
    .prepare = txn_apply_prepare,
    .applied = txn_applied,
    .apply_error = "raft apply failed",
};

static int txn_read_run(struct rpc_ctx *ctx, const void *args, void *reply)
{
    const struct txn_read_request *request = args;
    struct txn_read_response *r = reply;
    int rc = acl_known(ctx);
    if (rc >= 0 && txn_check(ctx, &request->ops, &r->response)) {
        bool answered = txn_read(ctx->view, &request->ops, ctx->arena, &r->response);
        (void)answered; /* what failed is in the reply */
        rc = acl_filter_txn_results(ctx, &r->response.results);
    }
    return rc;
}

static struct metric time_read = METRIC_SAMPLE("txn.read");

const struct rpc_method rpc_txn_read = {
    .name = "Txn.Read",
    .flags = RPC_READ,
    .args = &txn_read_request_schema,
    .reply = &txn_read_response_schema,
    .options_offset = offsetof(struct txn_read_request, options),
    .meta_offset = offsetof(struct txn_read_response, meta),
    .acl = "key:read,node:read,service:read",
    .time = &time_read,
    .read = txn_read_run,
};
