#include "test.h"

#include "base/mem.h"
#include "raft/raft.h"
#include "raft/snapshot.h"
#include "sim_io.h"
#include "toy_fsm.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

struct fixture {
    struct sim_io *s; /* NULL: in memory */
    struct toy toy;
    struct raft *r;
    _Atomic int leader, changes;
    uint64_t threshold, interval_ms, trailing;
    bool no_bootstrap;
    const struct raft_configuration *recover;
};

static void on_leadership(void *data, bool is_leader)
{
    struct fixture *f = data;
    atomic_store(&f->leader, is_leader);
    atomic_fetch_add(&f->changes, 1);
}

static int try_start(struct fixture *f, struct err *err)
{
    toy_init(&f->toy);
    struct raft_options o = {.in_memory = f->s == NULL,
                             .io = f->s != NULL ? &f->s->io : NULL,
                             .data_dir = "raft",
                             .bootstrap = !f->no_bootstrap,
                             .recover = f->recover,
                             .local_id = STR("8b8d0c6e-id"),
                             .local_address = STR("127.0.0.1:8300"),
                             .snapshot_threshold = f->threshold,
                             .snapshot_interval_ms = f->interval_ms,
                             .trailing_logs = f->trailing,
                             .ops = &f->toy.ops,
                             .fsm = &f->toy,
                             .leadership = on_leadership,
                             .leadership_data = f};
    return raft_start(&o, &f->r, err);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static void start(struct fixture *f)
{
    struct err err = {0};
    if (try_start(f, &err) < 0) {
        print_error("%s\n", err_text(&err));
        fail();
    }
    while (!raft_is_leader(f->r)) {
        nap();
    }
}

static void stop(struct fixture *f)
{
    raft_stop(f->r);
    f->r = raft_free(f->r);
}

static struct raft_status status(struct fixture *f)
{
    struct raft_status s;
    raft_status(f->r, &s);
    return s;
}

static void test_memory(void **state)
{
    (void)state;
    struct fixture f = {0};
    start(&f);
    static struct toy_proposal p[3000];
    for (uint64_t i = 0; i < ARRAY_SIZE(p); i++) {
        toy_propose(f.r, &f.toy, &p[i], i);
    }
    struct toy_proposal barrier;
    toy_barrier(f.r, &f.toy, &barrier);
    assert_int_equal(toy_wait(&barrier), 0);
    for (uint64_t i = 0; i < ARRAY_SIZE(p); i++) {
        assert_int_equal(toy_wait(&p[i]), 0); /* all before the barrier are applied, in order */
        assert_true(p[i].index == 3 + i && p[i].result == i + 1);
    }
    struct raft_status s = status(&f);
    assert_true(s.state == RAFT_LEADER && s.term == 2 && s.peers == 0);
    assert_true(s.applied_index == 3003 && s.commit_index == 3003 && s.last_log_index == 3003);
    assert_int_equal(s.last_log_term, 2);
    assert_string_equal(s.leader_address, "127.0.0.1:8300");
    assert_string_equal(s.leader_id, "8b8d0c6e-id");
    assert_int_equal(s.configuration_index, 1);
    struct raft_configuration c;
    uint64_t index;
    raft_get_configuration(f.r, &c, &index);
    assert_true(index == 1 && c.count == 1 && c.servers[0].suffrage == RAFT_VOTER);
    assert_string_equal(c.servers[0].id, "8b8d0c6e-id");
    assert_int_equal(atomic_load(&f.leader), 1);
    raft_stop(f.r);
    assert_int_equal(atomic_load(&f.leader), 0);
    assert_false(raft_is_leader(f.r));
    assert_int_equal(toy_apply(f.r, &f.toy, 1), -ERR_CLOSED);
    f.r = raft_free(f.r);
}

/* In memory the log does not grow with what goes through it. */
static void test_memory_is_bounded(void **state)
{
    (void)state;
    struct fixture f = {0};
    start(&f);
    static struct toy_proposal p[5000];
    uint64_t snapshot = 0;
    for (int round = 0; round < 30; round++) {
        for (uint64_t i = 0; i < ARRAY_SIZE(p); i++) {
            toy_propose(f.r, &f.toy, &p[i], i);
        }
        for (uint64_t i = 0; i < ARRAY_SIZE(p); i++) {
            assert_int_equal(toy_wait(&p[i]), 0);
        }
        assert_true(status(&f).last_snapshot_index >= snapshot);
        snapshot = status(&f).last_snapshot_index;
    }
    assert_true(snapshot > 100000 / 2);
    assert_int_equal(f.toy.snapshots, 0); /* nobody would read it */
    stop(&f);
}

/* What was answered is there again after a restart, clean or not, and terms go up. */
static void test_restart(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct fixture f = {.s = sim_io_new(seed)};
        uint64_t count = 0, sum = 0, hash = 0;
        for (uint64_t round = 0; round < 4; round++) {
            start(&f);
            assert_int_equal(f.toy.count, count);
            assert_true(f.toy.sum == sum && f.toy.hash == hash);
            assert_int_equal(status(&f).term, 2 + round);
            for (int i = 0; i < 50; i++) {
                assert_int_equal(toy_apply(f.r, &f.toy, seed * 1000 + i), 0);
            }
            stop(&f);
            count = f.toy.count;
            sum = f.toy.sum;
            hash = f.toy.hash;
            assert_int_equal(count, (round + 1) * 50);
            if (seed % 2 == 0) {
                sim_io_crash(f.s);
            }
            f.no_bootstrap = round % 2; /* what is there counts, not the flag */
        }
        sim_io_free(f.s);
    }
}

