/* acl_request.h - requests and replies of the RPC methods ACL.*, and the log's entries of them
 * (Consul's structs of the same names). */
#pragma once
#include "schema/acl.h"
#include "schema/query.h"

/* --- tokens ---------------------------------------------------------------------------------- */

struct acl_token_set_request { /* ACL.TokenSet, .TokenClone */
    struct acl_token token;
    bool create;
    struct str datacenter;
    struct write_request write;
};

#define ACL_TOKEN_BY_SECRET STR("secret")
#define ACL_TOKEN_BY_ACCESSOR STR("accessor")

struct acl_token_get_request {
    struct str token_id;
    struct str token_id_type; /* ACL_TOKEN_BY_x */
    struct str datacenter;
    struct query_options options;
};

struct acl_token_delete_request {
    struct str token_id; /* accessor */
    struct str datacenter;
    struct write_request write;
};

struct acl_token_list_request {
    bool include_local, include_global;
    struct str policy, role, auth_method; /* one of them at most */
    struct str datacenter;
    struct query_options options;
};

struct acl_token_list_response {
    struct ptrlist tokens; /* struct acl_token_stub */
    struct query_meta meta;
};

struct acl_token_batch_get_request {
    struct strlist accessor_ids;
    struct str datacenter;
    struct query_options options;
};

struct acl_token_response {
    struct acl_token *token; /* NULL: there is none */
    bool redacted;           /* the secret is hidden */
    struct str source_datacenter;
    struct query_meta meta;
};

struct acl_token_batch_response {
    struct ptrlist tokens; /* struct acl_token */
    bool redacted;
    bool removed; /* some were left out */
    struct query_meta meta;
};

struct acl_token_batch_set_request { /* log entry 17 */
    struct ptrlist tokens;           /* struct acl_token */
    bool cas;
    bool allow_missing_links;
    bool prohibit_unprivileged;
    bool from_replication;
};

struct acl_token_batch_delete_request { /* log entry 18 */
    struct strlist token_ids;           /* accessors */
};

struct acl_token_bootstrap_request { /* log entry 11 */
    struct acl_token token;
    uint64_t reset_index;
};

/* --- policies -------------------------------------------------------------------------------- */

struct acl_policy_set_request {
    struct acl_policy_row policy;
    struct str datacenter;
    struct write_request write;
};

struct acl_policy_delete_request {
    struct str policy_id;
    struct str datacenter;
    struct write_request write;
};

struct acl_policy_get_request {
    struct str policy_id, policy_name; /* one of them */
    struct str datacenter;
    struct query_options options;
};

struct acl_policy_list_request {
    struct str datacenter;
    struct query_options options;
};

struct acl_policy_list_response {
    struct ptrlist policies; /* struct acl_policy_stub */
    struct query_meta meta;
};

struct acl_policy_batch_get_request {
    struct strlist policy_ids;
    struct str datacenter;
    struct query_options options;
};

struct acl_policy_response {
    struct acl_policy_row *policy;
    struct query_meta meta;
};

struct acl_policy_batch_response {
    struct ptrlist policies; /* struct acl_policy_row */
    struct query_meta meta;
};

struct acl_policy_batch_set_request { /* log entry 19 */
    struct ptrlist policies;          /* struct acl_policy_row */
};

struct acl_policy_batch_delete_request { /* log entry 20 */
    struct strlist policy_ids;
};

/* --- roles ----------------------------------------------------------------------------------- */

struct acl_role_set_request {
    struct acl_role role;
    struct str datacenter;
    struct write_request write;
};

struct acl_role_delete_request {
    struct str role_id;
    struct str datacenter;
    struct write_request write;
};

struct acl_role_get_request {
    struct str role_id, role_name; /* one of them */
    struct str datacenter;
    struct query_options options;
};

struct acl_role_list_request {
    struct str policy;
    struct str datacenter;
    struct query_options options;
};

struct acl_role_list_response {
    struct ptrlist roles; /* struct acl_role */
    struct query_meta meta;
};

struct acl_role_batch_get_request {
    struct strlist role_ids;
    struct str datacenter;
    struct query_options options;
};

