/* check_def.h - the definition of a health check: in configuration files, inside a service
 * definition, and as the body of PUT /v1/agent/check/register.
 *
 *     struct check_def def = {0};
 *     if (check_def_decode(value, &def, arena, &err) == 0 && check_def_validate(&def, &err) == 0) …
 *
 * One struct serves for Consul's CheckDefinition and CheckType (which differ in a few names).
 * Strings and lists are borrowed from the arena of the value that was decoded. */
#pragma once
#include "schema/field.h"

struct err;
struct health_check;

struct check_def {
    struct str id; /* "ID" of a check on its own, "CheckID" inside a service */
    struct str name;
    struct str notes;
    struct str service_id; /* of a check on its own: the service it belongs to */
    struct str token;
    struct str status; /* first status; empty: critical */

    struct strlist script_args;
    struct str http;
    struct str h2ping;
    struct strlistmap header;
    struct str method;
    struct str body;
    struct str tcp;
    int64_t interval; /* ns, like all durations here */
    struct str docker_container_id;
    struct str shell;
    struct str grpc;
    bool grpc_use_tls;
    struct str tls_server_name;
    bool tls_skip_verify;
    struct str alias_node;
    struct str alias_service;
    int64_t timeout;
    int64_t ttl;
    int64_t success_before_passing;
    int64_t failures_before_critical;
    int64_t deregister_critical_service_after;
    int64_t output_max_size; /* 0: the agent's default */
    struct str ignored;      /* what was read only to be accepted: never to be looked at */
    struct str proxy_http;   /* set by the agent when a proxy exposes the check */
    struct str proxy_grpc;
};

/* A check on its own (Consul's CheckDefinition: "ID", "ServiceID", "Token") and one within a
 * service (CheckType: "CheckID"); the latter is also how checks are kept in the data directory. */
extern const struct schema check_def_schema, check_type_schema;

/* A check on its own, from a JSON or HCL map; keys in either style, and the old names. err is what
 * the API answers. */
NODISCARD int check_def_decode(const struct value *value, struct check_def *ret_def,
                               struct arena *a, struct err *err);
/* The combination of fields makes one kind of check (Consul's CheckType.Validate). */
NODISCARD int check_def_validate(const struct check_def *def, struct err *err);
/* "grpc", "http", "ttl", "tcp", "alias", "docker", "script", "h2ping" or "". */
const char *check_def_type(const struct check_def *def);
bool check_def_is_alias(const struct check_def *def);
bool check_def_is_empty(const struct check_def *def); /* nothing at all was given */
/* The catalog's view: status, id (the name when empty), texts of interval and timeout. Strings are
 * borrowed from the definition or made in `a`. The service's name and tags are the caller's. */
void check_def_to_health_check(const struct check_def *def, struct str node, struct arena *a,
                               struct health_check *ret_check);
