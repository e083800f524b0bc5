/* Connections of port 8300: what a client may have us hold, and for how long. */
#include "rpc_conn_fixture.h"

/* --- bounds ---------------------------------------------------------------------------------- */

static struct rpc_conn *only_conn(struct fixture *f)
{
    assert_int_equal(rpc_listener_connections(f->listener), 1);
    return container_of(f->listener->conns.next, struct rpc_conn, node);
}

/* The client does not take what it is sent. */
static bool has_stalled(struct fixture *f)
{
    return tcp_pending(&only_conn(f)->tcp) > 0;
}

static bool is_pinging(struct fixture *f)
{
    return only_conn(f)->is_pinging;
}

static bool is_not_pinging(struct fixture *f)
{
    return !only_conn(f)->is_pinging;
}

/* Far more is asked for than a connection may have unsent; the answers come as they are read. */
static void asking_without_reading_waits(void **state)
{
    struct fixture *f = *state;
    enum { CALLS = 40, STREAMS = 8 };
    struct buf b = {0};
    char *value = xcalloc(1, VALUE_SIZE);
    client_open(f, RPC_CONN_MULTIPLEX);
    uint32_t writer = stream_open(f), ids[STREAMS];
    put_set(&b, 1, STR("a"), str_make(value, VALUE_SIZE - 1024));
    stream_send(f, writer, &b);
    run_until_answers(f, 1);
    f->is_paused = true;
    for (size_t i = 0; i < STREAMS; i++) {
        ids[i] = stream_open(f);
        for (size_t k = 0; k < CALLS; k++) {
            put_get(&b, k, STR("a"), 0);
        }
        stream_send(f, ids[i], &b);
    }
    run_until(f, has_stalled);
    assert_true(rpc_mux_unsent(only_conn(f)->mux) <=
                RPC_CONN_UNSENT_PAUSE + STREAMS * (size_t)VALUE_SIZE);
    f->is_paused = false;
    run_until_answers(f, 1 + CALLS * STREAMS);
    for (size_t i = 0; i < STREAMS; i++) {
        for (size_t k = 0; k < CALLS; k++) {
            assert_int_equal(answer(&f->streams[1 + i], k).seq, k);
        }
    }
    buf_deinit(&b);
    mem_free(value);
}

