/* swim.h - SWIM with Lifeguard, as memberlist 0.2 speaks it: who is there, by probing and gossip.
 *
 *     struct swim *s = swim_new(&options, now_ns);       // options.delegate, options.io
 *     swim_start(s, now_ns);                             // says that it is alive, sets its timers
 *     swim_packet(s, now_ns, &from, bytes);              // a datagram came
 *     swim_tick(s, now_ns);                              // swim_deadline_ns() has passed
 *     swim_join(s, now_ns, &address, token);  ... io->joined(token, err)
 *
 * A pure state machine: no sockets, clock, threads or randomness of its own. Time (monotonic, in
 * ns, never going back) is an argument of everything that may act; randomness a struct rng of the
 * options. What it wants done it says by calling its io (to the sockets) and its delegate (to
 * Serf): these calls come from inside the functions below and borrow what they are given. From
 * inside them the core may be read; and the delegate may call swim_send(), swim_join() and
 * swim_gossip_wake() (but from broadcasts(), local_state() and ack_payload(), which are asked while
 * something is being put together). Everything else must wait until the core has returned.
 *
 * After each function that has now_ns the deadline may be another. After a long pause let the
 * packets that wait come before the tick: what stands in them may spare somebody a suspicion. (A
 * tick that comes late gives suspicions a probe interval more, for the same reason.)
 *
 * A packet costs no allocation but that of a new member or broadcast. Bounded: members
 * (members_max), the broadcast queue (one message for each member), streams and what they have
 * brought, relayed probes under way.
 *
 * The happy path, the failure modes and what differs from the reference: docs/gossip.md. Paper:
 * Das, Gupta, Motivala, "SWIM" (DSN 2002); Dadgar, Phillips, Currey, "Lifeguard" (DSN 2018). */
#pragma once
#include "base/rand.h"
#include "proto/memberlist.h"
#include "proto/seal.h"

struct swim;
struct swim_broadcasts;
struct swim_stream;

#define SWIM_STREAMS_MAX 128u /* taken in at once, as the reference's push/pulls; and made */
#define SWIM_STREAM_BYTES_MAX ((size_t)64 << 20) /* received and not yet whole, of all streams */
#define SWIM_RELAYS_MAX 1024u                    /* indirect probes done for others, under way */
#define SWIM_MEMBERS_MAX 65536u                  /* default of members_max */

/* --- configuration: memberlist's names and defaults ------------------------------------------- */

struct swim_config {
    uint64_t tcp_timeout_ns;
    uint32_t indirect_checks, retransmit_mult, suspicion_mult, suspicion_max_timeout_mult;
    uint64_t push_pull_interval_ns; /* 0: never */
    uint64_t probe_interval_ns, probe_timeout_ns;
    bool disable_tcp_pings;
    uint32_t awareness_max_multiplier;
    uint64_t gossip_interval_ns;
    uint32_t gossip_nodes;
    uint64_t gossip_to_the_dead_ns;
    bool verify_incoming, verify_outgoing; /* with keys: refuse plain text; seal */
    bool enable_compression;
    uint32_t packet_size_max;      /* 1400 */
    uint64_t dead_node_reclaim_ns; /* 0: a dead member's name is not taken by another address */
    bool require_node_names;
};
void swim_config_lan(struct swim_config *c); /* the defaults of a LAN; of a WAN */
void swim_config_wan(struct swim_config *c);

/* --- members ---------------------------------------------------------------------------------- */

struct swim_member {
    struct str name;
    struct gossip_address address;
    struct str meta;
    uint8_t vsn[MEMBERLIST_VSN_SIZE];
    enum memberlist_state state;
    uint32_t incarnation;
    uint64_t state_changed_ns;
};

/* --- to the sockets --------------------------------------------------------------------------- */

