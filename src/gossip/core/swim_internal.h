/* swim_internal.h - the state of the SWIM core, which its files share.
 *
 *     swim.c         beginning, end, the clock and the timers' heap
 *     swim_member.c  who is known: the ring, the names, picks at random
 *     swim_state.c   what is said of members: alive, suspect, dead, refuted
 *     swim_probe.c   probes of ours, and those done for others
 *     swim_gossip.c  news: when, to whom; leaving, other meta
 *     swim_packet.c  datagrams in and out
 *     swim_stream.c  streams; swim_push_pull.c what goes over them
 *     swim_scale.c   the formulas; swim_address.c what is public */
#pragma once
#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"
#include "gossip/core/broadcast.h"
#include "gossip/core/swim.h"

#define SWIM_NS_PER_MS UINT64_C(1000000)
#define SWIM_NEVER UINT64_MAX
/* A member that left is remembered so long (a dead one: gossip_to_the_dead), so that nobody who has
 * missed it brings it back; less when half of members_max is taken. */
#define SWIM_LEFT_KEPT_NS (UINT64_C(24) * 3600 * 1000 * SWIM_NS_PER_MS)

/* --- timers --- */

struct swim_timer {
    uint64_t at_ns, sequence;
    size_t place; /* in the heap, from 1; 0: not set */
    void (*fire)(struct swim *s, struct swim_timer *t);
};

void swim_timer_set(struct swim *s, struct swim_timer *t, uint64_t at_ns,
                    void (*fire)(struct swim *s, struct swim_timer *t));
void swim_timer_stop(struct swim *s, struct swim_timer *t);

/* --- members --- */

struct swim_suspicion {
    struct swim_timer timer;
    struct swim_node *node;
    uint64_t started_ns, end_ns, min_ns, max_ns;
    uint64_t asked_ns;          /* when it was told; 0: not yet */
    uint32_t wanted, confirmed; /* confirmations */
    struct str from[];          /* who suspects, wanted + 1 at most; the first began it */
};

struct swim_node {
    struct swim_member pub; /* name behind the struct; meta by itself */
    size_t place;           /* in the ring */
    struct swim_suspicion *suspicion;
};

struct swim_picks {
    struct swim_node **v;
    size_t n, cap;
};

/* --- probes --- */

struct swim_probe {
    struct swim_timer timer;
    struct swim_node *node; /* NULL: none under way */
    uint32_t seq, incarnation;
    uint64_t sent_ns, deadline_ns;
    uint32_t nacks, nacks_wanted;
    struct swim_stream *stream; /* the ping over TCP, while it is under way */
    bool is_contacted;          /* it was answered */
};

struct swim_relay {
    struct swim_timer timer;
    struct gossip_address to;
    uint64_t end_ns;
    uint32_t seq;       /* of our ping; 0: free */
    uint32_t asked_seq; /* of who asked */
    bool is_named, is_summed;
};

/* --- streams --- */

enum swim_stream_kind { SWIM_STREAM_IN, SWIM_STREAM_PUSH_PULL, SWIM_STREAM_JOIN, SWIM_STREAM_PING };

struct swim_stream {
    struct list link;
    struct swim *swim;
    enum swim_stream_kind kind;
    struct swim_timer timer;
    struct gossip_address address;
    struct str name; /* behind the struct */
    uint64_t token;
    uint32_t seq;
    bool is_connected;
    bool is_dialed; /* or accepted: the sockets know of it */
    struct buf in;
    size_t need; /* bytes of `in` before it is worth looking */
    struct memberlist_stream reader;
    struct err err;
    void *data;
};

/* --- packets --- */

/* What is being put together: messages one behind the other, then the layers around them. */
struct swim_out {
    struct buf messages, compound, packed, summed, sealed;
    struct {
        size_t at, size;
    } parts[MEMBERLIST_PARTS_MAX];
    size_t count, done; /* bytes of `messages` that are parts */
};

struct swim_broadcasts {
    struct swim *swim;
    size_t room; /* with the overhead of a message */
    size_t count;
};

/* --- the core --- */

struct swim {
    struct swim_config config;
    struct gossip_address address;
    uint8_t vsn[MEMBERLIST_VSN_SIZE];
    struct seal_ring *keys;
    struct rng *rng;
    uint32_t members_max;
    const struct swim_io *io;
    void *io_data;
    struct swim_delegate delegate;
    void *delegate_data;

    uint64_t now_ns;
    bool is_started, is_stopped;
    VEC(struct swim_timer *) timers;
    uint64_t timers_sequence;
    uint64_t spared_until_ns; /* after a pause: no suspicion, no probe ends before */

    VEC(struct swim_node *) ring; /* in the order of probing */
    struct map by_name;
    size_t live_count; /* alive or suspect */
    struct swim_node *self;
    struct swim_picks picks;

    uint32_t incarnation, seq, health;
    struct broadcast_queue *queue;
    struct buf note; /* a message on its way into the queue */

    struct swim_timer probe_timer, gossip_timer, push_pull_timer, leave_timer;
    struct swim_probe probe;
    size_t probe_place;       /* in the ring */
    bool is_probe_due;        /* the last one took too long */
    uint64_t gossip_first_ns; /* gossip's times are that many intervals from here */
    bool is_leaving, is_leave_told;
    struct swim_relay *relays; /* [SWIM_RELAYS_MAX] by seq; made when first needed */

