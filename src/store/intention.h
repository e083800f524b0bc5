/* intention.h - changes of single intentions. They live in config entries, one for each
 * destination; a change makes the entry anew, and is refused when that is. There are two APIs, told
 * apart by whether sources carry an id; an entry is changed by one of them only. */
#pragma once
#include "schema/system_metadata.h"
#include "store/store.h"

struct arena;
struct err;

/* op: "create", "update" (both by the old API), "delete" (with an id: by the old API), "upsert".
 * Sentences are Consul's. What is made on the way is in `a`. */
NODISCARD int intention_mutate(struct store_txn *tx, struct str op,
                               const struct intention_mutation *m, struct arena *a,
                               struct err *err);
