/* config_entry.h - centralized configuration in the store.
 *
 * Entries are found by kind and name, in any case of letters. Before one is written or removed, the
 * graph it is a part of is checked with the change made (config_graph.h), and the tables of
 * gateways' services (gateway_services.h) and of intentions (intention.h) follow. Reads add what
 * they looked at to `ws` (may be NULL) and answer with the table's index, which a rewrite of the
 * same entry moves, too. */
#pragma once
#include "schema/config_entry.h"
#include "store/store.h"

struct err;

/* Insert or replace a copy; `entry` gets its indexes. */
NODISCARD int config_entry_set(struct store_txn *tx, struct config_entry *entry, struct err *err);
/* The same if the stored one has this index (0: if there is none); 1 when done, 0 when not. */
NODISCARD int config_entry_cas(struct store_txn *tx, struct config_entry *entry, uint64_t index,
                               struct err *err);
/* What is not there is no error. */
NODISCARD int config_entry_delete(struct store_txn *tx, enum config_entry_kind type,
                                  struct str name, struct err *err);
NODISCARD int config_entry_restore(struct store_txn *tx, const struct config_entry *entry,
                                   struct err *err);

/* NULL when there is none. */
const struct config_entry *config_entry_find(const struct store_view *v,
                                             enum config_entry_kind type, struct str name);
uint64_t config_entry_get(const struct store_view *v, struct watch_set *ws,
                          enum config_entry_kind type, struct str name,
                          const struct config_entry **ret_entry);
/* All of a kind, or with an empty kind all there are, by kind and name. Never nil. */
uint64_t config_entry_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                           struct str kind, struct ptrlist *ret_entries);
/* The compact JSON of a row. */
struct str config_entry_json(const struct config_entry *row);

/* Iterate over one kind: store_iter() with this prefix, "kind\0". */
struct str config_entry_prefix(struct buf *to, enum config_entry_kind type);
