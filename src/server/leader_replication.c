/* What the leader of a secondary data center copies from the primary: config entries and federation
 * states. Both are written as they are there, without the checks of their methods, which have been
 * made there. */
#include "base/gofmt.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "fsm/fsm.h"
#include "schema/config_entry.h"
#include "schema/federation_state.h"
#include "schema/msgpack.h"
#include "server/federation_state.h"
#include "server/leader_config_entries.h"
#include "server/leader_parts.h"
#include "server/replicate.h"
#include "server/rpc.h"
#include "server/server.h"
#include "store/config_entry.h"
#include "store/federation_state.h"

#define STEPS_PER_SECOND 100u

struct leader_replication {
    struct server *server;
    struct replicator *config_entries, *federation_states;
};

/* --- config entries --------------------------------------------------------------------------- */

static int config_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    (void)ctx;
    (void)reply;
    buf_byte(entry, FSM_CONFIG_ENTRY);
    msgpack_object(entry, &config_entry_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

/* Not one of Consul's methods: only the leader asks itself. */
static const struct rpc_method rpc_config_entry_copy = {
    .name = "ConfigEntry.Copy",
    .flags = RPC_WRITE,
    .args = &config_entry_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .prepare = config_prepare,
};

static void config_items(struct ptrlist entries, struct arena *a, struct replicate_items *ret)
{
    ret->v = ARENA_ARRAY(a, struct replicate_item, entries.n);
    ret->n = entries.n;
    for (size_t i = 0; i < entries.n; i++) {
        const struct config_entry *e = entries.v[i];
        ret->v[i] = (struct replicate_item){
            .key = arena_printf(a, "%.*s/%.*s", STRF(e->kind), STRF(e->name)),
            .modify_index = e->raft.modify_index,
            .object = e,
        };
    }
}

static void config_remote(const void *reply, struct arena *a, struct replicate_items *ret_items)
{
    config_items(((const struct indexed_generic_config_entries *)reply)->entries, a, ret_items);
}

static void config_local(const struct store_view *v, struct arena *a,
                         struct replicate_items *ret_items)
{
    struct ptrlist entries;
    (void)config_entry_list(v, NULL, a, STR_NULL, &entries);
    config_items(entries, a, ret_items);
}

/* All kinds this version knows; another one's may have more. */
static int config_ask(struct server *s, void *data, struct err *err)
{
    struct config_entry_list_all_request *args = data;
    (void)s;
    (void)err;
    args->kinds = config_entry_kinds();
    return 0;
}

static struct rpc_call *config_step(struct server *s, const struct replicate_item *items,
                                    size_t count, bool is_deletion)
{
    ASSERT(count == 1);
    struct rpc_call *call = rpc_call_new(s->main, &rpc_config_entry_copy);
    struct config_entry_request *args = call->args;
    args->op = is_deletion ? CONFIG_ENTRY_DELETE : CONFIG_ENTRY_UPSERT;
    args->datacenter = s->options.datacenter;
    args->entry = (struct config_entry *)(uintptr_t)items[0].object;
    return call;
}

static struct metric config_status = METRIC_GAUGE("leader.replication.config-entries.status");
static struct metric config_index = METRIC_GAUGE("leader.replication.config-entries.index");
static struct metric config_fetch = METRIC_SAMPLE("leader.replication.config-entries.fetch");
static struct metric config_apply = METRIC_SAMPLE("leader.replication.config.apply");

static const struct replicate_kind config_kind = {
    .module = "agent.server.replication.config_entry",
    .nouns = "config entries",
    .status = &config_status,
    .index = &config_index,
    .fetch = &config_fetch,
    .apply = &config_apply,
    .list = &rpc_config_entry_list_all,
    .object = &config_entry_schema,
    .ask = config_ask,
    .remote = config_remote,
    .local = config_local,
    .step = config_step,
    .steps_per_second = STEPS_PER_SECOND,
    .completed = leader_intentions_copied,
};

/* --- federation states ------------------------------------------------------------------------ */

static int federation_prepare(struct rpc_ctx *ctx, void *args, void *reply, struct buf *entry)
{
    (void)ctx;
    (void)reply;
    buf_byte(entry, FSM_FEDERATION_STATE);
    msgpack_object(entry, &federation_state_request_schema, args);
    return RPC_PREPARE_PROPOSE;
}

static const struct rpc_method rpc_federation_state_copy = {
    .name = "FederationState.Copy",
    .flags = RPC_WRITE,
    .args = &federation_state_request_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "none",
    .prepare = federation_prepare,
};

static void federation_items(struct ptrlist states, struct arena *a, struct replicate_items *ret)
{
    ret->v = ARENA_ARRAY(a, struct replicate_item, states.n);
    ret->n = states.n;
    for (size_t i = 0; i < states.n; i++) {
        const struct federation_state *state = states.v[i];
        ret->v[i] = (struct replicate_item){state->datacenter, state->raft.modify_index, state};
    }
}

static void federation_remote(const void *reply, struct arena *a, struct replicate_items *ret_items)
{
    federation_items(((const struct indexed_federation_states *)reply)->states, a, ret_items);
}

static void federation_local(const struct store_view *v, struct arena *a,
                             struct replicate_items *ret_items)
{
    struct ptrlist states;
    (void)federation_state_list(v, NULL, a, &states);
    federation_items(states, a, ret_items);
}

static int federation_ask(struct server *s, void *args, struct err *err)
{
    (void)args;
    return federation_states_are_on(s)
               ? 0
               : err_set(err, ERR_UNSUPPORTED, "not all servers know of federation states");
}

static struct rpc_call *federation_step(struct server *s, const struct replicate_item *items,
                                        size_t count, bool is_deletion)
{
    ASSERT(count == 1);
    struct rpc_call *call = rpc_call_new(s->main, &rpc_federation_state_copy);
    struct federation_state_request *args = call->args;
    struct federation_state *state = ARENA_NEW(&call->arena, struct federation_state);
    *state = *(const struct federation_state *)items[0].object;
    state->primary_modify_index = items[0].modify_index;
    args->op = is_deletion ? FEDERATION_STATE_DELETE : FEDERATION_STATE_UPSERT;
    args->datacenter = s->options.datacenter;
    args->state = state;
    return call;
}

static struct metric federation_status = METRIC_GAUGE("leader.replication.federation-state.status");
static struct metric federation_index = METRIC_GAUGE("leader.replication.federation-state.index");
static struct metric federation_fetch = METRIC_SAMPLE("leader.replication.federation-state.fetch");
static struct metric federation_apply = METRIC_SAMPLE("leader.replication.federation-state.apply");

static const struct replicate_kind federation_kind = {
    .module = "agent.server.replication.federation_state",
    .nouns = "federation states",
    .status = &federation_status,
    .index = &federation_index,
    .fetch = &federation_fetch,
    .apply = &federation_apply,
    .list = &rpc_federation_state_list,
    .object = &federation_state_schema,
    .ask = federation_ask,
    .remote = federation_remote,
    .local = federation_local,
    .step = federation_step,
    .steps_per_second = STEPS_PER_SECOND,
};

/* --- both ------------------------------------------------------------------------------------- */

struct leader_replication *leader_replication_new(struct server *s)
{
    struct leader_replication *l = xcalloc(1, sizeof(*l));
    l->server = s;
    l->config_entries = replicator_new(s, &config_kind);
    l->federation_states = replicator_new(s, &federation_kind);
    return l;
}

struct leader_replication *leader_replication_free(struct leader_replication *l)
{
    if (l != NULL) {
        l->config_entries = replicator_free(l->config_entries);
        l->federation_states = replicator_free(l->federation_states);
    }
    return mem_free(l);
}

void leader_replication_start(struct leader_replication *l)
{
    const struct server_options *o = &l->server->options;
    if (o->primary_datacenter.n > 0 && !str_eq(o->primary_datacenter, o->datacenter)) {
        replicator_start(l->config_entries);
        replicator_start(l->federation_states);
    }
}

void leader_replication_stop(struct leader_replication *l)
{
    replicator_stop(l->config_entries);
    replicator_stop(l->federation_states);
}
