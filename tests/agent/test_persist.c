/* What is kept in the data directory: Consul's own files, byte for byte, and what becomes of them
 * at the next start and at a reload. */
#include "agent_fixture.h"

#include "agent/persist.h"
#include "loop/file.h"

#define SECOND ((int64_t)NS_PER_SEC)

/* As an agent of 1.10.3 wrote them. */
#define WEB1_SERVICE_FILE "services/e694aa37abf20c91a442da4841aeccdf"
#define WEB1_SERVICE                                                                          \
    "{\"Token\":\"\",\"Service\":{\"ID\":\"web1\",\"Service\":\"web\",\"Tags\":[\"v1\"],"     \
    "\"Address\":\"\",\"Meta\":{\"k\":\"v\"},\"Port\":80,\"Weights\":{\"Passing\":1,"         \
    "\"Warning\":1},\"EnableTagOverride\":false,\"Proxy\":{\"Mode\":\"\",\"MeshGateway\":{}," \
    "\"Expose\":{}},\"Connect\":{},\"CreateIndex\":0,\"ModifyIndex\":0},\"Source\":\"remote\"}"
#define WEB1_CHECK_FILE "checks/b56960a7cfb1e8c914c9285682d47496"
#define WEB1_CHECK                                                                           \
    "{\"Check\":{\"Node\":\"node1\",\"CheckID\":\"service:web1\",\"Name\":\"Service 'web' "  \
    "check\",\"Status\":\"passing\",\"Notes\":\"\",\"Output\":\"\",\"ServiceID\":\"web1\","  \
    "\"ServiceName\":\"web\",\"ServiceTags\":[\"v1\"],\"Type\":\"ttl\",\"Interval\":\"\","   \
    "\"Timeout\":\"\",\"ExposedPort\":0,\"Definition\":{},\"CreateIndex\":0,"                \
    "\"ModifyIndex\":0},\"ChkType\":{\"CheckID\":\"\",\"Name\":\"\",\"Status\":\"passing\"," \
    "\"Notes\":\"\",\"ScriptArgs\":null,\"HTTP\":\"\",\"H2PING\":\"\",\"Header\":null,"      \
    "\"Method\":\"\",\"Body\":\"\",\"TCP\":\"\",\"Interval\":0,\"AliasNode\":\"\","          \
    "\"AliasService\":\"\",\"DockerContainerID\":\"\",\"Shell\":\"\",\"GRPC\":\"\","         \
    "\"GRPCUseTLS\":false,\"TLSServerName\":\"\",\"TLSSkipVerify\":false,\"Timeout\":0,"     \
    "\"TTL\":30000000000,\"SuccessBeforePassing\":0,\"FailuresBeforeCritical\":0,"           \
    "\"ProxyHTTP\":\"\",\"ProxyGRPC\":\"\",\"DeregisterCriticalServiceAfter\":0,"            \
    "\"OutputMaxSize\":0},\"Token\":\"\",\"Source\":\"remote\"}"

static int setup_kept(void **state)
{
    struct fixture *f = fixture_new(true);
    struct err err = {0};
    fixture_make_data_dir(f);
    fixture_start_server(f);
    assert_ok(fixture_start_agent(f, &err));
    run_until(f, is_in_step);
    *state = f;
    return 0;
}

static struct str path(struct fixture *f, const char *name)
{
    return arena_printf(&f->arena, "%s/%s", f->data_dir, name);
}

static struct str contents(struct fixture *f, const char *name)
{
    struct str bytes = STR_NULL;
    struct err err = {0};
    (void)!file_read(path(f, name), 1u << 20, &f->arena, &bytes, &err);
    return bytes;
}

static void put_file(struct fixture *f, const char *name, struct str bytes)
{
    struct err err = {0};
    assert_ok(file_replace(path(f, name), bytes, false, &err));
}

static void restart(struct fixture *f)
{
    struct err err = {0};
    fixture_stop_agent(f);
    if (fixture_start_agent(f, &err) < 0) {
        fail_msg("%s", err.text);
    }
    run_until(f, is_in_step);
}

static void add_web1(struct fixture *f)
{
    struct err err = {0};
    struct str tag = STR("v1");
    struct strpair pair = {STR("k"), STR("v")};
    struct check_def ttl = {.ttl = 30 * SECOND, .status = STR("passing")};
    struct node_service service = {.id = STR("web1"),
                                   .service = STR("web"),
                                   .tags = {&tag, 1},
                                   .meta = {&pair, 1},
                                   .port = 80};
    assert_ok(add_service(f, service, &ttl, 1, &err));
}

static void test_files_are_the_recorded_ones(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    add_web1(f);
    assert_str_lit(contents(f, WEB1_SERVICE_FILE), WEB1_SERVICE);
    assert_str_lit(contents(f, WEB1_CHECK_FILE), WEB1_CHECK);
    assert_ok(service_remove(f->agent, STR("web1"), true, &err));
    assert_null(contents(f, WEB1_SERVICE_FILE).p);
    assert_null(contents(f, WEB1_CHECK_FILE).p);
}

