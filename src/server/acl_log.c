#include "server/acl_log.h"

#include "fsm/fsm.h"
#include "server/acl_data.h"
#include "store/acl.h"

#define ENTRY(label, type, request)                                                             \
    static int label##_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry) \
    {                                                                                           \
        (void)ctx;                                                                              \
        (void)reply;                                                                            \
        acl_entry_put(entry, type, &request##_schema, args);                                    \
        return RPC_PREPARE_PROPOSE;                                                             \
    }                                                                                           \
    const struct rpc_method acl_log_##label = {                                                 \
        .name = "ACL log " #label,                                                              \
        .flags = RPC_WRITE,                                                                     \
        .args = &request##_schema,                                                              \
        .options_offset = -1,                                                                   \
        .meta_offset = -1,                                                                      \
        .acl = "none",                                                                          \
        .prepare = label##_prepare,                                                             \
    };

ENTRY(token_set, FSM_ACL_TOKEN_SET, acl_token_batch_set_request)
ENTRY(token_delete, FSM_ACL_TOKEN_DELETE, acl_token_batch_delete_request)
ENTRY(policy_set, FSM_ACL_POLICY_SET, acl_policy_batch_set_request)
ENTRY(policy_delete, FSM_ACL_POLICY_DELETE, acl_policy_batch_delete_request)
ENTRY(auth_method_set, FSM_ACL_AUTH_METHOD_SET, acl_auth_method_batch_set_request)
ENTRY(role_set, FSM_ACL_ROLE_SET, acl_role_batch_set_request)
ENTRY(role_delete, FSM_ACL_ROLE_DELETE, acl_role_batch_delete_request)

static int bootstrap_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    (void)ctx;
    (void)reply;
    acl_entry_put(entry, FSM_ACL_BOOTSTRAP, &acl_token_bootstrap_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static int bootstrap_applied(struct rpc_ctx *ctx, const void *data, const struct fsm_result *result,
                             void *reply)
{
    const struct acl_token_bootstrap_request *args = data;
    const struct acl_token *token = acl_token_by_accessor(ctx->view, args->token.accessor_id);
    (void)result;
    if (token != NULL) {
        *(struct acl_token *)reply = *acl_token_current(ctx->view, ctx->arena, token);
    }
    return 0;
}

const struct rpc_method acl_log_bootstrap = {
    .name = "ACL log bootstrap",
    .flags = RPC_WRITE,
    .args = &acl_token_bootstrap_request_schema,
    .reply = &acl_token_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .prepare = bootstrap_prepare,
    .applied = bootstrap_applied,
};
