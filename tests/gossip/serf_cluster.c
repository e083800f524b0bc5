#include "serf_cluster.h"

#include "base/mem.h"

#include <stdio.h>

#define DELAY_NS (1 * CLUSTER_MS)
#define STEPS_MAX 20000000u

/* --- the network ------------------------------------------------------------------------------ */

struct pipe { /* two ends of a stream */
    struct swim_stream *ends[2];
    struct node *nodes[2];
    unsigned refs;
};

struct end { /* what a stream knows of its socket */
    struct pipe *pipe;
    int side;
};

enum wire_kind { WIRE_PACKET, WIRE_DIAL, WIRE_DATA, WIRE_EOF };

struct wire {
    struct list link;
    uint64_t at_ns;
    enum wire_kind kind;
    struct node *from, *to;
    struct gossip_address address;
    struct pipe *pipe;
    int side; /* that it goes to */
    struct str bytes;
};

static struct end *end_new(struct pipe *p, int side)
{
    struct end *e = xmalloc(sizeof(*e));
    *e = (struct end){p, side};
    p->refs++;
    return e;
}

static void pipe_unref(struct pipe *p)
{
    if (--p->refs == 0) {
        (void)mem_free(p);
    }
}

static struct wire *wire_put(struct cluster *c, enum wire_kind kind, struct str bytes)
{
    struct wire *w = xcalloc(1, sizeof(*w) + bytes.n);
    w->at_ns = c->now_ns + DELAY_NS;
    w->kind = kind;
    w->bytes = str_make(w + 1, bytes.n);
    if (bytes.n > 0) {
        memcpy(w + 1, bytes.p, bytes.n);
    }
    list_push_back(&c->wire, &w->link); /* one delay for all: they are in order */
    return w;
}

static struct node *node_at(struct cluster *c, const struct gossip_address *address)
{
    for (size_t i = 0; i < c->count; i++) {
        if (gossip_address_eq(&c->nodes[i].address, address)) {
            return &c->nodes[i];
        }
    }
    return NULL;
}

static bool is_reachable(const struct node *from, const struct node *to)
{
    return to != NULL && to->serf != NULL && to->group == from->group;
}

static void io_send(void *data, const struct gossip_address *to, struct str packet)
{
    struct node *n = data;
    struct wire *w = wire_put(n->cluster, WIRE_PACKET, packet);
    w->from = n;
    w->address = *to;
    n->cluster->datagrams++;
}

static void io_dial(void *data, struct swim_stream *stream, const struct gossip_address *to)
{
    struct node *n = data;
    struct pipe *p = xcalloc(1, sizeof(*p));
    p->ends[0] = stream;
    p->nodes[0] = n;
    swim_stream_set_data(stream, end_new(p, 0));
    struct wire *w = wire_put(n->cluster, WIRE_DIAL, STR_NULL);
    w->from = n;
    w->address = *to;
    w->pipe = p;
    p->refs++;
}

static void pipe_put(struct node *n, enum wire_kind kind, struct end *e, struct str bytes)
{
    struct wire *w = wire_put(n->cluster, kind, bytes);
    w->from = n;
    w->pipe = e->pipe;
    w->side = !e->side;
    e->pipe->refs++;
}

static void io_write(void *data, struct swim_stream *stream, struct str bytes)
{
    pipe_put(data, WIRE_DATA, swim_stream_data(stream), bytes);
}

static void io_close(void *data, struct swim_stream *stream)
{
    struct end *e = swim_stream_data(stream);
    pipe_put(data, WIRE_EOF, e, STR_NULL);
    e->pipe->ends[e->side] = NULL;
    pipe_unref(e->pipe);
    (void)mem_free(e);
}

static void deliver_dial(struct cluster *c, struct wire *w)
{
    struct pipe *p = w->pipe;
    struct node *to = node_at(c, &w->address);
    struct swim_stream *accepted =
        is_reachable(w->from, to)
            ? swim_stream_accept(serf_swim(to->serf), c->now_ns, &w->from->address)
            : NULL;
    if (accepted != NULL) {
        p->ends[1] = accepted;
        p->nodes[1] = to;
        swim_stream_set_data(accepted, end_new(p, 1));
    }
    if (p->ends[0] == NULL) {
        return;
    }
    if (accepted != NULL) {
        swim_stream_connected(p->ends[0], c->now_ns);
    } else {
        struct err err;
        (void)err_set(&err, ERR_CONNECTION, "connection refused");
        swim_stream_failed(p->ends[0], c->now_ns, &err);
    }
}

static void deliver_stream(struct cluster *c, struct wire *w)
{
    struct pipe *p = w->pipe;
    struct swim_stream *st = p->ends[w->side];
    if (st == NULL || w->from->group != p->nodes[w->side]->group) {
        return;
    }
    if (w->kind == WIRE_DATA) {
        swim_stream_read(st, c->now_ns, w->bytes);
    } else {
        swim_stream_eof(st, c->now_ns);
    }
}

