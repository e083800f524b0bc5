#include "schema/regexp.h"

#include "base/buf.h"
#include "base/err.h"
#include "schema/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct regexp {
    pcre2_code *code;
    pcre2_match_data *match_data;
    pcre2_match_context *match_context;
};

/* Reads `p` on to `end` and writes pcre2's spelling to `out`. What matches one character is written
 * by number (\x{…}), so that nothing of pcre2's own syntax can slip through. */
struct translator {
    const uint8_t *start, *p, *end;
    struct buf out;
    struct err *err;
    unsigned depth;             /* of open groups */
    bool has_operand;           /* something stands before that may be repeated */
    const uint8_t *last_repeat; /* the operator right before, or NULL */
};

#define SPACE_CLASS "\\t\\n\\f\\r "
#define NOT_SPACE_CLASS "\\x00-\\x08\\x0b\\x0e-\\x1f\\x21-\\x{10ffff}"

static int fail(struct translator *t, const char *what, const uint8_t *from, const uint8_t *to)
{
    return err_set(t->err, ERR_INVALID, "error parsing regexp: %s: `%.*s`", what, (int)(to - from),
                   (const char *)from);
}

static int peek(const struct translator *t, size_t ahead)
{
    return (size_t)(t->end - t->p) > ahead ? t->p[ahead] : -1;
}

static uint32_t rune_next(struct translator *t)
{
    uint32_t rune;
    t->p += utf8_decode(t->p, (size_t)(t->end - t->p), &rune);
    return rune;
}

static void rune_put(struct translator *t, uint32_t rune)
{
    bool plain = (rune >= '0' && rune <= '9') || (rune >= 'a' && rune <= 'z') ||
                 (rune >= 'A' && rune <= 'Z') || rune == '_';
    if (plain) {
        buf_byte(&t->out, (uint8_t)rune);
    } else {
        buf_printf(&t->out, "\\x{%x}", (unsigned)rune);
    }
}

