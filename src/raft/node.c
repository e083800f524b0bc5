/* The node: turns, steps of the core, and what its outputs ask for.
 *
 * The happy path of a write on the leader: raft_propose() puts it into the inbound queue and wakes
 * the raft thread; the turn takes all that wait as one PROPOSE (node_apply.c); the core's outputs
 * append them to the open batch and send them to the other servers; the batch goes to the disk
 * thread (node_write.c), while the next gathers. What the disk and the others answer are DURABLE
 * and APPEND_RESULT; when a majority has the entries COMMIT comes out, they are applied in order,
 * batch_end publishes them, and each proposal is answered.
 *
 * When the log's disk fails the node steps down, answers what was under way with
 * -ERR_LEADERSHIP_LOST, does not campaign, and tries to repair the log every RETRY_MS; after a
 * failed sync it stays so until restarted (log.h says why). It still votes: votes lie in another
 * file. If a vote cannot be stored the node pauses: it neither answers nor sends, and every
 * RETRY_MS tries again to go on with the very output that failed. If that is hopeless, or the state
 * machine is ahead of the disk, it halts: the same, until restarted. Nothing that was acknowledged
 * is touched by any of this. */
#include "raft/node.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"

/* --- what others see --- */

static void status_leader(struct raft *r, struct raft_status *s)
{
    struct str address = raft_core_leader_address(r->core);
    if (address.n == 0 || address.n >= sizeof(s->leader_address)) {
        return;
    }
    memcpy(s->leader_address, address.p, address.n);
    for (uint32_t i = 0; i < r->configuration.count; i++) {
        const struct raft_server *server = &r->configuration.servers[i];
        size_t n = strlen(server->id);
        if (str_eq(address, str_from_cstr(server->address)) && n < sizeof(s->leader_id)) {
            memcpy(s->leader_id, server->id, n);
        }
    }
}

void node_publish_status(struct raft *r)
{
    struct raft_status s;
    memset(&s, 0, sizeof(s));
    s.state = r->closed ? RAFT_SHUTDOWN : r->state;
    s.term = raft_core_term(r->core);
    s.last_log_index = raft_log_last_index(r->log);
    s.last_log_term = raft_log_term(r->log, s.last_log_index);
    if (s.last_log_term == 0 && s.last_log_index == r->snapshot_index) {
        s.last_log_term = r->snapshot_term;
    }
    s.commit_index = r->commit_index;
    s.applied_index = r->applied_index;
    s.last_snapshot_index = r->snapshot_index;
    s.last_snapshot_term = r->snapshot_term;
    s.fsm_pending = r->commit_index - r->applied_index;
    uint32_t voters = raft_configuration_voters(&r->configuration);
    s.peers = voters - raft_configuration_is_voter(&r->configuration, str_from_cstr(r->id));
    s.configuration_index = r->configuration_index;
    uint64_t now = node_now_ms(r), ago = raft_core_last_contact_ms(r->core, now);
    s.last_contact_ms = now - ago; /* the moment; raft_status() makes it a distance */
    status_leader(r, &s);
    uint64_t words[STATUS_WORDS] = {0};
    memcpy(words, &s, sizeof(s));
    uint32_t sequence = atomic_load_explicit(&r->status_sequence, memory_order_relaxed);
    atomic_store_explicit(&r->status_sequence, sequence + 1, memory_order_relaxed);
    for (size_t i = 0; i < STATUS_WORDS; i++) {
        atomic_store_explicit(&r->status_words[i], words[i], memory_order_release);
    }
    atomic_store_explicit(&r->status_sequence, sequence + 2, memory_order_release);
    r->status_dirty = false;
}

void node_configuration_set(struct raft *r, uint64_t index, const struct raft_configuration *c)
{
    pthread_mutex_lock(&r->configuration_lock);
    r->configuration = *c;
    r->configuration_index = index;
    pthread_mutex_unlock(&r->configuration_lock);
}

