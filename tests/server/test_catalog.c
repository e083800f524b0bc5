/* The methods of the catalog and of health, run by hand: what they refuse, what they complete, how
 * they sort and filter. */
#include "method_fixture.h"

#include "fsm/fsm.h"
#include "schema/dump.h"
#include "schema/msgpack.h"
#include "server/read.h"
#include "server/validate.h"
#include "store/catalog.h"
#include "store/coordinate.h"

/* Through the method and the state, as a log entry would go. */
static int do_register(struct method_fixture *f, struct register_request *args)
{
    struct rpc_ctx ctx = method_fixture_context(f);
    struct buf entry = {0};
    int r = rpc_catalog_register.prepare(&ctx, args, NULL, &entry);
    if (r == RPC_PREPARE_PROPOSE) {
        struct register_request logged = {0};
        struct cur c = cur_make(buf_view(&entry));
        assert_int_equal(cur_u8(&c), FSM_REGISTER);
        assert_ok(msgpack_decode(&c, &register_request_schema, &logged, &f->arena, &f->err));
        struct store_txn *tx = method_fixture_begin(f);
        r = catalog_register(tx, &logged, 0, &f->err);
        if (r < 0) {
            store_txn_abort(tx);
        } else {
            store_txn_commit(tx);
        }
    }
    buf_deinit(&entry);
    return r;
}

static void add_instance(struct method_fixture *f, const char *node, const char *rack)
{
    struct strpair meta = {STR("rack"), str_from_cstr(rack)};
    struct node_service service = {.service = STR("web"), .port = 80};
    struct register_request req = {.node = str_from_cstr(node),
                                   .address = STR("10.0.0.1"),
                                   .node_meta = {&meta, 1},
                                   .service = &service};
    assert_ok(do_register(f, &req));
}

static void refused(struct method_fixture *f, struct register_request req, const char *text)
{
    assert_true(do_register(f, &req) < 0);
    assert_string_equal(f->err.text, text);
}

static void test_register_refuses(void **state)
{
    struct method_fixture *f = *state;
    struct node_service service = {.id = STR("only-id")};
    struct register_request req = {.node = STR("x"), .address = STR("10.0.0.1")};
    refused(f, (struct register_request){0}, "Must provide node");
    refused(f, (struct register_request){.node = STR("x")},
            "Must provide address if SkipNodeUpdate is not set");
    req.id = STR("bogus");
    refused(f, req, "Bad node ID: uuid string is wrong length");
    req.id = STR("10000000-0000-4000-8000-00000000000g");
    refused(f, req, "Bad node ID: encoding/hex: invalid byte: U+0067 'g'");
    req.id = STR_NULL;
    req.service = &service;
    refused(f, req, "Must provide service name with ID");
    service = (struct node_service){.service = STR("s"), .address = STR("0.0.0.0")};
    refused(f, req, "Invalid service address");
    service = (struct node_service){.service = STR("p"), .kind = SERVICE_KIND_CONNECT_PROXY};
    refused(f, req,
            "2 errors occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect "
            "proxy services\n\t* Port or SocketPath must be set for a Connect proxy\n\n");
}

static void test_register_completes(void **state)
{
    struct method_fixture *f = *state;
    struct node_service service = {.service = STR("web")};
    struct health_check check = {.name = STR("alive"), .definition = {.ttl = 1}};
    struct register_request req = {
        .node = STR("n"), .address = STR("10.0.0.1"), .service = &service, .check = &check};
    assert_ok(do_register(f, &req));
    assert_int_equal(service.id.n, 0); /* the caller's struct is left alone */
    assert_int_equal(check.node.n, 0);
    const struct store_view *v = store_view(f->server.store);
    assert_non_null(catalog_service_row(v, STR("n"), STR("web")));
    const struct health_check *row = catalog_check(v, STR("n"), STR("alive"));
    assert_non_null(row);
    assert_str_lit(row->type, "ttl");
    assert_str_lit(row->status, "critical");
}

