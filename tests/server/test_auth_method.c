/* JSON web tokens and what auth methods make of them: signatures of every kind, claims, selectors,
 * names; and what is wrong with a configuration. */
#include "server/auth_method.h"

#include "test.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/buf.h"
#include "base/encode.h"
#include "base/err.h"
#include "schema/json.h"

#define NOW_NS INT64_C(1709208000000000000)
#define NOW_S (NOW_NS / 1000000000)

static struct arena a;
static struct err err;

static int setup(void **state)
{
    (void)state;
    a = (struct arena){0};
    err = (struct err){0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_deinit(&a);
    return 0;
}

/* --- making tokens --------------------------------------------------------------------------- */

static struct str pem_of(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p;
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    long n = BIO_get_mem_data(bio, &p);
    struct str pem = arena_str(&a, str_make(p, (size_t)n));
    BIO_free(bio);
    return pem;
}

static struct str sign(EVP_PKEY *key, const EVP_MD *digest, bool is_pss, struct str text)
{
    EVP_PKEY_CTX *pctx;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char *out = arena_alloc(&a, 1024);
    size_t n = 1024;
    assert_int_equal(EVP_DigestSignInit(ctx, &pctx, digest, NULL, key), 1);
    if (is_pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
    }
    assert_int_equal(EVP_DigestSign(ctx, out, &n, (const unsigned char *)text.p, text.n), 1);
    EVP_MD_CTX_free(ctx);
    return str_make(out, n);
}

/* DER to the two numbers side by side. */
static struct str ec_raw(struct str der, int size)
{
    const unsigned char *p = (const unsigned char *)der.p;
    unsigned char *raw = arena_alloc(&a, (size_t)size * 2);
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
    assert_non_null(sig);
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, size);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + size, size);
    ECDSA_SIG_free(sig);
    return str_make(raw, (size_t)size * 2);
}

static struct str base64url(struct str bytes)
{
    struct buf out = {0};
    base64url_encode(&out, bytes);
    struct str s = arena_str(&a, buf_view(&out));
    buf_deinit(&out);
    return s;
}

static struct str unsigned_token(const char *algorithm, const char *claims)
{
    struct str head = arena_printf(&a, "{\"alg\":\"%s\",\"kid\":\"k1\"}", algorithm);
    return arena_printf(&a, "%.*s.%.*s", STRF(base64url(head)),
                        STRF(base64url(str_from_cstr(claims))));
}

static struct str token_of(struct str text, struct str signature)
{
    return arena_printf(&a, "%.*s.%.*s", STRF(text), STRF(base64url(signature)));
}

/* --- signatures ------------------------------------------------------------------------------ */

static void test_signatures(void **state)
{
    (void)state;
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *p256 = EVP_EC_gen("P-256"), *p521 = EVP_EC_gen("P-521");
    EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    const struct {
        const char *algorithm;
        EVP_PKEY *key;
        const EVP_MD *digest;
        bool is_pss;
        int ec_size;
    } cases[] = {
        {"RS256", rsa, EVP_sha256(), false, 0},   {"RS512", rsa, EVP_sha512(), false, 0},
        {"PS384", rsa, EVP_sha384(), true, 0},    {"ES256", p256, EVP_sha256(), false, 32},
        {"ES512", p521, EVP_sha512(), false, 66}, {"EdDSA", ed, NULL, false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct jwt jwt;
        struct str text = unsigned_token(cases[i].algorithm, "{\"sub\":\"a\"}");
        struct str signature = sign(cases[i].key, cases[i].digest, cases[i].is_pss, text);
        if (cases[i].ec_size > 0) {
            signature = ec_raw(signature, cases[i].ec_size);
        }
        assert_ok(jwt_parse(&a, token_of(text, signature), &jwt, &err));
        assert_str_lit(jwt.key_id, "k1");
        for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
            struct evp_pkey_st *key = jwt_key_from_pem(pem_of(cases[k].key));
            assert_non_null(key);
            assert_int_equal(jwt_verify(&jwt, key), cases[k].key == cases[i].key);
            jwt_key_free(key);
        }
        /* Another text, and another algorithm than the key's, are refused. */
        ((char *)(uintptr_t)signature.p)[3] ^= 1;
        assert_ok(jwt_parse(&a, token_of(text, signature), &jwt, &err));
        assert_false(jwt_verify(&jwt, cases[i].key));
    }
    static const char *const others[] = {"none", "HS256", "", "rs256"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct jwt jwt;
        struct str text = unsigned_token(others[i], "{}");
        assert_ok(jwt_parse(&a, token_of(text, sign(rsa, EVP_sha256(), false, text)), &jwt, &err));
        assert_false(jwt_verify(&jwt, rsa));
    }
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p521);
    EVP_PKEY_free(ed);
}

