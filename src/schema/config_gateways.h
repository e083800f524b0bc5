/* config_gateways.h - config entries of gateways: ingress-gateway, terminating-gateway; and which
 * services are behind which gateway, a table that follows from them. */
#pragma once
#include "schema/config_entry.h"
#include "schema/dump.h"

struct ingress_service {
    struct str name; /* or "*" */
    struct strlist hosts;
    struct strmap meta;
};

struct ingress_listener {
    int64_t port;
    struct str protocol;
    struct objlist services; /* struct ingress_service */
};

struct gateway_tls_config {
    bool enabled;
};

struct ingress_gateway { /* IngressGatewayConfigEntry */
    struct config_entry head;
    struct gateway_tls_config tls;
    struct objlist listeners; /* struct ingress_listener */
};

struct linked_service {
    struct str name; /* or "*" */
    struct str ca_file, cert_file, key_file, sni;
};

struct terminating_gateway { /* TerminatingGatewayConfigEntry */
    struct config_entry head;
    struct objlist services; /* struct linked_service */
};

struct gateway_service { /* GatewayService: a row of the table */
    struct service_name gateway;
    struct service_name service; /* "*" remembers that new services belong to the gateway, too */
    struct str gateway_kind;
    int64_t port;
    struct str protocol;
    struct strlist hosts;
    struct str ca_file, cert_file, key_file, sni;
    bool from_wildcard;
    struct raft_index raft;
};

struct indexed_gateway_services { /* Catalog.GatewayServices */
    struct ptrlist services;      /* struct gateway_service */
    struct query_meta meta;
};

struct indexed_nodes_with_gateways { /* Internal.ServiceDump */
    struct objlist nodes;            /* struct check_service_node */
    struct ptrlist gateways;         /* struct gateway_service */
    struct query_meta meta;
};

struct service_info { /* ServiceInfo: an instance behind a gateway, or just the link */
    struct node *node;
    struct node_service *service; /* NULL: there is no instance */
    struct ptrlist checks;        /* struct health_check */
    const struct gateway_service *gateway_service;
};

struct indexed_service_dump { /* Internal.GatewayServiceDump */
    struct objlist dump;      /* struct service_info */
    struct query_meta meta;
};

extern const struct schema ingress_service_schema, ingress_listener_schema,
    gateway_tls_config_schema, ingress_gateway_schema, linked_service_schema,
    terminating_gateway_schema, gateway_service_schema, indexed_gateway_services_schema,
    indexed_nodes_with_gateways_schema, service_info_schema, indexed_service_dump_schema;
