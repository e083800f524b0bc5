/* acl_data.h - what the files server/acl_*.c have in common.
 *
 * Everything runs on the worker of a call, or on the main loop for the leader's duties. The
 * sentences of errors are Consul's. */
#pragma once
#include "schema/acl_request.h"
#include "server/acl.h"

/* Of tokens that expire: how far away that may be. */
#define ACL_TOKEN_EXPIRATION_MIN_NS (60 * INT64_C(1000000000))
#define ACL_TOKEN_EXPIRATION_MAX_NS (24 * 3600 * INT64_C(1000000000))

/* ACLs are switched on. */
NODISCARD int acl_check_enabled(const struct rpc_ctx *ctx);
/* They are, and the caller may do that: ACL_ACL_READ, ACL_ACL_WRITE. */
NODISCARD int acl_permit(const struct rpc_ctx *ctx, enum acl_right right);

bool acl_is_primary(const struct rpc_ctx *ctx);
/* rpc_method.is_primary of what only the primary data center may change: this is another one. */
bool acl_is_elsewhere(const struct rpc_ctx *ctx, void *args);
/* This data center has tokens of its own. */
bool acl_has_local_tokens(const struct rpc_ctx *ctx);

/* A UUID in the arena that is nobody's yet, of any of the tables. */
struct str acl_new_id(struct rpc_ctx *ctx);
bool acl_name_is_valid(struct str name, size_t size_max);
bool acl_identity_name_is_valid(struct str name);
/* Links get ids for names, lose the names, and each id is there once. must_exist: of policies by
 * id, too. */
NODISCARD int acl_link_policies(struct rpc_ctx *ctx, struct objlist *links, bool must_exist);
NODISCARD int acl_link_roles(struct rpc_ctx *ctx, struct objlist *links);
/* `of`: "token", "role". Sorted by name, each once. is_local: of a local token. */
NODISCARD int acl_check_identities_of(struct rpc_ctx *ctx, const char *of, bool is_local,
                                      struct ptrlist *services, struct ptrlist *nodes);

/* The log entry of one object in a list of its own. */
void acl_entry_put(struct buf *entry, uint8_t type, const struct schema *schema,
                   const void *request);

/* Whether a token may be written: checked, completed, and encoded. acl_token.c */
NODISCARD int acl_token_set_prepare(struct rpc_ctx *ctx, struct acl_token_set_request *args,
                                    bool is_login, struct buf *entry);
/* What became of it, as it is now. */
NODISCARD int acl_token_set_applied(struct rpc_ctx *ctx, const struct acl_token_set_request *args,
                                    struct acl_token *reply);

/* ACLs are on, and this data center has tokens that somebody could log in for. acl_binding_rule.c
 */
NODISCARD int acl_check_auth_methods(const struct rpc_ctx *ctx);
bool acl_bound_name_is_valid(struct str bind_type, struct str name);
