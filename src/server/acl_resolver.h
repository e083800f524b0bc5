/* acl_resolver.h - from a token to what its holder may do.
 *
 *     call->wait.done = my_done;
 *     int r = acl_resolve(worker->acl, secret, &call->wait, &who, &err);
 *     r == 0: who is there (NULL: ACLs are off); acl_who_unref(who) when done with it
 *     r == ACL_RESOLVE_WAITS: my_done(&call->wait) will be called, or was called just now
 *     r < 0: err says why: "ACL not found" and the like
 *
 * Where the tokens are in this server's own tables (the primary data center, or one that replicates
 * tokens) the answer is there at once, and remembered until one of the tables changes. Elsewhere
 * (client agents, servers of other data centers) it is asked for by ACL.TokenRead, .RoleResolve and
 * .PolicyResolve, once for all who wait for the same token, and remembered for the TTLs of the
 * configuration; acl.down_policy says what holds when nobody answers. What several tokens may do
 * alike is compiled once. All of it is bounded, the least recently used goes first.
 *
 * Each worker has one of its own, used on its thread only: nothing is locked or shared. */
#pragma once
#include "acl/authorizer.h"
#include "base/err.h"
#include "base/list.h"
#include "server/acl_settings.h"

struct acl_resolver;
struct worker;

#define ACL_RESOLVE_WAITS 1

/* Who holds a token. Counted, on the worker's thread. */
struct acl_who {
    const struct acl_authorizer *rights;
    struct str accessor_id; /* for logs; "" when it is not known */
    uint32_t refs;
    struct acl_compiled *compiled; /* the resolver's */
};

struct acl_wait {
    void (*done)(struct acl_wait *wait);
    struct acl_who *who;   /* in done(): as acl_resolve() gives it; a reference */
    const struct err *err; /* in done(), valid until it returns; NULL: it went well */
    struct list node;
};

struct acl_resolver *acl_resolver_new(struct worker *w);
struct acl_resolver *acl_resolver_free(struct acl_resolver *r); /* nobody waits any more */

/* secret "" is the anonymous token. wait NULL: whoever would have to wait is answered as if no
 * server could be reached. */
NODISCARD int acl_resolve(struct acl_resolver *r, struct str secret, struct acl_wait *wait,
                          struct acl_who **ret_who, struct err *err);
/* Not waiting any more; done() is not called. */
void acl_wait_cancel(struct acl_wait *wait);
static inline struct acl_who *acl_who_ref(struct acl_who *who)
{
    who->refs++;
    return who;
}
struct acl_who *acl_who_unref(struct acl_who *who); /* NULL is fine; returns NULL */

/* ACLs are on, as far as this agent knows: a client's servers may have told that they are off. */
bool acl_is_on(const struct acl_resolver *r);
/* One of the agent's own tokens, valid for this turn; "" when there is none. */
struct str acl_secret(struct acl_resolver *r, enum acl_secret which);
