/* Servers that are slow, gone, broken or hostile. */
#include "transport_fixture.h"

#include "base/log.h"

/* --- what the log says --- */

static struct buf logged;

static void log_keep(void *data, enum log_level level, struct str line)
{
    (void)data;
    (void)level;
    buf_str(&logged, line);
}

static size_t logged_count(const char *what)
{
    size_t n = 0;
    struct str rest = buf_view(&logged);
    for (ptrdiff_t at; (at = str_find(rest, str_from_cstr(what))) >= 0; n++) {
        rest = str_from(rest, (size_t)at + 1);
    }
    return n;
}

/* --- outgoing --- */

/* A node, and a peer that only has bytes, which it is to speak to. */
static void speaker_begin(struct node *a, struct raw_server *s, uint64_t timeout_ms)
{
    fixture_begin();
    node_start(a, 1, timeout_ms, 0);
    raw_server_start(s, 3);
}

static void speaker_end(struct node *a, struct raw_server *s)
{
    node_stop(a);
    raw_server_stop(s);
    fixture_end();
}

static void test_lost_connection(void **state)
{
    (void)state;
    struct node a;
    struct raw_server s;
    speaker_begin(&a, &s, 0);
    /* Two of fifty are answered. */
    s.answer = STR("\xa0\x82\xa7Success\xc3\xa4Term\x03\xa0\x82\xa7Success\xc3\xa4Term\x03");
    s.closes = true;
    for (uint64_t i = 1; i <= 50; i++) {
        node_append(&a, &s.as, i, 1);
    }
    assert_int_equal(a.unreachable, 0); /* never from inside an op */
    UNTIL(a.unreachable == 1);
    assert_true(a.results.n == 2 || a.results.n == 0); /* a reset may overtake them */
    size_t answered = a.results.n;
    UNTIL(!s.raw.is_open);

    /* The next send connects anew; what its answer is joined with is not of before. */
    s.closes = false;
    s.answer = STR("\xa0\x82\xa7Success\xc3\xa4Term\x03");
    node_append(&a, &s.as, 900, 1);
    UNTIL(a.results.n == answered + 1);
    assert_int_equal(a.results.v[answered].prev_index, 900);
    assert_int_equal(s.accepted, 2);

    /* A connection that ends while nothing is asked is nobody's loss. */
    tcp_close(&s.raw.stream);
    UNTIL(!s.raw.is_open);
    node_append(&a, &s.as, 901, 1);
    UNTIL(a.results.n + a.unreachable == answered + 3);
    speaker_end(&a, &s);
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct node a;
    struct raw_server s;
    speaker_begin(&a, &s, 0);
    raw_server_stop(&s);
    loop_some();
    node_append(&a, &s.as, 1, 1);
    node_append(&a, &s.as, 2, 1);
    UNTIL(a.unreachable == 1);
    node_heartbeat(&a, &s.as, 1);
    node_heartbeat(&a, &s.as, 2);
    UNTIL(a.unreachable == 2);
    node_vote(&a, &s.as, true); /* refused is not hung up; and nobody waits for it */
    node_send_snapshot(&a, &s.as, 1, 10);
    UNTIL(a.unreachable == 3);
    node_vote(&a, &s.as, false);
    UNTIL(a.unreachable == 4);
    assert_int_equal(sources_alive, 0);
    (void)snprintf(s.as.text, sizeof(s.as.text), "no address");
    node_append(&a, &s.as, 3, 1);
    UNTIL(a.unreachable == 5);
    assert_int_equal(a.results.n, 0);
    node_stop(&a);
    fixture_end();
}

/* Within an op nothing is told; what is sent before it is told goes with it. */
static void test_sent_while_lost(void **state)
{
    (void)state;
    struct node a;
    struct raw_server s;
    speaker_begin(&a, &s, 0);
    for (uint64_t i = 0; i <= 2 * RAFT_PIPELINE_MAX; i++) { /* one too many */
        node_append(&a, &s.as, i + 1, 1);
    }
    node_append(&a, &s.as, 900, 1);
    assert_int_equal(a.unreachable, 0);
    UNTIL(a.unreachable == 1);
    UNTIL(s.raw.has_ended);
    raw_close(&s.raw);
    node_append(&a, &s.as, 901, 1);
    s.answer = STR("\xa0\x82\xa7Success\xc3\xa4Term\x03");
    UNTIL(a.results.n == 1);
    assert_int_equal(a.results.v[0].prev_index, 901);
    assert_int_equal(a.unreachable, 1);
    speaker_end(&a, &s);
}

