/* Calls to another server: a stub of one on loopback, which answers well, badly or not at all. */
#include "test.h"

#include "base/clock.h"
#include "schema/kv.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/rpc_connection.h"
#include "server/rpc_pool.h"
#include "stub_server.h"

#define GIVE_UP_MS 30000u
#define CALLS_MAX 600u

struct call {
    struct rpc_remote remote;
    struct arena arena;
    struct err err; /* a copy */
    bool is_done;
};

struct fixture {
    struct loop *loop;
    struct rpc_pool *pool;
    struct stub stub;
    struct str address;
    struct call calls[CALLS_MAX];
    unsigned done, wanted;
    struct stub_call held[CALLS_MAX];
    struct buf held_method;
    unsigned held_count, held_wanted;
    struct loop_timer limit;
    bool gave_up;
    struct buf big;
};

/* --- what the stub does, by the key that is asked for ------------------------------------------
 */

static void reply_entry(struct stub_call *call, struct str key, struct str value)
{
    struct dir_entry entry = {.key = key, .value = value};
    void *list = &entry;
    struct indexed_dir_entries reply = {.entries = {&list, 1}, .meta = {.index = 7}};
    stub_reply(call, rpc_kvs_get.reply, &reply);
}

static void reply_in_pieces(struct stub_call *call, const struct key_request *args)
{
    struct buf b = {0};
    struct dir_entry entry = {.key = args->key, .value = STR("in pieces")};
    void *list = &entry;
    struct indexed_dir_entries reply = {.entries = {&list, 1}};
    rpc_response_header_encode(&b, call->seq, call->method);
    rpc_body_encode(&b, rpc_kvs_get.reply, &reply);
    for (size_t i = 0; i < b.n; i++) {
        stub_raw(call, str_make(b.p + i, 1));
    }
    buf_deinit(&b);
}

static void handle_get(struct fixture *f, struct stub_call *call, const struct key_request *args)
{
    struct str key = args->key;
    if (str_eq_lit(key, "error")) {
        stub_error(call, "No cluster leader");
    } else if (str_eq_lit(key, "hold")) {
        f->held[f->held_count] = *call;
        f->held[f->held_count++].method = str_from_cstr(rpc_kvs_get.name);
        if (f->held_count == f->held_wanted) {
            loop_stop(f->loop);
        }
    } else if (str_eq_lit(key, "hang up")) {
        stub_hang_up(&f->stub);
    } else if (str_eq_lit(key, "garbage")) {
        stub_raw(call, STR("\xc1 not msgpack"));
    } else if (str_eq_lit(key, "nonsense")) { /* whole, but no answer */
        stub_raw(call, STR("\x01\x02"));
    } else if (str_eq_lit(key, "wrong body")) {
        struct buf b = {0};
        rpc_response_header_encode(&b, call->seq, call->method);
        buf_byte(&b, 0x05);
        stub_raw(call, buf_view(&b));
        buf_deinit(&b);
    } else if (str_eq_lit(key, "other call")) {
        call->seq++;
        reply_entry(call, key, key);
    } else if (str_eq_lit(key, "reset")) {
        yamux_reset(call->session->yamux, call->id);
    } else if (str_eq_lit(key, "finish")) {
        yamux_close(call->session->yamux, call->id);
    } else if (str_eq_lit(key, "go away")) {
        yamux_go_away(call->session->yamux, YAMUX_NORMAL);
        reply_entry(call, key, STR("the last"));
    } else if (str_eq_lit(key, "pieces")) {
        reply_in_pieces(call, args);
    } else if (str_eq_lit(key, "more than asked")) {
        reply_entry(call, key, key);
        stub_raw(call, STR("\x01"));
    } else if (str_has_prefix(key, STR("large"))) {
        reply_entry(call, STR("large"), str_from_cstr(key.n > (1u << 20) ? "all of it" : "cut"));
    } else {
        reply_entry(call, key, key);
    }
}

