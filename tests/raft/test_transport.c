/* Servers that behave: every kind of message, order, and what must not wait for what. */
#include "transport_fixture.h"

#include "../proto/wire_fixture.h"

static void pair_begin(struct node *a, struct node *b)
{
    fixture_begin();
    node_start(a, 1, 0, 0);
    node_start(b, 2, 0, 0);
}

static void pair_end(struct node *a, struct node *b)
{
    node_stop(a);
    node_stop(b);
    fixture_end();
}

static void test_every_kind(void **state)
{
    (void)state;
    struct node a, b;
    pair_begin(&a, &b);
    node_heartbeat(&a, &b, 7);
    UNTIL(a.results.n == 1);
    assert_true(a.results.v[0].success);
    assert_int_equal(a.results.v[0].round, 7);
    assert_int_equal(a.results.v[0].prev_index + a.results.v[0].count, 0);
    assert_string_equal(a.results.v[0].name, "n2");
    assert_true(b.requests.v[0].entries_are_nil);
    assert_int_equal(b.requests.v[0].term, 3);
    assert_string_equal(b.requests.v[0].name, a.text);

    node_append(&a, &b, 40, 3);
    UNTIL(a.results.n == 2);
    assert_int_equal(b.requests.v[1].count, 3);
    assert_int_equal(b.requests.v[1].data_size, 3 * strlen("\x01some entry"));
    assert_int_equal(b.requests.v[1].prev_index, 40);
    assert_int_equal(b.requests.v[1].prev_term, 3);
    assert_int_equal(b.requests.v[1].commit_index, 40);
    assert_int_equal(a.results.v[1].kind, RAFT_MSG_APPEND_RESULT);
    assert_int_equal(a.results.v[1].prev_index, 40);
    assert_int_equal(a.results.v[1].count, 3);
    assert_int_equal(a.results.v[1].token, 1040);
    assert_int_equal(a.results.v[1].last_index, 43);

    node_append(&a, &b, 43, 0); /* tells of a commit: no entries, and no heartbeat */
    UNTIL(a.results.n == 3);
    assert_int_equal(a.results.v[2].prev_index, 43);
    assert_int_equal(b.accepted, 2); /* on the path of entries */

    node_vote(&a, &b, false);
    UNTIL(a.results.n == 4);
    assert_true(b.requests.v[3].transfer && !b.requests.v[3].pre);
    assert_string_equal(b.requests.v[3].name, a.text);
    assert_int_equal(a.results.v[3].kind, RAFT_MSG_VOTE_RESULT);
    assert_true(a.results.v[3].granted && !a.results.v[3].pre && !a.results.v[3].unsupported);
    assert_int_equal(a.results.v[3].token, 77);
    assert_int_equal(b.accepted, 2);

    node_vote(&a, &b, true);
    UNTIL(a.results.n == 5);
    assert_true(b.requests.v[4].pre);
    assert_true(a.results.v[4].granted && a.results.v[4].pre && !a.results.v[4].unsupported);
    assert_int_equal(b.accepted, 3);

    const struct raft_msg now = {.kind = RAFT_MSG_TIMEOUT_NOW, .term = 3};
    node_send(&a, &b, &now, NULL);
    UNTIL(b.requests.n == 6);
    assert_int_equal(b.requests.v[5].kind, RAFT_MSG_TIMEOUT_NOW);
    node_heartbeat(&a, &b, 8); /* answered behind it, and TIMEOUT_NOW has no result */
    UNTIL(a.results.n == 6);
    assert_int_equal(a.results.v[5].round, 8);

    b.holds_appends = true;
    node_append(&a, &b, 50, 1);
    UNTIL(b.requests.n == 8);
    node_answer(&b, 7, false);
    UNTIL(a.results.n == 7);
    assert_false(a.results.v[6].success);
    assert_int_equal(a.results.v[6].conflict_index, 50);
    assert_int_equal(a.unreachable, 0);
    pair_end(&a, &b);
}

/* Answered backwards in heaps; not more at a time than the bound. */
static void test_pipeline(void **state)
{
    (void)state;
    enum { COUNT = 250, BOUND = 128 };
    struct node a, b;
    pair_begin(&a, &b);
    b.holds_appends = true;
    for (uint64_t i = 0; i < COUNT; i++) {
        node_append(&a, &b, 1 + i * 2, 2);
    }
    size_t answered = 0;
    while (answered < COUNT) {
        UNTIL(b.requests.n == MIN(answered + BOUND, (size_t)COUNT));
        loop_some();
        assert_int_equal(b.requests.n, MIN(answered + BOUND, (size_t)COUNT));
        for (size_t i = b.requests.n; i > answered; i--) {
            node_answer(&b, i - 1, true);
        }
        answered = b.requests.n;
    }
    UNTIL(a.results.n == COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(a.results.v[i].prev_index, 1 + i * 2);
        assert_int_equal(a.results.v[i].last_index, 3 + i * 2);
        assert_int_equal(b.requests.v[i].prev_index, 1 + i * 2);
    }
    assert_int_equal(b.accepted, 1);
    assert_int_equal(a.unreachable, 0);
    pair_end(&a, &b);
}

