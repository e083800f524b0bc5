/* Connections of port 8300 on a real server in memory. Everything runs on one loop; the client's
 * end of each connection is a socket that the test reads whenever the loop lets it. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "loop/address.h"
#include "proto/msgpack_scan.h"
#include "proto/rpc_frame.h"
#include "proto/yamux.h"
#include "schema/kv.h"
#include "schema/msgpack.h"
#include "schema/snapshot.h"
#include "scripted_membership.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/rpc_conn.h"
#include "server/rpc_mux.h"
#include "server/server.h"

#define GIVE_UP_MS 30000u
#define VALUE_SIZE (256u * 1024u)

struct fixture {
    struct worker main;
    struct server *server;
    struct rpc_front *front;
    struct rpc_listener *listener;
    struct loop_timer poll, limit;
    bool (*until)(struct fixture *f);
    bool gave_up;
    /* The client. */
    int fd;
    bool is_paused; /* it does not read */
    bool eof;
    struct buf in;
    size_t wanted; /* answers */
    struct yamux *yamux;
    struct buf streams[64]; /* what came on each, by (id - 1) / 2 */
    bool finished[64];
    /* What Raft was handed. */
    int raft_fd;
    struct buf raft_rest;
};

/* --- the loop -------------------------------------------------------------------------------- */

static void client_events(struct fixture *f, struct str bytes)
{
    struct yamux_event e;
    while (yamux_next(f->yamux, &bytes, &e) > 0) {
        size_t i = (e.id - 1) / 2;
        if (e.kind == YAMUX_DATA) {
            buf_str(&f->streams[i], e.data);
            yamux_consumed(f->yamux, e.id, e.data.n);
        } else if (e.kind == YAMUX_FINISHED || e.kind == YAMUX_RESET) {
            f->finished[i] = true;
        }
    }
}

static void client_flush(struct fixture *f)
{
    struct str out = f->yamux != NULL ? yamux_out(f->yamux) : STR_NULL;
    while (out.n > 0) {
        ssize_t n = send(f->fd, out.p, out.n, MSG_NOSIGNAL);
        if (n <= 0) {
            break;
        }
        yamux_out_done(f->yamux, (size_t)n);
        out = yamux_out(f->yamux);
    }
}

static void client_poll(struct fixture *f)
{
    static char bytes[65536];
    while (f->fd >= 0 && !f->is_paused && !f->eof) {
        ssize_t n = recv(f->fd, bytes, sizeof(bytes), 0);
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        f->eof = n <= 0;
        if (n > 0 && f->yamux != NULL) {
            client_events(f, str_make(bytes, (size_t)n));
        } else if (n > 0) {
            buf_put(&f->in, bytes, (size_t)n);
        }
    }
    client_flush(f);
}

static void poll_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, poll);
    client_poll(f);
    if (f->until(f)) {
        loop_stop(f->main.loop);
        return;
    }
    loop_timer_start(f->main.loop, t, 1, poll_due);
}

static void limit_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, limit);
    f->gave_up = true;
    loop_stop(f->main.loop);
}

static void run_until(struct fixture *f, bool (*until)(struct fixture *f))
{
    f->until = until;
    loop_timer_start(f->main.loop, &f->poll, 0, poll_due);
    loop_timer_start(f->main.loop, &f->limit, GIVE_UP_MS, limit_due);
    loop_run(f->main.loop);
    loop_timer_stop(f->main.loop, &f->poll);
    loop_timer_stop(f->main.loop, &f->limit);
    assert_false(f->gave_up);
}

static bool leads(struct fixture *f)
{
    return server_is_leader(f->server);
}

static bool is_closed(struct fixture *f)
{
    return f->eof && rpc_listener_connections(f->listener) == 0;
}

static bool is_gone(struct fixture *f)
{
    return rpc_listener_connections(f->listener) == 0;
}

static bool is_blocking(struct fixture *f)
{
    return atomic_load(&f->main.blocking) > 0;
}

