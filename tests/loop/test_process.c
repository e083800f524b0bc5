#include "test.h"

#include <signal.h>
#include <string.h>

#include "base/buf.h"
#include "loop/loop.h"
#include "loop/process.h"

/* One child at a time: run the loop until it has exited. */
static struct loop *loop;
static struct buf output;
static uint64_t output_total;
static struct process_status status;
static struct process *child;
static struct loop_timer timer;

static void exited(void *data, struct process *p)
{
    (void)data;
    output_total = process_output(p, &output);
    status = process_status(p);
    process_free(p);
    child = NULL;
    loop_stop(loop);
}

static void kill_child(struct loop_timer *t)
{
    (void)t;
    process_kill(child);
}

static void free_child(struct loop_timer *t)
{
    (void)t;
    process_free(child);
    child = NULL;
    loop_stop(loop);
}

static void start(const char *script, size_t output_size_max)
{
    const char *const args[] = {"/bin/sh", "-c", script, NULL};
    struct process_options o = {.args = args, .output_size_max = output_size_max, .exited = exited};
    struct err err = {0};
    assert_ok(process_start(loop, &o, &child, &err));
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new("test");
    memset(&timer, 0, sizeof(timer));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(loop);
    buf_deinit(&output);
    return 0;
}

static void test_exit_code_and_both_outputs(void **state)
{
    (void)state;
    start("echo out; echo err >&2; exit 3", 100);
    loop_run(loop);
    assert_int_equal(status.exit_code, 3);
    assert_int_equal(status.signal, 0);
    assert_str_lit(buf_view(&output), "out\nerr\n");
}

static void test_signal(void **state)
{
    (void)state;
    start("kill -TERM $$; sleep 10", 100);
    loop_run(loop);
    assert_int_equal(status.signal, SIGTERM);
}

static void test_flood_keeps_the_end(void **state)
{
    (void)state;
    start("i=0; while [ $i -lt 20000 ]; do echo 0123456789abcdef; i=$((i+1)); done; echo last", 64);
    loop_run(loop);
    assert_int_equal(output_total, 20000 * 17 + 5);
    assert_int_equal(output.n, 64);
    assert_true(str_has_suffix(buf_view(&output), STR("cdef\nlast\n")));
}

static void test_kill_reaches_grandchildren(void **state)
{
    (void)state;
    start("echo begun; sleep 1000 & sleep 1000; echo never", 100);
    loop_timer_start(loop, &timer, 200, kill_child);
    loop_run(loop);
    assert_int_equal(status.signal, SIGKILL);
    assert_str_lit(buf_view(&output), "begun\n");
}

/* The child is gone, a grandchild in a session of its own holds the pipe: only a kill ends the
 * wait. */
static void test_pipe_held_by_a_stranger(void **state)
{
    (void)state;
    start("setsid sleep 3 & exit 0", 100);
    loop_timer_start(loop, &timer, 300, kill_child);
    loop_run(loop);
    assert_int_equal(status.exit_code, 0);
    assert_null(child);
}

static void test_free_while_running(void **state)
{
    (void)state;
    start("sleep 1000", 100);
    loop_timer_start(loop, &timer, 20, free_child);
    loop_run(loop);
}

static void test_loop_ends_first(void **state)
{
    (void)state;
    start("sleep 1000", 100);
}

static void test_input(void **state)
{
    (void)state;
    static char big[300000];
    memset(big, 'x', sizeof(big));
    const char *const count[] = {"/usr/bin/wc", "-c", NULL};
    const char *const ignore[] = {"/bin/true", NULL};
    struct process_options o = {
        .args = count, .output_size_max = 100, .input = {big, sizeof(big)}, .exited = exited};
    struct err err = {0};
    assert_ok(process_start(loop, &o, &child, &err));
    loop_run(loop);
    assert_str_lit(buf_view(&output), "300000\n");
    o.args = ignore; /* ends without reading any of it */
    assert_ok(process_start(loop, &o, &child, &err));
    loop_run(loop);
    assert_int_equal(status.exit_code, 0);
}

static void test_no_such_program(void **state)
{
    (void)state;
    const char *const args[] = {"/no/such/program", NULL};
    struct process_options o = {.args = args, .output_size_max = 10, .exited = exited};
    struct err err = {0};
    struct process *p = NULL;
    assert_true(process_start(loop, &o, &p, &err) < 0);
    assert_null(p);
    assert_true(str_contains(str_from_cstr(err.text), STR("no such file")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exit_code_and_both_outputs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flood_keeps_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill_reaches_grandchildren, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipe_held_by_a_stranger, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_while_running, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loop_ends_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_such_program, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
