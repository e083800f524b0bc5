/* metrics.h - counters, gauges and samples under Consul's names, in its ten-second intervals.
 *
 * A metric is declared once, statically, and registers itself on first use:
 *
 *     static struct metric requests = METRIC_COUNTER("rpc.request");
 *     metric_add(&requests, 1);
 *
 * Updating is lock-free on any thread. Metrics whose labels are only known at run time
 * (http.method and path, service names) are looked up by metric_labeled(), which takes a lock: keep
 * the pointer. The number of labelled metrics is bounded by METRICS_LABELED_MAX; past it updates go
 * to a shared overflow metric. Names are without the prefix ("consul.") which rendering adds.
 *
 * Like the reference, values are rounded to float32 when they come in. A reader of the running
 * interval may see an update half done (counted, but not yet in the sum); nothing is lost by it.
 *
 * Cost of an update, when no other core has just done the same: gauge 9 ns, counter 23 ns (9 ns
 * when 1 is added), sample 30 ns; no lock, no allocation, no branch on who listens. Sinks that want
 * each value (statsd) come and fetch it with metrics_drain(), instead of being called from hot
 * paths. */
#pragma once
#include "base/str.h"

#include <stdatomic.h>

#define METRICS_LABELED_MAX 4096u
#define METRIC_INTERVAL_MS 10000u
#define METRIC_INTERVALS_KEPT 5u /* finished ones, for metrics_dump() */

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_SAMPLE };

struct metric_history;
struct metric_label {
    const char *name;
    const char *value;
};

struct metric {
    const char *name;
    enum metric_kind kind;
    const char *help; /* NULL: Prometheus gets the name instead */
    const struct metric_label *labels;
    size_t labels_count;
    bool is_steady;         /* gauge: counts as set anew in every interval */
    bool is_placeholder;    /* made by metric_declare() */
    _Atomic uint32_t state; /* 0 not registered */
    /* The running interval; doubles are kept as bits. A gauge's value is sum_bits. A sample's
     * values are counted where they are kept, in its history. */
    _Atomic uint64_t count, sum_bits, sum_sq_bits, min_bits, max_bits;
    _Atomic uint64_t ones; /* a counter's: how often 1 was added, which is in none of the others */
    struct metric *next;
    struct metric_history *history; /* the finished interval and totals, metrics.c's */
};

/* clang-format off */
#define METRIC_COUNTER(n) {.name = (n), .kind = METRIC_KIND_COUNTER}
#define METRIC_GAUGE(n) {.name = (n), .kind = METRIC_KIND_GAUGE}
#define METRIC_SAMPLE(n) {.name = (n), .kind = METRIC_KIND_SAMPLE}
/* Set when it changes, where the reference sets it every second. */
#define METRIC_GAUGE_STEADY(n) {.name = (n), .kind = METRIC_KIND_GAUGE, .is_steady = true}
/* clang-format on */

void metric_add(struct metric *m, double value);     /* counter */
void metric_set(struct metric *m, double value);     /* gauge */
void metric_observe(struct metric *m, double value); /* sample; times are in milliseconds */
struct metric *metric_labeled(enum metric_kind kind, const char *name,
                              const struct metric_label *labels, size_t labels_count);

/* Make a metric known before its first update: Prometheus then shows it with the value 0, and never
 * forgets it. As in 1.10.3 the declared name has no host name in it, also where gauges have. The
 * strings are copied. */
void metric_declare(enum metric_kind kind, const char *name, const char *help);

/* Close the running interval, whose end is now; the agent loop calls it when the wall clock passes
 * a multiple of METRIC_INTERVAL_MS. */
void metrics_tick(int64_t wall_ns);

struct metrics_options {
    const char *prefix;   /* "consul" */
    const char *hostname; /* NULL: do not put the host name into gauge names */
    int64_t retention_ns; /* how long Prometheus sees what is updated no more; 0: always */
    bool filter_default;  /* what to do with names no prefix rule matches */
    const struct str *allow,
        *deny; /* prefix rules, with the leading "consul."; the longest decides */
    size_t allow_count, deny_count;
};
void metrics_configure(const struct metrics_options *options); /* copies */

/* What came since the last time, for sinks that are sent values as they come. */
struct metric_update {
    const struct metric *metric; /* name, kind, labels */
    /* Counter: the sum of what was added. Gauge: what it was set to last. Sample: one value. */
    double value;
    /* Samples: the share of the values that are here, 1 unless a burst was longer than what is kept
     * of it (METRIC_RECENT_COUNT); the latest are. */
    double rate;
};
typedef void (*metric_update_fn)(void *data, const struct metric_update *update);
/* One reader in all, any thread. fn sees what the prefix rules let through, and runs under the
 * registry's lock: it must not update metrics. */
void metrics_drain(metric_update_fn fn, void *data);

struct buf;
/* The body of /v1/agent/metrics: compact JSON of the last finished interval (the running one if
 * none is finished), in Consul's shape. The caller re-indents for ?pretty. */
void metrics_render_json(struct buf *to);
/* Prometheus text format 0.0.4: names with '_', counters and summaries of the whole run. */
void metrics_render_prometheus(struct buf *to);
/* The finished intervals that are kept, oldest first, a line for each metric, as Consul prints them
 * at SIGUSR1: "[2006-01-02 15:04:05 +0000 UTC][C] 'consul.rpc.query': Count: 2 Sum: 2.000". It adds
 * when each was updated last; here nobody looks at a clock for that. */
void metrics_dump(struct buf *to);
