/* ACL.Policy*: policies. */
#include "base/gofmt.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "base/vec.h"
#include "fsm/fsm.h"
#include "server/acl_data.h"
#include "server/reply.h"
#include "server/server.h"
#include "store/acl.h"

#define Q(s) STRF(go_quoted(ctx->arena, (s)))
#define POLICY_NAME_SIZE_MAX 128u

/* --- writing --------------------------------------------------------------------------------- */

static int name_exists(struct rpc_ctx *ctx, const char *words, struct str name)
{
    return err_set(ctx->err, ERR_FAILED, "Invalid Policy: A %s %.*s already exists", words,
                   Q(name));
}

/* A new one gets its id; one that has an id must be there. */
static int check_identity(struct rpc_ctx *ctx, struct acl_policy_row *policy)
{
    const struct acl_policy_row *same_name = acl_policy_by_name(ctx->view, policy->name);
    if (policy->id.n == 0) {
        policy->id = acl_new_id(ctx);
        return same_name == NULL ? 0 : name_exists(ctx, "Policy with Name", policy->name);
    }
    if (!uuid_is_valid(policy->id)) {
        return err_set(ctx->err, ERR_FAILED, "Policy ID invalid UUID");
    }
    const struct acl_policy_row *old = acl_policy_by_id(ctx->view, policy->id);
    if (old == NULL) {
        return err_set(ctx->err, ERR_FAILED, "cannot find policy %.*s", STRF(policy->id));
    }
    if (!str_eq(old->name, policy->name) && same_name != NULL) {
        return name_exists(ctx, "policy with name", policy->name);
    }
    if (str_eq(policy->id, ACL_POLICY_GLOBAL_MANAGEMENT_ID)) {
        bool datacenters = policy->datacenters.v != NULL;
        if (datacenters || !str_eq(policy->rules, old->rules)) {
            return err_set(ctx->err, ERR_FAILED,
                           "Changing the %s the builtin global-management policy is not permitted",
                           datacenters ? "Datacenters of" : "Rules for");
        }
    }
    return 0;
}

static int set_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_policy_set_request *args = data;
    struct acl_policy_row *policy = &args->policy;
    struct acl_policy parsed;
    (void)reply;
    int r = acl_permit(ctx, ACL_ACL_WRITE);
    if (r < 0) {
        return r;
    }
    if (policy->name.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Policy: no Name is set");
    }
    if (!acl_name_is_valid(policy->name, POLICY_NAME_SIZE_MAX)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Invalid Policy: invalid Name. Only alphanumeric characters, '-' and '_' "
                       "are allowed");
    }
    r = check_identity(ctx, policy);
    if (r >= 0) {
        r = acl_policy_parse(ctx->arena, policy->rules, (enum acl_syntax)policy->syntax, &parsed,
                             ctx->err);
    }
    if (r < 0) {
        return r;
    }
    acl_policy_hash_set(ctx->arena, policy);
    void *policies[] = {policy};
    const struct acl_policy_batch_set_request request = {.policies = {policies, 1}};
    acl_entry_put(entry, FSM_ACL_POLICY_SET, &acl_policy_batch_set_request_schema, &request);
    return RPC_PREPARE_PROPOSE;
}

static int set_applied(struct rpc_ctx *ctx, const void *data, const struct fsm_result *result,
                       void *reply)
{
    const struct acl_policy_set_request *args = data;
    const struct acl_policy_row *policy = acl_policy_by_id(ctx->view, args->policy.id);
    (void)result;
    if (policy != NULL) {
        *(struct acl_policy_row *)reply = *policy;
    }
    return 0;
}

static struct metric time_upsert = METRIC_SAMPLE("acl.policy.upsert");

const struct rpc_method rpc_acl_policy_set = {
    .name = "ACL.PolicySet",
    .flags = RPC_WRITE,
    .args = &acl_policy_set_request_schema,
    .reply = &acl_policy_row_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "acl:write",
    .time = &time_upsert,
    .prepare = set_prepare,
    .applied = set_applied,
    .is_primary = acl_is_elsewhere,
    .apply_error = "Failed to apply policy upsert request",
};

