/* Streams: one message each way. A push/pull is answered with one, a ping with an ack; a user
 * message with nothing, a message that cannot be read with an error.
 *
 * What comes is gathered until it is a whole message. With keys the whole is one sealed frame. Each
 * stream has a deadline, and what all have brought a bound. */
#include "gossip/core/swim_internal.h"

#include "base/mem.h"

/* A frame and what stands before it; plain text may be as long. */
#define STREAM_SIZE_MAX (SEAL_FRAME_SIZE_MAX + SEAL_FRAME_HEADER)

static void stream_deadline(struct swim *s, struct swim_timer *t);

/* --- beginning and end --- */

static struct swim_stream *stream_new(struct swim *s, enum swim_stream_kind kind,
                                      const struct gossip_address *address, struct str name)
{
    struct swim_stream *st = xcalloc(1, sizeof(*st) + name.n);
    if (name.n > 0) {
        memcpy(st + 1, name.p, name.n);
    }
    st->swim = s;
    st->kind = kind;
    st->address = *address;
    st->name = str_make(st + 1, name.n);
    st->need = 1;
    buf_init(&st->in, STREAM_SIZE_MAX);
    list_push_back(&s->streams, &st->link);
    *(kind == SWIM_STREAM_IN ? &s->streams_in : &s->streams_out) += 1;
    return st;
}

void swim_stream_end(struct swim_stream *st)
{
    struct swim *s = st->swim;
    *(st->kind == SWIM_STREAM_IN ? &s->streams_in : &s->streams_out) -= 1;
    if (s->probe.stream == st) {
        s->probe.stream = NULL;
    }
    s->stream_bytes -= st->in.n;
    swim_timer_stop(s, &st->timer);
    list_remove(&st->link);
    if (st->is_dialed) {
        s->io->close(s->io_data, st);
    }
    buf_deinit(&st->in);
    mem_free(st);
}

/* The end of a join, however it went. */
static void join_end(struct swim_stream *st, const struct err *why)
{
    struct swim *s = st->swim;
    struct err err = {0};
    uint64_t token = st->token;
    if (why != NULL) {
        struct buf ip = {0};
        gossip_address_format_ip(&st->address, &ip);
        err = *why;
        (void)err_wrap(&err, "Failed to join %.*s", STRF(buf_view(&ip)));
        buf_deinit(&ip);
        swim_log(s, SWIM_LOG_DEBUG, "%s", err_text(&err));
    }
    swim_stream_end(st);
    if (s->io->joined != NULL) {
        s->io->joined(s->io_data, token, why != NULL ? &err : NULL);
    }
}

/* Tell the other side. */
static void stream_refuse(struct swim_stream *st, const struct err *err)
{
    struct buf b = {0};
    memberlist_error_encode(str_from_cstr(err_text(err)), &b);
    swim_stream_send(st, buf_view(&b));
    buf_deinit(&b);
}

static void stream_fail(struct swim_stream *st, const struct err *err)
{
    struct swim *s = st->swim;
    switch (st->kind) {
    case SWIM_STREAM_JOIN:
        join_end(st, err);
        return;
    case SWIM_STREAM_PUSH_PULL:
        swim_log(s, SWIM_LOG_ERROR, "Push/Pull with %.*s failed: %s", STRF(st->name),
                 err_text(err));
        break;
    case SWIM_STREAM_PING:
        if (st->is_connected) { /* else it is dead, as was thought */
            swim_log(s, SWIM_LOG_ERROR, "Failed fallback ping: %s", err_text(err));
        }
        break;
    case SWIM_STREAM_IN:
        swim_log(s, SWIM_LOG_ERROR, "failed to receive: %s from=%s", err_text(err),
                 ADDRESS(&st->address));
        break;
    }
    swim_stream_end(st);
}

static void stream_deadline(struct swim *s, struct swim_timer *t)
{
    struct swim_stream *st = container_of(t, struct swim_stream, timer);
    struct err err = {0};
    (void)s;
    if (st->err.code != 0) { /* it could not even begin */
        err = st->err;
    } else {
        (void)err_set(&err, ERR_TIMEOUT, "%s tcp %s: i/o timeout",
                      st->is_connected ? "read" : "dial", ADDRESS(&st->address));
    }
    stream_fail(st, &err);
}

