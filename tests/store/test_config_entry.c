/* Config entries in the store: their indexes, compare-and-set, and what the graph they make
 * refuses, in the words of 1.10.3. */
#include "store/config_entry.h"

#include "config_fixture.h"
#include "store_fixture.h"

#include "schema/config_intentions.h"
#include "store/discovery_chain.h"
#include "store/system_metadata.h"

static int set(struct store_fixture *f, const char *json)
{
    struct store_txn *tx = store_fixture_begin(f);
    return store_fixture_end(tx, config_entry_set(tx, config_entry_from(&f->arena, json), &f->err));
}

static int cas(struct store_fixture *f, const char *json, uint64_t index)
{
    struct store_txn *tx = store_fixture_begin(f);
    return store_fixture_end(
        tx, config_entry_cas(tx, config_entry_from(&f->arena, json), index, &f->err));
}

static int delete (struct store_fixture *f, enum config_entry_kind type, const char *name)
{
    struct store_txn *tx = store_fixture_begin(f);
    return store_fixture_end(tx, config_entry_delete(tx, type, str_from_cstr(name), &f->err));
}

static void assert_set(struct store_fixture *f, const char *json)
{
    if (set(f, json) < 0) {
        fail_msg("%s: %s", json, err_text(&f->err));
    }
}

static void assert_set_refused(struct store_fixture *f, const char *json, const char *error)
{
    assert_true(set(f, json) < 0);
    assert_string_equal(err_text(&f->err), error);
}

static const struct config_entry *get(struct store_fixture *f, enum config_entry_kind type,
                                      const char *name, uint64_t *ret_index)
{
    const struct config_entry *e;
    *ret_index = config_entry_get(store_view(f->store), NULL, type, str_from_cstr(name), &e);
    return e;
}

static size_t count(struct store_fixture *f, const char *kind)
{
    struct ptrlist list;
    (void)config_entry_list(store_view(f->store), NULL, &f->arena, str_from_cstr(kind), &list);
    assert_non_null(list.v);
    return list.n;
}

static void test_indexes(void **state)
{
    struct store_fixture *f = *state;
    uint64_t index;
    assert_null(get(f, CONFIG_SERVICE_DEFAULTS, "web", &index));
    assert_int_equal(index, 0);
    assert_set(f, "{'Kind':'service-defaults','Name':'Web'}");
    const struct config_entry *e = get(f, CONFIG_SERVICE_DEFAULTS, "wEB", &index);
    assert_str_lit(e->name, "Web");
    assert_int_equal(index, 1);
    assert_set(f, "{'Kind':'service-defaults','Name':'Web'}"); /* the same, and yet it moves */
    e = get(f, CONFIG_SERVICE_DEFAULTS, "web", &index);
    assert_int_equal(e->raft.create_index, 1);
    assert_int_equal(e->raft.modify_index, 2);
    assert_set(f, "{'Kind':'mesh'}");
    assert_non_null(get(f, CONFIG_SERVICE_DEFAULTS, "web", &index));
    assert_int_equal(index, 3);
    assert_int_equal(count(f, ""), 2);
    assert_int_equal(count(f, "service-defaults"), 1);
    assert_int_equal(count(f, "service-router"), 0);

    assert_ok(delete (f, CONFIG_SERVICE_DEFAULTS, "none"));
    (void)get(f, CONFIG_SERVICE_DEFAULTS, "web", &index);
    assert_int_equal(index, 3);
    assert_ok(delete (f, CONFIG_SERVICE_DEFAULTS, "WEB"));
    assert_null(get(f, CONFIG_SERVICE_DEFAULTS, "web", &index));
    assert_int_equal(index, 5);
}

static void test_compare_and_set(void **state)
{
    struct store_fixture *f = *state;
    const char *entry = "{'Kind':'service-defaults','Name':'web'}";
    uint64_t index;
    assert_int_equal(cas(f, entry, 7), 0);
    assert_int_equal(cas(f, entry, 0), 1); /* at 2 */
    assert_int_equal(cas(f, entry, 0), 0);
    assert_int_equal(cas(f, entry, 1), 0);
    assert_int_equal(cas(f, entry, 2), 1);
    assert_int_equal(get(f, CONFIG_SERVICE_DEFAULTS, "web", &index)->raft.modify_index, 5);
}

