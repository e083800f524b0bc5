/* buf.h - a growing byte buffer with a ceiling, and a cursor to read one.
 *
 * buf: created with the most bytes it may ever hold. An append that would pass the ceiling (or that
 * finds no memory) is dropped and sets `failed`, which stays: write everything, check once.
 * cur: a reader with the same habit: past the end every read gives zero and sets `failed`. */
#pragma once
#include "base/str.h"

#include <stdarg.h>

struct buf {
    char *p;
    size_t n, cap, max;
    bool failed;
};

#define BUF_SIZE_MAX_DEFAULT ((size_t)1 << 30)

/* A zeroed struct buf is a valid empty buffer whose ceiling is BUF_SIZE_MAX_DEFAULT. */
void buf_init(struct buf *b, size_t max);
void buf_deinit(struct buf *b);
static inline void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = false;
}
/* The buffer with its storage; what stays behind is empty and has none. */
static inline struct buf buf_move(struct buf *b)
{
    struct buf moved = *b;
    *b = (struct buf){.max = b->max};
    return moved;
}
/* Room for `size` more bytes at p + n, or NULL (failed is set). Follow with n += what was used. */
char *buf_reserve_(struct buf *b, size_t size);
static inline char *buf_reserve(struct buf *b, size_t size)
{
    /* Not >=: an empty buffer has no storage even for 0 bytes. */
    return LIKELY(b->cap - b->n > size) ? b->p + b->n : buf_reserve_(b, size);
}

static inline void buf_put(struct buf *b, const void *p, size_t n)
{
    char *to = buf_reserve(b, n);
    if (LIKELY(to != NULL) && n > 0) {
        memcpy(to, p, n);
        b->n += n;
    }
}
static inline void buf_str(struct buf *b, struct str s)
{
    buf_put(b, s.p, s.n);
}
#define buf_lit(b, literal) buf_put((b), "" literal, sizeof(literal) - 1)
static inline void buf_byte(struct buf *b, uint8_t byte)
{
    char *to = buf_reserve(b, 1);
    if (LIKELY(to != NULL)) {
        *to = (char)byte;
        b->n++;
    }
}
void buf_printf(struct buf *b, const char *format, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF(2, 0);
void buf_u64(struct buf *b, uint64_t value); /* decimal */
void buf_i64(struct buf *b, int64_t value);
void buf_fill(struct buf *b, char c, size_t count);
/* Remove the first n bytes (n <= b->n). */
void buf_consume(struct buf *b, size_t n);
/* Hand the bytes over: the caller frees *ret_p with mem_free(); the buffer is empty again. */
struct str buf_take(struct buf *b);

static inline struct str buf_view(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

/* Integers by explicit width and order. */
static inline void put_be16(void *to, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(to, &v, 2);
}
static inline void put_be32(void *to, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(to, &v, 4);
}
static inline void put_be64(void *to, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(to, &v, 8);
}
static inline uint16_t get_be16(const void *from)
{
    uint16_t v;
    memcpy(&v, from, 2);
    return __builtin_bswap16(v);
}
static inline uint32_t get_be32(const void *from)
{
    uint32_t v;
    memcpy(&v, from, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t get_be64(const void *from)
{
    uint64_t v;
    memcpy(&v, from, 8);
    return __builtin_bswap64(v);
}
static inline uint32_t get_le32(const void *from)
{
    uint32_t v;
    memcpy(&v, from, 4);
    return v;
}
static inline void put_le32(void *to, uint32_t v)
{
    memcpy(to, &v, 4);
}
static inline uint64_t get_le64(const void *from)
{
    uint64_t v;
    memcpy(&v, from, 8);
    return v;
}
static inline void put_le64(void *to, uint64_t v)
{
    memcpy(to, &v, 8);
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte order helpers assume little endian");

void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);

struct cur {
    const uint8_t *p, *end;
    bool failed;
};

static inline struct cur cur_make(struct str s)
{
    const uint8_t *p = (const uint8_t *)(s.p != NULL ? s.p : "");
    return (struct cur){p, p + s.n, false};
}
static inline size_t cur_left(const struct cur *c)
{
    return (size_t)(c->end - c->p);
}
/* The next n bytes, borrowed; an empty slice and `failed` when there are fewer. */
struct str cur_take(struct cur *c, size_t n);
uint8_t cur_u8(struct cur *c);
uint16_t cur_be16(struct cur *c);
uint32_t cur_be32(struct cur *c);
uint64_t cur_be64(struct cur *c);
