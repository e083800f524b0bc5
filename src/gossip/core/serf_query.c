/* Queries of others (and our own, which we answer as well): who is meant, acknowledgements,
 * answers.
 *
 * An answer goes straight to who asks, in a datagram; with a relay factor also through that many
 * others, in case the direct way is broken. Who asked counts each answer once. */
#include "gossip/core/serf_internal.h"

#include "schema/regexp.h"

#define RELAY_PROTOCOL_MIN 5u /* of memberlist, that knows of relays */

/* --- what was seen ---------------------------------------------------------------------------- */

void serf_queries_free(struct serf *s)
{
    for (size_t i = 0; i < SERF_QUERY_BUFFER; i++) {
        vec_deinit(&s->queries[i].seen);
    }
    s->queries = mem_free(s->queries);
}

static struct serf_query_seen *seen_find(struct serf *s, uint64_t ltime, uint32_t id)
{
    struct serf_query_slot *slot = &s->queries[ltime % SERF_QUERY_BUFFER];
    for (size_t i = 0; slot->ltime == ltime && i < slot->seen.n; i++) {
        if (slot->seen.v[i].id == id) {
            return &slot->seen.v[i];
        }
    }
    return NULL;
}

/* False: it was there, or there are too many of this time. */
static bool seen_add(struct serf *s, const struct serf_query *q)
{
    struct serf_query_slot *slot = &s->queries[q->ltime % SERF_QUERY_BUFFER];
    if (seen_find(s, q->ltime, q->id) != NULL) {
        return false;
    }
    if (slot->ltime != q->ltime) {
        vec_clear(&slot->seen);
        slot->ltime = q->ltime;
    }
    if (slot->seen.n >= SERF_QUERIES_AT_MAX) {
        serf_log(s, SWIM_LOG_WARN, "too many queries at once, ignoring %.*s", STRF(q->name));
        return false;
    }
    struct serf_query_seen seen = {
        .id = q->id,
        .deadline_ns = serf_after(serf_now(s), q->timeout_ns > 0 ? (uint64_t)q->timeout_ns : 0),
    };
    vec_push(&slot->seen, seen);
    return true;
}

/* --- who is meant ----------------------------------------------------------------------------- */

static bool filter_matches(struct serf *s, struct arena *a, const struct serf_filter *f)
{
    struct regexp *re;
    struct str value = STR_NULL;
    struct err err;
    if (!f->is_tag) {
        return strlist_contains(f->nodes, s->name);
    }
    if (regexp_compile(a, f->regexp, &re, &err) < 0) {
        serf_log(s, SWIM_LOG_WARN, "failed to compile filter regex (%.*s): %s", STRF(f->regexp),
                 err_text(&err));
        return false;
    }
    (void)strmap_get(s->tags, f->tag, &value);
    return regexp_match(re, value) > 0;
}

static bool filters_match(struct serf *s, const struct serf_query *q)
{
    struct arena a = {0};
    bool matches = true;
    for (size_t i = 0; i < q->filters_count && matches; i++) {
        struct serf_filter f;
        struct err err;
        if (serf_filter_decode(q->filters[i], &a, &f, &err) < 0) {
            serf_log(s, SWIM_LOG_WARN, "failed to decode a filter of a query: %s", err_text(&err));
            matches = false;
        } else {
            matches = filter_matches(s, &a, &f);
        }
    }
    arena_deinit(&a);
    return matches;
}

/* --- answers ---------------------------------------------------------------------------------- */

struct relays { /* picked one by one */
    const struct serf *s;
    struct str names[UINT8_MAX];
    size_t count;
};

static bool relay_is_wanted(void *data, const struct swim_member *m)
{
    const struct relays *r = data;
    const struct serf_member *known = serf_member_find(r->s, m->name);
    for (size_t i = 0; i < r->count; i++) {
        if (str_eq(r->names[i], m->name)) {
            return false;
        }
    }
    return known != NULL && known->member->status == MEMBER_ALIVE &&
           known->member->protocol_max >= RELAY_PROTOCOL_MIN && !str_eq(m->name, r->s->name);
}

static int relay(struct serf *s, const struct serf_query *q, struct str response, struct err *err)
{
    struct relays r = {.s = s};
    struct buf message = {0};
    int rc = 0;
    if (q->relay_factor == 0 || s->members.n < (size_t)q->relay_factor + 1) {
        return 0; /* not worth it in so small a pool */
    }
    const struct serf_relay header = {
        .to = q->source, .to_name = q->source_node, .message = response};
    serf_relay_encode(&header, &message);
    if (message.n > s->config.query_response_size_max) {
        rc = err_set(err, ERR_TOO_LARGE, "relayed response exceeds limit of %u bytes",
                     s->config.query_response_size_max);
    }
    while (rc == 0 && r.count < q->relay_factor) {
        const struct swim_member *m = swim_random(s->swim, relay_is_wanted, &r);
        if (m == NULL) {
            break;
        }
        r.names[r.count++] = m->name;
        swim_send(s->swim, serf_now(s), &m->address, buf_view(&message));
    }
    buf_deinit(&message);
    return rc;
}

