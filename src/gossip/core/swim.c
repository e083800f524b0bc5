/* Beginning, end, and time. All that waits for a moment is a timer in one heap; timers of one
 * moment fire in the order they were set. A tick fires what is due.
 *
 * A tick that comes much too late means that this agent did not run for a while (it was stopped, or
 * its machine was). What others had to say meanwhile may still be waiting in the sockets. So for
 * one probe interval nobody is declared dead, and no probe of before the pause has failed; and this
 * agent thinks less well of its health. */
#include "gossip/core/swim_internal.h"

#include "base/mem.h"

/* --- configuration --- */

#define MS SWIM_NS_PER_MS

void swim_config_lan(struct swim_config *c)
{
    *c = (struct swim_config){.tcp_timeout_ns = 10000 * MS,
                              .indirect_checks = 3,
                              .retransmit_mult = 4,
                              .suspicion_mult = 4,
                              .suspicion_max_timeout_mult = 6,
                              .push_pull_interval_ns = 30000 * MS,
                              .probe_interval_ns = 1000 * MS,
                              .probe_timeout_ns = 500 * MS,
                              .awareness_max_multiplier = 8,
                              .gossip_interval_ns = 200 * MS,
                              .gossip_nodes = 3,
                              .gossip_to_the_dead_ns = 30000 * MS,
                              .verify_incoming = true,
                              .verify_outgoing = true,
                              .enable_compression = true,
                              .packet_size_max = 1400};
}

void swim_config_wan(struct swim_config *c)
{
    swim_config_lan(c);
    c->tcp_timeout_ns = 30000 * MS;
    c->suspicion_mult = 6;
    c->push_pull_interval_ns = 60000 * MS;
    c->probe_timeout_ns = 3000 * MS;
    c->probe_interval_ns = 5000 * MS;
    c->gossip_nodes = 4;
    c->gossip_interval_ns = 500 * MS;
    c->gossip_to_the_dead_ns = 60000 * MS;
}

/* --- the log --- */

void swim_log(struct swim *s, enum swim_log level, const char *format, ...)
{
    if (s->delegate.log != NULL) {
        va_list args;
        va_start(args, format);
        buf_clear(&s->line);
        buf_lit(&s->line, "memberlist: ");
        buf_vprintf(&s->line, format, args);
        va_end(args);
        s->delegate.log(s->delegate_data, level, buf_view(&s->line));
    }
}

struct swim_address_text swim_address_text(const struct gossip_address *a)
{
    struct swim_address_text text = {0};
    struct buf b = {0};
    gossip_address_format(a, &b);
    struct str whole = str_first(buf_view(&b), sizeof(text.z) - 1);
    if (whole.n > 0) {
        memcpy(text.z, whole.p, whole.n);
    }
    buf_deinit(&b);
    return text;
}

/* --- timers --- */

