/* The HTTPS port of an agent that has no certificate. Consul opens the port all the same, and ends
 * every handshake there with the alert "unrecognized name": nothing can be said without one.
 *
 * What comes in is looked at only as far as that needs:
 * - a whole first record with a ClientHello: the alert;
 * - a first record that cannot be one: the alert that fits;
 * - HTTP in the clear: an answer that says so;
 * - anything else: the end, without a word;
 * - nothing more: the end, after https_handshake_timeout.
 *
 * The recorded answers of 1.10.3 are pinned by tests/http and tests/system. */
#include "base/mem.h"
#include "http/front.h"
#include "loop/conn_limit.h"
#include "loop/tls.h"

#define RECORD_HEADER_SIZE 5u
#define RECORD_SIZE_MAX (16384u + 2048u)
#define RECORD_HANDSHAKE 22
#define RECORD_VERSION_END 0x1000 /* no TLS has such a number: other protocols do */
#define HELLO_SIZE_MIN 38u        /* with its header: the version and the random */
#define HELLO_SIZE_MAX 65536u
#define HELLO 1
#define TLS_1_0 0x0301u
#define TLS_1_2 0x0303u /* also what 1.3 calls itself in records */

enum alert {
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_RECORD_OVERFLOW = 22,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_UNRECOGNIZED_NAME = 112,
};

struct handshake {
    struct tcp_stream stream;
    struct http_server *server;
    struct list node;
    struct loop_timer timer;
    struct buf in; /* of the first record */
    bool counted, over;
    uint8_t ip_size;
    char ip[ADDRESS_IP_SIZE_MAX];
};

static void handshake_end(struct handshake *h)
{
    if (!h->over) {
        h->over = true;
        loop_timer_stop(h->server->loop, &h->timer);
        tcp_close(&h->stream);
    }
}

void http_no_certificate_stop(struct http_server *s)
{
    list_for_each (node, &s->handshakes) {
        handshake_end(list_entry(node, struct handshake, node));
    }
}

static void say(struct handshake *h, struct str words)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)words.p, .iov_len = words.n};
    (void)tcp_write(&h->stream, &iov, 1); /* it ends now, heard or not */
    tcp_shutdown_write(&h->stream);
    handshake_end(h);
}

static void alert(struct handshake *h, uint16_t version, enum alert what)
{
    const char record[] = {21, (char)(version >> 8), (char)version, 0,
                           2,  2 /* fatal */,        (char)what};
    say(h, str_make(record, sizeof(record)));
}

static uint16_t be16(struct str s, size_t at)
{
    return (uint16_t)((uint8_t)s.p[at] << 8 | (uint8_t)s.p[at + 1]);
}

static void hello(struct handshake *h, struct str message)
{
    size_t size = (size_t)(uint8_t)message.p[1] << 16 | be16(message, 2);
    if (size > HELLO_SIZE_MAX) {
        alert(h, TLS_1_0, ALERT_INTERNAL_ERROR);
    } else if (message.p[0] != HELLO || message.n < HELLO_SIZE_MIN) {
        alert(h, TLS_1_0, ALERT_UNEXPECTED_MESSAGE);
    } else {
        uint16_t version = be16(message, 4);
        alert(h, version < TLS_1_2 ? version : TLS_1_2, ALERT_UNRECOGNIZED_NAME);
    }
}

static void handshake_look(struct handshake *h, struct str in)
{
    if (in.n < RECORD_HEADER_SIZE) {
        return;
    }
    size_t size = be16(in, 3);
    if (tls_looks_like_http(in)) {
        say(h, STR(TLS_HTTP_REFUSAL));
    } else if (in.p[0] != RECORD_HANDSHAKE || be16(in, 1) >= RECORD_VERSION_END) {
        handshake_end(h);
    } else if (size > RECORD_SIZE_MAX) {
        alert(h, TLS_1_0, ALERT_RECORD_OVERFLOW);
    } else if (in.n >= RECORD_HEADER_SIZE + size && size >= 4) {
        hello(h, str_make(in.p + RECORD_HEADER_SIZE, size));
    } else if (in.n >= RECORD_HEADER_SIZE + size) {
        alert(h, TLS_1_0, ALERT_UNEXPECTED_MESSAGE);
    }
}

/* --- the stream's callbacks ----------------------------------------------------------------- */

static void handshake_read(struct tcp_stream *stream, const char *p, size_t n)
{
    struct handshake *h = container_of(stream, struct handshake, stream);
    if (!h->over) {
        buf_put(&h->in, p, MIN(n, RECORD_HEADER_SIZE + RECORD_SIZE_MAX - h->in.n));
        handshake_look(h, buf_view(&h->in));
    }
}

static void handshake_eof(struct tcp_stream *stream)
{
    handshake_end(container_of(stream, struct handshake, stream));
}

static void handshake_fail(struct tcp_stream *stream, int code)
{
    (void)code;
    handshake_end(container_of(stream, struct handshake, stream));
}

static void handshake_closed(struct tcp_stream *stream)
{
    struct handshake *h = container_of(stream, struct handshake, stream);
    struct http_server *s = h->server;
    list_remove(&h->node);
    s->conns_count--;
    if (h->counted) {
        conn_limit_remove(s->front->clients, str_make(h->ip, h->ip_size));
    }
    loop_timer_stop(s->loop, &h->timer);
    buf_deinit(&h->in);
    mem_free(h);
}

static const struct tcp_ops handshake_ops = {.read = handshake_read,
                                             .eof = handshake_eof,
                                             .fail = handshake_fail,
                                             .closed = handshake_closed};

static void handshake_timed_out(struct loop_timer *t)
{
    handshake_end(container_of(t, struct handshake, timer));
}

void http_no_certificate_accept(struct http_server *s, int fd, const struct address *peer)
{
    struct handshake *h = xcalloc(1, sizeof(*h));
    struct str ip = address_ip(peer, h->ip);
    uint64_t timeout_ms = s->front->options.https_handshake_timeout_ms;
    uint32_t max = atomic_load_explicit(&s->front->max_conns_per_client, memory_order_relaxed);
    h->server = s;
    h->ip_size = (uint8_t)ip.n;
    memmove(h->ip, ip.p, ip.n);
    h->in.max = RECORD_HEADER_SIZE + RECORD_SIZE_MAX;
    list_push_back(&s->handshakes, &h->node);
    s->conns_count++;
    tcp_start(&h->stream, s->loop, fd, &handshake_ops);
    h->counted = conn_limit_add(s->front->clients, ip, max);
    if (!h->counted) {
        handshake_end(h); /* what it would be told needs the handshake */
    } else if (timeout_ms > 0) {
        loop_timer_start(s->loop, &h->timer, timeout_ms, handshake_timed_out);
    }
}
