#include "test.h"

#include "base/buf.h"
#include "base/err.h"
#include "proto/http1.h"

static const struct http1_limits limits = {HTTP1_HEAD_SIZE_MAX_DEFAULT, 20};

static int setup(void **state)
{
    static struct arena arena;
    arena = (struct arena){0};
    *state = &arena;
    return 0;
}

static int teardown(void **state)
{
    arena_deinit(*state);
    return 0;
}

static struct http1_head parse(struct arena *a, const char *text)
{
    struct http1_head head = {0};
    struct http1_error error = {0};
    struct http1_scan scan = {0};
    struct str in = str_from_cstr(text);
    assert_int_equal(http1_head_size(&scan, in, &limits), in.n);
    if (http1_parse_head(in, a, &limits, &head, &error) < 0) {
        fail_msg("%s", error.text);
    }
    return head;
}

static void expect_error(struct arena *a, const char *text, int status, const char *words)
{
    struct http1_head head = {0};
    struct http1_error error = {0};
    int r = http1_parse_head(str_from_cstr(text), a, &limits, &head, &error);
    if (r != -ERR_INVALID) {
        fail_msg("accepted: %s", text);
    }
    assert_int_equal(error.status, status);
    assert_string_equal(error.text, words);
}

static void test_simple(void **state)
{
    struct http1_head h = parse(*state, "GET /v1/kv/a?raw HTTP/1.1\r\nHost: x:8500\r\n"
                                        "X-Consul-Token:  t \r\nAccept: */*\r\n\r\n");
    assert_str_lit(h.method, "GET");
    assert_str_lit(h.target, "/v1/kv/a?raw");
    assert_int_equal(h.minor, 1);
    assert_int_equal(h.headers_count, 3);
    assert_str_lit(h.host, "x:8500");
    assert_str_lit(h.headers[1].name, "X-Consul-Token");
    assert_str_lit(h.headers[1].value, "t");
    assert_true(h.keep_alive);
    assert_false(h.has_content_length || h.chunked || h.expect_continue);
}