/* The machine dies at some call; nothing that was answered is lost. */
static void test_crash(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        struct fixture f = {.s = sim_io_new(seed)};
        start(&f);
        uint64_t acked = 0;
        pthread_mutex_lock(&f.s->lock);
        f.s->fail_at = f.s->ops + 1 + seed / 2;
        f.s->fail_stays = true;
        pthread_mutex_unlock(&f.s->lock);
        for (uint64_t i = 1; toy_apply(f.r, &f.toy, i) == 0; i++) {
            acked = i;
        }
        assert_false(raft_is_leader(f.r));
        assert_int_equal(toy_apply(f.r, &f.toy, 1), -ERR_NO_LEADER);
        stop(&f);
        sim_io_crash(f.s);
        start(&f);
        assert_true(f.toy.count == acked || f.toy.count == acked + 1);
        assert_true(f.toy.sum == f.toy.count * (f.toy.count + 1) / 2);
        stop(&f);
        sim_io_free(f.s);
    }
}

/* A full disk: the node says so, steps down, and leads again by itself when there is room. */
static void test_disk_full(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(1)};
    start(&f);
    assert_int_equal(toy_apply(f.r, &f.toy, 1), 0);
    pthread_mutex_lock(&f.s->lock);
    f.s->fail_at = f.s->ops + 1; /* the write, not the sync */
    f.s->fail_error = ENOSPC;
    pthread_mutex_unlock(&f.s->lock);
    assert_int_equal(toy_apply(f.r, &f.toy, 100), -ERR_LEADERSHIP_LOST);
    while (!raft_is_leader(f.r)) {
        nap();
    }
    assert_true(status(&f).term == 3);
    assert_int_equal(toy_apply(f.r, &f.toy, 2), 0);
    assert_int_equal(f.toy.sum, 3);
    assert_true(atomic_load(&f.changes) == 3);
    stop(&f);
    start(&f);
    assert_int_equal(f.toy.sum, 3);
    stop(&f);
    sim_io_free(f.s);
}

/* So full that not even a vote can be kept. Nothing is said then; with room again the node goes on
 * with that vote. */
static void test_disk_full_for_votes(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(1)};
    start(&f);
    assert_int_equal(toy_apply(f.r, &f.toy, 1), 0);
    uint64_t term = status(&f).term;
    pthread_mutex_lock(&f.s->lock);
    f.s->is_full = true;
    pthread_mutex_unlock(&f.s->lock);
    assert_int_equal(toy_apply(f.r, &f.toy, 100), -ERR_LEADERSHIP_LOST);
    while (status(&f).term == term) { /* the log is cut back, but the next term cannot be stored */
        nap();
    }
    assert_false(raft_is_leader(f.r));
    assert_int_equal(toy_apply(f.r, &f.toy, 100), -ERR_NO_LEADER);
    pthread_mutex_lock(&f.s->lock);
    f.s->is_full = false;
    pthread_mutex_unlock(&f.s->lock);
    while (!raft_is_leader(f.r)) {
        nap();
    }
    assert_true(status(&f).term > term);
    assert_int_equal(toy_apply(f.r, &f.toy, 2), 0);
    stop(&f);
    start(&f);
    assert_int_equal(f.toy.sum, 3);
    stop(&f);
    sim_io_free(f.s);
}

