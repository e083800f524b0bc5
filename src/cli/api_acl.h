/* api_acl.h - what the HTTP API's clients know of access control: tokens, policies, roles, methods
 * of logging in and the rules that go with them, in the order of Go's client.
 *
 * Times are kept as they came, so that they are shown in the zone they came in. */
#pragma once
#include "schema/field.h"

struct api_link { /* a policy or a role, by id or by name */
    struct str id, name;
};

struct api_service_identity {
    struct str service_name;
    struct strlist datacenters; /* nil: all */
};

struct api_node_identity {
    struct str node_name, datacenter;
};

struct api_token {
    uint64_t create_index, modify_index;
    struct str accessor_id, secret_id;
    struct str description;
    struct objlist policies, roles;    /* struct api_link */
    struct objlist service_identities; /* struct api_service_identity */
    struct objlist node_identities;    /* struct api_node_identity */
    bool local;
    struct str auth_method;
    int64_t expiration_ttl; /* of requests only */
    struct str expiration_time, create_time;
    struct str hash;
    struct str rules; /* of tokens in the legacy form only */
    bool legacy;      /* of lists only */
    struct str ns;
};

struct api_policy {
    struct str id, name, description, rules;
    struct strlist datacenters;
    struct str hash;
    uint64_t create_index, modify_index;
    struct str ns;
};

struct api_role {
    struct str id, name, description;
    struct objlist policies, service_identities, node_identities;
    struct str hash;
    uint64_t create_index, modify_index;
    struct str ns;
};

struct api_namespace_rule {
    struct str selector, bind_namespace;
};

struct api_auth_method {
    int64_t max_token_ttl;
    struct str name, type, display_name, description, token_locality;
    const struct value *config;
    uint64_t create_index, modify_index;
    struct objlist namespace_rules; /* struct api_namespace_rule */
    struct str ns;
};

struct api_binding_rule {
    struct str id, description, auth_method, selector, bind_type, bind_name;
    uint64_t create_index, modify_index;
    struct str ns;
};

struct api_login {
    struct str auth_method, bearer_token;
    struct strmap meta;
};

/* Entries of lists have members of their own. */
extern const struct schema api_token_schema, api_token_entry_schema, api_policy_schema,
    api_policy_entry_schema, api_role_schema, api_auth_method_schema, api_auth_method_entry_schema,
    api_binding_rule_schema, api_login_schema, api_link_schema, api_service_identity_schema,
    api_node_identity_schema;
