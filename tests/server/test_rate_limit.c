/* So many calls at once, so many a second. */
#include "test.h"

#include "base/clock.h"
#include "server/rate_limit.h"

#define START_NS UINT64_C(1000000000000)

static unsigned allowed(struct rate_limit *l, uint64_t now_ns, unsigned asked)
{
    unsigned n = 0;
    for (unsigned i = 0; i < asked; i++) {
        n += rate_limit_allow(l, now_ns);
    }
    return n;
}

static void test_bucket(void **state)
{
    struct rate_limit l;
    (void)state;
    rate_limit_init(&l, 10, 3);
    assert_int_equal(allowed(&l, START_NS, 5), 3);
    assert_int_equal(allowed(&l, START_NS + 99 * NS_PER_MS, 2), 0);
    assert_int_equal(allowed(&l, START_NS + 101 * NS_PER_MS, 2), 1);
    assert_int_equal(allowed(&l, START_NS + 100 * NS_PER_MS, 1), 0);  /* a clock read before */
    assert_int_equal(allowed(&l, START_NS + 100 * NS_PER_SEC, 5), 3); /* no more than full */
    rate_limit_deinit(&l);
}

static void test_no_limit(void **state)
{
    struct rate_limit l;
    (void)state;
    rate_limit_init(&l, -1, 0);
    assert_false(rate_limit_is_on(&l));
    assert_int_equal(allowed(&l, START_NS, 1000), 1000);
    rate_limit_deinit(&l);
}

static void test_nothing_comes_back(void **state)
{
    struct rate_limit l;
    (void)state;
    rate_limit_init(&l, 0, 2);
    assert_int_equal(allowed(&l, START_NS, 5), 2);
    assert_int_equal(allowed(&l, START_NS + 1000 * NS_PER_SEC, 5), 0);
    rate_limit_set(&l, 0.5, 1); /* a reload */
    assert_int_equal(allowed(&l, START_NS, 5), 1);
    assert_int_equal(allowed(&l, START_NS + 2 * NS_PER_SEC, 5), 1);
    rate_limit_set(&l, 5, 0);
    assert_int_equal(allowed(&l, START_NS + 9 * NS_PER_SEC, 5), 0);
    rate_limit_deinit(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_nothing_comes_back),
    };
    return cmocka_run_group_tests_name("server/rate_limit", tests, NULL, NULL);
}