static void handle(struct stub *stub, struct stub_call *call)
{
    struct fixture *f = stub->data;
    struct arena a = {0};
    struct err err = {0};
    if (str_eq_lit(call->method, "Status.Leader")) {
        struct string_reply reply = {STR("127.0.0.9:8300")};
        stub_reply(call, rpc_status_leader.reply, &reply);
    } else if (str_eq_lit(call->method, "Status.Ping")) {
        stub_reply(call, NULL, NULL);
    } else {
        struct key_request args = {0};
        assert_true(str_eq_lit(call->method, "KVS.Get"));
        assert_ok(rpc_body_decode(call->body, rpc_kvs_get.args, &args, &a, &err));
        handle_get(f, call, &args);
    }
    arena_deinit(&a);
}

/* --- fixture -----------------------------------------------------------------------------------
 */

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->loop = loop_new("test");
    f->pool = rpc_pool_new(f->loop);
    stub_start(&f->stub, f->loop, handle, f);
    f->address = str_from_cstr(f->stub.address);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    f->pool = rpc_pool_free(f->pool);
    f->loop = loop_free(f->loop);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        arena_deinit(&f->calls[i].arena);
    }
    buf_deinit(&f->big);
    mem_free(f);
    return 0;
}

static void limit_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, limit);
    f->gave_up = true;
    loop_stop(f->loop);
}

static void run(struct fixture *f)
{
    loop_timer_start(f->loop, &f->limit, GIVE_UP_MS, limit_due);
    loop_run(f->loop);
    loop_timer_stop(f->loop, &f->limit);
    assert_false(f->gave_up);
}

static void call_done(struct rpc_remote *remote)
{
    struct fixture *f = remote->data;
    struct call *call = container_of(remote, struct call, remote);
    assert_false(call->is_done);
    call->is_done = true;
    call->err = remote->err != NULL ? *remote->err : (struct err){0};
    if (++f->done == f->wanted) {
        loop_stop(f->loop);
    }
}

static struct call *start_method(struct fixture *f, size_t i, const struct rpc_method *method,
                                 const void *args, uint64_t timeout_ms)
{
    struct call *call = &f->calls[i];
    arena_deinit(&call->arena);
    *call = (struct call){0};
    call->remote = (struct rpc_remote){
        .method = method, .args = args, .arena = &call->arena, .done = call_done, .data = f};
    rpc_pool_call(f->pool, f->address, &call->remote, timeout_ms);
    assert_false(call->is_done); /* never from inside */
    return call;
}

static struct call *start(struct fixture *f, size_t i, struct str key, uint64_t timeout_ms)
{
    struct key_request args = {.datacenter = STR("dc1"), .key = key};
    return start_method(f, i, &rpc_kvs_get, &args, timeout_ms);
}

static void run_until_done(struct fixture *f, unsigned count)
{
    f->wanted = count;
    if (f->done < count) {
        run(f);
    }
    assert_int_equal(f->done, count);
    f->done = 0;
}

static struct call *ask(struct fixture *f, struct str key)
{
    struct call *call = start(f, 0, key, GIVE_UP_MS);
    run_until_done(f, 1);
    return call;
}

static void assert_value(const struct call *call, struct str value)
{
    assert_int_equal(call->err.code, 0);
    const struct indexed_dir_entries *reply = call->remote.reply;
    assert_int_equal(reply->entries.n, 1);
    const struct dir_entry *entry = reply->entries.v[0];
    assert_true(str_eq(entry->value, value));
}

static void assert_fails(const struct call *call, int code, const char *text)
{
    assert_int_equal(call->err.code, code);
    assert_string_equal(err_text(&call->err), text);
    assert_null(call->remote.reply);
}

/* --- tests --------------------------------------------------------------------------------------
 */

static void test_answers(void **state)
{
    struct fixture *f = *state;
    assert_value(ask(f, STR("a")), STR("a"));
    assert_value(ask(f, STR("pieces")), STR("in pieces"));
    const struct dc_request leader = {.datacenter = STR("dc1")};
    struct call *call = start_method(f, 0, &rpc_status_leader, &leader, GIVE_UP_MS);
    run_until_done(f, 1);
    assert_int_equal(call->err.code, 0);
    assert_true(str_eq_lit(((struct string_reply *)call->remote.reply)->value, "127.0.0.9:8300"));
    const struct empty_args nothing = {0};
    call = start_method(f, 0, &rpc_status_ping, &nothing, GIVE_UP_MS);
    run_until_done(f, 1);
    assert_int_equal(call->err.code, 0);
    assert_int_equal(f->stub.accepted, 1);
    assert_int_equal(f->stub.opened, 1); /* one after the other, in one stream */
    assert_int_equal(rpc_pool_calls(f->pool), 0);
}

