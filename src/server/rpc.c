/* The happy path of a read: rpc_start() checks the data center, rpc_leader.c whether it runs here;
 * then it takes the view, runs the method, fills in the query metadata, and calls done.
 *
 * A blocking read whose answer is not newer than MinQueryIndex is parked: its arguments move to one
 * exact heap block, its arena is emptied, its watch points are registered, a timer bounds the wait.
 * When a watch or the timer fires it takes the newest view and runs again; the timer's run answers
 * whatever there is. It stays here when this server stops leading meanwhile, as in Consul.
 *
 * The happy path of a write: the method's prepare makes the log entry, raft_propose() takes it, the
 * raft thread applies it (server.c) into the call's result and posts the call back here, the
 * method's applied makes the reply, and done is called.
 *
 * A canceled call never reports; if its proposal is under way it frees itself when that comes
 * back. Errors are rare, and their sentences long: a call has room for one only once it has one. */
#include "server/rpc.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fsm/fsm.h"
#include "raft/raft.h"
#include "server/call.h"
#include "server/raft_ask.h"
#include "server/rpc_ask.h"
#include "server/server.h"

#define RPC_IDLE_CALLS_MAX 64u
/* Recycled calls keep no more memory than this. */
#define RPC_IDLE_ARENA_SIZE_MAX (64u * 1024u)

static struct metric metric_query = METRIC_COUNTER("rpc.query");
static struct metric metric_blocking = METRIC_GAUGE("rpc.queries_blocking");
static _Atomic uint64_t blocking_count;

static void call_wake(struct call *c);

/* A call that comes to wait, or ends, hands its arena's first block on to the next that runs. */
static void arena_take(struct worker *w, struct arena *a)
{
    *a = w->spare_arena;
    w->spare_arena = (struct arena){0};
}

static void arena_give(struct worker *w, struct arena *a)
{
    arena_reset(a);
    bool is_open = w->idle_calls_count <= RPC_IDLE_CALLS_MAX; /* worker_deinit() closes it */
    if (is_open && w->spare_arena.block == NULL && a->size <= RPC_IDLE_ARENA_SIZE_MAX) {
        w->spare_arena = *a;
    } else {
        arena_deinit(a);
    }
    *a = (struct arena){0};
}

struct rpc_call *rpc_call_new(struct worker *w, const struct rpc_method *method)
{
    struct call *c;
    if (list_is_empty(&w->idle_calls)) {
        c = xcalloc(1, sizeof(*c));
        arena_take(w, &c->pub.arena);
    } else {
        c = container_of(list_pop_front(&w->idle_calls), struct call, node);
        w->idle_calls_count--;
    }
    c->pub.method = method;
    c->pub.worker = w;
    c->pub.args = arena_zalloc(&c->pub.arena, method->args->size);
    return &c->pub;
}

void rpc_call_free(struct rpc_call *call)
{
    if (call == NULL) {
        return;
    }
    struct call *c = container_of(call, struct call, pub);
    struct worker *w = call->worker;
    ASSERT(c->state == CALL_NEW || c->state == CALL_DONE);

    acl_who_unref(c->who);
    mem_free(c->parked_args);
    arena_reset(&call->arena);
    arena_reset(&c->result_arena);
    buf_clear(&c->entry);
    size_t held = call->arena.size + c->result_arena.size + c->entry.cap;
    struct arena arena = call->arena, result_arena = c->result_arena;
    struct buf entry = c->entry;
    if (w->idle_calls_count >= RPC_IDLE_CALLS_MAX || held > RPC_IDLE_ARENA_SIZE_MAX) {
        arena_give(w, &arena);
        arena_deinit(&result_arena);
        buf_deinit(&entry);
        mem_free(c);
        return;
    }
    memset(c, 0, sizeof(*c));
    c->pub.arena = arena;
    c->result_arena = result_arena;
    c->entry = entry;
    list_push_back(&w->idle_calls, &c->node);
    w->idle_calls_count++;
}

