/* Keys and roots of the built-in authority: what is in them, and what is refused. */
#include "server/ca_cert.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/err.h"
#include "server/ca_config.h"

#define CLUSTER STR("A78F6f58-2b4c-8e49-d0e2-600dc8e3509b")
/* 2024-02-29T12:00:00.5Z: a day that the year ten years on does not have. */
#define NOW_NS INT64_C(1709208000500000000)

static X509 *x509_of(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

static void test_root(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct str key, pem;
    struct ca_cert_info info;
    assert_int_equal(ca_key_generate(&a, STR("ec"), 256, &key, &err), 0);
    assert_true(str_has_prefix(key, STR("-----BEGIN EC PRIVATE KEY-----\n")));
    assert_int_equal(ca_root_generate(&a, key, CLUSTER, 7, NOW_NS, &pem, &err), 0);
    assert_int_equal(ca_cert_parse(&a, pem, &info, &err), 0);
    assert_int_equal(info.serial, 7);
    assert_int_equal(info.fingerprint.n, 20 * 3 - 1);
    assert_int_equal(info.subject_key_id.n, 32 * 3 - 1);
    assert_true(str_eq_lit(info.key_type, "ec"));
    assert_int_equal(info.key_bits, 256);
    assert_true(str_eq_lit(time_format_rfc3339(&a, info.not_before), "2024-02-29T12:00:00Z"));
    assert_true(str_eq_lit(time_format_rfc3339(&a, info.not_after), "2034-03-01T12:00:00Z"));

    X509 *cert = x509_of(pem);
    char name[128];
    int n =
        X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name));
    struct str cn = str_make(name, (size_t)n);
    assert_true(str_has_prefix(cn, STR("pri-")));
    assert_true(str_has_suffix(cn, STR(".consul.ca.A78F6f58.consul")));
    assert_int_equal(X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)), 0);
    assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
    static const int order[] = {NID_key_usage, NID_basic_constraints, NID_subject_key_identifier,
                                NID_authority_key_identifier, NID_subject_alt_name};
    assert_int_equal(X509_get_ext_count(cert), ARRAY_SIZE(order));
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        X509_EXTENSION *ext = X509_get_ext(cert, (int)i);
        assert_int_equal(OBJ_obj2nid(X509_EXTENSION_get_object(ext)), order[i]);
        assert_int_equal(X509_EXTENSION_get_critical(ext), i < 2);
    }
    assert_int_equal(X509_get_key_usage(cert),
                     KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    const GENERAL_NAME *uri = sk_GENERAL_NAME_value(names, 0);
    assert_int_equal(uri->type, GEN_URI);
    assert_true(str_eq_lit(
        str_make(ASN1_STRING_get0_data(uri->d.ia5), (size_t)ASN1_STRING_length(uri->d.ia5)),
        "spiffe://a78f6f58-2b4c-8e49-d0e2-600dc8e3509b.consul"));
    GENERAL_NAMES_free(names);
    X509_free(cert);
    arena_deinit(&a);
}

static void test_kinds_of_keys(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int64_t bits;
        int signature;
    } kinds[] = {{"ec", 224, NID_ecdsa_with_SHA256},
                 {"ec", 384, NID_ecdsa_with_SHA384},
                 {"ec", 521, NID_ecdsa_with_SHA512},
                 {"rsa", 2048, NID_sha256WithRSAEncryption}};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct arena a = {0};
        struct err err = {0};
        struct str key, pem;
        struct ca_cert_info info;
        struct str type = str_from_cstr(kinds[i].type);
        assert_int_equal(ca_key_generate(&a, type, kinds[i].bits, &key, &err), 0);
        assert_int_equal(ca_root_generate(&a, key, CLUSTER, UINT64_MAX, NOW_NS, &pem, &err), 0);
        assert_int_equal(ca_cert_parse(&a, pem, &info, &err), 0);
        assert_true(str_eq(info.key_type, type));
        assert_int_equal(info.key_bits, kinds[i].bits);
        assert_true(info.serial == UINT64_MAX);
        X509 *cert = x509_of(pem);
        assert_int_equal(X509_get_signature_nid(cert), kinds[i].signature);
        X509_free(cert);
        arena_deinit(&a);
    }
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct str pem;
    struct ca_cert_info info;
    assert_true(ca_cert_parse(&a, STR(""), &info, &err) < 0);
    assert_true(ca_cert_parse(&a, STR("-----BEGIN CERTIFICATE-----\nAAAA\n"), &info, &err) < 0);
    char *big = arena_alloc(&a, CA_PEM_SIZE_MAX + 1);
    memset(big, 'A', CA_PEM_SIZE_MAX + 1);
    assert_true(ca_cert_parse(&a, str_make(big, CA_PEM_SIZE_MAX + 1), &info, &err) < 0);
    assert_true(ca_root_generate(&a, STR("no key"), CLUSTER, 1, NOW_NS, &pem, &err) < 0);
    arena_deinit(&a);
}

static struct value text(const char *s)
{
    return (struct value){.kind = VALUE_STR, .s = str_from_cstr(s)};
}

static void test_config(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct ca_provider_config c;
    assert_int_equal(ca_provider_config_parse(&a, NULL, &c, &err), 0);
    assert_true(str_eq_lit(c.private_key_type, "ec"));
    assert_true(str_eq_lit(
        ca_provider_id(&a, &c, true),
        "07:80:c8:de:f6:41:86:29:8f:9c:b8:17:d6:48:c2:d5:c5:5c:7f:0c:03:f7:cf:97:5a:a7:c1:68:"
        "aa:23:ae:81"));
    struct value_pair good[] = {{STR("leafcertttl"), text("24h")},
                                {STR("PrivateKeyBits"), text("384")},
                                {STR("RotationPeriod"), text("2160h")}};
    struct value map = {.kind = VALUE_MAP, .map = {good, ARRAY_SIZE(good)}};
    assert_int_equal(ca_provider_config_parse(&a, &map, &c, &err), 0);
    assert_int_equal(c.leaf_cert_ttl, INT64_C(24) * 3600 * 1000000000);
    assert_int_equal(c.private_key_bits, 384);
    static const struct {
        const char *key, *value, *refusal;
    } bad[] = {
        {"LeafCertTTL", "1s", "leaf cert TTL must be greater or equal than 1h0m0s"},
        {"LeafCertTTL", "8761h", "leaf cert TTL must be less than 8760h0m0s"},
        {"LeafCertTTL", "abc",
         "error decoding config: 1 error(s) decoding:\n\n* error decoding 'LeafCertTTL': time: "
         "invalid duration \"abc\""},
        {"IntermediateCertTTL", "24h",
         "Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL (>=216h0m0s)."},
        {"PrivateKeyType", "dsa", "private key type must be either 'ec' or 'rsa'"},
        {"RootCert", "x", "must provide a private key when providing a root cert"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct value_pair one = {str_from_cstr(bad[i].key), text(bad[i].value)};
        struct value v = {.kind = VALUE_MAP, .map = {&one, 1}};
        assert_true(ca_provider_config_parse(&a, &v, &c, &err) < 0);
        assert_string_equal(err_text(&err), bad[i].refusal);
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_kinds_of_keys),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
