/* KVS.*: the key/value store. */
#include "server/kvs.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "fsm/fsm.h"
#include "schema/msgpack.h"
#include "server/acl_filter.h"
#include "server/reply.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/kv.h"
#include "store/lock_delay.h"

/* What is read is filtered when it is there. The verbs that only check could tell what a key holds.
 */
static int kvs_permit(const struct rpc_ctx *ctx, struct str verb, struct str key)
{
    if (ctx->who == NULL || str_eq(verb, KV_GET) || str_eq(verb, KV_GET_TREE)) {
        return acl_known(ctx);
    }
    enum acl_right right = str_eq(verb, KV_DELETE_TREE) ? ACL_KEY_WRITE_PREFIX
                           : str_eq(verb, KV_CHECK_SESSION) || str_eq(verb, KV_CHECK_INDEX)
                               ? ACL_KEY_READ
                               : ACL_KEY_WRITE;
    return acl_check(ctx, right, key);
}

int kvs_check(struct rpc_ctx *ctx, struct str verb, const struct dir_entry *entry)
{
    if (entry->key.n == 0 && !str_eq(verb, KV_DELETE_TREE)) {
        return err_set(ctx->err, ERR_FAILED, "Must provide key");
    }
    int rc = kvs_permit(ctx, verb, entry->key);
    if (rc < 0) {
        return rc;
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
    int rc = acl_known(ctx);
    rc = rc < 0 ? rc : kvs_check(ctx, request->op, &request->dir_ent);
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
    int rc = acl_check(ctx, ACL_KEY_READ, request->key);
    if (rc < 0) {
        return rc;
    }
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

/* Where a policy may say so, a list has to be allowed as such. */
static int check_list(const struct rpc_ctx *ctx, struct str prefix)
{
    return ctx->server->delegate.acl.has_key_list ? acl_check(ctx, ACL_KEY_LIST, prefix)
                                                  : acl_known(ctx);
}

static int kvs_list(struct rpc_ctx *ctx, const void *args, void *reply)
{
    const struct key_request *request = args;
    struct indexed_dir_entries *r = reply;
    int rc = check_list(ctx, request->key);
    if (rc < 0) {
        return rc;
    }
    r->meta.index = kv_list(ctx->view, ctx->ws, ctx->arena, request->key, &r->entries);
    rc = acl_filter_entries(ctx, &r->entries);
    if (r->entries.n == 0) {
        r->entries.v = NULL;
    }
    return rc;
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

static bool key_visible(void *data, const struct dir_entry *entry)
{
    return acl_may(data, ACL_KEY_READ, entry->key);
}

static int kvs_list_keys(struct rpc_ctx *ctx, const void *args, void *reply)
{
    const struct key_list_request *request = args;
    struct indexed_key_list *r = reply;
    int rc = check_list(ctx, request->prefix);
    if (rc < 0) {
        return rc;
    }
    r->meta.index =
        kv_list_keys(ctx->view, ctx->ws, ctx->arena, request->prefix, request->separator, &r->keys,
                     ctx->who != NULL ? key_visible : NULL, ctx);
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
