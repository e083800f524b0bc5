/* The front end over real sockets, with routes of its own: the server runs on a thread, the test is
 * a client that writes bytes and reads bytes. */
#include "front_fixture.h"

#include <poll.h>
#include <zlib.h>

/* --- routes -------------------------------------------------------------------------------- */

/* Answers after some milliseconds. */
struct held {
    struct loop_timer timer;
    struct http_req *req;
};

static void held_fire(struct loop_timer *t)
{
    struct http_req *req = container_of(t, struct held, timer)->req;
    echo(req);
}

static void held_close(struct http_req *req)
{
    struct held *h = req->data;
    loop_timer_stop(loop, &h->timer);
    atomic_fetch_add(&canceled, 1);
}

static void hold(struct http_req *req)
{
    struct held *h = ARENA_NEW(req->arena, struct held);
    uint64_t ms = number_param(req, STR("ms"), 20);
    h->req = req;
    req->data = h;
    req->on_close = held_close;
    atomic_fetch_add(&requests_held, 1);
    loop_timer_start(loop, &h->timer, ms, held_fire);
}

static void fail_with(struct http_req *req)
{
    struct err err = {0};
    (void)err_set(&err, ERR_PERMISSION_DENIED, "Permission denied");
    http_error_from(req, &err);
}

static void options_of(struct http_req *req)
{
    struct query_options o;
    struct str datacenter;
    if (http_parse_query_options(req, &datacenter, &o)) {
        buf_printf(req->out, "%.*s %llu %lld %d%d %.*s", STRF(datacenter),
                   (unsigned long long)o.min_query_index, (long long)o.max_query_time,
                   o.allow_stale, o.require_consistent, STRF(o.token));
        http_finish(req, 200);
    }
}

static void header_injection(struct http_req *req)
{
    http_set_header(req, STR("X-Echo"), http_param_value(req, STR("v")));
    http_finish(req, 200);
}

static const struct http_route routes[] = {
    {"/v1/echo/", HTTP_GET | HTTP_PUT, "GET,PUT", HTTP_ROUTE_PREFIX, echo},
    {"/v1/echo/deep/", HTTP_GET, "GET", HTTP_ROUTE_PREFIX, json_answer},
    {"/v1/json", HTTP_GET, "GET", 0, json_answer},
    {"/v1/hold/", HTTP_GET | HTTP_PUT, "GET,PUT", HTTP_ROUTE_PREFIX, hold},
    {"/v1/fail", HTTP_GET, "GET", 0, fail_with},
    {"/v1/options", HTTP_GET, "GET", 0, options_of},
    {"/v1/header", HTTP_GET, "GET", 0, header_injection},
    {"/v1/blocked/x", HTTP_GET, "GET", 0, echo},
};

static const size_t routes_count = ARRAY_SIZE(routes);
static const struct http_route_set route_sets[] = {{routes, &routes_count}, {NULL, NULL}};

/* --- tests --------------------------------------------------------------------------------- */

