#include "http/summary.h"

#include <stdlib.h>

/* One service name over all its instances. */
struct summary {
    struct str kind, name, datacenter;
    VEC(struct str) tags, nodes, external_sources;
    int64_t instances;
    /* By node and check id, so that a check of the node counts once; proxies add theirs to the
     * service they stand for. */
    struct map checks;
    bool has_proxy, has_gateway, is_transparent, transparency_known;
    int64_t linked; /* of a gateway: the services behind it */
    VEC(struct str) addresses;
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

void summaries_add(struct summaries *all, const struct check_service_node *instance)
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

static void json_gateway_config(struct json_writer *w, const struct summary *s)
{
    json_key(w, STR("GatewayConfig"));
    json_object_begin(w);
    if (s->linked > 0) {
        json_key(w, STR("AssociatedServiceCount"));
        json_i64(w, s->linked);
    }
    if (s->addresses.n > 0) {
        json_key(w, STR("Addresses"));
        json_strlist(w, (struct strlist){s->addresses.v, s->addresses.n});
    }
    json_object_end(w);
}

static void json_summary(struct json_writer *w, struct summary *s)
{
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
    json_gateway_config(w, s);
    json_key(w, STR("TransparentProxy"));
    json_bool(w, s->is_transparent);
}

/* --- gateways -------------------------------------------------------------------------------- */

void summaries_name(struct summaries *all, struct str service)
{
    (void)summary_of(all, service);
}

void summaries_link(struct summaries *all, const struct gateway_service *g)
{
    struct summary *gateway = map_get(&all->by_name, g->gateway.name);
    struct summary *service = map_get(&all->by_name, g->service.name);
    if (gateway != NULL) {
        gateway->linked++;
    }
    /* Only what is registered on both sides is connected. */
    if (gateway != NULL && service != NULL && service->instances > 0) {
        service->has_gateway = true;
    }
}

void summaries_add_address(struct summaries *all, struct str service, struct str host, int64_t port)
{
    struct summary *s = summary_of(all, service);
    while (str_has_suffix(host, STR("."))) {
        host = str_first(host, host.n - 1);
    }
    struct str address = arena_printf(all->arena, "%.*s:%lld", STRF(host), (long long)port);
    push_new(all->arena, &s->addresses, address);
}

void summaries_place(struct summaries *all, struct str service, struct str datacenter)
{
    summary_of(all, service)->datacenter = datacenter;
}

/* --- all of them ----------------------------------------------------------------------------- */

void summaries_init(struct summaries *all, struct arena *a)
{
    *all = (struct summaries){.arena = a};
    map_init(&all->by_name, MAP_KEYS_BORROWED);
}

void summaries_deinit(struct summaries *all)
{
    for (size_t i = 0; i < all->list.n; i++) {
        map_deinit(&all->list.v[i]->checks);
    }
    map_deinit(&all->by_name);
}

static void sort(struct summaries *all)
{
    if (all->list.n > 1) {
        qsort(all->list.v, all->list.n, sizeof(all->list.v[0]), by_name);
    }
}

void summaries_write(struct summaries *all, struct json_writer *w, bool is_listing)
{
    sort(all);
    json_array_begin(w);
    for (size_t i = 0; i < all->list.n; i++) {
        struct summary *s = all->list.v[i];
        json_object_begin(w);
        json_summary(w, s);
        if (is_listing) {
            json_key(w, STR("ConnectedWithProxy"));
            json_bool(w, s->has_proxy);
            json_key(w, STR("ConnectedWithGateway"));
            json_bool(w, s->has_gateway);
        }
        json_object_end(w);
    }
    json_array_end(w);
}

void summaries_write_ends(struct summaries *all, struct json_writer *w, summary_more_fn more,
                          const void *data)
{
    sort(all);
    for (size_t i = 0; i < all->list.n; i++) {
        struct summary *s = all->list.v[i];
        if (s->kind.n == 0 || str_eq(s->kind, SERVICE_KIND_INGRESS_GATEWAY)) {
            json_object_begin(w);
            json_summary(w, s);
            more(w, s->name, data);
            json_object_end(w);
        }
    }
}