struct acl_role_response {
    struct acl_role *role;
    struct query_meta meta;
};

struct acl_role_batch_response {
    struct ptrlist roles; /* struct acl_role */
    struct query_meta meta;
};

struct acl_role_batch_set_request { /* log entry 23 */
    struct ptrlist roles;           /* struct acl_role */
    bool allow_missing_links;
};

struct acl_role_batch_delete_request { /* log entry 24 */
    struct strlist role_ids;
};

/* --- binding rules --------------------------------------------------------------------------- */

struct acl_binding_rule_set_request {
    struct acl_binding_rule binding_rule;
    struct str datacenter;
    struct write_request write;
};

struct acl_binding_rule_delete_request {
    struct str binding_rule_id;
    struct str datacenter;
    struct write_request write;
};

struct acl_binding_rule_get_request {
    struct str binding_rule_id;
    struct str datacenter;
    struct query_options options;
};

struct acl_binding_rule_list_request {
    struct str auth_method;
    struct str datacenter;
    struct query_options options;
};

struct acl_binding_rule_list_response {
    struct ptrlist binding_rules; /* struct acl_binding_rule */
    struct query_meta meta;
};

struct acl_binding_rule_response {
    struct acl_binding_rule *binding_rule;
    struct query_meta meta;
};

struct acl_binding_rule_batch_set_request { /* log entry 25 */
    struct ptrlist binding_rules;           /* struct acl_binding_rule */
};

struct acl_binding_rule_batch_delete_request { /* log entry 26 */
    struct strlist binding_rule_ids;
};

/* --- auth methods ---------------------------------------------------------------------------- */

struct acl_auth_method_set_request {
    struct acl_auth_method auth_method;
    struct str datacenter;
    struct write_request write;
};

struct acl_auth_method_delete_request {
    struct str auth_method_name;
    struct str datacenter;
    struct write_request write;
};

struct acl_auth_method_get_request {
    struct str auth_method_name;
    struct str datacenter;
    struct query_options options;
};

struct acl_auth_method_list_request {
    struct str datacenter;
    struct query_options options;
};

struct acl_auth_method_list_response {
    struct ptrlist auth_methods; /* struct acl_auth_method_stub */
    struct query_meta meta;
};

struct acl_auth_method_response {
    struct acl_auth_method *auth_method;
    struct query_meta meta;
};

struct acl_auth_method_batch_set_request { /* log entry 27 */
    struct ptrlist auth_methods;           /* struct acl_auth_method */
};

struct acl_auth_method_batch_delete_request { /* log entry 28 */
    struct strlist auth_method_names;
};

/* --- logging in ------------------------------------------------------------------------------ */

struct acl_login_params {
    struct str auth_method;
    struct str bearer_token;
    struct strmap meta;
};

struct acl_login_request {
    struct acl_login_params *auth;
    struct str datacenter;
    struct write_request write;
};

struct acl_logout_request {
    struct str datacenter;
    struct write_request write;
};

/* --- asking ---------------------------------------------------------------------------------- */

struct acl_authorization_request {
    struct str resource; /* acl, agent, key, … */
    struct str segment;  /* which one, for those that have a name */
    struct str access;   /* read, list, write */
};

struct acl_authorization_response {
    struct acl_authorization_request request;
    bool allow;
};

struct acl_authorize_request { /* RemoteACLAuthorizationRequest */
    struct str datacenter;
    struct objlist requests; /* struct acl_authorization_request */
    struct query_options options;
};

struct acl_authorize_reply {
    struct objlist responses; /* struct acl_authorization_response */
};

#define ACL_REPLICATE_LEGACY STR("legacy")
#define ACL_REPLICATE_POLICIES STR("policies")
#define ACL_REPLICATE_TOKENS STR("tokens")

struct acl_replication_status {
    bool enabled;
    bool running;
    struct str source_datacenter;
    struct str replication_type;
    uint64_t replicated_index, replicated_role_index, replicated_token_index;
    int64_t last_success, last_error;
};

