#include "schema/discovery_chain.h"

/* clang-format off */
static const struct field discovery_route_fields[] = {
    F_PTR(struct discovery_route, definition, struct service_route, "Definition", F_OMITEMPTY,
          &service_route_schema),
    F_STR(struct discovery_route, next_node, "NextNode", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema discovery_route_schema =
    SCHEMA("DiscoveryRoute", struct discovery_route, discovery_route_fields);

static const struct field discovery_split_fields[] = {
    F_FLOAT(struct discovery_split, weight, "Weight", F_OMITEMPTY | F_FLOAT32),
    F_STR(struct discovery_split, next_node, "NextNode", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema discovery_split_schema =
    SCHEMA("DiscoverySplit", struct discovery_split, discovery_split_fields);

static const struct field discovery_failover_fields[] = {
    F_STRLIST(struct discovery_failover, targets, "Targets", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema discovery_failover_schema =
    SCHEMA("DiscoveryFailover", struct discovery_failover, discovery_failover_fields);

static const struct field discovery_resolver_fields[] = {
    F_DURATION(struct discovery_resolver, connect_timeout, "ConnectTimeout",
               F_OMITEMPTY | F_DUR_TEXT),
    F_BOOL(struct discovery_resolver, is_default, "Default", F_OMITEMPTY),
    F_STR(struct discovery_resolver, target, "Target", F_OMITEMPTY),
    F_PTR(struct discovery_resolver, failover, struct discovery_failover, "Failover", F_OMITEMPTY,
          &discovery_failover_schema),
    FIELDS_END,
};
const struct schema discovery_resolver_schema =
    SCHEMA("DiscoveryResolver", struct discovery_resolver, discovery_resolver_fields);

static const struct field discovery_graph_node_fields[] = {
    F_STR(struct discovery_graph_node, type, "Type", 0),
    F_STR(struct discovery_graph_node, name, "Name", 0),
    F_PTRLIST(struct discovery_graph_node, routes, "Routes", F_OMITEMPTY, &discovery_route_schema),
    F_PTRLIST(struct discovery_graph_node, splits, "Splits", F_OMITEMPTY, &discovery_split_schema),
    F_PTR(struct discovery_graph_node, resolver, struct discovery_resolver, "Resolver",
          F_OMITEMPTY, &discovery_resolver_schema),
    F_PTR(struct discovery_graph_node, load_balancer, struct load_balancer, "LoadBalancer",
          F_OMITEMPTY, &load_balancer_schema),
    FIELDS_END,
};
const struct schema discovery_graph_node_schema =
    SCHEMA("DiscoveryGraphNode", struct discovery_graph_node, discovery_graph_node_fields);

static const struct field discovery_target_fields[] = {
    F_STR(struct discovery_target, id, "ID", F_OMITEMPTY),
    F_STR(struct discovery_target, service, "Service", F_OMITEMPTY),
    F_STR(struct discovery_target, service_subset, "ServiceSubset", F_OMITEMPTY),
    F_STR(struct discovery_target, ns, "Namespace", F_OMITEMPTY),
    F_STR(struct discovery_target, datacenter, "Datacenter", F_OMITEMPTY),
    F_OBJ(struct discovery_target, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0,
          &mesh_gateway_config_schema),
    F_OBJ(struct discovery_target, subset, struct resolver_subset, "Subset", 0,
          &resolver_subset_schema),
    F_BOOL(struct discovery_target, external, "External", F_OMITEMPTY),
    F_STR(struct discovery_target, sni, "SNI", F_OMITEMPTY),
    F_STR(struct discovery_target, name, "Name", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema discovery_target_schema =
    SCHEMA("DiscoveryTarget", struct discovery_target, discovery_target_fields);

static const struct field compiled_discovery_chain_fields[] = {
    F_STR(struct compiled_discovery_chain, service_name, "ServiceName", 0),
    F_STR(struct compiled_discovery_chain, ns, "Namespace", 0),
    F_STR(struct compiled_discovery_chain, datacenter, "Datacenter", 0),
    F_STR(struct compiled_discovery_chain, customization_hash, "CustomizationHash", F_OMITEMPTY),
    F_STR(struct compiled_discovery_chain, protocol, "Protocol", F_OMITEMPTY),
    F_STR(struct compiled_discovery_chain, start_node, "StartNode", F_OMITEMPTY),
    F_OBJMAP(struct compiled_discovery_chain, nodes, "Nodes", F_OMITEMPTY,
             &discovery_graph_node_schema),
    F_OBJMAP(struct compiled_discovery_chain, targets, "Targets", F_OMITEMPTY,
             &discovery_target_schema),
    FIELDS_END,
};
const struct schema compiled_discovery_chain_schema =
    SCHEMA("CompiledDiscoveryChain", struct compiled_discovery_chain,
           compiled_discovery_chain_fields);

/* Hashed as the nameless struct it is in Consul. */
static const struct field chain_overrides_fields[] = {
    F_OBJ(struct chain_overrides, mesh_gateway, struct mesh_gateway_config, "OverrideMeshGateway",
          0, &mesh_gateway_config_schema),
    F_STR(struct chain_overrides, protocol, "OverrideProtocol", 0),
    F_DURATION(struct chain_overrides, connect_timeout, "OverrideConnectTimeout", 0),
    FIELDS_END,
};
const struct schema chain_overrides_schema =
    SCHEMA("", struct chain_overrides, chain_overrides_fields);

static const struct field discovery_chain_request_fields[] = {
    F_STR(struct discovery_chain_request, name, "Name", 0),
    F_STR(struct discovery_chain_request, evaluate_in_datacenter, "EvaluateInDatacenter", 0),
    F_STR(struct discovery_chain_request, evaluate_in_namespace, "EvaluateInNamespace", 0),
    F_SPLICE(struct discovery_chain_request, overrides, struct chain_overrides,
             &chain_overrides_schema),
    F_STR(struct discovery_chain_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct discovery_chain_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema discovery_chain_request_schema =
    SCHEMA("DiscoveryChainRequest", struct discovery_chain_request, discovery_chain_request_fields);

static const struct field discovery_chain_response_fields[] = {
    F_PTR(struct discovery_chain_response, chain, const struct compiled_discovery_chain, "Chain", 0,
          &compiled_discovery_chain_schema),
    F_SPLICE(struct discovery_chain_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema discovery_chain_response_schema =
    SCHEMA("DiscoveryChainResponse", struct discovery_chain_response,
           discovery_chain_response_fields);
/* clang-format on */
