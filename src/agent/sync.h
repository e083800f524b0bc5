/* sync.h - anti-entropy: keeps the catalog in step with the local state.
 *
 * A full sync reads what the catalog has of this node, marks the differences, and sends them; it is
 * done at the start, whenever a server comes, and then once an interval (a minute, spread over two,
 * and longer in large clusters). A change in between is sent by a pass of its own at the end of the
 * turn it was made in, together with whatever else was. Only differences travel, SYNC_CALLS_MAX
 * calls at a time, services before checks.
 *
 * When the servers cannot be reached everything stays marked, and a full sync is tried again later
 * (15 to 30 seconds, scaled; on a server as soon as it hears of a leader). What ACLs forbid counts
 * as in step until the next full sync.
 *
 * The local state goes on changing meanwhile: an entry that changed while it was being sent stays
 * marked. Main loop only. */
#pragma once
#include "base/compiler.h"

struct agent;
struct agent_call;
struct sync;

#define SYNC_CALLS_MAX 64u

struct sync *sync_new(struct agent *a);
struct sync *sync_free(struct sync *s); /* stopped */
void sync_start(struct sync *s);
/* Calls under way are dropped; those who wait are answered. */
void sync_stop(struct sync *s);

/* Something is out of step. */
void sync_changes_soon(struct sync *s);
/* A server has come: a full sync, within three seconds. */
void sync_full_soon(struct sync *s);
/* Answer the call once a pass that began after now has ended, well or not. */
void sync_wait(struct sync *s, struct agent_call *call);
/* Nothing is marked and nothing is under way. */
bool sync_is_settled(const struct sync *s);
