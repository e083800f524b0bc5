#include "server/leader_config_entries.h"

#include "base/gofmt.h"
#include "base/log.h"
#include "fsm/fsm.h"
#include "schema/config_entry.h"
#include "schema/intention.h"
#include "schema/msgpack.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/config_entry.h"
#include "store/system_metadata.h"

#define MODULE "agent.server"

/* --- the format of intentions ---------------------------------------------------------------- */

/* Not one of Consul's methods: only the leader asks itself. */
static int delete_all_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    (void)ctx;
    (void)reply;
    buf_byte(entry, FSM_INTENTION);
    msgpack_object(entry, &intention_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static const struct rpc_method rpc_intention_delete_all = {
    .name = "Intention.DeleteAll",
    .flags = RPC_WRITE,
    .args = &intention_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .prepare = delete_all_prepare,
};

static void delete_all_done(struct rpc_call *call)
{
    if (call->err != NULL) {
        log_write(LOG_ERROR, MODULE ".connect", "error migrating intentions to config entries",
                  LOG_CSTR("error", err_text(call->err)));
    }
    rpc_call_free(call);
}

static bool has_intention_format(const struct server *s)
{
    struct str format = system_metadata_get(store_view(s->store), SYSTEM_METADATA_INTENTION_FORMAT);
    return !s->options.connect_enabled || str_eq(format, SYSTEM_METADATA_INTENTION_FORMAT_CONFIG);
}

static void write_intention_format(struct server *s)
{
    if (has_intention_format(s)) {
        return;
    }
    struct rpc_call *call = rpc_call_new(s->main, &rpc_intention_delete_all);
    struct intention_request *args = call->args;
    args->op = INTENTION_DELETE_ALL;
    call->is_duty = true;
    call->done = delete_all_done;
    rpc_start(call);
}

/* In a secondary: what the primary has of old ones, asked once what it has of entries is here. */
struct old_intentions {
    struct server *server;
    uint64_t index; /* up to which entries were copied */
};

static void old_intentions_known(struct rpc_call *call)
{
    const struct old_intentions *old = call->more;
    struct server *s = old->server;
    const struct indexed_intentions *reply = call->reply;
    bool are_copied = call->err == NULL && reply->intentions.n == 0 &&
                      reply->meta.index <= old->index && server_is_leader(s);
    if (call->err != NULL) {
        struct err err = *call->err;
        log_write(LOG_WARN, MODULE ".connect", "cannot ask the primary for old intentions",
                  LOG_CSTR("error", err_text(&err)));
    }
    rpc_call_free(call);
    if (are_copied) {
        write_intention_format(s);
    }
}

void leader_intentions_copied(struct server *s, uint64_t index)
{
    if (has_intention_format(s)) {
        return;
    }
    struct rpc_call *call = rpc_call_new(s->main, &rpc_intention_list);
    struct old_intentions *old = ARENA_NEW(&call->arena, struct old_intentions);
    struct intention_list_request *args = call->args;
    *old = (struct old_intentions){s, index};
    args->datacenter = s->options.primary_datacenter;
    args->legacy = true;
    call->is_served = true;
    call->more = old;
    call->done = old_intentions_known;
    rpc_start(call);
}

/* --- entries of the configuration ------------------------------------------------------------ */

static void entry_written(struct rpc_call *call)
{
    const struct config_entry_request *args = call->args;
    if (call->err != NULL) {
        struct arena *a = &call->arena;
        struct str text = arena_printf(a, "Failed to apply configuration entry %.*s / %.*s: %s",
                                       STRF(go_quoted(a, args->entry->kind)),
                                       STRF(go_quoted(a, args->entry->name)), err_text(call->err));
        log_write(LOG_ERROR, MODULE, "failed to bootstrap config entries", LOG_STR("error", text));
    }
    rpc_call_free(call);
}

static void write_entry(struct server *s, const struct config_entry *entry)
{
    if (config_entry_find(store_view(s->store), entry->type, entry->name) != NULL) {
        return;
    }
    struct rpc_call *call = rpc_call_new(s->main, &rpc_config_entry_apply);
    struct config_entry_request *args = call->args;
    args->op = CONFIG_ENTRY_UPSERT_CAS;
    args->datacenter = s->options.datacenter;
    args->entry = schema_copy(&call->arena, &config_entry_schema, entry);
    args->entry->raft = (struct raft_index){0}; /* only if there is none */
    call->done = entry_written;
    rpc_start(call);
}

void leader_config_entries(struct server *s)
{
    struct str primary = s->options.primary_datacenter;
    if (primary.n > 0 && !str_eq(s->options.datacenter, primary)) {
        return;
    }
    write_intention_format(s);
    for (size_t i = 0; i < s->options.config_entries.n; i++) {
        write_entry(s, s->options.config_entries.v[i]);
    }
}
