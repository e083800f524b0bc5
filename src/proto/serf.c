#include "proto/serf.h"

#include "base/arena.h"
#include "proto/gossip_fields.h"

#define NODE_SIZE_MAX MEMBERLIST_NAME_SIZE_MAX
#define SIZE_ANY MEMBERLIST_PLAIN_SIZE_MAX /* bounded by the message it is in */

/* --- intents and events -------------------------------------------------------------------------
 */

#define T struct serf_intent
static const struct gossip_field join_fields[] = {
    GOSSIP_UINT(T, ltime, "LTime", UINT64_MAX, 0),
    GOSSIP_STR(T, node, "Node", NODE_SIZE_MAX, 0),
};
static const struct gossip_field leave_fields[] = {
    GOSSIP_UINT(T, ltime, "LTime", UINT64_MAX, 0),
    GOSSIP_STR(T, node, "Node", NODE_SIZE_MAX, 0),
    GOSSIP_BOOL(T, prune, "Prune"),
};
#undef T

#define T struct serf_user_event
static const struct gossip_field user_event_fields[] = {
    GOSSIP_BOOL(T, coalesce, "CC"),
    GOSSIP_UINT(T, ltime, "LTime", UINT64_MAX, 0),
    GOSSIP_STR(T, name, "Name", SIZE_ANY, 0),
    GOSSIP_RAW(T, payload, "Payload", SIZE_ANY),
};
#undef T

void serf_intent_encode(enum serf_type type, const struct serf_intent *m, struct buf *to)
{
    ASSERT(type == SERF_JOIN || type == SERF_LEAVE);
    if (type == SERF_JOIN) {
        GOSSIP_PUT(to, SERF_JOIN, join_fields, m);
    } else {
        GOSSIP_PUT(to, SERF_LEAVE, leave_fields, m);
    }
}

int serf_intent_decode(struct str s, struct serf_intent *ret, struct err *err)
{
    struct serf_intent m;
    int r = GOSSIP_READ(s, leave_fields, &m, NULL, "intent to join or leave", err);
    if (r < 0) {
        return r;
    }
    if (m.node.n == 0) {
        return err_set(err, ERR_INVALID, "an intent to join or leave without a node");
    }
    *ret = m;
    return 0;
}

void serf_user_event_encode(const struct serf_user_event *m, struct buf *to)
{
    GOSSIP_PUT(to, SERF_USER_EVENT, user_event_fields, m);
}

int serf_user_event_decode(struct str s, struct serf_user_event *ret, struct err *err)
{
    return GOSSIP_READ(s, user_event_fields, ret, NULL, "user event", err);
}

/* --- queries ------------------------------------------------------------------------------------
 */

static void filters_put(struct buf *to, const void *member)
{
    const struct serf_query *m = container_of(member, const struct serf_query, filters);
    if (m->filters_count == 0) {
        msgpack_nil(to);
        return;
    }
    msgpack_array(to, m->filters_count);
    for (size_t i = 0; i < m->filters_count; i++) {
        msgpack_raw(to, m->filters[i]);
    }
}

static void filters_read(struct cur *c, void *member, struct arena *a)
{
    struct serf_query *m = container_of(member, struct serf_query, filters);
    m->filters = gossip_read_strs(c, SERF_FILTERS_MAX, a, &m->filters_count);
}

static const struct gossip_form filters_form = {filters_put, filters_read};

#define T struct serf_query
static const struct gossip_field query_fields[] = {
    GOSSIP_IP(T, source, "Addr", 0),
    GOSSIP_FORM(T, filters, "Filters", &filters_form),
    GOSSIP_UINT(T, flags, "Flags", UINT32_MAX, 0),
    GOSSIP_UINT(T, id, "ID", UINT32_MAX, 0),
    GOSSIP_UINT(T, ltime, "LTime", UINT64_MAX, 0),
    GOSSIP_STR(T, name, "Name", SIZE_ANY, 0),
    GOSSIP_RAW(T, payload, "Payload", SIZE_ANY),
    GOSSIP_UINT(T, source.port, "Port", UINT16_MAX, 0),
    GOSSIP_UINT(T, relay_factor, "RelayFactor", UINT8_MAX, 0),
    GOSSIP_STR(T, source_node, "SourceNode", NODE_SIZE_MAX, 0),
    GOSSIP_INT64(T, timeout_ns, "Timeout"),
};
#undef T

