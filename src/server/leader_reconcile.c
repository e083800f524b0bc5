/* A queue of members to look at. The first of it is brought into order step by step: reconcile.c
 * says the next one, it is carried out (a change of Raft's configuration, a registration), and the
 * member is looked at again, until there is nothing left to do or a step failed; that is logged,
 * and the next full round tries again. One step is under way at a time, since each may change what
 * the next one is. */
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "raft/configuration.h"
#include "server/autopilot.h"
#include "server/leader_parts.h"
#include "server/raft_ask.h"
#include "server/reconcile.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/store.h"

/* Without its own entry a leader does not call itself one: soon again. */
#define SELF_RETRY_MS 1000u
/* A step that does not change what it should must not keep the leader busy. */
#define STEPS_MAX 8u
/* Events beyond that are left to the next full round. */
#define JOBS_MAX 512u

static struct metric metric_member = METRIC_SAMPLE("leader.reconcileMember");
static struct metric metric_round = METRIC_SAMPLE("leader.reconcile");

struct job {
    struct list node;
    struct member *member; /* one block */
    bool is_reaped;
    uint32_t steps;
    uint64_t started_ms; /* 0: not yet */
};

struct leader_reconcile {
    struct server *server;
    bool is_running;
    bool is_acting;      /* a step of the first job is under way */
    bool unknown_is_due; /* when the queue is empty, nodes that are no members are looked for */
    struct list jobs;
    size_t jobs_count;
    struct map waiting[2];     /* by name, those that have not begun; of members, of reaped ones */
    uint64_t round_started_ms; /* 0: none is going on */
    struct loop_timer timer;
    struct raft_ask ask;
    struct reconcile_step step; /* under way; points into arena */
    struct arena arena;
    struct member_list *members; /* as they were when the step was looked for */
    struct map by_name;          /* the same, once they are looked at again; or empty */
};

static void reconcile_go_on(struct leader_reconcile *l);

/* --- the queue ------------------------------------------------------------------------------- */

static void job_add(struct leader_reconcile *l, const struct member *m, bool is_reaped)
{
    if (map_get(&l->waiting[is_reaped], m->name) != NULL) {
        return; /* it will be looked at as it is then */
    }
    if (l->jobs_count < JOBS_MAX) {
        struct job *j = xcalloc(1, sizeof(*j));
        j->member = schema_clone(&member_schema, m, NULL);
        j->is_reaped = is_reaped;
        list_push_back(&l->jobs, &j->node);
        l->jobs_count++;
        (void)map_put(&l->waiting[is_reaped], m->name, j);
    }
}

/* It does not wait any more: what comes now about its member is another job. */
static void job_begins(struct leader_reconcile *l, const struct job *j)
{
    struct map *waiting = &l->waiting[j->is_reaped];
    if (map_get(waiting, j->member->name) == j) {
        (void)map_remove(waiting, j->member->name);
    }
}

static void job_free(struct leader_reconcile *l, struct job *j)
{
    job_begins(l, j);
    list_remove(&j->node);
    l->jobs_count--;
    mem_free(j->member);
    mem_free(j);
}

static struct job *job_first(struct leader_reconcile *l)
{
    return list_is_empty(&l->jobs) ? NULL : list_entry(l->jobs.next, struct job, node);
}

static bool job_is_self(const struct leader_reconcile *l, const struct job *j)
{
    return str_eq(j->member->name, l->server->options.node_name);
}

/* --- a step ---------------------------------------------------------------------------------- */

static void job_failed(struct leader_reconcile *l, struct job *j, const struct err *err);

static void step_done(struct leader_reconcile *l, int code, const struct err *err)
{
    struct job *j = job_first(l);
    l->is_acting = false;
    if (code < 0 && j != NULL && j->steps > 0) { /* else leadership was lost, and the job with it */
        job_failed(l, j, err);
    }
    reconcile_go_on(l);
}

static void write_done(struct rpc_call *call)
{
    struct leader_reconcile *l = call->data;
    struct err err = {0};
    if (call->err != NULL) {
        err = *call->err;
    }
    rpc_call_free(call);
    step_done(l, -err.code, &err);
}

static void step_register(struct leader_reconcile *l)
{
    struct rpc_call *call = rpc_call_new(l->server->main, &rpc_catalog_register);
    struct register_request *copy =
        schema_copy(&call->arena, &register_request_schema, &l->step.registration);
    *(struct register_request *)call->args = *copy;
    call->done = write_done;
    call->data = l;
    call->is_duty = true;
    rpc_start(call);
}

