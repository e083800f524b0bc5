/* The happy path: input() lends OpenSSL the bytes that were read; SSL_read() takes whole records
 * out of them into the loop's plain buffer, and leaves the beginning of one that is not whole in a
 * buffer of its own; the plain text is delivered in one piece. output() has SSL_write() put records
 * into the loop's wire buffer, which is written to the socket at once. Handshakes, alerts and key
 * updates come and go on the same two ways.
 *
 * What may go differently:
 * - the handshake is not through: what is written is kept, and encrypted then.
 * - a record is broken, a certificate is no good, the peer sends an alert: our alert goes out as
 * far as the socket takes it, what was read before is delivered, then ops->fail().
 * - the peer says that it is done (close_notify): delivered as ops->eof(). It hangs up without: the
 *   same between two records, as in Go; a failure in the middle of one.
 * - a peer that asks for key updates and reads no answers: TLS_UNASKED_MAX.
 * - ops->read() closes the stream, or takes the session to another thread: nothing is touched
 *   after a call of the owner's before it is clear that the session is still here. */
#include "loop/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "base/mem.h"
#include "loop/tls_handshake.h"

#define RECORD_PLAIN_MAX 16384u
#define RECORD_HEADER_SIZE 5u
/* One read, and a record whose beginning came before. */
#define PLAIN_SIZE (LOOP_READ_BUFFER_SIZE + RECORD_PLAIN_MAX)
/* Records gather up to this before the socket gets them. */
#define WIRE_SIZE (64u * 1024u)
#define WIRE_SIZE_MAX (4u * WIRE_SIZE)
/* Answers of TLS itself that the peer does not take. */
#define TLS_UNASKED_MAX (64u * 1024u)

struct tls_session {
    SSL *ssl;
    struct tcp_stream *s;
    struct str in;                   /* lent for the time of input() */
    struct buf held;                 /* plain text, written before the handshake was through */
    struct tls_handshake *handshake; /* until it is through */
    struct tls_context *context;
    char *name; /* to be verified, where it is not the context's */
    char *error;
    int write_code; /* of the socket, negative */
    size_t unasked; /* sent of our own, since all was written */
    uint8_t first[RECORD_HEADER_SIZE], first_size;
    bool is_server, is_https;
    bool is_open;    /* the handshake is through */
    bool is_broken;  /* OpenSSL shall not be called any more */
    bool is_shut;    /* we have said that we are done */
    bool is_end_due; /* it has come, and was not told yet */
    struct loop_timer end_timer;
};

static const struct tcp_filter_ops filter_ops;

static struct tls_session *session_of(const struct tcp_stream *s)
{
    return s->filter == &filter_ops ? s->filter_data : NULL;
}

/* --- OpenSSL's way to the socket ------------------------------------------------------------- */

static int wire_flush(struct tls_session *t)
{
    struct buf *wire = &t->s->loop->wire;
    if (wire->n == 0) {
        return 0;
    }
    const struct iovec iov = {wire->p, wire->n};
    int r = t->write_code < 0 ? t->write_code : tcp_raw_write(t->s, &iov, 1);
    t->write_code = r;
    buf_clear(wire);
    return r;
}

static int bio_write(BIO *bio, const char *p, int n)
{
    struct tls_session *t = BIO_get_data(bio);
    struct buf *wire = &t->s->loop->wire;
    buf_put(wire, p, (size_t)n);
    if (wire->n >= WIRE_SIZE) {
        (void)wire_flush(t);
    }
    return n;
}

