#include "proto/gossip_fields.h"

#include "base/arena.h"

static uint64_t uint_get(const void *member, size_t width)
{
    uint64_t u = 0;
    memcpy(&u, member, width); /* little endian: base/buf.h asserts it */
    return u;
}

static bool is_empty(const struct gossip_field *f, const void *member)
{
    switch ((enum gossip_kind)f->kind) {
    case GOSSIP_KIND_UINT:
        return uint_get(member, f->width) == 0;
    case GOSSIP_KIND_STR:
        return ((const struct str *)member)->n == 0;
    case GOSSIP_KIND_IP:
        return ((const struct gossip_address *)member)->size == 0;
    default:
        return false;
    }
}

static bool is_left_out(const struct gossip_field *f, const void *object)
{
    return (f->flags & GOSSIP_OMIT_EMPTY) != 0 && is_empty(f, (const char *)object + f->offset);
}

static void raw_put(struct buf *to, struct str s, bool is_nil)
{
    if (is_nil) {
        msgpack_nil(to);
    } else {
        msgpack_raw(to, s);
    }
}

static void member_put(struct buf *to, const struct gossip_field *f, const void *member)
{
    switch ((enum gossip_kind)f->kind) {
    case GOSSIP_KIND_UINT:
        msgpack_u64(to, uint_get(member, f->width));
        return;
    case GOSSIP_KIND_INT64:
        msgpack_i64(to, *(const int64_t *)member);
        return;
    case GOSSIP_KIND_BOOL:
        msgpack_bool(to, *(const bool *)member);
        return;
    case GOSSIP_KIND_STR:
        raw_put(to, *(const struct str *)member, false);
        return;
    case GOSSIP_KIND_RAW: {
        const struct str *s = member;
        raw_put(to, *s, s->p == NULL);
        return;
    }
    case GOSSIP_KIND_IP: {
        const struct gossip_address *a = member;
        raw_put(to, str_make(a->ip, a->size), a->size == 0);
        return;
    }
    case GOSSIP_KIND_FORM:
        f->form->put(to, member);
        return;
    }
}

void gossip_fields_put(struct buf *to, const struct gossip_field *fields, size_t count,
                       const void *object)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += !is_left_out(&fields[i], object);
    }
    msgpack_map(to, n);
    for (size_t i = 0; i < count; i++) {
        if (!is_left_out(&fields[i], object)) {
            msgpack_raw(to, fields[i].name);
            member_put(to, &fields[i], (const char *)object + fields[i].offset);
        }
    }
}

struct str gossip_read_raw(struct cur *c, size_t size_max)
{
    struct str s = msgpack_read_raw(c);
    if (s.n > size_max) {
        c->failed = true;
    }
    return s;
}

static size_t count_check(struct cur *c, size_t count, size_t size_min)
{
    if (c->failed || count > cur_left(c) / size_min) {
        c->failed = true;
        return 0;
    }
    return count;
}

size_t gossip_read_array(struct cur *c, size_t size_min)
{
    return count_check(c, msgpack_read_array(c), size_min);
}

size_t gossip_read_map(struct cur *c, size_t size_min)
{
    return count_check(c, msgpack_read_map(c), size_min);
}

void gossip_strs_put(struct buf *to, const struct str *v, size_t n)
{
    msgpack_array(to, n);
    for (size_t i = 0; i < n; i++) {
        msgpack_raw(to, v[i]);
    }
}

struct str *gossip_read_strs(struct cur *c, size_t count_max, struct arena *a, size_t *ret_count)
{
    size_t n = msgpack_read_array(c);
    if (n > count_max) {
        c->failed = true;
        n = 0;
    }
    struct str *v = ARENA_ARRAY(a, struct str, n);
    for (size_t i = 0; i < n && !c->failed; i++) {
        v[i] = msgpack_read_raw(c);
    }
    *ret_count = n;
    return v;
}

static void ip_read(struct cur *c, struct gossip_address *a)
{
    struct str s = msgpack_read_raw(c);
    if (s.n != 0 && s.n != 4 && s.n != 16) {
        c->failed = true;
        return;
    }
    a->size = (uint8_t)s.n;
    if (s.n > 0) {
        memcpy(a->ip, s.p, s.n);
    }
}

/* Into a member that is zero: a nil leaves it so. */
static void member_read(struct cur *c, const struct gossip_field *f, void *member, struct arena *a)
{
    if (f->kind == GOSSIP_KIND_FORM) {
        f->form->read(c, member, a);
        return;
    }
    if (msgpack_peek(c) == MSGPACK_NIL) {
        c->p++;
        return;
    }
    switch ((enum gossip_kind)f->kind) {
    case GOSSIP_KIND_UINT: {
        uint64_t u = msgpack_read_u64(c);
        if (u > f->max) {
            c->failed = true;
        }
        memcpy(member, &u, f->width);
        return;
    }
    case GOSSIP_KIND_INT64:
        *(int64_t *)member = msgpack_read_i64(c);
        return;
    case GOSSIP_KIND_BOOL:
        *(bool *)member = msgpack_read_bool(c);
        return;
    case GOSSIP_KIND_STR:
    case GOSSIP_KIND_RAW:
        *(struct str *)member = gossip_read_raw(c, f->max);
        return;
    case GOSSIP_KIND_IP:
        ip_read(c, member);
        return;
    case GOSSIP_KIND_FORM:
        return;
    }
}

/* NULL, or, where the cursor has failed, the field at which it did (NULL, too: between them). */
static const struct gossip_field *fields_read(struct cur *c, const struct gossip_field *fields,
                                              size_t count, void *object, struct arena *a)
{
    size_t next = 0;   /* keys come sorted from who writes them as we do */
    uint32_t seen = 0; /* nobody sends a key twice, and no form need think of it */
    DASSERT(count <= 32);
    for (size_t n = msgpack_read_map(c); n > 0 && !c->failed; n--) {
        struct str key = msgpack_read_raw(c);
        size_t i = 0;
        while (i < count && !str_eq(fields[(next + i) % count].name, key)) {
            i++;
        }
        if (i == count) {
            if (msgpack_skip(c) < 0) {
                break;
            }
            continue;
        }
        i = (next + i) % count;
        next = i + 1;
        const struct gossip_field *f = &fields[i];
        if ((seen & 1u << i) != 0) {
            c->failed = true;
            return f;
        }
        seen |= 1u << i;
        member_read(c, f, (char *)object + f->offset, a);
        if (c->failed) {
            return f;
        }
    }
    return NULL;
}

int gossip_fields_read(struct cur *c, const struct gossip_field *fields, size_t count, void *object,
                       struct arena *a, const char *what, struct err *err)
{
    const struct gossip_field *f = fields_read(c, fields, count, object, a);
    if (f != NULL) {
        return err_set(err, ERR_INVALID, "malformed %s: its %.*s", what, STRF(f->name));
    }
    return c->failed ? err_set(err, ERR_INVALID, "malformed %s", what) : 0;
}

void gossip_fields_read_within(struct cur *c, const struct gossip_field *fields, size_t count,
                               void *object, struct arena *a)
{
    (void)fields_read(c, fields, count, object, a);
}
