/* ACL.Login and ACL.Logout: who is known to an auth method gets a token, whose rights the method's
 * binding rules say; and gives it back. */
#include "base/clock.h"
#include "base/gofmt.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "fsm/fsm.h"
#include "schema/json.h"
#include "server/acl_data.h"
#include "server/auth_login.h"
#include "server/reply.h"
#include "server/rpc_ask.h"
#include "server/server.h"
#include "store/acl.h"

#define Q(s) STRF(go_quoted(ctx->arena, (s)))

/* --- what the binding rules give ------------------------------------------------------------- */

struct bindings {
    VEC(struct acl_link) roles;
    VEC(void *) services, nodes;
};

static void bind_name(struct rpc_ctx *ctx, const struct acl_binding_rule *rule, struct str name,
                      struct bindings *b)
{
    struct arena *a = ctx->arena;
    if (str_eq(rule->bind_type, ACL_BIND_TYPE_SERVICE)) {
        struct acl_service_identity *service = ARENA_NEW(a, struct acl_service_identity);
        service->service_name = name;
        avec_push(a, &b->services, (void *)service);
    } else if (str_eq(rule->bind_type, ACL_BIND_TYPE_NODE)) {
        struct acl_node_identity *node = ARENA_NEW(a, struct acl_node_identity);
        *node = (struct acl_node_identity){name, ctx->server->options.datacenter};
        avec_push(a, &b->nodes, (void *)node);
    } else {
        const struct acl_role *role = acl_role_by_name(ctx->view, name);
        if (role != NULL) { /* a role that is not there gives nothing */
            struct acl_link link = {.id = role->id};
            avec_push(a, &b->roles, link);
        }
    }
}

static int evaluate(struct rpc_ctx *ctx, const struct acl_auth_method *method,
                    const struct auth_identity *identity, struct bindings *b)
{
    struct ptrlist rules;
    (void)acl_binding_rule_list(ctx->view, NULL, ctx->arena, method->name, &rules);
    for (size_t i = 0; i < rules.n; i++) {
        const struct acl_binding_rule *rule = rules.v[i];
        struct str name;
        if (!auth_selector_matches(ctx->arena, rule->selector, identity)) {
            continue;
        }
        if (auth_bind_name(ctx->arena, rule->bind_name, identity, &name, ctx->err) < 0) {
            return err_wrap(ctx->err, "cannot compute %.*s bind name for bind target",
                            Q(rule->bind_type));
        }
        if (!acl_bound_name_is_valid(rule->bind_type, name)) {
            return err_set(ctx->err, ERR_FAILED,
                           "computed %.*s bind name for bind target is invalid: %.*s",
                           Q(rule->bind_type), Q(name));
        }
        bind_name(ctx, rule, name, b);
    }
    return 0;
}

/* --- the token ------------------------------------------------------------------------------- */

static int token_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    (void)reply;
    return acl_token_set_prepare(ctx, args, true, entry);
}

static int token_applied(struct rpc_ctx *ctx, const void *args, const struct fsm_result *result,
                         void *reply)
{
    (void)result;
    return acl_token_set_applied(ctx, args, reply);
}

/* Not one of Consul's methods: the leader asks itself. */
static const struct rpc_method rpc_acl_login_token = {
    .name = "ACL login token",
    .flags = RPC_WRITE,
    .args = &acl_token_set_request_schema,
    .reply = &acl_token_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .prepare = token_prepare,
    .applied = token_applied,
};

static struct str describe(struct arena *a, struct strmap meta)
{
    struct buf text = {0};
    buf_lit(&text, "token created via login");
    if (meta.n > 0) {
        struct json_writer w = json_writer_make(&text, false);
        buf_lit(&text, ": ");
        json_strmap(&w, meta);
    }
    struct str s = arena_str(a, buf_view(&text));
    buf_deinit(&text);
    return s;
}

static void token_done(struct rpc_call *call)
{
    struct rpc_ask *ask = call->data;
    if (call->err != NULL && strcmp(err_text(call->err), "Token has no privileges") == 0) {
        /* The last role of it went meanwhile. */
        (void)err_set(&ask->err, ERR_PERMISSION_DENIED, "%s", err_code_text(ERR_PERMISSION_DENIED));
    } else if (call->err != NULL) {
        ask->err = *call->err;
    } else if (!ask->is_dropped) {
        memcpy(ask->reply, schema_copy(ask->arena, &acl_token_schema, call->reply),
               sizeof(struct acl_token));
    }
    rpc_call_free(call);
    rpc_ask_finish(ask);
}

