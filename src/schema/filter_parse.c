/* The filter's grammar, as a parsing expression grammar: ordered alternatives that backtrack.
 *
 *     Or    <- And _ "or" _ Or / And                  And <- Not _ "and" _ And / Not
 *     Not   <- "not" _ Not / Group                    Group <- "(" _? Or _? ")" / Match
 *     Match <- Selector op Value / Selector "is" "empty" / Value "in" Selector
 *
 * Clients see what the reference's generated parser says, so the errors follow its method: the
 * tokens that were tried at the farthest place that failed, sorted; or, where a rule complained of
 * something in particular (an open string), all such complaints, even when another alternative
 * went on to match. To get the same sets, alternatives are tried in the same order and every token
 * tried is noted. What the reference does in exponential time is remembered here per place (memo),
 * which changes nothing that is noted. */
#include "base/buf.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"
#include "schema/filter_ast.h"
#include "schema/utf8.h"

#include <stdlib.h>

#define FILTER_DEPTH_MAX 2000u
#define SELECTOR_PARTS_MAX 256u

/* Every token, spelled as the errors spell it. */
#define TOKENS(X)                             \
    X(T_PAREN_OPEN, "(", "\"(\"")             \
    X(T_PAREN_CLOSE, ")", "\")\"")            \
    X(T_OR, "or", "\"or\"")                   \
    X(T_AND, "and", "\"and\"")                \
    X(T_NOT, "not", "\"not\"")                \
    X(T_EQUAL, "==", "\"==\"")                \
    X(T_NOT_EQUAL, "!=", "\"!=\"")            \
    X(T_IS, "is", "\"is\"")                   \
    X(T_EMPTY, "empty", "\"empty\"")          \
    X(T_IN, "in", "\"in\"")                   \
    X(T_CONTAINS, "contains", "\"contains\"") \
    X(T_MATCHES, "matches", "\"matches\"")    \
    X(T_DOT, ".", "\".\"")                    \
    X(T_INDEX_OPEN, "[", "\"[\"")             \
    X(T_INDEX_CLOSE, "]", "\"]\"")            \
    X(T_MINUS, "-", "\"-\"")                  \
    X(T_ZERO, "0", "\"0\"")                   \
    X(T_BACKQUOTE, "`", "\"`\"")              \
    X(T_QUOTE, "\"", "\"\\\"\"")              \
    X(T_SPACE, NULL, "[ \\t\\r\\n]")          \
    X(T_LETTER, NULL, "[a-zA-Z]")             \
    X(T_WORD, NULL, "[a-zA-Z0-9_]")           \
    X(T_DIGIT, NULL, "[0-9]")                 \
    X(T_DIGIT_NOT_ZERO, NULL, "[1-9]")        \
    X(T_ANY, NULL, ".")

enum token {
#define X(name, text, shown) name,
    TOKENS(X)
#undef X
        TOKEN_COUNT
};

static const char *const token_text[] = {
#define X(name, text, shown) text,
    TOKENS(X)
#undef X
};

static const char *const token_shown[] = {
#define X(name, text, shown) shown,
    TOKENS(X)
#undef X
};

enum memo_rule { MEMO_OR, MEMO_AND, MEMO_NOT, MEMO_GROUP, MEMO_COUNT };

struct memo {
    struct {
        bool known, matched;
        size_t end;
        struct filter_node *node;
    } rules[MEMO_COUNT];
};

struct parser {
    struct arena *a;
    struct str text;
    size_t at;
    unsigned depth;
    bool too_deep;
    /* The farthest place where a token failed, and those tried there; inside a negation (!) the
     * tokens that matched. */
    size_t fail_at;
    uint64_t expected, unexpected; /* bit sets of tokens */
    bool inverted;
    VEC(struct str) complaints;
    struct memo **memo; /* per place */
};

/* --- errors -------------------------------------------------------------------------------- */

static void note(struct parser *p, bool matched, size_t at, enum token token)
{
    if (matched != p->inverted || at < p->fail_at) {
        return;
    }
    if (at > p->fail_at) {
        p->fail_at = at;
        p->expected = p->unexpected = 0;
    }
    if (p->inverted) {
        p->unexpected |= (uint64_t)1 << token;
    } else {
        p->expected |= (uint64_t)1 << token;
    }
}

