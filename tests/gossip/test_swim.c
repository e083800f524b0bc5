/* Plays the transcripts of tests/data/swim: a world of nodes (world.h), every datagram and stream
 * that goes between them, and what they tell of each other. Delays are 1 ms each way, so times are
 * exact.
 *
 *     config probe_interval 0     a field of swim_config (times in ms), for nodes made from now on
 *     nodes 3                     n0 n1 n2; not yet running
 *     members_max 6               of nodes started from now on
 *     vsn n1 1 3 2 2 5 4          what n1 speaks
 *     key n1 16-byte-key-text     n1 has this key (again: one more)
 *     payload on                  acks carry something
 *     start n0 [META]             (again after crash: a restart)
 *     join n1 n0 | leave n1 | update n1 META | crash n1 | pause n1 3000 | tell n1 | stop n1
 *     cut n0 n1 [udp|tcp]         nothing goes from n0 to n1 (*: anybody); heal: all goes again
 *     still n0                    it probes nobody
 *     send n0 n1 TEXT             a USER message
 *     say n0 alive NAME INCARNATION IP[:PORT] [META [VSN...]]       a stranger's datagram to n0;
 *     say n0 suspect|dead NAME INCARNATION FROM                     10.0.0.200 is where it lives
 *     say n0 ping SEQ NAME | iping SEQ IP NAME nack|- | ack SEQ | nack SEQ | user TEXT | raw HEX
 *     refuse n0 NAME | merge      n0's delegate refuses alive messages of NAME; joins
 *     show packets|streams|members|log|pings on|off     what is printed (all but log and pings)
 *     run 1000                    ms
 *     state                       what each knows
 *
 * test_swim --rewrite replaces the expected output by what is put out. */
#include "transcript.h"

#include "base/err.h"
#include "gossip/core/swim_internal.h"
#include "world.h"

#include <inttypes.h>

struct play {
    struct world *world;
    struct buf *out;
    bool packets, streams, members, log, pings;
    struct str refused; /* whose alive messages are not taken */
    char refused_bytes[64];
    unsigned refuses;
    bool refuses_merge;
};

static struct play *play_of(const struct world_node *n)
{
    return n->world->data;
}

static struct buf *say_begin(const struct world_node *n)
{
    struct buf *out = play_of(n)->out;
    buf_printf(out, "%6" PRIu64 " %s", (n->world->now_ns - WORLD_SECOND) / WORLD_MS, n->name);
    return out;
}

static void say_address(struct buf *out, struct world *w, const struct gossip_address *a)
{
    const struct world_node *n = world_node_at(w, a);
    if (n != NULL) {
        buf_printf(out, "%s", n->name);
    } else {
        gossip_address_format(a, out);
    }
}

static const char *state_text(enum memberlist_state s)
{
    return s == MEMBERLIST_STATE_ALIVE     ? "alive"
           : s == MEMBERLIST_STATE_SUSPECT ? "suspect"
           : s == MEMBERLIST_STATE_DEAD    ? "dead"
                                           : "left";
}

/* --- datagrams --- */

static void say_alive(struct buf *out, const struct memberlist_alive *a)
{
    buf_printf(out, "%.*s %u ", STRF(a->node), a->incarnation);
    gossip_address_format(&a->address, out);
    if (a->meta.n > 0) {
        buf_printf(out, " '%.*s'", STRF(a->meta));
    }
}

