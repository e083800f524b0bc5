/* Archives of a real server in memory: saved, restored, refused, asked for and forgotten.
 * Everything is driven by the main loop until a condition holds. */
#include "server_fixture.h"

#include "base/clock.h"
#include "raft/raft.h"
#include "schema/kv.h"
#include "server/rpc.h"
#include "server/server.h"
#include "server/snapshot.h"
#include "store/autopilot.h"
#include "store/kv.h"

#include <stdio.h>

struct fixture {
    struct server_fixture base;
    bool is_done;
    struct err err;        /* of what was done */
    uint64_t index;        /* of a task */
    struct buf archive;    /* saved */
    struct str key, value; /* see check() */
};

static void run_until(struct fixture *f, bool (*until)(void *data))
{
    server_fixture_run_until(&f->base, until, f);
}

static bool is_done(void *data)
{
    struct fixture *f = data;
    return f->is_done;
}

static bool has_autopilot(void *data)
{
    struct fixture *f = data;
    return autopilot_config_get(store_view(f->base.server->store)) != NULL;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    const struct server_options options = SERVER_FIXTURE_OPTIONS;
    server_fixture_init(&f->base, &options);
    server_fixture_start(&f->base);
    run_until(f, has_autopilot); /* the leader's own first writes are over */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    buf_deinit(&f->archive);
    server_fixture_deinit(&f->base);
    mem_free(f);
    return 0;
}

static void written(struct rpc_call *call)
{
    struct fixture *f = call->data;
    f->err = call->err != NULL ? *call->err : (struct err){0};
    f->is_done = true;
    rpc_call_free(call);
}

static void put(struct fixture *f, struct str key, struct str value)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, &rpc_kvs_apply);
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
static bool shows(void *data)
{
    struct fixture *f = data;
    const struct dir_entry *e;
    (void)kv_get(store_view(f->base.server->store), NULL, f->key, &e);
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
    f->index = t->meta.index;
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
    assert_non_null(snapshot_save(&f->base.main, false, task_done, f, &err));
    run_until(f, is_done);
    assert_string_equal(f->err.text, "");
}

static void restore(struct fixture *f, struct str bytes)
{
    struct err err = {0};
    struct buf archive = {0};
    buf_str(&archive, bytes);
    f->is_done = false;
    assert_non_null(snapshot_restore_archive(&f->base.main, &archive, task_done, f, &err));
    run_until(f, is_done);
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    struct raft_status before, after;
    put(f, STR("a"), STR("one"));
    raft_status(f->base.server->raft, &before);
    save(f);
    uint64_t index = f->index;
    assert_true(index >= before.applied_index);
    put(f, STR("a"), STR("two"));
    put(f, STR("b"), STR("new"));
    raft_status(f->base.server->raft, &before);
    restore(f, buf_view(&f->archive));
    assert_string_equal(f->err.text, "");
    check(f, STR("a"), STR("one"));
    check(f, STR("b"), STR("(none)"));
    raft_status(f->base.server->raft, &after);
    assert_true(f->index > before.applied_index && after.applied_index >= f->index);
    assert_true(server_is_leader(f->base.server));
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
    snapshot_task_cancel(snapshot_save(&f->base.main, false, NULL, NULL, &err));
    snapshot_task_cancel(snapshot_restore_archive(&f->base.main, &f->archive, NULL, NULL, &err));
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
