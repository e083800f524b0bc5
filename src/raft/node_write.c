/* The log: what the core appends is gathered, written by the disk thread a batch at a time, and cut
 * when the core says so.
 *
 * A batch under way is waited for only where the log is cut (a new leader has other entries, or a
 * snapshot takes its place). A leader whose batch is not back after DISK_STALL_MS adds an entry of
 * no content. When a majority has that one on its disks and ours is silent still, the others get on
 * faster without us: then the core is asked to hand leadership to the most advanced of them. (That
 * they have what is in our batch would not say so: theirs may have begun it earlier, and disks that
 * are all slow would then pass leadership around.) */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "raft/node.h"

static struct metric metric_store = METRIC_SAMPLE("raft.rpc.appendEntries.storeLogs");
static struct metric metric_dispatch = METRIC_SAMPLE("raft.leader.dispatchLog");

void node_log_broke(struct raft *r, const struct err *err, bool may_repair)
{
    if (!r->log_broken) {
        log_write(LOG_ERROR, LOG_MODULE, "stepping down: the disk failed",
                  LOG_CSTR("error", err_text(err)));
    }
    r->log_broken = true;
    r->log_failed |= !may_repair;
    if (r->log_failed) {
        r->repair_at_ms = 0;
    } else if (r->repair_at_ms == 0) { /* a leader that keeps sending does not put it off */
        r->repair_at_ms = node_now_ms(r) + RETRY_MS;
    }
    r->append_failed = true; /* the core learns what is left when the step is over */
}

static void write_run(struct raft_job *job)
{
    struct node_write *w = container_of(job, struct node_write, job);
    w->result = raft_log_batch_write(w->batch, &w->err);
}

static void write_done(struct raft *r)
{
    struct node_write *w = &r->write;
    double ms = (double)(node_now_ms(r) - w->began_ms);
    metric_observe(r->state == RAFT_LEADER ? &metric_dispatch : &metric_store,
                   node_ms_since(w->began_ns));
    raft_log_batch_end(r->log, w->batch, w->result);
    w->batch = NULL;
    if (w->result < 0) {
        node_log_broke(r, &w->err, true);
    }
    if (w->stalled) {
        log_write(LOG_WARN, LOG_MODULE, "the disk answers again", LOG_UINT("ms", (uint64_t)ms));
    }
}

static bool write_begin(struct raft *r, bool wait)
{
    struct node_write *w = &r->write;
    struct raft_log_batch *batch = raft_log_batch_begin(r->log);
    if (batch == NULL) {
        return false;
    }
    w->batch = batch;
    w->began_ms = node_now_ms(r);
    w->began_ns = clock_mono_ns();
    w->stall_at_ms = w->began_ms + DISK_STALL_MS;
    w->stalled = false;
    w->probe_index = 0;
    w->job.run = write_run;
    err_clear(&w->err);
    /* In memory there is no disk to wait for, so no other thread to wake. */
    if (wait || r->in_memory || r->env->ops->job(r->env, r, RAFT_LANE_LOG, &w->job) < 0) {
        write_run(&w->job);
        write_done(r);
    }
    return true;
}

void node_write_settle(struct raft *r)
{
    do {
        if (r->write.batch != NULL) {
            r->env->ops->finish(r->env, &r->write.job);
            write_done(r);
        }
    } while (write_begin(r, true));
}

/* Whether a majority has on disk what was added when ours was silent already. Who is being sent a
 * snapshot waits for our disk, too. */
static bool others_are_faster(struct raft *r)
{
    uint64_t probe = r->write.probe_index;
    uint32_t voters = raft_configuration_voters(&r->configuration), have = 0, waiting = 0;
    struct raft_peer_status peer;
    for (size_t i = 0; raft_core_peer(r->core, i, &peer); i++) {
        if (raft_configuration_is_voter(&r->configuration, peer.id)) {
            have += peer.match_index >= probe;
            waiting += peer.match_index < probe && peer.is_snapshotting;
        }
    }
    return have > 0 && have + waiting > voters / 2;
}

static void write_probe(struct raft *r)
{
    struct raft_entry probe = {.type = RAFT_ENTRY_NOOP};
    struct raft_core_event e = {.kind = RAFT_EVENT_PROPOSE, .entries = &probe, .count = 1};
    if (node_step(r, &e, NULL) == 0) {
        r->write.probe_index = probe.index;
    }
}

