#include "test.h"

#include "gossip_fixture.h"
#include "proto/lzw.h"
#include "schema/msgpack.h"

/* --- recorded ----------------------------------------------------------------------------------
 */

struct seen {
    struct seal_ring *ring; /* NULL: plain text */
    size_t types[16], layers[16], nodes, joins;
};

/* Decode, encode: the same bytes. */
static void message_check(struct seen *seen, enum memberlist_type type, struct str body,
                          struct buf *to)
{
    struct err err = {0};
    const size_t start = to->n;
    seen->types[type]++;
    switch (type) {
    case MEMBERLIST_PING: {
        struct memberlist_ping m;
        assert_ok(memberlist_ping_decode(body, &m, &err));
        memberlist_ping_encode(&m, to);
        break;
    }
    case MEMBERLIST_INDIRECT_PING: {
        struct memberlist_indirect_ping m;
        assert_ok(memberlist_indirect_ping_decode(body, &m, &err));
        memberlist_indirect_ping_encode(&m, to);
        break;
    }
    case MEMBERLIST_ACK: {
        struct memberlist_ack m;
        assert_ok(memberlist_ack_decode(body, &m, &err));
        memberlist_ack_encode(&m, to);
        break;
    }
    case MEMBERLIST_NACK: {
        uint32_t seq;
        assert_ok(memberlist_nack_decode(body, &seq, &err));
        memberlist_nack_encode(seq, to);
        break;
    }
    case MEMBERLIST_SUSPECT:
    case MEMBERLIST_DEAD: {
        struct memberlist_suspect m;
        assert_ok(memberlist_suspect_decode(body, &m, &err));
        if (type == MEMBERLIST_SUSPECT) {
            memberlist_suspect_encode(&m, to);
        } else {
            memberlist_dead_encode(&m, to);
        }
        break;
    }
    case MEMBERLIST_ALIVE: {
        struct memberlist_alive m;
        assert_ok(memberlist_alive_decode(body, &m, &err));
        assert_true(m.has_vsn && m.meta.n > 0 && m.address.port > 0);
        memberlist_alive_encode(&m, to);
        break;
    }
    case MEMBERLIST_USER:
        buf_byte(to, MEMBERLIST_USER);
        buf_str(to, body);
        break;
    default:
        fail();
    }
    assert_str_equal(str_from(buf_view(to), start + 1), body);
    assert_int_equal(to->p[start], type);
}

/* The datagram comes out of its messages again, layer by layer, to the last byte. */
static void datagram_check(struct seen *seen, struct str bytes)
{
    struct arena a = {0};
    struct err err = {0};
    struct buf plain = {0}, messages = {0}, again = {0}, layer = {0};
    struct memberlist_parts parts;
    struct str whole[MEMBERLIST_PARTS_MAX], packet = bytes;
    size_t ends[MEMBERLIST_PARTS_MAX];
    if (seen->ring != NULL) {
        assert_ok(seal_packet_open(seen->ring, bytes, &plain, &err));
        packet = buf_view(&plain);
    }
    seen->layers[(uint8_t)packet.p[0]]++;
    assert_ok(memberlist_packet_open(packet, &a, &parts, &err));
    assert_int_equal(parts.truncated, 0);
    assert_true(parts.count > 0);
    for (size_t i = 0; i < parts.count; i++) {
        message_check(seen, parts.v[i].type, parts.v[i].body, &messages);
        ends[i] = messages.n;
    }
    for (size_t i = 0; i < parts.count; i++) {
        size_t from = i > 0 ? ends[i - 1] : 0;
        whole[i] = str_make(messages.p + from, ends[i] - from);
    }
    memberlist_compound_encode(whole, parts.count, &again);
    if (memberlist_compress(buf_view(&again), &layer)) {
        seen->layers[MEMBERLIST_COMPRESS]++;
        buf_clear(&again);
        buf_str(&again, buf_view(&layer));
    }
    if (packet.p[0] == MEMBERLIST_HAS_CRC) {
        buf_clear(&layer);
        memberlist_crc_encode(buf_view(&again), &layer);
        buf_clear(&again);
        buf_str(&again, buf_view(&layer));
    }
    assert_str_equal(buf_view(&again), packet);
    if (seen->ring != NULL) {
        buf_clear(&layer);
        seal_packet(seen->ring, (const uint8_t *)bytes.p + 1, packet, &layer);
        assert_str_equal(buf_view(&layer), bytes);
    }
    buf_deinit(&plain);
    buf_deinit(&messages);
    buf_deinit(&again);
    buf_deinit(&layer);
    arena_deinit(&a);
}

