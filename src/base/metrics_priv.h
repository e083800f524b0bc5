/* metrics_priv.h - what metrics.c and metrics_render.c share. */
#pragma once
#include "base/metrics.h"

/* Of each sample the latest values: the number of the value plus one in the upper half, the float's
 * bits in the lower. Prometheus' quantiles and sinks read them. */
#define METRIC_RECENT_COUNT 128u

struct metric_interval {
    uint64_t count;
    double sum, sum_sq, min, max;
};

struct metric_history {
    struct metric_interval finished[METRIC_INTERVALS_KEPT]; /* by metrics_state.ticks */
    uint64_t total_count;                                   /* of all finished intervals */
    double total_sum;
    _Atomic uint64_t *recent;
    _Atomic uint32_t recent_next;
    uint32_t recent_running, recent_finished; /* numbers at the start of the two latest intervals */
    int64_t updated_ns;                       /* end of the last interval with an update */
    bool is_declared;
    /* By Prometheus, since it was not updated for the retention; with what the totals were then. */
    bool is_forgotten;
    uint64_t forgotten_count;
    double forgotten_sum;
    /* What metrics_drain() has told already. */
    uint64_t drained_count;
    double drained_sum;
    uint32_t drained_recent;
};

struct metrics_state {
    struct metric *first;
    size_t count;
    uint32_t ticks;                             /* intervals finished */
    int64_t finished_ns[METRIC_INTERVALS_KEPT]; /* their starts, by ticks */
    int64_t running_ns;                         /* start of the running interval */
    char *prefix, *hostname;
    int64_t retention_ns;
    bool filter_deny_default;
    struct str *allow, *deny;
    size_t allow_count, deny_count;
};

/* The state, locked. */
struct metrics_state *metrics_lock(void);
void metrics_unlock(void);

/* Where the interval that was finished `back` ticks ago is kept; 0: the latest. */
static inline uint32_t metrics_kept(const struct metrics_state *s, uint32_t back)
{
    return (s->ticks - 1 - back) % METRIC_INTERVALS_KEPT;
}
/* How many finished intervals are kept. */
static inline uint32_t metrics_kept_count(const struct metrics_state *s)
{
    return MIN(s->ticks, METRIC_INTERVALS_KEPT);
}

/* Prometheus does not forget it: it was declared, and goes by the declared name. */
static inline bool metric_is_kept(const struct metrics_state *s, const struct metric *m)
{
    bool has_host = m->kind == METRIC_KIND_GAUGE && s->hostname != NULL && !m->is_placeholder;
    return m->history->is_declared && !has_host;
}

static inline uint64_t metric_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}
static inline double metric_value(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* Updates in the running interval, but for a counter's ones. */
static inline uint64_t metric_count_running(const struct metric *m)
{
    const struct metric_history *h = m->history;
    if (m->kind != METRIC_KIND_SAMPLE) {
        return atomic_load_explicit(&m->count, memory_order_relaxed);
    }
    uint32_t next = atomic_load_explicit(&h->recent_next, memory_order_relaxed);
    return next - h->recent_running;
}

/* Count in what was only counted. */
static inline void metric_interval_add_ones(struct metric_interval *v, uint64_t ones)
{
    if (ones > 0) {
        v->min = v->count == 0 || v->min > 1 ? 1 : v->min;
        v->max = v->count == 0 || v->max < 1 ? 1 : v->max;
        v->count += ones;
        v->sum += (double)ones;
        v->sum_sq += (double)ones;
    }
}

/* --- what the printers share (metrics_rows.c) ------------------------------------------------- */

struct arena;

/* One metric with its full name, ready to be sorted. */
struct metric_row {
    const struct metric *m;
    struct str name;     /* with prefix and host name */
    struct str sort_key; /* name and labels */
    const char *help;
    struct metric_interval interval; /* the one asked for */
    uint64_t total_count;            /* of the whole run */
    double total_sum;                /* a gauge's value */
    bool is_kept, is_forgotten;
};

/* An interval by its number of metrics_kept(), or the running one. */
#define METRIC_ROWS_RUNNING UINT32_MAX

/* All series that the filter lets through, sorted by name and labels (by_key) or by name, kind and
 * labels; every character of `bad` in a name becomes '_'. Under the lock; in the arena. */
struct metric_row *metric_rows(const struct metrics_state *s, uint32_t interval, const char *bad,
                               bool by_key, struct arena *a, size_t *ret_count);
/* Whether the filter lets a metric through. Under the lock. */
bool metric_is_allowed(const struct metrics_state *s, const struct metric *m, struct arena *a);
/* The labels in the order of their names, as a map's keys are printed. */
const struct metric_label **metric_labels_sorted(struct arena *a, const struct metric *m);
double metric_stddev(const struct metric_interval *v);
