/* libcurl's multi interface on a loop: curl says which sockets to watch and when to be called,
 * uv_poll and one loop timer do that, and each finished transfer calls done().
 *
 * curl is entered from socket and timer callbacks only, and its own callbacks run inside of it,
 * where handles must not be removed: finished transfers are collected after each entry. done() may
 * end any transfer and start new ones. */
#include "loop/http_client.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "loop/loop_impl.h"
#include "loop/tls_context.h"
#include "loop/tls_handshake.h"

#define CURL_LIBRARY "libcurl.so.4"
#define CURL_FUNCTIONS(X)                                                                          \
    X(curl_global_init)                                                                            \
    X(curl_easy_init)                                                                              \
    X(curl_easy_cleanup) X(curl_easy_setopt) X(curl_easy_getinfo) X(curl_easy_send)                \
        X(curl_easy_recv) X(curl_easy_strerror) X(curl_slist_append) X(curl_slist_free_all)        \
            X(curl_multi_init) X(curl_multi_cleanup) X(curl_multi_setopt) X(curl_multi_add_handle) \
                X(curl_multi_remove_handle) X(curl_multi_socket_action) X(curl_multi_info_read)    \
                    X(curl_multi_assign)

/* curl.h's type-checking macros would hide the members below. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

struct curl_api {
#define X(name) __typeof__(name) *name;
    CURL_FUNCTIONS(X)
#undef X
};

/* Loaded once for the process and kept. */
static struct curl_api curl;
static uv_once_t curl_once = UV_ONCE_INIT;
static char curl_error[256];

static void curl_load(void)
{
    void *library = dlopen(CURL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        (void)snprintf(curl_error, sizeof(curl_error), "%s",
                       why != NULL ? why : CURL_LIBRARY " cannot be loaded");
        return;
    }
#define X(name)                                                                     \
    *(void **)&curl.name = dlsym(library, #name);                                   \
    if (curl.name == NULL) {                                                        \
        (void)snprintf(curl_error, sizeof(curl_error), CURL_LIBRARY ": no " #name); \
        return;                                                                     \
    }
    CURL_FUNCTIONS(X)
#undef X
    if (curl.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        (void)snprintf(curl_error, sizeof(curl_error), CURL_LIBRARY ": cannot initialize");
    }
}

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer timer;
    struct list transfers;
    bool is_inside; /* of curl */
};

/* A socket that curl has asked to be watched, or that a CONNECT transfer reads from. */
struct watched {
    struct loop_handle handle; /* first: the poll's data */
    struct http_client *client;
    struct http_transfer *transfer; /* of a CONNECT's own watch; else NULL */
    uv_poll_t poll;
    curl_socket_t fd;
};

struct http_transfer {
    struct list node;
    struct http_client *client;
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct arena arena;
    struct http_client_options options;
    struct http_client_result result;
    char *body; /* the last bytes: grows up to body_size_max, then a ring */
    size_t body_cap;
    struct watched *reader;
    struct str host;         /* "host:port" for error texts */
    struct tls_context *tls; /* NULL: the system's */
    struct str server_name, ca_pem;
    bool skip_verify, is_answered_plain;
    struct tls_handshake handshake;
    char detail[CURL_ERROR_SIZE];
    bool in_multi, is_done, is_busy, is_ended;
};

/* --- watching sockets ------------------------------------------------------------------------ */

static void collect_finished(struct http_client *c);

static void watched_closed(uv_handle_t *handle)
{
    struct watched *w = (struct watched *)handle->data;
    mem_free(w);
}

static void watched_close(struct watched *w)
{
    if (!uv_is_closing((uv_handle_t *)&w->poll)) {
        uv_close((uv_handle_t *)&w->poll, watched_closed);
    }
}

static void watched_shutdown(struct loop_handle *h)
{
    struct watched *w = container_of(h, struct watched, handle);
    if (w->transfer != NULL) {
        w->transfer->reader = NULL;
    } else if (w->client != NULL && w->client->multi != NULL) {
        (void)curl.curl_multi_assign(w->client->multi, w->fd, NULL);
    }
    watched_close(w);
}

static struct watched *watched_new(struct http_client *c, curl_socket_t fd)
{
    struct watched *w = xcalloc(1, sizeof(*w));
    w->handle.shutdown = watched_shutdown;
    w->client = c;
    w->fd = fd;
    w->poll.data = w;
    if (uv_poll_init_socket(loop_uv(c->loop), &w->poll, fd) < 0) {
        return mem_free(w);
    }
    return w;
}

static void client_act(struct http_client *c, curl_socket_t fd, int events)
{
    int running = 0;
    c->is_inside = true;
    (void)curl.curl_multi_socket_action(c->multi, fd, events, &running);
    c->is_inside = false;
    collect_finished(c);
}

static void poll_cb(uv_poll_t *poll, int status, int events)
{
    struct watched *w = poll->data;
    struct http_client *c = w->client;
    loop_turn_begin(c->loop);
    int flags = 0;
    if (status < 0) {
        flags = CURL_CSELECT_ERR;
    } else {
        flags |= (events & (UV_READABLE | UV_DISCONNECT)) != 0 ? CURL_CSELECT_IN : 0;
        flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    }
    client_act(c, w->fd, flags);
}

static int socket_cb(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
    (void)easy;
    struct http_client *c = data;
    struct watched *w = socket_data;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            watched_close(w);
        }
        (void)curl.curl_multi_assign(c->multi, fd, NULL);
        return 0;
    }
    if (w == NULL) {
        w = watched_new(c, fd);
        if (w == NULL) {
            return -1;
        }
        (void)curl.curl_multi_assign(c->multi, fd, w);
    }
    int events = 0;
    events |= what != CURL_POLL_OUT ? UV_READABLE : 0;
    events |= what != CURL_POLL_IN ? UV_WRITABLE : 0;
    return uv_poll_start(&w->poll, events, poll_cb) < 0 ? -1 : 0;
}