/* Fed byte by byte it is complete just at its end, and need never promises too much. */
static void stream_pieces(struct str bytes)
{
    struct arena a = {0};
    struct err err = {0};
    struct memberlist_stream s = {0};
    struct memberlist_stream_message m;
    for (size_t n = 0; n < bytes.n; n++) {
        assert_true(s.need <= bytes.n);
        assert_int_equal(memberlist_stream_open(&s, str_first(bytes, n), &a, &m, &err), 0);
        assert_true(s.need > n);
    }
    assert_int_equal(memberlist_stream_open(&s, bytes, &a, &m, &err), 1);
    arena_deinit(&a);
}

static void stream_check(struct seen *seen, struct str bytes)
{
    struct arena a = {0};
    struct err err = {0};
    struct buf plain = {0}, again = {0}, packed = {0};
    struct memberlist_stream s = {0};
    struct memberlist_stream_message m;
    struct str message = bytes;
    if (seen->ring != NULL) {
        assert_int_equal(seal_frame_size(bytes, &err), bytes.n);
        assert_ok(seal_frame_open(seen->ring, bytes, &plain, &err));
        message = buf_view(&plain);
    }
    seen->layers[(uint8_t)message.p[0]]++;
    assert_int_equal(memberlist_stream_open(&s, message, &a, &m, &err), 1);
    stream_pieces(message);
    if (m.type == MEMBERLIST_PUSH_PULL) {
        seen->types[m.type]++;
        seen->nodes += m.push_pull.nodes_count;
        seen->joins += m.push_pull.join;
        memberlist_push_pull_encode(&m.push_pull, &again);
    } else {
        message_check(seen, m.type, m.body, &again);
    }
    stream_pieces(buf_view(&again));
    /* The reference compresses streams whether that helps or not. */
    if (message.p[0] == MEMBERLIST_COMPRESS && memberlist_compress(buf_view(&again), &packed)) {
        buf_clear(&again);
        buf_str(&again, buf_view(&packed));
        assert_str_equal(buf_view(&again), message);
    }
    if (seen->ring != NULL) {
        buf_clear(&packed);
        seal_frame(seen->ring, (const uint8_t *)bytes.p + 6, message, &packed);
        assert_str_equal(buf_view(&packed), bytes);
    }
    buf_deinit(&plain);
    buf_deinit(&again);
    buf_deinit(&packed);
    arena_deinit(&a);
}

static void record_check(void *data, char kind, struct str bytes)
{
    if (kind == 'd') {
        datagram_check(data, bytes);
    } else {
        stream_check(data, bytes);
    }
}

static void test_recorded(void **state)
{
    (void)state;
    struct seen seen = {0};
    assert_true(recorded_each("plain.bin", record_check, &seen) > 300);
    assert_true(seen.types[MEMBERLIST_PING] > 50 && seen.types[MEMBERLIST_ACK] > 50);
    assert_true(seen.types[MEMBERLIST_INDIRECT_PING] > 5 && seen.types[MEMBERLIST_NACK] > 5);
    assert_true(seen.types[MEMBERLIST_SUSPECT] > 5 && seen.types[MEMBERLIST_ALIVE] > 5);
    assert_true(seen.types[MEMBERLIST_DEAD] > 5 && seen.types[MEMBERLIST_USER] > 20);
    assert_true(seen.types[MEMBERLIST_PUSH_PULL] > 10 && seen.nodes > 20 && seen.joins > 5);
    assert_true(seen.layers[MEMBERLIST_HAS_CRC] > 30 && seen.layers[MEMBERLIST_COMPRESS] > 10);
    assert_true(seen.layers[MEMBERLIST_COMPOUND] > 5);

    struct seen sealed = {.ring = recorded_ring()};
    assert_true(recorded_each("encrypted.bin", record_check, &sealed) > 200);
    assert_true(sealed.types[MEMBERLIST_PING] > 50 && sealed.types[MEMBERLIST_ACK] > 50);
    assert_true(sealed.types[MEMBERLIST_ALIVE] > 5 && sealed.types[MEMBERLIST_PUSH_PULL] > 10);
    assert_true(sealed.layers[MEMBERLIST_HAS_CRC] > 5); /* within the encryption, too */
    seal_ring_free(sealed.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
