/* ACL.Authorize, .PolicyResolve, .RoleResolve, .ReplicationStatus: what a token may do and has,
 * told to whoever holds it. */
#include "base/clock.h"
#include "base/vec.h"
#include "server/acl_data.h"
#include "server/leader.h"
#include "server/rpc_ask.h"
#include "server/server.h"
#include "store/acl.h"

/* --- Authorize ------------------------------------------------------------------------------- */

static int authorize_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_authorize_request *args = data;
    struct acl_authorize_reply *reply = out;
    const struct acl_authorization_request *asked = args->requests.v;
    int r = acl_check_enabled(ctx);
    if (r < 0 || (r = acl_known(ctx)) < 0) {
        return r;
    }
    size_t n = args->requests.n;
    struct acl_authorization_response *v =
        ARENA_ARRAY(ctx->arena, struct acl_authorization_response, n);
    for (size_t i = 0; i < n && r >= 0; i++) {
        enum acl_right right = ACL_ACL_READ;
        r = acl_right_parse(asked[i].resource, asked[i].access, &right, ctx->err);
        v[i].request = asked[i];
        v[i].allow = r >= 0 && acl_may(ctx, right, asked[i].segment);
    }
    reply->responses = (struct objlist){n > 0 ? (void *)v : SCHEMA_EMPTY, n};
    return r;
}

const struct rpc_method rpc_acl_authorize = {
    .name = "ACL.Authorize",
    .flags = RPC_READ,
    .args = &acl_authorize_request_schema,
    .reply = &acl_authorize_reply_schema,
    .options_offset = offsetof(struct acl_authorize_request, options),
    .meta_offset = -1,
    .acl = "any",
    .read = authorize_read,
};

/* --- a token's own policies and roles -------------------------------------------------------- */

static int find_token(struct rpc_ctx *ctx, struct str secret, const struct acl_token **ret_token)
{
    int r = acl_check_enabled(ctx);
    if (r < 0) {
        return r;
    }
    *ret_token = acl_token_by_secret(ctx->view, secret);
    if (*ret_token == NULL || acl_token_is_expired(*ret_token, clock_wall_ns())) {
        return err_set(ctx->err, ERR_ACL_NOT_FOUND, "%s", err_code_text(ERR_ACL_NOT_FOUND));
    }
    return 0;
}

static bool links_contain(struct objlist links, struct str id)
{
    const struct acl_link *v = links.v;
    for (size_t i = 0; i < links.n; i++) {
        if (str_eq(v[i].id, id)) {
            return true;
        }
    }
    return false;
}

/* One the token is linked to, or a role of its, or one an identity stands for. */
static bool token_has_policy(struct rpc_ctx *ctx, const struct acl_token *token, struct str id)
{
    const struct acl_link *roles = token->roles.v;
    if (links_contain(token->policies, id)) {
        return true;
    }
    for (size_t i = 0; i < token->roles.n; i++) {
        const struct acl_role *role = acl_role_by_id(ctx->view, roles[i].id);
        if (role != NULL && links_contain(role->policies, id)) {
            return true;
        }
    }
    return false;
}

static int denied(struct rpc_ctx *ctx)
{
    return err_set(ctx->err, ERR_PERMISSION_DENIED, "%s", err_code_text(ERR_PERMISSION_DENIED));
}

static int policy_resolve(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_policy_batch_get_request *args = data;
    struct acl_policy_batch_response *reply = out;
    const struct acl_token *token;
    VEC(void *) policies = {0};
    int r = find_token(ctx, args->options.token, &token);
    for (size_t i = 0; r >= 0 && i < args->policy_ids.n; i++) {
        struct str id = args->policy_ids.v[i];
        const struct acl_policy_row *policy = acl_policy_by_id(ctx->view, id);
        if (!token_has_policy(ctx, token, id)) {
            return denied(ctx); /* what is asked for is not this token's */
        }
        if (policy != NULL) {
            avec_push(ctx->arena, &policies, (void *)(uintptr_t)policy);
        }
    }
    reply->policies = (struct ptrlist){policies.v, policies.n};
    return r;
}

const struct rpc_method rpc_acl_policy_resolve = {
    .name = "ACL.PolicyResolve",
    .flags = RPC_READ,
    .args = &acl_policy_batch_get_request_schema,
    .reply = &acl_policy_batch_response_schema,
    .options_offset = offsetof(struct acl_policy_batch_get_request, options),
    .meta_offset = offsetof(struct acl_policy_batch_response, meta),
    .acl = "none",
    .read = policy_resolve,
};

static int role_resolve(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_role_batch_get_request *args = data;
    struct acl_role_batch_response *reply = out;
    const struct acl_token *token;
    VEC(void *) roles = {0};
    int r = find_token(ctx, args->options.token, &token);
    for (size_t i = 0; r >= 0 && i < args->role_ids.n; i++) {
        const struct acl_role *role = acl_role_by_id(ctx->view, args->role_ids.v[i]);
        if (!links_contain(token->roles, args->role_ids.v[i])) {
            return denied(ctx);
        }
        if (role != NULL) {
            avec_push(ctx->arena, &roles,
                      (void *)(uintptr_t)acl_role_current(ctx->view, ctx->arena, role));
        }
    }
    reply->roles = (struct ptrlist){roles.v, roles.n};
    return r;
}

const struct rpc_method rpc_acl_role_resolve = {
    .name = "ACL.RoleResolve",
    .flags = RPC_READ,
    .args = &acl_role_batch_get_request_schema,
    .reply = &acl_role_batch_response_schema,
    .options_offset = offsetof(struct acl_role_batch_get_request, options),
    .meta_offset = offsetof(struct acl_role_batch_response, meta),
    .acl = "none",
    .read = role_resolve,
};

/* --- ReplicationStatus ----------------------------------------------------------------------- */

/* Of the leader; it needs no token, so that health checks can ask. */
static void replication_status(struct rpc_ask *ask)
{
    leader_acl_status(ask->server->leader, ask->reply);
    rpc_ask_finish(ask);
}

const struct rpc_method rpc_acl_replication_status = {
    .name = "ACL.ReplicationStatus",
    .flags = RPC_READ | RPC_LEADER_ONLY,
    .args = &dc_request_schema,
    .reply = &acl_replication_status_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = -1,
    .acl = "none",
    .ask = replication_status,
};
