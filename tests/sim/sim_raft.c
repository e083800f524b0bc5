/* sim_raft - a whole cluster in one thread, in virtual time, from one seed.
 *
 * The servers are the real core, log, vote file and snapshot store; what is simulated is the disk
 * (tests/raft/sim_io), the network and the clock. Messages are lost, delayed, reordered and
 * duplicated, links are cut (also one way), servers die at any moment and lose what was not synced,
 * disks fill up or are slow, clocks drift, the membership changes, leadership is handed over.
 *
 * Checked all the time: no two leaders in a term, an entry applied at an index is the same
 * everywhere and for ever, whatever was acknowledged stays, acknowledgements and verified reads are
 * in the order of real time. In the end everything heals, and the cluster must then work.
 *
 *     sim_raft                  the seeds of the test
 *     sim_raft 1234             one seed
 *     sim_raft 1 100000         a range
 */
#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/vec.h"
#include "raft/core/core.h"
#include "raft/log.h"
#include "raft/snapshot.h"
#include "raft/stable.h"
#include "sim_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SERVERS 5
#define INDEX_MAX 60000u
#define TIME_MAX_MS 40000u
#define HEAL_MS 30000u
#define SEGMENT_SIZE 4096u

/* --- what happens when --- */

enum sim_kind {
    SIM_REQUEST,     /* msg arrives at `to` */
    SIM_RESULT,      /* msg comes back to `to` */
    SIM_UNREACHABLE, /* `to` learns that `from` did not answer */
    SIM_TICK,
    SIM_SYNCED,    /* the disk of `to` is done */
    SIM_INSTALLED, /* a received snapshot is stored */
    SIM_RESTART,
    SIM_CLIENT,
    SIM_FAULT,
};

struct sim_event {
    uint64_t at_us, sequence;
    enum sim_kind kind;
    int from, to;
    uint64_t epoch; /* of the life of `to` it was meant for; 0: any */
    uint64_t from_epoch;
    struct raft_msg msg;
    bool no_reply;
    char *bytes; /* entries' data, or a snapshot's */
    struct str blob;
    struct raft_entry *entries;
};

struct rpc { /* a request being served */
    uint64_t token;
    int from;
    uint64_t from_epoch;
    struct raft_msg request;
    struct str blob; /* of INSTALL */
    bool no_reply;
};

struct op {
    uint64_t id, floor, index, term; /* floor: the highest index acknowledged when it was made */
};

struct read {
    uint64_t token, floor;
    bool ready;
};

struct server {
    int number;
    char id[16], address[32];
    struct sim_io *io;
    bool is_up;
    uint64_t epoch;
    double rate; /* of its clock */
    struct raft_core *core;
    struct raft_log *log;
    struct raft_stable *stable;
    struct raft_snapshots *snapshots;
    struct raft_log_batch *batch;
    bool log_failed;
    uint64_t tick_at_us;

    uint64_t applied_index, hash, snapshot_index;
    VEC(struct rpc) rpcs;
    VEC(struct op) ops;
    VEC(struct read) reads;
    uint64_t token;
    VEC(struct raft_core_event) todo; /* of its own making */
};

struct applied {
    uint64_t term, hash, id;
};

struct sim {
    uint64_t seed, now_us, sequence;
    struct rng rng;
    VEC(struct sim_event *) heap;
    struct server servers[SERVERS];
    bool cut[SERVERS][SERVERS]; /* messages from, to are lost */
    uint64_t last_us[SERVERS][SERVERS];
    double loss, duplicate, slow_disk;
    uint64_t delay_us;
    bool is_ordered, has_pre_vote, changes_members, hands_over, is_healing;

    struct applied applied[INDEX_MAX]; /* by index: the truth */
    uint64_t applied_max, acked_max, next_id, acked, reads, elections, installs;
    VEC(uint64_t) leader_terms; /* per term: server + 1 */
};

static struct sim *current;

static void sim_fail(const char *what, uint64_t a, uint64_t b)
{
    fprintf(stderr,
            "# FAILED: %s (%" PRIu64 ", %" PRIu64 ") at %.3f s. Replay: sim_raft %" PRIu64 "\n",
            what, a, b, (double)current->now_us / 1e6, current->seed);
    abort();
}

#define CHECK(expr, a, b)              \
    do {                               \
        if (!(expr)) {                 \
            sim_fail(#expr, (a), (b)); \
        }                              \
    } while (0)

static bool chance(struct sim *s, double p)
{
    return rng_f64(&s->rng) < p;
}

/* --- the queue: a binary heap by time, then by age --- */

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static struct sim_event *event_new(struct sim *s, enum sim_kind kind, uint64_t delay_us, int from,
                                   int to)
{
    struct sim_event *e = xcalloc(1, sizeof(*e));
    e->kind = kind;
    e->at_us = s->now_us + delay_us;
    e->sequence = s->sequence++;
    e->from = from;
    e->to = to;
    if (to >= 0) {
        e->epoch = s->servers[to].epoch;
    }
    if (from >= 0) {
        e->from_epoch = s->servers[from].epoch;
    }
    return e;
}

static void event_free(struct sim_event *e)
{
    mem_free(e->bytes);
    mem_free(e->entries);
    mem_free((void *)e->blob.p);
    mem_free(e);
}

static void event_push(struct sim *s, struct sim_event *e)
{
    vec_push(&s->heap, e);
    size_t i = s->heap.n - 1;
    while (i > 0 && event_before(s->heap.v[i], s->heap.v[(i - 1) / 2])) {
        struct sim_event *x = s->heap.v[i];
        s->heap.v[i] = s->heap.v[(i - 1) / 2];
        s->heap.v[(i - 1) / 2] = x;
        i = (i - 1) / 2;
    }
}

static struct sim_event *event_pop(struct sim *s)
{
    struct sim_event *first = s->heap.v[0];
    s->heap.v[0] = s->heap.v[--s->heap.n];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < s->heap.n; k++) {
            if (event_before(s->heap.v[k], s->heap.v[least])) {
                least = k;
            }
        }
        if (least == i) {
            return first;
        }
        struct sim_event *x = s->heap.v[i];
        s->heap.v[i] = s->heap.v[least];
        s->heap.v[least] = x;
        i = least;
    }
}

