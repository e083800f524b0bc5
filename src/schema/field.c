#include "schema/field.h"

#include "base/clock.h"
#include "base/mem.h"
#include "schema/plan.h"

const char schema_empty_[16];

bool strlist_contains(struct strlist l, struct str s)
{
    for (size_t i = 0; i < l.n; i++) {
        if (str_eq(l.v[i], s)) {
            return true;
        }
    }
    return false;
}

bool strlist_contains_fold(struct strlist l, struct str s)
{
    for (size_t i = 0; i < l.n; i++) {
        if (str_eq_fold(l.v[i], s)) {
            return true;
        }
    }
    return false;
}

bool strlist_eq(struct strlist a, struct strlist b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (!str_eq(a.v[i], b.v[i])) {
            return false;
        }
    }
    return true;
}

bool strmap_get(struct strmap m, struct str key, struct str *ret_value)
{
    size_t from = 0;
    size_t to = m.n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int order = str_cmp(m.v[mid].key, key);
        if (order == 0) {
            if (ret_value != NULL) {
                *ret_value = m.v[mid].value;
            }
            return true;
        }
        if (order < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return false;
}

bool strmap_eq(struct strmap a, struct strmap b)
{
    if (a.n != b.n) {
        return false;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (!str_eq(a.v[i].key, b.v[i].key) || !str_eq(a.v[i].value, b.v[i].value)) {
            return false;
        }
    }
    return true;
}

bool strmap_has_all(struct strmap m, struct strmap wanted)
{
    for (size_t i = 0; i < wanted.n; i++) {
        struct str value;
        if (!strmap_get(m, wanted.v[i].key, &value) || !str_eq(value, wanted.v[i].value)) {
            return false;
        }
    }
    return true;
}

void *objmap_get(struct objmap m, struct str key)
{
    size_t from = 0;
    size_t to = m.n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int order = str_cmp(m.v[mid].key, key);
        if (order == 0) {
            return m.v[mid].value;
        }
        if (order < 0) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return NULL;
}

/* Every kind of pair opens with its key. */
static int pair_cmp(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Bottom-up merge sort: stable, so that of equal keys the later one can win. */
static void pairs_merge_sort(char *v, size_t count, size_t size)
{
    char *to = xmalloc(count * size);
    char *from = v;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            size_t mid = MIN(low + width, count);
            size_t high = MIN(low + 2 * width, count);
            size_t i = low;
            size_t j = mid;
            for (size_t k = low; k < high; k++) {
                bool left =
                    j >= high || (i < mid && pair_cmp(from + i * size, from + j * size) <= 0);
                memcpy(to + k * size, from + (left ? i++ : j++) * size, size);
            }
        }
        char *swap = from;
        from = to;
        to = swap;
    }
    if (from != v) {
        memcpy(v, from, count * size);
        to = from;
    }
    mem_free(to);
}

size_t pairs_sort(void *pairs, size_t count, size_t size)
{
    char *v = pairs;
    bool sorted = true;
    for (size_t i = 1; i < count && sorted; i++) {
        sorted = pair_cmp(v + (i - 1) * size, v + i * size) < 0;
    }
    if (sorted) {
        return count;
    }
    pairs_merge_sort(v, count, size);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (n > 0 && pair_cmp(v + (n - 1) * size, v + i * size) == 0) {
            n--; /* the later one replaces it */
        }
        if (n != i) {
            memcpy(v + n * size, v + i * size, size);
        }
        n++;
    }
    return n;
}

struct strmap strmap_build(struct strpair *pairs, size_t count)
{
    size_t n = pairs_sort(pairs, count, sizeof(*pairs));
    return (struct strmap){pairs != NULL ? pairs : SCHEMA_EMPTY, n};
}

struct objmap objmap_build(struct objmap_pair *pairs, size_t count)
{
    size_t n = pairs_sort(pairs, count, sizeof(*pairs));
    return (struct objmap){pairs != NULL ? pairs : SCHEMA_EMPTY, n};
}

void schema_zero(const struct schema *schema, void *object)
{
    memset(object, 0, schema->size);
    if (!plan_of(schema)->has_time) {
        return;
    }
    for (const struct field *f = schema->fields; f->name != NULL; f++) {
        char *at = (char *)object + f->offset;
        if (f->kind == FIELD_TIME) {
            *(int64_t *)(void *)at = TIME_ZERO;
        } else if (f->kind == FIELD_OBJ || f->kind == FIELD_SPLICE) {
            schema_zero(f->sub, at);
        }
    }
}

const struct field *schema_find(const struct schema *schema, struct str name, size_t *ret_offset)
{
    for (const struct field *f = schema->fields; f->name != NULL; f++) {
        if (f->kind == FIELD_SPLICE) {
            size_t inner;
            const struct field *found = schema_find(f->sub, name, &inner);
            if (found != NULL) {
                if (ret_offset != NULL) {
                    *ret_offset = f->offset + inner;
                }
                return found;
            }
        } else if (f->kind != FIELD_SPLICE_PTR && str_eq(str_from_cstr(f->name), name)) {
            if (ret_offset != NULL) {
                *ret_offset = f->offset;
            }
            return f;
        }
    }
    return NULL;
}
