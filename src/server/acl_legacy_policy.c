/* ACL.GetPolicy: what a token may do, in the words of before 1.4. Agents of that time decide with
 * it themselves. */
#include "base/blake2b.h"
#include "base/clock.h"
#include "base/vec.h"
#include "server/acl_data.h"
#include "server/acl_resolver_internal.h"
#include "server/server.h"
#include "store/acl.h"

#include <stdlib.h>

struct merge {
    struct arena *a;
    VEC(struct acl_rule) v;
};

static int by_id(const void *x, const void *y)
{
    return str_cmp((*(const struct acl_policy_row *const *)x)->id,
                   (*(const struct acl_policy_row *const *)y)->id);
}

static int by_name(const void *x, const void *y)
{
    return str_cmp(((const struct acl_rule *)x)->name, ((const struct acl_rule *)y)->name);
}

static void merge_add(struct merge *m, struct acl_rule_list list)
{
    for (size_t i = 0; i < list.n; i++) {
        avec_push(m->a, &m->v, list.v[i]);
    }
}

/* One rule for each name, with the strongest levels; they are put behind those there are. */
static void merge_end(struct merge *m, struct objlist *rules)
{
    struct acl_legacy_rule *v = ARENA_ARRAY(m->a, struct acl_legacy_rule, rules->n + m->v.n);
    size_t n = rules->n;
    if (n > 0) {
        memcpy(v, rules->v, n * sizeof(*v));
    }
    if (m->v.n > 1) {
        qsort(m->v.v, m->v.n, sizeof(m->v.v[0]), by_name);
    }
    for (size_t i = 0; i < m->v.n;) {
        struct acl_rule rule = m->v.v[i++];
        for (; i < m->v.n && str_eq(m->v.v[i].name, rule.name); i++) {
            rule.level = MAX(rule.level, m->v.v[i].level);
            rule.intentions = MAX(rule.intentions, m->v.v[i].intentions);
        }
        v[n++] = (struct acl_legacy_rule){
            .name = rule.name,
            .policy = str_from_cstr(acl_level_text(rule.level)),
            .intentions = str_from_cstr(acl_level_text(rule.intentions)),
        };
    }
    *rules = (struct objlist){n > 0 ? v : NULL, n}; /* nil where there is none */
    m->v.n = 0;
}

/* Exact names and beginnings alike: what the old rules could say. */
static void rules_merge(struct arena *a, const struct acl_policy *policies, size_t count,
                        struct acl_legacy_policy *to)
{
    struct objlist *const lists[ACL_NAMED_RESOURCE_COUNT] = {
        [ACL_RESOURCE_AGENT] = &to->agents,     [ACL_RESOURCE_KEY] = &to->keys,
        [ACL_RESOURCE_NODE] = &to->nodes,       [ACL_RESOURCE_SERVICE] = &to->services,
        [ACL_RESOURCE_SESSION] = &to->sessions, [ACL_RESOURCE_EVENT] = &to->events,
        [ACL_RESOURCE_QUERY] = &to->queries,
    };
    struct merge m = {.a = a};
    for (size_t r = 0; r < ARRAY_SIZE(lists); r++) {
        for (size_t i = 0; i < count; i++) {
            merge_add(&m, policies[i].exact[r]);
        }
        merge_end(&m, lists[r]);
        for (size_t i = 0; i < count; i++) {
            merge_add(&m, policies[i].prefix[r]);
        }
        merge_end(&m, lists[r]);
    }
    enum acl_level acl = ACL_LEVEL_NONE, keyring = ACL_LEVEL_NONE, operator= ACL_LEVEL_NONE;
    for (size_t i = 0; i < count; i++) {
        acl = MAX(acl, policies[i].acl);
        keyring = MAX(keyring, policies[i].keyring);
        operator= MAX(operator, policies[i].operator);
    }
    to->acl = str_from_cstr(acl_level_text(acl));
    to->keyring = str_from_cstr(acl_level_text(keyring));
    to->operator= str_from_cstr(acl_level_text(operator));
}

