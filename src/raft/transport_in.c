/* The way in: what accepted connections bring goes to the node as requests, whose answers go back
 * in the order of the requests, whichever is done first.
 *
 * Happy path: bytes are put into the stream of requests; in the turn each whole one is given to the
 * node under a token; reply() writes the answer behind those before it, or keeps it until they are
 * there; the turn writes all of them at once.
 *
 * Too many unanswered, or the peer does not read its answers: the socket is not read until that has
 * changed. Garbage, or too much that never becomes a message: closed, with a line in the log. The
 * peer goes: a snapshot that was coming ends with a code, and answers find nobody.
 *
 * A token is slot, generation and sequence number: nothing else of a connection outlives it. */
#include "raft/transport_internal.h"

#include "base/log.h"
#include "base/mem.h"

#define IN_ANSWERS_PENDING_MAX (64u * 1024u) /* bytes the peer has not read */
#define IN_FAIR_SIZE (1024u * 1024u)         /* a connection with less is never the one to go */
#define TOKEN_MASK 0xffffffu                 /* of a generation, of a sequence number */

void in_conn_wake(struct in_conn *c)
{
    if (!list_is_linked(&c->work_node) && !c->is_closed) {
        list_push_back(&c->t->in_work, &c->work_node);
        transport_wake(c->t);
    }
}

/* --- tokens --------------------------------------------------------------------------------- */

static uint64_t token_make(const struct in_conn *c, uint32_t sequence)
{
    return (uint64_t)c->slot << 48 | (uint64_t)c->t->slots[c->slot].generation << 24 |
           (sequence & TOKEN_MASK);
}

struct in_conn *token_find(struct transport *t, uint64_t token, uint32_t *ret_sequence)
{
    uint64_t slot = token >> 48;
    if (slot >= t->slots_count || t->slots[slot].conn == NULL ||
        t->slots[slot].generation != (token >> 24 & TOKEN_MASK)) {
        return NULL;
    }
    struct in_conn *c = t->slots[slot].conn;
    uint32_t ahead = ((uint32_t)token - c->answers_first) & TOKEN_MASK;
    *ret_sequence = c->answers_first + ahead;
    return ahead < c->answers_count ? c : NULL;
}

/* --- the end of a connection ---------------------------------------------------------------- */

static struct answer *answer_at(struct in_conn *c, uint32_t sequence)
{
    return &c->answers[sequence % IN_UNANSWERED_MAX];
}

void in_conn_drop(struct in_conn *c)
{
    struct transport *t = c->t;
    c->is_closed = true;
    t->slots[c->slot].conn = NULL;
    t->in_size -= c->in_size;
    for (; c->answers_count > 0; c->answers_count--) {
        buf_deinit(&answer_at(c, c->answers_first++)->bytes);
    }
    loop_timer_stop(t->loop, &c->timer);
    list_remove(&c->node);
    list_remove(&c->work_node);
    list_remove(&c->flush_node);
    tcp_close(&c->stream);
}

static void in_conn_close(struct in_conn *c, int code)
{
    if (c->is_closed) {
        return;
    }
    struct transport *t = c->t;
    bool is_owed = c->has_snapshot && !c->is_skipped;
    uint64_t token = c->snapshot_token;
    in_conn_drop(c);
    if (is_owed) {
        t->base.events->snapshot_end(t->base.events_data, token, code);
    }
}

void in_conn_refuse(struct in_conn *c, int code, const char *why)
{
    log_write(LOG_ERROR, TRANSPORT_LOG, "failed to decode incoming command",
              LOG_STR("from", buf_view(&c->peer)), LOG_CSTR("error", why));
    in_conn_close(c, code);
}

static void in_closed(struct tcp_stream *s)
{
    struct in_conn *c = container_of(s, struct in_conn, stream);
    raft_wire_stream_deinit(&c->in);
    arena_deinit(&c->arena);
    buf_deinit(&c->out);
    buf_deinit(&c->peer);
    transport_unref(c->t);
    mem_free(c);
}

/* --- requests ------------------------------------------------------------------------------- */

static void answer_put(struct in_conn *c, uint32_t sequence, const struct raft_msg *msg)
{
    const struct raft_wire_reply reply = {.protocol = RAFT_WIRE_PROTOCOL, .msg = *msg};
    struct answer *a = answer_at(c, sequence);
    ASSERT(!a->is_done);
    a->is_done = true;
    raft_wire_reply_encode(&reply, sequence == c->answers_first ? &c->out : &a->bytes);
    while (c->answers_count > 0 && (a = answer_at(c, c->answers_first))->is_done) {
        buf_str(&c->out, buf_view(&a->bytes));
        buf_deinit(&a->bytes);
        a->is_done = false;
        c->answers_first++;
        c->answers_count--;
    }
    if (c->out.n > 0 && !list_is_linked(&c->flush_node)) {
        list_push_back(&c->t->in_flush, &c->flush_node);
        transport_wake(c->t);
    }
    in_conn_wake(c); /* there is room for a request */
}

static void request_take(struct in_conn *c, struct raft_wire_request *request)
{
    struct transport *t = c->t;
    uint32_t sequence = c->answers_first + c->answers_count++;
    request->msg.token = token_make(c, sequence);
    if (request->msg.kind == RAFT_MSG_TIMEOUT_NOW) {
        request->msg.token = 0;
        const struct raft_msg done = {.kind = RAFT_MSG_TIMEOUT_NOW};
        answer_put(c, sequence, &done);
    } else if (request->msg.kind == RAFT_MSG_INSTALL) {
        c->has_snapshot = true;
        c->is_wanted = c->is_skipped = false;
        c->snapshot_token = request->msg.token;
        c->snapshot_size = request->snapshot_size;
    }
    t->base.events->request(t->base.events_data, &request->msg);
}

