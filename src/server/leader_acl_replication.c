/* What the leader of a secondary data center copies of the primary's ACLs: policies and roles, and
 * tokens where the configuration says so. They are told apart by their hashes; policies and tokens
 * are listed without what is in them, which is read for those that differ. Without a replication
 * token nobody is asked. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "schema/acl_request.h"
#include "server/acl_data.h"
#include "server/acl_log.h"
#include "server/acl_resolver.h"
#include "server/leader_parts.h"
#include "server/replicate.h"
#include "server/rpc_ask.h"
#include "server/server.h"
#include "store/acl.h"

#define STEPS_PER_SECOND 10u
#define STEP_ITEMS_MAX 64u

struct leader_acl_replication {
    struct server *server;
    struct replicator *policies, *roles, *tokens;
};

static struct str secret(struct server *s)
{
    return acl_secret(s->main->acl, ACL_SECRET_REPLICATION);
}

static int ask(struct server *s, struct query_options *options)
{
    options->token = secret(s);
    return options->token.n > 0 ? 0 : REPLICATE_NOT_NOW;
}

static void push(struct arena *a, struct replicate_items *items, struct str id,
                 uint64_t modify_index, const void *object)
{
    items->v[items->n++] = (struct replicate_item){arena_str(a, id), modify_index, object};
}

static void make_room(struct arena *a, struct replicate_items *items, size_t n)
{
    *items = (struct replicate_items){ARENA_ARRAY(a, struct replicate_item, n + 1), 0};
}

/* The keys of items as a list of ids. */
static struct strlist ids_of(struct arena *a, const struct replicate_item *items, size_t count)
{
    struct str *ids = ARENA_ARRAY(a, struct str, count);
    for (size_t i = 0; i < count; i++) {
        ids[i] = items[i].key;
    }
    return (struct strlist){ids, count};
}

/* --- policies -------------------------------------------------------------------------------- */

static int policies_ask(struct server *s, void *args, struct err *err)
{
    (void)err;
    return ask(s, &((struct acl_policy_list_request *)args)->options);
}

static void policies_remote(const void *reply, struct arena *a, struct replicate_items *ret)
{
    struct ptrlist list = ((const struct acl_policy_list_response *)reply)->policies;
    make_room(a, ret, list.n);
    for (size_t i = 0; i < list.n; i++) {
        const struct acl_policy_stub *p = list.v[i];
        push(a, ret, p->id, p->modify_index, p);
    }
}

static void policies_local(const struct store_view *v, struct arena *a, struct replicate_items *ret)
{
    struct ptrlist list;
    (void)acl_policy_list(v, NULL, a, &list);
    make_room(a, ret, list.n);
    for (size_t i = 0; i < list.n; i++) {
        const struct acl_policy_row *p = list.v[i];
        push(a, ret, p->id, p->raft.modify_index, p);
    }
}

static bool policies_same(const void *local, const void *remote)
{
    return str_eq(((const struct acl_policy_row *)local)->hash,
                  ((const struct acl_policy_stub *)remote)->hash);
}

static struct rpc_call *policies_read(struct server *s, const struct replicate_item *items,
                                      size_t count)
{
    struct rpc_call *call = rpc_call_new(s->main, &rpc_acl_policy_batch_read);
    struct acl_policy_batch_get_request *args = call->args;
    args->policy_ids = ids_of(&call->arena, items, count);
    args->options.token = secret(s);
    return call;
}

static struct rpc_call *policies_write(struct server *s, const void *reply, struct err *err)
{
    struct ptrlist list = ((const struct acl_policy_batch_response *)reply)->policies;
    (void)err;
    if (list.n == 0) {
        return NULL; /* gone again */
    }
    struct rpc_call *call = rpc_call_new(s->main, &acl_log_policy_set);
    ((struct acl_policy_batch_set_request *)call->args)->policies = list;
    return call;
}

static struct rpc_call *policies_step(struct server *s, const struct replicate_item *items,
                                      size_t count, bool is_deletion)
{
    ASSERT(is_deletion);
    struct rpc_call *call = rpc_call_new(s->main, &acl_log_policy_delete);
    struct acl_policy_batch_delete_request *args = call->args;
    args->policy_ids = ids_of(&call->arena, items, count);
    return call;
}

static struct metric policies_status = METRIC_GAUGE("leader.replication.acl-policies.status");
static struct metric policies_index = METRIC_GAUGE("leader.replication.acl-policies.index");
static struct metric policies_fetch = METRIC_SAMPLE("leader.replication.acl.policy.fetch");
static struct metric policies_apply = METRIC_SAMPLE("leader.replication.acl.policy.apply");

static const struct replicate_kind policies_kind = {
    .module = "agent.server.replication.acl.policy",
    .nouns = "ACL policies",
    .status = &policies_status,
    .index = &policies_index,
    .fetch = &policies_fetch,
    .apply = &policies_apply,
    .list = &rpc_acl_policy_list,
    .object = &acl_policy_row_schema,
    .ask = policies_ask,
    .remote = policies_remote,
    .local = policies_local,
    .is_same = policies_same,
    .read = policies_read,
    .write = policies_write,
    .step = policies_step,
    .step_items_max = STEP_ITEMS_MAX,
    .steps_per_second = STEPS_PER_SECOND,
};

