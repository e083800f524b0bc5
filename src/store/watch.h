/* watch.h - who waits for which part of the store.
 *
 * A blocking read collects in a watch_set the parts it looked at: points, each one key of a table (by its
 * primary index) or all keys with a prefix. The loop that parks the request registers the set in its own
 * registry. Every commit carries a list of the keys it changed; each loop gets it as a message and
 * asks its registry who is concerned. Waking is precise: a write to one key wakes the watchers of
 * that key and of prefixes of it, nobody else.
 *
 * Most reads of the catalog watch one entry of TABLE_INDEX ("service.web"), which the writer moves
 * exactly when Consul would; the rest watch rows.
 *
 * Registries and sets belong to one thread; a change list is immutable and counted, across
 * threads. No race between reading and registering: the change list of a commit is posted after
 * its root is published, and a loop handles it in a later turn than the read that came before. */
#pragma once
#include "base/arena.h"
#include "base/list.h"
#include "base/vec.h"

struct watch_point {
    uint16_t table; /* enum store_table, or STORE_WATCH_INDEX() */
    bool prefix;
    struct str key;
};

/* A query that would watch more points than this watches whole tables instead. */
#define WATCH_POINTS_MAX 256u

struct watch_set {
    struct arena *arena; /* of the request: points' keys live here */
    VEC(struct watch_point) points;
};

/* ws may be NULL: a read that does not block. The key is copied. Doubles are dropped cheaply when adjacent. */
void watch_key(struct watch_set *ws, unsigned table, struct str key);
void watch_prefix(struct watch_set *ws, unsigned table, struct str prefix);

/* As a change's table: everything was replaced, every watch fires (a snapshot was restored). */
#define CHANGE_ALL UINT16_MAX

struct change {
    uint16_t table;
    struct str key; /* of the primary index */
};

struct change_list {
    _Atomic uint32_t refs;
    uint64_t index; /* Raft index of the commit */
    size_t n;
    struct change *v;
};
struct change_list *change_list_ref(struct change_list *c);
struct change_list *change_list_unref(struct change_list *c); /* returns NULL */

struct watch_link { /* watch.c's */
    struct list node;
    struct watch *watch;
    struct point *point;
};

/* One parked request's registration; embedded in it. */
struct watch {
    struct watch_link *links; /* one a point; NULL when not registered */
    struct watch_link first;  /* the only one, mostly */
    size_t links_count;
    bool fired;
    struct list node;       /* in the registry */
    struct list fired_node; /* in the caller's list of those to wake */
};

struct watch_registry;
struct watch_registry *watch_registry_new(void);
struct watch_registry *watch_registry_free(struct watch_registry *r); /* nothing registered */

void watch_register(struct watch_registry *r, struct watch *w, const struct watch_set *ws);
void watch_unregister(struct watch_registry *r, struct watch *w);
/* Fire does work in proportion to changes x distinct lengths of watched prefixes, and to the hits.
 * Append every watch the changes concern to `fired` (through fired_node), each once. They stay
 * registered, and do not fire again: the caller unregisters those it runs. */
void watch_fire(struct watch_registry *r, const struct change_list *changes, struct list *fired);
size_t watch_registry_count(const struct watch_registry *r);
