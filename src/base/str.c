#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/mem.h"

#define FLOAT_TEXT_SIZE_MAX 1024u

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int str_cmp(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

int str_cmp_fold(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    for (size_t i = 0; i < n; i++) {
        int order = lower(a.p[i]) - lower(b.p[i]);
        if (order != 0) {
            return order;
        }
    }
    return (a.n > b.n) - (a.n < b.n);
}

bool str_eq_fold(struct str a, struct str b)
{
    return a.n == b.n && (str_eq(a, b) || str_cmp_fold(a, b) == 0); /* mostly they are the same */
}

ptrdiff_t str_find_byte(struct str s, char c)
{
    const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;
    return at != NULL ? at - s.p : -1;
}

ptrdiff_t str_rfind_byte(struct str s, char c)
{
    const char *at = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;
    return at != NULL ? at - s.p : -1;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
    if (needle.n == 0) {
        return 0;
    }
    const char *at = s.n >= needle.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at != NULL ? at - s.p : -1;
}

struct str str_trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

bool str_cut(struct str s, char sep, struct str *head, struct str *tail)
{
    ptrdiff_t at = str_find_byte(s, sep);
    if (at < 0) {
        *head = s;
        *tail = s.n > 0 ? str_from(s, s.n) : s;
        return false;
    }
    *head = str_first(s, (size_t)at);
    *tail = str_from(s, (size_t)at + 1);
    return true;
}

bool str_split_next(struct str *rest, char sep, struct str *ret_piece)
{
    if (rest->p == NULL) {
        return false;
    }
    struct str tail;
    if (!str_cut(*rest, sep, ret_piece, &tail)) {
        tail = STR_NULL;
    }
    *rest = tail;
    return true;
}

int str_parse_u64(struct str s, uint64_t *ret_value)
{
    uint64_t value = 0;
    bool overflow = false;
    if (s.n == 0) {
        return -ERR_INVALID;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i])) {
            return -ERR_INVALID;
        }
        overflow |= __builtin_mul_overflow(value, 10u, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value);
    }
    if (overflow) {
        return -ERR_RANGE;
    }
    *ret_value = value;
    return 0;
}

int str_parse_i64(struct str s, int64_t *ret_value)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        s = str_from(s, 1);
    }
    uint64_t magnitude;
    int r = str_parse_u64(s, &magnitude);
    if (r < 0) {
        return r;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return -ERR_RANGE;
    }
    *ret_value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return 0;
}

/* How many digits stand at the front. */
static size_t digits_count(struct str s)
{
    size_t n = 0;
    while (n < s.n && is_digit(s.p[n])) {
        n++;
    }
    return n;
}

/* [sign] digits [. digits] [e [sign] digits], with a digit on at least one side of the dot: strtod
 * alone would also take hexadecimal, "inf" and "nan". */
static bool is_decimal_float(struct str s)
{
    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
        s = str_from(s, 1);
    }
    size_t digits = digits_count(s);
    s = str_from(s, digits);
    if (s.n > 0 && s.p[0] == '.') {
        s = str_from(s, 1);
        size_t fraction = digits_count(s);
        digits += fraction;
        s = str_from(s, fraction);
    }
    if (digits == 0) {
        return false;
    }
    if (s.n > 0 && (s.p[0] == 'e' || s.p[0] == 'E')) {
        s = str_from(s, 1);
        if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) {
            s = str_from(s, 1);
        }
        size_t exponent = digits_count(s);
        if (exponent == 0) {
            return false;
        }
        s = str_from(s, exponent);
    }
    return s.n == 0;
}

int str_parse_f64(struct str s, double *ret_value)
{
    char text[FLOAT_TEXT_SIZE_MAX];
    if (!is_decimal_float(s)) {
        return -ERR_INVALID;
    }
    if (s.n >= sizeof(text)) {
        return -ERR_RANGE;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    double value = strtod(text, NULL);
    if (__builtin_isinf(value)) {
        return -ERR_RANGE;
    }
    *ret_value = value;
    return 0;
}

int str_parse_bool(struct str s, bool *ret_value)
{
    static const struct str yes[] = {STR_INIT("1"),    STR_INIT("t"),    STR_INIT("T"),
                                     STR_INIT("TRUE"), STR_INIT("true"), STR_INIT("True")};
    static const struct str no[] = {STR_INIT("0"),     STR_INIT("f"),     STR_INIT("F"),
                                    STR_INIT("FALSE"), STR_INIT("false"), STR_INIT("False")};
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (str_eq(s, yes[i])) {
            *ret_value = true;
            return 0;
        }
        if (str_eq(s, no[i])) {
            *ret_value = false;
            return 0;
        }
    }
    return -ERR_INVALID;
}

