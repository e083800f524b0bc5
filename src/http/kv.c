/* /v1/kv/: one key, a prefix (?recurse), the names below it (?keys), and the verbs that change
 * them. */
#include "schema/kv.h"

#include "http/http.h"
#include "server/delegate.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/worker.h"

/* False, and answered, when more than one of these parameters is given. */
static bool check_conflicts(struct http_req *req, const struct str *names, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += http_has_param(req, names[i]);
    }
    if (found <= 1) {
        return true;
    }
    struct str query = http_encode_params(req);
    http_error(req, 400, "Conflicting flags: %.*s", STRF(query));
    return false;
}

static bool check_key(struct http_req *req)
{
    if (req->tail.n > 0) {
        return true;
    }
    http_error(req, 400, "Missing key name");
    return false;
}

static void write_entry(struct json_writer *w, const struct dir_entry *e)
{
    struct dir_entry shown = *e;
    if (shown.value.n == 0) {
        shown.value = STR_NULL; /* printed as null */
    }
    json_object(w, &dir_entry_schema, &shown);
}

static void kv_entries_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_dir_entries *reply = call->reply;
    struct dir_entry *const *entries = (struct dir_entry *const *)reply->entries.v;
    if (reply->entries.n == 0) {
        http_finish(req, 404);
        return;
    }
    if (call->method == &rpc_kvs_get && http_has_param(req, STR("raw"))) {
        /* Whatever the value is, a browser must neither sniff nor run it. */
        req->content_type = STR("text/plain");
        http_set_header(req, STR("X-Content-Type-Options"), STR("nosniff"));
        http_set_header(req, STR("Content-Security-Policy"), STR("sandbox"));
        buf_str(req->out, entries[0]->value);
        http_finish(req, 200);
        return;
    }
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->entries.n; i++) {
        write_entry(&w, entries[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void kv_keys_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_key_list *reply = call->reply;
    if (reply->keys.n == 0 && req->tail.n > 0) {
        http_finish(req, 404);
        return;
    }
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < reply->keys.n; i++) {
        json_str(&w, reply->keys.v[i]);
    }
    json_array_end(&w);
    http_finish(req, 200);
}

static void kv_read(struct http_req *req)
{
    if (http_has_param(req, STR("keys"))) {
        struct rpc_call *call = http_rpc(req, &rpc_kvs_list_keys, kv_keys_reply);
        if (call == NULL || !http_check_namespace(req)) {
            return;
        }
        struct key_list_request *args = call->args;
        args->prefix = req->tail;
        /* Both spellings have clients; the right one wins. */
        args->separator = http_has_param(req, STR("separator"))
                              ? http_param_value(req, STR("separator"))
                              : http_param_value(req, STR("seperator"));
        http_rpc_start(req, call);
        return;
    }
    bool recurse = http_has_param(req, STR("recurse"));
    struct rpc_call *call = http_rpc(req, recurse ? &rpc_kvs_list : &rpc_kvs_get, kv_entries_reply);
    if (call == NULL || (!recurse && !check_key(req)) || !http_check_namespace(req)) {
        return;
    }
    struct key_request *args = call->args;
    args->key = req->tail;
    http_rpc_start(req, call);
}

/* A parameter that must be an unsigned number; an empty or odd one is a 500 with the parser's
 * words. */
static bool param_u64(struct http_req *req, struct str name, uint64_t *ret_value)
{
    struct str text = http_param_value(req, name);
    int rc = str_parse_u64(text, ret_value);
    if (rc < 0) {
        http_error(req, 500, "strconv.ParseUint: parsing \"%.*s\": %s", STRF(text),
                   rc == -ERR_RANGE ? "value out of range" : "invalid syntax");
        return false;
    }
    return true;
}

static void kv_write_reply(struct http_req *req, struct rpc_call *call)
{
    const struct kvs_request *args = call->args;
    const struct bool_reply *reply = call->reply;
    struct json_writer w = http_json_begin(req);
    /* Only conditional verbs have something to tell. */
    bool is_plain =
        str_eq(args->op, KV_SET) || str_eq(args->op, KV_DELETE) || str_eq(args->op, KV_DELETE_TREE);
    json_bool(&w, is_plain || reply->value);
    http_finish(req, 200);
}

static bool kv_put_verb(struct http_req *req, struct kvs_request *args)
{
    args->op = KV_SET;
    if (http_has_param(req, STR("flags")) && !param_u64(req, STR("flags"), &args->dir_ent.flags)) {
        return false;
    }
    if (http_has_param(req, STR("cas"))) {
        args->op = KV_CAS;
        return param_u64(req, STR("cas"), &args->dir_ent.raft.modify_index);
    }
    if (http_has_param(req, STR("acquire"))) {
        args->op = KV_LOCK;
        args->dir_ent.session = http_param_value(req, STR("acquire"));
    } else if (http_has_param(req, STR("release"))) {
        args->op = KV_UNLOCK;
        args->dir_ent.session = http_param_value(req, STR("release"));
    }
    return true;
}

/* These writes alone ask for a read's options, only to refuse bad ones. */
static struct rpc_call *write_call(struct http_req *req)
{
    struct str datacenter;
    struct query_options options;
    return http_parse_query_options(req, &datacenter, &options)
               ? http_rpc(req, &rpc_kvs_apply, kv_write_reply)
               : NULL;
}

static void kv_put(struct http_req *req)
{
    static const struct str exclusive[] = {STR_INIT("cas"), STR_INIT("acquire"),
                                           STR_INIT("release")};
    struct rpc_call *call = write_call(req);
    if (call == NULL || !http_check_namespace(req) || !check_key(req) ||
        !check_conflicts(req, exclusive, ARRAY_SIZE(exclusive))) {
        return;
    }
    struct kvs_request *args = call->args;
    if (!kv_put_verb(req, args)) {
        return;
    }
    uint64_t size_max = req->worker->delegate->kv_max_value_size;
    if (req->body_size > size_max) {
        http_error(req, 413,
                   "Request body(%llu bytes) too large, max size: %llu bytes. See "
                   "https://www.consul.io/docs/agent/options.html#kv_max_value_size.",
                   (unsigned long long)req->body_size, (unsigned long long)size_max);
        return;
    }
    args->dir_ent.key = req->tail;
    args->dir_ent.value = req->body;
    http_rpc_start(req, call);
}

static void kv_delete(struct http_req *req)
{
    static const struct str exclusive[] = {STR_INIT("recurse"), STR_INIT("cas")};
    struct rpc_call *call = write_call(req);
    if (call == NULL || !http_check_namespace(req) ||
        !check_conflicts(req, exclusive, ARRAY_SIZE(exclusive))) {
        return;
    }
    struct kvs_request *args = call->args;
    args->op = KV_DELETE;
    if (http_has_param(req, STR("recurse"))) {
        args->op = KV_DELETE_TREE;
    } else if (!check_key(req)) {
        return;
    }
    if (http_has_param(req, STR("cas"))) {
        args->op = KV_DELETE_CAS;
        if (!param_u64(req, STR("cas"), &args->dir_ent.raft.modify_index)) {
            return;
        }
    }
    args->dir_ent.key = req->tail;
    http_rpc_start(req, call);
}

static void kv_handle(struct http_req *req)
{
    switch (req->method) {
    case HTTP_GET:
        kv_read(req);
        break;
    case HTTP_PUT:
        kv_put(req);
        break;
    default: /* the routes let nothing else through */
        kv_delete(req);
        break;
    }
}

const struct http_route http_kv_routes[] = {
    {"/v1/kv/", HTTP_GET | HTTP_PUT | HTTP_DELETE, "GET,PUT,DELETE",
     HTTP_ROUTE_PREFIX | HTTP_ROUTE_LARGE_BODY, kv_handle},
};
const size_t http_kv_routes_count = ARRAY_SIZE(http_kv_routes);
