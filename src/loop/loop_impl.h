/* loop_impl.h - what the files of loop/ share and nobody else includes: the loop's insides, the
 * turn, and how handles are closed.
 *
 * Every callback that libuv makes into loop/ begins with loop_turn_begin(): the first one after a
 * poll enters the epochs, the others pay one branch. (libuv runs I/O callbacks inside its poll,
 * before uv_check handles, so entering there would be too late.) The uv_prepare handle, last before
 * the next poll, runs what was deferred and leaves. libuv never blocks between an I/O callback and
 * prepare. */
#pragma once
#include <uv.h>

#include "base/buf.h"
#include "loop/loop.h"
#include "loop/timer.h"

struct epoch_slot;

/* Embedded first in objects that own uv handles; each handle's data points here. */
struct loop_handle {
    /* Close and free the object: the loop goes away under it. */
    void (*shutdown)(struct loop_handle *h);
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t timer;
    uint64_t timer_deadline_ms; /* what `timer` is set to; UINT64_MAX: stopped */
    struct timer_wheel wheel;
    bool inside; /* a turn has begun */
    uint32_t epochs_count;
    struct epoch *epochs[LOOP_EPOCHS_MAX];
    struct epoch_slot *slots[LOOP_EPOCHS_MAX];
    struct loop_msg *deferred, **deferred_end;
    char *read_buffer;  /* LOOP_READ_BUFFER_SIZE, shared by all streams; made by the first */
    char *plain_buffer; /* of TLS streams; made by the first */
    struct buf wire;    /* the same: records on their way to a socket */
    char *name;
    uv_thread_t thread;
    bool has_thread;
    /* Other threads'. */
    uv_async_t async;
    _Alignas(64) _Atomic(struct loop_msg *) inbox; /* newest first */
    atomic_bool stopping;
};

#define LOOP_READ_BUFFER_SIZE (64u * 1024u)

void loop_turn_begin_(struct loop *l);
static inline void loop_turn_begin(struct loop *l)
{
    if (UNLIKELY(!l->inside)) {
        loop_turn_begin_(l);
    }
}
/* The shared buffer a read callback may fill and hand on within the same callback. */
char *loop_read_buffer(struct loop *l);
