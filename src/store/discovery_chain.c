/* The happy path: a router, if the service has one, has a node for each of its destinations and one
 * for the service itself; each of those is a splitter, if the service has one, or a resolver; a
 * splitter's destinations are splitters or resolvers; a resolver is a target, after redirects and
 * the default subset, with failover targets beside it.
 *
 * What can go wrong: services of one chain differ in protocol; a subset is asked for that its
 * resolver does not have; redirects go in a circle; splitters lead to each other in a circle; an
 * external service has a resolver that wants more of it than an address; a service whose
 * protocol is not like HTTP is routed or split. */
#include "store/discovery_chain.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "schema/config_defaults.h"
#include "schema/hash.h"
#include "store/chain_graph.h"
#include "store/config_entry.h"

#define DEFAULT_NAMESPACE STR("default")
#define CONNECT_TIMEOUT_DEFAULT ((int64_t)(5 * NS_PER_SEC))
#define CUSTOMIZATION_HASH_DIGITS 8u

struct target {
    struct discovery_target pub;
    bool is_retained; /* in the outcome */
};

struct compiler {
    struct arena *a;
    const struct chain_entries *entries;
    const struct chain_options *options;
    struct err *err;
    struct str service;
    struct str protocol; /* empty until the first service is seen */
    struct chain_graph graph;
    struct map targets;      /* by id */
    VEC(struct str) history; /* targets of the redirects being followed */
    unsigned depth;
    bool is_advanced; /* there is a router or a splitter */
    bool is_plain;    /* routers and splitters are passed over: the override wants it */
    struct {
        bool mesh_gateway, protocol, connect_timeout;
    } customized; /* which overrides made a difference */
};

/* What the reference compiles with when it only checks; its errors say so, too. */
const struct chain_options chain_options_any = {
    .datacenter = STR_INIT("dc1"),
    .use_in = STR_INIT("dc1"),
    .trust_domain = STR_INIT("b6fc9da3-03d4-4b5a-9134-c045e9b20152.consul"),
};

#define Q(s) STRF(go_quoted(c->a, (s)))

/* --- entries --------------------------------------------------------------------------------- */

const struct config_entry *chain_entry(const struct chain_entries *e, enum config_entry_kind type,
                                       struct str name)
{
    const struct config_entry *entry;
    if (e->has_override && type == e->type && str_eq(name, e->name)) {
        return e->override;
    }
    (void)config_entry_get(e->view, e->ws, type, name, &entry);
    return entry;
}

static const void *find(const struct compiler *c, enum config_entry_kind type, struct str name)
{
    return chain_entry(c->entries, type, name);
}

bool chain_protocol_is_http(struct str protocol)
{
    return str_eq_lit(protocol, "http") || str_eq_lit(protocol, "http2") ||
           str_eq_lit(protocol, "grpc");
}

static struct str or_default(struct str s, struct str fallback)
{
    return s.n > 0 ? s : fallback;
}

/* The free-form "protocol" of proxy-defaults, in any case of letters. */
static struct str global_protocol(const struct chain_entries *entries)
{
    const struct config_entry *entry =
        chain_entry(entries, CONFIG_PROXY_DEFAULTS, CONFIG_PROXY_GLOBAL);
    const struct value *config =
        entry != NULL ? ((const struct proxy_defaults *)entry)->config : NULL;
    const struct value *v = config != NULL ? value_get(config, STR("protocol")) : NULL;
    size_t count = v == NULL && config != NULL && config->kind == VALUE_MAP ? config->map.n : 0;
    for (size_t i = 0; i < count; i++) {
        if (str_eq_fold(config->map.v[i].key, STR("protocol"))) {
            v = &config->map.v[i].value;
        }
    }
    return v != NULL && (v->kind == VALUE_STR || v->kind == VALUE_BYTES) ? v->s : STR_NULL;
}

struct str chain_protocol(struct arena *a, const struct chain_entries *entries, struct str service)
{
    const struct config_entry *defaults = chain_entry(entries, CONFIG_SERVICE_DEFAULTS, service);
    struct str protocol = defaults != NULL ? ((const struct service_defaults *)defaults)->protocol
                                           : global_protocol(entries);
    return arena_lower(a, or_default(protocol, STR("tcp")));
}

