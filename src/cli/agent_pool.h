/* agent_pool.h - which pool of members an agent takes part in: the one place that chooses an
 * implementation of server/membership.h.
 *
 *     membership = agent_pool_new(&options);     // then server_new(), which takes it
 *
 * The pool's work is done on the main worker's loop. */
#pragma once
#include "base/str.h"

struct agent_config;
struct membership;
struct server;
struct worker;

struct agent_pool_options {
    const struct agent_config *config;
    struct str node_id;
    struct worker *main;
    struct server *const
        *server; /* where the server will be once there is one; never, on a client */
};

struct membership *agent_pool_new(const struct agent_pool_options *options);
