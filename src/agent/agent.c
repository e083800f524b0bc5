#include "agent/agent.h"

#include "agent/coordinate.h"
#include "agent/join.h"
#include "agent/load.h"
#include "agent/persist.h"
#include "agent/service.h"
#include "agent/state.h"
#include "agent/sync.h"
#include "agent/tls.h"
#include "agent/user_event.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "loop/tls_context.h"
#include "proto/serf.h"
#include "server/delegate.h"
#include "server/membership.h"
#include "server/server_info.h"
#include "server/user_events.h"

/* --- publishing and reading ------------------------------------------------------------------ */

static void publish_now(struct loop_msg *msg)
{
    struct agent *a = container_of(msg, struct agent, publish_msg);
    a->publish_is_due = false;
    local_publish(a->local);
    struct list *node;
    while ((node = list_pop_front(&a->woken)) != NULL) {
        agent_call_finish(list_entry(node, struct agent_call, node));
    }
}

void agent_publish_soon(struct agent *a)
{
    if (!a->publish_is_due) {
        a->publish_is_due = true;
        a->publish_msg.run = publish_now;
        loop_defer(a->loop, &a->publish_msg);
    }
}

const struct local_root *agent_read_begin(struct agent *a, const struct worker *w)
{
    ASSERT(w->id < AGENT_READERS_MAX);
    epoch_enter(a->epoch, a->slots[w->id]);
    return local_root(a->local);
}

void agent_read_end(struct agent *a, const struct worker *w)
{
    epoch_leave(a->epoch, a->slots[w->id]);
}

const struct agent_config *agent_config(const struct agent *a)
{
    return conf(a);
}

struct str agent_node_id(const struct agent *a)
{
    return a->node_id;
}

struct loop *agent_loop(const struct agent *a)
{
    return a->loop;
}

