/* system_metadata.h - what a cluster remembers of its own transitions. */
#pragma once
#include "schema/system_metadata.h"
#include "store/store.h"

struct err;

/* Insert or replace a copy; `entry` gets its indexes. */
NODISCARD int system_metadata_set(struct store_txn *tx, struct system_metadata_entry *entry,
                                  struct err *err);
void system_metadata_delete(struct store_txn *tx, struct str key);
void system_metadata_restore(struct store_txn *tx, const struct system_metadata_entry *entry);
/* The value, or empty; the second adds what it looked at to `ws` (may be NULL). */
struct str system_metadata_get(const struct store_view *v, struct str key);
struct str system_metadata_read(const struct store_view *v, struct watch_set *ws, struct str key);

/* The old table of intentions is done with: config entries have them from now on, and it is
 * written down that they do. */
void intentions_are_config_entries(struct store_txn *tx);
