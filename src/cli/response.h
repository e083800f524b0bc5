/* response.h - the client's side of HTTP/1.x: an answer, from bytes to status, headers and content.
 * Pure: the caller brings the bytes.
 *
 *     response_init(&p, arena, no_content, on_body, data);
 *     while (!p.done) { n = read(...); rc = n > 0 ? response_feed(&p, bytes, &err)
 *                                                 : response_end(&p, &err); }
 *
 * 1xx answers are skipped. Content has the size of Content-Length, or comes in chunks, or ends with
 * the connection. Bytes behind the answer are ignored: each request has a connection of its own. */
#pragma once
#include "cli/client.h"
#include "proto/http1.h"

struct response_parser {
    struct arena *arena;
    struct client_response response;
    struct buf input; /* the head so far; chunks not decoded yet */
    struct buf body;
    struct http1_scan scan;
    struct http1_chunked chunks;
    uint64_t left; /* of a content with a size */
    enum { RESPONSE_HEAD, RESPONSE_SIZED, RESPONSE_CHUNKED, RESPONSE_UNTIL_END } state;
    bool no_content; /* the answer to a HEAD */
    bool done;
    int (*on_body)(void *data, struct str bytes); /* of a 200; may be NULL */
    void *data;
};

void response_init(struct response_parser *p, struct arena *a, bool no_content,
                   int (*on_body)(void *data, struct str bytes), void *data);
void response_deinit(struct response_parser *p);
/* More bytes. Errors: malformed, too large, or what on_body said. */
NODISCARD int response_feed(struct response_parser *p, struct str bytes, struct err *err);
/* The connection ended. -ERR_CLOSED "EOF" before an answer, "unexpected EOF" within one. */
NODISCARD int response_end(struct response_parser *p, struct err *err);
