/* Anything that members may tell a Serf core, between what happens to it otherwise. The input is
 * records: what (a byte), the size (two bytes), that many bytes.
 *
 * Whatever it was: this member is in its own list and has not failed, the counts are right, what
 * waits is bounded, and its state can be told to others. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "gossip/core/serf_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MESSAGE,
    STATE,
    STATE_JOIN,
    COORDINATE,
    TIME,
    ALIVE,
    DEAD,
    EVENT,
    QUERY,
    ANSWER,
    REMOVE,
    LEAVE,
    TAGS,
    KEYS,
    KINDS
};

struct target {
    struct serf *s;
    struct rng rng;
    uint64_t now_ns;
    struct serf_asking asking;
    bool is_asking;
    struct serf_keys_asking keys;
    bool has_keys;
    size_t left;
};

static const struct gossip_address self_address = {.ip = {127, 0, 0, 1}, .size = 4, .port = 8301};
static const char names[] = "abcdefgh"; /* a is this one */

/* --- what it calls ---------------------------------------------------------------------------- */

static void io_send(void *data, const struct gossip_address *to, struct str packet)
{
    (void)data, (void)to, (void)packet;
}

static void io_dial(void *data, struct swim_stream *stream, const struct gossip_address *to)
{
    (void)data, (void)stream, (void)to;
}

static void io_write(void *data, struct swim_stream *stream, struct str bytes)
{
    (void)data, (void)stream, (void)bytes;
}

static void io_close(void *data, struct swim_stream *stream)
{
    (void)data, (void)stream;
}

static void io_joined(void *data, uint64_t token, const struct err *err)
{
    (void)data, (void)token, (void)err;
}

static void io_left(void *data, bool timed_out)
{
    struct target *t = data;
    (void)timed_out;
    t->left++;
}

static const struct swim_io target_io = {.send = io_send,
                                         .dial = io_dial,
                                         .write = io_write,
                                         .close = io_close,
                                         .joined = io_joined,
                                         .left = io_left};

static void op_event(void *data, const struct serf_event *e)
{
    struct target *t = data;
    struct err err;
    if (e->kind == SERF_EVENT_QUERY) {
        int rc = serf_query_respond(t->s, t->now_ns, e->query, e->query->payload, &err);
        ASSERT(rc == 0 || err.code == -rc);
    } else if (e->kind == SERF_EVENT_USER) {
        ASSERT(e->user->name.n + e->user->payload.n <= SERF_USER_EVENT_SIZE_MAX);
    } else {
        ASSERT(e->member->name.n > 0 && e->member->addr.n > 0);
    }
}

static void op_snapshot(void *data, struct str line)
{
    (void)data;
    ASSERT(line.n > 0);
}

static const struct serf_ops target_ops = {.event = op_event, .snapshot = op_snapshot};

static void asking_answer(struct serf_asking *q, struct str from, struct str payload)
{
    (void)q, (void)from, (void)payload;
}

static void asking_done(struct serf_asking *q)
{
    ((struct target *)q->data)->is_asking = false;
}

static void keys_done(struct serf_keys_asking *k)
{
    ASSERT(k->errors_count <= k->answers_count);
    ((struct target *)k->data)->has_keys = false;
}

/* --- what happens ----------------------------------------------------------------------------- */

static void packet(struct target *t, struct buf *b)
{
    swim_packet(serf_swim(t->s), t->now_ns, &self_address, buf_view(b));
    buf_deinit(b);
}

static void alive(struct target *t, uint8_t which, uint8_t incarnation)
{
    struct buf b = {0};
    const struct memberlist_alive m = {
        .incarnation = incarnation,
        .node = str_make(names + which % 8, 1),
        .address = {.ip = {127, 0, 0, (uint8_t)(1 + which % 8)}, .size = 4, .port = 8301},
        .meta = STR("\xff\x81\xa4role\xa1x"),
        .vsn = {1, 5, 2, 2, 5, 4},
        .has_vsn = true};
    memberlist_alive_encode(&m, &b);
    packet(t, &b);
}

static void dead(struct target *t, uint8_t which, uint8_t incarnation)
{
    struct buf b = {0};
    const struct memberlist_suspect m = {.incarnation = incarnation,
                                         .node = str_make(names + which % 8, 1),
                                         .from = str_make(names + which / 8 % 8, 1)};
    memberlist_dead_encode(&m, &b);
    packet(t, &b);
}

static void message(struct target *t, struct str bytes)
{
    struct buf b = {0};
    buf_byte(&b, MEMBERLIST_USER);
    buf_str(&b, bytes);
    packet(t, &b);
}

static void event(struct target *t, struct str payload)
{
    struct err err;
    int rc = serf_user_event(t->s, t->now_ns, STR("e"), payload, false, &err);
    ASSERT(rc == 0 || rc == -ERR_TOO_LARGE);
}

static void ask(struct target *t, struct str payload)
{
    struct err err;
    const struct serf_query_params p = {
        .name = STR("q"), .payload = payload, .ack = true, .relay_factor = 2};
    if (!t->is_asking) {
        t->asking = (struct serf_asking){.answer = asking_answer, .done = asking_done, .data = t};
        t->is_asking = serf_query(t->s, t->now_ns, &p, &t->asking, &err) == 0;
    }
}

