/* The formulas, with values worked out from memberlist's. */
#include "test.h"

#include "gossip/core/swim_internal.h"

#define S UINT64_C(1000000000)
#define MS SWIM_NS_PER_MS

static void test_retransmit_limit(void **state)
{
    (void)state;
    assert_int_equal(swim_retransmit_limit(3, 0), 0);
    assert_int_equal(swim_retransmit_limit(3, 1), 3);
    assert_int_equal(swim_retransmit_limit(3, 9), 3);
    assert_int_equal(swim_retransmit_limit(3, 10), 6);
    assert_int_equal(swim_retransmit_limit(3, 99), 6);
    assert_int_equal(swim_retransmit_limit(4, 65536), 20);
}

static void test_suspicion_timeout(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t ns;
    } rows[] = {{0, 3 * S},   {1, 3 * S},       {5, 3 * S},    {10, 3 * S},    {50, 5094 * MS},
                {100, 6 * S}, {500, 8094 * MS}, {1000, 9 * S}, {10000, 12 * S}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(swim_suspicion_timeout(3, rows[i].n, S), rows[i].ns);
    }
    assert_int_equal(swim_suspicion_timeout(4, 5, 1500 * MS), 6 * S);
}

/* 30 s at most, 2 s at least, 3 confirmations wanted. */
static void test_suspicion_span(void **state)
{
    (void)state;
    static const struct {
        uint32_t confirmed, wanted;
        uint64_t ns;
    } rows[] = {{0, 3, 30 * S}, {1, 3, 16 * S}, {2, 3, 7810 * MS},
                {3, 3, 2 * S},  {4, 3, 2 * S},  {0, 0, 2 * S}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(swim_suspicion_span(rows[i].confirmed, rows[i].wanted, 2 * S, 30 * S),
                         rows[i].ns);
    }
}

static void test_push_pull_scale(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t factor;
    } rows[] = {{0, 1}, {32, 1}, {33, 2}, {64, 2}, {65, 3}, {128, 3}, {129, 4}, {4096, 8}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(swim_push_pull_scale(S, rows[i].n), rows[i].factor * S);
    }
}

static void test_health(void **state)
{
    (void)state;
    struct swim s = {.config.awareness_max_multiplier = 8};
    static const struct {
        int64_t delta;
        uint32_t score;
    } rows[] = {{0, 0}, {-1, 0}, {-10, 0}, {1, 1}, {-1, 0}, {10, 7}, {-1, 6}, {-7, 0}, {3, 3}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        swim_health_change(&s, rows[i].delta);
        assert_int_equal(swim_health_score(&s), rows[i].score);
    }
    s.config.awareness_max_multiplier = 0;
    swim_health_change(&s, 5);
    assert_int_equal(swim_health_score(&s), 0);
}

static void test_public(void **state)
{
    (void)state;
    static const struct {
        struct gossip_address address;
        bool is_public;
    } rows[] = {
        {{{8, 8, 8, 8}, 4, 1}, true},        {{{10, 8, 8, 8}, 4, 1}, false},
        {{{172, 31, 0, 1}, 4, 1}, false},    {{{172, 32, 0, 1}, 4, 1}, true},
        {{{100, 127, 0, 1}, 4, 1}, false},   {{{100, 128, 0, 1}, 4, 1}, true},
        {{{127, 0, 0, 1}, 4, 1}, false},     {{{255, 255, 255, 255}, 4, 1}, false},
        {{{[15] = 1}, 16, 1}, false},        {{{[15] = 2}, 16, 1}, true},
        {{{0xfe, 0xbf}, 16, 1}, false},      {{{0xfe, 0xc0}, 16, 1}, true},
        {{{0x26, 0x06, 0x47}, 16, 1}, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(swim_address_is_public(&rows[i].address), rows[i].is_public);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retransmit_limit), cmocka_unit_test(test_suspicion_timeout),
        cmocka_unit_test(test_suspicion_span),   cmocka_unit_test(test_push_pull_scale),
        cmocka_unit_test(test_health),           cmocka_unit_test(test_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
