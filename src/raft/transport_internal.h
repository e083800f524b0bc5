/* transport_internal.h - what the files of the transport over TCP share.
 *
 * transport_tcp.c      the object: made, freed, and its turn
 * transport_out.c      servers, and which path a message takes
 * transport_path.c     a path: requests out, answers in
 * transport_send.c     a snapshot on its way out
 * transport_in.c       accepted connections: requests in, answers out
 * transport_receive.c  a snapshot on its way in
 *
 * Everything but accepting happens on the raft thread, and nothing of it calls events from inside
 * an op: an op writes into buffers, marks what is to do and asks for a turn; the turn, deferred to
 * the end of the loop's, first tells what there is to tell and then writes the buffers out. So many
 * sends in a row are one system call.
 *
 * A connection (struct out_conn, in_conn) is memory of its own, for its stream goes only some time
 * after it was closed; paths and slots point to it and drop it at once. The transport itself goes
 * with the last of them. */
#pragma once
#include "base/list.h"
#include "loop/tls.h"
#include "proto/rpc_frame.h"
#include "raft/transport_tcp.h"
#include "raft/wire_stream.h"

#include <stdatomic.h>

#define TRANSPORT_LOG "agent.server.raft"

/* A buffer with more than this is written at once; an emptied one that is larger is given back. */
#define TRANSPORT_GATHER_SIZE (256u * 1024u)

struct out_conn;
struct sending;
struct remote;

/* --- out ------------------------------------------------------------------------------------ */

enum path_kind {
    PATH_ENTRIES,
    PATH_CONTROL, /* heartbeats, votes, TIMEOUT_NOW */
    PATH_PRE_VOTE,
    PATH_SNAPSHOT,
    PATHS_COUNT,
};

/* What an answer does not say of itself. */
struct asked {
    enum raft_msg_kind kind;
    bool pre, is_heartbeat;
    uint64_t token, index, term, count; /* index: prev_index, or the snapshot's */
    uint64_t at_ms, at_ns;              /* of the loop's clock, and to measure by */
};

struct path {
    struct remote *remote;
    enum path_kind kind;
    struct out_conn *conn; /* NULL: none */
    struct asked *asked;   /* a ring, oldest first */
    uint32_t asked_first, asked_count;
    struct buf out; /* gathered */
    struct loop_timer timer;
    struct list flush_node, lost_node, pump_node;
    bool is_failing; /* has been logged; until the next answer */

    /* CONTROL: one heartbeat is under way, and the newest after it waits here. */
    bool heartbeat_is_out, heartbeat_waits;
    struct asked heartbeat;
    struct buf heartbeat_bytes;

    struct sending *sending; /* SNAPSHOT */
};

struct remote {
    struct list node; /* of servers, or of dropped */
    struct transport *t;
    char id[RAFT_NAME_SIZE_MAX + 1], address[RAFT_NAME_SIZE_MAX + 1];
    struct path paths[PATHS_COUNT];
    struct metric *append_time[2], *append_logs[2], *heartbeat_time[2], *install_time[2];
};

struct out_conn {
    struct tcp_stream stream;
    struct transport *t;
    struct path *path; /* NULL: given up */
    struct buf in;
    size_t in_used;
    struct msgpack_scan scan;
    bool is_connected, has_answered;
};

/* --- in ------------------------------------------------------------------------------------- */

/* Requests of one connection that are not answered: the reference's pipeline, and ours. Beyond it
 * the socket is not read. */
#define IN_UNANSWERED_MAX 128u

struct answer {
    bool is_done;
    struct buf bytes; /* done before an older one was */
};

struct in_conn {
    struct tcp_stream stream;
    struct transport *t;
    struct list node;                  /* of conns */
    struct list work_node, flush_node; /* of in_work, in_flush */
    bool is_closed;
    uint32_t slot;
    struct buf peer; /* who it is, for the log */
    struct raft_wire_stream in;
    size_t in_size; /* of `in`, as counted in the transport's */
    struct arena arena;

    struct answer answers[IN_UNANSWERED_MAX]; /* a ring, oldest first */
    uint32_t answers_first, answers_count;    /* first: a sequence number */
    struct buf out;

