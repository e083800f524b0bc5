#include "proto/memberlist.h"

#include "proto/gossip_fields.h"
#include "proto/memberlist_priv.h"

/* --- messages -------------------------------------------------------------------------------- */

#define NODE_SIZE_MAX MEMBERLIST_NAME_SIZE_MAX

#define T struct memberlist_ping
static const struct gossip_field ping_fields[] = {
    GOSSIP_STR(T, node, "Node", NODE_SIZE_MAX, 0),
    GOSSIP_UINT(T, seq, "SeqNo", UINT32_MAX, 0),
    GOSSIP_IP(T, source, "SourceAddr", GOSSIP_OMIT_EMPTY),
    GOSSIP_STR(T, source_node, "SourceNode", NODE_SIZE_MAX, GOSSIP_OMIT_EMPTY),
    GOSSIP_UINT(T, source.port, "SourcePort", UINT16_MAX, GOSSIP_OMIT_EMPTY),
};
#undef T

#define T struct memberlist_indirect_ping
static const struct gossip_field indirect_ping_fields[] = {
    GOSSIP_BOOL(T, nack, "Nack"),
    GOSSIP_STR(T, node, "Node", NODE_SIZE_MAX, 0),
    GOSSIP_UINT(T, target.port, "Port", UINT16_MAX, 0),
    GOSSIP_UINT(T, seq, "SeqNo", UINT32_MAX, 0),
    GOSSIP_IP(T, source, "SourceAddr", GOSSIP_OMIT_EMPTY),
    GOSSIP_STR(T, source_node, "SourceNode", NODE_SIZE_MAX, GOSSIP_OMIT_EMPTY),
    GOSSIP_UINT(T, source.port, "SourcePort", UINT16_MAX, GOSSIP_OMIT_EMPTY),
    GOSSIP_IP(T, target, "Target", 0),
};
#undef T

#define T struct memberlist_ack
static const struct gossip_field ack_fields[] = {
    GOSSIP_RAW(T, payload, "Payload", MEMBERLIST_PACKET_SIZE_MAX),
    GOSSIP_UINT(T, seq, "SeqNo", UINT32_MAX, 0),
};
static const struct gossip_field nack_fields[] = {
    GOSSIP_UINT(T, seq, "SeqNo", UINT32_MAX, 0),
};
#undef T

struct sentence {
    struct str text;
};
static const struct gossip_field error_fields[] = {
    GOSSIP_STR(struct sentence, text, "Error", MEMBERLIST_PACKET_SIZE_MAX, 0),
};

#define T struct memberlist_suspect
static const struct gossip_field suspect_fields[] = {
    GOSSIP_STR(T, from, "From", NODE_SIZE_MAX, 0),
    GOSSIP_UINT(T, incarnation, "Incarnation", UINT32_MAX, 0),
    GOSSIP_STR(T, node, "Node", NODE_SIZE_MAX, 0),
};
#undef T

/* Six bytes, or nil. More than six is somebody newer, of whom we read what we know. */
static void vsn_put(struct buf *to, const void *member)
{
    const struct memberlist_alive *m = container_of(member, const struct memberlist_alive, vsn);
    if (m->has_vsn) {
        msgpack_raw(to, str_make(m->vsn, sizeof(m->vsn)));
    } else {
        msgpack_nil(to);
    }
}

static void vsn_read(struct cur *c, void *member, struct arena *a)
{
    (void)a;
    struct memberlist_alive *m = container_of(member, struct memberlist_alive, vsn);
    struct str s = msgpack_read_raw(c);
    if (s.n >= sizeof(m->vsn)) {
        memcpy(m->vsn, s.p, sizeof(m->vsn));
        m->has_vsn = true;
    } else if (s.n > 0) {
        c->failed = true;
    }
}

static const struct gossip_form vsn_form = {vsn_put, vsn_read};

#define T struct memberlist_alive
static const struct gossip_field alive_fields[] = {
    GOSSIP_IP(T, address, "Addr", 0),
    GOSSIP_UINT(T, incarnation, "Incarnation", UINT32_MAX, 0),
    GOSSIP_RAW(T, meta, "Meta", MEMBERLIST_META_SIZE_MAX),
    GOSSIP_STR(T, node, "Node", NODE_SIZE_MAX, 0),
    GOSSIP_UINT(T, address.port, "Port", UINT16_MAX, 0),
    GOSSIP_FORM(T, vsn, "Vsn", &vsn_form),
};
#undef T

void memberlist_ping_encode(const struct memberlist_ping *m, struct buf *to)
{
    GOSSIP_PUT(to, MEMBERLIST_PING, ping_fields, m);
}

void memberlist_indirect_ping_encode(const struct memberlist_indirect_ping *m, struct buf *to)
{
    GOSSIP_PUT(to, MEMBERLIST_INDIRECT_PING, indirect_ping_fields, m);
}

void memberlist_ack_encode(const struct memberlist_ack *m, struct buf *to)
{
    GOSSIP_PUT(to, MEMBERLIST_ACK, ack_fields, m);
}

