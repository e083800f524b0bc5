/* The API of before 1.4 (/v1/acl/create and the like), whose tokens have rules of their own, and
 * what puts those into today's syntax. */
#include "acl/translate.h"
#include "http/acl.h"
#include "server/delegate.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/worker.h"

/* Tokens of this API live in the primary data center, whatever ?dc says. */
static struct str primary(const struct http_req *req)
{
    return req->worker->delegate->primary_datacenter;
}

/* --- writing --------------------------------------------------------------------------------- */

static void reply_id(struct http_req *req, struct rpc_call *call)
{
    http_json_id(req, ((const struct string_reply *)call->reply)->value);
}

static struct rpc_call *apply(struct http_req *req, struct str op, http_reply_fn reply)
{
    struct rpc_call *call = acl_http_write(req, &rpc_acl_apply, reply);
    struct acl_legacy_request *args = call->args;
    args->datacenter = primary(req);
    args->op = op;
    return call;
}

static void set(struct http_req *req, bool is_update)
{
    if (!acl_http_enabled(req)) {
        return;
    }
    struct rpc_call *call = apply(req, ACL_SET, reply_id);
    struct acl_legacy *acl = &((struct acl_legacy_request *)call->args)->acl;
    acl->type = ACL_TOKEN_TYPE_CLIENT;
    if (req->body.n > 0 && !http_decode_body(req, &acl_legacy_schema, acl, DECODE_STRICT)) {
        return;
    }
    if (is_update && acl->id.n == 0) {
        http_error(req, 400, "ACL ID must be set");
        return;
    }
    http_rpc_start(req, call);
}

static void create_handle(struct http_req *req)
{
    set(req, false);
}

static void update_handle(struct http_req *req)
{
    set(req, true);
}

static bool has_tail(struct http_req *req)
{
    if (req->tail.n == 0) {
        http_error(req, 400, "Missing ACL");
        return false;
    }
    return true;
}

static void destroy_handle(struct http_req *req)
{
    if (acl_http_enabled(req) && has_tail(req)) {
        struct rpc_call *call = apply(req, ACL_DELETE, acl_http_reply_true);
        ((struct acl_legacy_request *)call->args)->acl.id = req->tail;
        http_rpc_start(req, call);
    }
}

/* --- reading --------------------------------------------------------------------------------- */

static void list_reply(struct http_req *req, struct rpc_call *call)
{
    const struct acl_legacy_list *reply = call->reply;
    acl_http_reply_list(req, &acl_legacy_schema, reply->acls);
}

static void get(struct http_req *req, http_reply_fn reply)
{
    struct rpc_call *call;
    if (acl_http_enabled(req) && (call = http_rpc(req, &rpc_acl_get, reply)) != NULL &&
        has_tail(req)) {
        struct acl_legacy_get_request *args = call->args;
        args->datacenter = primary(req);
        args->acl = req->tail;
        http_rpc_start(req, call);
    }
}

static void info_handle(struct http_req *req)
{
    get(req, list_reply);
}

static void list_handle(struct http_req *req)
{
    struct rpc_call *call;
    if (acl_http_enabled(req) && (call = http_rpc(req, &rpc_acl_list, list_reply)) != NULL) {
        ((struct dc_request *)call->args)->datacenter = primary(req);
        http_rpc_start(req, call);
    }
}

/* What was found becomes another token. That there is none is not told. */
static void clone_found(struct http_req *req, struct rpc_call *found)
{
    const struct acl_legacy_list *reply = found->reply;
    if (reply->acls.n == 0) {
        http_error(req, 403, "%s", err_code_text(ERR_PERMISSION_DENIED));
        return;
    }
    struct rpc_call *call = apply(req, ACL_SET, reply_id);
    struct acl_legacy_request *args = call->args;
    const struct acl_legacy *acl = reply->acls.v[0];
    args->acl = *(struct acl_legacy *)schema_copy(&call->arena, &acl_legacy_schema, acl);
    args->acl.id = STR("");
    http_rpc_start(req, call);
}

