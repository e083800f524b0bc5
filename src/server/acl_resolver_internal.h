/* acl_resolver_internal.h - the inside of a resolver, for acl_resolver.c and acl_remote.c, and
 * acl_legacy_policy.c, which tells the policies. */
#pragma once
#include "base/map.h"
#include "base/vec.h"
#include "schema/acl.h"
#include "server/acl_resolver.h"

struct store_view;

/* What is remembered under a key, the least recently used first. */
struct acl_cache {
    struct map map;
    struct list lru;
};

/* A set of policies and what they come to; of several tokens, maybe. */
struct acl_compiled {
    struct list node; /* of the cache's lru, while it is in it */
    struct str key;   /* own */
    struct acl_authorizer *rights;
    uint32_t refs; /* the cache has one */
};

/* The tables as an answer found them. */
struct acl_stamp {
    uint64_t era, tokens, policies, roles;
};

/* A row that another server has sent. */
struct acl_cached_row {
    struct list node;
    struct str key; /* own: a secret, or an id */
    void *row;      /* one heap block; NULL: there is none */
    uint64_t fetched_ms;
};

struct acl_resolver {
    struct worker *worker;
    struct acl_cache holders;  /* struct holder, by secret */
    struct acl_cache compiled; /* struct acl_compiled, by the set's key */
    size_t compiled_size;
    struct acl_stamp stamp; /* of the view with stamp_index */
    uint64_t stamp_index;
    struct acl_who *agent_master, *down; /* made when first needed */
    struct {
        uint64_t generation;
        struct str of[ACL_SECRET_COUNT];
        char *block;
    } own; /* copies of the agent's tokens */
    /* of what is asked for elsewhere: acl_remote.c's */
    struct acl_cache tokens, policies, roles; /* struct acl_cached_row */
    struct map lookups;                       /* struct lookup, by secret */
    uint64_t disabled_until_ms;               /* the servers have no ACLs */
};

/* The policies of one token, in an arena. */
struct acl_policies {
    struct arena *a;
    VEC(const struct acl_policy_row *) v;
};

/* Whether the tables of this server say what a token is. */
bool acl_resolver_is_local(const struct acl_resolver *r);
bool acl_resolver_is_primary(const struct acl_resolver *r);
/* Identities of a token or a role, as the policies they stand for. */
void acl_policies_add_identities(struct acl_policies *p, struct ptrlist services,
                                 struct ptrlist nodes);
/* What a token is that names nothing: its own rules, or nothing but the default. */
void acl_policies_add_embedded(struct acl_policies *p, const struct acl_token *token);
static inline void acl_policies_add(struct acl_policies *p, const struct acl_policy_row *row)
{
    avec_push(p->a, &p->v, row);
}
/* A token's in this server's tables: those that hold in this data center, each once. */
void acl_policies_of(struct acl_policies *p, const struct acl_resolver *r,
                     const struct store_view *v, const struct acl_token *token);
/* Whoever holds these policies; a reference. */
NODISCARD int acl_who_make(struct acl_resolver *r, struct acl_policies *p, struct str accessor_id,
                           struct acl_who **ret_who, struct err *err);
/* Remember until then. stamp NULL: for some time only. */
void acl_holder_put(struct acl_resolver *r, struct str secret, struct acl_who *who,
                    int64_t expires_ns, const struct acl_stamp *stamp, uint64_t valid_until_ms);
/* What acl.down_policy says of somebody unknown; a reference. */
struct acl_who *acl_who_down(struct acl_resolver *r);

/* --- acl_remote.c ------------------------------------------------------------------------------
 */
void acl_remote_init(struct acl_resolver *r);
void acl_remote_deinit(struct acl_resolver *r);
/* As acl_resolve(), behind the caches of holders. */
int acl_remote_resolve(struct acl_resolver *r, struct str secret, struct acl_wait *wait,
                       struct acl_who **ret_who, struct err *err);
