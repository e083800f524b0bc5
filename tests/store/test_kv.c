/* The key/value verbs, the indexes they move and the ones reads answer with. */
#include "store/kv.h"

#include "store_fixture.h"

#include "store/session.h"

#define SESSION_A STR("11111111-2222-3333-4444-555555555555")
#define SESSION_B STR("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")

static int setup(void **state)
{
    int r = store_fixture_setup(state);
    ((struct store_fixture *)*state)->index = 100;
    return r;
}

static void set(struct store_fixture *f, struct str key, struct str value)
{
    struct store_txn *tx = store_fixture_begin(f);
    kv_set(tx, &(struct dir_entry){.key = key, .value = value});
    store_txn_commit(tx);
}

static void delete_key(struct store_fixture *f, struct str key)
{
    struct store_txn *tx = store_fixture_begin(f);
    kv_delete(tx, key);
    store_txn_commit(tx);
}

static const struct dir_entry *get(struct store_fixture *f, struct str key)
{
    const struct dir_entry *e;
    (void)kv_get(store_view(f->store), NULL, key, &e);
    return e;
}

static uint64_t list_index(struct store_fixture *f, struct str prefix, size_t count)
{
    struct ptrlist entries;
    uint64_t index = kv_list(store_view(f->store), NULL, &f->arena, prefix, &entries);
    assert_int_equal(entries.n, count);
    return index;
}

static void session_put(struct store_fixture *f, struct str id)
{
    struct store_txn *tx = store_fixture_begin(f);
    session_restore(tx, &(struct session){.id = id, .node = STR("n"), .behavior = SESSION_RELEASE});
    store_txn_commit(tx);
}

static void test_set(void **state)
{
    struct store_fixture *f = *state;
    struct store_txn *tx = store_fixture_begin(f);
    struct dir_entry e = {
        .key = STR("k"), .value = STR("v"), .flags = 3, .session = STR("nobody's")};
    kv_set(tx, &e);
    store_txn_commit(tx);
    assert_int_equal(e.raft.create_index, 101);
    assert_int_equal(e.session.n, 0);
    const struct dir_entry *row = get(f, STR("k"));
    assert_true(str_eq_lit(row->value, "v"));
    assert_int_equal(row->flags, 3);
    assert_int_equal(row->raft.modify_index, 101);
    assert_null(get(f, STR("K"))); /* case matters */

    /* The same again moves nothing, but leaving out the flags does. */
    tx = store_fixture_begin(f);
    kv_set(tx, &e);
    store_txn_commit(tx);
    assert_ptr_equal(get(f, STR("k")), row);
    assert_int_equal(e.raft.modify_index, 101);
    set(f, STR("k"), STR("v"));
    row = get(f, STR("k"));
    assert_int_equal(row->raft.modify_index, f->index);
    assert_int_equal(row->raft.create_index, 101);
    assert_int_equal(store_index(store_view(f->store), STR("kvs")), f->index);

    /* nil and empty values stay apart, but neither is a change of the other */
    set(f, STR("nil"), STR_NULL);
    assert_null(get(f, STR("nil"))->value.p);
    set(f, STR("empty"), STR(""));
    assert_non_null(get(f, STR("empty"))->value.p);
}

static void test_cas(void **state)
{
    struct store_fixture *f = *state;
    struct store_txn *tx = store_fixture_begin(f);
    struct dir_entry e = {.key = STR("k"), .raft.modify_index = 7};
    assert_false(kv_cas(tx, &e));
    e.raft.modify_index = 0;
    assert_true(kv_cas(tx, &e));
    store_txn_commit(tx);
    uint64_t first = f->index;
    tx = store_fixture_begin(f);
    e = (struct dir_entry){.key = STR("k"), .value = STR("2")};
    assert_false(kv_cas(tx, &e));
    e.raft.modify_index = first;
    assert_true(kv_cas(tx, &e));
    assert_int_equal(e.raft.modify_index, f->index);
    assert_int_equal(e.raft.create_index, first);
    assert_false(kv_delete_cas(tx, STR("k"), first));
    assert_true(kv_delete_cas(tx, STR("k"), f->index));
    assert_true(kv_delete_cas(tx, STR("k"), f->index)); /* nothing to delete is fine */
    store_txn_commit(tx);
    assert_null(get(f, STR("k")));
}

