#include "test.h"

#include "base/arena.h"

static void test_alloc_is_aligned_and_kept(void **state)
{
    (void)state;
    struct arena a = {0};
    unsigned char *p[400];
    for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
        p[i] = arena_alloc(&a, i);
        assert_int_equal((uintptr_t)p[i] % ARENA_ALIGN, 0);
        memset(p[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_equal(p[i][k], i & 0xff);
        }
    }
    arena_deinit(&a);
    assert_int_equal(a.size, 0);
}

static void test_reset_keeps_the_first_block(void **state)
{
    (void)state;
    struct arena a = {0};
    void *first = arena_alloc(&a, 16);
    assert_int_equal(a.size, ARENA_BLOCK_SIZE_MIN);
    for (int i = 0; i < 100; i++) {
        (void)arena_alloc(&a, 4000);
    }
    (void)arena_alloc(&a, 10u << 20);
    assert_true(a.size > (10u << 20));
    arena_reset(&a);
    assert_int_equal(a.size, ARENA_BLOCK_SIZE_MIN);
    assert_ptr_equal(arena_alloc(&a, 16), first);
    arena_deinit(&a);
}

static void test_large_allocation_leaves_the_block_in_use(void **state)
{
    (void)state;
    struct arena a = {0};
    (void)arena_alloc(&a, 1u << 20); /* before there is any block */
    char *p = arena_alloc(&a, 16);
    (void)arena_alloc(&a, 1u << 20);
    char *q = arena_alloc(&a, 16);
    assert_true(q > p && q - p <= 64);
    arena_reset(&a);
    assert_int_equal(a.size, ARENA_BLOCK_SIZE_MIN);
    arena_deinit(&a);
    (void)arena_alloc(&a, 1u << 20);
    arena_reset(&a);
    assert_int_equal(a.size, 0);
    arena_deinit(&a);
}

static void test_strings(void **state)
{
    (void)state;
    struct arena a = {0};
    struct str s = arena_str(&a, STR_NULL);
    assert_non_null(s.p);
    assert_int_equal(s.p[0], 0);
    s = arena_str(&a, STR("abc"));
    assert_string_equal(s.p, "abc");
    assert_str_lit(arena_concat(&a, s, STR("def")), "abcdef");
    assert_str_lit(arena_concat(&a, STR_NULL, STR_NULL), "");
    assert_str_lit(arena_lower(&a, STR("AbC-\xc3\x84")), "abc-\xc3\x84");
    assert_str_lit(arena_printf(&a, "%d-%s", 12, "x"), "12-x");
    s = arena_printf(&a, "%01000d", 7);
    assert_int_equal(s.n, 1000);
    assert_int_equal(s.p[999], '7');
    int *zeros = ARENA_ARRAY(&a, int, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(zeros[i], 0);
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_is_aligned_and_kept),
        cmocka_unit_test(test_reset_keeps_the_first_block),
        cmocka_unit_test(test_large_allocation_leaves_the_block_in_use),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
