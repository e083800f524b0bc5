/* seal.h - gossip's encryption: AES-GCM with one of several keys.
 *
 * A sealed datagram is: version byte, 12 bytes of nonce, cipher text, 16 bytes of tag. Version 0
 * pads the plain text as PKCS7 does, version 1 does not; we seal with version 1 and open both. A
 * sealed stream is a frame: MEMBERLIST_ENCRYPT, 32-bit size (big endian), then the same; there the
 * first five bytes are authenticated as well.
 *
 * Keys are 16, 24 or 32 bytes. Contexts of the cipher are kept with the key, so that a datagram
 * costs no allocation. Not for several threads at once. Pure: the nonce is the caller's. No error
 * names a key. */
#pragma once
#include "base/buf.h"

struct err;

#define SEAL_KEYS_MAX 64u
#define SEAL_KEY_SIZE_MAX 32u
#define SEAL_NONCE_SIZE 12u
#define SEAL_OVERHEAD 29u /* version 1: version, nonce, tag */
#define SEAL_FRAME_HEADER 5u
#define SEAL_FRAME_SIZE_MAX ((size_t)20 << 20)

/* The keys this agent knows; the first seals, all open. */
struct seal_ring;

struct seal_ring *seal_ring_new(void);
struct seal_ring *seal_ring_free(struct seal_ring *r); /* wiped */
bool seal_key_size_is_valid(size_t size);
size_t seal_ring_count(const struct seal_ring *r);             /* 0: no encryption */
struct str seal_ring_key(const struct seal_ring *r, size_t i); /* 0 is the primary one */
bool seal_ring_has(const struct seal_ring *r, struct str key);
/* At the end (as the first when it is the only one); one it has already is no error. -ERR_INVALID:
 * its size; -ERR_TOO_LARGE: the ring is full. */
NODISCARD int seal_ring_add(struct seal_ring *r, struct str key, struct err *err);
/* Make it the first; -ERR_NOT_FOUND. */
NODISCARD int seal_ring_use(struct seal_ring *r, struct str key, struct err *err);
/* -ERR_CONFLICT: the primary one; one that is not there is no error. Texts as memberlist's. */
NODISCARD int seal_ring_remove(struct seal_ring *r, struct str key, struct err *err);

/* Append the sealed bytes, with the primary key; there must be one. What a frame could not hold
 * (SEAL_FRAME_SIZE_MAX) fails the buffer. */
void seal_packet(struct seal_ring *r, const uint8_t nonce[SEAL_NONCE_SIZE], struct str plain,
                 struct buf *to);
/* Append the plain text; tries every key. -ERR_INVALID: too short, of another version, or badly
 * padded; -ERR_PERMISSION_DENIED: none of the keys fits. */
NODISCARD int seal_packet_open(struct seal_ring *r, struct str sealed, struct buf *to,
                               struct err *err);
void seal_frame(struct seal_ring *r, const uint8_t nonce[SEAL_NONCE_SIZE], struct str plain,
                struct buf *to);
/* The size of the frame that begins with these bytes, header included; 0: SEAL_FRAME_HEADER bytes
 * are needed to tell. Negative: not a frame, or over SEAL_FRAME_SIZE_MAX behind its header. */
NODISCARD ptrdiff_t seal_frame_size(struct str bytes, struct err *err);
/* One whole frame, as seal_packet_open(). */
NODISCARD int seal_frame_open(struct seal_ring *r, struct str frame, struct buf *to,
                              struct err *err);