static void asking_without_reading_waits_on_one_connection(void **state)
{
    struct fixture *f = *state;
    enum { CALLS = 40 };
    struct buf b = {0};
    char *value = xcalloc(1, VALUE_SIZE);
    client_open(f, RPC_CONN_RPC);
    int size = 1 << 20;
    (void)setsockopt(f->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    put_set(&b, 0, STR("a"), str_make(value, VALUE_SIZE - 1024));
    for (size_t left = b.n; left > 0;) {
        ssize_t n = send(f->fd, b.p + b.n - left, left, MSG_NOSIGNAL);
        left -= n > 0 ? (size_t)n : 0;
        f->wanted = 0;
        run_until(f, has_answers);
    }
    run_until_answers(f, 1);
    buf_clear(&b);
    f->is_paused = true;
    for (size_t k = 1; k <= CALLS; k++) {
        put_get(&b, k, STR("a"), 0);
    }
    client_send(f, buf_view(&b));
    run_until(f, has_stalled);
    assert_null(only_conn(f)->single.call);
    assert_true(only_conn(f)->single.in.n > 0); /* no call begins */
    f->is_paused = false;
    run_until_answers(f, 1 + CALLS);
    assert_int_equal(answer(&f->in, CALLS).seq, CALLS);
    buf_deinit(&b);
    mem_free(value);
}

static void ignore_changes(void *data)
{
    (void)data;
}

/* The same without sockets: nothing is ever taken from it. */
static void a_mux_begins_no_call_beyond_its_bound(void **state)
{
    struct fixture *f = *state;
    enum { CALLS = 100 };
    struct buf b = {0};
    char *value = xcalloc(1, VALUE_SIZE);
    uint32_t id;
    client_open(f, RPC_CONN_RPC);
    put_set(&b, 0, STR("a"), str_make(value, 100000));
    client_send(f, buf_view(&b));
    run_until_answers(f, 1);
    struct rpc_mux *m = rpc_mux_new(&f->main, "test", ignore_changes, NULL);
    struct yamux *y = yamux_new(&(struct yamux_options){.is_client = true});
    for (size_t i = 0; i < CALLS; i++) {
        buf_clear(&b);
        put_get(&b, i, STR("a"), 0);
        assert_ok(yamux_open(y, &id));
        assert_int_equal(yamux_send(y, id, buf_view(&b)), b.n);
    }
    rpc_mux_read(m, yamux_out(y));
    assert_int_equal(rpc_mux_streams(m), CALLS);
    assert_true(rpc_mux_unsent(m) > RPC_CONN_UNSENT_PAUSE);
    assert_true(rpc_mux_unsent(m) < RPC_CONN_UNSENT_PAUSE + VALUE_SIZE);
    size_t total = 0;
    for (struct str out; (out = rpc_mux_out(m)).n > 0;) { /* taken, the calls go on */
        total += out.n;
        rpc_mux_out_done(m, out.n);
    }
    assert_null(rpc_mux_error(m));
    assert_int_equal(rpc_mux_unsent(m), 0);
    assert_true(total > CALLS * 100000u);
    m = rpc_mux_free(m);
    y = yamux_free(y);
    buf_deinit(&b);
    mem_free(value);
}

/* Requests of 60 MB are fine, a connection with three of them half sent is not. */
static void a_mux_keeps_so_much_of_unfinished_requests(void **state)
{
    struct fixture *f = *state;
    char *zeros = xcalloc(1, VALUE_SIZE);
    struct rpc_mux *m = rpc_mux_new(&f->main, "test", ignore_changes, NULL);
    struct yamux *y = yamux_new(&(struct yamux_options){.is_client = true});
    uint32_t id = 0;
    size_t total = 0;
    while (rpc_mux_error(m) == NULL && total < 2 * RPC_CONN_INPUT_SIZE_MAX) {
        if (total % (59u << 20) == 0) {
            assert_ok(yamux_open(y, &id));
            assert_true(yamux_send(y, id, STR("\xdb\x03\xc0\x00\x00")) == 5);
        }
        int64_t n = yamux_send(y, id, str_make(zeros, 65536));
        assert_true(n >= 0);
        total += 65536;
        rpc_mux_read(m, yamux_out(y));
        yamux_out_done(y, yamux_out(y).n);
        struct str out = rpc_mux_out(m);
        struct yamux_event e;
        for (struct str in = out; yamux_next(y, &in, &e) > 0;) {
        }
        rpc_mux_out_done(m, out.n);
    }
    assert_string_equal(rpc_mux_error(m), "too many bytes of unfinished requests");
    m = rpc_mux_free(m);
    y = yamux_free(y);
    mem_free(zeros);
}

static bool all_gone_but_two(struct fixture *f)
{
    return rpc_listener_connections(f->listener) == 2;
}

static void a_client_has_so_many_connections(void **state)
{
    struct fixture *f = *state;
    char byte;
    int one = client_connect(f), two = client_connect(f), three = client_connect(f);
    assert_int_equal(rpc_listener_connections(f->listener), 2);
    assert_int_equal(recv(three, &byte, 1, 0), 0);
    assert_int_equal(recv(two, &byte, 1, 0), -1);
    assert_int_equal(close(three), 0);
    rpc_front_set_limits(f->front, 3, GIVE_UP_MS);
    three = client_connect(f);
    assert_int_equal(rpc_listener_connections(f->listener), 3);
    assert_int_equal(close(one), 0);
    run_until(f, all_gone_but_two);
    one = client_connect(f); /* room again */
    assert_int_equal(rpc_listener_connections(f->listener), 3);
    assert_int_equal(close(one), 0);
    assert_int_equal(close(two), 0);
    assert_int_equal(close(three), 0);
    run_until(f, is_gone);
}

static void the_first_byte_has_to_come(void **state)
{
    struct fixture *f = *state;
    rpc_front_set_limits(f->front, 2, 20);
    f->fd = client_connect(f);
    run_until(f, is_closed);
    struct buf b = {0};
    client_open(f, RPC_CONN_RPC);
    put_ping(&b, 1);
    f->wanted = 0;
    uint64_t begin = clock_mono_ms();
    while (clock_mono_ms() < begin + 40) { /* after it the limit is over */
        run_until(f, has_answers);
    }
    client_send(f, buf_view(&b));
    run_until_answers(f, 1);
    buf_deinit(&b);
}

/* As with other options from the start. */
static void set_times(struct fixture *f, uint64_t keepalive_ms, uint64_t keepalive_timeout_ms,
                      uint64_t stall_ms)
{
    f->front->keepalive_ms = keepalive_ms;
    f->front->keepalive_timeout_ms = keepalive_timeout_ms;
    f->front->stall_ms = stall_ms;
}

static void a_yamux_peer_is_pinged(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    set_times(f, 5, GIVE_UP_MS, GIVE_UP_MS);
    client_open(f, RPC_CONN_MULTIPLEX);
    run_until(f, is_pinging); /* yamux answers by itself */
    run_until(f, is_not_pinging);
    run_until(f, is_pinging);
    put_ping(&b, 1);
    stream_send(f, stream_open(f), &b);
    run_until_answers(f, 1);

    set_times(f, 5, 5, GIVE_UP_MS);
    client_open(f, RPC_CONN_MULTIPLEX);
    f->is_paused = true; /* dead */
    run_until(f, is_gone);
    buf_deinit(&b);
}

static void half_a_request_has_its_time(void **state)
{
    struct fixture *f = *state;
    static const struct str halves[] = {STR_INIT("\x00\x82\xa3Seq"), STR_INIT("\x05\x84"),
                                        STR_INIT("\x05")};
    set_times(f, GIVE_UP_MS, GIVE_UP_MS, 5);
    for (size_t i = 0; i < ARRAY_SIZE(halves); i++) {
        client_close(f);
        f->fd = client_connect(f);
        client_send(f, halves[i]);
        run_until(f, is_closed);
    }
    /* Between requests it may take as long as it likes. */
    struct buf b = {0};
    client_open(f, RPC_CONN_RPC);
    put_ping(&b, 1);
    client_send(f, buf_view(&b));
    run_until_answers(f, 1);
    assert_false(loop_timer_is_active(&only_conn(f)->timer));
    buf_deinit(&b);
}

static void an_answer_has_to_be_taken(void **state)
{
    struct fixture *f = *state;
    enum { CALLS = 40 };
    struct buf b = {0};
    char *value = xcalloc(1, VALUE_SIZE);
    client_open(f, RPC_CONN_RPC);
    put_set(&b, 0, STR("a"), str_make(value, 100000));
    client_send(f, buf_view(&b));
    run_until_answers(f, 1);
    set_times(f, GIVE_UP_MS, GIVE_UP_MS, 20);
    buf_clear(&b);
    for (size_t k = 1; k <= CALLS; k++) {
        put_get(&b, k, STR("a"), 0);
    }
    f->is_paused = true;
    client_send(f, buf_view(&b));
    run_until(f, is_gone);
    buf_deinit(&b);
    mem_free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(asking_without_reading_waits),
        T(asking_without_reading_waits_on_one_connection),
        T(a_mux_begins_no_call_beyond_its_bound),
        T(a_mux_keeps_so_much_of_unfinished_requests),
        T(a_client_has_so_many_connections),
        T(the_first_byte_has_to_come),
        T(a_yamux_peer_is_pinged),
        T(half_a_request_has_its_time),
        T(an_answer_has_to_be_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
