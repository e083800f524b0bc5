#include "server/ca_cert.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define ROOT_YEARS 10
#define UID_SIZE 8u            /* of the part of a common name that tells one root from another */
#define DOMAIN_IN_NAME_SIZE 8u /* of the trust domain, in a common name */

static int ssl_failed(struct err *err, const char *what)
{
    char text[160] = "unknown error";
    unsigned long code = ERR_get_error();
    if (code != 0) {
        ERR_error_string_n(code, text, sizeof(text));
    }
    ERR_clear_error();
    return err_set(err, ERR_FAILED, "%s: %s", what, text);
}

struct str ca_colon_hex(struct arena *a, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    if (bytes.n == 0) {
        return STR("");
    }
    char *text = arena_alloc(a, bytes.n * 3);
    for (size_t i = 0; i < bytes.n; i++) {
        uint8_t byte = (uint8_t)bytes.p[i];
        text[3 * i] = digits[byte >> 4];
        text[3 * i + 1] = digits[byte & 15];
        text[3 * i + 2] = ':';
    }
    return str_make(text, bytes.n * 3 - 1);
}

static struct str digest(struct arena *a, const EVP_MD *md, struct str bytes)
{
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int ok = EVP_Digest(bytes.p != NULL ? bytes.p : "", bytes.n, out, &size, md, NULL);
    ASSERT(ok == 1);
    return arena_str(a, str_make(out, size));
}

struct str ca_sha256_hex(struct arena *a, struct str bytes)
{
    return ca_colon_hex(a, digest(a, EVP_sha256(), bytes));
}

static struct str bio_text(struct arena *a, BIO *bio)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);
    return arena_str(a, str_make(p, n > 0 ? (size_t)n : 0));
}

static BIO *bio_of(struct str text)
{
    return text.n <= CA_PEM_SIZE_MAX ? BIO_new_mem_buf(text.p != NULL ? text.p : "", (int)text.n)
                                     : NULL;
}

/* --- keys ------------------------------------------------------------------------------------ */

static EVP_PKEY *generate(struct str type, int64_t bits)
{
    if (str_eq_fold(type, STR("rsa"))) {
        return EVP_RSA_gen((unsigned)bits);
    }
    const char *curve = bits == 224   ? "P-224"
                        : bits == 256 ? "P-256"
                        : bits == 384 ? "P-384"
                                      : "P-521";
    return EVP_EC_gen(curve);
}

int ca_key_generate(struct arena *a, struct str type, int64_t bits, struct str *ret_pem,
                    struct err *err)
{
    EVP_PKEY *key = generate(type, bits);
    BIO *bio = BIO_new(BIO_s_mem());
    int r = 0;
    if (key != NULL && bio != NULL &&
        PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        *ret_pem = bio_text(a, bio);
    } else {
        r = ssl_failed(err, "error generating private key");
    }
    BIO_free(bio);
    EVP_PKEY_free(key);
    return r;
}

static EVP_PKEY *key_parse(struct str pem)
{
    BIO *bio = bio_of(pem);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return key;
}

/* What identifies a key in certificates: SHA-256 of its public half in DER. */
static struct str key_id(struct arena *a, const EVP_PKEY *key)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    struct str id = n > 0 ? digest(a, EVP_sha256(), str_make(der, (size_t)n)) : STR_NULL;
    OPENSSL_free(der);
    return id;
}

/* --- roots ----------------------------------------------------------------------------------- */

struct str ca_trust_domain(struct arena *a, struct str cluster_id)
{
    return arena_lower(a, arena_concat(a, cluster_id, STR(".consul")));
}

/* A random number in base 36, cut to eight characters; a sign counts but is not shown. */
static struct str compact_uid(struct arena *a)
{
    char text[UID_SIZE + 16];
    size_t n = 0, at = sizeof(text);
    int64_t number;
    random_bytes(&number, sizeof(number));
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        uint64_t digit = rest % 36;
        text[--at] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
        rest /= 36;
    } while (rest > 0);
    n = MIN(sizeof(text) - at, (size_t)(number < 0 ? UID_SIZE - 1 : UID_SIZE));
    return arena_str(a, str_make(text + at, n));
}

static bool set_name(X509_NAME *name, struct str cn)
{
    return X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_PRINTABLESTRING,
                                      (const unsigned char *)cn.p, (int)cn.n, -1, 0) == 1;
}

static bool add_ext(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool add_key_ids(X509 *cert, struct str id)
{
    ASN1_OCTET_STRING *subject = ASN1_OCTET_STRING_new();
    AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
    bool ok =
        subject != NULL && authority != NULL &&
        ASN1_OCTET_STRING_set(subject, (const unsigned char *)id.p, (int)id.n) == 1 &&
        (authority->keyid = ASN1_OCTET_STRING_dup(subject)) != NULL &&
        X509_add1_ext_i2d(cert, NID_subject_key_identifier, subject, 0, X509V3_ADD_APPEND) == 1 &&
        X509_add1_ext_i2d(cert, NID_authority_key_identifier, authority, 0, X509V3_ADD_APPEND) == 1;
    ASN1_OCTET_STRING_free(subject);
    AUTHORITY_KEYID_free(authority);
    return ok;
}

static bool set_serial(X509 *cert, uint64_t serial)
{
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial) == 1;
}

