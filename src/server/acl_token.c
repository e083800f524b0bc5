/* ACL.Token*: tokens. Those that somebody logs in for come by acl_login.c. */
#include "base/clock.h"
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

/* --- whose ----------------------------------------------------------------------------------- */

/* Where there are no tokens of this data center all are the primary's. */
static bool is_primarys(const struct rpc_ctx *ctx, void *args)
{
    (void)args;
    return ctx->server->delegate.acl.enabled && !acl_has_local_tokens(ctx);
}

static bool is_primarys_set(const struct rpc_ctx *ctx, void *data)
{
    return ctx->server->delegate.acl.enabled &&
           !((const struct acl_token_set_request *)data)->token.local;
}

static bool is_primarys_list(const struct rpc_ctx *ctx, void *data)
{
    struct acl_token_list_request *args = data;
    bool is = is_primarys(ctx, data);
    if (is && !str_eq(args->datacenter, ctx->server->options.primary_datacenter)) {
        args->include_local = false; /* those would be the other's */
        args->include_global = true;
    }
    return is;
}

/* --- writing --------------------------------------------------------------------------------- */

/* The id a client chose, or a new one. `what`: AccessorID, SecretID; `same` is who has it. */
static int choose_id(struct rpc_ctx *ctx, const char *what, struct str *id,
                     const struct acl_token *same, const struct acl_token *other)
{
    if (id->n == 0) {
        *id = acl_new_id(ctx);
        return 0;
    }
    if (!uuid_is_valid(*id)) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Token: %s is not a valid UUID", what);
    }
    if (same != NULL || other != NULL) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Token: %s is already in use", what);
    }
    if (acl_id_is_reserved(*id)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Invalid Token: UUIDs with the prefix \"%.*s\" are reserved",
                       STRF(ACL_RESERVED_PREFIX));
    }
    return 0;
}

static struct str duration(struct rpc_ctx *ctx, int64_t ns)
{
    return duration_format(ctx->arena, ns);
}

static int check_expiration(struct rpc_ctx *ctx, struct acl_token *token)
{
    if (token->expiration_ttl < 0) {
        return err_set(ctx->err, ERR_FAILED, "Token Expiration TTL '%.*s' should be > 0",
                       STRF(duration(ctx, token->expiration_ttl)));
    }
    if (token->expiration_ttl > 0) {
        if (token->expiration_time != TIME_ZERO) {
            return err_set(ctx->err, ERR_FAILED,
                           "Token Expiration TTL and Expiration Time cannot both be set");
        }
        if (__builtin_add_overflow(token->create_time, token->expiration_ttl,
                                   &token->expiration_time)) {
            token->expiration_time = INT64_MAX;
        }
        token->expiration_ttl = 0;
    }
    if (token->expiration_time == TIME_ZERO) {
        return 0;
    }
    int64_t expires_in;
    if (token->create_time > token->expiration_time) {
        return err_set(ctx->err, ERR_FAILED, "ExpirationTime cannot be before CreateTime");
    }
    if (__builtin_sub_overflow(token->expiration_time, token->create_time, &expires_in)) {
        expires_in = INT64_MAX;
    }
    if (expires_in > ACL_TOKEN_EXPIRATION_MAX_NS || expires_in < ACL_TOKEN_EXPIRATION_MIN_NS) {
        bool more = expires_in > ACL_TOKEN_EXPIRATION_MAX_NS;
        return err_set(
            ctx->err, ERR_FAILED, "ExpirationTime cannot be %s than %.*s in the future (was %.*s)",
            more ? "more" : "less",
            STRF(duration(ctx, more ? ACL_TOKEN_EXPIRATION_MAX_NS : ACL_TOKEN_EXPIRATION_MIN_NS)),
            STRF(duration(ctx, expires_in)));
    }
    return 0;
}

