/* Values and objects out of msgpack, the latter by their field tables. What msgpack_read.c says of
 * a peer's bytes holds here, too. */
#include "base/err.h"
#include "schema/msgpack_read.h"
#include "schema/plan.h"

/* Elements of a list may be one byte each on the wire and hundreds in memory: above this size the
 * memory is bounded by the bytes that are left, too. */
#define LIST_SIZE_FREE ((size_t)16 << 20)
#define LIST_GROWTH_MAX 32u

/* --- values -------------------------------------------------------------------------------- */

static void value_read(struct cur *c, struct arena *a, struct value *v, unsigned depth)
{
    v->kind = VALUE_NULL;
    if (depth > MSGPACK_DEPTH_MAX) {
        c->failed = true;
        return;
    }
    bool negative;
    switch (msgpack_peek(c)) {
    case MSGPACK_NIL:
        c->p++;
        return;
    case MSGPACK_BOOL:
        v->kind = VALUE_BOOL;
        v->b = msgpack_read_bool(c);
        return;
    case MSGPACK_INT: {
        uint64_t u = msgpack_read_int(c, &negative);
        if (!negative && u > INT64_MAX) {
            v->kind = VALUE_UINT;
            v->u = u;
        } else {
            v->kind = VALUE_INT;
            v->i = (int64_t)u;
        }
        return;
    }
    case MSGPACK_FLOAT:
        v->kind = VALUE_FLOAT;
        v->f = msgpack_read_float(c);
        return;
    case MSGPACK_RAW:
        v->kind = *c->p >= 0xc4 && *c->p <= 0xc6 ? VALUE_BYTES : VALUE_STR;
        v->s = msgpack_read_raw(c);
        return;
    case MSGPACK_EXT:
        v->kind = VALUE_BYTES;
        v->s = msgpack_read_ext(c);
        return;
    case MSGPACK_ARRAY:
        v->kind = VALUE_LIST;
        v->list.n = msgpack_read_array(c);
        v->list.v = v->list.n > 0 ? ARENA_ARRAY(a, struct value, v->list.n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < v->list.n && !c->failed; i++) {
            value_read(c, a, &v->list.v[i], depth + 1);
        }
        return;
    case MSGPACK_MAP:
        v->kind = VALUE_MAP;
        v->map.n = msgpack_read_map(c);
        v->map.v = v->map.n > 0 ? ARENA_ARRAY(a, struct value_pair, v->map.n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < v->map.n && !c->failed; i++) {
            v->map.v[i].key = msgpack_read_raw(c);
            value_read(c, a, &v->map.v[i].value, depth + 1);
        }
        return;
    case MSGPACK_END:
        c->failed = true;
        return;
    }
}

int msgpack_decode_value(struct cur *c, struct arena *a, struct value **ret_value, struct err *err)
{
    struct value *v = ARENA_NEW(a, struct value);
    value_read(c, a, v, 0);
    if (c->failed) {
        return err_set(err, ERR_INVALID, "msgpack: malformed value");
    }
    *ret_value = v;
    return 0;
}

/* --- objects ------------------------------------------------------------------------------- */

struct decoder {
    struct cur *c;
    struct arena *a;
    unsigned depth;
    /* What was being read when it failed, for the error: struct and field. */
    const struct schema *schema;
    const struct field *field;
};

static void object_read(struct decoder *d, const struct schema *schema, void *object);
static void fields_read(struct decoder *d, const struct schema *schema, void *object);

static struct strlist strlist_read(struct cur *c, struct arena *a)
{
    if (msgpack_read_nil(c)) {
        return (struct strlist){0};
    }
    size_t n = msgpack_read_array(c);
    struct str *v = n > 0 ? ARENA_ARRAY(a, struct str, n) : SCHEMA_EMPTY;
    for (size_t i = 0; i < n && !c->failed; i++) {
        v[i] = msgpack_read_raw(c);
    }
    return (struct strlist){v, n};
}

static void *struct_read(struct decoder *d, const struct schema *sub)
{
    void *object = arena_alloc(d->a, sub->size);
    schema_zero(sub, object);
    if (!msgpack_read_nil(d->c)) {
        object_read(d, sub, object);
    }
    return object;
}

