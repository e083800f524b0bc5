/* The happy path: the name is looked up, a socket is connected, lines go out in packets. Whatever
 * goes wrong ends in sink_fail(): the socket is closed and a timer begins anew. */
#include "agent/telemetry_sink.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/datagram.h"
#include "loop/loop.h"
#include "loop/resolve.h"
#include "loop/tcp.h"

/* Of statsite's stream: packets are only what is written at a time. */
#define STREAM_PACKET_SIZE_MAX 4096u

enum sink_state { SINK_DOWN, SINK_RESOLVING, SINK_CONNECTING, SINK_UP, SINK_CLOSING, SINK_STOPPED };

struct telemetry_sink {
    enum telemetry_kind kind;
    enum sink_state state;
    struct loop *loop;
    struct arena strings;
    struct str address;
    struct metrics_lines lines;
    struct resolve resolve;
    struct loop_timer retry;
    struct tcp_stream stream; /* statsite */
    int fd;                   /* the others; -1: none */
    bool has_stream;          /* it was opened and not closed yet */
    bool was_told;            /* of a failure, in the log */
};

static const char *const kind_names[] = {
    [TELEMETRY_STATSITE] = "statsite",
    [TELEMETRY_STATSD] = "statsd",
    [TELEMETRY_DOGSTATSD] = "dogstatsd",
};

static void sink_start(struct telemetry_sink *s);

static void sink_retry(struct loop_timer *t)
{
    sink_start(container_of(t, struct telemetry_sink, retry));
}

static void sink_down(struct telemetry_sink *s)
{
    if (s->state != SINK_STOPPED) {
        s->state = SINK_DOWN;
        loop_timer_start(s->loop, &s->retry, TELEMETRY_RETRY_MS, sink_retry);
    }
}

static void sink_close(struct telemetry_sink *s)
{
    if (s->fd >= 0) {
        (void)close(s->fd);
        s->fd = -1;
    }
    if (s->has_stream) {
        tcp_close(&s->stream); /* stream_closed() follows */
    }
}

static void sink_fail(struct telemetry_sink *s, const char *why)
{
    if (s->state == SINK_STOPPED || s->state == SINK_CLOSING) {
        return;
    }
    if (!s->was_told) {
        s->was_told = true;
        log_write(LOG_ERROR, "agent", "Cannot send metrics, will keep trying",
                  LOG_CSTR("sink", kind_names[s->kind]), LOG_STR("address", s->address),
                  LOG_CSTR("error", why));
    }
    bool is_closing = s->has_stream;
    sink_close(s);
    if (is_closing) {
        s->state = SINK_CLOSING;
    } else {
        sink_down(s);
    }
}

static void sink_up(struct telemetry_sink *s)
{
    s->state = SINK_UP;
    if (s->was_told) {
        s->was_told = false;
        log_write(LOG_INFO, "agent", "Sending metrics again", LOG_CSTR("sink", kind_names[s->kind]),
                  LOG_STR("address", s->address));
    }
}

/* --- the stream of statsite ------------------------------------------------------------------ */

static void stream_read(struct tcp_stream *stream, const char *p, size_t n)
{
    (void)stream; /* it has nothing to say to us */
    (void)p;
    (void)n;
}

static void stream_eof(struct tcp_stream *stream)
{
    sink_fail(container_of(stream, struct telemetry_sink, stream), "connection closed");
}

static void stream_fail(struct tcp_stream *stream, int code)
{
    sink_fail(container_of(stream, struct telemetry_sink, stream), err_code_text(-code));
}

static void stream_connected(struct tcp_stream *stream)
{
    sink_up(container_of(stream, struct telemetry_sink, stream));
}

static void stream_closed(struct tcp_stream *stream)
{
    struct telemetry_sink *s = container_of(stream, struct telemetry_sink, stream);
    s->has_stream = false;
    sink_down(s);
}

static const struct tcp_ops stream_ops = {
    .read = stream_read,
    .eof = stream_eof,
    .fail = stream_fail,
    .connected = stream_connected,
    .closed = stream_closed,
};

/* --- connecting ------------------------------------------------------------------------------ */

static void sink_connect(struct telemetry_sink *s, const struct address *address)
{
    struct err err = {0};
    if (s->kind == TELEMETRY_STATSITE) {
        s->state = SINK_CONNECTING;
        int rc = tcp_connect(&s->stream, s->loop, address, NULL, &stream_ops);
        if (rc < 0) {
            sink_fail(s, err_code_text(-rc));
            return;
        }
        s->stream.write_max = TELEMETRY_PENDING_SIZE_MAX;
        s->has_stream = true;
        return;
    }
    int fd = datagram_open(address, &err);
    if (fd < 0) {
        sink_fail(s, err_text(&err));
        return;
    }
    s->fd = fd;
    sink_up(s);
}

