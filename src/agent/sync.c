/* The states: idle; reading (two calls, a full sync's first half); sending (a pass). A pass takes
 * what is marked when it begins. Marks made later wait for the next one, which follows at once
 * unless this one has failed: then the timer decides.
 *
 * Failure modes. A call fails: no more are sent, the entries stay marked, the timer is set, who
 * waits is answered (the write itself has succeeded; the catalog follows). An entry changes while
 * it is sent: its `changes` differ afterwards and it stays marked. It is removed while it is sent:
 * the entry lives on as deleted, marked. It is put again while its removal is sent: likewise. */
#include "agent/sync.h"

#include <math.h>

#include "agent/state.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "server/rpc.h"
#include "server/server.h"

/* Above this many members each doubling of the cluster adds one to the factor of all delays. */
#define SCALE_THRESHOLD 128u
#define SERVER_UP_MS 3000u
#define RETRY_MS 15000u
/* On a server that knows of no leader: how often to look for one. */
#define LEADER_POLL_MS 500u
#define READ_MAX_STALE_NS (int64_t)(2 * NS_PER_SEC)
#define CONSUL_SERVICE_ID STR("consul")

enum sync_state { SYNC_OFF, SYNC_IDLE, SYNC_READING, SYNC_SENDING };
enum sync_phase { PHASE_NODE, PHASE_SERVICES, PHASE_CHECKS, PHASE_END };

struct sync {
    struct agent *agent;
    enum sync_state state;
    enum sync_phase phase;
    bool has_failed; /* this pass, or the reading */
    bool is_failing; /* the last full sync failed: the timer is a retry's */
    bool has_marked; /* something was marked since the pass began */
    bool full_is_wanted;
    bool pass_is_due;
    struct list services, checks; /* what this pass has yet to send: entries' dirty links */
    struct list calls;            /* struct sync_call under way */
    uint32_t calls_count;
    struct list waiters, next_waiters; /* struct agent_call: of this pass, of the next */
    struct loop_timer full_timer, soon_timer, leader_timer;
    struct loop_msg pass_msg;
};

enum item_kind { ITEM_NODE, ITEM_SERVICE, ITEM_CHECK };

struct sent_check { /* rode along with its service */
    struct str id;
    uint64_t changes;
};

struct sync_call {
    struct list node;
    struct sync *sync;
    struct rpc_call *call;
    enum item_kind kind;
    bool is_removal;
    uint64_t changes;
    struct str id;
    struct sent_check *checks;
    size_t checks_count;
    struct arena arena; /* of the above */
};

static struct metric blocked_service_registration =
    METRIC_COUNTER("acl.blocked.service.registration");
static struct metric blocked_service_deregistration =
    METRIC_COUNTER("acl.blocked.service.deregistration");
static struct metric blocked_check_registration = METRIC_COUNTER("acl.blocked.check.registration");
static struct metric blocked_check_deregistration =
    METRIC_COUNTER("acl.blocked.check.deregistration");
static struct metric blocked_node_registration = METRIC_COUNTER("acl.blocked.node.registration");

static void pass_begin(struct sync *s);
static void pass_advance(struct sync *s);
static void full_begin(struct sync *s);

/* --- when ------------------------------------------------------------------------------------ */

static uint64_t stagger(struct sync *s, uint64_t ms)
{
    size_t nodes = agent_cluster_size(s->agent);
    uint64_t factor = 1;
    if (nodes > SCALE_THRESHOLD) {
        factor += (uint64_t)ceil(log2((double)nodes) - log2((double)SCALE_THRESHOLD));
    }
    return rng_below(&s->agent->worker->rng, factor * ms + 1);
}

static void full_due(struct loop_timer *t)
{
    full_begin(container_of(t, struct sync, full_timer));
}

static void soon_due(struct loop_timer *t)
{
    full_begin(container_of(t, struct sync, soon_timer));
}

static bool is_leader_known(const struct server *server)
{
    struct arena arena = {0};
    bool is_known = server_leader_address(server, &arena).n > 0;
    arena_deinit(&arena);
    return is_known;
}

