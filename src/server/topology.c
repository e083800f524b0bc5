/* Internal.ServiceTopology and its like: who may be connected with whom, by what is registered, by
 * what intentions allow, and by where discovery chains lead.
 *
 * Upstreams of a service are those that its sidecars name; if one of those is a transparent proxy,
 * also all that intentions let it reach. Downstreams are those whose sidecars name the service, or
 * another whose chain leads to it; and transparent ones that intentions let in. */
#include "schema/topology.h"

#include "base/gofmt.h"
#include "base/map.h"
#include "base/vec.h"
#include "schema/config_gateways.h"
#include "schema/intention.h"
#include "server/acl_filter.h"
#include "server/chain.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/catalog.h"
#include "store/config_entry.h"
#include "store/config_graph.h"
#include "store/discovery_chain.h"
#include "store/gateway_services.h"
#include "store/intention.h"
#include "store/mesh_topology.h"

#define CONSUL_SERVICE STR("consul")

struct linked {
    struct str name;
    struct str source;
    struct intention_decision decision;
    bool is_left_out;
};

/* The services on one side of the one that was asked about. */
struct side {
    struct rpc_ctx *ctx;
    struct str service;
    bool is_down;
    uint64_t index;
    VEC(struct linked *) list;
    struct map by_name; /* struct linked */
};

static void side_init(struct side *s, struct rpc_ctx *ctx, struct str service, bool is_down)
{
    *s = (struct side){.ctx = ctx, .service = service, .is_down = is_down};
    map_init(&s->by_name, MAP_KEYS_BORROWED);
}

static struct linked *side_add(struct side *s, struct str name, struct str source)
{
    struct linked *l = map_get(&s->by_name, name);
    if (l == NULL) {
        l = ARENA_NEW(s->ctx->arena, struct linked);
        l->name = name;
        l->source = source;
        (void)map_put(&s->by_name, name, l);
        avec_push(s->ctx->arena, &s->list, l);
    }
    return l;
}

/* --- by intentions --------------------------------------------------------------------------- */

/* Names of registered services of a kind, in order, each once. */
static void add_names(struct rpc_ctx *ctx, struct str kind, struct map *names)
{
    struct buf key = {0};
    struct tree_iter it;
    const struct service_row *row;
    store_iter(&it, ctx->view, INDEX_SERVICES_KIND, store_key(&key, &kind, 1));
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (str_eq(row->service.kind, kind) && !str_eq(row->service.service, CONSUL_SERVICE)) {
            (void)map_put(names, row->service.service, (void *)(uintptr_t)row);
        }
    }
    buf_deinit(&key);
}

/* An intention for everybody takes the place of the default. */
static bool default_of(const struct rpc_ctx *ctx, struct ptrlist intentions)
{
    const struct intention *last =
        intentions.n > 0 ? intentions.v[intentions.n - 1] : NULL; /* of the lowest precedence */
    return last != NULL && str_eq(last->source_name, CONFIG_WILDCARD) &&
                   str_eq(last->destination_name, CONFIG_WILDCARD)
               ? !str_eq(last->action, INTENTION_DENY)
               : acl_may(ctx, ACL_INTENTION_DEFAULT, STR(""));
}

/* The services that intentions connect with this one. */
static uint64_t add_by_intentions(struct side *s)
{
    struct rpc_ctx *ctx = s->ctx;
    struct map names;
    struct ptrlist intentions;
    size_t pos = 0;
    struct str name;
    void *row;
    uint64_t index = intention_match(ctx->view, ctx->ws, ctx->arena,
                                     s->is_down ? INTENTION_DESTINATION : INTENTION_SOURCE,
                                     s->service, &intentions);
    bool default_allow = default_of(ctx, intentions);
    store_index_watch(ctx->ws, STR("services"));
    map_init(&names, MAP_KEYS_BORROWED);
    add_names(ctx, STR(""), &names);
    if (s->is_down) { /* which nobody reaches through the mesh */
        add_names(ctx, SERVICE_KIND_INGRESS_GATEWAY, &names);
    }
    while (map_next(&names, &pos, &name, &row)) {
        struct intention_decision d =
            intention_decide(intentions, s->is_down ? INTENTION_SOURCE : INTENTION_DESTINATION,
                             INTENTION_NAMESPACE, name, default_allow, true);
        if (d.allowed && !str_eq(name, s->service)) {
            (void)side_add(s, name,
                           d.has_exact       ? TOPOLOGY_SPECIFIC_INTENTION
                           : d.default_allow ? TOPOLOGY_DEFAULT_ALLOW
                                             : TOPOLOGY_WILDCARD_INTENTION);
        }
    }
    map_deinit(&names);
    return MAX(index, store_index(ctx->view, STR("services")));
}

