/* wake.h - put a thread to sleep until another has something for it: one word, and a system call
 * only when the thread really sleeps.
 *
 * One sleeper, any number of callers. Publish first, then wake_post(); the sleeper looks again at
 * everything after wake_wait() returns, which it may do for no reason. */
#pragma once
#include "base/compiler.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAKE_IDLE, WAKE_POSTED, WAKE_SLEEPING };

struct wake {
    _Atomic uint32_t state;
};

#define WAKE_FOREVER UINT64_MAX

static inline void wake_post(struct wake *w)
{
    /* Already posted and not yet seen: the sleeper will look after this load. */
    if (atomic_load(&w->state) != WAKE_POSTED &&
        atomic_exchange(&w->state, WAKE_POSTED) == WAKE_SLEEPING) {
        syscall(SYS_futex, &w->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

static inline void wake_wait(struct wake *w, uint64_t timeout_ms)
{
    uint32_t idle = WAKE_IDLE;
    if (timeout_ms > 0 && atomic_compare_exchange_strong(&w->state, &idle, WAKE_SLEEPING)) {
        struct timespec ts = {.tv_sec = (time_t)(timeout_ms / 1000),
                              .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
        syscall(SYS_futex, &w->state, FUTEX_WAIT_PRIVATE, WAKE_SLEEPING,
                timeout_ms == WAKE_FOREVER ? NULL : &ts, NULL, 0);
    }
    atomic_store(&w->state, WAKE_IDLE);
}
