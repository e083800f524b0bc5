/* A server that leads makes its certificate authority, once. */
#include "server/ca_manager.h"

#include "server_fixture.h"

#include "base/clock.h"
#include "schema/connect_ca.h"
#include "server/ca_cert.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/connect_ca.h"

struct fixture {
    struct server_fixture base;
    bool gave_up, done;
    struct err err;
    struct arena arena;
    const struct indexed_ca_roots *roots;
};

static void run_until(struct fixture *f, bool (*until)(void *data))
{
    server_fixture_run_until(&f->base, until, f);
}

static void start(struct fixture *f, bool connect_enabled, const struct value *config)
{
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.primary_datacenter = STR("dc1");
    options.connect_enabled = connect_enabled;
    options.ca_config = config;
    server_fixture_init(&f->base, &options);
    server_fixture_start(&f->base);
}

static int setup(void **state)
{
    *state = xcalloc(1, sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    server_fixture_deinit(&f->base);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

static bool has_root(void *data)
{
    struct fixture *f = data;
    return ca_root_active(store_view(f->base.server->store)) != NULL;
}

static bool leads(void *data)
{
    struct fixture *f = data;
    return server_is_leader(f->base.server);
}

static bool is_done(void *data)
{
    struct fixture *f = data;
    return f->done;
}

static void roots_done(struct rpc_call *call)
{
    struct fixture *f = call->data;
    f->done = true;
    f->err = call->err != NULL ? *call->err : (struct err){0};
    f->roots =
        call->err == NULL ? schema_copy(&f->arena, &indexed_ca_roots_schema, call->reply) : NULL;
    rpc_call_free(call);
}

static void ask_roots(struct fixture *f)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, &rpc_connect_ca_roots);
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
    const struct store_view *v = store_view(f->base.server->store);
    const struct ca_provider_state *kept = store_first(v, INDEX_CA_BUILTIN_ID, STR_NULL);
    assert_true(str_eq(kept->root_cert, root->root_cert));
    assert_true(str_has_prefix(kept->private_key, STR("-----BEGIN EC PRIVATE KEY-----")));
    assert_int_equal(v->trees[INDEX_CA_BUILTIN_ID].count, 1);
    assert_int_equal(f->roots->meta.index, store_index(v, STR("connect-ca-roots")));
}

static bool is_established(void *data)
{
    struct fixture *f = data;
    return atomic_load(&f->base.server->is_established);
}

/* Who sees a leader sees its roots. */
static void test_before_the_leader(void **state)
{
    struct fixture *f = *state;
    start(f, true, NULL);
    run_until(f, is_established);
    assert_non_null(ca_root_active(store_view(f->base.server->store)));
}

static void count_up(void *data)
{
    uint32_t *n = data;
    ++*n;
}

/* What is there already stays as it is. */
static void test_once(void **state)
{
    struct fixture *f = *state;
    start(f, true, NULL);
    run_until(f, has_root);
    struct str id = arena_str(&f->arena, ca_root_active(store_view(f->base.server->store))->id);
    uint64_t index = store_index(store_view(f->base.server->store), STR("connect-ca-roots"));
    struct ca_manager *again = ca_manager_new(f->base.server);
    uint32_t told = 0;
    ca_manager_start(again, count_up, &told);
    assert_int_equal(told, 1);
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
    assert_true(ca_config_get(store_view(f->base.server->store), NULL, &kept) > 0);
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

static bool has_come_so_far(void *data)
{
    struct fixture *f = data;
    return store_view(f->base.server->store)->last_index >= stop_index;
}

/* A step that is under way when the server ends comes back when its worker is no more. */
static void test_stopped_at_each_step(void **state)
{
    (void)state;
    for (stop_index = 1; stop_index <= 8; stop_index++) {
        struct fixture f = {0};
        struct server_options options = SERVER_FIXTURE_OPTIONS;
        struct err err = {0};
        options.primary_datacenter = STR("dc1");
        options.connect_enabled = true;
        server_fixture_init(&f.base, &options);
        assert_ok(server_start(f.base.server, &err));
        run_until(&f, has_come_so_far);
        server_stop(f.base.server);
        struct loop *loop = f.base.main.loop;
        worker_deinit(&f.base.main);
        (void)loop_free(loop);
        (void)server_free(f.base.server);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_roots),
        TEST(test_before_the_leader),
        TEST(test_once),
        TEST(test_configured),
        TEST(test_disabled),
        cmocka_unit_test(test_stopped_at_each_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
