#include "loop/tls_handshake.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/buf.h"

#include <arpa/inet.h>
#include <time.h>

/* --- names ----------------------------------------------------------------------------------- */

static void put_ip(struct buf *to, const ASN1_OCTET_STRING *ip)
{
    char text[INET6_ADDRSTRLEN] = "?";
    int size = ASN1_STRING_length(ip);
    (void)inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), text, sizeof(text));
    buf_str(to, str_from_cstr(text));
}

/* The names of one kind, "a, b". */
static void put_names(struct buf *to, X509 *cert, int kind)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != kind) {
            continue;
        }
        if (to->n > 0) {
            buf_lit(to, ", ");
        }
        if (kind == GEN_DNS) {
            buf_put(to, ASN1_STRING_get0_data(name->d.dNSName),
                    (size_t)ASN1_STRING_length(name->d.dNSName));
        } else {
            put_ip(to, name->d.iPAddress);
        }
    }
    GENERAL_NAMES_free(names);
}

static void name_error(X509 *cert, const char *name, bool is_ip, char error[TLS_ERROR_SIZE])
{
    struct buf names = {.max = TLS_ERROR_SIZE};
    put_names(&names, cert, is_ip ? GEN_IPADD : GEN_DNS);
    if (names.n > 0) {
        (void)snprintf(error, TLS_ERROR_SIZE, "x509: certificate is valid for %.*s, not %s",
                       STRF(buf_view(&names)), name);
    } else if (is_ip) {
        (void)snprintf(error, TLS_ERROR_SIZE,
                       "x509: cannot validate certificate for %s because it doesn't contain any IP "
                       "SANs",
                       name);
    } else {
        (void)snprintf(error, TLS_ERROR_SIZE,
                       "x509: certificate is not valid for any names, but wanted to match %s",
                       name);
    }
    buf_deinit(&names);
}

bool tls_verify_name(X509 *cert, const char *name, char error[TLS_ERROR_SIZE])
{
    unsigned char address[16];
    bool is_ip = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
    int r = is_ip ? X509_check_ip_asc(cert, name, 0)
                  : X509_check_host(cert, name, 0,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
                                    NULL);
    if (r != 1) {
        name_error(cert, name, is_ip, error);
    }
    return r == 1;
}

/* --- chains ---------------------------------------------------------------------------------- */

static void put_time(char *to, size_t size, const struct tm *tm)
{
    if (strftime(to, size, "%Y-%m-%dT%H:%M:%SZ", tm) == 0) {
        to[0] = '\0';
    }
}

static void time_error(X509 *cert, bool is_early, char error[TLS_ERROR_SIZE])
{
    struct tm now_tm = {0}, limit_tm = {0};
    char now[32] = "", limit[32] = "";
    time_t t = time(NULL);
    if (cert != NULL && gmtime_r(&t, &now_tm) != NULL &&
        ASN1_TIME_to_tm(is_early ? X509_get0_notBefore(cert) : X509_get0_notAfter(cert),
                        &limit_tm) == 1) {
        put_time(now, sizeof(now), &now_tm);
        put_time(limit, sizeof(limit), &limit_tm);
    }
    (void)snprintf(error, TLS_ERROR_SIZE,
                   "x509: certificate has expired or is not yet valid: current time %s is %s %s",
                   now, is_early ? "before" : "after", limit);
}

static void chain_error(X509_STORE_CTX *store, char error[TLS_ERROR_SIZE])
{
    int code = X509_STORE_CTX_get_error(store);
    switch (code) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        (void)snprintf(error, TLS_ERROR_SIZE, "x509: certificate signed by unknown authority");
        return;
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED:
        time_error(X509_STORE_CTX_get_current_cert(store), code == X509_V_ERR_CERT_NOT_YET_VALID,
                   error);
        return;
    case X509_V_ERR_INVALID_PURPOSE:
        (void)snprintf(error, TLS_ERROR_SIZE,
                       "x509: certificate specifies an incompatible key usage");
        return;
    default:
        (void)snprintf(error, TLS_ERROR_SIZE, "x509: %s", X509_verify_cert_error_string(code));
    }
}