static int bio_read(BIO *bio, char *p, int size)
{
    struct tls_session *t = BIO_get_data(bio);
    size_t n = MIN(t->in.n, (size_t)size);
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(p, t->in.p, n);
    t->in = str_from(t->in, n);
    return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *p)
{
    (void)bio, (void)number, (void)p;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method;
static uv_once_t bio_once = UV_ONCE_INIT;

static void bio_method_make(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    ASSERT(bio_method != NULL && BIO_meth_set_write(bio_method, bio_write) == 1 &&
           BIO_meth_set_read(bio_method, bio_read) == 1 &&
           BIO_meth_set_ctrl(bio_method, bio_ctrl) == 1);
}

/* --- errors ---------------------------------------------------------------------------------- */

/* OpenSSL has failed: its words, or those of the certificate's check. */
static void keep_error(struct tls_session *t)
{
    char words[TLS_ERROR_SIZE] = "", text[TLS_ERROR_SIZE + 64];
    const char *bad = t->handshake != NULL ? t->handshake->error : "";
    tls_error_words(words);
    if (bad[0] != '\0') {
        (void)snprintf(text, sizeof(text), "%s%s",
                       t->is_server ? "tls: failed to verify client's certificate: " : "", bad);
    } else {
        (void)snprintf(text, sizeof(text), "%s", words);
    }
    t->is_broken = true;
    mem_free(t->error);
    t->error = str_to_cstr(str_from_cstr(text));
}

static void fail_with(struct tls_session *t, const char *why)
{
    t->is_broken = true;
    mem_free(t->error);
    t->error = str_to_cstr(str_from_cstr(why));
    tcp_fail(t->s, -ERR_CONNECTION);
}

bool tls_looks_like_http(struct str first)
{
    static const char *const starts[] = {"GET /", "HEAD ", "POST ", "PUT /", "OPTIO"};
    for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
        if (str_has_prefix(first, str_from_cstr(starts[i]))) {
            return true;
        }
    }
    return false;
}

/* In place of an alert, which an HTTP client would not understand. */
static bool refuse_http(struct tls_session *t)
{
    if (!t->is_https || t->is_open || !tls_looks_like_http(str_make(t->first, t->first_size))) {
        return false;
    }
    const struct iovec iov = {(void *)(uintptr_t)TLS_HTTP_REFUSAL, sizeof(TLS_HTTP_REFUSAL) - 1};
    buf_clear(&t->s->loop->wire);
    (void)tcp_raw_write(t->s, &iov, 1);
    return true;
}

/* --- what goes ------------------------------------------------------------------------------- */

static int hold(struct tls_session *t, const struct iovec *iov, size_t count)
{
    struct tcp_stream *s = t->s;
    for (size_t i = 0; i < count; i++) {
        if (iov[i].iov_len > s->write_max - MIN(s->pending_size, s->write_max)) {
            return -ERR_TOO_LARGE;
        }
        buf_put(&t->held, iov[i].iov_base, iov[i].iov_len);
        if (t->held.failed) {
            return -ERR_TOO_LARGE;
        }
        s->pending_size += iov[i].iov_len;
    }
    return 0;
}

static int encrypt(struct tls_session *t, const void *p, size_t n)
{
    size_t written;
    ERR_clear_error();
    if (n > 0 && SSL_write_ex(t->ssl, p, n, &written) != 1) {
        keep_error(t);
        return -ERR_CONNECTION;
    }
    return 0;
}

static int filter_output(struct tcp_stream *s, const struct iovec *iov, size_t count)
{
    struct tls_session *t = session_of(s);
    if (t->is_broken || t->is_shut) {
        return -ERR_CLOSED;
    }
    if (!t->is_open) {
        return hold(t, iov, count);
    }
    int r = 0;
    for (size_t i = 0; i < count && r >= 0; i++) {
        r = encrypt(t, iov[i].iov_base, iov[i].iov_len);
    }
    int w = wire_flush(t);
    return r < 0 ? r : w;
}

/* --- the handshake --------------------------------------------------------------------------- */

/* It is through: what waits goes, then the owner is told. False: the owner has closed, or nothing
 * can be written. */
