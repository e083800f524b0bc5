/* How times and counts grow with the pool: memberlist's util.go and suspicion.go. */
#include "gossip/core/swim_internal.h"

#include <math.h>

#define PUSH_PULL_SCALE_FROM 32u

uint32_t swim_retransmit_limit(uint32_t mult, size_t n)
{
    return mult * (uint32_t)ceil(log10((double)(n + 1)));
}

/* The scale is taken in thousandths. */
uint64_t swim_suspicion_timeout(uint32_t mult, size_t n, uint64_t interval_ns)
{
    double scale = n > 10 ? log10((double)n) : 1.0;
    return mult * (uint64_t)(scale * 1000) * interval_ns / 1000;
}

/* From max towards min with the logarithm of what was confirmed; in whole milliseconds. */
uint64_t swim_suspicion_span(uint32_t confirmed, uint32_t wanted, uint64_t min_ns, uint64_t max_ns)
{
    if (wanted == 0 || confirmed == 0) {
        return wanted == 0 ? min_ns : max_ns;
    }
    double max = (double)max_ns / 1e9, min = (double)min_ns / 1e9;
    double part = log((double)confirmed + 1.0) / log((double)wanted + 1.0);
    double span = floor(1000.0 * (max - part * (max - min)));
    uint64_t span_ns = span > 0 ? (uint64_t)span * SWIM_NS_PER_MS : 0;
    return MAX(span_ns, min_ns);
}

uint64_t swim_push_pull_scale(uint64_t interval_ns, size_t n)
{
    if (n <= PUSH_PULL_SCALE_FROM) {
        return interval_ns;
    }
    return interval_ns *
           (uint64_t)(ceil(log2((double)n) - log2((double)PUSH_PULL_SCALE_FROM)) + 1.0);
}