static void test_names(void **state)
{
    struct store_fixture *f = *state;
    assert_set_refused(f, "{'Kind':'ingress-gateway'}",
                       "failed inserting config entry: object missing primary index");
    assert_set_refused(f, "{'Kind':'terminating-gateway'}", "serviceName is required");
    struct config_entry *e =
        config_entry_new(&f->arena, CONFIG_INGRESS_GATEWAY,
                         arena_printf(&f->arena, "%0*d", (int)TREE_KEY_SIZE_MAX, 1));
    struct store_txn *tx = store_fixture_begin(f);
    assert_int_equal(config_entry_restore(tx, e, &f->err), -ERR_TOO_LARGE);
    store_txn_abort(tx);
}

/* --- the graph ------------------------------------------------------------------------------- */

#define HTTP(name) "{'Kind':'service-defaults','Name':'" name "','Protocol':'http'}"
#define TCP_ROUTED                                                                   \
    "discovery chain \"web\" uses a protocol \"tcp\" that does not permit advanced " \
    "routing or splitting behavior"

static void test_protocols(void **state)
{
    struct store_fixture *f = *state;
    const char *router = "{'Kind':'service-router','Name':'web','Routes':[{'Destination':"
                         "{'Service':'api'}}]}";
    assert_set_refused(f, router, TCP_ROUTED);
    assert_set_refused(f, "{'Kind':'service-splitter','Name':'web','Splits':[{'Weight':100}]}",
                       TCP_ROUTED);
    assert_set(f, HTTP("web"));
    assert_set_refused(f, router,
                       "discovery chain \"web\" uses inconsistent protocols; service \"api\" has "
                       "\"tcp\" which is not \"http\"");
    assert_set(f, HTTP("api"));
    assert_set(f, router);
    /* What a chain stands on may not go. */
    assert_true(delete (f, CONFIG_SERVICE_DEFAULTS, "api") < 0);
    assert_string_equal(err_text(&f->err),
                        "discovery chain \"web\" uses inconsistent protocols; service \"api\" has "
                        "\"tcp\" which is not \"http\"");
    assert_true(delete (f, CONFIG_SERVICE_DEFAULTS, "web") < 0);
    assert_ok(delete (f, CONFIG_SERVICE_ROUTER, "web"));
    assert_ok(delete (f, CONFIG_SERVICE_DEFAULTS, "web"));
}

static void test_protocol_of_all_proxies(void **state)
{
    struct store_fixture *f = *state;
    assert_set(f, "{'Kind':'proxy-defaults','Name':'global','Config':{'Protocol':'HTTP'}}");
    assert_set(f, "{'Kind':'service-splitter','Name':'web','Splits':[{'Weight':100}]}");
    assert_true(delete (f, CONFIG_PROXY_DEFAULTS, "global") < 0);
    assert_string_equal(err_text(&f->err), TCP_ROUTED);
    assert_set_refused(f, "{'Kind':'service-defaults','Name':'web'}", TCP_ROUTED);
    assert_set(f, "{'Kind':'service-defaults','Name':'web','Protocol':'grpc'}");
    assert_ok(delete (f, CONFIG_PROXY_DEFAULTS, "global"));
}

static void test_subsets(void **state)
{
    struct store_fixture *f = *state;
    assert_set(f, HTTP("api"));
    const char *splitter = "{'Kind':'service-splitter','Name':'api','Splits':[{'Weight':100,"
                           "'ServiceSubset':'v1'}]}";
    assert_set_refused(f, splitter, "service \"api\" does not have a subset named \"v1\"");
    assert_set(f, "{'Kind':'service-resolver','Name':'api','Subsets':{'v1':{}}}");
    assert_set(f, splitter);
    assert_true(delete (f, CONFIG_SERVICE_RESOLVER, "api") < 0);
    assert_string_equal(err_text(&f->err), "service \"api\" does not have a subset named \"v1\"");
    /* A failover target is resolved as well. */
    assert_set_refused(f,
                       "{'Kind':'service-resolver','Name':'x','Failover':{'*':{'Service':'y',"
                       "'ServiceSubset':'v'}}}",
                       "service \"y\" does not have a subset named \"v\"");
}

