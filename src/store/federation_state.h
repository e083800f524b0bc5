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
