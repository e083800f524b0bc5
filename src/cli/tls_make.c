#include "cli/tls_make.h"

#include "base/clock.h"
#include "base/gofmt.h"
#include "base/rand.h"
#include "server/ca_cert.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#define SERIAL_SIZE 16u
#define KEY_BITS 256
#define CA_DAYS_DEFAULT 365
/* Beyond this the year has more than four digits anyway. */
#define DAYS_MAX 4000000

static int ssl_failed(struct err *err)
{
    char text[160] = "unknown error";
    unsigned long code = ERR_get_error();
    if (code != 0) {
        ERR_error_string_n(code, text, sizeof(text));
    }
    ERR_clear_error();
    return err_set(err, ERR_FAILED, "x509: %s", text);
}

/* --- keys ------------------------------------------------------------------------------------ */

/* The first block of a PEM text. */
static int pem_block(struct arena *a, struct str pem, struct str *ret_type, struct str *ret_der,
                     struct err *err)
{
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long size = 0;
    BIO *bio =
        pem.n <= CA_PEM_SIZE_MAX ? BIO_new_mem_buf(pem.n > 0 ? pem.p : "", (int)pem.n) : NULL;
    int ok = bio != NULL ? PEM_read_bio(bio, &name, &header, &data, &size) : 0;
    if (ok == 1) {
        *ret_type = arena_str(a, str_from_cstr(name));
        *ret_der = arena_str(a, str_make(data, (size_t)size));
    }
    if (data != NULL) {
        OPENSSL_cleanse(data, (size_t)size);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    BIO_free(bio);
    ERR_clear_error();
    return ok == 1 ? 0 : err_set(err, ERR_INVALID, "no PEM-encoded data found");
}

static int key_read(struct arena *a, struct str pem, EVP_PKEY **ret_key, struct err *err)
{
    struct str type, der;
    int rc = pem_block(a, pem, &type, &der, err);
    if (rc < 0) {
        return rc;
    }
    if (!str_eq_lit(type, "EC PRIVATE KEY") && !str_eq_lit(type, "RSA PRIVATE KEY") &&
        !str_eq_lit(type, "PRIVATE KEY")) {
        return err_set(err, ERR_INVALID, "unknown PEM block type for signing key: %.*s",
                       STRF(type));
    }
    const unsigned char *p = (const unsigned char *)der.p;
    *ret_key = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
    ERR_clear_error();
    return *ret_key != NULL ? 0 : err_set(err, ERR_INVALID, "x509: failed to parse private key");
}

static int key_make(struct arena *a, struct str *ret_pem, EVP_PKEY **ret_key, struct err *err)
{
    int rc = ca_key_generate(a, STR("ec"), KEY_BITS, ret_pem, err);
    return rc < 0 ? rc : key_read(a, *ret_pem, ret_key, err);
}

static int cert_read(struct arena *a, struct str pem, X509 **ret_cert, struct err *err)
{
    struct str type, der;
    int rc = pem_block(a, pem, &type, &der, err);
    if (rc < 0) {
        return rc;
    }
    if (!str_eq_lit(type, "CERTIFICATE")) {
        return err_set(err, ERR_INVALID, "first PEM-block should be CERTIFICATE type");
    }
    const unsigned char *p = (const unsigned char *)der.p;
    *ret_cert = d2i_X509(NULL, &p, (long)der.n);
    ERR_clear_error();
    return *ret_cert != NULL ? 0 : err_set(err, ERR_INVALID, "x509: malformed certificate");
}

/* --- parts of a certificate ------------------------------------------------------------------ */

/* As Go decides it. */
static bool is_printable_string(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && (c == '\0' || strchr(" '()+,-./:=?", c) == NULL)) {
            return false;
        }
    }
    return true;
}

static bool name_add(X509_NAME *name, int nid, struct str text)
{
    int type = is_printable_string(text) ? V_ASN1_PRINTABLESTRING : V_ASN1_UTF8STRING;
    return X509_NAME_add_entry_by_NID(name, nid, type,
                                      (const unsigned char *)(text.n > 0 ? text.p : ""),
                                      (int)text.n, -1, 0) == 1;
}

/* A random number of 128 bits, and its decimal digits. */
static bool serial_set(struct arena *a, X509 *cert, struct str *ret_digits)
{
    unsigned char bytes[SERIAL_SIZE];
    random_bytes(bytes, sizeof(bytes));
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    char *digits = number != NULL ? BN_bn2dec(number) : NULL;
    bool ok = digits != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    if (ok) {
        *ret_digits = arena_str(a, str_from_cstr(digits));
    }
    OPENSSL_free(digits);
    BN_free(number);
    return ok;
}

