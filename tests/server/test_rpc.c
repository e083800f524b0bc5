/* The dispatcher on a real server in memory: reads, writes, blocking, canceling, refusals.
 * Everything runs on the main loop, which also carries the calls; each test drives it until its
 * condition holds. */
#include "config_fixture.h"
#include "server_fixture.h"

#include "server/call.h"

#include "base/clock.h"
#include "raft/raft.h"
#include "schema/kv.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/config_entry.h"

#include <stdio.h>

struct fixture {
    struct server_fixture base;
    uint32_t done;  /* calls that have reported */
    struct err err; /* of the last one */
    uint64_t index; /* of its reply */
    char value[64]; /* of its entry */
    bool flag;      /* of its bool reply */
};

static void run_until(struct fixture *f, bool (*until)(void *data))
{
    server_fixture_run_until(&f->base, until, f);
}

static bool one_done(void *data)
{
    struct fixture *f = data;
    return f->done >= 1;
}

static bool two_done(void *data)
{
    struct fixture *f = data;
    return f->done >= 2;
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct arena a = {0};
    /* The second is refused, and keeps neither the third nor the server from coming up. */
    void *entries[] = {
        config_entry_from(&a, "{'Kind':'service-defaults','Name':'web','Protocol':'grpc'}"),
        config_entry_from(&a, "{'Kind':'service-splitter','Name':'x','Splits':[{'Weight':100}]}"),
        config_entry_from(&a, "{'Kind':'mesh'}"),
    };
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.config_entries = (struct ptrlist){entries, ARRAY_SIZE(entries)};
    server_fixture_init(&f->base, &options);
    arena_deinit(&a);
    server_fixture_start(&f->base);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    server_fixture_deinit(&f->base);
    mem_free(f);
    return 0;
}

static void note_done(struct rpc_call *call)
{
    struct fixture *f = call->data;
    f->done++;
    f->err = call->err != NULL ? *call->err : (struct err){0};
    f->value[0] = '\0';
    if (call->err == NULL && call->method == &rpc_kvs_get) {
        const struct indexed_dir_entries *reply = call->reply;
        f->index = reply->meta.index;
        if (reply->entries.n > 0) {
            const struct dir_entry *e = reply->entries.v[0];
            (void)snprintf(f->value, sizeof(f->value), "%.*s", STRF(e->value));
        }
    } else if (call->err == NULL && call->method == &rpc_kvs_apply) {
        f->flag = ((const struct bool_reply *)call->reply)->value;
    }
    rpc_call_free(call);
}

static struct rpc_call *call_make(struct fixture *f, const struct rpc_method *method)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, method);
    call->done = note_done;
    call->data = f;
    return call;
}

static void start_set(struct fixture *f, struct str key, struct str value)
{
    struct rpc_call *call = call_make(f, &rpc_kvs_apply);
    struct kvs_request *args = call->args;
    args->op = KV_SET;
    args->dir_ent.key = key;
    args->dir_ent.value = value;
    rpc_start(call);
}

static struct rpc_call *start_get(struct fixture *f, struct str key, uint64_t min_index,
                                  uint64_t wait_ms)
{
    struct rpc_call *call = call_make(f, &rpc_kvs_get);
    struct key_request *args = call->args;
    args->key = key;
    args->options.min_query_index = min_index;
    args->options.max_query_time = (int64_t)(wait_ms * NS_PER_MS);
    rpc_start(call);
    return call;
}

static void set(struct fixture *f, struct str key, struct str value)
{
    f->done = 0;
    start_set(f, key, value);
    run_until(f, one_done);
    assert_int_equal(f->err.code, 0);
}

static void get(struct fixture *f, struct str key)
{
    f->done = 0;
    start_get(f, key, 0, 0);
    run_until(f, one_done);
    assert_int_equal(f->err.code, 0);
}

static void test_write_then_read(void **state)
{
    struct fixture *f = *state;
    set(f, STR("a"), STR("one"));
    get(f, STR("a"));
    assert_string_equal(f->value, "one");
    assert_true(f->index > 1);
    get(f, STR("missing"));
    assert_string_equal(f->value, "");
    assert_true(f->index >= 1);
}