/* --- the network --- */

static int server_of(const struct sim *s, struct str id)
{
    for (int i = 0; i < SERVERS; i++) {
        if (str_eq(str_from_cstr(s->servers[i].id), id) ||
            str_eq(str_from_cstr(s->servers[i].address), id)) {
            return i;
        }
    }
    return -1;
}

static bool lost(struct sim *s, int from, int to)
{
    return s->cut[from][to] || chance(s, s->loss);
}

static uint64_t delay(struct sim *s, int from, int to, bool ordered)
{
    uint64_t d = 50 + rng_below(&s->rng, s->delay_us);
    if (chance(s, 0.01)) {
        d += rng_below(&s->rng, 20 * s->delay_us);
    }
    if (ordered && s->now_us + d <= s->last_us[from][to]) {
        d = s->last_us[from][to] - s->now_us + 1;
    }
    if (ordered) {
        s->last_us[from][to] = s->now_us + d;
    }
    return d;
}

static void unreachable_later(struct sim *s, int who, int whom, uint64_t epoch)
{
    struct sim_event *e =
        event_new(s, SIM_UNREACHABLE, 20000 + rng_below(&s->rng, 200000), whom, who);
    e->epoch = epoch;
    event_push(s, e);
}

static void send_request(struct sim *s, struct server *from, const struct raft_core_output *o)
{
    int to = server_of(s, o->server);
    if (to < 0) {
        return;
    }
    const struct raft_msg *m = &o->msg;
    bool is_heartbeat = m->kind == RAFT_MSG_APPEND && m->append.prev_index + m->append.count == 0;
    bool ordered = s->is_ordered && m->kind == RAFT_MSG_APPEND && !is_heartbeat;
    int copies = chance(s, s->duplicate) ? 2 : 1;
    for (int copy = 0; copy < copies; copy++) {
        struct sim_event *e =
            event_new(s, SIM_REQUEST, delay(s, from->number, to, ordered), from->number, to);
        e->epoch = 0;
        e->msg = *m;
        e->no_reply = copy > 0;
        if (m->kind == RAFT_MSG_APPEND) { /* outlive the core that lent them */
            e->msg.append.leader = str_from_cstr(from->address);
        } else if (m->kind == RAFT_MSG_VOTE) {
            e->msg.vote.candidate = str_from_cstr(from->address);
        } else if (m->kind == RAFT_MSG_INSTALL) {
            e->msg.install.leader = str_from_cstr(from->address);
        }
        if (m->kind == RAFT_MSG_APPEND && m->append.count > 0) {
            uint64_t count = m->append.count, got = 0;
            e->entries = xcalloc(count, sizeof(*e->entries));
            while (got < count) {
                struct err err = {0};
                int n = raft_log_read(from->log, m->append.prev_index + 1 + got, count - got,
                                      1 << 20, e->entries + got, &err);
                if (n <= 0 && from->log_failed) { /* the core is about to hear of it */
                    for (uint64_t i = 0; i < got; i++) {
                        mem_free((void *)e->entries[i].data.p);
                    }
                    event_free(e);
                    unreachable_later(s, from->number, to, from->epoch);
                    return;
                }
                CHECK(n > 0, m->append.prev_index, got);
                for (uint64_t i = got; i < got + (uint64_t)n;
                     i++) { /* borrowed until the next read */
                    e->entries[i].data = str_make(
                        xmemdup(e->entries[i].data.p, e->entries[i].data.n), e->entries[i].data.n);
                }
                got += (uint64_t)n;
            }
            size_t size = 0;
            for (uint64_t i = 0; i < count; i++) {
                size += e->entries[i].data.n;
            }
            e->bytes = xmalloc(size + 1);
            for (uint64_t i = 0, at = 0; i < count; i++) {
                struct str *d = &e->entries[i].data;
                memcpy(e->bytes + at, d->p, d->n);
                mem_free((void *)d->p);
                d->p = e->bytes + at;
                at += d->n;
            }
            e->msg.append.entries = e->entries;
        }
        if (m->kind == RAFT_MSG_INSTALL) {
            struct raft_snapshot_meta meta;
            struct err err = {0};
            if (raft_snapshots_list(from->snapshots, &meta, 1, &err) != 1 ||
                raft_snapshot_read(from->snapshots, &meta, &e->blob, &err) < 0) {
                event_free(e);
                unreachable_later(s, from->number, to, from->epoch);
                return;
            }
            e->msg.install.index = meta.index;
            e->msg.install.term = meta.term;
            e->msg.install.configuration = meta.configuration;
            e->msg.install.configuration_index = meta.configuration_index;
        }
        if (lost(s, from->number, to)) {
            event_free(e);
            if (copy == 0) {
                unreachable_later(s, from->number, to, from->epoch);
            }
        } else {
            event_push(s, e);
        }
    }
}

