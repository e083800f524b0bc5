/* /v1/agent/: the routes, and how a request gets to the agent's main loop and back. */
#include "base/mem.h"
#include "http/agent_request.h"
#include "server/acl_resolver.h"
#include "server/worker.h"

static void request_free(struct agent_request *r)
{
    acl_who_unref(r->who);
    arena_deinit(&r->arena);
    mem_free(r);
}

static void request_done(struct agent_call *call)
{
    struct agent_request *r = container_of(call, struct agent_request, call);
    struct http_req *req = r->req;
    if (req != NULL) {
        req->on_close = NULL;
        if (call->err.code != 0) {
            http_error_from(req, &call->err);
        } else {
            r->reply(req, r);
        }
    }
    request_free(r);
}

static void request_run(struct agent_call *call)
{
    struct agent_request *r = container_of(call, struct agent_request, call);
    r->run(r);
}

static void request_closed(struct http_req *req)
{
    struct agent_request *r = req->data;
    r->req = NULL;
    agent_call_abort(&r->call);
}

struct agent_request *
agent_request_new(struct http_req *req, void (*run)(struct agent_request *r),
                  void (*reply)(struct http_req *req, struct agent_request *r), size_t args_size)
{
    struct agent_request *r = xcalloc(1, sizeof(*r));
    r->req = req;
    r->who = req->who != NULL ? acl_who_ref(req->who) : NULL;
    r->run = run;
    r->reply = reply;
    r->args = arena_zalloc(&r->arena, MAX(args_size, (size_t)1));
    r->call.run = request_run;
    r->call.done = request_done;
    return r;
}

void agent_request_drop(struct agent_request *r)
{
    request_free(r);
}

void agent_request_start(struct agent_request *r)
{
    r->req->data = r;
    r->req->on_close = request_closed;
    agent_call(r->req->agent, r->req->worker->loop, &r->call);
}

void agent_request_finish(struct agent_request *r, int rc)
{
    if (rc < 0) {
        agent_call_finish(&r->call);
    } else {
        agent_call_finish_synced(&r->call);
    }
}

void agent_request_start_by_id(struct http_req *req, void (*run)(struct agent_request *r))
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct agent_request *r = agent_request_new(req, run, agent_reply_ok, sizeof(struct str));
    *(struct str *)r->args = agent_request_str(r, req->tail);
    agent_request_start(r);
}

void agent_reply_ok(struct http_req *req, struct agent_request *r)
{
    (void)r;
    http_finish(req, 200);
}

#define G HTTP_GET
#define U HTTP_PUT
#define PREFIX HTTP_ROUTE_PREFIX
#define ACL HTTP_ROUTE_ACL
/* clang-format off */
const struct http_route http_agent_routes[] = {
    {"/v1/agent/check/deregister/", U, "PUT", PREFIX | ACL, agent_check_deregister_handle},
    {"/v1/agent/check/fail/", U, "PUT", PREFIX | ACL, agent_check_fail_handle},
    {"/v1/agent/check/pass/", U, "PUT", PREFIX | ACL, agent_check_pass_handle},
    {"/v1/agent/check/register", U, "PUT", ACL, agent_check_register_handle},
    {"/v1/agent/check/update/", U, "PUT", PREFIX | ACL, agent_check_update_handle},
    {"/v1/agent/check/warn/", U, "PUT", PREFIX | ACL, agent_check_warn_handle},
    {"/v1/agent/checks", G, "GET", ACL, agent_checks_handle},
    {"/v1/agent/force-leave/", U, "PUT", PREFIX | ACL, agent_force_leave_handle},
    {"/v1/agent/health/service/id/", G, "GET", PREFIX | ACL | HTTP_ROUTE_NO_ERROR_LOG,
     agent_health_id_handle},
    {"/v1/agent/health/service/name/", G, "GET", PREFIX | ACL | HTTP_ROUTE_NO_ERROR_LOG,
     agent_health_name_handle},
    {"/v1/agent/host", G, "GET", ACL, agent_host_handle},
    {"/v1/agent/join/", U, "PUT", PREFIX | ACL, agent_join_handle},
    {"/v1/agent/leave", U, "PUT", ACL, agent_leave_handle},
    {"/v1/agent/maintenance", U, "PUT", ACL, agent_node_maintenance_handle},
    {"/v1/agent/members", G, "GET", ACL, agent_members_handle},
    {"/v1/agent/metrics", G, "GET", ACL, agent_metrics_handle},
    {"/v1/agent/monitor", G, "GET", ACL | HTTP_ROUTE_STREAM, agent_monitor_handle},
    {"/v1/agent/reload", U, "PUT", ACL, agent_reload_handle},
    {"/v1/agent/self", G, "GET", ACL, agent_self_handle},
    {"/v1/agent/service/", G, "GET", PREFIX | ACL, agent_service_get_handle},
    {"/v1/agent/service/deregister/", U, "PUT", PREFIX | ACL, agent_service_deregister_handle},
    {"/v1/agent/service/maintenance/", U, "PUT", PREFIX | ACL, agent_service_maintenance_handle},
    {"/v1/agent/service/register", U, "PUT", ACL, agent_service_register_handle},
    {"/v1/agent/services", G, "GET", ACL, agent_services_handle},
    {"/v1/agent/token/", U, "PUT", PREFIX | ACL, agent_token_handle},
};
/* clang-format on */
const size_t http_agent_routes_count = ARRAY_SIZE(http_agent_routes);
