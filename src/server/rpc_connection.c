/* The happy path: tcp_connect(), at the first flush the byte that says what this connection is and
 * the SYN and request of each waiting call in one write; later the answers come as data of their
 * streams, are scanned for their end where they were read, and decoded into the caller's arena. The
 * stream becomes idle, and serves the next call.
 *
 * Failures. Of a connection (refused, broken, silent, unreadable): what was never opened is
 * ERR_UNREACHABLE, what was opened ERR_CONNECTION. Of a stream (finished or reset by the other
 * side, an answer that makes no sense): its call alone. A call that is given up resets its stream,
 * so that the other side can stop working on it. */
#include "server/rpc_connection.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "loop/tls.h"
#include "proto/rpc_frame.h"
#include "proto/yamux.h"
#include "schema/field.h"
#include "server/rpc.h"
#include "server/rpc_body.h"

#include <ctype.h>
#include <stdio.h>

#define LOG_MODULE "agent.server.rpc"
/* An idle stream keeps no larger buffer for the next answer. */
#define STREAM_KEEP_SIZE_MAX 4096u

static const char hello = RPC_CONN_MULTIPLEX;

static struct rpc_connection *connection_of(struct tcp_stream *tcp)
{
    return container_of(tcp, struct rpc_connection, tcp);
}

static void mark_dirty(struct rpc_connection *c)
{
    c->is_dirty = true;
    rpc_pool_wake(c->pool);
}

/* --- streams ---------------------------------------------------------------------------------- */

static struct str id_key(const uint32_t *id)
{
    return str_make(id, sizeof(*id));
}

static struct rpc_stream *stream_new(struct rpc_connection *c)
{
    struct rpc_stream *s = xcalloc(1, sizeof(*s));
    s->connection = c;
    return s;
}

static void out_shrink(struct rpc_connection *c, size_t n)
{
    c->out_size -= n;
    if (c->pool != NULL) {
        c->pool->out_size -= n;
    }
}

/* Out of all lists; what yamux has of it is the caller's business. */
static void stream_free(struct rpc_stream *s)
{
    struct rpc_connection *c = s->connection;
    c->idle_count -= s->is_idle;
    list_remove(&s->node);
    if (s->id != 0) {
        (void)map_remove(&c->streams, id_key(&s->id));
    }
    out_shrink(c, s->out.n - s->out_done);
    buf_deinit(&s->out);
    buf_deinit(&s->in);
    mem_free(s);
}

/* The call and its stream part. */
static struct rpc_remote *stream_take_call(struct rpc_stream *s)
{
    struct rpc_connection *c = s->connection;
    struct rpc_remote *call = TAKE(s->call);
    c->calls--;
    c->used_ms = loop_now_ms(c->tcp.loop);
    call->stream = NULL;
    return call;
}

/* Its call is over, and it may serve another. */
static void stream_release(struct rpc_stream *s)
{
    struct rpc_connection *c = s->connection;
    if (c->is_leaving || c->idle_count >= RPC_POOL_IDLE_STREAMS_MAX) {
        yamux_close(c->yamux, s->id);
        stream_free(s);
        mark_dirty(c);
        return;
    }
    if (s->in.cap > STREAM_KEEP_SIZE_MAX) {
        buf_deinit(&s->in);
    }
    buf_clear(&s->in);
    list_push_front(&c->idle, &s->node);
    s->is_idle = true;
    c->idle_count++;
}

static void stream_reset(struct rpc_stream *s)
{
    struct rpc_connection *c = s->connection;
    if (s->id != 0) {
        yamux_reset(c->yamux, s->id);
        mark_dirty(c);
    }
    stream_free(s);
}

/* err of the call is set. */
static void stream_fail(struct rpc_stream *s)
{
    struct rpc_pool *p = s->connection->pool;
    struct rpc_remote *call = stream_take_call(s);
    stream_reset(s);
    rpc_pool_finish(p, call);
}

/* --- the end of a connection ------------------------------------------------------------------ */

/* All that were to be opened. */
static void queued_fail(struct rpc_connection *c, const char *why)
{
    list_for_each (node, &c->queued) {
        struct rpc_stream *s = list_entry(node, struct rpc_stream, node);
        (void)err_set(rpc_remote_err(s->call), ERR_UNREACHABLE, "%s", why);
        stream_fail(s);
    }
}

