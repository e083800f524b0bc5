#include "test.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"

static void test_clocks_move_forward(void **state)
{
    (void)state;
    uint64_t before = clock_mono_ns();
    assert_true(clock_mono_ns() >= before);
    assert_true(clock_mono_ms() >= before / NS_PER_MS);
    assert_true(clock_wall_ns() > 1600000000 * (int64_t)NS_PER_SEC);
    assert_true(clock_wall_ms() > 1600000000000);
}

static const struct {
    struct str text;
    int64_t ns;
    struct str printed;
} durations[] = {
    {STR_INIT("0"), 0, STR_INIT("0s")},
    {STR_INIT("-0"), 0, STR_INIT("0s")},
    {STR_INIT("5s"), 5000000000, STR_INIT("5s")},
    {STR_INIT("+5s"), 5000000000, STR_INIT("5s")},
    {STR_INIT("-5s"), -5000000000, STR_INIT("-5s")},
    {STR_INIT("1478s"), 1478000000000, STR_INIT("24m38s")},
    {STR_INIT("5.s"), 5000000000, STR_INIT("5s")},
    {STR_INIT(".5s"), 500000000, STR_INIT("500ms")},
    {STR_INIT("1.0040s"), 1004000000, STR_INIT("1.004s")},
    {STR_INIT("10ns"), 10, STR_INIT("10ns")},
    {STR_INIT("1100ns"), 1100, STR_INIT("1.1\302\265s")},
    {STR_INIT("11us"), 11000, STR_INIT("11\302\265s")},
    {STR_INIT("12\302\265s"), 12000, STR_INIT("12\302\265s")},
    {STR_INIT("12\316\274s"), 12000, STR_INIT("12\302\265s")},
    {STR_INIT("2200us"), 2200000, STR_INIT("2.2ms")},
    {STR_INIT("13ms"), 13000000, STR_INIT("13ms")},
    {STR_INIT("60s"), 60000000000, STR_INIT("1m0s")},
    {STR_INIT("15m"), 900000000000, STR_INIT("15m0s")},
    {STR_INIT("16h"), 57600000000000, STR_INIT("16h0m0s")},
    {STR_INIT("1h2m3.5s"), 3723500000000, STR_INIT("1h2m3.5s")},
    {STR_INIT("-2m3.4s"), -123400000000, STR_INIT("-2m3.4s")},
    {STR_INIT("10.5s4m"), 250500000000, STR_INIT("4m10.5s")},
    {STR_INIT("1h1h"), 7200000000000, STR_INIT("2h0m0s")},
    {STR_INIT("0.100000000000000000000h"), 360000000000, STR_INIT("6m0s")},
    {STR_INIT("0.830103483285477580700h"), 2988372539827, STR_INIT("49m48.372539827s")},
    {STR_INIT("9223372036854775807ns"), INT64_MAX, STR_INIT("2562047h47m16.854775807s")},
    {STR_INIT("-9223372036854775807ns"), -INT64_MAX, STR_INIT("-2562047h47m16.854775807s")},
};

static void test_duration(void **state)
{
    (void)state;
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
        int64_t ns = -1;
        assert_ok(duration_parse(durations[i].text, &ns));
        assert_true(ns == durations[i].ns);
        assert_str_equal(duration_format(&a, ns), durations[i].printed);
    }
    assert_str_lit(duration_format(&a, INT64_MIN), "-2562047h47m16.854775808s");
    arena_deinit(&a);
}

static void test_duration_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR_INIT(""),    STR_INIT("3"),      STR_INIT("-"),    STR_INIT("s"),
        STR_INIT("."),   STR_INIT("-."),     STR_INIT(".s"),   STR_INIT("+.s"),
        STR_INIT("1 s"), STR_INIT("1d"),     STR_INIT("--1s"), STR_INIT("1s "),
        STR_INIT("1S"),  STR_INIT("1.2.3s"), STR_INIT("00"),   STR_INIT("1\302s")};
    int64_t ns = 42;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(duration_parse(bad[i], &ns), -ERR_INVALID);
    }
    static const struct str large[] = {
        STR_INIT("3000000h"), STR_INIT("9223372036854775808ns"), STR_INIT("9223372036854775.808us"),
        STR_INIT("9223372036854ms775us808ns"), STR_INIT("99999999999999999999999h")};
    for (size_t i = 0; i < ARRAY_SIZE(large); i++) {
        assert_int_equal(duration_parse(large[i], &ns), -ERR_RANGE);
    }
    assert_int_equal(ns, 42);
}

