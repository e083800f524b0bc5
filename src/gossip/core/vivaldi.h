/* vivaldi.h - this agent's network coordinate: from round trips to others whose coordinates are
 * known, an estimate of the round trip to anyone.
 *
 * Serf's client (serf/coordinate) with its constants: height model, adjustment term over a window,
 * a latency filter of each peer (median of the last few), gravity towards the origin; what is not
 * finite or of another dimension is refused, a coordinate of ours that became so is reset.
 *
 * Paper: Dabek, Cox, Kaashoek, Morris, "Vivaldi" (SIGCOMM 2004). Pure; randomness is the caller's.
 */
#pragma once
#include "base/rand.h"
#include "schema/coordinate.h"

struct vivaldi;
struct err;

struct vivaldi *vivaldi_new(void);
struct vivaldi *vivaldi_free(struct vivaldi *v);
/* A round trip to `name`, which says it is at `other`. Negative: refused, nothing changed. */
NODISCARD int vivaldi_update(struct vivaldi *v, struct rng *rng, struct str name,
                             const struct coordinate *other, uint64_t rtt_ns, struct err *err);
/* Valid until the next update. */
const struct coordinate *vivaldi_coordinate(const struct vivaldi *v);
void vivaldi_forget(struct vivaldi *v, struct str name); /* the filter of a member that is gone */
uint64_t vivaldi_resets(const struct vivaldi *v);
