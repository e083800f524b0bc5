/* sim_io.h - file operations in memory that know what a disk would hold after a crash.
 *
 * Bytes are durable after sync of their file, names after dir_sync. sim_io_crash() keeps what was
 * durable, and of the rest what its generator likes: any of the 512-byte sectors of a write, a
 * prefix of the changes of names and sizes. Calls that change something are counted; the nth may
 * fail, once or for good. The table's calls lock; the functions here want every user stopped. */
#pragma once
#include "base/rand.h"
#include "base/vec.h"
#include "raft/io.h"

#include <pthread.h>

struct sim_write { /* not synced yet */
    uint64_t offset;
    char *bytes;
    size_t n;
    bool is_size; /* a change of size to `offset` instead */
};

struct sim_file {
    char *bytes, *durable;
    uint64_t size, durable_size;
    VEC(struct sim_write) writes;
};

struct sim_name {
    char *path;
    int file;
};

struct sim_name_op { /* path now is file, or nothing (-1) */
    char *path;
    int file;
    bool more; /* one change with the next */
};

struct sim_io {
    struct raft_io io;
    pthread_mutex_t lock;
    struct rng rng;
    VEC(struct sim_file *) files;
    VEC(struct sim_name) names, durable_names;
    VEC(struct sim_name_op) name_ops;
    VEC(int) handles; /* file, or -1 when closed */
    uint64_t ops, syncs, writes;
    _Atomic uint64_t allocates;
    uint64_t fail_at;              /* the op of this number fails; 0: none */
    int fail_error;                /* errno, positive */
    bool fail_stays;               /* so do all after it: the machine has died */
    bool is_full;                  /* nothing can be made, written or made larger */
    bool failed;                   /* it happened */
    void (*sync_hook)(void *data); /* called before each sync of a file, unlocked */
    void *hook_data;
};

struct sim_io *sim_io_new(uint64_t seed);
struct sim_io *sim_io_free(struct sim_io *s);
/* Lose what was not durable, close every handle, fail no more. */
void sim_io_crash(struct sim_io *s);
/* A file's current bytes, to look at or to damage (durable ones as well); NULL when missing. */
struct sim_file *sim_io_file(struct sim_io *s, const char *path);
void sim_io_flip(struct sim_file *f, uint64_t offset, char mask);
/* Everything present is durable. */
void sim_io_settle(struct sim_io *s);
