#include "base/encode.h"

#include "base/arena.h"
#include "base/err.h"

static const char alphabet_std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

typedef uint32_t four __attribute__((vector_size(16)));
typedef int8_t sixteen __attribute__((vector_size(16)));

/* Sixteen characters from twelve bytes, of thirteen that are read: four groups of three bytes side
 * by side. Which character stands for six bits is their range's offset away; no table is needed. */
static void encode_twelve(const uint8_t *from, char *to, char c62, char c63)
{
    four x = {get_le32(from), get_le32(from + 3), get_le32(from + 6), get_le32(from + 9)};
    x = (x >> 2 & 0x3f) | (x << 12 & 0x3000) | (x >> 4 & 0x0f00) | (x << 10 & 0x3c0000) |
        (x >> 6 & 0x30000) | (x << 8 & 0x3f000000);
    sixteen v = (sixteen)x;
    sixteen offset = (sixteen){0} + 'A';
    offset += (v > 25) & ('a' - 'A' - 26);
    offset += (v > 51) & ('0' - 'a' - 26);
    offset += (v > 61) & (int8_t)(c62 - '0' - 10);
    offset += (v > 62) & (int8_t)(c63 - c62 - 1);
    v += offset;
    memcpy(to, &v, sizeof(v));
}

static void encode64(struct buf *to, struct str bytes, const char *alphabet, bool pad)
{
    if (bytes.n == 0) {
        return;
    }
    if (bytes.n > BUF_SIZE_MAX_DEFAULT) {
        to->failed = true;
        return;
    }
    char *p = buf_reserve(to, (bytes.n + 2) / 3 * 4);
    if (p == NULL) {
        return;
    }
    char *start = p;
    const uint8_t *from = (const uint8_t *)bytes.p;
    size_t left = bytes.n;
    const char c62 = alphabet[62], c63 = alphabet[63];
    for (; left >= 13; left -= 12, from += 12, p += 16) {
        encode_twelve(from, p, c62, c63);
    }
    for (; left >= 3; left -= 3, from += 3) {
        uint32_t v = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        *p++ = alphabet[v >> 6 & 63];
        *p++ = alphabet[v & 63];
    }
    if (left > 0) {
        uint32_t v = (uint32_t)from[0] << 16 | (left == 2 ? (uint32_t)from[1] << 8 : 0);
        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        if (left == 2) {
            *p++ = alphabet[v >> 6 & 63];
        } else if (pad) {
            *p++ = '=';
        }
        if (pad) {
            *p++ = '=';
        }
    }
    to->n += (size_t)(p - start);
}

void base64_encode(struct buf *to, struct str bytes)
{
    encode64(to, bytes, alphabet_std, true);
}

void base64url_encode(struct buf *to, struct str bytes)
{
    encode64(to, bytes, alphabet_url, false);
}

/* The values of the characters; NO for those outside the alphabet. */
#define NO 0xffu
/* clang-format off */
static const uint8_t values_std[256] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, NO, NO, 63,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO,
    NO,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, NO,
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
};
static const uint8_t values_url[256] = {
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, 62, NO, NO,
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, NO, NO, NO, NO, NO, NO,
    NO,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, NO, NO, NO, NO, 63,
    NO, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
    NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO,
};
/* clang-format on */

static bool is_line_break(char c)
{
    return c == '\r' || c == '\n';
}

/* As many whole groups of four characters as stand at the front; returns how many groups. */
static size_t decode_groups(const uint8_t *values, struct str text, char *out)
{
    const uint8_t *p = (const uint8_t *)text.p;
    size_t groups = 0;
    for (; text.n - groups * 4 >= 4; groups++, p += 4, out += 3) {
        uint32_t a = values[p[0]], b = values[p[1]], c = values[p[2]], d = values[p[3]];
        if (((a | b | c | d) & 0xc0) != 0) { /* one of them is NO */
            break;
        }
        uint32_t word = a << 18 | b << 12 | c << 6 | d;
        out[0] = (char)(word >> 16);
        out[1] = (char)(word >> 8);
        out[2] = (char)word;
    }
    return groups;
}