static int record_protocol(struct compiler *c, struct str service)
{
    struct str protocol = chain_protocol(c->a, c->entries, service);
    if (c->protocol.n == 0) {
        c->protocol = protocol;
    } else if (!str_eq(c->protocol, protocol)) {
        return err_set(c->err, ERR_FAILED,
                       "discovery chain %.*s uses inconsistent protocols; service %.*s has %.*s "
                       "which is not %.*s",
                       Q(c->service), Q(service), Q(protocol), Q(c->protocol));
    }
    return 0;
}

/* --- targets --------------------------------------------------------------------------------- */

static struct target *target_make(struct compiler *c, struct str service, struct str subset,
                                  struct str ns, struct str datacenter)
{
    ns = or_default(ns, DEFAULT_NAMESPACE);
    datacenter = or_default(datacenter, c->options->datacenter);
    struct str id = subset.n > 0 ? arena_printf(c->a, "%.*s.%.*s.%.*s.%.*s", STRF(subset),
                                                STRF(service), STRF(ns), STRF(datacenter))
                                 : arena_printf(c->a, "%.*s.%.*s.%.*s", STRF(service), STRF(ns),
                                                STRF(datacenter));
    struct target *t = map_get(&c->targets, id);
    if (t == NULL) {
        t = ARENA_NEW(c->a, struct target);
        t->pub = (struct discovery_target){
            .id = id, .service = service, .service_subset = subset, .ns = ns};
        t->pub.datacenter = datacenter;
        t->pub.name =
            arena_printf(c->a, "%.*s.internal.%.*s", STRF(id), STRF(c->options->trust_domain));
        t->pub.sni = t->pub.name;
        (void)map_put(&c->targets, id, t);
    }
    return t;
}

/* What is given replaces what was; another service forgets the subset. */
static struct target *target_rewrite(struct compiler *c, const struct target *target,
                                     struct str service, struct str subset, struct str ns,
                                     struct str datacenter)
{
    const struct discovery_target *t = &target->pub;
    bool is_other = service.n > 0 && !str_eq(service, t->service);
    struct str kept = is_other ? STR("") : t->service_subset;
    return target_make(c, or_default(service, t->service), or_default(subset, kept),
                       or_default(ns, t->ns), or_default(datacenter, t->datacenter));
}

/* An external service has an SNI of its own, and is what it is. */
static int target_set_external(struct compiler *c, struct discovery_target *t,
                               const struct service_resolver *resolver)
{
    const struct service_defaults *defaults = find(c, CONFIG_SERVICE_DEFAULTS, t->service);
    if (defaults == NULL || defaults->external_sni.n == 0) {
        return 0;
    }
    t->sni = defaults->external_sni;
    t->external = true;
    const char *what = resolver == NULL             ? NULL
                       : resolver->redirect != NULL ? "redirects"
                       : resolver->subsets.n > 0    ? "subsets"
                       : resolver->failover.n > 0   ? "failover"
                                                    : NULL;
    return what == NULL ? 0
                        : err_set(c->err, ERR_FAILED,
                                  "service %.*s has an external SNI set; cannot define %s for "
                                  "external services",
                                  Q(t->service), what);
}

/* Gateways lead to other data centers only, and not to external services. */
static void target_set_mesh_gateway(struct compiler *c, struct discovery_target *t)
{
    const struct service_defaults *defaults;
    const struct proxy_defaults *global;
    struct str override = c->options->overrides.mesh_gateway.mode;
    t->mesh_gateway.mode = STR("");
    if (str_eq(t->datacenter, c->options->use_in) || t->external) {
        return;
    }
    if ((defaults = find(c, CONFIG_SERVICE_DEFAULTS, t->service)) != NULL) {
        t->mesh_gateway = defaults->mesh_gateway;
    }
    if (t->mesh_gateway.mode.n == 0 &&
        (global = find(c, CONFIG_PROXY_DEFAULTS, CONFIG_PROXY_GLOBAL)) != NULL) {
        t->mesh_gateway.mode = global->mesh_gateway.mode;
    }
    if (override.n > 0 && !str_eq(t->mesh_gateway.mode, override)) {
        t->mesh_gateway.mode = override;
        c->customized.mesh_gateway = true;
    }
}

