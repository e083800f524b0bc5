/* A tree of values into a struct, by its table: Go's encoding/json, and where a member or the
 * caller says "weak", what mapstructure's weak decoding adds to it. */
#include "base/clock.h"
#include "base/encode.h"
#include "base/err.h"
#include "base/gofmt.h"
#include "schema/plan.h"

#include <math.h>
#include <stdio.h>

#define PATH_SIZE_MAX 256u

/* The names that lead to what is being decoded; joined only when an error wants them. */
struct path {
    const struct path *up;
    struct str name; /* of a member, or the key of a map's */
    size_t index;    /* of a list's element */
    enum { PATH_MEMBER, PATH_KEY, PATH_INDEX } kind;
};

struct decoder {
    struct arena *a;
    struct err *err;
    unsigned flags; /* enum decode_flag */
    unsigned depth;
    const struct schema *schema; /* being filled, for errors */
    const struct path *path;
    struct strlist *unused; /* where unknown keys go; NULL: nowhere */
};

static int object_decode(struct decoder *d, const struct schema *schema, const struct value *v,
                         void *object);

/* --- errors -------------------------------------------------------------------------------- */

static void path_put(struct buf *to, const struct path *path)
{
    if (path->up != NULL) {
        path_put(to, path->up);
    }
    if (path->kind == PATH_INDEX) {
        buf_printf(to, "[%zu]", path->index);
        return;
    }
    if (path->kind == PATH_KEY) {
        buf_byte(to, '[');
    } else if (path->up != NULL) {
        buf_byte(to, '.');
    }
    buf_str(to, str_first(path->name, PATH_SIZE_MAX));
    if (path->kind == PATH_KEY) {
        buf_byte(to, ']');
    }
}

static struct str path_text(struct decoder *d)
{
    struct buf b = {0};
    if (d->path != NULL) {
        path_put(&b, d->path);
    }
    struct str text = arena_str(d->a, str_first(buf_view(&b), PATH_SIZE_MAX));
    buf_deinit(&b);
    return text;
}

/* As mapstructure says it, which tells several at once and so counts them. */
PRINTF(2, 3) static int fail_weakly(struct decoder *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = err_vset(d->err, ERR_INVALID, format, args);
    va_end(args);
    char text[ERR_TEXT_SIZE_MAX];
    (void)snprintf(text, sizeof(text), "%s", err_text(d->err));
    (void)err_set(d->err, ERR_INVALID, "1 error(s) decoding:\n\n* %s", text);
    return r;
}

static const char *weak_kind_text(enum value_kind kind)
{
    switch (kind) {
    case VALUE_BOOL:
        return "bool";
    case VALUE_INT:
    case VALUE_UINT:
        return "int";
    case VALUE_FLOAT:
        return "float64";
    case VALUE_LIST:
        return "slice";
    case VALUE_MAP:
        return "map";
    default:
        return "string";
    }
}

static int fail_type(struct decoder *d, const struct value *v, const char *type);

/* A struct or a map was to come. */
static int fail_map(struct decoder *d, const struct value *v, const char *type)
{
    return d->unused == NULL ? fail_type(d, v, type)
                             : fail_weakly(d, "'%.*s' expected a map, got '%s'", STRF(path_text(d)),
                                           weak_kind_text(v->kind));
}

static int fail_type(struct decoder *d, const struct value *v, const char *type)
{
    struct buf b = {0};
    if (v->kind == VALUE_FLOAT) {
        buf_byte(&b, ' ');
        go_json_float(&b, v->f);
    } else if (v->kind == VALUE_INT || v->kind == VALUE_UINT) {
        /* Go names the number where its value is what does not fit */
        bool fits = strcmp(type, "int") != 0 && strcmp(type, "uint64") != 0;
        if (!fits) {
            buf_byte(&b, ' ');
            if (v->kind == VALUE_INT) {
                buf_i64(&b, v->i);
            } else {
                buf_u64(&b, v->u);
            }
        }
    }
    int r;
    if (d->path != NULL) {
        r = err_set(d->err, ERR_INVALID,
                    "json: cannot unmarshal %s%.*s into Go struct field %s.%.*s of type %s",
                    value_kind_text(v->kind), STRF(buf_view(&b)), d->schema->name,
                    STRF(path_text(d)), type);
    } else {
        r = err_set(d->err, ERR_INVALID, "json: cannot unmarshal %s%.*s into Go value of type %s",
                    value_kind_text(v->kind), STRF(buf_view(&b)), type);
    }
    buf_deinit(&b);
    return r;
}

