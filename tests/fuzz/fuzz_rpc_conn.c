/* Any bytes as a connection of port 8300 after its first byte: calls one after the other (0), or
 * yamux with calls (4), on a server that has no leader: stale reads are answered, everything else
 * waits and is canceled at the end. Whole, and cut where the second byte says, a stream answers the
 * same. No socket is involved. */
#include "base/err.h"
#include "loop/loop.h"
#include "proto/rpc_frame.h"
#include "scripted_membership.h"
#include "server/rpc_mux.h"
#include "server/rpc_stream.h"
#include "server/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct worker *worker_get(void)
{
    static struct worker w;
    static struct server *server;
    if (server == NULL) {
        struct server_options options = {
            .datacenter = STR("dc1"),
            .node_name = STR("node1"),
            .node_id = STR("11111111-2222-3333-4444-555555555555"),
            .rpc_address = STR("127.0.0.1:8300"),
            .advertise_address = STR("127.0.0.1"),
            .in_memory = true,
            .max_query_time_ms = 600000,
            .default_query_time_ms = 300000,
            .rpc_hold_timeout_ms = 7000,
            .kv_max_value_size = 1024,
            .txn_max_req_len = 1024,
            .coordinate_update_period_ms = 5000,
            .coordinate_update_batch_size = 128,
            .coordinate_update_max_batches = 5,
            .raft_multiplier = 1,
        };
        struct err err = {0};
        worker_init(&w, loop_new("fuzz"), 0);
        options.membership =
            &scripted_membership_of_server(w.loop, options.node_name, options.node_id,
                                           options.rpc_address, options.advertise_address)
                 ->pub;
        ASSERT(server_new(&options, &w, &server, &err) >= 0);
        ASSERT(server_start(server, &err) >= 0); /* nobody to vote: no leader, ever */
    }
    return &w;
}

static void changed(struct rpc_stream *s)
{
    (void)s;
}

static bool has_room(const struct rpc_stream *s)
{
    return s->out.n < RPC_FRAME_SIZE_MAX;
}

static const struct rpc_stream_ops ops = {.changed = changed, .has_room = has_room};

static void feed(struct rpc_stream *s, struct str bytes, struct buf *answers)
{
    rpc_stream_read(s, bytes);
    while (s->out.n > 0) {
        buf_str(answers, buf_view(&s->out));
        buf_clear(&s->out);
        rpc_stream_resume(s);
    }
}

static void fuzz_stream(struct worker *w, struct str bytes, size_t cut)
{
    struct rpc_stream whole, pieces;
    struct buf a = {0}, b = {0};
    rpc_stream_init(&whole, w, "whole", &ops);
    rpc_stream_init(&pieces, w, "pieces", &ops);
    feed(&whole, bytes, &a);
    feed(&pieces, str_first(bytes, cut), &b);
    feed(&pieces, str_from(bytes, cut), &b);
    rpc_stream_end(&whole);
    rpc_stream_end(&pieces);
    ASSERT(a.n == b.n && whole.is_last == pieces.is_last);
    ASSERT((whole.call != NULL) == (pieces.call != NULL));
    rpc_stream_deinit(&whole);
    rpc_stream_deinit(&pieces);
    buf_deinit(&a);
    buf_deinit(&b);
}

static void mux_changed(void *data)
{
    (void)data;
}

static void mux_take(struct rpc_mux *m)
{
    for (struct str out; (out = rpc_mux_out(m)).n > 0;) {
        rpc_mux_out_done(m, out.n);
    }
}

static void fuzz_mux(struct worker *w, struct str bytes, size_t cut)
{
    struct rpc_mux *m = rpc_mux_new(w, "mux", mux_changed, NULL);
    rpc_mux_read(m, str_first(bytes, cut));
    mux_take(m);
    rpc_mux_read(m, str_from(bytes, cut));
    mux_take(m);
    ASSERT(rpc_mux_error(m) != NULL || rpc_mux_unsent(m) < RPC_CONN_UNSENT_SIZE_MAX);
    m = rpc_mux_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    struct worker *w = worker_get();
    struct str bytes = str_make(data + 2, size - 2);
    size_t cut = data[1] % bytes.n;
    if (data[0] == RPC_CONN_MULTIPLEX) {
        fuzz_mux(w, bytes, cut);
    } else {
        fuzz_stream(w, bytes, cut);
    }
    ASSERT(atomic_load(&w->blocking) == 0);
    return 0;
}
