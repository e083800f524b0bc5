#include "test.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "loop/tls.h"
#include "tls_fixture.h"

/* One stream of ours in a loop that the test turns by hand, on a socket pair whose other end is
 * either another stream of ours or OpenSSL, pumped by hand in pieces. */
static struct loop *loop;
static struct tls_files files;

struct end {
    struct tcp_stream s;
    struct buf in;
    bool is_connected, is_eof, is_closed, does_echo, closes_at_read, stops_at_read,
        detaches_at_read;
    int code;        /* of fail() */
    int drained, fd; /* once it is detached, as the session */
    struct tls_session *session;
    char error[600];
};

static struct tcp_listener listener;
static struct end server, client;
static struct tls_context *server_context;
static struct str verified_datacenter; /* by the client; empty: its own */

static struct end *end_of(struct tcp_stream *s)
{
    return container_of(s, struct end, s);
}

static void end_read(struct tcp_stream *s, const char *p, size_t n)
{
    struct end *e = end_of(s);
    if (e == &server && s->filter == NULL) { /* the byte that goes ahead */
        assert_int_equal(p[0], 3);
        assert_ok(tls_accept(s, server_context, TLS_IN_RPC));
        tls_feed(s, str_make(p + 1, n - 1));
        return;
    }
    buf_put(&e->in, p, n);
    if (e->does_echo) {
        const struct iovec iov = {(void *)(uintptr_t)p, n};
        assert_ok(tcp_write(s, &iov, 1));
    }
    if (e->stops_at_read) {
        tcp_read_stop(s);
    }
    if (e->closes_at_read) {
        tcp_close(s);
    }
    if (e->detaches_at_read) {
        e->session = tls_detach(s);
        e->fd = tcp_detach(s);
    }
}

static void end_eof(struct tcp_stream *s)
{
    end_of(s)->is_eof = true;
}

static void end_fail(struct tcp_stream *s, int code)
{
    struct end *e = end_of(s);
    const char *error = tls_error(s);
    e->code = code;
    (void)snprintf(e->error, sizeof(e->error), "%s", error != NULL ? error : "");
    tcp_close(s);
}

static void end_drained(struct tcp_stream *s)
{
    assert_true(end_of(s)->is_connected);
    end_of(s)->drained++;
}

static void end_connected(struct tcp_stream *s)
{
    end_of(s)->is_connected = true;
}

static void end_closed(struct tcp_stream *s)
{
    end_of(s)->is_closed = true;
}

static const struct tcp_ops end_ops = {.read = end_read,
                                       .eof = end_eof,
                                       .fail = end_fail,
                                       .drained = end_drained,
                                       .connected = end_connected,
                                       .closed = end_closed};

static void turn(void)
{
    (void)uv_run(loop_uv(loop), UV_RUN_NOWAIT);
}

/* Until it holds; what is waited for is under way already, so this many turns are plenty. */
#define TURN_UNTIL(condition)                                             \
    do {                                                                  \
        for (int turns_ = 0; !(condition) && turns_ < 100000; turns_++) { \
            turn();                                                       \
        }                                                                 \
        assert_true(condition);                                           \
    } while (0)

static void end_finish(struct end *e)
{
    tcp_close(&e->s);
    TURN_UNTIL(e->is_closed);
    buf_deinit(&e->in);
}

static void write_text(struct end *e, const char *text)
{
    const struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    assert_ok(tcp_write(&e->s, &iov, 1));
}

/* --- two of ours ------------------------------------------------------------------------------ */

static void accept_end(struct tcp_listener *l, int fd, const struct address *from)
{
    (void)l;
    (void)from;
    tcp_start(&server.s, loop, fd, &end_ops);
}

static void connect_pair(const struct tls_settings *ours, const struct tls_settings *theirs)
{
    struct address a;
    struct tls_context *c = tls_context_make(theirs);
    server_context = tls_context_make(ours);
    server = client = (struct end){0};
    memset(&listener, 0, sizeof(listener));
    assert_ok(address_parse(&a, STR("127.0.0.1"), 0, NULL));
    int fd = listen_socket(&a, &(struct listen_options){0}, NULL);
    assert_ok(fd);
    a.size = sizeof(a.sa);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a.sa, &a.size), 0);
    tcp_listener_start(&listener, loop, fd, accept_end);
    assert_ok(tcp_connect(&client.s, loop, &a, NULL, &end_ops));
    tls_connect(&client.s, c, 3, verified_datacenter);
    (void)tls_context_unref(c); /* the connection has its own */
}

