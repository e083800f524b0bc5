/* Config entries: what they are decoded from, and that nothing gets lost on the way to msgpack and
 * back. Texts are those of 1.10.3. */
#include "schema/config_entry.h"

#include "config_fixture.h"

#include "schema/config_chain.h"
#include "schema/config_defaults.h"
#include "schema/hcl.h"
#include "schema/msgpack.h"

static void test_spellings(void **state)
{
    struct config_fixture *f = *state;
    static const char *const same[] = {
        "{'Kind':'service-defaults','Name':'x','MeshGateway':{'Mode':'local'},"
        "'UpstreamConfig':{'Defaults':{'ConnectTimeoutMs':77}}}",
        "{'kind':'service-defaults','name':'x','mesh_gateway':{'mode':'local'},"
        "'upstream_config':{'defaults':{'connect_timeout_ms':'77'}}}",
        "{'KIND':'no','kind':'service-defaults','NAME':['x'],'meshgateway':[{'MODE':'local'}],"
        "'upstream_config':[{'defaults':[{'connect_timeout_ms':77.0}]}]}",
        "{'Kind':'service-defaults','Name':'x','MeshGateway':{'Mode':'local'},"
        "'UpstreamConfig':{'Defaults':{'ConnectTimeoutMs':77}},'CreateIndex':7,"
        "'ModifyIndex':'whatever'}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        assert_string_equal(
            config_entry_text(&f->arena, config_entry_from(&f->arena, same[i])),
            "{'Kind':'service-defaults','Name':'x','Protocol':'','TransparentProxy':{},"
            "'MeshGateway':{'Mode':'local'},'Expose':{},'UpstreamConfig':{'Defaults':"
            "{'ConnectTimeoutMs':77,'MeshGateway':{}}},'CreateIndex':0,'ModifyIndex':0}");
    }
}

static void test_hcl(void **state)
{
    struct config_fixture *f = *state;
    struct value *v;
    struct config_entry *e;
    struct str text = STR("kind = \"service-router\"\nname = \"web\"\n"
                          "routes = [ { match { http { path_prefix = \"/a\" } }\n"
                          "destination { service = \"x\" request_timeout = \"90s\" } } ]\n");
    assert_ok(hcl_parse(&f->arena, text, &v, &f->err));
    assert_ok(config_entry_decode(&f->arena, v, 0, &e, &f->err));
    assert_string_equal(config_entry_text(&f->arena, e),
                        "{'Kind':'service-router','Name':'web','Routes':[{'Match':{'HTTP':"
                        "{'PathPrefix':'/a'}},'Destination':{'RequestTimeout':'1m30s',"
                        "'Service':'x'}}],'CreateIndex':0,'ModifyIndex':0}");
}

/* [x] is x where mapstructure's hook looks, and stays where it does not. */
static void test_lone_items_in_free_form_configuration(void **state)
{
    struct config_fixture *f = *state;
    const struct config_entry *e = config_entry_from(
        &f->arena, "{'Kind':'proxy-defaults','Name':'global','Config':{'a':[[1]],'b':{'c':[1]},"
                   "'d':[{'c':[1]}],'e':[1,[2]],'f':[[[3]]],'n':5,'big':12345678901}}");
    assert_string_equal(
        config_entry_text(&f->arena, e),
        "{'Kind':'proxy-defaults','Name':'global','Config':{'a':[1],'b':{'c':[1]},"
        "'big':12345678901,'d':{'c':1},'e':[1,[2]],'f':[[3]],'n':5},'TransparentProxy':{},"
        "'MeshGateway':{},'Expose':{},'CreateIndex':0,'ModifyIndex':0}");
}

