#include "schema/acl_request.h"

/* clang-format off */
static const struct field acl_token_set_request_fields[] = {
    F_OBJ(struct acl_token_set_request, token, struct acl_token, "ACLToken", 0,
          &acl_token_schema),
    F_BOOL(struct acl_token_set_request, create, "Create", 0),
    F_STR(struct acl_token_set_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_token_set_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_token_set_request_schema =
    SCHEMA("ACLTokenSetRequest", struct acl_token_set_request, acl_token_set_request_fields);

static const struct field acl_token_get_request_fields[] = {
    F_STR(struct acl_token_get_request, token_id, "TokenID", 0),
    F_STR(struct acl_token_get_request, token_id_type, "TokenIDType", 0),
    F_STR(struct acl_token_get_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_token_get_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_token_get_request_schema =
    SCHEMA("ACLTokenGetRequest", struct acl_token_get_request, acl_token_get_request_fields);

static const struct field acl_token_delete_request_fields[] = {
    F_STR(struct acl_token_delete_request, token_id, "TokenID", 0),
    F_STR(struct acl_token_delete_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_token_delete_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_token_delete_request_schema =
    SCHEMA("ACLTokenDeleteRequest", struct acl_token_delete_request, acl_token_delete_request_fields);

static const struct field acl_token_list_request_fields[] = {
    F_BOOL(struct acl_token_list_request, include_local, "IncludeLocal", 0),
    F_BOOL(struct acl_token_list_request, include_global, "IncludeGlobal", 0),
    F_STR(struct acl_token_list_request, policy, "Policy", 0),
    F_STR(struct acl_token_list_request, role, "Role", 0),
    F_STR(struct acl_token_list_request, auth_method, "AuthMethod", 0),
    F_STR(struct acl_token_list_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_token_list_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_token_list_request_schema =
    SCHEMA("ACLTokenListRequest", struct acl_token_list_request, acl_token_list_request_fields);

static const struct field acl_token_list_response_fields[] = {
    F_PTRLIST(struct acl_token_list_response, tokens, "Tokens", 0, &acl_token_stub_schema),
    F_SPLICE(struct acl_token_list_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_token_list_response_schema =
    SCHEMA("ACLTokenListResponse", struct acl_token_list_response, acl_token_list_response_fields);

static const struct field acl_token_batch_get_request_fields[] = {
    F_STRLIST(struct acl_token_batch_get_request, accessor_ids, "AccessorIDs", 0),
    F_STR(struct acl_token_batch_get_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_token_batch_get_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_token_batch_get_request_schema =
    SCHEMA("ACLTokenBatchGetRequest", struct acl_token_batch_get_request, acl_token_batch_get_request_fields);

static const struct field acl_token_response_fields[] = {
    F_PTR(struct acl_token_response, token, struct acl_token, "Token", 0,
          &acl_token_schema),
    F_BOOL(struct acl_token_response, redacted, "Redacted", 0),
    F_STR(struct acl_token_response, source_datacenter, "SourceDatacenter", 0),
    F_SPLICE(struct acl_token_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_token_response_schema =
    SCHEMA("ACLTokenResponse", struct acl_token_response, acl_token_response_fields);

static const struct field acl_token_batch_response_fields[] = {
    F_PTRLIST(struct acl_token_batch_response, tokens, "Tokens", 0, &acl_token_schema),
    F_BOOL(struct acl_token_batch_response, redacted, "Redacted", 0),
    F_BOOL(struct acl_token_batch_response, removed, "Removed", 0),
    F_SPLICE(struct acl_token_batch_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_token_batch_response_schema =
    SCHEMA("ACLTokenBatchResponse", struct acl_token_batch_response, acl_token_batch_response_fields);

static const struct field acl_token_batch_set_request_fields[] = {
    F_PTRLIST(struct acl_token_batch_set_request, tokens, "Tokens", 0, &acl_token_schema),
    F_BOOL(struct acl_token_batch_set_request, cas, "CAS", 0),
    F_BOOL(struct acl_token_batch_set_request, allow_missing_links, "AllowMissingLinks", 0),
    F_BOOL(struct acl_token_batch_set_request, prohibit_unprivileged, "ProhibitUnprivileged", 0),
    F_BOOL(struct acl_token_batch_set_request, from_replication, "FromReplication", 0),
    FIELDS_END,
};
const struct schema acl_token_batch_set_request_schema =
    SCHEMA("ACLTokenBatchSetRequest", struct acl_token_batch_set_request, acl_token_batch_set_request_fields);

static const struct field acl_token_batch_delete_request_fields[] = {
    F_STRLIST(struct acl_token_batch_delete_request, token_ids, "TokenIDs", 0),
    FIELDS_END,
};
const struct schema acl_token_batch_delete_request_schema =
    SCHEMA("ACLTokenBatchDeleteRequest", struct acl_token_batch_delete_request, acl_token_batch_delete_request_fields);

static const struct field acl_token_bootstrap_request_fields[] = {
    F_OBJ(struct acl_token_bootstrap_request, token, struct acl_token, "Token", 0,
          &acl_token_schema),
    F_UINT(struct acl_token_bootstrap_request, reset_index, "ResetIndex", 0),
    FIELDS_END,
};
const struct schema acl_token_bootstrap_request_schema =
    SCHEMA("ACLTokenBootstrapRequest", struct acl_token_bootstrap_request, acl_token_bootstrap_request_fields);

static const struct field acl_policy_set_request_fields[] = {
    F_OBJ(struct acl_policy_set_request, policy, struct acl_policy_row, "Policy", 0,
          &acl_policy_row_schema),
    F_STR(struct acl_policy_set_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_policy_set_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_policy_set_request_schema =
    SCHEMA("ACLPolicySetRequest", struct acl_policy_set_request, acl_policy_set_request_fields);

static const struct field acl_policy_delete_request_fields[] = {
    F_STR(struct acl_policy_delete_request, policy_id, "PolicyID", 0),
    F_STR(struct acl_policy_delete_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_policy_delete_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_policy_delete_request_schema =
    SCHEMA("ACLPolicyDeleteRequest", struct acl_policy_delete_request, acl_policy_delete_request_fields);

static const struct field acl_policy_get_request_fields[] = {
    F_STR(struct acl_policy_get_request, policy_id, "PolicyID", 0),
    F_STR(struct acl_policy_get_request, policy_name, "PolicyName", 0),
    F_STR(struct acl_policy_get_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_policy_get_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_policy_get_request_schema =
    SCHEMA("ACLPolicyGetRequest", struct acl_policy_get_request, acl_policy_get_request_fields);

static const struct field acl_policy_list_request_fields[] = {
    F_STR(struct acl_policy_list_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_policy_list_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_policy_list_request_schema =
    SCHEMA("ACLPolicyListRequest", struct acl_policy_list_request, acl_policy_list_request_fields);

static const struct field acl_policy_list_response_fields[] = {
    F_PTRLIST(struct acl_policy_list_response, policies, "Policies", 0, &acl_policy_stub_schema),
    F_SPLICE(struct acl_policy_list_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_policy_list_response_schema =
    SCHEMA("ACLPolicyListResponse", struct acl_policy_list_response, acl_policy_list_response_fields);

static const struct field acl_policy_batch_get_request_fields[] = {
    F_STRLIST(struct acl_policy_batch_get_request, policy_ids, "PolicyIDs", 0),
    F_STR(struct acl_policy_batch_get_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_policy_batch_get_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_policy_batch_get_request_schema =
    SCHEMA("ACLPolicyBatchGetRequest", struct acl_policy_batch_get_request, acl_policy_batch_get_request_fields);

static const struct field acl_policy_response_fields[] = {
    F_PTR(struct acl_policy_response, policy, struct acl_policy_row, "Policy", 0,
          &acl_policy_row_schema),
    F_SPLICE(struct acl_policy_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_policy_response_schema =
    SCHEMA("ACLPolicyResponse", struct acl_policy_response, acl_policy_response_fields);

static const struct field acl_policy_batch_response_fields[] = {
    F_PTRLIST(struct acl_policy_batch_response, policies, "Policies", 0, &acl_policy_row_schema),
    F_SPLICE(struct acl_policy_batch_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_policy_batch_response_schema =
    SCHEMA("ACLPolicyBatchResponse", struct acl_policy_batch_response, acl_policy_batch_response_fields);

static const struct field acl_policy_batch_set_request_fields[] = {
    F_PTRLIST(struct acl_policy_batch_set_request, policies, "Policies", 0, &acl_policy_row_schema),
    FIELDS_END,
};
const struct schema acl_policy_batch_set_request_schema =
    SCHEMA("ACLPolicyBatchSetRequest", struct acl_policy_batch_set_request, acl_policy_batch_set_request_fields);

static const struct field acl_policy_batch_delete_request_fields[] = {
    F_STRLIST(struct acl_policy_batch_delete_request, policy_ids, "PolicyIDs", 0),
    FIELDS_END,
};
const struct schema acl_policy_batch_delete_request_schema =
    SCHEMA("ACLPolicyBatchDeleteRequest", struct acl_policy_batch_delete_request, acl_policy_batch_delete_request_fields);

static const struct field acl_role_set_request_fields[] = {
    F_OBJ(struct acl_role_set_request, role, struct acl_role, "Role", 0,
          &acl_role_schema),
    F_STR(struct acl_role_set_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_role_set_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_role_set_request_schema =
    SCHEMA("ACLRoleSetRequest", struct acl_role_set_request, acl_role_set_request_fields);

static const struct field acl_role_delete_request_fields[] = {
    F_STR(struct acl_role_delete_request, role_id, "RoleID", 0),
    F_STR(struct acl_role_delete_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_role_delete_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_role_delete_request_schema =
    SCHEMA("ACLRoleDeleteRequest", struct acl_role_delete_request, acl_role_delete_request_fields);

static const struct field acl_role_get_request_fields[] = {
    F_STR(struct acl_role_get_request, role_id, "RoleID", 0),
    F_STR(struct acl_role_get_request, role_name, "RoleName", 0),
    F_STR(struct acl_role_get_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_role_get_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_role_get_request_schema =
    SCHEMA("ACLRoleGetRequest", struct acl_role_get_request, acl_role_get_request_fields);

static const struct field acl_role_list_request_fields[] = {
    F_STR(struct acl_role_list_request, policy, "Policy", 0),
    F_STR(struct acl_role_list_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_role_list_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_role_list_request_schema =
    SCHEMA("ACLRoleListRequest", struct acl_role_list_request, acl_role_list_request_fields);

static const struct field acl_role_list_response_fields[] = {
    F_PTRLIST(struct acl_role_list_response, roles, "Roles", 0, &acl_role_schema),
    F_SPLICE(struct acl_role_list_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_role_list_response_schema =
    SCHEMA("ACLRoleListResponse", struct acl_role_list_response, acl_role_list_response_fields);

static const struct field acl_role_batch_get_request_fields[] = {
    F_STRLIST(struct acl_role_batch_get_request, role_ids, "RoleIDs", 0),
    F_STR(struct acl_role_batch_get_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_role_batch_get_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_role_batch_get_request_schema =
    SCHEMA("ACLRoleBatchGetRequest", struct acl_role_batch_get_request, acl_role_batch_get_request_fields);

static const struct field acl_role_response_fields[] = {
    F_PTR(struct acl_role_response, role, struct acl_role, "Role", 0,
          &acl_role_schema),
    F_SPLICE(struct acl_role_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_role_response_schema =
    SCHEMA("ACLRoleResponse", struct acl_role_response, acl_role_response_fields);

static const struct field acl_role_batch_response_fields[] = {
    F_PTRLIST(struct acl_role_batch_response, roles, "Roles", 0, &acl_role_schema),
    F_SPLICE(struct acl_role_batch_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_role_batch_response_schema =
    SCHEMA("ACLRoleBatchResponse", struct acl_role_batch_response, acl_role_batch_response_fields);

static const struct field acl_role_batch_set_request_fields[] = {
    F_PTRLIST(struct acl_role_batch_set_request, roles, "Roles", 0, &acl_role_schema),
    F_BOOL(struct acl_role_batch_set_request, allow_missing_links, "AllowMissingLinks", 0),
    FIELDS_END,
};
const struct schema acl_role_batch_set_request_schema =
    SCHEMA("ACLRoleBatchSetRequest", struct acl_role_batch_set_request, acl_role_batch_set_request_fields);

static const struct field acl_role_batch_delete_request_fields[] = {
    F_STRLIST(struct acl_role_batch_delete_request, role_ids, "RoleIDs", 0),
    FIELDS_END,
};
const struct schema acl_role_batch_delete_request_schema =
    SCHEMA("ACLRoleBatchDeleteRequest", struct acl_role_batch_delete_request, acl_role_batch_delete_request_fields);

static const struct field acl_binding_rule_set_request_fields[] = {
    F_OBJ(struct acl_binding_rule_set_request, binding_rule, struct acl_binding_rule, "BindingRule", 0,
          &acl_binding_rule_schema),
    F_STR(struct acl_binding_rule_set_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_binding_rule_set_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_binding_rule_set_request_schema =
    SCHEMA("ACLBindingRuleSetRequest", struct acl_binding_rule_set_request, acl_binding_rule_set_request_fields);

static const struct field acl_binding_rule_delete_request_fields[] = {
    F_STR(struct acl_binding_rule_delete_request, binding_rule_id, "BindingRuleID", 0),
    F_STR(struct acl_binding_rule_delete_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_binding_rule_delete_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_binding_rule_delete_request_schema =
    SCHEMA("ACLBindingRuleDeleteRequest", struct acl_binding_rule_delete_request, acl_binding_rule_delete_request_fields);

static const struct field acl_binding_rule_get_request_fields[] = {
    F_STR(struct acl_binding_rule_get_request, binding_rule_id, "BindingRuleID", 0),
    F_STR(struct acl_binding_rule_get_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_binding_rule_get_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_binding_rule_get_request_schema =
    SCHEMA("ACLBindingRuleGetRequest", struct acl_binding_rule_get_request, acl_binding_rule_get_request_fields);

static const struct field acl_binding_rule_list_request_fields[] = {
    F_STR(struct acl_binding_rule_list_request, auth_method, "AuthMethod", 0),
    F_STR(struct acl_binding_rule_list_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_binding_rule_list_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_binding_rule_list_request_schema =
    SCHEMA("ACLBindingRuleListRequest", struct acl_binding_rule_list_request, acl_binding_rule_list_request_fields);

static const struct field acl_binding_rule_list_response_fields[] = {
    F_PTRLIST(struct acl_binding_rule_list_response, binding_rules, "BindingRules", 0, &acl_binding_rule_schema),
    F_SPLICE(struct acl_binding_rule_list_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_binding_rule_list_response_schema =
    SCHEMA("ACLBindingRuleListResponse", struct acl_binding_rule_list_response, acl_binding_rule_list_response_fields);

static const struct field acl_binding_rule_response_fields[] = {
    F_PTR(struct acl_binding_rule_response, binding_rule, struct acl_binding_rule, "BindingRule", 0,
          &acl_binding_rule_schema),
    F_SPLICE(struct acl_binding_rule_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_binding_rule_response_schema =
    SCHEMA("ACLBindingRuleResponse", struct acl_binding_rule_response, acl_binding_rule_response_fields);

static const struct field acl_binding_rule_batch_set_request_fields[] = {
    F_PTRLIST(struct acl_binding_rule_batch_set_request, binding_rules, "BindingRules", 0, &acl_binding_rule_schema),
    FIELDS_END,
};
const struct schema acl_binding_rule_batch_set_request_schema =
    SCHEMA("ACLBindingRuleBatchSetRequest", struct acl_binding_rule_batch_set_request, acl_binding_rule_batch_set_request_fields);

static const struct field acl_binding_rule_batch_delete_request_fields[] = {
    F_STRLIST(struct acl_binding_rule_batch_delete_request, binding_rule_ids, "BindingRuleIDs", 0),
    FIELDS_END,
};
const struct schema acl_binding_rule_batch_delete_request_schema =
    SCHEMA("ACLBindingRuleBatchDeleteRequest", struct acl_binding_rule_batch_delete_request, acl_binding_rule_batch_delete_request_fields);

static const struct field acl_auth_method_set_request_fields[] = {
    F_OBJ(struct acl_auth_method_set_request, auth_method, struct acl_auth_method, "AuthMethod", 0,
          &acl_auth_method_schema),
    F_STR(struct acl_auth_method_set_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_auth_method_set_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_auth_method_set_request_schema =
    SCHEMA("ACLAuthMethodSetRequest", struct acl_auth_method_set_request, acl_auth_method_set_request_fields);

static const struct field acl_auth_method_delete_request_fields[] = {
    F_STR(struct acl_auth_method_delete_request, auth_method_name, "AuthMethodName", 0),
    F_STR(struct acl_auth_method_delete_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_auth_method_delete_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_auth_method_delete_request_schema =
    SCHEMA("ACLAuthMethodDeleteRequest", struct acl_auth_method_delete_request, acl_auth_method_delete_request_fields);

static const struct field acl_auth_method_get_request_fields[] = {
    F_STR(struct acl_auth_method_get_request, auth_method_name, "AuthMethodName", 0),
    F_STR(struct acl_auth_method_get_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_auth_method_get_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_auth_method_get_request_schema =
    SCHEMA("ACLAuthMethodGetRequest", struct acl_auth_method_get_request, acl_auth_method_get_request_fields);

static const struct field acl_auth_method_list_request_fields[] = {
    F_STR(struct acl_auth_method_list_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_auth_method_list_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_auth_method_list_request_schema =
    SCHEMA("ACLAuthMethodListRequest", struct acl_auth_method_list_request, acl_auth_method_list_request_fields);

static const struct field acl_auth_method_list_response_fields[] = {
    F_PTRLIST(struct acl_auth_method_list_response, auth_methods, "AuthMethods", 0, &acl_auth_method_stub_schema),
    F_SPLICE(struct acl_auth_method_list_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_auth_method_list_response_schema =
    SCHEMA("ACLAuthMethodListResponse", struct acl_auth_method_list_response, acl_auth_method_list_response_fields);

static const struct field acl_auth_method_response_fields[] = {
    F_PTR(struct acl_auth_method_response, auth_method, struct acl_auth_method, "AuthMethod", 0,
          &acl_auth_method_schema),
    F_SPLICE(struct acl_auth_method_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_auth_method_response_schema =
    SCHEMA("ACLAuthMethodResponse", struct acl_auth_method_response, acl_auth_method_response_fields);

static const struct field acl_auth_method_batch_set_request_fields[] = {
    F_PTRLIST(struct acl_auth_method_batch_set_request, auth_methods, "AuthMethods", 0, &acl_auth_method_schema),
    FIELDS_END,
};
const struct schema acl_auth_method_batch_set_request_schema =
    SCHEMA("ACLAuthMethodBatchSetRequest", struct acl_auth_method_batch_set_request, acl_auth_method_batch_set_request_fields);

static const struct field acl_auth_method_batch_delete_request_fields[] = {
    F_STRLIST(struct acl_auth_method_batch_delete_request, auth_method_names, "AuthMethodNames", 0),
    FIELDS_END,
};
const struct schema acl_auth_method_batch_delete_request_schema =
    SCHEMA("ACLAuthMethodBatchDeleteRequest", struct acl_auth_method_batch_delete_request, acl_auth_method_batch_delete_request_fields);

static const struct field acl_login_params_fields[] = {
    F_STR(struct acl_login_params, auth_method, "AuthMethod", 0),
    F_STR(struct acl_login_params, bearer_token, "BearerToken", 0),
    F_STRMAP(struct acl_login_params, meta, "Meta", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema acl_login_params_schema =
    SCHEMA("ACLLoginParams", struct acl_login_params, acl_login_params_fields);

static const struct field acl_login_request_fields[] = {
    F_PTR(struct acl_login_request, auth, struct acl_login_params, "Auth", 0,
          &acl_login_params_schema),
    F_STR(struct acl_login_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_login_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_login_request_schema =
    SCHEMA("ACLLoginRequest", struct acl_login_request, acl_login_request_fields);

static const struct field acl_logout_request_fields[] = {
    F_STR(struct acl_logout_request, datacenter, "Datacenter", 0),
    F_SPLICE(struct acl_logout_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_logout_request_schema =
    SCHEMA("ACLLogoutRequest", struct acl_logout_request, acl_logout_request_fields);

static const struct field acl_authorization_request_fields[] = {
    F_STR(struct acl_authorization_request, resource, "Resource", 0),
    F_STR(struct acl_authorization_request, segment, "Segment", F_OMITEMPTY),
    F_STR(struct acl_authorization_request, access, "Access", 0),
    FIELDS_END,
};
const struct schema acl_authorization_request_schema =
    SCHEMA("ACLAuthorizationRequest", struct acl_authorization_request, acl_authorization_request_fields);

static const struct field acl_authorization_response_fields[] = {
    F_SPLICE(struct acl_authorization_response, request, struct acl_authorization_request, &acl_authorization_request_schema),
    F_BOOL(struct acl_authorization_response, allow, "Allow", 0),
    FIELDS_END,
};
const struct schema acl_authorization_response_schema =
    SCHEMA("ACLAuthorizationResponse", struct acl_authorization_response, acl_authorization_response_fields);

static const struct field acl_authorize_request_fields[] = {
    F_STR(struct acl_authorize_request, datacenter, "Datacenter", 0),
    F_OBJLIST(struct acl_authorize_request, requests, "Requests", 0, &acl_authorization_request_schema),
    F_SPLICE(struct acl_authorize_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_authorize_request_schema =
    SCHEMA("RemoteACLAuthorizationRequest", struct acl_authorize_request, acl_authorize_request_fields);

static const struct field acl_authorize_reply_fields[] = {
    F_OBJLIST(struct acl_authorize_reply, responses, "", 0, &acl_authorization_response_schema),
    FIELDS_END,
};
const struct schema acl_authorize_reply_schema =
    SCHEMA("", struct acl_authorize_reply, acl_authorize_reply_fields);

static const struct field acl_replication_status_fields[] = {
    F_BOOL(struct acl_replication_status, enabled, "Enabled", 0),
    F_BOOL(struct acl_replication_status, running, "Running", 0),
    F_STR(struct acl_replication_status, source_datacenter, "SourceDatacenter", 0),
    F_STR(struct acl_replication_status, replication_type, "ReplicationType", 0),
    F_UINT(struct acl_replication_status, replicated_index, "ReplicatedIndex", 0),
    F_UINT(struct acl_replication_status, replicated_role_index, "ReplicatedRoleIndex", 0),
    F_UINT(struct acl_replication_status, replicated_token_index, "ReplicatedTokenIndex", 0),
    F_TIME(struct acl_replication_status, last_success, "LastSuccess", 0),
    F_TIME(struct acl_replication_status, last_error, "LastError", 0),
    FIELDS_END,
};
const struct schema acl_replication_status_schema =
    SCHEMA("ACLReplicationStatus", struct acl_replication_status, acl_replication_status_fields);

static const struct field acl_legacy_request_fields[] = {
    F_STR(struct acl_legacy_request, datacenter, "Datacenter", 0),
    F_STR(struct acl_legacy_request, op, "Op", 0),
    F_OBJ(struct acl_legacy_request, acl, struct acl_legacy, "ACL", 0,
          &acl_legacy_schema),
    F_SPLICE(struct acl_legacy_request, write, struct write_request, &write_request_schema),
    FIELDS_END,
};
const struct schema acl_legacy_request_schema =
    SCHEMA("ACLRequest", struct acl_legacy_request, acl_legacy_request_fields);

static const struct field acl_bootstrap_record_fields[] = {
    F_BOOL(struct acl_bootstrap_record, allow_bootstrap, "AllowBootstrap", 0),
    F_SPLICE(struct acl_bootstrap_record, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema acl_bootstrap_record_schema =
    SCHEMA("ACLBootstrap", struct acl_bootstrap_record, acl_bootstrap_record_fields);

static const struct field acl_legacy_get_request_fields[] = {
    F_STR(struct acl_legacy_get_request, datacenter, "Datacenter", 0),
    F_STR(struct acl_legacy_get_request, acl, "ACL", 0),
    F_SPLICE(struct acl_legacy_get_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_legacy_get_request_schema =
    SCHEMA("ACLSpecificRequest", struct acl_legacy_get_request, acl_legacy_get_request_fields);

static const struct field acl_legacy_list_fields[] = {
    F_PTRLIST(struct acl_legacy_list, acls, "ACLs", 0, &acl_legacy_schema),
    F_SPLICE(struct acl_legacy_list, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_legacy_list_schema =
    SCHEMA("IndexedACLs", struct acl_legacy_list, acl_legacy_list_fields);

static const struct field acl_legacy_policy_request_fields[] = {
    F_STR(struct acl_legacy_policy_request, datacenter, "Datacenter", 0),
    F_STR(struct acl_legacy_policy_request, acl, "ACL", 0),
    F_STR(struct acl_legacy_policy_request, etag, "ETag", 0),
    F_SPLICE(struct acl_legacy_policy_request, options, struct query_options, &query_options_schema),
    FIELDS_END,
};
const struct schema acl_legacy_policy_request_schema =
    SCHEMA("ACLPolicyResolveLegacyRequest", struct acl_legacy_policy_request, acl_legacy_policy_request_fields);

/* The rules of a policy of the time before 1.4; what a rule is about has its own name in each. */
#define LEGACY_RULE(schema_name, go_name, key)                                        \
    static const struct field schema_name##_fields[] = {                              \
        F_STR(struct acl_legacy_rule, name, key, 0),                                  \
        F_STR(struct acl_legacy_rule, policy, "Policy", 0),                           \
        FIELDS_END,                                                                   \
    };                                                                                \
    static const struct schema schema_name =                                          \
        SCHEMA(go_name, struct acl_legacy_rule, schema_name##_fields)
LEGACY_RULE(legacy_agent_rule_schema, "AgentRule", "Node");
LEGACY_RULE(legacy_key_rule_schema, "KeyRule", "Prefix");
LEGACY_RULE(legacy_node_rule_schema, "NodeRule", "Name");
LEGACY_RULE(legacy_session_rule_schema, "SessionRule", "Node");
LEGACY_RULE(legacy_event_rule_schema, "EventRule", "Event");
LEGACY_RULE(legacy_query_rule_schema, "PreparedQueryRule", "Prefix");

static const struct field legacy_service_rule_fields[] = {
    F_STR(struct acl_legacy_rule, name, "Name", 0),
    F_STR(struct acl_legacy_rule, policy, "Policy", 0),
    F_STR(struct acl_legacy_rule, intentions, "Intentions", 0),
    FIELDS_END,
};
static const struct schema legacy_service_rule_schema =
    SCHEMA("ServiceRule", struct acl_legacy_rule, legacy_service_rule_fields);

static const struct field acl_legacy_policy_fields[] = {
    F_STR(struct acl_legacy_policy, id, "ID", 0),
    F_UINT(struct acl_legacy_policy, revision, "Revision", 0),
    F_STR(struct acl_legacy_policy, acl, "ACL", 0),
    F_OBJLIST(struct acl_legacy_policy, agents, "Agents", 0, &legacy_agent_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, none, "AgentPrefixes", 0, &legacy_agent_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, keys, "Keys", 0, &legacy_key_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, none, "KeyPrefixes", 0, &legacy_key_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, nodes, "Nodes", 0, &legacy_node_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, none, "NodePrefixes", 0, &legacy_node_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, services, "Services", 0, &legacy_service_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, none, "ServicePrefixes", 0, &legacy_service_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, sessions, "Sessions", 0, &legacy_session_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, none, "SessionPrefixes", 0, &legacy_session_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, events, "Events", 0, &legacy_event_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, none, "EventPrefixes", 0, &legacy_event_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, queries, "PreparedQueries", 0, &legacy_query_rule_schema),
    F_OBJLIST(struct acl_legacy_policy, none, "PreparedQueryPrefixes", 0, &legacy_query_rule_schema),
    F_STR(struct acl_legacy_policy, keyring, "Keyring", 0),
    F_STR(struct acl_legacy_policy, operator, "Operator", 0),
    FIELDS_END,
};
static const struct schema acl_legacy_policy_schema =
    SCHEMA("Policy", struct acl_legacy_policy, acl_legacy_policy_fields);

static const struct field acl_legacy_policy_response_fields[] = {
    F_STR(struct acl_legacy_policy_response, etag, "ETag", 0),
    F_STR(struct acl_legacy_policy_response, parent, "Parent", 0),
    F_PTR(struct acl_legacy_policy_response, policy, struct acl_legacy_policy, "Policy", 0,
          &acl_legacy_policy_schema),
    F_DURATION(struct acl_legacy_policy_response, ttl_ns, "TTL", 0),
    F_SPLICE(struct acl_legacy_policy_response, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
const struct schema acl_legacy_policy_response_schema =
    SCHEMA("ACLPolicyResolveLegacyResponse", struct acl_legacy_policy_response, acl_legacy_policy_response_fields);
/* clang-format on */
