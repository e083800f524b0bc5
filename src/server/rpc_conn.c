/* The usual way: a byte that says what the connection is, then bytes that are handed to the object
 * of that kind; what it has to say is written once at the end of the turn (flush).
 *
 * - No first byte in time, an unknown one, one of a kind that is not served: a log line, the end.
 * - Raft's byte: the socket leaves; the object is freed as after a close.
 * - The peer does not take what it is sent: nothing more is written to the socket than it has room
 *   for and no call begins; without progress the connection ends (stall, or keep-alive for yamux).
 * - An answer that ends the connection while the peer may still be sending: a close at once could
 *   reset the connection and take the answer with it, so input is thrown away for a moment first.
 */
#include "server/rpc_conn.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "loop/conn_limit.h"
#include "loop/tls.h"
#include "proto/rpc_frame.h"
#include "server/rpc_mux.h"
#include "server/worker.h"

#include <unistd.h>

#define LINGER_MS 500u

static struct metric metric_raft_handoff = METRIC_COUNTER("rpc.raft_handoff");

static void timer_fired(struct loop_timer *t);

struct str rpc_peer_text(const struct address *peer, char to[RPC_PEER_SIZE_MAX])
{
    struct buf text = {0};
    buf_lit(&text, "from=");
    address_format(peer, &text);
    size_t n = MIN(text.n, RPC_PEER_SIZE_MAX - 1);
    memcpy(to, text.p, n);
    to[n] = '\0';
    buf_deinit(&text);
    return str_make(to, n);
}

static struct loop *conn_loop(const struct rpc_conn *c)
{
    return c->listener->worker->loop;
}

static void timer_start(struct rpc_conn *c, uint64_t delay_ms)
{
    loop_timer_start(conn_loop(c), &c->timer, delay_ms, timer_fired);
}

static void conn_log(const struct rpc_conn *c, const char *message, const char *error)
{
    log_write(LOG_ERROR, "agent.server.rpc", message, LOG_CSTR("conn", c->peer),
              LOG_CSTR("error", error));
}

/* --- the end --------------------------------------------------------------------------------- */

static void state_deinit(struct rpc_conn *c)
{
    switch (c->state) {
    case RPC_CONN_SINGLE:
        rpc_stream_deinit(&c->single);
        break;
    case RPC_CONN_MUX:
        c->mux = rpc_mux_free(c->mux);
        break;
    case RPC_CONN_ARCHIVE:
        c->snapshot = rpc_snapshot_free(c->snapshot);
        break;
    case RPC_CONN_OPENING:
    case RPC_CONN_REFUSED:
        break;
    }
    c->state = RPC_CONN_REFUSED;
}

void rpc_conn_close(struct rpc_conn *c)
{
    if (!c->is_closed) {
        c->is_closed = true;
        state_deinit(c);
        loop_timer_stop(conn_loop(c), &c->timer);
        tcp_close(&c->tcp);
    }
}

/* All is said and written. */
static void conn_linger(struct rpc_conn *c)
{
    if (c->is_ended) {
        rpc_conn_close(c);
        return;
    }
    state_deinit(c);
    tcp_shutdown_write(&c->tcp);
    tcp_read_start(&c->tcp);
    timer_start(c, LINGER_MS);
}

static void conn_closed(struct tcp_stream *tcp)
{
    struct rpc_conn *c = container_of(tcp, struct rpc_conn, tcp);
    struct rpc_listener *l = c->listener;
    list_remove(&c->node);
    l->conns_count--;
    conn_limit_remove(l->front->clients, str_make(c->ip, c->ip_size));
    mem_free(c);
}

/* --- what goes ------------------------------------------------------------------------------- */

/* A half request or an answer that is not taken may not last for ever without a byte. */
static void watch_progress(struct rpc_conn *c, bool is_half)
{
    c->pending_seen = tcp_pending(&c->tcp);
    if (is_half || c->pending_seen > 0) {
        timer_start(c, c->listener->front->stall_ms);
    } else if (loop_timer_is_active(&c->timer)) {
        loop_timer_stop(conn_loop(c), &c->timer);
    }
}

static void flush_single(struct rpc_conn *c)
{
    struct rpc_stream *s = &c->single;
    while (s->out.n > 0 && tcp_pending(&c->tcp) == 0) {
        if (tcp_write_buf(&c->tcp, &s->out) < 0) {
            rpc_conn_close(c);
            return;
        }
        rpc_stream_resume(s);
    }
    if (rpc_stream_is_done(s) && tcp_pending(&c->tcp) == 0) {
        conn_linger(c);
        return;
    }
    bool is_busy = rpc_stream_is_waiting(s) || tcp_pending(&c->tcp) > 0;
    if (is_busy && s->in.n >= RPC_CONN_HELD_SIZE_MAX) {
        tcp_read_stop(&c->tcp);
    } else if (!c->tcp.reading) {
        tcp_read_start(&c->tcp);
    }
    watch_progress(c, s->in.n > 0 && !is_busy);
}

