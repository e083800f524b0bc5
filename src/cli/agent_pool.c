#include "cli/agent_pool.h"

#include "agent/config.h"
#include "agent/member.h"
#include "base/arena.h"
#include "base/clock.h"
#include "raft/configuration.h"
#include "raft/raft.h"
#include "server/exchange.h"
#include "server/rpc_pool.h"
#include "server/server.h"

static void pool_call(void *data, struct str address, struct rpc_remote *call, uint64_t timeout_ms)
{
    const struct worker *w = data;
    rpc_pool_call(w->pool, address, call, timeout_ms);
}

static void pool_cancel(void *data, struct rpc_remote *call)
{
    const struct worker *w = data;
    rpc_pool_cancel(w->pool, call);
}

/* After a restart the servers of Raft's configuration are worth asking: a leader that does not know
 * its members would take them out of the catalog. */
static struct strlist configured_addresses(void *data, struct arena *a)
{
    const struct server *s = *(struct server *const *)data;
    if (s == NULL) {
        return (struct strlist){0};
    }
    struct raft_configuration *c = ARENA_NEW(a, struct raft_configuration);
    uint64_t index;
    raft_get_configuration(s->raft, c, &index);
    struct str *addresses = ARENA_ARRAY(a, struct str, c->count);
    size_t n = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if (!str_eq(str_from_cstr(c->servers[i].address), s->options.rpc_address)) {
            addresses[n++] = str_from_cstr(c->servers[i].address);
        }
    }
    return (struct strlist){addresses, n};
}

struct membership *agent_pool_new(const struct agent_pool_options *o)
{
    const struct agent_config *c = o->config;
    struct arena a = {0};
    struct member self;
    member_self(c, o->node_id, false, &a, &self);
    const struct exchange_new_options options = {
        .loop = o->main->loop,
        .core = {.self = &self, .incarnation = clock_wall_ms(), .datacenter = c->datacenter},
        .calls = {pool_call, pool_cancel, o->main},
        .rpc_port = c->addresses.rpc_advertise.port,
        .serf_port = c->ports.serf_lan,
        .hints = configured_addresses,
        .hints_data = (void *)(uintptr_t)o->server,
    };
    struct membership *m = exchange_new(&options);
    arena_deinit(&a);
    return m;
}