/* From now until the same time of the day so many days on. */
static int validity_set(X509 *cert, int64_t days, struct err *err)
{
    time_t now = (time_t)(clock_wall_ns() / (int64_t)NS_PER_SEC);
    struct tm tm;
    if (localtime_r(&now, &tm) == NULL) {
        return err_from_errno(err, ERR_RANGE, "localtime");
    }
    tm.tm_mday += (int)MAX(MIN(days, (int64_t)DAYS_MAX), -(int64_t)DAYS_MAX);
    tm.tm_isdst = -1;
    time_t end = mktime(&tm);
    if (tm.tm_year < -1900 || tm.tm_year > 9999 - 1900 ||
        ASN1_TIME_adj(X509_getm_notBefore(cert), now, 0, 0) == NULL ||
        ASN1_TIME_adj(X509_getm_notAfter(cert), end, 0, 0) == NULL) {
        ERR_clear_error();
        return err_set(err, ERR_RANGE,
                       "asn1: structure error: cannot represent time as GeneralizedTime");
    }
    return 0;
}

static bool ext_add(X509 *cert, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

/* What identifies a key: SHA-256 of its public half in DER. */
static ASN1_OCTET_STRING *key_id(const EVP_PKEY *key)
{
    unsigned char *der = NULL, out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    int n = i2d_PUBKEY(key, &der);
    ASN1_OCTET_STRING *id = NULL;
    if (n > 0 && EVP_Digest(der, (size_t)n, out, &size, EVP_sha256(), NULL) == 1 &&
        (id = ASN1_OCTET_STRING_new()) != NULL) {
        (void)ASN1_OCTET_STRING_set(id, out, (int)size);
    }
    OPENSSL_free(der);
    return id;
}

/* The subject's key and the authority's; the latter may be unknown. */
static bool key_ids_add(X509 *cert, ASN1_OCTET_STRING *subject, const ASN1_OCTET_STRING *authority)
{
    bool ok = subject != NULL && X509_add1_ext_i2d(cert, NID_subject_key_identifier, subject, 0,
                                                   X509V3_ADD_APPEND) == 1;
    if (ok && authority != NULL) {
        AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();
        ok = id != NULL && (id->keyid = ASN1_OCTET_STRING_dup(authority)) != NULL &&
             X509_add1_ext_i2d(cert, NID_authority_key_identifier, id, 0, X509V3_ADD_APPEND) == 1;
        AUTHORITY_KEYID_free(id);
    }
    return ok;
}

static GENERAL_NAME *general_name(int type, struct str bytes)
{
    int string_type = type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *text = ASN1_STRING_type_new(string_type);
    if (name == NULL || text == NULL ||
        ASN1_STRING_set(text, bytes.n > 0 ? bytes.p : "", (int)bytes.n) != 1) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(text);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, type, text);
    return name;
}

static bool general_name_push(GENERAL_NAMES *names, GENERAL_NAME *name)
{
    if (name == NULL || sk_GENERAL_NAME_push(names, name) <= 0) {
        GENERAL_NAME_free(name);
        return false;
    }
    return true;
}

static int ascii_check(struct str name, struct err *err)
{
    for (size_t i = 0; i < name.n; i++) {
        if ((uint8_t)name.p[i] > 0x7f) {
            struct arena a = {0};
            int rc = err_set(err, ERR_INVALID, "x509: %.*s cannot be encoded as an IA5String",
                             STRF(go_quoted(&a, name)));
            arena_deinit(&a);
            return rc;
        }
    }
    return 0;
}

static struct str ip_bytes(struct arena *a, struct str text)
{
    unsigned char bytes[16];
    const char *z = arena_str(a, text).p;
    if (inet_pton(AF_INET, z, bytes) == 1) {
        return arena_str(a, str_make(bytes, 4));
    }
    return inet_pton(AF_INET6, z, bytes) == 1 ? arena_str(a, str_make(bytes, 16)) : STR_NULL;
}

