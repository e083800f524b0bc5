/* Which addresses are not for the public: RFC 6890, as go-sockaddr lists it. */
#include "gossip/core/swim_internal.h"

struct block {
    uint8_t ip[16];
    uint8_t bits;
};

static const struct block private4[] = {
    {{0}, 8},
    {{10}, 8},
    {{100, 64}, 10},
    {{127}, 8},
    {{169, 254}, 16},
    {{172, 16}, 12},
    {{192, 0, 0}, 24},
    {{192, 0, 2}, 24},
    {{192, 88, 99}, 24},
    {{192, 168}, 16},
    {{198, 18}, 15},
    {{198, 51, 100}, 24},
    {{203, 0, 113}, 24},
    {{240}, 4},
};

static const struct block private6[] = {
    {{0}, 127}, /* ::, ::1 */
    {{0x00, 0x64, 0xff, 0x9b}, 96},
    {{[10] = 0xff, [11] = 0xff}, 96},
    {{0x01, 0x00}, 64},
    {{0x20, 0x01}, 23},
    {{0x20, 0x01, 0x0d, 0xb8}, 32},
    {{0x20, 0x02}, 16},
    {{0xfc}, 7},
    {{0xfe, 0x80}, 10},
};

static bool is_in(const struct block *b, const uint8_t *ip)
{
    size_t whole = b->bits / 8;
    unsigned rest = b->bits % 8;
    return memcmp(b->ip, ip, whole) == 0 &&
           (rest == 0 || (b->ip[whole] ^ ip[whole]) >> (8 - rest) == 0);
}

bool swim_address_is_public(const struct gossip_address *a)
{
    const struct block *blocks = a->size == 4 ? private4 : private6;
    size_t count = a->size == 4 ? ARRAY_SIZE(private4) : ARRAY_SIZE(private6);
    for (size_t i = 0; i < count; i++) {
        if (is_in(&blocks[i], a->ip)) {
            return false;
        }
    }
    return true;
}
