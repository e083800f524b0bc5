/* Two passes. The first reads the text into nodes that stand for what was written: items (keys and
 * a value), lists, literals. The second makes values of them by the rules of HCL 1's decoder when
 * it decodes into "anything": an object that is a member's value becomes a list of one map, members
 * of the same name are joined, labels become nested maps.
 *
 * Scanner errors win over the parser's, the last of them over earlier ones: that is what the
 * original reports, and people search for these sentences. */
#include "schema/hcl.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/vec.h"
#include "schema/json.h"

#include <errno.h>
#include <stdlib.h>

#define RUNE_EOF 0u
#define RUNE_BAD 0xfffdu

/* --- scanner -------------------------------------------------------------------------------- */

/* clang-format off */
#define TOKENS(X)               \
    X(TOKEN_ILLEGAL, "ILLEGAL") \
    X(TOKEN_EOF, "EOF")         \
    X(TOKEN_COMMENT, "COMMENT") \
    X(TOKEN_IDENT, "IDENT")     \
    X(TOKEN_NUMBER, "NUMBER")   \
    X(TOKEN_FLOAT, "FLOAT")     \
    X(TOKEN_BOOL, "BOOL")       \
    X(TOKEN_STRING, "STRING")   \
    X(TOKEN_HEREDOC, "HEREDOC") \
    X(TOKEN_LBRACK, "LBRACK")   \
    X(TOKEN_LBRACE, "LBRACE")   \
    X(TOKEN_COMMA, "COMMA")     \
    X(TOKEN_PERIOD, "PERIOD")   \
    X(TOKEN_RBRACK, "RBRACK")   \
    X(TOKEN_RBRACE, "RBRACE")   \
    X(TOKEN_ASSIGN, "ASSIGN")   \
    X(TOKEN_ADD, "ADD")         \
    X(TOKEN_SUB, "SUB")
/* clang-format on */

enum token_kind {
#define X(name, text) name,
    TOKENS(X)
#undef X
};

static const char *const token_texts[] = {
#define X(name, text) text,
    TOKENS(X)
#undef X
};

struct pos {
    size_t offset; /* of the byte behind the last rune read */
    unsigned line, column;
};

struct token {
    enum token_kind kind;
    struct pos pos;
    struct str text;
};

struct scanner {
    struct str text;
    struct pos pos, prev;
    size_t rune_size;      /* bytes of the rune read last; 0 at the end */
    unsigned line_columns; /* length of the last finished line */
    bool failed;
    struct pos err_pos;
    const char *err_text;
};

static void scanner_fail(struct scanner *s, const char *text)
{
    s->failed = true;
    s->err_text = text;
    s->err_pos = s->pos;
    if (s->pos.column == 0) { /* the last rune was a newline: it belongs to the line before */
        s->err_pos.line = s->line_columns > 0 ? s->pos.line - 1 : 1;
        s->err_pos.column = s->line_columns > 0 ? s->line_columns : 1;
    }
}

/* Decode one rune of UTF-8; its size, or 1 and RUNE_BAD for a byte that starts none. */
static size_t rune_decode(struct str s, uint32_t *ret_rune)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)s.p[0];
    size_t size = first < 0x80 ? 1 : (first >> 5) == 6 ? 2 : (first >> 4) == 14 ? 3 : 4;
    if (size == 1) {
        *ret_rune = first;
        return 1;
    }
    *ret_rune = RUNE_BAD;
    if ((size == 4 && (first >> 3) != 30) || s.n < size) {
        return 1;
    }
    uint32_t rune = first & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (((uint8_t)s.p[i] & 0xc0) != 0x80) {
            return 1;
        }
        rune = (rune << 6) | ((uint8_t)s.p[i] & 0x3f);
    }
    if (rune < smallest[size] || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) {
        return 1;
    }
    *ret_rune = rune;
    return size;
}

static void rune_encode(struct buf *to, uint32_t rune)
{
    if (rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) {
        rune = RUNE_BAD;
    }
    if (rune < 0x80) {
        buf_byte(to, (uint8_t)rune);
    } else if (rune < 0x800) {
        buf_byte(to, (uint8_t)(0xc0 | (rune >> 6)));
        buf_byte(to, (uint8_t)(0x80 | (rune & 0x3f)));
    } else if (rune < 0x10000) {
        buf_byte(to, (uint8_t)(0xe0 | (rune >> 12)));
        buf_byte(to, (uint8_t)(0x80 | ((rune >> 6) & 0x3f)));
        buf_byte(to, (uint8_t)(0x80 | (rune & 0x3f)));
    } else {
        buf_byte(to, (uint8_t)(0xf0 | (rune >> 18)));
        buf_byte(to, (uint8_t)(0x80 | ((rune >> 12) & 0x3f)));
        buf_byte(to, (uint8_t)(0x80 | ((rune >> 6) & 0x3f)));
        buf_byte(to, (uint8_t)(0x80 | (rune & 0x3f)));
    }
}

