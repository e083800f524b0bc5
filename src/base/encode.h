/* encode.h - base64 and hex. Standard base64 with padding (RFC 4648 section 4); the url alphabet
 * without padding where a name says so. Decoders accept what Go's encoding/base64 and hex accept:
 * line breaks inside base64 are skipped, the unused bits of the last character may be anything, and
 * all else that is not well-formed is -ERR_INVALID. */
#pragma once
#include "base/buf.h"

struct arena;

void base64_encode(struct buf *to, struct str bytes);
/* Decode into the arena. *ret_bytes has a p even when it is empty. */
NODISCARD int base64_decode(struct arena *a, struct str text, struct str *ret_bytes);
/* Where Go would say that a text which is not well-formed is not ("illegal base64 data at input
 * byte N"): at the first character that is none, where an unfinished group begins, or
 * where the text should have ended. */
size_t base64_fault(struct str text);
NODISCARD int base64url_decode(struct arena *a, struct str text, struct str *ret_bytes);
void base64url_encode(struct buf *to, struct str bytes);
void hex_encode(struct buf *to, struct str bytes); /* lower case */
NODISCARD int hex_decode(struct arena *a, struct str text, struct str *ret_bytes);
uint32_t crc32c(uint32_t crc, const void *p, size_t n);           /* Castagnoli; start with 0 */
uint32_t crc32c_portable_(uint32_t crc, const void *p, size_t n); /* for its test */
uint64_t fnv1a64(struct str s);
