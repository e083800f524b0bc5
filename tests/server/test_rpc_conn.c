/* Connections of port 8300: the kinds by their first byte. */
#include "rpc_conn_fixture.h"

/* --- kind 0 ---------------------------------------------------------------------------------- */

static void calls_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    uint64_t index;
    client_open(f, RPC_CONN_RPC);
    put_ping(&b, 7);
    put_set(&b, 8, STR("a"), STR("one"));
    put_get(&b, 9, STR("a"), 0);
    client_send(f, buf_view(&b));
    run_until_answers(f, 3);
    assert_int_equal(answer(&f->in, 0).seq, 7);
    assert_str_equal(answer(&f->in, 0).body, STR("\x80"));
    assert_int_equal(answer(&f->in, 1).seq, 8);
    assert_str_equal(answer(&f->in, 1).body, STR("\xc2")); /* of cas and the like it is true */
    assert_int_equal(answer(&f->in, 2).seq, 9);
    assert_str_equal(answer_value(answer(&f->in, 2), &index), STR("one"));
    assert_true(index > 1);
    buf_deinit(&b);
}

static void pieces_make_a_call(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    client_open(f, RPC_CONN_RPC);
    put_ping(&b, 1);
    put_ping(&b, 2);
    for (size_t i = 0; i < b.n; i++) {
        client_send(f, str_make(b.p + i, 1));
        f->wanted = 0;
        run_until(f, has_answers); /* a turn of the loop */
    }
    run_until_answers(f, 2);
    assert_int_equal(answer(&f->in, 1).seq, 2);
    buf_deinit(&b);
}

static void what_cannot_be_called_is_the_last(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *method, *body, *error;
    } cases[] = {
        {"Ping", "\x80", "rpc: service/method request ill-formed: Ping"},
        {"Statu.Ping", "\x80", "rpc: can't find service Statu.Ping"},
        {"Status.Pong", "\x80", "rpc: can't find method Status.Pong"},
        {"KVS.Get", "\x81\xa3Key\x90", "msgpack: malformed field KeyRequest.Key"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = {0};
        client_open(f, RPC_CONN_RPC);
        rpc_request_header_encode(&b, 5, str_from_cstr(cases[i].method));
        buf_str(&b, str_from_cstr(cases[i].body));
        put_ping(&b, 6);
        client_send(f, buf_view(&b));
        run_until(f, is_closed);
        struct rpc_response r = answer(&f->in, 0);
        assert_int_equal(r.seq, 5);
        assert_str_equal(r.method, str_from_cstr(cases[i].method));
        assert_str_equal(r.error, str_from_cstr(cases[i].error));
        assert_str_equal(r.body, STR("\x80"));
        assert_int_equal(frames(buf_view(&f->in)), 1);
        buf_deinit(&b);
    }
}

static void what_a_method_refuses_is_answered(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    client_open(f, RPC_CONN_RPC);
    put_set(&b, 1, STR(""), STR("x"));
    put_ping(&b, 2);
    client_send(f, buf_view(&b));
    run_until_answers(f, 2);
    assert_str_equal(answer(&f->in, 0).error, STR("Must provide key"));
    assert_str_equal(answer(&f->in, 1).error, STR(""));
    buf_deinit(&b);
}

static void half_a_connection_is_answered(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    client_open(f, RPC_CONN_RPC);
    put_set(&b, 1, STR("a"), STR("one")); /* under way when the end is seen */
    put_ping(&b, 2);
    client_send(f, buf_view(&b));
    assert_int_equal(shutdown(f->fd, SHUT_WR), 0);
    run_until(f, is_closed);
    assert_int_equal(frames(buf_view(&f->in)), 2);
    buf_deinit(&b);
}

static void garbage_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    static const struct str garbage[] = {
        STR_INIT("\x02"),
        STR_INIT("\x03"),
        STR_INIT("\x06"),
        STR_INIT("\x07"),
        STR_INIT("\x08"),
        STR_INIT("\x16\x03\x01"),
        STR_INIT("GET / HTTP/1.1\r\n"),
        STR_INIT("\x00\xc1"),
        STR_INIT("\x00\xdb\xff\xff\xff\xff"), /* 4 GB to come */
        STR_INIT("\x00\x01\x01"),
        STR_INIT("\x04GET / HTTP/1.1\r\n"),
        STR_INIT("\x04\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00"), /* not its number */
        STR_INIT("\x05\xc1"),
        STR_INIT("\x05\xdf\xff\xff\xff\xff"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
        client_close(f);
        f->fd = client_connect(f);
        client_send(f, garbage[i]);
        run_until(f, is_closed);
    }
}

/* --- kind 4 ---------------------------------------------------------------------------------- */

