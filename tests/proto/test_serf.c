#include "test.h"

#include "base/encode.h"
#include "gossip_fixture.h"
#include "proto/serf.h"
#include "schema/member.h"

/* --- recorded ----------------------------------------------------------------------------------
 */

struct seen {
    struct seal_ring *ring; /* NULL: plain text */
    size_t types[16], tags, coordinates, status_times, events;
};

/* What comes again must be the same, but for the order of a map of Go's, which is as it happens. */
static void assert_same_but_order(struct str a, struct str b)
{
    size_t count[256] = {0};
    assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < a.n; i++) {
        count[(uint8_t)a.p[i]]++;
        count[(uint8_t)b.p[i]]--;
    }
    for (size_t i = 0; i < ARRAY_SIZE(count); i++) {
        assert_int_equal(count[i], 0);
    }
}

static void tags_check(struct seen *seen, struct str meta)
{
    struct arena a = {0};
    struct err err = {0};
    struct strmap tags, again;
    struct buf b = {0};
    assert_ok(serf_tags_decode(meta, &a, &tags, &err));
    struct str value;
    assert_true(strmap_get(tags, STR("dc"), &value));
    assert_str_lit(value, "dc1");
    assert_true(strmap_get(tags, STR("build"), &value));
    assert_true(str_has_prefix(value, STR("1.10.3:")));
    serf_tags_encode(&tags, &b);
    assert_same_but_order(buf_view(&b), meta);
    assert_ok(serf_tags_decode(buf_view(&b), &a, &again, &err));
    assert_true(strmap_eq(tags, again));
    seen->tags++;
    buf_deinit(&b);
    arena_deinit(&a);
}

static void payload_check(struct seen *seen, struct str payload)
{
    struct arena a = {0};
    struct err err = {0};
    struct coordinate c;
    struct buf b = {0};
    assert_ok(serf_ack_payload_decode(payload, &a, &c, &err));
    assert_int_equal(c.vec.n, COORDINATE_DIMENSIONS);
    assert_true(c.error > 0 && c.height > 0);
    serf_ack_payload_encode(&c, &b);
    assert_str_equal(buf_view(&b), payload);
    seen->coordinates++;
    buf_deinit(&b);
    arena_deinit(&a);
}

static void push_pull_check(struct seen *seen, struct str state)
{
    struct arena a = {0};
    struct err err = {0};
    struct serf_push_pull m;
    struct buf b = {0}, twice = {0};
    assert_int_equal(state.p[0], SERF_PUSH_PULL);
    assert_ok(serf_push_pull_decode(str_from(state, 1), &a, &m, &err));
    assert_true(m.status_times_count > 0 && m.ltime > 0);
    serf_push_pull_encode(&m, &b);
    /* Theirs has the 512 times of its ring, a byte each where nothing happened, and the count in
     * three bytes. */
    assert_true(m.events_count < 16);
    assert_int_equal(state.n, b.n + 512 - m.events_count + 2);
    assert_ok(serf_push_pull_decode(str_from(buf_view(&b), 1), &a, &m, &err));
    serf_push_pull_encode(&m, &twice);
    assert_str_equal(buf_view(&b), buf_view(&twice));
    seen->types[SERF_PUSH_PULL]++;
    seen->status_times += m.status_times_count;
    seen->events += m.events_count;
    buf_deinit(&b);
    buf_deinit(&twice);
    arena_deinit(&a);
}

static void message_check(struct seen *seen, struct str s)
{
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};
    assert_true(s.n > 1);
    uint8_t type = (uint8_t)s.p[0];
    struct str body = str_from(s, 1);
    seen->types[type]++;
    switch (type) {
    case SERF_JOIN:
    case SERF_LEAVE: {
        struct serf_intent m;
        assert_ok(serf_intent_decode(body, &m, &err));
        serf_intent_encode((enum serf_type)type, &m, &b);
        break;
    }
    case SERF_USER_EVENT: {
        struct serf_user_event m;
        assert_ok(serf_user_event_decode(body, &m, &err));
        assert_true(str_has_prefix(m.name, STR("consul:")));
        serf_user_event_encode(&m, &b);
        break;
    }
    case SERF_QUERY: {
        struct serf_query m;
        assert_ok(serf_query_decode(body, &a, &m, &err));
        serf_query_encode(&m, &b);
        break;
    }
    case SERF_QUERY_RESPONSE: {
        struct serf_query_response m;
        assert_ok(serf_query_response_decode(body, &m, &err));
        serf_query_response_encode(&m, &b);
        break;
    }
    default:
        fail();
    }
    assert_str_equal(buf_view(&b), s);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void part_check(struct seen *seen, enum memberlist_type type, struct str body)
{
    struct err err = {0};
    if (type == MEMBERLIST_USER) {
        message_check(seen, body);
    } else if (type == MEMBERLIST_ALIVE) {
        struct memberlist_alive m;
        assert_ok(memberlist_alive_decode(body, &m, &err));
        tags_check(seen, m.meta);
    } else if (type == MEMBERLIST_ACK) {
        struct memberlist_ack m;
        assert_ok(memberlist_ack_decode(body, &m, &err));
        if (m.payload.p != NULL) {
            payload_check(seen, m.payload);
        }
    }
}

