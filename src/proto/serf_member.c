/* What Serf says of a member: its tags, itself, where it is in the network. */
#include "base/arena.h"
#include "proto/gossip_fields.h"
#include "proto/serf.h"
#include "schema/member.h"

#define TAGS_MARKER 255u
#define ACK_PAYLOAD_VERSION 1u
#define PAIR_SIZE_MIN 2u

/* --- tags ------------------------------------------------------------------------------------- */

static void tags_put(struct buf *to, const struct strmap *tags)
{
    msgpack_map(to, tags->n);
    for (size_t i = 0; i < tags->n; i++) {
        msgpack_raw(to, tags->v[i].key);
        msgpack_raw(to, tags->v[i].value);
    }
}

static struct strmap tags_read(struct cur *c, struct arena *a)
{
    size_t n = gossip_read_map(c, PAIR_SIZE_MIN);
    struct strpair *pairs = ARENA_ARRAY(a, struct strpair, n);
    for (size_t i = 0; i < n && !c->failed; i++) {
        pairs[i].key = msgpack_read_raw(c);
        pairs[i].value = msgpack_read_raw(c);
    }
    return c->failed ? (struct strmap){0} : strmap_build(pairs, n);
}

void serf_tags_encode(const struct strmap *tags, struct buf *to)
{
    buf_byte(to, TAGS_MARKER);
    tags_put(to, tags);
}

int serf_tags_decode(struct str meta, struct arena *a, struct strmap *ret, struct err *err)
{
    if (meta.n == 0 || (uint8_t)meta.p[0] != TAGS_MARKER) {
        struct strpair *role = ARENA_NEW(a, struct strpair);
        *role = (struct strpair){STR("role"), meta};
        *ret = (struct strmap){role, 1};
        return 0;
    }
    struct cur c = cur_make(str_from(meta, 1));
    struct strmap tags = tags_read(&c, a);
    if (c.failed) {
        return err_set(err, ERR_INVALID, "malformed tags");
    }
    *ret = tags;
    return 0;
}

/* --- a member in an answer ----------------------------------------------------------------------
 */

struct wire_member {
    struct gossip_address address;
    struct str name;
    struct strmap tags;
    int64_t status;
    uint8_t protocol_min, protocol_max, protocol_cur, delegate_min, delegate_max, delegate_cur;
};

static void tags_form_put(struct buf *to, const void *member)
{
    const struct strmap *tags = member;
    if (tags->v == NULL) {
        msgpack_nil(to);
    } else {
        tags_put(to, tags);
    }
}

static void tags_form_read(struct cur *c, void *member, struct arena *a)
{
    if (msgpack_peek(c) == MSGPACK_NIL) {
        c->p++;
    } else {
        *(struct strmap *)member = tags_read(c, a);
    }
}

static const struct gossip_form tags_form = {tags_form_put, tags_form_read};

#define T struct wire_member
static const struct gossip_field member_fields[] = {
    GOSSIP_IP(T, address, "Addr", 0),
    GOSSIP_UINT(T, delegate_cur, "DelegateCur", UINT8_MAX, 0),
    GOSSIP_UINT(T, delegate_max, "DelegateMax", UINT8_MAX, 0),
    GOSSIP_UINT(T, delegate_min, "DelegateMin", UINT8_MAX, 0),
    GOSSIP_STR(T, name, "Name", MEMBERLIST_NAME_SIZE_MAX, 0),
    GOSSIP_UINT(T, address.port, "Port", UINT16_MAX, 0),
    GOSSIP_UINT(T, protocol_cur, "ProtocolCur", UINT8_MAX, 0),
    GOSSIP_UINT(T, protocol_max, "ProtocolMax", UINT8_MAX, 0),
    GOSSIP_UINT(T, protocol_min, "ProtocolMin", UINT8_MAX, 0),
    GOSSIP_INT64(T, status, "Status"),
    GOSSIP_FORM(T, tags, "Tags", &tags_form),
};
#undef T

void serf_conflict_response_encode(const struct member *m, struct buf *to)
{
    if (m == NULL) {
        buf_byte(to, SERF_CONFLICT_RESPONSE);
        msgpack_nil(to);
        return;
    }
    struct wire_member w = {
        .name = m->name,
        .tags = m->tags,
        .status = m->status,
        .protocol_min = (uint8_t)m->protocol_min,
        .protocol_max = (uint8_t)m->protocol_max,
        .protocol_cur = (uint8_t)m->protocol_cur,
        .delegate_min = (uint8_t)m->delegate_min,
        .delegate_max = (uint8_t)m->delegate_max,
        .delegate_cur = (uint8_t)m->delegate_cur,
    };
    (void)gossip_address_parse_ip(m->addr, &w.address); /* what is none is sent as none */
    w.address.port = (uint16_t)m->port;
    GOSSIP_PUT(to, SERF_CONFLICT_RESPONSE, member_fields, &w);
}

int serf_conflict_response_decode(struct str s, struct arena *a, struct member *ret,
                                  struct err *err)
{
    struct wire_member w;
    int r = GOSSIP_READ(s, member_fields, &w, a, "conflict response", err);
    if (r < 0) {
        return r;
    }
    struct buf ip = {0};
    gossip_address_format_ip(&w.address, &ip);
    *ret = (struct member){
        .name = w.name,
        .addr = arena_str(a, buf_view(&ip)),
        .port = w.address.port,
        .tags = w.tags,
        .status = w.status,
        .protocol_min = w.protocol_min,
        .protocol_max = w.protocol_max,
        .protocol_cur = w.protocol_cur,
        .delegate_min = w.delegate_min,
        .delegate_max = w.delegate_max,
        .delegate_cur = w.delegate_cur,
    };
    buf_deinit(&ip);
    return 0;
}

/* --- coordinates ------------------------------------------------------------------------------ */

void serf_ack_payload_encode(const struct coordinate *c, struct buf *to)
{
    buf_byte(to, ACK_PAYLOAD_VERSION);
    msgpack_object(to, &coordinate_schema, c);
}

int serf_ack_payload_decode(struct str payload, struct arena *a, struct coordinate *ret,
                            struct err *err)
{
    if (payload.n == 0 || payload.p[0] != ACK_PAYLOAD_VERSION) {
        return err_set(err, ERR_UNSUPPORTED, "Unsupported ping version: %d",
                       payload.n == 0 ? -1 : (uint8_t)payload.p[0]);
    }
    struct coordinate m = {0};
    struct cur c = cur_make(str_from(payload, 1));
    int r = msgpack_decode(&c, &coordinate_schema, &m, a, err);
    if (r < 0) {
        return r;
    }
    *ret = m;
    return 0;
}
