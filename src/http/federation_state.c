/* /v1/internal/federation-state: what the data centers tell each other of themselves. */
#include "schema/federation_state.h"

#include "http/http.h"
#include "server/rpc.h"

static void get_reply(struct http_req *req, struct rpc_call *call)
{
    const struct federation_state_response *reply = call->reply;
    if (reply->state == NULL) {
        http_finish(req, 404);
        return;
    }
    http_set_meta(req, &reply->meta);
    http_json_reply(req, &federation_state_response_schema, reply);
}

static void get(struct http_req *req)
{
    if (req->tail.n == 0) {
        http_error(req, 400, "Bad request: Missing datacenter name");
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_federation_state_get, get_reply);
    if (call != NULL) {
        struct federation_state_query *args = call->args;
        args->target_datacenter = args->datacenter; /* ?dc */
        args->datacenter = req->tail;
        http_rpc_start(req, call);
    }
}

static void list_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_federation_states *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->states.n; i++) {
        json_object(&w, &federation_state_schema, reply->states.v[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void list(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_federation_state_list, list_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

static void gateways_reply(struct http_req *req, struct rpc_call *call)
{
    const struct federation_gateways_reply *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    for (size_t i = 0; i < reply->datacenters.n; i++) {
        const struct federation_gateways *g = reply->datacenters.v[i].value;
        const struct check_service_node *nodes = g->nodes.v;
        json_key(&w, reply->datacenters.v[i].key);
        json_array_begin(&w);
        for (size_t k = 0; k < g->nodes.n; k++) {
            json_object(&w, &check_service_node_schema, &nodes[k]);
        }
        json_array_end(&w);
    }
    json_object_end(&w);
    http_finish(req, 200);
}

static void gateways(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_federation_state_list_mesh_gateways, gateways_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

/* clang-format off */
const struct http_route http_federation_state_routes[] = {
    {"/v1/internal/federation-states", HTTP_GET, "GET", HTTP_ROUTE_META_ON_ERROR, list},
    {"/v1/internal/federation-states/mesh-gateways", HTTP_GET, "GET", HTTP_ROUTE_META_ON_ERROR,
     gateways},
    {"/v1/internal/federation-state/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX | HTTP_ROUTE_NO_META, get},
};
/* clang-format on */
const size_t http_federation_state_routes_count = ARRAY_SIZE(http_federation_state_routes);
