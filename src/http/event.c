/* /v1/event/: fire an event, and list the last ones (waiting for the next by the index that derives
 * from the last event's id). */
#include "agent/user_event.h"

#include "agent/state.h"
#include "base/clock.h"
#include "http/agent_request.h"
#include "schema/gossip.h"
#include "server/acl_resolver.h"
#include "server/rpc.h"

#define WAIT_NS_MAX (int64_t)(600 * NS_PER_SEC)

/* --- fire ------------------------------------------------------------------------------------ */

static void fire_reply(struct http_req *req, struct rpc_call *call)
{
    (void)call;
    http_json_reply(req, &user_event_schema, req->data);
}

/* A refusal is told in the same two words by a client agent, whose server has said it. */
static bool fire_failed(struct http_req *req, struct rpc_call *call)
{
    bool is_denied = call->err->code == ERR_PERMISSION_DENIED;
    if (is_denied) {
        http_deny(req, NULL, STR_NULL);
    }
    return is_denied;
}

static void event_fire_handle(struct http_req *req)
{
    if (!http_check_tail(req, "name")) {
        return;
    }
    struct err err = {0};
    struct user_event *event = ARENA_NEW(req->arena, struct user_event);
    event->name = req->tail;
    event->node_filter = http_param_value(req, STR("node"));
    event->service_filter = http_param_value(req, STR("service"));
    event->tag_filter = http_param_value(req, STR("tag"));
    event->payload = req->body.n > 0 ? req->body : STR_NULL;
    if (user_event_complete(event, req->arena, &err) < 0) {
        http_error_from(req, &err);
        return;
    }
    struct rpc_call *call = http_rpc_plain(req, &rpc_internal_event_fire, fire_reply);
    http_rpc_on_error(req, fire_failed);
    struct event_fire_request *args = call->args;
    struct str datacenter = http_param_value(req, STR("dc"));
    req->data = event;
    args->datacenter = datacenter.n > 0 ? datacenter : http_datacenter(req);
    args->name = event->name;
    args->payload = user_event_encode(event, req->arena);
    args->options.allow_stale = true; /* any server will do */
    http_rpc_start(req, call);
}

/* --- list ------------------------------------------------------------------------------------ */

struct event_query {
    struct str name;
    uint64_t index;        /* wait while the list is still at this one; 0: do not */
    uint64_t deadline_ms;  /* monotonic */
    struct objlist events; /* the answer */
};

static void list_reply(struct http_req *req, struct agent_request *r);

/* Those that the caller may read; an authorizer may be asked on any thread. */
static void keep_visible(const struct agent_request *r, struct objlist *events)
{
    struct user_event *v = events->v;
    size_t kept = 0;
    for (size_t i = 0; i < events->n; i++) {
        if (r->who == NULL || acl_allows(r->who->rights, ACL_EVENT_READ, v[i].name)) {
            v[kept++] = v[i];
        }
    }
    events->n = kept;
}

static void list_run(struct agent_request *r)
{
    struct event_query *q = r->args;
    struct user_events *events = r->call.agent->events;
    uint64_t now_ms = clock_mono_ms();
    q->events = user_events_list(events, q->name, &r->arena);
    keep_visible(r, &q->events);
    if (q->index > 0 && user_events_index(q->events) == q->index && now_ms < q->deadline_ms) {
        agent_call_wait(&r->call, user_events_waiters(events), q->deadline_ms - now_ms);
        return;
    }
    agent_call_finish(&r->call);
}

static void list_start(struct http_req *req, struct event_query query)
{
    struct agent_request *r =
        agent_request_new(req, list_run, list_reply, sizeof(struct event_query));
    struct event_query *q = r->args;
    *q = query;
    q->name = agent_request_str(r, query.name);
    agent_request_start(r);
}

static void list_reply(struct http_req *req, struct agent_request *r)
{
    struct event_query *q = r->args;
    uint64_t index = user_events_index(q->events);
    if (index == q->index && clock_mono_ms() < q->deadline_ms) {
        /* Woken: look again; the list was taken before the wait. */
        struct event_query again = *q;
        again.name = http_param_value(req, STR("name"));
        list_start(req, again);
        return;
    }
    http_set_header(req, STR("X-Consul-Index"),
                    arena_printf(req->arena, "%llu", (unsigned long long)index));
    struct json_writer w = http_json_begin(req);
    const struct user_event *events = q->events.v;
    json_array_begin(&w);
    for (size_t i = 0; i < q->events.n; i++) {
        json_object(&w, &user_event_schema, &events[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void event_list_handle(struct http_req *req)
{
    struct query_options options = {0};
    if (!http_parse_wait(req, &options) || !http_known(req)) {
        return;
    }
    struct event_query query = {.name = http_param_value(req, STR("name")),
                                .index = options.min_query_index};
    int64_t ns =
        options.max_query_time > 0 ? MIN(options.max_query_time, WAIT_NS_MAX) : WAIT_NS_MAX;
    query.deadline_ms = clock_mono_ms() + (uint64_t)ns / NS_PER_MS;
    list_start(req, query);
}

/* clang-format off */
const struct http_route http_event_routes[] = {
    {"/v1/event/fire/", HTTP_PUT, "PUT", HTTP_ROUTE_PREFIX, event_fire_handle},
    {"/v1/event/list", HTTP_GET, "GET", HTTP_ROUTE_ACL, event_list_handle},
};
/* clang-format on */
const size_t http_event_routes_count = ARRAY_SIZE(http_event_routes);
