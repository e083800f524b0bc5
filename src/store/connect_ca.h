/* connect_ca.h - the certificate authority's tables: roots, the one configuration, what the
 * built-in provider keeps, and the counters of serial numbers and leaves.
 *
 * Roots change all at once, by compare-and-set of the table's index, and exactly one of them is
 * active. Writers return 1 when they wrote, 0 when a compare-and-set found something else, negative
 * (err set) when the request is refused. Reads add what they looked at to `ws` (may be NULL) and
 * answer with the index Consul gives. */
#pragma once
#include "schema/connect_ca.h"
#include "store/store.h"

struct err;

/* *ret_config is NULL, and the index 0, before there is one. */
uint64_t ca_config_get(const struct store_view *v, struct watch_set *ws,
                       const struct ca_configuration **ret_config);
/* struct ca_root, by id; nil when there is none. */
uint64_t ca_roots_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                       struct ptrlist *ret_roots);
/* NULL when there is none. */
const struct ca_root *ca_root_active(const struct store_view *v);
const struct ca_provider_state *ca_provider_state_get(const struct store_view *v, struct str id);

/* With `compare`, only if the configuration's ModifyIndex is `index` (0: there is none). An empty
 * cluster id keeps the one there is. */
NODISCARD int ca_config_set(struct store_txn *tx, struct ca_configuration *config, bool compare,
                            uint64_t index, struct err *err);
NODISCARD int ca_roots_set(struct store_txn *tx, uint64_t index, struct ptrlist roots,
                           struct err *err);
NODISCARD int ca_provider_state_set(struct store_txn *tx, struct ca_provider_state *state,
                                    struct err *err);
void ca_provider_state_delete(struct store_txn *tx, struct str id);
/* The next serial number of the built-in provider. */
uint64_t ca_serial_next(struct store_txn *tx);
/* A leaf was signed: its index is the transaction's. */
uint64_t ca_leaf_index_next(struct store_txn *tx);

void ca_root_restore(struct store_txn *tx, const struct ca_root *root);
void ca_config_restore(struct store_txn *tx, const struct ca_configuration *config);
void ca_provider_state_restore(struct store_txn *tx, const struct ca_provider_state *state);
