/* Entries and snapshot records of tokens, policies, roles, binding rules and auth methods. */
#include "store/acl.h"
#include "fsm/internal.h"
#include "schema/acl_request.h"

/* --- tokens ---------------------------------------------------------------------------------- */

int fsm_apply_acl_token_set(struct apply *ap)
{
    struct acl_token_batch_set_request req = {0};
    int r = fsm_decode(ap, &acl_token_batch_set_request_schema, &req);
    ap->op = STR("upsert");
    unsigned flags = (req.cas ? ACL_TOKEN_CAS : 0u) |
                     (req.allow_missing_links ? ACL_TOKEN_ALLOW_MISSING_LINKS : 0u) |
                     (req.prohibit_unprivileged ? ACL_TOKEN_PROHIBIT_UNPRIVILEGED : 0u) |
                     (req.from_replication ? ACL_TOKEN_FROM_REPLICATION : 0u);
    for (size_t i = 0; i < req.tokens.n && r >= 0; i++) {
        r = acl_token_set(ap->tx, ap->arena, req.tokens.v[i], flags, ap->err);
    }
    return r;
}

int fsm_apply_acl_token_delete(struct apply *ap)
{
    struct acl_token_batch_delete_request req = {0};
    int r = fsm_decode(ap, &acl_token_batch_delete_request_schema, &req);
    ap->op = STR("delete");
    for (size_t i = 0; i < req.token_ids.n && r >= 0; i++) {
        r = acl_token_delete(ap->tx, ACL_TOKEN_ACCESSOR, req.token_ids.v[i], ap->err);
    }
    return r;
}

int fsm_apply_acl_bootstrap(struct apply *ap)
{
    struct acl_token_bootstrap_request req = {0};
    schema_zero(&acl_token_bootstrap_request_schema, &req);
    int r = fsm_decode(ap, &acl_token_bootstrap_request_schema, &req);
    ap->op = STR("bootstrap");
    return r < 0 ? r
                 : acl_bootstrap(ap->tx, ap->arena, &req.token, req.reset_index, false, ap->err);
}

/* The log of the old API. */
int fsm_apply_acl(struct apply *ap)
{
    struct acl_legacy_request req = {0};
    int r = fsm_decode(ap, &acl_legacy_request_schema, &req);
    if (r < 0) {
        return r;
    }
    ap->op = req.op;
    struct acl_token token = acl_legacy_to_token(ap->arena, &req.acl);
    if (str_eq(req.op, ACL_BOOTSTRAP_INIT)) {
        uint64_t reset_index;
        bool can = acl_can_bootstrap(store_txn_view(ap->tx), &reset_index);
        *ap->result = (struct fsm_result){.kind = FSM_RESULT_BOOL, .b = can};
        return 0;
    }
    if (str_eq(req.op, ACL_DELETE)) {
        return acl_token_delete(ap->tx, ACL_TOKEN_SECRET, req.acl.id, ap->err);
    }
    if (str_eq(req.op, ACL_BOOTSTRAP_NOW)) {
        r = acl_bootstrap(ap->tx, ap->arena, &token, 0, true, ap->err);
    } else if (str_eq(req.op, ACL_SET) || str_eq(req.op, ACL_FORCE_SET)) {
        r = acl_token_set(ap->tx, ap->arena, &token, ACL_TOKEN_LEGACY, ap->err);
    } else {
        r = err_set(ap->err, ERR_FAILED, "Invalid ACL operation '%.*s'", STRF(req.op));
    }
    if (r >= 0) {
        *ap->result =
            (struct fsm_result){.kind = FSM_RESULT_STR, .s = arena_str(ap->arena, req.acl.id)};
    }
    return r;
}

/* --- policies and roles ---------------------------------------------------------------------- */

int fsm_apply_acl_policy_set(struct apply *ap)
{
    struct acl_policy_batch_set_request req = {0};
    int r = fsm_decode(ap, &acl_policy_batch_set_request_schema, &req);
    ap->op = STR("upsert");
    for (size_t i = 0; i < req.policies.n && r >= 0; i++) {
        r = acl_policy_set(ap->tx, req.policies.v[i], ap->err);
    }
    return r;
}

int fsm_apply_acl_policy_delete(struct apply *ap)
{
    struct acl_policy_batch_delete_request req = {0};
    int r = fsm_decode(ap, &acl_policy_batch_delete_request_schema, &req);
    ap->op = STR("delete");
    for (size_t i = 0; i < req.policy_ids.n && r >= 0; i++) {
        r = acl_policy_delete(ap->tx, req.policy_ids.v[i], ap->err);
    }
    return r;
}

int fsm_apply_acl_role_set(struct apply *ap)
{
    struct acl_role_batch_set_request req = {0};
    int r = fsm_decode(ap, &acl_role_batch_set_request_schema, &req);
    ap->op = STR("upsert");
    for (size_t i = 0; i < req.roles.n && r >= 0; i++) {
        r = acl_role_set(ap->tx, req.roles.v[i], req.allow_missing_links, ap->err);
    }
    return r;
}

int fsm_apply_acl_role_delete(struct apply *ap)
{
    struct acl_role_batch_delete_request req = {0};
    int r = fsm_decode(ap, &acl_role_batch_delete_request_schema, &req);
    ap->op = STR("delete");
    for (size_t i = 0; i < req.role_ids.n && r >= 0; i++) {
        r = acl_role_delete(ap->tx, req.role_ids.v[i], ap->err);
    }
    return r;
}

