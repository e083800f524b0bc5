/* Three walks, children first: names are known and calls have the right number of arguments; types
 * fit or can be made to; the values. */
#include "schema/hil_tree.h"

#include "base/err.h"
#include "base/gofmt.h"

struct evaluation {
    struct arena *a;
    const struct hil_scope *scope;
    struct err *err;
    size_t size; /* of all text made so far */
};

static const char *type_name(enum hil_type type)
{
    static const char *const names[] = {"TypeString", "TypeInt", "TypeFloat", "TypeBool"};
    return names[type];
}

static const char *type_words(enum hil_type type)
{
    static const char *const words[] = {"type string", "type int", "type float", "type bool"};
    return words[type];
}

static const struct str *find_variable(const struct evaluation *e, struct str name)
{
    for (size_t i = 0; i < e->scope->variables_count; i++) {
        if (str_eq(e->scope->variables[i].key, name)) {
            return &e->scope->variables[i].value;
        }
    }
    return NULL;
}

static const struct hil_function *find_function(const struct evaluation *e, struct str name)
{
    for (size_t i = 0; i < e->scope->functions_count; i++) {
        if (str_eq(e->scope->functions[i].name, name)) {
            return &e->scope->functions[i];
        }
    }
    return NULL;
}

/* --- names -------------------------------------------------------------------------------------
 */

static int check_names(struct evaluation *e, const struct hil_node *n)
{
    int r = 0;
    for (uint32_t i = 0; i < n->children_count && r >= 0; i++) {
        r = check_names(e, n->children[i]);
    }
    if (r < 0) {
        return r;
    }
    if (n->kind == HIL_NODE_VARIABLE && find_variable(e, n->name) == NULL) {
        return err_set(e->err, ERR_INVALID, "%u:%u: unknown variable accessed: %.*s", n->pos.line,
                       n->pos.column, STRF(n->name));
    }
    if (n->kind == HIL_NODE_CALL && find_function(e, n->name) == NULL) {
        return err_set(e->err, ERR_INVALID, "%u:%u: unknown function called: %.*s", n->pos.line,
                       n->pos.column, STRF(n->name));
    }
    if (n->kind == HIL_NODE_CALL && n->children_count != 1) {
        return err_set(e->err, ERR_INVALID, "%u:%u: %.*s: expected 1 arguments, got %u",
                       n->pos.line, n->pos.column, STRF(n->name), n->children_count);
    }
    return 0;
}

/* --- types -------------------------------------------------------------------------------------
 */

static bool can_convert(enum hil_type from, enum hil_type to)
{
    switch (from) {
    case HIL_STRING:
        return true;
    case HIL_INT:
        return to != HIL_BOOL;
    case HIL_FLOAT:
        return to != HIL_BOOL;
    default:
        return to == HIL_BOOL || to == HIL_STRING;
    }
}

static bool want(struct hil_node *n, enum hil_type type)
{
    n->wanted = type;
    return can_convert(n->type, type);
}

static int want_operands(struct evaluation *e, struct hil_node *n, enum hil_type type)
{
    for (uint32_t i = 0; i < n->children_count; i++) {
        if (!want(n->children[i], type)) {
            return err_set(e->err, ERR_INVALID, "operand %u should be %s, got %s", i + 1,
                           type_name(type), type_name(n->children[i]->type));
        }
    }
    return 0;
}

/* Numbers are integers unless one is not. */
static enum hil_type number_type(const struct hil_node *n)
{
    return n->children[0]->type == HIL_FLOAT || n->children[1]->type == HIL_FLOAT ? HIL_FLOAT
                                                                                  : HIL_INT;
}

static int check_operation(struct evaluation *e, struct hil_node *n)
{
    if (n->op == HIL_OP_AND || n->op == HIL_OP_OR) {
        n->type = HIL_BOOL;
        for (uint32_t i = 0; i < n->children_count; i++) {
            if (!want(n->children[i], HIL_BOOL)) {
                return err_set(e->err, ERR_INVALID,
                               "logical operators require boolean operands, not %s",
                               type_name(n->children[i]->type));
            }
        }
        return 0;
    }
    if (n->op < HIL_OP_ADD) {
        n->type = HIL_BOOL;
        bool by_equality = n->op == HIL_OP_EQUAL || n->op == HIL_OP_NOT_EQUAL;
        return want_operands(e, n, by_equality ? n->children[0]->type : number_type(n));
    }
    n->type = number_type(n);
    int r = want_operands(e, n, n->type);
    if (r >= 0 && n->op == HIL_OP_MODULO && n->type == HIL_FLOAT) {
        return err_set(e->err, ERR_INVALID, "modulo cannot be used with floats");
    }
    return r;
}

