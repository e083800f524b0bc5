/* What names ask for. */
#include "dns/name.h"

#include "test.h"

static const struct {
    const char *text;
    bool is_srv;
    enum dns_kind kind;
    const char *name, *tag, *datacenter;
} cases[] = {
    {"web.service.", false, DNS_KIND_SERVICE, "web", "", ""},
    {"web.service.dc2.", false, DNS_KIND_SERVICE, "web", "", "dc2"},
    {"web.service.dc2.x.", false, DNS_KIND_NONE, "", "", ""},
    {"v1.web.service.", false, DNS_KIND_SERVICE, "web", "v1", ""},
    {"v1.2.web.service.", false, DNS_KIND_SERVICE, "web", "v1.2", ""},
    {"_web._tcp.service.", false, DNS_KIND_SERVICE, "web", "", ""},
    {"_web._v1.service.dc2.", false, DNS_KIND_SERVICE, "web", "v1", "dc2"},
    {"_web._v1.", true, DNS_KIND_SERVICE, "web", "v1", ""},
    {"_web._v1.dc2.", true, DNS_KIND_SERVICE, "web", "v1", "dc2"},
    {"_web._v1.", false, DNS_KIND_NONE, "", "", ""},
    {"_web.v1.service.", false, DNS_KIND_SERVICE, "v1", "_web", ""},
    {"_._tcp.service.", false, DNS_KIND_SERVICE, "", "", ""},
    {"service.", false, DNS_KIND_NONE, "", "", ""},
    {"service.service.", false, DNS_KIND_SERVICE, "service", "", ""},
    {"a.node.b.service.", false, DNS_KIND_SERVICE, "b", "a.node", ""},
    {"web.connect.", false, DNS_KIND_CONNECT, "web", "", ""},
    {"v1.web.connect.dc2.", false, DNS_KIND_CONNECT, "web", "", "dc2"},
    {"web.ingress.", false, DNS_KIND_INGRESS, "web", "", ""},
    {"n.x.node.", false, DNS_KIND_NODE, "n.x", "", ""},
    {"n.node.dc2.", false, DNS_KIND_NODE, "n", "", "dc2"},
    {"n\\.node.node.", false, DNS_KIND_NODE, "n\\.node", "", ""},
    {"q.1.query.", false, DNS_KIND_QUERY, "q.1", "", ""},
    {"0a000001.addr.", false, DNS_KIND_ADDR, "0a000001", "", ""},
    {"0a000001.addr.dc1.more.", false, DNS_KIND_ADDR, "0a000001", "", ""},
    {"x.0a000001.addr.", false, DNS_KIND_NONE, "", "", ""},
    {"", false, DNS_KIND_NONE, "", "", ""},
    {"nothing.here.", true, DNS_KIND_NONE, "", "", ""},
};

static void test_forms(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct dns_name_parts parts = dns_name_split(str_from_cstr(cases[i].text), cases[i].is_srv);
        if (parts.kind != cases[i].kind) {
            fail_msg("%s: kind %d", cases[i].text, (int)parts.kind);
        }
        if (parts.kind != DNS_KIND_NONE) {
            assert_str_equal(parts.name, str_from_cstr(cases[i].name));
            assert_str_equal(parts.tag, str_from_cstr(cases[i].tag));
            assert_str_equal(parts.datacenter, str_from_cstr(cases[i].datacenter));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms)};
    return cmocka_run_group_tests_name("dns/name", tests, NULL, NULL);
}
