/* Any bytes as a datagram, with its checksum put right: its layers are taken off, its messages
 * decoded, written again, and packed into layers again. */
#include <zlib.h>

#include "base/mem.h"
#include "gossip_again.h"
#include "proto/memberlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int rewrite(struct str s, struct arena *a, struct buf *to, struct err *err)
{
    (void)a;
    struct str body = str_from(s, 1);
    int r = 0;
    switch ((enum memberlist_type)s.p[0]) {
    case MEMBERLIST_PING: {
        struct memberlist_ping m;
        if ((r = memberlist_ping_decode(body, &m, err)) >= 0) {
            memberlist_ping_encode(&m, to);
        }
        break;
    }
    case MEMBERLIST_INDIRECT_PING: {
        struct memberlist_indirect_ping m;
        if ((r = memberlist_indirect_ping_decode(body, &m, err)) >= 0) {
            memberlist_indirect_ping_encode(&m, to);
        }
        break;
    }
    case MEMBERLIST_ACK: {
        struct memberlist_ack m;
        if ((r = memberlist_ack_decode(body, &m, err)) >= 0) {
            memberlist_ack_encode(&m, to);
        }
        break;
    }
    case MEMBERLIST_NACK: {
        uint32_t seq;
        if ((r = memberlist_nack_decode(body, &seq, err)) >= 0) {
            memberlist_nack_encode(seq, to);
        }
        break;
    }
    case MEMBERLIST_SUSPECT:
    case MEMBERLIST_DEAD: {
        struct memberlist_suspect m;
        if ((r = memberlist_suspect_decode(body, &m, err)) >= 0) {
            ASSERT(m.node.n > 0);
            if (s.p[0] == MEMBERLIST_DEAD) {
                memberlist_dead_encode(&m, to);
            } else {
                memberlist_suspect_encode(&m, to);
            }
        }
        break;
    }
    case MEMBERLIST_ALIVE: {
        struct memberlist_alive m;
        if ((r = memberlist_alive_decode(body, &m, err)) >= 0) {
            ASSERT(m.node.n > 0 && (m.address.size == 4 || m.address.size == 16));
            memberlist_alive_encode(&m, to);
        }
        break;
    }
    case MEMBERLIST_USER:
        buf_str(to, s);
        break;
    default:
        ASSERT(false);
    }
    return r;
}

/* What was found in one datagram is found in another that is made of it. */
static void pack_again(const struct memberlist_parts *parts)
{
    struct str messages[MEMBERLIST_PARTS_MAX];
    struct buf b = {0}, packed = {0};
    struct arena a = {0};
    struct err err = {0};
    static struct memberlist_parts again;
    size_t total = 0;
    for (size_t i = 0; i < parts->count; i++) {
        messages[i] = str_make(parts->v[i].body.p - 1, parts->v[i].body.n + 1);
        total += messages[i].n + MEMBERLIST_COMPOUND_PART;
    }
    if (parts->count > 0 && total < MEMBERLIST_PACKET_SIZE_MAX / 2) {
        memberlist_compound_encode(messages, parts->count, &b);
        if (memberlist_compress(buf_view(&b), &packed)) {
            ASSERT(packed.n < b.n);
            buf_clear(&b);
            buf_str(&b, buf_view(&packed));
        }
        buf_clear(&packed);
        memberlist_crc_encode(buf_view(&b), &packed);
        int r = memberlist_packet_open(buf_view(&packed), &a, &again, &err);
        ASSERT(r >= 0 && again.count == parts->count && again.truncated == 0);
        for (size_t i = 0; i < again.count; i++) {
            ASSERT(again.v[i].type == parts->v[i].type);
            ASSERT(str_eq(again.v[i].body, parts->v[i].body));
        }
    }
    buf_deinit(&b);
    buf_deinit(&packed);
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct memberlist_parts parts;
    struct arena a = {0};
    struct err err = {0};
    char *bytes = xmemdup(data != NULL ? (const void *)data : "", size);
    if (size >= MEMBERLIST_CRC_HEADER && bytes[0] == MEMBERLIST_HAS_CRC) {
        put_be32(bytes + 1, (uint32_t)crc32_z(0, (const Bytef *)bytes + MEMBERLIST_CRC_HEADER,
                                              size - MEMBERLIST_CRC_HEADER));
    }
    if (memberlist_packet_open(str_make(bytes, size), &a, &parts, &err) >= 0) {
        for (size_t i = 0; i < parts.count; i++) {
            struct str body = parts.v[i].body;
            ASSERT((uint8_t)body.p[-1] == parts.v[i].type);
            again_check(rewrite, str_make(body.p - 1, body.n + 1));
        }
        pack_again(&parts);
    }
    mem_free(bytes);
    arena_deinit(&a);
    return 0;
}
