/* Receiving a snapshot from the leader.
 *
 * The bytes come a piece at a time: each is written by a thread of the snapshot's own before the
 * next is let in, so neither memory nor the raft thread is filled by it. When all have come they
 * are synced, read back, checked and made into another state of the state machine, on that thread
 * too: this node goes on answering, and applying. Then the snapshot is put in place (from here on a
 * restart would take it), the state machine changes over, and the core is told, which empties the
 * log.
 *
 *   bytes missing, the connection gone    the file is removed, the leader is told no
 *   it cannot be written                  likewise
 *   the state machine does not take it    likewise; the state is as before
 *   we die on the way                     it is there whole, or not at all
 *   there is a newer term                 it is given up: the sender may be silent for long, and
 *                                         until it is over the leader of now is refused
 *   entries of our own log that became    it is dropped, the leader is told yes: the state does not
 *   durable meanwhile reach further       go back
 *
 * In advance (install.pre): a leader about to replace the state of all (node_restore.c) gives the
 * bytes before it does so. They are received in the same way, up to the other state, which is kept
 * with its file, still under a temporary name, until the leader sends the number it gave them
 * (install.stage) in the place of bytes. It is dropped when there is a newer term, when others are
 * given in advance, and after STAGE_KEPT_MS. The core hears of it only when it is installed. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "raft/node.h"

#define STAGE_KEPT_MS 60000u

static struct metric metric_install = METRIC_SAMPLE("raft.rpc.installSnapshot");

enum install_step {
    INSTALL_CREATE,
    INSTALL_WRITE,
    INSTALL_MAKE,  /* all has come: synced, checked, and another state */
    INSTALL_READY, /* kept, in advance */
    INSTALL_CLOSE, /* put in place */
    INSTALL_CANCEL,
};

struct node_install {
    struct raft_job job;
    struct raft *raft;
    uint64_t token, term; /* of the request */
    uint64_t stage;       /* given in advance, under this number; else 0 */
    enum install_step step;
    bool is_running; /* the job is with its thread */
    bool is_stale;   /* our own log got as far meanwhile */
    int end;         /* what the end was: 1 not yet, 0 all came, negative */
    uint64_t size, received, began_ms, drop_at_ms;
    int64_t wall_ns;
    struct raft_snapshot_meta meta;
    struct raft_snapshot_sink *sink;
    void *state;
    struct buf piece;
    int result;
    struct err err;
};

/* --- on its thread --- */