static void clone_handle(struct http_req *req)
{
    get(req, clone_found);
}

/* --- rules ----------------------------------------------------------------------------------- */

static void reply_rules(struct http_req *req, struct str rules)
{
    buf_str(req->out, rules);
    if (rules.n > 0) {
        req->content_type = STR("text/plain; charset=utf-8");
    }
    http_finish(req, 200);
}

static void translate_permitted(struct http_req *req, struct rpc_call *call)
{
    const struct acl_authorize_reply *reply = call->reply;
    const struct acl_authorization_response *may_read = reply->responses.v;
    struct err err = {0};
    struct str rules;
    if (reply->responses.n != 1 || !may_read->allow) {
        http_error(req, 403, "%s", err_code_text(ERR_PERMISSION_DENIED));
    } else if (acl_rules_translate(req->arena, req->body, &rules, &err) < 0) {
        http_error(req, 400, "Bad request: %s", err_text(&err));
    } else {
        reply_rules(req, rules);
    }
}

static void translate_handle(struct http_req *req)
{
    if (!acl_http_enabled(req)) {
        return;
    }
    struct rpc_call *call = acl_http_write(req, &rpc_acl_authorize, translate_permitted);
    struct acl_authorize_request *args = call->args;
    struct acl_authorization_request *asked =
        ARENA_NEW(&call->arena, struct acl_authorization_request);
    *asked = (struct acl_authorization_request){STR("acl"), STR(""), STR("read")};
    args->options.allow_stale = true;
    args->requests = (struct objlist){asked, 1};
    http_rpc_start(req, call);
}

static void token_found(struct http_req *req, struct rpc_call *call)
{
    const struct acl_token_response *reply = call->reply;
    struct err err = {0};
    struct str rules;
    if (reply->token == NULL) {
        acl_http_not_found(req);
    } else if (reply->token->rules.n == 0) {
        http_error(req, 500, "The specified token does not have any rules set");
    } else if (acl_rules_translate(req->arena, reply->token->rules, &rules, &err) < 0) {
        http_error(req, 500, "Failed to parse legacy rules: %s", err_text(&err));
    } else {
        reply_rules(req, rules);
    }
}

static void translate_token_handle(struct http_req *req)
{
    struct rpc_call *call;
    if (!acl_http_enabled(req)) {
        return;
    }
    if (req->tail.n == 0) {
        (void)acl_http_bad_request(req, "Missing token ID");
        return;
    }
    call = http_rpc(req, &rpc_acl_token_read, token_found);
    if (call != NULL) {
        struct acl_token_get_request *args = call->args;
        args->token_id = req->tail;
        args->token_id_type = ACL_TOKEN_BY_ACCESSOR;
        args->datacenter = args->datacenter.n > 0 ? args->datacenter : http_datacenter(req);
        args->options.min_query_index = 0; /* it does not block */
        http_rpc_start(req, call);
    }
}

#define PREFIX HTTP_ROUTE_PREFIX
#define META HTTP_ROUTE_META_ON_ERROR

/* clang-format off */
const struct http_route http_acl_legacy_routes[] = {
    {"/v1/acl/clone/", HTTP_PUT, "PUT", PREFIX | META, clone_handle},
    {"/v1/acl/create", HTTP_PUT, "PUT", 0, create_handle},
    {"/v1/acl/destroy/", HTTP_PUT, "PUT", PREFIX, destroy_handle},
    {"/v1/acl/info/", HTTP_GET, "GET", PREFIX | META, info_handle},
    {"/v1/acl/list", HTTP_GET, "GET", META, list_handle},
    {"/v1/acl/rules/translate", HTTP_POST, "POST", 0, translate_handle},
    {"/v1/acl/rules/translate/", HTTP_GET, "GET", PREFIX | META, translate_token_handle},
    {"/v1/acl/update", HTTP_PUT, "PUT", 0, update_handle},
};
/* clang-format on */
const size_t http_acl_legacy_routes_count = ARRAY_SIZE(http_acl_legacy_routes);
