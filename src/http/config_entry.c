/* /v1/config: centralized configuration, and /v1/catalog/gateway-services, which follows from it.
 */
#include "store/config_entry.h"

#include "base/gofmt.h"
#include "http/http.h"
#include "schema/config_gateways.h"
#include "server/delegate.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/worker.h"

/* --- reading --------------------------------------------------------------------------------- */

static void get_reply(struct http_req *req, struct rpc_call *call)
{
    const struct config_entry_response *reply = call->reply;
    const struct config_entry_query *args = call->args;
    if (reply->entry == NULL) {
        http_error(req, 404, "Config entry not found for %.*s / %.*s",
                   STRF(go_quoted(req->arena, args->kind)),
                   STRF(go_quoted(req->arena, args->name)));
        return;
    }
    struct json_writer w = http_json_begin(req);
    json_raw(&w, config_entry_json(reply->entry));
    http_finish(req, 200);
}

static void list_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_config_entries *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->entries.n; i++) {
        json_raw(&w, config_entry_json(reply->entries.v[i]));
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void get(struct http_req *req)
{
    struct str kind, name;
    bool has_name = str_cut(req->tail, '/', &kind, &name);
    struct rpc_call *call = http_rpc(req, has_name ? &rpc_config_entry_get : &rpc_config_entry_list,
                                     has_name ? get_reply : list_reply);
    if (call != NULL && http_check_namespace(req)) {
        struct config_entry_query *args = call->args;
        args->kind = kind;
        args->name = name;
        http_rpc_start(req, call);
    }
}

/* --- writing --------------------------------------------------------------------------------- */

/* Whatever data center was asked: entries are written in the primary one, and copied from there. */
static void start_write(struct http_req *req, struct rpc_call *call)
{
    struct config_entry_request *args = call->args;
    args->datacenter = req->worker->delegate->primary_datacenter;
    http_rpc_start(req, call);
}

static void delete_reply(struct http_req *req, struct rpc_call *call)
{
    (void)call;
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_object_end(&w);
    http_finish(req, 200);
}

static void delete (struct http_req *req)
{
    struct str kind, name;
    struct err err = {0};
    if (!str_cut(req->tail, '/', &kind, &name)) {
        http_error(req, 404, "Must provide both a kind and name to delete");
        return;
    }
    int type = config_entry_kind_find(kind, &err);
    if (type < 0) {
        http_error(req, 400, "%s", err_text(&err));
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_config_entry_delete, delete_reply);
    if (call != NULL && http_check_namespace(req)) {
        struct config_entry_request *args = call->args;
        args->entry = config_entry_new(req->arena, (enum config_entry_kind)type, name);
        start_write(req, call);
    }
}

static void by_method(struct http_req *req)
{
    if (req->method == HTTP_DELETE) {
        delete (req);
    } else {
        get(req);
    }
}

/* Go's word for a JSON value that was to be an object. */
static const char *go_kind(enum value_kind kind)
{
    return kind == VALUE_LIST   ? "slice"
           : kind == VALUE_STR  ? "string"
           : kind == VALUE_BOOL ? "bool"
                                : "float64";
}

/* The entry in the body; NULL when that was answered with what is wrong with it. */
static struct config_entry *decode_entry(struct http_req *req)
{
    struct err err = {0};
    struct config_entry *entry = NULL;
    struct value *body;
    struct str rest = req->body;
    int r = json_parse_next(req->arena, &rest, &body, &err);
    if (r >= 0 && body->kind != VALUE_MAP && body->kind != VALUE_NULL) {
        r = err_set(&err, ERR_INVALID, "'' expected a map, got '%s'", go_kind(body->kind));
    }
    if (r >= 0) {
        r = config_entry_decode(req->arena, body, DECODE_FLOATS, &entry, &err);
    }
    if (r < 0) {
        http_error(req, 400, "Bad request: Request decoding failed: %s", err_text(&err));
        return NULL;
    }
    return entry;
}

/* ?cas; false, and answered, when it is no number. */
static bool parse_cas(struct http_req *req, struct config_entry *entry, struct str *ret_op)
{
    struct str cas = http_param_value(req, STR("cas"));
    int r = cas.n > 0 ? str_parse_u64(cas, &entry->raft.modify_index) : 0;
    if (r < 0) {
        http_error(req, 500, "strconv.ParseUint: parsing %.*s: %s",
                   STRF(go_quoted(req->arena, cas)),
                   r == -ERR_RANGE ? "value out of range" : "invalid syntax");
        return false;
    }
    *ret_op = cas.n > 0 ? CONFIG_ENTRY_UPSERT_CAS : CONFIG_ENTRY_UPSERT;
    return true;
}

static void apply_reply(struct http_req *req, struct rpc_call *call)
{
    struct json_writer w = http_json_begin(req);
    json_bool(&w, ((const struct bool_reply *)call->reply)->value);
    http_finish(req, 200);
}

static void apply(struct http_req *req)
{
    struct str op;
    struct config_entry *entry = decode_entry(req);
    if (entry == NULL || !http_check_namespace(req) || !parse_cas(req, entry, &op)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_config_entry_apply, apply_reply);
    if (call != NULL) {
        struct config_entry_request *args = call->args;
        args->op = op;
        args->entry = entry;
        start_write(req, call);
    }
}

/* --- gateways -------------------------------------------------------------------------------- */

static void gateway_services_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_gateway_services *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    if (reply->services.v == NULL) {
        json_null(&w);
    } else {
        json_array_begin(&w);
        for (size_t i = 0; i < reply->services.n; i++) {
            json_object(&w, &gateway_service_schema, reply->services.v[i]);
        }
        json_array_end(&w);
    }
    http_finish(req, 200);
}

static void gateway_services(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_catalog_gateway_services, gateway_services_reply);
    if (call == NULL) {
        return;
    }
    struct service_request *args = call->args;
    args->service_name = req->tail;
    if (http_check_tail(req, "gateway name")) {
        http_rpc_start(req, call);
    }
}

/* clang-format off */
const struct http_route http_config_entry_routes[] = {
    {"/v1/config", HTTP_PUT, "PUT", 0, apply},
    {"/v1/config/", HTTP_GET | HTTP_DELETE, "GET,DELETE", HTTP_ROUTE_PREFIX, by_method},
    {"/v1/catalog/gateway-services/", HTTP_GET, "GET",
     HTTP_ROUTE_PREFIX | HTTP_ROUTE_META_ON_ERROR | HTTP_ROUTE_CONSISTENCY, gateway_services},
};
/* clang-format on */
const size_t http_config_entry_routes_count = ARRAY_SIZE(http_config_entry_routes);
