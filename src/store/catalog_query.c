/* Reads of nodes and services: what /v1/catalog answers. */
#include "base/map.h"
#include "base/vec.h"
#include "store/catalog_internal.h"
#include "store/gateway_services.h"

#include <stdlib.h>

/* --- nodes ----------------------------------------------------------------------------------- */

uint64_t catalog_nodes(const struct store_view *v, struct watch_set *ws, struct arena *a,
                       struct strmap filters, struct ptrlist *ret_nodes)
{
    VEC(void *) out = {0};
    struct tree_iter it;
    struct node *node;
    store_index_watch(ws, STR("nodes"));
    store_iter(&it, v, INDEX_NODES_ID, STR_NULL);
    while ((node = tree_next(&it, NULL)) != NULL) {
        if (filters.n == 0 || strmap_has_all(node->meta, filters)) {
            avec_push(a, &out, node);
        }
    }
    *ret_nodes = (struct ptrlist){out.v, out.n};
    return store_index(v, STR("nodes"));
}

/* --- names of services ----------------------------------------------------------------------- */

/* Tags are compared one by one while there are few, as there nearly always are. */
#define TAGS_SCANNED_MAX 32u

struct service_tags {
    struct str name;
    VEC(struct str) tags;
    struct map seen; /* beyond TAGS_SCANNED_MAX */
};

struct service_tags_set {
    struct map by_name;
    struct service_tags *last; /* instances of one name mostly follow one another */
};

static bool tag_is_new(struct service_tags *s, struct str tag)
{
    if (s->tags.n < TAGS_SCANNED_MAX) {
        for (size_t i = 0; i < s->tags.n; i++) {
            if (str_eq(s->tags.v[i], tag)) {
                return false;
            }
        }
        return true;
    }
    if (s->seen.n == 0) {
        map_init(&s->seen, MAP_KEYS_BORROWED);
        for (size_t i = 0; i < s->tags.n; i++) {
            map_put(&s->seen, s->tags.v[i], s);
        }
    }
    return map_put(&s->seen, tag, s) == NULL;
}

static void collect_tags(struct service_tags_set *set, struct arena *a,
                         const struct node_service *service)
{
    struct service_tags *s = set->last;
    if (s == NULL || !str_eq(s->name, service->service)) {
        s = map_get(&set->by_name, service->service);
        if (s == NULL) {
            s = ARENA_NEW(a, struct service_tags);
            s->name = service->service;
            map_put(&set->by_name, s->name, s);
        }
        set->last = s;
    }
    for (size_t i = 0; i < service->tags.n; i++) {
        if (tag_is_new(s, service->tags.v[i])) {
            avec_push(a, &s->tags, service->tags.v[i]);
        }
    }
}

