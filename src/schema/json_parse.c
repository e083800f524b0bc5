/* JSON in: recursive descent over bytes that are somebody else's. Depth is bounded, children are
 * gathered on a scratch stack and moved to the arena at their exact number, so the arena grows in
 * proportion to the text. The words of the errors are those of Go's scanner. */
#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"
#include "schema/json.h"
#include "schema/utf8.h"

struct parser {
    const uint8_t *p, *end;
    struct arena *a;
    struct err *err;
    unsigned depth;
    bool stream; /* json_parse_next: the text may go on behind the value */
    VEC(struct value_pair) scratch;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(const struct parser *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static void space_skip(struct parser *s)
{
    while (s->p < s->end && is_space(*s->p)) {
        s->p++;
    }
}

static int fail_end(struct parser *s)
{
    return err_set(s->err, ERR_INVALID,
                   s->stream ? "unexpected EOF" : "unexpected end of JSON input");
}

/* "invalid character 'x' <context>"; the byte is shown as Go shows it: as a rune of that number. */
static int fail_char(struct parser *s, const char *context)
{
    if (s->p >= s->end) {
        return fail_end(s);
    }
    uint8_t c = *s->p;
    char text[16];
    struct buf b = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    static const char short_escapes[] = "abtnvfr"; /* 7 to 13 */
    if (c == '\'' || c == '\\') {
        buf_byte(&b, '\\');
        buf_byte(&b, c);
    } else if (c >= 7 && c <= 13) {
        buf_byte(&b, '\\');
        buf_byte(&b, (uint8_t)short_escapes[c - 7]);
    } else if (c < 0x20 || c == 0x7f || (c >= 0x80 && c <= 0xa0) || c == 0xad) {
        static const char hex[] = "0123456789abcdef";
        buf_put(&b, c < 0x80 ? "\\x" : "\\u00", c < 0x80 ? 2 : 4);
        buf_byte(&b, (uint8_t)hex[c >> 4]);
        buf_byte(&b, (uint8_t)hex[c & 15]);
    } else {
        b.n = utf8_encode(text, c);
    }
    return err_set(s->err, ERR_INVALID, "invalid character '%.*s' %s", (int)b.n, text, context);
}

/* --- strings ------------------------------------------------------------------------------- */

static int hex4_read(struct parser *s, uint32_t *ret_value)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, s->p++) {
        uint8_t c = s->p < s->end ? *s->p : 0;
        if (c >= '0' && c <= '9') {
            value = value << 4 | (c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            value = value << 4 | ((c | 0x20) - 'a' + 10u);
        } else {
            return fail_char(s, "in \\u hexadecimal character escape");
        }
    }
    *ret_value = value;
    return 0;
}

/* Behind "\u": a code point, of a surrogate pair both halves; a half alone is U+FFFD. */
static int unicode_escape_read(struct parser *s, uint32_t *ret_rune)
{
    uint32_t rune;
    int r = hex4_read(s, &rune);
    if (r < 0) {
        return r;
    }
    if (rune >= 0xd800 && rune <= 0xdfff) {
        const uint8_t *second = s->p;
        uint32_t low = 0;
        if (rune <= 0xdbff && s->end - s->p >= 2 && s->p[0] == '\\' && s->p[1] == 'u') {
            s->p += 2;
            r = hex4_read(s, &low);
            if (r < 0) {
                return r;
            }
        }
        if (low >= 0xdc00 && low <= 0xdfff) {
            rune = 0x10000 + ((rune - 0xd800) << 10) + (low - 0xdc00);
        } else {
            rune = UTF8_ERROR;
            s->p = second; /* what followed stands for itself */
        }
    }
    *ret_rune = rune;
    return 0;
}

static int escape_read(struct parser *s, struct buf *to)
{
    static const char from[] = "\"\\/bfnrt";
    static const char into[] = "\"\\/\b\f\n\r\t";
    s->p++;
    if (s->p >= s->end) {
        return fail_end(s);
    }
    if (*s->p == 'u') {
        s->p++;
        uint32_t rune = 0;
        int r = unicode_escape_read(s, &rune);
        if (r < 0) {
            return r;
        }
        char text[4];
        buf_put(to, text, utf8_encode(text, rune));
        return 0;
    }
    const char *at = *s->p != 0 ? strchr(from, *s->p) : NULL;
    if (at == NULL) {
        return fail_char(s, "in string escape code");
    }
    buf_byte(to, (uint8_t)into[at - from]);
    s->p++;
    return 0;
}

/* The end of the run of plain ASCII at p. */
static const uint8_t *plain_end(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\') {
        p++;
    }
    return p;
}

