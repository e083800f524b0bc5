#include "store/gateway_services.h"

#include "base/vec.h"
#include "store/catalog_internal.h"
#include "store/config_entry.h"
#include "store/discovery_chain.h"
#include "store/mesh_topology.h"

#define INDEX_NAME_GATEWAYS STR("gateway-services")
/* The servers themselves are never behind a gateway. */
#define CONSUL_SERVICE STR("consul")

static struct str row_key(struct buf *to, const struct gateway_service *g)
{
    (void)store_key(to, (struct str[]){g->gateway.name, g->service.name}, 2);
    buf_be64(to, (uint64_t)g->port);
    return buf_view(to);
}

/* --- rows ------------------------------------------------------------------------------------ */

static bool is_same(const struct gateway_service *a, const struct gateway_service *b)
{
    return str_eq(a->gateway_kind, b->gateway_kind) && str_eq(a->protocol, b->protocol) &&
           strlist_eq(a->hosts, b->hosts) && str_eq(a->ca_file, b->ca_file) &&
           str_eq(a->cert_file, b->cert_file) && str_eq(a->key_file, b->key_file) &&
           str_eq(a->sni, b->sni) && a->from_wildcard == b->from_wildcard;
}

static const struct gateway_service *find(struct store_txn *tx, const struct gateway_service *g)
{
    struct buf key = {0};
    const struct gateway_service *row =
        store_get(store_txn_view(tx), INDEX_GATEWAY_SERVICES_ID, row_key(&key, g));
    buf_deinit(&key);
    return row;
}

/* Names that make no key together are passed over: no service is called like that. */
static bool has_key(const struct gateway_service *g)
{
    return g->gateway.name.n <= TREE_KEY_SIZE_MAX / 4 && g->service.name.n <= TREE_KEY_SIZE_MAX / 4;
}

static void put(struct store_txn *tx, struct gateway_service g, uint64_t index)
{
    if (!has_key(&g)) {
        return;
    }
    const struct gateway_service *old = find(tx, &g);
    if (old != NULL && is_same(old, &g)) {
        return;
    }
    g.raft.create_index = old != NULL ? old->raft.create_index : index;
    g.raft.modify_index = index;
    store_insert(tx, TABLE_GATEWAY_SERVICES, schema_clone(&gateway_service_schema, &g, NULL));
    store_index_raise(tx, INDEX_NAME_GATEWAYS, index);
    if (str_eq(g.gateway_kind, SERVICE_KIND_INGRESS_GATEWAY) &&
        !str_eq(g.service.name, CONFIG_WILDCARD)) {
        mesh_topology_add_gateway(tx, g.gateway.name, g.service.name, g.raft);
    }
}

/* Copies of the keys of rows under a prefix of an index: changing the tree ends iterating. */
static struct strlist collect_keys(struct store_txn *tx, struct arena *a, enum store_index index,
                                   struct str prefix, bool only_wildcard)
{
    VEC(struct str) keys = {0};
    struct buf key = {0};
    struct tree_iter it;
    const struct gateway_service *row;
    store_iter(&it, store_txn_view(tx), index, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (!only_wildcard || row->from_wildcard) {
            avec_push(a, &keys, arena_str(a, row_key(&key, row)));
        }
    }
    buf_deinit(&key);
    return (struct strlist){keys.v, keys.n};
}

static void delete_of_gateway(struct store_txn *tx, struct str gateway)
{
    struct arena a = {0};
    struct buf prefix = {0};
    struct strlist keys =
        collect_keys(tx, &a, INDEX_GATEWAY_SERVICES_ID, store_key(&prefix, &gateway, 1), false);
    for (size_t i = 0; i < keys.n; i++) {
        (void)store_delete(tx, TABLE_GATEWAY_SERVICES, keys.v[i]);
    }
    buf_deinit(&prefix);
    arena_deinit(&a);
}

void gateway_services_delete(struct store_txn *tx, struct str gateway)
{
    delete_of_gateway(tx, gateway);
    mesh_topology_delete_gateway(tx, gateway, STR(""));
    store_index_raise(tx, INDEX_NAME_GATEWAYS, store_txn_raft_index(tx));
}

/* --- from entries ---------------------------------------------------------------------------- */

/* Every typical service that is registered, and the wildcard itself for those to come. */
static void put_wildcard(struct store_txn *tx, const struct gateway_service *g, uint64_t index)
{
    struct arena a = {0};
    struct buf key = {0};
    struct str typical = STR("");
    VEC(struct str) names = {0};
    struct tree_iter it;
    const struct service_row *row;
    store_iter(&it, store_txn_view(tx), INDEX_SERVICES_KIND, store_key(&key, &typical, 1));
    while ((row = tree_next(&it, NULL)) != NULL) {
        struct str name = row->service.service;
        if (!str_eq(name, CONSUL_SERVICE)) {
            avec_push(&a, &names, arena_str(&a, name));
        }
    }
    for (size_t i = 0; i < names.n; i++) {
        struct gateway_service of = *g;
        of.service.name = names.v[i];
        of.from_wildcard = true;
        if (has_key(&of) &&
            find(tx, &of) == NULL) { /* one that is named by itself is as it is named */
            put(tx, of, index);
        }
    }
    put(tx, *g, index);
    buf_deinit(&key);
    arena_deinit(&a);
}