/* Heartbeats pass while entries get no answer; of those that cannot go out the newest does. */
static void test_heartbeats(void **state)
{
    (void)state;
    struct node a, b;
    pair_begin(&a, &b);
    b.holds_appends = true;
    for (uint64_t i = 1; i <= 100; i++) {
        node_append(&a, &b, i, 1);
    }
    node_heartbeat(&a, &b, 1);
    UNTIL(a.results.n == 1);
    assert_int_equal(a.results.v[0].round, 1);

    b.holds_heartbeats = true;
    UNTIL(b.requests.n == 101);
    for (uint64_t round = 2; round <= 100; round++) {
        node_heartbeat(&a, &b, round);
    }
    node_vote(&a, &b, false); /* a vote does not wait for the heartbeat's answer to be sent */
    UNTIL(b.requests.n == 103);
    assert_int_equal(b.requests.v[101].kind, RAFT_MSG_APPEND);
    node_answer(&b, 101, true);
    UNTIL(a.results.n == 3 && b.requests.n == 104);
    assert_int_equal(a.results.v[1].round, 2);
    assert_int_equal(a.results.v[2].kind, RAFT_MSG_VOTE_RESULT);
    node_answer(&b, 103, true);
    UNTIL(a.results.n == 4);
    assert_int_equal(a.results.v[3].round, 100); /* it speaks for 3 to 99 */
    node_heartbeat(&a, &b, 101);
    UNTIL(b.requests.n == 105);
    pair_end(&a, &b); /* with things under way */
}

/* The most the kernel keeps of a direction: what /proc says, or what is usual. */
static uint64_t kernel_buffer(const char *path)
{
    unsigned long long size = 8u << 20;
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        (void)fscanf(f, "%*u %*u %llu", &size);
        (void)fclose(f);
    }
    return size;
}

static void test_snapshots(void **state)
{
    (void)state;
    const uint64_t buffers = kernel_buffer("/proc/sys/net/ipv4/tcp_rmem") +
                             kernel_buffer("/proc/sys/net/ipv4/tcp_wmem") + (2u << 20);
    const uint64_t size = buffers + (8u << 20);
    struct node a, b;
    pair_begin(&a, &b);
    a.accepts_snapshots = b.accepts_snapshots = true;
    b.receive_delay_ms = 1; /* slow */
    node_send_snapshot(&a, &b, 300, size);
    UNTIL(b.snapshot_received > 0);
    assert_int_equal(b.requests.v[0].index, 300);
    assert_int_equal(b.requests.v[0].last_term, 2);
    assert_int_equal(b.requests.v[0].count, 1);
    assert_int_equal(b.t->ops->snapshot_size(b.t, b.snapshot_token), size);
    while (b.snapshot_received < size) {
        loop_some();
        assert_true(source_given <= b.snapshot_received + buffers);
    }
    UNTIL(a.results.n == 1);
    assert_int_equal(a.results.v[0].kind, RAFT_MSG_INSTALL_RESULT);
    assert_true(a.results.v[0].success);
    assert_int_equal(a.results.v[0].index, 300);
    assert_int_equal(a.results.v[0].token, 305);
    assert_int_equal(b.snapshot_ends, 1);
    assert_int_equal(b.snapshot_code, 0);
    assert_int_equal(sources_alive, 0);

    b.receive_delay_ms = 0;
    node_send_snapshot(&b, &a, 400, 5000001); /* both ways at once */
    node_send_snapshot(&a, &b, 401, 5000002);
    UNTIL(a.results.n == 2 && b.results.n == 1);
    assert_int_equal(a.snapshot_received, 5000001);
    assert_int_equal(b.snapshot_received, 5000002);
    assert_int_equal(b.results.v[0].index, 400);

    node_send_snapshot(&a, &b, 402, 0); /* of nothing */
    UNTIL(a.results.n == 3);
    assert_true(a.results.v[2].success);
    assert_int_equal(b.snapshot_received, 0);
    assert_int_equal(b.snapshot_ends, 3);

    /* In advance, and then the number in the place of bytes, answered without asking for any. */
    a.stage = 77;
    a.sends_ahead = true;
    node_send_snapshot(&a, &b, 403, 3000000);
    UNTIL(a.results.n == 4);
    assert_true(a.results.v[3].success && a.results.v[3].pre);
    assert_int_equal(b.snapshot_received, 3000000);
    a.sends_ahead = b.accepts_snapshots = false;
    node_send_snapshot(&a, &b, 404, 0);
    UNTIL(a.results.n == 5);
    assert_true(!a.results.v[4].success && !a.results.v[4].pre);
    const struct seen *kept = &b.requests.v[b.requests.n - 2];
    assert_true(kept[0].pre && !kept[1].pre && kept[0].stage == 77 && kept[1].stage == 77);

    assert_int_equal(a.unreachable + b.unreachable, 0);
    pair_end(&a, &b);
}