static void leader_poll(struct loop_timer *t)
{
    struct sync *s = container_of(t, struct sync, leader_timer);
    if (is_leader_known(s->agent->worker->server)) {
        sync_full_soon(s);
    } else {
        loop_timer_start(s->agent->loop, t, LEADER_POLL_MS, leader_poll);
    }
}

/* The timer is long; a server notices by itself when there is a leader again. Before the first one
 * it has no tokens either, by which stale reads fail. */
static void note_failure(struct sync *s, const struct err *err)
{
    const struct server *server = s->agent->worker->server;
    if (server != NULL && (err->code == ERR_NO_LEADER ||
                           (err->code == ERR_ACL_NOT_FOUND && !is_leader_known(server)))) {
        loop_timer_start(s->agent->loop, &s->leader_timer, LEADER_POLL_MS, leader_poll);
    }
}

static void plan_next_full(struct sync *s)
{
    uint64_t interval_ms = (uint64_t)conf(s->agent)->ae_interval / NS_PER_MS;
    uint64_t base_ms = s->is_failing ? RETRY_MS : MAX(interval_ms, (uint64_t)1000);
    loop_timer_start(s->agent->loop, &s->full_timer, base_ms + stagger(s, base_ms), full_due);
}

static void pass_due(struct loop_msg *msg)
{
    struct sync *s = container_of(msg, struct sync, pass_msg);
    s->pass_is_due = false;
    if (s->state == SYNC_IDLE) {
        pass_begin(s);
    }
}

void sync_changes_soon(struct sync *s)
{
    s->has_marked = true;
    if (s->state == SYNC_IDLE && !s->pass_is_due) {
        s->pass_is_due = true;
        s->pass_msg.run = pass_due;
        loop_defer(s->agent->loop, &s->pass_msg);
    }
}

void sync_full_soon(struct sync *s)
{
    if (s->state == SYNC_OFF) {
        return;
    }
    /* Spread out, so that a new server is not asked by everybody at once; alone there is no need.
     */
    if (!loop_timer_is_active(&s->soon_timer)) {
        uint64_t wait_ms = agent_cluster_size(s->agent) > 1 ? stagger(s, SERVER_UP_MS) : 0;
        loop_timer_start(s->agent->loop, &s->soon_timer, wait_ms, soon_due);
    }
}

static void answer(struct list *waiters)
{
    struct list *node;
    while ((node = list_pop_front(waiters)) != NULL) {
        agent_call_finish(list_entry(node, struct agent_call, node));
    }
}

void sync_wait(struct sync *s, struct agent_call *call)
{
    if (s->state == SYNC_OFF) {
        agent_call_finish(call);
        return;
    }
    const struct local *l = s->agent->local;
    if (s->state == SYNC_SENDING && list_is_empty(&l->dirty_services) &&
        list_is_empty(&l->dirty_checks)) {
        list_push_back(&s->waiters, &call->node); /* what it waits for is being sent */
        return;
    }
    list_push_back(&s->next_waiters, &call->node);
    sync_changes_soon(s);
}

bool sync_is_settled(const struct sync *s)
{
    const struct local *l = s->agent->local;
    return s->state == SYNC_IDLE && l->node_in_sync && list_is_empty(&l->dirty_services) &&
           list_is_empty(&l->dirty_checks);
}

/* --- calls ----------------------------------------------------------------------------------- */

static struct sync_call *call_new(struct sync *s, const struct rpc_method *method,
                                  void (*done)(struct rpc_call *call))
{
    struct sync_call *c = xcalloc(1, sizeof(*c));
    c->sync = s;
    c->call = rpc_call_new(s->agent->worker, method);
    c->call->data = c;
    c->call->done = done;
    list_push_back(&s->calls, &c->node);
    s->calls_count++;
    return c;
}

static void call_free(struct sync_call *c)
{
    list_remove(&c->node);
    c->sync->calls_count--;
    rpc_call_free(c->call);
    arena_deinit(&c->arena);
    mem_free(c);
}

static bool is_forbidden(const struct err *err)
{
    return err->code == ERR_PERMISSION_DENIED || err->code == ERR_ACL_NOT_FOUND;
}

