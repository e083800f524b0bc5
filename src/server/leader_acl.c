/* The leader's duties towards ACLs: the policy of all power, the configured master token and the
 * anonymous one are there; tokens of the old API get accessors; expired ones are deleted.
 *
 * Each look at the tables starts a call for everything that is missing, in the order in which it
 * depends on each other; the log keeps it. When all calls are back there is another look, until
 * nothing is missing; then a timer waits for the next token to expire. What failed is tried again.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "loop/timer.h"
#include "server/acl_data.h"
#include "server/acl_log.h"
#include "server/leader_parts.h"
#include "server/server.h"
#include "store/acl.h"

#define MODULE "agent.server"
#define UPGRADE_BATCH_COUNT 128u
#define DELETE_BATCH_COUNT 1024u
/* Tokens live for a minute at least: one that is made later is seen in time. */
#define CHECK_INTERVAL_MS 30000u
#define RETRY_INTERVAL_MS 1000u
#define UPGRADE_DELAY_MS 1000u

struct leader_acl {
    struct server *server;
    struct loop_timer timer;
    bool is_running;
    bool has_failed;  /* a call of the last look */
    uint32_t pending; /* calls under way */
};

static void check(struct leader_acl *l);

static void check_due(struct loop_timer *t)
{
    check(container_of(t, struct leader_acl, timer));
}

