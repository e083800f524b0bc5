/* rpc_conn_fixture.h - port 8300 on a real server in memory. Everything runs on one loop; the
 * client's end of each connection is a socket that the test reads whenever the loop lets it.
 *
 *     T(my_test)                                           // a server for it
 *     client_open(f, 0); client_send(f, call); run_until_answers(f, 1); answer(&f->in, 0)
 */
#pragma once
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

UNUSED static void client_events(struct fixture *f, struct str bytes)
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

UNUSED static void client_flush(struct fixture *f)
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

UNUSED static void client_poll(struct fixture *f)
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

UNUSED static void poll_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, poll);
    client_poll(f);
    if (f->until(f)) {
        loop_stop(f->main.loop);
        return;
    }
    loop_timer_start(f->main.loop, t, 1, poll_due);
}

UNUSED static void limit_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, limit);
    f->gave_up = true;
    loop_stop(f->main.loop);
}

UNUSED static void run_until(struct fixture *f, bool (*until)(struct fixture *f))
{
    f->until = until;
    loop_timer_start(f->main.loop, &f->poll, 0, poll_due);
    loop_timer_start(f->main.loop, &f->limit, GIVE_UP_MS, limit_due);
    loop_run(f->main.loop);
    loop_timer_stop(f->main.loop, &f->poll);
    loop_timer_stop(f->main.loop, &f->limit);
    assert_false(f->gave_up);
}

UNUSED static bool leads(struct fixture *f)
{
    return server_is_leader(f->server);
}

UNUSED static bool is_closed(struct fixture *f)
{
    return f->eof && rpc_listener_connections(f->listener) == 0;
}

UNUSED static bool is_gone(struct fixture *f)
{
    return rpc_listener_connections(f->listener) == 0;
}

UNUSED static bool is_blocking(struct fixture *f)
{
    return atomic_load(&f->main.blocking) > 0;
}

UNUSED static bool is_not_blocking(struct fixture *f)
{
    return atomic_load(&f->main.blocking) == 0;
}

UNUSED static size_t frames(struct str bytes)
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

UNUSED static bool has_answers(struct fixture *f)
{
    size_t count = frames(buf_view(&f->in));
    for (size_t i = 0; i < ARRAY_SIZE(f->streams); i++) {
        count += frames(buf_view(&f->streams[i]));
    }
    return count >= f->wanted;
}

UNUSED static void run_until_answers(struct fixture *f, size_t count)
{
    f->wanted = count;
    run_until(f, has_answers);
}

/* --- set-up ---------------------------------------------------------------------------------- */

UNUSED static void take_raft(void *data, int fd, struct tls_session *take_tls, struct str rest)
{
    struct fixture *f = data;
    assert_null(take_tls);
    f->raft_fd = fd;
    buf_str(&f->raft_rest, rest);
}

UNUSED static int setup(void **state)
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

UNUSED static void client_close(struct fixture *f)
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

UNUSED static int teardown(void **state)
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
UNUSED static int client_connect(struct fixture *f)
{
    int fds[2];
    struct address peer;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_ok(address_parse(&peer, STR("127.0.0.9"), 4711, NULL));
    rpc_listener_accept(f->listener, fds[0], &peer);
    return fds[1];
}

UNUSED static void client_open(struct fixture *f, uint8_t first_byte)
{
    client_close(f);
    f->fd = client_connect(f);
    assert_int_equal(send(f->fd, &first_byte, 1, MSG_NOSIGNAL), 1);
    if (first_byte == RPC_CONN_MULTIPLEX) {
        f->yamux = yamux_new(&(struct yamux_options){.is_client = true, .out_size_max = 16u << 20});
    }
}

UNUSED static void client_send(struct fixture *f, struct str bytes)
{
    assert_int_equal(send(f->fd, bytes.p, bytes.n, MSG_NOSIGNAL), bytes.n);
}

/* --- calls ----------------------------------------------------------------------------------- */

UNUSED static void put_call(struct buf *to, uint64_t seq, const struct rpc_method *method,
                            const void *args)
{
    rpc_request_header_encode(to, seq, str_from_cstr(method->name));
    msgpack_object(to, method->args, args);
}

UNUSED static void put_ping(struct buf *to, uint64_t seq)
{
    put_call(to, seq, &rpc_status_ping, &(struct empty_args){0});
}

UNUSED static void put_set(struct buf *to, uint64_t seq, struct str key, struct str value)
{
    const struct kvs_request args = {
        .datacenter = STR("dc1"), .op = KV_SET, .dir_ent = {.key = key, .value = value}};
    put_call(to, seq, &rpc_kvs_apply, &args);
}

UNUSED static void put_get(struct buf *to, uint64_t seq, struct str key, uint64_t min_index)
{
    const struct key_request args = {
        .datacenter = STR("dc1"),
        .key = key,
        .options = {.min_query_index = min_index,
                    .max_query_time = (int64_t)(GIVE_UP_MS * NS_PER_MS)}};
    put_call(to, seq, &rpc_kvs_get, &args);
}

/* The i-th answer of these bytes. */
UNUSED static struct rpc_response answer(const struct buf *b, size_t i)
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
UNUSED static struct str answer_value(struct rpc_response r, uint64_t *ret_index)
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

UNUSED static uint32_t stream_open(struct fixture *f)
{
    uint32_t id;
    assert_ok(yamux_open(f->yamux, &id));
    return id;
}

UNUSED static void stream_send(struct fixture *f, uint32_t id, struct buf *b)
{
    assert_int_equal(yamux_send(f->yamux, id, buf_view(b)), b->n);
    client_flush(f);
    buf_clear(b);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
