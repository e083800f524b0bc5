/* The store against a plain array of rows; transactions, indexes, effects, and readers on other
 * threads while the writer goes on (run it under TSan too). */
#include "store/store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/epoch.h"
#include "base/mem.h"
#include "schema/kv.h"
#include "store/row.h"

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((rng_state >> 33) % below);
}

/* Rows as the store wants them: one block. */
static struct dir_entry *kv_row(struct str key, struct str session, uint64_t index)
{
    struct dir_entry *e = xcalloc(1, sizeof(*e) + key.n + session.n);
    char *p = (char *)(e + 1);
    memcpy(p, key.p, key.n);
    e->key = str_make(p, key.n);
    memcpy(p + key.n, session.p, session.n);
    e->session = str_make(p + key.n, session.n);
    e->raft.modify_index = index;
    return e;
}

static struct service_row *service_new(struct str node, struct str id, struct str name)
{
    struct service_row *s = xcalloc(1, sizeof(*s) + node.n + id.n + name.n);
    char *p = (char *)(s + 1);
    memcpy(p, node.p, node.n);
    s->node = str_make(p, node.n);
    p += node.n;
    memcpy(p, id.p, id.n);
    s->service.id = str_make(p, id.n);
    p += id.n;
    memcpy(p, name.p, name.n);
    s->service.service = str_make(p, name.n);
    return s;
}

struct fixture {
    struct epoch *epoch;
    struct store *store;
    struct change_list *changes;
};

static void on_changes(void *data, struct change_list *changes)
{
    struct fixture *f = data;
    (void)change_list_unref(f->changes);
    f->changes = change_list_ref(changes);
}

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.epoch = epoch_new()};
    f->store = store_new(f->epoch);
    store_set_listener(f->store, on_changes, f);
}

static void fixture_deinit(struct fixture *f)
{
    store_free(f->store);
    epoch_free(f->epoch);
    (void)change_list_unref(f->changes);
}

static bool has_change(const struct fixture *f, unsigned table, struct str key)
{
    for (size_t i = 0; i < f->changes->n; i++) {
        if (f->changes->v[i].table == table && str_eq(f->changes->v[i].key, key)) {
            return true;
        }
    }
    return false;
}

static void test_commit_and_abort(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct store_txn *tx = store_txn_begin(f.store, 7);
    assert_int_equal(store_txn_raft_index(tx), 7);
    store_insert(tx, TABLE_KVS, kv_row(STR("a"), STR("S1"), 7));
    store_index_set(tx, STR("kvs"), 7);
    assert_null(store_get(store_view(f.store), INDEX_KVS_ID, STR("a")));
    assert_non_null(store_get(store_txn_view(tx), INDEX_KVS_ID, STR("a")));
    store_txn_commit(tx);
    const struct store_view *v = store_view(f.store);
    assert_int_equal(v->last_index, 7);
    assert_non_null(store_get(v, INDEX_KVS_ID, STR("a")));
    assert_non_null(store_first(v, INDEX_KVS_SESSION, STR("s1\0")));
    assert_int_equal(store_index(v, STR("KVS")), 7);
    assert_int_equal(f.changes->n, 2);
    assert_int_equal(f.changes->index, 7);
    assert_true(has_change(&f, TABLE_KVS, STR("a")));
    assert_true(has_change(&f, TABLE_INDEX, STR("kvs")));

    tx = store_txn_begin(f.store, 8);
    assert_true(store_delete(tx, TABLE_KVS, STR("a")));
    assert_false(store_delete(tx, TABLE_KVS, STR("a")));
    store_insert(tx, TABLE_KVS, kv_row(STR("b"), STR_NULL, 8));
    store_insert(tx, TABLE_KVS, kv_row(STR("b"), STR("S2"), 8));
    store_insert(tx, TABLE_SERVICES, service_new(STR("n"), STR("i"), STR("s")));
    store_index_raise(tx, STR("kvs"), 8);
    store_index_delete(tx, STR("nothing"));
    store_txn_abort(tx);
    v = store_view(f.store);
    assert_int_equal(v->last_index, 7);
    assert_non_null(store_get(v, INDEX_KVS_ID, STR("a")));
    assert_null(store_get(v, INDEX_KVS_ID, STR("b")));
    assert_null(store_first(v, INDEX_SERVICES_ID, STR_NULL));
    assert_int_equal(store_index(v, STR("kvs")), 7);
    assert_int_equal(f.changes->index, 7);

    /* Nothing changed: nobody is told, the view stays. */
    tx = store_txn_begin(f.store, 9);
    store_index_raise(tx, STR("kvs"), 5);
    store_txn_commit(tx);
    assert_ptr_equal(store_view(f.store), v);
    assert_int_equal(f.changes->index, 7);

    tx = store_txn_begin(f.store, 10);
    store_clear(tx);
    store_insert(tx, TABLE_KVS, kv_row(STR("c"), STR_NULL, 3));
    store_txn_commit(tx);
    v = store_view(f.store);
    assert_null(store_get(v, INDEX_KVS_ID, STR("a")));
    assert_null(store_first(v, INDEX_KVS_SESSION, STR_NULL));
    assert_int_equal(store_index(v, STR("kvs")), 0);
    assert_int_equal(f.changes->n, 1);
    assert_int_equal(f.changes->v[0].table, CHANGE_ALL);
    fixture_deinit(&f);
}

