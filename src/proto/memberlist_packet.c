/* The layers of a datagram. */
#include <zlib.h>

#include "base/arena.h"
#include "proto/gossip_fields.h"
#include "proto/lzw.h"
#include "proto/memberlist_priv.h"

#define ALGORITHM_LZW 0u

struct compressed {
    uint32_t algorithm;
    struct str bytes;
};

#define T struct compressed
static const struct gossip_field compressed_fields[] = {
    GOSSIP_UINT(T, algorithm, "Algo", UINT8_MAX, 0),
    GOSSIP_RAW(T, bytes, "Buf", SIZE_MAX),
};
#undef T

int memberlist_decompress(struct str s, size_t size_max, struct arena *a, struct str *ret,
                          struct err *err)
{
    struct compressed m = {0};
    struct cur c = cur_make(s);
    int r = gossip_fields_read(&c, compressed_fields, ARRAY_SIZE(compressed_fields), &m, NULL,
                               "compressed message", err);
    if (r < 0) {
        return r;
    }
    if (m.algorithm != ALGORITHM_LZW) {
        return err_set(err, ERR_UNSUPPORTED, "Cannot decompress unknown algorithm %u", m.algorithm);
    }
    return lzw_decompress_arena(m.bytes, size_max, a, ret, err);
}

/* --- reading --------------------------------------------------------------------------------- */

struct opening {
    struct arena *a;
    struct memberlist_parts *parts;
    size_t plain_left; /* what may still be decompressed */
};

static int layer_open(struct opening *o, struct str bytes, unsigned depth, struct err *err);

static int compound_open(struct opening *o, struct str body, unsigned depth, struct err *err)
{
    struct cur c = cur_make(body);
    size_t count = cur_u8(&c);
    if (c.failed) {
        return err_set(err, ERR_INVALID, "missing compound length byte");
    }
    struct cur sizes = cur_make(cur_take(&c, count * 2));
    if (c.failed) {
        return err_set(err, ERR_INVALID, "truncated len slice");
    }
    for (size_t i = 0; i < count; i++) {
        struct str part = cur_take(&c, cur_be16(&sizes));
        if (c.failed) {
            o->parts->truncated += count - i;
            return 0;
        }
        int r = layer_open(o, part, depth, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int compressed_open(struct opening *o, struct str body, unsigned depth, struct err *err)
{
    struct str plain;
    int r = memberlist_decompress(body, o->plain_left, o->a, &plain, err);
    if (r < 0) {
        return r;
    }
    o->plain_left -= plain.n;
    return layer_open(o, plain, depth, err);
}

static int part_add(struct memberlist_parts *parts, enum memberlist_type type, struct str body,
                    struct err *err)
{
    if (parts->count == MEMBERLIST_PARTS_MAX) {
        return err_set(err, ERR_TOO_LARGE, "more than %u messages in a datagram",
                       MEMBERLIST_PARTS_MAX);
    }
    parts->v[parts->count++] = (struct memberlist_part){type, body};
    return 0;
}

static int layer_open(struct opening *o, struct str bytes, unsigned depth, struct err *err)
{
    if (bytes.n == 0) {
        return err_set(err, ERR_INVALID, "missing message type byte");
    }
    uint8_t type = (uint8_t)bytes.p[0];
    struct str body = str_from(bytes, 1);
    switch (type) {
    case MEMBERLIST_COMPOUND:
    case MEMBERLIST_COMPRESS:
        if (depth == MEMBERLIST_LAYERS_MAX) {
            return err_set(err, ERR_INVALID, "more than %u layers around a message",
                           MEMBERLIST_LAYERS_MAX);
        }
        return type == MEMBERLIST_COMPOUND ? compound_open(o, body, depth + 1, err)
                                           : compressed_open(o, body, depth + 1, err);
    case MEMBERLIST_PING:
    case MEMBERLIST_INDIRECT_PING:
    case MEMBERLIST_ACK:
    case MEMBERLIST_SUSPECT:
    case MEMBERLIST_ALIVE:
    case MEMBERLIST_DEAD:
    case MEMBERLIST_USER:
    case MEMBERLIST_NACK:
        return part_add(o->parts, (enum memberlist_type)type, body, err);
    default:
        return err_set(err, ERR_INVALID, "msg type (%u) not supported", type);
    }
}

int memberlist_packet_open(struct str bytes, struct arena *a, struct memberlist_parts *ret,
                           struct err *err)
{
    struct opening o = {.a = a, .parts = ret, .plain_left = MEMBERLIST_PACKET_SIZE_MAX};
    ret->count = ret->truncated = 0;
    if (bytes.n > MEMBERLIST_PACKET_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "a datagram of %zu bytes", bytes.n);
    }
    if (bytes.n >= MEMBERLIST_CRC_HEADER && bytes.p[0] == MEMBERLIST_HAS_CRC) {
        uint32_t expected = get_be32(bytes.p + 1);
        bytes = str_from(bytes, MEMBERLIST_CRC_HEADER);
        uint32_t crc = (uint32_t)crc32_z(0, (const Bytef *)bytes.p, bytes.n);
        if (crc != expected) {
            return err_set(err, ERR_CORRUPT, "Got invalid checksum for UDP packet: %x, %x", crc,
                           expected);
        }
    }
    return layer_open(&o, bytes, 0, err);
}

/* --- writing --------------------------------------------------------------------------------- */

void memberlist_compound_encode(const struct str *messages, size_t count, struct buf *to)
{
    ASSERT(count > 0 && count <= MEMBERLIST_PARTS_MAX);
    if (count == 1) {
        buf_str(to, messages[0]);
        return;
    }
    buf_byte(to, MEMBERLIST_COMPOUND);
    buf_byte(to, (uint8_t)count);
    for (size_t i = 0; i < count; i++) {
        ASSERT(messages[i].n <= UINT16_MAX);
        buf_be16(to, (uint16_t)messages[i].n);
    }
    for (size_t i = 0; i < count; i++) {
        buf_str(to, messages[i]);
    }
}

/* More than the type byte and the map around the packed bytes ever take, with what the writers of
 * msgpack may scribble behind an item. */
#define COMPRESS_HEADER_MAX 48u

/* The size of the header depends on that of the packed bytes, which go behind a gap first. */
bool memberlist_compress(struct str bytes, struct buf *to)
{
    const size_t start = to->n;
    if (buf_reserve(to, COMPRESS_HEADER_MAX + bytes.n) == NULL) {
        return false;
    }
    to->n = start + COMPRESS_HEADER_MAX;
    bool is_smaller = lzw_compress_below(bytes, bytes.n, to);
    size_t packed_size = to->n - start - COMPRESS_HEADER_MAX;
    to->n = start;
    if (!is_smaller) {
        return false;
    }
    buf_byte(to, MEMBERLIST_COMPRESS);
    msgpack_map(to, 2);
    msgpack_raw(to, STR("Algo"));
    msgpack_u64(to, ALGORITHM_LZW);
    msgpack_raw(to, STR("Buf"));
    msgpack_raw_header(to, packed_size);
    size_t header_size = to->n - start;
    if (header_size + packed_size >= bytes.n) {
        to->n = start;
        return false;
    }
    memmove(to->p + to->n, to->p + start + COMPRESS_HEADER_MAX, packed_size);
    to->n += packed_size;
    return true;
}

void memberlist_crc_encode(struct str bytes, struct buf *to)
{
    buf_byte(to, MEMBERLIST_HAS_CRC);
    buf_be32(to, (uint32_t)crc32_z(0, (const Bytef *)(bytes.p != NULL ? bytes.p : ""), bytes.n));
    buf_str(to, bytes);
}
