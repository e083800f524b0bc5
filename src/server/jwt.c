#include "server/jwt.h"

#include "base/encode.h"
#include "base/err.h"
#include "schema/json.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

/* --- parsing --------------------------------------------------------------------------------- */

static struct str text_of(const struct value *map, const char *name)
{
    const struct value *v = value_get(map, str_from_cstr(name));
    return v != NULL && v->kind == VALUE_STR ? v->s : STR_NULL;
}

static int decode_part(struct arena *a, struct str part, struct str *ret, struct err *err)
{
    if (base64url_decode(a, part, ret) < 0) {
        return err_set(err, ERR_INVALID, "illegal base64 data at input byte %zu",
                       base64_fault(part));
    }
    return 0;
}

int jwt_parse(struct arena *a, struct str text, struct jwt *ret_jwt, struct err *err)
{
    struct str parts[3], rest = text, head, ignored;
    struct value *header, *claims;
    if (text.n > JWT_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "token is over the maximum of %u bytes", JWT_SIZE_MAX);
    }
    bool has_three = str_cut(rest, '.', &parts[0], &rest) && str_cut(rest, '.', &parts[1], &rest) &&
                     !str_cut(rest, '.', &parts[2], &ignored);
    if (!has_three) {
        return err_set(err, ERR_INVALID,
                       "square/go-jose: compact JWS format must have three parts");
    }
    struct jwt jwt = {.signed_text = str_make(text.p, parts[0].n + 1 + parts[1].n)};
    int r = decode_part(a, parts[0], &head, err);
    if (r >= 0) {
        r = decode_part(a, parts[1], &jwt.payload, err);
    }
    if (r >= 0) {
        r = decode_part(a, parts[2], &jwt.signature, err);
    }
    if (r >= 0) {
        r = json_parse(a, head, &header, err);
    }
    if (r < 0) {
        return r;
    }
    jwt.algorithm = text_of(header, "alg");
    jwt.key_id = text_of(header, "kid");
    if (json_parse(a, jwt.payload, &claims, NULL) >= 0 && claims->kind == VALUE_MAP) {
        jwt.claims = claims;
    }
    *ret_jwt = jwt;
    return 0;
}

/* --- verifying ------------------------------------------------------------------------------- */

static const struct algorithm {
    struct str name;
    int key_type; /* EVP_PKEY_x */
    const EVP_MD *(*digest)(void);
    bool is_pss;
    size_t size; /* of each half of an EC signature, and of the curve */
} algorithms[] = {
    {STR_INIT("RS256"), EVP_PKEY_RSA, EVP_sha256, false, 0},
    {STR_INIT("RS384"), EVP_PKEY_RSA, EVP_sha384, false, 0},
    {STR_INIT("RS512"), EVP_PKEY_RSA, EVP_sha512, false, 0},
    {STR_INIT("PS256"), EVP_PKEY_RSA, EVP_sha256, true, 0},
    {STR_INIT("PS384"), EVP_PKEY_RSA, EVP_sha384, true, 0},
    {STR_INIT("PS512"), EVP_PKEY_RSA, EVP_sha512, true, 0},
    {STR_INIT("ES256"), EVP_PKEY_EC, EVP_sha256, false, 32},
    {STR_INIT("ES384"), EVP_PKEY_EC, EVP_sha384, false, 48},
    {STR_INIT("ES512"), EVP_PKEY_EC, EVP_sha512, false, 66},
    {STR_INIT("EdDSA"), EVP_PKEY_ED25519, NULL, false, 0},
};

static const struct algorithm *algorithm_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
        if (str_eq(algorithms[i].name, name)) {
            return &algorithms[i];
        }
    }
    return NULL;
}

static bool digest_verify(const struct algorithm *how, EVP_PKEY *key, struct str text,
                          const unsigned char *signature, size_t size)
{
    EVP_PKEY_CTX *pctx = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok =
        ctx != NULL && EVP_DigestVerifyInit(ctx, &pctx, how->digest != NULL ? how->digest() : NULL,
                                            NULL, key) == 1;
    if (ok && how->is_pss) {
        ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_AUTO) == 1;
    }
    ok = ok && EVP_DigestVerify(ctx, signature, size, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

/* The two numbers side by side; OpenSSL wants them in DER. */
static bool ec_verify(const struct algorithm *how, EVP_PKEY *key, const struct jwt *jwt)
{
    const unsigned char *p = (const unsigned char *)jwt->signature.p;
    unsigned char *der = NULL;
    bool ok = false;
    if (jwt->signature.n != 2 * how->size ||
        (size_t)(EVP_PKEY_get_bits(key) + 7) / 8 != how->size) {
        return false;
    }
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(p, (int)how->size, NULL);
    BIGNUM *s = BN_bin2bn(p + how->size, (int)how->size, NULL);
    if (sig != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* the signature's now */
        int n = i2d_ECDSA_SIG(sig, &der);
        ok = n > 0 && digest_verify(how, key, jwt->signed_text, der, (size_t)n);
    }
    OPENSSL_free(der);
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    ERR_clear_error();
    return ok;
}

bool jwt_verify(const struct jwt *jwt, struct evp_pkey_st *key)
{
    const struct algorithm *how = algorithm_find(jwt->algorithm);
    if (how == NULL || EVP_PKEY_get_base_id(key) != how->key_type) {
        return false;
    }
    if (how->key_type == EVP_PKEY_EC) {
        return ec_verify(how, key, jwt);
    }
    return digest_verify(how, key, jwt->signed_text, (const unsigned char *)jwt->signature.p,
                         jwt->signature.n);
}

bool jwt_verify_any(const struct jwt *jwt, const struct jwt_key_set *keys)
{
    bool ok = false;
    for (size_t i = 0; i < keys->n && !ok; i++) {
        bool may = jwt->key_id.n == 0 || str_eq(jwt->key_id, keys->v[i].id);
        ok = may && jwt_verify(jwt, keys->v[i].key);
    }
    return ok;
}

/* --- keys ------------------------------------------------------------------------------------ */

void jwt_key_free(struct evp_pkey_st *key)
{
    EVP_PKEY_free(key);
}

static bool is_known_kind(EVP_PKEY *key)
{
    int type = EVP_PKEY_get_base_id(key);
    return type == EVP_PKEY_RSA || type == EVP_PKEY_EC || type == EVP_PKEY_ED25519;
}

static X509 *certificate_from_pem(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)MIN(pem.n, (size_t)INT32_MAX));
    X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    return cert;
}

