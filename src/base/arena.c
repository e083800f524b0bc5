#include "base/arena.h"

#include <stdio.h>

#include "base/mem.h"

#if ASAN_ENABLED
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#define GAP_SIZE ARENA_ALIGN /* between two allocations, so that running over the end is seen */
#else
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
#define GAP_SIZE 0u
#endif

struct arena_block {
    struct arena_block *next;
    size_t size; /* with this header */
};

_Static_assert(sizeof(struct arena_block) % ARENA_ALIGN == 0, "allocations start aligned");

static char *block_start(struct arena_block *block)
{
    return (char *)block + sizeof(*block);
}

static struct arena_block *block_new(struct arena *a, size_t size)
{
    struct arena_block *block = xmalloc(size);
    *block = (struct arena_block){NULL, size};
    POISON(block_start(block), size - sizeof(*block));
    a->size += size;
    return block;
}

static void block_free(struct arena *a, struct arena_block *block)
{
    a->size -= block->size;
    UNPOISON(block_start(block), block->size - sizeof(*block));
    mem_free(block);
}

void arena_deinit(struct arena *a)
{
    while (a->block != NULL) {
        struct arena_block *next = a->block->next;
        block_free(a, a->block);
        a->block = next;
    }
    *a = (struct arena){0};
}

void arena_reset(struct arena *a)
{
    /* The oldest block of ordinary size stays: blocks of their own may lie behind it. */
    struct arena_block *keep = NULL, *next;
    for (struct arena_block *block = a->block; block != NULL; block = block->next) {
        keep = block->size <= ARENA_BLOCK_SIZE_MAX ? block : keep;
    }
    for (struct arena_block *block = a->block; block != NULL; block = next) {
        next = block->next;
        if (block != keep) {
            block_free(a, block);
        }
    }
    a->block = keep;
    a->p = a->end = NULL;
    if (keep != NULL) {
        keep->next = NULL;
        a->p = block_start(keep);
        a->end = (char *)keep + keep->size;
        POISON(a->p, (size_t)(a->end - a->p));
    }
}

/* A block for one large allocation, behind the newest, whose free part stays in use. */
static void *alloc_own_block(struct arena *a, size_t rounded)
{
    struct arena_block *block = block_new(a, sizeof(*block) + rounded);
    if (a->block == NULL) {
        a->block = block;
    } else {
        block->next = a->block->next;
        a->block->next = block;
    }
    return block_start(block);
}

static void grow(struct arena *a, size_t rounded)
{
    size_t size = ARENA_BLOCK_SIZE_MIN;
    if (a->block != NULL && a->block->size <= ARENA_BLOCK_SIZE_MAX) {
        size = MIN(a->block->size * 2, (size_t)ARENA_BLOCK_SIZE_MAX);
    }
    while (size < sizeof(struct arena_block) + rounded) {
        size *= 2;
    }
    struct arena_block *block = block_new(a, size);
    block->next = a->block;
    a->block = block;
    a->p = block_start(block);
    a->end = (char *)block + size;
}

/* The slow path of arena_alloc(), and under ASan the only one. */
void *arena_grow_(struct arena *a, size_t size)
{
    ASSERT(size < SIZE_MAX / 2);
    size_t rounded = (size + GAP_SIZE + (ARENA_ALIGN - 1)) & ~(size_t)(ARENA_ALIGN - 1);
    void *p;
    if (a->p != NULL && rounded <= (size_t)(a->end - a->p)) {
        p = a->p;
        a->p += rounded;
    } else if (rounded > ARENA_BLOCK_SIZE_MAX - sizeof(struct arena_block)) {
        p = alloc_own_block(a, rounded);
    } else {
        grow(a, rounded);
        p = a->p;
        a->p += rounded;
    }
    UNPOISON(p, size);
    return p;
}

void *arena_array_(struct arena *a, size_t size, size_t count)
{
    size_t total;
    ASSERT(!__builtin_mul_overflow(size, count, &total));
    return arena_zalloc(a, total);
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
    p[s.n] = '\0';
    return str_make(p, s.n);
}

struct str arena_concat(struct arena *a, struct str x, struct str y)
{
    char *p = arena_alloc(a, x.n + y.n + 1);
    if (x.n > 0) {
        memcpy(p, x.p, x.n);
    }
    if (y.n > 0) {
        memcpy(p + x.n, y.p, y.n);
    }
    p[x.n + y.n] = '\0';
    return str_make(p, x.n + y.n);
}

struct str arena_vprintf(struct arena *a, const char *format, va_list args)
{
    char small[256];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), format, args);
    ASSERT(n >= 0);
    struct str s = {small, (size_t)n};
    if (s.n < sizeof(small)) {
        s = arena_str(a, s);
    } else {
        char *p = arena_alloc(a, s.n + 1);
        (void)vsnprintf(p, s.n + 1, format, again);
        s.p = p;
    }
    va_end(again);
    return s;
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str s = arena_vprintf(a, format, args);
    va_end(args);
    return s;
}

struct str arena_lower(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++) {
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + ('a' - 'A') : s.p[i]);
    }
    p[s.n] = '\0';
    return str_make(p, s.n);
}
