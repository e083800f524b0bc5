/* log_internal.h - the insides of a log that log.c, log_recover.c and log_removal.c share. */
#pragma once
#include "base/rand.h"
#include "base/vec.h"
#include "raft/log.h"
#include "raft/log_format.h"

struct segment {
    uint64_t first_index; /* also its file's name */
    uint64_t salt;
    uint64_t end;          /* where the next record goes */
    uint64_t size;         /* allocated */
    int file;              /* -1 until made */
    bool is_unlinked;      /* forgotten, and only open still */
    VEC(uint32_t) offsets; /* of entries first_index + i */
};

/* Encoded entries in memory: what is staged, under way, and then the cache. */
struct block {
    uint64_t first_index;
    size_t n, cap;
    VEC(uint32_t) offsets;
    char *bytes;
};

#define BLOCK_SIZE_MIN (32u * 1024u)

struct slice {
    struct block *block;
    size_t from, to;
};

struct raft_log_batch {
    struct raft_log *log;
    struct segment *segment;
    uint64_t first_index, count, offset;
    size_t size;
    bool make_segment;
    bool sync_failed;
    VEC(struct slice) slices;
};

/* Segments that are not the log's any more, oldest first, whose files are still there, or open. */
struct raft_log_removal {
    struct raft_log *log;
    VEC(struct segment *) segments;
};

struct raft_log {
    struct raft_io *io;
    char *dir;
    uint64_t segment_size;
    size_t cache_size_max;
    struct rng rng;

    uint64_t first_index, last_index, durable_index;
    VEC(struct segment *) segments;
    VEC(struct raft_term_run) terms;

    VEC(struct block *) blocks; /* contiguous, up to last_index */
    size_t blocks_size;
    struct block *spare;

    struct raft_log_batch staged, writing;
    bool is_writing;
    int failed;      /* negative: no appends until repaired */
    bool broken;     /* a sync failed: not repaired before a restart */
    bool is_emptied; /* by a reset that has failed on the way, and has to be done to its end */

    struct raft_log_removal forgotten, removing; /* those of forgotten are the newer */
    bool is_removing;

    struct buf read; /* for entries that have left the cache */
};

int log_io_fail_(struct err *err, int r, const char *what, const char *path);
void segment_free_(struct raft_log *log, struct segment *s);
int segment_path_(const struct raft_log *log, uint64_t first_index, const char *suffix,
                  char to[RAFT_PATH_SIZE_MAX]);
void log_term_note_(struct raft_log *log, uint64_t index, uint64_t term);
/* log_removal.c */
/* Remove the file of segment i, and it from the table. is_synced: and sync the directory, so that
 * no later removal reaches the disk before this one. */
NODISCARD int segment_remove_(struct raft_log *log, size_t i, bool is_synced, struct err *err);
/* The oldest is not the log's any more. */
void segment_forget_(struct raft_log *log);
/* All of them, with those that are forgotten. Their files are open until the next removal. */
NODISCARD int segments_remove_(struct raft_log *log, struct err *err);
void log_removal_free_(struct raft_log *log);
/* In the directory while segments are removed in any order: at start all of them go. */
#define RESET_MARK "reset"
NODISCARD int raft_log_mark_remove_(struct raft_log *log, struct err *err);
NODISCARD int raft_log_recover_(struct raft_log *log, struct err *err);
