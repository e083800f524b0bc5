/* Running prepared queries: which instances are found, in which order; what is refused. */
#include "server/prepared_query.h"

#include "method_fixture.h"

#include "fsm/fsm.h"
#include "schema/coordinate.h"
#include "schema/msgpack.h"
#include "store/catalog.h"
#include "store/coordinate.h"
#include "store/prepared_query.h"

static void add(struct method_fixture *f, const char *node, const char *status, struct strlist tags)
{
    struct strpair meta = {STR("rack"), str_from_cstr(node)};
    struct node_service service = {
        .id = STR("w"), .service = STR("web"), .tags = tags, .meta = {&meta, 1}};
    struct health_check check = {.node = str_from_cstr(node),
                                 .check_id = STR("c"),
                                 .status = str_from_cstr(status),
                                 .service_id = STR("w")};
    struct register_request req = {.node = str_from_cstr(node),
                                   .address = arena_printf(&f->arena, "10.0.0.%c", node[1]),
                                   .node_meta = {&meta, 1},
                                   .service = &service,
                                   .check = &check};
    struct store_txn *tx = method_fixture_begin(f);
    assert_ok(catalog_register(tx, &req, 0, &f->err));
    store_txn_commit(tx);
}

static void add_all(struct method_fixture *f)
{
    static const struct str tags[] = {STR_INIT("V1"), STR_INIT("x")};
    add(f, "n1", "passing", (struct strlist){tags, 2});
    add(f, "n2", "warning", (struct strlist){tags, 1});
    add(f, "n3", "critical", (struct strlist){tags, 1});
    add(f, "n4", "passing", (struct strlist){0});
}

/* The nodes that a query for "web" finds, as "n1 n2", sorted unless their order matters. */
static struct str run(struct method_fixture *f, struct service_query service,
                      struct prepared_query_execute_request args, bool in_order)
{
    struct prepared_query query = {
        .id = STR("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"), .name = STR("q"), .service = service};
    struct store_txn *tx = method_fixture_begin(f);
    query.service.service = STR("web");
    assert_ok(prepared_query_set(tx, &query, &f->err));
    store_txn_commit(tx);

    struct rpc_ctx ctx = method_fixture_context(f);
    struct prepared_query_execute_response reply = {0};
    args.query_id_or_name = STR("q");
    args.agent = (struct query_source){.datacenter = STR("dc1"), .node = STR("n2")};
    assert_ok(rpc_prepared_query_execute.read(&ctx, &args, &reply));
    assert_true(str_eq_lit(reply.service, "web"));
    assert_true(str_eq_lit(reply.datacenter, "dc1"));
    const struct check_service_node *nodes = reply.nodes.v;
    struct str names = STR("");
    for (char want = '1'; want <= '4' && !in_order; want++) {
        for (size_t i = 0; i < reply.nodes.n; i++) {
            if (nodes[i].node->node.p[1] == want) {
                names =
                    arena_printf(&f->arena, "%.*s%sn%c", STRF(names), names.n > 0 ? " " : "", want);
            }
        }
    }
    for (size_t i = 0; i < reply.nodes.n && in_order; i++) {
        names = arena_printf(&f->arena, "%.*s%s%.*s", STRF(names), names.n > 0 ? " " : "",
                             STRF(nodes[i].node->node));
    }
    return names;
}

#define assert_finds(f, expected, ...)                                         \
    assert_true(str_eq(run((f), (struct service_query){__VA_ARGS__},           \
                           (struct prepared_query_execute_request){0}, false), \
                       STR(expected)))

static void test_who_fits(void **state)
{
    struct method_fixture *f = *state;
    static const struct str v1 = STR_INIT("v1"), not_x[] = {STR_INIT("v1"), STR_INIT("!X")},
                            check = STR_INIT("c");
    static const struct strpair rack = {STR_INIT("rack"), STR_INIT("n4")};
    add_all(f);
    assert_finds(f, "n1 n2 n4", .near = STR(""));
    assert_finds(f, "n1 n4", .only_passing = true);
    assert_finds(f, "n1 n2", .tags = {&v1, 1});
    assert_finds(f, "n2", .tags = {not_x, 2});
    assert_finds(f, "n1 n2 n3 n4", .ignore_check_ids = {&check, 1});
    assert_finds(f, "n4", .node_meta = {&rack, 1});
    assert_finds(f, "n4", .service_meta = {&rack, 1});
    assert_finds(f, "", .connect = true);
    assert_true(run(f, (struct service_query){0},
                    (struct prepared_query_execute_request){.connect = true}, false)
                    .n == 0);
}

static void test_limit(void **state)
{
    struct method_fixture *f = *state;
    add_all(f);
    for (int64_t limit = -1; limit < 5; limit++) {
        struct str names = run(f, (struct service_query){0},
                               (struct prepared_query_execute_request){.limit = limit}, false);
        size_t expected = limit <= 0 || limit > 3 ? 3 : (size_t)limit;
        assert_int_equal(names.n, 3 * expected - 1);
    }
}

/* Without a wish every order comes up. */
static void test_order_is_random(void **state)
{
    struct method_fixture *f = *state;
    struct str seen[6];
    size_t count = 0;
    add_all(f);
    for (int i = 0; i < 200; i++) {
        struct str order =
            run(f, (struct service_query){0}, (struct prepared_query_execute_request){0}, true);
        size_t j = 0;
        while (j < count && !str_eq(seen[j], order)) {
            j++;
        }
        if (j == count) {
            assert_true(count < ARRAY_SIZE(seen));
            seen[count++] = order;
        }
    }
    assert_int_equal(count, ARRAY_SIZE(seen));
}