static bool listener_is_closed;

static void listener_closed(struct tcp_listener *l)
{
    (void)l;
    listener_is_closed = true;
}

static void end_pair(void)
{
    end_finish(&server);
    end_finish(&client);
    listener_is_closed = false;
    listener.closed = listener_closed;
    tcp_listener_close(&listener);
    TURN_UNTIL(listener_is_closed);
    server_context = tls_context_unref(server_context);
}

static void test_two_talk(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    s.verify_incoming_rpc = s.verify_outgoing = s.verify_server_hostname = true;
    connect_pair(&s, &s);
    write_text(&client, "early"); /* before it is connected, and before the handshake */
    assert_int_equal(tcp_pending(&client.s), 5 + 1);
    TURN_UNTIL(client.is_connected && server.is_connected && server.in.n == 5);
    assert_str_lit(buf_view(&server.in), "early");
    assert_int_equal(tcp_pending(&client.s), 0);
    assert_true(client.drained > 0);
    assert_str_lit(tls_asked_name(&server.s), "server.dc1.consul");
    assert_true(tls_peer_is(&server.s, "server.dc1.consul"));
    assert_false(tls_peer_is(&server.s, "server.dc2.consul"));
    write_text(&server, "answer");
    TURN_UNTIL(client.in.n == 6);
    /* Half-close, one way and the other. */
    tcp_shutdown_write(&client.s);
    TURN_UNTIL(server.is_eof);
    assert_int_equal(server.code, 0);
    write_text(&server, "last");
    tcp_close(&server.s);
    TURN_UNTIL(client.is_eof && client.in.n == 10);
    assert_int_equal(client.code, 0);
    end_pair();
}

static void test_huge(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    s.verify_outgoing = true;
    connect_pair(&s, &s);
    server.does_echo = true;
    TURN_UNTIL(client.is_connected && server.is_connected);
    server.does_echo = true;
    struct buf b = {0};
    for (size_t i = 0; i < (20u << 20); i++) {
        buf_byte(&b, (uint8_t)(i * 7 + i / 256));
    }
    struct buf copy = {0};
    buf_str(&copy, buf_view(&b));
    assert_ok(tcp_write_buf(&client.s, &b));
    assert_int_equal(b.n, 0);
    assert_true(tcp_pending(&client.s) > 0);
    TURN_UNTIL(client.in.n == copy.n);
    assert_memory_equal(client.in.p, copy.p, copy.n);
    assert_int_equal(tcp_pending(&client.s), 0);
    buf_deinit(&b);
    buf_deinit(&copy);
    end_pair();
}

static void pair_fails(const struct tls_settings *ours, const struct tls_settings *theirs,
                       const char *server_error, const char *client_error)
{
    connect_pair(ours, theirs);
    TURN_UNTIL(server.is_closed && client.is_closed);
    assert_int_equal(client.code, -ERR_CONNECTION);
    assert_int_equal(server.code, -ERR_CONNECTION);
    assert_non_null(strstr(server.error, server_error));
    assert_non_null(strstr(client.error, client_error));
    end_pair();
}

