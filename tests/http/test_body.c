/* Bodies: large ones, in pieces, streamed both ways, and their bounds. */
#include "front_fixture.h"

/* --- routes ---------------------------------------------------------------------------------- */

static void limited(struct http_req *req)
{
    http_error(req, req->body_size > 10 ? 413 : 200, "%llu announced, %zu read",
               (unsigned long long)req->body_size, req->body.n);
}

/* Adds up a body as it comes; ?pause: some milliseconds between two pieces, ?stop: no more after so
 * many bytes, ?end: finished before it comes. */
struct sink {
    struct loop_timer timer;
    struct http_req *req;
    uint64_t size, sum;
};

static void sink_resume(struct loop_timer *t)
{
    http_body_resume(container_of(t, struct sink, timer)->req);
}

static void sink_close(struct http_req *req)
{
    struct sink *s = req->data;
    loop_timer_stop(loop, &s->timer);
    atomic_fetch_add(&canceled, 1);
}

static void sink_body(struct http_req *req, struct str piece, bool is_last)
{
    struct sink *s = req->data;
    assert_false(loop_timer_is_active(&s->timer)); /* nothing comes while it is paused */
    for (size_t i = 0; i < piece.n; i++) {
        s->sum = s->sum * 31 + (uint8_t)piece.p[i];
    }
    s->size += piece.n;
    if (is_last || s->size > number_param(req, STR("stop"), UINT64_MAX)) {
        buf_printf(req->out, "%llu bytes, %llu", (unsigned long long)s->size,
                   (unsigned long long)s->sum);
        http_finish(req, is_last ? 200 : 500);
    } else if (http_has_param(req, STR("pause"))) {
        http_body_pause(req);
        loop_timer_start(loop, &s->timer, number_param(req, STR("pause"), 1), sink_resume);
    }
}

static void sink(struct http_req *req)
{
    struct sink *s = ARENA_NEW(req->arena, struct sink);
    s->req = req;
    req->data = s;
    req->on_close = sink_close;
    req->on_body = sink_body;
    atomic_fetch_add(&requests_held, 1);
    if (http_has_param(req, STR("end"))) {
        http_error(req, 403, "not now");
    } else if (http_has_param(req, STR("pause"))) {
        http_body_pause(req);
        loop_timer_start(loop, &s->timer, 1, sink_resume);
    }
}

/* As much as was asked for, as fast as it is taken; ?cut: the end is missing. */
struct source {
    struct loop_timer timer;
    struct http_req *req;
    uint64_t left;
};

static void source_go(struct http_req *req)
{
    struct source *s = req->data;
    static const char piece[16384];
    while (s->left > 0 && http_stream_has_room(req)) {
        size_t n = (size_t)MIN(s->left, (uint64_t)sizeof(piece));
        assert_true(http_stream_write(req, str_make(piece, n)));
        s->left -= n;
    }
    if (s->left == 0 && http_has_param(req, STR("cut"))) {
        http_stream_abort(req);
    } else if (s->left == 0) {
        http_stream_end(req);
    }
}

static void source_fire(struct loop_timer *t)
{
    source_go(container_of(t, struct source, timer)->req);
}

static void source(struct http_req *req)
{
    struct source *s = ARENA_NEW(req->arena, struct source);
    s->req = req;
    s->left = number_param(req, STR("n"), 0);
    req->data = s;
    req->on_room = source_go;
    http_stream_begin(req, 200);
    loop_timer_start(loop, &s->timer, 0, source_fire);
}

/* Pieces for ever, or two with ?end. */
struct streamed {
    struct loop_timer timer;
    struct http_req *req;
};

static void stream_fire(struct loop_timer *t)
{
    struct http_req *req = container_of(t, struct streamed, timer)->req;
    (void)http_stream_write(req, STR("piece"));
    if (http_has_param(req, STR("end"))) {
        (void)http_stream_write(req, STR(""));
        http_stream_end(req);
        return;
    }
    loop_timer_start(loop, t, 10, stream_fire);
}

static void stream_close(struct http_req *req)
{
    struct streamed *s = req->data;
    loop_timer_stop(loop, &s->timer);
    atomic_fetch_add(&canceled, 1);
}

static void stream(struct http_req *req)
{
    struct streamed *s = ARENA_NEW(req->arena, struct streamed);
    s->req = req;
    req->data = s;
    req->on_close = stream_close;
    http_stream_begin(req, 200);
    loop_timer_start(loop, &s->timer, 5, stream_fire);
}

#define LARGE_SIZE ((size_t)8 << 20)

static void large(struct http_req *req)
{
    static const char zeros[65536];
    while (req->out->n < LARGE_SIZE) {
        buf_put(req->out, zeros, sizeof(zeros));
    }
    http_finish(req, 200);
}