static void deliver(struct cluster *c, struct wire *w)
{
    if (w->kind == WIRE_DIAL) {
        deliver_dial(c, w);
    } else if (w->kind != WIRE_PACKET) {
        deliver_stream(c, w);
    } else {
        struct node *to = node_at(c, &w->address);
        if (is_reachable(w->from, to) && !c->cut[w->from - c->nodes][to - c->nodes] &&
            rng_f64(&c->rng) >= c->loss) {
            swim_packet(serf_swim(to->serf), c->now_ns, &w->from->address, w->bytes);
        }
    }
    if (w->pipe != NULL) {
        pipe_unref(w->pipe);
    }
    (void)mem_free(w);
}

/* --- what a node is told ---------------------------------------------------------------------- */

static void io_joined(void *data, uint64_t token, const struct err *err)
{
    struct node *n = data;
    assert_int_equal(token, 77);
    *(err == NULL ? &n->joined : &n->join_failed) += 1;
    (void)snprintf(n->join_text, sizeof(n->join_text), "%s", err != NULL ? err_text(err) : "");
}

static void io_left(void *data, bool timed_out)
{
    struct node *n = data;
    *(timed_out ? &n->left_timed_out : &n->left) += 1;
    n->left_at_ms = cluster_now_ms(n->cluster);
}

static const struct swim_io node_io = {.send = io_send,
                                       .dial = io_dial,
                                       .write = io_write,
                                       .close = io_close,
                                       .joined = io_joined,
                                       .left = io_left};

static void answer(struct node *n, const struct serf_query *q)
{
    struct buf text = {0};
    struct err err;
    for (const char *p = n->answer; *p != '\0'; p++) {
        buf_str(&text, *p == '%' ? q->payload : str_make(p, 1));
    }
    if (serf_query_respond(n->serf, n->cluster->now_ns, q, buf_view(&text), &err) < 0) {
        buf_printf(&n->news, "respond: %s\n", err_text(&err));
    }
    buf_deinit(&text);
}

static void op_event(void *data, const struct serf_event *e)
{
    static const char *const kinds[] = {"join", "update", "leave", "failed", "reap"};
    struct node *n = data;
    if (e->kind == SERF_EVENT_USER) {
        buf_printf(&n->news, "user %.*s=%.*s\n", STRF(e->user->name), STRF(e->user->payload));
    } else if (e->kind == SERF_EVENT_QUERY) {
        buf_printf(&n->news, "query %.*s=%.*s\n", STRF(e->query->name), STRF(e->query->payload));
        if (n->answer != NULL) {
            answer(n, e->query);
        }
    } else {
        buf_printf(&n->news, "%s %.*s\n", kinds[e->kind], STRF(e->member->name));
    }
}

static int op_merge(void *data, const struct member *members, size_t count, struct err *err)
{
    const struct node *n = data;
    for (size_t i = 0; i < count; i++) {
        if (n->refuses.n > 0 && str_eq(members[i].name, n->refuses)) {
            return err_set(err, ERR_INVALID, "%.*s is not wanted here", STRF(members[i].name));
        }
    }
    return 0;
}

static void op_status(void *data, const struct member *m)
{
    struct node *n = data;
    buf_printf(&n->statuses, "%.*s %.*s\n", STRF(m->name), STRF(member_status_text(m->status)));
}

static void op_snapshot(void *data, struct str line)
{
    struct node *n = data;
    buf_printf(&n->snapshot, "%.*s\n", STRF(line));
}

static int op_keys_changed(void *data, uint64_t token, struct err *err)
{
    struct node *n = data;
    n->keys_writes++;
    if (n->keys_are_slow) {
        n->keys_token = token;
        return 1;
    }
    return n->keys_fail ? err_set(err, ERR_FAILED, "the disk is full") : 0;
}

static void op_log(void *data, enum swim_log level, struct str text)
{
    struct node *n = data;
    assert_true(str_has_prefix(text, STR("serf: ")) || str_has_prefix(text, STR("memberlist: ")));
    if (level != SWIM_LOG_DEBUG || str_contains(text, STR("Refut"))) {
        buf_printf(&n->log, "%.*s\n", STRF(text));
    }
}

static void op_measure(void *data, enum serf_measure what, struct str name, double value)
{
    struct node *n = data;
    (void)name;
    n->measures[what] += value;
}

static uint64_t op_reconnect_timeout_ns(void *data, const struct member *m)
{
    const struct node *n = data;
    (void)m;
    return n->kept_ms * CLUSTER_MS;
}

static void op_conflict_lost(void *data)
{
    struct node *n = data;
    n->has_lost = true;
}

static const struct serf_ops node_ops = {.event = op_event,
                                         .merge = op_merge,
                                         .status = op_status,
                                         .snapshot = op_snapshot,
                                         .keys_changed = op_keys_changed,
                                         .log = op_log,
                                         .measure = op_measure,
                                         .reconnect_timeout_ns = op_reconnect_timeout_ns,
                                         .conflict_lost = op_conflict_lost};

/* --- nodes ------------------------------------------------------------------------------------ */

