/* A state from elsewhere takes the place of everything, on the leader.
 *
 * The node first comes to rest: proposals wait (they are of the state to come) until all that is in
 * the log is durable and applied, and no snapshot is being written. The core takes no entries
 * of others meanwhile. Then, on a thread of the snapshot's own, while heartbeats go on:
 *
 *   1. the bytes are written as a snapshot, under a temporary name, at an index beyond the log and
 *      beyond what the state says of itself, in this term, with the configuration that is in force;
 *   2. the state machine takes them; when it refuses, the snapshot is dropped and nothing changed;
 *   3. the snapshot gets its name: from here on a restart shows the restored state.
 *
 * Back on the raft thread the core empties the log and goes on behind the snapshot with an entry of
 * no content; the burned index leaves a hole in the log, so that every server that follows has to
 * take the snapshot. When that entry is applied, so on a majority, the restore is done. A crash
 * before the log is emptied is noticed at the next start: the log ends before the snapshot.
 *
 * When 3 fails, or leadership was lost on the way, the memory is ahead of what the cluster has: the
 * node halts, and whatever the restart finds is whole. As in the reference a leader that dies
 * between 3 and the commit may be followed by one without the restored state; restoring is for when
 * the state is lost anyway. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "raft/node.h"

/* Indexes beyond this are nonsense that would run out. */
#define RESTORE_INDEX_MAX (UINT64_MAX / 2)

static struct metric metric_restore = METRIC_SAMPLE("raft.restoreUserSnapshot");

struct node_restore {
    struct raft_job job;
    struct raft *raft;
    struct raft_request *requests; /* oldest first; the first is being carried out */
    bool is_running, is_committing;
    uint64_t term, began_ns;
    int64_t wall_ns;
    struct raft_snapshot_meta meta;
    bool is_ahead; /* the state machine has it, the disk may not */
    int result;
};

void node_restore_request(struct raft *r, struct raft_request *q)
{
    if (r->state != RAFT_LEADER || r->halted) {
        node_request_done(q, -ERR_NO_LEADER);
        return;
    }
    if (q->snapshot_index > RESTORE_INDEX_MAX) {
        node_request_done(q, err_set(&q->err, ERR_RANGE, "snapshot index %llu is out of range",
                                     (unsigned long long)q->snapshot_index));
        return;
    }
    if (r->restore == NULL) {
        r->restore = xcalloc(1, sizeof(*r->restore));
        r->restore->raft = r;
    }
    struct raft_request **last = &r->restore->requests;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = q;
}

static void restore_run(struct raft_job *job)
{
    struct node_restore *x = container_of(job, struct node_restore, job);
    struct raft *r = x->raft;
    struct raft_request *q = x->requests;
    struct raft_snapshot_sink *sink = NULL;
    x->result = raft_snapshot_create(r->snapshots, &x->meta, (uint64_t)x->wall_ns / NS_PER_MS,
                                     &sink, &q->err);
    if (x->result < 0) {
        return;
    }
    x->result = raft_snapshot_sink_write(sink, q->bytes, &q->err);
    if (x->result == 0 && (x->result = node_fsm_restore(r, q->bytes, &q->err)) < 0) {
        (void)err_wrap(&q->err, "failed to restore snapshot");
    }
    if (x->result < 0) {
        raft_snapshot_cancel(sink);
        return;
    }
    x->is_ahead = true;
    x->result = raft_snapshot_close(sink, &x->meta, &q->err);
}

static void restore_begin(struct raft *r, struct node_restore *x)
{
    struct raft_request *q = x->requests;
    x->is_ahead = x->is_committing = false;
    x->is_running = true;
    x->term = raft_core_term(r->core);
    x->began_ns = clock_mono_ns();
    x->wall_ns = r->env->ops->wall_ns(r->env);
    x->job.run = restore_run;
    x->meta = (struct raft_snapshot_meta){
        .index = MAX(q->snapshot_index, raft_log_last_index(r->log)) + 1,
        .term = x->term,
        .configuration = r->configuration,
        .configuration_index = r->configuration_index};
    r->fsm_busy = true;
    struct raft_core_event e = {.kind = RAFT_EVENT_RESTORING};
    (void)node_step(r, &e, NULL);
    if (r->env->ops->job(r->env, r, RAFT_LANE_SNAPSHOT, &x->job) < 0) {
        restore_run(&x->job);
        atomic_store(&x->job.state, RAFT_JOB_DONE);
        x->job.has_thread = false;
    }
}

/* The one under way is over. */
static void restore_answer(struct raft *r, int code)
{
    struct node_restore *x = r->restore;
    struct raft_request *q = x->requests;
    x->requests = q->next;
    x->is_running = x->is_committing = false;
    if (x->requests == NULL) {
        r->restore = mem_free(x);
    }
    node_request_done(q, code);
}

static void restore_finish(struct raft *r, struct node_restore *x)
{
    struct raft_request *q = x->requests;
    r->env->ops->finish(r->env, &x->job);
    x->is_running = false;
    r->fsm_busy = false;
    bool leads = r->state == RAFT_LEADER && raft_core_term(r->core) == x->term && !r->halted;
    if (x->is_ahead && (x->result < 0 || !leads)) {
        if (x->result == 0) {
            x->result =
                err_set(&q->err, ERR_LEADERSHIP_LOST, "%s", err_code_text(ERR_LEADERSHIP_LOST));
            raft_snapshot_remove(r->snapshots, &x->meta);
        }
        node_halt(r, &q->err);
    }
    struct raft_core_event e = {.kind = RAFT_EVENT_RESTORED,
                                .ok = x->result == 0,
                                .index = x->meta.index,
                                .term = x->meta.term};
    if (e.ok) {
        r->snapshot_index = r->applied_index = r->commit_index = x->meta.index;
        r->snapshot_term = x->meta.term;
        q->restored_index = x->meta.index;
        x->is_committing = true;
        if (r->ops->batch_end != NULL) {
            r->ops->batch_end(r->fsm);
        }
        log_write(LOG_INFO, LOG_MODULE, "restored user snapshot", LOG_UINT("index", x->meta.index));
    }
    (void)node_step(r, &e, NULL);
    node_publish_status(r);
    if (!e.ok) {
        restore_answer(r, x->result);
    }
}

bool node_restore(struct raft *r)
{
    struct node_restore *x = r->restore;
    if (x == NULL || r->resume_at_ms != 0) {
        return false;
    }
    if (x->is_running) {
        if (!raft_job_is_done(&x->job)) {
            return false;
        }
        restore_finish(r, x);
        return true;
    }
    if (r->state != RAFT_LEADER || r->halted) {
        restore_answer(r, x->is_committing ? -ERR_LEADERSHIP_LOST : -ERR_NO_LEADER);
        return true;
    }
    if (x->is_committing) {
        if (r->applied_index <= x->meta.index) {
            return false;
        }
        metric_observe(&metric_restore, node_ms_since(x->began_ns));
        restore_answer(r, 0);
        return true;
    }
    if (r->write.batch != NULL || r->snapshot != NULL || r->install != NULL ||
        r->applied_index != raft_log_last_index(r->log)) {
        return false;
    }
    restore_begin(r, x);
    return true;
}

void node_restore_stop(struct raft *r, int code)
{
    if (r->restore != NULL && r->restore->is_running) {
        restore_finish(r, r->restore);
    }
    while (r->restore != NULL) {
        restore_answer(r, code);
    }
}
