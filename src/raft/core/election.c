/* Elections.
 *
 * A voter that hears nothing of a leader for its random timeout asks, and the one with the majority
 * leads. With pre-vote it first asks whether it could win, in a term nobody has to accept: a server
 * that was cut off for a while then does not depose a healthy leader when it comes back. A server
 * of the reference does not know the question; the transport answers `unsupported` for it, which
 * counts as a yes once it would not hear of a leader any more either.
 *
 * Who has heard from a leader within the heartbeat timeout refuses, and does not even adopt the
 * candidate's term, unless the leader itself wishes the transfer.
 *
 * A vote is on disk before it is asked for, and before it is given: with slow disks an election
 * takes much longer than the timeouts. So
 *
 *   - the time in which a server waits for its own disk is not counted (RAFT_EVENT_WAITED), and a
 *     candidate gives the others twice as long besides;
 *   - each term that brings no leader makes candidates twice as patient;
 *   - when its time is over a candidate asks whether it could win the next term, which nobody
 *     answers who is busy voting, and takes votes of its own term until another has begun;
 *   - a candidate whose time is not over, and who may still win, says no to the next term, and so
 *     does for a moment who has just given a vote: its answer may be on its way.
 *
 * One that cannot win any more does not wait. */
#include "raft/core/internal.h"

#define PATIENCE_SHIFT_MAX 4u

static uint64_t election_ms(const struct raft_core *c)
{
    return MIN(c->election_timeout_ms, c->quick_ms);
}

/* Its own election may still be won. */
static bool is_undecided(const struct raft_core *c)
{
    return c->is_standing && !c->is_pre && !c->is_lost;
}

static uint64_t patience_ms(const struct raft_core *c)
{
    if (c->state != RAFT_CANDIDATE) {
        return c->follow_ms;
    }
    uint32_t failed = is_undecided(c) ? c->elections - 1 : 0;
    return election_ms(c) << MIN(failed, PATIENCE_SHIFT_MAX);
}

void core_election_defer(struct raft_core *c)
{
    uint64_t ms = patience_ms(c);
    c->election_at_ms = c->now_ms + ms + rng_below(&c->rng, ms);
}

void core_election_hasten(struct raft_core *c)
{
    uint64_t at_ms = c->election_at_ms;
    core_election_defer(c);
    c->election_at_ms = MIN(c->election_at_ms, at_ms);
}

bool core_may_campaign(const struct raft_core *c)
{
    return raft_configuration_is_voter(&c->latest, str_from_cstr(c->id));
}

/* Nobody could be heard meanwhile, so it is nobody's silence; what came waits to be read. */
void core_on_waited(struct raft_core *c, uint64_t ms)
{
    c->election_at_ms += ms;
    c->silent_since_ms += ms;
    c->voted_ms += c->voted_ms != 0 ? ms : 0;
    if (is_undecided(c)) {
        c->election_at_ms += MIN(2 * ms, election_ms(c) << PATIENCE_SHIFT_MAX);
    }
}

static bool is_majority(const struct raft_core *c, uint32_t others)
{
    return 1 + others > raft_configuration_voters(&c->latest) / 2; /* only voters campaign */
}

static bool has_pre_majority(const struct raft_core *c)
{
    uint32_t others = 0;
    for (size_t i = 0; i < c->peers_count; i++) {
        others += c->peers[i].is_voter && c->peers[i].pre_granted;
    }
    return is_majority(c, others);
}

static uint32_t votes(const struct raft_core *c, enum peer_vote vote)
{
    uint32_t n = 0;
    for (size_t i = 0; i < c->peers_count; i++) {
        n += c->peers[i].is_voter && c->peers[i].vote == vote;
    }
    return n;
}

/* A vote was given, refused or lost. */
static void votes_count(struct raft_core *c, struct raft_core_out *out)
{
    uint32_t granted = votes(c, VOTE_GRANTED);
    if (is_majority(c, granted)) {
        core_lead(c, out);
    } else if (!c->is_lost && !is_majority(c, granted + votes(c, VOTE_ASKED))) {
        c->is_lost = true;
        core_election_hasten(c);
    }
}