/* --- sending: what goes into a call ---------------------------------------------------------- */

static struct register_request registration(struct sync *s, struct str token)
{
    struct agent *a = s->agent;
    const struct agent_config *config = conf(a);
    const struct local_meta *meta = local_root(a->local)->meta;
    return (struct register_request){
        .datacenter = config->datacenter,
        .id = a->node_id,
        .node = config->node_name,
        .address = config->addresses.advertise,
        .tagged_addresses = config->addresses.tagged,
        .node_meta = meta != NULL ? meta->meta : (struct strmap){0},
        .skip_node_update = a->local->node_in_sync,
        .write.token = token,
    };
}

/* The request in the call's own memory: it may wait for a leader while the rows move on. */
static void fill(struct sync_call *c, const struct schema *schema, const void *request)
{
    memcpy(c->call->args, schema_copy(&c->call->arena, schema, request), schema->size);
}

static void item_done(struct rpc_call *call);

static void send_node(struct sync *s)
{
    struct register_request req = registration(s, tokens_agent(&s->agent->tokens));
    struct sync_call *c = call_new(s, &rpc_catalog_register, item_done);
    c->kind = ITEM_NODE;
    fill(c, &register_request_schema, &req);
    rpc_start(c->call);
}

static void send_removal(struct sync *s, enum item_kind kind, struct str id, struct str token,
                         uint64_t changes)
{
    struct deregister_request req = {
        .datacenter = conf(s->agent)->datacenter,
        .node = conf(s->agent)->node_name,
        .service_id = kind == ITEM_SERVICE ? id : STR_NULL,
        .check_id = kind == ITEM_CHECK ? id : STR_NULL,
        .write.token = token.n > 0 ? token : tokens_agent(&s->agent->tokens),
    };
    struct sync_call *c = call_new(s, &rpc_catalog_deregister, item_done);
    c->kind = kind;
    c->is_removal = true;
    c->changes = changes;
    c->id = arena_str(&c->arena, id);
    fill(c, &deregister_request_schema, &req);
    rpc_start(c->call);
}

static struct str token_or_user(struct sync *s, struct str token)
{
    return token.n > 0 ? token : tokens_user(&s->agent->tokens);
}

/* The marked checks of a service ride along with it, so that both arrive at once; but only those
 * with the same token, lest a check gain the rights of its service's. */
static void send_service(struct sync *s, struct service_entry *e)
{
    struct local *l = s->agent->local;
    struct str token = token_or_user(s, e->token);
    struct sync_call *c = call_new(s, &rpc_catalog_register, item_done);
    c->kind = ITEM_SERVICE;
    c->changes = e->changes;
    c->id = arena_str(&c->arena, e->id);

    VEC(void *) rows = {0};
    VEC(struct sent_check) sent = {0};
    struct strlist ids = local_check_ids(l, e->id, &c->arena);
    for (size_t i = 0; i < ids.n; i++) {
        struct check_entry *check = local_check(l, ids.v[i]);
        if (check->in_sync || !list_is_linked(&check->dirty) ||
            !str_eq(token, token_or_user(s, check->token))) {
            continue;
        }
        list_remove(&check->dirty);
        loop_timer_stop(s->agent->loop, &check->defer);
        avec_push(&c->arena, &rows, (void *)(uintptr_t)check->row);
        struct sent_check item = {ids.v[i], check->changes};
        avec_push(&c->arena, &sent, item);
    }
    c->checks = sent.v;
    c->checks_count = sent.n;

    struct register_request req = registration(s, token);
    req.service = (struct node_service *)(uintptr_t)&e->row->service;
    if (rows.n == 1) {
        req.check = rows.v[0];
    } else {
        req.checks = (struct ptrlist){rows.v, rows.n};
    }
    fill(c, &register_request_schema, &req);
    rpc_start(c->call);
}