static void put_named(struct store_txn *tx, const struct gateway_service *g, uint64_t index)
{
    if (str_eq(g->service.name, CONFIG_WILDCARD)) {
        put_wildcard(tx, g, index);
    } else {
        put(tx, *g, index);
    }
}

static void put_ingress(struct store_txn *tx, const struct ingress_gateway *e, uint64_t index)
{
    const struct ingress_listener *l = e->listeners.v;
    for (size_t i = 0; i < e->listeners.n; i++, l++) {
        const struct ingress_service *s = l->services.v;
        for (size_t j = 0; j < l->services.n; j++, s++) {
            put_named(tx,
                      &(struct gateway_service){
                          .gateway = {e->head.name},
                          .service = {s->name},
                          .gateway_kind = SERVICE_KIND_INGRESS_GATEWAY,
                          .hosts = s->hosts,
                          .port = l->port,
                          .protocol = l->protocol,
                      },
                      index);
        }
    }
}

static void put_terminating(struct store_txn *tx, const struct terminating_gateway *e,
                            uint64_t index)
{
    const struct linked_service *s = e->services.v;
    for (size_t i = 0; i < e->services.n; i++, s++) {
        put_named(tx,
                  &(struct gateway_service){
                      .gateway = {e->head.name},
                      .service = {s->name},
                      .gateway_kind = SERVICE_KIND_TERMINATING_GATEWAY,
                      .key_file = s->key_file,
                      .cert_file = s->cert_file,
                      .ca_file = s->ca_file,
                      .sni = s->sni,
                  },
                  index);
    }
}

static bool has_same_services(const struct config_entry *a, const struct config_entry *b)
{
    /* Only what the rows are made of; the rest of two entries may differ. */
    if (a->type == CONFIG_INGRESS_GATEWAY) {
        struct ingress_gateway x = *(const struct ingress_gateway *)a;
        struct ingress_gateway y = {.head = x.head, .tls = x.tls};
        y.listeners = ((const struct ingress_gateway *)b)->listeners;
        return schema_equal(&ingress_gateway_schema, &x, &y);
    }
    struct terminating_gateway x = *(const struct terminating_gateway *)a;
    struct terminating_gateway y = {.head = x.head};
    y.services = ((const struct terminating_gateway *)b)->services;
    return schema_equal(&terminating_gateway_schema, &x, &y);
}

void gateway_services_update(struct store_txn *tx, const struct config_entry *entry, uint64_t index)
{
    if (entry->type != CONFIG_INGRESS_GATEWAY && entry->type != CONFIG_TERMINATING_GATEWAY) {
        return;
    }
    const struct config_entry *old =
        config_entry_find(store_txn_view(tx), entry->type, entry->name);
    if (old != NULL && has_same_services(old, entry)) {
        return;
    }
    delete_of_gateway(tx, entry->name);
    if (entry->type == CONFIG_INGRESS_GATEWAY) {
        mesh_topology_delete_gateway(tx, entry->name, STR(""));
        put_ingress(tx, (const struct ingress_gateway *)entry, index);
    } else {
        put_terminating(tx, (const struct terminating_gateway *)entry, index);
    }
    store_index_raise(tx, INDEX_NAME_GATEWAYS, index);
}

/* --- from the catalog ------------------------------------------------------------------------ */

static struct str service_prefix(struct buf *to, struct str service)
{
    return store_key(to, &service, 1);
}

void gateway_services_add(struct store_txn *tx, const struct node_service *service)
{
    const struct store_view *v = store_txn_view(tx);
    if (v->trees[INDEX_GATEWAY_SERVICES_SERVICE].count == 0 || service->kind.n > 0 ||
        str_eq(service->service, CONSUL_SERVICE)) {
        return;
    }
    struct arena a = {0};
    struct buf prefix = {0};
    VEC(struct gateway_service *) wildcards = {0};
    struct tree_iter it;
    const struct gateway_service *row;
    store_iter(&it, v, INDEX_GATEWAY_SERVICES_SERVICE, service_prefix(&prefix, CONFIG_WILDCARD));
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(&a, &wildcards, schema_copy(&a, &gateway_service_schema, row));
    }
    for (size_t i = 0; i < wildcards.n; i++) {
        struct gateway_service *g = wildcards.v[i];
        g->service.name = service->service;
        g->from_wildcard = true;
        put(tx, *g, store_txn_raft_index(tx));
    }
    buf_deinit(&prefix);
    arena_deinit(&a);
}

