/* One connection: finds requests in its input, one after the other, and sends their answers.
 *
 * The usual way: a read brings whole requests, each is answered while it is handled, and all
 * answers leave with one write. What may go differently:
 * - A request is incomplete: the rest of the input is kept, a timer runs.
 * - A request has to wait: input is kept up to HTTP_INPUT_SIZE_MAX, then reading stops; when it is
 *   answered, the kept input is used.
 * - A body is streamed: the handler is called before it, and told of its pieces; while it has
 * paused them, nothing is read.
 * - The client shuts its side down: a parked or endless request is canceled, others are answered
 * first.
 * - The input is malformed: Go's words, then the connection lingers so that they arrive, and
 * closes.
 * - The connection fails: the request is canceled, whatever it is.
 * - A slow reader: what it does not take is kept by the stream; nothing more is read from it until
 * then. */
#include "http/front.h"
#include "loop/conn_limit.h"
#include "loop/tls.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/worker.h"

static void conn_timeout(struct loop_timer *t);

/* --- flights ------------------------------------------------------------------------------- */

void http_flight_take_bufs(struct http_flight *f)
{
    struct http_server *s = f->req.http;
    if (f->out.cap == 0) {
        f->out = buf_move(&s->spare_out);
    }
    if (f->reply_headers.cap == 0) {
        f->reply_headers = buf_move(&s->spare_headers);
    }
}

static void give_buf(struct buf *spare, struct buf *b)
{
    if (spare->cap == 0 && b->cap <= HTTP_OUT_KEEP_SIZE_MAX) {
        *spare = (struct buf){.p = b->p, .cap = b->cap};
    } else {
        buf_deinit(b);
    }
    *b = (struct buf){0};
}

static void flight_give_bufs(struct http_flight *f)
{
    struct http_server *s = f->req.http;
    give_buf(&s->spare_out, &f->out);
    give_buf(&s->spare_headers, &f->reply_headers);
}

struct http_flight *http_flight_new(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_flight *f = s->free_flights;
    if (f != NULL) {
        s->free_flights = f->next_free;
        s->free_flights_count--;
    } else {
        f = xcalloc_aligned(ARENA_ALIGN, sizeof(*f));
        f->arena.p = f->block;
        f->arena.end = f->block + sizeof(f->block);
    }
    f->req.worker = s->worker;
    f->req.agent = s->front->options.agent;
    f->req.http = s;
    f->req.conn = c;
    f->req.arena = &f->arena;
    f->req.out = &f->out;
    f->req.reply_headers = &f->reply_headers;
    f->req.remote_ip = str_make(c->ip, c->ip_size);
    http_flight_take_bufs(f);
    c->flight = f;
    return f;
}

static struct http_flight *flight_deinit(struct http_flight *f)
{
    arena_deinit(&f->arena);
    buf_deinit(&f->body);
    return mem_free(f);
}

void http_flight_free(struct http_server *s, struct http_flight *f)
{
    f->req.who = acl_who_unref(f->req.who);
    if (f->cancel != NULL && f->call != NULL) {
        f->cancel(f); /* a call that was never started, or whose asker is gone */
    }
    flight_give_bufs(f);
    if (s->free_flights_count >= HTTP_FLIGHTS_KEPT_MAX) {
        (void)flight_deinit(f);
        return;
    }
    arena_deinit(&f->arena);
    if (f->body.cap > HTTP_OUT_KEEP_SIZE_MAX) {
        buf_deinit(&f->body);
    }
    /* Everything but the body's storage and the inner block starts at zero again. */
    struct buf body = {.p = f->body.p, .cap = f->body.cap};
    memset(f, 0, offsetof(struct http_flight, block));
    f->body = body;
    f->arena.p = f->block;
    f->arena.end = f->block + sizeof(f->block);
    f->next_free = s->free_flights;
    s->free_flights = f;
    s->free_flights_count++;
}

void http_flights_drain(struct http_server *s)
{
    while (s->free_flights != NULL) {
        struct http_flight *f = s->free_flights;
        s->free_flights = f->next_free;
        (void)flight_deinit(f);
    }
    s->free_flights_count = 0;
    buf_deinit(&s->spare_out);
    buf_deinit(&s->spare_headers);
    buf_deinit(&s->wire);
}

