/* rpc_frame.h - what is said on port 8300: the byte that opens a connection, and the calls of
 * Consul's RPC (Go's net/rpc with msgpack): a header and a body each way, without lengths.
 *
 *     msgpack_scan_begin(&scan, 0, RPC_FRAME_VALUES, RPC_FRAME_SIZE_MAX);
 *     if (msgpack_scan(&scan, bytes) == 1) {
 *         r = rpc_request_decode(str_first(bytes, scan.at), &request, &err);   // or a response
 *     }
 *     rpc_response_header_encode(&buf, request.seq, request.method);   // and the reply
 *
 * Bodies are msgpack, written and read by the schema of the method; they are borrowed here. The
 * answer carries number and method of its call. Calls of a connection (or stream) are answered in
 * whatever order they are done. Pure. */
#pragma once
#include "base/buf.h"

struct err;

/* The first byte of a connection. Above the last it is a TLS record, and ALPN names the kind. */
#define RPC_CONN_KINDS(X)                                                                \
    X(RPC_CONN_RPC, 0, "RPC")                 /* calls, one connection */                \
    X(RPC_CONN_RAFT, 1, "Raft")               /* raft/wire.h */                          \
    X(RPC_CONN_MULTIPLEX_OLD, 2, "multiplex") /* refused */                              \
    X(RPC_CONN_TLS, 3, "TLS")                 /* a handshake, then another first byte */ \
    X(RPC_CONN_MULTIPLEX, 4, "multiplex v2")  /* yamux; calls in each stream */          \
    X(RPC_CONN_SNAPSHOT, 5, "snapshot")       /* a request, then an archive's bytes */   \
    X(RPC_CONN_GOSSIP, 6, "gossip")           /* WAN gossip through mesh gateways */     \
    X(RPC_CONN_TLS_INSECURE, 7, "TLS without client certificate")                        \
    X(RPC_CONN_GRPC, 8, "gRPC")

enum rpc_conn_kind {
#define X(name, value, text) name = value,
    RPC_CONN_KINDS(X)
#undef X
};
#define RPC_CONN_KIND_LAST RPC_CONN_GRPC
/* NULL for a byte that opens nothing. */
const char *rpc_conn_kind_text(uint8_t first_byte);

#define RPC_FRAME_VALUES 2u /* a header, a body */
#define RPC_FRAME_SIZE_MAX (64u * 1024u * 1024u)
#define RPC_METHOD_SIZE_MAX 256u

struct rpc_request {
    uint64_t seq;
    struct str method; /* "Status.Ping" */
    struct str body;
};

struct rpc_response {
    uint64_t seq;
    struct str method;
    struct str error; /* empty: body is the reply; else it holds nothing */
    struct str body;
};

/* One whole frame. -ERR_INVALID or -ERR_TOO_LARGE, err says of what; the connection is then of no
 * more use. */
NODISCARD int rpc_request_decode(struct str frame, struct rpc_request *ret, struct err *err);
NODISCARD int rpc_response_decode(struct str frame, struct rpc_response *ret, struct err *err);

/* The header; the caller appends the arguments. */
void rpc_request_header_encode(struct buf *to, uint64_t seq, struct str method);
/* The header; the caller appends the reply. With an error rpc_error_encode() is all there is. */
void rpc_response_header_encode(struct buf *to, uint64_t seq, struct str method);
void rpc_error_encode(struct buf *to, uint64_t seq, struct str method, struct str error);
