#include "test.h"

#include "../proto/wire_fixture.h"
#include "raft/wire.h"

struct count {
    size_t appends, votes, heartbeats, entries;
};

/* Every request of a recorded connection, with every answer: decoded, encoded, the same bytes. */
static void replay(const char *to_name, const char *from_name, struct count *count)
{
    struct str to = recorded(to_name), from = recorded(from_name);
    struct str requests = str_from(to, 1), replies = from;
    assert_int_equal(to.p[0], 1);
    while (requests.n > 0) {
        struct arena a = {0};
        struct buf again = {0};
        struct err err = {0};
        struct msgpack_scan scan;
        struct raft_wire_request request;
        raft_wire_request_scan(&scan);
        assert_int_equal(msgpack_scan(&scan, requests), 1);
        struct str bytes = str_first(requests, scan.at);
        assert_ok(raft_wire_request_decode(bytes, &a, &request, &err));
        raft_wire_request_encode(&request, &again);
        assert_str_equal(buf_view(&again), bytes);
        requests = str_from(requests, scan.at);
        count->votes += request.msg.kind == RAFT_MSG_VOTE;
        if (request.msg.kind == RAFT_MSG_APPEND) {
            count->appends++;
            count->entries += request.msg.append.count;
            count->heartbeats += request.msg.append.entries == NULL;
        }
        assert_int_equal(request.protocol, RAFT_WIRE_PROTOCOL);
        assert_true(request.msg.term > 0);

        raft_wire_reply_scan(&scan);
        if (replies.n > 0) { /* the last request may have had no answer */
            assert_int_equal(msgpack_scan(&scan, replies), 1);
            bytes = str_first(replies, scan.at);
            struct raft_wire_reply reply;
            assert_ok(raft_wire_reply_decode(bytes, &request.msg, &reply, &err));
            assert_int_equal(reply.error.n, 0);
            buf_clear(&again);
            raft_wire_reply_encode(&reply, &again);
            assert_str_equal(buf_view(&again), bytes);
            replies = str_from(replies, scan.at);
        }
        buf_deinit(&again);
        arena_deinit(&a);
    }
    assert_int_equal(replies.n, 0);
    (void)mem_free((void *)to.p);
    (void)mem_free((void *)from.p);
}

static void test_recorded(void **state)
{
    (void)state;
    struct count c = {0};
    replay("raft-015-to.bin", "raft-015-from.bin", &c);
    replay("raft-017-to.bin", "raft-017-from.bin", &c);
    replay("raft-025-to.bin", "raft-025-from.bin", &c);
    replay("raft-028-to.bin", "raft-028-from.bin", &c);
    assert_int_equal(c.votes, 4);
    assert_true(c.appends > 200);
    assert_true(c.heartbeats > 10);
    assert_int_equal(c.entries, 31);
}

static struct str request_bytes(const struct raft_wire_request *r, struct buf *to)
{
    buf_clear(to);
    raft_wire_request_encode(r, to);
    struct msgpack_scan scan;
    raft_wire_request_scan(&scan);
    assert_int_equal(msgpack_scan(&scan, buf_view(to)), 1);
    assert_int_equal(scan.at, to->n);
    return buf_view(to);
}