/* --- resolvers ------------------------------------------------------------------------------- */

static int fail_circle(struct compiler *c, struct str id)
{
    struct buf path = {0};
    for (size_t i = 0; i < c->history.n; i++) {
        buf_printf(&path, "%.*s -> ", STRF(c->history.v[i]));
    }
    int r = err_set(c->err, ERR_FAILED, "detected circular resolver redirect: [%.*s%.*s]",
                    STRF(buf_view(&path)), STRF(id));
    buf_deinit(&path);
    return r;
}

static int fail_depth(struct compiler *c)
{
    return chain_fail_depth(c->a, c->service, c->err);
}

static int check_circle(struct compiler *c, struct str id)
{
    if (strlist_contains((struct strlist){c->history.v, c->history.n}, id)) {
        return fail_circle(c, id);
    }
    return c->history.n == CHAIN_DEPTH_MAX ? fail_depth(c) : 0;
}

static struct chain_node *known_node(struct compiler *c, struct str type, struct str name)
{
    return map_get(&c->graph.nodes, arena_printf(c->a, "%.*s:%.*s", STRF(type), STRF(name)));
}

static bool resolver_is_default(const struct service_resolver *r)
{
    return r == NULL || (r->default_subset.n == 0 && r->subsets.n == 0 && r->redirect == NULL &&
                         r->failover.n == 0 && r->connect_timeout == 0 && r->load_balancer == NULL);
}

static int64_t connect_timeout(struct compiler *c, const struct service_resolver *resolver)
{
    int64_t override = c->options->overrides.connect_timeout;
    int64_t timeout = resolver != NULL && resolver->connect_timeout > 0 ? resolver->connect_timeout
                                                                        : CONNECT_TIMEOUT_DEFAULT;
    if (override > 0 && override != timeout) {
        c->customized.connect_timeout = true;
        return override;
    }
    return timeout;
}

static int resolver_node(struct compiler *c, struct target *target, bool is_failover,
                         struct chain_node **ret_node);

/* Failover targets are resolved, too, only not their own failover. */
static int resolve_failover(struct compiler *c, const struct target *target,
                            const struct service_resolver *resolver, struct discovery_resolver *to)
{
    VEC(struct str) ids = {0};
    struct chain_node *node;
    const struct resolver_failover *f = objmap_get(resolver->failover, target->pub.service_subset);
    f = f != NULL ? f : objmap_get(resolver->failover, CONFIG_WILDCARD);
    size_t count = f == NULL ? 0 : MAX(f->datacenters.n, 1u);
    for (size_t i = 0; i < count; i++) {
        struct target *t = target_rewrite(c, target, f->service, f->service_subset, f->ns,
                                          strlist_get_or_empty(f->datacenters, i));
        if (t == target) {
            continue;
        }
        int r = resolver_node(c, t, true, &node);
        if (r < 0) {
            return r;
        }
        avec_push(c->a, &ids, node->node.resolver->target);
    }
    if (ids.n > 0) {
        to->failover = ARENA_NEW(c->a, struct discovery_failover);
        to->failover->targets = (struct strlist){ids.v, ids.n};
    }
    return 0;
}

/* After redirects and the default subset: *target is where it ends, or *ret_node the node that is
 * there already. */
