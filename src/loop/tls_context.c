/* Settings become one SSL_CTX for all roles: what differs between them (who is verified, which
 * protocols are offered) is set on each connection (tls.c).
 *
 * Differences to OpenSSL's own choices: no session tickets and no session cache, since connections
 * are long-lived and each would hold state; no renegotiation; buffers go back when a connection is
 * idle. OpenSSL's security level is lowered to what the reference accepts: RSA from 1024 bits, and
 * SHA-1 where TLS 1.0 or 1.1 are asked for. */
#include "loop/tls_context.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "loop/file.h"
#include "loop/tls_handshake.h"

/* Without tls_cipher_suites: what Go 1.16 offers, but for 3DES and what is done with plain RSA and
 * CBC. */
#define CIPHERS_DEFAULT                                                                \
    "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"         \
    "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:AES128-GCM-SHA256:AES256-GCM-SHA384:" \
    "AES128-SHA:AES256-SHA"
#define CA_PATH_DEPTH_MAX 16u

struct loading {
    SSL_CTX *ssl;
    struct arena arena;
    struct err *err;
    uint32_t ca_files;
    bool has_ca;
};

/* --- files ----------------------------------------------------------------------------------- */

/* "open PATH: no such file or directory", as Go says it. */
static int load_file(struct loading *l, struct str path, struct str *ret_bytes, const char *what)
{
    struct err err = {0};
    int rc = file_read(path, TLS_FILE_SIZE_MAX, &l->arena, ret_bytes, &err);
    if (rc < 0 && err.code < ERR_INVALID) {
        char text[128];
        const char *words = strerror_r(err.code, text, sizeof(text));
        struct str lower = arena_lower(&l->arena, str_from_cstr(words));
        return err_set(l->err, err.code, "%s%s %.*s: %.*s", what,
                       err.code == EISDIR ? "read" : "open", STRF(path), STRF(lower));
    }
    return rc < 0 ? err_set(l->err, err.code, "%s%s", what, err_text(&err)) : 0;
}

static BIO *bio_of(struct str bytes)
{
    return BIO_new_mem_buf(bytes.p != NULL ? bytes.p : "", (int)bytes.n); /* TLS_FILE_SIZE_MAX */
}

/* All certificates of a file that can be read; 0: there is none. */
static int load_authorities(struct loading *l, struct str pem)
{
    BIO *bio = bio_of(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(l->ssl);
    int count = 0;
    for (;;) {
        ERR_clear_error();
        X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (cert == NULL &&
            (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE || BIO_eof(bio))) {
            break;
        }
        if (cert != NULL) {
            count +=
                X509_STORE_add_cert(store, cert) == 1 && SSL_CTX_add_client_CA(l->ssl, cert) == 1;
            X509_free(cert);
        }
    }
    ERR_clear_error();
    BIO_free(bio);
    return count;
}

static int load_ca_file(struct loading *l, struct str path)
{
    struct str pem;
    struct err *err = l->err, why = {0};
    l->err = &why;
    int rc = load_file(l, path, &pem, "");
    l->err = err;
    if (rc < 0) {
        return err_set(err, ERR_INVALID, "Error loading from %.*s: %s", STRF(path), err_text(&why));
    }
    if (load_authorities(l, pem) == 0) {
        return err_set(err, ERR_INVALID, "failed to parse PEM %.*s", STRF(path));
    }
    l->ca_files++;
    l->has_ca = true;
    return 0;
}

/* Every file below, in the order of names. */
static int load_ca_path(struct loading *l, struct str path, uint32_t depth)
{
    struct dirent **entries = NULL;
    int count = scandir(path.p, &entries, NULL, alphasort), rc = 0;
    if (count < 0) {
        return err_set(l->err, ERR_INVALID, "lstat %.*s: no such file or directory", STRF(path));
    }
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        bool is_dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        struct str child = arena_printf(&l->arena, "%.*s/%s", STRF(path), name);
        struct stat st;
        if (rc < 0 || is_dots) {
            continue;
        }
        if (depth >= CA_PATH_DEPTH_MAX || l->ca_files >= TLS_CA_FILES_MAX) {
            rc = err_set(l->err, ERR_TOO_LARGE, "Error loading from CAPath: too many files");
        } else if (lstat(child.p, &st) == 0 && S_ISDIR(st.st_mode)) {
            rc = load_ca_path(l, child, depth + 1);
        } else {
            rc = load_ca_file(l, child);
        }
    }
    for (int i = 0; i < count; i++) {
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int load_cas(struct loading *l, const struct tls_settings *s)
{
    if (s->ca_file.n > 0) {
        return load_ca_file(l, s->ca_file);
    }
    if (s->ca_path.n == 0) {
        return 0;
    }
    int rc = load_ca_path(l, arena_str(&l->arena, s->ca_path), 0);
    if (rc >= 0 && l->ca_files == 0) {
        rc = err_set(l->err, ERR_INVALID, "Error loading from CAPath: no CAs found");
    }
    return rc;
}

/* --- certificate and key --------------------------------------------------------------------- */

#define KEY_PAIR "Failed to load cert/key pair: "

/* The first is ours, the others lead up to an authority. */
static int load_chain(struct loading *l, struct str pem)
{
    BIO *bio = bio_of(pem);
    X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    int ok = cert != NULL && SSL_CTX_use_certificate(l->ssl, cert) == 1;
    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        ok = SSL_CTX_add0_chain_cert(l->ssl, cert) == 1;
        if (!ok) {
            X509_free(cert);
        }
    }
    ERR_clear_error();
    BIO_free(bio);
    return ok ? 0
              : err_set(l->err, ERR_INVALID,
                        KEY_PAIR "tls: failed to find any PEM data in certificate input");
}

static int no_passphrase(char *to, int size, int is_write, void *data)
{
    (void)to, (void)size, (void)is_write, (void)data;
    return 0;
}

static int load_key(struct loading *l, struct str pem)
{
    BIO *bio = bio_of(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    int rc = 0;
    if (key == NULL) {
        rc = err_set(l->err, ERR_INVALID, KEY_PAIR "tls: failed to find any PEM data in key input");
    } else if (SSL_CTX_use_PrivateKey(l->ssl, key) != 1 || SSL_CTX_check_private_key(l->ssl) != 1) {
        rc = err_set(l->err, ERR_INVALID, KEY_PAIR "tls: private key does not match public key");
    }
    ERR_clear_error();
    EVP_PKEY_free(key);
    BIO_free(bio);
    return rc;
}

static int load_key_pair(struct loading *l, const struct tls_settings *s)
{
    struct str cert, key;
    int rc = load_file(l, s->cert_file, &cert, KEY_PAIR);
    rc = rc < 0 ? rc : load_file(l, s->key_file, &key, KEY_PAIR);
    rc = rc < 0 ? rc : load_chain(l, cert);
    if (rc >= 0) {
        rc = load_key(l, key);
        OPENSSL_cleanse((void *)(uintptr_t)key.p, key.n);
    }
    return rc;
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
    struct loading l = {.ssl = c->ssl, .err = err};
    int rc = set_versions(&l, s);
    if (rc >= 0 && c->has_cert) {
        rc = load_key_pair(&l, s);
    }
    rc = rc < 0 ? rc : load_cas(&l, s);
    c->has_ca = l.has_ca;
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
        mem_free(c->server_name);
        mem_free(c);
    }
    return NULL;
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