static void test_upstreams_and_gateways(void **state)
{
    struct method_fixture *f = *state;
    struct upstream upstreams[] = {
        {.destination_name = STR("db"), .local_bind_port = 1},
        {.destination_name = STR("db"), .local_bind_port = 2},
        {.destination_name = STR("cache"), .local_bind_port = 1},
        {.destination_name = STR("*"), .local_bind_port = 3},
        {.destination_name = STR("x")},
    };
    struct node_service proxy = {
        .kind = SERVICE_KIND_CONNECT_PROXY,
        .service = STR("p"),
        .port = 1,
        .proxy = {.destination_service_name = STR("web"), .upstreams = {upstreams, 5}}};
    assert_true(validate_service(&proxy, &f->err) < 0);
    assert_string_equal(
        f->err.text,
        "4 errors occurred:\n\t* upstreams cannot contain duplicates of [type=\"\", name=\"db\", "
        "namespace=\"\", datacenter=\"\"]\n\t* upstreams cannot contain duplicates by local bind "
        "address and port or unix path; \"127.0.0.1:1\" is specified twice\n\t* upstream "
        "destination name cannot be a wildcard\n\t* upstream local bind port or local socket path "
        "must be defined and nonzero\n\n");
    struct node_service gateway = {.kind = SERVICE_KIND_MESH_GATEWAY, .service = STR("g")};
    assert_true(validate_service(&gateway, &f->err) < 0);
    assert_string_equal(f->err.text,
                        "1 error occurred:\n\t* Port must be non-zero for a mesh-gateway\n\n");
    gateway.kind = SERVICE_KIND_INGRESS_GATEWAY;
    assert_ok(validate_service(&gateway, &f->err));
}

static void test_near_and_meta_and_filter(void **state)
{
    struct method_fixture *f = *state;
    add_instance(f, "a", "1");
    add_instance(f, "b", "2");
    add_instance(f, "c", "1");
    add_instance(f, "nowhere", "1");
    double va[8] = {0.9}, vb[8] = {0.5}, vc[8] = {0.1};
    struct coordinate at[] = {{.vec = {va, 8}}, {.vec = {vb, 8}}, {.vec = {vc, 8}}};
    struct node_coordinate updates[] = {{.node = STR("a"), .coord = &at[0]},
                                        {.node = STR("b"), .coord = &at[1]},
                                        {.node = STR("c"), .coord = &at[2]}};
    struct store_txn *tx = method_fixture_begin(f);
    coordinate_update(tx, updates, 3);
    store_txn_commit(tx);

    struct service_request args = {.service_name = STR("web"),
                                   .source = {.node = STR("c"), .datacenter = STR("dc1")}};
    struct indexed_check_service_nodes reply = {0};
    struct rpc_ctx ctx = method_fixture_context(f);
    assert_ok(rpc_health_service_nodes.read(&ctx, &args, &reply));
    const struct check_service_node *nodes = reply.nodes.v;
    assert_int_equal(reply.nodes.n, 4);
    assert_str_lit(nodes[0].node->node, "c");
    assert_str_lit(nodes[1].node->node, "b");
    assert_str_lit(nodes[2].node->node, "a");
    assert_str_lit(nodes[3].node->node, "nowhere");

    /* From another data center nothing is near. */
    args.source.datacenter = STR("dc2");
    assert_ok(rpc_health_service_nodes.read(&ctx, &args, &reply));
    nodes = reply.nodes.v;
    assert_str_lit(nodes[0].node->node, "a");

    struct strpair rack = {STR("rack"), STR("1")};
    args.node_meta_filters = (struct strmap){&rack, 1};
    args.options.filter = STR("Node.Node != a and Service.Port == 80");
    assert_ok(rpc_health_service_nodes.read(&ctx, &args, &reply));
    nodes = reply.nodes.v;
    assert_int_equal(reply.nodes.n, 2);
    assert_str_lit(nodes[0].node->node, "c");

    args.options.filter = STR("Bogus == x");
    assert_true(rpc_health_service_nodes.read(&ctx, &args, &reply) < 0);
    assert_true(f->err.code != 0);
}

static void test_node_services(void **state)
{
    struct method_fixture *f = *state;
    add_instance(f, "a", "1");
    struct node_request args = {.node = STR("A")};
    struct indexed_node_services reply = {0};
    struct rpc_ctx ctx = method_fixture_context(f);
    assert_ok(rpc_catalog_node_services.read(&ctx, &args, &reply));
    assert_non_null(reply.node_services);
    assert_int_equal(reply.node_services->services.n, 1);
    args.node = STR("no such node");
    reply = (struct indexed_node_services){0};
    assert_ok(rpc_catalog_node_services.read(&ctx, &args, &reply));
    assert_null(reply.node_services);
    assert_int_equal(reply.meta.index, 0);
    args.node = STR_NULL;
    assert_true(rpc_catalog_node_services.read(&ctx, &args, &reply) < 0);
    assert_string_equal(f->err.text, "Must provide node");
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, method_fixture_setup, method_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_register_refuses),       TEST(test_register_completes),
        TEST(test_upstreams_and_gateways), TEST(test_near_and_meta_and_filter),
        TEST(test_node_services),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