static void flush_mux(struct rpc_conn *c)
{
    struct str out;
    while (tcp_pending(&c->tcp) == 0 && (out = rpc_mux_out(c->mux)).n > 0) {
        const struct iovec iov = {(void *)(uintptr_t)out.p, out.n};
        if (tcp_write(&c->tcp, &iov, 1) < 0) {
            rpc_conn_close(c);
            return;
        }
        rpc_mux_out_done(c->mux, out.n);
    }
    if (rpc_mux_error(c->mux) != NULL) {
        conn_log(c, "multiplex conn accept failed", rpc_mux_error(c->mux));
        conn_linger(c);
    }
}

static void flush_snapshot(struct rpc_conn *c)
{
    bool is_written = rpc_snapshot_flush(c->snapshot);
    if (is_written && tcp_pending(&c->tcp) == 0) {
        conn_linger(c);
    } else if (!c->is_closed) {
        watch_progress(c, rpc_snapshot_is_reading(c->snapshot));
    }
}

static void conn_flush(struct rpc_conn *c)
{
    if (c->is_closed) {
        return;
    }
    switch (c->state) {
    case RPC_CONN_SINGLE:
        flush_single(c);
        break;
    case RPC_CONN_MUX:
        flush_mux(c);
        break;
    case RPC_CONN_ARCHIVE:
        flush_snapshot(c);
        break;
    case RPC_CONN_OPENING:
    case RPC_CONN_REFUSED:
        break;
    }
}

static void flush_run(struct loop_msg *msg)
{
    struct rpc_conn *c = container_of(msg, struct rpc_conn, flush);
    conn_flush(c); /* and what it changes itself is seen to */
    c->is_flush_asked = false;
}

void rpc_conn_flush_soon(struct rpc_conn *c)
{
    if (!c->is_flush_asked && !c->is_closed) {
        c->is_flush_asked = true;
        c->flush.run = flush_run;
        loop_defer(conn_loop(c), &c->flush);
    }
}

static void conn_drained(struct tcp_stream *tcp)
{
    struct rpc_conn *c = container_of(tcp, struct rpc_conn, tcp);
    if (c->state == RPC_CONN_SINGLE) {
        rpc_stream_resume(&c->single); /* it had no room */
    }
    conn_flush(c);
}

/* --- kinds ----------------------------------------------------------------------------------- */

static void single_changed(struct rpc_stream *s)
{
    rpc_conn_flush_soon(container_of(s, struct rpc_conn, single));
}

static bool single_has_room(const struct rpc_stream *s)
{
    return tcp_pending(
               &container_of((struct rpc_stream *)(uintptr_t)s, struct rpc_conn, single)->tcp) == 0;
}

static const struct rpc_stream_ops single_ops = {.changed = single_changed,
                                                 .has_room = single_has_room};

static void mux_changed(void *data)
{
    rpc_conn_flush_soon(data);
}

/* With verify_server_hostname only a server may speak Raft: its certificate says that it is one. */
static bool conn_may_be_server(const struct rpc_conn *c)
{
    struct tls_context *tls = tls_configurator_get(c->listener->front->tls);
    bool may = !tls->verify_server_hostname || tls_peer_is(&c->tcp, tls->server_name);
    if (!may) {
        log_write(LOG_WARN, "agent.server.rpc", "AuthorizeServerConn failed certificate validation",
                  LOG_CSTR("SAN.DNSName", tls->server_name), LOG_CSTR("conn", c->peer),
                  LOG_CSTR("operation", "raft RPC"));
    }
    (void)tls_context_unref(tls);
    return may;
}

/* The socket leaves this loop; what is left of the connection goes as after a close. */
static void conn_hand_over(struct rpc_conn *c, struct str rest)
{
    const struct rpc_front *front = c->listener->front;
    if (front->raft_accept == NULL || tcp_pending(&c->tcp) > 0) {
        conn_log(c, "failed to hand over Raft connection", "nobody takes it");
        rpc_conn_close(c);
        return;
    }
    if (c->is_tls && !conn_may_be_server(c)) {
        rpc_conn_close(c);
        return;
    }
    metric_add(&metric_raft_handoff, 1);
    struct tls_session *session = c->is_tls ? tls_detach(&c->tcp) : NULL;
    c->is_closed = true;
    c->state = RPC_CONN_REFUSED;
    front->raft_accept(front->raft_accept_data, tcp_detach(&c->tcp), session, rest);
}