static void sink_resolved(struct resolve *r)
{
    struct telemetry_sink *s = container_of(r, struct telemetry_sink, resolve);
    if (r->count == 0) {
        sink_fail(s, err_text(&r->err));
    } else {
        sink_connect(s, &r->addresses[0]);
    }
}

static void sink_start(struct telemetry_sink *s)
{
    struct err err = {0};
    struct str host, port_text;
    uint64_t port;
    if (s->kind == TELEMETRY_DOGSTATSD && str_has_prefix(s->address, STR("unix://"))) {
        struct address address;
        if (address_parse(&address, s->address, 0, &err) < 0) {
            sink_fail(s, err_text(&err));
        } else {
            sink_connect(s, &address);
        }
        return;
    }
    ptrdiff_t colon = str_rfind_byte(s->address, ':');
    host = str_first(s->address, colon < 0 ? 0 : (size_t)colon);
    port_text = str_from(s->address, colon < 0 ? s->address.n : (size_t)colon + 1);
    if (str_parse_u64(port_text, &port) < 0 || port == 0 || port > UINT16_MAX) {
        sink_fail(s, "the address has no port");
        return;
    }
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host = str_make(host.p + 1, host.n - 2);
    }
    s->state = SINK_RESOLVING;
    s->resolve.done = sink_resolved;
    resolve_start(s->loop, &s->resolve, host.n > 0 ? host : STR("localhost"), (uint16_t)port);
}

/* --- sending --------------------------------------------------------------------------------- */

static void sink_send(void *data, struct str packet)
{
    struct telemetry_sink *s = data;
    if (s->state != SINK_UP) {
        return; /* it has failed with an earlier packet of this turn */
    }
    int rc = 0;
    if (s->kind != TELEMETRY_STATSITE) {
        rc = datagram_send(s->fd, packet);
    } else if (tcp_pending(&s->stream) + packet.n <= TELEMETRY_PENDING_SIZE_MAX) {
        const struct iovec iov = {(void *)packet.p, packet.n};
        rc = tcp_write(&s->stream, &iov, 1);
    }
    if (rc < 0) {
        sink_fail(s, err_code_text(-rc));
    }
}

void telemetry_sink_put(struct telemetry_sink *s, const struct metric_update *update)
{
    if (s->state == SINK_UP) {
        metrics_lines_put(&s->lines, update);
    }
}

void telemetry_sink_flush(struct telemetry_sink *s)
{
    metrics_lines_flush(&s->lines);
}

/* --- life ------------------------------------------------------------------------------------ */

struct telemetry_sink *telemetry_sink_new(struct loop *l,
                                          const struct telemetry_sink_options *options)
{
    static const size_t packet_sizes[] = {
        [TELEMETRY_STATSITE] = STREAM_PACKET_SIZE_MAX,
        [TELEMETRY_STATSD] = STATSD_PACKET_SIZE_MAX,
        [TELEMETRY_DOGSTATSD] = DOGSTATSD_PACKET_SIZE_MAX,
    };
    struct telemetry_sink *s = xcalloc(1, sizeof(*s));
    bool is_dog = options->kind == TELEMETRY_DOGSTATSD;
    s->kind = options->kind;
    s->loop = l;
    s->fd = -1;
    s->address = arena_str(&s->strings, options->address);
    metrics_lines_init(&s->lines, &(struct metrics_lines_options){
                                      .format = is_dog ? METRICS_DOGSTATSD : METRICS_STATSD,
                                      .packet_size_max = packet_sizes[options->kind],
                                      .prefix = options->prefix,
                                      .hostname = options->hostname,
                                      .tags = options->tags,
                                      .tags_count = options->tags_count,
                                      .send = sink_send,
                                      .data = s,
                                  });
    sink_start(s);
    return s;
}

void telemetry_sink_stop(struct telemetry_sink *s)
{
    telemetry_sink_flush(s);
    s->state = SINK_STOPPED;
    resolve_cancel(&s->resolve);
    loop_timer_stop(s->loop, &s->retry);
    sink_close(s);
}

struct telemetry_sink *telemetry_sink_free(struct telemetry_sink *s)
{
    if (s != NULL) {
        ASSERT(s->state == SINK_STOPPED && !s->has_stream);
        metrics_lines_deinit(&s->lines);
        arena_deinit(&s->strings);
    }
    return mem_free(s);
}
