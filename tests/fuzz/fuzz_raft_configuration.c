/* Configuration entries and snapshot metadata, which come from other servers and from files that
 * people edit: what is accepted comes back the same. */
#include "raft/configuration.h"
#include "raft/snapshot.h"

#include "base/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_make(data, size);
    struct err err = {0};
    struct buf b = {0};
    static struct raft_configuration c, again;
    if (raft_configuration_decode(bytes, &c, &err) == 0) {
        raft_configuration_encode(&c, &b);
        ASSERT(raft_configuration_decode(buf_view(&b), &again, &err) == 0);
        ASSERT(raft_configuration_eq(&c, &again));
        int checked = raft_configuration_check(&c, &err); /* either is fine, a crash is not */
        (void)checked;
    }
    static struct raft_snapshot_meta m, m_again;
    if (raft_snapshot_meta_decode(bytes, &m, &err) == 0) {
        buf_clear(&b);
        raft_snapshot_meta_encode(&m, &b);
        if (raft_snapshot_meta_decode(buf_view(&b), &m_again, &err) == 0) { /* not if U+FFFD grew */
            ASSERT(m.index == m_again.index && m.crc == m_again.crc && m.size == m_again.size);
        }
    }
    buf_deinit(&b);
    return 0;
}
