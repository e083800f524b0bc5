/* leader_config_entries.h - what a new leader writes about config entries.
 *
 * That intentions live in them, once in a cluster's life; and those entries of its own
 * configuration (config_entries.bootstrap) that are not there yet. Both in the primary data center
 * alone. On the server's main loop; the writes are proposed at once and in order, so that what the
 * leader proposes afterwards finds them applied. One that fails is logged, and tried by the next
 * leader. */
#pragma once

struct server;

void leader_config_entries(struct server *s);
