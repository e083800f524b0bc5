/* autopilot.h - the leader's opinion of the servers: who is healthy, how many may be lost.
 *
 * While this server leads, the first configuration is written when there is none, and the state is
 * worked out anew every AUTOPILOT_INTERVAL_MS on the server's main loop. Any thread may ask for a
 * copy of the last one. Known are the servers of Raft's configuration; until gossip tells of
 * others, only this one has a name and a version. */
#pragma once
#include "base/compiler.h"

struct arena;
struct autopilot;
struct autopilot_state;
struct server;

#define AUTOPILOT_INTERVAL_MS 2000u

struct autopilot *autopilot_new(struct server *s);
struct autopilot *autopilot_free(struct autopilot *p); /* stopped */
void autopilot_start(struct autopilot *p);             /* leadership gained */
void autopilot_stop(struct autopilot *p);              /* and lost: no state any more */

/* Any thread: the last state, copied into the arena; NULL when there is none. */
const struct autopilot_state *autopilot_state(struct autopilot *p, struct arena *a);
