#include "schema/config_defaults.h"

#include "schema/config_fields.h"
#include "schema/msgpack.h"

/* clang-format off */
static const struct field upstream_limits_fields[] = {
    F_INT_PTR(struct upstream_limits, max_connections, "MaxConnections", F_OMITEMPTY),
    F_INT_PTR(struct upstream_limits, max_pending_requests, "MaxPendingRequests", F_OMITEMPTY),
    F_INT_PTR(struct upstream_limits, max_concurrent_requests, "MaxConcurrentRequests", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema upstream_limits_schema =
    SCHEMA("UpstreamLimits", struct upstream_limits, upstream_limits_fields);

static const struct field passive_health_check_fields[] = {
    F_DURATION(struct passive_health_check, interval, "Interval", F_OMITEMPTY),
    F_UINT(struct passive_health_check, max_failures, "MaxFailures", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema passive_health_check_schema =
    SCHEMA("PassiveHealthCheck", struct passive_health_check, passive_health_check_fields);

static const struct field upstream_config_fields[] = {
    F_STR(struct upstream_config, name, "Name", F_OMITEMPTY),
    F_STR(struct upstream_config, envoy_listener_json, "EnvoyListenerJSON", F_OMITEMPTY),
    F_STR(struct upstream_config, envoy_cluster_json, "EnvoyClusterJSON", F_OMITEMPTY),
    F_STR(struct upstream_config, protocol, "Protocol", F_OMITEMPTY),
    F_INT(struct upstream_config, connect_timeout_ms, "ConnectTimeoutMs", F_OMITEMPTY),
    F_PTR(struct upstream_config, limits, struct upstream_limits, "Limits", F_OMITEMPTY,
          &upstream_limits_schema),
    F_PTR(struct upstream_config, passive_health_check, struct passive_health_check,
          "PassiveHealthCheck", F_OMITEMPTY, &passive_health_check_schema),
    F_OBJ(struct upstream_config, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0,
          &mesh_gateway_config_schema),
    FIELDS_END,
};
const struct schema upstream_config_schema =
    SCHEMA("UpstreamConfig", struct upstream_config, upstream_config_fields);

static const struct field upstream_configuration_fields[] = {
    F_PTRLIST(struct upstream_configuration, overrides, "Overrides", F_OMITEMPTY,
              &upstream_config_schema),
    F_PTR(struct upstream_configuration, defaults, struct upstream_config, "Defaults", F_OMITEMPTY,
          &upstream_config_schema),
    FIELDS_END,
};
const struct schema upstream_configuration_schema = SCHEMA(
    "UpstreamConfiguration", struct upstream_configuration, upstream_configuration_fields);

static const struct field service_defaults_fields[] = {
    F_CONFIG_HEAD(struct service_defaults),
    F_STR(struct service_defaults, protocol, "Protocol", 0),
    F_STR(struct service_defaults, mode, "Mode", F_OMITEMPTY),
    F_OBJ(struct service_defaults, transparent_proxy, struct transparent_proxy_config,
          "TransparentProxy", 0, &transparent_proxy_config_schema),
    F_OBJ(struct service_defaults, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0,
          &mesh_gateway_config_schema),
    F_OBJ(struct service_defaults, expose, struct expose_config, "Expose", 0,
          &expose_config_schema),
    F_STR(struct service_defaults, external_sni, "ExternalSNI", F_OMITEMPTY),
    F_PTR(struct service_defaults, upstream_config, struct upstream_configuration,
          "UpstreamConfig", F_OMITEMPTY, &upstream_configuration_schema),
    F_CONFIG_TAIL(struct service_defaults),
};
const struct schema service_defaults_schema =
    SCHEMA("ServiceConfigEntry", struct service_defaults, service_defaults_fields);

static const struct field proxy_defaults_fields[] = {
    F_CONFIG_HEAD(struct proxy_defaults),
    F_VALUE(struct proxy_defaults, config, "Config", 0),
    F_STR(struct proxy_defaults, mode, "Mode", F_OMITEMPTY),
    F_OBJ(struct proxy_defaults, transparent_proxy, struct transparent_proxy_config,
          "TransparentProxy", 0, &transparent_proxy_config_schema),
    F_OBJ(struct proxy_defaults, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0,
          &mesh_gateway_config_schema),
    F_OBJ(struct proxy_defaults, expose, struct expose_config, "Expose", 0, &expose_config_schema),
    F_CONFIG_TAIL(struct proxy_defaults),
};

/* The fields as they are; only that there is a raw around them. */
static void proxy_defaults_put(struct buf *to, const void *object)
{
    msgpack_fields(to, &proxy_defaults_schema, object);
}

static int proxy_defaults_read(struct cur *c, void *object, struct arena *a, struct err *err)
{
    return msgpack_decode_fields(c, &proxy_defaults_schema, object, a, err);
}

static const struct schema_binary proxy_defaults_binary = {proxy_defaults_put,
                                                           proxy_defaults_read};
const struct schema proxy_defaults_schema = SCHEMA_BINARY(
    "ProxyConfigEntry", struct proxy_defaults, proxy_defaults_fields, &proxy_defaults_binary);

static const struct field transparent_proxy_mesh_config_fields[] = {
    F_BOOL(struct transparent_proxy_mesh_config, mesh_destinations_only, "MeshDestinationsOnly", 0),
    FIELDS_END,
};
const struct schema transparent_proxy_mesh_config_schema =
    SCHEMA("TransparentProxyMeshConfig", struct transparent_proxy_mesh_config,
           transparent_proxy_mesh_config_fields);

/* No name, and its kind only in JSON. */
static const struct field mesh_config_fields[] = {
    F_STR(struct mesh_config, head.kind, "Kind", F_NO_MSGPACK),
    F_OBJ(struct mesh_config, transparent_proxy, struct transparent_proxy_mesh_config,
          "TransparentProxy", 0, &transparent_proxy_mesh_config_schema),
    F_CONFIG_TAIL(struct mesh_config),
};
const struct schema mesh_config_schema =
    SCHEMA("MeshConfigEntry", struct mesh_config, mesh_config_fields);
/* clang-format on */
