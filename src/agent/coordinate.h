/* coordinate.h - this agent tells the servers where it is: its network coordinate, as gossip has
 * it, by Coordinate.Update. The more agents there are the less often, so that all of them together
 * make about sync_coordinate_rate_target updates a second. Main loop only. */
#pragma once
#include "base/compiler.h"

struct agent;
struct agent_coordinate;

struct agent_coordinate *agent_coordinate_new(struct agent *a);
void agent_coordinate_start(struct agent_coordinate *c); /* not where they are disabled */
void agent_coordinate_stop(struct agent_coordinate *c);
struct agent_coordinate *agent_coordinate_free(struct agent_coordinate *c);

/* One of n agents, with so many updates a second in all: how long between two. */
uint64_t agent_coordinate_interval_ns(double rate, uint64_t min_ns, size_t n);
