#include "server/retry.h"

#include "base/compiler.h"
#include "base/rand.h"

#define FIRST_WAIT_MS 1000u
#define DOUBLINGS_MAX 20u

void retry_init(struct retry *r, double rate, double burst, uint64_t wait_max_ms)
{
    *r = (struct retry){.rate = rate, .burst = burst, .tokens = burst, .wait_max_ms = wait_max_ms};
}

uint64_t retry_begin_ms(struct retry *r, uint64_t now_ms)
{
    if (r->seen_ms != 0 && now_ms > r->seen_ms) {
        r->tokens += (double)(now_ms - r->seen_ms) / 1000 * r->rate;
        r->tokens = MIN(r->tokens, r->burst);
    }
    r->seen_ms = now_ms;
    r->tokens -= 1;
    return r->tokens >= 0 ? 0 : (uint64_t)(-r->tokens / r->rate * 1000);
}

uint64_t retry_failed_ms(struct retry *r, struct rng *rng)
{
    uint64_t wait_ms = (uint64_t)FIRST_WAIT_MS << MIN(r->failures, DOUBLINGS_MAX);
    r->failures++;
    wait_ms = MIN(wait_ms, r->wait_max_ms);
    return wait_ms + rng_below(rng, wait_ms / 10 + 1);
}

void retry_succeeded(struct retry *r)
{
    r->failures = 0;
}
