/* Transactions: order, results, errors, and that nothing of a failed one remains. What the log
 * entry of one does is in tests/fsm/test_fsm.c. */
#include "store/txn.h"

#include "store_fixture.h"

#include "store/catalog.h"
#include "store/kv.h"
#include "store/session.h"

#define SESSION_A STR("11111111-2222-3333-4444-555555555555")
#define SESSION_B STR("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")

struct fixture {
    struct store_fixture base;
    struct txn_response answer;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    store_fixture_init(&f->base);
    struct store_txn *tx = store_fixture_begin(&f->base);
    struct dir_entry e = {.key = STR("base"), .value = STR("0")};
    kv_set(tx, &e);
    session_restore(tx, &(struct session){.id = SESSION_A, .node = STR("n")});
    store_txn_commit(tx);
    *state = f;
    return 0;
}

static bool run(struct fixture *f, struct txn_op *ops, size_t n)
{
    struct objlist list = {.v = ops, .n = n};
    struct store_txn *tx = store_fixture_begin(&f->base);
    bool ok = txn_apply(tx, &list, &f->base.arena, &f->answer);
    if (ok) {
        store_txn_commit(tx);
    } else {
        store_txn_abort(tx);
    }
    return ok;
}

static struct txn_op kv_op(struct fixture *f, struct str verb, struct dir_entry e)
{
    struct txn_kv_op *op = ARENA_NEW(&f->base.arena, struct txn_kv_op);
    *op = (struct txn_kv_op){.verb = verb, .dir_ent = e};
    return (struct txn_op){.kv = op};
}

static bool run_kv(struct fixture *f, struct str verb, struct dir_entry e)
{
    struct txn_op op = kv_op(f, verb, e);
    return run(f, &op, 1);
}

static const struct txn_result *result(struct fixture *f, size_t i)
{
    assert_in_range(i, 0, f->answer.results.n - 1);
    return (const struct txn_result *)f->answer.results.v + i;
}

static void check_one_error(struct fixture *f, const char *text)
{
    assert_null(f->answer.results.v);
    assert_int_equal(f->answer.errors.n, 1);
    assert_string_equal(((const struct txn_error *)f->answer.errors.v)->what.p, text);
}

static void test_verbs(void **state)
{
    struct fixture *f = *state;
    struct dir_entry k = {.key = STR("k"), .value = STR("v")};
    assert_true(run_kv(f, KV_SET, k));
    assert_null(result(f, 0)->kv->value.p);
    assert_int_equal(result(f, 0)->kv->raft.create_index, f->base.index);
    uint64_t made = f->base.index;
    assert_true(run_kv(f, KV_SET, k)); /* no change: the index stays, in the answer as well */
    assert_int_equal(result(f, 0)->kv->raft.modify_index, made);
    assert_false(run_kv(f, KV_CAS, k));
    check_one_error(f, "failed to set key \"k\", index is stale");
    k.raft.modify_index = made;
    assert_true(run_kv(f, KV_CHECK_INDEX, k));
    assert_null(result(f, 0)->kv->value.p);
    k.value = STR("w");
    assert_true(run_kv(f, KV_CAS, k));
    assert_false(run_kv(f, KV_DELETE_CAS, k));
    check_one_error(f, "failed to delete key \"k\", index is stale");
    assert_false(run_kv(f, KV_CHECK_NOT_EXISTS, k));
    check_one_error(f, "key \"k\" exists");
    assert_true(run_kv(f, KV_DELETE, k));
    assert_int_equal(f->answer.results.n, 0);
    assert_non_null(f->answer.results.v); /* [] rather than null */
    assert_null(f->answer.errors.v);
    assert_true(run_kv(f, KV_CHECK_NOT_EXISTS, k));
    assert_true(run_kv(f, KV_DELETE_CAS, k));
    assert_false(run_kv(f, KV_GET, k));
    check_one_error(f, "key \"k\" doesn't exist");
    assert_false(run_kv(f, KV_CHECK_INDEX, k));
    check_one_error(f, "failed to check index, key \"k\" doesn't exist");
    assert_false(run_kv(f, KV_CHECK_SESSION, k));
    check_one_error(f, "failed to check session, key \"k\" doesn't exist");
}

