/* state.h - the inside of an agent, for the files of agent/ alone. All of it belongs to the main
 * loop, except what agent.h lets other threads read. */
#pragma once
#include "agent/agent.h"
#include "agent/check.h"
#include "agent/config.h"
#include "agent/expose.h"
#include "agent/local.h"
#include "agent/remote_exec.h"
#include "agent/service_config.h"
#include "agent/tokens.h"
#include "agent/watch_plan.h"
#include "base/epoch.h"
#include "server/membership.h"
#include "server/worker.h"

struct agent_coordinate;
struct agent_joins;
struct sync;
struct user_events;

#define AGENT_READERS_MAX 33u /* worker ids */

enum source { /* where a definition came from: decides about scripts, and is persisted */
              SOURCE_LOCAL,
              SOURCE_REMOTE,
};

struct agent {
    struct agent_options options; /* config and node_id: see below */
    _Atomic(struct agent_config *) config;
    struct str node_id;
    struct worker *worker;
    struct loop *loop;
    struct epoch *epoch; /* of local's roots and of the configuration */
    struct epoch_slot *slots[AGENT_READERS_MAX];
    struct local *local;
    struct sync *sync;
    struct checks checks;
    struct expose expose;
    struct service_configs service_configs;
    struct tokens tokens;
    struct user_events *events;
    struct watch_plans watches;
    struct remote_exec remote_exec;
    struct loop_msg publish_msg;
    bool publish_is_due, is_started, is_stopped;
    struct list woken; /* struct agent_call: to be answered at the end of the turn */
    struct loop_timer reap_timer;
    struct loop_msg sync_soon_msg; /* of agent_sync_soon() */
    _Atomic bool sync_soon_is_due;
    struct agent_joins *joins;
    struct agent_coordinate *coordinate;
    struct membership_listener listener;
    bool is_leaving, has_left;
    struct list leavers;      /* struct agent_call: answered when it has left */
    struct loop_msg left_msg; /* its way round the last one's loop */
};

/* Make changes visible at the end of this turn. */
void agent_publish_soon(struct agent *a);
/* Members of the LAN pool, this one included: spreads the load of full syncs. */
size_t agent_cluster_size(const struct agent *a);
static inline const struct agent_config *conf(const struct agent *a)
{
    return atomic_load_explicit(&((struct agent *)(uintptr_t)a)->config, memory_order_acquire);
}
