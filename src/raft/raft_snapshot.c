/* Snapshots of the state machine, and the log made shorter by them.
 *
 * On the raft thread a handle on the state of one moment is taken, which is cheap; a thread of its
 * own writes it out, so that neither applying nor syncing the log waits; back on the raft thread
 * the log loses the segments that the snapshot covers, but for trailing_logs entries kept for
 * followers that are a little behind.
 *
 * In memory there is nothing to come back to: the log is only made shorter, when it is large. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "raft/node.h"

#define MEMORY_LOG_SIZE_MAX (4u * 1024u * 1024u)

struct snapshot_request {
    struct snapshot_request *next;
    void (*done)(void *data, int code);
    void *data;
};

struct snapshot_job {
    struct raft *r;
    pthread_t thread;
    void *handle;
    struct raft_snapshot_meta meta;
    struct snapshot_request *requests;
    uint64_t started_ms;
    struct err err;
    int result;
    _Atomic bool finished;
};

void raft_snapshot(struct raft *r, void (*done)(void *data, int code), void *data)
{
    struct snapshot_request *q = xmalloc(sizeof(*q));
    *q = (struct snapshot_request){NULL, done, data};
    pthread_mutex_lock(&r->requests_lock);
    bool closed = atomic_load(&r->requests_closed);
    if (!closed) {
        q->next = r->requests;
        r->requests = q;
        atomic_store(&r->requests_wait, true);
    }
    pthread_mutex_unlock(&r->requests_lock);
    if (closed) {
        mem_free(q);
        done(data, -ERR_CLOSED);
        return;
    }
    wake_post(&r->wake);
}

static struct snapshot_request *requests_take(struct raft *r)
{
    pthread_mutex_lock(&r->requests_lock);
    struct snapshot_request *q = TAKE(r->requests);
    atomic_store(&r->requests_wait, false);
    pthread_mutex_unlock(&r->requests_lock);
    return q;
}

static void requests_answer(struct snapshot_request *q, int code)
{
    while (q != NULL) {
        struct snapshot_request *next = q->next;
        q->done(q->data, code);
        mem_free(q);
        q = next;
    }
}

void node_snapshot_schedule(struct raft *r)
{
    /* Spread, so that the servers of a cluster do not all write theirs at once. */
    r->snapshot_at_ms =
        clock_mono_ms() + r->snapshot_interval_ms + rng_below(&r->rng, r->snapshot_interval_ms);
}

static int job_write(struct snapshot_job *job)
{
    struct raft_snapshot_sink *sink = NULL;
    int k = raft_snapshot_create(job->r->snapshots, &job->meta, clock_wall_ms(), &sink, &job->err);
    if (k < 0) {
        return k;
    }
    k = job->r->ops->snapshot_write(job->handle, sink, &job->err);
    if (k < 0) {
        raft_snapshot_cancel(sink);
        return k;
    }
    return raft_snapshot_close(sink, &job->err);
}

static void *job_run(void *data)
{
    struct snapshot_job *job = data;
    job->result = job_write(job);
    struct wake *wake = &job->r->wake;
    atomic_store(&job->finished, true);
    wake_post(wake);
    return NULL;
}

static void node_compact(struct raft *r)
{
    uint64_t last = raft_log_last_index(r->log);
    uint64_t trailing = r->in_memory ? 0 : r->trailing_logs;
    uint64_t upto = last > trailing ? MIN(r->snapshot_index, last - trailing) : 0;
    struct err err = {0};
    if (upto >= raft_log_first_index(r->log) && raft_log_compact(r->log, upto, &err) < 0) {
        log_write(LOG_WARN, LOG_MODULE, "cannot compact the log",
                  LOG_CSTR("error", err_text(&err)));
    }
}

static void node_snapshot_begin(struct raft *r, struct snapshot_request *requests)
{
    if (r->applied_index == r->snapshot_index) { /* the last one is of this very state */
        requests_answer(requests, 0);
        return;
    }
    struct snapshot_job *job = xcalloc(1, sizeof(*job));
    job->r = r;
    job->requests = requests;
    job->started_ms = clock_mono_ms();
    job->meta.index = r->applied_index;
    job->meta.term = raft_log_term(r->log, r->applied_index);
    job->meta.configuration = r->configuration;
    job->meta.configuration_index = r->configuration_index;
    job->handle = r->ops->snapshot_begin(r->fsm, r->applied_index);
    int k = -pthread_create(&job->thread, NULL, job_run, job);
    if (k < 0) {
        log_write(LOG_ERROR, LOG_MODULE, "cannot start a thread for a snapshot",
                  LOG_CSTR("error", err_code_text(-k)));
        r->ops->snapshot_end(job->handle);
        mem_free(job);
        requests_answer(requests, k);
        return;
    }
    (void)pthread_setname_np(job->thread, "raft-snapshot");
    r->snapshot_job = job;
}

static void node_snapshot_finish(struct raft *r)
{
    struct snapshot_job *job = TAKE(r->snapshot_job);
    pthread_join(job->thread, NULL);
    r->ops->snapshot_end(job->handle);
    if (job->result == 0) {
        r->snapshot_index = job->meta.index;
        r->snapshot_term = job->meta.term;
        node_compact(r);
        node_publish_status(r);
        log_write(LOG_INFO, LOG_MODULE, "snapshot complete up to",
                  LOG_UINT("index", job->meta.index),
                  LOG_UINT("ms", clock_mono_ms() - job->started_ms));
    } else {
        log_write(LOG_ERROR, LOG_MODULE, "failed to take snapshot",
                  LOG_CSTR("error", err_text(&job->err)));
    }
    requests_answer(job->requests, job->result);
    mem_free(job);
}

/* The state lives as long as the log does, so the log may forget whatever is applied. */
static bool node_snapshot_memory(struct raft *r)
{
    bool asked = atomic_load_explicit(&r->requests_wait, memory_order_relaxed);
    if (!asked && raft_log_size(r->log) <= MEMORY_LOG_SIZE_MAX) {
        return false;
    }
    if (r->applied_index > r->snapshot_index && !r->failed) {
        r->snapshot_term = raft_log_term(r->log, r->applied_index);
        r->snapshot_index = r->applied_index;
        node_compact(r);
        node_publish_status(r);
    }
    if (asked) {
        requests_answer(requests_take(r), 0);
    }
    return asked;
}

bool node_snapshot(struct raft *r)
{
    if (r->in_memory) {
        return node_snapshot_memory(r);
    }
    if (r->snapshot_job != NULL) {
        if (!atomic_load(&r->snapshot_job->finished)) {
            return false;
        }
        node_snapshot_finish(r);
        return true;
    }
    if (atomic_load_explicit(&r->requests_wait, memory_order_relaxed)) {
        node_snapshot_begin(r, requests_take(r));
        return true;
    }
    if (clock_mono_ms() < r->snapshot_at_ms) {
        return false;
    }
    node_snapshot_schedule(r);
    if (r->applied_index - r->snapshot_index < r->snapshot_threshold) {
        return false;
    }
    node_snapshot_begin(r, NULL);
    return true;
}

void node_snapshot_stop(struct raft *r, int code)
{
    if (r->snapshot_job != NULL) {
        node_snapshot_finish(r); /* waits for it */
    }
    pthread_mutex_lock(&r->requests_lock);
    atomic_store(&r->requests_closed, true);
    pthread_mutex_unlock(&r->requests_lock);
    requests_answer(requests_take(r), code);
    node_restores_refuse(r, code);
}
