/* Checks against real processes and sockets: what they report, and how they end. */
#include "agent_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <nghttp2/nghttp2.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/check.h"
#include "base/buf.h"

#define SECOND ((int64_t)NS_PER_SEC)

static const char *waited_id;
static char waited_output[8192];
static struct str before_output, before_status;

static bool has_reported(void *data)
{
    struct fixture *f = data;
    const struct health_check *c = check_row(f, str_from_cstr(waited_id));
    return !str_eq(c->output, before_output) || !str_eq(c->status, before_status);
}

/* Let it be probed once and come to a new result. */
static const struct health_check *probe(struct fixture *f, const char *id)
{
    waited_id = id;
    const struct health_check *c = check_row(f, str_from_cstr(id));
    before_output = arena_str(&f->arena, c->output);
    before_status = arena_str(&f->arena, c->status);
    probe_now(f, str_from_cstr(id));
    run_until(f, has_reported);
    c = check_row(f, str_from_cstr(id));
    (void)snprintf(waited_output, sizeof(waited_output), "%.*s", STRF(c->output));
    return c;
}

static const struct health_check *probe_script(struct fixture *f, const char *script,
                                               int64_t timeout, int64_t output_max_size)
{
    struct str args[] = {STR("/bin/sh"), STR("-c"), str_from_cstr(script)};
    struct err err = {0};
    struct check_def def = {.name = STR("script"),
                            .script_args = {args, 3},
                            .interval = 3600 * SECOND,
                            .timeout = timeout,
                            .output_max_size = output_max_size};
    assert_ok(add_check(f, def, &err));
    return probe(f, "script");
}

static int setup_scripts(void **state)
{
    struct fixture *f = fixture_new(true);
    struct err err = {0};
    f->hcl = "enable_script_checks = true check_update_interval = \"0s\"";
    fixture_start_server(f);
    assert_ok(fixture_start_agent(f, &err));
    run_until(f, is_in_step);
    *state = f;
    return 0;
}

/* --- scripts --------------------------------------------------------------------------------- */

static void test_script_exit_codes(void **state)
{
    struct fixture *f = *state;
    assert_str_lit(probe_script(f, "echo fine", 0, 0)->status, "passing");
    assert_string_equal(waited_output, "fine\n");
    assert_str_lit(probe_script(f, "echo so so >&2; exit 1", 0, 0)->status, "warning");
    assert_string_equal(waited_output, "so so\n");
    assert_str_lit(probe_script(f, "echo bad; exit 2", 0, 0)->status, "critical");
    assert_str_lit(probe_script(f, "echo shot; kill -KILL $$", 0, 0)->status, "critical");
    assert_string_equal(waited_output, "shot\n");
}

static void test_script_that_hangs(void **state)
{
    struct fixture *f = *state;
    assert_str_lit(probe_script(f, "echo begun; sleep 1000 & sleep 1000", SECOND / 5, 0)->status,
                   "critical");
    assert_string_equal(waited_output, "Timed out (200ms) running check\n\nbegun\n");
}

static void test_script_that_floods(void **state)
{
    struct fixture *f = *state;
    assert_str_lit(
        probe_script(f, "i=0; while [ $i -lt 9000 ]; do echo 0123456789; i=$((i+1)); done", 0, 22)
            ->status,
        "passing");
    assert_string_equal(waited_output, "Captured 22 of 99000 bytes\n...\n0123456789\n0123456789\n");
}

static void test_script_that_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct str args[] = {STR("/no/such/script")};
    struct err err = {0};
    assert_ok(add_check(
        f, (struct check_def){.name = STR("none"), .script_args = {args, 1}, .interval = SECOND},
        &err));
    assert_str_lit(probe(f, "none")->status, "critical");
    assert_string_equal(waited_output, "fork/exec /no/such/script: no such file or directory");
}

static void test_removed_under_way(void **state)
{
    struct fixture *f = *state;
    struct str args[] = {STR("/bin/sleep"), STR("1000")};
    struct err err = {0};
    assert_ok(add_check(
        f, (struct check_def){.name = STR("sleep"), .script_args = {args, 2}, .interval = SECOND},
        &err));
    probe_now(f, STR("sleep"));
    f->done = 0;
    (void)catalog_checks(f); /* some turns */
    assert_ok(check_deregister(f->agent, STR("sleep"), true, &err));
    run_until(f, is_in_step);
    assert_null(check_row(f, STR("sleep")));
}

