/* snapshot.h - the whole state as a stream of bytes, in Consul's format (the state.bin of a
 * snapshot archive, and what Raft keeps and installs).
 *
 * A header (msgpack map with LastIndex), then records: a message type byte and the msgpack of one
 * thing. Records of types whose tables are still to come are kept as they are (TABLE_OPAQUE) and
 * written again in their place.
 *
 *     r = snapshot_write(view, write_chunk, file, &err);      // view: pinned, see epoch.h
 *     r = snapshot_restore(store, bytes, &err);
 *
 * Writing needs constant memory whatever the size, from a view that does not change: any thread may
 * do it while the writer goes on. So may snapshot_load(), which makes a store of its own, for
 * store_adopt(). Restoring is both, on the writer thread: when the bytes are not well-formed
 * nothing is changed. */
#pragma once
#include "base/str.h"

struct err;
struct store;
struct store_view;

/* Chunks of about SNAPSHOT_CHUNK_SIZE; a negative return ends the writing with it. */
typedef int (*snapshot_sink_fn)(void *data, struct str chunk);
#define SNAPSHOT_CHUNK_SIZE ((size_t)64 * 1024)

NODISCARD int snapshot_write(const struct store_view *v, snapshot_sink_fn sink, void *data,
                             struct err *err);
NODISCARD int snapshot_load(struct str bytes, struct store **ret_store, struct err *err);
NODISCARD int snapshot_restore(struct store *store, struct str bytes, struct err *err);
/* The LastIndex of the header. */
NODISCARD int snapshot_last_index(struct str bytes, uint64_t *ret_index, struct err *err);
