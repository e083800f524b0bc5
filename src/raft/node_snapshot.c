/* Snapshots of the state machine, and the log made shorter by them.
 *
 * On the raft thread a handle on the state of one moment is taken, which is cheap; a thread of its
 * own writes it out, so that neither applying nor syncing the log waits; back on the raft thread
 * the log loses the segments that the snapshot covers, but for trailing_logs entries kept for
 * servers that are a little behind.
 *
 * In memory there is nothing to come back to: the log is only made shorter, when it is large, and a
 * snapshot is written (to memory) when another server needs one. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "raft/node.h"

#define MEMORY_LOG_SIZE_MAX (4u * 1024u * 1024u)

static struct metric metric_begin = METRIC_SAMPLE("raft.fsm.snapshot");
static struct metric metric_create = METRIC_SAMPLE("raft.snapshot.create");
static struct metric metric_persist = METRIC_SAMPLE("raft.snapshot.persist");
static struct metric metric_take = METRIC_SAMPLE("raft.snapshot.takeSnapshot");
static struct metric metric_compact = METRIC_SAMPLE("raft.compactLogs");

struct node_snapshot {
    struct raft_job job;
    struct raft *raft;
    void *handle;
    struct raft_snapshot_meta meta;
    struct raft_request *requests;
    uint64_t started_ms, began_ns;
    int64_t wall_ns;
    struct err err;
    int result;
};

static void requests_answer(struct raft_request *q, int code)
{
    while (q != NULL) {
        struct raft_request *next = q->next;
        node_request_done(q, code);
        q = next;
    }
}

void node_snapshot_request(struct raft *r, struct raft_request *q)
{
    q->next = r->snapshot_requests;
    r->snapshot_requests = q;
}

void node_snapshot_schedule(struct raft *r)
{
    /* Spread, so that the servers of a cluster do not all write theirs at once. */
    r->snapshot_at_ms = node_now_ms(r) + r->snapshot_interval_ms +
                        r->env->ops->random(r->env) % r->snapshot_interval_ms;
}

static void snapshot_run(struct raft_job *job)
{
    struct node_snapshot *s = container_of(job, struct node_snapshot, job);
    struct raft_snapshot_sink *sink = NULL;
    uint64_t began_ns = clock_mono_ns();
    s->result = raft_snapshot_create(s->raft->snapshots, &s->meta, (uint64_t)s->wall_ns / NS_PER_MS,
                                     &sink, &s->err);
    if (s->result < 0) {
        return;
    }
    metric_observe(&metric_create, node_ms_since(began_ns));
    began_ns = clock_mono_ns();
    s->result = s->raft->ops->snapshot_write(s->handle, sink, &s->err);
    if (s->result < 0) {
        raft_snapshot_cancel(sink);
        return;
    }
    metric_observe(&metric_persist, node_ms_since(began_ns));
    s->result = raft_snapshot_close(sink, NULL, &s->err);
}

/* --- the files of what a snapshot covers ------------------------------------------------------ */

struct node_removal {
    struct raft_job job;
    struct raft_log_removal *files;
    struct err err;
    int result;
};

static void removal_run(struct raft_job *job)
{
    struct node_removal *m = container_of(job, struct node_removal, job);
    m->result = raft_log_removal_run(m->files, &m->err);
}

static void removal_end(struct raft *r, struct node_removal *m)
{
    raft_log_removal_end(r->log, m->files);
    if (m->result < 0) {
        log_write(LOG_WARN, LOG_MODULE, "cannot compact the log",
                  LOG_CSTR("error", err_text(&m->err)));
    }
    mem_free(m);
}

static void removal_finish(struct raft *r)
{
    struct node_removal *m = TAKE(r->removal);
    r->env->ops->finish(r->env, &m->job);
    removal_end(r, m);
}

/* They give their blocks back to the file system, one after the other: nothing that writes should
 * wait for. */
void node_removal_begin(struct raft *r)
{
    struct raft_log_removal *files = raft_log_removal_begin(r->log);
    if (files == NULL) {
        return; /* or the next snapshot's removal takes these along */
    }
    struct node_removal *m = xcalloc(1, sizeof(*m));
    m->files = files;
    m->job.run = removal_run;
    if (r->in_memory || r->env->ops->job(r->env, r, RAFT_LANE_SNAPSHOT, &m->job) < 0) {
        removal_run(&m->job);
        removal_end(r, m);
    } else {
        r->removal = m;
    }
}

void node_removal_settle(struct raft *r)
{
    if (r->removal != NULL) {
        removal_finish(r);
    }
}

/* --- snapshots -------------------------------------------------------------------------------- */

void node_compact(struct raft *r)
{
    uint64_t last = raft_log_last_index(r->log);
    uint64_t trailing = r->in_memory ? 0 : r->trailing_logs;
    uint64_t upto = last > trailing ? MIN(r->snapshot_index, last - trailing) : 0;
    uint64_t began_ns = clock_mono_ns();
    if (upto >= raft_log_first_index(r->log)) {
        raft_log_compact(r->log, upto);
        node_removal_begin(r);
    }
    struct raft_core_event e = {.kind = RAFT_EVENT_COMPACTED,
                                .index = r->snapshot_index,
                                .term = r->snapshot_term,
                                .first_index = raft_log_first_index(r->log)};
    metric_observe(&metric_compact, node_ms_since(began_ns));
    (void)node_step(r, &e, NULL);
}

