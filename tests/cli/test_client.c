/* The client against a server of one answer in a thread of this process, and its configuration. */
#include "test.h"

#include "cli/client.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const variables[] = {
    "CONSUL_HTTP_ADDR",
    "CONSUL_HTTP_TOKEN",
    "CONSUL_HTTP_TOKEN_FILE",
    "CONSUL_HTTP_SSL",
    "CONSUL_HTTP_AUTH",
    "CONSUL_HTTP_SSL_VERIFY",
    "CONSUL_CACERT",
    "CONSUL_CAPATH",
    "CONSUL_CLIENT_CERT",
    "CONSUL_CLIENT_KEY",
    "CONSUL_TLS_SERVER_NAME",
    "CONSUL_NAMESPACE",
    "HTTP_PROXY",
    "http_proxy",
};

static int clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
        unsetenv(variables[i]);
    }
    client_flags = (struct client_flags){0};
    return 0;
}

static struct client *client_ok(void)
{
    struct client *c = NULL;
    struct err err = {0};
    if (client_new(&c, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return c;
}

static void test_defaults(void **state)
{
    (void)state;
    struct client *c = client_ok();
    assert_str_lit(client_config(c)->address, "127.0.0.1:8500");
    assert_false(client_config(c)->is_https);
    assert_int_equal(client_config(c)->token.n, 0);
    client_free(c);
}

static void test_environment(void **state)
{
    (void)state;
    setenv("CONSUL_HTTP_ADDR", "https://a:1", 1);
    setenv("CONSUL_HTTP_TOKEN", "t1", 1);
    setenv("CONSUL_HTTP_AUTH", "me:se:cret", 1);
    setenv("CONSUL_TLS_SERVER_NAME", "server.dc1.consul", 1);
    setenv("CONSUL_HTTP_SSL_VERIFY", "0", 1);
    struct client *c = client_ok();
    const struct client_config *config = client_config(c);
    assert_str_lit(config->address, "a:1");
    assert_true(config->is_https);
    assert_true(config->skip_verify);
    assert_str_lit(config->token, "t1");
    assert_str_lit(config->auth_user, "me");
    assert_str_lit(config->auth_password, "se:cret");
    assert_str_lit(config->server_name, "server.dc1.consul");
    client_free(c);
}

static void test_flags_win(void **state)
{
    (void)state;
    setenv("CONSUL_HTTP_ADDR", "a:1", 1);
    setenv("CONSUL_HTTP_SSL", "true", 1);
    setenv("CONSUL_HTTP_TOKEN", "t1", 1);
    client_flags.addr = STR("unix:///run/x.sock");
    client_flags.token = STR("t2");
    struct client *c = client_ok();
    assert_str_lit(client_config(c)->address, "/run/x.sock");
    assert_true(client_config(c)->is_unix);
    assert_true(client_config(c)->is_https);
    assert_str_lit(client_config(c)->token, "t2");
    client_free(c);
}

static void test_wrong_configuration(void **state)
{
    (void)state;
    struct client *c = NULL;
    struct err err = {0};
    client_flags.addr = STR("ftp://x");
    assert_true(client_new(&c, &err) < 0);
    assert_string_equal(err_text(&err), "Unknown protocol scheme: ftp");
    client_flags.addr = STR_NULL;
    client_flags.cert_file = STR("c.pem");
    assert_true(client_new(&c, &err) < 0);
    assert_string_equal(err_text(&err), "both client cert and client key must be provided");
    client_flags.cert_file = STR_NULL;
    client_flags.token_file = STR("no/such/file");
    assert_true(client_new(&c, &err) < 0);
    assert_string_equal(err_text(&err), "Error loading token file: open no/such/file: no such "
                                        "file or directory");
    assert_null(c);
}

/* --- a server -------------------------------------------------------------------------------- */

struct server {
    int fd;
    char address[64];
    const char *const *answers; /* one a connection; NULL ends */
    char requests[4][2048];
    pthread_t thread;
};

static void *server_run(void *data)
{
    struct server *s = data;
    for (size_t i = 0; s->answers[i] != NULL; i++) {
        int fd = accept(s->fd, NULL, NULL);
        size_t n = 0;
        while (n < sizeof(s->requests[i]) - 1 && strstr(s->requests[i], "\r\n\r\n") == NULL) {
            ssize_t got = recv(fd, s->requests[i] + n, sizeof(s->requests[i]) - 1 - n, 0);
            if (got <= 0) {
                break;
            }
            n += (size_t)got;
        }
        (void)!write(fd, s->answers[i], strlen(s->answers[i]));
        close(fd);
    }
    return NULL;
}

static void server_start(struct server *s, const char *const *answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    *s = (struct server){.fd = socket(AF_INET, SOCK_STREAM, 0), .answers = answers};
    assert_true(s->fd >= 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(s->fd, 4), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&address, &size), 0);
    (void)snprintf(s->address, sizeof(s->address), "127.0.0.1:%u", ntohs(address.sin_port));
    client_flags.addr = str_from_cstr(s->address);
    assert_int_equal(pthread_create(&s->thread, NULL, server_run, s), 0);
}

static void server_stop(struct server *s)
{
    (void)pthread_join(s->thread, NULL);
    close(s->fd);
}

static void test_request(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 12\r\n\r\n{\"a\": \"b\"}\r\n",
        NULL};
    struct server s;
    server_start(&s, answers);
    client_flags.token = STR("secret");
    client_flags.datacenter = STR("dc 2");
    client_flags.is_stale = true;
    struct client *c = client_ok();
    struct client_request r;
    struct err err = {0};
    const struct value *v;
    client_request_init(&r, c, "PUT", "/v1/kv/%s", "a b?");
    client_param(&r, STR("flags"), STR("1"));
    client_param(&r, STR("flags"), STR("2"));
    client_param_stale(&r);
    client_body(&r, STR("body"), STR("application/octet-stream"));
    assert_ok(client_get(&r, &v, &err));
    assert_str_lit(value_member_str(v, "a"), "b");
    server_stop(&s);
    char expected[512];
    (void)snprintf(expected, sizeof(expected),
                   "PUT /v1/kv/a%%20b%%3F?dc=dc+2&flags=2&stale= HTTP/1.1\r\nHost: %s\r\n"
                   "User-Agent: consul\r\nConnection: close\r\nX-Consul-Token: secret\r\n"
                   "Content-Type: application/octet-stream\r\nContent-Length: 4\r\n\r\n",
                   s.address);
    assert_memory_equal(s.requests[0], expected, strlen(expected));
    client_free(c);
}

static void test_status_errors(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 21\r\n\r\nNo path to datacenter",
        NULL};
    struct server s;
    server_start(&s, answers);
    struct client *c = client_ok();
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_request_init(&r, c, "GET", "/x");
    assert_true(client_send_ok(&r, &response, &err) < 0);
    assert_string_equal(err_text(&err), "Unexpected response code: 500 (No path to datacenter)");
    server_stop(&s);
    client_free(c);
}

