/* Structs, lists and maps; their scalars are decode_scalar.c's, the errors decode_error.c's. */
#include "schema/decode.h"

#include "base/err.h"
#include "schema/plan.h"

static int object_decode(struct decoder *d, const struct schema *schema, const struct value *v,
                         void *object);
static int member_decode(struct decoder *d, const struct field *f, const struct value *v, void *at);

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
        return decode_fail_type(d, v, decode_type_of(d, f));
    }
    bool nothing = v->kind == VALUE_MAP && v->map.n == 0;
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
            r = decode_str(d, &items[i], weak, &list[i]);
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
        r = f->kind == FIELD_INTLIST ? decode_int(d, &items[i], weak, &numbers[i])
                                     : decode_float(d, &items[i], weak, (double *)&numbers[i]);
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
        return decode_fail_map(d, v, decode_type_of(d, f));
    }
    size_t count = 0;
    for (size_t i = 0; i < v->list.n; i++) {
        if (v->list.v[i].kind != VALUE_MAP) {
            return decode_fail_map(d, &v->list.v[i], decode_type_of(d, f));
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
                    : decode_str(d, item, weak, &((struct strpair *)pair)->value);
        } else if (f->kind == FIELD_STRLISTMAP) {
            r = strlist_decode(d, f, item, weak, &((struct strlist_pair *)pair)->values);
        } else if (f->kind == FIELD_INTMAP) {
            r = item->kind == VALUE_NULL
                    ? 0
                    : decode_int(d, item, weak, &((struct intmap_pair *)pair)->value);
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

/* What has a nil in Go: null makes it that, and leaves anything else as it is. */
static bool is_nilable(const struct field *f)
{
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_UINT:
    case FIELD_FLOAT:
    case FIELD_STR:
    case FIELD_DURATION:
    case FIELD_TIME:
        return (f->flags & F_NULLABLE) != 0;
    case FIELD_OBJ:
    case FIELD_SPLICE:
    case FIELD_SPLICE_PTR:
        return false;
    default:
        return true;
    }
}

static int member_decode(struct decoder *d, const struct field *f, const struct value *v, void *at)
{
    bool weak = (f->flags & F_WEAK) != 0 || (d->flags & DECODE_WEAK) != 0;
    if (v->kind == VALUE_NULL) {
        if (is_nilable(f)) {
            field_zero(f, at);
        }
        return 0;
    }
    d->is_lenient = (f->flags & F_LENIENT) != 0;
    if ((d->flags & DECODE_WEAK) != 0 && v->kind == VALUE_LIST && v->list.n == 1 &&
        f->kind < FIELD_INTLIST) {
        v = &v->list.v[0]; /* HCL says a lone value in a list, too */
    }
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
        return decode_bool(d, v, weak, at);
    case FIELD_INT:
        return decode_int(d, v, weak, at);
    case FIELD_UINT:
        return decode_uint(d, v, weak, at);
    case FIELD_FLOAT:
        return decode_float(d, v, weak, at);
    case FIELD_STR:
        return decode_str(d, v, weak, at);
    case FIELD_BYTES:
        return decode_bytes(d, v, weak, at);
    case FIELD_DURATION:
        return decode_duration(d, v, weak, at);
    case FIELD_TIME:
        return decode_time(d, v, at);
    case FIELD_INT_PTR: {
        int64_t *p = ARENA_NEW(d->a, int64_t);
        *(const int64_t **)at = p;
        return decode_int(d, v, weak, p);
    }
    case FIELD_BOOL_PTR: {
        bool *p = ARENA_NEW(d->a, bool);
        *(const bool **)at = p;
        return decode_bool(d, v, weak, p);
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
        if ((d->flags & DECODE_STRICT) != 0 && v->kind != VALUE_MAP) {
            return decode_fail_type(d, v, field_type_text(f));
        }
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
    ((struct str *)(uintptr_t)l->v)[l->n++] = decode_path_text(d);
}

static int object_decode(struct decoder *d, const struct schema *schema, const struct value *v,
                         void *object)
{
    const struct plan_list *list = &plan_of(schema)->input;
    if (plan_is_bare(list)) {
        return member_decode(d, list->v[0].field, v, plan_make_at(&list->v[0], object, d->a));
    }
    /* HCL says every block in a list; a struct takes the only one. */
    if (v->kind == VALUE_LIST && v->list.n == 1 && (d->flags & DECODE_WEAK) != 0) {
        v = &v->list.v[0];
    }
    if (v->kind == VALUE_NULL) {
        return 0;
    }
    if (v->kind != VALUE_MAP) {
        return decode_fail_map(d, v, decode_type_name(d, schema));
    }
    if (d->depth >= DECODE_DEPTH_MAX) {
        return err_set(d->err, ERR_INVALID, "exceeded max depth");
    }
    d->depth++;
    bool is_strict = (d->flags & DECODE_STRICT) != 0 && !d->is_lenient;
    d->is_lenient = false;
    const struct schema *outer = d->schema;
    struct path path = {.up = d->path};
    size_t unused = 0;
    for (size_t i = 0; i < v->map.n; i++) {
        const struct value_pair *pair = &v->map.v[i];
        const struct plan_step *s = step_match(list, pair->key, d->flags);
        path.name = s != NULL ? s->name : pair->key;
        d->schema = schema;
        d->path = &path;
        if (s == NULL) {
            if (is_strict) {
                return decode_fail_unknown(d);
            }
            unused += d->unused != NULL;
        } else {
            int r = member_decode(d, s->field, &pair->value, plan_make_at(s, object, d->a));
            if (r < 0) {
                return r;
            }
        }
    }
    /* After those of the members, as mapstructure tells them. */
    for (size_t i = 0; unused > 0; i++) {
        path.name = v->map.v[i].key;
        if (step_match(list, path.name, d->flags) == NULL) {
            d->path = &path;
            unused_push(d);
            unused--;
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
