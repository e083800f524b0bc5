/* tcp.h - stream sockets on a loop: TCP and unix, accepted or connected.
 *
 *     fd = listen_socket(&address, &options, &err);           // bound and listening
 *     tcp_listener_start(&me->listener, loop, fd, accept_fn);   // accept_fn(l, fd, peer)
 *     tcp_start(&me->stream, loop, fd, &my_ops);                // ops->read(s, p, n) follows
 *     tcp_write(&me->stream, iov, n);                           // now if possible, else later
 *     tcp_close(&me->stream);                                   // ops->closed(s): free me there
 *
 * Over uv_poll rather than uv_tcp: the sockets are read and written here, so that all streams of a
 * loop share one read buffer (an idle connection owns none), writes go out at once without a
 * request object, and accept takes the peer's address along.
 *
 * What is read is only valid within ops->read(). What cannot be written at once is kept (copied, or
 * taken over with tcp_write_buf) up to write_max bytes; past that the write fails and the owner
 * should close: bounds of answers are the owner's business (tcp_pending()).
 *
 * The owner embeds the stream, calls tcp_close() once, and may free its memory in ops->closed().
 * After ops->fail() or ops->eof() nothing is closed yet: that is the owner's to do. Not thread
 * safe; on the loop's thread only. A filter (TLS) may stand between the socket and the ops. */
#pragma once
#include <sys/uio.h>

#include <uv.h>

#include "base/buf.h"
#include "loop/address.h"
#include "loop/loop_impl.h"

struct tcp_stream;

/* --- listening ------------------------------------------------------------------------------ */

struct listen_options {
    bool reuse_port;   /* several sockets on one address: each worker has its own */
    bool exclusive;    /* with reuse_port: first make sure nobody else listens there */
    int backlog;       /* 0: LISTEN_BACKLOG */
    const char *mode;  /* unix: "755", or NULL */
    const char *user;  /* unix: uid or name, or NULL */
    const char *group; /* unix: gid or name, or NULL */
};
#define LISTEN_BACKLOG 1024
#define ACCEPT_BATCH_MAX 64u

/* A bound, listening, non-blocking socket, or negative. A dead socket file is replaced. */
NODISCARD int listen_socket(const struct address *address, const struct listen_options *options,
                            struct err *err);

struct tcp_listener {
    struct loop_handle base;
    uv_poll_t poll;
    struct loop *loop;
    int fd;
    /* Takes the fd over. */
    void (*accept)(struct tcp_listener *l, int fd, const struct address *peer);
    void (*closed)(struct tcp_listener *l); /* may be NULL */
    int spare_fd; /* given up for a moment when file descriptors run out */
};

void tcp_listener_start(struct tcp_listener *l, struct loop *loop, int fd,
                        void (*accept)(struct tcp_listener *l, int fd, const struct address *peer));
void tcp_listener_close(struct tcp_listener *l); /* harmless when it was never started */

/* --- streams ------------------------------------------------------------------------------- */

struct tcp_ops {
    void (*read)(struct tcp_stream *s, const char *p, size_t n);
    void (*eof)(struct tcp_stream *s);            /* the peer has shut its side; reading is over */
    void (*fail)(struct tcp_stream *s, int code); /* the connection is dead; close it */
    void (*drained)(struct tcp_stream *s);        /* nothing is left to write; optional */
    void (*connected)(struct tcp_stream *s);      /* tcp_connect() is through; optional */
    void (*closed)(struct tcp_stream *s);         /* last call ever */
};

/* Between the socket and the ops: TLS. input() gets what was read and calls tcp_deliver() with the
 * plain text; output() turns plain text into tcp_raw_write() calls. What it cannot turn yet it
 * keeps and counts in pending_size. It tells the ops itself of what it is told of: connected(),
 * eof(). close() is its last call, and may still write. */
struct tcp_filter_ops {
    void (*input)(struct tcp_stream *s, const char *p, size_t n);
    int (*output)(struct tcp_stream *s, const struct iovec *iov, size_t count);
    void (*connected)(struct tcp_stream *s);
    void (*eof)(struct tcp_stream *s);
    void (*resume)(struct tcp_stream *s); /* tcp_read_start(): what it holds back may go on */
    void (*shutdown)(struct tcp_stream *s);
    void (*close)(struct tcp_stream *s);
};

struct tcp_chunk { /* written later */
    struct tcp_chunk *next;
    struct buf buf;
    size_t done;
};

struct tcp_stream {
    struct loop_handle base;
    uv_poll_t poll;
    struct loop *loop;
    const struct tcp_ops *ops;
    const struct tcp_filter_ops *filter; /* NULL: none */
    void *filter_data;
    struct tcp_chunk *pending, **pending_end;
    size_t pending_size;
    size_t write_max;
    int fd;
    int events; /* what poll is set to */
    bool reading, connecting, failed, eof, closing;
    bool handshaking; /* the filter's: what drains now is not the owner's */
};
#define TCP_WRITE_MAX_DEFAULT ((size_t)256 << 20)

/* Takes a connected, non-blocking fd over. Sets TCP_NODELAY and keep-alive. Reading is on. */
void tcp_start(struct tcp_stream *s, struct loop *l, int fd, const struct tcp_ops *ops);
/* Begin to connect; ops->connected or ops->fail follows, never from inside. Negative: not begun,
 * and the stream needs no close. */
NODISCARD int tcp_connect(struct tcp_stream *s, struct loop *l, const struct address *to,
                          const struct address *from, const struct tcp_ops *ops);
/* Bytes that are sent and not acknowledged for so long (and connecting) end the connection. */
void tcp_set_user_timeout(struct tcp_stream *s, uint64_t timeout_ms);
void tcp_read_stop(struct tcp_stream *s);
void tcp_read_start(struct tcp_stream *s);
/* 0 or a negative code; after one the connection is of no more use. */
int tcp_write(struct tcp_stream *s, const struct iovec *iov, size_t count);
/* The same for one buffer, whose storage is taken over when not everything goes out at once; it is
 * empty afterwards. */
int tcp_write_buf(struct tcp_stream *s, struct buf *b);
static inline size_t tcp_pending(const struct tcp_stream *s)
{
    return s->pending_size;
}
/* No more will be written; what is pending should have drained. */
void tcp_shutdown_write(struct tcp_stream *s);
void tcp_close(struct tcp_stream *s); /* again is harmless */
/* Give the socket up, open as it is, to be used elsewhere (another thread's loop included): its fd.
 * The stream is over as after tcp_close(). Only where nothing waits to be written and no filter
 * stands in between; an ASSERT otherwise. */
int tcp_detach(struct tcp_stream *s);

/* For filters. */
int tcp_raw_write(struct tcp_stream *s, const struct iovec *iov, size_t count);
void tcp_deliver(struct tcp_stream *s, const char *p, size_t n);
void tcp_end(struct tcp_stream *s);            /* the peer has said that it says no more */
void tcp_fail(struct tcp_stream *s, int code); /* negative, as ops->fail() gets it */
