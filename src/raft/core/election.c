/* Elections.
 *
 * A voter that hears nothing of a leader for its random timeout asks, and the one with the majority
 * leads. With pre-vote it first asks whether it could win, in a term nobody has to accept: a server
 * that was cut off for a while then does not depose a healthy leader when it comes back. A server
 * of the reference does not know the question; the transport answers `unsupported` for it, which
 * counts as a yes once it would not hear of a leader any more either.
 *
 * Who has heard from a leader within the heartbeat timeout refuses, and does not even adopt the
 * candidate's term, unless the leader itself wishes the transfer. */
#include "raft/core/internal.h"

void core_election_defer(struct raft_core *c)
{
    uint64_t base =
        c->state == RAFT_CANDIDATE ? MIN(c->election_timeout_ms, c->quick_ms) : c->follow_ms;
    c->election_at_ms = c->now_ms + base + rng_below(&c->rng, base);
}

bool core_may_campaign(const struct raft_core *c)
{
    return raft_configuration_is_voter(&c->latest, str_from_cstr(c->id));
}

static bool has_majority(const struct raft_core *c)
{
    uint32_t granted = 1; /* its own; only voters campaign */
    for (size_t i = 0; i < c->peers_count; i++) {
        granted += c->peers[i].is_voter && c->peers[i].granted;
    }
    return granted > raft_configuration_voters(&c->latest) / 2;
}

/* The votes asked for are there. */
static void campaign_won(struct raft_core *c, struct raft_core_out *out)
{
    if (c->is_pre) {
        core_campaign(c, false, c->is_transfer, out);
    } else {
        core_lead(c, out);
    }
}

void core_campaign(struct raft_core *c, bool pre, bool transfer, struct raft_core_out *out)
{
    c->state = RAFT_CANDIDATE;
    c->is_pre = pre;
    c->is_transfer = transfer;
    core_set_name(c->leader, STR_NULL);
    core_acks_fail(c, out);
    if (!pre) {
        c->term++;
        core_set_name(c->voted_for, str_from_cstr(c->address));
        core_persist(c, out);
    }
    core_election_defer(c);
    core_role_out(c, out);
    for (size_t i = 0; i < c->peers_count; i++) {
        c->peers[i].granted = false;
    }
    if (has_majority(c)) {
        campaign_won(c, out);
        return;
    }
    for (size_t i = 0; i < c->peers_count; i++) {
        struct peer *p = &c->peers[i];
        if (!p->is_voter) {
            continue;
        }
        struct raft_core_output *o = core_put(out, RAFT_OUT_SEND);
        o->server = str_from_cstr(p->id);
        o->address = str_from_cstr(p->address);
        o->msg = (struct raft_msg){.kind = RAFT_MSG_VOTE,
                                   .term = c->term + pre,
                                   .token = c->term,
                                   .vote = {.candidate = str_from_cstr(c->address),
                                            .last_index = c->log.last_index,
                                            .last_term = core_last_term(&c->log),
                                            .transfer = transfer,
                                            .pre = pre}};
    }
}

static bool candidate_is_up_to_date(const struct raft_core *c, const struct raft_msg *m)
{
    uint64_t last_term = core_last_term(&c->log);
    return m->vote.last_term > last_term ||
           (m->vote.last_term == last_term && m->vote.last_index >= c->log.last_index);
}

/* A leader that was heard from of late (or is us), and is not the one who asks. */
static bool has_other_leader(const struct raft_core *c, struct str candidate)
{
    if (c->state == RAFT_LEADER) {
        return true;
    }
    return c->leader[0] != '\0' && !str_eq(str_from_cstr(c->leader), candidate) &&
           c->now_ms - c->leader_heard_ms < c->follow_ms;
}

static bool vote_decide(struct raft_core *c, const struct raft_msg *m, struct raft_core_out *out)
{
    struct str candidate = m->vote.candidate;
    if (m->term < c->term || candidate.n == 0 || candidate.n > RAFT_NAME_SIZE_MAX) {
        return false;
    }
    if (has_other_leader(c, candidate) && !m->vote.transfer) {
        return false;
    }
    bool is_free = m->term > c->term || c->voted_for[0] == '\0' ||
                   str_eq(str_from_cstr(c->voted_for), candidate);
    if (m->vote.pre) {
        return is_free && candidate_is_up_to_date(c, m);
    }
    if (m->term > c->term) {
        core_follow(c, m->term, out);
    }
    if (!is_free || !candidate_is_up_to_date(c, m)) {
        return false;
    }
    if (c->voted_for[0] == '\0') {
        core_set_name(c->voted_for, candidate);
        core_persist(c, out);
    }
    core_election_defer(c);
    return true;
}

void core_on_vote(struct raft_core *c, const struct raft_msg *m, struct raft_core_out *out)
{
    bool granted = vote_decide(c, m, out);
    struct raft_core_output *o = core_put(out, RAFT_OUT_REPLY);
    o->msg = (struct raft_msg){.kind = RAFT_MSG_VOTE_RESULT,
                               .term = c->term,
                               .token = m->token,
                               .vote_result = {.granted = granted, .pre = m->vote.pre}};
}

/* Whether a server that knows no pre-vote counts as a yes: not before it would give up on a leader,
 * for our asking for votes in a new term would depose the one it follows. */
static bool may_guess(const struct raft_core *c)
{
    return c->now_ms - MAX(c->leader_heard_ms, c->started_ms) >= c->heartbeat_timeout_ms;
}

void core_on_vote_result(struct raft_core *c, struct peer *p, const struct raft_msg *m,
                         struct raft_core_out *out)
{
    /* One of an election of before does not count; a pre-vote's answer has the voter's own term. */
    if (c->state != RAFT_CANDIDATE || m->vote_result.pre != c->is_pre ||
        (!c->is_pre && m->term != c->term)) {
        return;
    }
    if (m->vote_result.granted || (m->vote_result.unsupported && may_guess(c))) {
        p->granted = true;
        if (has_majority(c)) {
            campaign_won(c, out);
        }
    }
}