/* Is it allowed? Requests that are decided one by one count as refused. */
static void decide(struct side *s)
{
    struct rpc_ctx *ctx = s->ctx;
    struct ptrlist intentions;
    bool default_allow = acl_may(ctx, ACL_INTENTION_DEFAULT, STR(""));
    (void)intention_match(ctx->view, ctx->ws, ctx->arena,
                          s->is_down ? INTENTION_DESTINATION : INTENTION_SOURCE, s->service,
                          &intentions);
    for (size_t i = 0; i < s->list.n; i++) {
        s->list.v[i]->decision =
            intention_decide(intentions, s->is_down ? INTENTION_SOURCE : INTENTION_DESTINATION,
                             INTENTION_NAMESPACE, s->list.v[i]->name, default_allow, false);
    }
}

/* --- by discovery chains --------------------------------------------------------------------- */

/* All routers, splitters and resolvers. */
static struct ptrlist chain_entries(struct rpc_ctx *ctx)
{
    static const enum config_entry_kind kinds[] = {CONFIG_SERVICE_ROUTER, CONFIG_SERVICE_SPLITTER,
                                                   CONFIG_SERVICE_RESOLVER};
    VEC(void *) all = {0};
    struct buf prefix = {0};
    struct tree_iter it;
    void *row;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct str key = config_entry_prefix(&prefix, kinds[i]);
        watch_prefix(ctx->ws, TABLE_CONFIG_ENTRIES, key);
        store_iter(&it, ctx->view, INDEX_CONFIG_ENTRIES_ID, key);
        while ((row = tree_next(&it, NULL)) != NULL) {
            avec_push(ctx->arena, &all, row);
        }
    }
    buf_deinit(&prefix);
    return (struct ptrlist){all.v, all.n};
}

/* The service, and those whose entries lead to it over others or directly. */
static struct strlist referring_services(struct rpc_ctx *ctx, struct str service)
{
    struct ptrlist all = chain_entries(ctx);
    VEC(struct str) names = {0};
    struct map seen;
    map_init(&seen, MAP_KEYS_BORROWED);
    avec_push(ctx->arena, &names, service);
    (void)map_put(&seen, service, ctx);
    for (size_t i = 0; i < names.n; i++) {
        for (size_t j = 0; j < all.n; j++) {
            const struct config_entry *e = all.v[j];
            if (config_entry_refers(e, names.v[i]) && map_get(&seen, e->name) == NULL) {
                (void)map_put(&seen, e->name, ctx);
                avec_push(ctx->arena, &names, e->name);
            }
        }
    }
    map_deinit(&seen);
    return (struct strlist){names.v, names.n};
}

static bool leads_to(const struct compiled_discovery_chain *chain, struct str service)
{
    for (size_t i = 0; i < chain->targets.n; i++) {
        if (str_eq(((const struct discovery_target *)chain->targets.v[i].value)->service,
                   service)) {
            return true;
        }
    }
    return false;
}

