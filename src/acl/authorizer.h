/* authorizer.h - the decision: may who holds these policies do this?
 *
 *     struct acl_authorizer *who = acl_authorizer_new(policies, count, ACL_DEFAULT_DENY);
 *     if (!acl_allows(who, ACL_KEY_WRITE, STR("app/config"))) ... "Permission denied" ...
 *     acl_authorizer_free(who);
 *
 * Of one resource the rule for exactly that name decides, else the one for the longest beginning of
 * it, else the default policy. Several policies are merged first: for the same name the strongest
 * level holds (policy.h).
 *
 * An authorizer is one heap block, immutable: any thread may ask it. A decision allocates nothing
 * and costs a binary search over the names of that resource; those about all names ("read every
 * service") are made when it is built. */
#pragma once
#include "acl/policy.h"

struct acl_authorizer;

enum acl_default {
    ACL_DEFAULT_DENY,
    ACL_DEFAULT_ALLOW, /* everything but ACLs themselves and snapshots */
};

/* X(right, the resource and the access as /v1/internal/acl/authorize names them) */
#define ACL_RIGHTS(X)                          \
    X(ACL_READ, "acl", "read")                 \
    X(ACL_WRITE, "acl", "write")               \
    X(AGENT_READ, "agent", "read")             \
    X(AGENT_WRITE, "agent", "write")           \
    X(EVENT_READ, "event", "read")             \
    X(EVENT_WRITE, "event", "write")           \
    X(INTENTION_READ, "intention", "read")     \
    X(INTENTION_WRITE, "intention", "write")   \
    X(KEY_READ, "key", "read")                 \
    X(KEY_LIST, "key", "list")                 \
    X(KEY_WRITE, "key", "write")               \
    X(KEY_WRITE_PREFIX, "key", "write-prefix") \
    X(KEYRING_READ, "keyring", "read")         \
    X(KEYRING_WRITE, "keyring", "write")       \
    X(NODE_READ, "node", "read")               \
    X(NODE_WRITE, "node", "write")             \
    X(OPERATOR_READ, "operator", "read")       \
    X(OPERATOR_WRITE, "operator", "write")     \
    X(QUERY_READ, "query", "read")             \
    X(QUERY_WRITE, "query", "write")           \
    X(SERVICE_READ, "service", "read")         \
    X(SERVICE_WRITE, "service", "write")       \
    X(SESSION_READ, "session", "read")         \
    X(SESSION_WRITE, "session", "write")

enum acl_right {
#define X(right, resource, access) ACL_##right,
    ACL_RIGHTS(X)
#undef X
    /* and those that cannot be asked for by name */
    ACL_NODE_READ_ALL,
    ACL_SERVICE_READ_ALL,
    ACL_SNAPSHOT,
    ACL_INTENTION_DEFAULT, /* may connect where no intention says anything */
    ACL_RIGHT_COUNT,
};

/* Not of heap blocks of their own: allow or deny everything, as the default does. */
extern const struct acl_authorizer acl_allow_all, acl_deny_all;

struct acl_authorizer *acl_authorizer_new(const struct acl_policy *policies, size_t count,
                                          enum acl_default fallback);
struct acl_authorizer *acl_authorizer_free(struct acl_authorizer *who);
/* name: ignored by the rights that have none. An intention's may be "*": read on any service's
 * intentions, write on those of all. */
bool acl_allows(const struct acl_authorizer *who, enum acl_right right, struct str name);
size_t acl_authorizer_size(const struct acl_authorizer *who);

/* "key", "write-prefix"; the access in any case. */
NODISCARD int acl_right_parse(struct str resource, struct str access, enum acl_right *ret_right,
                              struct err *err);
