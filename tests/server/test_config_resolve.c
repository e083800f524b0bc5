/* ConfigEntry.*: reading, and what the entries say about one service and its upstreams together. */
#include "config_fixture.h"
#include "method_fixture.h"

#include "server/reply.h"
#include "store/config_entry.h"

static void set(struct method_fixture *f, const char *json)
{
    struct store_txn *tx = method_fixture_begin(f);
    if (config_entry_set(tx, config_entry_from(&f->arena, json), &f->err) < 0) {
        fail_msg("%s: %s", json, err_text(&f->err));
    }
    store_txn_commit(tx);
}

/* The answer as JSON, with ' for ", up to the query's metadata. */
static const char *resolve(struct method_fixture *f, const struct service_config_request *args)
{
    struct rpc_ctx ctx = method_fixture_context(f);
    struct service_config_response reply = {0};
    struct buf b = {0};
    assert_ok(rpc_config_entry_resolve_service_config.read(&ctx, args, &reply));
    struct json_writer w = json_writer_make(&b, false);
    json_object(&w, &service_config_response_schema, &reply);
    for (size_t i = 0; i < b.n; i++) {
        b.p[i] = b.p[i] == '"' ? '\'' : b.p[i];
    }
    struct str text = arena_str(&f->arena, buf_view(&b));
    buf_deinit(&b);
    char *end = strstr((char *)(uintptr_t)text.p, ",'Index'");
    if (end != NULL) {
        *end = '\0';
    }
    return text.p;
}

#define PLAIN "'MeshGateway':{},'Expose':{},'TransparentProxy':{}"

static void test_without_entries(void **state)
{
    struct method_fixture *f = *state;
    const struct service_config_request args = {.name = STR("web")};
    assert_string_equal(
        resolve(f, &args),
        "{'ProxyConfig':null,'UpstreamConfigs':null,'UpstreamIDConfigs':null," PLAIN);
}

static void test_own_proxy(void **state)
{
    struct method_fixture *f = *state;
    const struct service_config_request args = {.name = STR("web")};
    set(f, "{'Kind':'proxy-defaults','Name':'global','Config':{'protocol':'http','x':1},'Mode':"
           "'direct','MeshGateway':{'Mode':'remote'},'TransparentProxy':{'OutboundListenerPort':7}"
           ",'Expose':{'Paths':[{'Path':'/a'}]}}");
    assert_string_equal(resolve(f, &args),
                        "{'ProxyConfig':{'protocol':'http','x':1},'UpstreamConfigs':null,"
                        "'UpstreamIDConfigs':null,'MeshGateway':{'Mode':'remote'},'Expose':"
                        "{'Paths':[{'Path':'/a'}]},'TransparentProxy':{'OutboundListenerPort':7},"
                        "'Mode':'direct'");
    set(f, "{'Kind':'service-defaults','Name':'web','Protocol':'grpc','MeshGateway':{'Mode':"
           "'local'},'TransparentProxy':{'DialedDirectly':true},'Expose':{'Checks':true}}");
    assert_string_equal(resolve(f, &args),
                        "{'ProxyConfig':{'protocol':'grpc','x':1},'UpstreamConfigs':null,"
                        "'UpstreamIDConfigs':null,'MeshGateway':{'Mode':'local'},'Expose':"
                        "{'Checks':true,'Paths':[{'Path':'/a'}]},'TransparentProxy':"
                        "{'OutboundListenerPort':7,'DialedDirectly':true},'Mode':'direct'");
}

static void set_upstreams(struct method_fixture *f)
{
    set(f, "{'Kind':'proxy-defaults','Name':'global','Config':{'protocol':'http'}}");
    set(f, "{'Kind':'service-defaults','Name':'db','Protocol':'grpc'}");
    set(f, "{'Kind':'service-defaults','Name':'web','UpstreamConfig':{'Overrides':[{'Name':'cache',"
           "'Protocol':'tcp','Limits':{'MaxConnections':3}}],'Defaults':{'ConnectTimeoutMs':5,"
           "'PassiveHealthCheck':{'Interval':'1s'}}}}");
}

#define DEFAULTS "'connect_timeout_ms':5"
#define CHECK "'passive_health_check':{'Interval':1000000000,'MaxFailures':0}"
#define LIMITS \
    "'limits':{'MaxConcurrentRequests':null,'MaxConnections':3,'MaxPendingRequests':null}"

