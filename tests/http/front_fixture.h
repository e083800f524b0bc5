/* front_fixture.h - the HTTP front end over real sockets, with routes of the test's own: the server
 * runs on a thread, the test is a client that writes bytes and reads bytes.
 *
 *     front_routes = my_route_sets;                        // once, in main()
 *     SERVED(my_test)                                      // a server for it
 *     expect("GET /v1/x HTTP/1.1\r\n" CLOSE, "HTTP/1.1 200 OK", "inside", "end");
 */
#pragma once
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "http/front.h"
#include "http/server.h"
#include "server/acl_resolver.h"
#include "server/delegate.h"
#include "server/worker.h"

static const struct http_route_set *front_routes;
static struct http_front *front;
static struct http_server *http;
static struct loop *loop;
static struct worker worker;
static struct delegate delegate;
static uint16_t port;
static _Atomic int canceled, requests_held; /* counted by the routes */

#define CLOSE "Host: x\r\nConnection: close\r\n\r\n"
#define SERVED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* A socket that listens; its port is what dial() goes to. */
static int listen_anywhere(void)
{
    struct address a;
    assert_ok(address_parse(&a, STR("127.0.0.1"), 0, NULL));
    int fd = listen_socket(&a, &(struct listen_options){0}, NULL);
    assert_ok(fd);
    a.size = sizeof(a.sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a.sa, &a.size), 0);
    port = address_port(&a);
    return fd;
}

UNUSED static void start(const struct http_options *extra)
{
    struct http_options options = *extra;
    options.datacenter = STR("dc1");
    options.acl_default_policy = STR("allow");
    options.route_sets = front_routes;
    atomic_store(&canceled, 0);
    atomic_store(&requests_held, 0);
    loop = loop_new("http");
    delegate = (struct delegate){0};
    acl_secrets_init(&delegate.secrets);
    worker = (struct worker){.loop = loop, .delegate = &delegate}; /* no calls are made */
    worker.acl = acl_resolver_new(&worker);
    front = http_front_new(&options);
    http = http_server_new(front, &worker);
    if (options.https_handshake_timeout_ms > 0) {
        http_server_listen_tls_fd(http, listen_anywhere());
    } else {
        http_server_listen_fd(http, listen_anywhere());
    }
    loop_thread_start(loop);
}

static void stop_run(struct loop_msg *msg)
{
    (void)msg;
    http_server_stop(http);
    loop_stop(loop);
}

UNUSED static void stop(void)
{
    struct loop_msg msg = {NULL, stop_run};
    loop_post(loop, &msg);
    loop_thread_join(loop);
    loop_free(loop);
    http_server_free(http);
    http_front_free(front);
    worker.acl = acl_resolver_free(worker.acl);
    acl_secrets_deinit(&delegate.secrets);
}

UNUSED static int setup(void **state)
{
    (void)state;
    start(&(struct http_options){0});
    return 0;
}

UNUSED static int teardown(void **state)
{
    (void)state;
    stop();
    return 0;
}

UNUSED static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    const struct timeval limit = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

UNUSED static void put(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        assert_true(n > 0);
        s = str_from(s, (size_t)n);
    }
}
#define put_text(fd, text) put((fd), str_from_cstr(text))

/* Until the peer closes. */
UNUSED static struct buf get_all(int fd)
{
    struct buf b = {0};
    for (;;) {
        char *to = buf_reserve(&b, 65536);
        ssize_t n = recv(fd, to, 65536, 0);
        if (n <= 0) {
            assert_int_equal(n, 0);
            return b;
        }
        b.n += (size_t)n;
    }
}

/* The same, where the peer may not have read all that it was sent. */
UNUSED static struct buf get_all_or_reset(int fd)
{
    struct buf b = {0};
    for (ssize_t n = 1; n > 0; b.n += (size_t)MAX(n, 0)) {
        n = recv(fd, buf_reserve(&b, 4096), 4096, 0);
        assert_true(n >= 0 || errno == ECONNRESET);
    }
    return b;
}

UNUSED static struct buf ask(const char *request)
{
    int fd = dial();
    put_text(fd, request);
    struct buf b = get_all(fd);
    close(fd);
    return b;
}

UNUSED static void expect(const char *request, const char *wanted_start, const char *wanted_inside,
                          const char *wanted_end)
{
    struct buf b = ask(request);
    struct str got = buf_view(&b);
    if (!str_has_prefix(got, str_from_cstr(wanted_start)) ||
        !str_contains(got, str_from_cstr(wanted_inside)) ||
        !str_has_suffix(got, str_from_cstr(wanted_end))) {
        fail_msg("%s\nwas answered by\n%.*s", request, STRF(str_first(got, 2000)));
    }
    buf_deinit(&b);
}

/* Not by memmem(): ThreadSanitizer looks at all that is left each time it is called. */
UNUSED static size_t count_of(struct str s, const char *text)
{
    struct str needle = str_from_cstr(text);
    size_t n = 0;
    for (; s.n > 0; s = str_from(s, 1)) {
        n += s.p[0] == needle.p[0] && str_has_prefix(s, needle);
    }
    return n;
}

/* --- routes ---------------------------------------------------------------------------------- */

UNUSED static void echo(struct http_req *req)
{
    buf_printf(req->out, "%.*s %.*s [%.*s] %zu ", STRF(req->method_text), STRF(req->path),
               STRF(req->tail), req->body.n);
    buf_str(req->out, str_first(req->body, 100));
    http_finish(req, 200);
}

UNUSED static uint64_t number_param(struct http_req *req, struct str name, uint64_t otherwise)
{
    uint64_t n;
    return str_parse_u64(http_param_value(req, name), &n) == 0 ? n : otherwise;
}

UNUSED static void json_answer(struct http_req *req)
{
    struct json_writer w = http_json_begin(req);
    json_array_begin(&w);
    uint64_t n = number_param(req, STR("n"), 0);
    for (uint64_t i = 0; i < n; i++) {
        json_str(&w, STR("element"));
    }
    json_array_end(&w);
    http_finish(req, 200);
}