size_t agent_cluster_size(const struct agent *a)
{
    struct member_list *list = membership_list(a->worker->delegate->membership);
    size_t alive = 0;
    for (size_t i = 0; i < list->count; i++) {
        alive += list->v[i]->status == MEMBER_ALIVE;
    }
    (void)member_list_unref(list);
    return MAX(alive, (size_t)1);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void call_done(struct loop_msg *msg)
{
    struct agent_call *call = container_of(msg, struct agent_call, msg);
    if (call->abort_is_out) {
        call->done_is_due = true; /* abort_returned() goes on */
        return;
    }
    call->done(call);
}

static void call_run(struct loop_msg *msg)
{
    struct agent_call *call = container_of(msg, struct agent_call, msg);
    if (call->agent->is_stopped) {
        /* The loop is being freed, after the caller's: nobody is there to post to. An abort may be
         * in the inbox behind this. */
        (void)err_set(&call->err, ERR_CLOSED, "the agent is shutting down");
        call_done(&call->msg);
        return;
    }
    call->run(call);
}

void agent_call(struct agent *a, struct loop *home, struct agent_call *call)
{
    call->agent = a;
    call->home = home;
    call->msg.run = call_run;
    loop_post(a->loop, &call->msg);
}

void agent_call_finish(struct agent_call *call)
{
    loop_timer_stop(call->agent->loop, &call->timer);
    local_publish(call->agent->local);
    call->msg.run = call_done;
    loop_post(call->home, &call->msg);
}

void agent_call_finish_synced(struct agent_call *call)
{
    if (sync_is_settled(call->agent->sync)) {
        agent_call_finish(call);
        return;
    }
    sync_wait(call->agent->sync, call);
}

static void wait_over(struct loop_timer *t)
{
    struct agent_call *call = container_of(t, struct agent_call, timer);
    list_remove(&call->node);
    agent_call_finish(call);
}

void agent_call_wait(struct agent_call *call, struct list *waiters, uint64_t wait_ms)
{
    list_push_back(waiters, &call->node);
    loop_timer_start(call->agent->loop, &call->timer, wait_ms, wait_over);
}

static void abort_returned(struct loop_msg *msg)
{
    struct agent_call *call = container_of(msg, struct agent_call, abort_msg);
    call->abort_is_out = false;
    if (call->done_is_due) {
        call->done(call);
    }
}

static void abort_run(struct loop_msg *msg)
{
    struct agent_call *call = container_of(msg, struct agent_call, abort_msg);
    struct agent *a = call->agent;
    if (a->is_stopped) {
        call->abort_is_out = false;
        if (list_is_linked(&call->node) || call->done_is_due) {
            list_remove(&call->node);
            call->done(call);
        }
        return;
    }
    if (list_is_linked(&call->node)) {
        list_remove(&call->node);
        agent_call_finish(call);
    }
    call->abort_msg.run = abort_returned;
    loop_post(call->home, &call->abort_msg);
}

void agent_call_abort(struct agent_call *call)
{
    call->abort_is_out = true;
    call->abort_msg.run = abort_run;
    loop_post(call->agent->loop, &call->abort_msg);
}

/* --- what the local state tells -------------------------------------------------------------- */

static void local_out_of_step(void *data)
{
    struct agent *a = data;
    if (a->sync != NULL) {
        sync_changes_soon(a->sync);
    }
}

static void local_changed(void *data, struct str service_id)
{
    struct agent *a = data;
    checks_service_changed(&a->checks, service_id);
}

/* They are answered at the end of the turn: a reload, which takes everything down and up again, is
 * then just a change. */
static void local_wake(void *data, struct list *waiters)
{
    struct agent *a = data;
    list_splice_back(&a->woken, waiters);
    agent_publish_soon(a);
}

/* --- timers ---------------------------------------------------------------------------------- */

/* Services whose check has been critical for too long go. */
static void reap_due(struct loop_timer *t)
{
    struct agent *a = container_of(t, struct agent, reap_timer);
    uint64_t now_ms = loop_now_ms(a->loop);
    struct arena arena = {0};
    VEC(struct check_entry *) overdue = {0};
    list_for_each (node, &a->checks.all) {
        const struct check *c = list_entry(node, struct check, node);
        struct check_entry *e = c->entry;
        if (c->reap_after_ms > 0 && e->critical_since_ms > 0 && e->row->service_id.n > 0 &&
            now_ms - e->critical_since_ms > c->reap_after_ms) {
            avec_push(&arena, &overdue, e);
        }
    }
    for (size_t i = 0; i < overdue.n; i++) {
        struct check_entry *e = overdue.v[i];
        if (e->row == NULL) {
            continue; /* went with a service reaped before */
        }
        struct str service_id = arena_str(&arena, e->row->service_id);
        service_drop(a, service_id, true);
        log_write(LOG_INFO, "agent",
                  "Check for service has been critical for too long; deregistered service",
                  LOG_STR("service", service_id), LOG_STR("check", e->id));
    }
    arena_deinit(&arena);
    uint64_t interval_ms = (uint64_t)conf(a)->checks_config.reap_interval / NS_PER_MS;
    loop_timer_start(a->loop, t, MAX(interval_ms, (uint64_t)100), reap_due);
}

static void sync_soon_now(struct loop_msg *msg)
{
    struct agent *a = container_of(msg, struct agent, sync_soon_msg);
    atomic_store(&a->sync_soon_is_due, false);
    if (!a->is_stopped) {
        sync_full_soon(a->sync);
    }
}

void agent_sync_soon(struct agent *a)
{
    if (!atomic_exchange(&a->sync_soon_is_due, true)) {
        a->sync_soon_msg.run = sync_soon_now;
        loop_post(a->loop, &a->sync_soon_msg);
    }
}

/* A client need not wait for its next sync once there is a server to ask. */
static void member_event(struct membership_listener *l, enum membership_event event,
                         const struct member *member)
{
    struct agent *a = container_of(l, struct agent, listener);
    struct arena arena = {0};
    struct server_info info;
    if (a->worker->server == NULL && event == MEMBERSHIP_JOIN &&
        server_info_of(member, &arena, &info)) {
        sync_full_soon(a->sync);
    }
    arena_deinit(&arena);
}

/* Nor need anybody once there is a leader. */
static void leader_event(struct membership_listener *l, const struct serf_user_event *event)
{
    if (str_eq(event->name, NEW_LEADER_EVENT)) {
        sync_full_soon(container_of(l, struct agent, listener)->sync);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

int agent_new(const struct agent_options *options, struct agent **ret_agent, struct err *err)
{
    const struct agent_config *config = options->config;
    if (config->node_name.n == 0) {
        return err_set(err, ERR_INVALID, "the agent needs a node name");
    }
    struct agent *a = xcalloc(1, sizeof(*a));
    a->options = *options;
    a->options.node_id = STR_NULL;
    atomic_init(&a->config, options->config);
    a->node_id = str_make(str_to_cstr(options->node_id), options->node_id.n);
    a->worker = options->main;
    a->loop = options->main->loop;
    a->epoch = epoch_new();
    for (size_t i = 0; i < AGENT_READERS_MAX; i++) {
        a->slots[i] = epoch_register(a->epoch);
    }
    list_init(&a->woken);
    list_init(&a->leavers);
    a->joins = joins_new(a);
    a->coordinate = agent_coordinate_new(a);
    checks_init(&a->checks, a);
    watch_plans_init(&a->watches, a);
    remote_exec_init(&a->remote_exec, a);
    const struct local_options local = {
        .loop = a->loop,
        .epoch = a->epoch,
        .rng = &a->worker->rng,
        .node_name = config->node_name,
        .check_update_interval_ms = (uint64_t)config->checks_config.update_interval / NS_PER_MS,
        .discard_output = config->checks_config.discard_output,
        .out_of_step = local_out_of_step,
        .changed = local_changed,
        .wake = local_wake,
        .data = a,
    };
    a->local = local_new(&local);
    a->sync = sync_new(a);
    a->events = user_events_new();
    a->listener.event = member_event;
    a->listener.user_event = leader_event;
    membership_listen(a->worker->delegate->membership, &a->listener);
    user_events_start(a->events, a);
    a->tokens.shared = &a->worker->delegate->secrets;
    tokens_load(&a->tokens, conf(a)); /* before any request comes */
    *ret_agent = a;
    return 0;
}

int agent_start(struct agent *a, struct err *err)
{
    const struct agent_config *config = conf(a);
    load_metadata(a, config);
    int rc = load_services(a, config, NULL, err);
    rc = rc < 0 ? rc : load_checks(a, config, NULL, err);
    rc = rc < 0 ? rc : watch_plans_load(&a->watches, config, err);
    if (rc < 0) {
        return rc;
    }
    local_publish(a->local);
    a->is_started = true;
    reap_due(&a->reap_timer);
    sync_start(a->sync);
    joins_start(a->joins);
    agent_coordinate_start(a->coordinate);
    return 0;
}

void agent_stop(struct agent *a)
{
    if (a->is_stopped) {
        return;
    }
    a->is_stopped = true;
    list_remove(&a->listener.node);
    loop_timer_stop(a->loop, &a->reap_timer);
    joins_stop(a->joins);
    agent_coordinate_stop(a->coordinate);
    list_splice_back(&a->woken, &a->leavers);
    list_for_each (node, &a->checks.all) {
        check_remove(list_entry(node, struct check, node));
    }
    watch_plans_stop(&a->watches);
    remote_exec_stop(&a->remote_exec);
    if (a->is_started) {
        sync_stop(a->sync);
    }
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&a->local->services, &at, &key, &value)) {
        list_splice_back(&a->woken, &((struct service_entry *)value)->waiters);
    }
    user_events_stop(a->events);
    user_events_wake(a->events, &a->woken);
    publish_now(&a->publish_msg);
    local_stop(a->local);
    service_configs_deinit(&a->service_configs);
    checks_deinit(&a->checks);
}

/* --- leaving --------------------------------------------------------------------------------- */

static void left_end(struct loop_msg *msg)
{
    struct agent *a = container_of(msg, struct agent, left_msg);
    a->options.ops->leave(a->options.ops_data);
}

/* On the loop of the last call: its answer has been written when this turn ends. */
static void left_answered(struct loop_msg *msg)
{
    struct agent *a = container_of(msg, struct agent, left_msg);
    msg->run = left_end;
    loop_post(a->loop, msg);
}

static void leave_done(void *data)
{
    struct agent *a = data;
    struct loop *home = a->loop;
    a->has_left = true;
    for (struct list *node; (node = list_pop_front(&a->leavers)) != NULL;) {
        struct agent_call *call = list_entry(node, struct agent_call, node);
        home = call->home;
        agent_call_finish(call);
    }
    a->left_msg.run = left_answered;
    loop_post(home, &a->left_msg);
}

void agent_leave(struct agent *a)
{
    if (a->is_leaving) {
        return;
    }
    a->is_leaving = true;
    joins_stop(a->joins);
    sync_stop(a->sync); /* the leader takes this node out, and nobody is to put it back */
    delegate_leave(a->worker->delegate, leave_done, a);
}

void agent_leave_call(struct agent *a, struct agent_call *call)
{
    if (a->has_left) {
        agent_call_finish(call);
        return;
    }
    list_push_back(&a->leavers, &call->node);
    agent_leave(a);
}

static void config_retired(void *config)
{
    config_unref(config);
}

struct agent *agent_free(struct agent *a)
{
    if (a == NULL) {
        return NULL;
    }
    a->sync = sync_free(a->sync);
    a->joins = joins_free(a->joins);
    a->coordinate = agent_coordinate_free(a->coordinate);
    a->local = local_free(a->local);
    a->events = user_events_free(a->events);
    tokens_deinit(&a->tokens);
    expose_deinit(&a->expose);
    for (size_t i = 0; i < AGENT_READERS_MAX; i++) {
        epoch_unregister(a->epoch, a->slots[i]);
    }
    epoch_free(a->epoch);
    config_unref(atomic_load(&a->config));
    mem_free((void *)(uintptr_t)a->node_id.p);
    return mem_free(a);
}

/* --- reload ---------------------------------------------------------------------------------- */

/* The checks' states before everything is taken down, in the arena. */
static void take_snapshot(struct agent *a, struct map *snapshot, struct arena *arena)
{
    local_publish(a->local);
    const struct local_root *root = local_root(a->local);
    struct tree_iter it;
    const struct health_check *check;
    tree_iter_prefix(&it, &root->checks, STR_NULL);
    while ((check = tree_next(&it, NULL)) != NULL) {
        struct health_check *copy = schema_copy(arena, &health_check_schema, check);
        (void)map_put(snapshot, copy->check_id, copy);
    }
}

/* Within one turn, so that readers never see the state half loaded. When it fails, what had been
 * loaded by then stays and the rest is gone, as in Consul (agent_token_reload pins it). */
static int reload(struct agent *a, const struct agent_config *config, struct err *err)
{
    struct arena arena = {0};
    struct map snapshot = {.flags = MAP_KEYS_BORROWED};
    take_snapshot(a, &snapshot, &arena);
    unload_all(a);
    tokens_load(&a->tokens, config);
    a->local->options.discard_output = config->checks_config.discard_output;
    int rc = load_services(a, config, &snapshot, err);
    if (rc < 0) {
        rc = err_wrap(err, "Failed reloading services");
    } else {
        rc = load_checks(a, config, &snapshot, err);
        if (rc < 0) {
            rc = err_wrap(err, "Failed reloading checks");
        }
    }
    if (rc >= 0) {
        load_metadata(a, config);
        if (watch_plans_load(&a->watches, config, err) < 0) {
            rc = err_wrap(err, "Failed reloading watches");
        }
    }
    map_deinit(&snapshot);
    arena_deinit(&arena);
    local_publish(a->local);
    return rc;
}

int agent_reload(struct agent *a, struct err *err)
{
    struct agent_config *config = NULL;
    int rc = a->options.ops->load_config(a->options.ops_data, &config, err);
    if (rc < 0) {
        return rc;
    }
    struct tls_context *tls = NULL;
    if (agent_tls_context(config, &tls, err) < 0) { /* before anything is taken down */
        rc = err_wrap(err, "Failed reloading tls configuration");
    }
    rc = rc < 0 ? rc : reload(a, config, err);
    if (rc < 0) {
        (void)tls_context_unref(tls);
        config_unref(config);
        return rc;
    }
    if (a->options.tls != NULL) {
        tls_configurator_set(a->options.tls, TAKE(tls));
    }
    (void)tls_context_unref(tls);
    struct agent_config *old = atomic_exchange(&a->config, config);
    epoch_retire(a->epoch, old, config_retired);
    if (a->options.ops->config_changed != NULL) {
        a->options.ops->config_changed(a->options.ops_data, config);
    }
    (void)epoch_collect(a->epoch);
    return 0;
}
