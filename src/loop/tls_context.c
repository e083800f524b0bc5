/* Settings become one SSL_CTX for all roles: what differs between them (who is verified, which
 * protocols are offered) is set on each connection (tls.c).
 *
 * Differences to OpenSSL's own choices: no session tickets and no session cache, since connections
 * are long-lived and each would hold state; no renegotiation; buffers go back when a connection is
 * idle. OpenSSL's security level is lowered to what the reference accepts: RSA from 1024 bits, and
 * SHA-1 where TLS 1.0 or 1.1 are asked for. */
#include "loop/tls_context.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "loop/tls_files.h"
#include "loop/tls_handshake.h"

/* Without tls_cipher_suites: what Go 1.16 offers, but for 3DES and what is done with plain RSA and
 * CBC. */
#define CIPHERS_DEFAULT                                                                \
    "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"         \
    "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:AES128-GCM-SHA256:AES256-GCM-SHA384:" \
    "AES128-SHA:AES256-SHA"

struct loading {
    struct tls_context *context;
    SSL_CTX *ssl;
    struct arena arena;
    struct err *err;
};

/* --- files ----------------------------------------------------------------------------------- */

static int load_cas(struct loading *l, const struct tls_settings *s)
{
    struct str path = STR_NULL;
    struct err why = {0};
    int rc = s->ca_file.n > 0 ? tls_load_ca_file(l->ssl, s->ca_file, &l->arena, &path, &why)
                              : tls_load_ca_path(l->ssl, s->ca_path, &l->arena, &path, &why);
    if (rc == -ERR_CORRUPT) {
        return err_set(l->err, ERR_INVALID, "failed to parse PEM %.*s", STRF(path));
    }
    if (rc < 0 && path.n > 0) {
        return err_set(l->err, ERR_INVALID, "Error loading from %.*s: %s", STRF(path),
                       err_text(&why));
    }
    if (rc < 0) {
        return err_set(l->err, ERR_INVALID, "%s", err_text(&why));
    }
    if (rc == 0 && s->ca_file.n == 0) {
        return err_set(l->err, ERR_INVALID, "Error loading from CAPath: no CAs found");
    }
    return 0;
}

/* --- versions and ciphers -------------------------------------------------------------------- */

static int min_version(struct str text, struct err *err)
{
    static const struct {
        struct str text;
        int version;
    } table[] = {{STR_INIT(""), TLS1_VERSION},
                 {STR_INIT("tls10"), TLS1_VERSION},
                 {STR_INIT("tls11"), TLS1_1_VERSION},
                 {STR_INIT("tls12"), TLS1_2_VERSION},
                 {STR_INIT("tls13"), TLS1_3_VERSION}};
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (str_eq(text, table[i].text)) {
            return table[i].version;
        }
    }
    return err_set(err, ERR_INVALID,
                   "TLSMinVersion: value %.*s not supported, please specify one of [tls10, tls11, "
                   "tls12, tls13]",
                   STRF(text));
}

static int set_ciphers(struct loading *l, struct str names)
{
    struct buf list = {0};
    struct str rest = str_trim(names), name;
    while (rest.n > 0 && str_split_next(&rest, ',', &name)) {
        const char *known = OPENSSL_cipher_name(arena_str(&l->arena, name).p);
        if (strcmp(known, "(NONE)") == 0) {
            buf_deinit(&list);
            return err_set(l->err, ERR_INVALID, "unsupported cipher \"%.*s\"", STRF(name));
        }
        buf_printf(&list, "%s%s", list.n > 0 ? ":" : "", known);
    }
    const char *text = list.n > 0 ? arena_str(&l->arena, buf_view(&list)).p : CIPHERS_DEFAULT;
    int ok = SSL_CTX_set_cipher_list(l->ssl, text);
    l->context->ciphers = str_to_cstr(str_from_cstr(text));
    buf_deinit(&list);
    ERR_clear_error();
    return ok == 1 ? 0 : err_set(l->err, ERR_INVALID, "tls_cipher_suites: none can be used");
}