static void test_scripts_are_refused(void **state)
{
    struct fixture *f = *state;
    struct str args[] = {STR("/bin/true")};
    struct err err = {0};
    assert_true(
        add_check(
            f, (struct check_def){.name = STR("no"), .script_args = {args, 1}, .interval = SECOND},
            &err) < 0);
    assert_string_equal(err.text, "Scripts are disabled on this agent from remote calls; to "
                                  "enable, configure 'enable_script_checks' to true");
}

static void test_thresholds(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct str args[] = {STR("/bin/sh"), STR("-c"), STR("exit ${CHECK_TEST_CODE:-0}")};
    struct check_def def = {.name = STR("t"),
                            .script_args = {args, 3},
                            .interval = 3600 * SECOND,
                            .success_before_passing = 2,
                            .failures_before_critical = 3};
    assert_ok(add_check(f, def, &err));
    struct check *c = local_check(f->agent->local, STR("t"))->runner;
    /* The first result counts at once, and starts the other count anew. */
    check_report(c, HEALTH_PASSING, STR("1"));
    assert_str_lit(check_row(f, STR("t"))->status, "passing");
    check_report(c, HEALTH_CRITICAL, STR("2"));
    check_report(c, HEALTH_CRITICAL, STR("3"));
    assert_str_lit(check_row(f, STR("t"))->output, "1");
    check_report(c, HEALTH_CRITICAL, STR("4"));
    assert_str_lit(check_row(f, STR("t"))->status, "critical");
    check_report(c, HEALTH_WARNING, STR("5"));
    assert_str_lit(check_row(f, STR("t"))->status, "critical");
    check_report(c, HEALTH_WARNING, STR("6"));
    assert_str_lit(check_row(f, STR("t"))->status, "warning");
}

/* --- servers of a few connections, on a thread ------------------------------------------------ */

static int listener = -1, port;
static pthread_t server_thread;

static void listen_local(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&in, &size), 0);
    port = ntohs(in.sin_port);
}

static void serve(void *(*run)(void *data), void *data)
{
    assert_int_equal(pthread_create(&server_thread, NULL, run, data), 0);
}

static void serve_end(void)
{
    pthread_join(server_thread, NULL);
    close(listener);
}

static void write_all(int fd, const void *p, size_t n)
{
    assert_int_equal(write(fd, p, n), n);
}

static void *answer_once(void *data)
{
    char got[4096];
    int fd = accept(listener, NULL, NULL);
    (void)!read(fd, got, sizeof(got));
    write_all(fd, data, strlen(data));
    close(fd);
    return NULL;
}

static struct str local_url(struct fixture *f, const char *format)
{
    struct str number = arena_printf(&f->arena, "%d", port);
    struct str head, tail, s = str_from_cstr(format);
    (void)str_cut(s, '@', &head, &tail);
    return arena_printf(&f->arena, "%.*s127.0.0.1:%.*s%.*s", STRF(head), STRF(number), STRF(tail));
}

/* --- http and tcp ---------------------------------------------------------------------------- */

static void test_http(void **state)
{
    static char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    static char busy[] = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    static char broken[] = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
    struct fixture *f = *state;
    struct err err = {0};
    char want[256];
    listen_local();
    struct check_def def = {
        .name = STR("http"), .http = local_url(f, "http://@/"), .interval = 3600 * SECOND};
    assert_ok(add_check(f, def, &err));
    serve(answer_once, ok);
    assert_str_lit(probe(f, "http")->status, "passing");
    (void)snprintf(want, sizeof(want), "HTTP GET http://127.0.0.1:%d/: 200 OK Output: hi", port);
    assert_string_equal(waited_output, want);
    pthread_join(server_thread, NULL);
    serve(answer_once, busy);
    assert_str_lit(probe(f, "http")->status, "warning");
    pthread_join(server_thread, NULL);
    serve(answer_once, broken);
    assert_str_lit(probe(f, "http")->status, "critical");
    serve_end();
    (void)probe(f, "http");
    (void)snprintf(want, sizeof(want),
                   "Get \"http://127.0.0.1:%d/\": dial tcp 127.0.0.1:%d: connect: connection "
                   "refused",
                   port, port);
    assert_string_equal(waited_output, want);
}