void rpc_calls_drop_idle(struct worker *w)
{
    for (struct list *node; (node = list_pop_front(&w->idle_calls)) != NULL;) {
        struct call *c = container_of(node, struct call, node);
        arena_deinit(&c->pub.arena);
        arena_deinit(&c->result_arena);
        buf_deinit(&c->entry);
        mem_free(c);
    }
    w->idle_calls_count = 0;
    arena_deinit(&w->spare_arena);
}

static void call_stop_blocking(struct call *c)
{
    if (c->is_blocking) {
        c->is_blocking = false;
        atomic_fetch_sub(&c->pub.worker->blocking, 1);
        metric_set(&metric_blocking, (double)(atomic_fetch_sub(&blocking_count, 1) - 1));
    }
}

void call_done(struct call *c)
{
    call_stop_blocking(c);
    loop_timer_stop(c->pub.worker->loop, &c->timer);
    c->state = CALL_DONE;
    if (c->started_ns != 0) {
        uint64_t ns = clock_mono_ns() - c->started_ns;
        metric_observe(c->pub.method->time, (double)ns / (double)NS_PER_MS);
        if (c->pub.method->old_time != NULL) {
            metric_observe(c->pub.method->old_time, (double)ns / (double)NS_PER_MS);
        }
    }
    if (c->is_canceled) {
        rpc_call_free(&c->pub);
        return;
    }
    c->pub.done(&c->pub);
}

void call_fail(struct call *c, int code, const char *format, ...)
{
    struct err *err = ARENA_NEW(&c->pub.arena, struct err);
    va_list args;
    va_start(args, format);
    (void)err_vset(err, code, format, args);
    va_end(args);
    c->pub.err = err;
    call_done(c);
}

/* code: what a function returned that was to set err. */
static void call_fail_with(struct call *c, const struct err *err, int code)
{
    code = err->code != 0 ? err->code : -code;
    call_fail(c, code, "%s", err->text[0] != '\0' ? err->text : err_code_text(code));
}

struct query_options *call_options(const struct call *c)
{
    int16_t offset = c->pub.method->options_offset;
    return offset < 0 ? NULL : (struct query_options *)((char *)c->pub.args + offset);
}

static struct rpc_ctx call_ctx(struct call *c, struct err *err)
{
    err_clear(err);
    struct server *s = c->pub.worker->server;
    const struct query_options *options = call_options(c);
    return (struct rpc_ctx){
        .server = s,
        .worker = c->pub.worker,
        .arena = &c->pub.arena,
        .view = store_view(s->store),
        .err = err,
        .token = options != NULL ? options->token : STR_NULL,
        .who = c->who != NULL ? c->who->rights : NULL,
        .who_err = c->who_err,
    };
}

/* --- who asks -------------------------------------------------------------------------------- */

/* Reads have it among their options, writes in a member of its own. */
struct str *call_token_field(const struct call *c)
{
    size_t offset;
    struct query_options *options = call_options(c);
    if (options != NULL) {
        return &options->token;
    }
    const struct field *f = schema_find(c->pub.method->args, STR("Token"), &offset);
    return f == NULL ? NULL : (struct str *)((char *)c->pub.args + offset);
}

static struct str call_token(const struct call *c)
{
    const struct str *field = call_token_field(c);
    return field != NULL ? *field : STR_NULL;
}

static void call_run_known(struct call *c);

static void call_keep_who_err(struct call *c, const struct err *err)
{
    c->who_err = ARENA_NEW(&c->pub.arena, struct err);
    *c->who_err = *err;
}

static void call_resolved(struct acl_wait *wait)
{
    struct call *c = container_of(wait, struct call, acl_wait);
    c->who = wait->who;
    if (wait->err != NULL) {
        call_keep_who_err(c, wait->err);
    }
    call_run_known(c);
}

static void call_forget_who(struct call *c)
{
    c->who = acl_who_unref(c->who);
    c->who_err = NULL;
}

