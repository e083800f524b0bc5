/* Auth methods and their binding rules. */
#include "store/acl_internal.h"

#include "base/err.h"
#include "base/vec.h"

/* --- binding rules --------------------------------------------------------------------------- */

const struct acl_binding_rule *acl_binding_rule_by_id(const struct store_view *v, struct str id)
{
    const void *row = NULL;
    return acl_row_by_id(v, NULL, TABLE_ACL_BINDING_RULES, id, "", &row, NULL) < 0 ? NULL : row;
}

int acl_binding_rule_get(const struct store_view *v, struct watch_set *ws, struct str id,
                         uint64_t *ret_index, const struct acl_binding_rule **ret_rule,
                         struct err *err)
{
    const void *row = NULL;
    int r = acl_row_by_id(v, ws, TABLE_ACL_BINDING_RULES, id, "failed acl binding rule lookup",
                          &row, err);
    *ret_rule = row;
    *ret_index = store_index(v, INDEX_NAME_ACL_BINDING_RULES);
    return r;
}

uint64_t acl_binding_rule_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                               struct str auth_method, struct ptrlist *ret_rules)
{
    struct buf key = {0};
    if (auth_method.n == 0) {
        watch_prefix(ws, TABLE_ACL_BINDING_RULES, STR(""));
        acl_rows(v, INDEX_ACL_BINDING_RULES_ID, STR_NULL, a, ret_rules);
    } else {
        struct str prefix = store_key(&key, &auth_method, 1);
        watch_prefix(ws, STORE_WATCH_INDEX(INDEX_ACL_BINDING_RULES_METHOD), prefix);
        acl_rows(v, INDEX_ACL_BINDING_RULES_METHOD, prefix, a, ret_rules);
    }
    buf_deinit(&key);
    return store_index(v, INDEX_NAME_ACL_BINDING_RULES);
}

static int rule_insert(struct store_txn *tx, const struct acl_binding_rule *rule, struct err *err)
{
    int r = acl_check_id(rule->id, "failed inserting acl binding rule: failed to build index 'id'",
                         err);
    if (r >= 0) {
        r = acl_check_name(rule->auth_method, err);
    }
    if (r < 0) {
        return r;
    }
    store_insert(tx, TABLE_ACL_BINDING_RULES, schema_clone(&acl_binding_rule_schema, rule, NULL));
    store_index_raise(tx, INDEX_NAME_ACL_BINDING_RULES, rule->raft.modify_index);
    return 0;
}

int acl_binding_rule_set(struct store_txn *tx, struct acl_binding_rule *rule, struct err *err)
{
    const struct store_view *v = store_txn_view(tx);
    const void *row = NULL;
    if (rule->id.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Binding Rule ID");
    }
    if (rule->auth_method.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Binding Rule Auth Method");
    }
    int r = acl_row_by_id(v, NULL, TABLE_ACL_BINDING_RULES, rule->id,
                          "failed acl binding rule lookup", &row, err);
    if (r < 0) {
        return r;
    }
    if (acl_auth_method_by_name(v, rule->auth_method) == NULL) {
        return err_set(err, ERR_FAILED, "failed inserting acl binding rule: auth method not found");
    }
    const struct acl_binding_rule *existing = row;
    rule->raft.modify_index = store_txn_raft_index(tx);
    rule->raft.create_index =
        existing != NULL ? existing->raft.create_index : rule->raft.modify_index;
    return rule_insert(tx, rule, err);
}

static void rule_remove(struct store_txn *tx, struct str id)
{
    struct buf key = {0};
    store_key_uuid(&key, id);
    if (store_delete(tx, TABLE_ACL_BINDING_RULES, buf_view(&key))) {
        store_index_raise(tx, INDEX_NAME_ACL_BINDING_RULES, store_txn_raft_index(tx));
    }
    buf_deinit(&key);
}

int acl_binding_rule_delete(struct store_txn *tx, struct str id, struct err *err)
{
    int r = acl_check_id(id, "failed acl binding rule lookup: index error", err);
    if (r >= 0) {
        rule_remove(tx, id);
    }
    return r;
}

int acl_binding_rule_restore(struct store_txn *tx, const struct acl_binding_rule *rule,
                             struct err *err)
{
    return rule_insert(tx, rule, err);
}

/* --- auth methods ---------------------------------------------------------------------------- */

const struct acl_auth_method *acl_auth_method_by_name(const struct store_view *v, struct str name)
{
    struct buf key = {0};
    const struct acl_auth_method *method =
        store_get(v, INDEX_ACL_AUTH_METHODS_ID, store_key(&key, &name, 1));
    buf_deinit(&key);
    return method;
}

uint64_t acl_auth_method_get(const struct store_view *v, struct watch_set *ws, struct str name,
                             const struct acl_auth_method **ret_method)
{
    struct buf key = {0};
    watch_key(ws, TABLE_ACL_AUTH_METHODS, store_key(&key, &name, 1));
    buf_deinit(&key);
    *ret_method = acl_auth_method_by_name(v, name);
    return store_index(v, INDEX_NAME_ACL_AUTH_METHODS);
}

uint64_t acl_auth_method_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                              struct ptrlist *ret_methods)
{
    watch_prefix(ws, TABLE_ACL_AUTH_METHODS, STR(""));
    acl_rows(v, INDEX_ACL_AUTH_METHODS_ID, STR_NULL, a, ret_methods);
    return store_index(v, INDEX_NAME_ACL_AUTH_METHODS);
}

static int method_insert(struct store_txn *tx, const struct acl_auth_method *method,
                         struct err *err)
{
    int r = acl_check_name(method->name, err);
    if (r < 0) {
        return r;
    }
    store_insert(tx, TABLE_ACL_AUTH_METHODS, schema_clone(&acl_auth_method_schema, method, NULL));
    store_index_raise(tx, INDEX_NAME_ACL_AUTH_METHODS, method->raft.modify_index);
    return 0;
}

int acl_auth_method_set(struct store_txn *tx, struct acl_auth_method *method, struct err *err)
{
    if (method->name.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Auth Method Name");
    }
    if (method->type.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Auth Method Type");
    }
    const struct acl_auth_method *existing =
        acl_auth_method_by_name(store_txn_view(tx), method->name);
    method->raft.modify_index = store_txn_raft_index(tx);
    method->raft.create_index =
        existing != NULL ? existing->raft.create_index : method->raft.modify_index;
    return method_insert(tx, method, err);
}

void acl_auth_method_delete(struct store_txn *tx, struct str name)
{
    const struct acl_auth_method *method = acl_auth_method_by_name(store_txn_view(tx), name);
    if (method == NULL) {
        return;
    }
    struct arena a = {0};
    struct ptrlist rules;
    (void)acl_binding_rule_list(store_txn_view(tx), NULL, &a, method->name, &rules);
    for (size_t i = 0; i < rules.n; i++) {
        rule_remove(tx, ((const struct acl_binding_rule *)rules.v[i])->id);
    }
    arena_deinit(&a);
    acl_token_delete_of_method(tx, method);
    struct buf key = {0};
    (void)store_delete(tx, TABLE_ACL_AUTH_METHODS, store_key(&key, &name, 1));
    store_index_raise(tx, INDEX_NAME_ACL_AUTH_METHODS, store_txn_raft_index(tx));
    buf_deinit(&key);
}

int acl_auth_method_restore(struct store_txn *tx, const struct acl_auth_method *method,
                            struct err *err)
{
    return method_insert(tx, method, err);
}
