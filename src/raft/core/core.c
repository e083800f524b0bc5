/* Where an event goes, and the steps that several roles share: following, persisting, telling what
 * is committed. */
#include "raft/core/internal.h"

void raft_core_out_deinit(struct raft_core_out *out)
{
    vec_deinit(out);
}

struct raft_core_output *core_put(struct raft_core_out *out, enum raft_out_kind kind)
{
    vec_push(out, ((struct raft_core_output){.kind = kind}));
    return &out->v[out->n - 1];
}

void core_set_name(char to[RAFT_NAME_SIZE_MAX + 1], struct str name)
{
    size_t n = MIN(name.n, (size_t)RAFT_NAME_SIZE_MAX);
    memset(to, 0, RAFT_NAME_SIZE_MAX + 1);
    if (n > 0) {
        memcpy(to, name.p, n);
    }
}

struct peer *core_peer(struct raft_core *c, struct str id)
{
    for (size_t i = 0; i < c->peers_count; i++) {
        if (str_eq(str_from_cstr(c->peers[i].id), id)) {
            return &c->peers[i];
        }
    }
    return NULL;
}

void core_role_out(struct raft_core *c, struct raft_core_out *out)
{
    struct raft_core_output *o = core_put(out, RAFT_OUT_ROLE);
    o->state = c->state;
    o->term = c->term;
    o->server = str_from_cstr(c->leader);
}

/* One write does for a term and a vote of the same step, if nothing was sent in between. */
void core_persist(struct raft_core *c, struct raft_core_out *out)
{
    struct raft_core_output *o = NULL;
    for (size_t i = out->n; i > 0 && o == NULL; i--) {
        enum raft_out_kind kind = out->v[i - 1].kind;
        if (kind == RAFT_OUT_PERSIST) {
            o = &out->v[i - 1];
        } else if (kind == RAFT_OUT_SEND || kind == RAFT_OUT_REPLY) {
            break;
        }
    }
    if (o == NULL) {
        o = core_put(out, RAFT_OUT_PERSIST);
    }
    o->term = c->term;
    o->server = str_from_cstr(c->voted_for);
}

void core_follow(struct raft_core *c, uint64_t term, struct raft_core_out *out)
{
    ASSERT(term >= c->term);
    bool is_new_term = term > c->term;
    bool was_leader = c->state == RAFT_LEADER, was_candidate = c->state == RAFT_CANDIDATE;
    c->state = RAFT_FOLLOWER;
    c->is_standing = false;
    if (is_new_term) {
        c->term = term;
        c->elections++;
        core_set_name(c->voted_for, STR_NULL);
        core_persist(c, out);
    }
    if (was_leader) {
        core_leader_stop(c, out);
    }
    if (is_new_term || was_leader) {
        core_set_name(c->leader, STR_NULL);
        core_acks_fail(c, out); /* answers to the leader of before */
    }
    if (was_leader) {
        core_election_defer(c); /* as follower it had no deadline */
    } else if (is_new_term && was_candidate) {
        core_election_hasten(c); /* its patience was with its own election */
    }
    core_role_out(c, out);
}

/* What is applied here is durable here: then a snapshot never covers more than the log held. */
void core_commit_out(struct raft_core *c, struct raft_core_out *out)
{
    uint64_t index = MIN(c->commit_index, c->log.durable_index);
    if (index > c->commit_out) {
        c->commit_out = index;
        core_put(out, RAFT_OUT_COMMIT)->index = index;
    }
}

static void on_message(struct raft_core *c, const struct raft_core_event *e,
                       struct raft_core_out *out)
{
    const struct raft_msg *m = e->msg;
    struct peer *p;
    switch (m->kind) {
    case RAFT_MSG_APPEND:
        core_on_append(c, m, out);
        return;
    case RAFT_MSG_INSTALL:
        core_on_install(c, m, out);
        return;
    case RAFT_MSG_VOTE:
        core_on_vote(c, m, out);
        return;
    case RAFT_MSG_TIMEOUT_NOW:
        /* The term is not in it (nor on the wire of the reference): a stale one costs an
         * election, nothing more. */
        if (c->state != RAFT_LEADER && core_may_campaign(c)) {
            core_campaign(c, false, true, out);
        }
        return;
    case RAFT_MSG_APPEND_RESULT:
    case RAFT_MSG_VOTE_RESULT:
    case RAFT_MSG_INSTALL_RESULT:
        break;
    }
    if (m->term > c->term) {
        bool asked =
            c->state == RAFT_CANDIDATE && !c->is_transfer && m->kind == RAFT_MSG_VOTE_RESULT;
        core_follow(c, m->term, out);
        if (asked) { /* for a term that is over; to wait would leave the next to others again */
            core_campaign(c, c->pre_vote, false, out);
        }
        return;
    }
    p = core_peer(c, e->server);
    if (p == NULL) {
        return; /* removed meanwhile */
    }
    if (m->kind == RAFT_MSG_VOTE_RESULT) {
        core_on_vote_result(c, p, m, out);
    } else if (c->state == RAFT_LEADER && m->term == c->term) {
        p->contact_ms = c->now_ms;
        if (m->kind == RAFT_MSG_APPEND_RESULT) {
            core_on_append_result(c, p, m, out);
        } else {
            core_on_install_result(c, p, m, out);
        }
    }
}

