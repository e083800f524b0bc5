/* Any bytes as the answer to a health check: a status, or refused. A request is no valid answer of
 * a status, but is always well-formed. */
#include "base/buf.h"
#include "proto/grpc_health.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make(data, size);
    int64_t status = grpc_health_parse(in);
    ASSERT(status <= INT32_MAX);
    struct buf request = {.max = 1 << 20};
    grpc_health_put_request(&request, str_first(in, 1000));
    ASSERT(grpc_health_parse(buf_view(&request)) == 0);
    buf_deinit(&request);
    return 0;
}
