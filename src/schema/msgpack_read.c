/* The items of msgpack; what is made of them is msgpack_decode.c's. Everything here is a peer's:
 * counts are believed only as far as bytes are left, depth is bounded, and the first error sticks
 * in the cursor. */
#include "schema/msgpack_read.h"

#include "base/clock.h"
#include "base/err.h"

#define TIME_UNIX_TO_GO 62135596800ll
#define TIME_BINARY_SIZE_MIN 15u
#define TIME_BINARY_VERSION_MAX 2u

enum msgpack_kind msgpack_peek(const struct cur *c)
{
    if (c->failed || c->p >= c->end) {
        return MSGPACK_END;
    }
    uint8_t b = *c->p;
    if (b <= 0x7f || b >= 0xe0) {
        return MSGPACK_INT;
    }
    if (b <= 0x8f) {
        return MSGPACK_MAP;
    }
    if (b <= 0x9f) {
        return MSGPACK_ARRAY;
    }
    if (b <= 0xbf) {
        return MSGPACK_RAW;
    }
    switch (b) {
    case 0xc0:
        return MSGPACK_NIL;
    case 0xc2:
    case 0xc3:
        return MSGPACK_BOOL;
    case 0xc4 ... 0xc6:
    case 0xd9 ... 0xdb:
        return MSGPACK_RAW;
    case 0xca:
    case 0xcb:
        return MSGPACK_FLOAT;
    case 0xcc ... 0xd3:
        return MSGPACK_INT;
    case 0xc7 ... 0xc9:
    case 0xd4 ... 0xd8:
        return MSGPACK_EXT;
    case 0xdc:
    case 0xdd:
        return MSGPACK_ARRAY;
    case 0xde:
    case 0xdf:
        return MSGPACK_MAP;
    default:
        return MSGPACK_END; /* 0xc1 is never used */
    }
}

uint64_t msgpack_read_int(struct cur *c, bool *ret_negative)
{
    *ret_negative = false;
    uint8_t b = cur_u8(c);
    int64_t i;
    if (b <= 0x7f) {
        return b;
    }
    switch (b) {
    case 0xcc:
        return cur_u8(c);
    case 0xcd:
        return cur_be16(c);
    case 0xce:
        return cur_be32(c);
    case 0xcf:
        return cur_be64(c);
    case 0xd0:
        i = (int8_t)cur_u8(c);
        break;
    case 0xd1:
        i = (int16_t)cur_be16(c);
        break;
    case 0xd2:
        i = (int32_t)cur_be32(c);
        break;
    case 0xd3:
        i = (int64_t)cur_be64(c);
        break;
    default:
        if (b < 0xe0) {
            c->failed = true;
            return 0;
        }
        i = (int8_t)b;
    }
    *ret_negative = i < 0;
    return (uint64_t)i;
}

int64_t msgpack_read_i64(struct cur *c)
{
    bool negative;
    uint64_t u = msgpack_read_int(c, &negative);
    if (!negative && u > INT64_MAX) {
        c->failed = true;
        return 0;
    }
    return (int64_t)u;
}

uint64_t msgpack_read_u64(struct cur *c)
{
    bool negative;
    uint64_t u = msgpack_read_int(c, &negative);
    if (negative) {
        c->failed = true;
        return 0;
    }
    return u;
}

bool msgpack_read_bool(struct cur *c)
{
    uint8_t b = cur_u8(c);
    if (b == 0xc3 || b == 0x01) {
        return true;
    }
    if (b != 0xc2 && b != 0x00) {
        c->failed = true;
    }
    return false;
}

