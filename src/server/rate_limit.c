#include "server/rate_limit.h"

void rate_limit_set(struct rate_limit *l, double rate, int64_t burst)
{
    pthread_mutex_lock(&l->lock);
    l->rate = rate;
    l->burst = (double)MAX(burst, (int64_t)0);
    l->tokens = l->burst;
    l->last_ns = 0;
    atomic_store(&l->is_on, !(rate < 0));
    pthread_mutex_unlock(&l->lock);
}

void rate_limit_init(struct rate_limit *l, double rate, int64_t burst)
{
    *l = (struct rate_limit){0};
    pthread_mutex_init(&l->lock, NULL);
    rate_limit_set(l, rate, burst);
}

void rate_limit_deinit(struct rate_limit *l)
{
    pthread_mutex_destroy(&l->lock);
}

bool rate_limit_allow(struct rate_limit *l, uint64_t now_ns)
{
    bool is_allowed = true;
    if (!rate_limit_is_on(l)) {
        return true;
    }
    pthread_mutex_lock(&l->lock);
    if (!(l->rate < 0)) {
        /* Threads read the clock before they come here, and so not in order. */
        if (l->last_ns != 0 && now_ns > l->last_ns) {
            l->tokens += (double)(now_ns - l->last_ns) * 1e-9 * l->rate;
            l->tokens = MIN(l->tokens, l->burst);
        }
        l->last_ns = MAX(l->last_ns, now_ns);
        is_allowed = l->tokens >= 1;
        l->tokens -= is_allowed;
    }
    pthread_mutex_unlock(&l->lock);
    return is_allowed;
}