static void streams_have_calls_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    uint32_t ids[ARRAY_SIZE(f->streams)];
    uint64_t index;
    client_open(f, RPC_CONN_MULTIPLEX);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        ids[i] = stream_open(f);
    }
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        put_set(&b, i, str_make(&ids[i], 4), str_make(&ids[i], 4));
        put_get(&b, i + 1000, str_make(&ids[i], 4), 0);
        stream_send(f, ids[i], &b);
    }
    run_until_answers(f, 2 * ARRAY_SIZE(ids));
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        assert_int_equal(answer(&f->streams[i], 0).seq, i);
        assert_int_equal(answer(&f->streams[i], 1).seq, i + 1000);
        assert_str_equal(answer_value(answer(&f->streams[i], 1), &index), str_make(&ids[i], 4));
    }
    /* Again, on the same stream: clients keep them. */
    put_ping(&b, 3);
    stream_send(f, ids[0], &b);
    run_until_answers(f, 2 * ARRAY_SIZE(ids) + 1);
    assert_int_equal(answer(&f->streams[0], 2).seq, 3);
    buf_deinit(&b);
}

static bool first_is_finished(struct fixture *f)
{
    return f->finished[0];
}

static void a_stream_ends_alone(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    client_open(f, RPC_CONN_MULTIPLEX);
    uint32_t bad = stream_open(f), good = stream_open(f);
    rpc_request_header_encode(&b, 1, STR("No.Such"));
    buf_byte(&b, 0x80);
    stream_send(f, bad, &b);
    run_until(f, first_is_finished);
    assert_str_equal(answer(&f->streams[0], 0).error, STR("rpc: can't find service No.Such"));
    put_ping(&b, 2);
    stream_send(f, good, &b);
    put_ping(&b, 3);
    stream_send(f, bad, &b); /* nobody is there any more */
    run_until_answers(f, 2);
    assert_int_equal(answer(&f->streams[1], 0).seq, 2);
    buf_deinit(&b);
}

/* A query that waits on the client's stream `id`; the index that it waits to pass. */
static uint64_t start_blocking(struct fixture *f, uint32_t id)
{
    struct buf b = {0};
    uint64_t index;
    struct buf *in = &f->streams[(id - 1) / 2];
    size_t before = frames(buf_view(in));
    put_set(&b, 1, STR("a"), STR("one"));
    put_get(&b, 2, STR("a"), 0);
    stream_send(f, id, &b);
    f->wanted = before + 2;
    run_until(f, has_answers);
    assert_str_equal(answer_value(answer(in, before + 1), &index), STR("one"));
    put_get(&b, 3, STR("a"), index);
    stream_send(f, id, &b);
    run_until(f, is_blocking);
    assert_int_equal(frames(buf_view(in)), before + 2);
    buf_deinit(&b);
    return index;
}

static void a_write_wakes_a_blocking_query(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    uint64_t index;
    client_open(f, RPC_CONN_MULTIPLEX);
    uint32_t reader = stream_open(f), writer = stream_open(f);
    uint64_t before = start_blocking(f, reader);
    put_set(&b, 4, STR("a"), STR("two"));
    stream_send(f, writer, &b);
    run_until_answers(f, 4);
    struct rpc_response r = answer(&f->streams[0], 2);
    assert_int_equal(r.seq, 3);
    assert_str_equal(answer_value(r, &index), STR("two"));
    assert_true(index > before);
    assert_int_equal(atomic_load(&f->main.blocking), 0);
    buf_deinit(&b);
}

static void a_query_whose_asker_is_gone_is_canceled(void **state)
{
    struct fixture *f = *state;
    client_open(f, RPC_CONN_MULTIPLEX);
    uint32_t id = stream_open(f);
    start_blocking(f, id);
    yamux_reset(f->yamux, id);
    client_flush(f);
    run_until(f, is_not_blocking);

    client_open(f, RPC_CONN_MULTIPLEX); /* the end of one direction */
    id = stream_open(f);
    start_blocking(f, id);
    yamux_close(f->yamux, id);
    client_flush(f);
    run_until(f, is_not_blocking);
    run_until(f, first_is_finished);

    client_open(f, RPC_CONN_MULTIPLEX); /* the whole connection */
    start_blocking(f, stream_open(f));
    client_close(f);
    run_until(f, is_not_blocking);
    run_until(f, is_gone);

    struct buf b = {0}; /* kind 0 */
    client_open(f, RPC_CONN_RPC);
    put_get(&b, 1, STR("a"), 1000000);
    client_send(f, buf_view(&b));
    run_until(f, is_blocking);
    client_close(f);
    run_until(f, is_not_blocking);
    run_until(f, is_gone);
    buf_deinit(&b);
}

static void a_ping_is_answered(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    client_open(f, RPC_CONN_MULTIPLEX);
    (void)yamux_ping(f->yamux);
    put_ping(&b, 1);
    stream_send(f, stream_open(f), &b);
    run_until_answers(f, 1);
    buf_deinit(&b);
}

/* --- kind 1 ---------------------------------------------------------------------------------- */

