#include "agent/join.h"

#include "agent/state.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/delegate.h"

/* What the configuration wants of one pool. */
struct pool_joins {
    struct agent *agent;
    const char *cluster;                /* "LAN" */
    const char *starting, *has_started; /* log lines */
    struct agent_join start, retry;
    struct loop_timer retry_timer;
    int64_t attempts; /* that failed */
    bool is_stopped;
};

struct agent_joins {
    struct pool_joins lan, wan;
};

/* "[a b]", as lists are logged. */
static void list_put(struct buf *to, struct strlist list)
{
    buf_byte(to, '[');
    for (size_t i = 0; i < list.n; i++) {
        buf_printf(to, "%s%.*s", i > 0 ? " " : "", STRF(list.v[i]));
    }
    buf_byte(to, ']');
}

static void join_log_done(const struct agent_join *join)
{
    const struct membership_join *in = &join->join;
    if (in->err.code == 0) {
        log_write(LOG_INFO, "agent", join->is_wan ? "(WAN) joined" : "(LAN) joined",
                  LOG_UINT("number_of_nodes", in->joined));
    } else {
        log_write(LOG_WARN, "agent", join->is_wan ? "(WAN) couldn't join" : "(LAN) couldn't join",
                  LOG_UINT("number_of_nodes", in->joined), LOG_CSTR("error", err_text(&in->err)));
    }
}

static void join_done(struct membership_join *pool_join)
{
    struct agent_join *join = container_of(pool_join, struct agent_join, join);
    join_log_done(join);
    join->done(join);
}

void agent_join(struct agent *a, struct agent_join *join)
{
    const struct delegate *d = a->worker->delegate;
    struct membership *pool = join->is_wan ? d->wan : d->membership;
    struct buf addresses = {0};
    list_put(&addresses, join->join.addresses);
    log_write(LOG_INFO, "agent", join->is_wan ? "(WAN) joining" : "(LAN) joining",
              LOG_STR(join->is_wan ? "wan_addresses" : "lan_addresses", buf_view(&addresses)));
    buf_deinit(&addresses);
    join->join.done = join_done;
    if (pool != NULL) {
        membership_join(pool, &join->join);
        return;
    }
    (void)err_set(&join->join.err, ERR_FAILED,
                  conf(a)->is_server ? "WAN Federation is disabled"
                                     : "Must be a server to join WAN cluster");
    join_done(&join->join);
}

static const struct config_join *config_of(const struct pool_joins *j)
{
    return j->start.is_wan ? &conf(j->agent)->join_wan : &conf(j->agent)->join_lan;
}

/* --- at start -------------------------------------------------------------------------------- */

static void start_done(struct agent_join *join)
{
    struct pool_joins *j = join->data;
    if (j->is_stopped) {
        return;
    }
    if (join->join.err.code != 0) {
        log_write(LOG_ERROR, "agent", err_text(&join->join.err));
        j->agent->options.ops->failed(j->agent->options.ops_data);
        return;
    }
    log_write(LOG_INFO, "agent", j->has_started, LOG_UINT("agent_count", join->join.joined));
}

/* --- again and again ------------------------------------------------------------------------- */

static void retry_due(struct loop_timer *t)
{
    struct pool_joins *j = container_of(t, struct pool_joins, retry_timer);
    j->retry.join.addresses = config_of(j)->retry;
    agent_join(j->agent, &j->retry);
}

static void retry_done(struct agent_join *join)
{
    struct pool_joins *j = join->data;
    const struct config_join *config = config_of(j);
    if (j->is_stopped) {
        return;
    }
    if (join->join.err.code == 0) {
        log_write(LOG_INFO, "agent", "Join cluster completed. Synced with initial agents",
                  LOG_CSTR("cluster", j->cluster), LOG_UINT("num_agents", join->join.joined));
        return;
    }
    if (config->retry_max > 0 && ++j->attempts > config->retry_max) {
        log_write(LOG_ERROR, "agent", "Retry join failed",
                  LOG_CSTR("error", j->start.is_wan
                                        ? "agent: max join WAN retry exhausted, exiting"
                                        : "agent: max join LAN retry exhausted, exiting"));
        j->agent->options.ops->failed(j->agent->options.ops_data);
        return;
    }
    struct arena a = {0};
    log_write(LOG_WARN, "agent", "Join cluster failed, will retry", LOG_CSTR("cluster", j->cluster),
              LOG_STR("retry_interval", duration_format(&a, config->retry_interval)),
              LOG_CSTR("error", err_text(&join->join.err)));
    arena_deinit(&a);
    loop_timer_start(j->agent->loop, &j->retry_timer,
                     (uint64_t)MAX(config->retry_interval, (int64_t)0) / NS_PER_MS, retry_due);
}

/* --- life ------------------------------------------------------------------------------------ */

static void pool_joins_init(struct pool_joins *j, struct agent *a, bool is_wan)
{
    *j = (struct pool_joins){
        .agent = a,
        .cluster = is_wan ? "WAN" : "LAN",
        .starting = is_wan ? "Joining wan cluster" : "Joining cluster",
        .has_started = is_wan ? "Join wan completed. Initial agents synced with"
                              : "Join completed. Initial agents synced with",
        .start = {.is_wan = is_wan, .done = start_done, .data = j},
        .retry = {.is_wan = is_wan, .done = retry_done, .data = j},
    };
}

static void pool_joins_start(struct pool_joins *j)
{
    const struct config_join *config = config_of(j);
    if (config->start.n > 0) {
        log_write(LOG_INFO, "agent", j->starting);
        j->start.join.addresses = config->start;
        agent_join(j->agent, &j->start);
    }
    if (config->retry.n > 0) {
        log_write(LOG_INFO, "agent", "Joining cluster...", LOG_CSTR("cluster", j->cluster));
        retry_due(&j->retry_timer);
    }
}

static void pool_joins_stop(struct pool_joins *j)
{
    j->is_stopped = true;
    loop_timer_stop(j->agent->loop, &j->retry_timer);
}

struct agent_joins *joins_new(struct agent *a)
{
    struct agent_joins *j = xcalloc(1, sizeof(*j));
    pool_joins_init(&j->lan, a, false);
    pool_joins_init(&j->wan, a, true);
    return j;
}

struct agent_joins *joins_free(struct agent_joins *j)
{
    return mem_free(j);
}

void joins_start(struct agent_joins *j)
{
    pool_joins_start(&j->lan);
    pool_joins_start(&j->wan);
}

void joins_stop(struct agent_joins *j)
{
    pool_joins_stop(&j->lan);
    pool_joins_stop(&j->wan);
}
