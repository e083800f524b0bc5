#include "schema/topology.h"

/* clang-format off */
static const struct field mesh_link_fields[] = {
    F_OBJ(struct mesh_link, upstream, struct service_name, "Upstream", 0, &service_name_schema),
    F_OBJ(struct mesh_link, downstream, struct service_name, "Downstream", 0, &service_name_schema),
    F_UINT(struct mesh_link, proxies, "Proxies", 0),
    F_BOOL(struct mesh_link, of_gateway, "OfGateway", 0),
    F_SPLICE(struct mesh_link, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema mesh_link_schema = SCHEMA("MeshLink", struct mesh_link, mesh_link_fields);

static const struct field intention_decision_fields[] = {
    F_BOOL(struct intention_decision, allowed, "Allowed", 0),
    F_BOOL(struct intention_decision, has_permissions, "HasPermissions", 0),
    F_STR(struct intention_decision, external_source, "ExternalSource", 0),
    F_BOOL(struct intention_decision, has_exact, "HasExact", 0),
    F_BOOL(struct intention_decision, default_allow, "DefaultAllow", 0),
    FIELDS_END,
};
const struct schema intention_decision_schema =
    SCHEMA("IntentionDecisionSummary", struct intention_decision, intention_decision_fields);

static const struct field service_topology_fields[] = {
    F_OBJLIST(struct service_topology, upstreams, "Upstreams", 0, &check_service_node_schema),
    F_OBJLIST(struct service_topology, downstreams, "Downstreams", 0, &check_service_node_schema),
    F_OBJMAP(struct service_topology, upstream_decisions, "UpstreamDecisions", 0,
             &intention_decision_schema),
    F_OBJMAP(struct service_topology, downstream_decisions, "DownstreamDecisions", 0,
             &intention_decision_schema),
    F_STR(struct service_topology, metrics_protocol, "MetricsProtocol", 0),
    F_BOOL(struct service_topology, transparent_proxy, "TransparentProxy", 0),
    F_STRMAP(struct service_topology, upstream_sources, "UpstreamSources", 0),
    F_STRMAP(struct service_topology, downstream_sources, "DownstreamSources", 0),
    FIELDS_END,
};
const struct schema service_topology_schema =
    SCHEMA("ServiceTopology", struct service_topology, service_topology_fields);

static const struct field indexed_service_topology_fields[] = {
    F_PTR(struct indexed_service_topology, topology, struct service_topology, "ServiceTopology", 0,
          &service_topology_schema),
    F_BOOL(struct indexed_service_topology, filtered_by_acls, "FilteredByACLs", 0),
    F_SPLICE(struct indexed_service_topology, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema indexed_service_topology_schema =
    SCHEMA("IndexedServiceTopology", struct indexed_service_topology,
           indexed_service_topology_fields);
/* clang-format on */