/* Whoever is best will do; when nobody is, lead on and wait for the disk. */
static void write_stalled(struct raft *r)
{
    r->write.stall_at_ms = node_now_ms(r) + STALL_LOOK_MS;
    if (raft_configuration_voters(&r->configuration) < 3) {
        return; /* the others are no majority */
    }
    if (r->write.probe_index == 0) {
        write_probe(r);
        return;
    }
    if (!others_are_faster(r)) {
        return;
    }
    r->write.stalled = true;
    struct err err = {0};
    struct raft_core_event e = {.kind = RAFT_EVENT_TRANSFER};
    int k = node_step(r, &e, &err);
    log_write(LOG_WARN, LOG_MODULE,
              k < 0 ? "the disk does not answer" : "the disk does not answer: handing over",
              LOG_UINT("ms", node_now_ms(r) - r->write.began_ms),
              LOG_CSTR("error", k < 0 ? err_text(&err) : ""));
}

/* What the disk has done, or refused to take, without a step of the core's own. */
static void write_tell(struct raft *r)
{
    if (r->append_failed || raft_log_durable_index(r->log) > r->durable_told) {
        node_log_changed(r);
    }
}

bool node_write(struct raft *r)
{
    struct node_write *w = &r->write;
    bool progress = false;
    if (w->batch != NULL && raft_job_is_done(&w->job)) {
        r->env->ops->finish(r->env, &w->job);
        write_done(r);
        progress = true;
    }
    if (w->batch == NULL) {
        progress |= write_begin(r, false);
    } else if (!w->stalled && r->state == RAFT_LEADER && !r->halted &&
               node_now_ms(r) >= w->stall_at_ms) {
        write_stalled(r);
        progress = true;
    }
    write_tell(r);
    return progress;
}

/* --- for the core --- */

void node_append(struct raft *r, struct raft_entry *entries, size_t count)
{
    int64_t now = 0;
    for (size_t i = 0; i < count; i++) {
        struct raft_entry *e = &entries[i];
        if (e->appended_ns == 0 && r->state == RAFT_LEADER) {
            now = now != 0 ? now : r->env->ops->wall_ns(r->env);
            e->appended_ns = now;
        }
        int k = r->log_broken ? -ERR_FAILED : raft_log_append(r->log, e);
        if (k < 0 && !r->append_failed) {
            struct err err = {0};
            (void)err_from_errno(&err, k, "raft: cannot append to the log");
            node_log_broke(r, &err, true);
        }
    }
}

void node_truncate(struct raft *r, uint64_t index)
{
    struct err err = {0};
    node_write_settle(r);
    if (r->log_broken || raft_log_truncate(r->log, index, &err) < 0) {
        /* For the core these entries are gone: they must never count again. */
        r->cut_index = r->cut_index != 0 ? MIN(r->cut_index, index) : index;
        node_log_broke(r, &err, true);
    }
    r->durable_told = MIN(r->durable_told, index - 1);
}

void node_log_reset(struct raft *r, uint64_t next_index)
{
    struct err err = {0};
    node_write_settle(r);
    node_removal_settle(r);
    int k = r->log_broken ? raft_log_repair(r->log, &err) : 0;
    k = k < 0 ? k : raft_log_reset(r->log, next_index, &err);
    if (k < 0) {
        /* The core goes on behind the snapshot, the log cannot. */
        node_halt(r, &err);
        return;
    }
    r->append_failed = r->log_broken = false; /* nothing is left that could be broken */
    r->cut_index = r->repair_at_ms = 0;
    r->durable_told = next_index - 1;
    node_removal_begin(r);
}

bool node_repair(struct raft *r)
{
    if (r->repair_at_ms == 0 || node_now_ms(r) < r->repair_at_ms || r->write.batch != NULL ||
        r->halted) {
        return false;
    }
    struct err err = {0};
    r->repair_at_ms = 0;
    int k = raft_log_repair(r->log, &err);
    if (k == 0 && r->cut_index != 0 && (k = raft_log_truncate(r->log, r->cut_index, &err)) == 0) {
        r->cut_index = 0;
    }
    if (k < 0) {
        node_log_broke(r, &err, k != -ERR_FAILED); /* which says that a sync has failed */
        node_log_changed(r);
        return true;
    }
    r->log_broken = false;
    log_write(LOG_INFO, LOG_MODULE, "the log is repaired");
    return true;
}
