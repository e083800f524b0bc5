/* vec.h - typed growing arrays.
 *
 *     VEC(struct str) names = {0};
 *     vec_push(&names, s);
 *     for (size_t i = 0; i < names.n; i++) use(names.v[i]);
 *     vec_deinit(&names);
 *
 * vec_… grow on the heap; avec_push grows inside an arena (the old storage is left there). A vector
 * is one or the other for its whole life. */
#pragma once
#include "base/arena.h"
#include "base/mem.h"

#define VEC(type)      \
    struct {           \
        type *v;       \
        size_t n, cap; \
    }

void *vec_grow_(void *v, size_t n, size_t *cap, size_t size);
void *avec_grow_(struct arena *a, void *v, size_t n, size_t *cap, size_t size);

#define vec_push(vec, item)                                                           \
    do {                                                                              \
        if ((vec)->n == (vec)->cap) {                                                 \
            (vec)->v = vec_grow_((vec)->v, (vec)->n, &(vec)->cap, sizeof(*(vec)->v)); \
        }                                                                             \
        (vec)->v[(vec)->n++] = (item);                                                \
    } while (0)
#define avec_push(arena, vec, item)                                                             \
    do {                                                                                        \
        if ((vec)->n == (vec)->cap) {                                                           \
            (vec)->v = avec_grow_((arena), (vec)->v, (vec)->n, &(vec)->cap, sizeof(*(vec)->v)); \
        }                                                                                       \
        (vec)->v[(vec)->n++] = (item);                                                          \
    } while (0)
#define vec_deinit(vec)            \
    do {                           \
        mem_free((vec)->v);        \
        (vec)->v = NULL;           \
        (vec)->n = (vec)->cap = 0; \
    } while (0)
/* Item i goes, those behind it move up. */
#define vec_remove(vec, i)                                                                 \
    do {                                                                                   \
        (vec)->n--;                                                                        \
        memmove(&(vec)->v[i], &(vec)->v[(i) + 1], ((vec)->n - (i)) * sizeof((vec)->v[0])); \
    } while (0)
#define vec_clear(vec) ((void)((vec)->n = 0))
