#include "loop/loop.h"

#include <pthread.h>
#include <signal.h>

#include "base/epoch.h"
#include "base/err.h"
#include "base/mem.h"
#include "loop/loop_impl.h"

static _Thread_local struct loop *current_loop;

void loop_turn_begin_(struct loop *l)
{
    DASSERT(loop_is_current(l) || current_loop == NULL);
    l->inside = true;
    for (uint32_t i = 0; i < l->epochs_count; i++) {
        epoch_enter(l->epochs[i], l->slots[i]);
    }
}

static void turn_end(struct loop *l)
{
    if (l->inside) {
        l->inside = false;
        for (uint32_t i = 0; i < l->epochs_count; i++) {
            epoch_leave(l->epochs[i], l->slots[i]);
        }
    }
}

/* Take the whole inbox at once and turn it round: each sender's messages are then in order. */
static bool run_inbox(struct loop *l)
{
    if (atomic_load_explicit(&l->inbox, memory_order_relaxed) == NULL) {
        return false;
    }
    struct loop_msg *newest = atomic_exchange_explicit(&l->inbox, NULL, memory_order_acquire);
    struct loop_msg *oldest = NULL;
    while (newest != NULL) {
        struct loop_msg *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    loop_turn_begin(l);
    while (oldest != NULL) {
        struct loop_msg *msg = oldest;
        oldest = msg->next; /* run may free or post it again */
        msg->next = NULL;
        msg->run(msg);
    }
    return true;
}

static bool run_deferred(struct loop *l)
{
    if (l->deferred == NULL) {
        return false;
    }
    loop_turn_begin(l);
    while (l->deferred != NULL) {
        struct loop_msg *msg = l->deferred;
        l->deferred = msg->next;
        if (l->deferred == NULL) {
            l->deferred_end = &l->deferred;
        }
        msg->next = NULL;
        msg->run(msg);
    }
    return true;
}

static void timer_fire_cb(uv_timer_t *timer)
{
    struct loop *l = container_of(timer, struct loop, timer);
    l->timer_deadline_ms = UINT64_MAX;
    loop_turn_begin(l);
    timer_wheel_advance(&l->wheel, uv_now(&l->uv));
}

/* Set the one uv timer to the wheel's next moment; starting it costs no system call. */
static void timer_arm(struct loop *l)
{
    uint64_t next = timer_wheel_next(&l->wheel);
    if (next == l->timer_deadline_ms) {
        return;
    }
    l->timer_deadline_ms = next;
    if (next == UINT64_MAX) {
        (void)uv_timer_stop(&l->timer);
        return;
    }
    uint64_t now = uv_now(&l->uv);
    (void)uv_timer_start(&l->timer, timer_fire_cb, next > now ? next - now : 0, 0);
}

/* The end of the turn, before the next poll. */
static void prepare_cb(uv_prepare_t *prepare)
{
    struct loop *l = container_of(prepare, struct loop, prepare);
    (void)run_deferred(l);
    if (UNLIKELY(atomic_load_explicit(&l->stopping, memory_order_acquire))) {
        while (run_inbox(l) || run_deferred(l)) {
        }
        uv_stop(&l->uv);
    }
    timer_arm(l);
    turn_end(l);
}

/* What I/O callbacks have deferred runs before libuv's closing callbacks of the same iteration: an object
 * that was closed after it had deferred something must not be freed in between. */
static void check_cb(uv_check_t *check)
{
    (void)run_deferred(container_of(check, struct loop, check));
}

static void async_cb(uv_async_t *async)
{
    (void)run_inbox(container_of(async, struct loop, async));
}

struct loop *loop_new(const char *name)
{
    /* A peer that closes its end is an error of that write, not a signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    struct loop *l = xcalloc_aligned(64, sizeof(*l));
    l->name = str_to_cstr(str_from_cstr(name));
    l->deferred_end = &l->deferred;
    l->timer_deadline_ms = UINT64_MAX;
    ASSERT(uv_loop_init(&l->uv) == 0);
    ASSERT(uv_async_init(&l->uv, &l->async, async_cb) == 0);
    ASSERT(uv_prepare_init(&l->uv, &l->prepare) == 0);
    ASSERT(uv_prepare_start(&l->prepare, prepare_cb) == 0);
    ASSERT(uv_check_init(&l->uv, &l->check) == 0);
    ASSERT(uv_check_start(&l->check, check_cb) == 0);
    ASSERT(uv_timer_init(&l->uv, &l->timer) == 0);
    timer_wheel_init(&l->wheel, uv_now(&l->uv));
    return l;
}

static void walk_close_cb(uv_handle_t *handle, void *data)
{
    (void)data;
    if (uv_is_closing(handle)) {
        return;
    }
    struct loop_handle *h = handle->data;
    if (h != NULL) {
        h->shutdown(h);
    } else {
        uv_close(handle, NULL);
    }
}

struct loop *loop_free(struct loop *l)
{
    if (l == NULL) {
        return NULL;
    }
    ASSERT(!l->has_thread);
    while (run_inbox(l) || run_deferred(l)) {
    }
    uv_walk(&l->uv, walk_close_cb, NULL);
    while (uv_run(&l->uv, UV_RUN_DEFAULT) != 0) {
    }
    while (run_inbox(l) || run_deferred(l)) { /* what closing has posted */
    }
    turn_end(l);
    ASSERT(uv_loop_close(&l->uv) == 0);
    for (uint32_t i = 0; i < l->epochs_count; i++) {
        epoch_unregister(l->epochs[i], l->slots[i]);
    }
    mem_free(l->read_buffer);
    mem_free(l->plain_buffer);
    buf_deinit(&l->wire);
    mem_free(l->name);
    return mem_free(l);
}

