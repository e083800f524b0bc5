/* serf.h - Serf 0.9 on SWIM: members with tags and statuses, intents to leave, user events,
 * queries, keys, coordinates.
 *
 *     r = serf_check(&options, &err);
 *     struct serf *s = serf_new(&options, now_ns);
 *     serf_start(s, now_ns, &recovered);                  // clocks of the snapshot file
 *     swim_packet(serf_swim(s), ...); serf_tick(s, ...);  // the sockets' side
 *     serf_user_event(s, now_ns, name, payload, coalesce, &err);
 *     serf_query(s, now_ns, &params, &my_query, &err); ... my_query.answer(), my_query.done()
 *
 * A pure core like the swim it owns (swim.h says how time, randomness and calls go). Events,
 * acknowledgements and answers come from inside its functions and swim's, one by one and in order;
 * what handles them may read, answer a query, and close its own, but must not change anything else
 * from there. Joins are answered as in swim. left(), and done() of a query or of keys, come from
 * serf_tick(), serf_stop() and serf_free() alone: call what you like there but serf_free(), and
 * nothing when it comes from that.
 *
 * Lamport times order the intents, events and queries: an older intent than a member's last is
 * nothing new; of events and queries, the last SERF_EVENT_BUFFER and SERF_QUERY_BUFFER times are
 * remembered so that each is taken once.
 *
 * Bounded: members, and intents of who is no member, as in swim; events by SERF_EVENTS_SIZE_MAX
 * (what does not fit any more counts as old); queries of one time by SERF_QUERIES_AT_MAX; queries
 * of ours under way by SERF_QUERIES_MAX; what waits for the next tick by SERF_TODO_MAX; the three
 * broadcast queues by max(min_queue_depth, twice the members). */
#pragma once
#include "base/err.h"
#include "gossip/core/swim.h"
#include "proto/serf.h"
#include "schema/member.h"

struct serf;

#define SERF_PROTOCOL_MIN 2u /* what Serf calls its protocol; memberlist's delegate version */
#define SERF_PROTOCOL_MAX 5u
#define SERF_PROTOCOL 4u /* what Consul 1.10.3 sets */
#define SERF_EVENT_BUFFER 512u
#define SERF_QUERY_BUFFER 512u
#define SERF_EVENTS_SIZE_MAX ((size_t)4 << 20)
#define SERF_QUERIES_AT_MAX 1024u
#define SERF_QUERIES_MAX 256u
#define SERF_TODO_MAX 1024u
#define SERF_KEY_WRITES_MAX 64u /* of the key file, under way */
#define SERF_NODE_NAME_SIZE_MAX 128u   /* with validate_node_names */
#define SERF_USER_EVENT_SIZE_MAX 9216u /* a hard limit, whatever is configured */

/* Serf's names; serf_config_init() sets what Consul 1.10.3 sets. Events are told as they come: it
 * does not make use of coalescing. */
struct serf_config {
    struct swim_config swim;
    uint64_t leave_propagate_delay_ns, broadcast_timeout_ns;
    uint64_t reap_interval_ns, reconnect_interval_ns, reconnect_timeout_ns, tombstone_timeout_ns;
    uint64_t flap_timeout_ns, recent_intent_timeout_ns;
    uint64_t queue_check_interval_ns;
    uint32_t min_queue_depth;
    uint32_t query_timeout_mult, query_size_max, query_response_size_max, user_event_size_max;
    bool disable_coordinates, validate_node_names;
    /* As on servers: false. (1.10.3's client agents have it.) */
    bool enable_name_conflict_resolution;
    bool rejoin_after_leave; /* for who reads the snapshot file */
};
void serf_config_init(struct serf_config *c, bool is_wan);

/* --- what happens -------------------------------------------------------------------------------
 */

enum serf_event_kind {
    SERF_EVENT_MEMBER_JOIN,
    SERF_EVENT_MEMBER_UPDATE,
    SERF_EVENT_MEMBER_LEAVE,
    SERF_EVENT_MEMBER_FAILED,
    SERF_EVENT_MEMBER_REAP,
    SERF_EVENT_USER,
    SERF_EVENT_QUERY, /* but for the internal ones; answer with serf_query_respond(), also later */
};

struct serf_event {
    enum serf_event_kind kind;
    const struct member *member;
    const struct serf_user_event *user;
    const struct serf_query *query;
};