static void record_check(void *data, char kind, struct str bytes)
{
    struct seen *seen = data;
    struct arena a = {0};
    struct err err = {0};
    struct buf plain = {0};
    if (seen->ring != NULL) {
        assert_ok(kind == 'd' ? seal_packet_open(seen->ring, bytes, &plain, &err)
                              : seal_frame_open(seen->ring, bytes, &plain, &err));
        bytes = buf_view(&plain);
    }
    if (kind == 'd') {
        struct memberlist_parts parts;
        assert_ok(memberlist_packet_open(bytes, &a, &parts, &err));
        for (size_t i = 0; i < parts.count; i++) {
            part_check(seen, parts.v[i].type, parts.v[i].body);
        }
    } else {
        struct memberlist_stream s = {0};
        struct memberlist_stream_message m;
        assert_int_equal(memberlist_stream_open(&s, bytes, &a, &m, &err), 1);
        part_check(seen, m.type, m.body);
        if (m.type == MEMBERLIST_PUSH_PULL) {
            push_pull_check(seen, m.push_pull.user_state);
            for (size_t i = 0; i < m.push_pull.nodes_count; i++) {
                tags_check(seen, m.push_pull.nodes[i].alive.meta);
            }
        }
    }
    buf_deinit(&plain);
    arena_deinit(&a);
}

static void test_recorded(void **state)
{
    (void)state;
    struct seen seen = {0};
    assert_true(recorded_each("plain.bin", record_check, &seen) > 300);
    struct seen sealed = {.ring = recorded_ring()};
    assert_true(recorded_each("encrypted.bin", record_check, &sealed) > 200);
    seal_ring_free(sealed.ring);
    assert_true(seen.types[SERF_LEAVE] > 2 && sealed.types[SERF_LEAVE] > 2);
    assert_true(seen.types[SERF_JOIN] > 10 && sealed.types[SERF_JOIN] > 10);
    assert_true(seen.types[SERF_PUSH_PULL] > 10 && sealed.types[SERF_PUSH_PULL] > 10);
    assert_true(seen.types[SERF_USER_EVENT] > 5 && sealed.types[SERF_USER_EVENT] > 5);
    assert_true(seen.tags > 50 && seen.coordinates > 100 && seen.status_times > 20);
    assert_true(seen.events > 3);
}

/* --- written by go-msgpack ----------------------------------------------------------------------
 */

