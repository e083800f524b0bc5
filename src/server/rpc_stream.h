/* rpc_stream.h - the calls that come by one way: a connection that began with 0, or a yamux stream.
 *
 *     rpc_stream_init(&s, worker, peer, &my_ops);
 *     rpc_stream_read(&s, bytes);             // requests; calls begin, answers gather in s.out
 *     ... my_ops.changed(&s): something is in s.out, or the stream is done: have a look soon
 *     buf_consume(&s.out, what_was_sent); rpc_stream_resume(&s);    // the next calls
 *     if (rpc_stream_is_done(&s)) { end the way }
 *     rpc_stream_deinit(&s);                  // a call under way is canceled
 *
 * One call at a time; requests that came ahead wait in s.in, so the owner should not bring more
 * while rpc_stream_is_waiting(): a stream knows no bound but that of one frame. Frames: proto/
 * rpc_frame.h. What goes wrong and what is answered then: docs/rpc.md.
 *
 * Embedded by its owner; on the worker's thread only. No callback frees the stream: changed() may
 * run inside any of these functions and is to take note, no more. */
#pragma once
#include "base/buf.h"
#include "proto/msgpack_scan.h"

struct rpc_call;
struct rpc_stream;
struct worker;

/* Answers that wait to be sent; a single one may be larger. */
#define RPC_STREAM_OUT_PAUSE (64u * 1024u)
#define RPC_REPLY_SIZE_MAX ((size_t)256 << 20)

struct rpc_stream_ops {
    void (*changed)(struct rpc_stream *s);
    bool (*has_room)(const struct rpc_stream *s); /* may another call begin? */
};

struct rpc_stream {
    struct worker *worker;
    const struct rpc_stream_ops *ops;
    const char *peer;         /* "from=127.0.0.1:1234", for the log; the owner's */
    struct buf in;            /* input not used yet */
    struct buf out;           /* answers, the owner's to send */
    struct msgpack_scan scan; /* of the first frame of the input */
    struct rpc_call *call;    /* under way */
    uint64_t seq;             /* its number */
    bool is_running;          /* in the loop over the input: a call that ends comes back there */
    bool is_ended;            /* no more will come */
    bool is_last;             /* no more is answered */
};

void rpc_stream_init(struct rpc_stream *s, struct worker *w, const char *peer,
                     const struct rpc_stream_ops *ops);
void rpc_stream_deinit(struct rpc_stream *s); /* zeroed is fine */
void rpc_stream_read(struct rpc_stream *s, struct str bytes);
/* The peer will send no more. */
void rpc_stream_end(struct rpc_stream *s);
/* There may be room again: go on with the input. */
void rpc_stream_resume(struct rpc_stream *s);

/* More input is of no use now. */
static inline bool rpc_stream_is_waiting(const struct rpc_stream *s)
{
    return s->call != NULL || s->out.n >= RPC_STREAM_OUT_PAUSE;
}
/* All is said: end the way by which it came. */
static inline bool rpc_stream_is_done(const struct rpc_stream *s)
{
    return s->is_last && s->call == NULL && s->out.n == 0;
}
