/* session.h - sessions in the store: creation, destruction, and what falls with them.
 *
 * A session is destroyed on request, when its TTL ends (the leader then writes a request), and when
 * something it depends on goes away: its node, or one of its checks, deleted or critical. The locks it
 * holds are released or their keys deleted, by its behaviour, and those keys get a lock delay
 * (store_effect_lock_delay: not a part of the state).
 *
 * Reads add to `ws` (may be NULL) what they looked at, and answer with the index of the table. */
#pragma once
#include "schema/session.h"
#include "store/store.h"

struct err;

/* A row of TABLE_SESSION_CHECKS: the session falls with the check. */
struct session_check {
    struct str node;
    struct str check_id;
    struct str session;
};

/* -ERR_INVALID unless text is a UUID as the store's indexes take it; err has the words clients know. */
NODISCARD int session_id_check(struct str id, struct err *err);

/* Checks behaviour ("" becomes release), node and checks, fills in the indexes and inserts a copy. */
NODISCARD int session_create(struct store_txn *tx, struct session *session, struct err *err);
/* What is not there is no error. */
NODISCARD int session_destroy(struct store_txn *tx, struct str id, struct err *err);
/* The row alone, and nothing that depends on it: what the "delete" verb of a transaction does. */
void session_delete_row(struct store_txn *tx, struct str id);
void session_restore(struct store_txn *tx, const struct session *session);

/* The catalog calls these when what sessions depend on goes away: a node is deleted, a check is
 * deleted or becomes critical. `index` is the transaction's. */
void session_invalidate_for_node(struct store_txn *tx, uint64_t index, struct str node);
void session_invalidate_for_check(struct store_txn *tx, uint64_t index, struct str node,
                                  struct str check_id);

/* *ret_session is NULL when there is none. */
NODISCARD int session_find(const struct store_view *v, struct str id,
                           const struct session **ret_session, struct err *err);
NODISCARD int session_get(const struct store_view *v, struct watch_set *ws, struct str id,
                          uint64_t *ret_index, const struct session **ret_session,
                          struct err *err);
/* struct session, by id; nil when there is none. */
uint64_t session_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                      struct ptrlist *ret_sessions);
uint64_t session_list_node(const struct store_view *v, struct watch_set *ws, struct arena *a,
                           struct str node, struct ptrlist *ret_sessions);