/* A sync that failed is not tried again: the node stays down, answers, and can be stopped. What was
 * answered before is there after a restart. */
static void test_sync_fails(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(1)};
    start(&f);
    assert_int_equal(toy_apply(f.r, &f.toy, 1), 0);
    pthread_mutex_lock(&f.s->lock);
    f.s->fail_at = f.s->ops + 2;
    pthread_mutex_unlock(&f.s->lock);
    assert_int_equal(toy_apply(f.r, &f.toy, 100), -ERR_LEADERSHIP_LOST);
    pthread_mutex_lock(&f.s->lock);
    uint64_t ops = f.s->ops;
    pthread_mutex_unlock(&f.s->lock);
    for (int i = 0; i < 15000; i++) { /* longer than it would wait before it tries again */
        nap();
    }
    assert_false(raft_is_leader(f.r));
    assert_int_equal(toy_apply(f.r, &f.toy, 2), -ERR_NO_LEADER);
    assert_true(f.s->ops == ops);
    stop(&f);
    sim_io_crash(f.s);
    start(&f);
    assert_int_equal(f.toy.sum, 1);
    stop(&f);
    sim_io_free(f.s);
}

struct asked {
    struct raft_request q;
    _Atomic int done;
};

/* An entry that the state machine does not take: going on would make states differ. */
static void test_halt(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(1)};
    start(&f);
    assert_int_equal(toy_apply(f.r, &f.toy, 1), 0);
    f.toy.fail_apply = 4;
    assert_int_equal(toy_apply(f.r, &f.toy, 2), -ERR_LEADERSHIP_LOST);
    assert_false(raft_is_leader(f.r));
    assert_int_equal(toy_apply(f.r, &f.toy, 3), -ERR_NO_LEADER);
    assert_int_equal(status(&f).applied_index, 3);
    stop(&f);
    start(&f); /* it is in the log, and this state machine takes it */
    assert_int_equal(f.toy.sum, 3);
    stop(&f);
    sim_io_free(f.s);
}

struct lead {
    struct raft_request q;
    _Atomic int code; /* 1: not answered */
};

static void lead_done(struct raft_request *q, int code)
{
    atomic_store(&container_of(q, struct lead, q)->code, code);
}

static int ask(struct fixture *f, struct raft_request q)
{
    struct lead l = {.q = q, .code = 1};
    l.q.done = lead_done;
    raft_request(f->r, &l.q);
    while (atomic_load(&l.code) == 1) {
        nap();
    }
    return atomic_load(&l.code);
}

/* What is asked of a lone voter. */
static void test_requests(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(1)};
    start(&f);
    struct raft_configuration c = {0};
    assert_int_equal(ask(&f, (struct raft_request){.kind = RAFT_REQUEST_VERIFY}), 0);
    assert_int_equal(ask(&f, (struct raft_request){.kind = RAFT_REQUEST_TRANSFER}), -ERR_NOT_FOUND);
    assert_int_equal(
        ask(&f, (struct raft_request){.kind = RAFT_REQUEST_BOOTSTRAP, .configuration = &c}),
        -ERR_CONFLICT);
    assert_int_equal(ask(&f, (struct raft_request){.kind = RAFT_REQUEST_CHANGE,
                                                   .change = RAFT_ADD_NONVOTER,
                                                   .id = "other",
                                                   .address = "127.0.0.2:8300"}),
                     0);
    uint64_t index;
    raft_get_configuration(f.r, &c, &index);
    assert_true(c.count == 2 && index == 3 && c.servers[1].suffrage == RAFT_NONVOTER);
    assert_int_equal(ask(&f, (struct raft_request){.kind = RAFT_REQUEST_CHANGE,
                                                   .change = RAFT_REMOVE_SERVER,
                                                   .id = "other",
                                                   .prev_index = 2}),
                     -ERR_CONFLICT);
    /* The last voter cannot go. */
    assert_true(ask(&f, (struct raft_request){.kind = RAFT_REQUEST_CHANGE,
                                              .change = RAFT_REMOVE_SERVER,
                                              .id = "8b8d0c6e-id"}) < 0);
    assert_int_equal(toy_apply(f.r, &f.toy, 1), 0);
    raft_stop(f.r);
    assert_int_equal(ask(&f, (struct raft_request){.kind = RAFT_REQUEST_VERIFY}), -ERR_CLOSED);
    f.r = raft_free(f.r);
    sim_io_free(f.s);
}

