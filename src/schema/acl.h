/* acl.h - tokens, policies, roles, binding rules and auth methods: who may do what, as the API, the
 * log and snapshots have it (Consul's structs of the same names).
 *
 * A token is known by two UUIDs: its secret, which clients send, and its accessor, by which people
 * speak of it. It links to policies and roles by id; the names beside the ids are what they were
 * called when the link was written, and readers get the present ones (store/acl.h). A legacy token
 * (before 1.4) has rules of its own and a type, and maybe no accessor yet.
 *
 * acl_x_hash_set() computes what tells contents apart for replication: BLAKE2b of what the user
 * set. Requests and replies are in acl_request.h. */
#pragma once
#include "base/clock.h"
#include "schema/catalog.h"

#define ACL_POLICY_GLOBAL_MANAGEMENT_ID STR("00000000-0000-0000-0000-000000000001")
#define ACL_POLICY_GLOBAL_MANAGEMENT_NAME STR("global-management")
#define ACL_TOKEN_ANONYMOUS_ID STR("00000000-0000-0000-0000-000000000002")
#define ACL_TOKEN_ANONYMOUS_SECRET STR("anonymous")
/* Ids that begin so are nobody's to choose. */
#define ACL_RESERVED_PREFIX STR("00000000-0000-0000-0000-0000000000")
bool acl_id_is_reserved(struct str id);

/* What the policy of unlimited power says; its hash is compared between data centers. */
extern const struct str acl_policy_global_management_rules;

struct acl_link { /* ACLTokenPolicyLink, ACLTokenRoleLink, ACLRolePolicyLink */
    struct str id;
    struct str name;
};

struct acl_service_identity { /* ACLServiceIdentity: all that an instance of a service needs */
    struct str service_name;
    struct strlist datacenters; /* where it holds; none: everywhere */
};

struct acl_node_identity { /* ACLNodeIdentity: all that an agent needs */
    struct str node_name;
    struct str datacenter;
};

#define ACL_TOKEN_TYPE_CLIENT STR("client")
#define ACL_TOKEN_TYPE_MANAGEMENT STR("management")

struct acl_token { /* ACLToken */
    struct str accessor_id;
    struct str secret_id;
    struct str description;
    struct objlist policies;           /* struct acl_link */
    struct objlist roles;              /* struct acl_link */
    struct ptrlist service_identities; /* struct acl_service_identity */
    struct ptrlist node_identities;    /* struct acl_node_identity */
    struct str type;                   /* of legacy tokens: client, management */
    struct str rules;                  /* of legacy tokens */
    bool local;                        /* not replicated */
    struct str auth_method;            /* by which it was got; "" */
    int64_t expiration_time;           /* TIME_ZERO: none */
    int64_t expiration_ttl;            /* ns; only on the way in */
    int64_t create_time;
    struct str hash;
    struct raft_index raft;
};

struct acl_token_stub { /* ACLTokenListStub: a token in a list */
    struct str accessor_id;
    struct str secret_id;
    struct str description;
    struct objlist policies, roles;
    struct ptrlist service_identities, node_identities;
    bool local;
    struct str auth_method;
    int64_t expiration_time;
    int64_t create_time;
    struct str hash;
    uint64_t create_index, modify_index;
    bool legacy;
};

struct acl_policy_row { /* ACLPolicy: rules in text; what is made of them is acl/policy.h's */
    struct str id;
    struct str name;
    struct str description;
    struct str rules;
    int64_t syntax; /* 0, or 1: the legacy one (enum acl_syntax of acl/policy.h) */
    struct strlist datacenters;
    struct str hash;
    struct raft_index raft;
};

struct acl_policy_stub { /* ACLPolicyListStub */
    struct str id;
    struct str name;
    struct str description;
    struct strlist datacenters;
    struct str hash;
    uint64_t create_index, modify_index;
};

struct acl_role { /* ACLRole */
    struct str id;
    struct str name;
    struct str description;
    struct objlist policies;           /* struct acl_link */
    struct ptrlist service_identities; /* struct acl_service_identity */
    struct ptrlist node_identities;    /* struct acl_node_identity */
    struct str hash;
    struct raft_index raft;
};

