/* pool.h - a pool of agents that know each other by gossip: a Serf core on real sockets.
 *
 *     options.threads = gossip_threads_new();               // the gossip loop, and one for files
 *     rc = pool_new(&options, &pool, &err);                 // binds the sockets, reads the
 * snapshot pool_start(pool);                                     // is alive from now on, rejoins
 *     pool_join(pool, &join); ... join.done(&join)
 *     list = pool_members(pool); ... member_list_unref(list)
 *     pool_stop(pool); ... home's loop is freed ... pool_free(pool)
 *
 * Threads. The core, its sockets and its timer belong to the gossip loop, which does nothing else:
 * no disk, no waiting, no resolving of names. Everything of this header is for the home loop, but
 * for what says "any thread"; callbacks come on home, never from inside a call. Requests are copied
 * or borrowed until done, as each says; after pool_stop() those under way are done with ERR_CLOSED.
 * The snapshot and key files are written on the loop for files.
 *
 * Bounded: news on their way home (pool_news.h), the snapshot's facts (snapshot.h), streams
 * (swim.h), requests by who makes them. */
#pragma once
#include "gossip/core/serf.h"
#include "gossip/pool_members.h"
#include "loop/address.h"

struct arena;
struct loop;
struct pool;

/* --- threads ---------------------------------------------------------------------------------
 *
 * One gossip loop and one for files, for all pools of an agent. They run from the first
 * pool_start() until the last pool_stop() and go with the last pool_free(). */
struct gossip_threads;

struct gossip_threads *gossip_threads_new(void);
struct gossip_threads *gossip_threads_free(struct gossip_threads *t); /* where no pool was made */

/* --- life ------------------------------------------------------------------------------------ */

struct pool_options {
    struct gossip_threads *threads;
    struct loop *home;
    const char *serf_module, *memberlist_module; /* of log lines: "agent.server.serf.lan" */
    struct serf_config config;
    struct str name;
    struct strmap tags;
    struct address bind;             /* UDP and TCP; port 0: any that is free */
    struct gossip_address advertise; /* what others are told; port 0: the same */
    struct str snapshot_path;        /* "": none is kept */
    struct str key_path;             /* "": changes of the keys are not kept */
    struct seal_ring *keys;          /* taken; NULL: no encryption, now and later */
    uint32_t members_max;            /* 0: swim's */

    /* On the gossip loop: quick, without locks that are held for long. data must be fit for it. */
    int (*merge)(void *data, const struct member *members, size_t count, struct err *err);
    bool (*allowed)(void *data, const struct gossip_address *address);    /* may be NULL */
    uint64_t (*reconnect_timeout_ns)(void *data, const struct member *m); /* may be NULL */
    /* On home. The list of members may be ahead of what is told. */
    void (*member)(void *data, enum serf_event_kind kind, const struct member *m);
    void (*user_event)(void *data, const struct serf_user_event *event); /* may be NULL */
    void *data;
};

/* Before the first pool on these threads is started. Texts of errors as memberlist's ("Failed to
 * start TCP listener ..."). A failure takes keys and, with no other pool on them, the threads. */
NODISCARD int pool_new(const struct pool_options *options, struct pool **ret_pool, struct err *err);
void pool_start(struct pool *p);
/* Waits for the gossip loop's current turn. Nobody is told: pool_leave() is for that. */
void pool_stop(struct pool *p);
/* Stopped, or never started; home's loop does not run any more. */
struct pool *pool_free(struct pool *p);

/* --- looking, any thread --------------------------------------------------------------------- */

struct member_list *pool_members(struct pool *p); /* a reference */
void pool_stats(struct pool *p, struct serf_stats *ret);
/* This agent's coordinate, in the arena; NULL with coordinates disabled. */
const struct coordinate *pool_coordinate(struct pool *p, struct arena *a);

/* --- asking ---------------------------------------------------------------------------------- */

/* Push/pull with all who are found at these addresses: "host", "host:port", "[v6]:port", each
 * with "name/" in front if it must be that member; names are resolved. */
struct pool_join {
    struct strlist addresses; /* the caller's until done */
    bool ignore_old;          /* user events from before are not told */
    void (*done)(struct pool_join *join);
    uint32_t joined; /* how many answered */
    struct err err;  /* of none did: "1 error occurred:\n\t* Failed to join ...\n\n" */
    void *data;
    struct pool_join_state *state; /* the pool's */
};
void pool_join(struct pool *p, struct pool_join *join);

struct pool_request; /* the pool's, of one request under way */

struct pool_leave {
    void (*done)(struct pool_leave *leave);
    bool timed_out;
    struct err err;
    void *data;
    struct pool_request *state;
};
void pool_leave(struct pool *p, struct pool_leave *leave);

/* What follows is copied. done may be NULL: nobody asks what came of it. */
typedef void (*pool_done_fn)(void *data, const struct err *err); /* err NULL: it went well */
void pool_force_leave(struct pool *p, struct str name, bool prune, pool_done_fn done, void *data);
void pool_set_tags(struct pool *p, struct strmap tags, pool_done_fn done, void *data);
void pool_user_event(struct pool *p, struct str name, struct str payload, bool coalesce,
                     pool_done_fn done, void *data);

struct pool_keys {
    enum serf_key_action action;
    struct str key; /* base64; the caller's until done */
    uint8_t relay_factor;
    void (*done)(struct pool_keys *keys);
    /* Of the answers, in the arena. */
    struct arena *arena;
    uint32_t members_count, answers_count, errors_count;
    struct strmap messages;
    struct serf_key_count *keys, *primary;
    size_t keys_count, primary_count;
    struct err err;
    void *data;
    struct pool_request *state;
};
void pool_keys(struct pool *p, struct pool_keys *keys);

/* The coordinates that members have last said of themselves; this agent's own is among them. */
struct pool_coordinates {
    void (*done)(struct pool_coordinates *c);
    struct arena *arena;
    struct node_coordinate *v; /* of those that have one; in the arena */
    size_t count;
    struct err err;
    void *data;
    struct pool_request *state;
};
void pool_coordinates(struct pool *p, struct pool_coordinates *c);
