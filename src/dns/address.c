/* Which address of a node or service an answer shows. A tagged address of the family that is asked
 * for goes before the plain one; towards another data center, with translate_wan_addrs, the wan
 * ones do. Any type other than A takes IPv6 first, as in 1.10.3. */
#include <arpa/inet.h>

#include "dns/internal.h"
#include "schema/catalog.h"

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

static struct str choose(enum dns_set_type type, struct str plain, struct str v4, struct str v6)
{
    if (type != DNS_SET_A && v6.n > 0) {
        return v6;
    }
    if (type != DNS_SET_AAAA && v4.n > 0) {
        return v4;
    }
    return plain;
}

static bool is_wan(const struct dns_settings *settings, struct str datacenter)
{
    return settings->translate_wan_addrs && !str_eq(settings->datacenter, datacenter);
}

static const struct str *tagged_node(const struct node *node, struct str tag)
{
    for (size_t i = 0; i < node->tagged_addresses.n; i++) {
        if (str_eq(node->tagged_addresses.v[i].key, tag)) {
            return &node->tagged_addresses.v[i].value;
        }
    }
    return NULL;
}

struct str dns_node_address(const struct dns_settings *settings, enum dns_set_type type,
                            const struct node *node, struct str datacenter)
{
    struct str plain = node->address, v4 = STR_NULL, v6 = STR_NULL;
    const struct str *tagged;
    bool wan = is_wan(settings, datacenter);
    if ((tagged = tagged_node(node, STR("lan_ipv4"))) != NULL) {
        v4 = *tagged;
    }
    if ((tagged = tagged_node(node, STR("lan_ipv6"))) != NULL) {
        v6 = *tagged;
    }
    if (wan && (tagged = tagged_node(node, STR("wan"))) != NULL) {
        plain = *tagged;
    }
    if (wan && (tagged = tagged_node(node, STR("wan_ipv4"))) != NULL) {
        v4 = *tagged;
    }
    if (wan && (tagged = tagged_node(node, STR("wan_ipv6"))) != NULL) {
        v6 = *tagged;
    }
    return choose(type, plain, v4, v6);
}

static const struct service_address *tagged_service(const struct node_service *service,
                                                    struct str tag)
{
    for (size_t i = 0; i < service->tagged_addresses.n; i++) {
        if (str_eq(service->tagged_addresses.v[i].key, tag)) {
            return service->tagged_addresses.v[i].value;
        }
    }
    return NULL;
}

struct str dns_service_address(const struct dns_settings *settings, enum dns_set_type type,
                               const struct node_service *service, struct str datacenter)
{
    struct str plain = service->address, v4 = STR_NULL, v6 = STR_NULL;
    const struct service_address *tagged;
    bool wan = is_wan(settings, datacenter);
    if ((tagged = tagged_service(service, STR("lan_ipv4"))) != NULL) {
        v4 = tagged->address;
    }
    if ((tagged = tagged_service(service, STR("lan_ipv6"))) != NULL) {
        v6 = tagged->address;
    }
    if (wan && (tagged = tagged_service(service, STR("wan"))) != NULL) {
        plain = tagged->address;
    }
    if (wan && (tagged = tagged_service(service, STR("wan_ipv4"))) != NULL) {
        v4 = tagged->address;
    }
    if (wan && (tagged = tagged_service(service, STR("wan_ipv6"))) != NULL) {
        v6 = tagged->address;
    }
    return choose(type, plain, v4, v6);
}

int64_t dns_service_port(const struct dns_settings *settings, const struct node_service *service,
                         struct str datacenter)
{
    const struct service_address *wan =
        is_wan(settings, datacenter) ? tagged_service(service, STR("wan")) : NULL;
    return wan != NULL && wan->port != 0 ? wan->port : service->port;
}
