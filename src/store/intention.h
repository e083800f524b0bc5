/* intention.h - intentions, one by one.
 *
 * They live in config entries, one for each destination. A change of one makes the entry anew, and
 * is refused when that is. There are two APIs, told apart by whether sources carry an id; an entry
 * is changed by one of them only.
 *
 * For reading there is a table that follows from the entries, a row for each of their sources.
 * Reads add what they looked at to `ws` (may be NULL) and answer with the index of all config
 * entries. Destinations are found in any case of letters, sources and ids as they are written.
 * Before the leader has written down that intentions are config entries, there are none. */
#pragma once
#include "schema/intention.h"
#include "schema/topology.h"
#include "store/store.h"

struct arena;
struct err;

/* --- reading --------------------------------------------------------------------------------- */

/* By the id of the old API, which has to be a UUID. *ret is NULL when there is none. */
NODISCARD int intention_get(const struct store_view *v, struct watch_set *ws, struct str id,
                            uint64_t *ret_index, const struct intention **ret, struct err *err);
/* By both names; all four names have to be there. *ret is NULL when there is none. */
NODISCARD int intention_get_exact(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                  const struct intention_query_exact *exact, uint64_t *ret_index,
                                  const struct intention **ret, struct err *err);
/* All, highest precedence first; never nil. *ret_origin: see struct indexed_intentions. */
uint64_t intention_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                        struct ptrlist *ret, struct str *ret_origin);

enum intention_side { INTENTION_SOURCE, INTENTION_DESTINATION };

/* Those with this name, or a wildcard, on one side; highest precedence first; nil when there are
 * none. */
uint64_t intention_match(const struct store_view *v, struct watch_set *ws, struct arena *a,
                         enum intention_side side, struct str name, struct ptrlist *ret);
NODISCARD int intention_side_parse(struct str text, enum intention_side *ret, struct err *err);

/* The first of `intentions`, those of one side, that concerns `name` in namespace `ns` on `side`,
 * the other one, decides. Connections whose requests are decided one by one are let through if
 * `allow_permissions`. */
struct intention_decision intention_decide(struct ptrlist intentions, enum intention_side side,
                                           struct str ns, struct str name, bool default_allow,
                                           bool allow_permissions);

/* --- changes --------------------------------------------------------------------------------- */

/* op: INTENTION_CREATE, _UPDATE (both by the old API), _DELETE (with an id: by the old API),
 * _UPSERT. Sentences are Consul's. What is made on the way is in `a`. */
NODISCARD int intention_mutate(struct store_txn *tx, struct str op,
                               const struct intention_mutation *m, struct arena *a,
                               struct err *err);

/* The table follows: an entry is inserted or replaced; its destination has none any more. The first
 * refuses names that are too long for a key. */
NODISCARD int intention_rows_set(struct store_txn *tx, const struct service_intentions *entry,
                                 struct err *err);
void intention_rows_delete(struct store_txn *tx, struct str destination);
