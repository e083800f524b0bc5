/* msgpack_read.h - the items of msgpack that only a decoder asks for; private to schema/. The
 * others are in msgpack.h. All of them set c->failed where something else stands. */
#pragma once
#include "schema/msgpack.h"

/* Past a nil; false, and nothing is read, where there is none. */
static inline bool msgpack_read_nil(struct cur *c)
{
    if (c->failed || c->p >= c->end || *c->p != 0xc0) {
        return false;
    }
    c->p++;
    return true;
}
/* An integer of either sign: its 64 bits, and whether they are a negative number's. */
uint64_t msgpack_read_int(struct cur *c, bool *ret_negative);
double msgpack_read_float(struct cur *c); /* integers, too */
/* The payload of an extension item; its type byte is left out. */
struct str msgpack_read_ext(struct cur *c);
/* Past whatever it is, which lies `depth` levels deep already. */
void msgpack_skip_within(struct cur *c, unsigned depth);