static void conn_refuse(struct rpc_conn *c, uint8_t byte)
{
    if (c->is_tls && (byte == RPC_CONN_TLS || byte == RPC_CONN_TLS_INSECURE)) {
        log_write(LOG_ERROR, "agent.server.rpc",
                  "TLS connection attempting to establish inner TLS connection",
                  LOG_CSTR("conn", c->peer));
    } else if (byte == RPC_CONN_TLS_INSECURE) {
        conn_log(c, "TLS handshake failed", "auto_encrypt is not available yet");
    } else if (byte == RPC_CONN_GRPC) {
        conn_log(c, "gRPC connection refused", "gRPC is not available yet");
    } else {
        log_write(LOG_ERROR, "agent.server.rpc", "unrecognized RPC byte", LOG_UINT("byte", byte),
                  LOG_CSTR("conn", c->peer));
    }
    rpc_conn_close(c);
}

static void handshake_timer_start(struct rpc_conn *c)
{
    uint64_t timeout_ms = atomic_load(&c->listener->front->handshake_timeout_ms);
    if (timeout_ms > 0) {
        timer_start(c, timeout_ms);
    }
}

/* What follows is TLS; another first byte inside, or without a byte before it (native) the protocol
 * that was agreed on, says of what. */
static void conn_begin_tls(struct rpc_conn *c, struct tls_context *tls, bool is_native,
                           struct str rest)
{
    if (tls == NULL || tls_accept(&c->tcp, tls, is_native ? TLS_IN_RPC_NATIVE : TLS_IN_RPC) < 0) {
        conn_log(c, "failed to read byte", "tls: no certificates configured");
        rpc_conn_close(c);
        return;
    }
    c->is_tls = true;
    c->is_native_tls = is_native;
    handshake_timer_start(c);
    tls_feed(&c->tcp, rest);
}

/* What the connection is, from its first byte or, within TLS, the first inside. `rest` is used when
 * it leaves, and when it is TLS. */
static void conn_begin(struct rpc_conn *c, uint8_t byte, struct str rest)
{
    loop_timer_stop(conn_loop(c), &c->timer);
    switch (byte) {
    case RPC_CONN_RPC:
        c->state = RPC_CONN_SINGLE;
        rpc_stream_init(&c->single, c->listener->worker, c->peer, &single_ops);
        return;
    case RPC_CONN_MULTIPLEX:
        c->state = RPC_CONN_MUX;
        c->mux = rpc_mux_new(c->listener->worker, c->peer, mux_changed, c);
        timer_start(c, c->listener->front->keepalive_ms);
        return;
    case RPC_CONN_SNAPSHOT:
        c->state = RPC_CONN_ARCHIVE;
        c->snapshot = rpc_snapshot_new(c);
        rpc_conn_flush_soon(c); /* for its timer */
        return;
    case RPC_CONN_RAFT:
        conn_hand_over(c, rest);
        return;
    default:
        conn_refuse(c, byte);
    }
}

/* By its first bytes. False: they have all been used. */
static bool conn_open(struct rpc_conn *c, struct str bytes)
{
    struct tls_configurator *tls = c->listener->front->tls;
    struct tls_context *context = tls != NULL && !c->is_tls ? tls_configurator_get(tls) : NULL;
    uint8_t byte = (uint8_t)bytes.p[0];
    bool is_begun = false;
    if (context != NULL && byte > RPC_CONN_KIND_LAST && tls_context_is_mutual(context)) {
        conn_begin_tls(c, context, true, bytes);
    } else if (context != NULL && context->verify_incoming_rpc && byte != RPC_CONN_TLS &&
               byte != RPC_CONN_TLS_INSECURE) {
        log_write(LOG_WARN, "agent.server.rpc",
                  "Non-TLS connection attempted with VerifyIncoming set",
                  LOG_CSTR("conn", c->peer));
        rpc_conn_close(c);
    } else if (!c->is_tls && byte == RPC_CONN_TLS) {
        conn_begin_tls(c, context, false, str_from(bytes, 1));
    } else {
        conn_begin(c, byte, str_from(bytes, 1));
        is_begun = true;
    }
    (void)tls_context_unref(context);
    return is_begun;
}

/* The handshake is through. What ALPN names needs no byte. */
static void conn_connected(struct tcp_stream *tcp)
{
    static const struct {
        struct str protocol;
        enum rpc_conn_kind kind;
    } kinds[] = {{STR_INIT("consul/rpc-single"), RPC_CONN_RPC},
                 {STR_INIT("consul/raft"), RPC_CONN_RAFT},
                 {STR_INIT("consul/rpc-multi"), RPC_CONN_MULTIPLEX},
                 {STR_INIT("consul/rpc-snapshot"), RPC_CONN_SNAPSHOT}};
    struct rpc_conn *c = container_of(tcp, struct rpc_conn, tcp);
    if (!c->is_native_tls) {
        return;
    }
    struct str protocol = tls_protocol(tcp);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (str_eq(protocol, kinds[i].protocol)) {
            conn_begin(c, (uint8_t)kinds[i].kind, STR_NULL);
            return;
        }
    }
    log_write(LOG_ERROR, "agent.server.rpc", "discarding RPC for unknown negotiated protocol",
              LOG_STR("protocol", protocol), LOG_CSTR("conn", c->peer));
    rpc_conn_close(c);
}

