#include "test.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"

static void test_compare(void **state)
{
    (void)state;
    assert_true(str_eq(STR(""), STR_NULL));
    assert_false(str_eq(STR("a"), STR("b")));
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR_NULL) > 0);
    assert_int_equal(str_cmp(STR_NULL, STR_NULL), 0);
    assert_true(str_eq_fold(STR("AbZ[@"), STR("aBz[@")));
    assert_false(str_eq_fold(STR("["), STR("{")));
    assert_true(str_cmp_fold(STR("A"), STR("b")) < 0);
    assert_true(str_has_prefix(STR("abc"), STR("ab")));
    assert_true(str_has_prefix(STR_NULL, STR_NULL));
    assert_false(str_has_prefix(STR("a"), STR("ab")));
    assert_true(str_has_suffix(STR("abc"), STR("bc")));
    assert_false(str_has_suffix(STR("c"), STR("bc")));
}

static void test_find_and_cut(void **state)
{
    (void)state;
    struct str head, tail, s = STR("a=b=c");
    assert_int_equal(str_find_byte(s, '='), 1);
    assert_int_equal(str_rfind_byte(s, '='), 3);
    assert_int_equal(str_find_byte(STR_NULL, '='), -1);
    assert_int_equal(str_find(s, STR("=c")), 3);
    assert_int_equal(str_find(s, STR("x")), -1);
    assert_int_equal(str_find(STR_NULL, STR("")), 0);
    assert_true(str_cut(s, '=', &head, &tail));
    assert_str_lit(head, "a");
    assert_str_lit(tail, "b=c");
    assert_true(str_cut(s, '=', &s, &tail)); /* may alias */
    assert_str_lit(s, "a");
    assert_false(str_cut(s, '=', &head, &tail));
    assert_str_lit(head, "a");
    assert_str_lit(tail, "");
    assert_false(str_cut(STR_NULL, '=', &head, &tail));
    assert_str_lit(str_trim(STR(" \t\n a b\r\v\f ")), "a b");
    assert_str_lit(str_trim(STR("   ")), "");
    assert_str_lit(str_from(STR("abc"), 1), "bc");
    assert_str_lit(str_from(STR("abc"), 9), "");
    assert_str_lit(str_from(STR_NULL, 9), "");
    assert_str_lit(str_first(STR("abc"), 2), "ab");
}

static void test_split(void **state)
{
    (void)state;
    static const struct str want[] = {STR_INIT("a"), STR_INIT(""), STR_INIT("b"), STR_INIT("")};
    struct str piece, rest = STR("a,,b,");
    size_t i = 0;
    while (str_split_next(&rest, ',', &piece)) {
        assert_str_equal(piece, want[i++]);
    }
    assert_int_equal(i, 4);
    rest = STR("");
    assert_true(str_split_next(&rest, ',', &piece));
    assert_false(str_split_next(&rest, ',', &piece));
}

