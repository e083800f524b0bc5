/* raft_ask.h - a request to the consensus node that is answered on a loop.
 *
 *     struct raft_ask *q = xcalloc(1, sizeof(*q));
 *     raft_ask_change(q, RAFT_ADD_NONVOTER, id, address);  q->done = my_done;  q->data = me;
 *     raft_ask_start(server, q);                           ... my_done(q): q->code, q->request.err
 *
 * On the server's main loop. The object is the caller's and lives until done, which comes in a
 * later turn. */
#pragma once
#include "loop/loop.h"
#include "raft/raft.h"

struct server;

struct raft_ask {
    struct raft_request request;
    void (*done)(struct raft_ask *q);
    void *data;
    int code; /* 0, or negative with request.err */
    struct loop *loop;
    struct loop_msg msg;
};

/* change: an enum raft_change. */
void raft_ask_change(struct raft_ask *q, int change, struct str id, struct str address);
void raft_ask_start(struct server *s, struct raft_ask *q);
/* The same from another loop's thread, answered there. */
void raft_ask_start_on(struct server *s, struct raft_ask *q, struct loop *loop);
