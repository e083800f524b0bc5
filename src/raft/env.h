/* env.h - where a node gets time, threads and its turns from.
 *
 *     raft_start(options with env NULL)        the machine: real time, a loop, threads (env.c)
 *     raft_start(options with env = mine)      a test or the simulator decides all of it
 *
 * The node itself (node.h) is passive: raft_turn() does everything there is to do now and says when
 * it wants to be called next. In the machine a loop calls it after each burst of messages and
 * wake-ups; the simulator calls it when its virtual time comes. */
#pragma once
#include "base/str.h"
#include "raft/wake.h"

#include <pthread.h>

struct loop;
struct raft;
struct raft_env;

enum raft_job_state { RAFT_JOB_IDLE, RAFT_JOB_RUNNING, RAFT_JOB_WAITED, RAFT_JOB_DONE };

/* Work that may wait for a disk, done away from the raft thread. */
struct raft_job {
    void (*run)(struct raft_job *job);
    _Atomic uint32_t state; /* enum raft_job_state; set to DONE when run has returned */
    /* The env's: */
    struct raft *raft;
    struct raft_env *env;
    pthread_t thread;
    bool has_thread;
};

enum raft_job_lane {
    RAFT_LANE_LOG,      /* append and sync: the latency of every write; one at a time */
    RAFT_LANE_READ,     /* pieces of a snapshot for another server; one at a time */
    RAFT_LANE_SNAPSHOT, /* write, receive, restore: long; each by itself */
};

struct raft_env_ops {
    uint64_t (*now_ms)(struct raft_env *e); /* monotonic */
    int64_t (*wall_ns)(struct raft_env *e);
    uint64_t (*random)(struct raft_env *e);
    /* Have raft_turn() run soon on the raft thread. Any thread; cheap when it was asked already. */
    void (*wake)(struct raft_env *e, struct raft *r);
    /* Run job->run once, mark it done, wake the node. 0, or a negated errno when no thread can be
     * had: then it has not run. On the raft thread. */
    int (*job)(struct raft_env *e, struct raft *r, enum raft_job_lane lane, struct raft_job *job);
    /* Wait until the job is done and let go of it; each job once. On the raft thread. */
    void (*finish)(struct raft_env *e, struct raft_job *job);
};

struct raft_env {
    const struct raft_env_ops *ops;
};

static inline bool raft_job_is_done(struct raft_job *job)
{
    return atomic_load(&job->state) == RAFT_JOB_DONE;
}

/* Do all there is to do now. Returns the moment (now_ms) of the next turn at the latest, UINT64_MAX
 * for none; sooner when woken. On the raft thread. */
uint64_t raft_turn(struct raft *r);

/* The machine. The loop is not running yet, and outlives the env. */
struct raft_env *raft_env_machine_new(struct loop *loop);
/* The loop has stopped. Its threads end first. */
struct raft_env *raft_env_machine_free(struct raft_env *e);
/* From now on turns are taken on the loop. */
void raft_env_machine_start(struct raft_env *e, struct raft *r);