/* What is counted, by the metric's kind and name. */
#define SERF_MEASURES(X)                                                    \
    X(MEMBER_JOIN, COUNTER, "serf.member.join")                             \
    X(MEMBER_UPDATE, COUNTER, "serf.member.update")                         \
    X(MEMBER_LEFT, COUNTER, "serf.member.left")                             \
    X(MEMBER_FAILED, COUNTER, "serf.member.failed")                         \
    X(MEMBER_FLAP, COUNTER, "serf.member.flap")                             \
    X(MSGS_RECEIVED, SAMPLE, "serf.msgs.received") /* bytes */              \
    X(MSGS_SENT, SAMPLE, "serf.msgs.sent")                                  \
    X(EVENTS, COUNTER, "serf.events")   /* and serf.events.NAME */          \
    X(QUERIES, COUNTER, "serf.queries") /* and serf.queries.NAME */         \
    X(QUERY_ACKS, COUNTER, "serf.query_acks")                               \
    X(QUERY_DUPLICATE_ACKS, COUNTER, "serf.query_duplicate_acks")           \
    X(QUERY_RESPONSES, COUNTER, "serf.query_responses")                     \
    X(QUERY_DUPLICATE_RESPONSES, COUNTER, "serf.query_duplicate_responses") \
    X(QUEUE_INTENT, SAMPLE, "serf.queue.Intent")                            \
    X(QUEUE_EVENT, SAMPLE, "serf.queue.Event")                              \
    X(QUEUE_QUERY, SAMPLE, "serf.queue.Query")                              \
    X(COORDINATE_ADJUSTMENT, SAMPLE, "serf.coordinate.adjustment-ms")       \
    X(COORDINATE_REJECTED, COUNTER, "serf.coordinate.rejected")             \
    X(COORDINATE_ZERO_RTT, COUNTER, "serf.coordinate.zero-rtt")

enum serf_measure {
#define X(name, kind, metric) SERF_MEASURE_##name,
    SERF_MEASURES(X)
#undef X
};

struct serf_ops { /* each may be NULL */
    void (*event)(void *data, const struct serf_event *event);
    /* May these members be in one pool with us? As swim_delegate.alive and merge. Their status is
     * none, or left. NULL: yes. */
    int (*merge)(void *data, const struct member *members, size_t count, struct err *err);
    /* The member's status is another without an event: leaving, or alive after all. */
    void (*status)(void *data, const struct member *member);
    /* One line of the snapshot file is due (no newline): "alive: a 127.0.0.1:8301", "not-alive: a",
     * "clock: 7", "event-clock: 3", "query-clock: 1", "leave". NULL: none is kept. */
    void (*snapshot)(void *data, struct str line);
    /* The keys have changed: have the key file written. 0: it is; 1: it will be, and
     * serf_keys_written() follows, not from inside; negative: it cannot be. Who asked for the
     * change is told when that is known. */
    int (*keys_changed)(void *data, uint64_t token, struct err *err);
    /* Both cores' lines, which begin with "serf: " or "memberlist: ". */
    void (*log)(void *data, enum swim_log level, struct str text);
    /* name: of an event or query; else empty. */
    void (*measure)(void *data, enum serf_measure what, struct str name, double value);
    /* As swim_delegate.allowed. */
    bool (*allowed)(void *data, const struct gossip_address *address);
    /* How long this failed or left member is kept; 0: as configured. (rc_tm) */
    uint64_t (*reconnect_timeout_ns)(void *data, const struct member *m);
    /* Another member with our name has won the vote: stop. */
    void (*conflict_lost)(void *data);
};

struct serf_options {
    struct serf_config config;
    struct str name;
    struct gossip_address address;
    struct strmap tags;
    struct seal_ring *keys; /* borrowed; NULL: no encryption, now and later */
    bool has_key_file;      /* keys_changed is called */
    struct rng *rng;
    uint32_t members_max;
    uint32_t incarnation;     /* swim_options': the time in seconds */
    const struct swim_io *io; /* its joined() is called for serf_join(), left() for serf_leave() */
    void *io_data;
    const struct serf_ops *ops;
    void *data;
};

struct serf_recovered { /* of a snapshot file */
    uint64_t clock, event_clock, query_clock;
};

/* Are name and tags fit to start with? With Serf's text. serf_new() wants them to be. */
NODISCARD int serf_check(const struct serf_options *options, struct err *err);
struct serf *serf_new(const struct serf_options *options, uint64_t now_ns);
struct serf *serf_free(struct serf *s); /* queries are done, with none of their answers */
void serf_start(struct serf *s, uint64_t now_ns, const struct serf_recovered *recovered);
void serf_stop(struct serf *s, uint64_t now_ns);

/* The sockets' side goes straight to it; its tick and deadline are serf's. */
struct swim *serf_swim(struct serf *s);
void serf_tick(struct serf *s, uint64_t now_ns);
uint64_t serf_deadline_ns(const struct serf *s);

/* As swim_join(); ignore_old: user events from before are not told. Broadcasts the intent when it
 * went well, before io->joined(). Not any more after serf_leave(). */