static int set_versions(struct loading *l, const struct tls_settings *s)
{
    int version = min_version(s->min_version, l->err);
    if (version < 0) {
        return version;
    }
    SSL_CTX *ssl = l->ssl;
    SSL_CTX_set_security_level(ssl, version < TLS1_2_VERSION ? 0 : 1);
    (void)SSL_CTX_set_min_proto_version(ssl, version);
    (void)SSL_CTX_set_max_proto_version(ssl, 0);
    (void)SSL_CTX_set_options(ssl,
                              SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (s->prefer_server_cipher_suites) {
        (void)SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    } else {
        (void)SSL_CTX_clear_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
    }
    (void)SSL_CTX_set_num_tickets(ssl, 0);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    return set_ciphers(l, s->cipher_suites);
}

/* --- contexts -------------------------------------------------------------------------------- */

static int check(const struct tls_context *c, struct err *err)
{
    if (c->verify_outgoing && !c->has_ca) {
        return err_set(err, ERR_INVALID, "VerifyOutgoing set, and no CA certificate provided!");
    }
    if (!c->verify_incoming_rpc && !c->verify_incoming_https) {
        return 0;
    }
    if (!c->has_ca) {
        return err_set(err, ERR_INVALID, "VerifyIncoming set but no CA certificates were provided");
    }
    if (!c->has_cert) {
        return err_set(err, ERR_INVALID,
                       "VerifyIncoming requires either a Cert and Key pair in the configuration "
                       "file, or auto_encrypt/auto_config be enabled");
    }
    return 0;
}

static int context_load(struct tls_context *c, const struct tls_settings *s, struct err *err)
{
    c->has_cert = s->cert_file.n > 0 && s->key_file.n > 0;
    if (!c->has_cert && s->ca_file.n == 0 && s->ca_path.n == 0) {
        return check(c, err);
    }
    c->ssl = SSL_CTX_new(TLS_method());
    if (c->ssl == NULL) {
        char words[TLS_ERROR_SIZE];
        tls_error_words(words);
        return err_set(err, ERR_INTERNAL, "%s", words);
    }
    struct loading l = {.context = c, .ssl = c->ssl, .err = err};
    int rc = set_versions(&l, s);
    if (rc >= 0 && c->has_cert && tls_load_key_pair(c->ssl, s->cert_file, s->key_file, err) < 0) {
        rc = err_wrap(err, "Failed to load cert/key pair");
    }
    c->has_ca = s->ca_file.n > 0 || s->ca_path.n > 0;
    if (rc >= 0 && c->has_ca) {
        rc = load_cas(&l, s);
    }
    tls_handshake_install(c->ssl, NULL);
    arena_deinit(&l.arena);
    return rc < 0 ? rc : check(c, err);
}

int tls_context_new(const struct tls_settings *s, struct tls_context **ret_context, struct err *err)
{
    struct tls_context *c = xcalloc(1, sizeof(*c));
    struct str domain = s->domain;
    if (str_has_suffix(domain, STR("."))) {
        domain.n--;
    }
    atomic_init(&c->refs, 1);
    c->verify_incoming_rpc = s->verify_incoming_rpc;
    c->verify_incoming_https = s->verify_incoming_https;
    c->verify_outgoing = s->verify_outgoing;
    c->verify_server_hostname = s->verify_server_hostname;
    struct buf name = {0};
    buf_printf(&name, "server.%.*s.%.*s", STRF(s->datacenter), STRF(domain));
    c->domain = str_to_cstr(domain);
    c->server_name = str_to_cstr(buf_view(&name));
    buf_deinit(&name);
    int rc = context_load(c, s, err);
    if (rc < 0) {
        (void)tls_context_unref(c);
        return rc;
    }
    *ret_context = c;
    return 0;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

struct tls_context *tls_context_unref(struct tls_context *c)
{
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
        SSL_CTX_free(c->ssl);
        mem_free(c->domain);
        mem_free(c->server_name);
        mem_free(c->ciphers);
        mem_free(c);
    }
    return NULL;
}

/* --- for clients that somebody else makes ---------------------------------------------------- */

static X509_STORE *system_store; /* kept: its bundle takes milliseconds to read */
static pthread_once_t system_once = PTHREAD_ONCE_INIT;

static void system_store_make(void)
{
    system_store = X509_STORE_new();
    ASSERT(system_store != NULL);
    (void)X509_STORE_set_default_paths(system_store);
    ERR_clear_error();
}

static void lend_identity(const struct tls_context *c, SSL_CTX *to)
{
    STACK_OF(X509) *chain = NULL;
    (void)SSL_CTX_use_certificate(to, SSL_CTX_get0_certificate(c->ssl));
    (void)SSL_CTX_use_PrivateKey(to, SSL_CTX_get0_privatekey(c->ssl));
    (void)SSL_CTX_get0_chain_certs(c->ssl, &chain);
    (void)SSL_CTX_set1_chain(to, chain);
}

void tls_lend(const struct tls_context *c, struct ssl_ctx_st *to, bool is_verified)
{
    bool has_settings = c != NULL && c->ssl != NULL;
    if (has_settings && c->has_cert) {
        lend_identity(c, to);
    }
    if (has_settings && c->has_ca) {
        SSL_CTX_set1_cert_store(to, SSL_CTX_get_cert_store(c->ssl));
    } else if (is_verified) {
        (void)pthread_once(&system_once, system_store_make);
        SSL_CTX_set1_cert_store(to, system_store);
    }
    SSL_CTX_set_security_level(to, has_settings ? SSL_CTX_get_security_level(c->ssl) : 0);
    (void)SSL_CTX_set_min_proto_version(
        to, has_settings ? (int)SSL_CTX_get_min_proto_version(c->ssl) : TLS1_VERSION);
    if (has_settings) {
        (void)SSL_CTX_set_cipher_list(to, c->ciphers);
    }
    ERR_clear_error();
}

bool tls_trust_pem(SSL_CTX *to, struct str pem)
{
    X509_STORE *store = X509_STORE_new();
    BIO *bio = BIO_new_mem_buf(pem.p, (int)MIN(pem.n, (size_t)INT_MAX));
    bool has_any = false;
    X509 *cert;
    while (store != NULL && bio != NULL &&
           (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        has_any |= X509_STORE_add_cert(store, cert) == 1;
        X509_free(cert);
    }
    BIO_free(bio);
    SSL_CTX_set_cert_store(to, store); /* takes it */
    ERR_clear_error();
    return has_any;
}

/* --- the newest ------------------------------------------------------------------------------ */

struct tls_configurator {
    pthread_mutex_t lock;
    struct tls_context *context;
};

struct tls_configurator *tls_configurator_new(struct tls_context *take_context)
{
    struct tls_configurator *t = xcalloc(1, sizeof(*t));
    pthread_mutex_init(&t->lock, NULL);
    t->context = take_context;
    return t;
}

struct tls_configurator *tls_configurator_free(struct tls_configurator *t)
{
    if (t == NULL) {
        return NULL;
    }
    t->context = tls_context_unref(t->context);
    pthread_mutex_destroy(&t->lock);
    return mem_free(t);
}

void tls_configurator_set(struct tls_configurator *t, struct tls_context *take_context)
{
    pthread_mutex_lock(&t->lock);
    struct tls_context *old = t->context;
    t->context = take_context;
    pthread_mutex_unlock(&t->lock);
    (void)tls_context_unref(old);
}

struct tls_context *tls_configurator_get(struct tls_configurator *t)
{
    pthread_mutex_lock(&t->lock);
    struct tls_context *c = tls_context_ref(t->context);
    pthread_mutex_unlock(&t->lock);
    return c;
}
