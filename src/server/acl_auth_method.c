/* ACL.AuthMethod*: how people and programs of other systems come by tokens. */
#include "base/clock.h"
#include "base/gofmt.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "fsm/fsm.h"
#include "server/acl_data.h"
#include "server/acl_log.h"
#include "server/auth_login.h"
#include "server/reply.h"
#include "server/rpc_ask.h"
#include "server/server.h"
#include "store/acl.h"

#define METHOD_NAME_SIZE_MAX 128u

/* --- setting: on the main loop, since the method is tried out ----------------------------------
 */

static int check_ttl(struct rpc_ctx *ctx, int64_t ttl_ns)
{
    bool more = ttl_ns > ACL_TOKEN_EXPIRATION_MAX_NS;
    if (ttl_ns == 0 || (!more && ttl_ns >= ACL_TOKEN_EXPIRATION_MIN_NS)) {
        return 0;
    }
    int64_t bound_ns = more ? ACL_TOKEN_EXPIRATION_MAX_NS : ACL_TOKEN_EXPIRATION_MIN_NS;
    return err_set(ctx->err, ERR_FAILED, "MaxTokenTTL %.*s cannot be %s than %.*s",
                   STRF(duration_format(ctx->arena, ttl_ns)), more ? "more" : "less",
                   STRF(duration_format(ctx->arena, bound_ns)));
}

static int check_locality(struct rpc_ctx *ctx, struct str locality)
{
    if (locality.n == 0 || str_eq(locality, ACL_TOKEN_LOCALITY_LOCAL)) {
        return 0;
    }
    if (!str_eq(locality, ACL_TOKEN_LOCALITY_GLOBAL)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Invalid Auth Method: TokenLocality should be one of 'local' or 'global'");
    }
    return acl_is_primary(ctx) ? 0
                               : err_set(ctx->err, ERR_FAILED,
                                         "Invalid Auth Method: TokenLocality 'global' can only be "
                                         "used in the primary datacenter");
}

/* What is wrong with it but for its configuration. */
static int check_method(struct rpc_ctx *ctx, struct acl_auth_method *method)
{
    if (method->name.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Auth Method: no Name is set");
    }
    if (!acl_name_is_valid(method->name, METHOD_NAME_SIZE_MAX)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Invalid Auth Method: invalid Name. Only alphanumeric characters, '-' and "
                       "'_' are allowed");
    }
    const struct acl_auth_method *old = acl_auth_method_by_name(ctx->view, method->name);
    if (old != NULL && method->type.n == 0) {
        method->type = old->type;
    } else if (old != NULL && !str_eq(old->type, method->type)) {
        return err_set(ctx->err, ERR_FAILED, "the Type field of an Auth Method is immutable");
    }
    if (!auth_type_is_known(method->type)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Invalid Auth Method: Type should be one of: [jwt kubernetes]");
    }
    int r = check_ttl(ctx, method->max_token_ttl);
    return r < 0 ? r : check_locality(ctx, method->token_locality);
}

static void set_logged(struct rpc_call *call)
{
    struct rpc_ask *ask = call->data;
    const struct acl_auth_method_batch_set_request *args = call->args;
    if (call->err != NULL) {
        ask->err = *call->err;
        (void)err_wrap(&ask->err, "Failed to apply auth method upsert request");
    } else if (!ask->is_dropped) {
        const struct acl_auth_method *asked = args->auth_methods.v[0];
        const struct acl_auth_method *method =
            acl_auth_method_by_name(store_view(ask->server->store), asked->name);
        if (method != NULL) { /* not gone again */
            memcpy(ask->reply, schema_copy(ask->arena, &acl_auth_method_schema, method),
                   sizeof(*method));
        }
    }
    rpc_call_free(call);
    rpc_ask_finish(ask);
}

/* The method can be used: it is written. */
static void set_probed(void *data, const struct auth_identity *identity, const struct err *err)
{
    struct rpc_ask *ask = data;
    if (identity == NULL || ask->is_dropped) {
        ask->err = err != NULL ? *err : ask->err;
        (void)err_wrap(&ask->err, "Invalid Auth Method");
        rpc_ask_finish(ask);
        return;
    }
    const struct acl_auth_method_set_request *asked = ask->args;
    struct rpc_call *call = rpc_call_new(ask->server->main, &acl_log_auth_method_set);
    struct acl_auth_method_batch_set_request *args = call->args;
    args->auth_methods = (struct ptrlist){ARENA_ARRAY(&call->arena, void *, 1), 1};
    args->auth_methods.v[0] =
        schema_copy(&call->arena, &acl_auth_method_schema, &asked->auth_method);
    call->done = set_logged;
    call->data = ask;
    call->is_duty = true;
    rpc_start(call);
}