static void test_versions_and_connection(void **state)
{
    assert_false(parse(*state, "GET / HTTP/1.0\n\n").keep_alive);
    assert_true(parse(*state, "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
    assert_false(
        parse(*state, "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n").keep_alive);
    assert_true(parse(*state, "GET / HTTP/1.2\r\nHost: a\r\n\r\n").keep_alive);
    expect_error(*state, "GET / HTTP/2.0\r\n\r\n", 505,
                 "505 HTTP Version Not Supported: unsupported protocol version");
    expect_error(*state, "GET / HTTP/1.1x\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, "GET / HTTP/11\r\n\r\n", 400, "400 Bad Request");
}

static void test_request_line(void **state)
{
    expect_error(*state, "\r\n", 400, "400 Bad Request");
    expect_error(*state, "GET\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, "GET /\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, "GET / x HTTP/1.1\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, "G(T / HTTP/1.1\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, " GET / HTTP/1.1\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, "GET / HTTP/1.1\r\n\r\n", 400,
                 "400 Bad Request: missing required Host header");
    expect_error(*state, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400,
                 "400 Bad Request: malformed Host header");
}

/* Whatever two programs could read differently. */
static void test_smuggling(void **state)
{
#define H "POST / HTTP/1.1\r\nHost: a\r\n"
    expect_error(*state, H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
                 "400 Bad Request");
    expect_error(*state, H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400,
                 "400 Bad Request");
    expect_error(*state, H "Content-Length: +5\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, H "Content-Length: 5, 5\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, H "Content-Length:\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, H "Content-Length: 99999999999999999999\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "501 Not Implemented");
    expect_error(*state, H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501,
                 "501 Not Implemented");
    expect_error(*state, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
                 "400 Bad Request");
    expect_error(*state, H "Content-Length : 5\r\n\r\n", 400,
                 "400 Bad Request: invalid header name");
    expect_error(*state, H "X: a\rb\r\n\r\n", 400, "400 Bad Request: invalid header value");
    expect_error(*state, H "X: a\r\n b\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, H "X: a\r\n b: c\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, H "X\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, H ": x\r\n\r\n", 400, "400 Bad Request");
    expect_error(*state, H "X: a\x01\r\n\r\n", 400, "400 Bad Request: invalid header value");
    assert_int_equal(
        parse(*state, H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n").content_length, 5);
    assert_true(parse(*state, H "Transfer-Encoding: Chunked\r\n\r\n").chunked);
    assert_true(parse(*state, H "Expect: 100-Continue\r\n\r\n").expect_continue);
    assert_true(parse(*state, H "Expect: tea\r\n\r\n").expect_unknown);
#undef H
}

static void test_limits(void **state)
{
    struct buf b = {0};
    buf_lit(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 19; i++) {
        buf_lit(&b, "X: y\r\n");
    }
    size_t n = b.n;
    buf_lit(&b, "\r\n\0");
    (void)parse(*state, b.p);
    b.n = n;
    buf_lit(&b, "X: y\r\n\r\n\0");
    expect_error(*state, b.p, 431, "431 Request Header Fields Too Large");
    buf_deinit(&b);

    const struct http1_limits small = {16, 10};
    struct http1_scan scan = {0};
    assert_int_equal(http1_head_size(&scan, STR("GET / HTTP/1.1\r\nX"), &small), -ERR_TOO_LARGE);
    scan = (struct http1_scan){0};
    assert_int_equal(http1_head_size(&scan, STR("GET / HTTP/1.1\r"), &small), 0);
    scan = (struct http1_scan){0};
    assert_int_equal(http1_head_size(&scan, STR("\x16\x03\x01"), &small), -ERR_INVALID);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    struct str in = STR("PUT /x HTTP/1.1\r\nHost: a\nContent-Length: 1\r\n\r\nbody");
    struct http1_scan scan = {0};
    size_t head = in.n - 4;
    for (size_t n = 0; n < in.n; n++) {
        ptrdiff_t r = http1_head_size(&scan, str_first(in, n), &limits);
        if (n < head) {
            assert_int_equal(r, 0);
        } else {
            assert_int_equal(r, head);
            break;
        }
    }
}

static void expect_target(struct arena *a, const char *target, const char *path, const char *query)
{
    struct str got_path, got_query;
    assert_ok(http1_parse_target(str_from_cstr(target), a, &got_path, &got_query));
    assert_str_equal(got_path, str_from_cstr(path));
    assert_str_equal(got_query, str_from_cstr(query));
}

static void test_targets(void **state)
{
    struct str p, q;
    expect_target(*state, "/v1/kv/a%20b%2Fc?x=%41", "/v1/kv/a b/c", "x=%41");
    expect_target(*state, "/a?b?c", "/a", "b?c");
    expect_target(*state, "http://host:1/a/b?c", "/a/b", "c");
    expect_target(*state, "http://host", "", "");
    expect_target(*state, "*", "*", "");
    expect_target(*state, "/+", "/+", "");
    assert_true(http1_parse_target(STR("/%"), *state, &p, &q) < 0);
    assert_true(http1_parse_target(STR("/%4"), *state, &p, &q) < 0);
    assert_true(http1_parse_target(STR("/%g0"), *state, &p, &q) < 0);
    assert_true(http1_parse_target(STR("/\x01"), *state, &p, &q) < 0);
    assert_true(http1_parse_target(STR("host:80"), *state, &p, &q) < 0);
    assert_true(http1_parse_target(STR("?x"), *state, &p, &q) < 0);
    struct buf b = {0};
    http1_escape_path(&b, STR("/a b/\xc3\xa9?!:@"));
    assert_str_lit(buf_view(&b), "/a%20b/%C3%A9%3F%21:@");
    buf_deinit(&b);
}

static void test_chunked(void **state)
{
    (void)state;
    struct str in = STR("5\r\nhello\r\n1;x=\"y\"\r\n \r\nA\nworldworld\n0\r\nT: x\r\n\r\nGET");
    /* Whole, and cut in two at every place. */
    for (size_t cut = 0; cut <= in.n; cut++) {
        struct http1_chunked c = {0};
        struct buf out = {0};
        ptrdiff_t n = http1_chunked_decode(&c, str_first(in, cut), &out);
        assert_true(n >= 0 && (c.done || n == (ptrdiff_t)cut));
        if (!c.done) {
            ptrdiff_t m = http1_chunked_decode(&c, str_from(in, cut), &out);
            assert_true(m >= 0);
            n += m;
        }
        assert_true(c.done);
        assert_int_equal(n, in.n - 3);
        assert_str_lit(buf_view(&out), "hello worldworld");
        buf_deinit(&out);
    }
}

static void test_chunked_errors(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "x",           "\r\n",
        "5\r\nhelloX", "5\rX",
        " 5\r\n",      "5x\r\n",
        "-1\r\n",      "0x5\r\n",
        "0\r\n x",     "10000000000000000\r\n",
        "5;\x01\r\n",  "0\r\nA: \x01\r\n",
        "0\r\n\rX",
    };
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct http1_chunked c = {0};
        struct buf out = {0};
        if (http1_chunked_decode(&c, str_from_cstr(wrong[i]), &out) >= 0) {
            fail_msg("accepted: %s", wrong[i]);
        }
        buf_deinit(&out);
    }
    /* An endless line and endless trailers are cut off. */
    struct http1_chunked c = {0};
    struct buf out = {0}, in = {0};
    buf_lit(&in, "1;");
    buf_fill(&in, 'x', HTTP1_CHUNK_LINE_SIZE_MAX);
    assert_true(http1_chunked_decode(&c, buf_view(&in), &out) < 0);
    buf_clear(&in);
    buf_lit(&in, "0\r\n");
    for (size_t i = 0; i < HTTP1_TRAILERS_SIZE_MAX / 4; i++) {
        buf_lit(&in, "a:b\n");
    }
    buf_lit(&in, "a:b\n");
    c = (struct http1_chunked){0};
    assert_true(http1_chunked_decode(&c, buf_view(&in), &out) < 0);
    buf_deinit(&in);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_simple, setup, teardown),
        cmocka_unit_test_setup_teardown(test_versions_and_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_smuggling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test_setup_teardown(test_targets, setup, teardown),
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_chunked_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
