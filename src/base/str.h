/* str.h - borrowed slices of bytes, passed by value.
 *
 * A struct str never owns and is never NUL-terminated by promise; p may be NULL only when n is 0.
 * Print one with "%.*s" and STRF(s). Where Go tells nil from empty (lists, maps, byte slices) that
 * is said by p == NULL; for strings the two are the same. */
#pragma once
#include "base/compiler.h"

#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_INIT(literal) {"" literal, sizeof(literal) - 1}
#define STR_NULL ((struct str){NULL, 0})
#define STRF(s) (int)(s).n, (s).p

static inline struct str str_make(const void *p, size_t n)
{
    return (struct str){(const char *)p, n};
}

static inline struct str str_from_cstr(const char *z)
{
    return (struct str){z, z != NULL ? strlen(z) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

#define str_eq_lit(s, literal) str_eq((s), STR(literal))

static inline bool str_has_prefix(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_has_suffix(struct str s, struct str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* The part from byte `from` on; empty past the end. */
static inline struct str str_from(struct str s, size_t from)
{
    if (s.n == 0) {
        return s; /* p may be NULL, to which not even 0 may be added */
    }
    return from >= s.n ? (struct str){s.p + s.n, 0} : (struct str){s.p + from, s.n - from};
}

/* At most the first n bytes. */
static inline struct str str_first(struct str s, size_t n)
{
    return (struct str){s.p, n < s.n ? n : s.n};
}

/* Bytewise order, shorter first: the order of keys in the store. */
int str_cmp(struct str a, struct str b);
/* ASCII case folding only. */
bool str_eq_fold(struct str a, struct str b);
int str_cmp_fold(struct str a, struct str b);
/* First place of a byte or a substring, or -1. */
ptrdiff_t str_find_byte(struct str s, char c);
ptrdiff_t str_rfind_byte(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str needle);
static inline bool str_contains(struct str s, struct str needle)
{
    return str_find(s, needle) >= 0;
}
/* Without ASCII white space at both ends. */
struct str str_trim(struct str s);
/* Cut at the first `sep`: *head is what stands before it, *tail what follows. False (head = s,
 * tail empty) when sep does not occur. head or tail may alias s. */
bool str_cut(struct str s, char sep, struct str *head, struct str *tail);
/* The next piece of *rest up to `sep`, advancing *rest; false when *rest is exhausted (p NULL).
 * "a,,b" gives "a", "", "b"; "" gives one empty piece. */
bool str_split_next(struct str *rest, char sep, struct str *ret_piece);

/* Strict decimal numbers: digits (and one leading sign for i64/f64), nothing else, no overflow.
 * 0, or -ERR_INVALID / -ERR_RANGE. */
NODISCARD int str_parse_u64(struct str s, uint64_t *ret_value);
NODISCARD int str_parse_i64(struct str s, int64_t *ret_value);
NODISCARD int str_parse_f64(struct str s, double *ret_value);
/* Go's strconv.ParseBool: 1 t T TRUE true True, 0 f F FALSE false False. */
NODISCARD int str_parse_bool(struct str s, bool *ret_value);

bool str_is_utf8(struct str s);
/* The first character of s: its size in bytes, or 0 when s is empty or not well-formed there. */
size_t str_utf8_next(struct str s, uint32_t *ret_rune);
/* Hash with a per-process secret (SipHash-1-3): safe for keys that users choose. */
uint64_t str_hash(struct str s);
uint64_t siphash13(const uint64_t key[2], struct str s); /* the same under a key of yours */
/* A NUL-terminated heap copy, for the edge (libc, OpenSSL). */
char *str_to_cstr(struct str s);