    struct list streams;
    size_t streams_in, streams_out, stream_bytes;

    struct swim_out out;
    struct buf opened;
    struct arena arena; /* of what is being read */
    struct memberlist_parts parts;
    struct buf line; /* of the log */
    struct swim_stats stats;
};

/* swim.c */
void swim_log(struct swim *s, enum swim_log level, const char *format, ...) PRINTF(3, 4);
/* "127.0.0.1:8301", for a line of the log. */
struct swim_address_text {
    char z[64];
};
struct swim_address_text swim_address_text(const struct gossip_address *a);
#define ADDRESS(a) swim_address_text(a).z
void swim_health_change(struct swim *s, int64_t delta);

/* swim_member.c */
struct swim_node *swim_node_add(struct swim *s, struct str name,
                                const struct gossip_address *address);
void swim_node_free(struct swim_node *n);
struct swim_node *swim_node_find(const struct swim *s, struct str name);
void swim_node_set_state(struct swim *s, struct swim_node *n, enum memberlist_state state);
void swim_node_set_meta(struct swim_node *n, struct str meta);
bool swim_node_is_live(const struct swim_node *n);
/* Up to `count` different ones, at random, that are wanted. */
void swim_pick(struct swim *s, size_t count, struct swim_picks *to,
               bool (*wanted)(const struct swim *s, const struct swim_node *n, const void *data),
               const void *data);
/* Forget the dead whose time is over, and shuffle. */
void swim_ring_renew(struct swim *s);

/* swim_state.c */
void swim_on_alive(struct swim *s, const struct memberlist_alive *a, bool is_own);
void swim_on_suspect(struct swim *s, const struct memberlist_suspect *m);
void swim_on_dead(struct swim *s, const struct memberlist_suspect *m);
/* Who accuses this agent of something that it has refuted, now or long ago: tell him at once. */
void swim_answer_accuser(struct swim *s, const struct memberlist_suspect *m,
                         const struct gossip_address *from);
void swim_suspicion_end(struct swim *s, struct swim_node *n);
uint32_t swim_incarnation_next(struct swim *s);

/* swim_probe.c */
void swim_probe_start(struct swim *s);
void swim_probe_stop(struct swim *s);
void swim_on_ping(struct swim *s, const struct memberlist_ping *m,
                  const struct gossip_address *from);
void swim_on_indirect_ping(struct swim *s, const struct memberlist_indirect_ping *m,
                           const struct gossip_address *from);
void swim_on_ack(struct swim *s, const struct memberlist_ack *m);
void swim_on_nack(struct swim *s, uint32_t seq);

/* swim_gossip.c */
void swim_gossip_start(struct swim *s);
void swim_gossip_arm(struct swim *s); /* there is news */
/* Queue what s->note holds, under a member's name. */
void swim_note_put(struct swim *s, struct str name, void (*done)(void *data));
void swim_left(struct swim *s, bool timed_out);
void swim_leave_sent(void *data); /* of a broadcast */

/* swim_packet.c */
/* A packet: begin; encode into out.messages, then part, for each message; fill up; send. */
void swim_packet_begin(struct swim *s);
void swim_packet_part(struct swim *s);
/* Broadcasts for `room` bytes, memberlist's, then the delegate's; how many. */
size_t swim_packet_fill(struct swim *s, ptrdiff_t room);
/* The room that one message beginning a packet leaves. */
ptrdiff_t swim_packet_room(const struct swim *s);
/* is_named: the receiver's name is known. is_summed: it speaks protocol 5. */
bool swim_packet_send(struct swim *s, const struct gossip_address *to, bool is_named,
                      bool is_summed);
/* A message that is out.messages, with broadcasts. */
bool swim_packet_send_message(struct swim *s, const struct gossip_address *to, bool is_named,
                              bool is_summed);
bool swim_node_is_summed(const struct swim_node *n); /* NULL: no */
bool swim_is_sealing(const struct swim *s);
#define SWIM_NO_NAME "memberlist: node names are required by configuration but one was not provided"

/* swim_stream.c */
struct swim_stream *swim_stream_dial(struct swim *s, enum swim_stream_kind kind,
                                     const struct gossip_address *to, struct str name,
                                     uint64_t deadline_ns);
/* A message, in all its layers. */
void swim_stream_send(struct swim_stream *st, struct str message);
void swim_stream_end(struct swim_stream *st); /* without a word */
void swim_streams_close(struct swim *s);

/* swim_push_pull.c */
void swim_push_pull_start(struct swim *s);
void swim_push_pull_encode(struct swim *s, bool join, struct buf *to);
/* join: this push/pull is one's way in. What is negative has changed nothing. */
NODISCARD int swim_push_pull_merge(struct swim *s, const struct memberlist_push_pull *m, bool join,
                                   struct err *err);

/* swim_scale.c */
uint64_t swim_suspicion_timeout(uint32_t mult, size_t n, uint64_t interval_ns);
/* How long a suspicion lasts from its beginning with so many of the confirmations wanted. */
uint64_t swim_suspicion_span(uint32_t confirmed, uint32_t wanted, uint64_t min_ns, uint64_t max_ns);
uint64_t swim_push_pull_scale(uint64_t interval_ns, size_t n);

/* swim_address.c */
bool swim_address_is_public(const struct gossip_address *a);
