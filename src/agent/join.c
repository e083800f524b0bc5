#include "agent/join.h"

#include "agent/state.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/delegate.h"

struct agent_joins {
    struct agent *agent;
    struct agent_join start, retry;
    struct loop_timer retry_timer;
    int64_t attempts; /* that failed */
    bool is_stopped;
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

static void join_done(struct membership_join *pool_join)
{
    struct agent_join *join = container_of(pool_join, struct agent_join, join);
    if (pool_join->err.code == 0) {
        log_write(LOG_INFO, "agent", "(LAN) joined",
                  LOG_UINT("number_of_nodes", pool_join->joined));
    } else {
        log_write(LOG_WARN, "agent", "(LAN) couldn't join",
                  LOG_UINT("number_of_nodes", pool_join->joined),
                  LOG_CSTR("error", err_text(&pool_join->err)));
    }
    join->done(join);
}

void agent_join(struct agent *a, struct agent_join *join)
{
    struct buf addresses = {0};
    list_put(&addresses, join->join.addresses);
    log_write(LOG_INFO, "agent", "(LAN) joining", LOG_STR("lan_addresses", buf_view(&addresses)));
    buf_deinit(&addresses);
    join->join.done = join_done;
    membership_join(a->worker->delegate->membership, &join->join);
}

/* --- at start -------------------------------------------------------------------------------- */

static void start_done(struct agent_join *join)
{
    struct agent_joins *j = join->data;
    if (j->is_stopped) {
        return;
    }
    if (join->join.err.code != 0) {
        log_write(LOG_ERROR, "agent", err_text(&join->join.err));
        j->agent->options.ops->failed(j->agent->options.ops_data);
        return;
    }
    log_write(LOG_INFO, "agent", "Join completed. Initial agents synced with",
              LOG_UINT("agent_count", join->join.joined));
}

/* --- again and again ------------------------------------------------------------------------- */

static void retry_due(struct loop_timer *t)
{
    struct agent_joins *j = container_of(t, struct agent_joins, retry_timer);
    j->retry.join.addresses = conf(j->agent)->join_lan.retry;
    agent_join(j->agent, &j->retry);
}

static void retry_done(struct agent_join *join)
{
    struct agent_joins *j = join->data;
    const struct config_join *config = &conf(j->agent)->join_lan;
    if (j->is_stopped) {
        return;
    }
    if (join->join.err.code == 0) {
        log_write(LOG_INFO, "agent", "Join cluster completed. Synced with initial agents",
                  LOG_CSTR("cluster", "LAN"), LOG_UINT("num_agents", join->join.joined));
        return;
    }
    if (config->retry_max > 0 && ++j->attempts > config->retry_max) {
        log_write(LOG_ERROR, "agent", "Retry join failed",
                  LOG_CSTR("error", "agent: max join LAN retry exhausted, exiting"));
        j->agent->options.ops->failed(j->agent->options.ops_data);
        return;
    }
    struct arena a = {0};
    log_write(LOG_WARN, "agent", "Join cluster failed, will retry", LOG_CSTR("cluster", "LAN"),
              LOG_STR("retry_interval", duration_format(&a, config->retry_interval)),
              LOG_CSTR("error", err_text(&join->join.err)));
    arena_deinit(&a);
    loop_timer_start(j->agent->loop, &j->retry_timer,
                     (uint64_t)MAX(config->retry_interval, (int64_t)0) / NS_PER_MS, retry_due);
}

/* --- life ------------------------------------------------------------------------------------ */

struct agent_joins *joins_new(struct agent *a)
{
    struct agent_joins *j = xcalloc(1, sizeof(*j));
    j->agent = a;
    j->start = (struct agent_join){.done = start_done, .data = j};
    j->retry = (struct agent_join){.done = retry_done, .data = j};
    return j;
}

struct agent_joins *joins_free(struct agent_joins *j)
{
    return mem_free(j);
}

void joins_start(struct agent_joins *j)
{
    const struct config_join *config = &conf(j->agent)->join_lan;
    if (config->start.n > 0) {
        log_write(LOG_INFO, "agent", "Joining cluster");
        j->start.join.addresses = config->start;
        agent_join(j->agent, &j->start);
    }
    if (config->retry.n > 0) {
        log_write(LOG_INFO, "agent", "Joining cluster...", LOG_CSTR("cluster", "LAN"));
        retry_due(&j->retry_timer);
    }
}

void joins_stop(struct agent_joins *j)
{
    j->is_stopped = true;
    loop_timer_stop(j->agent->loop, &j->retry_timer);
}