static void test_recorded_files_are_read(void **state)
{
    struct fixture *f = *state;
    put_file(f, WEB1_SERVICE_FILE, STR(WEB1_SERVICE));
    put_file(f, WEB1_CHECK_FILE, STR(WEB1_CHECK));
    put_file(f, "services/broken", STR("{\"Service\": 1"));
    put_file(f, "services/half.tmp", STR(""));
    put_file(f, "checks/odd-source",
             STR("{\"Check\":{\"CheckID\":\"odd\"},\"ChkType\":null,\"Source\":\"bogus\"}"));
    restart(f);
    assert_int_equal(local_service(f->agent->local, STR("web1"))->row->service.port, 80);
    /* Whatever it was before: nobody has looked since. */
    assert_str_lit(check_row(f, STR("service:web1"))->status, "critical");
    assert_true(check_is_ttl(local_check(f->agent->local, STR("service:web1"))->runner));
    assert_null(check_row(f, STR("odd")));
    assert_str_lit(catalog_services(f), "web1:80 ");
}

static void test_restart_keeps_what_was_registered(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    bool is_changed;
    add_web1(f);
    assert_ok(check_ttl_report(f->agent, STR("service:web1"), STR("warning"), STR("careful"),
                               &is_changed, &err));
    assert_ok(add_check(f, (struct check_def){.name = STR("node-ttl"), .ttl = 600 * SECOND}, &err));
    assert_ok(service_maintenance(f->agent, STR("web1"), true, STR("why"), STR(""), &err));
    run_until(f, is_in_step);
    restart(f);
    assert_str_lit(check_row(f, STR("service:web1"))->status, "warning");
    assert_str_lit(check_row(f, STR("service:web1"))->output, "careful");
    assert_str_lit(check_row(f, STR("node-ttl"))->status, "critical");
    assert_str_lit(check_row(f, STR("_service_maintenance:web1"))->notes, "why");
    assert_null(local_check(f->agent->local, STR("_service_maintenance:web1"))->runner);
    assert_str_lit(catalog_checks(f), "_service_maintenance:web1=critical() "
                                      "node-ttl=critical() service:web1=warning(careful) ");
}

static void test_configuration_wins(void **state)
{
    struct fixture *f = *state;
    add_web1(f);
    f->hcl = "service { id = \"web1\" name = \"web\" port = 99 }";
    restart(f);
    assert_int_equal(local_service(f->agent->local, STR("web1"))->row->service.port, 99);
    assert_null(contents(f, WEB1_SERVICE_FILE).p);
}

static void test_reload(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    bool is_changed;
    add_web1(f);
    f->hcl = "service { name = \"conf\" port = 1 check { ttl = \"60s\" } }";
    assert_ok(agent_reload(f->agent, &err));
    assert_non_null(local_service(f->agent->local, STR("web1"))); /* from its file */
    assert_ok(check_ttl_report(f->agent, STR("service:conf"), STR("passing"), STR("ok"),
                               &is_changed, &err));
    run_until(f, is_in_step);
    assert_str_lit(catalog_services(f), "conf:1 web1:80 ");

    /* The check keeps its state, the service gets its new port. */
    f->hcl = "service { name = \"conf\" port = 2 check { ttl = \"60s\" } }";
    assert_ok(agent_reload(f->agent, &err));
    run_until(f, is_in_step);
    assert_str_lit(catalog_services(f), "conf:2 web1:80 ");
    assert_str_lit(check_row(f, STR("service:conf"))->status, "passing");

    f->hcl = "";
    assert_ok(agent_reload(f->agent, &err));
    run_until(f, is_in_step);
    assert_str_lit(catalog_services(f), "web1:80 ");
}

static void test_tokens_are_kept(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    bool is_changed;
    f->hcl = "acl { enabled = true enable_token_persistence = true tokens { default = \"c\" } }";
    restart(f);
    assert_str_lit(tokens_user(&f->agent->tokens), "c");
    assert_ok(tokens_set(&f->agent->tokens, agent_config(f->agent), TOKEN_agent, STR("secret"),
                         &is_changed, &err));
    assert_true(is_changed);
    assert_str_lit(contents(f, "acl-tokens.json"), "{\"agent\":\"secret\"}");
    restart(f);
    assert_str_lit(tokens_agent(&f->agent->tokens), "secret");
    assert_str_lit(tokens_user(&f->agent->tokens), "c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_are_the_recorded_ones, setup_kept, teardown),
        cmocka_unit_test_setup_teardown(test_recorded_files_are_read, setup_kept, teardown),
        cmocka_unit_test_setup_teardown(test_restart_keeps_what_was_registered, setup_kept,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_configuration_wins, setup_kept, teardown),
        cmocka_unit_test_setup_teardown(test_reload, setup_kept, teardown),
        cmocka_unit_test_setup_teardown(test_tokens_are_kept, setup_kept, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
