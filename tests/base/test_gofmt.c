#include "test.h"

#include <math.h>
#include <stdlib.h>

#include "base/gofmt.h"
#include "base/rand.h"

static void test_json_float(void **state)
{
    (void)state;
    static const struct {
        double v;
        struct str json, g, f;
    } cases[] = {
        {0, STR_INIT("0"), STR_INIT("0"), STR_INIT("0")},
        {-0.0, STR_INIT("-0"), STR_INIT("-0"), STR_INIT("-0")},
        {1, STR_INIT("1"), STR_INIT("1"), STR_INIT("1")},
        {-1.5, STR_INIT("-1.5"), STR_INIT("-1.5"), STR_INIT("-1.5")},
        {0.1, STR_INIT("0.1"), STR_INIT("0.1"), STR_INIT("0.1")},
        {0.30000000000000004, STR_INIT("0.30000000000000004"), STR_INIT("0.30000000000000004"),
         STR_INIT("0.30000000000000004")},
        {100000, STR_INIT("100000"), STR_INIT("100000"), STR_INIT("100000")},
        {1000000, STR_INIT("1000000"), STR_INIT("1e+06"), STR_INIT("1000000")},
        {1048576, STR_INIT("1048576"), STR_INIT("1.048576e+06"), STR_INIT("1048576")},
        {123456789, STR_INIT("123456789"), STR_INIT("1.23456789e+08"), STR_INIT("123456789")},
        {0.0001, STR_INIT("0.0001"), STR_INIT("0.0001"), STR_INIT("0.0001")},
        {0.00001, STR_INIT("0.00001"), STR_INIT("1e-05"), STR_INIT("0.00001")},
        {1e-6, STR_INIT("0.000001"), STR_INIT("1e-06"), STR_INIT("0.000001")},
        {1e-7, STR_INIT("1e-7"), STR_INIT("1e-07"), STR_INIT("0.0000001")},
        {1.25e-10, STR_INIT("1.25e-10"), STR_INIT("1.25e-10"), STR_INIT("0.000000000125")},
        {1e20, STR_INIT("100000000000000000000"), STR_INIT("1e+20"),
         STR_INIT("100000000000000000000")},
        {1e21, STR_INIT("1e+21"), STR_INIT("1e+21"), STR_INIT("1000000000000000000000")},
        {1.7976931348623157e308,
         STR_INIT("1.7976931348623157e+308"),
         STR_INIT("1.7976931348623157e+308"),
         {NULL, 0}},
        {5e-324, STR_INIT("5e-324"), STR_INIT("5e-324"), {NULL, 0}},
        {0x1p-44, STR_INIT("5.684341886080802e-14"), STR_INIT("5.684341886080802e-14"), {NULL, 0}},
        {9007199254740992, STR_INIT("9007199254740992"), STR_INIT("9.007199254740992e+15"),
         STR_INIT("9007199254740992")},
        {NAN, STR_INIT("null"), STR_INIT("NaN"), STR_INIT("NaN")},
        {-INFINITY, STR_INIT("null"), STR_INIT("-Inf"), STR_INIT("-Inf")},
    };
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        buf_clear(&b);
        go_json_float(&b, cases[i].v);
        assert_str_equal(buf_view(&b), cases[i].json);
        buf_clear(&b);
        go_float_g(&b, cases[i].v);
        assert_str_equal(buf_view(&b), cases[i].g);
        if (cases[i].f.p != NULL) {
            buf_clear(&b);
            go_float_f(&b, cases[i].v);
            assert_str_equal(buf_view(&b), cases[i].f);
        }
    }
    buf_deinit(&b);
}

static void test_json_float32(void **state)
{
    (void)state;
    static const struct {
        float v;
        struct str json;
    } cases[] = {
        {0.1f, STR_INIT("0.1")},
        {-16777216.0f, STR_INIT("-16777216")},
        {14760432.0f, STR_INIT("14760432")},
        {3.4028235e38f, STR_INIT("3.4028235e+38")},
        {1e-45f, STR_INIT("1e-45")},
        {0x1p-96f, STR_INIT("1.2621775e-29")}, /* the nearest 8 digits do not read back */
        {NAN, STR_INIT("null")},
    };
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        buf_clear(&b);
        go_json_float32(&b, cases[i].v);
        assert_str_equal(buf_view(&b), cases[i].json);
    }
    buf_deinit(&b);
}

static void test_json_str(void **state)
{
    (void)state;
    struct buf b = {0};
    go_json_str(&b, STR("a\"\\\n\r\t\b\x7f<&>\xc3\xa4\xe2\x80\xa9\xff"));
    assert_str_lit(buf_view(&b),
                   "\"a\\\"\\\\\\n\\r\\t\\u0008\x7f\\u003c\\u0026\\u003e\xc3\xa4\\u2029"
                   "\\ufffd\"");
    buf_deinit(&b);
}

static void test_floats_read_back(void **state)
{
    (void)state;
    struct buf b = {0};
    struct rng r;
    rng_seed(&r, 3);
    for (int i = 0; i < 5000; i++) {
        uint64_t bits = rng_u64(&r);
        double v, back;
        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v)) {
            continue;
        }
        v = i % 2 == 0 ? v : (double)(int64_t)(bits >> 40) / 1000;
        buf_clear(&b);
        go_json_float(&b, v);
        assert_ok(str_parse_f64(buf_view(&b), &back));
        assert_true(back == v);
    }
    buf_deinit(&b);
}

static void test_quote(void **state)
{
    (void)state;
    static const struct {
        struct str s, quoted;
    } cases[] = {
        {STR_INIT(""), STR_INIT("\"\"")},
        {STR_INIT("plain"), STR_INIT("\"plain\"")},
        {STR_INIT("a\"b\\c"), STR_INIT("\"a\\\"b\\\\c\"")},
        {STR_INIT("\a\b\f\n\r\t\v"), STR_INIT("\"\\a\\b\\f\\n\\r\\t\\v\"")},
        {STR_INIT("\0\x01\x1f\x7f"), STR_INIT("\"\\x00\\x01\\x1f\\x7f\"")},
        {STR_INIT("\xff\xc3"), STR_INIT("\"\\xff\\xc3\"")},
        {STR_INIT("\xc3\xa4\xe2\x98\xba\xf0\x9f\x98\x80"),
         STR_INIT("\"\xc3\xa4\xe2\x98\xba\xf0\x9f\x98\x80\"")},
        {STR_INIT("\xc2\xa0\xe2\x80\xa8\xef\xbb\xbf"), STR_INIT("\"\\u00a0\\u2028\\ufeff\"")},
        {STR_INIT("\xf4\x8f\xbf\xbf"), STR_INIT("\"\\U0010ffff\"")},
        {STR_INIT("\xed\xa0\x80"), STR_INIT("\"\\xed\\xa0\\x80\"")},
    };
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        buf_clear(&b);
        go_quote(&b, cases[i].s);
        assert_str_equal(buf_view(&b), cases[i].quoted);
    }
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_float), cmocka_unit_test(test_json_float32),
        cmocka_unit_test(test_json_str),   cmocka_unit_test(test_floats_read_back),
        cmocka_unit_test(test_quote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
