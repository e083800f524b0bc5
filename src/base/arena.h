/* arena.h - bump allocation for the memory of one request or message.
 *
 * Everything is freed at once by arena_reset() (keeps the first block) or arena_deinit(). Nothing
 * allocated here outlives the arena except by an explicit copy. Not shared between threads. Blocks
 * double from ARENA_BLOCK_SIZE_MIN up to ARENA_BLOCK_SIZE_MAX; a larger allocation has a block of
 * its own. A zeroed struct arena is a valid empty one. */
#pragma once
#include "base/str.h"

#include <stdarg.h>

#define ARENA_BLOCK_SIZE_MIN 4096u
#define ARENA_BLOCK_SIZE_MAX (256u * 1024u)
#define ARENA_ALIGN 16u

struct arena_block;

struct arena {
    char *p, *end;             /* the free part of the newest block */
    struct arena_block *block; /* newest first */
    size_t size;               /* bytes of all blocks, for limits and metrics */
};

void arena_deinit(struct arena *a);
void arena_reset(struct arena *a);
void *arena_grow_(struct arena *a, size_t size);

/* Uninitialized memory, aligned to 16. Never NULL. */
static inline void *arena_alloc(struct arena *a, size_t size)
{
    if (ASAN_ENABLED) {
        return arena_grow_(a, size); /* which leaves poisoned gaps */
    }
    size_t rounded = (size + (ARENA_ALIGN - 1)) & ~(size_t)(ARENA_ALIGN - 1);
    if (LIKELY(rounded >= size && rounded <= (size_t)(a->end - a->p) && a->p != NULL)) {
        void *p = a->p;
        a->p += rounded;
        return p;
    }
    return arena_grow_(a, size);
}

static inline void *arena_zalloc(struct arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

/* One zeroed object; `count` zeroed objects (count checked for overflow). */
#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, count) ((type *)arena_array_((a), sizeof(type), (count)))
void *arena_array_(struct arena *a, size_t size, size_t count);

struct str arena_str(struct arena *a, struct str s); /* copy; NUL-terminated behind s.n */
struct str arena_concat(struct arena *a, struct str x, struct str y);
struct str arena_printf(struct arena *a, const char *format, ...) PRINTF(2, 3);
struct str arena_vprintf(struct arena *a, const char *format, va_list args) PRINTF(2, 0);
struct str arena_lower(struct arena *a, struct str s); /* ASCII */
