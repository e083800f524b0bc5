/* Text is cut into literals and, inside of ${…}, into the tokens of expressions; a quote inside
 * leads back to literals until it closes. A literal and what ended it are found together, and given
 * one after the other. */
#include "schema/hil_tree.h"
#include "schema/utf8.h"

void hil_scanner_init(struct hil_scanner *s, struct str text)
{
    *s = (struct hil_scanner){.rest = text, .pos = {1, 1}};
}

static uint8_t byte_at(struct str s, size_t i)
{
    return i < s.n ? (uint8_t)s.p[i] : 0;
}

static size_t rune_at(struct str s, size_t i, uint32_t *ret_rune)
{
    return utf8_decode((const uint8_t *)s.p + i, s.n - i, ret_rune);
}

/* --- literals -------------------------------------------------------------------------------- */

/* Over the literal at the beginning of s: its size; *pos is moved, *ret_end says what ended it. */
static size_t scan_literal(struct str s, bool is_quoted, struct hil_pos *pos,
                           struct hil_token *ret_end)
{
    struct hil_pos start = *pos;
    for (size_t i = 0;;) {
        if (i >= s.n) {
            if (is_quoted) {
                *pos = start;
                *ret_end = (struct hil_token){HIL_TOKEN_INVALID, s, start};
                return 0;
            }
            *ret_end = (struct hil_token){HIL_TOKEN_EOF, STR_NULL, *pos};
            return i;
        }
        uint8_t c = byte_at(s, i), follow = byte_at(s, i + 1);
        if (c == '$' && follow == '{') {
            *ret_end = (struct hil_token){HIL_TOKEN_BEGIN, str_make(s.p + i, 2), *pos};
            return i;
        }
        if (is_quoted && c == '"') {
            *ret_end = (struct hil_token){HIL_TOKEN_CLOSE_QUOTE, str_make(s.p + i, 1), *pos};
            return i;
        }
        if ((c == '$' && follow == '$') ||
            (is_quoted && c == '\\' && (follow == '"' || follow == '\\'))) {
            pos->column += 2;
            i += 2;
        } else if (c == '\n') {
            pos->line++;
            pos->column = 1;
            i++;
        } else {
            uint32_t rune;
            pos->column++;
            i += rune_at(s, i, &rune);
        }
    }
}

static struct hil_token give_terminator(struct hil_scanner *s)
{
    struct hil_token end = s->terminator;
    s->has_terminator = false;
    s->rest = str_from(s->rest, end.text.n);
    s->pos = end.pos;
    s->pos.column += (uint32_t)end.text.n;
    switch (end.kind) {
    case HIL_TOKEN_BEGIN:
        s->nesting++;
        s->is_inside = true;
        break;
    case HIL_TOKEN_CLOSE_QUOTE:
        s->is_inside = true;
        break;
    default: /* the end, or nothing sensible any more */
        s->is_over = true;
    }
    return end;
}

static struct hil_token next_outside(struct hil_scanner *s)
{
    bool is_quoted = s->nesting > 0;
    struct hil_pos start = s->pos;
    size_t n = scan_literal(s->rest, is_quoted, &s->pos, &s->terminator);
    s->has_terminator = true;
    if (n == 0) {
        return give_terminator(s);
    }
    struct hil_token literal = {is_quoted ? HIL_TOKEN_STRING : HIL_TOKEN_LITERAL,
                                str_first(s->rest, n), start};
    s->rest = str_from(s->rest, n);
    return literal;
}

/* --- expressions -------------------------------------------------------------------------------
 */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Digits with at most one point among them; a point at the end is no part of it. */
static size_t scan_number(struct str s, enum hil_token_kind *ret_kind)
{
    size_t i = 0, point = SIZE_MAX;
    while (i < s.n && (is_digit(byte_at(s, i)) || (s.p[i] == '.' && point == SIZE_MAX))) {
        point = s.p[i] == '.' ? i : point;
        i++;
    }
    bool ends_in_point = point != SIZE_MAX && point == i - 1 && i < s.n && s.p[i] != '.';
    *ret_kind = point == SIZE_MAX || ends_in_point ? HIL_TOKEN_INTEGER : HIL_TOKEN_FLOAT;
    return ends_in_point ? i - 1 : i;
}

/* Letters, digits, '_', '-', '.'; a star only between points. Every character beyond ASCII counts
 * as a letter. */