static uint32_t scanner_peek(const struct scanner *s)
{
    uint32_t rune = RUNE_EOF;
    if (s->pos.offset < s->text.n) {
        (void)rune_decode(str_from(s->text, s->pos.offset), &rune);
    }
    return rune;
}

static uint32_t scanner_next(struct scanner *s)
{
    if (s->pos.offset >= s->text.n) {
        s->pos.column++;
        s->rune_size = 0;
        return RUNE_EOF;
    }
    uint32_t rune;
    s->prev = s->pos;
    s->rune_size = rune_decode(str_from(s->text, s->pos.offset), &rune);
    s->pos.offset += s->rune_size;
    s->pos.column++;
    if (rune == RUNE_BAD && s->rune_size == 1) {
        scanner_fail(s, "illegal UTF-8 encoding");
    } else if (rune == '\n') {
        s->pos.line++;
        s->line_columns = s->pos.column;
        s->pos.column = 0;
    } else if (rune == 0) {
        scanner_fail(s, "unexpected null character (0x00)");
    }
    return rune;
}

static void scanner_unread(struct scanner *s)
{
    s->pos = s->prev;
}

static bool rune_is_decimal(uint32_t r)
{
    return r >= '0' && r <= '9';
}

static bool rune_is_hex(uint32_t r)
{
    return rune_is_decimal(r) || (r >= 'a' && r <= 'f') || (r >= 'A' && r <= 'F');
}

/* Beyond ASCII any rune counts as a letter except what is plainly space or punctuation: a full
 * table of letters would buy nothing but stricter names. */
static bool rune_is_letter(uint32_t r)
{
    if (r < 0x80) {
        return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || r == '_';
    }
    return r >= 0xaa && !(r >= 0xab && r < 0xb5) && !(r > 0xb5 && r < 0xba) &&
           !(r > 0xba && r < 0xc0) && !(r >= 0x2000 && r < 0x2070) &&
           !(r >= 0x3000 && r < 0x3005) && r != RUNE_BAD && r != 0xfeff;
}

static void scan_identifier(struct scanner *s)
{
    uint32_t r = scanner_next(s);
    while (rune_is_letter(r) || rune_is_decimal(r) || r == '-' || r == '.') {
        r = scanner_next(s);
    }
    if (r != RUNE_EOF) {
        scanner_unread(s);
    }
}

static void scan_comment(struct scanner *s, uint32_t r)
{
    if (r == '#' || scanner_peek(s) != '*') {
        if (r == '/' && scanner_peek(s) != '/') {
            scanner_fail(s, "expected '/' for comment");
            return;
        }
        do {
            r = scanner_next(s);
        } while (r != '\n' && r != RUNE_EOF);
        if (r == '\n') {
            scanner_unread(s);
        }
        return;
    }
    (void)scanner_next(s);
    r = scanner_next(s);
    for (;;) {
        if (r == RUNE_EOF) {
            scanner_fail(s, "comment not terminated");
            return;
        }
        uint32_t before = r;
        r = scanner_next(s);
        if (before == '*' && r == '/') {
            return;
        }
    }
}

static void scan_digits(struct scanner *s)
{
    while (rune_is_decimal(scanner_peek(s))) {
        (void)scanner_next(s);
    }
}

static enum token_kind scan_number(struct scanner *s, uint32_t r)
{
    bool octal = r == '0' && rune_is_decimal(scanner_peek(s)), bad_octal = false;
    if (r == '0' && (scanner_peek(s) == 'x' || scanner_peek(s) == 'X')) {
        (void)scanner_next(s);
        if (!rune_is_hex(scanner_peek(s))) {
            (void)scanner_next(s);
            scanner_fail(s, "illegal hexadecimal number");
            return TOKEN_NUMBER;
        }
        while (rune_is_hex(scanner_peek(s))) {
            (void)scanner_next(s);
        }
        return TOKEN_NUMBER;
    }
    for (unsigned digits = 0; rune_is_decimal(scanner_peek(s)); digits++) {
        r = scanner_next(s);
        bad_octal |= octal && r >= '8' && digits > 0; /* 09 is left to the conversion */
    }
    enum token_kind kind = TOKEN_NUMBER;
    if (scanner_peek(s) == '.') {
        (void)scanner_next(s);
        scan_digits(s);
        kind = TOKEN_FLOAT;
    }
    if (scanner_peek(s) == 'e' || scanner_peek(s) == 'E') {
        (void)scanner_next(s);
        if (scanner_peek(s) == '-' || scanner_peek(s) == '+') {
            (void)scanner_next(s);
        }
        scan_digits(s);
        kind = TOKEN_FLOAT;
    }
    if (kind == TOKEN_NUMBER && bad_octal) {
        bool is_end = scanner_next(s) == RUNE_EOF; /* reported behind the number */
        scanner_fail(s, "illegal octal number");
        if (!is_end) {
            scanner_unread(s);
        }
    }
    return kind;
}

static unsigned digit_value(uint32_t r)
{
    return rune_is_decimal(r)       ? r - '0'
           : (r >= 'a' && r <= 'f') ? r - 'a' + 10
           : (r >= 'A' && r <= 'F') ? r - 'A' + 10
                                    : 16;
}