static bool is_before(const struct swim_timer *a, const struct swim_timer *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void heap_put(struct swim *s, size_t place, struct swim_timer *t)
{
    s->timers.v[place - 1] = t;
    t->place = place;
}

/* Let t, which stands at its place or is to stand there, find where it belongs. */
static void heap_settle(struct swim *s, size_t place, struct swim_timer *t)
{
    for (; place > 1 && is_before(t, s->timers.v[place / 2 - 1]); place /= 2) {
        heap_put(s, place, s->timers.v[place / 2 - 1]);
    }
    for (size_t child; (child = 2 * place) <= s->timers.n; place = child) {
        child += child < s->timers.n && is_before(s->timers.v[child], s->timers.v[child - 1]);
        if (!is_before(s->timers.v[child - 1], t)) {
            break;
        }
        heap_put(s, place, s->timers.v[child - 1]);
    }
    heap_put(s, place, t);
}

void swim_timer_set(struct swim *s, struct swim_timer *t, uint64_t at_ns,
                    void (*fire)(struct swim *s, struct swim_timer *t))
{
    t->at_ns = at_ns;
    t->sequence = s->timers_sequence++;
    t->fire = fire;
    if (t->place == 0) {
        vec_push(&s->timers, t);
        t->place = s->timers.n;
    }
    heap_settle(s, t->place, t);
}

void swim_timer_stop(struct swim *s, struct swim_timer *t)
{
    if (t->place != 0) {
        size_t place = t->place;
        struct swim_timer *last = s->timers.v[--s->timers.n];
        t->place = 0;
        if (last != t) {
            heap_settle(s, place, last);
        }
    }
}

uint64_t swim_now_ns(const struct swim *s)
{
    return s->now_ns;
}

uint64_t swim_deadline_ns(const struct swim *s)
{
    return s->timers.n > 0 ? s->timers.v[0]->at_ns : SWIM_NEVER;
}

void swim_tick(struct swim *s, uint64_t now_ns)
{
    uint64_t due_ns = swim_deadline_ns(s);
    s->now_ns = MAX(s->now_ns, now_ns);
    if (due_ns != SWIM_NEVER && s->now_ns > due_ns + s->config.probe_timeout_ns) {
        s->spared_until_ns = s->now_ns + s->config.probe_interval_ns;
        swim_health_change(s, 1);
    }
    while (swim_deadline_ns(s) <= s->now_ns) {
        struct swim_timer *t = s->timers.v[0];
        swim_timer_stop(s, t);
        t->fire(s, t);
    }
}

/* --- health --- */

void swim_health_change(struct swim *s, int64_t delta)
{
    int64_t worst = MAX((int64_t)s->config.awareness_max_multiplier - 1, (int64_t)0);
    s->health = (uint32_t)MIN(MAX((int64_t)s->health + delta, (int64_t)0), worst);
}

uint32_t swim_health_score(const struct swim *s)
{
    return s->health;
}

const struct swim_stats *swim_stats(const struct swim *s)
{
    return &s->stats;
}

/* --- life --- */

struct swim *swim_new(const struct swim_options *o, uint64_t now_ns)
{
    struct swim *s = xcalloc(1, sizeof(*s));
    ASSERT(o->name.n > 0 && o->name.n <= MEMBERLIST_NAME_SIZE_MAX);
    ASSERT(o->meta.n <= MEMBERLIST_META_SIZE_MAX && o->address.size > 0);
    s->config = o->config;
    s->address = o->address;
    memcpy(s->vsn, o->vsn, MEMBERLIST_VSN_SIZE);
    s->keys = o->keys;
    s->rng = o->rng;
    s->incarnation = o->incarnation;
    s->members_max = o->members_max != 0 ? o->members_max : SWIM_MEMBERS_MAX;
    s->io = o->io;
    s->io_data = o->io_data;
    if (o->delegate != NULL) {
        s->delegate = *o->delegate;
    }
    s->delegate_data = o->delegate_data;
    s->now_ns = now_ns;
    s->seq = (uint32_t)rng_u64(o->rng); /* an ack of a life before is none of this */
    map_init(&s->by_name, MAP_KEYS_BORROWED);
    list_init(&s->streams);
    s->queue = broadcast_queue_new();
    s->self = swim_node_add(s, o->name, &o->address);
    swim_node_set_meta(s->self, o->meta);
    memcpy(s->self->pub.vsn, o->vsn, MEMBERLIST_VSN_SIZE);
    return s;
}

void swim_start(struct swim *s, uint64_t now_ns)
{
    ASSERT(!s->is_started);
    s->is_started = true;
    s->now_ns = MAX(s->now_ns, now_ns);
    swim_gossip_start(s);
    if ((s->keys == NULL || seal_ring_count(s->keys) == 0) && swim_address_is_public(&s->address)) {
        swim_log(s, SWIM_LOG_WARN, "Binding to public address without encryption!");
    }
    swim_update(s, s->now_ns, s->self->pub.meta);
    swim_probe_start(s);
    swim_push_pull_start(s);
}

void swim_stop(struct swim *s, uint64_t now_ns)
{
    s->now_ns = MAX(s->now_ns, now_ns);
    if (!s->is_stopped) {
        s->is_stopped = true;
        swim_probe_stop(s);
        swim_streams_close(s);
        swim_left(s, true);
        for (size_t i = 0; i < s->timers.n; i++) {
            s->timers.v[i]->place = 0;
        }
        vec_clear(&s->timers);
    }
}

struct swim *swim_free(struct swim *s)
{
    if (s == NULL) {
        return NULL;
    }
    swim_stop(s, s->now_ns);
    swim_streams_close(s); /* joins that came after the end */
    for (size_t i = 0; i < s->ring.n; i++) {
        swim_suspicion_end(s, s->ring.v[i]);
        swim_node_free(s->ring.v[i]);
    }
    (void)broadcast_queue_free(s->queue);
    vec_deinit(&s->ring);
    vec_deinit(&s->timers);
    vec_deinit(&s->picks);
    map_deinit(&s->by_name);
    struct buf *bufs[] = {&s->note,       &s->out.messages, &s->out.compound, &s->out.packed,
                          &s->out.summed, &s->out.sealed,   &s->opened,       &s->line};
    for (size_t i = 0; i < ARRAY_SIZE(bufs); i++) {
        buf_deinit(bufs[i]);
    }
    arena_deinit(&s->arena);
    mem_free(s->relays);
    return mem_free(s);
}
