/* msgpack out, as go-msgpack's encoder writes it without WriteExt. */
#include "schema/msgpack.h"

#include "base/clock.h"
#include "schema/plan.h"

/* Seconds between 0001-01-01, where Go's time.Time counts from, and 1970. */
#define TIME_UNIX_TO_GO 62135596800ll
#define TIME_BINARY_SIZE 15u
#define TIME_BINARY_VERSION 1u
#define TIME_BINARY_UTC 0xffffu /* an offset of -1 minute stands for UTC */

void msgpack_nil(struct buf *to)
{
    buf_byte(to, 0xc0);
}

void msgpack_bool(struct buf *to, bool b)
{
    buf_byte(to, b ? 0xc3 : 0xc2);
}

/* A type byte and the `size` low bytes of u, big-endian. */
static void tagged(struct buf *to, uint8_t tag, uint64_t u, unsigned size)
{
    char *p = buf_reserve(to, 16);
    if (p == NULL) {
        return;
    }
    p[0] = (char)tag;
    put_be64(p + 1, u << (64 - 8 * size));
    to->n += 1 + size;
}

void msgpack_u64(struct buf *to, uint64_t u)
{
    if (u <= 0x7f) {
        buf_byte(to, (uint8_t)u);
    } else if (u <= 0xff) {
        tagged(to, 0xcc, u, 1);
    } else if (u <= 0xffff) {
        tagged(to, 0xcd, u, 2);
    } else if (u <= 0xffffffff) {
        tagged(to, 0xce, u, 4);
    } else {
        tagged(to, 0xcf, u, 8);
    }
}

void msgpack_i64(struct buf *to, int64_t i)
{
    if (i >= 0) {
        msgpack_u64(to, (uint64_t)i);
    } else if (i >= -32) {
        buf_byte(to, (uint8_t)i);
    } else if (i >= INT8_MIN) {
        tagged(to, 0xd0, (uint64_t)i, 1);
    } else if (i >= INT16_MIN) {
        tagged(to, 0xd1, (uint64_t)i, 2);
    } else if (i >= INT32_MIN) {
        tagged(to, 0xd2, (uint64_t)i, 4);
    } else {
        tagged(to, 0xd3, (uint64_t)i, 8);
    }
}

void msgpack_f64(struct buf *to, double f)
{
    uint64_t bits;
    memcpy(&bits, &f, sizeof(bits));
    tagged(to, 0xcb, bits, 8);
}

void msgpack_f32(struct buf *to, float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    tagged(to, 0xca, bits, 4);
}

static void count_put(struct buf *to, size_t count, size_t fix_count, uint8_t fix, uint8_t tag16)
{
    if (count < fix_count) {
        buf_byte(to, (uint8_t)(fix | count));
    } else if (count <= 0xffff) {
        tagged(to, tag16, count, 2);
    } else if (count <= 0xffffffff) {
        tagged(to, (uint8_t)(tag16 + 1), count, 4);
    } else {
        to->failed = true; /* the format has no larger count */
    }
}

void msgpack_raw_header(struct buf *to, size_t size)
{
    count_put(to, size, 32, 0xa0, 0xda);
}

void msgpack_raw(struct buf *to, struct str s)
{
    msgpack_raw_header(to, s.n);
    if (s.n <= 0xffffffff) {
        buf_str(to, s);
    }
}

void msgpack_array(struct buf *to, size_t count)
{
    count_put(to, count, 16, 0x90, 0xdc);
}

void msgpack_map(struct buf *to, size_t count)
{
    count_put(to, count, 16, 0x80, 0xde);
}

void msgpack_value(struct buf *to, const struct value *v)
{
    switch (v != NULL ? v->kind : VALUE_NULL) {
    case VALUE_NULL:
        msgpack_nil(to);
        return;
    case VALUE_BOOL:
        msgpack_bool(to, v->b);
        return;
    case VALUE_INT:
        msgpack_i64(to, v->i);
        return;
    case VALUE_UINT:
        msgpack_u64(to, v->u);
        return;
    case VALUE_FLOAT:
        msgpack_f64(to, v->f);
        return;
    case VALUE_STR:
    case VALUE_BYTES:
        msgpack_raw(to, v->s);
        return;
    case VALUE_LIST:
        msgpack_array(to, v->list.n);
        for (size_t i = 0; i < v->list.n; i++) {
            msgpack_value(to, &v->list.v[i]);
        }
        return;
    case VALUE_MAP:
        msgpack_map(to, v->map.n);
        for (size_t i = 0; i < v->map.n; i++) {
            msgpack_raw(to, v->map.v[i].key);
            msgpack_value(to, &v->map.v[i].value);
        }
        return;
    }
}