static void answer(struct target *t, struct str payload)
{
    const struct serf_query_response r = {
        .ltime = t->s->query_clock - 1, /* of the last query: ours, maybe that about keys */
        .id = t->s->asking != NULL ? t->s->asking->id : 0,
        .from = str_first(payload, 1),
        .payload = str_from(payload, 1)};
    serf_on_query_response(t->s, &r);
}

static void keys(struct target *t, uint8_t action)
{
    if (!t->has_keys) {
        t->has_keys = true;
        t->keys = (struct serf_keys_asking){.done = keys_done, .data = t};
        serf_keys(t->s, t->now_ns, action % 4, STR("MTExMTExMTExMTExMTExMQ=="), 1, &t->keys);
    }
}

static void tags(struct target *t, struct str value)
{
    struct err err;
    const struct strpair pair = {STR("role"), value};
    int rc = serf_set_tags(t->s, t->now_ns, (struct strmap){&pair, 1}, &err);
    ASSERT(rc == 0 || rc == -ERR_TOO_LARGE);
}

static void coordinate(struct target *t, struct str payload)
{
    const struct swim_member *m = swim_find(serf_swim(t->s), STR("b"));
    if (m != NULL) {
        serf_swim_delegate.ping_complete(t->s, m, 1000000, payload);
    }
}

static void happen(struct target *t, uint8_t what, struct str bytes)
{
    uint8_t first = bytes.n > 0 ? (uint8_t)bytes.p[0] : 0;
    uint8_t second = bytes.n > 1 ? (uint8_t)bytes.p[1] : 0;
    switch (what % KINDS) {
    case MESSAGE:
        message(t, bytes);
        break;
    case STATE:
        serf_remote_state(t->s, false, bytes);
        break;
    case STATE_JOIN:
        serf_remote_state(t->s, true, bytes);
        break;
    case COORDINATE:
        coordinate(t, bytes);
        break;
    case TIME:
        t->now_ns += (uint64_t)first << (second % 32 + 10);
        serf_tick(t->s, t->now_ns);
        break;
    case ALIVE:
        alive(t, first, second);
        break;
    case DEAD:
        dead(t, first, second);
        break;
    case EVENT:
        event(t, bytes);
        break;
    case QUERY:
        ask(t, bytes);
        break;
    case ANSWER:
        answer(t, bytes);
        break;
    case REMOVE:
        serf_remove_failed(t->s, t->now_ns, str_make(names + first % 8, 1), second % 2 == 1);
        break;
    case LEAVE:
        serf_leave(t->s, t->now_ns);
        break;
    case TAGS:
        tags(t, bytes);
        break;
    case KEYS:
        keys(t, first);
        break;
    }
}

/* --- what must hold --------------------------------------------------------------------------- */

static void check(struct target *t, struct serf *other)
{
    const struct serf *s = t->s;
    size_t pos = 0, failed = 0, left = 0;
    const struct member *m = serf_find(s, STR("a"));
    struct serf_stats stats;
    struct buf state = {0};
    struct err err;
    ASSERT(m != NULL && m->status != MEMBER_FAILED);
    while ((m = serf_next(s, &pos)) != NULL) {
        failed += m->status == MEMBER_FAILED ? 1 : 0;
        left += m->status == MEMBER_LEFT ? 1 : 0;
    }
    serf_stats(s, &stats);
    ASSERT(stats.failed == failed && stats.left == left);
    ASSERT(s->todo_count <= SERF_TODO_MAX + 2 && s->asking_count <= 3);
    ASSERT(s->events_size <= SERF_EVENTS_SIZE_MAX);
    ASSERT(coordinate_is_valid(serf_coordinate(s)));
    serf_local_state(t->s, &state);
    struct arena a = {0};
    struct serf_push_pull p;
    int rc = serf_push_pull_decode(str_from(buf_view(&state), 1), &a, &p, &err);
    ASSERT(rc == 0);
    arena_deinit(&a);
    serf_remote_state(other, false, buf_view(&state));
    buf_deinit(&state);
}

static void target_init(struct target *t)
{
    struct serf_options o = {.name = STR("a"),
                             .address = self_address,
                             .rng = &t->rng,
                             .members_max = 100,
                             .io = &target_io,
                             .io_data = t,
                             .ops = &target_ops,
                             .data = t};
    serf_config_init(&o.config, false);
    o.config.enable_name_conflict_resolution = true;
    rng_seed(&t->rng, 1);
    t->now_ns = 1000000000;
    t->s = serf_new(&o, t->now_ns);
    serf_start(t->s, t->now_ns, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct target t = {0}, other = {0};
    struct cur c = cur_make(str_make(data, size));
    target_init(&t);
    target_init(&other);
    for (uint8_t i = 1; i < 5; i++) {
        alive(&t, i, 1);
    }
    while (cur_left(&c) >= 3) {
        uint8_t what = cur_u8(&c);
        struct str bytes = cur_take(&c, MIN((size_t)cur_be16(&c), cur_left(&c)));
        happen(&t, what, bytes);
    }
    check(&t, other.s);
    t.s = serf_free(t.s);
    ASSERT(!t.is_asking && !t.has_keys);
    other.s = serf_free(other.s);
    return 0;
}
