/* News to all. What is to be told waits in the queue (and in the delegate's) and rides in every
 * datagram that has room; besides, each gossip interval some members at random get one that holds
 * nothing else: those alive, suspected (they may refute), and dead not long ago (they may be
 * wrongly so, on the other side of a partition).
 *
 * While there is nothing to tell, or nobody, the timer rests. Its times stay multiples of the
 * interval from a random beginning, so that agents that hear of the same do not speak at once.
 *
 * Leaving is news as well: of one's own death. It is done when that was sent as often as news is.
 */
#include "gossip/core/swim_internal.h"

static bool may_hear(const struct swim *s, const struct swim_node *n, const void *data)
{
    (void)data;
    return n != s->self && (swim_node_is_live(n) || (n->pub.state == MEMBERLIST_STATE_DEAD &&
                                                     s->now_ns - n->pub.state_changed_ns <=
                                                         s->config.gossip_to_the_dead_ns));
}

static void gossip_fire(struct swim *s, struct swim_timer *t)
{
    (void)t;
    ptrdiff_t room = (ptrdiff_t)s->config.packet_size_max - (ptrdiff_t)MEMBERLIST_COMPOUND_HEADER;
    if (s->keys != NULL && seal_ring_count(s->keys) > 0) {
        room -= SEAL_OVERHEAD;
    }
    swim_pick(s, s->config.gossip_nodes, &s->picks, may_hear, NULL);
    for (size_t i = 0; i < s->picks.n; i++) {
        const struct swim_node *n = s->picks.v[i];
        swim_packet_begin(s);
        if (swim_packet_fill(s, room) == 0) { /* which sets the timer again where it finds some */
            break;
        }
        (void)swim_packet_send(s, &n->pub.address, true, swim_node_is_summed(n));
    }
}

void swim_gossip_arm(struct swim *s)
{
    uint64_t interval_ns = s->config.gossip_interval_ns;
    if (!s->is_started || s->is_stopped || interval_ns == 0 || s->config.gossip_nodes == 0 ||
        s->gossip_timer.place != 0) {
        return;
    }
    uint64_t at_ns = s->gossip_first_ns;
    if (s->now_ns >= at_ns) {
        at_ns += ((s->now_ns - at_ns) / interval_ns + 1) * interval_ns;
    }
    swim_timer_set(s, &s->gossip_timer, at_ns, gossip_fire);
}

void swim_gossip_start(struct swim *s)
{
    s->gossip_first_ns = s->now_ns + 1;
    if (s->config.gossip_interval_ns > 0) {
        s->gossip_first_ns += rng_below(s->rng, s->config.gossip_interval_ns);
    }
}

void swim_note_put(struct swim *s, struct str name, void (*done)(void *data))
{
    broadcast_queue_put(s->queue, name, buf_view(&s->note), done, s);
    swim_gossip_arm(s);
}

/* --- of ourselves --- */

void swim_left(struct swim *s, bool timed_out)
{
    swim_timer_stop(s, &s->leave_timer);
    if (s->is_leaving && !s->is_leave_told) {
        s->is_leave_told = true;
        if (s->io->left != NULL) {
            s->io->left(s->io_data, timed_out);
        }
    }
}

static void leave_fire(struct swim *s, struct swim_timer *t)
{
    (void)t;
    swim_left(s, true);
}

static void leave_sent_fire(struct swim *s, struct swim_timer *t)
{
    (void)t;
    swim_left(s, false);
}

/* Its last sending is being put together: told when that is done. */
void swim_leave_sent(void *data)
{
    struct swim *s = data;
    swim_timer_set(s, &s->leave_timer, s->now_ns, leave_sent_fire);
}

void swim_leave(struct swim *s, uint64_t now_ns, uint64_t timeout_ns)
{
    ASSERT(s->is_started);
    s->now_ns = MAX(s->now_ns, now_ns);
    if (s->is_leaving) { /* already */
        if (s->is_leave_told) {
            s->is_leave_told = false;
            swim_left(s, false);
        }
        return;
    }
    s->is_leaving = true;
    swim_on_dead(s, &(struct memberlist_suspect){.incarnation = s->self->pub.incarnation,
                                                 .node = s->self->pub.name,
                                                 .from = s->self->pub.name});
    if (s->live_count == 0 || s->is_stopped) {
        swim_left(s, false);
    } else if (timeout_ns > 0 && s->leave_timer.place == 0) {
        swim_timer_set(s, &s->leave_timer, s->now_ns + timeout_ns, leave_fire);
    }
}

void swim_update(struct swim *s, uint64_t now_ns, struct str meta)
{
    ASSERT(s->is_started && meta.n <= MEMBERLIST_META_SIZE_MAX);
    s->now_ns = MAX(s->now_ns, now_ns);
    struct memberlist_alive a = {.incarnation = swim_incarnation_next(s),
                                 .node = s->self->pub.name,
                                 .address = s->address,
                                 .meta = meta,
                                 .has_vsn = true};
    memcpy(a.vsn, s->vsn, MEMBERLIST_VSN_SIZE);
    swim_on_alive(s, &a, true);
}

void swim_gossip_wake(struct swim *s, uint64_t now_ns)
{
    s->now_ns = MAX(s->now_ns, now_ns);
    swim_gossip_arm(s);
}
