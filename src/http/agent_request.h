/* agent_request.h - a request that the agent's main loop has to answer.
 *
 *     struct agent_request *r = agent_request_new(req, run, reply, sizeof(struct my_args));
 *     struct my_args *args = r->args;  args->id = agent_request_str(r, req->tail);
 *     agent_request_start(r);
 *
 * run() is called on the main loop and ends in agent_call_finish() or its relatives; reply() is
 * called back here, unless the client has gone or run() has left an error in r->call.err (which is
 * answered by http_error_from()). What run() looks at must be in r->arena: the request itself may
 * end while the call is under way. */
#pragma once
#include "agent/agent.h"
#include "http/http.h"

struct agent_request {
    struct agent_call call;
    struct arena arena;
    void *args;
    struct http_req *req; /* NULL: the client has gone; the worker's thread */
    struct acl_who *who;  /* of the request, counted: what it may do can be asked in run() as well */
    void (*run)(struct agent_request *r);
    void (*reply)(struct http_req *req, struct agent_request *r);
};

struct agent_request *
agent_request_new(struct http_req *req, void (*run)(struct agent_request *r),
                  void (*reply)(struct http_req *req, struct agent_request *r), size_t args_size);
static inline struct str agent_request_str(struct agent_request *r, struct str s)
{
    return arena_str(&r->arena, s);
}
void agent_request_start(struct agent_request *r);
/* One that will not be started. */
void agent_request_drop(struct agent_request *r);

/* On the main loop, behind a change of the agent's own state: done when the catalog has heard of
 * it, or at once when it failed (rc < 0, with r->call.err set). */
void agent_request_finish(struct agent_request *r, int rc);
/* The whole of a handler that wants but the id at the end of the path: r->args is a struct str, the
 * answer has no body. */
void agent_request_start_by_id(struct http_req *req, void (*run)(struct agent_request *r));

/* A reply without a body, 200. */
void agent_reply_ok(struct http_req *req, struct agent_request *r);

/* The route handlers of the other files. */
void agent_services_handle(struct http_req *req);
void agent_service_get_handle(struct http_req *req);
void agent_checks_handle(struct http_req *req);
void agent_health_id_handle(struct http_req *req);
void agent_health_name_handle(struct http_req *req);
void agent_service_register_handle(struct http_req *req);
void agent_service_deregister_handle(struct http_req *req);
void agent_service_maintenance_handle(struct http_req *req);
void agent_node_maintenance_handle(struct http_req *req);
void agent_check_register_handle(struct http_req *req);
void agent_check_deregister_handle(struct http_req *req);
void agent_check_pass_handle(struct http_req *req);
void agent_check_warn_handle(struct http_req *req);
void agent_check_fail_handle(struct http_req *req);
void agent_check_update_handle(struct http_req *req);
void agent_self_handle(struct http_req *req);
void agent_host_handle(struct http_req *req);
void agent_members_handle(struct http_req *req);
void agent_metrics_handle(struct http_req *req);
void agent_monitor_handle(struct http_req *req);
void agent_reload_handle(struct http_req *req);
void agent_join_handle(struct http_req *req);
void agent_leave_handle(struct http_req *req);
void agent_force_leave_handle(struct http_req *req);
void agent_token_handle(struct http_req *req);
