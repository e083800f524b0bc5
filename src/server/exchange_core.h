/* exchange_core.h - what a server believes of the others, from what they tell each other: the
 * decisions behind exchange.h, without sockets, clock or threads.
 *
 *     exchange_core_message(core, arena, &message)       all this server knows, to be told
 *     exchange_core_merge(core, &message, now, &err)     what another one told
 *     exchange_core_due(core, now, arena, &asks)         whom to ask now
 *     exchange_core_tick(core, now)                      who has not been heard of for too long
 *     while (exchange_core_next_event(core, &event)) ...
 *
 * Each server speaks for itself: a record carries the incarnation its owner gave it, and the newer
 * incarnation wins. Among records of one incarnation "pruned" wins over "left" over "alive", but
 * nobody is believed dead on hearsay while he is heard: only his own word (a newer incarnation) or
 * silence and then a claim make him left. Whoever hears himself called left or pruned, and is
 * not, takes a newer incarnation. Failure is each server's own opinion and is not passed on.
 *
 * Times are milliseconds of any clock that does not go back. Names are compared exactly. */
#pragma once
#include "base/err.h"
#include "schema/member.h"

struct arena;
struct exchange_core;

#define EXCHANGE_MEMBERS_MAX 64u /* 32 servers, and those that left and are still remembered */
#define EXCHANGE_NAME_SIZE_MAX 128u
#define EXCHANGE_TAGS_MAX 64u
#define EXCHANGE_TAG_SIZE_MAX 512u
#define EXCHANGE_ASK_INTERVAL_MS 1000u
/* One that failed may come back. */
#define EXCHANGE_ASK_FAILED_INTERVAL_MS 2000u
/* Not heard of for so long: failed. As long as Serf takes in a pool of a few. */
#define EXCHANGE_FAILED_AFTER_MS 5000u
/* Serf's tombstone_timeout and Consul's reconnect_timeout. */
#define EXCHANGE_REAP_LEFT_AFTER_MS (24u * 3600u * 1000u)
#define EXCHANGE_REAP_FAILED_AFTER_MS (72u * 3600u * 1000u)

enum exchange_state { EXCHANGE_ALIVE, EXCHANGE_LEFT, EXCHANGE_PRUNED };

struct exchange_record {
    struct member member; /* its status is not told */
    uint64_t incarnation;
    uint64_t state; /* enum exchange_state */
};

struct exchange_message {   /* both ways */
    struct str from;        /* the name of who tells */
    struct objlist records; /* struct exchange_record; the teller's own is among them */
};
extern const struct schema exchange_message_schema;

struct exchange_options {
    const struct member *self;
    uint64_t incarnation; /* larger than that of any run before: the wall clock at start */
    struct str datacenter;
};

struct exchange_event {
    int kind;              /* enum membership_event */
    struct member *member; /* one block, the taker's to free */
};

struct exchange_ask {
    struct str name, address; /* in the arena */
};

struct exchange_core *exchange_core_new(const struct exchange_options *options);
struct exchange_core *exchange_core_free(struct exchange_core *c);

/* Point into the core: valid until its next call. */
void exchange_core_message(const struct exchange_core *c, struct arena *a,
                           struct exchange_message *ret_message);
/* All or nothing: refused are members of another data center, a teller with this server's node id,
 * and what breaks the bounds. */
NODISCARD int exchange_core_merge(struct exchange_core *c, const struct exchange_message *message,
                                  uint64_t now_ms, struct err *err);
/* They count as asked now; exchange_core_answered() must follow for each, whatever came of it. */
size_t exchange_core_due(struct exchange_core *c, uint64_t now_ms, struct arena *a,
                         struct exchange_ask **ret_asks);
void exchange_core_answered(struct exchange_core *c, struct str name);
void exchange_core_tick(struct exchange_core *c, uint64_t now_ms);
/* This server goes: from now on it says so. */
void exchange_core_leave(struct exchange_core *c);
/* It has gone. */
void exchange_core_left(struct exchange_core *c);
void exchange_core_force_leave(struct exchange_core *c, struct str name, bool prune,
                               uint64_t now_ms);
bool exchange_core_next_event(struct exchange_core *c, struct exchange_event *ret_event);

/* Copies, this server first, then as they came to be known. */
size_t exchange_core_members(const struct exchange_core *c, struct arena *a,
                             struct member **ret_members);
/* Some member, of whatever status, has this RPC address. */
bool exchange_core_knows(const struct exchange_core *c, struct str address);
