#include "proto/http1.h"

#include "base/buf.h"
#include "base/err.h"

/* RFC 7230's tchar, and which bytes a value may have: all but control characters other than tab. */
#define T 1u
#define V 2u
static const uint8_t char_class[256] = {
    ['\t'] = V,          [' '] = V,     ['!'] = T | V,  ['"'] = V,     ['#'] = T | V, ['$'] = T | V,
    ['%'] = T | V,       ['&'] = T | V, ['\''] = T | V, ['('] = V,     [')'] = V,     ['*'] = T | V,
    ['+'] = T | V,       [','] = V,     ['-'] = T | V,  ['.'] = T | V, ['/'] = V,     ['0'] = T | V,
    ['1'] = T | V,       ['2'] = T | V, ['3'] = T | V,  ['4'] = T | V, ['5'] = T | V, ['6'] = T | V,
    ['7'] = T | V,       ['8'] = T | V, ['9'] = T | V,  [':'] = V,     [';'] = V,     ['<'] = V,
    ['='] = V,           ['>'] = V,     ['?'] = V,      ['@'] = V,     ['A'] = T | V, ['B'] = T | V,
    ['C'] = T | V,       ['D'] = T | V, ['E'] = T | V,  ['F'] = T | V, ['G'] = T | V, ['H'] = T | V,
    ['I'] = T | V,       ['J'] = T | V, ['K'] = T | V,  ['L'] = T | V, ['M'] = T | V, ['N'] = T | V,
    ['O'] = T | V,       ['P'] = T | V, ['Q'] = T | V,  ['R'] = T | V, ['S'] = T | V, ['T'] = T | V,
    ['U'] = T | V,       ['V'] = T | V, ['W'] = T | V,  ['X'] = T | V, ['Y'] = T | V, ['Z'] = T | V,
    ['['] = V,           ['\\'] = V,    [']'] = V,      ['^'] = T | V, ['_'] = T | V, ['`'] = T | V,
    ['a'] = T | V,       ['b'] = T | V, ['c'] = T | V,  ['d'] = T | V, ['e'] = T | V, ['f'] = T | V,
    ['g'] = T | V,       ['h'] = T | V, ['i'] = T | V,  ['j'] = T | V, ['k'] = T | V, ['l'] = T | V,
    ['m'] = T | V,       ['n'] = T | V, ['o'] = T | V,  ['p'] = T | V, ['q'] = T | V, ['r'] = T | V,
    ['s'] = T | V,       ['t'] = T | V, ['u'] = T | V,  ['v'] = T | V, ['w'] = T | V, ['x'] = T | V,
    ['y'] = T | V,       ['z'] = T | V, ['{'] = V,      ['|'] = T | V, ['}'] = V,     ['~'] = T | V,
    [0x80 ... 0xff] = V,
};
#undef T
#undef V
#define CHAR_TOKEN 1u
#define CHAR_VALUE 2u

static bool all_of(struct str s, uint8_t class)
{
    uint8_t common = class;
    for (size_t i = 0; i < s.n; i++) {
        common &= char_class[(uint8_t)s.p[i]];
    }
    return common != 0;
}

bool http1_is_token(struct str s)
{
    return s.n > 0 && all_of(s, CHAR_TOKEN);
}

bool http1_list_has(struct str value, struct str element)
{
    struct str rest = value, piece;
    while (str_split_next(&rest, ',', &piece)) {
        if (str_eq_fold(str_trim(piece), element)) {
            return true;
        }
    }
    return false;
}

ptrdiff_t http1_head_size(struct http1_scan *scan, struct str in, const struct http1_limits *limits)
{
    size_t end = MIN(in.n, limits->head_size_max);
    if (in.n > 0 && !(char_class[(uint8_t)in.p[0]] & CHAR_TOKEN)) {
        return -ERR_INVALID; /* the greeting of another protocol, maybe one that waits for ours */
    }
    while (scan->pos < end) {
        const char *lf = memchr(in.p + scan->pos, '\n', end - scan->pos);
        if (lf == NULL) {
            scan->pos = end;
            break;
        }
        size_t line_end = (size_t)(lf - in.p);
        size_t size = line_end - scan->line_start;
        scan->pos = line_end + 1;
        if (size == 0 || (size == 1 && in.p[line_end - 1] == '\r')) {
            return (ptrdiff_t)scan->pos;
        }
        scan->line_start = scan->pos;
    }
    return in.n >= limits->head_size_max ? -ERR_TOO_LARGE : 0;
}

