#include "test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "loop/http_client.h"
#include "loop/loop.h"

static struct loop *loop;
static struct http_client *client;
static struct http_client_result result;
static char body[512], error_text[512], status_text[128], bytes_read[512];

/* A server of one connection on a thread: takes what comes, says what it was told to say. */
static int listener = -1, port;
static const char *server_says;
static char server_got[4096];
static pthread_t server_thread;

static void *serve(void *data)
{
    (void)data;
    int fd = accept(listener, NULL, NULL);
    ssize_t n = read(fd, server_got, sizeof(server_got) - 1);
    server_got[n > 0 ? n : 0] = '\0';
    if (server_says != NULL) {
        assert_int_equal(write(fd, server_says, strlen(server_says)), strlen(server_says));
    } else {
        (void)read(fd, server_got, 1); /* until the other side gives up */
    }
    close(fd);
    return NULL;
}

static void serve_once(const char *says)
{
    server_says = says;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(listener, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(listener, 1), 0);
    socklen_t size = sizeof(in);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &size), 0);
    port = ntohs(in.sin_port);
    assert_int_equal(pthread_create(&server_thread, NULL, serve, NULL), 0);
}

static void serve_end(void)
{
    pthread_join(server_thread, NULL);
    close(listener);
}

static void copy(char *to, size_t size, struct str s)
{
    size_t n = s.n < size - 1 ? s.n : size - 1;
    if (n > 0) {
        memcpy(to, s.p, n);
    }
    to[n] = '\0';
}

static void done(void *data, struct http_transfer *t)
{
    (void)data;
    result = *http_client_result(t);
    copy(body, sizeof(body), result.body);
    copy(error_text, sizeof(error_text), result.error_text);
    copy(status_text, sizeof(status_text), result.status_text);
    http_client_end(t);
    loop_stop(loop);
}

static void run(struct http_client_options o, const char *path)
{
    struct buf url = {0};
    struct err err = {0};
    struct http_transfer *t;
    buf_printf(&url, "http://127.0.0.1:%d%s", port, path);
    o.url = buf_view(&url);
    o.done = o.done != NULL ? o.done : done;
    o.timeout_ms = o.timeout_ms != 0 ? o.timeout_ms : 5000;
    assert_ok(http_client_start(client, &o, &t, &err));
    buf_deinit(&url);
    loop_run(loop);
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new("test");
    client = http_client_new(loop);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_client_free(client);
    loop_free(loop);
    return 0;
}

static void test_get(void **state)
{
    (void)state;
    serve_once("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 5\r\n\r\nhello");
    run((struct http_client_options){.body_size_max = 3}, "/x?y=1");
    serve_end();
    assert_int_equal(result.error, HTTP_CLIENT_OK);
    assert_int_equal(result.status, 429);
    assert_string_equal(status_text, "429 Too Many Requests");
    assert_string_equal(body, "llo");
    assert_int_equal(result.body_total, 5);
    assert_non_null(strstr(server_got, "GET /x?y=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(server_got, "Connection: close\r\n"));
}

static void test_post_with_headers(void **state)
{
    (void)state;
    struct str values[] = {STR("one"), STR("two")};
    struct strlist_pair pairs[] = {{STR("Host"), {values, 1}}, {STR("X-A"), {values, 2}}};
    serve_once("HTTP/1.1 200 OK\r\n\r\n");
    run((struct http_client_options){.method = STR("PUT"),
                                     .body = STR("payload"),
                                     .headers = {pairs, 2}},
        "/");
    serve_end();
    assert_int_equal(result.status, 200);
    assert_non_null(strstr(server_got, "PUT / HTTP/1.1\r\n"));
    assert_non_null(strstr(server_got, "Host: one\r\n"));
    assert_non_null(strstr(server_got, "X-A: one\r\nX-A: two\r\n"));
    assert_non_null(strstr(server_got, "\r\n\r\npayload"));
    assert_null(strstr(server_got, "Content-Type"));
}

static void test_refused(void **state)
{
    (void)state;
    port = 1;
    run((struct http_client_options){0}, "/");
    assert_int_equal(result.error, HTTP_CLIENT_CONNECT_FAILED);
    assert_string_equal(error_text, "dial tcp 127.0.0.1:1: connect: connection refused");
}

static void test_timeout(void **state)
{
    (void)state;
    serve_once(NULL);
    run((struct http_client_options){.timeout_ms = 100}, "/");
    serve_end();
    assert_int_equal(result.error, HTTP_CLIENT_TIMEOUT);
    assert_string_equal(error_text, "context deadline exceeded (Client.Timeout exceeded while "
                                    "awaiting headers)");
}

static void test_connect(void **state)
{
    (void)state;
    serve_once("x");
    run((struct http_client_options){.kind = HTTP_CLIENT_CONNECT}, "");
    serve_end();
    assert_int_equal(result.error, HTTP_CLIENT_OK);
}

static void talk_read(void *data, struct http_transfer *t, struct str bytes)
{
    (void)data;
    if (bytes.n > 0) {
        copy(bytes_read, sizeof(bytes_read), bytes);
        return;
    }
    http_client_end(t);
    loop_stop(loop);
}

static void talk(void *data, struct http_transfer *t)
{
    (void)data;
    assert_ok(http_client_read_start(t));
    assert_ok(http_client_write(t, STR("ping")));
}

static void test_talk_over_a_connection(void **state)
{
    (void)state;
    serve_once("pong");
    run((struct http_client_options){.kind = HTTP_CLIENT_CONNECT, .done = talk, .read = talk_read},
        "");
    serve_end();
    assert_string_equal(server_got, "ping");
    assert_string_equal(bytes_read, "pong");
}

static void test_freed_under_way(void **state)
{
    (void)state;
    struct http_client_options o = {
        .url = STR("http://127.0.0.1:1/"), .timeout_ms = 1000, .done = done};
    struct http_transfer *t;
    struct err err = {0};
    assert_ok(http_client_start(client, &o, &t, &err));
    assert_ok(http_client_start(client, &o, &t, &err));
    http_client_end(t);
}

static void test_odd_urls(void **state)
{
    (void)state;
    struct http_client_options o = {.url = STR("ftp://h/"), .timeout_ms = 1000, .done = done};
    struct http_transfer *t;
    struct err err = {0};
    assert_ok(http_client_start(client, &o, &t, &err));
    loop_run(loop);
    assert_int_equal(result.error, HTTP_CLIENT_FAILED);
    assert_string_equal(error_text, "unsupported protocol scheme \"ftp\"");
    o.url = STR("http://no-such-host.invalid/");
    assert_ok(http_client_start(client, &o, &t, &err));
    loop_run(loop);
    assert_int_not_equal(result.error, HTTP_CLIENT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_post_with_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_talk_over_a_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_freed_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_urls, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
