#include "test.h"

#include "base/encode.h"
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

/* --- messages -----------------------------------------------------------------------------------
 */

/* Written by go-msgpack. */
static const struct {
    const char *name, *hex;
} golden[] = {
    {"ping_bare", "0082a44e6f6465a16ea55365714e6fce00011170"},
    {"ping_src",
     "0085a44e6f6465a0a55365714e6f01aa536f7572636541646472a401020304aa536f757263654e6f6465"
     "a173aa536f75726365506f727409"},
    {"err", "0d81a54572726f72a3454f46"},
    {"alive_novsn",
     "0486a441646472a401020304ab496e6361726e6174696f6e01a44d657461c0a44e6f6465a16ea4506f72"
     "7405a356736ec0"},
    {"ack_nil", "0282a75061796c6f6164c0a55365714e6f01"},
    {"ack_empty", "0282a75061796c6f6164a0a55365714e6f01"},
};

static void test_golden(void **state)
{
    (void)state;
    struct arena a = {0};
    struct seen seen = {0};
    for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
        struct buf b = {0};
        struct err err = {0};
        struct str s, sentence;
        assert_ok(hex_decode(&a, str_from_cstr(golden[i].hex), &s));
        if (s.p[0] == MEMBERLIST_ERROR) {
            assert_ok(memberlist_error_decode(str_from(s, 1), &sentence, &err));
            assert_str_lit(sentence, "EOF");
            memberlist_error_encode(sentence, &b);
        } else if (s.p[0] == MEMBERLIST_ALIVE) {
            struct memberlist_alive m;
            assert_ok(memberlist_alive_decode(str_from(s, 1), &m, &err));
            assert_true(!m.has_vsn && m.meta.p == NULL);
            memberlist_alive_encode(&m, &b);
        } else {
            message_check(&seen, (enum memberlist_type)s.p[0], str_from(s, 1), &b);
        }
        assert_str_equal(buf_view(&b), s);
        buf_deinit(&b);
    }
    arena_deinit(&a);
}

static const uint8_t vsn[MEMBERLIST_VSN_SIZE] = {1, 5, 2, 2, 5, 4};

static struct memberlist_alive alive_make(void)
{
    struct memberlist_alive m = {
        .incarnation = UINT32_MAX,
        .node = STR("node"),
        .address = {.size = 4, .ip = {10, 0, 0, 1}, .port = 65535},
        .meta = STR("meta"),
        .has_vsn = true,
    };
    memcpy(m.vsn, vsn, sizeof(vsn));
    return m;
}

/* One of each kind, whole messages. */
static size_t each_kind(struct buf to[8])
{
    struct gossip_address address = {.size = 16, .ip = {1, 2, 3}, .port = 300};
    struct memberlist_alive alive = alive_make();
    memberlist_ping_encode(&(struct memberlist_ping){7, STR("n"), address, STR("from")}, &to[0]);
    memberlist_indirect_ping_encode(
        &(struct memberlist_indirect_ping){7, address, STR("n"), true, address, STR("from")},
        &to[1]);
    memberlist_ack_encode(&(struct memberlist_ack){UINT32_MAX, STR("payload")}, &to[2]);
    memberlist_nack_encode(7, &to[3]);
    memberlist_suspect_encode(&(struct memberlist_suspect){1, STR("n"), STR("from")}, &to[4]);
    memberlist_alive_encode(&alive, &to[5]);
    memberlist_dead_encode(&(struct memberlist_suspect){1, STR("n"), STR("n")}, &to[6]);
    memberlist_error_encode(STR("no"), &to[7]);
    return 8;
}

static int decode_any(struct str s)
{
    struct err err = {0};
    union {
        struct memberlist_ping ping;
        struct memberlist_indirect_ping indirect;
        struct memberlist_ack ack;
        struct memberlist_suspect suspect;
        struct memberlist_alive alive;
        struct str sentence;
        uint32_t seq;
    } m;
    struct str body = str_from(s, 1);
    int r;
    switch (s.p[0]) {
    case MEMBERLIST_PING:
        r = memberlist_ping_decode(body, &m.ping, &err);
        break;
    case MEMBERLIST_INDIRECT_PING:
        r = memberlist_indirect_ping_decode(body, &m.indirect, &err);
        break;
    case MEMBERLIST_ACK:
        r = memberlist_ack_decode(body, &m.ack, &err);
        break;
    case MEMBERLIST_NACK:
        r = memberlist_nack_decode(body, &m.seq, &err);
        break;
    case MEMBERLIST_SUSPECT:
    case MEMBERLIST_DEAD:
        r = memberlist_suspect_decode(body, &m.suspect, &err);
        break;
    case MEMBERLIST_ALIVE:
        r = memberlist_alive_decode(body, &m.alive, &err);
        break;
    default:
        r = memberlist_error_decode(body, &m.sentence, &err);
    }
    assert_int_equal(r < 0 ? -r : 0, err.code);
    return r;
}

