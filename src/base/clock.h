/* clock.h - the machine's clocks. Pure code (raft/core, gossip/core, store, fsm, acl) never calls
 * these: time is an input there. */
#pragma once
#include "base/str.h"

struct arena;
struct buf;

#define NS_PER_MS 1000000ull
#define NS_PER_SEC 1000000000ull

uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);
uint64_t clock_wall_ms(void);
int64_t clock_wall_ns(void); /* since 1970 */

/* A moment in UTC, taken apart. */
struct civil {
    int year, month, day, hour, minute, second, ns;
};
struct civil time_civil(int64_t wall_ns);

/* RFC 3339 as Go's time.Time prints in JSON: 2006-01-02T15:04:05.999999999Z, trailing zeros of the
 * fraction dropped; UTC. INT64_MIN stands for Go's zero time, 0001-01-01T00:00:00Z. */
#define TIME_ZERO INT64_MIN
void time_put_rfc3339(struct buf *to, int64_t wall_ns);
struct str time_format_rfc3339(struct arena *a, int64_t wall_ns);
/* Any offset is turned into UTC; digits after the ninth are dropped. -ERR_INVALID, or -ERR_RANGE
 * where 64 bits of nanoseconds end, in 1677 and 2262 (but the zero time is TIME_ZERO). */
NODISCARD int time_parse_rfc3339(struct str s, int64_t *ret_wall_ns);

/* Go's time.Duration: "1h2m3.5s", "300ms", "1.5h", "0", "-5s"; nanoseconds in an int64. */
NODISCARD int duration_parse(struct str s, int64_t *ret_ns);
/* Go's sentence about a text that is none: "time: missing unit in duration \"5\"". */
void duration_put_fault(struct buf *to, struct str s);
struct str duration_fault(struct arena *a, struct str s);
void duration_put(struct buf *to, int64_t ns);
struct str duration_format(struct arena *a, int64_t ns); /* "1m0s", "0s", "1.5s", "100µs" */
