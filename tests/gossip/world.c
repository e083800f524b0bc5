#include "world.h"

#include "base/err.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>

enum event_kind {
    EVENT_TICK,
    EVENT_DATAGRAM,
    EVENT_CONNECTED, /* at who dialed */
    EVENT_REFUSED,
    EVENT_ACCEPT,
    EVENT_BYTES,
    EVENT_EOF,
    EVENT_RESET,
};

struct world_event {
    uint64_t at_ns, sequence;
    enum event_kind kind;
    unsigned node;
    uint64_t life;
    struct gossip_address from;
    struct world_pipe *pipe;
    unsigned end;
    bool waits; /* for its node, which is paused */
    size_t size;
    char bytes[];
};

struct pipe_end {
    unsigned node;
    uint64_t life;
    struct swim_stream *stream; /* NULL: not yet, or not any more */
    uint64_t last_ns;           /* the last thing that comes to it */
};

struct world_pipe {
    struct pipe_end ends[2];
    bool is_broken;
};

/* --- the queue of events --- */

static bool event_before(const struct world_event *a, const struct world_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->sequence < b->sequence;
}

static void heap_up(struct world *w, size_t i)
{
    struct world_event *e = w->heap.v[i];
    for (; i > 0 && event_before(e, w->heap.v[(i - 1) / 2]); i = (i - 1) / 2) {
        w->heap.v[i] = w->heap.v[(i - 1) / 2];
    }
    w->heap.v[i] = e;
}

static void heap_push(struct world *w, struct world_event *e)
{
    vec_push(&w->heap, e);
    heap_up(w, w->heap.n - 1);
}

static struct world_event *heap_pop(struct world *w)
{
    struct world_event *first = w->heap.v[0], *e = w->heap.v[--w->heap.n];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < w->heap.n; i = k) {
        k += k + 1 < w->heap.n && event_before(w->heap.v[k + 1], w->heap.v[k]);
        if (!event_before(w->heap.v[k], e)) {
            break;
        }
        w->heap.v[i] = w->heap.v[k];
    }
    w->heap.v[i] = e;
    return first;
}

static struct world_event *event_push(struct world *w, enum event_kind kind, unsigned node,
                                      uint64_t at_ns, struct str bytes)
{
    struct world_event *e = xcalloc(1, sizeof(*e) + bytes.n);
    e->kind = kind;
    e->node = node;
    e->life = w->nodes[node].life;
    e->at_ns = at_ns;
    e->sequence = w->sequence++;
    e->size = bytes.n;
    if (bytes.n > 0) {
        memcpy(e->bytes, bytes.p, bytes.n);
    }
    heap_push(w, e);
    return e;
}

void world_touch(struct world_node *n)
{
    uint64_t at_ns = n->swim != NULL ? swim_deadline_ns(n->swim) : UINT64_MAX;
    if (at_ns < n->tick_ns) {
        n->tick_ns = at_ns;
        event_push(n->world, EVENT_TICK, n->number, MAX(at_ns, n->world->now_ns), STR_NULL);
    }
}

/* --- the network --- */

static uint64_t delay(struct world *w)
{
    return w->delay_min_ns + rng_below(&w->rng, w->delay_max_ns - w->delay_min_ns + 1);
}

static bool chance(struct world *w, double p)
{
    return p > 0 && rng_f64(&w->rng) < p;
}

static bool is_cut(const struct world *w, unsigned from, unsigned to, bool is_tcp)
{
    if (w->side[from] != w->side[to]) {
        return true;
    }
    for (size_t i = 0; i < w->cuts.n; i++) {
        const struct world_cut *c = &w->cuts.v[i];
        if ((c->from == from || c->from == WORLD_ANY) && (c->to == to || c->to == WORLD_ANY) &&
            (is_tcp ? c->tcp : c->udp)) {
            return true;
        }
    }
    return false;
}

struct world_node *world_node_at(struct world *w, const struct gossip_address *a)
{
    unsigned i = a->ip[2] * 256u + a->ip[3];
    return a->size == 4 && i < w->count && gossip_address_eq(&w->nodes[i].address, a) ? &w->nodes[i]
                                                                                      : NULL;
}

unsigned world_number(struct str name)
{
    uint64_t number;
    return name.n > 1 && name.p[0] == 'n' && str_parse_u64(str_from(name, 1), &number) == 0
               ? (unsigned)number
               : WORLD_ANY;
}

