/* rpc_pool.h - calls to other servers on port 8300: one pool a worker, one connection a server.
 *
 *     remote->method = &rpc_kvs_get;  remote->args = my_args;  remote->arena = my_arena;
 *     remote->done = my_done;
 *     rpc_pool_call(worker->pool, address, remote, timeout_ms);
 *     ... my_done(remote): remote->err, or remote->reply (in the arena) ...
 *
 * A connection is opened when it is first needed (byte 4, yamux), carries any number of calls at
 * once, each in a stream of its own as the reference's pool does, is kept alive by pings, and
 * closed when it has been idle for RPC_POOL_IDLE_MS. When it breaks, or the time is over, the calls
 * on it fail with -ERR_CONNECTION (nothing came back: a write may have been carried out or not) or
 * -ERR_TIMEOUT; what was never sent fails with -ERR_UNREACHABLE. An error that the other server
 * answered is err's text, word for word, with the code that rpc_error_code() finds for it.
 *
 * On the worker's thread only. Bounds: streams and queued bytes of a connection (yamux.h),
 * connections of a pool (RPC_POOL_SERVERS_MAX; the longest idle one makes room). */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "loop/loop.h"

struct rpc_method;
struct rpc_pool;
struct worker;

#define RPC_POOL_SERVERS_MAX 64u
#define RPC_POOL_IDLE_MS 120000u

/* One call, embedded in the caller's object; zeroed before use, lives until done. */
struct rpc_remote {
    const struct rpc_method *method; /* its schemas are looked at, nothing else */
    const void *args;                /* of method->args; encoded before rpc_pool_call() returns */
    struct arena *arena;             /* where the reply goes */
    void *reply;                     /* of method->reply, when err.code is 0 */
    struct err err;
    void (*done)(struct rpc_remote *call); /* once, never from inside rpc_pool_call() */
    void *data;
    /* The pool's: */
    struct list node;
    struct loop_timer timer;
    uint32_t stream;
    void *connection;
};

struct rpc_pool *rpc_pool_new(struct worker *w);
struct rpc_pool *rpc_pool_free(struct rpc_pool *p); /* calls under way are dropped without done */

/* address: "host:port" with a numeric host. */
void rpc_pool_call(struct rpc_pool *p, struct str address, struct rpc_remote *call,
                   uint64_t timeout_ms);
/* done will not be called; the other server is told (its stream is reset). */
void rpc_pool_cancel(struct rpc_pool *p, struct rpc_remote *call);
