/* Config entries by themselves: defaults that are filled in, and what is refused. The sentences are
 * those of 1.10.3, asked with these very entries. */
#include "store/config_check.h"

#include "config_fixture.h"

#include "schema/msgpack.h"

static const struct {
    const char *json, *normal;
} normalized[] = {
    {"{'Kind':'service-defaults','Name':'Web','Protocol':'HTTP','UpstreamConfig':{'Overrides':"
     "[{'Name':'db','Protocol':'TCP','ConnectTimeoutMs':-5}]}}",
     "{'Kind':'service-defaults','Name':'Web','Protocol':'http','TransparentProxy':{},"
     "'MeshGateway':{},'Expose':{},'UpstreamConfig':{'Overrides':[{'Name':'db','Protocol':'tcp',"
     "'MeshGateway':{}}]},'CreateIndex':0,'ModifyIndex':0}"},
    {"{'Kind':'proxy-defaults','Name':'other'}",
     "{'Kind':'proxy-defaults','Name':'global','Config':null,'TransparentProxy':{},"
     "'MeshGateway':{},'Expose':{},'CreateIndex':0,'ModifyIndex':0}"},
    {"{'Kind':'service-router','Name':'r','Routes':[{'Match':{'HTTP':{'Methods':['get']}}}]}",
     "{'Kind':'service-router','Name':'r','Routes':[{'Match':{'HTTP':{'Methods':['GET']}}}],"
     "'CreateIndex':0,'ModifyIndex':0}"},
    {"{'Kind':'service-splitter','Name':'s','Splits':[{'Weight':33.333},{'Weight':66.667}]}",
     "{'Kind':'service-splitter','Name':'s','Splits':[{'Weight':33.33},{'Weight':66.67}],"
     "'CreateIndex':0,'ModifyIndex':0}"},
    {"{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1},{'Port':2,'Protocol':'GRPC'}]}",
     "{'Kind':'ingress-gateway','Name':'g','TLS':{'Enabled':false},'Listeners':[{'Port':1,"
     "'Protocol':'tcp','Services':null},{'Port':2,'Protocol':'grpc','Services':null}],"
     "'CreateIndex':0,'ModifyIndex':0}"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'*','Action':'deny'},{'Name':'y',"
     "'Permissions':[{'Action':'allow','HTTP':{'Methods':['get']}}]},{'Name':'x','Action':'deny',"
     "'LegacyID':'z','LegacyCreateTime':'2020-01-01T00:00:00Z'}]}",
     "{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'y','Permissions':[{'Action':"
     "'allow','HTTP':{'Methods':['GET']}}],'Precedence':9,'Type':'consul'},{'Name':'x','Action':"
     "'deny','Precedence':9,'Type':'consul'},{'Name':'*','Action':'deny','Precedence':8,'Type':"
     "'consul'}],'CreateIndex':0,'ModifyIndex':0}"},
    {"{'Kind':'service-intentions','Name':'*','Sources':[{'Name':'*','Action':'deny'},{'Name':'x',"
     "'Action':'allow'}]}",
     "{'Kind':'service-intentions','Name':'*','Sources':[{'Name':'x','Action':'allow',"
     "'Precedence':6,'Type':'consul'},{'Name':'*','Action':'deny','Precedence':5,'Type':"
     "'consul'}],'CreateIndex':0,'ModifyIndex':0}"},
};

static void test_normalize(void **state)
{
    struct config_fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(normalized); i++) {
        struct config_entry *e = config_entry_from(&f->arena, normalized[i].json);
        config_entry_normalize(&f->arena, e);
        assert_string_equal(config_entry_text(&f->arena, e), normalized[i].normal);
        config_entry_normalize(&f->arena, e); /* once more changes nothing */
        assert_string_equal(config_entry_text(&f->arena, e), normalized[i].normal);
    }
}

