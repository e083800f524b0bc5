#include "agent/coordinate.h"

#include "agent/state.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gossip/pool.h"
#include "schema/coordinate.h"
#include "server/delegate.h"
#include "server/membership.h"
#include "server/rpc.h"

#define PROTOCOL 3 /* from which on servers take coordinates */
#define INTERVAL_NS_MAX (24 * 3600 * NS_PER_SEC)

struct agent_coordinate {
    struct agent *agent;
    struct loop_timer timer;
    struct rpc_call *call; /* under way */
};

uint64_t agent_coordinate_interval_ns(double rate, uint64_t min_ns, size_t n)
{
    if (rate <= 1.0 / ((double)INTERVAL_NS_MAX / (double)NS_PER_SEC)) {
        return INTERVAL_NS_MAX;
    }
    double ns = (double)NS_PER_SEC * (double)n / rate;
    return ns > (double)INTERVAL_NS_MAX ? INTERVAL_NS_MAX : MAX((uint64_t)ns, min_ns);
}

static bool understands(const struct member *m)
{
    int64_t low, high;
    return str_parse_i64(member_tag(m, STR("vsn_min")), &low) == 0 &&
           str_parse_i64(member_tag(m, STR("vsn_max")), &high) == 0 && low <= PROTOCOL &&
           high >= PROTOCOL;
}

/* There are servers, and all of them know what a coordinate is. */
static bool servers_understand(struct membership *m)
{
    struct member_list *list = membership_list(m);
    size_t servers = 0, understanding = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (str_eq_lit(member_tag(list->v[i], STR("role")), "consul")) {
            servers++;
            understanding += understands(list->v[i]);
        }
    }
    (void)member_list_unref(list);
    return servers > 0 && understanding == servers;
}

static void update_soon(struct agent_coordinate *c);

static void update_done(struct rpc_call *call)
{
    struct agent_coordinate *c = call->data;
    if (call->err != NULL) {
        log_write(LOG_ERROR, "agent", "Coordinate update error",
                  LOG_CSTR("error", err_text(call->err)));
    }
    c->call = NULL;
    rpc_call_free(call);
    update_soon(c);
}

static void update_send(struct agent_coordinate *c, const struct coordinate *coordinate)
{
    struct agent *a = c->agent;
    struct rpc_call *call = c->call = rpc_call_new(a->worker, &rpc_coordinate_update);
    struct coordinate_update_request *args = call->args;
    args->datacenter = conf(a)->datacenter;
    args->node = conf(a)->node_name;
    args->segment = conf(a)->segment;
    args->coord = schema_copy(&call->arena, &coordinate_schema, coordinate);
    args->write.token = tokens_agent(&a->tokens);
    call->done = update_done;
    call->data = c;
    rpc_start(call);
}

static void update_due(struct loop_timer *t)
{
    struct agent_coordinate *c = container_of(t, struct agent_coordinate, timer);
    struct membership *m = c->agent->worker->delegate->membership;
    struct arena a = {0};
    const struct coordinate *coordinate = m->pool != NULL ? pool_coordinate(m->pool, &a) : NULL;
    if (!servers_understand(m)) {
        log_write(LOG_DEBUG, "agent", "Skipping coordinate updates until servers are upgraded");
        update_soon(c);
    } else if (coordinate == NULL) {
        update_soon(c);
    } else {
        update_send(c, coordinate);
    }
    arena_deinit(&a);
}

/* Stretched at random by up to twice. */
static void update_soon(struct agent_coordinate *c)
{
    struct agent *a = c->agent;
    const struct config_coordinates *config = &conf(a)->coordinates;
    uint64_t ns = agent_coordinate_interval_ns(config->sync_rate_target,
                                               (uint64_t)MAX(config->sync_interval_min, (int64_t)0),
                                               agent_cluster_size(a));
    ns += rng_below(&a->worker->rng, ns + 1);
    loop_timer_start(a->loop, &c->timer, ns / NS_PER_MS, update_due);
}

struct agent_coordinate *agent_coordinate_new(struct agent *a)
{
    struct agent_coordinate *c = xcalloc(1, sizeof(*c));
    c->agent = a;
    return c;
}

void agent_coordinate_start(struct agent_coordinate *c)
{
    if (!conf(c->agent)->coordinates.disabled) {
        update_soon(c);
    }
}

void agent_coordinate_stop(struct agent_coordinate *c)
{
    struct rpc_call *call = TAKE(c->call);
    loop_timer_stop(c->agent->loop, &c->timer);
    if (call != NULL) {
        rpc_cancel(call);
    }
}

struct agent_coordinate *agent_coordinate_free(struct agent_coordinate *c)
{
    return mem_free(c);
}
