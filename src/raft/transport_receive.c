/* A snapshot: bytes are given a piece at a time when receive() asks for it; what comes meanwhile
 * waits here, about a piece, and then in the socket. If the request is answered before (refused, or
 * not needed), the answer goes out at once and the bytes are read and thrown away: our own sender
 * then hangs up, the reference's sends everything before it looks for the answer, and must find it
 * (hanging up on it would have it send the same snapshot again and again).
 *
 * Bytes that are waited for and do not come within the time limit end the connection: a leader that
 * is gone must not keep this server from taking another's snapshot. */
#include "raft/transport_internal.h"

static void in_timer_fire(struct loop_timer *timer);

/* The next bytes of the snapshot are waited for, and not for ever. */
static void snapshot_wait(struct in_conn *c)
{
    c->waiting_ms = loop_now_ms(c->t->loop);
    if (!loop_timer_is_active(&c->timer)) {
        loop_timer_start(c->t->loop, &c->timer, c->t->timeout_ms, in_timer_fire);
    }
}

static void in_timer_fire(struct loop_timer *timer)
{
    struct in_conn *c = container_of(timer, struct in_conn, timer);
    uint64_t now_ms = loop_now_ms(c->t->loop), due_ms = c->waiting_ms + c->t->timeout_ms;
    if (!c->has_snapshot || (!c->is_wanted && !c->is_skipped)) {
        return; /* nothing is waited for */
    }
    if (now_ms >= due_ms) {
        in_conn_refuse(c, -ERR_TIMEOUT, "the snapshot does not come");
    } else {
        loop_timer_start(c->t->loop, &c->timer, due_ms - now_ms, in_timer_fire);
    }
}

bool snapshot_step(struct in_conn *c)
{
    struct transport *t = c->t;
    struct str bytes = raft_wire_stream_snapshot(&c->in, RAFT_SNAPSHOT_PIECE_SIZE_MAX);
    if (c->is_skipped) {
        bytes = raft_wire_stream_snapshot(&c->in, SIZE_MAX);
        raft_wire_stream_consume(&c->in, bytes.n);
    } else if (c->is_wanted && bytes.n > 0) {
        c->is_wanted = false;
        t->base.events->snapshot_data(t->base.events_data, c->snapshot_token, bytes);
        if (c->is_closed) {
            return false;
        }
        raft_wire_stream_consume(&c->in, bytes.n);
    } else if (c->in.snapshot_left > 0 || !c->is_wanted) {
        return false;
    }
    if (c->in.snapshot_left > 0) {
        return c->is_wanted && raft_wire_stream_size(&c->in) > 0;
    }
    c->has_snapshot = false;
    if (!c->is_skipped) {
        t->base.events->snapshot_end(t->base.events_data, c->snapshot_token, 0);
    }
    return true;
}

void snapshot_skip(struct in_conn *c)
{
    c->is_skipped = true;
    snapshot_wait(c);
}

uint64_t transport_snapshot_size(struct raft_transport *base, uint64_t token)
{
    uint32_t sequence;
    struct in_conn *c = token_find(container_of(base, struct transport, base), token, &sequence);
    return c != NULL && c->snapshot_token == token ? c->snapshot_size : 0;
}

void transport_receive(struct raft_transport *base, uint64_t token)
{
    uint32_t sequence;
    struct in_conn *c = token_find(container_of(base, struct transport, base), token, &sequence);
    if (c != NULL && c->has_snapshot && !c->is_skipped && c->snapshot_token == token) {
        c->is_wanted = true;
        snapshot_wait(c);
        in_conn_wake(c);
    }
}