static int create(struct rpc_ctx *ctx, struct acl_token *token, bool is_login,
                  const struct acl_token *same_accessor, const struct acl_token *same_secret)
{
    const struct store_view *v = ctx->view;
    int r = choose_id(ctx, "AccessorID", &token->accessor_id, same_accessor,
                      acl_token_by_secret(v, token->accessor_id));
    if (r < 0) {
        return r;
    }
    r = choose_id(ctx, "SecretID", &token->secret_id, same_secret,
                  acl_token_by_accessor(v, token->secret_id));
    if (r < 0) {
        return r;
    }
    token->create_time = clock_wall_ns();
    if (is_login && token->auth_method.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "AuthMethod field is required during Login");
    }
    if (!is_login && token->auth_method.n > 0) {
        return err_set(ctx->err, ERR_FAILED, "AuthMethod field is disallowed outside of Login");
    }
    return check_expiration(ctx, token);
}

static int update(struct rpc_ctx *ctx, struct acl_token *token, const struct acl_token *old)
{
    if (!uuid_is_valid(token->accessor_id)) {
        return err_set(ctx->err, ERR_FAILED, "AccessorID is not a valid UUID");
    }
    if (str_eq_lit(token->secret_id, "allow") || str_eq_lit(token->secret_id, "deny") ||
        str_eq_lit(token->secret_id, "manage")) {
        return err_set(ctx->err, ERR_PERMISSION_DENIED,
                       "Permission denied: Cannot modify root ACL");
    }
    if (old == NULL || acl_token_is_expired(old, clock_wall_ns())) {
        return err_set(ctx->err, ERR_FAILED, "Cannot find token %.*s", Q(token->accessor_id));
    }
    if (token->secret_id.n == 0) {
        token->secret_id = old->secret_id;
    } else if (!str_eq(token->secret_id, old->secret_id)) {
        return err_set(ctx->err, ERR_FAILED, "Changing a tokens SecretID is not permitted");
    }
    if (token->local != old->local) {
        return err_set(ctx->err, ERR_FAILED, "cannot toggle local mode of %.*s",
                       STRF(token->accessor_id));
    }
    if (token->auth_method.n == 0) {
        token->auth_method = old->auth_method;
    } else if (!str_eq(token->auth_method, old->auth_method)) {
        return err_set(ctx->err, ERR_FAILED, "Cannot change AuthMethod of %.*s",
                       STRF(token->accessor_id));
    }
    if (token->expiration_time == TIME_ZERO) {
        token->expiration_time = old->expiration_time;
    }
    if (token->expiration_ttl != 0 || token->expiration_time != old->expiration_time) {
        return err_set(ctx->err, ERR_FAILED, "Cannot change expiration time of %.*s",
                       STRF(token->accessor_id));
    }
    token->create_time = old->create_time;
    return 0;
}

static int check_content(struct rpc_ctx *ctx, struct acl_token *token)
{
    int r = acl_link_policies(ctx, &token->policies, true);
    if (r >= 0) {
        r = acl_link_roles(ctx, &token->roles);
    }
    if (r >= 0) {
        r = acl_check_identities_of(ctx, "token", token->local, &token->service_identities,
                                    &token->node_identities);
    }
    if (r < 0) {
        return r;
    }
    if (token->rules.n > 0) {
        return err_set(ctx->err, ERR_FAILED, "Rules cannot be specified for this token");
    }
    if (token->type.n > 0) {
        return err_set(ctx->err, ERR_FAILED, "Type cannot be specified for this token");
    }
    return 0;
}