static void on_tick(struct raft_core *c, struct raft_core_out *out)
{
    if (c->state == RAFT_LEADER) {
        core_leader_tick(c, out);
    } else if (c->now_ms >= c->election_at_ms) {
        if (core_may_campaign(c)) {
            core_campaign(c, c->pre_vote, false, out);
        } else {
            core_election_defer(c);
            if (c->leader[0] != '\0') {
                core_set_name(c->leader, STR_NULL);
                core_role_out(c, out);
            }
        }
    }
}

static void on_durable(struct raft_core *c, const struct raft_core_event *e,
                       struct raft_core_out *out)
{
    /* Of a log that was cut since: says nothing about the entry that is there now. */
    if (e->index > c->log.last_index || core_term_at(&c->log, e->index) != e->term ||
        e->index <= c->log.durable_index) {
        return;
    }
    c->log.durable_index = e->index;
    core_acks_durable(c, out);
    if (c->state == RAFT_LEADER) {
        core_advance_commit(c, out);
    }
    core_commit_out(c, out);
}

static void on_log_failed(struct raft_core *c, const struct raft_core_event *e,
                          struct raft_core_out *out)
{
    if (e->index < c->log.last_index) {
        core_log_truncate(&c->log, e->index + 1);
        core_configuration_truncated(c, e->index + 1, out);
    }
    core_acks_fail(c, out);
    core_follow(c, c->term, out);
    core_election_defer(c);
}

static void on_compacted(struct raft_core *c, const struct raft_core_event *e)
{
    if (e->index > c->log.snapshot_index) {
        c->log.snapshot_index = e->index;
        c->log.snapshot_term = e->term;
    }
    if (e->first_index > c->log.first_index) {
        core_log_compact(&c->log, e->first_index);
    }
}

int raft_core_step(struct raft_core *c, const struct raft_core_event *e, struct raft_core_out *out,
                   struct err *err)
{
    uint64_t before_ms = c->now_ms;
    c->now_ms = MAX(c->now_ms, e->now_ms);
    struct peer *p;
    int r = 0;
    switch (e->kind) {
    case RAFT_EVENT_TICK:
        on_tick(c, out);
        break;
    case RAFT_EVENT_MESSAGE:
        on_message(c, e, out);
        break;
    case RAFT_EVENT_UNREACHABLE:
        p = core_peer(c, e->server);
        if (p != NULL && c->state == RAFT_LEADER) {
            core_on_unreachable(c, p);
        } else if (p != NULL) {
            core_election_lost_peer(c, p);
        }
        break;
    case RAFT_EVENT_PROPOSE:
        r = core_propose(c, e->entries, e->count, out);
        break;
    case RAFT_EVENT_WAITED:
        core_on_waited(c, c->now_ms - before_ms);
        break;
    case RAFT_EVENT_DURABLE:
        on_durable(c, e, out);
        break;
    case RAFT_EVENT_COMPACTED:
        on_compacted(c, e);
        break;
    case RAFT_EVENT_INSTALLED:
        core_on_installed(c, e, out);
        break;
    case RAFT_EVENT_RESTORING:
        c->is_restoring = true;
        break;
    case RAFT_EVENT_RESTORED:
        core_on_restored(c, e, out);
        break;
    case RAFT_EVENT_CHANGE:
        r = core_change(c, e, out, err);
        break;
    case RAFT_EVENT_TRANSFER:
        r = core_transfer(c, e->server, out, err);
        break;
    case RAFT_EVENT_VERIFY:
        r = core_verify(c, e->token, out);
        break;
    case RAFT_EVENT_LOG_FAILED:
        on_log_failed(c, e, out);
        break;
    }
    ASSERT(c->commit_out <= c->log.last_index || c->commit_out <= c->log.snapshot_index);
    return r;
}

uint64_t raft_core_deadline_ms(const struct raft_core *c)
{
    return c->state == RAFT_LEADER ? core_leader_deadline_ms(c) : c->election_at_ms;
}

#define INTERVAL_MS 100u

/* Heartbeats come ten times as often as they must be heard, and not rarer than every 100 ms unless
 * the timeouts are more than five times the usual. */
