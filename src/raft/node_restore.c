/* A state from elsewhere takes the place of everything, on the leader.
 *
 * Nearly all of it is done beside the state there is, which goes on being written:
 *
 *   1. on a thread of the snapshot's own the bytes are made into another state, which refuses what
 *      is not well-formed, and written as a snapshot under a temporary name, and synced;
 *   2. the other servers are given the bytes in advance (node_stage.c), and do the same with them.
 *
 * Then the switch. The node comes to rest: proposals wait (they are of the state to come) until all
 * that is in the log is durable and applied. The core takes no entries of others meanwhile.
 *
 *   3. the snapshot gets its name, for an index beyond the log and beyond what the state says of
 *      itself, this term, and the configuration that is in force: from here on a restart shows the
 *      restored state. Also on that thread: heartbeats go on;
 *   4. the state machine changes over, the core empties the log and goes on behind the snapshot
 *      with an entry of no content; the burned index leaves a hole in the log, so that every server
 *      that follows has to take the snapshot. Who has been given it in advance is told to take that
 *      one. When the entry is applied, so on a majority, the restore is done.
 *
 * A crash before the log is emptied is noticed at the next start: the log ends before the snapshot.
 * Whatever fails before 3, or leadership lost before 3 is done, leaves everything as it was; if the
 * snapshot has its name by then it is removed again, and when that cannot be done the node halts:
 * its disk is ahead of what the cluster has. As in the reference a leader that dies between 3 and
 * the commit may be followed by one without the restored state; restoring is for when the state is
 * lost anyway. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "raft/node.h"

/* Indexes beyond this are nonsense that would run out. */
#define RESTORE_INDEX_MAX (UINT64_MAX / 2)

static struct metric metric_restore = METRIC_SAMPLE("raft.restoreUserSnapshot");

enum restore_step {
    RESTORE_NONE,    /* the first request has not been looked at */
    RESTORE_MAKE,    /* 1, on the thread */
    RESTORE_STAGE,   /* 2 */
    RESTORE_SWITCH,  /* coming to rest */
    RESTORE_CLOSE,   /* 3, on the thread */
    RESTORE_COMMIT,  /* 4 */
    RESTORE_DISCARD, /* of what was made, on the thread; the answer is in result */
};