    /* A snapshot whose bytes are coming. */
    bool has_snapshot;
    bool is_wanted;  /* receive() was called, and no piece given since */
    bool is_skipped; /* the request was answered before its bytes had all come */
    uint64_t snapshot_token, snapshot_size;
    uint64_t waiting_ms; /* for its bytes, since */
    struct loop_timer timer;
};

/* --- the object ----------------------------------------------------------------------------- */

struct in_slot {
    struct in_conn *conn; /* NULL: free */
    uint32_t generation;
};

struct transport {
    struct raft_transport base;
    struct loop *loop;
    struct address from; /* size 0: any */
    struct tls_configurator *tls;
    uint64_t timeout_ms, network_timeout_ms, vote_timeout_ms;
    /* Its owner, each stream, a turn that is due, and what accept() has posted. */
    _Atomic uint32_t refs;
    bool is_freed;
    struct loop_msg turn;
    bool turn_is_due;

    struct list servers;
    struct list dropped; /* no longer to be found; freed at the end of the turn */
    struct list lost;    /* paths whose unreachable() is due */
    struct list flush;   /* paths with something to write */
    struct list pump;    /* paths whose snapshot may go on */

    struct list conns; /* accepted; longest silent first */
    struct list in_work, in_flush;
    struct in_slot *slots;
    uint32_t slots_count;
    size_t in_size; /* bytes that wait in all of them */
};

void transport_unref(struct transport *t);
/* Have the turn run. */
void transport_wake(struct transport *t);
static inline void transport_ref(struct transport *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
}

/* --- transport_out.c --- */

/* The server, made when it is not known; given the address. */
struct remote *remote_get(struct transport *t, struct str id, struct str address);
void remote_free(struct remote *s);
/* The one that was out is answered: the next may go. */
void heartbeat_answered(struct path *p);
void transport_send(struct raft_transport *base, struct str id, struct str address,
                    const struct raft_msg *msg, const struct raft_entry *entries);
void transport_configure(struct raft_transport *base, const struct raft_configuration *c);

/* --- transport_path.c --- */

/* Remember what is asked, and have a connection to ask it on; false: lost, which will be told. Its
 * bytes are then to be put into p->out, and path_gathered() called. */
bool path_ask(struct path *p, const struct asked *asked);
void path_gathered(struct path *p);
void path_flush(struct path *p);
/* Give up all that is under way, without a word; the next request connects anew. */
void path_close(struct path *p);
/* The same, and if something was under way unreachable() speaks for it. */
void path_lose(struct path *p, const char *why);
void path_tell_lost(struct path *p);

/* --- transport_metrics.c --- */

void transport_measure(struct remote *s, const struct asked *asked); /* it has been answered */

/* --- transport_send.c --- */

void transport_send_snapshot(struct raft_transport *base, struct str id, struct str address,
                             const struct raft_msg *msg, struct raft_snapshot_source *source);
void sending_pump(struct path *p);
/* There may be room for more. */
void sending_wake(struct path *p);
struct sending *sending_free(struct sending *s);

/* --- transport_in.c --- */

void in_conn_new(struct transport *t, int fd, struct tls_session *take_tls, struct str rest);
/* Have in_conn_work() run in the turn. */
void in_conn_wake(struct in_conn *c);
void in_conn_work(struct in_conn *c);
void in_conn_flush(struct in_conn *c);
/* Close it with a line in the log. */
void in_conn_refuse(struct in_conn *c, int code, const char *why);
void in_conn_drop(struct in_conn *c); /* close it and tell nobody */
/* NULL: gone, or answered. */
struct in_conn *token_find(struct transport *t, uint64_t token, uint32_t *ret_sequence);
void transport_reply(struct raft_transport *base, uint64_t token, const struct raft_msg *msg);

/* --- transport_receive.c --- */

/* Give or skip what has come; whether to go on: more is here, or the snapshot is through. */
bool snapshot_step(struct in_conn *c);
/* The request has been answered. */
void snapshot_skip(struct in_conn *c);
uint64_t transport_snapshot_size(struct raft_transport *base, uint64_t token);
void transport_receive(struct raft_transport *base, uint64_t token);
