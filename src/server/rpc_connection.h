/* rpc_connection.h - one connection of an rpc_pool: the socket, yamux on it, its streams and
 * timers. For rpc_pool.c and rpc_connection.c alone.
 *
 * A stream is in one list of its connection at most: `queued` (to be opened, once the connection
 * stands and yamux lets us), `sending` (open, and bytes of its request are left), `idle` (open, no
 * call). One whose call waits for the answer is in none. Nothing is written or reported where it
 * arises: it waits for rpc_pool's end of the turn, which calls rpc_connection_flush().
 *
 * A connection that is given up (rpc_connection_close) forgets its pool and frees itself when the
 * socket is gone. */
#pragma once
#include "base/buf.h"
#include "base/map.h"
#include "loop/tcp.h"
#include "proto/msgpack_scan.h"
#include "server/rpc_pool.h"

struct yamux;

struct rpc_stream {
    struct rpc_connection *connection;
    struct list node;
    uint32_t id;             /* yamux's; 0: not open */
    struct rpc_remote *call; /* NULL: idle */
    bool is_idle;            /* in the list of those */
    struct buf out;          /* the request */
    size_t out_done;
    struct buf in; /* of the answer, while it is incomplete */
    struct msgpack_scan scan;
};

struct rpc_connection {
    struct list node; /* of pool->connections, the longest unused one first */
    struct rpc_pool *pool;
    struct tcp_stream tcp;
    char *address;
    struct yamux *yamux;
    struct map streams; /* open ones, by the bytes of their id */
    struct list queued, sending, idle;
    uint32_t idle_count, calls;
    size_t out_size;               /* of requests that wait to be sent */
    struct loop_timer timer;       /* connecting; then pings */
    struct loop_timer write_timer; /* while the kernel does not take what we write */
    uint64_t used_ms;
    size_t pending_seen; /* by the kernel not taken when write_timer was started */
    bool is_connected, is_greeted, is_dirty;
    bool is_heard;     /* since the last ping, or the call that began to listen */
    bool is_pinged;    /* the timer waits for the answer */
    bool is_listening; /* it waits for anything to come, after a call */
    bool is_leaving;   /* the other side takes no more streams: for those under way only */
};

/* --- rpc_connection.c ------------------------------------------------------------------------- */

/* Begin to connect. NULL with err when that cannot even be begun. */
struct rpc_connection *rpc_connection_new(struct rpc_pool *p, struct str address,
                                          struct str datacenter, struct err *err);
/* Put a call into a stream; its request, which is taken over, goes out at the end of the turn. */
void rpc_connection_call(struct rpc_connection *c, struct rpc_remote *call, struct buf *request);
/* The stream of a call that is no more wanted. */
void rpc_connection_drop(struct rpc_connection *c, struct rpc_stream *s);
/* Open, send, write what can be. */
void rpc_connection_flush(struct rpc_connection *c);
/* Its calls are failed by now, or of no more interest to anybody. */
void rpc_connection_close(struct rpc_connection *c);

/* --- rpc_pool.c: what a connection tells ------------------------------------------------------ */

struct rpc_pool {
    struct address from; /* connections are bound to it */
    bool is_bound;
    struct tls_configurator *tls; /* NULL: plain */
    struct loop *loop;
    struct list connections;
    uint32_t connections_count, calls;
    size_t out_size;
    uint64_t seq;
    uint32_t streams_max;
    uint64_t connect_ms, write_ms, ping_ms, silence_ms, idle_ms; /* tests have less time */
    struct list finished;                                        /* calls to be reported */
    struct loop_msg turn;                                        /* the end of it */
    bool is_turn_posted, is_freed;
};

/* Where the call's error goes; there is none before it is asked for. */
struct err *rpc_remote_err(struct rpc_remote *call);
/* At the end of the turn there is something to do. */
void rpc_pool_wake(struct rpc_pool *p);
/* The call is over and has left its stream; err is set, or reply is. */
void rpc_pool_finish(struct rpc_pool *p, struct rpc_remote *call);
/* The connection is of no more use; what it had under way has been finished. */
void rpc_pool_remove(struct rpc_pool *p, struct rpc_connection *c);
