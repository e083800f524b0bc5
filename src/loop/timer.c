#include "loop/timer.h"

#include "loop/loop.h"

#define SLOT_BITS 6u

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms)
{
    *w = (struct timer_wheel){.now_ms = now_ms};
    for (uint32_t level = 0; level < TIMER_LEVELS; level++) {
        for (uint32_t i = 0; i < TIMER_SLOTS; i++) {
            list_init(&w->slots[level][i]);
        }
    }
    list_init(&w->due);
}

/* The first moment of slot i of a level, at or after now. */
static uint64_t slot_start(const struct timer_wheel *w, uint32_t level, uint32_t i)
{
    uint32_t shift = level * SLOT_BITS;
    uint64_t round = (uint64_t)1 << (shift + SLOT_BITS);
    uint64_t start = (w->now_ms & ~(round - 1)) + ((uint64_t)i << shift);
    /* Only the top level wraps: its timers lie up to a whole round ahead. */
    return start < (w->now_ms & ~(((uint64_t)1 << shift) - 1)) ? start + round : start;
}

uint64_t timer_wheel_insert(struct timer_wheel *w, struct loop_timer *t)
{
    if (t->deadline_ms <= w->now_ms) {
        list_push_back(&w->due, &t->node);
        return w->now_ms;
    }
    uint64_t differing = (t->deadline_ms ^ w->now_ms) | 1;
    uint32_t level = (63u - (uint32_t)__builtin_clzll(differing)) / SLOT_BITS;
    uint64_t deadline = t->deadline_ms;
    if (level >= TIMER_LEVELS) {
        level = TIMER_LEVELS - 1;
        uint64_t span = (uint64_t)(TIMER_SLOTS - 1) << (level * SLOT_BITS);
        deadline = MIN(deadline, w->now_ms + span);
    }
    uint32_t i = (uint32_t)(deadline >> (level * SLOT_BITS)) & (TIMER_SLOTS - 1);
    list_push_back(&w->slots[level][i], &t->node);
    w->occupied[level] |= (uint64_t)1 << i;
    return slot_start(w, level, i);
}

/* The occupied slot of a level that comes first, or -1. */
static int first_slot(struct timer_wheel *w, uint32_t level)
{
    while (w->occupied[level] != 0) {
        uint32_t at = (uint32_t)(w->now_ms >> (level * SLOT_BITS)) & (TIMER_SLOTS - 1);
        uint64_t bits = w->occupied[level];
        bits = bits >> at | (at > 0 ? bits << (TIMER_SLOTS - at) : 0);
        uint32_t i = (at + (uint32_t)__builtin_ctzll(bits)) & (TIMER_SLOTS - 1);
        if (!list_is_empty(&w->slots[level][i])) {
            return (int)i;
        }
        w->occupied[level] &= ~((uint64_t)1 << i); /* its timers were stopped */
    }
    return -1;
}

/* The slot that must be looked at first; false when the wheel is empty. */
static bool next_slot(struct timer_wheel *w, uint32_t *ret_level, uint32_t *ret_i,
                      uint64_t *ret_start)
{
    bool found = false;
    for (uint32_t level = 0; level < TIMER_LEVELS; level++) {
        int i = first_slot(w, level);
        if (i >= 0) {
            uint64_t start = slot_start(w, level, (uint32_t)i);
            if (!found || start < *ret_start) {
                *ret_level = level;
                *ret_i = (uint32_t)i;
                *ret_start = start;
                found = true;
            }
        }
    }
    return found;
}

uint64_t timer_wheel_next(struct timer_wheel *w)
{
    uint32_t level, i;
    uint64_t start;
    if (!list_is_empty(&w->due)) {
        return w->now_ms;
    }
    return next_slot(w, &level, &i, &start) ? MAX(start, w->now_ms) : UINT64_MAX;
}

void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms)
{
    struct list firing;
    list_init(&firing);
    uint32_t level, i;
    uint64_t start;
    list_splice_back(&firing, &w->due);
    while (next_slot(w, &level, &i, &start) && start <= now_ms) {
        w->now_ms = MAX(w->now_ms, start);
        w->occupied[level] &= ~((uint64_t)1 << i);
        struct list moving;
        list_init(&moving);
        list_splice_back(&moving, &w->slots[level][i]);
        for (struct list *node; (node = list_pop_front(&moving)) != NULL;) {
            (void)timer_wheel_insert(w, list_entry(node, struct loop_timer, node));
        }
        list_splice_back(&firing, &w->due); /* in the order of their deadlines */
    }
    w->now_ms = MAX(w->now_ms, now_ms);
    for (struct list *node; (node = list_pop_front(&firing)) != NULL;) {
        struct loop_timer *t = list_entry(node, struct loop_timer, node);
        t->fire(t);
    }
}
