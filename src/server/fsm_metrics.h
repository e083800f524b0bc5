/* fsm_metrics.h - how long log entries take to apply: fsm.kvs with the label op=set and so on; and the
 * state to be written, fsm.persist.
 *
 * On the thread that applies. A metric is looked up at its first use on a thread; from then on an
 * update compares a few short strings and takes no lock. */
#pragma once
#include "fsm/fsm.h"

void fsm_metrics_applied(enum fsm_message type, struct str op, double ms);
/* The whole state was written, which began at this moment of the monotonic clock. Any thread. */
void fsm_metrics_persisted(uint64_t started_ns);
