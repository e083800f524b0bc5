/* /v1/connect/intentions: who may talk to whom, by id (the old way) and by names. */
#include "schema/intention.h"

#include "base/gofmt.h"
#include "http/cached.h"
#include "http/http.h"
#include "server/delegate.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/worker.h"

#define Q(s) STRF(go_quoted(req->arena, (s)))

/* --- parameters ------------------------------------------------------------------------------ */

/* The value of one that is to be there once; false, and answered, when it is not. */
static bool single_param(struct http_req *req, const char *name, struct str *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < req->params_count; i++) {
        if (str_eq(req->params[i].name, str_from_cstr(name))) {
            *ret = req->params[i].value;
            count++;
        }
    }
    if (count != 1) {
        http_error(req, 500, "required query parameter '%s' not set", name);
    }
    return count == 1;
}

/* "name" or "namespace/name". */
static bool parse_name(struct http_req *req, const char *what, struct str text, struct str *ret_ns,
                       struct str *ret_name)
{
    struct str ns, name;
    if (!str_cut(text, '/', &ns, &name)) {
        *ret_ns = STR("");
        *ret_name = text;
        return true;
    }
    if (str_find_byte(name, '/') >= 0) {
        http_error(req, 500, "%s %.*s is invalid: input can contain at most one '/'", what,
                   Q(text));
        return false;
    }
    *ret_ns = ns;
    *ret_name = name;
    return true;
}

/* ?source and ?destination; may_be_empty: the method will say that they are. */
static bool parse_exact(struct http_req *req, bool may_be_empty, struct intention_query_exact *ret)
{
    struct str source, destination;
    if (!single_param(req, "source", &source)) {
        return false;
    }
    if (!may_be_empty && source.n == 0) {
        http_error(req, 500, "required query parameter 'source' not set");
        return false;
    }
    if (!single_param(req, "destination", &destination)) {
        return false;
    }
    if (!may_be_empty && destination.n == 0) {
        http_error(req, 500, "required query parameter 'destination' not set");
        return false;
    }
    return parse_name(req, "source", source, &ret->source_ns, &ret->source_name) &&
           parse_name(req, "destination", destination, &ret->destination_ns,
                      &ret->destination_name);
}

/* --- writing --------------------------------------------------------------------------------- */

/* Whatever data center was asked: intentions are written in the primary one, and copied from there.
 */
static struct rpc_call *apply_call(struct http_req *req, struct str op, http_reply_fn reply)
{
    struct rpc_call *call = http_rpc_plain(req, &rpc_intention_apply, reply);
    struct intention_request *args = call->args;
    args->op = op;
    args->datacenter = req->worker->delegate->primary_datacenter;
    args->intention = ARENA_NEW(req->arena, struct intention);
    return call;
}

static bool decode_body(struct http_req *req, int status, const char *prefix,
                        struct intention *intention)
{
    struct err err = {0};
    struct intention_body body = {.intention = *intention};
    struct value *value;
    struct str rest = req->body;
    int r = json_parse_next(req->arena, &rest, &value, &err);
    if (r >= 0 && value->kind != VALUE_NULL) {
        r = schema_decode(&intention_body_schema, value, &body, req->arena, DECODE_STRICT, &err);
    }
    if (r < 0) {
        http_error(req, status, "%s: %s", prefix, err_text(&err));
        return false;
    }
    *intention = body.intention;
    return true;
}

static void reply_id(struct http_req *req, struct rpc_call *call)
{
    const struct string_reply *reply = call->reply;
    http_json_id(req, reply->value);
}

static void reply_true(struct http_req *req, struct rpc_call *call)
{
    (void)call;
    struct json_writer w = http_json_begin(req);
    json_bool(&w, true);
    http_finish(req, 200);
}

static bool check_namespace_in_body(struct http_req *req, const char *what, struct str ns)
{
    if (ns.n > 0 && !str_eq_fold(ns, INTENTION_NAMESPACE)) {
        http_error(req, 400,
                   "Bad request: Invalid %s(%.*s): Namespaces is a Consul Enterprise feature", what,
                   STRF(ns));
        return false;
    }
    return true;
}

static void create(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = apply_call(req, INTENTION_CREATE, reply_id);
    struct intention *i = ((struct intention_request *)call->args)->intention;
    if (decode_body(req, 500, "Failed to decode request body", i) &&
        check_namespace_in_body(req, "SourceNS", i->source_ns) &&
        check_namespace_in_body(req, "DestinationNS", i->destination_ns)) {
        http_rpc_start(req, call);
    }
}