static const struct {
    const char *name, *hex;
} golden[] = {
    {"leave", "0083a54c54696d65ce00030d40a44e6f6465a4676f6e65a55072756e65c3"},
    {"event", "0384a24343c3a54c54696d6505a44e616d65a66465706c6f79a75061796c6f6164a0"},
    {"event_nil", "0384a24343c2a54c54696d6505a44e616d65a66465706c6f79a75061796c6f6164c0"},
    {"query", "048ba441646472a47f000001a746696c7465727392ab0092a161a66e6f64652d32b90182a445787072a8"
              "5e636f6e73756c24a3546167a4726f6c65a5466c61677303a24944cedeadbeefa54c54696d6507a44e61"
              "6d65aa5f736572665f70696e67a75061796c6f6164c0a4506f7274cd206dab52656c6179466163746f72"
              "02aa536f757263654e6f6465a26d65a754696d656f7574cf000000037e11d600"},
    {"query_plain",
     "048ba441646472b0fe800000000000000000000000000001a746696c74657273c0a5466c61677300a249"
     "4401a54c54696d65cf0000010000000000a44e616d65a171a75061796c6f6164a77061796c6f6164a450"
     "6f727401ab52656c6179466163746f7200aa536f757263654e6f6465a178a754696d656f757400"},
    {"response_ack",
     "0585a5466c61677301a446726f6da56f74686572a24944cedeadbeefa54c54696d6507a75061796c6f61"
     "64c0"},
    {"response",
     "0585a5466c61677300a446726f6da56f74686572a2494405a54c54696d65cd012ca75061796c6f6164a9"
     "616e20616e73776572"},
    {"relay", "0982a8446573744164647283a24950a40a000009a4506f7274cdffffa45a6f6e65a0a8446573744e616d"
              "65a4646573740585a5466c61677300a446726f6da56f74686572a2494405a54c54696d65cd012ca75061"
              "796c6f6164a9616e20616e73776572"},
    {"key_request", "0781a34b6579b030313233343536373839616263646566"},
    {"key_request_list", "0781a34b6579a0"},
    {"key_response",
     "0884a44b65797392a44141413da44242423da74d657373616765a0aa5072696d6172794b6579a4414141"
     "3da6526573756c74c3"},
    {"key_response_fail",
     "0884a44b657973c0a74d657373616765da0023526571756573746564206b6579206973206e6f7420696e"
     "20746865206b657972696e67aa5072696d6172794b6579a0a6526573756c74c2"},
    {"conflict",
     "068ba441646472a4c0a80102ab44656c656761746543757204ab44656c65676174654d617805ab44656c"
     "65676174654d696e02a44e616d65a26e31a4506f7274cd206dab50726f746f636f6c43757202ab50726f"
     "746f636f6c4d617805ab50726f746f636f6c4d696e01a653746174757301a45461677381a4726f6c65a6"
     "636f6e73756c"},
    {"conflict6",
     "068ba441646472b020010db8000000000000000000000001ab44656c656761746543757204ab44656c65"
     "676174654d617805ab44656c65676174654d696e02a44e616d65a26e36a4506f7274cd206eab50726f74"
     "6f636f6c43757202ab50726f746f636f6c4d617805ab50726f746f636f6c4d696e01a653746174757304"
     "a454616773c0"},
    {"conflict_nil", "06c0"},
};

static struct str golden_of(struct arena *a, const char *name)
{
    struct str s = STR_NULL;
    for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
        if (strcmp(golden[i].name, name) == 0) {
            assert_ok(hex_decode(a, str_from_cstr(golden[i].hex), &s));
        }
    }
    assert_true(s.n > 0);
    return s;
}

/* Whatever it is, decoded; 0 or more when it could be. What it is written as goes to b. */
static int decode_any(struct str s, struct arena *a, struct buf *b)
{
    struct err err = {0};
    union {
        struct serf_intent intent;
        struct serf_user_event event;
        struct serf_query query;
        struct serf_query_response response;
        struct serf_relay relay;
        struct serf_key_response key_response;
        struct serf_push_pull push_pull;
        struct member member;
        struct str key;
    } m;
    int r = -ERR_INVALID;
    struct str body = str_from(s, 1);
    uint8_t type = s.n > 0 ? (uint8_t)s.p[0] : 255;
    switch (type) {
    case SERF_LEAVE:
    case SERF_JOIN:
        if ((r = serf_intent_decode(body, &m.intent, &err)) >= 0) {
            serf_intent_encode((enum serf_type)type, &m.intent, b);
        }
        break;
    case SERF_PUSH_PULL:
        if ((r = serf_push_pull_decode(body, a, &m.push_pull, &err)) >= 0) {
            serf_push_pull_encode(&m.push_pull, b);
        }
        break;
    case SERF_USER_EVENT:
        if ((r = serf_user_event_decode(body, &m.event, &err)) >= 0) {
            serf_user_event_encode(&m.event, b);
        }
        break;
    case SERF_QUERY:
        if ((r = serf_query_decode(body, a, &m.query, &err)) >= 0) {
            serf_query_encode(&m.query, b);
        }
        break;
    case SERF_QUERY_RESPONSE:
        if ((r = serf_query_response_decode(body, &m.response, &err)) >= 0) {
            serf_query_response_encode(&m.response, b);
        }
        break;
    case SERF_CONFLICT_RESPONSE:
        if ((r = serf_conflict_response_decode(body, a, &m.member, &err)) >= 0) {
            serf_conflict_response_encode(m.member.name.n > 0 ? &m.member : NULL, b);
        }
        break;
    case SERF_KEY_REQUEST:
        if ((r = serf_key_request_decode(body, &m.key, &err)) >= 0) {
            serf_key_request_encode(m.key, b);
        }
        break;
    case SERF_KEY_RESPONSE:
        if ((r = serf_key_response_decode(body, a, &m.key_response, &err)) >= 0) {
            serf_key_response_encode(&m.key_response, b);
        }
        break;
    case SERF_RELAY:
        if ((r = serf_relay_decode(body, &m.relay, &err)) >= 0) {
            serf_relay_encode(&m.relay, b);
        }
        break;
    default:
        break;
    }
    assert_true(r >= 0 || err.code == -r || type > SERF_RELAY);
    return r;
}

