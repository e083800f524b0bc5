/* transport.h - how a node's messages reach the other servers: a table, so that the simulator can
 * stand in, and the one over TCP (transport_tcp.h).
 *
 *     t = raft_transport_tcp_new(&options);
 *     raft_start(&(struct raft_options){.transport = t, ...});        // the node sets t->events
 *     t->ops->send(t, id, address, &msg, entries)   ->  events->result() or events->unreachable()
 *     events->request(data, &msg)                   ->  t->ops->reply(t, msg.token, &answer)
 *
 * All of it on the raft thread. A transport never calls events from inside one of its own ops: it
 * defers to a later turn of the loop.
 *
 * Requests to one server: APPEND messages with entries are answered in the order they were sent and
 * may be pipelined; heartbeats (APPEND of zeros), votes and TIMEOUT_NOW must not wait behind them,
 * nor behind a snapshot. Each request ends in one result() or in unreachable(), which speaks for
 * all that was sent to that server on the same path until it is called; a time limit is the
 * transport's. Four exceptions: TIMEOUT_NOW has no result(), for its answer says nothing; a
 * pre-vote may end in silence, for unreachable() would speak for a vote as well; a heartbeat that
 * has not gone out when the next is sent ends with that one; and so does an INSTALL of the very
 * snapshot (index, term, leader's term) that is under way.
 *
 * The protocol's answers do not repeat what was asked. The transport remembers it and fills in:
 * APPEND_RESULT's prev_index, count and round (= the request's token), INSTALL_RESULT's index,
 * VOTE_RESULT's pre; result.token is the request's token. */
#pragma once
#include "base/err.h"
#include "raft/core/core.h"

struct raft_transport;
struct raft_snapshot_source;

/* What the node has for the transport. `data` is the node. */
struct raft_transport_events {
    /* A request came. msg->token names the place its answer goes to: exactly one reply() follows,
     * at once or later. Strings and entries are the transport's until this returns. TIMEOUT_NOW is
     * answered already, its token is 0. */
    void (*request)(void *data, struct raft_msg *msg);
    void (*result)(void *data, struct str id, const struct raft_msg *msg);
    void (*unreachable)(void *data, struct str id);
    /* INSTALL: after receive() was called for the token, a piece of the snapshot's bytes, in order.
     * The next comes only after receive() is called again. */
    void (*snapshot_data)(void *data, uint64_t token, struct str bytes);
    /* Once for each INSTALL, unless reply() came first: code 0 at once behind the last piece (it
     * may still be in work), negative when no more will come, also before receive() was called.
     * reply() is still due. */
    void (*snapshot_end)(void *data, uint64_t token, int code);
};

struct raft_transport_ops {
    /* APPEND: count entries of `entries`, index msg->append.prev_index + 1 on. Copied (encoded)
     * before this returns. */
    void (*send)(struct raft_transport *t, struct str id, struct str address,
                 const struct raft_msg *msg, const struct raft_entry *entries);
    /* INSTALL: msg->install is complete. The source is taken over and freed. */
    void (*send_snapshot)(struct raft_transport *t, struct str id, struct str address,
                          const struct raft_msg *msg, struct raft_snapshot_source *source);
    /* An asker that is gone is fine. INSTALL: what has not come of the snapshot is skipped. */
    void (*reply)(struct raft_transport *t, uint64_t token, const struct raft_msg *msg);
    /* How many bytes of snapshot follow the INSTALL of this token. */
    uint64_t (*snapshot_size)(struct raft_transport *t, uint64_t token);
    /* Let the next piece of the snapshot come (at most RAFT_SNAPSHOT_PIECE_SIZE_MAX). */
    void (*receive)(struct raft_transport *t, uint64_t token);
    /* The servers there are now: connections to others are closed. */
    void (*configure)(struct raft_transport *t, const struct raft_configuration *configuration);
    /* The loop has stopped, and is there still. No event comes from here, nor later. */
    struct raft_transport *(*free)(struct raft_transport *t);
};

#define RAFT_SNAPSHOT_PIECE_SIZE_MAX (256u * 1024u)

struct raft_transport {
    const struct raft_transport_ops *ops;
    const struct raft_transport_events *events; /* set by the node before the loop runs */
    void *events_data;
};

/* The bytes of a stored snapshot, read a piece at a time away from the raft thread:
 *
 *     source->ops->next(source, my_piece)    ->  my_piece(source, bytes, code), on the raft thread;
 *                                               empty bytes with code 0: the end
 */
struct raft_snapshot_source {
    const struct raft_snapshot_source_ops *ops;
    uint64_t size;
    void *user; /* the transport's */
};

struct raft_snapshot_source_ops {
    /* One at a time. The bytes are the source's until the next call or free. */
    void (*next)(struct raft_snapshot_source *s,
                 void (*piece)(struct raft_snapshot_source *s, struct str bytes, int code));
    /* Also while a piece is on its way: then piece() is not called any more. */
    struct raft_snapshot_source *(*free)(struct raft_snapshot_source *s);
};
