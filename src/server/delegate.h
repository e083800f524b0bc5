/* delegate.h - what an agent has of its cluster: a server (server.h) or a client (client_agent.h),
 * and what both have in common. The agent and the front ends know no more than this, but for what
 * only a server can tell.
 *
 *     struct delegate *d = worker->delegate;
 *     list = membership_list(d->membership);
 *     delegate_leave(d, done, me);
 *
 * Embedded in either and constant once that is made, but for the rate limit; any thread may read
 * it. The membership and the secrets have rules of their own. */
#pragma once
#include "base/str.h"
#include "server/acl_settings.h"
#include "server/rate_limit.h"

struct client_agent;
struct err;
struct membership;
struct router;

struct delegate {
    struct client_agent *client;   /* NULL on a server */
    struct membership *membership; /* of its data center: the LAN pool */
    struct membership *wan;        /* of the servers of all data centers; NULL: none */
    struct router *router;         /* a client's servers; a server's, those of other data centers */
    struct str datacenter, primary_datacenter, node_name, node_id;
    uint64_t max_query_time_ms, default_query_time_ms;
    uint64_t rpc_hold_timeout_ms;
    uint64_t kv_max_value_size, txn_max_req_len;
    struct rate_limit rate; /* of this agent's own calls; none until one is set */
    struct acl_settings acl;
    struct acl_secrets secrets; /* this agent's own tokens */
};

/* The pool of members has a node of this name, or the WAN pool a server "node.dc"; any thread. */
bool delegate_has_member(const struct delegate *d, struct str name);
/* A call of this agent's own begins: counts it. -ERR_RATE_LIMIT when it may not. Any thread. */
NODISCARD int delegate_count_call(struct delegate *d, struct err *err);
/* As membership_force_leave(), in both pools; by its name in the WAN pool ("node.dc") also a server
 * of another data center, which 1.10.3 does not find. On the main loop. */
NODISCARD int delegate_force_leave(struct delegate *d, struct str name, bool prune,
                                   struct err *err);
/* Leave the cluster for good; done is called when that is done. On the main loop, once. */
void delegate_leave(struct delegate *d, void (*done)(void *data), void *data);
