/* rand.h - randomness: a small generator with a seed for decisions (jitter, shuffles), and the
 * system's for secrets and ids. Pure code is handed a struct rng and never makes one. A struct rng
 * belongs to one thread; random_bytes() and uuid_generate() are for any. */
#pragma once
#include "base/str.h"

struct rng {
    uint64_t s[4]; /* xoshiro256** (Blackman and Vigna) */
};

void rng_seed(struct rng *r, uint64_t seed);
void rng_seed_system(struct rng *r);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); /* unbiased; bound 0 gives 0 */
double rng_f64(struct rng *r);                     /* [0, 1) */
void rng_bytes(struct rng *r, void *p, size_t n);

void random_bytes(void *p, size_t n); /* the kernel's; never fails */

#define UUID_TEXT_SIZE 36u
/* Lower-case 8-4-4-4-12; not NUL-terminated unless the array is longer. All 128 bits are random,
 * as Consul's ids are (no version bits). */
void uuid_generate(char ret_text[UUID_TEXT_SIZE]);
void uuid_format(const uint8_t bytes[16], char ret_text[UUID_TEXT_SIZE]);
NODISCARD int uuid_parse(struct str text, uint8_t ret_bytes[16]); /* either case of hex */
bool uuid_is_valid(struct str text);
