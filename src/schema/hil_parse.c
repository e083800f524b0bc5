/* Recursive descent; the binary operators by one table of their levels, each level to the left. */
#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"
#include "schema/hil_tree.h"

struct parser {
    struct hil_scanner scanner;
    struct hil_token next; /* looked at, not taken yet */
    struct arena *a;
    struct err *err;
    uint32_t depth;
};

static struct hil_node *parse_expression(struct parser *p);

static struct hil_token take(struct parser *p)
{
    struct hil_token t = p->next;
    p->next = hil_scan(&p->scanner);
    return t;
}

static bool is_punctuation(const struct hil_token *t, char c)
{
    return t->kind == HIL_TOKEN_PUNCTUATION && t->text.p[0] == c;
}

/* --- errors: all return NULL -------------------------------------------------------------------
 */

static void *fail(struct parser *p, struct hil_pos pos, const char *format, ...) PRINTF(3, 4);
static void *fail(struct parser *p, struct hil_pos pos, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)err_vset(p->err, ERR_INVALID, format, args);
    va_end(args);
    (void)err_wrap(p->err, "parse error at %u:%u", pos.line, pos.column);
    return NULL;
}

static struct str token_text(struct parser *p, const struct hil_token *t)
{
    static const char *const words[] = {[HIL_TOKEN_LITERAL] = "literal ",
                                        [HIL_TOKEN_STRING] = "string ",
                                        [HIL_TOKEN_INVALID] = "invalid sequence "};
    static const struct str whole[] = {
        [HIL_TOKEN_EOF] = STR_INIT("end of string"),
        [HIL_TOKEN_OPEN_QUOTE] = STR_INIT("opening quote"),
        [HIL_TOKEN_CLOSE_QUOTE] = STR_INIT("closing quote"),
        [HIL_TOKEN_AND] = STR_INIT("&&"),
        [HIL_TOKEN_OR] = STR_INIT("||"),
        [HIL_TOKEN_NOT_EQUAL] = STR_INIT("!="),
        [HIL_TOKEN_LESS_EQUAL] = STR_INIT("<="),
        [HIL_TOKEN_GREATER_EQUAL] = STR_INIT(">="),
    };
    if (t->kind == HIL_TOKEN_INTEGER || t->kind == HIL_TOKEN_FLOAT) {
        return arena_printf(p->a, "%s %.*s", t->kind == HIL_TOKEN_FLOAT ? "float" : "integer",
                            STRF(t->text));
    }
    if ((size_t)t->kind < ARRAY_SIZE(whole) && whole[t->kind].p != NULL) {
        return whole[t->kind];
    }
    const char *word = (size_t)t->kind < ARRAY_SIZE(words) ? words[t->kind] : NULL;
    struct buf quoted = {0};
    go_quote(&quoted, t->text);
    struct str text =
        arena_printf(p->a, "%s%.*s", word != NULL ? word : "", STRF(buf_view(&quoted)));
    buf_deinit(&quoted);
    return text;
}

static void *expected(struct parser *p, const char *wanted, const struct hil_token *got)
{
    struct str text = token_text(p, got);
    return fail(p, got->pos, "expected %s but found %.*s", wanted, STRF(text));
}

/* --- nodes -------------------------------------------------------------------------------------
 */

/* NULL, with the error set, when the tree gets too deep. */
static struct hil_node *node_new(struct parser *p, enum hil_node_kind kind, struct hil_pos pos,
                                 struct hil_node *const *children, size_t count)
{
    struct hil_node *n = ARENA_NEW(p->a, struct hil_node);
    n->kind = kind;
    n->pos = pos;
    n->depth = 1;
    if (count > 0) {
        n->children = ARENA_ARRAY(p->a, struct hil_node *, count);
        n->children_count = (uint32_t)count;
        for (size_t i = 0; i < count; i++) {
            n->children[i] = children[i];
            n->depth = MAX(n->depth, children[i]->depth + 1);
        }
    }
    if (n->depth > HIL_DEPTH_MAX) {
        return fail(p, pos, "expression is nested too deeply");
    }
    return n;
}

