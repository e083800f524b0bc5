/* node.h - the insides of a node that raft.c and node*.c share: the core, the log and the state
 * machine, and what is under way between them.
 *
 *     raft_turn -> take what came in -> node_step -> the core's outputs, in order
 *               -> hand the log's next batch to the disk -> apply what is committed -> answer
 *
 * Everything here is the raft thread's, but for what stands under "any thread". A step of the core
 * is never begun from inside another; what its outputs cause (a batch that failed, entries that
 * became durable) is told to it afterwards. */
#pragma once
#include "raft/configuration.h"
#include "raft/core/core.h"
#include "raft/env.h"
#include "raft/log.h"
#include "raft/raft.h"
#include "raft/snapshot.h"
#include "raft/stable.h"
#include "raft/transport.h"

#include <pthread.h>

#define APPLY_BATCH_MAX 256u
#define APPLY_READ_SIZE_MAX (1024u * 1024u)
#define PROPOSE_BATCH_MAX 1024u
#define SEND_READ_SIZE_MAX (32u * 1024u * 1024u)
#define RETRY_MS 1000u
#define TURN_ROUNDS_MAX 8u
/* A leader whose disk has not answered for so long looks whether the others are faster, and then
 * every so often. */
#define DISK_STALL_MS 500u
#define STALL_LOOK_MS 50u
#define SNAPSHOT_THRESHOLD_DEFAULT 16384u
#define SNAPSHOT_INTERVAL_MS_DEFAULT 30000u
#define LOG_MODULE "agent.server.raft"

#define STATUS_WORDS ((sizeof(struct raft_status) + 7) / 8)

struct node_install;
struct node_restore;
struct node_removal;
struct node_snapshot;
struct node_source;
struct node_stage;

/* A batch of the log on its way to the disk. */
struct node_write {
    struct raft_job job;
    struct raft_log_batch *batch; /* NULL: none */
    uint64_t began_ms, stall_at_ms;
    uint64_t began_ns;    /* to measure by */
    uint64_t probe_index; /* an entry added when it was late; 0: none yet */
    bool stalled;         /* and that was acted upon */
    int result;
    struct err err;
};

struct node_measure { /* node_metrics.c's */
    uint64_t role_term, led_since_ns;
    uint64_t contact_at_ms, oldest_at_ms; /* when to look again, while leading */
};

struct raft {
    /* Any thread. */
    _Atomic(struct raft_proposal *) inbound; /* newest first; closed at the end */
    _Atomic(struct raft_request *) requests; /* likewise */
    _Atomic bool is_leader, stopping;
    _Atomic uint32_t status_sequence; /* odd while being written */
    _Atomic uint64_t status_words[STATUS_WORDS];

    /* Set at start. */
    struct raft_io *io;
    struct raft_env *env, *own_env;
    struct loop *loop, *own_loop; /* NULL when the env is a test's */
    struct raft_transport *transport;
    const struct raft_fsm_ops *ops;
    void *fsm;
    void (*leadership)(void *data, bool is_leader);
    void (*observe)(void *data);
    void *leadership_data;
    bool in_memory, loop_runs;
    char id[RAFT_NAME_SIZE_MAX + 1], address[RAFT_NAME_SIZE_MAX + 1];
    uint64_t heartbeat_timeout_ms, election_timeout_ms, lease_timeout_ms, commit_timeout_ms;
    uint64_t snapshot_threshold, snapshot_interval_ms, trailing_logs;

    /* The core and its log. */
    struct raft_core *core;
    struct raft_core_out out;
    size_t out_next;       /* of them, the one to carry out */
    bool is_late;          /* they are of a step that was stopped; what they borrowed is gone */
    uint64_t resume_at_ms; /* when to go on with that; 0: it was not stopped */
    const struct raft_core_event *event; /* of the step that is under way */
    struct raft_log *log;
    struct raft_stable *stable;
    struct node_write write;
    struct node_measure measure;
    bool in_step;
    bool append_failed; /* in this step: the core is told at its end */
    bool log_broken;    /* waits to be repaired; does not campaign */
    bool log_failed;    /* never to be repaired */
    bool halted;        /* a vote could not be stored, or memory is ahead of the disk: takes no part
                           any more; or until resume_at_ms, if that is set */
    bool closed;
    uint64_t repair_at_ms; /* 0: nothing to repair */
    uint64_t cut_index;    /* the log could not be cut from here on, the core's was; 0: none */
    uint64_t durable_told; /* the last DURABLE */
    enum raft_state state; /* the core's, as last announced */
    uint64_t commit_index, applied_index;
    uint64_t noop_index; /* of this term; leadership is announced when it is applied */
    bool status_dirty;
    /* The latest in the log or snapshot. Written under the lock, which other threads read under. */
    struct raft_configuration configuration;
    uint64_t configuration_index;
    pthread_mutex_t configuration_lock;
    /* Found on disk, for a core to begin with. */
    struct raft_configuration committed;
    uint64_t committed_index;