/* From the opening quote on. */
static int string_read(struct parser *s, struct str *ret)
{
    const uint8_t *start = ++s->p;
    s->p = plain_end(s->p, s->end);
    if (s->p < s->end && *s->p == '"') {
        size_t n = (size_t)(s->p - start);
        *ret = n > 0 ? arena_str(s->a, str_make(start, n)) : STR("");
        s->p++;
        return 0;
    }
    struct buf b;
    buf_init(&b, BUF_SIZE_MAX_DEFAULT);
    int r = 0;
    for (;;) {
        buf_put(&b, start, (size_t)(s->p - start));
        if (s->p >= s->end) {
            r = fail_end(s);
            break;
        }
        if (*s->p == '"') {
            s->p++;
            break;
        }
        if (*s->p == '\\') {
            r = escape_read(s, &b);
            if (r < 0) {
                break;
            }
        } else if (*s->p < 0x20) {
            r = fail_char(s, "in string literal");
            break;
        } else {
            uint32_t rune;
            size_t width = utf8_decode(s->p, (size_t)(s->end - s->p), &rune);
            if (width == 1) {
                buf_lit(&b, "\xef\xbf\xbd");
            } else {
                buf_put(&b, s->p, width);
            }
            s->p += width;
        }
        start = s->p;
        s->p = plain_end(s->p, s->end);
    }
    if (r == 0 && b.failed) {
        r = err_set(s->err, ERR_TOO_LARGE, "string too long");
    }
    if (r == 0) {
        *ret = arena_str(s->a, buf_view(&b));
    }
    buf_deinit(&b);
    return r;
}

/* --- numbers and words --------------------------------------------------------------------- */

static int digits_skip(struct parser *s, const char *context)
{
    if (!is_digit(s)) {
        return fail_char(s, context);
    }
    while (is_digit(s)) {
        s->p++;
    }
    return 0;
}

static int number_read(struct parser *s, struct value *v)
{
    const uint8_t *start = s->p;
    bool whole = true;
    int r = 0;
    if (*s->p == '-') {
        s->p++;
    }
    if (s->p < s->end && *s->p == '0') {
        s->p++;
    } else {
        r = digits_skip(s, "in numeric literal");
    }
    if (r == 0 && s->p < s->end && *s->p == '.') {
        whole = false;
        s->p++;
        r = digits_skip(s, "after decimal point in numeric literal");
    }
    if (r == 0 && s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        whole = false;
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) {
            s->p++;
        }
        r = digits_skip(s, "in exponent of numeric literal");
    }
    if (r < 0) {
        return r;
    }
    struct str text = str_make(start, (size_t)(s->p - start));
    if (whole && str_parse_i64(text, &v->i) == 0) {
        v->kind = VALUE_INT;
        return 0;
    }
    if (whole && str_parse_u64(text, &v->u) == 0) {
        v->kind = VALUE_UINT;
        return 0;
    }
    v->kind = VALUE_FLOAT;
    if (str_parse_f64(text, &v->f) < 0) {
        return err_set(s->err, ERR_RANGE,
                       "json: cannot unmarshal number %.*s into Go value of type float64",
                       STRF(str_first(text, 64)));
    }
    return 0;
}

static int word_read(struct parser *s, const char *word)
{
    char context[48];
    const uint8_t *start = s->p;
    for (const char *w = word; *w != '\0'; w++, s->p++) {
        if (s->p >= s->end) {
            return fail_end(s);
        }
        if (*s->p != (uint8_t)*w) {
            struct buf b = {.p = context, .cap = sizeof(context), .max = sizeof(context)};
            buf_lit(&b, "in literal ");
            buf_put(&b, word, strlen(word));
            buf_lit(&b, " (expecting '");
            buf_byte(&b, (uint8_t)*w);
            buf_put(&b, "')", 3);
            return fail_char(s, context);
        }
    }
    (void)start;
    return 0;
}

/* --- structure ----------------------------------------------------------------------------- */

static int value_read(struct parser *s, struct value *v);

static int enter(struct parser *s)
{
    s->p++;
    if (++s->depth > JSON_DEPTH_MAX) {
        return err_set(s->err, ERR_INVALID, "exceeded max depth");
    }
    space_skip(s);
    return 0;
}