static int fail_unknown(struct decoder *d)
{
    struct buf b = {0};
    go_quote(&b, path_text(d));
    int r = err_set(d->err, ERR_INVALID, "json: unknown field %.*s", STRF(buf_view(&b)));
    buf_deinit(&b);
    return r;
}

static int fail_parse(struct decoder *d, struct str text, const char *type)
{
    return err_set(d->err, ERR_INVALID, "cannot parse '%.*s' as %s: %.*s", STRF(path_text(d)), type,
                   STRF(str_first(text, PATH_SIZE_MAX)));
}

/* --- scalars ------------------------------------------------------------------------------- */

static int bool_decode(struct decoder *d, const struct value *v, bool weak, bool *ret)
{
    if (v->kind == VALUE_BOOL) {
        *ret = v->b;
        return 0;
    }
    if (weak) {
        switch (v->kind) {
        case VALUE_INT:
            *ret = v->i != 0;
            return 0;
        case VALUE_UINT:
            *ret = v->u != 0;
            return 0;
        case VALUE_FLOAT:
            *ret = v->f < 0 || v->f > 0;
            return 0;
        case VALUE_STR:
            *ret = false;
            return v->s.n == 0 || str_parse_bool(v->s, ret) == 0 ? 0 : fail_parse(d, v->s, "bool");
        default:
            break;
        }
    }
    return fail_type(d, v, "bool");
}

/* Go's strconv.ParseInt(text, 0, 64): 0x, 0o, 0b and 0 prefixes, underscores left out of it. */
static int i64_from_text(struct str s, int64_t *ret)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    struct str digits = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+') ? str_from(s, 1) : s;
    unsigned base = 10;
    if (digits.n > 1 && digits.p[0] == '0') {
        char c = (char)(digits.p[1] | 0x20);
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        digits = str_from(digits, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
    }
    if (base == 10) {
        return str_parse_i64(s, ret);
    }
    uint64_t u = 0;
    for (size_t i = 0; i < digits.n; i++) {
        char c = (char)(digits.p[i] | 0x20);
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 99;
        if (digit >= base) {
            return -ERR_INVALID;
        }
        if (u > (UINT64_MAX >> 5)) {
            return -ERR_RANGE;
        }
        u = u * base + digit;
    }
    if (digits.n == 0 || u > INT64_MAX) {
        return digits.n == 0 ? -ERR_INVALID : -ERR_RANGE;
    }
    *ret = negative ? -(int64_t)u : (int64_t)u;
    return 0;
}

static int int_decode(struct decoder *d, const struct value *v, bool weak, int64_t *ret)
{
    if (v->kind == VALUE_INT) {
        *ret = v->i;
        return 0;
    }
    if (weak) {
        switch (v->kind) {
        case VALUE_BOOL:
            *ret = v->b;
            return 0;
        case VALUE_FLOAT:
            if (v->f > -9.2e18 && v->f < 9.2e18) {
                *ret = (int64_t)v->f;
                return 0;
            }
            break;
        case VALUE_STR:
            if (v->s.n == 0) {
                *ret = 0;
                return 0;
            }
            return i64_from_text(v->s, ret) == 0 ? 0 : fail_parse(d, v->s, "int");
        default:
            break;
        }
    }
    return fail_type(d, v, "int");
}

