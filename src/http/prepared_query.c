/* /v1/query: prepared queries by id, and what they find by id or name. */
#include "schema/prepared_query.h"

#include "http/cached.h"
#include "http/http.h"
#include "http/translate.h"
#include "server/reply.h"
#include "server/rpc.h"

#define EXECUTE STR("/execute")
#define EXPLAIN STR("/explain")

/* --- writing --------------------------------------------------------------------------------- */

static struct rpc_call *apply_call(struct http_req *req, struct str op, http_reply_fn reply)
{
    struct rpc_call *call = http_rpc(req, &rpc_prepared_query_apply, reply);
    if (call != NULL) {
        struct prepared_query_request *args = call->args;
        args->op = op;
        args->query = ARENA_NEW(req->arena, struct prepared_query);
    }
    return call;
}

static void created(struct http_req *req, struct rpc_call *call)
{
    const struct string_reply *reply = call->reply;
    http_json_id(req, reply->value);
}

static void changed(struct http_req *req, struct rpc_call *call)
{
    (void)call;
    http_finish(req, 200);
}

static void create(struct http_req *req)
{
    struct rpc_call *call = apply_call(req, PREPARED_QUERY_CREATE, created);
    if (call == NULL) {
        return;
    }
    struct prepared_query_request *args = call->args;
    if (http_decode_body(req, &prepared_query_schema, args->query, DECODE_STRICT)) {
        http_rpc_start(req, call);
    }
}

static void update(struct http_req *req)
{
    struct rpc_call *call = apply_call(req, PREPARED_QUERY_UPDATE, changed);
    if (call == NULL) {
        return;
    }
    struct prepared_query_request *args = call->args;
    if (req->body_size > 0 &&
        !http_decode_body(req, &prepared_query_schema, args->query, DECODE_STRICT)) {
        return;
    }
    args->query->id = req->tail; /* whatever the body says */
    http_rpc_start(req, call);
}

static void delete (struct http_req *req)
{
    struct rpc_call *call = apply_call(req, PREPARED_QUERY_DELETE, changed);
    if (call != NULL) {
        struct prepared_query_request *args = call->args;
        args->query->id = req->tail;
        http_rpc_start(req, call);
    }
}

/* --- reading --------------------------------------------------------------------------------- */