static const struct {
    const char *json, *error;
} refused[] = {
    {"{'Kind':'service-defaults','Name':'*'}",
     "service-defaults name must be the name of a service, and not a wildcard"},
    {"{'Kind':'service-defaults','Name':'x','UpstreamConfig':{'Overrides':[{'Protocol':'a'"
     "},{'Name':'*'},{'Name':'n','PassiveHealthCheck':{'Interval':'-1s'},'Limits':{'MaxCon"
     "nections':-1}}],'Defaults':{'Name':'x'}}}",
     "4 errors occurred:\n\t* error in upstream override for : Name is required\n\t* error"
     " in upstream override for *: Wildcard name is not supported\n\t* error in upstream o"
     "verride for n: 2 errors occurred:\n\t* passive health check interval cannot be negat"
     "ive\n\t* max connections cannot be negative\n\n\n\t* error in upstream defaults: Nam"
     "e must be empty\n\n"},
    {"{'Kind':'service-router','Name':'r','Routes':[{'Match':{'HTTP':{'Methods':['BAD']}}}"
     "]}",
     "Route[0] Methods contains an invalid method \"BAD\""},
    {"{'Kind':'service-router','Name':'r','Routes':[{'Match':{'HTTP':{'PathExact':'x'}}}]}",
     "Route[0] PathExact doesn't start with '/': \"x\""},
    {"{'Kind':'service-router','Name':'r','Routes':[{'Match':{'HTTP':{'QueryParam':[{'Exac"
     "t':'1'}]}}}]}",
     "Route[0] QueryParam[0] missing required Name field"},
    {"{'Kind':'service-splitter','Name':'s','Splits':[{'Weight':50.5},{'Weight':49.49,'Ser"
     "vice':'q'}]}",
     "the sum of all split weights must be 100, not 99.989998"},
    {"{'Kind':'service-splitter','Name':'s','Splits':[{'Weight':50},{'Weight':50,'Service'"
     ":'s'}]}",
     "split destination occurs more than once: service=\"s\", subset=\"\", namespace=\"\""},
    {"{'Kind':'service-resolver','Name':'x','Subsets':{'A':{}}}",
     "Subset \"A\" is invalid: must be 63 characters or fewer, begin or end with lower cas"
     "e alphanumeric characters, and contain lower case alphanumeric characters or '-' in "
     "between"},
    {"{'Kind':'service-resolver','Name':'x','Subsets':{'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa':{}}}",
     "Subset \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" is inval"
     "id: must be non-empty and 63 characters or fewer"},
    {"{'Kind':'service-resolver','Name':'x','Redirect':{'ServiceSubset':'v'}}",
     "Redirect.ServiceSubset defined without Redirect.Service"},
    {"{'Kind':'service-resolver','Name':'x','Redirect':{'Namespace':'v'}}",
     "Redirect.Namespace defined without Redirect.Service"},
    {"{'Kind':'service-resolver','Name':'x','Redirect':{'Service':'x','ServiceSubset':'v'}"
     "}",
     "Redirect.ServiceSubset \"v\" is not a valid subset of \"x\""},
    {"{'Kind':'service-resolver','Name':'x','Failover':{'*':{'ServiceSubset':'v'}}}",
     "Bad Failover[\"*\"].ServiceSubset \"v\" is not a valid subset of \"\""},
    {"{'Kind':'service-resolver','Name':'x','Failover':{'*':{'Datacenters':['a','']}}}",
     "Bad Failover[\"*\"].Datacenters: found empty datacenter"},
    {"{'Kind':'service-resolver','Name':'x','LoadBalancer':{'Policy':'maglev','RingHashCon"
     "fig':{}}}",
     "Bad LoadBalancer configuration. RingHashConfig specified for incompatible load balan"
     "cing policy \"maglev\""},
    {"{'Kind':'service-resolver','Name':'x','LoadBalancer':{'Policy':'maglev','LeastReques"
     "tConfig':{}}}",
     "Bad LoadBalancer configuration. LeastRequestConfig specified for incompatible load b"
     "alancing policy \"maglev\""},
    {"{'Kind':'service-resolver','Name':'x','LoadBalancer':{'Policy':'maglev','HashPolicie"
     "s':[{'Field':'q'}]}}",
     "Bad LoadBalancer HashPolicy[0]: \"q\" is not a supported field"},
    {"{'Kind':'service-resolver','Name':'x','LoadBalancer':{'Policy':'maglev','HashPolicie"
     "s':[{'Field':'header','SourceIP':true}]}}",
     "Bad LoadBalancer HashPolicy[0]: A single hash policy cannot hash both a source addre"
     "ss and a \"header\""},
    {"{'Kind':'service-resolver','Name':'x','LoadBalancer':{'Policy':'maglev','HashPolicie"
     "s':[{'FieldValue':'h','SourceIP':true}]}}",
     "Bad LoadBalancer HashPolicy[0]: A FieldValue cannot be specified when hashing Source"
     "IP"},
    {"{'Kind':'service-resolver','Name':'x','LoadBalancer':{'Policy':'maglev','HashPolicie"
     "s':[{'Field':'header'}]}}",
     "Bad LoadBalancer HashPolicy[0]: Field \"header\" was specified without a FieldValue"},
    {"{'Kind':'service-resolver','Name':'x','LoadBalancer':{'Policy':'maglev','HashPolicie"
     "s':[{'FieldValue':'header'}]}}",
     "Bad LoadBalancer HashPolicy[0]: FieldValue requires a Field to apply to"},
    {"{'Kind':'service-resolver','Name':'x','LoadBalancer':{'Policy':'maglev','HashPolicie"
     "s':[{'Field':'header','FieldValue':'x','CookieConfig':{}}]}}",
     "Bad LoadBalancer HashPolicy[0]: cookie_config provided for \"header\""},
    {"{'Kind':'service-resolver','Name':'x','LoadBalancer':{'Policy':'maglev','HashPolicie"
     "s':[{'Field':'cookie','FieldValue':'x','CookieConfig':{'Session':true,'TTL':'1s'}}]}"
     "}",
     "Bad LoadBalancer HashPolicy[0]: a session cookie cannot have an associated TTL"},
    {"{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1}]}",
     "No service declared for listener with port 1"},
    {"{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1,'Services':[{'Name':'a'}"
     "]},{'Port':1}]}",
     "port 1 declared on two listeners"},
    {"{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1,'Protocol':'http','Servi"
     "ces':[{'Name':''}]}]}",
     "Service name cannot be blank (listener on port 1)"},
    {"{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1,'Protocol':'http','Servi"
     "ces':[{'Name':'*','Hosts':['b']}]}]}",
     "Associating hosts to a wildcard service is not supported (listener on port 1)"},
    {"{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1,'Protocol':'http','Servi"
     "ces':[{'Name':'a','Hosts':['b','b']}]}]}",
     "Hosts must be unique within a specific listener (listener on port 1)"},
    {"{'Kind':'ingress-gateway','Name':'g','TLS':{'Enabled':true},'Listeners':[{'Port':1,'"
     "Protocol':'http','Services':[{'Name':'a','Hosts':['*']}]}]}",
     "Host '*' is not allowed when TLS is enabled, all hosts must be valid DNS records to "
     "add as a DNSSAN"},
    {"{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1,'Protocol':'http','Servi"
     "ces':[{'Name':'a','Hosts':['a..b']}]}]}",
     "Host \"a..b\" must be a valid DNS hostname"},
    {"{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1,'Protocol':'http','Servi"
     "ces':[{'Name':'a','Hosts':['x.*.b']}]}]}",
     "Host \"x.*.b\" is not valid, a wildcard specifier is only allowed as the leftmost la"
     "bel"},
    {"{'Kind':'terminating-gateway','Name':'t','Services':[{'Name':''}]}",
     "Service name cannot be blank."},
    {"{'Kind':'terminating-gateway','Name':'t','Services':[{'Name':'a'},{'Name':'a'}]}",
     "Service \"a\" was specified more than once within a namespace"},
    {"{'Kind':'service-intentions'}", "Name is required"},
    {"{'Kind':'service-intentions','Name':'a*'}",
     "Name: wildcard character '*' cannot be used with partial values"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':''}]}",
     "Sources[0].Name is required"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x*'}]}",
     "Sources[0].Name: wildcard character '*' cannot be used with partial values"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Action':'allow'},{'N"
     "ame':'x','Action':'deny'}]}",
     "Sources[1] defines \"x\" more than once"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Action':'allow','Leg"
     "acyMeta':{'a':'b'}}]}",
     "Sources[0].LegacyMeta must be omitted"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Action':'allow','Typ"
     "e':'z'}]}",
     "Sources[0].Type must be set to 'consul'"},
    {"{'Kind':'service-intentions','Name':'*','Sources':[{'Name':'x','Permissions':[{'Acti"
     "on':'allow'}]}]}",
     "Sources[0].Permissions cannot be specified on intentions with wildcarded destination"
     "s"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Action':'allow','Per"
     "missions':[{'Action':'allow'}]}]}",
     "Sources[0].Action must be omitted if Permissions are specified"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Permissions':[{'Acti"
     "on':'x'}]}]}",
     "Sources[0].Permissions[0].Action must be set to 'allow' or 'deny'"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Permissions':[{'Acti"
     "on':'allow'}]}]}",
     "Sources[0].Permissions[0].HTTP is required"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Permissions':[{'Acti"
     "on':'allow','HTTP':{}}]}]}",
     "Sources[0].Permissions[0].HTTP should not be empty"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Permissions':[{'Acti"
     "on':'allow','HTTP':{'PathExact':'a'}}]}]}",
     "Sources[0].Permissions[0].HTTP.PathExact doesn't start with '/': \"a\""},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Permissions':[{'Acti"
     "on':'allow','HTTP':{'PathExact':'/a','PathRegex':'b'}}]}]}",
     "Sources[0].Permissions[0].HTTP should only contain at most one of PathExact, PathPre"
     "fix, or PathRegex"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Permissions':[{'Acti"
     "on':'allow','HTTP':{'Header':[{}]}}]}]}",
     "Sources[0].Permissions[0].HTTP.Header[0] missing required Name field"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Permissions':[{'Acti"
     "on':'allow','HTTP':{'Header':[{'Name':'a'}]}}]}]}",
     "Sources[0].Permissions[0].HTTP.Header[0] should only contain one of Present, Exact, "
     "Prefix, Suffix, or Regex"},
    {"{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Permissions':[{'Acti"
     "on':'allow','HTTP':{'Methods':['get','GET']}}]}]}",
     "Sources[0].Permissions[0].HTTP.Methods contains \"GET\" more than once"},
    {"{'Kind':'service-defaults','Name':null,'Protocol':null}", "Name is required"},
};

