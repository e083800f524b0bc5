/* Filters: check a parsed expression against a field table, then run it over objects.
 *
 * A selector is resolved once into steps: members to go to and map keys to look up. Lists on the
 * way mean "any element"; where a key or a pointer on the way is missing, the operator decides
 * (what is not there is not equal, is empty, is not in, and, as in the reference, matches). */
#include "schema/filter.h"

#include "base/err.h"
#include "base/gofmt.h"
#include "schema/filter_ast.h"
#include "schema/plan.h"
#include "schema/regexp.h"

#include <math.h>
#include <stdlib.h>

#define VALUE_SHOWN_MAX 200u

/* What a selector may arrive at. */
enum target {
    TARGET_NONE, /* nothing can be asked of it */
    TARGET_BOOL,
    TARGET_INT,
    TARGET_UINT,
    TARGET_BYTE, /* items of a byte slice */
    TARGET_FLOAT,
    TARGET_STR,
    TARGET_STRUCT,
    TARGET_LIST,
    TARGET_MAP,
};

/* A type: for lists and maps that of the items as well. */
struct type {
    enum target target;
    enum target item;
    const struct field *field; /* whose kind tells the representation; NULL for items */
    const struct schema *sub;  /* of structs, lists and maps of structs */
};

struct step {
    const struct plan_step *member; /* of a struct; NULL: look up `key` */
    struct str key;
    struct type type; /* of what is found */
};

struct filter_match {
    struct step *steps;
    size_t step_count;
    /* The value in the type it is compared with. */
    bool b;
    int64_t i;
    uint64_t u;
    double f;
    struct str s;
    struct regexp *regexp;
};

struct filter {
    struct filter_node *root;
    const struct schema *schema;
};

static const char *const op_text[] = {
    [FILTER_EQUAL] = "Equal",
    [FILTER_NOT_EQUAL] = "Not Equal",
    [FILTER_IN] = "In",
    [FILTER_NOT_IN] = "Not In",
    [FILTER_IS_EMPTY] = "Is Empty",
    [FILTER_IS_NOT_EMPTY] = "Is Not Empty",
    [FILTER_MATCHES] = "Matches",
    [FILTER_NOT_MATCHES] = "Not Matches",
};

/* --- types --------------------------------------------------------------------------------- */

static struct type type_of_field(const struct field *f)
{
    struct type t = {.field = f, .sub = f->sub};
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
    case FIELD_BOOL_PTR:
        t.target = TARGET_BOOL;
        break;
    case FIELD_INT:
    case FIELD_INT_PTR:
    case FIELD_DURATION:
        t.target = TARGET_INT;
        break;
    case FIELD_UINT:
        t.target = TARGET_UINT;
        break;
    case FIELD_FLOAT:
        t.target = TARGET_FLOAT;
        break;
    case FIELD_STR:
        t.target = TARGET_STR;
        break;
    case FIELD_TIME: /* a struct without exported fields */
        t.target = TARGET_NONE;
        break;
    case FIELD_BYTES:
        t.target = TARGET_LIST;
        t.item = TARGET_BYTE;
        break;
    case FIELD_INTLIST:
        t.target = TARGET_LIST;
        t.item = TARGET_INT;
        break;
    case FIELD_F64LIST:
        t.target = TARGET_LIST;
        t.item = TARGET_FLOAT;
        break;
    case FIELD_STRLIST:
        t.target = TARGET_LIST;
        t.item = TARGET_STR;
        break;
    case FIELD_OBJLIST:
    case FIELD_PTRLIST:
        t.target = TARGET_LIST;
        t.item = TARGET_STRUCT;
        break;
    case FIELD_INTMAP:
        t.target = TARGET_MAP;
        t.item = TARGET_INT;
        break;
    case FIELD_STRMAP:
        t.target = TARGET_MAP;
        t.item = TARGET_STR;
        break;
    case FIELD_STRLISTMAP:
        t.target = TARGET_MAP;
        t.item = TARGET_LIST;
        break;
    case FIELD_OBJMAP:
        t.target = TARGET_MAP;
        t.item = TARGET_STRUCT;
        break;
    case FIELD_VALUE: /* map[string]interface{}: keys alone can be asked for */
        t.target = TARGET_MAP;
        t.item = TARGET_NONE;
        break;
    case FIELD_OBJ:
    case FIELD_PTR:
    case FIELD_SPLICE:
    case FIELD_SPLICE_PTR:
        t.target = TARGET_STRUCT;
        break;
    }
    return t;
}