static int uint_decode(struct decoder *d, const struct value *v, bool weak, uint64_t *ret)
{
    if (v->kind == VALUE_UINT) {
        *ret = v->u;
        return 0;
    }
    int64_t i = 0;
    if (v->kind == VALUE_STR && weak && str_parse_u64(v->s, ret) == 0) {
        return 0;
    }
    if (v->kind != VALUE_INT && !weak) {
        return fail_type(d, v, "uint64");
    }
    int r = int_decode(d, v, weak, &i);
    if (r < 0) {
        return r;
    }
    if (i < 0) {
        return fail_type(d, v, "uint64");
    }
    *ret = (uint64_t)i;
    return 0;
}

static int float_decode(struct decoder *d, const struct value *v, bool weak, double *ret)
{
    switch (v->kind) {
    case VALUE_INT:
        *ret = (double)v->i;
        return 0;
    case VALUE_UINT:
        *ret = (double)v->u;
        return 0;
    case VALUE_FLOAT:
        *ret = v->f;
        return 0;
    case VALUE_BOOL:
        if (weak) {
            *ret = v->b;
            return 0;
        }
        break;
    case VALUE_STR:
        if (weak) {
            return str_parse_f64(v->s, ret) == 0 ? 0 : fail_parse(d, v->s, "float");
        }
        break;
    default:
        break;
    }
    return fail_type(d, v, "float64");
}

static int str_decode(struct decoder *d, const struct value *v, bool weak, struct str *ret)
{
    if (v->kind == VALUE_STR || v->kind == VALUE_BYTES) {
        *ret = v->s;
        return 0;
    }
    if (!weak) {
        return fail_type(d, v, "string");
    }
    struct buf b = {0};
    switch (v->kind) {
    case VALUE_BOOL:
        *ret = v->b ? STR("1") : STR("0");
        return 0;
    case VALUE_INT:
        *ret = arena_printf(d->a, "%lld", (long long)v->i);
        return 0;
    case VALUE_UINT:
        *ret = arena_printf(d->a, "%llu", (unsigned long long)v->u);
        return 0;
    case VALUE_FLOAT:
        go_float_f(&b, v->f);
        *ret = arena_str(d->a, buf_view(&b));
        buf_deinit(&b);
        return 0;
    default:
        return fail_type(d, v, "string");
    }
}

static int bytes_decode(struct decoder *d, const struct value *v, bool weak, struct str *ret)
{
    if (v->kind == VALUE_BYTES || (weak && v->kind == VALUE_STR)) {
        *ret = v->s;
        return 0;
    }
    if (v->kind != VALUE_STR) {
        return fail_type(d, v, "[]uint8");
    }
    struct str bytes;
    if (base64_decode(d->a, v->s, &bytes) < 0) {
        /* Go names the offset, too; finding it would mean decoding twice */
        return err_set(d->err, ERR_INVALID, "illegal base64 data at input byte 0");
    }
    *ret = bytes.n > 0 ? bytes : str_make(SCHEMA_EMPTY, 0);
    return 0;
}

static int duration_decode(struct decoder *d, const struct value *v, bool weak, int64_t *ret)
{
    if (v->kind != VALUE_STR) {
        return v->kind == VALUE_INT || weak ? int_decode(d, v, weak, ret)
                                            : fail_type(d, v, "time.Duration");
    }
    if (v->s.n == 0) {
        *ret = 0;
        return 0;
    }
    if (duration_parse(v->s, ret) < 0) {
        struct buf b = {0};
        go_quote(&b, str_first(v->s, PATH_SIZE_MAX));
        bool has_unit = str_parse_f64(v->s, &(double){0}) < 0;
        const char *what = has_unit ? "invalid" : "missing unit in";
        int r = d->unused == NULL ? err_set(d->err, ERR_INVALID, "time: %s duration %.*s", what,
                                            STRF(buf_view(&b)))
                                  : fail_weakly(d, "error decoding '%.*s': time: %s duration %.*s",
                                                STRF(path_text(d)), what, STRF(buf_view(&b)));
        buf_deinit(&b);
        return r;
    }
    return 0;
}

