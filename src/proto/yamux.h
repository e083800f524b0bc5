/* yamux.h - many streams over one connection, as HashiCorp's yamux does it: a state machine.
 *
 *     struct yamux *y = yamux_new(&(struct yamux_options){.is_client = true});
 *     r = yamux_open(y, &id);                         // SYN; the other side sees YAMUX_OPENED
 *     n = yamux_send(y, id, bytes);                   // as much as the window and the queue take
 *     while (yamux_next(y, &in, &event) > 0) { ... }  // what came, one thing at a time
 *     write out yamux_out(y), then yamux_out_done(y, how_many);
 *
 * Nothing that comes is kept: the data of an event is a slice of the input. Instead the receiver
 * says with yamux_consumed() what it is done with, and only that much may come again; so a peer can
 * have us hold at most YAMUX_WINDOW_SIZE a stream. What is to be sent waits in one queue with a
 * ceiling: past it yamux_send() takes nothing, and a peer that asks for answers without reading
 * them ends the session.
 *
 * A stream is gone, and its id unknown, when both sides have closed it or either has reset it.
 * Keep-alive and time limits are the caller's: yamux_ping(), yamux_reset(). One thread. Pure.
 *
 * Format: https://github.com/hashicorp/yamux/blob/master/spec.md */
#pragma once
#include "base/buf.h"

struct yamux;
struct err;

#define YAMUX_HEADER_SIZE 12u
#define YAMUX_WINDOW_SIZE (256u * 1024u)
#define YAMUX_STREAMS_MAX 8192u       /* default; each open one takes some 100 bytes */
#define YAMUX_OPENING_MAX 256u        /* opened and not accepted yet; the peer resets those above */
#define YAMUX_OUT_SIZE_MAX (4u << 20) /* default, of data waiting to be sent */
#define YAMUX_OUT_CONTROL_SIZE 65536u /* above that, for frames that are answers */

enum yamux_go_away { YAMUX_NORMAL, YAMUX_PROTOCOL_ERROR, YAMUX_INTERNAL_ERROR };

struct yamux_options {
    bool is_client; /* the side that connected: its streams have odd ids */
    uint32_t streams_max;
    size_t out_size_max;
};

enum yamux_event_kind {
    YAMUX_OPENED,   /* by the peer; accepted already. yamux_reset() to refuse */
    YAMUX_ACCEPTED, /* a stream of ours */
    YAMUX_DATA,     /* borrowed from the input */
    YAMUX_WRITABLE, /* its window was used up, and is not now */
    YAMUX_FINISHED, /* the peer will send no more */
    YAMUX_RESET,    /* the stream is gone */
    YAMUX_PONG,     /* the answer to the last yamux_ping() */
    YAMUX_GO_AWAY,  /* the peer takes no new streams; those that are there go on */
};

struct yamux_event {
    enum yamux_event_kind kind;
    uint32_t id;
    struct str data;
};

struct yamux *yamux_new(const struct yamux_options *options);
struct yamux *yamux_free(struct yamux *y);

/* The next event of *in, which is advanced past what was used: 1, or 0 when all of it is used up.
 * Negative when the peer broke the rules or said it failed: the session is over, yamux_error() says
 * why; send what is in the queue (a go-away), then close. */
NODISCARD int yamux_next(struct yamux *y, struct str *in, struct yamux_event *ret_event);
const char *yamux_error(const struct yamux *y); /* NULL: none */

/* -ERR_CLOSED after a go-away or at the end of the ids, -ERR_AGAIN when too many are open. */
NODISCARD int yamux_open(struct yamux *y, uint32_t *ret_id);
/* How many of the bytes were taken; 0: wait for YAMUX_WRITABLE or for the queue to be written;
 * -ERR_CLOSED: the stream is unknown or closed by us. */
NODISCARD int64_t yamux_send(struct yamux *y, uint32_t id, struct str bytes);
/* `size` bytes of the data that came on the stream are done with. */
void yamux_consumed(struct yamux *y, uint32_t id, size_t size);
/* No more will be sent. A stream that is gone is fine, here and below. */
void yamux_close(struct yamux *y, uint32_t id);
void yamux_reset(struct yamux *y, uint32_t id);
uint32_t yamux_ping(struct yamux *y); /* what is pinged with: PONG has it for id */
/* From now on streams of the peer are reset. */
void yamux_go_away(struct yamux *y, enum yamux_go_away why);

size_t yamux_streams(const struct yamux *y);
/* What is to be written to the connection: valid until the next call. */
struct str yamux_out(const struct yamux *y);
void yamux_out_done(struct yamux *y, size_t size);