static int hex_value(uint32_t c)
{
    if (c >= '0' && c <= '9') {
        return (int)c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (int)c - 'a' + 10 : -1;
}

static bool hex_escape_read(struct translator *t, uint32_t *ret_rune)
{
    uint32_t rune = 0;
    if (t->p >= t->end) {
        return false;
    }
    uint32_t c = rune_next(t);
    if (c != '{') {
        int high = hex_value(c);
        int low = t->p < t->end ? hex_value(rune_next(t)) : -1;
        *ret_rune = (uint32_t)high << 4 | (uint32_t)low;
        return high >= 0 && low >= 0;
    }
    size_t digits = 0;
    while (t->p < t->end) {
        c = rune_next(t);
        if (c == '}') {
            *ret_rune = rune;
            return digits > 0;
        }
        int v = hex_value(c);
        if (v < 0) {
            return false;
        }
        rune = rune << 4 | (uint32_t)v;
        if (rune > 0x10ffff) {
            return false;
        }
        digits++;
    }
    return false;
}

/* From a backslash on: the one character it stands for. */
static int escape_read(struct translator *t, uint32_t *ret_rune)
{
    const uint8_t *from = t->p++;
    if (t->p >= t->end) {
        return fail(t, "trailing backslash at end of expression", t->p, t->p);
    }
    uint32_t c = rune_next(t);
    static const char letters[] = "afnrtv";
    static const char meanings[] = "\a\f\n\r\t\v";
    const char *letter = c != 0 && c < 0x80 ? strchr(letters, (int)c) : NULL;
    if (letter != NULL) {
        *ret_rune = (uint32_t)meanings[letter - letters];
        return 0;
    }
    int next = peek(t, 0);
    if (c == '0' || (c >= '1' && c <= '7' && next >= '0' && next <= '7')) {
        uint32_t rune = c - '0';
        for (int i = 1; i < 3 && peek(t, 0) >= '0' && peek(t, 0) <= '7'; i++) {
            rune = rune * 8 + (uint32_t)(*t->p++ - '0');
        }
        *ret_rune = rune;
        return 0;
    }
    bool good = c == 'x' && hex_escape_read(t, ret_rune);
    /* pcre2 has no surrogates; RE2 takes them but no valid text holds one */
    if (good && !(*ret_rune >= 0xd800 && *ret_rune <= 0xdfff)) {
        return 0;
    }
    bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (c < 0x80 && !alnum) {
        *ret_rune = c;
        return 0;
    }
    return fail(t, "invalid escape sequence", from, t->p);
}

/* Whether pcre2 knows \p{Name}; it takes names in any case, RE2 only capitalized ones. */
static bool property_is_known(const uint8_t *p, size_t n)
{
    size_t name = 2;
    while (name < n && (p[name] == '{' || p[name] == '^')) {
        name++;
    }
    if (name >= n || p[name] < 'A' || p[name] > 'Z') {
        return false;
    }
    int code;
    PCRE2_SIZE offset;
    pcre2_code *property = pcre2_compile(p, n, PCRE2_UTF, &code, &offset, NULL);
    pcre2_code_free(property);
    return property != NULL;
}

/* \d \s \w and their negations, \p{…}: 1 when it was one, 0 when not. */
static int class_escape(struct translator *t, bool in_class)
{
    const uint8_t *from = t->p;
    int c = peek(t, 0) == '\\' ? peek(t, 1) : -1;
    switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W':
        buf_put(&t->out, t->p, 2);
        t->p += 2;
        return 1;
    case 's':
    case 'S':
        /* pcre2's has the vertical tab, RE2's has not */
        if (!in_class) {
            buf_byte(&t->out, '[');
        }
        buf_str(&t->out, c == 's' ? STR(SPACE_CLASS) : STR(NOT_SPACE_CLASS));
        if (!in_class) {
            buf_byte(&t->out, ']');
        }
        t->p += 2;
        return 1;
    case 'p':
    case 'P':
        break;
    default:
        return 0;
    }
    t->p += 2;
    if (t->p >= t->end) {
        return fail(t, "invalid character class range", from, t->end);
    }
    if (*t->p != '{') {
        (void)rune_next(t);
    } else {
        while (t->p < t->end && *t->p != '}') {
            t->p++;
        }
        if (t->p >= t->end) {
            return fail(t, "invalid character class range", from, t->end);
        }
        t->p++;
    }
    for (const uint8_t *p = from + 2; p < t->p; p++) {
        bool known = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
                     *p == '{' || *p == '}' || (*p == '^' && p == from + 3);
        if (!known) {
            return fail(t, "invalid character class range", from, t->p);
        }
    }
    if (!property_is_known(from, (size_t)(t->p - from))) {
        return fail(t, "invalid character class range", from, t->p);
    }
    buf_put(&t->out, from, (size_t)(t->p - from));
    return 1;
}

/* [:name:] inside a class: 1 when it was one, 0 when not. */
static int named_class(struct translator *t)
{
    static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
                                        "digit", "graph", "lower", "print", "punct",
                                        "space", "upper", "word",  "xdigit"};
    if (peek(t, 0) != '[' || peek(t, 1) != ':' || peek(t, 2) < 0) {
        return 0;
    }
    struct str rest = str_make(t->p + 2, (size_t)(t->end - t->p) - 2);
    ptrdiff_t n = str_find(rest, STR(":]"));
    if (n < 0) {
        return 0;
    }
    struct str name = str_first(rest, (size_t)n);
    if (name.n > 0 && name.p[0] == '^') {
        name = str_from(name, 1);
    }
    const uint8_t *end = t->p + 2 + n + 2;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (str_eq(name, str_from_cstr(names[i]))) {
            buf_put(&t->out, t->p, (size_t)(end - t->p));
            t->p = end;
            return 1;
        }
    }
    return fail(t, "invalid character class range", t->p, end);
}

