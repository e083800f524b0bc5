/* The machine: a loop calls raft_turn(), a thread each waits for the log and for reads, and what
 * takes long (RAFT_LANE_SNAPSHOT) has a thread of its own while it lasts. */
#include "raft/env.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/thread.h"
#include "loop/loop.h"

struct lane {
    pthread_t thread;
    bool started;
    struct wake wake;
    _Atomic(struct raft_job *) job;
    _Atomic bool stop;
};

struct machine {
    struct raft_env env;
    struct loop *loop;
    struct raft *raft;
    struct loop_msg msg;
    _Atomic bool woken; /* msg is on its way */
    bool in_turn;
    struct loop_timer timer;
    struct lane lanes[2]; /* LOG, READ; started when first used */
    struct rng rng;
};

static struct machine *machine_of(struct raft_env *e)
{
    return container_of(e, struct machine, env);
}

static uint64_t machine_now_ms(struct raft_env *e)
{
    (void)e;
    return clock_mono_ms();
}

static int64_t machine_wall_ns(struct raft_env *e)
{
    (void)e;
    return clock_wall_ns();
}

static uint64_t machine_random(struct raft_env *e)
{
    return rng_u64(&machine_of(e)->rng);
}

/* --- turns --- */

static void timer_fired(struct loop_timer *t);

static void machine_turn(struct machine *m)
{
    m->in_turn = true;
    uint64_t at = raft_turn(m->raft);
    m->in_turn = false;
    if (at == UINT64_MAX) {
        loop_timer_stop(m->loop, &m->timer);
        return;
    }
    uint64_t now = clock_mono_ms();
    loop_timer_start(m->loop, &m->timer, at > now ? at - now : 0, timer_fired);
}

static void timer_fired(struct loop_timer *t)
{
    machine_turn(container_of(t, struct machine, timer));
}

static void msg_run(struct loop_msg *msg)
{
    struct machine *m = container_of(msg, struct machine, msg);
    atomic_store(&m->woken, false); /* before the turn looks at what there is */
    machine_turn(m);
}

static void machine_wake(struct raft_env *e, struct raft *r)
{
    struct machine *m = machine_of(e);
    (void)r;
    if (atomic_load_explicit(&m->woken, memory_order_relaxed) || atomic_exchange(&m->woken, true)) {
        return;
    }
    /* A message came: take the turn when all that can be read has been. A turn that has more to do
     * goes on after the next poll. */
    if (loop_is_current(m->loop) && !m->in_turn) {
        loop_defer(m->loop, &m->msg);
    } else {
        loop_post(m->loop, &m->msg);
    }
}

/* --- jobs --- */

static void job_run(struct raft_job *job)
{
    struct raft_env *env = job->env;
    struct raft *raft = job->raft;
    job->run(job);
    if (atomic_exchange(&job->state, RAFT_JOB_DONE) == RAFT_JOB_WAITED) {
        syscall(SYS_futex, &job->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    machine_wake(env, raft);
}

static void *lane_run(void *data)
{
    struct lane *lane = data;
    while (!atomic_load(&lane->stop)) {
        struct raft_job *job = atomic_exchange(&lane->job, NULL);
        if (job == NULL) {
            wake_wait(&lane->wake, WAKE_FOREVER);
            continue;
        }
        job_run(job);
    }
    return NULL;
}

static void *thread_run(void *data)
{
    thread_background("raft-snapshot");
    job_run(data);
    return NULL;
}

static int thread_start(pthread_t *thread, void *(*run)(void *), void *data, const char *name)
{
    int k = pthread_create(thread, NULL, run, data);
    if (k == 0) {
        (void)pthread_setname_np(*thread, name);
    }
    return -k;
}

static int machine_job(struct raft_env *e, struct raft *r, enum raft_job_lane lane,
                       struct raft_job *job)
{
    struct machine *m = machine_of(e);
    job->env = e;
    job->raft = r;
    atomic_store(&job->state, RAFT_JOB_RUNNING);
    job->has_thread = lane == RAFT_LANE_SNAPSHOT;
    if (job->has_thread) {
        return -pthread_create(&job->thread, NULL, thread_run, job);
    }
    struct lane *l = &m->lanes[lane];
    if (!l->started) {
        int k = thread_start(&l->thread, lane_run, l,
                             lane == RAFT_LANE_LOG ? "raft-disk" : "raft-read");
        if (k < 0) {
            return k;
        }
        l->started = true;
    }
    atomic_store(&l->job, job);
    wake_post(&l->wake);
    return 0;
}

static void machine_finish(struct raft_env *e, struct raft_job *job)
{
    (void)e;
    for (;;) {
        uint32_t state = RAFT_JOB_RUNNING;
        if (!atomic_compare_exchange_strong(&job->state, &state, RAFT_JOB_WAITED) &&
            state == RAFT_JOB_DONE) {
            break;
        }
        syscall(SYS_futex, &job->state, FUTEX_WAIT_PRIVATE, RAFT_JOB_WAITED, NULL, NULL, 0);
    }
    if (job->has_thread) {
        pthread_join(job->thread, NULL);
        job->has_thread = false;
    }
    atomic_store(&job->state, RAFT_JOB_IDLE);
}

/* --- life --- */

static const struct raft_env_ops machine_ops = {
    .now_ms = machine_now_ms,
    .wall_ns = machine_wall_ns,
    .random = machine_random,
    .wake = machine_wake,
    .job = machine_job,
    .finish = machine_finish,
};

struct raft_env *raft_env_machine_new(struct loop *loop)
{
    struct machine *m = xcalloc(1, sizeof(*m));
    m->env.ops = &machine_ops;
    m->loop = loop;
    m->msg.run = msg_run;
    rng_seed_system(&m->rng);
    return &m->env;
}

void raft_env_machine_start(struct raft_env *e, struct raft *r)
{
    machine_of(e)->raft = r;
    machine_wake(e, r);
}

struct raft_env *raft_env_machine_free(struct raft_env *e)
{
    if (e == NULL) {
        return NULL;
    }
    struct machine *m = machine_of(e);
    for (size_t i = 0; i < ARRAY_SIZE(m->lanes); i++) {
        struct lane *l = &m->lanes[i];
        if (l->started) {
            atomic_store(&l->stop, true);
            wake_post(&l->wake);
            pthread_join(l->thread, NULL);
        }
    }
    return mem_free(m);
}
