#include "raft/stable.h"

#include "base/encode.h"
#include "base/mem.h"

#include <errno.h>

#define STABLE_NAME "state"
#define STABLE_MAGIC "ccvote\0\1"
#define SLOT_SIZE 512u
#define SLOT_STRIDE 4096u /* so that no sector or page is shared */
#define STABLE_SIZE (SLOT_STRIDE + SLOT_SIZE)

/* Slot: magic 8, sequence 8, term 8, commit 8, vote (NUL-padded) 128, zeros, crc32c at 508. */
enum slot_offset {
    SLOT_SEQUENCE = 8,
    SLOT_TERM = 16,
    SLOT_COMMIT = 24,
    SLOT_VOTE = 32,
    SLOT_CRC = 508,
};

struct raft_stable {
    struct raft_io *io;
    char *dir;
    int file;          /* -1: not made yet */
    bool broken;       /* a sync failed: the file may say anything until read anew */
    uint64_t sequence; /* of the newest good slot */
    struct raft_stable_state state;
};

static void slot_put(char to[SLOT_SIZE], uint64_t sequence, const struct raft_stable_state *state)
{
    memset(to, 0, SLOT_SIZE);
    memcpy(to, STABLE_MAGIC, 8);
    put_le64(to + SLOT_SEQUENCE, sequence);
    put_le64(to + SLOT_TERM, state->term);
    put_le64(to + SLOT_COMMIT, state->commit_index);
    memcpy(to + SLOT_VOTE, state->voted_for, sizeof(state->voted_for));
    put_le32(to + SLOT_CRC, crc32c(0, to, SLOT_CRC));
}

static bool slot_get(const char *from, uint64_t *ret_sequence, struct raft_stable_state *ret_state)
{
    if (memcmp(from, STABLE_MAGIC, 8) != 0 ||
        get_le32(from + SLOT_CRC) != crc32c(0, from, SLOT_CRC)) {
        return false;
    }
    *ret_sequence = get_le64(from + SLOT_SEQUENCE);
    ret_state->term = get_le64(from + SLOT_TERM);
    ret_state->commit_index = get_le64(from + SLOT_COMMIT);
    memcpy(ret_state->voted_for, from + SLOT_VOTE, sizeof(ret_state->voted_for));
    ret_state->voted_for[RAFT_NAME_SIZE_MAX] = '\0';
    return true;
}

static int stable_fail(struct err *err, int r, const char *what, const char *path)
{
    return err_set(err, -r, "raft state: cannot %s %s: %s", what, path, err_code_text(-r));
}

int raft_stable_open(struct raft_io *io, const char *dir, struct raft_stable **ret_stable,
                     struct err *err)
{
    char path[RAFT_PATH_SIZE_MAX];
    int r = raft_io_path(path, dir, STABLE_NAME);
    if (r < 0) {
        return stable_fail(err, r, "name the file in", dir);
    }
    int file = io->ops->open(io, path, RAFT_IO_WRITE);
    if (file < 0 && file != -ENOENT) {
        return stable_fail(err, file, "open", path);
    }
    struct raft_stable *s = xcalloc(1, sizeof(*s));
    s->io = io;
    s->dir = xmemdup(dir, strlen(dir) + 1);
    s->file = file < 0 ? -1 : file;
    if (file >= 0) {
        (void)io->ops->allocate(io, file, STABLE_SIZE); /* a full disk shows at the next write */
        char bytes[STABLE_SIZE] = {0};
        ptrdiff_t n = io->ops->pread(io, file, bytes, sizeof(bytes), 0);
        uint64_t sequence[2] = {0};
        struct raft_stable_state state[2] = {0};
        bool good[2] = {slot_get(bytes, &sequence[0], &state[0]),
                        slot_get(bytes + SLOT_STRIDE, &sequence[1], &state[1])};
        if (n < 0 || (!good[0] && !good[1])) {
            raft_stable_free(s);
            return n < 0 ? stable_fail(err, (int)n, "read", path)
                         : err_set(err, ERR_CORRUPT,
                                   "raft state: %s is damaged: this server's term and vote are "
                                   "lost. If it has peers, remove its data directory and let it "
                                   "join them again; if it is alone, remove this file",
                                   path);
        }
        int newest = good[1] && (!good[0] || sequence[1] > sequence[0]);
        s->sequence = sequence[newest];
        s->state = state[newest];
    }
    *ret_stable = s;
    return 0;
}

struct raft_stable *raft_stable_free(struct raft_stable *s)
{
    if (s == NULL) {
        return NULL;
    }
    if (s->file >= 0) {
        s->io->ops->close(s->io, s->file);
    }
    mem_free(s->dir);
    return mem_free(s);
}

const struct raft_stable_state *raft_stable_get(const struct raft_stable *s)
{
    return &s->state;
}

/* The first time: under another name, so that a file that can be seen has a good slot. With room
 * for both, so that no later vote needs any. */
static int stable_make(struct raft_stable *s, char slot[SLOT_SIZE], uint64_t offset,
                       const char *path, struct err *err)
{
    struct raft_io *io = s->io;
    char tmp[RAFT_PATH_SIZE_MAX];
    int r = raft_io_path(tmp, s->dir, STABLE_NAME ".tmp");
    int file = r < 0 ? r : io->ops->open(io, tmp, RAFT_IO_CREATE);
    if (file < 0) {
        return stable_fail(err, file, "create", tmp);
    }
    struct iovec iov = {slot, SLOT_SIZE};
    r = io->ops->allocate(io, file, STABLE_SIZE);
    r = r < 0 ? r : io->ops->pwritev(io, file, &iov, 1, offset);
    r = r < 0 ? r : io->ops->sync(io, file);
    r = r < 0 ? r : io->ops->rename(io, tmp, path);
    r = r < 0 ? r : io->ops->dir_sync(io, s->dir);
    if (r < 0) {
        io->ops->close(io, file);
        return stable_fail(err, r, "write", path);
    }
    s->file = file;
    return 0;
}

int raft_stable_set(struct raft_stable *s, const struct raft_stable_state *state, struct err *err)
{
    if (s->state.term == state->term && s->state.commit_index == state->commit_index &&
        strcmp(s->state.voted_for, state->voted_for) == 0) {
        return 0;
    }
    char path[RAFT_PATH_SIZE_MAX], slot[SLOT_SIZE];
    int r = raft_io_path(path, s->dir, STABLE_NAME);
    if (r < 0) {
        return stable_fail(err, r, "name the file in", s->dir);
    }
    if (s->broken) {
        return err_set(err, ERR_FAILED, "raft state: a sync of %s failed; restart this server",
                       path);
    }
    uint64_t sequence = s->sequence + 1;
    uint64_t offset = sequence % 2 * SLOT_STRIDE;
    slot_put(slot, sequence, state);
    if (s->file < 0) {
        r = stable_make(s, slot, offset, path, err);
    } else {
        struct iovec iov = {slot, SLOT_SIZE};
        r = s->io->ops->pwritev(s->io, s->file, &iov, 1, offset);
        if (r == 0) {
            r = s->io->ops->sync(s->io, s->file);
            s->broken = r < 0;
        }
        if (r < 0) {
            r = stable_fail(err, r, "write", path);
        }
    }
    if (r == 0) {
        s->sequence = sequence;
        s->state = *state;
    }
    return r;
}
