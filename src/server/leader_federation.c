/* The happy path: look() asks this server's own tables, as a blocking query, for this data center's
 * federation state and its mesh gateways; looked() has them written, to the primary data center,
 * when they differ; then the next look. In a secondary the record comes back by replication, which
 * is when the two agree.
 *
 * What fails is tried again later each time. */
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "schema/federation_state.h"
#include "server/acl_resolver.h"
#include "server/federation_state.h"
#include "server/leader_parts.h"
#include "server/retry.h"
#include "server/router.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/catalog.h"
#include "store/federation_state.h"

#define MODULE "agent.server"
#define LOOKS_PER_SECOND 0.2
#define LOOKS_BURST 5
#define WAIT_MAX_MS 256000u

struct leader_federation {
    struct server *server;
    struct loop_timer timer, prune_timer;
    struct retry retry;
    struct rpc_call *call; /* looking or writing */
    struct rpc_call *prune;
    uint64_t index; /* of the last look */
    bool is_running;
};

static struct loop *loop_of(const struct leader_federation *l)
{
    return l->server->main->loop;
}

/* --- looking ---------------------------------------------------------------------------------- */

struct look_reply {
    const struct federation_state *written; /* NULL: none is */
    struct federation_state now;
    struct query_meta meta;
};

static const struct field look_fields[] = {
    F_SPLICE(struct look_reply, meta, struct query_meta, &query_meta_schema),
    FIELDS_END,
};
static const struct schema look_schema = SCHEMA("look", struct look_reply, look_fields);

static int look_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    struct look_reply *reply = out;
    struct str own = ctx->server->options.datacenter, kind = SERVICE_KIND_MESH_GATEWAY;
    (void)data;
    uint64_t index = federation_state_read(ctx->view, ctx->ws, own, &reply->written);
    reply->now.datacenter = own;
    reply->meta.index =
        catalog_service_dump(ctx->view, ctx->ws, ctx->arena, &kind, &reply->now.mesh_gateways);
    reply->meta.index = MAX(reply->meta.index, index);
    return 0;
}

/* Not one of Consul's methods: only the leader asks itself. */
static const struct rpc_method rpc_look = {
    .name = "FederationState.Look",
    .flags = RPC_READ | RPC_BLOCKING | RPC_LEADER_ONLY,
    .args = &dc_request_schema,
    .reply = &look_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct look_reply, meta),
    .acl = "none",
    .read = look_read,
};

static void look_due(struct loop_timer *t);

