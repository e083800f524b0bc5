/* Deep copies in one block: the same walk runs twice, first to add up sizes, then to copy. */
#include "base/arena.h"
#include "base/mem.h"
#include "schema/field.h"

#define CLONE_ALIGN 16u

struct cloner {
    char *p; /* NULL while measuring */
    size_t size;
};

/* The next `count` items of `size` bytes, aligned; NULL while measuring. */
static void *take(struct cloner *c, size_t count, size_t size, size_t align)
{
    size_t at = (c->size + align - 1) & ~(align - 1);
    c->size = at + count * size;
    return c->p != NULL ? c->p + at : NULL;
}

static struct str clone_str(struct cloner *c, struct str s)
{
    if (s.p == NULL) {
        return s;
    }
    char *to = take(c, s.n + 1, 1, 1);
    if (to == NULL) {
        return s;
    }
    if (s.n > 0) {
        memcpy(to, s.p, s.n);
    }
    to[s.n] = '\0';
    return str_make(to, s.n);
}

/* A flat array; nil stays nil. */
static const void *clone_array(struct cloner *c, const void *v, size_t count, size_t size)
{
    if (count == 0) {
        return v != NULL ? SCHEMA_EMPTY : NULL;
    }
    void *to = take(c, count, size, _Alignof(int64_t));
    return to != NULL ? memcpy(to, v, count * size) : v;
}

static struct strlist clone_strlist(struct cloner *c, struct strlist l)
{
    struct str *v = (void *)(uintptr_t)clone_array(c, l.v, l.n, sizeof(*l.v));
    for (size_t i = 0; i < l.n; i++) {
        struct str s = clone_str(c, l.v[i]);
        if (c->p != NULL) {
            v[i] = s;
        }
    }
    return (struct strlist){v, l.n};
}

static void clone_value(struct cloner *c, const struct value *from, struct value *to)
{
    if (from->kind == VALUE_STR || from->kind == VALUE_BYTES) {
        struct str s = clone_str(c, from->s);
        if (to != NULL) {
            to->s = s;
        }
    } else if (from->kind == VALUE_LIST) {
        struct value *v = (void *)(uintptr_t)clone_array(c, from->list.v, from->list.n, sizeof(*v));
        for (size_t i = 0; i < from->list.n; i++) {
            clone_value(c, &from->list.v[i], to != NULL ? &v[i] : NULL);
        }
        if (to != NULL) {
            to->list.v = v;
        }
    } else if (from->kind == VALUE_MAP) {
        struct value_pair *v =
            (void *)(uintptr_t)clone_array(c, from->map.v, from->map.n, sizeof(*v));
        for (size_t i = 0; i < from->map.n; i++) {
            struct str key = clone_str(c, from->map.v[i].key);
            clone_value(c, &from->map.v[i].value, to != NULL ? &v[i].value : NULL);
            if (to != NULL) {
                v[i].key = key;
            }
        }
        if (to != NULL) {
            to->map.v = v;
        }
    }
}

static void clone_members(struct cloner *c, const struct schema *schema, const char *from,
                          char *to);

/* A copy of one struct behind a pointer; NULL while measuring. */
static void *clone_object(struct cloner *c, const struct schema *schema, const void *from)
{
    schema = schema_actual(schema, from);
    char *to = take(c, 1, schema->size, CLONE_ALIGN);
    if (to != NULL) {
        memcpy(to, from, schema->size);
    }
    clone_members(c, schema, from, to);
    return to;
}