static void test_compare_and_set_tells(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 2; round++) {
        f->done = 0;
        struct rpc_call *call = call_make(f, &rpc_kvs_apply);
        struct kvs_request *args = call->args;
        args->op = KV_CAS; /* with index 0: only if it is not there */
        args->dir_ent.key = STR("once");
        args->dir_ent.value = STR("x");
        rpc_start(call);
        run_until(f, one_done);
        assert_int_equal(f->flag, round == 0);
    }
}

static void test_blocking_read_wakes_for_its_key_only(void **state)
{
    struct fixture *f = *state;
    set(f, STR("a"), STR("one"));
    get(f, STR("a"));
    uint64_t index = f->index;

    f->done = 0;
    struct rpc_call *waiting = start_get(f, STR("a"), index, GIVE_UP_MS);
    assert_int_equal(f->done, 0);
    assert_true(rpc_is_parked(waiting));
    start_set(f, STR("b"), STR("other"));
    run_until(f, one_done); /* the set itself */
    assert_true(rpc_is_parked(waiting));

    start_set(f, STR("a"), STR("two"));
    f->done = 0;
    run_until(f, two_done); /* the set and the reader, in either order */
    get(f, STR("a"));
    assert_string_equal(f->value, "two");
    assert_true(f->index > index);
    assert_int_equal(atomic_load(&f->base.main.blocking), 0);
}

static void test_blocking_read_ends_with_its_wait(void **state)
{
    struct fixture *f = *state;
    set(f, STR("a"), STR("one"));
    get(f, STR("a"));
    uint64_t index = f->index;
    f->done = 0;
    start_get(f, STR("a"), index, 20);
    run_until(f, one_done);
    assert_int_equal(f->err.code, 0);
    assert_string_equal(f->value, "one");
    assert_int_equal(f->index, index);
}

static void test_blocking_read_behind_answers_at_once(void **state)
{
    struct fixture *f = *state;
    set(f, STR("a"), STR("one"));
    f->done = 0;
    start_get(f, STR("a"), 1, GIVE_UP_MS);
    assert_int_equal(f->done, 1);
    assert_string_equal(f->value, "one");
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    set(f, STR("a"), STR("one"));
    get(f, STR("a"));
    f->done = 0;
    struct rpc_call *waiting = start_get(f, STR("a"), f->index, GIVE_UP_MS);
    rpc_cancel(waiting);
    assert_int_equal(atomic_load(&f->base.main.blocking), 0);

    /* A proposed write is carried out, but reports to nobody. */
    struct rpc_call *call = call_make(f, &rpc_kvs_apply);
    struct kvs_request *args = call->args;
    args->op = KV_SET;
    args->dir_ent.key = STR("canceled");
    args->dir_ent.value = STR("x");
    rpc_start(call);
    rpc_cancel(call);
    set(f, STR("after"), STR("y"));
    assert_int_equal(f->done, 1);
    get(f, STR("canceled"));
    assert_string_equal(f->value, "x");
}

static void test_refusals(void **state)
{
    struct fixture *f = *state;
    f->done = 0;
    struct rpc_call *call = call_make(f, &rpc_kvs_get);
    ((struct key_request *)call->args)->datacenter = STR("elsewhere");
    rpc_start(call);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->err.code, ERR_NO_DC_PATH);

    start_set(f, STR(""), STR("x"));
    assert_int_equal(f->done, 2);
    assert_string_equal(err_text(&f->err), "Must provide key");
}

/* What comes by port 8300 and what this server does as leader is not limited. */
/* It was refused by the leader of before, and is carried out here: then it is not said to have been
 * refused. */
static void test_what_was_refused_before_is_done(void **state)
{
    struct fixture *f = *state;
    struct rpc_call *call = call_make(f, &rpc_kvs_apply);
    struct kvs_request *args = call->args;
    struct err *err = ARENA_NEW(&call->arena, struct err);
    (void)err_set(err, ERR_UNREACHABLE, "rpc error getting client");
    args->op = KV_SET;
    args->dir_ent.key = STR("again");
    args->dir_ent.value = STR("done");
    call->err = err;
    f->done = 0;
    rpc_start(call);
    run_until(f, one_done);
    assert_int_equal(f->err.code, 0);
    get(f, STR("again"));
    assert_string_equal(f->value, "done");
}