static void test_get(void **state)
{
    (void)state;
    expect("GET /v1/echo/a%2fb?x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n",
           "\r\nVary: Accept-Encoding\r\nX-Consul-Default-Acl-Policy: allow\r\n",
           "\r\n\r\nGET /v1/echo/a/b [a/b] 0 ");
    expect("GET /v1/echo/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "\r\nContent-Length: 21\r\n",
           "");
    expect("GET /v1/echo/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "\r\nDate: ", "");
    expect("GET /v1/echo/deep/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n",
           "Content-Type: application/json\r\n", "\r\n\r\n[]");
    expect("GET /v1/json?n=1&pretty HTTP/1.1\r\n" CLOSE, "", "", "[\n    \"element\"\n]\n");
    expect("GET /v1/fail HTTP/1.1\r\n" CLOSE, "HTTP/1.1 403 Forbidden\r\n",
           "Content-Type: text/plain; charset=utf-8\r\n", "\r\n\r\nPermission denied");
    expect("GET http://h/v1/echo/y HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK", "", "[y] 0 ");
}

static void test_paths(void **state)
{
    (void)state;
    expect("GET /v1/echo/a//b?x=1 HTTP/1.1\r\n" CLOSE, "HTTP/1.1 301 ",
           "\r\nLocation: /v1/echo/a/b?x=1\r\n",
           "<a href=\"/v1/echo/a/b?x=1\">Moved Permanently</a>.\n\n");
    expect("PUT /v1/echo/../echo/c HTTP/1.1\r\n" CLOSE, "HTTP/1.1 301 ",
           "\r\nLocation: /v1/echo/c\r\n", "\r\n\r\n");
    expect("GET /v1/echo HTTP/1.1\r\n" CLOSE, "HTTP/1.1 301 ", "\r\nLocation: /v1/echo/\r\n", "");
    expect("GET /v1/echo/.. HTTP/1.1\r\n" CLOSE, "HTTP/1.1 301 ", "\r\nLocation: /v1\r\n", "");
    expect("GET /v1/json/ HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 ", "Content-Length: 0\r\n", "");
    /* Beside a longer pattern, before and behind it: what sorts next to a path need not be its. */
    expect("GET /v1/echo/deep HTTP/1.1\r\n" CLOSE, "HTTP/1.1 301 ", "Location: /v1/echo/deep/\r\n",
           "");
    expect("GET /v1/echo/deep-x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK", "", "[deep-x] 0 ");
    expect("GET /v1/echo/deeper HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK", "", "[deeper] 0 ");
    expect("GET /v1/echo/z HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK", "", "[z] 0 ");
    expect("GET /v1/echo/deep/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK", "application/json", "");
    expect("GET /v1/echoes HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 ", "Content-Length: 0\r\n", "");
    expect("GET /v1/nothing HTTP/1.1\r\n" CLOSE, "HTTP/1.1 404 ", "Content-Length: 0\r\n", "");
    expect("GET / HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK", "", "\r\n\r\nConsul Agent");
    expect("GET /v1/echo/%0a HTTP/1.1\r\n" CLOSE, "HTTP/1.1 400 Bad Request\r\n",
           "Content-Length: 0\r\n", "\r\n\r\n");
    expect("GET /v1/echo/%c2%a0 HTTP/1.1\r\n" CLOSE, "HTTP/1.1 400 Bad Request\r\n", "",
           "\r\n\r\n");
    expect("GET /v1/echo/%c3%a9 HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK", "", "");
    expect("GET /v1/json?x=%zz HTTP/1.1\r\n" CLOSE, "HTTP/1.1 500 ", "Content-Length: 0\r\n", "");
    expect("OPTIONS * HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK", "Content-Length: 0\r\n", "");
}

static void test_methods(void **state)
{
    (void)state;
    expect("OPTIONS /v1/echo/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK",
           "\r\nAllow: OPTIONS,GET,PUT\r\n", "\r\n\r\n");
    expect("DELETE /v1/json HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 Method Not Allowed\r\n",
           "\r\nAllow: OPTIONS,GET\r\n", "\r\n\r\nmethod DELETE not allowed");
    expect("HEAD /v1/json HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 ", "\r\nContent-Length: 23\r\n",
           "\r\n\r\n");
    expect("BOGUS /v1/json HTTP/1.1\r\n" CLOSE, "HTTP/1.1 405 ", "", "method BOGUS not allowed");
}

static void test_malformed(void **state)
{
    (void)state;
    expect("GET\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n",
           "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n",
           "\r\n\r\n400 Bad Request");
    expect("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request: missing required Host header\r\n",
           "", "\r\n\r\n400 Bad Request: missing required Host header");
    expect("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "",
           "400 Bad Request");
    expect("PUT /v1/echo/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           "HTTP/1.1 400 Bad Request\r\n", "", "400 Bad Request");
    expect("PUT /v1/echo/x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
           "HTTP/1.1 413 Request Entity Too Large\r\n", "", "");
    expect("PUT /v1/echo/x HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n",
           "HTTP/1.1 417 Expectation Failed\r\n", "", "");
    expect("PUT /v1/echo/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n",
           "HTTP/1.1 501 Not Implemented\r\n", "", "\r\n\r\nUnsupported transfer encoding");
}

static void test_header_values_cannot_end_the_line(void **state)
{
    (void)state;
    expect("GET /v1/header?v=a%0d%0aB:+c HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n",
           "\r\nX-Echo: a  B: c\r\n", "");
}

static void test_http_1_0(void **state)
{
    (void)state;
    expect("GET /v1/echo/x HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n",
           "\r\nContent-Length: ", "[x] 0 ");
    expect("GET /v1/echo/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
           "GET /v1/echo/y HTTP/1.0\n\n",
           "HTTP/1.0 200 OK\r\n", "\r\nConnection: keep-alive\r\n", "[y] 0 ");
}

static void test_pipelining(void **state)
{
    (void)state;
    struct buf in = {0};
    for (int i = 0; i < 500; i++) {
        buf_printf(&in, "%s /v1/%s/%d%s HTTP/1.1\r\nHost: x\r\n", i % 3 == 1 ? "PUT" : "GET",
                   i % 100 == 50 ? "hold" : "echo", i, i % 100 == 50 ? "?ms=1" : "");
        if (i % 3 == 1) {
            buf_lit(&in, "Content-Length: 4\r\n\r\nbody");
        } else {
            buf_lit(&in, "\r\n");
        }
    }
    buf_lit(&in, "GET /v1/echo/last HTTP/1.1\r\n" CLOSE "\0");
    struct buf out = ask(in.p);
    struct str got = buf_view(&out);
    assert_int_equal(count_of(got, "HTTP/1.1 200 OK\r\n"), 501);
    for (int i = 0; i < 500; i++) { /* in order */
        char tail[32];
        (void)snprintf(tail, sizeof(tail), "[%d] ", i);
        ptrdiff_t at = str_find(got, str_from_cstr(tail));
        assert_true(at >= 0);
        got = str_from(got, (size_t)at + 1);
    }
    assert_true(str_has_suffix(buf_view(&out), STR("[last] 0 ")));
    buf_deinit(&in);
    buf_deinit(&out);
}

/* Each byte by itself, so that every place is once the end of what was read. */
static void test_byte_by_byte(void **state)
{
    (void)state;
    int fd = dial();
    struct str in = STR("PUT /v1/echo/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                        "3\r\nabc\r\n2;e\r\nde\r\n0\r\n\r\n"
                        "PUT /v1/echo/y HTTP/1.1\r\nContent-Length: 3\r\n" CLOSE "xyz");
    int on = 1;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof(on)), 0);
    for (size_t i = 0; i < in.n; i++) {
        put(fd, str_make(in.p + i, 1));
    }
    struct buf out = get_all(fd);
    assert_true(str_contains(buf_view(&out), STR("[x] 5 abcde")));
    assert_true(str_has_suffix(buf_view(&out), STR("[y] 3 xyz")));
    buf_deinit(&out);
    close(fd);
}

