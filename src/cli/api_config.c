#include "cli/api_config.h"

#include "schema/config_defaults.h"
#include "schema/config_fields.h"
#include "schema/config_intentions.h"

/* clang-format off */
static const struct field expose_path_fields[] = {
    F_INT(struct expose_path, listener_port, "ListenerPort", F_OMITEMPTY),
    F_STR(struct expose_path, path, "Path", F_OMITEMPTY),
    F_INT(struct expose_path, local_path_port, "LocalPathPort", F_OMITEMPTY),
    F_STR(struct expose_path, protocol, "Protocol", F_OMITEMPTY),
    F_BOOL(struct expose_path, parsed_from_check, "ParsedFromCheck", 0),
    FIELDS_END,
};
static const struct schema expose_path = SCHEMA("ExposePath", struct expose_path, expose_path_fields);

static const struct field expose_fields[] = {
    F_BOOL(struct expose_config, checks, "Checks", F_OMITEMPTY),
    F_OBJLIST(struct expose_config, paths, "Paths", F_OMITEMPTY, &expose_path),
    FIELDS_END,
};
static const struct schema expose = SCHEMA("ExposeConfig", struct expose_config, expose_fields);

static const struct field limits_fields[] = {
    F_INT_PTR(struct upstream_limits, max_connections, "MaxConnections", 0),
    F_INT_PTR(struct upstream_limits, max_pending_requests, "MaxPendingRequests", 0),
    F_INT_PTR(struct upstream_limits, max_concurrent_requests, "MaxConcurrentRequests", 0),
    FIELDS_END,
};
static const struct schema limits = SCHEMA("UpstreamLimits", struct upstream_limits, limits_fields);

static const struct field passive_check_fields[] = {
    F_DURATION(struct passive_health_check, interval, "Interval", F_OMITEMPTY),
    F_UINT(struct passive_health_check, max_failures, "MaxFailures", 0),
    FIELDS_END,
};
static const struct schema passive_check =
    SCHEMA("PassiveHealthCheck", struct passive_health_check, passive_check_fields);

static const struct field upstream_fields[] = {
    F_STR(struct upstream_config, name, "Name", F_OMITEMPTY),
    F_STR(struct upstream_config, envoy_listener_json, "EnvoyListenerJSON", F_OMITEMPTY),
    F_STR(struct upstream_config, envoy_cluster_json, "EnvoyClusterJSON", F_OMITEMPTY),
    F_STR(struct upstream_config, protocol, "Protocol", F_OMITEMPTY),
    F_INT(struct upstream_config, connect_timeout_ms, "ConnectTimeoutMs", F_OMITEMPTY),
    F_PTR(struct upstream_config, limits, struct upstream_limits, "Limits", F_OMITEMPTY, &limits),
    F_PTR(struct upstream_config, passive_health_check, struct passive_health_check,
          "PassiveHealthCheck", F_OMITEMPTY, &passive_check),
    F_OBJ(struct upstream_config, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0,
          &mesh_gateway_config_schema),
    FIELDS_END,
};
static const struct schema upstream =
    SCHEMA("UpstreamConfig", struct upstream_config, upstream_fields);

static const struct field upstreams_fields[] = {
    F_PTRLIST(struct upstream_configuration, overrides, "Overrides", F_OMITEMPTY, &upstream),
    F_PTR(struct upstream_configuration, defaults, struct upstream_config, "Defaults", F_OMITEMPTY,
          &upstream),
    FIELDS_END,
};
static const struct schema upstreams =
    SCHEMA("UpstreamConfiguration", struct upstream_configuration, upstreams_fields);

static const struct field service_defaults_fields[] = {
    F_CONFIG_HEAD(struct service_defaults),
    F_STR(struct service_defaults, protocol, "Protocol", F_OMITEMPTY),
    F_STR(struct service_defaults, mode, "Mode", F_OMITEMPTY),
    F_OBJ(struct service_defaults, transparent_proxy, struct transparent_proxy_config,
          "TransparentProxy", 0, &transparent_proxy_config_schema),
    F_OBJ(struct service_defaults, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0,
          &mesh_gateway_config_schema),
    F_OBJ(struct service_defaults, expose, struct expose_config, "Expose", 0, &expose),
    F_STR(struct service_defaults, external_sni, "ExternalSNI", F_OMITEMPTY),
    F_PTR(struct service_defaults, upstream_config, struct upstream_configuration,
          "UpstreamConfig", F_OMITEMPTY, &upstreams),
    F_CONFIG_TAIL(struct service_defaults),
};
static const struct schema service_defaults =
    SCHEMA("ServiceConfigEntry", struct service_defaults, service_defaults_fields);

static const struct field proxy_defaults_fields[] = {
    F_CONFIG_HEAD(struct proxy_defaults),
    F_STR(struct proxy_defaults, mode, "Mode", F_OMITEMPTY),
    F_OBJ(struct proxy_defaults, transparent_proxy, struct transparent_proxy_config,
          "TransparentProxy", 0, &transparent_proxy_config_schema),
    F_VALUE(struct proxy_defaults, config, "Config", F_OMITEMPTY),
    F_OBJ(struct proxy_defaults, mesh_gateway, struct mesh_gateway_config, "MeshGateway", 0,
          &mesh_gateway_config_schema),
    F_OBJ(struct proxy_defaults, expose, struct expose_config, "Expose", 0, &expose),
    F_CONFIG_TAIL(struct proxy_defaults),
};
static const struct schema proxy_defaults =
    SCHEMA("ProxyConfigEntry", struct proxy_defaults, proxy_defaults_fields);

static const struct field source_fields[] = {
    F_STR(struct source_intention, name, "Name", 0),
    F_STR(struct source_intention, action, "Action", F_OMITEMPTY),
    F_PTRLIST(struct source_intention, permissions, "Permissions", F_OMITEMPTY,
              &intention_permission_schema),
    F_INT(struct source_intention, precedence, "Precedence", 0),
    F_STR(struct source_intention, type, "Type", 0),
    F_STR(struct source_intention, description, "Description", F_OMITEMPTY),
    F_STR(struct source_intention, legacy_id, "LegacyID", F_OMITEMPTY),
    F_STRMAP(struct source_intention, legacy_meta, "LegacyMeta", F_OMITEMPTY),
    F_TIME(struct source_intention, legacy_create_time, "LegacyCreateTime",
           F_OMITEMPTY | F_NULLABLE),
    F_TIME(struct source_intention, legacy_update_time, "LegacyUpdateTime",
           F_OMITEMPTY | F_NULLABLE),
    FIELDS_END,
};
static const struct schema source =
    SCHEMA("SourceIntention", struct source_intention, source_fields);

static const struct field service_intentions_fields[] = {
    F_CONFIG_HEAD(struct service_intentions),
    F_PTRLIST(struct service_intentions, sources, "Sources", 0, &source),
    F_CONFIG_TAIL(struct service_intentions),
};
static const struct schema service_intentions =
    SCHEMA("ServiceIntentionsConfigEntry", struct service_intentions, service_intentions_fields);
/* clang-format on */

const struct schema *api_config_schema(enum config_entry_kind kind)
{
    switch (kind) {
    case CONFIG_SERVICE_DEFAULTS:
        return &service_defaults;
    case CONFIG_PROXY_DEFAULTS:
        return &proxy_defaults;
    case CONFIG_SERVICE_INTENTIONS:
        return &service_intentions;
    default:
        return &config_entry_schema;
    }
}
