#include "store/acl_internal.h"

#include "base/err.h"
#include "base/vec.h"

#define INDEX_NAME_BOOTSTRAP STR("acl-token-bootstrap")
#define UUID_SIZE 16u

/* --- finding --------------------------------------------------------------------------------- */

const struct acl_token *acl_token_by_secret(const struct store_view *v, struct str secret)
{
    struct buf key = {0};
    store_key_exact(&key, secret);
    const struct acl_token *token = store_get(v, INDEX_ACL_TOKENS_ID, buf_view(&key));
    buf_deinit(&key);
    return token;
}

/* A text of as many digits but fewer hyphens makes a longer key, which is nobody's. */
static const struct acl_token *by_accessor(const struct store_view *v, struct watch_set *ws,
                                           struct str accessor)
{
    struct buf key = {0};
    store_key_uuid(&key, accessor);
    watch_prefix(ws, STORE_WATCH_INDEX(INDEX_ACL_TOKENS_ACCESSOR), buf_view(&key));
    const struct acl_token *token =
        key.n == UUID_SIZE ? store_first(v, INDEX_ACL_TOKENS_ACCESSOR, buf_view(&key)) : NULL;
    buf_deinit(&key);
    return token;
}

const struct acl_token *acl_token_by_accessor(const struct store_view *v, struct str accessor)
{
    return acl_check_id(accessor, "", NULL) < 0 ? NULL : by_accessor(v, NULL, accessor);
}

static int find(const struct store_view *v, struct watch_set *ws, enum acl_token_key by,
                struct str id, const struct acl_token **ret_token, struct err *err)
{
    if (by == ACL_TOKEN_ACCESSOR) {
        int r = acl_check_id(id, "failed acl token lookup: index error", err);
        *ret_token = r < 0 ? NULL : by_accessor(v, ws, id);
        return r;
    }
    struct buf key = {0};
    store_key_exact(&key, id);
    watch_key(ws, TABLE_ACL_TOKENS, buf_view(&key));
    *ret_token = store_get(v, INDEX_ACL_TOKENS_ID, buf_view(&key));
    buf_deinit(&key);
    return 0;
}

static struct str role_link_name(const struct store_view *v, struct str id)
{
    const struct acl_role *role = acl_role_by_id(v, id);
    return role != NULL ? role->name : STR_NULL;
}

const struct acl_token *acl_token_current(const struct store_view *v, struct arena *a,
                                          const struct acl_token *token)
{
    struct objlist policies = token->policies, roles = token->roles;
    bool changed = acl_links_current(v, a, policies, acl_policy_link_name, &policies);
    changed |= acl_links_current(v, a, roles, role_link_name, &roles);
    if (!changed) {
        return token;
    }
    struct acl_token *copy = ARENA_NEW(a, struct acl_token);
    *copy = *token;
    copy->policies = policies;
    copy->roles = roles;
    return copy;
}

/* --- reading --------------------------------------------------------------------------------- */

int acl_token_get(const struct store_view *v, struct watch_set *ws, struct arena *a,
                  enum acl_token_key key, struct str id, uint64_t *ret_index,
                  const struct acl_token **ret_token, struct err *err)
{
    const struct acl_token *token = NULL;
    int r = find(v, ws, key, id, &token, err);
    *ret_token = token != NULL ? acl_token_current(v, a, token) : NULL;
    *ret_index = store_index(v, INDEX_NAME_ACL_TOKENS);
    return r;
}

int acl_token_get_many(const struct store_view *v, struct watch_set *ws, struct arena *a,
                       struct strlist accessors, uint64_t *ret_index, struct ptrlist *ret_tokens,
                       struct err *err)
{
    VEC(void *) tokens = {.v = SCHEMA_EMPTY};
    for (size_t i = 0; i < accessors.n; i++) {
        const struct acl_token *token;
        int r = find(v, ws, ACL_TOKEN_ACCESSOR, accessors.v[i], &token, err);
        if (r < 0) {
            return err_wrap(err, "failed acl token lookup");
        }
        if (token != NULL) {
            avec_push(a, &tokens, (void *)acl_token_current(v, a, token));
        }
    }
    *ret_tokens = (struct ptrlist){tokens.v, tokens.n};
    *ret_index = store_index(v, INDEX_NAME_ACL_TOKENS);
    return 0;
}

static bool filter_has(const struct acl_token_filter *f, const struct acl_token *token)
{
    if (f->local != f->global && token->local != f->local) {
        return false;
    }
    return (f->policy.n == 0 || acl_links_contain(token->policies, f->policy)) &&
           (f->role.n == 0 || acl_links_contain(token->roles, f->role)) &&
           (f->auth_method.n == 0 || str_eq(token->auth_method, f->auth_method));
}

