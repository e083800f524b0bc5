/* federation_state.h - FederationState.*: what the data centers tell each other of themselves.
 *
 * All are written in the primary data center and copied to the others (replicate.h); each leader
 * writes its own (leader_federation.h). */
#pragma once
#include <stdbool.h>

struct server;

/* Every server of this data center, and of the primary one, knows of them: not so while servers of
 * before 1.8 are there. Once true it stays true. Any thread. */
bool federation_states_are_on(struct server *s);