static void put_coordinate(struct method_fixture *f, const char *node, double x)
{
    double *vec = ARENA_ARRAY(&f->arena, double, COORDINATE_DIMENSIONS);
    vec[0] = x;
    struct coordinate c = {.vec = {vec, COORDINATE_DIMENSIONS}};
    struct node_coordinate nc = {.node = str_from_cstr(node), .coord = &c};
    struct store_txn *tx = method_fixture_begin(f);
    coordinate_update(tx, &nc, 1);
    store_txn_commit(tx);
}

static void test_near(void **state)
{
    struct method_fixture *f = *state;
    add_all(f);
    put_coordinate(f, "n1", 0.1);
    put_coordinate(f, "n2", 0.4);
    put_coordinate(f, "n4", 0.2);
    struct prepared_query_execute_request none = {0}, from_n1 = {0}, from_ip = {0};
    from_n1.source = (struct query_source){.datacenter = STR("dc1"), .node = STR("n1")};
    from_ip.source = (struct query_source){.datacenter = STR("dc1"), .ip = STR("10.0.0.4")};
    struct service_query agent = {.near = STR("_agent")}, ip = {.near = STR("_ip")};
    for (int i = 0; i < 20; i++) {
        assert_true(str_eq_lit(run(f, agent, none, true), "n2 n4 n1"));
        assert_true(
            str_eq_lit(run(f, agent, from_n1, true), "n1 n4 n2")); /* the client's goes first */
        assert_true(str_eq_lit(run(f, ip, from_ip, true), "n4 n1 n2"));
    }
    from_ip.source.ip = STR("192.0.2.1"); /* nobody's */
    assert_int_equal(run(f, ip, from_ip, true).n, 8);
    /* Without coordinates the node itself still comes first. */
    struct service_query n4 = {.near = STR("n4")};
    struct store_txn *tx = method_fixture_begin(f);
    catalog_node_delete(tx, STR("n4"));
    store_txn_commit(tx);
    add(f, "n4", "passing", (struct strlist){0});
    for (int i = 0; i < 20; i++) {
        assert_true(str_has_prefix(run(f, n4, none, true), STR("n4 ")));
    }
}

static void test_not_found(void **state)
{
    struct method_fixture *f = *state;
    struct rpc_ctx ctx = method_fixture_context(f);
    struct prepared_query_execute_response reply = {0};
    struct prepared_query_execute_request args = {.query_id_or_name = STR("nope")};
    assert_int_equal(rpc_prepared_query_execute.read(&ctx, &args, &reply), -ERR_NOT_FOUND);
    assert_string_equal(f->err.text, "Query not found");
}

static void test_what_is_refused(void **state)
{
    struct method_fixture *f = *state;
    struct strpair pair = {STR("a b"), STR("x")};
    struct service_query web = {.service = STR("web")};
    struct service_query far = {.service = STR("web"), .failover.nearest_n = -1};
    struct service_query odd = {.service = STR("web"), .node_meta = {&pair, 1}};
    const struct {
        struct prepared_query query;
        const char *text;
    } cases[] = {
        {{.service = web}, "Invalid prepared query: Must be bound to a session"},
        {{.name = STR("q")}, "Invalid prepared query: Must provide a Service name to query"},
        {{.name = STR("q"), .service = far},
         "Invalid prepared query: Bad NearestN '-1', must be >= 0"},
        {{.name = STR("q"), .service = odd},
         "Invalid prepared query: Couldn't load metadata pair ('a b', 'x'): Key contains invalid "
         "characters"},
        {{.name = STR("q"), .service = web, .dns.ttl = STR("abc")},
         "Invalid prepared query: Bad DNS TTL 'abc': time: invalid duration \"abc\""},
        {{.name = STR("q"), .service = web, .dns.ttl = STR("-1s")},
         "Invalid prepared query: DNS TTL '-1000000000', must be >=0"},
        {{.name = STR("q"), .service = web, .token = STR("<hidden>")},
         "Invalid prepared query: Bad Token '<hidden>', it looks like a query definition with a "
         "redacted token was submitted"},
        {{.id = STR("x"), .name = STR("q"), .service = web},
         "ID must be empty when creating a new prepared query"},
    };
    struct buf entry = {0};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rpc_ctx ctx = method_fixture_context(f);
        struct prepared_query query = cases[i].query;
        struct prepared_query_request args = {.op = PREPARED_QUERY_CREATE, .query = &query};
        assert_true(rpc_prepared_query_apply.prepare(&ctx, &args, NULL, &entry) < 0);
        assert_string_equal(f->err.text, cases[i].text);
    }
    /* And what is not gets an id. */
    struct rpc_ctx ctx = method_fixture_context(f);
    struct prepared_query query = {.name = STR("q"), .service = web, .dns.ttl = STR("10s")};
    struct prepared_query_request args = {.op = PREPARED_QUERY_CREATE, .query = &query};
    assert_int_equal(rpc_prepared_query_apply.prepare(&ctx, &args, NULL, &entry),
                     RPC_PREPARE_PROPOSE);
    assert_int_equal((uint8_t)entry.p[0], FSM_PREPARED_QUERY);
    assert_true(uuid_is_valid(query.id));
    buf_deinit(&entry);
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, method_fixture_setup, method_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_who_fits), TEST(test_limit),     TEST(test_order_is_random),
        TEST(test_near),     TEST(test_not_found), TEST(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