static void send_result(struct sim *s, struct server *sv, const struct raft_msg *m)
{
    for (size_t i = 0; i < sv->rpcs.n; i++) {
        struct rpc rpc = sv->rpcs.v[i];
        if (rpc.token != m->token) {
            continue;
        }
        mem_free((void *)rpc.blob.p);
        sv->rpcs.v[i] = sv->rpcs.v[--sv->rpcs.n];
        if (rpc.no_reply) {
            return;
        }
        struct sim_event *e =
            event_new(s, SIM_RESULT, delay(s, sv->number, rpc.from, false), sv->number, rpc.from);
        e->epoch = rpc.from_epoch;
        e->msg = *m;
        e->msg.token = rpc.request.token;
        if (m->kind == RAFT_MSG_APPEND_RESULT) {
            e->msg.append_result.prev_index = rpc.request.append.prev_index;
            e->msg.append_result.count = rpc.request.append.count;
            e->msg.append_result.round = rpc.request.token;
        } else if (m->kind == RAFT_MSG_INSTALL_RESULT) {
            e->msg.install_result.index = rpc.request.install.index;
        }
        if (lost(s, sv->number, rpc.from)) {
            event_free(e);
            unreachable_later(s, rpc.from, sv->number, rpc.from_epoch);
        } else {
            event_push(s, e);
        }
        return;
    }
    sim_fail("a reply to no request", m->token, m->kind);
}

/* --- a server --- */

static uint64_t server_now_ms(const struct sim *s, const struct server *sv)
{
    return (uint64_t)((double)s->now_us * sv->rate / 1000.0);
}

static void apply(struct sim *s, struct server *sv, const struct raft_entry *e)
{
    uint64_t id = e->data.n >= 8 ? get_le64(e->data.p) : 0;
    uint64_t hash = fnv1a64(e->data) * 31 + e->term * 7 + e->type;
    CHECK(e->index < INDEX_MAX, e->index, 0);
    struct applied *a = &s->applied[e->index];
    if (a->term == 0) {
        *a = (struct applied){e->term, hash, id};
        CHECK(e->index == s->applied_max + 1, e->index, s->applied_max);
        s->applied_max = e->index;
    }
    CHECK(a->term == e->term && a->hash == hash, e->index, (uint64_t)sv->number);
    sv->hash = sv->hash * 31 + hash;
    sv->applied_index = e->index;
    for (size_t i = 0; i < sv->ops.n; i++) {
        struct op op = sv->ops.v[i];
        if (op.index != e->index) {
            continue;
        }
        sv->ops.v[i] = sv->ops.v[--sv->ops.n];
        if (op.term == e->term) { /* answered: it took place after all that was answered before */
            CHECK(op.id == id, op.id, id);
            CHECK(op.index > op.floor, op.index, op.floor);
            s->acked_max = MAX(s->acked_max, op.index);
            s->acked++;
        }
        return;
    }
}

static void server_apply(struct sim *s, struct server *sv, uint64_t index)
{
    struct raft_entry entries[32];
    struct err err = {0};
    CHECK(index >= sv->applied_index, index, sv->applied_index);
    while (sv->applied_index < index) {
        uint64_t left = index - sv->applied_index;
        int n = raft_log_read(sv->log, sv->applied_index + 1, MIN(left, (uint64_t)32), 1 << 20,
                              entries, &err);
        CHECK(n > 0, sv->applied_index, index);
        for (int i = 0; i < n; i++) {
            apply(s, sv, &entries[i]);
        }
    }
}

static void server_todo(struct server *sv, struct raft_core_event e)
{
    vec_push(&sv->todo, e);
}

static void server_durable(struct server *sv)
{
    uint64_t index = raft_log_durable_index(sv->log);
    server_todo(sv, (struct raft_core_event){.kind = RAFT_EVENT_DURABLE,
                                             .index = index,
                                             .term = raft_log_term(sv->log, index)});
}

static void batch_finish(struct sim *s, struct server *sv)
{
    struct err err = {0};
    struct raft_log_batch *b = TAKE(sv->batch);
    if (!s->is_healing &&
        chance(s, 0.002)) { /* the disk is full: this write fails, the next may not */
        sv->io->fail_at = sv->io->ops + 1;
        sv->io->fail_error = ENOSPC;
    }
    int r = raft_log_batch_write(b, &err);
    sv->io->fail_at = 0;
    raft_log_batch_end(sv->log, b, r);
    if (r < 0) {
        sv->log_failed = true;
        server_todo(sv, (struct raft_core_event){.kind = RAFT_EVENT_LOG_FAILED,
                                                 .index = raft_log_last_index(sv->log)});
    } else {
        server_durable(sv);
    }
}

static void batch_start(struct sim *s, struct server *sv)
{
    if (sv->batch != NULL || (sv->batch = raft_log_batch_begin(sv->log)) == NULL) {
        return;
    }
    uint64_t d = 100 + rng_below(&s->rng, 300);
    if (chance(s, s->slow_disk)) {
        d += rng_below(&s->rng, 400000);
    }
    event_push(s, event_new(s, SIM_SYNCED, d, -1, sv->number));
}

static void batches_finish(struct sim *s, struct server *sv)
{
    while (!sv->log_failed &&
           (sv->batch != NULL || (sv->batch = raft_log_batch_begin(sv->log)) != NULL)) {
        batch_finish(s, sv);
    }
}