/* More than may be opened before the first is accepted, and more than are kept idle. */
static void test_many_at_once(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < CALLS_MAX; i++) {
            start(f, i, STR("many"), GIVE_UP_MS);
        }
        assert_int_equal(rpc_pool_calls(f->pool), CALLS_MAX);
        run_until_done(f, CALLS_MAX);
        for (size_t i = 0; i < CALLS_MAX; i++) {
            assert_value(&f->calls[i], STR("many"));
        }
    }
    assert_int_equal(f->stub.accepted, 1);
    assert_int_equal(f->stub.calls, 2 * CALLS_MAX);
    assert_true(f->stub.opened <= 2 * CALLS_MAX - RPC_POOL_IDLE_STREAMS_MAX);
    assert_int_equal(f->stub.resets, 0);
}

/* One connection has room for so many; the rest go by others, which last as long as they are used.
 */
static void test_more_than_a_connection_takes(void **state)
{
    struct fixture *f = *state;
    f->pool->streams_max = 100;
    for (size_t i = 0; i < 250; i++) {
        start(f, i, STR("hold"), 0);
    }
    f->held_wanted = 250;
    run(f);
    assert_int_equal(f->stub.accepted, 3);
    assert_int_equal(f->pool->connections_count, 3);
    for (size_t i = 0; i < 250; i++) {
        reply_entry(&f->held[i], STR("hold"), STR("at last"));
    }
    run_until_done(f, 250);
    f->held_count = 0;
    assert_value(ask(f, STR("a")), STR("a"));
    assert_int_equal(f->stub.accepted, 3);
}

/* Answers in another order than the calls, and a call that waits keeps no other waiting. */
static void test_out_of_order(void **state)
{
    struct fixture *f = *state;
    struct call *slow = start(f, 1, STR("hold"), 0);
    assert_value(ask(f, STR("quick")), STR("quick"));
    assert_false(slow->is_done);
    assert_int_equal(f->held_count, 1);
    reply_entry(&f->held[0], STR("hold"), STR("at last"));
    run_until_done(f, 1);
    assert_value(slow, STR("at last"));
}

static void test_errors_are_the_servers(void **state)
{
    struct fixture *f = *state;
    assert_fails(ask(f, STR("error")), ERR_NO_LEADER, "No cluster leader");
    assert_value(ask(f, STR("a")), STR("a"));
    assert_int_equal(f->stub.opened, 1); /* the stream is as good as before */
}

/* Whatever ends in one stream is no matter of the others. */
static void test_bad_answers_fail_their_call(void **state)
{
    static const struct {
        const char *key;
        int code;
    } cases[] = {{"garbage", ERR_INVALID},    {"nonsense", ERR_INVALID},
                 {"wrong body", ERR_INVALID}, {"other call", ERR_INVALID},
                 {"reset", ERR_CONNECTION},   {"finish", ERR_CONNECTION}};
    struct fixture *f = *state;
    struct call *slow = start(f, 1, STR("hold"), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct call *call = ask(f, str_from_cstr(cases[i].key));
        assert_int_equal(call->err.code, cases[i].code);
        assert_null(call->remote.reply);
        assert_value(ask(f, STR("a")), STR("a"));
    }
    assert_value(ask(f, STR("more than asked")), STR("more than asked"));
    assert_value(ask(f, STR("a")), STR("a"));
    assert_false(slow->is_done);
    assert_int_equal(f->stub.accepted, 1);
    rpc_pool_cancel(f->pool, &slow->remote);
}

static void test_connection_lost(void **state)
{
    struct fixture *f = *state;
    struct call *slow = start(f, 1, STR("hold"), 0);
    struct call *call = start(f, 0, STR("hang up"), GIVE_UP_MS);
    run_until_done(f, 2);
    assert_fails(call, ERR_CONNECTION, "EOF");
    assert_fails(slow, ERR_CONNECTION, "EOF");
    assert_value(ask(f, STR("a")), STR("a")); /* over a new one */
    assert_int_equal(f->stub.accepted, 2);
}