/* The services whose chain leads to this one; itself, most of the time. */
static int chain_sources(struct side *s, struct str datacenter, struct strlist *ret)
{
    static const struct chain_overrides none;
    struct rpc_ctx *ctx = s->ctx;
    struct strlist names = referring_services(ctx, s->service);
    VEC(struct str) sources = {0};
    for (size_t i = 0; i < names.n; i++) {
        const struct compiled_discovery_chain *chain;
        uint64_t index;
        if (chain_read(ctx, names.v[i], datacenter, &none, &index, &chain) < 0) {
            return err_wrap(ctx->err, "failed to fetch discovery chain for %.*s",
                            STRF(go_quoted(ctx->arena, names.v[i])));
        }
        if (leads_to(chain, s->service)) {
            s->index = MAX(s->index, index);
            avec_push(ctx->arena, &sources, names.v[i]);
        }
    }
    *ret = (struct strlist){sources.v, sources.n};
    return 0;
}

/* --- by registration ------------------------------------------------------------------------- */

static void add_upstreams(struct side *s)
{
    struct strlist names;
    uint64_t index =
        mesh_topology_upstreams(s->ctx->view, s->ctx->ws, s->ctx->arena, s->service, &names);
    s->index = MAX(s->index, index);
    for (size_t i = 0; i < names.n; i++) {
        (void)side_add(s, names.v[i], TOPOLOGY_REGISTRATION);
    }
}

static int add_downstreams(struct side *s, struct str datacenter)
{
    struct rpc_ctx *ctx = s->ctx;
    struct strlist sources = {0}, names;
    int r = chain_sources(s, datacenter, &sources);
    if (r < 0) {
        return err_wrap(ctx->err, "failed to get sources for discovery chain target %.*s",
                        STRF(go_quoted(ctx->arena, s->service)));
    }
    for (size_t i = 0; i < sources.n; i++) {
        uint64_t index =
            mesh_topology_downstreams(ctx->view, ctx->ws, ctx->arena, sources.v[i], &names);
        s->index = MAX(s->index, index);
        for (size_t j = 0; j < names.n; j++) {
            (void)side_add(s, names.v[j], TOPOLOGY_REGISTRATION);
        }
    }
    return 0;
}

/* --- instances ------------------------------------------------------------------------------- */

struct instances {
    VEC(struct check_service_node) list;
};

static void take(struct side *s, struct instances *to, uint64_t index, struct objlist found)
{
    const struct check_service_node *v = found.v;
    s->index = MAX(s->index, index);
    for (size_t i = 0; i < found.n; i++) {
        avec_push(s->ctx->arena, &to->list, v[i]);
    }
}

/* Of each service its own, then those of its proxies. */
static struct instances instances_of(struct side *s)
{
    struct rpc_ctx *ctx = s->ctx;
    struct instances to = {0};
    struct objlist found;
    for (size_t i = 0; i < s->list.n; i++) {
        struct str name = s->list.v[i]->name;
        uint64_t index = catalog_health_nodes(ctx->view, ctx->ws, ctx->arena, name, NULL, &found);
        take(s, &to, index, found);
        index = catalog_health_connect_nodes(ctx->view, ctx->ws, ctx->arena, name, &found);
        take(s, &to, index, found);
    }
    return to;
}

/* The service that an instance is one of, or stands for. */
static struct str service_of(const struct check_service_node *instance)
{
    const struct node_service *s = instance->service;
    return str_eq(s->kind, SERVICE_KIND_CONNECT_PROXY) ? s->proxy.destination_service_name
                                                       : s->service;
}

static bool is_transparent(const struct node_service *s)
{
    return str_eq_lit(s->proxy.mode, "transparent");
}

static bool is_registered(const struct side *s, struct str name)
{
    const struct linked *l = map_get(&s->by_name, name);
    return l != NULL && str_eq(l->source, TOPOLOGY_REGISTRATION);
}

/* Upstreams by intentions are there only for transparent proxies. */
static struct objlist upstream_instances(struct side *s, bool has_transparent)
{
    struct instances found = instances_of(s), kept = {0};
    for (size_t i = 0; i < found.list.n; i++) {
        const struct check_service_node *instance = &found.list.v[i];
        if (has_transparent || is_registered(s, service_of(instance))) {
            avec_push(s->ctx->arena, &kept.list, *instance);
        }
    }
    return (struct objlist){kept.list.v, kept.list.n};
}