/* Read on if what comes has somewhere to go. */
static void reading_update(struct in_conn *c)
{
    bool is_full =
        c->answers_count == IN_UNANSWERED_MAX || tcp_pending(&c->stream) > IN_ANSWERS_PENDING_MAX;
    if (c->has_snapshot) {
        is_full = !c->is_skipped && raft_wire_stream_size(&c->in) >= RAFT_SNAPSHOT_PIECE_SIZE_MAX;
    }
    if (is_full && c->stream.reading) {
        tcp_read_stop(&c->stream);
    } else if (!is_full && !c->stream.reading) {
        tcp_read_start(&c->stream);
    }
}

static void in_size_update(struct in_conn *c)
{
    size_t size = raft_wire_stream_size(&c->in);
    c->t->in_size += size - c->in_size;
    c->in_size = size;
}

void in_conn_work(struct in_conn *c)
{
    struct raft_wire_request request;
    struct err err = {0};
    int r = 1;
    while (!c->is_closed && r > 0) {
        if (c->has_snapshot) {
            r = snapshot_step(c);
        } else if (c->answers_count == IN_UNANSWERED_MAX ||
                   tcp_pending(&c->stream) > IN_ANSWERS_PENDING_MAX) {
            r = 0;
        } else if ((r = raft_wire_stream_next(&c->in, &c->arena, &request, &err)) > 0) {
            request_take(c, &request);
            arena_reset(&c->arena);
        }
    }
    if (!c->is_closed && r < 0) {
        in_conn_refuse(c, r, err_text(&err));
    } else if (!c->is_closed) {
        in_size_update(c);
        reading_update(c);
    }
}

void in_conn_flush(struct in_conn *c)
{
    int r = tcp_write_buf(&c->stream, &c->out);
    if (r < 0) {
        in_conn_close(c, r);
    }
}

/* --- the stream ----------------------------------------------------------------------------- */

static void in_conn_put(struct in_conn *c, struct str bytes)
{
    int r = raft_wire_stream_put(&c->in, bytes);
    in_size_update(c);
    if (c->t->in_size > RAFT_TRANSPORT_IN_SIZE_MAX && c->in_size > IN_FAIR_SIZE) {
        r = -ERR_TOO_LARGE;
    }
    if (r < 0) {
        in_conn_refuse(c, r, "too much that is not handled yet");
        return;
    }
    c->waiting_ms = loop_now_ms(c->t->loop);
    list_remove(&c->node);
    list_push_back(&c->t->conns, &c->node);
    in_conn_wake(c);
}

static void in_read(struct tcp_stream *s, const char *p, size_t n)
{
    in_conn_put(container_of(s, struct in_conn, stream), str_make(p, n));
}

static void in_eof(struct tcp_stream *s)
{
    struct in_conn *c = container_of(s, struct in_conn, stream);
    list_remove(&c->work_node);
    in_conn_work(c); /* its last words */
    in_conn_close(c, -ERR_CLOSED);
}

static void in_fail(struct tcp_stream *s, int code)
{
    in_conn_close(container_of(s, struct in_conn, stream), code);
}

static void in_drained(struct tcp_stream *s)
{
    in_conn_wake(container_of(s, struct in_conn, stream));
}

static uint32_t slot_take(struct transport *t)
{
    for (uint32_t i = 0; i < t->slots_count; i++) {
        if (t->slots[i].conn == NULL) {
            return i;
        }
    }
    struct in_conn *silent = list_entry(t->conns.next, struct in_conn, node);
    uint32_t slot = silent->slot;
    log_write(LOG_WARN, TRANSPORT_LOG, "too many raft connections, closing the most silent",
              LOG_STR("from", buf_view(&silent->peer)));
    in_conn_close(silent, -ERR_CLOSED);
    return slot;
}

void in_conn_new(struct transport *t, int fd, struct tls_session *take_tls, struct str rest)
{
    static const struct tcp_ops ops = {.read = in_read,
                                       .eof = in_eof,
                                       .fail = in_fail,
                                       .drained = in_drained,
                                       .closed = in_closed};
    struct in_conn *c = xcalloc(1, sizeof(*c));
    struct address peer = {.size = sizeof(peer.sa)};
    c->t = t;
    if (getpeername(fd, (struct sockaddr *)&peer.sa, &peer.size) == 0) {
        address_format(&peer, &c->peer);
    }
    c->slot = slot_take(t);
    t->slots[c->slot].conn = c;
    t->slots[c->slot].generation = (t->slots[c->slot].generation + 1) & TOKEN_MASK;
    c->answers_first = 1; /* so that no token is 0 */
    raft_wire_stream_init(&c->in);
    list_push_back(&t->conns, &c->node);
    tcp_start(&c->stream, t->loop, fd, &ops);
    if (take_tls != NULL) {
        tls_attach(&c->stream, take_tls);
    }
    tcp_set_user_timeout(&c->stream, t->network_timeout_ms);
    transport_ref(t);
    if (rest.n > 0) {
        in_conn_put(c, rest);
    }
}

/* --- the ops -------------------------------------------------------------------------------- */

void transport_reply(struct raft_transport *base, uint64_t token, const struct raft_msg *msg)
{
    uint32_t sequence;
    struct in_conn *c = token_find(container_of(base, struct transport, base), token, &sequence);
    if (c == NULL) {
        return;
    }
    if (c->has_snapshot && c->snapshot_token == token) {
        snapshot_skip(c);
    }
    answer_put(c, sequence, msg);
}
