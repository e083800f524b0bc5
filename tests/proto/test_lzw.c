#include "test.h"

#include <zlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "proto/lzw.h"

/* What Go's compress/lzw (LSB, 8) makes of known bytes. */
struct golden {
    const char *plain;
    uint8_t packed[24];
    size_t size;
};

static const struct golden short_ones[] = {
    {"", {0x00, 0x03, 0x02}, 3},
    {"a", {0x00, 0xc3, 0x04, 0x04}, 4},
    {"aaaaaaaa", {0x00, 0xc3, 0x08, 0x1c, 0x28, 0x30, 0x20}, 7},
    {"TOBEORNOTTOBEORTOBEORNOT",
     {0x00, 0xa9, 0x3c, 0x11, 0x52, 0xe4, 0x89, 0x14, 0x27, 0x4f, 0xa8,
      0x08, 0x24, 0x68, 0x70, 0x61, 0xc1, 0x83, 0x09, 0x03, 0x02},
     21},
};

/* And the sum of the sizes, and the CRC-32 of all its outputs, for plain texts of from to to - 1
 * bytes; fill() says of which. */
struct golden_range {
    int kind;
    size_t from, to, total;
    uint32_t crc;
};

static const struct golden_range ranges[] = {
    {0, 4096, 4097, 105, 0xb361f080},
    {0, 20000, 20001, 228, 0x1cc60fde},
    {0, 65536, 65537, 423, 0xe58da4ab},
    {0, 1000000, 1000001, 1819, 0x6d248d4c},
    {1, 20000, 20001, 27301, 0x855d1260},
    {1, 65536, 65537, 89710, 0x7b89d519},
    {1, 1000000, 1000001, 1369525, 0x8b29dc9f},
    {2, 20000, 20001, 8993, 0xa1e63f8c},
    {2, 65536, 65537, 29265, 0x4ed32982},
    {2, 1000000, 1000001, 444878, 0x8dd9c9b8},
    {3, 20000, 20001, 4219, 0x3bd4d849},
    {3, 65536, 65537, 12193, 0x280a47ab},
    {3, 1000000, 1000001, 172908, 0x2ee1ebde},
    {0, 1, 600, 17174, 0x118d8fab},
    {1, 1, 600, 210382, 0xf85545be},
    {2, 1, 600, 112872, 0x7decaca0},
    {3, 1, 600, 173366, 0xcd92caaf},
    /* Where the codes run out, also with the last byte. */
    {1, 3700, 4200, 2691780, 0x0f7978b1},
    {0, 7363201, 7363207, 32451, 0x57bd3fe5},
};

static void fill(char *p, size_t n, int kind)
{
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = kind == 0   ? 'a'
               : kind == 1 ? (char)(x >> 24)
               : kind == 2 ? "consul.io"[(x >> 24) % 9]
                           : (char)(i % 251);
    }
}

static void round_trip(struct str plain, struct buf *packed)
{
    struct buf again = {0};
    struct err err = {0};
    struct arena a = {0};
    struct str in_arena;
    buf_clear(packed);
    lzw_compress(plain, packed);
    assert_false(packed->failed);
    assert_ok(lzw_decompress(buf_view(packed), plain.n, &again, &err));
    assert_true(str_eq(buf_view(&again), plain));
    assert_ok(lzw_decompress_arena(buf_view(packed), plain.n, &a, &in_arena, &err));
    assert_true(str_eq(in_arena, plain));
    if (plain.n > 0) {
        assert_int_equal(lzw_decompress(buf_view(packed), plain.n - 1, &again, &err),
                         -ERR_TOO_LARGE);
        assert_int_equal(again.n, plain.n);
    }
    arena_deinit(&a);
    buf_deinit(&again);
}

static void test_short(void **state)
{
    (void)state;
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(short_ones); i++) {
        round_trip(str_from_cstr(short_ones[i].plain), &b);
        assert_int_equal(b.n, short_ones[i].size);
        assert_memory_equal(b.p, short_ones[i].packed, b.n);
    }
    buf_deinit(&b);
}

static void test_as_go(void **state)
{
    (void)state;
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
        const struct golden_range *g = &ranges[i];
        char *plain = xmalloc(g->to);
        fill(plain, g->to, g->kind);
        uLong crc = 0;
        size_t total = 0;
        for (size_t n = g->from; n < g->to; n++) {
            round_trip(str_make(plain, n), &b);
            total += b.n;
            crc = crc32(crc, (const Bytef *)b.p, (uInt)b.n);
        }
        assert_int_equal(total, g->total);
        assert_int_equal(crc, g->crc);
        mem_free(plain);
    }
    buf_deinit(&b);
}

