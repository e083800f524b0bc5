/* discovery_chain.h - a compiled discovery chain: how requests for one service are routed, split
 * and resolved to targets; and the request for one (Consul's structs of the same names).
 *
 * Nodes are found by "type:name", targets by id; who follows a chain begins at its start node. How
 * one is made: store/discovery_chain.h. */
#pragma once
#include "schema/config_chain.h"
#include "schema/query.h"

#define CHAIN_ROUTER STR("router")
#define CHAIN_SPLITTER STR("splitter")
#define CHAIN_RESOLVER STR("resolver")

struct discovery_route {
    struct service_route *definition;
    struct str next_node;
};

struct discovery_split {
    double weight; /* a float32 in Consul */
    struct str next_node;
};

struct discovery_failover {
    struct strlist targets;
};

struct discovery_resolver {
    bool is_default;         /* there is no entry, or one that says nothing */
    int64_t connect_timeout; /* ns */
    struct str target;
    struct discovery_failover *failover;
};

struct discovery_graph_node {
    struct str type;
    struct str name;
    struct ptrlist routes; /* struct discovery_route; of routers */
    struct ptrlist splits; /* struct discovery_split; of splitters */
    struct discovery_resolver *resolver;
    struct load_balancer *load_balancer; /* of splitters and resolvers */
};

struct discovery_target {
    struct str id;
    struct str service, service_subset, ns, datacenter;
    struct mesh_gateway_config mesh_gateway;
    struct resolver_subset subset;
    bool external;
    struct str sni; /* the external service's, or the same as the name */
    struct str name;
};

struct compiled_discovery_chain {
    struct str service_name, ns, datacenter;
    struct str customization_hash; /* of what the request changed; empty when that is nothing */
    struct str protocol;
    struct str start_node;
    struct objmap nodes;   /* struct discovery_graph_node */
    struct objmap targets; /* struct discovery_target */
};

/* What a request may change. */
struct chain_overrides {
    struct mesh_gateway_config mesh_gateway; /* of targets in other data centers */
    struct str protocol;     /* one that is not like HTTP passes over routers and splitters */
    int64_t connect_timeout; /* ns; 0: not */
};

struct discovery_chain_request { /* DiscoveryChain.Get */
    struct str name;
    struct str evaluate_in_datacenter; /* empty: the server's own */
    struct str evaluate_in_namespace;
    struct chain_overrides overrides;
    struct str datacenter;
    struct query_options options;
};

struct discovery_chain_response {
    const struct compiled_discovery_chain *chain;
    struct query_meta meta;
};

extern const struct schema discovery_route_schema, discovery_split_schema,
    discovery_failover_schema, discovery_resolver_schema, discovery_graph_node_schema,
    discovery_target_schema, compiled_discovery_chain_schema, chain_overrides_schema,
    discovery_chain_request_schema, discovery_chain_response_schema;