static bool open_session(struct tls_session *t)
{
    struct tcp_stream *s = t->s;
    struct buf held = buf_move(&t->held);
    const struct iovec iov = {held.p, held.n};
    bool was_held = held.n > 0;
    t->is_open = true;
    s->handshaking = false;
    t->handshake = mem_free(t->handshake);
    t->name = mem_free(t->name);
    SSL_set_app_data(t->ssl, NULL);
    s->pending_size -= held.n;
    int r = was_held ? filter_output(s, &iov, 1) : 0;
    buf_deinit(&held);
    if (r < 0) {
        tcp_fail(s, r);
        return false;
    }
    if (s->ops->connected != NULL) {
        s->ops->connected(s);
    }
    if (s->filter_data == t && was_held && s->pending_size == 0 && s->ops->drained != NULL) {
        s->ops->drained(s);
    }
    return s->filter_data == t && !s->failed;
}

/* --- what comes ------------------------------------------------------------------------------ */

enum come {
    COME_MORE, /* all was used */
    COME_END,
    COME_ERROR,
};

static enum come decrypt(struct tls_session *t, char *plain, size_t *ret_size)
{
    size_t size = 0, n;
    for (;;) {
        ERR_clear_error();
        if (size < PLAIN_SIZE && SSL_read_ex(t->ssl, plain + size, PLAIN_SIZE - size, &n) == 1) {
            size += n;
            continue;
        }
        *ret_size = size;
        switch (size < PLAIN_SIZE ? SSL_get_error(t->ssl, 0) : SSL_ERROR_SSL) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return COME_MORE;
        case SSL_ERROR_ZERO_RETURN:
            return COME_END;
        default:
            keep_error(t);
            return COME_ERROR;
        }
    }
}

/* What TLS had to say of its own. */
static int answer(struct tls_session *t)
{
    t->unasked = t->s->pending_size == 0 ? 0 : t->unasked + t->s->loop->wire.n;
    int r = wire_flush(t);
    return t->is_open && t->unasked > TLS_UNASKED_MAX ? -ERR_TOO_LARGE : r;
}

static void keep_first(struct tls_session *t, const char *p, size_t n)
{
    size_t take = MIN(n, (size_t)(RECORD_HEADER_SIZE - t->first_size));
    memcpy(t->first + t->first_size, p, take);
    t->first_size = (uint8_t)(t->first_size + take);
}

static char *plain_buffer(struct loop *l)
{
    if (l->plain_buffer == NULL) {
        l->plain_buffer = xmalloc(PLAIN_SIZE);
        l->wire.max = WIRE_SIZE_MAX;
    }
    return l->plain_buffer;
}

/* The end, good or bad, that came behind what was delivered; one that is good waits while its owner
 * does not read. */
static void end_if_due(struct tls_session *t)
{
    struct tcp_stream *s = t->s;
    if (!t->is_end_due) {
        return;
    }
    if (t->is_broken) {
        tcp_fail(s, -ERR_CONNECTION);
    } else if (s->reading) {
        t->is_end_due = false;
        if (!s->eof) {
            tcp_end(s);
        }
    }
}

static void filter_input(struct tcp_stream *s, const char *p, size_t n)
{
    struct tls_session *t = session_of(s);
    char *plain = plain_buffer(s->loop);
    size_t size = 0;
    if (t->is_broken || s->failed) {
        return;
    }
    if (t->first_size < RECORD_HEADER_SIZE) {
        keep_first(t, p, n);
    }
    t->in = str_make(p, n);
    enum come come = decrypt(t, plain, &size);
    t->in = STR_NULL;
    int r = come == COME_ERROR && refuse_http(t) ? 0 : answer(t);
    if (r < 0 && come != COME_ERROR) {
        tcp_fail(s, r);
        return;
    }
    if (!t->is_open && come != COME_ERROR && SSL_is_init_finished(t->ssl) && !open_session(t)) {
        return;
    }
    t->is_end_due = come != COME_MORE;
    tcp_deliver(s, plain, size);
    if (s->filter_data == t && !s->failed) {
        end_if_due(t);
    }
}

static void end_timer_fire(struct loop_timer *timer)
{
    struct tls_session *t = container_of(timer, struct tls_session, end_timer);
    if (!t->s->failed) {
        end_if_due(t);
    }
}

/* Not from inside tcp_read_start(), as with a plain stream. */
static void filter_resume(struct tcp_stream *s)
{
    struct tls_session *t = session_of(s);
    if (t->is_end_due) {
        loop_timer_start(s->loop, &t->end_timer, 0, end_timer_fire);
    }
}

