/* /v1/discovery-chain: what config entries make of one service. */
#include "schema/discovery_chain.h"

#include "http/cached.h"
#include "http/http.h"
#include "server/rpc.h"

static void reply_chain(struct http_req *req, struct rpc_call *call)
{
    const struct discovery_chain_response *reply = call->reply;
    http_cached(req, call, true);
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_key(&w, STR("Chain"));
    json_object(&w, &compiled_discovery_chain_schema, reply->chain);
    json_object_end(&w);
    http_finish(req, 200);
}

static bool is_gateway_mode(struct str mode)
{
    return mode.n == 0 || str_eq_lit(mode, "none") || str_eq_lit(mode, "local") ||
           str_eq_lit(mode, "remote");
}

/* What the body changes; false, and answered, when it is no good. */
static bool decode_overrides(struct http_req *req, struct chain_overrides *ret)
{
    struct err err = {0};
    struct strlist unused; /* is no error */
    struct value *body;
    struct str rest = req->body;
    int r = json_parse_next(req->arena, &rest, &body, &err);
    if (r >= 0 && body->kind != VALUE_NULL) {
        r = schema_decode_unused(&chain_overrides_schema, body, ret, req->arena,
                                 DECODE_SNAKE | DECODE_WEAK | DECODE_FLOATS, &unused, &err);
    }
    if (r < 0) {
        http_error(req, 400, "Bad request: Request decoding failed: %s", err_text(&err));
        return false;
    }
    if (!is_gateway_mode(ret->mesh_gateway.mode)) {
        http_error(req, 400, "Invalid OverrideMeshGateway.Mode parameter");
        return false;
    }
    return true;
}

static void read_chain(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_discovery_chain_get, reply_chain);
    if (call == NULL) {
        return;
    }
    if (req->tail.n == 0) {
        http_error(req, 400, "Bad request: Missing chain name");
        return;
    }
    struct discovery_chain_request *args = call->args;
    args->name = req->tail;
    args->evaluate_in_datacenter = http_param_value(req, STR("compile-dc"));
    if (http_check_namespace(req) &&
        (req->method != HTTP_POST || decode_overrides(req, &args->overrides))) {
        http_rpc_start(req, call);
    }
}

/* clang-format off */
const struct http_route http_discovery_chain_routes[] = {
    {"/v1/discovery-chain/", HTTP_GET | HTTP_POST, "GET,POST",
     HTTP_ROUTE_PREFIX | HTTP_ROUTE_META_ON_ERROR | HTTP_ROUTE_CONSISTENCY | HTTP_ROUTE_MAX_STALE,
     read_chain},
};
/* clang-format on */
const size_t http_discovery_chain_routes_count = ARRAY_SIZE(http_discovery_chain_routes);