static void say_part(struct world *w, const struct memberlist_part *p, struct buf *out)
{
    struct memberlist_ping ping;
    struct memberlist_indirect_ping indirect;
    struct memberlist_ack ack;
    struct memberlist_suspect suspect;
    struct memberlist_alive alive;
    uint32_t seq;
    switch (p->type) {
    case MEMBERLIST_PING:
        assert_ok(memberlist_ping_decode(p->body, &ping, NULL));
        buf_printf(out, "ping %u to %.*s by %.*s at ", ping.seq, STRF(ping.node),
                   STRF(ping.source_node));
        say_address(out, w, &ping.source);
        break;
    case MEMBERLIST_INDIRECT_PING:
        assert_ok(memberlist_indirect_ping_decode(p->body, &indirect, NULL));
        buf_printf(out, "indirect-ping %u to %.*s at ", indirect.seq, STRF(indirect.node));
        say_address(out, w, &indirect.target);
        buf_printf(out, " by %.*s at ", STRF(indirect.source_node));
        say_address(out, w, &indirect.source);
        buf_printf(out, "%s", indirect.nack ? " nack" : "");
        break;
    case MEMBERLIST_ACK:
        assert_ok(memberlist_ack_decode(p->body, &ack, NULL));
        buf_printf(out, "ack %u", ack.seq);
        if (ack.payload.p != NULL) {
            buf_printf(out, " '%.*s'", STRF(ack.payload));
        }
        break;
    case MEMBERLIST_NACK:
        assert_ok(memberlist_nack_decode(p->body, &seq, NULL));
        buf_printf(out, "nack %u", seq);
        break;
    case MEMBERLIST_SUSPECT:
    case MEMBERLIST_DEAD:
        assert_ok(memberlist_suspect_decode(p->body, &suspect, NULL));
        buf_printf(out, "%s %.*s %u from %.*s", p->type == MEMBERLIST_DEAD ? "dead" : "suspect",
                   STRF(suspect.node), suspect.incarnation, STRF(suspect.from));
        break;
    case MEMBERLIST_ALIVE:
        assert_ok(memberlist_alive_decode(p->body, &alive, NULL));
        buf_printf(out, "alive ");
        say_alive(out, &alive);
        break;
    case MEMBERLIST_USER:
        buf_printf(out, "user '%.*s'", STRF(p->body));
        break;
    default:
        buf_printf(out, "type %u", p->type);
    }
}

/* The layers it came in, and what is in them. */
static void watch_send(struct world_node *n, const struct gossip_address *to, struct str packet)
{
    static struct memberlist_parts parts;
    struct buf opened = {0};
    struct arena a = {0};
    if (!play_of(n)->packets) {
        return;
    }
    struct buf *out = say_begin(n);
    buf_printf(out, " -> ");
    say_address(out, n->world, to);
    buf_printf(out, ":");
    if (n->keys != NULL && n->world->config.verify_outgoing) {
        assert_ok(seal_packet_open(n->keys, packet, &opened, NULL));
        packet = buf_view(&opened);
        buf_printf(out, " sealed");
    }
    if ((uint8_t)packet.p[0] == MEMBERLIST_HAS_CRC) {
        buf_printf(out, " crc");
    }
    assert_ok(memberlist_packet_open(packet, &a, &parts, NULL));
    for (size_t i = 0; i < parts.count; i++) {
        buf_printf(out, i == 0 ? " " : " | ");
        say_part(n->world, &parts.v[i], out);
    }
    buf_byte(out, '\n');
    buf_deinit(&opened);
    arena_deinit(&a);
}

/* --- streams --- */

static void say_stream_message(struct buf *out, const struct memberlist_stream_message *m)
{
    struct memberlist_ping ping;
    struct memberlist_ack ack;
    struct str sentence;
    switch (m->type) {
    case MEMBERLIST_PING:
        assert_ok(memberlist_ping_decode(m->body, &ping, NULL));
        buf_printf(out, "ping %u to %.*s", ping.seq, STRF(ping.node));
        break;
    case MEMBERLIST_ACK:
        assert_ok(memberlist_ack_decode(m->body, &ack, NULL));
        buf_printf(out, "ack %u", ack.seq);
        break;
    case MEMBERLIST_ERROR:
        assert_ok(memberlist_error_decode(m->body, &sentence, NULL));
        buf_printf(out, "error '%.*s'", STRF(sentence));
        break;
    case MEMBERLIST_PUSH_PULL:
        buf_printf(out, "push/pull%s", m->push_pull.join ? " join" : "");
        for (size_t i = 0; i < m->push_pull.nodes_count; i++) {
            const struct memberlist_node_state *s = &m->push_pull.nodes[i];
            buf_printf(out, "%s %s ", i == 0 ? "" : ",", state_text(s->state));
            say_alive(out, &s->alive);
        }
        break;
    default:
        buf_printf(out, "type %u", m->type);
    }
}