static void test_cut(void **state)
{
    (void)state;
    struct buf b[8] = {0};
    size_t count = each_kind(b);
    for (size_t i = 0; i < count; i++) {
        for (size_t n = 1; n < b[i].n; n++) {
            char *p = xmemdup(b[i].p, n); /* just as long, for ASan */
            assert_true(decode_any(str_make(p, n)) < 0);
            mem_free(p);
        }
        assert_ok(decode_any(buf_view(&b[i])));
        buf_byte(&b[i], 0);
        assert_ok(decode_any(buf_view(&b[i]))); /* as the reference */
        buf_deinit(&b[i]);
    }
}

static void test_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct memberlist_alive alive = alive_make(), again;
    struct memberlist_suspect suspect;
    struct memberlist_indirect_ping indirect;
    struct memberlist_ping ping;
    struct buf b = {0};
    char long_text[MEMBERLIST_META_SIZE_MAX + 1] = {0};

    /* A name and meta as long as may be, and by one longer. */
    for (int over = 0; over < 3; over++) {
        alive.node = str_make(long_text, MEMBERLIST_NAME_SIZE_MAX + (over == 1));
        alive.meta = str_make(long_text, MEMBERLIST_META_SIZE_MAX + (over == 2));
        buf_clear(&b);
        memberlist_alive_encode(&alive, &b);
        int r = memberlist_alive_decode(str_from(buf_view(&b), 1), &again, &err);
        assert_int_equal(r, over == 0 ? 0 : -ERR_INVALID);
    }
    assert_string_equal(err_text(&err), "malformed alive message: its Meta");
    assert_int_equal(memberlist_alive_decode(STR("\x81\xa4"
                                                 "Addr\xa4\1\2\3\4"),
                                             &again, &err),
                     -ERR_INVALID);
    assert_string_equal(err_text(&err), "a node without a name");
    assert_int_equal(memberlist_alive_decode(STR("\x81\xa4Node\xa1x"), &again, &err), -ERR_INVALID);
    assert_string_equal(err_text(&err), "a node without an address: x");
    /* Versions: none, six, more; not fewer. */
    static const char with_vsn[] = "\x83\xa4"
                                   "Addr\xa4\1\2\3\4\xa4Node\xa1n\xa3Vsn\xa0"
                                   "1234567";
    for (size_t n = 0; n <= 7; n++) {
        char bytes[sizeof(with_vsn)];
        memcpy(bytes, with_vsn, sizeof(bytes));
        bytes[sizeof(with_vsn) - 1 - 7 - 1] = (char)(0xa0 + n);
        int r =
            memberlist_alive_decode(str_make(bytes, sizeof(with_vsn) - 1 - 7 + n), &again, &err);
        assert_int_equal(r, n == 0 || n >= 6 ? 0 : -ERR_INVALID);
        assert_true(r < 0 || again.has_vsn == (n >= 6));
    }
    assert_int_equal(memberlist_suspect_decode(STR("\x80"), &suspect, &err), -ERR_INVALID);
    assert_int_equal(memberlist_indirect_ping_decode(STR("\x80"), &indirect, &err), -ERR_INVALID);
    assert_string_equal(err_text(&err), "an indirect ping without a target");
    /* Addresses of 4 or 16 bytes only. */
    for (size_t n = 0; n <= 17; n++) {
        buf_clear(&b);
        buf_lit(&b, "\x81\xaaSourceAddr");
        msgpack_raw(&b, str_make(long_text, n));
        int r = memberlist_ping_decode(buf_view(&b), &ping, &err);
        assert_int_equal(r, n == 0 || n == 4 || n == 16 ? 0 : -ERR_INVALID);
    }
    assert_int_equal(memberlist_ping_decode(STR("\x81\xaaSourcePort\xce\0\1\0\0"), &ping, &err),
                     -ERR_INVALID);
    assert_int_equal(memberlist_ping_decode(STR("\x81\xa5SeqNo\xcf\0\0\0\1\0\0\0\0"), &ping, &err),
                     -ERR_INVALID);
    assert_int_equal(memberlist_ping_decode(STR("\x81\xa5SeqNo\xa1x"), &ping, &err), -ERR_INVALID);
    assert_string_equal(err_text(&err), "malformed ping: its SeqNo");
    assert_int_equal(memberlist_ping_decode(STR("\x91\x01"), &ping, &err), -ERR_INVALID);
    buf_deinit(&b);
}