/* Items of a map; a list of strings is the only nested list there is. */
static struct type type_of_item(const struct type *t)
{
    return (struct type){.target = t->item,
                         .item = t->item == TARGET_LIST ? TARGET_STR : TARGET_NONE,
                         .sub = t->sub};
}

static bool is_primitive(enum target t)
{
    return t >= TARGET_BOOL && t <= TARGET_STR;
}

static bool op_is_allowed(const struct type *t, enum filter_op op)
{
    switch (t->target) {
    case TARGET_BOOL:
    case TARGET_INT:
    case TARGET_UINT:
    case TARGET_BYTE:
    case TARGET_FLOAT:
        return op == FILTER_EQUAL || op == FILTER_NOT_EQUAL;
    case TARGET_STR:
        return op != FILTER_IS_EMPTY && op != FILTER_IS_NOT_EMPTY;
    case TARGET_LIST:
        return op == FILTER_IS_EMPTY || op == FILTER_IS_NOT_EMPTY ||
               ((op == FILTER_IN || op == FILTER_NOT_IN) && is_primitive(t->item));
    case TARGET_MAP:
        return op == FILTER_IS_EMPTY || op == FILTER_IS_NOT_EMPTY || op == FILTER_IN ||
               op == FILTER_NOT_IN;
    case TARGET_STRUCT:
    case TARGET_NONE:
        return false;
    }
    return false;
}

/* --- compiling ----------------------------------------------------------------------------- */

struct compiler {
    struct arena *a;
    struct err *err;
    const struct schema *schema;
};

/* "A.B", quoted. */
static void selector_quote(struct buf *to, struct strlist selector, size_t count)
{
    struct buf b = {0};
    for (size_t i = 0; i < count; i++) {
        buf_str(&b, i > 0 ? STR(".") : STR(""));
        buf_str(&b, selector.v[i]);
    }
    go_quote(to, str_first(buf_view(&b), VALUE_SHOWN_MAX));
    buf_deinit(&b);
}

static int fail_text(struct compiler *c, struct buf *text)
{
    int r = err_set(c->err, ERR_INVALID, "%.*s", STRF(buf_view(text)));
    buf_deinit(text);
    return r;
}

static const struct plan_step *member_find(const struct schema *schema, struct str name)
{
    const struct plan_list *list = &plan_of(schema)->filter;
    for (size_t i = 0; i < list->n; i++) {
        if (str_eq(list->v[i].name, name)) {
            return &list->v[i];
        }
    }
    return NULL;
}

static int selector_resolve(struct compiler *c, const struct filter_node *node,
                            struct filter_match *m, struct type *ret_type)
{
    struct type type = {.target = TARGET_STRUCT, .sub = c->schema};
    m->steps = ARENA_ARRAY(c->a, struct step, node->selector.n);
    for (size_t i = 0; i < node->selector.n; i++) {
        struct step *s = &m->steps[i];
        bool in_struct = type.target == TARGET_STRUCT ||
                         (type.target == TARGET_LIST && type.item == TARGET_STRUCT);
        s->key = node->selector.v[i];
        if (in_struct) {
            s->member = member_find(type.sub, s->key);
        }
        if (s->member != NULL) {
            s->type = type_of_field(s->member->field);
        } else if (type.target == TARGET_MAP && type.item != TARGET_NONE) {
            s->type = type_of_item(&type);
        } else {
            struct buf b = {0};
            buf_lit(&b, "Selector ");
            selector_quote(&b, node->selector, i + 1);
            buf_lit(&b, " is not valid");
            return fail_text(c, &b);
        }
        type = s->type;
    }
    m->step_count = node->selector.n;
    *ret_type = type;
    return 0;
}