/* --- roles: listed whole --------------------------------------------------------------------- */

static int roles_ask(struct server *s, void *args, struct err *err)
{
    (void)err;
    return ask(s, &((struct acl_role_list_request *)args)->options);
}

static void roles_items(struct ptrlist list, struct arena *a, struct replicate_items *ret)
{
    make_room(a, ret, list.n);
    for (size_t i = 0; i < list.n; i++) {
        const struct acl_role *r = list.v[i];
        push(a, ret, r->id, r->raft.modify_index, r);
    }
}

static void roles_remote(const void *reply, struct arena *a, struct replicate_items *ret)
{
    roles_items(((const struct acl_role_list_response *)reply)->roles, a, ret);
}

static void roles_local(const struct store_view *v, struct arena *a, struct replicate_items *ret)
{
    struct ptrlist list = {0};
    uint64_t index;
    (void)!acl_role_list(v, NULL, a, STR(""), &index, &list, NULL); /* of no policy: never fails */
    roles_items(list, a, ret);
}

static bool roles_same(const void *local, const void *remote)
{
    return str_eq(((const struct acl_role *)local)->hash, ((const struct acl_role *)remote)->hash);
}

static struct rpc_call *roles_step(struct server *s, const struct replicate_item *items,
                                   size_t count, bool is_deletion)
{
    struct rpc_call *call =
        rpc_call_new(s->main, is_deletion ? &acl_log_role_delete : &acl_log_role_set);
    if (is_deletion) {
        ((struct acl_role_batch_delete_request *)call->args)->role_ids =
            ids_of(&call->arena, items, count);
        return call;
    }
    struct acl_role_batch_set_request *args = call->args;
    args->allow_missing_links = true; /* their policies come by another way */
    args->roles = (struct ptrlist){ARENA_ARRAY(&call->arena, void *, count), count};
    for (size_t i = 0; i < count; i++) {
        args->roles.v[i] = (void *)(uintptr_t)items[i].object;
    }
    return call;
}

static struct metric roles_status = METRIC_GAUGE("leader.replication.acl-roles.status");
static struct metric roles_index = METRIC_GAUGE("leader.replication.acl-roles.index");
static struct metric roles_fetch = METRIC_SAMPLE("leader.replication.acl.role.fetch");
static struct metric roles_apply = METRIC_SAMPLE("leader.replication.acl.role.apply");

static const struct replicate_kind roles_kind = {
    .module = "agent.server.replication.acl.role",
    .nouns = "ACL roles",
    .status = &roles_status,
    .index = &roles_index,
    .fetch = &roles_fetch,
    .apply = &roles_apply,
    .list = &rpc_acl_role_list,
    .object = &acl_role_schema,
    .ask = roles_ask,
    .remote = roles_remote,
    .local = roles_local,
    .is_same = roles_same,
    .step = roles_step,
    .step_items_max = STEP_ITEMS_MAX,
    .steps_per_second = STEPS_PER_SECOND,
};

/* --- tokens: the global ones ----------------------------------------------------------------- */

static int tokens_ask(struct server *s, void *data, struct err *err)
{
    struct acl_token_list_request *args = data;
    (void)err;
    args->include_global = true;
    return ask(s, &args->options);
}

/* Legacy tokens without an accessor come when they have one. */
static void tokens_remote(const void *reply, struct arena *a, struct replicate_items *ret)
{
    struct ptrlist list = ((const struct acl_token_list_response *)reply)->tokens;
    make_room(a, ret, list.n);
    for (size_t i = 0; i < list.n; i++) {
        const struct acl_token_stub *t = list.v[i];
        if (t->accessor_id.n > 0) {
            push(a, ret, t->accessor_id, t->modify_index, t);
        }
    }
}

static void tokens_local(const struct store_view *v, struct arena *a, struct replicate_items *ret)
{
    struct ptrlist list = {0};
    uint64_t index;
    (void)!acl_token_list(v, NULL, a, &(struct acl_token_filter){.global = true}, &index, &list,
                          NULL); /* by nothing else: never fails */
    make_room(a, ret, list.n);
    for (size_t i = 0; i < list.n; i++) {
        const struct acl_token *t = list.v[i];
        if (t->accessor_id.n > 0) {
            push(a, ret, t->accessor_id, t->raft.modify_index, t);
        }
    }
}

static bool tokens_same(const void *local, const void *remote)
{
    return str_eq(((const struct acl_token *)local)->hash,
                  ((const struct acl_token_stub *)remote)->hash);
}

static struct rpc_call *tokens_read(struct server *s, const struct replicate_item *items,
                                    size_t count)
{
    struct rpc_call *call = rpc_call_new(s->main, &rpc_acl_token_batch_read);
    struct acl_token_batch_get_request *args = call->args;
    args->accessor_ids = ids_of(&call->arena, items, count);
    args->options.token = secret(s);
    return call;
}

