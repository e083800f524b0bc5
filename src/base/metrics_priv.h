/* metrics_priv.h - what metrics.c and metrics_render.c share. */
#pragma once
#include "base/metrics.h"

/* Of each sample the latest values, for Prometheus' quantiles: the number of the tick they came in
 * plus one in the upper half, the float's bits in the lower. */
#define METRIC_RECENT_COUNT 128u

struct metric_interval {
    uint64_t count;
    double sum, sum_sq, min, max;
};

struct metric_history {
    struct metric_interval finished;
    uint64_t total_count; /* of all finished intervals */
    double total_sum;
    _Atomic uint64_t *recent;
    _Atomic uint32_t recent_next;
};

struct metrics_state {
    struct metric *first;
    size_t count;
    _Atomic uint32_t tick; /* number of the running interval */
    bool has_finished;
    int64_t finished_ns, running_ns; /* starts of the intervals */
    char *prefix, *hostname;
    bool filter_deny_default;
    struct str *allow, *deny;
    size_t allow_count, deny_count;
};

/* The state, locked. */
struct metrics_state *metrics_lock(void);
void metrics_unlock(void);

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
