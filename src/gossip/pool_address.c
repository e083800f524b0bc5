#include "gossip/pool_address.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t v4_in_v6[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct gossip_address gossip_address_from(const struct address *a)
{
    struct gossip_address to = {.port = address_port(a)};
    if (a->sa.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)&a->sa;
        to.size = 4;
        memcpy(to.ip, &in->sin_addr, 4);
    } else if (a->sa.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)&a->sa;
        bool is_v4 = memcmp(&in->sin6_addr, v4_in_v6, sizeof(v4_in_v6)) == 0;
        to.size = is_v4 ? 4 : 16;
        memcpy(to.ip, (const uint8_t *)&in->sin6_addr + (is_v4 ? 12 : 0), to.size);
    }
    return to;
}

bool gossip_address_to(const struct gossip_address *from, int family, struct address *ret)
{
    *ret = (struct address){0};
    if (from->size == 4 && family != AF_INET6) {
        struct sockaddr_in *in = (void *)&ret->sa;
        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(from->port)};
        memcpy(&in->sin_addr, from->ip, 4);
        ret->size = sizeof(*in);
        return true;
    }
    if ((from->size != 4 && from->size != 16) || family == AF_INET) {
        return false;
    }
    struct sockaddr_in6 *in = (void *)&ret->sa;
    uint8_t ip[16];
    memcpy(ip, v4_in_v6, sizeof(v4_in_v6));
    memcpy(ip + (from->size == 4 ? 12 : 0), from->ip, from->size);
    *in = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(from->port)};
    memcpy(&in->sin6_addr, ip, sizeof(ip));
    ret->size = sizeof(*in);
    return true;
}

bool gossip_address_parse(struct str ip, uint16_t port, struct gossip_address *ret)
{
    struct address a;
    struct err err = {0};
    if (address_parse(&a, ip, port, &err) < 0 || address_is_unix(&a)) {
        return false;
    }
    *ret = gossip_address_from(&a);
    return true;
}
