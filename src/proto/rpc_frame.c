#include "proto/rpc_frame.h"

#include "base/err.h"
#include "schema/msgpack.h"

const char *rpc_conn_kind_text(uint8_t first_byte)
{
    static const char *const texts[] = {
#define X(name, value, text) [value] = text,
        RPC_CONN_KINDS(X)
#undef X
    };
    return first_byte < ARRAY_SIZE(texts) ? texts[first_byte] : NULL;
}

/* Both headers; a request has no error. What is behind the header is the body: one value. */
static int frame_decode(struct str frame, struct rpc_response *ret, const char *what,
                        struct err *err)
{
    struct cur c = cur_make(frame);
    struct rpc_response out = {0};
    if (msgpack_peek(&c) != MSGPACK_MAP) {
        return err_set(err, ERR_INVALID, "RPC %s header is not a map", what);
    }
    for (size_t n = msgpack_read_map(&c); n > 0 && !c.failed; n--) {
        struct str key = msgpack_read_raw(&c);
        if (str_eq_lit(key, "Seq")) {
            out.seq = msgpack_read_u64(&c);
        } else if (str_eq_lit(key, "ServiceMethod")) {
            out.method = msgpack_read_raw(&c);
        } else if (str_eq_lit(key, "Error")) {
            out.error = msgpack_read_raw(&c);
        } else if (msgpack_skip(&c) < 0) {
            break;
        }
    }
    if (c.failed) {
        return err_set(err, ERR_INVALID, "malformed RPC %s header", what);
    }
    if (out.method.n > RPC_METHOD_SIZE_MAX) {
        return err_set(err, ERR_TOO_LARGE, "method of the RPC %s is %zu bytes long, more than %u",
                       what, out.method.n, RPC_METHOD_SIZE_MAX);
    }
    out.body = str_make(c.p, cur_left(&c));
    if (msgpack_skip(&c) < 0 || cur_left(&c) > 0) {
        return err_set(err, ERR_INVALID, "malformed RPC %s body of %.*s", what, STRF(out.method));
    }
    *ret = out;
    return 0;
}

int rpc_request_decode(struct str frame, struct rpc_request *ret, struct err *err)
{
    struct rpc_response r;
    int code = frame_decode(frame, &r, "request", err);
    if (code < 0) {
        return code;
    }
    *ret = (struct rpc_request){.seq = r.seq, .method = r.method, .body = r.body};
    return 0;
}

int rpc_response_decode(struct str frame, struct rpc_response *ret, struct err *err)
{
    return frame_decode(frame, ret, "response", err);
}

void rpc_request_header_encode(struct buf *to, uint64_t seq, struct str method)
{
    msgpack_map(to, 2);
    msgpack_raw(to, STR("Seq"));
    msgpack_u64(to, seq);
    msgpack_raw(to, STR("ServiceMethod"));
    msgpack_raw(to, method);
}

static void response_header(struct buf *to, uint64_t seq, struct str method, struct str error)
{
    msgpack_map(to, 3);
    msgpack_raw(to, STR("Error"));
    msgpack_raw(to, error);
    msgpack_raw(to, STR("Seq"));
    msgpack_u64(to, seq);
    msgpack_raw(to, STR("ServiceMethod"));
    msgpack_raw(to, method);
}

void rpc_response_header_encode(struct buf *to, uint64_t seq, struct str method)
{
    response_header(to, seq, method, STR(""));
}

/* net/rpc answers a failed call with an empty struct for a body. */
void rpc_error_encode(struct buf *to, uint64_t seq, struct str method, struct str error)
{
    response_header(to, seq, method, error);
    msgpack_map(to, 0);
}
