/* Receiving a snapshot from the leader.
 *
 * The bytes come a piece at a time: each is written by a thread of the snapshot's own before the
 * next is let in, so neither memory nor the raft thread is filled by it. When all have come the
 * snapshot is put in place (from here on a restart would take it), read back, checked and restored
 * into the state machine, on that thread too: this node goes on answering heartbeats. Then the core
 * is told, which empties the log.
 *
 *   bytes missing, the connection gone    the file is removed, the leader is told no
 *   it cannot be written                  likewise
 *   the state machine does not take it    likewise; the state is as before
 *   we die on the way                     it is there whole, or not at all
 *   there is a newer term                 it is given up: the sender may be silent for long, and
 *                                         until it is over the leader of now is refused
 *   entries of our own log that became    it is dropped, the leader is told yes: the state does not
 *   durable meanwhile reach further       go back
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "raft/node.h"

static struct metric metric_install = METRIC_SAMPLE("raft.rpc.installSnapshot");

enum install_step {
    INSTALL_CREATE,
    INSTALL_WRITE,
    INSTALL_RESTORE,
    INSTALL_CANCEL,
};

struct node_install {
    struct raft_job job;
    struct raft *raft;
    uint64_t token, term; /* of the request */
    enum install_step step;
    bool is_running; /* the job is with its thread */
    bool is_stale;   /* our own log got as far meanwhile */
    int end;         /* what the end was: 1 not yet, 0 all came, negative */
    uint64_t size, received, began_ms;
    int64_t wall_ns;
    struct raft_snapshot_meta meta;
    struct raft_snapshot_sink *sink;
    struct buf piece;
    int result;
    struct err err;
};

/* --- on its thread --- */

static int install_restore(struct node_install *in)
{
    struct raft *r = in->raft;
    struct str bytes = STR_NULL;
    int k = raft_snapshot_close(TAKE(in->sink), &in->meta, &in->err);
    if (k < 0) {
        return k;
    }
    k = raft_snapshot_read(r->snapshots, &in->meta, &bytes, &in->err);
    k = k < 0 ? k : node_fsm_restore(r, bytes, &in->err);
    mem_free((void *)bytes.p);
    if (k < 0) {
        raft_snapshot_remove(r->snapshots, &in->meta);
    }
    return k;
}

static void install_run(struct raft_job *job)
{
    struct node_install *in = container_of(job, struct node_install, job);
    switch (in->step) {
    case INSTALL_CREATE:
        in->result = raft_snapshot_create(in->raft->snapshots, &in->meta,
                                          (uint64_t)in->wall_ns / NS_PER_MS, &in->sink, &in->err);
        break;
    case INSTALL_WRITE:
        in->result = raft_snapshot_sink_write(in->sink, buf_view(&in->piece), &in->err);
        break;
    case INSTALL_RESTORE:
        in->result = install_restore(in);
        break;
    case INSTALL_CANCEL:
        raft_snapshot_cancel(TAKE(in->sink));
        break;
    }
}

/* --- on the raft thread --- */

static void install_do(struct node_install *in, enum install_step step)
{
    struct raft *r = in->raft;
    in->step = step;
    in->is_running = true;
    if (r->env->ops->job(r->env, r, RAFT_LANE_SNAPSHOT, &in->job) < 0) {
        install_run(&in->job); /* late is better than never */
        atomic_store(&in->job.state, RAFT_JOB_DONE);
        in->job.has_thread = false;
    }
}

void node_install_begin(struct raft *r, const struct raft_msg *msg, int end)
{
    ASSERT(r->install == NULL); /* the core takes one at a time */
    struct node_install *in = xcalloc(1, sizeof(*in));
    in->raft = r;
    in->job.run = install_run;
    in->token = msg->token;
    in->term = msg->term;
    in->end = end;
    in->size = r->transport->ops->snapshot_size(r->transport, msg->token);
    in->began_ms = node_now_ms(r);
    in->wall_ns = r->env->ops->wall_ns(r->env);
    in->meta.index = msg->install.index;
    in->meta.term = msg->install.term;
    in->meta.configuration = msg->install.configuration;
    in->meta.configuration_index = msg->install.configuration_index;
    in->piece.max = RAFT_SNAPSHOT_PIECE_SIZE_MAX;
    r->install = in;
    log_write(LOG_INFO, LOG_MODULE, "receiving snapshot", LOG_UINT("index", in->meta.index),
              LOG_UINT("size", in->size));
    install_do(in, INSTALL_CREATE);
}