static int token_start(struct rpc_ask *ask, const struct auth_identity *identity)
{
    struct server *s = ask->server;
    const struct acl_login_params *auth = ((const struct acl_login_request *)ask->args)->auth;
    struct rpc_ctx context = {.server = s,
                              .worker = s->main,
                              .arena = ask->arena,
                              .view = store_view(s->store),
                              .err = &ask->err},
                   *ctx = &context;
    struct bindings b = {0};
    const struct acl_auth_method *method = acl_auth_method_by_name(ctx->view, auth->auth_method);
    if (method == NULL) {
        return err_set(ctx->err, ERR_ACL_NOT_FOUND, "ACL not found: auth method %.*s not found",
                       Q(auth->auth_method));
    }
    int r = evaluate(ctx, method, identity, &b);
    if (r < 0) {
        return r;
    }
    if (b.roles.n == 0 && b.services.n == 0 && b.nodes.n == 0) {
        return err_set(ctx->err, ERR_PERMISSION_DENIED, "%s", err_code_text(ERR_PERMISSION_DENIED));
    }
    bool is_global = str_eq(method->token_locality, ACL_TOKEN_LOCALITY_GLOBAL);
    if (is_global && !acl_is_primary(ctx)) {
        return err_set(ctx->err, ERR_FAILED,
                       "creating global tokens via auth methods is only permitted in the primary "
                       "datacenter");
    }
    const struct acl_token token = {
        .description = describe(ctx->arena, auth->meta),
        .local = !is_global,
        .auth_method = method->name,
        .service_identities = {b.services.v, b.services.n},
        .node_identities = {b.nodes.v, b.nodes.n},
        .roles = {b.roles.v, b.roles.n},
        .expiration_ttl = method->max_token_ttl,
        .expiration_time = TIME_ZERO,
        .create_time = TIME_ZERO,
    };
    struct rpc_call *call = rpc_call_new(s->main, &rpc_acl_login_token);
    struct acl_token_set_request *args = call->args;
    args->token = *(struct acl_token *)schema_copy(&call->arena, &acl_token_schema, &token);
    args->datacenter = s->options.datacenter;
    call->done = token_done;
    call->data = ask;
    call->is_duty = true;
    rpc_start(call);
    return 0;
}

/* --- Login: on the main loop -------------------------------------------------------------------
 */

static void identified(void *data, const struct auth_identity *identity, const struct err *err)
{
    struct rpc_ask *ask = data;
    if (identity == NULL) {
        ask->err = *err;
    }
    if (identity == NULL || ask->is_dropped || token_start(ask, identity) < 0) {
        rpc_ask_finish(ask);
    }
}

static int login_check(struct rpc_ask *ask, const struct acl_auth_method **ret_method)
{
    const struct acl_login_request *args = ask->args;
    struct rpc_ctx context = {.server = ask->server,
                              .worker = ask->server->main,
                              .arena = ask->arena,
                              .view = store_view(ask->server->store),
                              .err = &ask->err},
                   *ctx = &context;
    int r = acl_check_auth_methods(ctx);
    if (r < 0) {
        return r;
    }
    if (args->auth == NULL) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Login request: Missing auth parameters");
    }
    if (args->write.token.n > 0) {
        return err_set(ctx->err, ERR_FAILED, "do not provide a token when logging in");
    }
    *ret_method = acl_auth_method_by_name(ctx->view, args->auth->auth_method);
    return *ret_method != NULL
               ? 0
               : err_set(ctx->err, ERR_ACL_NOT_FOUND, "ACL not found: auth method %.*s not found",
                         Q(args->auth->auth_method));
}

static void login(struct rpc_ask *ask)
{
    const struct acl_login_request *args = ask->args;
    const struct acl_auth_method *method;
    if (login_check(ask, &method) < 0) {
        rpc_ask_finish(ask);
    } else {
        auth_login_start(ask->server->logins, method, args->auth->bearer_token, identified, ask);
    }
}

static struct metric time_login = METRIC_SAMPLE("acl.login");

const struct rpc_method rpc_acl_login = {
    .name = "ACL.Login",
    .flags = RPC_WRITE,
    .args = &acl_login_request_schema,
    .reply = &acl_token_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .time = &time_login,
    .ask = login,
};

/* --- Logout ---------------------------------------------------------------------------------- */

static int logout_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    const struct acl_logout_request *args = data;
    int r = acl_check_auth_methods(ctx);
    if (r < 0) {
        return r;
    }
    const struct acl_token *token =
        args->write.token.n > 0 ? acl_token_by_secret(ctx->view, args->write.token) : NULL;
    if (token == NULL) {
        return err_set(ctx->err, ERR_ACL_NOT_FOUND, "%s", err_code_text(ERR_ACL_NOT_FOUND));
    }
    if (token->auth_method.n == 0) {
        return err_set(ctx->err, ERR_PERMISSION_DENIED, "%s", err_code_text(ERR_PERMISSION_DENIED));
    }
    if (!acl_is_primary(ctx) && !token->local) {
        return RPC_PREPARE_PRIMARY;
    }
    ((struct bool_reply *)reply)->value = true;
    struct str accessor = token->accessor_id;
    const struct acl_token_batch_delete_request request = {.token_ids = {&accessor, 1}};
    acl_entry_put(entry, FSM_ACL_TOKEN_DELETE, &acl_token_batch_delete_request_schema, &request);
    return RPC_PREPARE_PROPOSE;
}

static struct metric time_logout = METRIC_SAMPLE("acl.logout");

const struct rpc_method rpc_acl_logout = {
    .name = "ACL.Logout",
    .flags = RPC_WRITE,
    .args = &acl_logout_request_schema,
    .reply = &bool_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .time = &time_logout,
    .prepare = logout_prepare,
    .apply_error = "Failed to apply token delete request",
};