static void scan_escape(struct scanner *s)
{
    uint32_t r = scanner_next(s);
    unsigned base = 16, count = 0;
    if (r != RUNE_EOF && r < 0x80 && strchr("abfnrtv\\\"", (int)r) != NULL) {
        return;
    }
    if (r >= '0' && r <= '7') {
        base = 8;
        count = 2; /* this one is the first of three */
    } else if (r == 'x') {
        count = 2;
    } else if (r == 'u') {
        count = 4;
    } else if (r == 'U') {
        count = 8;
    } else {
        scanner_fail(s, "illegal char escape");
        return;
    }
    for (; count > 0; count--) {
        if (digit_value(scanner_peek(s)) >= base) {
            scanner_fail(s, "illegal char escape");
            return;
        }
        (void)scanner_next(s);
    }
}

static void scan_string(struct scanner *s)
{
    unsigned braces = 0;
    for (;;) {
        uint32_t r = scanner_next(s);
        if ((r == '\n' && braces == 0) || r == RUNE_EOF) {
            scanner_fail(s, "literal not terminated");
            return;
        }
        if (r == '"' && braces == 0) {
            return;
        }
        if (braces == 0 && r == '$' && scanner_peek(s) == '{') {
            braces++;
            (void)scanner_next(s);
        } else if (braces > 0 && r == '{') {
            braces++;
        } else if (braces > 0 && r == '}') {
            braces--;
        } else if (r == '\\') {
            scan_escape(s);
        }
    }
}

/* A line that holds the anchor alone, after white space. */
static bool heredoc_line_ends(struct str line, struct str anchor)
{
    while (line.n > 0 && strchr(" \t\v\f\r", line.p[0]) != NULL) {
        line = str_from(line, 1);
    }
    return str_eq(line, anchor);
}

static void scan_heredoc(struct scanner *s)
{
    if (scanner_next(s) != '<') {
        scanner_fail(s, "heredoc expected second '<', didn't see it");
        return;
    }
    size_t start = s->pos.offset;
    uint32_t r = scanner_next(s);
    if (r == '-') {
        start = s->pos.offset;
        r = scanner_next(s);
    }
    while (rune_is_letter(r) || rune_is_decimal(r)) {
        r = scanner_next(s);
    }
    if (r == RUNE_EOF) {
        scanner_fail(s, "heredoc not terminated");
        return;
    }
    if (r != '\n') {
        scanner_fail(s, "invalid characters in heredoc anchor");
        return;
    }
    struct str anchor = str_make(s->text.p + start, s->pos.offset - 1 - start);
    if (anchor.n == 0) {
        scanner_fail(s, "zero-length heredoc anchor");
        return;
    }
    size_t line = s->pos.offset;
    for (;;) {
        r = scanner_next(s);
        if (r == RUNE_EOF) {
            scanner_fail(s, "heredoc not terminated");
            return;
        }
        if (r == '\n') {
            if (heredoc_line_ends(str_make(s->text.p + line, s->pos.offset - 1 - line), anchor)) {
                return;
            }
            line = s->pos.offset;
        }
    }
}

static enum token_kind scan_kind(struct scanner *s, uint32_t r)
{
    if (rune_is_letter(r)) {
        scan_identifier(s);
        return TOKEN_IDENT;
    }
    if (rune_is_decimal(r) || (r == '-' && rune_is_decimal(scanner_peek(s)))) {
        return scan_number(s, r == '-' ? scanner_next(s) : r);
    }
    switch (r) {
    case RUNE_EOF:
        return TOKEN_EOF;
    case '"':
        scan_string(s);
        return TOKEN_STRING;
    case '#':
    case '/':
        scan_comment(s, r);
        return TOKEN_COMMENT;
    case '<':
        scan_heredoc(s);
        return TOKEN_HEREDOC;
    case '.':
        if (rune_is_decimal(scanner_peek(s))) {
            (void)scan_number(s, scanner_next(s));
            return TOKEN_FLOAT;
        }
        return TOKEN_PERIOD;
    case '[':
        return TOKEN_LBRACK;
    case ']':
        return TOKEN_RBRACK;
    case '{':
        return TOKEN_LBRACE;
    case '}':
        return TOKEN_RBRACE;
    case ',':
        return TOKEN_COMMA;
    case '=':
        return TOKEN_ASSIGN;
    case '+':
        return TOKEN_ADD;
    case '-':
        return TOKEN_SUB;
    default:
        scanner_fail(s, "illegal char");
        return TOKEN_ILLEGAL;
    }
}

static struct token scan(struct scanner *s)
{
    uint32_t r;
    do {
        r = scanner_next(s);
    } while (r == ' ' || r == '\t' || r == '\n' || r == '\r');
    struct token t = {.pos = s->pos};
    size_t start = s->pos.offset - s->rune_size;
    t.kind = scan_kind(s, r);
    t.text = str_make(s->text.p + start, s->pos.offset - start);
    if (t.kind == TOKEN_IDENT && (str_eq_lit(t.text, "true") || str_eq_lit(t.text, "false"))) {
        t.kind = TOKEN_BOOL;
    }
    return t;
}

