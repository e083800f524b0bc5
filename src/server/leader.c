/* Taking up the duties: leader_gained() posts to the main loop; there the sessions with a TTL get
 * their timers, the server's own entry of the catalog is written if it is missing or wrong, and the
 * tombstone clock starts. Losing leadership drops all timers.
 *
 * Expiry of a session proposes its destruction; when that fails (no leader any more, queue full) it
 * is tried again after a growing pause, six times, as in Consul. */
#include "server/leader.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "fsm/fsm.h"
#include "schema/kv.h"
#include "schema/msgpack.h"
#include "schema/session.h"
#include "server/autopilot.h"
#include "server/ca_manager.h"
#include "server/leader_config_entries.h"
#include "server/rpc.h"
#include "server/self.h"
#include "server/server.h"
#include "store/session.h"

#define SESSION_DESTROY_ATTEMPTS_MAX 6u
#define SESSION_DESTROY_RETRY_MS 10000u
/* Tombstones of the same granule are reaped together. */
#define TOMBSTONE_GRANULES_MAX 64u

static struct metric metric_sessions = METRIC_GAUGE("session_ttl.active");

struct session_timer {
    struct loop_timer timer;
    struct leader *leader;
    uint32_t attempts;
    struct str id; /* behind the struct */
};

struct tombstone_granule {
    uint64_t deadline_ms;
    uint64_t raft_index;
};

struct leader {
    struct server *server;
    bool is_leading;
    bool is_stopped; /* the server ends: no duties any more */
    struct map sessions;                                       /* id -> struct session_timer */
    struct tombstone_granule granules[TOMBSTONE_GRANULES_MAX]; /* oldest first */
    size_t granules_count;
    struct loop_timer tombstone_timer;
    struct loop_timer register_timer;
    struct ca_manager *ca;
};

enum leader_note {
    NOTE_GAINED,
    NOTE_LOST,
    NOTE_RESTORED,
    NOTE_TOUCH,
    NOTE_FORGET,
    NOTE_TOMBSTONES,
};

/* A notification on its way to the main loop. */
struct leader_msg {
    struct loop_msg msg;
    struct leader *leader;
    enum leader_note note;
    uint64_t number; /* ttl_ms or a Raft index */
    size_t id_size;
    char id[];
};

static void leader_msg_run(struct loop_msg *msg);

static void leader_note(struct leader *l, enum leader_note note, struct str id, uint64_t number)
{
    struct leader_msg *m = xmalloc(sizeof(*m) + id.n);
    *m = (struct leader_msg){.leader = l, .note = note, .number = number, .id_size = id.n};
    m->msg.run = leader_msg_run;
    memcpy(m->id, id.p, id.n);
    loop_post(l->server->main->loop, &m->msg);
}

void leader_restored(struct leader *l)
{
    leader_note(l, NOTE_RESTORED, STR(""), 0);
}

void leader_gained(struct leader *l)
{
    leader_note(l, NOTE_GAINED, STR(""), 0);
}

void leader_lost(struct leader *l)
{
    leader_note(l, NOTE_LOST, STR(""), 0);
}

void leader_session_touch(struct leader *l, struct str session_id, uint64_t ttl_ms)
{
    leader_note(l, NOTE_TOUCH, session_id, ttl_ms);
}

void leader_session_forget(struct leader *l, struct str session_id)
{
    leader_note(l, NOTE_FORGET, session_id, 0);
}

void leader_tombstones_made(struct leader *l, uint64_t raft_index)
{
    leader_note(l, NOTE_TOMBSTONES, STR(""), raft_index);
}

/* --- session TTLs ------------------------------------------------------------------------------
 */

static void session_expired(struct loop_timer *t);

static void session_forget(struct leader *l, struct str id)
{
    struct session_timer *st = map_remove(&l->sessions, id);
    if (st != NULL) {
        loop_timer_stop(l->server->main->loop, &st->timer);
        mem_free(st);
        metric_set(&metric_sessions, (double)l->sessions.n);
    }
}

static void session_touch(struct leader *l, struct str id, uint64_t ttl_ms)
{
    if (!l->is_leading) {
        return;
    }
    if (ttl_ms == 0) {
        session_forget(l, id);
        return;
    }
    struct session_timer *st = map_get(&l->sessions, id);
    if (st == NULL) {
        st = xcalloc(1, sizeof(*st) + id.n);
        st->leader = l;
        st->id = str_make(memcpy(st + 1, id.p, id.n), id.n);
        (void)map_put(&l->sessions, id, st);
        metric_set(&metric_sessions, (double)l->sessions.n);
    }
    st->attempts = 0;
    loop_timer_start(l->server->main->loop, &st->timer, ttl_ms * SESSION_TTL_MULTIPLIER,
                     session_expired);
}

