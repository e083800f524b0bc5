/* Which watches are taken and which refused; running them takes a whole agent: tests/conformance.
 */
#include "agent_fixture.h"

static const struct {
    const char *watch; /* between the braces */
    const char *error; /* NULL: it is taken */
} cases[] = {
    {"type = \"key\" key = \"a/b\" args = [\"true\"]", NULL},
    {"type = \"keyprefix\" prefix = \"a\" handler = \"true\" stale = true", NULL},
    {"type = \"services\" datacenter = \"dc1\" token = \"t\" args = [\"true\"]", NULL},
    {"type = \"service\" service = \"web\" tag = [\"a\", \"b\"] passingonly = true args = [\"x\"]",
     NULL},
    {"type = \"checks\" state = \"passing\" args = [\"true\"]", NULL},
    {"type = \"event\" name = \"e\" args = [\"true\"]", NULL},
    {"type = \"nodes\" handler_type = \"http\" http_handler_config { path = \"http://h/\" "
     "timeout = \"3s\" header = { a = [\"b\"] } tls_skip_verify = true }",
     NULL},
    {"args = [\"true\"]", "Watch type must be specified"},
    {"type = \"odd\" args = [\"true\"]", "Unsupported watch type: odd"},
    {"type = \"connect_roots\" args = [\"true\"]",
     "Watch type connect_roots is not allowed in agent config"},
    {"type = \"key\" args = [\"true\"]", "Must specify a single key to watch"},
    {"type = \"service\" args = [\"true\"]", "Must specify a single service to watch"},
    {"type = \"checks\" state = \"any\" service = \"a\" args = [\"true\"]",
     "Cannot specify service and state"},
    {"type = \"nodes\"", "Must define a watch handler"},
    {"type = \"nodes\" handler = \"a\" args = [\"b\"]", "Only one watch handler allowed"},
    {"type = \"nodes\" handler_type = \"odd\" args = [\"b\"]", "Handler type 'odd' not recognized"},
    {"type = \"nodes\" handler_type = \"http\"",
     "Handler type 'http' requires 'http_handler_config' to be set"},
    {"type = \"nodes\" key = \"x\" args = [\"b\"]", "Invalid parameters: [key]"},
};

static void test_configurations(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct agent_config *config = NULL;
        struct err err = {0};
        f->hcl = arena_printf(&f->arena, "watches = [{ %s }]", cases[i].watch).p;
        assert_ok(fixture_load_config(f, &config, &err));
        int rc = watch_plans_load(&f->agent->watches, config, &err);
        if (cases[i].error == NULL) {
            if (rc < 0) {
                fail_msg("%s: %s", cases[i].watch, err.text);
            }
            assert_false(list_is_empty(&f->agent->watches.all));
        } else {
            assert_true(rc < 0);
            assert_string_equal(err.text, cases[i].error);
            assert_true(list_is_empty(&f->agent->watches.all));
        }
        watch_plans_stop(&f->agent->watches);
        config_unref(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_configurations, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
