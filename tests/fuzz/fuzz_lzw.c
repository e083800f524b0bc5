/* Any bytes as LZW, both ways. What can be unpacked comes to the same by both ways of doing it;
 * whatever it is, packed it comes back, also when there is only just room for it. */
#include "base/arena.h"
#include "base/err.h"
#include "proto/lzw.h"

#define PLAIN_SIZE_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make(data, size), in_arena;
    struct err err = {0};
    struct arena a = {0};
    struct buf plain = {0}, packed = {0}, again = {0};
    int r = lzw_decompress(in, PLAIN_SIZE_MAX, &plain, &err);
    ASSERT(lzw_decompress_arena(in, PLAIN_SIZE_MAX, &a, &in_arena, &err) == r);
    if (r >= 0) {
        ASSERT(str_eq(buf_view(&plain), in_arena));
        in = buf_view(&plain);
    } else {
        ASSERT(plain.n == 0);
    }
    lzw_compress(in, &packed);
    r = lzw_decompress(buf_view(&packed), in.n, &again, &err);
    ASSERT(r == 0 && str_eq(buf_view(&again), in));
    buf_clear(&again);
    ASSERT(!lzw_compress_below(in, packed.n, &again) && again.n == 0);
    ASSERT(lzw_compress_below(in, packed.n + 1, &again));
    ASSERT(str_eq(buf_view(&again), buf_view(&packed)));
    buf_deinit(&plain);
    buf_deinit(&packed);
    buf_deinit(&again);
    arena_deinit(&a);
    return 0;
}