/* Go's underscores in numbers: only between digits, or between a base's prefix and a digit. */
static bool underscores_are_good(struct str s, bool has_prefix)
{
    char before = has_prefix ? '0' : '^';
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool digit = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        if (c == '_' && before != '0') {
            return false;
        }
        if (!digit && before == '_') {
            return false;
        }
        before = digit ? '0' : c == '_' ? '_' : '!';
    }
    return before != '_';
}

/* strconv.ParseUint(s, 0, 64) without a sign. */
static int magnitude_parse(struct str s, uint64_t *ret)
{
    unsigned base = 10;
    bool has_prefix = false;
    if (s.n > 0 && s.p[0] == '0') {
        char c = s.n > 2 ? (char)(s.p[1] | 0x20) : '0';
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        has_prefix = true;
        s = str_from(s, c == 'x' || c == 'b' || c == 'o' ? 2 : s.n > 1);
    }
    if (s.n == 0 || !underscores_are_good(s, has_prefix)) {
        return -ERR_INVALID;
    }
    uint64_t u = 0;
    bool overflow = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]);
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 99;
        if (c == '_') {
            continue;
        }
        if (digit >= base) {
            return -ERR_INVALID;
        }
        overflow = overflow || __builtin_mul_overflow(u, (uint64_t)base, &u) ||
                   __builtin_add_overflow(u, (uint64_t)digit, &u);
    }
    *ret = u;
    return overflow ? -ERR_RANGE : 0;
}

static int int_parse(struct str s, int64_t *ret)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    uint64_t u;
    int r = magnitude_parse(s.n > 0 && (negative || s.p[0] == '+') ? str_from(s, 1) : s, &u);
    if (r < 0) {
        return r;
    }
    if (u > (uint64_t)INT64_MAX + negative) {
        return -ERR_RANGE;
    }
    *ret = negative ? (int64_t)(0 - u) : (int64_t)u;
    return 0;
}

static int float_parse(struct str s, double *ret)
{
    if (str_eq_fold(s, STR("inf")) || str_eq_fold(s, STR("+inf")) ||
        str_eq_fold(s, STR("infinity")) || str_eq_fold(s, STR("+infinity"))) {
        *ret = INFINITY;
        return 0;
    }
    if (str_eq_fold(s, STR("-inf")) || str_eq_fold(s, STR("-infinity"))) {
        *ret = -INFINITY;
        return 0;
    }
    if (str_eq_fold(s, STR("nan"))) {
        *ret = NAN;
        return 0;
    }
    /* Go's literals may have underscores between digits. */
    char digits[VALUE_SHOWN_MAX];
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool between = i > 0 && i + 1 < s.n && s.p[i - 1] >= '0' && s.p[i - 1] <= '9' &&
                       s.p[i + 1] >= '0' && s.p[i + 1] <= '9';
        if (n == sizeof(digits)) {
            return -ERR_INVALID;
        }
        if (s.p[i] != '_' || !between) {
            digits[n++] = s.p[i];
        }
    }
    return str_parse_f64(str_make(digits, n), ret);
}