/* A string yields to what the other branch is. */
static int check_conditional(struct evaluation *e, struct hil_node *n)
{
    struct hil_node *then = n->children[1], *otherwise = n->children[2];
    if (!want(n->children[0], HIL_BOOL)) {
        return err_set(e->err, ERR_INVALID, "condition must be type bool, not %s",
                       type_words(n->children[0]->type));
    }
    n->type = then->type == HIL_STRING ? otherwise->type : then->type;
    if (!want(then, n->type) || !want(otherwise, n->type)) {
        return err_set(e->err, ERR_INVALID,
                       "true and false expression types must match; have %s and %s",
                       type_words(then->type), type_words(otherwise->type));
    }
    return 0;
}

static int check_node(struct evaluation *e, struct hil_node *n)
{
    switch (n->kind) {
    case HIL_NODE_LITERAL:
        n->type = n->literal.type;
        return 0;
    case HIL_NODE_VARIABLE:
        n->type = HIL_STRING;
        return 0;
    case HIL_NODE_OUTPUT:
        n->type = HIL_STRING;
        for (uint32_t i = 0; i < n->children_count; i++) {
            (void)want(n->children[i], HIL_STRING); /* all can */
        }
        return 0;
    case HIL_NODE_CALL:
        n->type = HIL_STRING;
        if (!want(n->children[0], HIL_INT)) {
            return err_set(e->err, ERR_INVALID, "%.*s: argument 1 should be type int, got %s",
                           STRF(n->name), type_words(n->children[0]->type));
        }
        return 0;
    case HIL_NODE_OPERATION:
        return check_operation(e, n);
    case HIL_NODE_CONDITIONAL:
        return check_conditional(e, n);
    default: /* no variable is a list or a map */
        return err_set(e->err, ERR_INVALID,
                       "invalid index operation into non-indexable type: TypeString");
    }
}

static int check_types(struct evaluation *e, struct hil_node *n)
{
    for (uint32_t i = 0; i < n->children_count; i++) {
        int r = check_types(e, n->children[i]);
        if (r < 0) {
            return r;
        }
    }
    int r = check_node(e, n);
    return r < 0 ? err_wrap(e->err, "At column %u, line %u", n->pos.column, n->pos.line) : 0;
}

/* --- values ------------------------------------------------------------------------------------
 */

/* Go's ParseInt with base 0: 0x, 0o, 0b and a leading 0 say the base. */
static int parse_int(struct str s, int64_t *ret)
{
    struct str digits = s;
    bool is_negative = digits.n > 0 && digits.p[0] == '-';
    uint64_t base = 10, value = 0;
    if (digits.n > 0 && (is_negative || digits.p[0] == '+')) {
        digits = str_from(digits, 1);
    }
    if (digits.n > 1 && digits.p[0] == '0') {
        char mark = (char)(digits.p[1] | 0x20);
        base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
        digits = str_from(digits, base == 16 || base == 2 || mark == 'o' ? 2 : 1);
    }
    if (digits.n == 0) {
        return -ERR_INVALID;
    }
    for (size_t i = 0; i < digits.n; i++) {
        uint8_t c = (uint8_t)digits.p[i];
        uint64_t digit = c >= '0' && c <= '9'                     ? c - (uint64_t)'0'
                         : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10u
                                                                  : 16u;
        if (digit >= base) {
            return -ERR_INVALID;
        }
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return -ERR_RANGE;
        }
    }
    if (value > (uint64_t)INT64_MAX + is_negative) {
        return -ERR_RANGE;
    }
    *ret = (int64_t)(is_negative ? 0 - value : value);
    return 0;
}

