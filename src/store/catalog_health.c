/* Reads of checks, alone and together with what they are about: what /v1/health answers, and the
 * dumps for the UI. */
#include "base/vec.h"
#include "store/catalog_internal.h"
#include "store/gateway_services.h"

/* --- checks ---------------------------------------------------------------------------------- */

/* All rows under a prefix of an index of checks, on nodes with this meta. */
static struct ptrlist list_checks(const struct store_view *v, enum store_index index,
                                  struct str prefix, struct strmap filters, struct arena *a)
{
    VEC(void *) out = {0};
    struct tree_iter it;
    struct health_check *check;
    store_iter(&it, v, index, prefix);
    while ((check = tree_next(&it, NULL)) != NULL) {
        if (filters.n > 0) {
            const struct node *node = catalog_node(v, check->node);
            ASSERT(node != NULL); /* checks go with their node */
            if (!strmap_has_all(node->meta, filters)) {
                continue;
            }
        }
        avec_push(a, &out, check);
    }
    return (struct ptrlist){out.v, out.n};
}

uint64_t catalog_node_checks(const struct store_view *v, struct watch_set *ws, struct arena *a,
                             struct str node, struct ptrlist *ret_checks)
{
    struct buf key = {0};
    catalog_watch_of_node(ws, TABLE_CHECKS, node);
    *ret_checks = list_checks(v, INDEX_CHECKS_ID, catalog_key1(&key, node), (struct strmap){0}, a);
    buf_deinit(&key);
    return store_index(v, STR("checks"));
}

uint64_t catalog_service_checks(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                struct str service, struct strmap filters,
                                struct ptrlist *ret_checks)
{
    struct buf key = {0};
    struct str prefix = catalog_key1(&key, service);
    watch_prefix(ws, STORE_WATCH_INDEX(INDEX_CHECKS_SERVICE), prefix);
    if (filters.n > 0) {
        store_index_watch(ws, STR("nodes"));
    }
    *ret_checks = list_checks(v, INDEX_CHECKS_SERVICE, prefix, filters, a);
    buf_deinit(&key);
    return filters.n > 0 ? catalog_answer_index(v, service, true, true)
                         : store_index(v, STR("checks"));
}

uint64_t catalog_checks_in_state(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                 struct str state, struct strmap filters,
                                 struct ptrlist *ret_checks)
{
    struct buf key = {0};
    if (filters.n > 0) {
        store_index_watch(ws, STR("nodes"));
    }
    if (str_eq(state, HEALTH_ANY)) {
        watch_prefix(ws, TABLE_CHECKS, STR_NULL);
        *ret_checks = list_checks(v, INDEX_CHECKS_ID, STR_NULL, filters, a);
    } else {
        struct str prefix = catalog_key1(&key, state);
        watch_prefix(ws, STORE_WATCH_INDEX(INDEX_CHECKS_STATUS), prefix);
        *ret_checks = list_checks(v, INDEX_CHECKS_STATUS, prefix, filters, a);
    }
    buf_deinit(&key);
    return store_index(v, STR("checks"));
}

/* --- instances with their health -------------------------------------------------------------- */

struct health_list {
    VEC(struct check_service_node) nodes;
    VEC(void *) checks; /* of the instance at hand */
    struct buf key;
};

/* One instance: its node, the node's checks, then its own. Three look-ups, nothing copied. */
static void health_list_add(struct health_list *list, const struct store_view *v, struct arena *a,
                            struct service_row *row)
{
    struct check_service_node csn = {
        .node = store_get(v, INDEX_NODES_ID, catalog_key1(&list->key, row->node)),
        .service = &row->service,
    };
    ASSERT(csn.node != NULL); /* services go with their node */
    VEC(void *) checks = {0};
    const struct str subjects[] = {STR_NULL, row->service.id};
    for (size_t i = 0; i < 2; i++) {
        if (i == 1 && row->service.id.n == 0) {
            break; /* a service without an id has no checks but its node's */
        }
        struct tree_iter it;
        struct health_check *check;
        store_iter(&it, v, INDEX_CHECKS_NODE_SERVICE,
                   catalog_key2(&list->key, row->node, subjects[i]));
        while ((check = tree_next(&it, NULL)) != NULL) {
            avec_push(a, &checks, check);
        }
    }
    csn.checks = (struct ptrlist){checks.v, checks.n};
    avec_push(a, &list->nodes, csn);
}