/* "line:column (offset)", counted in characters as the reference does: a newline is column 0 of the
 * line it opens. */
static struct str place_text(struct parser *p, size_t at)
{
    size_t line = 1;
    size_t column = 0;
    for (size_t i = 0; i <= at;) {
        uint32_t rune = 0;
        size_t width = 1;
        if (i < p->text.n) {
            width = utf8_decode((const uint8_t *)p->text.p + i, p->text.n - i, &rune);
        }
        column++;
        if (rune == '\n') {
            line++;
            column = 0;
        }
        i += width;
    }
    return arena_printf(p->a, "%zu:%zu (%zu)", line, column, at);
}

static void complain(struct parser *p, size_t at, const char *rule, const char *what)
{
    struct str place = place_text(p, at);
    struct str text = arena_printf(p->a, "%.*s: rule \"%s\": %s", STRF(place), rule, what);
    for (size_t i = 0; i < p->complaints.n; i++) {
        if (str_eq(p->complaints.v[i], text)) {
            return;
        }
    }
    avec_push(p->a, &p->complaints, text);
}

static int shown_cmp(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int fail_expected(struct parser *p, struct err *err)
{
    struct str list[2 * TOKEN_COUNT];
    size_t n = 0;
    bool end = (p->unexpected & (uint64_t)1 << T_ANY) != 0;
    for (unsigned i = 0; i < TOKEN_COUNT; i++) {
        if ((p->expected & (uint64_t)1 << i) != 0) {
            list[n++] = str_from_cstr(token_shown[i]);
        }
        if ((p->unexpected & (uint64_t)1 << i) != 0 && i != T_ANY) {
            list[n++] = arena_printf(p->a, "!%s", token_shown[i]);
        }
    }
    qsort(list, n, sizeof(list[0]), shown_cmp);
    if (end) {
        list[n++] = STR("EOF");
    }
    struct buf b = {0};
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            buf_str(&b, i + 1 == n ? STR(" or ") : STR(", "));
        }
        buf_str(&b, list[i]);
    }
    int r = err_set(err, ERR_INVALID, "%.*s: no match found, expected: %.*s",
                    STRF(place_text(p, p->fail_at)), STRF(buf_view(&b)));
    buf_deinit(&b);
    return r;
}

static int fail_complaints(struct parser *p, struct err *err)
{
    struct buf b = {0};
    for (size_t i = 0; i < p->complaints.n; i++) {
        buf_str(&b, i > 0 ? STR("\n") : STR(""));
        buf_str(&b, p->complaints.v[i]);
    }
    int r = err_set(err, ERR_INVALID, "%.*s", STRF(buf_view(&b)));
    buf_deinit(&b);
    return r;
}

/* --- tokens -------------------------------------------------------------------------------- */

static bool literal(struct parser *p, enum token token)
{
    struct str want = str_from_cstr(token_text[token]);
    bool matched = str_has_prefix(str_from(p->text, p->at), want);
    note(p, matched, p->at, token);
    p->at += matched ? want.n : 0;
    return matched;
}

static bool in_class(enum token token, char c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool digit = c >= '0' && c <= '9';
    switch (token) {
    case T_SPACE:
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
    case T_LETTER:
        return letter;
    case T_WORD:
        return letter || digit || c == '_';
    case T_DIGIT:
        return digit;
    case T_DIGIT_NOT_ZERO:
        return digit && c != '0';
    default:
        return true;
    }
}

static bool one_of(struct parser *p, enum token token)
{
    bool matched = p->at < p->text.n && in_class(token, p->text.p[p->at]);
    note(p, matched, p->at, token);
    if (matched) {
        uint32_t rune;
        p->at += utf8_decode((const uint8_t *)p->text.p + p->at, p->text.n - p->at, &rune);
    }
    return matched;
}

static bool space(struct parser *p)
{
    bool matched = one_of(p, T_SPACE);
    while (matched && one_of(p, T_SPACE)) {
    }
    return matched;
}

static bool maybe_space(struct parser *p)
{
    (void)space(p);
    return true;
}

static bool at_end(struct parser *p)
{
    size_t at = p->at;
    p->inverted = !p->inverted;
    bool more = one_of(p, T_ANY);
    p->inverted = !p->inverted;
    p->at = at;
    return !more;
}