static void watch_stream(struct world_node *n, unsigned to, const char *what, struct str bytes)
{
    struct memberlist_stream reader = {0};
    struct memberlist_stream_message m;
    struct buf opened = {0};
    struct arena a = {0};
    if (!play_of(n)->streams) {
        return;
    }
    struct buf *out = say_begin(n);
    buf_printf(out, " => n%u: %s", to, bytes.n > 0 ? "" : what);
    if (bytes.n > 0 && n->keys != NULL && n->world->config.verify_outgoing) {
        assert_ok(seal_frame_open(n->keys, bytes, &opened, NULL));
        bytes = buf_view(&opened);
        buf_printf(out, "sealed ");
    }
    if (bytes.n > 0) {
        assert_int_equal(memberlist_stream_open(&reader, bytes, &a, &m, NULL), 1);
        say_stream_message(out, &m);
    }
    buf_byte(out, '\n');
    buf_deinit(&opened);
    arena_deinit(&a);
}

/* --- what is told --- */

static void say_member(const struct world_node *n, const char *what, const struct swim_member *m)
{
    if (play_of(n)->members) {
        struct buf *out = say_begin(n);
        buf_printf(out, ": %s %.*s", what, STRF(m->name));
        if (m->meta.n > 0) {
            buf_printf(out, " '%.*s'", STRF(m->meta));
        }
        buf_byte(out, '\n');
    }
}

static void watch_join(struct world_node *n, const struct swim_member *m)
{
    say_member(n, "join", m);
}

static void watch_update(struct world_node *n, const struct swim_member *m)
{
    say_member(n, "update", m);
}

static void watch_leave(struct world_node *n, const struct swim_member *m)
{
    say_member(n, m->state == MEMBERLIST_STATE_LEFT ? "left" : "dead", m);
}

static void watch_conflict(struct world_node *n, const struct swim_member *m,
                           const struct swim_member *other)
{
    if (play_of(n)->members) {
        struct buf *out = say_begin(n);
        buf_printf(out, ": conflict of %.*s at ", STRF(m->name));
        gossip_address_format(&m->address, out);
        buf_printf(out, " with ");
        gossip_address_format(&other->address, out);
        buf_byte(out, '\n');
    }
}

static void watch_joined(struct world_node *n, const struct err *err)
{
    buf_printf(say_begin(n), ": joined%s%s\n", err != NULL ? ": " : "",
               err != NULL ? err_text(err) : "");
}

static void watch_left(struct world_node *n, bool timed_out)
{
    buf_printf(say_begin(n), ": has left%s\n", timed_out ? ", but for the telling" : "");
}

static void watch_message(struct world_node *n, struct str bytes)
{
    if (play_of(n)->members) {
        buf_printf(say_begin(n), ": message '%.*s'\n", STRF(bytes));
    }
}

static void watch_pinged(struct world_node *n, const struct swim_member *m, uint64_t rtt_ns)
{
    if (play_of(n)->pings) {
        buf_printf(say_begin(n), ": %.*s is %" PRIu64 " ms away\n", STRF(m->name),
                   rtt_ns / WORLD_MS);
    }
}

static void watch_log(struct world_node *n, enum swim_log level, struct str line)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    if (play_of(n)->log) {
        buf_printf(say_begin(n), ": [%s] %.*s\n", levels[level], STRF(line));
    }
}

static int watch_alive(struct world_node *n, const struct swim_member *m, struct err *err)
{
    const struct play *p = play_of(n);
    return p->refuses == n->number && str_eq(p->refused, m->name)
               ? err_set(err, ERR_INVALID, "it is not wanted here")
               : 0;
}

static int watch_merge(struct world_node *n, size_t count, struct err *err)
{
    return play_of(n)->refuses_merge
               ? err_set(err, ERR_INVALID, "%zu members are not wanted here", count)
               : 0;
}

