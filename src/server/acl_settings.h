/* acl_settings.h - the agent's settings for ACLs, and the tokens it has itself. Both are part of
 * the delegate. */
#pragma once
#include "acl/authorizer.h"
#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>

/* What holds while the servers that know the tokens cannot be reached. */
enum acl_down {
    ACL_DOWN_EXTEND_CACHE, /* what was known, however old; nothing is allowed to others */
    ACL_DOWN_ASYNC_CACHE,  /* the same, and nobody waits for what is but old */
    ACL_DOWN_ALLOW,
    ACL_DOWN_DENY,
};

struct acl_settings {
    bool enabled;
    enum acl_default fallback; /* acl.default_policy */
    enum acl_down down;
    bool replicates_tokens; /* of a server in a secondary data center */
    bool has_key_list;      /* acl.enable_key_list_policy: listing keys needs "list" */
    uint64_t token_ttl_ms, policy_ttl_ms, role_ttl_ms, disabled_ttl_ms;
};

/* Of acl.default_policy and acl.down_policy. */
NODISCARD int acl_default_parse(struct str text, enum acl_default *ret_fallback, struct err *err);
NODISCARD int acl_down_parse(struct str text, enum acl_down *ret_down, struct err *err);

/* --- the agent's own tokens --------------------------------------------------------------------
 */

enum acl_secret {
    ACL_SECRET_DEFAULT,
    ACL_SECRET_AGENT,
    ACL_SECRET_AGENT_MASTER,
    ACL_SECRET_REPLICATION,
    ACL_SECRET_COUNT,
};

/* Set on the main loop; every worker reads a copy of its own (acl_secret())
 * and makes another only when the generation has moved, so that nobody waits for a lock. */
struct acl_secrets {
    _Atomic uint64_t generation;
    pthread_mutex_t lock;
    struct str of[ACL_SECRET_COUNT]; /* own */
};

void acl_secrets_init(struct acl_secrets *s);
void acl_secrets_deinit(struct acl_secrets *s);
/* Seen by every request that begins after it. */
void acl_secrets_set(struct acl_secrets *s, enum acl_secret which, struct str secret);