void swim_streams_close(struct swim *s)
{
    struct err closed = {0};
    (void)err_set(&closed, ERR_CLOSED, "the pool was left");
    while (!list_is_empty(&s->streams)) {
        struct swim_stream *st = list_entry(s->streams.next, struct swim_stream, link);
        if (st->kind == SWIM_STREAM_JOIN) {
            join_end(st, &closed);
        } else {
            swim_stream_end(st);
        }
    }
}

/* --- ours --- */

struct swim_stream *swim_stream_dial(struct swim *s, enum swim_stream_kind kind,
                                     const struct gossip_address *to, struct str name,
                                     uint64_t deadline_ns)
{
    bool is_full = s->streams_out >= SWIM_STREAMS_MAX;
    if (is_full && kind != SWIM_STREAM_JOIN) {
        return NULL;
    }
    struct swim_stream *st = stream_new(s, kind, to, name);
    if (s->is_stopped || !s->is_started) {
        (void)err_set(&st->err, ERR_CLOSED, "the pool was left");
    } else if (is_full) {
        (void)err_set(&st->err, ERR_AGAIN, "too many streams");
    } else if (name.n == 0 && s->config.require_node_names) {
        (void)err_set(&st->err, ERR_INVALID, SWIM_NO_NAME);
    }
    if (st->err.code != 0) {
        swim_timer_set(s, &st->timer, s->now_ns, stream_deadline);
        return st;
    }
    st->is_dialed = true;
    swim_timer_set(s, &st->timer, deadline_ns, stream_deadline);
    s->io->dial(s->io_data, st, to);
    return st;
}

void swim_join(struct swim *s, uint64_t now_ns, const struct gossip_address *to, struct str name,
               uint64_t token)
{
    s->now_ns = MAX(s->now_ns, now_ns);
    swim_stream_dial(s, SWIM_STREAM_JOIN, to, name, s->now_ns + s->config.tcp_timeout_ns)->token =
        token;
}

void swim_stream_send(struct swim_stream *st, struct str message)
{
    struct swim *s = st->swim;
    struct buf packed = {0}, sealed = {0};
    if (s->config.enable_compression && memberlist_compress(message, &packed)) {
        message = buf_view(&packed);
    }
    if (swim_is_sealing(s)) {
        uint8_t nonce[SEAL_NONCE_SIZE];
        rng_bytes(s->rng, nonce, sizeof(nonce));
        seal_frame(s->keys, nonce, message, &sealed);
        message = buf_view(&sealed);
    }
    s->stats.tcp_sent_bytes += message.n;
    s->io->write(s->io_data, st, message);
    buf_deinit(&packed);
    buf_deinit(&sealed);
}

static void send_state(struct swim_stream *st, bool join)
{
    struct swim *s = st->swim;
    struct buf b = {0};
    swim_push_pull_encode(s, join, &b);
    swim_timer_set(s, &st->timer, s->now_ns + s->config.tcp_timeout_ns, stream_deadline);
    swim_stream_send(st, buf_view(&b));
    buf_deinit(&b);
}

static void send_ping(struct swim_stream *st)
{
    struct swim *s = st->swim;
    struct buf b = {0};
    memberlist_ping_encode(&(struct memberlist_ping){.seq = st->seq,
                                                     .node = st->name,
                                                     .source = s->address,
                                                     .source_node = s->self->pub.name},
                           &b);
    swim_stream_send(st, buf_view(&b));
    buf_deinit(&b);
}

static void send_ack(struct swim_stream *st, uint32_t seq)
{
    struct buf b = {0};
    memberlist_ack_encode(&(struct memberlist_ack){.seq = seq}, &b);
    swim_stream_send(st, buf_view(&b));
    buf_deinit(&b);
}

void swim_stream_connected(struct swim_stream *st, uint64_t now_ns)
{
    struct swim *s = st->swim;
    s->now_ns = MAX(s->now_ns, now_ns);
    st->is_connected = true;
    s->stats.tcp_connect++;
    if (st->kind == SWIM_STREAM_PING) {
        send_ping(st);
    } else {
        swim_log(s, SWIM_LOG_DEBUG, "Initiating push/pull sync with: %.*s %s", STRF(st->name),
                 ADDRESS(&st->address));
        send_state(st, st->kind == SWIM_STREAM_JOIN);
    }
}

/* --- what came --- */

