#include "test.h"

#include "base/err.h"
#include "proto/yamux.h"
#include "wire_fixture.h"

#define STREAMS 20u
#define SENT_MAX 700000u

static uint64_t seed_next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed >> 33;
}

/* The byte at `at` of what is said on a stream. */
static char said(uint32_t id, size_t at)
{
    return (char)(id * 31 + at * 7 + at / 256);
}

struct side {
    struct yamux *y;
    size_t received[2 * STREAMS + 2];
    size_t owed[2 * STREAMS + 2]; /* received, not consumed */
    size_t opened, accepted, finished, resets, pongs, writable;
    bool is_slow; /* consumes nothing by itself */
};

static void side_feed(struct side *s, struct str in)
{
    struct yamux_event e;
    int r;
    while ((r = yamux_next(s->y, &in, &e)) > 0) {
        s->opened += e.kind == YAMUX_OPENED;
        s->accepted += e.kind == YAMUX_ACCEPTED;
        s->finished += e.kind == YAMUX_FINISHED;
        s->resets += e.kind == YAMUX_RESET;
        s->pongs += e.kind == YAMUX_PONG;
        s->writable += e.kind == YAMUX_WRITABLE;
        if (e.kind == YAMUX_DATA) {
            for (size_t i = 0; i < e.data.n; i++) {
                if (e.data.p[i] != said(e.id, s->received[e.id] + i)) {
                    fail_msg("stream %u differs at %zu", e.id, s->received[e.id] + i);
                }
            }
            s->received[e.id] += e.data.n;
            s->owed[e.id] += e.data.n;
            assert_true(s->owed[e.id] <= YAMUX_WINDOW_SIZE);
            if (!s->is_slow) {
                yamux_consumed(s->y, e.id, s->owed[e.id]);
                s->owed[e.id] = 0;
            }
        }
    }
    assert_int_equal(r, 0);
    assert_int_equal(in.n, 0);
}

/* A random part of what waits goes over; false when there was nothing. */
static bool side_move(struct side *from, struct side *to, uint64_t *seed)
{
    struct str out = yamux_out(from->y);
    if (out.n == 0) {
        return false;
    }
    size_t n = 1 + seed_next(seed) % (seed_next(seed) % 2 ? 40 : 60000);
    out = str_first(out, n);
    side_feed(to, out);
    yamux_out_done(from->y, out.n);
    return true;
}

static void settle(struct side *a, struct side *b, uint64_t *seed)
{
    while (side_move(a, b, seed) || side_move(b, a, seed)) {
    }
}

static void sides_make(struct side *client, struct side *server)
{
    *client = (struct side){.y = yamux_new(&(struct yamux_options){.is_client = true})};
    *server = (struct side){.y = yamux_new(&(struct yamux_options){0})};
}

static void sides_free(struct side *client, struct side *server)
{
    client->y = yamux_free(client->y);
    server->y = yamux_free(server->y);
}

static size_t side_say(struct side *s, uint32_t id, size_t from, size_t size)
{
    char bytes[4096];
    size = size < sizeof(bytes) ? size : sizeof(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = said(id, from + i);
    }
    int64_t n = yamux_send(s->y, id, str_make(bytes, size));
    assert_true(n >= 0);
    return (size_t)n;
}

