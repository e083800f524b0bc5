/* A server: the real node in an env of ours. It has its turn when it was woken or when it said so;
 * its jobs run when the disk would be done with them. A job that the node waits for (finish) runs
 * at once, and the whole server then stands still until the disk would have been done.
 *
 * A crash: from some operation on the disk says no to everything, the node is closed (which runs
 * what was under way into that), and what was not synced is lost or torn. So a job is done, begun
 * or not begun, and nothing that the closing node does can be seen after it. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim.h"

#include <errno.h>
#include <stdio.h>

#define WALL_NS_FIRST (INT64_C(1700000000) * 1000000000)

static struct sim_server *server_of(struct raft_env *e)
{
    return container_of(e, struct sim_server, env);
}

/* --- time --- */

uint64_t sim_server_ahead_us(const struct sim_server *sv)
{
    return sv->blocked_us > sv->sim->now_us ? sv->blocked_us - sv->sim->now_us : 0;
}

uint64_t sim_server_now_ms(const struct sim_server *sv)
{
    double us = (double)(sv->sim->now_us + sim_server_ahead_us(sv)) * sv->rate;
    return ((uint64_t)us + sv->leap_us) / 1000 + 1;
}

static uint64_t env_now_ms(struct raft_env *e)
{
    return sim_server_now_ms(server_of(e));
}

static int64_t env_wall_ns(struct raft_env *e)
{
    return WALL_NS_FIRST + (int64_t)sim_server_now_ms(server_of(e)) * 1000000;
}

static uint64_t env_random(struct raft_env *e)
{
    return rng_u64(&server_of(e)->sim->rng);
}

/* --- turns --- */

static void turn_run(struct sim *s, struct sim_event *e);

static void turn_at(struct sim_server *sv, uint64_t at_us)
{
    if (at_us < sv->turn_at_us) {
        sv->turn_at_us = at_us;
        sim_after(sv->sim, sv, at_us - sv->sim->now_us, turn_run);
    }
}

static void turn_at_ms(struct sim_server *sv, uint64_t at_ms)
{
    if (at_ms == UINT64_MAX) {
        return;
    }
    double us = (double)at_ms * 1000 - (double)sv->leap_us;
    uint64_t at_us = us > 0 ? (uint64_t)(us / sv->rate) + 1 : 0;
    turn_at(sv, MAX(at_us, sv->sim->now_us + 1));
}

static void turn_run(struct sim *s, struct sim_event *e)
{
    struct sim_server *sv = e->server;
    if (sv->turn_at_us > s->now_us) {
        return; /* it has been had */
    }
    sv->turn_at_us = UINT64_MAX;
    uint64_t at_ms = raft_turn(sv->raft);
    SIM_CHECK(at_ms > sim_server_now_ms(sv), at_ms, sv->number); /* else it would spin */
    turn_at_ms(sv, at_ms);
}

static void env_wake(struct raft_env *e, struct raft *r)
{
    struct sim_server *sv = server_of(e);
    (void)r;
    turn_at(sv, sv->sim->now_us + 1 + sim_below(sv->sim, 20));
}

void sim_server_poke(struct sim_server *sv)
{
    if (sv->raft != NULL) {
        env_wake(&sv->env, sv->raft);
    }
}

/* --- jobs --- */

static uint64_t disk_delay_us(struct sim_server *sv, enum raft_job_lane lane)
{
    static const uint64_t usual_us[] = {400, 2000, 20000};
    struct sim *s = sv->sim;
    uint64_t us = usual_us[lane] / 4 + sim_below(s, usual_us[lane]);
    if (s->now_us < sv->disk.slow_until_us && sim_chance(s, 0.2)) {
        us += sim_below(s, 400 * SIM_MS);
    }
    if (s->now_us < sv->disk.stalled_until_us) {
        us += sv->disk.stalled_until_us - s->now_us;
    }
    if (lane == RAFT_LANE_LOG && s->now_us < sv->disk.log_until_us) {
        us += sv->disk.log_us;
    }
    if (sv->disk.sync_us_max > 0) {
        us += sv->disk.sync_us_min + sim_below(s, sv->disk.sync_us_max - sv->disk.sync_us_min);
    }
    return us;
}

static void job_do(struct sim_server *sv, struct raft_job *job)
{
    bool was_in_job = sv->in_job;
    sv->in_job = true;
    job->run(job);
    sv->in_job = was_in_job;
    atomic_store(&job->state, RAFT_JOB_DONE);
}

static void jobs_forget(struct sim_server *sv, struct sim_job *j)
{
    for (size_t i = 0; i < sv->jobs.n; i++) {
        if (sv->jobs.v[i] == j) {
            sv->jobs.v[i] = sv->jobs.v[--sv->jobs.n];
            break;
        }
    }
    j->job = NULL;
}

static void job_event_run(struct sim *s, struct sim_event *e)
{
    (void)s;
    struct sim_job *j = container_of(e, struct sim_job, event);
    struct raft_job *job = j->job;
    if (job != NULL) {
        struct sim_server *sv = e->server;
        jobs_forget(sv, j);
        job_do(sv, job);
        env_wake(&sv->env, sv->raft);
    }
}

static int env_job(struct raft_env *e, struct raft *r, enum raft_job_lane lane,
                   struct raft_job *job)
{
    struct sim_server *sv = server_of(e);
    job->env = e;
    job->raft = r;
    if (!sv->sim->is_quiet && sim_chance(sv->sim, 0.001)) {
        return -EAGAIN; /* no thread can be had */
    }
    atomic_store(&job->state, RAFT_JOB_RUNNING);
    struct sim_job *j = xcalloc(1, sizeof(*j));
    j->job = job;
    j->event.server = sv;
    j->event.life = sv->life;
    j->event.run = job_event_run;
    vec_push(&sv->jobs, j);
    sim_push(sv->sim, &j->event, sim_server_ahead_us(sv) + disk_delay_us(sv, lane));
    return 0;
}