static bool not_literal(struct parser *p, enum token token)
{
    size_t at = p->at;
    p->inverted = !p->inverted;
    bool matched = literal(p, token);
    p->inverted = !p->inverted;
    p->at = at;
    return !matched;
}

/* Go back to where the alternative started; false. */
static bool back(struct parser *p, size_t at)
{
    p->at = at;
    return false;
}

/* --- strings and numbers ------------------------------------------------------------------- */

static int hex_digits(struct str s, size_t at, size_t count, uint32_t *ret)
{
    uint32_t v = 0;
    for (size_t i = 0; i < count; i++) {
        char c = at + i < s.n ? s.p[at + i] : 'x';
        char l = (char)(c | 0x20);
        if (c >= '0' && c <= '9') {
            v = v << 4 | (uint32_t)(c - '0');
        } else if (l >= 'a' && l <= 'f') {
            v = v << 4 | (uint32_t)(l - 'a' + 10);
        } else {
            return -1;
        }
    }
    *ret = v;
    return 0;
}

/* One escape of a Go string literal, from the backslash at *at on. */
static bool unquote_escape(struct str s, size_t *at, struct buf *to)
{
    static const char letters[] = "abfnrtv\\\"";
    static const char meanings[] = "\a\b\f\n\r\t\v\\\"";
    char c = *at + 1 < s.n ? s.p[*at + 1] : '\0';
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    uint32_t v = 0;
    if (letter != NULL) {
        buf_byte(to, (uint8_t)meanings[letter - letters]);
        *at += 2;
        return true;
    }
    if (c >= '0' && c <= '7') {
        for (size_t i = 1; i <= 3; i++) {
            char d = *at + i < s.n ? s.p[*at + i] : 'x';
            if (d < '0' || d > '7') {
                return false;
            }
            v = v * 8 + (uint32_t)(d - '0');
        }
        buf_byte(to, (uint8_t)v);
        *at += 4;
        return v <= 255;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0 || hex_digits(s, *at + 2, digits, &v) < 0) {
        return false;
    }
    *at += 2 + digits;
    if (c == 'x') {
        buf_byte(to, (uint8_t)v);
        return true;
    }
    if (v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff)) {
        return false;
    }
    char text[4];
    buf_put(to, text, utf8_encode(text, v));
    return true;
}

/* What stands between the quotes, as Go's strconv.Unquote reads it. */
static bool unquote(struct parser *p, char quote, struct str inner, struct str *ret)
{
    struct buf b = {0};
    bool good = true;
    for (size_t i = 0; i < inner.n && good;) {
        char c = inner.p[i];
        if (quote == '`') {
            if (c != '\r') {
                buf_byte(&b, (uint8_t)c);
            }
            i++;
        } else if (c == '\\') {
            good = unquote_escape(inner, &i, &b);
        } else {
            good = c != '\n';
            buf_byte(&b, (uint8_t)c);
            i++;
        }
    }
    *ret = good ? arena_str(p->a, buf_view(&b)) : STR_NULL;
    buf_deinit(&b);
    return good;
}

/* The characters up to the closing quote; every place is tried as the grammar would. */
static void quoted_chars(struct parser *p, enum token quote)
{
    while (not_literal(p, quote) && one_of(p, T_ANY)) {
    }
}

static bool string_rule(struct parser *p, struct str *ret)
{
    static const enum token quotes[] = {T_BACKQUOTE, T_QUOTE};
    size_t start = p->at;
    for (size_t i = 0; i < ARRAY_SIZE(quotes); i++) {
        if (literal(p, quotes[i])) {
            quoted_chars(p, quotes[i]);
            size_t end = p->at;
            if (literal(p, quotes[i])) {
                struct str inner = str_make(p->text.p + start + 1, end - start - 1);
                if (!unquote(p, token_text[quotes[i]][0], inner, ret)) {
                    complain(p, start, "string", "invalid syntax");
                }
                return true;
            }
        }
        p->at = start;
    }
    for (size_t i = 0; i < ARRAY_SIZE(quotes); i++) {
        if (literal(p, quotes[i])) {
            quoted_chars(p, quotes[i]);
            if (at_end(p)) {
                complain(p, p->at, "string", "Unterminated string literal");
            }
            return back(p, start);
        }
    }
    return false;
}