static void timer_fired(struct loop_timer *t)
{
    struct http_client *c = container_of(t, struct http_client, timer);
    client_act(c, CURL_SOCKET_TIMEOUT, 0);
}

static int timer_cb(CURLM *multi, long timeout_ms, void *data)
{
    (void)multi;
    struct http_client *c = data;
    if (timeout_ms < 0) {
        loop_timer_stop(c->loop, &c->timer);
    } else {
        loop_timer_start(c->loop, &c->timer, (uint64_t)timeout_ms, timer_fired);
    }
    return 0;
}

/* --- answers --------------------------------------------------------------------------------- */

static size_t body_cb(char *bytes, size_t size, size_t count, void *data)
{
    struct http_transfer *t = data;
    size_t n = size * count, max = t->options.body_size_max;
    uint64_t at = t->result.body_total;
    t->result.body_total += n;
    if (max == 0) {
        return size * count;
    }
    if (t->body_cap < max && t->result.body_total > t->body_cap) {
        t->body_cap = MIN(max, MAX((size_t)t->result.body_total, 2 * t->body_cap + 1024));
        t->body = xrealloc(t->body, t->body_cap);
    }
    if (n > max) {
        at += n - max;
        bytes += n - max;
        n = max;
    }
    size_t start = (size_t)(at % max), first = MIN(n, max - start);
    memcpy(t->body + start, bytes, first);
    memcpy(t->body, bytes + first, n - first);
    return size * count;
}

static size_t header_cb(char *bytes, size_t size, size_t count, void *data)
{
    struct http_transfer *t = data;
    struct str line = str_make(bytes, size * count);
    while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r')) {
        line.n--;
    }
    struct str name, value;
    if (str_has_prefix(line, STR("HTTP/"))) {
        /* The last one counts: redirects and 1xx come before it. */
        (void)str_cut(line, ' ', &name, &value);
        t->result.status_text = arena_str(&t->arena, value);
        t->result.grpc_status = t->result.grpc_message = STR_NULL;
    } else if (str_cut(line, ':', &name, &value)) {
        if (str_eq_fold(name, STR("grpc-status"))) {
            t->result.grpc_status = arena_str(&t->arena, str_trim(value));
        } else if (str_eq_fold(name, STR("grpc-message"))) {
            t->result.grpc_message = arena_str(&t->arena, str_trim(value));
        } else if (t->options.wanted_header != NULL &&
                   str_eq_fold(name, str_from_cstr(t->options.wanted_header))) {
            t->result.wanted_header = arena_str(&t->arena, str_trim(value));
        }
    }
    return size * count;
}