/* Recovery with another configuration: everything in the log counts, and the state stays. */
static void test_recover(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(1)};
    struct raft_configuration c = {0};
    struct err err = {0};
    assert_int_equal(
        raft_configuration_add(&c, RAFT_VOTER, STR("8b8d0c6e-id"), STR("127.0.0.1:8300"), &err), 0);
    f.no_bootstrap = true;
    f.recover = &c;
    assert_int_equal(try_start(&f, &err), -ERR_NOT_FOUND); /* nothing is there */
    f.no_bootstrap = false;
    f.recover = NULL;
    start(&f);
    for (uint64_t i = 1; i <= 20; i++) {
        assert_int_equal(toy_apply(f.r, &f.toy, i), 0);
    }
    assert_int_equal(ask(&f, (struct raft_request){.kind = RAFT_REQUEST_CHANGE,
                                                   .change = RAFT_ADD_VOTER,
                                                   .id = "other",
                                                   .address = "127.0.0.2:8300"}),
                     -ERR_LEADERSHIP_LOST); /* there is no transport: it never answers */
    stop(&f);
    sim_io_crash(f.s);
    f.recover = &c;
    start(&f);
    assert_true(f.toy.count == 20 && f.toy.sum == 210);
    struct raft_configuration found;
    uint64_t index;
    raft_get_configuration(f.r, &found, &index);
    assert_true(found.count == 1 && status(&f).last_snapshot_index >= 22);
    assert_int_equal(toy_apply(f.r, &f.toy, 21), 0);
    stop(&f);
    f.recover = NULL;
    start(&f);
    assert_int_equal(f.toy.sum, 231);
    stop(&f);
    sim_io_free(f.s);
}

static void on_snapshot(struct raft_request *q, int code)
{
    atomic_store(&container_of(q, struct asked, q)->done, code == 0 ? 1 : code);
}

static int snapshot(struct fixture *f)
{
    struct asked a = {.q = {.kind = RAFT_REQUEST_SNAPSHOT, .done = on_snapshot}};
    raft_request(f->r, &a.q);
    while (atomic_load(&a.done) == 0) {
        nap();
    }
    return atomic_load(&a.done);
}

static void test_snapshot(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(3), .trailing = 10};
    start(&f);
    for (uint64_t i = 1; i <= 300; i++) {
        assert_int_equal(toy_apply(f.r, &f.toy, i), 0);
    }
    assert_int_equal(snapshot(&f), 1);
    assert_int_equal(status(&f).last_snapshot_index, 302);
    assert_int_equal(snapshot(&f), 1); /* of the same state: not written again */
    assert_int_equal(f.toy.snapshots, 1);
    for (uint64_t i = 301; i <= 320; i++) {
        assert_int_equal(toy_apply(f.r, &f.toy, i), 0);
    }
    uint64_t hash = f.toy.hash;
    stop(&f);
    sim_io_crash(f.s);
    start(&f);
    assert_int_equal(f.toy.restores, 1);
    assert_true(f.toy.count == 320 && f.toy.hash == hash);
    assert_int_equal(status(&f).configuration_index, 1);

    /* One that fails leaves the one before and the log. */
    f.toy.fail_snapshot = EIO;
    assert_int_equal(snapshot(&f), -EIO);
    assert_int_equal(status(&f).last_snapshot_index, 302);
    f.toy.fail_snapshot = 0;
    assert_int_equal(toy_apply(f.r, &f.toy, 321), 0);
    assert_int_equal(snapshot(&f), 1);
    stop(&f);
    sim_io_free(f.s);
}

