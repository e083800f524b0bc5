/* Internal.KeyringOperation: something is done with the gossip keys of all members of this data
 * center's pool, of the WAN pool, and of the pools of all other data centers. Any server can do
 * that; the pools are asked at once, and so is one server of each other data center, which asks its
 * pool alone. When one of those cannot be asked, that is the answer. */
#include "base/mem.h"
#include "gossip/pool.h"
#include "schema/gossip.h"
#include "server/acl.h"
#include "server/membership.h"
#include "server/router.h"
#include "server/rpc.h"
#include "server/rpc_ask.h"
#include "server/server.h"

#include <stdlib.h>

#define POOLS_MAX 2u

struct keyring_ask {
    struct rpc_ask *ask;
    struct arena arena; /* of the answers */
    struct str key;
    struct {
        struct pool_keys keys;
        bool is_wan;
    } pools[POOLS_MAX];
    size_t count, waiting;
    struct rpc_call **others; /* one for each other data center */
    size_t others_count;
};

/* --- answers --------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    const struct intmap_pair *x = a, *y = b;
    return str_cmp(x->key, y->key);
}

static struct intmap counts(struct arena *a, const struct serf_key_count *from, size_t n)
{
    struct intmap_pair *v = ARENA_ARRAY(a, struct intmap_pair, n + 1);
    for (size_t i = 0; i < n; i++) {
        v[i] = (struct intmap_pair){arena_str(a, from[i].key), from[i].count};
    }
    qsort(v, n, sizeof(v[0]), by_key);
    return (struct intmap){v, n};
}

static void put_response(const struct keyring_ask *k, size_t i, struct keyring_response *to)
{
    struct arena *a = k->ask->arena;
    const struct pool_keys *keys = &k->pools[i].keys;
    struct strpair *messages = ARENA_ARRAY(a, struct strpair, keys->messages.n + 1);
    for (size_t m = 0; m < keys->messages.n; m++) {
        messages[m] = (struct strpair){arena_str(a, keys->messages.v[m].key),
                                       arena_str(a, keys->messages.v[m].value)};
    }
    *to = (struct keyring_response){
        .wan = k->pools[i].is_wan,
        .datacenter = k->ask->server->options.datacenter,
        .messages = strmap_build(messages, keys->messages.n),
        .keys = counts(a, keys->keys, keys->keys_count),
        .primary_keys = counts(a, keys->primary, keys->primary_count),
        .num_nodes = keys->members_count,
        .error = keys->err.code != 0 ? arena_str(a, str_from_cstr(err_text(&keys->err))) : STR(""),
    };
}

static void put_responses(const struct keyring_ask *k)
{
    struct arena *a = k->ask->arena;
    struct keyring_responses *reply = k->ask->reply;
    size_t max = k->count, n = 0;
    for (size_t i = 0; i < k->others_count; i++) {
        const struct keyring_responses *other = k->others[i]->reply;
        max += k->others[i]->err == NULL ? other->responses.n : 0;
    }
    struct keyring_response *v = ARENA_ARRAY(a, struct keyring_response, max);
    for (size_t i = 0; i < k->count; i++) {
        put_response(k, i, &v[n++]);
    }
    for (size_t i = 0; i < k->others_count; i++) {
        if (k->others[i]->err != NULL) {
            k->ask->err = *k->others[i]->err;
            continue;
        }
        const struct keyring_responses *copy =
            schema_copy(a, &keyring_responses_schema, k->others[i]->reply);
        for (size_t r = 0; r < copy->responses.n; r++) {
            v[n++] = ((const struct keyring_response *)copy->responses.v)[r];
        }
    }
    reply->responses = (struct objlist){v, n};
}

static void keyring_end(struct keyring_ask *k)
{
    struct rpc_ask *ask = k->ask;
    if (!ask->is_dropped) {
        put_responses(k);
    }
    for (size_t i = 0; i < k->others_count; i++) {
        rpc_call_free(k->others[i]);
    }
    arena_deinit(&k->arena);
    mem_free(k);
    rpc_ask_finish(ask);
}

static void somebody_answered(struct keyring_ask *k)
{
    if (--k->waiting == 0) {
        keyring_end(k);
    }
}

static void pool_answered(struct pool_keys *keys)
{
    somebody_answered(keys->data);
}

static void other_answered(struct rpc_call *call)
{
    somebody_answered(call->data);
}

/* --- questions ------------------------------------------------------------------------------- */

