/* autopilot.h - the leader's opinion of the servers: who is healthy, how many may be lost; and what
 * follows from it: who gets a vote, who is given up.
 *
 * While this server leads, the first configuration is written when there is none; every
 * AUTOPILOT_INTERVAL_MS all servers are asked how far their logs are, and the state is worked out
 * anew from what has come back within half of that; every AUTOPILOT_RECONCILE_INTERVAL_MS stable
 * servers are promoted and dead ones removed. autopilot_plan.h has the decisions.
 *
 * On the server's main loop, but for autopilot_state(), which copies the last one for any thread.
 */
#pragma once
#include "base/compiler.h"

struct arena;
struct autopilot;
struct autopilot_state;
struct server;

#define AUTOPILOT_INTERVAL_MS 2000u
#define AUTOPILOT_RECONCILE_INTERVAL_MS 10000u

struct autopilot *autopilot_new(struct server *s);
struct autopilot *autopilot_free(struct autopilot *p); /* stopped */
void autopilot_start(struct autopilot *p);             /* leadership gained */
void autopilot_stop(struct autopilot *p);              /* and lost: no state any more */
/* A server was added to Raft: those it replaces may be dead. */
void autopilot_prune_soon(struct autopilot *p);

/* Any thread: the last state, copied into the arena; NULL when there is none. */
const struct autopilot_state *autopilot_state(struct autopilot *p, struct arena *a);
