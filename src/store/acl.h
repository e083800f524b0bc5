/* acl.h - tokens, policies, roles, binding rules and auth methods in the store.
 *
 * Rows are what schema/acl.h says. Links of tokens and roles are kept by id; functions that take an
 * arena answer with the links as they are now: with present names, without what is gone. They copy
 * only what has changed and answer with the row itself otherwise.
 *
 * Lookups by id want a UUID in text and fail with -ERR_INVALID and Consul's sentence on anything
 * else; what is not there is NULL. Reads add what they looked at to `ws` (may be NULL) and tell the
 * table's index. Writers take objects decoded into an arena, complete them (indexes, names of
 * links, hash) and insert a copy. */
#pragma once
#include "schema/acl.h"
#include "store/store.h"

struct err;

/* --- what resolving a token needs: rows, without watches -------------------------------------- */

const struct acl_token *acl_token_by_secret(const struct store_view *v, struct str secret);
/* NULL also for what is no UUID. */
const struct acl_token *acl_token_by_accessor(const struct store_view *v, struct str accessor);
const struct acl_policy_row *acl_policy_by_id(const struct store_view *v, struct str id);
const struct acl_policy_row *acl_policy_by_name(const struct store_view *v, struct str name);
const struct acl_role *acl_role_by_id(const struct store_view *v, struct str id);
const struct acl_role *acl_role_by_name(const struct store_view *v, struct str name);
const struct acl_auth_method *acl_auth_method_by_name(const struct store_view *v, struct str name);
const struct acl_binding_rule *acl_binding_rule_by_id(const struct store_view *v, struct str id);

/* With the links as they are now. */
const struct acl_token *acl_token_current(const struct store_view *v, struct arena *a,
                                          const struct acl_token *token);
const struct acl_role *acl_role_current(const struct store_view *v, struct arena *a,
                                        const struct acl_role *role);

/* --- tokens ---------------------------------------------------------------------------------- */

enum acl_token_key { ACL_TOKEN_SECRET, ACL_TOKEN_ACCESSOR };

NODISCARD int acl_token_get(const struct store_view *v, struct watch_set *ws, struct arena *a,
                            enum acl_token_key key, struct str id, uint64_t *ret_index,
                            const struct acl_token **ret_token, struct err *err);
/* Those that are there, in the order of `accessors`. */
NODISCARD int acl_token_get_many(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                 struct strlist accessors, uint64_t *ret_index,
                                 struct ptrlist *ret_tokens, struct err *err);

struct acl_token_filter {
    bool local, global;                   /* both or none: all */
    struct str policy, role, auth_method; /* ids and a name; one of them at most */
};
/* By secret. */
NODISCARD int acl_token_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                             const struct acl_token_filter *filter, uint64_t *ret_index,
                             struct ptrlist *ret_tokens, struct err *err);
/* At most `max` rows of tokens that expired before now_ns, the oldest first; of legacy tokens
 * without an accessor. */
void acl_token_list_expired(const struct store_view *v, struct arena *a, bool local, int64_t now_ns,
                            size_t max, struct ptrlist *ret_tokens);
void acl_token_list_upgradeable(const struct store_view *v, struct arena *a, size_t max,
                                struct ptrlist *ret_tokens);
/* When the next one expires; TIME_ZERO: none does. */
int64_t acl_token_expiration_min(const struct store_view *v, bool local);

enum acl_token_set_flag {
    ACL_TOKEN_CAS = 1u << 0, /* only if nobody changed it since its modify index */
    ACL_TOKEN_ALLOW_MISSING_LINKS = 1u << 1,
    ACL_TOKEN_PROHIBIT_UNPRIVILEGED = 1u << 2, /* refuse one that may do nothing */
    ACL_TOKEN_LEGACY = 1u << 3,                /* from the old API */
    ACL_TOKEN_FROM_REPLICATION = 1u << 4,
};
NODISCARD int acl_token_set(struct store_txn *tx, struct arena *a, struct acl_token *token,
                            unsigned flags, struct err *err);
NODISCARD int acl_token_delete(struct store_txn *tx, enum acl_token_key key, struct str id,
                               struct err *err);
