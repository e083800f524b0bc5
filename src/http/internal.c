/* /v1/internal/ui: what the web interface asks for. */
#include "agent/agent.h"
#include "agent/config.h"
#include "base/gofmt.h"
#include "http/http.h"
#include "http/summary.h"
#include "schema/config_gateways.h"
#include "schema/intention.h"
#include "schema/topology.h"
#include "server/rpc.h"

/* --- nodes ----------------------------------------------------------------------------------- */

static void json_node_info(struct json_writer *w, const struct node_info *info)
{
    struct node_info copy = *info;
    if (copy.services.v == NULL) {
        copy.services.v = SCHEMA_EMPTY;
    }
    if (copy.checks.v == NULL) {
        copy.checks.v = SCHEMA_EMPTY;
    }
    json_object(w, &node_info_schema, &copy);
}

static void nodes_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_node_dump *reply = call->reply;
    const struct node_info *infos = reply->dump.v;
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->dump.n; i++) {
        json_node_info(&w, &infos[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void nodes(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_internal_node_dump, nodes_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

static void node_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_node_dump *reply = call->reply;
    if (reply->dump.n == 0) {
        http_set_meta_late(req, &reply->meta);
        http_finish(req, 404);
        return;
    }
    http_set_meta(req, &reply->meta);
    struct json_writer w = http_json_begin(req);
    json_node_info(&w, reply->dump.v);
    http_finish(req, 200);
}

static void node(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_internal_node_info, node_reply);
    if (call == NULL) {
        return;
    }
    struct node_request *args = call->args;
    args->node = req->tail;
    if (http_check_tail(req, "node name")) {
        http_rpc_start(req, call);
    }
}

/* --- services -------------------------------------------------------------------------------- */

static void summaries_reply(struct http_req *req, struct summaries *all, bool is_listing)
{
    struct json_writer w = http_json_begin(req);
    summaries_write(all, &w, is_listing);
    summaries_deinit(all);
    http_finish(req, 200);
}

static void services_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_nodes_with_gateways *reply = call->reply;
    const struct check_service_node *instances = reply->nodes.v;
    struct summaries all;
    summaries_init(&all, req->arena);
    for (size_t i = 0; i < reply->nodes.n; i++) {
        summaries_add(&all, &instances[i]);
    }
    for (size_t i = 0; i < reply->gateways.n; i++) {
        summaries_link(&all, reply->gateways.v[i]);
    }
    summaries_reply(req, &all, true);
}

static void services(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_internal_service_dump, services_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

/* --- gateways -------------------------------------------------------------------------------- */

/* Where an ingress gateway serves a service: at the hosts of its entry, or under DNS names. */
static void add_addresses(struct http_req *req, struct summaries *all, struct str datacenter,
                          const struct gateway_service *g)
{
    struct str domains[2];
    http_dns_domains(req, &domains[0], &domains[1]);
    if (g->port == 0) {
        return;
    }
    for (size_t i = 0; i < g->hosts.n; i++) {
        summaries_add_address(all, g->service.name, g->hosts.v[i], g->port);
    }
    for (size_t i = 0; g->hosts.n == 0 && i < ARRAY_SIZE(domains); i++) {
        if (domains[i].n > 0) {
            struct str host =
                arena_printf(req->arena, "%.*s.ingress.%.*s.%.*s", STRF(g->service.name),
                             STRF(datacenter), STRF(domains[i]));
            summaries_add_address(all, g->service.name, host, g->port);
        }
    }
}

static void gateway_services_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_service_dump *reply = call->reply;
    const struct service_request *args = call->args;
    const struct service_info *infos = reply->dump.v;
    struct summaries all;
    summaries_init(&all, req->arena);
    for (size_t i = 0; i < reply->dump.n; i++) {
        summaries_name(&all, infos[i].gateway_service->service.name);
        add_addresses(req, &all, args->datacenter, infos[i].gateway_service);
        if (infos[i].service != NULL) {
            const struct check_service_node instance = {infos[i].node, infos[i].service,
                                                        infos[i].checks};
            summaries_add(&all, &instance);
        }
    }
    summaries_reply(req, &all, false);
}

static void gateway_services(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call =
        http_rpc(req, &rpc_internal_gateway_service_dump, gateway_services_reply);
    if (call == NULL) {
        return;
    }
    struct service_request *args = call->args;
    args->service_name = req->tail;
    if (http_check_tail(req, "gateway name")) {
        http_rpc_start(req, call);
    }
}

/* --- topology -------------------------------------------------------------------------------- */

/* One side of a service. */
struct side {
    struct objlist instances;
    struct objmap decisions;
    struct strmap sources;
};

static void more_of_topology(struct json_writer *w, struct str service, const void *data)
{
    static const struct intention_decision none;
    const struct side *side = data;
    const void *decision = objmap_get(side->decisions, service);
    struct str source = STR("");
    (void)strmap_get(side->sources, service, &source);
    json_key(w, STR("Source"));
    json_str(w, source);
    json_key(w, STR("Intention"));
    json_object(w, &intention_decision_schema, decision != NULL ? decision : &none);
}

static void json_side(struct http_req *req, struct json_writer *w, const struct side *side)
{
    const struct check_service_node *instances = side->instances.v;
    struct summaries all;
    summaries_init(&all, req->arena);
    for (size_t i = 0; i < side->instances.n; i++) {
        summaries_add(&all, &instances[i]);
    }
    summaries_write_ends(&all, w, more_of_topology, side);
    summaries_deinit(&all);
}

/* Upstreams that have no instance, only entries that route their requests. */
static void json_routing(struct http_req *req, struct json_writer *w, struct str datacenter,
                         const struct side *side)
{
    struct summaries all;
    summaries_init(&all, req->arena);
    for (size_t i = 0; i < side->sources.n; i++) {
        if (str_eq(side->sources.v[i].value, TOPOLOGY_ROUTING_CONFIG)) {
            summaries_place(&all, side->sources.v[i].key, datacenter);
        }
    }
    summaries_write_ends(&all, w, more_of_topology, side);
    summaries_deinit(&all);
}

static void topology_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_service_topology *reply = call->reply;
    const struct service_topology *t = reply->topology;
    const struct side up = {t->upstreams, t->upstream_decisions, t->upstream_sources};
    const struct side down = {t->downstreams, t->downstream_decisions, t->downstream_sources};
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_key(&w, STR("Protocol"));
    json_str(&w, t->metrics_protocol);
    json_key(&w, STR("TransparentProxy"));
    json_bool(&w, t->transparent_proxy);
    json_key(&w, STR("Upstreams"));
    json_array_begin(&w);
    json_side(req, &w, &up);
    json_routing(req, &w, ((const struct service_request *)call->args)->datacenter, &up);
    json_array_end(&w);
    json_key(&w, STR("Downstreams"));
    json_array_begin(&w);
    json_side(req, &w, &down);
    json_array_end(&w);
    json_key(&w, STR("FilteredByACLs"));
    json_bool(&w, reply->filtered_by_acls);
    json_object_end(&w);
    http_finish(req, 200);
}

