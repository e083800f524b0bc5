/* memberlist.h - the messages of HashiCorp's memberlist 0.2, as they stand in datagrams and
 * streams.
 *
 * A message is a type byte and a msgpack map. In a datagram there may be several of them, and
 * layers around them, outermost first:
 *
 *     encryption (seal.h)    a version byte, a nonce, AES-GCM; none without a key
 *     HAS_CRC                a checksum of what follows; only towards members known to understand
 *                            protocol 5, within an encryption as well
 *     COMPRESS               LZW
 *     COMPOUND               a count byte, that many 16-bit sizes, the messages
 *
 *     struct memberlist_parts parts;                           // reading one
 *     r = memberlist_packet_open(bytes, &arena, &parts, &err);    after decryption
 *     for each parts.v[i]: memberlist_ping_decode(...)
 *
 * In a stream there is one message each way; PUSH_PULL and USER carry bytes behind their header.
 * With encryption the whole of it is one ENCRYPT frame (seal.h), which holds a COMPRESS as well.
 *
 * Decoded strings borrow from the bytes (or from the arena, where they were compressed). Fields
 * that are missing are zero; unknown ones are skipped. Pure. */
#pragma once
#include "proto/msgpack_scan.h"

struct arena;
struct err;

enum memberlist_type {
    MEMBERLIST_PING = 0,
    MEMBERLIST_INDIRECT_PING = 1,
    MEMBERLIST_ACK = 2,
    MEMBERLIST_SUSPECT = 3,
    MEMBERLIST_ALIVE = 4,
    MEMBERLIST_DEAD = 5,
    MEMBERLIST_PUSH_PULL = 6,
    MEMBERLIST_COMPOUND = 7,
    MEMBERLIST_USER = 8,
    MEMBERLIST_COMPRESS = 9,
    MEMBERLIST_ENCRYPT = 10,
    MEMBERLIST_NACK = 11,
    MEMBERLIST_HAS_CRC = 12,
    MEMBERLIST_ERROR = 13,
};

#define MEMBERLIST_PACKET_SIZE_MAX 65536u /* received; what we send is bounded by the core */
#define MEMBERLIST_PLAIN_SIZE_MAX ((size_t)20 << 20) /* of a message after decompression */
#define MEMBERLIST_META_SIZE_MAX 512u
#define MEMBERLIST_NAME_SIZE_MAX 512u
#define MEMBERLIST_PARTS_MAX 255u
/* What a compound costs, and each of its parts, and a checksum, in budgets. */
#define MEMBERLIST_COMPOUND_HEADER 2u
#define MEMBERLIST_COMPOUND_PART 2u
#define MEMBERLIST_CRC_HEADER 5u

/* An IP address and a port as they are on the wire: 4 or 16 bytes. size 0: none. The bytes are
 * handed on as they came, also an IPv4 address in 16: the reference takes other bytes for another
 * address. */
struct gossip_address {
    uint8_t ip[16];
    uint8_t size;
    uint16_t port;
};

static inline bool gossip_address_eq(const struct gossip_address *a, const struct gossip_address *b)
{
    return a->size == b->size && a->port == b->port && memcmp(a->ip, b->ip, a->size) == 0;
}
/* "127.0.0.1:8301", "[::1]:8301"; and without the port. As Go prints them: an IPv4 address mapped
 * into IPv6 as the IPv4 address; of size 0: nothing. */
void gossip_address_format(const struct gossip_address *a, struct buf *to);
void gossip_address_format_ip(const struct gossip_address *a, struct buf *to);
/* The other way; no zones. False: it is no IP address, and ret is as before. */
bool gossip_address_parse_ip(struct str text, struct gossip_address *ret);

/* --- messages -------------------------------------------------------------------------------- */

struct memberlist_ping {
    uint32_t seq;
    struct str node;              /* who it is for; empty: whoever */
    struct gossip_address source; /* of who asks, to answer to; size 0: not said, nor the name */
    struct str source_node;
};

struct memberlist_indirect_ping {
    uint32_t seq;
    struct gossip_address target;
    struct str node;
    bool nack; /* say so when no answer came */
    struct gossip_address source;
    struct str source_node;
};

struct memberlist_ack {
    uint32_t seq;
    struct str payload; /* p NULL: nil */
};

struct memberlist_suspect { /* DEAD has the same form */
    uint32_t incarnation;
    struct str node, from;
};

/* Versions: protocol min, max, current; delegate (Serf) min, max, current. */
#define MEMBERLIST_VSN_SIZE 6u

struct memberlist_alive {
    uint32_t incarnation;
    struct str node;
    struct gossip_address address;
    struct str meta;
    uint8_t vsn[MEMBERLIST_VSN_SIZE];
    bool has_vsn;
};

/* States of a member on the wire and in the core. */
enum memberlist_state {
    MEMBERLIST_STATE_ALIVE = 0,
    MEMBERLIST_STATE_SUSPECT = 1,
    MEMBERLIST_STATE_DEAD = 2,
    MEMBERLIST_STATE_LEFT = 3,
};