void serf_join(struct serf *s, uint64_t now_ns, const struct gossip_address *to, struct str name,
               bool ignore_old, uint64_t token);
/* Tell the others; io->left() follows after leave_propagate_delay, or with the next tick when
 * alone. When one is under way, it answers both. */
void serf_leave(struct serf *s, uint64_t now_ns);
/* A failed member counts as one that left; prune: forget it, once it is gone. An unknown name is no
 * error; a living member is leaving until it refutes it. */
void serf_remove_failed(struct serf *s, uint64_t now_ns, struct str name, bool prune);
/* -ERR_TOO_LARGE: more than MEMBERLIST_META_SIZE_MAX bytes. */
NODISCARD int serf_set_tags(struct serf *s, uint64_t now_ns, struct strmap tags, struct err *err);

/* --- members ------------------------------------------------------------------------------------
 */

/* All of them, in no order, this one included; pointers live until the next call that changes
 * something. Start with *pos = 0; NULL at the end. */
const struct member *serf_next(const struct serf *s, size_t *pos);
size_t serf_members_count(const struct serf *s);
const struct member *serf_find(const struct serf *s, struct str name);

/* Figures of /v1/agent/self, Stats.serf_lan, and `consul info`. */
struct serf_stats {
    uint64_t members, failed, left, health_score, member_time, event_time, query_time;
    uint64_t intent_queue, event_queue, query_queue;
    bool encrypted;
    uint64_t coordinate_resets;
};
void serf_stats(const struct serf *s, struct serf_stats *ret);

/* NULL with coordinates disabled. Borrowed. The cached one of another: what it last said. */
const struct coordinate *serf_coordinate(const struct serf *s);
const struct coordinate *serf_cached_coordinate(const struct serf *s, struct str name);

/* --- user events and queries ---------------------------------------------------------------------
 */

/* Told here as well, as an event. -ERR_TOO_LARGE with Serf's text; -ERR_INVALID: it has no name. */
NODISCARD int serf_user_event(struct serf *s, uint64_t now_ns, struct str name, struct str payload,
                              bool coalesce, struct err *err);

struct serf_query_params {
    struct str name, payload;
    struct strlist filter_nodes;
    struct strmap filter_tags; /* tag: regular expression */
    bool ack;
    uint8_t relay_factor;
    uint64_t timeout_ns; /* 0: the default: gossip interval * query_timeout_mult * log10(n+1) */
};

/* A query of ours, embedded in the caller's object; zeroed; lives until done. */
struct serf_asking {
    /* Each member once; each of the two may be NULL. */
    void (*ack)(struct serf_asking *q, struct str from);
    void (*answer)(struct serf_asking *q, struct str from, struct str payload);
    void (*done)(struct serf_asking *q); /* its time is over, or the pool ended */
    void *data;
    /* serf's: */
    uint64_t ltime, deadline_ns;
    uint32_t id;
    void *seen;
    struct serf_asking *next;
};
NODISCARD int serf_query(struct serf *s, uint64_t now_ns, const struct serf_query_params *params,
                         struct serf_asking *q, struct err *err);
void serf_query_close(struct serf *s, struct serf_asking *q); /* enough answers; no done */
/* Answer a query of an event; the query (or a copy) is the caller's. */
NODISCARD int serf_query_respond(struct serf *s, uint64_t now_ns, const struct serf_query *query,
                                 struct str payload, struct err *err);

/* --- keys
 * ----------------------------------------------------------------------------------------- */

enum serf_key_action { SERF_KEY_LIST, SERF_KEY_INSTALL, SERF_KEY_USE, SERF_KEY_REMOVE };

struct serf_key_count {
    struct str key; /* base64 */
    uint32_t count; /* members that have it */
};

/* An operation on the keys of all members; zeroed; lives until done. */
struct serf_keys_asking {
    void (*done)(struct serf_keys_asking *k); /* fields below are valid in it */
    void *data;
    uint32_t members_count, answers_count, errors_count;
    struct strmap messages;                /* by member: what it complained of */
    struct serf_key_count *keys, *primary; /* by key */
    size_t keys_count, primary_count;
    struct err err; /* code 0: it went well; else Consul's text ("1/3 nodes reported failure") */
    void *state;    /* serf's */
};
/* key: base64; not for a list. relay_factor 0 to 5. done() comes when all members have answered, or
 * after the default time of a query. */
void serf_keys(struct serf *s, uint64_t now_ns, enum serf_key_action action, struct str key,
               uint8_t relay_factor, struct serf_keys_asking *k);
/* What keys_changed() was told by this token has been written; err: or not, and why. */
void serf_keys_written(struct serf *s, uint64_t now_ns, uint64_t token, const struct err *err);
