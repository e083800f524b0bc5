/* ACL.Apply, .Get, .List, .Bootstrap: tokens of before 1.4, with rules of their own. They are kept
 * in the same table; this API sees those that have a type. */
#include "base/clock.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "fsm/fsm.h"
#include "server/acl_data.h"
#include "server/leader.h"
#include "server/reply.h"
#include "server/server.h"
#include "store/acl.h"

static bool is_root(struct str id)
{
    return str_eq_lit(id, "allow") || str_eq_lit(id, "deny") || str_eq_lit(id, "manage");
}

/* --- writing --------------------------------------------------------------------------------- */

static int check_set(struct rpc_ctx *ctx, const struct acl_legacy *acl)
{
    struct acl_policy parsed;
    if (!str_eq(acl->type, ACL_TOKEN_TYPE_CLIENT) &&
        !str_eq(acl->type, ACL_TOKEN_TYPE_MANAGEMENT)) {
        return err_set(ctx->err, ERR_FAILED, "Invalid ACL Type");
    }
    const struct acl_token *existing = acl_token_by_secret(ctx->view, acl->id);
    if (existing != NULL && acl_token_is_modern(existing)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Cannot use legacy endpoint to modify a non-legacy token");
    }
    if (is_root(acl->id)) {
        return err_set(ctx->err, ERR_PERMISSION_DENIED,
                       "Permission denied: Cannot modify root ACL");
    }
    int r = acl_policy_parse(ctx->arena, acl->rules, ACL_SYNTAX_LEGACY, &parsed, ctx->err);
    return r < 0 ? err_wrap(ctx->err, "ACL rule compilation failed") : 0;
}

static int apply_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_legacy_request *args = data;
    (void)reply;
    int r = acl_permit(ctx, ACL_ACL_WRITE);
    if (r < 0) {
        return r;
    }
    bool is_set = str_eq(args->op, ACL_SET);
    if (is_set && args->acl.id.n == 0) {
        args->acl.id = acl_new_id(ctx);
    }
    if (args->acl.id.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Missing ACL ID");
    }
    if (is_set) {
        r = check_set(ctx, &args->acl);
    } else if (!str_eq(args->op, ACL_DELETE)) {
        r = err_set(ctx->err, ERR_FAILED, "Invalid ACL Operation");
    } else if (str_eq(args->acl.id, ACL_TOKEN_ANONYMOUS_SECRET)) {
        r = err_set(ctx->err, ERR_PERMISSION_DENIED,
                    "Permission denied: Cannot delete anonymous token");
    }
    if (r < 0) {
        return r;
    }
    acl_entry_put(entry, FSM_ACL, &acl_legacy_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static int apply_applied(struct rpc_ctx *ctx, const void *args, const struct fsm_result *result,
                         void *reply)
{
    (void)args;
    leader_legacy_token_made(ctx->server->leader);
    if (result->kind == FSM_RESULT_STR) {
        ((struct string_reply *)reply)->value = result->s;
    }
    return 0;
}

static struct metric time_apply = METRIC_SAMPLE("acl.apply");

const struct rpc_method rpc_acl_apply = {
    .name = "ACL.Apply",
    .flags = RPC_WRITE | RPC_PRIMARY,
    .args = &acl_legacy_request_schema,
    .reply = &string_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "acl:write",
    .time = &time_apply,
    .prepare = apply_prepare,
    .applied = apply_applied,
    .apply_error = "raft apply failed",
};

static int bootstrap_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    uint64_t reset_index;
    (void)data;
    if (!ctx->server->delegate.acl.enabled || !acl_is_primary(ctx)) {
        return err_set(ctx->err, ERR_ACL_DISABLED, "%s", err_code_text(ERR_ACL_DISABLED));
    }
    if (!acl_can_bootstrap(ctx->view, &reset_index)) {
        return err_set(ctx->err, ERR_FAILED, "ACL bootstrap no longer allowed");
    }
    const struct acl_legacy_request request = {
        .datacenter = ctx->server->options.primary_datacenter,
        .op = ACL_BOOTSTRAP_NOW,
        .acl = {.id = acl_new_id(ctx),
                .name = STR("Bootstrap Token"),
                .type = ACL_TOKEN_TYPE_MANAGEMENT},
    };
    ((struct acl_legacy *)reply)->id = request.acl.id;
    acl_entry_put(entry, FSM_ACL, &acl_legacy_request_schema, &request);
    return RPC_PREPARE_PROPOSE;
}

