/* Datagrams. Out: one message or a compound of them, filled up with broadcasts; compressed when
 * that makes it smaller; summed, for members that know of it; sealed, with a key. In: the same
 * backwards, then each message to whom it concerns. The buffers are kept: nothing is allocated.
 *
 * The room for broadcasts is reckoned as memberlist does, before compression and without the
 * checksum: a packet may get five bytes longer than packet_size_max, and a message that fits into
 * the packets of one agent fits into those of all. */
#include "gossip/core/swim_internal.h"

/* Of alive, suspect and dead: their fields' names alone are longer. So those that fit into a packet
 * of any size are not too many for a compound. */
#define MESSAGE_SIZE_MIN 20u

/* --- out --- */

void swim_packet_begin(struct swim *s)
{
    buf_clear(&s->out.messages);
    s->out.count = s->out.done = 0;
}

void swim_packet_part(struct swim *s)
{
    struct swim_out *o = &s->out;
    ASSERT(o->count < MEMBERLIST_PARTS_MAX);
    o->parts[o->count].at = o->done;
    o->parts[o->count].size = o->messages.n - o->done;
    o->count++;
    o->done = o->messages.n;
}

bool swim_node_is_summed(const struct swim_node *n)
{
    return n != NULL && n->pub.vsn[1] >= 5;
}

bool swim_is_sealing(const struct swim *s)
{
    return s->config.verify_outgoing && s->keys != NULL && seal_ring_count(s->keys) > 0;
}

ptrdiff_t swim_packet_room(const struct swim *s)
{
    return (ptrdiff_t)s->config.packet_size_max - (ptrdiff_t)s->out.messages.n -
           (ptrdiff_t)(MEMBERLIST_COMPOUND_HEADER + s->out.count * MEMBERLIST_COMPOUND_PART) -
           (swim_is_sealing(s) ? (ptrdiff_t)SEAL_OVERHEAD : 0);
}

static void fill_put(void *data, struct str message)
{
    struct swim *s = data;
    buf_str(&s->out.messages, message);
    swim_packet_part(s);
}

size_t swim_broadcasts_room(const struct swim_broadcasts *to)
{
    return to->room > SWIM_BROADCAST_OVERHEAD && to->swim->out.count < MEMBERLIST_PARTS_MAX
               ? to->room - SWIM_BROADCAST_OVERHEAD
               : 0;
}

bool swim_broadcasts_put(struct swim_broadcasts *to, struct str message)
{
    struct swim *s = to->swim;
    if (message.n == 0 || message.n > swim_broadcasts_room(to)) {
        return false;
    }
    buf_byte(&s->out.messages, MEMBERLIST_USER);
    buf_str(&s->out.messages, message);
    swim_packet_part(s);
    to->room -= SWIM_BROADCAST_OVERHEAD + message.n;
    to->count++;
    return true;
}

size_t swim_packet_fill(struct swim *s, ptrdiff_t room)
{
    if (room <= 0) {
        return 0;
    }
    size_t before = s->out.done, first = s->out.count;
    uint32_t limit = swim_retransmit_limit(s->config.retransmit_mult, s->ring.n);
    size_t most = (MEMBERLIST_PARTS_MAX - first) * MESSAGE_SIZE_MIN;
    size_t count = broadcast_queue_take(s->queue, limit, MEMBERLIST_COMPOUND_PART,
                                        MIN((size_t)room, most), fill_put, s);
    room -= (ptrdiff_t)(s->out.done - before + (s->out.count - first) * MEMBERLIST_COMPOUND_PART);
    struct swim_broadcasts more = {s, (size_t)MAX(room, 0), 0};
    if (s->delegate.broadcasts != NULL && swim_broadcasts_room(&more) > 0) {
        s->delegate.broadcasts(s->delegate_data, &more);
    }
    if (more.count > 0 || broadcast_queue_count(s->queue) > 0) {
        swim_gossip_arm(s);
    }
    return count + more.count;
}

