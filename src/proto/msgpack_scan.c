#include "proto/msgpack_scan.h"

#include "base/err.h"

void msgpack_scan_begin(struct msgpack_scan *s, size_t skip, uint64_t count, size_t max)
{
    *s = (struct msgpack_scan){.at = skip, .left = count, .max = max};
}

/* What the first byte of a value says of the rest. */
struct shape {
    uint8_t count_size; /* bytes of the length or count that follow */
    uint8_t children;   /* values an element of the count stands for; 0: the count is of bytes */
    uint64_t extra;     /* bytes behind the count, or the count itself where it has no bytes */
};

static int shape_of(uint8_t b, struct shape *ret)
{
    if (b <= 0x7f || b >= 0xe0) {
        *ret = (struct shape){0};
    } else if (b <= 0x8f) {
        *ret = (struct shape){.children = 2, .extra = b & 0x0fu};
    } else if (b <= 0x9f) {
        *ret = (struct shape){.children = 1, .extra = b & 0x0fu};
    } else if (b <= 0xbf) {
        *ret = (struct shape){.extra = b & 0x1fu};
    } else {
        switch (b) {
        case 0xc0:
        case 0xc2:
        case 0xc3:
            *ret = (struct shape){0};
            break;
        case 0xc4 ... 0xc6: /* bin */
            *ret = (struct shape){.count_size = (uint8_t)(1u << (b - 0xc4))};
            break;
        case 0xc7 ... 0xc9: /* ext: its type is a byte more */
            *ret = (struct shape){.count_size = (uint8_t)(1u << (b - 0xc7)), .extra = 1};
            break;
        case 0xca:
        case 0xcb: /* float 32, 64 */
            *ret = (struct shape){.extra = 4u << (b - 0xca)};
            break;
        case 0xcc ... 0xcf:
            *ret = (struct shape){.extra = 1u << (b - 0xcc)};
            break;
        case 0xd0 ... 0xd3:
            *ret = (struct shape){.extra = 1u << (b - 0xd0)};
            break;
        case 0xd4 ... 0xd8: /* fixext */
            *ret = (struct shape){.extra = 1u + (1u << (b - 0xd4))};
            break;
        case 0xd9 ... 0xdb: /* raw */
            *ret = (struct shape){.count_size = (uint8_t)(1u << (b - 0xd9))};
            break;
        case 0xdc:
        case 0xdd:
            *ret = (struct shape){.count_size = (uint8_t)(2u << (b - 0xdc)), .children = 1};
            break;
        case 0xde:
        case 0xdf:
            *ret = (struct shape){.count_size = (uint8_t)(2u << (b - 0xde)), .children = 2};
            break;
        default:
            return -ERR_INVALID; /* 0xc1 is never used */
        }
    }
    return 0;
}

int msgpack_scan(struct msgpack_scan *s, struct str bytes)
{
    while (s->left > 0) {
        if (s->at >= bytes.n) {
            return 0;
        }
        const uint8_t *p = (const uint8_t *)bytes.p + s->at;
        struct shape shape = {0};
        int r = shape_of(*p, &shape);
        if (r < 0) {
            return r;
        }
        if (bytes.n - s->at < 1u + shape.count_size) {
            return 0;
        }
        uint64_t count = 0;
        for (unsigned i = 1; i <= shape.count_size; i++) {
            count = count << 8 | p[i];
        }
        count += shape.extra;
        s->left--;
        s->at += 1u + shape.count_size;
        if (shape.children > 0) {
            s->left += count * shape.children;
        } else {
            s->at += count;
        }
        /* Each value to come has a byte at least. Counts have 32 bits: nothing here overflows. */
        if (s->at > s->max || s->left > s->max - s->at) {
            return -ERR_TOO_LARGE;
        }
    }
    return s->at <= bytes.n ? 1 : 0;
}
