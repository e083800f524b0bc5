/* tls_fixture.h - certificates for tests, made on the spot in a directory of their own.
 *
 *     struct tls_files f;
 *     tls_files_make(&f);             // f.ca, f.cert, f.key: "server.dc1.consul", localhost,
 * 127.0.0.1 struct tls_settings s = tls_files_settings(&f);  ... s.verify_outgoing = true ...
 *     tls_files_remove(&f);
 *
 * other_ca is an authority that has signed other_cert, and nobody trusts. */
#pragma once
#include "test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/tls.h"

#define TLS_FILE_NAMES(X)                                                                     \
    X(ca)                                                                                     \
    X(cert)                                                                                   \
    X(key) X(other_ca) X(other_cert) X(other_key) X(expired_cert) X(expired_key) X(host_cert) \
        X(host_key)

struct tls_files {
    char dir[64];
#define X(name) char name[96];
    TLS_FILE_NAMES(X)
#undef X
};

struct made_cert {
    X509 *cert;
    EVP_PKEY *key;
};

static void made_add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* Signed by itself without an issuer; not_after: seconds from now. */
static struct made_cert made_cert_new(const char *name, const struct made_cert *issuer,
                                      const char *alt_names, long not_after)
{
    static long serial;
    struct made_cert m = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *subject = X509_get_subject_name(m.cert);
    assert_int_equal(X509_set_version(m.cert, 2), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(m.cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(m.cert), -7200);
    X509_gmtime_adj(X509_getm_notAfter(m.cert), not_after);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509 *by = issuer != NULL ? issuer->cert : m.cert;
    assert_int_equal(X509_set_issuer_name(m.cert, X509_get_subject_name(by)), 1);
    assert_int_equal(X509_set_pubkey(m.cert, m.key), 1);
    if (issuer == NULL) {
        made_add_extension(m.cert, by, NID_basic_constraints, "critical,CA:TRUE");
    } else {
        made_add_extension(m.cert, by, NID_ext_key_usage, "serverAuth,clientAuth");
        made_add_extension(m.cert, by, NID_subject_alt_name, alt_names);
    }
    assert_true(X509_sign(m.cert, issuer != NULL ? issuer->key : m.key, EVP_sha256()) > 0);
    return m;
}

static void made_cert_write(struct made_cert m, const char *cert_path, const char *key_path)
{
    FILE *f = fopen(cert_path, "w");
    assert_non_null(f);
    assert_int_equal(PEM_write_X509(f, m.cert), 1);
    assert_int_equal(fclose(f), 0);
    if (key_path != NULL) {
        f = fopen(key_path, "w");
        assert_non_null(f);
        assert_int_equal(PEM_write_PrivateKey(f, m.key, NULL, NULL, 0, NULL, NULL), 1);
        assert_int_equal(fclose(f), 0);
    }
}

static void made_cert_free(struct made_cert *m)
{
    X509_free(m->cert);
    EVP_PKEY_free(m->key);
}

UNUSED static void tls_files_make(struct tls_files *f)
{
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/tls_files.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
#define X(name) (void)snprintf(f->name, sizeof(f->name), "%s/%s.pem", f->dir, #name);
    TLS_FILE_NAMES(X)
#undef X
    struct made_cert ca = made_cert_new("Test CA", NULL, NULL, 7200),
                     other_ca = made_cert_new("Other CA", NULL, NULL, 7200);
    const char *names = "DNS:server.dc1.consul,DNS:localhost,IP:127.0.0.1";
    struct made_cert cert = made_cert_new("server.dc1.consul", &ca, names, 7200),
                     other = made_cert_new("server.dc1.consul", &other_ca, names, 7200),
                     expired = made_cert_new("server.dc1.consul", &ca, names, -3600),
                     host = made_cert_new("host.dc1.consul", &ca, "DNS:client.dc1.consul", 7200);
    made_cert_write(ca, f->ca, NULL);
    made_cert_write(other_ca, f->other_ca, NULL);
    made_cert_write(cert, f->cert, f->key);
    made_cert_write(other, f->other_cert, f->other_key);
    made_cert_write(expired, f->expired_cert, f->expired_key);
    made_cert_write(host, f->host_cert, f->host_key);
    struct made_cert *all[] = {&ca, &other_ca, &cert, &other, &expired, &host};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        made_cert_free(all[i]);
    }
}

UNUSED static void tls_files_remove(struct tls_files *f)
{
#define X(name) (void)unlink(f->name);
    TLS_FILE_NAMES(X)
#undef X
    assert_int_equal(rmdir(f->dir), 0);
}

UNUSED static struct tls_settings tls_files_settings(const struct tls_files *f)
{
    return (struct tls_settings){
        .ca_file = str_from_cstr(f->ca),
        .cert_file = str_from_cstr(f->cert),
        .key_file = str_from_cstr(f->key),
        .min_version = STR("tls12"),
        .datacenter = STR("dc1"),
        .domain = STR("consul."),
    };
}

UNUSED static struct tls_context *tls_context_make(const struct tls_settings *s)
{
    struct tls_context *c;
    struct err err = {0};
    if (tls_context_new(s, &c, &err) < 0) {
        fail_msg("%s", err_text(&err));
    }
    return c;
}
