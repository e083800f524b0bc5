/* /v1/acl/auth-method, /binding-rule, /login and /logout. */
#include "http/acl.h"
#include "server/rpc.h"

/* --- auth methods ---------------------------------------------------------------------------- */

static void methods_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_auth_method_list_response *reply = call->reply;
    acl_http_reply_list(req, &acl_auth_method_stub_schema, reply->auth_methods);
}

static void methods_handle(struct http_req *req)
{
    struct rpc_call *call;
    if (acl_http_enabled(req) &&
        (call = acl_http_read(req, &rpc_acl_auth_method_list, methods_reply)) != NULL) {
        http_rpc_start(req, call);
    }
}

static void method_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_auth_method_response *reply = call->reply;
    acl_http_reply_or_404(req, &reply->meta, &acl_auth_method_schema, reply->auth_method);
}

static void method_get(struct http_req *req)
{
    struct rpc_call *call = acl_http_read(req, &rpc_acl_auth_method_read, method_reply);
    if (call != NULL) {
        ((struct acl_auth_method_get_request *)call->args)->auth_method_name = req->tail;
        http_rpc_start(req, call);
    }
}

static bool check_config(struct http_req *req, const struct value *config)
{
    if (config == NULL || config->kind == VALUE_MAP || config->kind == VALUE_NULL) {
        return true;
    }
    http_error(req, 400,
               "Bad request: AuthMethod decoding failed: json: cannot unmarshal %s into Go struct "
               "field .Config of type map[string]interface {}",
               value_kind_text(config->kind));
    return false;
}

static void method_set(struct http_req *req)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_auth_method_set, acl_http_reply_object);
    struct acl_auth_method *method =
        &((struct acl_auth_method_set_request *)call->args)->auth_method;
    if (!http_check_namespace(req) ||
        !acl_http_decode(req, "AuthMethod decoding failed", &acl_auth_method_body_schema, method) ||
        !check_config(req, method->config) ||
        (req->tail.n > 0 && !acl_http_match_id(req, "AuthMethod Name", &method->name))) {
        return;
    }
    http_rpc_start(req, call);
}

static void method_create(struct http_req *req)
{
    if (acl_http_enabled(req)) {
        method_set(req);
    }
}

static void method_delete(struct http_req *req)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_auth_method_delete, acl_http_reply_true);
    if (http_check_namespace(req)) {
        ((struct acl_auth_method_delete_request *)call->args)->auth_method_name = req->tail;
        http_rpc_start(req, call);
    }
}

static void method_handle(struct http_req *req)
{
    acl_http_crud(req, "auth method name", method_get, method_set, method_delete);
}

/* --- binding rules --------------------------------------------------------------------------- */

static void rules_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_binding_rule_list_response *reply = call->reply;
    acl_http_reply_list(req, &acl_binding_rule_schema, reply->binding_rules);
}

static void rules_handle(struct http_req *req)
{
    struct rpc_call *call;
    if (acl_http_enabled(req) &&
        (call = acl_http_read(req, &rpc_acl_binding_rule_list, rules_reply)) != NULL) {
        ((struct acl_binding_rule_list_request *)call->args)->auth_method =
            http_param_value(req, STR("authmethod"));
        http_rpc_start(req, call);
    }
}

static void rule_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_binding_rule_response *reply = call->reply;
    acl_http_reply_or_404(req, &reply->meta, &acl_binding_rule_schema, reply->binding_rule);
}

static void rule_get(struct http_req *req)
{
    struct rpc_call *call = acl_http_read(req, &rpc_acl_binding_rule_read, rule_reply);
    if (call != NULL) {
        ((struct acl_binding_rule_get_request *)call->args)->binding_rule_id = req->tail;
        http_rpc_start(req, call);
    }
}

static void rule_set(struct http_req *req)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_binding_rule_set, acl_http_reply_object);
    struct acl_binding_rule *rule =
        &((struct acl_binding_rule_set_request *)call->args)->binding_rule;
    if (http_check_namespace(req) &&
        acl_http_decode(req, "BindingRule decoding failed", &acl_binding_rule_schema, rule) &&
        acl_http_match_id(req, "BindingRule ID", &rule->id)) {
        http_rpc_start(req, call);
    }
}

static void rule_create(struct http_req *req)
{
    if (acl_http_enabled(req)) {
        rule_set(req);
    }
}

static void rule_delete(struct http_req *req)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_binding_rule_delete, acl_http_reply_true);
    if (http_check_namespace(req)) {
        ((struct acl_binding_rule_delete_request *)call->args)->binding_rule_id = req->tail;
        http_rpc_start(req, call);
    }
}

static void rule_handle(struct http_req *req)
{
    acl_http_crud(req, "binding rule ID", rule_get, rule_set, rule_delete);
}

/* --- logging in and out ---------------------------------------------------------------------- */

static void set_datacenter(struct http_req *req, struct str *datacenter)
{
    struct str asked = http_param_value(req, STR("dc"));
    *datacenter = asked.n > 0 ? asked : *datacenter;
}

static void login_handle(struct http_req *req)
{
    if (!acl_http_enabled(req)) {
        return;
    }
    struct rpc_call *call = acl_http_write(req, &rpc_acl_login, acl_http_reply_object);
    struct acl_login_request *args = call->args;
    args->write.token = STR(""); /* whatever was sent is not looked at */
    args->auth = ARENA_NEW(&call->arena, struct acl_login_params);
    set_datacenter(req, &args->datacenter);
    if (http_check_namespace(req) && acl_http_decode(req, "Failed to decode request body",
                                                     &acl_login_params_schema, args->auth)) {
        http_rpc_start(req, call);
    }
}

static void logout_handle(struct http_req *req)
{
    if (!acl_http_enabled(req)) {
        return;
    }
    struct rpc_call *call = acl_http_write(req, &rpc_acl_logout, acl_http_reply_true);
    struct acl_logout_request *args = call->args;
    set_datacenter(req, &args->datacenter);
    if (args->write.token.n == 0) {
        acl_http_not_found(req);
    } else {
        http_rpc_start(req, call);
    }
}

#define CRUD HTTP_GET | HTTP_PUT | HTTP_DELETE, "GET,PUT,DELETE"
#define PREFIX HTTP_ROUTE_PREFIX
#define META HTTP_ROUTE_META_ON_ERROR
#define NO_META HTTP_ROUTE_NO_META

/* clang-format off */
const struct http_route http_acl_auth_method_routes[] = {
    {"/v1/acl/auth-method", HTTP_PUT, "PUT", 0, method_create},
    {"/v1/acl/auth-method/", CRUD, PREFIX | META | NO_META, method_handle},
    {"/v1/acl/auth-methods", HTTP_GET, "GET", META, methods_handle},
    {"/v1/acl/binding-rule", HTTP_PUT, "PUT", 0, rule_create},
    {"/v1/acl/binding-rule/", CRUD, PREFIX | META | NO_META, rule_handle},
    {"/v1/acl/binding-rules", HTTP_GET, "GET", META, rules_handle},
    {"/v1/acl/login", HTTP_POST, "POST", 0, login_handle},
    {"/v1/acl/logout", HTTP_POST, "POST", 0, logout_handle},
};
/* clang-format on */
const size_t http_acl_auth_method_routes_count = ARRAY_SIZE(http_acl_auth_method_routes);