static const struct http_route routes[] = {
    {"/v1/large", HTTP_GET, "GET", 0, large},
    {"/v1/sink", HTTP_PUT, "PUT", HTTP_ROUTE_STREAM_BODY, sink},
    {"/v1/source", HTTP_GET, "GET", 0, source},
    {"/v1/echo/", HTTP_GET | HTTP_PUT, "GET,PUT", HTTP_ROUTE_PREFIX, echo},
    {"/v1/json", HTTP_GET, "GET", 0, json_answer},
    {"/v1/stream", HTTP_GET, "GET", HTTP_ROUTE_STREAM, stream},
    {"/v1/limited", HTTP_PUT, "PUT", HTTP_ROUTE_LARGE_BODY, limited},
};

static const size_t routes_count = ARRAY_SIZE(routes);
static const struct http_route_set route_sets[] = {{routes, &routes_count}, {NULL, NULL}};

/* --- tests ----------------------------------------------------------------------------------- */

static void test_large_bodies(void **state)
{
    (void)state;
    struct buf in = {0};
    buf_lit(&in, "PUT /v1/echo/x HTTP/1.1\r\nContent-Length: 3000000\r\n" CLOSE);
    buf_fill(&in, 'b', 3000000);
    int fd = dial();
    put(fd, buf_view(&in));
    struct buf out = get_all(fd);
    assert_true(str_contains(buf_view(&out), STR("[x] 3000000 bbb")));
    close(fd);
    buf_deinit(&in);
    buf_deinit(&out);
    /* And an answer larger than the socket's buffers, in front of a small one. */
    out = ask("GET /v1/json?n=500000 HTTP/1.1\r\nHost: x\r\n\r\n"
              "GET /v1/echo/end HTTP/1.1\r\n" CLOSE);
    assert_int_equal(count_of(buf_view(&out), "\"element\""), 500000);
    assert_true(str_has_suffix(buf_view(&out), STR("[end] 0 ")));
    buf_deinit(&out);
}

static uint64_t sum_of(struct str bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        sum = sum * 31 + (uint8_t)bytes.p[i];
    }
    return sum;
}

static void put_sink(struct buf *to, const char *params, struct str body, bool chunked)
{
    buf_printf(to, "PUT /v1/sink%s HTTP/1.1\r\nHost: x\r\n", params);
    if (!chunked) {
        buf_printf(to, "Content-Length: %zu\r\n\r\n", body.n);
        buf_str(to, body);
        return;
    }
    buf_lit(to, "Transfer-Encoding: chunked\r\n\r\n");
    while (body.n > 0) {
        struct str piece = str_first(body, MIN(body.n, (size_t)30000));
        buf_printf(to, "%zx\r\n", piece.n);
        buf_str(to, piece);
        buf_lit(to, "\r\n");
        body = str_from(body, piece.n);
    }
    buf_lit(to, "0\r\n\r\n");
}

/* Told in pieces, paused or not, one request behind the other on the same connection. */
static void test_streamed_bodies(void **state)
{
    (void)state;
    struct buf body = {0}, in = {0};
    for (int i = 0; i < 400000; i++) {
        buf_printf(&body, "%d,", i);
    }
    put_sink(&in, "", STR(""), false);
    put_sink(&in, "", STR(""), true);
    put_sink(&in, "?pause", STR(""), false);
    put_sink(&in, "", STR("abc"), false);
    put_sink(&in, "?pause", STR("abc"), true);
    put_sink(&in, "?pause", buf_view(&body), true);
    put_sink(&in, "?pause", buf_view(&body), false);
    put_sink(&in, "", buf_view(&body), false);
    buf_lit(&in, "GET /v1/echo/last HTTP/1.1\r\n" CLOSE);
    int fd = dial();
    put(fd, buf_view(&in));
    struct buf out = get_all(fd);
    struct str got = buf_view(&out);
    char wanted[64];
    (void)snprintf(wanted, sizeof(wanted), "%zu bytes, %llu", body.n,
                   (unsigned long long)sum_of(buf_view(&body)));
    assert_int_equal(count_of(got, "0 bytes, 0"), 3);
    assert_int_equal(count_of(got, "3 bytes, 96354"), 2);
    assert_int_equal(count_of(got, wanted), 3);
    assert_true(str_has_suffix(got, STR("[last] 0 ")));
    assert_int_equal(atomic_load(&canceled), 0);
    close(fd);
    buf_deinit(&out);
    buf_deinit(&in);
    buf_deinit(&body);
}