static void rows_put(struct store *s, char what, unsigned count, uint64_t index)
{
    struct store_txn *tx = store_txn_begin(s, index);
    for (unsigned i = 0; i < count; i++) {
        char key[16], session[16];
        int n = snprintf(key, sizeof(key), "%c/%u", what, i);
        int m = snprintf(session, sizeof(session), "S%u", i % 7);
        store_insert(tx, TABLE_KVS,
                     kv_row(str_make(key, (size_t)n), str_make(session, (size_t)m), 1));
        store_insert(tx, TABLE_SERVICES,
                     service_new(str_make(key, (size_t)n), STR("i"), str_make(session, (size_t)m)));
        store_index_set(tx, STR("kvs"), i + 1); /* also replaces rows that nobody has seen */
    }
    store_txn_commit(tx);
}

static void on_freed(void *data)
{
    ++*(unsigned *)data;
}

/* Another content in one step: all is told, a reader keeps what it had, and that goes bit by bit.
 */
static void test_adopt(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    rows_put(f.store, 'a', 200000, 7);
    epoch_collect(f.epoch);
    struct store *other = store_new(NULL);
    rows_put(other, 'b', 300, 99);
    struct epoch_slot *slot = epoch_register(f.epoch);
    epoch_enter(f.epoch, slot);
    const struct store_view *old = store_view(f.store);
    unsigned freed = 0;
    store_adopt(f.store, other, on_freed, &freed);
    const struct store_view *v = store_view(f.store);
    assert_true(v->last_index == 99 && v->era > old->era && f.changes->index == 99);
    assert_int_equal(f.changes->v[0].table, CHANGE_ALL);
    assert_true(store_is_consistent(v));
    assert_non_null(store_get(v, INDEX_KVS_ID, STR("b/299")));
    assert_null(store_get(v, INDEX_KVS_ID, STR("a/1")));
    assert_int_equal(v->trees[INDEX_KVS_ID].count, 300);
    epoch_collect(f.epoch);
    assert_non_null(store_get(old, INDEX_KVS_ID, STR("a/199999")));
    assert_int_equal(freed, 0);
    epoch_leave(f.epoch, slot);
    unsigned times = 0;
    while (freed == 0) { /* counted by on_freed() */
        epoch_collect(f.epoch);
        assert_true(times++ < 1000);
    }
    assert_true(times > 3); /* it is not held up by it */
    rows_put(f.store, 'c', 10, 100);
    assert_true(store_is_consistent(store_view(f.store)));
    /* What is left of another when all ends. */
    other = store_new(NULL);
    rows_put(other, 'd', 30, 101);
    store_adopt(f.store, other, NULL, NULL);
    epoch_unregister(f.epoch, slot);
    fixture_deinit(&f);
}

