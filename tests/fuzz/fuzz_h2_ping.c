/* Any bytes as what an HTTP/2 server says: whole, and cut where the first byte says, it comes to
 * the same end and the same answers. */
#include "proto/h2_ping.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct str in = str_make(data + 1, size - 1);
    size_t cut = data[0] % in.n;
    struct h2_ping whole, pieces;
    struct buf a = {.max = 1 << 20}, b = {.max = 1 << 20};
    h2_ping_begin(&whole, "opaque!!", &a);
    h2_ping_begin(&pieces, "opaque!!", &b);
    h2_ping_feed(&whole, in, &a);
    if (cut > 0) {
        h2_ping_feed(&pieces, str_first(in, cut), &b);
    }
    h2_ping_feed(&pieces, str_from(in, cut), &b);
    ASSERT(whole.state == pieces.state);
    ASSERT(whole.error == pieces.error);
    ASSERT(str_eq(buf_view(&a), buf_view(&b)));
    h2_ping_deinit(&whole);
    h2_ping_deinit(&pieces);
    buf_deinit(&a);
    buf_deinit(&b);
    return 0;
}
