/* The queue of events, and a seed from beginning to end: some servers are told to form a cluster,
 * clients come, things go wrong for a while, everything heals, and then the cluster must work, must
 * not mind a server that goes and returns, nor a leader whose disk stands still; in the end all
 * have the same. */
#include "base/mem.h"
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>

/* --- the queue: a binary heap by time, then by age --- */

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static void heap_push(struct sim *s, struct sim_event *e)
{
    vec_push(&s->heap, e);
    size_t i = s->heap.n - 1;
    for (; i > 0 && event_before(e, s->heap.v[(i - 1) / 2]); i = (i - 1) / 2) {
        s->heap.v[i] = s->heap.v[(i - 1) / 2];
    }
    s->heap.v[i] = e;
}

static struct sim_event *heap_pop(struct sim *s)
{
    struct sim_event *first = s->heap.v[0], *e = s->heap.v[--s->heap.n];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < s->heap.n; i = k) {
        k += k + 1 < s->heap.n && event_before(s->heap.v[k + 1], s->heap.v[k]);
        if (!event_before(s->heap.v[k], e)) {
            break;
        }
        s->heap.v[i] = s->heap.v[k];
    }
    s->heap.v[i] = e;
    return first;
}

void sim_push(struct sim *s, struct sim_event *e, uint64_t delay_us)
{
    e->at_us = s->now_us + delay_us;
    e->sequence = s->sequence++;
    heap_push(s, e);
}

void sim_after(struct sim *s, struct sim_server *sv, uint64_t delay_us,
               void (*run)(struct sim *s, struct sim_event *e))
{
    struct sim_event *e = xcalloc(1, sizeof(*e));
    e->server = sv;
    e->life = sv != NULL ? sv->life : 0;
    e->run = run;
    sim_push(s, e, delay_us);
}

void sim_release(struct sim *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->held.n; i++) {
        struct sim_event *e = s->held.v[i];
        if (*e->held_us > s->now_us) {
            s->held.v[kept++] = e;
        } else {
            e->at_us = s->now_us; /* and keeps its age, so their order stays */
            heap_push(s, e);
        }
    }
    s->held.n = kept;
}

static void event_end(struct sim_event *e)
{
    if (e->drop != NULL) {
        e->drop(e);
    } else {
        mem_free(e);
    }
}

void sim_until(struct sim *s, uint64_t until_us)
{
    while (s->heap.n > 0 && s->heap.v[0]->at_us <= until_us) {
        struct sim_event *e = heap_pop(s);
        struct sim_server *sv = e->server;
        s->now_us = e->at_us;
        if (sv != NULL && sv->blocked_us > s->now_us) {
            e->at_us = sv->blocked_us; /* and keeps its age */
            heap_push(s, e);
            continue;
        }
        if (e->held_us != NULL && *e->held_us > s->now_us) {
            vec_push(&s->held, e);
            continue;
        }
        s->events++;
        if (sv == NULL || e->life == 0 || e->life == sv->life) {
            e->run(s, e);
        }
        event_end(e);
        if (sv != NULL) {
            sim_check_step(sv);
        }
    }
    s->now_us = until_us;
}

/* --- a seed --- */

static void seed_plan(struct sim *s)
{
    s->is_toy = sim_chance(s, 0.4);
    s->loss = sim_chance(s, 0.5) ? rng_f64(&s->rng) * 0.1 : 0;
    s->duplicate = sim_chance(s, 0.3) ? 0.05 : 0;
    s->delay_us = 200 + sim_below(s, sim_chance(s, 0.2) ? 100 * SIM_MS : 5 * SIM_MS);
    s->is_ordered = sim_chance(s, 0.7);
    s->knows_pre_vote = sim_chance(s, 0.8);
    s->changes_members = sim_chance(s, 0.6);
    s->hands_over = sim_chance(s, 0.3);
    s->snapshots_often = sim_chance(s, 0.7);
    s->fault_rate = 0.05 + rng_f64(&s->rng) * 1.2;
    s->client_us = 2 * SIM_MS + sim_below(s, 30 * SIM_MS);
    s->plots_us = sim_chance(s, 0.4) ? (3 + sim_below(s, 6)) * SIM_SECOND : 0;
    s->faults_us = s->plots_us + (6 + sim_below(s, 10)) * SIM_SECOND;
}

static void run_for(struct sim *s, uint64_t us)
{
    sim_until(s, s->now_us + us);
}

/* It takes writes. There may be none for so long but ours. */
static void check_alive(struct sim *s, uint64_t us)
{
    uint64_t acked = s->stats.acked;
    sim_client_write(s);
    run_for(s, us);
    SIM_CHECK(s->stats.acked > acked, s->stats.acked, acked);
}

