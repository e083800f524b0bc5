/* What a stream carries: a type byte and a map, behind which there may be more:
 *
 *     PUSH_PULL   {Join, Nodes, UserStateLen}, as many maps as Nodes says, the user state
 *     USER        {UserMsgLen}, the bytes
 *
 * Only the sizes of PUSH_PULL's maps are not said before; to find their end they are scanned as
 * they come, and read when everything is there. */
#include "base/arena.h"
#include "proto/gossip_fields.h"
#include "proto/memberlist_priv.h"

/* What a state takes in a push/pull, names of its fields and all, bounds how many there can be. */
#define NODE_STATE_SIZE_MIN 32u

struct header {
    uint64_t nodes_count, user_size;
    bool join;
};

#define T struct header
static const struct gossip_field push_pull_fields[] = {
    GOSSIP_BOOL(T, join, "Join"),
    GOSSIP_UINT(T, nodes_count, "Nodes", MEMBERLIST_PLAIN_SIZE_MAX, 0),
    GOSSIP_UINT(T, user_size, "UserStateLen", MEMBERLIST_PLAIN_SIZE_MAX, 0),
};
static const struct gossip_field user_fields[] = {
    GOSSIP_UINT(T, user_size, "UserMsgLen", MEMBERLIST_PLAIN_SIZE_MAX, 0),
};
#undef T

/* --- writing --------------------------------------------------------------------------------- */

void memberlist_push_pull_encode(const struct memberlist_push_pull *m, struct buf *to)
{
    struct header h = {m->nodes_count, m->user_state.n, m->join};
    buf_byte(to, MEMBERLIST_PUSH_PULL);
    gossip_fields_put(to, push_pull_fields, ARRAY_SIZE(push_pull_fields), &h);
    for (size_t i = 0; i < m->nodes_count; i++) {
        memberlist_node_state_put(&m->nodes[i], to);
    }
    buf_str(to, m->user_state);
}

void memberlist_user_stream_encode(struct str bytes, struct buf *to)
{
    struct header h = {.user_size = bytes.n};
    buf_byte(to, MEMBERLIST_USER);
    gossip_fields_put(to, user_fields, ARRAY_SIZE(user_fields), &h);
    buf_str(to, bytes);
}

/* --- reading --------------------------------------------------------------------------------- */

enum step { STEP_TYPE, STEP_HEADER, STEP_NODES, STEP_TAIL };

static int step_type(struct memberlist_stream *s, struct str bytes, struct err *err)
{
    uint8_t type = (uint8_t)bytes.p[0];
    switch (type) {
    case MEMBERLIST_PING:
    case MEMBERLIST_ACK:
    case MEMBERLIST_PUSH_PULL:
    case MEMBERLIST_USER:
    case MEMBERLIST_COMPRESS:
    case MEMBERLIST_ERROR:
        break;
    default:
        return err_set(err, ERR_INVALID, "Received invalid msgType (%u)", type);
    }
    msgpack_scan_begin(&s->scan, 1, 1, MEMBERLIST_PLAIN_SIZE_MAX);
    s->step = STEP_HEADER;
    return 1;
}

static int step_header(struct memberlist_stream *s, struct str bytes, struct err *err)
{
    struct header h = {0};
    struct cur c = cur_make(str_from(str_first(bytes, s->scan.at), 1));
    int r = 0;
    if (bytes.p[0] == MEMBERLIST_PUSH_PULL) {
        r = gossip_fields_read(&c, push_pull_fields, ARRAY_SIZE(push_pull_fields), &h, NULL,
                               "push/pull header", err);
    } else if (bytes.p[0] == MEMBERLIST_USER) {
        r = gossip_fields_read(&c, user_fields, ARRAY_SIZE(user_fields), &h, NULL,
                               "user message header", err);
    }
    if (r < 0) {
        return r;
    }
    s->header_size = s->scan.at;
    s->nodes_count = h.nodes_count;
    s->tail_size = h.user_size;
    s->join = h.join;
    msgpack_scan_begin(&s->scan, s->header_size, h.nodes_count, MEMBERLIST_PLAIN_SIZE_MAX);
    s->step = STEP_NODES;
    return 1;
}