static void send_check(struct sync *s, struct check_entry *e)
{
    struct register_request req = registration(s, token_or_user(s, e->token));
    struct service_entry *service = local_service(s->agent->local, e->row->service_id);
    loop_timer_stop(s->agent->loop, &e->defer);
    req.check = (struct health_check *)(uintptr_t)e->row;
    if (service != NULL) {
        req.service = (struct node_service *)(uintptr_t)&service->row->service;
    }
    struct sync_call *c = call_new(s, &rpc_catalog_register, item_done);
    c->kind = ITEM_CHECK;
    c->changes = e->changes;
    c->id = arena_str(&c->arena, e->id);
    fill(c, &register_request_schema, &req);
    rpc_start(c->call);
}

/* --- sending: what comes back ---------------------------------------------------------------- */

static void log_item(const struct sync_call *c, const char *service, const char *check,
                     const char *node, enum log_level level, const char *error)
{
    const char *message = c->kind == ITEM_SERVICE ? service : c->kind == ITEM_CHECK ? check : node;
    const char *key = c->kind == ITEM_SERVICE ? "service"
                      : c->kind == ITEM_CHECK ? "check"
                                              : "node";
    struct str id = c->kind == ITEM_NODE ? c->sync->agent->node_id : c->id;
    if (error != NULL) {
        log_write(level, "agent", message, LOG_STR(key, id), LOG_CSTR("error", error));
    } else if (c->kind == ITEM_NODE) {
        log_write(level, "agent", message);
    } else {
        log_write(level, "agent", message, LOG_STR(key, id));
    }
}

static void service_settled(struct local *l, const struct sync_call *c, bool is_gone)
{
    struct service_entry *e = map_get(&l->services, c->id);
    if (e == NULL) {
        return;
    }
    if (c->is_removal && e->is_deleted && is_gone) {
        local_forget_service(l, e);
        return;
    }
    bool is_same = c->changes == e->changes && c->is_removal == e->is_deleted;
    local_service_set_sync(l, e, is_same);
}

static void check_settled(struct local *l, struct str id, uint64_t changes, bool is_removal,
                          bool is_gone)
{
    struct check_entry *e = map_get(&l->checks, id);
    if (e == NULL) {
        return;
    }
    if (is_removal && e->is_deleted && is_gone) {
        local_forget_check(l, e);
        return;
    }
    local_check_set_sync(l, e, changes == e->changes && is_removal == e->is_deleted);
}

/* The catalog agrees with what was sent, or (is_forbidden) will not until the next full sync. */
static void item_settled(struct sync_call *c, bool is_forbidden_)
{
    struct local *l = c->sync->agent->local;
    switch (c->kind) {
    case ITEM_NODE:
        l->node_in_sync = true;
        break;
    case ITEM_SERVICE:
        service_settled(l, c, !is_forbidden_);
        for (size_t i = 0; i < c->checks_count; i++) {
            check_settled(l, c->checks[i].id, c->checks[i].changes, false, false);
        }
        break;
    case ITEM_CHECK:
        check_settled(l, c->id, c->changes, c->is_removal, !is_forbidden_);
        break;
    }
    if (!c->is_removal && !is_forbidden_) {
        l->node_in_sync = true; /* every registration carries the node */
    }
}

static void item_failed(struct sync_call *c)
{
    struct local *l = c->sync->agent->local;
    if (c->kind == ITEM_SERVICE) {
        struct service_entry *e = map_get(&l->services, c->id);
        if (e != NULL) {
            local_service_set_sync(l, e, false);
        }
    }
    for (size_t i = 0; i < c->checks_count; i++) {
        struct check_entry *e = map_get(&l->checks, c->checks[i].id);
        if (e != NULL) {
            local_check_set_sync(l, e, false);
        }
    }
    if (c->kind == ITEM_CHECK) {
        struct check_entry *e = map_get(&l->checks, c->id);
        if (e != NULL) {
            local_check_set_sync(l, e, false);
        }
    }
}

static void count_blocked(const struct sync_call *c)
{
    metric_add(c->kind == ITEM_NODE      ? &blocked_node_registration
               : c->kind == ITEM_SERVICE ? (c->is_removal ? &blocked_service_deregistration
                                                          : &blocked_service_registration)
               : c->is_removal           ? &blocked_check_deregistration
                                         : &blocked_check_registration,
               1);
}

