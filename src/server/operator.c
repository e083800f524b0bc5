/* Operator.*: Raft's configuration, autopilot's configuration and its view of the servers. */
#include "schema/operator.h"

#include "base/log.h"
#include "fsm/fsm.h"
#include "raft/configuration.h"
#include "raft/raft.h"
#include "schema/msgpack.h"
#include "server/acl.h"
#include "server/autopilot.h"
#include "server/membership.h"
#include "server/raft_ask.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"
#include "server/server_info.h"
#include "store/autopilot.h"

/* --- Raft ------------------------------------------------------------------------------------ */

/* The member that has this RPC address, or NULL. */
static const struct member *member_at(const struct member_list *list, struct str address,
                                      struct arena *a)
{
    for (size_t i = 0; i < list->count; i++) {
        struct server_info info;
        if (server_info_of(list->v[i], a, &info) && str_eq(info.address, address)) {
            return list->v[i];
        }
    }
    return NULL;
}

static const struct raft_configuration *configuration_now(struct rpc_ctx *ctx)
{
    struct raft_configuration *c = ARENA_NEW(ctx->arena, struct raft_configuration);
    uint64_t index;
    raft_get_configuration(ctx->server->raft, c, &index);
    return c;
}

static int raft_get_configuration_read(struct rpc_ctx *ctx, const void *args UNUSED, void *reply)
{
    struct raft_configuration_response *r = reply;
    int rc = acl_check(ctx, ACL_OPERATOR_READ, STR(""));
    if (rc < 0) {
        return rc;
    }
    struct str leader = server_leader_address(ctx->server, ctx->arena);
    struct member_list *list = membership_list(ctx->server->delegate.membership);
    const struct raft_configuration *c = configuration_now(ctx);
    r->servers.v = ARENA_ARRAY(ctx->arena, void *, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        struct raft_server_info *server = ARENA_NEW(ctx->arena, struct raft_server_info);
        server->id = str_from_cstr(c->servers[i].id);
        server->address = str_from_cstr(c->servers[i].address);
        const struct member *m = member_at(list, server->address, ctx->arena);
        server->node = m != NULL ? arena_str(ctx->arena, m->name) : STR("(unknown)");
        server->protocol_version =
            m != NULL ? arena_str(ctx->arena, member_tag(m, STR("raft_vsn"))) : STR("unknown");
        server->leader = str_eq(server->address, leader);
        server->voter = c->servers[i].suffrage == RAFT_VOTER;
        r->servers.v[r->servers.n++] = server;
    }
    r->index = 0; /* Consul never fills it in */
    (void)member_list_unref(list);
    return 0;
}

const struct rpc_method rpc_operator_raft_get_configuration = {
    .name = "Operator.RaftGetConfiguration",
    .flags = RPC_READ,
    .args = &dc_request_schema,
    .reply = &raft_configuration_response_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = -1,
    .acl = "operator:read",
    .read = raft_get_configuration_read,
};

static int remove_peer(struct rpc_ctx *ctx, struct raft_remove_peer_request *request,
                       const struct raft_server *server)
{
    request->id = arena_str(ctx->arena, str_from_cstr(server->id));
    request->address = arena_str(ctx->arena, str_from_cstr(server->address));
    ctx->ask = ARENA_NEW(ctx->arena, struct raft_ask);
    raft_ask_change(ctx->ask, RAFT_REMOVE_SERVER, request->id, request->address);
    return RPC_PREPARE_ASK;
}

static int peer_removed(struct rpc_ctx *ctx, const void *args, const struct fsm_result *result,
                        void *reply)
{
    const struct raft_remove_peer_request *request = args;
    (void)ctx;
    (void)result;
    (void)reply;
    log_write(LOG_WARN, "agent.server.operator", "Removed Raft server", LOG_STR("id", request->id),
              LOG_STR("address", request->address));
    return 0;
}

static int remove_by_address(struct rpc_ctx *ctx, void *args, void *reply UNUSED,
                             struct buf *entry UNUSED)
{
    struct raft_remove_peer_request *request = args;
    const struct raft_configuration *c = configuration_now(ctx);
    int rc = acl_check(ctx, ACL_OPERATOR_WRITE, STR(""));
    if (rc < 0) {
        return rc;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        if (str_eq(str_from_cstr(c->servers[i].address), request->address)) {
            return remove_peer(ctx, request, &c->servers[i]);
        }
    }
    return err_set(ctx->err, ERR_FAILED, "address \"%.*s\" was not found in the Raft configuration",
                   STRF(request->address));
}

static int remove_by_id(struct rpc_ctx *ctx, void *args, void *reply UNUSED,
                        struct buf *entry UNUSED)
{
    struct raft_remove_peer_request *request = args;
    const struct raft_server *server = raft_configuration_find(configuration_now(ctx), request->id);
    int rc = acl_check(ctx, ACL_OPERATOR_WRITE, STR(""));
    if (rc < 0) {
        return rc;
    }
    if (server != NULL) {
        return remove_peer(ctx, request, server);
    }
    return err_set(ctx->err, ERR_FAILED, "id \"%.*s\" was not found in the Raft configuration",
                   STRF(request->id));
}

const struct rpc_method rpc_operator_raft_remove_peer_by_address = {
    .name = "Operator.RaftRemovePeerByAddress",
    .flags = RPC_WRITE,
    .args = &raft_remove_peer_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "operator:write",
    .prepare = remove_by_address,
    .applied = peer_removed,
};