static void test_circles(void **state)
{
    struct store_fixture *f = *state;
    assert_set(f, "{'Kind':'service-resolver','Name':'self','Redirect':{'Service':'self'}}");
    assert_set(f, "{'Kind':'service-resolver','Name':'y','Redirect':{'Service':'z'}}");
    assert_set_refused(f, "{'Kind':'service-resolver','Name':'z','Redirect':{'Service':'y'}}",
                       "detected circular resolver redirect: [z.default.dc1 -> y.default.dc1 -> "
                       "z.default.dc1]");
    assert_set(f, HTTP("a"));
    assert_set(f, HTTP("b"));
    assert_set(f, "{'Kind':'service-splitter','Name':'a','Splits':[{'Weight':100,'Service':'b'}]}");
    assert_set_refused(f,
                       "{'Kind':'service-splitter','Name':'b','Splits':[{'Weight':100,'Service':"
                       "'a'}]}",
                       "detected circular reference: [splitter:b.default -> splitter:a.default -> "
                       "splitter:b.default]");
}

static void test_external_services(void **state)
{
    struct store_fixture *f = *state;
    assert_set(f, "{'Kind':'service-defaults','Name':'ext','ExternalSNI':'e'}");
    assert_set_refused(
        f, "{'Kind':'service-resolver','Name':'ext','Subsets':{'v':{}}}",
        "service \"ext\" has an external SNI set; cannot define subsets for external services");
    assert_set_refused(
        f, "{'Kind':'service-resolver','Name':'ext','Failover':{'*':{'Datacenters':['d']}}}",
        "service \"ext\" has an external SNI set; cannot define failover for external services");
    assert_set_refused(
        f, "{'Kind':'service-resolver','Name':'ext','Redirect':{'Service':'ext'}}",
        "service \"ext\" has an external SNI set; cannot define redirects for external services");
    assert_set(f, "{'Kind':'service-resolver','Name':'ext','ConnectTimeout':'5s'}");
}

static void test_gateways(void **state)
{
    struct store_fixture *f = *state;
    const char *edge = "{'Kind':'ingress-gateway','Name':'edge','Listeners':[{'Port':1,'Protocol':"
                       "'tcp','Services':[{'Name':'api'}]}]}";
    assert_set(f, HTTP("api"));
    assert_set_refused(f, edge,
                       "service \"api\" has protocol \"http\", which does not match defined "
                       "listener protocol \"tcp\"");
    assert_ok(delete (f, CONFIG_SERVICE_DEFAULTS, "api"));
    assert_set(f, edge);
    /* Once it is there, any protocol will do for TCP, but not what needs routing. */
    assert_set(f, HTTP("api"));
    assert_set_refused(f, "{'Kind':'service-splitter','Name':'api','Splits':[{'Weight':100}]}",
                       "service \"api\" has protocol \"http\", which does not match defined "
                       "listener protocol \"tcp\"");
    assert_set_refused(f, "{'Kind':'terminating-gateway','Name':'edge'}",
                       "cannot create a \"terminating-gateway\" config entry with name \"edge\", a "
                       "\"ingress-gateway\" config entry with that name already exists");
    assert_ok(delete (f, CONFIG_INGRESS_GATEWAY, "edge"));
    assert_set(f, "{'Kind':'terminating-gateway','Name':'edge'}");
}