static void update(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = apply_call(req, INTENTION_UPDATE, reply_id);
    struct intention *i = ((struct intention_request *)call->args)->intention;
    if (decode_body(req, 400, "Bad request: Request decode failed", i)) {
        i->id = req->tail;
        http_rpc_start(req, call);
    }
}

static void delete_by_id(struct http_req *req)
{
    struct rpc_call *call = apply_call(req, INTENTION_DELETE, reply_true);
    ((struct intention_request *)call->args)->intention->id = req->tail;
    http_rpc_start(req, call);
}

static void set_names(struct intention *i, const struct intention_query_exact *exact)
{
    i->id = STR("");
    i->source_ns = exact->source_ns;
    i->source_name = exact->source_name;
    i->destination_ns = exact->destination_ns;
    i->destination_name = exact->destination_name;
}

static void put_exact(struct http_req *req)
{
    struct intention_query_exact exact;
    if (!http_check_namespace(req) || !parse_exact(req, false, &exact)) {
        return;
    }
    struct rpc_call *call = apply_call(req, INTENTION_UPSERT, reply_true);
    struct intention *i = ((struct intention_request *)call->args)->intention;
    if (decode_body(req, 400, "Bad request: Request decode failed", i)) {
        set_names(i, &exact);
        http_rpc_start(req, call);
    }
}

static void delete_exact(struct http_req *req)
{
    struct intention_query_exact exact;
    if (!http_check_namespace(req) || !parse_exact(req, false, &exact)) {
        return;
    }
    struct rpc_call *call = apply_call(req, INTENTION_DELETE, reply_true);
    set_names(((struct intention_request *)call->args)->intention, &exact);
    http_rpc_start(req, call);
}

/* --- reading --------------------------------------------------------------------------------- */

static void get_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_intentions *reply = call->reply;
    if (reply->intentions.n == 0) {
        http_finish(req, 404);
    } else {
        http_json_reply(req, &intention_schema, reply->intentions.v[0]);
    }
}

/* An id that is no UUID is the client's fault, and known by the sentence only. */
static bool get_failed(struct http_req *req, struct rpc_call *call)
{
    struct str text = str_from_cstr(err_text(call->err));
    if (!str_contains(text, STR("UUID"))) {
        return false;
    }
    http_error(req, 400, "Bad request: %.*s", STRF(text));
    return true;
}

static void get(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_intention_get, get_reply);
    if (call != NULL) {
        ((struct intention_query_request *)call->args)->intention_id = req->tail;
        http_rpc_on_error(req, get_failed);
        http_rpc_start(req, call);
    }
}

static void get_exact(struct http_req *req)
{
    if (!http_check_namespace(req)) {
        return;
    }
    struct rpc_call *call = http_rpc(req, &rpc_intention_get, get_reply);
    if (call == NULL) {
        return;
    }
    struct intention_query_request *args = call->args;
    args->exact = ARENA_NEW(req->arena, struct intention_query_exact);
    if (parse_exact(req, true, args->exact)) {
        http_rpc_on_error(req, get_failed);
        http_rpc_start(req, call);
    }
}

static void put_list(struct json_writer *w, struct ptrlist list)
{
    json_object(w, &intention_list_schema, &(struct intention_list){list});
}

static void list_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_intentions *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    put_list(&w, reply->intentions);
    http_finish(req, 200);
}

static void list(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_intention_list, list_reply);
    if (call != NULL && http_check_namespace(req)) {
        http_rpc_start(req, call);
    }
}

/* One list for each ?name. */
struct match {
    struct str *names;
    size_t count;
};

static bool parse_match(struct http_req *req, struct intention_query_match *ret)
{
    struct match *match = req->data;
    struct str by;
    if (!single_param(req, "by", &by)) {
        return false;
    }
    if (!str_eq(by, INTENTION_BY_SOURCE) && !str_eq(by, INTENTION_BY_DESTINATION)) {
        http_error(req, 500, "'by' parameter must be one of 'source' or 'destination'");
        return false;
    }
    struct intention_match_entry *entries =
        ARENA_ARRAY(req->arena, struct intention_match_entry, req->params_count);
    match->names = ARENA_ARRAY(req->arena, struct str, req->params_count);
    for (size_t i = 0; i < req->params_count; i++) {
        if (str_eq_lit(req->params[i].name, "name")) {
            match->names[match->count++] = req->params[i].value;
        }
    }
    if (match->count == 0) {
        http_error(req, 500, "required query parameter 'name' not set");
        return false;
    }
    for (size_t i = 0; i < match->count; i++) {
        if (!parse_name(req, "name", match->names[i], &entries[i].ns, &entries[i].name)) {
            return false;
        }
    }
    *ret = (struct intention_query_match){by, {entries, match->count}};
    return true;
}