static int resolve(struct compiler *c, struct target **target,
                   const struct service_resolver **ret_resolver, struct chain_node **ret_node)
{
    c->history.n = 0;
    for (;;) {
        struct target *t = *target, *next = t;
        *ret_node = known_node(c, CHAIN_RESOLVER, t->pub.id);
        if (*ret_node != NULL) {
            return 0;
        }
        int r = record_protocol(c, t->pub.service);
        if (r < 0 || (r = check_circle(c, t->pub.id)) < 0) {
            return r;
        }
        avec_push(c->a, &c->history, t->pub.id);
        const struct service_resolver *resolver = find(c, CONFIG_SERVICE_RESOLVER, t->pub.service);
        *ret_resolver = resolver;
        if (resolver != NULL && resolver->redirect != NULL) {
            const struct resolver_redirect *to = resolver->redirect;
            next = target_rewrite(c, t, to->service, to->service_subset, to->ns, to->datacenter);
        }
        if (next == t && t->pub.service_subset.n == 0 && resolver != NULL &&
            resolver->default_subset.n > 0) {
            next = target_rewrite(c, t, STR(""), resolver->default_subset, STR(""), STR(""));
        }
        if (next == t) {
            return 0;
        }
        *target = next;
    }
}

static int resolver_node(struct compiler *c, struct target *target, bool is_failover,
                         struct chain_node **ret_node)
{
    const struct service_resolver *resolver = NULL;
    int r = resolve(c, &target, &resolver, ret_node);
    if (r < 0 || *ret_node != NULL) {
        return r;
    }
    struct discovery_target *t = &target->pub;
    const struct resolver_subset *subset =
        resolver != NULL ? objmap_get(resolver->subsets, t->service_subset) : NULL;
    if (t->service_subset.n > 0 && subset == NULL) {
        return err_set(c->err, ERR_FAILED, "service %.*s does not have a subset named %.*s",
                       Q(t->service), Q(t->service_subset));
    }
    struct chain_node *node = chain_node_new(&c->graph, CHAIN_RESOLVER, t->id);
    node->node.resolver = ARENA_NEW(c->a, struct discovery_resolver);
    *node->node.resolver = (struct discovery_resolver){
        .is_default = resolver_is_default(resolver),
        .connect_timeout = connect_timeout(c, resolver),
        .target = t->id,
    };
    node->node.load_balancer = resolver != NULL ? resolver->load_balancer : NULL;
    t->subset = subset != NULL ? *subset : (struct resolver_subset){0};
    if ((r = target_set_external(c, t, resolver)) < 0) {
        return r;
    }
    target_set_mesh_gateway(c, t);
    target->is_retained = true;
    *ret_node = node;
    if (is_failover) {
        return 0;
    }
    chain_graph_put(&c->graph, node);
    return resolver == NULL ? 0 : resolve_failover(c, target, resolver, node->node.resolver);
}

/* --- splitters ------------------------------------------------------------------------------- */

/* An entry that routes or splits, unless that is switched off. */
static const void *find_advanced(struct compiler *c, enum config_entry_kind type, struct str name)
{
    const void *entry = find(c, type, name);
    if (entry != NULL && c->is_plain) {
        c->customized.protocol = true;
        return NULL;
    }
    return entry;
}

static bool is_hash_based(const struct load_balancer *lb)
{
    return lb != NULL && (str_eq_lit(lb->policy, "maglev") || str_eq_lit(lb->policy, "ring_hash"));
}

static struct str with_namespace(struct compiler *c, struct str service)
{
    return arena_printf(c->a, "%.*s.%.*s", STRF(service), STRF(DEFAULT_NAMESPACE));
}

static int splitter_node(struct compiler *c, struct str service, struct chain_node **ret_node);

/* Where one split leads. */
static int split_node(struct compiler *c, struct chain_node *from, struct str service,
                      const struct service_split *split, struct chain_node **ret_node)
{
    struct str to = or_default(split->service, service);
    *ret_node = NULL;
    int r =
        !str_eq(to, service) && split->service_subset.n == 0 ? splitter_node(c, to, ret_node) : 0;
    if (r < 0 || *ret_node != NULL) {
        return r;
    }
    r = resolver_node(c, target_make(c, to, split->service_subset, STR(""), STR("")), false,
                      ret_node);
    /* A route has one hash policy at most: the first that comes. */
    if (r >= 0 && from->node.load_balancer == NULL &&
        is_hash_based((*ret_node)->node.load_balancer)) {
        from->node.load_balancer = (*ret_node)->node.load_balancer;
    }
    return r;
}