static const struct world_watch watch = {
    .send = watch_send,
    .stream = watch_stream,
    .join = watch_join,
    .update = watch_update,
    .leave = watch_leave,
    .conflict = watch_conflict,
    .joined = watch_joined,
    .left = watch_left,
    .message = watch_message,
    .pinged = watch_pinged,
    .log = watch_log,
    .alive = watch_alive,
    .merge = watch_merge,
};

/* --- commands --- */

static uint64_t number_of(struct str s)
{
    uint64_t v;
    assert_ok(str_parse_u64(s, &v));
    return v;
}

static struct gossip_address address_of(struct str s)
{
    struct gossip_address a = {.size = 4, .port = 8301};
    struct str ip, port, rest, piece;
    if (str_cut(s, ':', &ip, &port)) {
        a.port = (uint16_t)number_of(port);
    }
    rest = ip;
    for (size_t i = 0; i < 4 && str_split_next(&rest, '.', &piece); i++) {
        a.ip[i] = (uint8_t)number_of(piece);
    }
    return a;
}

static struct memberlist_alive alive_of(struct str *words, size_t count)
{
    struct memberlist_alive a = {.node = words[0],
                                 .incarnation = (uint32_t)number_of(words[1]),
                                 .address = address_of(words[2]),
                                 .vsn = {1, 5, 2, 2, 5, 4},
                                 .has_vsn = true};
    if (count > 3 && !str_eq_lit(words[3], "-")) {
        a.meta = words[3];
    }
    if (count > 4 && str_eq_lit(words[4], "none")) {
        a.has_vsn = false;
    }
    for (size_t i = 0; a.has_vsn && count > 4 && i < MEMBERLIST_VSN_SIZE; i++) {
        a.vsn[i] = (uint8_t)number_of(words[4 + i]);
    }
    return a;
}

static void put_hex(struct str hex, struct buf *to)
{
    for (size_t i = 0; i + 1 < hex.n; i += 2) {
        char digits[3] = {hex.p[i], hex.p[i + 1], '\0'};
        buf_byte(to, (uint8_t)strtoul(digits, NULL, 16));
    }
}

static void say_to(struct play *p, unsigned to, struct str *words, size_t count)
{
    struct gossip_address stranger = {.ip = {10, 0, 0, 200}, .size = 4, .port = 8301};
    struct buf b = {0};
    struct str kind = words[0];
    if (str_eq_lit(kind, "alive")) {
        struct memberlist_alive a = alive_of(words + 1, count - 1);
        memberlist_alive_encode(&a, &b);
    } else if (str_eq_lit(kind, "suspect") || str_eq_lit(kind, "dead")) {
        struct memberlist_suspect m = {
            .node = words[1], .incarnation = (uint32_t)number_of(words[2]), .from = words[3]};
        (str_eq_lit(kind, "dead") ? memberlist_dead_encode : memberlist_suspect_encode)(&m, &b);
    } else if (str_eq_lit(kind, "ping")) {
        struct memberlist_ping m = {.seq = (uint32_t)number_of(words[1]), .node = words[2]};
        memberlist_ping_encode(&m, &b);
    } else if (str_eq_lit(kind, "iping")) {
        struct memberlist_indirect_ping m = {.seq = (uint32_t)number_of(words[1]),
                                             .target = address_of(words[2]),
                                             .node = words[3],
                                             .nack = str_eq_lit(words[4], "nack")};
        memberlist_indirect_ping_encode(&m, &b);
    } else if (str_eq_lit(kind, "ack")) {
        struct memberlist_ack m = {.seq = (uint32_t)number_of(words[1])};
        memberlist_ack_encode(&m, &b);
    } else if (str_eq_lit(kind, "nack")) {
        memberlist_nack_encode((uint32_t)number_of(words[1]), &b);
    } else if (str_eq_lit(kind, "user")) {
        buf_byte(&b, MEMBERLIST_USER);
        buf_str(&b, words[1]);
    } else {
        assert_str_lit(kind, "raw");
        put_hex(words[1], &b);
    }
    world_inject(p->world, to, &stranger, buf_view(&b));
    buf_deinit(&b);
}

#define CONFIG_TIMES(X)   \
    X(tcp_timeout)        \
    X(push_pull_interval) \
    X(probe_interval) X(probe_timeout) X(gossip_interval) X(gossip_to_the_dead) X(dead_node_reclaim)