static void server_append(struct server *sv, struct raft_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (sv->log_failed || raft_log_append(sv->log, &entries[i]) < 0) {
            sv->log_failed = true;
            server_todo(sv, (struct raft_core_event){.kind = RAFT_EVENT_LOG_FAILED,
                                                     .index = raft_log_last_index(sv->log)});
            return;
        }
    }
}

static void on_role(struct sim *s, struct server *sv, const struct raft_core_output *o)
{
    if (o->state != RAFT_LEADER) {
        sv->ops.n = 0; /* their outcome is unknown to who asked */
        return;
    }
    while (s->leader_terms.n <= o->term) {
        vec_push(&s->leader_terms, 0);
    }
    uint64_t *leader = &s->leader_terms.v[o->term];
    CHECK(*leader == 0 || *leader == (uint64_t)sv->number + 1, o->term, *leader);
    s->elections += *leader == 0;
    *leader = (uint64_t)sv->number + 1;
    /* It has everything that was ever applied anywhere. */
    CHECK(raft_core_last_index(sv->core) >= s->applied_max, raft_core_last_index(sv->core),
          s->applied_max);
}

static void on_install(struct sim *s, struct server *sv, const struct raft_core_output *o)
{
    struct sim_event *e =
        event_new(s, SIM_INSTALLED, 1000 + rng_below(&s->rng, 200000), -1, sv->number);
    e->msg = o->msg;
    for (size_t i = 0; i < sv->rpcs.n; i++) {
        if (sv->rpcs.v[i].token == o->msg.token) {
            e->blob = sv->rpcs.v[i].blob;
            sv->rpcs.v[i].blob = STR_NULL;
        }
    }
    event_push(s, e);
}

static void on_verified(struct sim *s, struct server *sv, const struct raft_core_output *o)
{
    for (size_t i = 0; i < sv->reads.n; i++) {
        struct read r = sv->reads.v[i];
        if (r.token == o->token) {
            sv->reads.v[i] = sv->reads.v[--sv->reads.n];
            if (o->code == 0 && r.ready) {
                CHECK(sv->applied_index >= r.floor, sv->applied_index, r.floor);
                s->reads++;
            }
            return;
        }
    }
    sim_fail("verified what nobody asked", o->token, 0);
}

static void server_do(struct sim *s, struct server *sv, const struct raft_core_output *o)
{
    struct err err = {0};
    struct raft_stable_state state;
    switch (o->kind) {
    case RAFT_OUT_PERSIST:
        state = *raft_stable_get(sv->stable);
        CHECK(o->term >= state.term, o->term, state.term);
        state.term = o->term;
        memset(state.voted_for, 0, sizeof(state.voted_for));
        memcpy(state.voted_for, o->server.p, o->server.n);
        CHECK(raft_stable_set(sv->stable, &state, &err) == 0, 0, 0);
        break;
    case RAFT_OUT_TRUNCATE:
        CHECK(o->index > sv->applied_index, o->index, sv->applied_index);
        batches_finish(s, sv);
        if (!sv->log_failed) {
            CHECK(raft_log_truncate(sv->log, o->index, &err) == 0, o->index, 0);
        }
        break;
    case RAFT_OUT_APPEND:
        server_append(sv, o->entries, o->count);
        break;
    case RAFT_OUT_RESET:
        batches_finish(s, sv);
        CHECK(raft_log_reset(sv->log, o->index, &err) == 0, o->index, 0);
        break;
    case RAFT_OUT_SEND:
        send_request(s, sv, o);
        break;
    case RAFT_OUT_REPLY:
        send_result(s, sv, &o->msg);
        break;
    case RAFT_OUT_COMMIT:
        server_apply(s, sv, o->index);
        break;
    case RAFT_OUT_ROLE:
        on_role(s, sv, o);
        break;
    case RAFT_OUT_INSTALL:
        on_install(s, sv, o);
        break;
    case RAFT_OUT_VERIFIED:
        on_verified(s, sv, o);
        break;
    case RAFT_OUT_CONFIGURATION:
    case RAFT_OUT_TRANSFERRED:
        break;
    }
}

static void server_schedule(struct sim *s, struct server *sv)
{
    uint64_t at = (uint64_t)((double)(raft_core_deadline_ms(sv->core) + 1) * 1000.0 / sv->rate) + 1;
    at = MAX(at, s->now_us + 500);
    if (sv->tick_at_us <= s->now_us || at < sv->tick_at_us) {
        sv->tick_at_us = at;
        event_push(s, event_new(s, SIM_TICK, at - s->now_us, -1, sv->number));
    }
}

static int server_step(struct sim *s, struct server *sv, struct raft_core_event event)
{
    struct raft_core_out out = {0};
    struct err err = {0};
    event.now_ms = server_now_ms(s, sv);
    int r = raft_core_step(sv->core, &event, &out, &err);
    for (size_t i = 0; i < out.n; i++) {
        server_do(s, sv, &out.v[i]);
    }
    raft_core_out_deinit(&out);
    return r;
}

/* A step, and all that follows from it on this server at once. */
static int server_event(struct sim *s, struct server *sv, struct raft_core_event event)
{
    int r = server_step(s, sv, event);
    for (size_t i = 0; i < sv->todo.n; i++) {
        (void)server_step(s, sv, sv->todo.v[i]);
    }
    sv->todo.n = 0;
    if (!sv->log_failed) {
        batch_start(s, sv);
    }
    server_schedule(s, sv);
    return r;
}