/* *ret_node is NULL when the service is not split. */
static int splitter_node(struct compiler *c, struct str service, struct chain_node **ret_node)
{
    struct str name = with_namespace(c, service);
    struct chain_node *next;
    *ret_node = known_node(c, CHAIN_SPLITTER, name);
    const struct service_splitter *splitter =
        *ret_node == NULL ? find_advanced(c, CONFIG_SERVICE_SPLITTER, service) : NULL;
    if (splitter == NULL) {
        return 0;
    }
    if (++c->depth > CHAIN_DEPTH_MAX) {
        return fail_depth(c);
    }
    struct chain_node *node = chain_node_new(&c->graph, CHAIN_SPLITTER, name);
    chain_graph_put(&c->graph, node); /* before going down: there may be a circle */
    const struct service_split *split = splitter->splits.v;
    for (size_t i = 0; i < splitter->splits.n; i++, split++) {
        int r = split_node(c, node, service, split, &next);
        if (r < 0) {
            return r;
        }
        struct discovery_split *compiled = ARENA_NEW(c->a, struct discovery_split);
        compiled->weight = split->weight;
        chain_node_lead(&c->graph, node, compiled, next);
    }
    c->depth--;
    c->is_advanced = true;
    *ret_node = node;
    return 0;
}

static int splitter_or_resolver_node(struct compiler *c, struct str service, struct str ns,
                                     struct chain_node **ret_node)
{
    int r = splitter_node(c, service, ret_node);
    return r < 0 || *ret_node != NULL
               ? r
               : resolver_node(c, target_make(c, service, STR(""), ns, STR("")), false, ret_node);
}

/* --- the router ------------------------------------------------------------------------------ */

static int route_lead(struct compiler *c, struct chain_node *from, struct service_route *route)
{
    const struct route_destination none = {0};
    const struct route_destination *to = route->destination != NULL ? route->destination : &none;
    struct str service = or_default(to->service, c->service);
    struct chain_node *next;
    int r = to->service_subset.n == 0
                ? splitter_or_resolver_node(c, service, to->ns, &next)
                : resolver_node(c, target_make(c, service, to->service_subset, to->ns, STR("")),
                                false, &next);
    if (r >= 0) {
        struct discovery_route *compiled = ARENA_NEW(c->a, struct discovery_route);
        compiled->definition = route;
        chain_node_lead(&c->graph, from, compiled, next);
    }
    return r;
}

/* What matches no route goes to the service itself. */
static struct service_route *default_route(struct compiler *c, struct str service)
{
    struct service_route *route = ARENA_NEW(c->a, struct service_route);
    route->match = ARENA_NEW(c->a, struct route_match);
    route->match->http = ARENA_NEW(c->a, struct route_http_match);
    route->match->http->path_prefix = STR("/");
    route->destination = ARENA_NEW(c->a, struct route_destination);
    route->destination->service = service;
    route->destination->ns = DEFAULT_NAMESPACE;
    return route;
}

static int router_node(struct compiler *c, const struct service_router *router,
                       struct chain_node **ret_node)
{
    struct str service = router->head.name;
    struct chain_node *node = chain_node_new(&c->graph, CHAIN_ROUTER, with_namespace(c, service));
    c->is_advanced = true;
    int r = record_protocol(c, service);
    struct service_route *route = router->routes.v;
    for (size_t i = 0; r >= 0 && i < router->routes.n; i++, route++) {
        r = route_lead(c, node, route);
    }
    if (r >= 0 && (r = route_lead(c, node, default_route(c, service))) >= 0) {
        chain_graph_put(&c->graph, node);
        *ret_node = node;
    }
    return r;
}

/* --- all of it ------------------------------------------------------------------------------- */

static int assemble(struct compiler *c, struct chain_node **ret_start)
{
    const struct service_router *router = find_advanced(c, CONFIG_SERVICE_ROUTER, c->service);
    int r = router != NULL ? router_node(c, router, ret_start)
                           : splitter_or_resolver_node(c, c->service, STR(""), ret_start);
    if (r < 0 || (r = chain_graph_check_circles(&c->graph, *ret_start, c->service, c->err)) < 0 ||
        (r = chain_graph_flatten(&c->graph, c->service, c->err)) < 0) {
        return r;
    }
    if (c->is_advanced && !chain_protocol_is_http(c->protocol)) {
        return err_set(c->err, ERR_FAILED,
                       "discovery chain %.*s uses a protocol %.*s that does not permit advanced "
                       "routing or splitting behavior",
                       Q(c->service), Q(c->protocol));
    }
    struct str override = c->options->overrides.protocol;
    if (override.n > 0 && !str_eq(override, c->protocol)) {
        c->protocol = override;
        c->customized.protocol = true;
    }
    return 0;
}