static void test_expect_continue(void **state)
{
    (void)state;
    int fd = dial();
    put_text(fd, "PUT /v1/echo/x HTTP/1.1\r\nExpect: 100-continue\r\n"
                 "Content-Length: 2\r\n" CLOSE);
    char got[64];
    struct str wanted = STR("HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(recv(fd, got, wanted.n, MSG_WAITALL), wanted.n);
    assert_str_equal(str_make(got, wanted.n), wanted);
    put_text(fd, "hi");
    struct buf out = get_all(fd);
    assert_true(str_has_suffix(buf_view(&out), STR("[x] 2 hi")));
    buf_deinit(&out);
    close(fd);
}

static void test_gzip(void **state)
{
    (void)state;
    struct buf out =
        ask("GET /v1/json?n=1000 HTTP/1.1\r\nAccept-Encoding: deflate, gzip\r\n" CLOSE);
    struct str got = buf_view(&out);
    assert_true(str_contains(got, STR("\r\nContent-Encoding: gzip\r\n")));
    struct str body = str_from(got, (size_t)str_find(got, STR("\r\n\r\n")) + 4);
    char plain[20000];
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body.p,
                  .avail_in = (uInt)body.n,
                  .next_out = (Bytef *)plain,
                  .avail_out = sizeof(plain)};
    assert_int_equal(inflateInit2(&z, 31), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, 2 + 1000 * 10 - 1);
    inflateEnd(&z);
    buf_deinit(&out);
    out = ask("GET /v1/json?n=1000 HTTP/1.1\r\nAccept-Encoding: gzip;q=0\r\n" CLOSE);
    assert_false(str_contains(buf_view(&out), STR("Content-Encoding")));
    buf_deinit(&out);
    out = ask("GET /v1/json?n=10 HTTP/1.1\r\nAccept-Encoding: gzip\r\n" CLOSE);
    assert_false(str_contains(buf_view(&out), STR("Content-Encoding")));
    buf_deinit(&out);
}