static void step_deregister(struct leader_reconcile *l, const struct job *j)
{
    struct rpc_call *call = rpc_call_new(l->server->main, &rpc_catalog_deregister);
    struct deregister_request *args = call->args;
    args->datacenter = l->server->options.datacenter;
    args->node = arena_str(&call->arena, j->member->name);
    call->done = write_done;
    call->data = l;
    call->is_duty = true;
    rpc_start(call);
}

static void change_done(struct raft_ask *q)
{
    struct leader_reconcile *l = q->data;
    struct str id = str_from_cstr(q->request.id), address = str_from_cstr(q->request.address);
    bool removes = q->request.change == RAFT_REMOVE_SERVER;
    if (q->code < 0) {
        log_write(LOG_ERROR, "agent.server.autopilot",
                  removes                               ? "failed to remove raft server"
                  : q->request.change == RAFT_ADD_VOTER ? "failed to add raft voting peer"
                                                        : "failed to add raft non-voting peer",
                  LOG_STR("id", id), LOG_STR("address", address),
                  LOG_CSTR("error", err_text(&q->request.err)));
    } else if (removes) {
        log_write(LOG_INFO, "agent.server.autopilot",
                  l->step.replaces ? "removed server with duplicate address" : "removed server",
                  LOG_STR("id", id), LOG_STR("address", address));
    } else {
        autopilot_prune_soon(l->server->autopilot);
    }
    step_done(l, q->code, &q->request.err);
}

static void step_change(struct leader_reconcile *l)
{
    l->ask = (struct raft_ask){.done = change_done, .data = l};
    raft_ask_change(&l->ask, l->step.change, l->step.id, l->step.address);
    raft_ask_start(l->server, &l->ask);
}

static void step_log(const struct leader_reconcile *l, const struct job *j)
{
    if (l->step.log == NULL) {
        return;
    }
    if (l->step.kind == RECONCILE_DEREGISTER) {
        log_write(LOG_INFO, "agent.server", l->step.log, LOG_STR("member", j->member->name),
                  LOG_CSTR("reason", j->is_reaped ? "reaped" : "left"));
    } else {
        log_write(LOG_INFO, "agent.server", l->step.log, LOG_STR("member", j->member->name));
    }
}

/* --- a member -------------------------------------------------------------------------------- */

static void job_done(struct leader_reconcile *l, struct job *j)
{
    if (job_is_self(l, j) && reconcile_is_registered(store_view(l->server->store), j->member)) {
        atomic_store(&l->server->is_established, true);
    }
    metric_observe(&metric_member, (double)(clock_mono_ms() - j->started_ms));
    job_free(l, j);
}

static void round_due(struct loop_timer *t);

static void job_failed(struct leader_reconcile *l, struct job *j, const struct err *err)
{
    log_write(LOG_ERROR, "agent.server", "failed to reconcile member",
              LOG_STR("member", j->member->name), LOG_CSTR("error", err_text(err)));
    if (job_is_self(l, j) && !atomic_load(&l->server->is_established)) {
        loop_timer_start(l->server->main->loop, &l->timer, SELF_RETRY_MS, round_due);
    }
    job_free(l, j);
}

/* What a step points to lives until the next one is looked for. */
static void members_look(struct leader_reconcile *l)
{
    struct member_list *list = membership_list(l->server->delegate.membership);
    if (list != l->members) {
        map_clear(&l->by_name);
    } else if (l->by_name.n == 0) { /* a round: all of the same list are looked for */
        for (size_t i = 0; i < list->count; i++) {
            (void)map_put(&l->by_name, list->v[i]->name, (void *)(uintptr_t)list->v[i]);
        }
    }
    (void)member_list_unref(l->members);
    l->members = list;
}

static const struct member *member_now(const struct leader_reconcile *l, struct str name)
{
    return l->by_name.n > 0 ? map_get(&l->by_name, name) : member_list_find(l->members, name);
}

static void input_make(struct leader_reconcile *l, struct reconcile_input *ret_in)
{
    struct server *s = l->server;
    struct raft_configuration *c = ARENA_NEW(&l->arena, struct raft_configuration);
    uint64_t index;
    raft_get_configuration(s->raft, c, &index);
    *ret_in = (struct reconcile_input){
        .datacenter = s->options.datacenter,
        .self = s->options.node_name,
        .view = store_view(s->store),
        .configuration = c,
    };
    members_look(l);
    ret_in->members = l->members->v;
    ret_in->count = l->members->count;
}

