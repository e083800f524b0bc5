/* membership.h - who is there: the one seam between a pool of agents (Serf's LAN pool, or what
 * stands in for it) and all that depends on it: reconciling the catalog, forming a cluster,
 * autopilot, /v1/agent/members, join, leave and force-leave.
 *
 *     membership_listen(m, &my_listener);                   // before membership_start()
 *     membership_start(m);
 *     struct member_list *list = membership_list(m);        // any thread; member_list_unref(list)
 *     membership_join(m, &join);          ... join.done()
 *     membership_leave(m, &leave);        ... leave.done()
 *     membership_user_event(m, name, payload, false, done, me);
 *
 * This agent is a member itself, the first of the list. Members that failed or left stay listed
 * until they are reaped or pruned. A node's name is what it is known by.
 *
 * On the server's main loop, but for membership_list(). Events come from the main loop's own
 * turns, never from inside a call of this interface. An event is news; the list is the truth: it
 * may be ahead of the event that is being told. */
#pragma once
#include "base/err.h"
#include "base/list.h"
#include "gossip/pool_members.h"

struct membership;
struct pool;
struct serf_user_event; /* proto/serf.h */

enum membership_event {
    MEMBERSHIP_JOIN,   /* new, or back after it had failed or left */
    MEMBERSHIP_UPDATE, /* another address or other tags, or it has started anew */
    MEMBERSHIP_LEAVE,  /* of its own will or by force-leave */
    MEMBERSHIP_FAILED,
    MEMBERSHIP_REAP, /* forgotten: failed or gone for long, or pruned */
};

struct membership_listener {
    struct list node;
    /* The member is valid until it returns. */
    void (*event)(struct membership_listener *l, enum membership_event event,
                  const struct member *member);
    /* One of gossip's, whatever its name; those of this agent come back as well. May be NULL. */
    void (*user_event)(struct membership_listener *l, const struct serf_user_event *event);
};

typedef void (*membership_done_fn)(void *data, const struct err *err); /* err NULL: it went well */

/* Get to know a pool by these addresses: "host", "host:port", "[v6]:port", names too. */
struct membership_join {
    struct strlist addresses;                   /* the caller's until done */
    void (*done)(struct membership_join *join); /* once */
    uint32_t joined; /* how many answered; with none, err has a line for each address */
    struct err err;
    void *data;
    struct list node; /* the pool's, and so is the rest */
    void *state;
};

/* Tell the others that this agent goes. */
struct membership_leave {
    void (*done)(struct membership_leave *leave); /* once; the others know, or time ran out */
    struct list node;                             /* the pool's */
};

struct membership_ops {
    void (*start)(struct membership *m);
    struct member_list *(*list)(struct membership *m);
    void (*join)(struct membership *m, struct membership_join *join);
    void (*leave)(struct membership *m, struct membership_leave *leave);
    int (*force_leave)(struct membership *m, struct str name, bool prune, struct err *err);
    void (*user_event)(struct membership *m, struct str name, struct str payload, bool coalesce,
                       membership_done_fn done, void *data);
    void (*stop)(struct membership *m);
    struct membership *(*free)(struct membership *m);
};

struct membership { /* embedded in the pool's own */
    const struct membership_ops *ops;
    struct list listeners; /* struct membership_listener */
    /* For what is gossip's alone: keys, coordinates, figures. NULL: there is none (tests). */
    struct pool *pool;
};

static inline void membership_listen(struct membership *m, struct membership_listener *l)
{
    list_push_back(&m->listeners, &l->node);
}

/* For the pools. */
static inline void membership_tell(struct membership *m, enum membership_event event,
                                   const struct member *member)
{
    list_for_each (node, &m->listeners) {
        struct membership_listener *l = list_entry(node, struct membership_listener, node);
        l->event(l, event, member);
    }
}

static inline void membership_start(struct membership *m)
{
    m->ops->start(m);
}

static inline void membership_tell_user_event(struct membership *m,
                                              const struct serf_user_event *event)
{
    list_for_each (node, &m->listeners) {
        struct membership_listener *l = list_entry(node, struct membership_listener, node);
        if (l->user_event != NULL) {
            l->user_event(l, event);
        }
    }
}

/* All of them, as they are now: immutable, and the caller's to unref. Cheap, however many there
 * are. Any thread. */
static inline struct member_list *membership_list(struct membership *m)
{
    return m->ops->list(m);
}

static inline void membership_join(struct membership *m, struct membership_join *join)
{
    m->ops->join(m, join);
}

static inline void membership_leave(struct membership *m, struct membership_leave *leave)
{
    m->ops->leave(m, leave);
}

/* A failed member is counted as one that left; with prune it is forgotten at once. One that lives
 * stays: it would say so. A name nobody has is no error here. */
NODISCARD static inline int membership_force_leave(struct membership *m, struct str name,
                                                   bool prune, struct err *err)
{
    return m->ops->force_leave(m, name, prune, err);
}

/* Spread a small message to everybody, this agent included. Name and payload are copied; done may
 * be NULL, and comes once it is on its way, or with why it is not. */
static inline void membership_user_event(struct membership *m, struct str name, struct str payload,
                                         bool coalesce, membership_done_fn done, void *data)
{
    m->ops->user_event(m, name, payload, coalesce, done, data);
}

/* Joins and leaves under way are answered with ERR_CLOSED; no more events. */
static inline void membership_stop(struct membership *m)
{
    m->ops->stop(m);
}

static inline struct membership *membership_free(struct membership *m)
{
    return m != NULL ? m->ops->free(m) : NULL;
}
