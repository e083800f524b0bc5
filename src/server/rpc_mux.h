/* rpc_mux.h - the calls of one yamux connection, without its socket.
 *
 *     m = rpc_mux_new(worker, peer, my_changed, me);
 *     rpc_mux_read(m, bytes);
 *     ... my_changed(me): there may be something to write: soon, not now
 *     while ((out = rpc_mux_out(m)).n > 0 && the socket takes it) { rpc_mux_out_done(m, n); }
 *     if (rpc_mux_error(m) != NULL) { that was all: close }
 *     m = rpc_mux_free(m);                 // all calls are canceled
 *
 * rpc_mux_out() moves answers of the streams, each in its turn, into yamux's queue and gives what
 * is to be written next. Calls end as they like, streams with them; nothing here waits for a
 * particular one. When more than RPC_CONN_UNSENT_PAUSE is unsent no call begins; when a peer has
 * more unsent or unfinished than it may, the session is over. One thread, the worker's. */
#pragma once
#include "base/str.h"

struct rpc_mux;
struct worker;

#define RPC_CONN_INPUT_SIZE_MAX ((size_t)128 << 20)
#define RPC_CONN_UNSENT_PAUSE ((size_t)8 << 20)
#define RPC_CONN_UNSENT_SIZE_MAX ((size_t)512 << 20)

struct rpc_mux *rpc_mux_new(struct worker *w, const char *peer, void (*changed)(void *data),
                            void *data);
struct rpc_mux *rpc_mux_free(struct rpc_mux *m);
void rpc_mux_read(struct rpc_mux *m, struct str bytes);
/* NULL, or why the session is over: to be asked after any of these. */
const char *rpc_mux_error(const struct rpc_mux *m);
/* Valid until the next call of any of these. */
struct str rpc_mux_out(struct rpc_mux *m);
void rpc_mux_out_done(struct rpc_mux *m, size_t size);
void rpc_mux_ping(struct rpc_mux *m);
uint32_t rpc_mux_streams(const struct rpc_mux *m); /* open ones */
size_t rpc_mux_unsent(const struct rpc_mux *m);    /* bytes of answers not in yamux's queue yet */
