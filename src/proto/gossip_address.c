/* IP addresses as text: what net.IP's String() prints, and what net.ParseIP() reads, in Go. */
#include "proto/memberlist.h"

#define GROUPS 8u

static bool is_mapped(const struct gossip_address *a)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return a->size == 16 && memcmp(a->ip, prefix, sizeof(prefix)) == 0;
}

static bool is_v6(const struct gossip_address *a)
{
    return a->size == 16 && !is_mapped(a);
}

/* The longest run of two zero groups or more is "::"; of several, the first. */
static void v6_format(const uint8_t ip[16], struct buf *to)
{
    size_t skip_from = GROUPS, skip_to = GROUPS;
    for (size_t i = 0; i < GROUPS; i++) {
        size_t end = i;
        while (end < GROUPS && get_be16(ip + 2 * end) == 0) {
            end++;
        }
        if (end - i >= 2 && end - i > skip_to - skip_from) {
            skip_from = i;
            skip_to = end;
        }
        i = MAX(i, end);
    }
    for (size_t i = 0; i < GROUPS; i++) {
        if (i == skip_from) {
            buf_lit(to, "::");
            i = skip_to;
            if (i == GROUPS) {
                break;
            }
        } else if (i > 0) {
            buf_byte(to, ':');
        }
        buf_printf(to, "%x", get_be16(ip + 2 * i));
    }
}

void gossip_address_format_ip(const struct gossip_address *a, struct buf *to)
{
    if (is_v6(a)) {
        v6_format(a->ip, to);
    } else if (a->size != 0) {
        const uint8_t *ip = a->ip + (a->size - 4);
        buf_printf(to, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
    }
}

void gossip_address_format(const struct gossip_address *a, struct buf *to)
{
    if (is_v6(a)) {
        buf_byte(to, '[');
    }
    gossip_address_format_ip(a, to);
    if (is_v6(a)) {
        buf_byte(to, ']');
    }
    buf_byte(to, ':');
    buf_u64(to, a->port);
}

/* Four numbers without leading zeros. */
static bool v4_parse(struct str text, uint8_t ret[4])
{
    size_t n = 0;
    struct str piece;
    while (str_split_next(&text, '.', &piece)) {
        uint64_t value;
        if (n == 4 || piece.n > 3 || (piece.n > 1 && piece.p[0] == '0') ||
            str_parse_u64(piece, &value) < 0 || value > UINT8_MAX) {
            return false;
        }
        ret[n++] = (uint8_t)value;
    }
    return n == 4;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Groups of a part without "::" in it; the last may be an IPv4 address. How many bytes they are,
 * at most 16, or -1. */
static int groups_parse(struct str text, uint8_t ret[16])
{
    size_t n = 0;
    struct str piece;
    if (text.n == 0) {
        return 0;
    }
    while (str_split_next(&text, ':', &piece)) {
        if (text.p == NULL && n <= 12 && str_contains(piece, STR("."))) {
            return v4_parse(piece, ret + n) ? (int)n + 4 : -1;
        }
        unsigned value = 0;
        if (n == 16 || piece.n == 0 || piece.n > 4) {
            return -1;
        }
        for (size_t i = 0; i < piece.n; i++) {
            int digit = hex_value(piece.p[i]);
            if (digit < 0) {
                return -1;
            }
            value = value << 4 | (unsigned)digit;
        }
        put_be16(ret + n, (uint16_t)value);
        n += 2;
    }
    return (int)n;
}

static bool v6_parse(struct str text, uint8_t ret[16])
{
    uint8_t head[16] = {0}, tail[16] = {0};
    ptrdiff_t skip = str_find(text, STR("::"));
    if (skip < 0) {
        return groups_parse(text, ret) == 16;
    }
    int head_size = groups_parse(str_first(text, (size_t)skip), head);
    int tail_size = groups_parse(str_from(text, (size_t)skip + 2), tail);
    /* An IPv4 address ends the text, and "::" stands for a group at least. */
    if (head_size < 0 || tail_size < 0 || head_size + tail_size > 14 ||
        str_contains(str_first(text, (size_t)skip), STR("."))) {
        return false;
    }
    memset(ret, 0, 16);
    memcpy(ret, head, (size_t)head_size);
    memcpy(ret + 16 - tail_size, tail, (size_t)tail_size);
    return true;
}

bool gossip_address_parse_ip(struct str text, struct gossip_address *ret)
{
    struct gossip_address a = {0};
    if (str_contains(text, STR(":"))) {
        a.size = v6_parse(text, a.ip) ? 16 : 0;
    } else {
        a.size = v4_parse(text, a.ip) ? 4 : 0;
    }
    if (a.size == 0) {
        return false;
    }
    *ret = a;
    return true;
}