    /* Proposals in the log, not applied yet, by index. */
    struct list pending;
    uint64_t pending_count, pending_size;
    struct raft_entry entries[APPLY_BATCH_MAX];
    struct raft_entry proposed[PROPOSE_BATCH_MAX];

    /* Requests under way. */
    struct raft_request *verifies; /* the core has them, by token */
    struct raft_request *change, *transfer;
    uint64_t change_index, change_term;
    uint64_t tokens;

    /* The state machine is being replaced on another thread: hands off. */
    bool fsm_busy;
    bool fsm_is_behind; /* wants to collect more */
    struct raft_snapshots *snapshots;
    uint64_t snapshot_index, snapshot_term; /* of the newest, or (in memory) what was compacted */
    struct node_snapshot *snapshot;         /* being written */
    struct node_removal *removal;           /* files of the log that it covers, being removed */
    struct raft_request *snapshot_requests;
    bool snapshot_wanted;         /* a server needs one that reaches further */
    uint64_t snapshot_at_ms;      /* when to look whether one is due */
    struct node_install *install; /* being received */
    struct node_install *staged;  /* the same, in advance */
    struct node_restore *restore; /* being carried out */
    struct list stages;           /* of it: what the others are given in advance */
    struct str stage_bytes;
    uint64_t stage, stage_index; /* the number; of the snapshot, 0: not known yet */
    uint64_t stage_began_ms, stage_until_ms;
    bool stage_has_majority;
    struct list sources;         /* being sent */
    struct node_source *reading; /* one of them, with the reading thread */
    /* Servers that the core must be told of, in the next turn. */
    char unreachable[RAFT_SERVERS_MAX][RAFT_NAME_SIZE_MAX + 1];
    uint32_t unreachable_count;
};

/* raft.c */
/* All that came in, oldest first; close: and no more will. */
struct raft_proposal *node_inbound_take(struct raft *r, bool close);
struct raft_request *node_requests_take(struct raft *r, bool close);

/* node.c */
/* One event for the core, and all that comes of it. now_ms is filled in. */
int node_step(struct raft *r, struct raft_core_event *event, struct err *err);
/* Tell the core what the log has made durable or lost by itself. */
void node_log_changed(struct raft *r);
/* Nothing can be trusted any more: take no further part until restarted. */
void node_halt(struct raft *r, const struct err *err);
void node_core_begin(struct raft *r);
/* The last turn: wait for the jobs, answer everything with -ERR_CLOSED, note the commit index. */
void node_close(struct raft *r);
void node_configuration_set(struct raft *r, uint64_t index, const struct raft_configuration *c);
void node_publish_status(struct raft *r);
static inline uint64_t node_now_ms(struct raft *r)
{
    return r->env->ops->now_ms(r->env);
}
static inline void node_wake(struct raft *r)
{
    r->env->ops->wake(r->env, r);
}

/* node_write.c */
void node_append(struct raft *r, struct raft_entry *entries, size_t count);
void node_truncate(struct raft *r, uint64_t index);
void node_log_reset(struct raft *r, uint64_t next_index);
bool node_write(struct raft *r); /* give the disk what is there, take what it has done */
/* Nothing staged, nothing under way; waits for the disk. */
void node_write_settle(struct raft *r);
void node_log_broke(struct raft *r, const struct err *err, bool may_repair);
bool node_repair(struct raft *r);