static int list_read(struct parser *s, struct value *v)
{
    size_t base = s->scratch.n;
    int r = enter(s);
    if (r < 0) {
        return r;
    }
    bool more = s->p >= s->end || *s->p != ']';
    while (more) {
        struct value_pair item = {0};
        r = value_read(s, &item.value);
        if (r < 0) {
            return r;
        }
        vec_push(&s->scratch, item);
        space_skip(s);
        if (s->p >= s->end || (*s->p != ',' && *s->p != ']')) {
            return fail_char(s, "after array element");
        }
        more = *s->p == ',';
        s->p += more;
    }
    s->p++;
    s->depth--;
    v->kind = VALUE_LIST;
    v->list.n = s->scratch.n - base;
    v->list.v = SCHEMA_EMPTY;
    if (v->list.n > 0) {
        v->list.v = arena_alloc(s->a, v->list.n * sizeof(struct value));
        for (size_t i = 0; i < v->list.n; i++) {
            v->list.v[i] = s->scratch.v[base + i].value;
        }
    }
    s->scratch.n = base;
    return 0;
}

static int map_read(struct parser *s, struct value *v)
{
    size_t base = s->scratch.n;
    int r = enter(s);
    if (r < 0) {
        return r;
    }
    bool more = s->p >= s->end || *s->p != '}';
    while (more) {
        struct value_pair item = {0};
        space_skip(s);
        if (s->p >= s->end || *s->p != '"') {
            return fail_char(s, "looking for beginning of object key string");
        }
        r = string_read(s, &item.key);
        if (r < 0) {
            return r;
        }
        space_skip(s);
        if (s->p >= s->end || *s->p != ':') {
            return fail_char(s, "after object key");
        }
        s->p++;
        r = value_read(s, &item.value);
        if (r < 0) {
            return r;
        }
        vec_push(&s->scratch, item);
        space_skip(s);
        if (s->p >= s->end || (*s->p != ',' && *s->p != '}')) {
            return fail_char(s, "after object key:value pair");
        }
        more = *s->p == ',';
        s->p += more;
    }
    s->p++;
    s->depth--;
    v->kind = VALUE_MAP;
    v->map.n = s->scratch.n - base;
    v->map.v = SCHEMA_EMPTY;
    if (v->map.n > 0) {
        size_t size = v->map.n * sizeof(struct value_pair);
        v->map.v = memcpy(arena_alloc(s->a, size), s->scratch.v + base, size);
    }
    s->scratch.n = base;
    return 0;
}

static int value_read(struct parser *s, struct value *v)
{
    space_skip(s);
    if (s->p >= s->end) {
        return fail_end(s);
    }
    switch (*s->p) {
    case '{':
        return map_read(s, v);
    case '[':
        return list_read(s, v);
    case '"':
        v->kind = VALUE_STR;
        return string_read(s, &v->s);
    case 't':
    case 'f':
        v->kind = VALUE_BOOL;
        v->b = *s->p == 't';
        return word_read(s, v->b ? "true" : "false");
    case 'n':
        v->kind = VALUE_NULL;
        return word_read(s, "null");
    case '-':
    case '0' ... '9':
        return number_read(s, v);
    default:
        return fail_char(s, "looking for beginning of value");
    }
}

int json_parse(struct arena *a, struct str text, struct value **ret_value, struct err *err)
{
    struct parser s = {.p = (const uint8_t *)text.p, .a = a, .err = err};
    s.end = s.p + text.n;
    struct value *v = ARENA_NEW(a, struct value);
    int r = value_read(&s, v);
    vec_deinit(&s.scratch);
    if (r < 0) {
        return r;
    }
    space_skip(&s);
    if (s.p < s.end) {
        return fail_char(&s, "after top-level value");
    }
    *ret_value = v;
    return 0;
}

int json_parse_next(struct arena *a, struct str *rest, struct value **ret_value, struct err *err)
{
    struct parser s = {.p = (const uint8_t *)rest->p, .a = a, .err = err, .stream = true};
    s.end = s.p + rest->n;
    space_skip(&s);
    if (s.p >= s.end) {
        return err_set(err, ERR_INVALID, "EOF");
    }
    struct value *v = ARENA_NEW(a, struct value);
    int r = value_read(&s, v);
    vec_deinit(&s.scratch);
    if (r < 0) {
        return r;
    }
    *rest = str_make(s.p, (size_t)(s.end - s.p));
    *ret_value = v;
    return 0;
}