static void open_fail(struct rpc_connection *c)
{
    size_t pos = 0;
    struct str key;
    void *value;
    while (map_next(&c->streams, &pos, &key, &value)) {
        struct rpc_stream *s = value;
        if (s->call != NULL) {
            (void)err_set(rpc_remote_err(s->call), ERR_CONNECTION, "EOF");
            stream_fail(s);
        }
    }
}

/* Everything under way is reported, and the connection forgotten. */
static void connection_fail(struct rpc_connection *c, const char *why)
{
    if (c->pool == NULL) {
        return;
    }
    if (c->is_connected && c->calls > 0) {
        log_write(LOG_WARN, LOG_MODULE, "connection to another server is lost",
                  LOG_CSTR("address", c->address), LOG_CSTR("error", why),
                  LOG_UINT("calls", c->calls));
    }
    queued_fail(c, why);
    open_fail(c);
    rpc_pool_remove(c->pool, c);
    rpc_connection_close(c);
}

static void forget(struct rpc_stream *s)
{
    if (s->call != NULL) {
        loop_timer_stop(s->connection->tcp.loop, &s->call->timer);
        s->call->stream = NULL;
    }
    stream_free(s);
}

void rpc_connection_close(struct rpc_connection *c)
{
    size_t pos = 0;
    struct str key;
    void *value;
    c->pool = NULL;
    list_for_each (node, &c->queued) {
        forget(list_entry(node, struct rpc_stream, node));
    }
    while (map_next(&c->streams, &pos, &key, &value)) {
        forget(value);
    }
    loop_timer_stop(c->tcp.loop, &c->timer);
    loop_timer_stop(c->tcp.loop, &c->write_timer);
    tcp_close(&c->tcp);
}

