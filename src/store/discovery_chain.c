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

#include "base/err.h"
#include "base/gofmt.h"
#include "base/map.h"
#include "base/vec.h"
#include "schema/config_chain.h"
#include "schema/config_defaults.h"
#include "store/config_entry.h"

#define DEFAULT_NAMESPACE STR("default")
#define DEFAULT_DATACENTER STR("dc1") /* the reference says it in its errors, too */

struct chain_target {
    struct str id;
    struct str service, subset, ns, datacenter;
};

struct chain_node {
    enum chain_node_type type;
    struct str name;
    VEC(struct chain_node *) next;
    enum { NODE_NEW, NODE_OPEN, NODE_CLOSED } visit;
};

struct compiler {
    struct arena *a;
    const struct chain_entries *entries;
    struct err *err;
    struct str service;
    struct str protocol;     /* empty until the first service is seen */
    struct map splitters;    /* by service */
    struct map resolvers;    /* by target id */
    VEC(struct str) history; /* targets of the redirects being followed */
    unsigned depth;
    bool is_advanced; /* there is a router or a splitter */
};

#define Q(s) STRF(go_quoted(c->a, (s)))

/* --- entries --------------------------------------------------------------------------------- */

const struct config_entry *chain_entry(const struct chain_entries *e, enum config_entry_kind type,
                                       struct str name)
{
    if (e->has_override && type == e->type && str_eq(name, e->name)) {
        return e->override;
    }
    return config_entry_find(e->view, type, name);
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

static struct chain_target target_make(struct compiler *c, struct str service, struct str subset,
                                       struct str ns, struct str datacenter)
{
    struct chain_target t = {.service = service,
                             .subset = subset,
                             .ns = or_default(ns, DEFAULT_NAMESPACE),
                             .datacenter = or_default(datacenter, DEFAULT_DATACENTER)};
    t.id = subset.n > 0 ? arena_printf(c->a, "%.*s.%.*s.%.*s.%.*s", STRF(subset), STRF(service),
                                       STRF(t.ns), STRF(t.datacenter))
                        : arena_printf(c->a, "%.*s.%.*s.%.*s", STRF(service), STRF(t.ns),
                                       STRF(t.datacenter));
    return t;
}

/* What is given replaces what was; another service forgets the subset. */
static struct chain_target target_rewrite(struct compiler *c, const struct chain_target *t,
                                          struct str service, struct str subset, struct str ns,
                                          struct str datacenter)
{
    bool is_other = service.n > 0 && !str_eq(service, t->service);
    struct str kept = is_other ? STR("") : t->subset;
    return target_make(c, or_default(service, t->service), or_default(subset, kept),
                       or_default(ns, t->ns), or_default(datacenter, t->datacenter));
}

/* --- nodes ----------------------------------------------------------------------------------- */

static struct chain_node *node_new(struct compiler *c, enum chain_node_type type, struct str name)
{
    struct chain_node *n = ARENA_NEW(c->a, struct chain_node);
    n->type = type;
    n->name = name;
    return n;
}

static int check_external(struct compiler *c, const struct chain_target *t,
                          const struct service_resolver *resolver)
{
    const struct service_defaults *defaults = find(c, CONFIG_SERVICE_DEFAULTS, t->service);
    if (defaults == NULL || defaults->external_sni.n == 0 || resolver == NULL) {
        return 0;
    }
    const char *what = resolver->redirect != NULL ? "redirects"
                       : resolver->subsets.n > 0  ? "subsets"
                       : resolver->failover.n > 0 ? "failover"
                                                  : NULL;
    return what == NULL ? 0
                        : err_set(c->err, ERR_FAILED,
                                  "service %.*s has an external SNI set; cannot define %s for "
                                  "external services",
                                  Q(t->service), what);
}

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
    return err_set(c->err, ERR_FAILED, "discovery chain %.*s is deeper than %u levels",
                   Q(c->service), CHAIN_DEPTH_MAX);
}

static int check_circle(struct compiler *c, struct str id)
{
    if (strlist_contains((struct strlist){c->history.v, c->history.n}, id)) {
        return fail_circle(c, id);
    }
    return c->history.n == CHAIN_DEPTH_MAX ? fail_depth(c) : 0;
}