/* The names of a certificate, DNS first. */
static int alt_names_add(struct arena *a, X509 *cert, struct strlist dns, struct strlist ips,
                         struct err *err)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    int rc = 0;
    bool ok = names != NULL;
    for (size_t i = 0; i < dns.n && rc == 0 && ok; i++) {
        rc = ascii_check(dns.v[i], err);
        ok = rc < 0 || general_name_push(names, general_name(GEN_DNS, dns.v[i]));
    }
    for (size_t i = 0; i < ips.n && rc == 0 && ok; i++) {
        struct str bytes = ip_bytes(a, ips.v[i]);
        if (bytes.n == 0) {
            rc = err_set(err, ERR_INVALID, "failed to parse certificate");
        } else {
            ok = general_name_push(names, general_name(GEN_IPADD, bytes));
        }
    }
    if (rc == 0 &&
        (!ok || X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) != 1)) {
        rc = ssl_failed(err);
    }
    GENERAL_NAMES_free(names);
    return rc;
}

static int constraints_add(X509 *cert, struct strlist permitted, struct err *err)
{
    NAME_CONSTRAINTS *constraints = NAME_CONSTRAINTS_new();
    int rc = 0;
    bool ok = constraints != NULL &&
              (constraints->permittedSubtrees = sk_GENERAL_SUBTREE_new_null()) != NULL;
    for (size_t i = 0; i < permitted.n && rc == 0 && ok; i++) {
        rc = ascii_check(permitted.v[i], err);
        GENERAL_SUBTREE *tree = rc == 0 ? GENERAL_SUBTREE_new() : NULL;
        if (tree == NULL) {
            ok = false;
            break;
        }
        GENERAL_NAME_free(tree->base);
        tree->base = general_name(GEN_DNS, permitted.v[i]);
        ok =
            tree->base != NULL && sk_GENERAL_SUBTREE_push(constraints->permittedSubtrees, tree) > 0;
        if (!ok) {
            GENERAL_SUBTREE_free(tree);
        }
    }
    if (rc == 0 && (!ok || X509_add1_ext_i2d(cert, NID_name_constraints, constraints, 1,
                                             X509V3_ADD_APPEND) != 1)) {
        rc = ssl_failed(err);
    }
    NAME_CONSTRAINTS_free(constraints);
    return rc;
}

static int cert_sign(struct arena *a, X509 *cert, EVP_PKEY *key, struct str *ret_pem,
                     struct err *err)
{
    int type = EVP_PKEY_get_base_id(key), bits = EVP_PKEY_get_bits(key);
    const EVP_MD *md = type == EVP_PKEY_ED25519            ? NULL
                       : type == EVP_PKEY_EC && bits > 384 ? EVP_sha512()
                       : type == EVP_PKEY_EC && bits > 256 ? EVP_sha384()
                                                           : EVP_sha256();
    BIO *bio = BIO_new(BIO_s_mem());
    int rc = 0;
    if (bio != NULL && X509_sign(cert, key, md) > 0 && PEM_write_bio_X509(bio, cert) == 1) {
        char *p = NULL;
        long n = BIO_get_mem_data(bio, &p);
        *ret_pem = arena_str(a, str_make(p, (size_t)n));
    } else {
        rc = ssl_failed(err);
    }
    BIO_free(bio);
    return rc;
}

/* --- the authority --------------------------------------------------------------------------- */

static bool ca_name_set(X509 *cert, struct str common_name)
{
    static const struct {
        int nid;
        struct str text;
    } parts[] = {
        {NID_countryName, STR_INIT("US")},
        {NID_stateOrProvinceName, STR_INIT("CA")},
        {NID_localityName, STR_INIT("San Francisco")},
        {NID_streetAddress, STR_INIT("101 Second Street")},
        {NID_postalCode, STR_INIT("94105")},
        {NID_organizationName, STR_INIT("HashiCorp Inc.")},
    };
    X509_NAME *name = X509_get_subject_name(cert);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (!name_add(name, parts[i].nid, parts[i].text)) {
            return false;
        }
    }
    return name_add(name, NID_commonName, common_name) && X509_set_issuer_name(cert, name) == 1;
}

/* "spiffe://ID.DOMAIN" as its only alternative name. */
static bool ca_uri_add(struct arena *a, X509 *cert, const struct tls_ca_options *options)
{
    struct str uri =
        arena_printf(a, "spiffe://%.*s.%.*s", STRF(arena_lower(a, options->cluster_id)),
                     STRF(arena_lower(a, options->domain)));
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool ok = names != NULL && general_name_push(names, general_name(GEN_URI, uri)) &&
              X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND) == 1;
    GENERAL_NAMES_free(names);
    return ok;
}

