#include "server/federation_state.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "fsm/fsm.h"
#include "schema/federation_state.h"
#include "schema/msgpack.h"
#include "server/acl_filter.h"
#include "server/membership.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"
#include "server/server_info.h"
#include "store/federation_state.h"

/* --- who knows of them ------------------------------------------------------------------------ */

/* All servers of the data center that may come back, of which there must be one. */
static bool all_have_them(struct membership *m, struct str datacenter)
{
    struct member_list *list = membership_list(m);
    struct arena a = {0};
    bool found = false, all = true;
    for (size_t i = 0; i < list->count && all; i++) {
        struct server_info info;
        bool counts = server_info_of(list->v[i], &a, &info) &&
                      str_eq(info.datacenter, datacenter) &&
                      (info.status == MEMBER_ALIVE || info.status == MEMBER_FAILED);
        found |= counts;
        all = !counts || info.has_federation_states;
    }
    arena_deinit(&a);
    (void)member_list_unref(list);
    return found && all;
}

bool federation_states_are_on(struct server *s)
{
    const struct delegate *d = &s->delegate;
    if (atomic_load(&s->has_federation_states)) {
        return true;
    }
    bool is_primary = str_eq(d->datacenter, d->primary_datacenter);
    if (!is_primary && (d->wan == NULL || !all_have_them(d->wan, d->primary_datacenter))) {
        return false;
    }
    if (!all_have_them(d->membership, d->datacenter)) {
        return false;
    }
    atomic_store(&s->has_federation_states, true);
    return true;
}

static int check_on(const struct rpc_ctx *ctx)
{
    return federation_states_are_on(ctx->server)
               ? 0
               : err_set(ctx->err, ERR_FAILED,
                         "Federation states are currently disabled until all servers in the "
                         "datacenter support the feature");
}

/* --- writing ---------------------------------------------------------------------------------- */

static int apply_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct federation_state_request *args = data;
    (void)reply;
    int r = check_on(ctx);
    if (r < 0 || (r = acl_check(ctx, ACL_OPERATOR_WRITE, STR(""))) < 0) {
        return r;
    }
    if (args->state == NULL || args->state->datacenter.n == 0) {
        return err_set(ctx->err, ERR_FAILED,
                       "invalid request: missing federation state datacenter");
    }
    if (str_eq(args->op, FEDERATION_STATE_UPSERT)) {
        if (args->state->updated_at == TIME_ZERO) {
            args->state->updated_at = clock_wall_ns();
        }
    } else if (!str_eq(args->op, FEDERATION_STATE_DELETE)) {
        return err_set(ctx->err, ERR_FAILED, "Invalid federation state operation: %.*s",
                       STRF(args->op));
    }
    buf_byte(entry, FSM_FEDERATION_STATE);
    msgpack_object(entry, &federation_state_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static struct metric time_apply = METRIC_SAMPLE("federation_state.apply");

const struct rpc_method rpc_federation_state_apply = {
    .name = "FederationState.Apply",
    .flags = RPC_WRITE | RPC_PRIMARY,
    .args = &federation_state_request_schema,
    .reply = &bool_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "operator:write",
    .time = &time_apply,
    .prepare = apply_prepare,
    .applied = reply_bool_applied,
};

/* --- reading ---------------------------------------------------------------------------------- */

static int get_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct federation_state_query *args = data;
    struct federation_state_response *reply = out;
    int r = check_on(ctx);
    if (r >= 0) {
        r = acl_check(ctx, ACL_OPERATOR_READ, STR(""));
    }
    if (r >= 0) {
        reply->meta.index =
            federation_state_read(ctx->view, ctx->ws, args->datacenter, &reply->state);
    }
    return r;
}

static struct metric time_get = METRIC_SAMPLE("federation_state.get");

const struct rpc_method rpc_federation_state_get = {
    .name = "FederationState.Get",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &federation_state_query_schema,
    .datacenter = "TargetDatacenter",
    .reply = &federation_state_response_schema,
    .options_offset = offsetof(struct federation_state_query, options),
    .meta_offset = offsetof(struct federation_state_response, meta),
    .acl = "operator:read",
    .time = &time_get,
    .read = get_read,
};

static int list_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    struct indexed_federation_states *reply = out;
    (void)data;
    int r = check_on(ctx);
    if (r >= 0) {
        r = acl_check(ctx, ACL_OPERATOR_READ, STR(""));
    }
    if (r >= 0) {
        reply->meta.index = federation_state_list(ctx->view, ctx->ws, ctx->arena, &reply->states);
    }
    return r;
}

static struct metric time_list = METRIC_SAMPLE("federation_state.list");

const struct rpc_method rpc_federation_state_list = {
    .name = "FederationState.List",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &dc_request_schema,
    .reply = &indexed_federation_states_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct indexed_federation_states, meta),
    .acl = "operator:read",
    .time = &time_list,
    .read = list_read,
};

/* What the caller may see of a row's, which stays as it is. */
static int gateways_seen(struct rpc_ctx *ctx, const struct federation_state *state,
                         struct objlist *ret)
{
    *ret = state->mesh_gateways;
    if (ctx->who == NULL) {
        return 0;
    }
    ret->v = ARENA_ARRAY(ctx->arena, struct check_service_node, ret->n);
    memcpy(ret->v, state->mesh_gateways.v, ret->n * sizeof(struct check_service_node));
    return acl_filter_check_service_nodes(ctx, ret);
}

/* Of the data centers that have any. */
static int list_mesh_gateways_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    struct federation_gateways_reply *reply = out;
    struct ptrlist states;
    (void)data;
    int r = check_on(ctx);
    if (r < 0 || (r = acl_known(ctx)) < 0) {
        return r;
    }
    reply->meta.index = federation_state_list(ctx->view, ctx->ws, ctx->arena, &states);
    struct objmap_pair *pairs = ARENA_ARRAY(ctx->arena, struct objmap_pair, states.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < states.n; i++) {
        const struct federation_state *state = states.v[i];
        if (state->mesh_gateways.n > 0) {
            struct federation_gateways *g = ARENA_NEW(ctx->arena, struct federation_gateways);
            r = gateways_seen(ctx, state, &g->nodes);
            if (r < 0) {
                return r;
            }
            if (g->nodes.n == 0) {
                continue;
            }
            pairs[n++] = (struct objmap_pair){state->datacenter, g};
        }
    }
    reply->datacenters = (struct objmap){pairs, n};
    return 0;
}

static struct metric time_list_mesh_gateways = METRIC_SAMPLE("federation_state.list_mesh_gateways");

const struct rpc_method rpc_federation_state_list_mesh_gateways = {
    .name = "FederationState.ListMeshGateways",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &dc_request_schema,
    .reply = &federation_gateways_reply_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = offsetof(struct federation_gateways_reply, meta),
    .acl = "node:read,service:read",
    .time = &time_list_mesh_gateways,
    .read = list_mesh_gateways_read,
};