static void test_redirects(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 301 Moved Permanently\r\nLocation: /v1/kv/a\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", NULL};
    struct server s;
    server_start(&s, answers);
    struct client *c = client_ok();
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_request_init(&r, c, "PUT", "/v1/kv//a");
    client_body(&r, STR("x"), STR_NULL);
    assert_ok(client_send_ok(&r, &response, &err));
    server_stop(&s);
    assert_memory_equal(s.requests[0], "PUT /v1/kv//a HTTP/1.1\r\n", 24);
    assert_memory_equal(s.requests[1], "GET /v1/kv/a HTTP/1.1\r\n", 23);
    client_free(c);
}

static void test_connection_errors(void **state)
{
    (void)state;
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_flags.addr = STR("127.255.255.3:1");
    struct client *c = client_ok();
    client_request_init(&r, c, "DELETE", "/v1/kv/k");
    assert_true(client_send(&r, &response, &err) < 0);
    assert_string_equal(err_text(&err), "Delete \"http://127.255.255.3:1/v1/kv/k\": dial tcp "
                                        "127.255.255.3:1: connect: connection refused");
    client_free(c);
    client_flags.addr = STR("unix:///no/such/socket");
    c = client_ok();
    client_request_init(&r, c, "GET", "/x");
    assert_true(client_send(&r, &response, &err) < 0);
    assert_string_equal(err_text(&err), "Get \"http://%2Fno%2Fsuch%2Fsocket/x\": dial unix "
                                        "/no/such/socket: connect: no such file or directory");
    client_free(c);
    static const char *const answers[] = {"", NULL};
    struct server s;
    server_start(&s, answers);
    c = client_ok();
    client_request_init(&r, c, "GET", "/x");
    assert_true(client_send(&r, &response, &err) < 0);
    assert_non_null(strstr(err_text(&err), "/x\": EOF"));
    server_stop(&s);
    client_free(c);
}

static void test_header_injection(void **state)
{
    (void)state;
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    client_flags.token = STR("a\r\nX-Other: b");
    struct client *c = client_ok();
    client_request_init(&r, c, "GET", "/x");
    assert_true(client_send(&r, &response, &err) < 0);
    assert_null(strstr(err_text(&err), "X-Other"));
    assert_non_null(strstr(err_text(&err), "invalid header field value"));
    client_free(c);
}

static void test_interrupt(void **state)
{
    (void)state;
    volatile sig_atomic_t flag = 1;
    struct client_interrupt interrupt = {.flag = &flag};
    sigemptyset(&interrupt.mask);
    struct client_request r;
    struct client_response response;
    struct err err = {0};
    static const char *const answers[] = {NULL};
    struct server s;
    server_start(&s, answers); /* it never answers */
    struct client *c = client_ok();
    client_set_interrupt(c, &interrupt);
    client_request_init(&r, c, "GET", "/x");
    assert_int_equal(client_send(&r, &response, &err), -ERR_CANCELED);
    server_stop(&s);
    client_free(c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, clean, clean)
    const struct CMUnitTest tests[] = {
        T(test_defaults),         T(test_environment),
        T(test_flags_win),        T(test_wrong_configuration),
        T(test_request),          T(test_status_errors),
        T(test_redirects),        T(test_connection_errors),
        T(test_header_injection), T(test_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
