/* stable.h - the little a server must never forget: its term, its vote in it, and a lower bound of
 * what was committed. One small file of two slots, written in turn; see docs/raft-log.md.
 *
 *     raft_stable_open(io, dir, &stable, &err);
 *     state = *raft_stable_get(stable); state.term++; ...
 *     raft_stable_set(stable, &state, &err);     synced when it returns 0
 *
 * One thread at a time. */
#pragma once
#include "raft/configuration.h"
#include "raft/io.h"

struct raft_stable;

struct raft_stable_state {
    uint64_t term;
    uint64_t commit_index; /* written now and then; recovery must find at least this much */
    char voted_for[RAFT_NAME_SIZE_MAX + 1]; /* id, or the candidate's address; "" for nobody */
};

/* A missing file is the state of zeros. -ERR_CORRUPT when there is a file and neither slot is
 * good. dir must exist. */
NODISCARD int raft_stable_open(struct raft_io *io, const char *dir, struct raft_stable **ret_stable,
                               struct err *err);
struct raft_stable *raft_stable_free(struct raft_stable *s);
const struct raft_stable_state *raft_stable_get(const struct raft_stable *s);
/* On failure the state is as before, and what the file says is one of the two. */
NODISCARD int raft_stable_set(struct raft_stable *s, const struct raft_stable_state *state,
                              struct err *err);
