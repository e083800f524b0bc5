/* join.h - how an agent gets to know the others: addresses given at start (which must answer),
 * addresses to try until one does, and addresses asked for through the API.
 *
 *     joins_start(a);                             // start_join and retry_join of the configuration
 *     agent_join(a, &join); ... join.done(&join)  // PUT /v1/agent/join
 *
 * On the main loop. */
#pragma once
#include "loop/loop.h"
#include "server/membership.h"

struct agent;
struct agent_joins;

struct agent_join {
    struct membership_join join;           /* addresses: the caller's until done */
    bool is_wan;                           /* into the pool of servers of all data centers */
    void (*done)(struct agent_join *join); /* once: join.joined, join.err */
    void *data;
};

/* With the log lines of Consul's. done() may come from inside, where there is no such pool. */
void agent_join(struct agent *a, struct agent_join *join);

struct agent_joins *joins_new(struct agent *a);
struct agent_joins *joins_free(struct agent_joins *j);
/* When none of start_join answers, or retry_join's attempts are used up, ops->failed is called. */
void joins_start(struct agent_joins *j);
void joins_stop(struct agent_joins *j);