/* --- closing ------------------------------------------------------------------------------- */

/* The request's asker is gone. */
static void flight_abandon(struct http_conn *c)
{
    struct http_flight *f = c->flight;
    if (f == NULL) {
        return;
    }
    c->flight = NULL;
    if (f->req.on_close != NULL) {
        f->req.on_close(&f->req);
    }
    http_flight_free(c->server, f);
}

void http_conn_close(struct http_conn *c)
{
    if (c->closed) {
        return;
    }
    c->closed = true;
    flight_abandon(c);
    loop_timer_stop(c->server->loop, &c->timer);
    tcp_close(&c->stream);
}

/* Nothing more is to be said. Close as soon as all is written; with input left unread a plain close
 * would reset the connection and could take the answer with it, so then wait for the client. */
static void conn_end(struct http_conn *c)
{
    if (c->closed) {
        return;
    }
    if (tcp_pending(&c->stream) > 0) {
        http_conn_watch_reader(c); /* conn_drained() comes back */
        return;
    }
    if (!c->lingering || c->eof) {
        http_conn_close(c);
        return;
    }
    tcp_shutdown_write(&c->stream);
    tcp_read_start(&c->stream);
    loop_timer_start(c->server->loop, &c->timer, HTTP_LINGER_MS, conn_timeout);
}

static void conn_timeout(struct loop_timer *t)
{
    http_conn_close(container_of(t, struct http_conn, timer));
}

/* A client that takes nothing of its answer for so long will not come back for it. */
static void conn_stalled(struct loop_timer *t)
{
    struct http_conn *c = container_of(t, struct http_conn, timer);
    if (tcp_pending(&c->stream) >= c->pending_seen) {
        http_conn_close(c);
    } else {
        http_conn_watch_reader(c);
    }
}

void http_conn_watch_reader(struct http_conn *c)
{
    c->pending_seen = tcp_pending(&c->stream);
    loop_timer_start(c->server->loop, &c->timer, HTTP_WRITE_TIMEOUT_MS, conn_stalled);
}

/* --- answers ------------------------------------------------------------------------------- */

static void conn_write(struct http_conn *c, struct buf *b)
{
    if (b->n > 0 && !c->closed && tcp_write_buf(&c->stream, b) < 0) {
        c->last = true;
        c->lingering = false;
    }
}

static void conn_resume_run(struct loop_msg *msg);

void http_conn_resume_soon(struct http_conn *c)
{
    if (!c->resuming) {
        c->resuming = true;
        c->resume.run = conn_resume_run;
        loop_defer(c->server->loop, &c->resume);
    }
}

static void send_answer(struct http_conn *c, struct buf *head, struct buf *body)
{
    if (body->n <= HTTP_INLINE_BODY_MAX) {
        buf_str(head, buf_view(body));
        if (c->wire == NULL) {
            conn_write(c, head);
        }
        return;
    }
    conn_write(c, head);
    conn_write(c, body);
}

void http_conn_answered(struct http_conn *c, struct buf *head, struct buf *body, bool close)
{
    struct http_flight *f = c->flight;
    send_answer(c, head, body);
    c->flight = NULL;
    http_flight_free(c->server, f); /* body was part of it */
    c->last |= close;
    if (c->wire != NULL) {
        *c->wire = *head; /* the batch goes on */
        return;
    }
    give_buf(&c->server->wire, head);
    if (c->last) {
        conn_end(c);
    } else if (c->in.n > 0 || !c->stream.reading || tcp_pending(&c->stream) > 0) {
        http_conn_resume_soon(c);
    }
}

/* Not even a request: what Go's server says, and the end. */
static void refuse(struct http_conn *c, const char *text)
{
    /* One kind has another text than its status. */
    bool is_coding = strcmp(text, "501 Not Implemented") == 0;
    buf_printf(c->wire,
               "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
               "Connection: close\r\n\r\n%s",
               text, is_coding ? "Unsupported transfer encoding" : text);
    c->last = c->lingering = true;
}

/* --- requests ------------------------------------------------------------------------------ */

