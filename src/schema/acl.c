#include "schema/acl.h"

#include "base/blake2b.h"
#include "base/buf.h"
#include "base/encode.h"

/* clang-format off */
static const struct field acl_link_fields[] = {
    F_STR(struct acl_link, id, "ID", 0),
    F_STR(struct acl_link, name, "Name", 0),
    FIELDS_END,
};
static const struct schema token_policy_link_schema =
    SCHEMA("ACLTokenPolicyLink", struct acl_link, acl_link_fields);
static const struct schema token_role_link_schema =
    SCHEMA("ACLTokenRoleLink", struct acl_link, acl_link_fields);
static const struct schema role_policy_link_schema =
    SCHEMA("ACLRolePolicyLink", struct acl_link, acl_link_fields);

static const struct field service_identity_fields[] = {
    F_STR(struct acl_service_identity, service_name, "ServiceName", 0),
    F_STRLIST(struct acl_service_identity, datacenters, "Datacenters", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema acl_service_identity_schema =
    SCHEMA("ACLServiceIdentity", struct acl_service_identity, service_identity_fields);

static const struct field node_identity_fields[] = {
    F_STR(struct acl_node_identity, node_name, "NodeName", 0),
    F_STR(struct acl_node_identity, datacenter, "Datacenter", 0),
    FIELDS_END,
};
const struct schema acl_node_identity_schema =
    SCHEMA("ACLNodeIdentity", struct acl_node_identity, node_identity_fields);

static const struct field token_fields[] = {
    F_STR(struct acl_token, accessor_id, "AccessorID", 0),
    F_STR(struct acl_token, secret_id, "SecretID", 0),
    F_STR(struct acl_token, description, "Description", 0),
    F_OBJLIST(struct acl_token, policies, "Policies", F_OMITEMPTY, &token_policy_link_schema),
    F_OBJLIST(struct acl_token, roles, "Roles", F_OMITEMPTY, &token_role_link_schema),
    F_PTRLIST(struct acl_token, service_identities, "ServiceIdentities", F_OMITEMPTY,
              &acl_service_identity_schema),
    F_PTRLIST(struct acl_token, node_identities, "NodeIdentities", F_OMITEMPTY,
              &acl_node_identity_schema),
    F_STR(struct acl_token, type, "Type", F_NO_JSON),
    F_STR(struct acl_token, rules, "Rules", F_OMITEMPTY),
    F_BOOL(struct acl_token, local, "Local", 0),
    F_STR(struct acl_token, auth_method, "AuthMethod", F_OMITEMPTY),
    F_TIME(struct acl_token, expiration_time, "ExpirationTime", F_OMITEMPTY | F_NULLABLE),
    F_DURATION(struct acl_token, expiration_ttl, "ExpirationTTL", F_OMITEMPTY),
    F_TIME(struct acl_token, create_time, "CreateTime", 0),
    F_BYTES(struct acl_token, hash, "Hash", 0),
    F_SPLICE(struct acl_token, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema acl_token_schema = SCHEMA("ACLToken", struct acl_token, token_fields);

static const struct field token_stub_fields[] = {
    F_STR(struct acl_token_stub, accessor_id, "AccessorID", 0),
    F_STR(struct acl_token_stub, secret_id, "SecretID", 0),
    F_STR(struct acl_token_stub, description, "Description", 0),
    F_OBJLIST(struct acl_token_stub, policies, "Policies", F_OMITEMPTY, &token_policy_link_schema),
    F_OBJLIST(struct acl_token_stub, roles, "Roles", F_OMITEMPTY, &token_role_link_schema),
    F_PTRLIST(struct acl_token_stub, service_identities, "ServiceIdentities", F_OMITEMPTY,
              &acl_service_identity_schema),
    F_PTRLIST(struct acl_token_stub, node_identities, "NodeIdentities", F_OMITEMPTY,
              &acl_node_identity_schema),
    F_BOOL(struct acl_token_stub, local, "Local", 0),
    F_STR(struct acl_token_stub, auth_method, "AuthMethod", F_OMITEMPTY),
    F_TIME(struct acl_token_stub, expiration_time, "ExpirationTime", F_OMITEMPTY | F_NULLABLE),
    F_TIME(struct acl_token_stub, create_time, "CreateTime", 0),
    F_BYTES(struct acl_token_stub, hash, "Hash", 0),
    F_UINT(struct acl_token_stub, create_index, "CreateIndex", 0),
    F_UINT(struct acl_token_stub, modify_index, "ModifyIndex", 0),
    F_BOOL(struct acl_token_stub, legacy, "Legacy", F_OMITEMPTY),
    FIELDS_END,
};
const struct schema acl_token_stub_schema =
    SCHEMA("ACLTokenListStub", struct acl_token_stub, token_stub_fields);

static const struct field policy_fields[] = {
    F_STR(struct acl_policy_row, id, "ID", 0),
    F_STR(struct acl_policy_row, name, "Name", 0),
    F_STR(struct acl_policy_row, description, "Description", 0),
    F_STR(struct acl_policy_row, rules, "Rules", 0),
    F_INT(struct acl_policy_row, syntax, "Syntax", F_NO_JSON),
    F_STRLIST(struct acl_policy_row, datacenters, "Datacenters", F_OMITEMPTY),
    F_BYTES(struct acl_policy_row, hash, "Hash", 0),
    F_SPLICE(struct acl_policy_row, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema acl_policy_row_schema =
    SCHEMA("ACLPolicy", struct acl_policy_row, policy_fields);

static const struct field policy_stub_fields[] = {
    F_STR(struct acl_policy_stub, id, "ID", 0),
    F_STR(struct acl_policy_stub, name, "Name", 0),
    F_STR(struct acl_policy_stub, description, "Description", 0),
    F_STRLIST(struct acl_policy_stub, datacenters, "Datacenters", 0),
    F_BYTES(struct acl_policy_stub, hash, "Hash", 0),
    F_UINT(struct acl_policy_stub, create_index, "CreateIndex", 0),
    F_UINT(struct acl_policy_stub, modify_index, "ModifyIndex", 0),
    FIELDS_END,
};
const struct schema acl_policy_stub_schema =
    SCHEMA("ACLPolicyListStub", struct acl_policy_stub, policy_stub_fields);

static const struct field role_fields[] = {
    F_STR(struct acl_role, id, "ID", 0),
    F_STR(struct acl_role, name, "Name", 0),
    F_STR(struct acl_role, description, "Description", 0),
    F_OBJLIST(struct acl_role, policies, "Policies", F_OMITEMPTY, &role_policy_link_schema),
    F_PTRLIST(struct acl_role, service_identities, "ServiceIdentities", F_OMITEMPTY,
              &acl_service_identity_schema),
    F_PTRLIST(struct acl_role, node_identities, "NodeIdentities", F_OMITEMPTY,
              &acl_node_identity_schema),
    F_BYTES(struct acl_role, hash, "Hash", 0),
    F_SPLICE(struct acl_role, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema acl_role_schema = SCHEMA("ACLRole", struct acl_role, role_fields);

static const struct field binding_rule_fields[] = {
    F_STR(struct acl_binding_rule, id, "ID", 0),
    F_STR(struct acl_binding_rule, description, "Description", 0),
    F_STR(struct acl_binding_rule, auth_method, "AuthMethod", 0),
    F_STR(struct acl_binding_rule, selector, "Selector", 0),
    F_STR(struct acl_binding_rule, bind_type, "BindType", 0),
    F_STR(struct acl_binding_rule, bind_name, "BindName", 0),
    F_SPLICE(struct acl_binding_rule, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema acl_binding_rule_schema =
    SCHEMA("ACLBindingRule", struct acl_binding_rule, binding_rule_fields);

/* JSON has the longest life first, as text, because it is printed by a wrapper. */
static const struct field auth_method_fields[] = {
    F_DURATION(struct acl_auth_method, max_token_ttl, "MaxTokenTTL",
               F_OMITEMPTY | F_DUR_TEXT | F_NO_MSGPACK),
    F_STR(struct acl_auth_method, name, "Name", 0),
    F_STR(struct acl_auth_method, type, "Type", 0),
    F_STR(struct acl_auth_method, display_name, "DisplayName", F_OMITEMPTY),
    F_STR(struct acl_auth_method, description, "Description", F_OMITEMPTY),
    F_DURATION(struct acl_auth_method, max_token_ttl, "MaxTokenTTL", F_NO_JSON | F_NO_FILTER),
    F_STR(struct acl_auth_method, token_locality, "TokenLocality", F_OMITEMPTY),
    F_VALUE(struct acl_auth_method, config, "Config", 0),
    F_SPLICE(struct acl_auth_method, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema acl_auth_method_schema =
    SCHEMA("ACLAuthMethod", struct acl_auth_method, auth_method_fields);
const struct schema acl_auth_method_body_schema =
    SCHEMA("struct { MaxTokenTTL interface {}; *structs.Alias }", struct acl_auth_method, auth_method_fields);

static const struct field auth_method_stub_fields[] = {
    F_DURATION(struct acl_auth_method_stub, max_token_ttl, "MaxTokenTTL",
               F_OMITEMPTY | F_DUR_TEXT | F_NO_MSGPACK),
    F_STR(struct acl_auth_method_stub, name, "Name", 0),
    F_STR(struct acl_auth_method_stub, type, "Type", 0),
    F_STR(struct acl_auth_method_stub, display_name, "DisplayName", F_OMITEMPTY),
    F_STR(struct acl_auth_method_stub, description, "Description", F_OMITEMPTY),
    F_DURATION(struct acl_auth_method_stub, max_token_ttl, "MaxTokenTTL",
               F_NO_JSON | F_NO_FILTER),
    F_STR(struct acl_auth_method_stub, token_locality, "TokenLocality", F_OMITEMPTY),
    F_UINT(struct acl_auth_method_stub, create_index, "CreateIndex", 0),
    F_UINT(struct acl_auth_method_stub, modify_index, "ModifyIndex", 0),
    FIELDS_END,
};
const struct schema acl_auth_method_stub_schema =
    SCHEMA("ACLAuthMethodListStub", struct acl_auth_method_stub, auth_method_stub_fields);

static const struct field legacy_fields[] = {
    F_STR(struct acl_legacy, id, "ID", 0),
    F_STR(struct acl_legacy, name, "Name", 0),
    F_STR(struct acl_legacy, type, "Type", 0),
    F_STR(struct acl_legacy, rules, "Rules", 0),
    F_SPLICE(struct acl_legacy, raft, struct raft_index, &raft_index_schema),
    FIELDS_END,
};
const struct schema acl_legacy_schema = SCHEMA("ACL", struct acl_legacy, legacy_fields);

/* Structs without a name in the original: errors name only the field. */
static const struct field token_body_fields[] = {
    F_STR(struct acl_token_body, hash, "Hash", 0),
    F_SPLICE(struct acl_token_body, token, struct acl_token, &acl_token_schema),
    FIELDS_END,
};
const struct schema acl_token_body_schema = SCHEMA("struct { ExpirationTTL interface {}; Hash string; *structs.Alias }", struct acl_token_body, token_body_fields);

static const struct field policy_body_fields[] = {
    F_STR(struct acl_policy_body, hash, "Hash", 0),
    F_SPLICE(struct acl_policy_body, policy, struct acl_policy_row, &acl_policy_row_schema),
    FIELDS_END,
};
const struct schema acl_policy_body_schema =
    SCHEMA("struct { Hash string; *structs.Alias }", struct acl_policy_body, policy_body_fields);

static const struct field role_body_fields[] = {
    F_STR(struct acl_role_body, hash, "Hash", 0),
    F_SPLICE(struct acl_role_body, role, struct acl_role, &acl_role_schema),
    FIELDS_END,
};
const struct schema acl_role_body_schema = SCHEMA("struct { Hash string; *structs.Alias }", struct acl_role_body, role_body_fields);
/* clang-format on */

bool acl_id_is_reserved(struct str id)
{
    return str_has_prefix(id, ACL_RESERVED_PREFIX);
}

/* --- hashes ---------------------------------------------------------------------------------- */

static void hash_links(struct blake2b *h, struct objlist links)
{
    const struct acl_link *v = links.v;
    for (size_t i = 0; i < links.n; i++) {
        blake2b_add(h, v[i].id);
    }
}

static void hash_identities(struct blake2b *h, struct ptrlist services, struct ptrlist nodes)
{
    for (size_t i = 0; i < services.n; i++) {
        const struct acl_service_identity *s = services.v[i];
        blake2b_add(h, s->service_name);
        for (size_t d = 0; d < s->datacenters.n; d++) {
            blake2b_add(h, s->datacenters.v[d]);
        }
    }
    for (size_t i = 0; i < nodes.n; i++) {
        const struct acl_node_identity *n = nodes.v[i];
        blake2b_add(h, n->node_name);
        blake2b_add(h, n->datacenter);
    }
}

static struct str hash_finish(struct arena *a, struct blake2b *h)
{
    uint8_t digest[BLAKE2B_SIZE];
    blake2b_finish(h, digest);
    return arena_str(a, str_make(digest, sizeof(digest)));
}

void acl_token_hash_set(struct arena *a, struct acl_token *token)
{
    struct blake2b h;
    blake2b_init(&h);
    blake2b_add(&h, token->description);
    blake2b_add(&h, token->type);
    blake2b_add(&h, token->rules);
    blake2b_add(&h, token->local ? STR("local") : STR("global"));
    hash_links(&h, token->policies);
    hash_links(&h, token->roles);
    hash_identities(&h, token->service_identities, token->node_identities);
    token->hash = hash_finish(a, &h);
}

void acl_policy_hash_set(struct arena *a, struct acl_policy_row *policy)
{
    struct blake2b h;
    blake2b_init(&h);
    blake2b_add(&h, policy->name);
    blake2b_add(&h, policy->description);
    blake2b_add(&h, policy->rules);
    for (size_t i = 0; i < policy->datacenters.n; i++) {
        blake2b_add(&h, policy->datacenters.v[i]);
    }
    policy->hash = hash_finish(a, &h);
}

void acl_role_hash_set(struct arena *a, struct acl_role *role)
{
    struct blake2b h;
    blake2b_init(&h);
    blake2b_add(&h, role->name);
    blake2b_add(&h, role->description);
    hash_links(&h, role->policies);
    hash_identities(&h, role->service_identities, role->node_identities);
    role->hash = hash_finish(a, &h);
}

/* --- other forms ----------------------------------------------------------------------------- */

bool acl_token_is_modern(const struct acl_token *token)
{
    return token->policies.n > 0 || token->service_identities.n > 0 ||
           token->node_identities.n > 0 || token->roles.n > 0 || token->type.n == 0 ||
           token->expiration_time != TIME_ZERO || token->expiration_ttl != 0 ||
           token->auth_method.n > 0;
}

struct acl_token_stub acl_token_stub_make(const struct acl_token *token)
{
    return (struct acl_token_stub){
        .accessor_id = token->accessor_id,
        .secret_id = token->secret_id,
        .description = token->description,
        .policies = token->policies,
        .roles = token->roles,
        .service_identities = token->service_identities,
        .node_identities = token->node_identities,
        .local = token->local,
        .auth_method = token->auth_method,
        .expiration_time = token->expiration_time,
        .create_time = token->create_time,
        .hash = token->hash,
        .create_index = token->raft.create_index,
        .modify_index = token->raft.modify_index,
        .legacy = token->rules.n > 0,
    };
}

struct acl_policy_stub acl_policy_stub_make(const struct acl_policy_row *policy)
{
    return (struct acl_policy_stub){
        .id = policy->id,
        .name = policy->name,
        .description = policy->description,
        .datacenters = policy->datacenters,
        .hash = policy->hash,
        .create_index = policy->raft.create_index,
        .modify_index = policy->raft.modify_index,
    };
}

struct acl_auth_method_stub acl_auth_method_stub_make(const struct acl_auth_method *method)
{
    return (struct acl_auth_method_stub){
        .name = method->name,
        .type = method->type,
        .display_name = method->display_name,
        .description = method->description,
        .max_token_ttl = method->max_token_ttl,
        .token_locality = method->token_locality,
        .create_index = method->raft.create_index,
        .modify_index = method->raft.modify_index,
    };
}

struct acl_token acl_legacy_to_token(struct arena *a, const struct acl_legacy *legacy)
{
    struct acl_token token = {
        .secret_id = legacy->id,
        .description = legacy->name,
        .type = legacy->type,
        .rules = legacy->rules,
        .expiration_time = TIME_ZERO,
        .create_time = TIME_ZERO,
        .raft = legacy->raft,
    };
    acl_token_hash_set(a, &token);
    return token;
}

struct acl_legacy acl_token_to_legacy(const struct acl_token *token)
{
    return (struct acl_legacy){
        .id = token->secret_id,
        .name = token->description,
        .type = token->type,
        .rules = token->rules,
        .raft = token->raft,
    };
}

/* --- policies that nobody wrote -------------------------------------------------------------- */

/* These texts are Consul's to the byte: data centers compare their hashes, and a policy of all
 * power whose rules are others is refused. */
static const char management_rules[] = "\n"
                                       "acl = \"write\"\n"
                                       "agent_prefix \"\" {\n"
                                       "\tpolicy = \"write\"\n"
                                       "}\n"
                                       "event_prefix \"\" {\n"
                                       "\tpolicy = \"write\"\n"
                                       "}\n"
                                       "key_prefix \"\" {\n"
                                       "\tpolicy = \"write\"\n"
                                       "}\n"
                                       "keyring = \"write\"\n"
                                       "node_prefix \"\" {\n"
                                       "\tpolicy = \"write\"\n"
                                       "}\n"
                                       "operator = \"write\"\n"
                                       "query_prefix \"\" {\n"
                                       "\tpolicy = \"write\"\n"
                                       "}\n"
                                       "service_prefix \"\" {\n"
                                       "\tpolicy = \"write\"\n"
                                       "\tintentions = \"write\"\n"
                                       "}\n"
                                       "session_prefix \"\" {\n"
                                       "\tpolicy = \"write\"\n"
                                       "}";
const struct str acl_policy_global_management_rules = {management_rules,
                                                       sizeof(management_rules) - 1};

#define SERVICE_RULES                       \
    "\nservice \"%.*s\" {\n"                \
    "\tpolicy = \"write\"\n"                \
    "}\nservice \"%.*s-sidecar-proxy\" {\n" \
    "\tpolicy = \"write\"\n"                \
    "}\nservice_prefix \"\" {\n"            \
    "\tpolicy = \"read\"\n"                 \
    "}\nnode_prefix \"\" {\n"               \
    "\tpolicy = \"read\"\n"                 \
    "}"
#define NODE_RULES               \
    "\nnode \"%.*s\" {\n"        \
    "\tpolicy = \"write\"\n"     \
    "}\nservice_prefix \"\" {\n" \
    "\tpolicy = \"read\"\n"      \
    "}"

/* The id of such a policy is its rules in hexadecimal and the start value of a hash nothing was
 * added to (FNV-1a of 128 bits). */
static struct str synthetic_id(struct arena *a, struct str rules)
{
    struct buf id = {0};
    hex_encode(&id, rules);
    buf_str(&id, STR("6c62272e07bb014262b821756295c58d"));
    struct str s = arena_str(a, buf_view(&id));
    buf_deinit(&id);
    return s;
}

static struct acl_policy_row *synthetic_policy(struct arena *a, struct str rules,
                                               struct strlist datacenters)
{
    struct acl_policy_row *policy = ARENA_NEW(a, struct acl_policy_row);
    policy->id = synthetic_id(a, rules);
    policy->name = arena_printf(a, "synthetic-policy-%.*s", STRF(policy->id));
    policy->description = STR("synthetic policy");
    policy->rules = rules;
    policy->datacenters = datacenters;
    acl_policy_hash_set(a, policy);
    return policy;
}

struct acl_policy_row *acl_service_identity_policy(struct arena *a,
                                                   const struct acl_service_identity *identity)
{
    struct str name = identity->service_name;
    return synthetic_policy(a, arena_printf(a, SERVICE_RULES, STRF(name), STRF(name)),
                            identity->datacenters);
}

struct acl_policy_row *acl_node_identity_policy(struct arena *a,
                                                const struct acl_node_identity *identity)
{
    struct str *datacenter = ARENA_NEW(a, struct str);
    *datacenter = identity->datacenter;
    return synthetic_policy(a, arena_printf(a, NODE_RULES, STRF(identity->node_name)),
                            (struct strlist){datacenter, 1});
}

struct acl_policy_row *acl_token_embedded_policy(struct arena *a, const struct acl_token *token)
{
    bool is_management = str_eq(token->type, ACL_TOKEN_TYPE_MANAGEMENT);
    if (!is_management && token->rules.n == 0 && !str_eq(token->type, ACL_TOKEN_TYPE_CLIENT)) {
        return NULL;
    }
    struct acl_policy_row *policy = ARENA_NEW(a, struct acl_policy_row);
    policy->rules = is_management ? acl_policy_global_management_rules : token->rules;
    policy->syntax = is_management ? 0 : 1;
    policy->id = synthetic_id(a, policy->rules);
    policy->name = is_management ? STR("legacy-management")
                                 : arena_printf(a, "legacy-policy-%.*s", STRF(policy->id));
    acl_policy_hash_set(a, policy);
    return policy;
}
