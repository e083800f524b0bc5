/* What members tell each other of their Lamport times and recent events, in a push/pull. */
#include "base/arena.h"
#include "proto/gossip_fields.h"
#include "proto/serf.h"

#define SIZE_ANY MEMBERLIST_PLAIN_SIZE_MAX /* bounded by the message it is in */

/* What elements take at least, as their writer always writes all of their fields. That they do is
 * seen when they are read: an event has a name, a time has an event. Memory is then bounded by a
 * small multiple of the bytes. */
#define STATUS_TIME_SIZE_MIN 2u
#define EVENTS_AT_SIZE_MIN 16u /* {Events, LTime} */
#define EVENT_SIZE_MIN 16u     /* {Name, Payload} */

/* --- events ----------------------------------------------------------------------------------- */

#define T struct serf_user_event
static const struct gossip_field event_fields[] = {
    GOSSIP_STR(T, name, "Name", SIZE_ANY, 0),
    GOSSIP_RAW(T, payload, "Payload", SIZE_ANY),
};
#undef T

static void events_of_put(struct buf *to, const void *member)
{
    const struct serf_events_at *m = container_of(member, const struct serf_events_at, events);
    msgpack_array(to, m->count);
    for (size_t i = 0; i < m->count; i++) {
        gossip_fields_put(to, event_fields, ARRAY_SIZE(event_fields), &m->events[i]);
    }
}

static void events_of_read(struct cur *c, void *member, struct arena *a)
{
    struct serf_events_at *m = container_of(member, struct serf_events_at, events);
    m->count = gossip_read_array(c, EVENT_SIZE_MIN);
    m->events = ARENA_ARRAY(a, struct serf_user_event, m->count);
    for (size_t i = 0; i < m->count && !c->failed; i++) {
        gossip_fields_read_within(c, event_fields, ARRAY_SIZE(event_fields), &m->events[i], a);
        c->failed |= m->events[i].name.n == 0;
    }
}

static const struct gossip_form events_of_form = {events_of_put, events_of_read};

#define T struct serf_events_at
static const struct gossip_field events_at_fields[] = {
    GOSSIP_FORM(T, events, "Events", &events_of_form),
    GOSSIP_UINT(T, ltime, "LTime", UINT64_MAX, 0),
};
#undef T

static void events_put(struct buf *to, const void *member)
{
    const struct serf_push_pull *m = container_of(member, const struct serf_push_pull, events);
    msgpack_array(to, m->events_count);
    for (size_t i = 0; i < m->events_count; i++) {
        gossip_fields_put(to, events_at_fields, ARRAY_SIZE(events_at_fields), &m->events[i]);
    }
}

/* The reference sends its whole ring, of which most is usually nil: counted first, left out then.
 */
static void events_read(struct cur *c, void *member, struct arena *a)
{
    struct serf_push_pull *m = container_of(member, struct serf_push_pull, events);
    size_t n = msgpack_read_array(c);
    struct cur ahead = *c;
    size_t count = 0;
    for (size_t i = 0; i < n && !ahead.failed; i++) {
        count += msgpack_peek(&ahead) != MSGPACK_NIL;
        if (msgpack_skip(&ahead) < 0) {
            break;
        }
    }
    if (ahead.failed || count > cur_left(c) / EVENTS_AT_SIZE_MIN) {
        c->failed = true;
        return;
    }
    m->events = ARENA_ARRAY(a, struct serf_events_at, count);
    for (size_t i = 0; i < n && !c->failed; i++) {
        if (msgpack_peek(c) == MSGPACK_NIL) {
            c->p++;
            continue;
        }
        struct serf_events_at *at = &m->events[m->events_count++];
        gossip_fields_read_within(c, events_at_fields, ARRAY_SIZE(events_at_fields), at, a);
        c->failed |= at->count == 0;
    }
}

static const struct gossip_form events_form = {events_put, events_read};

/* --- members ---------------------------------------------------------------------------------- */

static void left_members_put(struct buf *to, const void *member)
{
    const struct serf_push_pull *m =
        container_of(member, const struct serf_push_pull, left_members);
    gossip_strs_put(to, m->left_members, m->left_members_count);
}

static void left_members_read(struct cur *c, void *member, struct arena *a)
{
    struct serf_push_pull *m = container_of(member, struct serf_push_pull, left_members);
    m->left_members = gossip_read_strs(c, SERF_NAMES_MAX, a, &m->left_members_count);
}

static const struct gossip_form left_members_form = {left_members_put, left_members_read};

static void status_times_put(struct buf *to, const void *member)
{
    const struct serf_push_pull *m =
        container_of(member, const struct serf_push_pull, status_times);
    msgpack_map(to, m->status_times_count);
    for (size_t i = 0; i < m->status_times_count; i++) {
        msgpack_raw(to, m->status_times[i].node);
        msgpack_u64(to, m->status_times[i].ltime);
    }
}

static void status_times_read(struct cur *c, void *member, struct arena *a)
{
    struct serf_push_pull *m = container_of(member, struct serf_push_pull, status_times);
    size_t n = gossip_read_map(c, STATUS_TIME_SIZE_MIN);
    if (n > SERF_NAMES_MAX) {
        c->failed = true;
        return;
    }
    m->status_times_count = n;
    m->status_times = ARENA_ARRAY(a, struct serf_status_time, n);
    for (size_t i = 0; i < n && !c->failed; i++) {
        m->status_times[i].node = gossip_read_raw(c, MEMBERLIST_NAME_SIZE_MAX);
        m->status_times[i].ltime = msgpack_read_u64(c);
    }
}

static const struct gossip_form status_times_form = {status_times_put, status_times_read};

/* --- the message ------------------------------------------------------------------------------ */

#define T struct serf_push_pull
static const struct gossip_field push_pull_fields[] = {
    GOSSIP_UINT(T, event_ltime, "EventLTime", UINT64_MAX, 0),
    GOSSIP_FORM(T, events, "Events", &events_form),
    GOSSIP_UINT(T, ltime, "LTime", UINT64_MAX, 0),
    GOSSIP_FORM(T, left_members, "LeftMembers", &left_members_form),
    GOSSIP_UINT(T, query_ltime, "QueryLTime", UINT64_MAX, 0),
    GOSSIP_FORM(T, status_times, "StatusLTimes", &status_times_form),
};
#undef T

void serf_push_pull_encode(const struct serf_push_pull *m, struct buf *to)
{
    GOSSIP_PUT(to, SERF_PUSH_PULL, push_pull_fields, m);
}

int serf_push_pull_decode(struct str s, struct arena *a, struct serf_push_pull *ret,
                          struct err *err)
{
    return GOSSIP_READ(s, push_pull_fields, ret, a, "Serf push/pull", err);
}
