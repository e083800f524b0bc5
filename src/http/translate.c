#include "http/translate.h"

#include "http/front.h"
#include "http/server.h"
#include "schema/address.h"

bool http_translates(const struct http_req *req, struct str datacenter)
{
    const struct http_options *o = &req->http->front->options;
    return o->translate_wan_addrs && datacenter.n > 0 && !str_eq(datacenter, o->datacenter);
}

void http_translate_node(const struct node *node)
{
    ((struct node *)node)->address = address_of_node(node, ADDRESS_ACCEPT_ANY, true);
}

void http_translate_service(const struct node_service *service)
{
    struct node_service *own = (struct node_service *)service;
    own->address = address_of_service(service, ADDRESS_ACCEPT_ANY, true);
    own->port = address_port_of_service(service, true);
}

void http_translate_instances(const struct http_req *req, struct str datacenter,
                              struct objlist instances)
{
    struct check_service_node *v = instances.v;
    for (size_t i = 0; i < instances.n && http_translates(req, datacenter); i++) {
        http_translate_node(v[i].node);
        http_translate_service(v[i].service);
    }
}