static void snapshot_put(char to[24], const struct server *sv)
{
    put_le64(to, sv->applied_index);
    put_le64(to + 8, sv->hash);
    put_le64(to + 16, 0x1234);
}

static void server_restore(struct server *sv, struct str bytes, uint64_t index)
{
    CHECK(bytes.n == 24 && get_le64(bytes.p) == index, bytes.n, index);
    sv->applied_index = index;
    sv->hash = get_le64(bytes.p + 8);
}

static int snapshot_store(struct sim *s, struct server *sv, const struct raft_snapshot_meta *meta,
                          struct str bytes)
{
    struct raft_snapshot_sink *sink = NULL;
    struct err err = {0};
    int r = raft_snapshot_create(sv->snapshots, meta, s->now_us, &sink, &err);
    r = r < 0 ? r : raft_snapshot_sink_write(sink, bytes, &err);
    return r < 0 ? r : raft_snapshot_close(sink, NULL, &err);
}

static void server_snapshot(struct sim *s, struct server *sv)
{
    struct raft_snapshot_meta meta = {.index = sv->applied_index,
                                      .term = raft_log_term(sv->log, sv->applied_index)};
    meta.configuration = *raft_core_committed_configuration(sv->core, &meta.configuration_index);
    if (meta.term == 0 || meta.configuration.count == 0 ||
        meta.configuration_index > sv->applied_index) {
        return; /* the configuration of that moment is not known any more: later */
    }
    char bytes[24];
    struct err err = {0};
    snapshot_put(bytes, sv);
    CHECK(snapshot_store(s, sv, &meta, str_make(bytes, sizeof(bytes))) == 0, meta.index, 0);
    sv->snapshot_index = meta.index;
    uint64_t trailing = rng_below(&s->rng, 60);
    if (meta.index > trailing) {
        CHECK(raft_log_compact(sv->log, meta.index - trailing, &err) == 0, meta.index, trailing);
    }
    server_event(s, sv,
                 (struct raft_core_event){.kind = RAFT_EVENT_COMPACTED,
                                          .index = meta.index,
                                          .term = meta.term,
                                          .first_index = raft_log_first_index(sv->log)});
}

static void server_start(struct sim *s, struct server *sv)
{
    struct err err = {0};
    struct raft_log_options log_options = {.io = &sv->io->io,
                                           .dir = "log",
                                           .segment_size = SEGMENT_SIZE,
                                           .cache_size_max = 1 + rng_below(&s->rng, 100000),
                                           .salt_seed = rng_u64(&s->rng) | 1};
    sv->is_up = true;
    sv->epoch++;
    sv->batch = NULL;
    sv->log_failed = false;
    sv->tick_at_us = 0;
    sv->applied_index = sv->hash = sv->snapshot_index = 0;
    int r = raft_log_open(&log_options, &sv->log, &err);
    r = r < 0 ? r : raft_stable_open(&sv->io->io, "state", &sv->stable, &err);
    r = r < 0 ? r : raft_snapshots_open(&sv->io->io, "state", &sv->snapshots, &err);
    if (r < 0) {
        fprintf(stderr, "# %s\n", err_text(&err));
        sim_fail("open", 0, 0);
    }
    struct raft_snapshot_meta meta;
    struct raft_configuration latest = {0}, committed = {0};
    uint64_t latest_index = 0, committed_index = 0, snapshot_term = 0;
    if (raft_snapshots_list(sv->snapshots, &meta, 1, &err) == 1) {
        struct str bytes;
        CHECK(raft_snapshot_read(sv->snapshots, &meta, &bytes, &err) == 0, meta.index, 0);
        server_restore(sv, bytes, meta.index);
        mem_free((void *)bytes.p);
        sv->snapshot_index = meta.index;
        snapshot_term = meta.term;
        latest = committed = meta.configuration;
        latest_index = committed_index = meta.configuration_index;
        uint64_t term = raft_log_term(sv->log, meta.index);
        if (raft_log_last_index(sv->log) < meta.index || (term != 0 && term != meta.term)) {
            CHECK(raft_log_reset(sv->log, meta.index + 1, &err) == 0, meta.index, 0);
        }
    }
    CHECK(raft_log_first_index(sv->log) <= sv->snapshot_index + 1, raft_log_first_index(sv->log),
          sv->snapshot_index);
    for (uint64_t i = raft_log_first_index(sv->log); i <= raft_log_last_index(sv->log); i++) {
        struct raft_entry e;
        CHECK(raft_log_read(sv->log, i, 1, 1, &e, &err) == 1, i, 0);
        if (e.type == RAFT_ENTRY_CONFIGURATION && e.index > latest_index) {
            committed = latest;
            committed_index = latest_index;
            CHECK(raft_configuration_decode(e.data, &latest, &err) == 0, i, 0);
            latest_index = i;
        }
    }
    const struct raft_stable_state *state = raft_stable_get(sv->stable);
    struct raft_core_options o = {.id = str_from_cstr(sv->id),
                                  .address = str_from_cstr(sv->address),
                                  .heartbeat_timeout_ms = 1000,
                                  .election_timeout_ms = 1000,
                                  .lease_timeout_ms = 500,
                                  .commit_timeout_ms = 50,
                                  .pre_vote = s->has_pre_vote,
                                  .seed = rng_u64(&s->rng),
                                  .now_ms = server_now_ms(s, sv),
                                  .term = state->term,
                                  .voted_for = str_from_cstr(state->voted_for),
                                  .snapshot_index = sv->snapshot_index,
                                  .snapshot_term = snapshot_term,
                                  .log_first_index = raft_log_first_index(sv->log),
                                  .log_last_index = raft_log_last_index(sv->log),
                                  .committed = &committed,
                                  .latest = &latest,
                                  .committed_index = committed_index,
                                  .latest_index = latest_index};
    o.runs = raft_log_term_runs(sv->log, &o.runs_count);
    sv->core = raft_core_new(&o);
    server_schedule(s, sv);
}

