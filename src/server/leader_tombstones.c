#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "fsm/fsm.h"
#include "schema/kv.h"
#include "schema/msgpack.h"
#include "server/leader_parts.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/store.h"

static struct metric metric_reap = METRIC_SAMPLE("leader.reapTombstones");

/* Tombstones of the same granule are reaped together. */
#define TOMBSTONE_GRANULES_MAX 64u

struct tombstone_granule {
    uint64_t deadline_ms;
    uint64_t raft_index;
};

struct leader_tombstones {
    struct server *server;
    bool is_running;
    struct tombstone_granule granules[TOMBSTONE_GRANULES_MAX]; /* oldest first */
    size_t granules_count;
    struct loop_timer timer;
    uint64_t reap_began_ns; /* of the last one */
};

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

static void tombstones_schedule(struct leader_tombstones *l)
{
    uint64_t now = loop_now_ms(l->server->main->loop);
    if (l->granules_count > 0 && !loop_timer_is_active(&l->timer)) {
        uint64_t deadline = l->granules[0].deadline_ms;
        loop_timer_start(l->server->main->loop, &l->timer, deadline > now ? deadline - now : 0,
                         tombstones_due);
    }
}

static void tombstones_reaped(struct rpc_call *call)
{
    const struct leader_tombstones *l = call->data;
    metric_observe(&metric_reap, (double)(clock_mono_ns() - l->reap_began_ns) / (double)NS_PER_MS);
    if (call->err != NULL) {
        log_write(LOG_ERROR, "agent.server", "failed to reap tombstones",
                  LOG_CSTR("error", err_text(call->err)));
    }
    rpc_call_free(call);
}

static void tombstones_due(struct loop_timer *t)
{
    struct leader_tombstones *l = container_of(t, struct leader_tombstones, timer);
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
        call->data = l;
        l->reap_began_ns = clock_mono_ns();
        call->is_duty = true;
        rpc_start(call);
    }
    tombstones_schedule(l);
}

void leader_tombstones_add(struct leader_tombstones *l, uint64_t raft_index)
{
    if (!l->is_running) {
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

void leader_tombstones_start(struct leader_tombstones *l)
{
    l->is_running = true;
    leader_tombstones_add(l, store_view(l->server->store)->last_index);
}

void leader_tombstones_stop(struct leader_tombstones *l)
{
    l->is_running = false;
    l->granules_count = 0;
    loop_timer_stop(l->server->main->loop, &l->timer);
}

struct leader_tombstones *leader_tombstones_new(struct server *s)
{
    struct leader_tombstones *l = xcalloc(1, sizeof(*l));
    l->server = s;
    return l;
}

struct leader_tombstones *leader_tombstones_free(struct leader_tombstones *l)
{
    return mem_free(l);
}