struct node *cluster_node(struct cluster *c, const char *name)
{
    assert_true(c->count < CLUSTER_NODES_MAX);
    struct node *n = &c->nodes[c->count++];
    n->cluster = c;
    n->name = name;
    n->address =
        (struct gossip_address){.ip = {127, 0, 0, (uint8_t)c->count}, .size = 4, .port = 8301};
    serf_config_init(&n->config, false);
    /* So few nodes seldom miss what is gossiped with Serf's 4, but they do. */
    n->config.swim.retransmit_mult = 12;
    rng_seed(&n->rng, c->count);
    return n;
}

void node_start(struct node *n)
{
    struct err err;
    const struct serf_options o = {.config = n->config,
                                   .name = str_from_cstr(n->name),
                                   .address = n->address,
                                   .tags = n->tags,
                                   .keys = n->keys,
                                   .has_key_file = n->keys != NULL,
                                   .rng = &n->rng,
                                   .io = &node_io,
                                   .io_data = n,
                                   .ops = &node_ops,
                                   .data = n};
    assert_ok(serf_check(&o, &err));
    n->serf = serf_new(&o, n->cluster->now_ns);
    serf_start(n->serf, n->cluster->now_ns, &n->recovered);
}

struct node *cluster_start(struct cluster *c, const char *name)
{
    struct node *n = cluster_node(c, name);
    node_start(n);
    return n;
}

void node_crash(struct node *n)
{
    struct serf *s = n->serf;
    n->serf = NULL; /* so nothing reaches it */
    (void)serf_free(s);
}

void node_join_as(struct node *n, const struct node *to, bool ignore_old)
{
    serf_join(n->serf, n->cluster->now_ns, &to->address, STR_NULL, ignore_old, 77);
}

void node_join(struct node *n, const struct node *to)
{
    node_join_as(n, to, false);
}

void node_key(struct node *n, char fill)
{
    char key[16];
    struct err err;
    memset(key, fill, sizeof(key));
    n->keys = n->keys != NULL ? n->keys : seal_ring_new();
    assert_ok(seal_ring_add(n->keys, str_make(key, sizeof(key)), &err));
}

const char *node_status(const struct node *n, const char *of)
{
    const struct member *m = serf_find(n->serf, str_from_cstr(of));
    return m == NULL ? "unknown" : member_status_text(m->status).p;
}

bool node_has_logged(const struct node *n, const char *text)
{
    return str_contains(buf_view(&n->log), str_from_cstr(text));
}

/* --- time ------------------------------------------------------------------------------------- */

void cluster_init(struct cluster *c)
{
    memset(c, 0, sizeof(*c));
    c->now_ns = 1000 * CLUSTER_MS;
    list_init(&c->wire);
    rng_seed(&c->rng, 1);
}

void cluster_deinit(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct node *n = &c->nodes[i];
        n->serf = serf_free(n->serf);
        n->keys = seal_ring_free(n->keys);
        buf_deinit(&n->news);
        buf_deinit(&n->statuses);
        buf_deinit(&n->snapshot);
        buf_deinit(&n->log);
    }
    while (!list_is_empty(&c->wire)) {
        struct wire *w = list_entry(list_pop_front(&c->wire), struct wire, link);
        if (w->pipe != NULL) {
            pipe_unref(w->pipe);
        }
        (void)mem_free(w);
    }
}

uint64_t cluster_now_ms(const struct cluster *c)
{
    return c->now_ns / CLUSTER_MS - 1000;
}

static struct node *next_due(struct cluster *c, uint64_t *ret_at_ns)
{
    struct node *first = NULL;
    *ret_at_ns = UINT64_MAX;
    for (size_t i = 0; i < c->count; i++) {
        struct node *n = &c->nodes[i];
        uint64_t at_ns = n->serf != NULL ? serf_deadline_ns(n->serf) : UINT64_MAX;
        if (at_ns < *ret_at_ns) {
            *ret_at_ns = at_ns;
            first = n;
        }
    }
    return first;
}

void cluster_run(struct cluster *c, uint64_t ms)
{
    uint64_t end_ns = c->now_ns + ms * CLUSTER_MS;
    for (unsigned steps = 0;; steps++) {
        uint64_t due_ns;
        struct node *due = next_due(c, &due_ns);
        struct wire *w =
            list_is_empty(&c->wire) ? NULL : list_entry(c->wire.next, struct wire, link);
        uint64_t wire_ns = w != NULL ? w->at_ns : UINT64_MAX;
        assert_true(steps < STEPS_MAX);
        if (MIN(due_ns, wire_ns) > end_ns) {
            break;
        }
        c->now_ns = MAX(c->now_ns, MIN(due_ns, wire_ns));
        if (wire_ns <= due_ns) {
            list_remove(&w->link);
            deliver(c, w);
        } else {
            serf_tick(due->serf, c->now_ns);
            assert_true(serf_deadline_ns(due->serf) > due_ns || due_ns == 0);
        }
    }
    c->now_ns = end_ns;
}

void assert_text_(struct buf *actual, const char *expected, const char *file, int line)
{
    struct str got = buf_view(actual), want = str_from_cstr(expected);
    if (!str_eq(got, want)) {
        print_error("got:\n%.*swant:\n%.*s", STRF(got), STRF(want));
        _fail(file, line);
    }
    buf_clear(actual);
}