/* More bytes than a path may have waiting. */
static void test_too_much_pending(void **state)
{
    (void)state;
    struct node a;
    struct raw_server s;
    speaker_begin(&a, &s, 0);
    char *p = xcalloc(1, RAFT_ENTRY_SIZE_MAX);
    struct raft_entry e = {.term = 3, .data = {p, RAFT_ENTRY_SIZE_MAX}};
    struct raft_msg m = {.kind = RAFT_MSG_APPEND, .term = 3};
    m.append.count = 1;
    size_t sent = 0;
    while (sent < 2 + RAFT_TRANSPORT_PENDING_SIZE_MAX / RAFT_ENTRY_SIZE_MAX) {
        m.append.prev_index = sent++;
        e.index = sent;
        node_send(&a, &s.as, &m, &e);
    }
    UNTIL(a.unreachable == 1);
    assert_int_equal(a.results.n, 0);
    mem_free(p);
    speaker_end(&a, &s);
}

static void test_no_answer(void **state)
{
    (void)state;
    struct node a;
    struct raw_server s;
    speaker_begin(&a, &s, 30);
    node_append(&a, &s.as, 1, 1);
    node_append(&a, &s.as, 2, 1);
    UNTIL(a.unreachable == 1 && s.raw.is_open);
    raw_close(&s.raw);
    node_vote(&a, &s.as, true); /* silence is not hanging up, either */
    UNTIL(s.raw.is_open && s.raw.has_ended);
    raw_close(&s.raw);
    node_send_snapshot(&a, &s.as, 1, 100);
    UNTIL(a.unreachable == 2);
    assert_int_equal(a.results.n, 0);
    speaker_end(&a, &s);
}

/* A vote is synced first: its answer may come when a heartbeat's would be given up. */
static void test_late_vote(void **state)
{
    (void)state;
    struct node a, b, c;
    fixture_begin();
    node_start(&a, 1, 30, 0);
    node_start(&b, 2, 0, 0);
    node_start(&c, 3, 0, 0);
    b.holds_votes = c.holds_heartbeats = true;
    node_vote(&a, &b, false);
    UNTIL(b.requests.n == 1);
    node_heartbeat(&a, &c, 1);
    UNTIL(a.unreachable == 1);
    node_answer(&b, 0, true);
    UNTIL(a.results.n == 1);
    assert_true(a.results.v[0].granted);
    assert_int_equal(a.unreachable, 1);
    node_stop(&a);
    node_stop(&b);
    node_stop(&c);
    fixture_end();
}

static void test_bad_answers(void **state)
{
    (void)state;
    static const struct str answers[] = {
        STR_INIT("\xc1"),                                        /* no msgpack */
        STR_INIT("\xa0\x93\x01\x02\x03"),                        /* no map */
        STR_INIT("\xa4oops\x80"),                                /* an error */
        STR_INIT("\xdb\xff\xff\xff\xff"),                        /* 4 GiB of it */
        STR_INIT("\xa0\x82\xa7Success\xc3\xa4Term\x03\xa0\x80"), /* one more than asked */
    };
    struct node a;
    struct raw_server s;
    speaker_begin(&a, &s, 0);
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        s.answer = answers[i];
        size_t before = a.unreachable + a.results.n;
        node_append(&a, &s.as, 1, 1);
        UNTIL(a.unreachable + a.results.n == before + 1);
        UNTIL(s.raw.has_ended); /* it was hung up on in any case */
        raw_close(&s.raw);
    }
    assert_int_equal(a.results.n, 1);
    speaker_end(&a, &s);
}

/* A server of the reference: it hangs up on the type it does not know. */
static void test_pre_vote_unsupported(void **state)
{
    (void)state;
    struct node a;
    struct raw_server s;
    speaker_begin(&a, &s, 0);
    s.closes = true;
    for (size_t i = 1; i <= 3; i++) {
        node_vote(&a, &s.as, true);
        UNTIL(a.results.n == i);
        const struct seen *r = &a.results.v[i - 1];
        assert_int_equal(r->kind, RAFT_MSG_VOTE_RESULT);
        assert_true(r->unsupported && r->pre && !r->granted);
        assert_int_equal(r->token, 77);
        assert_int_equal(r->term, 0);
        UNTIL(!s.raw.is_open);
    }
    node_vote(&a, &s.as, false); /* a real vote is different */
    UNTIL(a.unreachable == 1);
    assert_int_equal(a.results.n, 3);
    speaker_end(&a, &s);
}

