/* A counter (`now`) numbers the times between collections. A reader that enters notes the counter
 * in its slot; a retired object is stamped with it. The counter only moves in epoch_collect(),
 * after the objects stamped with its old value were unpublished: so whoever enters with a later
 * number cannot have found them, and an object may go once every slot and pin is empty or later
 * than its stamp.
 *
 * What could go wrong, and what prevents it:
 * - A reader's first load of the root runs ahead of its slot becoming visible, the writer sees an
 *   empty slot and frees what the reader just found: the full fence in epoch_enter(), against the
 *   one in epoch_collect(), lets at least one of the two see the other.
 * - A reader notes a number that is old by the time it is seen: that only keeps objects longer.
 * - A reader pins and leaves while the writer looks: the writer reads the slots before the pins,
 * and the leaving store releases the pin, so it cannot miss both.
 * - A reader's last use of an object races with its being freed: leaving releases, the writer's
 * look at the slot acquires. */
#include "base/epoch.h"

#include <stdatomic.h>

#include "base/err.h"
#include "base/vec.h"

#define CACHE_LINE_SIZE 64u

struct epoch_slot {
    _Alignas(CACHE_LINE_SIZE) _Atomic uint64_t epoch; /* 0: outside */
    _Atomic bool taken;
};

struct retired {
    void *object;
    epoch_free_fn free_fn; /* or */
    epoch_free_part_fn free_part;
    uint64_t epoch;
};

struct epoch {
    _Alignas(CACHE_LINE_SIZE) _Atomic uint64_t now; /* from 1 */
    struct epoch_slot slots[EPOCH_READERS_MAX];
    _Alignas(CACHE_LINE_SIZE) _Atomic uint64_t pins[EPOCH_PINS_MAX]; /* 0: free */
    /* The writer's: oldest first from `first`, so their stamps never fall. */
    VEC(struct retired) waiting;
    size_t first;
    bool is_behind;
};

#if defined(__SANITIZE_THREAD__)
#define TSAN_ENABLED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN_ENABLED 1
#endif
#endif

/* Publish a reader's number before anything it loads afterwards. TSan does not know fences, but
 * takes a sequentially consistent exchange for what it is. */