static void test_nobody_there(void **state)
{
    struct fixture *f = *state;
    char text[128];
    stub_stop_listening(&f->stub);
    (void)snprintf(text, sizeof(text), "dial tcp %s: connect: connection refused", f->stub.address);
    struct call *other = start(f, 1, STR("b"), GIVE_UP_MS);
    struct call *call = start(f, 0, STR("a"), GIVE_UP_MS);
    run_until_done(f, 2);
    assert_fails(call, ERR_UNREACHABLE, text);
    assert_fails(other, ERR_UNREACHABLE, text);
    f->address = STR("not an address");
    call = ask(f, STR("a"));
    assert_int_equal(call->err.code, ERR_UNREACHABLE);
}

static void test_go_away(void **state)
{
    struct fixture *f = *state;
    struct call *slow = start(f, 1, STR("hold"), 0);
    assert_value(ask(f, STR("go away")), STR("the last"));
    assert_value(ask(f, STR("a")), STR("a"));
    assert_int_equal(f->stub.accepted, 2);
    assert_false(slow->is_done); /* what was under way goes on */
    reply_entry(&f->held[0], STR("hold"), STR("still"));
    run_until_done(f, 1);
    assert_value(slow, STR("still"));
}

static bool is_reset(struct fixture *f)
{
    return f->stub.resets > 0;
}

static void poll_reset(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, limit);
    if (is_reset(f)) {
        loop_stop(f->loop);
        return;
    }
    loop_timer_start(f->loop, t, 1, poll_reset);
}

static void test_cancel_resets_the_stream(void **state)
{
    struct fixture *f = *state;
    struct call *slow = start(f, 1, STR("hold"), 0);
    assert_value(ask(f, STR("a")), STR("a"));
    rpc_pool_cancel(f->pool, &slow->remote);
    assert_int_equal(rpc_pool_calls(f->pool), 0);
    loop_timer_start(f->loop, &f->limit, 1, poll_reset);
    loop_run(f->loop);
    assert_int_equal(f->stub.resets, 1);
    assert_false(slow->is_done);
    /* Before it was sent, and after it is over but not yet reported. */
    rpc_pool_cancel(f->pool, &start(f, 1, STR("a"), 0)->remote);
    f->address = STR("not an address");
    rpc_pool_cancel(f->pool, &start(f, 1, STR("a"), 0)->remote);
    f->address = str_from_cstr(f->stub.address);
    assert_value(ask(f, STR("a")), STR("a"));
    assert_int_equal(f->done, 0);
}

static void test_timeout(void **state)
{
    struct fixture *f = *state;
    struct call *call = start(f, 0, STR("hold"), 20);
    run_until_done(f, 1);
    assert_int_equal(f->held_count, 1);
    assert_fails(call, ERR_TIMEOUT, "i/o deadline reached");
    assert_value(ask(f, STR("a")), STR("a"));
    assert_int_equal(f->stub.accepted, 1);
}

/* A request beyond window and queue goes out as the other side takes it. */
static void test_large_request(void **state)
{
    struct fixture *f = *state;
    buf_lit(&f->big, "large");
    buf_fill(&f->big, 'x', 6u << 20);
    struct call *call = start(f, 0, buf_view(&f->big), GIVE_UP_MS);
    struct call *small = start(f, 1, STR("small"), GIVE_UP_MS);
    run_until_done(f, 2);
    assert_value(call, STR("all of it"));
    assert_value(small, STR("small"));
}

static void test_requests_are_bounded(void **state)
{
    struct fixture *f = *state;
    f->stub.is_silent = true; /* before it accepts */
    buf_fill(&f->big, 'x', 20u << 20);
    size_t refused = 0;
    for (size_t i = 0; i < 5; i++) {
        start(f, i, buf_view(&f->big), 0);
    }
    f->wanted = 2; /* of five times 20 MB, one server takes three */
    run(f);
    for (size_t i = 0; i < 5; i++) {
        refused += f->calls[i].err.code == ERR_RATE_LIMIT;
        if (!f->calls[i].is_done) {
            rpc_pool_cancel(f->pool, &f->calls[i].remote);
        }
    }
    assert_int_equal(refused, 2);
}

