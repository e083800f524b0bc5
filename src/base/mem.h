/* mem.h - allocation that cannot fail, and allocation that may.
 *
 * x…: for sizes of our own making; the process ends when memory does. try_…: for sizes that came
 * from a peer, a file or a user, after they were checked against a named maximum; NULL is then an
 * ordinary error. Free with mem_free(), which returns NULL: p = mem_free(p). */
#pragma once
#include "base/compiler.h"

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* Zeroed, and aligned to a power of two (a multiple of the pointer's size). */
void *xcalloc_aligned(size_t align, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
void *xmemdup(const void *p, size_t size) __attribute__((returns_nonnull));
NODISCARD void *try_malloc(size_t size);
NODISCARD void *try_realloc(void *p, size_t size);
void *mem_free(void *p);
/* After much was freed: give back to the system what can be. Any thread; it may take a moment, in
 * which others wait for memory. */
void mem_trim(void);
