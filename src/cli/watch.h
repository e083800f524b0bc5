/* watch.h - what `consul watch` can watch, one entry a type: where to ask, and how the answer looks
 * when it is handed on: as Consul's client library has it, which knows fewer fields than the agent
 * sends and puts them in an order of its own. */
#pragma once
#include "base/buf.h"
#include "schema/value.h"

enum watch_shape {
    WATCH_KEY,     /* the one entry of the list */
    WATCH_ENTRIES, /* kv entries */
    WATCH_SERVICES,
    WATCH_NODES,
    WATCH_INSTANCES,
    WATCH_CHECKS,
    WATCH_EVENTS,
};

/* The answer as JSON: indented for people, or on one line. `v` NULL is nothing there. */
void watch_write(struct buf *to, enum watch_shape shape, const struct value *v, bool pretty);
