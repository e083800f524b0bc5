/* tls_context.h - what an agent's TLS settings come to: certificate, authorities, versions, who is
 * verified. docs/tls.md has the whole.
 *
 *     rc = tls_context_new(&settings, &context, &err);            // reads the files
 *     tls = tls_configurator_new(TAKE(context));                  // once, shared by all threads
 *     ... for each new connection: context = tls_configurator_get(tls); tls_accept(s, context, …);
 *     ... tls_context_unref(context); on a reload: tls_configurator_set(tls, TAKE(other));
 *
 * A context is immutable and counted, so that connections go on with the one they began with. The
 * configurator holds the newest; getting it is a lock for the time of an increment, once a
 * connection. Without certificate and authorities a context has nothing of OpenSSL's. */
#pragma once
#include "base/err.h"

#include <stdatomic.h>

struct ssl_ctx_st;

struct tls_settings { /* borrowed for the call */
    struct str ca_file, ca_path, cert_file, key_file;
    struct str min_version; /* tls10, tls11, tls12, tls13; empty: tls10 */
    struct str
        cipher_suites; /* IANA's names, separated by commas; empty: a good choice. Up to 1.2 */
    bool prefer_server_cipher_suites;
    bool verify_incoming_rpc, verify_incoming_https;
    bool verify_outgoing, verify_server_hostname;
    struct str datacenter, domain; /* servers are "server.<datacenter>.<domain>" */
};

enum tls_role {
    TLS_IN_HTTPS,
    TLS_IN_RPC,        /* behind byte 3 of port 8300 */
    TLS_IN_RPC_NATIVE, /* without a byte before it: ALPN says what follows; always verified */
    TLS_OUT_RPC,
};

struct tls_context {
    _Atomic uint32_t refs;
    struct ssl_ctx_st *ssl; /* NULL: neither a certificate nor authorities */
    bool has_cert, has_ca;
    bool verify_incoming_rpc, verify_incoming_https;
    bool verify_outgoing, verify_server_hostname;
    char *domain;      /* "consul" */
    char *server_name; /* "server.dc1.consul" */
    char *ciphers;     /* OpenSSL's list, up to 1.2 */
};

/* On failure the sentence is the reference's, up to what OpenSSL or Go say of broken files. */
NODISCARD int tls_context_new(const struct tls_settings *settings, struct tls_context **ret_context,
                              struct err *err);
struct tls_context *tls_context_ref(struct tls_context *c);
struct tls_context *tls_context_unref(struct tls_context *c); /* NULL; takes NULL */
/* Whether connections to other servers are TLS. */
static inline bool tls_context_is_outgoing(const struct tls_context *c)
{
    return c->verify_outgoing;
}
/* Whether both sides could show who they are: only then is TLS without a byte before it spoken. */
static inline bool tls_context_is_mutual(const struct tls_context *c)
{
    return c->has_cert && c->has_ca;
}

/* Certificate, authorities, versions and ciphers for a client that somebody else makes. c NULL:
 * none, those of the system (which are read once, if anything is to be verified), and any that Go
 * takes. */
void tls_lend(const struct tls_context *c, struct ssl_ctx_st *to, bool is_verified);
/* In place of any other authorities those of a PEM text. False: it has none. */
bool tls_trust_pem(struct ssl_ctx_st *to, struct str pem);

struct tls_configurator;

struct tls_configurator *tls_configurator_new(struct tls_context *take_context);
struct tls_configurator *tls_configurator_free(struct tls_configurator *t);
/* Any thread: for connections to come. */
void tls_configurator_set(struct tls_configurator *t, struct tls_context *take_context);
/* Any thread; counted. */
struct tls_context *tls_configurator_get(struct tls_configurator *t);
