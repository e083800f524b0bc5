/* Archives of a real server in memory: saved, restored, refused, asked for and forgotten.
 * Everything is driven by the main loop until a condition holds. */
#include "test.h"

#include "base/clock.h"
#include "raft/raft.h"
#include "schema/kv.h"
#include "server/rpc.h"
#include "server/server.h"
#include "server/snapshot.h"
#include "store/autopilot.h"
#include "store/kv.h"

#include <stdio.h>

#define GIVE_UP_MS 30000u

struct fixture {
    struct worker main;
    struct server *server;
    struct loop_timer poll, limit;
    bool (*until)(struct fixture *f);
    bool is_done;
    struct err err;        /* of what was done */
    uint64_t index;        /* of a task */
    struct buf archive;    /* saved */
    struct str key, value; /* see check() */
    bool gave_up;
};

static void poll_due(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, poll);
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

static bool is_done(struct fixture *f)
{
    return f->is_done;
}

static bool has_autopilot(struct fixture *f)
{
    return autopilot_config_get(store_view(f->server->store)) != NULL;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err = {0};
    worker_init(&f->main, loop_new("test"), 0);
    const struct server_options options = {
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
        .kv_max_value_size = 1024,
        .txn_max_req_len = 1024,
        .tombstone_ttl_ms = 900000,
        .tombstone_granularity_ms = 30000,
        .coordinate_update_period_ms = 5000,
        .coordinate_update_batch_size = 128,
        .coordinate_update_max_batches = 5,
        .raft_multiplier = 1,
        .autopilot = {.max_trailing_logs = 250},
    };
    assert_ok(server_new(&options, &f->main, &f->server, &err));
    assert_ok(server_start(f->server, &err));
    run_until(f, leads);
    run_until(f, has_autopilot); /* the leader's own first writes are over */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buf_deinit(&f->archive);
    server_stop(f->server);
    loop_stop(f->main.loop);
    loop_run(f->main.loop); /* what was posted last */
    struct loop *loop = f->main.loop;
    worker_deinit(&f->main);
    (void)loop_free(loop);
    (void)server_free(f->server);
    mem_free(f);
    return 0;
}

static void written(struct rpc_call *call)
{
    struct fixture *f = call->data;
    f->err = call->err;
    f->is_done = true;
    rpc_call_free(call);
}

static void put(struct fixture *f, struct str key, struct str value)
{
    struct rpc_call *call = rpc_call_new(&f->main, &rpc_kvs_apply);
    struct kvs_request *args = call->args;
    args->op = KV_SET;
    args->dir_ent.key = key;
    args->dir_ent.value = value;
    call->done = written;
    call->data = f;
    f->is_done = false;
    rpc_start(call);
    run_until(f, is_done);
    assert_int_equal(f->err.code, 0);
}

/* Looked at within a turn of the loop: rows may go at any other time. */
static bool shows(struct fixture *f)
{
    const struct dir_entry *e;
    (void)kv_get(store_view(f->server->store), NULL, f->key, &e);
    return str_eq(e != NULL ? e->value : STR("(none)"), f->value);
}

/* In the end the key has this value. */
static void check(struct fixture *f, struct str key, struct str value)
{
    f->key = key;
    f->value = value;
    run_until(f, shows);
}

static void task_done(struct snapshot_task *t)
{
    struct fixture *f = t->data;
    f->err = t->err;
    f->index = t->index;
    if (t->archive.n > 0) {
        buf_clear(&f->archive);
        buf_str(&f->archive, buf_view(&t->archive));
    }
    f->is_done = true;
    snapshot_task_free(t);
}

static void save(struct fixture *f)
{
    struct err err = {0};
    f->is_done = false;
    assert_non_null(snapshot_save(&f->main, task_done, f, &err));
    run_until(f, is_done);
    assert_string_equal(f->err.text, "");
}

static void restore(struct fixture *f, struct str bytes)
{
    struct err err = {0};
    f->is_done = false;
    assert_non_null(snapshot_restore_archive(&f->main, bytes, task_done, f, &err));
    run_until(f, is_done);
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    struct raft_status before, after;
    put(f, STR("a"), STR("one"));
    raft_status(f->server->raft, &before);
    save(f);
    uint64_t index = f->index;
    assert_true(index >= before.applied_index);
    put(f, STR("a"), STR("two"));
    put(f, STR("b"), STR("new"));
    raft_status(f->server->raft, &before);
    restore(f, buf_view(&f->archive));
    assert_string_equal(f->err.text, "");
    check(f, STR("a"), STR("one"));
    check(f, STR("b"), STR("(none)"));
    raft_status(f->server->raft, &after);
    assert_true(f->index > before.applied_index && after.applied_index >= f->index);
    assert_true(leads(f));
    run_until(f, has_autopilot);
    put(f, STR("b"), STR("again"));
    /* Of a restored state, too. */
    save(f);
    assert_true(f->index > index);
    restore(f, buf_view(&f->archive));
    check(f, STR("b"), STR("again"));
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    put(f, STR("a"), STR("one"));
    save(f);
    restore(f, STR("garbage"));
    assert_true(f->err.code != 0);
    restore(f, STR(""));
    assert_true(f->err.code != 0);
    restore(f, str_first(buf_view(&f->archive), f->archive.n - 1));
    assert_true(f->err.code != 0);
    f->archive.p[f->archive.n / 2] ^= 1;
    restore(f, buf_view(&f->archive));
    assert_true(f->err.code != 0);
    check(f, STR("a"), STR("one"));
    put(f, STR("a"), STR("still writing"));
}

/* Who asked went away: a save is for nobody, a restore is carried out. */
static void test_cancel(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    put(f, STR("a"), STR("one"));
    save(f);
    put(f, STR("a"), STR("two"));
    snapshot_task_cancel(snapshot_save(&f->main, NULL, NULL, &err));
    snapshot_task_cancel(
        snapshot_restore_archive(&f->main, buf_view(&f->archive), NULL, NULL, &err));
    check(f, STR("a"), STR("one"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
