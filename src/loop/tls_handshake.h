/* tls_handshake.h - what a handshake is decided by: is the peer's certificate good, which protocol
 * is spoken; and what is said when it fails.
 *
 *     struct tls_handshake h = {.name = "db.corp"};   // of one connection; lives as long as its
 *     tls_handshake_install(ssl_ctx, NULL);           // once: h is each connection's app data
 *     tls_handshake_install(ssl_ctx, &h);             // or, with one connection to a context
 *     ... it failed: h.error, or else tls_error_words(), says why
 *
 * The chain is OpenSSL's to check, with whatever the context trusts: any certificate there is an
 * anchor, its own signature or not, as in Go. The name is looked for among the subject's
 * alternative names only, never in its common name. The sentences are those of Go's x509 and tls,
 * which operators and scripts know. */
#pragma once
#include "base/str.h"

#include <openssl/ssl.h>

#define TLS_ERROR_SIZE 512u

struct tls_handshake {
    const char *name; /* a host or an IP address it has to be good for; NULL: the chain alone */
    /* Accepting: what may be chosen of what is offered, each with its length in front; a peer that
     * knows none of them goes on without. NULL: nothing is. */
    const char *protocols;
    char error[TLS_ERROR_SIZE]; /* "x509: ..."; empty: nothing was wrong with the certificate */
};

/* All handshakes of this context are decided by *h, which outlives it; NULL: by what is the
 * connection's app data. */
void tls_handshake_install(SSL_CTX *ctx, struct tls_handshake *h);
/* Whether it is good for the name. False: the sentence that says which ones it is good for. */
bool tls_verify_name(X509 *cert, const char *name, char error[TLS_ERROR_SIZE]);
/* OpenSSL's code for people: "remote error: tls: bad certificate". */
void tls_code_words(unsigned long code, char error[TLS_ERROR_SIZE]);
/* What went wrong last on this thread's error queue, which is emptied. */
void tls_error_words(char error[TLS_ERROR_SIZE]);
