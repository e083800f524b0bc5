/* topology.h - who is connected with whom in the mesh: the links that follow from registrations,
 * and what Internal.ServiceTopology answers (Consul's structs of the same names). */
#pragma once
#include "schema/dump.h"

/* A row of the store: an instance of `downstream` has a proxy that leads to `upstream`, or it is an
 * ingress gateway in front of it. */
struct mesh_link {
    struct service_name upstream, downstream;
    uint64_t proxies; /* how many have it */
    bool of_gateway;
    struct raft_index raft;
};

struct intention_decision { /* IntentionDecisionSummary: what intentions say of one connection */
    bool allowed;
    bool has_permissions;       /* requests are decided one by one */
    struct str external_source; /* who manages the intention */
    bool has_exact;             /* neither side is a wildcard */
    bool default_allow;
};

/* Why a service is up- or downstream. */
#define TOPOLOGY_REGISTRATION STR("proxy-registration")
#define TOPOLOGY_SPECIFIC_INTENTION STR("specific-intention")
#define TOPOLOGY_WILDCARD_INTENTION STR("wildcard-intention")
#define TOPOLOGY_DEFAULT_ALLOW STR("default-allow")
#define TOPOLOGY_ROUTING_CONFIG STR("routing-config")

struct service_topology {
    struct objlist upstreams, downstreams;                  /* struct check_service_node */
    struct objmap upstream_decisions, downstream_decisions; /* struct intention_decision */
    struct str metrics_protocol;
    bool transparent_proxy; /* all instances of its proxy are */
    struct strmap upstream_sources, downstream_sources;
};

struct indexed_service_topology { /* Internal.ServiceTopology */
    struct service_topology *topology;
    bool filtered_by_acls;
    struct query_meta meta;
};

extern const struct schema mesh_link_schema, intention_decision_schema, service_topology_schema,
    indexed_service_topology_schema;