/* time.Time's MarshalBinary, which the codec writes as a raw: version, seconds since year 1,
 * nanoseconds, offset in minutes. */
void msgpack_time(struct buf *to, int64_t wall_ns)
{
    int64_t seconds = 0;
    int64_t ns = 0;
    if (wall_ns != TIME_ZERO) {
        seconds = wall_ns / (int64_t)NS_PER_SEC;
        ns = wall_ns % (int64_t)NS_PER_SEC;
        if (ns < 0) {
            ns += (int64_t)NS_PER_SEC;
            seconds--;
        }
        seconds += TIME_UNIX_TO_GO;
    }
    char bytes[TIME_BINARY_SIZE];
    bytes[0] = TIME_BINARY_VERSION;
    put_be64(bytes + 1, (uint64_t)seconds);
    put_be32(bytes + 9, (uint32_t)ns);
    put_be16(bytes + 13, TIME_BINARY_UTC);
    msgpack_raw(to, str_make(bytes, sizeof(bytes)));
}

static bool nil_put(struct buf *to, const void *v)
{
    if (v == NULL) {
        msgpack_nil(to);
    }
    return v == NULL;
}

static void strlist_put(struct buf *to, struct strlist l)
{
    if (nil_put(to, l.v)) {
        return;
    }
    msgpack_array(to, l.n);
    for (size_t i = 0; i < l.n; i++) {
        msgpack_raw(to, l.v[i]);
    }
}

static void lists_put(struct buf *to, const struct field *f, const void *at)
{
    switch ((enum field_kind)f->kind) {
    case FIELD_INTLIST: {
        const struct intlist *l = at;
        if (!nil_put(to, l->v)) {
            msgpack_array(to, l->n);
            for (size_t i = 0; i < l->n; i++) {
                msgpack_i64(to, l->v[i]);
            }
        }
        return;
    }
    case FIELD_F64LIST: {
        const struct f64list *l = at;
        if (!nil_put(to, l->v)) {
            msgpack_array(to, l->n);
            for (size_t i = 0; i < l->n; i++) {
                msgpack_f64(to, l->v[i]);
            }
        }
        return;
    }
    case FIELD_OBJLIST: {
        const struct objlist *l = at;
        if (!nil_put(to, l->v)) {
            msgpack_array(to, l->n);
            for (size_t i = 0; i < l->n; i++) {
                msgpack_object(to, f->sub, (const char *)l->v + i * f->sub->size);
            }
        }
        return;
    }
    case FIELD_PTRLIST: {
        const struct ptrlist *l = at;
        if (!nil_put(to, l->v)) {
            msgpack_array(to, l->n);
            for (size_t i = 0; i < l->n; i++) {
                msgpack_object(to, f->sub, l->v[i]);
            }
        }
        return;
    }
    default:
        ASSERT(false);
    }
}

static void maps_put(struct buf *to, const struct field *f, const void *at)
{
    switch ((enum field_kind)f->kind) {
    case FIELD_INTMAP: {
        const struct intmap *m = at;
        if (!nil_put(to, m->v)) {
            msgpack_map(to, m->n);
            for (size_t i = 0; i < m->n; i++) {
                msgpack_raw(to, m->v[i].key);
                msgpack_i64(to, m->v[i].value);
            }
        }
        return;
    }
    case FIELD_STRMAP: {
        const struct strmap *m = at;
        if (!nil_put(to, m->v)) {
            msgpack_map(to, m->n);
            for (size_t i = 0; i < m->n; i++) {
                msgpack_raw(to, m->v[i].key);
                msgpack_raw(to, m->v[i].value);
            }
        }
        return;
    }
    case FIELD_STRLISTMAP: {
        const struct strlistmap *m = at;
        if (!nil_put(to, m->v)) {
            msgpack_map(to, m->n);
            for (size_t i = 0; i < m->n; i++) {
                msgpack_raw(to, m->v[i].key);
                strlist_put(to, m->v[i].values);
            }
        }
        return;
    }
    case FIELD_OBJMAP: {
        const struct objmap *m = at;
        if (!nil_put(to, m->v)) {
            msgpack_map(to, m->n);
            for (size_t i = 0; i < m->n; i++) {
                msgpack_raw(to, m->v[i].key);
                msgpack_object(to, f->sub, m->v[i].value);
            }
        }
        return;
    }
    default:
        ASSERT(false);
    }
}