void core_election_lost_peer(struct raft_core *c, struct peer *p)
{
    if (c->is_standing && p->vote == VOTE_ASKED) {
        p->vote = VOTE_REFUSED;
        votes_count(c, NULL); /* no more votes than before: nobody leads */
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
        c->elections++;
        c->is_standing = true;
        c->is_lost = false;
        core_set_name(c->voted_for, str_from_cstr(c->address));
        core_persist(c, out);
    }
    core_election_defer(c);
    core_role_out(c, out);
    for (size_t i = 0; i < c->peers_count; i++) {
        c->peers[i].pre_granted = false;
        c->peers[i].vote = pre ? c->peers[i].vote : VOTE_ASKED;
    }
    if (is_majority(c, 0)) {
        if (pre) {
            core_campaign(c, false, transfer, out);
        } else {
            core_lead(c, out);
        }
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

/* Somebody asks in the very term we campaign in, and would have our vote if we had not given it to
 * ourselves; without it we may be in its way for ever. When we ask first the next time as well, in
 * a newer term that it does not learn of (it may have no vote where we ask), it comes too late
 * again. So it gets the time to be first. */
static void stand_back(struct raft_core *c)
{
    uint64_t at_ms = c->election_at_ms;
    core_election_defer(c);
    c->election_at_ms = MAX(at_ms, c->election_at_ms + election_ms(c));
}

static bool candidate_is_up_to_date(const struct raft_core *c, const struct raft_msg *m)
{
    uint64_t last_term = core_last_term(&c->log);
    return m->vote.last_term > last_term ||
           (m->vote.last_term == last_term && m->vote.last_index >= c->log.last_index);
}

static bool candidate_is_ahead(const struct raft_core *c, const struct raft_msg *m)
{
    return candidate_is_up_to_date(c, m) && (m->vote.last_term != core_last_term(&c->log) ||
                                             m->vote.last_index != c->log.last_index);
}

/* A leader that was heard from of late (or is us), and is not the one who asks. */
static bool has_other_leader(const struct raft_core *c, struct str candidate)
{
    if (c->state == RAFT_LEADER) {
        return true;
    }
    return c->leader[0] != '\0' && !str_eq(str_from_cstr(c->leader), candidate) &&
           c->now_ms - c->silent_since_ms < c->follow_ms;
}

/* An election is under way that the next term would undo. */
static bool is_voting(const struct raft_core *c)
{
    return is_undecided(c) || (c->state != RAFT_LEADER && c->voted_ms != 0 &&
                               c->now_ms < c->voted_ms + election_ms(c) / 2);
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
        return is_free && !is_voting(c) && candidate_is_up_to_date(c, m);
    }
    if (m->term > c->term) {
        core_follow(c, m->term, out);
    }
    if (!candidate_is_up_to_date(c, m)) {
        return false;
    }
    if (!is_free) {
        if (c->state == RAFT_CANDIDATE && candidate_is_ahead(c, m)) {
            stand_back(c);
        }
        return false;
    }
    if (c->voted_for[0] == '\0') {
        core_set_name(c->voted_for, candidate);
        core_persist(c, out);
    }
    c->voted_ms = c->now_ms;
    core_election_defer(c);
    return true;
}

void core_on_vote(struct raft_core *c, const struct raft_msg *m, struct raft_core_out *out)
{
    bool granted = vote_decide(c, m, out);
    /* It will be told of our term when it is asked for its vote: to keep only the term now would
     * cost it a sync of its own. */
    bool is_spared = m->vote.pre && m->term > 0 && is_undecided(c);
    struct raft_core_output *o = core_put(out, RAFT_OUT_REPLY);
    o->msg = (struct raft_msg){.kind = RAFT_MSG_VOTE_RESULT,
                               .term = is_spared ? MIN(c->term, m->term - 1) : c->term,
                               .token = m->token,
                               .vote_result = {.granted = granted, .pre = m->vote.pre}};
}

/* Whether a server that knows no pre-vote counts as a yes: not before it would give up on a leader,
 * for our asking for votes in a new term would depose the one it follows. */
static bool may_guess(const struct raft_core *c)
{
    return c->now_ms - MAX(c->silent_since_ms, c->started_ms) >= c->heartbeat_timeout_ms;
}

void core_on_vote_result(struct raft_core *c, struct peer *p, const struct raft_msg *m,
                         struct raft_core_out *out)
{
    const bool is_pre = m->vote_result.pre;
    if (is_pre && c->state == RAFT_CANDIDATE && c->is_pre) { /* has the voter's own term */
        p->pre_granted |= m->vote_result.granted || (m->vote_result.unsupported && may_guess(c));
        if (has_pre_majority(c)) {
            core_campaign(c, false, c->is_transfer, out);
        }
    } else if (!is_pre && c->is_standing && m->term == c->term) {
        p->vote = m->vote_result.granted || p->vote == VOTE_GRANTED ? VOTE_GRANTED : VOTE_REFUSED;
        votes_count(c, out);
    }
}