static struct hil_node *literal_new(struct parser *p, struct hil_pos pos, struct hil_value value)
{
    struct hil_node *n = node_new(p, HIL_NODE_LITERAL, pos, NULL, 0);
    n->literal = value;
    return n;
}

/* --- strings -----------------------------------------------------------------------------------
 */

/* Without escapes. Columns inside a string are those of bytes that make no difference to anybody
 * but the reader of an error. */
static struct hil_node *parse_text(struct parser *p, const struct hil_token *t)
{
    bool has_backslashes = t->kind == HIL_TOKEN_STRING;
    char *to = arena_alloc(p->a, t->text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < t->text.n; i++) {
        char c = t->text.p[i], follow = i + 1 < t->text.n ? t->text.p[i + 1] : '\0';
        if (c == '$' && follow == '$') {
            i++;
        } else if (has_backslashes && c == '\\') {
            struct hil_pos pos = {t->pos.line, t->pos.column + (uint32_t)i};
            if (i + 1 >= t->text.n) {
                return fail(p, pos, "unfinished backslash escape sequence");
            }
            if (follow != '\\' && follow != 'n' && follow != '"') {
                return fail(p, pos, "invalid backslash escape sequence");
            }
            c = follow == 'n' ? '\n' : follow;
            i++;
        }
        to[n++] = c;
    }
    return literal_new(p, t->pos, (struct hil_value){.type = HIL_STRING, .s = str_make(to, n)});
}

/* What follows one another until the end of the text, or until the quote closes. */
static struct hil_node *parse_sequence(struct parser *p, bool is_quoted)
{
    VEC(struct hil_node *) parts = {0};
    struct hil_pos start = p->next.pos;
    if (is_quoted) {
        (void)take(p);
    }
    for (;;) {
        struct hil_token t = take(p);
        struct hil_node *part;
        if (t.kind == (is_quoted ? HIL_TOKEN_CLOSE_QUOTE : HIL_TOKEN_EOF)) {
            break;
        }
        if (t.kind == (is_quoted ? HIL_TOKEN_STRING : HIL_TOKEN_LITERAL)) {
            part = parse_text(p, &t);
        } else if (t.kind == HIL_TOKEN_BEGIN) {
            part = parse_expression(p);
            if (part != NULL && (t = take(p)).kind != HIL_TOKEN_END) {
                part = expected(p, "\"}\"", &t);
            }
        } else {
            part = expected(p, "\"${\"", &t);
        }
        if (part == NULL) {
            return NULL;
        }
        avec_push(p->a, &parts, part);
    }
    if (parts.n == 0) {
        return literal_new(p, start, (struct hil_value){.type = HIL_STRING, .s = STR("")});
    }
    if (parts.n == 1 && parts.v[0]->kind == HIL_NODE_LITERAL &&
        parts.v[0]->literal.type == HIL_STRING) {
        return parts.v[0];
    }
    return node_new(p, HIL_NODE_OUTPUT, start, parts.v, parts.n);
}

/* --- terms -------------------------------------------------------------------------------------
 */

static struct hil_node *parse_number(struct parser *p)
{
    struct hil_token t = take(p);
    struct hil_value v = {.type = t.kind == HIL_TOKEN_INTEGER ? HIL_INT : HIL_FLOAT};
    bool is_int = v.type == HIL_INT;
    int r = is_int ? str_parse_i64(t.text, &v.i) : str_parse_f64(t.text, &v.f);
    if (r < 0) {
        return fail(p, t.pos, "invalid %s: strconv.%s: parsing \"%.*s\": %s",
                    is_int ? "integer" : "float", is_int ? "Atoi" : "ParseFloat", STRF(t.text),
                    r == -ERR_RANGE ? "value out of range" : "invalid syntax");
    }
    return literal_new(p, t.pos, v);
}

static struct hil_node *parse_term(struct parser *p);