/* The length of the well-formed sequence at the front (RFC 3629: no overlong forms, no surrogates,
 * nothing over U+10FFFF), or 0. s is not empty. */
static size_t utf8_sequence_size(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char low = 0x80, high = 0xbf;
    size_t size;
    if (p[0] < 0x80) {
        return 1;
    } else if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        size = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        size = 3;
        low = p[0] == 0xe0 ? 0xa0 : 0x80;
        high = p[0] == 0xed ? 0x9f : 0xbf;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        size = 4;
        low = p[0] == 0xf0 ? 0x90 : 0x80;
        high = p[0] == 0xf4 ? 0x8f : 0xbf;
    } else {
        return 0;
    }
    if (s.n < size || p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

size_t str_utf8_next(struct str s, uint32_t *ret_rune)
{
    size_t size = s.n > 0 ? utf8_sequence_size(s) : 0;
    const unsigned char *p = (const unsigned char *)s.p;
    if (size == 1) {
        *ret_rune = p[0];
    } else if (size > 1) {
        uint32_t rune = p[0] & (0x7fu >> size);
        for (size_t i = 1; i < size; i++) {
            rune = rune << 6 | (p[i] & 0x3fu);
        }
        *ret_rune = rune;
    }
    return size;
}

bool str_is_utf8(struct str s)
{
    while (s.n > 0) {
        uint64_t word;
        while (s.n >= sizeof(word)) {
            memcpy(&word, s.p, sizeof(word));
            if ((word & 0x8080808080808080u) != 0) {
                break;
            }
            s = str_from(s, sizeof(word));
        }
        if (s.n == 0) {
            break;
        }
        size_t size = utf8_sequence_size(s);
        if (size == 0) {
            return false;
        }
        s = str_from(s, size);
    }
    return true;
}

/* SipHash-1-3 (Aumasson and Bernstein) under a key nobody outside can know, so that users cannot
 * choose colliding keys. The key is drawn before main(), and so read without synchronization. */
static uint64_t hash_key[2];

__attribute__((constructor)) static void hash_key_init(void)
{
    char *p = (char *)hash_key;
    size_t n = 0;
    while (n < sizeof(hash_key)) {
        ssize_t got = getrandom(p + n, sizeof(hash_key) - n, 0);
        ASSERT(got > 0 || errno == EINTR);
        n += got > 0 ? (size_t)got : 0;
    }
}

struct sip {
    uint64_t a, b, c, d;
};

static inline uint64_t rotate_left(uint64_t x, unsigned count)
{
    return x << count | x >> (64 - count);
}

static inline void sip_round(struct sip *v)
{
    v->a += v->b;
    v->b = rotate_left(v->b, 13) ^ v->a;
    v->a = rotate_left(v->a, 32);
    v->c += v->d;
    v->d = rotate_left(v->d, 16) ^ v->c;
    v->a += v->d;
    v->d = rotate_left(v->d, 21) ^ v->a;
    v->c += v->b;
    v->b = rotate_left(v->b, 17) ^ v->c;
    v->c = rotate_left(v->c, 32);
}

uint64_t siphash13(const uint64_t key[2], struct str s)
{
    struct sip v = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                    key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    uint64_t last = (uint64_t)s.n << 56;
    while (s.n >= 8) {
        uint64_t word;
        memcpy(&word, s.p, 8);
        v.d ^= word;
        sip_round(&v);
        v.a ^= word;
        s.p += 8;
        s.n -= 8;
    }
    for (size_t i = 0; i < s.n; i++) {
        last |= (uint64_t)(unsigned char)s.p[i] << (8 * i);
    }
    v.d ^= last;
    sip_round(&v);
    v.a ^= last;
    v.c ^= 0xff;
    sip_round(&v);
    sip_round(&v);
    sip_round(&v);
    return v.a ^ v.b ^ v.c ^ v.d;
}

uint64_t str_hash(struct str s)
{
    return siphash13(hash_key, s);
}

char *str_to_cstr(struct str s)
{
    char *z = xmalloc(s.n + 1);
    if (s.n > 0) {
        memcpy(z, s.p, s.n);
    }
    z[s.n] = '\0';
    return z;
}
