/* Expiry of a session proposes its destruction; when that fails (no leader any more, queue full) it
 * is tried again after a growing pause, six times, as in Consul. */
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "schema/kv.h"
#include "schema/session.h"
#include "server/leader.h"
#include "server/leader_parts.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/session.h"

#define SESSION_DESTROY_ATTEMPTS_MAX 6u
#define SESSION_DESTROY_RETRY_MS 10000u

static struct metric metric_invalidate = METRIC_SAMPLE("session_ttl.invalidate");
static struct metric metric_sessions = METRIC_GAUGE("session_ttl.active");

struct session_timer {
    struct loop_timer timer;
    struct leader_sessions *sessions;
    uint32_t attempts;
    uint64_t began_ns; /* of the last of them */
    struct str id;     /* behind the struct */
};

struct leader_sessions {
    struct server *server;
    bool is_running;
    struct map timers; /* id -> struct session_timer */
};

static void session_expired(struct loop_timer *t);

void leader_sessions_forget(struct leader_sessions *l, struct str id)
{
    struct session_timer *st = map_remove(&l->timers, id);
    if (st != NULL) {
        loop_timer_stop(l->server->main->loop, &st->timer);
        mem_free(st);
        metric_set(&metric_sessions, (double)l->timers.n);
    }
}

void leader_sessions_touch(struct leader_sessions *l, struct str id, uint64_t ttl_ms)
{
    if (!l->is_running) {
        return;
    }
    if (ttl_ms == 0) {
        leader_sessions_forget(l, id);
        return;
    }
    struct session_timer *st = map_get(&l->timers, id);
    if (st == NULL) {
        st = xcalloc(1, sizeof(*st) + id.n);
        st->sessions = l;
        st->id = str_make(memcpy(st + 1, id.p, id.n), id.n);
        (void)map_put(&l->timers, id, st);
        metric_set(&metric_sessions, (double)l->timers.n);
    }
    st->attempts = 0;
    loop_timer_start(l->server->main->loop, &st->timer, ttl_ms * SESSION_TTL_MULTIPLIER,
                     session_expired);
}

static void session_destroyed(struct rpc_call *call)
{
    struct leader_sessions *l = call->data;
    const struct session_request *args = call->args;
    struct session_timer *st = map_get(&l->timers, args->session.id);
    if (st != NULL) {
        metric_observe(&metric_invalidate,
                       (double)(clock_mono_ns() - st->began_ns) / (double)NS_PER_MS);
    }
    if (call->err == NULL) {
        log_write(LOG_DEBUG, "agent.server", "Session TTL expired",
                  LOG_STR("session", args->session.id));
        leader_sessions_forget(l, args->session.id);
    } else if (st != NULL && l->is_running) {
        log_write(LOG_ERROR, "agent.server", "Invalidation failed",
                  LOG_CSTR("error", err_text(call->err)));
        if (++st->attempts < SESSION_DESTROY_ATTEMPTS_MAX) {
            loop_timer_start(l->server->main->loop, &st->timer,
                             SESSION_DESTROY_RETRY_MS << (st->attempts - 1), session_expired);
        } else {
            log_write(LOG_ERROR, "agent.server", "maximum revoke attempts reached for session",
                      LOG_STR("session", args->session.id));
            leader_sessions_forget(l, args->session.id);
        }
    }
    rpc_call_free(call);
}

static void session_expired(struct loop_timer *t)
{
    struct session_timer *st = container_of(t, struct session_timer, timer);
    struct server *s = st->sessions->server;
    struct rpc_call *call = rpc_call_new(s->main, &rpc_session_apply);
    struct session_request *args = call->args;
    args->op = STR("destroy");
    args->session.id = arena_str(&call->arena, st->id);
    call->done = session_destroyed;
    call->data = st->sessions;
    call->is_duty = true;
    st->began_ns = clock_mono_ns();
    rpc_start(call);
}

void leader_sessions_start(struct leader_sessions *l)
{
    l->is_running = true;
    struct tree_iter it;
    store_iter(&it, store_view(l->server->store), INDEX_SESSIONS_ID, STR(""));
    for (const struct session *row; (row = tree_next(&it, NULL)) != NULL;) {
        int64_t ttl_ns;
        if (row->ttl.n > 0 && duration_parse(row->ttl, &ttl_ns) == 0 && ttl_ns > 0) {
            leader_sessions_touch(l, row->id, (uint64_t)ttl_ns / NS_PER_MS);
        }
    }
}

void leader_sessions_stop(struct leader_sessions *l)
{
    l->is_running = false;
    size_t pos = 0;
    void *value;
    struct str id;
    while (map_next(&l->timers, &pos, &id, &value)) {
        struct session_timer *st = value;
        loop_timer_stop(l->server->main->loop, &st->timer);
        mem_free(st);
    }
    map_clear(&l->timers);
    metric_set(&metric_sessions, 0);
}

struct leader_sessions *leader_sessions_new(struct server *s)
{
    struct leader_sessions *l = xcalloc(1, sizeof(*l));
    l->server = s;
    return l;
}

struct leader_sessions *leader_sessions_free(struct leader_sessions *l)
{
    if (l != NULL) {
        size_t pos = 0;
        void *value;
        struct str id;
        while (map_next(&l->timers, &pos, &id, &value)) {
            mem_free(value);
        }
        map_deinit(&l->timers);
    }
    return mem_free(l);
}