struct node_restore {
    struct raft_job job;
    struct raft *raft;
    struct raft_request *requests; /* oldest first; the first is being carried out */
    enum restore_step step;
    bool is_running; /* the job is with its thread */
    bool is_named;   /* the snapshot may be there after a restart */
    uint64_t term, began_ns;
    int64_t wall_ns;
    struct raft_snapshot_meta meta;
    struct raft_snapshot_sink *sink;
    void *state;
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

static bool restore_is_within(const struct raft *r, enum restore_step first, enum restore_step last)
{
    return r->restore != NULL && r->restore->step >= first && r->restore->step <= last;
}

bool node_restore_is_late(const struct raft *r)
{
    return restore_is_within(r, RESTORE_STAGE, RESTORE_COMMIT);
}

bool node_restore_is_switching(const struct raft *r)
{
    return restore_is_within(r, RESTORE_SWITCH, RESTORE_COMMIT);
}

uint64_t node_restore_deadline_ms(const struct raft *r)
{
    uint64_t at_ms = r->stage_until_ms;
    return restore_is_within(r, RESTORE_STAGE, RESTORE_STAGE) && at_ms > r->env->ops->now_ms(r->env)
               ? at_ms
               : UINT64_MAX;
}

/* --- on its thread --- */

static int restore_make(struct node_restore *x, struct raft_request *q)
{
    struct raft *r = x->raft;
    int k = node_state_new(r, q->bytes, &x->state, &q->err);
    if (k < 0) {
        (void)err_wrap(&q->err, "failed to restore snapshot");
        return k;
    }
    k = raft_snapshot_create(r->snapshots, &x->meta, (uint64_t)x->wall_ns / NS_PER_MS, &x->sink,
                             &q->err);
    k = k < 0 ? k : raft_snapshot_sink_write(x->sink, q->bytes, &q->err);
    return k < 0 ? k : raft_snapshot_sink_sync(x->sink, &q->err);
}

static void restore_run(struct raft_job *job)
{
    struct node_restore *x = container_of(job, struct node_restore, job);
    struct raft_request *q = x->requests;
    switch (x->step) {
    case RESTORE_MAKE:
        x->result = restore_make(x, q);
        break;
    case RESTORE_CLOSE:
        x->result = raft_snapshot_sink_settle(x->sink, &x->meta, &q->err);
        if (x->result == 0) {
            x->is_named = true;
            x->result = raft_snapshot_close(TAKE(x->sink), &x->meta, &q->err);
        }
        break;
    case RESTORE_DISCARD:
        raft_snapshot_cancel(TAKE(x->sink));
        if (x->state != NULL) {
            x->raft->ops->state_free(x->raft->fsm, TAKE(x->state));
        }
        break;
    default:
        break;
    }
}

/* --- on the raft thread --- */

static void restore_do(struct raft *r, struct node_restore *x, enum restore_step step)
{
    x->step = step;
    x->is_running = true;
    x->job.run = restore_run;
    if (r->env->ops->job(r->env, r, RAFT_LANE_SNAPSHOT, &x->job) < 0) {
        restore_run(&x->job); /* late is better than never */
        atomic_store(&x->job.state, RAFT_JOB_DONE);
        x->job.has_thread = false;
    }
}

static void restore_begin(struct raft *r, struct node_restore *x)
{
    x->is_named = false;
    x->result = 0;
    x->term = raft_core_term(r->core);
    x->began_ns = clock_mono_ns();
    x->wall_ns = r->env->ops->wall_ns(r->env);
    x->meta = (struct raft_snapshot_meta){.term = x->term}; /* its index is still to be seen */
    restore_do(r, x, RESTORE_MAKE);
}

/* The one under way is over. */
static void restore_answer(struct raft *r, int code)
{
    struct node_restore *x = r->restore;
    struct raft_request *q = x->requests;
    ASSERT(x->sink == NULL && x->state == NULL);
    node_stages_end(r);
    x->requests = q->next;
    x->step = RESTORE_NONE;
    if (x->requests == NULL) {
        r->restore = mem_free(x);
    }
    node_request_done(q, code);
}

static void restore_fail(struct raft *r, struct node_restore *x, int code)
{
    x->result = code;
    node_stages_end(r);
    restore_do(r, x, RESTORE_DISCARD);
}

/* Nothing that is written from now on would stay. */
static void restore_close(struct raft *r, struct node_restore *x)
{
    x->meta.index = MAX(x->requests->snapshot_index, raft_log_last_index(r->log)) + 1;
    x->meta.configuration = r->configuration;
    x->meta.configuration_index = r->configuration_index;
    r->fsm_busy = true;
    struct raft_core_event e = {.kind = RAFT_EVENT_RESTORING};
    (void)node_step(r, &e, NULL);
    restore_do(r, x, RESTORE_CLOSE);
}

static bool restore_leads(const struct raft *r, const struct node_restore *x)
{
    return r->state == RAFT_LEADER && raft_core_term(r->core) == x->term && !r->halted;
}

static void restore_switch(struct raft *r, struct node_restore *x)
{
    struct raft_request *q = x->requests;
    r->fsm_busy = false;
    if (x->is_named && (x->result < 0 || !restore_leads(r, x))) {
        if (x->result == 0) {
            x->result =
                err_set(&q->err, ERR_LEADERSHIP_LOST, "%s", err_code_text(ERR_LEADERSHIP_LOST));
        }
        if (raft_snapshot_remove(r->snapshots, &x->meta) < 0) {
            node_halt(r, &q->err);
        }
    }
    struct raft_core_event e = {.kind = RAFT_EVENT_RESTORED,
                                .ok = x->result == 0,
                                .index = x->meta.index,
                                .term = x->meta.term};
    if (e.ok) {
        r->ops->state_take(r->fsm, TAKE(x->state));
        r->snapshot_index = r->applied_index = r->commit_index = x->meta.index;
        r->snapshot_term = x->meta.term;
        q->restored_index = x->meta.index;
        x->step = RESTORE_COMMIT;
        node_stages_settle(r, x->meta.index);
        node_batch_end(r);
        log_write(LOG_INFO, LOG_MODULE, "restored user snapshot", LOG_UINT("index", x->meta.index));
    }
    (void)node_step(r, &e, NULL);
    node_publish_status(r);
    if (!e.ok) {
        restore_fail(r, x, x->result);
    }
}

/* The job is back. */
static void restore_next(struct raft *r, struct node_restore *x)
{
    r->env->ops->finish(r->env, &x->job);
    x->is_running = false;
    switch (x->step) {
    case RESTORE_MAKE:
        if (x->result < 0) {
            restore_fail(r, x, x->result);
        } else {
            x->step = RESTORE_STAGE;
            node_stages_begin(r, x->requests->bytes);
        }
        break;
    case RESTORE_CLOSE:
        restore_switch(r, x);
        break;
    default:
        restore_answer(r, x->result);
        break;
    }
}

static bool restore_step(struct raft *r, struct node_restore *x)
{
    switch (x->step) {
    case RESTORE_NONE:
        restore_begin(r, x);
        return true;
    case RESTORE_STAGE:
        if (!node_stages_are_done(r) || r->snapshot != NULL || r->install != NULL) {
            return false;
        }
        x->step = RESTORE_SWITCH;
        return true;
    case RESTORE_SWITCH:
        if (r->write.batch != NULL || r->applied_index != raft_log_last_index(r->log)) {
            return false;
        }
        restore_close(r, x);
        return true;
    case RESTORE_COMMIT:
        if (r->applied_index <= x->meta.index) {
            return false;
        }
        metric_observe(&metric_restore, node_ms_since(x->began_ns));
        restore_answer(r, 0);
        return true;
    default:
        return false;
    }
}

bool node_restore(struct raft *r)
{
    struct node_restore *x = r->restore;
    if (x == NULL || r->resume_at_ms != 0) {
        return false; /* the core cannot be told of anything now */
    }
    if (x->is_running) {
        if (!raft_job_is_done(&x->job)) {
            return false;
        }
        restore_next(r, x);
        return true;
    }
    if (x->step == RESTORE_NONE && (r->state != RAFT_LEADER || r->halted)) {
        restore_answer(r, -ERR_NO_LEADER);
        return true;
    }
    if (x->step != RESTORE_NONE && !restore_leads(r, x)) {
        restore_fail(r, x, -ERR_LEADERSHIP_LOST);
        return true;
    }
    return restore_step(r, x);
}

void node_restore_stop(struct raft *r, int code)
{
    struct node_restore *x = r->restore;
    if (x == NULL) {
        return;
    }
    while (x->is_running) {
        restore_next(r, x); /* waits; may have more to do, or be over */
        if ((x = r->restore) == NULL) {
            return;
        }
    }
    if (x->sink != NULL || x->state != NULL) {
        x->step = RESTORE_DISCARD;
        restore_run(&x->job);
    }
    while (r->restore != NULL) {
        restore_answer(r, code);
    }
}