static struct str number(EVP_PKEY *key, const char *name)
{
    BIGNUM *n = NULL;
    unsigned char *p = arena_alloc(&a, 1024);
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
    int size = BN_bn2bin(n, p);
    BN_free(n);
    return base64url(str_make(p, (size_t)size));
}

static void test_key_set(void **state)
{
    (void)state;
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *p256 = EVP_EC_gen("P-256");
    struct jwt_key_set keys = {.n = 0};
    struct str json = arena_printf(
        &a,
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"k0\",\"n\":\"%.*s\",\"e\":\"%.*s\"},"
        "{\"kty\":\"EC\",\"kid\":\"k1\",\"crv\":\"P-256\",\"x\":\"%.*s\",\"y\":\"%.*s\"},"
        "{\"kty\":\"oct\",\"kid\":\"k1\",\"k\":\"AAAA\"},{\"kty\":\"EC\",\"crv\":\"P-256\"},7]}",
        STRF(number(rsa, "n")), STRF(number(rsa, "e")), STRF(number(p256, "qx")),
        STRF(number(p256, "qy")));
    assert_ok(jwt_key_set_parse(&a, json, &keys, &err));
    assert_int_equal(keys.n, 2);
    struct jwt jwt;
    struct str text = unsigned_token("ES256", "{}");
    assert_ok(jwt_parse(&a, token_of(text, ec_raw(sign(p256, EVP_sha256(), false, text), 32)), &jwt,
                        &err));
    assert_true(jwt_verify_any(&jwt, &keys));
    /* The right key under another's name is not tried. */
    text = unsigned_token("RS256", "{}");
    assert_ok(jwt_parse(&a, token_of(text, sign(rsa, EVP_sha256(), false, text)), &jwt, &err));
    assert_false(jwt_verify_any(&jwt, &keys));
    jwt.key_id = STR("");
    assert_true(jwt_verify_any(&jwt, &keys));
    jwt_key_set_deinit(&keys);
    assert_true(jwt_key_set_parse(&a, STR("nope"), &keys, &err) < 0);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
}

