/* Any bytes as datagrams and streams to a SWIM core that has members. The input is a sequence of
 * actions: a byte that says what, a byte of how much, the bytes.
 *
 *     0 datagram   1 what comes on an accepted stream   2 its end   3 what comes on a stream of
 * ours 4 its end    5 time passes                        6 a message of a known kind for a member
 */
#include "base/err.h"
#include "base/mem.h"
#include "gossip/core/swim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct target {
    struct swim *swim;
    struct swim_stream *in, *out;
    bool is_connected; /* out */
    uint64_t now_ns;
};

static void io_send(void *data, const struct gossip_address *to, struct str packet)
{
    (void)data;
    ASSERT(packet.n > 0 && (to->size == 4 || to->size == 16));
}

static void io_dial(void *data, struct swim_stream *stream, const struct gossip_address *to)
{
    struct target *t = data;
    (void)to;
    if (t->out == NULL) {
        t->out = stream;
        t->is_connected = false;
    }
}

static void io_write(void *data, struct swim_stream *stream, struct str bytes)
{
    (void)data;
    (void)stream;
    ASSERT(bytes.n > 0);
}

static void io_close(void *data, struct swim_stream *stream)
{
    struct target *t = data;
    t->in = t->in == stream ? NULL : t->in;
    t->out = t->out == stream ? NULL : t->out;
}

static void look(void *data, const struct swim_member *m)
{
    (void)data;
    ASSERT(m->name.n > 0 && m->name.n <= MEMBERLIST_NAME_SIZE_MAX);
    ASSERT(m->meta.n <= MEMBERLIST_META_SIZE_MAX && m->address.size > 0);
}

static const struct swim_io io = {
    .send = io_send, .dial = io_dial, .write = io_write, .close = io_close};
static const struct swim_delegate delegate = {
    .member_join = look, .member_update = look, .member_leave = look};

static void known_message(struct target *t, const struct gossip_address *from, uint8_t kind,
                          uint8_t amount)
{
    struct buf b = {0};
    struct memberlist_suspect m = {
        .incarnation = amount, .node = STR("m1"), .from = amount % 2 ? STR("m1") : STR("m2")};
    struct memberlist_alive a = {.incarnation = amount,
                                 .node = amount % 3 ? STR("m1") : STR("self"),
                                 .address = *from,
                                 .vsn = {1, 5, 2, 2, 5, 4},
                                 .has_vsn = true};
    if (amount % 5 == 0) {
        m.node = STR("self");
    }
    if (kind % 3 == 0) {
        memberlist_alive_encode(&a, &b);
    } else {
        (kind % 3 == 1 ? memberlist_suspect_encode : memberlist_dead_encode)(&m, &b);
    }
    swim_packet(t->swim, t->now_ns, from, buf_view(&b));
    buf_deinit(&b);
}

static void act(struct target *t, uint8_t what, uint8_t amount, struct str bytes)
{
    struct gossip_address from = {{10, 0, 0, 1}, 4, 8301};
    switch (what % 8) {
    case 1:
        t->in = t->in != NULL ? t->in : swim_stream_accept(t->swim, t->now_ns, &from);
        if (t->in != NULL) {
            swim_stream_read(t->in, t->now_ns, bytes);
        }
        break;
    case 2:
        if (t->in != NULL) {
            swim_stream_eof(t->in, t->now_ns);
        }
        break;
    case 3:
        if (t->out == NULL) {
            swim_join(t->swim, t->now_ns, &from, STR("m1"), 1);
        }
        if (t->out != NULL && !t->is_connected) {
            t->is_connected = true;
            swim_stream_connected(t->out, t->now_ns);
        }
        if (t->out != NULL) {
            swim_stream_read(t->out, t->now_ns, bytes);
        }
        break;
    case 4:
        if (t->out != NULL) {
            swim_stream_eof(t->out, t->now_ns);
        }
        break;
    case 5:
        t->now_ns += (uint64_t)amount * 50000000u;
        swim_tick(t->swim, t->now_ns);
        break;
    case 6:
        known_message(t, &from, bytes.n > 0 ? (uint8_t)bytes.p[0] : 0, amount);
        break;
    default:
        swim_packet(t->swim, t->now_ns, &from, bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cur c = cur_make(str_make(data, size));
    struct rng rng;
    struct target t = {.now_ns = 1000000000u};
    struct swim_options o = {.name = STR("self"),
                             .address = {{10, 0, 0, 9}, 4, 8301},
                             .vsn = {1, 5, 2, 2, 5, 4},
                             .rng = &rng,
                             .members_max = 64,
                             .io = &io,
                             .io_data = &t,
                             .delegate = &delegate,
                             .delegate_data = &t};
    uint8_t flags = cur_u8(&c);
    struct seal_ring *keys = seal_ring_new();
    rng_seed(&rng, flags);
    swim_config_lan(&o.config);
    o.config.verify_incoming = (flags & 1) != 0;
    o.config.enable_compression = (flags & 2) != 0;
    if ((flags & 4) != 0) {
        ASSERT(seal_ring_add(keys, STR("0123456789abcdef"), NULL) >= 0);
    }
    o.keys = keys;
    t.swim = swim_new(&o, t.now_ns);
    swim_start(t.swim, t.now_ns);
    while (cur_left(&c) >= 2) {
        uint8_t what = cur_u8(&c), amount = cur_u8(&c);
        /* High bits of `what` make it longer, so that a push/pull finds room. */
        size_t n = MIN((size_t)amount + (size_t)(what >> 3) * 256, cur_left(&c));
        act(&t, what, amount, cur_take(&c, n));
    }
    (void)swim_free(t.swim);
    seal_ring_free(keys);
    return 0;
}
