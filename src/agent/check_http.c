/* An HTTP check passes with 2xx, warns with 429 Too Many Requests, and is critical with anything
 * else. */
#include "agent/check.h"
#include "agent/state.h"
#include "base/buf.h"
#include "loop/http_client.h"

struct check_http {
    struct check check;
    struct http_transfer *transfer;
};

static struct str method_of(const struct check_def *def)
{
    return def->method.n > 0 ? def->method : STR("GET");
}

static struct str url_of(const struct check_def *def)
{
    return def->proxy_http.n > 0 ? def->proxy_http : def->http;
}

/* "Get" in `Get "http://x/": …`: Go writes the method so. */
static void put_method_title(struct buf *to, struct str method)
{
    for (size_t i = 0; i < method.n; i++) {
        char ch = method.p[i];
        buf_byte(to, (uint8_t)(i > 0 && ch >= 'A' && ch <= 'Z' ? ch + ('a' - 'A') : ch));
    }
}

static void http_done(void *data, struct http_transfer *t)
{
    struct check_http *h = data;
    struct check *c = &h->check;
    const struct http_client_result *r = http_client_result(t);
    struct buf output = {0};
    struct str status = HEALTH_CRITICAL;
    if (r->error != HTTP_CLIENT_OK && r->status == 0) {
        put_method_title(&output, method_of(c->def));
        buf_printf(&output, " \"%.*s\": %.*s", STRF(url_of(c->def)), STRF(r->error_text));
    } else {
        buf_printf(&output, "HTTP %.*s %.*s: %.*s Output: %.*s", STRF(method_of(c->def)),
                   STRF(url_of(c->def)), STRF(r->status_text), STRF(r->body));
        status = r->status >= 200 && r->status <= 299 ? HEALTH_PASSING
                 : r->status == 429                   ? HEALTH_WARNING
                                                      : HEALTH_CRITICAL;
    }
    http_client_end(TAKE(h->transfer));
    check_report(c, status, buf_view(&output));
    buf_deinit(&output);
}

static bool has_header(struct strlistmap headers, struct str name)
{
    for (size_t i = 0; i < headers.n; i++) {
        if (str_eq_fold(headers.v[i].key, name) && headers.v[i].values.n > 0 &&
            headers.v[i].values.v[0].n > 0) {
            return true;
        }
    }
    return false;
}

static void http_probe(struct check *c)
{
    static const struct str user_agent = STR_INIT("Consul Health Check");
    static const struct str accept = STR_INIT("text/plain, text/*, */*");
    struct check_http *h = container_of(c, struct check_http, check);
    struct arena arena = {0};
    struct strlistmap given = c->def->header;
    struct strlist_pair *headers = ARENA_ARRAY(&arena, struct strlist_pair, given.n + 2);
    size_t count = 0;
    for (size_t i = 0; i < given.n; i++) {
        headers[count++] = given.v[i];
    }
    if (!has_header(given, STR("User-Agent"))) {
        headers[count++] = (struct strlist_pair){STR("User-Agent"), {&user_agent, 1}};
    }
    if (!has_header(given, STR("Accept"))) {
        headers[count++] = (struct strlist_pair){STR("Accept"), {&accept, 1}};
    }
    struct http_client_options options = {
        .kind = HTTP_CLIENT_REQUEST,
        .method = method_of(c->def),
        .url = url_of(c->def),
        .headers = {headers, count},
        .body = c->def->body,
        .timeout_ms = check_timeout_ms(c, CHECK_TIMEOUT_MS_DEFAULT),
        .body_size_max = c->output_size_max,
        .tls = check_tls(c),
        .done = http_done,
        .data = h,
    };
    struct err err = {0};
    if (http_client_start(checks_http(c->checks), &options, &h->transfer, &err) < 0) {
        check_report(c, HEALTH_CRITICAL, str_from_cstr(err.text));
    }
    arena_deinit(&arena);
}

static void http_stop(struct check *c)
{
    http_client_end(TAKE(container_of(c, struct check_http, check)->transfer));
}

const struct check_ops check_http_ops = {.type = "http",
                                         .size = sizeof(struct check_http),
                                         .is_periodic = true,
                                         .probe = http_probe,
                                         .stop = http_stop};
