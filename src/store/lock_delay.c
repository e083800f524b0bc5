#include "store/lock_delay.h"

#include "base/map.h"
#include "base/mem.h"

#include <pthread.h>

struct delay {
    uint64_t until_ms;
};

struct lock_delay {
    pthread_mutex_t mutex;
    struct map keys;    /* struct delay */
    size_t sweep_count; /* with so many, look for those that are over */
};

#define SWEEP_COUNT_MIN 64u

struct lock_delay *lock_delay_new(void)
{
    struct lock_delay *d = xcalloc(1, sizeof(*d));
    pthread_mutex_init(&d->mutex, NULL);
    map_init(&d->keys, 0);
    d->sweep_count = SWEEP_COUNT_MIN;
    return d;
}

struct lock_delay *lock_delay_free(struct lock_delay *d)
{
    if (d == NULL) {
        return NULL;
    }
    size_t pos = 0;
    struct str key;
    void *value;
    while (map_next(&d->keys, &pos, &key, &value)) {
        mem_free(value);
    }
    map_deinit(&d->keys);
    pthread_mutex_destroy(&d->mutex);
    return mem_free(d);
}

/* The next sweep comes when the survivors have doubled: constant work for each set on average. */
static void sweep(struct lock_delay *d, uint64_t now_ms)
{
    size_t pos = 0;
    struct str key;
    void *value;
    while (map_next(&d->keys, &pos, &key, &value)) {
        if (((struct delay *)value)->until_ms <= now_ms) {
            mem_free(map_remove(&d->keys, key));
        }
    }
    d->sweep_count = MAX(d->keys.n * 2, (size_t)SWEEP_COUNT_MIN);
}

void lock_delay_set(struct lock_delay *d, struct str key, uint64_t now_ms, uint64_t delay_ms)
{
    pthread_mutex_lock(&d->mutex);
    struct delay *delay = map_get(&d->keys, key);
    if (delay == NULL) {
        if (d->keys.n >= d->sweep_count) {
            sweep(d, now_ms);
        }
        delay = xmalloc(sizeof(*delay));
        (void)map_put(&d->keys, key, delay);
    }
    delay->until_ms = now_ms + delay_ms;
    pthread_mutex_unlock(&d->mutex);
}

uint64_t lock_delay_left_ms(struct lock_delay *d, struct str key, uint64_t now_ms)
{
    pthread_mutex_lock(&d->mutex);
    const struct delay *delay = map_get(&d->keys, key);
    uint64_t left = delay != NULL && delay->until_ms > now_ms ? delay->until_ms - now_ms : 0;
    pthread_mutex_unlock(&d->mutex);
    return left;
}

size_t lock_delay_count(struct lock_delay *d)
{
    pthread_mutex_lock(&d->mutex);
    size_t n = d->keys.n;
    pthread_mutex_unlock(&d->mutex);
    return n;
}
