/* plan.h - what is worked out once from a field table; private to schema/.
 *
 * A plan lists the members of a struct with its splices flattened, in three orders: as JSON prints
 * them (with keys already quoted), as msgpack writes them (sorted by name) and as input is matched
 * (with aliases). It is built at first use, published with one compare-and-swap into the schema's
 * slot and lives as long as the process, so any thread may use it.
 *
 * Where an outer and an embedded struct have a field of the same name, Go's encoding/json takes the
 * shallower one, go-msgpack the first one met depth-first; each list follows its own rule. */
#pragma once
#include "base/buf.h"
#include "schema/field.h"

#define PLAN_HOPS_MAX 3u
/* Key texts are readable and the output is reserved up to this size, so that a key is copied by
 * a constant-size move. */
#define PLAN_KEY_SLACK 32u

struct plan_step {
    const struct field *field;
    const char *key; /* ,"Name": with room to read PLAN_KEY_SLACK bytes */
    struct str name; /* the Go name (msgpack) or the JSON name (json, input) */
    uint32_t key_size;
    uint32_t offset; /* from the last hop */
    uint32_t flags;
    uint16_t kind;
    uint16_t hop_count; /* pointers to follow first (FIELD_SPLICE_PTR) */
    uint16_t depth;     /* of embedding */
    uint32_t hops[PLAN_HOPS_MAX];
    const struct schema *hop_subs[PLAN_HOPS_MAX]; /* what they point to */
};

struct plan_list {
    struct plan_step *v;
    size_t n;
};

struct schema_plan {
    struct plan_list json;    /* output: no aliases, nothing that is F_NO_JSON */
    struct plan_list msgpack; /* sorted by name: no aliases, nothing that is F_NO_MSGPACK */
    struct plan_list input;   /* as json, and the aliases */
    struct plan_list filter;  /* in table order: no aliases, nothing that is F_NO_FILTER */
    bool may_omit;            /* some field is F_MSGPACK_OMITEMPTY */
    bool has_time;            /* schema_zero() has more to do than memset() */
};

const struct schema_plan *plan_build_(const struct schema *schema);

static inline const struct schema_plan *plan_of(const struct schema *schema)
{
    const struct schema_plan *p = __atomic_load_n(schema->plan, __ATOMIC_ACQUIRE);
    return LIKELY(p != NULL) ? p : plan_build_(schema);
}

/* A lone member without a name: the struct stands for a plain value (field.h). */
static inline bool plan_is_bare(const struct plan_list *list)
{
    return list->n == 1 && list->v[0].name.n == 0;
}

/* The first `n` bytes of a key from `from` on. False when the buffer is full. */
static inline bool plan_key_put(struct buf *to, const char *from, size_t n)
{
    char *p = buf_reserve(to, n + PLAN_KEY_SLACK);
    if (UNLIKELY(p == NULL)) {
        return false;
    }
    if (LIKELY(n <= PLAN_KEY_SLACK)) {
        memcpy(p, from, PLAN_KEY_SLACK);
    } else {
        memcpy(p, from, n);
    }
    to->n += n;
    return true;
}

/* Where a step's member is, or NULL when a pointer on the way is. */
static inline const void *plan_at(const struct plan_step *step, const void *object)
{
    for (unsigned i = 0; i < step->hop_count; i++) {
        object = *(const void *const *)((const char *)object + step->hops[i]);
        if (object == NULL) {
            return NULL;
        }
    }
    return (const char *)object + step->offset;
}

/* The same for decoding: a pointer on the way that is NULL gets a zero object in the arena. */
void *plan_make_at(const struct plan_step *step, void *object, struct arena *a);

static inline const void *field_at(const struct field *field, const void *object)
{
    return (const char *)object + field->offset;
}

/* Zero, nil or empty; `at` points to the member. A struct is when all its members are: where Go's
 * omitempty has no effect (structs, times), a table does not say F_OMITEMPTY. */
bool field_is_empty(const struct field *field, const void *at);
/* What null and nil make of a member. */
void field_zero(const struct field *field, void *at);
/* What Go calls the member's type in errors: "int", "string", "[]string". */
const char *field_type_text(const struct field *field);

/* Sort pairs, each of `size` bytes and opening with its struct str key; of equal keys the last
 * stays. The number that is left. */
size_t pairs_sort(void *pairs, size_t count, size_t size);
