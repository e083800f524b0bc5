/* What works without a name server: numbers, localhost, and names that nobody can have. */
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "loop/resolve.h"

struct fixture {
    struct loop *loop;
    struct resolve resolve;
    uint32_t done;
};

static void resolved(struct resolve *r)
{
    struct fixture *f = container_of(r, struct fixture, resolve);
    f->done++;
    loop_stop(f->loop);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->loop = loop_new("test");
    f->resolve.done = resolved;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)loop_free(f->loop);
    mem_free(f);
    return 0;
}

static void first_text(const struct fixture *f, char text[64])
{
    struct buf buf = {.p = text, .cap = 63, .max = 63};
    assert_true(f->resolve.count > 0);
    address_format(&f->resolve.addresses[0], &buf);
    text[buf.n] = '\0';
}

static void test_numbers(void **state)
{
    struct fixture *f = *state;
    char text[64];
    resolve_start(f->loop, &f->resolve, STR("127.0.0.5"), 8300);
    assert_int_equal(f->done, 0);
    loop_run(f->loop);
    first_text(f, text);
    assert_string_equal(text, "127.0.0.5:8300");
    resolve_start(f->loop, &f->resolve, STR("::1"), 1);
    loop_run(f->loop);
    first_text(f, text);
    assert_string_equal(text, "[::1]:1");
    assert_int_equal(f->done, 2);
}

static void test_no_name(void **state)
{
    struct fixture *f = *state;
    resolve_start(f->loop, &f->resolve, STR("300.1.2.3.4"), 8300);
    loop_run(f->loop);
    assert_int_equal(f->resolve.count, 0);
    assert_int_equal(f->resolve.err.code, ERR_FAILED);
}

static void stop(struct loop_msg *msg)
{
    (void)msg;
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    struct loop_msg msg = {.run = stop};
    resolve_start(f->loop, &f->resolve, STR("127.0.0.5"), 8300);
    resolve_cancel(&f->resolve);
    resolve_cancel(&f->resolve);
    loop_post(f->loop, &msg);
    f->loop = loop_free(f->loop); /* runs what is left */
    assert_int_equal(f->done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