static const struct {
    const char *json, *error;
} refused[] = {
    {"{}", "Payload does not contain a kind/Kind key at the top level"},
    {"null", "Payload does not contain a kind/Kind key at the top level"},
    {"{'Kind':5}", "Kind value in payload is not a string"},
    {"{'Kind':'bogus'}", "invalid config entry kind: bogus"},
    {"{'Kind':'mesh','Bogus':1,'a_namespace':2}",
     "2 errors occurred:\n\t* invalid config key \"Bogus\"\n\t* invalid config key "
     "\"a_namespace\", namespaces are a consul enterprise feature\n\n"},
    {"{'Kind':'service-defaults','Name':'x','Namespace':'y'}",
     "1 error occurred:\n\t* invalid config key \"Namespace\", namespaces are a consul ent"
     "erprise feature\n\n"},
    {"{'Kind':'service-defaults','Name':'x','UpstreamConfig':{'Overrides':[{'Name':'q','Bo"
     "gus':1}]}}",
     "1 error occurred:\n\t* invalid config key \"UpstreamConfig.Overrides[0].Bogus\"\n\n"},
    {"{'Kind':'service-defaults','Name':'x','UpstreamConfig':{'Defaults':{'Bogus':1}}}",
     "1 error occurred:\n\t* invalid config key \"UpstreamConfig.Defaults.Bogus\"\n\n"},
    {"{'Kind':'service-resolver','Name':'x','Subsets':{'v1':{'Nope':1}}}",
     "1 error occurred:\n\t* invalid config key \"Subsets[v1].Nope\"\n\n"},
    {"{'Kind':'service-resolver','Name':'x','ConnectTimeout':'bogus'}",
     "1 error(s) decoding:\n\n* error decoding 'ConnectTimeout': time: invalid duration "
     "\"bogus\""},
    {"{'Kind':'mesh','Name':'mesh'}", "1 error occurred:\n\t* invalid config key \"Name\"\n\n"},
    {"{'Kind':'mesh','TransparentProxy':{'Bogus':1}}",
     "1 error occurred:\n\t* invalid config key \"TransparentProxy.Bogus\"\n\n"},
    {"{'Kind':'service-defaults','Name':'x','Meta':'x'}",
     "1 error(s) decoding:\n\n* 'Meta' expected a map, got 'string'"},
    {"{'Kind':'service-defaults','Name':'x','MeshGateway':'x'}",
     "1 error(s) decoding:\n\n* 'MeshGateway' expected a map, got 'string'"},
};

static void test_refused(void **state)
{
    struct config_fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct config_entry *e;
        struct value *v = config_value(&f->arena, refused[i].json);
        assert_true(config_entry_decode(&f->arena, v, DECODE_FLOATS, &e, &f->err) < 0);
        assert_string_equal(err_text(&f->err), refused[i].error);
    }
}