/* One member. *to holds a shallow copy already, except while measuring (to == NULL). */
static void clone_member(struct cloner *c, const struct field *f, const void *from, void *to)
{
    switch ((enum field_kind)f->kind) {
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_UINT:
    case FIELD_FLOAT:
    case FIELD_DURATION:
    case FIELD_TIME:
        return;
    case FIELD_STR:
    case FIELD_BYTES: {
        struct str s = clone_str(c, *(const struct str *)from);
        if (to != NULL) {
            *(struct str *)to = s;
        }
        return;
    }
    case FIELD_INT_PTR:
    case FIELD_BOOL_PTR: {
        const void *p = *(const void *const *)from;
        size_t size = f->kind == FIELD_INT_PTR ? sizeof(int64_t) : sizeof(bool);
        p = clone_array(c, p, p != NULL, size);
        if (to != NULL) {
            *(const void **)to = p;
        }
        return;
    }
    case FIELD_INTLIST: {
        const struct intlist *l = from;
        const void *v = clone_array(c, l->v, l->n, sizeof(*l->v));
        if (to != NULL) {
            ((struct intlist *)to)->v = v;
        }
        return;
    }
    case FIELD_F64LIST: {
        const struct f64list *l = from;
        const void *v = clone_array(c, l->v, l->n, sizeof(*l->v));
        if (to != NULL) {
            ((struct f64list *)to)->v = v;
        }
        return;
    }
    case FIELD_INTMAP: {
        const struct intmap *m = from;
        struct intmap_pair *v = (void *)(uintptr_t)clone_array(c, m->v, m->n, sizeof(*v));
        for (size_t i = 0; i < m->n; i++) {
            struct str key = clone_str(c, m->v[i].key);
            if (to != NULL) {
                v[i].key = key;
            }
        }
        if (to != NULL) {
            ((struct intmap *)to)->v = v;
        }
        return;
    }
    case FIELD_STRLIST: {
        struct strlist l = clone_strlist(c, *(const struct strlist *)from);
        if (to != NULL) {
            *(struct strlist *)to = l;
        }
        return;
    }
    case FIELD_STRMAP: {
        const struct strmap *m = from;
        struct strpair *v = (void *)(uintptr_t)clone_array(c, m->v, m->n, sizeof(*v));
        for (size_t i = 0; i < m->n; i++) {
            struct strpair pair = {clone_str(c, m->v[i].key), STR_NULL};
            pair.value = clone_str(c, m->v[i].value);
            if (to != NULL) {
                v[i] = pair;
            }
        }
        if (to != NULL) {
            ((struct strmap *)to)->v = v;
        }
        return;
    }
    case FIELD_STRLISTMAP: {
        const struct strlistmap *m = from;
        struct strlist_pair *v = (void *)(uintptr_t)clone_array(c, m->v, m->n, sizeof(*v));
        for (size_t i = 0; i < m->n; i++) {
            struct strlist_pair pair = {clone_str(c, m->v[i].key), {NULL, 0}};
            pair.values = clone_strlist(c, m->v[i].values);
            if (to != NULL) {
                v[i] = pair;
            }
        }
        if (to != NULL) {
            ((struct strlistmap *)to)->v = v;
        }
        return;
    }
    case FIELD_VALUE: {
        const struct value *v = *(const struct value *const *)from;
        if (v != NULL) {
            struct value *copy = (void *)(uintptr_t)clone_array(c, v, 1, sizeof(*v));
            clone_value(c, v, to != NULL ? copy : NULL);
            if (to != NULL) {
                *(const struct value **)to = copy;
            }
        }
        return;
    }
    case FIELD_OBJ:
    case FIELD_SPLICE:
        clone_members(c, f->sub, from, to);
        return;
    case FIELD_PTR:
    case FIELD_SPLICE_PTR: {
        const void *p = *(const void *const *)from;
        if (p != NULL) {
            void *copy = clone_object(c, f->sub, p);
            if (to != NULL) {
                *(void **)to = copy;
            }
        }
        return;
    }
    case FIELD_OBJLIST: {
        const struct objlist *l = from;
        size_t size = f->sub->size;
        char *v = l->v != NULL ? SCHEMA_EMPTY : NULL;
        if (l->n > 0) {
            v = take(c, l->n, size, CLONE_ALIGN);
            if (v != NULL) {
                memcpy(v, l->v, l->n * size);
            }
        }
        for (size_t i = 0; i < l->n; i++) {
            clone_members(c, f->sub, (const char *)l->v + i * size,
                          to != NULL ? v + i * size : NULL);
        }
        if (to != NULL) {
            ((struct objlist *)to)->v = v;
        }
        return;
    }
    case FIELD_PTRLIST: {
        const struct ptrlist *l = from;
        void **v = (void *)(uintptr_t)clone_array(c, l->v, l->n, sizeof(*v));
        for (size_t i = 0; i < l->n; i++) {
            void *copy = clone_object(c, f->sub, l->v[i]);
            if (to != NULL) {
                v[i] = copy;
            }
        }
        if (to != NULL) {
            ((struct ptrlist *)to)->v = v;
        }
        return;
    }
    case FIELD_OBJMAP: {
        const struct objmap *m = from;
        struct objmap_pair *v = (void *)(uintptr_t)clone_array(c, m->v, m->n, sizeof(*v));
        for (size_t i = 0; i < m->n; i++) {
            struct objmap_pair pair = {clone_str(c, m->v[i].key), NULL};
            pair.value = clone_object(c, f->sub, m->v[i].value);
            if (to != NULL) {
                v[i] = pair;
            }
        }
        if (to != NULL) {
            ((struct objmap *)to)->v = v;
        }
        return;
    }
    }
}

static void clone_members(struct cloner *c, const struct schema *schema, const char *from, char *to)
{
    for (const struct field *f = schema->fields; f->name != NULL; f++) {
        if ((f->flags & F_ALIAS) == 0) {
            clone_member(c, f, from + f->offset, to != NULL ? to + f->offset : NULL);
        }
    }
}

static void clone_run(struct cloner *c, const struct schema *schema, const void *object,
                      size_t head)
{
    char *to = take(c, 1, head, CLONE_ALIGN);
    if (to != NULL) {
        memcpy(to, object, schema->size);
        memset(to + schema->size, 0, head - schema->size);
    }
    clone_members(c, schema, object, to);
}

void *schema_clone(const struct schema *schema, const void *object, size_t *ret_size)
{
    return schema_clone_sized(schema, object, 0, ret_size);
}

void *schema_clone_sized(const struct schema *schema, const void *object, size_t size,
                         size_t *ret_size)
{
    schema = schema_actual(schema, object);
    size_t head = MAX(size, schema->size);
    struct cloner c = {0};
    clone_run(&c, schema, object, head);
    size_t total = c.size;
    c = (struct cloner){.p = xmalloc(total)};
    clone_run(&c, schema, object, head);
    DASSERT(c.size == total);
    if (ret_size != NULL) {
        *ret_size = total;
    }
    return c.p;
}

void *schema_copy(struct arena *a, const struct schema *schema, const void *object)
{
    schema = schema_actual(schema, object);
    struct cloner c = {0};
    clone_run(&c, schema, object, schema->size);
    c = (struct cloner){.p = arena_alloc(a, c.size)};
    clone_run(&c, schema, object, schema->size);
    return c.p;
}