static void closed(struct tcp_stream *tcp)
{
    struct rpc_connection *c = connection_of(tcp);
    c->yamux = yamux_free(c->yamux);
    map_deinit(&c->streams);
    mem_free(c->address);
    mem_free(c);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Into the call's reply or error. *ret_is_clean: the stream is good for more. */
static void answer_decode(struct rpc_remote *call, struct str frame, bool *ret_is_clean)
{
    struct rpc_response response;
    const struct schema *schema = call->method->reply;
    *ret_is_clean = false;
    struct err err = {0};
    int r = rpc_response_decode(frame, &response, &err);
    if (r >= 0 && response.seq != call->seq) {
        r = err_set(&err, ERR_INVALID, "RPC response to another call");
    }
    if (r < 0) {
        *rpc_remote_err(call) = err;
        rpc_remote_err(call)->code = ERR_INVALID;
        return;
    }
    *ret_is_clean = true;
    if (response.error.n > 0) {
        (void)err_set(rpc_remote_err(call), rpc_error_code(response.error), "%.*s",
                      STRF(response.error));
        return;
    }
    void *reply = NULL;
    if (schema != NULL) {
        reply = arena_alloc(call->arena, schema->size);
        schema_zero(schema, reply);
    }
    if (rpc_body_decode(response.body, schema, reply, call->arena, &err) < 0) {
        *rpc_remote_err(call) = err;
    } else {
        call->reply = reply;
    }
}

static void stream_answered(struct rpc_stream *s, struct str bytes, size_t frame_size)
{
    struct rpc_pool *p = s->connection->pool;
    struct rpc_remote *call = s->call;
    bool is_clean;
    answer_decode(call, str_first(bytes, frame_size), &is_clean);
    (void)stream_take_call(s);
    /* Answered before the request was through, or more than was asked for: out of step. */
    if (is_clean && s->out_done == s->out.n && bytes.n == frame_size) {
        stream_release(s);
    } else {
        stream_reset(s);
    }
    rpc_pool_finish(p, call);
}

static void stream_data(struct rpc_stream *s, struct str data)
{
    if (s->call == NULL) {
        stream_reset(s); /* said without being asked */
        return;
    }
    struct str bytes = data;
    bool is_kept = s->in.n > 0;
    if (is_kept) {
        buf_str(&s->in, data);
        bytes = buf_view(&s->in);
    }
    int r = msgpack_scan(&s->scan, bytes);
    if (r == 0 && !is_kept) {
        buf_str(&s->in, data);
    }
    if (r == 0 && s->in.failed) {
        r = -ERR_TOO_LARGE;
    }
    if (r < 0) {
        (void)err_set(rpc_remote_err(s->call), ERR_INVALID, "malformed RPC response: %s",
                      err_code_text(-r));
        stream_fail(s);
    } else if (r > 0) {
        stream_answered(s, bytes, s->scan.at);
    }
}

static void stream_ended(struct rpc_stream *s, bool is_reset)
{
    struct rpc_connection *c = s->connection;
    if (!is_reset) {
        yamux_close(c->yamux, s->id);
        mark_dirty(c);
    }
    if (s->call != NULL) {
        (void)err_set(rpc_remote_err(s->call), ERR_CONNECTION, "EOF");
        stream_fail(s);
    } else {
        stream_free(s);
    }
}

/* The other side takes no more streams. */
static void go_away(struct rpc_connection *c)
{
    c->is_leaving = true;
    queued_fail(c, "failed to start stream: remote end is not accepting connections");
    while (!list_is_empty(&c->idle)) {
        stream_reset(list_entry(c->idle.next, struct rpc_stream, node));
    }
}

static void event(struct rpc_connection *c, const struct yamux_event *e)
{
    struct rpc_stream *s = map_get(&c->streams, id_key(&e->id));
    switch (e->kind) {
    case YAMUX_DATA:
        yamux_consumed(c->yamux, e->id, e->data.n);
        if (s != NULL) {
            stream_data(s, e->data);
        }
        break;
    case YAMUX_FINISHED:
    case YAMUX_RESET:
        if (s != NULL) {
            stream_ended(s, e->kind == YAMUX_RESET);
        }
        break;
    case YAMUX_OPENED:
        yamux_reset(c->yamux, e->id); /* nobody calls us this way */
        break;
    case YAMUX_GO_AWAY:
        go_away(c);
        break;
    case YAMUX_ACCEPTED:
    case YAMUX_WRITABLE:
        break; /* there is room: the flush looks */
    case YAMUX_PONG:
        break; /* it was heard */
    }
}

static void read_cb(struct tcp_stream *tcp, const char *p, size_t n)
{
    struct rpc_connection *c = connection_of(tcp);
    struct str in = str_make(p, n);
    struct yamux_event e;
    int r;
    c->is_heard = true;
    while ((r = yamux_next(c->yamux, &in, &e)) > 0) {
        event(c, &e);
    }
    if (r < 0) {
        const struct str out = yamux_out(c->yamux);
        const struct iovec iov = {(void *)out.p, out.n};
        if (tcp_pending(tcp) == 0) {
            (void)tcp_write(tcp, &iov, 1); /* why we go; as far as it fits */
        }
        connection_fail(c, yamux_error(c->yamux));
        return;
    }
    if (c->is_leaving && c->calls == 0) {
        rpc_pool_remove(c->pool, c);
        rpc_connection_close(c);
        return;
    }
    mark_dirty(c);
}

/* --- what is sent ----------------------------------------------------------------------------- */

static void write_due(struct loop_timer *t)
{
    struct rpc_connection *c = container_of(t, struct rpc_connection, write_timer);
    if (tcp_pending(&c->tcp) < c->pending_seen) {
        c->pending_seen = tcp_pending(&c->tcp);
        loop_timer_start(c->tcp.loop, t, c->pool->write_ms, write_due);
        return;
    }
    connection_fail(c, "connection write timeout");
}

/* What yamux has to say; the kernel gets no more before it has taken all that it was given, so that
 * what waits stays in yamux's bounded queue. */
static int write_out(struct rpc_connection *c)
{
    struct str out = yamux_out(c->yamux);
    if (tcp_pending(&c->tcp) > 0 || out.n == 0) {
        return 0;
    }
    const struct iovec iov[] = {{(void *)&hello, 1}, {(void *)out.p, out.n}};
    int r = c->is_greeted ? tcp_write(&c->tcp, iov + 1, 1) : tcp_write(&c->tcp, iov, 2);
    if (r < 0) {
        connection_fail(c, err_code_text(-r));
        return r;
    }
    c->is_greeted = true;
    yamux_out_done(c->yamux, out.n);
    c->pending_seen = tcp_pending(&c->tcp);
    if (c->pending_seen > 0) {
        loop_timer_start(c->tcp.loop, &c->write_timer, c->pool->write_ms, write_due);
    }
    return 0;
}

static void drained_cb(struct tcp_stream *tcp)
{
    struct rpc_connection *c = connection_of(tcp);
    if (c->pool != NULL) {
        loop_timer_stop(tcp->loop, &c->write_timer);
        mark_dirty(c);
    }
}

/* As much of its request as window and queue take. */
static bool stream_send(struct rpc_stream *s)
{
    struct rpc_connection *c = s->connection;
    int64_t n = yamux_send(c->yamux, s->id, str_from(buf_view(&s->out), s->out_done));
    if (n < 0) {
        (void)err_set(rpc_remote_err(s->call), ERR_CONNECTION, "EOF");
        stream_fail(s);
        return false;
    }
    s->out_done += (size_t)n;
    out_shrink(c, (size_t)n);
    if (s->out_done == s->out.n) {
        list_remove(&s->node);
        buf_deinit(&s->out);
        s->out_done = 0;
    }
    return n > 0;
}

/* False: no more can be opened now. */
static bool stream_open(struct rpc_stream *s)
{
    struct rpc_connection *c = s->connection;
    int r = yamux_open(c->yamux, &s->id);
    if (r < 0) {
        if (r == -ERR_CLOSED) {
            go_away(c);
        }
        return false;
    }
    (void)map_put(&c->streams, id_key(&s->id), s);
    list_remove(&s->node);
    list_push_back(&c->sending, &s->node);
    return true;
}

/* Whether anything was handed to yamux. */
static bool fill(struct rpc_connection *c)
{
    bool moved = false;
    list_for_each (node, &c->sending) {
        if (yamux_out(c->yamux).n + YAMUX_HEADER_SIZE >= YAMUX_OUT_SIZE_MAX) {
            return moved;
        }
        moved |= stream_send(list_entry(node, struct rpc_stream, node));
    }
    while (!list_is_empty(&c->queued)) {
        struct rpc_stream *s = list_entry(c->queued.next, struct rpc_stream, node);
        if (yamux_out(c->yamux).n + YAMUX_HEADER_SIZE >= YAMUX_OUT_SIZE_MAX || !stream_open(s)) {
            return moved;
        }
        moved |= stream_send(s);
    }
    return moved;
}

void rpc_connection_flush(struct rpc_connection *c)
{
    while (c->is_connected && c->pool != NULL) {
        bool moved = fill(c);
        if (write_out(c) < 0 || !moved) {
            return;
        }
    }
}

/* --- calls ------------------------------------------------------------------------------------ */

static void silence_due(struct loop_timer *t);

/* A server that hangs shall not be found out by the next ping alone. */
static void listen_for_anything(struct rpc_connection *c)
{
    if (c->is_connected && !c->is_pinged && !c->is_listening) {
        c->is_listening = true;
        c->is_heard = false;
        loop_timer_start(c->tcp.loop, &c->timer, MIN(c->pool->silence_ms, c->pool->ping_ms),
                         silence_due);
    }
}

void rpc_connection_call(struct rpc_connection *c, struct rpc_remote *call, struct buf *request)
{
    struct rpc_stream *s;
    if (list_is_empty(&c->idle)) {
        s = stream_new(c);
        list_push_back(&c->queued, &s->node);
    } else {
        s = list_entry(list_pop_front(&c->idle), struct rpc_stream, node);
        s->is_idle = false;
        c->idle_count--;
        list_push_back(&c->sending, &s->node);
    }
    s->out = *request;
    *request = (struct buf){0};
    s->in.max = RPC_FRAME_SIZE_MAX;
    msgpack_scan_begin(&s->scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
    s->call = call;
    call->stream = s;
    c->calls++;
    c->pool->out_size += s->out.n;
    c->out_size += s->out.n;
    c->used_ms = loop_now_ms(c->tcp.loop);
    listen_for_anything(c);
    mark_dirty(c);
}

void rpc_connection_drop(struct rpc_connection *c, struct rpc_stream *s)
{
    ASSERT(s->connection == c);
    (void)stream_take_call(s);
    stream_reset(s);
}

/* --- life of a connection --------------------------------------------------------------------- */

static void ping_due(struct loop_timer *t);

/* Some time after a ping: something, if only its answer, should have come. */
static void pong_due(struct loop_timer *t)
{
    struct rpc_connection *c = container_of(t, struct rpc_connection, timer);
    if (!c->is_heard) {
        connection_fail(c, "keepalive timeout");
        return;
    }
    c->is_pinged = false;
    loop_timer_start(c->tcp.loop, t, c->pool->ping_ms - c->pool->write_ms, ping_due);
}

static void ping_due(struct loop_timer *t)
{
    struct rpc_connection *c = container_of(t, struct rpc_connection, timer);
    if (c->calls == 0 && loop_now_ms(c->tcp.loop) - c->used_ms >= c->pool->idle_ms) {
        rpc_pool_remove(c->pool, c);
        rpc_connection_close(c);
        return;
    }
    c->is_heard = false;
    c->is_pinged = true;
    (void)yamux_ping(c->yamux);
    mark_dirty(c);
    loop_timer_start(c->tcp.loop, t, c->pool->write_ms, pong_due);
}

static void silence_due(struct loop_timer *t)
{
    struct rpc_connection *c = container_of(t, struct rpc_connection, timer);
    c->is_listening = false;
    if (!c->is_heard) {
        ping_due(t);
    } else if (c->calls > 0) {
        listen_for_anything(c); /* some may have begun since it was heard */
    } else {
        loop_timer_start(c->tcp.loop, t, c->pool->ping_ms, ping_due);
    }
}

/* In Go's words, so that an operator finds what he knows. */
static void dial_fail(struct rpc_connection *c, const char *operation, const char *why)
{
    char text[256];
    int n = snprintf(text, sizeof(text), "dial tcp %s: %s", c->address, operation);
    if (n > 0 && (size_t)n < sizeof(text) - 2 && why[0] != '\0') {
        (void)snprintf(text + n, sizeof(text) - (size_t)n, "%c%s", tolower((uint8_t)why[0]),
                       why + 1);
    }
    connection_fail(c, text);
}

static void connect_timed_out(struct loop_timer *t)
{
    dial_fail(container_of(t, struct rpc_connection, timer), "", "i/o timeout");
}

static void connected_cb(struct tcp_stream *tcp)
{
    struct rpc_connection *c = connection_of(tcp);
    c->is_connected = true;
    loop_timer_start(tcp->loop, &c->timer, c->pool->ping_ms, ping_due);
    if (c->calls > 0) {
        listen_for_anything(c);
    }
    mark_dirty(c);
}

static void eof_cb(struct tcp_stream *tcp)
{
    connection_fail(connection_of(tcp), "EOF");
}

static void fail_cb(struct tcp_stream *tcp, int code)
{
    struct rpc_connection *c = connection_of(tcp);
    if (c->is_connected) {
        connection_fail(c, tls_error(tcp) != NULL ? tls_error(tcp) : err_code_text(code));
    } else if (c->pool != NULL && tls_error(tcp) != NULL) {
        connection_fail(c, tls_error(tcp));
    } else if (c->pool != NULL) {
        dial_fail(c, "connect: ", err_code_text(code));
    }
}

static const struct tcp_ops ops = {.read = read_cb,
                                   .eof = eof_cb,
                                   .fail = fail_cb,
                                   .drained = drained_cb,
                                   .connected = connected_cb,
                                   .closed = closed};

struct rpc_connection *rpc_connection_new(struct rpc_pool *p, struct str address,
                                          struct str datacenter, struct err *err)
{
    struct address to;
    if (address_parse_host_port(&to, address, err) < 0) {
        err->code = ERR_UNREACHABLE;
        return NULL;
    }
    struct rpc_connection *c = xcalloc(1, sizeof(*c));
    c->pool = p;
    c->address = str_to_cstr(address);
    c->yamux = yamux_new(&(struct yamux_options){.is_client = true});
    map_init(&c->streams, MAP_KEYS_BORROWED);
    list_init(&c->queued);
    list_init(&c->sending);
    list_init(&c->idle);
    int r = rpc_pool_connect(p, &c->tcp, &to, datacenter, &ops);
    if (r < 0) {
        (void)err_set(err, ERR_UNREACHABLE, "dial tcp %s: %s", c->address, err_code_text(-r));
        closed(&c->tcp);
        return NULL;
    }
    tcp_set_user_timeout(&c->tcp, p->write_ms);
    c->used_ms = loop_now_ms(p->loop);
    loop_timer_start(p->loop, &c->timer, p->connect_ms, connect_timed_out);
    return c;
}