/* --- binding rules and auth methods ---------------------------------------------------------- */

int fsm_apply_acl_binding_rule_set(struct apply *ap)
{
    struct acl_binding_rule_batch_set_request req = {0};
    int r = fsm_decode(ap, &acl_binding_rule_batch_set_request_schema, &req);
    ap->op = STR("upsert");
    for (size_t i = 0; i < req.binding_rules.n && r >= 0; i++) {
        r = acl_binding_rule_set(ap->tx, req.binding_rules.v[i], ap->err);
    }
    return r;
}

int fsm_apply_acl_binding_rule_delete(struct apply *ap)
{
    struct acl_binding_rule_batch_delete_request req = {0};
    int r = fsm_decode(ap, &acl_binding_rule_batch_delete_request_schema, &req);
    ap->op = STR("delete");
    for (size_t i = 0; i < req.binding_rule_ids.n && r >= 0; i++) {
        /* Consul passes over what is no id, too. */
        (void)!acl_binding_rule_delete(ap->tx, req.binding_rule_ids.v[i], NULL);
    }
    return r;
}

int fsm_apply_acl_auth_method_set(struct apply *ap)
{
    struct acl_auth_method_batch_set_request req = {0};
    int r = fsm_decode(ap, &acl_auth_method_batch_set_request_schema, &req);
    ap->op = STR("upsert");
    for (size_t i = 0; i < req.auth_methods.n && r >= 0; i++) {
        r = acl_auth_method_set(ap->tx, req.auth_methods.v[i], ap->err);
    }
    return r;
}

int fsm_apply_acl_auth_method_delete(struct apply *ap)
{
    struct acl_auth_method_batch_delete_request req = {0};
    int r = fsm_decode(ap, &acl_auth_method_batch_delete_request_schema, &req);
    ap->op = STR("delete");
    for (size_t i = 0; i < req.auth_method_names.n && r >= 0; i++) {
        acl_auth_method_delete(ap->tx, req.auth_method_names.v[i]);
    }
    return r;
}

/* --- snapshots ------------------------------------------------------------------------------- */

int snapshot_write_acl_tokens(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_ACL_TOKENS_ID, FSM_ACL_TOKEN_SET, &acl_token_schema);
}

int snapshot_write_acl_policies(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_ACL_POLICIES_ID, FSM_ACL_POLICY_SET,
                               &acl_policy_row_schema);
}

int snapshot_write_acl_roles(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_ACL_ROLES_ID, FSM_ACL_ROLE_SET, &acl_role_schema);
}

int snapshot_write_acl_binding_rules(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_ACL_BINDING_RULES_ID, FSM_ACL_BINDING_RULE_SET,
                               &acl_binding_rule_schema);
}

int snapshot_write_acl_auth_methods(struct snapshot_out *out, const struct store_view *v)
{
    return snapshot_write_rows(out, v, INDEX_ACL_AUTH_METHODS_ID, FSM_ACL_AUTH_METHOD_SET,
                               &acl_auth_method_schema);
}

int snapshot_read_acl_token(struct snapshot_in *in)
{
    struct acl_token token;
    schema_zero(&acl_token_schema, &token);
    int r = snapshot_read_object(in, &acl_token_schema, &token);
    if (r < 0) {
        return r;
    }
    if (token.hash.p == NULL) {
        acl_token_hash_set(in->arena, &token);
    }
    return acl_token_restore(in->tx, &token, in->err);
}

int snapshot_read_acl_policy(struct snapshot_in *in)
{
    struct acl_policy_row policy = {0};
    int r = snapshot_read_object(in, &acl_policy_row_schema, &policy);
    return r < 0 ? r : acl_policy_restore(in->tx, &policy, in->err);
}

int snapshot_read_acl_role(struct snapshot_in *in)
{
    struct acl_role role = {0};
    int r = snapshot_read_object(in, &acl_role_schema, &role);
    return r < 0 ? r : acl_role_restore(in->tx, &role, in->err);
}

int snapshot_read_acl_binding_rule(struct snapshot_in *in)
{
    struct acl_binding_rule rule = {0};
    int r = snapshot_read_object(in, &acl_binding_rule_schema, &rule);
    return r < 0 ? r : acl_binding_rule_restore(in->tx, &rule, in->err);
}

int snapshot_read_acl_auth_method(struct snapshot_in *in)
{
    struct acl_auth_method method = {0};
    int r = snapshot_read_object(in, &acl_auth_method_schema, &method);
    return r < 0 ? r : acl_auth_method_restore(in->tx, &method, in->err);
}

/* Snapshots of before 1.4 have tokens and the mark of bootstrapping in the old forms. */
int snapshot_read_acl_legacy(struct snapshot_in *in)
{
    struct acl_legacy legacy = {0};
    int r = snapshot_read_object(in, &acl_legacy_schema, &legacy);
    if (r < 0) {
        return r;
    }
    struct acl_token token = acl_legacy_to_token(in->arena, &legacy);
    return acl_token_restore(in->tx, &token, in->err);
}

int snapshot_read_acl_bootstrap(struct snapshot_in *in)
{
    struct acl_bootstrap_record record = {0};
    int r = snapshot_read_object(in, &acl_bootstrap_record_schema, &record);
    if (r >= 0) {
        acl_bootstrap_restore(in->tx, record.raft.modify_index);
    }
    return r;
}
