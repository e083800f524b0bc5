/* Recovery of a log from arbitrary bytes. The first byte says which: the rest is a segment file as
 * it stands, or a list of (offset, mask) to spoil a good log with. Whatever opens can be read from
 * end to end, appended to, and opened again with the same entries. */
#include "raft/log.h"

#include "base/buf.h"
#include "base/encode.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEGMENT "dir/00000000000000000001.seg"
#define SEGMENT_SIZE 4096u

static struct raft_log *log_open(struct raft_io *io)
{
    struct raft_log_options o = {
        .io = io, .dir = "dir", .segment_size = SEGMENT_SIZE, .cache_size_max = 1, .salt_seed = 7};
    struct raft_log *log = NULL;
    struct err err = {0};
    return raft_log_open(&o, &log, &err) == 0 ? log : NULL;
}

static void append(struct raft_log *log, uint64_t term)
{
    struct raft_entry e = {.index = raft_log_last_index(log) + 1,
                           .term = term,
                           .type = RAFT_ENTRY_COMMAND,
                           .data = STR("some data of an entry")};
    ASSERT(raft_log_append(log, &e) == 0);
}

static void flush(struct raft_log *log)
{
    struct raft_log_batch *b;
    while ((b = raft_log_batch_begin(log)) != NULL) {
        int r = raft_log_batch_write(b, NULL);
        raft_log_batch_end(log, b, r);
        ASSERT(r == 0);
    }
}

static void make_good(struct raft_io *io)
{
    struct raft_log *log = log_open(io);
    ASSERT(log != NULL);
    for (uint64_t term = 1; term <= 3; term++) {
        for (int i = 0; i < 3; i++) {
            append(log, term);
        }
        flush(log);
    }
    raft_log_free(log);
}

static uint64_t read_all(struct raft_log *log)
{
    uint64_t hash = 0;
    struct raft_entry entries[8];
    for (uint64_t index = raft_log_first_index(log); index <= raft_log_last_index(log);) {
        int n = raft_log_read(log, index, ARRAY_SIZE(entries), 1000, entries, NULL);
        ASSERT(n > 0);
        for (int i = 0; i < n; i++, index++) {
            ASSERT(entries[i].index == index && raft_log_term(log, index) == entries[i].term);
            hash = hash * 31 + fnv1a64(entries[i].data) + entries[i].term;
        }
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1u << 16) {
        return 0;
    }
    struct raft_io *io = raft_io_memory_new();
    struct iovec iov;
    if (data[0] % 2 == 0) {
        int file = io->ops->open(io, SEGMENT, RAFT_IO_CREATE);
        iov = (struct iovec){(void *)(data + 1), size - 1};
        ASSERT(io->ops->pwritev(io, file, &iov, 1, 0) == 0);
        io->ops->close(io, file);
    } else {
        make_good(io);
        int file = io->ops->open(io, SEGMENT, RAFT_IO_WRITE);
        for (size_t at = 1; at + 3 <= size; at += 3) {
            uint64_t offset = get_be16(data + at) % SEGMENT_SIZE;
            char byte = 0;
            (void)io->ops->pread(io, file, &byte, 1, offset);
            byte = (char)(byte ^ data[at + 2]);
            iov = (struct iovec){&byte, 1};
            ASSERT(io->ops->pwritev(io, file, &iov, 1, offset) == 0);
        }
        io->ops->close(io, file);
    }
    struct raft_log *log = log_open(io);
    if (log != NULL) {
        uint64_t last = raft_log_last_index(log);
        (void)read_all(log);
        if (last < UINT64_MAX - 2) {
            append(log, MAX(raft_log_term(log, last), (uint64_t)1));
            flush(log);
        }
        uint64_t hash = read_all(log);
        uint64_t after = raft_log_last_index(log);
        raft_log_free(log);
        log = log_open(io);
        ASSERT(log != NULL && raft_log_last_index(log) == after && read_all(log) == hash);
        raft_log_free(log);
    }
    raft_io_free(io);
    return 0;
}
