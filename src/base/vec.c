#include "base/vec.h"

#define VEC_CAP_FIRST 8u

static size_t next_cap(size_t cap, size_t size, size_t *ret_bytes)
{
    size_t grown = cap == 0 ? VEC_CAP_FIRST : cap * 2;
    ASSERT(grown > cap && !__builtin_mul_overflow(grown, size, ret_bytes));
    return grown;
}

void *vec_grow_(void *v, size_t n, size_t *cap, size_t size)
{
    size_t bytes;
    ASSERT(n == *cap);
    *cap = next_cap(*cap, size, &bytes);
    return xrealloc(v, bytes);
}

void *avec_grow_(struct arena *a, void *v, size_t n, size_t *cap, size_t size)
{
    size_t bytes;
    ASSERT(n == *cap);
    *cap = next_cap(*cap, size, &bytes);
    void *grown = arena_alloc(a, bytes);
    return n > 0 ? memcpy(grown, v, n * size) : grown;
}