/* An answer to what we have sent. */
static int take_answer(struct swim_stream *st, const struct memberlist_stream_message *m,
                       struct err *err)
{
    struct swim *s = st->swim;
    struct memberlist_ack ack;
    struct str sentence;
    if (m->type == MEMBERLIST_ERROR) {
        return memberlist_error_decode(m->body, &sentence, err) < 0
                   ? -ERR_INVALID
                   : err_set(err, ERR_FAILED, "remote error: %.*s", STRF(sentence));
    }
    if (st->kind == SWIM_STREAM_PING) {
        if (m->type != MEMBERLIST_ACK) {
            return err_set(err, ERR_INVALID, "Unexpected msgType (%u) from ping from=%s", m->type,
                           ADDRESS(&st->address));
        }
        if (memberlist_ack_decode(m->body, &ack, err) < 0) {
            return -ERR_INVALID;
        }
        if (ack.seq != st->seq) {
            return err_set(err, ERR_INVALID,
                           "Sequence number from ack (%u) doesn't match ping (%u)", ack.seq,
                           st->seq);
        }
        s->probe.is_contacted = true;
        return 0;
    }
    if (m->type != MEMBERLIST_PUSH_PULL) {
        return err_set(err, ERR_INVALID,
                       "received invalid msgType (%u), expected pushPullMsg (%u) from=%s", m->type,
                       MEMBERLIST_PUSH_PULL, ADDRESS(&st->address));
    }
    return swim_push_pull_merge(s, &m->push_pull, st->kind == SWIM_STREAM_JOIN, err);
}

static void take_ping(struct swim_stream *st, struct str body)
{
    struct swim *s = st->swim;
    struct memberlist_ping ping;
    struct err err = {0};
    if (memberlist_ping_decode(body, &ping, &err) < 0) {
        swim_log(s, SWIM_LOG_ERROR, "Failed to decode ping: %s from=%s", err_text(&err),
                 ADDRESS(&st->address));
    } else if (ping.node.n > 0 && !str_eq(ping.node, s->self->pub.name)) {
        swim_log(s, SWIM_LOG_WARN, "Got ping for unexpected node %.*s from=%s",
                 STRF(str_first(ping.node, MEMBERLIST_NAME_SIZE_MAX)), ADDRESS(&st->address));
    } else {
        send_ack(st, ping.seq);
    }
}

/* A message that somebody has sent by himself. Our state goes out before theirs comes in. */
static void take_message(struct swim_stream *st, const struct memberlist_stream_message *m)
{
    struct swim *s = st->swim;
    struct err err = {0};
    if (m->type == MEMBERLIST_USER) {
        if (m->body.n > 0 && s->delegate.message != NULL) {
            s->delegate.message(s->delegate_data, m->body);
        }
    } else if (m->type == MEMBERLIST_PUSH_PULL) {
        send_state(st, m->push_pull.join);
        if (swim_push_pull_merge(s, &m->push_pull, m->push_pull.join, &err) < 0) {
            swim_log(s, SWIM_LOG_ERROR, "Failed push/pull merge: %s from=%s", err_text(&err),
                     ADDRESS(&st->address));
        }
    } else if (m->type == MEMBERLIST_PING) {
        take_ping(st, m->body);
    } else {
        swim_log(s, SWIM_LOG_ERROR, "Received invalid msgType (%u) from=%s", m->type,
                 ADDRESS(&st->address));
    }
}

/* 1 when the whole message is there, 0 when more is needed (st->need says how much). `opened`
 * holds what was sealed. */
static int stream_open(struct swim_stream *st, struct buf *opened,
                       struct memberlist_stream_message *ret, struct err *err)
{
    struct swim *s = st->swim;
    struct str bytes = buf_view(&st->in);
    bool has_keys = s->keys != NULL && seal_ring_count(s->keys) > 0;
    struct memberlist_stream inner = {0};
    int r;
    if ((uint8_t)bytes.p[0] != MEMBERLIST_ENCRYPT) {
        if (has_keys && s->config.verify_incoming) {
            return err_set(err, ERR_INVALID,
                           "Encryption is configured but remote state is not encrypted");
        }
        r = memberlist_stream_open(&st->reader, bytes, &s->arena, ret, err);
        st->need = st->reader.need;
        return r;
    }
    if (!has_keys) {
        return err_set(err, ERR_INVALID,
                       "Remote state is encrypted and encryption is not configured");
    }
    ptrdiff_t size = seal_frame_size(bytes, err);
    if (size < 0) {
        return (int)size;
    }
    if (size == 0 || (size_t)size > bytes.n) {
        st->need = size == 0 ? SEAL_FRAME_HEADER : (size_t)size;
        return 0;
    }
    if (seal_frame_open(s->keys, str_first(bytes, (size_t)size), opened, err) < 0) {
        return -ERR_INVALID;
    }
    r = memberlist_stream_open(&inner, buf_view(opened), &s->arena, ret, err);
    return r != 0 ? r : err_set(err, ERR_INVALID, "unexpected EOF");
}