int acl_token_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                   const struct acl_token_filter *filter, uint64_t *ret_index,
                   struct ptrlist *ret_tokens, struct err *err)
{
    VEC(void *) tokens = {0};
    struct tree_iter it;
    const struct acl_token *token;
    if ((filter->policy.n > 0) + (filter->role.n > 0) + (filter->auth_method.n > 0) > 1) {
        return err_set(err, ERR_FAILED,
                       "can only filter by one of policy, role, or methodName at a time");
    }
    watch_prefix(ws, TABLE_ACL_TOKENS, STR(""));
    store_iter(&it, v, INDEX_ACL_TOKENS_ID, STR_NULL);
    while ((token = tree_next(&it, NULL)) != NULL) {
        if (filter_has(filter, token)) {
            avec_push(a, &tokens, (void *)acl_token_current(v, a, token));
        }
    }
    *ret_tokens = (struct ptrlist){tokens.v, tokens.n};
    *ret_index = store_index(v, INDEX_NAME_ACL_TOKENS);
    return 0;
}

static enum store_index expires_index(bool local)
{
    return local ? INDEX_ACL_TOKENS_EXPIRES_LOCAL : INDEX_ACL_TOKENS_EXPIRES_GLOBAL;
}

void acl_token_list_expired(const struct store_view *v, struct arena *a, bool local, int64_t now_ns,
                            size_t max, struct ptrlist *ret_tokens)
{
    VEC(void *) tokens = {0};
    struct tree_iter it;
    struct acl_token *token;
    store_iter(&it, v, expires_index(local), STR_NULL);
    while (tokens.n < max && (token = tree_next(&it, NULL)) != NULL &&
           acl_token_is_expired(token, now_ns)) {
        avec_push(a, &tokens, token);
    }
    *ret_tokens = (struct ptrlist){tokens.v, tokens.n};
}

void acl_token_list_upgradeable(const struct store_view *v, struct arena *a, size_t max,
                                struct ptrlist *ret_tokens)
{
    VEC(void *) tokens = {0};
    struct tree_iter it;
    struct acl_token *token;
    store_iter(&it, v, INDEX_ACL_TOKENS_NO_ACCESSOR, STR_NULL);
    while (tokens.n < max && (token = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &tokens, token);
    }
    *ret_tokens = (struct ptrlist){tokens.v, tokens.n};
}

int64_t acl_token_expiration_min(const struct store_view *v, bool local)
{
    const struct acl_token *token = store_first(v, expires_index(local), STR_NULL);
    return token != NULL ? token->expiration_time : TIME_ZERO;
}

bool acl_can_bootstrap(const struct store_view *v, uint64_t *ret_reset_index)
{
    *ret_reset_index = store_index(v, INDEX_NAME_BOOTSTRAP);
    return *ret_reset_index == 0;
}

/* --- writing --------------------------------------------------------------------------------- */

static int insert(struct store_txn *tx, const struct acl_token *token, struct err *err)
{
    int r = token->accessor_id.n == 0
                ? 0
                : acl_check_id(token->accessor_id,
                               "failed inserting acl token: failed to build index 'accessor'", err);
    if (r >= 0) {
        r = acl_check_name(token->secret_id, err);
    }
    if (r >= 0) {
        r = acl_check_name(token->auth_method, err);
    }
    if (r < 0) {
        return r;
    }
    store_insert(tx, TABLE_ACL_TOKENS, schema_clone(&acl_token_schema, token, NULL));
    store_index_raise(tx, INDEX_NAME_ACL_TOKENS, token->raft.modify_index);
    return 0;
}

static int resolve_role_links(const struct store_view *v, struct objlist links, bool allow_missing,
                              struct err *err)
{
    struct acl_link *link = links.v;
    int found = 0;
    for (size_t i = 0; i < links.n; i++) {
        const void *row;
        if (link[i].id.n == 0) {
            return err_set(err, ERR_FAILED,
                           "Encountered a Token with roles linked by Name in the state store");
        }
        int r = acl_row_by_id(v, NULL, TABLE_ACL_ROLES, link[i].id, "failed acl role lookup", &row,
                              err);
        if (r < 0) {
            return r;
        }
        if (row != NULL) {
            link[i].name = ((const struct acl_role *)row)->name;
            found++;
        } else if (!allow_missing) {
            return err_set(err, ERR_FAILED, "No such role with ID: %.*s", STRF(link[i].id));
        }
    }
    return found;
}

/* Links lead somewhere, identities have names, and there is any of them where there must be. */
static int check_privileges(const struct store_view *v, struct acl_token *token, unsigned flags,
                            struct err *err)
{
    bool allow_missing = (flags & ACL_TOKEN_ALLOW_MISSING_LINKS) != 0;
    int policies = acl_resolve_policy_links(v, token->policies, allow_missing, "Token", err);
    int roles = policies < 0 ? policies : resolve_role_links(v, token->roles, allow_missing, err);
    if (roles < 0) {
        return roles;
    }
    if (token->auth_method.n > 0 && (flags & ACL_TOKEN_FROM_REPLICATION) == 0 &&
        acl_auth_method_by_name(v, token->auth_method) == NULL) {
        return err_set(err, ERR_FAILED, "No such auth method with Name: %.*s",
                       STRF(token->auth_method));
    }
    int r = acl_check_identities(token->service_identities, token->node_identities, "Token", err);
    if (r >= 0 && (flags & ACL_TOKEN_PROHIBIT_UNPRIVILEGED) != 0 && policies == 0 && roles == 0 &&
        token->service_identities.n == 0 && token->node_identities.n == 0) {
        r = err_set(err, ERR_FAILED, "Token has no privileges");
    }
    return r;
}