static void item_done(struct rpc_call *call)
{
    struct sync_call *c = call->data;
    struct sync *s = c->sync;
    const struct err *err = call->err;
    struct str text = str_from_cstr(err != NULL ? err_text(err) : "");
    bool is_unknown = c->is_removal && (str_contains(text, STR("Unknown service")) ||
                                        str_contains(text, STR("Unknown check")));
    if (err == NULL || is_unknown) {
        if (c->is_removal) {
            log_item(c, "Deregistered service", "Deregistered check", "", LOG_INFO, NULL);
        } else {
            log_item(c, "Synced service", "Synced check", "Synced node info", LOG_INFO, NULL);
        }
        item_settled(c, false);
    } else if (is_forbidden(err)) {
        if (c->is_removal) {
            log_item(c, "Service deregistration blocked by ACLs",
                     "Check deregistration blocked by ACLs", "", LOG_WARN, NULL);
        } else {
            log_item(c, "Service registration blocked by ACLs",
                     "Check registration blocked by ACLs", "Node info update blocked by ACLs",
                     LOG_WARN, NULL);
        }
        count_blocked(c);
        item_settled(c, true);
    } else {
        if (c->is_removal) {
            log_item(c, "Deregistering service failed.", "Deregistering check failed.", "",
                     LOG_WARN, err_text(err));
        } else {
            log_item(c, "Syncing service failed.", "Syncing check failed.",
                     "Syncing node info failed.", LOG_WARN, err_text(err));
        }
        if (!s->has_failed) {
            s->has_failed = true;
            note_failure(s, err);
            log_write(LOG_ERROR, "agent.anti_entropy", "failed to sync changes",
                      LOG_CSTR("error", err_text(err)));
        }
        item_failed(c);
    }
    call_free(c);
    pass_advance(s);
}

/* --- a pass ---------------------------------------------------------------------------------- */

static void pass_begin(struct sync *s)
{
    ASSERT(s->state == SYNC_IDLE);
    struct local *l = s->agent->local;
    s->state = SYNC_SENDING;
    s->phase = PHASE_NODE;
    s->has_failed = s->has_marked = false;
    list_splice_back(&s->services, &l->dirty_services);
    list_splice_back(&s->checks, &l->dirty_checks);
    list_splice_back(&s->waiters, &s->next_waiters);
    local_publish(l); /* what is sent is what is shown */
    pass_advance(s);
}

static void pass_end(struct sync *s)
{
    struct local *l = s->agent->local;
    /* After a failure: what was not sent stays marked. */
    list_splice_back(&l->dirty_services, &s->services);
    list_splice_back(&l->dirty_checks, &s->checks);
    s->state = SYNC_IDLE;
    if (s->has_failed) {
        s->is_failing = true;
        plan_next_full(s);
        answer(&s->waiters);
        answer(&s->next_waiters); /* they would only see the same */
    } else {
        answer(&s->waiters);
    }
    if (s->full_is_wanted) {
        full_begin(s);
    } else if (!s->has_failed && (s->has_marked || !list_is_empty(&s->next_waiters))) {
        sync_changes_soon(s);
    }
}

/* Send one more thing of this phase; false when it has nothing left. */
static bool send_next(struct sync *s)
{
    struct list *node;
    switch (s->phase) {
    case PHASE_NODE:
        if (s->agent->local->node_in_sync || s->calls_count > 0) {
            return false;
        }
        send_node(s);
        return true;
    case PHASE_SERVICES:
        node = list_pop_front(&s->services);
        if (node != NULL) {
            struct service_entry *e = list_entry(node, struct service_entry, dirty);
            if (e->is_deleted) {
                send_removal(s, ITEM_SERVICE, e->id, e->token, e->changes);
            } else {
                send_service(s, e);
            }
        }
        return node != NULL;
    case PHASE_CHECKS:
        node = list_pop_front(&s->checks);
        if (node != NULL) {
            struct check_entry *e = list_entry(node, struct check_entry, dirty);
            if (e->is_deleted) {
                send_removal(s, ITEM_CHECK, e->id, e->token, e->changes);
            } else {
                send_check(s, e);
            }
        }
        return node != NULL;
    case PHASE_END:
        return false;
    }
    return false;
}