int acl_token_set_prepare(struct rpc_ctx *ctx, struct acl_token_set_request *args, bool is_login,
                          struct buf *entry)
{
    struct acl_token *token = &args->token;
    if (!acl_has_local_tokens(ctx)) {
        return err_set(ctx->err, ERR_FAILED, "Cannot upsert tokens within this datacenter");
    }
    if (!acl_is_primary(ctx) && !token->local) {
        return err_set(ctx->err, ERR_FAILED, "Cannot upsert global tokens within this datacenter");
    }
    const struct acl_token *same_accessor = NULL;
    uint64_t index;
    if (token->accessor_id.n > 0 &&
        acl_token_get(ctx->view, NULL, ctx->arena, ACL_TOKEN_ACCESSOR, token->accessor_id, &index,
                      &same_accessor, ctx->err) < 0) {
        return err_wrap(ctx->err, "Failed acl token lookup by accessor");
    }
    int r;
    if (token->accessor_id.n == 0 || args->create) {
        const struct acl_token *same_secret =
            token->secret_id.n > 0 ? acl_token_by_secret(ctx->view, token->secret_id) : NULL;
        r = create(ctx, token, is_login, same_accessor, same_secret);
    } else {
        r = update(ctx, token, same_accessor);
    }
    if (r >= 0) {
        r = check_content(ctx, token);
    }
    if (r < 0) {
        return r;
    }
    acl_token_hash_set(ctx->arena, token);
    void *tokens[] = {token};
    const struct acl_token_batch_set_request request = {
        .tokens = {tokens, 1},
        /* Roles may be gone again by the time somebody has logged in; not all of them, though. */
        .allow_missing_links = is_login,
        .prohibit_unprivileged = is_login,
    };
    acl_entry_put(entry, FSM_ACL_TOKEN_SET, &acl_token_batch_set_request_schema, &request);
    return RPC_PREPARE_PROPOSE;
}

int acl_token_set_applied(struct rpc_ctx *ctx, const struct acl_token_set_request *args,
                          struct acl_token *reply)
{
    const struct acl_token *token = acl_token_by_accessor(ctx->view, args->token.accessor_id);
    if (token == NULL) {
        return err_set(ctx->err, ERR_FAILED, "Failed to retrieve the token after insertion");
    }
    *reply = *acl_token_current(ctx->view, ctx->arena, token);
    return 0;
}

static int set_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_token_set_request *args = data;
    (void)reply;
    int r = acl_check_enabled(ctx);
    if (r >= 0 && args->token.local && !acl_has_local_tokens(ctx)) {
        r = err_set(ctx->err, ERR_FAILED, "Local tokens are disabled");
    }
    if (r >= 0) {
        r = acl_permit(ctx, ACL_ACL_WRITE);
    }
    return r < 0 ? r : acl_token_set_prepare(ctx, args, false, entry);
}

static int set_applied(struct rpc_ctx *ctx, const void *args, const struct fsm_result *result,
                       void *reply)
{
    (void)result;
    return acl_token_set_applied(ctx, args, reply);
}

static struct metric time_upsert = METRIC_SAMPLE("acl.token.upsert");

const struct rpc_method rpc_acl_token_set = {
    .name = "ACL.TokenSet",
    .flags = RPC_WRITE,
    .args = &acl_token_set_request_schema,
    .reply = &acl_token_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .is_primary = is_primarys_set,
    .acl = "acl:write",
    .time = &time_upsert,
    .prepare = set_prepare,
    .applied = set_applied,
    .apply_error = "Failed to apply token write request",
};

static int not_found(struct rpc_ctx *ctx)
{
    return err_set(ctx->err, ERR_ACL_NOT_FOUND, "%s", err_code_text(ERR_ACL_NOT_FOUND));
}

/* Everything but the ids, the rules of before 1.4 and what logging in gave. */
static int clone_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_token_set_request *args = data;
    const struct acl_token *from;
    uint64_t index;
    (void)reply;
    int r = acl_permit(ctx, ACL_ACL_WRITE);
    if (r >= 0) {
        r = acl_token_get(ctx->view, NULL, ctx->arena, ACL_TOKEN_ACCESSOR, args->token.accessor_id,
                          &index, &from, ctx->err);
    }
    if (r < 0) {
        return r;
    }
    if (from == NULL || acl_token_is_expired(from, clock_wall_ns())) {
        return not_found(ctx);
    }
    if (!acl_is_primary(ctx) && !from->local) {
        return RPC_PREPARE_PRIMARY;
    }
    if (from->auth_method.n > 0) {
        return err_set(ctx->err, ERR_FAILED, "Cannot clone a token created from an auth method");
    }
    if (from->rules.n > 0) {
        return err_set(ctx->err, ERR_FAILED, "Cannot clone a legacy ACL with this endpoint");
    }
    struct str description = args->token.description;
    struct acl_token *copy = schema_copy(ctx->arena, &acl_token_schema, from);
    args->token = (struct acl_token){
        .description = description.n > 0 ? description : copy->description,
        .policies = copy->policies,
        .roles = copy->roles,
        .service_identities = copy->service_identities,
        .node_identities = copy->node_identities,
        .local = copy->local,
        .expiration_time = copy->expiration_time,
    };
    args->create = false;
    return acl_token_set_prepare(ctx, args, false, entry);
}