void node_install_data(struct raft *r, uint64_t token, struct str bytes)
{
    struct node_install *in = r->install;
    if (in == NULL || in->token != token || in->is_running || in->end <= 0) {
        return;
    }
    buf_clear(&in->piece);
    buf_str(&in->piece, bytes);
    in->received += bytes.n;
    if (in->piece.failed || in->received > in->size) {
        in->end = -ERR_TOO_LARGE;
        node_wake(r);
        return;
    }
    install_do(in, INSTALL_WRITE);
}

void node_install_end(struct raft *r, uint64_t token, int code)
{
    struct node_install *in = r->install;
    if (in != NULL && in->token == token && in->end == 1) {
        in->end = code == 0 && in->received != in->size ? -ERR_CONNECTION : code;
        node_wake(r);
    }
}

void node_install_term(struct raft *r, uint64_t term)
{
    struct node_install *in = r->install;
    if (in != NULL && in->end == 1 && in->term < term) {
        in->end = -ERR_LEADERSHIP_LOST;
        node_wake(r);
    }
}

static void install_free(struct raft *r)
{
    struct node_install *in = TAKE(r->install);
    buf_deinit(&in->piece);
    mem_free(in);
}

static void install_tell(struct raft *r, struct node_install *in)
{
    struct raft_core_event e = {.kind = RAFT_EVENT_INSTALLED,
                                .ok = in->result == 0,
                                .index = in->meta.index,
                                .term = in->meta.term,
                                .configuration = &in->meta.configuration,
                                .configuration_index = in->meta.configuration_index};
    if (e.ok && !in->is_stale) {
        uint64_t ms = node_now_ms(r) - in->began_ms;
        /* Before the core's outputs: they speak of what follows it. */
        r->snapshot_index = in->meta.index;
        r->snapshot_term = in->meta.term;
        r->applied_index = in->meta.index;
        r->commit_index = MAX(r->commit_index, in->meta.index);
        metric_observe(&metric_install, (double)ms);
        log_write(LOG_INFO, LOG_MODULE, "installed remote snapshot",
                  LOG_UINT("index", in->meta.index), LOG_UINT("ms", ms));
    } else if (!e.ok) {
        log_write(
            LOG_ERROR, LOG_MODULE, "failed to install snapshot",
            LOG_CSTR("error", in->err.code != 0 ? err_text(&in->err) : err_code_text(-in->result)));
    }
    (void)node_step(r, &e, NULL);
    r->fsm_busy = false;
    if (e.ok) {
        node_batch_end(r);
    }
    install_free(r);
}

/* The job is back: what next? */
static void install_next(struct raft *r, struct node_install *in)
{
    if (in->step == INSTALL_RESTORE || (in->step == INSTALL_CANCEL)) {
        install_tell(r, in);
        return;
    }
    if (in->result == 0 && in->end == 1) {
        r->transport->ops->receive(r->transport, in->token);
        return;
    }
    if (in->result == 0 && in->end == 0 &&
        raft_core_commit_index(r->core) >= in->meta.index) { /* the state must not go back */
        in->is_stale = true;
        install_do(in, INSTALL_CANCEL);
        return;
    }
    if (in->result == 0 && in->end == 0) {
        r->fsm_busy = true;
        install_do(in, INSTALL_RESTORE);
        return;
    }
    if (in->result == 0) {
        in->result = in->end;
    }
    in->end = in->result;
    install_do(in, INSTALL_CANCEL);
}

bool node_install(struct raft *r)
{
    struct node_install *in = r->install;
    if (in == NULL || r->halted) {
        return false;
    }
    if (in->is_running) {
        if (!raft_job_is_done(&in->job)) {
            return false;
        }
        r->env->ops->finish(r->env, &in->job);
        in->is_running = false;
        install_next(r, in);
        return true;
    }
    if (in->end <= 0) { /* the end came while nothing was being written */
        install_next(r, in);
        return true;
    }
    return false;
}

void node_install_stop(struct raft *r)
{
    struct node_install *in = r->install;
    if (in == NULL) {
        return;
    }
    if (in->is_running) {
        r->env->ops->finish(r->env, &in->job);
    }
    raft_snapshot_cancel(in->sink);
    r->fsm_busy = false;
    install_free(r);
}