/* --- nodes ---------------------------------------------------------------------------------- */

enum node_kind { NODE_LITERAL, NODE_LIST, NODE_OBJECT };

struct item;

struct node {
    enum node_kind kind;
    struct token token; /* a literal's, or the opening bracket */
    VEC(struct node *) list;
    VEC(struct item *) items;
};

struct item {
    VEC(struct str) keys; /* unquoted */
    struct node *value;
};

struct parser {
    struct scanner scanner;
    struct arena *tmp; /* for nodes */
    struct token token;
    bool again; /* the next scan gives the same token once more */
    bool eof;   /* the text ended where an item or its value could have begun */
    unsigned depth;
    bool too_deep;
    struct err *err;
};

static enum token_kind parser_scan(struct parser *p)
{
    if (p->again) {
        p->again = false;
        return p->token.kind;
    }
    do {
        p->token = scan(&p->scanner);
    } while (p->token.kind == TOKEN_COMMENT);
    return p->token.kind;
}

static int parser_fail(struct parser *p, const char *format, ...) PRINTF(2, 3);
static int parser_fail(struct parser *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)err_vset(p->err, ERR_INVALID, format, args);
    va_end(args);
    return err_wrap(p->err, "At %u:%u", p->token.pos.line, p->token.pos.column);
}

/* --- literals ------------------------------------------------------------------------------- */

static int escape_decode(struct str *s, struct buf *to)
{
    static const char names[] = "abfnrtv\\\"", bytes[] = "\a\b\f\n\r\t\v\\\"";
    if (s->n < 2) {
        return -ERR_INVALID;
    }
    char c = s->p[1];
    const char *simple = c != '\0' ? strchr(names, c) : NULL;
    *s = str_from(*s, 2);
    if (simple != NULL) {
        buf_byte(to, (uint8_t)bytes[simple - names]);
        return 0;
    }
    bool is_octal = c >= '0' && c <= '7';
    size_t count = is_octal ? 2 : c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t value = is_octal ? (uint32_t)(c - '0') : 0;
    if (count == 0 || s->n < count) {
        return -ERR_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned digit = digit_value((uint8_t)s->p[i]);
        if (digit >= (is_octal ? 8u : 16u)) {
            return -ERR_INVALID;
        }
        value = value * (is_octal ? 8 : 16) + digit;
    }
    *s = str_from(*s, count);
    if (is_octal || c == 'x') {
        if (value > 255) {
            return -ERR_INVALID;
        }
        buf_byte(to, (uint8_t)value); /* one byte, whatever it makes of the text */
        return 0;
    }
    if (value > 0x10ffff) {
        return -ERR_INVALID;
    }
    rune_encode(to, value);
    return 0;
}

/* The text between the quotes; what stands within ${…} is taken as it is. */
static int unquote(struct arena *a, struct str quoted, struct str *ret_text)
{
    if (quoted.n < 2 || quoted.p[0] != '"' || quoted.p[quoted.n - 1] != '"') {
        return -ERR_INVALID;
    }
    struct str s = str_make(quoted.p + 1, quoted.n - 2);
    if (str_find_byte(s, '\\') < 0 && str_find_byte(s, '$') < 0) {
        if (str_find_byte(s, '\n') >= 0 || str_find_byte(s, '"') >= 0) {
            return -ERR_INVALID;
        }
        *ret_text = arena_str(a, s);
        return 0;
    }
    struct buf out = {0};
    int rc = 0;
    unsigned braces = 0;
    while (s.n > 0 && rc == 0) {
        if (braces > 0) {
            braces += s.p[0] == '{';
            braces -= s.p[0] == '}';
            buf_byte(&out, (uint8_t)s.p[0]);
            s = str_from(s, 1);
        } else if (str_has_prefix(s, STR("${"))) {
            braces = 1;
            buf_lit(&out, "${");
            s = str_from(s, 2);
        } else if (s.p[0] == '\\') {
            rc = escape_decode(&s, &out);
        } else if (s.p[0] == '\n' || s.p[0] == '"') {
            rc = -ERR_INVALID;
        } else {
            buf_byte(&out, (uint8_t)s.p[0]);
            s = str_from(s, 1);
        }
    }
    if (rc == 0 && (braces > 0 || out.failed)) {
        rc = -ERR_INVALID;
    }
    if (rc == 0) {
        *ret_text = arena_str(a, buf_view(&out));
    }
    buf_deinit(&out);
    return rc;
}

/* The lines between the anchors. After <<- the indentation of the closing anchor is taken off every
 * line if every line has it; otherwise the text stays as it is. Without the dash, spaces before the
 * closing anchor stay behind the last newline, as they do in the original. */
