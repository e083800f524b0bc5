#include "cli/response.h"

#include "base/gofmt.h"
#include "base/vec.h"

static const struct http1_limits head_limits = {
    .head_size_max = CLIENT_HEAD_SIZE_MAX,
    .headers_max = HTTP1_HEADERS_MAX_DEFAULT,
};

void response_init(struct response_parser *p, struct arena *a, bool no_content,
                   int (*on_body)(void *data, struct str bytes), void *data)
{
    *p = (struct response_parser){
        .arena = a, .no_content = no_content, .on_body = on_body, .data = data};
}

void response_deinit(struct response_parser *p)
{
    buf_deinit(&p->input);
    buf_deinit(&p->body);
}

static int malformed(struct err *err, const char *what, struct str text)
{
    return err_set(err, ERR_INVALID, "malformed HTTP %s \"%.*s\"", what, STRF(str_first(text, 80)));
}

/* "HTTP/1.1 200 OK" */
static int status_parse(struct str line, int *ret_status, struct err *err)
{
    struct str version, rest, code, reason;
    uint64_t status;
    if (!str_cut(line, ' ', &version, &rest) || !str_has_prefix(version, STR("HTTP/1."))) {
        return malformed(err, "response", line);
    }
    (void)str_cut(rest, ' ', &code, &reason);
    if (code.n != 3 || str_parse_u64(code, &status) < 0 || status < 100) {
        return malformed(err, "status code", code);
    }
    *ret_status = (int)status;
    return 0;
}

static int headers_parse(struct response_parser *p, struct str rest, struct err *err)
{
    VEC(struct client_header) headers = {0};
    struct str line;
    while (str_split_next(&rest, '\n', &line)) {
        line = str_trim(line);
        if (line.n == 0) {
            continue;
        }
        struct client_header h;
        if (!str_cut(line, ':', &h.name, &h.value) || !http1_is_token(h.name)) {
            return malformed(err, "header", line);
        }
        if (headers.n == head_limits.headers_max) {
            return err_set(err, ERR_TOO_LARGE, "more than %zu headers", head_limits.headers_max);
        }
        h.value = str_trim(h.value);
        avec_push(p->arena, &headers, h);
    }
    p->response.headers = headers.v;
    p->response.headers_count = headers.n;
    return 0;
}

/* How the content is framed. */
static int framing_parse(struct response_parser *p, struct err *err)
{
    int status = p->response.status;
    struct str size = client_response_header(&p->response, STR("Content-Length"));
    struct str coding = client_response_header(&p->response, STR("Transfer-Encoding"));
    if (p->no_content || status == 204 || status == 304) {
        p->state = RESPONSE_SIZED;
        p->left = 0;
    } else if (coding.n > 0) {
        if (!str_eq_fold(coding, STR("chunked"))) {
            return err_set(err, ERR_UNSUPPORTED, "unsupported transfer encoding: \"%.*s\"",
                           STRF(str_first(coding, 80)));
        }
        p->state = RESPONSE_CHUNKED;
    } else if (size.p != NULL) {
        p->state = RESPONSE_SIZED;
        if (str_parse_u64(size, &p->left) < 0) {
            return err_set(err, ERR_INVALID, "bad Content-Length \"%.*s\"",
                           STRF(str_first(size, 80)));
        }
    } else {
        p->state = RESPONSE_UNTIL_END;
    }
    p->done = p->state == RESPONSE_SIZED && p->left == 0;
    return 0;
}

static int head_parse(struct response_parser *p, struct str head, struct err *err)
{
    struct str line;
    (void)str_split_next(&head, '\n', &line);
    int rc = status_parse(str_trim(line), &p->response.status, err);
    if (rc == 0) {
        rc = headers_parse(p, head, err);
    }
    return rc < 0 || p->response.status < 200 ? rc : framing_parse(p, err);
}

static int content_add(struct response_parser *p, struct str bytes, struct err *err)
{
    if (bytes.n == 0) {
        return 0;
    }
    if (p->on_body != NULL && p->response.status == 200) {
        return p->on_body(p->data, bytes) < 0 ? err_set(err, ERR_CANCELED, "canceled") : 0;
    }
    buf_str(&p->body, bytes);
    p->response.body = buf_view(&p->body);
    return p->body.failed ? err_set(err, ERR_TOO_LARGE, "the answer is too large") : 0;
}

static int chunks_feed(struct response_parser *p, struct str bytes, struct err *err)
{
    struct buf content;
    buf_init(&content, BUF_SIZE_MAX_DEFAULT);
    int rc = 0;
    if (http1_chunked_decode(&p->chunks, bytes, &content) < 0) {
        rc = err_set(err, ERR_INVALID, "malformed chunked encoding");
    } else if (content.failed) {
        rc = err_set(err, ERR_TOO_LARGE, "the answer is too large");
    } else {
        rc = content_add(p, buf_view(&content), err);
    }
    buf_deinit(&content);
    p->done = rc == 0 && p->chunks.done;
    return rc;
}

static int content_feed(struct response_parser *p, struct str bytes, struct err *err)
{
    if (p->state == RESPONSE_CHUNKED) {
        return chunks_feed(p, bytes, err);
    }
    if (p->state == RESPONSE_SIZED) {
        bytes = str_first(bytes, p->left < bytes.n ? (size_t)p->left : bytes.n);
        p->left -= bytes.n;
        p->done = p->left == 0;
    }
    return content_add(p, bytes, err);
}

/* What comes is not HTTP; its first line is shown. */
static int not_http(const struct response_parser *p, struct err *err)
{
    struct str line = buf_view(&p->input);
    ptrdiff_t end = str_find_byte(line, '\n');
    struct buf quoted = {0};
    go_quote(&quoted, str_first(line, end >= 0 ? (size_t)end : MIN(line.n, (size_t)80)));
    (void)err_set(err, ERR_INVALID,
                  "net/http: HTTP/1.x transport connection broken: malformed HTTP response %.*s",
                  STRF(buf_view(&quoted)));
    buf_deinit(&quoted);
    return -ERR_INVALID;
}

int response_feed(struct response_parser *p, struct str bytes, struct err *err)
{
    if (p->done) {
        return 0;
    }
    if (p->state != RESPONSE_HEAD) {
        return content_feed(p, bytes, err);
    }
    buf_str(&p->input, bytes);
    for (;;) {
        ptrdiff_t size = http1_head_size(&p->scan, buf_view(&p->input), &head_limits);
        if (size == 0) {
            return 0;
        }
        if (size == -ERR_INVALID) {
            return not_http(p, err);
        }
        if (size < 0 || p->input.failed) {
            return err_set(err, ERR_TOO_LARGE, "the answer's headers are over %u bytes",
                           CLIENT_HEAD_SIZE_MAX);
        }
        struct str head = arena_str(p->arena, str_first(buf_view(&p->input), (size_t)size));
        int rc = head_parse(p, head, err);
        buf_consume(&p->input, (size_t)size);
        p->scan = (struct http1_scan){0};
        if (rc < 0) {
            return rc;
        }
        if (p->response.status >= 200) {
            break;
        }
    }
    return p->done ? 0 : content_feed(p, buf_view(&p->input), err);
}

int response_end(struct response_parser *p, struct err *err)
{
    if (p->done || p->state == RESPONSE_UNTIL_END) {
        p->done = true;
        return 0;
    }
    return err_set(err, ERR_CLOSED,
                   p->input.n > 0 || p->state != RESPONSE_HEAD ? "unexpected EOF" : "EOF");
}
