/* round_begin() asks; listed() compares and makes the list of steps; step_due() makes one after the
 * other, with a look at the objects themselves first where the list does not have them; round_end()
 * draws the sum and sets the timer for the next round. The call that listed the objects stays until
 * then: the updates point into its answer. */
#include "server/replicate.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "schema/field.h"
#include "server/acl_resolver.h"
#include "server/retry.h"
#include "server/rpc.h"
#include "server/server.h"

#include <stdlib.h>

struct replicator {
    struct server *server;
    const struct replicate_kind *kind;
    struct replicator_status status;
    struct retry retry;
    struct loop_timer timer;
    struct rpc_call *listing, *step;
    struct rpc_call *read; /* whose answer is being written */
    uint64_t asked_ns, listed_ns;
    struct arena arena; /* of the round */
    struct replicate_items deletions, updates;
    size_t done; /* items of both */
    size_t step_items;
    bool has_failed;
};

static void round_begin(struct loop_timer *t);
static void step_due(struct loop_timer *t);

static struct loop *loop_of(const struct replicator *r)
{
    return r->server->main->loop;
}

/* --- the end of a round ----------------------------------------------------------------------- */

static void round_drop(struct replicator *r)
{
    rpc_call_free(TAKE(r->listing));
    arena_reset(&r->arena);
    r->deletions = r->updates = (struct replicate_items){0};
    r->done = 0;
}

static void failed(struct replicator *r, const char *what, const struct err *err)
{
    r->status.err = *err;
    (void)err_wrap(&r->status.err, "failed to %s %s", what, r->kind->nouns);
    r->has_failed = true;
}

static uint64_t listed_index(const struct replicator *r)
{
    const char *reply = r->listing->reply;
    return ((const struct query_meta *)(const void *)(reply + r->kind->list->meta_offset))->index;
}

static void observe_ms(struct metric *m, uint64_t since_ns)
{
    metric_observe(m, (double)(clock_mono_ns() - since_ns) / (double)NS_PER_MS);
}

