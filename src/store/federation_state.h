/* federation_state.h - the table of what the data centers tell of themselves. */
#pragma once
#include "schema/federation_state.h"
#include "store/store.h"

struct err;

/* Insert or replace a copy; `state` gets its indexes. */
NODISCARD int federation_state_set(struct store_txn *tx, struct federation_state *state,
                                   struct err *err);
/* Nothing happens when there is none. */
void federation_state_delete(struct store_txn *tx, struct str datacenter);
/* From a snapshot: as it is. */
NODISCARD int federation_state_restore(struct store_txn *tx, const struct federation_state *state,
                                       struct err *err);
/* NULL when there is none. */
const struct federation_state *federation_state_get(const struct store_view *v,
                                                    struct str datacenter);
/* The same, and all of them by name (never nil); they add what they looked at to `ws` (may be NULL)
 * and answer with the table's index. */
uint64_t federation_state_read(const struct store_view *v, struct watch_set *ws,
                               struct str datacenter, const struct federation_state **ret_state);
uint64_t federation_state_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct ptrlist *ret_states);