/* A refusal ends the sending; the same snapshot once more goes on with the one under way. */
static void test_snapshot_refused(void **state)
{
    (void)state;
    struct node a, b;
    pair_begin(&a, &b);
    node_send_snapshot(&a, &b, 300, 1u << 30);
    UNTIL(a.results.n == 1);
    assert_false(a.results.v[0].success);
    assert_int_equal(sources_alive, 0);
    assert_true(source_given < 1u << 30);
    assert_int_equal(b.snapshot_ends, 0);

    b.accepts_snapshots = true;
    b.receive_delay_ms = 1;
    node_send_snapshot(&a, &b, 301, 4u << 20);
    UNTIL(b.snapshot_received > 0);
    node_send_snapshot(&a, &b, 301, 4u << 20);
    UNTIL(a.results.n == 2);
    assert_true(a.results.v[1].success);
    assert_int_equal(b.accepted, 2);

    node_send_snapshot(&a, &b, 302, 64u << 20);
    UNTIL(b.accepted == 3 && b.snapshot_received > 0 && b.snapshot_received < 64u << 20);
    node_send_snapshot(&a, &b, 303, 1u << 20); /* a newer one takes its place */
    UNTIL(a.results.n == 3);
    assert_int_equal(a.results.v[2].index, 303);
    UNTIL(b.snapshot_ends == 3); /* 301, 302 and 303 */

    /* Given up in the middle. */
    b.receive_delay_ms = 1;
    node_send_snapshot(&a, &b, 304, 64u << 20);
    UNTIL(b.requests.n == 5 && b.snapshot_received > 0 && b.snapshot_received < 64u << 20);
    node_answer(&b, 4, false);
    UNTIL(a.results.n == 4);
    assert_false(a.results.v[3].success);
    assert_int_equal(sources_alive, 0);
    assert_int_equal(b.snapshot_ends, 3);
    assert_int_equal(a.unreachable, 0);
    pair_end(&a, &b);
}

/* As a leader of the reference sends it: everything, and only then it looks for the answer. */
static void test_snapshot_skipped(void **state)
{
    (void)state;
    struct node b;
    struct raw r;
    struct buf bytes = {0};
    fixture_begin();
    node_start(&b, 2, 0, 0);
    buf_byte(&bytes, 1);
    raw_put_install(&bytes, 3000000);
    buf_fill(&bytes, 'x', 3000000);
    raw_put_append(&bytes, 9);
    raw_connect(&r, &b.address);
    raw_write(&r, buf_view(&bytes));
    UNTIL(b.requests.n == 2);
    assert_int_equal(b.requests.v[1].term, 9);
    /* Both answers are there, the snapshot's first: {"ProtocolVersion", "Success", "Term"}. */
    struct msgpack_scan scan;
    raft_wire_reply_scan(&scan);
    UNTIL(msgpack_scan(&scan, buf_view(&r.got)) == 1);
    assert_str_lit(str_first(buf_view(&r.got), 2), "\xa0\x83");
    size_t first = scan.at;
    raft_wire_reply_scan(&scan);
    UNTIL(msgpack_scan(&scan, str_from(buf_view(&r.got), first)) == 1);
    assert_false(r.has_ended);
    assert_int_equal(b.snapshot_ends, 0);
    raw_close(&r);
    buf_deinit(&bytes);
    node_stop(&b);
    fixture_end();
}

/* What leaders and candidates of the reference have sent, fed to a server. */
static void test_recorded(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"raft-015-to.bin", "raft-015-from.bin"},
                                           {"raft-017-to.bin", "raft-017-from.bin"},
                                           {"raft-025-to.bin", "raft-025-from.bin"},
                                           {"raft-028-to.bin", "raft-028-from.bin"}};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct node b;
        struct raw r;
        fixture_begin();
        node_start(&b, 2, 0, 0);
        struct str to = recorded(names[i][0]), from = recorded(names[i][1]);
        size_t answers = 0, wanted = 0;
        for (struct str rest = from; rest.n > 0; wanted++) {
            struct msgpack_scan scan;
            raft_wire_reply_scan(&scan);
            assert_int_equal(msgpack_scan(&scan, rest), 1);
            rest = str_from(rest, scan.at);
        }
        raw_connect(&r, &b.address);
        for (size_t at = 0; at < to.n; at += 1000) {
            raw_write(&r, str_first(str_from(to, at), 1000));
        }
        UNTIL(b.requests.n >= wanted);
        struct msgpack_scan scan;
        raft_wire_reply_scan(&scan);
        size_t at = 0;
        while (answers < wanted) {
            UNTIL(msgpack_scan(&scan, str_from(buf_view(&r.got), at)) == 1);
            at += scan.at;
            raft_wire_reply_scan(&scan);
            answers++;
        }
        assert_false(r.has_ended);
        assert_true(b.requests.n - wanted <= 1); /* the last may have had no answer */
        raw_close(&r);
        node_stop(&b);
        fixture_end();
        (void)mem_free((void *)to.p);
        (void)mem_free((void *)from.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),       cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_heartbeats),       cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_snapshot_refused), cmocka_unit_test(test_snapshot_skipped),
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