static void io_send(void *data, const struct gossip_address *to, struct str packet)
{
    struct world_node *n = data, *target = world_node_at(n->world, to);
    struct world *w = n->world;
    n->sent++;
    if (w->watch != NULL && w->watch->send != NULL) {
        w->watch->send(n, to, packet);
    }
    if (target == NULL || is_cut(w, n->number, target->number, false)) {
        return;
    }
    for (int copies = 1 + chance(w, w->duplicate); copies > 0; copies--) {
        if (!chance(w, w->loss)) {
            event_push(w, EVENT_DATAGRAM, target->number, w->now_ns + delay(w), packet)->from =
                n->address;
        }
    }
}

void world_inject(struct world *w, unsigned to, const struct gossip_address *from, struct str bytes)
{
    event_push(w, EVENT_DATAGRAM, to, w->now_ns + delay(w), bytes)->from = *from;
}

/* --- streams --- */

static void say_stream(struct world_node *n, unsigned to, const char *what, struct str bytes)
{
    if (n->world->watch != NULL && n->world->watch->stream != NULL) {
        n->world->watch->stream(n, to, what, bytes);
    }
}

static void pipe_push(struct world *w, enum event_kind kind, struct world_pipe *p, unsigned end,
                      struct str bytes)
{
    struct pipe_end *e = &p->ends[end];
    e->last_ns = MAX(e->last_ns, w->now_ns + delay(w));
    struct world_event *event = event_push(w, kind, e->node, e->last_ns, bytes);
    event->life = e->life;
    event->pipe = p;
    event->end = end;
}

static struct world_pipe *pipe_of(struct swim_stream *st, unsigned *ret_end)
{
    struct world_pipe *p = swim_stream_data(st);
    *ret_end = p->ends[0].stream == st ? 0 : 1;
    ASSERT(p->ends[*ret_end].stream == st);
    return p;
}

static void io_dial(void *data, struct swim_stream *stream, const struct gossip_address *to)
{
    struct world_node *n = data, *target = world_node_at(n->world, to);
    struct world *w = n->world;
    struct world_pipe *p = xcalloc(1, sizeof(*p));
    vec_push(&w->pipes, p);
    p->ends[0] = (struct pipe_end){.node = n->number, .life = n->life, .stream = stream};
    p->ends[1].node = target != NULL ? target->number : n->number;
    swim_stream_set_data(stream, p);
    say_stream(n, target != NULL ? target->number : WORLD_ANY, "dial", STR_NULL);
    if (target == NULL || is_cut(w, n->number, target->number, true) ||
        is_cut(w, target->number, n->number, true)) {
        p->is_broken = true;
        return;
    }
    p->ends[1] = (struct pipe_end){.node = target->number, .life = target->life};
    if (target->swim == NULL) {
        pipe_push(w, EVENT_REFUSED, p, 0, STR_NULL);
        return;
    }
    pipe_push(w, EVENT_ACCEPT, p, 1, STR_NULL);
    pipe_push(w, EVENT_CONNECTED, p, 0, STR_NULL);
}

static void io_write(void *data, struct swim_stream *stream, struct str bytes)
{
    struct world_node *n = data;
    struct world *w = n->world;
    unsigned end;
    struct world_pipe *p = pipe_of(stream, &end);
    say_stream(n, p->ends[!end].node, "write", bytes);
    if (is_cut(w, p->ends[0].node, p->ends[1].node, true)) {
        p->is_broken = true;
    }
    while (!p->is_broken && bytes.n > 0) {
        size_t size = w->chunk_max == 0 ? bytes.n : 1 + rng_below(&w->rng, w->chunk_max);
        pipe_push(w, EVENT_BYTES, p, !end, str_first(bytes, size));
        bytes = str_from(bytes, size);
    }
}

static void io_close(void *data, struct swim_stream *stream)
{
    struct world_node *n = data;
    unsigned end;
    if (n->swim == NULL) {
        return; /* it crashed: see there */
    }
    struct world_pipe *p = pipe_of(stream, &end);
    p->ends[end].stream = NULL;
    say_stream(n, p->ends[!end].node, "close", STR_NULL);
    if (!p->is_broken && p->ends[!end].life != 0) {
        pipe_push(n->world, EVENT_EOF, p, !end, STR_NULL);
    }
}

/* --- the other calls of a core --- */

static void io_joined(void *data, uint64_t token, const struct err *err)
{
    struct world_node *n = data;
    (void)token;
    if (n->world->watch != NULL && n->world->watch->joined != NULL) {
        n->world->watch->joined(n, err);
    }
}

static void io_left(void *data, bool timed_out)
{
    struct world_node *n = data;
    n->has_left = true;
    if (n->world->watch != NULL && n->world->watch->left != NULL) {
        n->world->watch->left(n, timed_out);
    }
}