static void test_tcp(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char want[256];
    listen_local();
    struct check_def def = {
        .name = STR("tcp"), .tcp = local_url(f, "@"), .interval = 3600 * SECOND};
    assert_ok(add_check(f, def, &err));
    assert_str_lit(probe(f, "tcp")->status, "passing");
    (void)snprintf(want, sizeof(want), "TCP connect 127.0.0.1:%d: Success", port);
    assert_string_equal(waited_output, want);
    close(listener);
    assert_str_lit(probe(f, "tcp")->status, "critical");
    (void)snprintf(want, sizeof(want), "dial tcp 127.0.0.1:%d: connect: connection refused", port);
    assert_string_equal(waited_output, want);
}

/* --- grpc ------------------------------------------------------------------------------------ */

struct grpc_server {
    int fd;
    uint8_t status; /* of the answer's message */
    const char *grpc_status;
    char path[128];
    uint8_t body[64];
    size_t body_size;
    bool is_sent;
};

static ssize_t grpc_send(nghttp2_session *s, const uint8_t *data, size_t n, int flags, void *user)
{
    (void)s;
    (void)flags;
    return write(((struct grpc_server *)user)->fd, data, n);
}

static int grpc_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name,
                       size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                       void *user)
{
    struct grpc_server *g = user;
    (void)s;
    (void)frame;
    (void)flags;
    if (name_size == 5 && memcmp(name, ":path", 5) == 0) {
        (void)snprintf(g->path, sizeof(g->path), "%.*s", (int)value_size, (const char *)value);
    }
    return 0;
}

static int grpc_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *data,
                     size_t n, void *user)
{
    struct grpc_server *g = user;
    (void)s;
    (void)flags;
    (void)stream;
    assert_true(g->body_size + n <= sizeof(g->body));
    memcpy(g->body + g->body_size, data, n);
    g->body_size += n;
    return 0;
}

static ssize_t grpc_body(nghttp2_session *s, int32_t stream, uint8_t *to, size_t n, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct grpc_server *g = user;
    const uint8_t message[] = {0, 0, 0, 0, 2, 8, g->status};
    (void)source;
    assert_true(n >= sizeof(message));
    memcpy(to, message, sizeof(message));
    *flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    const nghttp2_nv trailer = {(uint8_t *)(uintptr_t) "grpc-status",
                                (uint8_t *)(uintptr_t)g->grpc_status, 11, 1, 0};
    assert_int_equal(nghttp2_submit_trailer(s, stream, &trailer, 1), 0);
    return sizeof(message);
}

static int grpc_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
    struct grpc_server *g = user;
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) {
        return 0;
    }
    const nghttp2_nv head[] = {
        {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "200", 7, 3, 0},
        {(uint8_t *)(uintptr_t) "content-type", (uint8_t *)(uintptr_t) "application/grpc", 12, 16,
         0},
    };
    nghttp2_data_provider body = {.read_callback = grpc_body};
    assert_int_equal(nghttp2_submit_response(s, frame->hd.stream_id, head, 2, &body), 0);
    g->is_sent = true;
    return 0;
}

static void *grpc_serve(void *data)
{
    struct grpc_server *g = data;
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_send_callback(callbacks, grpc_send);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, grpc_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, grpc_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, grpc_frame);
    nghttp2_session_server_new(&session, callbacks, g);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0);
    g->fd = accept(listener, NULL, NULL);
    uint8_t bytes[4096];
    ssize_t n;
    while (nghttp2_session_send(session) == 0 && (n = read(g->fd, bytes, sizeof(bytes))) > 0) {
        assert_int_equal(nghttp2_session_mem_recv(session, bytes, (size_t)n), n);
    }
    nghttp2_session_del(session);
    nghttp2_session_callbacks_del(callbacks);
    close(g->fd);
    return NULL;
}

