/* Internal.ServiceTopology and its like, by hand; what 1.10.3 makes of much more is recorded
 * (tests/conformance, internal_ui_topology). */
#include "schema/topology.h"

#include "method_fixture.h"

#include "schema/config_gateways.h"
#include "schema/connect_ca.h"
#include "schema/intention.h"
#include "schema/msgpack.h"
#include "store/catalog.h"
#include "store/config_entry.h"
#include "store/connect_ca.h"
#include "store/system_metadata.h"

static int setup(void **state)
{
    (void)method_fixture_setup(state);
    struct method_fixture *f = *state;
    struct ca_configuration ca = {.cluster_id = STR("c"), .provider = STR("consul")};
    f->server.options.connect_enabled = true;
    struct store_txn *tx = method_fixture_begin(f);
    intentions_are_config_entries(tx);
    assert_int_equal(ca_config_set(tx, &ca, false, 0, &f->err) < 0, 0);
    store_txn_commit(tx);
    return 0;
}

static void reg(struct method_fixture *f, const struct node_service *service)
{
    struct register_request req = {
        .node = STR("n1"), .address = STR("10.0.0.1"), .service = (void *)(uintptr_t)service};
    struct store_txn *tx = method_fixture_begin(f);
    assert_ok(catalog_register(tx, &req, 0, &f->err));
    store_txn_commit(tx);
}

static void add(struct method_fixture *f, const char *name)
{
    struct str s = str_from_cstr(name);
    reg(f, &(struct node_service){.id = s, .service = s});
}

static void add_proxy(struct method_fixture *f, const char *id, const char *of, const char *up,
                      const char *mode)
{
    struct upstream u = {.destination_name = str_from_cstr(up)};
    reg(f, &(struct node_service){.id = str_from_cstr(id),
                                  .service = str_from_cstr(id),
                                  .kind = SERVICE_KIND_CONNECT_PROXY,
                                  .proxy = {.destination_service_name = str_from_cstr(of),
                                            .mode = str_from_cstr(mode),
                                            .upstreams = {&u, up[0] != '\0'}}});
}

static void allow(struct method_fixture *f, const char *from, const char *to, const char *action)
{
    struct source_intention source = {.name = str_from_cstr(from),
                                      .action = str_from_cstr(action),
                                      .type = STR("consul"),
                                      .precedence = from[0] == '*' ? 5 : 9};
    void *sources[] = {&source};
    struct service_intentions e = {.head = {.type = CONFIG_SERVICE_INTENTIONS,
                                            .kind = STR("service-intentions"),
                                            .name = str_from_cstr(to)},
                                   .sources = {sources, 1}};
    struct store_txn *tx = method_fixture_begin(f);
    assert_ok(config_entry_set(tx, &e.head, &f->err));
    store_txn_commit(tx);
}

/* "db=proxy-registration/1 ": names, why, and whether it is allowed. */
static const char *side(struct method_fixture *f, struct strmap sources, struct objmap decisions)
{
    struct buf b = {0};
    for (size_t i = 0; i < sources.n; i++) {
        const struct intention_decision *d = objmap_get(decisions, sources.v[i].key);
        buf_printf(&b, "%.*s=%.*s/%d ", STRF(sources.v[i].key), STRF(sources.v[i].value),
                   d->allowed);
    }
    buf_byte(&b, '\0');
    const char *text = arena_str(&f->arena, buf_view(&b)).p;
    buf_deinit(&b);
    return text;
}

/* Passed through msgpack, as from another server. */
static struct service_topology read_topology(struct method_fixture *f, const char *service)
{
    struct rpc_ctx ctx = method_fixture_context(f);
    struct service_request args = {.service_name = str_from_cstr(service)};
    struct indexed_service_topology reply = {0}, again = {0};
    struct buf b = {0};
    assert_ok(rpc_internal_service_topology.read(&ctx, &args, &reply));
    assert_true(reply.meta.index > 0);
    msgpack_object(&b, &indexed_service_topology_schema, &reply);
    struct cur c = cur_make(arena_str(&f->arena, buf_view(&b)));
    assert_ok(msgpack_decode(&c, &indexed_service_topology_schema, &again, &f->arena, &f->err));
    assert_int_equal(cur_left(&c), 0);
    buf_deinit(&b);
    return *again.topology;
}

