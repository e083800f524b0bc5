/* Compressing: the longest string that the table knows is written as its code, and the table learns
 * that string with the byte behind it. The table is a hash of (code of the string, byte) to the
 * code of both. A clear code comes first, and again when the codes run out.
 *
 * Decompressing: whatever the table knows has just been written, so that an entry is a place in the
 * output and a length, and a code is a copy. The newest entry may be used while its last byte is
 * still to be written: it is the first byte of the copy itself, which a copy from low to high
 * addresses gets right.
 *
 * Codes are decoded twice, first only to add up lengths. That costs little beside the copying,
 * finds all that can be wrong, and tells the size before anything is allocated: a bomb is a number.
 */
#include "proto/lzw.h"

#include "base/arena.h"
#include "base/err.h"

#define WIDTH_MIN 9u
#define WIDTH_MAX 12u
#define CODE_CLEAR 256u
#define CODE_END 257u
#define CODE_FIRST 258u /* the first the table defines */
#define CODE_LAST 4095u /* defining it ends the table; it is never written */

/* The table is twice as large as the most that can be in it, so that probing stays short. */
#define TABLE_SIZE_MIN 256u
#define TABLE_SIZE_MAX 8192u

struct bits_out {
    uint8_t *p, *end;
    uint64_t bits;
    unsigned count;
    bool full;
};

static void bits_put(struct bits_out *b, uint32_t code, unsigned width)
{
    b->bits |= (uint64_t)code << b->count;
    b->count += width;
    while (b->count >= 8) {
        if (b->p == b->end) {
            b->full = true;
            b->count = 0;
            b->bits = 0;
            return;
        }
        *b->p++ = (uint8_t)b->bits;
        b->bits >>= 8;
        b->count -= 8;
    }
}

/* Into size_max bytes at `to`: how many it took, or 0 when it would be more. */
static size_t compress(struct str plain, uint8_t *to, size_t size_max)
{
    /* Key (12 bits of code, 8 of the byte) and code; no code in it is 0, which means empty. */
    uint32_t table[TABLE_SIZE_MAX];
    uint32_t table_size = TABLE_SIZE_MIN;
    while (table_size < TABLE_SIZE_MAX && table_size / 2 < plain.n) {
        table_size *= 2;
    }
    const uint32_t mask = table_size - 1;
    memset(table, 0, table_size * sizeof(table[0]));

    struct bits_out out = {.p = to, .end = to + size_max};
    unsigned width = WIDTH_MIN;
    uint32_t newest = CODE_END; /* the last code defined */
    bits_put(&out, CODE_CLEAR, width);
    const uint8_t *p = (const uint8_t *)plain.p;
    const uint8_t *end = p + plain.n;
    uint32_t code = *p++; /* of the string so far */
    for (bool is_done = false; !is_done && !out.full;) {
        uint32_t slot = 0, key = 0;
        is_done = true;
        while (p < end) {
            key = code << 8 | *p++;
            slot = (key * 0x9e3779b1u) >> 19 & mask;
            while (table[slot] != 0 && table[slot] >> 12 != key) {
                slot = (slot + 1) & mask;
            }
            if (table[slot] == 0) {
                is_done = false;
                break;
            }
            code = table[slot] & 0xfffu;
        }
        bits_put(&out, code, width);
        code = key & 0xffu;
        if (++newest >> width != 0) {
            width++;
        }
        if (newest == CODE_LAST) {
            bits_put(&out, CODE_CLEAR, width);
            width = WIDTH_MIN;
            newest = CODE_END;
            memset(table, 0, table_size * sizeof(table[0]));
        } else if (!is_done) {
            table[slot] = key << 12 | newest;
        }
    }
    bits_put(&out, CODE_END, width);
    bits_put(&out, 0, 7); /* what is left of the last byte */
    return out.full ? 0 : (size_t)(out.p - to);
}

bool lzw_compress_below(struct str plain, size_t size, struct buf *to)
{
    char *p = size > 0 ? buf_reserve(to, size - 1) : NULL;
    if (p == NULL) {
        return false;
    }
    size_t n;
    if (plain.n > 0) {
        n = compress(plain, (uint8_t *)p, size - 1);
    } else {
        static const uint8_t nothing[] = {0x00, 0x03, 0x02}; /* clear, end */
        n = size - 1 < sizeof(nothing) ? 0 : sizeof(nothing);
        memcpy(p, nothing, n);
    }
    to->n += n;
    return n > 0;
}