static bool integer_or_float(struct parser *p)
{
    if (!literal(p, T_ZERO)) {
        if (!one_of(p, T_DIGIT_NOT_ZERO)) {
            return false;
        }
        while (one_of(p, T_DIGIT)) {
        }
    }
    size_t at = p->at;
    if (literal(p, T_DOT)) {
        if (one_of(p, T_DIGIT)) {
            while (one_of(p, T_DIGIT)) {
            }
        } else {
            p->at = at;
        }
    }
    return true;
}

/* What may follow a number. */
static bool after_number(struct parser *p)
{
    size_t at = p->at;
    bool matched = space(p) || at_end(p) || literal(p, T_PAREN_CLOSE);
    p->at = at;
    return matched;
}

static bool number_rule(struct parser *p, struct str *ret)
{
    size_t start = p->at;
    for (int alternative = 0; alternative < 2; alternative++) {
        (void)literal(p, T_MINUS);
        if (integer_or_float(p)) {
            if (alternative == 0) {
                if (after_number(p)) {
                    *ret = str_make(p->text.p + start, p->at - start);
                    return true;
                }
            } else {
                p->inverted = !p->inverted;
                bool good = after_number(p);
                p->inverted = !p->inverted;
                if (!good) {
                    complain(p, p->at, "number", "Invalid number literal");
                }
            }
        }
        p->at = start;
    }
    return false;
}

/* --- selectors and values ------------------------------------------------------------------ */

static bool identifier(struct parser *p, struct str *ret)
{
    size_t start = p->at;
    if (!one_of(p, T_LETTER)) {
        return false;
    }
    while (one_of(p, T_WORD)) {
    }
    *ret = str_make(p->text.p + start, p->at - start);
    return true;
}

static bool index_rule(struct parser *p, struct str *ret)
{
    size_t start = p->at;
    struct str ignored;
    if (literal(p, T_INDEX_OPEN) && maybe_space(p) && string_rule(p, ret) && maybe_space(p) &&
        literal(p, T_INDEX_CLOSE)) {
        return true;
    }
    p->at = start;
    if (literal(p, T_INDEX_OPEN) && maybe_space(p)) {
        size_t at = p->at;
        p->inverted = !p->inverted;
        bool is_string = string_rule(p, &ignored);
        p->inverted = !p->inverted;
        p->at = at;
        if (!is_string) {
            complain(p, p->at, "index", "Invalid index");
        }
    }
    p->at = start;
    if (literal(p, T_INDEX_OPEN) && maybe_space(p) && string_rule(p, &ignored) && maybe_space(p) &&
        not_literal(p, T_INDEX_CLOSE)) {
        complain(p, p->at, "index", "Unclosed index expression");
    }
    return back(p, start);
}

static bool selector_rule(struct parser *p, struct strlist *ret)
{
    VEC(struct str) parts = {0};
    struct str part;
    if (!identifier(p, &part)) {
        return false;
    }
    for (;;) {
        avec_push(p->a, &parts, part);
        if (parts.n > SELECTOR_PARTS_MAX) {
            p->too_deep = true;
            return false;
        }
        size_t at = p->at;
        if (literal(p, T_DOT) && identifier(p, &part)) {
            continue;
        }
        p->at = at;
        if (!index_rule(p, &part)) {
            break;
        }
    }
    *ret = (struct strlist){parts.v, parts.n};
    return true;
}

static struct str selector_join(struct arena *a, struct strlist l)
{
    if (l.n == 1) {
        return l.v[0];
    }
    struct buf b = {0};
    for (size_t i = 0; i < l.n; i++) {
        buf_str(&b, i > 0 ? STR(".") : STR(""));
        buf_str(&b, l.v[i]);
    }
    struct str joined = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return joined;
}

static bool value_rule(struct parser *p, struct str *ret)
{
    struct strlist selector;
    if (selector_rule(p, &selector)) {
        *ret = selector_join(p->a, selector);
        return true;
    }
    return number_rule(p, ret) || string_rule(p, ret);
}

/* --- matches ------------------------------------------------------------------------------- */

