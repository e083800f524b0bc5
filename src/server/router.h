/* router.h - the servers this agent knows, by data center, for whoever has a call to send
 * (Consul's router.Router).
 *
 *     router_add(r, ROUTER_LAN, &info);  router_remove(r, ROUTER_LAN, &info);    // by events of a
 * pool
 *
 *     struct route route;
 *     if (router_find_lan(r, &route)) ... send it to route.address ...
 *     ... it failed: router_failed(r, route.id);
 *
 * Each list (server_list.h) of a pool and a data center is rebalanced by a timer of its own. That
 * of this data center in the LAN pool is always there. What workers read is a copy of all lists,
 * made and published with each change, and constant: it is valid for one turn of a loop that was
 * given to router_add_reader().
 *
 * Changes are made on the main loop; reading and router_failed() are for any thread. */
#pragma once
#include "base/str.h"

#include <stdint.h>

struct arena;
struct loop;
struct router;
struct server_info;
struct worker;

enum router_area { ROUTER_LAN, ROUTER_WAN };

#define ROUTER_DATACENTERS_MAX 256u /* lists; those of more data centers are not kept */
#define ROUTER_PING_TIMEOUT_MS 10000u
/* A list of the WAN pool is rebalanced as soon as a server of it could not be reached, but not more
 * often than this; and while nobody there answers, this often. */
#define ROUTER_HURRY_PAUSE_MS 1000u
#define ROUTER_OFFLINE_PAUSE_MS 1000u

struct router_options {
    uint64_t rebalance_ms;       /* in place of server_list_delay_ms(), for tests; 0: none */
    struct worker *main;         /* pings by its pool */
    struct str datacenter;       /* this agent's */
    size_t (*nodes)(void *data); /* how many agents the data center has */
    void (*changed)(void *data); /* a new copy was published */
    void *data;
};

struct route {
    uint32_t id; /* of this server at this address; never used again */
    struct str name, address, text;
    size_t siblings; /* servers of its list, this one included */
};

enum router_found {
    ROUTER_FOUND,
    ROUTER_OFFLINE, /* the data center is known, but nobody there answers */
    ROUTER_UNKNOWN,
};

struct router *router_new(const struct router_options *options);
/* Before the loop runs. */
void router_add_reader(struct router *r, struct loop *l);
void router_stop(struct router *r);
struct router *router_free(struct router *r); /* after all readers' loops have ended */

/* It has joined or changed. */
void router_add(struct router *r, enum router_area area, const struct server_info *info);
/* It has gone; the last one takes its list along. */
void router_remove(struct router *r, enum router_area area, const struct server_info *info);

/* The pool says that it has failed: it stays, behind the others. */
void router_fail(struct router *r, enum router_area area, const struct server_info *info);

/* A call to it failed: if it is the first of a list, another one will be, soon. Any thread. */
void router_failed(struct router *r, uint32_t id);
/* The same of one that was not reached, or did not answer: in the WAN pool its list is rebalanced
 * soon, so that others need not find out by waiting. Any thread, inside a reader's turn. */
void router_unreachable(struct router *r, uint32_t id);

/* Inside a reader's turn; the strings are valid until its end. */
/* The first server of this data center, the best there is even if nobody answered the last ping. */
bool router_find_lan(const struct router *r, struct route *ret_route);
/* One of another data center; not `failed` (an id; 0: none) where there is a choice. */
enum router_found router_find(const struct router *r, struct str datacenter, uint32_t failed,
                              struct route *ret_route);
/* Servers of it are known, whether they answer or not. */
bool router_has(const struct router *r, struct str datacenter);
/* The data centers of the WAN pool's lists, sorted by name; in the arena. */
struct strlist router_datacenters(const struct router *r, struct arena *a);
bool router_find_id(const struct router *r, uint32_t id, struct route *ret_route);
size_t router_count_lan(const struct router *r);
