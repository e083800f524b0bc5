/* /v1/internal/ui: what the web interface asks for. */
#include "base/map.h"
#include "base/vec.h"
#include "http/http.h"
#include "schema/dump.h"
#include "server/rpc.h"

#include <stdlib.h>

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
        http_finish(req, 404); /* without metadata */
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
    if (req->tail.n == 0) {
        http_error(req, 400, "Missing node name");
        return;
    }
    http_rpc_start(req, call);
}

/* --- services -------------------------------------------------------------------------------- */

/* One service name over all its instances. */
struct summary {
    struct str kind, name, datacenter;
    VEC(struct str) tags, nodes, external_sources;
    int64_t instances;
    /* By node and check id, so that a check of the node counts once; proxies add theirs to the
     * service they stand for. */
    struct map checks;
    bool has_proxy, is_transparent, transparency_known;
};

struct summaries {
    struct arena *arena;
    struct map by_name;
    VEC(struct summary *) list;
};

static struct summary *summary_of(struct summaries *all, struct str name)
{
    struct summary *s = map_get(&all->by_name, name);
    if (s == NULL) {
        s = ARENA_NEW(all->arena, struct summary);
        s->name = name;
        map_init(&s->checks, MAP_KEYS_BORROWED);
        map_put(&all->by_name, name, s);
        avec_push(all->arena, &all->list, s);
    }
    return s;
}

static void add_checks(struct summaries *all, struct summary *s,
                       const struct check_service_node *instance)
{
    for (size_t i = 0; i < instance->checks.n; i++) {
        struct health_check *check = instance->checks.v[i];
        struct str key = arena_printf(all->arena, "%.*s/%.*s", STRF(instance->node->node),
                                      STRF(check->check_id));
        map_put(&s->checks, key, check);
    }
}

static void add_proxy(struct summaries *all, const struct check_service_node *instance)
{
    struct summary *target = summary_of(all, instance->service->proxy.destination_service_name);
    bool is_transparent = str_eq_lit(instance->service->proxy.mode, "transparent");
    target->has_proxy = true;
    add_checks(all, target, instance);
    /* Transparent only when every one of its proxies is. */
    target->is_transparent =
        is_transparent && (target->is_transparent || !target->transparency_known);
    target->transparency_known = true;
}

/* Append unless it is there. */
#define push_new(arena, vec, item)                     \
    do {                                               \
        bool is_known_ = false;                        \
        for (size_t i_ = 0; i_ < (vec)->n; i_++) {     \
            is_known_ |= str_eq((vec)->v[i_], (item)); \
        }                                              \
        if (!is_known_) {                              \
            avec_push(arena, vec, item);               \
        }                                              \
    } while (0)

static void add_instance(struct summaries *all, const struct check_service_node *instance)
{
    const struct node_service *service = instance->service;
    struct summary *s = summary_of(all, service->service);
    struct str source = STR_NULL;
    s->kind = service->kind;
    s->datacenter = instance->node->datacenter;
    s->instances++;
    avec_push(all->arena, &s->nodes, instance->node->node);
    if (str_eq(service->kind, SERVICE_KIND_CONNECT_PROXY)) {
        add_proxy(all, instance);
    }
    for (size_t i = 0; i < service->tags.n; i++) {
        push_new(all->arena, &s->tags, service->tags.v[i]);
    }
    if (strmap_get(service->meta, STR("external-source"), &source) && source.n > 0) {
        push_new(all->arena, &s->external_sources, source);
    }
    add_checks(all, s, instance);
}

static int by_str(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    return str_cmp(*a, *b);
}

static int by_name(const void *x, const void *y)
{
    const struct summary *const *a = x, *const *b = y;
    return str_cmp((*a)->name, (*b)->name);
}

static int64_t count_status(const struct summary *s, struct str status)
{
    int64_t n = 0;
    size_t pos = 0;
    struct str key;
    void *value;
    while (map_next(&s->checks, &pos, &key, &value)) {
        n += str_eq(((const struct health_check *)value)->status, status);
    }
    return n;
}

static void json_sorted(struct json_writer *w, struct str key, struct str *v, size_t n, bool sort)
{
    json_key(w, key);
    if (sort && n > 1) {
        qsort(v, n, sizeof(v[0]), by_str);
    }
    json_strlist(w, (struct strlist){v, n});
}

static void json_summary(struct json_writer *w, struct summary *s)
{
    json_object_begin(w);
    if (s->kind.n > 0) {
        json_key(w, STR("Kind"));
        json_str(w, s->kind);
    }
    json_key(w, STR("Name"));
    json_str(w, s->name);
    json_key(w, STR("Datacenter"));
    json_str(w, s->datacenter);
    json_sorted(w, STR("Tags"), s->tags.v, s->tags.n, true);
    json_sorted(w, STR("Nodes"), s->nodes.v, s->nodes.n, true);
    json_sorted(w, STR("ExternalSources"), s->external_sources.v, s->external_sources.n, false);
    json_key(w, STR("InstanceCount"));
    json_i64(w, s->instances);
    json_key(w, STR("ChecksPassing"));
    json_i64(w, count_status(s, HEALTH_PASSING));
    json_key(w, STR("ChecksWarning"));
    json_i64(w, count_status(s, HEALTH_WARNING));
    json_key(w, STR("ChecksCritical"));
    json_i64(w, count_status(s, HEALTH_CRITICAL));
    json_key(w, STR("GatewayConfig"));
    json_object_begin(w);
    json_object_end(w);
    json_key(w, STR("TransparentProxy"));
    json_bool(w, s->is_transparent);
    json_key(w, STR("ConnectedWithProxy"));
    json_bool(w, s->has_proxy);
    json_key(w, STR("ConnectedWithGateway"));
    json_bool(w, false);
    json_object_end(w);
}

static void services_reply(struct http_req *req, struct rpc_call *call)
{
    const struct indexed_check_service_nodes *reply =
        &((const struct indexed_nodes_with_gateways *)call->reply)->services;
    const struct check_service_node *instances = reply->nodes.v;
    struct summaries all = {.arena = req->arena};
    map_init(&all.by_name, MAP_KEYS_BORROWED);
    for (size_t i = 0; i < reply->nodes.n; i++) {
        add_instance(&all, &instances[i]);
    }
    if (all.list.n > 1) {
        qsort(all.list.v, all.list.n, sizeof(all.list.v[0]), by_name);
    }
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    for (size_t i = 0; i < all.list.n; i++) {
        json_summary(&w, all.list.v[i]);
        map_deinit(&all.list.v[i]->checks);
    }
    json_array_end(&w);
    map_deinit(&all.by_name);
    http_finish(req, 200);
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

/* clang-format off */
#define DUMP (HTTP_ROUTE_META_ON_ERROR | HTTP_ROUTE_STALE_WITHOUT_LEADER)
const struct http_route http_internal_routes[] = {
    {"/v1/internal/ui/nodes", HTTP_GET, "GET", DUMP, nodes},
    {"/v1/internal/ui/node/", HTTP_GET, "GET",
     HTTP_ROUTE_PREFIX | HTTP_ROUTE_NO_META | DUMP, node},
    {"/v1/internal/ui/services", HTTP_GET, "GET", DUMP, services},
};
/* clang-format on */
const size_t http_internal_routes_count = ARRAY_SIZE(http_internal_routes);
