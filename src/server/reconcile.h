/* reconcile.h - what a leader must change so that the catalog and Raft's configuration agree with
 * who is there: the next step for one member, without doing it.
 *
 *     struct reconcile_step step;
 *     while (reconcile_next(&in, &member, &step) is something) { carry it out; look again }
 *
 * Pure. A step follows from the state as it is; when it has been carried out the state is another
 * one, and so the next step. Servers join Raft before they are in the catalog, and leave it before
 * they leave the catalog; who is refused by Raft does not come into the catalog. The rules are
 * those of Consul's leader (handleAliveMember and its siblings, autopilot's AddServer).
 *
 * The catalog entry of a member is its node, the check serfHealth, and for a server the service
 * "consul". */
#pragma once
#include "base/err.h"
#include "schema/catalog.h"
#include "schema/member.h"

struct arena;
struct raft_configuration;
struct store_view;

#define CONSUL_SERVICE_ID STR("consul")
#define CONSUL_SERVICE_NAME STR("consul")
#define SERF_CHECK_ALIVE_OUTPUT STR("Agent alive and reachable")
#define SERF_CHECK_FAILED_OUTPUT STR("Agent not live or unreachable")

struct reconcile_input {
    struct str datacenter;
    struct str self; /* the leader's name */
    const struct store_view *view;
    const struct raft_configuration *configuration;
    const struct member *const *members; /* all of them */
    size_t count;
};

enum reconcile_kind {
    RECONCILE_NOTHING,
    RECONCILE_REFUSED,     /* and nothing more for this member now: err says why */
    RECONCILE_RAFT_CHANGE, /* change, id, address */
    RECONCILE_REGISTER,    /* registration */
    RECONCILE_DEREGISTER,  /* the node of that name */
};

struct reconcile_step {
    enum reconcile_kind kind;
    int change; /* enum raft_change */
    struct str id, address;
    bool replaces; /* a removal that makes room for another server at the same address */
    struct register_request registration;
    const char *log; /* what is to be said of it; NULL: nothing */
    struct err err;
};

/* Strings point into the input and the arena. */
void reconcile_next(const struct reconcile_input *in, const struct member *member, struct arena *a,
                    struct reconcile_step *ret_step);
/* A member that was reaped: alive or not, it is taken out. */
void reconcile_next_reaped(const struct reconcile_input *in, const struct member *member,
                           struct arena *a, struct reconcile_step *ret_step);
/* Nodes that have a serfHealth check and are no members, as members that were reaped; but for
 * servers that Raft's configuration still has: a leader that has just started may not have met them
 * again, and autopilot gives up those that do not come. */
size_t reconcile_unknown(const struct reconcile_input *in, struct arena *a,
                         struct member **ret_members);
/* A member of this data center: a server of the default segment, or a client. */
bool reconcile_concerns(const struct reconcile_input *in, const struct member *member,
                        struct arena *a);
/* The entry of a living member is in the catalog and says what it should. */
bool reconcile_is_registered(const struct store_view *v, const struct member *member);

/* What it takes to have a server in Raft's configuration under this id and address: 0 nothing, 1 *
 * ret_step is the next change, negative when it must not be done. */
NODISCARD int reconcile_raft_add(const struct raft_configuration *c, struct str id,
                                 struct str address, struct reconcile_step *ret_step);