/* Calls may end inside rpc_start(), which leads back here: the outermost one does the work. */
static void pass_advance(struct sync *s)
{
    static _Thread_local bool is_advancing;
    if (is_advancing || s->state != SYNC_SENDING) {
        return;
    }
    is_advancing = true;
    while (s->phase != PHASE_END) {
        while (!s->has_failed && s->calls_count < SYNC_CALLS_MAX && send_next(s)) {
        }
        if (s->calls_count > 0) {
            break;
        }
        s->phase = s->has_failed ? PHASE_END : s->phase + 1;
    }
    is_advancing = false;
    if (s->phase == PHASE_END) {
        pass_end(s);
    }
}

/* --- a full sync: what does the catalog have? ------------------------------------------------ */

static void read_failed(struct sync *s, const struct err *err)
{
    log_write(LOG_ERROR, "agent.anti_entropy", "failed to sync remote state",
              LOG_CSTR("error", err_text(err)));
    s->state = SYNC_IDLE;
    s->is_failing = true;
    note_failure(s, err);
    plan_next_full(s);
    answer(&s->next_waiters);
}

static struct sync_call *read_call(struct sync *s, const struct rpc_method *method,
                                   void (*done)(struct rpc_call *call))
{
    struct sync_call *c = call_new(s, method, done);
    struct node_request *args = c->call->args;
    args->datacenter = arena_str(&c->call->arena, conf(s->agent)->datacenter);
    args->node = arena_str(&c->call->arena, conf(s->agent)->node_name);
    args->options.token = arena_str(&c->call->arena, tokens_agent(&s->agent->tokens));
    args->options.allow_stale = true;
    args->options.max_stale_duration = READ_MAX_STALE_NS;
    return c;
}

/* A check whose output is newer on purpose (defer) is compared without it. */
static bool check_is_same(const struct check_entry *e, const struct health_check *theirs)
{
    struct health_check a = *e->row, b = *theirs;
    if (loop_timer_is_active(&e->defer)) {
        a.output = b.output = STR_NULL;
    }
    return schema_equal(&health_check_schema, &a, &b);
}

static void checks_known(struct rpc_call *call)
{
    struct sync_call *c = call->data;
    struct sync *s = c->sync;
    struct local *l = s->agent->local;
    if (call->err != NULL) {
        read_failed(s, call->err);
        call_free(c);
        return;
    }
    const struct indexed_health_checks *reply = call->reply;
    struct map theirs = {.flags = MAP_KEYS_BORROWED};
    for (size_t i = 0; i < reply->health_checks.n; i++) {
        struct health_check *check = reply->health_checks.v[i];
        (void)map_put(&theirs, check->check_id, check);
        if (map_get(&l->checks, check->check_id) == NULL &&
            !str_eq(check->check_id, SERF_CHECK_ID)) {
            local_add_foreign_check(l, check->check_id);
        }
    }
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&l->checks, &at, &key, &value)) {
        struct check_entry *e = value;
        const struct health_check *check = map_get(&theirs, e->id);
        if (!e->is_deleted) {
            local_check_set_sync(l, e, check != NULL && check_is_same(e, check));
        } else if (check != NULL) {
            local_check_set_sync(l, e, false);
        } else {
            local_forget_check(l, e);
        }
    }
    map_deinit(&theirs);
    call_free(c);
    s->state = SYNC_IDLE;
    s->is_failing = false;
    plan_next_full(s);
    pass_begin(s);
}

/* With enable_tag_override the catalog's tags win, and become ours. */
static void adopt_tags(struct local *l, struct service_entry *e, const struct node_service *theirs)
{
    if (!e->row->service.enable_tag_override || strlist_eq(e->row->service.tags, theirs->tags)) {
        return;
    }
    struct node_service copy = e->row->service;
    copy.tags = theirs->tags;
    (void)local_put_service(l, &copy, e->token);
}

