/* Compiled chains: nodes and targets, overrides, what is refused. What 1.10.3 makes of the same is
 * recorded (tests/conformance, discovery_chain*). */
#include "store/discovery_chain.h"

#include "config_fixture.h"
#include "store_fixture.h"

#include "store/config_check.h"
#include "store/config_entry.h"

static int set(struct store_fixture *f, const char *json)
{
    struct config_entry *e = config_entry_from(&f->arena, json);
    config_entry_normalize(&f->arena, e);
    struct store_txn *tx = store_fixture_begin(f);
    return store_fixture_end(tx, config_entry_set(tx, e, &f->err));
}

static void put(struct store_fixture *f, const char *json)
{
    if (set(f, json) < 0) {
        fail_msg("%s: %s", json, err_text(&f->err));
    }
}

static const struct compiled_discovery_chain *compile(struct store_fixture *f, const char *service,
                                                      struct chain_options options)
{
    const struct chain_entries entries = {.view = store_view(f->store)};
    const struct compiled_discovery_chain *chain;
    options.datacenter = options.datacenter.n > 0 ? options.datacenter : STR("dc1");
    options.use_in = STR("dc1");
    options.trust_domain = STR("t.consul");
    assert_ok(
        chain_compile(&f->arena, &entries, str_from_cstr(service), &options, &chain, &f->err));
    return chain;
}

static const char *to_json(struct store_fixture *f, const struct schema *schema, const void *object)
{
    struct buf b = {0};
    struct json_writer w = json_writer_make(&b, false);
    json_object(&w, schema, object);
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] = b.p[i] == '"' ? '\'' : b.p[i];
    }
    const char *text = arena_str(&f->arena, buf_view(&b)).p;
    buf_deinit(&b);
    return text;
}

static const char *node(struct store_fixture *f, const struct compiled_discovery_chain *chain,
                        const char *key)
{
    const void *n = objmap_get(chain->nodes, str_from_cstr(key));
    return n == NULL ? "none" : to_json(f, &discovery_graph_node_schema, n);
}

static const char *target(struct store_fixture *f, const struct compiled_discovery_chain *chain,
                          const char *id)
{
    const void *t = objmap_get(chain->targets, str_from_cstr(id));
    return t == NULL ? "none" : to_json(f, &discovery_target_schema, t);
}

#define HTTP_FOR_ALL                                                                        \
    "{'Kind':'proxy-defaults','Name':'global','Config':{'protocol':'http'},'MeshGateway':{" \
    "'Mode':'local'}}"

static void test_nothing_is_said(void **state)
{
    struct store_fixture *f = *state;
    const struct compiled_discovery_chain *chain = compile(f, "web", (struct chain_options){0});
    assert_string_equal(
        to_json(f, &compiled_discovery_chain_schema, chain),
        "{'ServiceName':'web','Namespace':'default','Datacenter':'dc1','Protocol':'tcp',"
        "'StartNode':'resolver:web.default.dc1','Nodes':{'resolver:web.default.dc1':{'Type':"
        "'resolver','Name':'web.default.dc1','Resolver':{'ConnectTimeout':'5s','Default':true,"
        "'Target':'web.default.dc1'}}},'Targets':{'web.default.dc1':{'ID':'web.default.dc1',"
        "'Service':'web','Namespace':'default','Datacenter':'dc1','MeshGateway':{},'Subset':{},"
        "'SNI':'web.default.dc1.internal.t.consul','Name':'web.default.dc1.internal.t.consul'}}}");
    assert_true(chain_is_default(chain));
    assert_str_equal(chain_start_type(chain), CHAIN_RESOLVER);
    put(f, "{'Kind':'service-resolver','Name':'api','Redirect':{'Service':'web'}}");
    assert_false(chain_is_default(compile(f, "api", (struct chain_options){0})));
}

