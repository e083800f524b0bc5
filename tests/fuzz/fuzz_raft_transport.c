/* Any bytes as a connection of raft: put whole and put in pieces, they are the same requests, the
 * same snapshots and the same end. The first byte says how large the pieces are. */
#include "raft/wire_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What came, as text: requests encoded again, bytes of snapshots, and "!" when it is refused. */
static bool feed(struct raft_wire_stream *s, struct str bytes, struct buf *out)
{
    struct raft_wire_request request;
    struct err err = {0};
    if (raft_wire_stream_put(s, bytes) < 0) {
        return false;
    }
    for (;;) {
        struct arena a = {0};
        struct str snapshot = raft_wire_stream_snapshot(s, 7);
        int r = 0;
        if (s->snapshot_left == 0) {
            r = raft_wire_stream_next(s, &a, &request, &err);
            if (r > 0) {
                raft_wire_request_encode(&request, out);
            }
        } else if (snapshot.n > 0) {
            buf_str(out, snapshot);
            raft_wire_stream_consume(s, snapshot.n);
            r = 1;
        }
        arena_deinit(&a);
        if (r <= 0) {
            ASSERT(r == 0 || err.text[0] != '\0');
            return r == 0;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct str in = str_make(data + 1, size - 1);
    size_t piece = data[0] % 64 + 1;
    struct raft_wire_stream whole, pieces;
    raft_wire_stream_init(&whole);
    raft_wire_stream_init(&pieces);
    struct buf a = {0}, b = {0};
    bool a_goes_on = feed(&whole, in, &a), b_goes_on = true;
    while (in.n > 0 && b_goes_on) {
        b_goes_on = feed(&pieces, str_first(in, piece), &b);
        in = str_from(in, piece);
    }
    ASSERT(a_goes_on == b_goes_on);
    ASSERT(str_eq(buf_view(&a), buf_view(&b)));
    raft_wire_stream_deinit(&whole);
    raft_wire_stream_deinit(&pieces);
    buf_deinit(&a);
    buf_deinit(&b);
    return 0;
}
