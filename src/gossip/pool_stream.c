/* Streams of the core on TCP. One that the core has closed still sends what it was given
 * ("draining"), for as long as TCP makes progress. */
#include "gossip/pool_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gossip/pool_address.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#define DRAIN_TIMEOUT_MS 10000u

struct pool_stream {
    struct tcp_stream tcp;
    struct pool *pool;
    struct swim_stream *core; /* NULL: it wants nothing of this any more */
    struct list node;
    struct address peer;
    bool is_open; /* tcp was begun */
    bool is_dialed, is_connected, is_draining;
    struct loop_msg fail_msg;
    bool fail_is_due;
    int code; /* of a failure that is told at the end of the turn */
    const char *what;
};

static const struct tcp_ops stream_ops;

/* --- failures, in Go's words ----------------------------------------------------------------- */

static void error_set(const struct pool_stream *s, int code, const char *what, struct err *err)
{
    char bytes[ADDRESS_IP_SIZE_MAX + 16];
    struct buf peer = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    const char *text = err_code_text(code);
    address_format(&s->peer, &peer);
    (void)err_set(err, abs(code), "%s tcp %.*s: %s: %c%s",
                  s->is_dialed && !s->is_connected ? "dial" : what, STRF(buf_view(&peer)),
                  s->is_dialed && !s->is_connected ? "connect" : what, tolower((uint8_t)text[0]),
                  text + 1);
}

static void stream_failed(struct pool_stream *s, int code, const char *what)
{
    struct err err = {0};
    if (s->core != NULL) {
        error_set(s, code, what, &err);
        swim_stream_failed(s->core, clock_mono_ns(), &err);
        pool_touch(s->pool);
    }
}

static void fail_run(struct loop_msg *msg)
{
    struct pool_stream *s = container_of(msg, struct pool_stream, fail_msg);
    s->fail_is_due = false;
    if (s->core != NULL) {
        stream_failed(s, s->code, s->what);
    } else if (!s->is_open) {
        list_remove(&s->node);
        mem_free(s);
    }
}

/* The core must not be told from inside its own calls. */
static void fail_later(struct pool_stream *s, int code, const char *what)
{
    s->code = code;
    s->what = what;
    if (!s->fail_is_due) {
        s->fail_is_due = true;
        s->fail_msg.run = fail_run;
        loop_defer(s->pool->threads->gossip, &s->fail_msg);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

static struct pool_stream *stream_new(struct pool *p, const struct address *peer)
{
    struct pool_stream *s = xcalloc(1, sizeof(*s));
    s->pool = p;
    s->peer = *peer;
    list_push_back(&p->streams, &s->node);
    return s;
}

static void stream_end(struct pool_stream *s)
{
    if (s->is_draining) {
        s->is_draining = false;
        s->pool->draining_count--;
    }
    if (s->is_open) {
        tcp_close(&s->tcp); /* op_closed() frees it */
    } else if (!s->fail_is_due) {
        list_remove(&s->node);
        mem_free(s);
    }
}

void pool_stream_accept(struct tcp_listener *l, int fd, const struct address *peer)
{
    struct pool *p = container_of(l, struct pool, listener);
    struct gossip_address from = gossip_address_from(peer);
    struct pool_stream *s = stream_new(p, peer);
    s->is_open = s->is_connected = true;
    tcp_start(&s->tcp, p->threads->gossip, fd, &stream_ops);
    s->core =
        p->core != NULL ? swim_stream_accept(serf_swim(p->core), clock_mono_ns(), &from) : NULL;
    if (s->core == NULL) {
        stream_end(s);
        return;
    }
    swim_stream_set_data(s->core, s);
    pool_touch(p);
}

void pool_stream_dial(void *data, struct swim_stream *stream, const struct gossip_address *to)
{
    struct pool *p = data;
    struct address peer;
    bool is_address = gossip_address_to(to, AF_UNSPEC, &peer);
    struct pool_stream *s = stream_new(p, &peer);
    s->is_dialed = true;
    s->core = stream;
    swim_stream_set_data(stream, s);
    int rc = is_address ? tcp_connect(&s->tcp, p->threads->gossip, &peer, NULL, &stream_ops)
                        : -EADDRNOTAVAIL;
    s->is_open = rc >= 0;
    if (rc < 0) {
        fail_later(s, -rc, "dial");
    }
}

void pool_stream_write(void *data, struct swim_stream *stream, struct str bytes)
{
    struct pool_stream *s = swim_stream_data(stream);
    const struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
    (void)data;
    if (!s->is_open) {
        return; /* a failure is on its way */
    }
    int rc = tcp_write(&s->tcp, &iov, 1);
    if (rc < 0) {
        fail_later(s, -rc, "write");
    }
}

void pool_stream_close(void *data, struct swim_stream *stream)
{
    struct pool *p = data;
    struct pool_stream *s = swim_stream_data(stream);
    s->core = NULL;
    if (!s->is_open || tcp_pending(&s->tcp) == 0 || s->tcp.failed || !s->is_connected ||
        p->draining_count >= SWIM_STREAMS_MAX) {
        stream_end(s);
        return;
    }
    s->is_draining = true;
    p->draining_count++;
    tcp_set_user_timeout(&s->tcp, DRAIN_TIMEOUT_MS);
}

/* --- what the socket tells -------------------------------------------------------------------- */

static struct pool_stream *stream_of(struct tcp_stream *tcp)
{
    return container_of(tcp, struct pool_stream, tcp);
}

static void op_read(struct tcp_stream *tcp, const char *p, size_t n)
{
    struct pool_stream *s = stream_of(tcp);
    if (s->core != NULL) {
        swim_stream_read(s->core, clock_mono_ns(), str_make(p, n));
        pool_touch(s->pool);
    }
}

static void op_eof(struct tcp_stream *tcp)
{
    struct pool_stream *s = stream_of(tcp);
    if (s->core != NULL) {
        swim_stream_eof(s->core, clock_mono_ns());
        pool_touch(s->pool);
    }
}

static void op_fail(struct tcp_stream *tcp, int code)
{
    struct pool_stream *s = stream_of(tcp);
    if (s->core != NULL) {
        stream_failed(s, -code, "read");
    } else {
        stream_end(s);
    }
}

static void op_connected(struct tcp_stream *tcp)
{
    struct pool_stream *s = stream_of(tcp);
    s->is_connected = true;
    if (s->core != NULL) {
        swim_stream_connected(s->core, clock_mono_ns());
        pool_touch(s->pool);
    }
}

static void op_drained(struct tcp_stream *tcp)
{
    struct pool_stream *s = stream_of(tcp);
    if (s->is_draining) {
        stream_end(s);
    }
}

static void op_closed(struct tcp_stream *tcp)
{
    struct pool_stream *s = stream_of(tcp);
    s->is_open = false;
    if (!s->fail_is_due) {
        list_remove(&s->node);
        mem_free(s);
    }
}

static const struct tcp_ops stream_ops = {
    .read = op_read,
    .eof = op_eof,
    .fail = op_fail,
    .drained = op_drained,
    .connected = op_connected,
    .closed = op_closed,
};