struct swim_io {
    /* Send a datagram now (it is copied or gone when this returns). */
    void (*send)(void *data, const struct gossip_address *to, struct str packet);
    /* Connect; then swim_stream_connected() or _failed(), not from inside. */
    void (*dial)(void *data, struct swim_stream *stream, const struct gossip_address *to);
    /* Bytes for a stream; copied. */
    void (*write)(void *data, struct swim_stream *stream, struct str bytes);
    /* The stream is over: what was written still goes out, nothing is to be told any more. The
     * stream is freed when this returns. */
    void (*close)(void *data, struct swim_stream *stream);
    /* The push/pull of swim_join() is done; err NULL: it went well, else memberlist's sentence
     * ("Failed to join 127.0.0.1: ..."). */
    void (*joined)(void *data, uint64_t token, const struct err *err);
    /* swim_leave() is done: the others know (or there are none), or time ran out. */
    void (*left)(void *data, bool timed_out);
};

/* --- to what rides on it (Serf) ----------------------------------------------------------------
 */

enum swim_log { SWIM_LOG_DEBUG, SWIM_LOG_INFO, SWIM_LOG_WARN, SWIM_LOG_ERROR };

struct swim_delegate {
    void (*member_join)(void *data, const struct swim_member *m);   /* new, or back from the dead */
    void (*member_update)(void *data, const struct swim_member *m); /* other meta (or address) */
    void (*member_leave)(void *data, const struct swim_member *m);  /* dead or left: m->state */
    /* Another member claims a name that is taken and alive. */
    void (*conflict)(void *data, const struct swim_member *existing,
                     const struct swim_member *other);
    /* May this one be taken in; may all of a push/pull that joins? Negative: no, err says why. */
    int (*alive)(void *data, const struct swim_member *m, struct err *err);
    int (*merge)(void *data, const struct swim_member *members, size_t count, struct err *err);
    void (*message)(void *data, struct str bytes); /* a USER message */
    /* Messages to be gossiped, for one packet: append to `to` with swim_broadcasts_put(), as long
     * as it returns true. */
    void (*broadcasts)(void *data, struct swim_broadcasts *to);
    /* The user state of a push/pull, appended; and that of the other side. */
    void (*local_state)(void *data, bool join, struct buf *to);
    void (*remote_state)(void *data, bool join, struct str state);
    /* What an acknowledgement carries, and what one carried that came directly. */
    void (*ack_payload)(void *data, struct buf *to);
    void (*ping_complete)(void *data, const struct swim_member *m, uint64_t rtt_ns,
                          struct str payload);
    /* One line for the log, "memberlist: ..."; a trace event. Level and text as memberlist's where
     * it has one. */
    void (*log)(void *data, enum swim_log level, struct str text);
    /* May who has this address be a member, and tell of members? */
    bool (*allowed)(void *data, const struct gossip_address *address);
}; /* each may be NULL: nothing is done, everybody may, nothing is carried */

/* What a packet still has room for, within delegate->broadcasts(). Each message costs its size and
 * SWIM_BROADCAST_OVERHEAD, so with a queue:
 *
 *     broadcast_queue_take(q, limit, SWIM_BROADCAST_OVERHEAD,
 *                          swim_broadcasts_room(to) + SWIM_BROADCAST_OVERHEAD, put, to); */
#define SWIM_BROADCAST_OVERHEAD 3u
bool swim_broadcasts_put(struct swim_broadcasts *to, struct str message);
size_t swim_broadcasts_room(const struct swim_broadcasts *to); /* the longest that would be taken */

/* --- the core -----------------------------------------------------------------------------------
 */

struct swim_options {
    struct swim_config config;
    struct str name;
    struct gossip_address address; /* advertised */
    struct str meta;
    uint8_t vsn[MEMBERLIST_VSN_SIZE];
    struct seal_ring *keys; /* borrowed, may change between calls; NULL or empty: plain text */
    struct rng *rng;        /* borrowed */
    uint32_t members_max;   /* 0: SWIM_MEMBERS_MAX */
    /* Incarnations begin with the next one. Take the time in seconds: then this life is believed at
     * once by who has known another. (0, as memberlist: it must hear of the other first.) */
    uint32_t incarnation;
    const struct swim_io *io;
    void *io_data;
    const struct swim_delegate *delegate;
    void *delegate_data;
};