static void test_resolver(void **state)
{
    struct store_fixture *f = *state;
    put(f, HTTP_FOR_ALL);
    put(f, "{'Kind':'service-resolver','Name':'web','DefaultSubset':'v1','ConnectTimeout':'3s',"
           "'Subsets':{'v1':{'Filter':'x==1'},'v2':{'OnlyPassing':true}},'Failover':{'*':{"
           "'Datacenters':['dc1','dc2']},'v2':{'Service':'backup'}}}");
    put(f, "{'Kind':'service-resolver','Name':'backup','Redirect':{'Service':'spare',"
           "'Datacenter':'dc3'}}");
    put(f, "{'Kind':'service-resolver','Name':'api','Redirect':{'Service':'web',"
           "'ServiceSubset':'v2'}}");
    const struct compiled_discovery_chain *chain = compile(f, "web", (struct chain_options){0});
    assert_string_equal(node(f, chain, "resolver:v1.web.default.dc1"),
                        "{'Type':'resolver','Name':'v1.web.default.dc1','Resolver':{"
                        "'ConnectTimeout':'3s','Target':'v1.web.default.dc1','Failover':{"
                        "'Targets':['v1.web.default.dc2']}}}");
    assert_string_equal(target(f, chain, "v1.web.default.dc2"),
                        "{'ID':'v1.web.default.dc2','Service':'web','ServiceSubset':'v1',"
                        "'Namespace':'default','Datacenter':'dc2','MeshGateway':{'Mode':'local'},"
                        "'Subset':{'Filter':'x==1'},'SNI':'v1.web.default.dc2.internal.t.consul',"
                        "'Name':'v1.web.default.dc2.internal.t.consul'}");
    assert_int_equal(chain->targets.n, 2);
    chain = compile(f, "api", (struct chain_options){0});
    assert_int_equal(chain->nodes.n, 1);
    assert_string_equal(node(f, chain, "resolver:v2.web.default.dc1"),
                        "{'Type':'resolver','Name':'v2.web.default.dc1','Resolver':{"
                        "'ConnectTimeout':'3s','Target':'v2.web.default.dc1','Failover':{"
                        "'Targets':['spare.default.dc3']}}}");
    assert_int_equal(chain->targets.n, 2);
}

static void test_external(void **state)
{
    struct store_fixture *f = *state;
    put(f, HTTP_FOR_ALL);
    put(f, "{'Kind':'service-defaults','Name':'ext','Protocol':'http','ExternalSNI':'e.example'}");
    const struct compiled_discovery_chain *chain =
        compile(f, "ext", (struct chain_options){.datacenter = STR("dc2")});
    assert_string_equal(target(f, chain, "ext.default.dc2"),
                        "{'ID':'ext.default.dc2','Service':'ext','Namespace':'default',"
                        "'Datacenter':'dc2','MeshGateway':{},'Subset':{},'External':true,"
                        "'SNI':'e.example','Name':'ext.default.dc2.internal.t.consul'}");
}

static void test_splits_of_splits(void **state)
{
    struct store_fixture *f = *state;
    put(f, HTTP_FOR_ALL);
    put(f, "{'Kind':'service-resolver','Name':'b','LoadBalancer':{'Policy':'maglev'}}");
    put(f, "{'Kind':'service-splitter','Name':'inner','Splits':[{'Weight':33.33,'Service':'a'},"
           "{'Weight':66.67,'Service':'b'}]}");
    put(f, "{'Kind':'service-splitter','Name':'outer','Splits':[{'Weight':25,'Service':'inner'},"
           "{'Weight':75,'Service':'b'}]}");
    put(f, "{'Kind':'service-splitter','Name':'top','Splits':[{'Weight':10,'Service':'outer'},"
           "{'Weight':90}]}");
    const struct compiled_discovery_chain *chain = compile(f, "outer", (struct chain_options){0});
    assert_string_equal(node(f, chain, "splitter:inner.default"), "none");
    assert_string_equal(node(f, chain, "splitter:outer.default"),
                        "{'Type':'splitter','Name':'outer.default','Splits':[{'Weight':8.33,"
                        "'NextNode':'resolver:a.default.dc1'},{'Weight':16.67,'NextNode':"
                        "'resolver:b.default.dc1'},{'Weight':75,'NextNode':"
                        "'resolver:b.default.dc1'}],'LoadBalancer':{'Policy':'maglev'}}");
    chain = compile(f, "top", (struct chain_options){0});
    assert_int_equal(chain->nodes.n, 4); /* itself, and three resolvers */
    assert_str_equal(chain_start_type(chain), CHAIN_SPLITTER);
}

/* Sixteen levels of two splits each would come to 65536 splits, one more to twice that. */
static void test_too_many_splits(void **state)
{
    struct store_fixture *f = *state;
    unsigned i = 0;
    put(f, HTTP_FOR_ALL);
    for (; i < 30; i++) {
        struct str below = i == 0 ? STR("x") : arena_printf(&f->arena, "s%u", i - 1);
        struct str json = arena_printf(
            &f->arena,
            "{'Kind':'service-splitter','Name':'s%u','Splits':[{'Weight':50,'Service':'%.*s'},"
            "{'Weight':50,'Service':'%.*s'}]}",
            i, STRF(below), STRF(below));
        if (set(f, json.p) < 0) {
            break;
        }
    }
    assert_in_range(i, 12, 16);
    assert_non_null(strstr(err_text(&f->err), "has more than 65536 splits"));
}