static void test_indexes_of_prefixes(void **state)
{
    struct store_fixture *f = *state;
    assert_int_equal(list_index(f, STR("a/"), 0), 0);
    set(f, STR("a/1"), STR("x"));
    set(f, STR("a/2"), STR("x"));
    set(f, STR("b/1"), STR("x"));
    uint64_t b1 = f->index;
    assert_int_equal(list_index(f, STR("a/"), 2), b1 - 1);
    assert_int_equal(list_index(f, STR("b/"), 1), b1);
    assert_int_equal(list_index(f, STR(""), 3), b1);
    assert_int_equal(list_index(f, STR("none/"), 0), b1); /* falls back to the tables */

    delete_key(f, STR("a/2"));
    assert_int_equal(list_index(f, STR("a/"), 1), f->index); /* the tombstone's */
    assert_int_equal(list_index(f, STR("b/"), 1), b1);
    set(f, STR("b/2"), STR("x"));
    assert_int_equal(list_index(f, STR("a/"), 1), f->index - 1);
    struct store_txn *tx = store_fixture_begin(f);
    kv_reap_tombstones(tx, f->index);
    store_txn_commit(tx);
    assert_int_equal(list_index(f, STR("a/"), 1), 101); /* slides back, as Consul's */

    uint64_t before = store_index(store_view(f->store), STR("kvs"));
    tx = store_fixture_begin(f);
    kv_delete_tree(tx, STR("nothing/"));
    store_txn_commit(tx);
    assert_int_equal(store_index(store_view(f->store), STR("kvs")), before);
    tx = store_fixture_begin(f);
    kv_delete_tree(tx, STR("b"));
    store_txn_commit(tx);
    const struct store_view *v = store_view(f->store);
    assert_int_equal(v->trees[INDEX_TOMBSTONES_ID].count, 1);
    assert_int_equal(list_index(f, STR("b"), 0), f->index);
    set(f, STR("c"), STR(""));
    /* The tombstone lies at "b": below it nothing is known but the tables' index. */
    assert_int_equal(list_index(f, STR("b"), 0), f->index - 1);
    assert_int_equal(list_index(f, STR("b/"), 0), f->index);

    tx = store_fixture_begin(f);
    kv_delete_tree(tx, STR(""));
    store_txn_commit(tx);
    v = store_view(f->store);
    assert_int_equal(v->trees[INDEX_KVS_ID].count, 0);
    assert_int_equal(v->trees[INDEX_TOMBSTONES_ID].count, 1); /* none for everything */
    assert_int_equal(list_index(f, STR(""), 0), f->index);
}

static void check_keys(struct store_fixture *f, struct str prefix, struct str separator,
                       struct str expected)
{
    struct strlist keys;
    struct buf joined = {0};
    (void)kv_list_keys(store_view(f->store), NULL, &f->arena, prefix, separator, &keys, NULL, NULL);
    for (size_t i = 0; i < keys.n; i++) {
        buf_str(&joined, keys.v[i]);
        buf_lit(&joined, " ");
    }
    assert_true(str_eq(buf_view(&joined), expected));
    buf_deinit(&joined);
}

static bool not_secret(void *data, const struct dir_entry *e)
{
    return !str_has_prefix(e->key, *(struct str *)data);
}

