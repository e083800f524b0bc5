/* The tree against a sorted array: random inserts, deletes, iterations, snapshots, aborts. */
#include "store/tree.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/epoch.h"
#include "base/mem.h"

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((rng_state >> 33) % below);
}

#define MODEL_MAX 4096u

struct model_entry {
    struct str key; /* heap */
    void *value;
};

struct model {
    struct model_entry v[MODEL_MAX];
    size_t n;
};

static size_t model_rank(const struct model *m, struct str key)
{
    size_t i = 0;
    while (i < m->n && str_cmp(m->v[i].key, key) < 0) {
        i++;
    }
    return i;
}

static void *model_get(const struct model *m, struct str key)
{
    size_t i = model_rank(m, key);
    return i < m->n && str_eq(m->v[i].key, key) ? m->v[i].value : NULL;
}

static void *model_put(struct model *m, struct str key, void *value)
{
    size_t i = model_rank(m, key);
    if (i < m->n && str_eq(m->v[i].key, key)) {
        void *old = m->v[i].value;
        m->v[i].value = value;
        return old;
    }
    assert_true(m->n < MODEL_MAX);
    memmove(m->v + i + 1, m->v + i, (m->n - i) * sizeof(m->v[0]));
    m->v[i] = (struct model_entry){str_make(xmemdup(key.p, key.n), key.n), value};
    m->n++;
    return NULL;
}

static void *model_remove(struct model *m, struct str key)
{
    size_t i = model_rank(m, key);
    if (i == m->n || !str_eq(m->v[i].key, key)) {
        return NULL;
    }
    void *old = m->v[i].value;
    mem_free((void *)m->v[i].key.p);
    m->n--;
    memmove(m->v + i, m->v + i + 1, (m->n - i) * sizeof(m->v[0]));
    return old;
}

static struct model *model_copy(const struct model *m)
{
    struct model *c = xmalloc(sizeof(*c));
    c->n = m->n;
    for (size_t i = 0; i < m->n; i++) {
        struct str k = m->v[i].key;
        c->v[i] = (struct model_entry){str_make(xmemdup(k.p, k.n), k.n), m->v[i].value};
    }
    return c;
}

static void model_free(struct model *m)
{
    for (size_t i = 0; i < m->n; i++) {
        mem_free((void *)m->v[i].key.p);
    }
    mem_free(m);
}

/* The iterator gives exactly the model's keys with the prefix, from `from` on. */
static void check_iter(const struct model *m, const struct tree *t, struct str prefix,
                       struct str from)
{
    struct tree_iter it;
    if (from.p == NULL) {
        tree_iter_prefix(&it, t, prefix);
    } else {
        tree_iter_from(&it, t, prefix, from);
    }
    for (size_t i = 0; i < m->n; i++) {
        if (!str_has_prefix(m->v[i].key, prefix) ||
            (from.p != NULL && str_cmp(m->v[i].key, from) < 0)) {
            continue;
        }
        struct str key;
        assert_ptr_equal(tree_next(&it, &key), m->v[i].value);
        assert_true(str_eq(key, m->v[i].key));
    }
    assert_null(tree_next(&it, NULL));
    assert_null(tree_next(&it, NULL));
}

/* Groups by a separator, as ?keys&separator= walks. */
static void check_skip(const struct model *m, const struct tree *t, size_t group)
{
    struct tree_iter it;
    tree_iter_prefix(&it, t, STR_NULL);
    struct str key;
    size_t i = 0;
    void *value;
    while ((value = tree_next(&it, &key)) != NULL) {
        assert_true(i < m->n);
        assert_ptr_equal(value, m->v[i].value);
        struct str prefix = str_first(m->v[i].key, group);
        i++;
        if (key.n >= group) {
            tree_iter_skip_prefix(&it, prefix);
            while (i < m->n && str_has_prefix(m->v[i].key, prefix)) {
                i++;
            }
        }
    }
    assert_int_equal(i, m->n);
}

static void check_all(const struct model *m, const struct tree *t)
{
    assert_int_equal(t->count, m->n);
    check_iter(m, t, STR_NULL, STR_NULL);
    for (size_t i = 0; i < m->n; i++) {
        assert_ptr_equal(tree_get(t, m->v[i].key), m->v[i].value);
    }
}

/* Key shapes: few letters (deep shared paths), any bytes (wide nodes), runs of one letter (a key is
 * a prefix of the next, deeper than an iterator's stack). */
static struct str random_key(char *space, int shape)
{
    size_t n;
    switch (shape) {
    case 0:
        n = rng(9);
        for (size_t i = 0; i < n; i++) {
            space[i] = (char)('a' + rng(3));
        }
        break;
    case 1:
        n = 1 + rng(2);
        for (size_t i = 0; i < n; i++) {
            space[i] = (char)rng(256);
        }
        break;
    default:
        n = rng(70);
        memset(space, 'x', n);
        if (n > 0 && rng(2) == 0) {
            space[n - 1] = (char)('w' + rng(3));
        }
        if (rng(3) == 0) {
            space[n++] = (char)('a' + rng(26));
        }
        break;
    }
    return str_make(space, n);
}

