#include "store/coordinate.h"

#include "base/vec.h"
#include "store/catalog.h"

/* --- writing --------------------------------------------------------------------------------- */

static void insert(struct store_txn *tx, const struct node_coordinate *update)
{
    store_insert(tx, TABLE_COORDINATES, schema_clone(&node_coordinate_schema, update, NULL));
}

void coordinate_update(struct store_txn *tx, const struct node_coordinate *updates, size_t count)
{
    const struct store_view *v = store_txn_view(tx);
    for (size_t i = 0; i < count; i++) {
        if (updates[i].coord != NULL && coordinate_is_valid(updates[i].coord) &&
            catalog_node(v, updates[i].node) != NULL) {
            insert(tx, &updates[i]);
        }
    }
    store_index_set(tx, STR("coordinates"), store_txn_raft_index(tx));
}

void coordinate_restore(struct store_txn *tx, const struct node_coordinate *updates, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (updates[i].coord != NULL && coordinate_is_valid(updates[i].coord)) {
            insert(tx, &updates[i]);
        }
    }
    store_index_raise(tx, STR("coordinates"), store_txn_raft_index(tx));
}

void coordinate_delete_node(struct store_txn *tx, struct str node)
{
    struct buf prefix = {0}, key = {0};
    struct str of_node = store_key(&prefix, &node, 1);
    const struct node_coordinate *row;
    while ((row = store_first(store_txn_view(tx), INDEX_COORDINATES_ID, of_node)) != NULL) {
        struct str parts[] = {row->node, row->segment};
        buf_clear(&key);
        (void)store_delete(tx, TABLE_COORDINATES, store_key(&key, parts, 2));
        store_index_set(tx, STR("coordinates"), store_txn_raft_index(tx));
    }
    buf_deinit(&prefix);
    buf_deinit(&key);
}

/* --- reading --------------------------------------------------------------------------------- */

static uint64_t list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                     struct str prefix, struct ptrlist *ret_coordinates)
{
    VEC(void *) out = {0};
    struct tree_iter it;
    void *row;
    watch_prefix(ws, TABLE_COORDINATES, prefix);
    store_iter(&it, v, INDEX_COORDINATES_ID, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &out, row);
    }
    *ret_coordinates = (struct ptrlist){out.v, out.n};
    return store_index(v, STR("coordinates"));
}

uint64_t coordinate_node(const struct store_view *v, struct watch_set *ws, struct arena *a,
                         struct str node, struct ptrlist *ret_coordinates)
{
    struct buf prefix = {0};
    uint64_t index = list(v, ws, a, store_key(&prefix, &node, 1), ret_coordinates);
    buf_deinit(&prefix);
    return index;
}

uint64_t coordinate_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                         struct ptrlist *ret_coordinates)
{
    return list(v, ws, a, STR_NULL, ret_coordinates);
}

/* --- distances ------------------------------------------------------------------------------- */

static const struct coordinate *in_segment(struct ptrlist set, struct str segment)
{
    for (size_t i = 0; i < set.n; i++) {
        const struct node_coordinate *c = set.v[i];
        if (str_eq(c->segment, segment)) {
            return c->coord;
        }
    }
    return NULL;
}

double coordinate_set_distance(struct ptrlist a, struct ptrlist b)
{
    /* Who is in one segment only is a client and decides; servers are in all of them. */
    struct str segment = STR_NULL;
    if (a.n == 1) {
        segment = ((const struct node_coordinate *)a.v[0])->segment;
    }
    if (b.n == 1) {
        segment = ((const struct node_coordinate *)b.v[0])->segment;
    }
    return coordinate_distance(in_segment(a, segment), in_segment(b, segment));
}