static int ca_fill(struct arena *a, X509 *cert, EVP_PKEY *key, const struct tls_ca_options *options,
                   struct err *err)
{
    struct str serial;
    if (X509_set_version(cert, X509_VERSION_3) != 1 || !serial_set(a, cert, &serial)) {
        return ssl_failed(err);
    }
    struct str name =
        options->name.n > 0 ? options->name : arena_printf(a, "Consul Agent CA %.*s", STRF(serial));
    int rc = validity_set(cert, options->days != 0 ? options->days : CA_DAYS_DEFAULT, err);
    if (rc < 0) {
        return rc;
    }
    ASN1_OCTET_STRING *id = key_id(key);
    bool ok = ca_name_set(cert, name) && X509_set_pubkey(cert, key) == 1 &&
              ext_add(cert, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign") &&
              ext_add(cert, NID_basic_constraints, "critical,CA:TRUE") &&
              key_ids_add(cert, id, id) &&
              (options->cluster_id.n == 0 || ca_uri_add(a, cert, options));
    ASN1_OCTET_STRING_free(id);
    if (!ok) {
        return ssl_failed(err);
    }
    return options->constraints.n > 0 ? constraints_add(cert, options->constraints, err) : 0;
}

int tls_ca_make(struct arena *a, const struct tls_ca_options *options, struct tls_pair *ret_pair,
                struct err *err)
{
    EVP_PKEY *key = NULL;
    struct tls_pair pair;
    int rc = key_make(a, &pair.key, &key, err);
    if (rc < 0) {
        return rc;
    }
    X509 *cert = X509_new();
    rc = cert != NULL ? ca_fill(a, cert, key, options, err) : ssl_failed(err);
    if (rc == 0) {
        rc = cert_sign(a, cert, key, &pair.cert, err);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    if (rc < 0) {
        return err_wrap(err, "error generating CA certificate");
    }
    *ret_pair = pair;
    return 0;
}

/* --- verifying ------------------------------------------------------------------------------- */

bool tls_constraint_permits(struct str constraint, struct str name)
{
    if (constraint.n == 0) {
        return true;
    }
    if (constraint.p[0] != '.' && str_eq_fold(name, constraint)) {
        return true;
    }
    struct str suffix = str_from(constraint, constraint.p[0] == '.' ? 1 : 0);
    return name.n > suffix.n + 1 && name.p[name.n - suffix.n - 1] == '.' &&
           str_eq_fold(str_from(name, name.n - suffix.n), suffix);
}

static struct str asn1_text(const ASN1_STRING *s)
{
    return str_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static bool is_permitted(const NAME_CONSTRAINTS *constraints, struct str name)
{
    bool any = false;
    for (int i = 0; i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees); i++) {
        const GENERAL_NAME *base =
            sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i)->base;
        if (base->type != GEN_DNS) {
            continue;
        }
        any = true;
        if (tls_constraint_permits(asn1_text(base->d.dNSName), name)) {
            return true;
        }
    }
    return !any;
}

/* The first name that the authority may not sign for. */
static int constraint_failed(X509 *ca, struct strlist names, struct err *err)
{
    NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(ca, NID_name_constraints, NULL, NULL);
    struct str name = STR_NULL;
    for (size_t i = 0; i < names.n && constraints != NULL && name.p == NULL; i++) {
        name = is_permitted(constraints, names.v[i]) ? STR_NULL : names.v[i];
    }
    NAME_CONSTRAINTS_free(constraints);
    struct arena a = {0};
    struct str text = name.p == NULL
                          ? STR("")
                          : arena_printf(&a, ": DNS name %.*s is not permitted by any constraint",
                                         STRF(go_quoted(&a, name)));
    int rc = err_set(err, ERR_FAILED,
                     "x509: a root or intermediate certificate is not authorized to sign for this "
                     "name%.*s",
                     STRF(text));
    arena_deinit(&a);
    return rc;
}

static struct str asn1_time_text(struct arena *a, const ASN1_TIME *t)
{
    struct tm tm = {0};
    return ASN1_TIME_to_tm(t, &tm) == 1
               ? arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                              tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec)
               : STR("?");
}

static int time_failed(X509 *cert, bool is_over, struct err *err)
{
    struct arena a = {0};
    int64_t now = clock_wall_ns() / (int64_t)NS_PER_SEC * (int64_t)NS_PER_SEC;
    const ASN1_TIME *limit = is_over ? X509_get0_notAfter(cert) : X509_get0_notBefore(cert);
    int rc = err_set(err, ERR_FAILED,
                     "x509: certificate has expired or is not yet valid: current time %.*s is %s "
                     "%.*s",
                     STRF(time_format_rfc3339(&a, now)), is_over ? "after" : "before",
                     STRF(asn1_time_text(&a, limit)));
    arena_deinit(&a);
    return rc;
}