static void test_upstreams(void **state)
{
    struct method_fixture *f = *state;
    struct service_id ids[] = {{STR("db")}, {STR("other")}};
    const struct service_config_request args = {
        .name = STR("web"), .upstream_ids = {ids, 2}, .mesh_gateway.mode = STR("local")};
    set_upstreams(f);
    assert_string_equal(
        resolve(f, &args),
        "{'ProxyConfig':{'protocol':'http'},'UpstreamConfigs':null,'UpstreamIDConfigs':["
        "{'Upstream':{'ID':'*'},'Config':{" DEFAULTS "," CHECK "}},"
        "{'Upstream':{'ID':'db'},'Config':{" DEFAULTS ",'mesh_gateway':{'Mode':'local'}," CHECK
        ",'protocol':'grpc'}},"
        "{'Upstream':{'ID':'other'},'Config':{" DEFAULTS ",'mesh_gateway':{'Mode':'local'}," CHECK
        ",'protocol':'http'}},"
        "{'Upstream':{'ID':'cache'},'Config':{" DEFAULTS "," LIMITS
        ",'mesh_gateway':{'Mode':'local'}," CHECK ",'protocol':'tcp'}}]," PLAIN);
}

static void test_upstreams_of_old_agents(void **state)
{
    struct method_fixture *f = *state;
    struct str names[] = {STR("db")};
    const struct service_config_request args = {.name = STR("x"), .upstreams = {names, 1}};
    set_upstreams(f);
    assert_string_equal(
        resolve(f, &args),
        "{'ProxyConfig':{'protocol':'http'},'UpstreamConfigs':{'db':{'protocol':'grpc'}},"
        "'UpstreamIDConfigs':null," PLAIN);
}

/* A proxy that names no upstreams has none, unless it is transparent. */
static void test_upstreams_nobody_named(void **state)
{
    struct method_fixture *f = *state;
    struct service_config_request args = {.name = STR("web")};
    set_upstreams(f);
    assert_null(strstr(resolve(f, &args), "cache"));
    args.mode = STR("transparent");
    assert_non_null(strstr(resolve(f, &args), "cache"));
}

static void test_list_all(void **state)
{
    struct method_fixture *f = *state;
    struct rpc_ctx ctx = method_fixture_context(f);
    struct config_entry_list_all_request args = {0};
    struct indexed_generic_config_entries reply = {0};
    set(f, "{'Kind':'mesh'}");
    set(f, "{'Kind':'service-defaults','Name':'a'}");
    ctx = method_fixture_context(f);
    assert_ok(rpc_config_entry_list_all.read(&ctx, &args, &reply));
    assert_int_equal(reply.entries.n, 1); /* as 1.8 knew them */
    assert_int_equal(reply.meta.index, 2);
    struct str kinds[] = {STR("mesh")};
    args.kinds = (struct strlist){kinds, 1};
    assert_ok(rpc_config_entry_list_all.read(&ctx, &args, &reply));
    assert_int_equal(reply.entries.n, 1);
    assert_int_equal(((const struct config_entry *)reply.entries.v[0])->type, CONFIG_MESH);
}

static void test_intentions_need_connect(void **state)
{
    struct method_fixture *f = *state;
    struct rpc_ctx ctx = method_fixture_context(f);
    struct buf entry = {0};
    struct bool_reply reply;
    struct config_entry_request args = {
        .entry = config_entry_from(&f->arena, "{'Kind':'service-intentions','Name':'a','Sources':"
                                              "[{'Name':'b','Action':'deny'}]}")};
    assert_true(rpc_config_entry_apply.prepare(&ctx, &args, &reply, &entry) < 0);
    assert_string_equal(err_text(&f->err), "Connect must be enabled in order to use this endpoint");
    f->server.options.connect_enabled = true;
    assert_int_equal(rpc_config_entry_apply.prepare(&ctx, &args, &reply, &entry),
                     RPC_PREPARE_PROPOSE);
    assert_str_lit(args.op, "upsert");
    assert_true(rpc_config_entry_apply.flags & RPC_PRIMARY); /* sees to args.datacenter */
    buf_deinit(&entry);
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, method_fixture_setup, method_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_without_entries),
        TEST(test_own_proxy),
        TEST(test_upstreams),
        TEST(test_upstreams_of_old_agents),
        TEST(test_upstreams_nobody_named),
        TEST(test_list_all),
        TEST(test_intentions_need_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
