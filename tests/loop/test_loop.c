#include "test.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/epoch.h"
#include "base/mem.h"
#include "loop/loop.h"

/* --- messages from several threads arrive in each sender's order, and all of them ---------------
 */

enum { SENDERS = 3, MESSAGES = 5000 };

struct numbered {
    struct loop_msg msg;
    int sender, number;
};
struct sender {
    struct loop *loop;
    struct loop_msg start;
    int id;
};
static struct loop *receiver;
static struct numbered numbered[SENDERS][MESSAGES];
static int next_number[SENDERS], received;

static void receive(struct loop_msg *msg)
{
    struct numbered *n = container_of(msg, struct numbered, msg);
    assert_true(loop_is_current(receiver));
    assert_int_equal(n->number, next_number[n->sender]);
    next_number[n->sender]++;
    if (++received == SENDERS * MESSAGES) {
        loop_stop(receiver);
    }
}

static void send_all(struct loop_msg *msg)
{
    struct sender *s = container_of(msg, struct sender, start);
    for (int i = 0; i < MESSAGES; i++) {
        numbered[s->id][i] = (struct numbered){{NULL, receive}, s->id, i};
        loop_post(receiver, &numbered[s->id][i].msg);
    }
    loop_stop(s->loop);
}

static void test_post_keeps_order(void **state)
{
    (void)state;
    receiver = loop_new("receiver");
    struct sender senders[SENDERS];
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){loop_new("sender"), {NULL, send_all}, i};
        loop_post(senders[i].loop, &senders[i].start);
        loop_thread_start(senders[i].loop);
    }
    loop_run(receiver);
    for (int i = 0; i < SENDERS; i++) {
        loop_thread_join(senders[i].loop);
        loop_free(senders[i].loop);
    }
    assert_int_equal(received, SENDERS * MESSAGES);
    loop_free(receiver);
}

/* --- deferred work runs after all messages of a turn, timers in order --------------------------
 */

static struct loop *one;
static char trace[64];
static void note(char c)
{
    size_t n = strlen(trace);
    trace[n] = c;
    trace[n + 1] = '\0';
}
static void run_deferred(struct loop_msg *msg)
{
    (void)msg;
    note('d');
}
static struct loop_msg deferred = {NULL, run_deferred};
static void run_a(struct loop_msg *msg)
{
    (void)msg;
    loop_defer(one, &deferred);
    note('a');
}
static void run_b(struct loop_msg *msg)
{
    (void)msg;
    note('b');
}
static void fire_x(struct loop_timer *t)
{
    (void)t;
    note('x');
}
static void fire_stop(struct loop_timer *t)
{
    (void)t;
    note('s');
    loop_stop(one);
}

static void test_defer_and_timers(void **state)
{
    (void)state;
    one = loop_new("one");
    struct loop_msg a = {NULL, run_a}, b = {NULL, run_b};
    struct loop_timer x = {0}, s = {0}, never = {0};
    loop_post(one, &a);
    loop_post(one, &b);
    loop_timer_start(one, &s, 30, fire_stop);
    loop_timer_start(one, &x, 10, fire_x);
    loop_timer_start(one, &never, 20, fire_x);
    loop_timer_stop(one, &never);
    uint64_t started_ns = clock_mono_ns();
    loop_run(one);
    assert_true(clock_mono_ns() - started_ns >= 30 * NS_PER_MS);
    assert_string_equal(trace, "abdxs");
    assert_false(loop_timer_is_active(&x));
    loop_free(one);
}

/* --- a turn holds the epoch, waiting does not
 * ----------------------------------------------------- */

static struct epoch *epoch;
static int freed;
static void count_free(void *object)
{
    (void)object;
    freed++;
}
static void retire_inside(struct loop_msg *msg)
{
    (void)msg;
    int object;
    epoch_retire(epoch, &object, count_free);
    assert_int_equal(epoch_collect(epoch), 1); /* this very turn may still use it */
    assert_int_equal(freed, 0);
}
static void collect_later(struct loop_timer *t)
{
    (void)t;
    assert_int_equal(epoch_collect(epoch), 0);
    assert_int_equal(freed, 1);
    loop_stop(one);
}

static void test_turns_enter_epochs(void **state)
{
    (void)state;
    epoch = epoch_new();
    one = loop_new("one");
    loop_add_epoch(one, epoch);
    struct loop_msg msg = {NULL, retire_inside};
    struct loop_timer t = {0};
    loop_post(one, &msg);
    loop_timer_start(one, &t, 5, collect_later);
    loop_run(one);
    assert_int_equal(freed, 1);
    loop_free(one);
    epoch_free(epoch);
}

static int caught;
static void on_signal(void *data, int signum)
{
    caught = signum;
    loop_stop(data);
}
static void raise_it(struct loop_timer *t)
{
    (void)t;
    (void)kill(getpid(), SIGUSR1);
}

static void test_signal(void **state)
{
    (void)state;
    one = loop_new("one");
    struct loop_timer t = {0};
    assert_ok(loop_signal(one, SIGUSR1, on_signal, one));
    loop_timer_start(one, &t, 1, raise_it);
    loop_run(one);
    assert_int_equal(caught, SIGUSR1);
    loop_free(one);
}

/* Messages that were posted before loop_stop() are still run. */
static int ran_after_stop;
static void count_run(struct loop_msg *msg)
{
    (void)msg;
    ran_after_stop++;
}

static void test_stop_runs_what_was_posted(void **state)
{
    (void)state;
    one = loop_new("one");
    struct loop_msg msgs[3] = {{NULL, count_run}, {NULL, count_run}, {NULL, count_run}};
    loop_post(one, &msgs[0]);
    loop_post(one, &msgs[1]);
    loop_stop(one);
    loop_run(one);
    assert_int_equal(ran_after_stop, 2);
    loop_post(one, &msgs[2]);
    loop_free(one);
    assert_int_equal(ran_after_stop, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_post_keeps_order),          cmocka_unit_test(test_defer_and_timers),
        cmocka_unit_test(test_turns_enter_epochs),        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_stop_runs_what_was_posted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
