/* log.h - the durable log: append, sync in groups, read back, cut at either end.
 *
 * One thread owns a log. Appending is in four steps, so that another thread may wait for the disk
 * while the owner gathers the next batch:
 *
 *     raft_log_append(log, &entry);                    owner: encode into the open batch
 *     b = raft_log_batch_begin(log);                   owner: close it; one is under way at a time
 *     r = raft_log_batch_write(b, &err);               any thread: one write, one sync
 *     raft_log_batch_end(log, b, r);                   owner: now it is durable (or gone)
 *
 * Entries are numbered without holes. Everything up to raft_log_durable_index() survives a crash;
 * what lies above it may or may not. Format, invariants, recovery and failures: docs/raft-log.md.
 *
 * A batch that failed takes with it all entries above the durable index, and the log refuses to
 * append until raft_log_repair() succeeds. After a failed sync it never does: the kernel may have
 * dropped the bytes and call them clean, so nothing read back may be trusted before a restart. */
#pragma once
#include "base/err.h"
#include "base/str.h"
#include "raft/entry.h"
#include "raft/io.h"

struct raft_log;
struct raft_log_batch;
struct raft_log_removal;

#define RAFT_EXTENSIONS_SIZE_MAX 65535u
#define RAFT_SEGMENT_SIZE (4u * 1024u * 1024u)
/* A batch closes at this size (or after one entry that is larger by itself). */
#define RAFT_BATCH_SIZE_MAX (1024u * 1024u)
#define RAFT_BATCH_COUNT_MAX 8192u
#define RAFT_LOG_CACHE_SIZE_MAX (2u * 1024u * 1024u)

struct raft_log_options {
    struct raft_io *io;    /* outlives the log */
    const char *dir;       /* copied; made when missing */
    uint64_t segment_size; /* 0: RAFT_SEGMENT_SIZE */
    size_t cache_size_max; /* newest entries kept in memory; 0: RAFT_LOG_CACHE_SIZE_MAX */
    uint64_t salt_seed;    /* 0: from the system; else repeatable, for the simulator */
};

/* Open and recover. -ERR_CORRUPT when acknowledged entries are damaged: err then names the file,
 * the offset, and what can be done. */
NODISCARD int raft_log_open(const struct raft_log_options *options, struct raft_log **ret_log,
                            struct err *err);
struct raft_log *raft_log_free(struct raft_log *log); /* no batch, no removal under way */

/* An empty log has first = last + 1. */
uint64_t raft_log_first_index(const struct raft_log *log);
uint64_t raft_log_last_index(const struct raft_log *log);
uint64_t raft_log_durable_index(const struct raft_log *log);
/* 0 when the entry is not in the log. */
uint64_t raft_log_term(const struct raft_log *log, uint64_t index);
/* All terms, as runs; borrowed until the log changes. */
const struct raft_term_run *raft_log_term_runs(const struct raft_log *log, size_t *ret_count);
uint64_t raft_log_size(const struct raft_log *log); /* bytes of entries in all segments */

/* Entry index must be last + 1 and its term not below the last one's. -ERR_TOO_LARGE, -ENOMEM, or
 * the failure the log waits to be repaired from. */
NODISCARD int raft_log_append(struct raft_log *log, const struct raft_entry *entry);
/* NULL when nothing is staged or one is under way. */
struct raft_log_batch *raft_log_batch_begin(struct raft_log *log);
NODISCARD int raft_log_batch_write(struct raft_log_batch *batch, struct err *err);
void raft_log_batch_end(struct raft_log *log, struct raft_log_batch *batch, int result);
uint64_t raft_log_batch_last_index(const struct raft_log_batch *batch);
uint64_t raft_log_batch_count(const struct raft_log_batch *batch);
size_t raft_log_batch_size(const struct raft_log_batch *batch);
/* All four steps at once; for few entries at start. */
NODISCARD int raft_log_append_sync(struct raft_log *log, const struct raft_entry *entry,
                                   struct err *err);
NODISCARD int raft_log_repair(struct raft_log *log, struct err *err);

/* Up to count_max entries from index on, about size_max bytes of data (at least one entry).
 * Borrowed until the next call that takes the log non-const. Returns how many; -ERR_NOT_FOUND when
 * index is outside the log. */
uint64_t raft_log_fit(const struct raft_log *log, uint64_t index, uint64_t count_max,
                      uint64_t size_max,
                      uint64_t *ret_size); /* what a read would return, and its size; 0: nothing */
NODISCARD int raft_log_read(struct raft_log *log, uint64_t index, size_t count_max, size_t size_max,
                            struct raft_entry *ret_entries, struct err *err);

/* Forget whole segments of entries up to `index`, all of which a snapshot covers: the log begins
 * behind them, their files are removed as a batch is written, away from the owner. (A batch may be
 * under way.)
 *
 *     raft_log_compact(log, index);             owner
 *     m = raft_log_removal_begin(log);          owner; NULL: nothing to do, or one is under way
 *     r = raft_log_removal_run(m, &err);        any thread: oldest first, so that a crash leaves a
 *                                               log without a hole, which merely begins earlier
 *     raft_log_removal_end(log, m);             owner; what could not be removed stays for the next
 */
void raft_log_compact(struct raft_log *log, uint64_t index);
struct raft_log_removal *raft_log_removal_begin(struct raft_log *log);
NODISCARD int raft_log_removal_run(struct raft_log_removal *m, struct err *err);
void raft_log_removal_end(struct raft_log *log, struct raft_log_removal *m);

/* These wait for the disk, and need no batch staged or under way. */
/* Remove the entries from `index` on: a leader of a later term has others. */
NODISCARD int raft_log_truncate(struct raft_log *log, uint64_t index, struct err *err);
/* Remove everything; the next entry will be next_index. No removal is under way; one is due then,
 * to give the files' blocks back. */
NODISCARD int raft_log_reset(struct raft_log *log, uint64_t next_index, struct err *err);