static void node_observe(struct raft *r)
{
    node_publish_status(r); /* first: who is told will ask */
    if (r->observe != NULL) {
        r->observe(r->leadership_data);
    }
}

/* --- the core's outputs --- */

static void take_no_part(struct raft *r)
{
    r->halted = true;
    r->state = RAFT_FOLLOWER;
    bool was_leader = atomic_exchange(&r->is_leader, false);
    node_pending_fail(r, 0, -ERR_LEADERSHIP_LOST); /* nothing is applied any more */
    node_requests_fail(r, -ERR_LEADERSHIP_LOST);
    node_publish_status(r);
    if (was_leader && r->leadership != NULL) {
        r->leadership(r->leadership_data, false);
    }
}

void node_halt(struct raft *r, const struct err *err)
{
    if (r->halted) {
        return;
    }
    log_write(LOG_ERROR, LOG_MODULE, "taking no further part in the cluster until restarted",
              LOG_CSTR("error", err_text(err)));
    r->resume_at_ms = 0;
    take_no_part(r);
}

/* The step stops before this output, and no other begins until the disk takes it. */
static void out_pause(struct raft *r, const struct err *err)
{
    if (!r->is_late) {
        log_write(LOG_ERROR, LOG_MODULE,
                  "taking no part in the cluster until term and vote can be stored",
                  LOG_CSTR("error", err_text(err)));
    }
    r->out_next--;
    r->resume_at_ms = node_now_ms(r) + RETRY_MS;
    take_no_part(r);
}

static void out_persist(struct raft *r, const struct raft_core_output *o)
{
    struct raft_stable_state s = *raft_stable_get(r->stable);
    struct err err = {0};
    s.term = o->term;
    memset(s.voted_for, 0, sizeof(s.voted_for));
    memcpy(s.voted_for, o->server.p, MIN(o->server.n, sizeof(s.voted_for) - 1));
    int k = raft_stable_set(r->stable, &s, &err);
    if (k == 0) {
        return;
    }
    (void)err_wrap(&err, "cannot store term and vote");
    if (k == -ERR_FAILED) { /* a sync has failed: the file may say anything */
        node_halt(r, &err);
    } else {
        out_pause(r, &err);
    }
}

static void role_log(struct raft *r, const struct raft_core_output *o)
{
    switch (o->state) {
    case RAFT_FOLLOWER:
        log_write(LOG_INFO, LOG_MODULE, "entering follower state", LOG_CSTR("follower", r->address),
                  LOG_STR("leader", o->server));
        break;
    case RAFT_CANDIDATE:
        log_write(LOG_INFO, LOG_MODULE, "entering candidate state", LOG_CSTR("node", r->address),
                  LOG_UINT("term", o->term));
        break;
    case RAFT_LEADER:
        log_write(LOG_INFO, LOG_MODULE, "election won", LOG_UINT("term", o->term));
        break;
    case RAFT_SHUTDOWN:
        break;
    }
}

static void out_role(struct raft *r, const struct raft_core_output *o)
{
    bool was_leader = r->state == RAFT_LEADER;
    if (o->state != r->state) {
        role_log(r, o);
    }
    node_measure_role(r, o);
    r->state = o->state;
    if (was_leader && o->state != RAFT_LEADER) {
        bool announced = atomic_exchange(&r->is_leader, false);
        node_pending_fail(r, r->commit_index, -ERR_LEADERSHIP_LOST);
        if (o->term == r->change_term) {
            node_requests_settle(r); /* the change may have been our own removal */
        } /* else what is committed now may be another leader's, in the place of ours */
        node_requests_fail(r, -ERR_LEADERSHIP_LOST);
        if (announced && r->leadership != NULL) {
            node_publish_status(r);
            r->leadership(r->leadership_data, false);
        }
    }
    if (!was_leader && o->state == RAFT_LEADER) {
        r->noop_index = raft_core_last_index(r->core);
        node_measure_peers(r);
    }
    node_install_term(r, o->term);
    node_observe(r);
}

