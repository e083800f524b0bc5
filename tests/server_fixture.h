/* server_fixture.h - a server in memory on a loop that the test drives until its condition holds.
 *
 *     struct fixture { struct server_fixture base; … };
 *     server_fixture_init(&f->base, &options);    // SERVER_FIXTURE_OPTIONS, changed as one likes
 *     server_fixture_start(&f->base);             // a lone voter leads when this returns
 *     server_fixture_run_until(&f->base, is_done, f);
 *     server_fixture_deinit(&f->base);
 */
#pragma once
#include "test.h"

#include "loop/loop.h"
#include "scripted_membership.h"
#include "server/rpc.h"
#include "server/server.h"

#define GIVE_UP_MS 30000u

struct server_fixture {
    struct worker main;
    struct server *server;
    struct scripted_membership *pool; /* the server's */
    bool wants_wan;                   /* set before server_fixture_init() */
    struct scripted_membership *wan;  /* of the servers everywhere: nobody is in it yet */
    struct loop_timer poll, limit, begin;
    struct rpc_call *call; /* to be started */
    bool (*until)(void *data);
    void *until_data;
    bool gave_up;
};

/* clang-format off */
#define SERVER_FIXTURE_OPTIONS                                \
    {                                                         \
        .datacenter = STR("dc1"),                             \
        .node_name = STR("node1"),                            \
        .node_id = STR("11111111-2222-3333-4444-555555555555"), \
        .rpc_address = STR("127.0.0.1:8300"),                 \
        .advertise_address = STR("127.0.0.1"),                \
        .in_memory = true,                                    \
        .bootstrap = true,                                    \
        .max_query_time_ms = 600000,                          \
        .default_query_time_ms = 300000,                      \
        .rpc_hold_timeout_ms = 7000,                          \
        .kv_max_value_size = 1024,                            \
        .txn_max_req_len = 1024,                              \
        .tombstone_ttl_ms = 900000,                           \
        .tombstone_granularity_ms = 30000,                    \
        .coordinate_update_period_ms = 5000,                  \
        .coordinate_update_batch_size = 128,                  \
        .coordinate_update_max_batches = 5,                   \
        .raft_multiplier = 1,                                 \
        .autopilot = {.max_trailing_logs = 250},              \
    }
/* clang-format on */

static void server_fixture_poll(struct loop_timer *t)
{
    struct server_fixture *f = container_of(t, struct server_fixture, poll);
    if (f->until(f->until_data)) {
        loop_stop(f->main.loop);
        return;
    }
    loop_timer_start(f->main.loop, t, 1, server_fixture_poll);
}

static void server_fixture_limit(struct loop_timer *t)
{
    struct server_fixture *f = container_of(t, struct server_fixture, limit);
    f->gave_up = true;
    loop_stop(f->main.loop);
}

static inline void server_fixture_run_until(struct server_fixture *f, bool (*until)(void *data),
                                            void *data)
{
    f->until = until;
    f->until_data = data;
    loop_timer_start(f->main.loop, &f->poll, 0, server_fixture_poll);
    loop_timer_start(f->main.loop, &f->limit, GIVE_UP_MS, server_fixture_limit);
    loop_run(f->main.loop);
    loop_timer_stop(f->main.loop, &f->poll);
    loop_timer_stop(f->main.loop, &f->limit);
    assert_false(f->gave_up);
}

static void server_fixture_begin(struct loop_timer *t)
{
    struct server_fixture *f = container_of(t, struct server_fixture, begin);
    rpc_start(f->call);
}

/* Start a call with the next turn of the loop: outside of one, what it reads may be freed. One at a
 * time. */
UNUSED static void server_fixture_call(struct server_fixture *f, struct rpc_call *call)
{
    f->call = call;
    loop_timer_start(f->main.loop, &f->begin, 0, server_fixture_begin);
}

static inline bool server_fixture_leads(void *data)
{
    struct server_fixture *f = data;
    return server_is_leader(f->server);
}

static inline void server_fixture_init(struct server_fixture *f,
                                       const struct server_options *options)
{
    struct err err = {0};
    struct server_options own = *options;
    worker_init(&f->main, loop_new("test"), 0);
    f->pool = scripted_membership_of_server(f->main.loop, own.node_name, own.node_id,
                                            own.rpc_address, own.advertise_address);
    own.membership = &f->pool->pub;
    if (f->wants_wan) {
        f->wan = scripted_membership_new(f->main.loop);
        own.wan = &f->wan->pub;
    }
    assert_ok(server_new(&own, &f->main, &f->server, &err));
}

static inline void server_fixture_start(struct server_fixture *f)
{
    struct err err = {0};
    assert_ok(server_start(f->server, &err));
    if (f->server->options.bootstrap) {
        server_fixture_run_until(f, server_fixture_leads, f);
    }
}

/* All but the server's memory, which others may still point into. */
static inline void server_fixture_stop(struct server_fixture *f)
{
    server_stop(f->server);
    loop_stop(f->main.loop);
    loop_run(f->main.loop); /* what was posted last */
    struct loop *loop = f->main.loop;
    worker_deinit(&f->main);
    (void)loop_free(loop);
}

static inline void server_fixture_deinit(struct server_fixture *f)
{
    server_fixture_stop(f);
    (void)server_free(f->server);
}
