/* Any bytes as a stream, whole and in pieces, to the same end; what was understood is written so
 * that it comes out the same again. */
#include "gossip_again.h"
#include "proto/memberlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int rewrite(struct str s, struct arena *a, struct buf *to, struct err *err)
{
    struct memberlist_stream state = {0};
    struct memberlist_stream_message m;
    int r = memberlist_stream_open(&state, s, a, &m, err);
    if (r == 0) {
        return err_set(err, ERR_INVALID, "too short");
    }
    if (r < 0) {
        return r;
    }
    switch (m.type) {
    case MEMBERLIST_PUSH_PULL:
        memberlist_push_pull_encode(&m.push_pull, to);
        break;
    case MEMBERLIST_USER:
        memberlist_user_stream_encode(m.body, to);
        break;
    case MEMBERLIST_ERROR: {
        struct str sentence;
        if ((r = memberlist_error_decode(m.body, &sentence, err)) >= 0) {
            memberlist_error_encode(sentence, to);
        }
        break;
    }
    default:
        ASSERT(m.type == MEMBERLIST_PING || m.type == MEMBERLIST_ACK);
        buf_byte(to, (uint8_t)m.type);
        buf_str(to, m.body);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make(data, size);
    struct arena a = {0};
    struct err err = {0};
    struct memberlist_stream whole = {0}, pieces = {0};
    struct memberlist_stream_message m;
    int r = memberlist_stream_open(&whole, in, &a, &m, &err);
    int piecewise = 0;
    size_t n = 0;
    for (; n <= size && piecewise == 0; n++) {
        if (n < pieces.need) {
            continue;
        }
        piecewise = memberlist_stream_open(&pieces, str_first(in, n), &a, &m, &err);
        ASSERT(piecewise != 0 || pieces.need > n);
    }
    /* In pieces, what is wrong at an end that need already is past is not looked at. */
    ASSERT(r == piecewise || (r < 0 && piecewise == 0 && pieces.need > size));
    ASSERT(r != 1 || pieces.need == n - 1);
    again_check(rewrite, in);
    arena_deinit(&a);
    return 0;
}