static const struct swim_io io = {
    .send = io_send,
    .dial = io_dial,
    .write = io_write,
    .close = io_close,
    .joined = io_joined,
    .left = io_left,
};

#define WATCH(n, what, ...)                                   \
    do {                                                      \
        const struct world_watch *watch_ = (n)->world->watch; \
        if (watch_ != NULL && watch_->what != NULL) {         \
            watch_->what((n), __VA_ARGS__);                   \
        }                                                     \
    } while (0)

static void on_join(void *data, const struct swim_member *m)
{
    struct world_node *n = data;
    WATCH(n, join, m);
}

static void on_update(void *data, const struct swim_member *m)
{
    struct world_node *n = data;
    WATCH(n, update, m);
}

static void on_leave(void *data, const struct swim_member *m)
{
    struct world_node *n = data;
    WATCH(n, leave, m);
}

static void on_conflict(void *data, const struct swim_member *m, const struct swim_member *other)
{
    struct world_node *n = data;
    WATCH(n, conflict, m, other);
}

static int on_alive(void *data, const struct swim_member *m, struct err *err)
{
    struct world_node *n = data;
    const struct world_watch *watch = n->world->watch;
    return watch != NULL && watch->alive != NULL ? watch->alive(n, m, err) : 0;
}

static int on_merge(void *data, const struct swim_member *members, size_t count, struct err *err)
{
    struct world_node *n = data;
    const struct world_watch *watch = n->world->watch;
    (void)members;
    return watch != NULL && watch->merge != NULL ? watch->merge(n, count, err) : 0;
}

/* A message of a user is its number; heard for the first time it is passed on. */
static void tell(struct world_node *n, uint32_t number)
{
    if (number < n->world->messages_max && !n->heard[number]) {
        char bytes[40];
        n->heard[number] = true;
        int size = snprintf(bytes, sizeof(bytes), "rumour %u", number);
        broadcast_queue_put(n->queue, STR_NULL, str_make(bytes, (size_t)size), NULL, NULL);
        swim_gossip_wake(n->swim, n->world->now_ns);
    }
}

static void on_message(void *data, struct str bytes)
{
    struct world_node *n = data;
    uint64_t number;
    if (str_has_prefix(bytes, STR("rumour ")) && str_parse_u64(str_from(bytes, 7), &number) == 0) {
        tell(n, (uint32_t)number);
    }
    WATCH(n, message, bytes);
}

static void put(void *data, struct str message)
{
    ASSERT(swim_broadcasts_put(data, message));
}

static void on_broadcasts(void *data, struct swim_broadcasts *to)
{
    struct world_node *n = data;
    uint32_t limit =
        swim_retransmit_limit(n->world->config.retransmit_mult, swim_known_count(n->swim));
    (void)broadcast_queue_take(n->queue, limit, SWIM_BROADCAST_OVERHEAD,
                               swim_broadcasts_room(to) + SWIM_BROADCAST_OVERHEAD, put, to);
}

static void on_ack_payload(void *data, struct buf *to)
{
    struct world_node *n = data;
    if (n->world->has_ack_payload) {
        buf_printf(to, "payload of %s", n->name);
    }
}

static void on_ping_complete(void *data, const struct swim_member *m, uint64_t rtt_ns,
                             struct str payload)
{
    struct world_node *n = data;
    ASSERT(!n->world->has_ack_payload || str_has_prefix(payload, STR("payload of ")));
    WATCH(n, pinged, m, rtt_ns);
}

static void on_log(void *data, enum swim_log level, struct str line)
{
    struct world_node *n = data;
    WATCH(n, log, level, line);
}

static const struct swim_delegate delegate = {
    .member_join = on_join,
    .member_update = on_update,
    .member_leave = on_leave,
    .conflict = on_conflict,
    .alive = on_alive,
    .merge = on_merge,
    .message = on_message,
    .broadcasts = on_broadcasts,
    .ack_payload = on_ack_payload,
    .ping_complete = on_ping_complete,
    .log = on_log,
};

/* --- events to cores --- */