static void test_integers(void **state)
{
    (void)state;
    uint64_t u = 5;
    int64_t i = 5;
    assert_ok(str_parse_u64(STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_int_equal(str_parse_u64(STR("18446744073709551616"), &u), -ERR_RANGE);
    assert_int_equal(str_parse_u64(STR("99999999999999999999999x"), &u), -ERR_INVALID);
    assert_int_equal(str_parse_u64(STR(""), &u), -ERR_INVALID);
    assert_int_equal(str_parse_u64(STR("+1"), &u), -ERR_INVALID);
    assert_int_equal(str_parse_u64(STR(" 1"), &u), -ERR_INVALID);
    assert_int_equal(str_parse_u64(STR("0x1"), &u), -ERR_INVALID);
    assert_true(u == UINT64_MAX);
    assert_ok(str_parse_u64(STR("007"), &u));
    assert_true(u == 7);
    assert_ok(str_parse_i64(STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_ok(str_parse_i64(STR("+9223372036854775807"), &i));
    assert_true(i == INT64_MAX);
    assert_int_equal(str_parse_i64(STR("9223372036854775808"), &i), -ERR_RANGE);
    assert_int_equal(str_parse_i64(STR("-"), &i), -ERR_INVALID);
    assert_int_equal(str_parse_i64(STR("--1"), &i), -ERR_INVALID);
}

static void test_floats(void **state)
{
    (void)state;
    static const struct str bad[] = {STR_INIT(""),    STR_INIT("."),    STR_INIT("e5"),
                                     STR_INIT("1e"),  STR_INIT("1e+"),  STR_INIT("inf"),
                                     STR_INIT("nan"), STR_INIT("0x1"),  STR_INIT("1 "),
                                     STR_INIT("1_0"), STR_INIT("1.2.3")};
    double f = 0;
    assert_ok(str_parse_f64(STR("-1.5e3"), &f));
    assert_true(f == -1500);
    assert_ok(str_parse_f64(STR(".5"), &f));
    assert_true(f == 0.5);
    assert_ok(str_parse_f64(STR("5."), &f));
    assert_true(f == 5);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(str_parse_f64(bad[i], &f), -ERR_INVALID);
    }
    assert_int_equal(str_parse_f64(STR("1e999"), &f), -ERR_RANGE);
    assert_true(f == 5);
}

static void test_bools(void **state)
{
    (void)state;
    bool b = false;
    assert_ok(str_parse_bool(STR("True"), &b));
    assert_true(b);
    assert_ok(str_parse_bool(STR("f"), &b));
    assert_false(b);
    assert_int_equal(str_parse_bool(STR("tRUE"), &b), -ERR_INVALID);
    assert_int_equal(str_parse_bool(STR(""), &b), -ERR_INVALID);
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct str good[] = {STR_INIT(""),
                                      STR_INIT("plain ascii, longer than eight"),
                                      STR_INIT("\xc3\xa4"),
                                      STR_INIT("12345678\xe2\x98\xba"),
                                      STR_INIT("\xf0\x9f\x98\x80"),
                                      STR_INIT("\xed\x9f\xbf\xee\x80\x80"),
                                      STR_INIT("\xf4\x8f\xbf\xbf")};
    static const struct str bad[] = {STR_INIT("\x80"),
                                     STR_INIT("\xc0\x80"),
                                     STR_INIT("\xc3"),
                                     STR_INIT("\xe0\x80\x80"),
                                     STR_INIT("\xed\xa0\x80"),
                                     STR_INIT("\xf4\x90\x80\x80"),
                                     STR_INIT("\xff"),
                                     STR_INIT("12345678\xe2\x98"),
                                     STR_INIT("\xf0\x8f\xbf\xbf"),
                                     STR_INIT("\xf5\x80\x80\x80")};
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(str_is_utf8(good[i]));
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_false(str_is_utf8(bad[i]));
    }
    uint32_t rune = 0;
    assert_int_equal(str_utf8_next(STR("\xe2\x98\xbax"), &rune), 3);
    assert_int_equal(rune, 0x263a);
    assert_int_equal(str_utf8_next(STR("\xf0\x9f\x98\x80"), &rune), 4);
    assert_int_equal(rune, 0x1f600);
    assert_int_equal(str_utf8_next(STR_NULL, &rune), 0);
}

static void test_hash(void **state)
{
    (void)state;
    /* SipHash-1-3 of the bytes 0, 1, 2, ... under the key 00 01 .. 0f, as other libraries have it.
     */
    static const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    static const char bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    assert_true(siphash13(key, STR_NULL) == 0xabac0158050fc4dcu);
    assert_true(siphash13(key, str_make(bytes, 1)) == 0xc9f49bf37d57ca93u);
    assert_true(str_hash(STR("abc")) == str_hash(str_make("abcd", 3)));
    assert_true(str_hash(STR("abc")) != str_hash(STR("abd")));
}

static void test_cstr(void **state)
{
    (void)state;
    char *z = str_to_cstr(str_make("abcdef", 3));
    assert_string_equal(z, "abc");
    mem_free(z);
    z = str_to_cstr(STR_NULL);
    assert_string_equal(z, "");
    mem_free(z);
    assert_int_equal(str_from_cstr(NULL).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_find_and_cut),
        cmocka_unit_test(test_split),   cmocka_unit_test(test_integers),
        cmocka_unit_test(test_floats),  cmocka_unit_test(test_bools),
        cmocka_unit_test(test_utf8),    cmocka_unit_test(test_hash),
        cmocka_unit_test(test_cstr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