/* The newest is damaged: the one before is restored, and the log covers the rest. */
static void test_damaged_snapshot(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(3), .trailing = 1000};
    start(&f);
    for (uint64_t round = 0; round < 2; round++) {
        for (uint64_t i = 1; i <= 20; i++) {
            assert_int_equal(toy_apply(f.r, &f.toy, i), 0);
        }
        assert_int_equal(snapshot(&f), 1);
    }
    stop(&f);
    sim_io_settle(f.s);
    uint64_t damaged = 0;
    for (size_t i = 0; i < f.s->names.n; i++) {
        const char *path = f.s->names.v[i].path;
        if (strstr(path, "/2-42-") != NULL && strstr(path, "state.bin") != NULL) {
            sim_io_flip(f.s->files.v[f.s->names.v[i].file], 3, 1);
            damaged++;
        }
    }
    assert_int_equal(damaged, 1);
    start(&f);
    assert_int_equal(f.toy.restores, 1);
    assert_int_equal(f.toy.count, 40);
    stop(&f);
    sim_io_free(f.s);
}

/* By threshold and interval, and the log is cut. */
static void test_snapshot_by_itself(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(3), .threshold = 50, .interval_ms = 1, .trailing = 5};
    start(&f);
    uint64_t i = 0;
    while (status(&f).last_snapshot_index < 500) {
        assert_int_equal(toy_apply(f.r, &f.toy, ++i), 0);
    }
    stop(&f);
    uint64_t count = f.toy.count;
    sim_io_crash(f.s);
    start(&f);
    assert_int_equal(f.toy.count, count);
    assert_int_equal(f.toy.restores, 1);
    stop(&f);
    sim_io_free(f.s);
}

/* A log that lost its end while nobody looked is noticed, thanks to the noted commit index. */
static void test_cut_log(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(3)};
    start(&f);
    assert_int_equal(toy_apply(f.r, &f.toy, 1), 0);
    stop(&f);
    sim_io_settle(f.s);
    struct sim_file *log = sim_io_file(f.s, "raft/log/00000000000000000001.seg");
    assert_non_null(log);
    /* Wipe the last record (header 48, 8 bytes of data). */
    uint64_t end = log->size;
    while (end > 0 && log->bytes[end - 1] == 0) {
        end--;
    }
    for (uint64_t at = (end + 7) / 8 * 8 - 56; at < log->size; at++) {
        log->bytes[at] = log->durable[at] = 0;
    }
    struct err err = {0};
    assert_int_equal(try_start(&f, &err), -ERR_CORRUPT);
    assert_non_null(strstr(err.text, "committed"));
    sim_io_free(f.s);
}

#define PROPOSERS 8
#define EACH 400

struct proposer {
    pthread_t thread;
    struct fixture *f;
    uint64_t refused, acked;
};

static void *proposer_run(void *data)
{
    struct proposer *p = data;
    for (int i = 0; i < EACH; i++) {
        struct toy_proposal q;
        uint64_t last = 0;
        toy_propose(p->f->r, NULL, &q, 1);
        int code = toy_wait(&q);
        if (code == 0) {
            assert_true(q.index > last);
            last = q.index;
            p->acked++;
        } else {
            assert_int_equal(code, -ERR_CLOSED);
            p->refused++;
        }
        struct raft_status s;
        raft_status(p->f->r, &s);
        assert_true(s.applied_index >= last && s.commit_index >= s.applied_index);
    }
    return NULL;
}

/* Many threads, snapshots on the way, and a stop in the middle of it: each proposal is answered
 * exactly once, and those answered with success are what the state machine has. */