static void filter_connected(struct tcp_stream *s)
{
    struct tls_session *t = session_of(s);
    (void)plain_buffer(s->loop);
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    if (r != 1 && SSL_get_error(t->ssl, r) != SSL_ERROR_WANT_READ) {
        keep_error(t);
        tcp_fail(s, -ERR_CONNECTION);
    } else if (wire_flush(t) < 0) {
        tcp_fail(s, t->write_code);
    }
}

static void filter_eof(struct tcp_stream *s)
{
    struct tls_session *t = session_of(s);
    if (s->eof) {
        return; /* it was said already */
    }
    if (t->is_open && !SSL_has_pending(t->ssl)) {
        tcp_end(s);
    } else if (t->is_open || t->first_size > 0) {
        fail_with(t, "unexpected EOF");
    } else if (!t->is_server) {
        fail_with(t, "EOF");
    } else {
        t->is_broken = true;
        tcp_fail(s, -ERR_CLOSED); /* somebody looked whether the port is open */
    }
}

/* --- the end --------------------------------------------------------------------------------- */

static void filter_shutdown(struct tcp_stream *s)
{
    struct tls_session *t = session_of(s);
    if (t->is_open && !t->is_broken && !t->is_shut) {
        t->is_shut = true;
        ERR_clear_error();
        (void)SSL_shutdown(t->ssl);
        ERR_clear_error();
        (void)wire_flush(t);
    }
}

struct tls_session *tls_session_free(struct tls_session *t)
{
    if (t != NULL) {
        SSL_free(t->ssl);
        (void)tls_context_unref(t->context);
        buf_deinit(&t->held);
        mem_free(t->handshake);
        mem_free(t->name);
        mem_free(t->error);
        mem_free(t);
    }
    return NULL;
}

static void filter_close(struct tcp_stream *s)
{
    struct tls_session *t = session_of(s);
    if (!s->failed) {
        filter_shutdown(s);
    }
    s->filter_data = NULL;
    s->pending_size = 0;
    loop_timer_stop(s->loop, &t->end_timer);
    (void)tls_session_free(t);
}

static const struct tcp_filter_ops filter_ops = {
    .input = filter_input,
    .output = filter_output,
    .connected = filter_connected,
    .eof = filter_eof,
    .resume = filter_resume,
    .shutdown = filter_shutdown,
    .close = filter_close,
};

/* --- beginning ------------------------------------------------------------------------------- */

static const char http_protocols[] = "\x08http/1.1";
static const char rpc_protocols[] = "\x11"
                                    "consul/rpc-single"
                                    "\x0b"
                                    "consul/raft"
                                    "\x10"
                                    "consul/rpc-multi"
                                    "\x13"
                                    "consul/rpc-snapshot";

static struct tls_session *session_new(struct tcp_stream *s, struct tls_context *c)
{
    uv_once(&bio_once, bio_method_make);
    ERR_clear_error();
    SSL *ssl = SSL_new(c->ssl);
    BIO *bio = BIO_new(bio_method);
    ASSERT(ssl != NULL && bio != NULL); /* small, as any of our own allocations */
    struct tls_session *t = xcalloc(1, sizeof(*t));
    t->ssl = ssl;
    t->context = tls_context_ref(c);
    t->handshake = xcalloc(1, sizeof(*t->handshake));
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, t->handshake);
    tls_attach(s, t);
    s->handshaking = true;
    return t;
}

void tls_attach(struct tcp_stream *s, struct tls_session *take_session)
{
    take_session->s = s;
    s->filter = &filter_ops;
    s->filter_data = take_session;
    if (take_session->is_end_due) { /* it came with the last that was read */
        loop_timer_start(s->loop, &take_session->end_timer, 0, end_timer_fire);
    }
}

