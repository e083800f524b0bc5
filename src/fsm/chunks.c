/* Entries in pieces. A leader of 1.10.3 writes a value whose entry is over 512 KB as several
 * entries, each with a note beside it (in the log's extensions): of which operation it is a piece,
 * and which one of how many. The last to come makes the whole, which is applied at its index.
 *
 * Pieces that are not whole yet are rows of the store, and a part of snapshots. Those of an earlier
 * term never become whole, for their leader is not one any more: they go with the first piece of a
 * new term, as there. Ours proposes entries of any size as one. */
#include "fsm/internal.h"

#include "base/mem.h"
#include "schema/msgpack.h"

/* What stands beside a piece. A protobuf message. */
struct note {
    uint64_t op, sequence, count;
    struct str next; /* of the same kind, about the whole; Consul has none */
};

static uint64_t read_varint(struct cur *c)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cur_u8(c);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    c->failed = true;
    return 0;
}

static int note_read(struct str bytes, struct note *ret, struct err *err)
{
    enum { VARINT = 0, BYTES = 2 };
    struct note n = {0};
    struct cur c = cur_make(bytes);
    while (cur_left(&c) > 0 && !c.failed) {
        uint64_t tag = read_varint(&c);
        uint64_t *number = tag >> 3 == 1   ? &n.op
                           : tag >> 3 == 2 ? &n.sequence
                           : tag >> 3 == 3 ? &n.count
                                           : NULL;
        if (number != NULL && (tag & 7) == VARINT) {
            *number = read_varint(&c);
        } else if (tag >> 3 == 4 && (tag & 7) == BYTES) {
            n.next = cur_take(&c, read_varint(&c));
        } else {
            c.failed = true;
        }
    }
    if (c.failed || n.sequence >= n.count) {
        return err_set(err, ERR_CORRUPT, "error unmarshaling chunk info");
    }
    if (n.count > FSM_CHUNKS_COUNT_MAX) {
        return err_set(err, ERR_UNSUPPORTED, "an entry in %llu chunks, more than %u",
                       (unsigned long long)n.count, FSM_CHUNKS_COUNT_MAX);
    }
    if (n.next.n > 0) {
        return err_set(err, ERR_UNSUPPORTED, "chunks of chunks are not supported");
    }
    *ret = n;
    return 0;
}

static struct str op_key(uint64_t op, struct buf *to)
{
    buf_clear(to);
    buf_be64(to, op);
    return buf_view(to);
}

static void rows_delete(struct store_txn *tx, struct str prefix)
{
    const struct chunk_row *row;
    struct buf key = {0};
    while ((row = store_first(store_txn_view(tx), INDEX_CHUNKS_ID, prefix)) != NULL) {
        (void)op_key(row->op, &key);
        buf_be32(&key, row->sequence);
        (void)store_delete(tx, TABLE_CHUNKS, buf_view(&key));
    }
    buf_deinit(&key);
}

static void row_insert(struct store_txn *tx, const struct note *n, uint64_t term, struct str data)
{
    struct chunk_row *row = xmalloc(sizeof(*row) + data.n);
    if (data.n > 0) {
        memcpy(row + 1, data.p, data.n);
    }
    *row = (struct chunk_row){.op = n->op,
                              .sequence = (uint32_t)n->sequence,
                              .count = (uint32_t)n->count,
                              .term = term,
                              .data = str_make(row + 1, data.n)};
    store_insert(tx, TABLE_CHUNKS, row);
}

/* The whole into *ret when all of it is there: 1; else 0. */
static int whole_make(struct store_txn *tx, const struct note *n, struct arena *a, struct str *ret,
                      struct err *err)
{
    struct buf key = {0};
    struct str prefix = op_key(n->op, &key);
    struct tree_iter it;
    const struct chunk_row *row;
    uint64_t found = 0, size = 0;
    bool is_same_count = true;
    store_iter(&it, store_txn_view(tx), INDEX_CHUNKS_ID, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        found += row->data.n > 0;
        size += row->data.n;
        is_same_count &= row->count == n->count;
    }
    int r = 0;
    if (!is_same_count) {
        r = err_set(err, ERR_CORRUPT, "chunks of one operation differ in their number");
    } else if (size > FSM_CHUNKS_SIZE_MAX) {
        r = err_set(err, ERR_UNSUPPORTED, "chunks of %llu bytes, more than %u",
                    (unsigned long long)size, FSM_CHUNKS_SIZE_MAX);
    } else if (found == n->count) {
        char *bytes = arena_alloc(a, size);
        *ret = str_make(bytes, size);
        store_iter(&it, store_txn_view(tx), INDEX_CHUNKS_ID, prefix);
        while ((row = tree_next(&it, NULL)) != NULL) {
            memcpy(bytes, row->data.p, row->data.n);
            bytes += row->data.n;
        }
        rows_delete(tx, prefix);
        r = 1;
    }
    buf_deinit(&key);
    return r;
}