/* This member is there from now on (swim_self()), dead until swim_start(). */
struct swim *swim_new(const struct swim_options *options, uint64_t now_ns);
struct swim *swim_free(struct swim *s); /* streams are closed, joins answered with ERR_CLOSED */
void swim_start(struct swim *s, uint64_t now_ns);
/* Stop gossiping and probing; streams end. */
void swim_stop(struct swim *s, uint64_t now_ns);

void swim_packet(struct swim *s, uint64_t now_ns, const struct gossip_address *from,
                 struct str bytes);
void swim_tick(struct swim *s, uint64_t now_ns);
uint64_t swim_deadline_ns(const struct swim *s); /* UINT64_MAX: none */

/* A stream that was accepted; NULL when there are too many: close it. */
struct swim_stream *swim_stream_accept(struct swim *s, uint64_t now_ns,
                                       const struct gossip_address *from);
/* What happens to a stream, until io->close() */
void swim_stream_connected(struct swim_stream *st, uint64_t now_ns);
void swim_stream_read(struct swim_stream *st, uint64_t now_ns, struct str bytes);
void swim_stream_eof(struct swim_stream *st, uint64_t now_ns);
void swim_stream_failed(struct swim_stream *st, uint64_t now_ns, const struct err *err);
/* The owner's own, for the sockets. */
void swim_stream_set_data(struct swim_stream *st, void *data);
void *swim_stream_data(const struct swim_stream *st);

/* Push/pull with whoever is at this address; name may be empty. io->joined() follows, not from
 * inside. */
void swim_join(struct swim *s, uint64_t now_ns, const struct gossip_address *to, struct str name,
               uint64_t token);
/* Say that this member leaves; io->left() follows, at once when it is alone. */
void swim_leave(struct swim *s, uint64_t now_ns, uint64_t timeout_ns);
/* Other meta, at most MEMBERLIST_META_SIZE_MAX: gossiped with a new incarnation. */
void swim_update(struct swim *s, uint64_t now_ns, struct str meta);
/* broadcasts() has something to give: gossip, if it rests. Cheap; call it with each message that
 * is queued. */
void swim_gossip_wake(struct swim *s, uint64_t now_ns);
/* A USER message to one member, best effort: by itself in a packet, sealed. */
void swim_send(struct swim *s, uint64_t now_ns, const struct gossip_address *to,
               struct str message);
size_t swim_members_count(const struct swim *s); /* alive or suspect, this one included */
size_t swim_known_count(const struct swim *s);   /* with the dead, as long as they are kept */
const struct swim_member *swim_find(const struct swim *s, struct str name); /* NULL: unknown */
/* Start with *pos = 0; NULL at the end. Nothing may change in between. */
const struct swim_member *swim_next(const struct swim *s, size_t *pos);
/* A member picked at random of those that are wanted; NULL: none was found. */
const struct swim_member *
swim_random(struct swim *s, bool (*wanted)(void *data, const struct swim_member *m), void *data);
const struct swim_member *swim_self(const struct swim *s);
uint32_t swim_health_score(const struct swim *s); /* Lifeguard's: 0 is healthy */

/* Counts since the beginning, for metrics. */
struct swim_stats {
    uint64_t udp_sent, udp_received, udp_sent_bytes, udp_received_bytes;
    uint64_t tcp_accept, tcp_connect, tcp_sent_bytes;
    uint64_t msg_alive, msg_suspect, msg_dead; /* that changed something */
    uint64_t degraded_probe;                   /* probes that an ill health made slower */
    uint64_t degraded_timeout; /* suspicions that ended without all the confirmations wanted */
    uint64_t refuted;
};
const struct swim_stats *swim_stats(const struct swim *s);

/* The time of the function that runs, or ran last: the delegate's calls bring none. */
uint64_t swim_now_ns(const struct swim *s);
/* How many times a broadcast is sent in a pool of n members. */
uint32_t swim_retransmit_limit(uint32_t mult, size_t n);
