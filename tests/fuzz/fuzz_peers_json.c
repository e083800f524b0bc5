/* Any bytes as peers.json, in both formats: what is taken is a configuration that can be encoded
 * and read again. */
#include "base/buf.h"
#include "server/peers_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int64_t protocol = 2; protocol <= 3; protocol++) {
        static struct raft_configuration c, again;
        struct err err = {0};
        if (peers_json_parse(str_make(data, size), protocol, &c, &err) < 0) {
            ASSERT(err.code != 0);
            continue;
        }
        struct buf bytes = {0};
        ASSERT(raft_configuration_check(&c, &err) == 0);
        raft_configuration_encode(&c, &bytes);
        ASSERT(raft_configuration_decode(buf_view(&bytes), &again, &err) == 0);
        ASSERT(raft_configuration_eq(&c, &again));
        buf_deinit(&bytes);
    }
    return 0;
}
