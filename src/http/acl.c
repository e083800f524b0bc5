/* /v1/acl/token, /bootstrap, /replication and /v1/internal/acl/authorize; and what the other files
 * of /v1/acl need. */
#include "http/acl.h"

#include "http/front.h"
#include "server/rpc.h"

#define AUTHORIZATIONS_MAX 64u

/* --- common ---------------------------------------------------------------------------------- */

bool acl_http_enabled(struct http_req *req)
{
    if (!req->http->front->options.acl_enabled) {
        http_error(req, 401, "%s", err_code_text(ERR_ACL_DISABLED));
        return false;
    }
    return true;
}

bool acl_http_bad_request(struct http_req *req, const char *why)
{
    http_error(req, 400, "Bad request: %s", why);
    return false;
}

/* Only a text or a number says how long; the reference passes over whatever else is there. */
static void pass_over_ttl(struct value *body)
{
    for (size_t i = 0; body->kind == VALUE_MAP && i < body->map.n; i++) {
        struct value_pair *pair = &body->map.v[i];
        if (!str_eq_fold(pair->key, STR("ExpirationTTL")) &&
            !str_eq_fold(pair->key, STR("MaxTokenTTL"))) {
            continue;
        }
        struct value *v = &pair->value;
        if (v->kind == VALUE_FLOAT && v->f > -9.2e18 && v->f < 9.2e18) {
            *v = (struct value){.kind = VALUE_INT, .i = (int64_t)v->f};
        } else if (v->kind == VALUE_BOOL || v->kind == VALUE_LIST || v->kind == VALUE_MAP) {
            v->kind = VALUE_NULL;
        }
    }
}

bool acl_http_decode(struct http_req *req, const char *what, const struct schema *schema,
                     void *object)
{
    struct err err = {0};
    struct value *value;
    struct str rest = req->body;
    int r = json_parse_next(req->arena, &rest, &value, &err);
    if (r >= 0 && value->kind != VALUE_NULL) {
        pass_over_ttl(value);
        r = schema_decode(schema, value, object, req->arena, DECODE_STRICT, &err);
    }
    if (r < 0) {
        bool is_namespace = strcmp(err_text(&err), "json: unknown field \"Namespace\"") == 0;
        http_error(req, 400, "Bad request: %s: %s%s", what, err_text(&err),
                   is_namespace ? " - Namespaces are a Consul Enterprise feature" : "");
        return false;
    }
    return true;
}

struct rpc_call *acl_http_write(struct http_req *req, const struct rpc_method *method,
                                http_reply_fn reply)
{
    size_t offset;
    struct rpc_call *call = http_rpc_plain(req, method, reply);
    const struct field *datacenter = schema_find(method->args, STR("Datacenter"), &offset);
    if (datacenter != NULL) {
        *(struct str *)((char *)call->args + offset) = http_datacenter(req);
    }
    return call;
}

struct rpc_call *acl_http_read(struct http_req *req, const struct rpc_method *method,
                               http_reply_fn reply)
{
    size_t offset;
    struct rpc_call *call = http_rpc(req, method, reply);
    if (call == NULL || !http_check_namespace(req)) {
        return NULL;
    }
    const struct field *field = schema_find(method->args, STR("Datacenter"), &offset);
    if (field != NULL) {
        struct str *datacenter = (struct str *)((char *)call->args + offset);
        *datacenter = datacenter->n > 0 ? *datacenter : http_datacenter(req);
    }
    return call;
}

bool acl_http_match_id(struct http_req *req, const char *what, struct str *id)
{
    if (id->n > 0 && !str_eq(*id, req->tail)) {
        http_error(req, 400, "Bad request: %s in URL and payload do not match", what);
        return false;
    }
    *id = req->tail;
    return true;
}

void acl_http_crud(struct http_req *req, const char *what, http_handler read, http_handler write,
                   http_handler remove)
{
    if (!acl_http_enabled(req)) {
        return;
    }
    if (req->tail.n == 0 && req->method != HTTP_PUT) {
        http_error(req, 400, "Bad request: Missing %s", what);
    } else if (req->method == HTTP_PUT) {
        write(req);
    } else if (req->method == HTTP_DELETE) {
        remove(req);
    } else {
        read(req);
    }
}

void acl_http_reply_true(struct http_req *req, struct rpc_call *call)
{
    (void)call;
    struct json_writer w = http_json_begin(req);
    json_bool(&w, true);
    http_finish(req, 200);
}

void acl_http_reply_object(struct http_req *req, struct rpc_call *call)
{
    http_json_reply(req, call->method->reply, call->reply);
}