static int time_decode(struct decoder *d, const struct value *v, int64_t *ret)
{
    if (v->kind != VALUE_STR) {
        return err_set(d->err, ERR_INVALID, "Time.UnmarshalJSON: input is not a JSON string");
    }
    if (time_parse_rfc3339(v->s, ret) < 0) {
        struct buf b = {0};
        go_quote(&b, str_first(v->s, PATH_SIZE_MAX));
        int r = err_set(d->err, ERR_INVALID,
                        "parsing time \"%.*s\" as \"\\\"2006-01-02T15:04:05Z07:00\\\"\"",
                        STRF(buf_view(&b)));
        buf_deinit(&b);
        return r;
    }
    return 0;
}

/* --- lists and maps ------------------------------------------------------------------------ */

/* The items of a list member: a list's own, or where weak a lone value as the only item. */
static int items_of(struct decoder *d, const struct field *f, const struct value *v, bool weak,
                    const struct value **ret_items, size_t *ret_count)
{
    if (v->kind == VALUE_LIST) {
        *ret_items = v->list.v;
        *ret_count = v->list.n;
        return 0;
    }
    if (!weak) {
        return fail_type(d, v, field_type_text(f));
    }
    bool nothing = (v->kind == VALUE_MAP && v->map.n == 0) || (v->kind == VALUE_STR && v->s.n == 0);
    *ret_items = v;
    *ret_count = nothing ? 0 : 1;
    return 0;
}

static int strlist_decode(struct decoder *d, const struct field *f, const struct value *v,
                          bool weak, struct strlist *ret)
{
    if (v->kind == VALUE_NULL) {
        *ret = (struct strlist){0};
        return 0;
    }
    const struct value *items = NULL;
    size_t count = 0;
    int r = items_of(d, f, v, weak, &items, &count);
    if (r < 0) {
        return r;
    }
    struct str *list = count > 0 ? ARENA_ARRAY(d->a, struct str, count) : SCHEMA_EMPTY;
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind != VALUE_NULL) {
            r = str_decode(d, &items[i], weak, &list[i]);
            if (r < 0) {
                return r;
            }
        }
    }
    *ret = (struct strlist){list, count};
    return 0;
}

static int numbers_decode(struct decoder *d, const struct field *f, const struct value *v,
                          bool weak, void *at)
{
    const struct value *items = NULL;
    size_t count = 0;
    int r = items_of(d, f, v, weak, &items, &count);
    if (r < 0) {
        return r;
    }
    _Static_assert(sizeof(int64_t) == sizeof(double), "one array for either");
    int64_t *numbers = count > 0 ? ARENA_ARRAY(d->a, int64_t, count) : SCHEMA_EMPTY;
    for (size_t i = 0; i < count; i++) {
        if (items[i].kind == VALUE_NULL) {
            continue;
        }
        r = f->kind == FIELD_INTLIST ? int_decode(d, &items[i], weak, &numbers[i])
                                     : float_decode(d, &items[i], weak, (double *)&numbers[i]);
        if (r < 0) {
            return r;
        }
    }
    if (f->kind == FIELD_INTLIST) {
        *(struct intlist *)at = (struct intlist){numbers, count};
    } else {
        *(struct f64list *)at = (struct f64list){(double *)numbers, count};
    }
    return 0;
}

/* The pairs of a map member: a map's own, or where weak those of a list of maps one after the
 * other (what HCL makes of repeated blocks). */
static int pairs_of(struct decoder *d, const struct field *f, const struct value *v, bool weak,
                    const struct value_pair **ret_pairs, size_t *ret_count)
{
    if (v->kind == VALUE_MAP) {
        *ret_pairs = v->map.v;
        *ret_count = v->map.n;
        return 0;
    }
    if (!weak || v->kind != VALUE_LIST) {
        return fail_map(d, v, field_type_text(f));
    }
    size_t count = 0;
    for (size_t i = 0; i < v->list.n; i++) {
        if (v->list.v[i].kind != VALUE_MAP) {
            return fail_map(d, &v->list.v[i], field_type_text(f));
        }
        count += v->list.v[i].map.n;
    }
    struct value_pair *pairs = arena_alloc(d->a, MAX(count, 1u) * sizeof(*pairs));
    size_t n = 0;
    for (size_t i = 0; i < v->list.n; i++) {
        for (size_t j = 0; j < v->list.v[i].map.n; j++) {
            pairs[n++] = v->list.v[i].map.v[j];
        }
    }
    *ret_pairs = pairs;
    *ret_count = count;
    return 0;
}