static struct str lower_strerror(struct arena *a, int errnum)
{
    struct str s = arena_str(a, str_from_cstr(err_code_text(errnum)));
    return arena_lower(a, s);
}

/* What TLS has to say, else curl. It shows OpenSSL's codes: "error:0A000412:SSL routines::...". */
static struct str tls_error_text(struct http_transfer *t, CURLcode code)
{
    char words[TLS_ERROR_SIZE];
    t->result.error = HTTP_CLIENT_TLS_FAILED;
    if (t->handshake.error[0] != '\0') {
        return arena_str(&t->arena, str_from_cstr(t->handshake.error));
    }
    const char *at = strstr(t->detail, "error:");
    unsigned long number = at != NULL ? strtoul(at + strlen("error:"), NULL, 16) : 0;
    if (number == 0) {
        t->result.error = HTTP_CLIENT_FAILED;
        return arena_str(&t->arena, str_from_cstr(curl.curl_easy_strerror(code)));
    }
    if (ERR_GET_REASON(number) == SSL_R_WRONG_VERSION_NUMBER &&
        t->options.kind == HTTP_CLIENT_REQUEST && t->is_answered_plain) {
        return STR("http: server gave HTTP response to HTTPS client");
    }
    tls_code_words(number, words);
    return arena_str(&t->arena, str_from_cstr(words));
}

/* curl's code as Go would have put it. */
static void set_error(struct http_transfer *t, CURLcode code)
{
    struct http_client_result *r = &t->result;
    struct arena *a = &t->arena;
    long os_errno = 0;
    char *ip = NULL;
    (void)curl.curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os_errno);
    (void)curl.curl_easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
    bool is_connect = t->options.kind == HTTP_CLIENT_CONNECT;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        r->error = HTTP_CLIENT_CONNECT_FAILED;
        if (t->options.unix_socket.n > 0) {
            r->error_text =
                arena_printf(a, "dial unix %.*s: connect: %.*s", STRF(t->options.unix_socket),
                             STRF(lower_strerror(a, os_errno != 0 ? (int)os_errno : 2)));
        } else {
            r->error_text =
                arena_printf(a, "dial tcp %.*s: connect: %.*s", STRF(t->host),
                             STRF(lower_strerror(a, os_errno != 0 ? (int)os_errno : 111)));
        }
        return;
    case CURLE_COULDNT_RESOLVE_HOST: {
        struct str host = t->host;
        ptrdiff_t colon = str_rfind_byte(host, ':');
        r->error = HTTP_CLIENT_CONNECT_FAILED;
        r->error_text = arena_printf(a, "dial tcp: lookup %.*s: no such host",
                                     (int)(colon >= 0 ? (size_t)colon : host.n), host.p);
        return;
    }
    case CURLE_OPERATION_TIMEDOUT:
        r->error = HTTP_CLIENT_TIMEOUT;
        r->error_text = is_connect ? arena_printf(a, "dial tcp %.*s: i/o timeout", STRF(t->host))
                                   : STR("context deadline exceeded (Client.Timeout exceeded while "
                                         "awaiting headers)");
        return;
    case CURLE_TOO_MANY_REDIRECTS:
        r->error_text = STR("stopped after 10 redirects");
        break;
    case CURLE_GOT_NOTHING:
        r->error_text = STR("EOF");
        break;
    case CURLE_UNSUPPORTED_PROTOCOL: {
        struct str scheme, rest;
        (void)str_cut(t->options.url, ':', &scheme, &rest);
        r->error_text = arena_printf(a, "unsupported protocol scheme \"%.*s\"",
                                     rest.n > 0 ? (int)scheme.n : 0, scheme.p);
        break;
    }
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        if (os_errno != 0) {
            r->error_text = arena_printf(a, "%s tcp %.*s: %s: %.*s",
                                         code == CURLE_RECV_ERROR ? "read" : "write", STRF(t->host),
                                         code == CURLE_RECV_ERROR ? "read" : "write",
                                         STRF(lower_strerror(a, (int)os_errno)));
            break;
        }
        r->error_text = tls_error_text(t, code);
        break;
    default:
        r->error_text = tls_error_text(t, code);
        break;
    }
    if (r->error == HTTP_CLIENT_OK) {
        r->error = HTTP_CLIENT_FAILED;
    }
}