#define CONFIG_COUNTS(X) \
    X(indirect_checks)   \
    X(retransmit_mult)   \
    X(suspicion_mult)    \
    X(suspicion_max_timeout_mult) X(awareness_max_multiplier) X(gossip_nodes) X(packet_size_max)
#define CONFIG_FLAGS(X)  \
    X(disable_tcp_pings) \
    X(verify_incoming) X(verify_outgoing) X(enable_compression) X(require_node_names)

static void configure(struct swim_config *c, struct str name, uint64_t value)
{
#define X(field)                          \
    if (str_eq_lit(name, #field)) {       \
        c->field##_ns = value * WORLD_MS; \
        return;                           \
    }
    CONFIG_TIMES(X)
#undef X
#define X(field)                                \
    if (str_eq_lit(name, #field)) {             \
        c->field = (__typeof__(c->field))value; \
        return;                                 \
    }
    CONFIG_COUNTS(X)
    CONFIG_FLAGS(X)
#undef X
    fail_msg("no such configuration: %.*s", STRF(name));
}

static int by_name(const void *a, const void *b)
{
    const struct swim_member *x = *(const struct swim_member *const *)a,
                             *y = *(const struct swim_member *const *)b;
    return str_cmp(x->name, y->name);
}

static void say_state(struct play *p)
{
    for (unsigned i = 0; i < p->world->count; i++) {
        struct world_node *n = &p->world->nodes[i];
        const struct swim_member *members[64], *m;
        size_t count = 0, pos = 0;
        if (n->swim == NULL) {
            continue;
        }
        while ((m = swim_next(n->swim, &pos)) != NULL && count < ARRAY_SIZE(members)) {
            members[count++] = m;
        }
        qsort(members, count, sizeof(members[0]), by_name);
        buf_printf(p->out, "%s health %u of %zu:", n->name, swim_health_score(n->swim),
                   swim_members_count(n->swim));
        for (size_t k = 0; k < count; k++) {
            m = members[k];
            assert_ptr_equal(swim_find(n->swim, m->name), m);
            buf_printf(p->out, "%s %.*s %s %u", k == 0 ? "" : ",", STRF(m->name),
                       state_text(m->state), m->incarnation);
            if (m->meta.n > 0) {
                buf_printf(p->out, " '%.*s'", STRF(m->meta));
            }
            if (world_node_at(p->world, &m->address) == NULL ||
                world_number(m->name) != world_node_at(p->world, &m->address)->number) {
                buf_printf(p->out, " at ");
                gossip_address_format(&m->address, p->out);
            }
        }
        buf_byte(p->out, '\n');
    }
}

static void add_key(struct world_node *n, struct str key)
{
    if (n->keys == NULL) {
        n->keys = seal_ring_new();
    }
    assert_ok(seal_ring_add(n->keys, key, NULL));
}

static void show(struct play *p, struct str what, bool on)
{
    bool *flag = str_eq_lit(what, "packets")   ? &p->packets
                 : str_eq_lit(what, "streams") ? &p->streams
                 : str_eq_lit(what, "members") ? &p->members
                 : str_eq_lit(what, "log")     ? &p->log
                                               : &p->pings;
    *flag = on;
}

static void cut(struct play *p, struct str *words, size_t count)
{
    bool only_udp = count > 3 && str_eq_lit(words[3], "udp");
    bool only_tcp = count > 3 && str_eq_lit(words[3], "tcp");
    vec_push(&p->world->cuts, ((struct world_cut){world_number(words[1]), world_number(words[2]),
                                                  !only_tcp, !only_udp}));
}

/* Those that have no node in the second word. */
static bool command_of_world(struct play *p, struct str *words, size_t count)
{
    struct world *w = p->world;
    struct str verb = words[0];
    if (str_eq_lit(verb, "config")) {
        configure(&w->config, words[1], number_of(words[2]));
    } else if (str_eq_lit(verb, "nodes")) {
        struct swim_config config = w->config;
        uint32_t members_max = w->members_max;
        (void)world_free(w);
        p->world = world_new(1, (unsigned)number_of(words[1]));
        p->world->config = config;
        p->world->members_max = members_max;
        p->world->watch = &watch;
        p->world->ticks_first = true;
        p->world->data = p;
    } else if (str_eq_lit(verb, "members_max")) {
        w->members_max = (uint32_t)number_of(words[1]);
    } else if (str_eq_lit(verb, "payload")) {
        w->has_ack_payload = str_eq_lit(words[1], "on");
    } else if (str_eq_lit(verb, "cut")) {
        cut(p, words, count);
    } else if (str_eq_lit(verb, "heal")) {
        vec_clear(&w->cuts);
    } else if (str_eq_lit(verb, "merge")) {
        p->refuses_merge = true;
    } else if (str_eq_lit(verb, "show")) {
        show(p, words[1], str_eq_lit(words[2], "on"));
    } else if (str_eq_lit(verb, "run")) {
        world_run(w, number_of(words[1]) * WORLD_MS);
    } else if (str_eq_lit(verb, "state")) {
        say_state(p);
    } else {
        return false;
    }
    return true;
}

static void command(void *data, struct str *words, size_t count)
{
    struct play *p = data;
    struct str verb = words[0];
    if (command_of_world(p, words, count)) {
        return;
    }
    assert_true(count > 1 && world_number(words[1]) < p->world->count);
    struct world *w = p->world;
    unsigned i = world_number(words[1]);
    struct world_node *n = &w->nodes[i];
    if (str_eq_lit(verb, "start")) {
        buf_clear(&n->meta);
        buf_str(&n->meta, count > 2 ? words[2] : STR_NULL);
        world_start(w, i);
        n->swim->seq = 0;
    } else if (str_eq_lit(verb, "vsn")) {
        for (size_t k = 0; k < MEMBERLIST_VSN_SIZE; k++) {
            n->vsn[k] = (uint8_t)number_of(words[2 + k]);
        }
    } else if (str_eq_lit(verb, "key")) {
        add_key(n, words[2]);
    } else if (str_eq_lit(verb, "join")) {
        world_join(w, i, world_number(words[2]));
    } else if (str_eq_lit(verb, "leave")) {
        world_leave(w, i);
    } else if (str_eq_lit(verb, "still")) {
        swim_timer_stop(n->swim, &n->swim->probe_timer);
    } else if (str_eq_lit(verb, "stop")) {
        swim_stop(n->swim, w->now_ns);
    } else if (str_eq_lit(verb, "update")) {
        world_update(w, i, words[2]);
    } else if (str_eq_lit(verb, "crash")) {
        world_crash(w, i);
    } else if (str_eq_lit(verb, "pause")) {
        world_pause(w, i, number_of(words[2]) * WORLD_MS);
    } else if (str_eq_lit(verb, "tell")) {
        (void)world_tell(w, i);
    } else if (str_eq_lit(verb, "send")) {
        swim_send(n->swim, w->now_ns, &w->nodes[world_number(words[2])].address, words[3]);
    } else if (str_eq_lit(verb, "say")) {
        say_to(p, i, words + 2, count - 2);
    } else if (str_eq_lit(verb, "refuse")) {
        memcpy(p->refused_bytes, words[2].p, MIN(words[2].n, sizeof(p->refused_bytes)));
        p->refused = str_make(p->refused_bytes, words[2].n);
        p->refuses = i;
    } else {
        fail_msg("no such command: %.*s", STRF(verb));
    }
}

static void *play_begin(struct buf *out)
{
    struct play *p = xcalloc(1, sizeof(*p));
    p->world = world_new(1, 1);
    p->out = out;
    p->packets = p->streams = p->members = true;
    return p;
}

static void play_end(void *data)
{
    struct play *p = data;
    (void)world_free(p->world);
    mem_free(p);
}

static bool rewrite;

static void test_transcripts(void **state)
{
    (void)state;
    transcript_play_all("swim", &(struct transcript_player){play_begin, command, play_end},
                        rewrite);
}

int main(int argc, char **argv)
{
    rewrite = argc > 1 && strcmp(argv[1], "--rewrite") == 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transcripts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
