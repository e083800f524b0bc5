#include "test.h"

#include "cli/tls_make.h"
#include "server/ca_cert.h"

static struct tls_pair make_ca(struct arena *a, struct tls_ca_options options)
{
    struct tls_pair pair;
    struct err err = {0};
    options.days = 10;
    assert_ok(tls_ca_make(a, &options, &pair, &err));
    return pair;
}

static int make_cert(struct arena *a, const struct tls_pair *ca, struct str name, int64_t days,
                     const char *ip, struct err *err)
{
    struct tls_pair pair;
    struct str names[] = {name, STR("localhost")}, ips[] = {str_from_cstr(ip)};
    struct tls_cert_options options = {.ca = ca->cert,
                                       .ca_key = ca->key,
                                       .name = name,
                                       .days = days,
                                       .dns_names = {names, 2},
                                       .ip_addresses = {ips, ip != NULL ? 1 : 0},
                                       .usages = "serverAuth,clientAuth"};
    return tls_cert_make(a, &options, &pair, err);
}

static void test_authority_and_certificate(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct ca_cert_info info;
    struct tls_pair ca = make_ca(&a, (struct tls_ca_options){.domain = STR("consul")});
    assert_ok(ca_cert_parse(&a, ca.cert, &info, &err));
    assert_str_lit(info.key_type, "ec");
    assert_int_equal(info.key_bits, 256);
    assert_int_equal(info.not_after - info.not_before, 10ll * 86400 * 1000000000);
    assert_int_equal(info.subject_key_id.n, 32 * 3 - 1);
    assert_true(str_has_prefix(ca.key, STR("-----BEGIN EC PRIVATE KEY-----\n")));
    assert_ok(make_cert(&a, &ca, STR("server.dc1.consul"), 5, "::1", &err));
    arena_deinit(&a);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct tls_pair ca = make_ca(&a, (struct tls_ca_options){.domain = STR("consul")});
    struct tls_pair other = make_ca(&a, (struct tls_ca_options){.domain = STR("consul")});
    struct tls_pair mixed = {ca.cert, other.key}, swapped = {ca.key, ca.cert};
    struct tls_pair garbage = {STR("x"), ca.key};
    static const struct {
        const char *text;
    } expected[] = {{"x509: provided PrivateKey doesn't match parent's PublicKey"},
                    {"unknown PEM block type for signing key: CERTIFICATE"},
                    {"no PEM-encoded data found"}};
    const struct tls_pair *pairs[] = {&mixed, &swapped, &garbage};
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        assert_true(make_cert(&a, pairs[i], STR("n"), 5, NULL, &err) < 0);
        assert_string_equal(err.text, expected[i].text);
    }
    assert_true(make_cert(&a, &ca, STR("n"), 5, "1.2.3", &err) < 0);
    assert_string_equal(err.text, "failed to parse certificate");
    assert_true(make_cert(&a, &ca, STR("n"), -5, NULL, &err) < 0);
    assert_non_null(strstr(err.text, "x509: certificate has expired or is not yet valid"));
    assert_true(make_cert(&a, &ca, STR("n"), 20000000, NULL, &err) < 0);
    assert_non_null(strstr(err.text, "cannot represent time as GeneralizedTime"));
    assert_true(make_cert(&a, &ca, STR("\xc3\xbc"), 5, NULL, &err) < 0);
    assert_non_null(strstr(err.text, "cannot be encoded as an IA5String"));
    arena_deinit(&a);
}

static void test_constraints_hold(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct str permitted[] = {STR("corp"), STR("localhost")};
    struct tls_pair ca = make_ca(&a, (struct tls_ca_options){.constraints = {permitted, 2}});
    assert_ok(make_cert(&a, &ca, STR("server.dc1.corp"), 5, NULL, &err));
    assert_true(make_cert(&a, &ca, STR("server.dc1.consul"), 5, NULL, &err) < 0);
    assert_string_equal(err.text, "x509: a root or intermediate certificate is not authorized to "
                                  "sign for this name: DNS name \"server.dc1.consul\" is not "
                                  "permitted by any constraint");
    arena_deinit(&a);
}

static void test_constraint_permits(void **state)
{
    (void)state;
    static const struct {
        const char *constraint, *name;
        bool permits;
    } cases[] = {
        {"", "x", true},           {"corp", "corp", true},   {"corp", "a.CORP", true},
        {"corp", "acorp", false},  {".corp", "corp", false}, {".corp", "a.corp", true},
        {"a.corp", "corp", false}, {"corp", ".corp", false}, {"corp", "", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(tls_constraint_permits(str_from_cstr(cases[i].constraint),
                                                str_from_cstr(cases[i].name)),
                         cases[i].permits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_authority_and_certificate),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_constraints_hold),
        cmocka_unit_test(test_constraint_permits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
