/* An alias check mirrors the checks of another service, of this node or of another.
 *
 * Of this node: whenever a check of that service, or of the node, changes, the aliases are worked
 * out anew, once at the end of the turn. Of another node: a blocking query for the node's checks;
 * when the service has none there, a second call asks whether it exists at all. */
#include "agent/check.h"
#include "agent/state.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/gofmt.h"
#include "server/rpc.h"

#define ALIAS_WAIT_NS (int64_t)(60 * NS_PER_SEC)
#define ALIAS_STALE_NS (int64_t)(15 * NS_PER_SEC)
#define ALIAS_BACKOFF_AFTER 3u
#define ALIAS_BACKOFF_MS_MAX 60000u

struct check_alias {
    struct check check;
    struct list node; /* in checks->aliases, when local */
    bool is_due;
    /* of another node */
    struct rpc_call *call;
    uint64_t index;
    uint32_t failures;
    struct str status; /* a constant */
    struct buf output;
};

/* What the checks looked at so far amount to. */
struct verdict {
    struct str status;
    struct buf *output;
    bool is_found; /* the service has checks */
};

static void verdict_take(struct verdict *v, const struct check_def *def,
                         const struct health_check *check)
{
    bool is_of_service = str_eq(check->service_id, def->alias_service);
    if (check->service_id.n > 0 && !is_of_service) {
        return;
    }
    v->is_found |= is_of_service;
    bool is_critical = str_eq(check->status, HEALTH_CRITICAL);
    if (str_eq(v->status, HEALTH_CRITICAL)) {
        return; /* nothing can be worse */
    }
    if (is_critical || str_eq(check->status, HEALTH_WARNING)) {
        v->status = is_critical ? HEALTH_CRITICAL : HEALTH_WARNING;
        buf_clear(v->output);
        buf_lit(v->output, "Aliased check ");
        go_quote(v->output, check->name);
        buf_printf(v->output, " failing: %.*s", STRF(check->output));
    } else if (str_eq(v->status, HEALTH_PASSING)) {
        buf_clear(v->output);
        buf_lit(v->output, "All checks passing.");
    }
}

static void verdict_begin(struct verdict *v, struct buf *output)
{
    buf_clear(output);
    buf_lit(output, "No checks found.");
    *v = (struct verdict){.status = HEALTH_PASSING, .output = output};
}

static void verdict_missing(struct verdict *v, const struct check_def *def)
{
    v->status = HEALTH_CRITICAL;
    buf_clear(v->output);
    buf_printf(v->output, "Service %.*s could not be found on node %.*s", STRF(def->alias_service),
               STRF(def->alias_node));
}

/* --- a service of this node ------------------------------------------------------------------ */

static void take_group(struct verdict *v, struct check_alias *alias, const struct local_root *root,
                       struct str service_id)
{
    struct buf prefix = {0};
    struct tree_iter it;
    const struct health_check *check;
    tree_iter_prefix(&it, &root->service_checks, local_key(&prefix, service_id, STR_NULL));
    while ((check = tree_next(&it, NULL)) != NULL) {
        if (!str_eq(check->check_id, alias->check.entry->id)) { /* it must not follow itself */
            verdict_take(v, alias->check.def, check);
        }
    }
    buf_deinit(&prefix);
}

static void alias_update_local(struct check_alias *alias)
{
    struct check *c = &alias->check;
    struct agent *a = c->checks->agent;
    struct buf output = {0};
    struct verdict v;
    verdict_begin(&v, &output);
    const struct local_root *root = local_newest(a->local);
    take_group(&v, alias, root, STR_NULL);
    if (c->def->alias_service.n > 0) {
        take_group(&v, alias, root, c->def->alias_service);
    } else {
        v.is_found = true; /* the node itself is there */
    }
    if (!v.is_found && local_service(a->local, c->def->alias_service) == NULL) {
        verdict_missing(&v, c->def);
    }
    /* Cut, or two aliases of each other would make it longer for ever. */
    check_report_now(c, v.status, str_first(buf_view(&output), CHECK_OUTPUT_SIZE_DEFAULT));
    buf_deinit(&output);
}

static void aliases_update(struct loop_msg *msg)
{
    struct checks *checks = container_of(msg, struct checks, alias_msg);
    checks->alias_is_due = false;
    list_for_each (node, &checks->aliases) {
        struct check_alias *alias = list_entry(node, struct check_alias, node);
        if (alias->is_due) {
            alias->is_due = false;
            alias_update_local(alias);
        }
    }
}

static void alias_due(struct check_alias *alias)
{
    struct checks *checks = alias->check.checks;
    alias->is_due = true;
    if (!checks->alias_is_due) {
        checks->alias_is_due = true;
        checks->alias_msg.run = aliases_update;
        loop_defer(checks->agent->loop, &checks->alias_msg);
    }
}

