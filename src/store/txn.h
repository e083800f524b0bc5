/* txn.h - transactions: several operations on keys, nodes, services, checks and sessions, all or
 * none (Consul's /v1/txn, Raft entry type 8).
 *
 *     struct txn_response answer;
 *     if (txn_apply(tx, &request->ops, arena, &answer)) {
 *         store_txn_commit(tx);
 *     } else {
 *         store_txn_abort(tx);                        // answer.errors says which and why
 *     }
 *
 * Every operation is tried, also after one failed, so that all errors are told. Later operations see
 * what earlier ones did. Results are in order, an operation may have none or (get-tree) several. */
#pragma once
#include "schema/txn.h"
#include "store/store.h"

/* ops: struct txn_op. True: all succeeded, results is a list that may be empty but is not nil. False:
 * at least one failed, results is nil and errors has them. Everything in the answer is the arena's. */
NODISCARD bool txn_apply(struct store_txn *tx, const struct objlist *ops, struct arena *a,
                         struct txn_response *ret_answer);
/* Only reads and checks; writing verbs are errors. Results may point to rows of the view. */
NODISCARD bool txn_read(const struct store_view *v, const struct objlist *ops, struct arena *a,
                        struct txn_response *ret_answer);
/* Whether an operation writes (or is none that is known). */
bool txn_op_writes(const struct txn_op *op);
