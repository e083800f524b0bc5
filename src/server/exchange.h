/* exchange.h - a membership for a few servers, until there is gossip: they tell each other over RPC
 * who they are.
 *
 *     struct membership *m = exchange_new(&options);        // then membership.h
 *
 * Every server asks every other one about once a second with the method Membership.Exchange of our
 * own: both sides tell all members they know (exchange_core.h says what they make of it). That
 * spreads news and shows who is alive. The cost grows with the square of the servers; it is meant
 * for as many as a Raft configuration takes (RAFT_SERVERS_MAX), and knows no clients.
 *
 * An address given to a join without a port, or with that of gossip, means the RPC port: so the
 * configuration of a Consul cluster serves as it is.
 *
 * Thread: the loop given, but for membership_members() and exchange_serve(), which any thread may
 * call. The parts that run on other threads touch the core alone, under a lock. */
#pragma once
#include "server/exchange_core.h"
#include "server/membership.h"

struct loop;
struct rpc_remote;

#define EXCHANGE_TIMEOUT_MS 3000u       /* of one question */
#define EXCHANGE_JOIN_TIMEOUT_MS 10000u /* of one of a join, as Serf's TCP timeout */
#define EXCHANGE_LEAVE_TIMEOUT_MS 3000u

/* How calls are made; tests bring their own. */
struct exchange_calls {
    void (*call)(void *data, struct str address, struct rpc_remote *call, uint64_t timeout_ms);
    void (*cancel)(void *data, struct rpc_remote *call);
    void *data;
};

struct exchange_new_options {
    struct loop *loop;
    struct exchange_options core;
    struct exchange_calls calls;
    int64_t rpc_port, serf_port; /* this server's own are those of addresses without one */
    /* RPC addresses that may be worth asking, as those of Raft's configuration are after a restart:
     * asked from time to time while no member is known to have them. May be NULL. */
    struct strlist (*hints)(void *data, struct arena *a);
    void *hints_data;
};

struct membership *exchange_new(const struct exchange_new_options *options);

/* The other side of a question: takes in what was told, answers with everything known. The reply is
 * the arena's. -ERR_UNSUPPORTED when this server's membership is another one. */
NODISCARD int exchange_serve(struct membership *m, const struct exchange_message *message,
                             struct arena *a, struct exchange_message *ret_reply, struct err *err);