static void test_random(void **state)
{
    (void)state;
    struct side c, s;
    sides_make(&c, &s);
    uint64_t seed = 42;
    uint32_t ids[STREAMS];
    size_t sent[STREAMS] = {0}, goal[STREAMS], left = STREAMS;
    for (size_t i = 0; i < STREAMS; i++) {
        assert_ok(yamux_open(i % 2 == 0 ? c.y : s.y, &ids[i]));
        assert_int_equal(ids[i], i + 1);
        goal[i] = seed_next(&seed) % SENT_MAX;
    }
    settle(&c, &s, &seed);
    while (left > 0) {
        size_t i = seed_next(&seed) % STREAMS;
        struct side *from = i % 2 == 0 ? &c : &s;
        if (sent[i] < goal[i]) {
            sent[i] += side_say(from, ids[i], sent[i], goal[i] - sent[i]);
            left -= sent[i] == goal[i];
        }
        (void)side_move(&c, &s, &seed);
        (void)side_move(&s, &c, &seed);
    }
    for (size_t i = 0; i < STREAMS; i++) {
        yamux_close(c.y, ids[i]);
        yamux_close(s.y, ids[i]);
    }
    settle(&c, &s, &seed);
    for (size_t i = 0; i < STREAMS; i++) {
        assert_int_equal((i % 2 == 0 ? &s : &c)->received[ids[i]], goal[i]);
    }
    assert_int_equal(c.opened + s.opened, STREAMS);
    assert_int_equal(c.accepted + s.accepted, STREAMS);
    assert_int_equal(c.finished + s.finished, 2 * STREAMS);
    assert_int_equal(yamux_streams(c.y) + yamux_streams(s.y), 0);
    sides_free(&c, &s);
}

static void test_window(void **state)
{
    (void)state;
    struct side c, s;
    sides_make(&c, &s);
    s.is_slow = true;
    uint64_t seed = 1;
    uint32_t id;
    size_t sent = 0, n;
    assert_ok(yamux_open(c.y, &id));
    while ((n = side_say(&c, id, sent, 4096)) > 0) {
        sent += n;
    }
    assert_int_equal(sent, YAMUX_WINDOW_SIZE);
    settle(&c, &s, &seed);
    assert_int_equal(s.received[id], YAMUX_WINDOW_SIZE);
    yamux_consumed(s.y, id, YAMUX_WINDOW_SIZE / 2 - 1);
    settle(&c, &s, &seed);
    assert_int_equal(c.writable, 0);
    yamux_consumed(s.y, id, 1);
    settle(&c, &s, &seed);
    assert_int_equal(c.writable, 1);
    assert_int_equal(side_say(&c, id, sent, 100), 100);
    sides_free(&c, &s);
}

static void test_reset_ping_go_away(void **state)
{
    (void)state;
    struct side c, s;
    sides_make(&c, &s);
    uint64_t seed = 2;
    uint32_t id, other;
    assert_ok(yamux_open(c.y, &id));
    settle(&c, &s, &seed);
    (void)side_say(&c, id, 0, 1000); /* on its way while the other resets */
    yamux_reset(s.y, id);
    settle(&c, &s, &seed);
    assert_int_equal(c.resets, 1);
    assert_int_equal(s.received[id], 0);
    assert_int_equal(yamux_send(c.y, id, STR("x")), -ERR_CLOSED);
    assert_int_equal(yamux_streams(c.y) + yamux_streams(s.y), 0);
    (void)yamux_ping(c.y);
    settle(&c, &s, &seed);
    assert_int_equal(c.pongs, 1);
    assert_ok(yamux_open(c.y, &id));
    yamux_go_away(s.y, YAMUX_NORMAL); /* crosses the SYN */
    settle(&c, &s, &seed);
    assert_int_equal(c.resets, 2);
    assert_int_equal(yamux_open(c.y, &other), -ERR_CLOSED);
    sides_free(&c, &s);
}

static void test_limits(void **state)
{
    (void)state;
    uint32_t id;
    struct side c, s;
    sides_make(&c, &s);
    for (size_t i = 0; i < YAMUX_OPENING_MAX; i++) {
        assert_ok(yamux_open(c.y, &id));
    }
    assert_int_equal(yamux_open(c.y, &id), -ERR_AGAIN);
    s.y = yamux_free(s.y);
    s.y = yamux_new(&(struct yamux_options){.streams_max = 10});
    uint64_t seed = 3;
    settle(&c, &s, &seed);
    assert_int_equal(s.opened, 10);
    assert_int_equal(c.resets, YAMUX_OPENING_MAX - 10);
    assert_int_equal(yamux_streams(s.y), 10);
    sides_free(&c, &s);
}

