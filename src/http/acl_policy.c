/* /v1/acl/policy and /v1/acl/role. */
#include "http/acl.h"
#include "server/rpc.h"

/* --- policies -------------------------------------------------------------------------------- */

static void policies_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_policy_list_response *reply = call->reply;
    acl_http_reply_list(req, &acl_policy_stub_schema, reply->policies);
}

static void policies_handle(struct http_req *req)
{
    struct rpc_call *call;
    if (acl_http_enabled(req) &&
        (call = acl_http_read(req, &rpc_acl_policy_list, policies_reply)) != NULL) {
        http_rpc_start(req, call);
    }
}

static void policy_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_policy_response *reply = call->reply;
    if (reply->policy == NULL) {
        acl_http_not_found(req);
    } else {
        http_json_reply(req, &acl_policy_row_schema, reply->policy);
    }
}

static void policy_read(struct http_req *req, struct str id, struct str name)
{
    struct rpc_call *call = acl_http_read(req, &rpc_acl_policy_read, policy_reply);
    if (call != NULL) {
        struct acl_policy_get_request *args = call->args;
        args->policy_id = id;
        args->policy_name = name;
        http_rpc_start(req, call);
    }
}

static void policy_get(struct http_req *req)
{
    policy_read(req, req->tail, STR(""));
}

static void policy_name_handle(struct http_req *req)
{
    if (!acl_http_enabled(req)) {
        return;
    }
    if (req->tail.n == 0) {
        (void)acl_http_bad_request(req, "Missing policy Name");
        return;
    }
    policy_read(req, STR(""), req->tail);
}

static bool policy_decode(struct http_req *req, struct acl_policy_row *policy)
{
    struct acl_policy_body body = {0};
    if (!http_check_namespace(req) ||
        !acl_http_decode(req, "Policy decoding failed", &acl_policy_body_schema, &body)) {
        return false;
    }
    *policy = body.policy;
    return true;
}

static void policy_create(struct http_req *req)
{
    if (!acl_http_enabled(req)) {
        return;
    }
    struct rpc_call *call = acl_http_write(req, &rpc_acl_policy_set, acl_http_reply_object);
    struct acl_policy_set_request *args = call->args;
    if (!policy_decode(req, &args->policy)) {
        return;
    }
    if (args->policy.id.n > 0) {
        (void)acl_http_bad_request(req, "Cannot specify the ID when creating a new policy");
        return;
    }
    http_rpc_start(req, call);
}

static void policy_set(struct http_req *req)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_policy_set, acl_http_reply_object);
    struct acl_policy_set_request *args = call->args;
    if (policy_decode(req, &args->policy) &&
        acl_http_match_id(req, "Policy ID", &args->policy.id)) {
        http_rpc_start(req, call);
    }
}

static void policy_delete(struct http_req *req)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_policy_delete, acl_http_reply_true);
    if (http_check_namespace(req)) {
        ((struct acl_policy_delete_request *)call->args)->policy_id = req->tail;
        http_rpc_start(req, call);
    }
}

static void policy_handle(struct http_req *req)
{
    acl_http_crud(req, "policy ID", policy_get, policy_set, policy_delete);
}

/* --- roles ----------------------------------------------------------------------------------- */

static void roles_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_role_list_response *reply = call->reply;
    acl_http_reply_list(req, &acl_role_schema, reply->roles);
}

static void roles_handle(struct http_req *req)
{
    struct rpc_call *call;
    if (acl_http_enabled(req) &&
        (call = acl_http_read(req, &rpc_acl_role_list, roles_reply)) != NULL) {
        ((struct acl_role_list_request *)call->args)->policy = http_param_value(req, STR("policy"));
        http_rpc_start(req, call);
    }
}

static void role_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_role_response *reply = call->reply;
    acl_http_reply_or_404(req, &reply->meta, &acl_role_schema, reply->role);
}

static void role_read(struct http_req *req, struct str id, struct str name)
{
    struct rpc_call *call = acl_http_read(req, &rpc_acl_role_read, role_reply);
    if (call != NULL) {
        struct acl_role_get_request *args = call->args;
        args->role_id = id;
        args->role_name = name;
        http_rpc_start(req, call);
    }
}

static void role_get(struct http_req *req)
{
    role_read(req, req->tail, STR(""));
}

static void role_name_handle(struct http_req *req)
{
    if (!acl_http_enabled(req)) {
        return;
    }
    if (req->tail.n == 0) {
        (void)acl_http_bad_request(req, "Missing role Name");
        return;
    }
    role_read(req, STR(""), req->tail);
}

/* Creating and changing differ by what the URL names only. */
static void role_set(struct http_req *req)
{
    struct acl_role_body body = {0};
    struct rpc_call *call = acl_http_write(req, &rpc_acl_role_set, acl_http_reply_object);
    struct acl_role_set_request *args = call->args;
    if (http_check_namespace(req) &&
        acl_http_decode(req, "Role decoding failed", &acl_role_body_schema, &body) &&
        acl_http_match_id(req, "Role ID", &body.role.id)) {
        args->role = body.role;
        http_rpc_start(req, call);
    }
}

static void role_create(struct http_req *req)
{
    if (acl_http_enabled(req)) {
        role_set(req);
    }
}

static void role_delete(struct http_req *req)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_role_delete, acl_http_reply_true);
    if (http_check_namespace(req)) {
        ((struct acl_role_delete_request *)call->args)->role_id = req->tail;
        http_rpc_start(req, call);
    }
}

static void role_handle(struct http_req *req)
{
    acl_http_crud(req, "role ID", role_get, role_set, role_delete);
}

#define CRUD HTTP_GET | HTTP_PUT | HTTP_DELETE, "GET,PUT,DELETE"
#define PREFIX HTTP_ROUTE_PREFIX
#define META HTTP_ROUTE_META_ON_ERROR
#define NO_META HTTP_ROUTE_NO_META

/* clang-format off */
const struct http_route http_acl_policy_routes[] = {
    {"/v1/acl/policies", HTTP_GET, "GET", META, policies_handle},
    {"/v1/acl/policy", HTTP_PUT, "PUT", 0, policy_create},
    {"/v1/acl/policy/", CRUD, PREFIX | META, policy_handle},
    {"/v1/acl/policy/name/", HTTP_GET, "GET", PREFIX | META, policy_name_handle},
    {"/v1/acl/role", HTTP_PUT, "PUT", 0, role_create},
    {"/v1/acl/role/", CRUD, PREFIX | META | NO_META, role_handle},
    {"/v1/acl/role/name/", HTTP_GET, "GET", PREFIX | META | NO_META, role_name_handle},
    {"/v1/acl/roles", HTTP_GET, "GET", META, roles_handle},
};
/* clang-format on */
const size_t http_acl_policy_routes_count = ARRAY_SIZE(http_acl_policy_routes);