static void finish_body(struct http_transfer *t)
{
    size_t max = t->options.body_size_max;
    if (t->result.body_total <= max || max == 0) {
        t->result.body = str_make(t->body, t->body != NULL ? (size_t)t->result.body_total : 0);
        return;
    }
    size_t start = (size_t)(t->result.body_total % max);
    char *p = arena_alloc(&t->arena, max);
    memcpy(p, t->body + start, max - start);
    memcpy(p + max - start, t->body, start);
    t->result.body = str_make(p, max);
}

static void transfer_free(struct http_transfer *t)
{
    list_remove(&t->node);
    if (t->reader != NULL) {
        watched_close(TAKE(t->reader));
    }
    if (t->in_multi) {
        (void)curl.curl_multi_remove_handle(t->client->multi, t->easy);
    }
    curl.curl_easy_cleanup(t->easy);
    curl.curl_slist_free_all(t->headers);
    curl.curl_slist_free_all(t->connect_to);
    mem_free(t->body);
    (void)tls_context_unref(t->tls);
    arena_deinit(&t->arena);
    mem_free(t);
}

static bool speaks_h2(struct http_transfer *t)
{
    long version = 0;
    (void)curl.curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
    return version == CURL_HTTP_VERSION_2_0;
}

static void transfer_finished(struct http_transfer *t, CURLcode code)
{
    long status = 0;
    (void)curl.curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->result.status = (int)status;
    finish_body(t);
    if (code != CURLE_OK) {
        set_error(t, code);
    } else if (t->options.kind == HTTP_CLIENT_REQUEST_H2 && !speaks_h2(t)) {
        t->result.error = HTTP_CLIENT_FAILED;
        t->result.error_text = STR("connection closed");
    }
    if (code != CURLE_OK || t->options.kind != HTTP_CLIENT_CONNECT) {
        (void)curl.curl_multi_remove_handle(t->client->multi, t->easy);
        t->in_multi = false;
    }
    t->is_done = t->is_busy = true;
    t->options.done(t->options.data, t);
    t->is_busy = false;
    if (t->is_ended) {
        transfer_free(t);
    }
}

static void collect_finished(struct http_client *c)
{
    CURLMsg *msg;
    int left;
    while ((msg = curl.curl_multi_info_read(c->multi, &left)) != NULL) {
        if (msg->msg != CURLMSG_DONE) {
            continue;
        }
        char *private = NULL;
        CURLcode code = msg->data.result;
        (void)curl.curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
        transfer_finished((struct http_transfer *)(void *)private, code);
    }
}

/* --- starting -------------------------------------------------------------------------------- */

struct http_client *http_client_new(struct loop *l)
{
    struct http_client *c = xcalloc(1, sizeof(*c));
    c->loop = l;
    list_init(&c->transfers);
    return c;
}

struct http_client *http_client_free(struct http_client *c)
{
    if (c == NULL) {
        return NULL;
    }
    list_for_each (node, &c->transfers) {
        transfer_free(list_entry(node, struct http_transfer, node));
    }
    if (c->multi != NULL) {
        (void)curl.curl_multi_cleanup(TAKE(c->multi));
    }
    loop_timer_stop(c->loop, &c->timer);
    return mem_free(c);
}

static int client_open(struct http_client *c, struct err *err)
{
    if (c->multi != NULL) {
        return 0;
    }
    uv_once(&curl_once, curl_load);
    if (curl_error[0] != '\0') {
        return err_set(err, ERR_UNSUPPORTED, "%s", curl_error);
    }
    c->multi = curl.curl_multi_init();
    if (c->multi == NULL) {
        return err_set(err, ERR_INTERNAL, "curl_multi_init failed");
    }
    (void)curl.curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, socket_cb);
    (void)curl.curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    (void)curl.curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, timer_cb);
    (void)curl.curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    (void)curl.curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                                 (long)HTTP_CLIENT_TRANSFERS_MAX);
    return 0;
}