static void session_destroyed(struct rpc_call *call)
{
    struct leader *l = call->data;
    const struct session_request *args = call->args;
    struct session_timer *st = map_get(&l->sessions, args->session.id);
    if (call->err == NULL) {
        log_write(LOG_DEBUG, "agent.server", "Session TTL expired",
                  LOG_STR("session", args->session.id));
        session_forget(l, args->session.id);
    } else if (st != NULL && l->is_leading) {
        log_write(LOG_ERROR, "agent.server", "Invalidation failed",
                  LOG_CSTR("error", err_text(call->err)));
        if (++st->attempts < SESSION_DESTROY_ATTEMPTS_MAX) {
            loop_timer_start(l->server->main->loop, &st->timer,
                             SESSION_DESTROY_RETRY_MS << (st->attempts - 1), session_expired);
        } else {
            log_write(LOG_ERROR, "agent.server", "maximum revoke attempts reached for session",
                      LOG_STR("session", args->session.id));
            session_forget(l, args->session.id);
        }
    }
    rpc_call_free(call);
}

static void session_expired(struct loop_timer *t)
{
    struct session_timer *st = container_of(t, struct session_timer, timer);
    struct server *s = st->leader->server;
    struct rpc_call *call = rpc_call_new(s->main, &rpc_session_apply);
    struct session_request *args = call->args;
    args->op = STR("destroy");
    args->session.id = arena_str(&call->arena, st->id);
    call->done = session_destroyed;
    call->data = st->leader;
    call->is_duty = true;
    rpc_start(call);
}

/* Every session with a TTL starts its time anew under this leader. */
static void sessions_start(struct leader *l)
{
    struct tree_iter it;
    store_iter(&it, store_view(l->server->store), INDEX_SESSIONS_ID, STR(""));
    for (const struct session *row; (row = tree_next(&it, NULL)) != NULL;) {
        int64_t ttl_ns;
        if (row->ttl.n > 0 && duration_parse(row->ttl, &ttl_ns) == 0 && ttl_ns > 0) {
            session_touch(l, row->id, (uint64_t)ttl_ns / NS_PER_MS);
        }
    }
}

static void sessions_stop(struct leader *l)
{
    size_t pos = 0;
    void *value;
    struct str id;
    while (map_next(&l->sessions, &pos, &id, &value)) {
        struct session_timer *st = value;
        loop_timer_stop(l->server->main->loop, &st->timer);
        mem_free(st);
    }
    map_clear(&l->sessions);
    metric_set(&metric_sessions, 0);
}

/* --- tombstones --------------------------------------------------------------------------------
 */

