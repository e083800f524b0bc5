/* /v1/catalog */
#include "base/metrics.h"
#include "http/cached.h"
#include "http/catalog_json.h"
#include "http/catalog_request.h"
#include "http/http.h"
#include "http/translate.h"
#include "schema/dump.h"
#include "server/reply.h"
#include "server/rpc.h"

/* --- metrics: how often each endpoint was asked and has answered ------------------------------ */

#define CATALOG_APIS(X)                             \
    X(API_REGISTER, "catalog_register")             \
    X(API_DEREGISTER, "catalog_deregister")         \
    X(API_DATACENTERS, "catalog_datacenters")       \
    X(API_NODES, "catalog_nodes")                   \
    X(API_SERVICES, "catalog_services")             \
    X(API_SERVICE, "catalog_service_nodes")         \
    X(API_CONNECT, "catalog_connect_service_nodes") \
    X(API_NODE, "catalog_node_services")            \
    X(API_NODE_LIST, "catalog_node_service_list")

enum api {
#define X(id, name) id,
    CATALOG_APIS(X)
#undef X
};

struct counter {
    const char *name;
    _Atomic(struct metric *) metric; /* found at the first use */
};

static struct counter asked[] = {
#define X(id, name) {"client.api." name, NULL},
    CATALOG_APIS(X)
#undef X
};
static struct counter succeeded[] = {
#define X(id, name) {"client.api.success." name, NULL},
    CATALOG_APIS(X)
#undef X
};
static struct counter failed[] = {
#define X(id, name) {"client.rpc.error." name, NULL},
    CATALOG_APIS(X)
#undef X
};

static void count(const struct http_req *req, struct counter *c)
{
    struct metric *m = atomic_load_explicit(&c->metric, memory_order_acquire);
    if (m == NULL) {
        struct str node = arena_str(req->arena, http_node_name(req));
        struct metric_label label = {"node", node.p};
        m = metric_labeled(METRIC_KIND_COUNTER, c->name, &label, 1);
        atomic_store_explicit(&c->metric, m, memory_order_release);
    }
    metric_add(m, 1);
}

/* In these two, instances that can do Connect count as any. */
static enum api api_of(const struct rpc_call *call)
{
    static const struct {
        const struct rpc_method *method;
        enum api api;
    } apis[] = {
        {&rpc_catalog_register, API_REGISTER},
        {&rpc_catalog_deregister, API_DEREGISTER},
        {&rpc_catalog_list_datacenters, API_DATACENTERS},
        {&rpc_catalog_list_nodes, API_NODES},
        {&rpc_catalog_list_services, API_SERVICES},
        {&rpc_catalog_service_nodes, API_SERVICE},
        {&rpc_catalog_node_services, API_NODE},
        {&rpc_catalog_node_service_list, API_NODE_LIST},
    };
    size_t i = 0;
    while (apis[i].method != call->method) {
        i++;
        ASSERT(i < ARRAY_SIZE(apis));
    }
    return apis[i].api;
}

static void count_success(const struct http_req *req, const struct rpc_call *call)
{
    count(req, &succeeded[api_of(call)]);
}

static bool count_error(struct http_req *req, struct rpc_call *call)
{
    count(req, &failed[api_of(call)]);
    return false;
}

static struct rpc_call *catalog_rpc(struct http_req *req, const struct rpc_method *method,
                                    http_reply_fn reply)
{
    struct rpc_call *call = http_rpc(req, method, reply);
    if (call != NULL) {
        http_rpc_on_error(req, count_error);
    }
    return call;
}

/* --- writes ---------------------------------------------------------------------------------- */

static void written(struct http_req *req, struct rpc_call *call)
{
    count_success(req, call);
    struct json_writer w = http_json_begin(req);
    json_bool(&w, true);
    http_finish(req, 200);
}

static void catalog_register(struct http_req *req)
{
    count(req, &asked[API_REGISTER]);
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = catalog_rpc(req, &rpc_catalog_register, written);
    if (call == NULL) {
        return;
    }
    struct register_request *args = call->args;
    args->datacenter = STR_NULL; /* the body's, not the query's */
    if (!http_decode_body(req, &register_request_schema, args, DECODE_STRICT)) {
        return;
    }
    if (args->datacenter.n == 0) {
        args->datacenter = http_datacenter(req);
    }
    args->write.token = req->token;
    http_rpc_start(req, call);
}