/* --- the head ------------------------------------------------------------------------------ */

static int bad(struct http1_error *ret_error, int status, const char *text)
{
    *ret_error = (struct http1_error){status, text};
    return -ERR_INVALID;
}

#define BAD_REQUEST "400 Bad Request"

/* The next line without its end. There is one: the head ends in a line end. */
static struct str next_line(struct str *rest)
{
    const char *lf = memchr(rest->p, '\n', rest->n);
    size_t n = lf != NULL ? (size_t)(lf - rest->p) : rest->n;
    struct str line = {rest->p, n};
    *rest = str_from(*rest, n + 1);
    if (line.n > 0 && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

static int parse_request_line(struct str line, struct http1_head *head, struct http1_error *error)
{
    struct str rest, version;
    if (!str_cut(line, ' ', &head->method, &rest) || !str_cut(rest, ' ', &head->target, &version) ||
        !http1_is_token(head->method) || head->target.n == 0) {
        return bad(error, 400, BAD_REQUEST);
    }
    if (str_eq_lit(version, "HTTP/1.1")) {
        head->minor = 1;
    } else if (str_eq_lit(version, "HTTP/1.0")) {
        head->minor = 0;
    } else if (version.n == 8 && str_has_prefix(version, STR("HTTP/")) && version.p[5] >= '0' &&
               version.p[5] <= '9' && version.p[6] == '.' && version.p[7] >= '0' &&
               version.p[7] <= '9') {
        if (version.p[5] == '1') { /* a later one that is to be understood as this */
            head->minor = 1;
            return 0;
        }
        return bad(error, 505, "505 HTTP Version Not Supported: unsupported protocol version");
    } else {
        return bad(error, 400, BAD_REQUEST);
    }
    return 0;
}

/* Digits only: "+5", "0x5" and "5, 5" are read differently by different programs. */
static int parse_content_length(struct str value, struct http1_head *head)
{
    uint64_t n;
    if (value.n == 0 || value.n > 19 || value.p[0] < '0' || value.p[0] > '9' ||
        str_parse_u64(value, &n) < 0 || (head->has_content_length && n != head->content_length)) {
        return -ERR_INVALID;
    }
    head->has_content_length = true;
    head->content_length = n;
    return 0;
}

struct connection { /* what the headers that matter here have said */
    bool close, keep_alive, has_host, has_transfer_encoding;
};

static int interpret(const struct http_header *h, struct http1_head *head, struct connection *conn,
                     struct http1_error *error)
{
    /* By size first: most headers are none of these. */
    switch (h->name.n) {
    case 4:
        if (str_eq_fold(h->name, STR("Host"))) {
            if (conn->has_host) {
                return bad(error, 400, BAD_REQUEST);
            }
            conn->has_host = true;
            head->host = h->value;
        }
        break;
    case 6:
        if (str_eq_fold(h->name, STR("Expect")) && h->value.n > 0) {
            if (str_eq_fold(h->value, STR("100-continue"))) {
                head->expect_continue = true;
            } else {
                head->expect_unknown = true;
            }
        }
        break;
    case 10:
        if (str_eq_fold(h->name, STR("Connection"))) {
            conn->close |= http1_list_has(h->value, STR("close"));
            conn->keep_alive |= http1_list_has(h->value, STR("keep-alive"));
        }
        break;
    case 14:
        if (str_eq_fold(h->name, STR("Content-Length")) &&
            parse_content_length(h->value, head) < 0) {
            return bad(error, 400, BAD_REQUEST);
        }
        break;
    case 17:
        if (str_eq_fold(h->name, STR("Transfer-Encoding"))) {
            if (conn->has_transfer_encoding || !str_eq_fold(h->value, STR("chunked"))) {
                return bad(error, 501, "501 Not Implemented");
            }
            conn->has_transfer_encoding = true;
        }
        break;
    default:
        break;
    }
    return 0;
}

/* Once all headers are known. */
static int conclude(struct http1_head *head, const struct connection *conn,
                    struct http1_error *error)
{
    if (conn->has_transfer_encoding) {
        if (head->has_content_length || head->minor == 0) {
            return bad(error, 400, BAD_REQUEST);
        }
        head->chunked = true;
    }
    if (head->minor >= 1 && !conn->has_host && !str_eq_lit(head->method, "CONNECT")) {
        return bad(error, 400, "400 Bad Request: missing required Host header");
    }
    if (str_find_byte(head->host, '/') >= 0 || str_find_byte(head->host, ' ') >= 0 ||
        str_find_byte(head->host, '@') >= 0) {
        return bad(error, 400, "400 Bad Request: malformed Host header");
    }
    if (head->minor == 0) {
        head->expect_continue = false; /* 1.0 knows no 100 */
    }
    head->keep_alive = !conn->close && (head->minor >= 1 || conn->keep_alive);
    return 0;
}

static int parse_header(struct str line, struct http_header *ret_header, struct http1_error *error)
{
    const char *colon = memchr(line.p, ':', line.n);
    if (colon == NULL) {
        return bad(error, 400, BAD_REQUEST); /* also a folded line without one */
    }
    ret_header->name = str_make(line.p, (size_t)(colon - line.p));
    ret_header->value = str_trim(str_from(line, ret_header->name.n + 1));
    if (ret_header->name.n == 0 || line.p[0] == ' ' || line.p[0] == '\t') {
        return bad(error, 400, BAD_REQUEST);
    }
    if (!http1_is_token(ret_header->name)) {
        return bad(error, 400, "400 Bad Request: invalid header name");
    }
    if (!all_of(ret_header->value, CHAR_VALUE)) {
        return bad(error, 400, "400 Bad Request: invalid header value");
    }
    return 0;
}

int http1_parse_head(struct str bytes, struct arena *a, const struct http1_limits *limits,
                     struct http1_head *ret_head, struct http1_error *ret_error)
{
    struct http1_head head = {0};
    struct connection conn = {0};
    struct str rest = bytes;
    int r = parse_request_line(next_line(&rest), &head, ret_error);
    if (r < 0) {
        return r;
    }
    size_t cap = 0;
    for (struct str line; rest.n > 0 && (line = next_line(&rest)).n > 0;) {
        if (head.headers_count == limits->headers_max) {
            return bad(ret_error, 431, "431 Request Header Fields Too Large");
        }
        if (head.headers_count == cap) {
            cap = cap == 0 ? 8 : cap * 2;
            struct http_header *grown = arena_alloc(a, cap * sizeof(*grown));
            if (head.headers_count > 0) {
                memcpy(grown, head.headers, head.headers_count * sizeof(*grown));
            }
            head.headers = grown;
        }
        struct http_header *h = &head.headers[head.headers_count++];
        r = parse_header(line, h, ret_error);
        if (r < 0 || (r = interpret(h, &head, &conn, ret_error)) < 0) {
            return r;
        }
    }
    r = conclude(&head, &conn, ret_error);
    if (r < 0) {
        return r;
    }
    *ret_head = head;
    return 0;
}

/* --- targets ------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http1_unescape(struct str s, bool plus, struct arena *a, struct str *ret_s)
{
    if (str_find_byte(s, '%') < 0 && (!plus || str_find_byte(s, '+') < 0)) {
        *ret_s = s;
        return 0;
    }
    char *to = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
            int low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return -ERR_INVALID;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        to[n++] = c;
    }
    to[n] = '\0';
    *ret_s = str_make(to, n);
    return 0;
}

int http1_parse_target(struct str target, struct arena *a, struct str *ret_path,
                       struct str *ret_query)
{
    for (size_t i = 0; i < target.n; i++) {
        if ((uint8_t)target.p[i] <= ' ' || target.p[i] == 0x7f) {
            return -ERR_INVALID;
        }
    }
    struct str path, query;
    (void)str_cut(target, '?', &path, &query);
    if (path.n > 0 && path.p[0] != '/' && !str_eq_lit(path, "*")) {
        ptrdiff_t scheme = str_find(path, STR("://"));
        if (scheme <= 0) {
            return -ERR_INVALID;
        }
        path = str_from(path, (size_t)scheme + 3);
        ptrdiff_t slash = str_find_byte(path, '/');
        path = slash >= 0 ? str_from(path, (size_t)slash) : STR("");
    } else if (path.n == 0) {
        return -ERR_INVALID;
    }
    int r = http1_unescape(path, false, a, ret_path);
    if (r == 0) {
        *ret_query = query;
    }
    return r;
}

void http1_escape_path(struct buf *to, struct str path)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     (c != '\0' && strchr("-_.~$&+,/:;=@", c) != NULL);
        if (plain) {
            buf_byte(to, (uint8_t)c);
        } else {
            buf_byte(to, '%');
            buf_byte(to, (uint8_t)digits[(uint8_t)c >> 4]);
            buf_byte(to, (uint8_t)digits[(uint8_t)c & 15]);
        }
    }
}

/* --- chunked bodies ------------------------------------------------------------------------ */

enum chunked_state {
    CHUNK_SIZE,      /* hexadecimal digits */
    CHUNK_EXTENSION, /* the rest of that line, ignored */
    CHUNK_SIZE_LF,   /* after its CR */
    CHUNK_DATA,
    CHUNK_DATA_CR, /* the line end after the content */
    CHUNK_DATA_LF,
    CHUNK_TRAILER_START, /* at the start of a trailer's line */
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF, /* after the CR of a trailer's line */
    CHUNK_END_LF,     /* after the CR of the last, empty line */
};

static int chunk_size_end(struct http1_chunked *c)
{
    if (!c->has_digits) {
        return -ERR_INVALID;
    }
    c->state = c->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_START;
    c->line_size = 0;
    c->has_digits = false;
    return 0;
}

/* One byte of framing. */
static int chunk_step(struct http1_chunked *c, char byte)
{
    int digit;
    switch ((enum chunked_state)c->state) {
    case CHUNK_SIZE:
        digit = hex_digit(byte);
        if (digit >= 0) {
            if (c->left >> 59 != 0) {
                return -ERR_INVALID; /* beyond 63 bits */
            }
            c->left = c->left << 4 | (uint64_t)digit;
            c->has_digits = true;
            break;
        }
        if (memchr("\r\n; \t", byte, 5) == NULL) {
            return -ERR_INVALID;
        }
        c->state = CHUNK_EXTENSION;
        FALLTHROUGH;
    case CHUNK_EXTENSION:
        if (byte == '\n') {
            return chunk_size_end(c);
        }
        if (byte == '\r') {
            c->state = CHUNK_SIZE_LF;
        } else if (c->line_size == 0 || !c->has_digits ||
                   (char_class[(uint8_t)byte] & CHAR_VALUE) == 0) {
            return -ERR_INVALID;
        }
        break;
    case CHUNK_SIZE_LF:
        return byte == '\n' ? chunk_size_end(c) : -ERR_INVALID;
    case CHUNK_DATA_CR:
        if (byte == '\r') {
            c->state = CHUNK_DATA_LF;
            break;
        }
        FALLTHROUGH;
    case CHUNK_DATA_LF:
        c->state = CHUNK_SIZE;
        c->line_size = 0;
        return byte == '\n' ? 0 : -ERR_INVALID;
    case CHUNK_TRAILER_START:
        if (byte == '\n') {
            c->done = true;
        } else if (byte == '\r') {
            c->state = CHUNK_END_LF;
        } else {
            c->state = CHUNK_TRAILER; /* read over: nobody here uses trailers */
            return (char_class[(uint8_t)byte] & CHAR_TOKEN) != 0 ? 0 : -ERR_INVALID;
        }
        break;
    case CHUNK_TRAILER:
        if (byte == '\n') {
            c->state = CHUNK_TRAILER_START;
        } else if (byte == '\r') {
            c->state = CHUNK_TRAILER_LF;
        } else if ((char_class[(uint8_t)byte] & CHAR_VALUE) == 0) {
            return -ERR_INVALID;
        }
        break;
    case CHUNK_TRAILER_LF:
        c->state = CHUNK_TRAILER_START;
        return byte == '\n' ? 0 : -ERR_INVALID;
    case CHUNK_END_LF:
        c->done = true;
        return byte == '\n' ? 0 : -ERR_INVALID;
    case CHUNK_DATA:
        break;
    }
    return 0;
}

ptrdiff_t http1_chunked_decode(struct http1_chunked *c, struct str in, struct buf *out)
{
    size_t i = 0;
    while (i < in.n && !c->done) {
        if (c->state == CHUNK_DATA) {
            size_t n = (size_t)MIN((uint64_t)(in.n - i), c->left);
            buf_put(out, in.p + i, n);
            i += n;
            c->left -= n;
            c->state = c->left == 0 ? CHUNK_DATA_CR : CHUNK_DATA;
            continue;
        }
        bool in_trailers = c->state >= CHUNK_TRAILER_START;
        int r = chunk_step(c, in.p[i++]);
        if (r < 0) {
            return r;
        }
        if (c->state == CHUNK_SIZE || c->state == CHUNK_EXTENSION) {
            if (++c->line_size > HTTP1_CHUNK_LINE_SIZE_MAX) {
                return -ERR_INVALID;
            }
        }
        if (in_trailers && ++c->trailers_size > HTTP1_TRAILERS_SIZE_MAX) {
            return -ERR_INVALID;
        }
    }
    return (ptrdiff_t)i;
}