struct tls_session *tls_detach(struct tcp_stream *s)
{
    struct tls_session *t = session_of(s);
    ASSERT(t != NULL && t->is_open && s->pending_size == 0);
    loop_timer_stop(s->loop, &t->end_timer);
    s->filter = NULL;
    s->filter_data = NULL;
    t->s = NULL;
    return t;
}

int tls_accept(struct tcp_stream *s, struct tls_context *c, enum tls_role role)
{
    bool is_verified = role == TLS_IN_HTTPS ? c->verify_incoming_https
                       : role == TLS_IN_RPC ? c->verify_incoming_rpc
                                            : true;
    ASSERT(role != TLS_OUT_RPC && s->filter == NULL);
    if (!c->has_cert) {
        return -ERR_UNSUPPORTED;
    }
    struct tls_session *t = session_new(s, c);
    t->is_server = true;
    t->is_https = role == TLS_IN_HTTPS;
    t->handshake->protocols = role == TLS_IN_HTTPS        ? http_protocols
                              : role == TLS_IN_RPC_NATIVE ? rpc_protocols
                                                          : NULL;
    if (is_verified) {
        SSL_set_verify(t->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    SSL_set_accept_state(t->ssl);
    return 0;
}

void tls_feed(struct tcp_stream *s, struct str bytes)
{
    if (bytes.n > 0) {
        filter_input(s, bytes.p, bytes.n);
    }
}

/* "server.dc2.consul" */
static char *name_of_server(const struct tls_context *c, struct str datacenter)
{
    struct buf name = {0};
    buf_printf(&name, "server.%.*s.%s", STRF(datacenter), c->domain);
    char *text = str_to_cstr(buf_view(&name));
    buf_deinit(&name);
    return text;
}

void tls_connect(struct tcp_stream *s, struct tls_context *c, uint8_t first_byte,
                 struct str datacenter)
{
    const struct iovec iov = {&first_byte, 1};
    ASSERT(s->connecting && s->filter == NULL && c->has_ca);
    struct tls_session *t = session_new(s, c);
    SSL_set_verify(t->ssl, SSL_VERIFY_PEER, NULL);
    if (c->verify_server_hostname) {
        t->name = datacenter.n > 0 ? name_of_server(c, datacenter) : NULL;
        t->handshake->name = t->name != NULL ? t->name : c->server_name;
        (void)SSL_set_tlsext_host_name(t->ssl, t->handshake->name);
    }
    SSL_set_connect_state(t->ssl);
    (void)tcp_raw_write(s, &iov, 1); /* kept until it is connected */
}

void tls_connect_if(struct tcp_stream *s, struct tls_configurator *tls, uint8_t first_byte,
                    struct str datacenter)
{
    struct tls_context *c = tls_configurator_get(tls);
    if (tls_context_is_outgoing(c)) {
        tls_connect(s, c, first_byte, datacenter);
    }
    (void)tls_context_unref(c);
}

/* --- what is known of the peer --------------------------------------------------------------- */

const char *tls_error(const struct tcp_stream *s)
{
    const struct tls_session *t = session_of(s);
    return t != NULL ? t->error : NULL;
}

struct str tls_protocol(const struct tcp_stream *s)
{
    const struct tls_session *t = session_of(s);
    const unsigned char *p = NULL;
    unsigned n = 0;
    if (t != NULL) {
        SSL_get0_alpn_selected(t->ssl, &p, &n);
    }
    return str_make(p, n);
}

struct str tls_asked_name(const struct tcp_stream *s)
{
    const struct tls_session *t = session_of(s);
    return t != NULL ? str_from_cstr(SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name))
                     : STR_NULL;
}

bool tls_peer_is(const struct tcp_stream *s, const char *name)
{
    const struct tls_session *t = session_of(s);
    char error[TLS_ERROR_SIZE];
    X509 *cert = t != NULL && (SSL_get_verify_mode(t->ssl) & SSL_VERIFY_PEER) != 0
                     ? SSL_get0_peer_certificate(t->ssl)
                     : NULL;
    return cert != NULL && SSL_get_verify_result(t->ssl) == X509_V_OK &&
           tls_verify_name(cert, name, error);
}