static int set_permit(struct rpc_ctx *ctx, const void *args)
{
    (void)args;
    int r = acl_check_auth_methods(ctx);
    return r < 0 ? r : acl_permit(ctx, ACL_ACL_WRITE);
}

static void set(struct rpc_ask *ask)
{
    struct acl_auth_method_set_request *args = (void *)(uintptr_t)ask->args; /* the call's own */
    struct rpc_ctx ctx = {.server = ask->server,
                          .worker = ask->server->main,
                          .arena = ask->arena,
                          .view = store_view(ask->server->store),
                          .err = &ask->err};
    if (check_method(&ctx, &args->auth_method) < 0) {
        rpc_ask_finish(ask);
        return;
    }
    auth_probe_start(ask->server->logins, &args->auth_method, set_probed, ask);
}

static struct metric time_upsert = METRIC_SAMPLE("acl.authmethod.upsert");

const struct rpc_method rpc_acl_auth_method_set = {
    .name = "ACL.AuthMethodSet",
    .flags = RPC_WRITE,
    .args = &acl_auth_method_set_request_schema,
    .reply = &acl_auth_method_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "acl:write",
    .time = &time_upsert,
    .ask = set,
    .permit = set_permit,
};

/* --- deleting and reading -------------------------------------------------------------------- */

static int delete_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_auth_method_delete_request *args = data;
    int r = acl_check_auth_methods(ctx);
    if (r < 0 || (r = acl_permit(ctx, ACL_ACL_WRITE)) < 0) {
        return r;
    }
    if (acl_auth_method_by_name(ctx->view, args->auth_method_name) == NULL) {
        return RPC_PREPARE_DONE;
    }
    ((struct bool_reply *)reply)->value = true;
    const struct acl_auth_method_batch_delete_request request = {
        .auth_method_names = {&args->auth_method_name, 1}};
    acl_entry_put(entry, FSM_ACL_AUTH_METHOD_DELETE, &acl_auth_method_batch_delete_request_schema,
                  &request);
    return RPC_PREPARE_PROPOSE;
}

static struct metric time_delete = METRIC_SAMPLE("acl.authmethod.delete");

const struct rpc_method rpc_acl_auth_method_delete = {
    .name = "ACL.AuthMethodDelete",
    .flags = RPC_WRITE,
    .args = &acl_auth_method_delete_request_schema,
    .reply = &bool_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "acl:write",
    .time = &time_delete,
    .prepare = delete_prepare,
    .apply_error = "Failed to apply auth method delete request",
};

static int method_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_auth_method_get_request *args = data;
    struct acl_auth_method_response *reply = out;
    const struct acl_auth_method *method = NULL;
    int r = acl_check_auth_methods(ctx);
    if (r >= 0 && (r = acl_permit(ctx, ACL_ACL_READ)) >= 0) {
        reply->meta.index =
            acl_auth_method_get(ctx->view, ctx->ws, args->auth_method_name, &method);
    }
    reply->auth_method = (struct acl_auth_method *)(uintptr_t)method;
    return r;
}

const struct rpc_method rpc_acl_auth_method_read = {
    .name = "ACL.AuthMethodRead",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_auth_method_get_request_schema,
    .reply = &acl_auth_method_response_schema,
    .options_offset = offsetof(struct acl_auth_method_get_request, options),
    .meta_offset = offsetof(struct acl_auth_method_response, meta),
    .acl = "acl:read",
    .read = method_read,
};

static int method_list(struct rpc_ctx *ctx, const void *data, void *out)
{
    (void)data;
    struct acl_auth_method_list_response *reply = out;
    struct ptrlist methods;
    VEC(void *) stubs = {0};
    int r = acl_check_auth_methods(ctx);
    if (r < 0 || (r = acl_permit(ctx, ACL_ACL_READ)) < 0) {
        return r;
    }
    reply->meta.index = acl_auth_method_list(ctx->view, ctx->ws, ctx->arena, &methods);
    for (size_t i = 0; i < methods.n; i++) {
        struct acl_auth_method_stub *stub = ARENA_NEW(ctx->arena, struct acl_auth_method_stub);
        *stub = acl_auth_method_stub_make(methods.v[i]);
        avec_push(ctx->arena, &stubs, (void *)stub);
    }
    reply->auth_methods = (struct ptrlist){stubs.v, stubs.n};
    return 0;
}

const struct rpc_method rpc_acl_auth_method_list = {
    .name = "ACL.AuthMethodList",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_auth_method_list_request_schema,
    .reply = &acl_auth_method_list_response_schema,
    .options_offset = offsetof(struct acl_auth_method_list_request, options),
    .meta_offset = offsetof(struct acl_auth_method_list_response, meta),
    .acl = "acl:read",
    .read = method_list,
};