static bool parse_kind(struct http_req *req, struct str *ret_kind)
{
    const struct http_param *kind = http_param(req, STR("kind"));
    if (kind == NULL) {
        http_error(req, 400, "Missing service kind");
        return false;
    }
    if (kind->value.n > 0 && !str_eq(kind->value, SERVICE_KIND_INGRESS_GATEWAY)) {
        http_error(req, 400, "Unsupported service kind %.*s",
                   STRF(go_quoted(req->arena, kind->value)));
        return false;
    }
    *ret_kind = kind->value;
    return true;
}

static void topology(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_internal_service_topology, topology_reply);
    if (call == NULL || !http_check_namespace(req)) {
        return;
    }
    struct service_request *args = call->args;
    args->service_name = req->tail;
    if (http_check_tail(req, "service name") && parse_kind(req, &args->service_kind)) {
        http_rpc_start(req, call);
    }
}

static void gateway_intentions_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_intentions *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    json_object(&w, &intention_list_schema, &(struct intention_list){reply->intentions});
    http_finish(req, 200);
}

static void gateway_intentions(struct http_req *req)
{
    struct rpc_call *call =
        http_rpc(req, &rpc_internal_gateway_intentions, gateway_intentions_reply);
    if (call == NULL || !http_check_namespace(req)) {
        return;
    }
    struct intention_query_request *args = call->args;
    struct intention_match_entry *entry = ARENA_NEW(req->arena, struct intention_match_entry);
    entry->name = req->tail;
    args->match = ARENA_NEW(req->arena, struct intention_query_match);
    *args->match = (struct intention_query_match){INTENTION_BY_DESTINATION, {entry, 1}};
    if (http_check_tail(req, "gateway name")) {
        http_rpc_start(req, call);
    }
}

/* --- metrics --------------------------------------------------------------------------------- */

static void metrics_proxy(struct http_req *req)
{
    const struct config_ui *ui = &agent_config(req->agent)->ui;
    if (!ui->enabled) {
        http_error(req, 404, "UI is not enabled");
    } else if (ui->metrics_proxy_base_url.n == 0) {
        http_error(req, 404, "Metrics proxy is not enabled");
    } else {
        http_error(req, 501, "%s is not supported by this version", req->route->pattern);
    }
}

/* clang-format off */
#define DUMP (HTTP_ROUTE_META_ON_ERROR | HTTP_ROUTE_STALE_WITHOUT_LEADER)
const struct http_route http_internal_routes[] = {
    {"/v1/internal/ui/nodes", HTTP_GET, "GET", DUMP, nodes},
    {"/v1/internal/ui/node/", HTTP_GET, "GET",
     HTTP_ROUTE_PREFIX | HTTP_ROUTE_NO_META | DUMP, node},
    {"/v1/internal/ui/services", HTTP_GET, "GET", DUMP, services},
    {"/v1/internal/ui/service-topology/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX | DUMP, topology},
    {"/v1/internal/ui/gateway-intentions/", HTTP_GET, "GET",
     HTTP_ROUTE_PREFIX | HTTP_ROUTE_META_ON_ERROR, gateway_intentions},
    {"/v1/internal/ui/metrics-proxy/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX, metrics_proxy},
    {"/v1/internal/ui/gateway-services-nodes/", HTTP_GET, "GET",
     HTTP_ROUTE_PREFIX | DUMP, gateway_services},
};
/* clang-format on */
const size_t http_internal_routes_count = ARRAY_SIZE(http_internal_routes);
