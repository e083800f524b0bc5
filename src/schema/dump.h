/* dump.h - answers of the catalog that only other servers, agents and the UI ask for, and the lists
 * that are no structs in Consul. */
#pragma once
#include "schema/catalog.h"
#include "schema/coordinate.h"

struct service_name {
    struct str name;
};

struct indexed_service_list { /* Catalog.ServiceList */
    struct objlist services;  /* struct service_name */
    struct query_meta meta;
};

struct node_info { /* a node with all that is on it */
    const struct node *node;
    struct ptrlist services; /* struct node_service */
    struct ptrlist checks;   /* struct health_check */
};

struct indexed_node_dump { /* Internal.NodeInfo, Internal.NodeDump */
    struct objlist dump;   /* struct node_info */
    struct query_meta meta;
};

struct datacenters_request { /* Catalog.ListDatacenters */
    struct query_options options;
};

/* A bare list on the wire. */
struct datacenter_maps_reply { /* Coordinate.ListDatacenters: []DatacenterMap */
    struct objlist maps;       /* struct datacenter_map */
};

struct service_dump_request { /* Internal.ServiceDump */
    struct str datacenter;
    struct str service_kind;
    bool use_service_kind;
    struct query_source source;
    struct query_options options;
};

struct empty_request { /* methods that take no arguments */
    char unused;
};

extern const struct schema service_name_schema, indexed_service_list_schema, node_info_schema,
    indexed_node_dump_schema, datacenters_request_schema, service_dump_request_schema,
    datacenter_maps_reply_schema, empty_request_schema;
