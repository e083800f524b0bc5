/* Any bytes as RPC frames. What decodes whole was seen by the scanner to end just there, and the
 * scanner says the same of pieces. */
#include "base/err.h"
#include "proto/msgpack_scan.h"
#include "proto/rpc_frame.h"

#define FUZZ_SIZE_MAX (1u << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make(data, size);
    struct err err = {0};
    struct msgpack_scan whole, pieces;
    struct rpc_request request;
    struct rpc_response response;
    msgpack_scan_begin(&whole, 0, RPC_FRAME_VALUES, FUZZ_SIZE_MAX);
    msgpack_scan_begin(&pieces, 0, RPC_FRAME_VALUES, FUZZ_SIZE_MAX);
    int r = msgpack_scan(&whole, in);
    int piecewise = 0;
    for (size_t n = 0; n <= size && piecewise == 0; n++) {
        piecewise = msgpack_scan(&pieces, str_first(in, n));
    }
    ASSERT(r == piecewise && (r != 1 || whole.at == pieces.at));
    if (rpc_request_decode(in, &request, &err) >= 0 && size <= FUZZ_SIZE_MAX) {
        ASSERT(r == 1 && whole.at == size);
    }
    if (rpc_response_decode(in, &response, &err) >= 0 && size <= FUZZ_SIZE_MAX) {
        ASSERT(r == 1 && whole.at == size);
    }
    return 0;
}
