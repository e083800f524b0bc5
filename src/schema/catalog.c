#include "schema/catalog.h"

/* clang-format off */
static const struct field raft_index_fields[] = {
    F_UINT(struct raft_index, create_index, "CreateIndex", F_INDEX | F_NO_FILTER),
    F_UINT(struct raft_index, modify_index, "ModifyIndex", F_INDEX | F_NO_FILTER),
    FIELDS_END,
};
const struct schema raft_index_schema = SCHEMA("RaftIndex", struct raft_index, raft_index_fields);

static const struct field node_fields[] = {
    F_STR(struct node, id, "ID", 0),
    F_STR(struct node, node, "Node", 0),
    F_STR(struct node, address, "Address", 0),
    F_STR(struct node, datacenter, "Datacenter", 0),
    F_STRMAP(struct node, tagged_addresses, "TaggedAddresses", 0),
    F_STRMAP(struct node, meta, "Meta", 0),
    F_SPLICE(struct node, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema node_schema = SCHEMA("Node", struct node, node_fields);

static const struct field weights_fields[] = {
    F_INT(struct weights, passing, "Passing", 0),
    F_INT(struct weights, warning, "Warning", 0),
    FIELDS_END,
};
const struct schema weights_schema = SCHEMA("Weights", struct weights, weights_fields);

static const struct field service_address_fields[] = {
    F_STR(struct service_address, address, "Address", 0),
    F_INT(struct service_address, port, "Port", 0),
    FIELDS_END,
};
const struct schema service_address_schema =
    SCHEMA("ServiceAddress", struct service_address, service_address_fields);

static const struct field mesh_gateway_config_fields[] = {
    F_STR(struct mesh_gateway_config, mode, "Mode", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema mesh_gateway_config_schema =
    SCHEMA("MeshGatewayConfig", struct mesh_gateway_config, mesh_gateway_config_fields);

static const struct field expose_path_fields[] = {
    F_INT(struct expose_path, listener_port, "ListenerPort", F_OMITEMPTY),
    F_STR(struct expose_path, path, "Path", F_OMITEMPTY),
    F_INT(struct expose_path, local_path_port, "LocalPathPort", F_OMITEMPTY),
    F_STR(struct expose_path, protocol, "Protocol", F_OMITEMPTY),
    F_BOOL(struct expose_path, parsed_from_check, "ParsedFromCheck", F_OMITEMPTY),
    F_INT(struct expose_path, listener_port, "listener_port", F_ALIAS),
    F_INT(struct expose_path, local_path_port, "local_path_port", F_ALIAS),
    F_BOOL(struct expose_path, parsed_from_check, "parsed_from_check", F_ALIAS),
    FIELDS_END,
};
const struct schema expose_path_schema = SCHEMA("ExposePath", struct expose_path, expose_path_fields);

static const struct field expose_config_fields[] = {
    F_BOOL(struct expose_config, checks, "Checks", F_OMITEMPTY),
    F_OBJLIST(struct expose_config, paths, "Paths", F_OMITEMPTY, &expose_path_schema),
    FIELDS_END,
};
const struct schema expose_config_schema =
    SCHEMA("ExposeConfig", struct expose_config, expose_config_fields);

static const struct field transparent_proxy_config_fields[] = {
    F_INT(struct transparent_proxy_config, outbound_listener_port, "OutboundListenerPort", F_OMITEMPTY),
    F_BOOL(struct transparent_proxy_config, dialed_directly, "DialedDirectly", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema transparent_proxy_config_schema = SCHEMA(
    "TransparentProxyConfig", struct transparent_proxy_config, transparent_proxy_config_fields);

static const struct field upstream_fields[] = {
    F_STR(struct upstream, destination_type, "DestinationType", 0),
    F_STR(struct upstream, destination_namespace, "DestinationNamespace", F_OMITEMPTY),
    F_STR(struct upstream, destination_name, "DestinationName", 0),
    F_STR(struct upstream, datacenter, "Datacenter", 0),
    F_STR(struct upstream, local_bind_address, "LocalBindAddress", F_OMITEMPTY),
    F_INT(struct upstream, local_bind_port, "LocalBindPort", F_OMITEMPTY),
    F_STR(struct upstream, local_bind_socket_path, "LocalBindSocketPath", F_OMITEMPTY),
    F_STR(struct upstream, local_bind_socket_mode, "LocalBindSocketMode", F_OMITEMPTY),
    F_VALUE(struct upstream, config, "Config", F_OMITEMPTY | F_NO_FILTER),
    F_OBJ(struct upstream, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0,
          &mesh_gateway_config_schema),
    F_STRLIST(struct upstream, ingress_hosts, "IngressHosts", F_NO_JSON | F_NO_FILTER),
    F_BOOL(struct upstream, centrally_configured, "CentrallyConfigured", F_OMITEMPTY | F_NO_FILTER),
    F_STR(struct upstream, destination_type, "destination_type", F_ALIAS),
    F_STR(struct upstream, destination_namespace, "destination_namespace", F_ALIAS),
    F_STR(struct upstream, destination_name, "destination_name", F_ALIAS),
    F_STR(struct upstream, local_bind_address, "local_bind_address", F_ALIAS),
    F_INT(struct upstream, local_bind_port, "local_bind_port", F_ALIAS),
    F_STR(struct upstream, local_bind_socket_path, "local_bind_socket_path", F_ALIAS),
    F_STR(struct upstream, local_bind_socket_mode, "local_bind_socket_mode", F_ALIAS),
    F_OBJ(struct upstream, mesh_gateway, struct mesh_gateway_config, "mesh_gateway", F_ALIAS,
          &mesh_gateway_config_schema),
    FIELDS_END,
};
const struct schema upstream_schema = SCHEMA("Upstream", struct upstream, upstream_fields);

static const struct field connect_proxy_config_fields[] = {
    /* First, and left out of JSON when all of it is zero, unlike its neighbours. */
    F_OBJ(struct connect_proxy_config, transparent_proxy, struct transparent_proxy_config,
          "TransparentProxy", F_OMITEMPTY, &transparent_proxy_config_schema),
    F_STR(struct connect_proxy_config, destination_service_name, "DestinationServiceName", F_OMITEMPTY),
    F_STR(struct connect_proxy_config, destination_service_id, "DestinationServiceID", F_OMITEMPTY),
    F_STR(struct connect_proxy_config, local_service_address, "LocalServiceAddress", F_OMITEMPTY),
    F_INT(struct connect_proxy_config, local_service_port, "LocalServicePort", F_OMITEMPTY),
    F_STR(struct connect_proxy_config, local_service_socket_path, "LocalServiceSocketPath", F_OMITEMPTY),
    F_STR(struct connect_proxy_config, mode, "Mode", 0),
    F_VALUE(struct connect_proxy_config, config, "Config", F_OMITEMPTY | F_NO_FILTER),
    F_OBJLIST(struct connect_proxy_config, upstreams, "Upstreams", F_OMITEMPTY, &upstream_schema),
    F_OBJ(struct connect_proxy_config, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0,
          &mesh_gateway_config_schema),
    F_OBJ(struct connect_proxy_config, expose, struct expose_config, "Expose", 0,
          &expose_config_schema),
    F_STR(struct connect_proxy_config, destination_service_name, "destination_service_name", F_ALIAS),
    F_STR(struct connect_proxy_config, destination_service_id, "destination_service_id", F_ALIAS),
    F_STR(struct connect_proxy_config, local_service_address, "local_service_address", F_ALIAS),
    F_INT(struct connect_proxy_config, local_service_port, "local_service_port", F_ALIAS),
    F_STR(struct connect_proxy_config, local_service_socket_path, "local_service_socket_path", F_ALIAS),
    F_OBJ(struct connect_proxy_config, mesh_gateway, struct mesh_gateway_config, "mesh_gateway",
          F_ALIAS, &mesh_gateway_config_schema),
    F_OBJ(struct connect_proxy_config, transparent_proxy, struct transparent_proxy_config,
          "transparent_proxy", F_ALIAS, &transparent_proxy_config_schema),
    FIELDS_END,
};
const struct schema connect_proxy_config_schema =
    SCHEMA("ConnectProxyConfig", struct connect_proxy_config, connect_proxy_config_fields);

static const struct field service_connect_fields[] = {
    F_BOOL(struct service_connect, native, "Native", F_OMITEMPTY),
    F_VALUE(struct service_connect, sidecar_service, "SidecarService", F_OMITEMPTY | F_NO_FILTER),
    F_VALUE(struct service_connect, sidecar_service, "sidecar_service", F_ALIAS),
    FIELDS_END,
};
const struct schema service_connect_schema =
    SCHEMA("ServiceConnect", struct service_connect, service_connect_fields);

static const struct field node_service_fields[] = {
    F_STR(struct node_service, kind, "Kind", F_OMITEMPTY),
    F_STR(struct node_service, id, "ID", 0),
    F_STR(struct node_service, service, "Service", 0),
    F_STRLIST(struct node_service, tags, "Tags", 0),
    F_STR(struct node_service, address, "Address", 0),
    F_OBJMAP(struct node_service, tagged_addresses, "TaggedAddresses", F_OMITEMPTY,
             &service_address_schema),
    F_STRMAP(struct node_service, meta, "Meta", 0),
    F_INT(struct node_service, port, "Port", F_OMITEMPTY),
    F_STR(struct node_service, socket_path, "SocketPath", F_OMITEMPTY),
    F_PTR(struct node_service, weights, struct weights, "Weights", 0, &weights_schema),
    F_BOOL(struct node_service, enable_tag_override, "EnableTagOverride", 0),
    F_OBJ(struct node_service, proxy, struct connect_proxy_config, "Proxy", 0,
          &connect_proxy_config_schema),
    F_OBJ(struct node_service, connect, struct service_connect, "Connect", F_LENIENT,
          &service_connect_schema),
    F_BOOL(struct node_service, locally_registered_as_sidecar, "LocallyRegisteredAsSidecar",
           F_NO_JSON | F_NO_FILTER | F_NO_EQUAL),
    F_SPLICE(struct node_service, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema node_service_schema =
    SCHEMA("NodeService", struct node_service, node_service_fields);

static const struct field service_row_fields[] = {
    F_STR(struct service_row, node, "Node", 0),
    F_OBJ(struct service_row, service, struct node_service, "Service", 0, &node_service_schema),
    FIELDS_END,
};
const struct schema service_row_schema = SCHEMA("ServiceRow", struct service_row, service_row_fields);

static const struct field health_check_definition_fields[] = {
    F_DURATION(struct health_check_definition, interval, "Interval", F_OMITEMPTY | F_DUR_TEXT),
    F_UINT(struct health_check_definition, output_max_size, "OutputMaxSize", F_OMITEMPTY),
    F_DURATION(struct health_check_definition, timeout, "Timeout", F_OMITEMPTY | F_DUR_TEXT),
    F_DURATION(struct health_check_definition, deregister_critical_service_after,
               "DeregisterCriticalServiceAfter", F_OMITEMPTY | F_DUR_TEXT),
    F_STR(struct health_check_definition, http, "HTTP", F_OMITEMPTY),
    F_STR(struct health_check_definition, tls_server_name, "TLSServerName", F_OMITEMPTY),
    F_BOOL(struct health_check_definition, tls_skip_verify, "TLSSkipVerify", F_OMITEMPTY),
    F_STRLISTMAP(struct health_check_definition, header, "Header", F_OMITEMPTY),
    F_STR(struct health_check_definition, method, "Method", F_OMITEMPTY),
    F_STR(struct health_check_definition, body, "Body", F_OMITEMPTY),
    F_STR(struct health_check_definition, tcp, "TCP", F_OMITEMPTY),
    F_STR(struct health_check_definition, h2ping, "H2PING", F_OMITEMPTY),
    F_STRLIST(struct health_check_definition, script_args, "ScriptArgs", F_OMITEMPTY),
    F_STR(struct health_check_definition, docker_container_id, "DockerContainerID", F_OMITEMPTY),
    F_STR(struct health_check_definition, shell, "Shell", F_OMITEMPTY),
    F_STR(struct health_check_definition, grpc, "GRPC", F_OMITEMPTY),
    F_BOOL(struct health_check_definition, grpc_use_tls, "GRPCUseTLS", F_OMITEMPTY),
    F_STR(struct health_check_definition, alias_node, "AliasNode", F_OMITEMPTY),
    F_STR(struct health_check_definition, alias_service, "AliasService", F_OMITEMPTY),
    F_DURATION(struct health_check_definition, ttl, "TTL", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema health_check_definition_schema = SCHEMA(
    "HealthCheckDefinition", struct health_check_definition, health_check_definition_fields);

static const struct field health_check_fields[] = {
    F_STR(struct health_check, node, "Node", 0),
    F_STR(struct health_check, check_id, "CheckID", 0),
    F_STR(struct health_check, name, "Name", 0),
    F_STR(struct health_check, status, "Status", 0),
    F_STR(struct health_check, notes, "Notes", 0),
    F_STR(struct health_check, output, "Output", 0),
    F_STR(struct health_check, service_id, "ServiceID", 0),
    F_STR(struct health_check, service_name, "ServiceName", 0),
    F_STRLIST(struct health_check, service_tags, "ServiceTags", 0),
    F_STR(struct health_check, type, "Type", 0),
    F_STR(struct health_check, interval, "Interval", 0),
    F_STR(struct health_check, timeout, "Timeout", 0),
    F_INT(struct health_check, exposed_port, "ExposedPort", 0),
    F_OBJ(struct health_check, definition, struct health_check_definition, "Definition",
          F_NO_FILTER | F_LENIENT, &health_check_definition_schema),
    F_SPLICE(struct health_check, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema health_check_schema =
    SCHEMA("HealthCheck", struct health_check, health_check_fields);

static const struct field register_request_fields[] = {
    F_STR(struct register_request, datacenter, "Datacenter", 0),
    F_STR(struct register_request, id, "ID", 0),
    F_STR(struct register_request, node, "Node", 0),
    F_STR(struct register_request, address, "Address", 0),
    F_STRMAP(struct register_request, tagged_addresses, "TaggedAddresses", 0),
    F_STRMAP(struct register_request, node_meta, "NodeMeta", 0),
    F_PTR(struct register_request, service, struct node_service, "Service", 0, &node_service_schema),
    F_PTR(struct register_request, check, struct health_check, "Check", 0, &health_check_schema),
    F_PTRLIST(struct register_request, checks, "Checks", 0, &health_check_schema),
    F_BOOL(struct register_request, skip_node_update, "SkipNodeUpdate", 0),
    F_SPLICE(struct register_request, write, struct write_request, &write_request_schema),
    F_SPLICE(struct register_request, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema register_request_schema =
    SCHEMA("RegisterRequest", struct register_request, register_request_fields);

static const struct field deregister_request_fields[] = {
    F_STR(struct deregister_request, datacenter, "Datacenter", 0),
    F_STR(struct deregister_request, node, "Node", 0),
    F_STR(struct deregister_request, service_id, "ServiceID", 0),
    F_STR(struct deregister_request, check_id, "CheckID", 0),
    F_SPLICE(struct deregister_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema deregister_request_schema =
    SCHEMA("DeregisterRequest", struct deregister_request, deregister_request_fields);

/* The flat form of /v1/catalog/service: node first, then the service under longer names. */
static const struct field service_node_node_fields[] = {
    F_STR(struct node, id, "ID", 0),
    F_STR(struct node, node, "Node", 0),
    F_STR(struct node, address, "Address", 0),
    F_STR(struct node, datacenter, "Datacenter", 0),
    F_STRMAP(struct node, tagged_addresses, "TaggedAddresses", 0),
    F_STRMAP(struct node, meta, "NodeMeta", 0),
    FIELDS_END,
};
static const struct schema service_node_node_schema =
    SCHEMA("ServiceNode", struct node, service_node_node_fields);

static const struct field service_node_service_fields[] = {
    F_STR(struct node_service, kind, "ServiceKind", 0),
    F_STR(struct node_service, id, "ServiceID", 0),
    F_STR(struct node_service, service, "ServiceName", 0),
    F_STRLIST(struct node_service, tags, "ServiceTags", F_MSGPACK_NIL_AS_EMPTY),
    F_STR(struct node_service, address, "ServiceAddress", 0),
    F_OBJMAP(struct node_service, tagged_addresses, "ServiceTaggedAddresses", F_OMITEMPTY,
             &service_address_schema),
    F_PTR(struct node_service, weights, struct weights, "ServiceWeights", 0, &weights_schema),
    F_STRMAP(struct node_service, meta, "ServiceMeta", F_MSGPACK_NIL_AS_EMPTY),
    F_INT(struct node_service, port, "ServicePort", 0),
    F_STR(struct node_service, socket_path, "ServiceSocketPath", 0),
    F_BOOL(struct node_service, enable_tag_override, "ServiceEnableTagOverride", 0),
    F_OBJ(struct node_service, proxy, struct connect_proxy_config, "ServiceProxy", 0,
          &connect_proxy_config_schema),
    F_OBJ(struct node_service, connect, struct service_connect, "ServiceConnect", 0,
          &service_connect_schema),
    F_SPLICE(struct node_service, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
static const struct schema service_node_service_schema =
    SCHEMA("ServiceNode", struct node_service, service_node_service_fields);

static const struct field service_node_fields[] = {
    F_SPLICE_PTR(struct service_node, node, const struct node, &service_node_node_schema),
    F_SPLICE_PTR(struct service_node, service, const struct node_service,
                 &service_node_service_schema),
    FIELDS_END,
};
const struct schema service_node_schema =
    SCHEMA("ServiceNode", struct service_node, service_node_fields);

static const struct field check_service_node_fields[] = {
    F_PTR(struct check_service_node, node, struct node, "Node", 0, &node_schema),
    F_PTR(struct check_service_node, service, struct node_service, "Service", 0,
          &node_service_schema),
    F_PTRLIST(struct check_service_node, checks, "Checks", 0, &health_check_schema),
    FIELDS_END,
};
const struct schema check_service_node_schema =
    SCHEMA("CheckServiceNode", struct check_service_node, check_service_node_fields);

static const struct field node_services_fields[] = {
    F_PTR(struct node_services, node, struct node, "Node", 0, &node_schema),
    F_OBJMAP(struct node_services, services, "Services", 0, &node_service_schema),
    FIELDS_END,
};
const struct schema node_services_schema =
    SCHEMA("NodeServices", struct node_services, node_services_fields);

static const struct field node_service_list_fields[] = {
    F_PTR(struct node_service_list, node, struct node, "Node", 0, &node_schema),
    F_PTRLIST(struct node_service_list, services, "Services", 0, &node_service_schema),
    FIELDS_END,
};
const struct schema node_service_list_schema =
    SCHEMA("NodeServiceList", struct node_service_list, node_service_list_fields);

static const struct field indexed_nodes_fields[] = {
    F_PTRLIST(struct indexed_nodes, nodes, "Nodes", 0, &node_schema),
    F_SPLICE(struct indexed_nodes, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_nodes_schema =
    SCHEMA("IndexedNodes", struct indexed_nodes, indexed_nodes_fields);

static const struct field indexed_services_fields[] = {
    F_STRLISTMAP(struct indexed_services, services, "Services", 0),
    F_SPLICE(struct indexed_services, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_services_schema =
    SCHEMA("IndexedServices", struct indexed_services, indexed_services_fields);

static const struct field indexed_service_nodes_fields[] = {
    F_OBJLIST(struct indexed_service_nodes, service_nodes, "ServiceNodes", 0, &service_node_schema),
    F_SPLICE(struct indexed_service_nodes, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_service_nodes_schema =
    SCHEMA("IndexedServiceNodes", struct indexed_service_nodes, indexed_service_nodes_fields);

static const struct field indexed_node_services_fields[] = {
    F_PTR(struct indexed_node_services, node_services, struct node_services, "NodeServices", 0, &node_services_schema),
    F_SPLICE(struct indexed_node_services, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_node_services_schema =
    SCHEMA("IndexedNodeServices", struct indexed_node_services, indexed_node_services_fields);

static const struct field indexed_node_service_list_fields[] = {
    F_OBJ(struct indexed_node_service_list, node_services, struct node_service_list, "NodeServices", 0, &node_service_list_schema),
    F_SPLICE(struct indexed_node_service_list, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_node_service_list_schema =
    SCHEMA("IndexedNodeServiceList", struct indexed_node_service_list, indexed_node_service_list_fields);

static const struct field indexed_health_checks_fields[] = {
    F_PTRLIST(struct indexed_health_checks, health_checks, "HealthChecks", 0, &health_check_schema),
    F_SPLICE(struct indexed_health_checks, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_health_checks_schema =
    SCHEMA("IndexedHealthChecks", struct indexed_health_checks, indexed_health_checks_fields);

static const struct field indexed_check_service_nodes_fields[] = {
    F_OBJLIST(struct indexed_check_service_nodes, nodes, "Nodes", 0, &check_service_node_schema),
    F_SPLICE(struct indexed_check_service_nodes, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_check_service_nodes_schema =
    SCHEMA("IndexedCheckServiceNodes", struct indexed_check_service_nodes, indexed_check_service_nodes_fields);
/* clang-format on */

bool health_is_status(struct str status)
{
    return str_eq(status, HEALTH_PASSING) || str_eq(status, HEALTH_WARNING) ||
           str_eq(status, HEALTH_CRITICAL);
}