static void again(struct leader_federation *l, const struct err *failure)
{
    uint64_t wait_ms = 0;
    if (failure != NULL) {
        struct err err = *failure;
        if (err.code != ERR_NO_LEADER) { /* else this is about to end */
            log_write(LOG_ERROR, MODULE, "error performing anti-entropy sync of federation state",
                      LOG_CSTR("error", err_text(&err)));
        }
        wait_ms = retry_failed_ms(&l->retry, &l->server->main->rng);
        l->index = 0;
    } else {
        retry_succeeded(&l->retry);
    }
    wait_ms += retry_begin_ms(&l->retry, loop_now_ms(loop_of(l)));
    loop_timer_start(loop_of(l), &l->timer, wait_ms, look_due);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void written(struct rpc_call *call)
{
    struct leader_federation *l = call->data;
    l->call = NULL;
    if (call->err == NULL) {
        log_write(LOG_INFO, MODULE, "federation state anti-entropy synced");
    }
    again(l, call->err);
    rpc_call_free(call);
}

static struct rpc_call *write_call(struct leader_federation *l, struct str op,
                                   const struct federation_state *state)
{
    const struct server_options *o = &l->server->options;
    struct rpc_call *call = rpc_call_new(l->server->main, &rpc_federation_state_apply);
    struct federation_state_request *args = call->args;
    args->op = op;
    args->state = schema_copy(&call->arena, &federation_state_schema, state);
    args->state->updated_at = TIME_ZERO; /* now */
    args->write.token =
        arena_str(&call->arena, acl_secret(l->server->main->acl, ACL_SECRET_REPLICATION));
    call->is_duty = str_eq(o->datacenter, o->primary_datacenter);
    call->is_served = true;
    call->data = l;
    return call;
}

static void looked(struct rpc_call *call)
{
    struct leader_federation *l = call->data;
    const struct look_reply *reply = call->reply;
    struct rpc_call *write = NULL;
    l->call = NULL;
    if (call->err == NULL) {
        l->index = reply->meta.index;
        if (reply->written == NULL || !federation_state_is_same(reply->written, &reply->now)) {
            write = write_call(l, FEDERATION_STATE_UPSERT, &reply->now);
            write->done = written;
        }
    }
    if (write == NULL) {
        again(l, call->err);
    }
    rpc_call_free(call);
    if (write != NULL) {
        l->call = write;
        rpc_start(write);
    }
}

static void look_due(struct loop_timer *t)
{
    struct leader_federation *l = container_of(t, struct leader_federation, timer);
    if (!federation_states_are_on(l->server)) {
        again(l, NULL);
        return;
    }
    struct rpc_call *call = rpc_call_new(l->server->main, &rpc_look);
    struct dc_request *args = call->args;
    args->options.min_query_index = l->index;
    args->options.require_consistent = true;
    call->is_duty = true;
    call->done = looked;
    call->data = l;
    l->call = call;
    rpc_start(call);
}

/* --- pruning ---------------------------------------------------------------------------------- */

static void prune_due(struct loop_timer *t);

static uint64_t prune_ms(const struct leader_federation *l)
{
    uint64_t ms = l->server->options.federation_prune_ms;
    return ms > 0 ? ms : FEDERATION_PRUNE_MS;
}

static void pruned(struct rpc_call *call)
{
    struct leader_federation *l = call->data;
    const struct federation_state_request *args = call->args;
    bool is_done = call->err == NULL;
    l->prune = NULL;
    if (!is_done) {
        struct err err = *call->err;
        log_write(LOG_ERROR, MODULE, "error pruning stale federation states",
                  LOG_STR("datacenter", args->state->datacenter),
                  LOG_CSTR("error", err_text(&err)));
    }
    rpc_call_free(call);
    /* There may be more; else, or when it failed, in an hour. */
    loop_timer_start(loop_of(l), &l->prune_timer, is_done ? 0 : prune_ms(l), prune_due);
}

static const struct federation_state *find_stale(const struct leader_federation *l, struct arena *a)
{
    const struct server *s = l->server;
    struct ptrlist states;
    (void)federation_state_list(store_view(s->store), NULL, a, &states);
    for (size_t i = 0; i < states.n; i++) {
        const struct federation_state *state = states.v[i];
        if (!str_eq(state->datacenter, s->options.datacenter) &&
            !router_has(s->delegate.router, state->datacenter)) {
            return state;
        }
    }
    return NULL;
}

static void prune_due(struct loop_timer *t)
{
    struct leader_federation *l = container_of(t, struct leader_federation, prune_timer);
    struct arena a = {0};
    const struct federation_state *stale = find_stale(l, &a);
    if (stale == NULL) {
        loop_timer_start(loop_of(l), &l->prune_timer, prune_ms(l), prune_due);
    } else {
        log_write(LOG_INFO, MODULE, "pruning stale federation state",
                  LOG_STR("datacenter", stale->datacenter));
        l->prune = write_call(l, FEDERATION_STATE_DELETE, stale);
        l->prune->done = pruned;
        rpc_start(l->prune);
    }
    arena_deinit(&a);
}

/* --- life ------------------------------------------------------------------------------------- */

struct leader_federation *leader_federation_new(struct server *s)
{
    struct leader_federation *l = xcalloc(1, sizeof(*l));
    l->server = s;
    retry_init(&l->retry, LOOKS_PER_SECOND, LOOKS_BURST, WAIT_MAX_MS);
    return l;
}

struct leader_federation *leader_federation_free(struct leader_federation *l)
{
    return mem_free(l);
}

void leader_federation_start(struct leader_federation *l)
{
    const struct server_options *o = &l->server->options;
    if (l->is_running) {
        return;
    }
    l->is_running = true;
    l->index = 0;
    loop_timer_start(loop_of(l), &l->timer, 0, look_due);
    if (str_eq(o->datacenter, o->primary_datacenter)) {
        loop_timer_start(loop_of(l), &l->prune_timer, prune_ms(l), prune_due);
    }
}

void leader_federation_stop(struct leader_federation *l)
{
    if (!l->is_running) {
        return;
    }
    l->is_running = false;
    loop_timer_stop(loop_of(l), &l->timer);
    loop_timer_stop(loop_of(l), &l->prune_timer);
    if (l->call != NULL) {
        rpc_cancel(TAKE(l->call));
    }
    if (l->prune != NULL) {
        rpc_cancel(TAKE(l->prune));
    }
}
