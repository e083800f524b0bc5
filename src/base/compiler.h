/* compiler.h - the few language extensions the project uses, under names of its own.
 *
 * Included by every header of base/. ASSERT() is for our own mistakes and stays on in release
 * builds; DASSERT() is for checks too costly for that. Never assert what a peer, a disk or a user
 * controls: those get an error. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/param.h> /* has a MIN and MAX of its own: ours must come after, whoever includes it */

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#define UNUSED __attribute__((unused))
#define FALLTHROUGH __attribute__((fallthrough))
#define NORETURN __attribute__((noreturn))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#undef MIN
#undef MAX
#define MIN(a, b)                                \
    ({                                           \
        __typeof__(a) min_a_ = (a);              \
        __typeof__(b) min_b_ = (b);              \
        min_a_ < min_b_ ? min_a_ : min_b_;       \
    })
#define MAX(a, b)                                \
    ({                                           \
        __typeof__(a) max_a_ = (a);              \
        __typeof__(b) max_b_ = (b);              \
        max_a_ > max_b_ ? max_a_ : max_b_;       \
    })

/* From a pointer to a member back to the struct that embeds it. */
#define container_of(ptr, type, member) \
    ((type *)(void *)((char *)(1 ? (ptr) : &((type *)0)->member) - offsetof(type, member)))

/* CLEANUP(foo_free) struct foo *p = NULL;  runs foo_free(p) when p goes out of scope; hand the
 * object over with TAKE(p). The function is one of the x_free(struct x *) family. */
#define CLEANUP(free_fn) __attribute__((cleanup(free_fn##_cleanup_)))
#define DEFINE_CLEANUP(type, free_fn)                       \
    UNUSED static inline void free_fn##_cleanup_(type **p)  \
    {                                                       \
        if (*p != NULL) {                                   \
            free_fn(*p);                                    \
        }                                                   \
    }
#define TAKE(p)                     \
    ({                              \
        __typeof__(p) take_ = (p);  \
        (p) = NULL;                 \
        take_;                      \
    })

/* Whether AddressSanitizer watches this build: arenas then poison what is free. */
#if defined(__SANITIZE_ADDRESS__)
#define ASAN_ENABLED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN_ENABLED 1
#endif
#endif
#ifndef ASAN_ENABLED
#define ASAN_ENABLED 0
#endif

NORETURN void assert_fail(const char *expr, const char *file, int line);
#define ASSERT(expr) (LIKELY(expr) ? (void)0 : assert_fail(#expr, __FILE__, __LINE__))
#ifdef NDEBUG
#define DASSERT(expr) ((void)sizeof(!(expr)))
#else
#define DASSERT(expr) ASSERT(expr)
#endif