static void test_refused(void **state)
{
    struct config_fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct config_entry *e = config_entry_from(&f->arena, refused[i].json);
        config_entry_normalize(&f->arena, e);
        f->err = (struct err){0};
        assert_true(config_entry_validate(&f->arena, e, &f->err) < 0);
        assert_string_equal(err_text(&f->err), refused[i].error);
    }
}

static const char *const accepted[] = {
    "{'Kind':'service-defaults','Name':'x','UpstreamConfig':{'Overrides':[{'Name':'a','Limits':"
    "{'MaxConnections':0}}]}}",
    "{'Kind':'proxy-defaults','Name':'global'}",
    "{'Kind':'mesh'}",
    "{'Kind':'service-router','Name':'r','Routes':[{'Match':{'HTTP':{'PathExact':'/a'}},"
    "'Destination':{'PrefixRewrite':'/b'}},{}]}",
    "{'Kind':'service-splitter','Name':'s','Splits':[{'Weight':0.01},{'Weight':99.99,"
    "'Service':'q'}]}",
    "{'Kind':'service-resolver','Name':'x','DefaultSubset':'v-1','Subsets':{'v-1':{}},'Failover':"
    "{'*':{'Datacenters':['a']},'v-1':{'Service':'y'}},'LoadBalancer':{'Policy':'maglev',"
    "'HashPolicies':[{'Field':'cookie','FieldValue':'c','CookieConfig':{'Session':true}}]}}",
    "{'Kind':'ingress-gateway','Name':'g','Listeners':[{'Port':1,'Protocol':'http','Services':"
    "[{'Name':'a','Hosts':['*','*.b','c.d.','e\\\\.f']},{'Name':'*'}]},{'Port':2,'Services':"
    "[{'Name':'t'}]}]}",
    "{'Kind':'terminating-gateway','Name':'t','Services':[{'Name':'*','CAFile':'c'},{'Name':'a',"
    "'CAFile':'c','CertFile':'d','KeyFile':'e'}]}",
    "{'Kind':'service-intentions','Name':'a','Sources':[{'Name':'x','Permissions':[{'Action':"
    "'allow','HTTP':{'Header':[{'Name':'h','Present':true}]}}]},{'Name':'*','Action':'deny'}]}",
};

