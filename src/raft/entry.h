/* entry.h - an entry of the log, as the log, the core and the transport hand it on. */
#pragma once
#include "raft/raft.h"

struct raft_entry {
    uint64_t index, term;
    enum raft_entry_type type;
    int64_t appended_ns; /* wall clock of the leader that made it; 0: unknown. Only informs. */
    struct str data;
    struct str extensions; /* of Consul's chunked entries; usually empty */
};

/* Entries from first_index on are of this term, up to the next run. */
struct raft_term_run {
    uint64_t first_index, term;
};
