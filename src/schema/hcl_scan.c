#include "schema/hcl_scan.h"

#include "base/buf.h"
#include "base/err.h"

#include <errno.h>
#include <stdlib.h>

#define RUNE_EOF 0u
#define RUNE_BAD 0xfffdu
#define RUNE_RESERVED 0xe123u /* marks lines that laying out leaves alone (hcl_format.c) */

const char *const hcl_token_texts[] = {
#define X(name, text) text,
    TOKENS(X)
#undef X
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
    } else if (rune == RUNE_RESERVED) {
        scanner_fail(s, "unicode code point U+E123 reserved for internal use");
        return RUNE_BAD;
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

struct token hcl_scan(struct scanner *s)
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
int hcl_unquote(struct arena *a, struct str quoted, struct str *ret_text)
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

int hcl_number(struct str text, int64_t *ret_value)
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

int hcl_literal(struct arena *a, struct str name, const struct token *t, struct value *ret_value,
                struct err *err)
{
    int rc;
    switch (t->kind) {
    case TOKEN_BOOL:
        *ret_value = (struct value){.kind = VALUE_BOOL, .b = t->text.p[0] == 't'};
        return 0;
    case TOKEN_NUMBER:
        *ret_value = (struct value){.kind = VALUE_INT};
        if ((rc = hcl_number(t->text, &ret_value->i)) < 0) {
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
        if (hcl_unquote(a, t->text, &ret_value->s) < 0) {
            return err_set(err, ERR_INVALID, "At %u:%u: %.*s: invalid string literal", t->pos.line,
                           t->pos.column, STRF(name));
        }
        return 0;
    default:
        ASSERT(false);
    }
    return -ERR_INVALID;
}
