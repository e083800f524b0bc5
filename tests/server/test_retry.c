/* When a thing that is done over and over is done the next time. */
#include "test.h"

#include "base/compiler.h"
#include "base/rand.h"
#include "server/retry.h"

static void test_some_at_once_then_by_the_rate(void **state)
{
    struct retry r;
    uint64_t now_ms = 50000;
    (void)state;
    retry_init(&r, 0.2, 3, 1000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(retry_begin_ms(&r, now_ms), 0);
    }
    assert_int_equal(retry_begin_ms(&r, now_ms), 5000);
    now_ms += 5000; /* it was waited for */
    assert_int_equal(retry_begin_ms(&r, now_ms), 5000);
    now_ms += 600000; /* as many as at first, no more */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(retry_begin_ms(&r, now_ms), 0);
    }
    assert_true(retry_begin_ms(&r, now_ms) > 0);
}

static void test_failures(void **state)
{
    struct retry r;
    struct rng rng;
    uint64_t wait_ms = 1000;
    (void)state;
    rng_seed(&rng, 7);
    retry_init(&r, 1, 1, 120000);
    for (int i = 0; i < 40; i++) {
        assert_in_range(retry_failed_ms(&r, &rng), wait_ms, wait_ms + wait_ms / 10);
        wait_ms = MIN(wait_ms * 2, 120000u);
    }
    retry_succeeded(&r);
    assert_in_range(retry_failed_ms(&r, &rng), 1000, 1100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_some_at_once_then_by_the_rate),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
