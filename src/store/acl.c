/* Policies and roles, and what the tables of ACLs have in common. */
#include "store/acl_internal.h"

#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"
#include "store/session.h"

/* --- common ---------------------------------------------------------------------------------- */

int acl_check_id(struct str id, const char *what, struct err *err)
{
    int r = session_id_check(id, err);
    return r < 0 ? err_wrap(err, "%s", what) : 0;
}

int acl_check_name(struct str name, struct err *err)
{
    return name.n > TREE_KEY_SIZE_MAX / 4
               ? err_set(err, ERR_TOO_LARGE, "name of %zu bytes is over the maximum of %u", name.n,
                         TREE_KEY_SIZE_MAX / 4)
               : 0;
}

int acl_check_identities(struct ptrlist services, struct ptrlist nodes, const char *of,
                         struct err *err)
{
    for (size_t i = 0; i < services.n; i++) {
        const struct acl_service_identity *s = services.v[i];
        if (s->service_name.n == 0) {
            return err_set(
                err, ERR_FAILED,
                "Encountered a %s with an empty service identity name in the state store", of);
        }
    }
    for (size_t i = 0; i < nodes.n; i++) {
        const struct acl_node_identity *n = nodes.v[i];
        if (n->node_name.n == 0 || n->datacenter.n == 0) {
            return err_set(err, ERR_FAILED,
                           "Encountered a %s with an empty node identity %s in the state store", of,
                           n->node_name.n == 0 ? "name" : "datacenter");
        }
    }
    return 0;
}

int acl_row_by_id(const struct store_view *v, struct watch_set *ws, enum store_table table,
                  struct str id, const char *what, const void **ret_row, struct err *err)
{
    int r = acl_check_id(id, "index error", err);
    if (r < 0) {
        return err_wrap(err, "%s", what);
    }
    struct buf key = {0};
    store_key_uuid(&key, id);
    watch_key(ws, table, buf_view(&key));
    *ret_row = store_get(v, store_primary_index(table), buf_view(&key));
    buf_deinit(&key);
    return 0;
}

/* A name with a NUL byte in it may begin with another's key, so the row is asked. */
const void *acl_row_by_name(const struct store_view *v, enum store_index index, struct str name,
                            size_t name_offset)
{
    struct buf key = {0};
    struct tree_iter it;
    const char *row;
    store_iter(&it, v, index, store_key(&key, &name, 1));
    while ((row = tree_next(&it, NULL)) != NULL &&
           ((const struct str *)(row + name_offset))->n != name.n) {
    }
    buf_deinit(&key);
    return row;
}

void acl_rows(const struct store_view *v, enum store_index index, struct str prefix,
              struct arena *a, struct ptrlist *ret_rows)
{
    VEC(void *) rows = {0};
    struct tree_iter it;
    void *row;
    store_iter(&it, v, index, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &rows, row);
    }
    *ret_rows = (struct ptrlist){rows.v, rows.n};
}

static void watch_name(struct watch_set *ws, enum store_index index, struct str name)
{
    if (ws != NULL) {
        struct buf key = {0};
        watch_prefix(ws, STORE_WATCH_INDEX(index), store_key(&key, &name, 1));
        buf_deinit(&key);
    }
}

/* --- links ----------------------------------------------------------------------------------- */

bool acl_links_contain(struct objlist links, struct str id)
{
    const struct acl_link *v = links.v;
    for (size_t i = 0; i < links.n; i++) {
        if (str_eq(v[i].id, id)) {
            return true;
        }
    }
    return false;
}

struct str acl_policy_link_name(const struct store_view *v, struct str id)
{
    const struct acl_policy_row *policy = acl_policy_by_id(v, id);
    return policy != NULL ? policy->name : STR_NULL;
}

bool acl_links_current(const struct store_view *v, struct arena *a, struct objlist links,
                       acl_link_name_fn name, struct objlist *ret_links)
{
    const struct acl_link *old = links.v;
    struct acl_link *fresh = NULL;
    size_t n = 0;
    for (size_t i = 0; i < links.n; i++) {
        struct str now = name(v, old[i].id);
        bool is_same = now.p != NULL && str_eq(now, old[i].name);
        if (!is_same && fresh == NULL) {
            fresh = arena_alloc(a, links.n * sizeof(*fresh));
            memcpy(fresh, old, i * sizeof(*fresh));
        }
        if (now.p == NULL) {
            continue;
        }
        if (fresh != NULL) {
            fresh[n] = (struct acl_link){old[i].id, now};
        }
        n++;
    }
    if (fresh != NULL) {
        *ret_links = (struct objlist){fresh, n};
    }
    return fresh != NULL;
}