static void test_who_is_refused(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files), c = s, bare = s;
    c.verify_outgoing = s.verify_outgoing = bare.verify_outgoing = true;
    s.verify_incoming_rpc = true;
    bare.cert_file = bare.key_file = STR_NULL;
    pair_fails(&s, &bare, "tls: client didn't provide a certificate", "remote error: tls: ");

    c.cert_file = str_from_cstr(files.other_cert);
    c.key_file = str_from_cstr(files.other_key);
    pair_fails(&s, &c,
               "tls: failed to verify client's certificate: x509: certificate signed by unknown "
               "authority",
               "remote error: tls: bad certificate");

    c.cert_file = str_from_cstr(files.expired_cert);
    c.key_file = str_from_cstr(files.expired_key);
    pair_fails(&s, &c, "x509: certificate has expired or is not yet valid: current time 2",
               "remote error: tls: bad certificate");
    pair_fails(&c, &s, "remote error: tls: bad certificate",
               "x509: certificate has expired or is not yet valid: current time 2");

    /* Not the server's name: no matter, unless it is to be verified. */
    c.cert_file = str_from_cstr(files.host_cert);
    c.key_file = str_from_cstr(files.host_key);
    connect_pair(&c, &s);
    TURN_UNTIL(client.is_connected && server.is_connected);
    assert_str_lit(tls_asked_name(&server.s), "");
    assert_false(tls_peer_is(&server.s, "server.dc1.consul")); /* it was not asked who it is */
    end_pair();
    s.verify_server_hostname = true;
    verified_datacenter = STR("dc2");
    pair_fails(
        &s, &s, "remote error: tls: bad certificate",
        "x509: certificate is valid for server.dc1.consul, localhost, not server.dc2.consul");
    verified_datacenter = STR("");
    pair_fails(&c, &s, "remote error: tls: bad certificate",
               "x509: certificate is valid for client.dc1.consul, not server.dc1.consul");
}

/* --- OpenSSL on the other side ---------------------------------------------------------------- */

