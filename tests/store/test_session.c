/* Sessions: what they need to be created, and what falls with them. */
#include "store/session.h"

#include "store_fixture.h"

#include "store/kv.h"
#include "store/lock_delay.h"

#define SESSION_A STR("11111111-2222-3333-4444-555555555555")
#define SESSION_B STR("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")

struct fixture {
    struct store_fixture base;
    size_t delays;
    int64_t delay_ns;
};

static void on_lock_delay(void *data, struct str key, int64_t delay_ns)
{
    struct fixture *f = data;
    assert_true(key.n > 0);
    f->delays++;
    f->delay_ns = delay_ns;
}

static void put_row(struct store_txn *tx, enum store_table table, const struct schema *schema,
                    const void *row)
{
    store_insert(tx, table, schema_clone(schema, row, NULL));
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    store_fixture_init(&f->base);
    f->base.index = 9;
    store_set_effects(f->base.store,
                      &(struct store_effects){.lock_delay = on_lock_delay, .data = f});
    struct store_txn *tx = store_fixture_begin(&f->base);
    put_row(tx, TABLE_NODES, &node_schema, &(struct node){.node = STR("Node1")});
    put_row(tx, TABLE_NODES, &node_schema, &(struct node){.node = STR("node2")});
    put_row(tx, TABLE_CHECKS, &health_check_schema,
            &(struct health_check){
                .node = STR("node1"), .check_id = STR("ok"), .status = HEALTH_PASSING});
    put_row(tx, TABLE_CHECKS, &health_check_schema,
            &(struct health_check){
                .node = STR("node1"), .check_id = STR("bad"), .status = HEALTH_CRITICAL});
    store_txn_commit(tx);
    *state = f;
    return 0;
}

static void create(struct fixture *f, struct session s)
{
    struct err err = {0};
    struct store_txn *tx = store_fixture_begin(&f->base);
    assert_int_equal(session_create(tx, &s, &err), 0);
    store_txn_commit(tx);
}

static void lock(struct fixture *f, struct str key, struct str session)
{
    struct err err = {0};
    struct store_txn *tx = store_fixture_begin(&f->base);
    struct dir_entry e = {.key = key, .session = session};
    assert_int_equal(kv_lock(tx, &e, &err), 1);
    store_txn_commit(tx);
}

static const struct session *find(struct fixture *f, struct str id)
{
    struct err err = {0};
    const struct session *s;
    assert_int_equal(session_find(store_view(f->base.store), id, &s, &err), 0);
    return s;
}

static const struct dir_entry *get(struct fixture *f, struct str key)
{
    const struct dir_entry *e;
    (void)kv_get(store_view(f->base.store), NULL, key, &e);
    return e;
}

static void check_refused(struct fixture *f, struct session s, const char *text)
{
    struct err err = {0};
    struct store_txn *tx = store_fixture_begin(&f->base);
    assert_true(session_create(tx, &s, &err) < 0);
    assert_string_equal(err.text, text);
    store_txn_abort(tx);
}

static void test_create(void **state)
{
    struct fixture *f = *state;
    struct str bad = STR("bad"), ok = STR("ok"), none = STR("none");
    check_refused(f, (struct session){.node = STR("node1")}, "Missing session ID");
    check_refused(f, (struct session){.id = SESSION_A, .node = STR("nowhere")},
                  "Missing node registration");
    check_refused(f, (struct session){.id = SESSION_A, .behavior = STR("keep")},
                  "Invalid session behavior: keep");
    check_refused(f,
                  (struct session){.id = SESSION_A, .node = STR("node1"), .node_checks = {&bad, 1}},
                  "Check 'bad' is in critical state");
    check_refused(f, (struct session){.id = SESSION_A, .node = STR("node1"), .checks = {&none, 1}},
                  "Missing check 'none' registration");
    create(f, (struct session){.id = SESSION_A, .node = STR("NODE1"), .checks = {&ok, 1}});
    const struct session *s = find(f, SESSION_A);
    assert_true(str_eq(s->behavior, SESSION_RELEASE));
    assert_int_equal(s->raft.create_index, f->base.index);
    const struct store_view *v = store_view(f->base.store);
    assert_int_equal(v->trees[INDEX_SESSION_CHECKS_ID].count, 1);
    assert_int_equal(store_index(v, STR("sessions")), f->base.index);
}

/* The new one under an old ID does not fall with the old one's check. */
static void test_create_again(void **state)
{
    struct fixture *f = *state;
    struct str ok = STR("ok");
    create(f, (struct session){.id = SESSION_A, .node = STR("node1"), .checks = {&ok, 1}});
    create(f, (struct session){.id = SESSION_A, .node = STR("node1")});
    struct store_txn *tx = store_fixture_begin(&f->base);
    session_invalidate_for_check(tx, f->base.index, STR("node1"), STR("ok"));
    store_txn_commit(tx);
    assert_non_null(find(f, SESSION_A));
}

static void test_destroy_releases(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct str ok = STR("ok");
    create(f, (struct session){.id = SESSION_A,
                               .node = STR("node1"),
                               .checks = {&ok, 1},
                               .lock_delay = SESSION_LOCK_DELAY_NS_MAX * 2});
    lock(f, STR("k1"), SESSION_A);
    lock(f, STR("k2"), SESSION_A);
    struct store_txn *tx = store_fixture_begin(&f->base);
    assert_int_equal(session_destroy(tx, SESSION_A, &err), 0);
    assert_int_equal(session_destroy(tx, SESSION_B, &err), 0);
    assert_true(session_destroy(tx, STR("x"), &err) < 0);
    store_txn_commit(tx);
    assert_null(find(f, SESSION_A));
    assert_int_equal(get(f, STR("k1"))->session.n, 0);
    assert_int_equal(get(f, STR("k1"))->lock_index, 1);
    assert_int_equal(get(f, STR("k2"))->raft.modify_index, f->base.index);
    assert_int_equal(f->delays, 2);
    assert_int_equal(f->delay_ns, SESSION_LOCK_DELAY_NS_MAX);
    const struct store_view *v = store_view(f->base.store);
    assert_int_equal(v->trees[INDEX_SESSION_CHECKS_ID].count, 0);
    assert_int_equal(v->trees[INDEX_SESSIONS_NODE].count, 0);
    assert_int_equal(v->trees[INDEX_KVS_SESSION].count, 0);
}

