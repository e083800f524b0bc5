/* Life of a pool's core, its clock of timers, and what waits for the next tick.
 *
 * What must not be done inside of swim's calls, or inside of the function that asks for it, goes
 * into one list, which the tick works off first: internal queries (they change keys, which seal the
 * very packet that is being put together), our messages to ourselves, answers that are known too
 * early. */
#include "gossip/core/serf_internal.h"

#include "base/clock.h"

void serf_config_init(struct serf_config *c, bool is_wan)
{
    *c = (struct serf_config){
        .leave_propagate_delay_ns = 3 * NS_PER_SEC,
        .broadcast_timeout_ns = 5 * NS_PER_SEC,
        .reap_interval_ns = 15 * NS_PER_SEC,
        .reconnect_interval_ns = 30 * NS_PER_SEC,
        .reconnect_timeout_ns = 72 * 3600 * NS_PER_SEC,
        .tombstone_timeout_ns = 24 * 3600 * NS_PER_SEC,
        .flap_timeout_ns = 60 * NS_PER_SEC,
        .recent_intent_timeout_ns = 300 * NS_PER_SEC,
        .queue_check_interval_ns = 30 * NS_PER_SEC,
        .min_queue_depth = 4096,
        .query_timeout_mult = 16,
        .query_size_max = 1024,
        .query_response_size_max = 1024,
        .user_event_size_max = 512,
    };
    if (is_wan) {
        swim_config_wan(&c->swim);
    } else {
        swim_config_lan(&c->swim);
    }
    c->swim.dead_node_reclaim_ns = 30 * NS_PER_SEC;
}

/* --- small things ---------------------------------------------------------------------------- */

uint64_t serf_now(const struct serf *s)
{
    uint64_t now_ns = swim_now_ns(s->swim);
    return MAX(s->now_ns, now_ns);
}

uint64_t serf_after(uint64_t now_ns, uint64_t ns)
{
    return ns < UINT64_MAX - now_ns ? now_ns + ns : UINT64_MAX;
}