struct raw {
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static void raw_open(struct raw *r, struct end *e, struct tls_context *c, enum tls_role role,
                     int version)
{
    int fds[2];
    *e = (struct end){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    tcp_start(&e->s, loop, fds[0], &end_ops);
    assert_ok(tls_accept(&e->s, c, role));
    r->fd = fds[1];
    r->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(r->ctx, version);
    SSL_CTX_set_max_proto_version(r->ctx, version);
    r->ssl = SSL_new(r->ctx);
    SSL_set_bio(r->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(r->ssl);
}

static void raw_close(struct raw *r)
{
    (void)close(r->fd);
    SSL_free(r->ssl);
    SSL_CTX_free(r->ctx);
}

/* What it has to say, at most `piece` bytes at a time, and what we say. */
static void raw_pump(struct raw *r, size_t piece)
{
    char bytes[16384];
    int n = BIO_read(SSL_get_wbio(r->ssl), bytes, (int)MIN(piece, sizeof(bytes)));
    if (n > 0) {
        assert_int_equal(send(r->fd, bytes, (size_t)n, MSG_NOSIGNAL), n);
    }
    turn();
    ssize_t got = recv(r->fd, bytes, sizeof(bytes), 0);
    if (got > 0) {
        assert_int_equal(BIO_write(SSL_get_rbio(r->ssl), bytes, (int)got), got);
    }
}

static void raw_handshake(struct raw *r, struct end *e, size_t piece)
{
    for (int i = 0; i < 20000 && !(SSL_is_init_finished(r->ssl) && e->is_connected); i++) {
        (void)SSL_do_handshake(r->ssl);
        raw_pump(r, piece);
    }
    assert_true(SSL_is_init_finished(r->ssl) && e->is_connected);
    ERR_clear_error();
}

static void test_pieces(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        struct raw r;
        struct end e;
        raw_open(&r, &e, c, TLS_IN_HTTPS, versions[i]);
        raw_handshake(&r, &e, 1);
        assert_int_equal(SSL_write(r.ssl, "hello, world", 12), 12);
        for (int k = 0; k < 100; k++) {
            assert_int_equal(e.in.n > 0, BIO_pending(SSL_get_wbio(r.ssl)) == 0 && k > 0);
            raw_pump(&r, 1);
            if (e.in.n > 0) {
                break;
            }
        }
        assert_str_lit(buf_view(&e.in), "hello, world");
        write_text(&e, "bye");
        raw_pump(&r, 1);
        char text[16];
        assert_int_equal(SSL_read(r.ssl, text, sizeof(text)), 3);
        end_finish(&e);
        raw_close(&r);
    }
    (void)tls_context_unref(c);
}

static void test_read_stop_holds(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    struct raw r;
    struct end e;
    raw_open(&r, &e, c, TLS_IN_RPC, TLS1_3_VERSION);
    raw_handshake(&r, &e, 100000);
    e.stops_at_read = true;
    assert_int_equal(SSL_write(r.ssl, "one", 3), 3);
    assert_int_equal(SSL_write(r.ssl, "two", 3), 3);
    raw_pump(&r, 100000);
    assert_str_lit(buf_view(&e.in), "onetwo"); /* what one read brought, in one piece */
    assert_int_equal(SSL_write(r.ssl, "three", 5), 5);
    raw_pump(&r, 100000);
    raw_pump(&r, 100000);
    assert_int_equal(e.in.n, 6);
    tcp_read_start(&e.s);
    TURN_UNTIL(e.in.n == 11);
    /* The end, too, though it came with what was read. */
    e.stops_at_read = false;
    tcp_read_start(&e.s);
    e.stops_at_read = true;
    assert_int_equal(SSL_write(r.ssl, "last", 4), 4);
    (void)SSL_shutdown(r.ssl);
    raw_pump(&r, 100000);
    raw_pump(&r, 100000);
    assert_int_equal(e.in.n, 15);
    assert_false(e.is_eof);
    tcp_read_start(&e.s);
    assert_false(e.is_eof); /* not from inside */
    TURN_UNTIL(e.is_eof);
    end_finish(&e);
    raw_close(&r);
    (void)tls_context_unref(c);
}

static void test_closing_inside(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    struct raw r;
    struct end e;
    raw_open(&r, &e, c, TLS_IN_RPC, TLS1_3_VERSION);
    raw_handshake(&r, &e, 100000);
    e.closes_at_read = true;
    assert_int_equal(SSL_write(r.ssl, "one", 3), 3);
    (void)SSL_shutdown(r.ssl);
    raw_pump(&r, 100000);
    TURN_UNTIL(e.is_closed);
    assert_false(e.is_eof);
    raw_pump(&r, 1);
    char text[16];
    assert_true(SSL_read(r.ssl, text, sizeof(text)) <= 0);
    assert_int_equal(SSL_get_shutdown(r.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    end_finish(&e);
    raw_close(&r);
    (void)tls_context_unref(c);
}

/* Hung up: between two records that is an end, inside of one it is not. */
static void test_hanging_up(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    struct raw r;
    struct end e;
    for (int is_cut = 0; is_cut < 2; is_cut++) {
        raw_open(&r, &e, c, TLS_IN_RPC, TLS1_3_VERSION);
        raw_handshake(&r, &e, 100000);
        assert_int_equal(SSL_write(r.ssl, "hello", 5), 5);
        raw_pump(&r, is_cut ? 12 : 100000);
        assert_int_equal(shutdown(r.fd, SHUT_WR), 0);
        TURN_UNTIL(e.is_eof || e.is_closed);
        assert_int_equal(e.is_eof, !is_cut);
        assert_string_equal(e.error, is_cut ? "unexpected EOF" : "");
        end_finish(&e);
        raw_close(&r);
    }
    /* Nothing at all, and half a handshake. */
    raw_open(&r, &e, c, TLS_IN_RPC, TLS1_3_VERSION);
    assert_int_equal(shutdown(r.fd, SHUT_WR), 0);
    TURN_UNTIL(e.is_closed);
    assert_int_equal(e.code, -ERR_CLOSED);
    assert_string_equal(e.error, "");
    end_finish(&e);
    raw_close(&r);
    raw_open(&r, &e, c, TLS_IN_RPC, TLS1_3_VERSION);
    (void)SSL_do_handshake(r.ssl);
    raw_pump(&r, 20);
    assert_int_equal(shutdown(r.fd, SHUT_WR), 0);
    TURN_UNTIL(e.is_closed);
    assert_string_equal(e.error, "unexpected EOF");
    end_finish(&e);
    raw_close(&r);
    (void)tls_context_unref(c);
}

static void garbage(struct tls_context *c, enum tls_role role, const char *bytes, size_t n,
                    const char *error, const char *answer)
{
    int fds[2];
    struct end e = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    tcp_start(&e.s, loop, fds[0], &end_ops);
    assert_ok(tls_accept(&e.s, c, role));
    assert_int_equal(send(fds[1], bytes, n, 0), n);
    TURN_UNTIL(e.is_closed);
    assert_int_equal(e.code, -ERR_CONNECTION);
    if (error != NULL) {
        assert_string_equal(e.error, error);
    }
    char text[256] = "";
    ssize_t got = recv(fds[1], text, sizeof(text) - 1, 0);
    if (answer != NULL) {
        assert_string_equal(text, answer);
    } else if (got > 0) {
        assert_int_equal(text[0], 21); /* an alert */
    }
    (void)close(fds[1]);
    end_finish(&e);
}

static void test_garbage(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    static const char not_tls[] = "tls: first record does not look like a TLS handshake";
    garbage(c, TLS_IN_RPC, "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 12, not_tls, NULL);
    garbage(c, TLS_IN_RPC, "GET / HTTP/1.1\r\n\r\n", 18, not_tls, NULL);
    garbage(c, TLS_IN_HTTPS, "GET / HTTP/1.1\r\n\r\n", 18, not_tls, TLS_HTTP_REFUSAL);
    garbage(c, TLS_IN_HTTPS, "OPTIONS * HTTP/1.1\r\n\r\n", 22, not_tls, TLS_HTTP_REFUSAL);
    garbage(c, TLS_IN_HTTPS, "\x16\x03\x01\xff\xff", 5, NULL, NULL);
    garbage(c, TLS_IN_HTTPS, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10, NULL, NULL);
    char noise[300];
    for (int i = 0; i < 300; i++) {
        noise[i] = (char)(0x80 + i * 31);
    }
    garbage(c, TLS_IN_HTTPS, noise, sizeof(noise), NULL, NULL);
    (void)tls_context_unref(c);
}

/* A broken record behind a good one: what was good is delivered first. */
static void test_broken_record(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    struct raw r;
    struct end e;
    raw_open(&r, &e, c, TLS_IN_RPC, TLS1_3_VERSION);
    raw_handshake(&r, &e, 100000);
    char bytes[256];
    assert_int_equal(SSL_write(r.ssl, "good", 4), 4);
    int n = BIO_read(SSL_get_wbio(r.ssl), bytes, sizeof(bytes));
    assert_int_equal(SSL_write(r.ssl, "evil", 4), 4);
    int m = BIO_read(SSL_get_wbio(r.ssl), bytes + n, (int)sizeof(bytes) - n);
    bytes[n + m - 1] ^= 1;
    assert_int_equal(send(r.fd, bytes, (size_t)(n + m), 0), n + m);
    TURN_UNTIL(e.is_closed);
    assert_str_lit(buf_view(&e.in), "good");
    assert_int_equal(e.code, -ERR_CONNECTION);
    end_finish(&e);
    raw_close(&r);
    (void)tls_context_unref(c);
}

static void test_no_renegotiation(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    struct raw r;
    struct end e;
    raw_open(&r, &e, c, TLS_IN_HTTPS, TLS1_2_VERSION);
    raw_handshake(&r, &e, 100000);
    assert_int_equal(SSL_renegotiate(r.ssl), 1);
    unsigned long code = 0;
    for (int i = 0; i < 10 && code == 0; i++) {
        assert_int_not_equal(SSL_do_handshake(r.ssl), 1);
        code = ERR_peek_error();
        raw_pump(&r, 100000);
    }
    assert_int_equal(ERR_GET_REASON(code), SSL_R_NO_RENEGOTIATION);
    end_finish(&e);
    raw_close(&r);
    (void)tls_context_unref(c);
}

/* One that wants answers and reads none may not make them pile up. */
static void test_key_updates(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    struct raw r;
    struct end e;
    raw_open(&r, &e, c, TLS_IN_RPC, TLS1_3_VERSION);
    raw_handshake(&r, &e, 100000);
    char bytes[4096];
    bool is_full = false;
    for (int i = 0; i < 1000000 && !e.is_closed; i++) {
        if (BIO_pending(SSL_get_wbio(r.ssl)) == 0) {
            assert_int_equal(SSL_key_update(r.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
            (void)SSL_do_handshake(r.ssl);
        }
        int n = BIO_read(SSL_get_wbio(r.ssl), bytes, sizeof(bytes));
        if (n > 0 && send(r.fd, bytes, (size_t)n, MSG_NOSIGNAL) < 0) {
            is_full = true;
        }
        turn();
    }
    (void)is_full;
    assert_true(e.is_closed);
    assert_int_not_equal(e.code, 0);
    end_finish(&e);
    raw_close(&r);
    (void)tls_context_unref(c);
}

static void test_protocols(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    static const struct {
        enum tls_role role;
        const char *offer, *chosen;
    } cases[] = {
        {TLS_IN_HTTPS, "\x02h2\x08http/1.1", "http/1.1"},
        {TLS_IN_HTTPS, "\x02h2", ""},
        {TLS_IN_RPC, "\x08http/1.1", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct raw r;
        struct end e;
        raw_open(&r, &e, c, cases[i].role, TLS1_3_VERSION);
        assert_int_equal(SSL_set_alpn_protos(r.ssl, (const unsigned char *)cases[i].offer,
                                             (unsigned)strlen(cases[i].offer)),
                         0);
        raw_handshake(&r, &e, 100000);
        assert_str_equal(tls_protocol(&e.s), str_from_cstr(cases[i].chosen));
        end_finish(&e);
        raw_close(&r);
    }
    (void)tls_context_unref(c);
}

/* To another stream, in the middle of a record. */
static void test_moving(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files);
    struct tls_context *c = tls_context_make(&s);
    struct raw r;
    struct end e, other = {0};
    raw_open(&r, &e, c, TLS_IN_RPC, TLS1_3_VERSION);
    raw_handshake(&r, &e, 100000);
    assert_int_equal(SSL_write(r.ssl, "divided", 7), 7);
    raw_pump(&r, 10);
    struct tls_session *session = tls_detach(&e.s);
    int fd = tcp_detach(&e.s);
    TURN_UNTIL(e.is_closed);
    tcp_start(&other.s, loop, fd, &end_ops);
    tls_attach(&other.s, session);
    raw_pump(&r, 100000);
    TURN_UNTIL(other.in.n == 7);
    write_text(&other, "here");
    raw_pump(&r, 1);
    char text[16];
    assert_int_equal(SSL_read(r.ssl, text, sizeof(text)), 4);
    end_finish(&other);
    raw_close(&r);
    /* From inside of the read that has brought the end, too. */
    struct end third = {0};
    raw_open(&r, &e, c, TLS_IN_RPC, TLS1_3_VERSION);
    raw_handshake(&r, &e, 100000);
    e.detaches_at_read = true;
    assert_int_equal(SSL_write(r.ssl, "!", 1), 1);
    (void)SSL_shutdown(r.ssl);
    raw_pump(&r, 100000);
    TURN_UNTIL(e.is_closed);
    assert_false(e.is_eof);
    tcp_start(&third.s, loop, e.fd, &end_ops);
    tls_attach(&third.s, e.session);
    TURN_UNTIL(third.is_eof);
    end_finish(&third);
    raw_close(&r);
    buf_deinit(&e.in);
    (void)tls_context_unref(c);
}

/* --- contexts --------------------------------------------------------------------------------- */

static void context_fails(const struct tls_settings *s, const char *error)
{
    struct tls_context *c;
    struct err err = {0};
    assert_true(tls_context_new(s, &c, &err) < 0);
    if (strncmp(err_text(&err), error, strlen(error)) != 0) {
        fail_msg("\"%s\", not \"%s\"", err_text(&err), error);
    }
}

static void test_settings_refused(void **state)
{
    (void)state;
    struct tls_settings good = tls_files_settings(&files), s = good;
    s.cert_file = STR("/nowhere/x.pem");
    context_fails(&s, "Failed to load cert/key pair: open /nowhere/x.pem: no such file or "
                      "directory");
    s = good;
    s.key_file = str_from_cstr(files.other_key);
    context_fails(&s, "Failed to load cert/key pair: tls: private key does not match public key");
    s.key_file = str_from_cstr(files.ca);
    context_fails(&s,
                  "Failed to load cert/key pair: tls: failed to find any PEM data in key input");
    s = good;
    s.cert_file = str_from_cstr(files.key);
    context_fails(&s, "Failed to load cert/key pair: tls: failed to find any PEM data in "
                      "certificate input");
    s = good;
    s.ca_file = STR("/nowhere/ca.pem");
    context_fails(&s, "Error loading from /nowhere/ca.pem: open /nowhere/ca.pem: no such file or "
                      "directory");
    s.ca_file = str_from_cstr(files.key);
    context_fails(&s, "failed to parse PEM ");
    s = good;
    s.min_version = STR("tls9");
    context_fails(&s, "TLSMinVersion: value tls9 not supported, please specify one of [tls10, "
                      "tls11, tls12, tls13]");
    s = good;
    s.cipher_suites = STR("TLS_NOT_THIS");
    context_fails(&s, "unsupported cipher \"TLS_NOT_THIS\"");
    s = (struct tls_settings){.verify_outgoing = true};
    context_fails(&s, "VerifyOutgoing set, and no CA certificate provided!");
    s = (struct tls_settings){.verify_incoming_https = true};
    context_fails(&s, "VerifyIncoming set but no CA certificates were provided");
    s = (struct tls_settings){.verify_incoming_rpc = true, .ca_file = good.ca_file};
    context_fails(&s, "VerifyIncoming requires either a Cert and Key pair in the configuration "
                      "file, or auto_encrypt/auto_config be enabled");
}

static void test_authorities_of_a_directory(void **state)
{
    (void)state;
    struct tls_settings s = tls_files_settings(&files), theirs = s;
    char dir[] = "/tmp/test_tls.XXXXXX", inner[64], path[96];
    assert_non_null(mkdtemp(dir));
    s.ca_file = STR_NULL;
    s.ca_path = str_from_cstr(dir);
    s.verify_incoming_rpc = s.verify_outgoing = true;
    context_fails(&s, "Error loading from CAPath: no CAs found");
    (void)snprintf(inner, sizeof(inner), "%s/inner", dir);
    assert_int_equal(mkdir(inner, 0700), 0);
    (void)snprintf(path, sizeof(path), "%s/a.pem", inner);
    assert_int_equal(symlink(files.ca, path), 0);
    theirs.verify_outgoing = true;
    connect_pair(&s, &theirs);
    TURN_UNTIL(client.is_connected && server.is_connected);
    end_pair();
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void test_no_settings(void **state)
{
    (void)state;
    struct tls_settings s = {.min_version = STR("tls12")};
    struct tls_context *c = tls_context_make(&s);
    assert_null(c->ssl);
    struct tls_configurator *t = tls_configurator_new(c);
    struct end e = {0};
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    tcp_start(&e.s, loop, fds[0], &end_ops);
    assert_int_equal(tls_accept(&e.s, c, TLS_IN_RPC), -ERR_UNSUPPORTED);
    /* The newest is what new connections get; old ones keep theirs. */
    struct tls_settings other = tls_files_settings(&files);
    c = tls_context_ref(c);
    tls_configurator_set(t, tls_context_make(&other));
    struct tls_context *now = tls_configurator_get(t);
    assert_true(now->has_cert && !c->has_cert);
    assert_ok(tls_accept(&e.s, now, TLS_IN_RPC));
    (void)tls_context_unref(now);
    (void)tls_context_unref(c);
    (void)tls_configurator_free(t);
    end_finish(&e);
    (void)close(fds[1]);
}

static int setup(void **state)
{
    (void)state;
    tls_files_make(&files);
    loop = loop_new("tls");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop = loop_free(loop);
    tls_files_remove(&files);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_talk),
        cmocka_unit_test(test_huge),
        cmocka_unit_test(test_who_is_refused),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_read_stop_holds),
        cmocka_unit_test(test_closing_inside),
        cmocka_unit_test(test_hanging_up),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_broken_record),
        cmocka_unit_test(test_no_renegotiation),
        cmocka_unit_test(test_key_updates),
        cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_moving),
        cmocka_unit_test(test_settings_refused),
        cmocka_unit_test(test_authorities_of_a_directory),
        cmocka_unit_test(test_no_settings),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
