/* rpc_listener.h - port 8300: what all workers share, and each worker's sockets and connections.
 *
 *     front = rpc_front_new(&options);                       // once
 *     l = rpc_listener_new(front, worker);                   // for each worker, before its loop
 * runs r = rpc_listener_listen(l, &address, is_first, &err);  // a socket of its own (SO_REUSEPORT)
 *     ... rpc_listener_stop(l) on the worker's loop ... loop_free ... rpc_listener_free(l);
 *     rpc_front_free(front);
 *
 * What is understood, and all bounds: docs/rpc.md. The front is immutable but for its limits
 * (atomics) and the count of connections by client address (a lock when one opens or closes). */
#pragma once
#include "base/err.h"
#include "base/str.h"

struct address;
struct rpc_front;
struct rpc_listener;
struct tls_configurator;
struct tls_session;
struct worker;

#define RPC_CONN_STALL_MS 120000u    /* kinds 0, 5: without a byte where one has to come or go */
#define RPC_CONN_KEEPALIVE_MS 30000u /* kind 4: from ping to ping */
#define RPC_CONN_KEEPALIVE_TIMEOUT_MS 10000u /* in which a pinged peer has to be heard */

struct rpc_front_options {
    uint32_t max_conns_per_client; /* 0: no limit */
    uint64_t handshake_timeout_ms; /* until the first byte; 0: no limit */
    /* 0: RPC_CONN_x_MS, which is what is meant; tests cannot wait so long. */
    uint64_t keepalive_ms, keepalive_timeout_ms, stall_ms;
    /* Takes over a connection that began with Raft's byte: a non-blocking socket, its TLS session
     * or NULL, and what was read behind that byte, to be copied. On any worker's thread. NULL: such
     * connections are closed. */
    void (*raft_accept)(void *data, int fd, struct tls_session *take_tls, struct str rest);
    void *raft_accept_data;
    struct tls_configurator *tls; /* NULL: TLS is refused */
};

struct rpc_front *rpc_front_new(const struct rpc_front_options *options);
struct rpc_front *rpc_front_free(struct rpc_front *f);
/* For connections to come; any thread. */
void rpc_front_set_limits(struct rpc_front *f, uint32_t max_conns_per_client,
                          uint64_t handshake_timeout_ms);

struct rpc_listener *rpc_listener_new(struct rpc_front *f, struct worker *w);
/* first: the first worker on this address makes sure that nobody else is there. */
NODISCARD int rpc_listener_listen(struct rpc_listener *l, const struct address *address, bool first,
                                  struct err *err);
/* Takes a connected, non-blocking socket over, as accepted. On the worker's thread. */
void rpc_listener_accept(struct rpc_listener *l, int fd, const struct address *peer);
/* On the worker's thread: closes sockets and connections, calls under way are canceled. */
void rpc_listener_stop(struct rpc_listener *l);
/* After the loop was freed, which has closed everything. */
struct rpc_listener *rpc_listener_free(struct rpc_listener *l);
uint32_t rpc_listener_connections(const struct rpc_listener *l);