void checks_service_changed(struct checks *checks, struct str service_id)
{
    list_for_each (node, &checks->aliases) {
        struct check_alias *alias = list_entry(node, struct check_alias, node);
        if (service_id.n == 0 || str_eq(alias->check.def->alias_service, service_id)) {
            alias_due(alias);
        }
    }
}

/* --- a service of another node --------------------------------------------------------------- */

static void alias_query(struct check_alias *alias);

static void alias_retry(struct loop_timer *t)
{
    alias_query(container_of(container_of(t, struct check, timer), struct check_alias, check));
}

static struct rpc_call *alias_call(struct check_alias *alias, const struct rpc_method *method,
                                   void (*done)(struct rpc_call *call))
{
    struct agent *a = alias->check.checks->agent;
    struct rpc_call *call = rpc_call_new(a->worker, method);
    struct node_request *args = call->args;
    args->datacenter = arena_str(&call->arena, conf(a)->datacenter);
    args->node = arena_str(&call->arena, alias->check.def->alias_node);
    args->options.token =
        arena_str(&call->arena, alias->check.entry->token.n > 0 ? alias->check.entry->token
                                                                : tokens_user(&a->tokens));
    args->options.allow_stale = true;
    args->options.max_stale_duration = ALIAS_STALE_NS;
    call->done = done;
    call->data = alias;
    alias->call = call;
    return call;
}

static void alias_report(struct check_alias *alias)
{
    check_report_now(&alias->check, alias->status, buf_view(&alias->output));
    /* Ask for what comes next; through the timer, since an answer at once would recurse. */
    loop_timer_start(check_loop(&alias->check), &alias->check.timer, 0, alias_retry);
}

static void alias_existence_known(struct rpc_call *call)
{
    struct check_alias *alias = call->data;
    const struct indexed_node_services *reply = call->reply;
    alias->call = NULL;
    /* When nobody can tell it is taken to exist. */
    bool exists = call->err != NULL ||
                  (reply->node_services != NULL &&
                   objmap_get(reply->node_services->services, alias->check.def->alias_service));
    if (!exists) {
        struct verdict v = {.output = &alias->output};
        verdict_missing(&v, alias->check.def);
        alias->status = v.status;
    }
    rpc_call_free(call);
    alias_report(alias);
}

static void alias_checks_known(struct rpc_call *call)
{
    struct check_alias *alias = call->data;
    struct check *c = &alias->check;
    alias->call = NULL;
    if (call->err != NULL) {
        alias->failures++;
        if (alias->failures > 1) {
            buf_clear(&alias->output);
            buf_printf(&alias->output, "Failure checking aliased node or service: %s",
                       err_text(call->err));
            check_report_now(c, HEALTH_CRITICAL, buf_view(&alias->output));
        }
        uint32_t shift = alias->failures > ALIAS_BACKOFF_AFTER
                             ? MIN(alias->failures - ALIAS_BACKOFF_AFTER, 16u)
                             : 0;
        uint64_t wait_ms = MIN((uint64_t)1000 << shift, (uint64_t)ALIAS_BACKOFF_MS_MAX);
        rpc_call_free(call);
        loop_timer_start(check_loop(c), &c->timer, wait_ms, alias_retry);
        return;
    }
    const struct indexed_health_checks *reply = call->reply;
    alias->failures = 0;
    alias->index = MAX(reply->meta.index, (uint64_t)1);
    struct verdict v;
    verdict_begin(&v, &alias->output);
    v.is_found = c->def->alias_service.n == 0;
    for (size_t i = 0; i < reply->health_checks.n; i++) {
        verdict_take(&v, c->def, reply->health_checks.v[i]);
    }
    alias->status = v.status;
    rpc_call_free(call);
    if (v.is_found) {
        alias_report(alias);
    } else {
        rpc_start(alias_call(alias, &rpc_catalog_node_services, alias_existence_known));
    }
}

static void alias_query(struct check_alias *alias)
{
    struct rpc_call *call = alias_call(alias, &rpc_health_node_checks, alias_checks_known);
    struct node_request *args = call->args;
    args->options.min_query_index = alias->index;
    args->options.max_query_time = ALIAS_WAIT_NS;
    rpc_start(call);
}

/* --- both ------------------------------------------------------------------------------------ */

static void alias_start(struct check *c)
{
    struct check_alias *alias = container_of(c, struct check_alias, check);
    if (c->def->alias_node.n > 0) {
        loop_timer_start(check_loop(c), &c->timer, 0, alias_retry);
        return;
    }
    list_push_back(&c->checks->aliases, &alias->node);
    alias_due(alias);
}

static void alias_stop(struct check *c)
{
    struct check_alias *alias = container_of(c, struct check_alias, check);
    list_remove(&alias->node);
    if (alias->call != NULL) {
        rpc_cancel(TAKE(alias->call));
    }
    buf_deinit(&alias->output);
}

const struct check_ops check_alias_ops = {
    .type = "alias", .size = sizeof(struct check_alias), .start = alias_start, .stop = alias_stop};