static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        const char *error;
    } bad[] = {
        {STR_INIT("\1\0\0\0\0\0\0\0\0\0\0\0"), "unknown protocol version"},
        {STR_INIT("\0\4\0\0\0\0\0\0\0\0\0\0"), "unknown frame type"},
        {STR_INIT("\0\1\0\1\0\0\0\2\0\0\0\0"), "stream opened with an id that is not the peer's"},
        {STR_INIT("\0\1\0\1\0\0\0\0\0\0\0\0"), "stream opened with an id that is not the peer's"},
        {STR_INIT("\0\1\0\1\0\0\0\1\0\0\0\0\0\1\0\1\0\0\0\1\0\0\0\0"), "stream opened twice"},
        {STR_INIT("\0\0\0\1\0\0\0\1\0\4\0\1"), "receive window exceeded"},
        {STR_INIT("\0\1\0\5\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1x"),
         "stream goes on after its end"},
        {STR_INIT("\0\3\0\0\0\0\0\0\0\0\0\2"), "peer reports an internal error"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct yamux *y = yamux_new(&(struct yamux_options){0});
        struct str in = bad[i].bytes;
        struct yamux_event e;
        int r;
        while ((r = yamux_next(y, &in, &e)) > 0) {
        }
        assert_true(r < 0);
        assert_string_equal(yamux_error(y), bad[i].error);
        assert_true(yamux_next(y, &in, &e) < 0);
        y = yamux_free(y);
    }
    /* Pings whose answers are not read. */
    struct yamux *y = yamux_new(&(struct yamux_options){.out_size_max = 1});
    int r = 0;
    for (size_t i = 0; i < 10000 && r == 0; i++) {
        struct str in = STR("\0\2\0\1\0\0\0\0\0\0\0\7");
        struct yamux_event e;
        r = yamux_next(y, &in, &e);
    }
    assert_true(r < 0);
    assert_true(yamux_out(y).n <= 1 + YAMUX_OUT_CONTROL_SIZE);
    y = yamux_free(y);
}

/* Both directions of recorded connections are understood to the end; what we say first is what was
 * said first. */
static void test_recorded(void **state)
{
    (void)state;
    static const char *const numbers[] = {"005", "009", "010", "011", "020", "035"};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "mux-%s-to.bin", numbers[i]);
        struct str to = recorded(name);
        (void)snprintf(name, sizeof(name), "mux-%s-from.bin", numbers[i]);
        struct str from = recorded(name);
        struct yamux *client = yamux_new(&(struct yamux_options){.is_client = true});
        struct yamux *server = yamux_new(&(struct yamux_options){0});
        struct str in = str_from(to, 1);
        struct yamux_event e;
        uint32_t id;
        size_t data = 0;
        int r;
        assert_ok(yamux_open(client, &id));
        assert_str_equal(yamux_out(client), str_first(in, YAMUX_HEADER_SIZE));
        while ((r = yamux_next(server, &in, &e)) > 0) {
            if (e.kind == YAMUX_OPENED && e.id == 1) {
                assert_str_equal(yamux_out(server), str_first(from, YAMUX_HEADER_SIZE));
            } else if (e.kind == YAMUX_OPENED) {
                assert_ok(yamux_open(client, &id));
                assert_int_equal(e.id, id);
            }
            data += e.data.n;
        }
        assert_int_equal(r, 0);
        in = from;
        while ((r = yamux_next(client, &in, &e)) > 0) {
            data += e.data.n;
        }
        assert_int_equal(r, 0);
        assert_true(data > 200);
        client = yamux_free(client);
        server = yamux_free(server);
        (void)mem_free((void *)to.p);
        (void)mem_free((void *)from.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_reset_ping_go_away),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