int acl_resolve_policy_links(const struct store_view *v, struct objlist links, bool allow_missing,
                             const char *of, struct err *err)
{
    struct acl_link *link = links.v;
    int found = 0;
    for (size_t i = 0; i < links.n; i++) {
        const void *row;
        if (link[i].id.n == 0) {
            return err_set(err, ERR_FAILED,
                           "Encountered a %s with policies linked by Name in the state store", of);
        }
        int r = acl_row_by_id(v, NULL, TABLE_ACL_POLICIES, link[i].id, "failed acl policy lookup",
                              &row, err);
        if (r < 0) {
            return r;
        }
        if (row != NULL) {
            link[i].name = ((const struct acl_policy_row *)row)->name;
            found++;
        } else if (!allow_missing) {
            return err_set(err, ERR_FAILED, "No such policy with ID: %.*s", STRF(link[i].id));
        }
    }
    return found;
}

/* --- policies -------------------------------------------------------------------------------- */

const struct acl_policy_row *acl_policy_by_id(const struct store_view *v, struct str id)
{
    const void *row = NULL;
    return acl_row_by_id(v, NULL, TABLE_ACL_POLICIES, id, "", &row, NULL) < 0 ? NULL : row;
}

const struct acl_policy_row *acl_policy_by_name(const struct store_view *v, struct str name)
{
    return acl_row_by_name(v, INDEX_ACL_POLICIES_NAME, name, offsetof(struct acl_policy_row, name));
}

int acl_policy_get(const struct store_view *v, struct watch_set *ws, struct str id,
                   uint64_t *ret_index, const struct acl_policy_row **ret_policy, struct err *err)
{
    const void *row = NULL;
    int r = acl_row_by_id(v, ws, TABLE_ACL_POLICIES, id, "failed acl policy lookup", &row, err);
    *ret_policy = row;
    *ret_index = store_index(v, INDEX_NAME_ACL_POLICIES);
    return r;
}

uint64_t acl_policy_get_by_name(const struct store_view *v, struct watch_set *ws, struct str name,
                                const struct acl_policy_row **ret_policy)
{
    watch_name(ws, INDEX_ACL_POLICIES_NAME, name);
    *ret_policy = acl_policy_by_name(v, name);
    return store_index(v, INDEX_NAME_ACL_POLICIES);
}

int acl_policy_get_many(const struct store_view *v, struct watch_set *ws, struct arena *a,
                        struct strlist ids, uint64_t *ret_index, struct ptrlist *ret_policies,
                        struct err *err)
{
    VEC(void *) rows = {.v = SCHEMA_EMPTY};
    for (size_t i = 0; i < ids.n; i++) {
        const void *row;
        int r = acl_row_by_id(v, ws, TABLE_ACL_POLICIES, ids.v[i], "failed acl policy lookup", &row,
                              err);
        if (r < 0) {
            return r;
        }
        if (row != NULL) {
            avec_push(a, &rows, (void *)row);
        }
    }
    *ret_policies = (struct ptrlist){rows.v, rows.n};
    *ret_index = store_index(v, INDEX_NAME_ACL_POLICIES);
    return 0;
}

uint64_t acl_policy_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                         struct ptrlist *ret_policies)
{
    watch_prefix(ws, TABLE_ACL_POLICIES, STR(""));
    acl_rows(v, INDEX_ACL_POLICIES_NAME, STR_NULL, a, ret_policies);
    return store_index(v, INDEX_NAME_ACL_POLICIES);
}

static int policy_insert(struct store_txn *tx, const struct acl_policy_row *policy, struct err *err)
{
    int r =
        acl_check_id(policy->id, "failed inserting acl policy: failed to build index 'id'", err);
    if (r >= 0) {
        r = acl_check_name(policy->name, err);
    }
    if (r < 0) {
        return r;
    }
    store_insert(tx, TABLE_ACL_POLICIES, schema_clone(&acl_policy_row_schema, policy, NULL));
    store_index_raise(tx, INDEX_NAME_ACL_POLICIES, policy->raft.modify_index);
    return 0;
}

