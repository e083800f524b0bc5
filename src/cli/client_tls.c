#include "cli/client_tls.h"

#include "base/mem.h"
#include "cli/url.h"
#include "loop/tls_files.h"
#include "loop/tls_handshake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

struct client_tls {
    SSL *ssl;
    int fd;
    struct tls_handshake handshake;
    char name[256];
};

/* --- files ----------------------------------------------------------------------------------- */

static int load_authorities(SSL_CTX *ctx, const struct client_config *c, struct err *err)
{
    struct arena a = {0};
    struct str path;
    int rc = 0;
    if (c->ca_file.n > 0) {
        rc = tls_load_ca_file(ctx, c->ca_file, &a, &path, err);
        rc = rc < 0 ? err_wrap(err, "Error loading CA File") : 0;
    } else if (c->ca_path.n > 0) {
        rc = tls_load_ca_path(ctx, c->ca_path, &a, &path, err);
        rc = rc < 0 && path.n > 0 ? err_wrap(err, "Error loading CA Path") : rc;
    } else {
        (void)SSL_CTX_set_default_verify_paths(ctx);
        ERR_clear_error();
    }
    arena_deinit(&a);
    return rc;
}

int client_tls_context(const struct client_config *c, struct ssl_ctx_st **ret_context,
                       struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    ASSERT(ctx != NULL);
    int rc = c->cert_file.n > 0 ? tls_load_key_pair(ctx, c->cert_file, c->key_file, err) : 0;
    rc = rc < 0 ? rc : load_authorities(ctx, c, err);
    if (rc < 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
    (void)SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_verify(ctx, c->skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (!c->skip_verify) {
        tls_handshake_install(ctx, NULL);
    }
    *ret_context = ctx;
    return 0;
}

/* --- a connection ---------------------------------------------------------------------------- */

struct client_tls *client_tls_free(struct client_tls *t)
{
    if (t != NULL) {
        SSL_free(t->ssl);
        mem_free(t);
    }
    return NULL;
}

/* Negative, as the functions in the header have it. */
static int failed(struct client_tls *t, int r, short *ret_events, struct err *err)
{
    char words[TLS_ERROR_SIZE];
    int os_error = errno;
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        *ret_events = POLLIN;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *ret_events = POLLOUT;
        return -EAGAIN;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        if (os_error == 0) {
            return err_set(err, ERR_CONNECTION, "EOF");
        }
        return err_set(err, ERR_CONNECTION, "%s", err_code_text(os_error));
    default:
        tls_error_words(words);
        return err_set(err, ERR_CONNECTION, "%s",
                       t->handshake.error[0] != '\0' ? t->handshake.error : words);
    }
}

/* The first five bytes were no TLS record. Were they "HTTP/", what follows them tells. */
static bool speaks_http(int fd)
{
    char next[2];
    return recv(fd, next, sizeof(next), MSG_PEEK | MSG_DONTWAIT) == (ssize_t)sizeof(next) &&
           memcmp(next, "1.", sizeof(next)) == 0;
}

static int shake_hands(const struct transport_call *call, struct client_tls *t, struct err *err)
{
    for (;;) {
        short events = 0;
        ERR_clear_error();
        errno = 0;
        int r = SSL_connect(t->ssl);
        if (r == 1) {
            return 0;
        }
        bool is_not_tls = ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER;
        int rc = failed(t, r, &events, err);
        if (is_not_tls && speaks_http(t->fd)) {
            rc = err_set(err, ERR_CONNECTION, "http: server gave HTTP response to HTTPS client");
        }
        if (rc == -EAGAIN) {
            rc = transport_wait(call->interrupt, t->fd, events, CLIENT_CONNECT_TIMEOUT_MS, err);
            rc = rc == 0 ? err_set(err, ERR_TIMEOUT, "net/http: TLS handshake timeout") : rc;
        }
        if (rc < 0) {
            return rc;
        }
    }
}

/* -tls-server-name, else the host of the address. */
static void name_of(const struct client_config *c, char *to, size_t size)
{
    struct str name = c->server_name, port;
    if (name.n > 0) {
        (void)str_cut(name, ':', &name, &port);
    } else if (c->is_unix || !url_host_port_split(c->address, &name, &port)) {
        name = STR("localhost");
    }
    (void)snprintf(to, size, "%.*s", STRF(name));
}

int client_tls_open(const struct transport_call *call, int fd, struct client_tls **ret_tls,
                    struct err *err)
{
    unsigned char address[16];
    struct client_tls *t = xcalloc(1, sizeof(*t));
    t->ssl = SSL_new(call->config->tls);
    ASSERT(t->ssl != NULL);
    t->fd = fd;
    name_of(call->config, t->name, sizeof(t->name));
    t->handshake.name = t->name;
    SSL_set_app_data(t->ssl, &t->handshake);
    (void)SSL_set_fd(t->ssl, fd);
    if (inet_pton(AF_INET, t->name, address) != 1 && inet_pton(AF_INET6, t->name, address) != 1) {
        (void)SSL_set_tlsext_host_name(t->ssl, t->name);
    }
    int rc = shake_hands(call, t, err);
    if (rc < 0) {
        (void)client_tls_free(t);
        return rc;
    }
    *ret_tls = t;
    return 0;
}

ssize_t client_tls_send(struct client_tls *t, struct str bytes, short *ret_events, struct err *err)
{
    size_t n = 0;
    ERR_clear_error();
    errno = 0;
    return SSL_write_ex(t->ssl, bytes.p, bytes.n, &n) == 1 ? (ssize_t)n
                                                           : failed(t, 0, ret_events, err);
}

ssize_t client_tls_recv(struct client_tls *t, char *to, size_t size, short *ret_events,
                        struct err *err)
{
    size_t n = 0;
    ERR_clear_error();
    errno = 0;
    if (SSL_read_ex(t->ssl, to, size, &n) == 1) {
        return (ssize_t)n;
    }
    if (SSL_get_error(t->ssl, 0) == SSL_ERROR_ZERO_RETURN) {
        return 0;
    }
    return failed(t, 0, ret_events, err);
}
