/* agent_pool.h - the pools of members an agent takes part in: the one place that chooses an
 * implementation of server/membership.h.
 *
 *     rc = agent_pools_new(&options, &pools, &err);     // then server_new(), which takes them
 *
 * Events and answers come on the main worker's loop. */
#pragma once
#include "base/err.h"

struct agent_config;
struct membership;
struct worker;

struct agent_pool_options {
    const struct agent_config *config; /* lives as long as the pools */
    struct str node_id;
    struct worker *main;
};

struct agent_pools {
    struct membership *lan;
    struct membership *wan; /* of a server; NULL where it is turned off */
};

NODISCARD int agent_pools_new(const struct agent_pool_options *options,
                              struct agent_pools *ret_pools, struct err *err);