static struct metric time_clone = METRIC_SAMPLE("acl.token.clone");

const struct rpc_method rpc_acl_token_clone = {
    .name = "ACL.TokenClone",
    .flags = RPC_WRITE,
    .args = &acl_token_set_request_schema,
    .reply = &acl_token_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .is_primary = is_primarys,
    .acl = "acl:write",
    .time = &time_clone,
    .prepare = clone_prepare,
    .applied = set_applied,
    .apply_error = "Failed to apply token write request",
};

static int delete_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_token_delete_request *args = data;
    int r = acl_permit(ctx, ACL_ACL_WRITE);
    if (r < 0) {
        return r;
    }
    if (!uuid_is_valid(args->token_id)) {
        return err_set(ctx->err, ERR_FAILED, "Accessor ID is missing or an invalid UUID");
    }
    if (str_eq(args->token_id, ACL_TOKEN_ANONYMOUS_ID)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Delete operation not permitted on the anonymous token");
    }
    const struct acl_token *token = acl_token_by_accessor(ctx->view, args->token_id);
    if (token == NULL) {
        return acl_is_primary(ctx) ? RPC_PREPARE_DONE : RPC_PREPARE_PRIMARY;
    }
    if (str_eq(args->write.token, token->secret_id)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Deletion of the request's authorization token is not permitted");
    }
    if (!acl_is_primary(ctx) && !token->local) {
        return RPC_PREPARE_PRIMARY;
    }
    ((struct string_reply *)reply)->value = arena_str(ctx->arena, token->accessor_id);
    const struct acl_token_batch_delete_request request = {.token_ids = {&args->token_id, 1}};
    acl_entry_put(entry, FSM_ACL_TOKEN_DELETE, &acl_token_batch_delete_request_schema, &request);
    return RPC_PREPARE_PROPOSE;
}

static struct metric time_delete = METRIC_SAMPLE("acl.token.delete");

const struct rpc_method rpc_acl_token_delete = {
    .name = "ACL.TokenDelete",
    .flags = RPC_WRITE,
    .args = &acl_token_delete_request_schema,
    .reply = &string_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .is_primary = is_primarys,
    .acl = "acl:write",
    .time = &time_delete,
    .prepare = delete_prepare,
    .apply_error = "Failed to apply token delete request",
};

/* --- reading --------------------------------------------------------------------------------- */

/* The token, or a copy whose secret is hidden from who may not write tokens. */
static struct acl_token *shown(struct rpc_ctx *ctx, const struct acl_token *token,
                               bool *ret_redacted)
{
    if (acl_may(ctx, ACL_ACL_WRITE, STR(""))) {
        return (struct acl_token *)(uintptr_t)token;
    }
    struct acl_token *copy = ARENA_NEW(ctx->arena, struct acl_token);
    *copy = *token;
    copy->secret_id = ACL_REDACTED;
    *ret_redacted = true;
    return copy;
}

static int read_by_accessor(struct rpc_ctx *ctx, const struct acl_token_get_request *args,
                            struct acl_token_response *reply)
{
    const struct acl_token *token;
    int r = acl_check(ctx, ACL_ACL_READ, STR(""));
    if (r >= 0) {
        r = acl_token_get(ctx->view, ctx->ws, ctx->arena, ACL_TOKEN_ACCESSOR, args->token_id,
                          &reply->meta.index, &token, ctx->err);
        if (r >= 0 && token != NULL) {
            reply->token = shown(ctx, token, &reply->redacted);
        }
    }
    return r;
}