static enum http_method method_of(struct str s)
{
    static const struct {
        struct str text;
        enum http_method method;
    } methods[] = {
        {STR_INIT("GET"), HTTP_GET},   {STR_INIT("PUT"), HTTP_PUT},
        {STR_INIT("POST"), HTTP_POST}, {STR_INIT("DELETE"), HTTP_DELETE},
        {STR_INIT("HEAD"), HTTP_HEAD}, {STR_INIT("OPTIONS"), HTTP_OPTIONS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        if (str_eq(s, methods[i].text)) {
            return methods[i].method;
        }
    }
    return HTTP_OTHER;
}

/* Routes of large bodies say themselves what they refuse; what is beyond all limits they have is
 * refused without reading it. */
static bool is_refused_unread(const struct http_front *front, const struct http_req *req,
                              uint64_t content_length)
{
    const struct http_options *o = &front->options;
    uint64_t limit = MAX(o->kv_max_value_size, o->txn_max_req_len);
    if (limit == 0 || content_length <= limit) {
        return false;
    }
    const struct http_entry *e = http_route_find(front, req->path);
    return e != NULL && (e->route->flags & HTTP_ROUTE_LARGE_BODY) != 0;
}

static bool streams_body(const struct http_front *front, const struct http_req *req)
{
    const struct http_entry *e = req->method == HTTP_PUT ? http_route_find(front, req->path) : NULL;
    return e != NULL && (e->route->flags & HTTP_ROUTE_STREAM_BODY) != 0;
}

/* The handler is called, and will be given the body. False when it wants none. */
static bool flight_stream_body(struct http_conn *c, bool expect_continue)
{
    struct http_flight *f = c->flight;
    f->phase = HTTP_HANDLING;
    f->is_body_open = true;
    http_dispatch(f);
    if (c->flight != f) {
        return false;
    }
    if (expect_continue && (f->chunked || f->body_left > 0)) {
        buf_lit(c->wire, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    return true;
}

/* A head is whole: make its request. False when it was refused. */
static bool flight_begin(struct http_conn *c, struct str bytes)
{
    struct http_flight *f = http_flight_new(c);
    struct http1_head head;
    struct http1_error error = {400, "400 Bad Request"};
    struct http_req *req = &f->req;
    bytes = arena_str(&f->arena, bytes);
    if (http1_parse_head(bytes, &f->arena, &c->server->front->limits, &head, &error) < 0 ||
        http1_parse_target(head.target, &f->arena, &req->path, &req->query) < 0) {
        refuse(c, error.text);
        flight_abandon(c);
        return false;
    }
    f->minor = head.minor;
    f->keep_alive = head.keep_alive;
    f->target = head.target;
    f->started_ns = clock_mono_ns();
    f->chunked = head.chunked;
    f->body_left = head.content_length;
    req->method_text = head.method;
    req->method = method_of(head.method);
    f->no_body = req->method == HTTP_HEAD;
    req->headers = head.headers;
    req->headers_count = head.headers_count;
    if (head.expect_unknown) {
        refuse(c, "417 Expectation Failed");
        flight_abandon(c);
        return false;
    }
    req->body_size = head.content_length;
    if (is_refused_unread(c->server->front, req, head.content_length)) {
        c->lingering = true;
        f->keep_alive = false;
        f->phase = HTTP_HANDLING;
        http_dispatch(f);
        return false;
    }
    if (streams_body(c->server->front, req)) {
        return flight_stream_body(c, head.expect_continue);
    }
    size_t size_max = c->server->front->body_size_max;
    if (head.content_length > size_max) {
        c->lingering = true;
        f->keep_alive = false;
        f->phase = HTTP_HANDLING;
        http_error(req, 413, "Request body(%llu bytes) too large, max size: %zu bytes.",
                   (unsigned long long)head.content_length, size_max);
        return false;
    }
    f->body.max = size_max;
    if (head.expect_continue && (f->chunked || f->body_left > 0)) {
        buf_lit(c->wire, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    return true;
}

/* Take what there is of the body. How many bytes were used; *ret_whole tells whether it is
 * complete. */
static size_t take_body(struct http_conn *c, struct str in, bool *ret_whole)
{
    struct http_flight *f = c->flight;
    struct http_req *req = &f->req;
    *ret_whole = false;
    if (f->chunked) {
        ptrdiff_t n = http1_chunked_decode(&f->chunks, in, &f->body);
        if (n < 0 || f->body.failed) {
            refuse(c, n < 0 ? "400 Bad Request" : "413 Request Entity Too Large");
            flight_abandon(c);
            return in.n;
        }
        *ret_whole = f->chunks.done;
        req->body = buf_view(&f->body);
        return (size_t)n;
    }
    size_t n = (size_t)MIN((uint64_t)in.n, f->body_left);
    if (f->body.n == 0 && n == f->body_left && n <= HTTP_INLINE_BODY_MAX) {
        req->body = n > 0 ? arena_str(&f->arena, str_first(in, n)) : STR("");
        *ret_whole = true;
    } else {
        buf_put(&f->body, in.p, n);
        f->body_left -= n;
        *ret_whole = f->body_left == 0;
        req->body = buf_view(&f->body);
    }
    return n;
}

/* The next piece of a streamed body to the handler, which may finish the request. How many bytes
 * were used. */
static size_t pass_body(struct http_conn *c, struct str in)
{
    struct http_flight *f = c->flight;
    size_t n = (size_t)MIN((uint64_t)in.n, f->body_left);
    struct str piece = str_first(in, n);
    bool is_last = false;
    if (f->chunked) {
        buf_clear(&f->body);
        f->body.max = HTTP_BODY_SIZE_MAX;
        ptrdiff_t used = http1_chunked_decode(&f->chunks, in, &f->body);
        if (used < 0 || f->body.failed) {
            refuse(c, "400 Bad Request");
            flight_abandon(c);
            return in.n;
        }
        n = (size_t)used;
        is_last = f->chunks.done;
        piece = buf_view(&f->body);
    } else {
        f->body_left -= n;
        is_last = f->body_left == 0;
    }
    f->is_body_open = !is_last;
    if (piece.n > 0 || is_last) {
        f->req.on_body(&f->req, piece, is_last);
    }
    return n;
}

static bool wants_body(const struct http_flight *f)
{
    return f->phase == HTTP_BODY || (f->is_body_open && !f->is_body_paused);
}

/* The handler is yet to be told that its body has ended (it was empty). */
static bool is_end_due(const struct http_flight *f)
{
    return f != NULL && f->is_body_open && wants_body(f) && !f->chunked && f->body_left == 0;
}

/* Use what can be used of the input; how many bytes that was. */
static size_t consume(struct http_conn *c, struct str in)
{
    size_t used = 0;
    while (!c->closed && !c->last && (used < in.n || is_end_due(c->flight))) {
        struct str rest = str_from(in, used);
        if (c->flight == NULL) {
            if (tcp_pending(&c->stream) > 0) {
                break; /* large answers are not piled up: the next when this one is read */
            }
            if (c->scan.pos == 0 && (uint8_t)rest.p[0] < ' ') {
                if (rest.p[0] == TLS_HANDSHAKE) { /* which its client would wait for */
                    refuse(c, "400 Bad Request");
                    break;
                }
                if (rest.p[0] == '\r' || rest.p[0] == '\n') {
                    used++; /* line ends between requests, from old clients (RFC 7230, 3.5) */
                    continue;
                }
            }
            ptrdiff_t size = http1_head_size(&c->scan, rest, &c->server->front->limits);
            if (size == 0) {
                break;
            }
            if (size < 0) {
                refuse(c, size == -ERR_TOO_LARGE ? "431 Request Header Fields Too Large"
                                                 : "400 Bad Request");
                break;
            }
            c->scan = (struct http1_scan){0};
            used += (size_t)size;
            if (!flight_begin(c, str_first(rest, (size_t)size))) {
                continue; /* answered already */
            }
            rest = str_from(in, used);
        }
        if (!wants_body(c->flight)) {
            break; /* being handled */
        }
        if (c->flight->is_body_open) {
            used += pass_body(c, rest);
            continue;
        }
        bool whole;
        used += take_body(c, rest, &whole);
        if (whole) {
            c->flight->req.body_size = c->flight->req.body.n;
            c->flight->phase = HTTP_HANDLING;
            http_dispatch(c->flight);
        }
    }
    return used;
}

/* Keep what was not used: `in` is either c->in itself or lies elsewhere. */
static void keep_rest(struct http_conn *c, struct str in, size_t used)
{
    if (in.p == c->in.p && c->in.n > 0) {
        buf_consume(&c->in, used);
    } else if (used < in.n) {
        buf_str(&c->in, str_from(in, used));
    }
    if (c->in.n == 0 && c->in.cap > 0) {
        buf_deinit(&c->in);
    }
}

/* After each run through the input: what to wait for now. */
static void settle(struct http_conn *c)
{
    if (c->closed) {
        return;
    }
    if (c->last) {
        conn_end(c);
        return;
    }
    struct http_flight *f = c->flight;
    bool waiting = f != NULL && !wants_body(f);
    bool is_unread = c->flight == NULL && c->in.n > 0 && tcp_pending(&c->stream) > 0;
    if (c->eof && !waiting && !is_unread) {
        c->last = true;
        conn_end(c);
        return;
    }
    /* Half a request and an answer have time limits; to be handled may take its time, and so may
     * the next request. */
    if (tcp_pending(&c->stream) > 0) {
        http_conn_watch_reader(c);
    } else if (!waiting && (f != NULL || c->in.n > 0)) {
        loop_timer_start(c->server->loop, &c->timer, HTTP_READ_TIMEOUT_MS, conn_timeout);
    } else if (loop_timer_is_active(&c->timer)) {
        loop_timer_stop(c->server->loop, &c->timer);
    }
    if (waiting && f->out.n == 0 && f->reply_headers.n == 0) {
        flight_give_bufs(f); /* it may wait long */
    }
    bool is_held = waiting && (f->is_body_open || c->in.n >= HTTP_INPUT_SIZE_MAX);
    bool reading = !is_held && tcp_pending(&c->stream) == 0;
    if (reading && !c->stream.reading) {
        tcp_read_start(&c->stream);
    } else if (!reading && c->stream.reading) {
        tcp_read_stop(&c->stream);
    }
}

/* Run through the input with one buffer for all answers. */
static void run_batch(struct http_conn *c, struct str in)
{
    struct http_server *s = c->server;
    struct buf wire = buf_move(&s->wire);
    c->wire = &wire;
    size_t used = consume(c, in);
    c->wire = NULL;
    if (!c->closed) {
        keep_rest(c, in, used);
        conn_write(c, &wire);
    }
    give_buf(&s->wire, &wire);
    settle(c);
}

static void conn_resume_run(struct loop_msg *msg)
{
    struct http_conn *c = container_of(msg, struct http_conn, resume);
    c->resuming = false;
    if (!c->closed && c->wire == NULL) {
        run_batch(c, buf_view(&c->in));
    }
}

/* --- the stream's callbacks ---------------------------------------------------------------- */

static void conn_read(struct tcp_stream *stream, const char *p, size_t n)
{
    struct http_conn *c = container_of(stream, struct http_conn, stream);
    if (c->closed || c->last) {
        return; /* lingering */
    }
    if (c->flight != NULL && !wants_body(c->flight)) {
        buf_put(&c->in, p, n); /* pipelined behind one that waits */
        settle(c);
        return;
    }
    struct str in = str_make(p, n);
    if (c->in.n > 0) {
        buf_str(&c->in, in);
        in = buf_view(&c->in);
    }
    run_batch(c, in);
}

static void conn_eof(struct tcp_stream *stream)
{
    struct http_conn *c = container_of(stream, struct http_conn, stream);
    struct http_flight *f = c->flight;
    c->eof = true;
    bool is_endless = f != NULL && f->phase == HTTP_STREAMING && f->req.on_room == NULL;
    bool is_parked = f != NULL && f->is_parked != NULL && f->is_parked(f);
    if (c->lingering || is_endless || is_parked) {
        http_conn_close(c);
    } else {
        settle(c);
    }
}

static void conn_fail(struct tcp_stream *stream, int code)
{
    (void)code;
    struct http_conn *c = container_of(stream, struct http_conn, stream);
    if (tls_error(stream) != NULL) {
        log_write(LOG_WARN, "agent.http", "TLS handshake error",
                  LOG_STR("from", str_make(c->ip, c->ip_size)),
                  LOG_CSTR("error", tls_error(stream)));
    }
    http_conn_close(c);
}

static void conn_drained(struct tcp_stream *stream)
{
    struct http_conn *c = container_of(stream, struct http_conn, stream);
    struct http_flight *f = c->flight;
    if (c->last) {
        conn_end(c);
        return;
    }
    if (c->wire == NULL) {
        http_conn_resume_soon(c);
    }
    if (f != NULL && f->phase == HTTP_STREAMING && f->req.on_room != NULL) {
        f->req.on_room(&f->req);
    }
}

/* The handshake is through: what follows may take its time. */
static void conn_connected(struct tcp_stream *stream)
{
    struct http_conn *c = container_of(stream, struct http_conn, stream);
    if (!c->last) {
        loop_timer_stop(c->server->loop, &c->timer);
    }
}

static void conn_closed(struct tcp_stream *stream)
{
    struct http_conn *c = container_of(stream, struct http_conn, stream);
    struct http_server *s = c->server;
    list_remove(&c->node);
    s->conns_count--;
    if (c->counted) {
        conn_limit_remove(s->front->clients, str_make(c->ip, c->ip_size));
    }
    buf_deinit(&c->in);
    mem_free(c);
}

static const struct tcp_ops conn_ops = {.read = conn_read,
                                        .eof = conn_eof,
                                        .fail = conn_fail,
                                        .drained = conn_drained,
                                        .connected = conn_connected,
                                        .closed = conn_closed};

static void refuse_client(struct http_conn *c)
{
    static const char text[] = "Your IP is issuing too many concurrent connections, please rate "
                               "limit your calls\n";
    struct buf b = {0};
    buf_printf(&b,
               "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n"
               "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
               sizeof(text) - 1, text);
    c->last = c->lingering = true;
    conn_write(c, &b);
    buf_deinit(&b);
    conn_end(c);
}

static void conn_begin_tls(struct http_conn *c, struct tls_context *tls)
{
    uint64_t timeout_ms = c->server->front->options.https_handshake_timeout_ms;
    if (tls_accept(&c->stream, tls, TLS_IN_HTTPS) < 0) {
        http_conn_close(c);
    } else if (timeout_ms > 0) {
        loop_timer_start(c->server->loop, &c->timer, timeout_ms, conn_timeout);
    }
}

void http_accept(struct http_server *s, int fd, const struct address *peer, struct tls_context *tls)
{
    struct http_conn *c = xcalloc(1, sizeof(*c));
    char text[ADDRESS_IP_SIZE_MAX];
    struct str ip = address_ip(peer, text);
    c->server = s;
    c->in.max = HTTP1_HEAD_SIZE_MAX_DEFAULT + s->front->limits.head_size_max + HTTP_BODY_SIZE_MAX;
    c->ip_size = (uint8_t)MIN(ip.n, sizeof(c->ip));
    memcpy(c->ip, ip.p, c->ip_size);
    c->port = address_port(peer);
    list_push_back(&s->conns, &c->node);
    s->conns_count++;
    tcp_start(&c->stream, s->loop, fd, &conn_ops);
    c->stream.write_max = SIZE_MAX; /* one answer, as large as the state is */
    uint32_t max = atomic_load_explicit(&s->front->max_conns_per_client, memory_order_relaxed);
    c->counted = address_is_unix(peer) ||
                 conn_limit_add(s->front->clients, str_make(c->ip, c->ip_size), max);
    if (tls != NULL) {
        conn_begin_tls(c, tls);
    }
    if (!c->counted) {
        refuse_client(c);
        if (tls != NULL && !c->closed) { /* it is told once hands are shaken, if that is soon */
            loop_timer_start(s->loop, &c->timer, HTTP_LINGER_MS, conn_timeout);
        }
    } else if (address_is_unix(peer)) {
        c->counted = false; /* everybody there is "@" */
    }
}
