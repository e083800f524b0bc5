/* Who wakes and who does not. */
#include "store/watch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "store/store.h"

static uint64_t rng_state;

static uint32_t rng(uint32_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((rng_state >> 33) % below);
}

struct waiter {
    struct watch watch;
    bool woken;
};

static struct change_list *changes_make(const struct change *v, size_t n)
{
    struct change_list *c = xmalloc(sizeof(*c) + n * sizeof(*v));
    c->refs = 1;
    c->n = n;
    c->v = (struct change *)(c + 1);
    memcpy(c->v, v, n * sizeof(*v));
    return c;
}

/* How many were fired; marks them. Whoever is on the list is unregistered, as a loop would. */
static size_t fire(struct watch_registry *r, const struct change *v, size_t n)
{
    struct list fired;
    list_init(&fired);
    struct change_list *c = changes_make(v, n);
    watch_fire(r, c, &fired);
    (void)change_list_unref(c);
    size_t count = 0;
    struct list *node;
    while ((node = list_pop_front(&fired)) != NULL) {
        struct watch *w = list_entry(node, struct watch, fired_node);
        container_of(w, struct waiter, watch)->woken = true;
        watch_unregister(r, w);
        count++;
    }
    return count;
}

static void test_precision(void **state)
{
    (void)state;
    struct arena a = {0};
    struct watch_registry *r = watch_registry_new();
    struct waiter exact = {0}, prefix = {0}, whole = {0}, other_table = {0}, both = {0};
    struct watch_set ws = {.arena = &a};
    watch_key(&ws, TABLE_KVS, STR("app/a"));
    watch_register(r, &exact.watch, &ws);
    ws = (struct watch_set){.arena = &a};
    watch_prefix(&ws, TABLE_KVS, STR("app/"));
    watch_register(r, &prefix.watch, &ws);
    ws = (struct watch_set){.arena = &a};
    watch_prefix(&ws, TABLE_KVS, STR(""));
    watch_register(r, &whole.watch, &ws);
    ws = (struct watch_set){.arena = &a};
    watch_prefix(&ws, TABLE_NODES, STR(""));
    watch_register(r, &other_table.watch, &ws);
    ws = (struct watch_set){.arena = &a};
    watch_key(&ws, TABLE_KVS, STR("app/a"));
    watch_key(&ws, TABLE_KVS, STR("app/a"));
    assert_int_equal(ws.points.n, 1);
    watch_prefix(&ws, TABLE_KVS, STR("app/a"));
    watch_register(r, &both.watch, &ws);
    assert_int_equal(watch_registry_count(r), 5);

    /* A key that is only a start of a watched one wakes the whole table's watcher alone. */
    struct change c = {.table = TABLE_KVS, .key = STR("app")};
    assert_int_equal(fire(r, &c, 1), 1);
    assert_true(whole.woken && !exact.woken && !prefix.woken);

    c.key = STR("app/ab");
    assert_int_equal(fire(r, &c, 1), 2); /* prefix; both through its prefix */
    assert_true(prefix.woken && both.woken && !exact.woken);

    struct change twice[2] = {{.table = TABLE_KVS, .key = STR("app/a")},
                              {.table = TABLE_KVS, .key = STR("app/a")}};
    assert_int_equal(fire(r, twice, 2), 1);
    assert_true(exact.woken);

    c = (struct change){.table = TABLE_SERVICES, .key = STR("x")};
    assert_int_equal(fire(r, &c, 1), 0);
    ws = (struct watch_set){.arena = &a};
    watch_register(r, &exact.watch, &ws); /* watches nothing: only a restore wakes it */
    c = (struct change){.table = TABLE_NODES, .key = STR("n")};
    assert_int_equal(fire(r, &c, 1), 1);
    assert_true(other_table.woken);
    c = (struct change){.table = CHANGE_ALL};
    assert_int_equal(fire(r, &c, 1), 1);
    assert_int_equal(watch_registry_count(r), 0);
    watch_registry_free(r);
    arena_deinit(&a);
}

static void test_too_many_points(void **state)
{
    (void)state;
    struct arena a = {0};
    struct watch_set ws = {.arena = &a};
    watch_key(&ws, TABLE_NODES, STR("n"));
    for (uint32_t i = 0; i < WATCH_POINTS_MAX * 3; i++) {
        watch_key(&ws, TABLE_KVS, str_make(&i, sizeof(i)));
        assert_true(ws.points.n <= WATCH_POINTS_MAX);
    }
    struct watch_registry *r = watch_registry_new();
    struct waiter w = {0};
    watch_register(r, &w.watch, &ws);
    struct change c = {.table = TABLE_SERVICES, .key = STR("x")};
    assert_int_equal(fire(r, &c, 1), 0);
    c.table = TABLE_NODES;
    assert_int_equal(fire(r, &c, 1), 1); /* widened: any node */
    watch_register(r, &w.watch, &ws);
    c.table = TABLE_KVS;
    assert_int_equal(fire(r, &c, 1), 1);
    watch_registry_free(r);
    watch_key(NULL, TABLE_KVS, STR("x"));
    watch_prefix(NULL, TABLE_KVS, STR("x"));
    arena_deinit(&a);
}

/* Random waiters and changes against the plain definition. */
static void test_model(void **state)
{
    (void)state;
    enum { WAITERS = 60 };
    static struct waiter waiters[WAITERS];
    struct watch_set sets[WAITERS];
    rng_state = 99;
    struct watch_registry *r = watch_registry_new();
    struct arena a = {0};
    memset(waiters, 0, sizeof(waiters));
    for (int round = 0; round < 2000; round++) {
        struct waiter *w = &waiters[rng(WAITERS)];
        struct watch_set *ws = &sets[w - waiters];
        watch_unregister(r, &w->watch);
        *ws = (struct watch_set){.arena = &a};
        for (uint32_t n = 1 + rng(3); n > 0; n--) {
            char key[4];
            uint32_t size = rng(5);
            for (uint32_t i = 0; i < size; i++) {
                key[i] = (char)('a' + rng(2));
            }
            (rng(2) ? watch_key : watch_prefix)(ws, rng(2), str_make(key, size));
        }
        w->woken = false;
        watch_register(r, &w->watch, ws);
        if (round % 3 != 0) {
            continue;
        }
        char key[4];
        uint32_t size = rng(5);
        for (uint32_t i = 0; i < size; i++) {
            key[i] = (char)('a' + rng(2));
        }
        struct change c = {.table = (uint16_t)rng(2), .key = str_make(key, size)};
        bool expected[WAITERS];
        size_t count = 0;
        for (size_t i = 0; i < WAITERS; i++) {
            expected[i] = false;
            for (size_t j = 0; waiters[i].watch.links != NULL && j < sets[i].points.n; j++) {
                const struct watch_point *p = &sets[i].points.v[j];
                expected[i] |= p->table == c.table &&
                               (p->prefix ? str_has_prefix(c.key, p->key) : str_eq(c.key, p->key));
            }
            count += expected[i];
            waiters[i].woken = false;
        }
        assert_int_equal(fire(r, &c, 1), count);
        for (size_t i = 0; i < WAITERS; i++) {
            assert_int_equal(waiters[i].woken, expected[i]);
        }
    }
    for (size_t i = 0; i < WAITERS; i++) {
        watch_unregister(r, &waiters[i].watch);
    }
    watch_registry_free(r);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precision),
        cmocka_unit_test(test_too_many_points),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