static void test_golden(void **state)
{
    (void)state;
    struct arena a = {0};
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
        struct str s = golden_of(&a, golden[i].name);
        buf_clear(&b);
        assert_ok(decode_any(s, &a, &b));
        assert_str_equal(buf_view(&b), s);
    }
    buf_deinit(&b);
    arena_deinit(&a);
}

/* A message that is cut is refused, wherever that is; but for a relay, which ends with bytes of
 * whatever length. */
static void test_cut(void **state)
{
    (void)state;
    struct arena a = {0};
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_SIZE(golden); i++) {
        struct str s = golden_of(&a, golden[i].name);
        size_t needed = s.n;
        if (s.p[0] == SERF_RELAY) {
            struct serf_relay m;
            struct err err = {0};
            assert_ok(serf_relay_decode(str_from(s, 1), &m, &err));
            needed -= m.message.n - 1;
        }
        for (size_t n = 0; n < needed; n++) {
            char *p = xmemdup(s.p, n > 0 ? n : 1); /* just as long, for ASan */
            assert_true(decode_any(str_make(p, n), &a, &b) < 0);
            mem_free(p);
        }
    }
    buf_deinit(&b);
    arena_deinit(&a);
}

static void test_fields(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};

    struct serf_query q;
    assert_ok(serf_query_decode(str_from(golden_of(&a, "query"), 1), &a, &q, &err));
    assert_int_equal(q.ltime, 7);
    assert_int_equal(q.id, 0xdeadbeef);
    gossip_address_format(&q.source, &b);
    assert_str_lit(buf_view(&b), "127.0.0.1:8301");
    assert_str_lit(q.source_node, "me");
    assert_int_equal(q.flags, SERF_QUERY_FLAG_ACK | SERF_QUERY_FLAG_NO_BROADCAST);
    assert_int_equal(q.relay_factor, 2);
    assert_int_equal(q.timeout_ns, 15000000000);
    assert_str_lit(q.name, "_serf_ping");
    assert_null(q.payload.p);
    assert_int_equal(q.filters_count, 2);
    struct serf_filter f;
    assert_ok(serf_filter_decode(q.filters[0], &a, &f, &err));
    assert_false(f.is_tag);
    assert_int_equal(f.nodes.n, 2);
    assert_str_lit(f.nodes.v[0], "a");
    assert_str_lit(f.nodes.v[1], "node-2");
    buf_clear(&b);
    serf_filter_encode(&f, &b);
    assert_str_equal(buf_view(&b), q.filters[0]);
    assert_ok(serf_filter_decode(q.filters[1], &a, &f, &err));
    assert_true(f.is_tag);
    assert_str_lit(f.tag, "role");
    assert_str_lit(f.regexp, "^consul$");
    buf_clear(&b);
    serf_filter_encode(&f, &b);
    assert_str_equal(buf_view(&b), q.filters[1]);
    for (size_t i = 0; i < 2; i++) {
        for (size_t n = 0; n < q.filters[i].n; n++) {
            assert_true(serf_filter_decode(str_first(q.filters[i], n), &a, &f, &err) < 0);
        }
    }
    assert_int_equal(serf_filter_decode(STR("\x02\x80"), &a, &f, &err), -ERR_INVALID);
    assert_string_equal(err_text(&err), "query has unrecognized filter type: 2");

    struct serf_relay relay;
    assert_ok(serf_relay_decode(str_from(golden_of(&a, "relay"), 1), &relay, &err));
    buf_clear(&b);
    gossip_address_format(&relay.to, &b);
    assert_str_lit(buf_view(&b), "10.0.0.9:65535");
    assert_str_lit(relay.to_name, "dest");
    assert_str_equal(relay.message, golden_of(&a, "response"));

    struct member m;
    assert_ok(serf_conflict_response_decode(str_from(golden_of(&a, "conflict6"), 1), &a, &m, &err));
    assert_str_lit(m.addr, "2001:db8::1");
    assert_int_equal(m.port, 8302);
    assert_int_equal(m.status, MEMBER_FAILED);
    assert_int_equal(m.protocol_max, 5);
    assert_int_equal(m.delegate_cur, 4);
    assert_null(m.tags.v);
    assert_ok(
        serf_conflict_response_decode(str_from(golden_of(&a, "conflict_nil"), 1), &a, &m, &err));
    assert_int_equal(m.name.n + m.addr.n + (size_t)m.port, 0);

    struct serf_key_response k;
    assert_ok(serf_key_response_decode(str_from(golden_of(&a, "key_response"), 1), &a, &k, &err));
    assert_true(k.result);
    assert_int_equal(k.keys.n, 2);
    assert_str_lit(k.keys.v[1], "BBB=");
    assert_str_lit(k.primary_key, "AAA=");
    buf_deinit(&b);
    arena_deinit(&a);
}