static void server_stop(struct sim *s, struct server *sv)
{
    if (!sv->is_up) {
        return;
    }
    if (sv->batch != NULL) { /* dies before, in or after the write; never after the sync */
        sv->io->fail_at = sv->io->ops + 1 + rng_below(&s->rng, 3);
        sv->io->fail_stays = true;
        int r = raft_log_batch_write(sv->batch, NULL);
        raft_log_batch_end(sv->log, sv->batch, r);
        sv->io->fail_stays = false;
    }
    sv->is_up = false;
    sv->epoch++;
    sv->core = raft_core_free(sv->core);
    sv->log = raft_log_free(sv->log);
    sv->stable = raft_stable_free(sv->stable);
    sv->snapshots = raft_snapshots_free(sv->snapshots);
    for (size_t i = 0; i < sv->rpcs.n; i++) {
        struct rpc *rpc = &sv->rpcs.v[i];
        if (!rpc->no_reply) {
            unreachable_later(s, rpc->from, sv->number, rpc->from_epoch);
        }
        mem_free((void *)rpc->blob.p);
    }
    sv->rpcs.n = sv->ops.n = sv->reads.n = sv->todo.n = 0;
    sim_io_crash(sv->io);
}

/* --- what happens --- */

static void on_request(struct sim *s, struct sim_event *e)
{
    struct server *sv = &s->servers[e->to];
    if (!sv->is_up || s->cut[e->from][e->to]) {
        if (!e->no_reply) {
            unreachable_later(s, e->from, e->to, e->from_epoch);
        }
        return;
    }
    struct rpc rpc = {.token = ++sv->token,
                      .from = e->from,
                      .from_epoch = e->from_epoch,
                      .request = e->msg,
                      .no_reply = e->no_reply,
                      .blob = e->blob};
    e->blob = STR_NULL;
    struct raft_msg m = e->msg;
    m.token = rpc.token;
    if (m.kind == RAFT_MSG_TIMEOUT_NOW) {
        mem_free((void *)rpc.blob.p);
    } else {
        vec_push(&sv->rpcs, rpc);
    }
    server_event(s, sv, (struct raft_core_event){.kind = RAFT_EVENT_MESSAGE, .msg = &m});
}

static void on_installed(struct sim *s, struct server *sv, struct sim_event *e)
{
    struct raft_snapshot_meta meta = {.index = e->msg.install.index,
                                      .term = e->msg.install.term,
                                      .configuration = e->msg.install.configuration,
                                      .configuration_index = e->msg.install.configuration_index};
    bool ok = e->blob.n == 24 && !chance(s, 0.1);
    if (ok && raft_core_commit_index(sv->core) < meta.index) {
        CHECK(snapshot_store(s, sv, &meta, e->blob) == 0, meta.index, 0);
        server_restore(sv, e->blob, meta.index);
        sv->snapshot_index = meta.index;
        s->installs++;
    }
    server_event(s, sv,
                 (struct raft_core_event){.kind = RAFT_EVENT_INSTALLED,
                                          .ok = ok,
                                          .index = meta.index,
                                          .term = meta.term,
                                          .configuration = &meta.configuration,
                                          .configuration_index = meta.configuration_index});
}

static struct server *a_leader(struct sim *s)
{
    int start = (int)rng_below(&s->rng, SERVERS);
    for (int i = 0; i < SERVERS; i++) {
        struct server *sv = &s->servers[(start + i) % SERVERS];
        if (sv->is_up && raft_core_state(sv->core) == RAFT_LEADER) {
            return sv;
        }
    }
    return NULL;
}

static void propose(struct sim *s, struct server *sv)
{
    char bytes[8 * 200];
    struct raft_entry entries[8] = {0};
    size_t count = 1 + rng_below(&s->rng, 8);
    uint64_t first = s->next_id + 1;
    for (size_t i = 0; i < count; i++) {
        size_t n = 8 + rng_below(&s->rng, 190);
        memset(bytes + i * 200, (int)i, n);
        put_le64(bytes + i * 200, ++s->next_id);
        entries[i].data = str_make(bytes + i * 200, n);
    }
    /* Noted before the step: a lone voter may apply within it. */
    uint64_t index = raft_core_last_index(sv->core), floor = s->acked_max;
    for (size_t i = 0; i < count; i++) {
        vec_push(&sv->ops,
                 ((struct op){first + i, floor, index + 1 + i, raft_core_term(sv->core)}));
    }
    if (server_event(s, sv,
                     (struct raft_core_event){
                         .kind = RAFT_EVENT_PROPOSE, .entries = entries, .count = count}) < 0) {
        sv->ops.n -= MIN(sv->ops.n, count);
    }
}