#define T struct serf_query_response
static const struct gossip_field query_response_fields[] = {
    GOSSIP_UINT(T, flags, "Flags", UINT32_MAX, 0), GOSSIP_STR(T, from, "From", NODE_SIZE_MAX, 0),
    GOSSIP_UINT(T, id, "ID", UINT32_MAX, 0),       GOSSIP_UINT(T, ltime, "LTime", UINT64_MAX, 0),
    GOSSIP_RAW(T, payload, "Payload", SIZE_ANY),
};
#undef T

void serf_query_encode(const struct serf_query *m, struct buf *to)
{
    GOSSIP_PUT(to, SERF_QUERY, query_fields, m);
}

int serf_query_decode(struct str s, struct arena *a, struct serf_query *ret, struct err *err)
{
    struct serf_query m;
    int r = GOSSIP_READ(s, query_fields, &m, a, "query", err);
    if (r < 0) {
        return r;
    }
    if (m.source.size == 0) {
        return err_set(err, ERR_INVALID, "a query without an address to answer to");
    }
    *ret = m;
    return 0;
}

void serf_query_response_encode(const struct serf_query_response *m, struct buf *to)
{
    GOSSIP_PUT(to, SERF_QUERY_RESPONSE, query_response_fields, m);
}

int serf_query_response_decode(struct str s, struct serf_query_response *ret, struct err *err)
{
    return GOSSIP_READ(s, query_response_fields, ret, NULL, "query response", err);
}

/* --- filters of queries -------------------------------------------------------------------------
 */

enum filter_type { FILTER_NODE, FILTER_TAG };

#define T struct serf_filter
static const struct gossip_field tag_filter_fields[] = {
    GOSSIP_STR(T, regexp, "Expr", SIZE_ANY, 0),
    GOSSIP_STR(T, tag, "Tag", SIZE_ANY, 0),
};
#undef T

void serf_filter_encode(const struct serf_filter *f, struct buf *to)
{
    if (f->is_tag) {
        GOSSIP_PUT(to, FILTER_TAG, tag_filter_fields, f);
        return;
    }
    buf_byte(to, FILTER_NODE);
    gossip_strs_put(to, f->nodes.v, f->nodes.n);
}

int serf_filter_decode(struct str s, struct arena *a, struct serf_filter *ret, struct err *err)
{
    struct serf_filter f = {.is_tag = s.n > 0 && s.p[0] == FILTER_TAG};
    struct cur c = cur_make(str_from(s, 1));
    if (s.n == 0 || (uint8_t)s.p[0] > FILTER_TAG) {
        return err_set(err, ERR_INVALID, "query has unrecognized filter type: %d",
                       s.n == 0 ? -1 : (uint8_t)s.p[0]);
    }
    if (f.is_tag) {
        int r = gossip_fields_read(&c, tag_filter_fields, ARRAY_SIZE(tag_filter_fields), &f, NULL,
                                   "filter for a tag", err);
        if (r < 0) {
            return r;
        }
    } else {
        f.nodes.v = gossip_read_strs(&c, SERF_NAMES_MAX, a, &f.nodes.n);
        if (c.failed) {
            return err_set(err, ERR_INVALID, "malformed filter for nodes");
        }
    }
    *ret = f;
    return 0;
}

/* --- relays ----------------------------------------------------------------------------------- */

/* net.UDPAddr of Go's. Its zone names an interface of the machine that wrote it: ours to ignore. */
struct udp_address {
    struct gossip_address a;
    struct str zone;
};

#define T struct udp_address
static const struct gossip_field udp_address_fields[] = {
    GOSSIP_IP(T, a, "IP", 0),
    GOSSIP_UINT(T, a.port, "Port", UINT16_MAX, 0),
    GOSSIP_STR(T, zone, "Zone", NODE_SIZE_MAX, 0),
};
#undef T

