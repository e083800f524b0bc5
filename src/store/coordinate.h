/* coordinate.h - network coordinates of nodes (Vivaldi), one for each network segment, in the
 * store.
 *
 * Rows are struct node_coordinate. They go with their node (catalog_node_delete). Reads add to `ws`
 * (may be NULL) what they looked at and answer with the index of the table. */
#pragma once
#include "schema/coordinate.h"
#include "store/store.h"

/* A batch from the log: updates that are not finite numbers or whose node is unknown are dropped in
 * silence, the next one of that node mends it. */
void coordinate_update(struct store_txn *tx, const struct node_coordinate *updates, size_t count);
/* Rows of a snapshot; nodes are not checked. */
void coordinate_restore(struct store_txn *tx, const struct node_coordinate *updates, size_t count);
void coordinate_delete_node(struct store_txn *tx, struct str node);

/* struct node_coordinate, by segment; nil when the node has none. */
uint64_t coordinate_node(const struct store_view *v, struct watch_set *ws, struct arena *a,
                         struct str node, struct ptrlist *ret_coordinates);
uint64_t coordinate_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                         struct ptrlist *ret_coordinates);

/* coordinate_distance() between two nodes' sets, in a segment both are in; infinity when there is
 * none. */
double coordinate_set_distance(struct ptrlist a, struct ptrlist b);
