#include "schema/config_gateways.h"

#include "schema/config_fields.h"

/* clang-format off */
static const struct field ingress_service_fields[] = {
    F_STR(struct ingress_service, name, "Name", 0),
    F_STRLIST(struct ingress_service, hosts, "Hosts", 0),
    F_STRMAP(struct ingress_service, meta, "Meta", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema ingress_service_schema =
    SCHEMA("IngressService", struct ingress_service, ingress_service_fields);

static const struct field ingress_listener_fields[] = {
    F_INT(struct ingress_listener, port, "Port", 0),
    F_STR(struct ingress_listener, protocol, "Protocol", 0),
    F_OBJLIST(struct ingress_listener, services, "Services", 0, &ingress_service_schema),
    FIELDS_END,
};
const struct schema ingress_listener_schema =
    SCHEMA("IngressListener", struct ingress_listener, ingress_listener_fields);

static const struct field gateway_tls_config_fields[] = {
    F_BOOL(struct gateway_tls_config, enabled, "Enabled", 0),
    FIELDS_END,
};
const struct schema gateway_tls_config_schema =
    SCHEMA("GatewayTLSConfig", struct gateway_tls_config, gateway_tls_config_fields);

static const struct field ingress_gateway_fields[] = {
    F_CONFIG_HEAD(struct ingress_gateway),
    F_OBJ(struct ingress_gateway, tls, struct gateway_tls_config, "TLS", 0,
          &gateway_tls_config_schema),
    F_OBJLIST(struct ingress_gateway, listeners, "Listeners", 0, &ingress_listener_schema),
    F_CONFIG_TAIL(struct ingress_gateway),
};
const struct schema ingress_gateway_schema =
    SCHEMA("IngressGatewayConfigEntry", struct ingress_gateway, ingress_gateway_fields);

static const struct field linked_service_fields[] = {
    F_STR(struct linked_service, name, "Name", F_OMITEMPTY),
    F_STR(struct linked_service, ca_file, "CAFile", F_OMITEMPTY),
    F_STR(struct linked_service, cert_file, "CertFile", F_OMITEMPTY),
    F_STR(struct linked_service, key_file, "KeyFile", F_OMITEMPTY),
    F_STR(struct linked_service, sni, "SNI", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema linked_service_schema =
    SCHEMA("LinkedService", struct linked_service, linked_service_fields);

static const struct field terminating_gateway_fields[] = {
    F_CONFIG_HEAD(struct terminating_gateway),
    F_OBJLIST(struct terminating_gateway, services, "Services", 0, &linked_service_schema),
    F_CONFIG_TAIL(struct terminating_gateway),
};
const struct schema terminating_gateway_schema =
    SCHEMA("TerminatingGatewayConfigEntry", struct terminating_gateway, terminating_gateway_fields);

/* --- the table of gateways and services ------------------------------------------------------ */

static const struct field gateway_service_fields[] = {
    F_OBJ(struct gateway_service, gateway, struct service_name, "Gateway", 0,
          &service_name_schema),
    F_OBJ(struct gateway_service, service, struct service_name, "Service", 0,
          &service_name_schema),
    F_STR(struct gateway_service, gateway_kind, "GatewayKind", 0),
    F_INT(struct gateway_service, port, "Port", F_OMITEMPTY),
    F_STR(struct gateway_service, protocol, "Protocol", F_OMITEMPTY),
    F_STRLIST(struct gateway_service, hosts, "Hosts", F_OMITEMPTY),
    F_STR(struct gateway_service, ca_file, "CAFile", F_OMITEMPTY),
    F_STR(struct gateway_service, cert_file, "CertFile", F_OMITEMPTY),
    F_STR(struct gateway_service, key_file, "KeyFile", F_OMITEMPTY),
    F_STR(struct gateway_service, sni, "SNI", F_OMITEMPTY),
    F_BOOL(struct gateway_service, from_wildcard, "FromWildcard", F_OMITEMPTY),
    F_SPLICE(struct gateway_service, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema gateway_service_schema =
    SCHEMA("GatewayService", struct gateway_service, gateway_service_fields);

static const struct field indexed_gateway_services_fields[] = {
    F_PTRLIST(struct indexed_gateway_services, services, "Services", 0, &gateway_service_schema),
    F_SPLICE(struct indexed_gateway_services, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_gateway_services_schema = SCHEMA(
    "IndexedGatewayServices", struct indexed_gateway_services, indexed_gateway_services_fields);

static const struct field indexed_nodes_with_gateways_fields[] = {
    F_OBJLIST(struct indexed_nodes_with_gateways, nodes, "Nodes", 0, &check_service_node_schema),
    F_PTRLIST(struct indexed_nodes_with_gateways, gateways, "Gateways", 0,
              &gateway_service_schema),
    F_SPLICE(struct indexed_nodes_with_gateways, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_nodes_with_gateways_schema =
    SCHEMA("IndexedNodesWithGateways", struct indexed_nodes_with_gateways,
           indexed_nodes_with_gateways_fields);

static const struct field service_info_fields[] = {
    F_PTR(struct service_info, node, struct node, "Node", 0, &node_schema),
    F_PTR(struct service_info, service, struct node_service, "Service", 0, &node_service_schema),
    F_PTRLIST(struct service_info, checks, "Checks", 0, &health_check_schema),
    F_PTR(struct service_info, gateway_service, const struct gateway_service, "GatewayService", 0,
          &gateway_service_schema),
    FIELDS_END,
};
const struct schema service_info_schema =
    SCHEMA("ServiceInfo", struct service_info, service_info_fields);

static const struct field indexed_service_dump_fields[] = {
    F_OBJLIST(struct indexed_service_dump, dump, "Dump", 0, &service_info_schema),
    F_SPLICE(struct indexed_service_dump, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_service_dump_schema =
    SCHEMA("IndexedServiceDump", struct indexed_service_dump, indexed_service_dump_fields);
/* clang-format on */
