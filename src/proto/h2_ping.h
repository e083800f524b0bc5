/* h2_ping.h - as much of HTTP/2 (RFC 9113) as it takes to see whether somebody speaks it: open a
 * connection, send a PING, wait for its answer.
 *
 *     h2_ping_begin(&p, opaque, &out);            // send what is in out
 *     h2_ping_feed(&p, bytes, &out);              // and again, until p.state is not
 * H2_PING_WAITING
 *
 * Frames are skipped by their length, but for SETTINGS (acknowledged), GOAWAY, and the PING's
 * answer. Pure. */
#pragma once
#include "base/buf.h"

#define H2_PING_OPAQUE_SIZE 8u
#define H2_FRAME_SIZE_MAX 16384u /* nobody may send more before being told so */

enum h2_ping_state { H2_PING_WAITING, H2_PING_ANSWERED, H2_PING_FAILED };

struct h2_ping {
    enum h2_ping_state state;
    const char *error; /* when it has failed; a constant */
    char opaque[H2_PING_OPAQUE_SIZE];
    struct buf in; /* the beginning of a frame */
};

void h2_ping_begin(struct h2_ping *p, const char opaque[H2_PING_OPAQUE_SIZE], struct buf *out);
/* Bytes that came; none at all: the connection's end. */
void h2_ping_feed(struct h2_ping *p, struct str bytes, struct buf *out);
void h2_ping_deinit(struct h2_ping *p);