/* -x is 0 - x, and !x is false == x. */
static struct hil_node *parse_unary(struct parser *p, struct hil_value left, enum hil_op op)
{
    struct hil_token t = take(p);
    struct hil_node *operand = parse_term(p);
    if (operand == NULL) {
        return NULL;
    }
    struct hil_node *both[] = {literal_new(p, t.pos, left), operand};
    struct hil_node *n = node_new(p, HIL_NODE_OPERATION, t.pos, both, 2);
    if (n != NULL) {
        n->op = op;
    }
    return n;
}

static struct hil_node *parse_call(struct parser *p, const struct hil_token *name)
{
    VEC(struct hil_node *) args = {0};
    (void)take(p); /* the parenthesis */
    while (!is_punctuation(&p->next, ')')) {
        struct hil_node *arg = parse_expression(p);
        if (arg == NULL) {
            return NULL;
        }
        avec_push(p->a, &args, arg);
        if (!is_punctuation(&p->next, ',')) {
            break;
        }
        (void)take(p);
    }
    struct hil_token close = take(p);
    if (!is_punctuation(&close, ')')) {
        return expected(p, "\")\"", &close);
    }
    struct hil_node *n = node_new(p, HIL_NODE_CALL, name->pos, args.v, args.n);
    if (n != NULL) {
        n->name = name->text;
    }
    return n;
}

static struct hil_node *parse_name(struct parser *p)
{
    struct hil_token name = take(p);
    if (is_punctuation(&p->next, '(')) {
        return parse_call(p, &name);
    }
    struct hil_node *variable = node_new(p, HIL_NODE_VARIABLE, name.pos, NULL, 0);
    variable->name = name.text;
    if (!is_punctuation(&p->next, '[')) {
        return variable;
    }
    struct hil_token open = take(p);
    struct hil_node *key = parse_expression(p);
    if (key == NULL) {
        return NULL;
    }
    struct hil_token close = take(p);
    if (!is_punctuation(&close, ']')) {
        return expected(p, "\"]\"", &close);
    }
    struct hil_node *both[] = {variable, key};
    return node_new(p, HIL_NODE_INDEX, open.pos, both, 2);
}

static struct hil_node *parse_parenthesis(struct parser *p)
{
    (void)take(p);
    struct hil_node *n = parse_expression(p);
    if (n == NULL) {
        return NULL;
    }
    struct hil_token close = take(p);
    return is_punctuation(&close, ')') ? n : expected(p, "\")\"", &close);
}

static struct hil_node *parse_term_inner(struct parser *p)
{
    switch (p->next.kind) {
    case HIL_TOKEN_OPEN_QUOTE:
        return parse_sequence(p, true);
    case HIL_TOKEN_INTEGER:
    case HIL_TOKEN_FLOAT:
        return parse_number(p);
    case HIL_TOKEN_BOOL: {
        struct hil_token t = take(p);
        return literal_new(p, t.pos, (struct hil_value){.type = HIL_BOOL, .b = t.text.p[0] == 't'});
    }
    case HIL_TOKEN_NOT:
        return parse_unary(p, (struct hil_value){.type = HIL_BOOL, .b = false}, HIL_OP_EQUAL);
    case HIL_TOKEN_IDENTIFIER:
        return parse_name(p);
    default:
        if (is_punctuation(&p->next, '(')) {
            return parse_parenthesis(p);
        }
        if (is_punctuation(&p->next, '-')) {
            return parse_unary(p, (struct hil_value){.type = HIL_INT, .i = 0}, HIL_OP_SUBTRACT);
        }
        return expected(p, "expression", &p->next);
    }
}

static struct hil_node *parse_term(struct parser *p)
{
    if (p->depth >= HIL_DEPTH_MAX) {
        return fail(p, p->next.pos, "expression is nested too deeply");
    }
    p->depth++;
    struct hil_node *n = parse_term_inner(p);
    p->depth--;
    return n;
}

/* --- operators ---------------------------------------------------------------------------------
 */

/* Each level binds closer than the one before. */
enum { LEVEL_OR, LEVEL_AND, LEVEL_EQUAL, LEVEL_COMPARE, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_COUNT };