void loop_add_epoch(struct loop *l, struct epoch *e)
{
    ASSERT(l->epochs_count < LOOP_EPOCHS_MAX && !l->inside);
    l->epochs[l->epochs_count] = e;
    l->slots[l->epochs_count] = epoch_register(e);
    l->epochs_count++;
}

void loop_run(struct loop *l)
{
    struct loop *outer = current_loop;
    current_loop = l;
    uv_update_time(&l->uv);
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    /* uv_stop() in prepare still lets one poll happen; its callbacks belong to this run. */
    while (run_inbox(l) || run_deferred(l)) {
    }
    turn_end(l);
    atomic_store_explicit(&l->stopping, false, memory_order_release);
    current_loop = outer;
}

static void thread_run(void *data)
{
    struct loop *l = data;
    sigset_t all;
    (void)sigfillset(&all); /* signals are the main thread's */
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
    char name[16]; /* the kernel's limit */
    struct str s = str_first(str_from_cstr(l->name), sizeof(name) - 1);
    memcpy(name, s.p, s.n);
    name[s.n] = '\0';
    (void)pthread_setname_np(pthread_self(), name);
    loop_run(l);
}

void loop_thread_start(struct loop *l)
{
    ASSERT(!l->has_thread);
    l->has_thread = true;
    ASSERT(uv_thread_create(&l->thread, thread_run, l) == 0);
}

void loop_thread_join(struct loop *l)
{
    if (l->has_thread) {
        ASSERT(uv_thread_join(&l->thread) == 0);
        l->has_thread = false;
    }
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->stopping, true, memory_order_release);
    (void)uv_async_send(&l->async);
}

bool loop_is_current(const struct loop *l)
{
    return current_loop == l;
}

void loop_post(struct loop *l, struct loop_msg *msg)
{
    struct loop_msg *newest = atomic_load_explicit(&l->inbox, memory_order_relaxed);
    do {
        msg->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&l->inbox, &newest, msg, memory_order_release,
                                                    memory_order_relaxed));
    if (newest == NULL) {
        (void)uv_async_send(&l->async); /* only the first of a burst wakes */
    }
}

void loop_defer(struct loop *l, struct loop_msg *msg)
{
    DASSERT(loop_is_current(l) || current_loop == NULL);
    msg->next = NULL;
    *l->deferred_end = msg;
    l->deferred_end = &msg->next;
}

uint64_t loop_now_ms(const struct loop *l)
{
    return uv_now(&l->uv);
}

struct uv_loop_s *loop_uv(struct loop *l)
{
    return &l->uv;
}

char *loop_read_buffer(struct loop *l)
{
    if (l->read_buffer == NULL) {
        l->read_buffer = xmalloc(LOOP_READ_BUFFER_SIZE);
    }
    return l->read_buffer;
}

/* --- timers -------------------------------------------------------------------------------- */

void loop_timer_start(struct loop *l, struct loop_timer *t, uint64_t delay_ms,
                      void (*fire)(struct loop_timer *t))
{
    DASSERT(loop_is_current(l) || current_loop == NULL);
    list_remove(&t->node);
    t->fire = fire;
    /* The clock shows whole milliseconds, cut: one more, so as not to be early. */
    uint64_t now = uv_now(&l->uv);
    if (delay_ms == 0 || __builtin_add_overflow(now + 1, delay_ms, &t->deadline_ms)) {
        t->deadline_ms = delay_ms == 0 ? now : UINT64_MAX;
    }
    (void)timer_wheel_insert(&l->wheel, t);
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
    (void)l;
    list_remove(&t->node);
}

/* --- signals ------------------------------------------------------------------------------- */

struct loop_signal_handle {
    struct loop_handle base;
    uv_signal_t uv;
    loop_signal_fn fn;
    void *data;
};

static void signal_closed_cb(uv_handle_t *handle)
{
    mem_free(container_of((uv_signal_t *)handle, struct loop_signal_handle, uv));
}

static void signal_shutdown(struct loop_handle *base)
{
    struct loop_signal_handle *h = container_of(base, struct loop_signal_handle, base);
    uv_close((uv_handle_t *)&h->uv, signal_closed_cb);
}

static void signal_cb(uv_signal_t *uv, int signum)
{
    struct loop_signal_handle *h = container_of(uv, struct loop_signal_handle, uv);
    loop_turn_begin(container_of(uv->loop, struct loop, uv));
    h->fn(h->data, signum);
}

int loop_signal(struct loop *l, int signum, loop_signal_fn fn, void *data)
{
    struct loop_signal_handle *h = xcalloc(1, sizeof(*h));
    *h = (struct loop_signal_handle){.base = {signal_shutdown}, .fn = fn, .data = data};
    ASSERT(uv_signal_init(&l->uv, &h->uv) == 0);
    h->uv.data = &h->base;
    int r = uv_signal_start(&h->uv, signal_cb, signum);
    if (r < 0) {
        signal_shutdown(&h->base);
        return r; /* libuv's codes are negated errnos, as ours */
    }
    return 0;
}