static void pipe_event(struct world *w, struct world_node *n, struct world_event *e)
{
    struct pipe_end *end = &e->pipe->ends[e->end], *other = &e->pipe->ends[!e->end];
    struct err err = {0};
    if (e->kind == EVENT_ACCEPT) {
        end->stream = swim_stream_accept(n->swim, w->now_ns, &w->nodes[other->node].address);
        if (end->stream == NULL) {
            pipe_push(w, EVENT_RESET, e->pipe, !e->end, STR_NULL);
        } else {
            swim_stream_set_data(end->stream, e->pipe);
        }
        return;
    }
    if (end->stream == NULL || e->pipe->is_broken) {
        return;
    }
    switch (e->kind) {
    case EVENT_CONNECTED:
        swim_stream_connected(end->stream, w->now_ns);
        break;
    case EVENT_REFUSED:
        (void)err_set(&err, ERR_CONNECTION, "connect: connection refused");
        swim_stream_failed(end->stream, w->now_ns, &err);
        break;
    case EVENT_RESET:
        (void)err_set(&err, ERR_CONNECTION, "connection reset by peer");
        swim_stream_failed(end->stream, w->now_ns, &err);
        break;
    case EVENT_BYTES:
        swim_stream_read(end->stream, w->now_ns, str_make(e->bytes, e->size));
        break;
    case EVENT_EOF:
        swim_stream_eof(end->stream, w->now_ns);
        break;
    case EVENT_TICK:
    case EVENT_DATAGRAM:
    case EVENT_ACCEPT:
        break;
    }
}

static void event_run(struct world *w, struct world_event *e)
{
    struct world_node *n = &w->nodes[e->node];
    if (e->kind == EVENT_DATAGRAM) {
        n->waiting -= n->waiting > 0;
        n->received++;
        swim_packet(n->swim, w->now_ns, &e->from, str_make(e->bytes, e->size));
    } else if (e->kind == EVENT_TICK) {
        if (e->at_ns >= n->tick_ns) {
            n->tick_ns = UINT64_MAX;
        }
        if (swim_deadline_ns(n->swim) <= w->now_ns) {
            swim_tick(n->swim, w->now_ns);
        }
    } else {
        pipe_event(w, n, e);
    }
    world_touch(n);
}

/* Whether it has to wait, as its node takes nothing now. */
static bool event_wait(struct world *w, struct world_event *e)
{
    struct world_node *n = &w->nodes[e->node];
    if (n->paused_until_ns <= w->now_ns || n->life != e->life) {
        return false;
    }
    if (e->kind == EVENT_DATAGRAM && n->waiting++ >= WORLD_DATAGRAMS_WAITING) {
        e->life = 0; /* lost */
    }
    e->at_ns = n->paused_until_ns; /* and keeps its age */
    e->waits = true;
    if (e->kind == EVENT_TICK) {
        n->tick_ns = e->at_ns;
        e->sequence = w->ticks_first || chance(w, 0.5) ? 0 : w->sequence++;
    }
    heap_push(w, e);
    return true;
}

void world_run(struct world *w, uint64_t span_ns)
{
    uint64_t until_ns = w->now_ns + span_ns;
    while (w->heap.n > 0 && w->heap.v[0]->at_ns <= until_ns) {
        struct world_event *e = heap_pop(w);
        struct world_node *n = &w->nodes[e->node];
        w->now_ns = e->at_ns;
        w->events++;
        w->pieces += e->kind == EVENT_BYTES;
        if (event_wait(w, e)) {
            continue;
        }
        if (n->swim != NULL && n->life == e->life) {
            event_run(w, e);
        }
        mem_free(e);
    }
    w->now_ns = until_ns;
}

/* --- what is done to nodes --- */

struct world *world_new(uint64_t seed, unsigned count)
{
    struct world *w = xcalloc(1, sizeof(*w));
    rng_seed(&w->rng, seed);
    w->count = count;
    w->nodes = xcalloc(count, sizeof(*w->nodes));
    w->side = xcalloc(count, sizeof(*w->side));
    w->delay_min_ns = w->delay_max_ns = WORLD_MS;
    w->now_ns = WORLD_SECOND;
    w->messages_max = 64;
    swim_config_lan(&w->config);
    for (unsigned i = 0; i < count; i++) {
        struct world_node *n = &w->nodes[i];
        n->world = w;
        n->number = i;
        (void)snprintf(n->name, sizeof(n->name), "n%u", i);
        n->address = (struct gossip_address){
            .ip = {10, 0, (uint8_t)(i / 256), (uint8_t)(i % 256)}, .size = 4, .port = 8301};
        memcpy(n->vsn, (uint8_t[]){1, 5, 2, 2, 5, 4}, MEMBERLIST_VSN_SIZE);
        n->tick_ns = UINT64_MAX;
        n->heard = xcalloc(w->messages_max, sizeof(bool));
        rng_seed(&n->rng, rng_u64(&w->rng));
    }
    return w;
}

