/* Two members of one name. Who hears that somebody else claims his name asks all: at which address
 * is he? Who is not named by more than half of those that answer ends himself. */
#include "gossip/core/serf_internal.h"

/* --- the vote --------------------------------------------------------------------------------- */

static void vote_answer(struct serf_asking *q, struct str from, struct str payload)
{
    struct serf *s = q->data;
    struct arena a = {0};
    struct member m = {0};
    struct err err;
    if (payload.n < 1 || (uint8_t)payload.p[0] != SERF_CONFLICT_RESPONSE) {
        serf_log(s, SWIM_LOG_ERROR, "Invalid conflict query response type of %.*s", STRF(from));
    } else if (serf_conflict_response_decode(str_from(payload, 1), &a, &m, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to decode conflict query response: %s", err_text(&err));
    } else {
        s->votes++;
        if (str_eq(m.addr, buf_view(&s->address_text)) && m.port == s->address.port) {
            s->votes_for_us++;
        }
    }
    arena_deinit(&a);
}

static void vote_done(struct serf_asking *q)
{
    struct serf *s = q->data;
    s->is_voting = false;
    if (s->phase == SERF_STOPPED) {
        return;
    }
    if (s->votes_for_us >= s->votes / 2 + 1) {
        serf_log(s, SWIM_LOG_INFO, "majority in name conflict resolution [%u / %u]",
                 s->votes_for_us, s->votes);
        return;
    }
    serf_log(s, SWIM_LOG_WARN, "minority in name conflict resolution, quiting [%u / %u]",
             s->votes_for_us, s->votes);
    if (s->ops->conflict_lost != NULL) {
        s->ops->conflict_lost(s->data);
    }
}

static void vote(struct serf *s)
{
    struct err err;
    const struct serf_query_params params = {.name = STR(SERF_INTERNAL_PREFIX "conflict"),
                                             .payload = s->name};
    s->vote = (struct serf_asking){.answer = vote_answer, .done = vote_done, .data = s};
    s->votes = s->votes_for_us = 0;
    if (serf_query(s, serf_now(s), &params, &s->vote, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to start name resolution query: %s", err_text(&err));
        return;
    }
    s->is_voting = true;
}

void serf_on_conflict(struct serf *s, const struct swim_member *existing,
                      const struct swim_member *other)
{
    struct buf mine = {0}, theirs = {0};
    gossip_address_format(&existing->address, &mine);
    gossip_address_format(&other->address, &theirs);
    if (!str_eq(existing->name, s->name)) {
        serf_log(s, SWIM_LOG_WARN, "Name conflict for '%.*s' both %.*s and %.*s are claiming",
                 STRF(existing->name), STRF(buf_view(&mine)), STRF(buf_view(&theirs)));
    } else {
        serf_log(s, SWIM_LOG_ERROR,
                 "Node name conflicts with another node at %.*s. Names must be unique! "
                 "(Resolution enabled: %s)",
                 STRF(buf_view(&theirs)),
                 s->config.enable_name_conflict_resolution ? "true" : "false");
        if (s->config.enable_name_conflict_resolution && !s->is_voting && s->phase == SERF_ALIVE) {
            vote(s);
        }
    }
    buf_deinit(&mine);
    buf_deinit(&theirs);
}

/* --- a vote of somebody else ------------------------------------------------------------------ */

void serf_on_conflict_query(struct serf *s, const struct serf_query *q)
{
    if (str_eq(q->payload, s->name)) {
        return; /* we are no judge of that */
    }
    serf_log(s, SWIM_LOG_DEBUG, "Got conflict resolution query for '%.*s'", STRF(q->payload));
    struct buf answer = {0};
    struct err err;
    serf_conflict_response_encode(serf_find(s, q->payload), &answer);
    if (serf_query_respond(s, s->now_ns, q, buf_view(&answer), &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to respond to conflict query: %s", err_text(&err));
    }
    buf_deinit(&answer);
}
