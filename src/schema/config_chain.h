/* config_chain.h - config entries that decide where a request goes: service-router,
 * service-splitter, service-resolver. */
#pragma once
#include "schema/config_entry.h"

struct http_match_header { /* of routes and of permissions alike */
    struct str name;
    bool present;
    struct str exact, prefix, suffix, regex;
    bool invert;
};

struct http_match_query_param {
    struct str name;
    bool present;
    struct str exact, regex;
};

struct route_http_match { /* ServiceRouteHTTPMatch */
    struct str path_exact, path_prefix, path_regex;
    struct objlist header;      /* struct http_match_header */
    struct objlist query_param; /* struct http_match_query_param */
    struct strlist methods;
};

struct route_match { /* ServiceRouteMatch */
    struct route_http_match *http;
};

struct route_destination {   /* ServiceRouteDestination */
    int64_t request_timeout; /* ns */
    struct str service, service_subset, ns;
    struct str prefix_rewrite;
    uint64_t num_retries;
    bool retry_on_connect_failure;
    struct intlist retry_on_status_codes;
};

struct service_route {
    struct route_match *match;
    struct route_destination *destination;
};

struct service_router { /* ServiceRouterConfigEntry */
    struct config_entry head;
    struct objlist routes; /* struct service_route; the first that matches */
};

struct service_split {
    double weight; /* 0 to 100, a hundredth at the smallest; a float32 in Consul */
    struct str service, service_subset, ns;
};

struct service_splitter { /* ServiceSplitterConfigEntry */
    struct config_entry head;
    struct objlist splits; /* struct service_split */
};

struct resolver_subset { /* ServiceResolverSubset */
    struct str filter;
    bool only_passing;
};

struct resolver_redirect { /* ServiceResolverRedirect */
    struct str service, service_subset, ns, datacenter;
};

struct resolver_failover { /* ServiceResolverFailover */
    struct str service, service_subset, ns;
    struct strlist datacenters;
};

struct ring_hash_config {
    uint64_t minimum_ring_size, maximum_ring_size;
};

struct least_request_config {
    uint64_t choice_count;
};

struct cookie_config {
    bool session;
    int64_t ttl; /* ns */
    struct str path;
};

struct hash_policy {
    struct str field, field_value;
    struct cookie_config *cookie_config;
    bool source_ip, terminal;
};

struct load_balancer {
    struct str policy;
    struct ring_hash_config *ring_hash_config;
    struct least_request_config *least_request_config;
    struct objlist hash_policies; /* struct hash_policy */
};

struct service_resolver { /* ServiceResolverConfigEntry */
    struct config_entry head;
    int64_t connect_timeout; /* ns */
    struct str default_subset;
    struct objmap subsets; /* struct resolver_subset */
    struct resolver_redirect *redirect;
    struct objmap failover; /* by subset, "*" for the others: struct resolver_failover */
    struct load_balancer *load_balancer;
};

extern const struct schema http_match_header_schema, http_match_query_param_schema,
    route_http_match_schema, route_match_schema, route_destination_schema, service_route_schema,
    service_router_schema, service_split_schema, service_splitter_schema, resolver_subset_schema,
    resolver_redirect_schema, resolver_failover_schema, ring_hash_config_schema,
    least_request_config_schema, cookie_config_schema, hash_policy_schema, load_balancer_schema,
    service_resolver_schema;
