/* leader_config_entries.h - what a new leader writes about config entries.
 *
 * That intentions live in them, once in a cluster's life; and those entries of its own
 * configuration (config_entries.bootstrap) that are not there yet. The latter in the primary data
 * center alone; of intentions a secondary says so once it has copied those of the primary, where
 * they must live in config entries, too. On the server's main loop; the writes are proposed at once
 * and in order, so that what the leader proposes afterwards finds them applied. One that fails is
 * logged, and tried by the next leader. */
#pragma once
#include <stdint.h>

struct server;

void leader_config_entries(struct server *s);
/* In a secondary: the primary's entries of this index are here (replicate.h's `completed`). */
void leader_intentions_copied(struct server *s, uint64_t index);