static int resolver_node(struct compiler *c, struct chain_target target, bool is_failover,
                         struct chain_node **ret_node);

/* Failover targets are resolved, too, only not their own failover. */
static int resolve_failover(struct compiler *c, const struct chain_target *target,
                            const struct service_resolver *resolver)
{
    struct chain_node *node;
    if (resolver == NULL || resolver->failover.n == 0) {
        return 0;
    }
    const struct resolver_failover *f = objmap_get(resolver->failover, target->subset);
    f = f != NULL ? f : objmap_get(resolver->failover, CONFIG_WILDCARD);
    size_t count = f == NULL ? 0 : MAX(f->datacenters.n, 1u);
    for (size_t i = 0; i < count; i++) {
        struct chain_target t = target_rewrite(c, target, f->service, f->service_subset, f->ns,
                                               strlist_get_or_empty(f->datacenters, i));
        int r = str_eq(t.id, target->id) ? 0 : resolver_node(c, t, true, &node);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int resolver_node(struct compiler *c, struct chain_target target, bool is_failover,
                         struct chain_node **ret_node)
{
    const struct service_resolver *resolver;
    c->history.n = 0;
    for (;;) {
        struct chain_node *known = map_get(&c->resolvers, target.id);
        if (known != NULL) {
            *ret_node = known;
            return 0;
        }
        int r = record_protocol(c, target.service);
        if (r < 0 || (r = check_circle(c, target.id)) < 0) {
            return r;
        }
        avec_push(c->a, &c->history, target.id);
        resolver = find(c, CONFIG_SERVICE_RESOLVER, target.service);
        if (resolver != NULL && resolver->redirect != NULL) {
            const struct resolver_redirect *to = resolver->redirect;
            struct chain_target next =
                target_rewrite(c, &target, to->service, to->service_subset, to->ns, to->datacenter);
            if (!str_eq(next.id, target.id)) {
                target = next;
                continue;
            }
        }
        if (target.subset.n == 0 && resolver != NULL && resolver->default_subset.n > 0) {
            target =
                target_rewrite(c, &target, STR(""), resolver->default_subset, STR(""), STR(""));
            continue;
        }
        break;
    }
    if (target.subset.n > 0 &&
        (resolver == NULL || objmap_get(resolver->subsets, target.subset) == NULL)) {
        return err_set(c->err, ERR_FAILED, "service %.*s does not have a subset named %.*s",
                       Q(target.service), Q(target.subset));
    }
    int r = check_external(c, &target, resolver);
    if (r < 0) {
        return r;
    }
    *ret_node = node_new(c, CHAIN_RESOLVER, target.id);
    if (is_failover) {
        return 0;
    }
    (void)map_put(&c->resolvers, target.id, *ret_node);
    return resolve_failover(c, &target, resolver);
}

/* *ret_node is NULL when the service is not split. */
static int splitter_node(struct compiler *c, struct str service, struct chain_node **ret_node)
{
    *ret_node = map_get(&c->splitters, service);
    const struct service_splitter *splitter = find(c, CONFIG_SERVICE_SPLITTER, service);
    if (*ret_node != NULL || splitter == NULL) {
        return 0;
    }
    if (++c->depth > CHAIN_DEPTH_MAX) {
        return fail_depth(c);
    }
    struct chain_node *node = node_new(
        c, CHAIN_SPLITTER, arena_printf(c->a, "%.*s.%.*s", STRF(service), STRF(DEFAULT_NAMESPACE)));
    (void)map_put(&c->splitters, service, node); /* before going down: there may be a circle */
    const struct service_split *split = splitter->splits.v;
    for (size_t i = 0; i < splitter->splits.n; i++, split++) {
        struct str to = or_default(split->service, service);
        struct chain_node *next = NULL;
        int r = 0;
        if (!str_eq(to, service) && split->service_subset.n == 0) {
            r = splitter_node(c, to, &next);
        }
        if (r >= 0 && next == NULL) {
            r = resolver_node(c, target_make(c, to, split->service_subset, STR(""), STR("")), false,
                              &next);
        }
        if (r < 0) {
            return r;
        }
        avec_push(c->a, &node->next, next);
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

static int router_node(struct compiler *c, const struct service_router *router,
                       struct chain_node **ret_node)
{
    struct chain_node *node =
        node_new(c, CHAIN_ROUTER,
                 arena_printf(c->a, "%.*s.%.*s", STRF(c->service), STRF(DEFAULT_NAMESPACE)));
    struct chain_node *next;
    c->is_advanced = true;
    int r = record_protocol(c, c->service);
    const struct service_route *route = router->routes.v;
    for (size_t i = 0; r >= 0 && i < router->routes.n; i++, route++) {
        const struct route_destination none = {0};
        const struct route_destination *to =
            route->destination != NULL ? route->destination : &none;
        struct str service = or_default(to->service, c->service);
        r = to->service_subset.n == 0
                ? splitter_or_resolver_node(c, service, to->ns, &next)
                : resolver_node(c, target_make(c, service, to->service_subset, to->ns, STR("")),
                                false, &next);
        if (r >= 0) {
            avec_push(c->a, &node->next, next);
        }
    }
    /* What matches no route goes to the service itself. */
    if (r >= 0 && (r = splitter_or_resolver_node(c, c->service, STR(""), &next)) >= 0) {
        avec_push(c->a, &node->next, next);
        *ret_node = node;
    }
    return r;
}

/* --- circles --------------------------------------------------------------------------------- */

static const char *type_text(enum chain_node_type type)
{
    return type == CHAIN_ROUTER ? "router" : type == CHAIN_SPLITTER ? "splitter" : "resolver";
}

/* Depth first, last child first, as the reference; how deep is bounded by CHAIN_DEPTH_MAX already.
 * A node whose descendants were all seen needs no second look. */
static int find_circle(struct compiler *c, struct chain_node *n, unsigned depth, struct buf *path)
{
    size_t at = path->n;
    if (depth > CHAIN_DEPTH_MAX) {
        return fail_depth(c);
    }
    buf_printf(path, "%s%s:%.*s", at > 0 ? " -> " : "", type_text(n->type), STRF(n->name));
    if (n->visit == NODE_OPEN) {
        return err_set(c->err, ERR_FAILED, "detected circular reference: [%.*s]",
                       STRF(buf_view(path)));
    }
    int r = 0;
    if (n->visit == NODE_NEW) {
        n->visit = NODE_OPEN;
        for (size_t i = n->next.n; r >= 0 && i > 0; i--) {
            r = find_circle(c, n->next.v[i - 1], depth + 1, path);
        }
        n->visit = NODE_CLOSED;
    }
    path->n = at;
    return r;
}

/* --- all of it ------------------------------------------------------------------------------- */

static int compile(struct compiler *c, struct chain_node **ret_start)
{
    const struct service_router *router = find(c, CONFIG_SERVICE_ROUTER, c->service);
    int r = router != NULL ? router_node(c, router, ret_start)
                           : splitter_or_resolver_node(c, c->service, STR(""), ret_start);
    if (r >= 0) {
        struct buf path = {0};
        r = find_circle(c, *ret_start, 0, &path);
        buf_deinit(&path);
    }
    if (r >= 0 && c->is_advanced && !chain_protocol_is_http(c->protocol)) {
        r = err_set(c->err, ERR_FAILED,
                    "discovery chain %.*s uses a protocol %.*s that does not permit advanced "
                    "routing or splitting behavior",
                    Q(c->service), Q(c->protocol));
    }
    return r;
}

int chain_compile(struct arena *a, const struct chain_entries *entries, struct str service,
                  struct chain_result *ret_result, struct err *err)
{
    if (service.n == 0) {
        return err_set(err, ERR_FAILED, "serviceName is required");
    }
    struct compiler *c = ARENA_NEW(a, struct compiler);
    struct chain_node *start = NULL;
    *c = (struct compiler){.a = a, .entries = entries, .err = err, .service = service};
    map_init(&c->splitters, MAP_KEYS_BORROWED);
    map_init(&c->resolvers, MAP_KEYS_BORROWED);
    int r = compile(c, &start);
    if (r >= 0) {
        *ret_result = (struct chain_result){.protocol = c->protocol, .start = start->type};
    }
    map_deinit(&c->splitters);
    map_deinit(&c->resolvers);
    return r;
}