static void test_rate_limit(void **state)
{
    struct fixture *f = *state;
    struct rate_limit *limit = &f->base.server->delegate.rate;
    rate_limit_set(limit, 0, 2);
    get(f, STR("a"));
    get(f, STR("a"));
    f->done = 0;
    start_get(f, STR("a"), 0, 0);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->err.code, ERR_RATE_LIMIT);
    assert_string_equal(err_text(&f->err), "RPC rate limit exceeded");

    struct rpc_call *served = call_make(f, &rpc_kvs_get);
    ((struct key_request *)served->args)->key = STR("a");
    served->is_served = true;
    f->done = 0;
    server_fixture_call(&f->base, served);
    run_until(f, one_done);
    assert_int_equal(f->err.code, 0);
}

static void test_server_enters_itself_into_the_catalog(void **state)
{
    struct fixture *f = *state;
    struct str key = STR("node1\0");
    set(f, STR("a"), STR("after the registration")); /* proposals are applied in order */
    const struct store_view *v = store_view(f->base.server->store);
    assert_non_null(store_get(v, INDEX_NODES_ID, key));
    assert_non_null(store_first(v, INDEX_SERVICES_SERVICE, STR("consul\0")));
}

/* On the loop, where the store may be looked at. */
static bool entries_are_written(void *data)
{
    struct fixture *f = data;
    const struct store_view *v = store_view(f->base.server->store);
    const struct config_entry *web = config_entry_find(v, CONFIG_SERVICE_DEFAULTS, STR("web"));
    if (config_entry_find(v, CONFIG_MESH, CONFIG_MESH_NAME) == NULL) {
        return false;
    }
    f->flag = web != NULL && web->raft.create_index == web->raft.modify_index &&
              config_entry_find(v, CONFIG_SERVICE_SPLITTER, STR("x")) == NULL;
    return true;
}

static void test_leader_writes_entries_of_its_configuration(void **state)
{
    struct fixture *f = *state;
    run_until(f, entries_are_written);
    assert_true(f->flag);
}

/* News of changes may be on its way when a worker ends. */
static void test_changes_after_the_end(void **state)
{
    struct worker w;
    struct loop *loop = loop_new("test");
    struct change_list *none = NULL;
    (void)state;
    worker_init(&w, loop, 0);
    worker_deinit(&w);
    rpc_worker_changed(&w, &none, 1);
    (void)loop_free(loop);
}

static void test_every_method_names_its_check(void **state)
{
    (void)state;
    for (size_t i = 0; i < rpc_method_count(); i++) {
        const struct rpc_method *m = rpc_method_at(i);
        assert_non_null(m->name);
        assert_non_null(m->acl);
        assert_non_null(m->args);
        assert_true(((m->flags & RPC_READ) != 0) != ((m->flags & RPC_WRITE) != 0));
        assert_int_equal((m->read != NULL) + (m->prepare != NULL) + (m->ask != NULL), 1);
        assert_true(m->read == NULL || (m->flags & RPC_READ) != 0);
        assert_true(m->prepare == NULL || (m->flags & RPC_WRITE) != 0);
        assert_true(m->more == NULL || (m->read != NULL && (m->flags & RPC_BLOCKING) == 0));
        size_t offset;
        const char *datacenter = m->datacenter != NULL ? m->datacenter : "Datacenter";
        const struct field *dc = schema_find(m->args, str_from_cstr(datacenter), &offset);
        assert_true(dc != NULL || (m->datacenter == NULL && (m->flags & RPC_PRIMARY) == 0));
        assert_ptr_equal(rpc_method_find(str_from_cstr(m->name)), m);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(m->name, rpc_method_at(j)->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_after_the_end),
        cmocka_unit_test_setup_teardown(test_write_then_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compare_and_set_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blocking_read_wakes_for_its_key_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blocking_read_ends_with_its_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_blocking_read_behind_answers_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_refused_before_is_done, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_server_enters_itself_into_the_catalog, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_leader_writes_entries_of_its_configuration, setup,
                                        teardown),
        cmocka_unit_test(test_every_method_names_its_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
