/* rpc_pool.h - calls to other servers on port 8300: one pool a worker, one connection a server
 * (more when RPC_POOL_STREAMS_MAX calls wait there).
 *
 *     remote->method = &rpc_kvs_get;  remote->args = my_args;  remote->arena = my_arena;
 *     remote->done = my_done;
 *     rpc_pool_call(worker->pool, address, remote, timeout_ms);
 *     ... my_done(remote): remote->err, or remote->reply (both in the arena) ...
 *
 * A connection is opened when it is first needed (byte 4, yamux), carries any number of calls at
 * once, each alone in a stream, is kept alive by pings, and closed when it has been idle for
 * RPC_POOL_IDLE_MS. A stream whose call was answered is kept for another one, as the reference's
 * pool does: opening one costs the other side a goroutine and its buffers, and both sides four more
 * frames. What the calls of one turn of the loop have to say goes out in one write, and calls are
 * reported at the end of the turn their answer came in.
 *
 * How a call ends badly:
 *
 *     ERR_UNREACHABLE  nothing of it was sent: no connection, or the other server takes no more
 *     ERR_CONNECTION   no answer came; the other server may have carried it out or not
 *     ERR_TIMEOUT      the same, but the connection seems well
 *     ERR_RATE_LIMIT   refused here: see the bounds
 *     ERR_INVALID      an answer that makes no sense
 *     another          the other server's own error: its sentence word for word, and the code that
 *                      rpc_error_code() finds for it (never one of the first three)
 *
 * A connection ends when connecting takes longer than RPC_POOL_CONNECT_MS, when the kernel or the
 * other side takes nothing we write for RPC_POOL_WRITE_MS, and when nothing at all comes for that
 * long after a ping, which is sent every RPC_POOL_PING_MS, and RPC_POOL_SILENCE_MS after a call
 * when nothing has come since: so no call outlives a dead server by more than the first and the
 * last of these together, and none waits longer for one that hangs already.
 *
 * On the worker's thread only. */
#pragma once
#include "base/list.h"
#include "base/str.h"
#include "loop/loop.h"

struct address;
struct arena;
struct err;
struct loop;
struct rpc_method;
struct rpc_pool;
struct rpc_stream;
struct tcp_ops;
struct tcp_stream;
struct tls_configurator;

#define RPC_POOL_SERVERS_MAX 64u /* connections; the longest unused one makes room */
/* Calls in one connection, less than yamux's YAMUX_STREAMS_MAX; then there is another one. */
#define RPC_POOL_STREAMS_MAX 7168u
#define RPC_POOL_CALLS_MAX 65536u                 /* under way, of one worker */
#define RPC_POOL_OUT_SIZE_MAX ((size_t)128 << 20) /* of requests that wait to be sent */
/* Of those to one server: one that takes nothing leaves room for the others. */
#define RPC_POOL_CONNECTION_OUT_SIZE_MAX ((size_t)64 << 20)
#define RPC_POOL_IDLE_STREAMS_MAX 64u /* kept of a connection; the reference's number */
#define RPC_POOL_IDLE_MS 120000u
#define RPC_POOL_CONNECT_MS 10000u
#define RPC_POOL_WRITE_MS 10000u
#define RPC_POOL_PING_MS 30000u
#define RPC_POOL_SILENCE_MS 5000u

/* One call, embedded in the caller's object; zeroed before use, lives until done. */
struct rpc_remote {
    const struct rpc_method *method; /* its name and schemas are looked at, nothing else */
    const void *args;                /* of method->args; encoded before rpc_pool_call() returns */
    struct str datacenter;           /* of the server; empty: ours. Looked at like args */
    struct arena *arena;             /* where reply or error go */
    void *reply;                     /* of method->reply */
    struct err *err;                 /* NULL: it went well */
    void (*done)(struct rpc_remote *call); /* once, never from inside rpc_pool_call() */
    void *data;
    /* The pool's: */
    struct list node; /* of those to be reported */
    struct loop_timer timer;
    struct rpc_stream *stream;
    uint64_t seq;
};

struct rpc_pool *rpc_pool_new(struct loop *loop);
struct rpc_pool *rpc_pool_free(struct rpc_pool *p); /* calls under way are dropped without done */

/* Connect from this IP address, "": from any; connections there are stay as they are. */
NODISCARD int rpc_pool_bind(struct rpc_pool *p, struct str host, struct err *err);

/* Connections to come are TLS where its settings say so. Before the first call. */
void rpc_pool_set_tls(struct rpc_pool *p, struct tls_configurator *tls);
/* tcp_connect() to a server of that data center (empty: ours) from the pool's address, with the
 * pool's TLS: for what connects besides it. */
NODISCARD int rpc_pool_connect(struct rpc_pool *p, struct tcp_stream *stream,
                               const struct address *to, struct str datacenter,
                               const struct tcp_ops *ops);

/* address: "host:port" with a numeric host. timeout_ms 0: as long as the connection lives. */
void rpc_pool_call(struct rpc_pool *p, struct str address, struct rpc_remote *call,
                   uint64_t timeout_ms);
/* done will not be called; the other server is told (its stream is reset). */
void rpc_pool_cancel(struct rpc_pool *p, struct rpc_remote *call);
/* Started and not yet reported. */
uint32_t rpc_pool_calls(const struct rpc_pool *p);

/* What a sentence from another server means, as far as anything depends on it: Consul's servers
 * tell errors by their words alone. ERR_FAILED for most. */
int rpc_error_code(struct str sentence);