static int respond(struct serf *s, const struct serf_query *q, struct str payload,
                   struct serf_query_seen *seen, struct err *err)
{
    const struct serf_query_response response = {
        .ltime = q->ltime, .id = q->id, .from = s->name, .payload = payload};
    struct buf message = {0};
    int rc;
    serf_query_response_encode(&response, &message);
    if (message.n > s->config.query_response_size_max) {
        rc = err_set(err, ERR_TOO_LARGE, "response exceeds limit of %u bytes",
                     s->config.query_response_size_max);
    } else if (seen == NULL || seen->deadline_ns < serf_now(s)) {
        rc = err_set(err, ERR_TIMEOUT, "response is past the deadline");
    } else if (seen->is_answered) {
        rc = err_set(err, ERR_CONFLICT, "response already sent");
    } else {
        serf_send(s, &q->source, buf_view(&message));
        rc = relay(s, q, buf_view(&message), err);
        seen->is_answered = rc == 0;
    }
    buf_deinit(&message);
    return rc;
}

int serf_query_respond(struct serf *s, uint64_t now_ns, const struct serf_query *q,
                       struct str payload, struct err *err)
{
    s->now_ns = now_ns;
    int rc = respond(s, q, payload, seen_find(s, q->ltime, q->id), err);
    return rc < 0 ? err_wrap(err, "failed to respond to key query") : rc; /* Serf's words */
}

static void acknowledge(struct serf *s, const struct serf_query *q)
{
    const struct serf_query_response ack = {
        .ltime = q->ltime, .id = q->id, .from = s->name, .flags = SERF_QUERY_FLAG_ACK};
    struct buf message = {0};
    struct err err;
    serf_query_response_encode(&ack, &message);
    serf_send(s, &q->source, buf_view(&message));
    if (relay(s, q, buf_view(&message), &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "failed to relay ack: %s", err_text(&err));
    }
    buf_deinit(&message);
}

/* --- taking one ------------------------------------------------------------------------------- */

bool serf_is_internal(struct str query_name)
{
    return str_has_prefix(query_name, STR(SERF_INTERNAL_PREFIX));
}

/* In the next tick. */
void serf_on_internal_query(struct serf *s, const struct serf_query *q)
{
    struct str name = str_from(q->name, STR(SERF_INTERNAL_PREFIX).n);
    if (str_eq_lit(name, "ping")) {
        return; /* the acknowledgement says it all */
    } else if (str_eq_lit(name, "conflict")) {
        serf_on_conflict_query(s, q);
    } else if (str_eq_lit(name, "install-key")) {
        serf_on_key_query(s, SERF_KEY_INSTALL, q);
    } else if (str_eq_lit(name, "use-key")) {
        serf_on_key_query(s, SERF_KEY_USE, q);
    } else if (str_eq_lit(name, "remove-key")) {
        serf_on_key_query(s, SERF_KEY_REMOVE, q);
    } else if (str_eq_lit(name, "list-keys")) {
        serf_on_key_query(s, SERF_KEY_LIST, q);
    } else {
        serf_log(s, SWIM_LOG_WARN, "Unhandled internal query '%.*s'", STRF(name));
    }
}

bool serf_on_query(struct serf *s, const struct serf_query *q, struct str bytes)
{
    serf_clock_witness(&s->query_clock, q->ltime);
    if (q->ltime < s->query_time_min) {
        return false;
    }
    if (s->query_clock > SERF_QUERY_BUFFER && q->ltime < s->query_clock - SERF_QUERY_BUFFER) {
        serf_log(s, SWIM_LOG_WARN, "received old query %.*s from time %llu (current: %llu)",
                 STRF(q->name), (unsigned long long)q->ltime, (unsigned long long)s->query_clock);
        return false;
    }
    if (!seen_add(s, q)) {
        return false;
    }
    serf_measure(s, SERF_MEASURE_QUERIES, q->name, 1);
    bool pass_on = (q->flags & SERF_QUERY_FLAG_NO_BROADCAST) == 0;
    if (!filters_match(s, q)) {
        return pass_on;
    }
    if ((q->flags & SERF_QUERY_FLAG_ACK) != 0) {
        acknowledge(s, q);
    }
    serf_snapshot_query_clock(s, q->ltime);
    if (serf_is_internal(q->name)) {
        (void)serf_todo(s, SERF_TODO_QUERY, bytes);
    } else {
        serf_event(s, &(struct serf_event){.kind = SERF_EVENT_QUERY, .query = q});
    }
    return pass_on;
}