static void out_configuration(struct raft *r)
{
    uint64_t index;
    const struct raft_configuration *c = raft_core_configuration(r->core, &index);
    node_configuration_set(r, index, c);
    node_measure_peers(r);
    if (r->transport != NULL) {
        r->transport->ops->configure(r->transport, c);
    }
    node_observe(r);
}

static void node_output(struct raft *r, const struct raft_core_output *o)
{
    switch (o->kind) {
    case RAFT_OUT_PERSIST:
        out_persist(r, o);
        break;
    case RAFT_OUT_TRUNCATE:
        node_truncate(r, o->index);
        break;
    case RAFT_OUT_APPEND:
        if (r->is_late) {
            r->append_failed = true; /* the entries were the sender's, and are gone */
        } else {
            node_append(r, o->entries, o->count);
        }
        break;
    case RAFT_OUT_RESET:
        node_log_reset(r, o->index);
        break;
    case RAFT_OUT_SEND:
        node_send(r, o);
        break;
    case RAFT_OUT_REPLY:
        r->transport->ops->reply(r->transport, o->msg.token, &o->msg);
        break;
    case RAFT_OUT_COMMIT:
        r->commit_index = MAX(r->commit_index, o->index);
        break;
    case RAFT_OUT_ROLE:
        out_role(r, o);
        break;
    case RAFT_OUT_CONFIGURATION:
        out_configuration(r);
        break;
    case RAFT_OUT_INSTALL:
        node_install_begin(r, &o->msg, r->is_late ? -ERR_AGAIN : 1); /* nobody waits any more */
        break;
    case RAFT_OUT_VERIFIED:
        node_verified(r, o->token, o->code);
        break;
    case RAFT_OUT_TRANSFERRED:
        node_transferred(r, o->code);
        break;
    }
}

/* --- steps --- */

/* A vote, a cut log: the disk may have taken seconds, in which nobody was listened to. */
static void step_waited(struct raft *r)
{
    struct raft_core_out none = {0};
    const struct raft_core_event e = {.kind = RAFT_EVENT_WAITED, .now_ms = node_now_ms(r)};
    (void)raft_core_step(r->core, &e, &none, NULL);
    ASSERT(none.n == 0);
}

static void step_outputs(struct raft *r)
{
    while (r->out_next < r->out.n && !r->halted) {
        node_output(r, &r->out.v[r->out_next++]);
    }
    r->in_step = false;
    r->status_dirty = true;
    if (!r->halted) {
        step_waited(r);
    }
}

static int step_once(struct raft *r, struct raft_core_event *event, struct err *err)
{
    ASSERT(!r->in_step);
    r->in_step = true;
    event->now_ms = node_now_ms(r);
    r->event = event;
    raft_core_out_clear(&r->out);
    r->out_next = 0;
    int k = raft_core_step(r->core, event, &r->out, err);
    r->event = NULL;
    step_outputs(r);
    return k;
}

/* The last entry that is in the log for the core, too. */
static uint64_t node_log_kept(const struct raft *r)
{
    uint64_t last = raft_log_last_index(r->log);
    return r->cut_index != 0 ? MIN(last, r->cut_index - 1) : last;
}

/* What the log has done meanwhile, also because of the step. */
static void step_follow_up(struct raft *r)
{
    while (!r->halted) {
        uint64_t durable = MIN(raft_log_durable_index(r->log), node_log_kept(r));
        struct raft_core_event e = {.kind = RAFT_EVENT_DURABLE, .index = durable};
        if (r->append_failed) {
            r->append_failed = false;
            e.kind = RAFT_EVENT_LOG_FAILED;
            e.index = node_log_kept(r);
            r->durable_told = MIN(r->durable_told, e.index);
        } else if (durable > r->durable_told) {
            r->durable_told = durable;
            e.term = raft_log_term(r->log, durable);
        } else {
            break;
        }
        (void)step_once(r, &e, NULL);
    }
}

void node_log_changed(struct raft *r)
{
    if (!r->in_step) {
        step_follow_up(r);
    }
}