/* What the body may say: also an address, which nobody has looked at for years. */
struct deregister_body {
    struct deregister_request request;
    struct str address;
};

static const struct field deregister_body_fields[] = {
    F_STR(struct deregister_body, address, "Address", 0),
    F_SPLICE(struct deregister_body, request, struct deregister_request,
             &deregister_request_schema),
    FIELDS_END,
};
static const struct schema deregister_body_schema =
    SCHEMA("", struct deregister_body, deregister_body_fields);

static void catalog_deregister(struct http_req *req)
{
    count(req, &asked[API_DEREGISTER]);
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = catalog_rpc(req, &rpc_catalog_deregister, written);
    if (call == NULL) {
        return;
    }
    struct deregister_request *args = call->args;
    struct deregister_body body = {0};
    if (!http_decode_body(req, &deregister_body_schema, &body, DECODE_STRICT)) {
        return;
    }
    *args = body.request;
    if (args->datacenter.n == 0) {
        args->datacenter = http_datacenter(req);
    }
    args->write.token = req->token;
    http_rpc_start(req, call);
}

/* --- lists ----------------------------------------------------------------------------------- */

static void datacenters_reply(struct http_req *req, struct rpc_call *call)
{
    count_success(req, call);
    const struct strlist_reply *reply = call->reply;
    http_cached(req, call, false);
    struct json_writer w = http_json_begin(req);
    json_strlist(&w, reply->values);
    http_finish(req, 200);
}

static void datacenters(struct http_req *req)
{
    count(req, &asked[API_DATACENTERS]);
    struct query_options options = {.token = req->token};
    if (http_parse_consistency(req, &options)) {
        struct rpc_call *call =
            http_rpc_plain(req, &rpc_catalog_list_datacenters, datacenters_reply);
        ((struct datacenters_request *)call->args)->options = options;
        http_rpc_on_error(req, count_error);
        http_rpc_start(req, call);
    }
}

