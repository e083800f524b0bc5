/* Status.*: who leads, who votes. Answered by any server. */
#include "base/buf.h"
#include "base/clock.h"
#include "raft/configuration.h"
#include "raft/raft.h"
#include "schema/operator.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"

static const struct field empty_fields[] = {FIELDS_END};
static const struct schema empty_schema = SCHEMA("struct {}", struct empty_args, empty_fields);

static int status_ping(struct rpc_ctx *ctx, const void *args, void *reply)
{
    (void)ctx;
    (void)args;
    (void)reply;
    return 0;
}

const struct rpc_method rpc_status_ping = {
    .name = "Status.Ping",
    .flags = RPC_READ | RPC_LOCAL,
    .args = &empty_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .read = status_ping,
};

static int status_leader(struct rpc_ctx *ctx, const void *args, void *reply)
{
    struct string_reply *r = reply;
    (void)args;
    r->value = server_leader_address(ctx->server, ctx->arena);
    return 0;
}

const struct rpc_method rpc_status_leader = {
    .name = "Status.Leader",
    .flags = RPC_READ | RPC_LOCAL,
    .args = &dc_request_schema,
    .reply = &string_reply_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = -1,
    .acl = "none",
    .read = status_leader,
};

/* None before there is a configuration: by that, servers that are to form a cluster know that none
 * of them belongs to one. */
static int status_peers(struct rpc_ctx *ctx, const void *args, void *reply)
{
    struct strlist_reply *r = reply;
    struct raft_configuration *c = ARENA_NEW(ctx->arena, struct raft_configuration);
    uint64_t index;
    (void)args;
    raft_get_configuration(ctx->server->raft, c, &index);
    struct str *peers = ARENA_ARRAY(ctx->arena, struct str, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        peers[i] = str_from_cstr(c->servers[i].address);
    }
    /* None are an empty list: Go cannot read nil into one. */
    r->values = (struct strlist){c->count > 0 ? peers : SCHEMA_EMPTY, c->count};
    return 0;
}

const struct rpc_method rpc_status_peers = {
    .name = "Status.Peers",
    .flags = RPC_READ | RPC_LOCAL,
    .args = &dc_request_schema,
    .reply = &strlist_reply_schema,
    .options_offset = offsetof(struct dc_request, options),
    .meta_offset = -1,
    .acl = "none",
    .read = status_peers,
};

/* What autopilot asks each server for. */
static int status_raft_stats(struct rpc_ctx *ctx, const void *args, void *reply)
{
    struct raft_stats *r = reply;
    struct raft_status s;
    (void)args;
    raft_status(ctx->server->raft, &s);
    if (s.state == RAFT_LEADER) {
        r->last_contact = STR("0");
    } else if (s.last_contact_ms == 0 && s.leader_address[0] == '\0') {
        r->last_contact = STR("never");
    } else {
        r->last_contact =
            duration_format(ctx->arena, (int64_t)(s.last_contact_ms * (uint64_t)NS_PER_MS));
    }
    r->last_index = s.last_log_index;
    r->last_term = s.last_log_term;
    return 0;
}

const struct rpc_method rpc_status_raft_stats = {
    .name = "Status.RaftStats",
    .flags = RPC_READ | RPC_LOCAL,
    .args = &empty_schema,
    .reply = &raft_stats_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .read = status_raft_stats,
};