static int by_key(const void *x, const void *y)
{
    const struct strlist_pair *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

static int by_str(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    return str_cmp(*a, *b);
}

static struct strlistmap finish_tags(struct service_tags_set *set, struct arena *a)
{
    struct strlist_pair *pairs = ARENA_ARRAY(a, struct strlist_pair, set->by_name.n);
    size_t n = 0, pos = 0;
    struct str name;
    void *value;
    while (map_next(&set->by_name, &pos, &name, &value)) {
        struct service_tags *s = value;
        if (s->tags.n > 1) {
            qsort(s->tags.v, s->tags.n, sizeof(s->tags.v[0]), by_str);
        }
        pairs[n].key = s->name;
        pairs[n].values.v = s->tags.n > 0 ? s->tags.v : SCHEMA_EMPTY;
        pairs[n].values.n = s->tags.n;
        n++;
        map_deinit(&s->seen);
    }
    map_deinit(&set->by_name);
    if (n == 0) {
        return (struct strlistmap){SCHEMA_EMPTY, 0};
    }
    qsort(pairs, n, sizeof(pairs[0]), by_key);
    return (struct strlistmap){pairs, n};
}

uint64_t catalog_services(const struct store_view *v, struct watch_set *ws, struct arena *a,
                          struct strmap filters, struct strlistmap *ret_services)
{
    struct service_tags_set set = {0};
    struct tree_iter it, of_node;
    const struct service_row *row;
    uint64_t index = store_index(v, STR("services"));
    map_init(&set.by_name, MAP_KEYS_BORROWED);
    watch_prefix(ws, TABLE_SERVICES, STR_NULL);
    if (filters.n == 0) {
        store_iter(&it, v, INDEX_SERVICES_SERVICE, STR_NULL);
        while ((row = tree_next(&it, NULL)) != NULL) {
            collect_tags(&set, a, &row->service);
        }
    } else {
        const struct node *node;
        struct buf key = {0};
        index = MAX(index, store_index(v, STR("nodes")));
        store_index_watch(ws, STR("nodes"));
        store_iter(&it, v, INDEX_NODES_ID, STR_NULL);
        while ((node = tree_next(&it, NULL)) != NULL) {
            if (!strmap_has_all(node->meta, filters)) {
                continue;
            }
            store_iter(&of_node, v, INDEX_SERVICES_ID, catalog_key1(&key, node->node));
            while ((row = tree_next(&of_node, NULL)) != NULL) {
                collect_tags(&set, a, &row->service);
            }
        }
        buf_deinit(&key);
    }
    *ret_services = finish_tags(&set, a);
    return index;
}

uint64_t catalog_service_names(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct strlist *ret_names)
{
    struct strlistmap services;
    uint64_t index = catalog_services(v, ws, a, (struct strmap){0}, &services);
    struct str *names = ARENA_ARRAY(a, struct str, services.n);
    for (size_t i = 0; i < services.n; i++) {
        names[i] = services.v[i].key;
    }
    *ret_names = (struct strlist){services.n > 0 ? names : SCHEMA_EMPTY, services.n};
    return index;
}

/* Beyond so many nodes an answer watches all of them: being woken in vain now and then is cheaper
 * than points to watch by the thousand. */
#define NODES_WATCHED_MAX 16u

/* --- instances ------------------------------------------------------------------------------- */

typedef bool (*service_wanted_fn)(const struct node_service *service, const void *data);

/* Every wanted instance under a prefix of an index, with its node. *ret_seen counts all of them. */
static struct objlist list_instances(const struct store_view *v, enum store_index index,
                                     struct str prefix, struct arena *a, service_wanted_fn wanted,
                                     const void *data, size_t *ret_seen)
{
    VEC(struct service_node) out = {0};
    struct tree_iter it;
    struct service_row *row;
    size_t seen = 0;
    store_iter(&it, v, index, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        seen++;
        if (wanted != NULL && !wanted(&row->service, data)) {
            continue;
        }
        struct service_node sn = {catalog_node(v, row->node), &row->service};
        ASSERT(sn.node != NULL); /* services go with their node */
        avec_push(a, &out, sn);
    }
    *ret_seen = seen;
    return (struct objlist){out.v, out.n};
}

static bool has_tags(const struct node_service *service, const void *tags)
{
    return catalog_has_tags(service, tags);
}

/* The instances and their nodes, not their checks: the index of the service moves with those too,
 * but they do not show here, so nobody is to wake for them. */
static void watch_instances(struct watch_set *ws, bool connect, struct str service,
                            const struct objlist *list)
{
    const struct service_node *nodes = list->v;
    struct buf key = {0};
    watch_prefix(ws, STORE_WATCH_INDEX(connect ? INDEX_SERVICES_CONNECT : INDEX_SERVICES_SERVICE),
                 catalog_key1(&key, service));
    buf_deinit(&key);
    if (list->n > NODES_WATCHED_MAX) {
        store_index_watch(ws, STR("nodes"));
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        catalog_watch_node(ws, nodes[i].node->node);
    }
}

/* The instances of its terminating gateways behind those of a service; the index is theirs. */
static uint64_t add_gateways(const struct store_view *v, struct watch_set *ws, struct arena *a,
                             struct str service, struct objlist *list)
{
    VEC(struct service_node) out = {0};
    struct strlist gateways;
    struct buf key = {0};
    size_t seen;
    uint64_t index =
        gateway_services_gateways(v, ws, a, service, SERVICE_KIND_TERMINATING_GATEWAY, &gateways);
    const struct service_node *nodes = list->v;
    for (size_t i = 0; gateways.n > 0 && i < list->n; i++) {
        avec_push(a, &out, nodes[i]);
    }
    for (size_t i = 0; i < gateways.n; i++) {
        struct objlist of = list_instances(v, INDEX_SERVICES_SERVICE,
                                           catalog_key1(&key, gateways.v[i]), a, NULL, NULL, &seen);
        nodes = of.v;
        for (size_t j = 0; j < of.n; j++) {
            avec_push(a, &out, nodes[j]);
        }
    }
    buf_deinit(&key);
    if (gateways.n > 0) {
        *list = (struct objlist){out.v, out.n};
    }
    return index;
}

uint64_t catalog_service_nodes(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct str service, const struct strlist *tags, bool connect,
                               struct objlist *ret_nodes)
{
    struct buf key = {0};
    size_t seen;
    *ret_nodes = list_instances(v, connect ? INDEX_SERVICES_CONNECT : INDEX_SERVICES_SERVICE,
                                catalog_key1(&key, service), a,
                                tags != NULL && !connect ? has_tags : NULL, tags, &seen);
    buf_deinit(&key);

    uint64_t index = connect ? add_gateways(v, ws, a, service, ret_nodes) : 0;
    if (ws != NULL) {
        watch_instances(ws, connect, service, ret_nodes);
    }
    bool exists = seen > 0 || (connect && ret_nodes->n > 0);
    return MAX(index, catalog_answer_index(v, service, exists, false));
}

static bool has_address(const struct node_service *service, const void *data)
{
    const struct str *address = data;
    if (str_eq(service->address, *address)) {
        return true;
    }
    for (size_t i = 0; i < service->tagged_addresses.n; i++) {
        const struct service_address *tagged = service->tagged_addresses.v[i].value;
        if (str_eq(tagged->address, *address)) {
            return true;
        }
    }
    return false;
}

uint64_t catalog_service_address_nodes(const struct store_view *v, struct watch_set *ws,
                                       struct arena *a, struct str address,
                                       struct objlist *ret_nodes)
{
    size_t seen;
    watch_prefix(ws, TABLE_SERVICES, STR_NULL);
    *ret_nodes = list_instances(v, INDEX_SERVICES_ID, STR_NULL, a, has_address, &address, &seen);
    return 0;
}

/* --- the services of a node ------------------------------------------------------------------ */

/* Where an ID may be typed instead of a name, its beginning will do: from two digits on, an even
 * number of them, hyphens anywhere. */
#define ID_PREFIX_SIZE_MIN 2u
#define ID_HYPHENS_MAX 4u

static struct node *node_by_id_prefix(const struct store_view *v, struct str text)
{
    if (text.n < ID_PREFIX_SIZE_MIN) {
        return NULL;
    }
    text.n -= text.n % 2;
    if (text.n > 36) {
        return NULL;
    }
    char key[18];
    size_t digits = 0, hyphens = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (c == '-') {
            hyphens++;
            continue;
        }
        if (digit < 0) {
            return NULL;
        }
        key[digits / 2] = (char)(digits % 2 == 0 ? digit << 4 : key[digits / 2] | digit);
        digits++;
    }
    if (digits % 2 != 0 || hyphens > ID_HYPHENS_MAX) {
        return NULL;
    }
    struct tree_iter it;
    store_iter(&it, v, INDEX_NODES_UUID, str_make(key, digits / 2));
    struct node *found = tree_next(&it, NULL);
    return found != NULL && tree_next(&it, NULL) == NULL ? found : NULL;
}

uint64_t catalog_node_services(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct str node_or_id, struct node **ret_node,
                               struct ptrlist *ret_services)
{
    VEC(void *) out = {0};
    struct node *node = catalog_node(v, node_or_id);
    *ret_services = (struct ptrlist){0};
    if (node == NULL) {
        node = node_by_id_prefix(v, node_or_id);
    }
    *ret_node = node;
    if (node == NULL) {
        catalog_watch_node(ws, node_or_id);
        return 0;
    }
    catalog_watch_node(ws, node->node);
    catalog_watch_of_node(ws, TABLE_SERVICES, node->node);

    struct tree_iter it;
    struct service_row *row;
    struct buf key = {0};
    store_iter(&it, v, INDEX_SERVICES_ID, catalog_key1(&key, node->node));
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &out, (void *)&row->service);
    }
    buf_deinit(&key);
    *ret_services = (struct ptrlist){out.v, out.n};
    return catalog_index_max(v, false);
}
