/* acl_log.h - the log's entries of ACLs as calls, for the duties of a leader that has nobody's
 * token.
 *
 * Not among Consul's methods: nobody can ask for them from outside. Their arguments are the
 * entries. */
#pragma once
#include "server/rpc.h"

/* answers the token */
extern const struct rpc_method acl_log_bootstrap;
/* answer nothing */
extern const struct rpc_method acl_log_token_set, acl_log_token_delete, acl_log_policy_set,
    acl_log_policy_delete, acl_log_role_set, acl_log_role_delete, acl_log_auth_method_set;