/* Whatever is wrong, the peer is told that its certificate is bad, as Go tells it. */
static int verify_cb(X509_STORE_CTX *store, void *data)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_handshake *h = data != NULL ? data : SSL_get_app_data(ssl);
    X509_STORE_CTX_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    bool is_good = X509_verify_cert(store) == 1;
    int code = X509_STORE_CTX_get_error(store);
    bool is_out_of_time =
        !is_good && (code == X509_V_ERR_CERT_NOT_YET_VALID || code == X509_V_ERR_CERT_HAS_EXPIRED);
    /* In Go's order: the time, the name, the authority. */
    bool is_named = is_out_of_time || h->name == NULL ||
                    tls_verify_name(X509_STORE_CTX_get0_cert(store), h->name, h->error);
    if (is_good && is_named) {
        return 1;
    }
    if (is_named) {
        chain_error(store, h->error);
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    return 0;
}

static int protocol_cb(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
                       const unsigned char *offered, unsigned offered_size, void *data)
{
    const struct tls_handshake *h = data != NULL ? data : SSL_get_app_data(ssl);
    unsigned char *chosen = NULL;
    if (h->protocols == NULL ||
        SSL_select_next_proto(&chosen, ret_size, (const unsigned char *)h->protocols,
                              (unsigned)strlen(h->protocols), offered,
                              offered_size) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

void tls_handshake_install(SSL_CTX *ctx, struct tls_handshake *h)
{
    SSL_CTX_set_cert_verify_callback(ctx, verify_cb, h);
    SSL_CTX_set_alpn_select_cb(ctx, protocol_cb, h);
}

/* --- words ----------------------------------------------------------------------------------- */

static const char *alert_words(int alert)
{
    static const struct {
        int alert;
        const char *words;
    } table[] = {
        {0, "close notify"},
        {10, "unexpected message"},
        {20, "bad record MAC"},
        {21, "decryption failed"},
        {22, "record overflow"},
        {30, "decompression failure"},
        {40, "handshake failure"},
        {42, "bad certificate"},
        {43, "unsupported certificate"},
        {44, "revoked certificate"},
        {45, "expired certificate"},
        {46, "unknown certificate"},
        {47, "illegal parameter"},
        {48, "unknown certificate authority"},
        {49, "access denied"},
        {50, "error decoding message"},
        {51, "error decrypting message"},
        {60, "export restriction"},
        {70, "protocol version not supported"},
        {71, "insufficient security level"},
        {80, "internal error"},
        {86, "inappropriate fallback"},
        {90, "user canceled"},
        {100, "no renegotiation"},
        {109, "missing extension"},
        {110, "unsupported extension"},
        {111, "certificate unobtainable"},
        {112, "unrecognized name"},
        {113, "bad certificate status response"},
        {114, "bad certificate hash value"},
        {115, "unknown PSK identity"},
        {116, "certificate required"},
        {120, "no application protocol"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i].alert == alert) {
            return table[i].words;
        }
    }
    return NULL;
}

static const char *reason_words(int reason)
{
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return "client didn't provide a certificate";
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
        return "first record does not look like a TLS handshake";
    case SSL_R_NO_SHARED_CIPHER:
        return "no cipher suite supported by both client and server";
    case SSL_R_UNSUPPORTED_PROTOCOL:
        return "no TLS version supported by both client and server";
    case SSL_R_NO_CERTIFICATE_SET:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
        return "no certificates configured";
    default:
        return NULL;
    }
}

void tls_code_words(unsigned long code, char error[TLS_ERROR_SIZE])
{
    int reason = ERR_GET_REASON(code);
    const char *words = NULL;
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET) {
        words = alert_words(reason - SSL_AD_REASON_OFFSET);
        if (words != NULL) {
            (void)snprintf(error, TLS_ERROR_SIZE, "remote error: tls: %s", words);
        }
    } else if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
        words = reason_words(reason);
        if (words != NULL) {
            (void)snprintf(error, TLS_ERROR_SIZE, "tls: %s", words);
        }
    }
    if (words == NULL) {
        const char *text = ERR_reason_error_string(code);
        (void)snprintf(error, TLS_ERROR_SIZE, "tls: %s", text != NULL ? text : "failed");
    }
}

void tls_error_words(char error[TLS_ERROR_SIZE])
{
    tls_code_words(ERR_peek_error(), error);
    ERR_clear_error();
}