static void test_list_keys(void **state)
{
    struct store_fixture *f = *state;
    const char *names[] = {"a", "a-b", "a/", "a/b", "a/b/c", "b/c/d", "b/c/e", "b/d", "c"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        set(f, str_from_cstr(names[i]), STR("x"));
    }
    check_keys(f, STR(""), STR(""), STR("a a-b a/ a/b a/b/c b/c/d b/c/e b/d c "));
    check_keys(f, STR(""), STR("/"), STR("a a-b a/ b/ c "));
    check_keys(f, STR("a/"), STR("/"), STR("a/ a/b a/b/ "));
    check_keys(f, STR("b"), STR("/"), STR("b/ "));
    check_keys(f, STR("b/"), STR("/"), STR("b/c/ b/d "));
    check_keys(f, STR("b/"), STR("c/"), STR("b/c/ b/d "));
    check_keys(f, STR("zzz"), STR("/"), STR(""));
    struct strlist keys;
    struct str secret = STR("b/");
    uint64_t index = kv_list_keys(store_view(f->store), NULL, &f->arena, STR(""), STR("/"), &keys,
                                  not_secret, &secret);
    assert_int_equal(keys.n, 4);
    assert_int_equal(index, f->index);
    /* what may not be seen counts for the index */
    index = kv_list_keys(store_view(f->store), NULL, &f->arena, STR("b"), STR("/"), &keys,
                         not_secret, &secret);
    assert_null(keys.v);
    assert_int_equal(index, f->index - 1);
}

static void test_lock(void **state)
{
    struct store_fixture *f = *state;
    struct err err = {0};
    session_put(f, SESSION_A);
    session_put(f, SESSION_B);
    struct store_txn *tx = store_fixture_begin(f);
    struct dir_entry e = {.key = STR("l")};
    assert_true(kv_lock(tx, &e, &err) < 0);
    assert_string_equal(err.text, "missing session");
    assert_true(kv_unlock(tx, &e, &err) < 0);
    e.session = STR("short");
    assert_true(kv_lock(tx, &e, &err) < 0);
    assert_string_equal(err.text, "failed session lookup: index error: UUID must be 36 characters");
    e.session = STR("99999999-2222-3333-4444-555555555555");
    assert_true(kv_lock(tx, &e, &err) < 0);
    assert_string_equal(err.text, "invalid session \"99999999-2222-3333-4444-555555555555\"");
    e.session = SESSION_A;
    assert_int_equal(kv_unlock(tx, &e, &err), 0);
    assert_int_equal(kv_lock(tx, &e, &err), 1);
    assert_int_equal(e.lock_index, 1);
    e = (struct dir_entry){.key = STR("l"), .session = SESSION_A, .value = STR("again")};
    assert_int_equal(kv_lock(tx, &e, &err), 1);
    assert_int_equal(e.lock_index, 1);
    e = (struct dir_entry){.key = STR("l"), .session = SESSION_B};
    assert_int_equal(kv_lock(tx, &e, &err), 0);
    assert_int_equal(kv_unlock(tx, &e, &err), 0);
    e = (struct dir_entry){.key = STR("l"), .session = SESSION_A, .flags = 9};
    assert_int_equal(kv_unlock(tx, &e, &err), 1);
    e = (struct dir_entry){.key = STR("l"), .session = SESSION_B};
    assert_int_equal(kv_lock(tx, &e, &err), 1);
    assert_int_equal(e.lock_index, 2);
    /* A plain write keeps the session and forgets the lock index. */
    e = (struct dir_entry){.key = STR("l"), .value = STR("w")};
    kv_set(tx, &e);
    assert_true(str_eq(e.session, SESSION_B));
    assert_int_equal(e.lock_index, 0);
    store_txn_commit(tx);
    const struct store_view *v = store_view(f->store);
    assert_int_equal(v->trees[INDEX_KVS_SESSION].count, 1);
}

static void test_restore(void **state)
{
    struct store_fixture *f = *state;
    struct store_txn *tx = store_fixture_begin(f);
    kv_restore(tx, &(struct dir_entry){.key = STR("b"), .raft = {5, 9}});
    kv_restore(tx, &(struct dir_entry){.key = STR("a"), .raft = {4, 7}});
    kv_restore_tombstone(tx, STR("x"), 8);
    store_txn_commit(tx);
    const struct store_view *v = store_view(f->store);
    assert_int_equal(store_index(v, STR("kvs")), 9);
    assert_int_equal(store_index(v, STR("tombstones")), 8);
    assert_int_equal(get(f, STR("a"))->raft.modify_index, 7);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_set),       T(test_cas),  T(test_indexes_of_prefixes),
        T(test_list_keys), T(test_lock), T(test_restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
