/* What config entries add to a registration. That it follows them is among the recorded scenarios
 * (agent_central_config). */
#include "agent/service_config.h"

#include "base/err.h"
#include "schema/catalog.h"
#include "schema/config_entry.h"
#include "schema/json.h"
#include "test.h"

static struct arena arena;

static const struct value *json(const char *text)
{
    struct err err = {0};
    struct str rest = str_from_cstr(text);
    struct value *v;
    assert_int_equal(json_parse_next(&arena, &rest, &v, &err), 0);
    return v;
}

static void assert_config(const struct value *config, const char *text)
{
    assert_true(value_eq(config, json(text)));
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

static void what_was_registered_wins(void **state)
{
    (void)state;
    struct expose_path paths[2] = {{.path = STR("/mine")}, {.path = STR("/theirs")}};
    struct node_service service = {
        .proxy = {.config = json("{\"a\":1,\"zero\":0,\"m\":{\"x\":1},\"l\":[1]}"),
                  .mesh_gateway.mode = STR("local"),
                  .expose.paths = {&paths[0], 1}}};
    struct service_config_response defaults = {
        .proxy_config = json("{\"a\":2,\"zero\":3,\"m\":{\"x\":2,\"y\":3},\"l\":[2],\"new\":4}"),
        .mesh_gateway.mode = STR("remote"),
        .mode = STR("direct"),
        .expose = {.checks = true, .paths = {&paths[1], 1}},
        .transparent_proxy = {.outbound_listener_port = 7, .dialed_directly = true}};
    struct node_service *merged = service_config_merge(&service, &defaults, &arena);
    assert_config(merged->proxy.config,
                  "{\"a\":1,\"zero\":3,\"m\":{\"x\":1,\"y\":3},\"l\":[1],\"new\":4}");
    assert_str_lit(merged->proxy.mesh_gateway.mode, "local");
    assert_str_lit(merged->proxy.mode, "direct");
    assert_true(merged->proxy.expose.checks);
    assert_ptr_equal(merged->proxy.expose.paths.v, &paths[0]);
    assert_int_equal(merged->proxy.transparent_proxy.outbound_listener_port, 7);
    assert_true(merged->proxy.transparent_proxy.dialed_directly);
    /* The registration itself stays. */
    assert_config(service.proxy.config, "{\"a\":1,\"zero\":0,\"m\":{\"x\":1},\"l\":[1]}");
    assert_int_equal(service.proxy.mode.n, 0);
}

static void upstreams(void **state)
{
    (void)state;
    struct upstream given[2] = {
        {.destination_name = STR("db"), .config = json("{\"protocol\":\"grpc\"}")},
        {.destination_name = STR("q"), .destination_type = STR("prepared_query")}};
    struct opaque_upstream_config known[3] = {
        {{STR("db")},
         json("{\"protocol\":\"http\",\"n\":1,\"mesh_gateway\":{\"Mode\":\"local\"}}")},
        {{STR("q")}, json("{\"n\":2}")},
        {{STR("other")}, json("{\"n\":3,\"mesh_gateway\":{\"Mode\":\"none\"}}")}};
    struct node_service service = {.proxy.upstreams = {given, 2}};
    struct service_config_response defaults = {.upstream_id_configs = {known, 3}};
    struct node_service *merged = service_config_merge(&service, &defaults, &arena);
    const struct upstream *u = merged->proxy.upstreams.v;
    assert_int_equal(merged->proxy.upstreams.n, 2);
    assert_config(u[0].config, "{\"protocol\":\"grpc\",\"n\":1}");
    assert_str_lit(u[0].mesh_gateway.mode, "local");
    assert_null(u[1].config); /* of a query nothing is known */

    defaults.mode = STR("transparent");
    merged = service_config_merge(&service, &defaults, &arena);
    u = merged->proxy.upstreams.v;
    assert_int_equal(merged->proxy.upstreams.n, 4);
    assert_str_lit(u[3].destination_name, "other");
    assert_str_lit(u[3].destination_namespace, "default");
    assert_str_lit(u[3].mesh_gateway.mode, "none");
    assert_true(u[3].centrally_configured);
    assert_config(u[3].config, "{\"n\":3,\"mesh_gateway\":{\"Mode\":\"none\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_was_registered_wins, teardown),
        cmocka_unit_test_teardown(upstreams, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
