#include "test.h"

#include "base/arena.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/rand.h"

static void test_base64(void **state)
{
    (void)state;
    static const struct {
        struct str bytes, std, url;
    } cases[] = {
        {STR_INIT(""), STR_INIT(""), STR_INIT("")},
        {STR_INIT("f"), STR_INIT("Zg=="), STR_INIT("Zg")},
        {STR_INIT("fo"), STR_INIT("Zm8="), STR_INIT("Zm8")},
        {STR_INIT("foo"), STR_INIT("Zm9v"), STR_INIT("Zm9v")},
        {STR_INIT("foob"), STR_INIT("Zm9vYg=="), STR_INIT("Zm9vYg")},
        {STR_INIT("\xfb\xef\xff"), STR_INIT("++//"), STR_INIT("--__")},
    };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = {0};
        struct str back;
        base64_encode(&b, cases[i].bytes);
        assert_str_equal(buf_view(&b), cases[i].std);
        buf_clear(&b);
        base64url_encode(&b, cases[i].bytes);
        assert_str_equal(buf_view(&b), cases[i].url);
        assert_ok(base64_decode(&a, cases[i].std, &back));
        assert_str_equal(back, cases[i].bytes);
        assert_ok(base64url_decode(&a, cases[i].url, &back));
        assert_str_equal(back, cases[i].bytes);
        buf_deinit(&b);
    }
    struct str back;
    assert_ok(base64_decode(&a, STR("Zm9v\r\nYm\nE=\n"), &back));
    assert_str_lit(back, "fooba");
    arena_deinit(&a);
}

static void test_base64_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {STR_INIT("Z"),     STR_INIT("Zg"),       STR_INIT("Zg="),
                                     STR_INIT("Zg==="), STR_INIT("Zm9v="),    STR_INIT("===="),
                                     STR_INIT("Z==="),  STR_INIT("Zg==Zg=="), STR_INIT("Zm8=Zg"),
                                     STR_INIT("Zm9 "),  STR_INIT("Zm9-"),     STR_INIT("Z=g=")};
    struct arena a = {0};
    struct str back;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(base64_decode(&a, bad[i], &back), -ERR_INVALID);
    }
    assert_int_equal(base64url_decode(&a, STR("Zg=="), &back), -ERR_INVALID);
    assert_int_equal(base64url_decode(&a, STR("++//"), &back), -ERR_INVALID);
    assert_int_equal(base64_fault(STR("Zm9v!m9v")), 4);
    assert_int_equal(base64_fault(STR("Zm9vYm")), 4);
    assert_int_equal(base64_fault(STR("Zm9vYg=")), 7);
    assert_int_equal(base64_fault(STR("Zm9vYg=x")), 6);
    assert_int_equal(base64_fault(STR("Zm9vYg===")), 8);
    assert_int_equal(base64_fault(STR("Zm9vYmE= ")), 8);
    assert_int_equal(base64_fault(STR("Zm9v=")), 4);
    assert_int_equal(base64_fault(STR("Zm\n9vY")), 5);
    arena_deinit(&a);
}

static void test_round_trips(void **state)
{
    (void)state;
    struct arena a = {0};
    struct rng r;
    rng_seed(&r, 7);
    for (size_t n = 0; n < 300; n++) {
        char bytes[300];
        struct buf b = {0};
        struct str back, s = str_make(bytes, n);
        rng_bytes(&r, bytes, n);
        base64_encode(&b, s);
        assert_ok(base64_decode(&a, buf_view(&b), &back));
        assert_true(str_eq(back, s));
        buf_clear(&b);
        base64url_encode(&b, s);
        assert_ok(base64url_decode(&a, buf_view(&b), &back));
        assert_true(str_eq(back, s));
        buf_clear(&b);
        hex_encode(&b, s);
        assert_ok(hex_decode(&a, buf_view(&b), &back));
        assert_true(str_eq(back, s));
        buf_deinit(&b);
    }
    arena_deinit(&a);
}

static void test_hex(void **state)
{
    (void)state;
    struct arena a = {0};
    struct str back;
    assert_ok(hex_decode(&a, STR("00fFAb"), &back));
    assert_str_lit(back, "\x00\xff\xab");
    assert_int_equal(hex_decode(&a, STR("0"), &back), -ERR_INVALID);
    assert_int_equal(hex_decode(&a, STR("0g"), &back), -ERR_INVALID);
    assert_int_equal(hex_decode(&a, STR("@0"), &back), -ERR_INVALID);
    arena_deinit(&a);
}

/* RFC 3720 appendix B.4, and pieces against the whole. */
static void test_crc32c(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (size_t i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    for (size_t i = 0; i <= 32; i++) {
        assert_int_equal(crc32c(crc32c(0, bytes, i), bytes + i, 32 - i), 0x46dd794e);
        assert_int_equal(crc32c_portable_(crc32c_portable_(0, bytes, i), bytes + i, 32 - i),
                         0x46dd794e);
    }
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
}

static void test_fnv1a64(void **state)
{
    (void)state;
    assert_true(fnv1a64(STR("")) == 0xcbf29ce484222325u);
    assert_true(fnv1a64(STR("foobar")) == 0x85944171f73967e8u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),      cmocka_unit_test(test_base64_refused),
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_hex),
        cmocka_unit_test(test_crc32c),      cmocka_unit_test(test_fnv1a64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
