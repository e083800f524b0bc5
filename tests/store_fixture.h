/* store_fixture.h - an empty store for each test, and transactions of one operation.
 *
 *     static void test_it(void **state)
 *     {
 *         struct store_fixture *f = *state;
 *         struct store_txn *tx = store_fixture_begin(f);
 *         assert_ok(store_fixture_end(tx, thing_set(tx, …, &f->err)));
 *     }
 *     … cmocka_unit_test_setup_teardown(test_it, store_fixture_setup, store_fixture_teardown)
 *
 * A test that needs more has a struct of its own that opens with `struct store_fixture base`, and a
 * setup that calls store_fixture_init(); the teardown serves both. */
#pragma once
#include "test.h"

#include "base/arena.h"
#include "base/epoch.h"
#include "base/err.h"
#include "base/mem.h"
#include "store/store.h"

struct store_fixture {
    struct epoch *epoch;
    struct store *store;
    struct arena arena;
    struct err err;
    uint64_t index;              /* of the last transaction */
    struct change_list *changes; /* of the last that was committed */
};

static inline void store_fixture_on_changes(void *data, struct change_list *changes)
{
    struct store_fixture *f = data;
    (void)change_list_unref(f->changes);
    f->changes = change_list_ref(changes);
}

static inline void store_fixture_init(struct store_fixture *f)
{
    f->epoch = epoch_new();
    f->store = store_new(f->epoch);
    store_set_listener(f->store, store_fixture_on_changes, f);
}

UNUSED static int store_fixture_setup(void **state)
{
    struct store_fixture *f = xcalloc(1, sizeof(*f));
    store_fixture_init(f);
    *state = f;
    return 0;
}

UNUSED static int store_fixture_teardown(void **state)
{
    struct store_fixture *f = *state;
    assert_true(store_is_consistent(store_view(f->store)));
    store_free(f->store);
    epoch_free(f->epoch);
    arena_deinit(&f->arena);
    (void)change_list_unref(f->changes);
    mem_free(f);
    return 0;
}

static inline struct store_txn *store_fixture_begin(struct store_fixture *f)
{
    f->err = (struct err){0};
    return store_txn_begin(f->store, ++f->index);
}

/* Committed, or where `r` says that it was refused, undone. Returns r. */
static inline int store_fixture_end(struct store_txn *tx, int r)
{
    if (r < 0) {
        store_txn_abort(tx);
    } else {
        store_txn_commit(tx);
    }
    return r;
}