void lzw_compress(struct str plain, struct buf *to)
{
    /* A code of 12 bits for every byte, two more for each table, and the ends. */
    (void)lzw_compress_below(plain, plain.n + plain.n / 2 + plain.n / 1024 + 16, to);
}

struct bits_in {
    const uint8_t *p, *end;
    uint64_t bits;
    unsigned count;
};

/* The next code, or -1 when there are no bits for one. */
static inline int32_t bits_get(struct bits_in *b, unsigned width)
{
    while (b->count < width) {
        if (b->p == b->end) {
            return -1;
        }
        b->bits |= (uint64_t)*b->p++ << b->count;
        b->count += 8;
    }
    int32_t code = (int32_t)(b->bits & ((1u << width) - 1));
    b->bits >>= width;
    b->count -= width;
    return code;
}

struct entry {
    uint32_t at, size; /* in the output */
};

/* Write to `to`, or only check and measure where it is NULL. */
static inline __attribute__((always_inline)) int
decode(struct str packed, char *to, size_t size_max, size_t *ret_size, struct err *err)
{
    struct entry table[CODE_LAST + 1];
    struct cur c = cur_make(packed);
    struct bits_in in = {.p = c.p, .end = c.end};
    unsigned width = WIDTH_MIN;
    uint32_t next = CODE_FIRST; /* to be defined */
    struct entry last = {0};    /* what the last code stood for; size 0: none since the clear */
    size_t n = 0;
    for (;;) {
        int32_t got = bits_get(&in, width);
        if (got < 0) {
            return err_set(err, ERR_INVALID, "LZW: the end is missing");
        }
        uint32_t code = (uint32_t)got;
        if (code == CODE_END) {
            *ret_size = n;
            return 0;
        }
        if (code == CODE_CLEAR) {
            width = WIDTH_MIN;
            next = CODE_FIRST;
            last.size = 0;
            continue;
        }
        if (last.size > 0 && next <= CODE_LAST) {
            table[next++] = (struct entry){last.at, last.size + 1};
        }
        struct entry from = {.size = 1};
        if (code >= CODE_FIRST) {
            if (code >= next) {
                return err_set(err, ERR_INVALID, "LZW: code %u is not known yet", code);
            }
            from = table[code];
        }
        if (from.size > size_max - n) {
            return err_set(err, ERR_TOO_LARGE, "LZW: more than %zu bytes of plain text", size_max);
        }
        if (to != NULL) {
            if (code < CODE_CLEAR) {
                to[n] = (char)code;
            } else if (from.at + from.size <= n) {
                memcpy(to + n, to + from.at, from.size);
            } else {
                memcpy(to + n, to + from.at, from.size - 1);
                to[n + from.size - 1] = to[n];
            }
        }
        last = (struct entry){(uint32_t)n, from.size};
        n += from.size;
        if (next >> width != 0 && width < WIDTH_MAX) {
            width++;
        }
    }
}

static int measure(struct str packed, size_t size_max, size_t *ret_size, struct err *err)
{
    ASSERT(size_max <= UINT32_MAX);
    return decode(packed, NULL, size_max, ret_size, err);
}

static void expand(struct str packed, char *to, size_t size)
{
    size_t n;
    int r = decode(packed, to, size, &n, NULL);
    ASSERT(r == 0 && n == size);
}

int lzw_decompress(struct str packed, size_t size_max, struct buf *to, struct err *err)
{
    size_t size;
    int r = measure(packed, size_max, &size, err);
    if (r < 0) {
        return r;
    }
    char *p = buf_reserve(to, size);
    if (p == NULL) {
        return err_set(err, ERR_TOO_LARGE, "LZW: no room for %zu bytes of plain text", size);
    }
    expand(packed, p, size);
    to->n += size;
    return 0;
}

int lzw_decompress_arena(struct str packed, size_t size_max, struct arena *a, struct str *ret,
                         struct err *err)
{
    size_t size;
    int r = measure(packed, size_max, &size, err);
    if (r < 0) {
        return r;
    }
    char *p = arena_alloc(a, size);
    expand(packed, p, size);
    *ret = str_make(p, size);
    return 0;
}
