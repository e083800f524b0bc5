/* What two exchange of Serf when they push and pull: clocks, when each member last said something,
 * who left, the user events of late. It comes after swim's own states, so that the members are
 * there. */
#include "gossip/core/serf_internal.h"

/* --- ours ------------------------------------------------------------------------------------- */

static void state_members(const struct serf *s, struct arena *a, struct serf_push_pull *ret)
{
    size_t pos = 0;
    struct str name;
    void *m;
    ret->status_times = ARENA_ARRAY(a, struct serf_status_time, s->members.n);
    while (map_next(&s->members, &pos, &name, &m)) {
        ret->status_times[ret->status_times_count++] = (struct serf_status_time){
            .node = name, .ltime = ((struct serf_member *)m)->status_ltime};
    }
    ret->left_members = ARENA_ARRAY(a, struct str, s->left_count);
    for (const struct list *link = s->left.next; link != &s->left; link = link->next) {
        ret->left_members[ret->left_members_count++] =
            list_entry(link, struct serf_member, link)->member->name;
    }
}

static void state_events(const struct serf *s, struct arena *a, struct serf_push_pull *ret)
{
    ret->events = ARENA_ARRAY(a, struct serf_events_at, SERF_EVENT_BUFFER);
    for (size_t i = 0; i < SERF_EVENT_BUFFER; i++) {
        const struct serf_event_slot *slot = &s->events[i];
        if (slot->seen.n == 0) {
            continue;
        }
        struct serf_events_at *at = &ret->events[ret->events_count++];
        size_t pos = 0;
        at->ltime = slot->ltime;
        at->events = ARENA_ARRAY(a, struct serf_user_event, slot->seen.n);
        while (at->count < slot->seen.n && serf_event_next(slot, &pos, &at->events[at->count].name,
                                                           &at->events[at->count].payload)) {
            at->count++;
        }
    }
}

void serf_local_state(struct serf *s, struct buf *to)
{
    struct arena a = {0};
    struct serf_push_pull state = {
        .ltime = s->clock, .event_ltime = s->event_clock, .query_ltime = s->query_clock};
    state_members(s, &a, &state);
    state_events(s, &a, &state);
    serf_push_pull_encode(&state, to);
    arena_deinit(&a);
}

/* --- theirs ----------------------------------------------------------------------------------- */

/* A clock stands at the next time, which nothing has been said at yet. */
static void clock_take(uint64_t *clock, uint64_t time)
{
    if (time > 0) {
        serf_clock_witness(clock, time - 1);
    }
}

/* Who left first, so that their times do not count as those of joins. When somebody left is not
 * said: just later than what is. */
static void take_intents(struct serf *s, const struct serf_push_pull *p)
{
    struct map times = {.flags = MAP_KEYS_BORROWED};
    for (size_t i = 0; i < p->status_times_count; i++) {
        (void)map_put(&times, p->status_times[i].node, &p->status_times[i]);
    }
    for (size_t i = 0; i < p->left_members_count; i++) {
        const struct serf_status_time *at = map_get(&times, p->left_members[i]);
        uint64_t ltime = serf_after(at != NULL ? at->ltime : 0, 1);
        (void)serf_on_leave_intent(
            s, &(struct serf_intent){.ltime = ltime, .node = p->left_members[i]});
    }
    for (size_t i = 0; i < p->status_times_count; i++) {
        const struct serf_status_time *at = &p->status_times[i];
        (void)serf_on_join_intent(s, &(struct serf_intent){.ltime = at->ltime, .node = at->node});
    }
    map_deinit(&times);
}

static void take_events(struct serf *s, const struct serf_push_pull *p)
{
    for (size_t i = 0; i < p->events_count; i++) {
        for (size_t j = 0; j < p->events[i].count; j++) {
            struct serf_user_event event = p->events[i].events[j];
            event.ltime = p->events[i].ltime;
            (void)serf_on_user_event(s, &event);
        }
    }
}

void serf_remote_state(struct serf *s, bool join, struct str bytes)
{
    struct arena a = {0};
    struct serf_push_pull p;
    struct err err;
    if (bytes.n == 0) {
        serf_log(s, SWIM_LOG_ERROR, "Remote state is zero bytes");
    } else if ((uint8_t)bytes.p[0] != SERF_PUSH_PULL) {
        serf_log(s, SWIM_LOG_ERROR, "Remote state has bad type prefix: %u", (uint8_t)bytes.p[0]);
    } else if (serf_push_pull_decode(str_from(bytes, 1), &a, &p, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to decode remote state: %s", err_text(&err));
    } else {
        clock_take(&s->clock, p.ltime);
        clock_take(&s->event_clock, p.event_ltime);
        clock_take(&s->query_clock, p.query_ltime);
        take_intents(s, &p);
        if (join && s->joins_ignoring > 0) {
            s->event_time_min = MAX(s->event_time_min, p.event_ltime);
        }
        take_events(s, &p);
    }
    arena_deinit(&a);
}