static struct sim_server *quiet_leader(struct sim *s)
{
    struct sim_server *leader = sim_leader(s);
    SIM_CHECK(leader != NULL, 0, 0);
    return leader;
}

/* A follower that was cut off, or died, costs nobody the leadership, neither by going nor by
 * returning. */
static void check_return(struct sim *s)
{
    struct sim_server *leader = quiet_leader(s), *sv = sim_any(s);
    uint64_t term = raft_core_term(leader->raft->core);
    bool dies = sim_chance(s, 0.5);
    uint32_t voters = raft_configuration_voters(&leader->raft->configuration);
    if (sv == leader || voters == 2 || !s->knows_pre_vote) {
        return;
    }
    if (dies) {
        sim_server_crash(sv);
    }
    for (int i = 0; i < SIM_SERVERS; i++) {
        s->cut[i][sv->number] = s->cut[sv->number][i] = true;
    }
    check_alive(s, SIM_SECOND + sim_below(s, 4 * SIM_SECOND));
    memset(s->cut, 0, sizeof(s->cut));
    if (dies) {
        (void)sim_server_start(sv);
    }
    check_alive(s, 3 * SIM_SECOND);
    SIM_CHECK(quiet_leader(s) == leader, leader->number, sv->number);
    SIM_CHECK(raft_core_term(leader->raft->core) == term, raft_core_term(leader->raft->core), term);
}

/* The leader's disk answers nothing for seconds: writes go on, there or elsewhere. */
static void check_stall(struct sim *s)
{
    struct sim_server *leader = quiet_leader(s);
    if (raft_configuration_voters(&leader->raft->configuration) < 3) {
        return;
    }
    leader->disk.stalled_until_us = s->now_us + 6 * SIM_SECOND;
    run_for(s, 3 * SIM_SECOND);
    check_alive(s, 2 * SIM_SECOND);
    run_for(s, 3 * SIM_SECOND);
    check_alive(s, SIM_SECOND);
}

/* All disks are slow: so are writes, but nobody hands leadership to one who is no faster. (Where a
 * write takes less than the leader needs to see that its disk is silent and for the others to have
 * what it adds then, a hand-over would succeed.) */
static void check_slow(struct sim *s)
{
    struct sim_server *leader = quiet_leader(s);
    uint64_t log_us =
        550 * SIM_MS + sim_below(s, sim_chance(s, 0.7) ? 500 * SIM_MS : 2 * SIM_SECOND);
    uint64_t term = raft_core_term(leader->raft->core);
    for (int i = 0; i < SIM_SERVERS; i++) {
        s->servers[i].disk.log_us = log_us;
        s->servers[i].disk.log_until_us = UINT64_MAX;
    }
    run_for(s, 4 * SIM_SECOND);
    check_alive(s, 8 * SIM_SECOND);
    SIM_CHECK(quiet_leader(s) == leader, leader->number, 0);
    SIM_CHECK(raft_core_term(leader->raft->core) == term, raft_core_term(leader->raft->core), term);
    for (int i = 0; i < SIM_SERVERS; i++) {
        s->servers[i].disk.log_until_us = 0;
    }
    run_for(s, 3 * SIM_SECOND);
    check_alive(s, SIM_SECOND);
}

#define SLOW_ELECTIONS_MAX 4u

/* All disks take from 3 to 10 s for a vote, and the leader dies: there is another, and not by using
 * up one term after the other. */
static void check_slow_votes(struct sim *s)
{
    struct sim_server *dead = quiet_leader(s);
    uint64_t term = raft_core_term(dead->raft->core);
    if (raft_configuration_voters(&dead->raft->configuration) < 3 || !s->knows_pre_vote) {
        return;
    }
    for (int i = 0; i < SIM_SERVERS; i++) {
        s->servers[i].disk.sync_us_min = 3 * SIM_SECOND;
        s->servers[i].disk.sync_us_max = 10 * SIM_SECOND;
    }
    sim_server_crash(dead);
    struct sim_server *leader = NULL;
    for (int i = 0; i < 300 && leader == NULL; i++) {
        run_for(s, SIM_SECOND);
        leader = sim_leader(s);
    }
    SIM_CHECK(leader != NULL, term, 0);
    uint64_t now = raft_core_term(leader->raft->core);
    SIM_CHECK(now - term <= SLOW_ELECTIONS_MAX, now, term);
    for (int i = 0; i < SIM_SERVERS; i++) {
        s->servers[i].disk = (struct sim_disk){0};
    }
    (void)sim_server_start(dead);
    run_for(s, 15 * SIM_SECOND);
    check_alive(s, SIM_SECOND);
}

/* A user's snapshot takes the place of all state, on a cluster that is well; but others than the
 * leader may die on the way, with what they were given in advance. */
