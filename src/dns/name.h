/* name.h - what a name in our domain asks for.
 *
 * <node>.node[.<dc>]  [<tag>.]<service>.service[.<dc>]  _<service>._<tag>[.service][.<dc>]
 * <service>.connect[.<dc>]  <service>.ingress[.<dc>]  <query>.query[.<dc>]  <hex>.addr[.…] */
#pragma once
#include "base/str.h"

enum dns_kind {
    DNS_KIND_NONE, /* no such form */
    DNS_KIND_SERVICE,
    DNS_KIND_CONNECT,
    DNS_KIND_INGRESS,
    DNS_KIND_NODE,
    DNS_KIND_QUERY,
    DNS_KIND_ADDR,
};

struct dns_name_parts {
    enum dns_kind kind;
    struct str name;       /* of the service, node, query; the hex digits */
    struct str tag;        /* services; empty: any */
    struct str datacenter; /* empty: ours */
};

/* text is in lower case, without our domain, each label followed by a dot ("web.service."). The
 * parts are slices of it. is_srv: the label "service" may be missing behind one with an underscore.
 */
struct dns_name_parts dns_name_split(struct str text, bool is_srv);
