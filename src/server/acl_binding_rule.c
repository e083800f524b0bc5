/* ACL.BindingRule*: what somebody gets who logs in by an auth method. */
#include "base/gofmt.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "fsm/fsm.h"
#include "server/acl_data.h"
#include "server/auth_method.h"
#include "server/reply.h"
#include "server/server.h"
#include "store/acl.h"

#define Q(s) STRF(go_quoted(ctx->arena, (s)))
#define ROLE_NAME_SIZE_MAX 256u

int acl_check_auth_methods(const struct rpc_ctx *ctx)
{
    int r = acl_check_enabled(ctx);
    if (r >= 0 && !acl_has_local_tokens(ctx)) {
        r = err_set(ctx->err, ERR_FAILED,
                    "Token replication is required for auth methods to function");
    }
    return r;
}

bool acl_bound_name_is_valid(struct str bind_type, struct str name)
{
    return str_eq(bind_type, ACL_BIND_TYPE_ROLE) ? acl_name_is_valid(name, ROLE_NAME_SIZE_MAX)
                                                 : acl_identity_name_is_valid(name);
}

/* --- writing --------------------------------------------------------------------------------- */

/* A new one gets its id; one that has an id must be there, and stays with its method. */
static int check_identity(struct rpc_ctx *ctx, struct acl_binding_rule *rule)
{
    if (rule->id.n == 0) {
        rule->id = acl_new_id(ctx);
        return 0;
    }
    if (!uuid_is_valid(rule->id)) {
        return err_set(ctx->err, ERR_FAILED, "Binding Rule ID invalid UUID");
    }
    const struct acl_binding_rule *old = acl_binding_rule_by_id(ctx->view, rule->id);
    if (old == NULL) {
        return err_set(ctx->err, ERR_FAILED, "cannot find binding rule %.*s", STRF(rule->id));
    }
    if (rule->auth_method.n == 0) {
        rule->auth_method = old->auth_method;
    } else if (!str_eq(rule->auth_method, old->auth_method)) {
        return err_set(ctx->err, ERR_FAILED,
                       "the AuthMethod field of an Binding Rule is immutable");
    }
    return 0;
}

/* With every variable of the method set to something that is a good part of a name. */
static int check_bind_name(struct rpc_ctx *ctx, const struct acl_binding_rule *rule,
                           struct auth_identity identity)
{
    struct str name;
    for (size_t i = 0; i < identity.vars_count; i++) {
        identity.vars[i].value = STR("fake");
    }
    if (auth_bind_name(ctx->arena, rule->bind_name, &identity, &name, ctx->err) < 0) {
        return err_wrap(ctx->err, "Invalid Binding Rule: invalid BindName");
    }
    return acl_bound_name_is_valid(rule->bind_type, name)
               ? 0
               : err_set(ctx->err, ERR_FAILED, "Invalid Binding Rule: invalid BindName");
}

static int check_content(struct rpc_ctx *ctx, const struct acl_binding_rule *rule)
{
    struct auth_config config;
    if (rule->auth_method.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Binding Rule: no AuthMethod is set");
    }
    const struct acl_auth_method *method = acl_auth_method_by_name(ctx->view, rule->auth_method);
    if (method == NULL) {
        return err_set(ctx->err, ERR_FAILED, "cannot find auth method with name %.*s",
                       Q(rule->auth_method));
    }
    if (auth_config_parse(ctx->arena, method, &config, ctx->err) < 0) {
        return err_wrap(ctx->err, "auth method validator for %.*s could not be initialized",
                        Q(method->name));
    }
    struct auth_identity blank = auth_identity_blank(ctx->arena, &config);
    if (rule->selector.n > 0 &&
        auth_selector_check(ctx->arena, rule->selector, &blank, ctx->err) < 0) {
        return err_wrap(ctx->err, "invalid Binding Rule: Selector is invalid");
    }
    if (rule->bind_type.n == 0 || rule->bind_name.n == 0) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Binding Rule: no %s is set",
                       rule->bind_type.n == 0 ? "BindType" : "BindName");
    }
    if (!str_eq(rule->bind_type, ACL_BIND_TYPE_SERVICE) &&
        !str_eq(rule->bind_type, ACL_BIND_TYPE_NODE) &&
        !str_eq(rule->bind_type, ACL_BIND_TYPE_ROLE)) {
        return err_set(ctx->err, ERR_FAILED, "Invalid Binding Rule: unknown BindType %.*s",
                       Q(rule->bind_type));
    }
    return check_bind_name(ctx, rule, blank);
}

static int set_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_binding_rule_set_request *args = data;
    struct acl_binding_rule *rule = &args->binding_rule;
    (void)reply;
    int r = acl_check_auth_methods(ctx);
    if (r < 0 || (r = acl_permit(ctx, ACL_ACL_WRITE)) < 0 || (r = check_identity(ctx, rule)) < 0 ||
        (r = check_content(ctx, rule)) < 0) {
        return r;
    }
    void *rules[] = {rule};
    const struct acl_binding_rule_batch_set_request request = {.binding_rules = {rules, 1}};
    acl_entry_put(entry, FSM_ACL_BINDING_RULE_SET, &acl_binding_rule_batch_set_request_schema,
                  &request);
    return RPC_PREPARE_PROPOSE;
}

