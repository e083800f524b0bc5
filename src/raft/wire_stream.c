#include "raft/wire_stream.h"

/* What an idle connection keeps of its buffer. */
#define KEPT_SIZE_MAX (64u * 1024u)

void raft_wire_stream_init(struct raft_wire_stream *s)
{
    *s = (struct raft_wire_stream){0};
    buf_init(&s->in, RAFT_WIRE_SIZE_MAX + RAFT_WIRE_STREAM_SLACK);
}

void raft_wire_stream_deinit(struct raft_wire_stream *s)
{
    buf_deinit(&s->in);
}

int raft_wire_stream_put(struct raft_wire_stream *s, struct str bytes)
{
    if (s->used == s->in.n && s->in.cap > KEPT_SIZE_MAX) {
        raft_wire_stream_deinit(s);
        buf_init(&s->in, RAFT_WIRE_SIZE_MAX + RAFT_WIRE_STREAM_SLACK);
    } else {
        buf_consume(&s->in, s->used);
    }
    s->used = 0;
    buf_str(&s->in, bytes);
    return s->in.failed ? -ERR_TOO_LARGE : 0;
}

int raft_wire_stream_next(struct raft_wire_stream *s, struct arena *a,
                          struct raft_wire_request *ret, struct err *err)
{
    struct str bytes = str_from(buf_view(&s->in), s->used);
    if (bytes.n == 0 || s->snapshot_left > 0) {
        return 0;
    }
    /* Before waiting for the rest of something that will never be a request. */
    if (!raft_wire_type_is_known((uint8_t)bytes.p[0])) {
        return err_set(err, ERR_UNSUPPORTED, "unknown rpc type %u", (uint8_t)bytes.p[0]);
    }
    if (!s->is_scanning) {
        raft_wire_request_scan(&s->scan);
        s->is_scanning = true;
    }
    int r = msgpack_scan(&s->scan, bytes);
    if (r <= 0) {
        return r == 0 ? 0 : err_from_errno(err, r, "raft request");
    }
    r = raft_wire_request_decode(str_first(bytes, s->scan.at), a, ret, err);
    if (r < 0) {
        return r;
    }
    s->used += s->scan.at;
    s->is_scanning = false;
    s->snapshot_left = ret->msg.kind == RAFT_MSG_INSTALL ? ret->snapshot_size : 0;
    return 1;
}

struct str raft_wire_stream_snapshot(const struct raft_wire_stream *s, size_t size_max)
{
    struct str bytes = str_from(buf_view(&s->in), s->used);
    bytes = str_first(bytes, size_max);
    return bytes.n > s->snapshot_left ? str_first(bytes, (size_t)s->snapshot_left) : bytes;
}

void raft_wire_stream_consume(struct raft_wire_stream *s, size_t n)
{
    ASSERT(n <= s->snapshot_left && n <= raft_wire_stream_size(s));
    s->used += n;
    s->snapshot_left -= n;
}