static void test_client_leaves_while_waiting(void **state)
{
    (void)state;
    int fd = dial();
    put_text(fd, "GET /v1/hold/x?ms=600000 HTTP/1.1\r\nHost: x\r\n\r\n");
    while (atomic_load(&requests_held) == 0) {
        usleep(1000);
    }
    /* A reset is seen at once; a quiet end only by requests that are parked. */
    const struct linger hard = {.l_onoff = 1};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
    while (atomic_load(&canceled) == 0) {
        usleep(1000);
    }
}

static void test_half_closed(void **state)
{
    (void)state;
    int fd = dial();
    put_text(fd, "GET /v1/hold/x?ms=30 HTTP/1.1\r\nHost: x\r\n\r\n"
                 "GET /v1/echo/y HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    struct buf out = get_all(fd);
    assert_true(str_contains(buf_view(&out), STR("[x] 0 ")));
    buf_deinit(&out);
    close(fd);
}

static void test_query_options(void **state)
{
    (void)state;
    expect("GET /v1/options?index=5&wait=10s&dc=dc2&stale HTTP/1.1\r\nX-Consul-Token: t1\r\n" CLOSE,
           "HTTP/1.1 200 OK", "", "dc2 5 10000000000 10 t1");
    expect("GET /v1/options?token=t2 HTTP/1.1\r\nX-Consul-Token: t1\r\n" CLOSE, "HTTP/1.1 200 OK",
           "", "dc1 0 0 00 t2");
    expect("GET /v1/options HTTP/1.1\r\nAuthorization: bearer  t3 x\r\n" CLOSE, "HTTP/1.1 200 OK",
           "", "dc1 0 0 00 t3");
    expect("GET /v1/options?wait=x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 400 ", "", "Invalid wait time");
    expect("GET /v1/options?index=-1 HTTP/1.1\r\n" CLOSE, "HTTP/1.1 400 ", "", "Invalid index");
    expect("GET /v1/options?stale&consistent HTTP/1.1\r\n" CLOSE, "HTTP/1.1 400 ", "",
           "Cannot specify ?stale with ?consistent, conflicting semantics.");
    expect("GET /v1/options?max_stale=x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 400 ", "",
           "Invalid max_stale value \"x\"");
    expect("GET /v1/options HTTP/1.1\r\nCache-Control: max-age=x\r\n" CLOSE, "HTTP/1.1 400 ", "",
           "Invalid Cache-Control header.");
}

static void test_configured(void **state)
{
    (void)state;
    stop();
    struct strpair header = {STR("x-test"), STR("yes")};
    struct str blocked = STR("/v1/blocked");
    start(&(struct http_options){.response_headers = {&header, 1},
                                 .block_endpoints = {&blocked, 1},
                                 .is_dev = true,
                                 .ui_content_path = STR("/ui/"),
                                 .max_header_bytes = 300});
    expect("GET /v1/json HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "\r\nX-Test: yes\r\n",
           "\r\n\r\n[]\n");
    expect("GET /v1/blocked/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 403 ", "",
           "Endpoint is blocked by agent configuration");
    expect("GET / HTTP/1.1\r\n" CLOSE, "HTTP/1.1 301 ", "\r\nLocation: /ui/\r\n",
           "<a href=\"/ui/\">Moved Permanently</a>.\n\n");
    expect("GET /ui HTTP/1.1\r\n" CLOSE, "HTTP/1.1 301 ", "\r\nLocation: /ui/\r\n", "");
    /* The limit is of what is read beyond the first piece. */
    static const size_t sizes[] = {HTTP1_HEAD_SLACK, HTTP1_HEAD_SLACK + 300};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct buf in = {0};
        buf_lit(&in, "GET / HTTP/1.1\r\nX: ");
        buf_fill(&in, 'x', sizes[i]);
        buf_lit(&in, "\r\n" CLOSE "\0");
        expect(in.p, i == 0 ? "HTTP/1.1 301 " : "HTTP/1.1 431 Request Header Fields Too Large\r\n",
               "", "");
        buf_deinit(&in);
    }
}

