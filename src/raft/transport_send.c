/* A snapshot on its way to a server: the request, then the bytes of the source, a piece at a time,
 * no faster than the connection takes them. Then the answer, which may take as long as restoring
 * the snapshot takes there; the reference allows a time limit for each 256 KiB of it, and so do we.
 *
 * An answer that comes before the bytes are all sent (it was refused, or is not needed) ends it at
 * once. Pieces come back on the raft thread at any moment; they are only noted, and the turn goes
 * on with them, so that a source is never freed in its own callback. */
#include "raft/transport_internal.h"

#include "base/mem.h"

#define SENDING_PENDING_SIZE_MAX RAFT_SNAPSHOT_PIECE_SIZE_MAX
#define SENDING_TIMEOUT_SCALE (256u * 1024u) /* the reference's */

struct sending {
    struct path *path;
    struct raft_snapshot_source *source; /* NULL: all is handed over */
    uint64_t size, left;
    bool is_reading, has_piece;
    struct str piece;
    int code;
    uint64_t progress_ms;
    size_t pending; /* as last seen */
};

struct sending *sending_free(struct sending *s)
{
    if (s != NULL) {
        if (s->source != NULL) {
            s->source = s->source->ops->free(s->source);
        }
        mem_free(s);
    }
    return NULL;
}

void sending_wake(struct path *p)
{
    struct transport *t = p->remote->t;
    p->sending->progress_ms = loop_now_ms(t->loop);
    if (!list_is_linked(&p->pump_node)) {
        list_push_back(&t->pump, &p->pump_node);
        transport_wake(t);
    }
}

static void sending_piece(struct raft_snapshot_source *source, struct str bytes, int code)
{
    struct sending *s = source->user;
    s->has_piece = true;
    s->piece = bytes;
    s->code = code;
    sending_wake(s->path);
}

/* Hand the piece to the stream; false: the path is lost. */
static bool piece_write(struct path *p)
{
    struct sending *s = p->sending;
    const struct iovec iov = {(void *)s->piece.p, s->piece.n};
    s->has_piece = s->is_reading = false;
    if (s->code < 0 || s->piece.n == 0 || s->piece.n > s->left) {
        path_lose(p, s->code < 0 ? err_code_text(-s->code) : "the snapshot has another size");
        return false;
    }
    int r = tcp_write(&p->conn->stream, &iov, 1);
    if (r < 0) {
        path_lose(p, err_code_text(-r));
        return false;
    }
    s->left -= s->piece.n;
    return true;
}

void sending_pump(struct path *p)
{
    struct sending *s = p->sending;
    if (s == NULL || !p->conn->is_connected || (s->has_piece && !piece_write(p))) {
        return;
    }
    if (s->left == 0 && s->source != NULL) {
        s->source = s->source->ops->free(s->source);
    }
    if (s->source != NULL && !s->is_reading &&
        tcp_pending(&p->conn->stream) < SENDING_PENDING_SIZE_MAX) {
        s->is_reading = true;
        s->source->ops->next(s->source, sending_piece);
    }
}

/* Looks a few times in a time limit whether anything has moved. */
static void sending_timer_fire(struct loop_timer *timer)
{
    struct path *p = container_of(timer, struct path, timer);
    struct transport *t = p->remote->t;
    struct sending *s = p->sending;
    uint64_t now_ms = loop_now_ms(t->loop), limit_ms = t->timeout_ms;
    size_t pending = tcp_pending(&p->conn->stream);
    if (pending < s->pending || s->is_reading) { /* our own disk is no fault of the server's */
        s->progress_ms = now_ms;
    }
    s->pending = pending;
    if (s->source == NULL && pending == 0) {
        limit_ms *= MAX(s->size / SENDING_TIMEOUT_SCALE, (uint64_t)1);
    }
    if (now_ms >= s->progress_ms + limit_ms) {
        path_lose(p, p->conn->is_connected ? "no progress in time" : "connecting took too long");
    } else {
        loop_timer_start(t->loop, &p->timer, t->timeout_ms / 4 + 1, sending_timer_fire);
    }
}

void transport_send_snapshot(struct raft_transport *base, struct str id, struct str address,
                             const struct raft_msg *msg, struct raft_snapshot_source *source)
{
    struct transport *t = container_of(base, struct transport, base);
    struct path *p = &remote_get(t, id, address)->paths[PATH_SNAPSHOT];
    const struct asked asked = {.kind = RAFT_MSG_INSTALL,
                                .token = msg->token,
                                .pre = msg->install.pre,
                                .term = msg->term,
                                .index = msg->install.index,
                                .count = msg->install.term};
    ASSERT(msg->kind == RAFT_MSG_INSTALL);
    if (p->asked_count > 0) {
        struct asked *now = &p->asked[p->asked_first];
        if (now->term == asked.term && now->index == asked.index && now->count == asked.count &&
            now->pre == asked.pre) {
            now->token = asked.token; /* it is on its way: not once more from the start */
            source->ops->free(source);
            return;
        }
        path_close(p); /* what comes of the new one comes of both */
    }
    if (list_is_linked(&p->lost_node) || !path_ask(p, &asked)) {
        source->ops->free(source);
        return;
    }
    p->sending = xcalloc(1, sizeof(*p->sending));
    *p->sending = (struct sending){.path = p,
                                   .source = source,
                                   .size = source->size,
                                   .left = source->size,
                                   .progress_ms = loop_now_ms(t->loop)};
    source->user = p->sending;
    loop_timer_start(t->loop, &p->timer, t->timeout_ms / 4 + 1, sending_timer_fire);
    raft_wire_request_encode(&(struct raft_wire_request){.protocol = RAFT_WIRE_PROTOCOL,
                                                         .msg = *msg,
                                                         .snapshot_size = source->size},
                             &p->out);
    path_gathered(p);
}