/* The raw value as a `target`. */
static int value_coerce(struct compiler *c, const struct filter_node *node, enum target target,
                        struct filter_match *m)
{
    const char *function = "ParseInt";
    int r = 0;
    m->s = node->value;
    switch (target) {
    case TARGET_BOOL:
        function = "ParseBool";
        r = str_parse_bool(node->value, &m->b) < 0 ? -ERR_INVALID : 0;
        break;
    case TARGET_INT:
        r = int_parse(node->value, &m->i);
        break;
    case TARGET_UINT:
    case TARGET_BYTE:
        function = "ParseUint";
        r = magnitude_parse(node->value, &m->u);
        if (r == 0 && target == TARGET_BYTE && m->u > UINT8_MAX) {
            r = -ERR_RANGE;
        }
        break;
    case TARGET_FLOAT:
        function = "ParseFloat";
        r = float_parse(node->value, &m->f);
        break;
    default:
        break;
    }
    if (r == 0) {
        return 0;
    }
    struct buf b = {0};
    struct str shown = str_first(node->value, VALUE_SHOWN_MAX);
    buf_lit(&b, "Failed to coerce value ");
    go_quote(&b, shown);
    buf_lit(&b, " for selector ");
    selector_quote(&b, node->selector, node->selector.n);
    buf_printf(&b, ": strconv.%s: parsing ", function);
    go_quote(&b, shown);
    buf_str(&b, r == -ERR_RANGE ? STR(": value out of range") : STR(": invalid syntax"));
    return fail_text(c, &b);
}

static int regexp_make(struct compiler *c, const struct filter_node *node, struct filter_match *m)
{
    struct err why = {0};
    int r = regexp_compile(c->a, node->value, &m->regexp, &why);
    if (r < 0) {
        struct buf b = {0};
        buf_lit(&b, "Failed to compile regular expression ");
        go_quote(&b, str_first(node->value, VALUE_SHOWN_MAX));
        buf_printf(&b, ": %s", err_text(&why));
        return fail_text(c, &b);
    }
    return 0;
}

static int match_compile(struct compiler *c, struct filter_node *node)
{
    struct filter_match *m = ARENA_NEW(c->a, struct filter_match);
    struct type type = {0};
    int r = selector_resolve(c, node, m, &type);
    if (r < 0) {
        return r;
    }
    if (!op_is_allowed(&type, node->op)) {
        struct buf b = {0};
        buf_printf(&b, "Invalid match operator \"%s\" for selector ", op_text[node->op]);
        selector_quote(&b, node->selector, node->selector.n);
        return fail_text(c, &b);
    }
    if (node->has_value) {
        bool of_items = type.target == TARGET_LIST;
        r = value_coerce(c, node, of_items ? type.item : type.target, m);
        if (r == 0 && (node->op == FILTER_MATCHES || node->op == FILTER_NOT_MATCHES)) {
            r = regexp_make(c, node, m);
        }
    }
    node->match = m;
    return r;
}

static int node_compile(struct compiler *c, struct filter_node *node)
{
    for (;;) { /* long chains grow to the right */
        if (node->kind == FILTER_MATCH) {
            return match_compile(c, node);
        }
        int r = node_compile(c, node->left);
        if (r < 0 || node->kind == FILTER_NOT) {
            return r;
        }
        node = node->right;
    }
}

#define FAILED "Failed to create boolean expression evaluator"

int filter_new(struct arena *a, struct str expression, struct filter **ret_filter, struct err *err)
{
    struct filter *f = ARENA_NEW(a, struct filter);
    int r = filter_parse(a, expression, &f->root, err);
    if (r < 0) {
        return err_wrap(err, FAILED);
    }
    *ret_filter = f;
    return 0;
}

int filter_bind(struct filter *f, struct arena *a, const struct schema *schema, struct err *err)
{
    struct compiler c = {.a = a, .err = err, .schema = schema};
    f->schema = schema;
    return node_compile(&c, f->root);
}

int filter_compile(struct arena *a, struct str expression, const struct schema *schema,
                   struct filter **ret_filter, struct err *err)
{
    struct filter *f;
    int r = filter_new(a, expression, &f, err);
    if (r < 0) {
        return r;
    }
    r = filter_bind(f, a, schema, err);
    if (r < 0) {
        return err_wrap(err, FAILED);
    }
    *ret_filter = f;
    return 0;
}

