/* snapshot.h - the snapshot store: directories as HashiCorp Raft's FileSnapshotStore has them.
 *
 *     <dir>/snapshots/<term>-<index>-<ms>/meta.json    what it is of, size and CRC-64
 *                                         state.bin    what the state machine wrote
 *
 *     raft_snapshots_open(io, dir, &store, &err);
 *     raft_snapshot_create(store, &meta, wall_ms, &sink, &err);
 *     ops->snapshot_write(handle, sink, &err);          raft_snapshot_sink_write() ...
 *     raft_snapshot_close(sink, &meta, &err);  or  raft_snapshot_cancel(sink);
 *
 * A snapshot is written as <name>.tmp, synced, and renamed: one that can be seen is whole. The
 * newest RAFT_SNAPSHOTS_KEPT stay. Reading one checks its CRC; a damaged one is passed over for the
 * one before. A sink is one thread's at a time, the store's list is read by one thread. */
#pragma once
#include "raft/configuration.h"
#include "raft/io.h"

struct raft_snapshots;
struct raft_snapshot_sink;

#define RAFT_SNAPSHOTS_KEPT 2u
#define RAFT_SNAPSHOT_NAME_SIZE_MAX 80u
#define RAFT_SNAPSHOT_META_SIZE_MAX (256u * 1024u)

struct raft_snapshot_meta {
    char id[RAFT_SNAPSHOT_NAME_SIZE_MAX]; /* <term>-<index>-<ms>; set by create */
    uint64_t index, term;                 /* of the last entry it covers */
    struct raft_configuration configuration;
    uint64_t configuration_index;
    uint64_t size; /* of state.bin */
    uint64_t crc;  /* CRC-64 (ECMA) of state.bin */
};

NODISCARD int raft_snapshots_open(struct raft_io *io, const char *dir,
                                  struct raft_snapshots **ret_store, struct err *err);
struct raft_snapshots *raft_snapshots_free(struct raft_snapshots *s);

NODISCARD int raft_snapshot_create(struct raft_snapshots *s, const struct raft_snapshot_meta *meta,
                                   uint64_t wall_ms, struct raft_snapshot_sink **ret_sink,
                                   struct err *err);
NODISCARD int raft_snapshot_sink_write(struct raft_snapshot_sink *sink, struct str bytes,
                                       struct err *err);
/* What takes long about closing it, now: everything written so far is on the disk. */
NODISCARD int raft_snapshot_sink_sync(struct raft_snapshot_sink *sink, struct err *err);
/* What was written, read back and checked; mem_free(ret_bytes->p) when done. */
NODISCARD int raft_snapshot_sink_read(struct raft_snapshot_sink *sink, struct str *ret_bytes,
                                      struct err *err);
/* What it is of was not known when it was created (with index 0). Its id is set. */
NODISCARD int raft_snapshot_sink_settle(struct raft_snapshot_sink *sink,
                                        struct raft_snapshot_meta *meta, struct err *err);
/* Sync, put in place, remove those no longer kept. ret_meta, unless NULL: what it is now. Both free
 * the sink, whatever the result. */
NODISCARD int raft_snapshot_close(struct raft_snapshot_sink *sink,
                                  struct raft_snapshot_meta *ret_meta, struct err *err);
void raft_snapshot_cancel(struct raft_snapshot_sink *sink);

/* The snapshots there are, newest first, at most `max`; returns how many. Those whose metadata
 * cannot be read are left out. */
NODISCARD int raft_snapshots_list(struct raft_snapshots *s, struct raft_snapshot_meta *ret_metas,
                                  size_t max, struct err *err);
/* The whole of state.bin, checked against size and CRC; mem_free(ret_bytes->p) when done. */
NODISCARD int raft_snapshot_read(struct raft_snapshots *s, const struct raft_snapshot_meta *meta,
                                 struct str *ret_bytes, struct err *err);

/* state.bin a piece at a time, unchecked (who receives it checks the whole). A snapshot that is no
 * longer kept can be read to its end. Any thread, one at a time. */
struct raft_snapshot_reader;
NODISCARD int raft_snapshot_reader_open(struct raft_snapshots *s,
                                        const struct raft_snapshot_meta *meta,
                                        struct raft_snapshot_reader **ret_reader, struct err *err);
/* Bytes read: 0 at the end. */
NODISCARD ptrdiff_t raft_snapshot_reader_next(struct raft_snapshot_reader *r, char *to, size_t n,
                                              struct err *err);
struct raft_snapshot_reader *raft_snapshot_reader_free(struct raft_snapshot_reader *r);
/* Remove one that turned out to be of no use; 0: it will not be there after a crash, either. */
int raft_snapshot_remove(struct raft_snapshots *s, const struct raft_snapshot_meta *meta);

/* A sink over memory, for `snapshot save` and tests: bytes go to `to`. */
struct buf;
struct raft_snapshot_sink *raft_snapshot_sink_to_buf(struct buf *to);
struct raft_snapshot_sink *raft_snapshot_sink_free(struct raft_snapshot_sink *sink);

/* meta.json. */
void raft_snapshot_meta_encode(const struct raft_snapshot_meta *m, struct buf *to);
NODISCARD int raft_snapshot_meta_decode(struct str json, struct raft_snapshot_meta *ret,
                                        struct err *err);
/* That of a snapshot archive (`snapshot save`): the same without the CRC. */
void raft_archive_meta_encode(const struct raft_snapshot_meta *m, struct buf *to);
NODISCARD int raft_archive_meta_decode(struct str json, struct raft_snapshot_meta *ret,
                                       struct err *err);
uint64_t raft_crc64(uint64_t crc, const void *p, size_t n); /* start with 0 */