/* A layer: clear the buffer it goes into. */
static struct buf *layer(struct buf *b)
{
    buf_clear(b);
    return b;
}

static struct str packet_body(struct swim *s)
{
    struct swim_out *o = &s->out;
    struct str messages[MEMBERLIST_PARTS_MAX];
    for (size_t i = 0; i < o->count; i++) {
        messages[i] = str_make(o->messages.p + o->parts[i].at, o->parts[i].size);
    }
    if (o->count == 1) {
        return messages[0];
    }
    memberlist_compound_encode(messages, o->count, layer(&o->compound));
    return buf_view(&o->compound);
}

bool swim_packet_send(struct swim *s, const struct gossip_address *to, bool is_named,
                      bool is_summed)
{
    struct swim_out *o = &s->out;
    if (!is_named && s->config.require_node_names) {
        return false;
    }
    struct str bytes = packet_body(s);
    if (s->config.enable_compression && memberlist_compress(bytes, layer(&o->packed))) {
        bytes = buf_view(&o->packed);
    }
    if (is_summed) {
        memberlist_crc_encode(bytes, layer(&o->summed));
        bytes = buf_view(&o->summed);
    }
    if (swim_is_sealing(s)) {
        uint8_t nonce[SEAL_NONCE_SIZE];
        rng_bytes(s->rng, nonce, sizeof(nonce));
        seal_packet(s->keys, nonce, bytes, layer(&o->sealed));
        bytes = buf_view(&o->sealed);
    }
    s->stats.udp_sent++;
    s->stats.udp_sent_bytes += bytes.n;
    s->io->send(s->io_data, to, bytes);
    return true;
}

bool swim_packet_send_message(struct swim *s, const struct gossip_address *to, bool is_named,
                              bool is_summed)
{
    ptrdiff_t room = swim_packet_room(s);
    if (!is_named && s->config.require_node_names) {
        return false; /* before broadcasts are taken for it */
    }
    swim_packet_part(s);
    (void)swim_packet_fill(s, room);
    return swim_packet_send(s, to, is_named, is_summed);
}

void swim_send(struct swim *s, uint64_t now_ns, const struct gossip_address *to, struct str message)
{
    s->now_ns = MAX(s->now_ns, now_ns);
    if (s->is_stopped) {
        return;
    }
    swim_packet_begin(s);
    buf_byte(&s->out.messages, MEMBERLIST_USER);
    buf_str(&s->out.messages, message);
    swim_packet_part(s);
    (void)swim_packet_send(s, to, true, false);
}

/* --- in --- */

static void on_alive(struct swim *s, struct memberlist_alive *a, const struct gossip_address *from)
{
    if (s->delegate.allowed != NULL && !s->delegate.allowed(s->delegate_data, from)) {
        swim_log(s, SWIM_LOG_DEBUG, "Blocked alive message: the address is not allowed from=%s",
                 ADDRESS(from));
        return;
    }
    if (a->address.port == 0) {
        a->address.port = s->address.port; /* of the first version of the protocol */
    }
    swim_on_alive(s, a, false);
}

