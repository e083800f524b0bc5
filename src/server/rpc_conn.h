/* rpc_conn.h - one connection of port 8300; private to the rpc_* files that make up the front end.
 *
 * rpc_conn.c owns the socket and finds out by the first byte whose the connection is; what kind it
 * is has an object of its own: a stream (byte 0), a mux (4), a snapshot request (5). Raft's
 * connections leave. Behind the byte 3 comes TLS, and the first byte inside (`is_tls`) is read by
 * the same code; a connection that begins with a TLS record (`is_native_tls`) names its kind by
 * ALPN.
 *
 * Life: rpc_conn_accept(); ended by the peer, an error, a timer or rpc_conn_close(), after which
 * only the socket's last callback comes and frees it. Whatever happens inside callbacks of others
 * (a call that ends) only asks for a flush, which runs at the end of the loop's turn. */
#pragma once
#include "loop/address.h"
#include "loop/tcp.h"
#include "server/rpc_listener.h"
#include "server/rpc_stream.h"

#include <stdatomic.h>

struct conn_limit;
struct rpc_mux;
struct rpc_snapshot;

/* Requests of a connection of kind 0 that wait for their turn; then reading stops. */
#define RPC_CONN_HELD_SIZE_MAX (256u * 1024u)
#define RPC_PEER_SIZE_MAX (ADDRESS_IP_SIZE_MAX + 16u)

struct rpc_front {
    _Atomic uint32_t max_conns_per_client;
    _Atomic uint64_t handshake_timeout_ms;
    uint64_t keepalive_ms, keepalive_timeout_ms, stall_ms;
    void (*raft_accept)(void *data, int fd, struct tls_session *take_tls, struct str rest);
    void *raft_accept_data;
    struct tls_configurator *tls;
    struct conn_limit *clients;
};

struct rpc_socket { /* a listening one */
    struct tcp_listener tcp;
    struct rpc_listener *listener;
    struct rpc_socket *next;
};

struct rpc_listener {
    struct rpc_front *front;
    struct worker *worker;
    struct rpc_socket *sockets;
    struct list conns;
    uint32_t conns_count;
    bool is_stopping;
};

enum rpc_conn_state {
    RPC_CONN_OPENING, /* the first byte has not come */
    RPC_CONN_SINGLE,
    RPC_CONN_MUX,
    RPC_CONN_ARCHIVE,
    RPC_CONN_REFUSED,
};

struct rpc_conn {
    struct tcp_stream tcp;
    struct rpc_listener *listener;
    struct list node; /* of listener->conns */
    enum rpc_conn_state state;
    bool is_tls, is_native_tls, is_closed, is_flush_asked, is_ended;
    bool is_pinging;         /* kind 4: not heard since */
    struct loop_timer timer; /* the first byte; then stalls or keep-alive */
    size_t pending_seen;     /* what was unwritten when the timer was set */
    struct loop_msg flush;
    union {
        struct rpc_stream single;
        struct rpc_mux *mux;
        struct rpc_snapshot *snapshot;
    };
    uint8_t ip_size;
    char ip[ADDRESS_IP_SIZE_MAX];
    char peer[RPC_PEER_SIZE_MAX]; /* "from=127.0.0.1:1234", as the reference logs it */
};

/* --- rpc_conn.c ------------------------------------------------------------------------------ */
/* Counted among its client's connections already. */
void rpc_conn_accept(struct rpc_listener *l, int fd, const struct address *peer, struct str ip);
void rpc_conn_close(struct rpc_conn *c);
/* Have the state's owner looked at at the end of the turn. */
void rpc_conn_flush_soon(struct rpc_conn *c);
struct str rpc_peer_text(const struct address *peer, char to[RPC_PEER_SIZE_MAX]);

/* --- rpc_snapshot.c: one snapshot request (kind 5) ------------------------------------------- */
struct rpc_snapshot *rpc_snapshot_new(struct rpc_conn *c);
struct rpc_snapshot *rpc_snapshot_free(struct rpc_snapshot *s); /* what is under way is given up */
void rpc_snapshot_read(struct rpc_snapshot *s, struct str bytes);
void rpc_snapshot_end(struct rpc_snapshot *s);              /* the peer has shut its direction */
bool rpc_snapshot_is_reading(const struct rpc_snapshot *s); /* it needs more to go on */
/* Write what is ready. True: nothing more will come, end when it is written. May close. */
bool rpc_snapshot_flush(struct rpc_snapshot *s);