/* --- datagrams ----------------------------------------------------------------------------------
 */

static int packet_open(struct str s, struct memberlist_parts *parts, struct err *err)
{
    struct arena a = {0};
    char *p = xmemdup(s.p != NULL ? s.p : "", s.n);
    int r = memberlist_packet_open(str_make(p, s.n), &a, parts, err);
    mem_free(p);
    arena_deinit(&a);
    return r;
}

static void test_compound(void **state)
{
    (void)state;
    struct memberlist_parts parts;
    struct err err = {0};
    struct arena a = {0};
    struct buf b = {0}, big = {0};
    struct str messages[MEMBERLIST_PARTS_MAX];
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        messages[i] = STR("\x08user");
    }
    for (size_t count = 1; count <= MEMBERLIST_PARTS_MAX; count++) {
        buf_clear(&b);
        memberlist_compound_encode(messages, count, &b);
        assert_ok(memberlist_packet_open(buf_view(&b), &a, &parts, &err));
        assert_int_equal(parts.count, count);
        assert_str_lit(parts.v[count - 1].body, "user");
    }
    /* Cut in the sizes it is refused; cut in its parts, it loses these. */
    for (size_t n = 0; n < b.n; n++) {
        int r = packet_open(str_first(buf_view(&b), n), &parts, &err);
        if (n < 2 + 2 * MEMBERLIST_PARTS_MAX) {
            assert_int_equal(r, -ERR_INVALID);
        } else {
            assert_ok(r);
            assert_int_equal(parts.count, (n - 2 - 2 * MEMBERLIST_PARTS_MAX) / 5);
            assert_int_equal(parts.count + parts.truncated, MEMBERLIST_PARTS_MAX);
        }
    }
    /* More messages than there may be, by compounds within a compound. */
    messages[0] = messages[1] = buf_view(&b);
    memberlist_compound_encode(messages, 2, &big);
    assert_int_equal(packet_open(buf_view(&big), &parts, &err), -ERR_TOO_LARGE);
    /* The longest part there can be. */
    char *longest = xcalloc(1, UINT16_MAX);
    longest[0] = MEMBERLIST_USER;
    messages[0] = str_make(longest, UINT16_MAX - 10);
    messages[1] = STR("\x08");
    buf_clear(&b);
    memberlist_compound_encode(messages, 2, &b);
    assert_ok(packet_open(buf_view(&b), &parts, &err));
    assert_int_equal(parts.v[0].body.n, UINT16_MAX - 11);
    assert_int_equal(parts.v[1].body.n, 0);
    mem_free(longest);
    buf_deinit(&b);
    buf_deinit(&big);
    arena_deinit(&a);
}

static void test_packet_refused(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        int code;
        const char *why;
    } bad[] = {
        {STR_INIT(""), ERR_INVALID, "missing message type byte"},
        {STR_INIT("\x06\x80"), ERR_INVALID, "msg type (6) not supported"},
        {STR_INIT("\x0a\x80"), ERR_INVALID, "msg type (10) not supported"},
        {STR_INIT("\xf4\x01x"), ERR_INVALID, "msg type (244) not supported"},
        {STR_INIT("\x0c\0\0\0"), ERR_INVALID, "msg type (12) not supported"},
        {STR_INIT("\x0c\0\0\0\0"), ERR_INVALID, "missing message type byte"},
        {STR_INIT("\x0c\0\0\0\1\x08"), ERR_CORRUPT,
         "Got invalid checksum for UDP packet: dcd967bf, 1"},
        {STR_INIT("\x07"), ERR_INVALID, "missing compound length byte"},
        {STR_INIT("\x07\x01\0"), ERR_INVALID, "truncated len slice"},
        {STR_INIT("\x07\x01\0\0"), ERR_INVALID, "missing message type byte"},
        {STR_INIT("\x07\x01\0\6\x0c\0\0\0\0\x08"), ERR_INVALID, "msg type (12) not supported"},
        {STR_INIT("\x09\x80"), ERR_INVALID, "LZW: the end is missing"},
        {STR_INIT("\x09\x82\xa4"
                  "Algo\1\xa3"
                  "Buf\xa3\0\3\2"),
         ERR_UNSUPPORTED, "Cannot decompress unknown algorithm 1"},
        {STR_INIT("\x09\x82\xa4"
                  "Algo\0\xa3"
                  "Buf\xa3\0\3\2"),
         ERR_INVALID, "missing message type byte"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = {0};
        struct memberlist_parts parts;
        assert_int_equal(packet_open(bad[i].bytes, &parts, &err), -bad[i].code);
        assert_string_equal(err_text(&err), bad[i].why);
    }
    struct memberlist_parts parts;
    struct err err = {0};
    char *huge = xcalloc(1, MEMBERLIST_PACKET_SIZE_MAX + 1);
    huge[0] = MEMBERLIST_USER;
    assert_ok(packet_open(str_make(huge, MEMBERLIST_PACKET_SIZE_MAX), &parts, &err));
    assert_int_equal(packet_open(str_make(huge, MEMBERLIST_PACKET_SIZE_MAX + 1), &parts, &err),
                     -ERR_TOO_LARGE);
    mem_free(huge);
}

