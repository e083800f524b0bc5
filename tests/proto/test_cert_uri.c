/* What is refused and what is not is Go's; much more of it is recorded (tests/conformance,
 * connect_authorize_variations). */
#include "test.h"

#include "base/arena.h"
#include "proto/cert_uri.h"

static void test_kinds(void **state)
{
    (void)state;
    struct arena a = {0};
    struct cert_uri uri;
    assert_ok(cert_uri_parse(STR("spiffe://C.Consul/ns/de%66ault/dc/dc1/svc/a%2Fb?x#y"), &a, &uri));
    assert_int_equal(uri.kind, CERT_URI_SERVICE);
    assert_str_equal(uri.host, STR("C.Consul"));
    assert_str_equal(uri.ns, STR("default"));
    assert_str_equal(uri.datacenter, STR("dc1"));
    assert_str_equal(uri.name, STR("a/b"));
    assert_ok(cert_uri_parse(STR("SPIFFE://u:p@[::1]:8/agent/client/dc/dc1/id/n1"), &a, &uri));
    assert_int_equal(uri.kind, CERT_URI_AGENT);
    assert_str_equal(uri.host, STR("[::1]:8"));
    assert_str_equal(uri.name, STR("n1"));
    assert_ok(cert_uri_parse(STR("spiffe://1234.consul"), &a, &uri));
    assert_int_equal(uri.kind, CERT_URI_SIGNING);
    arena_deinit(&a);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {
        STR_INIT(""),
        STR_INIT("spiffe"),
        STR_INIT("spiffe:x.y"),
        STR_INIT("spiffe://nodot"),
        STR_INIT("spiffe://.dot"),
        STR_INIT("spiffe://a.b/"),
        STR_INIT("http://a.b/ns/default/dc/dc1/svc/web"),
        STR_INIT("spiffe://a.b/ns/default/dc/dc1/svc/"),
        STR_INIT("spiffe://a.b/ns//dc/dc1/svc/web"),
        STR_INIT("spiffe://a.b/ns/default/dc/dc1/svc/web/x"),
        STR_INIT("spiffe://a.b/ns/default/dc/dc1/svc/web%zz"),
        STR_INIT("spiffe://a.b/ns/default/dc/dc1/svc/we\tb"),
        STR_INIT("spiffe://a.b/ns/default/dc/dc1/svc/web\0"),
        STR_INIT("spiffe://a.b:x/ns/default/dc/dc1/svc/web"),
        STR_INIT("spiffe://[::1/ns/default/dc/dc1/svc/web"),
        STR_INIT("spiffe://a b/ns/default/dc/dc1/svc/web"),
        STR_INIT("spiffe://a%20b/ns/default/dc/dc1/svc/web"),
        STR_INIT("spiffe://u p@a/ns/default/dc/dc1/svc/web"),
        STR_INIT("spiffe://a.b/ns/default/dc/dc1/svc/web#%zz"),
    };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct cert_uri uri;
        if (cert_uri_parse(bad[i], &a, &uri) >= 0) {
            fail_msg("%.*s", STRF(bad[i]));
        }
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds),
                                       cmocka_unit_test(test_what_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
