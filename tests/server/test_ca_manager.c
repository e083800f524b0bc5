/* A server that leads makes its certificate authority, once. */
#include "server/ca_manager.h"

#include "test.h"

#include "base/clock.h"
#include "schema/connect_ca.h"
#include "server/ca_cert.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/connect_ca.h"

#define GIVE_UP_MS 30000u

struct fixture {
    struct worker main;
    struct server *server;
    struct loop_timer poll, limit;
    bool (*until)(struct fixture *f);
    bool gave_up, done;
    struct err err;
    struct arena arena;
    const struct indexed_ca_roots *roots;
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

static void start(struct fixture *f, bool connect_enabled, const struct value *config)
{
    struct err err = {0};
    worker_init(&f->main, loop_new("test"), 0);
    const struct server_options options = {
        .datacenter = STR("dc1"),
        .primary_datacenter = STR("dc1"),
        .node_name = STR("node1"),
        .node_id = STR("11111111-2222-3333-4444-555555555555"),
        .rpc_address = STR("127.0.0.1:8300"),
        .advertise_address = STR("127.0.0.1"),
        .in_memory = true,
        .bootstrap = true,
        .max_query_time_ms = 600000,
        .default_query_time_ms = 300000,
        .rpc_hold_timeout_ms = 7000,
        .tombstone_ttl_ms = 900000,
        .tombstone_granularity_ms = 30000,
        .coordinate_update_period_ms = 5000,
        .coordinate_update_batch_size = 128,
        .coordinate_update_max_batches = 5,
        .raft_multiplier = 1,
        .connect_enabled = connect_enabled,
        .ca_config = config,
    };
    assert_ok(server_new(&options, &f->main, &f->server, &err));
    assert_ok(server_start(f->server, &err));
}

static int setup(void **state)
{
    *state = xcalloc(1, sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    server_stop(f->server);
    loop_stop(f->main.loop);
    loop_run(f->main.loop); /* what was posted last */
    struct loop *loop = f->main.loop;
    worker_deinit(&f->main);
    (void)loop_free(loop);
    (void)server_free(f->server);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

static bool has_root(struct fixture *f)
{
    return ca_root_active(store_view(f->server->store)) != NULL;
}

static bool leads(struct fixture *f)
{
    return server_is_leader(f->server);
}

static bool is_done(struct fixture *f)
{
    return f->done;
}

static void roots_done(struct rpc_call *call)
{
    struct fixture *f = call->data;
    f->done = true;
    f->err = call->err;
    f->roots =
        call->err.code == 0 ? schema_copy(&f->arena, &indexed_ca_roots_schema, call->reply) : NULL;
    rpc_call_free(call);
}

static void ask_roots(struct fixture *f)
{
    struct rpc_call *call = rpc_call_new(&f->main, &rpc_connect_ca_roots);
    f->done = false;
    call->done = roots_done;
    call->data = f;
    rpc_start(call);
    run_until(f, is_done);
}

static void test_roots(void **state)
{
    struct fixture *f = *state;
    start(f, true, NULL);
    run_until(f, has_root);
    ask_roots(f);
    assert_non_null(f->roots);
    assert_int_equal(f->roots->roots.n, 1);
    const struct ca_root *root = f->roots->roots.v[0];
    assert_true(str_eq(f->roots->active_root_id, root->id));
    assert_true(str_eq_lit(root->name, "Consul CA Root Cert"));
    assert_true(str_eq_lit(root->private_key_type, "ec"));
    assert_int_equal(root->private_key_bits, 256);
    struct str domain = ca_trust_domain(&f->arena, root->external_trust_domain);
    assert_true(str_eq(f->roots->trust_domain, domain));
    /* The certificate is what the row says, and the provider has its key. */
    struct ca_cert_info info;
    assert_ok(ca_cert_parse(&f->arena, root->root_cert, &info, &f->err));
    assert_true(str_eq(info.fingerprint, root->id));
    assert_int_equal(info.serial, root->serial_number);
    const struct store_view *v = store_view(f->server->store);
    const struct ca_provider_state *kept = store_first(v, INDEX_CA_BUILTIN_ID, STR_NULL);
    assert_true(str_eq(kept->root_cert, root->root_cert));
    assert_true(str_has_prefix(kept->private_key, STR("-----BEGIN EC PRIVATE KEY-----")));
    assert_int_equal(v->trees[INDEX_CA_BUILTIN_ID].count, 1);
    assert_int_equal(f->roots->meta.index, store_index(v, STR("connect-ca-roots")));
}

/* What is there already stays as it is. */
static void test_once(void **state)
{
    struct fixture *f = *state;
    start(f, true, NULL);
    run_until(f, has_root);
    struct str id = arena_str(&f->arena, ca_root_active(store_view(f->server->store))->id);
    uint64_t index = store_index(store_view(f->server->store), STR("connect-ca-roots"));
    struct ca_manager *again = ca_manager_new(f->server);
    ca_manager_start(again);
    ask_roots(f);
    ca_manager_stop(again);
    assert_true(str_eq(f->roots->active_root_id, id));
    assert_int_equal(f->roots->meta.index, index);
    (void)ca_manager_free(again);
}

/* The agent's configuration says which cluster it is, and what key. */
static void test_configured(void **state)
{
    struct fixture *f = *state;
    struct value_pair pairs[] = {
        {STR("cluster_id"), {.kind = VALUE_STR, .s = STR("ABCDEF00-1111-2222-3333-444444444444")}},
        {STR("PrivateKeyBits"), {.kind = VALUE_INT, .i = 384}}};
    struct value config = {.kind = VALUE_MAP, .map = {pairs, 2}};
    start(f, true, &config);
    run_until(f, has_root);
    ask_roots(f);
    const struct ca_root *root = f->roots->roots.v[0];
    assert_true(str_eq_lit(f->roots->trust_domain, "abcdef00-1111-2222-3333-444444444444.consul"));
    assert_int_equal(root->private_key_bits, 384);
    const struct ca_configuration *kept;
    assert_true(ca_config_get(store_view(f->server->store), NULL, &kept) > 0);
    assert_true(str_eq_lit(value_get(kept->config, STR("LeafCertTTL"))->s, "72h"));
    assert_int_equal(value_get(kept->config, STR("PrivateKeyBits"))->i, 384);
}

static void test_disabled(void **state)
{
    struct fixture *f = *state;
    start(f, false, NULL);
    run_until(f, leads);
    ask_roots(f);
    assert_null(f->roots);
    assert_string_equal(f->err.text, "Connect must be enabled in order to use this endpoint");
    assert_false(has_root(f));
}

static uint64_t stop_index;

static bool has_come_so_far(struct fixture *f)
{
    return store_view(f->server->store)->last_index >= stop_index;
}

/* A step that is under way when the server ends comes back when its worker is no more. */
static void test_stopped_at_each_step(void **state)
{
    (void)state;
    for (stop_index = 1; stop_index <= 8; stop_index++) {
        struct fixture f = {0};
        start(&f, true, NULL);
        run_until(&f, has_come_so_far);
        server_stop(f.server);
        struct loop *loop = f.main.loop;
        worker_deinit(&f.main);
        (void)loop_free(loop);
        (void)server_free(f.server);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_roots),
        TEST(test_once),
        TEST(test_configured),
        TEST(test_disabled),
        cmocka_unit_test(test_stopped_at_each_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
