/* wire_stream.h - the requests of a connection, out of its bytes, however they are cut.
 *
 *     raft_wire_stream_put(&s, bytes);                               // what was read, any amount
 *     while ((r = raft_wire_stream_next(&s, &arena, &request, &err)) > 0) { ... }
 *
 * Behind an InstallSnapshot request stand the snapshot's bytes: as long as snapshot_left is not 0,
 * raft_wire_stream_snapshot() gives them and raft_wire_stream_consume() goes on; then the next
 * request follows.
 *
 * What a request borrows lives until the next call. It keeps what was put and not used yet, so the
 * caller decides how much that may be: a request's size is bounded here (RAFT_WIRE_SIZE_MAX), and
 * no memory is taken for bytes that have not come. After an error it is of no more use. Pure. */
#pragma once
#include "raft/wire.h"

#define RAFT_WIRE_STREAM_SLACK (1024u * 1024u) /* more than one message may be put */

struct raft_wire_stream {
    struct buf in;
    size_t used; /* of in: done with */
    struct msgpack_scan scan;
    bool is_scanning;
    uint64_t snapshot_left;
};

void raft_wire_stream_init(struct raft_wire_stream *s);
void raft_wire_stream_deinit(struct raft_wire_stream *s);

NODISCARD int raft_wire_stream_put(struct raft_wire_stream *s, struct str bytes);
/* 1: a request; 0: more bytes are needed, or those of a snapshot stand first; negative: not raft.
 */
NODISCARD int raft_wire_stream_next(struct raft_wire_stream *s, struct arena *a,
                                    struct raft_wire_request *ret, struct err *err);

/* The bytes of the snapshot that are here, at most size_max. */
struct str raft_wire_stream_snapshot(const struct raft_wire_stream *s, size_t size_max);
/* Done with the first n of them. */
void raft_wire_stream_consume(struct raft_wire_stream *s, size_t n);

/* Bytes that wait. */
static inline size_t raft_wire_stream_size(const struct raft_wire_stream *s)
{
    return s->in.n - s->used;
}