/* One struct of a list or map. Only paths of unused keys say which: errors of Go's JSON do not. */
static int element_decode(struct decoder *d, const struct schema *sub, const struct value *v,
                          struct path element, void *object)
{
    const struct path *outer = d->path;
    if (v->kind == VALUE_NULL) {
        return 0;
    }
    if (d->unused != NULL) {
        element.up = outer;
        d->path = &element;
    }
    int r = object_decode(d, sub, v, object);
    d->path = outer;
    return r;
}

static void *struct_make(struct decoder *d, const struct schema *sub)
{
    void *object = arena_alloc(d->a, sub->size);
    schema_zero(sub, object);
    return object;
}

static int struct_new(struct decoder *d, const struct schema *sub, const struct value *v,
                      void **ret)
{
    *ret = struct_make(d, sub);
    return v->kind == VALUE_NULL ? 0 : object_decode(d, sub, v, *ret);
}

static int map_decode(struct decoder *d, const struct field *f, const struct value *v, bool weak,
                      void *at)
{
    const struct value_pair *pairs = NULL;
    size_t count = 0;
    int r = pairs_of(d, f, v, weak, &pairs, &count);
    if (r < 0) {
        return r;
    }
    /* The kinds of map differ only in the pair's second half. */
    size_t size = f->kind == FIELD_STRMAP       ? sizeof(struct strpair)
                  : f->kind == FIELD_STRLISTMAP ? sizeof(struct strlist_pair)
                  : f->kind == FIELD_INTMAP     ? sizeof(struct intmap_pair)
                                                : sizeof(struct objmap_pair);
    char *to = count > 0 ? arena_array_(d->a, size, count) : SCHEMA_EMPTY;
    for (size_t i = 0; i < count; i++) {
        void *pair = to + i * size;
        const struct value *item = &pairs[i].value;
        *(struct str *)pair = pairs[i].key;
        if (f->kind == FIELD_STRMAP) {
            r = item->kind == VALUE_NULL
                    ? 0
                    : str_decode(d, item, weak, &((struct strpair *)pair)->value);
        } else if (f->kind == FIELD_STRLISTMAP) {
            r = strlist_decode(d, f, item, weak, &((struct strlist_pair *)pair)->values);
        } else if (f->kind == FIELD_INTMAP) {
            r = item->kind == VALUE_NULL
                    ? 0
                    : int_decode(d, item, weak, &((struct intmap_pair *)pair)->value);
        } else {
            void *object = struct_make(d, f->sub);
            ((struct objmap_pair *)pair)->value = object;
            r = element_decode(d, f->sub, item,
                               (struct path){.kind = PATH_KEY, .name = pairs[i].key}, object);
        }
        if (r < 0) {
            return r;
        }
    }
    count = pairs_sort(to, count, size);
    *(struct objmap *)at = (struct objmap){(void *)to, count};
    return 0;
}

static int objects_decode(struct decoder *d, const struct field *f, const struct value *v,
                          bool weak, void *at)
{
    const struct value *items = NULL;
    size_t count = 0;
    int r = items_of(d, f, v, weak, &items, &count);
    if (r < 0) {
        return r;
    }
    if (f->kind == FIELD_PTRLIST) {
        void **list = count > 0 ? ARENA_ARRAY(d->a, void *, count) : SCHEMA_EMPTY;
        for (size_t i = 0; i < count; i++) {
            list[i] = struct_make(d, f->sub);
            r = element_decode(d, f->sub, &items[i], (struct path){.kind = PATH_INDEX, .index = i},
                               list[i]);
            if (r < 0) {
                return r;
            }
        }
        *(struct ptrlist *)at = (struct ptrlist){list, count};
        return 0;
    }
    char *list = count > 0 ? arena_array_(d->a, f->sub->size, count) : SCHEMA_EMPTY;
    for (size_t i = 0; i < count; i++) {
        void *object = list + i * f->sub->size;
        schema_zero(f->sub, object);
        r = element_decode(d, f->sub, &items[i], (struct path){.kind = PATH_INDEX, .index = i},
                           object);
        if (r < 0) {
            return r;
        }
    }
    *(struct objlist *)at = (struct objlist){list, count};
    return 0;
}

