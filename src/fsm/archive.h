/* archive.h - snapshot archives, as `consul snapshot save` writes and /v1/snapshot sends them: a
 * gzipped tar of meta.json (raft/snapshot.h), state.bin (fsm/snapshot.h) and SHA256SUMS. Both ways
 * in pieces of any size, in constant memory. Pure: the bytes are the caller's to move.
 *
 *     r = archive_reader_new(take_state, data);
 *     while (...) rc = archive_reader_feed(r, bytes, &err);
 *     rc = archive_reader_finish(r, &meta, &err);           // checks the sums
 *     archive_reader_free(r);
 *
 *     w = archive_writer_new(meta, state_size, wall_seconds, put, data);
 *     rc = archive_writer_state(w, bytes); ...              // state_size bytes in all
 *     rc = archive_writer_finish(w);
 *     archive_writer_free(w);
 *
 * The reader takes what Go's archive/tar wrote and refuses names it does not expect. State is
 * handed on before its sum can be checked: do nothing with it that cannot be taken back. */
#pragma once
#include "base/str.h"

struct archive_reader;
struct archive_writer;
struct err;

#define ARCHIVE_META_SIZE_MAX (256u * 1024u)
#define ARCHIVE_SUMS_SIZE_MAX 4096u
#define ARCHIVE_STATE_SIZE_MAX ((UINT64_C(1) << 33) - 1) /* what a tar header can say */
#define ARCHIVE_CHUNK_SIZE (64u * 1024u)

/* Bytes, borrowed for the call; a negative return ends it all with that. */
typedef int (*archive_bytes_fn)(void *data, struct str bytes);

/* `state` is told the content of state.bin; NULL: nobody wants it. */
struct archive_reader *archive_reader_new(archive_bytes_fn state, void *data);
struct archive_reader *archive_reader_free(struct archive_reader *r);
/* err has Consul's words: "failed to decompress snapshot: …". */
NODISCARD int archive_reader_feed(struct archive_reader *r, struct str bytes, struct err *err);
/* No more bytes. meta.json is the reader's. */
NODISCARD int archive_reader_finish(struct archive_reader *r, struct str *ret_meta,
                                    struct err *err);

/* `meta` is copied. Out come pieces of the archive, from each of the calls below. */
struct archive_writer *archive_writer_new(struct str meta, uint64_t state_size,
                                          uint64_t wall_seconds, archive_bytes_fn put, void *data);
struct archive_writer *archive_writer_free(struct archive_writer *w);
/* 0, -ERR_RANGE (more than was announced), or what put() said. */
NODISCARD int archive_writer_state(struct archive_writer *w, struct str bytes);
/* -ERR_RANGE when there was less state than announced. */
NODISCARD int archive_writer_finish(struct archive_writer *w);

/* A tar header (ustar) of a plain file, or of a directory when the name ends in a slash. False: the
 * name or the size does not fit into one. */
#define ARCHIVE_TAR_BLOCK_SIZE 512u
bool archive_tar_header(char ret_block[ARCHIVE_TAR_BLOCK_SIZE], struct str name, unsigned mode,
                        uint64_t size, uint64_t wall_seconds);