static void test_router(void **state)
{
    struct store_fixture *f = *state;
    put(f, HTTP_FOR_ALL);
    put(f, "{'Kind':'service-router','Name':'web','Routes':[{'Match':{'HTTP':{'PathPrefix':'/a'}},"
           "'Destination':{'Service':'api','RequestTimeout':'1s'}},{}]}");
    const struct compiled_discovery_chain *chain = compile(f, "web", (struct chain_options){0});
    assert_str_equal(chain->start_node, STR("router:web.default"));
    assert_string_equal(node(f, chain, "router:web.default"),
                        "{'Type':'router','Name':'web.default','Routes':[{'Definition':{'Match':{"
                        "'HTTP':{'PathPrefix':'/a'}},'Destination':{'RequestTimeout':'1s',"
                        "'Service':'api'}},'NextNode':'resolver:api.default.dc1'},{'Definition':{},"
                        "'NextNode':'resolver:web.default.dc1'},{'Definition':{'Match':{'HTTP':{"
                        "'PathPrefix':'/'}},'Destination':{'Service':'web','Namespace':'default'}},"
                        "'NextNode':'resolver:web.default.dc1'}]}");
    struct chain_options tcp = {.overrides.protocol = STR("tcp")};
    chain = compile(f, "web", tcp);
    assert_str_equal(chain->start_node, STR("resolver:web.default.dc1"));
    assert_str_equal(chain->protocol, STR("tcp"));
}

static struct str hash_of(struct store_fixture *f, struct chain_options options)
{
    options.datacenter = STR("dc2");
    return compile(f, "web", options)->customization_hash;
}

/* The hashes are those of 1.10.3. Overrides that change nothing count for nothing. */
static void test_overrides(void **state)
{
    struct store_fixture *f = *state;
    struct chain_options o = {0};
    assert_str_equal(hash_of(f, o), STR(""));
    o.overrides.connect_timeout = 5000000000;
    assert_str_equal(hash_of(f, o), STR(""));
    o.overrides.connect_timeout = 7000000000;
    assert_str_equal(hash_of(f, o), STR("8b1bc506"));
    o.overrides = (struct chain_overrides){.protocol = STR("tcp")};
    assert_str_equal(hash_of(f, o), STR(""));
    o.overrides.protocol = STR("grpc");
    assert_str_equal(hash_of(f, o), STR("ef15b5b5"));
    o.overrides.connect_timeout = 8000000000;
    o.overrides.mesh_gateway.mode = STR("remote");
    assert_str_equal(hash_of(f, o), STR("d75bf177"));
    const struct compiled_discovery_chain *here = compile(f, "web", o); /* no gateway is passed */
    assert_true(!str_eq(here->customization_hash, STR("d75bf177")));
}

/* What a chain is made of, and what it might be made of. */
static void test_what_is_watched(void **state)
{
    struct store_fixture *f = *state;
    static const struct str wanted[] = {
        STR_INIT("proxy-defaults\0global\0"), STR_INIT("service-defaults\0api\0"),
        STR_INIT("service-defaults\0web\0"),  STR_INIT("service-resolver\0api\0"),
        STR_INIT("service-resolver\0web\0"),  STR_INIT("service-router\0api\0"),
        STR_INIT("service-splitter\0api\0")};
    struct watch_set ws = {.arena = &f->arena};
    const struct compiled_discovery_chain *chain;
    put(f, "{'Kind':'service-resolver','Name':'api','Redirect':{'Service':'web'}}");
    const struct chain_entries entries = {.view = store_view(f->store), .ws = &ws};
    assert_ok(chain_compile(&f->arena, &entries, STR("api"), &chain_options_any, &chain, &f->err));
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        bool is_watched = false;
        for (size_t j = 0; j < ws.points.n; j++) {
            is_watched |= ws.points.v[j].table == TABLE_CONFIG_ENTRIES &&
                          str_eq(ws.points.v[j].key, wanted[i]);
        }
        assert_true(is_watched);
    }
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, store_fixture_setup, store_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_said),  TEST(test_resolver),        TEST(test_external),
        TEST(test_splits_of_splits), TEST(test_too_many_splits), TEST(test_router),
        TEST(test_overrides),        TEST(test_what_is_watched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
