/* ConfigEntry.*: centralized configuration, entry by entry. What the entries say about one service
 * together is in config_resolve.c. */
#include "schema/config_entry.h"

#include "base/metrics.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/acl_filter.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/config_check.h"
#include "store/config_entry.h"

/* --- writing --------------------------------------------------------------------------------- */

/* What a kind needs of the agent before it may be written at all. */
static int check_kind(struct rpc_ctx *ctx, const struct config_entry_request *args)
{
    if (args->entry == NULL) {
        return err_set(ctx->err, ERR_INVALID, "config entry is nil");
    }
    return args->entry->type == CONFIG_SERVICE_INTENTIONS ? rpc_check_connect(ctx) : 0;
}

static int propose(const struct config_entry_request *args, struct buf *entry)
{
    buf_byte(entry, FSM_CONFIG_ENTRY);
    msgpack_object(entry, &config_entry_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static int apply_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct config_entry_request *args = data;
    (void)reply;
    int r = acl_known(ctx);
    if (r < 0 || (r = check_kind(ctx, args)) < 0) {
        return r;
    }
    config_entry_normalize(ctx->arena, args->entry);
    r = config_entry_validate(ctx->arena, args->entry, ctx->err);
    if (r < 0) {
        return r;
    }
    if (!acl_may_write_entry(ctx, args->entry)) {
        return acl_deny(ctx);
    }
    if (!str_eq(args->op, CONFIG_ENTRY_UPSERT_CAS)) {
        args->op = CONFIG_ENTRY_UPSERT;
    }
    return propose(args, entry);
}

static struct metric time_apply = METRIC_SAMPLE("config_entry.apply");

const struct rpc_method rpc_config_entry_apply = {
    .name = "ConfigEntry.Apply",
    .flags = RPC_WRITE | RPC_PRIMARY,
    .args = &config_entry_request_schema,
    .reply = &bool_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "service:write,intention:write,operator:write",
    .time = &time_apply,
    .prepare = apply_prepare,
    .applied = reply_bool_applied,
};

static int delete_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct config_entry_request *args = data;
    (void)reply;
    int r = acl_known(ctx);
    if (r < 0 || (r = check_kind(ctx, args)) < 0) {
        return r;
    }
    config_entry_normalize(ctx->arena, args->entry);
    if (!acl_may_write_entry(ctx, args->entry)) {
        return acl_deny(ctx);
    }
    args->op = CONFIG_ENTRY_DELETE;
    return propose(args, entry);
}

static struct metric time_delete = METRIC_SAMPLE("config_entry.delete");

const struct rpc_method rpc_config_entry_delete = {
    .name = "ConfigEntry.Delete",
    .flags = RPC_WRITE | RPC_PRIMARY,
    .args = &config_entry_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "service:write,intention:write,operator:write",
    .time = &time_delete,
    .prepare = delete_prepare,
};

/* --- reading --------------------------------------------------------------------------------- */

static int get_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct config_entry_query *args = data;
    struct config_entry_response *reply = out;
    int r = acl_known(ctx);
    if (r < 0) {
        return r;
    }
    int type = config_entry_kind_find(args->kind, ctx->err);
    if (type < 0) {
        return type;
    }
    if (!acl_may_read_entry(ctx, (enum config_entry_kind)type, args->name)) {
        return acl_deny(ctx);
    }
    reply->meta.index = config_entry_get(ctx->view, ctx->ws, (enum config_entry_kind)type,
                                         args->name, &reply->entry);
    return 0;
}

static struct metric time_get = METRIC_SAMPLE("config_entry.get");

const struct rpc_method rpc_config_entry_get = {
    .name = "ConfigEntry.Get",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &config_entry_query_schema,
    .reply = &config_entry_response_schema,
    .options_offset = offsetof(struct config_entry_query, options),
    .meta_offset = offsetof(struct config_entry_response, meta),
    .acl = "service:read,intention:read",
    .time = &time_get,
    .read = get_read,
};

static int list_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct config_entry_query *args = data;
    struct indexed_config_entries *reply = out;
    int r = acl_known(ctx);
    if (r < 0) {
        return r;
    }
    int type = args->kind.n > 0 ? config_entry_kind_find(args->kind, ctx->err) : 0;
    if (type < 0) {
        return type;
    }
    reply->kind = args->kind;
    reply->meta.index =
        config_entry_list(ctx->view, ctx->ws, ctx->arena, args->kind, &reply->entries);
    return acl_filter_config_entries(ctx, &reply->entries);
}

static struct metric time_list = METRIC_SAMPLE("config_entry.list");

const struct rpc_method rpc_config_entry_list = {
    .name = "ConfigEntry.List",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &config_entry_query_schema,
    .reply = &indexed_config_entries_schema,
    .options_offset = offsetof(struct config_entry_query, options),
    .meta_offset = offsetof(struct indexed_config_entries, meta),
    .acl = "service:read,intention:read",
    .time = &time_list,
    .read = list_read,
};

/* Who names no kinds is older than these two: 1.8 and before. */
static bool is_wanted(const struct config_entry_list_all_request *args,
                      const struct config_entry *entry)
{
    return args->kinds.n > 0
               ? strlist_contains(args->kinds, entry->kind)
               : entry->type != CONFIG_SERVICE_INTENTIONS && entry->type != CONFIG_MESH;
}

static int list_all_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct config_entry_list_all_request *args = data;
    struct indexed_generic_config_entries *reply = out;
    struct ptrlist all;
    reply->meta.index = config_entry_list(ctx->view, ctx->ws, ctx->arena, STR_NULL, &all);
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (is_wanted(args, all.v[i])) {
            all.v[kept++] = all.v[i];
        }
    }
    reply->entries = (struct ptrlist){all.v, kept};
    return acl_filter_config_entries(ctx, &reply->entries);
}

static struct metric time_list_all = METRIC_SAMPLE("config_entry.listAll");

const struct rpc_method rpc_config_entry_list_all = {
    .name = "ConfigEntry.ListAll",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &config_entry_list_all_request_schema,
    .reply = &indexed_generic_config_entries_schema,
    .options_offset = offsetof(struct config_entry_list_all_request, options),
    .meta_offset = offsetof(struct indexed_generic_config_entries, meta),
    .acl = "service:read,intention:read",
    .time = &time_list_all,
    .read = list_all_read,
};