static void test_malformed(void **state)
{
    (void)state;
    struct jwt jwt;
    static const struct {
        struct str text;
        const char *fault;
    } cases[] = {
        {STR_INIT(""), "square/go-jose: compact JWS format must have three parts"},
        {STR_INIT("a.b"), "square/go-jose: compact JWS format must have three parts"},
        {STR_INIT("a.b.c.d"), "square/go-jose: compact JWS format must have three parts"},
        {STR_INIT("!.b.c"), "illegal base64 data at input byte 0"},
        {STR_INIT("e30.e30.e3*"), "illegal base64 data at input byte 2"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_true(jwt_parse(&a, cases[i].text, &jwt, &err) < 0);
        assert_string_equal(err_text(&err), cases[i].fault);
    }
    assert_ok(jwt_parse(&a, STR("e30.WzFd.e30"), &jwt, &err)); /* a list is no claims */
    assert_null(jwt.claims);
}

/* --- configuration --------------------------------------------------------------------------- */

static struct acl_auth_method method_of(const char *type, const char *config)
{
    struct value *value;
    assert_ok(json_parse(&a, str_from_cstr(config), &value, &err));
    return (struct acl_auth_method){.name = STR("m"), .type = str_from_cstr(type), .config = value};
}

static void test_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *type, *config, *fault;
    } cases[] = {
        {"oidc", "{}", "no auth method registered with type: oidc"},
        {"jwt", "{\"Bogus\":1,\"Also\":2}",
         "error decoding config: 1 error(s) decoding:\n\n* '' has invalid keys: Also, Bogus"},
        {"jwt", "{\"JWKSURL\":\"http://x\",\"OIDCDiscoveryURL\":\"http://y\"}",
         "exactly one of 'JWTValidationPubKeys', 'JWKSURL', or 'OIDCDiscoveryURL' must be set for "
         "type \"jwt\""},
        {"jwt", "{\"JWKSURL\":\"http://x\",\"JWKSCACert\":\"no\"}",
         "error checking JWKSCACert: could not parse CA PEM value successfully"},
        {"jwt", "{\"JWTValidationPubKeys\":[\"no\"]}",
         "error parsing public key JWTValidationPubKeys[0]: data does not contain any valid RSA, "
         "ECDSA, or ED25519 public keys"},
        {"jwt", "{\"JWKSURL\":\"http://x\",\"JWTSupportedAlgs\":[\"HS256\"]}",
         "Invalid supported algorithm: HS256"},
        {"jwt", "{\"JWKSURL\":\"http://x\",\"ClaimMappings\":{\"a\":\"x\",\"b\":\"x\"}}",
         "ClaimMappings contains multiple mappings for key \"x\""},
        {"kubernetes", "{}", "Config.Host is required"},
        {"kubernetes", "{\"Host\":\"h\"}", "Config.CACert is required"},
        {"kubernetes", "{\"Host\":\"h\",\"CACert\":\"no\"}",
         "error parsing kubernetes ca cert: data does not contain any valid RSA or ECDSA "
         "certificates"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct auth_config config;
        struct acl_auth_method method = method_of(cases[i].type, cases[i].config);
        assert_true(auth_config_parse(&a, &method, &config, &err) < 0);
        assert_string_equal(err_text(&err), cases[i].fault);
    }
}

/* --- claims ---------------------------------------------------------------------------------- */

#define CONFIG                                                                           \
    "{\"JWKSURL\":\"http://x\",\"BoundIssuer\":\"i\",\"BoundAudiences\":[\"c\"],"        \
    "\"ClaimMappings\":{\"sub\":\"user\",\"/org/team~1x/0\":\"team\",\"n\":\"number\"}," \
    "\"ListClaimMappings\":{\"groups\":\"groups\"}}"

static struct auth_config config_of(const char *json)
{
    struct auth_config config;
    struct acl_auth_method *method = ARENA_NEW(&a, struct acl_auth_method);
    *method = method_of("jwt", json);
    assert_ok(auth_config_parse(&a, method, &config, &err));
    return config;
}

static struct jwt jwt_of(const char *claims)
{
    struct jwt jwt;
    assert_ok(jwt_parse(&a, token_of(unsigned_token("RS256", claims), STR("x")), &jwt, &err));
    return jwt;
}

static const char *check(const struct auth_config *config, const char *format, long long at)
{
    char claims[512];
    (void)snprintf(claims, sizeof(claims), "{\"iss\":\"i\",\"aud\":[\"b\",\"c\"],%s%lld}", format,
                   at);
    struct jwt jwt = jwt_of(claims);
    return auth_claims_check(&config->jwt, &jwt, NOW_NS, &err) < 0 ? err_text(&err) : "";
}

static void test_times(void **state)
{
    (void)state;
    struct auth_config config = config_of(CONFIG);
    static const char expired[] =
        "error validating claims: square/go-jose/jwt: validation failed, token is expired (exp)";
    static const char early[] = "error validating claims: square/go-jose/jwt: validation failed, "
                                "token not valid yet (nbf)";
    assert_string_equal(check(&config, "\"exp\":", NOW_S + 1), "");
    assert_string_equal(check(&config, "\"exp\":", NOW_S - 60), "");
    assert_string_equal(check(&config, "\"exp\":", NOW_S - 61), expired);
    assert_string_equal(check(&config, "\"exp\":", NOW_S + 300), early); /* from 150 s before on */
    assert_string_equal(check(&config, "\"nbf\":", NOW_S + 61), early);
    assert_string_equal(check(&config, "\"nbf\":", NOW_S + 60), "");
    assert_string_equal(check(&config, "\"nbf\":", NOW_S - 211), expired); /* for 150 s and 60 */
    assert_string_equal(check(&config, "\"iat\":", NOW_S - 210), "");
    assert_string_equal(check(&config, "\"x\":", 0),
                        "no issue time, notbefore, or expiration time encoded in token");
    config.jwt.clock_skew_leeway = -1;
    assert_string_equal(check(&config, "\"exp\":", NOW_S - 1), expired);
}