/* One operator: the words in order, spaced; symbols may stand without space. */
static bool operator_rule(struct parser *p, enum token first, int second, bool trailing_space)
{
    size_t start = p->at;
    if (first == T_EQUAL || first == T_NOT_EQUAL) {
        return (maybe_space(p) && literal(p, first) && maybe_space(p)) || back(p, start);
    }
    bool matched = space(p) && literal(p, first) &&
                   (second < 0 || (space(p) && literal(p, (enum token)second))) &&
                   (!trailing_space || space(p));
    return matched || back(p, start);
}

static bool value_operator(struct parser *p, enum filter_op *ret)
{
    static const struct {
        enum token first;
        int second;
        enum filter_op op;
    } table[] = {
        {T_EQUAL, -1, FILTER_EQUAL},     {T_NOT_EQUAL, -1, FILTER_NOT_EQUAL},
        {T_CONTAINS, -1, FILTER_IN},     {T_NOT, T_CONTAINS, FILTER_NOT_IN},
        {T_MATCHES, -1, FILTER_MATCHES}, {T_NOT, T_MATCHES, FILTER_NOT_MATCHES},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (operator_rule(p, table[i].first, table[i].second, true)) {
            *ret = table[i].op;
            return true;
        }
    }
    return false;
}

static bool empty_operator(struct parser *p, enum filter_op *ret)
{
    size_t start = p->at;
    if (operator_rule(p, T_IS, T_EMPTY, false)) {
        *ret = FILTER_IS_EMPTY;
        return true;
    }
    if (space(p) && literal(p, T_IS) && space(p) && literal(p, T_NOT) && space(p) &&
        literal(p, T_EMPTY)) {
        *ret = FILTER_IS_NOT_EMPTY;
        return true;
    }
    return back(p, start);
}

static bool in_operator(struct parser *p, enum filter_op *ret)
{
    if (operator_rule(p, T_IN, -1, true)) {
        *ret = FILTER_IN;
        return true;
    }
    *ret = FILTER_NOT_IN;
    return operator_rule(p, T_NOT, T_IN, true);
}

static bool match_rule(struct parser *p, struct filter_node **ret)
{
    size_t start = p->at;
    struct filter_node m = {.kind = FILTER_MATCH, .has_value = true};
    bool matched =
        selector_rule(p, &m.selector) && value_operator(p, &m.op) && value_rule(p, &m.value);
    if (!matched) {
        p->at = start;
        matched = selector_rule(p, &m.selector) && empty_operator(p, &m.op);
        m.has_value = !matched;
    }
    if (!matched) {
        p->at = start;
        matched = value_rule(p, &m.value) && in_operator(p, &m.op) && selector_rule(p, &m.selector);
    }
    if (!matched) {
        p->at = start;
        if (value_rule(p, &m.value) && in_operator(p, &m.op)) {
            struct strlist ignored;
            size_t at = p->at;
            p->inverted = !p->inverted;
            bool is_selector = selector_rule(p, &ignored);
            p->inverted = !p->inverted;
            p->at = at;
            if (!is_selector) {
                complain(p, p->at, "match", "Invalid selector");
            }
        }
        return back(p, start);
    }
    struct filter_node *node = ARENA_NEW(p->a, struct filter_node);
    *node = m;
    *ret = node;
    return true;
}

/* --- expressions --------------------------------------------------------------------------- */

static bool or_rule(struct parser *p, struct filter_node **ret);

static struct filter_node *node_new(struct parser *p, enum filter_node_kind kind,
                                    struct filter_node *left, struct filter_node *right)
{
    struct filter_node *node = ARENA_NEW(p->a, struct filter_node);
    *node = (struct filter_node){.kind = kind, .left = left, .right = right};
    return node;
}

static bool group_apply(struct parser *p, struct filter_node **ret)
{
    size_t start = p->at;
    if (literal(p, T_PAREN_OPEN) && maybe_space(p) && or_rule(p, ret) && maybe_space(p) &&
        literal(p, T_PAREN_CLOSE)) {
        return true;
    }
    p->at = start;
    if (match_rule(p, ret)) {
        return true;
    }
    struct filter_node *ignored;
    if (literal(p, T_PAREN_OPEN) && maybe_space(p) && or_rule(p, &ignored) && maybe_space(p) &&
        not_literal(p, T_PAREN_CLOSE)) {
        complain(p, p->at, "grouping", "Unmatched parentheses");
    }
    return back(p, start);
}

