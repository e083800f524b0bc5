/* msgpack in. Everything here is a peer's: counts are believed only as far as bytes are left, depth
 * is bounded, and the first error sticks in the cursor. */
#include "base/clock.h"
#include "base/err.h"
#include "schema/msgpack.h"
#include "schema/plan.h"

#include <math.h>

#define TIME_UNIX_TO_GO 62135596800ll
#define TIME_BINARY_SIZE_MIN 15u
#define TIME_BINARY_VERSION_MAX 2u
/* Elements of a list may be one byte each on the wire and hundreds in memory: above this size the
 * memory is bounded by the bytes that are left, too. */
#define LIST_SIZE_FREE ((size_t)16 << 20)
#define LIST_GROWTH_MAX 32u

enum msgpack_kind msgpack_peek(const struct cur *c)
{
    if (c->failed || c->p >= c->end) {
        return MSGPACK_END;
    }
    uint8_t b = *c->p;
    if (b <= 0x7f || b >= 0xe0) {
        return MSGPACK_INT;
    }
    if (b <= 0x8f) {
        return MSGPACK_MAP;
    }
    if (b <= 0x9f) {
        return MSGPACK_ARRAY;
    }
    if (b <= 0xbf) {
        return MSGPACK_RAW;
    }
    switch (b) {
    case 0xc0:
        return MSGPACK_NIL;
    case 0xc2:
    case 0xc3:
        return MSGPACK_BOOL;
    case 0xc4 ... 0xc6:
    case 0xd9 ... 0xdb:
        return MSGPACK_RAW;
    case 0xca:
    case 0xcb:
        return MSGPACK_FLOAT;
    case 0xcc ... 0xd3:
        return MSGPACK_INT;
    case 0xc7 ... 0xc9:
    case 0xd4 ... 0xd8:
        return MSGPACK_EXT;
    case 0xdc:
    case 0xdd:
        return MSGPACK_ARRAY;
    case 0xde:
    case 0xdf:
        return MSGPACK_MAP;
    default:
        return MSGPACK_END; /* 0xc1 is never used */
    }
}

static bool nil_skip(struct cur *c)
{
    if (msgpack_peek(c) != MSGPACK_NIL) {
        return false;
    }
    c->p++;
    return true;
}

/* An integer of either sign: its 64 bits, and whether they are a negative number's. */
static uint64_t int_read(struct cur *c, bool *ret_negative)
{
    *ret_negative = false;
    uint8_t b = cur_u8(c);
    int64_t i;
    if (b <= 0x7f) {
        return b;
    }
    switch (b) {
    case 0xcc:
        return cur_u8(c);
    case 0xcd:
        return cur_be16(c);
    case 0xce:
        return cur_be32(c);
    case 0xcf:
        return cur_be64(c);
    case 0xd0:
        i = (int8_t)cur_u8(c);
        break;
    case 0xd1:
        i = (int16_t)cur_be16(c);
        break;
    case 0xd2:
        i = (int32_t)cur_be32(c);
        break;
    case 0xd3:
        i = (int64_t)cur_be64(c);
        break;
    default:
        if (b < 0xe0) {
            c->failed = true;
            return 0;
        }
        i = (int8_t)b;
    }
    *ret_negative = i < 0;
    return (uint64_t)i;
}

int64_t msgpack_read_i64(struct cur *c)
{
    bool negative;
    uint64_t u = int_read(c, &negative);
    if (!negative && u > INT64_MAX) {
        c->failed = true;
        return 0;
    }
    return (int64_t)u;
}

uint64_t msgpack_read_u64(struct cur *c)
{
    bool negative;
    uint64_t u = int_read(c, &negative);
    if (negative) {
        c->failed = true;
        return 0;
    }
    return u;
}

bool msgpack_read_bool(struct cur *c)
{
    uint8_t b = cur_u8(c);
    if (b == 0xc3 || b == 0x01) {
        return true;
    }
    if (b != 0xc2 && b != 0x00) {
        c->failed = true;
    }
    return false;
}