static void udp_address_put(struct buf *to, const void *member)
{
    struct udp_address m = {.a = *(const struct gossip_address *)member};
    gossip_fields_put(to, udp_address_fields, ARRAY_SIZE(udp_address_fields), &m);
}

static void udp_address_read(struct cur *c, void *member, struct arena *a)
{
    struct udp_address m = {0};
    gossip_fields_read_within(c, udp_address_fields, ARRAY_SIZE(udp_address_fields), &m, a);
    *(struct gossip_address *)member = m.a;
}

static const struct gossip_form udp_address_form = {udp_address_put, udp_address_read};

#define T struct serf_relay
static const struct gossip_field relay_fields[] = {
    GOSSIP_FORM(T, to, "DestAddr", &udp_address_form),
    GOSSIP_STR(T, to_name, "DestName", NODE_SIZE_MAX, 0),
};
#undef T

void serf_relay_encode(const struct serf_relay *m, struct buf *to)
{
    GOSSIP_PUT(to, SERF_RELAY, relay_fields, m);
    buf_str(to, m->message);
}

int serf_relay_decode(struct str s, struct serf_relay *ret, struct err *err)
{
    struct serf_relay m = {0};
    struct cur c = cur_make(s);
    int r = gossip_fields_read(&c, relay_fields, ARRAY_SIZE(relay_fields), &m, NULL,
                               "header of a relayed message", err);
    if (r < 0) {
        return r;
    }
    m.message = str_make(c.p, cur_left(&c));
    if (m.to.size == 0 || m.message.n == 0) {
        return err_set(err, ERR_INVALID, "a relayed message without %s",
                       m.to.size == 0 ? "an address" : "anything to relay");
    }
    *ret = m;
    return 0;
}

/* --- keys ------------------------------------------------------------------------------------- */

struct key_request {
    struct str key;
};

/* Written as a string, so that no key is an empty one rather than nil, as in Go. */
static const struct gossip_field key_request_fields[] = {
    GOSSIP_STR(struct key_request, key, "Key", SIZE_ANY, 0),
};

static void keys_put(struct buf *to, const void *member)
{
    const struct strlist *l = member;
    if (l->v == NULL) {
        msgpack_nil(to);
    } else {
        gossip_strs_put(to, l->v, l->n);
    }
}

static void keys_read(struct cur *c, void *member, struct arena *a)
{
    struct strlist *l = member;
    if (msgpack_peek(c) == MSGPACK_NIL) {
        c->p++;
    } else {
        l->v = gossip_read_strs(c, SERF_NAMES_MAX, a, &l->n);
    }
}

static const struct gossip_form keys_form = {keys_put, keys_read};

#define T struct serf_key_response
static const struct gossip_field key_response_fields[] = {
    GOSSIP_FORM(T, keys, "Keys", &keys_form),
    GOSSIP_STR(T, message, "Message", SIZE_ANY, 0),
    GOSSIP_STR(T, primary_key, "PrimaryKey", SIZE_ANY, 0),
    GOSSIP_BOOL(T, result, "Result"),
};
#undef T

void serf_key_request_encode(struct str key, struct buf *to)
{
    struct key_request m = {key};
    GOSSIP_PUT(to, SERF_KEY_REQUEST, key_request_fields, &m);
}

int serf_key_request_decode(struct str s, struct str *ret_key, struct err *err)
{
    struct key_request m;
    int r = GOSSIP_READ(s, key_request_fields, &m, NULL, "key request", err);
    if (r == 0) {
        *ret_key = m.key;
    }
    return r;
}

void serf_key_response_encode(const struct serf_key_response *m, struct buf *to)
{
    GOSSIP_PUT(to, SERF_KEY_RESPONSE, key_response_fields, m);
}

int serf_key_response_decode(struct str s, struct arena *a, struct serf_key_response *ret,
                             struct err *err)
{
    return GOSSIP_READ(s, key_response_fields, ret, a, "key response", err);
}
