/* lzw.h - LZW as gossip compresses: least significant bit first, 8-bit literals, codes of up to 12
 * bits, as GIF has it (and Go's compress/lzw).
 *
 * Format: GIF89a specification, appendix F. */
#pragma once
#include "base/buf.h"

struct err;

void lzw_compress(struct str plain, struct buf *to);
/* Append the plain text; -ERR_TOO_LARGE past size_max of it, -ERR_INVALID for garbage. */
NODISCARD int lzw_decompress(struct str packed, size_t size_max, struct buf *to, struct err *err);