/* What a map may not be. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        const char *why;
    } bad[] = {
        {STR_INIT("\x01\x80"), "an intent to join or leave without a node"},
        {STR_INIT("\x01\xc0"), "an intent to join or leave without a node"},
        {STR_INIT("\x01\x92\x01\x02"), "malformed intent to join or leave"},
        {STR_INIT("\x01\x82\xa5LTime\xff\xa4Node\xa1n"),
         "malformed intent to join or leave: its LTime"},
        {STR_INIT("\x01\x82\xa4Node\xa1n\xa4Node\xa1n"),
         "malformed intent to join or leave: its Node"},
        {STR_INIT("\x04\x81\xa4"
                  "Addr\xa5zzzzz"),
         "malformed query: its Addr"},
        {STR_INIT("\x04\x81\xa4Port\x01"), "a query without an address to answer to"},
        {STR_INIT("\x04\x81\xa4Port\xce\0\1\0\0"), "malformed query: its Port"},
        {STR_INIT("\x04\x81\xabRelayFactor\xcd\1\0"), "malformed query: its RelayFactor"},
        {STR_INIT("\x04\x81\xa2ID\xcf\0\0\0\1\0\0\0\0"), "malformed query: its ID"},
        {STR_INIT("\x04\x81\xa7"
                  "Filters\xdd\xff\xff\xff\xff"),
         "malformed query: its Filters"},
        {STR_INIT("\x02\x81\xac"
                  "StatusLTimes\xdf\xff\xff\xff\xff"),
         "malformed Serf push/pull: its StatusLTimes"},
        {STR_INIT("\x02\x81\xabLeftMembers\xdd\x00\x20\0\0"),
         "malformed Serf push/pull: its LeftMembers"},
        {STR_INIT("\x02\x81\xa6"
                  "Events\xdc\0\2\xc0"),
         "malformed Serf push/pull: its Events"},
        {STR_INIT("\x02\x81\xa6"
                  "Events\x91\x80                "),
         "malformed Serf push/pull: its Events"},
        {STR_INIT("\x02\x81\xa6"
                  "Events\x91\x81\xa6"
                  "Events\x91\x80                    "),
         "malformed Serf push/pull: its Events"},
        {STR_INIT("\x09\x81\xa8"
                  "DestAddr\x81\xa2IP\xa4\1\2\3\4"),
         "a relayed message without anything to relay"},
        {STR_INIT("\x09\x81\xa8"
                  "DestName\xa1x\5\x80"),
         "a relayed message without an address"},
    };
    struct arena a = {0};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = {0};
        struct serf_push_pull p;
        struct serf_query q;
        struct serf_intent intent;
        struct serf_relay relay;
        struct str body = str_from(bad[i].bytes, 1);
        uint8_t type = (uint8_t)bad[i].bytes.p[0];
        int r = type == SERF_JOIN        ? serf_intent_decode(body, &intent, &err)
                : type == SERF_QUERY     ? serf_query_decode(body, &a, &q, &err)
                : type == SERF_PUSH_PULL ? serf_push_pull_decode(body, &a, &p, &err)
                                         : serf_relay_decode(body, &relay, &err);
        assert_int_equal(r, -ERR_INVALID);
        assert_string_equal(err_text(&err), bad[i].why);
    }
    arena_deinit(&a);
}

static void test_filters_count(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};
    struct str filters[SERF_FILTERS_MAX + 1];
    for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
        filters[i] = STR("x");
    }
    struct serf_query q = {.source.size = 4, .filters = filters};
    for (q.filters_count = SERF_FILTERS_MAX; q.filters_count <= SERF_FILTERS_MAX + 1;
         q.filters_count++) {
        struct serf_query again;
        buf_clear(&b);
        serf_query_encode(&q, &b);
        int r = serf_query_decode(str_from(buf_view(&b), 1), &a, &again, &err);
        assert_int_equal(r, q.filters_count <= SERF_FILTERS_MAX ? 0 : -ERR_INVALID);
    }
    buf_deinit(&b);
    arena_deinit(&a);
}

/* A newer Serf may say more, and an older one less. */
static void test_other_versions(void **state)
{
    (void)state;
    struct err err = {0};
    struct serf_intent m;
    assert_ok(serf_intent_decode(STR("\x83\xa4Node\xa1n\xa3New\x92\x01\x81\xa1x\xc0\xa5LTime\x05"),
                                 &m, &err));
    assert_str_lit(m.node, "n");
    assert_int_equal(m.ltime, 5);
    assert_ok(serf_intent_decode(STR("\x82\xa4Node\xa1n\xa5LTime\xc0"), &m, &err));
    assert_int_equal(m.ltime, 0);
    /* Nesting in what is skipped has a bound. */
    struct buf b = {0};
    buf_lit(&b, "\x82\xa1x");
    buf_fill(&b, (char)0x91, 100000);
    buf_lit(&b, "\xc0\xa4Node\xa1n");
    assert_int_equal(serf_intent_decode(buf_view(&b), &m, &err), -ERR_INVALID);
    buf_deinit(&b);
}