/* Who the caller is. False: call_resolved() goes on, or has done so. */
static bool call_identify(struct call *c)
{
    struct worker *w = c->pub.worker;
    struct err err;
    call_forget_who(c);
    if (c->pub.is_duty || strcmp(c->pub.method->acl, "none") == 0) {
        return true;
    }
    c->state = CALL_RESOLVING;
    c->acl_wait.done = call_resolved;
    struct str token = call_token(c);
    if (c->pub.method->token != NULL) {
        struct rpc_ctx ctx = call_ctx(c, &err);
        token = c->pub.method->token(&ctx, c->pub.args);
    }
    int rc = acl_resolve(w->acl, token, &c->acl_wait, &c->who, &err);
    if (rc == ACL_RESOLVE_WAITS) {
        return false;
    }
    if (rc < 0) {
        call_keep_who_err(c, &err);
    }
    return true;
}

/* --- reads ----------------------------------------------------------------------------------- */

static void call_timed_out(struct loop_timer *t)
{
    struct call *c = container_of(t, struct call, timer);
    c->is_expired = true;
    if (c->state == CALL_PARKED) {
        call_wake(c);
    } /* else it is being verified, and will answer then */
}

bool call_blocks(const struct call *c)
{
    const struct query_options *options = call_options(c);
    return (c->pub.method->flags & RPC_BLOCKING) != 0 && options != NULL &&
           options->min_query_index > 0;
}

uint64_t call_wait_ms(const struct call *c)
{
    const struct query_options *options = call_options(c);
    const struct delegate *limits = c->pub.worker->delegate;
    if (options->max_query_time > 0) {
        return MIN((uint64_t)options->max_query_time / NS_PER_MS, limits->max_query_time_ms);
    }
    return limits->default_query_time_ms;
}

void call_shrink(struct call *c)
{
    struct rpc_call *call = &c->pub;
    if (call->args != c->parked_args) {
        c->parked_args = schema_clone(call->method->args, call->args, NULL);
        call->args = c->parked_args;
    }
    call->reply = NULL;
    call->err = NULL;
    call_forget_who(c);
    arena_give(call->worker, &call->arena); /* thousands of these wait at a time */
}

static void call_park(struct call *c)
{
    watch_register(c->pub.worker->watches, &c->watch, &c->watch_set);
    memset(&c->watch_set, 0, sizeof(c->watch_set));
    call_shrink(c);
    c->state = CALL_PARKED;
    c->is_verified = false;
}

static void call_wake(struct call *c)
{
    ASSERT(c->state == CALL_PARKED);
    watch_unregister(c->pub.worker->watches, &c->watch);
    arena_take(c->pub.worker, &c->pub.arena);
    const struct query_options *options = call_options(c);
    if (options->require_consistent) {
        call_place(c); /* it is verified each time */
    } else {
        call_run_here(c);
    }
}

static void fill_meta(struct call *c)
{
    const struct rpc_method *method = c->pub.method;
    if (method->meta_offset < 0) {
        return;
    }
    struct query_meta *meta = (struct query_meta *)((char *)c->pub.reply + method->meta_offset);
    if ((method->flags & RPC_INDEX_ONLY) == 0) {
        server_fill_meta(c->pub.worker->server, meta);
    }
    if ((method->flags & RPC_BLOCKING) != 0 && meta->index < 1) {
        /* Zero would make a client ask again at once, for ever. */
        meta->index = 1;
    }
}

