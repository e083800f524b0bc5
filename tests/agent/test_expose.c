#include "agent_fixture.h"

#define SECOND ((int64_t)NS_PER_SEC)

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *from, *host, *want;
    } http[] =
        {
            {"http://127.0.0.1:8080/health?a=b", "10.0.0.1", "http://10.0.0.1:21500/health?a=b"},
            {"https://my-host.x/", "10.0.0.1", "https://10.0.0.1:21500/"},
            {"http://[::1]:80", "10.0.0.1", "http://10.0.0.1:21500"},
            {"http://a:1/x:2", "2001:db8::1", "http://[2001:db8::1]:21500/x:2"},
            {"ftp://a:1/", "10.0.0.1", "ftp://a:1/"},
            {"", "10.0.0.1", ""},
        },
      grpc[] = {
          {"127.0.0.1:8080/svc", "10.0.0.1", "10.0.0.1:21500/svc"},
          {"localhost:1", "10.0.0.1", "10.0.0.1:21500"},
          {"nothing", "10.0.0.1", "nothing"},
      };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_SIZE(http); i++) {
        assert_str_equal(
            expose_http_target(&a, str_from_cstr(http[i].from), str_from_cstr(http[i].host), 21500),
            str_from_cstr(http[i].want));
    }
    for (size_t i = 0; i < ARRAY_SIZE(grpc); i++) {
        assert_str_equal(
            expose_grpc_target(&a, str_from_cstr(grpc[i].from), str_from_cstr(grpc[i].host), 21500),
            str_from_cstr(grpc[i].want));
    }
    arena_deinit(&a);
}

static struct check *runner(struct fixture *f, const char *id)
{
    return local_check(f->agent->local, str_from_cstr(id))->runner;
}

static struct node_service proxy_of(const char *id, bool checks)
{
    return (struct node_service){
        .kind = SERVICE_KIND_CONNECT_PROXY,
        .service = STR("web-proxy"),
        .address = STR("10.0.0.9"),
        .port = 1,
        .proxy = {.destination_service_name = STR("web"),
                  .destination_service_id = str_from_cstr(id),
                  .expose = {.checks = checks}},
    };
}

static void test_checks_follow_the_proxy(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct check_def defs[] = {
        {.http = STR("http://127.0.0.1:80/h"), .interval = 3600 * SECOND},
        {.grpc = STR("127.0.0.1:81/s"), .interval = 3600 * SECOND},
        {.ttl = 60 * SECOND},
    };
    struct node_service web = {.service = STR("web"), .port = 80};
    assert_ok(add_service(f, web, defs, 3, &err));
    assert_int_equal(runner(f, "service:web:1")->def->proxy_http.n, 0);

    assert_ok(add_service(f, proxy_of("web", true), NULL, 0, &err));
    assert_str_lit(runner(f, "service:web:1")->def->proxy_http, "http://10.0.0.9:21500/h");
    assert_str_lit(runner(f, "service:web:2")->def->proxy_grpc, "10.0.0.9:21501/s");
    assert_int_equal(check_row(f, STR("service:web:1"))->exposed_port, 21500);
    assert_int_equal(check_row(f, STR("service:web:3"))->exposed_port, 0);

    /* Registered again: the same ports; a check that comes later gets one too. */
    assert_ok(add_service(f, web, defs, 3, &err));
    assert_str_lit(runner(f, "service:web:1")->def->proxy_http, "http://10.0.0.9:21500/h");
    struct check_def late = {.name = STR("late"),
                             .service_id = STR("web"),
                             .http = STR("http://127.0.0.1/"),
                             .interval = 3600 * SECOND};
    assert_ok(add_check(f, late, &err));
    assert_str_lit(runner(f, "late")->def->proxy_http, "http://10.0.0.9:21502/");

    assert_ok(add_service(f, proxy_of("web", false), NULL, 0, &err));
    assert_int_equal(runner(f, "service:web:1")->def->proxy_http.n, 0);
    assert_int_equal(check_row(f, STR("late"))->exposed_port, 0);
    assert_ok(add_service(f, proxy_of("web", true), NULL, 0, &err));
    assert_ok(service_remove(f->agent, STR("web-proxy"), true, &err));
    assert_int_equal(runner(f, "service:web:2")->def->proxy_grpc.n, 0);
    assert_int_equal(f->agent->expose.ports.n, 0);
    run_until(f, is_in_step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test_setup_teardown(test_checks_follow_the_proxy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
