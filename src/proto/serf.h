/* serf.h - the messages of Serf 0.9, which ride in memberlist's USER messages, and its tags.
 *
 * A message is a type byte and a msgpack map. Members' tags are the meta of a memberlist ALIVE: the
 * byte 255 and a msgpack map. Decoded strings borrow from the bytes, lists and maps are the
 * arena's. Fields that are missing are zero, unknown ones are skipped; an intent names a node, a
 * query and a relay have an address. Pure. */
#pragma once
#include "proto/memberlist.h"
#include "schema/coordinate.h"
#include "schema/field.h"

enum serf_type {
    SERF_LEAVE = 0,
    SERF_JOIN = 1,
    SERF_PUSH_PULL = 2,
    SERF_USER_EVENT = 3,
    SERF_QUERY = 4,
    SERF_QUERY_RESPONSE = 5,
    SERF_CONFLICT_RESPONSE = 6,
    SERF_KEY_REQUEST = 7,
    SERF_KEY_RESPONSE = 8,
    SERF_RELAY = 9,
};

#define SERF_QUERY_FLAG_ACK 1u
#define SERF_QUERY_FLAG_NO_BROADCAST 2u

struct serf_intent { /* JOIN and LEAVE */
    uint64_t ltime;
    struct str node;
    bool prune; /* LEAVE */
};

struct serf_user_event {
    uint64_t ltime;
    struct str name, payload;
    bool coalesce;
};

struct serf_events_at { /* of one Lamport time, in a push/pull; name and payload only */
    uint64_t ltime;
    struct serf_user_event *events;
    size_t count;
};

struct serf_status_time {
    struct str node;
    uint64_t ltime;
};

#define SERF_NAMES_MAX (1u << 20) /* of nodes in a push/pull, of keys in an answer */

struct serf_push_pull {
    uint64_t ltime, event_ltime, query_ltime;
    struct serf_status_time *status_times;
    size_t status_times_count;
    struct str *left_members;
    size_t left_members_count;
    struct serf_events_at *events; /* without the nils of the reference's ring */
    size_t events_count;
};

struct serf_filter { /* of a query */
    bool is_tag;
    struct strlist nodes;   /* a node filter: these names */
    struct str tag, regexp; /* a tag filter */
};
#define SERF_FILTERS_MAX 64u

struct serf_query {
    uint64_t ltime;
    uint32_t id;
    struct gossip_address source;
    struct str source_node;
    struct str *filters; /* encoded: serf_filter_decode() */
    size_t filters_count;
    uint32_t flags;
    uint8_t relay_factor;
    int64_t timeout_ns;
    struct str name, payload;
};

struct serf_query_response {
    uint64_t ltime;
    uint32_t id;
    struct str from;
    uint32_t flags; /* SERF_QUERY_FLAG_ACK: no answer, only an acknowledgement */
    struct str payload;
};

struct serf_key_response {
    bool result;
    struct str message;
    struct strlist keys; /* base64 */
    struct str primary_key;
};

struct serf_relay {
    struct gossip_address to;
    struct str to_name;
    struct str message; /* a Serf message, type byte and all */
};

void serf_intent_encode(enum serf_type type, const struct serf_intent *m, struct buf *to);
void serf_user_event_encode(const struct serf_user_event *m, struct buf *to);
void serf_push_pull_encode(const struct serf_push_pull *m, struct buf *to);
void serf_query_encode(const struct serf_query *m, struct buf *to);
void serf_query_response_encode(const struct serf_query_response *m, struct buf *to);
void serf_filter_encode(const struct serf_filter *f, struct buf *to);
void serf_relay_encode(const struct serf_relay *m, struct buf *to);
void serf_key_request_encode(struct str key, struct buf *to);
void serf_key_response_encode(const struct serf_key_response *m, struct buf *to);
/* CONFLICT_RESPONSE: a whole member, as Serf's struct Member is written; NULL: it is not known
 * here, which decodes to a member without name and address. */
struct member;
void serf_conflict_response_encode(const struct member *m, struct buf *to);

/* What stands behind the type byte. */
NODISCARD int serf_intent_decode(struct str s, struct serf_intent *ret, struct err *err);
NODISCARD int serf_user_event_decode(struct str s, struct serf_user_event *ret, struct err *err);
NODISCARD int serf_push_pull_decode(struct str s, struct arena *a, struct serf_push_pull *ret,
                                    struct err *err);
NODISCARD int serf_query_decode(struct str s, struct arena *a, struct serf_query *ret,
                                struct err *err);
NODISCARD int serf_query_response_decode(struct str s, struct serf_query_response *ret,
                                         struct err *err);
NODISCARD int serf_filter_decode(struct str s, struct arena *a, struct serf_filter *ret,
                                 struct err *err);
NODISCARD int serf_relay_decode(struct str s, struct serf_relay *ret, struct err *err);
NODISCARD int serf_key_request_decode(struct str s, struct str *ret_key, struct err *err);
NODISCARD int serf_key_response_decode(struct str s, struct arena *a, struct serf_key_response *ret,
                                       struct err *err);
NODISCARD int serf_conflict_response_decode(struct str s, struct arena *a, struct member *ret,
                                            struct err *err);

/* Tags as the meta of an ALIVE. Decoding: what does not begin with the marker is an old Serf's
 * role. */
void serf_tags_encode(const struct strmap *tags, struct buf *to);
NODISCARD int serf_tags_decode(struct str meta, struct arena *a, struct strmap *ret,
                               struct err *err);

/* A coordinate as the payload of an acknowledgement: version byte 1 and the map. Whether its
 * numbers make sense is not looked at. */
void serf_ack_payload_encode(const struct coordinate *c, struct buf *to);
NODISCARD int serf_ack_payload_decode(struct str payload, struct arena *a, struct coordinate *ret,
                                      struct err *err);