/* What the job's member needs next, into l->step. Members are looked at as they are now. */
static void job_look(struct leader_reconcile *l, struct job *j)
{
    struct reconcile_input in;
    input_make(l, &in);
    const struct member *m = member_now(l, j->member->name);
    l->step = (struct reconcile_step){.kind = RECONCILE_NOTHING};
    if (j->is_reaped) {
        if (m == NULL) { /* else it is back */
            reconcile_next_reaped(&in, j->member, &l->arena, &l->step);
        }
    } else if (m == NULL) {
        return; /* gone since: its own event follows */
    } else if (!reconcile_concerns(&in, m, &l->arena)) {
        log_write(LOG_WARN, "agent.server", "skipping reconcile of node",
                  LOG_STR("member", m->name));
    } else {
        reconcile_next(&in, m, &l->arena, &l->step);
    }
}

/* True when a step is under way, false when the job is over. */
static bool job_step(struct leader_reconcile *l, struct job *j)
{
    if (j->started_ms == 0) {
        job_begins(l, j);
        j->started_ms = clock_mono_ms();
    }
    arena_reset(&l->arena);
    job_look(l, j);
    step_log(l, j);
    if (l->step.kind == RECONCILE_NOTHING) {
        job_done(l, j);
        return false;
    }
    if (l->step.kind == RECONCILE_REFUSED || j->steps++ == STEPS_MAX) {
        if (l->step.err.code == 0) {
            (void)err_set(&l->step.err, ERR_INTERNAL, "no agreement after %u steps", STEPS_MAX);
        }
        job_failed(l, j, &l->step.err);
        return false;
    }
    l->is_acting = true;
    if (l->step.kind == RECONCILE_RAFT_CHANGE) {
        step_change(l);
    } else if (l->step.kind == RECONCILE_REGISTER) {
        step_register(l);
    } else {
        step_deregister(l, j);
    }
    return true;
}

/* --- rounds ---------------------------------------------------------------------------------- */

static void unknown_add(struct leader_reconcile *l)
{
    struct reconcile_input in;
    struct member *unknown;
    arena_reset(&l->arena);
    input_make(l, &in);
    size_t n = reconcile_unknown(&in, &l->arena, &unknown);
    for (size_t i = 0; i < n; i++) {
        job_add(l, &unknown[i], true);
    }
}

static void reconcile_go_on(struct leader_reconcile *l)
{
    while (l->is_running && !l->is_acting) {
        struct job *j = job_first(l);
        if (j != NULL) {
            if (job_step(l, j)) {
                return;
            }
        } else if (l->unknown_is_due) {
            l->unknown_is_due = false;
            unknown_add(l);
        } else {
            if (l->round_started_ms > 0) {
                metric_observe(&metric_round, (double)(clock_mono_ms() - l->round_started_ms));
                l->round_started_ms = 0;
            }
            return;
        }
    }
}

static void round_due(struct loop_timer *t)
{
    struct leader_reconcile *l = container_of(t, struct leader_reconcile, timer);
    struct member_list *list = membership_list(l->server->delegate.membership);
    for (size_t i = 0; i < list->count; i++) {
        job_add(l, list->v[i], false);
    }
    (void)member_list_unref(list);
    l->unknown_is_due = true;
    l->round_started_ms = clock_mono_ms();
    loop_timer_start(l->server->main->loop, t, RECONCILE_INTERVAL_MS, round_due);
    reconcile_go_on(l);
}

void leader_reconcile_event(struct leader_reconcile *l, enum membership_event event,
                            const struct member *member)
{
    if (l->is_running) {
        job_add(l, member, event == MEMBERSHIP_REAP);
        reconcile_go_on(l);
    }
}

void leader_reconcile_start(struct leader_reconcile *l)
{
    l->is_running = true;
    round_due(&l->timer);
}

/* A step under way comes back to an empty queue. */
void leader_reconcile_stop(struct leader_reconcile *l)
{
    l->is_running = false;
    l->unknown_is_due = false;
    l->round_started_ms = 0;
    loop_timer_stop(l->server->main->loop, &l->timer);
    while (job_first(l) != NULL) {
        job_free(l, job_first(l));
    }
}

struct leader_reconcile *leader_reconcile_new(struct server *s)
{
    struct leader_reconcile *l = xcalloc(1, sizeof(*l));
    l->server = s;
    list_init(&l->jobs);
    return l;
}

struct leader_reconcile *leader_reconcile_free(struct leader_reconcile *l)
{
    if (l != NULL) {
        while (job_first(l) != NULL) {
            job_free(l, job_first(l));
        }
        map_deinit(&l->waiting[0]);
        map_deinit(&l->waiting[1]);
        map_deinit(&l->by_name);
        (void)member_list_unref(l->members);
        arena_deinit(&l->arena);
    }
    return mem_free(l);
}
