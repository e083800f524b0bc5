/* io.h - the file operations of the log and the snapshot store, as a table.
 *
 *     struct raft_io *io = raft_io_posix();          the machine's files
 *     struct raft_io *io = raft_io_memory_new();     -dev: nothing reaches a disk
 *
 * Tests and the simulator bring tables of their own, which tear and lose writes, fill the disk or
 * fail the nth call. Every call returns 0 (or a count, or a handle) or a negated errno, and is
 * complete: a short write is retried below or is an error, never a result.
 *
 * A name is durable only after dir_sync() of its directory; bytes only after sync() of the file.
 * The functions may be called from several threads at once; one handle is written by one thread at
 * a time. */
#pragma once
#include "base/str.h"

#include <sys/uio.h>

struct raft_io;

#define RAFT_PATH_SIZE_MAX 4096u

enum raft_io_open {
    RAFT_IO_READ = 0,
    RAFT_IO_WRITE = 1,  /* and read */
    RAFT_IO_CREATE = 3, /* make it, or empty it when it is there; write */
};

struct raft_io_ops {
    int (*open)(struct raft_io *io, const char *path, enum raft_io_open how); /* a handle >= 0 */
    void (*close)(struct raft_io *io, int file);
    int (*size)(struct raft_io *io, int file, uint64_t *ret_size);
    /* Bytes read: fewer than n only at the end of the file. */
    ptrdiff_t (*pread)(struct raft_io *io, int file, void *to, size_t n, uint64_t offset);
    /* All of it. The array is used up. */
    int (*pwritev)(struct raft_io *io, int file, struct iovec *iov, int count, uint64_t offset);
    int (*allocate)(struct raft_io *io, int file,
                    uint64_t size); /* zeros up to size; keeps bytes */
    int (*truncate)(struct raft_io *io, int file, uint64_t size);
    int (*sync)(struct raft_io *io, int file); /* fdatasync */
    int (*rename)(struct raft_io *io, const char *from, const char *to);
    int (*remove)(struct raft_io *io, const char *path);   /* a file or an empty directory */
    int (*dir_make)(struct raft_io *io, const char *path); /* with parents; 0 when it is there */
    int (*dir_sync)(struct raft_io *io, const char *path);
    /* Names without "." and "..", in no order; stops when fn gives non-zero, which is returned. */
    int (*dir_list)(struct raft_io *io, const char *path,
                    int (*fn)(void *data, const char *name, bool is_dir), void *data);
    struct raft_io *(*free)(struct raft_io *io);
};

struct raft_io {
    const struct raft_io_ops *ops;
};

struct raft_io *raft_io_posix(void); /* one for all; free does nothing */
struct raft_io *raft_io_memory_new(void);
struct raft_io *raft_io_free(struct raft_io *io);

/* "dir/name" into a buffer of RAFT_PATH_SIZE_MAX; -ENAMETOOLONG when it does not fit. */
NODISCARD int raft_io_path(char to[RAFT_PATH_SIZE_MAX], const char *dir, const char *name);
/* A whole small file into memory of the caller: fails with -ERR_TOO_LARGE past `max`. */
struct buf;
NODISCARD int raft_io_read_file(struct raft_io *io, const char *path, size_t max, struct buf *to);
/* Remove a directory of files (one level, as snapshots have) and itself. */
int raft_io_remove_dir(struct raft_io *io, const char *path);