const struct rpc_method rpc_operator_raft_remove_peer_by_id = {
    .name = "Operator.RaftRemovePeerByID",
    .flags = RPC_WRITE,
    .args = &raft_remove_peer_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "operator:write",
    .prepare = remove_by_id,
    .applied = peer_removed,
};

/* --- autopilot's configuration --------------------------------------------------------------- */

static int check_operator(struct rpc_ctx *ctx, enum acl_right right, const char *what)
{
    int rc = acl_known(ctx);
    return rc < 0 || acl_may(ctx, right, STR(""))
               ? rc
               : err_set(ctx->err, ERR_PERMISSION_DENIED, "%s: Missing operator:%s permissions",
                         err_code_text(ERR_PERMISSION_DENIED), what);
}

static int check_read(struct rpc_ctx *ctx)
{
    return check_operator(ctx, ACL_OPERATOR_READ, "read");
}

static int autopilot_get_configuration(struct rpc_ctx *ctx, const void *args, void *reply)
{
    const struct autopilot_config *config = autopilot_config_get(ctx->view);
    (void)args;
    int rc = check_read(ctx);
    if (rc < 0) {
        return rc;
    }
    if (config == NULL) {
        return err_set(ctx->err, ERR_FAILED, "autopilot config not initialized yet");
    }
    *(struct autopilot_config *)reply = *config;
    return 0;
}

const struct rpc_method rpc_operator_autopilot_get_configuration = {
    .name = "Operator.AutopilotGetConfiguration",
    .flags = RPC_READ,
    .args = &dc_request_schema,
    .reply = &autopilot_config_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = -1,
    .acl = "operator:read",
    .read = autopilot_get_configuration,
};

static int set_configuration_prepare(struct rpc_ctx *ctx, void *args, void *reply,
                                     struct buf *entry)
{
    (void)reply;
    int rc = check_operator(ctx, ACL_OPERATOR_WRITE, "write");
    if (rc < 0) {
        return rc;
    }
    buf_byte(entry, FSM_AUTOPILOT);
    msgpack_object(entry, &autopilot_set_config_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

const struct rpc_method rpc_operator_autopilot_set_configuration = {
    .name = "Operator.AutopilotSetConfiguration",
    .flags = RPC_WRITE,
    .args = &autopilot_set_config_request_schema,
    .reply = &bool_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "operator:write",
    .prepare = set_configuration_prepare,
    .applied = reply_bool_applied,
    .apply_error = "raft apply failed",
};

/* --- autopilot's state ----------------------------------------------------------------------- */

static int64_t serf_status(struct str node_status)
{
    return str_eq_lit(node_status, "alive")    ? SERF_ALIVE
           : str_eq_lit(node_status, "left")   ? SERF_LEFT
           : str_eq_lit(node_status, "failed") ? SERF_FAILED
                                               : SERF_NONE;
}

static int server_health(struct rpc_ctx *ctx, const void *args, void *reply)
{
    struct autopilot_health_reply *r = reply;
    (void)args;
    int rc = check_read(ctx);
    if (rc < 0) {
        return rc;
    }
    const struct autopilot_state *state = autopilot_state(ctx->server->autopilot, ctx->arena);
    if (state == NULL) {
        return 0; /* nothing is known yet: unhealthy, and no error */
    }
    struct autopilot_server_health *servers =
        ARENA_ARRAY(ctx->arena, struct autopilot_server_health, state->servers.n);
    for (size_t i = 0; i < state->servers.n; i++) {
        const struct autopilot_server_state *s = state->servers.v[i].value;
        bool is_leader = str_eq_lit(s->state, "leader");
        servers[i] = (struct autopilot_server_health){
            .id = s->server.id,
            .name = s->server.name,
            .address = s->server.address,
            .serf_status = serf_status(s->server.node_status),
            .version = s->server.version,
            .leader = is_leader,
            .last_contact = s->stats.last_contact,
            .last_term = s->stats.last_term,
            .last_index = s->stats.last_index,
            .healthy = s->health.healthy,
            .voter = is_leader || str_eq_lit(s->state, "voter"),
            .stable_since = s->health.stable_since,
        };
    }
    r->healthy = state->healthy;
    r->failure_tolerance = state->failure_tolerance;
    r->servers = (struct objlist){servers, state->servers.n};
    return 0;
}

const struct rpc_method rpc_operator_server_health = {
    .name = "Operator.ServerHealth",
    .flags = RPC_READ | RPC_LEADER_ONLY,
    .args = &dc_request_schema,
    .reply = &autopilot_health_reply_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = -1,
    .acl = "operator:read",
    .read = server_health,
};

static int autopilot_state_read(struct rpc_ctx *ctx, const void *args, void *reply)
{
    (void)args;
    int rc = check_read(ctx);
    if (rc < 0) {
        return rc;
    }
    const struct autopilot_state *state = autopilot_state(ctx->server->autopilot, ctx->arena);
    if (state == NULL) {
        return err_set(ctx->err, ERR_FAILED, "Failed to get autopilot state: no state found");
    }
    *(struct autopilot_state *)reply = *state;
    return 0;
}

const struct rpc_method rpc_operator_autopilot_state = {
    .name = "Operator.AutopilotState",
    .flags = RPC_READ | RPC_LEADER_ONLY,
    .args = &dc_request_schema,
    .reply = &autopilot_state_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = -1,
    .acl = "operator:read",
    .read = autopilot_state_read,
};