static struct objlist health_list_take(struct health_list *list)
{
    buf_deinit(&list->key);
    return (struct objlist){list->nodes.v, list->nodes.n};
}

uint64_t catalog_health_nodes(const struct store_view *v, struct watch_set *ws, struct arena *a,
                              struct str service, const struct strlist *tags,
                              struct objlist *ret_nodes)
{
    struct health_list list = {0};
    struct tree_iter it;
    struct service_row *row;
    struct buf key = {0};
    bool exists = false;
    /* Two points to watch: these entries move with everything the answer shows. */
    catalog_watch_service(ws, service);
    uint64_t left = catalog_left_index(v, ws, service);
    store_iter(&it, v, INDEX_SERVICES_SERVICE, catalog_key1(&key, service));
    while ((row = tree_next(&it, NULL)) != NULL) {
        exists = true;
        if (tags == NULL || catalog_has_tags(&row->service, tags)) {
            health_list_add(&list, v, a, row);
        }
    }
    buf_deinit(&key);
    *ret_nodes = health_list_take(&list);
    return MAX(catalog_answer_index(v, service, exists, true), left);
}

/* Every instance of each of these gateways, with the index of what is shown of them. */
static uint64_t add_gateways(struct health_list *list, const struct store_view *v,
                             struct watch_set *ws, struct arena *a, struct strlist gateways)
{
    struct buf key = {0};
    struct tree_iter it;
    struct service_row *row;
    uint64_t index = 0;
    for (size_t i = 0; i < gateways.n; i++) {
        size_t before = list->nodes.n;
        catalog_watch_service(ws, gateways.v[i]);
        store_iter(&it, v, INDEX_SERVICES_SERVICE, catalog_key1(&key, gateways.v[i]));
        while ((row = tree_next(&it, NULL)) != NULL) {
            health_list_add(list, v, a, row);
        }
        if (list->nodes.n > before) {
            index = MAX(index, catalog_answer_index(v, gateways.v[i], true, true));
        }
    }
    buf_deinit(&key);
    return index;
}

uint64_t catalog_health_ingress_nodes(const struct store_view *v, struct watch_set *ws,
                                      struct arena *a, struct str service,
                                      struct objlist *ret_nodes)
{
    struct health_list list = {0};
    struct strlist gateways;
    uint64_t index =
        gateway_services_gateways(v, ws, a, service, SERVICE_KIND_INGRESS_GATEWAY, &gateways);
    index = MAX(index, add_gateways(&list, v, ws, a, gateways));
    *ret_nodes = health_list_take(&list);
    return index;
}