int node_step(struct raft *r, struct raft_core_event *event, struct err *err)
{
    if (r->halted || r->closed) {
        return err_set(err, ERR_NO_LEADER, "%s", err_code_text(ERR_NO_LEADER));
    }
    int k = step_once(r, event, err);
    step_follow_up(r);
    return k;
}

/* Go on where the step has stopped, long after it began. */
static bool node_resume(struct raft *r)
{
    if (r->resume_at_ms == 0 || node_now_ms(r) < r->resume_at_ms) {
        return false;
    }
    r->resume_at_ms = 0;
    r->halted = false;
    r->is_late = r->in_step = true;
    step_outputs(r);
    r->is_late = false;
    if (!r->halted) {
        log_write(LOG_INFO, LOG_MODULE, "term and vote are stored: taking part again");
        step_follow_up(r);
    }
    return !r->halted;
}

/* The core's question. What is being proposed is not in the log yet; nor is what the core itself
 * adds, which is small. */
static uint64_t node_fit(void *data, uint64_t index, uint64_t count_max, uint64_t size_max,
                         uint64_t *ret_size)
{
    const struct raft *r = data;
    const struct raft_core_event *e = r->event;
    uint64_t n = raft_log_fit(r->log, index, count_max, size_max, ret_size);
    if (n > 0) {
        return n;
    }
    bool is_proposed =
        e != NULL && e->kind == RAFT_EVENT_PROPOSE && e->count > 0 && index >= e->entries[0].index;
    for (size_t i = is_proposed ? (size_t)(index - e->entries[0].index) : 0;
         is_proposed && i < e->count && n < count_max; i++, n++) {
        if (n > 0 && *ret_size + e->entries[i].data.n > size_max) {
            break;
        }
        *ret_size += e->entries[i].data.n;
    }
    return MAX(n, (uint64_t)1);
}

void node_core_begin(struct raft *r)
{
    const struct raft_stable_state *state = raft_stable_get(r->stable);
    struct raft_core_options o = {
        .id = str_from_cstr(r->id),
        .address = str_from_cstr(r->address),
        .heartbeat_timeout_ms = r->heartbeat_timeout_ms,
        .election_timeout_ms = r->election_timeout_ms,
        .lease_timeout_ms = r->lease_timeout_ms,
        .commit_timeout_ms = r->commit_timeout_ms,
        .pre_vote = true,
        .seed = r->env->ops->random(r->env),
        .now_ms = node_now_ms(r),
        .fit = node_fit,
        .fit_data = r,
        .term = state->term,
        .voted_for = str_from_cstr(state->voted_for),
        .snapshot_index = r->snapshot_index,
        .snapshot_term = r->snapshot_term,
        .log_first_index = raft_log_first_index(r->log),
        .log_last_index = raft_log_last_index(r->log),
        .committed = r->committed.count > 0 ? &r->committed : NULL,
        .committed_index = r->committed_index,
        .latest = r->configuration.count > 0 ? &r->configuration : NULL,
        .latest_index = r->configuration_index,
    };
    o.runs = raft_log_term_runs(r->log, &o.runs_count);
    raft_core_free(r->core);
    r->core = raft_core_new(&o);
    r->durable_told = raft_log_durable_index(r->log);
    if (r->transport != NULL) {
        r->transport->ops->configure(r->transport, &r->configuration);
    }
}

/* --- turns --- */

/* A server that cannot append must not lead. */
static bool node_may_tick(const struct raft *r)
{
    return !r->halted && !(r->log_broken && r->state != RAFT_LEADER);
}

static bool node_tick(struct raft *r)
{
    if (!node_may_tick(r) || node_now_ms(r) < raft_core_deadline_ms(r->core)) {
        return false;
    }
    (void)node_step(r, &(struct raft_core_event){.kind = RAFT_EVENT_TICK}, NULL);
    return true;
}

