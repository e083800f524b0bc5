/* node.h - the insides of a node that raft.c, raft_open.c, raft_restore.c and raft_snapshot.c
 * share. */
#pragma once
#include "base/rand.h"
#include "raft/configuration.h"
#include "raft/disk.h"
#include "raft/log.h"
#include "raft/raft.h"
#include "raft/snapshot.h"
#include "raft/stable.h"
#include "raft/wake.h"

#include <pthread.h>

#define APPLY_BATCH_MAX 256u
#define APPLY_READ_SIZE_MAX (1024u * 1024u)
#define RETRY_MS 1000u
#define SNAPSHOT_THRESHOLD_DEFAULT 16384u
#define SNAPSHOT_INTERVAL_MS_DEFAULT 30000u
#define LOG_MODULE "agent.server.raft"

#define STATUS_WORDS ((sizeof(struct raft_status) + 7) / 8)

struct snapshot_job;
struct snapshot_request;

struct raft {
    /* Any thread. */
    _Atomic(struct raft_proposal *) inbound; /* newest first; INBOUND_CLOSED at the end */
    struct wake wake;
    _Atomic bool is_leader, stopping;
    _Atomic uint32_t status_sequence; /* odd while being written */
    _Atomic uint64_t status_words[STATUS_WORDS];

    /* Set at start. */
    struct raft_io *io;
    const struct raft_fsm_ops *ops;
    void *fsm;
    void (*leadership)(void *data, bool is_leader);
    void *leadership_data;
    bool in_memory;
    char id[RAFT_NAME_SIZE_MAX + 1], address[RAFT_NAME_SIZE_MAX + 1];
    uint64_t snapshot_threshold, snapshot_interval_ms, trailing_logs;
    pthread_t thread;
    bool running;

    /* The raft thread's. */
    struct raft_log *log;
    struct raft_stable *stable;
    struct disk disk;
    bool writing; /* a batch is with the disk thread */
    enum raft_state state;
    uint64_t term, commit_index, applied_index;
    uint64_t noop_index; /* of this term; leadership is announced when it is applied */
    uint64_t snapshot_index, snapshot_term;
    /* The latest in the log or snapshot. Written under the lock, which other threads read under. */
    struct raft_configuration configuration;
    uint64_t configuration_index;
    pthread_mutex_t configuration_lock;
    struct list pending; /* proposals in the log, not applied yet, by index */
    uint64_t pending_count, pending_size;
    uint64_t retry_ms; /* when to try to lead again after a failure; 0: not waiting */
    bool failed;       /* not to be mended by trying again */
    struct raft_entry entries[APPLY_BATCH_MAX];

    struct raft_snapshots *snapshots; /* NULL in memory: nothing would ever read one */
    struct snapshot_job *snapshot_job;
    uint64_t snapshot_at_ms; /* when to look whether one is due */
    struct rng rng;          /* jitter */
    pthread_mutex_t requests_lock;
    struct snapshot_request *requests; /* raft_snapshot()'s, of any thread; under the lock */
    _Atomic bool requests_wait, requests_closed;
    struct raft_restore *restores; /* raft_restore()'s, oldest first; under the lock */
    _Atomic bool restores_wait;
};

/* raft.c */
void node_publish_status(struct raft *r);
/* The disk failed. Unless it may try again, it stays down until restarted. */
void node_step_down(struct raft *r, const struct err *err, bool may_retry);

/* raft_open.c */
NODISCARD int node_open(struct raft *r, const struct raft_options *o, struct err *err);
void node_configuration_set(struct raft *r, uint64_t index, const struct raft_configuration *c);

/* raft_snapshot.c */
void node_snapshot_schedule(struct raft *r);
/* Begin, finish or compact what is due; whether anything moved. */
bool node_snapshot(struct raft *r);
/* Wait for the one being written; answer requests with `code`, also those to come. */
void node_snapshot_stop(struct raft *r, int code);

/* raft_restore.c */
bool node_restore_waits(const struct raft *r);
/* Carry out one restore if the node is at rest; whether anything moved. */
bool node_restore_next(struct raft *r);
void node_restores_refuse(struct raft *r, int code);
