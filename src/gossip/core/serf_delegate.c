/* What swim says, to the files it concerns; what it asks for. */
#include "gossip/core/serf_internal.h"

/* --- messages --------------------------------------------------------------------------------- */

static void on_relay(struct serf *s, struct str body)
{
    struct serf_relay r;
    struct err err;
    if (serf_relay_decode(body, &r, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Error decoding relay header: %s", err_text(&err));
        return;
    }
    struct buf address = {0};
    gossip_address_format(&r.to, &address);
    serf_log(s, SWIM_LOG_DEBUG, "Relaying response to addr: %.*s", STRF(buf_view(&address)));
    buf_deinit(&address);
    serf_send(s, &r.to, r.message);
}

static void on_query_response(struct serf *s, struct str body)
{
    struct serf_query_response r;
    struct err err;
    if (serf_query_response_decode(body, &r, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Error decoding query response message: %s", err_text(&err));
        return;
    }
    serf_log(s, SWIM_LOG_DEBUG, "messageQueryResponseType: %.*s", STRF(r.from));
    serf_on_query_response(s, &r);
}

static bool on_intent(struct serf *s, enum serf_type type, struct str body)
{
    struct serf_intent intent;
    struct err err;
    bool is_leave = type == SERF_LEAVE;
    if (serf_intent_decode(body, &intent, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Error decoding %s message: %s", is_leave ? "leave" : "join",
                 err_text(&err));
        return false;
    }
    serf_log(s, SWIM_LOG_DEBUG, "message%sType: %.*s", is_leave ? "Leave" : "Join",
             STRF(intent.node));
    return is_leave ? serf_on_leave_intent(s, &intent) : serf_on_join_intent(s, &intent);
}

static bool on_user_event(struct serf *s, struct str body)
{
    struct serf_user_event event;
    struct err err;
    if (serf_user_event_decode(body, &event, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Error decoding user event message: %s", err_text(&err));
        return false;
    }
    serf_log(s, SWIM_LOG_DEBUG, "messageUserEventType: %.*s", STRF(event.name));
    return serf_on_user_event(s, &event);
}

static bool on_query(struct serf *s, struct str body)
{
    struct serf_query q;
    struct err err;
    if (serf_query_decode(body, &s->scratch, &q, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Error decoding query message: %s", err_text(&err));
        return false;
    }
    serf_log(s, SWIM_LOG_DEBUG, "messageQueryType: %.*s", STRF(q.name));
    return serf_on_query(s, &q, body);
}

void serf_message(struct serf *s, struct str bytes)
{
    if (bytes.n == 0) {
        return;
    }
    serf_measure(s, SERF_MEASURE_MSGS_RECEIVED, STR_NULL, (double)bytes.n);
    enum serf_type type = (uint8_t)bytes.p[0];
    struct str body = str_from(bytes, 1);
    struct broadcast_queue *pass_on = NULL;
    arena_reset(&s->scratch);
    switch (type) {
    case SERF_LEAVE:
    case SERF_JOIN:
        pass_on = on_intent(s, type, body) ? s->intent_queue : NULL;
        break;
    case SERF_USER_EVENT:
        pass_on = on_user_event(s, body) ? s->event_queue : NULL;
        break;
    case SERF_QUERY:
        pass_on = on_query(s, body) ? s->query_queue : NULL;
        break;
    case SERF_QUERY_RESPONSE:
        on_query_response(s, body);
        break;
    case SERF_RELAY:
        on_relay(s, body);
        break;
    case SERF_PUSH_PULL:
    case SERF_CONFLICT_RESPONSE:
    case SERF_KEY_REQUEST:
    case SERF_KEY_RESPONSE: /* these are parts of others */
    default:
        serf_log(s, SWIM_LOG_WARN, "Received message of unknown type: %u", (unsigned)type);
        break;
    }
    /* What is too long for any packet would wait in the queue for good. */
    if (pass_on != NULL && bytes.n <= s->config.swim.packet_size_max) {
        serf_broadcast(s, pass_on, bytes, NULL);
    }
}

static void on_message(void *data, struct str bytes)
{
    serf_message(data, bytes);
}

/* --- broadcasts ------------------------------------------------------------------------------- */

struct putting {
    struct serf *s;
    struct swim_broadcasts *to;
};

static void put(void *data, struct str message)
{
    struct putting *p = data;
    serf_measure(p->s, SERF_MEASURE_MSGS_SENT, STR_NULL, (double)message.n);
    (void)swim_broadcasts_put(p->to, message);
}

static void give_broadcasts(void *data, struct swim_broadcasts *to)
{
    struct serf *s = data;
    struct putting p = {s, to};
    uint32_t limit = swim_retransmit_limit(s->config.swim.retransmit_mult, s->members.n);
    struct broadcast_queue *queues[] = {s->intent_queue, s->query_queue, s->event_queue};
    for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
        if (broadcast_queue_count(queues[i]) > 0) {
            (void)broadcast_queue_take(queues[i], limit, SWIM_BROADCAST_OVERHEAD,
                                       swim_broadcasts_room(to) + SWIM_BROADCAST_OVERHEAD, put, &p);
        }
    }
}

/* --- coordinates ------------------------------------------------------------------------------ */

static void on_ack_payload(void *data, struct buf *to)
{
    struct serf *s = data;
    serf_ack_payload_encode(vivaldi_coordinate(s->vivaldi), to);
}

static void coordinate_take(struct serf *s, struct serf_member *m, uint64_t rtt_ns,
                            const struct coordinate *theirs)
{
    struct err err;
    struct coordinate *before =
        schema_copy(&s->scratch, &coordinate_schema, vivaldi_coordinate(s->vivaldi));
    if (vivaldi_update(s->vivaldi, s->rng, m->member->name, theirs, rtt_ns, &err) < 0) {
        serf_measure(s, SERF_MEASURE_COORDINATE_REJECTED, STR_NULL, 1);
        serf_log(s, SWIM_LOG_DEBUG, "Rejected coordinate from %.*s: %s", STRF(m->member->name),
                 err_text(&err));
        return;
    }
    if (rtt_ns == 0) {
        serf_measure(s, SERF_MEASURE_COORDINATE_ZERO_RTT, STR_NULL, 1);
    }
    serf_measure(s, SERF_MEASURE_COORDINATE_ADJUSTMENT, STR_NULL,
                 coordinate_distance(before, vivaldi_coordinate(s->vivaldi)) * 1e3);
    memcpy(m->vec, theirs->vec.v, sizeof(m->vec)); /* vivaldi takes no other size */
    m->coordinate = *theirs;
    m->coordinate.vec = (struct f64list){m->vec, COORDINATE_DIMENSIONS};
}

static void on_ping_complete(void *data, const struct swim_member *from, uint64_t rtt_ns,
                             struct str payload)
{
    struct serf *s = data;
    struct serf_member *m = serf_member_find(s, from->name);
    struct coordinate theirs;
    struct err err;
    if (payload.n == 0 || m == NULL) {
        return;
    }
    arena_reset(&s->scratch);
    if (serf_ack_payload_decode(payload, &s->scratch, &theirs, &err) < 0) {
        serf_log(s, SWIM_LOG_ERROR, "Failed to decode coordinate from ping: %s", err_text(&err));
        return;
    }
    coordinate_take(s, m, rtt_ns, &theirs);
}

/* --- members ---------------------------------------------------------------------------------- */

static void on_member_join(void *data, const struct swim_member *m)
{
    serf_on_member_join(data, m);
}

static void on_member_update(void *data, const struct swim_member *m)
{
    serf_on_member_update(data, m);
}

static void on_member_leave(void *data, const struct swim_member *m)
{
    serf_on_member_leave(data, m);
}

static void on_conflict(void *data, const struct swim_member *existing,
                        const struct swim_member *other)
{
    serf_on_conflict(data, existing, other);
}

static int on_merge(void *data, const struct swim_member *members, size_t count, struct err *err)
{
    struct serf *s = data;
    arena_reset(&s->scratch);
    struct member *views = ARENA_ARRAY(&s->scratch, struct member, count);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct swim_member *m = &members[i];
        rc = serf_name_check(&s->config, m->name, err);
        if (rc == 0 && m->address.size != 4 && m->address.size != 16) {
            rc = err_set(err, ERR_INVALID,
                         "IP byte length is invalid: %u bytes is not either 4 or 16",
                         m->address.size);
        }
        if (rc == 0 && m->meta.n > MEMBERLIST_META_SIZE_MAX) {
            rc = err_set(err, ERR_TOO_LARGE, "Encoded length of tags exceeds limit of %u bytes",
                         MEMBERLIST_META_SIZE_MAX);
        }
        if (rc == 0) {
            serf_member_view(s, m, &s->scratch, &views[i]);
            views[i].status = m->state == MEMBERLIST_STATE_LEFT ? MEMBER_LEFT : MEMBER_NONE;
        }
    }
    return rc == 0 ? s->ops->merge(s->data, views, count, err) : rc;
}

static int on_alive(void *data, const struct swim_member *m, struct err *err)
{
    return on_merge(data, m, 1, err);
}

static bool on_allowed(void *data, const struct gossip_address *address)
{
    struct serf *s = data;
    return s->ops->allowed(s->data, address);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void on_local_state(void *data, bool join, struct buf *to)
{
    (void)join;
    serf_local_state(data, to);
}

static void on_remote_state(void *data, bool join, struct str state)
{
    serf_remote_state(data, join, state);
}

static void on_log(void *data, enum swim_log level, struct str text)
{
    struct serf *s = data;
    s->ops->log(s->data, level, text);
}

const struct swim_delegate serf_swim_delegate = {
    .member_join = on_member_join,
    .member_update = on_member_update,
    .member_leave = on_member_leave,
    .conflict = on_conflict,
    .alive = on_alive,
    .merge = on_merge,
    .message = on_message,
    .broadcasts = give_broadcasts,
    .local_state = on_local_state,
    .remote_state = on_remote_state,
    .ack_payload = on_ack_payload,
    .ping_complete = on_ping_complete,
    .log = on_log,
    .allowed = on_allowed,
};
