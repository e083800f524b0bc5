/* transport_tcp.h - the raft transport over TCP, as HashiCorp's NetworkTransport speaks it: a
 * connection opened by the byte 1 (RPC_CONN_RAFT), messages of raft/wire.h, answers in order.
 *
 *     t = raft_transport_tcp_new(&(struct raft_transport_tcp_options){.loop = raft_loop, ...});
 *     raft_transport_tcp_accept(t, fd, tls, rest); // any thread: it began with the byte 1
 *
 * To each server there are up to four paths, each a connection opened when first needed: one for
 * entries (pipelined), one for heartbeats and votes, one for a snapshot. A pre-vote goes on a
 * connection of its own, for a server of the reference answers it by closing: that is reported as
 * `unsupported`.
 *
 * A connection whose oldest request has waited timeout_ms (a snapshot: without any progress;
 * votes: vote_timeout_ms; heartbeats and pre-votes: network_timeout_ms) is closed and its server
 * reported unreachable, but for pre-votes, for which nobody waits; so are, after
 * network_timeout_ms, connecting and sending into the void (TCP_USER_TIMEOUT): a connection that
 * outlives a cut network would not try it again for as long as the cut was. What was already sent
 * may still arrive.
 *
 * Accepted connections: at most connections_max, each with a bound on what it may have unanswered;
 * garbage closes the connection, with a log line that names the peer. One more than connections_max
 * takes the place of the one that has been silent longest.
 *
 * What may go wrong and what then happens: docs/raft.md, "Transport". It must be freed before its
 * loop is. */
#pragma once
#include "raft/transport.h"

struct loop;
struct tls_configurator;
struct tls_session;

struct raft_transport_tcp_options {
    struct loop *loop;            /* of the raft thread */
    struct str bind_host;         /* connect from this IP address; empty: any */
    uint64_t timeout_ms;          /* 0: RAFT_TRANSPORT_TIMEOUT_MS */
    uint64_t network_timeout_ms;  /* 0: RAFT_TRANSPORT_NETWORK_TIMEOUT_MS, or timeout_ms if less */
    uint64_t vote_timeout_ms;     /* 0: RAFT_TRANSPORT_VOTE_TIMEOUTS times timeout_ms */
    uint32_t connections_max;     /* accepted; 0: RAFT_TRANSPORT_CONNECTIONS_MAX */
    struct tls_configurator *tls; /* of connections we open, if its context says so; NULL: plain */
};

#define RAFT_TRANSPORT_TIMEOUT_MS 10000u /* Consul's raft transport timeout */
#define RAFT_TRANSPORT_NETWORK_TIMEOUT_MS 2000u
#define RAFT_TRANSPORT_VOTE_TIMEOUTS 3u /* a vote is synced before it is given */
#define RAFT_TRANSPORT_CONNECTIONS_MAX 256u
/* Of one path, waiting to be sent: past it the server is reported unreachable. It is what the core
 * may have under way at once. */
#define RAFT_TRANSPORT_PENDING_SIZE_MAX ((size_t)RAFT_PIPELINE_MAX * RAFT_APPEND_SIZE_MAX)
/* Of all accepted connections, come and not handed on: past it the one that brings more goes. */
#define RAFT_TRANSPORT_IN_SIZE_MAX ((size_t)256 * 1024 * 1024)

/* NULL when bind_host is no IP address. */
struct raft_transport *raft_transport_tcp_new(const struct raft_transport_tcp_options *options);
/* Takes a connected, non-blocking fd over with its TLS session (NULL: plain), and copies `rest`:
 * what was read behind the first byte. Any thread, until raft_stop(). */
void raft_transport_tcp_accept(struct raft_transport *t, int fd, struct tls_session *take_tls,
                               struct str rest);