/* Of those overrides that made a difference; empty when none did. */
static struct str customization_hash(struct compiler *c)
{
    const struct chain_overrides *o = &c->options->overrides;
    struct chain_overrides made = {0};
    if (c->customized.mesh_gateway) {
        made.mesh_gateway = o->mesh_gateway;
    }
    if (c->customized.protocol) {
        made.protocol = o->protocol;
    }
    if (c->customized.connect_timeout) {
        made.connect_timeout = o->connect_timeout;
    }
    if (!c->customized.mesh_gateway && !c->customized.protocol && !c->customized.connect_timeout) {
        return STR("");
    }
    uint64_t hash = schema_hash(&chain_overrides_schema, &made);
    return str_first(arena_printf(c->a, "%jx", (uintmax_t)hash), CUSTOMIZATION_HASH_DIGITS);
}

static struct objmap retained_targets(struct compiler *c)
{
    VEC(struct objmap_pair) pairs = {0};
    size_t pos = 0;
    struct str id;
    void *value;
    while (map_next(&c->targets, &pos, &id, &value)) {
        struct target *t = value;
        if (t->is_retained) {
            avec_push(c->a, &pairs, ((struct objmap_pair){id, &t->pub}));
        }
    }
    return objmap_build(pairs.v, pairs.n);
}

int chain_compile(struct arena *a, const struct chain_entries *entries, struct str service,
                  const struct chain_options *options,
                  const struct compiled_discovery_chain **ret_chain, struct err *err)
{
    if (service.n == 0) {
        return err_set(err, ERR_FAILED, "serviceName is required");
    }
    struct compiler *c = ARENA_NEW(a, struct compiler);
    struct chain_node *start = NULL;
    struct str protocol = options->overrides.protocol;
    *c = (struct compiler){.a = a,
                           .entries = entries,
                           .options = options,
                           .err = err,
                           .service = service,
                           .is_plain = protocol.n > 0 && !chain_protocol_is_http(protocol)};
    chain_graph_init(&c->graph, a);
    map_init(&c->targets, MAP_KEYS_BORROWED);
    int r = assemble(c, &start);
    if (r >= 0) {
        struct compiled_discovery_chain *chain = ARENA_NEW(a, struct compiled_discovery_chain);
        *chain = (struct compiled_discovery_chain){
            .service_name = service,
            .ns = DEFAULT_NAMESPACE,
            .datacenter = options->datacenter,
            .customization_hash = customization_hash(c),
            .protocol = c->protocol,
            .start_node = start->key,
            .nodes = chain_graph_nodes(&c->graph, start),
            .targets = retained_targets(c),
        };
        *ret_chain = chain;
    }
    map_deinit(&c->targets);
    chain_graph_deinit(&c->graph);
    return r;
}

/* --- asking one ------------------------------------------------------------------------------ */

static const struct discovery_graph_node *start_of(const struct compiled_discovery_chain *chain)
{
    const struct discovery_graph_node *start = objmap_get(chain->nodes, chain->start_node);
    ASSERT(start != NULL);
    return start;
}

struct str chain_start_type(const struct compiled_discovery_chain *chain)
{
    return start_of(chain)->type;
}

bool chain_is_default(const struct compiled_discovery_chain *chain)
{
    const struct discovery_graph_node *start = start_of(chain);
    if (!str_eq(start->type, CHAIN_RESOLVER) || !start->resolver->is_default) {
        return false;
    }
    const struct discovery_target *t = objmap_get(chain->targets, start->resolver->target);
    return t != NULL && str_eq(t->service, chain->service_name) && str_eq(t->ns, chain->ns);
}