static void test_accepted(void **state)
{
    struct config_fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        struct config_entry *e = config_entry_from(&f->arena, accepted[i]);
        config_entry_normalize(&f->arena, e);
        f->err = (struct err){0};
        if (config_entry_validate(&f->arena, e, &f->err) < 0) {
            fail_msg("%s: %s", accepted[i], err_text(&f->err));
        }
    }
}

/* Such entries would be in the log for good, and nobody could read them. */
static void test_what_the_log_cannot_carry(void **state)
{
    struct config_fixture *f = *state;
    struct config_entry *e = config_entry_from(
        &f->arena, "{'Kind':'proxy-defaults','Name':'global','Config':{'a':{'b':[1,null]}}}");
    assert_true(config_entry_validate(&f->arena, e, &f->err) < 0);
    assert_string_equal(err_text(&f->err), "Config must not contain a null value");
    for (int depth = 32; depth <= 33; depth++) {
        struct buf b = {0};
        buf_lit(&b, "{'Kind':'proxy-defaults','Name':'global','Config':");
        for (int i = 0; i < depth; i++) {
            buf_lit(&b, "{'a':");
        }
        buf_byte(&b, '1');
        buf_fill(&b, '}', (size_t)depth + 1);
        e = config_entry_from(&f->arena, arena_str(&f->arena, buf_view(&b)).p);
        buf_deinit(&b);
        struct err err = {0};
        int r = config_entry_validate(&f->arena, e, &err);
        assert_int_equal(r<0, depth> 32);

        struct config_entry_request from = {.entry = e}, to = {0};
        msgpack_object(&b, &config_entry_request_schema, &from);
        struct cur c = cur_make(buf_view(&b));
        assert_ok(msgpack_decode(&c, &config_entry_request_schema, &to, &f->arena, &err));
        buf_deinit(&b);
    }
}

static void test_metadata(void **state)
{
    struct config_fixture *f = *state;
    struct config_entry *e = config_entry_from(&f->arena, "{'Kind':'mesh'}");
    struct strpair *pairs = ARENA_ARRAY(&f->arena, struct strpair, 65);
    for (size_t i = 0; i < 65; i++) {
        pairs[i].key = arena_printf(&f->arena, "k%02zu", i);
    }
    e->meta = (struct strmap){pairs, 64};
    assert_ok(config_entry_validate(&f->arena, e, &f->err));
    e->meta.n = 65;
    pairs[64].key = arena_printf(&f->arena, "%0129d", 7);
    assert_true(config_entry_validate(&f->arena, e, &f->err) < 0);
    assert_non_null(strstr(err_text(&f->err),
                           "2 errors occurred:\n\t* Meta exceeds maximum element "
                           "count 64\n\t* Meta key \"0"));
    assert_non_null(strstr(err_text(&f->err), "\" exceeds maximum length 128\n"));
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, config_fixture_setup, config_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_normalize), TEST(test_refused),
        TEST(test_accepted),  TEST(test_what_the_log_cannot_carry),
        TEST(test_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
