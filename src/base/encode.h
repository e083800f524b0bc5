/* encode.h - base64 and hex. Standard base64 with padding (RFC 4648 section 4); the url alphabet
 * without padding where a name says so. Decoders are strict. */
#pragma once
#include "base/buf.h"

struct arena;

void base64_encode(struct buf *to, struct str bytes);
/* Decode into the arena; -ERR_INVALID on anything that is not well-formed. */
NODISCARD int base64_decode(struct arena *a, struct str text, struct str *ret_bytes);
NODISCARD int base64url_decode(struct arena *a, struct str text, struct str *ret_bytes);
void base64url_encode(struct buf *to, struct str bytes);
void hex_encode(struct buf *to, struct str bytes); /* lower case */
NODISCARD int hex_decode(struct arena *a, struct str text, struct str *ret_bytes);
uint32_t crc32c(uint32_t crc, const void *p, size_t n); /* Castagnoli; start with 0 */
uint64_t fnv1a64(struct str s);
