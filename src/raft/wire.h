/* wire.h - the messages of raft as HashiCorp's NetworkTransport puts them on a connection.
 *
 * A request is a type byte and a msgpack map, an answer a string (an error, usually empty) and a
 * map. Nothing says to which request an answer belongs: a connection answers in order.
 *
 *     raft_wire_request_scan(&scan);                        // or _reply_scan, once a message
 *     if (msgpack_scan(&scan, bytes) == 1) {                // the first scan.at bytes are it
 *         r = raft_wire_request_decode(str_first(bytes, scan.at), &arena, &request, &err);
 *     }
 *
 * The reference has one thing more behind an InstallSnapshot request: snapshot_size bytes.
 * Strings borrow from the bytes, entries are the arena's. Pure.
 *
 * Beyond 1.10.3: pre-votes go as type 4, as later versions have it; a reference that does not know
 * it closes the connection; so it does with a snapshot given in advance, which is ours alone (a far
 * number, for later versions count on from 4). conflict_index, and the leader's heartbeat interval,
 * go as keys of their own, which the reference skips. */
#pragma once
#include "base/arena.h"
#include "proto/msgpack_scan.h"
#include "raft/core/core.h"

#define RAFT_WIRE_PROTOCOL 3u
#define RAFT_WIRE_SNAPSHOT_VERSION 1u
#define RAFT_WIRE_ENTRIES_MAX 1024u /* in a message: the most the reference can be set to */
#define RAFT_WIRE_SIZE_MAX (RAFT_ENTRY_SIZE_MAX + 2u * 1024u * 1024u)
#define RAFT_WIRE_ERROR_SIZE_MAX 4096u
#define RAFT_WIRE_REPLY_SIZE_MAX 65536u

enum raft_wire_type { /* the type byte */
                      RAFT_WIRE_APPEND = 0,
                      RAFT_WIRE_VOTE = 1,
                      RAFT_WIRE_INSTALL = 2,
                      RAFT_WIRE_TIMEOUT_NOW = 3,
                      RAFT_WIRE_PRE_VOTE = 4,
                      RAFT_WIRE_PRE_INSTALL = 64,
};

static inline bool raft_wire_type_is_known(uint8_t type)
{
    return type <= RAFT_WIRE_PRE_VOTE || type == RAFT_WIRE_PRE_INSTALL;
}

struct raft_wire_request {
    uint64_t protocol;
    struct raft_msg msg;    /* APPEND, VOTE, INSTALL, TIMEOUT_NOW; token is the transport's */
    uint64_t snapshot_size; /* INSTALL: bytes that follow the message */
};

struct raft_wire_reply {
    uint64_t protocol;
    struct str error;    /* empty: none */
    struct raft_msg msg; /* of TIMEOUT_NOW: nothing but its kind */
};

void raft_wire_request_scan(struct msgpack_scan *s);
void raft_wire_reply_scan(struct msgpack_scan *s);

/* In an APPEND, entries that are NULL (a heartbeat) and none differ on the wire, as in Go. */
void raft_wire_request_encode(const struct raft_wire_request *request, struct buf *to);
NODISCARD int raft_wire_request_decode(struct str bytes, struct arena *a,
                                       struct raft_wire_request *ret, struct err *err);

void raft_wire_reply_encode(const struct raft_wire_reply *reply, struct buf *to);
/* request: what it answers; its kind and whether it is a pre-vote are looked at. ret->msg.kind is
 * that of the result. */
NODISCARD int raft_wire_reply_decode(struct str bytes, const struct raft_msg *request,
                                     struct raft_wire_reply *ret, struct err *err);
