/* Any bytes as a raft message: what decodes, encodes to something that decodes to the same again.
 */
#include "raft/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void request_try(struct str in)
{
    struct arena a = {0};
    struct err err = {0};
    struct raft_wire_request first, second;
    struct buf b1 = {0}, b2 = {0};
    if (raft_wire_request_decode(in, &a, &first, &err) >= 0) {
        raft_wire_request_encode(&first, &b1);
        ASSERT(raft_wire_request_decode(buf_view(&b1), &a, &second, &err) >= 0);
        raft_wire_request_encode(&second, &b2);
        ASSERT(str_eq(buf_view(&b1), buf_view(&b2)));
    }
    buf_deinit(&b1);
    buf_deinit(&b2);
    arena_deinit(&a);
}

static void reply_try(struct str in, enum raft_msg_kind kind)
{
    struct err err = {0};
    struct raft_msg request = {.kind = kind};
    struct raft_wire_reply first, second;
    struct buf b1 = {0}, b2 = {0};
    if (raft_wire_reply_decode(in, &request, &first, &err) >= 0) {
        raft_wire_reply_encode(&first, &b1);
        ASSERT(raft_wire_reply_decode(buf_view(&b1), &request, &second, &err) >= 0);
        raft_wire_reply_encode(&second, &b2);
        ASSERT(str_eq(buf_view(&b1), buf_view(&b2)));
    }
    buf_deinit(&b1);
    buf_deinit(&b2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make(data, size);
    request_try(in);
    reply_try(in, RAFT_MSG_APPEND);
    reply_try(in, RAFT_MSG_VOTE);
    reply_try(in, RAFT_MSG_INSTALL);
    reply_try(in, RAFT_MSG_TIMEOUT_NOW);
    return 0;
}