static void on_client(struct sim *s)
{
    struct server *sv = &s->servers[rng_below(&s->rng, SERVERS)];
    if (sv->is_up && sv->applied_index > sv->snapshot_index + 20 && chance(s, 0.02)) {
        server_snapshot(s, sv);
    }
    sv = a_leader(s);
    event_push(s, event_new(s, SIM_CLIENT, 500 + rng_below(&s->rng, 20000), -1, -1));
    if (sv == NULL || s->next_id + 100 > INDEX_MAX / 2) {
        return;
    }
    switch (rng_below(&s->rng, 12)) {
    case 0: {
        struct read r = {++sv->token, s->acked_max, raft_core_is_ready(sv->core)};
        vec_push(&sv->reads, r);
        if (server_event(
                s, sv, (struct raft_core_event){.kind = RAFT_EVENT_VERIFY, .token = r.token}) < 0) {
            sv->reads.n--;
        }
        break;
    }
    case 1:
        if (!s->is_healing && chance(s, s->hands_over ? 0.5 : 0.02)) {
            (void)server_event(s, sv, (struct raft_core_event){.kind = RAFT_EVENT_TRANSFER});
        }
        break;
    case 2:
        if (s->changes_members && !s->is_healing && chance(s, 0.4)) {
            struct server *who = &s->servers[rng_below(&s->rng, SERVERS)];
            uint64_t index;
            const struct raft_configuration *c = raft_core_configuration(sv->core, &index);
            enum raft_change change = (enum raft_change)rng_below(&s->rng, 4);
            bool shrinks = change == RAFT_REMOVE_SERVER || change == RAFT_DEMOTE_VOTER;
            if (!shrinks || raft_configuration_voters(c) > 2) {
                (void)server_event(
                    s, sv,
                    (struct raft_core_event){.kind = RAFT_EVENT_CHANGE,
                                             .change = change,
                                             .server = str_from_cstr(who->id),
                                             .address = str_from_cstr(who->address)});
            }
        }
        break;
    default:
        propose(s, sv);
    }
}

static void on_fault(struct sim *s)
{
    if (s->is_healing) {
        return;
    }
    event_push(s, event_new(s, SIM_FAULT, 20000 + rng_below(&s->rng, 1500000), -1, -1));
    struct server *sv = &s->servers[rng_below(&s->rng, SERVERS)];
    switch (rng_below(&s->rng, 8)) {
    case 0: /* in two halves */
    case 1:
        for (uint64_t side = rng_u64(&s->rng), i = 0; i < SERVERS; i++) {
            for (uint64_t k = 0; k < SERVERS; k++) {
                s->cut[i][k] = (side >> i & 1) != (side >> k & 1);
            }
        }
        break;
    case 2: /* one direction of one link */
        s->cut[rng_below(&s->rng, SERVERS)][rng_below(&s->rng, SERVERS)] = true;
        break;
    case 3:
    case 4:
        memset(s->cut, 0, sizeof(s->cut));
        break;
    case 5: {
        struct server *leader = a_leader(s);
        sv = leader != NULL && chance(s, 0.7) ? leader : sv;
    }
        __attribute__((fallthrough));
    case 6:
        if (sv->is_up) {
            server_stop(s, sv);
            event_push(s, event_new(s, SIM_RESTART,
                                    rng_below(&s->rng, chance(s, 0.5) ? 3000 : 3000000), -1,
                                    sv->number));
        }
        break;
    case 7: /* links as slow as between continents, or not */
        s->delay_us = chance(s, 0.3) ? 200000 : 2000;
        break;
    }
}

static void sim_handle(struct sim *s, struct sim_event *e)
{
    struct server *sv = e->to >= 0 ? &s->servers[e->to] : NULL;
    if (sv != NULL && e->epoch != 0 && e->epoch != sv->epoch) {
        return; /* of a life that is over */
    }
    switch (e->kind) {
    case SIM_REQUEST:
        on_request(s, e);
        break;
    case SIM_RESULT:
    case SIM_UNREACHABLE:
        if (sv->is_up) {
            server_event(s, sv,
                         (struct raft_core_event){.kind = e->kind == SIM_RESULT
                                                              ? RAFT_EVENT_MESSAGE
                                                              : RAFT_EVENT_UNREACHABLE,
                                                  .server = str_from_cstr(s->servers[e->from].id),
                                                  .msg = &e->msg});
        }
        break;
    case SIM_TICK:
        if (sv->log_failed && raft_log_repair(sv->log, NULL) == 0) {
            sv->log_failed = false;
        }
        server_event(s, sv, (struct raft_core_event){.kind = RAFT_EVENT_TICK});
        break;
    case SIM_SYNCED:
        if (sv->batch != NULL) {
            batch_finish(s, sv);
            struct raft_core_event first = sv->todo.v[0];
            memmove(sv->todo.v, sv->todo.v + 1, --sv->todo.n * sizeof(first));
            server_event(s, sv, first);
        }
        break;
    case SIM_INSTALLED:
        on_installed(s, sv, e);
        break;
    case SIM_RESTART:
        if (!sv->is_up) {
            server_start(s, sv);
        }
        break;
    case SIM_CLIENT:
        on_client(s);
        break;
    case SIM_FAULT:
        on_fault(s);
        break;
    }
}

static void sim_run(struct sim *s, uint64_t until_us)
{
    while (s->heap.n > 0 && s->heap.v[0]->at_us <= until_us) {
        struct sim_event *e = event_pop(s);
        s->now_us = e->at_us;
        sim_handle(s, e);
        event_free(e);
    }
    s->now_us = until_us;
}