static void core_pace_set(struct raft_core *c)
{
    c->interval_ms =
        MIN(c->heartbeat_timeout_ms / 10, MAX(c->heartbeat_timeout_ms / 50, (uint64_t)INTERVAL_MS));
    c->quick_ms = MIN(c->heartbeat_timeout_ms, 10 * c->interval_ms);
    c->follow_ms = c->heartbeat_timeout_ms;
    /* The lease must be over before anybody else may be elected. */
    c->lease_timeout_ms = MIN(c->lease_timeout_ms, c->quick_ms * 3 / 4);
}

struct raft_core *raft_core_new(const struct raft_core_options *o)
{
    struct raft_core *c = xcalloc(1, sizeof(*c));
    core_set_name(c->id, o->id);
    core_set_name(c->address, o->address);
    c->heartbeat_timeout_ms = o->heartbeat_timeout_ms;
    c->election_timeout_ms = o->election_timeout_ms;
    c->fit = o->fit;
    c->fit_data = o->fit_data;
    c->lease_timeout_ms = o->lease_timeout_ms;
    c->commit_timeout_ms = o->commit_timeout_ms;
    c->pre_vote = o->pre_vote;
    core_pace_set(c);
    ASSERT(c->heartbeat_timeout_ms >= 10 && c->election_timeout_ms >= 10 &&
           c->lease_timeout_ms <= c->heartbeat_timeout_ms);
    rng_seed(&c->rng, o->seed);
    c->now_ms = c->started_ms = o->now_ms;
    c->term = o->term;
    core_set_name(c->voted_for, o->voted_for);
    c->state = RAFT_FOLLOWER;
    struct core_log *l = &c->log;
    l->snapshot_index = o->snapshot_index;
    l->snapshot_term = o->snapshot_term;
    l->first_index = o->log_first_index;
    l->last_index = l->durable_index = o->log_last_index;
    ASSERT(l->first_index <= l->snapshot_index + 1 && l->last_index >= l->snapshot_index);
    for (size_t i = 0; i < o->runs_count; i++) {
        vec_push(&l->runs, o->runs[i]);
    }
    c->term = MAX(c->term, core_last_term(l));
    c->commit_index = c->commit_out = o->snapshot_index;
    if (o->committed != NULL) {
        c->committed = *o->committed;
        c->committed_index = o->committed_index;
    }
    if (o->latest != NULL) {
        c->latest = *o->latest;
        c->latest_index = o->latest_index;
    }
    core_peers_update(c);
    /* Nobody has been heard yet, so nobody is deposed by asking early whether one could win. */
    c->election_at_ms = c->now_ms + c->quick_ms / 10 + rng_below(&c->rng, c->quick_ms / 5);
    if (raft_configuration_voters(&c->latest) == 1 && core_may_campaign(c)) {
        c->election_at_ms = c->now_ms; /* nobody to wait for */
    }
    return c;
}

struct raft_core *raft_core_free(struct raft_core *c)
{
    if (c == NULL) {
        return NULL;
    }
    vec_deinit(&c->log.runs);
    buf_deinit(&c->scratch);
    return mem_free(c);
}

enum raft_state raft_core_state(const struct raft_core *c)
{
    return c->state;
}

uint64_t raft_core_term(const struct raft_core *c)
{
    return c->term;
}

uint64_t raft_core_commit_index(const struct raft_core *c)
{
    return c->commit_out;
}

uint64_t raft_core_last_index(const struct raft_core *c)
{
    return c->log.last_index;
}

struct str raft_core_leader_address(const struct raft_core *c)
{
    return str_from_cstr(c->leader);
}

const struct raft_configuration *raft_core_configuration(const struct raft_core *c,
                                                         uint64_t *ret_index)
{
    *ret_index = c->latest_index;
    return &c->latest;
}

const struct raft_configuration *raft_core_committed_configuration(const struct raft_core *c,
                                                                   uint64_t *ret_index)
{
    *ret_index = c->committed_index;
    return &c->committed;
}

bool raft_core_is_ready(const struct raft_core *c)
{
    return c->state == RAFT_LEADER && c->commit_out >= c->term_start;
}

uint64_t raft_core_last_contact_ms(const struct raft_core *c, uint64_t now_ms)
{
    return c->state == RAFT_LEADER ? 0 : now_ms - MIN(now_ms, c->leader_heard_ms);
}

bool raft_core_peer(const struct raft_core *c, size_t i, struct raft_peer_status *ret)
{
    if (c->state != RAFT_LEADER || i >= c->peers_count) {
        return false;
    }
    const struct peer *p = &c->peers[i];
    *ret = (struct raft_peer_status){.id = str_from_cstr(p->id),
                                     .match_index = p->match_index,
                                     .next_index = p->next_index,
                                     .contact_ms = p->contact_ms,
                                     .is_snapshotting = p->mode == PEER_SNAPSHOT};
    return true;
}
