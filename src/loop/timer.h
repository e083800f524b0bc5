/* timer.h - the hierarchical timer wheel under loop_timer_start(), without libuv or a clock.
 *
 *     timer_wheel_init(&w, now);
 *     timer_wheel_insert(&w, &t);          // t.deadline_ms is set
 *     next = timer_wheel_next(&w);         // not later than the next deadline; UINT64_MAX: none
 *     timer_wheel_advance(&w, now);        // fires what is due
 *
 * TIMER_LEVELS levels of 64 slots; a slot of level n spans 64^n ms. A timer lies on the level of
 * the highest group of six bits in which its deadline differs from the wheel's time, and moves down
 * as time reaches its slot. Beyond the top level (two years) a timer waits in the last slot and is
 * sorted in again from there. Stopping only unlinks; bits of emptied slots are cleared when met. */
#pragma once
#include "base/list.h"

struct loop_timer;

#define TIMER_LEVELS 6u
#define TIMER_SLOTS 64u

struct timer_wheel {
    uint64_t now_ms;
    uint64_t occupied[TIMER_LEVELS];
    struct list slots[TIMER_LEVELS][TIMER_SLOTS];
    struct list due; /* deadline not after now_ms: fires at the next advance */
};

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms);
/* t is not in the wheel. Returns the moment at which the wheel must be advanced for it. */
uint64_t timer_wheel_insert(struct timer_wheel *w, struct loop_timer *t);
uint64_t timer_wheel_next(struct timer_wheel *w);
/* Timers (re)started by what fires are left for the next call, even when they are due. */
void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms);
