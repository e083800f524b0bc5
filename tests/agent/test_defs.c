/* Definitions as they come through the HTTP API; from files they come in test_config.c. */
#include "agent/service_def.h"
#include "base/err.h"
#include "schema/json.h"
#include "test.h"

static int decode_service(struct arena *a, const char *json, struct service_def *def,
                          struct err *err)
{
    struct value *v = NULL;
    assert_ok(json_parse(a, str_from_cstr(json), &v, err));
    return service_def_decode(v, def, a, err);
}

static int decode_check(struct arena *a, const char *json, struct check_def *def, struct err *err)
{
    struct value *v = NULL;
    assert_ok(json_parse(a, str_from_cstr(json), &v, err));
    return check_def_decode(v, def, a, err);
}

static void test_service_names_in_both_styles(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"Name\": \"web\", \"Port\": 80, \"EnableTagOverride\": true, \"TaggedAddresses\": "
        "{\"lan\": {\"Address\": \"1.1.1.1\", \"Port\": 2}}, \"Proxy\": "
        "{\"DestinationServiceName\": "
        "\"db\", \"Upstreams\": [{\"DestinationName\": \"x\", \"LocalBindPort\": 3}]}, "
        "\"Connect\": "
        "{\"SidecarService\": {\"Port\": 4}}, \"Check\": {\"DeregisterCriticalServiceAfter\": "
        "\"1m\", "
        "\"TTL\": \"5s\", \"CheckID\": \"c\", \"ID\": \"ignored\"}}",
        "{\"name\": \"web\", \"port\": 80, \"enable_tag_override\": true, \"tagged_addresses\": "
        "{\"lan\": {\"address\": \"1.1.1.1\", \"port\": 2}}, \"proxy\": "
        "{\"destination_service_name\": \"db\", \"upstreams\": [{\"destination_name\": \"x\", "
        "\"local_bind_port\": 3}]}, \"connect\": {\"sidecar_service\": {\"port\": 4}}, \"check\": "
        "{\"deregister_critical_service_after\": \"1m\", \"ttl\": \"5s\", \"check_id\": \"c\"}}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct arena a = {0};
        struct err err = {0};
        struct service_def def;
        struct node_service ns;
        struct ptrlist checks;
        assert_ok(decode_service(&a, texts[i], &def, &err));
        assert_str_lit(def.name, "web");
        assert_true(def.enable_tag_override);
        assert_int_equal(def.tagged_addresses.n, 1);
        assert_int_equal(def.connect->sidecar_service->port, 4);
        assert_int_equal(def.check->ttl, 5000000000ll);
        assert_int_equal(def.check->deregister_critical_service_after, 60000000000ll);
        assert_str_lit(def.check->id, "c");
        assert_ok(service_def_validate(&def, &err));
        service_def_to_node_service(&def, &a, &ns);
        assert_str_lit(ns.id, "web");
        assert_str_lit(((struct upstream *)ns.proxy.upstreams.v)->destination_type, "service");
        assert_ok(service_def_checks(&def, &a, &checks, &err));
        assert_int_equal(checks.n, 1);
        arena_deinit(&a);
    }
}

