/* replicate.h - the leader of a secondary data center keeps a copy of the primary's objects of one
 * kind (Consul's Replicator).
 *
 *     static const struct replicate_kind kind = {.list = &rpc_config_entry_list_all, ...};
 *     struct replicator *r = replicator_new(server, &kind);
 *     replicator_start(r);          // this server leads
 *     replicator_stop(r);           // not any more: what is under way is dropped
 *
 * A round: the primary is asked for all objects, as a blocking query behind the index of the last
 * round; they are compared with those here; what the primary has not is deleted, then what is new
 * or was changed there since the last round is written, so many steps a second. Then the next one.
 * A round that failed is followed by a full one, which believes nothing that is here to be current.
 *
 * A step that is refused does not keep the others from being made: objects may depend on each other
 * in another order than theirs, and the next round finds the first ones in place. The round counts
 * as failed.
 *
 * On the main loop. */
#pragma once
#include "base/err.h"

struct arena;
struct metric;
struct replicator;
struct rpc_call;
struct rpc_method;
struct schema;
struct server;
struct store_view;

struct replicate_item {
    struct str key; /* the same here and there */
    uint64_t modify_index;
    const void *object;
};

struct replicate_items {
    struct replicate_item *v;
    size_t n;
};

#define REPLICATE_PER_SECOND 1 /* rounds */
#define REPLICATE_BURST 5
#define REPLICATE_WAIT_MAX_MS 120000u
#define REPLICATE_NOT_NOW 1

struct replicate_kind {
    const char *module; /* of log lines: "agent.server.replication.config_entry" */
    const char *nouns;  /* "config entries" */
    struct metric *status, *index, *fetch, *apply;
    const struct rpc_method *list; /* blocking; it is asked in the primary, stale */
    const struct schema *object;
    /* Complete its arguments: the token, and what else it wants. An error ends the round;
     * REPLICATE_NOT_NOW lets it pass without a word. NULL: there is nothing to complete. */
    int (*ask)(struct server *s, void *args, struct err *err);
    /* What it answered, and what is here; in any order, in the arena, pointing to the objects. */
    void (*remote)(const void *reply, struct arena *a, struct replicate_items *ret_items);
    void (*local)(const struct store_view *v, struct arena *a, struct replicate_items *ret_items);
    /* NULL: what was changed there since the last round is written. Else that only where this says
     * that the two differ, as objects that tell by a hash. */
    bool (*is_same)(const void *local, const void *remote);
    /* A call on s->main that writes or deletes these here; neither started nor given a `done`. */
    struct rpc_call *(*step)(struct server *s, const struct replicate_item *items, size_t count,
                             bool is_deletion);
    /* Where what is listed is not all there is of an object. read: a call, asked in the primary as
     * the list is, for all of these; NULL: `step` writes what was listed. write: the call on
     * s->main that writes what it answered, which stays until then; NULL: there is nothing to
     * write, or err says why that cannot be. */
    struct rpc_call *(*read)(struct server *s, const struct replicate_item *items, size_t count);
    struct rpc_call *(*write)(struct server *s, const void *reply, struct err *err);
    size_t step_items_max; /* of one step; 0: 1 */
    uint32_t steps_per_second;
    /* A round went well: what is here is what was there at this index. NULL: nobody asks. */
    void (*completed)(struct server *s, uint64_t index);
};

struct replicator_status {
    bool is_running;
    uint64_t index;                        /* of the last round that went well; 0: there is none */
    int64_t succeeded_at_ns, failed_at_ns; /* since 1970; 0: never */
    struct err err;                        /* of the last failure */
};

struct replicator *replicator_new(struct server *s, const struct replicate_kind *kind);
struct replicator *replicator_free(struct replicator *r);
void replicator_start(struct replicator *r);
void replicator_stop(struct replicator *r);
const struct replicator_status *replicator_status(const struct replicator *r);
