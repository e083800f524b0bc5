#include "cli/api_acl.h"

/* clang-format off */
static const struct field link_fields[] = {
    F_STR(struct api_link, id, "ID", 0),
    F_STR(struct api_link, name, "Name", 0),
    FIELDS_END,
};
const struct schema api_link_schema = SCHEMA("ACLLink", struct api_link, link_fields);

static const struct field service_identity_fields[] = {
    F_STR(struct api_service_identity, service_name, "ServiceName", 0),
    F_STRLIST(struct api_service_identity, datacenters, "Datacenters", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_service_identity_schema =
    SCHEMA("ACLServiceIdentity", struct api_service_identity, service_identity_fields);

static const struct field node_identity_fields[] = {
    F_STR(struct api_node_identity, node_name, "NodeName", 0),
    F_STR(struct api_node_identity, datacenter, "Datacenter", 0),
    FIELDS_END,
};
const struct schema api_node_identity_schema =
    SCHEMA("ACLNodeIdentity", struct api_node_identity, node_identity_fields);

#define LINKS(T, m, N) F_OBJLIST(T, m, N, F_OMITEMPTY, &api_link_schema)
#define IDENTITIES(T)                                                                             \
    F_OBJLIST(T, service_identities, "ServiceIdentities", F_OMITEMPTY,                            \
              &api_service_identity_schema),                                                      \
    F_OBJLIST(T, node_identities, "NodeIdentities", F_OMITEMPTY, &api_node_identity_schema)
#define INDEXES(T) \
    F_UINT(T, create_index, "CreateIndex", 0), F_UINT(T, modify_index, "ModifyIndex", 0)
#define TOKEN_HEAD                                                                                \
    INDEXES(struct api_token),                                                                    \
    F_STR(struct api_token, accessor_id, "AccessorID", 0),                                        \
    F_STR(struct api_token, secret_id, "SecretID", 0),                                            \
    F_STR(struct api_token, description, "Description", 0),                                       \
    LINKS(struct api_token, policies, "Policies"),                                                \
    LINKS(struct api_token, roles, "Roles"),                                                      \
    IDENTITIES(struct api_token),                                                                 \
    F_BOOL(struct api_token, local, "Local", 0),                                                  \
    F_STR(struct api_token, auth_method, "AuthMethod", F_OMITEMPTY)

static const struct field token_fields[] = {
    TOKEN_HEAD,
    F_DURATION(struct api_token, expiration_ttl, "ExpirationTTL", F_OMITEMPTY),
    F_STR(struct api_token, expiration_time, "ExpirationTime", F_OMITEMPTY),
    F_STR(struct api_token, create_time, "CreateTime", 0),
    F_BYTES(struct api_token, hash, "Hash", F_OMITEMPTY),
    F_STR(struct api_token, rules, "Rules", F_OMITEMPTY),
    F_STR(struct api_token, ns, "Namespace", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_token_schema = SCHEMA("ACLToken", struct api_token, token_fields);

static const struct field token_entry_fields[] = {
    TOKEN_HEAD,
    F_STR(struct api_token, expiration_time, "ExpirationTime", F_OMITEMPTY),
    F_STR(struct api_token, create_time, "CreateTime", 0),
    F_BYTES(struct api_token, hash, "Hash", 0),
    F_BOOL(struct api_token, legacy, "Legacy", 0),
    F_STR(struct api_token, ns, "Namespace", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_token_entry_schema =
    SCHEMA("ACLTokenListEntry", struct api_token, token_entry_fields);

static const struct field policy_fields[] = {
    F_STR(struct api_policy, id, "ID", 0),
    F_STR(struct api_policy, name, "Name", 0),
    F_STR(struct api_policy, description, "Description", 0),
    F_STR(struct api_policy, rules, "Rules", 0),
    F_STRLIST(struct api_policy, datacenters, "Datacenters", 0),
    F_BYTES(struct api_policy, hash, "Hash", 0),
    INDEXES(struct api_policy),
    F_STR(struct api_policy, ns, "Namespace", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_policy_schema = SCHEMA("ACLPolicy", struct api_policy, policy_fields);

static const struct field policy_entry_fields[] = {
    F_STR(struct api_policy, id, "ID", 0),
    F_STR(struct api_policy, name, "Name", 0),
    F_STR(struct api_policy, description, "Description", 0),
    F_STRLIST(struct api_policy, datacenters, "Datacenters", 0),
    F_BYTES(struct api_policy, hash, "Hash", 0),
    INDEXES(struct api_policy),
    F_STR(struct api_policy, ns, "Namespace", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_policy_entry_schema =
    SCHEMA("ACLPolicyListEntry", struct api_policy, policy_entry_fields);

static const struct field role_fields[] = {
    F_STR(struct api_role, id, "ID", 0),
    F_STR(struct api_role, name, "Name", 0),
    F_STR(struct api_role, description, "Description", 0),
    LINKS(struct api_role, policies, "Policies"),
    IDENTITIES(struct api_role),
    F_BYTES(struct api_role, hash, "Hash", 0),
    INDEXES(struct api_role),
    F_STR(struct api_role, ns, "Namespace", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_role_schema = SCHEMA("ACLRole", struct api_role, role_fields);

static const struct field namespace_rule_fields[] = {
    F_STR(struct api_namespace_rule, selector, "Selector", F_OMITEMPTY),
    F_STR(struct api_namespace_rule, bind_namespace, "BindNamespace", F_OMITEMPTY),
    FIELDS_END,
};
static const struct schema namespace_rule_schema =
    SCHEMA("ACLAuthMethodNamespaceRule", struct api_namespace_rule, namespace_rule_fields);

/* The duration comes first: it is text in JSON, which Go's client does by a struct around this. */
#define AUTH_METHOD_HEAD                                                                          \
    F_DURATION(struct api_auth_method, max_token_ttl, "MaxTokenTTL", F_OMITEMPTY | F_DUR_TEXT),   \
    F_STR(struct api_auth_method, name, "Name", 0),                                               \
    F_STR(struct api_auth_method, type, "Type", 0),                                               \
    F_STR(struct api_auth_method, display_name, "DisplayName", F_OMITEMPTY),                      \
    F_STR(struct api_auth_method, description, "Description", F_OMITEMPTY),                       \
    F_STR(struct api_auth_method, token_locality, "TokenLocality", F_OMITEMPTY)

static const struct field auth_method_fields[] = {
    AUTH_METHOD_HEAD,
    F_VALUE(struct api_auth_method, config, "Config", 0),
    INDEXES(struct api_auth_method),
    F_OBJLIST(struct api_auth_method, namespace_rules, "NamespaceRules", F_OMITEMPTY,
              &namespace_rule_schema),
    F_STR(struct api_auth_method, ns, "Namespace", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_auth_method_schema =
    SCHEMA("ACLAuthMethod", struct api_auth_method, auth_method_fields);

static const struct field auth_method_entry_fields[] = {
    AUTH_METHOD_HEAD,
    INDEXES(struct api_auth_method),
    F_STR(struct api_auth_method, ns, "Namespace", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_auth_method_entry_schema =
    SCHEMA("ACLAuthMethodListEntry", struct api_auth_method, auth_method_entry_fields);

static const struct field binding_rule_fields[] = {
    F_STR(struct api_binding_rule, id, "ID", 0),
    F_STR(struct api_binding_rule, description, "Description", 0),
    F_STR(struct api_binding_rule, auth_method, "AuthMethod", 0),
    F_STR(struct api_binding_rule, selector, "Selector", 0),
    F_STR(struct api_binding_rule, bind_type, "BindType", 0),
    F_STR(struct api_binding_rule, bind_name, "BindName", 0),
    INDEXES(struct api_binding_rule),
    F_STR(struct api_binding_rule, ns, "Namespace", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_binding_rule_schema =
    SCHEMA("ACLBindingRule", struct api_binding_rule, binding_rule_fields);

static const struct field login_fields[] = {
    F_STR(struct api_login, auth_method, "AuthMethod", 0),
    F_STR(struct api_login, bearer_token, "BearerToken", 0),
    F_STRMAP(struct api_login, meta, "Meta", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema api_login_schema = SCHEMA("ACLLoginParams", struct api_login, login_fields);
/* clang-format on */