/* By name, in order; of a name that was asked twice once. */
static void match_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_intention_matches *reply = call->reply;
    const struct match *match = req->data;
    struct intention_list *lists = reply->matches.v;
    if (reply->matches.n != match->count) {
        http_error(req, 500, "internal error: match response count didn't match input count");
        return;
    }
    struct objmap_pair *pairs = ARENA_ARRAY(req->arena, struct objmap_pair, match->count);
    for (size_t i = 0; i < match->count; i++) {
        pairs[i] = (struct objmap_pair){match->names[i], &lists[i]};
    }
    struct objmap map = objmap_build(pairs, match->count);
    http_cached(req, call, true);
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    for (size_t i = 0; i < map.n; i++) {
        json_key(&w, map.v[i].key);
        json_object(&w, &intention_list_schema, map.v[i].value);
    }
    json_object_end(&w);
    http_finish(req, 200);
}

static void match(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_intention_match, match_reply);
    if (call == NULL || !http_check_namespace(req)) {
        return;
    }
    struct intention_query_request *args = call->args;
    req->data = ARENA_NEW(req->arena, struct match);
    args->match = ARENA_NEW(req->arena, struct intention_query_match);
    if (parse_match(req, args->match)) {
        http_rpc_start(req, call);
    }
}

static void check_reply(struct http_req *req, struct rpc_call *call)
{
    http_json_reply(req, &intention_check_response_schema, call->reply);
}

static bool parse_check(struct http_req *req, struct intention_query_check *ret)
{
    struct str source, destination;
    const struct http_param *type = http_param(req, STR("source-type"));
    ret->source_type = type != NULL ? type->value : INTENTION_SOURCE_CONSUL;
    if (!single_param(req, "source", &source) || !single_param(req, "destination", &destination)) {
        return false;
    }
    ret->source_name = source;
    return (!str_eq(ret->source_type, INTENTION_SOURCE_CONSUL) ||
            parse_name(req, "source", source, &ret->source_ns, &ret->source_name)) &&
           parse_name(req, "destination", destination, &ret->destination_ns,
                      &ret->destination_name);
}

static void check(struct http_req *req)
{
    struct rpc_call *call = http_rpc(req, &rpc_intention_check, check_reply);
    if (call == NULL || !http_check_namespace(req)) {
        return;
    }
    struct intention_query_request *args = call->args;
    args->check = ARENA_NEW(req->arena, struct intention_query_check);
    if (parse_check(req, args->check)) {
        http_rpc_start(req, call);
    }
}

/* --- by method ------------------------------------------------------------------------------- */

static void all(struct http_req *req)
{
    if (req->method == HTTP_POST) {
        create(req);
    } else {
        list(req);
    }
}

static void by_id(struct http_req *req)
{
    if (req->method == HTTP_PUT) {
        update(req);
    } else if (req->method == HTTP_DELETE) {
        delete_by_id(req);
    } else {
        get(req);
    }
}

static void exact(struct http_req *req)
{
    if (req->method == HTTP_PUT) {
        put_exact(req);
    } else if (req->method == HTTP_DELETE) {
        delete_exact(req);
    } else {
        get_exact(req);
    }
}

#define ALL (HTTP_GET | HTTP_PUT | HTTP_DELETE)
/* clang-format off */
const struct http_route http_intention_routes[] = {
    {"/v1/connect/intentions", HTTP_GET | HTTP_POST, "GET,POST", HTTP_ROUTE_META_ON_ERROR, all},
    {"/v1/connect/intentions/", ALL, "GET,PUT,DELETE", HTTP_ROUTE_PREFIX | HTTP_ROUTE_NO_META,
     by_id},
    {"/v1/connect/intentions/check", HTTP_GET, "GET", 0, check},
    {"/v1/connect/intentions/exact", ALL, "GET,PUT,DELETE", HTTP_ROUTE_NO_META, exact},
    {"/v1/connect/intentions/match", HTTP_GET, "GET",
     HTTP_ROUTE_META_ON_ERROR | HTTP_ROUTE_CONSISTENCY | HTTP_ROUTE_MAX_STALE, match},
};
/* clang-format on */
const size_t http_intention_routes_count = ARRAY_SIZE(http_intention_routes);
