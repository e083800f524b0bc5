#include "schema/hash.h"

#include "base/err.h"
#include "schema/plan.h"

#define FNV_START 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

static uint64_t hash_bytes(uint64_t h, const void *p, size_t n)
{
    const uint8_t *bytes = p;
    for (size_t i = 0; i < n; i++) {
        h = h * FNV_PRIME ^ bytes[i];
    }
    return h;
}

static uint64_t hash_more_u64(uint64_t h, uint64_t v)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(v >> (8 * i));
    }
    return hash_bytes(h, bytes, sizeof(bytes));
}

static uint64_t hash_u64(uint64_t v)
{
    return hash_more_u64(FNV_START, v);
}

static uint64_t hash_pair(uint64_t a, uint64_t b)
{
    return hash_more_u64(hash_u64(a), b);
}

static uint64_t hash_str(struct str s)
{
    return hash_bytes(FNV_START, s.p, s.n);
}

static uint64_t hash_bool(bool b)
{
    return hash_bytes(FNV_START, b ? "\1" : "\0", 1);
}

static uint64_t hash_float(double f)
{
    uint64_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return hash_u64(bits);
}

static uint64_t hash_nil(void)
{
    return hash_u64(0);
}

static uint64_t hash_value(const struct value *v)
{
    uint64_t h = 0;
    if (v == NULL) {
        return hash_nil();
    }
    switch (v->kind) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        return hash_bool(v->b);
    case VALUE_INT:
        return hash_u64((uint64_t)v->i);
    case VALUE_UINT:
        return hash_u64(v->u);
    case VALUE_FLOAT:
        return hash_float(v->f);
    case VALUE_STR:
    case VALUE_BYTES:
        return hash_str(v->s);
    case VALUE_LIST:
        for (size_t i = 0; i < v->list.n; i++) {
            h = hash_pair(h, hash_value(&v->list.v[i]));
        }
        return h;
    case VALUE_MAP:
        for (size_t i = 0; i < v->map.n; i++) {
            h ^= hash_pair(hash_str(v->map.v[i].key), hash_value(&v->map.v[i].value));
        }
        return h;
    }
    return hash_nil();
}

/* A member that is map[string]interface{} in Go: its nil is an empty map. */
static uint64_t hash_free_form(const struct value *v)
{
    return v == NULL || v->kind == VALUE_NULL ? 0 : hash_value(v);
}

static uint64_t hash_strmap(struct strmap m)
{
    uint64_t h = 0;
    for (size_t i = 0; i < m.n; i++) {
        h ^= hash_pair(hash_str(m.v[i].key), hash_str(m.v[i].value));
    }
    return h;
}

static uint64_t hash_strlist(struct strlist l)
{
    uint64_t h = 0;
    for (size_t i = 0; i < l.n; i++) {
        h = hash_pair(h, hash_str(l.v[i]));
    }
    return h;
}

static uint64_t hash_objlist(const struct schema *schema, struct objlist l)
{
    uint64_t h = 0;
    for (size_t i = 0; i < l.n; i++) {
        h = hash_pair(h, schema_hash(schema, (const char *)l.v + i * schema->size));
    }
    return h;
}

static uint64_t hash_objmap(const struct schema *schema, struct objmap m)
{
    uint64_t h = 0;
    for (size_t i = 0; i < m.n; i++) {
        h ^= hash_pair(hash_str(m.v[i].key), schema_hash(schema, m.v[i].value));
    }
    return h;
}

static uint64_t hash_member(const struct field *f, const void *at)
{
    if ((f->flags & F_NULLABLE) != 0 && field_is_empty(f, at)) {
        return hash_nil();
    }
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
        return hash_bool(*(const bool *)at);
    case FIELD_INT:
    case FIELD_UINT:
    case FIELD_DURATION:
        return hash_u64(*(const uint64_t *)at);
    case FIELD_FLOAT:
        return hash_float(*(const double *)at);
    case FIELD_STR:
        return hash_str(*(const struct str *)at);
    case FIELD_STRLIST:
        return hash_strlist(*(const struct strlist *)at);
    case FIELD_STRMAP:
        return hash_strmap(*(const struct strmap *)at);
    case FIELD_OBJ:
        return schema_hash(f->sub, at);
    case FIELD_PTR: {
        const void *object = *(const void *const *)at;
        return object == NULL ? hash_nil() : schema_hash(f->sub, object);
    }
    case FIELD_OBJLIST:
        return hash_objlist(f->sub, *(const struct objlist *)at);
    case FIELD_OBJMAP:
        return hash_objmap(f->sub, *(const struct objmap *)at);
    case FIELD_VALUE:
        return hash_free_form(*(const struct value *const *)at);
    case FIELD_BYTES:
    case FIELD_TIME:
    case FIELD_INT_PTR:
    case FIELD_BOOL_PTR:
    case FIELD_INTLIST:
    case FIELD_INTMAP:
    case FIELD_STRLISTMAP:
    case FIELD_F64LIST:
    case FIELD_PTRLIST:
    case FIELD_SPLICE:
    case FIELD_SPLICE_PTR:
        break;
    }
    assert_fail("a member without a hash", __FILE__, __LINE__);
    return 0;
}

uint64_t schema_hash(const struct schema *schema, const void *object)
{
    uint64_t h = hash_str(str_from_cstr(schema->name));
    for (const struct field *f = schema->fields; f->name != NULL; f++) {
        if ((f->flags & (F_NO_HASH | F_ALIAS)) == 0) {
            h ^= hash_pair(hash_str(str_from_cstr(f->name)),
                           hash_member(f, (const char *)object + f->offset));
        }
    }
    return h;
}
