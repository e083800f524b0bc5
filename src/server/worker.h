/* worker.h - what each thread that makes calls has of its own: its loop, the calls parked on it, a
 * source of randomness, recycled memory.
 *
 * HTTP and DNS connections live on one worker each, and the agent's main loop is a worker too (for
 * anti-entropy and the leader's duties). Nothing here is shared but the two atomics, so nothing
 * here is locked.
 *
 * The writer of the store tells every worker what each batch of commits changed, but only while
 * that worker has blocking calls. `blocking` is raised before a blocking call takes its view; the
 * writer publishes the new view before it reads `blocking` (both sequentially consistent): either
 * the call sees the change, or the worker is told of it. */
#pragma once
#include "base/arena.h"
#include "base/rand.h"
#include "loop/loop.h"

struct acl_resolver;
struct call_lane;
struct delegate;
struct rpc_pool;
struct server;
struct verifies;
struct watch_registry;

#define WORKERS_MAX 32u

struct worker {
    struct loop *loop;
    struct delegate *delegate; /* the server's or the client's */
    struct server *server;     /* NULL on a client */
    struct rng rng;
    uint32_t id;                    /* 0.. */
    _Atomic uint32_t blocking;      /* blocking calls running or parked */
    struct watch_registry *watches; /* of the calls parked here */
    struct list waiting;            /* calls that wait for a server */
    struct list forwarded;          /* calls that are with one */
    char leader_address[64];        /* on a server: the last one that calls were sent to */
    uint32_t leader_generation;     /* goes up with each other one */
    struct call_lane **lanes;       /* on a server: one for each data center called, by and by */
    size_t lanes_count;
    uint32_t abroad;           /* calls that are with other data centers */
    uint64_t abroad_warned_ms; /* that there is no way to one */
    struct rpc_pool *pool;     /* connections to other servers */
    struct verifies *verifies; /* calls that wait to know that this server leads */
    struct acl_resolver *acl;  /* tokens, and what their holders may do */
    struct list idle_calls;    /* recycled; at most RPC_IDLE_CALLS_MAX */
    uint32_t idle_calls_count;
    struct arena spare_arena; /* of a call that waits now, for one that runs */
};

/* Before the loop runs (or on its thread). The server is told with server_add_worker(). */
void worker_init(struct worker *w, struct loop *loop, uint32_t id);
/* On the loop's thread or after it was joined; every call has ended. */
void worker_deinit(struct worker *w);
