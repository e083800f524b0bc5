/* /v1/connect/ca/ and the agent's view of the roots. */
#include "schema/connect_ca.h"

#include "http/cached.h"
#include "http/http.h"
#include "server/rpc.h"

static void write_roots(struct http_req *req, const struct indexed_ca_roots *reply)
{
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_key(&w, STR("ActiveRootID"));
    json_str(&w, reply->active_root_id);
    json_key(&w, STR("TrustDomain"));
    json_str(&w, reply->trust_domain);
    json_key(&w, STR("Roots"));
    json_array_begin(&w);
    for (size_t i = 0; i < reply->roots.n; i++) {
        json_object(&w, &ca_root_schema, reply->roots.v[i]);
    }
    json_array_end(&w);
    json_object_end(&w);
    http_finish(req, 200);
}

/* One chain of everything; its headers leave before the metadata is known, as Consul's do. */
static void write_roots_pem(struct http_req *req, const struct indexed_ca_roots *reply)
{
    req->content_type = STR("application/pem-certificate-chain");
    for (size_t i = 0; i < reply->roots.n; i++) {
        const struct ca_root *root = reply->roots.v[i];
        buf_str(req->out, root->root_cert);
        for (size_t j = 0; j < root->intermediate_certs.n; j++) {
            buf_str(req->out, root->intermediate_certs.v[j]);
        }
    }
    http_finish(req, 200);
}

/* ?pem; empty is false, what is no boolean an error. */
static int wants_pem(const struct http_req *req, bool *ret_pem)
{
    struct str text = http_param_value(req, STR("pem"));
    *ret_pem = false;
    return text.n > 0 ? str_parse_bool(text, ret_pem) : 0;
}

static void roots_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_ca_roots *reply = call->reply;
    bool is_pem;
    if (wants_pem(req, &is_pem) == 0 && is_pem) {
        write_roots_pem(req, reply);
        return;
    }
    http_set_meta(req, &reply->meta);
    write_roots(req, reply);
}

static void roots_handle(struct http_req *req)
{
    bool is_pem;
    struct rpc_call *call = http_rpc(req, &rpc_connect_ca_roots, roots_reply);
    if (call == NULL) {
        return;
    }
    if (wants_pem(req, &is_pem) < 0) {
        http_error(req, 400, "Bad request: The 'pem' query parameter must be a boolean value");
        return;
    }
    http_rpc_start(req, call);
}

static void agent_roots_reply(struct http_req *req, struct rpc_call *call)
{
    struct query_options *options = &((struct dc_request *)call->args)->options;
    const struct indexed_ca_roots *reply = call->reply;
    options->use_cache = true; /* this endpoint always answers from the agent's cache */
    http_cached(req, call, true);
    http_set_meta(req, &reply->meta);
    write_roots(req, reply);
}

static void agent_roots_handle(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_connect_ca_roots, agent_roots_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

static void configuration_reply(struct http_req *req, struct rpc_call *call)
{
    http_json_reply(req, &ca_configuration_schema, call->reply);
}

static void configuration_handle(struct http_req *req)
{
    if (req->method == HTTP_PUT) {
        if (!http_permit(req, ACL_OPERATOR_WRITE, STR(""))) {
            return;
        }
        http_error(req, 501, "changing the CA's configuration is not supported by this version");
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_connect_ca_configuration_get, configuration_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

/* clang-format off */
const struct http_route http_connect_ca_routes[] = {
    {"/v1/connect/ca/roots", HTTP_GET, "GET", HTTP_ROUTE_META_ON_ERROR | HTTP_ROUTE_NO_META, roots_handle},
    {"/v1/connect/ca/configuration", HTTP_GET | HTTP_PUT, "GET,PUT", HTTP_ROUTE_ACL, configuration_handle},
    {"/v1/agent/connect/ca/roots", HTTP_GET, "GET", HTTP_ROUTE_NO_META, agent_roots_handle},
};
/* clang-format on */
const size_t http_connect_ca_routes_count = ARRAY_SIZE(http_connect_ca_routes);