static void test_write_access(void **state)
{
    (void)state;
    struct config_cidr network = {.ip = {10}, .ip_size = 4, .bits = 8};
    stop();
    start(&(struct http_options){.allow_write_from = {&network, 1}});
    expect("GET /v1/echo/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "", "");
    expect("PUT /v1/echo/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 403 ", "", "Access is restricted");
    stop();
    network = (struct config_cidr){.ip = {126}, .ip_size = 4, .bits = 7};
    start(&(struct http_options){.allow_write_from = {&network, 1}});
    expect("PUT /v1/echo/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n", "", "");
}

static void test_connections_per_client(void **state)
{
    (void)state;
    http_front_set_max_conns(front, 2);
    int a = dial(), b = dial();
    put_text(a, "GET /v1/echo/x HTTP/1.1\r\nHost: x\r\n\r\n");
    put_text(b, "GET /v1/echo/x HTTP/1.1\r\nHost: x\r\n\r\n");
    char byte;
    assert_int_equal(recv(a, &byte, 1, 0), 1);
    assert_int_equal(recv(b, &byte, 1, 0), 1);
    int fd = dial();
    struct buf out = get_all(fd);
    assert_true(str_has_prefix(buf_view(&out), STR("HTTP/1.1 429 Too Many Requests\r\n")));
    assert_true(str_has_suffix(buf_view(&out), STR("please rate limit your calls\n")));
    buf_deinit(&out);
    close(fd);
    close(a);
    /* There is room again once the server has noticed. */
    for (bool room = false; !room;) {
        fd = dial();
        (void)send(fd, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL);
        char start[15] = {0};
        (void)recv(fd, start, 14, MSG_WAITALL);
        room = strncmp(start, "HTTP/1.0 200 ", 13) == 0;
        close(fd);
    }
    close(b);
}

static void test_clean_path(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to; /* NULL: clean */
    } cases[] = {
        {"/", NULL},        {"/a", NULL},      {"/a/", NULL},       {"/a/.b/..c/d.", NULL},
        {"", "/"},          {"*", "/*"},       {"//", "/"},         {"/a//b/", "/a/b/"},
        {"/a/./b", "/a/b"}, {"/a/../b", "/b"}, {"/..", "/"},        {"/../../a", "/a"},
        {"/a/.", "/a"},     {"/a/b/..", "/a"}, {"/a/b/../", "/a/"}, {"/./", "/"},
    };
    struct arena arena = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct str to;
        bool changed = http_clean_path(&arena, str_from_cstr(cases[i].from), &to);
        assert_int_equal(changed, cases[i].to != NULL);
        if (changed) {
            assert_str_equal(to, str_from_cstr(cases[i].to));
        }
    }
    arena_deinit(&arena);
}

