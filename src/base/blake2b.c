#include "base/blake2b.h"

#include <string.h>

#define ROUNDS 12u

static const uint64_t iv[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static const uint8_t sigma[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint64_t load_le64(const uint8_t *p)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 8; i++) {
        n |= (uint64_t)p[i] << 8 * i;
    }
    return n;
}

static uint64_t rotate(uint64_t n, unsigned by)
{
    return n >> by | n << (64 - by);
}

static void mix(uint64_t v[16], unsigned a, unsigned b, unsigned c, unsigned d, uint64_t x,
                uint64_t y)
{
    v[a] += v[b] + x;
    v[d] = rotate(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = rotate(v[b] ^ v[c], 24);
    v[a] += v[b] + y;
    v[d] = rotate(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate(v[b] ^ v[c], 63);
}

static void compress(struct blake2b *h, bool is_last)
{
    uint64_t v[16], m[16];
    for (unsigned i = 0; i < 16; i++) {
        m[i] = load_le64(h->block + 8 * i);
    }
    for (unsigned i = 0; i < 8; i++) {
        v[i] = h->state[i];
        v[i + 8] = iv[i];
    }
    v[12] ^= h->size; /* sizes of 2^64 and more do not come up */
    v[14] ^= is_last ? UINT64_MAX : 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint8_t *s = sigma[i % 10];
        for (unsigned j = 0; j < 4; j++) {
            mix(v, j, j + 4, j + 8, j + 12, m[s[2 * j]], m[s[2 * j + 1]]);
        }
        for (unsigned j = 0; j < 4; j++) {
            mix(v, j, (j + 1) % 4 + 4, (j + 2) % 4 + 8, (j + 3) % 4 + 12, m[s[2 * j + 8]],
                m[s[2 * j + 9]]);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        h->state[i] ^= v[i] ^ v[i + 8];
    }
}

void blake2b_init(struct blake2b *h)
{
    *h = (struct blake2b){0};
    memcpy(h->state, iv, sizeof(iv));
    h->state[0] ^= 0x01010000 ^ BLAKE2B_SIZE; /* fan-out and depth 1, no key */
}

void blake2b_add(struct blake2b *h, struct str bytes)
{
    while (bytes.n > 0) {
        if (h->block_size == sizeof(h->block)) { /* a full one that was not the last */
            h->size += sizeof(h->block);
            compress(h, false);
            h->block_size = 0;
        }
        size_t n = MIN(bytes.n, sizeof(h->block) - h->block_size);
        memcpy(h->block + h->block_size, bytes.p, n);
        h->block_size += n;
        bytes = str_from(bytes, n);
    }
}

void blake2b_finish(struct blake2b *h, uint8_t ret_digest[BLAKE2B_SIZE])
{
    memset(h->block + h->block_size, 0, sizeof(h->block) - h->block_size);
    h->size += h->block_size;
    compress(h, true);
    for (unsigned i = 0; i < BLAKE2B_SIZE; i++) {
        ret_digest[i] = (uint8_t)(h->state[i / 8] >> 8 * (i % 8));
    }
}