/* Whether the token may be written over what there is. */
static bool cas_holds(const struct acl_token *token, const struct acl_token *original)
{
    if (token->raft.modify_index == 0) {
        return original == NULL;
    }
    return original != NULL && token->raft.modify_index == original->raft.modify_index;
}

int acl_token_set(struct store_txn *tx, struct arena *a, struct acl_token *token, unsigned flags,
                  struct err *err)
{
    const struct store_view *v = store_txn_view(tx);
    bool legacy = (flags & ACL_TOKEN_LEGACY) != 0;
    if (token->secret_id.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Token SecretID");
    }
    if (!legacy && token->accessor_id.n == 0) {
        return err_set(err, ERR_FAILED, "Missing ACL Token AccessorID");
    }
    if ((flags & ACL_TOKEN_FROM_REPLICATION) != 0 && token->local) {
        return err_set(err, ERR_FAILED, "Cannot replicate local tokens");
    }
    const struct acl_token *original = acl_token_by_secret(v, token->secret_id);
    if ((flags & ACL_TOKEN_CAS) != 0 && !cas_holds(token, original)) {
        return 0;
    }
    if (legacy && original != NULL) {
        if (acl_token_is_modern(original)) {
            return err_set(err, ERR_FAILED,
                           "failed inserting acl token: cannot use legacy endpoint to modify a "
                           "non-legacy token");
        }
        token->accessor_id = original->accessor_id;
    }
    int r = check_privileges(v, token, flags, err);
    if (r < 0) {
        return r;
    }
    if (original != NULL && original->accessor_id.n > 0 &&
        !str_eq(token->accessor_id, original->accessor_id)) {
        return err_set(err, ERR_FAILED, "The ACL Token AccessorID field is immutable");
    }
    token->raft.modify_index = store_txn_raft_index(tx);
    token->raft.create_index =
        original != NULL ? original->raft.create_index : token->raft.modify_index;
    if (token->hash.p == NULL) {
        acl_token_hash_set(a, token);
    }
    return insert(tx, token, err);
}

static void remove_row(struct store_txn *tx, const struct acl_token *token)
{
    struct buf key = {0};
    store_key_exact(&key, token->secret_id);
    (void)store_delete(tx, TABLE_ACL_TOKENS, buf_view(&key));
    store_index_raise(tx, INDEX_NAME_ACL_TOKENS, store_txn_raft_index(tx));
    buf_deinit(&key);
}

int acl_token_delete(struct store_txn *tx, enum acl_token_key key, struct str id, struct err *err)
{
    const struct acl_token *token;
    int r = find(store_txn_view(tx), NULL, key, id, &token, err);
    if (r < 0 || token == NULL) {
        return r;
    }
    if (str_eq(token->accessor_id, ACL_TOKEN_ANONYMOUS_ID)) {
        return err_set(err, ERR_FAILED, "Deletion of the builtin anonymous token is not permitted");
    }
    remove_row(tx, token);
    return 0;
}

void acl_token_delete_of_method(struct store_txn *tx, const struct acl_auth_method *method)
{
    VEC(const struct acl_token *) tokens = {0};
    struct buf key = {0};
    struct tree_iter it;
    const struct acl_token *token;
    bool global = str_eq(method->token_locality, ACL_TOKEN_LOCALITY_GLOBAL);
    store_key_exact(&key, method->name);
    store_iter(&it, store_txn_view(tx), INDEX_ACL_TOKENS_AUTH_METHOD, buf_view(&key));
    while ((token = tree_next(&it, NULL)) != NULL) {
        if (token->local != global && str_eq(token->auth_method, method->name)) {
            vec_push(&tokens, token);
        }
    }
    for (size_t i = 0; i < tokens.n; i++) {
        remove_row(tx, tokens.v[i]);
    }
    buf_deinit(&key);
    vec_deinit(&tokens);
}

int acl_token_restore(struct store_txn *tx, const struct acl_token *token, struct err *err)
{
    return insert(tx, token, err);
}

int acl_bootstrap(struct store_txn *tx, struct arena *a, struct acl_token *token,
                  uint64_t reset_index, bool legacy, struct err *err)
{
    uint64_t last;
    if (!acl_can_bootstrap(store_txn_view(tx), &last) && reset_index != last) {
        return err_set(err, ERR_FAILED, "%s",
                       reset_index == 0 ? "ACL bootstrap no longer allowed"
                                        : "Invalid ACL bootstrap reset index");
    }
    int r = acl_token_set(tx, a, token, legacy ? ACL_TOKEN_LEGACY : 0, err);
    if (r < 0) {
        return err_wrap(err, "failed inserting bootstrap token");
    }
    store_index_set(tx, INDEX_NAME_BOOTSTRAP, store_txn_raft_index(tx));
    return 0;
}

void acl_bootstrap_restore(struct store_txn *tx, uint64_t index)
{
    store_index_set(tx, INDEX_NAME_BOOTSTRAP, index);
}