static bool is_not_blocking(struct fixture *f)
{
    return atomic_load(&f->main.blocking) == 0;
}

static size_t frames(struct str bytes)
{
    size_t count = 0;
    for (struct msgpack_scan scan; bytes.n > 0; count++) {
        msgpack_scan_begin(&scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
        if (msgpack_scan(&scan, bytes) != 1) {
            break;
        }
        bytes = str_from(bytes, scan.at);
    }
    return count;
}

static bool has_answers(struct fixture *f)
{
    size_t count = frames(buf_view(&f->in));
    for (size_t i = 0; i < ARRAY_SIZE(f->streams); i++) {
        count += frames(buf_view(&f->streams[i]));
    }
    return count >= f->wanted;
}

static void run_until_answers(struct fixture *f, size_t count)
{
    f->wanted = count;
    run_until(f, has_answers);
}

/* --- set-up ---------------------------------------------------------------------------------- */

static void take_raft(void *data, int fd, struct str rest)
{
    struct fixture *f = data;
    f->raft_fd = fd;
    buf_str(&f->raft_rest, rest);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err = {0};
    worker_init(&f->main, loop_new("test"), 0);
    struct server_options options = {
        .datacenter = STR("dc1"),
        .node_name = STR("node1"),
        .node_id = STR("11111111-2222-3333-4444-555555555555"),
        .rpc_address = STR("127.0.0.1:8300"),
        .advertise_address = STR("127.0.0.1"),
        .in_memory = true,
        .bootstrap = true,
        .max_query_time_ms = 600000,
        .default_query_time_ms = 300000,
        .rpc_hold_timeout_ms = 7000,
        .kv_max_value_size = VALUE_SIZE,
        .txn_max_req_len = VALUE_SIZE,
        .tombstone_ttl_ms = 900000,
        .tombstone_granularity_ms = 30000,
        .coordinate_update_period_ms = 5000,
        .coordinate_update_batch_size = 128,
        .coordinate_update_max_batches = 5,
        .raft_multiplier = 1,
    };
    const struct rpc_front_options rpc = {.max_conns_per_client = 2,
                                          .handshake_timeout_ms = GIVE_UP_MS,
                                          .raft_accept = take_raft,
                                          .raft_accept_data = f};
    options.membership =
        &scripted_membership_of_server(f->main.loop, options.node_name, options.node_id,
                                       options.rpc_address, options.advertise_address)
             ->pub;
    assert_ok(server_new(&options, &f->main, &f->server, &err));
    f->front = rpc_front_new(&rpc);
    f->listener = rpc_listener_new(f->front, &f->main);
    f->fd = f->raft_fd = -1;
    assert_ok(server_start(f->server, &err));
    run_until(f, leads);
    *state = f;
    return 0;
}

static void client_close(struct fixture *f)
{
    if (f->fd >= 0) {
        assert_int_equal(close(f->fd), 0);
    }
    f->fd = -1;
    f->eof = f->is_paused = false;
    f->yamux = yamux_free(f->yamux);
    buf_deinit(&f->in);
    for (size_t i = 0; i < ARRAY_SIZE(f->streams); i++) {
        buf_deinit(&f->streams[i]);
        f->finished[i] = false;
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    client_close(f);
    rpc_listener_stop(f->listener);
    run_until(f, is_gone);
    server_stop(f->server);
    loop_stop(f->main.loop);
    loop_run(f->main.loop); /* what was posted last */
    struct loop *loop = f->main.loop;
    worker_deinit(&f->main);
    (void)loop_free(loop);
    f->listener = rpc_listener_free(f->listener);
    f->front = rpc_front_free(f->front);
    (void)server_free(f->server);
    buf_deinit(&f->raft_rest);
    mem_free(f);
    return 0;
}

/* The client's end of a connection that the listener has accepted. */
static int client_connect(struct fixture *f)
{
    int fds[2];
    struct address peer;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_ok(address_parse(&peer, STR("127.0.0.9"), 4711, NULL));
    rpc_listener_accept(f->listener, fds[0], &peer);
    return fds[1];
}

static void client_open(struct fixture *f, uint8_t first_byte)
{
    client_close(f);
    f->fd = client_connect(f);
    assert_int_equal(send(f->fd, &first_byte, 1, MSG_NOSIGNAL), 1);
    if (first_byte == RPC_CONN_MULTIPLEX) {
        f->yamux = yamux_new(&(struct yamux_options){.is_client = true, .out_size_max = 16u << 20});
    }
}

static void client_send(struct fixture *f, struct str bytes)
{
    assert_int_equal(send(f->fd, bytes.p, bytes.n, MSG_NOSIGNAL), bytes.n);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void put_call(struct buf *to, uint64_t seq, const struct rpc_method *method,
                     const void *args)
{
    rpc_request_header_encode(to, seq, str_from_cstr(method->name));
    msgpack_object(to, method->args, args);
}

static void put_ping(struct buf *to, uint64_t seq)
{
    put_call(to, seq, &rpc_status_ping, &(struct empty_args){0});
}

static void put_set(struct buf *to, uint64_t seq, struct str key, struct str value)
{
    const struct kvs_request args = {
        .datacenter = STR("dc1"), .op = KV_SET, .dir_ent = {.key = key, .value = value}};
    put_call(to, seq, &rpc_kvs_apply, &args);
}

static void put_get(struct buf *to, uint64_t seq, struct str key, uint64_t min_index)
{
    const struct key_request args = {
        .datacenter = STR("dc1"),
        .key = key,
        .options = {.min_query_index = min_index,
                    .max_query_time = (int64_t)(GIVE_UP_MS * NS_PER_MS)}};
    put_call(to, seq, &rpc_kvs_get, &args);
}

/* The i-th answer of these bytes. */
static struct rpc_response answer(const struct buf *b, size_t i)
{
    struct str bytes = buf_view(b);
    struct rpc_response r = {0};
    struct err err = {0};
    for (size_t at = 0; at <= i; at++) {
        struct msgpack_scan scan;
        msgpack_scan_begin(&scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
        assert_int_equal(msgpack_scan(&scan, bytes), 1);
        assert_ok(rpc_response_decode(str_first(bytes, scan.at), &r, &err));
        bytes = str_from(bytes, scan.at);
    }
    return r;
}

/* The value of a KVS.Get answer, borrowed, and the index. */
static struct str answer_value(struct rpc_response r, uint64_t *ret_index)
{
    struct arena a = {0};
    struct err err = {0};
    struct indexed_dir_entries reply = {0};
    struct cur c = cur_make(r.body);
    assert_str_equal(r.error, STR(""));
    assert_str_equal(r.method, STR("KVS.Get"));
    assert_ok(msgpack_decode(&c, &indexed_dir_entries_schema, &reply, &a, &err));
    const struct dir_entry *e = reply.entries.n > 0 ? reply.entries.v[0] : NULL;
    struct str value = e != NULL ? e->value : STR_NULL;
    *ret_index = reply.meta.index;
    arena_deinit(&a);
    return value;
}

static uint32_t stream_open(struct fixture *f)
{
    uint32_t id;
    assert_ok(yamux_open(f->yamux, &id));
    return id;
}

static void stream_send(struct fixture *f, uint32_t id, struct buf *b)
{
    assert_int_equal(yamux_send(f->yamux, id, buf_view(b)), b->n);
    client_flush(f);
    buf_clear(b);
}

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
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
        T(asking_without_reading_waits),
        T(asking_without_reading_waits_on_one_connection),
        T(a_mux_begins_no_call_beyond_its_bound),
        T(a_mux_keeps_so_much_of_unfinished_requests),
        T(a_client_has_so_many_connections),
        T(the_first_byte_has_to_come),
        T(a_yamux_peer_is_pinged),
        T(half_a_request_has_its_time),
        T(an_answer_has_to_be_taken),
        T(raft_gets_its_connections),
        T(snapshots_are_saved_and_restored),
        T(a_snapshot_nobody_waits_for_is_given_up),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