/* Upstreams without an instance may be there for the sake of routing only. */
static void mark_routing(struct side *s, struct objlist instances)
{
    static const enum config_entry_kind kinds[] = {CONFIG_SERVICE_ROUTER, CONFIG_SERVICE_SPLITTER,
                                                   CONFIG_SERVICE_RESOLVER};
    const struct check_service_node *v = instances.v;
    const struct config_entry *entry;
    struct map found;
    map_init(&found, MAP_KEYS_BORROWED);
    for (size_t i = 0; i < instances.n; i++) {
        (void)map_put(&found, v[i].service->service, (void *)(uintptr_t)&v[i]);
    }
    for (size_t i = 0; i < s->list.n; i++) {
        struct linked *l = s->list.v[i];
        for (size_t j = 0; j < ARRAY_SIZE(kinds) && map_get(&found, l->name) == NULL; j++) {
            uint64_t index = config_entry_get(s->ctx->view, s->ctx->ws, kinds[j], l->name, &entry);
            s->index = MAX(s->index, index);
            if (entry != NULL) {
                l->source = TOPOLOGY_ROUTING_CONFIG;
            }
        }
    }
    map_deinit(&found);
}

/* Downstreams by intentions count only if they are transparent proxies themselves. */
static struct objlist downstream_instances(struct side *s)
{
    struct instances found = instances_of(s), kept = {0};
    struct map transparent;
    map_init(&transparent, MAP_KEYS_BORROWED);
    for (size_t i = 0; i < found.list.n; i++) {
        const struct node_service *service = found.list.v[i].service;
        if (is_transparent(service)) {
            (void)map_put(&transparent, service->proxy.destination_service_name,
                          (void *)(uintptr_t)service);
        }
    }
    for (size_t i = 0; i < found.list.n; i++) {
        const struct check_service_node *instance = &found.list.v[i];
        struct str name = service_of(instance);
        if (map_get(&transparent, name) != NULL || is_registered(s, name)) {
            avec_push(s->ctx->arena, &kept.list, *instance);
        } else if (map_get(&s->by_name, name) != NULL) {
            ((struct linked *)map_get(&s->by_name, name))->is_left_out = true;
        }
    }
    map_deinit(&transparent);
    return (struct objlist){kept.list.v, kept.list.n};
}

/* --- the service itself ---------------------------------------------------------------------- */

/* What metrics an ingress gateway has: those of HTTP when all of its listeners speak it. */
static uint64_t ingress_protocol(struct rpc_ctx *ctx, struct str service, struct str *ret_protocol)
{
    const struct config_entry *entry;
    uint64_t index = config_entry_get(ctx->view, ctx->ws, CONFIG_INGRESS_GATEWAY, service, &entry);
    if (entry == NULL) {
        return 0;
    }
    const struct ingress_gateway *e = (const struct ingress_gateway *)entry;
    const struct ingress_listener *l = e->listeners.v;
    size_t http = 0;
    for (size_t i = 0; i < e->listeners.n; i++) {
        http += chain_protocol_is_http(l[i].protocol);
    }
    *ret_protocol = http > 0 && http == e->listeners.n ? STR("http") : STR("tcp");
    return index;
}

static uint64_t service_protocol(struct rpc_ctx *ctx, struct str service, struct str *ret_protocol)
{
    const struct chain_entries entries = {.view = ctx->view, .ws = ctx->ws};
    const struct config_entry *entry;
    /* The chain's protocol follows from these two alone. */
    uint64_t index =
        config_entry_get(ctx->view, ctx->ws, CONFIG_PROXY_DEFAULTS, CONFIG_PROXY_GLOBAL, &entry);
    *ret_protocol = chain_protocol(ctx->arena, &entries, service);
    return index;
}

struct transparency {
    bool any, all; /* of its proxies */
};

