/* Any bytes as a yamux peer says them: whole, and cut where the first byte says, they come to the
 * same data, the same answers and the same end. */
#include "proto/yamux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed(struct yamux *y, struct str in, struct buf *data)
{
    struct yamux_event e;
    while (yamux_next(y, &in, &e) > 0) {
        if (e.kind == YAMUX_DATA) {
            buf_str(data, e.data);
            yamux_consumed(y, e.id, e.data.n);
        } else {
            buf_byte(data, (uint8_t)e.kind);
            if (e.kind == YAMUX_FINISHED) {
                yamux_close(y, e.id);
            } else if (e.kind == YAMUX_OPENED && e.id % 8 == 7) {
                yamux_reset(y, e.id);
            }
        }
    }
    ASSERT(in.n == 0 || yamux_error(y) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct str in = str_make(data + 1, size - 1);
    size_t cut = data[0] % in.n;
    struct yamux_options options = {.is_client = data[0] % 2 == 1, .streams_max = 8};
    struct yamux *whole = yamux_new(&options), *pieces = yamux_new(&options);
    struct buf a = {0}, b = {0};
    uint32_t id;
    (void)!yamux_open(whole, &id);
    (void)!yamux_open(pieces, &id);
    feed(whole, in, &a);
    feed(pieces, str_first(in, cut), &b);
    feed(pieces, str_from(in, cut), &b);
    ASSERT(str_eq(buf_view(&a), buf_view(&b)));
    ASSERT(str_eq(yamux_out(whole), yamux_out(pieces)));
    ASSERT(yamux_error(whole) == yamux_error(pieces));
    ASSERT(yamux_streams(whole) <= 8);
    whole = yamux_free(whole);
    pieces = yamux_free(pieces);
    buf_deinit(&a);
    buf_deinit(&b);
    return 0;
}
