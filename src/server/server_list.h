/* server_list.h - the known servers of one data center in one pool, of which the first is asked
 * (Consul's router.Manager): the decisions behind router.h. Pure.
 *
 *     server_list_add(&list, &info, id);           // it has joined, or changed
 *     server_list_remove(&list, name);
 *     server_list_failed(&list, id);               // a call to it failed
 *
 *     if (server_list_rebalance(&list, rng)) {     // from time to time
 *         do ping(server_list_candidate(&list)) while (server_list_pinged(&list, it_answered) ==
 * SERVER_LIST_PINGING);
 *     }
 *
 * A new server comes last; it is used once those before it have failed or the list was shuffled. A
 * rebalance shuffles a copy, and pings its members in turn for one that may come first; what joins
 * and leaves meanwhile is seen to at its end. */
#pragma once
#include "base/vec.h"
#include "server/server_info.h"

struct rng;

/* Far more than Raft takes; a pool may be told of any number. */
#define SERVER_LIST_MAX 256u

struct server_entry { /* constant; its strings are its own */
    uint32_t id;      /* another one with each other address */
    struct str name;  /* a node's name; in the WAN pool with the data center behind */
    struct str address;
    struct str text; /* "node1 (Addr: tcp/127.0.0.1:8300) (DC: dc1)" */
};

enum server_list_outcome {
    SERVER_LIST_PINGING, /* the next one is to be pinged */
    SERVER_LIST_REORDERED,
    SERVER_LIST_KEPT,    /* the chosen one left meanwhile */
    SERVER_LIST_OFFLINE, /* nobody answered: the order is kept */
};

struct server_list {
    VEC(struct server_entry *) servers;
    bool is_offline; /* nobody answered the last time, or nobody has ever been there */
    VEC(struct server_entry *) order; /* of a rebalance: copies */
    size_t tried;
    bool is_rebalancing;
};

void server_list_init(struct server_list *l);
void server_list_deinit(struct server_list *l);

/* All of them tell whether the list has changed. `id` becomes that of a server that is new or has
 * another address. A new one beyond SERVER_LIST_MAX is not taken. */
bool server_list_add(struct server_list *l, const struct server_info *info, uint32_t id);
bool server_list_remove(struct server_list *l, struct str name);
/* NULL when it is not there. Valid until the list changes. */
const struct server_entry *server_list_find(const struct server_list *l, struct str name);
/* Only of the first one is it news. */
bool server_list_failed(struct server_list *l, uint32_t id);

/* False: nobody is there, the list counts as offline. Not while another one is under way. */
bool server_list_rebalance(struct server_list *l, struct rng *rng);
/* Valid until server_list_pinged(). */
const struct server_entry *server_list_candidate(const struct server_list *l);
enum server_list_outcome server_list_pinged(struct server_list *l, bool has_answered);

/* Until the next rebalance: long enough that a server is connected to anew no more often than all
 * 15.625 ms in a data center of so many nodes. */
uint64_t server_list_delay_ms(size_t servers, size_t nodes, struct rng *rng);
#define SERVER_LIST_DELAY_MIN_MS 120000u
#define SERVER_LIST_DELAY_JITTER_MS 60000u