static void call_run_read(struct call *c)
{
    struct rpc_call *call = &c->pub;
    const struct rpc_method *method = call->method;
    const struct query_options *options = call_options(c);
    bool blocks = call_blocks(c);

    metric_add(&metric_query, 1);
    if (blocks && !c->is_blocking) {
        c->is_blocking = true;
        atomic_fetch_add(&call->worker->blocking, 1); /* before the view is taken: worker.h */
        metric_set(&metric_blocking, (double)(atomic_fetch_add(&blocking_count, 1) + 1));
        uint64_t wait_ms = call_wait_ms(c);
        wait_ms += rng_below(&call->worker->rng, wait_ms / RPC_WAIT_JITTER_FRACTION + 1);
        loop_timer_start(call->worker->loop, &c->timer, wait_ms, call_timed_out);
    }
    struct err err;
    struct rpc_ctx ctx = call_ctx(c, &err);
    if (blocks && !c->is_expired) {
        c->watch_set = (struct watch_set){.arena = &call->arena};
        ctx.ws = &c->watch_set;
    }
    if (method->reply != NULL) {
        call->reply = arena_zalloc(&call->arena, method->reply->size);
    }
    int rc = method->read(&ctx, call->args, call->reply);
    if (rc == RPC_READ_MORE) {
        ASSERT(!blocks);
        fill_meta(c);
        c->state = CALL_MORE;
        call->more = ctx.more;
        method->more(call);
    } else if (rc >= 0) {
        fill_meta(c);
        if (ctx.ws != NULL && method->meta_offset >= 0) {
            const struct query_meta *meta =
                (const struct query_meta *)((char *)call->reply + method->meta_offset);
            if (meta->index <= options->min_query_index) {
                call_park(c);
                return;
            }
        }
        call_done(c);
    } else {
        call_fail_with(c, &err, rc);
    }
}

struct rpc_call *rpc_more_new(struct rpc_call *call, const struct rpc_method *method,
                              void (*done)(struct rpc_call *part))
{
    struct call *c = container_of(call, struct call, pub);
    ASSERT(c->state == CALL_MORE && c->part == NULL);
    c->part = rpc_call_new(call->worker, method);
    c->part->is_served = true; /* it counts for nothing */
    c->part->done = done;
    c->part->data = call;
    return c->part;
}

void rpc_more_end(struct rpc_call *call)
{
    struct call *c = container_of(call, struct call, pub);
    rpc_call_free(TAKE(c->part));
}

void rpc_more_done(struct rpc_call *call)
{
    struct call *c = container_of(call, struct call, pub);
    ASSERT(c->state == CALL_MORE && c->part == NULL);
    call_done(c);
}

/* --- writes ---------------------------------------------------------------------------------- */

static void call_applied(struct loop_msg *msg)
{
    struct call *c = container_of(msg, struct call, msg);
    struct rpc_call *call = &c->pub;
    struct err err;
    struct rpc_ctx ctx = call_ctx(c, &err);
    int rc = c->raft_code;
    if (rc == -ERR_NO_LEADER && !c->is_canceled) {
        call_place(c); /* it never came into the log: there may be another leader by now */
        return;
    }
    if (rc >= 0 && !c->is_canceled) {
        rc = fsm_result_error(&c->result, &err);
        if (rc < 0 && call->method->apply_error != NULL) {
            err_wrap(&err, "%s", call->method->apply_error);
        }
        if (rc >= 0 && call->method->applied != NULL) {
            rc = call->method->applied(&ctx, call->args, &c->result, call->reply);
        }
    }
    if (rc < 0) {
        call_fail_with(c, &err, rc);
    } else {
        call_done(c);
    }
}

static void call_proposal_done(struct raft_proposal *p, int code, uint64_t index)
{
    struct call *c = container_of(p, struct call, proposal);
    c->raft_code = code;
    c->raft_index = index;
    c->msg.run = call_applied;
    loop_post(c->pub.worker->loop, &c->msg);
}

static void call_asked(struct raft_ask *q)
{
    struct call *c = q->data;
    struct rpc_call *call = &c->pub;
    struct err err;
    struct rpc_ctx ctx = call_ctx(c, &err);
    int rc = q->code;
    if (rc == -ERR_NO_LEADER && !c->is_canceled) {
        call_place(c); /* as in call_applied() */
        return;
    }
    if (rc < 0) {
        call_fail_with(c, &q->request.err, rc);
        return;
    }
    if (!c->is_canceled && call->method->applied != NULL) {
        rc = call->method->applied(&ctx, call->args, NULL, call->reply);
    }
    if (rc < 0) {
        call_fail_with(c, &err, rc);
    } else {
        call_done(c);
    }
}

