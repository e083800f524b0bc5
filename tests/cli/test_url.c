#include "test.h"

#include "cli/client.h"
#include "cli/url.h"

static void assert_query(const char *text, const char *escaped)
{
    struct buf to = {0};
    url_query_escape(&to, str_from_cstr(text));
    assert_str_equal(buf_view(&to), str_from_cstr(escaped));
    buf_deinit(&to);
}

static void test_query_escape(void **state)
{
    (void)state;
    assert_query("", "");
    assert_query("azAZ09-_.~", "azAZ09-_.~");
    assert_query("a b", "a+b");
    assert_query("a+b", "a%2Bb");
    assert_query("/?#&=:@$,;", "%2F%3F%23%26%3D%3A%40%24%2C%3B");
    assert_query("Meta.dc == \"a\"", "Meta.dc+%3D%3D+%22a%22");
    assert_query("\xc3\xbc", "%C3%BC");
}

static void test_host_escape(void **state)
{
    (void)state;
    struct buf to = {0};
    url_host_escape(&to, STR("127.0.0.1:8500"));
    assert_str_lit(buf_view(&to), "127.0.0.1:8500");
    buf_clear(&to);
    url_host_escape(&to, STR("/run/a b.sock"));
    assert_str_lit(buf_view(&to), "%2Frun%2Fa%20b.sock");
    buf_deinit(&to);
}

static void test_params(void **state)
{
    (void)state;
    struct buf to = {0};
    struct client_param params[] = {
        {STR("stale"), STR("")},        {STR("node-meta"), STR("z:1")}, {STR("dc"), STR("dc 1")},
        {STR("node-meta"), STR("a:2")}, {STR("near"), STR("_agent")},
    };
    url_params_encode(&to, params, ARRAY_SIZE(params));
    assert_str_lit(buf_view(&to), "dc=dc+1&near=_agent&node-meta=z%3A1&node-meta=a%3A2&stale=");
    buf_clear(&to);
    url_params_encode(&to, params, 0);
    assert_str_lit(buf_view(&to), "");
    buf_deinit(&to);
}

static void test_host_port(void **state)
{
    (void)state;
    static const struct {
        const char *address, *host, *port; /* host NULL: refused */
    } cases[] = {
        {"127.0.0.1:8500", "127.0.0.1", "8500"},
        {"localhost", "localhost", ""},
        {"[::1]:8500", "::1", "8500"},
        {"[::1]", "::1", ""},
        {":8500", "", "8500"},
        {"host:", "host", ""},
        {"::1", NULL, NULL},
        {"a:b:c", NULL, NULL},
        {"[::1", NULL, NULL},
        {"[::1]x", NULL, NULL},
        {"", "", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct str host, port;
        bool valid = url_host_port_split(str_from_cstr(cases[i].address), &host, &port);
        assert_int_equal(valid, cases[i].host != NULL);
        if (valid) {
            assert_str_equal(host, str_from_cstr(cases[i].host));
            assert_str_equal(port, str_from_cstr(cases[i].port));
        }
    }
}

static void test_authority(void **state)
{
    (void)state;
    static const struct {
        const char *authority, *host, *port;
    } cases[] = {
        {"127.0.0.1:8500", "127.0.0.1", "8500"},
        {"[::1]:8500", "::1", "8500"},
        {"[::1]", "::1", ""},
        {"host:", "host", ""},
        {"host:x", "host:x", ""},
        {"a:b:1", "a:b", "1"},
        {"host:80/", "host:80/", ""},
        {":8500", "", "8500"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct str host, port;
        url_authority_split(str_from_cstr(cases[i].authority), &host, &port);
        assert_str_equal(host, str_from_cstr(cases[i].host));
        assert_str_equal(port, str_from_cstr(cases[i].port));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query_escape), cmocka_unit_test(test_host_escape),
        cmocka_unit_test(test_params),       cmocka_unit_test(test_host_port),
        cmocka_unit_test(test_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