/* --- matching ------------------------------------------------------------------------------ */

struct matcher {
    const struct filter_node *node;
    const struct filter_match *m;
};

static bool is_negative(enum filter_op op)
{
    return op == FILTER_NOT_EQUAL || op == FILTER_NOT_IN || op == FILTER_IS_NOT_EMPTY ||
           op == FILTER_NOT_MATCHES;
}

static bool equal_at(const struct type *t, const struct filter_match *m, const void *at)
{
    bool behind_pointer =
        t->field != NULL && (t->field->kind == FIELD_INT_PTR || t->field->kind == FIELD_BOOL_PTR);
    if (behind_pointer) {
        at = *(const void *const *)at;
        if (at == NULL) {
            return false;
        }
    }
    switch (t->target) {
    case TARGET_BOOL:
        return *(const bool *)at == m->b;
    case TARGET_INT:
        return *(const int64_t *)at == m->i;
    case TARGET_UINT:
        return *(const uint64_t *)at == m->u;
    case TARGET_FLOAT:
        return *(const double *)at <= m->f && *(const double *)at >= m->f;
    case TARGET_STR:
        return str_eq(*(const struct str *)at, m->s);
    default:
        return false;
    }
}

/* Whether a sorted map's pairs, of `size` bytes and opening with the key, hold one; the pair. */
static const void *pair_find(const void *pairs, size_t count, size_t size, struct str key)
{
    size_t from = 0;
    size_t to = count;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        const void *pair = (const char *)pairs + mid * size;
        int order = str_cmp(*(const struct str *)pair, key);
        if (order == 0) {
            return pair;
        }
        if (order < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return NULL;
}

/* A map's entry of that key: the place of its value, or NULL. */
static const void *map_find(const struct type *t, const void *at, struct str key)
{
    const void *pair;
    switch ((enum field_kind)t->field->kind) {
    case FIELD_STRMAP: {
        const struct strmap *m = at;
        pair = pair_find(m->v, m->n, sizeof(*m->v), key);
        return pair != NULL ? &((const struct strpair *)pair)->value : NULL;
    }
    case FIELD_INTMAP: {
        const struct intmap *m = at;
        pair = pair_find(m->v, m->n, sizeof(*m->v), key);
        return pair != NULL ? &((const struct intmap_pair *)pair)->value : NULL;
    }
    case FIELD_STRLISTMAP: {
        const struct strlistmap *m = at;
        pair = pair_find(m->v, m->n, sizeof(*m->v), key);
        return pair != NULL ? &((const struct strlist_pair *)pair)->values : NULL;
    }
    case FIELD_OBJMAP: {
        const struct objmap *m = at;
        pair = pair_find(m->v, m->n, sizeof(*m->v), key);
        return pair != NULL ? ((const struct objmap_pair *)pair)->value : NULL;
    }
    case FIELD_VALUE:
        return value_get(*(const struct value *const *)at, key);
    default:
        return NULL;
    }
}

static bool list_contains(const struct type *t, const struct filter_match *m, const void *at)
{
    if (t->field == NULL || t->field->kind == FIELD_STRLIST) {
        return strlist_contains(*(const struct strlist *)at, m->s);
    }
    if (t->field->kind == FIELD_BYTES) {
        return str_find_byte(*(const struct str *)at, (char)m->u) >= 0;
    }
    if (t->field->kind == FIELD_INTLIST) {
        const struct intlist *l = at;
        for (size_t i = 0; i < l->n; i++) {
            if (l->v[i] == m->i) {
                return true;
            }
        }
        return false;
    }
    const struct f64list *l = at;
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i] <= m->f && l->v[i] >= m->f) {
            return true;
        }
    }
    return false;
}