static const char *cstr(struct http_transfer *t, struct str s)
{
    return arena_str(&t->arena, s).p;
}

/* "host:port" of a URL. */
static struct str url_host(struct arena *a, struct str url)
{
    ptrdiff_t at = str_find(url, STR("://"));
    bool is_tls = str_has_prefix(url, STR("https:"));
    struct str rest = at >= 0 ? str_from(url, (size_t)at + 3) : url;
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#') {
        n++;
    }
    rest = str_first(rest, n);
    ptrdiff_t user = str_rfind_byte(rest, '@');
    rest = user >= 0 ? str_from(rest, (size_t)user + 1) : rest;
    ptrdiff_t colon = str_rfind_byte(rest, ':'), bracket = str_rfind_byte(rest, ']');
    return colon > bracket ? arena_str(a, rest)
                           : arena_printf(a, "%.*s:%d", STRF(rest), is_tls ? 443 : 80);
}

static void add_header(struct http_transfer *t, struct str name, struct str value)
{
    /* curl wants "Name;" for an empty value; "Name:" would remove the header. */
    struct str line = value.n > 0 ? arena_printf(&t->arena, "%.*s: %.*s", STRF(name), STRF(value))
                                  : arena_printf(&t->arena, "%.*s;", STRF(name));
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == '\r' || line.p[i] == '\n' || line.p[i] == '\0') {
            return;
        }
    }
    t->headers = curl.curl_slist_append(t->headers, line.p);
}

static bool has_header(struct strlistmap headers, struct str name)
{
    for (size_t i = 0; i < headers.n; i++) {
        if (str_eq_fold(headers.v[i].key, name)) {
            return true;
        }
    }
    return false;
}

static void set_headers(struct http_transfer *t)
{
    const struct strlistmap *headers = &t->options.headers;
    for (size_t i = 0; i < headers->n; i++) {
        for (size_t k = 0; k < headers->v[i].values.n; k++) {
            add_header(t, headers->v[i].key, headers->v[i].values.v[k]);
        }
    }
    /* What curl would add on its own and Go does not. */
    t->headers = curl.curl_slist_append(t->headers, "Expect:");
    if (!has_header(*headers, STR("Content-Type"))) {
        t->headers = curl.curl_slist_append(t->headers, "Content-Type:");
    }
    if (t->options.kind == HTTP_CLIENT_REQUEST && !has_header(*headers, STR("Connection"))) {
        t->headers = curl.curl_slist_append(t->headers, "Connection: close");
    }
}

#define SET(option, value) (void)curl.curl_easy_setopt(easy, option, value)

static void set_method(struct http_transfer *t)
{
    CURL *easy = t->easy;
    struct str method = t->options.method, body = t->options.body;
    if (body.n > 0 || str_eq_lit(method, "POST")) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        SET(CURLOPT_COPYPOSTFIELDS, body.n > 0 ? body.p : "");
    }
    if (str_eq_lit(method, "HEAD")) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (method.n > 0 && !str_eq_lit(method, "GET") && !str_eq_lit(method, "POST")) {
        SET(CURLOPT_CUSTOMREQUEST, cstr(t, method));
    } else if (body.n > 0 && !str_eq_lit(method, "POST")) {
        SET(CURLOPT_CUSTOMREQUEST, "GET");
    }
}

/* The name the certificate has to be good for: without one that was asked for it is the host, which
 * a redirect may have changed. */
static const char *verified_name(struct http_transfer *t)
{
    struct str name = t->server_name;
    char *url = NULL;
    if (name.n == 0 && curl.curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK &&
        url != NULL) {
        name = url_host(&t->arena, str_from_cstr(url));
        name = str_first(name, (size_t)str_rfind_byte(name, ':'));
        if (str_has_prefix(name, STR("[")) && str_has_suffix(name, STR("]"))) {
            name = str_make(name.p + 1, name.n - 2);
        }
    }
    return cstr(t, name);
}

/* The header of each record, before it is looked at. */
static void record_seen(int is_sent, int version, int type, const void *bytes, size_t size,
                        SSL *ssl, void *data)
{
    (void)version, (void)ssl;
    struct http_transfer *t = data;
    if (!is_sent && type == SSL3_RT_HEADER && size >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        t->is_answered_plain = true;
    }
}