static void test_threads(void **state)
{
    (void)state;
    for (int memory = 0; memory < 2; memory++) {
        for (int early = 0; early < 2; early++) {
            struct fixture f = {.s = memory ? NULL : sim_io_new(1),
                                .threshold = 100,
                                .interval_ms = 2,
                                .trailing = 20};
            struct proposer p[PROPOSERS] = {0};
            start(&f);
            for (int i = 0; i < PROPOSERS; i++) {
                p[i].f = &f;
                assert_int_equal(pthread_create(&p[i].thread, NULL, proposer_run, &p[i]), 0);
            }
            if (early) {
                while (status(&f).applied_index < 200) {
                    nap();
                }
                raft_stop(f.r);
            }
            uint64_t acked = 0, refused = 0;
            for (int i = 0; i < PROPOSERS; i++) {
                pthread_join(p[i].thread, NULL);
                acked += p[i].acked;
                refused += p[i].refused;
            }
            assert_int_equal(acked + refused, PROPOSERS * EACH);
            assert_true(early || refused == 0);
            stop(&f);
            assert_int_equal(f.toy.count, acked);
            if (!memory) {
                start(&f);
                assert_int_equal(f.toy.count, acked);
                stop(&f);
            }
            sim_io_free(f.s);
        }
    }
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool closed;
    int waiting;
};

static void gate_pass(void *data)
{
    struct gate *g = data;
    pthread_mutex_lock(&g->lock);
    g->waiting++;
    pthread_cond_broadcast(&g->cond);
    while (g->closed) {
        pthread_cond_wait(&g->cond, &g->lock);
    }
    g->waiting--;
    pthread_mutex_unlock(&g->lock);
}

/* While one sync is under way everything that comes gathers, and needs one more sync in all. */
static void test_group_commit(void **state)
{
    (void)state;
    struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};
    struct fixture f = {.s = sim_io_new(1)};
    f.s->sync_hook = gate_pass;
    f.s->hook_data = &g;
    start(&f);
    uint64_t syncs = f.s->syncs;
    static struct toy_proposal p[RAFT_PENDING_MAX + 1];
    pthread_mutex_lock(&g.lock);
    g.closed = true;
    pthread_mutex_unlock(&g.lock);
    toy_propose(f.r, &f.toy, &p[0], 0);
    pthread_mutex_lock(&g.lock);
    while (g.waiting == 0) {
        pthread_cond_wait(&g.cond, &g.lock);
    }
    pthread_mutex_unlock(&g.lock);
    for (uint64_t i = 1; i < 1000; i++) {
        toy_propose(f.r, &f.toy, &p[i], i);
    }
    assert_int_equal(f.toy.count, 0);
    /* Past the bound the answer is a refusal, not memory. */
    for (uint64_t i = 1000; i < ARRAY_SIZE(p); i++) {
        toy_propose(f.r, &f.toy, &p[i], i);
    }
    assert_int_equal(toy_wait(&p[RAFT_PENDING_MAX]), -ERR_RATE_LIMIT);
    pthread_mutex_lock(&g.lock);
    g.closed = false;
    pthread_cond_broadcast(&g.cond);
    pthread_mutex_unlock(&g.lock);
    for (uint64_t i = 0; i < RAFT_PENDING_MAX; i++) {
        assert_int_equal(toy_wait(&p[i]), 0);
    }
    stop(&f);
    /* One for the first, RAFT_PENDING_MAX / 8192 for the rest, a new segment, the clean stop. */
    assert_true(f.s->syncs - syncs <= 1 + 8 + 1 + 4);
    sim_io_free(f.s);
}

struct restore {
    struct raft_request q;
    _Atomic int state; /* 1: answered */
    int code;
};

static void restore_done(struct raft_request *q, int code)
{
    struct restore *x = container_of(q, struct restore, q);
    x->code = code;
    atomic_store(&x->state, 1);
}

/* The bytes of a toy that has seen `count` commands. */
static void toy_bytes(char bytes[40], uint64_t count)
{
    put_le64(bytes, 0x796f74u);
    put_le64(bytes + 8, count);
    put_le64(bytes + 16, 1000 + count);
    put_le64(bytes + 24, 2000 + count);
    put_le64(bytes + 32, 0);
}

static int restore_wait(struct restore *x)
{
    while (atomic_load(&x->state) == 0) {
        nap();
    }
    return x->code;
}

static int restore(struct fixture *f, struct str bytes, uint64_t index, struct restore *x)
{
    *x = (struct restore){.q = {.kind = RAFT_REQUEST_RESTORE,
                                .bytes = bytes,
                                .snapshot_index = index,
                                .done = restore_done}};
    raft_request(f->r, &x->q);
    return restore_wait(x);
}