static int parse_failed(struct evaluation *e, const char *builtin, const char *function,
                        struct str text, int code)
{
    struct buf quoted = {0};
    go_quote(&quoted, text);
    int r = err_set(e->err, ERR_INVALID, "__builtin_%s: strconv.%s: parsing %.*s: %s", builtin,
                    function, STRF(buf_view(&quoted)),
                    code == -ERR_RANGE ? "value out of range" : "invalid syntax");
    buf_deinit(&quoted);
    return r;
}

static int from_string(struct evaluation *e, enum hil_type to, struct hil_value *v)
{
    struct str s = v->s;
    int r;
    if (to == HIL_INT) {
        r = parse_int(s, &v->i);
        return r < 0 ? parse_failed(e, "StringToInt", "ParseInt", s, r) : 0;
    }
    if (to == HIL_FLOAT) {
        r = str_parse_f64(s, &v->f);
        return r < 0 ? parse_failed(e, "StringToFloat", "ParseFloat", s, r) : 0;
    }
    r = str_parse_bool(s, &v->b);
    return r < 0 ? parse_failed(e, "StringToBool", "ParseBool", s, r) : 0;
}

static struct str to_string(struct evaluation *e, const struct hil_value *v)
{
    if (v->type == HIL_BOOL) {
        return v->b ? STR("true") : STR("false");
    }
    struct buf text = {0};
    if (v->type == HIL_INT) {
        buf_i64(&text, v->i);
    } else {
        go_float_g(&text, v->f);
    }
    struct str s = arena_str(e->a, buf_view(&text));
    buf_deinit(&text);
    return s;
}

static int convert(struct evaluation *e, enum hil_type to, struct hil_value *v)
{
    int r = 0;
    if (v->type == to) {
        return 0;
    }
    if (to == HIL_STRING) {
        v->s = to_string(e, v);
    } else if (v->type == HIL_STRING) {
        r = from_string(e, to, v);
    } else if (to == HIL_FLOAT) {
        v->f = (double)v->i;
    } else { /* a float; what no integer can hold becomes the smallest, as on amd64 */
        v->i = v->f > -9.3e18 && v->f < 9.2e18 && v->f >= -0x1p63 ? (int64_t)v->f : INT64_MIN;
    }
    v->type = to;
    return r;
}

/* Integers wrap around. */
static int operate_int(struct evaluation *e, enum hil_op op, int64_t x, int64_t y, int64_t *ret)
{
    switch (op) {
    case HIL_OP_ADD:
        *ret = (int64_t)((uint64_t)x + (uint64_t)y);
        return 0;
    case HIL_OP_SUBTRACT:
        *ret = (int64_t)((uint64_t)x - (uint64_t)y);
        return 0;
    case HIL_OP_MULTIPLY:
        *ret = (int64_t)((uint64_t)x * (uint64_t)y);
        return 0;
    default:
        if (y == 0) {
            return err_set(e->err, ERR_INVALID, "__builtin_IntMath: divide by zero");
        }
        if (y == -1) { /* the one quotient that does not fit would trap */
            *ret = op == HIL_OP_DIVIDE ? (int64_t)(0 - (uint64_t)x) : 0;
        } else {
            *ret = op == HIL_OP_DIVIDE ? x / y : x % y;
        }
        return 0;
    }
}

static double operate_float(enum hil_op op, double x, double y)
{
    return op == HIL_OP_ADD        ? x + y
           : op == HIL_OP_SUBTRACT ? x - y
           : op == HIL_OP_MULTIPLY ? x * y
                                   : x / y;
}

static bool compare_float(enum hil_op op, double x, double y)
{
    switch (op) {
    case HIL_OP_EQUAL:
        return x == y;
    case HIL_OP_NOT_EQUAL:
        return x != y;
    case HIL_OP_LESS:
        return x < y;
    case HIL_OP_LESS_EQUAL:
        return x <= y;
    case HIL_OP_GREATER:
        return x > y;
    default:
        return x >= y;
    }
}

