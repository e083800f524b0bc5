/* msgpack_scan.h - where does a message end that is msgpack without a length before it?
 *
 *     msgpack_scan_begin(&s, 0, 2, RPC_FRAME_SIZE_MAX);  // two values, a header and a body
 *     r = msgpack_scan(&s, everything_since_the_begin);  // again whenever more has come
 *     r == 1: the first s.at bytes are the message
 *
 * Every byte is looked at once, however small the pieces in which they come, and no stack is
 * needed: only the number of values still to come is kept. Depth and types are the decoder's to
 * check. Pure. */
#pragma once
#include "base/buf.h"

struct msgpack_scan {
    size_t at;     /* scanned up to here; past the end while a string is on its way */
    uint64_t left; /* values still to come */
    size_t max;
};

/* `skip` bytes of something else, then `count` values; max is of all together. */
void msgpack_scan_begin(struct msgpack_scan *s, size_t skip, uint64_t count, size_t max);
/* 1: complete, 0: more bytes are needed; -ERR_INVALID, or -ERR_TOO_LARGE as soon as it is known
 * that the message will not fit. bytes begin where the message begins. */
NODISCARD int msgpack_scan(struct msgpack_scan *s, struct str bytes);
