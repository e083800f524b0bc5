/* loop.h - one event loop to a thread, over libuv, and messages between loops.
 *
 * A loop runs callbacks of one thread; everything it owns (timers, streams, parked requests) is
 * touched on that thread only. Other threads reach it with loop_post(): the message is embedded in
 * the sender's own object, delivery is in order for each sender, and a burst costs one wake-up. What sends messages bounds how many it has under way.
 *
 * Around each turn (from poll's return until the next poll) the loop enters the epochs it was given,
 * so that callbacks may use published roots without further ado and hold nothing across turns. */
#pragma once
#include "base/list.h"
#include "base/str.h"

#include <stdatomic.h>

struct epoch;
struct loop;
struct uv_loop_s;

struct loop_msg {
    struct loop_msg *next; /* loop.c's */
    void (*run)(struct loop_msg *msg);
};

struct loop *loop_new(const char *name); /* name of the thread and in logs */
struct loop *loop_free(struct loop *l);  /* stopped; closes what is left open */

/* Enter this epoch around each turn. Before the loop runs; at most LOOP_EPOCHS_MAX. */
#define LOOP_EPOCHS_MAX 4u
void loop_add_epoch(struct loop *l, struct epoch *e);

/* Run on the calling thread until loop_stop(); or on a thread of its own. */
void loop_run(struct loop *l);
void loop_thread_start(struct loop *l);
void loop_thread_join(struct loop *l);
void loop_stop(struct loop *l); /* any thread */
bool loop_is_current(const struct loop *l);

/* Any thread. msg->run is called on the loop's thread; msg must live until then. After loop_stop()
 * messages that were posted before are still run. */
void loop_post(struct loop *l, struct loop_msg *msg);
/* Run once at the end of the current turn (for batching); on the loop's own thread. */
void loop_defer(struct loop *l, struct loop_msg *msg);

uint64_t loop_now_ms(const struct loop *l); /* monotonic, cached once a turn */
struct uv_loop_s *loop_uv(struct loop *l);  /* for the other files of loop/ */

/* --- timers: a hierarchical wheel a loop, one uv timer in all. O(1) to start and stop, so that
 * 100,000 TTL checks or 20,000 parked queries are ordinary. Resolution is a millisecond; never early. */
struct loop_timer {
    struct list node;
    uint64_t deadline_ms;
    void (*fire)(struct loop_timer *t);
};
/* (Re)start; fires once. t is embedded and zeroed before first use. */
void loop_timer_start(struct loop *l, struct loop_timer *t, uint64_t delay_ms,
                      void (*fire)(struct loop_timer *t));
void loop_timer_stop(struct loop *l, struct loop_timer *t);
static inline bool loop_timer_is_active(const struct loop_timer *t)
{
    return t->node.next != NULL;
}

/* --- signals: delivered on the loop (the main one only) ----------------------------------------- */
typedef void (*loop_signal_fn)(void *data, int signum);
NODISCARD int loop_signal(struct loop *l, int signum, loop_signal_fn fn, void *data);
