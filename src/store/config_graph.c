#include "store/config_graph.h"

#include "base/err.h"
#include "base/gofmt.h"
#include "base/map.h"
#include "base/vec.h"
#include "schema/config_chain.h"
#include "schema/config_gateways.h"
#include "schema/config_intentions.h"
#include "store/config_entry.h"
#include "store/discovery_chain.h"

struct chain {
    const struct compiled_discovery_chain *compiled;
};

struct graph {
    struct arena *a;
    struct chain_entries entries; /* the change is its override */
    struct err *err;
    struct map chains; /* by service, struct chain; in the order they were asked for */
    VEC(const struct ingress_gateway *) gateways;
    VEC(const struct service_intentions *) intentions;
};

#define Q(s) STRF(go_quoted(g->a, (s)))

static void add_chain(struct graph *g, struct str service)
{
    if (map_get(&g->chains, service) == NULL) {
        (void)map_put(&g->chains, service, ARENA_NEW(g->a, struct chain));
    }
}

/* --- what refers to what --------------------------------------------------------------------- */

static bool ingress_refers(const struct ingress_gateway *e, struct str service)
{
    const struct ingress_listener *l = e->listeners.v;
    for (size_t i = 0; i < e->listeners.n; i++) {
        const struct ingress_service *s = l[i].services.v;
        for (size_t j = 0; j < l[i].services.n; j++) {
            if (str_eq(s[j].name, service) && !str_eq(service, CONFIG_WILDCARD)) {
                return true;
            }
        }
    }
    return false;
}

static bool router_refers(const struct service_router *e, struct str service)
{
    const struct service_route *route = e->routes.v;
    for (size_t i = 0; i < e->routes.n; i++) {
        if (route[i].destination != NULL && str_eq(route[i].destination->service, service)) {
            return true;
        }
    }
    return false;
}

static bool splitter_refers(const struct service_splitter *e, struct str service)
{
    const struct service_split *split = e->splits.v;
    for (size_t i = 0; i < e->splits.n; i++) {
        if (str_eq(split[i].service, service)) {
            return true;
        }
    }
    return false;
}

static bool resolver_refers(const struct service_resolver *e, struct str service)
{
    if (e->redirect != NULL && str_eq(e->redirect->service, service)) {
        return true;
    }
    for (size_t i = 0; i < e->failover.n; i++) {
        if (str_eq(((const struct resolver_failover *)e->failover.v[i].value)->service, service)) {
            return true;
        }
    }
    return false;
}

bool config_entry_refers(const struct config_entry *e, struct str service)
{
    switch (e->type) {
    case CONFIG_SERVICE_ROUTER:
        return router_refers((const struct service_router *)e, service);
    case CONFIG_SERVICE_SPLITTER:
        return splitter_refers((const struct service_splitter *)e, service);
    case CONFIG_SERVICE_RESOLVER:
        return resolver_refers((const struct service_resolver *)e, service);
    case CONFIG_INGRESS_GATEWAY:
        return ingress_refers((const struct ingress_gateway *)e, service);
    default:
        return false;
    }
}

/* --- what to look at ------------------------------------------------------------------------- */

/* Told each stored entry of a kind, as it is before the change. */
typedef void (*graph_each_fn)(struct graph *g, const struct config_entry *entry);

static void each(struct graph *g, enum config_entry_kind type, graph_each_fn fn)
{
    struct buf prefix = {0};
    struct tree_iter it;
    const struct config_entry *entry;
    store_iter(&it, g->entries.view, INDEX_CONFIG_ENTRIES_ID, config_entry_prefix(&prefix, type));
    while ((entry = tree_next(&it, NULL)) != NULL) {
        fn(g, entry);
    }
    buf_deinit(&prefix);
}

static void add_own_chain(struct graph *g, const struct config_entry *entry)
{
    add_chain(g, entry->name);
}

static void add_gateway(struct graph *g, const struct config_entry *entry)
{
    avec_push(g->a, &g->gateways, (const struct ingress_gateway *)entry);
}

static void add_intentions(struct graph *g, const struct config_entry *entry)
{
    avec_push(g->a, &g->intentions, (const struct service_intentions *)entry);
}

static void add_referrer(struct graph *g, const struct config_entry *entry)
{
    if (!config_entry_refers(entry, g->entries.name)) {
        return;
    }
    if (entry->type == CONFIG_INGRESS_GATEWAY) {
        add_gateway(g, entry);
    } else {
        add_chain(g, entry->name);
    }
}

static void collect(struct graph *g)
{
    static const enum config_entry_kind chain_kinds[] = {
        CONFIG_SERVICE_ROUTER, CONFIG_SERVICE_SPLITTER, CONFIG_SERVICE_RESOLVER};
    switch (g->entries.type) {
    case CONFIG_PROXY_DEFAULTS: /* every service may be concerned */
        for (size_t i = 0; i < ARRAY_SIZE(chain_kinds); i++) {
            each(g, chain_kinds[i], add_own_chain);
        }
        each(g, CONFIG_INGRESS_GATEWAY, add_gateway);
        each(g, CONFIG_SERVICE_INTENTIONS, add_intentions);
        break;
    case CONFIG_SERVICE_INTENTIONS:
        add_intentions(g, g->entries.override);
        break;
    case CONFIG_INGRESS_GATEWAY:
        add_gateway(g, g->entries.override);
        break;
    default:
        add_chain(g, g->entries.name);
        each(g, CONFIG_SERVICE_INTENTIONS, add_intentions);
        for (size_t i = 0; i < ARRAY_SIZE(chain_kinds); i++) {
            each(g, chain_kinds[i], add_referrer);
        }
        each(g, CONFIG_INGRESS_GATEWAY, add_referrer);
    }
    /* Gateways and intentions are judged by the chains they lead to. */
    for (size_t i = 0; i < g->gateways.n; i++) {
        const struct ingress_listener *l = g->gateways.v[i]->listeners.v;
        for (size_t j = 0; j < g->gateways.v[i]->listeners.n; j++) {
            const struct ingress_service *s = l[j].services.v;
            for (size_t k = 0; k < l[j].services.n; k++) {
                if (!str_eq(s[k].name, CONFIG_WILDCARD)) {
                    add_chain(g, s[k].name);
                }
            }
        }
    }
    for (size_t i = 0; i < g->intentions.n; i++) {
        add_chain(g, g->intentions.v[i]->head.name);
    }
}