static int name_is_taken(struct str name, const char *what, struct err *err)
{
    struct buf quoted = {0};
    go_quote(&quoted, name);
    int r = err_set(err, ERR_FAILED, "A %s with name %.*s already exists", what,
                    STRF(buf_view(&quoted)));
    buf_deinit(&quoted);
    return r;
}

int acl_policy_set(struct store_txn *tx, struct acl_policy_row *policy, struct err *err)
{
    const struct store_view *v = store_txn_view(tx);
    const void *row = NULL;
    if (policy->id.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Policy ID");
    }
    if (policy->name.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Policy Name");
    }
    int r = acl_row_by_id(v, NULL, TABLE_ACL_POLICIES, policy->id, "failed acl policy lookup", &row,
                          err);
    if (r < 0) {
        return r;
    }
    const struct acl_policy_row *existing = row;
    if (existing != NULL && str_eq(policy->id, ACL_POLICY_GLOBAL_MANAGEMENT_ID)) {
        /* Against what the rules should be, not what they are: an upgrade may change them. */
        if (!str_eq(policy->rules, acl_policy_global_management_rules)) {
            return err_set(
                err, ERR_FAILED,
                "Changing the Rules for the builtin global-management policy is not permitted");
        }
        if (policy->datacenters.n > 0) {
            return err_set(err, ERR_FAILED,
                           "Changing the Datacenters of the builtin global-management policy is "
                           "not permitted");
        }
    }
    const struct acl_policy_row *other = acl_policy_by_name(v, policy->name);
    if (other != NULL && !str_eq(other->id, policy->id)) {
        return name_is_taken(policy->name, "policy", err);
    }
    policy->raft.modify_index = store_txn_raft_index(tx);
    policy->raft.create_index =
        existing != NULL ? existing->raft.create_index : policy->raft.modify_index;
    return policy_insert(tx, policy, err);
}

int acl_policy_delete(struct store_txn *tx, struct str id, struct err *err)
{
    const void *row = NULL;
    int r = acl_row_by_id(store_txn_view(tx), NULL, TABLE_ACL_POLICIES, id,
                          "failed acl policy lookup", &row, err);
    if (r < 0 || row == NULL) {
        return r;
    }
    if (str_eq(((const struct acl_policy_row *)row)->id, ACL_POLICY_GLOBAL_MANAGEMENT_ID)) {
        return err_set(err, ERR_FAILED,
                       "Deletion of the builtin global-management policy is not permitted");
    }
    struct buf key = {0};
    store_key_uuid(&key, id);
    (void)store_delete(tx, TABLE_ACL_POLICIES, buf_view(&key));
    store_index_raise(tx, INDEX_NAME_ACL_POLICIES, store_txn_raft_index(tx));
    buf_deinit(&key);
    return 0;
}

int acl_policy_restore(struct store_txn *tx, const struct acl_policy_row *policy, struct err *err)
{
    return policy_insert(tx, policy, err);
}

/* --- roles ----------------------------------------------------------------------------------- */

const struct acl_role *acl_role_by_id(const struct store_view *v, struct str id)
{
    const void *row = NULL;
    return acl_row_by_id(v, NULL, TABLE_ACL_ROLES, id, "", &row, NULL) < 0 ? NULL : row;
}

const struct acl_role *acl_role_by_name(const struct store_view *v, struct str name)
{
    return acl_row_by_name(v, INDEX_ACL_ROLES_NAME, name, offsetof(struct acl_role, name));
}

const struct acl_role *acl_role_current(const struct store_view *v, struct arena *a,
                                        const struct acl_role *role)
{
    struct objlist policies;
    if (!acl_links_current(v, a, role->policies, acl_policy_link_name, &policies)) {
        return role;
    }
    struct acl_role *copy = ARENA_NEW(a, struct acl_role);
    *copy = *role;
    copy->policies = policies;
    return copy;
}

int acl_role_get(const struct store_view *v, struct watch_set *ws, struct arena *a, struct str id,
                 uint64_t *ret_index, const struct acl_role **ret_role, struct err *err)
{
    const void *row = NULL;
    int r = acl_row_by_id(v, ws, TABLE_ACL_ROLES, id, "failed acl role lookup", &row, err);
    *ret_role = row != NULL ? acl_role_current(v, a, row) : NULL;
    *ret_index = store_index(v, INDEX_NAME_ACL_ROLES);
    return r;
}