/* One message; negative when it cannot be read. */
static int on_part(struct swim *s, const struct memberlist_part *part,
                   const struct gossip_address *from, struct err *err)
{
    union {
        struct memberlist_ping ping;
        struct memberlist_indirect_ping indirect;
        struct memberlist_ack ack;
        struct memberlist_suspect suspect;
        struct memberlist_alive alive;
        uint32_t seq;
    } m;
    const char *what = "message";
    int r = 0;
    switch (part->type) {
    case MEMBERLIST_PING:
        what = "ping request";
        r = memberlist_ping_decode(part->body, &m.ping, err);
        if (r >= 0) {
            swim_on_ping(s, &m.ping, from);
        }
        break;
    case MEMBERLIST_INDIRECT_PING:
        what = "indirect ping request";
        r = memberlist_indirect_ping_decode(part->body, &m.indirect, err);
        if (r >= 0) {
            swim_on_indirect_ping(s, &m.indirect, from);
        }
        break;
    case MEMBERLIST_ACK:
        what = "ack response";
        r = memberlist_ack_decode(part->body, &m.ack, err);
        if (r >= 0) {
            swim_on_ack(s, &m.ack);
        }
        break;
    case MEMBERLIST_NACK:
        what = "nack response";
        r = memberlist_nack_decode(part->body, &m.seq, err);
        if (r >= 0) {
            swim_on_nack(s, m.seq);
        }
        break;
    case MEMBERLIST_SUSPECT:
        what = "suspect message";
        r = memberlist_suspect_decode(part->body, &m.suspect, err);
        if (r >= 0) {
            swim_on_suspect(s, &m.suspect);
            swim_answer_accuser(s, &m.suspect, from);
        }
        break;
    case MEMBERLIST_ALIVE:
        what = "alive message";
        r = memberlist_alive_decode(part->body, &m.alive, err);
        if (r >= 0) {
            on_alive(s, &m.alive, from);
        }
        break;
    case MEMBERLIST_DEAD:
        what = "dead message";
        r = memberlist_suspect_decode(part->body, &m.suspect, err);
        if (r >= 0) {
            swim_on_dead(s, &m.suspect);
            swim_answer_accuser(s, &m.suspect, from);
        }
        break;
    case MEMBERLIST_USER:
        if (s->delegate.message != NULL) {
            s->delegate.message(s->delegate_data, part->body);
        }
        break;
    case MEMBERLIST_PUSH_PULL:
    case MEMBERLIST_COMPOUND:
    case MEMBERLIST_COMPRESS:
    case MEMBERLIST_ENCRYPT:
    case MEMBERLIST_HAS_CRC:
    case MEMBERLIST_ERROR:
        return err_set(err, ERR_INVALID, "msg type (%u) not supported", part->type);
    }
    return r < 0 ? err_wrap(err, "Failed to decode %s", what) : 0;
}

/* False: it is not for us. */
static bool packet_unseal(struct swim *s, struct str bytes, const struct gossip_address *from,
                          struct str *ret)
{
    struct err err = {0};
    *ret = bytes;
    if (s->keys == NULL || seal_ring_count(s->keys) == 0) {
        return true;
    }
    buf_clear(&s->opened);
    if (seal_packet_open(s->keys, bytes, &s->opened, &err) >= 0) {
        *ret = buf_view(&s->opened);
        return true;
    }
    if (s->config.verify_incoming) {
        swim_log(s, SWIM_LOG_ERROR, "Decrypt packet failed: %s from=%s", err_text(&err),
                 ADDRESS(from));
        return false;
    }
    return true;
}

void swim_packet(struct swim *s, uint64_t now_ns, const struct gossip_address *from,
                 struct str bytes)
{
    struct err err = {0};
    struct str plain;
    s->now_ns = MAX(s->now_ns, now_ns);
    s->stats.udp_received++;
    s->stats.udp_received_bytes += bytes.n;
    if (!s->is_started || s->is_stopped || bytes.n > MEMBERLIST_PACKET_SIZE_MAX ||
        !packet_unseal(s, bytes, from, &plain)) {
        return;
    }
    if (memberlist_packet_open(plain, &s->arena, &s->parts, &err) < 0) { /* from there on */
        swim_log(s, SWIM_LOG_ERROR, "%s from=%s", err_text(&err), ADDRESS(from));
    }
    if (s->parts.truncated > 0) {
        swim_log(s, SWIM_LOG_WARN, "Compound request had %zu truncated messages from=%s",
                 s->parts.truncated, ADDRESS(from));
    }
    for (size_t i = 0; i < s->parts.count && !s->is_stopped; i++) {
        if (on_part(s, &s->parts.v[i], from, &err) < 0) {
            swim_log(s, SWIM_LOG_ERROR, "%s from=%s", err_text(&err), ADDRESS(from));
        }
    }
    arena_reset(&s->arena);
}