/* --- judging --------------------------------------------------------------------------------- */

static int compile_chains(struct graph *g)
{
    size_t pos = 0;
    struct str service;
    void *value;
    while (map_next(&g->chains, &pos, &service, &value)) {
        int r = chain_compile(g->a, &g->entries, service, &chain_options_any,
                              &((struct chain *)value)->compiled, g->err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static const struct compiled_discovery_chain *chain_of(const struct graph *g, struct str service)
{
    return ((const struct chain *)map_get(&g->chains, service))->compiled;
}

/* A TCP listener may lead to any protocol that needs no routing; except when the gateway itself is
 * being written. */
static int check_listener(struct graph *g, const struct ingress_listener *l)
{
    bool is_strict = g->entries.type == CONFIG_INGRESS_GATEWAY || !str_eq_lit(l->protocol, "tcp");
    const struct ingress_service *s = l->services.v;
    for (size_t i = 0; i < l->services.n; i++, s++) {
        if (str_eq(s->name, CONFIG_WILDCARD)) {
            continue;
        }
        const struct compiled_discovery_chain *chain = chain_of(g, s->name);
        if (str_eq(chain->protocol, l->protocol)) {
            continue;
        }
        if (is_strict || !str_eq(chain_start_type(chain), CHAIN_RESOLVER)) {
            return err_set(g->err, ERR_FAILED,
                           "service %.*s has protocol %.*s, which does not match defined listener "
                           "protocol %.*s",
                           Q(s->name), Q(chain->protocol), Q(l->protocol));
        }
    }
    return 0;
}

static bool has_permissions(const struct service_intentions *e)
{
    for (size_t i = 0; i < e->sources.n; i++) {
        if (((const struct source_intention *)e->sources.v[i])->permissions.n > 0) {
            return true;
        }
    }
    return false;
}

static int check_intentions(struct graph *g, const struct service_intentions *e)
{
    if (str_eq(e->head.name, CONFIG_WILDCARD) || !has_permissions(e)) {
        return 0;
    }
    const struct compiled_discovery_chain *chain = chain_of(g, e->head.name);
    if (chain_protocol_is_http(chain->protocol)) {
        return 0;
    }
    return err_set(g->err, ERR_FAILED,
                   "service %.*s has protocol %.*s, which is incompatible with L7 intentions "
                   "permissions",
                   Q(e->head.name), Q(chain->protocol));
}

static int judge(struct graph *g)
{
    int r = compile_chains(g);
    for (size_t i = 0; r >= 0 && i < g->gateways.n; i++) {
        const struct ingress_listener *l = g->gateways.v[i]->listeners.v;
        for (size_t j = 0; r >= 0 && j < g->gateways.v[i]->listeners.n; j++) {
            r = check_listener(g, &l[j]);
        }
    }
    for (size_t i = 0; r >= 0 && i < g->intentions.n; i++) {
        r = check_intentions(g, g->intentions.v[i]);
    }
    return r;
}

/* Ingress and terminating gateways share their names with services, so none may be both. */
static int check_clash(struct graph *g, enum config_entry_kind other)
{
    return config_entry_find(g->entries.view, other, g->entries.name) == NULL
               ? 0
               : err_set(g->err, ERR_FAILED,
                         "cannot create a \"%.*s\" config entry with name %.*s, a \"%.*s\" config "
                         "entry with that name already exists",
                         STRF(config_entry_kind_text(g->entries.type)), Q(g->entries.name),
                         STRF(config_entry_kind_text(other)));
}

int config_graph_check(const struct store_view *v, enum config_entry_kind type, struct str name,
                       const struct config_entry *entry, struct err *err)
{
    struct arena a = {0};
    struct graph g = {
        .a = &a,
        .entries = {.view = v, .has_override = true, .type = type, .name = name, .override = entry},
        .err = err};
    int r = type == CONFIG_INGRESS_GATEWAY       ? check_clash(&g, CONFIG_TERMINATING_GATEWAY)
            : type == CONFIG_TERMINATING_GATEWAY ? check_clash(&g, CONFIG_INGRESS_GATEWAY)
                                                 : 0;
    bool is_free =
        entry == NULL && (type == CONFIG_SERVICE_INTENTIONS || type == CONFIG_INGRESS_GATEWAY);
    if (r >= 0 && !is_free) {
        map_init(&g.chains, MAP_KEYS_BORROWED);
        collect(&g);
        r = judge(&g);
        map_deinit(&g.chains);
    }
    arena_deinit(&a);
    return r;
}
