#include "agent/user_event.h"

#include "agent/state.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "proto/serf.h"
#include "schema/msgpack.h"
#include "schema/regexp.h"
#include "server/delegate.h"
#include "server/membership.h"
#include "server/user_events.h"

#define REMOTE_EXEC STR("_rexec")

static const struct field user_event_fields[] = {
    F_STR(struct user_event, id, "ID", 0),
    F_STR(struct user_event, name, "Name", 0),
    F_BYTES(struct user_event, payload, "Payload", 0),
    F_STR(struct user_event, node_filter, "NodeFilter", 0),
    F_STR(struct user_event, service_filter, "ServiceFilter", 0),
    F_STR(struct user_event, tag_filter, "TagFilter", 0),
    F_INT(struct user_event, version, "Version", 0),
    F_UINT(struct user_event, ltime, "LTime", 0),
    FIELDS_END,
};
const struct schema user_event_schema = SCHEMA("UserEvent", struct user_event, user_event_fields);

struct user_events {
    struct user_event *ring[USER_EVENTS_MAX]; /* each one heap block */
    size_t next, count;
    struct list waiters;
    struct agent *agent;
    struct membership_listener listener;
};

struct user_events *user_events_new(void)
{
    struct user_events *e = xcalloc(1, sizeof(*e));
    list_init(&e->waiters);
    return e;
}

struct user_events *user_events_free(struct user_events *e)
{
    if (e == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < USER_EVENTS_MAX; i++) {
        mem_free(e->ring[i]);
    }
    return mem_free(e);
}

void user_events_wake(struct user_events *e, struct list *to)
{
    list_splice_back(to, &e->waiters);
}

struct list *user_events_waiters(struct user_events *e)
{
    return &e->waiters;
}

/* --- firing ---------------------------------------------------------------------------------- */

static int check_pattern(struct arena *arena, const char *what, struct str pattern, struct err *err)
{
    struct regexp *re;
    if (pattern.n > 0 && regexp_compile(arena, pattern, &re, err) < 0) {
        (void)err_wrap(err, "Invalid %s filter", what);
        err->code = ERR_FAILED;
        return -ERR_FAILED;
    }
    return 0;
}

static int check_event(const struct user_event *event, struct arena *arena, struct err *err)
{
    if (event->name.n == 0) {
        return err_set(err, ERR_FAILED, "User event missing name");
    }
    if (event->tag_filter.n > 0 && event->service_filter.n == 0) {
        return err_set(err, ERR_FAILED, "Cannot provide tag filter without service filter");
    }
    int rc = check_pattern(arena, "node", event->node_filter, err);
    rc = rc < 0 ? rc : check_pattern(arena, "service", event->service_filter, err);
    return rc < 0 ? rc : check_pattern(arena, "tag", event->tag_filter, err);
}

int user_event_complete(struct user_event *event, struct arena *arena, struct err *err)
{
    int rc = check_event(event, arena, err);
    if (rc < 0) {
        return rc;
    }
    char id[UUID_TEXT_SIZE];
    uuid_generate(id);
    event->id = arena_str(arena, str_make(id, sizeof(id)));
    event->version = USER_EVENT_VERSION;
    event->ltime = 0;
    return 0;
}

/* --- how it travels: short names, members that are empty left out ------------------------------
 */

static const struct field travelling_fields[] = {
    F_STR(struct user_event, id, "ID", 0),
    F_STR(struct user_event, name, "n", 0),
    F_STR(struct user_event, node_filter, "nf", 0),
    F_BYTES(struct user_event, payload, "p", 0),
    F_STR(struct user_event, service_filter, "sf", 0),
    F_STR(struct user_event, tag_filter, "tf", 0),
    F_INT(struct user_event, version, "v", 0),
    FIELDS_END,
};
static const struct schema travelling_schema =
    SCHEMA("UserEvent", struct user_event, travelling_fields);

/* With the types of msgpack's newer specification, unlike all else of Consul's: they are shorter,
 * and the size is limited. */
static void put_text(struct buf *to, struct str key, struct str value, bool is_bytes)
{
    msgpack_raw(to, key);
    if (!is_bytes && value.n < 32) {
        msgpack_raw(to, value);
        return;
    }
    if (value.n <= UINT8_MAX) {
        buf_byte(to, is_bytes ? 0xc4 : 0xd9);
        buf_byte(to, (uint8_t)value.n);
    } else {
        buf_byte(to, is_bytes ? 0xc5 : 0xda);
        buf_be16(to, (uint16_t)value.n);
    }
    buf_str(to, value);
}

struct str user_event_encode(const struct user_event *event, struct arena *arena)
{
    /* Longer ones are refused, whatever they hold. */
    struct str payload = str_first(event->payload, UINT16_MAX);
    const struct {
        struct str key, value;
        bool is_always, is_bytes;
    } members[] = {
        {STR("ID"), event->id, true, false},
        {STR("n"), str_first(event->name, UINT16_MAX), true, false},
        {STR("nf"), str_first(event->node_filter, UINT16_MAX), false, false},
        {STR("p"), payload, false, true},
        {STR("sf"), str_first(event->service_filter, UINT16_MAX), false, false},
        {STR("tf"), str_first(event->tag_filter, UINT16_MAX), false, false},
    };
    struct buf to = {0};
    size_t count = 1;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        count += members[i].is_always || members[i].value.n > 0;
    }
    msgpack_map(&to, count);
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        if (members[i].is_always || members[i].value.n > 0) {
            put_text(&to, members[i].key, members[i].value, members[i].is_bytes);
        }
    }
    msgpack_raw(&to, STR("v"));
    msgpack_i64(&to, event->version);
    struct str bytes = arena_str(arena, buf_view(&to));
    buf_deinit(&to);
    return bytes;
}