double msgpack_read_float(struct cur *c)
{
    if (msgpack_peek(c) != MSGPACK_FLOAT) {
        bool negative;
        uint64_t u = msgpack_read_int(c, &negative);
        return negative ? (double)(int64_t)u : (double)u;
    }
    if (cur_u8(c) == 0xca) {
        uint32_t bits = cur_be32(c);
        float f;
        memcpy(&f, &bits, sizeof(f));
        return (double)f;
    }
    uint64_t bits = cur_be64(c);
    double f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

struct str msgpack_read_raw(struct cur *c)
{
    uint8_t b = cur_u8(c);
    if (b >= 0xa0 && b <= 0xbf) {
        return cur_take(c, b & 0x1fu);
    }
    switch (b) {
    case 0xc0:
        return STR_NULL;
    case 0xc4:
    case 0xd9:
        return cur_take(c, cur_u8(c));
    case 0xc5:
    case 0xda:
        return cur_take(c, cur_be16(c));
    case 0xc6:
    case 0xdb:
        return cur_take(c, cur_be32(c));
    default:
        c->failed = true;
        return STR_NULL;
    }
}

/* Every element takes at least `size_min` bytes; a count that cannot be true fails here. */
static size_t count_check(struct cur *c, size_t count, size_t size_min)
{
    if (c->failed || count > cur_left(c) / size_min) {
        c->failed = true;
        return 0;
    }
    return count;
}

/* The header of an array or a map: its short form holds the count in the low bits, the long ones
 * have it in the next two or four bytes. */
static inline size_t count_read(struct cur *c, uint8_t short_form, uint8_t long_form,
                                size_t size_min)
{
    uint8_t b = cur_u8(c);
    if ((b & 0xf0u) == short_form) {
        return count_check(c, b & 0x0fu, size_min);
    }
    if (b == 0xc0) {
        return 0;
    }
    if (b == long_form) {
        return count_check(c, cur_be16(c), size_min);
    }
    if (b == long_form + 1) {
        return count_check(c, cur_be32(c), size_min);
    }
    c->failed = true;
    return 0;
}

size_t msgpack_read_array(struct cur *c)
{
    return count_read(c, 0x90, 0xdc, 1);
}

size_t msgpack_read_map(struct cur *c)
{
    return count_read(c, 0x80, 0xde, 2);
}

struct str msgpack_read_ext(struct cur *c)
{
    uint8_t b = cur_u8(c);
    size_t n = 0;
    switch (b) {
    case 0xd4 ... 0xd8:
        n = (size_t)1 << (b - 0xd4);
        break;
    case 0xc7:
        n = cur_u8(c);
        break;
    case 0xc8:
        n = cur_be16(c);
        break;
    case 0xc9:
        n = cur_be32(c);
        break;
    default:
        c->failed = true;
    }
    (void)cur_u8(c);
    return cur_take(c, n);
}

void msgpack_skip_within(struct cur *c, unsigned depth)
{
    if (depth > MSGPACK_DEPTH_MAX) {
        c->failed = true;
        return;
    }
    bool negative;
    switch (msgpack_peek(c)) {
    case MSGPACK_NIL:
    case MSGPACK_BOOL:
        c->p++;
        return;
    case MSGPACK_INT:
        (void)msgpack_read_int(c, &negative);
        return;
    case MSGPACK_FLOAT:
        (void)msgpack_read_float(c);
        return;
    case MSGPACK_RAW:
        (void)msgpack_read_raw(c);
        return;
    case MSGPACK_EXT:
        (void)msgpack_read_ext(c);
        return;
    case MSGPACK_ARRAY:
        for (size_t n = msgpack_read_array(c); n > 0 && !c->failed; n--) {
            msgpack_skip_within(c, depth + 1);
        }
        return;
    case MSGPACK_MAP:
        for (size_t n = msgpack_read_map(c); n > 0 && !c->failed; n--) {
            msgpack_skip_within(c, depth + 1);
            msgpack_skip_within(c, depth + 1);
        }
        return;
    case MSGPACK_END:
        c->failed = true;
        return;
    }
}

int msgpack_skip(struct cur *c)
{
    msgpack_skip_within(c, 0);
    return c->failed ? -ERR_INVALID : 0;
}

/* Go's time.Time binary form, of any offset, to UTC nanoseconds; what int64 cannot hold becomes
 * the nearest it can. */
static int64_t time_from_binary(struct cur *c, struct str s)
{
    if (s.n < TIME_BINARY_SIZE_MIN || s.p[0] < 1 || (uint8_t)s.p[0] > TIME_BINARY_VERSION_MAX) {
        c->failed = true;
        return TIME_ZERO;
    }
    int64_t seconds = (int64_t)get_be64(s.p + 1);
    int64_t ns = (int64_t)get_be32(s.p + 9);
    if (seconds == 0 && ns == 0) {
        return TIME_ZERO;
    }
    int64_t result;
    if (ns >= (int64_t)NS_PER_SEC || __builtin_sub_overflow(seconds, TIME_UNIX_TO_GO, &seconds)) {
        c->failed = true;
        return TIME_ZERO;
    }
    if (__builtin_mul_overflow(seconds, (int64_t)NS_PER_SEC, &result) ||
        __builtin_add_overflow(result, ns, &result)) {
        return seconds < 0 ? INT64_MIN + 1 : INT64_MAX;
    }
    return result;
}

int64_t msgpack_read_time(struct cur *c)
{
    if (msgpack_read_nil(c)) {
        return TIME_ZERO;
    }
    return time_from_binary(c, msgpack_peek(c) == MSGPACK_EXT ? msgpack_read_ext(c)
                                                              : msgpack_read_raw(c));
}