/* --- what comes ------------------------------------------------------------------------------ */

static void conn_read(struct tcp_stream *tcp, const char *p, size_t n)
{
    struct rpc_conn *c = container_of(tcp, struct rpc_conn, tcp);
    struct str bytes = str_make(p, n);
    if (c->is_pinging) { /* whatever it says, it is alive */
        c->is_pinging = false;
        timer_start(c, c->listener->front->keepalive_ms);
    }
    if (c->state == RPC_CONN_OPENING) {
        if (!conn_open(c, bytes)) {
            return;
        }
        bytes = str_from(bytes, 1);
    }
    switch (c->state) {
    case RPC_CONN_SINGLE:
        rpc_stream_read(&c->single, bytes);
        rpc_conn_flush_soon(c);
        break;
    case RPC_CONN_MUX:
        rpc_mux_read(c->mux, bytes); /* an error is met by the flush it asks for */
        break;
    case RPC_CONN_ARCHIVE:
        rpc_snapshot_read(c->snapshot, bytes);
        rpc_conn_flush_soon(c);
        break;
    case RPC_CONN_OPENING:
    case RPC_CONN_REFUSED:
        break;
    }
}

static void conn_eof(struct tcp_stream *tcp)
{
    struct rpc_conn *c = container_of(tcp, struct rpc_conn, tcp);
    c->is_ended = true;
    switch (c->state) {
    case RPC_CONN_SINGLE:
        rpc_stream_end(&c->single);
        rpc_conn_flush_soon(c);
        break;
    case RPC_CONN_ARCHIVE:
        rpc_snapshot_end(c->snapshot);
        rpc_conn_flush_soon(c);
        break;
    case RPC_CONN_MUX: /* yamux has ends of its own */
    case RPC_CONN_OPENING:
    case RPC_CONN_REFUSED:
        rpc_conn_close(c);
        break;
    }
}

static void conn_fail(struct tcp_stream *tcp, int code)
{
    (void)code; /* peers go as they like; their calls are canceled */
    struct rpc_conn *c = container_of(tcp, struct rpc_conn, tcp);
    if (tls_error(tcp) != NULL && c->state == RPC_CONN_OPENING) {
        conn_log(c, c->is_native_tls ? "TLS handshake failed" : "failed to read byte",
                 tls_error(tcp));
    }
    rpc_conn_close(c);
}

static void keep_alive(struct rpc_conn *c)
{
    if (c->is_pinging) {
        conn_log(c, "multiplex conn accept failed", "keepalive timeout");
        rpc_conn_close(c);
    } else {
        c->is_pinging = true;
        rpc_mux_ping(c->mux);
        rpc_conn_flush_soon(c);
        timer_start(c, c->listener->front->keepalive_timeout_ms);
    }
}

static void timer_fired(struct loop_timer *t)
{
    struct rpc_conn *c = container_of(t, struct rpc_conn, timer);
    size_t pending = tcp_pending(&c->tcp);
    switch (c->state) {
    case RPC_CONN_OPENING:
        conn_log(c, "failed to read byte", "i/o timeout");
        break;
    case RPC_CONN_MUX:
        keep_alive(c);
        return;
    case RPC_CONN_SINGLE:
    case RPC_CONN_ARCHIVE:
        if (pending > 0 && pending < c->pending_seen) {
            watch_progress(c, false);
            return;
        }
        conn_log(c, "RPC error", "i/o timeout");
        break;
    case RPC_CONN_REFUSED:
        break;
    }
    rpc_conn_close(c);
}

void rpc_conn_accept(struct rpc_listener *l, int fd, const struct address *peer, struct str ip)
{
    static const struct tcp_ops ops = {.read = conn_read,
                                       .eof = conn_eof,
                                       .fail = conn_fail,
                                       .drained = conn_drained,
                                       .connected = conn_connected,
                                       .closed = conn_closed};
    struct rpc_conn *c = xcalloc(1, sizeof(*c));
    c->listener = l;
    c->ip_size = (uint8_t)ip.n;
    memcpy(c->ip, ip.p, ip.n);
    (void)rpc_peer_text(peer, c->peer);
    list_push_back(&l->conns, &c->node);
    l->conns_count++;
    tcp_start(&c->tcp, l->worker->loop, fd, &ops);
    if (l->is_stopping) {
        rpc_conn_close(c);
    } else {
        handshake_timer_start(c);
    }
}