/* curl's context, before it is used: ours in it, and how the peer is judged. A bare connection
 * offers h2 behind curl's back, which would speak it itself. */
static CURLcode ssl_ready(CURL *easy, void *context, void *data)
{
    (void)easy;
    struct http_transfer *t = data;
    SSL_CTX *ctx = context;
    tls_lend(t->tls, ctx, !t->skip_verify && t->ca_pem.n == 0);
    if (t->ca_pem.n > 0 && !tls_trust_pem(ctx, t->ca_pem)) {
        return CURLE_SSL_CACERT_BADFILE;
    }
    SSL_CTX_set_msg_callback(ctx, record_seen);
    SSL_CTX_set_msg_callback_arg(ctx, t);
    if (!t->skip_verify) {
        t->handshake.name = verified_name(t);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        tls_handshake_install(ctx, &t->handshake);
    }
    if (t->options.kind == HTTP_CLIENT_CONNECT &&
        SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\002h2", 3) != 0) {
        return CURLE_SSL_CONNECT_ERROR;
    }
    return CURLE_OK;
}

static void set_tls(struct http_transfer *t)
{
    CURL *easy = t->easy;
    const struct http_client_tls *tls = &t->options.tls;
    /* What curl would load and verify, ssl_ready() does. */
    SET(CURLOPT_SSL_VERIFYPEER, 0L);
    SET(CURLOPT_SSL_VERIFYHOST, 0L);
    SET(CURLOPT_CAINFO, NULL);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_SSL_CTX_FUNCTION, ssl_ready);
    SET(CURLOPT_SSL_CTX_DATA, t);
    SET(CURLOPT_ERRORBUFFER, t->detail);
    t->tls = tls->agent != NULL ? tls_configurator_get(tls->agent) : NULL;
    t->ca_pem = arena_str(&t->arena, tls->ca_pem);
    t->server_name = arena_str(&t->arena, tls->server_name);
    t->skip_verify = tls->skip_verify;
    if (tls->server_name.n > 0) {
        /* The name to verify is the URL's: put the wanted name there and say where it lives. */
        struct str host = t->host;
        ptrdiff_t colon = str_rfind_byte(host, ':');
        struct str name = str_first(host, (size_t)colon), port = str_from(host, (size_t)colon + 1);
        struct str to = arena_printf(&t->arena, "%.*s:%.*s:%.*s:%.*s", STRF(tls->server_name),
                                     STRF(port), STRF(name), STRF(port));
        struct str url = t->options.url;
        ptrdiff_t at = str_find(url, host);
        size_t skip = host.n;
        if (at < 0) {
            at = str_find(url, name);
            skip = name.n;
        }
        url = arena_printf(&t->arena, "%.*s%.*s:%.*s%.*s", (int)at, url.p, STRF(tls->server_name),
                           STRF(port), STRF(str_from(url, (size_t)at + skip)));
        t->connect_to = curl.curl_slist_append(NULL, to.p);
        SET(CURLOPT_CONNECT_TO, t->connect_to);
        SET(CURLOPT_URL, url.p);
        if (!has_header(t->options.headers, STR("Host"))) {
            add_header(t, STR("Host"), host);
        }
    }
}

int http_client_start(struct http_client *c, const struct http_client_options *options,
                      struct http_transfer **ret_transfer, struct err *err)
{
    int rc = client_open(c, err);
    if (rc < 0) {
        return rc;
    }
    CURL *easy = curl.curl_easy_init();
    if (easy == NULL) {
        return err_set(err, ERR_INTERNAL, "curl_easy_init failed");
    }
    struct http_transfer *t = xcalloc(1, sizeof(*t));
    t->client = c;
    t->easy = easy;
    t->options = *options;
    t->options.body_size_max = MIN(options->body_size_max, (size_t)HTTP_CLIENT_BODY_SIZE_MAX);
    t->options.url = arena_str(&t->arena, options->url);
    t->options.unix_socket = arena_str(&t->arena, options->unix_socket);
    t->host = url_host(&t->arena, options->url);
    list_push_back(&c->transfers, &t->node);

