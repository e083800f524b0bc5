/* User events: each is told once, wherever it comes from.
 *
 * Those of the last SERF_EVENT_BUFFER Lamport times are remembered, by time, name and payload. What
 * is older than that, or than event_time_min, is taken for told: events from before the last run,
 * from before a join that ignores them, or from where memory ended. */
#include "gossip/core/serf_internal.h"

#define EVENT_OVERHEAD 64u /* of memory, besides name and payload */

/* --- what was seen ---------------------------------------------------------------------------- */

static void slot_clear(struct serf *s, struct serf_event_slot *slot)
{
    size_t pos = 0;
    struct str key;
    void *value;
    while (map_next(&slot->seen, &pos, &key, &value)) {
        s->events_size -= key.n + EVENT_OVERHEAD;
    }
    map_deinit(&slot->seen);
}

void serf_events_free(struct serf *s)
{
    for (size_t i = 0; i < SERF_EVENT_BUFFER; i++) {
        slot_clear(s, &s->events[i]);
    }
    s->events = mem_free(s->events);
}

bool serf_event_next(const struct serf_event_slot *slot, size_t *pos, struct str *ret_name,
                     struct str *ret_payload)
{
    struct str key;
    void *value;
    if (!map_next(&slot->seen, pos, &key, &value)) {
        return false;
    }
    struct cur c = cur_make(key);
    uint32_t name_size = cur_be32(&c);
    *ret_name = cur_take(&c, name_size);
    *ret_payload = cur_take(&c, cur_left(&c));
    return true;
}

/* Memory ends: the oldest time is forgotten, and events of it are not taken any more. */
static void forget_oldest(struct serf *s)
{
    struct serf_event_slot *oldest = NULL;
    for (size_t i = 0; i < SERF_EVENT_BUFFER; i++) {
        struct serf_event_slot *slot = &s->events[i];
        if (slot->seen.n > 0 && (oldest == NULL || slot->ltime < oldest->ltime)) {
            oldest = slot;
        }
    }
    serf_log(s, SWIM_LOG_WARN, "too many user events at once, ignoring those up to time %llu",
             (unsigned long long)oldest->ltime);
    s->event_time_min = MAX(s->event_time_min, serf_after(oldest->ltime, 1));
    slot_clear(s, oldest);
}

/* False: it was there. */
static bool slot_add(struct serf *s, struct serf_event_slot *slot,
                     const struct serf_user_event *event)
{
    struct buf key = {0};
    buf_be32(&key, (uint32_t)event->name.n);
    buf_str(&key, event->name);
    buf_str(&key, event->payload);
    bool is_new = map_get(&slot->seen, buf_view(&key)) == NULL;
    if (is_new) {
        (void)map_put(&slot->seen, buf_view(&key), slot);
        s->events_size += key.n + EVENT_OVERHEAD;
    }
    buf_deinit(&key);
    return is_new;
}

/* --- taking one ------------------------------------------------------------------------------- */

bool serf_on_user_event(struct serf *s, const struct serf_user_event *event)
{
    serf_clock_witness(&s->event_clock, event->ltime);
    if (event->ltime < s->event_time_min) {
        return false;
    }
    if (s->event_clock > SERF_EVENT_BUFFER && event->ltime < s->event_clock - SERF_EVENT_BUFFER) {
        serf_log(s, SWIM_LOG_WARN, "received old event %.*s from time %llu (current: %llu)",
                 STRF(event->name), (unsigned long long)event->ltime,
                 (unsigned long long)s->event_clock);
        return false;
    }
    if (event->name.n == 0) { /* kept, it would make our state unreadable to others */
        serf_log(s, SWIM_LOG_WARN, "received an event without a name");
        return false;
    }
    if (event->name.n + event->payload.n > SERF_USER_EVENT_SIZE_MAX) {
        serf_log(s, SWIM_LOG_WARN, "received an event of %zu bytes, over the limit of %u",
                 event->name.n + event->payload.n, SERF_USER_EVENT_SIZE_MAX);
        return false;
    }
    struct serf_event_slot *slot = &s->events[event->ltime % SERF_EVENT_BUFFER];
    if (slot->ltime != event->ltime) {
        slot_clear(s, slot);
        slot->ltime = event->ltime;
    }
    if (!slot_add(s, slot, event)) {
        return false;
    }
    while (s->events_size > SERF_EVENTS_SIZE_MAX) {
        forget_oldest(s);
    }
    serf_measure(s, SERF_MEASURE_EVENTS, event->name, 1);
    serf_event(s, &(struct serf_event){.kind = SERF_EVENT_USER, .user = event});
    serf_snapshot_event_clock(s, event->ltime);
    return true;
}

/* --- making one ------------------------------------------------------------------------------- */

int serf_user_event(struct serf *s, uint64_t now_ns, struct str name, struct str payload,
                    bool coalesce, struct err *err)
{
    s->now_ns = now_ns;
    uint32_t max = s->config.user_event_size_max;
    if (name.n == 0) {
        return err_set(err, ERR_INVALID, "a user event must have a name");
    }
    if (name.n > max || payload.n > max - name.n) {
        return err_set(err, ERR_TOO_LARGE,
                       "user event exceeds configured limit of %u bytes before encoding", max);
    }
    if (name.n + payload.n > SERF_USER_EVENT_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE,
                       "user event exceeds sane limit of %u bytes before encoding",
                       SERF_USER_EVENT_SIZE_MAX);
    }
    const struct serf_user_event event = {
        .ltime = s->event_clock, .name = name, .payload = payload, .coalesce = coalesce};
    struct buf message = {0};
    serf_user_event_encode(&event, &message);
    int rc = 0;
    if (message.n > max) {
        rc = err_set(err, ERR_TOO_LARGE,
                     "encoded user event exceeds configured limit of %u bytes after encoding", max);
    } else if (message.n > SERF_USER_EVENT_SIZE_MAX) {
        rc = err_set(err, ERR_TOO_LARGE,
                     "encoded user event exceeds sane limit of %u bytes before encoding",
                     SERF_USER_EVENT_SIZE_MAX);
    } else {
        (void)serf_on_user_event(s, &event);
        serf_broadcast(s, s->event_queue, buf_view(&message), NULL);
    }
    buf_deinit(&message);
    return rc;
}
