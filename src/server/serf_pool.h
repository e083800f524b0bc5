/* serf_pool.h - membership.h over a pool of gossip: Consul's LAN pool of all agents of a data
 * center, or the WAN pool of the servers of all data centers.
 *
 *     struct serf_pool_options o = {.pool = {...}, .datacenter = STR("dc1"), ...};
 *     rc = serf_pool_new(&o, &membership, &err);
 *
 * What is Consul's is here: who may be in a pool (merge.go's rules and texts), how long one who
 * failed is kept, what a name of the WAN pool is. Gossip's own things (keys, coordinates, figures)
 * are asked of membership->pool. */
#pragma once
#include "gossip/pool.h"

struct membership;

#define SERF_POOL_RECONNECT_TAG STR("rc_tm") /* a duration, in Go's words */

struct serf_pool_options {
    struct pool_options pool; /* merge, reconnect_timeout_ns, member, user_event are this file's */
    bool is_wan;
    struct str datacenter, segment, node_id;
    /* May who has this address be a member? NULL: anybody. On the gossip loop. */
    bool (*allowed)(void *data, const struct gossip_address *address);
    void *allowed_data;
};

/* As pool_new(). */
NODISCARD int serf_pool_new(const struct serf_pool_options *options, struct membership **ret,
                            struct err *err);

/* --- the rules, for their tests ----------------------------------------------------------------
 */

struct merge_rules {
    struct str datacenter, segment, node_id, node_name;
};
NODISCARD int merge_check_lan(const struct merge_rules *rules, const struct member *members,
                              size_t count, struct err *err);
NODISCARD int merge_check_wan(const struct member *members, size_t count, struct err *err);