static struct str heredoc_text(struct arena *a, struct str text)
{
    bool unindent = text.p[2] == '-';
    size_t first = (size_t)str_find_byte(text, '\n');
    size_t anchor_size = first - (unindent ? 3 : 2);
    struct str body = str_make(text.p + first + 1, text.n - first - 1 - anchor_size - 1);
    if (!unindent) {
        return arena_str(a, body);
    }
    ptrdiff_t newline = str_rfind_byte(body, '\n');
    struct str indent = str_from(body, newline < 0 ? 0 : (size_t)newline + 1);
    struct str content = str_first(body, body.n - indent.n);
    struct str rest = content, line;
    struct buf out = {0};
    bool is_indented = true;
    while (is_indented && rest.n > 0 && str_split_next(&rest, '\n', &line)) {
        is_indented = str_has_prefix(line, indent);
        buf_str(&out, str_from(line, indent.n));
        buf_byte(&out, '\n');
    }
    struct str ret = arena_str(a, is_indented ? buf_view(&out) : content);
    buf_deinit(&out);
    return ret;
}

static int number_parse(struct str text, int64_t *ret_value)
{
    char z[32];
    if (text.n >= sizeof(z)) {
        return -ERR_RANGE;
    }
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    char *end;
    errno = 0;
    long long value = strtoll(z, &end, 0); /* as Go's base 0: 0x is hex, a leading 0 octal */
    if (errno != 0 || *end != '\0') {
        return errno == ERANGE ? -ERR_RANGE : -ERR_INVALID;
    }
    *ret_value = value;
    return 0;
}

static int literal_value(struct arena *a, struct str name, const struct token *t,
                         struct value *ret_value, struct err *err)
{
    int rc;
    switch (t->kind) {
    case TOKEN_BOOL:
        *ret_value = (struct value){.kind = VALUE_BOOL, .b = t->text.p[0] == 't'};
        return 0;
    case TOKEN_NUMBER:
        *ret_value = (struct value){.kind = VALUE_INT};
        if ((rc = number_parse(t->text, &ret_value->i)) < 0) {
            return err_set(err, ERR_INVALID, "strconv.ParseInt: parsing \"%.*s\": %s",
                           (int)MIN(t->text.n, 100u), t->text.p,
                           rc == -ERR_RANGE ? "value out of range" : "invalid syntax");
        }
        return 0;
    case TOKEN_FLOAT:
        *ret_value = (struct value){.kind = VALUE_FLOAT};
        if (str_parse_f64(t->text, &ret_value->f) < 0) {
            return err_set(err, ERR_INVALID, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax",
                           (int)MIN(t->text.n, 100u), t->text.p);
        }
        return 0;
    case TOKEN_HEREDOC:
        *ret_value = (struct value){.kind = VALUE_STR, .s = heredoc_text(a, t->text)};
        return 0;
    case TOKEN_STRING:
        *ret_value = (struct value){.kind = VALUE_STR};
        if (unquote(a, t->text, &ret_value->s) < 0) {
            return err_set(err, ERR_INVALID, "At %u:%u: %.*s: invalid string literal", t->pos.line,
                           t->pos.column, STRF(name));
        }
        return 0;
    default:
        ASSERT(false);
    }
    return -ERR_INVALID;
}

/* --- parser --------------------------------------------------------------------------------- */

static int parse_object(struct parser *p, struct node **ret_node);
static int parse_list(struct parser *p, struct node **ret_node);

static int parser_enter(struct parser *p)
{
    if (p->depth >= HCL_DEPTH_MAX) {
        p->too_deep = true;
        return parser_fail(p, "nested deeper than %u levels", HCL_DEPTH_MAX);
    }
    p->depth++;
    return 0;
}

static struct node *literal_node(struct parser *p)
{
    struct node *node = ARENA_NEW(p->tmp, struct node);
    node->kind = NODE_LITERAL;
    node->token = p->token;
    return node;
}

static int parse_value(struct parser *p, struct node **ret_node)
{
    switch (parser_scan(p)) {
    case TOKEN_NUMBER:
    case TOKEN_FLOAT:
    case TOKEN_BOOL:
    case TOKEN_STRING:
    case TOKEN_HEREDOC:
        *ret_node = literal_node(p);
        return 0;
    case TOKEN_LBRACE:
        return parse_object(p, ret_node);
    case TOKEN_LBRACK:
        return parse_list(p, ret_node);
    case TOKEN_EOF:
        p->eof = true;
        return -ERR_INVALID;
    default:
        return parser_fail(p, "Unknown token: %u:%u %s %.*s", p->token.pos.line,
                           p->token.pos.column, token_texts[p->token.kind],
                           (int)MIN(p->token.text.n, 100u), p->token.text.p);
    }
}

