/* gauges.h - the server's figures that are looked up from time to time, not counted as they change:
 * raft.applied_index and raft.last_index; what is in the tables, consul.state.*; who is in the data
 * center, consul.members.*.
 *
 * On the main loop, inside its epoch. Counting the tables costs about 1 µs for each service name.
 */
#pragma once
#include <stdbool.h>

struct server;

void server_gauges_update(struct server *s, bool with_tables);