uint64_t acl_role_get_by_name(const struct store_view *v, struct watch_set *ws, struct arena *a,
                              struct str name, const struct acl_role **ret_role)
{
    watch_name(ws, INDEX_ACL_ROLES_NAME, name);
    const struct acl_role *role = acl_role_by_name(v, name);
    *ret_role = role != NULL ? acl_role_current(v, a, role) : NULL;
    return store_index(v, INDEX_NAME_ACL_ROLES);
}

int acl_role_get_many(const struct store_view *v, struct watch_set *ws, struct arena *a,
                      struct strlist ids, uint64_t *ret_index, struct ptrlist *ret_roles,
                      struct err *err)
{
    VEC(void *) rows = {.v = SCHEMA_EMPTY};
    for (size_t i = 0; i < ids.n; i++) {
        const struct acl_role *role;
        int r = acl_role_get(v, ws, a, ids.v[i], ret_index, &role, err);
        if (r < 0) {
            return r;
        }
        if (role != NULL) {
            avec_push(a, &rows, (void *)role);
        }
    }
    *ret_roles = (struct ptrlist){rows.v, rows.n};
    *ret_index = store_index(v, INDEX_NAME_ACL_ROLES);
    return 0;
}

int acl_role_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                  struct str policy, uint64_t *ret_index, struct ptrlist *ret_roles,
                  struct err *err)
{
    VEC(void *) roles = {0};
    struct tree_iter it;
    const struct acl_role *role;
    int r = policy.n > 0 ? acl_check_id(policy, "failed acl role lookup: index error", err) : 0;
    if (r < 0) {
        return r;
    }
    watch_prefix(ws, TABLE_ACL_ROLES, STR(""));
    store_iter(&it, v, INDEX_ACL_ROLES_NAME, STR_NULL);
    while ((role = tree_next(&it, NULL)) != NULL) {
        if (policy.n == 0 || acl_links_contain(role->policies, policy)) {
            avec_push(a, &roles, (void *)acl_role_current(v, a, role));
        }
    }
    *ret_roles = (struct ptrlist){roles.v, roles.n};
    *ret_index = store_index(v, INDEX_NAME_ACL_ROLES);
    return 0;
}

static int role_insert(struct store_txn *tx, const struct acl_role *role, struct err *err)
{
    int r = acl_check_id(role->id, "failed inserting acl role: failed to build index 'id'", err);
    if (r >= 0) {
        r = acl_check_name(role->name, err);
    }
    if (r < 0) {
        return r;
    }
    store_insert(tx, TABLE_ACL_ROLES, schema_clone(&acl_role_schema, role, NULL));
    store_index_raise(tx, INDEX_NAME_ACL_ROLES, role->raft.modify_index);
    return 0;
}

int acl_role_set(struct store_txn *tx, struct acl_role *role, bool allow_missing_links,
                 struct err *err)
{
    const struct store_view *v = store_txn_view(tx);
    const void *row = NULL;
    if (role->id.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Role ID");
    }
    if (role->name.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Role Name");
    }
    int r = acl_row_by_id(v, NULL, TABLE_ACL_ROLES, role->id, "failed acl role lookup", &row, err);
    if (r < 0) {
        return r;
    }
    const struct acl_role *existing = row, *other = acl_role_by_name(v, role->name);
    if (other != NULL && !str_eq(other->id, role->id)) {
        return name_is_taken(role->name, "role", err);
    }
    r = acl_resolve_policy_links(v, role->policies, allow_missing_links, "Role", err);
    if (r >= 0) {
        r = acl_check_identities(role->service_identities, role->node_identities, "Role", err);
    }
    if (r < 0) {
        return r;
    }
    role->raft.modify_index = store_txn_raft_index(tx);
    role->raft.create_index =
        existing != NULL ? existing->raft.create_index : role->raft.modify_index;
    return role_insert(tx, role, err);
}

int acl_role_delete(struct store_txn *tx, struct str id, struct err *err)
{
    const void *row = NULL;
    int r = acl_row_by_id(store_txn_view(tx), NULL, TABLE_ACL_ROLES, id, "failed acl role lookup",
                          &row, err);
    if (r < 0 || row == NULL) {
        return r;
    }
    struct buf key = {0};
    store_key_uuid(&key, id);
    (void)store_delete(tx, TABLE_ACL_ROLES, buf_view(&key));
    store_index_raise(tx, INDEX_NAME_ACL_ROLES, store_txn_raft_index(tx));
    buf_deinit(&key);
    return 0;
}

int acl_role_restore(struct store_txn *tx, const struct acl_role *role, struct err *err)
{
    return role_insert(tx, role, err);
}