static void test_configure(void **state)
{
    (void)state;
    struct node a, b, c;
    fixture_begin();
    node_start(&a, 1, 0, 0);
    node_start(&b, 2, 0, 0);
    node_start(&c, 3, 0, 0);
    struct raft_configuration now = {0};
    assert_ok(
        raft_configuration_add(&now, RAFT_VOTER, str_from_cstr(a.id), str_from_cstr(a.text), NULL));
    assert_ok(
        raft_configuration_add(&now, RAFT_VOTER, str_from_cstr(b.id), str_from_cstr(b.text), NULL));
    b.holds_appends = true;
    node_append(&a, &b, 1, 1);
    node_heartbeat(&a, &c, 1);
    UNTIL(b.requests.n == 1 && a.results.n == 1);
    a.t->ops->configure(a.t, &now); /* c, of whom nothing is wanted, is gone */
    loop_some();
    assert_int_equal(a.unreachable, 0);

    /* b moves to where c was. */
    (void)snprintf(now.servers[1].address, sizeof(now.servers[1].address), "%s", c.text);
    a.t->ops->configure(a.t, &now);
    assert_int_equal(a.unreachable, 0);
    UNTIL(a.unreachable == 1);
    struct node moved = {0};
    (void)snprintf(moved.id, sizeof(moved.id), "%s", b.id);
    (void)snprintf(moved.text, sizeof(moved.text), "%s", c.text);
    node_append(&a, &moved, 5, 1);
    UNTIL(a.results.n == 2);
    assert_string_equal(a.results.v[1].name, b.id);
    assert_int_equal(c.requests.n, 2);
    node_answer(&b, 0, true); /* to a connection that is gone */

    c.holds_appends = true;
    node_append(&a, &moved, 6, 1);
    now.count = 1;
    a.t->ops->configure(a.t, &now); /* with a request under way */
    UNTIL(a.unreachable == 2);
    node_append(&a, &moved, 7, 1); /* known again when it is sent to */
    c.holds_appends = false;
    UNTIL(a.results.n == 3);
    node_stop(&a);
    node_stop(&b);
    node_stop(&c);
    fixture_end();
}

/* --- incoming --- */

static void test_garbage(void **state)
{
    (void)state;
    static const struct str garbage[] = {
        STR_INIT("\x01\x09\x80"),                        /* an unknown type */
        STR_INIT("\x01GET / HTTP/1.1\r\n"),              /* another protocol */
        STR_INIT("\x01\x00\xc1"),                        /* no msgpack */
        STR_INIT("\x01\x01\x93\x01\x02\x03"),            /* no map */
        STR_INIT("\x01\x00\xdf\xff\xff\xff\xff"),        /* a map of 4 billion */
        STR_INIT("\x01\x00\x81\xdb\x7f\xff\xff\xff"),    /* a key of 2 GiB */
        STR_INIT("\x01\x02\x81\xaFSnapshotVersion\x09"), /* a snapshot of another version */
    };
    struct node b;
    fixture_begin();
    node_start(&b, 2, 0, 0);
    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        struct raw r;
        struct address from = {.size = sizeof(from.sa)};
        struct buf peer = {0};
        raw_connect(&r, &b.address);
        raw_write(&r, garbage[i]);
        assert_int_equal(getsockname(r.stream.fd, (struct sockaddr *)&from.sa, &from.size), 0);
        UNTIL(r.has_ended);
        buf_lit(&peer, "from=");
        address_format(&from, &peer);
        buf_byte(&peer, 0);
        assert_int_equal(logged_count(peer.p), 1);
        buf_deinit(&peer);
        raw_close(&r);
    }
    assert_int_equal(b.requests.n, 0);
    assert_int_equal(logged_count("failed to decode incoming command"), ARRAY_SIZE(garbage));
    node_stop(&b);
    fixture_end();
}

/* It ends halfway, or just stops coming. */
static void test_snapshot_lost(void **state)
{
    (void)state;
    for (int stops = 0; stops <= 1; stops++) {
        struct node b;
        struct raw r;
        struct buf bytes = {0};
        fixture_begin();
        node_start(&b, 2, stops ? 30 : 0, 0);
        b.accepts_snapshots = true;
        buf_byte(&bytes, 1);
        raw_put_install(&bytes, 1u << 20);
        for (uint64_t i = 0; i < 1000; i++) {
            buf_byte(&bytes, (uint8_t)snapshot_byte(i));
        }
        raw_connect(&r, &b.address);
        raw_write(&r, buf_view(&bytes));
        UNTIL(b.snapshot_received == 1000);
        if (!stops) {
            raw_close(&r);
        }
        UNTIL(b.snapshot_ends == 1);
        assert_int_equal(b.snapshot_code, stops ? -ERR_TIMEOUT : -ERR_CLOSED);
        b.t->ops->receive(b.t, b.snapshot_token); /* too late, and harmless */
        loop_some();
        assert_int_equal(b.snapshot_ends, 1);
        raw_close(&r);
        buf_deinit(&bytes);
        node_stop(&b);
        fixture_end();
    }
}