static int token_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_token_get_request *args = data;
    struct acl_token_response *reply = out;
    int r = acl_check_enabled(ctx);
    if (r >= 0 && str_eq(args->token_id_type, ACL_TOKEN_BY_ACCESSOR)) {
        r = read_by_accessor(ctx, args, reply);
    } else if (r >= 0) { /* whoever knows the secret may read it */
        const struct acl_token *token;
        r = acl_token_get(ctx->view, ctx->ws, ctx->arena, ACL_TOKEN_SECRET, args->token_id,
                          &reply->meta.index, &token, ctx->err);
        reply->token = (struct acl_token *)(uintptr_t)token;
    }
    if (r >= 0 && reply->token != NULL && acl_token_is_expired(reply->token, clock_wall_ns())) {
        reply->token = NULL;
    }
    reply->source_datacenter = args->datacenter;
    return r;
}

const struct rpc_method rpc_acl_token_read = {
    .name = "ACL.TokenRead",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_token_get_request_schema,
    .reply = &acl_token_response_schema,
    .options_offset = offsetof(struct acl_token_get_request, options),
    .meta_offset = offsetof(struct acl_token_response, meta),
    .is_primary = is_primarys,
    .acl = "acl:read",
    .read = token_read,
};

static int token_list(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_token_list_request *args = data;
    struct acl_token_list_response *reply = out;
    struct ptrlist tokens;
    int r = acl_permit(ctx, ACL_ACL_READ);
    if (r < 0) {
        return r;
    }
    const struct acl_token_filter filter = {
        .local = args->include_local,
        .global = args->include_global,
        .policy = args->policy,
        .role = args->role,
        .auth_method = args->auth_method,
    };
    r = acl_token_list(ctx->view, ctx->ws, ctx->arena, &filter, &reply->meta.index, &tokens,
                       ctx->err);
    VEC(void *) stubs = {.v = SCHEMA_EMPTY};
    int64_t now_ns = clock_wall_ns();
    bool redacted;
    for (size_t i = 0; r >= 0 && i < tokens.n; i++) {
        if (!acl_token_is_expired(tokens.v[i], now_ns)) {
            struct acl_token_stub *stub = ARENA_NEW(ctx->arena, struct acl_token_stub);
            *stub = acl_token_stub_make(shown(ctx, tokens.v[i], &redacted));
            avec_push(ctx->arena, &stubs, (void *)stub);
        }
    }
    reply->tokens = (struct ptrlist){stubs.v, stubs.n};
    return r;
}

const struct rpc_method rpc_acl_token_list = {
    .name = "ACL.TokenList",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_token_list_request_schema,
    .reply = &acl_token_list_response_schema,
    .options_offset = offsetof(struct acl_token_list_request, options),
    .meta_offset = offsetof(struct acl_token_list_response, meta),
    .is_primary = is_primarys_list,
    .acl = "acl:read",
    .read = token_list,
};

/* For replication: expired tokens are in it, too. */
static int token_batch_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_token_batch_get_request *args = data;
    struct acl_token_batch_response *reply = out;
    int r = acl_check_enabled(ctx);
    if (r < 0 || (r = acl_known(ctx)) < 0) {
        return r;
    }
    r = acl_token_get_many(ctx->view, ctx->ws, ctx->arena, args->accessor_ids, &reply->meta.index,
                           &reply->tokens, ctx->err);
    if (r >= 0 && !acl_may(ctx, ACL_ACL_READ, STR(""))) {
        reply->removed = reply->tokens.n > 0;
        reply->tokens.n = 0;
    }
    for (size_t i = 0; r >= 0 && i < reply->tokens.n; i++) {
        reply->tokens.v[i] = shown(ctx, reply->tokens.v[i], &reply->redacted);
    }
    return r;
}

const struct rpc_method rpc_acl_token_batch_read = {
    .name = "ACL.TokenBatchRead",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_token_batch_get_request_schema,
    .reply = &acl_token_batch_response_schema,
    .options_offset = offsetof(struct acl_token_batch_get_request, options),
    .meta_offset = offsetof(struct acl_token_batch_response, meta),
    .is_primary = is_primarys,
    .acl = "acl:read",
    .read = token_batch_read,
};