static void test_issuer_and_audience(void **state)
{
    (void)state;
    struct auth_config config = config_of(CONFIG);
    struct jwt jwt = jwt_of("{\"iss\":\"j\",\"aud\":\"c\",\"exp\":9999999999,\"nbf\":1}");
    assert_true(auth_claims_check(&config.jwt, &jwt, NOW_NS, &err) < 0);
    assert_string_equal(err_text(&err), "error validating claims: square/go-jose/jwt: validation "
                                        "failed, invalid issuer claim (iss)");
    jwt = jwt_of("{\"iss\":\"i\",\"aud\":\"d\",\"exp\":9999999999,\"nbf\":1}");
    assert_true(auth_claims_check(&config.jwt, &jwt, NOW_NS, &err) < 0);
    assert_string_equal(err_text(&err),
                        "error validating claims: aud claim does not match any bound audience");
    config.jwt.bound_audiences.n = 0;
    assert_true(auth_claims_check(&config.jwt, &jwt, NOW_NS, &err) < 0);
    assert_string_equal(
        err_text(&err),
        "error validating claims: audience claim found in JWT but no audiences are bound");
    assert_ok(auth_oidc_claims_check(&config.jwt, STR("i"), &jwt, NOW_NS, &err));
    assert_true(auth_oidc_claims_check(&config.jwt, STR("j"), &jwt, NOW_NS, &err) < 0);
    jwt.algorithm = STR("ES256");
    assert_true(auth_oidc_claims_check(&config.jwt, STR("i"), &jwt, NOW_NS, &err) < 0);
}

static void test_identity(void **state)
{
    (void)state;
    struct auth_config config = config_of(CONFIG);
    struct auth_identity id, blank = auth_identity_blank(&a, &config);
    struct jwt jwt = jwt_of("{\"sub\":\"Alice\",\"org\":{\"team/x\":[true]},\"n\":1.9,"
                            "\"groups\":[\"a\",\"\",2]}");
    struct str name;
    assert_ok(auth_identity_of_claims(&a, &config, jwt.claims, &id, &err));
    assert_ok(
        auth_bind_name(&a, STR("u-${value.user}-${value.team}-${value.number}"), &id, &name, &err));
    assert_str_lit(name, "u-alice-true-1");
    assert_ok(auth_bind_name(&a, STR("plain"), &id, &name, &err));
    assert_str_lit(name, "plain");
    assert_true(auth_bind_name(&a, STR("${value.nope}"), &id, &name, &err) < 0);
    static const struct {
        struct str selector;
        bool matches;
    } cases[] = {
        {STR_INIT(""), true},
        {STR_INIT("value.user == Alice"), true},
        {STR_INIT("value.user == alice"), false},
        {STR_INIT("a in list.groups and \"2\" in list.groups"), true},
        {STR_INIT("b in list.groups"), false},
        {STR_INIT("value.nope == x"), false},
        {STR_INIT("bogus"), false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(auth_selector_matches(&a, cases[i].selector, &id), cases[i].matches);
    }
    assert_ok(auth_selector_check(&a, STR("value.nope == x"), &blank, &err));
    assert_true(auth_selector_check(&a, STR("serviceaccount.name == x"), &blank, &err) < 0);
    jwt = jwt_of("{\"sub\":{}}");
    assert_true(auth_identity_of_claims(&a, &config, jwt.claims, &id, &err) < 0);
    assert_string_equal(err_text(&err), "error converting claim 'sub' to string from unknown type "
                                        "map[string]interface {}");
    id = auth_identity_kubernetes(&a, STR("ns"), STR("web"), STR("u"));
    assert_true(auth_selector_matches(&a, STR("serviceaccount.namespace == ns"), &id));
    assert_ok(auth_bind_name(&a, STR("${serviceaccount.name}"), &id, &name, &err));
    assert_str_lit(name, "web");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_signatures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_issuer_and_audience, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