static int decode64(struct arena *a, struct str text, bool url, struct str *ret_bytes)
{
    const uint8_t *values = url ? values_url : values_std;
    char *out = arena_alloc(a, text.n / 4 * 3 + 4);
    size_t groups = decode_groups(values, text, out), n = groups * 3;
    uint32_t word = 0;
    unsigned chars = 0, pads = 0;
    for (size_t i = groups * 4; i < text.n; i++) {
        char c = text.p[i];
        if (is_line_break(c)) {
            continue;
        }
        if (c == '=') {
            if (url || chars < 2 || chars + ++pads > 4) {
                return -ERR_INVALID;
            }
            continue;
        }
        uint32_t value = values[(uint8_t)c];
        if (value == NO || pads > 0) {
            return -ERR_INVALID;
        }
        word = word << 6 | value;
        if (++chars == 4) {
            out[n++] = (char)(word >> 16);
            out[n++] = (char)(word >> 8);
            out[n++] = (char)word;
            word = chars = 0;
        }
    }
    if (chars == 1 || (chars > 0 && !url && chars + pads != 4)) {
        return -ERR_INVALID;
    }
    if (chars == 2) {
        out[n++] = (char)(word >> 4);
    } else if (chars == 3) {
        out[n++] = (char)(word >> 10);
        out[n++] = (char)(word >> 2);
    }
    *ret_bytes = str_make(out, n);
    return 0;
}

int base64_decode(struct arena *a, struct str text, struct str *ret_bytes)
{
    return decode64(a, text, false, ret_bytes);
}

static size_t skip_line_breaks(struct str text, size_t i)
{
    while (i < text.n && is_line_break(text.p[i])) {
        i++;
    }
    return i;
}

size_t base64_fault(struct str text)
{
    size_t digits = 0; /* of the four that stand for three bytes */
    for (size_t i = 0; i < text.n; i++) {
        if (is_line_break(text.p[i])) {
            continue;
        }
        if (values_std[(uint8_t)text.p[i]] != NO) {
            digits = (digits + 1) % 4;
            continue;
        }
        if (text.p[i] != '=' || digits < 2) {
            return i;
        }
        size_t next = skip_line_breaks(text, i + 1);
        if (digits == 2) {
            if (next == text.n) {
                return text.n;
            }
            if (text.p[next] != '=') {
                return next - 1;
            }
            next = skip_line_breaks(text, next + 1);
        }
        return next; /* what comes after the end */
    }
    return text.n - digits;
}

int base64url_decode(struct arena *a, struct str text, struct str *ret_bytes)
{
    return decode64(a, text, true, ret_bytes);
}

void hex_encode(struct buf *to, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    if (bytes.n > BUF_SIZE_MAX_DEFAULT) {
        to->failed = true;
        return;
    }
    char *p = buf_reserve(to, bytes.n * 2);
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < bytes.n; i++) {
        p[2 * i] = digits[(uint8_t)bytes.p[i] >> 4];
        p[2 * i + 1] = digits[(uint8_t)bytes.p[i] & 15];
    }
    to->n += bytes.n * 2;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(struct arena *a, struct str text, struct str *ret_bytes)
{
    if (text.n % 2 != 0) {
        return -ERR_INVALID;
    }
    char *out = arena_alloc(a, text.n / 2 + 1);
    for (size_t i = 0; i < text.n / 2; i++) {
        int high = hex_value(text.p[2 * i]), low = hex_value(text.p[2 * i + 1]);
        if (high < 0 || low < 0) {
            return -ERR_INVALID;
        }
        out[i] = (char)(high << 4 | low);
    }
    *ret_bytes = str_make(out, text.n / 2);
    return 0;
}

/* Four bits at a time: for machines without the instruction. */
uint32_t crc32c_portable_(uint32_t crc, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    crc = ~crc;
    static const uint32_t table[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (; n > 0; n--, p++) {
        crc ^= *p;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const uint8_t *p,
                                                               size_t n)
{
    uint64_t wide = crc;
    for (; n >= 8; n -= 8, p += 8) {
        wide = __builtin_ia32_crc32di(wide, get_le64(p));
    }
    crc = (uint32_t)wide;
    for (; n > 0; n--, p++) {
        crc = __builtin_ia32_crc32qi(crc, *p);
    }
    return crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        return ~crc32c_sse42(~crc, p, n);
    }
#endif
    return crc32c_portable_(crc, p, n);
}

uint64_t fnv1a64(struct str s)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++) {
        hash = (hash ^ (uint8_t)s.p[i]) * 0x100000001b3u;
    }
    return hash;
}