static void lists_read(struct decoder *d, const struct field *f, void *at)
{
    struct cur *c = d->c;
    size_t n = msgpack_read_array(c);
    if (f->sub != NULL && n > LIST_SIZE_FREE / f->sub->size &&
        n > cur_left(c) / f->sub->size * LIST_GROWTH_MAX) {
        c->failed = true; /* an honest sender spends bytes on every field of every element */
        return;
    }
    switch ((enum field_kind)f->kind) {
    case FIELD_INTLIST: {
        int64_t *v = n > 0 ? ARENA_ARRAY(d->a, int64_t, n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < n && !c->failed; i++) {
            v[i] = msgpack_read_i64(c);
        }
        *(struct intlist *)at = (struct intlist){v, n};
        return;
    }
    case FIELD_F64LIST: {
        double *v = n > 0 ? ARENA_ARRAY(d->a, double, n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < n && !c->failed; i++) {
            v[i] = msgpack_read_float(c);
        }
        *(struct f64list *)at = (struct f64list){v, n};
        return;
    }
    case FIELD_OBJLIST: {
        char *v = n > 0 ? arena_array_(d->a, f->sub->size, n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < n; i++) {
            schema_zero(f->sub, v + i * f->sub->size);
            if (!c->failed && !msgpack_read_nil(c)) {
                object_read(d, f->sub, v + i * f->sub->size);
            }
        }
        *(struct objlist *)at = (struct objlist){v, n};
        return;
    }
    case FIELD_PTRLIST: {
        void **v = n > 0 ? ARENA_ARRAY(d->a, void *, n) : SCHEMA_EMPTY;
        size_t i = 0;
        for (; i < n && !c->failed; i++) {
            v[i] = struct_read(d, f->sub);
        }
        *(struct ptrlist *)at = (struct ptrlist){v, i};
        return;
    }
    default:
        ASSERT(false);
    }
}

static void maps_read(struct decoder *d, const struct field *f, void *at)
{
    struct cur *c = d->c;
    size_t n = msgpack_read_map(c);
    switch ((enum field_kind)f->kind) {
    case FIELD_INTMAP: {
        struct intmap_pair *v = n > 0 ? ARENA_ARRAY(d->a, struct intmap_pair, n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < n && !c->failed; i++) {
            v[i].key = msgpack_read_raw(c);
            v[i].value = msgpack_read_i64(c);
        }
        *(struct intmap *)at = (struct intmap){v, c->failed ? 0 : pairs_sort(v, n, sizeof(*v))};
        return;
    }
    case FIELD_STRMAP: {
        struct strpair *v = n > 0 ? ARENA_ARRAY(d->a, struct strpair, n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < n && !c->failed; i++) {
            v[i].key = msgpack_read_raw(c);
            v[i].value = msgpack_read_raw(c);
        }
        *(struct strmap *)at = (struct strmap){v, c->failed ? 0 : pairs_sort(v, n, sizeof(*v))};
        return;
    }
    case FIELD_STRLISTMAP: {
        struct strlist_pair *v = n > 0 ? ARENA_ARRAY(d->a, struct strlist_pair, n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < n && !c->failed; i++) {
            v[i].key = msgpack_read_raw(c);
            v[i].values = strlist_read(c, d->a);
        }
        *(struct strlistmap *)at =
            (struct strlistmap){v, c->failed ? 0 : pairs_sort(v, n, sizeof(*v))};
        return;
    }
    case FIELD_OBJMAP: {
        struct objmap_pair *v = n > 0 ? ARENA_ARRAY(d->a, struct objmap_pair, n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < n && !c->failed; i++) {
            v[i].key = msgpack_read_raw(c);
            v[i].value = struct_read(d, f->sub);
        }
        *(struct objmap *)at = (struct objmap){v, c->failed ? 0 : pairs_sort(v, n, sizeof(*v))};
        return;
    }
    default:
        ASSERT(false);
    }
}