void acl_http_reply_list(struct http_req *req, const struct schema *schema, struct ptrlist list)
{
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < list.n; i++) {
        json_object(&w, schema, list.v[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

void acl_http_reply_or_404(struct http_req *req, const struct query_meta *meta,
                           const struct schema *schema, const void *object)
{
    if (object == NULL) {
        http_set_meta_late(req, meta);
        http_finish(req, 404);
    } else {
        http_set_meta(req, meta);
        http_json_reply(req, schema, object);
    }
}

void acl_http_not_found(struct http_req *req)
{
    http_error(req, 403, "%s", err_code_text(ERR_ACL_NOT_FOUND));
}

/* --- bootstrap and replication --------------------------------------------------------------- */

struct bootstrap_reply {
    struct str id; /* the secret, under its name of before 1.4 */
    struct acl_token token;
};
static const struct field bootstrap_reply_fields[] = {
    F_STR(struct bootstrap_reply, id, "ID", 0),
    F_SPLICE(struct bootstrap_reply, token, struct acl_token, &acl_token_schema),
    FIELDS_END,
};
static const struct schema bootstrap_reply_schema =
    SCHEMA("aclBootstrapResponse", struct bootstrap_reply, bootstrap_reply_fields);

static void bootstrap_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_token *token = call->reply;
    const struct bootstrap_reply reply = {token->secret_id, *token};
    http_json_reply(req, &bootstrap_reply_schema, &reply);
}

static bool bootstrap_failed(struct http_req *req, struct rpc_call *call)
{
    struct str text = str_from_cstr(err_text(call->err));
    if (!str_contains(text, STR("ACL bootstrap no longer allowed"))) {
        return false;
    }
    http_error(req, 403, "Permission denied: %.*s", STRF(text));
    return true;
}

static void bootstrap_handle(struct http_req *req)
{
    if (acl_http_enabled(req)) {
        struct rpc_call *call = acl_http_write(req, &rpc_acl_bootstrap_tokens, bootstrap_reply);
        http_rpc_on_error(req, bootstrap_failed);
        http_rpc_start(req, call);
    }
}

static void replication_handle(struct http_req *req)
{
    if (acl_http_enabled(req)) {
        struct rpc_call *call = http_rpc(req, &rpc_acl_replication_status, acl_http_reply_object);
        if (call != NULL) {
            http_rpc_start(req, call);
        }
    }
}

/* --- tokens ---------------------------------------------------------------------------------- */

static void tokens_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_token_list_response *reply = call->reply;
    acl_http_reply_list(req, &acl_token_stub_schema, reply->tokens);
}

static void tokens_handle(struct http_req *req)
{
    struct rpc_call *call;
    if (!acl_http_enabled(req) ||
        (call = acl_http_read(req, &rpc_acl_token_list, tokens_reply)) == NULL) {
        return;
    }
    struct acl_token_list_request *args = call->args;
    args->include_local = args->include_global = true;
    args->policy = http_param_value(req, STR("policy"));
    args->role = http_param_value(req, STR("role"));
    args->auth_method = http_param_value(req, STR("authmethod"));
    if (http_param_value(req, STR("authmethod-ns")).n > 0) {
        (void)acl_http_bad_request(req, "Invalid query parameter: \"authmethod-ns\" - Namespaces "
                                        "are a Consul Enterprise feature");
        return;
    }
    http_rpc_start(req, call);
}

static void token_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_token_response *reply = call->reply;
    if (reply->token == NULL) {
        acl_http_not_found(req);
    } else {
        http_json_reply(req, &acl_token_schema, reply->token);
    }
}

static void token_get(struct http_req *req)
{
    struct rpc_call *call = acl_http_read(req, &rpc_acl_token_read, token_reply);
    if (call != NULL) {
        struct acl_token_get_request *args = call->args;
        args->token_id = req->tail;
        args->token_id_type = ACL_TOKEN_BY_ACCESSOR;
        http_rpc_start(req, call);
    }
}

/* Of the caller: whoever has it may see it. */
static void self_handle(struct http_req *req)
{
    struct rpc_call *call;
    if (!acl_http_enabled(req) ||
        (call = http_rpc(req, &rpc_acl_token_read, token_reply)) == NULL) {
        return;
    }
    struct acl_token_get_request *args = call->args;
    args->token_id = args->options.token;
    args->token_id_type = ACL_TOKEN_BY_SECRET;
    args->datacenter = args->datacenter.n > 0 ? args->datacenter : http_datacenter(req);
    http_rpc_start(req, call);
}