static int parse_list(struct parser *p, struct node **ret_node)
{
    int rc = parser_enter(p);
    if (rc < 0) {
        return rc;
    }
    struct node *node = ARENA_NEW(p->tmp, struct node);
    node->kind = NODE_LIST;
    node->token = p->token;
    bool need_comma = false;
    for (;;) {
        struct node *element = NULL;
        enum token_kind kind = parser_scan(p);
        if (need_comma && kind != TOKEN_COMMA && kind != TOKEN_RBRACK) {
            return parser_fail(p, "error parsing list, expected comma or list end, got: %s",
                               token_texts[kind]);
        }
        struct pos pos = p->token.pos;
        switch (kind) {
        case TOKEN_BOOL:
        case TOKEN_NUMBER:
        case TOKEN_FLOAT:
        case TOKEN_STRING:
        case TOKEN_HEREDOC:
            element = literal_node(p);
            need_comma = true;
            break;
        case TOKEN_COMMA:
            need_comma = false;
            continue;
        case TOKEN_LBRACE:
        case TOKEN_LBRACK:
            rc = kind == TOKEN_LBRACE ? parse_object(p, &element) : parse_list(p, &element);
            if (rc < 0 && p->too_deep) {
                return rc; /* said once, not once for each level */
            }
            if (rc < 0) {
                (void)err_wrap(p->err, "error while trying to parse %s within list",
                               kind == TOKEN_LBRACE ? "object" : "list");
                return err_wrap(p->err, "At %u:%u", pos.line, pos.column);
            }
            need_comma = kind == TOKEN_LBRACE;
            break;
        case TOKEN_RBRACK:
            p->depth--;
            *ret_node = node;
            return 0;
        default:
            return parser_fail(p, "unexpected token while parsing list: %s", token_texts[kind]);
        }
        avec_push(p->tmp, &node->list, element);
    }
}

static int parse_keys(struct parser *p, struct item *item)
{
    for (;;) {
        struct str key;
        enum token_kind kind = parser_scan(p);
        switch (kind) {
        case TOKEN_EOF:
            p->eof = item->keys.n == 0;
            return p->eof ? -ERR_INVALID : 0;
        case TOKEN_ASSIGN:
            if (item->keys.n > 1) {
                return parser_fail(p, "nested object expected: LBRACE got: ASSIGN");
            }
            return item->keys.n == 1 ? 0 : parser_fail(p, "no object keys found!");
        case TOKEN_LBRACE:
            return item->keys.n > 0 ? 0 : parser_fail(p, "expected: IDENT | STRING got: LBRACE");
        case TOKEN_IDENT:
            avec_push(p->tmp, &item->keys, p->token.text);
            break;
        case TOKEN_STRING:
            if (unquote(p->tmp, p->token.text, &key) < 0) {
                return parser_fail(p, "invalid string literal in a key");
            }
            avec_push(p->tmp, &item->keys, key);
            break;
        case TOKEN_ILLEGAL:
            return parser_fail(p, "illegal character");
        default:
            if (kind == TOKEN_RBRACE && item->keys.n > 0) {
                /* Keys without a value before the end of the block: let the caller say so. */
                p->token.kind = TOKEN_EOF;
                return 0;
            }
            return parser_fail(p, "expected: IDENT | STRING | ASSIGN | LBRACE got: %s",
                               token_texts[kind]);
        }
    }
}

static int parse_item(struct parser *p, struct item *item)
{
    int rc = parse_keys(p, item);
    if (rc < 0) {
        return rc;
    }
    if (item->keys.n + p->depth > HCL_DEPTH_MAX) {
        return parser_fail(p, "nested deeper than %u levels", HCL_DEPTH_MAX);
    }
    if (p->token.kind == TOKEN_ASSIGN) {
        return parse_value(p, &item->value);
    }
    if (p->token.kind == TOKEN_LBRACE) {
        p->depth += (unsigned)(item->keys.n - 1); /* each label is a map of its own later */
        rc = parse_object(p, &item->value);
        p->depth -= (unsigned)(item->keys.n - 1);
        return rc;
    }
    struct buf keys;
    buf_init(&keys, 256);
    for (size_t i = 0; i < item->keys.n; i++) {
        buf_printf(&keys, "%s%.*s", i > 0 ? " " : "", STRF(item->keys.v[i]));
    }
    rc = parser_fail(p, "key '%.*s' expected start of object ('{') or assignment ('=')",
                     STRF(buf_view(&keys)));
    buf_deinit(&keys);
    return rc;
}

static int parse_items(struct parser *p, bool in_object, struct node *node)
{
    for (;;) {
        if (in_object) {
            enum token_kind kind = parser_scan(p);
            p->again = true;
            if (kind == TOKEN_RBRACE) {
                return 0;
            }
        }
        struct item *item = ARENA_NEW(p->tmp, struct item);
        int rc = parse_item(p, item);
        if (rc < 0) {
            bool is_end = p->eof; /* `key =` at the very end is no error, and no item */
            p->eof = false;
            return is_end ? 0 : rc;
        }
        avec_push(p->tmp, &node->items, item);
        p->again = parser_scan(p) != TOKEN_COMMA;
    }
}

/* The opening brace has been read. */
static int parse_object(struct parser *p, struct node **ret_node)
{
    int rc = parser_enter(p);
    if (rc < 0) {
        return rc;
    }
    struct node *node = ARENA_NEW(p->tmp, struct node);
    node->kind = NODE_OBJECT;
    node->token = p->token;
    rc = parse_items(p, true, node);
    if (rc < 0) {
        return rc;
    }
    if (parser_scan(p) != TOKEN_RBRACE) {
        return parser_fail(p, "object expected closing RBRACE got: %s", token_texts[p->token.kind]);
    }
    p->depth--;
    *ret_node = node;
    return 0;
}