static bool has_no_connection(struct fixture *f)
{
    return f->pool->connections_count == 0;
}

static void poll_closed(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, limit);
    if (has_no_connection(f)) {
        loop_stop(f->loop);
        return;
    }
    loop_timer_start(f->loop, t, 1, poll_closed);
}

/* A server that is there but says nothing any more, as one whose machine was lost. */
static void test_silence_ends_a_connection(void **state)
{
    struct fixture *f = *state;
    f->stub.is_silent = true;
    f->pool->ping_ms = 20;
    f->pool->write_ms = 10;
    struct call *call = start(f, 0, STR("a"), 0);
    run_until_done(f, 1);
    assert_fails(call, ERR_CONNECTION, "EOF");
    assert_int_equal(f->pool->connections_count, 0);
}

/* It is not left to the next ping to find that out. */
static void test_silence_after_a_call(void **state)
{
    struct fixture *f = *state;
    f->pool->silence_ms = 50;
    f->pool->write_ms = 10;
    assert_value(ask(f, STR("a")), STR("a")); /* it was heard just now */
    list_for_each (node, &f->stub.sessions) {
        tcp_read_stop(&list_entry(node, struct stub_session, node)->tcp);
    }
    struct call *call = start(f, 0, STR("b"), 0);
    run_until_done(f, 1);
    assert_fails(call, ERR_CONNECTION, "EOF");
    assert_int_equal(f->pool->connections_count, 0);
}

/* Who answers pings may take his time with a call. */
static void test_a_slow_answer(void **state)
{
    struct fixture *f = *state;
    f->pool->silence_ms = 10;
    f->pool->write_ms = 1000;
    struct call *call = start(f, 0, STR("hold"), 0);
    loop_timer_start(f->loop, &f->limit, 100, limit_due);
    loop_run(f->loop);
    f->gave_up = false;
    assert_false(call->is_done);
    assert_int_equal(f->pool->connections_count, 1);
    reply_entry(&f->held[0], STR("a"), STR("late"));
    run_until_done(f, 1);
    assert_int_equal(call->err.code, 0);
}

/* One that answers pings lives as long as it is used, and some time longer. */
static void test_pings_keep_a_connection(void **state)
{
    struct fixture *f = *state;
    f->pool->ping_ms = 20;
    f->pool->write_ms = 10;
    f->pool->idle_ms = 200;
    assert_value(ask(f, STR("a")), STR("a"));
    loop_timer_start(f->loop, &f->limit, 100, limit_due);
    loop_run(f->loop);
    f->gave_up = false;
    assert_value(ask(f, STR("a")), STR("a"));
    assert_true(f->stub.accepted >= 1);
    loop_timer_start(f->loop, &f->limit, 1, poll_closed);
    loop_run(f->loop);
    assert_int_equal(f->pool->connections_count, 0);
}

static void test_source_address(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    assert_ok(rpc_pool_bind(f->pool, STR(""), &err));
    assert_value(ask(f, STR("a")), STR("a"));
    assert_string_equal(f->stub.peer, "127.0.0.1");
    stub_hang_up(&f->stub);
    assert_ok(rpc_pool_bind(f->pool, STR("127.0.0.77"), &err));
    while (f->stub.accepted < 2) { /* the first call may meet the old connection's end */
        (void)ask(f, STR("a"));
    }
    assert_string_equal(f->stub.peer, "127.0.0.77");
    assert_true(rpc_pool_bind(f->pool, STR("x"), &err) < 0);
}

static void test_codes_of_sentences(void **state)
{
    (void)state;
    assert_int_equal(rpc_error_code(STR("rpc error making call: No cluster leader")),
                     ERR_NO_LEADER);
    assert_int_equal(rpc_error_code(STR("Permission denied")), ERR_PERMISSION_DENIED);
    assert_int_equal(rpc_error_code(STR("Query not found")), ERR_NOT_FOUND);
    assert_int_equal(rpc_error_code(STR("Must provide key")), ERR_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_than_a_connection_takes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_are_the_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_answers_fail_their_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connection_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_go_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_resets_the_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_ends_a_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence_after_a_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_slow_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pings_keep_a_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_source_address, setup, teardown),
        cmocka_unit_test(test_codes_of_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