static int class_char(struct translator *t, const uint8_t *whole, uint32_t *ret_rune)
{
    if (t->p >= t->end) {
        return fail(t, "missing closing ]", whole, t->end);
    }
    if (*t->p == '\\') {
        return escape_read(t, ret_rune);
    }
    *ret_rune = rune_next(t);
    return 0;
}

static int class_read(struct translator *t)
{
    const uint8_t *whole = t->p++;
    buf_byte(&t->out, '[');
    if (peek(t, 0) == '^') {
        buf_byte(&t->out, '^');
        t->p++;
    }
    for (bool first = true; first || peek(t, 0) != ']'; first = false) {
        int r = named_class(t);
        if (r == 0) {
            r = class_escape(t, true);
        }
        if (r < 0) {
            return r;
        }
        if (r > 0) {
            continue;
        }
        const uint8_t *range = t->p;
        uint32_t low = 0;
        r = class_char(t, whole, &low);
        if (r < 0) {
            return r;
        }
        uint32_t high = low;
        if (peek(t, 0) == '-' && peek(t, 1) >= 0 && peek(t, 1) != ']') {
            t->p++;
            r = class_char(t, whole, &high);
            if (r < 0) {
                return r;
            }
            if (high < low) {
                return fail(t, "invalid character class range", range, t->p);
            }
        }
        rune_put(t, low);
        if (high != low) {
            buf_byte(&t->out, '-');
            rune_put(t, high);
        }
    }
    t->p++;
    buf_byte(&t->out, ']');
    return 0;
}

/* {n}, {n,} or {n,m} at p: false when it is none of these and the brace stands for itself.
 * *ret_max is -1 without an upper bound; numbers are cut at a value that is too large anyway. */
static bool count_read(const uint8_t **p, const uint8_t *end, long *ret)
{
    const uint8_t *from = *p;
    long n = 0;
    while (*p < end && **p >= '0' && **p <= '9') {
        n = MIN(n * 10 + (**p - '0'), 100000l);
        (*p)++;
    }
    *ret = n;
    return *p > from && !(*from == '0' && *p - from > 1);
}

static bool repeat_read(const struct translator *t, long *ret_min, long *ret_max,
                        const uint8_t **ret_end)
{
    const uint8_t *p = t->p + 1;
    if (!count_read(&p, t->end, ret_min)) {
        return false;
    }
    *ret_max = *ret_min;
    if (p < t->end && *p == ',') {
        p++;
        *ret_max = -1;
        if (p < t->end && *p != '}' && !count_read(&p, t->end, ret_max)) {
            return false;
        }
    }
    if (p >= t->end || *p != '}') {
        return false;
    }
    *ret_end = p + 1;
    return true;
}

/* *, +, ? or {…}, and the ? that may follow. */
static int operator_read(struct translator *t)
{
    const uint8_t *from = t->p;
    const uint8_t *end = from + 1;
    if (*from == '{') {
        long min = 0;
        long max = 0;
        if (!repeat_read(t, &min, &max, &end)) {
            rune_put(t, '{');
            t->p++;
            t->has_operand = true;
            t->last_repeat = NULL;
            return 0;
        }
        if (min > (long)REGEXP_REPEAT_MAX || max > (long)REGEXP_REPEAT_MAX ||
            (max >= 0 && min > max)) {
            return fail(t, "invalid repeat count", from, end);
        }
    }
    buf_put(&t->out, from, (size_t)(end - from));
    t->p = end;
    if (peek(t, 0) == '?') {
        buf_byte(&t->out, '?');
        t->p++;
    }
    if (t->last_repeat != NULL) {
        return fail(t, "invalid nested repetition operator", t->last_repeat, t->p);
    }
    if (!t->has_operand) {
        return fail(t, "missing argument to repetition operator", from, t->p);
    }
    t->last_repeat = from;
    return 0;
}

