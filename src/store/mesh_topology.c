#include "store/mesh_topology.h"

#include "base/map.h"
#include "base/vec.h"

#define INDEX_NAME_TOPOLOGY STR("mesh-topology")
#define DESTINATION_PREPARED_QUERY STR("prepared_query")

static struct str link_key(struct buf *to, struct str upstream, struct str downstream)
{
    return store_key(to, (struct str[]){upstream, downstream}, 2);
}

/* --- rows ------------------------------------------------------------------------------------ */

static struct mesh_link find(struct store_txn *tx, struct str upstream, struct str downstream)
{
    struct buf key = {0};
    const struct mesh_link *row =
        store_get(store_txn_view(tx), INDEX_MESH_TOPOLOGY_ID, link_key(&key, upstream, downstream));
    uint64_t now = store_txn_raft_index(tx);
    struct mesh_link link = {
        .upstream = {upstream}, .downstream = {downstream}, .raft = {now, now}};
    if (row != NULL) {
        link = *row;
    }
    buf_deinit(&key);
    return link;
}

/* Written, or deleted when nothing stands behind it any more. */
static void put(struct store_txn *tx, const struct mesh_link *link)
{
    if (link->proxies > 0 || link->of_gateway) {
        store_insert(tx, TABLE_MESH_TOPOLOGY, schema_clone(&mesh_link_schema, link, NULL));
    } else {
        struct buf key = {0};
        (void)store_delete(tx, TABLE_MESH_TOPOLOGY,
                           link_key(&key, link->upstream.name, link->downstream.name));
        buf_deinit(&key);
    }
    store_index_raise(tx, INDEX_NAME_TOPOLOGY, store_txn_raft_index(tx));
}

/* --- sidecars -------------------------------------------------------------------------------- */

static bool is_sidecar(const struct node_service *s)
{
    return s != NULL && str_eq(s->kind, SERVICE_KIND_CONNECT_PROXY);
}

/* Names that make no key together are passed over: no service is called like that. */
static bool has_key(struct str a, struct str b)
{
    return a.n <= TREE_KEY_SIZE_MAX / 4 && b.n <= TREE_KEY_SIZE_MAX / 4;
}

/* Names of upstreams by their lower case, each once. */
static void collect(struct arena *a, const struct node_service *s, struct map *to)
{
    struct str downstream = s->proxy.destination_service_name;
    const struct upstream *u = s->proxy.upstreams.v;
    for (size_t i = 0; i < s->proxy.upstreams.n; i++) {
        if (!str_eq(u[i].destination_type, DESTINATION_PREPARED_QUERY) &&
            has_key(u[i].destination_name, downstream)) {
            (void)map_put(to, arena_lower(a, u[i].destination_name), (void *)(uintptr_t)&u[i]);
        }
    }
}

/* One proxy more or less has each of these upstreams, but for those of `other`. */
static void count(struct store_txn *tx, const struct map *upstreams, const struct map *other,
                  struct str downstream, int by)
{
    size_t pos = 0;
    struct str lower;
    void *value;
    while (map_next(upstreams, &pos, &lower, &value)) {
        const struct upstream *u = value;
        struct mesh_link link = find(tx, u->destination_name, downstream);
        bool is_kept = map_get(other, lower) != NULL;
        if (is_kept && by < 0) {
            continue; /* counted with the others */
        }
        if (!is_kept) {
            link.proxies = by > 0 ? link.proxies + 1 : link.proxies - (link.proxies > 0);
        }
        /* Of what is registered again the index moves, as in 1.10.3. */
        link.raft.modify_index = store_txn_raft_index(tx);
        put(tx, &link);
    }
}

void mesh_topology_replace(struct store_txn *tx, const struct node_service *old,
                           const struct node_service *fresh)
{
    struct arena a = {0};
    struct map before = {0}, after = {0}, none = {0};
    if (!is_sidecar(old) && !is_sidecar(fresh)) {
        return;
    }
    struct str from = is_sidecar(old) ? old->proxy.destination_service_name : STR("");
    struct str to = is_sidecar(fresh) ? fresh->proxy.destination_service_name : STR("");
    bool is_same = str_eq_fold(from, to);
    map_init(&before, MAP_KEYS_BORROWED);
    map_init(&after, MAP_KEYS_BORROWED);
    if (is_sidecar(old)) {
        collect(&a, old, &before);
    }
    if (is_sidecar(fresh)) {
        collect(&a, fresh, &after);
    }
    count(tx, &after, is_same ? &before : &none, to, 1);
    count(tx, &before, is_same ? &after : &none, from, -1);
    map_deinit(&before);
    map_deinit(&after);
    arena_deinit(&a);
}

/* --- gateways -------------------------------------------------------------------------------- */

void mesh_topology_add_gateway(struct store_txn *tx, struct str gateway, struct str service,
                               struct raft_index raft)
{
    if (!has_key(gateway, service)) {
        return;
    }
    struct mesh_link link = find(tx, service, gateway);
    link.of_gateway = true;
    link.raft = raft;
    put(tx, &link);
}

void mesh_topology_delete_gateway(struct store_txn *tx, struct str gateway, struct str service)
{
    struct arena a = {0};
    struct buf prefix = {0};
    VEC(struct str) services = {0};
    struct tree_iter it;
    const struct mesh_link *row;
    store_iter(&it, store_txn_view(tx), INDEX_MESH_TOPOLOGY_DOWNSTREAM,
               store_key(&prefix, &gateway, 1));
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (row->of_gateway && str_eq_fold(row->downstream.name, gateway) &&
            (service.n == 0 || str_eq_fold(row->upstream.name, service))) {
            avec_push(&a, &services, arena_str(&a, row->upstream.name));
        }
    }
    for (size_t i = 0; i < services.n; i++) {
        struct mesh_link link = find(tx, services.v[i], gateway);
        link.of_gateway = false;
        put(tx, &link);
    }
    buf_deinit(&prefix);
    arena_deinit(&a);
}

/* --- reading --------------------------------------------------------------------------------- */

uint64_t mesh_topology_upstreams(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                 struct str service, struct strlist *ret_names)
{
    VEC(struct str) names = {0};
    struct buf key = {0};
    struct str prefix = store_key(&key, &service, 1);
    struct tree_iter it;
    const struct mesh_link *row;
    watch_prefix(ws, STORE_WATCH_INDEX(INDEX_MESH_TOPOLOGY_DOWNSTREAM), prefix);
    store_iter(&it, v, INDEX_MESH_TOPOLOGY_DOWNSTREAM, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (str_eq_fold(row->downstream.name, service)) {
            avec_push(a, &names, row->upstream.name);
        }
    }
    buf_deinit(&key);
    *ret_names = (struct strlist){names.v, names.n};
    return store_index(v, INDEX_NAME_TOPOLOGY);
}

uint64_t mesh_topology_downstreams(const struct store_view *v, struct watch_set *ws,
                                   struct arena *a, struct str service, struct strlist *ret_names)
{
    VEC(struct str) names = {0};
    struct buf key = {0};
    struct str prefix = store_key(&key, &service, 1);
    struct tree_iter it;
    const struct mesh_link *row;
    watch_prefix(ws, TABLE_MESH_TOPOLOGY, prefix);
    store_iter(&it, v, INDEX_MESH_TOPOLOGY_ID, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (str_eq_fold(row->upstream.name, service)) {
            avec_push(a, &names, row->downstream.name);
        }
    }
    buf_deinit(&key);
    *ret_names = (struct strlist){names.v, names.n};
    return store_index(v, INDEX_NAME_TOPOLOGY);
}
