/* gossip_again.h - decode, encode, decode: what was understood once is written so that it comes out
 * the same again. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* Decode a message and append what it is written as; negative: it cannot be decoded. */
typedef int again_fn(struct str message, struct arena *a, struct buf *to, struct err *err);

UNUSED static void again_check(again_fn *rewrite, struct str message)
{
    struct arena a = {0};
    struct err err = {0};
    struct buf once = {0}, twice = {0};
    if (rewrite(message, &a, &once, &err) >= 0) {
        ASSERT(!once.failed);
        ASSERT(rewrite(buf_view(&once), &a, &twice, &err) >= 0);
        ASSERT(str_eq(buf_view(&once), buf_view(&twice)));
    } else {
        ASSERT(err.code > 0 && once.n == 0);
    }
    buf_deinit(&once);
    buf_deinit(&twice);
    arena_deinit(&a);
}