/* Proposals before it are applied before, those after it after; a restart shows the result. */
static void check_restore(struct fixture *f, bool is_durable)
{
    static struct toy_proposal p[500];
    struct restore x;
    char bytes[40];
    start(f);
    for (uint64_t i = 0; i < ARRAY_SIZE(p); i++) {
        toy_propose(f->r, &f->toy, &p[i], i);
    }
    toy_bytes(bytes, 77);
    assert_int_equal(restore(f, str_make(bytes, 40), 10, &x), 0);
    for (uint64_t i = 0; i < ARRAY_SIZE(p); i++) {
        int code = toy_wait(&p[i]);
        assert_int_equal(code, 0);
        assert_int_not_equal(p[i].index, x.q.restored_index);
    }
    assert_true(x.q.restored_index > 2 && f->toy.count >= 77 && f->toy.count <= 577);
    /* Beyond what the state says it is of. */
    assert_int_equal(restore(f, str_make(bytes, 40), 100000, &x), 0);
    assert_int_equal(x.q.restored_index, 100001);
    assert_true(f->toy.count == 77 && f->toy.published == 77);
    assert_int_equal(toy_apply(f->r, &f->toy, 5), 0);
    struct raft_status s = status(f);
    assert_true(s.applied_index == 100003 && s.last_snapshot_index == 100001 && s.term == 2);
    /* What is no state changes nothing. */
    assert_int_equal(restore(f, STR("nonsense"), 1, &x), -ERR_CORRUPT);
    assert_string_equal(err_text(&x.q.err), "failed to restore snapshot: not a toy");
    assert_int_equal(restore(f, str_make(bytes, 40), UINT64_MAX, &x), -ERR_RANGE);
    assert_true(f->toy.count == 78 && status(f).applied_index == 100003);
    uint64_t hash = f->toy.hash;
    stop(f);
    if (is_durable) {
        sim_io_crash(f->s);
        start(f);
        assert_true(f->toy.count == 78 && f->toy.hash == hash);
        assert_int_equal(status(f).last_snapshot_index, 100001);
        assert_int_equal(toy_apply(f->r, &f->toy, 6), 0);
        stop(f);
    }
}

static void test_restore(void **state)
{
    (void)state;
    struct fixture f = {.s = sim_io_new(7), .trailing = 10};
    check_restore(&f, true);
    sim_io_free(f.s);
    struct fixture memory = {0};
    check_restore(&memory, false);
}

/* Whatever operation of the disk fails: after a restart there is the old state or the new one, and
 * the new one when the restore was said to be done. */
static void test_restore_torture(void **state)
{
    (void)state;
    char bytes[40];
    toy_bytes(bytes, 77);
    bool finished = false;
    for (uint64_t n = 1; !finished; n++) {
        struct fixture f = {.s = sim_io_new(n)};
        struct restore x;
        start(&f);
        assert_int_equal(toy_apply(f.r, &f.toy, 1), 0);
        pthread_mutex_lock(&f.s->lock);
        uint64_t before = f.s->ops;
        f.s->fail_at = before + n;
        pthread_mutex_unlock(&f.s->lock);
        int code = restore(&f, str_make(bytes, 40), 1, &x);
        pthread_mutex_lock(&f.s->lock);
        finished = f.s->ops < before + n;
        f.s->fail_at = 0;
        pthread_mutex_unlock(&f.s->lock);
        stop(&f);
        sim_io_crash(f.s);
        start(&f);
        assert_true(f.toy.count == 77 || (f.toy.count == 1 && code != 0));
        assert_int_equal(toy_apply(f.r, &f.toy, 2), 0);
        stop(&f);
        sim_io_free(f.s);
        assert_in_range(n, 1, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_disk_full_for_votes),
        cmocka_unit_test(test_sync_fails),
        cmocka_unit_test(test_halt),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_recover),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_damaged_snapshot),
        cmocka_unit_test(test_snapshot_by_itself),
        cmocka_unit_test(test_cut_log),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_group_commit),
        cmocka_unit_test(test_restore),
        cmocka_unit_test(test_restore_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