static void test_below(void **state)
{
    (void)state;
    char plain[2000];
    fill(plain, sizeof(plain), 2);
    struct str s = str_make(plain, sizeof(plain));
    struct buf whole = {0}, b = {0};
    lzw_compress(s, &whole);
    buf_lit(&b, "before");
    for (size_t size = 0; size < whole.n + 40; size++) {
        b.n = 6;
        bool fits = lzw_compress_below(s, size, &b);
        assert_int_equal(fits, whole.n < size);
        assert_int_equal(b.n, fits ? 6 + whole.n : 6);
        assert_true(!fits || memcmp(b.p + 6, whole.p, whole.n) == 0);
    }
    assert_false(b.failed);
    b.n = 0;
    assert_false(lzw_compress_below(STR_NULL, 3, &b));
    assert_true(lzw_compress_below(STR_NULL, 4, &b));
    assert_int_equal(b.n, 3);
    buf_deinit(&b);
    buf_deinit(&whole);
}

static void test_garbage(void **state)
{
    (void)state;
    struct buf packed = {0}, b = {0};
    struct err err = {0};
    char plain[3000];
    fill(plain, sizeof(plain), 2);
    lzw_compress(str_make(plain, sizeof(plain)), &packed);
    /* Cut anywhere it has no end. */
    for (size_t n = 0; n < packed.n; n++) {
        assert_int_equal(lzw_decompress(str_first(buf_view(&packed), n), sizeof(plain), &b, &err),
                         -ERR_INVALID);
    }
    assert_int_equal(b.n, 0);
    /* What follows the end is nobody's. */
    buf_lit(&packed, "more");
    assert_ok(lzw_decompress(buf_view(&packed), sizeof(plain), &b, &err));
    assert_int_equal(b.n, sizeof(plain));
    /* A code nobody has defined: the first behind a clear, and one too far. */
    static const uint8_t first[] = {0x00, 0x05, 0x02}; /* 256, 258 */
    assert_int_equal(lzw_decompress(str_make(first, sizeof(first)), 100, &b, &err), -ERR_INVALID);
    static const uint8_t far[] = {0x00, 0xc3, 0x0c, 0x04}; /* 256, 'a', 259 */
    assert_int_equal(lzw_decompress(str_make(far, sizeof(far)), 100, &b, &err), -ERR_INVALID);
    /* No clear in front is fine: the table begins empty. */
    static const uint8_t no_clear[] = {'a', 0x02, 0x02}; /* 'a', 257 */
    buf_clear(&b);
    assert_ok(lzw_decompress(str_make(no_clear, sizeof(no_clear)), 100, &b, &err));
    assert_str_lit(buf_view(&b), "a");
    /* The buffer's own ceiling. */
    struct buf narrow;
    buf_init(&narrow, 100);
    assert_int_equal(lzw_decompress(buf_view(&packed), sizeof(plain), &narrow, &err),
                     -ERR_TOO_LARGE);
    buf_deinit(&narrow);
    buf_deinit(&packed);
    buf_deinit(&b);
}

/* Who never clears the table may go on with a full one. */
static void test_full_table(void **state)
{
    (void)state;
    struct buf packed = {0}, b = {0};
    struct err err = {0};
    uint64_t bits = 0;
    unsigned count = 0;
    const unsigned codes = 5000;
    for (unsigned i = 0; i <= codes; i++) {
        uint32_t code = i < codes ? i * 7 % 256 : 257;
        /* Behind the i-th code there are i - 1 definitions: 258 to 256 + i. */
        unsigned width = i < 512 - 257 ? 9 : i < 1024 - 257 ? 10 : i < 2048 - 257 ? 11 : 12;
        if (i + 1 == codes) {
            code = 4095; /* the last that was defined */
        }
        bits |= (uint64_t)code << count;
        for (count += width; count >= 8; count -= 8) {
            buf_byte(&packed, (uint8_t)bits);
            bits >>= 8;
        }
    }
    buf_byte(&packed, (uint8_t)bits);
    assert_ok(lzw_decompress(buf_view(&packed), 10000, &b, &err));
    assert_int_equal(b.n, codes + 1);
    for (unsigned i = 0; i < codes - 1; i++) {
        assert_int_equal((uint8_t)b.p[i], i * 7 % 256);
    }
    /* 4095 was defined by the codes of index 3837 and 3838. */
    assert_int_equal((uint8_t)b.p[codes - 1], 3837 * 7 % 256);
    assert_int_equal((uint8_t)b.p[codes], 3838 * 7 % 256);
    buf_deinit(&packed);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short),      cmocka_unit_test(test_as_go),
        cmocka_unit_test(test_below),      cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_full_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
