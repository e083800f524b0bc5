/* Which address of a node or service an answer shows. A tagged address of the family that is asked
 * for goes before the plain one; towards another data center, with translate_wan_addrs, the wan
 * ones do. Any type other than A takes IPv6 first, as in 1.10.3. */
#include <arpa/inet.h>

#include "dns/internal.h"
#include "schema/address.h"

unsigned dns_ip_parse(struct str text, uint8_t ret_ip[16])
{
    char z[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof(z)) {
        return 0;
    }
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    if (inet_pton(AF_INET, z, ret_ip) == 1) {
        return 4;
    }
    if (inet_pton(AF_INET6, z, ret_ip) != 1) {
        return 0;
    }
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (memcmp(ret_ip, mapped, sizeof(mapped)) == 0) {
        memmove(ret_ip, ret_ip + 12, 4);
        return 4;
    }
    return 16;
}

static unsigned accepted(enum dns_set_type type)
{
    return (type != DNS_SET_A ? ADDRESS_ACCEPT_V6 : 0) |
           (type != DNS_SET_AAAA ? ADDRESS_ACCEPT_V4 : 0);
}

static bool is_wan(const struct dns_settings *settings, struct str datacenter)
{
    return settings->translate_wan_addrs && !str_eq(settings->datacenter, datacenter);
}

struct str dns_node_address(const struct dns_settings *settings, enum dns_set_type type,
                            const struct node *node, struct str datacenter)
{
    return address_of_node(node, accepted(type), is_wan(settings, datacenter));
}

struct str dns_service_address(const struct dns_settings *settings, enum dns_set_type type,
                               const struct node_service *service, struct str datacenter)
{
    return address_of_service(service, accepted(type), is_wan(settings, datacenter));
}

int64_t dns_service_port(const struct dns_settings *settings, const struct node_service *service,
                         struct str datacenter)
{
    return address_port_of_service(service, is_wan(settings, datacenter));
}
