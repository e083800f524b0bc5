/* ACL.Role*: roles. */
#include "base/gofmt.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "fsm/fsm.h"
#include "server/acl_data.h"
#include "server/reply.h"
#include "server/server.h"
#include "store/acl.h"

#define Q(s) STRF(go_quoted(ctx->arena, (s)))
#define ROLE_NAME_SIZE_MAX 256u

/* --- writing --------------------------------------------------------------------------------- */

/* A new one gets its id; one that has an id must be there. */
static int check_identity(struct rpc_ctx *ctx, struct acl_role *role)
{
    const struct acl_role *same_name = acl_role_by_name(ctx->view, role->name);
    if (role->id.n == 0) {
        role->id = acl_new_id(ctx);
        return same_name == NULL
                   ? 0
                   : err_set(ctx->err, ERR_FAILED,
                             "Invalid Role: A Role with Name %.*s already exists", Q(role->name));
    }
    if (!uuid_is_valid(role->id)) {
        return err_set(ctx->err, ERR_FAILED, "Role ID invalid UUID");
    }
    const struct acl_role *old = acl_role_by_id(ctx->view, role->id);
    if (old == NULL) {
        return err_set(ctx->err, ERR_FAILED, "cannot find role %.*s", STRF(role->id));
    }
    if (!str_eq(old->name, role->name) && same_name != NULL) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Role: A role with name %.*s already exists",
                       Q(role->name));
    }
    return 0;
}

static int set_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_role_set_request *args = data;
    struct acl_role *role = &args->role;
    (void)reply;
    int r = acl_permit(ctx, ACL_ACL_WRITE);
    if (r < 0) {
        return r;
    }
    if (role->name.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Role: no Name is set");
    }
    if (!acl_name_is_valid(role->name, ROLE_NAME_SIZE_MAX)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Invalid Role: invalid Name. Only alphanumeric characters, '-' and '_' are "
                       "allowed");
    }
    r = check_identity(ctx, role);
    if (r >= 0) {
        r = acl_link_policies(ctx, &role->policies, false);
    }
    if (r >= 0) {
        r = acl_check_identities_of(ctx, "role", false, &role->service_identities,
                                    &role->node_identities);
    }
    if (r < 0) {
        return r;
    }
    acl_role_hash_set(ctx->arena, role);
    void *roles[] = {role};
    const struct acl_role_batch_set_request request = {.roles = {roles, 1}};
    acl_entry_put(entry, FSM_ACL_ROLE_SET, &acl_role_batch_set_request_schema, &request);
    return RPC_PREPARE_PROPOSE;
}

static int set_applied(struct rpc_ctx *ctx, const void *data, const struct fsm_result *result,
                       void *reply)
{
    const struct acl_role_set_request *args = data;
    const struct acl_role *role = acl_role_by_id(ctx->view, args->role.id);
    (void)result;
    if (role != NULL) {
        *(struct acl_role *)reply = *acl_role_current(ctx->view, ctx->arena, role);
    }
    return 0;
}

static struct metric time_upsert = METRIC_SAMPLE("acl.role.upsert");

const struct rpc_method rpc_acl_role_set = {
    .name = "ACL.RoleSet",
    .flags = RPC_WRITE,
    .args = &acl_role_set_request_schema,
    .reply = &acl_role_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "acl:write",
    .time = &time_upsert,
    .prepare = set_prepare,
    .applied = set_applied,
    .is_primary = acl_is_elsewhere,
    .apply_error = "Failed to apply role upsert request",
};

static int delete_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_role_delete_request *args = data;
    const struct acl_role *role;
    uint64_t index;
    int r = acl_permit(ctx, ACL_ACL_WRITE);
    if (r >= 0) {
        r = acl_role_get(ctx->view, NULL, ctx->arena, args->role_id, &index, &role, ctx->err);
    }
    if (r < 0) {
        return r;
    }
    if (role == NULL) {
        return RPC_PREPARE_DONE;
    }
    ((struct string_reply *)reply)->value = arena_str(ctx->arena, role->name);
    const struct acl_role_batch_delete_request request = {.role_ids = {&args->role_id, 1}};
    acl_entry_put(entry, FSM_ACL_ROLE_DELETE, &acl_role_batch_delete_request_schema, &request);
    return RPC_PREPARE_PROPOSE;
}

static struct metric time_delete = METRIC_SAMPLE("acl.role.delete");

const struct rpc_method rpc_acl_role_delete = {
    .name = "ACL.RoleDelete",
    .flags = RPC_WRITE,
    .args = &acl_role_delete_request_schema,
    .reply = &string_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "acl:write",
    .time = &time_delete,
    .prepare = delete_prepare,
    .is_primary = acl_is_elsewhere,
    .apply_error = "Failed to apply role delete request",
};

/* --- reading --------------------------------------------------------------------------------- */

static int role_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_role_get_request *args = data;
    struct acl_role_response *reply = out;
    const struct acl_role *role = NULL;
    int r = acl_permit(ctx, ACL_ACL_READ);
    if (r >= 0 && args->role_id.n > 0) {
        r = acl_role_get(ctx->view, ctx->ws, ctx->arena, args->role_id, &reply->meta.index, &role,
                         ctx->err);
    } else if (r >= 0) {
        reply->meta.index =
            acl_role_get_by_name(ctx->view, ctx->ws, ctx->arena, args->role_name, &role);
    }
    reply->role = (struct acl_role *)(uintptr_t)role;
    return r;
}

const struct rpc_method rpc_acl_role_read = {
    .name = "ACL.RoleRead",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_role_get_request_schema,
    .reply = &acl_role_response_schema,
    .options_offset = offsetof(struct acl_role_get_request, options),
    .meta_offset = offsetof(struct acl_role_response, meta),
    .acl = "acl:read",
    .read = role_read,
};

static int role_list(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_role_list_request *args = data;
    struct acl_role_list_response *reply = out;
    int r = acl_permit(ctx, ACL_ACL_READ);
    if (r >= 0) {
        r = acl_role_list(ctx->view, ctx->ws, ctx->arena, args->policy, &reply->meta.index,
                          &reply->roles, ctx->err);
    }
    if (r >= 0 && reply->roles.v == NULL) {
        reply->roles.v = SCHEMA_EMPTY;
    }
    return r;
}

const struct rpc_method rpc_acl_role_list = {
    .name = "ACL.RoleList",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_role_list_request_schema,
    .reply = &acl_role_list_response_schema,
    .options_offset = offsetof(struct acl_role_list_request, options),
    .meta_offset = offsetof(struct acl_role_list_response, meta),
    .acl = "acl:read",
    .read = role_list,
};

static int role_batch_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_role_batch_get_request *args = data;
    struct acl_role_batch_response *reply = out;
    int r = acl_check_enabled(ctx);
    if (r < 0 || (r = acl_known(ctx)) < 0) {
        return r;
    }
    r = acl_role_get_many(ctx->view, ctx->ws, ctx->arena, args->role_ids, &reply->meta.index,
                          &reply->roles, ctx->err);
    if (!acl_may(ctx, ACL_ACL_READ, STR(""))) {
        reply->roles.n = 0;
    }
    return r;
}

const struct rpc_method rpc_acl_role_batch_read = {
    .name = "ACL.RoleBatchRead",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_role_batch_get_request_schema,
    .reply = &acl_role_batch_response_schema,
    .options_offset = offsetof(struct acl_role_batch_get_request, options),
    .meta_offset = offsetof(struct acl_role_batch_response, meta),
    .acl = "acl:read",
    .read = role_batch_read,
};