bool jwt_pem_has_certificate(struct str pem)
{
    X509 *cert = pem.n > 0 ? certificate_from_pem(pem) : NULL;
    X509_free(cert);
    return cert != NULL;
}

struct evp_pkey_st *jwt_key_from_pem(struct str pem)
{
    if (pem.n == 0) {
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)MIN(pem.n, (size_t)INT32_MAX));
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (key == NULL) {
        X509 *cert = certificate_from_pem(pem);
        key = cert != NULL ? X509_get_pubkey(cert) : NULL;
        X509_free(cert);
    }
    ERR_clear_error();
    if (key != NULL && !is_known_kind(key)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static EVP_PKEY *key_from_params(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static struct str number_of(struct arena *a, const struct value *jwk, const char *name)
{
    struct str bytes = STR_NULL;
    return base64url_decode(a, text_of(jwk, name), &bytes) < 0 ? STR_NULL : bytes;
}

static EVP_PKEY *rsa_from_jwk(struct arena *a, const struct value *jwk)
{
    struct str n = number_of(a, jwk, "n"), e = number_of(a, jwk, "e");
    EVP_PKEY *key = NULL;
    if (n.n == 0 || e.n == 0 || n.n > 2048 || e.n > 8) {
        return NULL;
    }
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *bn = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
    BIGNUM *be = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    if (build != NULL && bn != NULL && be != NULL &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, be) == 1) {
        key = key_from_params("RSA", build);
    }
    BN_free(bn);
    BN_free(be);
    OSSL_PARAM_BLD_free(build);
    return key;
}

static EVP_PKEY *ec_from_jwk(struct arena *a, const struct value *jwk)
{
    static const struct {
        struct str name;
        const char *group;
        size_t size;
    } curves[] = {{STR_INIT("P-256"), "prime256v1", 32},
                  {STR_INIT("P-384"), "secp384r1", 48},
                  {STR_INIT("P-521"), "secp521r1", 66}};
    struct str curve = text_of(jwk, "crv"), x = number_of(a, jwk, "x"), y = number_of(a, jwk, "y");
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
        size_t size = curves[i].size;
        if (!str_eq(curve, curves[i].name) || x.n == 0 || x.n > size || y.n == 0 || y.n > size) {
            continue;
        }
        unsigned char point[1 + 2 * 66] = {4}; /* uncompressed */
        memcpy(point + 1 + size - x.n, x.p, x.n);
        memcpy(point + 1 + 2 * size - y.n, y.p, y.n);
        OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
        if (build != NULL &&
            OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group,
                                            0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size) ==
                1) {
            key = key_from_params("EC", build);
        }
        OSSL_PARAM_BLD_free(build);
    }
    return key;
}

static EVP_PKEY *key_from_jwk(struct arena *a, const struct value *jwk)
{
    struct str type = text_of(jwk, "kty");
    EVP_PKEY *key = NULL;
    if (str_eq_lit(type, "RSA")) {
        key = rsa_from_jwk(a, jwk);
    } else if (str_eq_lit(type, "EC")) {
        key = ec_from_jwk(a, jwk);
    } else if (str_eq_lit(type, "OKP") && str_eq_lit(text_of(jwk, "crv"), "Ed25519")) {
        struct str x = number_of(a, jwk, "x");
        key = x.n == 32 ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
                                                      (const unsigned char *)x.p, x.n)
                        : NULL;
    }
    ERR_clear_error();
    return key;
}

int jwt_key_set_parse(struct arena *a, struct str json, struct jwt_key_set *ret_keys,
                      struct err *err)
{
    struct value *set;
    int r = json_parse(a, json, &set, err);
    if (r < 0) {
        return r;
    }
    ret_keys->n = 0;
    const struct value *keys = value_get(set, STR("keys"));
    size_t count = keys != NULL && keys->kind == VALUE_LIST ? keys->list.n : 0;
    for (size_t i = 0; i < count && ret_keys->n < JWT_KEYS_MAX; i++) {
        EVP_PKEY *key = key_from_jwk(a, &keys->list.v[i]);
        if (key != NULL) {
            ret_keys->v[ret_keys->n++] =
                (struct jwt_key){.id = text_of(&keys->list.v[i], "kid"), .key = key};
        }
    }
    return 0;
}

void jwt_key_set_deinit(struct jwt_key_set *keys)
{
    for (size_t i = 0; i < keys->n; i++) {
        jwt_key_free(keys->v[i].key);
    }
    keys->n = 0;
}
