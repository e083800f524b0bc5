#include "test.h"

#include <stdio.h>

#include "base/map.h"
#include "base/rand.h"

static void test_zeroed_is_empty(void **state)
{
    (void)state;
    struct map m = {0};
    size_t pos = 0;
    struct str key;
    void *value;
    assert_null(map_get(&m, STR("a")));
    assert_null(map_remove(&m, STR("a")));
    assert_false(map_next(&m, &pos, &key, &value));
    map_clear(&m);
    map_deinit(&m);
}

static void test_keys_are_copied_and_ordered(void **state)
{
    (void)state;
    struct map m = {0};
    int one, two, three;
    char key[] = "b";
    assert_null(map_put(&m, str_from_cstr(key), &one));
    key[0] = 'a';
    assert_null(map_put(&m, str_from_cstr(key), &two));
    key[0] = 'x';
    assert_null(map_put(&m, STR_NULL, &three));
    assert_ptr_equal(map_get(&m, STR("b")), &one);
    assert_ptr_equal(map_get(&m, STR("")), &three);
    assert_null(map_get(&m, STR("x")));
    assert_ptr_equal(map_put(&m, STR("b"), &three), &one); /* keeps its place */
    assert_ptr_equal(map_remove(&m, STR("a")), &two);
    assert_null(map_put(&m, STR("a"), &two)); /* goes last */
    static const struct str order[] = {STR_INIT("b"), STR_INIT(""), STR_INIT("a")};
    size_t pos = 0, i = 0;
    struct str k;
    void *value;
    while (map_next(&m, &pos, &k, &value)) {
        assert_str_equal(k, order[i++]);
    }
    assert_int_equal(i, 3);
    map_deinit(&m);
}

static void test_borrowed_keys(void **state)
{
    (void)state;
    struct map m;
    int value;
    map_init(&m, MAP_KEYS_BORROWED);
    struct str first = STR("key");
    char copy[] = {'k', 'e', 'y'};
    map_put(&m, first, &value);
    map_put(&m, str_make(copy, 3), &value);
    size_t pos = 0;
    struct str key;
    void *got;
    assert_true(map_next(&m, &pos, &key, &got));
    assert_ptr_equal(key.p, copy);
    map_deinit(&m);
    assert_int_equal(m.flags, MAP_KEYS_BORROWED);
}

/* Random operations against plain arrays, with the order of insertion. */
#define MODEL_KEYS 300

static void check_model(const struct map *m, uint64_t stamp[MODEL_KEYS], int *value[MODEL_KEYS])
{
    size_t pos = 0, n = 0;
    uint64_t last = 0;
    struct str key;
    void *got;
    while (map_next(m, &pos, &key, &got)) {
        uint64_t k;
        assert_ok(str_parse_u64(key, &k));
        assert_ptr_equal(got, value[k]);
        assert_true(stamp[k] > last);
        last = stamp[k];
        n++;
    }
    assert_int_equal(n, m->n);
    for (size_t k = 0; k < MODEL_KEYS; k++) {
        n -= value[k] != NULL;
    }
    assert_int_equal(n, 0);
}

static void test_model(void **state)
{
    (void)state;
    static int objects[MODEL_KEYS * 2];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng r;
        struct map m = {0};
        uint64_t stamp[MODEL_KEYS] = {0};
        int *value[MODEL_KEYS] = {0};
        uint64_t keys = 1 + seed * seed % MODEL_KEYS, puts = 1 + seed % 9;
        rng_seed(&r, seed);
        for (uint64_t step = 1; step <= 3000; step++) {
            uint64_t k = rng_below(&r, keys);
            char text[24];
            struct str key = str_make(text, (size_t)snprintf(text, sizeof(text), "%04d", (int)k));
            if (rng_below(&r, 1000) == 0) {
                map_clear(&m);
                memset(value, 0, sizeof(value));
            } else if (rng_below(&r, 10) < puts) {
                int *v = &objects[rng_below(&r, ARRAY_SIZE(objects))];
                assert_ptr_equal(map_put(&m, key, v), value[k]);
                stamp[k] = value[k] == NULL ? step : stamp[k];
                value[k] = v;
            } else {
                assert_ptr_equal(map_remove(&m, key), value[k]);
                value[k] = NULL;
            }
            assert_ptr_equal(map_get(&m, key), value[k]);
            if (step % 50 == 0) {
                check_model(&m, stamp, value);
            }
        }
        /* Removing the current entry while iterating. */
        size_t pos = 0;
        struct str key;
        void *got;
        while (map_next(&m, &pos, &key, &got)) {
            assert_ptr_equal(map_remove(&m, key), got);
        }
        assert_int_equal(m.n, 0);
        map_deinit(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeroed_is_empty),
        cmocka_unit_test(test_keys_are_copied_and_ordered),
        cmocka_unit_test(test_borrowed_keys),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