static double float_read(struct cur *c)
{
    if (msgpack_peek(c) != MSGPACK_FLOAT) {
        bool negative;
        uint64_t u = int_read(c, &negative);
        return negative ? (double)(int64_t)u : (double)u;
    }
    if (cur_u8(c) == 0xca) {
        uint32_t bits = cur_be32(c);
        float f;
        memcpy(&f, &bits, sizeof(f));
        return (double)f;
    }
    uint64_t bits = cur_be64(c);
    double f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

struct str msgpack_read_raw(struct cur *c)
{
    uint8_t b = cur_u8(c);
    if (b >= 0xa0 && b <= 0xbf) {
        return cur_take(c, b & 0x1fu);
    }
    switch (b) {
    case 0xc0:
        return STR_NULL;
    case 0xc4:
    case 0xd9:
        return cur_take(c, cur_u8(c));
    case 0xc5:
    case 0xda:
        return cur_take(c, cur_be16(c));
    case 0xc6:
    case 0xdb:
        return cur_take(c, cur_be32(c));
    default:
        c->failed = true;
        return STR_NULL;
    }
}

/* Every element takes at least `size_min` bytes; a count that cannot be true fails here. */
static size_t count_check(struct cur *c, size_t count, size_t size_min)
{
    if (c->failed || count > cur_left(c) / size_min) {
        c->failed = true;
        return 0;
    }
    return count;
}

size_t msgpack_read_array(struct cur *c)
{
    uint8_t b = cur_u8(c);
    if (b >= 0x90 && b <= 0x9f) {
        return count_check(c, b & 0x0fu, 1);
    }
    switch (b) {
    case 0xc0:
        return 0;
    case 0xdc:
        return count_check(c, cur_be16(c), 1);
    case 0xdd:
        return count_check(c, cur_be32(c), 1);
    default:
        c->failed = true;
        return 0;
    }
}

size_t msgpack_read_map(struct cur *c)
{
    uint8_t b = cur_u8(c);
    if (b >= 0x80 && b <= 0x8f) {
        return count_check(c, b & 0x0fu, 2);
    }
    switch (b) {
    case 0xc0:
        return 0;
    case 0xde:
        return count_check(c, cur_be16(c), 2);
    case 0xdf:
        return count_check(c, cur_be32(c), 2);
    default:
        c->failed = true;
        return 0;
    }
}

/* The payload of an extension item; its type byte is left out. */
static struct str ext_read(struct cur *c)
{
    uint8_t b = cur_u8(c);
    size_t n = 0;
    switch (b) {
    case 0xd4 ... 0xd8:
        n = (size_t)1 << (b - 0xd4);
        break;
    case 0xc7:
        n = cur_u8(c);
        break;
    case 0xc8:
        n = cur_be16(c);
        break;
    case 0xc9:
        n = cur_be32(c);
        break;
    default:
        c->failed = true;
    }
    (void)cur_u8(c);
    return cur_take(c, n);
}

static void skip(struct cur *c, unsigned depth)
{
    if (depth > MSGPACK_DEPTH_MAX) {
        c->failed = true;
        return;
    }
    bool negative;
    switch (msgpack_peek(c)) {
    case MSGPACK_NIL:
    case MSGPACK_BOOL:
        c->p++;
        return;
    case MSGPACK_INT:
        (void)int_read(c, &negative);
        return;
    case MSGPACK_FLOAT:
        (void)float_read(c);
        return;
    case MSGPACK_RAW:
        (void)msgpack_read_raw(c);
        return;
    case MSGPACK_EXT:
        (void)ext_read(c);
        return;
    case MSGPACK_ARRAY:
        for (size_t n = msgpack_read_array(c); n > 0 && !c->failed; n--) {
            skip(c, depth + 1);
        }
        return;
    case MSGPACK_MAP:
        for (size_t n = msgpack_read_map(c); n > 0 && !c->failed; n--) {
            skip(c, depth + 1);
            skip(c, depth + 1);
        }
        return;
    case MSGPACK_END:
        c->failed = true;
        return;
    }
}

int msgpack_skip(struct cur *c)
{
    skip(c, 0);
    return c->failed ? -ERR_INVALID : 0;
}

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
        uint64_t u = int_read(c, &negative);
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
        v->f = float_read(c);
        return;
    case MSGPACK_RAW:
        v->kind = *c->p >= 0xc4 && *c->p <= 0xc6 ? VALUE_BYTES : VALUE_STR;
        v->s = msgpack_read_raw(c);
        return;
    case MSGPACK_EXT:
        v->kind = VALUE_BYTES;
        v->s = ext_read(c);
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

/* Go's time.Time binary form, of any offset, to UTC nanoseconds; what int64 cannot hold becomes
 * the nearest it can. */
static int64_t time_from_binary(struct cur *c, struct str s)
{
    if (s.n < TIME_BINARY_SIZE_MIN || s.p[0] < 1 || (uint8_t)s.p[0] > TIME_BINARY_VERSION_MAX) {
        c->failed = true;
        return TIME_ZERO;
    }
    int64_t seconds = (int64_t)get_be64(s.p + 1);
    int64_t ns = (int64_t)get_be32(s.p + 9);
    if (seconds == 0 && ns == 0) {
        return TIME_ZERO;
    }
    int64_t result;
    if (ns >= (int64_t)NS_PER_SEC || __builtin_sub_overflow(seconds, TIME_UNIX_TO_GO, &seconds)) {
        c->failed = true;
        return TIME_ZERO;
    }
    if (__builtin_mul_overflow(seconds, (int64_t)NS_PER_SEC, &result) ||
        __builtin_add_overflow(result, ns, &result)) {
        return seconds < 0 ? INT64_MIN + 1 : INT64_MAX;
    }
    return result;
}

int64_t msgpack_read_time(struct cur *c)
{
    if (nil_skip(c)) {
        return TIME_ZERO;
    }
    return time_from_binary(c, msgpack_peek(c) == MSGPACK_EXT ? ext_read(c) : msgpack_read_raw(c));
}

static struct strlist strlist_read(struct cur *c, struct arena *a)
{
    if (nil_skip(c)) {
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
    if (!nil_skip(d->c)) {
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
            v[i] = float_read(c);
        }
        *(struct f64list *)at = (struct f64list){v, n};
        return;
    }
    case FIELD_OBJLIST: {
        char *v = n > 0 ? arena_array_(d->a, f->sub->size, n) : SCHEMA_EMPTY;
        for (size_t i = 0; i < n; i++) {
            schema_zero(f->sub, v + i * f->sub->size);
            if (!c->failed && !nil_skip(c)) {
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
    if (nil_skip(c)) {
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
        *(int64_t *)at = (int64_t)int_read(c, &negative);
        return;
    }
    case FIELD_UINT:
        *(uint64_t *)at = msgpack_read_u64(c);
        return;
    case FIELD_FLOAT:
        *(double *)at = float_read(c);
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
        *p = (int64_t)int_read(c, &negative);
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
            skip(c, d->depth);
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
    if (!nil_skip(c)) {
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
