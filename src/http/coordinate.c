/* /v1/coordinate */
#include "base/vec.h"
#include "http/http.h"
#include "schema/dump.h"
#include "server/rpc.h"

#include <stdlib.h>

/* A call, unless the agent was told to do without coordinates (answered). */
static struct rpc_call *coordinate_rpc(struct http_req *req, const struct rpc_method *method,
                                       http_reply_fn reply)
{
    if (!http_has_coordinates(req)) {
        http_error(req, 401, "Coordinate support disabled");
        return NULL;
    }
    return http_rpc(req, method, reply);
}

static int by_datacenter(const void *x, const void *y)
{
    const struct datacenter_map *a = x, *b = y;
    return str_cmp(a->datacenter, b->datacenter);
}

static int by_node(const void *x, const void *y)
{
    const struct node_coordinate *a = x, *b = y;
    return str_cmp(a->node, b->node);
}

static void json_coordinates(struct json_writer *w, struct objlist list)
{
    const struct node_coordinate *coordinates = list.v;
    json_array_begin(w);
    for (size_t i = 0; i < list.n; i++) {
        json_object(w, &node_coordinate_schema, &coordinates[i]);
    }
    json_array_end(w);
}

static void datacenters_reply(struct http_req *req, struct rpc_call *call)
{
    const struct datacenter_maps_reply *reply = call->reply;
    struct datacenter_map *maps = reply->maps.v;
    struct json_writer w = http_json_begin(req);
    if (reply->maps.n > 1) {
        qsort(maps, reply->maps.n, sizeof(maps[0]), by_datacenter);
    }
    json_array_begin(&w);
    for (size_t i = 0; i < reply->maps.n; i++) {
        struct objlist list = maps[i].coordinates;
        if (list.n > 1) {
            qsort(list.v, list.n, sizeof(struct node_coordinate), by_node);
        }
        json_object_begin(&w);
        json_key(&w, STR("Datacenter"));
        json_str(&w, maps[i].datacenter);
        json_key(&w, STR("AreaID"));
        json_str(&w, maps[i].area_id);
        json_key(&w, STR("Coordinates"));
        json_coordinates(&w, list);
        json_object_end(&w);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void datacenters(struct http_req *req)
{
    struct rpc_call *call =
        coordinate_rpc(req, &rpc_coordinate_list_datacenters, datacenters_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

/* Those of the segment that was asked for, if any was. */
static struct objlist in_segment(const struct http_req *req, struct objlist list)
{
    if (!http_has_param(req, STR("segment"))) {
        return list;
    }
    struct str segment = http_param_value(req, STR("segment"));
    struct node_coordinate *coordinates = list.v;
    size_t kept = 0;
    for (size_t i = 0; i < list.n; i++) {
        if (str_eq(coordinates[i].segment, segment)) {
            coordinates[kept++] = coordinates[i];
        }
    }
    return (struct objlist){list.v, kept};
}

static void nodes_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_coordinates *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    json_coordinates(&w, in_segment(req, reply->coordinates));
    http_finish(req, 200);
}

static void nodes(struct http_req *req)
{
    struct rpc_call *call = coordinate_rpc(req, &rpc_coordinate_list_nodes, nodes_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

static void node_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_coordinates *reply = call->reply;
    struct objlist list = in_segment(req, reply->coordinates);
    if (list.n == 0) {
        http_set_meta_late(req, &reply->meta);
        http_finish(req, 404);
        return;
    }
    http_set_meta(req, &reply->meta);
    struct json_writer w = http_json_begin(req);
    json_coordinates(&w, list);
    http_finish(req, 200);
}

static void node(struct http_req *req)
{
    struct rpc_call *call = coordinate_rpc(req, &rpc_coordinate_node, node_reply);
    if (call == NULL) {
        return;
    }
    struct node_request *args = call->args;
    args->node = req->tail;
    http_rpc_start(req, call);
}

static void updated(struct http_req *req, struct rpc_call *call UNUSED)
{
    http_finish(req, 200);
}

static void update(struct http_req *req)
{
    struct rpc_call *call = coordinate_rpc(req, &rpc_coordinate_update, updated);
    if (call == NULL) {
        return;
    }
    struct coordinate_update_request *args = call->args;
    struct str datacenter = args->datacenter;
    if (!http_decode_body(req, &coordinate_update_request_schema, args, DECODE_STRICT)) {
        return;
    }
    /* The query says where, the body only if it does not. */
    if (http_has_param(req, STR("dc")) || args->datacenter.n == 0) {
        args->datacenter = datacenter;
    }
    args->write.token = req->token;
    http_rpc_start(req, call);
}

/* clang-format off */
const struct http_route http_coordinate_routes[] = {
    {"/v1/coordinate/datacenters", HTTP_GET, "GET", 0, datacenters},
    {"/v1/coordinate/nodes", HTTP_GET, "GET", HTTP_ROUTE_META_ON_ERROR, nodes},
    {"/v1/coordinate/node/", HTTP_GET, "GET",
     HTTP_ROUTE_PREFIX | HTTP_ROUTE_NO_META | HTTP_ROUTE_META_ON_ERROR, node},
    {"/v1/coordinate/update", HTTP_PUT, "PUT", 0, update},
};
/* clang-format on */
const size_t http_coordinate_routes_count = ARRAY_SIZE(http_coordinate_routes);
