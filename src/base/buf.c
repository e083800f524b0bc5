#include "base/buf.h"

#include <stdio.h>

#include "base/mem.h"

#define BUF_SIZE_FIRST 64u

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_deinit(struct buf *b)
{
    mem_free(b->p);
    *b = (struct buf){.max = b->max};
}

char *buf_reserve_(struct buf *b, size_t size)
{
    size_t max = b->max != 0 ? b->max : BUF_SIZE_MAX_DEFAULT;
    if (size > max || b->n > max - size) {
        b->failed = true;
        return NULL;
    }
    size_t need = b->n + size;
    if (b->p == NULL || need > b->cap) {
        size_t cap = MAX(b->cap * 2, (size_t)BUF_SIZE_FIRST);
        cap = MIN(MAX(cap, need), max);
        char *p = try_realloc(b->p, cap);
        if (p == NULL) {
            b->failed = true;
            return NULL;
        }
        b->p = p;
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = b->cap - b->n;
    int n = vsnprintf(room > 0 ? b->p + b->n : NULL, room, format, args);
    ASSERT(n >= 0);
    if ((size_t)n < room) {
        b->n += (size_t)n;
    } else {
        /* vsnprintf wants a place for its NUL, which the ceiling may not have. */
        char *text = try_malloc((size_t)n + 1);
        if (text == NULL) {
            b->failed = true;
        } else {
            (void)vsnprintf(text, (size_t)n + 1, format, again);
            buf_put(b, text, (size_t)n);
            mem_free(text);
        }
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_u64(struct buf *b, uint64_t value)
{
    char text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_put(b, text + at, sizeof(text) - at);
}

void buf_i64(struct buf *b, int64_t value)
{
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        buf_byte(b, '-');
        magnitude = 0 - magnitude;
    }
    buf_u64(b, magnitude);
}

void buf_fill(struct buf *b, char c, size_t count)
{
    char *to = buf_reserve(b, count);
    if (to != NULL) {
        memset(to, c, count);
        b->n += count;
    }
}

void buf_consume(struct buf *b, size_t n)
{
    ASSERT(n <= b->n);
    b->n -= n;
    if (n > 0 && b->n > 0) {
        memmove(b->p, b->p + n, b->n);
    }
}

struct str buf_take(struct buf *b)
{
    struct str s = {b->p, b->n};
    *b = (struct buf){.max = b->max};
    return s;
}

void buf_be16(struct buf *b, uint16_t v)
{
    char bytes[2];
    put_be16(bytes, v);
    buf_put(b, bytes, sizeof(bytes));
}

void buf_be32(struct buf *b, uint32_t v)
{
    char bytes[4];
    put_be32(bytes, v);
    buf_put(b, bytes, sizeof(bytes));
}

void buf_be64(struct buf *b, uint64_t v)
{
    char bytes[8];
    put_be64(bytes, v);
    buf_put(b, bytes, sizeof(bytes));
}

struct str cur_take(struct cur *c, size_t n)
{
    if (c->failed || n > cur_left(c)) {
        c->failed = true;
        return str_make(c->end, 0);
    }
    struct str s = str_make(c->p, n);
    c->p += n;
    return s;
}

uint8_t cur_u8(struct cur *c)
{
    struct str s = cur_take(c, 1);
    return s.n == 1 ? (uint8_t)s.p[0] : 0;
}

uint16_t cur_be16(struct cur *c)
{
    struct str s = cur_take(c, 2);
    return s.n == 2 ? get_be16(s.p) : 0;
}

uint32_t cur_be32(struct cur *c)
{
    struct str s = cur_take(c, 4);
    return s.n == 4 ? get_be32(s.p) : 0;
}

uint64_t cur_be64(struct cur *c)
{
    struct str s = cur_take(c, 8);
    return s.n == 8 ? get_be64(s.p) : 0;
}