struct memberlist_node_state { /* in a push/pull */
    struct memberlist_alive alive;
    enum memberlist_state state;
};

struct memberlist_push_pull {
    bool join;
    struct memberlist_node_state *nodes; /* the arena's */
    size_t nodes_count;
    struct str user_state;
};

/* Each appends the type byte and the map. */
void memberlist_ping_encode(const struct memberlist_ping *m, struct buf *to);
void memberlist_indirect_ping_encode(const struct memberlist_indirect_ping *m, struct buf *to);
void memberlist_ack_encode(const struct memberlist_ack *m, struct buf *to);
void memberlist_nack_encode(uint32_t seq, struct buf *to);
void memberlist_suspect_encode(const struct memberlist_suspect *m, struct buf *to);
void memberlist_alive_encode(const struct memberlist_alive *m, struct buf *to);
void memberlist_dead_encode(const struct memberlist_suspect *m, struct buf *to);
void memberlist_error_encode(struct str sentence, struct buf *to);
/* The header, the states, the user state. */
void memberlist_push_pull_encode(const struct memberlist_push_pull *m, struct buf *to);
/* USER as it stands in a stream: a header with the size, the bytes. In datagrams: the type byte and
 * the bytes alone. */
void memberlist_user_stream_encode(struct str bytes, struct buf *to);

/* What stands behind the type byte; 0 or negative with err set. SUSPECT, ALIVE and DEAD name a
 * node, ALIVE and INDIRECT_PING have an address: without one they are malformed. */
NODISCARD int memberlist_ping_decode(struct str s, struct memberlist_ping *ret, struct err *err);
NODISCARD int memberlist_indirect_ping_decode(struct str s, struct memberlist_indirect_ping *ret,
                                              struct err *err);
NODISCARD int memberlist_ack_decode(struct str s, struct memberlist_ack *ret, struct err *err);
NODISCARD int memberlist_nack_decode(struct str s, uint32_t *ret_seq, struct err *err);
NODISCARD int memberlist_suspect_decode(struct str s, struct memberlist_suspect *ret,
                                        struct err *err);
NODISCARD int memberlist_alive_decode(struct str s, struct memberlist_alive *ret, struct err *err);
NODISCARD int memberlist_error_decode(struct str s, struct str *ret_sentence, struct err *err);

/* --- datagrams ------------------------------------------------------------------------------- */

struct memberlist_part {
    enum memberlist_type type; /* one of a member's own messages, never a layer */
    struct str body;           /* behind the type byte */
};

struct memberlist_parts {
    struct memberlist_part v[MEMBERLIST_PARTS_MAX];
    size_t count;
    size_t truncated; /* parts that the datagram did not have room for; dropped */
};

#define MEMBERLIST_LAYERS_MAX 4u /* compressions and compounds within each other */

/* Take off checksum, compression and compound of a datagram in plain text. What cannot be read ends
 * it with an error. Layers nest to MEMBERLIST_LAYERS_MAX (the reference writes two); what they
 * decompress to is MEMBERLIST_PACKET_SIZE_MAX at most, all together. */
NODISCARD int memberlist_packet_open(struct str bytes, struct arena *a,
                                     struct memberlist_parts *ret, struct err *err);
/* Several messages as one; a single one as it is. At most MEMBERLIST_PARTS_MAX, none over 65,535
 * bytes. */
void memberlist_compound_encode(const struct str *messages, size_t count, struct buf *to);
/* COMPRESS around bytes, if that makes them smaller: false leaves `to` alone. */
bool memberlist_compress(struct str bytes, struct buf *to);
void memberlist_crc_encode(struct str bytes, struct buf *to);

/* --- streams --------------------------------------------------------------------------------- */

/* A whole message of a stream in plain text. Feed everything that has come so far, again and again
 * with the same state: 0: more is needed; 1: it is complete, ret has it; what follows it is
 * nobody's. COMPRESS is taken off. Each byte is looked at once, however small the pieces in which
 * they come.
 *
 *     struct memberlist_stream s = {0};                           // one for each message
 *     if (bytes.n >= s.need) { r = memberlist_stream_open(&s, bytes, &arena, &message, &err); }
 */
struct memberlist_stream {
    size_t need; /* what there must be at the very least */
    /* memberlist_stream.c's: */
    struct msgpack_scan scan;
    uint8_t step;
    size_t header_size, tail_size;
    uint64_t nodes_count;
    bool join;
};

struct memberlist_stream_message {
    enum memberlist_type type; /* PING, ACK, USER, PUSH_PULL, ERROR */
    struct str body;           /* PING, ACK, ERROR: the map; USER: the bytes */
    struct memberlist_push_pull push_pull;
};
NODISCARD int memberlist_stream_open(struct memberlist_stream *s, struct str bytes, struct arena *a,
                                     struct memberlist_stream_message *ret, struct err *err);
