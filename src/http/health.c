/* /v1/health */
#include "http/cached.h"
#include "http/catalog_json.h"
#include "http/catalog_request.h"
#include "http/http.h"
#include "http/translate.h"
#include "server/rpc.h"

/* --- checks ---------------------------------------------------------------------------------- */

static void checks_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_health_checks *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    catalog_json_checks(&w, reply->health_checks, !call->is_remote);
    http_finish(req, 200);
}

static void node(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_health_node_checks, checks_reply);
    if (call == NULL) {
        return;
    }
    struct node_request *args = call->args;
    args->node = req->tail;
    if (http_check_tail(req, "node name")) {
        http_rpc_start(req, call);
    }
}

static void checks(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_health_service_checks, checks_reply);
    if (call == NULL) {
        return;
    }
    struct service_request *args = call->args;
    args->service_name = req->tail;
    http_parse_source(req, &args->source);
    if (http_parse_node_meta(req, &args->node_meta_filters) &&
        http_check_tail(req, "service name")) {
        http_rpc_start(req, call);
    }
}

static void state(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_health_checks_in_state, checks_reply);
    if (call == NULL) {
        return;
    }
    struct checks_in_state_request *args = call->args;
    args->state = req->tail;
    http_parse_source(req, &args->source);
    if (http_parse_node_meta(req, &args->node_meta_filters) &&
        http_check_tail(req, "check state")) {
        http_rpc_start(req, call);
    }
}

/* --- instances ------------------------------------------------------------------------------- */

/* "?passing" alone means yes. False when the value is no boolean. */
static bool parse_passing(const struct http_req *req, bool *ret_passing)
{
    struct str value = http_param_value(req, STR("passing"));
    *ret_passing = http_has_param(req, STR("passing"));
    return value.n == 0 || str_parse_bool(value, ret_passing) >= 0;
}

static bool is_passing(const struct check_service_node *instance)
{
    for (size_t i = 0; i < instance->checks.n; i++) {
        const struct health_check *check = instance->checks.v[i];
        if (!str_eq(check->status, HEALTH_PASSING)) {
            return false;
        }
    }
    return true;
}

/* What fails changes places with the last one left, so the order is not kept; clients of 1.10.3
 * see this order. */
static size_t keep_passing(struct check_service_node *instances, size_t n)
{
    for (size_t i = 0; i < n;) {
        if (is_passing(&instances[i])) {
            i++;
        } else {
            instances[i] = instances[--n];
        }
    }
    return n;
}

/* 1.10.3 serves cached and blocking reads from a view that is kept up to date by a stream of
 * events, and says so; such an answer does not know of a leader. Ours come the usual way. */
static void set_meta(struct http_req *req, const struct service_request *args,
                     struct query_meta meta)
{
    const struct query_options *o = &args->options;
    meta.consistency_level = o->require_consistent ? STR("consistent")
                             : o->allow_stale      ? STR("stale")
                                                   : STR("leader");
    if (http_uses_streaming(req) && (o->use_cache || o->min_query_index > 0) && !args->ingress &&
        args->source.node.n == 0) {
        meta.known_leader = false;
        meta.last_contact = 0;
        meta.backend = 1;
    }
    http_set_meta(req, &meta);
}

static void instances_reply(struct http_req *req, struct rpc_call *call)
{
    struct indexed_check_service_nodes *reply = call->reply;
    struct check_service_node *instances = reply->nodes.v;
    size_t n = reply->nodes.n;
    bool passing;
    set_meta(req, call->args, reply->meta);
    http_translate_instances(req, ((const struct service_request *)call->args)->datacenter,
                             reply->nodes);
    http_cached(req, call, true);
    if (!parse_passing(req, &passing)) {
        http_error(req, 400, "Invalid value for ?passing");
        return;
    }
    if (passing) {
        n = keep_passing(instances, n);
    }
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < n; i++) {
        catalog_json_instance(&w, &instances[i], !call->is_remote);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

enum instances_kind { INSTANCES_TYPICAL, INSTANCES_CONNECT, INSTANCES_INGRESS };

static void instances(struct http_req *req, enum instances_kind kind)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_health_service_nodes, instances_reply);
    if (call == NULL) {
        return;
    }
    struct service_request *args = call->args;
    args->connect = kind == INSTANCES_CONNECT;
    args->ingress = kind == INSTANCES_INGRESS;
    if (catalog_parse_service(req, args)) {
        http_rpc_start(req, call);
    }
}

static void service(struct http_req *req)
{
    instances(req, INSTANCES_TYPICAL);
}

static void connect_service(struct http_req *req)
{
    instances(req, INSTANCES_CONNECT);
}

static void ingress(struct http_req *req)
{
    instances(req, INSTANCES_INGRESS);
}

/* clang-format off */
#define CHECKS                                                              \
    (HTTP_ROUTE_PREFIX | HTTP_ROUTE_CONSISTENCY | HTTP_ROUTE_META_ON_ERROR | \
     HTTP_ROUTE_MAX_STALE)
#define INSTANCES (HTTP_ROUTE_PREFIX | HTTP_ROUTE_NO_META | HTTP_ROUTE_MAX_STALE) /* set_meta() */
const struct http_route http_health_routes[] = {
    {"/v1/health/node/", HTTP_GET, "GET", CHECKS, node},
    {"/v1/health/checks/", HTTP_GET, "GET", CHECKS, checks},
    {"/v1/health/state/", HTTP_GET, "GET", CHECKS, state},
    {"/v1/health/service/", HTTP_GET, "GET", INSTANCES, service},
    {"/v1/health/connect/", HTTP_GET, "GET", INSTANCES, connect_service},
    {"/v1/health/ingress/", HTTP_GET, "GET", INSTANCES, ingress},
};
/* clang-format on */
const size_t http_health_routes_count = ARRAY_SIZE(http_health_routes);