static void test_tags(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct strmap tags;
    struct str value;
    struct buf b = {0};
    assert_ok(serf_tags_decode(STR("web"), &a, &tags, &err));
    assert_true(strmap_get(tags, STR("role"), &value));
    assert_str_lit(value, "web");
    assert_ok(serf_tags_decode(STR_NULL, &a, &tags, &err));
    assert_true(tags.n == 1 && strmap_get(tags, STR("role"), &value) && value.n == 0);
    assert_ok(serf_tags_decode(STR("\xff\xc0"), &a, &tags, &err));
    assert_int_equal(tags.n, 0);
    serf_tags_encode(&tags, &b);
    assert_str_lit(buf_view(&b), "\xff\x80");
    /* The later of two. */
    assert_ok(serf_tags_decode(STR("\xff\x82\xa1k\xa1"
                                   "1\xa1k\xa1"
                                   "2"),
                               &a, &tags, &err));
    assert_true(tags.n == 1 && strmap_get(tags, STR("k"), &value));
    assert_str_lit(value, "2");
    struct str whole = STR("\xff\x82\xa1"
                           "a\xa1"
                           "1\xa1"
                           "b\xa1"
                           "2");
    for (size_t n = 1; n < whole.n; n++) {
        assert_int_equal(serf_tags_decode(str_first(whole, n), &a, &tags, &err), -ERR_INVALID);
    }
    assert_int_equal(serf_tags_decode(STR("\xff\x81\xa1k\x01"), &a, &tags, &err), -ERR_INVALID);
    assert_int_equal(serf_tags_decode(STR("\xff\xdf\xff\xff\xff\xff\xa1k"), &a, &tags, &err),
                     -ERR_INVALID);
    buf_deinit(&b);
    arena_deinit(&a);
}

static void test_ack_payload(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};
    const double vec[COORDINATE_DIMENSIONS] = {0.25, -1, 0, 1e-6};
    struct coordinate c = {{vec, ARRAY_SIZE(vec)}, 1.5, -0.5, 1e-5}, again;
    serf_ack_payload_encode(&c, &b);
    assert_ok(serf_ack_payload_decode(buf_view(&b), &a, &again, &err));
    assert_true(schema_equal(&coordinate_schema, &c, &again));
    for (size_t n = 0; n < b.n; n++) {
        assert_true(serf_ack_payload_decode(str_first(buf_view(&b), n), &a, &again, &err) < 0);
    }
    b.p[0] = 2;
    assert_int_equal(serf_ack_payload_decode(buf_view(&b), &a, &again, &err), -ERR_UNSUPPORTED);
    assert_string_equal(err_text(&err), "Unsupported ping version: 2");
    buf_deinit(&b);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_filters_count),
        cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_ack_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