/* Not one of Consul's methods: only the leader asks itself. */
static int tombstone_reap_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    (void)ctx;
    (void)reply;
    buf_byte(entry, FSM_TOMBSTONE);
    msgpack_object(entry, &tombstone_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static const struct rpc_method rpc_tombstone_reap = {
    .name = "Tombstone.Reap",
    .flags = RPC_WRITE,
    .args = &tombstone_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .prepare = tombstone_reap_prepare,
};

static void tombstones_due(struct loop_timer *t);

static void tombstones_schedule(struct leader *l)
{
    uint64_t now = loop_now_ms(l->server->main->loop);
    if (l->granules_count > 0 && !loop_timer_is_active(&l->tombstone_timer)) {
        uint64_t deadline = l->granules[0].deadline_ms;
        loop_timer_start(l->server->main->loop, &l->tombstone_timer,
                         deadline > now ? deadline - now : 0, tombstones_due);
    }
}

static void tombstones_reaped(struct rpc_call *call)
{
    if (call->err != NULL) {
        log_write(LOG_ERROR, "agent.server", "failed to reap tombstones",
                  LOG_CSTR("error", err_text(call->err)));
    }
    rpc_call_free(call);
}

static void tombstones_due(struct loop_timer *t)
{
    struct leader *l = container_of(t, struct leader, tombstone_timer);
    uint64_t now = loop_now_ms(l->server->main->loop);
    uint64_t raft_index = 0;
    size_t due = 0;
    while (due < l->granules_count && l->granules[due].deadline_ms <= now) {
        raft_index = l->granules[due++].raft_index;
    }
    l->granules_count -= due;
    memmove(l->granules, l->granules + due, l->granules_count * sizeof(l->granules[0]));
    if (raft_index > 0) {
        struct rpc_call *call = rpc_call_new(l->server->main, &rpc_tombstone_reap);
        struct tombstone_request *args = call->args;
        args->op = STR("reap");
        args->reap_index = raft_index;
        call->done = tombstones_reaped;
        call->is_duty = true;
        rpc_start(call);
    }
    tombstones_schedule(l);
}

static void tombstones_made(struct leader *l, uint64_t raft_index)
{
    if (!l->is_leading) {
        return;
    }
    const struct server_options *o = &l->server->options;
    uint64_t deadline = loop_now_ms(l->server->main->loop) + o->tombstone_ttl_ms;
    deadline += o->tombstone_granularity_ms - deadline % o->tombstone_granularity_ms;
    struct tombstone_granule *last =
        l->granules_count > 0 ? &l->granules[l->granules_count - 1] : NULL;
    if (last != NULL &&
        (last->deadline_ms == deadline || l->granules_count == TOMBSTONE_GRANULES_MAX)) {
        last->deadline_ms = deadline;
        last->raft_index = MAX(last->raft_index, raft_index);
    } else {
        l->granules[l->granules_count++] =
            (struct tombstone_granule){.deadline_ms = deadline, .raft_index = raft_index};
    }
    tombstones_schedule(l);
}

/* --- the server's own entry --------------------------------------------------------------------
 */

#define REGISTER_RETRY_MS 1000u

static void self_register(struct loop_timer *t);

static void self_registered(struct rpc_call *call)
{
    struct leader *l = call->data;
    if (call->err == NULL && l->is_leading) {
        atomic_store(&l->server->is_established, true);
    } else if (l->is_leading) {
        log_write(LOG_ERROR, "agent.server", "failed to reconcile member",
                  LOG_STR("member", l->server->options.node_name),
                  LOG_CSTR("error", err_text(call->err)));
        loop_timer_start(l->server->main->loop, &l->register_timer, REGISTER_RETRY_MS,
                         self_register);
    }
    rpc_call_free(call);
}

static void self_register(struct loop_timer *t)
{
    struct leader *l = container_of(t, struct leader, register_timer);
    struct server *s = l->server;
    if (self_is_registered(s, store_view(s->store))) {
        atomic_store(&s->is_established, true);
        return;
    }
    log_write(LOG_INFO, "agent.server", "member joined, marking health alive",
              LOG_STR("member", s->options.node_name));
    struct rpc_call *call = rpc_call_new(s->main, &rpc_catalog_register);
    self_registration(s, &call->arena, store_view(s->store), call->args);
    call->done = self_registered;
    call->data = l;
    call->is_duty = true;
    rpc_start(call);
}

/* --- life --------------------------------------------------------------------------------------
 */

static void leader_step_up(struct leader *l)
{
    if (l->is_leading || l->is_stopped) {
        return;
    }
    l->is_leading = true;
    log_write(LOG_INFO, "agent.server", "cluster leadership acquired");
    log_write(LOG_INFO, "agent.server", "New leader elected",
              LOG_STR("payload", l->server->options.node_name));
    sessions_start(l);
    autopilot_start(l->server->autopilot);
    ca_manager_start(l->ca);
    leader_config_entries(l->server);
    tombstones_made(l, store_view(l->server->store)->last_index);
    self_register(&l->register_timer);
}

static void duties_end(struct leader *l)
{
    l->is_leading = false;
    atomic_store(&l->server->is_established, false);
    sessions_stop(l);
    autopilot_stop(l->server->autopilot);
    ca_manager_stop(l->ca);
    loop_timer_stop(l->server->main->loop, &l->tombstone_timer);
    loop_timer_stop(l->server->main->loop, &l->register_timer);
    l->granules_count = 0;
}

static void leader_step_down(struct leader *l)
{
    if (l->is_leading) {
        log_write(LOG_INFO, "agent.server", "cluster leadership lost");
        duties_end(l);
    }
}

void leader_stop(struct leader *l)
{
    l->is_stopped = true;
    if (l->is_leading) {
        duties_end(l);
    }
}

/* As under a new leader, but for the log lines. */
static void leader_take_up_again(struct leader *l)
{
    if (!l->is_leading) {
        return;
    }
    sessions_stop(l);
    sessions_start(l);
    ca_manager_stop(l->ca);
    autopilot_start(l->server->autopilot);
    ca_manager_start(l->ca);
    leader_config_entries(l->server);
    tombstones_made(l, store_view(l->server->store)->last_index);
    self_register(&l->register_timer);
}

static void leader_msg_run(struct loop_msg *msg)
{
    struct leader_msg *m = container_of(msg, struct leader_msg, msg);
    struct str id = str_make(m->id, m->id_size);
    switch (m->note) {
    case NOTE_GAINED:
        leader_step_up(m->leader);
        break;
    case NOTE_LOST:
        leader_step_down(m->leader);
        break;
    case NOTE_RESTORED:
        leader_take_up_again(m->leader);
        break;
    case NOTE_TOUCH:
        session_touch(m->leader, id, m->number);
        break;
    case NOTE_FORGET:
        session_forget(m->leader, id);
        break;
    case NOTE_TOMBSTONES:
        tombstones_made(m->leader, m->number);
        break;
    }
    mem_free(m);
}

struct leader *leader_new(struct server *s)
{
    struct leader *l = xcalloc(1, sizeof(*l));
    l->server = s;
    l->ca = ca_manager_new(s);
    return l;
}

struct leader *leader_free(struct leader *l)
{
    if (l != NULL) {
        size_t pos = 0;
        void *value;
        struct str id;
        while (map_next(&l->sessions, &pos, &id, &value)) {
            mem_free(value);
        }
        map_deinit(&l->sessions);
        l->ca = ca_manager_free(l->ca);
        mem_free(l);
    }
    return NULL;
}