/* --- the old API ----------------------------------------------------------------------------- */

#define ACL_SET STR("set")
#define ACL_DELETE STR("delete")
#define ACL_FORCE_SET STR("force-set")
#define ACL_BOOTSTRAP_INIT STR("bootstrap-init")
#define ACL_BOOTSTRAP_NOW STR("bootstrap-now")

struct acl_legacy_request { /* ACLRequest; log entry 4 */
    struct str datacenter;
    struct str op;
    struct acl_legacy acl;
    struct write_request write;
};

struct acl_bootstrap_record { /* ACLBootstrap; of old snapshots */
    bool allow_bootstrap;
    struct raft_index raft;
};

struct acl_legacy_get_request { /* ACLSpecificRequest */
    struct str datacenter;
    struct str acl;
    struct query_options options;
};

struct acl_legacy_list { /* IndexedACLs */
    struct ptrlist acls; /* struct acl_legacy */
    struct query_meta meta;
};

struct acl_legacy_policy_request { /* ACLPolicyResolveLegacyRequest */
    struct str datacenter;
    struct str acl;
    struct str etag;
    struct query_options options;
};
struct acl_legacy_rule {
    struct str name, policy;
    struct str intentions; /* of a service */
};
struct acl_legacy_policy {
    struct str id;
    uint64_t revision; /* of what has been merged: 0 */
    struct str acl, keyring, operator;
    /* struct acl_legacy_rule */
    struct objlist agents, keys, nodes, services, sessions, events, queries;
    struct objlist none; /* names that are beginnings: there are none apart */
};
struct acl_legacy_policy_response { /* ACLPolicyResolveLegacyResponse */
    struct str etag, parent;
    struct acl_legacy_policy *policy; /* NULL: the caller has it */
    int64_t ttl_ns;
    struct query_meta meta;
};

extern const struct schema acl_token_set_request_schema, acl_token_get_request_schema,
    acl_token_delete_request_schema, acl_token_list_request_schema, acl_token_list_response_schema,
    acl_token_batch_get_request_schema, acl_token_response_schema, acl_token_batch_response_schema,
    acl_token_batch_set_request_schema, acl_token_batch_delete_request_schema,
    acl_token_bootstrap_request_schema, acl_policy_set_request_schema,
    acl_policy_delete_request_schema, acl_policy_get_request_schema, acl_policy_list_request_schema,
    acl_policy_list_response_schema, acl_policy_batch_get_request_schema,
    acl_policy_response_schema, acl_policy_batch_response_schema,
    acl_policy_batch_set_request_schema, acl_policy_batch_delete_request_schema,
    acl_role_set_request_schema, acl_role_delete_request_schema, acl_role_get_request_schema,
    acl_role_list_request_schema, acl_role_list_response_schema, acl_role_batch_get_request_schema,
    acl_role_response_schema, acl_role_batch_response_schema, acl_role_batch_set_request_schema,
    acl_role_batch_delete_request_schema, acl_binding_rule_set_request_schema,
    acl_binding_rule_delete_request_schema, acl_binding_rule_get_request_schema,
    acl_binding_rule_list_request_schema, acl_binding_rule_list_response_schema,
    acl_binding_rule_response_schema, acl_binding_rule_batch_set_request_schema,
    acl_binding_rule_batch_delete_request_schema, acl_auth_method_set_request_schema,
    acl_auth_method_delete_request_schema, acl_auth_method_get_request_schema,
    acl_auth_method_list_request_schema, acl_auth_method_list_response_schema,
    acl_auth_method_response_schema, acl_auth_method_batch_set_request_schema,
    acl_auth_method_batch_delete_request_schema, acl_login_params_schema, acl_login_request_schema,
    acl_logout_request_schema, acl_authorization_request_schema, acl_authorization_response_schema,
    acl_authorize_request_schema, acl_authorize_reply_schema, acl_replication_status_schema,
    acl_legacy_request_schema, acl_bootstrap_record_schema, acl_legacy_get_request_schema,
    acl_legacy_list_schema, acl_legacy_policy_request_schema, acl_legacy_policy_response_schema;