uint64_t catalog_health_connect_nodes(const struct store_view *v, struct watch_set *ws,
                                      struct arena *a, struct str service,
                                      struct objlist *ret_nodes)
{
    struct health_list list = {0};
    struct tree_iter it;
    struct service_row *row;
    struct buf key = {0};
    struct str last = STR_NULL;
    uint64_t index = 0;
    struct str prefix = catalog_key1(&key, service);
    /* Proxies under names not met yet show here; what is known of the others in the entries of
     * their names. */
    watch_prefix(ws, STORE_WATCH_INDEX(INDEX_SERVICES_CONNECT), prefix);
    store_iter(&it, v, INDEX_SERVICES_CONNECT, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (last.p == NULL || !str_eq(last, row->service.service)) {
            last = row->service.service;
            catalog_watch_service(ws, last);
            index = MAX(index, catalog_answer_index(v, last, true, true));
        }
        health_list_add(&list, v, a, row);
    }
    buf_deinit(&key);
    /* A service outside the mesh is reached through a gateway; while it moves in, through either.
     */
    struct strlist gateways;
    index = MAX(index, gateway_services_gateways(v, ws, a, service,
                                                 SERVICE_KIND_TERMINATING_GATEWAY, &gateways));
    index = MAX(index, add_gateways(&list, v, ws, a, gateways));
    *ret_nodes = health_list_take(&list);
    if (ret_nodes->n > 0) {
        return index;
    }
    index = MAX(index, catalog_answer_index(v, service, false, true));
    if (ws != NULL) {
        /* Who waits is to hear that the last one went, even if it went by turning into something
         * else. The entries that this moves move for more than that, so that such an answer may
         * come once too often, and for readers that do not wait they do not count. */
        index = MAX(index, catalog_service_index(v, service));
        index = MAX(index, catalog_kind_index(v, SERVICE_KIND_CONNECT_PROXY));
    }
    return index;
}

uint64_t catalog_service_dump(const struct store_view *v, struct watch_set *ws, struct arena *a,
                              const struct str *kind, struct objlist *ret_nodes)
{
    struct health_list list = {0};
    struct tree_iter it;
    struct service_row *row;
    struct buf key = {0};
    uint64_t index;
    if (kind != NULL) {
        index = catalog_kind_index(v, *kind);
        catalog_watch_kind(ws, *kind);
        store_iter(&it, v, INDEX_SERVICES_KIND, catalog_key1(&key, *kind));
    } else {
        index = catalog_index_max(v, true);
        store_index_watch(ws, STR("nodes"));
        store_index_watch(ws, STR("services"));
        store_index_watch(ws, STR("checks"));
        store_iter(&it, v, INDEX_SERVICES_ID, STR_NULL);
    }
    while ((row = tree_next(&it, NULL)) != NULL) {
        health_list_add(&list, v, a, row);
    }
    buf_deinit(&key);
    *ret_nodes = health_list_take(&list);
    return index;
}

/* --- nodes with all that is on them ----------------------------------------------------------- */

static struct node_info node_info(const struct store_view *v, struct arena *a,
                                  const struct node *node, struct str key)
{
    VEC(void *) services = {0};
    struct tree_iter it;
    struct service_row *row;
    store_iter(&it, v, INDEX_SERVICES_ID, key);
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &services, (void *)&row->service);
    }
    return (struct node_info){
        .node = node,
        .services = {services.v, services.n},
        .checks = list_checks(v, INDEX_CHECKS_ID, key, (struct strmap){0}, a),
    };
}

uint64_t catalog_node_dump(const struct store_view *v, struct watch_set *ws, struct arena *a,
                           struct str node, struct objlist *ret_nodes)
{
    VEC(struct node_info) out = {0};
    struct buf key = {0};
    if (node.n > 0) {
        const struct node *row = catalog_node(v, node);
        catalog_watch_node(ws, node);
        catalog_watch_of_node(ws, TABLE_SERVICES, node);
        catalog_watch_of_node(ws, TABLE_CHECKS, node);
        if (row != NULL) {
            struct node_info info = node_info(v, a, row, catalog_key1(&key, node));
            avec_push(a, &out, info);
        }
    } else {
        struct tree_iter it;
        const struct node *row;
        watch_prefix(ws, TABLE_NODES, STR_NULL);
        watch_prefix(ws, TABLE_SERVICES, STR_NULL);
        watch_prefix(ws, TABLE_CHECKS, STR_NULL);
        store_iter(&it, v, INDEX_NODES_ID, STR_NULL);
        while ((row = tree_next(&it, NULL)) != NULL) {
            struct node_info info = node_info(v, a, row, catalog_key1(&key, row->node));
            avec_push(a, &out, info);
        }
    }
    buf_deinit(&key);
    *ret_nodes = (struct objlist){out.v, out.n};
    return catalog_index_max(v, true);
}