static void queries_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_prepared_queries *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->queries.n; i++) {
        json_object(&w, &prepared_query_schema, reply->queries.v[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void list(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_prepared_query_list, queries_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

static void get(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_prepared_query_get, queries_reply);
    if (call != NULL) {
        struct prepared_query_specific_request *args = call->args;
        args->query_id = req->tail;
        http_rpc_start(req, call);
    }
}

/* --- running --------------------------------------------------------------------------------- */

static bool parse_limit(struct http_req *req, int64_t *ret_limit)
{
    struct str text = http_param_value(req, STR("limit"));
    int r = text.n > 0 ? str_parse_i64(text, ret_limit) : 0;
    if (r < 0) {
        http_error(req, 500, "Bad limit: strconv.Atoi: parsing \"%.*s\": %s", STRF(text),
                   r == -ERR_RANGE ? "value out of range" : "invalid syntax");
    }
    return r >= 0;
}

static bool parse_connect(struct http_req *req, bool *ret_connect)
{
    struct str text = http_param_value(req, STR("connect"));
    if (text.n > 0 && str_parse_bool(text, ret_connect) < 0) {
        http_error(req, 500,
                   "Error parsing 'connect' value: strconv.ParseBool: parsing \"%.*s\": invalid "
                   "syntax",
                   STRF(text));
        return false;
    }
    return true;
}

/* A call for the query that stands before `verb` in the path; NULL when it is answered already. */
static struct rpc_call *query_call(struct http_req *req, const struct rpc_method *method,
                                   struct str verb, http_reply_fn reply)
{
    struct rpc_call *call = http_rpc(req, method, reply);
    if (call == NULL) {
        return NULL;
    }
    struct prepared_query_execute_request *args = call->args;
    args->query_id_or_name =
        str_has_suffix(req->tail, verb) ? str_first(req->tail, req->tail.n - verb.n) : req->tail;
    args->agent.node = http_node_name(req);
    args->agent.datacenter = http_datacenter(req);
    http_parse_source(req, &args->source);
    return parse_limit(req, &args->limit) ? call : NULL;
}

static void execute_reply(struct http_req *req, struct rpc_call *call)
{
    const struct prepared_query_execute_response *reply = call->reply;
    http_translate_instances(req, reply->datacenter, reply->nodes);
    http_cached(req, call, false);
    http_json_reply(req, &prepared_query_execute_response_schema, call->reply);
}

/* Through the cache no error is more than that, and the metadata are those of no answer. */
static bool cached_failed(struct http_req *req, struct rpc_call *call)
{
    http_set_meta(req, &(struct query_meta){0});
    http_error(req, 500, "%s", err_text(call->err));
    return true;
}

static void execute(struct http_req *req)
{
    struct rpc_call *call = query_call(req, &rpc_prepared_query_execute, EXECUTE, execute_reply);
    if (call == NULL) {
        return;
    }
    struct prepared_query_execute_request *args = call->args;
    if (parse_connect(req, &args->connect)) {
        if (args->options.use_cache) {
            http_rpc_on_error(req, cached_failed);
        }
        http_rpc_start(req, call);
    }
}

static void explain_reply(struct http_req *req, struct rpc_call *call)
{
    http_json_reply(req, &prepared_query_explain_response_schema, call->reply);
}

static void explain(struct http_req *req)
{
    struct rpc_call *call = query_call(req, &rpc_prepared_query_explain, EXPLAIN, explain_reply);
    if (call != NULL) {
        http_rpc_start(req, call);
    }
}

/* --- by path and method ---------------------------------------------------------------------- */

static void queries(struct http_req *req)
{
    if (req->method == HTTP_POST) {
        create(req);
    } else {
        list(req);
    }
}

/* Below /v1/query/ what comes at the end of the path decides which methods there are. */
static bool check_method(struct http_req *req, unsigned methods, const char *allow)
{
    if (req->method == HTTP_OPTIONS) {
        http_set_header(req, STR("Allow"), arena_printf(req->arena, "OPTIONS,%s", allow));
        struct json_writer w = http_json_begin(req);
        json_object_begin(&w);
        json_object_end(&w);
        http_finish(req, 200);
        return false;
    }
    if ((req->method & methods) == 0) {
        http_set_header(req, STR("Allow"), str_from_cstr(allow));
        http_error(req, 405, "method %.*s not allowed", STRF(req->method_text));
        return false;
    }
    return true;
}

static void query(struct http_req *req)
{
    /* Judged by the whole path: "/v1/query/execute" runs the query of that name. */
    bool is_execute = str_has_suffix(req->path, EXECUTE);
    bool is_explain = str_has_suffix(req->path, EXPLAIN);
    if (is_execute || is_explain) {
        if (!check_method(req, HTTP_GET, "GET")) {
            return;
        }
        if (is_execute) {
            execute(req);
        } else {
            explain(req);
        }
        return;
    }
    if (!check_method(req, HTTP_GET | HTTP_PUT | HTTP_DELETE, "GET,PUT,DELETE")) {
        return;
    }
    switch (req->method) {
    case HTTP_PUT:
        update(req);
        break;
    case HTTP_DELETE:
        delete (req);
        break;
    default:
        get(req);
    }
}

#define META (HTTP_ROUTE_META_ON_ERROR | HTTP_ROUTE_CONSISTENCY | HTTP_ROUTE_MAX_STALE)
/* clang-format off */
const struct http_route http_prepared_query_routes[] = {
    {"/v1/query", HTTP_GET | HTTP_POST, "GET,POST", META, queries},
    {"/v1/query/", 0, "", HTTP_ROUTE_PREFIX | META, query},
};
/* clang-format on */
const size_t http_prepared_query_routes_count = ARRAY_SIZE(http_prepared_query_routes);
