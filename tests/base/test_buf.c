#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"

static void test_append(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_lit(&b, "ab");
    buf_str(&b, STR_NULL);
    buf_byte(&b, 'c');
    buf_u64(&b, UINT64_MAX);
    buf_byte(&b, ' ');
    buf_i64(&b, INT64_MIN);
    buf_fill(&b, '.', 3);
    buf_printf(&b, "%s", "");
    buf_printf(&b, "<%0200d>", 5);
    assert_false(b.failed);
    struct str s = buf_view(&b);
    assert_true(str_has_prefix(s, STR("abc18446744073709551615 -9223372036854775808...<000")));
    assert_true(str_has_suffix(s, STR("005>")));
    buf_consume(&b, 3);
    assert_true(str_has_prefix(buf_view(&b), STR("18446")));
    s = buf_take(&b);
    assert_int_equal(b.n, 0);
    mem_free((void *)s.p);
    buf_be16(&b, 0x0102);
    buf_be32(&b, 0x03040506);
    buf_be64(&b, 0x0708090a0b0c0d0e);
    assert_str_lit(buf_view(&b), "\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe");
    buf_deinit(&b);
}

static void test_ceiling(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_fill(&b, 'x', 100);
    assert_false(b.failed);
    assert_int_equal(b.n, 100);
    buf_put(&b, "", 0);
    assert_false(b.failed);
    buf_byte(&b, 'y');
    assert_true(b.failed);
    assert_int_equal(b.n, 100);
    buf_clear(&b);
    assert_false(b.failed);
    buf_printf(&b, "%0100d", 1); /* fits, although not with vsnprintf's NUL */
    assert_false(b.failed);
    assert_int_equal(b.n, 100);
    buf_clear(&b);
    buf_printf(&b, "%0101d", 1);
    assert_true(b.failed);
    buf_clear(&b);
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_true(b.failed);
    buf_deinit(&b);
}

static void test_cursor(void **state)
{
    (void)state;
    struct cur c = cur_make(STR("\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe\xfrest"));
    assert_int_equal(cur_u8(&c), 1);
    assert_int_equal(cur_be16(&c), 0x0203);
    assert_int_equal(cur_be32(&c), 0x04050607);
    assert_true(cur_be64(&c) == 0x08090a0b0c0d0e0f);
    assert_int_equal(cur_left(&c), 4);
    assert_str_lit(cur_take(&c, 4), "rest");
    assert_false(c.failed);
    assert_int_equal(cur_take(&c, 0).n, 0);
    assert_false(c.failed);
    assert_int_equal(cur_be16(&c), 0);
    assert_true(c.failed);
    c = cur_make(STR("abc"));
    assert_int_equal(cur_be32(&c), 0);
    assert_int_equal(cur_u8(&c), 0); /* failed stays, although a byte is left */
    assert_true(c.failed);
    c = cur_make(STR_NULL);
    assert_int_equal(cur_take(&c, SIZE_MAX).n, 0);
    assert_true(c.failed);
}

/* Random appends and consumes against a plain array. */
static void test_model(void **state)
{
    (void)state;
    static char model[1 << 16];
    struct rng r;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        size_t n = 0, max = 1 + seed * 100;
        struct buf b;
        buf_init(&b, max);
        rng_seed(&r, seed);
        for (int step = 0; step < 300; step++) {
            char bytes[64];
            size_t some = rng_below(&r, sizeof(bytes));
            rng_bytes(&r, bytes, some);
            if (rng_below(&r, 4) == 0) {
                some = MIN(some, n);
                memmove(model, model + some, n - some);
                n -= some;
                buf_consume(&b, some);
            } else {
                buf_put(&b, bytes, some);
                assert_int_equal(b.failed, n + some > max);
                b.failed = false;
                if (n + some <= max) {
                    memcpy(model + n, bytes, some);
                    n += some;
                }
            }
            assert_true(b.n == n && b.cap <= max);
            assert_true(str_eq(buf_view(&b), str_make(model, n)));
        }
        buf_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