static void server_bootstrap(struct server *sv, const struct raft_configuration *c)
{
    struct raft_log_options o = {
        .io = &sv->io->io, .dir = "log", .segment_size = SEGMENT_SIZE, .salt_seed = 1};
    struct raft_log *log = NULL;
    struct buf b = {0};
    raft_configuration_encode(c, &b);
    struct raft_entry e = {
        .index = 1, .term = 1, .type = RAFT_ENTRY_CONFIGURATION, .data = buf_view(&b)};
    CHECK(raft_log_open(&o, &log, NULL) == 0, 0, 0);
    CHECK(raft_log_append_sync(log, &e, NULL) == 0, 0, 0);
    raft_log_free(log);
    buf_deinit(&b);
}

static void sim_heal(struct sim *s)
{
    s->is_healing = true;
    s->loss = s->duplicate = s->slow_disk = 0;
    s->is_ordered = true;
    s->delay_us = 1000;
    memset(s->cut, 0, sizeof(s->cut));
    for (int i = 0; i < SERVERS; i++) {
        if (!s->servers[i].is_up) {
            server_start(s, &s->servers[i]);
        }
    }
}

/* One leader, that acknowledges; every member has what it has. */
static void sim_check_end(struct sim *s, uint64_t acked_before)
{
    CHECK(s->acked > acked_before, s->acked, acked_before);
    struct server *leader = a_leader(s);
    CHECK(leader != NULL, 0, 0);
    uint64_t index;
    const struct raft_configuration *c = raft_core_configuration(leader->core, &index);
    uint64_t behind = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        struct server *sv = &s->servers[server_of(s, str_from_cstr(c->servers[i].id))];
        CHECK(sv->applied_index + 500 > leader->applied_index, sv->applied_index,
              leader->applied_index);
        behind += sv->applied_index < leader->applied_index;
        if (sv->applied_index == leader->applied_index) {
            CHECK(sv->hash == leader->hash, sv->applied_index, (uint64_t)sv->number);
        }
    }
    (void)behind;
}

static void sim_seed(uint64_t seed, bool is_loud)
{
    struct sim *s = xcalloc(1, sizeof(*s));
    current = s;
    s->seed = seed;
    rng_seed(&s->rng, seed);
    s->loss = chance(s, 0.5) ? rng_f64(&s->rng) * 0.1 : 0;
    s->duplicate = chance(s, 0.3) ? 0.05 : 0;
    s->slow_disk = chance(s, 0.5) ? 0.02 : 0;
    s->delay_us = 200 + rng_below(&s->rng, chance(s, 0.2) ? 100000 : 5000);
    s->is_ordered = chance(s, 0.7);
    s->has_pre_vote = chance(s, 0.7);
    s->changes_members = chance(s, 0.6);
    s->hands_over = chance(s, 0.3);
    uint64_t voters = 1 + rng_below(&s->rng, SERVERS);
    struct raft_configuration c = {0};
    for (int i = 0; i < SERVERS; i++) {
        struct server *sv = &s->servers[i];
        sv->number = i;
        snprintf(sv->id, sizeof(sv->id), "id%d", i);
        snprintf(sv->address, sizeof(sv->address), "10.0.0.%d:8300", i);
        sv->io = sim_io_new(rng_u64(&s->rng));
        sv->rate = 0.95 + rng_f64(&s->rng) * 0.1;
        if ((uint64_t)i < voters) {
            CHECK(raft_configuration_add(&c, RAFT_VOTER, str_from_cstr(sv->id),
                                         str_from_cstr(sv->address), NULL) == 0,
                  0, 0);
        }
    }
    for (int i = 0; i < SERVERS; i++) {
        if ((uint64_t)i < voters) {
            server_bootstrap(&s->servers[i], &c);
        }
        server_start(s, &s->servers[i]);
    }
    event_push(s, event_new(s, SIM_CLIENT, 0, -1, -1));
    event_push(s, event_new(s, SIM_FAULT, 1000000, -1, -1));
    sim_run(s, TIME_MAX_MS * 1000ull);
    uint64_t acked = s->acked;
    sim_heal(s);
    sim_run(s, (TIME_MAX_MS + HEAL_MS) * 1000ull);
    sim_check_end(s, acked);
    if (is_loud) {
        printf("# seed %" PRIu64 ": %" PRIu64 " applied, %" PRIu64 " acknowledged (%" PRIu64
               " when healed), %" PRIu64 " reads, %" PRIu64 " elections, %" PRIu64 " installs\n",
               seed, s->applied_max, s->acked, s->acked - acked, s->reads, s->elections,
               s->installs);
    }
    for (int i = 0; i < SERVERS; i++) {
        struct server *sv = &s->servers[i];
        server_stop(s, sv);
        sim_io_free(sv->io);
        vec_deinit(&sv->rpcs);
        vec_deinit(&sv->ops);
        vec_deinit(&sv->reads);
        vec_deinit(&sv->todo);
    }
    for (size_t i = 0; i < s->heap.n; i++) {
        event_free(s->heap.v[i]);
    }
    vec_deinit(&s->heap);
    vec_deinit(&s->leader_terms);
    mem_free(s);
}

int main(int argc, char **argv)
{
    uint64_t first = 1, last = 12;
    if (argc > 1) {
        if (str_parse_u64(str_from_cstr(argv[1]), &first) < 0 ||
            (argc > 2 && str_parse_u64(str_from_cstr(argv[2]), &last) < 0)) {
            fprintf(stderr, "usage: sim_raft [first seed [last seed]]\n");
            return 2;
        }
        last = argc > 2 ? last : first;
    }
    printf("1..1\n");
    fflush(stdout);
    for (uint64_t seed = first; seed <= last; seed++) {
        sim_seed(seed, true);
        fflush(stdout);
    }
    printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n", first, last);
    return 0;
}