/* --- receiving ------------------------------------------------------------------------------- */

/* 1: let it pass; 0: not for us, or a pattern that cannot be used. */
static int pattern_matches(struct arena *arena, struct str pattern, struct regexp **re,
                           struct str text, const struct user_event *event)
{
    struct err err = {0};
    if (*re == NULL && regexp_compile(arena, pattern, re, &err) < 0) {
        log_write(LOG_ERROR, "agent", "Failed to parse filter for event",
                  LOG_STR("filter", pattern), LOG_STR("event", event->name),
                  LOG_CSTR("error", err_text(&err)));
        return 0;
    }
    return regexp_match(*re, text) == 1;
}

static bool has_matching_service(struct agent *a, const struct user_event *event,
                                 struct arena *arena)
{
    struct regexp *service_re = NULL, *tag_re = NULL;
    struct tree_iter it;
    const struct local_service *row;
    tree_iter_prefix(&it, &local_newest(a->local)->services, STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (!pattern_matches(arena, event->service_filter, &service_re, row->service.id, event)) {
            continue;
        }
        if (event->tag_filter.n == 0) {
            return true;
        }
        for (size_t i = 0; i < row->service.tags.n; i++) {
            if (pattern_matches(arena, event->tag_filter, &tag_re, row->service.tags.v[i], event)) {
                return true;
            }
        }
    }
    return false;
}

static bool concerns_us(struct agent *a, const struct user_event *event)
{
    if (event->version > USER_EVENT_VERSION) {
        log_write(LOG_WARN, "agent", "Event version may have unsupported features",
                  LOG_INT("version", event->version), LOG_STR("event", event->name));
    }
    struct arena arena = {0};
    struct regexp *re = NULL;
    bool yes = event->node_filter.n == 0 ||
               pattern_matches(&arena, event->node_filter, &re, conf(a)->node_name, event);
    yes = yes && (event->service_filter.n == 0 || has_matching_service(a, event, &arena));
    arena_deinit(&arena);
    return yes;
}

static void receive(struct agent *a, const struct user_event *event)
{
    struct user_events *e = a->events;
    if (!concerns_us(a, event)) {
        return;
    }
    if (str_eq(event->name, REMOTE_EXEC)) {
        if (conf(a)->disable_remote_exec) {
            log_write(LOG_INFO, "agent", "ignoring remote exec event, disabled.",
                      LOG_STR("event_name", event->name), LOG_STR("event_id", event->id));
        } else {
            log_write(LOG_DEBUG, "agent", "received remote exec event", LOG_STR("id", event->id));
            remote_exec_start(&a->remote_exec, event->payload);
        }
        return;
    }
    log_write(LOG_DEBUG, "agent", "new event", LOG_STR("event_name", event->name),
              LOG_STR("event_id", event->id));
    mem_free(e->ring[e->next]);
    e->ring[e->next] = schema_clone(&user_event_schema, event, NULL);
    e->next = (e->next + 1) % USER_EVENTS_MAX;
    e->count = MIN(e->count + 1, (size_t)USER_EVENTS_MAX);
    user_events_wake(e, &a->woken);
    agent_publish_soon(a); /* which answers the woken */
}

static void told(struct membership_listener *l, const struct serf_user_event *from)
{
    struct user_events *e = container_of(l, struct user_events, listener);
    struct user_event event = {0};
    struct arena arena = {0};
    struct err err = {0};
    struct cur c = cur_make(from->payload);
    if (!str_has_prefix(from->name, USER_EVENT_PREFIX)) {
        return;
    }
    if (msgpack_decode(&c, &travelling_schema, &event, &arena, &err) < 0) {
        log_write(LOG_ERROR, "agent", "Failed to decode event", LOG_CSTR("error", err_text(&err)));
    } else {
        event.ltime = from->ltime;
        receive(e->agent, &event);
    }
    arena_deinit(&arena);
}

/* Members are others' concern. */
static void told_member(struct membership_listener *l, enum membership_event event,
                        const struct member *member)
{
    (void)l;
    (void)event;
    (void)member;
}

void user_events_start(struct user_events *e, struct agent *a)
{
    e->agent = a;
    e->listener.event = told_member;
    e->listener.user_event = told;
    membership_listen(a->worker->delegate->membership, &e->listener);
}

void user_events_stop(struct user_events *e)
{
    list_remove(&e->listener.node);
}

/* --- listing --------------------------------------------------------------------------------- */

struct objlist user_events_list(const struct user_events *e, struct str name, struct arena *arena)
{
    struct user_event *events = ARENA_ARRAY(arena, struct user_event, e->count + 1);
    size_t n = 0, first = (e->next + USER_EVENTS_MAX - e->count) % USER_EVENTS_MAX;
    for (size_t i = 0; i < e->count; i++) {
        const struct user_event *event = e->ring[(first + i) % USER_EVENTS_MAX];
        if (name.n == 0 || str_eq(event->name, name)) {
            struct user_event *copy = schema_copy(arena, &user_event_schema, event);
            events[n++] = *copy;
        }
    }
    return (struct objlist){events, n};
}

uint64_t user_events_index(struct objlist events)
{
    if (events.n == 0) {
        return 1;
    }
    const struct user_event *last = &((const struct user_event *)events.v)[events.n - 1];
    uint8_t bytes[16];
    if (uuid_parse(last->id, bytes) < 0) {
        return 1;
    }
    return get_be64(bytes) ^ get_be64(bytes + 8);
}