static void test_destroy_deletes(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    create(f, (struct session){.id = SESSION_A, .node = STR("node1"), .behavior = SESSION_DELETE});
    lock(f, STR("k"), SESSION_A);
    struct store_txn *tx = store_fixture_begin(&f->base);
    assert_int_equal(session_destroy(tx, SESSION_A, &err), 0);
    store_txn_commit(tx);
    assert_null(get(f, STR("k")));
    assert_int_equal(f->delays, 0); /* it had none */
    assert_int_equal(store_index(store_view(f->base.store), STR("tombstones")), f->base.index);
}

static void test_invalidation(void **state)
{
    struct fixture *f = *state;
    struct str ok = STR("ok");
    create(f, (struct session){.id = SESSION_A, .node = STR("node1"), .node_checks = {&ok, 1}});
    create(f, (struct session){.id = SESSION_B, .node = STR("node2")});
    struct store_txn *tx = store_fixture_begin(&f->base);
    session_invalidate_for_check(tx, f->base.index, STR("node2"), STR("ok"));
    session_invalidate_for_node(tx, f->base.index, STR("node"));
    store_txn_commit(tx);
    assert_non_null(find(f, SESSION_A));
    tx = store_fixture_begin(&f->base);
    session_invalidate_for_check(tx, f->base.index, STR("NODE1"), STR("OK"));
    store_txn_commit(tx);
    assert_null(find(f, SESSION_A));
    assert_non_null(find(f, SESSION_B));
    tx = store_fixture_begin(&f->base);
    session_invalidate_for_node(tx, f->base.index, STR("Node2"));
    store_txn_commit(tx);
    assert_null(find(f, SESSION_B));
}

static size_t count_fired(struct watch_registry *r, const struct change_list *changes,
                          struct watch *w, const struct watch_set *ws)
{
    struct list fired;
    list_init(&fired);
    watch_register(r, w, ws);
    watch_fire(r, changes, &fired);
    size_t count = !list_is_empty(&fired);
    watch_unregister(r, w);
    return count;
}

static void test_reads_and_watches(void **state)
{
    struct fixture *f = *state;
    struct watch_registry *r = watch_registry_new();
    struct watch w = {0};
    struct ptrlist list;
    const struct session *s;
    uint64_t index;
    struct err err = {0};
    create(f, (struct session){.id = SESSION_B, .node = STR("node1")});
    const struct store_view *v = store_view(f->base.store);
    struct watch_set one = {.arena = &f->base.arena}, of_node1 = one, of_node2 = one, all = one;
    assert_int_equal(session_get(v, &one, SESSION_A, &index, &s, &err), 0);
    assert_null(s);
    assert_int_equal(index, f->base.index);
    assert_true(session_get(v, &one, STR("?"), &index, &s, &err) < 0);
    assert_int_equal(session_list(v, &all, &f->base.arena, &list), f->base.index);
    assert_int_equal(list.n, 1);
    (void)session_list_node(v, &of_node1, &f->base.arena, STR("NODE1"), &list);
    assert_int_equal(list.n, 1);
    (void)session_list_node(v, &of_node2, &f->base.arena, STR("node2"), &list);
    assert_null(list.v);

    create(f, (struct session){.id = SESSION_A, .node = STR("node2")});
    assert_int_equal(count_fired(r, f->base.changes, &w, &one), 1);
    assert_int_equal(count_fired(r, f->base.changes, &w, &all), 1);
    assert_int_equal(count_fired(r, f->base.changes, &w, &of_node1), 0);
    assert_int_equal(count_fired(r, f->base.changes, &w, &of_node2), 1);
    struct store_txn *tx = store_fixture_begin(&f->base);
    assert_int_equal(session_destroy(tx, SESSION_A, &err), 0);
    store_txn_commit(tx);
    assert_int_equal(count_fired(r, f->base.changes, &w, &of_node2), 1);
    watch_registry_free(r);
}

static void test_lock_delay(void **state)
{
    (void)state;
    struct lock_delay *d = lock_delay_new();
    assert_int_equal(lock_delay_left_ms(d, STR("k"), 1), 0);
    lock_delay_set(d, STR("k"), 1000, 500);
    assert_int_equal(lock_delay_left_ms(d, STR("k"), 1000), 500);
    assert_int_equal(lock_delay_left_ms(d, STR("k"), 1499), 1);
    assert_int_equal(lock_delay_left_ms(d, STR("k"), 1500), 0);
    assert_int_equal(lock_delay_left_ms(d, STR("l"), 1000), 0);
    for (uint32_t i = 0; i < 5000; i++) {
        lock_delay_set(d, str_make(&i, sizeof(i)), 2000 + i * 10, 100);
    }
    assert_true(lock_delay_count(d) < 200); /* what is over is forgotten */
    lock_delay_free(d);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        T(test_create),
        T(test_create_again),
        T(test_destroy_releases),
        T(test_destroy_deletes),
        T(test_invalidation),
        T(test_reads_and_watches),
        cmocka_unit_test(test_lock_delay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