#define ACL_BIND_TYPE_SERVICE STR("service")
#define ACL_BIND_TYPE_ROLE STR("role")
#define ACL_BIND_TYPE_NODE STR("node")

struct acl_binding_rule { /* ACLBindingRule: what somebody gets who logs in */
    struct str id;
    struct str description;
    struct str auth_method;
    struct str selector;  /* a filter over what the method says of them; "": all */
    struct str bind_type; /* ACL_BIND_TYPE_x */
    struct str bind_name; /* HIL over the same */
    struct raft_index raft;
};

#define ACL_TOKEN_LOCALITY_LOCAL STR("local")
#define ACL_TOKEN_LOCALITY_GLOBAL STR("global")

struct acl_auth_method { /* ACLAuthMethod */
    struct str name;
    struct str type; /* kubernetes, jwt */
    struct str display_name;
    struct str description;
    int64_t max_token_ttl;     /* ns; 0: none */
    struct str token_locality; /* "": local */
    const struct value *config;
    struct raft_index raft;
};

struct acl_auth_method_stub { /* ACLAuthMethodListStub */
    struct str name;
    struct str type;
    struct str display_name;
    struct str description;
    int64_t max_token_ttl;
    struct str token_locality;
    uint64_t create_index, modify_index;
};

struct acl_legacy { /* ACL: a token of the old API */
    struct str id;  /* the secret */
    struct str name;
    struct str type;
    struct str rules;
    struct raft_index raft;
};

extern const struct schema acl_service_identity_schema, acl_node_identity_schema, acl_token_schema,
    acl_token_stub_schema, acl_policy_row_schema, acl_policy_stub_schema, acl_role_schema,
    acl_binding_rule_schema, acl_auth_method_schema, acl_auth_method_stub_schema, acl_legacy_schema;

/* The hash of the content; its 32 bytes are the arena's. */
void acl_token_hash_set(struct arena *a, struct acl_token *token);
void acl_policy_hash_set(struct arena *a, struct acl_policy_row *policy);
void acl_role_hash_set(struct arena *a, struct acl_role *role);

/* now_ns since 1970. */
static inline bool acl_token_is_expired(const struct acl_token *token, int64_t now_ns)
{
    return token->expiration_time != TIME_ZERO && token->expiration_time < now_ns;
}
/* It has something that the old API knows nothing of. */
bool acl_token_is_modern(const struct acl_token *token);

/* Stubs point into what they are made of. */
struct acl_token_stub acl_token_stub_make(const struct acl_token *token);
struct acl_policy_stub acl_policy_stub_make(const struct acl_policy_row *policy);
struct acl_auth_method_stub acl_auth_method_stub_make(const struct acl_auth_method *method);

/* The two forms of a legacy token; the hash of the first is the arena's. */
struct acl_token acl_legacy_to_token(struct arena *a, const struct acl_legacy *legacy);
struct acl_legacy acl_token_to_legacy(const struct acl_token *token);

/* The policies that an identity, and a legacy token, stand for. They are made in the arena, with
 * their hashes. The last is NULL for a token that has no rules of its own. */
struct acl_policy_row *acl_service_identity_policy(struct arena *a,
                                                   const struct acl_service_identity *identity);
struct acl_policy_row *acl_node_identity_policy(struct arena *a,
                                                const struct acl_node_identity *identity);
struct acl_policy_row *acl_token_embedded_policy(struct arena *a, const struct acl_token *token);

/* As clients send them: what they say of the hash is read over. */
struct acl_token_body {
    struct str hash;
    struct acl_token token;
};
struct acl_policy_body {
    struct str hash;
    struct acl_policy_row policy;
};
struct acl_role_body {
    struct str hash;
    struct acl_role role;
};
extern const struct schema acl_token_body_schema, acl_policy_body_schema, acl_role_body_schema,
    acl_auth_method_body_schema;