/* A compressed message, whether it is smaller or not. */
static void compress(struct str bytes, struct buf *to)
{
    struct buf packed = {0};
    lzw_compress(bytes, &packed);
    buf_byte(to, MEMBERLIST_COMPRESS);
    msgpack_map(to, 2);
    msgpack_raw(to, STR("Algo"));
    msgpack_u64(to, 0);
    msgpack_raw(to, STR("Buf"));
    msgpack_raw(to, buf_view(&packed));
    buf_deinit(&packed);
}

static void test_layers(void **state)
{
    (void)state;
    struct memberlist_parts parts;
    struct err err = {0};
    struct buf b = {0};
    buf_lit(&b, "\x08user");
    for (size_t depth = 0; depth <= MEMBERLIST_LAYERS_MAX + 1; depth++) {
        struct buf next = {0};
        int r = packet_open(buf_view(&b), &parts, &err);
        assert_int_equal(r, depth <= MEMBERLIST_LAYERS_MAX ? 0 : -ERR_INVALID);
        if (depth % 2 == 0) {
            compress(buf_view(&b), &next);
        } else {
            buf_lit(&next, "\x07\x01");
            buf_be16(&next, (uint16_t)b.n);
            buf_str(&next, buf_view(&b));
        }
        buf_deinit(&b);
        b = next;
    }
    assert_string_equal(err_text(&err), "more than 4 layers around a message");
    buf_clear(&b);

    /* A bomb, and several charges of which together are one. */
    const size_t charge = MEMBERLIST_PACKET_SIZE_MAX / 3;
    char *zeros = xcalloc(1, MEMBERLIST_PACKET_SIZE_MAX + 1);
    zeros[0] = MEMBERLIST_USER;
    compress(str_make(zeros, MEMBERLIST_PACKET_SIZE_MAX), &b);
    assert_ok(packet_open(buf_view(&b), &parts, &err));
    buf_clear(&b);
    compress(str_make(zeros, MEMBERLIST_PACKET_SIZE_MAX + 1), &b);
    assert_int_equal(packet_open(buf_view(&b), &parts, &err), -ERR_TOO_LARGE);
    buf_clear(&b);
    compress(str_make(zeros, charge), &b);
    struct str messages[4];
    for (size_t i = 0; i < 4; i++) {
        messages[i] = buf_view(&b);
    }
    for (size_t count = 3; count <= 4; count++) {
        struct buf compound = {0};
        memberlist_compound_encode(messages, count, &compound);
        assert_int_equal(packet_open(buf_view(&compound), &parts, &err),
                         count == 3 ? 0 : -ERR_TOO_LARGE);
        buf_deinit(&compound);
    }
    mem_free(zeros);
    buf_deinit(&b);
}