static uint64_t transparency_of(struct rpc_ctx *ctx, struct str service, struct transparency *ret)
{
    struct objlist proxies;
    uint64_t index =
        catalog_service_nodes(ctx->view, ctx->ws, ctx->arena, service, NULL, true, &proxies);
    const struct service_node *v = proxies.v;
    ret->all = proxies.n > 0;
    for (size_t i = 0; i < proxies.n; i++) {
        bool is = is_transparent(v[i].service);
        ret->any |= is;
        ret->all &= is;
    }
    return index;
}

/* --- all of it ------------------------------------------------------------------------------- */

static void side_finish(struct side *s, struct objmap *ret_decisions, struct strmap *ret_sources)
{
    struct arena *a = s->ctx->arena;
    struct objmap_pair *decisions = ARENA_ARRAY(a, struct objmap_pair, s->list.n);
    struct strpair *sources = ARENA_ARRAY(a, struct strpair, s->list.n);
    size_t n = 0;
    for (size_t i = 0; i < s->list.n; i++) {
        struct linked *l = s->list.v[i];
        if (!l->is_left_out) {
            decisions[n] = (struct objmap_pair){l->name, &l->decision};
            sources[n++] = (struct strpair){l->name, l->source};
        }
    }
    *ret_decisions = n > 0 ? objmap_build(decisions, n) : objmap_build(NULL, 0);
    *ret_sources = n > 0 ? strmap_build(sources, n) : strmap_build(NULL, 0);
    map_deinit(&s->by_name);
}

static void read_upstreams(struct side *s, bool has_transparent, struct objlist *ret)
{
    add_upstreams(s);
    if (has_transparent) {
        uint64_t index = add_by_intentions(s);
        s->index = MAX(s->index, index);
    }
    decide(s);
    *ret = upstream_instances(s, has_transparent);
    mark_routing(s, *ret);
}

static int read_downstreams(struct side *s, struct str datacenter, struct objlist *ret)
{
    int r = add_downstreams(s, datacenter);
    if (r < 0) {
        return r;
    }
    uint64_t index = add_by_intentions(s);
    s->index = MAX(s->index, index);
    decide(s);
    *ret = downstream_instances(s);
    return 0;
}

static int topology_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct service_request *args = data;
    struct indexed_service_topology *reply = out;
    struct service_topology *t = ARENA_NEW(ctx->arena, struct service_topology);
    struct str service = args->service_name;
    struct transparency transparency = {0};
    struct side up, down;
    uint64_t index;
    if (service.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide a service name");
    }
    int r = acl_check(ctx, ACL_SERVICE_READ, service);
    if (r < 0) {
        return r;
    }
    if (str_eq(args->service_kind, SERVICE_KIND_INGRESS_GATEWAY)) {
        index = ingress_protocol(ctx, service, &t->metrics_protocol);
    } else if (args->service_kind.n == 0) {
        index = service_protocol(ctx, service, &t->metrics_protocol);
        uint64_t of_proxies = transparency_of(ctx, service, &transparency);
        index = MAX(index, of_proxies);
    } else {
        return err_set(ctx->err, ERR_FAILED, "unsupported kind %.*s",
                       STRF(go_quoted(ctx->arena, args->service_kind)));
    }
    t->transparent_proxy = transparency.all;
    side_init(&up, ctx, service, false);
    read_upstreams(&up, transparency.any, &t->upstreams);
    side_finish(&up, &t->upstream_decisions, &t->upstream_sources);
    side_init(&down, ctx, service, true);
    r = read_downstreams(&down, args->datacenter, &t->downstreams);
    side_finish(&down, &t->downstream_decisions, &t->downstream_sources);
    reply->topology = t;
    index = MAX(index, up.index);
    reply->meta.index = MAX(index, down.index);
    return r < 0 ? r : acl_filter_topology(ctx, t, &reply->filtered_by_acls);
}

const struct rpc_method rpc_internal_service_topology = {
    .name = "Internal.ServiceTopology",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &service_request_schema,
    .reply = &indexed_service_topology_schema,
    .options_offset = offsetof(struct service_request, options),
    .meta_offset = offsetof(struct indexed_service_topology, meta),
    .acl = "service:read,node:read",
    .read = topology_read,
};

