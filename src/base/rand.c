#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>

#include "base/err.h"

void random_bytes(void *p, size_t n)
{
    char *to = p;
    while (n > 0) {
        ssize_t got = getrandom(to, n, 0);
        ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            to += got;
            n -= (size_t)got;
        }
    }
}

/* splitmix64: spreads a seed over the whole state, which must not be all zero. */
void rng_seed(struct rng *r, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_SIZE(r->s); i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->s[i] = z ^ (z >> 31);
    }
}

void rng_seed_system(struct rng *r)
{
    uint64_t seed;
    random_bytes(&seed, sizeof(seed));
    rng_seed(r, seed);
}

static uint64_t rotate_left(uint64_t x, unsigned count)
{
    return x << count | x >> (64 - count);
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* Lemire's multiplication, which rejects the few products that would favour small results; only one
 * that is small itself can be among them, so that the division is seldom made. */
uint64_t rng_below(struct rng *r, uint64_t bound)
{
    if (bound == 0) {
        return 0;
    }
    for (;;) {
        unsigned __int128 product = (unsigned __int128)rng_u64(r) * bound;
        if ((uint64_t)product >= bound || (uint64_t)product >= (0 - bound) % bound) {
            return (uint64_t)(product >> 64);
        }
    }
}

double rng_f64(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

void rng_bytes(struct rng *r, void *p, size_t n)
{
    char *to = p;
    while (n > 0) {
        uint64_t word = rng_u64(r);
        size_t some = MIN(n, sizeof(word));
        memcpy(to, &word, some);
        to += some;
        n -= some;
    }
}

static bool is_dash_place(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

void uuid_format(const uint8_t bytes[16], char ret_text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < 16; i++) {
        if (is_dash_place(at)) {
            ret_text[at++] = '-';
        }
        ret_text[at++] = digits[bytes[i] >> 4];
        ret_text[at++] = digits[bytes[i] & 15];
    }
}

void uuid_generate(char ret_text[UUID_TEXT_SIZE])
{
    uint8_t bytes[16];
    random_bytes(bytes, sizeof(bytes));
    uuid_format(bytes, ret_text);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uuid_parse(struct str text, uint8_t ret_bytes[16])
{
    uint8_t bytes[16] = {0};
    size_t nibbles = 0;
    if (text.n != UUID_TEXT_SIZE) {
        return -ERR_INVALID;
    }
    for (size_t at = 0; at < UUID_TEXT_SIZE; at++) {
        if (is_dash_place(at)) {
            if (text.p[at] != '-') {
                return -ERR_INVALID;
            }
            continue;
        }
        int value = hex_value(text.p[at]);
        if (value < 0) {
            return -ERR_INVALID;
        }
        bytes[nibbles / 2] = (uint8_t)(bytes[nibbles / 2] << 4 | value);
        nibbles++;
    }
    memcpy(ret_bytes, bytes, sizeof(bytes));
    return 0;
}

bool uuid_is_valid(struct str text)
{
    uint8_t bytes[16];
    return uuid_parse(text, bytes) == 0;
}
