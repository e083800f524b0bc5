#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NORETURN void out_of_memory(size_t size)
{
    (void)fprintf(stderr, "out of memory allocating %zu bytes\n", size);
    abort();
}

/* malloc(0) may give NULL, which here always means failure. */
static size_t at_least_one(size_t size)
{
    return size == 0 ? 1 : size;
}

void *xmalloc(size_t size)
{
    void *p = malloc(at_least_one(size));
    if (UNLIKELY(p == NULL)) {
        out_of_memory(size);
    }
    return p;
}

void *xcalloc(size_t count, size_t size)
{
    void *p = calloc(at_least_one(count), at_least_one(size));
    if (UNLIKELY(p == NULL)) {
        out_of_memory(size);
    }
    return p;
}

void *xcalloc_aligned(size_t align, size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, align, at_least_one(size)) != 0) {
        out_of_memory(size);
    }
    return memset(p, 0, size);
}

void *xrealloc(void *p, size_t size)
{
    void *grown = realloc(p, at_least_one(size));
    if (UNLIKELY(grown == NULL)) {
        out_of_memory(size);
    }
    return grown;
}

void *xmemdup(const void *p, size_t size)
{
    void *copy = xmalloc(size);
    return size > 0 ? memcpy(copy, p, size) : copy;
}

void *try_malloc(size_t size)
{
    return malloc(at_least_one(size));
}

void *try_realloc(void *p, size_t size)
{
    return realloc(p, at_least_one(size));
}

void mem_trim(void)
{
    (void)malloc_trim(0);
}

void *mem_free(void *p)
{
    free(p);
    return NULL;
}