/* One of every kind, with as much in it as fits. */
static const char *const every[CONFIG_ENTRY_KINDS_COUNT] = {
    [CONFIG_SERVICE_DEFAULTS] =
        "{'Kind':'service-defaults','Name':'x','Protocol':'http','Mode':'direct',"
        "'TransparentProxy':{'OutboundListenerPort':1,'DialedDirectly':true},'MeshGateway':"
        "{'Mode':'local'},'Expose':{'Checks':true,'Paths':[{'ListenerPort':1,'Path':'/h',"
        "'LocalPathPort':2,'Protocol':'http'}]},'ExternalSNI':'s','UpstreamConfig':{'Overrides':"
        "[{'Name':'db','EnvoyListenerJSON':'l','EnvoyClusterJSON':'c','Protocol':'tcp',"
        "'ConnectTimeoutMs':5,'Limits':{'MaxConnections':3,'MaxPendingRequests':0},"
        "'PassiveHealthCheck':{'Interval':10000000000,'MaxFailures':4},'MeshGateway':{}}],"
        "'Defaults':{'MeshGateway':{'Mode':'none'}}},'Meta':{'a':'b'},"
        "'CreateIndex':1,'ModifyIndex':2}",
    [CONFIG_PROXY_DEFAULTS] =
        "{'Kind':'proxy-defaults','Name':'global','Config':{'f':1.5,'l':[1,'x',true],'m':{'k':"
        "'v'}},'Mode':'transparent','TransparentProxy':{},'MeshGateway':{},'Expose':{},'Meta':"
        "{'a':'b'},'CreateIndex':1,'ModifyIndex':2}",
    [CONFIG_SERVICE_ROUTER] =
        "{'Kind':'service-router','Name':'x','Routes':[{'Match':{'HTTP':{'PathExact':'/e',"
        "'Header':[{'Name':'h','Present':true,'Invert':true},{'Name':'i','Prefix':'p'}],"
        "'QueryParam':[{'Name':'q','Regex':'r'}],'Methods':['GET']}},'Destination':"
        "{'RequestTimeout':'5s','Service':'y','ServiceSubset':'v','Namespace':'n',"
        "'PrefixRewrite':'/','NumRetries':3,'RetryOnConnectFailure':true,'RetryOnStatusCodes':"
        "[500,503]}},{}],'CreateIndex':1,'ModifyIndex':2}",
    [CONFIG_SERVICE_SPLITTER] =
        "{'Kind':'service-splitter','Name':'x','Splits':[{'Weight':33.33,'ServiceSubset':'v1'},"
        "{'Weight':66.67,'Service':'y','Namespace':'n'}],'CreateIndex':1,'ModifyIndex':2}",
    [CONFIG_SERVICE_RESOLVER] =
        "{'ConnectTimeout':'15s','Kind':'service-resolver','Name':'x','DefaultSubset':'v1',"
        "'Subsets':{'v1':{'Filter':'f'},'v2':{'OnlyPassing':true}},'Redirect':{'Service':'y',"
        "'ServiceSubset':'s','Namespace':'n','Datacenter':'d'},'Failover':{'*':{'Datacenters':"
        "['d']}},'LoadBalancer':{'Policy':'ring_hash','RingHashConfig':{'MinimumRingSize':1,"
        "'MaximumRingSize':2},'LeastRequestConfig':{'ChoiceCount':2},'HashPolicies':[{'Field':"
        "'cookie','FieldValue':'c','CookieConfig':{'Session':true,'TTL':7,'Path':'/'}},"
        "{'SourceIP':true,'Terminal':true}]},'CreateIndex':1,'ModifyIndex':2}",
    [CONFIG_INGRESS_GATEWAY] =
        "{'Kind':'ingress-gateway','Name':'x','TLS':{'Enabled':true},'Listeners':[{'Port':80,"
        "'Protocol':'http','Services':[{'Name':'*','Hosts':null},{'Name':'a','Hosts':['h'],"
        "'Meta':{'a':'b'}}]}],'CreateIndex':1,'ModifyIndex':2}",
    [CONFIG_TERMINATING_GATEWAY] =
        "{'Kind':'terminating-gateway','Name':'x','Services':[{'Name':'a','CAFile':'ca',"
        "'CertFile':'c','KeyFile':'k','SNI':'s'}],'CreateIndex':1,'ModifyIndex':2}",
    [CONFIG_SERVICE_INTENTIONS] =
        "{'Kind':'service-intentions','Name':'x','Sources':[{'Name':'a','Permissions':[{'Action':"
        "'allow','HTTP':{'PathRegex':'r','Header':[{'Name':'h','Suffix':'s'}],'Methods':"
        "['PUT']}}],'Precedence':9,'Type':'consul','Description':'d'},{'Name':'*','Action':"
        "'deny','Precedence':8,'LegacyID':'id','Type':'consul','LegacyMeta':{'k':'v'},"
        "'LegacyCreateTime':'2020-01-02T03:04:05Z','LegacyUpdateTime':'2020-01-02T03:04:06Z'}],"
        "'Meta':{'a':'b'},'CreateIndex':1,'ModifyIndex':2}",
    [CONFIG_MESH] = "{'Kind':'mesh','TransparentProxy':{'MeshDestinationsOnly':true},'Meta':"
                    "{'a':'b'},'CreateIndex':1,'ModifyIndex':2}",
};

static struct config_entry *one_of_every(struct arena *a, size_t i)
{
    struct config_entry *e = config_entry_from(a, every[i]);
    assert_int_equal(e->type, i);
    e->raft = (struct raft_index){1, 2};
    return e;
}

static void test_json_of_every_kind(void **state)
{
    struct config_fixture *f = *state;
    for (size_t i = 0; i < CONFIG_ENTRY_KINDS_COUNT; i++) {
        assert_string_equal(config_entry_text(&f->arena, one_of_every(&f->arena, i)), every[i]);
    }
}

static void test_copies_of_every_kind(void **state)
{
    struct config_fixture *f = *state;
    for (size_t i = 0; i < CONFIG_ENTRY_KINDS_COUNT; i++) {
        const struct config_entry *e = one_of_every(&f->arena, i);
        struct config_entry *clone = schema_clone(&config_entry_schema, e, NULL);
        assert_true(schema_equal(&config_entry_schema, e, clone));
        assert_string_equal(config_entry_text(&f->arena, clone), every[i]);
        mem_free(clone);
        const struct config_entry *other =
            one_of_every(&f->arena, (i + 1) % CONFIG_ENTRY_KINDS_COUNT);
        assert_false(schema_equal(&config_entry_schema, e, other));
    }
}

/* Through msgpack and back, into zeroed storage. */
static void pass(struct config_fixture *f, const struct schema *schema, const void *from, void *to)
{
    struct buf b = {0};
    msgpack_object(&b, schema, from);
    struct cur c = cur_make(arena_str(&f->arena, buf_view(&b)));
    buf_deinit(&b);
    if (msgpack_decode(&c, schema, to, &f->arena, &f->err) < 0) {
        fail_msg("%s", err_text(&f->err));
    }
    assert_int_equal(cur_left(&c), 0);
}