int chunk_take(struct store_txn *tx, uint64_t term, struct str data, struct str extensions,
               struct arena *a, struct str *ret_whole, struct err *err)
{
    struct note n;
    int r = note_read(extensions, &n, err);
    if (r < 0) {
        return r;
    }
    const struct chunk_row *any = store_first(store_txn_view(tx), INDEX_CHUNKS_ID, STR_NULL);
    if (any != NULL && any->term != term) {
        rows_delete(tx, STR_NULL);
    }
    row_insert(tx, &n, term, data);
    return whole_make(tx, &n, a, ret_whole, err);
}

/* --- snapshots ------------------------------------------------------------------------------ */

/* One record, also when there is nothing: a map of operations to lists of pieces, nil where one is
 * missing. */
int snapshot_write_chunks(struct snapshot_out *out, const struct store_view *v)
{
    struct tree_iter it;
    const struct chunk_row *row;
    uint64_t ops = 0, op = 0;
    store_iter(&it, v, INDEX_CHUNKS_ID, STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        ops += ops == 0 || row->op != op;
        op = row->op;
    }
    struct buf *to = snapshot_record(out, FSM_CHUNKING_STATE);
    msgpack_map(to, 1);
    msgpack_raw(to, STR("ChunkMap"));
    msgpack_map(to, ops);
    uint32_t next = 0, count = 0; /* of the list being written */
    store_iter(&it, v, INDEX_CHUNKS_ID, STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        if (count == 0 || row->op != op) {
            for (; next < count; next++) {
                msgpack_nil(to);
            }
            msgpack_u64(to, row->op);
            msgpack_array(to, row->count);
            op = row->op;
            count = row->count;
            next = 0;
        }
        for (; next < row->sequence; next++) {
            msgpack_nil(to);
        }
        next++;
        msgpack_map(to, 5);
        msgpack_raw(to, STR("Data"));
        msgpack_raw(to, row->data);
        msgpack_raw(to, STR("NumChunks"));
        msgpack_u64(to, row->count);
        msgpack_raw(to, STR("OpNum"));
        msgpack_u64(to, row->op);
        msgpack_raw(to, STR("SequenceNum"));
        msgpack_u64(to, row->sequence);
        msgpack_raw(to, STR("Term"));
        msgpack_u64(to, row->term);
    }
    for (; next < count; next++) {
        msgpack_nil(to);
    }
    return 0;
}

static int read_piece(struct snapshot_in *in)
{
    struct note n = {0};
    uint64_t term = 0;
    struct str data = STR_NULL;
    size_t fields = msgpack_read_map(in->body);
    for (size_t i = 0; i < fields && !in->body->failed; i++) {
        struct str key = msgpack_read_raw(in->body);
        if (str_eq_lit(key, "Data")) {
            data = msgpack_read_raw(in->body);
        } else if (str_eq_lit(key, "NumChunks")) {
            n.count = msgpack_read_u64(in->body);
        } else if (str_eq_lit(key, "OpNum")) {
            n.op = msgpack_read_u64(in->body);
        } else if (str_eq_lit(key, "SequenceNum")) {
            n.sequence = msgpack_read_u64(in->body);
        } else if (str_eq_lit(key, "Term")) {
            term = msgpack_read_u64(in->body);
        } else if (msgpack_skip(in->body) < 0) {
            break;
        }
    }
    if (in->body->failed || n.count > FSM_CHUNKS_COUNT_MAX || n.sequence >= n.count) {
        return err_set(in->err, ERR_CORRUPT, "chunk is malformed");
    }
    row_insert(in->tx, &n, term, data);
    return 0;
}

static int read_pieces(struct snapshot_in *in)
{
    size_t ops = msgpack_read_map(in->body);
    for (size_t i = 0; i < ops && !in->body->failed; i++) {
        (void)msgpack_read_u64(in->body); /* the pieces say it, too */
        size_t count = msgpack_read_array(in->body);
        for (size_t k = 0; k < count && !in->body->failed; k++) {
            bool is_missing = msgpack_peek(in->body) == MSGPACK_NIL;
            int r = is_missing ? msgpack_skip(in->body) : read_piece(in);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

int snapshot_read_chunks(struct snapshot_in *in)
{
    size_t fields = msgpack_read_map(in->body);
    int r = 0;
    for (size_t i = 0; i < fields && r == 0 && !in->body->failed; i++) {
        bool is_map = str_eq_lit(msgpack_read_raw(in->body), "ChunkMap") &&
                      msgpack_peek(in->body) != MSGPACK_NIL;
        r = is_map ? read_pieces(in) : msgpack_skip(in->body);
    }
    return r < 0 || in->body->failed ? err_set(in->err, ERR_CORRUPT, "chunks are malformed") : 0;
}