static void run_model(uint64_t seed, int shape, size_t transactions)
{
    rng_state = seed * 2654435761u + 1;
    struct model *m = xcalloc(1, sizeof(*m));
    struct tree t = {0};
    struct epoch *epoch = epoch_new();
    uintptr_t next_value = 8;
    char space[128], space2[128];
    for (size_t round = 0; round < transactions; round++) {
        struct tree before = t;
        bool watch_before = rng(4) == 0;
        struct model *old = watch_before || rng(3) == 0 ? model_copy(m) : NULL;
        struct tree_txn txn;
        tree_txn_begin(&txn, epoch);
        size_t ops = 1 + rng(rng(8) == 0 ? 600 : 12);
        uint32_t bias = rng(5);
        for (size_t i = 0; i < ops; i++) {
            struct str key = random_key(space, shape);
            if (rng(5) >= bias) {
                void *value = (void *)(next_value += 8);
                assert_ptr_equal(tree_insert(&txn, &t, key, value), model_put(m, key, value));
            } else {
                assert_ptr_equal(tree_delete(&txn, &t, key), model_remove(m, key));
            }
            assert_int_equal(t.count, m->n);
        }
        for (int i = 0; i < 6; i++) {
            struct str key = random_key(space, shape);
            assert_ptr_equal(tree_get(&t, key), model_get(m, key));
            check_iter(m, &t, str_first(key, rng((uint32_t)key.n + 1)), STR_NULL);
            struct str from = random_key(space2, shape);
            check_iter(m, &t, str_first(from, rng((uint32_t)from.n + 1)), from);
            check_iter(m, &t, str_first(key, rng(3)), from);
        }
        check_skip(m, &t, rng(6));
        check_skip(m, &t, 20 + rng(40));
        if (old != NULL && rng(2) == 0) {
            tree_txn_abort(&txn);
            t = before;
            model_free(m);
            m = old;
            check_all(m, &t);
            continue;
        }
        if (old != NULL) {
            /* The old value of the tree is a snapshot, until the epoch frees what it alone has. */
            check_all(old, &before);
        }
        tree_txn_commit(&txn);
        if (old != NULL) {
            check_all(old, &before);
            model_free(old);
        }
        (void)epoch_collect(epoch);
        check_all(m, &t);
    }
    if (seed % 2 == 0) {
        struct tree_txn txn;
        tree_txn_begin(&txn, epoch);
        tree_clear(&txn, &t);
        tree_txn_commit(&txn);
    }
    tree_destroy(&t);
    model_free(m);
    epoch_free(epoch);
}

static void test_model_shared_paths(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        run_model(seed, 0, 30);
    }
}

static void test_model_wide_nodes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        run_model(seed, 1, 30);
    }
}

static void test_model_deep(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        run_model(seed, 2, 30);
    }
}

/* A thousand keys, each a prefix of the next: no recursion, no limit of the iterator. */
static void test_very_deep(void **state)
{
    (void)state;
    enum { DEPTH = 3000 };
    char *space = xmalloc(DEPTH);
    memset(space, 'a', DEPTH);
    struct tree t = {0};
    struct tree_txn txn;
    tree_txn_begin(&txn, NULL);
    for (size_t n = 0; n < DEPTH; n++) {
        assert_null(tree_insert(&txn, &t, str_make(space, n), space + n));
    }
    tree_txn_commit(&txn);
    struct tree_iter it;
    tree_iter_prefix(&it, &t, str_make(space, 10));
    for (size_t n = 10; n < DEPTH; n++) {
        assert_ptr_equal(tree_next(&it, NULL), space + n);
    }
    assert_null(tree_next(&it, NULL));
    tree_iter_from(&it, &t, str_make(space, 5), str_make(space, 2000));
    assert_ptr_equal(tree_next(&it, NULL), space + 2000);
    assert_ptr_equal(tree_next(&it, NULL), space + 2001);
    tree_destroy(&t);
    mem_free(space);
}

static void test_empty(void **state)
{
    (void)state;
    struct tree t = {0};
    struct tree_iter it;
    struct tree_txn txn;
    assert_null(tree_get(&t, STR("x")));
    tree_iter_prefix(&it, &t, STR(""));
    assert_null(tree_next(&it, NULL));
    tree_iter_skip_prefix(&it, STR(""));
    tree_iter_from(&it, &t, STR(""), STR("x"));
    assert_null(tree_next(&it, NULL));
    tree_txn_begin(&txn, NULL);
    assert_null(tree_delete(&txn, &t, STR("x")));
    assert_null(tree_insert(&txn, &t, STR(""), &t));
    assert_ptr_equal(tree_get(&t, STR("")), &t);
    assert_ptr_equal(tree_delete(&txn, &t, STR("")), &t);
    assert_null(t.root);
    tree_txn_commit(&txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_model_shared_paths),
        cmocka_unit_test(test_model_wide_nodes),
        cmocka_unit_test(test_model_deep),
        cmocka_unit_test(test_very_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