static void test_duration_round_trip(void **state)
{
    (void)state;
    struct arena a = {0};
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 5000; i++) {
        int64_t back, ns = (int64_t)(rng_u64(&r) >> rng_below(&r, 64));
        ns = ns == INT64_MIN ? 0 : ns;
        assert_ok(duration_parse(duration_format(&a, ns), &back));
        assert_true(back == ns);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

static const struct {
    struct str text;
    int64_t ns;
    struct str printed;
} times[] = {
    {STR_INIT("1970-01-01T00:00:00Z"), 0, STR_INIT("1970-01-01T00:00:00Z")},
    {STR_INIT("0001-01-01T00:00:00Z"), TIME_ZERO, STR_INIT("0001-01-01T00:00:00Z")},
    {STR_INIT("2006-01-02T15:04:05.999999999Z"), 1136214245999999999,
     STR_INIT("2006-01-02T15:04:05.999999999Z")},
    {STR_INIT("2006-01-02T15:04:05.120-07:00"), 1136239445120000000,
     STR_INIT("2006-01-02T22:04:05.12Z")},
    {STR_INIT("2000-02-29T23:59:59.0000000019+00:30"), 951866999000000001,
     STR_INIT("2000-02-29T23:29:59.000000001Z")},
    {STR_INIT("1969-12-31T23:59:59.5Z"), -500000000, STR_INIT("1969-12-31T23:59:59.5Z")},
    {STR_INIT("1678-01-01T00:00:00+23:59"), -9214646340000000000, STR_INIT("1677-12-31T00:01:00Z")},
    {STR_INIT("1677-09-21T00:12:43.145224193Z"), INT64_MIN + 1,
     STR_INIT("1677-09-21T00:12:43.145224193Z")},
    {STR_INIT("2262-04-11T23:47:16.854775807Z"), INT64_MAX,
     STR_INIT("2262-04-11T23:47:16.854775807Z")},
};

static void test_rfc3339(void **state)
{
    (void)state;
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        int64_t ns = -1;
        assert_ok(time_parse_rfc3339(times[i].text, &ns));
        assert_true(ns == times[i].ns);
        assert_str_equal(time_format_rfc3339(&a, ns), times[i].printed);
    }
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 5000; i++) {
        int64_t back, ns = (int64_t)rng_u64(&r) / 100 * 99;
        assert_ok(time_parse_rfc3339(time_format_rfc3339(&a, ns), &back));
        assert_true(back == ns);
        arena_reset(&a);
    }
    arena_deinit(&a);
}

static void test_rfc3339_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR_INIT(""),
        STR_INIT("2006-01-02"),
        STR_INIT("2006-01-02T15:04:05"),
        STR_INIT("2006-01-02 15:04:05Z"),
        STR_INIT("2006-13-02T15:04:05Z"),
        STR_INIT("2006-00-02T15:04:05Z"),
        STR_INIT("2006-01-00T15:04:05Z"),
        STR_INIT("2006-02-29T15:04:05Z"),
        STR_INIT("1900-02-29T15:04:05Z"),
        STR_INIT("2006-04-31T15:04:05Z"),
        STR_INIT("2006-01-02T24:04:05Z"),
        STR_INIT("2006-01-02T15:60:05Z"),
        STR_INIT("2006-01-02T15:04:60Z"),
        STR_INIT("2006-01-02T15:04:05.Z"),
        STR_INIT("2006-01-02T15:04:05+24:00"),
        STR_INIT("2006-01-02T15:04:05Zx"),
        STR_INIT("-006-01-02T15:04:05Z"),
    };
    int64_t ns;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(time_parse_rfc3339(bad[i], &ns), -ERR_INVALID);
    }
    assert_int_equal(time_parse_rfc3339(STR("1677-09-21T00:12:43.145224192Z"), &ns), -ERR_RANGE);
    assert_int_equal(time_parse_rfc3339(STR("2262-04-11T23:47:16.854775808Z"), &ns), -ERR_RANGE);
    assert_int_equal(time_parse_rfc3339(STR("9999-01-01T00:00:00Z"), &ns), -ERR_RANGE);
    assert_int_equal(time_parse_rfc3339(STR("0000-01-01T00:00:00Z"), &ns), -ERR_RANGE);
}

static void test_duration_faults(void **state)
{
    (void)state;
    static const char *const faults[][2] = {
        {"", "time: invalid duration \"\""},
        {"x", "time: invalid duration \"x\""},
        {"5", "time: missing unit in duration \"5\""},
        {"1h5", "time: missing unit in duration \"1h5\""},
        {"1d", "time: unknown unit \"d\" in duration \"1d\""},
        {"5\"", "time: unknown unit \"\\\"\" in duration \"5\\\"\""},
        {"\303\251", "time: invalid duration \"\\xc3\\xa9\""},
        {"9999999h", "time: invalid duration \"9999999h\""},
    };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_SIZE(faults); i++) {
        struct str fault = duration_fault(&a, str_from_cstr(faults[i][0]));
        assert_str_equal(fault, str_from_cstr(faults[i][1]));
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks_move_forward), cmocka_unit_test(test_duration),
        cmocka_unit_test(test_duration_refused),    cmocka_unit_test(test_duration_faults),
        cmocka_unit_test(test_duration_round_trip), cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_rfc3339_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