/* What 1.10.3 answered, recorded; the timeout is not waited for where an answer comes. */
static void test_no_certificate(void **state)
{
    (void)state;
    static const char hello[] = "\x16\x03\x01\x00\x2a\x01\x00\x00\x26\x03\x03"
                                "0123456789abcdef0123456789abcdef\x00\x00\x00\x00";
    const struct {
        struct str sent, answer;
    } cases[] = {
        {str_make(hello, sizeof(hello) - 1), STR("\x15\x03\x03\x00\x02\x02\x70")},
        {STR("\x16\x03\x01\x00\x10\x02\x00\x00\x0c"
             "aaaaaaaaaaaa"),
         STR("\x15\x03\x01\x00\x02\x02\x0a")},
        {STR("\x16\x03\x01\x00\x10\x01\x00\x00\x0c"
             "aaaaaaaaaaaa"),
         STR("\x15\x03\x01\x00\x02\x02\x0a")},
        {STR("\x16\x03\x01\x00\x00"), STR("\x15\x03\x01\x00\x02\x02\x0a")},
        {STR("\x16\x07\x01\x00\x04"
             "aaaa"),
         STR("\x15\x03\x01\x00\x02\x02\x50")},
        {STR("\x16\x03\x01\xff\xff"), STR("\x15\x03\x01\x00\x02\x02\x16")},
        {STR("\x16\x13\x01\x00\x04"), STR("")},
        {STR("\x15\x03\x01\x00\x02\x02\x28"), STR("")},
        {STR("DELETE /v1/kv/a HTTP/1.1\r\n\r\n"), STR("")},
        {STR("PUT /v1/kv/a HTTP/1.1\r\n\r\n"),
         STR("HTTP/1.0 400 Bad Request\r\n\r\n"
             "Client sent an HTTP request to an HTTPS server.\n")},
    };
    start(&(struct http_options){.https_handshake_timeout_ms = 60000});
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            int fd = dial();
            size_t step = bytewise ? 1 : cases[i].sent.n;
            for (size_t k = 0; k < cases[i].sent.n; k += step) {
                (void)send(fd, cases[i].sent.p + k, step, MSG_NOSIGNAL); /* it may have ended */
            }
            struct buf got = get_all_or_reset(fd);
            assert_str_equal(buf_view(&got), cases[i].answer);
            buf_deinit(&got);
            close(fd);
        }
    }
    /* One that says nothing is there until the end; and one that leaves is forgotten. */
    int silent = dial(), gone = dial();
    put_text(gone, "\x16");
    close(gone);
    stop();
    close(silent);

    start(&(struct http_options){.https_handshake_timeout_ms = 20});
    int fd = dial();
    put(fd, STR("\x16\x03\x01"));
    struct buf got = get_all(fd);
    assert_int_equal(got.n, 0);
    buf_deinit(&got);
    close(fd);
    stop();

    start(&(struct http_options){.https_handshake_timeout_ms = 60000, .max_conns_per_client = 1});
    int first = dial();
    fd = dial();
    got = get_all(fd);
    assert_int_equal(got.n, 0);
    buf_deinit(&got);
    close(fd);
    close(first);
    stop();
}

static void test_accept_encoding(void **state)
{
    (void)state;
    assert_true(http_accepts_gzip(STR("gzip")));
    assert_true(http_accepts_gzip(STR("br, GZIP ;q=0.5")));
    assert_false(http_accepts_gzip(STR("")));
    assert_false(http_accepts_gzip(STR("br")));
    assert_false(http_accepts_gzip(STR("gzip;q=0.0")));
    assert_false(http_accepts_gzip(STR("gzip;q=x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_path),
        cmocka_unit_test(test_accept_encoding),
        cmocka_unit_test(test_no_certificate),
        SERVED(test_get),
        SERVED(test_paths),
        SERVED(test_methods),
        SERVED(test_malformed),
        SERVED(test_header_values_cannot_end_the_line),
        SERVED(test_http_1_0),
        SERVED(test_pipelining),
        SERVED(test_byte_by_byte),
        SERVED(test_expect_continue),
        SERVED(test_gzip),
        SERVED(test_client_leaves_while_waiting),
        SERVED(test_half_closed),
        SERVED(test_query_options),
        SERVED(test_configured),
        SERVED(test_write_access),
        SERVED(test_connections_per_client),
    };
    front_routes = route_sets;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