static bool in_at(const struct type *t, const struct filter_match *m, const void *at)
{
    switch (t->target) {
    case TARGET_STR:
        return str_contains(*(const struct str *)at, m->s);
    case TARGET_LIST:
        return list_contains(t, m, at);
    case TARGET_MAP:
        return map_find(t, at, m->s) != NULL;
    default:
        return false;
    }
}

static bool empty_at(const struct type *t, const void *at)
{
    if (t->field != NULL) {
        return field_is_empty(t->field, at);
    }
    return ((const struct strlist *)at)->n == 0;
}

static int apply(const struct matcher *w, const struct type *t, const void *at, struct err *err)
{
    int r = 0;
    switch (w->node->op) {
    case FILTER_EQUAL:
    case FILTER_NOT_EQUAL:
        r = equal_at(t, w->m, at);
        break;
    case FILTER_IN:
    case FILTER_NOT_IN:
        r = in_at(t, w->m, at);
        break;
    case FILTER_IS_EMPTY:
    case FILTER_IS_NOT_EMPTY:
        r = empty_at(t, at);
        break;
    case FILTER_MATCHES:
    case FILTER_NOT_MATCHES:
        r = regexp_match(w->m->regexp, *(const struct str *)at);
        if (r < 0) {
            return err_set(err, ERR_TOO_LARGE, "regular expression takes too long to match");
        }
        break;
    }
    return is_negative(w->node->op) ? !r : r;
}

/* What the operators say of something that is not there. */
static int absent(const struct matcher *w)
{
    enum filter_op op = w->node->op;
    return op != FILTER_EQUAL && op != FILTER_IS_NOT_EMPTY && op != FILTER_IN;
}

static int match_from(const struct matcher *w, size_t depth, const struct type *t, const void *at,
                      struct err *err);

static int match_any(const struct matcher *w, size_t depth, const struct type *t, const void *at,
                     struct err *err)
{
    struct type item = {.target = TARGET_STRUCT, .sub = t->sub};
    int r = 0;
    if (t->field->kind == FIELD_PTRLIST) {
        const struct ptrlist *l = at;
        for (size_t i = 0; i < l->n && r == 0; i++) {
            r = match_from(w, depth, &item, l->v[i], err);
        }
    } else {
        const struct objlist *l = at;
        for (size_t i = 0; i < l->n && r == 0; i++) {
            r = match_from(w, depth, &item, (const char *)l->v + i * t->sub->size, err);
        }
    }
    return r;
}

static int match_from(const struct matcher *w, size_t depth, const struct type *t, const void *at,
                      struct err *err)
{
    if (depth == w->m->step_count) {
        return apply(w, t, at, err);
    }
    const struct step *s = &w->m->steps[depth];
    if (t->target == TARGET_LIST) {
        return match_any(w, depth, t, at, err);
    }
    if (t->target == TARGET_MAP) {
        at = map_find(t, at, s->key);
    } else {
        at = plan_at(s->member, at);
        bool pointer = s->member->kind == FIELD_PTR;
        at = at != NULL && pointer ? *(const void *const *)at : at;
    }
    return at == NULL ? absent(w) : match_from(w, depth + 1, &s->type, at, err);
}

static int node_match(const struct filter *f, const struct filter_node *node, const void *object,
                      struct err *err)
{
    for (;;) {
        if (node->kind == FILTER_MATCH) {
            struct matcher w = {node, node->match};
            struct type root = {.target = TARGET_STRUCT, .sub = f->schema};
            return match_from(&w, 0, &root, object, err);
        }
        int r = node_match(f, node->left, object, err);
        if (r < 0) {
            return r;
        }
        if (node->kind == FILTER_NOT) {
            return !r;
        }
        if (r == (node->kind == FILTER_OR)) {
            return r;
        }
        node = node->right;
    }
}

int filter_match(const struct filter *f, const void *object, struct err *err)
{
    return node_match(f, f->root, object, err);
}