static int set_applied(struct rpc_ctx *ctx, const void *data, const struct fsm_result *result,
                       void *reply)
{
    const struct acl_binding_rule_set_request *args = data;
    const struct acl_binding_rule *rule = acl_binding_rule_by_id(ctx->view, args->binding_rule.id);
    (void)result;
    if (rule != NULL) {
        *(struct acl_binding_rule *)reply = *rule;
    }
    return 0;
}

static struct metric time_upsert = METRIC_SAMPLE("acl.bindingrule.upsert");

const struct rpc_method rpc_acl_binding_rule_set = {
    .name = "ACL.BindingRuleSet",
    .flags = RPC_WRITE,
    .args = &acl_binding_rule_set_request_schema,
    .reply = &acl_binding_rule_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "acl:write",
    .time = &time_upsert,
    .prepare = set_prepare,
    .applied = set_applied,
    .apply_error = "Failed to apply binding rule upsert request",
};

static int delete_prepare(struct rpc_ctx *ctx, void *data, void *reply, struct buf *entry)
{
    struct acl_binding_rule_delete_request *args = data;
    const struct acl_binding_rule *rule;
    uint64_t index;
    int r = acl_check_auth_methods(ctx);
    if (r < 0 || (r = acl_permit(ctx, ACL_ACL_WRITE)) < 0 ||
        (r = acl_binding_rule_get(ctx->view, NULL, args->binding_rule_id, &index, &rule,
                                  ctx->err)) < 0) {
        return r;
    }
    if (rule == NULL) {
        return RPC_PREPARE_DONE;
    }
    ((struct bool_reply *)reply)->value = true;
    const struct acl_binding_rule_batch_delete_request request = {
        .binding_rule_ids = {&args->binding_rule_id, 1}};
    acl_entry_put(entry, FSM_ACL_BINDING_RULE_DELETE, &acl_binding_rule_batch_delete_request_schema,
                  &request);
    return RPC_PREPARE_PROPOSE;
}

static struct metric time_delete = METRIC_SAMPLE("acl.bindingrule.delete");

const struct rpc_method rpc_acl_binding_rule_delete = {
    .name = "ACL.BindingRuleDelete",
    .flags = RPC_WRITE,
    .args = &acl_binding_rule_delete_request_schema,
    .reply = &bool_reply_schema,
    .options_offset = -1,
    .meta_offset = -1,
    .acl = "acl:write",
    .time = &time_delete,
    .prepare = delete_prepare,
    .apply_error = "Failed to apply binding rule delete request",
};

/* --- reading --------------------------------------------------------------------------------- */

static int rule_read(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_binding_rule_get_request *args = data;
    struct acl_binding_rule_response *reply = out;
    const struct acl_binding_rule *rule = NULL;
    int r = acl_check_auth_methods(ctx);
    if (r >= 0 && (r = acl_permit(ctx, ACL_ACL_READ)) >= 0) {
        r = acl_binding_rule_get(ctx->view, ctx->ws, args->binding_rule_id, &reply->meta.index,
                                 &rule, ctx->err);
    }
    reply->binding_rule = (struct acl_binding_rule *)(uintptr_t)rule;
    return r;
}

const struct rpc_method rpc_acl_binding_rule_read = {
    .name = "ACL.BindingRuleRead",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_binding_rule_get_request_schema,
    .reply = &acl_binding_rule_response_schema,
    .options_offset = offsetof(struct acl_binding_rule_get_request, options),
    .meta_offset = offsetof(struct acl_binding_rule_response, meta),
    .acl = "acl:read",
    .read = rule_read,
};

static int rule_list(struct rpc_ctx *ctx, const void *data, void *out)
{
    const struct acl_binding_rule_list_request *args = data;
    struct acl_binding_rule_list_response *reply = out;
    int r = acl_check_auth_methods(ctx);
    if (r >= 0 && (r = acl_permit(ctx, ACL_ACL_READ)) >= 0) {
        reply->meta.index = acl_binding_rule_list(ctx->view, ctx->ws, ctx->arena, args->auth_method,
                                                  &reply->binding_rules);
    }
    if (reply->binding_rules.v == NULL) {
        reply->binding_rules.v = SCHEMA_EMPTY;
    }
    return r;
}

const struct rpc_method rpc_acl_binding_rule_list = {
    .name = "ACL.BindingRuleList",
    .flags = RPC_READ | RPC_BLOCKING,
    .args = &acl_binding_rule_list_request_schema,
    .reply = &acl_binding_rule_list_response_schema,
    .options_offset = offsetof(struct acl_binding_rule_list_request, options),
    .meta_offset = offsetof(struct acl_binding_rule_list_response, meta),
    .acl = "acl:read",
    .read = rule_list,
};
