#include "agent/check_def.h"

#include "base/clock.h"
#include "base/err.h"
#include "schema/catalog.h"

/* clang-format off */
#define C struct check_def
/* Go's name, and what configuration files have always called it besides. */
#define ARGS_FIELDS                                            \
    F_STRLIST(C, script_args, "ScriptArgs", 0),                \
    F_STRLIST(C, script_args, "Args", F_ALIAS)
/* What JSON may say with underscores; in configuration files that is any name. */
#define SNAKE_FIELDS                                                                         \
    F_STRLIST(C, script_args, "script_args", F_ALIAS),                                       \
    F_DURATION(C, deregister_critical_service_after, "deregister_critical_service_after",    \
               F_ALIAS),                                                                     \
    F_STR(C, docker_container_id, "docker_container_id", F_ALIAS),                           \
    F_STR(C, tls_server_name, "tls_server_name", F_ALIAS),                                   \
    F_BOOL(C, tls_skip_verify, "tls_skip_verify", F_ALIAS),                                  \
    F_BOOL(C, grpc_use_tls, "grpc_use_tls", F_ALIAS)

static const struct field check_def_fields[] = {
    F_STR(C, id, "ID", 0),
    F_STR(C, name, "Name", 0),
    F_STR(C, notes, "Notes", 0),
    F_STR(C, service_id, "ServiceID", 0),
    F_STR(C, token, "Token", 0),
    F_STR(C, status, "Status", 0),
    ARGS_FIELDS,
    F_STR(C, http, "HTTP", 0),
    F_STR(C, h2ping, "H2PING", 0),
    F_STRLISTMAP(C, header, "Header", 0),
    F_STR(C, method, "Method", 0),
    F_STR(C, body, "Body", 0),
    F_STR(C, tcp, "TCP", 0),
    F_DURATION(C, interval, "Interval", 0),
    F_STR(C, docker_container_id, "DockerContainerID", 0),
    F_STR(C, shell, "Shell", 0),
    F_STR(C, grpc, "GRPC", 0),
    F_BOOL(C, grpc_use_tls, "GRPCUseTLS", 0),
    F_STR(C, tls_server_name, "TLSServerName", 0),
    F_BOOL(C, tls_skip_verify, "TLSSkipVerify", 0),
    F_STR(C, alias_node, "AliasNode", 0),
    F_STR(C, alias_service, "AliasService", 0),
    F_DURATION(C, timeout, "Timeout", 0),
    F_DURATION(C, ttl, "TTL", 0),
    F_INT(C, success_before_passing, "SuccessBeforePassing", 0),
    F_INT(C, failures_before_critical, "FailuresBeforeCritical", 0),
    F_DURATION(C, deregister_critical_service_after, "DeregisterCriticalServiceAfter", 0),
    F_INT(C, output_max_size, "OutputMaxSize", 0),
    SNAKE_FIELDS,
    F_STR(C, service_id, "service_id", F_ALIAS),
    FIELDS_END,
};
const struct schema check_def_schema = SCHEMA("CheckDefinition", C, check_def_fields);

static const struct field check_type_fields[] = {
    F_STR(C, id, "CheckID", 0),
    F_STR(C, name, "Name", 0),
    F_STR(C, status, "Status", 0),
    F_STR(C, notes, "Notes", 0),
    ARGS_FIELDS,
    F_STR(C, http, "HTTP", 0),
    F_STR(C, h2ping, "H2PING", 0),
    F_STRLISTMAP(C, header, "Header", 0),
    F_STR(C, method, "Method", 0),
    F_STR(C, body, "Body", 0),
    F_STR(C, tcp, "TCP", 0),
    F_DURATION(C, interval, "Interval", 0),
    F_STR(C, alias_node, "AliasNode", 0),
    F_STR(C, alias_service, "AliasService", 0),
    F_STR(C, docker_container_id, "DockerContainerID", 0),
    F_STR(C, shell, "Shell", 0),
    F_STR(C, grpc, "GRPC", 0),
    F_BOOL(C, grpc_use_tls, "GRPCUseTLS", 0),
    F_STR(C, tls_server_name, "TLSServerName", 0),
    F_BOOL(C, tls_skip_verify, "TLSSkipVerify", 0),
    F_DURATION(C, timeout, "Timeout", 0),
    F_DURATION(C, ttl, "TTL", 0),
    F_INT(C, success_before_passing, "SuccessBeforePassing", 0),
    F_INT(C, failures_before_critical, "FailuresBeforeCritical", 0),
    F_STR(C, proxy_http, "ProxyHTTP", 0),
    F_STR(C, proxy_grpc, "ProxyGRPC", 0),
    F_DURATION(C, deregister_critical_service_after, "DeregisterCriticalServiceAfter", 0),
    F_INT(C, output_max_size, "OutputMaxSize", 0),
    SNAKE_FIELDS,
    /* Within a service it may be said, and means nothing. */
    F_STR(C, ignored, "ServiceID", F_ALIAS),
    F_STR(C, ignored, "service_id", F_ALIAS),
    FIELDS_END,
};
const struct schema check_type_schema = SCHEMA("CheckType", C, check_type_fields);
#undef C
/* clang-format on */

