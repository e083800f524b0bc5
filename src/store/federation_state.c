#include "store/federation_state.h"

#include "base/err.h"
#include "base/vec.h"
#include "store/watch.h"

#define INDEX_NAME_STATES STR("federation-states")

const struct federation_state *federation_state_get(const struct store_view *v,
                                                    struct str datacenter)
{
    struct buf b = {0};
    const struct federation_state *row =
        store_get(v, INDEX_FEDERATION_STATES_ID, store_key(&b, &datacenter, 1));
    buf_deinit(&b);
    return row;
}

uint64_t federation_state_read(const struct store_view *v, struct watch_set *ws,
                               struct str datacenter, const struct federation_state **ret_state)
{
    struct buf b = {0};
    struct str key = store_key(&b, &datacenter, 1);
    watch_key(ws, TABLE_FEDERATION_STATES, key);
    *ret_state = store_get(v, INDEX_FEDERATION_STATES_ID, key);
    buf_deinit(&b);
    return store_index(v, INDEX_NAME_STATES);
}

uint64_t federation_state_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct ptrlist *ret_states)
{
    VEC(void *) states = {0};
    struct tree_iter it;
    struct federation_state *row;
    watch_prefix(ws, TABLE_FEDERATION_STATES, STR_NULL);
    store_iter(&it, v, INDEX_FEDERATION_STATES_ID, STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &states, row);
    }
    *ret_states = (struct ptrlist){states.v != NULL ? states.v : SCHEMA_EMPTY, states.n};
    return store_index(v, INDEX_NAME_STATES);
}

static int check_name(const struct federation_state *state, struct err *err)
{
    if (state->datacenter.n == 0) {
        return err_set(err, ERR_FAILED, "missing datacenter on federation state");
    }
    if (state->datacenter.n > TREE_KEY_SIZE_MAX / 2) {
        return err_set(err, ERR_TOO_LARGE, "datacenter of %zu bytes is over the maximum of %u",
                       state->datacenter.n, TREE_KEY_SIZE_MAX / 2);
    }
    return 0;
}

int federation_state_set(struct store_txn *tx, struct federation_state *state, struct err *err)
{
    uint64_t now = store_txn_raft_index(tx);
    int r = check_name(state, err);
    if (r < 0) {
        return r;
    }
    const struct federation_state *old =
        federation_state_get(store_txn_view(tx), state->datacenter);
    state->raft.create_index = old != NULL ? old->raft.create_index : now;
    state->raft.modify_index = now;
    if (state->primary_modify_index == 0) {
        state->primary_modify_index = now; /* else it was copied from the primary data center */
    }
    store_insert(tx, TABLE_FEDERATION_STATES, schema_clone(&federation_state_schema, state, NULL));
    store_index_set(tx, INDEX_NAME_STATES, now);
    return 0;
}

void federation_state_delete(struct store_txn *tx, struct str datacenter)
{
    struct buf b = {0};
    if (store_delete(tx, TABLE_FEDERATION_STATES, store_key(&b, &datacenter, 1))) {
        store_index_set(tx, INDEX_NAME_STATES, store_txn_raft_index(tx));
    }
    buf_deinit(&b);
}

int federation_state_restore(struct store_txn *tx, const struct federation_state *state,
                             struct err *err)
{
    int r = check_name(state, err);
    if (r == 0) {
        store_insert(tx, TABLE_FEDERATION_STATES,
                     schema_clone(&federation_state_schema, state, NULL));
        store_index_raise(tx, INDEX_NAME_STATES, state->raft.modify_index);
    }
    return r;
}
