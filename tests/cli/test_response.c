#include "test.h"

#include "cli/response.h"

static struct arena arena;

/* The whole input, cut into pieces of `step` bytes; then the end of the connection. */
static int feed(struct response_parser *p, const char *input, size_t step, struct err *err)
{
    struct str rest = str_from_cstr(input);
    int rc = 0;
    while (rc == 0 && !p->done && rest.n > 0) {
        rc = response_feed(p, str_first(rest, step), err);
        rest = str_from(rest, step);
    }
    return rc == 0 && !p->done ? response_end(p, err) : rc;
}

static void assert_answer(const char *input, int status, const char *body)
{
    size_t size = strlen(input);
    for (size_t step = 1; step <= size; step = step * 2 + 1) {
        struct response_parser p;
        struct err err = {0};
        response_init(&p, &arena, false, NULL, NULL);
        if (feed(&p, input, step, &err) < 0) {
            fail_msg("\"%s\" in steps of %zu: %s", input, step, err_text(&err));
        }
        assert_int_equal(p.response.status, status);
        assert_str_equal(p.response.body, str_from_cstr(body));
        response_deinit(&p);
    }
    arena_reset(&arena);
}

static void assert_bad(const char *input, const char *text)
{
    struct response_parser p;
    struct err err = {0};
    response_init(&p, &arena, false, NULL, NULL);
    assert_true(feed(&p, input, 7, &err) < 0);
    assert_string_equal(err_text(&err), text);
    response_deinit(&p);
    arena_reset(&arena);
}

static void test_framing(void **state)
{
    (void)state;
    assert_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello");
    assert_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", 200, "hello");
    assert_answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "");
    assert_answer("HTTP/1.1 404 Not Found\nContent-Length: 1\n\nx", 404, "x");
    assert_answer("HTTP/1.1 500\r\n\r\nto the end", 500, "to the end");
    assert_answer("HTTP/1.0 200 OK\r\n\r\n", 200, "");
    assert_answer("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
    assert_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
                  200, "abcde");
    assert_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200,
                  "x");
}

static void test_headers(void **state)
{
    (void)state;
    struct response_parser p;
    struct err err = {0};
    response_init(&p, &arena, false, NULL, NULL);
    assert_ok(
        feed(&p, "HTTP/1.1 200 OK\r\nX-Consul-Index:  42 \r\nContent-Length: 0\r\n\r\n", 5, &err));
    assert_str_lit(client_response_header(&p.response, STR("x-consul-index")), "42");
    assert_null(client_response_header(&p.response, STR("X-Cache")).p);
    response_deinit(&p);
    arena_reset(&arena);
}

static void test_no_content(void **state)
{
    (void)state;
    struct response_parser p;
    struct err err = {0};
    response_init(&p, &arena, true, NULL, NULL);
    assert_ok(feed(&p, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 100, &err));
    assert_true(p.done);
    response_deinit(&p);
    arena_reset(&arena);
}

static void test_malformed(void **state)
{
    (void)state;
    assert_bad("", "EOF");
    assert_bad("HTTP/1.1 200 OK\r\n", "unexpected EOF");
    assert_bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "unexpected EOF");
    assert_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc", "unexpected EOF");
    assert_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
               "malformed chunked encoding");
    assert_bad("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
               "unsupported transfer encoding: \"gzip\"");
    assert_bad("SSH-2.0-OpenSSH\r\n\r\n", "malformed HTTP response \"SSH-2.0-OpenSSH\"");
    assert_bad("HTTP/1.1 2x0 OK\r\n\r\n", "malformed HTTP status code \"2x0\"");
    assert_bad("HTTP/1.1 099 OK\r\n\r\n", "malformed HTTP status code \"099\"");
    assert_bad("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed HTTP header \"no colon\"");
    assert_bad("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "bad Content-Length \"-1\"");
}

static void test_head_is_bounded(void **state)
{
    (void)state;
    static char big[CLIENT_HEAD_SIZE_MAX + 100];
    memset(big, 'a', sizeof(big) - 1);
    memcpy(big, "HTTP/1.1 200 OK\r\nX: ", 20);
    struct response_parser p;
    struct err err = {0};
    response_init(&p, &arena, false, NULL, NULL);
    assert_int_equal(feed(&p, big, 4096, &err), -ERR_TOO_LARGE);
    response_deinit(&p);
    arena_reset(&arena);
}

static int collect(void *data, struct str bytes)
{
    struct buf *to = data;
    buf_str(to, bytes);
    return to->n > 6 ? -1 : 0;
}

static void test_streaming(void **state)
{
    (void)state;
    struct response_parser p;
    struct err err = {0};
    struct buf got = {0};
    response_init(&p, &arena, false, collect, &got);
    assert_ok(feed(&p, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef", 3, &err));
    assert_str_lit(buf_view(&got), "abcdef");
    assert_int_equal(p.response.body.n, 0);
    response_deinit(&p);
    buf_clear(&got); /* it may end the answer */
    response_init(&p, &arena, false, collect, &got);
    assert_int_equal(feed(&p, "HTTP/1.1 200 OK\r\n\r\nabcdefghijkl", 3, &err), -ERR_CANCELED);
    response_deinit(&p);
    buf_clear(&got); /* errors are collected as ever */
    response_init(&p, &arena, false, collect, &got);
    assert_ok(feed(&p, "HTTP/1.1 403 Forbidden\r\n\r\nno", 3, &err));
    assert_int_equal(got.n, 0);
    assert_str_lit(p.response.body, "no");
    response_deinit(&p);
    buf_deinit(&got);
    arena_reset(&arena);
}

static int deinit(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),         cmocka_unit_test(test_headers),
        cmocka_unit_test(test_no_content),      cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_head_is_bounded), cmocka_unit_test(test_streaming),
    };
    return cmocka_run_group_tests(tests, NULL, deinit);
}
