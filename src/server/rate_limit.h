/* rate_limit.h - so many calls a second, and so many at once: a bucket of `burst` tokens, full at
 * first, that gains `rate` of them a second; each call takes one.
 *
 *     rate_limit_set(&l, 100, 1000);             // again with each reload; the bucket is full then
 *     if (!rate_limit_allow(&l, now_ns)) ... refuse ...
 *
 * A negative rate means no limit; with a rate of 0 a bucket is emptied once. Any thread; without a
 * limit nothing is locked. Zeroed it is not set: rate_limit_init(). */
#pragma once
#include "base/compiler.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct rate_limit {
    _Atomic bool is_on;
    pthread_mutex_t lock; /* of the rest */
    double rate, burst, tokens;
    uint64_t last_ns; /* 0: not asked yet */
};

void rate_limit_init(struct rate_limit *l, double rate, int64_t burst);
void rate_limit_deinit(struct rate_limit *l);
void rate_limit_set(struct rate_limit *l, double rate, int64_t burst);
/* now_ns: of a clock that does not go back. */
bool rate_limit_allow(struct rate_limit *l, uint64_t now_ns);
static inline bool rate_limit_is_on(const struct rate_limit *l)
{
    return atomic_load_explicit(&l->is_on, memory_order_relaxed);
}