static void test_grpc(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char want[256];
    listen_local();
    struct check_def def = {
        .name = STR("grpc"), .grpc = local_url(f, "@/my.Service"), .interval = 3600 * SECOND};
    assert_ok(add_check(f, def, &err));
    struct grpc_server g = {.status = 1, .grpc_status = "0"};
    serve(grpc_serve, &g);
    assert_str_lit(probe(f, "grpc")->status, "passing");
    pthread_join(server_thread, NULL);
    (void)snprintf(want, sizeof(want), "gRPC check 127.0.0.1:%d/my.Service: success", port);
    assert_string_equal(waited_output, want);
    assert_string_equal(g.path, "/grpc.health.v1.Health/Check");
    assert_int_equal(g.body_size, 5 + 2 + 10);
    assert_memory_equal(g.body, "\0\0\0\0\014\012\012my.Service", g.body_size);

    g = (struct grpc_server){.status = 2, .grpc_status = "0"};
    serve(grpc_serve, &g);
    assert_str_lit(probe(f, "grpc")->status, "critical");
    pthread_join(server_thread, NULL);
    (void)snprintf(want, sizeof(want), "gRPC 127.0.0.1:%d/my.Service serving status: NOT_SERVING",
                   port);
    assert_string_equal(waited_output, want);

    g = (struct grpc_server){.status = 1, .grpc_status = "5"};
    serve(grpc_serve, &g);
    (void)probe(f, "grpc");
    serve_end();
    assert_string_equal(waited_output, "rpc error: code = NotFound desc = ");

    (void)probe(f, "grpc");
    assert_non_null(strstr(waited_output, "rpc error: code = Unavailable desc = connection error: "
                                          "desc = \"transport: Error while dialing dial tcp "));
}

/* --- h2ping ---------------------------------------------------------------------------------- */

struct tls_server {
    SSL_CTX *context;
    bool answers; /* the ping */
};