static void test_streamed_bodies_broken_off(void **state)
{
    (void)state;
    /* By the handler: answered, and the end, since the rest is not wanted. */
    expect("PUT /v1/sink?end HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nabc",
           "HTTP/1.1 403 ", "Connection: close\r\n", "not now");
    expect("PUT /v1/sink?stop=2 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nabc",
           "HTTP/1.1 500 ", "Connection: close\r\n", "3 bytes, 96354");
    expect(
        "PUT /v1/sink?stop=2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 500 ", "Connection: close\r\n", "3 bytes, 96354");
    /* By the handler before a body that is not there: nothing to be skipped. */
    expect("PUT /v1/sink?end HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nGET /v1/echo/x "
           "HTTP/1.1\r\n" CLOSE,
           "HTTP/1.1 403 ", "not now", "[x] 0 ");
    /* Without waiting for it. */
    expect("PUT /v1/sink HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n" CLOSE "abc",
           "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n", "3 bytes, 96354");
    expect("PUT /v1/sink?end HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n" CLOSE,
           "HTTP/1.1 403 ", "", "not now");
    expect("PUT /v1/sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           "HTTP/1.1 400 ", "", "400 Bad Request");
    /* By the client, in the middle. */
    int before = atomic_load(&canceled);
    int fd = dial();
    put_text(fd, "PUT /v1/sink?pause=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    struct buf out = get_all(fd);
    assert_int_equal(out.n, 0);
    close(fd);
    assert_int_equal(atomic_load(&canceled), before + 1);
    buf_deinit(&out);
}

static void test_answers_in_pieces(void **state)
{
    (void)state;
    struct buf out = ask("GET /v1/source?n=20000000 HTTP/1.0\r\n\r\n");
    struct str got = buf_view(&out);
    ptrdiff_t at = str_find(got, STR("\r\n\r\n"));
    assert_true(at > 0);
    assert_int_equal(got.n - (size_t)at - 4, 20000000);
    buf_deinit(&out);
    expect("GET /v1/source?n=5 HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/echo/x HTTP/1.1\r\n" CLOSE,
           "HTTP/1.1 200 OK", "\r\n0\r\n\r\n", "[x] 0 ");
    /* Its client has said all it has to say, and is answered all the same. */
    int fd = dial();
    put_text(fd, "GET /v1/source?n=20000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    out = get_all(fd);
    assert_true(out.n > 20000000 && str_has_suffix(buf_view(&out), STR("\r\n0\r\n\r\n")));
    buf_deinit(&out);
    close(fd);
    out = ask("GET /v1/source?n=100000&cut HTTP/1.1\r\n" CLOSE);
    assert_false(str_has_suffix(buf_view(&out), STR("\r\n0\r\n\r\n")));
    buf_deinit(&out);
}

static void test_refused_unread(void **state)
{
    (void)state;
    stop();
    start(&(struct http_options){.kv_max_value_size = 10, .txn_max_req_len = 5});
    expect("PUT /v1/limited HTTP/1.1\r\nContent-Length: 11\r\n" CLOSE, "HTTP/1.1 413 ",
           "Connection: close\r\n", "11 announced, 0 read");
    expect("PUT /v1/limited HTTP/1.1\r\nContent-Length: 10\r\n" CLOSE "1234567890",
           "HTTP/1.1 200 OK", "", "10 announced, 10 read");
    expect("PUT /v1/limited HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE
           "b\r\n12345678901\r\n0\r\n\r\n",
           "HTTP/1.1 413 ", "", "11 announced, 11 read");
}

static void test_stream(void **state)
{
    (void)state;
    expect("GET /v1/stream?end HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK\r\n",
           "\r\nTransfer-Encoding: chunked\r\n", "\r\n\r\n5\r\npiece\r\n0\r\n\r\n");
    expect("GET /v1/stream?end HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n", "", "\r\n\r\npiece");
    /* Its connection goes on afterwards. */
    expect("GET /v1/stream?end HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/echo/z HTTP/1.1\r\n" CLOSE,
           "HTTP/1.1 200 OK\r\n", "piece\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", "[z] 0 ");
    /* The client leaves an endless one. */
    int fd = dial();
    put_text(fd, "GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n");
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    close(fd);
    while (atomic_load(&canceled) == 0) {
        usleep(1000);
    }
}

/* The client asks for more than it has read: its answers do not pile up, and none is lost. */
static void test_pipelining_of_large_answers(void **state)
{
    (void)state;
    enum { COUNT = 40 }; /* together more than a stream would keep by default */
    assert_true((size_t)COUNT * LARGE_SIZE > TCP_WRITE_MAX_DEFAULT);
    int fd = dial();
    for (int i = 0; i < COUNT; i++) {
        put_text(fd, "GET /v1/large HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    static char bytes[1 << 16];
    size_t size = 0;
    ssize_t n;
    while ((n = read(fd, bytes, sizeof(bytes))) > 0) {
        size += (size_t)n;
    }
    assert_int_equal(n, 0);
    assert_true(size > (size_t)COUNT * LARGE_SIZE);
    assert_true(size < (size_t)(COUNT + 1) * LARGE_SIZE);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(test_large_bodies),
        SERVED(test_streamed_bodies),
        SERVED(test_streamed_bodies_broken_off),
        SERVED(test_answers_in_pieces),
        SERVED(test_refused_unread),
        SERVED(test_stream),
        SERVED(test_pipelining_of_large_answers),
    };
    front_routes = route_sets;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