/* --- nodes to values ------------------------------------------------------------------------ */

struct decoder {
    struct arena *a;
    struct arena *tmp; /* for the paths that errors name */
    struct err *err;
};

static int decode_map(struct decoder *d, struct str name, struct item *const *items, size_t count,
                      struct value *ret_value);
static int decode_node(struct decoder *d, struct str name, const struct node *node, bool in_list,
                       struct value *ret_value);

/* Append to a list that has no capacity of its own: full whenever its length is a power of two. */
static void list_append(struct arena *a, struct value *list, struct value element)
{
    size_t n = list->list.n;
    if ((n & (n - 1)) == 0) {
        struct value *grown = arena_array_(a, sizeof(*grown), n == 0 ? 1 : n * 2);
        if (n > 0) {
            memcpy(grown, list->list.v, n * sizeof(*grown));
        }
        list->list.v = grown;
    }
    list->list.v[list->list.n++] = element;
}

static const char *node_type_text(const struct node *node)
{
    return node->kind == NODE_LITERAL ? "*ast.LiteralType"
           : node->kind == NODE_LIST  ? "*ast.ListType"
                                      : "*ast.ObjectType";
}

/* A member named again: lists grow, a literal takes the new one's place in the type of the old. */
static int decode_again(struct decoder *d, struct str name, const struct node *node,
                        struct value *old)
{
    struct value more;
    int rc = decode_node(d, name, node, false, &more);
    if (rc < 0) {
        return rc;
    }
    if (old->kind == VALUE_LIST) {
        if (more.kind != VALUE_LIST) {
            return err_set(d->err, ERR_INVALID, "At %u:%u: unknown slice type: %s",
                           node->token.pos.line, node->token.pos.column, node_type_text(node));
        }
        for (size_t i = 0; i < more.list.n; i++) {
            list_append(d->a, old, more.list.v[i]);
        }
        return 0;
    }
    if (more.kind == old->kind) {
        *old = more;
        return 0;
    }
    if (old->kind == VALUE_STR && more.kind == VALUE_INT) {
        old->s = arena_str(d->a, node->token.text);
        return 0;
    }
    if (old->kind == VALUE_INT && more.kind == VALUE_STR && number_parse(more.s, &old->i) == 0) {
        return 0;
    }
    if (old->kind == VALUE_FLOAT && more.kind == VALUE_INT) {
        old->f = (double)more.i;
        return 0;
    }
    return err_set(d->err, ERR_INVALID, "At %u:%u: %.*s: unknown type%s %s", node->token.pos.line,
                   node->token.pos.column, STRF(name), old->kind == VALUE_STR ? " for string" : "",
                   node_type_text(node));
}

static int decode_node(struct decoder *d, struct str name, const struct node *node, bool in_list,
                       struct value *ret_value)
{
    int rc = 0;
    switch (node->kind) {
    case NODE_LITERAL:
        return literal_value(d->a, name, &node->token, ret_value, d->err);
    case NODE_LIST:
        *ret_value = (struct value){.kind = VALUE_LIST};
        for (size_t i = 0; i < node->list.n && rc == 0; i++) {
            struct value element;
            rc = decode_node(d, name, node->list.v[i], true, &element);
            if (rc == 0) {
                list_append(d->a, ret_value, element);
            }
        }
        return rc;
    case NODE_OBJECT: {
        struct value map;
        rc = decode_map(d, name, node->items.v, node->items.n, &map);
        if (rc < 0 || in_list) {
            *ret_value = map;
            return rc;
        }
        *ret_value = (struct value){.kind = VALUE_LIST};
        list_append(d->a, ret_value, map);
        return 0;
    }
    }
    return rc;
}

/* All items whose first key is `key` and which have labels: one map for each, in one list. */
static int decode_labelled(struct decoder *d, struct str name, struct str key,
                           struct item *const *items, size_t count, struct value *old)
{
    if (old->kind != VALUE_LIST) {
        return err_set(d->err, ERR_INVALID, "%.*s: unknown type *ast.ObjectList", STRF(name));
    }
    for (size_t i = 0, index = 0; i < count; i++) {
        struct item inner = *items[i];
        if (!str_eq(inner.keys.v[0], key)) {
            continue;
        }
        if (inner.keys.n == 1) {
            return err_set(d->err, ERR_INVALID, "At -: %.*s[%zu]: map must have string keys",
                           STRF(name), index);
        }
        inner.keys.v++;
        inner.keys.n--;
        struct item *one = &inner;
        struct value map;
        int rc = decode_map(d, name, &one, 1, &map);
        if (rc < 0) {
            return rc;
        }
        list_append(d->a, old, map);
        index++;
    }
    return 0;
}

struct member {
    struct value_pair *pair;
    bool has_labels; /* the first labelled item took all of them along */
};

