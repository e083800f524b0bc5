/* A state from elsewhere takes the place of everything.
 *
 * The node first comes to rest: nothing new is taken in until all that is in the log is durable and
 * applied (so no proposal is lost to a restore), no batch is with the disk and no snapshot is being
 * written. Then, on the raft thread:
 *
 *   1. the bytes are written as a snapshot, under a temporary name, at an index beyond the log and
 *      beyond what the state says of itself, in this term, with the configuration that is in force;
 *   2. the state machine takes them; when it refuses, the snapshot is dropped and nothing changed;
 *   3. the snapshot gets its name: from here on a restart shows the restored state;
 *   4. the log is emptied and goes on behind the snapshot. A crash before that is noticed at the
 *      next start: the log ends before the snapshot (node_join_log).
 *
 * When 3 or 4 fails the memory is ahead of the disk: the node steps down for good, and whatever the
 * restart finds is whole, the old state or the new one. The burned index leaves a hole in the log,
 * so that a server that follows has to take the snapshot. */
#include "base/clock.h"
#include "base/log.h"
#include "raft/node.h"

/* Indexes beyond this are nonsense that would run out. */
#define RESTORE_INDEX_MAX (UINT64_MAX / 2)

void raft_restore(struct raft *r, struct raft_restore *q)
{
    q->next = NULL;
    pthread_mutex_lock(&r->requests_lock);
    bool closed = atomic_load(&r->requests_closed);
    if (!closed) {
        struct raft_restore **last = &r->restores;
        while (*last != NULL) {
            last = &(*last)->next;
        }
        *last = q;
        atomic_store(&r->restores_wait, true);
    }
    pthread_mutex_unlock(&r->requests_lock);
    if (closed) {
        q->done(q, err_set(&q->err, ERR_CLOSED, "%s", err_code_text(ERR_CLOSED)));
        return;
    }
    wake_post(&r->wake);
}

static struct raft_restore *restore_take(struct raft *r)
{
    pthread_mutex_lock(&r->requests_lock);
    struct raft_restore *q = r->restores;
    if (q != NULL) {
        r->restores = q->next;
    }
    atomic_store(&r->restores_wait, r->restores != NULL);
    pthread_mutex_unlock(&r->requests_lock);
    return q;
}

void node_restores_refuse(struct raft *r, int code)
{
    for (struct raft_restore *q; (q = restore_take(r)) != NULL;) {
        q->done(q, err_set(&q->err, -code, "%s", err_code_text(-code)));
    }
}

/* Steps 1 to 3. *ret_is_ahead: the state machine has it, the disk may not. */
static int restore_state(struct raft *r, struct raft_restore *q, uint64_t index, bool *ret_is_ahead)
{
    struct raft_snapshot_sink *sink = NULL;
    int k = 0;
    if (!r->in_memory) {
        struct raft_snapshot_meta meta = {.index = index,
                                          .term = r->term,
                                          .configuration = r->configuration,
                                          .configuration_index = r->configuration_index};
        k = raft_snapshot_create(r->snapshots, &meta, clock_wall_ms(), &sink, &q->err);
        if (k == 0 && (k = raft_snapshot_sink_write(sink, q->bytes, &q->err)) < 0) {
            raft_snapshot_cancel(sink);
        }
    }
    if (k < 0) {
        return k;
    }
    k = r->ops->restore(r->fsm, q->bytes, &q->err);
    if (k < 0) {
        raft_snapshot_cancel(sink);
        return err_wrap(&q->err, "failed to restore snapshot");
    }
    *ret_is_ahead = true;
    return sink != NULL ? raft_snapshot_close(sink, &q->err) : 0;
}

static int node_restore_one(struct raft *r, struct raft_restore *q)
{
    uint64_t index = MAX(q->index, raft_log_last_index(r->log)) + 1;
    bool is_ahead = false;
    if (q->index > RESTORE_INDEX_MAX) {
        return err_set(&q->err, ERR_RANGE, "snapshot index %llu is out of range",
                       (unsigned long long)q->index);
    }
    int k = restore_state(r, q, index, &is_ahead);
    k = k < 0 ? k : raft_log_reset(r->log, index + 1, &q->err);
    if (k < 0 && is_ahead) {
        node_step_down(r, &q->err, false);
    }
    if (k < 0) {
        return k;
    }
    r->commit_index = r->applied_index = index;
    r->snapshot_index = index;
    r->snapshot_term = r->term;
    q->restored_index = index;
    if (r->ops->batch_end != NULL) {
        r->ops->batch_end(r->fsm);
    }
    node_publish_status(r);
    log_write(LOG_INFO, LOG_MODULE, "restored user snapshot", LOG_UINT("index", index));
    return 0;
}

bool node_restore_waits(const struct raft *r)
{
    return atomic_load_explicit(&r->restores_wait, memory_order_relaxed);
}

bool node_restore_next(struct raft *r)
{
    if (!node_restore_waits(r)) {
        return false;
    }
    if (r->state != RAFT_LEADER || r->failed) {
        node_restores_refuse(r, -ERR_NO_LEADER);
        return true;
    }
    if (r->writing || r->snapshot_job != NULL || r->applied_index != raft_log_last_index(r->log)) {
        return false;
    }
    struct raft_restore *q = restore_take(r);
    if (q != NULL) {
        q->done(q, node_restore_one(r, q));
    }
    return true;
}