static int upstreams_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct service_request *args = data;
    struct indexed_service_list *reply = out;
    struct side s;
    int r = rpc_check_connect(ctx);
    if (r < 0) {
        return r;
    }
    if (args->service_name.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Must provide a service name");
    }
    if ((r = acl_known(ctx)) < 0) {
        return r;
    }
    side_init(&s, ctx, args->service_name, false);
    reply->meta.index = add_by_intentions(&s);
    struct service_name *names = ARENA_ARRAY(ctx->arena, struct service_name, s.list.n);
    for (size_t i = 0; i < s.list.n; i++) {
        names[i].name = s.list.v[i]->name;
    }
    reply->services = (struct objlist){s.list.n > 0 ? (void *)names : SCHEMA_EMPTY, s.list.n};
    map_deinit(&s.by_name);
    return acl_filter_service_names(ctx, &reply->services);
}

const struct rpc_method rpc_internal_intention_upstreams = {
    .name = "Internal.IntentionUpstreams",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &service_request_schema,
    .reply = &indexed_service_list_schema,
    .options_offset = offsetof(struct service_request, options),
    .meta_offset = offsetof(struct indexed_service_list, meta),
    .acl = "service:read",
    .read = upstreams_read,
};

/* Odd but Consul's: intentions are told apart by the id that only the old API gives, so of all
 * others just the first is shown (recorded: internal_ui_topology). */
static bool is_first(const struct ptrlist *list, const struct intention *i)
{
    for (size_t k = 0; k < list->n; k++) {
        if (str_eq(((const struct intention *)list->v[k])->id, i->id)) {
            return false;
        }
    }
    return true;
}

static int gateway_intentions_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct intention_query_request *args = data;
    struct indexed_intentions *reply = out;
    size_t count = args->match != NULL ? args->match->entries.n : 0;
    VEC(void *) result = {0};
    struct ptrlist services, intentions;
    if (count != 1) {
        return err_set(ctx->err, ERR_FAILED, "Expected 1 gateway name, got %zu", count);
    }
    const struct intention_match_entry *entry = args->match->entries.v;
    if (entry->ns.n > 0 && !str_eq_fold(entry->ns, INTENTION_NAMESPACE)) {
        return err_set(ctx->err, ERR_FAILED,
                       "Invalid match entry namespace %.*s: Namespaces is a Consul Enterprise "
                       "feature",
                       STRF(go_quoted(ctx->arena, entry->ns)));
    }
    int r = acl_check(ctx, ACL_SERVICE_READ, entry->name);
    if (r < 0) {
        return r;
    }
    reply->meta.index =
        gateway_services_list(ctx->view, ctx->ws, ctx->arena, entry->name, &services);
    for (size_t i = 0; i < services.n; i++) {
        const struct gateway_service *g = services.v[i];
        uint64_t index = intention_match(ctx->view, ctx->ws, ctx->arena, INTENTION_DESTINATION,
                                         g->service.name, &intentions);
        reply->meta.index = MAX(reply->meta.index, index);
        for (size_t j = 0; j < intentions.n; j++) {
            if (is_first(&(struct ptrlist){result.v, result.n}, intentions.v[j])) {
                avec_push(ctx->arena, &result, intentions.v[j]);
            }
        }
    }
    reply->intentions = (struct ptrlist){result.n > 0 ? result.v : SCHEMA_EMPTY, result.n};
    return acl_filter_intentions(ctx, &reply->intentions);
}

const struct rpc_method rpc_internal_gateway_intentions = {
    .name = "Internal.GatewayIntentions",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &intention_query_request_schema,
    .reply = &indexed_intentions_schema,
    .options_offset = offsetof(struct intention_query_request, options),
    .meta_offset = offsetof(struct indexed_intentions, meta),
    .acl = "service:read,intention:read",
    .read = gateway_intentions_read,
};