static void member_put(struct buf *to, const struct field *f, const void *at)
{
    if (at == NULL ||
        ((f->flags & F_NULLABLE) != 0 && f->kind < FIELD_INT_PTR && field_is_empty(f, at))) {
        msgpack_nil(to);
        return;
    }
    if ((f->flags & F_MSGPACK_NIL_AS_EMPTY) != 0 && field_is_empty(f, at)) {
        if (f->kind == FIELD_STRMAP) {
            msgpack_map(to, 0);
        } else {
            msgpack_array(to, 0);
        }
        return;
    }
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
        msgpack_bool(to, *(const bool *)at);
        return;
    case FIELD_INT:
    case FIELD_DURATION:
        msgpack_i64(to, *(const int64_t *)at);
        return;
    case FIELD_UINT:
        msgpack_u64(to, *(const uint64_t *)at);
        return;
    case FIELD_FLOAT:
        if ((f->flags & F_FLOAT32) != 0) {
            msgpack_f32(to, (float)*(const double *)at);
        } else {
            msgpack_f64(to, *(const double *)at);
        }
        return;
    case FIELD_STR:
        msgpack_raw(to, *(const struct str *)at);
        return;
    case FIELD_BYTES: {
        const struct str *s = at;
        if (!nil_put(to, s->p)) {
            msgpack_raw(to, *s);
        }
        return;
    }
    case FIELD_TIME:
        msgpack_time(to, *(const int64_t *)at);
        return;
    case FIELD_INT_PTR:
        if (!nil_put(to, *(const void *const *)at)) {
            msgpack_i64(to, **(const int64_t *const *)at);
        }
        return;
    case FIELD_BOOL_PTR:
        if (!nil_put(to, *(const void *const *)at)) {
            msgpack_bool(to, **(const bool *const *)at);
        }
        return;
    case FIELD_STRLIST:
        strlist_put(to, *(const struct strlist *)at);
        return;
    case FIELD_INTLIST:
    case FIELD_F64LIST:
    case FIELD_OBJLIST:
    case FIELD_PTRLIST:
        lists_put(to, f, at);
        return;
    case FIELD_INTMAP:
    case FIELD_STRMAP:
    case FIELD_STRLISTMAP:
    case FIELD_OBJMAP:
        maps_put(to, f, at);
        return;
    case FIELD_VALUE:
        msgpack_value(to, *(const struct value *const *)at);
        return;
    case FIELD_OBJ:
    case FIELD_SPLICE:
        msgpack_object(to, f->sub, at);
        return;
    case FIELD_PTR:
    case FIELD_SPLICE_PTR:
        if (!nil_put(to, *(const void *const *)at)) {
            msgpack_object(to, f->sub, *(const void *const *)at);
        }
        return;
    }
}

static bool is_omitted(const struct plan_step *s, const void *object)
{
    const void *at = (s->flags & F_MSGPACK_OMITEMPTY) != 0 ? plan_at(s, object) : NULL;
    return at != NULL && field_is_empty(s->field, at);
}

static void binary_put(struct buf *to, const struct schema *schema, const void *object)
{
    struct buf body = {0};
    schema->binary->put(&body, object);
    to->failed |= body.failed;
    msgpack_raw(to, buf_view(&body));
    buf_deinit(&body);
}

void msgpack_object(struct buf *to, const struct schema *schema, const void *object)
{
    schema = schema_actual(schema, object);
    if (schema->binary != NULL) {
        binary_put(to, schema, object);
    } else {
        msgpack_fields(to, schema, object);
    }
}

void msgpack_fields(struct buf *to, const struct schema *schema, const void *object)
{
    const struct schema_plan *plan = plan_of(schema);
    const struct plan_list *list = &plan->msgpack;
    size_t count = list->n;
    if (plan_is_bare(list)) {
        member_put(to, list->v[0].field, plan_at(&list->v[0], object));
        return;
    }
    for (size_t i = 0; plan->may_omit && i < list->n; i++) {
        count -= is_omitted(&list->v[i], object);
    }
    msgpack_map(to, count);
    for (size_t i = 0; i < list->n; i++) {
        const struct plan_step *s = &list->v[i];
        if (plan->may_omit && is_omitted(s, object)) {
            continue;
        }
        if (!plan_key_put(to, s->key, s->key_size)) {
            return;
        }
        member_put(to, s->field, plan_at(s, object));
    }
}