static int parse_operation(struct str text, enum serf_key_action *ret_action, struct err *err)
{
    const struct {
        struct str text;
        enum serf_key_action action;
    } operations[] = {
        {KEYRING_LIST, SERF_KEY_LIST},
        {KEYRING_INSTALL, SERF_KEY_INSTALL},
        {KEYRING_USE, SERF_KEY_USE},
        {KEYRING_REMOVE, SERF_KEY_REMOVE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        if (str_eq(text, operations[i].text)) {
            *ret_action = operations[i].action;
            return 0;
        }
    }
    return err_set(err, ERR_FAILED, "Invalid keyring operation: \"%.*s\"", STRF(text));
}

static void add_pool(struct keyring_ask *k, enum serf_key_action action,
                     const struct keyring_request *args, bool is_wan)
{
    k->pools[k->count].is_wan = is_wan;
    k->pools[k->count++].keys = (struct pool_keys){
        .action = action,
        .key = k->key,
        .relay_factor = (uint8_t)args->relay_factor,
        .done = pool_answered,
        .arena = &k->arena,
        .data = k,
    };
}

static void add_others(struct keyring_ask *k, const struct keyring_request *args)
{
    struct server *s = k->ask->server;
    struct strlist datacenters = router_datacenters(s->delegate.router, &k->arena);
    k->others = ARENA_ARRAY(&k->arena, struct rpc_call *, datacenters.n);
    for (size_t i = 0; i < datacenters.n; i++) {
        struct rpc_call *call = rpc_call_new(s->main, &rpc_internal_keyring_operation);
        struct keyring_request *to = schema_copy(&call->arena, &keyring_request_schema, args);
        to->datacenter = datacenters.v[i];
        to->forwarded = true;
        call->args = to;
        call->is_served = true;
        call->done = other_answered;
        call->data = k;
        k->others[k->others_count++] = call;
    }
}

static void operate(struct rpc_ask *ask)
{
    const struct keyring_request *args = ask->args;
    struct delegate *d = &ask->server->delegate;
    enum serf_key_action action = SERF_KEY_LIST;
    int rc = parse_operation(args->operation, &action, &ask->err);
    if (rc >= 0 && args->local_only && action != SERF_KEY_LIST) {
        rc = err_set(&ask->err, ERR_FAILED,
                     "argument error: LocalOnly can only be used for List operations");
    }
    if (rc >= 0 && d->membership->pool == NULL) {
        rc = err_set(&ask->err, ERR_UNSUPPORTED, "there is no gossip here");
    }
    if (rc < 0) {
        rpc_ask_finish(ask);
        return;
    }
    struct keyring_ask *k = xcalloc(1, sizeof(*k));
    k->ask = ask;
    k->key = arena_str(&k->arena, args->key);
    if (d->wan != NULL && !args->local_only && !args->forwarded) {
        add_pool(k, action, args, true);
        add_others(k, args);
    }
    add_pool(k, action, args, false);
    k->waiting = k->count + k->others_count + 1; /* who answers at once is not the last */
    for (size_t i = 0; i < k->count; i++) {
        struct membership *m = k->pools[i].is_wan ? d->wan : d->membership;
        pool_keys(m->pool, &k->pools[i].keys);
    }
    for (size_t i = 0; i < k->others_count; i++) {
        rpc_start(k->others[i]);
    }
    somebody_answered(k);
}

/* Only the words are Consul's: it answers these with 500. */
static int permit(struct rpc_ctx *ctx, const void *data)
{
    const struct keyring_request *args = data;
    enum serf_key_action action;
    int r = acl_known(ctx);
    if (r < 0 || ctx->who == NULL) {
        return r;
    }
    r = parse_operation(args->operation, &action, ctx->err);
    if (r < 0) {
        return r;
    }
    if (action == SERF_KEY_LIST) {
        return acl_may(ctx, ACL_KEYRING_READ, STR(""))
                   ? 0
                   : err_set(ctx->err, ERR_FAILED, "Reading keyring denied by ACLs");
    }
    return acl_may(ctx, ACL_KEYRING_WRITE, STR(""))
               ? 0
               : err_set(ctx->err, ERR_FAILED, "Modifying keyring denied due to ACLs");
}

const struct rpc_method rpc_internal_keyring_operation = {
    .name = "Internal.KeyringOperation",
    .flags = RPC_WRITE | RPC_LOCAL,
    .args = &keyring_request_schema,
    .reply = &keyring_responses_schema,
    .options_offset = offsetof(struct keyring_request, options),
    .meta_offset = -1,
    .acl = "keyring:read,keyring:write",
    .ask = operate,
    .permit = permit,
};