    SET(CURLOPT_PRIVATE, t);
    SET(CURLOPT_URL, t->options.url.p);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)options->timeout_ms);
    /* A CONNECT stays open for its user, until the handle goes. */
    SET(CURLOPT_FORBID_REUSE, options->kind != HTTP_CLIENT_CONNECT ? 1L : 0L);
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_WRITEFUNCTION, body_cb);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HEADERFUNCTION, header_cb);
    SET(CURLOPT_HEADERDATA, t);
    if (options->unix_socket.n > 0) {
        SET(CURLOPT_UNIX_SOCKET_PATH, t->options.unix_socket.p);
    }
    long version = CURL_HTTP_VERSION_1_1;
    switch (options->kind) {
    case HTTP_CLIENT_REQUEST:
        SET(CURLOPT_FOLLOWLOCATION, 1L);
        SET(CURLOPT_MAXREDIRS, (long)HTTP_CLIENT_REDIRECTS_MAX);
        SET(CURLOPT_ACCEPT_ENCODING, "gzip");
        break;
    case HTTP_CLIENT_REQUEST_H2C:
        version = CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
        break;
    case HTTP_CLIENT_REQUEST_H2:
        version = CURL_HTTP_VERSION_2TLS;
        break;
    case HTTP_CLIENT_CONNECT:
        SET(CURLOPT_CONNECT_ONLY, 1L);
        SET(CURLOPT_SSL_ENABLE_ALPN, 0L);
        SET(CURLOPT_PROXY, "");
        break;
    }
    SET(CURLOPT_HTTP_VERSION, version);
    set_headers(t);
    set_method(t);
    set_tls(t);
    SET(CURLOPT_HTTPHEADER, t->headers);
    /* Borrowed by the caller for this call only. */
    t->options.body = t->options.method = STR_NULL;
    t->options.headers = (struct strlistmap){0};
    t->options.tls = (struct http_client_tls){0};

    if (curl.curl_multi_add_handle(c->multi, easy) != CURLM_OK) {
        transfer_free(t);
        return err_set(err, ERR_INTERNAL, "curl_multi_add_handle failed");
    }
    t->in_multi = true;
    *ret_transfer = t;
    return 0;
}

const struct http_client_result *http_client_result(const struct http_transfer *t)
{
    return &t->result;
}

void http_client_end(struct http_transfer *t)
{
    if (t == NULL) {
        return;
    }
    if (t->is_busy || t->client->is_inside) {
        t->is_ended = true; /* freed by whoever is at work with it */
        return;
    }
    transfer_free(t);
}

/* --- a bare connection ----------------------------------------------------------------------- */

static void reader_cb(uv_poll_t *poll, int status, int events)
{
    struct watched *w = poll->data;
    struct http_transfer *t = w->transfer;
    (void)events;
    loop_turn_begin(w->client->loop);
    char bytes[4096];
    t->is_busy = true;
    while (!t->is_ended && t->reader != NULL) {
        size_t n = 0;
        CURLcode code =
            status < 0 ? CURLE_RECV_ERROR : curl.curl_easy_recv(t->easy, bytes, sizeof(bytes), &n);
        if (code == CURLE_AGAIN) {
            break;
        }
        if (code != CURLE_OK || n == 0) {
            watched_close(TAKE(t->reader));
            n = 0;
        }
        t->options.read(t->options.data, t, str_make(bytes, n));
    }
    t->is_busy = false;
    if (t->is_ended) {
        transfer_free(t);
    }
}

int http_client_read_start(struct http_transfer *t)
{
    ASSERT(t->is_done && t->options.kind == HTTP_CLIENT_CONNECT && t->options.read != NULL);
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (curl.curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK ||
        fd == CURL_SOCKET_BAD) {
        return -ERR_CLOSED;
    }
    struct watched *w = watched_new(t->client, fd);
    if (w == NULL) {
        return -ERR_INTERNAL;
    }
    w->transfer = t;
    t->reader = w;
    ASSERT(uv_poll_start(&w->poll, UV_READABLE, reader_cb) == 0);
    return 0;
}

int http_client_write(struct http_transfer *t, struct str bytes)
{
    size_t n = 0;
    if (curl.curl_easy_send(t->easy, bytes.p, bytes.n, &n) != CURLE_OK || n != bytes.n) {
        return -ERR_CLOSED;
    }
    return 0;
}