static void services_known(struct rpc_call *call)
{
    struct sync_call *c = call->data;
    struct sync *s = c->sync;
    struct agent *a = s->agent;
    struct local *l = a->local;
    if (call->err != NULL) {
        read_failed(s, call->err);
        call_free(c);
        return;
    }
    const struct indexed_node_service_list *reply = call->reply;
    const struct node *node = reply->node_services.node;
    local_publish(l);
    const struct local_meta *meta = local_root(l)->meta;
    if (node == NULL || !str_eq(node->id, a->node_id) ||
        !strmap_eq(node->tagged_addresses, conf(a)->addresses.tagged) ||
        !strmap_eq(node->meta, meta != NULL ? meta->meta : (struct strmap){0})) {
        l->node_in_sync = false;
    }
    struct map theirs = {.flags = MAP_KEYS_BORROWED};
    for (size_t i = 0; i < reply->node_services.services.n; i++) {
        struct node_service *service = reply->node_services.services.v[i];
        (void)map_put(&theirs, service->id, service);
        if (map_get(&l->services, service->id) == NULL && !str_eq(service->id, CONSUL_SERVICE_ID)) {
            local_add_foreign_service(l, service->id);
        }
    }
    size_t at = 0;
    struct str key;
    void *value;
    while (map_next(&l->services, &at, &key, &value)) {
        struct service_entry *e = value;
        const struct node_service *service = map_get(&theirs, e->id);
        if (e->is_deleted) {
            /* Its removal was forbidden or has failed: once more, unless it is gone. */
            if (service != NULL) {
                local_service_set_sync(l, e, false);
            } else {
                local_forget_service(l, e);
            }
            continue;
        }
        if (service != NULL) {
            adopt_tags(l, e, service);
        }
        local_service_set_sync(
            l, e, service != NULL && schema_equal(&node_service_schema, &e->row->service, service));
    }
    map_deinit(&theirs);
    call_free(c);
    rpc_start(read_call(s, &rpc_health_node_checks, checks_known)->call);
}

static void full_begin(struct sync *s)
{
    if (s->state != SYNC_IDLE) {
        s->full_is_wanted = s->state == SYNC_SENDING;
        return;
    }
    s->full_is_wanted = false;
    s->state = SYNC_READING;
    loop_timer_stop(s->agent->loop, &s->full_timer);
    rpc_start(read_call(s, &rpc_catalog_node_service_list, services_known)->call);
}

/* --- life ------------------------------------------------------------------------------------ */

struct sync *sync_new(struct agent *a)
{
    struct sync *s = xcalloc(1, sizeof(*s));
    s->agent = a;
    list_init(&s->services);
    list_init(&s->checks);
    list_init(&s->calls);
    list_init(&s->waiters);
    list_init(&s->next_waiters);
    return s;
}

static void first_due(struct loop_timer *t)
{
    struct sync *s = container_of(t, struct sync, full_timer);
    s->state = SYNC_IDLE;
    full_begin(s);
}

/* The loop may not run yet, and outside of its turns nothing holds what is read of the store. */
void sync_start(struct sync *s)
{
    ASSERT(s->state == SYNC_OFF);
    s->state = SYNC_READING;
    loop_timer_start(s->agent->loop, &s->full_timer, 0, first_due);
    log_write(LOG_INFO, "agent", "started state syncer");
}

void sync_stop(struct sync *s)
{
    s->state = SYNC_OFF;
    loop_timer_stop(s->agent->loop, &s->full_timer);
    loop_timer_stop(s->agent->loop, &s->soon_timer);
    loop_timer_stop(s->agent->loop, &s->leader_timer);
    list_for_each (node, &s->calls) {
        struct sync_call *c = list_entry(node, struct sync_call, node);
        rpc_cancel(TAKE(c->call));
        list_remove(&c->node);
        arena_deinit(&c->arena);
        mem_free(c);
    }
    s->calls_count = 0;
    struct local *l = s->agent->local;
    list_splice_back(&l->dirty_services, &s->services);
    list_splice_back(&l->dirty_checks, &s->checks);
    answer(&s->waiters);
    answer(&s->next_waiters);
}

struct sync *sync_free(struct sync *s)
{
    ASSERT(s == NULL || s->state == SYNC_OFF);
    return mem_free(s);
}
