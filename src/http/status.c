/* /v1/status: who leads, who votes. */
#include "http/http.h"
#include "server/reply.h"
#include "server/rpc.h"

static void status_leader_reply(struct http_req *req, struct rpc_call *call)
{
    const struct string_reply *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    json_str(&w, reply->value);
    http_finish(req, 200);
}

static void status_leader(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_status_leader, status_leader_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

static void status_peers_reply(struct http_req *req, struct rpc_call *call)
{
    const struct strlist_reply *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    json_strlist(&w, reply->values);
    http_finish(req, 200);
}

static void status_peers(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_status_peers, status_peers_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

const struct http_route http_status_routes[] = {
    {"/v1/status/leader", HTTP_GET, "GET", 0, status_leader},
    {"/v1/status/peers", HTTP_GET, "GET", 0, status_peers},
};
const size_t http_status_routes_count = ARRAY_SIZE(http_status_routes);