/* "(?": a named group, or flags with or without a group. */
static int group_read(struct translator *t)
{
    const uint8_t *from = t->p;
    if (peek(t, 2) == 'P' && peek(t, 3) == '<' && peek(t, 4) >= 0) {
        const uint8_t *name = t->p + 4;
        const uint8_t *p = name;
        bool good = true;
        for (; p < t->end && *p != '>'; p++) {
            good = good && (*p == '_' || (*p >= '0' && *p <= '9') ||
                            ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z'));
        }
        if (p >= t->end || !good || p == name) {
            return fail(t, "invalid named capture", from, p < t->end ? p + 1 : t->end);
        }
        t->p = p + 1;
        buf_byte(&t->out, '('); /* nobody asks for the name */
        t->depth++;
        return 0;
    }
    t->p += 2;
    bool negative = false;
    bool saw_flag = false;
    while (t->p < t->end) {
        uint32_t c = rune_next(t);
        if (c == 'i' || c == 'm' || c == 's' || c == 'U') {
            saw_flag = true;
        } else if (c == '-' && !negative) {
            negative = true;
            saw_flag = false;
        } else if ((c == ':' || c == ')') && (!negative || saw_flag)) {
            buf_put(&t->out, from, (size_t)(t->p - from));
            t->depth += c == ':';
            return c == ':' ? 0 : 1;
        } else {
            break;
        }
    }
    return fail(t, "invalid or unsupported Perl syntax", from, t->p);
}

/* An assertion; wrapped where an operator follows, which pcre2 would not take otherwise. */
static void assertion_put(struct translator *t, size_t n)
{
    int next = peek(t, n);
    bool wrap = next == '*' || next == '+' || next == '?' || next == '{';
    buf_str(&t->out, wrap ? STR("(?:") : STR(""));
    buf_put(&t->out, t->p, n);
    buf_str(&t->out, wrap ? STR(")") : STR(""));
    t->p += n;
}

static int backslash_read(struct translator *t)
{
    uint32_t rune = 0;
    int r;
    switch (peek(t, 1)) {
    case 'A':
    case 'b':
    case 'B':
    case 'z':
        assertion_put(t, 2);
        return 0;
    case 'C':
        return fail(t, "invalid escape sequence", t->p, t->p + 2);
    case 'Q': {
        t->p += 2;
        while (t->p < t->end && !(t->p[0] == '\\' && peek(t, 1) == 'E')) {
            rune_put(t, rune_next(t));
        }
        t->p += t->p < t->end ? 2 : 0;
        return 0;
    }
    default:
        r = class_escape(t, false);
        if (r != 0) {
            return r < 0 ? r : 0;
        }
        r = escape_read(t, &rune);
        if (r == 0) {
            rune_put(t, rune);
        }
        return r;
    }
}

static int translate(struct translator *t)
{
    int r = 0;
    while (r >= 0 && t->p < t->end) {
        bool operand = true; /* what is read now may be repeated */
        switch (*t->p) {
        case '*':
        case '+':
        case '?':
        case '{':
            r = operator_read(t);
            continue;
        case '(':
            if (t->depth >= REGEXP_DEPTH_MAX) {
                return fail(t, "expression nests too deeply", t->start, t->end);
            }
            operand = false;
            if (peek(t, 1) == '?') {
                r = group_read(t);
                if (r == 1) { /* flags alone: what stood before stays the operand */
                    operand = t->has_operand;
                }
            } else {
                buf_byte(&t->out, '(');
                t->p++;
                t->depth++;
            }
            break;
        case ')':
            if (t->depth == 0) {
                return fail(t, "unexpected )", t->start, t->end);
            }
            t->depth--;
            buf_byte(&t->out, ')');
            t->p++;
            break;
        case '|':
            buf_byte(&t->out, '|');
            t->p++;
            operand = false;
            break;
        case '^':
        case '$':
            assertion_put(t, 1);
            break;
        case '.':
            buf_byte(&t->out, '.');
            t->p++;
            break;
        case '[':
            r = class_read(t);
            break;
        case '\\':
            r = backslash_read(t);
            break;
        default:
            rune_put(t, rune_next(t));
        }
        t->has_operand = operand;
        t->last_repeat = NULL;
    }
    if (r >= 0 && t->depth > 0) {
        return fail(t, "missing closing )", t->start, t->end);
    }
    return MIN(r, 0);
}

/* pcre2's memory is the arena's, and so freed with it. */
static void *pcre2_alloc(size_t size, void *a)
{
    return arena_alloc(a, size);
}

static void pcre2_release(void *p, void *a)
{
    (void)p;
    (void)a;
}

static int compile(struct arena *a, struct translator *t, struct regexp *re)
{
    pcre2_general_context *general = pcre2_general_context_create(pcre2_alloc, pcre2_release, a);
    pcre2_compile_context *context = pcre2_compile_context_create(general);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int code;
    PCRE2_SIZE offset;
    re->code = pcre2_compile((PCRE2_SPTR)(t->out.n > 0 ? t->out.p : ""), t->out.n,
                             PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C |
                                 PCRE2_MATCH_INVALID_UTF,
                             &code, &offset, context);
    if (re->code == NULL) {
        /* too large, or a corner where the languages differ */
        return fail(t, "invalid or unsupported Perl syntax", t->start, t->end);
    }
    re->match_data = pcre2_match_data_create(1, general);
    re->match_context = pcre2_match_context_create(general);
    pcre2_set_match_limit(re->match_context, REGEXP_MATCH_LIMIT);
    pcre2_set_depth_limit(re->match_context, REGEXP_MATCH_DEPTH_LIMIT);
    pcre2_set_heap_limit(re->match_context, REGEXP_MATCH_HEAP_KB_MAX);
    return 0;
}

int regexp_compile(struct arena *a, struct str expression, struct regexp **ret_regexp,
                   struct err *err)
{
    struct translator t = {.start = (const uint8_t *)(expression.n > 0 ? expression.p : ""),
                           .err = err};
    t.p = t.start;
    t.end = t.start + expression.n;
    if (expression.n > REGEXP_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "error parsing regexp: expression too large");
    }
    if (!str_is_utf8(expression)) {
        return fail(&t, "invalid UTF-8", t.start, t.end);
    }
    struct regexp *re = ARENA_NEW(a, struct regexp);
    int r = translate(&t);
    if (r == 0 && t.out.failed) {
        r = err_set(err, ERR_TOO_LARGE, "error parsing regexp: expression too large");
    }
    if (r == 0) {
        r = compile(a, &t, re);
    }
    buf_deinit(&t.out);
    if (r == 0) {
        *ret_regexp = re;
    }
    return r;
}