int check_def_decode(const struct value *value, struct check_def *ret_def, struct arena *a,
                     struct err *err)
{
    struct check_def def = {0};
    int rc = schema_decode(&check_def_schema, value, &def, a, DECODE_SNAKE, err);
    if (rc == 0) {
        *ret_def = def;
    }
    return rc;
}

static bool is_script(const struct check_def *def)
{
    return def->script_args.n > 0;
}

bool check_def_is_alias(const struct check_def *def)
{
    return def->alias_node.n > 0 || def->alias_service.n > 0;
}

bool check_def_is_empty(const struct check_def *def)
{
    static const struct check_def none = {0};
    return schema_equal(&check_type_schema, def, &none) &&
           schema_equal(&check_def_schema, def, &none);
}

int check_def_validate(const struct check_def *def, struct err *err)
{
    bool is_periodic =
        is_script(def) || def->http.n > 0 || def->tcp.n > 0 || def->grpc.n > 0 || def->h2ping.n > 0;
    bool is_alias = check_def_is_alias(def);
    if (def->interval > 0 && def->ttl > 0) {
        return err_set(err, ERR_INVALID, "Interval and TTL cannot both be specified");
    }
    if (is_periodic && def->interval <= 0) {
        return err_set(err, ERR_INVALID,
                       "Interval must be > 0 for Script, HTTP, H2PING, or TCP checks");
    }
    if (is_periodic && is_alias) {
        return err_set(err, ERR_INVALID, "Interval cannot be set for Alias checks");
    }
    if (is_alias && def->ttl > 0) {
        return err_set(err, ERR_INVALID, "TTL must be not be set for Alias checks");
    }
    if (!is_periodic && !is_alias && def->ttl <= 0) {
        return err_set(err, ERR_INVALID, "TTL must be > 0 for TTL checks");
    }
    if (def->output_max_size < 0) {
        return err_set(err, ERR_INVALID, "MaxOutputMaxSize must be positive");
    }
    return 0;
}

const char *check_def_type(const struct check_def *def)
{
    bool has_interval = def->interval > 0;
    return def->grpc.n > 0 && has_interval                                    ? "grpc"
           : def->http.n > 0 && has_interval                                  ? "http"
           : def->ttl > 0                                                     ? "ttl"
           : def->tcp.n > 0 && has_interval                                   ? "tcp"
           : check_def_is_alias(def)                                          ? "alias"
           : is_script(def) && def->docker_container_id.n > 0 && has_interval ? "docker"
           : is_script(def)                                                   ? "script"
           : def->h2ping.n > 0 && has_interval                                ? "h2ping"
                                                                              : "";
}

void check_def_to_health_check(const struct check_def *def, struct str node, struct arena *a,
                               struct health_check *ret_check)
{
    *ret_check = (struct health_check){
        .node = node,
        .check_id = def->id.n > 0 ? def->id : def->name,
        .name = def->name,
        .status = def->status.n > 0 ? def->status : HEALTH_CRITICAL,
        .notes = def->notes,
        .service_id = def->service_id,
        .interval = duration_format(a, def->interval),
        .timeout = duration_format(a, def->timeout),
    };
}