static bool rule(struct parser *p, enum memo_rule r, struct filter_node **ret);

static bool not_apply(struct parser *p, struct filter_node **ret)
{
    size_t start = p->at;
    struct filter_node *operand;
    if (literal(p, T_NOT) && space(p) && rule(p, MEMO_NOT, &operand)) {
        *ret = operand->kind == FILTER_NOT ? operand->left : node_new(p, FILTER_NOT, operand, NULL);
        return true;
    }
    p->at = start;
    return rule(p, MEMO_GROUP, ret);
}

static bool binary_apply(struct parser *p, enum memo_rule self, struct filter_node **ret)
{
    bool is_or = self == MEMO_OR;
    enum memo_rule inner = is_or ? MEMO_AND : MEMO_NOT;
    size_t start = p->at;
    struct filter_node *left;
    struct filter_node *right;
    if (rule(p, inner, &left) && space(p) && literal(p, is_or ? T_OR : T_AND) && space(p) &&
        rule(p, self, &right)) {
        *ret = node_new(p, is_or ? FILTER_OR : FILTER_AND, left, right);
        return true;
    }
    p->at = start;
    return rule(p, inner, ret);
}

/* A rule, or what it gave when it was tried here before. None of these is ever inside a negation
 * of the grammar, so the outcome depends on the place alone. */
static bool rule(struct parser *p, enum memo_rule r, struct filter_node **ret)
{
    size_t start = p->at;
    if (p->memo[start] == NULL) {
        p->memo[start] = ARENA_NEW(p->a, struct memo);
    }
    struct memo *m = p->memo[start];
    if (!m->rules[r].known) {
        if (p->depth >= FILTER_DEPTH_MAX) {
            p->too_deep = true;
            return false;
        }
        p->depth++;
        struct filter_node *node = NULL;
        bool matched = r == MEMO_GROUP ? group_apply(p, &node)
                       : r == MEMO_NOT ? not_apply(p, &node)
                                       : binary_apply(p, r, &node);
        p->depth--;
        m->rules[r].known = true;
        m->rules[r].matched = matched;
        m->rules[r].end = p->at;
        m->rules[r].node = node;
    }
    p->at = m->rules[r].end;
    *ret = m->rules[r].node;
    return m->rules[r].matched;
}

static bool or_rule(struct parser *p, struct filter_node **ret)
{
    return rule(p, MEMO_OR, ret);
}

static bool input_rule(struct parser *p, struct filter_node **ret)
{
    if (maybe_space(p) && literal(p, T_PAREN_OPEN) && maybe_space(p) && or_rule(p, ret) &&
        maybe_space(p) && literal(p, T_PAREN_CLOSE) && maybe_space(p) && at_end(p)) {
        return true;
    }
    p->at = 0;
    return maybe_space(p) && or_rule(p, ret) && maybe_space(p) && at_end(p);
}

int filter_parse(struct arena *a, struct str text, struct filter_node **ret_node, struct err *err)
{
    struct parser p = {.a = a, .text = text};
    if (text.n > FILTER_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "expression exceeds the maximum length of %u",
                       FILTER_SIZE_MAX);
    }
    for (size_t i = 0; i < text.n;) {
        uint32_t rune;
        size_t width = utf8_decode((const uint8_t *)text.p + i, text.n - i, &rune);
        if (width == 1 && rune == UTF8_ERROR) {
            return err_set(err, ERR_INVALID, "%.*s: rule Input: invalid encoding",
                           STRF(place_text(&p, i)));
        }
        i += width;
    }
    p.memo = ARENA_ARRAY(a, struct memo *, text.n + 1);
    struct filter_node *node;
    bool matched = input_rule(&p, &node);
    if (p.too_deep) {
        return err_set(err, ERR_TOO_LARGE, "expression nests too deeply");
    }
    if (p.complaints.n > 0) {
        return fail_complaints(&p, err);
    }
    if (!matched) {
        return fail_expected(&p, err);
    }
    *ret_node = node;
    return 0;
}