static void test_names_and_keys(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct store_txn *tx = store_txn_begin(f.store, 1);
    store_insert(tx, TABLE_SERVICES, service_new(STR("Node"), STR("Web1"), STR("Web")));
    store_insert(tx, TABLE_SERVICES, service_new(STR("node2"), STR("web1"), STR("web")));
    store_insert(tx, TABLE_SERVICES, service_new(STR("node2"), STR("web2"), STR("webx")));
    store_txn_commit(tx);
    const struct store_view *v = store_view(f.store);
    struct buf key = {0};
    struct str parts[] = {STR("NODE"), STR("WEB1")};
    assert_non_null(store_get(v, INDEX_SERVICES_ID, store_key(&key, parts, 2)));
    parts[0] = STR("WEB");
    struct tree_iter it;
    store_iter(&it, v, INDEX_SERVICES_SERVICE, store_key(&key, parts, 1));
    const struct service_row *row = tree_next(&it, NULL);
    assert_true(str_eq_lit(row->node, "Node"));
    row = tree_next(&it, NULL);
    assert_true(str_eq_lit(row->node, "node2"));
    assert_null(tree_next(&it, NULL));

    /* A replaced row leaves its old name's index. */
    tx = store_txn_begin(f.store, 2);
    store_insert(tx, TABLE_SERVICES, service_new(STR("node"), STR("web1"), STR("api")));
    store_txn_commit(tx);
    v = store_view(f.store);
    assert_int_equal(v->trees[INDEX_SERVICES_ID].count, 3);
    assert_int_equal(v->trees[INDEX_SERVICES_SERVICE].count, 3);
    parts[0] = STR("api");
    assert_non_null(store_first(v, INDEX_SERVICES_SERVICE, store_key(&key, parts, 1)));

    char longname[STORE_KEY_SIZE * 2];
    memset(longname, 'X', sizeof(longname));
    tx = store_txn_begin(f.store, 3);
    store_index_set(tx, str_make(longname, sizeof(longname)), 3);
    store_txn_commit(tx);
    assert_int_equal(store_index(store_view(f.store), str_make(longname, sizeof(longname))), 3);
    struct str names[] = {STR("x"), str_make(longname, sizeof(longname))};
    assert_int_equal(store_index_max(store_view(f.store), names, 2), 3);
    buf_deinit(&key);
    fixture_deinit(&f);
}

/* Random services on few nodes with few names; every index must agree with the array. */
enum { NODES = 5, IDS = 9, NAMES = 4 };

static void check_services(const struct store_view *v, const int (*model)[IDS])
{
    size_t count = 0;
    struct buf key = {0};
    for (int n = 0; n < NODES; n++) {
        for (int i = 0; i < IDS; i++) {
            char node[2] = {'N', (char)('0' + n)}, id[2] = {'i', (char)('0' + i)};
            struct str parts[] = {str_make(node, 2), str_make(id, 2)};
            const struct service_row *row =
                store_get(v, INDEX_SERVICES_ID, store_key(&key, parts, 2));
            assert_int_equal(row != NULL, model[n][i] >= 0);
            if (row != NULL) {
                assert_int_equal(row->service.service.p[1] - '0', model[n][i]);
                count++;
            }
        }
    }
    assert_int_equal(v->trees[INDEX_SERVICES_ID].count, count);
    assert_int_equal(v->trees[INDEX_SERVICES_SERVICE].count, count);
    assert_int_equal(v->trees[INDEX_SERVICES_KIND].count, count);
    assert_int_equal(v->trees[INDEX_SERVICES_CONNECT].count, 0);
    for (int name = 0; name < NAMES; name++) {
        char text[2] = {'s', (char)('0' + name)};
        struct str parts[] = {str_make(text, 2)};
        struct tree_iter it;
        store_iter(&it, v, INDEX_SERVICES_SERVICE, store_key(&key, parts, 1));
        for (int n = 0; n < NODES; n++) {
            for (int i = 0; i < IDS; i++) {
                if (model[n][i] == name) {
                    const struct service_row *row = tree_next(&it, NULL);
                    assert_non_null(row);
                    assert_int_equal(row->node.p[1] - '0', n);
                    assert_int_equal(row->service.id.p[1] - '0', i);
                }
            }
        }
        assert_null(tree_next(&it, NULL));
    }
    buf_deinit(&key);
}

static void test_model(void **state)
{
    (void)state;
    rng_state = 42;
    struct fixture f;
    fixture_init(&f);
    struct epoch_slot *slot = epoch_register(f.epoch);
    int model[NODES][IDS], work[NODES][IDS];
    memset(model, -1, sizeof(model));
    struct buf key = {0};
    for (uint64_t round = 1; round < 400; round++) {
        epoch_enter(f.epoch, slot);
        const struct store_view *before = store_view(f.store);
        struct store_txn *tx = store_txn_begin(f.store, round);
        memcpy(work, model, sizeof(work));
        for (uint32_t ops = rng(12); ops > 0; ops--) {
            int n = (int)rng(NODES), i = (int)rng(IDS), name = (int)rng(NAMES);
            char node[2] = {rng(2) ? 'N' : 'n', (char)('0' + n)};
            char id[2] = {'i', (char)('0' + i)}, text[2] = {'s', (char)('0' + name)};
            if (rng(3) > 0) {
                store_insert(tx, TABLE_SERVICES,
                             service_new(str_make(node, 2), str_make(id, 2), str_make(text, 2)));
                work[n][i] = name;
            } else {
                struct str parts[] = {str_make(node, 2), str_make(id, 2)};
                bool deleted = store_delete(tx, TABLE_SERVICES, store_key(&key, parts, 2));
                assert_int_equal(deleted, work[n][i] >= 0);
                work[n][i] = -1;
            }
        }
        check_services(store_txn_view(tx), work);
        if (rng(3) == 0) {
            store_txn_abort(tx);
        } else {
            store_txn_commit(tx);
            check_services(before, model); /* the reader's view outlives the commit */
            memcpy(model, work, sizeof(model));
        }
        check_services(store_view(f.store), model);
        assert_true(store_is_consistent(store_view(f.store)));
        epoch_leave(f.epoch, slot);
    }
    epoch_unregister(f.epoch, slot);
    buf_deinit(&key);
    fixture_deinit(&f);
}