static void member_read(struct decoder *d, const struct field *f, void *at)
{
    struct cur *c = d->c;
    if (msgpack_read_nil(c)) {
        field_zero(f, at);
        return;
    }
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
        *(bool *)at = msgpack_read_bool(c);
        return;
    case FIELD_INT:
    case FIELD_DURATION: {
        /* uint64 values wrap, as they do in Go */
        bool negative;
        *(int64_t *)at = (int64_t)msgpack_read_int(c, &negative);
        return;
    }
    case FIELD_UINT:
        *(uint64_t *)at = msgpack_read_u64(c);
        return;
    case FIELD_FLOAT:
        *(double *)at = msgpack_read_float(c);
        return;
    case FIELD_STR:
        *(struct str *)at = msgpack_read_raw(c);
        return;
    case FIELD_BYTES: {
        /* go-msgpack decodes an empty byte slice to nil */
        struct str s = msgpack_read_raw(c);
        *(struct str *)at = s.n > 0 ? s : STR_NULL;
        return;
    }
    case FIELD_TIME:
        *(int64_t *)at = msgpack_read_time(c);
        return;
    case FIELD_INT_PTR: {
        int64_t *p = ARENA_NEW(d->a, int64_t);
        bool negative;
        *p = (int64_t)msgpack_read_int(c, &negative);
        *(const int64_t **)at = p;
        return;
    }
    case FIELD_BOOL_PTR: {
        bool *p = ARENA_NEW(d->a, bool);
        *p = msgpack_read_bool(c);
        *(const bool **)at = p;
        return;
    }
    case FIELD_STRLIST:
        *(struct strlist *)at = strlist_read(c, d->a);
        return;
    case FIELD_INTLIST:
    case FIELD_F64LIST:
    case FIELD_OBJLIST:
    case FIELD_PTRLIST:
        lists_read(d, f, at);
        return;
    case FIELD_INTMAP:
    case FIELD_STRMAP:
    case FIELD_STRLISTMAP:
    case FIELD_OBJMAP:
        maps_read(d, f, at);
        return;
    case FIELD_VALUE: {
        struct value *v = ARENA_NEW(d->a, struct value);
        value_read(c, d->a, v, d->depth);
        *(const struct value **)at = v;
        return;
    }
    case FIELD_OBJ:
    case FIELD_SPLICE:
        object_read(d, f->sub, at);
        return;
    case FIELD_PTR:
        *(void **)at = struct_read(d, f->sub);
        return;
    case FIELD_SPLICE_PTR: /* the plan lists its members instead */
        return;
    }
}

/* The step of that name; go-msgpack writes keys sorted, so the one after the last hit is tried
 * first. */
static const struct plan_step *step_find(const struct plan_list *list, struct str name,
                                         size_t *next)
{
    if (*next < list->n && str_eq(list->v[*next].name, name)) {
        return &list->v[(*next)++];
    }
    size_t from = 0;
    size_t to = list->n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int order = str_cmp(list->v[mid].name, name);
        if (order == 0) {
            *next = mid + 1;
            return &list->v[mid];
        }
        if (order < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return NULL;
}

static void binary_read(struct decoder *d, const struct schema *schema, void *object)
{
    if (msgpack_peek(d->c) != MSGPACK_RAW) {
        d->c->failed = true;
        return;
    }
    struct cur body = cur_make(msgpack_read_raw(d->c));
    struct err why = {0};
    if (schema->binary->read(&body, object, d->a, &why) < 0) {
        d->c->failed = true;
    }
}

static void object_read(struct decoder *d, const struct schema *schema, void *object)
{
    if (schema->binary != NULL) {
        binary_read(d, schema, object);
    } else {
        fields_read(d, schema, object);
    }
}

static void fields_read(struct decoder *d, const struct schema *schema, void *object)
{
    struct cur *c = d->c;
    const struct plan_list *list = &plan_of(schema)->msgpack;
    if (++d->depth > MSGPACK_DEPTH_MAX) {
        c->failed = true;
        return;
    }
    if (plan_is_bare(list)) {
        member_read(d, list->v[0].field, plan_make_at(&list->v[0], object, d->a));
        d->depth--;
        return;
    }
    if (msgpack_peek(c) == MSGPACK_RAW || msgpack_peek(c) == MSGPACK_ARRAY) {
        c->failed = true; /* a struct is a map; the array form is never sent */
    }
    size_t next = 0;
    for (size_t n = msgpack_read_map(c); n > 0 && !c->failed; n--) {
        struct str name = msgpack_read_raw(c);
        const struct plan_step *s = step_find(list, name, &next);
        if (s == NULL) {
            msgpack_skip_within(c, d->depth);
            continue;
        }
        member_read(d, s->field, plan_make_at(s, object, d->a));
        if (c->failed && d->field == NULL) {
            d->schema = schema;
            d->field = s->field;
        }
    }
    d->depth--;
}

static int decode(struct cur *c, const struct schema *schema, void *object, struct arena *a,
                  void (*read)(struct decoder *, const struct schema *, void *), struct err *err)
{
    struct decoder d = {.c = c, .a = a};
    if (!msgpack_read_nil(c)) {
        read(&d, schema, object);
    }
    if (!c->failed) {
        return 0;
    }
    if (d.field != NULL) {
        return err_set(err, ERR_INVALID, "msgpack: malformed field %s.%s", d.schema->name,
                       d.field->name);
    }
    return err_set(err, ERR_INVALID, "msgpack: malformed %s", schema->name);
}

int msgpack_decode(struct cur *c, const struct schema *schema, void *object, struct arena *a,
                   struct err *err)
{
    return decode(c, schema_actual(schema, object), object, a, object_read, err);
}

int msgpack_decode_fields(struct cur *c, const struct schema *schema, void *object, struct arena *a,
                          struct err *err)
{
    return decode(c, schema_actual(schema, object), object, a, fields_read, err);
}