static struct rpc_call *tokens_write(struct server *s, const void *data, struct err *err)
{
    const struct acl_token_batch_response *reply = data;
    if (reply->redacted) { /* a hidden secret must never become one */
        (void)err_set(err, ERR_PERMISSION_DENIED,
                      "the replication token must be allowed to write ACLs: the secrets of tokens "
                      "are hidden from it");
        return NULL;
    }
    if (reply->tokens.n == 0) {
        return NULL;
    }
    struct rpc_call *call = rpc_call_new(s->main, &acl_log_token_set);
    struct acl_token_batch_set_request *args = call->args;
    args->tokens = reply->tokens;
    args->allow_missing_links = true;
    args->from_replication = true;
    return call;
}

static struct rpc_call *tokens_step(struct server *s, const struct replicate_item *items,
                                    size_t count, bool is_deletion)
{
    ASSERT(is_deletion);
    struct rpc_call *call = rpc_call_new(s->main, &acl_log_token_delete);
    struct acl_token_batch_delete_request *args = call->args;
    args->token_ids = ids_of(&call->arena, items, count);
    return call;
}

static struct metric tokens_status = METRIC_GAUGE("leader.replication.acl-tokens.status");
static struct metric tokens_index = METRIC_GAUGE("leader.replication.acl-tokens.index");
static struct metric tokens_fetch = METRIC_SAMPLE("leader.replication.acl.token.fetch");
static struct metric tokens_apply = METRIC_SAMPLE("leader.replication.acl.token.apply");

static const struct replicate_kind tokens_kind = {
    .module = "agent.server.replication.acl.token",
    .nouns = "ACL tokens",
    .status = &tokens_status,
    .index = &tokens_index,
    .fetch = &tokens_fetch,
    .apply = &tokens_apply,
    .list = &rpc_acl_token_list,
    .object = &acl_token_schema,
    .ask = tokens_ask,
    .remote = tokens_remote,
    .local = tokens_local,
    .is_same = tokens_same,
    .read = tokens_read,
    .write = tokens_write,
    .step = tokens_step,
    .step_items_max = STEP_ITEMS_MAX,
    .steps_per_second = STEPS_PER_SECOND,
};

/* --- all ------------------------------------------------------------------------------------- */

struct leader_acl_replication *leader_acl_replication_new(struct server *s)
{
    struct leader_acl_replication *l = xcalloc(1, sizeof(*l));
    l->server = s;
    l->policies = replicator_new(s, &policies_kind);
    l->roles = replicator_new(s, &roles_kind);
    l->tokens = replicator_new(s, &tokens_kind);
    return l;
}

struct leader_acl_replication *leader_acl_replication_free(struct leader_acl_replication *l)
{
    if (l != NULL) {
        l->policies = replicator_free(l->policies);
        l->roles = replicator_free(l->roles);
        l->tokens = replicator_free(l->tokens);
    }
    return mem_free(l);
}

void leader_acl_replication_start(struct leader_acl_replication *l)
{
    const struct server *s = l->server;
    const struct rpc_ctx ctx = {.server = l->server};
    if (!s->delegate.acl.enabled || acl_is_primary(&ctx)) {
        return;
    }
    replicator_start(l->policies);
    replicator_start(l->roles);
    if (s->delegate.acl.replicates_tokens) {
        replicator_start(l->tokens);
    }
}

void leader_acl_replication_stop(struct leader_acl_replication *l)
{
    replicator_stop(l->policies);
    replicator_stop(l->roles);
    replicator_stop(l->tokens);
}

/* --- what others are told -------------------------------------------------------------------- */

/* To the second, in UTC. */
static int64_t rounded(int64_t ns)
{
    int64_t second = INT64_C(1000000000);
    return ns == 0 ? TIME_ZERO : (ns + second / 2) / second * second;
}

void leader_acl_replication_status(const struct leader_acl_replication *l,
                                   struct acl_replication_status *ret)
{
    const struct replicator *all[] = {l->policies, l->roles, l->tokens};
    const struct server *s = l->server;
    int64_t succeeded_ns = 0, failed_ns = 0;
    *ret = (struct acl_replication_status){.last_success = TIME_ZERO, .last_error = TIME_ZERO};
    if (!replicator_status(l->policies)->is_running) {
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        succeeded_ns = MAX(succeeded_ns, replicator_status(all[i])->succeeded_at_ns);
        failed_ns = MAX(failed_ns, replicator_status(all[i])->failed_at_ns);
    }
    *ret = (struct acl_replication_status){
        .enabled = true,
        .running = true,
        .source_datacenter = s->options.primary_datacenter,
        .replication_type =
            s->delegate.acl.replicates_tokens ? ACL_REPLICATE_TOKENS : ACL_REPLICATE_POLICIES,
        .replicated_index = replicator_status(l->policies)->index,
        .replicated_role_index = replicator_status(l->roles)->index,
        .replicated_token_index = replicator_status(l->tokens)->index,
        .last_success = rounded(succeeded_ns),
        .last_error = rounded(failed_ns),
    };
}