static void env_finish(struct raft_env *e, struct raft_job *job)
{
    struct sim_server *sv = server_of(e);
    for (size_t i = 0; i < sv->jobs.n; i++) {
        struct sim_job *j = sv->jobs.v[i];
        if (j->job == job) {
            sv->blocked_us = MAX(sv->blocked_us, j->event.at_us);
            jobs_forget(sv, j);
            job_do(sv, job);
            break;
        }
    }
    ASSERT(raft_job_is_done(job));
    atomic_store(&job->state, RAFT_JOB_IDLE);
}

/* A sync on the raft thread itself (a vote, a log being cut): nothing else goes on meanwhile. */
static void disk_sync(void *data)
{
    struct sim_server *sv = data;
    if (!sv->in_job && !sv->in_start && sv->raft != NULL) {
        sv->blocked_us =
            sv->sim->now_us + sim_server_ahead_us(sv) + disk_delay_us(sv, RAFT_LANE_LOG);
    }
}

static const struct raft_env_ops env_ops = {
    .now_ms = env_now_ms,
    .wall_ns = env_wall_ns,
    .random = env_random,
    .wake = env_wake,
    .job = env_job,
    .finish = env_finish,
};

/* --- life --- */

static void on_observe(void *data)
{
    sim_check_role(data);
}

static void retry_run(struct sim *s, struct sim_event *e)
{
    (void)s;
    if (e->server->raft == NULL) {
        (void)sim_server_start(e->server);
    }
}

static void server_gone(struct sim_server *sv)
{
    sv->raft = NULL;
    sv->fsm = sim_fsm_free(sv->fsm);
    sv->jobs.n = 0; /* their events are of a life that is over */
    sv->life++;
    sv->turn_at_us = UINT64_MAX;
    sv->blocked_us = 0;
}

bool sim_server_start(struct sim_server *sv)
{
    struct sim *s = sv->sim;
    struct err err = {0};
    sv->life++;
    sv->fsm = sim_fsm_new(sv);
    struct raft_options o = {
        .data_dir = "data",
        .io = &sv->io->io,
        .local_id = str_from_cstr(sv->id),
        .local_address = str_from_cstr(sv->address),
        .snapshot_threshold = sv->snapshot_threshold,
        .snapshot_interval_ms = s->snapshots_often ? 700 : 30000,
        .trailing_logs = sv->trailing_logs,
        .transport = sim_net_new(sv),
        .env = &sv->env,
        .salt_seed = rng_u64(&s->rng) | 1,
        .log_segment_size = s->snapshots_often ? SIM_SEGMENT_SIZE : 16 * SIM_SEGMENT_SIZE,
        .ops = &sim_fsm_ops,
        .fsm = sv->fsm,
        .leadership_data = sv,
        .observe = on_observe,
    };
    sv->in_start = true;
    int k = raft_start(&o, &sv->raft, &err);
    sv->in_start = false;
    if (k < 0) {
        if (!sv->io->is_full) {
            fprintf(stderr, "# %s\n", err_text(&err));
            sim_fail("a server cannot start from its disk", (uint64_t)sv->number, (uint64_t)-k);
        }
        server_gone(sv);
        sim_io_crash(sv->io);
        sim_after(s, sv, 500 * SIM_MS, retry_run);
        return false;
    }
    sim_check_started(sv);
    env_wake(&sv->env, sv->raft);
    return true;
}

static void server_end(struct sim_server *sv)
{
    struct raft *r = sv->raft;
    raft_stop(r);
    sim_net_died(sv);
    raft_free(r);
    server_gone(sv);
}

void sim_server_crash(struct sim_server *sv)
{
    if (sv->raft == NULL) {
        return;
    }
    sv->sim->stats.crashes++;
    sv->io->fail_error = EIO;
    sv->io->fail_at = sv->io->ops + 1 + sim_below(sv->sim, 8);
    sv->io->fail_stays = true;
    server_end(sv);
    sv->io->fail_stays = false;
    sim_io_crash(sv->io);
}

void sim_server_stop(struct sim_server *sv)
{
    if (sv->raft != NULL) {
        server_end(sv);
        sim_io_crash(sv->io);
    }
}

void sim_server_init(struct sim *s, int number)
{
    struct sim_server *sv = &s->servers[number];
    sv->sim = s;
    sv->number = number;
    snprintf(sv->id, sizeof(sv->id), "id%d", number);
    snprintf(sv->address, sizeof(sv->address), "10.0.0.%d:8300", number);
    sv->env.ops = &env_ops;
    sv->io = sim_io_new(rng_u64(&s->rng));
    sv->io->sync_hook = disk_sync;
    sv->io->hook_data = sv;
    sv->rate = 0.96 + rng_f64(&s->rng) * 0.08;
    sv->turn_at_us = UINT64_MAX;
    sv->snapshot_threshold = s->snapshots_often ? 20 + sim_below(s, 300) : 1000000;
    sv->trailing_logs = sim_below(s, 2) == 0 ? 0 : sim_below(s, 200);
}

void sim_server_deinit(struct sim_server *sv)
{
    sim_server_crash(sv);
    sim_io_free(sv->io);
    vec_deinit(&sv->jobs);
    vec_deinit(&sv->log_terms);
    vec_deinit(&sv->votes);
    vec_deinit(&sv->applied);
}