static void wait(struct leader_acl *l)
{
    const struct store_view *v = store_view(l->server->store);
    int64_t now_ns = clock_wall_ns();
    uint64_t delay_ms = l->has_failed ? RETRY_INTERVAL_MS : CHECK_INTERVAL_MS;
    for (unsigned local = 0; local < 2; local++) {
        int64_t at_ns = acl_token_expiration_min(v, local != 0);
        if (!l->has_failed && at_ns != TIME_ZERO) {
            uint64_t until_ms = at_ns > now_ns ? (uint64_t)(at_ns - now_ns) / NS_PER_MS + 1 : 1;
            delay_ms = MIN(delay_ms, until_ms);
        }
    }
    loop_timer_start(l->server->main->loop, &l->timer, delay_ms, check_due);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void call_done(struct rpc_call *call)
{
    struct leader_acl *l = call->data;
    l->pending--;
    if (call->err != NULL) {
        l->has_failed = true;
        if (l->is_running) {
            log_write(LOG_ERROR, MODULE, "failed to write ACLs",
                      LOG_CSTR("operation", call->method->name),
                      LOG_CSTR("error", err_text(call->err)));
        }
    }
    rpc_call_free(call);
    if (!l->is_running || l->pending > 0) {
        return;
    }
    if (l->has_failed) {
        wait(l);
    } else {
        check(l);
    }
}

static void *call_new(struct leader_acl *l, const struct rpc_method *method,
                      struct rpc_call **ret_call)
{
    struct rpc_call *call = rpc_call_new(l->server->main, method);
    call->done = call_done;
    call->data = l;
    call->is_duty = true;
    *ret_call = call;
    return call->args;
}

static void call_start(struct leader_acl *l, struct rpc_call *call)
{
    l->pending++;
    rpc_start(call);
}

static struct ptrlist list_of_one(struct arena *a, void *object)
{
    void **v = ARENA_ARRAY(a, void *, 1);
    v[0] = object;
    return (struct ptrlist){v, 1};
}

/* --- what is always there -------------------------------------------------------------------- */

static void check_policy(struct leader_acl *l, const struct store_view *v)
{
    const struct acl_policy_row *old = acl_policy_by_id(v, ACL_POLICY_GLOBAL_MANAGEMENT_ID);
    struct rpc_call *call;
    if (old != NULL && str_eq(old->rules, acl_policy_global_management_rules)) {
        return;
    }
    struct acl_policy_batch_set_request *args = call_new(l, &acl_log_policy_set, &call);
    struct acl_policy_row *policy = ARENA_NEW(&call->arena, struct acl_policy_row);
    *policy = (struct acl_policy_row){
        .id = ACL_POLICY_GLOBAL_MANAGEMENT_ID,
        .name = old != NULL ? old->name : ACL_POLICY_GLOBAL_MANAGEMENT_NAME,
        .description =
            old != NULL ? old->description : STR("Builtin Policy that grants unlimited access"),
        .rules = acl_policy_global_management_rules,
    };
    acl_policy_hash_set(&call->arena, policy);
    args->policies = list_of_one(&call->arena, policy);
    log_write(LOG_INFO, MODULE, "Created ACL 'global-management' policy");
    call_start(l, call);
}

static struct acl_token make_token(struct leader_acl *l, struct arena *a,
                                   const struct store_view *v, struct str secret)
{
    struct rpc_ctx ctx = {.server = l->server, .arena = a, .view = v};
    return (struct acl_token){
        .accessor_id = acl_new_id(&ctx),
        .secret_id = secret,
        .expiration_time = TIME_ZERO,
        .create_time = clock_wall_ns(),
    };
}

static struct acl_token make_master(struct leader_acl *l, struct arena *a,
                                    const struct store_view *v)
{
    struct acl_link *link = ARENA_NEW(a, struct acl_link);
    link->id = ACL_POLICY_GLOBAL_MANAGEMENT_ID;
    struct acl_token token = make_token(l, a, v, l->server->options.acl_master_token);
    token.description = STR("Master Token");
    token.policies = (struct objlist){link, 1};
    token.type = ACL_TOKEN_TYPE_MANAGEMENT; /* so that the old API knows it, too */
    acl_token_hash_set(a, &token);
    return token;
}

static void check_master(struct leader_acl *l, const struct store_view *v)
{
    struct str secret = l->server->options.acl_master_token;
    struct rpc_call *call;
    uint64_t reset_index;
    if (secret.n == 0 || acl_token_by_secret(v, secret) != NULL) {
        return;
    }
    if (!uuid_is_valid(secret)) {
        log_write(LOG_WARN, MODULE, "Configuring a non-UUID master token is deprecated");
    }
    if (acl_can_bootstrap(v, &reset_index)) {
        struct acl_token_bootstrap_request *args = call_new(l, &acl_log_bootstrap, &call);
        args->token = make_master(l, &call->arena, v);
        log_write(LOG_INFO, MODULE, "Bootstrapped ACL master token from configuration");
    } else {
        struct acl_token_batch_set_request *args = call_new(l, &acl_log_token_set, &call);
        struct acl_token *token = ARENA_NEW(&call->arena, struct acl_token);
        *token = make_master(l, &call->arena, v);
        args->tokens = list_of_one(&call->arena, token);
        log_write(LOG_INFO, MODULE, "Created ACL master token from configuration");
    }
    call_start(l, call);
}

static void check_anonymous(struct leader_acl *l, const struct store_view *v)
{
    struct rpc_call *call;
    if (acl_token_by_secret(v, ACL_TOKEN_ANONYMOUS_SECRET) != NULL) {
        return; /* one without an accessor gets it with the others */
    }
    struct acl_token_batch_set_request *args = call_new(l, &acl_log_token_set, &call);
    struct acl_token *token = ARENA_NEW(&call->arena, struct acl_token);
    *token = make_token(l, &call->arena, v, ACL_TOKEN_ANONYMOUS_SECRET);
    token->accessor_id = ACL_TOKEN_ANONYMOUS_ID;
    token->description = STR("Anonymous Token");
    acl_token_hash_set(&call->arena, token);
    args->tokens = list_of_one(&call->arena, token);
    log_write(LOG_INFO, MODULE, "Created ACL anonymous token from configuration");
    call_start(l, call);
}

/* --- what comes and goes --------------------------------------------------------------------- */

static struct acl_token *upgraded(struct leader_acl *l, struct arena *a, const struct store_view *v,
                                  const struct acl_token *old)
{
    struct acl_token *token = schema_copy(a, &acl_token_schema, old);
    struct rpc_ctx ctx = {.server = l->server, .arena = a, .view = v};
    bool is_anonymous = str_eq(token->secret_id, ACL_TOKEN_ANONYMOUS_SECRET);
    token->accessor_id = is_anonymous ? ACL_TOKEN_ANONYMOUS_ID : acl_new_id(&ctx);
    if (token->policies.n == 0 && token->service_identities.n == 0 &&
        token->node_identities.n == 0 && token->roles.n == 0 &&
        str_eq(token->type, ACL_TOKEN_TYPE_MANAGEMENT)) {
        struct acl_link *link = ARENA_NEW(a, struct acl_link);
        link->id = ACL_POLICY_GLOBAL_MANAGEMENT_ID;
        token->policies = (struct objlist){link, 1};
    }
    acl_token_hash_set(a, token);
    return token;
}

static void check_legacy(struct leader_acl *l, const struct store_view *v)
{
    struct rpc_call *call;
    struct arena a = {0};
    struct ptrlist tokens;
    acl_token_list_upgradeable(v, &a, UPGRADE_BATCH_COUNT, &tokens);
    if (tokens.n > 0) {
        struct acl_token_batch_set_request *args = call_new(l, &acl_log_token_set, &call);
        args->cas = true; /* of whoever changes it meanwhile nothing is lost */
        args->tokens = (struct ptrlist){ARENA_ARRAY(&call->arena, void *, tokens.n), tokens.n};
        for (size_t i = 0; i < tokens.n; i++) {
            args->tokens.v[i] = upgraded(l, &call->arena, v, tokens.v[i]);
        }
        call_start(l, call);
    }
    arena_deinit(&a);
}

static void check_expired(struct leader_acl *l, const struct store_view *v, bool local)
{
    struct rpc_call *call;
    struct arena a = {0};
    struct ptrlist tokens;
    acl_token_list_expired(v, &a, local, clock_wall_ns(), DELETE_BATCH_COUNT, &tokens);
    if (tokens.n > 0) {
        struct acl_token_batch_delete_request *args = call_new(l, &acl_log_token_delete, &call);
        struct str *ids = ARENA_ARRAY(&call->arena, struct str, tokens.n);
        for (size_t i = 0; i < tokens.n; i++) {
            ids[i] = arena_str(&call->arena, ((const struct acl_token *)tokens.v[i])->accessor_id);
        }
        args->token_ids = (struct strlist){ids, tokens.n};
        log_write(LOG_INFO, MODULE, "deleting expired ACL tokens", LOG_UINT("amount", tokens.n),
                  LOG_CSTR("locality", local ? "local" : "global"));
        call_start(l, call);
    }
    arena_deinit(&a);
}

/* Versions before 1.4.5 copied a token with a hidden secret from the primary; everybody knows that
 * one (CVE-2019-8336). */
static void check_hidden(struct leader_acl *l, const struct store_view *v)
{
    const struct acl_token *token = acl_token_by_secret(v, ACL_REDACTED);
    struct rpc_call *call;
    if (token == NULL || token->accessor_id.n == 0) {
        return;
    }
    struct acl_token_batch_delete_request *args = call_new(l, &acl_log_token_delete, &call);
    struct str *id = ARENA_NEW(&call->arena, struct str);
    *id = arena_str(&call->arena, token->accessor_id);
    args->token_ids = (struct strlist){id, 1};
    call_start(l, call);
}

static void check(struct leader_acl *l)
{
    const struct store_view *v = store_view(l->server->store);
    struct rpc_ctx ctx = {.server = l->server, .worker = l->server->main};
    bool is_primary = acl_is_primary(&ctx);
    if (!l->is_running || l->pending > 0) {
        return;
    }
    l->has_failed = false;
    l->pending++; /* calls may come back at once */
    if (is_primary) {
        check_policy(l, v);
        check_master(l, v);
        check_anonymous(l, v);
        check_legacy(l, v);
        check_expired(l, v, false);
    }
    if (!is_primary) {
        check_hidden(l, v);
    }
    if (acl_has_local_tokens(&ctx)) {
        check_expired(l, v, true);
    }
    if (--l->pending == 0) {
        wait(l);
    }
}

/* --- life ------------------------------------------------------------------------------------ */

struct leader_acl *leader_acl_new(struct server *s)
{
    struct leader_acl *l = xcalloc(1, sizeof(*l));
    l->server = s;
    return l;
}

struct leader_acl *leader_acl_free(struct leader_acl *l)
{
    return mem_free(l);
}

void leader_acl_start(struct leader_acl *l)
{
    if (l->server->delegate.acl.enabled) {
        l->is_running = true;
        log_write(LOG_INFO, MODULE, "initializing acls");
        check(l);
    }
}

/* After as long as Consul takes: whoever makes a token sees it as it is first. */
void leader_acl_legacy_token(struct leader_acl *l)
{
    if (l->is_running && l->pending == 0) {
        loop_timer_start(l->server->main->loop, &l->timer, UPGRADE_DELAY_MS, check_due);
    }
}

void leader_acl_stop(struct leader_acl *l)
{
    l->is_running = false;
    loop_timer_stop(l->server->main->loop, &l->timer);
}