static int decode_map(struct decoder *d, struct str name, struct item *const *items, size_t count,
                      struct value *ret_value)
{
    struct map seen; /* key to struct member */
    map_init(&seen, MAP_KEYS_BORROWED);
    struct value_pair *pairs = ARENA_ARRAY(d->a, struct value_pair, count);
    struct member *members = ARENA_ARRAY(d->tmp, struct member, count);
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        const struct item *item = items[i];
        struct str key = item->keys.v[0];
        struct member *member = map_get(&seen, key);
        bool is_new = member == NULL;
        if (is_new) {
            member = &members[n];
            member->pair = &pairs[n++];
            member->pair->key = arena_str(d->a, key);
            member->pair->value = (struct value){.kind = VALUE_LIST};
            (void)map_put(&seen, member->pair->key, member);
        } else if (member->has_labels) {
            continue;
        }
        struct str path = arena_printf(d->tmp, "%.*s.%.*s", STRF(str_first(name, 256)),
                                       STRF(str_first(key, 256)));
        struct value *v = &member->pair->value;
        if (item->keys.n > 1) {
            member->has_labels = true;
            rc = decode_labelled(d, path, key, items, count, v);
        } else if (is_new) {
            rc = decode_node(d, path, item->value, false, v);
        } else {
            rc = decode_again(d, path, item->value, v);
        }
    }
    map_deinit(&seen);
    *ret_value = (struct value){.kind = VALUE_MAP, .map = {pairs, n}};
    return rc;
}

/* --- JSON ----------------------------------------------------------------------------------- */

static bool value_is_map_of_maps(const struct value *v)
{
    bool yes = v->kind == VALUE_MAP && v->map.n > 0;
    for (size_t i = 0; yes && i < v->map.n; i++) {
        yes = v->map.v[i].value.kind == VALUE_MAP;
    }
    return yes;
}

/* Give a JSON tree the shape that the same thing has when written as HCL: a member that is an
 * object becomes a list of one; one whose members are all objects is taken for labels, and gives a
 * list with a map for each; null is the empty text. */
static int json_reshape(struct arena *a, struct value *v, bool in_list, unsigned depth,
                        struct err *err)
{
    int rc = 0;
    if (depth > HCL_DEPTH_MAX) {
        return err_set(err, ERR_INVALID, "nested deeper than %u levels", HCL_DEPTH_MAX);
    }
    if (v->kind == VALUE_NULL) {
        *v = (struct value){.kind = VALUE_STR};
    } else if (v->kind == VALUE_LIST) {
        for (size_t i = 0; i < v->list.n && rc == 0; i++) {
            rc = json_reshape(a, &v->list.v[i], true, depth + 1, err);
        }
    } else if (v->kind == VALUE_MAP) {
        bool is_labelled = !in_list && value_is_map_of_maps(v);
        for (size_t i = 0; i < v->map.n && rc == 0; i++) {
            rc = json_reshape(a, &v->map.v[i].value, false, depth + 1, err);
        }
        struct value list = {.kind = VALUE_LIST};
        for (size_t i = 0; is_labelled && i < v->map.n; i++) {
            list_append(a, &list, (struct value){.kind = VALUE_MAP, .map = {&v->map.v[i], 1}});
        }
        if (!in_list && !is_labelled) {
            list_append(a, &list, *v);
        }
        *v = in_list ? *v : list;
    }
    return rc;
}

static int hcl_parse_json(struct arena *a, struct str text, struct value **ret_value,
                          struct err *err)
{
    struct value *root = NULL;
    int rc = json_parse(a, text, &root, err);
    if (rc == 0) {
        rc = json_reshape(a, root, true, 0, err);
    }
    if (rc == 0) {
        *ret_value = root;
    }
    return rc;
}

/* --- entry ---------------------------------------------------------------------------------- */

static struct str normalize_newlines(struct arena *a, struct str text)
{
    if (str_find(text, STR("\r\n")) < 0) {
        return text;
    }
    char *to = arena_alloc(a, text.n);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n') {
            continue;
        }
        to[n++] = text.p[i];
    }
    return str_make(to, n);
}

int hcl_parse(struct arena *a, struct str text, struct value **ret_value, struct err *err)
{
    struct str trimmed = str_trim(text);
    if (trimmed.n > 0 && trimmed.p[0] == '{') {
        return hcl_parse_json(a, text, ret_value, err);
    }
    struct arena tmp = {0};
    struct err own = {0};
    struct node root = {.kind = NODE_OBJECT};
    struct parser p = {.tmp = &tmp, .err = err != NULL ? err : &own};
    p.scanner.text = normalize_newlines(&tmp, text);
    p.scanner.pos.line = 1;
    int rc = parse_items(&p, false, &root);
    if (p.scanner.failed) {
        rc = err_set(p.err, ERR_INVALID, "At %u:%u: %s", p.scanner.err_pos.line,
                     p.scanner.err_pos.column, p.scanner.err_text);
    }
    if (rc == 0) {
        struct decoder d = {a, &tmp, p.err};
        struct value *v = ARENA_NEW(a, struct value);
        rc = decode_map(&d, STR("root"), root.items.v, root.items.n, v);
        if (rc == 0) {
            *ret_value = v;
        }
    }
    arena_deinit(&tmp);
    return rc;
}
