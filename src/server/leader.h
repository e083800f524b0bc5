/* leader.h - what a server does only while it leads: keeps the catalog and Raft's configuration in
 * agreement with the members (itself first), counts down the sessions' TTLs, and reaps old
 * tombstones.
 *
 * Everything here runs on the server's main loop, except leader_session_touch() and the
 * notifications, which any thread may call: they post. Duties start after the barrier of a new term
 * (everything older is applied by then) and stop with leadership; a deadline of a session starts
 * anew under a new leader, as in Consul. */
#pragma once
#include "base/str.h"

struct acl_replication_status;
struct leader;
struct server;

struct leader *leader_new(struct server *s);
struct leader *leader_free(struct leader *l); /* on the main loop, duties stopped */

/* The server ends. On the main loop: what was begun comes back to nobody, nothing is begun. */
void leader_stop(struct leader *l);
void leader_gained(struct leader *l); /* any thread */
void leader_lost(struct leader *l);   /* any thread */
/* All tables were replaced: what follows from them is worked out anew. Any thread. */
void leader_restored(struct leader *l);

/* A session was created or renewed: its time starts again. ttl_ms 0: it has none, forget it. */
void leader_session_touch(struct leader *l, struct str session_id, uint64_t ttl_ms);
/* A session was destroyed: its timer is needless. */
void leader_session_forget(struct leader *l, struct str session_id);
/* Tombstones were made at this Raft index: reap them when they are old enough. */
void leader_tombstones_made(struct leader *l, uint64_t raft_index);
/* A token of the old API was written: it needs an accessor. */
void leader_legacy_token_made(struct leader *l);
/* How far ACLs were copied from the primary data center. On the main loop. */
void leader_acl_status(const struct leader *l, struct acl_replication_status *ret);

/* A session ends at twice its TTL: the client's grace for delays. */
#define SESSION_TTL_MULTIPLIER 2u
