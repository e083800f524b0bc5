/* http1.h - HTTP/1.x requests, from bytes to slices. Pure: no I/O, no allocation but what the
 * caller's arena gives.
 *
 *     n = http1_head_size(&scan, input, &limits);         // 0: more is needed; < 0: too large
 *     r = http1_parse_head(copy_of_the_first_n_bytes, &arena, &limits, &head);
 *     ... head.content_length bytes, or http1_chunked_decode() while head.chunked ...
 *
 * Slices of the head point into the bytes it was parsed from. Strict where leniency lets requests
 * be smuggled past a proxy: both Content-Length and Transfer-Encoding, differing Content-Lengths, a
 * bare CR, folded lines, blanks before a colon, control characters and signs in numbers are
 * refused. Lines may end in a bare LF, as Go (and people with netcat) have it; that cannot be read
 * two ways here, since no byte of a line may be a CR.
 *
 * An error is an HTTP status and the words that Go's server gives for it; the connection ends then.
 */
#pragma once
#include "base/arena.h"

struct buf;

struct http_header {
    struct str name, value;
};

struct http1_limits {
    size_t head_size_max; /* request line and headers */
    size_t headers_max;
};
#define HTTP1_HEAD_SIZE_MAX_DEFAULT (1u << 20) /* Go's DefaultMaxHeaderBytes */
#define HTTP1_HEAD_SLACK 4096u /* what Go's server reads beyond the limit before it minds */
#define HTTP1_HEADERS_MAX_DEFAULT 1000u
#define HTTP1_CHUNK_LINE_SIZE_MAX 4096u /* Go's maxLineLength */
#define HTTP1_TRAILERS_SIZE_MAX 16384u

/* How far http1_head_size() has looked; zero it for each head. */
struct http1_scan {
    size_t line_start, pos;
};

struct http1_head {
    struct str method, target;
    uint32_t minor; /* of HTTP/1.x: 0 or 1 */
    struct http_header *headers;
    size_t headers_count;
    struct str host; /* of the Host header, or of an absolute target */
    uint64_t content_length;
    bool has_content_length, chunked;
    bool keep_alive;      /* by version and Connection */
    bool expect_continue; /* Expect: 100-continue */
    bool expect_unknown;  /* any other expectation: 417 */
};

/* A malformed request: what to answer. */
struct http1_error {
    int status;
    const char *text; /* the whole body, and behind "HTTP/1.1 " the status line, as Go does */
};

/* Size of the head at the start of `in`, empty line included; 0 when it is not complete;
 * -ERR_TOO_LARGE when it is over the limit, -ERR_INVALID when no head begins so. Call again with
 * the same scan and more bytes behind. */
NODISCARD ptrdiff_t http1_head_size(struct http1_scan *scan, struct str in,
                                    const struct http1_limits *limits);
/* Parse a whole head. 0, or -ERR_INVALID and *ret_error. */
NODISCARD int http1_parse_head(struct str head, struct arena *a, const struct http1_limits *limits,
                               struct http1_head *ret_head, struct http1_error *ret_error);

/* The path and query of a request target: origin form, absolute form or "*". Percent escapes of the
 * path are decoded (into the arena when there are any). -ERR_INVALID when it is none of these or
 * has bad escapes or control characters. */
NODISCARD int http1_parse_target(struct str target, struct arena *a, struct str *ret_path,
                                 struct str *ret_query);
/* Decode %XX, and '+' as a blank when asked. -ERR_INVALID for bad escapes. */
NODISCARD int http1_unescape(struct str s, bool plus, struct arena *a, struct str *ret_s);
/* A path as a URL shows it: Go's URL.EscapedPath(). */
void http1_escape_path(struct buf *to, struct str path);

/* A chunked body. Zero it for each body. */
struct http1_chunked {
    uint8_t state;
    uint64_t left;    /* of the current chunk */
    size_t line_size; /* of the current line, for its limit */
    size_t trailers_size;
    bool has_digits, done;
};
/* Decode what there is: content is appended to `out` (whose ceiling is the body's limit: check
 * out->failed). Returns how many bytes of `in` were used, or -ERR_INVALID. c->done after the last
 * chunk's trailers; bytes behind belong to the next request. */
NODISCARD ptrdiff_t http1_chunked_decode(struct http1_chunked *c, struct str in, struct buf *out);

bool http1_is_token(struct str s); /* of RFC 7230: names of headers and methods */
/* Whether a comma-separated header value has this element, regardless of case. */
bool http1_list_has(struct str value, struct str element);