void gateway_services_forget(struct store_txn *tx, struct str service)
{
    if (store_txn_view(tx)->trees[INDEX_GATEWAY_SERVICES_SERVICE].count == 0) {
        return;
    }
    struct arena a = {0};
    struct buf prefix = {0};
    struct strlist keys = collect_keys(tx, &a, INDEX_GATEWAY_SERVICES_SERVICE,
                                       service_prefix(&prefix, service), true);
    for (size_t i = 0; i < keys.n; i++) {
        const struct gateway_service *row =
            store_get(store_txn_view(tx), INDEX_GATEWAY_SERVICES_ID, keys.v[i]);
        if (str_eq(row->gateway_kind, SERVICE_KIND_INGRESS_GATEWAY)) {
            mesh_topology_delete_gateway(tx, row->gateway.name, service);
        }
        (void)store_delete(tx, TABLE_GATEWAY_SERVICES, keys.v[i]);
        store_index_raise(tx, INDEX_NAME_GATEWAYS, store_txn_raft_index(tx));
    }
    buf_deinit(&prefix);
    arena_deinit(&a);
}

/* --- reading --------------------------------------------------------------------------------- */

/* What an ingress gateway has through a wildcard is shown only where the protocols agree. */
static bool is_shown(const struct store_view *v, struct watch_set *ws, struct arena *a,
                     const struct gateway_service *g, uint64_t *index)
{
    const struct config_entry *entry;
    if (!str_eq(g->gateway_kind, SERVICE_KIND_INGRESS_GATEWAY) || !g->from_wildcard) {
        return true;
    }
    /* The chain's protocol follows from these two alone. */
    uint64_t i = config_entry_get(v, ws, CONFIG_PROXY_DEFAULTS, CONFIG_PROXY_GLOBAL, &entry);
    (void)config_entry_get(v, ws, CONFIG_SERVICE_DEFAULTS, g->service.name, &entry);
    *index = MAX(*index, i);
    struct str protocol = chain_protocol(a, &(struct chain_entries){.view = v}, g->service.name);
    return str_eq(protocol, g->protocol);
}

uint64_t gateway_services_gateways(const struct store_view *v, struct watch_set *ws,
                                   struct arena *a, struct str service, struct str kind,
                                   struct strlist *ret_gateways)
{
    VEC(struct str) names = {0};
    struct buf key = {0};
    struct tree_iter it;
    const struct gateway_service *row;
    uint64_t index = 0;
    struct str prefix = service_prefix(&key, service);
    watch_prefix(ws, STORE_WATCH_INDEX(INDEX_GATEWAY_SERVICES_SERVICE), prefix);
    store_iter(&it, v, INDEX_GATEWAY_SERVICES_SERVICE, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (!str_eq(row->gateway_kind, kind)) {
            continue;
        }
        index = MAX(index, row->raft.modify_index);
        if (names.n == 0 || !str_eq(names.v[names.n - 1], row->gateway.name)) {
            avec_push(a, &names, row->gateway.name);
        }
    }
    for (size_t i = 0; i < names.n; i++) {
        struct str gateway = catalog_key1(&key, names.v[i]);
        bool exists = store_first(v, INDEX_SERVICES_SERVICE, gateway) != NULL;
        index = MAX(index, catalog_answer_index(v, names.v[i], exists, false));
        watch_prefix(ws, STORE_WATCH_INDEX(INDEX_SERVICES_SERVICE), gateway);
    }
    buf_deinit(&key);
    *ret_gateways = (struct strlist){names.v, names.n};
    return index;
}

/* Under a prefix of the table's keys, but for wildcards. */
static uint64_t list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                     struct str prefix, struct ptrlist *ret_services)
{
    VEC(void *) services = {0};
    struct tree_iter it;
    struct gateway_service *row;
    uint64_t index = store_index(v, INDEX_NAME_GATEWAYS);
    watch_prefix(ws, TABLE_GATEWAY_SERVICES, prefix);
    store_iter(&it, v, INDEX_GATEWAY_SERVICES_ID, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        index = MAX(index, row->raft.modify_index);
        if (!str_eq(row->service.name, CONFIG_WILDCARD) && is_shown(v, ws, a, row, &index)) {
            avec_push(a, &services, row);
        }
    }
    *ret_services = (struct ptrlist){services.v, services.n};
    return index;
}

uint64_t gateway_services_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct str gateway, struct ptrlist *ret_services)
{
    struct buf prefix = {0};
    uint64_t index = list(v, ws, a, store_key(&prefix, &gateway, 1), ret_services);
    buf_deinit(&prefix);
    return index;
}

uint64_t gateway_services_list_all(const struct store_view *v, struct watch_set *ws,
                                   struct arena *a, struct ptrlist *ret_services)
{
    return list(v, ws, a, STR_NULL, ret_services);
}