void serf_log(struct serf *s, enum swim_log level, const char *format, ...)
{
    if (s->ops->log == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    buf_clear(&s->line);
    buf_lit(&s->line, "serf: ");
    buf_vprintf(&s->line, format, args);
    va_end(args);
    s->ops->log(s->data, level, str_first(buf_view(&s->line), ERR_TEXT_SIZE_MAX));
}

void serf_measure(const struct serf *s, enum serf_measure what, struct str name, double value)
{
    if (s->ops->measure != NULL) {
        s->ops->measure(s->data, what, name, value);
    }
}

void serf_event(const struct serf *s, const struct serf_event *event)
{
    if (s->ops->event != NULL) {
        s->ops->event(s->data, event);
    }
}

void serf_clock_witness(uint64_t *clock, uint64_t time)
{
    if (time >= *clock) {
        *clock = time < UINT64_MAX ? time + 1 : time;
    }
}

/* --- the snapshot file ----------------------------------------------------------------------- */

static void snapshot_line(const struct serf *s, const char *format, ...) PRINTF(2, 3);
static void snapshot_line(const struct serf *s, const char *format, ...)
{
    struct buf line = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    s->ops->snapshot(s->data, buf_view(&line));
    buf_deinit(&line);
}

/* The last time that was used. */
static bool snapshot_clock_is_due(const struct serf *s)
{
    return s->ops->snapshot != NULL && s->clock - 1 > s->snapshot_clock;
}

static void snapshot_clock(struct serf *s)
{
    if (snapshot_clock_is_due(s)) {
        s->snapshot_clock = s->clock - 1;
        s->snapshot_ns = serf_after(serf_now(s), SERF_SNAPSHOT_CLOCK_NS);
        snapshot_line(s, "clock: %llu", (unsigned long long)s->snapshot_clock);
    }
}

void serf_snapshot_member(struct serf *s, enum serf_event_kind kind, const struct serf_member *m)
{
    if (s->ops->snapshot == NULL || s->snapshot_is_over) {
        return;
    }
    if (kind == SERF_EVENT_MEMBER_JOIN) {
        struct buf address = {0};
        gossip_address_format(&m->address, &address);
        snapshot_line(s, "alive: %.*s %.*s", STRF(m->member->name), STRF(buf_view(&address)));
        buf_deinit(&address);
    } else if (kind == SERF_EVENT_MEMBER_LEAVE || kind == SERF_EVENT_MEMBER_FAILED) {
        snapshot_line(s, "not-alive: %.*s", STRF(m->member->name));
    }
    snapshot_clock(s);
}

void serf_snapshot_event_clock(struct serf *s, uint64_t ltime)
{
    if (s->ops->snapshot != NULL && !s->snapshot_is_over && ltime > s->snapshot_event_clock) {
        s->snapshot_event_clock = ltime;
        snapshot_line(s, "event-clock: %llu", (unsigned long long)ltime);
    }
}

void serf_snapshot_query_clock(struct serf *s, uint64_t ltime)
{
    if (s->ops->snapshot != NULL && !s->snapshot_is_over && ltime > s->snapshot_query_clock) {
        s->snapshot_query_clock = ltime;
        snapshot_line(s, "query-clock: %llu", (unsigned long long)ltime);
    }
}

/* --- messages -------------------------------------------------------------------------------- */

static size_t queue_max(const struct serf *s)
{
    return MAX((size_t)s->config.min_queue_depth, 2 * s->members.n);
}

void serf_broadcast(struct serf *s, struct broadcast_queue *queue, struct str message,
                    void (*done)(void *data))
{
    broadcast_queue_put(queue, STR_NULL, message, done, s);
    size_t max = queue_max(s), count = broadcast_queue_count(queue);
    if (count > max) {
        s->dropped += count - max;
        broadcast_queue_prune(queue, max);
    }
    swim_gossip_wake(s->swim, serf_now(s));
}

void serf_send(struct serf *s, const struct gossip_address *to, struct str message)
{
    if (gossip_address_eq(to, &s->address)) {
        (void)serf_todo(s, SERF_TODO_MESSAGE, message);
    } else {
        swim_send(s->swim, serf_now(s), to, message);
    }
}

/* --- what waits for the tick ----------------------------------------------------------------- */

static struct serf_todo *todo_new(struct serf *s, enum serf_todo_kind kind, size_t size)
{
    struct serf_todo *t = xcalloc(1, sizeof(*t) + size);
    t->kind = kind;
    list_push_back(&s->todo, &t->link);
    s->todo_count++;
    return t;
}

bool serf_todo(struct serf *s, enum serf_todo_kind kind, struct str bytes)
{
    if (s->todo_count >= SERF_TODO_MAX) {
        serf_log(s, SWIM_LOG_WARN, "too many messages wait to be handled, dropping one");
        return false;
    }
    struct serf_todo *t = todo_new(s, kind, bytes.n);
    t->bytes = str_make(t + 1, bytes.n);
    if (bytes.n > 0) {
        memcpy(t + 1, bytes.p, bytes.n);
    }
    return true;
}

/* Answers are never dropped: there are as many as calls. */
void serf_todo_token(struct serf *s, enum serf_todo_kind kind, uint64_t token)
{
    todo_new(s, kind, 0)->token = token;
}

void serf_todo_keys(struct serf *s, struct serf_keys_asking *k)
{
    todo_new(s, SERF_TODO_KEYS_DONE, 0)->keys = k;
}

static void internal_query(struct serf *s, struct str bytes)
{
    struct arena a = {0};
    struct serf_query q;
    struct err err;
    if (serf_query_decode(bytes, &a, &q, &err) == 0) { /* it was decoded before */
        serf_on_internal_query(s, &q);
    }
    arena_deinit(&a);
}

static void todo_run(struct serf *s, const struct serf_todo *t)
{
    struct err err;
    switch (t->kind) {
    case SERF_TODO_MESSAGE:
        if (s->phase != SERF_STOPPED) {
            serf_message(s, t->bytes);
        }
        break;
    case SERF_TODO_QUERY:
        if (s->phase != SERF_STOPPED) {
            internal_query(s, t->bytes);
        }
        break;
    case SERF_TODO_JOIN_REFUSED:
        (void)err_set(&err, ERR_CLOSED, "Serf can't Join after Leave or Shutdown");
        s->io->joined(s->io_data, t->token, &err);
        break;
    case SERF_TODO_LEFT:
        s->io->left(s->io_data, t->token != 0);
        break;
    case SERF_TODO_KEYS_DONE:
        t->keys->done(t->keys);
        break;
    }
}

/* What comes up meanwhile is for the next tick, lest one message keep the core busy for good. */
static void todo_run_all(struct serf *s)
{
    struct list now;
    struct list *link;
    list_init(&now);
    list_splice_back(&now, &s->todo);
    while ((link = list_pop_front(&now)) != NULL) {
        struct serf_todo *t = list_entry(link, struct serf_todo, link);
        s->todo_count--;
        todo_run(s, t);
        (void)mem_free(t);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

/* Serf's metadata is checked once, here and when tags change. */
static int tags_check(const struct strmap *tags, struct buf *to, struct err *err)
{
    serf_tags_encode(tags, to);
    if (to->failed || to->n > MEMBERLIST_META_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "Encoded length of tags exceeds limit of %u bytes",
                       MEMBERLIST_META_SIZE_MAX);
    }
    return 0;
}

int serf_check(const struct serf_options *options, struct err *err)
{
    struct buf meta = {0};
    int rc = tags_check(&options->tags, &meta, err);
    buf_deinit(&meta);
    return rc < 0 ? rc : serf_name_check(&options->config, options->name, err);
}

static void tags_keep(struct serf *s, struct strmap tags)
{
    struct arena a = {0};
    struct strpair *pairs = ARENA_ARRAY(&a, struct strpair, tags.n);
    for (size_t i = 0; i < tags.n; i++) {
        pairs[i].key = arena_str(&a, tags.v[i].key);
        pairs[i].value = arena_str(&a, tags.v[i].value);
    }
    arena_deinit(&s->self_tags);
    s->self_tags = a;
    s->tags = (struct strmap){pairs, tags.n};
}

/* The calls to the sockets go through; two of them are heard here first. */
static void io_send(void *data, const struct gossip_address *to, struct str packet)
{
    struct serf *s = data;
    s->io->send(s->io_data, to, packet);
}

static void io_dial(void *data, struct swim_stream *stream, const struct gossip_address *to)
{
    struct serf *s = data;
    s->io->dial(s->io_data, stream, to);
}

static void io_write(void *data, struct swim_stream *stream, struct str bytes)
{
    struct serf *s = data;
    s->io->write(s->io_data, stream, bytes);
}

static void io_close(void *data, struct swim_stream *stream)
{
    struct serf *s = data;
    s->io->close(s->io_data, stream);
}

static void io_joined(void *data, uint64_t id, const struct err *err)
{
    struct serf *s = data;
    list_for_each (link, &s->joining) {
        struct serf_joining *j = list_entry(link, struct serf_joining, link);
        if (j->id == id) {
            uint64_t token = j->token;
            s->joins_ignoring -= j->ignore_old ? 1 : 0;
            list_remove(link);
            (void)mem_free(j);
            if (err == NULL && s->phase == SERF_ALIVE) {
                serf_broadcast_join(s);
            }
            s->io->joined(s->io_data, token, err);
            return;
        }
    }
    if (err != NULL) { /* a reconnect */
        serf_log(s, SWIM_LOG_DEBUG, "%s", err_text(err));
    }
}

static void io_left(void *data, bool timed_out)
{
    serf_on_left(data, timed_out);
}

static const struct swim_io serf_swim_io = {
    .send = io_send,
    .dial = io_dial,
    .write = io_write,
    .close = io_close,
    .joined = io_joined,
    .left = io_left,
};

static struct swim *swim_make(struct serf *s, const struct serf_options *options, struct str meta,
                              uint64_t now_ns)
{
    s->swim_delegate = serf_swim_delegate;
    if (s->ops->merge == NULL) { /* then members without versions are taken, too */
        s->swim_delegate.alive = NULL;
        s->swim_delegate.merge = NULL;
    }
    if (s->ops->allowed == NULL) {
        s->swim_delegate.allowed = NULL;
    }
    if (s->ops->log == NULL) {
        s->swim_delegate.log = NULL;
    }
    if (s->vivaldi == NULL) {
        s->swim_delegate.ack_payload = NULL;
        s->swim_delegate.ping_complete = NULL;
    }
    struct swim_options o = {
        .config = s->config.swim,
        .name = s->name,
        .address = s->address,
        .meta = meta,
        .vsn = {1, 5, 2, SERF_PROTOCOL_MIN, SERF_PROTOCOL_MAX, SERF_PROTOCOL}, /* memberlist's 2 */
        .keys = s->keys,
        .rng = s->rng,
        .members_max = s->members_max,
        .incarnation = options->incarnation,
        .io = &serf_swim_io,
        .io_data = s,
        .delegate = &s->swim_delegate,
        .delegate_data = s,
    };
    return swim_new(&o, now_ns);
}

struct serf *serf_new(const struct serf_options *o, uint64_t now_ns)
{
    struct serf *s = xcalloc(1, sizeof(*s));
    struct buf meta = {0};
    int rc = tags_check(&o->tags, &meta, NULL);
    ASSERT(rc == 0);
    s->config = o->config;
    s->name = str_make(xmemdup(o->name.p, o->name.n), o->name.n);
    s->address = o->address;
    gossip_address_format_ip(&s->address, &s->address_text);
    tags_keep(s, o->tags);
    s->keys = o->keys;
    s->has_key_file = o->has_key_file;
    s->rng = o->rng;
    s->members_max = o->members_max > 0 ? o->members_max : SWIM_MEMBERS_MAX;
    s->io = o->io;
    s->io_data = o->io_data;
    s->ops = o->ops;
    s->data = o->data;
    s->now_ns = now_ns;
    s->clock = s->event_clock = s->query_clock = 1; /* 0 is for what was never told */
    list_init(&s->failed);
    list_init(&s->left);
    list_init(&s->intents_by_age);
    list_init(&s->joining);
    list_init(&s->key_writes);
    list_init(&s->todo);
    s->intent_queue = broadcast_queue_new();
    s->event_queue = broadcast_queue_new();
    s->query_queue = broadcast_queue_new();
    s->events = xcalloc(SERF_EVENT_BUFFER, sizeof(*s->events));
    s->queries = xcalloc(SERF_QUERY_BUFFER, sizeof(*s->queries));
    s->reap_ns = s->reconnect_ns = s->queue_check_ns = UINT64_MAX;
    s->vivaldi = s->config.disable_coordinates ? NULL : vivaldi_new();
    s->swim = swim_make(s, o, buf_view(&meta), now_ns);
    buf_deinit(&meta);
    return s;
}

static void todo_free(struct serf *s)
{
    struct list *link;
    while ((link = list_pop_front(&s->todo)) != NULL) {
        (void)mem_free(list_entry(link, struct serf_todo, link));
    }
}

struct serf *serf_free(struct serf *s)
{
    size_t pos = 0;
    struct str name;
    void *m;
    if (s == NULL) {
        return NULL;
    }
    s->phase = SERF_STOPPED;
    todo_run_all(s); /* who asked is answered */
    serf_asking_end(s);
    s->swim = swim_free(s->swim);
    todo_free(s);
    while (map_next(&s->members, &pos, &name, &m)) {
        serf_member_free(m);
    }
    map_deinit(&s->members);
    serf_intents_free(s);
    serf_events_free(s);
    serf_queries_free(s);
    serf_keys_free(s);
    s->intent_queue = broadcast_queue_free(s->intent_queue);
    s->event_queue = broadcast_queue_free(s->event_queue);
    s->query_queue = broadcast_queue_free(s->query_queue);
    s->vivaldi = vivaldi_free(s->vivaldi);
    arena_deinit(&s->scratch);
    arena_deinit(&s->self_tags);
    buf_deinit(&s->address_text);
    buf_deinit(&s->line);
    buf_deinit(&s->text);
    (void)mem_free((void *)s->name.p);
    return mem_free(s);
}

void serf_start(struct serf *s, uint64_t now_ns, const struct serf_recovered *recovered)
{
    s->now_ns = now_ns;
    if (recovered != NULL) {
        s->snapshot_clock = recovered->clock;
        s->snapshot_event_clock = recovered->event_clock;
        s->snapshot_query_clock = recovered->query_clock;
        serf_clock_witness(&s->clock, recovered->clock);
        serf_clock_witness(&s->event_clock, recovered->event_clock);
        serf_clock_witness(&s->query_clock, recovered->query_clock);
        s->event_time_min = serf_after(recovered->event_clock, 1);
        s->query_time_min = serf_after(recovered->query_clock, 1);
    }
    s->reap_ns = serf_after(now_ns, s->config.reap_interval_ns);
    s->reconnect_ns = serf_after(now_ns, s->config.reconnect_interval_ns);
    s->queue_check_ns = serf_after(now_ns, s->config.queue_check_interval_ns);
    swim_start(s->swim, now_ns);
}

void serf_stop(struct serf *s, uint64_t now_ns)
{
    s->now_ns = now_ns;
    if (s->phase == SERF_STOPPED) {
        return;
    }
    if (s->phase != SERF_LEFT) {
        serf_log(s, SWIM_LOG_WARN, "Shutdown without a Leave");
    }
    bool was_leaving = s->phase == SERF_LEAVING;
    s->phase = SERF_STOPPED;
    s->reap_ns = s->reconnect_ns = s->queue_check_ns = s->leave_ns = UINT64_MAX;
    swim_stop(s->swim, now_ns);
    snapshot_clock(s);
    if (was_leaving) {
        serf_todo_token(s, SERF_TODO_LEFT, true);
    }
    todo_run_all(s);
    serf_asking_end(s);
}

struct swim *serf_swim(struct serf *s)
{
    return s->swim;
}

/* --- the tick -------------------------------------------------------------------------------- */

/* Serf's queues are cut as they are filled; here it is said. */
static void queues_check(struct serf *s)
{
    const struct {
        const struct broadcast_queue *queue;
        enum serf_measure measure;
    } queues[] = {{s->intent_queue, SERF_MEASURE_QUEUE_INTENT},
                  {s->event_queue, SERF_MEASURE_QUEUE_EVENT},
                  {s->query_queue, SERF_MEASURE_QUEUE_QUERY}};
    for (size_t i = 0; i < ARRAY_SIZE(queues); i++) {
        serf_measure(s, queues[i].measure, STR_NULL,
                     (double)broadcast_queue_count(queues[i].queue));
    }
    if (s->dropped > 0) {
        serf_log(s, SWIM_LOG_WARN, "queues exceeded the limit (%zu), %llu messages were dropped!",
                 queue_max(s), (unsigned long long)s->dropped);
        s->dropped = 0;
    }
}

static bool is_due(uint64_t *deadline_ns, uint64_t now_ns, uint64_t interval_ns)
{
    if (*deadline_ns > now_ns) {
        return false;
    }
    *deadline_ns = serf_after(now_ns, interval_ns);
    return true;
}

void serf_tick(struct serf *s, uint64_t now_ns)
{
    s->now_ns = now_ns;
    swim_tick(s->swim, now_ns);
    todo_run_all(s);
    serf_asking_due(s);
    if (s->phase == SERF_LEAVING) {
        serf_leave_step(s);
    }
    if (is_due(&s->reap_ns, now_ns, s->config.reap_interval_ns)) {
        serf_reap(s);
        serf_intents_reap(s);
    }
    if (is_due(&s->reconnect_ns, now_ns, s->config.reconnect_interval_ns)) {
        serf_reconnect(s);
    }
    if (is_due(&s->queue_check_ns, now_ns, s->config.queue_check_interval_ns)) {
        queues_check(s);
    }
    if (s->snapshot_ns <= now_ns && s->phase != SERF_STOPPED) {
        snapshot_clock(s);
    }
}

uint64_t serf_deadline_ns(const struct serf *s)
{
    if (!list_is_empty(&s->todo)) {
        return 0;
    }
    uint64_t deadline_ns = swim_deadline_ns(s->swim);
    if (s->phase == SERF_STOPPED) {
        return deadline_ns;
    }
    uint64_t deadlines[] = {s->reap_ns,
                            s->reconnect_ns,
                            s->queue_check_ns,
                            serf_asking_deadline_ns(s),
                            s->phase == SERF_LEAVING ? s->leave_ns : UINT64_MAX,
                            snapshot_clock_is_due(s) ? s->snapshot_ns : UINT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(deadlines); i++) {
        deadline_ns = MIN(deadline_ns, deadlines[i]);
    }
    return deadline_ns;
}

/* --- joining, tags, figures ------------------------------------------------------------------ */

void serf_join(struct serf *s, uint64_t now_ns, const struct gossip_address *to, struct str name,
               bool ignore_old, uint64_t token)
{
    s->now_ns = now_ns;
    if (s->phase != SERF_ALIVE) {
        serf_todo_token(s, SERF_TODO_JOIN_REFUSED, token);
        return;
    }
    struct serf_joining *j = xcalloc(1, sizeof(*j));
    j->id = ++s->join_id;
    j->token = token;
    j->ignore_old = ignore_old;
    s->joins_ignoring += ignore_old ? 1 : 0;
    list_push_back(&s->joining, &j->link);
    swim_join(s->swim, now_ns, to, name, j->id);
}

int serf_set_tags(struct serf *s, uint64_t now_ns, struct strmap tags, struct err *err)
{
    struct buf meta = {0};
    s->now_ns = now_ns;
    int rc = tags_check(&tags, &meta, err);
    if (rc == 0) {
        tags_keep(s, tags);
        swim_update(s->swim, now_ns, buf_view(&meta));
    }
    buf_deinit(&meta);
    return rc;
}

void serf_stats(const struct serf *s, struct serf_stats *ret)
{
    *ret = (struct serf_stats){
        .members = s->members.n,
        .failed = s->failed_count,
        .left = s->left_count,
        .health_score = swim_health_score(s->swim),
        .member_time = s->clock,
        .event_time = s->event_clock,
        .query_time = s->query_clock,
        .intent_queue = broadcast_queue_count(s->intent_queue),
        .event_queue = broadcast_queue_count(s->event_queue),
        .query_queue = broadcast_queue_count(s->query_queue),
        .encrypted = s->keys != NULL && seal_ring_count(s->keys) > 0,
        .coordinate_resets = s->vivaldi != NULL ? vivaldi_resets(s->vivaldi) : 0,
    };
}