/* node_metrics.c */
double node_ms_since(uint64_t began_ns);
void node_measure_start(void);
void node_measure_role(struct raft *r, const struct raft_core_output *o); /* before it is taken */
void node_measure_announced(const struct raft *r); /* it leads, for others too */
void node_measure_peers(const struct raft *r);
void node_measure_turn(struct raft *r);
/* ops->state_new(), measured; also on other threads. */
NODISCARD int node_state_new(struct raft *r, struct str bytes, void **ret_state, struct err *err);

/* node_apply.c */
bool node_take_inbound(struct raft *r);
bool node_apply(struct raft *r);
void node_batch_end(struct raft *r);
/* Answer what waits for entries behind `index` with a failure. */
void node_pending_fail(struct raft *r, uint64_t index, int code);

/* node_message.c */
extern const struct raft_transport_events node_transport_events;
void node_send(struct raft *r, const struct raft_core_output *o);
void node_unreachable_soon(struct raft *r, struct str id);
bool node_take_unreachable(struct raft *r);

/* node_request.c */
bool node_take_requests(struct raft *r);
void node_request_done(struct raft_request *q, int code);
void node_requests_settle(struct raft *r); /* a change may be committed now */
void node_requests_fail(struct raft *r, int code);
void node_verified(struct raft *r, uint64_t token, int code);
void node_transferred(struct raft *r, int code);

/* node_open.c */
NODISCARD int node_open(struct raft *r, const struct raft_options *o, struct err *err);
NODISCARD int node_bootstrap(struct raft *r, const struct raft_configuration *c, struct err *err);

/* node_snapshot.c */
void node_snapshot_schedule(struct raft *r);
/* Begin, finish or compact what is due; whether anything moved. */
bool node_snapshot(struct raft *r);
/* Give back to the file system, away from this thread, what the log has left. */
void node_removal_begin(struct raft *r);
/* Wait until no files of the log are being removed. */
void node_removal_settle(struct raft *r);
void node_snapshot_request(struct raft *r, struct raft_request *q);
/* Wait for the one being written; answer requests with `code`. */
void node_snapshot_stop(struct raft *r, int code);
/* Drop what entries a snapshot covers, but for those kept for servers a little behind. */
void node_compact(struct raft *r);

/* node_install.c */
/* end: 1, or why it is over already. */
void node_install_begin(struct raft *r, const struct raft_msg *msg, int end);
void node_install_data(struct raft *r, uint64_t token, struct str bytes);
void node_install_end(struct raft *r, uint64_t token, int code);
/* There is a newer term: a snapshot of an older one that is still coming is given up. */
void node_install_term(struct raft *r, uint64_t term);
bool node_install(struct raft *r);
void node_install_stop(struct raft *r);
/* Somebody gives us a snapshot in advance. */
void node_stage_request(struct raft *r, const struct raft_msg *msg);
uint64_t node_stage_deadline_ms(const struct raft *r); /* when to drop it */

/* node_stage.c */
/* Give it to the others; `bytes` stay until node_stages_end(). */
void node_stages_begin(struct raft *r, struct str bytes);
bool node_stages_are_done(struct raft *r); /* or it is not worth waiting for the rest */
void node_stages_settle(struct raft *r, uint64_t index); /* it is of this index now */
void node_stages_end(struct raft *r);
/* What to send to the server in the place of the snapshot of `index`; once. 0: nothing. */
uint64_t node_stage_use(struct raft *r, struct str id, uint64_t index);
void node_stage_result(struct raft *r, struct str id, const struct raft_msg *msg);
void node_stage_lost(struct raft *r, struct str id); /* no result will come */

/* node_source.c */
/* Open the newest snapshot, then let the transport send it. */
void node_send_snapshot(struct raft *r, const struct raft_core_output *o);
bool node_sources(struct raft *r);
void node_sources_stop(struct raft *r);

/* node_restore.c */
void node_restore_request(struct raft *r, struct raft_request *q);
bool node_restore(struct raft *r);
void node_restore_stop(struct raft *r, int code);
/* The state is ready: no snapshot of the old one is begun any more. */
bool node_restore_is_late(const struct raft *r);
/* And now nothing is written any more, either. */
bool node_restore_is_switching(const struct raft *r);
uint64_t node_restore_deadline_ms(const struct raft *r);