struct seen_effects {
    size_t delays, tombstones;
    int64_t delay_ns;
    uint64_t index;
    char key[8];
};

static void on_lock_delay(void *data, struct str key, int64_t delay_ns)
{
    struct seen_effects *seen = data;
    seen->delays++;
    seen->delay_ns = delay_ns;
    memcpy(seen->key, key.p, key.n);
}

static void on_tombstone(void *data, uint64_t index)
{
    struct seen_effects *seen = data;
    seen->tombstones++;
    seen->index = index;
}

static void test_effects(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct seen_effects seen = {0};
    store_set_effects(f.store, &(struct store_effects){.lock_delay = on_lock_delay,
                                                       .tombstone = on_tombstone,
                                                       .data = &seen});
    for (int commit = 0; commit < 2; commit++) {
        struct store_txn *tx = store_txn_begin(f.store, 5);
        store_insert(tx, TABLE_KVS, kv_row(STR("abc"), STR_NULL, 1));
        store_effect_lock_delay(tx, STR("abc"), 15);
        store_effect_tombstone(tx);
        if (commit) {
            store_txn_commit(tx);
        } else {
            store_txn_abort(tx);
            assert_int_equal(seen.delays, 0);
        }
    }
    assert_int_equal(seen.delays, 1);
    assert_int_equal(seen.delay_ns, 15);
    assert_string_equal(seen.key, "abc");
    assert_int_equal(seen.tombstones, 1);
    assert_int_equal(seen.index, 5);
    fixture_deinit(&f);
}

/* --- readers beside the writer ---------------------------------------------------------------- */

enum { READERS = 3, ROUNDS = 400, KEYS = 40 };

struct shared {
    struct fixture *f;
    _Atomic bool stop;
    _Atomic int failures;
    _Atomic uint64_t reads;
};

/* Each commit writes all keys with its index: a view never shows two. */
static void *reader_main(void *data)
{
    struct shared *s = data;
    struct epoch_slot *slot = epoch_register(s->f->epoch);
    uint64_t last = 0;
    while (!atomic_load(&s->stop)) {
        epoch_enter(s->f->epoch, slot);
        const struct store_view *v = store_view(s->f->store);
        struct tree_iter it;
        store_iter(&it, v, INDEX_KVS_ID, STR("k"));
        const struct dir_entry *e;
        size_t count = 0;
        while ((e = tree_next(&it, NULL)) != NULL) {
            count++;
            if (e->raft.modify_index != v->last_index || store_get(v, INDEX_KVS_ID, e->key) != e) {
                atomic_fetch_add(&s->failures, 1);
            }
        }
        if ((v->last_index > 0 && count != KEYS) || v->last_index < last) {
            atomic_fetch_add(&s->failures, 1);
        }
        last = v->last_index;
        atomic_fetch_add(&s->reads, 1);
        epoch_leave(s->f->epoch, slot);
    }
    epoch_unregister(s->f->epoch, slot);
    return NULL;
}

static void test_readers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    struct shared s = {.f = &f};
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, reader_main, &s), 0);
    }
    /* At least ROUNDS commits, and some reads beside them. */
    for (uint64_t round = 1; round <= ROUNDS || atomic_load(&s.reads) < 50; round++) {
        struct store_txn *tx = store_txn_begin(f.store, round);
        for (int k = 0; k < KEYS; k++) {
            char key[3] = {'k', (char)('a' + k / 7), (char)('a' + k % 7)};
            if (round % 3 == 0) {
                (void)store_delete(tx, TABLE_KVS, str_make(key, 3));
            }
            store_insert(tx, TABLE_KVS, kv_row(str_make(key, 3), STR("sess"), round));
        }
        if (round % 5 == 0) {
            store_txn_abort(tx);
        } else {
            store_txn_commit(tx);
        }
    }
    atomic_store(&s.stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&s.failures), 0);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commit_and_abort), cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_names_and_keys),   cmocka_unit_test(test_model),
        cmocka_unit_test(test_effects),          cmocka_unit_test(test_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
