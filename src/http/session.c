/* /v1/session/: create, destroy, renew, and the three ways to read. */
#include "schema/session.h"

#include "base/clock.h"
#include "http/http.h"
#include "server/delegate.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/worker.h"

/* A lock delay below this was meant in seconds. */
#define LOCK_DELAY_THRESHOLD_NS 1000

static void session_created(struct http_req *req, struct rpc_call *call)
{
    const struct string_reply *reply = call->reply;
    http_json_id(req, reply->value);
}

/* Clients from before 1.7 leave out the checks by an empty "Checks"; newer ones by "NodeChecks".
 * What they did not touch still holds the default, the node's serfHealth, in both. */
static void settle_checks(struct session *s)
{
    if (s->checks.n == 0) {
        s->node_checks = (struct strlist){SCHEMA_EMPTY, 0};
    } else if (s->checks.n == 1 && str_eq(s->checks.v[0], SERF_CHECK_ID)) {
        s->checks = (struct strlist){0};
    } else if (s->node_checks.n == 0) {
        s->checks = (struct strlist){0};
    }
}

static void session_create_handle(struct http_req *req)
{
    static const struct str serf_check[] = {STR_INIT("serfHealth")};
    struct rpc_call *call = http_rpc(req, &rpc_session_apply, session_created);
    if (call == NULL || !http_check_namespace(req)) {
        return;
    }
    struct session_request *args = call->args;
    struct session *s = &args->session;
    args->op = STR("create");
    s->node = req->worker->delegate->node_name;
    s->node_checks = s->checks = (struct strlist){serf_check, 1};
    s->lock_delay = SESSION_LOCK_DELAY_NS_DEFAULT;
    s->behavior = SESSION_RELEASE;
    if (req->body.n > 0) {
        int64_t before = s->lock_delay;
        if (!http_decode_body(req, &session_schema, s, 0)) {
            return;
        }
        if (s->lock_delay != before && s->lock_delay < LOCK_DELAY_THRESHOLD_NS) {
            s->lock_delay *= (int64_t)NS_PER_SEC;
        }
    }
    settle_checks(s);
    http_rpc_start(req, call);
}

static void session_destroyed(struct http_req *req, struct rpc_call *call)
{
    (void)call;
    struct json_writer w = http_json_begin(req);
    json_bool(&w, true);
    http_finish(req, 200);
}

static void session_destroy_handle(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_session_apply, session_destroyed);
    if (call == NULL || !http_check_namespace(req) || !http_check_tail(req, "session")) {
        return;
    }
    struct session_request *args = call->args;
    args->op = STR("destroy");
    args->session.id = req->tail;
    http_rpc_start(req, call);
}

static void sessions_write(struct http_req *req, const struct indexed_sessions *reply)
{
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->sessions.n; i++) {
        json_object(&w, &session_schema, reply->sessions.v[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void sessions_reply(struct http_req *req, struct rpc_call *call)
{
    sessions_write(req, call->reply);
}

static void session_renewed(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_sessions *reply = call->reply;
    if (reply->sessions.n == 0) {
        http_error(req, 404, "Session id '%.*s' not found", STRF(req->tail));
        return;
    }
    sessions_write(req, reply);
}

static void session_by_id(struct http_req *req, const struct rpc_method *method,
                          http_reply_fn reply)
{
    struct rpc_call *call = http_rpc(req, method, reply);
    if (call == NULL || !http_check_namespace(req) || !http_check_tail(req, "session")) {
        return;
    }
    struct session_specific_request *args = call->args;
    args->session_id = args->session = req->tail;
    http_rpc_start(req, call);
}

static void session_renew_handle(struct http_req *req)
{
    session_by_id(req, &rpc_session_renew, session_renewed);
}

static void session_info_handle(struct http_req *req)
{
    session_by_id(req, &rpc_session_get, sessions_reply);
}

static void session_list_handle(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_session_list, sessions_reply);
    if (call == NULL || !http_check_namespace(req)) {
        return;
    }
    http_rpc_start(req, call);
}

static void session_node_handle(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_session_node_sessions, sessions_reply);
    if (call == NULL || !http_check_namespace(req) || !http_check_tail(req, "node name")) {
        return;
    }
    struct node_request *args = call->args;
    args->node = req->tail;
    http_rpc_start(req, call);
}

const struct http_route http_session_routes[] = {
    {"/v1/session/create", HTTP_PUT, "PUT", 0, session_create_handle},
    {"/v1/session/destroy/", HTTP_PUT, "PUT", HTTP_ROUTE_PREFIX, session_destroy_handle},
    {"/v1/session/renew/", HTTP_PUT, "PUT", HTTP_ROUTE_PREFIX | HTTP_ROUTE_NO_META,
     session_renew_handle},
    {"/v1/session/info/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX | HTTP_ROUTE_META_ON_ERROR,
     session_info_handle},
    {"/v1/session/node/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX | HTTP_ROUTE_META_ON_ERROR,
     session_node_handle},
    {"/v1/session/list", HTTP_GET, "GET", HTTP_ROUTE_META_ON_ERROR, session_list_handle},
};
const size_t http_session_routes_count = ARRAY_SIZE(http_session_routes);