void memberlist_nack_encode(uint32_t seq, struct buf *to)
{
    struct memberlist_ack m = {.seq = seq};
    GOSSIP_PUT(to, MEMBERLIST_NACK, nack_fields, &m);
}

void memberlist_suspect_encode(const struct memberlist_suspect *m, struct buf *to)
{
    GOSSIP_PUT(to, MEMBERLIST_SUSPECT, suspect_fields, m);
}

void memberlist_alive_encode(const struct memberlist_alive *m, struct buf *to)
{
    GOSSIP_PUT(to, MEMBERLIST_ALIVE, alive_fields, m);
}

void memberlist_dead_encode(const struct memberlist_suspect *m, struct buf *to)
{
    GOSSIP_PUT(to, MEMBERLIST_DEAD, suspect_fields, m);
}

void memberlist_error_encode(struct str sentence, struct buf *to)
{
    struct sentence m = {sentence};
    GOSSIP_PUT(to, MEMBERLIST_ERROR, error_fields, &m);
}

int memberlist_ping_decode(struct str s, struct memberlist_ping *ret, struct err *err)
{
    return GOSSIP_READ(s, ping_fields, ret, NULL, "ping", err);
}

int memberlist_indirect_ping_decode(struct str s, struct memberlist_indirect_ping *ret,
                                    struct err *err)
{
    struct memberlist_indirect_ping m;
    int r = GOSSIP_READ(s, indirect_ping_fields, &m, NULL, "indirect ping", err);
    if (r < 0) {
        return r;
    }
    if (m.target.size == 0) {
        return err_set(err, ERR_INVALID, "an indirect ping without a target");
    }
    *ret = m;
    return 0;
}

int memberlist_ack_decode(struct str s, struct memberlist_ack *ret, struct err *err)
{
    return GOSSIP_READ(s, ack_fields, ret, NULL, "ack", err);
}

int memberlist_nack_decode(struct str s, uint32_t *ret_seq, struct err *err)
{
    struct memberlist_ack m;
    int r = GOSSIP_READ(s, nack_fields, &m, NULL, "nack", err);
    if (r == 0) {
        *ret_seq = m.seq;
    }
    return r;
}

int memberlist_suspect_decode(struct str s, struct memberlist_suspect *ret, struct err *err)
{
    struct memberlist_suspect m;
    int r = GOSSIP_READ(s, suspect_fields, &m, NULL, "suspect or dead message", err);
    if (r < 0) {
        return r;
    }
    if (m.node.n == 0) {
        return err_set(err, ERR_INVALID, "a suspect or dead message without a node");
    }
    *ret = m;
    return 0;
}

/* What a message or a state of a push/pull must have. */
static int alive_check(const struct memberlist_alive *m, struct err *err)
{
    if (m->node.n == 0) {
        return err_set(err, ERR_INVALID, "a node without a name");
    }
    if (m->address.size == 0) {
        return err_set(err, ERR_INVALID, "a node without an address: %.*s", STRF(m->node));
    }
    return 0;
}

int memberlist_alive_decode(struct str s, struct memberlist_alive *ret, struct err *err)
{
    struct memberlist_alive m;
    int r = GOSSIP_READ(s, alive_fields, &m, NULL, "alive message", err);
    if (r < 0 || (r = alive_check(&m, err)) < 0) {
        return r;
    }
    *ret = m;
    return 0;
}

int memberlist_error_decode(struct str s, struct str *ret_sentence, struct err *err)
{
    struct sentence m;
    int r = GOSSIP_READ(s, error_fields, &m, NULL, "error message", err);
    if (r == 0) {
        *ret_sentence = m.text;
    }
    return r;
}

/* --- states of a push/pull ---------------------------------------------------------------------
 */

/* The enum is read as a number of its size. */
#define T struct memberlist_node_state
static const struct gossip_field node_state_fields[] = {
    GOSSIP_IP(T, alive.address, "Addr", 0),
    GOSSIP_UINT(T, alive.incarnation, "Incarnation", UINT32_MAX, 0),
    GOSSIP_RAW(T, alive.meta, "Meta", MEMBERLIST_META_SIZE_MAX),
    GOSSIP_STR(T, alive.node, "Name", NODE_SIZE_MAX, 0),
    GOSSIP_UINT(T, alive.address.port, "Port", UINT16_MAX, 0),
    GOSSIP_UINT(T, state, "State", MEMBERLIST_STATE_LEFT, 0),
    GOSSIP_FORM(T, alive.vsn, "Vsn", &vsn_form),
};
#undef T

void memberlist_node_state_put(const struct memberlist_node_state *m, struct buf *to)
{
    gossip_fields_put(to, node_state_fields, ARRAY_SIZE(node_state_fields), m);
}

int memberlist_node_state_read(struct cur *c, struct memberlist_node_state *m, struct err *err)
{
    int r = gossip_fields_read(c, node_state_fields, ARRAY_SIZE(node_state_fields), m, NULL,
                               "state of a node", err);
    return r < 0 ? r : alive_check(&m->alive, err);
}