static int bootstrap_applied(struct rpc_ctx *ctx, const void *args, const struct fsm_result *result,
                             void *data)
{
    struct acl_legacy *reply = data;
    const struct acl_token *token = acl_token_by_secret(ctx->view, reply->id);
    (void)args;
    (void)result;
    leader_legacy_token_made(ctx->server->leader);
    if (token != NULL) {
        *reply = acl_token_to_legacy(token);
    }
    return 0;
}

const struct rpc_method rpc_acl_bootstrap = {
    .name = "ACL.Bootstrap",
    .flags = RPC_WRITE,
    .args = &dc_request_schema,
    .reply = &acl_legacy_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .prepare = bootstrap_prepare,
    .applied = bootstrap_applied,
};

/* --- reading --------------------------------------------------------------------------------- */

/* Whoever knows the secret may see it. */
static int get_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_legacy_get_request *args = data;
    struct acl_legacy_list *reply = out;
    const struct acl_token *token;
    int r = acl_check_enabled(ctx);
    if (r >= 0) {
        r = acl_token_get(ctx->view, ctx->ws, ctx->arena, ACL_TOKEN_SECRET, args->acl,
                          &reply->meta.index, &token, ctx->err);
    }
    if (r >= 0 && token != NULL && token->type.n > 0) {
        struct acl_legacy *legacy = ARENA_NEW(ctx->arena, struct acl_legacy);
        *legacy = acl_token_to_legacy(token);
        reply->acls = (struct ptrlist){ARENA_ARRAY(ctx->arena, void *, 1), 1};
        reply->acls.v[0] = legacy;
    }
    return r;
}

const struct rpc_method rpc_acl_get = {
    .name = "ACL.Get",
    .flags = RPC_READ | RPC_BLOCKING | RPC_PRIMARY,
    .args = &acl_legacy_get_request_schema,
    .reply = &acl_legacy_list_schema,
    .options_offset = offsetof(struct acl_legacy_get_request, options),
    .meta_offset = offsetof(struct acl_legacy_list, meta),
    .acl = "none",
    .read = get_read,
};

static int list_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    (void)data;
    struct acl_legacy_list *reply = out;
    struct ptrlist tokens;
    VEC(void *) acls = {0};
    int r = acl_permit(ctx, ACL_ACL_WRITE);
    if (r >= 0) {
        r = acl_token_list(ctx->view, ctx->ws, ctx->arena,
                           &(struct acl_token_filter){.global = true}, &reply->meta.index, &tokens,
                           ctx->err);
    }
    int64_t now_ns = clock_wall_ns();
    for (size_t i = 0; r >= 0 && i < tokens.n; i++) {
        const struct acl_token *token = tokens.v[i];
        if (token->type.n > 0 && !acl_token_is_expired(token, now_ns)) {
            struct acl_legacy *legacy = ARENA_NEW(ctx->arena, struct acl_legacy);
            *legacy = acl_token_to_legacy(token);
            avec_push(ctx->arena, &acls, (void *)legacy);
        }
    }
    reply->acls = (struct ptrlist){acls.v, acls.n};
    return r;
}

const struct rpc_method rpc_acl_list = {
    .name = "ACL.List",
    .flags = RPC_READ | RPC_BLOCKING | RPC_PRIMARY,
    .args = &dc_request_schema,
    .reply = &acl_legacy_list_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct acl_legacy_list, meta),
    .acl = "acl:write",
    .read = list_read,
};
