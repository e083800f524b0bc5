/* lzw.h - LZW as gossip compresses: least significant bit first, 8-bit literals, codes of up to 12
 * bits, as GIF has it (and Go's compress/lzw).
 *
 * The compressor makes the very bytes that Go's makes. Neither side allocates but for what it
 * returns: tables are on the stack, at most LZW_STACK_SIZE bytes of it. Pure.
 *
 * Format: GIF89a specification, appendix F. */
#pragma once
#include "base/buf.h"

struct arena;
struct err;

#define LZW_STACK_SIZE (36u * 1024u)

void lzw_compress(struct str plain, struct buf *to);
/* The same, if it comes to fewer than `size` bytes: else false, as soon as that is known, and `to`
 * is as before. */
bool lzw_compress_below(struct str plain, size_t size, struct buf *to);
/* Append the plain text; -ERR_TOO_LARGE past size_max of it (at most 4 GiB), -ERR_INVALID for
 * garbage. Nothing is allocated before all of it has been checked. */
NODISCARD int lzw_decompress(struct str packed, size_t size_max, struct buf *to, struct err *err);
NODISCARD int lzw_decompress_arena(struct str packed, size_t size_max, struct arena *a,
                                   struct str *ret, struct err *err);
