/* call.h - the inside of an rpc_call, for rpc.c and its parts (rpc_forward.c, rpc_leader.c,
 * rpc_datacenter.c, rpc_route.c, rpc_ask.c, verify.c), server.c and client_agent.c alone.
 *
 * call_place() decides where a call runs: rpc_leader.c on a server, or rpc_datacenter.c when it is
 * for another data center; rpc_route.c on a client.
 * rpc_forward.c has it while it waits for a server or is with one; rpc.c runs it here, parks it,
 * and ends it. */
#pragma once
#include "base/buf.h"
#include "fsm/fsm.h"
#include "loop/loop.h"
#include "raft/raft.h"
#include "server/acl_resolver.h"
#include "server/rpc.h"
#include "server/rpc_pool.h"

enum call_state {
    CALL_NEW,
    CALL_RUNNING,
    CALL_RESOLVING, /* its token, by asking another server */
    CALL_PARKED,    /* a blocking read, in worker->watches */
    CALL_HELD,      /* waits for a server, in worker->waiting */
    CALL_FORWARDED, /* is with another server, in worker->forwarded */
    CALL_VERIFYING, /* a consistent read, with verify.c */
    CALL_MORE,      /* a read, waits for another call that is part of it */
    CALL_PROPOSED,  /* a write, with the raft thread or the main loop */
    CALL_DONE,
};

/* A forwarded call has so long to be answered, and the hold timeout, since the other server may
 * hold it for want of a leader; a blocking one that much more than it may block, with its jitter.
 */
#define RPC_FORWARD_TIMEOUT_MS 60000u
/* Calls under way to other data centers, of one worker: to one of them, and to all. */
#define RPC_DATACENTER_CALLS_MAX 8192u
#define RPC_ABROAD_CALLS_MAX 32768u
/* A wait is stretched by up to a 16th, so that clients that started together drift apart. */
#define RPC_WAIT_JITTER_FRACTION 16u

struct call {
    struct rpc_call pub;
    enum call_state state;
    bool is_canceled, is_blocking, is_expired, is_verified;
    bool is_abroad;   /* for another data center than this server's */
    struct list node; /* of worker->waiting, ->forwarded or ->idle_calls, or verify.c's */
    struct loop_timer timer;
    uint64_t started_ns; /* where the method's time is measured */
    struct acl_who *who; /* of the run under way; NULL: ACLs are off */
    struct err *who_err; /* in the arena */

    /* elsewhere */
    union {
        struct rpc_remote remote;
        struct acl_wait acl_wait; /* while it is CALL_RESOLVING */
    };
    uint64_t hold_deadline_ms; /* it may be held until then; 0: it has not been */
    uint64_t wait_deadline_ms; /* of a blocking one; 0: it has not been elsewhere */
    uint32_t route; /* whom it is with: worker->leader_generation, or the router's id of a server */
    uint32_t tries; /* servers of the other data center that it has been to in vain */
    struct call_lane *lane; /* where it counts, while it is abroad */
    uint64_t verify_started_ns;

    /* reads */
    struct rpc_call *part; /* the call it waits for */
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
    struct err *ask_err; /* of the main loop's, in the arena */
    struct loop_msg msg;
};
_Static_assert(sizeof(struct call) <= 768, "tens of thousands wait at a time");

/* --- rpc.c ------------------------------------------------------------------------------------ */
struct query_options *call_options(const struct call *c); /* NULL: the method has none */
struct str call_datacenter(const struct call *c);         /* of its arguments; "": none is named */
struct str *call_token_field(const struct call *c); /* of its arguments; NULL: they have none */
void call_run_here(struct call *c);
void call_done(struct call *c);
void call_ask_done(struct loop_msg *msg); /* rpc_ask.c has the answer */
/* Ends it with an error; the sentence may be of the call's arena. */
void call_fail(struct call *c, int code, const char *format, ...) PRINTF(3, 4);
/* The arguments move to a block of exact size, the arena is emptied: it may wait for long. */
void call_shrink(struct call *c);
bool call_blocks(const struct call *c); /* a read that may have to wait for news */
/* How long it may block, from its arguments and the server's bounds, without jitter. */
uint64_t call_wait_ms(const struct call *c);

/* On the worker's thread: run again what waits for these changes. */
void rpc_worker_changed(struct worker *w, struct change_list *const *changes, size_t count);
void rpc_calls_drop_idle(struct worker *w);

/* --- rpc_forward.c ---------------------------------------------------------------------------- */
bool call_is_write(const struct call *c);
/* Run it here, send it to another server, hold it, or answer that there is none. */
void call_place(struct call *c);
/* It may wait for a server, for the first time or still. */
bool call_may_hold(struct call *c);
/* Until there is news, or for delay_ms if that is sooner; after call_may_hold(). */
void call_hold(struct call *c, uint64_t delay_ms);
void call_forward(struct call *c, struct str address, uint32_t route);
/* Its asker is gone. False: it must live on, to be freed by call_done(). */
bool call_forget_placed(struct call *c);
/* There is news: place what waits, and take back the reads that are with the wrong server. */
void calls_place_anew(struct worker *w, bool (*is_stale)(const struct call *c));

/* --- rpc_leader.c ----------------------------------------------------------------------------- */
void call_place_on_server(struct call *c);
/* On the worker's thread: who leads has changed. */
void rpc_worker_leader_known(struct worker *w);

/* --- rpc_datacenter.c --------------------------------------------------------------------------
 */
void call_place_abroad(struct call *c);
/* It is with nobody in another data center any more, if it was. */
void call_leave_lane(struct call *c);
/* c->pub.err says how. True: it goes on elsewhere. */
bool call_abroad_failed(struct call *c, int code);
/* On the worker's thread: the router's lists are others. */
void rpc_worker_datacenters_changed(struct worker *w);
void rpc_lanes_deinit(struct worker *w);

/* --- rpc_route.c ------------------------------------------------------------------------------ */
void call_place_on_client(struct call *c);
/* c->pub.err says how. */
void call_route_failed(struct call *c);
/* On the worker's thread: the router's list is another one. */
void rpc_worker_servers_changed(struct worker *w);