static enum hil_op operator_of(const struct hil_token *t, int *ret_level)
{
    *ret_level = LEVEL_COMPARE;
    switch (t->kind) {
    case HIL_TOKEN_OR:
        *ret_level = LEVEL_OR;
        return HIL_OP_OR;
    case HIL_TOKEN_AND:
        *ret_level = LEVEL_AND;
        return HIL_OP_AND;
    case HIL_TOKEN_EQUAL:
    case HIL_TOKEN_NOT_EQUAL:
        *ret_level = LEVEL_EQUAL;
        return t->kind == HIL_TOKEN_EQUAL ? HIL_OP_EQUAL : HIL_OP_NOT_EQUAL;
    case HIL_TOKEN_LESS:
        return HIL_OP_LESS;
    case HIL_TOKEN_LESS_EQUAL:
        return HIL_OP_LESS_EQUAL;
    case HIL_TOKEN_GREATER:
        return HIL_OP_GREATER;
    case HIL_TOKEN_GREATER_EQUAL:
        return HIL_OP_GREATER_EQUAL;
    case HIL_TOKEN_PUNCTUATION:
        *ret_level = t->text.p[0] == '+' || t->text.p[0] == '-' ? LEVEL_SUM : LEVEL_PRODUCT;
        return t->text.p[0] == '+'   ? HIL_OP_ADD
               : t->text.p[0] == '-' ? HIL_OP_SUBTRACT
               : t->text.p[0] == '*' ? HIL_OP_MULTIPLY
               : t->text.p[0] == '/' ? HIL_OP_DIVIDE
               : t->text.p[0] == '%' ? HIL_OP_MODULO
                                     : HIL_OP_NONE;
    default:
        return HIL_OP_NONE;
    }
}

static struct hil_node *parse_level(struct parser *p, int level)
{
    if (level == LEVEL_COUNT) {
        return parse_term(p);
    }
    struct hil_pos start = p->next.pos;
    struct hil_node *left = parse_level(p, level + 1);
    while (left != NULL) {
        int of;
        enum hil_op op = operator_of(&p->next, &of);
        if (op == HIL_OP_NONE || of != level) {
            break;
        }
        (void)take(p);
        struct hil_node *right = parse_level(p, level + 1);
        if (right == NULL) {
            return NULL;
        }
        struct hil_node *both[] = {left, right};
        left = node_new(p, HIL_NODE_OPERATION, start, both, 2);
        if (left != NULL) {
            left->op = op;
        }
    }
    return left;
}

static struct hil_node *parse_expression(struct parser *p)
{
    struct hil_pos start = p->next.pos;
    struct hil_node *parts[3];
    parts[0] = parse_level(p, LEVEL_OR);
    if (parts[0] == NULL || !is_punctuation(&p->next, '?')) {
        return parts[0];
    }
    if (p->depth >= HIL_DEPTH_MAX) {
        return fail(p, p->next.pos, "expression is nested too deeply");
    }
    (void)take(p);
    p->depth++;
    parts[1] = parse_expression(p);
    if (parts[1] == NULL) {
        return NULL;
    }
    struct hil_token colon = take(p);
    if (!is_punctuation(&colon, ':')) {
        return expected(p, ":", &colon);
    }
    parts[2] = parse_expression(p);
    p->depth--;
    return parts[2] != NULL ? node_new(p, HIL_NODE_CONDITIONAL, start, parts, 3) : NULL;
}

int hil_parse(struct arena *a, struct str text, struct hil_node **ret_tree, struct err *err)
{
    struct err local = {0};
    struct parser p = {.a = a, .err = err != NULL ? err : &local};
    if (text.n > HIL_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "text of %zu bytes is over the maximum of %u", text.n,
                       HIL_SIZE_MAX);
    }
    hil_scanner_init(&p.scanner, text);
    p.next = hil_scan(&p.scanner);
    struct hil_node *tree = parse_sequence(&p, false);
    if (tree == NULL) {
        return -p.err->code;
    }
    *ret_tree = tree;
    return 0;
}
