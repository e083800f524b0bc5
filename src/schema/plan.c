#include "schema/plan.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/vec.h"
#include "schema/json.h"
#include "schema/msgpack.h"

#include <stdlib.h>

struct collector {
    VEC(struct plan_step) steps; /* depth-first, splices flattened, aliases included */
    bool has_time;
};

static void collect(struct collector *c, const struct schema *schema, const struct plan_step *base)
{
    for (const struct field *f = schema->fields; f->name != NULL; f++) {
        struct plan_step s = *base;
        s.field = f;
        s.kind = f->kind;
        s.flags = f->flags;
        s.offset = base->offset + f->offset;
        if (f->kind == FIELD_SPLICE) {
            s.depth++;
            collect(c, f->sub, &s);
            continue;
        }
        if (f->kind == FIELD_SPLICE_PTR) {
            ASSERT(s.hop_count < PLAN_HOPS_MAX);
            s.depth++;
            s.hop_subs[s.hop_count] = f->sub;
            s.hops[s.hop_count++] = s.offset;
            s.offset = 0;
            collect(c, f->sub, &s);
            continue;
        }
        if (s.hop_count == 0 &&
            (f->kind == FIELD_TIME || (f->kind == FIELD_OBJ && plan_of(f->sub)->has_time))) {
            c->has_time = true;
        }
        vec_push(&c->steps, s);
    }
}

static struct str json_name(const struct field *f)
{
    return str_from_cstr(f->json != NULL ? f->json : f->name);
}

static void list_push(struct plan_list *list, size_t cap, const struct plan_step *s)
{
    if (list->v == NULL) {
        list->v = xcalloc(cap, sizeof(*list->v));
    }
    list->v[list->n++] = *s;
}

/* Another step of the same JSON name that is shallower, or as deep and earlier, hides this one. */
static bool is_hidden(const struct collector *c, size_t i)
{
    const struct plan_step *s = &c->steps.v[i];
    for (size_t j = 0; j < c->steps.n; j++) {
        const struct plan_step *o = &c->steps.v[j];
        if (j != i && (o->flags & (F_NO_JSON | F_ALIAS)) == 0 &&
            str_eq(json_name(o->field), json_name(s->field)) &&
            (o->depth < s->depth || (o->depth == s->depth && j < i))) {
            return true;
        }
    }
    return false;
}