static void run_restore(struct sim *s)
{
    struct buf bytes = {0};
    sim_fsm_bytes(quiet_leader(s)->fsm, &bytes);
    run_for(s, 500 * SIM_MS);
    int code = 1;
    struct sim_server *leader = quiet_leader(s), *dead = sim_any(s);
    sim_client_restore(leader, buf_view(&bytes), &code);
    if (dead != leader && sim_chance(s, 0.5)) {
        run_for(s, sim_below(s, 300 * SIM_MS));
        sim_server_crash(dead);
        run_for(s, sim_below(s, 300 * SIM_MS));
        (void)sim_server_start(dead);
    }
    for (int i = 0; i < 20 && code == 1; i++) {
        run_for(s, 500 * SIM_MS);
    }
    SIM_CHECK(code == 0, -code, 0);
    buf_deinit(&bytes);
    check_alive(s, SIM_SECOND);
}

static void sim_begin(struct sim *s)
{
    uint64_t voters = sim_chance(s, 0.3) ? 1 + sim_below(s, SIM_SERVERS) : 3 + sim_below(s, 3);
    for (int i = 0; i < SIM_SERVERS; i++) {
        sim_server_init(s, i);
        struct sim_server *sv = &s->servers[i];
        if ((uint64_t)i < voters) {
            int k = raft_configuration_add(&s->first, RAFT_VOTER, str_from_cstr(sv->id),
                                           str_from_cstr(sv->address), NULL);
            SIM_CHECK(k == 0, -k, 0);
        }
    }
    for (int i = 0; i < SIM_SERVERS; i++) {
        (void)sim_server_start(&s->servers[i]);
    }
    sim_client_bootstrap(s);
    sim_client_begin(s);
    sim_fault_begin(s);
}

static void sim_free(struct sim *s)
{
    for (int i = 0; i < SIM_SERVERS; i++) {
        sim_server_deinit(&s->servers[i]);
    }
    for (size_t i = 0; i < s->heap.n; i++) {
        event_end(s->heap.v[i]);
    }
    for (size_t i = 0; i < s->held.n; i++) {
        event_end(s->held.v[i]);
    }
    for (size_t i = 0; i < SIM_CALLS; i++) {
        SIM_CHECK(s->calls[i] == NULL, i, 0);
    }
    SIM_CHECK(s->streams.n == 0, s->streams.n, 0);
    vec_deinit(&s->heap);
    vec_deinit(&s->held);
    vec_deinit(&s->streams);
    vec_deinit(&s->entries);
    vec_deinit(&s->leaders);
    vec_deinit(&s->kept);
    vec_deinit(&s->refused);
    mem_free(s->truth);
    mem_free(s->entry_heads);
    mem_free(s);
}

static void sim_tell(const struct sim *s)
{
    const struct sim_stats *t = &s->stats;
    printf("# seed %" PRIu64 " (%s): %" PRIu64 " events, %" PRIu64 " entries, %" PRIu64
           " acknowledged, %" PRIu64 " refused, %" PRIu64 " unknown, %" PRIu64 " reads, %" PRIu64
           " elections, %" PRIu64 " snapshots, %" PRIu64 " installs, %" PRIu64 " changes, %" PRIu64
           " transfers, %" PRIu64 " restores, %" PRIu64 " crashes, %" PRIu64 " halts, %" PRIu64
           " digests\n",
           s->seed, s->is_toy ? "toy" : "store", s->events, s->applied_max, t->acked, t->refused,
           t->lost, t->reads, t->elections, t->snapshots, t->installs, t->changes, t->transfers,
           t->restores, t->crashes, t->halts, t->digests);
}

void sim_run_seed(uint64_t seed, bool is_loud)
{
    struct sim *s = xcalloc(1, sizeof(*s));
    sim_current = s;
    s->seed = seed;
    s->truth = xcalloc(SIM_INDEX_MAX, sizeof(*s->truth));
    s->entry_heads = xcalloc(SIM_INDEX_MAX, sizeof(*s->entry_heads));
    rng_seed(&s->rng, seed);
    seed_plan(s);
    sim_begin(s);
    run_for(s, s->faults_us);
    sim_fault_end(s);
    run_for(s, 8 * SIM_SECOND);
    check_alive(s, SIM_SECOND);
    if (sim_chance(s, 0.3)) {
        check_return(s);
    }
    if (sim_chance(s, 0.2)) {
        check_stall(s);
    }
    if (sim_chance(s, 0.2)) {
        check_slow(s);
    }
    if (sim_chance(s, 0.2)) {
        run_restore(s);
    }
    if (sim_chance(s, 0.2)) {
        check_slow_votes(s);
    }
    s->is_silent = true;
    run_for(s, 3 * SIM_SECOND);
    sim_check_end(s);
    if (is_loud) {
        sim_tell(s);
    }
    sim_free(s);
}