static void test_requests(void **state)
{
    struct config_fixture *f = *state;
    for (size_t i = 0; i < CONFIG_ENTRY_KINDS_COUNT; i++) {
        struct config_entry_request from = {.op = CONFIG_ENTRY_UPSERT,
                                            .datacenter = STR("dc1"),
                                            .entry = one_of_every(&f->arena, i),
                                            .write.token = STR("t")};
        struct config_entry_request to = {0};
        pass(f, &config_entry_request_schema, &from, &to);
        assert_str_equal(to.op, from.op);
        assert_str_equal(to.datacenter, from.datacenter);
        assert_str_equal(to.write.token, from.write.token);
        assert_str_equal(to.entry->name, from.entry->name);
        assert_string_equal(config_entry_text(&f->arena, to.entry), every[i]);
    }
}

static void test_answers(void **state)
{
    struct config_fixture *f = *state;
    void *all[CONFIG_ENTRY_KINDS_COUNT];
    for (size_t i = 0; i < CONFIG_ENTRY_KINDS_COUNT; i++) {
        struct config_entry_response from = {.meta.index = 7}, to = {0};
        all[i] = one_of_every(&f->arena, i);
        from.entry = all[i];
        pass(f, &config_entry_response_schema, &from, &to);
        assert_int_equal(to.meta.index, 7);
        assert_string_equal(config_entry_text(&f->arena, to.entry), every[i]);

        void *twice[] = {all[i], all[i]};
        struct indexed_config_entries some = {
            .kind = from.entry->kind, .entries = {twice, 2}, .meta.index = 8};
        struct indexed_config_entries got = {0};
        pass(f, &indexed_config_entries_schema, &some, &got);
        assert_int_equal(got.meta.index, 8);
        assert_int_equal(got.entries.n, 2);
        assert_string_equal(config_entry_text(&f->arena, got.entries.v[1]), every[i]);
    }
    struct config_entry_response none = {.meta.index = 9}, nothing = {0};
    pass(f, &config_entry_response_schema, &none, &nothing);
    assert_null(nothing.entry);
    assert_int_equal(nothing.meta.index, 9);

    struct indexed_generic_config_entries from = {.entries = {all, CONFIG_ENTRY_KINDS_COUNT},
                                                  .meta.index = 10};
    struct indexed_generic_config_entries to = {0};
    pass(f, &indexed_generic_config_entries_schema, &from, &to);
    assert_int_equal(to.entries.n, CONFIG_ENTRY_KINDS_COUNT);
    assert_int_equal(to.meta.index, 10);
    for (size_t i = 0; i < CONFIG_ENTRY_KINDS_COUNT; i++) {
        assert_string_equal(config_entry_text(&f->arena, to.entries.v[i]), every[i]);
    }
}

static void test_malformed_requests(void **state)
{
    struct config_fixture *f = *state;
    struct buf b = {0};
    struct config_entry_request req = {.entry = one_of_every(&f->arena, CONFIG_SERVICE_ROUTER)};
    msgpack_object(&b, &config_entry_request_schema, &req);
    for (size_t n = 0; n < b.n; n++) {
        struct config_entry_request got = {0};
        struct cur c = cur_make(str_make(b.p, n));
        assert_true(msgpack_decode(&c, &config_entry_request_schema, &got, &f->arena, &f->err) < 0);
    }
    buf_clear(&b);
    struct buf body = {0};
    msgpack_raw(&body, STR("bogus"));
    msgpack_map(&body, 1);
    msgpack_raw(&body, STR("Entry"));
    msgpack_map(&body, 0);
    msgpack_raw(&b, buf_view(&body));
    struct config_entry_request got = {0};
    struct cur c = cur_make(buf_view(&b));
    assert_true(msgpack_decode(&c, &config_entry_request_schema, &got, &f->arena, &f->err) < 0);
    assert_null(got.entry);
    buf_deinit(&body);
    buf_deinit(&b);
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, config_fixture_setup, config_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_spellings),
        TEST(test_hcl),
        TEST(test_lone_items_in_free_form_configuration),
        TEST(test_refused),
        TEST(test_json_of_every_kind),
        TEST(test_copies_of_every_kind),
        TEST(test_requests),
        TEST(test_answers),
        TEST(test_malformed_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
