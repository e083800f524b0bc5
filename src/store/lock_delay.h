/* lock_delay.h - keys that may not be locked again for a while.
 *
 * A key whose lock was taken away by force (its session fell) is protected by the session's lock delay.
 * The time depends on a clock, so it is no part of the replicated state: each server notes
 * it when it applies the entry, and only the leader asks, before it lets a lock request into the log.
 *
 * The clock is the caller's: any monotonic milliseconds. Any thread may call; a mutex guards the
 * map, which is touched only by lock requests and by sessions that fall, so nothing hot waits for
 * it. Forgotten as soon as it is over (looked for when new ones come), and empty after a restart, as
 * Consul's is. */
#pragma once
#include "base/str.h"

struct lock_delay;

struct lock_delay *lock_delay_new(void);
struct lock_delay *lock_delay_free(struct lock_delay *d);

/* A later call for the same key replaces an earlier one. */
void lock_delay_set(struct lock_delay *d, struct str key, uint64_t now_ms, uint64_t delay_ms);
/* How long the key is protected yet; 0: it is not. */
uint64_t lock_delay_left_ms(struct lock_delay *d, struct str key, uint64_t now_ms);
/* How many are remembered, for tests and metrics. */
size_t lock_delay_count(struct lock_delay *d);