static size_t scan_identifier(struct str s, uint32_t *ret_runes)
{
    size_t i = 0;
    uint32_t runes = 0;
    while (i < s.n) {
        uint32_t rune;
        size_t size = rune_at(s, i, &rune);
        uint8_t c = byte_at(s, i);
        bool is_part = is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '*' ||
                       (c >= 0x80 && rune != UTF8_ERROR);
        if (!is_part || (c == '*' && byte_at(s, i - 1) != '.')) {
            break;
        }
        if (i > 0 && s.p[i - 1] == '*' && c != '.') {
            i--; /* the star was no part of it, */
            if (i > 0 && s.p[i - 1] == '.') {
                i--; /* nor the point before it */
            }
            break;
        }
        i += size;
        runes++;
    }
    *ret_runes = runes;
    return i;
}

/* Operators of one or two characters; 0 when there is none. */
static size_t scan_operator(struct str s, enum hil_token_kind *ret_kind)
{
    uint8_t follow = byte_at(s, 1);
    switch (s.p[0]) {
    case '}':
        *ret_kind = HIL_TOKEN_END;
        return 1;
    case '"':
        *ret_kind = HIL_TOKEN_OPEN_QUOTE;
        return 1;
    case '!':
        *ret_kind = follow == '=' ? HIL_TOKEN_NOT_EQUAL : HIL_TOKEN_NOT;
        return follow == '=' ? 2 : 1;
    case '<':
        *ret_kind = follow == '=' ? HIL_TOKEN_LESS_EQUAL : HIL_TOKEN_LESS;
        return follow == '=' ? 2 : 1;
    case '>':
        *ret_kind = follow == '=' ? HIL_TOKEN_GREATER_EQUAL : HIL_TOKEN_GREATER;
        return follow == '=' ? 2 : 1;
    case '=':
        *ret_kind = follow == '=' ? HIL_TOKEN_EQUAL : HIL_TOKEN_INVALID;
        return follow == '=' ? 2 : 1;
    case '&':
        *ret_kind = follow == '&' ? HIL_TOKEN_AND : HIL_TOKEN_INVALID;
        return follow == '&' ? 2 : 1;
    case '|':
        *ret_kind = follow == '|' ? HIL_TOKEN_OR : HIL_TOKEN_INVALID;
        return follow == '|' ? 2 : 1;
    default:
        *ret_kind = HIL_TOKEN_PUNCTUATION;
        return memchr("()[],.+-*/%?:", s.p[0], 13) != NULL ? 1 : 0;
    }
}

static void skip_space(struct hil_scanner *s)
{
    while (s->rest.n > 0 && (s->rest.p[0] == ' ' || s->rest.p[0] == '\t' || s->rest.p[0] == '\r' ||
                             s->rest.p[0] == '\n')) {
        s->pos.column++;
        if (s->rest.p[0] == '\n') {
            s->pos.line++;
            s->pos.column = 1;
        }
        s->rest = str_from(s->rest, 1);
    }
}

static struct hil_token next_inside(struct hil_scanner *s)
{
    skip_space(s);
    struct hil_token t = {HIL_TOKEN_EOF, STR_NULL, s->pos};
    if (s->rest.n == 0) {
        s->is_over = true;
        return t;
    }
    size_t n = scan_operator(s->rest, &t.kind);
    uint32_t rune, runes = (uint32_t)n;
    if (n == 0 && is_digit(byte_at(s->rest, 0))) {
        n = scan_number(s->rest, &t.kind);
        runes = (uint32_t)n;
    } else if (n == 0) {
        n = rune_at(s->rest, 0, &rune);
        runes = 1;
        t.kind = HIL_TOKEN_INVALID;
        if (is_letter(byte_at(s->rest, 0)) || (rune >= 0x80 && rune != UTF8_ERROR)) {
            n = scan_identifier(s->rest, &runes);
            struct str name = str_first(s->rest, n);
            t.kind = str_eq_lit(name, "true") || str_eq_lit(name, "false") ? HIL_TOKEN_BOOL
                                                                           : HIL_TOKEN_IDENTIFIER;
        }
    }
    t.text = str_first(s->rest, n);
    s->rest = str_from(s->rest, n);
    s->pos.column += runes;
    if (t.kind == HIL_TOKEN_END) {
        s->nesting -= s->nesting > 0;
        s->is_inside = false;
    } else if (t.kind == HIL_TOKEN_OPEN_QUOTE) {
        s->is_inside = false;
    } else if (t.kind == HIL_TOKEN_INVALID) {
        s->is_over = true;
    }
    return t;
}

struct hil_token hil_scan(struct hil_scanner *s)
{
    if (s->is_over) {
        return (struct hil_token){HIL_TOKEN_EOF, STR_NULL, s->pos};
    }
    if (s->has_terminator) {
        return give_terminator(s);
    }
    return s->is_inside ? next_inside(s) : next_outside(s);
}
