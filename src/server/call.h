/* call.h - the inside of an rpc_call, for rpc.c and server.c alone. */
#pragma once
#include "base/buf.h"
#include "fsm/fsm.h"
#include "loop/loop.h"
#include "raft/raft.h"
#include "server/rpc.h"

enum call_state {
    CALL_NEW,
    CALL_RUNNING,
    CALL_PARKED,   /* a blocking read, in worker->watches */
    CALL_HELD,     /* waits for a leader, in worker->waiting */
    CALL_PROPOSED, /* a write, with the raft thread */
    CALL_DONE,
};

struct call {
    struct rpc_call pub;
    enum call_state state;
    bool is_canceled, is_blocking, is_expired;
    struct list node; /* of worker->waiting or ->idle_calls */
    struct loop_timer timer;
    uint64_t started_ns; /* where the method's time is measured */

    /* reads */
    struct watch watch;
    struct watch_set watch_set;
    void *parked_args; /* one heap block, pub.args while parked and after */

    /* writes */
    struct buf entry;
    struct raft_proposal proposal;
    struct arena result_arena;
    struct fsm_result result; /* filled on the raft thread, read after the message came back */
    int raft_code;
    uint64_t raft_index;
    struct loop_msg msg;
};

/* On the worker's thread: run again what waits for these changes; for a leader. */
void rpc_worker_changed(struct worker *w, struct change_list *const *changes, size_t count);
void rpc_worker_leader_known(struct worker *w);
void rpc_calls_drop_idle(struct worker *w);
