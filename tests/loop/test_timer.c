#include "test.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/rand.h"
#include "loop/loop.h"
#include "loop/timer.h"

static uint64_t clock_ms;
static uint64_t fired_count, last_deadline;

static void count_fire(struct loop_timer *t)
{
    assert_true(t->deadline_ms <= clock_ms); /* never early */
    assert_true(t->deadline_ms >= last_deadline);
    last_deadline = t->deadline_ms;
    fired_count++;
}

static void insert(struct timer_wheel *w, struct loop_timer *t, uint64_t deadline_ms)
{
    list_remove(&t->node);
    t->deadline_ms = deadline_ms;
    t->fire = count_fire;
    (void)timer_wheel_insert(w, t);
}

static void reset(struct timer_wheel *w, uint64_t now_ms)
{
    clock_ms = now_ms;
    fired_count = last_deadline = 0;
    timer_wheel_init(w, now_ms);
}

/* Random deadlines, random steps and stops, against the plain rule: whatever has a deadline not
 * after now has fired, nothing else has. */
static void test_against_model(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static struct loop_timer timers[COUNT];
    struct rng rng;
    struct timer_wheel w;
    for (uint64_t seed = 0; seed < 20; seed++) {
        rng_seed(&rng, seed);
        memset(timers, 0, sizeof(timers));
        reset(&w, rng_u64(&rng) >> 20);
        for (int round = 0; round < 200; round++) {
            for (int i = 0; i < 20; i++) {
                struct loop_timer *t = &timers[rng_below(&rng, COUNT)];
                uint64_t span = (uint64_t)1 << rng_below(&rng, 40);
                if (rng_below(&rng, 5) == 0) {
                    list_remove(&t->node);
                } else {
                    insert(&w, t, clock_ms + rng_below(&rng, span));
                }
            }
            clock_ms += rng_below(&rng, (uint64_t)1 << rng_below(&rng, 34));
            last_deadline = 0;
            uint64_t due = 0, next = UINT64_MAX;
            for (int i = 0; i < COUNT; i++) {
                if (loop_timer_is_active(&timers[i])) {
                    due += timers[i].deadline_ms <= clock_ms;
                    next = MIN(next, timers[i].deadline_ms);
                }
            }
            assert_true(timer_wheel_next(&w) <= next);
            fired_count = 0;
            timer_wheel_advance(&w, clock_ms);
            assert_int_equal(fired_count, due);
            for (int i = 0; i < COUNT; i++) {
                assert_true(!loop_timer_is_active(&timers[i]) || timers[i].deadline_ms > clock_ms);
            }
        }
    }
}

static void test_next_is_exact_when_near(void **state)
{
    (void)state;
    struct timer_wheel w;
    struct loop_timer t = {0};
    reset(&w, 1000);
    assert_true(timer_wheel_next(&w) == UINT64_MAX);
    insert(&w, &t, 1010);
    assert_int_equal(timer_wheel_next(&w), 1010);
    list_remove(&t.node);
    assert_true(timer_wheel_next(&w) == UINT64_MAX);
}

static struct timer_wheel *restart_wheel;
static int restarts;
static void restart_fire(struct loop_timer *t)
{
    restarts++;
    (void)timer_wheel_insert(restart_wheel, t); /* already due */
}

static void test_restart_with_no_delay_fires_next_time(void **state)
{
    (void)state;
    struct timer_wheel w;
    struct loop_timer t = {.deadline_ms = 5, .fire = restart_fire};
    reset(&w, 0);
    restart_wheel = &w;
    (void)timer_wheel_insert(&w, &t);
    timer_wheel_advance(&w, 7);
    assert_int_equal(restarts, 1);
    assert_int_equal(timer_wheel_next(&w), 7);
    timer_wheel_advance(&w, 7);
    assert_int_equal(restarts, 2);
}

/* One that fires may stop another that is due in the same moment. */
static struct loop_timer victim;
static void stop_victim(struct loop_timer *t)
{
    (void)t;
    list_remove(&victim.node);
}

static void test_stop_another_that_is_due(void **state)
{
    (void)state;
    struct timer_wheel w;
    struct loop_timer t = {.deadline_ms = 5, .fire = stop_victim};
    reset(&w, 0);
    clock_ms = 10;
    (void)timer_wheel_insert(&w, &t);
    insert(&w, &victim, 6);
    timer_wheel_advance(&w, 10);
    assert_int_equal(fired_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_next_is_exact_when_near),
        cmocka_unit_test(test_restart_with_no_delay_fires_next_time),
        cmocka_unit_test(test_stop_another_that_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
