/* client_agent.h - what a client agent has of its cluster: the pool of members, and of those the
 * servers that its calls go to. docs/client.md has the whole.
 *
 *     client_agent_new(&options, main, &client);      // then client_agent_add_worker() for each
 * other one client_agent_start(client);                     // takes part in the pool
 *     client_agent_stop(client); ... all loops end ...; client_agent_free(client)
 *
 * The counterpart of server.h: without a store, a log or a port. Owned by the agent's main thread;
 * client_agent_call_failed() is for any worker. */
#pragma once
#include "base/arena.h"
#include "server/delegate.h"
#include "server/membership.h"
#include "server/worker.h"

struct route;

struct client_agent_options {
    struct str datacenter, primary_datacenter;
    struct str node_name, node_id;
    struct membership *membership; /* the pool it takes part in; taken */
    uint64_t max_query_time_ms, default_query_time_ms;
    uint64_t rpc_hold_timeout_ms;
    uint64_t kv_max_value_size, txn_max_req_len;
    struct acl_settings acl;
};

struct client_agent {
    struct delegate delegate;
    struct arena strings;
    struct worker *main;
    struct membership_listener listener;
    struct membership_leave leave;
    void (*left)(void *data); /* NULL: it stays, or nobody asks any more */
    void *left_data;
    struct worker *workers[WORKERS_MAX]; /* main is among them */
    uint32_t workers_count;
};

/* `main` is the worker of the loop that owns the client. Add the other workers before their loops
 * run. */
struct client_agent *client_agent_new(const struct client_agent_options *options,
                                      struct worker *main);
void client_agent_add_worker(struct client_agent *c, struct worker *w);
void client_agent_start(struct client_agent *c);
/* Calls under way end with errors. The workers' loops may still run. */
void client_agent_stop(struct client_agent *c);
struct client_agent *client_agent_free(struct client_agent *c); /* after all loops have ended */

/* Tell the pool; done is called when it knows, or time ran out. On the main loop, once. */
void client_agent_leave(struct client_agent *c, void (*done)(void *data), void *data);

/* Where a call goes now. It counts as one: -ERR_RATE_LIMIT; -ERR_NO_SERVERS. On a worker's loop;
 * the route's strings are valid for this turn. */
NODISCARD int client_agent_route(struct client_agent *c, struct route *ret_route, struct err *err);
/* A call to this server (the router's id) failed: logged, counted, and another server comes first.
 */
void client_agent_call_failed(struct client_agent *c, uint32_t route, const char *method,
                              const struct err *err);