static SSL_CTX *self_signed(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(context, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return context;
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                     const unsigned char *in, unsigned in_size, void *data)
{
    (void)ssl;
    (void)data;
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_size,
                                 (const unsigned char *)"\002h2", 3, in,
                                 in_size) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Reads preface, SETTINGS and PING, and answers with SETTINGS and, if it is to, the PING's echo. */
static void *h2_serve(void *data)
{
    enum { PREFACE = 24, HEAD = 9 };
    struct tls_server *t = data;
    int fd = accept(listener, NULL, NULL);
    SSL *ssl = SSL_new(t->context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        uint8_t in[PREFACE + HEAD + HEAD + 8];
        size_t n = 0;
        int r;
        while (n < sizeof(in) && (r = SSL_read(ssl, in + n, (int)(sizeof(in) - n))) > 0) {
            n += (size_t)r;
        }
        assert_int_equal(n, sizeof(in));
        assert_memory_equal(in, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PREFACE);
        uint8_t settings[HEAD] = {0, 0, 0, 4};
        SSL_write(ssl, settings, HEAD);
        if (t->answers) {
            uint8_t *ping = in + PREFACE + HEAD;
            assert_int_equal(ping[3], 6);
            ping[4] = 1; /* ACK */
            SSL_write(ssl, ping, HEAD + 8);
        }
        (void)SSL_read(ssl, in, sizeof(in)); /* until the other side closes, or is cut off */
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
    return NULL;
}

static void test_h2ping(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    listen_local();
    struct tls_server t = {.context = self_signed(), .answers = true};
    SSL_CTX_set_alpn_select_cb(t.context, choose_h2, NULL);
    struct check_def def = {.name = STR("h2"),
                            .h2ping = local_url(f, "@"),
                            .tls_skip_verify = true,
                            .interval = 3600 * SECOND,
                            .timeout = SECOND};
    assert_ok(add_check(f, def, &err));
    serve(h2_serve, &t);
    (void)probe(f, "h2");
    assert_string_equal(waited_output, "HTTP2 ping was successful");
    assert_str_lit(check_row(f, STR("h2"))->status, "passing");
    pthread_join(server_thread, NULL);
    assert_string_equal(waited_output, "HTTP2 ping was successful");

    t.answers = false;
    def.timeout = SECOND / 5;
    assert_ok(add_check(f, def, &err));
    serve(h2_serve, &t);
    assert_str_lit(probe(f, "h2")->status, "critical");
    pthread_join(server_thread, NULL);
    assert_non_null(strstr(waited_output, "HTTP2 ping failed: "));

    /* Without skipping it the certificate is nobody's. */
    def.tls_skip_verify = false;
    assert_ok(add_check(f, def, &err));
    serve(h2_serve, &t);
    (void)probe(f, "h2");
    serve_end();
    assert_non_null(strstr(waited_output, "Failed to dial to "));
    SSL_CTX_free(t.context);
}

/* --- docker ---------------------------------------------------------------------------------- */

static char docker_got[3][1024];

static void *docker_serve(void *data)
{
    static const char *const answers[] = {
        "HTTP/1.1 201 Created\r\nContent-Length: 13\r\n\r\n{\"Id\":\"e-1\"}\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nworks\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"ExitCode\": 1}",
    };
    (void)data;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        int fd = accept(listener, NULL, NULL);
        ssize_t n = read(fd, docker_got[i], sizeof(docker_got[i]) - 1);
        docker_got[i][n > 0 ? n : 0] = '\0';
        write_all(fd, answers[i], strlen(answers[i]));
        close(fd);
    }
    return NULL;
}

static void test_docker(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct str args[] = {STR("ls"), STR("-l")};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char host[160];
    fixture_make_data_dir(f);
    (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/docker.sock", f->data_dir);
    (void)snprintf(host, sizeof(host), "unix://%s", un.sun_path);
    assert_int_equal(setenv("DOCKER_HOST", host, 1), 0);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_ok(add_check(f,
                        (struct check_def){.name = STR("docker"),
                                           .docker_container_id = STR("box"),
                                           .script_args = {args, 2},
                                           .interval = 3600 * SECOND},
                        &err));
    serve(docker_serve, NULL);
    assert_str_lit(probe(f, "docker")->status, "warning");
    serve_end();
    assert_string_equal(waited_output, "works\n");
    assert_non_null(strstr(docker_got[0], "POST /containers/box/exec HTTP/1.1\r\n"));
    assert_non_null(strstr(docker_got[0], "\"Cmd\":[\"ls\",\"-l\"]"));
    assert_non_null(strstr(docker_got[1], "POST /exec/e-1/start HTTP/1.1\r\n"));
    assert_non_null(strstr(docker_got[2], "GET /exec/e-1/json HTTP/1.1\r\n"));
    (void)probe(f, "docker");
    assert_non_null(strstr(waited_output, "create exec failed for container box: "));
    assert_int_equal(unsetenv("DOCKER_HOST"), 0);
}

/* --- ttl and alias --------------------------------------------------------------------------- */

static bool is_critical(void *data)
{
    struct fixture *f = data;
    return str_eq_lit(check_row(f, str_from_cstr(waited_id))->status, "critical");
}

static bool is_passing(void *data)
{
    struct fixture *f = data;
    return str_eq_lit(check_row(f, str_from_cstr(waited_id))->status, "passing");
}

static void test_ttl(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    bool is_changed;
    waited_id = "ttl";
    assert_ok(add_check(
        f,
        (struct check_def){
            .name = STR("ttl"), .ttl = SECOND / 10, .status = STR("passing"), .output_max_size = 4},
        &err));
    run_until(f, is_critical);
    assert_str_lit(check_row(f, STR("ttl"))->output, "TTL expired");
    assert_ok(check_ttl_report(f->agent, STR("ttl"), STR("passing"), STR("a long one"), &is_changed,
                               &err));
    assert_str_lit(check_row(f, STR("ttl"))->output, "a lo ... (captured 4 of 10 bytes)");
    run_until(f, is_critical);
    assert_str_lit(check_row(f, STR("ttl"))->output,
                   "TTL expired (last output before timeout follows): a lo ... (captured 4 of 10 "
                   "bytes)");
    assert_true(
        check_ttl_report(f->agent, STR("none"), STR("passing"), STR(""), &is_changed, &err) < 0);
    assert_string_equal(err.text, "CheckID \"none\" does not have associated TTL");
}

static void test_alias_of_a_local_service(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    bool is_changed;
    waited_id = "alias";
    struct check_def ttl = {.ttl = 60 * SECOND, .status = STR("passing")};
    assert_ok(add_service(f, (struct node_service){.service = STR("db")}, &ttl, 1, &err));
    assert_ok(
        add_check(f, (struct check_def){.name = STR("alias"), .alias_service = STR("db")}, &err));
    run_until(f, is_passing);
    assert_str_lit(check_row(f, STR("alias"))->output, "All checks passing.");
    assert_ok(check_ttl_report(f->agent, STR("service:db"), STR("critical"), STR("down"),
                               &is_changed, &err));
    run_until(f, is_critical);
    assert_str_lit(check_row(f, STR("alias"))->output,
                   "Aliased check \"Service 'db' check\" failing: down");
    assert_ok(check_deregister(f->agent, STR("service:db"), true, &err));
    run_until(f, is_passing);
    assert_str_lit(check_row(f, STR("alias"))->output, "No checks found.");
    assert_ok(service_remove(f->agent, STR("db"), true, &err));
    run_until(f, is_critical);
    assert_str_lit(check_row(f, STR("alias"))->output, "Service db could not be found on node ");
}

static void test_alias_of_another_node(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    waited_id = "alias";
    struct node_service service = {.id = STR("far"), .service = STR("far")};
    struct health_check check = {.node = STR("node2"),
                                 .check_id = STR("c"),
                                 .name = STR("c"),
                                 .status = STR("passing"),
                                 .service_id = STR("far")};
    struct register_request req = {.datacenter = STR("dc1"),
                                   .node = STR("node2"),
                                   .address = STR("127.0.0.3"),
                                   .service = &service,
                                   .check = &check};
    catalog_write(f, &req);
    assert_ok(add_check(f,
                        (struct check_def){.name = STR("alias"),
                                           .alias_node = STR("node2"),
                                           .alias_service = STR("far")},
                        &err));
    run_until(f, is_passing);
    assert_str_lit(check_row(f, STR("alias"))->output, "All checks passing.");
    check.status = STR("critical");
    check.output = STR("away");
    catalog_write(f, &req);
    run_until(f, is_critical);
    assert_str_lit(check_row(f, STR("alias"))->output, "Aliased check \"c\" failing: away");
}

/* Two aliases of each other would describe each other for ever. */
static void test_aliases_of_each_other_come_to_rest(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct check_def a = {.alias_service = STR("b")}, b = {.alias_service = STR("a")};
    assert_ok(add_service(f, (struct node_service){.service = STR("a")}, &a, 1, &err));
    assert_ok(add_service(f, (struct node_service){.service = STR("b")}, &b, 1, &err));
    run_until(f, is_in_step);
    assert_true(check_row(f, STR("service:a"))->output.n <= CHECK_OUTPUT_SIZE_DEFAULT);
}

static bool service_is_reaped(void *data)
{
    struct fixture *f = data;
    return local_service(f->agent->local, STR("old")) == NULL;
}

static void test_critical_for_too_long(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    bool is_changed;
    struct check_def def = {.ttl = 60 * SECOND, .deregister_critical_service_after = SECOND};
    assert_ok(add_service(f, (struct node_service){.service = STR("old")}, &def, 1, &err));
    struct check_entry *e = local_check(f->agent->local, STR("service:old"));
    assert_int_equal(e->runner->reap_after_ms, 60000); /* the minimum */
    assert_ok(check_ttl_report(f->agent, STR("service:old"), STR("critical"), STR("x"), &is_changed,
                               &err));
    assert_true(e->critical_since_ms > 0);
    e->runner->reap_after_ms = 1;
    loop_timer_start(f->base.main.loop, &f->agent->reap_timer, 20, f->agent->reap_timer.fire);
    run_until(f, service_is_reaped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_script_exit_codes, setup_scripts, teardown),
        cmocka_unit_test_setup_teardown(test_script_that_hangs, setup_scripts, teardown),
        cmocka_unit_test_setup_teardown(test_script_that_floods, setup_scripts, teardown),
        cmocka_unit_test_setup_teardown(test_script_that_is_not_there, setup_scripts, teardown),
        cmocka_unit_test_setup_teardown(test_removed_under_way, setup_scripts, teardown),
        cmocka_unit_test_setup_teardown(test_scripts_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thresholds, setup_scripts, teardown),
        cmocka_unit_test_setup_teardown(test_http, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tcp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grpc, setup, teardown),
        cmocka_unit_test_setup_teardown(test_h2ping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_docker, setup_scripts, teardown),
        cmocka_unit_test_setup_teardown(test_ttl, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alias_of_a_local_service, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alias_of_another_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_aliases_of_each_other_come_to_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_critical_for_too_long, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