static bool is_repeated(const struct plan_list *list, struct str name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (str_eq(list->v[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void key_make(struct plan_step *s)
{
    struct buf b = {0};
    buf_byte(&b, ',');
    json_quote(&b, s->name);
    buf_byte(&b, ':');
    s->key_size = (uint32_t)b.n;
    char *key = xcalloc(1, b.n + PLAN_KEY_SLACK);
    memcpy(key, b.p, b.n);
    s->key = key;
    buf_deinit(&b);
}

/* The name as msgpack writes it, with the same slack. */
static void msgpack_key_make(struct plan_step *s)
{
    struct buf b = {0};
    msgpack_raw(&b, s->name);
    s->key_size = (uint32_t)b.n;
    char *key = xcalloc(1, b.n + PLAN_KEY_SLACK);
    memcpy(key, b.p, b.n);
    s->key = key;
    buf_deinit(&b);
}

static int step_cmp_name(const void *a, const void *b)
{
    return str_cmp(((const struct plan_step *)a)->name, ((const struct plan_step *)b)->name);
}

static void plan_free(struct schema_plan *p)
{
    for (size_t i = 0; i < p->json.n; i++) {
        mem_free((void *)(uintptr_t)p->json.v[i].key);
    }
    for (size_t i = 0; i < p->msgpack.n; i++) {
        mem_free((void *)(uintptr_t)p->msgpack.v[i].key);
    }
    mem_free(p->json.v);
    mem_free(p->msgpack.v);
    mem_free(p->input.v);
    mem_free(p->filter.v);
    mem_free(p);
}

const struct schema_plan *plan_build_(const struct schema *schema)
{
    ASSERT(schema->plan != NULL); /* made with SCHEMA() */
    struct collector c = {0};
    struct plan_step base = {0};
    collect(&c, schema, &base);

    struct schema_plan *p = xcalloc(1, sizeof(*p));
    p->has_time = c.has_time;
    for (size_t i = 0; i < c.steps.n; i++) {
        struct plan_step s = c.steps.v[i];
        s.name = json_name(s.field);
        if ((s.flags & F_NO_JSON) == 0 && !is_hidden(&c, i)) {
            if ((s.flags & F_ALIAS) == 0) {
                key_make(&s);
                list_push(&p->json, c.steps.n, &s);
            }
            list_push(&p->input, c.steps.n, &s);
        }
        s.name = str_from_cstr(s.field->name);
        if ((s.flags & (F_NO_MSGPACK | F_ALIAS)) == 0 && !is_repeated(&p->msgpack, s.name)) {
            msgpack_key_make(&s);
            p->may_omit = p->may_omit || (s.flags & F_MSGPACK_OMITEMPTY) != 0;
            list_push(&p->msgpack, c.steps.n, &s);
        }
        if ((s.flags & (F_NO_FILTER | F_ALIAS)) == 0 && !is_repeated(&p->filter, s.name)) {
            list_push(&p->filter, c.steps.n, &s);
        }
    }
    if (p->msgpack.n > 1) {
        qsort(p->msgpack.v, p->msgpack.n, sizeof(*p->msgpack.v), step_cmp_name);
    }
    vec_deinit(&c.steps);

    struct schema_plan *expected = NULL;
    if (!__atomic_compare_exchange_n(schema->plan, &expected, p, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        plan_free(p); /* another thread was first */
        return expected;
    }
    return p;
}

void *plan_make_at(const struct plan_step *step, void *object, struct arena *a)
{
    char *at = object;
    for (unsigned i = 0; i < step->hop_count; i++) {
        void **pointer = (void **)(void *)(at + step->hops[i]);
        if (*pointer == NULL) {
            *pointer = arena_alloc(a, step->hop_subs[i]->size);
            schema_zero(step->hop_subs[i], *pointer);
        }
        at = *pointer;
    }
    return at + step->offset;
}

bool field_is_empty(const struct field *field, const void *at)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_BOOL:
        return !*(const bool *)at;
    case FIELD_INT:
    case FIELD_DURATION:
        return *(const int64_t *)at == 0;
    case FIELD_UINT:
        return *(const uint64_t *)at == 0;
    case FIELD_FLOAT:
        return *(const double *)at == 0;
    case FIELD_STR:
    case FIELD_BYTES:
        return ((const struct str *)at)->n == 0;
    case FIELD_TIME:
        return *(const int64_t *)at == TIME_ZERO;
    case FIELD_INT_PTR:
    case FIELD_BOOL_PTR:
    case FIELD_PTR:
        return *(const void *const *)at == NULL;
    case FIELD_VALUE: {
        const struct value *v = *(const struct value *const *)at;
        return v == NULL || v->kind == VALUE_NULL || (v->kind == VALUE_MAP && v->map.n == 0) ||
               (v->kind == VALUE_LIST && v->list.n == 0);
    }
    case FIELD_INTLIST:
        return ((const struct intlist *)at)->n == 0;
    case FIELD_F64LIST:
        return ((const struct f64list *)at)->n == 0;
    case FIELD_INTMAP:
        return ((const struct intmap *)at)->n == 0;
    case FIELD_STRLIST:
        return ((const struct strlist *)at)->n == 0;
    case FIELD_STRMAP:
        return ((const struct strmap *)at)->n == 0;
    case FIELD_STRLISTMAP:
        return ((const struct strlistmap *)at)->n == 0;
    case FIELD_OBJLIST:
        return ((const struct objlist *)at)->n == 0;
    case FIELD_PTRLIST:
        return ((const struct ptrlist *)at)->n == 0;
    case FIELD_OBJMAP:
        return ((const struct objmap *)at)->n == 0;
    case FIELD_OBJ:
    case FIELD_SPLICE:
        for (const struct field *f = field->sub->fields; f->name != NULL; f++) {
            if ((f->flags & F_ALIAS) == 0 && !field_is_empty(f, field_at(f, at))) {
                return false;
            }
        }
        return true;
    case FIELD_SPLICE_PTR:
        return *(const void *const *)at == NULL;
    }
    return false;
}

void field_zero(const struct field *field, void *at)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_BOOL:
        *(bool *)at = false;
        return;
    case FIELD_INT:
    case FIELD_UINT:
    case FIELD_DURATION:
        *(int64_t *)at = 0;
        return;
    case FIELD_FLOAT:
        *(double *)at = 0;
        return;
    case FIELD_TIME:
        *(int64_t *)at = TIME_ZERO;
        return;
    case FIELD_INT_PTR:
    case FIELD_BOOL_PTR:
    case FIELD_PTR:
    case FIELD_SPLICE_PTR:
    case FIELD_VALUE:
        *(void **)at = NULL;
        return;
    case FIELD_OBJ:
    case FIELD_SPLICE:
        schema_zero(field->sub, at);
        return;
    case FIELD_STR:
    case FIELD_BYTES:
    case FIELD_INTLIST:
    case FIELD_F64LIST:
    case FIELD_INTMAP:
    case FIELD_STRLIST:
    case FIELD_STRMAP:
    case FIELD_STRLISTMAP:
    case FIELD_OBJLIST:
    case FIELD_PTRLIST:
    case FIELD_OBJMAP:
        memset(at, 0, sizeof(struct str)); /* all are a pointer and a count */
        return;
    }
}
_Static_assert(sizeof(struct str) == sizeof(struct objlist) &&
                   sizeof(struct str) == sizeof(struct objmap) &&
                   sizeof(struct str) == sizeof(struct strlistmap),
               "lists, maps and strings are a pointer and a count");

const char *field_type_text(const struct field *field)
{
    switch ((enum field_kind)field->kind) {
    case FIELD_BOOL:
    case FIELD_BOOL_PTR:
        return "bool";
    case FIELD_INT:
    case FIELD_INT_PTR:
        return "int";
    case FIELD_UINT:
        return "uint64";
    case FIELD_FLOAT:
        return "float64";
    case FIELD_STR:
        return "string";
    case FIELD_BYTES:
        return "[]uint8";
    case FIELD_DURATION:
        return "time.Duration";
    case FIELD_TIME:
        return "time.Time";
    case FIELD_INTLIST:
        return "[]int";
    case FIELD_F64LIST:
        return "[]float64";
    case FIELD_INTMAP:
        return "map[string]int";
    case FIELD_STRLIST:
        return "[]string";
    case FIELD_STRMAP:
        return "map[string]string";
    case FIELD_STRLISTMAP:
        return "map[string][]string";
    case FIELD_OBJ:
    case FIELD_PTR:
    case FIELD_OBJLIST:
    case FIELD_PTRLIST:
    case FIELD_OBJMAP:
    case FIELD_SPLICE:
    case FIELD_SPLICE_PTR:
        return field->sub->name;
    case FIELD_VALUE:
        return "map[string]interface {}";
    }
    return "";
}
