/* config_defaults.h - config entries that set defaults: service-defaults, proxy-defaults, mesh. */
#pragma once
#include "schema/config_entry.h"

struct upstream_limits {
    const int64_t *max_connections; /* NULL: not said */
    const int64_t *max_pending_requests;
    const int64_t *max_concurrent_requests;
};

struct passive_health_check {
    int64_t interval; /* ns */
    uint64_t max_failures;
};

struct upstream_config { /* UpstreamConfig */
    struct str name;     /* empty in the defaults of all upstreams */
    struct str envoy_listener_json;
    struct str envoy_cluster_json;
    struct str protocol;
    int64_t connect_timeout_ms;
    struct upstream_limits *limits;
    struct passive_health_check *passive_health_check;
    struct mesh_gateway_config mesh_gateway;
};

struct upstream_configuration { /* UpstreamConfiguration */
    struct ptrlist overrides;   /* struct upstream_config */
    struct upstream_config *defaults;
};

struct service_defaults { /* ServiceConfigEntry */
    struct config_entry head;
    struct str protocol;
    struct str mode; /* "", "transparent", "direct" */
    struct transparent_proxy_config transparent_proxy;
    struct mesh_gateway_config mesh_gateway;
    struct expose_config expose;
    struct str external_sni;
    struct upstream_configuration *upstream_config;
};

struct proxy_defaults { /* ProxyConfigEntry */
    struct config_entry head;
    const struct value *config; /* a map, or NULL */
    struct str mode;
    struct transparent_proxy_config transparent_proxy;
    struct mesh_gateway_config mesh_gateway;
    struct expose_config expose;
};

struct transparent_proxy_mesh_config {
    bool mesh_destinations_only;
};

struct mesh_config { /* MeshConfigEntry */
    struct config_entry head;
    struct transparent_proxy_mesh_config transparent_proxy;
};

extern const struct schema upstream_limits_schema, passive_health_check_schema,
    upstream_config_schema, upstream_configuration_schema, service_defaults_schema,
    proxy_defaults_schema, transparent_proxy_mesh_config_schema, mesh_config_schema;