static void test_install(void **state)
{
    (void)state;
    struct raft_wire_request r = {.protocol = 3, .snapshot_size = 1234}, back;
    struct arena a = {0};
    struct buf b = {0};
    struct err err = {0};
    r.msg.kind = RAFT_MSG_INSTALL;
    r.msg.term = 7;
    r.msg.install.leader = STR("1.2.3.4:8300");
    r.msg.install.index = 300;
    r.msg.install.term = 6;
    r.msg.install.configuration_index = 2;
    assert_ok(raft_configuration_add(&r.msg.install.configuration, RAFT_VOTER, STR("id1"),
                                     STR("1.2.3.4:8300"), NULL));
    struct str bytes = request_bytes(&r, &b);
    assert_int_equal(bytes.p[0], 2);
    assert_ok(raft_wire_request_decode(bytes, &a, &back, &err));
    assert_int_equal(back.msg.kind, RAFT_MSG_INSTALL);
    assert_int_equal(back.snapshot_size, 1234);
    assert_int_equal(back.msg.install.index, 300);
    assert_int_equal(back.msg.install.term, 6);
    assert_int_equal(back.msg.install.configuration_index, 2);
    assert_str_lit(back.msg.install.leader, "1.2.3.4:8300");
    assert_true(
        raft_configuration_eq(&back.msg.install.configuration, &r.msg.install.configuration));
    assert_true(!back.msg.install.pre && back.msg.install.stage == 0);
    for (size_t n = 0; n < bytes.n; n++) { /* no beginning of a message is one */
        assert_true(raft_wire_request_decode(str_first(bytes, n), &a, &back, &err) < 0);
    }
    r.msg.install.stage = 5;
    assert_ok(raft_wire_request_decode(request_bytes(&r, &b), &a, &back, &err));
    assert_true(!back.msg.install.pre && back.msg.install.stage == 5);
    r.msg.install.pre = true;
    bytes = request_bytes(&r, &b);
    assert_int_equal(bytes.p[0], 64); /* which the reference has not */
    assert_ok(raft_wire_request_decode(bytes, &a, &back, &err));
    assert_true(back.msg.kind == RAFT_MSG_INSTALL && back.msg.install.pre);
    assert_true(back.msg.install.stage == 5 && back.snapshot_size == 1234);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void test_others(void **state)
{
    (void)state;
    struct raft_wire_request r = {.protocol = 3}, back;
    struct buf b = {0};
    struct err err = {0};
    r.msg.kind = RAFT_MSG_TIMEOUT_NOW;
    assert_str_lit(request_bytes(&r, &b), "\x03\x81\xafProtocolVersion\x03");
    assert_ok(raft_wire_request_decode(buf_view(&b), NULL, &back, &err));
    assert_int_equal(back.msg.kind, RAFT_MSG_TIMEOUT_NOW);

    r.msg.kind = RAFT_MSG_VOTE;
    r.msg.vote.pre = true;
    r.msg.vote.candidate = STR("1.2.3.4:8300");
    assert_int_equal(request_bytes(&r, &b).p[0], 4);
    assert_ok(raft_wire_request_decode(buf_view(&b), NULL, &back, &err));
    assert_true(back.msg.vote.pre);
    assert_str_lit(back.msg.vote.candidate, "1.2.3.4:8300");

    /* A heartbeat of ours says how often they come. */
    r.msg = (struct raft_msg){.kind = RAFT_MSG_APPEND, .term = 7};
    r.msg.append.leader = STR("1.2.3.4:8300");
    r.msg.append.interval_ms = 100;
    (void)request_bytes(&r, &b);
    struct arena a = {0};
    assert_ok(raft_wire_request_decode(buf_view(&b), &a, &back, &err));
    assert_int_equal(back.msg.append.interval_ms, 100);
    arena_deinit(&a);

    /* An error comes with a reply all the same; a conflict goes under a key of our own. */
    struct raft_wire_reply reply = {.protocol = 3, .error = STR("boom")}, reply_back;
    reply.msg.kind = RAFT_MSG_APPEND_RESULT;
    reply.msg.append_result.conflict_index = 9;
    struct raft_msg append = {.kind = RAFT_MSG_APPEND};
    buf_clear(&b);
    raft_wire_reply_encode(&reply, &b);
    assert_ok(raft_wire_reply_decode(buf_view(&b), &append, &reply_back, &err));
    assert_str_lit(reply_back.error, "boom");
    assert_int_equal(reply_back.msg.append_result.conflict_index, 9);
    assert_ok(raft_wire_reply_decode(STR("\xa1x\xc0"), &append, &reply_back, &err));
    assert_str_lit(reply_back.error, "x");
    buf_deinit(&b);
}

static void test_refused(void **state)
{
    (void)state;
    struct arena a = {0};
    struct buf b = {0};
    struct err err = {0};
    struct raft_wire_request r = {.protocol = 3}, back;
    assert_int_equal(raft_wire_request_decode(STR("\x09\x80"), &a, &back, &err), -ERR_UNSUPPORTED);
    assert_string_equal(err_text(&err), "unknown rpc type 9");
    struct raft_entry entries[RAFT_WIRE_ENTRIES_MAX + 1] = {0};
    r.msg.kind = RAFT_MSG_APPEND;
    r.msg.append.entries = entries;
    r.msg.append.count = ARRAY_SIZE(entries);
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
        entries[i].index = i + 1;
    }
    assert_int_equal(raft_wire_request_decode(request_bytes(&r, &b), &a, &back, &err),
                     -ERR_TOO_LARGE);
    r.msg.append.count = RAFT_WIRE_ENTRIES_MAX;
    assert_ok(raft_wire_request_decode(request_bytes(&r, &b), &a, &back, &err));
    entries[5].index = 5; /* a hole, or one twice */
    assert_int_equal(raft_wire_request_decode(request_bytes(&r, &b), &a, &back, &err),
                     -ERR_INVALID);
    entries[5].index = 6;
    entries[5].type = (enum raft_entry_type)2;
    assert_int_equal(raft_wire_request_decode(request_bytes(&r, &b), &a, &back, &err),
                     -ERR_UNSUPPORTED);
    buf_deinit(&b);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_install),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