static int delete_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_policy_delete_request *args = data;
    const struct acl_policy_row *policy;
    uint64_t index;
    int r = acl_permit(ctx, ACL_ACL_WRITE);
    if (r >= 0) {
        r = acl_policy_get(ctx->view, NULL, args->policy_id, &index, &policy, ctx->err);
    }
    if (r < 0) {
        return r;
    }
    if (policy == NULL) {
        return RPC_PREPARE_DONE;
    }
    if (str_eq(policy->id, ACL_POLICY_GLOBAL_MANAGEMENT_ID)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Delete operation not permitted on the builtin global-management policy");
    }
    ((struct string_reply *)reply)->value = arena_str(ctx->arena, policy->name);
    const struct acl_policy_batch_delete_request request = {.policy_ids = {&args->policy_id, 1}};
    acl_entry_put(entry, FSM_ACL_POLICY_DELETE, &acl_policy_batch_delete_request_schema, &request);
    return RPC_PREPARE_PROPOSE;
}

static struct metric time_delete = METRIC_SAMPLE("acl.policy.delete");

const struct rpc_method rpc_acl_policy_delete = {
    .name = "ACL.PolicyDelete",
    .flags = RPC_WRITE,
    .args = &acl_policy_delete_request_schema,
    .reply = &string_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "acl:write",
    .time = &time_delete,
    .prepare = delete_prepare,
    .is_primary = acl_is_elsewhere,
    .apply_error = "Failed to apply policy delete request",
};

/* --- reading --------------------------------------------------------------------------------- */

static int policy_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_policy_get_request *args = data;
    struct acl_policy_response *reply = out;
    const struct acl_policy_row *policy = NULL;
    int r = acl_permit(ctx, ACL_ACL_READ);
    if (r >= 0 && args->policy_id.n > 0) {
        r = acl_policy_get(ctx->view, ctx->ws, args->policy_id, &reply->meta.index, &policy,
                           ctx->err);
    } else if (r >= 0) {
        reply->meta.index = acl_policy_get_by_name(ctx->view, ctx->ws, args->policy_name, &policy);
    }
    reply->policy = (struct acl_policy_row *)(uintptr_t)policy;
    return r;
}

const struct rpc_method rpc_acl_policy_read = {
    .name = "ACL.PolicyRead",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_policy_get_request_schema,
    .reply = &acl_policy_response_schema,
    .options_offset = offsetof(struct acl_policy_get_request, options),
    .meta_offset = offsetof(struct acl_policy_response, meta),
    .acl = "acl:read",
    .read = policy_read,
};

static int policy_list(struct rpc_ctx *ctx, const void *data, void *out)
{
    (void)data;
    struct acl_policy_list_response *reply = out;
    struct ptrlist policies;
    VEC(void *) stubs = {0};
    int r = acl_permit(ctx, ACL_ACL_READ);
    if (r < 0) {
        return r;
    }
    reply->meta.index = acl_policy_list(ctx->view, ctx->ws, ctx->arena, &policies);
    for (size_t i = 0; i < policies.n; i++) {
        struct acl_policy_stub *stub = ARENA_NEW(ctx->arena, struct acl_policy_stub);
        *stub = acl_policy_stub_make(policies.v[i]);
        avec_push(ctx->arena, &stubs, (void *)stub);
    }
    reply->policies = (struct ptrlist){stubs.v, stubs.n};
    return 0;
}

const struct rpc_method rpc_acl_policy_list = {
    .name = "ACL.PolicyList",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_policy_list_request_schema,
    .reply = &acl_policy_list_response_schema,
    .options_offset = offsetof(struct acl_policy_list_request, options),
    .meta_offset = offsetof(struct acl_policy_list_response, meta),
    .acl = "acl:read",
    .read = policy_list,
};

static int policy_batch_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_policy_batch_get_request *args = data;
    struct acl_policy_batch_response *reply = out;
    int r = acl_check_enabled(ctx);
    if (r < 0 || (r = acl_known(ctx)) < 0) {
        return r;
    }
    r = acl_policy_get_many(ctx->view, ctx->ws, ctx->arena, args->policy_ids, &reply->meta.index,
                            &reply->policies, ctx->err);
    if (!acl_may(ctx, ACL_ACL_READ, STR(""))) {
        reply->policies.n = 0;
    }
    return r;
}

const struct rpc_method rpc_acl_policy_batch_read = {
    .name = "ACL.PolicyBatchRead",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_policy_batch_get_request_schema,
    .reply = &acl_policy_batch_response_schema,
    .options_offset = offsetof(struct acl_policy_batch_get_request, options),
    .meta_offset = offsetof(struct acl_policy_batch_response, meta),
    .acl = "acl:read",
    .read = policy_batch_read,
};