/* --- free-form members --------------------------------------------------------------------- */

/* Integers become floats; what holds none is shared with the input. */
static void floats_make(struct arena *a, struct value *v)
{
    if (v->kind == VALUE_INT || v->kind == VALUE_UINT) {
        v->f = v->kind == VALUE_INT ? (double)v->i : (double)v->u;
        v->kind = VALUE_FLOAT;
    } else if (v->kind == VALUE_LIST && v->list.n > 0) {
        size_t size = v->list.n * sizeof(*v->list.v);
        v->list.v = memcpy(arena_alloc(a, size), v->list.v, size);
        for (size_t i = 0; i < v->list.n; i++) {
            floats_make(a, &v->list.v[i]);
        }
    } else if (v->kind == VALUE_MAP && v->map.n > 0) {
        size_t size = v->map.n * sizeof(*v->map.v);
        v->map.v = memcpy(arena_alloc(a, size), v->map.v, size);
        for (size_t i = 0; i < v->map.n; i++) {
            floats_make(a, &v->map.v[i].value);
        }
    }
}

/* --- members ------------------------------------------------------------------------------- */

static int member_decode(struct decoder *d, const struct field *f, const struct value *v, void *at)
{
    bool weak = (f->flags & F_WEAK) != 0 || (d->flags & DECODE_WEAK) != 0;
    if (v->kind == VALUE_NULL) {
        field_zero(f, at);
        return 0;
    }
    if ((d->flags & DECODE_WEAK) != 0 && v->kind == VALUE_LIST && v->list.n == 1 &&
        f->kind < FIELD_INTLIST) {
        v = &v->list.v[0]; /* HCL says a lone value in a list, too */
    }
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
        return bool_decode(d, v, weak, at);
    case FIELD_INT:
        return int_decode(d, v, weak, at);
    case FIELD_UINT:
        return uint_decode(d, v, weak, at);
    case FIELD_FLOAT:
        return float_decode(d, v, weak, at);
    case FIELD_STR:
        return str_decode(d, v, weak, at);
    case FIELD_BYTES:
        return bytes_decode(d, v, weak, at);
    case FIELD_DURATION:
        return duration_decode(d, v, weak, at);
    case FIELD_TIME:
        return time_decode(d, v, at);
    case FIELD_INT_PTR: {
        int64_t *p = ARENA_NEW(d->a, int64_t);
        *(const int64_t **)at = p;
        return int_decode(d, v, weak, p);
    }
    case FIELD_BOOL_PTR: {
        bool *p = ARENA_NEW(d->a, bool);
        *(const bool **)at = p;
        return bool_decode(d, v, weak, p);
    }
    case FIELD_INTLIST:
    case FIELD_F64LIST:
        return numbers_decode(d, f, v, weak, at);
    case FIELD_STRLIST:
        return strlist_decode(d, f, v, weak, at);
    case FIELD_INTMAP:
    case FIELD_STRMAP:
    case FIELD_STRLISTMAP:
    case FIELD_OBJMAP:
        return map_decode(d, f, v, weak, at);
    case FIELD_OBJLIST:
    case FIELD_PTRLIST:
        return objects_decode(d, f, v, weak, at);
    case FIELD_OBJ:
    case FIELD_SPLICE:
        return object_decode(d, f->sub, v, at);
    case FIELD_PTR:
        return struct_new(d, f->sub, v, at);
    case FIELD_SPLICE_PTR: /* the plan lists its members instead */
        return 0;
    case FIELD_VALUE: {
        if ((d->flags & DECODE_FLOATS) == 0) {
            *(const struct value **)at = v;
            return 0;
        }
        struct value *copy = ARENA_NEW(d->a, struct value);
        *copy = *v;
        floats_make(d->a, copy);
        *(const struct value **)at = copy;
        return 0;
    }
    }
    return 0;
}

