#include "schema/field.h"

static bool equal_member(const struct field *f, const void *a, const void *b);

static bool strlistmap_eq(const struct strlistmap *a, const struct strlistmap *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!str_eq(a->v[i].key, b->v[i].key) || !strlist_eq(a->v[i].values, b->v[i].values)) {
            return false;
        }
    }
    return true;
}

static bool intmap_eq(const struct intmap *a, const struct intmap *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!str_eq(a->v[i].key, b->v[i].key) || a->v[i].value != b->v[i].value) {
            return false;
        }
    }
    return true;
}

static bool f64list_eq(const struct f64list *a, const struct f64list *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!(a->v[i] <= b->v[i] && a->v[i] >= b->v[i])) {
            return false;
        }
    }
    return true;
}

static bool objlist_eq(const struct schema *sub, const struct objlist *a, const struct objlist *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!schema_equal(sub, (const char *)a->v + i * sub->size,
                          (const char *)b->v + i * sub->size)) {
            return false;
        }
    }
    return true;
}

static bool ptrlist_eq(const struct schema *sub, const struct ptrlist *a, const struct ptrlist *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (a->v[i] != b->v[i] && !schema_equal(sub, a->v[i], b->v[i])) {
            return false;
        }
    }
    return true;
}

static bool objmap_eq(const struct schema *sub, const struct objmap *a, const struct objmap *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!str_eq(a->v[i].key, b->v[i].key) || !schema_equal(sub, a->v[i].value, b->v[i].value)) {
            return false;
        }
    }
    return true;
}

/* An absent value, null, and an empty list or map count as the same. */
static bool is_nothing(const struct value *v)
{
    return v == NULL || v->kind == VALUE_NULL || (v->kind == VALUE_LIST && v->list.n == 0) ||
           (v->kind == VALUE_MAP && v->map.n == 0);
}

static bool pointee_eq(const struct field *f, const void *a, const void *b)
{
    if (a == b) {
        return true;
    }
    if (a == NULL || b == NULL) {
        return false;
    }
    switch (f->kind) {
    case FIELD_INT_PTR:
        return *(const int64_t *)a == *(const int64_t *)b;
    case FIELD_BOOL_PTR:
        return *(const bool *)a == *(const bool *)b;
    default:
        return schema_equal(f->sub, a, b);
    }
}

static bool equal_member(const struct field *f, const void *a, const void *b)
{
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case FIELD_INT:
    case FIELD_DURATION:
    case FIELD_TIME:
        return *(const int64_t *)a == *(const int64_t *)b;
    case FIELD_UINT:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case FIELD_FLOAT:
        return *(const double *)a <= *(const double *)b && *(const double *)a >= *(const double *)b;
    case FIELD_STR:
    case FIELD_BYTES:
        return str_eq(*(const struct str *)a, *(const struct str *)b);
    case FIELD_INT_PTR:
    case FIELD_BOOL_PTR:
    case FIELD_PTR:
    case FIELD_SPLICE_PTR:
        return pointee_eq(f, *(const void *const *)a, *(const void *const *)b);
    case FIELD_INTLIST: {
        const struct intlist *x = a;
        const struct intlist *y = b;
        return x->n == y->n && (x->n == 0 || memcmp(x->v, y->v, x->n * sizeof(*x->v)) == 0);
    }
    case FIELD_F64LIST:
        return f64list_eq(a, b);
    case FIELD_INTMAP:
        return intmap_eq(a, b);
    case FIELD_STRLIST:
        return strlist_eq(*(const struct strlist *)a, *(const struct strlist *)b);
    case FIELD_STRMAP:
        return strmap_eq(*(const struct strmap *)a, *(const struct strmap *)b);
    case FIELD_STRLISTMAP:
        return strlistmap_eq(a, b);
    case FIELD_VALUE: {
        const struct value *x = *(const struct value *const *)a;
        const struct value *y = *(const struct value *const *)b;
        return (is_nothing(x) && is_nothing(y)) || value_eq(x, y);
    }
    case FIELD_OBJ:
    case FIELD_SPLICE:
        return schema_equal(f->sub, a, b);
    case FIELD_OBJLIST:
        return objlist_eq(f->sub, a, b);
    case FIELD_PTRLIST:
        return ptrlist_eq(f->sub, a, b);
    case FIELD_OBJMAP:
        return objmap_eq(f->sub, a, b);
    }
    return false;
}

bool schema_equal(const struct schema *schema, const void *a, const void *b)
{
    const struct schema *type = schema_actual(schema, a);
    if (type != schema_actual(schema, b)) {
        return false;
    }
    schema = type;
    for (const struct field *f = schema->fields; f->name != NULL; f++) {
        if ((f->flags & (F_INDEX | F_NO_EQUAL | F_ALIAS)) == 0 &&
            !equal_member(f, (const char *)a + f->offset, (const char *)b + f->offset)) {
            return false;
        }
    }
    return true;
}
