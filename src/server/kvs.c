/* KVS.*: the key/value store. */
#include "server/kvs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/kv.h"
#include "store/lock_delay.h"

int kvs_check(struct rpc_ctx *ctx, struct str verb, const struct dir_entry *entry)
{
    if (entry->key.n == 0 && !str_eq(verb, KV_DELETE_TREE)) {
        return err_set(ctx->err, ERR_FAILED, "Must provide key");
    }
    if (str_eq(verb, KV_LOCK)) {
        uint64_t left_ms = lock_delay_left_ms(ctx->server->lock_delay, entry->key, clock_mono_ms());
        if (left_ms > 0) {
            log_write(LOG_WARN, "agent.server.kvs", "Rejecting lock of key due to lock-delay",
                      LOG_STR("key", entry->key), LOG_UINT("left_ms", left_ms));
            return 0;
        }
    }
    return 1;
}

static int kvs_apply_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    struct kvs_request *request = args;
    struct bool_reply *done = reply;
    int rc = kvs_check(ctx, request->op, &request->dir_ent);
    if (rc <= 0) {
        done->value = false;
        return rc < 0 ? rc : RPC_PREPARE_DONE;
    }
    buf_byte(entry, FSM_KVS);
    msgpack_object(entry, &kvs_request_schema, request);
    return RPC_PREPARE_PROPOSE;
}

static struct metric time_apply = METRIC_SAMPLE("kvs.apply");

const struct rpc_method rpc_kvs_apply = {
    .name = "KVS.Apply",
    .flags = RPC_WRITE,
    .args = &kvs_request_schema,
    .reply = &bool_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "key:write",
    .time = &time_apply,
    .prepare = kvs_apply_prepare,
    .applied = reply_bool_applied,
    .apply_error = "raft apply failed",
};

static int kvs_get(struct rpc_ctx *ctx, const void *args, void *reply)
{
    const struct key_request *request = args;
    struct indexed_dir_entries *r = reply;
    const struct dir_entry *entry;
    r->meta.index = kv_get(ctx->view, ctx->ws, request->key, &entry);
    if (entry != NULL) {
        r->meta.index = entry->raft.modify_index;
        r->entries.v = arena_alloc(ctx->arena, sizeof(void *));
        r->entries.v[0] = (void *)entry;
        r->entries.n = 1;
    }
    return 0;
}

const struct rpc_method rpc_kvs_get = {
    .name = "KVS.Get",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &key_request_schema,
    .reply = &indexed_dir_entries_schema,
    .options_offset = offsetof(struct key_request, options),
    .meta_offset = offsetof(struct indexed_dir_entries, meta),
    .acl = "key:read",
    .read = kvs_get,
};

static int kvs_list(struct rpc_ctx *ctx, const void *args, void *reply)
{
    const struct key_request *request = args;
    struct indexed_dir_entries *r = reply;
    r->meta.index = kv_list(ctx->view, ctx->ws, ctx->arena, request->key, &r->entries);
    return 0;
}

const struct rpc_method rpc_kvs_list = {
    .name = "KVS.List",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &key_request_schema,
    .reply = &indexed_dir_entries_schema,
    .options_offset = offsetof(struct key_request, options),
    .meta_offset = offsetof(struct indexed_dir_entries, meta),
    .acl = "key:list",
    .read = kvs_list,
};

static int kvs_list_keys(struct rpc_ctx *ctx, const void *args, void *reply)
{
    const struct key_list_request *request = args;
    struct indexed_key_list *r = reply;
    r->meta.index = kv_list_keys(ctx->view, ctx->ws, ctx->arena, request->prefix,
                                 request->separator, &r->keys, NULL, NULL);
    return 0;
}

const struct rpc_method rpc_kvs_list_keys = {
    .name = "KVS.ListKeys",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &key_list_request_schema,
    .reply = &indexed_key_list_schema,
    .options_offset = offsetof(struct key_list_request, options),
    .meta_offset = offsetof(struct indexed_key_list, meta),
    .acl = "key:list",
    .read = kvs_list_keys,
};
