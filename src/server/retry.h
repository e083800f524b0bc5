/* retry.h - when a thing that is done over and over is done the next time: so many rounds a second,
 * some at once, and after failures twice as late each time.
 *
 *     retry_init(&r, 0.2, 5, 256000);
 *     ... wait retry_begin_ms(&r, now_ms); do it; it went well: retry_succeeded(&r), and again;
 *     ... it failed: wait retry_failed_ms(&r, rng) first
 *
 * Pure. */
#pragma once
#include <stdint.h>

struct rng;

struct retry {
    double rate, burst, tokens;
    uint64_t seen_ms, wait_max_ms;
    unsigned failures;
};

void retry_init(struct retry *r, double rate, double burst, uint64_t wait_max_ms);
/* A round is taken; it may begin after so long. */
uint64_t retry_begin_ms(struct retry *r, uint64_t now_ms);
/* 1 s, 2 s, 4 s, ... and up to a tenth more. */
uint64_t retry_failed_ms(struct retry *r, struct rng *rng);
void retry_succeeded(struct retry *r);