static void test_intentions_need_http(void **state)
{
    struct store_fixture *f = *state;
    const char *pay = "{'Kind':'service-intentions','Name':'pay','Sources':[{'Name':'x',"
                      "'Permissions':[{'Action':'allow','HTTP':{'PathExact':'/'}}]}]}";
    const char *refusal = "service \"pay\" has protocol \"tcp\", which is incompatible with L7 "
                          "intentions permissions";
    assert_set_refused(f, pay, refusal);
    assert_set(f, HTTP("pay"));
    assert_set(f, pay);
    assert_true(delete (f, CONFIG_SERVICE_DEFAULTS, "pay") < 0);
    assert_string_equal(err_text(&f->err), refusal);
    assert_ok(delete (f, CONFIG_SERVICE_INTENTIONS, "pay"));
    assert_ok(delete (f, CONFIG_SERVICE_DEFAULTS, "pay"));
}

/* Deeper than anybody needs, and than the stack would bear. */
static void test_depth(void **state)
{
    struct store_fixture *f = *state;
    assert_set(f, "{'Kind':'proxy-defaults','Name':'global','Config':{'protocol':'http'}}");
    unsigned i = 0;
    for (; i <= CHAIN_DEPTH_MAX; i++) {
        struct str json = arena_printf(&f->arena,
                                       "{'Kind':'service-splitter','Name':'s%u','Splits':"
                                       "[{'Weight':100,'Service':'s%u'}]}",
                                       i, i - 1);
        if (set(f, json.p) < 0) {
            break;
        }
    }
    assert_int_equal(i, CHAIN_DEPTH_MAX);
    assert_string_equal(err_text(&f->err), "discovery chain \"s500\" is deeper than 500 levels");
}

/* --- intentions of old ----------------------------------------------------------------------- */

#define SOURCE(id, time)                                                                        \
    "{'Kind':'service-intentions','Name':'pay','Sources':[{'Name':'x','Action':'allow'" id time \
    "}]}"
#define TIME(day) ",'LegacyCreateTime':'2020-01-0" day "T00:00:00Z'"

static void test_old_ids_stay(void **state)
{
    struct store_fixture *f = *state;
    uint64_t index;
    assert_set(f, SOURCE(",'LegacyID':'a'", TIME("1")));
    assert_set_refused(f, SOURCE(",'LegacyID':'b'", ""),
                       "Sources[0].LegacyID: cannot set this field to a different value");
    assert_set(f, SOURCE(",'LegacyID':'a'", TIME("2")));
    const struct service_intentions *e =
        (const struct service_intentions *)get(f, CONFIG_SERVICE_INTENTIONS, "pay", &index);
    assert_int_equal(((const struct source_intention *)e->sources.v[0])->legacy_create_time,
                     1577836800000000000);
    assert_set(f, SOURCE("", ""));
    assert_set_refused(f, SOURCE(",'LegacyID':'a'", ""),
                       "Sources[0].LegacyID: cannot set this field");
}

static void test_format_of_intentions(void **state)
{
    struct store_fixture *f = *state;
    uint64_t index;
    struct store_txn *tx = store_fixture_begin(f);
    intentions_are_config_entries(tx);
    store_txn_commit(tx);
    assert_str_lit(system_metadata_get(store_view(f->store), SYSTEM_METADATA_INTENTION_FORMAT),
                   "config-entry");
    (void)get(f, CONFIG_MESH, "mesh", &index);
    assert_int_equal(index, 1);
    struct system_metadata_entry unnamed = {0};
    tx = store_fixture_begin(f);
    assert_true(system_metadata_set(tx, &unnamed, &f->err) < 0);
    assert_string_equal(err_text(&f->err), "missing key on system metadata");
    system_metadata_delete(tx, STR("INTENTION-format"));
    store_txn_commit(tx);
    assert_str_lit(system_metadata_get(store_view(f->store), SYSTEM_METADATA_INTENTION_FORMAT), "");
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, store_fixture_setup, store_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_indexes),
        TEST(test_compare_and_set),
        TEST(test_names),
        TEST(test_protocols),
        TEST(test_protocol_of_all_proxies),
        TEST(test_subsets),
        TEST(test_circles),
        TEST(test_external_services),
        TEST(test_gateways),
        TEST(test_intentions_need_http),
        TEST(test_depth),
        TEST(test_old_ids_stay),
        TEST(test_format_of_intentions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