/* The same day and time in ten years; a 29th of February becomes the 1st of March. */
static bool set_validity(X509 *cert, int64_t now_ns)
{
    time_t now_s = (time_t)(now_ns / (int64_t)NS_PER_SEC);
    struct tm tm;
    if (OPENSSL_gmtime(&now_s, &tm) == NULL) {
        return false;
    }
    tm.tm_year += ROOT_YEARS;
    time_t end_s = timegm(&tm);
    return ASN1_TIME_adj(X509_getm_notBefore(cert), now_s, 0, 0) != NULL &&
           ASN1_TIME_adj(X509_getm_notAfter(cert), end_s, 0, 0) != NULL;
}

static const EVP_MD *digest_of(const EVP_PKEY *key)
{
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) {
        return EVP_sha256();
    }
    int bits = EVP_PKEY_get_bits(key);
    return bits > 384 ? EVP_sha512() : bits > 256 ? EVP_sha384() : EVP_sha256();
}

static bool fill_root(X509 *cert, EVP_PKEY *key, struct str cn, struct str uri, struct str id)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    return id.n > 0 && X509_set_version(cert, X509_VERSION_3) == 1 &&
           set_name(X509_get_subject_name(cert), cn) && set_name(X509_get_issuer_name(cert), cn) &&
           X509_set_pubkey(cert, key) == 1 &&
           add_ext(cert, &ctx, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign") &&
           add_ext(cert, &ctx, NID_basic_constraints, "critical,CA:TRUE") &&
           add_key_ids(cert, id) && add_ext(cert, &ctx, NID_subject_alt_name, uri.p) &&
           X509_sign(cert, key, digest_of(key)) > 0;
}

int ca_root_generate(struct arena *a, struct str key_pem, struct str cluster_id, uint64_t serial,
                     int64_t now_ns, struct str *ret_pem, struct err *err)
{
    EVP_PKEY *key = key_parse(key_pem);
    if (key == NULL) {
        return ssl_failed(err, "error parsing private key");
    }
    struct str domain = ca_trust_domain(a, cluster_id), uid = compact_uid(a);
    struct str cn = arena_printf(a, "pri-%.*s.consul.ca.%.*s.consul", STRF(uid),
                                 STRF(str_first(cluster_id, DOMAIN_IN_NAME_SIZE)));
    struct str uri = arena_printf(a, "URI:spiffe://%.*s", STRF(domain));
    X509 *cert = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    int r = 0;
    if (cert != NULL && bio != NULL && set_serial(cert, serial) && set_validity(cert, now_ns) &&
        fill_root(cert, key, cn, uri, key_id(a, key)) && PEM_write_bio_X509(bio, cert) == 1) {
        *ret_pem = bio_text(a, bio);
    } else {
        r = ssl_failed(err, "error generating CA certificate");
    }
    BIO_free(bio);
    X509_free(cert);
    EVP_PKEY_free(key);
    return r;
}

/* --- reading --------------------------------------------------------------------------------- */

static int64_t wall_ns(const ASN1_TIME *t)
{
    struct tm tm = {0};
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * (int64_t)NS_PER_SEC : TIME_ZERO;
}

static uint64_t serial_of(X509 *cert)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get_serialNumber(cert), NULL);
    unsigned char bytes[8] = {0}, *all = NULL;
    int n = number != NULL ? BN_num_bytes(number) : 0;
    if (n > 0 && (all = OPENSSL_malloc((size_t)n)) != NULL) {
        (void)BN_bn2bin(number, all);
        size_t keep = MIN((size_t)n, sizeof(bytes));
        memcpy(bytes + sizeof(bytes) - keep, all + (size_t)n - keep, keep);
    }
    OPENSSL_free(all);
    BN_free(number);
    return get_be64(bytes);
}

static int fill_info(struct arena *a, X509 *cert, struct ca_cert_info *info, struct err *err)
{
    unsigned char sha1[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    if (X509_digest(cert, EVP_sha1(), sha1, &size) != 1) {
        return ssl_failed(err, "error parsing root fingerprint");
    }
    int type = key != NULL ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
    if (type != EVP_PKEY_EC && type != EVP_PKEY_RSA) {
        return err_set(err, ERR_FAILED, "error extracting root key info: unsupported key type");
    }
    const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(cert);
    *info = (struct ca_cert_info){
        .fingerprint = ca_colon_hex(a, str_make(sha1, size)),
        .serial = serial_of(cert),
        .not_before = wall_ns(X509_get0_notBefore(cert)),
        .not_after = wall_ns(X509_get0_notAfter(cert)),
        .key_type = type == EVP_PKEY_EC ? STR("ec") : STR("rsa"),
        .key_bits = EVP_PKEY_get_bits(key),
    };
    if (id != NULL) {
        info->subject_key_id =
            ca_colon_hex(a, str_make(ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id)));
    }
    return 0;
}

int ca_cert_parse(struct arena *a, struct str pem, struct ca_cert_info *ret_info, struct err *err)
{
    BIO *bio = bio_of(pem);
    X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    int r = cert != NULL ? fill_info(a, cert, ret_info, err)
                         : ssl_failed(err, "error parsing root cert");
    X509_free(cert);
    BIO_free(bio);
    return r;
}
