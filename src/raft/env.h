/* env.h - where a node gets time, threads and its turns from.
 *
 *     raft_start(options with env NULL)        real time; a loop; threads for disk and snapshots
 *     raft_start(options with env = mine)      a test or the simulator decides all of it
 *
 * The node itself (raft/node.h) is passive: raft_turn() does everything there is to do now and says
 * when it wants to be called next. In the machine a loop calls it after each burst of messages and
 * wake-ups; the simulator calls it when its virtual time comes. */
#pragma once
#include "base/str.h"

struct raft;
struct raft_env;

/* Work that may wait for a disk, done away from the raft thread. One that was given to
 * raft_env_ops.job is run once, then is_done is set and the node woken. */
struct raft_job {
    void (*run)(struct raft_job *job);
    _Atomic bool is_done;
    struct raft_env *env; /* set by who runs it, to wake its node */
    struct raft *raft;
};

enum raft_job_lane {
    RAFT_LANE_LOG,      /* append and sync; one at a time, the latency of every write */
    RAFT_LANE_SNAPSHOT, /* write, read, restore: long; one at a time */
};

struct raft_env_ops {
    uint64_t (*now_ms)(struct raft_env *e); /* monotonic */
    int64_t (*wall_ns)(struct raft_env *e);
    uint64_t (*random)(struct raft_env *e);
    /* Have raft_turn() run soon on the raft thread; from any thread, cheap when already asked. */
    void (*wake)(struct raft_env *e, struct raft *r);
    /* 0, or a negated errno when no thread can be had. */
    int (*job)(struct raft_env *e, enum raft_job_lane lane, struct raft_job *job);
};

struct raft_env {
    const struct raft_env_ops *ops;
};

/* Do all there is to do now. Returns the moment (now_ms) of the next turn at the latest, UINT64_MAX
 * for none; sooner when woken. On the raft thread. */
uint64_t raft_turn(struct raft *r);