static void test_compress(void **state)
{
    (void)state;
    struct buf b = {0}, plain = {0}, always = {0};
    buf_lit(&b, "before");
    /* Where it begins to pay, of which size ever the header is. */
    bool had = false;
    for (size_t n = 0; n < 3000; n++) {
        buf_byte(&plain, (uint8_t)((n * n >> 4) % 5));
        buf_clear(&always);
        compress(buf_view(&plain), &always);
        b.n = 6;
        bool is_smaller = memberlist_compress(buf_view(&plain), &b);
        assert_int_equal(is_smaller, always.n < plain.n);
        assert_int_equal(b.n, is_smaller ? 6 + always.n : 6);
        assert_true(!is_smaller || memcmp(b.p + 6, always.p, always.n) == 0);
        assert_memory_equal(b.p, "before", 6);
        had |= is_smaller;
    }
    assert_true(had && !b.failed);
    /* A header with 32 bits. */
    buf_fill(&plain, 'x', 2 << 20);
    for (size_t i = 0; i < plain.n; i++) {
        plain.p[i] = (char)((i * 2654435761u) >> 27);
    }
    buf_clear(&always);
    compress(buf_view(&plain), &always);
    assert_true(always.n > 1 << 16);
    b.n = 0;
    assert_true(memberlist_compress(buf_view(&plain), &b));
    assert_true(str_eq(buf_view(&b), buf_view(&always)));
    assert_false(memberlist_compress(STR_NULL, &b));
    buf_deinit(&b);
    buf_deinit(&plain);
    buf_deinit(&always);
}

/* --- streams ------------------------------------------------------------------------------------
 */

static int stream_open(struct str s, struct arena *a, struct memberlist_stream_message *m,
                       struct err *err)
{
    struct memberlist_stream state = {0};
    return memberlist_stream_open(&state, s, a, m, err);
}

static void test_push_pull(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};
    struct memberlist_stream_message m;
    struct memberlist_node_state nodes[4];
    for (size_t i = 0; i < 4; i++) {
        nodes[i] = (struct memberlist_node_state){alive_make(), (enum memberlist_state)i};
    }
    struct memberlist_push_pull p = {true, nodes, 4, STR("state")};
    memberlist_push_pull_encode(&p, &b);
    stream_pieces(buf_view(&b));
    size_t whole = b.n;
    buf_lit(&b, "what follows");
    assert_int_equal(stream_open(buf_view(&b), &a, &m, &err), 1);
    assert_int_equal(m.type, MEMBERLIST_PUSH_PULL);
    assert_true(m.push_pull.join);
    assert_int_equal(m.push_pull.nodes_count, 4);
    assert_str_lit(m.push_pull.user_state, "state");
    for (size_t i = 0; i < 4; i++) {
        const struct memberlist_node_state *n = &m.push_pull.nodes[i];
        assert_int_equal(n->state, i);
        assert_str_lit(n->alive.node, "node");
        assert_true(gossip_address_eq(&n->alive.address, &nodes[i].alive.address));
        assert_memory_equal(n->alive.vsn, vsn, sizeof(vsn));
    }
    /* An unknown state of a node. */
    char *at = memmem(b.p, whole, "\xa5State\x03", 7);
    at[6] = 4;
    assert_int_equal(stream_open(buf_view(&b), &a, &m, &err), -ERR_INVALID);
    assert_string_equal(err_text(&err), "malformed state of a node: its State");
    /* Compressed; and not to its end. */
    struct buf packed = {0};
    at[6] = 3;
    compress(str_first(buf_view(&b), whole), &packed);
    assert_int_equal(stream_open(buf_view(&packed), &a, &m, &err), 1);
    assert_int_equal(m.push_pull.nodes_count, 4);
    buf_clear(&packed);
    compress(str_first(buf_view(&b), whole - 1), &packed);
    assert_int_equal(stream_open(buf_view(&packed), &a, &m, &err), -ERR_INVALID);
    assert_string_equal(err_text(&err), "a compressed message ends too soon");
    buf_clear(&packed);
    compress(STR(""), &packed);
    assert_int_equal(stream_open(buf_view(&packed), &a, &m, &err), -ERR_INVALID);
    struct buf twice = {0};
    compress(buf_view(&packed), &twice);
    assert_int_equal(stream_open(buf_view(&twice), &a, &m, &err), -ERR_INVALID);
    assert_string_equal(err_text(&err), "a compressed message within another");
    buf_deinit(&twice);
    buf_deinit(&packed);
    /* Nobody in it. */
    buf_clear(&b);
    memberlist_push_pull_encode(&(struct memberlist_push_pull){0}, &b);
    stream_pieces(buf_view(&b));
    buf_deinit(&b);
    arena_deinit(&a);
}