static void store_with_fence(_Atomic uint64_t *at, uint64_t value)
{
#ifdef TSAN_ENABLED
    (void)atomic_exchange(at, value);
#else
    atomic_store_explicit(at, value, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

struct epoch *epoch_new(void)
{
    struct epoch *e = xcalloc_aligned(CACHE_LINE_SIZE, sizeof(*e));
    atomic_init(&e->now, 1);
    return e;
}

static void free_first(struct epoch *e)
{
    /* Copied: free_fn may retire more, which moves the vector. */
    struct retired r = e->waiting.v[e->first];
    if (r.free_part != NULL) {
        e->first += r.free_part(r.object);
    } else {
        e->first++;
        r.free_fn(r.object);
    }
}

struct epoch *epoch_free(struct epoch *e)
{
    if (e == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < EPOCH_READERS_MAX; i++) {
        ASSERT(atomic_load(&e->slots[i].epoch) == 0);
    }
    while (e->first < e->waiting.n) {
        free_first(e);
    }
    vec_deinit(&e->waiting);
    return mem_free(e);
}

struct epoch_slot *epoch_register(struct epoch *e)
{
    for (size_t i = 0; i < EPOCH_READERS_MAX; i++) {
        bool expected = false;
        if (atomic_compare_exchange_strong(&e->slots[i].taken, &expected, true)) {
            return &e->slots[i];
        }
    }
    assert_fail("at most EPOCH_READERS_MAX reader threads", __FILE__, __LINE__);
    return NULL;
}

void epoch_unregister(struct epoch *e, struct epoch_slot *slot)
{
    ASSERT(slot >= e->slots && slot < e->slots + EPOCH_READERS_MAX);
    ASSERT(atomic_load_explicit(&slot->epoch, memory_order_relaxed) == 0);
    atomic_store_explicit(&slot->taken, false, memory_order_release);
}

void epoch_enter(struct epoch *e, struct epoch_slot *slot)
{
    store_with_fence(&slot->epoch, atomic_load_explicit(&e->now, memory_order_acquire));
}

void epoch_leave(struct epoch *e, struct epoch_slot *slot)
{
    DASSERT(slot >= e->slots && slot < e->slots + EPOCH_READERS_MAX);
    (void)e;
    atomic_store_explicit(&slot->epoch, 0, memory_order_release);
}

/* The lowest number that any reader inside holds, at most `low`. */
static uint64_t lowest_slot(struct epoch *e, uint64_t low)
{
    for (size_t i = 0; i < EPOCH_READERS_MAX; i++) {
        uint64_t epoch = atomic_load(&e->slots[i].epoch);
        low = epoch != 0 && epoch < low ? epoch : low;
    }
    return low;
}

static uint64_t lowest_pin(struct epoch *e, uint64_t low)
{
    for (size_t i = 0; i < EPOCH_PINS_MAX; i++) {
        uint64_t epoch = atomic_load(&e->pins[i]);
        low = epoch != 0 && epoch < low ? epoch : low;
    }
    return low;
}

int epoch_pin(struct epoch *e, uint32_t *ret_pin)
{
    /* Not later than the caller's own slot, whichever that is: it is among those looked at and
     * cannot move meanwhile. */
    uint64_t epoch = lowest_slot(e, atomic_load(&e->now));
    for (uint32_t i = 0; i < EPOCH_PINS_MAX; i++) {
        uint64_t expected = 0;
        if (atomic_compare_exchange_strong(&e->pins[i], &expected, epoch)) {
            *ret_pin = i;
            return 0;
        }
    }
    return -ERR_AGAIN;
}

void epoch_unpin(struct epoch *e, uint32_t pin)
{
    ASSERT(pin < EPOCH_PINS_MAX);
    ASSERT(atomic_exchange(&e->pins[pin], 0) != 0);
}

void epoch_retire(struct epoch *e, void *object, epoch_free_fn free_fn)
{
    uint64_t now = atomic_load_explicit(&e->now, memory_order_relaxed);
    vec_push(&e->waiting, ((struct retired){.object = object, .free_fn = free_fn, .epoch = now}));
}

void epoch_retire_large(struct epoch *e, void *object, epoch_free_part_fn free_part)
{
    uint64_t now = atomic_load_explicit(&e->now, memory_order_relaxed);
    vec_push(&e->waiting,
             ((struct retired){.object = object, .free_part = free_part, .epoch = now}));
}

/* Give back the front of the vector once it is the larger part: each item moves once at most. */
static void waiting_compact(struct epoch *e)
{
    size_t left = e->waiting.n - e->first;
    if (e->first >= left && e->first > 0) {
        memmove(e->waiting.v, e->waiting.v + e->first, left * sizeof(*e->waiting.v));
        e->waiting.n = left;
        e->first = 0;
    }
}

size_t epoch_collect(struct epoch *e)
{
    e->is_behind = false;
    if (e->first == e->waiting.n) {
        return 0;
    }
    /* Those retired since the last time need a number of their own to be waited for. */
    uint64_t now = atomic_load_explicit(&e->now, memory_order_relaxed);
    if (e->waiting.v[e->waiting.n - 1].epoch == now) {
        atomic_store(&e->now, ++now);
    }
#ifndef TSAN_ENABLED
    atomic_thread_fence(memory_order_seq_cst);
#endif
    uint64_t low = lowest_pin(e, lowest_slot(e, now)); /* in this order */
    size_t end = e->waiting.n;                         /* what free_fn retires can wait */
    for (size_t n = 0; e->first < end && e->waiting.v[e->first].epoch < low; n++) {
        if (n == EPOCH_FREES_MAX) {
            e->is_behind = true;
            break;
        }
        free_first(e);
    }
    waiting_compact(e);
    return e->waiting.n - e->first;
}

bool epoch_is_behind(const struct epoch *e)
{
    return e->is_behind;
}