static void round_end(struct replicator *r)
{
    uint64_t wait_ms;
    if (r->listed_ns != 0) {
        observe_ms(r->kind->apply, r->listed_ns);
        r->listed_ns = 0;
    }
    metric_set(r->kind->status, r->has_failed ? 0 : 1);
    if (r->has_failed) {
        r->status.index = 0;
        r->status.failed_at_ns = clock_wall_ns();
        log_write(LOG_WARN, r->kind->module, "replication error (will retry if still leader)",
                  LOG_CSTR("error", err_text(&r->status.err)));
        wait_ms = retry_failed_ms(&r->retry, &r->server->main->rng);
    } else {
        r->status.index = listed_index(r);
        r->status.succeeded_at_ns = clock_wall_ns();
        metric_set(r->kind->index, (double)r->status.index);
        log_write(LOG_DEBUG, r->kind->module, "replication completed through remote index",
                  LOG_UINT("index", r->status.index));
        retry_succeeded(&r->retry);
        wait_ms = 0;
        if (r->kind->completed != NULL) {
            r->kind->completed(r->server, r->status.index);
        }
    }
    round_drop(r);
    wait_ms += retry_begin_ms(&r->retry, loop_now_ms(loop_of(r)));
    loop_timer_start(loop_of(r), &r->timer, wait_ms, round_begin);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void step_end(struct replicator *r)
{
    rpc_call_free(TAKE(r->read));
    r->done += r->step_items;
    if (r->done == r->deletions.n + r->updates.n) {
        round_end(r);
    } else {
        uint64_t pause_ms = 1000 / MAX(r->kind->steps_per_second, 1u);
        loop_timer_start(loop_of(r), &r->timer, pause_ms, step_due);
    }
}

static void stepped(struct rpc_call *call)
{
    struct replicator *r = call->data;
    r->step = NULL;
    if (call->err != NULL) {
        bool is_deletion = r->done < r->deletions.n;
        failed(r, is_deletion ? "apply local deletions of" : "apply local updates of", call->err);
    }
    rpc_call_free(call);
    step_end(r);
}

static void step_start(struct replicator *r, struct rpc_call *take_call)
{
    r->step = take_call;
    r->step->is_duty = true;
    r->step->done = stepped;
    r->step->data = r;
    rpc_start(r->step);
}

static void read_answered(struct rpc_call *call)
{
    struct replicator *r = call->data;
    struct err err = {0};
    r->step = NULL;
    r->read = call;
    if (call->err != NULL) {
        failed(r, "retrieve the content of remote", call->err);
        step_end(r);
        return;
    }
    struct rpc_call *write = r->kind->write(r->server, call->reply, &err);
    if (write != NULL) {
        step_start(r, write);
        return;
    }
    if (err.code != 0) {
        failed(r, "retrieve the content of remote", &err);
    }
    step_end(r);
}

static void *field_of(struct rpc_call *call, struct str name)
{
    size_t offset;
    const struct field *f = schema_find(call->method->args, name, &offset);
    ASSERT(f != NULL);
    return (char *)call->args + offset;
}

/* The call is for the primary data center, any server of it. */
static struct query_options *ask_primary(struct replicator *r, struct rpc_call *call)
{
    struct query_options *options =
        (struct query_options *)(void *)((char *)call->args + call->method->options_offset);
    *(struct str *)field_of(call, STR("Datacenter")) = r->server->options.primary_datacenter;
    options->token =
        arena_str(&call->arena, acl_secret(r->server->main->acl, ACL_SECRET_REPLICATION));
    options->allow_stale = true;
    call->is_served = true;
    call->data = r;
    return options;
}

static void step_due(struct loop_timer *t)
{
    struct replicator *r = container_of(t, struct replicator, timer);
    bool is_deletion = r->done < r->deletions.n;
    const struct replicate_items *of = is_deletion ? &r->deletions : &r->updates;
    size_t at = is_deletion ? r->done : r->done - r->deletions.n;
    r->step_items = MIN(of->n - at, MAX(r->kind->step_items_max, (size_t)1));
    if (!is_deletion && r->kind->read != NULL) {
        r->step = r->kind->read(r->server, &of->v[at], r->step_items);
        (void)ask_primary(r, r->step);
        r->step->done = read_answered;
        rpc_start(r->step);
    } else {
        step_start(r, r->kind->step(r->server, &of->v[at], r->step_items, is_deletion));
    }
}

/* --- what there is to do ---------------------------------------------------------------------- */

static int by_key(const void *x, const void *y)
{
    const struct replicate_item *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

static void sort(struct replicate_items items)
{
    if (items.n > 1) {
        qsort(items.v, items.n, sizeof(items.v[0]), by_key);
    }
}

static bool is_outdated(const struct replicator *r, const struct replicate_item *local,
                        const struct replicate_item *remote, uint64_t last_index)
{
    return remote->modify_index > last_index &&
           (r->kind->is_same == NULL || !r->kind->is_same(local->object, remote->object));
}

/* Both are sorted. Rows that are to be deleted are copied, since they may go before their turn. */
static void compare(struct replicator *r, struct replicate_items local,
                    struct replicate_items remote, uint64_t last_index)
{
    struct arena *a = &r->arena;
    r->deletions.v = ARENA_ARRAY(a, struct replicate_item, local.n);
    r->updates.v = ARENA_ARRAY(a, struct replicate_item, remote.n);
    for (size_t l = 0, k = 0; l < local.n || k < remote.n;) {
        int order = l == local.n    ? 1
                    : k == remote.n ? -1
                                    : str_cmp(local.v[l].key, remote.v[k].key);
        if (order < 0) {
            struct replicate_item gone = local.v[l++];
            gone.key = arena_str(a, gone.key);
            gone.object = schema_copy(a, r->kind->object, gone.object);
            r->deletions.v[r->deletions.n++] = gone;
            continue;
        }
        if (order > 0 || is_outdated(r, &local.v[l], &remote.v[k], last_index)) {
            r->updates.v[r->updates.n++] = remote.v[k];
        }
        l += order == 0;
        k++;
    }
}

static void make_steps(struct replicator *r)
{
    struct replicate_items local = {0}, remote = {0};
    uint64_t index = listed_index(r), last_index = r->status.index;
    r->kind->remote(r->listing->reply, &r->arena, &remote);
    r->kind->local(store_view(r->server->store), &r->arena, &local);
    if (index < last_index) { /* the other side was built anew: nothing is known to be current */
        log_write(LOG_WARN, r->kind->module,
                  "replication remote index moved backwards, forcing a full sync",
                  LOG_UINT("from", last_index), LOG_UINT("to", index));
        last_index = 0;
    }
    sort(local);
    sort(remote);
    compare(r, local, remote, last_index);
    log_write(LOG_DEBUG, r->kind->module, "diffed replication state",
              LOG_UINT("deletions", r->deletions.n), LOG_UINT("updates", r->updates.n));
}

/* --- the beginning ---------------------------------------------------------------------------- */

static void listed(struct rpc_call *call)
{
    struct replicator *r = call->data;
    observe_ms(r->kind->fetch, r->asked_ns);
    if (call->err != NULL) {
        failed(r, "retrieve remote", call->err);
        round_end(r);
        return;
    }
    r->listed_ns = clock_mono_ns();
    make_steps(r);
    if (r->deletions.n + r->updates.n == 0) {
        round_end(r);
    } else {
        step_due(&r->timer);
    }
}

static void round_begin(struct loop_timer *t)
{
    struct replicator *r = container_of(t, struct replicator, timer);
    struct rpc_call *call = rpc_call_new(r->server->main, r->kind->list);
    struct err err = {0};
    r->listing = call;
    r->has_failed = false;
    ask_primary(r, call)->min_query_index = r->status.index;
    call->done = listed;
    r->asked_ns = clock_mono_ns();
    int rc = r->kind->ask != NULL ? r->kind->ask(r->server, call->args, &err) : 0;
    if (rc == REPLICATE_NOT_NOW) {
        round_drop(r);
        loop_timer_start(loop_of(r), t, 1000 / REPLICATE_PER_SECOND, round_begin);
    } else if (rc < 0) {
        failed(r, "retrieve remote", &err);
        round_end(r);
    } else {
        rpc_start(call);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

struct replicator *replicator_new(struct server *s, const struct replicate_kind *kind)
{
    struct replicator *r = xcalloc(1, sizeof(*r));
    r->server = s;
    r->kind = kind;
    retry_init(&r->retry, REPLICATE_PER_SECOND, REPLICATE_BURST, REPLICATE_WAIT_MAX_MS);
    return r;
}

struct replicator *replicator_free(struct replicator *r)
{
    if (r != NULL) {
        ASSERT(!r->status.is_running);
        arena_deinit(&r->arena);
    }
    return mem_free(r);
}

void replicator_start(struct replicator *r)
{
    if (!r->status.is_running) {
        r->status.is_running = true;
        r->status.index = 0;
        loop_timer_start(loop_of(r), &r->timer, 0, round_begin);
    }
}

void replicator_stop(struct replicator *r)
{
    if (!r->status.is_running) {
        return;
    }
    r->status.is_running = false;
    loop_timer_stop(loop_of(r), &r->timer);
    if (r->step != NULL) {
        rpc_cancel(TAKE(r->step));
    }
    rpc_call_free(TAKE(r->read));
    if (r->listing != NULL && r->listed_ns == 0) { /* else it has been answered */
        rpc_cancel(TAKE(r->listing));
    }
    r->listed_ns = 0;
    round_drop(r);
    log_write(LOG_INFO, r->kind->module, "stopped replication");
}

const struct replicator_status *replicator_status(const struct replicator *r)
{
    return &r->status;
}