static bool compare(enum hil_op op, const struct hil_value *x, const struct hil_value *y)
{
    switch (x->type) {
    case HIL_STRING:
        return str_eq(x->s, y->s) == (op == HIL_OP_EQUAL);
    case HIL_BOOL:
        return (x->b == y->b) == (op == HIL_OP_EQUAL);
    case HIL_FLOAT:
        return compare_float(op, x->f, y->f);
    default:
        return compare_float(op, (double)((x->i > y->i) - (x->i < y->i)), 0);
    }
}

static int operate(struct evaluation *e, const struct hil_node *n, const struct hil_value *x,
                   const struct hil_value *y, struct hil_value *ret)
{
    ret->type = n->type;
    if (n->op == HIL_OP_AND || n->op == HIL_OP_OR) {
        ret->b = n->op == HIL_OP_AND ? x->b && y->b : x->b || y->b;
    } else if (n->op < HIL_OP_ADD) {
        ret->b = compare(n->op, x, y);
    } else if (n->type == HIL_FLOAT) {
        ret->f = operate_float(n->op, x->f, y->f);
    } else {
        return operate_int(e, n->op, x->i, y->i, &ret->i);
    }
    return 0;
}

static int eval_node(struct evaluation *e, const struct hil_node *n, struct hil_value *ret);

/* The child's value, turned into what was wanted of it. */
static int eval_child(struct evaluation *e, const struct hil_node *n, uint32_t i,
                      struct hil_value *ret)
{
    const struct hil_node *child = n->children[i];
    int r = eval_node(e, child, ret);
    return r < 0 ? r : convert(e, child->wanted, ret);
}

static int eval_output(struct evaluation *e, const struct hil_node *n, struct hil_value *ret)
{
    struct buf text;
    int r = 0;
    buf_init(&text, HIL_SIZE_MAX);
    for (uint32_t i = 0; i < n->children_count && r >= 0; i++) {
        struct hil_value part;
        r = eval_child(e, n, i, &part);
        if (r >= 0) {
            buf_str(&text, part.s);
        }
    }
    e->size += text.n;
    if (r >= 0 && (text.failed || e->size > HIL_SIZE_MAX)) {
        r = err_set(e->err, ERR_TOO_LARGE, "the result is over the maximum of %u bytes",
                    HIL_SIZE_MAX);
    }
    if (r >= 0) {
        *ret = (struct hil_value){.type = HIL_STRING, .s = arena_str(e->a, buf_view(&text))};
    }
    buf_deinit(&text);
    return r;
}

static int eval_node(struct evaluation *e, const struct hil_node *n, struct hil_value *ret)
{
    struct hil_value v[3];
    if (n->kind == HIL_NODE_OUTPUT) {
        return eval_output(e, n, ret);
    }
    for (uint32_t i = 0; i < n->children_count; i++) {
        int r = eval_child(e, n, i, &v[i]);
        if (r < 0) {
            return r;
        }
    }
    switch (n->kind) {
    case HIL_NODE_LITERAL:
        *ret = n->literal;
        return 0;
    case HIL_NODE_VARIABLE:
        *ret = (struct hil_value){.type = HIL_STRING, .s = *find_variable(e, n->name)};
        return 0;
    case HIL_NODE_CALL: {
        const struct hil_function *f = find_function(e, n->name);
        *ret = (struct hil_value){.type = HIL_STRING, .s = f->call(f->data, v[0].i)};
        return 0;
    }
    case HIL_NODE_OPERATION:
        return operate(e, n, &v[0], &v[1], ret);
    case HIL_NODE_CONDITIONAL:
        *ret = v[0].b ? v[1] : v[2];
        return 0;
    default:
        return err_set(e->err, ERR_INTERNAL, "nothing can be indexed");
    }
}

int hil_eval(struct arena *a, struct hil_node *tree, const struct hil_scope *scope,
             struct str *ret_text, struct err *err)
{
    struct evaluation e = {.a = a, .scope = scope, .err = err};
    struct hil_value v;
    int r = check_names(&e, tree);
    if (r >= 0) {
        r = check_types(&e, tree);
    }
    if (r >= 0) {
        r = eval_node(&e, tree, &v);
    }
    if (r < 0) {
        return r;
    }
    ASSERT(v.type == HIL_STRING); /* a tree is text, or text and expressions */
    *ret_text = v.s;
    return 0;
}
