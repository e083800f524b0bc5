/* HTTP and HTTPS through a proxy: libcurl does it, loaded (with its dozen libraries) at the first
 * such request only. */
#include "cli/transport.h"

#include "base/vec.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>

#define CURL_LIBRARY "libcurl.so.4"
#define CURL_FUNCTIONS(X)                                                                \
    X(curl_global_init)                                                                  \
    X(curl_easy_init)                                                                    \
    X(curl_easy_cleanup)                                                                 \
    X(curl_easy_setopt)                                                                  \
    X(curl_easy_getinfo) X(curl_easy_perform) X(curl_easy_strerror) X(curl_slist_append) \
        X(curl_slist_free_all)

/* curl.h's type-checking macros would hide the members below. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

struct curl_api {
#define X(name) __typeof__(name) *name;
    CURL_FUNCTIONS(X)
#undef X
};

static struct curl_api curl;
static bool curl_is_loaded;

static int curl_load(struct err *err)
{
    if (curl_is_loaded) {
        return 0;
    }
    void *library = dlopen(CURL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        return err_set(err, ERR_UNSUPPORTED, "%s", why != NULL ? why : CURL_LIBRARY);
    }
#define X(name)                                                              \
    *(void **)&curl.name = dlsym(library, #name);                            \
    if (curl.name == NULL) {                                                 \
        return err_set(err, ERR_UNSUPPORTED, CURL_LIBRARY " has no " #name); \
    }
    CURL_FUNCTIONS(X)
#undef X
    if (curl.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return err_set(err, ERR_UNSUPPORTED, CURL_LIBRARY " cannot be initialized");
    }
    curl_is_loaded = true;
    return 0;
}

/* What curl's callbacks collect. */
struct curl_answer {
    const struct transport_call *call;
    CURL *easy;
    VEC(struct client_header) headers; /* in the call's arena */
    struct buf body;
    long status;
    bool is_canceled;
};

static size_t header_cb(char *bytes, size_t size, size_t count, void *data)
{
    struct curl_answer *a = data;
    struct str line = arena_str(a->call->arena, str_trim(str_make(bytes, size * count)));
    struct client_header h;
    if (str_has_prefix(line, STR("HTTP/"))) {
        a->headers.n = 0; /* another answer, after a 1xx */
    } else if (str_cut(line, ':', &h.name, &h.value)) {
        h.value = str_trim(h.value);
        avec_push(a->call->arena, &a->headers, h);
    }
    return size * count;
}

static size_t body_cb(char *bytes, size_t size, size_t count, void *data)
{
    struct curl_answer *a = data;
    struct str text = str_make(bytes, size * count);
    if (a->status == 0) {
        (void)curl.curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &a->status);
    }
    if (a->call->on_body != NULL && a->status == 200) {
        a->is_canceled = a->call->on_body(a->call->data, text) < 0;
    } else {
        buf_str(&a->body, text);
    }
    return a->is_canceled || a->body.failed ? 0 : text.n;
}

static int progress_cb(void *data, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    (void)down_total, (void)down, (void)up_total, (void)up;
    struct curl_answer *a = data;
    a->is_canceled =
        a->is_canceled || (a->call->interrupt != NULL && *a->call->interrupt->flag != 0);
    return a->is_canceled ? 1 : 0;
}

static void set_str(const struct transport_call *call, CURL *easy, CURLoption option,
                    struct str text)
{
    if (text.n > 0) {
        (void)curl.curl_easy_setopt(easy, option, arena_str(call->arena, text).p);
    }
}

static void set_tls(const struct transport_call *call, CURL *easy)
{
    const struct client_config *c = call->config;
    set_str(call, easy, CURLOPT_CAINFO, c->ca_file);
    set_str(call, easy, CURLOPT_CAPATH, c->ca_path);
    if (c->ca_file.n == 0 && c->ca_path.n > 0) {
        (void)curl.curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    }
    set_str(call, easy, CURLOPT_SSLCERT, c->cert_file);
    set_str(call, easy, CURLOPT_SSLKEY, c->key_file);
    (void)curl.curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, c->skip_verify ? 0L : 1L);
    (void)curl.curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, c->skip_verify ? 0L : 2L);
}

/* The URL. A server name to ask for and verify takes the host's place in it, and the connection is
 * led to where the host really is. */