NODISCARD int acl_token_restore(struct store_txn *tx, const struct acl_token *token,
                                struct err *err);

/* Insert the first token. It can be done once, and again with the index of the last time. */
NODISCARD int acl_bootstrap(struct store_txn *tx, struct arena *a, struct acl_token *token,
                            uint64_t reset_index, bool legacy, struct err *err);
void acl_bootstrap_restore(struct store_txn *tx, uint64_t index);
/* *ret_reset_index: when it was done, if it was. */
bool acl_can_bootstrap(const struct store_view *v, uint64_t *ret_reset_index);

/* --- policies -------------------------------------------------------------------------------- */

NODISCARD int acl_policy_get(const struct store_view *v, struct watch_set *ws, struct str id,
                             uint64_t *ret_index, const struct acl_policy_row **ret_policy,
                             struct err *err);
uint64_t acl_policy_get_by_name(const struct store_view *v, struct watch_set *ws, struct str name,
                                const struct acl_policy_row **ret_policy);
NODISCARD int acl_policy_get_many(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                  struct strlist ids, uint64_t *ret_index,
                                  struct ptrlist *ret_policies, struct err *err);
/* By name. */
uint64_t acl_policy_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                         struct ptrlist *ret_policies);
NODISCARD int acl_policy_set(struct store_txn *tx, struct acl_policy_row *policy, struct err *err);
NODISCARD int acl_policy_delete(struct store_txn *tx, struct str id, struct err *err);
NODISCARD int acl_policy_restore(struct store_txn *tx, const struct acl_policy_row *policy,
                                 struct err *err);

/* --- roles ----------------------------------------------------------------------------------- */

NODISCARD int acl_role_get(const struct store_view *v, struct watch_set *ws, struct arena *a,
                           struct str id, uint64_t *ret_index, const struct acl_role **ret_role,
                           struct err *err);
uint64_t acl_role_get_by_name(const struct store_view *v, struct watch_set *ws, struct arena *a,
                              struct str name, const struct acl_role **ret_role);
NODISCARD int acl_role_get_many(const struct store_view *v, struct watch_set *ws, struct arena *a,
                                struct strlist ids, uint64_t *ret_index, struct ptrlist *ret_roles,
                                struct err *err);
/* By name; of those that link to a policy by its id: "" for all. */
NODISCARD int acl_role_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                            struct str policy, uint64_t *ret_index, struct ptrlist *ret_roles,
                            struct err *err);
NODISCARD int acl_role_set(struct store_txn *tx, struct acl_role *role, bool allow_missing_links,
                           struct err *err);
NODISCARD int acl_role_delete(struct store_txn *tx, struct str id, struct err *err);
NODISCARD int acl_role_restore(struct store_txn *tx, const struct acl_role *role, struct err *err);

/* --- binding rules and auth methods ---------------------------------------------------------- */

NODISCARD int acl_binding_rule_get(const struct store_view *v, struct watch_set *ws, struct str id,
                                   uint64_t *ret_index, const struct acl_binding_rule **ret_rule,
                                   struct err *err);
/* By id; of one auth method: "" for all. */
uint64_t acl_binding_rule_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct str auth_method, struct ptrlist *ret_rules);
NODISCARD int acl_binding_rule_set(struct store_txn *tx, struct acl_binding_rule *rule,
                                   struct err *err);
NODISCARD int acl_binding_rule_delete(struct store_txn *tx, struct str id, struct err *err);
NODISCARD int acl_binding_rule_restore(struct store_txn *tx, const struct acl_binding_rule *rule,
                                       struct err *err);

uint64_t acl_auth_method_get(const struct store_view *v, struct watch_set *ws, struct str name,
                             const struct acl_auth_method **ret_method);
/* By name. */
uint64_t acl_auth_method_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                              struct ptrlist *ret_methods);
NODISCARD int acl_auth_method_set(struct store_txn *tx, struct acl_auth_method *method,
                                  struct err *err);
/* With its binding rules, and the tokens of its locality that were got by it. */
void acl_auth_method_delete(struct store_txn *tx, struct str name);
NODISCARD int acl_auth_method_restore(struct store_txn *tx, const struct acl_auth_method *method,
                                      struct err *err);