static void test_check_names_and_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *json, *type, *error;
    } examples[] = {
        {"{\"Name\": \"x\", \"TTL\": \"5s\"}", "ttl", NULL},
        {"{\"name\": \"x\", \"ttl\": 5000000000}", "ttl", NULL},
        {"{\"Args\": [\"a\"], \"Interval\": \"1s\"}", "script", NULL},
        {"{\"ScriptArgs\": [\"a\"], \"Interval\": \"1s\"}", "script", NULL},
        {"{\"script_args\": [\"a\"], \"interval\": \"1s\"}", "script", NULL},
        {"{\"Args\": [\"a\"], \"DockerContainerID\": \"d\", \"Interval\": \"1s\"}", "docker", NULL},
        {"{\"HTTP\": \"u\", \"Interval\": \"1s\", \"Header\": {\"A\": [\"b\"]}}", "http", NULL},
        {"{\"TCP\": \"a\", \"Interval\": \"1s\"}", "tcp", NULL},
        {"{\"GRPC\": \"a\", \"grpc_use_tls\": true, \"Interval\": \"1s\"}", "grpc", NULL},
        {"{\"H2PING\": \"a\", \"Interval\": \"1s\"}", "h2ping", NULL},
        {"{\"AliasService\": \"a\"}", "alias", NULL},
        {"{\"AliasNode\": \"a\"}", "alias", NULL},
        {"{}", "", "TTL must be > 0 for TTL checks"},
        {"{\"HTTP\": \"u\"}", "", "Interval must be > 0 for Script, HTTP, H2PING, or TCP checks"},
        {"{\"HTTP\": \"u\", \"Interval\": \"1s\", \"TTL\": \"1s\"}", "http",
         "Interval and TTL cannot both be specified"},
        {"{\"AliasNode\": \"a\", \"TTL\": \"1s\"}", "ttl",
         "TTL must be not be set for Alias checks"},
        {"{\"AliasNode\": \"a\", \"HTTP\": \"u\", \"Interval\": \"1s\"}", "http",
         "Interval cannot be set for Alias checks"},
        {"{\"TTL\": \"1s\", \"OutputMaxSize\": -1}", "ttl", "MaxOutputMaxSize must be positive"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        struct arena a = {0};
        struct err err = {0};
        struct check_def def;
        assert_ok(decode_check(&a, examples[i].json, &def, &err));
        assert_string_equal(check_def_type(&def), examples[i].type);
        int rc = check_def_validate(&def, &err);
        assert_string_equal(rc < 0 ? err_text(&err) : "",
                            examples[i].error != NULL ? examples[i].error : "");
        arena_deinit(&a);
    }
}

static void test_wrong_types_are_refused(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct check_def check;
    struct service_def service;
    assert_true(decode_check(&a, "{\"TTL\": \"soon\"}", &check, &err) < 0);
    assert_non_null(strstr(err_text(&err), "soon"));
    assert_true(decode_check(&a, "{\"Name\": 5}", &check, &err) < 0);
    assert_true(decode_service(&a, "{\"Port\": \"x\"}", &service, &err) < 0);
    assert_true(decode_service(&a, "[]", &service, &err) < 0);
    arena_deinit(&a);
}

static void test_health_check(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct check_def def;
    struct health_check check;
    assert_ok(decode_check(
        &a, "{\"Name\": \"mem\", \"Interval\": \"90s\", \"HTTP\": \"u\", \"Notes\": \"n\"}", &def,
        &err));
    check_def_to_health_check(&def, STR("node1"), &a, &check);
    assert_str_lit(check.check_id, "mem");
    assert_str_lit(check.status, "critical");
    assert_str_lit(check.interval, "1m30s");
    assert_str_lit(check.timeout, "0s");
    assert_str_lit(check.node, "node1");
    arena_deinit(&a);
}

static void test_metadata(void **state)
{
    (void)state;
    struct err err = {0};
    char long_key[200];
    memset(long_key, 'k', sizeof(long_key));
    const struct {
        struct strpair pair;
        const char *kind, *error;
    } examples[] = {
        {{STR("a_b-C9"), STR("v")}, "", NULL},
        {{STR(""), STR("v")}, "", "Couldn't load metadata pair ('', 'v'): Key cannot be blank"},
        {{STR("a b"), STR("v")},
         "",
         "Couldn't load metadata pair ('a b', 'v'): Key contains invalid characters"},
        {{STR("consul-x"), STR("v")},
         "",
         "Couldn't load metadata pair ('consul-x', 'v'): Key prefix 'consul-' is reserved for "
         "internal use"},
        {{STR("consul-wan-federation"), STR("1")}, "mesh-gateway", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        struct strmap meta = {&examples[i].pair, 1};
        int rc = service_meta_validate(str_from_cstr(examples[i].kind), meta, &err);
        assert_string_equal(rc < 0 ? err_text(&err) : "",
                            examples[i].error != NULL ? examples[i].error : "");
    }
    struct strpair pair = {{long_key, 129}, STR("v")};
    assert_true(service_meta_validate(STR(""), (struct strmap){&pair, 1}, &err) < 0);
    assert_non_null(strstr(err_text(&err), "Key is too long (limit: 128 characters)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_names_in_both_styles),
        cmocka_unit_test(test_check_names_and_kinds),
        cmocka_unit_test(test_wrong_types_are_refused),
        cmocka_unit_test(test_health_check),
        cmocka_unit_test(test_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
