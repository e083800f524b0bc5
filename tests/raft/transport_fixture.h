/* transport_fixture.h - nodes that talk over TCP within one loop, and peers that only have bytes.
 *
 * A test sends through node.t, looks at what was noted in the nodes, and runs the loop until a
 * condition holds (UNTIL). Strings of a received request do not outlive its event: what tests want
 * of them is copied. */
#pragma once
#include "test.h"

#include "base/mem.h"
#include "base/vec.h"
#include "loop/tcp.h"
#include "raft/transport_tcp.h"
#include "raft/wire.h"

struct seen { /* a request or a result, without what it borrows */
    enum raft_msg_kind kind;
    uint64_t term, token, prev_index, prev_term, commit_index, count, round, index, last_index;
    uint64_t last_term, conflict_index, data_size, stage;
    bool success, no_backoff, granted, pre, unsupported, transfer, entries_are_nil, is_answered;
    char name[RAFT_NAME_SIZE_MAX + 1]; /* leader, candidate; of a result: the server's id */
};

struct node {
    struct raft_transport *t;
    struct tcp_listener listener;
    struct address address;
    char id[8], text[64]; /* text: the address */
    VEC(struct seen) requests;
    VEC(struct seen) results;
    size_t unreachable, accepted;
    bool holds_appends, holds_heartbeats, holds_votes; /* do not answer by itself */
    bool accepts_snapshots;                            /* receive(), else refuse */
    bool sends_ahead;                                  /* snapshots are to be kept */
    uint64_t stage;                                    /* under this number */
    uint64_t receive_delay_ms;
    struct loop_timer receive_timer;
    uint64_t snapshot_token, receive_token, snapshot_received, snapshot_ends;
    int snapshot_code;
};

extern struct loop *loop;

void fixture_begin(void);
void fixture_end(void); /* nodes are stopped before */
/* The node number i (1..9), listening on 127.0.7i.1 on a port of its own. */
void node_start(struct node *n, int i, uint64_t timeout_ms, uint32_t connections_max);
void node_stop(struct node *n);
void node_answer(struct node *n, size_t request, bool yes);

void node_send(struct node *from, const struct node *to, const struct raft_msg *msg,
               const struct raft_entry *entries);
/* An APPEND of `count` entries of some bytes behind prev_index. */
void node_append(struct node *from, const struct node *to, uint64_t prev_index, uint64_t count);
void node_heartbeat(struct node *from, const struct node *to, uint64_t round);
void node_vote(struct node *from, const struct node *to, bool pre);
/* Its bytes are those of snapshot_byte(). */
void node_send_snapshot(struct node *from, const struct node *to, uint64_t index, uint64_t size);
static inline char snapshot_byte(uint64_t at)
{
    return (char)(at * 131 + (at >> 8));
}
/* Of sources: made and not freed; bytes given. */
extern size_t sources_alive;
extern uint64_t source_given;

/* A connection that has bytes and no manners. */
struct raw {
    struct tcp_stream stream;
    struct buf got;
    bool is_open, has_ended;
};
void raw_connect(struct raw *r, const struct address *to);
void raw_write(struct raw *r, struct str bytes);
void raw_close(struct raw *r);
/* What it may say behind the type byte of a connection: that a snapshot of `size` bytes follows; an
 * APPEND of nothing. */
void raw_put_install(struct buf *to, uint64_t size);
void raw_put_append(struct buf *to, uint64_t term);
/* A place that accepts into `raw`, a connection at a time. */
struct raw_server {
    struct tcp_listener listener;
    struct raw raw;
    struct node as; /* id, text and address, to send to */
    size_t accepted;
    bool closes;       /* as soon as bytes have come */
    struct str answer; /* on whatever comes */
};
void raw_server_start(struct raw_server *s, int i);
void raw_server_stop(struct raw_server *s);

/* Run the loop until it holds; fails after a long while. */
#define UNTIL(condition)                                                      \
    do {                                                                      \
        for (int turns_ = 0; !(condition); turns_++) {                        \
            if (turns_ > 30000) {                                             \
                fail_msg("%s:%d: never: %s", __FILE__, __LINE__, #condition); \
            }                                                                 \
            loop_some();                                                      \
        }                                                                     \
    } while (0)
void loop_some(void); /* a millisecond */
