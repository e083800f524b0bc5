#include "loop/tls_files.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "loop/file.h"

#define CA_PATH_DEPTH_MAX 16u

/* "open PATH: no such file or directory", as Go says it. */
static int read_pem(struct str path, struct arena *a, struct str *ret_bytes, struct err *err)
{
    struct err why = {0};
    int rc = file_read(path, TLS_FILE_SIZE_MAX, a, ret_bytes, &why);
    if (rc < 0 && why.code < ERR_INVALID) {
        char text[128];
        struct str words = arena_lower(a, str_from_cstr(strerror_r(why.code, text, sizeof(text))));
        return err_set(err, why.code, "open %.*s: %.*s", STRF(path), STRF(words));
    }
    return rc < 0 ? err_set(err, why.code, "%s", err_text(&why)) : 0;
}

static BIO *bio_of(struct str bytes)
{
    return BIO_new_mem_buf(bytes.p != NULL ? bytes.p : "", (int)bytes.n); /* TLS_FILE_SIZE_MAX */
}

/* --- certificate and key --------------------------------------------------------------------- */

/* The first is ours, the others lead up to an authority. */
static int use_chain(SSL_CTX *ctx, struct str pem, struct err *err)
{
    BIO *bio = bio_of(pem);
    X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    bool ok = cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1;
    X509_free(cert);
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
        if (!ok) {
            X509_free(cert);
        }
    }
    ERR_clear_error();
    BIO_free(bio);
    return ok ? 0
              : err_set(err, ERR_INVALID, "tls: failed to find any PEM data in certificate input");
}

static int no_passphrase(char *to, int size, int is_write, void *data)
{
    (void)to, (void)size, (void)is_write, (void)data;
    return 0;
}

static int use_key(SSL_CTX *ctx, struct str pem, struct err *err)
{
    BIO *bio = bio_of(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    int rc = 0;
    if (key == NULL) {
        rc = err_set(err, ERR_INVALID, "tls: failed to find any PEM data in key input");
    } else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        rc = err_set(err, ERR_INVALID, "tls: private key does not match public key");
    }
    ERR_clear_error();
    EVP_PKEY_free(key);
    BIO_free(bio);
    return rc;
}

int tls_load_key_pair(SSL_CTX *ctx, struct str cert_file, struct str key_file, struct err *err)
{
    struct arena a = {0};
    struct str cert, key = STR_NULL;
    int rc = read_pem(cert_file, &a, &cert, err);
    rc = rc < 0 ? rc : read_pem(key_file, &a, &key, err);
    rc = rc < 0 ? rc : use_chain(ctx, cert, err);
    rc = rc < 0 ? rc : use_key(ctx, key, err);
    OPENSSL_cleanse((void *)(uintptr_t)key.p, key.n);
    arena_deinit(&a);
    return rc;
}

/* --- authorities ----------------------------------------------------------------------------- */

/* All certificates that can be read; 0: there is none. */
static int use_authorities(SSL_CTX *ctx, struct str pem)
{
    BIO *bio = bio_of(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    int count = 0;
    for (bool is_end = false; !is_end;) {
        ERR_clear_error();
        X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        is_end = cert == NULL && (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ||
                                  BIO_pending(bio) == 0);
        if (cert != NULL) {
            count += X509_STORE_add_cert(store, cert) == 1 && SSL_CTX_add_client_CA(ctx, cert) == 1;
            X509_free(cert);
        }
    }
    ERR_clear_error();
    BIO_free(bio);
    return count;
}

int tls_load_ca_file(SSL_CTX *ctx, struct str path, struct arena *a, struct str *ret_path,
                     struct err *err)
{
    struct str pem;
    *ret_path = arena_str(a, path);
    int rc = read_pem(path, a, &pem, err);
    if (rc >= 0 && use_authorities(ctx, pem) == 0) {
        rc = err_set(err, ERR_CORRUPT, "Couldn't parse PEM in: %.*s", STRF(path));
    }
    return rc;
}

struct ca_walk {
    SSL_CTX *ctx;
    struct arena *arena;
    struct str *ret_path;
    struct err *err;
    uint32_t files;
};

static int walk(struct ca_walk *w, struct str path, uint32_t depth)
{
    struct dirent **entries = NULL;
    int count = scandir(path.p, &entries, NULL, alphasort), rc = 0;
    if (count < 0 && errno == ENOTDIR) {
        w->files++;
        return tls_load_ca_file(w->ctx, path, w->arena, w->ret_path, w->err);
    }
    if (count < 0) {
        return err_set(w->err, errno, "lstat %.*s: %s", STRF(path), err_code_text(errno));
    }
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        bool is_dots = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
        struct str child = arena_printf(w->arena, "%.*s/%s", STRF(path), name);
        struct stat st;
        if (rc < 0 || is_dots) {
            continue;
        }
        if (depth >= CA_PATH_DEPTH_MAX || w->files >= TLS_CA_FILES_MAX) {
            *w->ret_path = child;
            rc = err_set(w->err, ERR_TOO_LARGE, "too many files");
        } else if (lstat(child.p, &st) == 0 && S_ISDIR(st.st_mode)) {
            rc = walk(w, child, depth + 1);
        } else {
            rc = tls_load_ca_file(w->ctx, child, w->arena, w->ret_path, w->err);
            w->files++;
        }
    }
    for (int i = 0; i < count; i++) {
        free(entries[i]);
    }
    free(entries);
    return rc;
}

int tls_load_ca_path(SSL_CTX *ctx, struct str path, struct arena *a, struct str *ret_path,
                     struct err *err)
{
    struct ca_walk w = {.ctx = ctx, .arena = a, .ret_path = ret_path, .err = err};
    *ret_path = STR_NULL;
    int rc = walk(&w, arena_str(a, path), 0);
    return rc < 0 ? rc : (int)w.files;
}