/* Not received yet: the node still learns that nothing will come. */
static void test_snapshot_lost_early(void **state)
{
    (void)state;
    struct node b;
    struct raw r;
    struct buf bytes = {0};
    fixture_begin();
    node_start(&b, 2, 0, 0);
    b.holds_votes = true; /* and snapshots */
    buf_byte(&bytes, 1);
    raw_put_install(&bytes, 1u << 20);
    raw_connect(&r, &b.address);
    raw_write(&r, buf_view(&bytes));
    UNTIL(b.requests.n == 1);
    raw_close(&r);
    UNTIL(b.snapshot_ends == 1);
    assert_int_equal(b.snapshot_code, -ERR_CLOSED);
    buf_deinit(&bytes);
    node_stop(&b);
    fixture_end();
}

/* The most silent goes when there are too many. */
static void test_connections_max(void **state)
{
    (void)state;
    struct node b;
    struct raw r[4];
    struct buf bytes = {0};
    fixture_begin();
    node_start(&b, 2, 0, 3);
    raw_put_append(&bytes, 9);
    for (size_t i = 0; i < 3; i++) {
        raw_connect(&r[i], &b.address);
        raw_write(&r[i], STR("\x01"));
        raw_write(&r[i], buf_view(&bytes));
        UNTIL(b.requests.n == i + 1 && r[i].got.n > 0);
    }
    raw_write(&r[0], buf_view(&bytes));
    UNTIL(b.requests.n == 4);
    raw_connect(&r[3], &b.address);
    raw_write(&r[3], STR("\x01"));
    raw_write(&r[3], buf_view(&bytes));
    UNTIL(b.requests.n == 5);
    UNTIL(r[1].has_ended);
    assert_false(r[0].has_ended || r[2].has_ended || r[3].has_ended);
    for (size_t i = 0; i < 4; i++) {
        raw_close(&r[i]);
    }
    buf_deinit(&bytes);
    node_stop(&b);
    fixture_end();
}

/* Asks and never reads: what it has us keep is bounded, by not reading what it asks. */
static void test_answers_unread(void **state)
{
    (void)state;
    enum { COUNT = 200000 }; /* more answers than the kernel keeps */
    struct node b;
    struct raw r;
    struct buf bytes = {0};
    fixture_begin();
    node_start(&b, 2, 60000, 0); /* or a peer that does not read is taken for a dead one */
    buf_byte(&bytes, 1);
    for (size_t i = 0; i < COUNT; i++) {
        raw_put_append(&bytes, 0);
    }
    raw_connect(&r, &b.address);
    const int small = 65536; /* or the kernel may keep all the answers */
    assert_int_equal(setsockopt(r.stream.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    tcp_read_stop(&r.stream);
    raw_write(&r, buf_view(&bytes));
    /* It comes to rest: nothing moves for a while, though there is more to send. */
    size_t handled = 0, rest = 0;
    while (rest < 200) {
        loop_some();
        rest = b.requests.n == handled ? rest + 1 : 0;
        handled = b.requests.n;
    }
    assert_true(handled > 0 && handled < COUNT);
    tcp_read_start(&r.stream);
    while (b.requests.n < COUNT) {
        handled = b.requests.n;
        UNTIL(b.requests.n > handled);
    }
    raw_close(&r);
    buf_deinit(&bytes);
    node_stop(&b);
    fixture_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_connection), cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_sent_while_lost), cmocka_unit_test(test_too_much_pending),
        cmocka_unit_test(test_no_answer),       cmocka_unit_test(test_late_vote),
        cmocka_unit_test(test_bad_answers),     cmocka_unit_test(test_pre_vote_unsupported),
        cmocka_unit_test(test_configure),       cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_snapshot_lost),   cmocka_unit_test(test_snapshot_lost_early),
        cmocka_unit_test(test_connections_max), cmocka_unit_test(test_answers_unread),
    };
    struct log_sink *sink = log_sink_add(LOG_TRACE, false, log_keep, NULL);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    log_sink_remove(sink);
    buf_deinit(&logged);
    return r;
}
