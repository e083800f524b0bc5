#include "test.h"

#include "proto/h2_ping.h"

#define BYTES(literal) str_make("" literal, sizeof(literal) - 1)
#define SETTINGS BYTES("\0\0\0\004\0\0\0\0\0")
#define SETTINGS_ACK BYTES("\0\0\0\004\001\0\0\0\0")
#define ANSWER BYTES("\0\0\010\006\001\0\0\0\0opaque!!")

static struct h2_ping ping;
static struct buf out;

static int setup(void **state)
{
    (void)state;
    out = (struct buf){0};
    h2_ping_begin(&ping, "opaque!!", &out);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    h2_ping_deinit(&ping);
    buf_deinit(&out);
    return 0;
}

static void test_opening(void **state)
{
    (void)state;
    assert_str_equal(
        buf_view(&out),
        BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\004\0\0\0\0\0\0\0\010\006\0\0\0\0"
              "\0opaque!!"));
}

static void test_answer_byte_by_byte(void **state)
{
    (void)state;
    struct buf in = {0};
    buf_clear(&out);
    buf_str(&in, SETTINGS);
    buf_str(&in, BYTES("\0\0\004\010\0\0\0\0\0\0\0\0\001")); /* WINDOW_UPDATE: skipped */
    buf_str(&in, BYTES("\0\0\010\006\001\0\0\0\0another!")); /* the answer to another ping */
    buf_str(&in, ANSWER);
    for (size_t i = 0; i < in.n; i++) {
        assert_int_equal(ping.state, H2_PING_WAITING);
        h2_ping_feed(&ping, str_make(in.p + i, 1), &out);
    }
    assert_int_equal(ping.state, H2_PING_ANSWERED);
    assert_str_equal(buf_view(&out), SETTINGS_ACK);
    buf_deinit(&in);
}

static void test_their_ping_is_answered(void **state)
{
    (void)state;
    buf_clear(&out);
    h2_ping_feed(&ping, BYTES("\0\0\010\006\0\0\0\0\0abcdefgh"), &out);
    assert_int_equal(ping.state, H2_PING_WAITING);
    assert_str_equal(buf_view(&out), BYTES("\0\0\010\006\001\0\0\0\0abcdefgh"));
}

static void test_failures(void **state)
{
    (void)state;
    h2_ping_feed(&ping, BYTES("\0\0\0\007\0\0\0\0\0"), &out);
    assert_int_equal(ping.state, H2_PING_FAILED);
    assert_non_null(strstr(ping.error, "GOAWAY"));
    h2_ping_deinit(&ping);
    h2_ping_begin(&ping, "opaque!!", &out);
    h2_ping_feed(&ping, BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"), &out);
    assert_int_equal(ping.state, H2_PING_FAILED);
    assert_string_equal(ping.error, "http2: frame too large");
    h2_ping_deinit(&ping);
    h2_ping_begin(&ping, "opaque!!", &out);
    h2_ping_feed(&ping, STR(""), &out);
    assert_string_equal(ping.error, "http2: client connection lost");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opening, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answer_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_their_ping_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
