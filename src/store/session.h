/* session.h - sessions in the store: creation, destruction, invalidation by the catalog. */
#pragma once
#include "schema/session.h"
#include "store/store.h"

/* A row of TABLE_SESSION_CHECKS: the session falls with the check. */
struct session_check {
    struct str node;
    struct str check_id;
    struct str session;
};

/* The catalog calls these when what sessions depend on goes away: a node is deleted, a check is
 * deleted or becomes critical. The sessions are destroyed as by session_destroy(). */
void session_invalidate_for_node(struct store_txn *tx, uint64_t index, struct str node);
void session_invalidate_for_check(struct store_txn *tx, uint64_t index, struct str node,
                                  struct str check_id);
