#include "store/connect_ca.h"

#include "base/err.h"
#include "base/vec.h"

#define INDEX_NAME_ROOTS STR("connect-ca-roots")
#define INDEX_NAME_BUILTIN STR("connect-ca-builtin")
#define INDEX_NAME_SERIAL STR("connect-ca-builtin-serial")
#define INDEX_NAME_LEAF_CERTS STR("connect-ca-leaf-certs")

/* --- reading --------------------------------------------------------------------------------- */

uint64_t ca_config_get(const struct store_view *v, struct watch_set *ws,
                       const struct ca_configuration **ret_config)
{
    const struct ca_configuration *config = store_first(v, INDEX_CA_CONFIG_ID, STR_NULL);
    watch_prefix(ws, TABLE_CA_CONFIG, STR(""));
    *ret_config = config;
    return config != NULL ? config->raft.modify_index : 0;
}

uint64_t ca_roots_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                       struct ptrlist *ret_roots)
{
    VEC(void *) roots = {0};
    struct tree_iter it;
    void *row;
    watch_prefix(ws, TABLE_CA_ROOTS, STR(""));
    store_iter(&it, v, INDEX_CA_ROOTS_ID, STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &roots, row);
    }
    *ret_roots = (struct ptrlist){roots.v, roots.n};
    return store_index(v, INDEX_NAME_ROOTS);
}

const struct ca_root *ca_root_active(const struct store_view *v)
{
    struct tree_iter it;
    const struct ca_root *root;
    store_iter(&it, v, INDEX_CA_ROOTS_ID, STR_NULL);
    while ((root = tree_next(&it, NULL)) != NULL && !root->active) {
    }
    return root;
}

static void *row_by_id(const struct store_view *v, enum store_index index, struct str id)
{
    struct buf key = {0};
    void *row = store_get(v, index, store_key(&key, &id, 1));
    buf_deinit(&key);
    return row;
}

const struct ca_provider_state *ca_provider_state_get(const struct store_view *v, struct str id)
{
    return row_by_id(v, INDEX_CA_BUILTIN_ID, id);
}

/* --- writing --------------------------------------------------------------------------------- */

int ca_config_set(struct store_txn *tx, struct ca_configuration *config, bool compare,
                  uint64_t index, struct err *err)
{
    const struct ca_configuration *old;
    uint64_t old_index = ca_config_get(store_txn_view(tx), NULL, &old);
    if (compare && old_index != index) {
        return err_set(err, ERR_FAILED, "ModifyIndex did not match existing");
    }
    uint64_t now = store_txn_raft_index(tx);
    config->raft.create_index = old != NULL ? old->raft.create_index : now;
    config->raft.modify_index = now;
    if (old != NULL && config->cluster_id.n == 0) {
        config->cluster_id = old->cluster_id;
    }
    store_insert(tx, TABLE_CA_CONFIG, schema_clone(&ca_configuration_schema, config, NULL));
    return 1;
}

static void roots_delete_all(struct store_txn *tx)
{
    VEC(struct ca_root *) old = {0};
    struct tree_iter it;
    struct ca_root *root;
    store_iter(&it, store_txn_view(tx), INDEX_CA_ROOTS_ID, STR_NULL);
    while ((root = tree_next(&it, NULL)) != NULL) {
        vec_push(&old, root);
    }
    struct buf key = {0};
    for (size_t i = 0; i < old.n; i++) {
        (void)store_delete(tx, TABLE_CA_ROOTS, store_key(&key, &old.v[i]->id, 1));
    }
    buf_deinit(&key);
    vec_deinit(&old);
}

int ca_roots_set(struct store_txn *tx, uint64_t index, struct ptrlist roots, struct err *err)
{
    size_t active = 0;
    for (size_t i = 0; i < roots.n; i++) {
        active += ((const struct ca_root *)roots.v[i])->active;
    }
    if (active != 1) {
        return err_set(err, ERR_FAILED, "there must be exactly one active CA");
    }
    if (store_index(store_txn_view(tx), INDEX_NAME_ROOTS) != index) {
        return 0;
    }
    uint64_t now = store_txn_raft_index(tx);
    for (size_t i = 0; i < roots.n; i++) {
        struct ca_root *root = roots.v[i];
        if (root->id.n == 0) {
            return err_set(err, ERR_FAILED, "Missing CA Root ID");
        }
        const struct ca_root *old = row_by_id(store_txn_view(tx), INDEX_CA_ROOTS_ID, root->id);
        root->raft.create_index = old != NULL ? old->raft.create_index : now;
        root->raft.modify_index = now;
    }
    roots_delete_all(tx);
    for (size_t i = 0; i < roots.n; i++) {
        store_insert(tx, TABLE_CA_ROOTS, schema_clone(&ca_root_schema, roots.v[i], NULL));
    }
    store_index_set(tx, INDEX_NAME_ROOTS, now);
    return 1;
}

int ca_provider_state_set(struct store_txn *tx, struct ca_provider_state *state, struct err *err)
{
    if (state->id.n == 0) {
        return err_set(err, ERR_FAILED,
                       "failed updating built-in CA state: object missing primary index");
    }
    uint64_t now = store_txn_raft_index(tx);
    const struct ca_provider_state *old = ca_provider_state_get(store_txn_view(tx), state->id);
    state->raft.create_index = old != NULL ? old->raft.create_index : now;
    state->raft.modify_index = now;
    store_insert(tx, TABLE_CA_BUILTIN, schema_clone(&ca_provider_state_schema, state, NULL));
    store_index_set(tx, INDEX_NAME_BUILTIN, now);
    return 1;
}

void ca_provider_state_delete(struct store_txn *tx, struct str id)
{
    struct buf key = {0};
    if (store_delete(tx, TABLE_CA_BUILTIN, store_key(&key, &id, 1))) {
        store_index_set(tx, INDEX_NAME_BUILTIN, store_txn_raft_index(tx));
    }
    buf_deinit(&key);
}

uint64_t ca_serial_next(struct store_txn *tx)
{
    const struct store_view *v = store_txn_view(tx);
    /* There was a time when the index of the provider's table was the serial number. */
    uint64_t last = store_index(v, INDEX_NAME_SERIAL);
    if (last == 0) {
        last = store_index(v, INDEX_NAME_BUILTIN);
    }
    store_index_set(tx, INDEX_NAME_SERIAL, last + 1);
    return last + 1;
}

uint64_t ca_leaf_index_next(struct store_txn *tx)
{
    uint64_t index = store_txn_raft_index(tx);
    store_index_raise(tx, INDEX_NAME_LEAF_CERTS, index);
    return index;
}

/* --- restoring ------------------------------------------------------------------------------- */

void ca_root_restore(struct store_txn *tx, const struct ca_root *root)
{
    store_insert(tx, TABLE_CA_ROOTS, schema_clone(&ca_root_schema, root, NULL));
    store_index_raise(tx, INDEX_NAME_ROOTS, root->raft.modify_index);
}

void ca_config_restore(struct store_txn *tx, const struct ca_configuration *config)
{
    /* Old versions wrote an empty configuration where there was none. */
    if (config->provider.n > 0) {
        store_insert(tx, TABLE_CA_CONFIG, schema_clone(&ca_configuration_schema, config, NULL));
    }
}

void ca_provider_state_restore(struct store_txn *tx, const struct ca_provider_state *state)
{
    store_insert(tx, TABLE_CA_BUILTIN, schema_clone(&ca_provider_state_schema, state, NULL));
    store_index_raise(tx, INDEX_NAME_BUILTIN, state->raft.modify_index);
}