static int verify_failed(X509_STORE_CTX *ctx, X509 *ca, struct strlist names, struct err *err)
{
    int code = X509_STORE_CTX_get_error(ctx);
    X509 *at = X509_STORE_CTX_get_current_cert(ctx);
    switch (code) {
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
        return constraint_failed(ca, names, err);
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        if (at != NULL) {
            return time_failed(at, code == X509_V_ERR_CERT_HAS_EXPIRED, err);
        }
        break;
    default:
        break;
    }
    return err_set(err, ERR_FAILED, "x509: %s", X509_verify_cert_error_string(code));
}

/* Whether who trusts the authority trusts the certificate. */
static int cert_verify(X509 *cert, X509 *ca, struct strlist names, struct err *err)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int rc = 0;
    if (store == NULL || ctx == NULL || X509_STORE_add_cert(store, ca) != 1 ||
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1 ||
        X509_STORE_CTX_init(ctx, store, cert, NULL) != 1) {
        rc = ssl_failed(err);
    } else if (X509_verify_cert(ctx) != 1) {
        rc = verify_failed(ctx, ca, names, err);
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
    return rc;
}

/* --- what it signs --------------------------------------------------------------------------- */

static int cert_fill(struct arena *a, X509 *cert, EVP_PKEY *key, X509 *ca,
                     const struct tls_cert_options *options, struct err *err)
{
    struct str serial;
    if (X509_set_version(cert, X509_VERSION_3) != 1 || !serial_set(a, cert, &serial)) {
        return ssl_failed(err);
    }
    int rc = validity_set(cert, options->days, err);
    if (rc < 0) {
        return rc;
    }
    ASN1_OCTET_STRING *id = key_id(key);
    bool ok = name_add(X509_get_subject_name(cert), NID_commonName, options->name) &&
              X509_set_issuer_name(cert, X509_get_subject_name(ca)) == 1 &&
              X509_set_pubkey(cert, key) == 1 &&
              ext_add(cert, NID_key_usage, "critical,digitalSignature,keyEncipherment") &&
              (options->usages == NULL || ext_add(cert, NID_ext_key_usage, options->usages)) &&
              ext_add(cert, NID_basic_constraints, "critical,CA:FALSE") &&
              key_ids_add(cert, id, X509_get0_subject_key_id(ca));
    ASN1_OCTET_STRING_free(id);
    if (!ok) {
        return ssl_failed(err);
    }
    return alt_names_add(a, cert, options->dns_names, options->ip_addresses, err);
}

static int cert_make(struct arena *a, const struct tls_cert_options *options, X509 *ca,
                     EVP_PKEY *ca_key, struct tls_pair *ret_pair, struct err *err)
{
    EVP_PKEY *key = NULL;
    if (X509_check_private_key(ca, ca_key) != 1) {
        ERR_clear_error();
        return err_set(err, ERR_INVALID,
                       "x509: provided PrivateKey doesn't match parent's PublicKey");
    }
    int rc = key_make(a, &ret_pair->key, &key, err);
    if (rc < 0) {
        return rc;
    }
    X509 *cert = X509_new();
    rc = cert != NULL ? cert_fill(a, cert, key, ca, options, err) : ssl_failed(err);
    if (rc == 0) {
        rc = cert_sign(a, cert, ca_key, &ret_pair->cert, err);
    }
    if (rc == 0) {
        rc = cert_verify(cert, ca, options->dns_names, err);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
    return rc;
}

int tls_cert_make(struct arena *a, const struct tls_cert_options *options,
                  struct tls_pair *ret_pair, struct err *err)
{
    EVP_PKEY *ca_key = NULL;
    X509 *ca = NULL;
    struct tls_pair pair;
    int rc = key_read(a, options->ca_key, &ca_key, err);
    if (rc == 0) {
        rc = cert_read(a, options->ca, &ca, err);
    }
    if (rc == 0) {
        rc = cert_make(a, options, ca, ca_key, &pair, err);
    }
    X509_free(ca);
    EVP_PKEY_free(ca_key);
    if (rc == 0) {
        *ret_pair = pair;
    }
    return rc;
}
