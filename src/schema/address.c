#include "schema/address.h"

#include "schema/catalog.h"

static struct str choose(unsigned accept, struct str plain, struct str v4, struct str v6)
{
    if ((accept & ADDRESS_ACCEPT_V6) != 0 && v6.n > 0) {
        return v6;
    }
    if ((accept & ADDRESS_ACCEPT_V4) != 0 && v4.n > 0) {
        return v4;
    }
    return plain;
}

/* Later ones replace earlier ones. */
static const struct {
    struct str tag;
    bool is_wan;
    int family; /* 0: any */
} tags[] = {
    {{"lan_ipv4", 8}, false, 4}, {{"lan_ipv6", 8}, false, 6}, {{"wan", 3}, true, 0},
    {{"wan_ipv4", 8}, true, 4},  {{"wan_ipv6", 8}, true, 6},
};

static const struct str *tagged_node(const void *data, struct str tag)
{
    const struct node *node = data;
    for (size_t i = 0; i < node->tagged_addresses.n; i++) {
        if (str_eq(node->tagged_addresses.v[i].key, tag)) {
            return &node->tagged_addresses.v[i].value;
        }
    }
    return NULL;
}

static const struct service_address *tagged(const struct node_service *service, struct str tag)
{
    for (size_t i = 0; i < service->tagged_addresses.n; i++) {
        if (str_eq(service->tagged_addresses.v[i].key, tag)) {
            return service->tagged_addresses.v[i].value;
        }
    }
    return NULL;
}

static const struct str *tagged_service(const void *data, struct str tag)
{
    const struct service_address *found = tagged(data, tag);
    return found != NULL ? &found->address : NULL;
}

static struct str find(const void *data, struct str plain, unsigned accept, bool wan,
                       const struct str *(*find_tag)(const void *data, struct str tag))
{
    struct str v4 = STR_NULL, v6 = STR_NULL;
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
        const struct str *found = !tags[i].is_wan || wan ? find_tag(data, tags[i].tag) : NULL;
        if (found != NULL) {
            *(tags[i].family == 4 ? &v4 : tags[i].family == 6 ? &v6 : &plain) = *found;
        }
    }
    return choose(accept, plain, v4, v6);
}

struct str address_of_node(const struct node *node, unsigned accept, bool wan)
{
    return find(node, node->address, accept, wan, tagged_node);
}

struct str address_of_service(const struct node_service *service, unsigned accept, bool wan)
{
    return find(service, service->address, accept, wan, tagged_service);
}

int64_t address_port_of_service(const struct node_service *service, bool wan)
{
    const struct service_address *found = wan ? tagged(service, STR("wan")) : NULL;
    return found != NULL && found->port != 0 ? found->port : service->port;
}