/* --- matching names ------------------------------------------------------------------------ */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* Equal but for case, and where asked for the underscores of either. */
static bool name_matches(struct str key, struct str name, bool snake)
{
    size_t i = 0;
    size_t j = 0;
    for (;;) {
        while (snake && i < key.n && key.p[i] == '_') {
            i++;
        }
        while (snake && j < name.n && name.p[j] == '_') {
            j++;
        }
        if (i >= key.n || j >= name.n) {
            return i >= key.n && j >= name.n;
        }
        if (lower(key.p[i]) != lower(name.p[j])) {
            return false;
        }
        i++;
        j++;
    }
}

static const struct plan_step *step_match(const struct plan_list *list, struct str key,
                                          unsigned flags)
{
    for (size_t i = 0; i < list->n; i++) {
        if (str_eq(list->v[i].name, key)) {
            return &list->v[i];
        }
    }
    for (size_t i = 0; i < list->n; i++) {
        if (name_matches(key, list->v[i].name, (flags & DECODE_SNAKE) != 0)) {
            return &list->v[i];
        }
    }
    return NULL;
}

static void unused_push(struct decoder *d)
{
    struct strlist *l = d->unused;
    if ((l->n & (l->n - 1)) == 0) { /* full: it holds powers of two */
        struct str *more = ARENA_ARRAY(d->a, struct str, MAX(l->n * 2, 1u));
        if (l->n > 0) {
            memcpy(more, l->v, l->n * sizeof(*more));
        }
        l->v = more;
    }
    ((struct str *)(uintptr_t)l->v)[l->n++] = path_text(d);
}

static int object_decode(struct decoder *d, const struct schema *schema, const struct value *v,
                         void *object)
{
    /* HCL says every block in a list; a struct takes the only one. */
    if (v->kind == VALUE_LIST && v->list.n == 1 && (d->flags & DECODE_WEAK) != 0) {
        v = &v->list.v[0];
    }
    if (v->kind != VALUE_MAP) {
        return fail_map(d, v, schema->name);
    }
    if (d->depth >= DECODE_DEPTH_MAX) {
        return err_set(d->err, ERR_INVALID, "exceeded max depth");
    }
    d->depth++;
    const struct plan_list *list = &plan_of(schema)->input;
    const struct schema *outer = d->schema;
    struct path path = {.up = d->path};
    for (size_t i = 0; i < v->map.n; i++) {
        const struct value_pair *pair = &v->map.v[i];
        const struct plan_step *s = step_match(list, pair->key, d->flags);
        path.name = s != NULL ? s->name : pair->key;
        d->schema = schema;
        d->path = &path;
        if (s == NULL) {
            if ((d->flags & DECODE_STRICT) != 0) {
                return fail_unknown(d);
            }
            if (d->unused != NULL) {
                unused_push(d);
            }
        } else {
            int r = member_decode(d, s->field, &pair->value, plan_make_at(s, object, d->a));
            if (r < 0) {
                return r;
            }
        }
    }
    d->schema = outer;
    d->path = path.up;
    d->depth--;
    return 0;
}

int schema_decode(const struct schema *schema, const struct value *value, void *object,
                  struct arena *a, unsigned flags, struct err *err)
{
    struct decoder d = {.a = a, .err = err, .flags = flags};
    return object_decode(&d, schema, value, object);
}

int schema_decode_unused(const struct schema *schema, const struct value *value, void *object,
                         struct arena *a, unsigned flags, struct strlist *ret_unused,
                         struct err *err)
{
    *ret_unused = (struct strlist){0};
    struct decoder d = {.a = a, .err = err, .flags = flags, .unused = ret_unused};
    return object_decode(&d, schema, value, object);
}