/* Another one whenever a policy is changed. */
static struct str merged_id(struct arena *a, const struct acl_policies *p)
{
    struct blake2b h;
    uint8_t digest[BLAKE2B_SIZE];
    struct buf revision = {0}, text = {0};
    blake2b_init(&h);
    for (size_t i = 0; i < p->v.n; i++) {
        buf_clear(&revision);
        buf_be64(&revision, p->v.v[i]->raft.modify_index);
        blake2b_add(&h, p->v.v[i]->id);
        blake2b_add(&h, buf_view(&revision));
    }
    blake2b_finish(&h, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        buf_printf(&text, "%02x", digest[i]);
    }
    struct str id = arena_str(a, buf_view(&text));
    buf_deinit(&revision);
    buf_deinit(&text);
    return id;
}

static int policy_of(struct rpc_ctx *ctx, const struct acl_token *token,
                     struct acl_legacy_policy **ret_policy)
{
    struct acl_policies p = {.a = ctx->arena};
    acl_policies_of(&p, ctx->worker->acl, ctx->view, token);
    if (p.v.n == 0) {
        return err_set(ctx->err, ERR_ACL_NOT_FOUND, "%s", err_code_text(ERR_ACL_NOT_FOUND));
    }
    qsort(p.v.v, p.v.n, sizeof(p.v.v[0]), by_id);
    struct acl_policy *parsed = ARENA_ARRAY(ctx->arena, struct acl_policy, p.v.n);
    for (size_t i = 0; i < p.v.n; i++) {
        const struct acl_policy_row *row = p.v.v[i];
        enum acl_syntax syntax = row->syntax == 1 ? ACL_SYNTAX_LEGACY : ACL_SYNTAX_CURRENT;
        if (acl_policy_parse(ctx->arena, row->rules, syntax, &parsed[i], ctx->err) < 0) {
            return err_wrap(ctx->err, "failed to parse \"%.*s\"", STRF(row->name));
        }
    }
    struct acl_legacy_policy *policy = ARENA_NEW(ctx->arena, struct acl_legacy_policy);
    policy->id = merged_id(ctx->arena, &p);
    rules_merge(ctx->arena, parsed, p.v.n, policy);
    *ret_policy = policy;
    return 0;
}

static int get_policy(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_legacy_policy_request *args = data;
    struct acl_legacy_policy_response *reply = out;
    const struct acl_settings *settings = &ctx->server->delegate.acl;
    struct acl_legacy_policy *policy;
    if (!acl_is_primary(ctx)) {
        return err_set(ctx->err, ERR_ACL_DISABLED, "%s", err_code_text(ERR_ACL_DISABLED));
    }
    const struct acl_token *token = acl_token_by_secret(ctx->view, args->acl);
    if (token == NULL || acl_token_is_expired(token, clock_wall_ns())) {
        return err_set(ctx->err, ERR_ACL_NOT_FOUND, "%s", err_code_text(ERR_ACL_NOT_FOUND));
    }
    int r = policy_of(ctx, token, &policy);
    if (r < 0) {
        return r;
    }
    struct str parent = str_eq(token->type, ACL_TOKEN_TYPE_MANAGEMENT) ? STR("manage")
                        : settings->fallback == ACL_DEFAULT_ALLOW      ? STR("allow")
                                                                       : STR("deny");
    reply->etag = arena_printf(ctx->arena, "%.*s:%.*s", STRF(parent), STRF(policy->id));
    reply->ttl_ns = (int64_t)settings->token_ttl_ms * 1000000;
    if (!str_eq(args->etag, reply->etag)) {
        reply->parent = parent;
        reply->policy = policy;
    }
    return 0;
}

const struct rpc_method rpc_acl_get_policy = {
    .name = "ACL.GetPolicy",
    .flags = RPC_READ,
    .args = &acl_legacy_policy_request_schema,
    .reply = &acl_legacy_policy_response_schema,
    .options_offset = offsetof(struct acl_legacy_policy_request, options),
    .meta_offset = offsetof(struct acl_legacy_policy_response, meta),
    .acl = "none",
    .read = get_policy,
};