static bool raft_has_it(struct fixture *f)
{
    return f->raft_fd >= 0 && rpc_listener_connections(f->listener) == 0;
}

static void raft_gets_its_connections(void **state)
{
    struct fixture *f = *state;
    char bytes[8];
    f->fd = client_connect(f);
    client_send(f, STR("\x01\x02raft"));
    run_until(f, raft_has_it);
    assert_str_equal(buf_view(&f->raft_rest), STR("\x02raft"));
    client_send(f, STR("more"));
    assert_int_equal(recv(f->raft_fd, bytes, sizeof(bytes), 0), 4);
    assert_int_equal(send(f->raft_fd, "back", 4, MSG_NOSIGNAL), 4);
    assert_int_equal(recv(f->fd, bytes, sizeof(bytes), 0), 4);
    assert_memory_equal(bytes, "back", 4);
    assert_int_equal(close(f->raft_fd), 0);
}

/* --- kind 5 ---------------------------------------------------------------------------------- */

static void snapshot_ask(struct fixture *f, const struct snapshot_request *r, struct str archive)
{
    struct buf b = {0};
    client_open(f, RPC_CONN_SNAPSHOT);
    msgpack_object(&b, &snapshot_request_schema, r);
    buf_str(&b, archive);
    client_send(f, buf_view(&b));
    assert_int_equal(shutdown(f->fd, SHUT_WR), 0);
    run_until(f, is_closed);
    buf_deinit(&b);
}

/* What stands behind the response; its error has to be this. */
static struct str snapshot_answer(struct fixture *f, struct str error, uint64_t *ret_index)
{
    struct arena a = {0};
    struct err err = {0};
    struct snapshot_response r = {0};
    struct cur c = cur_make(buf_view(&f->in));
    assert_ok(msgpack_decode(&c, &snapshot_response_schema, &r, &a, &err));
    assert_str_equal(r.error, error);
    *ret_index = r.meta.index;
    arena_deinit(&a);
    return str_make(c.p, cur_left(&c));
}

static void snapshots_are_saved_and_restored(void **state)
{
    struct fixture *f = *state;
    struct snapshot_request r = {.datacenter = STR("dc1"), .op = SNAPSHOT_SAVE};
    struct arena a = {0};
    struct buf b = {0};
    uint64_t index;
    client_open(f, RPC_CONN_RPC);
    put_set(&b, 1, STR("a"), STR("saved"));
    client_send(f, buf_view(&b));
    run_until_answers(f, 1);
    snapshot_ask(f, &r, STR(""));
    struct str archive = arena_str(&a, snapshot_answer(f, STR(""), &index));
    assert_true(archive.n > 100 && index > 1);
    assert_memory_equal(archive.p, "\x1f\x8b", 2);

    buf_clear(&b);
    client_open(f, RPC_CONN_RPC);
    put_set(&b, 1, STR("a"), STR("overwritten"));
    client_send(f, buf_view(&b));
    run_until_answers(f, 1);
    r.op = SNAPSHOT_RESTORE;
    snapshot_ask(f, &r, archive);
    assert_int_equal(snapshot_answer(f, STR(""), &index).n, 0);
    buf_clear(&b);
    client_open(f, RPC_CONN_RPC);
    put_get(&b, 1, STR("a"), 0);
    client_send(f, buf_view(&b));
    run_until_answers(f, 1);
    assert_str_equal(answer_value(answer(&f->in, 0), &index), STR("saved"));

    snapshot_ask(f, &r, STR("no archive"));
    assert_true(f->in.n > 0);
    r.allow_stale = true;
    snapshot_ask(f, &r, archive);
    (void)snapshot_answer(f, STR("stale not allowed for restore"), &index);
    r.datacenter = STR("dc2");
    snapshot_ask(f, &r, archive);
    (void)snapshot_answer(f, STR("No path to datacenter"), &index);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void a_snapshot_nobody_waits_for_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    client_open(f, RPC_CONN_SNAPSHOT);
    msgpack_object(&b, &snapshot_request_schema,
                   &(struct snapshot_request){.datacenter = STR("dc1"), .op = SNAPSHOT_SAVE});
    client_send(f, buf_view(&b));
    f->wanted = 0;
    run_until(f, has_answers);
    rpc_listener_stop(f->listener);
    run_until(f, is_gone);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(calls_are_answered_in_order),
        T(pieces_make_a_call),
        T(what_cannot_be_called_is_the_last),
        T(what_a_method_refuses_is_answered),
        T(half_a_connection_is_answered),
        T(garbage_ends_the_connection),
        T(streams_have_calls_of_their_own),
        T(a_stream_ends_alone),
        T(a_write_wakes_a_blocking_query),
        T(a_query_whose_asker_is_gone_is_canceled),
        T(a_ping_is_answered),
        T(raft_gets_its_connections),
        T(snapshots_are_saved_and_restored),
        T(a_snapshot_nobody_waits_for_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