void call_ask_done(struct loop_msg *msg)
{
    struct call *c = container_of(msg, struct call, msg);
    if (c->ask_err->code != 0) {
        call_fail_with(c, c->ask_err, -c->ask_err->code);
    } else {
        call_done(c);
    }
}

static void call_ask(struct call *c)
{
    struct rpc_call *call = &c->pub;
    struct err err;
    struct rpc_ctx ctx = call_ctx(c, &err);
    int rc = call->method->permit != NULL ? call->method->permit(&ctx, call->args) : 0;
    if (rc < 0) {
        call_fail_with(c, &err, rc);
        return;
    }
    if (call->method->reply != NULL) {
        call->reply = arena_zalloc(&call->arena, call->method->reply->size);
    }
    /* Who asks may go meanwhile, with what the arguments point to. */
    call->args = schema_copy(&call->arena, call->method->args, call->args);
    c->ask_err = ARENA_NEW(&call->arena, struct err);
    c->state = CALL_PROPOSED;
    if (!rpc_asks_start(call->worker->server->asks, c)) {
        call_fail(c, ERR_CLOSED, "%s", err_code_text(ERR_CLOSED));
    }
}

static struct str *datacenter_field(const struct call *c);

static void call_run_write(struct call *c)
{
    struct rpc_call *call = &c->pub;
    const struct rpc_method *method = call->method;
    struct err err;
    struct rpc_ctx ctx = call_ctx(c, &err);

    if (method->reply != NULL) {
        call->reply = arena_zalloc(&call->arena, method->reply->size);
    }
    buf_clear(&c->entry);
    c->entry.max = RAFT_ENTRY_SIZE_MAX;
    int rc = method->prepare(&ctx, call->args, call->reply, &c->entry);
    if (rc == RPC_PREPARE_PROPOSE && c->entry.failed) {
        rc = err_set(&err, ERR_TOO_LARGE, "%s: request is too large", method->name);
    }
    if (rc == RPC_PREPARE_PROPOSE) {
        c->state = CALL_PROPOSED;
        c->proposal.entry = buf_view(&c->entry);
        c->proposal.done = call_proposal_done;
        raft_propose(call->worker->server->raft, &c->proposal);
        return;
    }
    if (rc == RPC_PREPARE_PRIMARY) {
        *datacenter_field(c) = call->worker->delegate->primary_datacenter;
        c->is_abroad = true;
        call_place(c);
        return;
    }
    if (rc == RPC_PREPARE_ASK) {
        c->state = CALL_PROPOSED;
        ctx.ask->done = call_asked;
        ctx.ask->data = c;
        raft_ask_start_on(call->worker->server, ctx.ask, call->worker->loop);
        return;
    }
    if (rc < 0) {
        call_fail_with(c, &err, rc);
    } else {
        call_done(c);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

void call_run_here(struct call *c)
{
    if (LIKELY(!c->pub.worker->delegate->acl.enabled) || call_identify(c)) {
        call_run_known(c);
    }
}

static void call_run_known(struct call *c)
{
    c->state = CALL_RUNNING;
    if (c->pub.method->time != NULL && c->started_ns == 0) {
        c->started_ns = clock_mono_ns();
    }
    if (c->pub.method->ask != NULL) {
        call_ask(c);
    } else if ((c->pub.method->flags & RPC_WRITE) != 0) {
        call_run_write(c);
    } else {
        call_run_read(c);
    }
}

/* The data center of the arguments, by the table: every request of Consul's has one or has none. */
static struct str *datacenter_field(const struct call *c)
{
    const struct rpc_method *method = c->pub.method;
    const char *name = method->datacenter != NULL ? method->datacenter : "Datacenter";
    size_t offset;
    const struct field *f = schema_find(method->args, str_from_cstr(name), &offset);
    return f == NULL ? NULL : (struct str *)((char *)c->pub.args + offset);
}

struct str call_datacenter(const struct call *c)
{
    const struct str *field = datacenter_field(c);
    return field != NULL ? *field : STR_NULL;
}

static bool is_primarys(struct call *c)
{
    const struct rpc_method *method = c->pub.method;
    const struct rpc_ctx ctx = {.server = c->pub.worker->server, .worker = c->pub.worker};
    return (method->flags & RPC_PRIMARY) != 0 ||
           (method->is_primary != NULL && method->is_primary(&ctx, c->pub.args));
}

/* Whether this server takes it on; if not it is answered. Clients leave both to where it is sent.
 */
static bool server_accepts(struct call *c)
{
    struct delegate *d = c->pub.worker->delegate;
    struct str *datacenter = datacenter_field(c);
    struct err err;
    if (!c->pub.is_duty && !c->pub.is_served && delegate_count_call(d, &err) < 0) {
        call_fail_with(c, &err, -err.code);
        return false;
    }
    if (d->primary_datacenter.n > 0 && is_primarys(c)) {
        *datacenter = d->primary_datacenter;
    }
    c->is_abroad = datacenter != NULL && datacenter->n > 0 && !str_eq(*datacenter, d->datacenter);
    return true;
}

void rpc_start(struct rpc_call *call)
{
    struct call *c = container_of(call, struct call, pub);
    ASSERT(c->state == CALL_NEW);
    ASSERT(call->done != NULL);
    if (call->worker->server == NULL || server_accepts(c)) {
        call_place(c);
    }
}

void rpc_cancel(struct rpc_call *call)
{
    struct call *c = container_of(call, struct call, pub);
    struct worker *w = call->worker;
    switch (c->state) {
    case CALL_PARKED:
        watch_unregister(w->watches, &c->watch);
        break;
    case CALL_HELD:
    case CALL_FORWARDED:
    case CALL_VERIFYING:
        if (!call_forget_placed(c)) {
            c->is_canceled = true;
            return;
        }
        break;
    case CALL_MORE:
        if (c->part != NULL) {
            rpc_cancel(TAKE(c->part));
        }
        break;
    case CALL_PROPOSED:
        c->is_canceled = true;
        return; /* call_applied() frees it */
    case CALL_RESOLVING:
        acl_wait_cancel(&c->acl_wait);
        break;
    case CALL_NEW:
    case CALL_RUNNING:
    case CALL_DONE:
        break;
    }
    call_stop_blocking(c);
    loop_timer_stop(w->loop, &c->timer);
    c->state = CALL_DONE;
    rpc_call_free(call);
}

bool rpc_is_parked(const struct rpc_call *call)
{
    const struct call *c = container_of(call, struct call, pub);
    switch (c->state) {
    case CALL_PARKED:
        return true;
    case CALL_HELD:
    case CALL_FORWARDED:
        return call_blocks(c);
    default:
        return false;
    }
}

void rpc_worker_changed(struct worker *w, struct change_list *const *changes, size_t count)
{
    struct list fired;
    list_init(&fired);
    if (w->watches == NULL) {
        return; /* the worker has ended; this was on its way */
    }
    for (size_t i = 0; i < count; i++) {
        watch_fire(w->watches, changes[i], &fired);
    }
    for (struct list *node; (node = list_pop_front(&fired)) != NULL;) {
        struct watch *watch = container_of(node, struct watch, fired_node);
        call_wake(container_of(watch, struct call, watch));
    }
}

/* --- the methods ----------------------------------------------------------------------------- */

static const struct rpc_method *const methods[] = {
#define X(file, method) &method,
    RPC_METHODS(X)
#undef X
};

const struct rpc_method *rpc_method_find(struct str name)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        if (str_eq(name, str_from_cstr(methods[i]->name))) {
            return methods[i];
        }
    }
    return NULL;
}

int rpc_check_connect(const struct rpc_ctx *ctx)
{
    return ctx->server->options.connect_enabled
               ? 0
               : err_set(ctx->err, ERR_FAILED,
                         "Connect must be enabled in order to use this endpoint");
}

size_t rpc_method_count(void)
{
    return ARRAY_SIZE(methods);
}

const struct rpc_method *rpc_method_at(size_t i)
{
    return methods[i];
}