static void test_locks(void **state)
{
    struct fixture *f = *state;
    struct dir_entry l = {.key = STR("l")};
    assert_false(run_kv(f, KV_LOCK, l));
    check_one_error(f, "missing session");
    l.session = SESSION_A;
    assert_true(run_kv(f, KV_LOCK, l));
    assert_true(str_eq(result(f, 0)->kv->session, SESSION_A));
    assert_true(run_kv(f, KV_CHECK_SESSION, l));
    struct store_txn *tx = store_fixture_begin(&f->base);
    session_restore(tx, &(struct session){.id = SESSION_B, .node = STR("n")});
    store_txn_commit(tx);
    l.session = SESSION_B;
    assert_false(run_kv(f, KV_LOCK, l));
    check_one_error(f, "failed to lock key \"l\", lock is already held");
    assert_false(run_kv(f, KV_UNLOCK, l));
    check_one_error(f,
                    "failed to unlock key \"l\", lock isn't held, or is held by another session");
    assert_false(run_kv(f, KV_CHECK_SESSION, l));
    check_one_error(f, "failed session check for key \"l\", current session "
                       "\"11111111-2222-3333-4444-555555555555\" != "
                       "\"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee\"");

    /* The session alone is deleted, its lock stays: as Consul does it. */
    struct txn_session_op session = {.verb = STR("delete"), .session.id = SESSION_A};
    struct txn_op op = {.session = &session};
    assert_true(run(f, &op, 1));
    const struct dir_entry *e;
    (void)kv_get(store_view(f->base.store), NULL, STR("l"), &e);
    assert_true(str_eq(e->session, SESSION_A));
    assert_false(run(f, &op, 1));
    session.verb = STR("create");
    assert_false(run(f, &op, 1));
    check_one_error(f, "failed to delete session: unknown Session verb \"create\"");
}

static void test_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    struct txn_op ops[] = {
        kv_op(f, KV_SET, (struct dir_entry){.key = STR("a"), .value = STR("1")}),
        kv_op(f, KV_DELETE_TREE, (struct dir_entry){.key = STR("")}),
        kv_op(f, KV_GET, (struct dir_entry){.key = STR("base")}),
        kv_op(f, KV_SET, (struct dir_entry){.key = STR("b"), .value = STR("2")}),
    };
    const struct store_view *before = store_view(f->base.store);
    assert_false(run(f, ops, ARRAY_SIZE(ops)));
    check_one_error(f, "key \"base\" doesn't exist");
    assert_int_equal(((const struct txn_error *)f->answer.errors.v)->op_index, 2);
    assert_ptr_equal(store_view(f->base.store), before);
    assert_int_equal(before->trees[INDEX_KVS_ID].count, 1);

    /* What an operation read stays as it was then, whatever follows. */
    struct txn_op good[] = {
        kv_op(f, KV_GET, (struct dir_entry){.key = STR("base")}),
        kv_op(f, KV_SET, (struct dir_entry){.key = STR("base"), .value = STR("9")}),
        kv_op(f, KV_GET_TREE, (struct dir_entry){.key = STR("b")}),
        kv_op(f, KV_DELETE, (struct dir_entry){.key = STR("base")}),
    };
    assert_true(run(f, good, ARRAY_SIZE(good)));
    (void)epoch_collect(f->base.epoch);
    assert_int_equal(f->answer.results.n, 3);
    assert_true(str_eq_lit(result(f, 0)->kv->value, "0"));
    assert_true(str_eq_lit(result(f, 2)->kv->value, "9"));
}

static void test_read_only(void **state)
{
    struct fixture *f = *state;
    struct txn_op ops[] = {
        kv_op(f, KV_GET, (struct dir_entry){.key = STR("base")}),
        kv_op(f, KV_GET_TREE, (struct dir_entry){.key = STR("none")}),
        kv_op(f, KV_CHECK_NOT_EXISTS, (struct dir_entry){.key = STR("none")}),
        kv_op(f, KV_SET, (struct dir_entry){.key = STR("none")}),
    };
    struct objlist list = {.v = ops, .n = 3};
    assert_true(txn_read(store_view(f->base.store), &list, &f->base.arena, &f->answer));
    assert_int_equal(f->answer.results.n, 1);
    assert_true(str_eq_lit(result(f, 0)->kv->value, "0"));
    list.n = 4;
    assert_false(txn_read(store_view(f->base.store), &list, &f->base.arena, &f->answer));
    check_one_error(f, "cannot set in a read-only transaction");
    assert_false(txn_op_writes(&ops[0]));
    assert_true(txn_op_writes(&ops[3]));
    struct txn_node_op node = {.verb = STR("get"), .node.node = STR("n")};
    assert_false(txn_op_writes(&(struct txn_op){.node = &node}));
    node.verb = STR("bogus");
    assert_true(txn_op_writes(&(struct txn_op){.node = &node}));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_verbs),
        T(test_locks),
        T(test_all_or_nothing),
        T(test_read_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
