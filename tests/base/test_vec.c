#include "test.h"

#include "base/vec.h"

static void test_heap(void **state)
{
    (void)state;
    VEC(int) v = {0};
    for (int i = 0; i < 1000; i++) {
        vec_push(&v, i);
    }
    assert_int_equal(v.n, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(v.v[i], i);
    }
    vec_clear(&v);
    assert_int_equal(v.n, 0);
    vec_deinit(&v);
    assert_null(v.v);
}

static void test_in_an_arena(void **state)
{
    (void)state;
    struct arena a = {0};
    VEC(struct str) v = {0};
    for (int i = 0; i < 100; i++) {
        avec_push(&a, &v, arena_printf(&a, "%d", i));
    }
    assert_int_equal(v.n, 100);
    assert_str_lit(v.v[42], "42");
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap),
        cmocka_unit_test(test_in_an_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