/* The snapshot of a moment carries the configuration of that moment: when a newer one is known but
 * what is applied does not reach it, it waits. The committed one is known to the core. */
static bool snapshot_may_begin(struct raft *r, struct raft_snapshot_meta *meta)
{
    uint64_t index;
    const struct raft_configuration *c = raft_core_committed_configuration(r->core, &index);
    if (c->count == 0 || index > r->applied_index) {
        return false;
    }
    meta->configuration = *c;
    meta->configuration_index = index;
    return true;
}

static bool snapshot_begin(struct raft *r)
{
    bool is_wanted = r->snapshot_wanted;
    if (r->applied_index == r->snapshot_index && !is_wanted) {
        requests_answer(TAKE(r->snapshot_requests), 0); /* the last one is of this very state */
        return true;
    }
    struct node_snapshot *s = xcalloc(1, sizeof(*s));
    if (!snapshot_may_begin(r, &s->meta)) {
        mem_free(s);
        return false;
    }
    s->raft = r;
    s->job.run = snapshot_run;
    s->requests = TAKE(r->snapshot_requests);
    s->started_ms = node_now_ms(r);
    s->wall_ns = r->env->ops->wall_ns(r->env);
    s->meta.index = r->applied_index;
    s->meta.term = raft_log_term(r->log, r->applied_index);
    if (s->meta.term == 0) {
        s->meta.term = r->snapshot_term; /* nothing has been applied since */
    }
    s->began_ns = clock_mono_ns();
    s->handle = r->ops->snapshot_begin(r->fsm, r->applied_index);
    metric_observe(&metric_begin, node_ms_since(s->began_ns));
    int k = r->env->ops->job(r->env, r, RAFT_LANE_SNAPSHOT, &s->job);
    if (k < 0) {
        log_write(LOG_ERROR, LOG_MODULE, "cannot start a thread for a snapshot",
                  LOG_CSTR("error", err_code_text(-k)));
        r->ops->snapshot_end(s->handle);
        requests_answer(s->requests, k);
        mem_free(s);
        return true;
    }
    r->snapshot_wanted = false;
    r->snapshot = s;
    return true;
}

static void snapshot_finish(struct raft *r)
{
    struct node_snapshot *s = TAKE(r->snapshot);
    r->env->ops->finish(r->env, &s->job);
    r->ops->snapshot_end(s->handle);
    uint64_t ms = node_now_ms(r) - s->started_ms;
    if (s->result < 0) {
        log_write(LOG_ERROR, LOG_MODULE, "failed to take snapshot",
                  LOG_CSTR("error", err_text(&s->err)));
    } else if (s->meta.index >= r->snapshot_index) { /* else one of the leader came meanwhile */
        r->snapshot_index = s->meta.index;
        r->snapshot_term = s->meta.term;
        node_compact(r);
        node_publish_status(r);
        metric_observe(&metric_take, node_ms_since(s->began_ns));
        log_write(LOG_INFO, LOG_MODULE, "snapshot complete up to", LOG_UINT("index", s->meta.index),
                  LOG_UINT("ms", ms));
    }
    requests_answer(s->requests, s->result);
    mem_free(s);
}

/* The state lives as long as the log does, so the log may forget whatever is applied. */
static bool snapshot_memory(struct raft *r)
{
    bool asked = r->snapshot_requests != NULL;
    if (!asked && raft_log_size(r->log) <= MEMORY_LOG_SIZE_MAX) {
        return false;
    }
    if (r->applied_index > r->snapshot_index && r->write.batch == NULL) {
        r->snapshot_term = raft_log_term(r->log, r->applied_index);
        r->snapshot_index = r->applied_index;
        node_compact(r);
        node_publish_status(r);
    }
    requests_answer(TAKE(r->snapshot_requests), 0);
    return asked;
}

bool node_snapshot(struct raft *r)
{
    if (r->removal != NULL && raft_job_is_done(&r->removal->job)) {
        removal_finish(r);
    }
    if (r->halted && r->snapshot_requests != NULL) {
        requests_answer(TAKE(r->snapshot_requests), -ERR_FAILED);
    }
    if (r->resume_at_ms != 0) {
        return false; /* the core cannot be told of it now */
    }
    if (r->snapshot != NULL) {
        if (!raft_job_is_done(&r->snapshot->job)) {
            return false;
        }
        snapshot_finish(r);
        return true;
    }
    if (r->fsm_busy || r->halted || node_restore_is_late(r)) {
        return false;
    }
    bool is_due = node_now_ms(r) >= r->snapshot_at_ms;
    if (is_due) {
        node_snapshot_schedule(r);
    }
    if (r->snapshot_wanted) {
        return snapshot_begin(r);
    }
    if (r->in_memory) {
        return snapshot_memory(r);
    }
    if (r->snapshot_requests != NULL) {
        return snapshot_begin(r);
    }
    return is_due && r->applied_index - r->snapshot_index >= r->snapshot_threshold &&
           snapshot_begin(r);
}

void node_snapshot_stop(struct raft *r, int code)
{
    if (r->snapshot != NULL) {
        snapshot_finish(r); /* waits for it */
    }
    node_removal_settle(r);
    requests_answer(TAKE(r->snapshot_requests), code);
}
