/* blake2b.h - the hash function BLAKE2b (RFC 7693) with 32 bytes of result and no key, by which
 * Consul tells contents apart.
 *
 *     struct blake2b h;
 *     blake2b_init(&h);
 *     blake2b_add(&h, STR("abc"));
 *     blake2b_finish(&h, digest);
 */
#pragma once
#include "base/str.h"

#define BLAKE2B_SIZE 32u
#define BLAKE2B_BLOCK_SIZE 128u

struct blake2b {
    uint64_t state[8];
    uint64_t size; /* of what was compressed */
    uint8_t block[BLAKE2B_BLOCK_SIZE];
    size_t block_size;
};

void blake2b_init(struct blake2b *h);
void blake2b_add(struct blake2b *h, struct str bytes);
void blake2b_finish(struct blake2b *h, uint8_t ret_digest[BLAKE2B_SIZE]);