int regexp_match(const struct regexp *re, struct str text)
{
    int r = pcre2_match(re->code, (PCRE2_SPTR)(text.n > 0 ? text.p : ""), text.n, 0, 0,
                        re->match_data, re->match_context);
    if (r >= 0) {
        return 1;
    }
    return r == PCRE2_ERROR_NOMATCH ? 0 : -ERR_TOO_LARGE;
}

int regexp_match_groups(struct arena *a, const struct regexp *re, struct str text,
                        struct strlist *ret_groups)
{
    pcre2_general_context *general = pcre2_general_context_create(pcre2_alloc, pcre2_release, a);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(re->code, general);
    int r = pcre2_match(re->code, (PCRE2_SPTR)(text.n > 0 ? text.p : ""), text.n, 0, 0, data,
                        re->match_context);
    if (r < 0) {
        return r == PCRE2_ERROR_NOMATCH ? 0 : -ERR_TOO_LARGE;
    }
    size_t count = pcre2_get_ovector_count(data);
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(data);
    struct str *groups = ARENA_ARRAY(a, struct str, count);
    for (size_t i = 0; i < count; i++) {
        bool took_part = i < (size_t)r && bounds[2 * i] != PCRE2_UNSET;
        if (took_part && bounds[2 * i + 1] > bounds[2 * i]) {
            groups[i] = str_make(text.p + bounds[2 * i], bounds[2 * i + 1] - bounds[2 * i]);
        }
    }
    *ret_groups = (struct strlist){groups, count};
    return 1;
}