/* As far as the bytes go: 1 when the values that were asked for are there. */
static int scan_on(struct memberlist_stream *s, struct str bytes, struct err *err)
{
    int r = msgpack_scan(&s->scan, bytes);
    if (r >= 0) {
        /* Each value still to come has a byte at least. */
        s->need = s->scan.at + s->scan.left + s->tail_size;
        s->need = r == 0 ? MAX(bytes.n + 1, s->need) : s->need;
    }
    if (r == -ERR_TOO_LARGE || (r >= 0 && s->need > MEMBERLIST_PLAIN_SIZE_MAX)) {
        return err_set(err, ERR_TOO_LARGE, "a message of more than %zu bytes",
                       MEMBERLIST_PLAIN_SIZE_MAX);
    }
    return r < 0 ? err_set(err, ERR_INVALID, "malformed message (%zu bytes)", bytes.n) : r;
}

static int push_pull_read(const struct memberlist_stream *s, struct str nodes, struct arena *a,
                          struct memberlist_push_pull *m, struct err *err)
{
    struct cur c = cur_make(nodes);
    if (s->nodes_count > nodes.n / NODE_STATE_SIZE_MIN) {
        return err_set(err, ERR_INVALID, "malformed push/pull: %llu nodes in %zu bytes",
                       (unsigned long long)s->nodes_count, nodes.n);
    }
    m->join = s->join;
    m->nodes_count = s->nodes_count;
    m->nodes = ARENA_ARRAY(a, struct memberlist_node_state, m->nodes_count);
    for (size_t i = 0; i < m->nodes_count; i++) {
        int r = memberlist_node_state_read(&c, &m->nodes[i], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int compressed_open(struct str body, struct arena *a, struct memberlist_stream_message *ret,
                           struct err *err)
{
    struct str plain;
    int r = memberlist_decompress(body, MEMBERLIST_PLAIN_SIZE_MAX, a, &plain, err);
    if (r < 0) {
        return r;
    }
    if (plain.n > 0 && plain.p[0] == MEMBERLIST_COMPRESS) {
        return err_set(err, ERR_INVALID, "a compressed message within another");
    }
    struct memberlist_stream inner = {0};
    r = memberlist_stream_open(&inner, plain, a, ret, err);
    return r == 0 ? err_set(err, ERR_INVALID, "a compressed message ends too soon") : r;
}

static int whole_read(const struct memberlist_stream *s, struct str bytes, struct arena *a,
                      struct memberlist_stream_message *ret, struct err *err)
{
    struct memberlist_stream_message m = {.type = (enum memberlist_type)bytes.p[0]};
    struct str header = str_from(str_first(bytes, s->header_size), 1);
    struct str nodes = str_from(str_first(bytes, s->scan.at), s->header_size);
    struct str tail = str_first(str_from(bytes, s->scan.at), s->tail_size);
    int r = 0;
    switch (m.type) {
    case MEMBERLIST_COMPRESS:
        return compressed_open(header, a, ret, err);
    case MEMBERLIST_PUSH_PULL:
        r = push_pull_read(s, nodes, a, &m.push_pull, err);
        m.push_pull.user_state = tail;
        break;
    case MEMBERLIST_USER:
        m.body = tail;
        break;
    default:
        m.body = header;
    }
    if (r < 0) {
        return r;
    }
    *ret = m;
    return 1;
}

int memberlist_stream_open(struct memberlist_stream *s, struct str bytes, struct arena *a,
                           struct memberlist_stream_message *ret, struct err *err)
{
    int r = 1;
    if (bytes.n == 0) {
        s->need = 1;
        return 0;
    }
    if (s->step == STEP_TYPE) {
        r = step_type(s, bytes, err);
    }
    if (r == 1 && s->step == STEP_HEADER && (r = scan_on(s, bytes, err)) == 1) {
        r = step_header(s, bytes, err);
    }
    if (r == 1 && s->step == STEP_NODES && (r = scan_on(s, bytes, err)) == 1) {
        s->step = STEP_TAIL;
    }
    if (r == 1 && bytes.n < s->need) {
        r = 0;
    }
    return r == 1 ? whole_read(s, bytes, a, ret, err) : r;
}
