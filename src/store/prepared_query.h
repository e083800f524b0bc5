/* prepared_query.h - prepared queries in the store.
 *
 * A query is found by its id, or by its name in any case of letters; a template also by any name
 * that begins with its own, the longest template winning. Queries bound to a session go with it.
 * Reads add what they looked at to `ws` (may be NULL) and answer with the table's index. */
#pragma once
#include "schema/prepared_query.h"
#include "store/store.h"

struct err;

/* Names are asked for with every shorter prefix; no longer ones than this are found by template. */
#define QUERY_TEMPLATE_NAME_SIZE_MAX 1024u

/* Insert or replace a copy; names must stay unique, the session must be there, a template must
 * render. `query` gets its indexes. */
NODISCARD int prepared_query_set(struct store_txn *tx, struct prepared_query *query,
                                 struct err *err);
/* What is not there is no error. */
NODISCARD int prepared_query_delete(struct store_txn *tx, struct str id, struct err *err);
void prepared_query_delete_of_session(struct store_txn *tx, struct str session);
NODISCARD int prepared_query_restore(struct store_txn *tx, const struct prepared_query *query,
                                     struct err *err);

/* *ret_query is NULL when there is none; -ERR_INVALID when the id is no UUID. */
NODISCARD int prepared_query_get(const struct store_view *v, struct watch_set *ws, struct str id,
                                 uint64_t *ret_index, const struct prepared_query **ret_query,
                                 struct err *err);
/* struct prepared_query, by id; nil when there is none. */
uint64_t prepared_query_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                             struct ptrlist *ret_queries);
/* By id, name or template; a template is rendered into the arena. *ret_query is NULL when there is
 * none. */
NODISCARD int prepared_query_resolve(const struct store_view *v, struct arena *a,
                                     struct str id_or_name, struct str segment,
                                     const struct prepared_query **ret_query, struct err *err);
