#include "http/front.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/worker.h"

const char *http_status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 301:
        return "Moved Permanently";
    case 304:
        return "Not Modified";
    case 307:
        return "Temporary Redirect";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Request Entity Too Large";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 429:
        return "Too Many Requests";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    default:
        return "Status";
    }
}

static struct str date_line(struct http_server *s)
{
    time_t now = time(NULL);
    if (now != s->date_s || s->date_size == 0) {
        struct tm tm;
        (void)gmtime_r(&now, &tm);
        s->date_s = now;
        s->date_size =
            strftime(s->date, sizeof(s->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    }
    return str_make(s->date, s->date_size);
}

/* The value of a configured header gives way to one that the handler has set. */
static void put_extra_headers(struct http_flight *f, struct buf *to)
{
    const struct strmap configured = f->req.http->front->options.response_headers;
    for (size_t i = 0; i < configured.n; i++) {
        struct str rest = buf_view(f->req.reply_headers), line, name, value;
        bool is_set =
            f->req.content_type.n > 0 && str_eq_fold(configured.v[i].key, STR("Content-Type"));
        while (!is_set && rest.n > 0 && str_split_next(&rest, '\n', &line)) {
            is_set = str_cut(line, ':', &name, &value) && str_eq_fold(name, configured.v[i].key);
        }
        if (!is_set) {
            buf_str(to, configured.v[i].key);
            buf_lit(to, ": ");
            buf_str(to, configured.v[i].value);
            buf_lit(to, "\r\n");
        }
    }
}

void http_put_head(struct http_flight *f, struct buf *to, int status, int64_t size, bool close,
                   bool gzip)
{
    struct http_server *s = f->req.http;
    if (f->minor >= 1 && status == 200) {
        buf_lit(to, "HTTP/1.1 200 OK\r\n");
    } else {
        buf_printf(to, "HTTP/1.%u %d %s\r\n", f->minor >= 1 ? 1u : 0u, status,
                   http_status_text(status));
    }
    if (f->req.content_type.n > 0) {
        buf_lit(to, "Content-Type: ");
        buf_str(to, f->req.content_type);
        buf_lit(to, "\r\n");
    }
    if (f->is_api && (f->req.route->flags & HTTP_ROUTE_PLAIN) != 0) {
        buf_lit(to, "Vary: Accept-Encoding\r\n");
    } else if (f->is_api) {
        buf_str(to, s->front->common_headers);
    }
    if (UNLIKELY(s->front->options.response_headers.n > 0 && !f->is_bare)) {
        put_extra_headers(f, to);
    }
    buf_str(to, buf_view(f->req.reply_headers));
    if (gzip) {
        buf_lit(to, "Content-Encoding: gzip\r\n");
    }
    buf_str(to, date_line(s));
    if (size >= 0) {
        buf_lit(to, "Content-Length: ");
        buf_u64(to, (uint64_t)size);
        buf_lit(to, "\r\n");
    } else if (f->chunk_reply) {
        buf_lit(to, "Transfer-Encoding: chunked\r\n");
    }
    if (close) {
        if (f->minor >= 1) {
            buf_lit(to, "Connection: close\r\n");
        }
    } else if (f->minor == 0) {
        buf_lit(to, "Connection: keep-alive\r\n");
    }
    buf_lit(to, "\r\n");
}

/* Tokens do not belong in logs: ?token's value, and what the old ACL endpoints have in their path.
 */
static struct str log_url(struct http_flight *f)
{
    static const char *const acl_verbs[] = {"create", "update", "destroy", "info", "clone", "list"};
    struct arena *a = &f->arena;
    struct str path, query;
    bool has_query = str_cut(f->target, '?', &path, &query);
    if (str_has_prefix(path, STR("/v1/acl/"))) {
        struct str verb, rest;
        (void)str_cut(str_from(path, 8), '/', &verb, &rest);
        for (size_t i = 0; i < ARRAY_SIZE(acl_verbs); i++) {
            if (rest.n > 0 && str_eq(verb, str_from_cstr(acl_verbs[i]))) {
                return arena_printf(a, "/v1/acl/%.*s/<hidden>", STRF(verb));
            }
        }
    }
    if (!has_query || !http_has_param(&f->req, STR("token"))) {
        return f->target;
    }
    struct buf out = {0};
    buf_str(&out, path);
    struct str rest = query, piece;
    char separator = '?';
    while (str_split_next(&rest, '&', &piece)) {
        buf_byte(&out, (uint8_t)separator);
        separator = '&';
        buf_str(&out, str_has_prefix(piece, STR("token=")) ? STR("token=<hidden>") : piece);
    }
    struct str url = arena_str(a, buf_view(&out));
    buf_deinit(&out);
    return url;
}

static struct str log_peer(struct http_flight *f)
{
    const struct http_conn *c = f->req.conn;
    struct str ip = str_make(c->ip, c->ip_size);
    bool is_v6 = str_find_byte(ip, ':') >= 0;
    return c->port == 0 ? ip
                        : arena_printf(&f->arena, is_v6 ? "[%.*s]:%u" : "%.*s:%u", STRF(ip),
                                       (unsigned)c->port);
}

static void log_finished(struct http_flight *f)
{
    log_write(
        LOG_DEBUG, "agent.http", "Request finished", LOG_STR("method", f->req.method_text),
        LOG_STR("url", log_url(f)), LOG_STR("from", log_peer(f)),
        LOG_STR("latency", duration_format(&f->arena, (int64_t)(clock_mono_ns() - f->started_ns))));
}

static void log_error(struct http_flight *f)
{
    log_write(LOG_ERROR, "agent.http", "Request error", LOG_STR("method", f->req.method_text),
              LOG_STR("url", log_url(f)), LOG_STR("from", log_peer(f)),
              LOG_STR("error", str_first(buf_view(&f->out), 1024)));
}

/* Compress in place, when the client wants it and it is worth it. */
static bool compress(struct http_flight *f)
{
    struct http_req *req = &f->req;
    if (!f->is_api || f->out.n < HTTP_GZIP_SIZE_MIN || f->no_body ||
        str_eq_lit(req->content_type, "application/x-gzip") || /* is compressed */
        !http_accepts_gzip(http_header(req, STR("Accept-Encoding"))) ||
        str_contains(buf_view(req->reply_headers), STR("Content-Encoding:"))) {
        return false;
    }
    struct buf small = {.max = f->out.max};
    if (!http_gzip_body(&req->http->gzip, buf_view(&f->out), &small)) {
        buf_deinit(&small);
        return false;
    }
    buf_deinit(&f->out);
    f->out = small;
    return true;
}

void http_finish(struct http_req *req, int status)
{
    struct http_flight *f = flight_of(req);
    struct http_conn *c = req->conn;
    ASSERT(f->phase == HTTP_HANDLING && c->flight == f);
    if (f->is_json && req->pretty && f->out.n > 0) {
        buf_byte(&f->out, '\n');
    }
    if (UNLIKELY(f->out.failed || req->reply_headers->failed)) {
        buf_clear(&f->out);
        buf_clear(req->reply_headers);
        req->content_type = STR("text/plain; charset=utf-8");
        buf_lit(&f->out, "the answer is too large");
        status = 500;
    }
    if (f->out.n > 0 && req->content_type.n == 0) {
        req->content_type = STR("text/plain; charset=utf-8");
    }
    if (f->is_api) {
        http_measure(f);
        if (UNLIKELY((status >= 500 || status == 403) &&
                     (req->route->flags & HTTP_ROUTE_NO_ERROR_LOG) == 0 && log_is_on(LOG_ERROR))) {
            log_error(f);
        }
        if (UNLIKELY(log_is_on(LOG_DEBUG))) {
            log_finished(f);
        }
    }
    bool gzip = compress(f);
    bool has_body = status != 204 && status != 304;
    bool is_cut = f->is_body_open && (f->chunked || f->body_left > 0); /* of the body */
    bool close = !f->keep_alive || is_cut || c->eof || req->http->stopping;
    c->lingering |= is_cut;
    struct buf head = c->wire != NULL ? *c->wire : buf_move(&req->http->wire);
    http_put_head(f, &head, status, has_body ? (int64_t)f->out.n : -1, close, gzip);
    if (!has_body || f->no_body) {
        buf_clear(&f->out);
    }
    http_conn_answered(c, &head, &f->out, close);
}

void http_set_header(struct http_req *req, struct str name, struct str value)
{
    struct buf *to = req->reply_headers;
    buf_str(to, name);
    buf_lit(to, ": ");
    size_t start = to->n;
    buf_str(to, value);
    for (size_t i = start; i < to->n; i++) { /* a value of a user's must not end the line */
        if (to->p[i] == '\r' || to->p[i] == '\n') {
            to->p[i] = ' ';
        }
    }
    buf_lit(to, "\r\n");
}

struct json_writer http_json_begin(struct http_req *req)
{
    req->content_type = STR("application/json");
    flight_of(req)->is_json = true;
    return json_writer_make(req->out, req->pretty);
}

void http_json_reply(struct http_req *req, const struct schema *schema, const void *object)
{
    struct json_writer w = http_json_begin(req);
    json_object(&w, schema, object);
    http_finish(req, 200);
}

void http_json_id(struct http_req *req, struct str id)
{
    struct json_writer w = http_json_begin(req);
    json_object_begin(&w);
    json_key(&w, STR("ID"));
    json_str(&w, id);
    json_object_end(&w);
    http_finish(req, 200);
}

void http_error(struct http_req *req, int status, const char *format, ...)
{
    struct http_flight *f = flight_of(req);
    buf_clear(&f->out);
    f->is_json = false;
    va_list args;
    va_start(args, format);
    buf_vprintf(&f->out, format, args);
    va_end(args);
    req->content_type = f->out.n > 0 ? STR("text/plain; charset=utf-8") : STR("");
    http_finish(req, status);
}

static int status_of(int code)
{
    switch (code) {
    case ERR_BAD_REQUEST:
        return 400;
    case ERR_ACL_DISABLED:
    case ERR_UNAUTHORIZED:
        return 401;
    case ERR_PERMISSION_DENIED:
    case ERR_ACL_NOT_FOUND:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_METHOD_NOT_ALLOWED:
        return 405;
    case ERR_CONFLICT:
        return 409;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_RATE_LIMIT:
        return 429;
    case ERR_UNSUPPORTED:
        return 501;
    case ERR_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

void http_error_from(struct http_req *req, const struct err *err)
{
    http_error(req, status_of(err->code), "%s", err_text(err));
}

static void set_number(struct buf *to, struct str name, uint64_t value)
{
    buf_str(to, name);
    buf_u64(to, value);
    buf_lit(to, "\r\n");
}

void http_set_meta(struct http_req *req, const struct query_meta *meta)
{
    struct buf *to = req->reply_headers;
    if (meta->consistency_level.n > 0) {
        http_set_header(req, STR("X-Consul-Effective-Consistency"), meta->consistency_level);
    }
    /* Never 0: a client that comes back with ?index=0 would not block but spin. */
    set_number(to, STR("X-Consul-Index: "), meta->index > 0 ? meta->index : 1);
    buf_str(to, meta->known_leader ? STR("X-Consul-Knownleader: true\r\n")
                                   : STR("X-Consul-Knownleader: false\r\n"));
    set_number(to, STR("X-Consul-Lastcontact: "),
               meta->last_contact > 0 ? (uint64_t)meta->last_contact / NS_PER_MS : 0);
    buf_str(to, meta->backend == 1 ? STR("X-Consul-Query-Backend: streaming\r\n")
                                   : STR("X-Consul-Query-Backend: blocking-query\r\n"));
}

void http_set_meta_late(struct http_req *req, const struct query_meta *meta)
{
    if (http_accepts_gzip(http_header(req, STR("Accept-Encoding")))) {
        http_set_meta(req, meta);
    }
}

/* --- answers without end ------------------------------------------------------------------- */

static void stream_send(struct http_conn *c, struct buf *b)
{
    if (c->wire != NULL) {
        buf_str(c->wire, buf_view(b));
    } else if (tcp_write_buf(&c->stream, b) < 0) {
        c->last = true; /* dead: the poll will say so, and on_close follows */
    }
    buf_deinit(b);
}

void http_stream_begin(struct http_req *req, int status)
{
    struct http_flight *f = flight_of(req);
    ASSERT(f->phase == HTTP_HANDLING);
    f->phase = HTTP_STREAMING;
    f->chunk_reply = f->minor >= 1;
    f->keep_alive = f->keep_alive && f->chunk_reply;
    struct buf head = {0};
    http_put_head(f, &head, status, -1, !f->keep_alive, false);
    stream_send(req->conn, &head);
}

bool http_stream_is_begun(const struct http_req *req)
{
    return flight_of(req)->phase == HTTP_STREAMING;
}

bool http_stream_has_room(const struct http_req *req)
{
    return tcp_pending(&req->conn->stream) == 0;
}

bool http_stream_write(struct http_req *req, struct str piece)
{
    struct http_flight *f = flight_of(req);
    ASSERT(f->phase == HTTP_STREAMING);
    if (tcp_pending(&req->conn->stream) + piece.n > HTTP_STREAM_PENDING_MAX) {
        return false;
    }
    if (piece.n > 0) { /* an empty chunk would end it */
        struct buf b = {0};
        if (f->chunk_reply) {
            buf_printf(&b, "%zx\r\n", piece.n);
        }
        buf_str(&b, piece);
        if (f->chunk_reply) {
            buf_lit(&b, "\r\n");
        }
        stream_send(req->conn, &b);
        if (req->on_room != NULL && tcp_pending(&req->conn->stream) > 0 &&
            !loop_timer_is_active(&req->conn->timer)) {
            http_conn_watch_reader(req->conn);
        }
    }
    return true;
}

void http_stream_end(struct http_req *req)
{
    struct http_flight *f = flight_of(req);
    struct http_conn *c = req->conn;
    ASSERT(f->phase == HTTP_STREAMING);
    struct buf end = c->wire != NULL ? *c->wire : buf_move(&req->http->wire);
    if (f->chunk_reply) {
        buf_lit(&end, "0\r\n\r\n");
    }
    buf_clear(&f->out);
    http_conn_answered(c, &end, &f->out, !f->keep_alive || c->eof);
}

void http_stream_abort(struct http_req *req)
{
    ASSERT(flight_of(req)->phase == HTTP_STREAMING);
    req->on_close = NULL;
    http_conn_close(req->conn);
}

/* --- bodies in pieces ----------------------------------------------------------------------- */

void http_body_pause(struct http_req *req)
{
    flight_of(req)->is_body_paused = true;
    http_conn_resume_soon(req->conn); /* which stops reading */
}

void http_body_resume(struct http_req *req)
{
    flight_of(req)->is_body_paused = false;
    http_conn_resume_soon(req->conn);
}