void world_start(struct world *w, unsigned i)
{
    struct world_node *n = &w->nodes[i];
    struct swim_options options = {.config = w->config,
                                   .name = str_from_cstr(n->name),
                                   .address = n->address,
                                   .meta = buf_view(&n->meta),
                                   .keys = n->keys,
                                   .rng = &n->rng,
                                   .members_max = w->members_max,
                                   .incarnation =
                                       w->has_clock ? (uint32_t)(w->now_ns / WORLD_SECOND) : 0,
                                   .io = &io,
                                   .io_data = n,
                                   .delegate = &delegate,
                                   .delegate_data = n};
    ASSERT(n->swim == NULL);
    memcpy(options.vsn, n->vsn, MEMBERLIST_VSN_SIZE);
    n->life++;
    n->started_ns = w->now_ns;
    n->paused_until_ns = 0;
    n->tick_ns = UINT64_MAX;
    n->waiting = 0;
    n->is_leaving = n->has_left = false;
    n->queue = broadcast_queue_new();
    memset(n->heard, 0, w->messages_max * sizeof(bool));
    n->swim = swim_new(&options, w->now_ns);
    swim_start(n->swim, w->now_ns);
    world_touch(n);
}

void world_crash(struct world *w, unsigned i)
{
    struct world_node *n = &w->nodes[i];
    struct swim *swim = n->swim;
    const struct world_watch *watch = w->watch;
    if (swim == NULL) {
        return;
    }
    for (size_t k = 0; k < w->pipes.n; k++) { /* the kernel resets its connections */
        struct world_pipe *p = w->pipes.v[k];
        for (unsigned end = 0; end < 2; end++) {
            if (p->ends[end].stream != NULL && p->ends[end].node == i) {
                p->ends[end].stream = NULL;
                if (!p->is_broken && p->ends[!end].life != 0) {
                    pipe_push(w, EVENT_RESET, p, !end, STR_NULL);
                }
            }
        }
    }
    w->watch = NULL; /* what it says now nobody hears */
    n->swim = NULL;
    n->tick_ns = UINT64_MAX;
    n->stopped_ns = w->now_ns;
    n->life++;
    (void)swim_free(swim);
    n->queue = broadcast_queue_free(n->queue);
    w->watch = watch;
}

void world_pause(struct world *w, unsigned i, uint64_t span_ns)
{
    struct world_node *n = &w->nodes[i];
    n->paused_until_ns = MAX(n->paused_until_ns, w->now_ns + span_ns);
}

void world_wake(struct world *w, unsigned i)
{
    struct world_node *n = &w->nodes[i];
    if (n->swim != NULL && n->paused_until_ns > w->now_ns) {
        n->paused_until_ns = w->now_ns;
        for (size_t k = 0; k < w->heap.n; k++) {
            if (w->heap.v[k]->node == i && w->heap.v[k]->waits) {
                w->heap.v[k]->at_ns = w->now_ns;
                heap_up(w, k);
            }
        }
        n->tick_ns = MIN(n->tick_ns, w->now_ns);
    }
}

void world_join(struct world *w, unsigned i, unsigned to)
{
    struct world_node *n = &w->nodes[i];
    swim_join(n->swim, w->now_ns, &w->nodes[to].address, str_from_cstr(w->nodes[to].name), 0);
    world_touch(n);
}

void world_leave(struct world *w, unsigned i)
{
    struct world_node *n = &w->nodes[i];
    n->is_leaving = true;
    swim_leave(n->swim, w->now_ns, 5 * WORLD_SECOND);
    world_touch(n);
}

void world_update(struct world *w, unsigned i, struct str meta)
{
    struct world_node *n = &w->nodes[i];
    buf_clear(&n->meta);
    buf_str(&n->meta, meta);
    swim_update(n->swim, w->now_ns, meta);
    world_touch(n);
}

unsigned world_tell(struct world *w, unsigned i)
{
    ASSERT(w->messages_count < w->messages_max);
    tell(&w->nodes[i], w->messages_count);
    world_touch(&w->nodes[i]);
    return w->messages_count++;
}

struct world *world_free(struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct world_node *n = &w->nodes[i];
        world_crash(w, i);
        n->keys = seal_ring_free(n->keys);
        buf_deinit(&n->meta);
        mem_free(n->heard);
    }
    for (size_t i = 0; i < w->heap.n; i++) {
        mem_free(w->heap.v[i]);
    }
    for (size_t i = 0; i < w->pipes.n; i++) {
        mem_free(w->pipes.v[i]);
    }
    vec_deinit(&w->heap);
    vec_deinit(&w->pipes);
    vec_deinit(&w->cuts);
    mem_free(w->nodes);
    mem_free(w->side);
    return mem_free(w);
}