/* Only what a turn would do something about: else the loop would spin until it can. */
static uint64_t node_deadline_ms(const struct raft *r)
{
    if (r->halted) {
        return r->resume_at_ms != 0 ? r->resume_at_ms : UINT64_MAX;
    }
    uint64_t at = node_may_tick(r) ? raft_core_deadline_ms(r->core) : UINT64_MAX;
    if (r->repair_at_ms != 0 && r->write.batch == NULL) {
        at = MIN(at, r->repair_at_ms);
    }
    if (!r->in_memory && r->snapshot == NULL && !r->fsm_busy && !node_restore_is_late(r)) {
        at = MIN(at, r->snapshot_at_ms);
    }
    at = MIN(at, node_restore_deadline_ms(r));
    at = MIN(at, node_stage_deadline_ms(r));
    if (r->write.batch != NULL && !r->write.stalled && r->state == RAFT_LEADER) {
        at = MIN(at, r->write.stall_at_ms);
    }
    return at;
}

/* A lone voter finishes what it has; with others there is no telling when that will be. */
static bool node_is_at_rest(const struct raft *r)
{
    bool alone = raft_configuration_voters(&r->configuration) == 1 && r->state == RAFT_LEADER &&
                 !r->log_broken && !r->halted;
    return r->write.batch == NULL &&
           (!alone || r->fsm_busy || r->applied_index == raft_log_last_index(r->log));
}

void node_close(struct raft *r)
{
    node_write_settle(r);
    node_snapshot_stop(r, -ERR_CLOSED);
    node_restore_stop(r, -ERR_CLOSED);
    node_install_stop(r);
    node_sources_stop(r);
    r->closed = true;
    bool was_leader = atomic_exchange(&r->is_leader, false);
    node_publish_status(r);
    node_pending_fail(r, 0, -ERR_CLOSED);
    node_requests_fail(r, -ERR_CLOSED);
    for (struct raft_proposal *p = node_inbound_take(r, true), *next; p != NULL; p = next) {
        next = p->next;
        p->done(p, -ERR_CLOSED, 0);
    }
    for (struct raft_request *q = node_requests_take(r, true), *next; q != NULL; q = next) {
        next = q->next;
        node_request_done(q, -ERR_CLOSED);
    }
    if (was_leader && r->leadership != NULL) {
        r->leadership(r->leadership_data, false);
    }
    /* What recovery must find again: a log cut short while we were away is then noticed. */
    struct raft_stable_state state = *raft_stable_get(r->stable);
    state.commit_index = r->commit_index;
    struct err err = {0};
    if (!r->log_broken && !r->halted && raft_stable_set(r->stable, &state, &err) < 0) {
        log_write(LOG_WARN, LOG_MODULE, "cannot note the commit index",
                  LOG_CSTR("error", err_text(&err)));
    }
    if (r->loop != NULL) {
        loop_stop(r->loop);
    }
}

uint64_t raft_turn(struct raft *r)
{
    if (r->closed) {
        return UINT64_MAX;
    }
    bool progress = true;
    for (int round = 0; progress && round < (int)TURN_ROUNDS_MAX; round++) {
        progress = node_resume(r);
        progress |= node_tick(r);
        progress |= node_take_inbound(r);
        progress |= node_take_requests(r);
        progress |= node_write(r);
        progress |= node_apply(r);
        progress |= node_snapshot(r);
        progress |= node_install(r);
        progress |= node_restore(r);
        progress |= node_sources(r);
        progress |= node_take_unreachable(r);
        progress |= node_repair(r);
    }
    if (r->fsm_is_behind && !r->fsm_busy) {
        node_batch_end(r); /* a bounded piece, once a turn */
        progress |= r->fsm_is_behind;
    }
    node_measure_turn(r);
    if (r->status_dirty) {
        node_publish_status(r);
    }
    if (progress) {
        node_wake(r); /* but the sockets first */
        return UINT64_MAX;
    }
    if (atomic_load(&r->stopping) && node_is_at_rest(r)) {
        node_close(r);
        return UINT64_MAX;
    }
    return node_deadline_ms(r);
}