static void nodes_reply(struct http_req *req, struct rpc_call *call)
{
    count_success(req, call);
    const struct indexed_nodes *reply = call->reply;
    bool translates = http_translates(req, ((const struct dc_request *)call->args)->datacenter);
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->nodes.n; i++) {
        if (translates) {
            http_translate_node(reply->nodes.v[i]);
        }
        catalog_json_node(&w, reply->nodes.v[i], !call->is_remote);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void nodes(struct http_req *req)
{
    count(req, &asked[API_NODES]);
    struct rpc_call *call = catalog_rpc(req, &rpc_catalog_list_nodes, nodes_reply);
    if (call == NULL) {
        return;
    }
    struct dc_request *args = call->args;
    http_parse_source(req, &args->source);
    if (http_parse_node_meta(req, &args->node_meta_filters)) {
        http_rpc_start(req, call);
    }
}

static void services_reply(struct http_req *req, struct rpc_call *call)
{
    count_success(req, call);
    const struct indexed_services *reply = call->reply;
    http_cached(req, call, true);
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    for (size_t i = 0; i < reply->services.n; i++) {
        json_key(&w, reply->services.v[i].key);
        json_strlist(&w, reply->services.v[i].values);
    }
    json_object_end(&w);
    http_finish(req, 200);
}

static void services(struct http_req *req)
{
    count(req, &asked[API_SERVICES]);
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = catalog_rpc(req, &rpc_catalog_list_services, services_reply);
    if (call == NULL) {
        return;
    }
    struct dc_request *args = call->args;
    if (http_parse_node_meta(req, &args->node_meta_filters)) {
        http_rpc_start(req, call);
    }
}

/* --- instances ------------------------------------------------------------------------------- */

static void service_nodes_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_service_nodes *reply = call->reply;
    const struct service_node *list = reply->service_nodes.v;
    const struct service_request *args = call->args;
    bool translates = http_translates(req, args->datacenter);
    count_success(req, call);
    http_cached(req, call, true);
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->service_nodes.n; i++) {
        if (translates) {
            http_translate_node(list[i].node);
            http_translate_service(list[i].service);
        }
        catalog_json_service_node(&w, &list[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void service_nodes(struct http_req *req, bool connect)
{
    count(req, &asked[connect ? API_CONNECT : API_SERVICE]);
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = catalog_rpc(req, &rpc_catalog_service_nodes, service_nodes_reply);
    if (call == NULL) {
        return;
    }
    struct service_request *args = call->args;
    args->connect = connect;
    if (catalog_parse_service(req, args)) {
        http_rpc_start(req, call);
    }
}

static void service(struct http_req *req)
{
    service_nodes(req, false);
}

static void connect_service(struct http_req *req)
{
    service_nodes(req, true);
}

/* --- one node -------------------------------------------------------------------------------- */

static bool translates_node(const struct http_req *req, const struct rpc_call *call,
                            const struct node *node)
{
    bool translates = http_translates(req, ((const struct node_request *)call->args)->datacenter);
    if (translates && node != NULL) {
        http_translate_node(node);
    }
    return translates;
}

static void node_reply(struct http_req *req, struct rpc_call *call)
{
    count_success(req, call);
    const struct indexed_node_services *reply = call->reply;
    const struct node_services *found = reply->node_services;
    struct json_writer w = http_json_begin(req);
    if (found == NULL) {
        json_null(&w);
        http_finish(req, 200);
        return;
    }
    bool translates = translates_node(req, call, found->node);
    json_object_begin(&w);
    json_key(&w, STR("Node"));
    catalog_json_node(&w, found->node, !call->is_remote);
    json_key(&w, STR("Services"));
    json_object_begin(&w);
    for (size_t i = 0; i < found->services.n; i++) {
        if (translates) {
            http_translate_service(found->services.v[i].value);
        }
        json_key(&w, found->services.v[i].key);
        catalog_json_service(&w, found->services.v[i].value, !call->is_remote);
    }
    json_object_end(&w);
    json_object_end(&w);
    http_finish(req, 200);
}

static void node_services_reply(struct http_req *req, struct rpc_call *call)
{
    count_success(req, call);
    const struct indexed_node_service_list *reply = call->reply;
    const struct node_service_list *found = &reply->node_services;
    bool translates = translates_node(req, call, found->node);
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_key(&w, STR("Node"));
    if (found->node != NULL) {
        catalog_json_node(&w, found->node, !call->is_remote);
    } else {
        json_null(&w);
    }
    json_key(&w, STR("Services"));
    if (found->services.v != NULL) {
        json_array_begin(&w);
        for (size_t i = 0; i < found->services.n; i++) {
            if (translates) {
                http_translate_service(found->services.v[i]);
            }
            catalog_json_service(&w, found->services.v[i], !call->is_remote);
        }
        json_array_end(&w);
    } else {
        json_null(&w);
    }
    json_object_end(&w);
    http_finish(req, 200);
}

static void about_node(struct http_req *req, const struct rpc_method *method, http_reply_fn reply)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = catalog_rpc(req, method, reply);
    if (call == NULL) {
        return;
    }
    struct node_request *args = call->args;
    args->node = req->tail;
    if (http_check_tail(req, "node name")) {
        http_rpc_start(req, call);
    }
}

static void node(struct http_req *req)
{
    count(req, &asked[API_NODE]);
    about_node(req, &rpc_catalog_node_services, node_reply);
}

static void node_services(struct http_req *req)
{
    count(req, &asked[API_NODE_LIST]);
    about_node(req, &rpc_catalog_node_service_list, node_services_reply);
}

/* clang-format off */
#define READ (HTTP_ROUTE_CONSISTENCY | HTTP_ROUTE_META_ON_ERROR | HTTP_ROUTE_MAX_STALE)
const struct http_route http_catalog_routes[] = {
    {"/v1/catalog/register", HTTP_PUT, "PUT", 0, catalog_register},
    {"/v1/catalog/deregister", HTTP_PUT, "PUT", 0, catalog_deregister},
    {"/v1/catalog/datacenters", HTTP_GET, "GET", HTTP_ROUTE_CONSISTENCY, datacenters},
    {"/v1/catalog/nodes", HTTP_GET, "GET", READ, nodes},
    {"/v1/catalog/services", HTTP_GET, "GET", READ, services},
    {"/v1/catalog/service/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX | READ, service},
    {"/v1/catalog/connect/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX | READ, connect_service},
    {"/v1/catalog/node/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX | READ, node},
    {"/v1/catalog/node-services/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX | READ, node_services},
};
/* clang-format on */
const size_t http_catalog_routes_count = ARRAY_SIZE(http_catalog_routes);
