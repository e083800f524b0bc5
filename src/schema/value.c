#include "schema/value.h"

static struct str copy_str(struct arena *a, struct str s)
{
    return s.n == 0 ? STR("") : arena_str(a, s);
}

static void copy_into(struct arena *a, struct value *to, const struct value *from)
{
    *to = *from;
    switch (from->kind) {
    case VALUE_STR:
    case VALUE_BYTES:
        to->s = copy_str(a, from->s);
        return;
    case VALUE_LIST:
        to->list.v = ARENA_ARRAY(a, struct value, from->list.n);
        for (size_t i = 0; i < from->list.n; i++) {
            copy_into(a, &to->list.v[i], &from->list.v[i]);
        }
        return;
    case VALUE_MAP:
        to->map.v = ARENA_ARRAY(a, struct value_pair, from->map.n);
        for (size_t i = 0; i < from->map.n; i++) {
            to->map.v[i].key = copy_str(a, from->map.v[i].key);
            copy_into(a, &to->map.v[i].value, &from->map.v[i].value);
        }
        return;
    case VALUE_NULL:
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_FLOAT:
        return;
    }
}

struct value *value_copy(struct arena *a, const struct value *v)
{
    if (v == NULL) {
        return NULL;
    }
    struct value *to = ARENA_NEW(a, struct value);
    copy_into(a, to, v);
    return to;
}

/* Each key's last entry counts, as value_get() has it. */
static bool map_within(const struct value *a, const struct value *b)
{
    for (size_t i = 0; i < a->map.n; i++) {
        struct str key = a->map.v[i].key;
        const struct value *in_b = value_get(b, key);
        if (in_b == NULL || !value_eq(value_get(a, key), in_b)) {
            return false;
        }
    }
    return true;
}

bool value_eq(const struct value *a, const struct value *b)
{
    static const struct value null = {.kind = VALUE_NULL};
    a = a != NULL ? a : &null;
    b = b != NULL ? b : &null;
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case VALUE_NULL:
        return true;
    case VALUE_BOOL:
        return a->b == b->b;
    case VALUE_INT:
        return a->i == b->i;
    case VALUE_UINT:
        return a->u == b->u;
    case VALUE_FLOAT:
        return a->f == b->f;
    case VALUE_STR:
    case VALUE_BYTES:
        return str_eq(a->s, b->s);
    case VALUE_LIST:
        if (a->list.n != b->list.n) {
            return false;
        }
        for (size_t i = 0; i < a->list.n; i++) {
            if (!value_eq(&a->list.v[i], &b->list.v[i])) {
                return false;
            }
        }
        return true;
    case VALUE_MAP:
        return map_within(a, b) && map_within(b, a);
    }
    return false;
}

const struct value *value_get(const struct value *v, struct str key)
{
    if (v == NULL || v->kind != VALUE_MAP) {
        return NULL;
    }
    for (size_t i = v->map.n; i-- > 0;) {
        if (str_eq(v->map.v[i].key, key)) {
            return &v->map.v[i].value;
        }
    }
    return NULL;
}

const char *value_kind_text(enum value_kind kind)
{
    switch (kind) {
    case VALUE_NULL:
        return "null";
    case VALUE_BOOL:
        return "bool";
    case VALUE_INT:
    case VALUE_UINT:
    case VALUE_FLOAT:
        return "number";
    case VALUE_STR:
    case VALUE_BYTES:
        return "string";
    case VALUE_LIST:
        return "array";
    case VALUE_MAP:
        return "object";
    }
    return "value";
}

bool value_is_empty(const struct value *v)
{
    if (v == NULL) {
        return true;
    }
    switch (v->kind) {
    case VALUE_NULL:
        return true;
    case VALUE_BOOL:
        return !v->b;
    case VALUE_INT:
        return v->i == 0;
    case VALUE_UINT:
        return v->u == 0;
    case VALUE_FLOAT:
        return !(v->f < 0 || v->f > 0);
    case VALUE_STR:
    case VALUE_BYTES:
        return v->s.n == 0;
    case VALUE_LIST:
        return v->list.n == 0;
    case VALUE_MAP:
        return v->map.n == 0;
    }
    return true;
}