static bool token_decode(struct http_req *req, struct acl_token *token)
{
    struct acl_token_body body;
    schema_zero(&acl_token_body_schema, &body);
    if (!http_check_namespace(req) ||
        !acl_http_decode(req, "Token decoding failed", &acl_token_body_schema, &body)) {
        return false;
    }
    *token = body.token;
    return true;
}

static void token_create(struct http_req *req)
{
    if (!acl_http_enabled(req)) {
        return;
    }
    struct rpc_call *call = acl_http_write(req, &rpc_acl_token_set, acl_http_reply_object);
    struct acl_token_set_request *args = call->args;
    args->create = true;
    if (token_decode(req, &args->token)) {
        http_rpc_start(req, call);
    }
}

static void token_clone(struct http_req *req, struct str accessor)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_token_clone, acl_http_reply_object);
    struct acl_token_set_request *args = call->args;
    if (!token_decode(req, &args->token)) {
        return;
    }
    args->token.accessor_id = accessor;
    http_rpc_start(req, call);
}

static void token_set(struct http_req *req)
{
    if (str_has_suffix(req->tail, STR("/clone"))) {
        token_clone(req, str_first(req->tail, req->tail.n - 6));
        return;
    }
    struct rpc_call *call = acl_http_write(req, &rpc_acl_token_set, acl_http_reply_object);
    struct acl_token_set_request *args = call->args;
    if (token_decode(req, &args->token) &&
        acl_http_match_id(req, "Token Accessor ID", &args->token.accessor_id)) {
        http_rpc_start(req, call);
    }
}

static void token_delete(struct http_req *req)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_token_delete, acl_http_reply_true);
    if (http_check_namespace(req)) {
        struct acl_token_delete_request *args = call->args;
        args->token_id = req->tail;
        http_rpc_start(req, call);
    }
}

static void token_handle(struct http_req *req)
{
    acl_http_crud(req, "token ID", token_get, token_set, token_delete);
}

/* --- authorize ------------------------------------------------------------------------------- */

struct authorize_body {
    struct objlist requests; /* struct acl_authorization_request */
};
static const struct field authorize_body_fields[] = {
    F_OBJLIST(struct authorize_body, requests, "", 0, &acl_authorization_request_schema),
    FIELDS_END,
};
static const struct schema authorize_body_schema =
    SCHEMA("", struct authorize_body, authorize_body_fields);

static bool authorize_failed(struct http_req *req, struct rpc_call *call)
{
    if (call->err->code != ERR_INVALID) {
        return false;
    }
    (void)acl_http_bad_request(req, err_text(call->err));
    return true;
}

static void authorize_handle(struct http_req *req)
{
    struct authorize_body body = {0};
    if (!acl_http_enabled(req) ||
        !acl_http_decode(req, "Failed to decode request body", &authorize_body_schema, &body)) {
        return;
    }
    if (body.requests.n > AUTHORIZATIONS_MAX) {
        (void)acl_http_bad_request(req, "Refusing to process more than 64 authorizations at once");
        return;
    }
    if (body.requests.n == 0) {
        acl_http_reply_list(req, &acl_authorization_response_schema, (struct ptrlist){0});
        return;
    }
    struct rpc_call *call = acl_http_write(req, &rpc_acl_authorize, acl_http_reply_object);
    struct acl_authorize_request *args = call->args;
    struct str datacenter = http_param_value(req, STR("dc"));
    args->datacenter = datacenter.n > 0 ? datacenter : args->datacenter;
    args->options.allow_stale = true;
    args->requests = body.requests;
    http_rpc_on_error(req, authorize_failed);
    http_rpc_start(req, call);
}

#define CRUD HTTP_GET | HTTP_PUT | HTTP_DELETE, "GET,PUT,DELETE"
#define PREFIX HTTP_ROUTE_PREFIX
#define META HTTP_ROUTE_META_ON_ERROR

/* clang-format off */
const struct http_route http_acl_routes[] = {
    {"/v1/acl/bootstrap", HTTP_PUT, "PUT", 0, bootstrap_handle},
    {"/v1/acl/replication", HTTP_GET, "GET", 0, replication_handle},
    {"/v1/acl/token", HTTP_PUT, "PUT", 0, token_create},
    {"/v1/acl/token/", CRUD, PREFIX | META, token_handle},
    {"/v1/acl/token/self", HTTP_GET, "GET", META, self_handle},
    {"/v1/acl/tokens", HTTP_GET, "GET", META, tokens_handle},
    {"/v1/internal/acl/authorize", HTTP_POST, "POST", 0, authorize_handle},
};
/* clang-format on */
const size_t http_acl_routes_count = ARRAY_SIZE(http_acl_routes);