static void test_stream_kinds(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0}, each[8] = {0};
    struct memberlist_stream_message m;
    size_t count = each_kind(each);
    for (size_t i = 0; i < count; i++) {
        uint8_t type = (uint8_t)each[i].p[0];
        if (type == MEMBERLIST_PING || type == MEMBERLIST_ACK || type == MEMBERLIST_ERROR) {
            stream_pieces(buf_view(&each[i]));
            assert_int_equal(stream_open(buf_view(&each[i]), &a, &m, &err), 1);
            assert_int_equal(m.type, type);
            assert_str_equal(m.body, str_from(buf_view(&each[i]), 1));
        } else {
            assert_int_equal(stream_open(buf_view(&each[i]), &a, &m, &err), -ERR_INVALID);
        }
        buf_deinit(&each[i]);
    }
    memberlist_user_stream_encode(STR("hello"), &b);
    assert_str_lit(buf_view(&b), "\x08\x81\xaaUserMsgLen\5hello");
    stream_pieces(buf_view(&b));
    assert_int_equal(stream_open(buf_view(&b), &a, &m, &err), 1);
    assert_str_lit(m.body, "hello");
    buf_clear(&b);
    memberlist_user_stream_encode(STR_NULL, &b);
    stream_pieces(buf_view(&b));
    buf_deinit(&b);
    arena_deinit(&a);
}

static void test_stream_refused(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        int code;
        const char *why;
    } bad[] = {
        {STR_INIT("\x0a\0\0\0\1"), ERR_INVALID, "Received invalid msgType (10)"},
        {STR_INIT("GET / HTTP/1.1"), ERR_INVALID, "Received invalid msgType (71)"},
        {STR_INIT("\x06\xc1"), ERR_INVALID, "malformed message (2 bytes)"},
        {STR_INIT("\x06\xdf\xff\xff\xff\xff"), ERR_TOO_LARGE,
         "a message of more than 20971520 bytes"},
        {STR_INIT("\x06\xdb\x01\x40\x00\x00"), ERR_TOO_LARGE,
         "a message of more than 20971520 bytes"},
        {STR_INIT("\x06\x81\xa5Nodes\xff"), ERR_INVALID, "malformed push/pull header: its Nodes"},
        {STR_INIT("\x06\x81\xa5Nodes\xce\x01\x40\x00\x01"), ERR_INVALID,
         "malformed push/pull header: its Nodes"},
        {STR_INIT("\x06\x81\xa5Nodes\xce\x01\x40\x00\x00"), ERR_TOO_LARGE,
         "a message of more than 20971520 bytes"},
        {STR_INIT("\x06\x81\xa5Nodes\2\x80\x80"), ERR_INVALID,
         "malformed push/pull: 2 nodes in 2 bytes"},
        {STR_INIT("\x06\x81\xacUserStateLen\xce\x01\x40\x00\x00"), ERR_TOO_LARGE,
         "a message of more than 20971520 bytes"},
        {STR_INIT("\x08\x81\xaaUserMsgLen\xa1x"), ERR_INVALID,
         "malformed user message header: its UserMsgLen"},
        {STR_INIT("\x09\x80"), ERR_INVALID, "LZW: the end is missing"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = {0};
        struct memberlist_stream_message m;
        assert_int_equal(stream_open(bad[i].bytes, &a, &m, &err), -bad[i].code);
        assert_string_equal(err_text(&err), bad[i].why);
    }
    arena_deinit(&a);
}

/* A compressed stream's plain text has the bound of any other. */
static void test_stream_bomb(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};
    struct memberlist_stream_message m;
    char *zeros = xcalloc(1, MEMBERLIST_PLAIN_SIZE_MAX + 1);
    zeros[0] = MEMBERLIST_USER;
    compress(str_make(zeros, MEMBERLIST_PLAIN_SIZE_MAX + 1), &b);
    assert_true(b.n < 100000);
    assert_int_equal(stream_open(buf_view(&b), &a, &m, &err), -ERR_TOO_LARGE);
    assert_int_equal(a.size, 0);
    mem_free(zeros);
    buf_deinit(&b);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_golden),         cmocka_unit_test(test_cut),
        cmocka_unit_test(test_refused),        cmocka_unit_test(test_compound),
        cmocka_unit_test(test_packet_refused), cmocka_unit_test(test_layers),
        cmocka_unit_test(test_compress),       cmocka_unit_test(test_push_pull),
        cmocka_unit_test(test_stream_kinds),   cmocka_unit_test(test_stream_refused),
        cmocka_unit_test(test_stream_bomb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