static void stream_take(struct swim_stream *st, const struct memberlist_stream_message *m)
{
    struct err err = {0};
    if (st->kind == SWIM_STREAM_IN) {
        take_message(st, m);
        swim_stream_end(st);
    } else if (take_answer(st, m, &err) < 0) {
        stream_fail(st, &err);
    } else if (st->kind == SWIM_STREAM_JOIN) {
        join_end(st, NULL);
    } else {
        swim_stream_end(st);
    }
}

void swim_stream_read(struct swim_stream *st, uint64_t now_ns, struct str bytes)
{
    struct swim *s = st->swim;
    struct memberlist_stream_message m = {0};
    struct buf opened = {0};
    struct err err = {0};
    s->now_ns = MAX(s->now_ns, now_ns);
    size_t room = STREAM_SIZE_MAX - st->in.n;
    if (s->stream_bytes + MIN(bytes.n, room) > SWIM_STREAM_BYTES_MAX) {
        (void)err_set(&err, ERR_TOO_LARGE, "too much is being received");
        stream_fail(st, &err);
        return;
    }
    bytes = str_first(bytes, room);
    buf_str(&st->in, bytes);
    s->stream_bytes += bytes.n;
    if (st->in.n < st->need) {
        return;
    }
    int r = stream_open(st, &opened, &m, &err);
    if (r == 0 && st->need > STREAM_SIZE_MAX) {
        r = err_set(&err, ERR_TOO_LARGE, "Remote node state is larger than limit (%zu)", st->need);
    }
    if (r < 0) {
        if (st->kind == SWIM_STREAM_IN) {
            stream_refuse(st, &err);
        }
        stream_fail(st, &err);
    } else if (r > 0) {
        stream_take(st, &m);
    }
    arena_reset(&s->arena);
    buf_deinit(&opened);
}

void swim_stream_eof(struct swim_stream *st, uint64_t now_ns)
{
    struct swim *s = st->swim;
    struct err err = {0};
    s->now_ns = MAX(s->now_ns, now_ns);
    if (st->kind == SWIM_STREAM_IN && st->in.n == 0) {
        swim_stream_end(st); /* it only looked whether somebody is there */
        return;
    }
    (void)err_set(&err, ERR_CONNECTION, st->in.n == 0 ? "EOF" : "unexpected EOF");
    stream_fail(st, &err);
}

void swim_stream_failed(struct swim_stream *st, uint64_t now_ns, const struct err *err)
{
    st->swim->now_ns = MAX(st->swim->now_ns, now_ns);
    stream_fail(st, err);
}

struct swim_stream *swim_stream_accept(struct swim *s, uint64_t now_ns,
                                       const struct gossip_address *from)
{
    s->now_ns = MAX(s->now_ns, now_ns);
    if (!s->is_started || s->is_stopped) {
        return NULL;
    }
    swim_log(s, SWIM_LOG_DEBUG, "Stream connection from=%s", ADDRESS(from));
    s->stats.tcp_accept++;
    if (s->streams_in >= SWIM_STREAMS_MAX) {
        swim_log(s, SWIM_LOG_ERROR, "Too many pending push/pull requests");
        return NULL;
    }
    struct swim_stream *st = stream_new(s, SWIM_STREAM_IN, from, STR_NULL);
    st->is_connected = st->is_dialed = true;
    swim_timer_set(s, &st->timer, s->now_ns + s->config.tcp_timeout_ns, stream_deadline);
    return st;
}

void swim_stream_set_data(struct swim_stream *st, void *data)
{
    st->data = data;
}

void *swim_stream_data(const struct swim_stream *st)
{
    return st->data;
}