static int install_make(struct node_install *in)
{
    struct raft *r = in->raft;
    struct str bytes = STR_NULL;
    int k = raft_snapshot_sink_sync(in->sink, &in->err);
    k = k < 0 ? k : raft_snapshot_sink_read(in->sink, &bytes, &in->err);
    k = k < 0 ? k : node_state_new(r, bytes, &in->state, &in->err);
    mem_free((void *)bytes.p);
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
    case INSTALL_MAKE:
        in->result = install_make(in);
        break;
    case INSTALL_CLOSE:
        in->result = raft_snapshot_sink_settle(in->sink, &in->meta, &in->err);
        if (in->result == 0) {
            in->result = raft_snapshot_close(TAKE(in->sink), &in->meta, &in->err);
        }
        break;
    case INSTALL_READY:
    case INSTALL_CANCEL:
        raft_snapshot_cancel(TAKE(in->sink));
        if (in->state != NULL) {
            in->raft->ops->state_free(in->raft->fsm, TAKE(in->state));
        }
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

static struct node_install *install_new(struct raft *r, const struct raft_msg *msg)
{
    struct node_install *in = xcalloc(1, sizeof(*in));
    in->raft = r;
    in->job.run = install_run;
    in->token = msg->token;
    in->term = msg->term;
    in->end = 1;
    in->size = r->transport->ops->snapshot_size(r->transport, msg->token);
    in->began_ms = node_now_ms(r);
    in->wall_ns = r->env->ops->wall_ns(r->env);
    in->piece.max = RAFT_SNAPSHOT_PIECE_SIZE_MAX;
    return in;
}

static void meta_set(struct raft_snapshot_meta *meta, const struct raft_msg *msg)
{
    meta->index = msg->install.index;
    meta->term = msg->install.term;
    meta->configuration = msg->install.configuration;
    meta->configuration_index = msg->install.configuration_index;
}

/* What was given in advance takes the place of bytes. */
static bool install_begin_staged(struct raft *r, const struct raft_msg *msg, int end)
{
    struct node_install *in = r->staged;
    if (in == NULL || in->stage != msg->install.stage || in->step != INSTALL_READY ||
        in->is_running) {
        return false;
    }
    r->install = TAKE(r->staged);
    in->stage = 0;
    in->token = msg->token;
    in->term = msg->term;
    in->end = end == 1 ? 0 : end;
    in->began_ms = node_now_ms(r);
    in->step = INSTALL_MAKE; /* that is done */
    meta_set(&in->meta, msg);
    node_wake(r);
    return true;
}

void node_install_begin(struct raft *r, const struct raft_msg *msg, int end)
{
    ASSERT(r->install == NULL); /* the core takes one at a time */
    if (msg->install.stage != 0 && install_begin_staged(r, msg, end)) {
        return;
    }
    struct node_install *in = install_new(r, msg);
    in->end = msg->install.stage != 0 ? -ERR_NOT_FOUND : end; /* then it is sent whole */
    meta_set(&in->meta, msg);
    r->install = in;
    log_write(LOG_INFO, LOG_MODULE, "receiving snapshot", LOG_UINT("index", in->meta.index),
              LOG_UINT("size", in->size));
    install_do(in, INSTALL_CREATE);
}

static struct node_install *install_of(struct raft *r, uint64_t token)
{
    if (r->install != NULL && r->install->token == token) {
        return r->install;
    }
    return r->staged != NULL && r->staged->token == token ? r->staged : NULL;
}

void node_install_data(struct raft *r, uint64_t token, struct str bytes)
{
    struct node_install *in = install_of(r, token);
    if (in == NULL || in->is_running || in->end <= 0) {
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
    struct node_install *in = install_of(r, token);
    if (in != NULL && in->end == 1) {
        in->end = code == 0 && in->received != in->size ? -ERR_CONNECTION : code;
        node_wake(r);
    }
}

/* It is of no use any more. */
static void install_give_up(struct raft *r, struct node_install *in, int code)
{
    if (in->end == 1 || in->step == INSTALL_READY) {
        in->end = code;
        node_wake(r);
    }
}

void node_install_term(struct raft *r, uint64_t term)
{
    if (r->install != NULL && r->install->term < term) {
        install_give_up(r, r->install, -ERR_LEADERSHIP_LOST);
    }
    if (r->staged != NULL && r->staged->term < term) {
        install_give_up(r, r->staged, -ERR_LEADERSHIP_LOST);
    }
}

static void install_free(struct node_install *in)
{
    ASSERT(in->state == NULL);
    buf_deinit(&in->piece);
    mem_free(in);
}

static void install_log(struct raft *r, const struct node_install *in)
{
    if (in->result == 0) {
        uint64_t ms = node_now_ms(r) - in->began_ms;
        metric_observe(&metric_install, (double)ms);
        log_write(LOG_INFO, LOG_MODULE, "installed remote snapshot",
                  LOG_UINT("index", in->meta.index), LOG_UINT("ms", ms));
    } else {
        log_write(
            LOG_ERROR, LOG_MODULE, "failed to install snapshot",
            LOG_CSTR("error", in->err.code != 0 ? err_text(&in->err) : err_code_text(-in->result)));
    }
}

static void install_tell(struct raft *r)
{
    struct node_install *in = r->install;
    struct raft_core_event e = {.kind = RAFT_EVENT_INSTALLED,
                                .ok = in->result == 0,
                                .index = in->meta.index,
                                .term = in->meta.term,
                                .configuration = &in->meta.configuration,
                                .configuration_index = in->meta.configuration_index};
    if (e.ok && !in->is_stale) {
        /* Before the core's outputs: they speak of what follows it. */
        r->ops->state_take(r->fsm, TAKE(in->state));
        r->snapshot_index = in->meta.index;
        r->snapshot_term = in->meta.term;
        r->applied_index = in->meta.index;
        r->commit_index = MAX(r->commit_index, in->meta.index);
    }
    if (!in->is_stale) {
        install_log(r, in);
    }
    (void)node_step(r, &e, NULL);
    r->fsm_busy = false;
    if (e.ok) {
        node_batch_end(r);
    }
    r->install = NULL;
    install_free(in);
}

/* All of it is here, and good. */
static void install_made(struct raft *r, struct node_install *in)
{
    in->end = 0;
    if (raft_core_commit_index(r->core) >= in->meta.index) { /* the state must not go back */
        in->is_stale = true;
        install_do(in, INSTALL_CANCEL);
        return;
    }
    r->fsm_busy = true;
    install_do(in, INSTALL_CLOSE);
}

static void stage_reply(struct raft *r, uint64_t token, bool success)
{
    const struct raft_msg msg = {.kind = RAFT_MSG_INSTALL_RESULT,
                                 .term = raft_core_term(r->core),
                                 .token = token,
                                 .install_result = {.success = success, .pre = true}};
    r->transport->ops->reply(r->transport, token, &msg);
}

static void stage_made(struct raft *r, struct node_install *in)
{
    in->step = INSTALL_READY;
    in->drop_at_ms = node_now_ms(r) + STAGE_KEPT_MS;
    stage_reply(r, in->token, true);
    in->token = 0;
}

static void stage_dropped(struct raft *r, struct node_install *in)
{
    r->staged = NULL;
    if (in->token != 0) {
        stage_reply(r, in->token, false);
    }
    install_free(in);
}

/* The job is back, or the end has come: what next? */
static void install_next(struct raft *r, struct node_install *in)
{
    bool is_over = in->step == INSTALL_CLOSE || in->step == INSTALL_CANCEL;
    if (is_over && in->state != NULL && in->result < 0) {
        install_do(in, INSTALL_CANCEL); /* it could not be put in place */
    } else if (is_over) {
        if (in->stage != 0) {
            stage_dropped(r, in);
        } else {
            install_tell(r);
        }
    } else if (in->result < 0 || in->end < 0) {
        in->result = in->result < 0 ? in->result : in->end;
        in->end = in->result;
        install_do(in, INSTALL_CANCEL);
    } else if (in->end == 1) {
        r->transport->ops->receive(r->transport, in->token);
    } else if (in->step != INSTALL_MAKE) {
        install_do(in, INSTALL_MAKE);
    } else if (in->stage != 0) {
        stage_made(r, in);
    } else {
        install_made(r, in);
    }
}

static bool install_turn(struct raft *r, struct node_install *in)
{
    if (in == NULL) {
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
    if (in->step == INSTALL_READY && node_now_ms(r) >= in->drop_at_ms) {
        in->end = -ERR_TIMEOUT;
    }
    if (in->step == INSTALL_READY ? in->end < 0 : in->end <= 0) {
        install_next(r, in);
        return true;
    }
    return false;
}

bool node_install(struct raft *r)
{
    if (r->halted) {
        return false;
    }
    bool progress = install_turn(r, r->install);
    progress |= install_turn(r, r->staged);
    return progress;
}

/* --- in advance --- */

void node_stage_request(struct raft *r, const struct raft_msg *msg)
{
    bool is_leader_of_now = msg->term == raft_core_term(r->core) && r->state == RAFT_FOLLOWER &&
                            str_eq(raft_core_leader_address(r->core), msg->install.leader);
    if (!is_leader_of_now || r->staged != NULL || msg->install.stage == 0) {
        if (r->staged != NULL && is_leader_of_now) {
            install_give_up(r, r->staged, -ERR_AGAIN);
        }
        stage_reply(r, msg->token, false);
        return;
    }
    struct node_install *in = install_new(r, msg);
    in->stage = msg->install.stage;
    in->meta = (struct raft_snapshot_meta){.term = msg->term}; /* the rest is still to be seen */
    r->staged = in;
    log_write(LOG_INFO, LOG_MODULE, "receiving snapshot in advance", LOG_UINT("size", in->size));
    install_do(in, INSTALL_CREATE);
}

uint64_t node_stage_deadline_ms(const struct raft *r)
{
    const struct node_install *in = r->staged;
    return in != NULL && in->step == INSTALL_READY && !in->is_running ? in->drop_at_ms : UINT64_MAX;
}

static void install_stop(struct raft *r, struct node_install *in)
{
    if (in == NULL) {
        return;
    }
    if (in->is_running) {
        r->env->ops->finish(r->env, &in->job);
    }
    in->step = INSTALL_CANCEL;
    install_run(&in->job);
    install_free(in);
}

void node_install_stop(struct raft *r)
{
    install_stop(r, TAKE(r->install));
    install_stop(r, TAKE(r->staged));
    r->fsm_busy = false;
}