static struct curl_slist *set_url(const struct transport_call *call, CURL *easy)
{
    const struct client_config *c = call->config;
    struct str name = c->server_name, port = STR("443"), host = c->address;
    struct curl_slist *route = NULL;
    struct str authority = c->is_unix ? STR("localhost") : c->address;
    if (c->is_https && name.n > 0) {
        ptrdiff_t colon = str_rfind_byte(c->address, ':');
        if (!c->is_unix && colon >= 0 && colon > str_rfind_byte(c->address, ']')) {
            host = str_first(c->address, (size_t)colon);
            port = str_from(c->address, (size_t)colon + 1);
        }
        (void)str_cut(name, ':', &name, &(struct str){0});
        authority = arena_printf(call->arena, "%.*s:%.*s", STRF(name), STRF(port));
        route = curl.curl_slist_append(NULL,
                                       arena_printf(call->arena, "%.*s:%.*s:%.*s:%.*s", STRF(name),
                                                    STRF(port), STRF(host), STRF(port))
                                           .p);
        if (!c->is_unix) {
            (void)curl.curl_easy_setopt(easy, CURLOPT_CONNECT_TO, route);
        }
    }
    if (c->is_unix) {
        set_str(call, easy, CURLOPT_UNIX_SOCKET_PATH, c->address);
    }
    struct str url = arena_printf(call->arena, "%s://%.*s%.*s", c->is_https ? "https" : "http",
                                  STRF(authority), STRF(call->target));
    (void)curl.curl_easy_setopt(easy, CURLOPT_URL, url.p);
    return route;
}

static struct curl_slist *set_headers(const struct transport_call *call, CURL *easy)
{
    struct curl_slist *list = curl.curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < call->headers_count; i++) {
        struct str line = arena_printf(call->arena, "%.*s: %.*s", STRF(call->headers[i].name),
                                       STRF(call->headers[i].value));
        list = curl.curl_slist_append(list, line.p);
    }
    (void)curl.curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
    return list;
}

static void set_request(const struct transport_call *call, CURL *easy)
{
    (void)curl.curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl.curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    (void)curl.curl_easy_setopt(easy, CURLOPT_USERAGENT, "consul");
    (void)curl.curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CLIENT_CONNECT_TIMEOUT_MS);
    (void)curl.curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
    if (call->has_body || strcmp(call->method, "GET") != 0) {
        (void)curl.curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
        (void)curl.curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                                    call->body.p != NULL ? call->body.p : "");
    }
}

/* Go's words where they are known, else curl's. */
static int curl_failed(const struct curl_answer *a, CURLcode code, const char *detail,
                       struct err *err)
{
    if (a->is_canceled) {
        return err_set(err, ERR_CANCELED, "canceled");
    }
    long errnum = 0;
    (void)curl.curl_easy_getinfo(a->easy, CURLINFO_OS_ERRNO, &errnum);
    if (code == CURLE_COULDNT_CONNECT && errnum != 0) {
        const char *text = err_code_text((int)errnum);
        return err_set(err, ERR_CONNECTION, "dial tcp %.*s: connect: %s",
                       STRF(a->call->config->address), text);
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        return err_set(err, ERR_CONNECTION, "x509: %s", detail);
    }
    return err_set(err, ERR_CONNECTION, "%s",
                   detail[0] != '\0' ? detail : curl.curl_easy_strerror(code));
}

int curl_perform(const struct transport_call *call, struct client_response *ret_response,
                 struct err *err)
{
    int rc = curl_load(err);
    if (rc < 0) {
        return rc;
    }
    CURL *easy = curl.curl_easy_init();
    if (easy == NULL) {
        return err_set(err, ERR_INTERNAL, "no memory for a connection");
    }
    struct curl_answer answer = {.call = call, .easy = easy};
    char detail[CURL_ERROR_SIZE] = "";
    (void)curl.curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, detail);
    (void)curl.curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_cb);
    (void)curl.curl_easy_setopt(easy, CURLOPT_HEADERDATA, &answer);
    (void)curl.curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, body_cb);
    (void)curl.curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
    (void)curl.curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    (void)curl.curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, progress_cb);
    (void)curl.curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &answer);
    set_request(call, easy);
    set_tls(call, easy);
    struct curl_slist *route = set_url(call, easy);
    struct curl_slist *headers = set_headers(call, easy);

    sigset_t before;
    if (call->interrupt != NULL) {
        (void)pthread_sigmask(SIG_SETMASK, &call->interrupt->mask, &before);
    }
    CURLcode code = curl.curl_easy_perform(easy);
    if (call->interrupt != NULL) {
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (code != CURLE_OK) {
        rc = answer.body.failed ? err_set(err, ERR_TOO_LARGE, "the answer is too large")
                                : curl_failed(&answer, code, detail, err);
    } else {
        (void)curl.curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answer.status);
        *ret_response = (struct client_response){
            .status = (int)answer.status,
            .headers = answer.headers.v,
            .headers_count = answer.headers.n,
            .body = arena_str(call->arena, buf_view(&answer.body)),
        };
    }
    curl.curl_easy_cleanup(easy);
    curl.curl_slist_free_all(route);
    curl.curl_slist_free_all(headers);
    buf_deinit(&answer.body);
    return rc;
}