static void assert_topology(struct method_fixture *f, const char *service, const char *upstreams,
                            const char *downstreams)
{
    struct service_topology t = read_topology(f, service);
    assert_string_equal(side(f, t.upstream_sources, t.upstream_decisions), upstreams);
    assert_string_equal(side(f, t.downstream_sources, t.downstream_decisions), downstreams);
}

static void test_topology(void **state)
{
    struct method_fixture *f = *state;
    add(f, "web");
    add(f, "db");
    add(f, "api");
    assert_topology(f, "web", "", "");
    add_proxy(f, "web-p", "web", "db", "");
    assert_topology(f, "web", "db=proxy-registration/1 ", "");
    assert_topology(f, "db", "", "web=proxy-registration/1 ");
    allow(f, "*", "*", "deny");
    assert_topology(f, "web", "db=proxy-registration/0 ", "");
    /* Transparent proxies reach what intentions let them. */
    add_proxy(f, "web-p", "web", "db", "transparent");
    allow(f, "web", "api", "allow");
    assert_topology(f, "web", "api=specific-intention/1 db=proxy-registration/0 ", "");
    assert_true(read_topology(f, "web").transparent_proxy);
    assert_topology(f, "api", "", "web=specific-intention/1 ");
    add_proxy(f, "web-p2", "web", "", "direct");
    assert_false(read_topology(f, "web").transparent_proxy);
    assert_int_equal(read_topology(f, "web").upstreams.n, 2);
}

static void test_upstreams_by_intentions(void **state)
{
    struct method_fixture *f = *state;
    struct service_request args = {.service_name = STR("web")};
    struct indexed_service_list reply = {0};
    add(f, "web");
    add(f, "db");
    add(f, "consul");
    struct rpc_ctx ctx = method_fixture_context(f);
    assert_ok(rpc_internal_intention_upstreams.read(&ctx, &args, &reply));
    assert_int_equal(reply.services.n, 1);
    assert_str_equal(((const struct service_name *)reply.services.v)->name, STR("db"));
    allow(f, "web", "db", "deny");
    ctx = method_fixture_context(f);
    assert_ok(rpc_internal_intention_upstreams.read(&ctx, &args, &reply));
    assert_int_equal(reply.services.n, 0);
    assert_non_null(reply.services.v);
    args.service_name = STR("");
    assert_true(rpc_internal_intention_upstreams.read(&ctx, &args, &reply) < 0);
    assert_string_equal(err_text(&f->err), "Must provide a service name");
}

static void test_what_is_refused(void **state)
{
    struct method_fixture *f = *state;
    struct rpc_ctx ctx = method_fixture_context(f);
    struct service_request args = {0};
    struct indexed_service_topology reply = {0};
    struct indexed_intentions intentions = {0};
    assert_true(rpc_internal_service_topology.read(&ctx, &args, &reply) < 0);
    assert_string_equal(err_text(&f->err), "Must provide a service name");
    args = (struct service_request){.service_name = STR("x"), .service_kind = STR("bogus")};
    assert_true(rpc_internal_service_topology.read(&ctx, &args, &reply) < 0);
    assert_string_equal(err_text(&f->err), "unsupported kind \"bogus\"");
    struct intention_query_request query = {0};
    assert_true(rpc_internal_gateway_intentions.read(&ctx, &query, &intentions) < 0);
    assert_string_equal(err_text(&f->err), "Expected 1 gateway name, got 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_topology, setup, method_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_upstreams_by_intentions, setup,
                                        method_fixture_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_refused, setup, method_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
