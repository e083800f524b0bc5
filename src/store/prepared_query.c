#include "store/prepared_query.h"

#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"
#include "store/query_template.h"
#include "store/session.h"

#define INDEX_NAME_QUERIES STR("prepared-queries")
#define UUID_SIZE 16u

/* --- finding --------------------------------------------------------------------------------- */

static int id_key(struct str id, struct buf *key, struct err *err)
{
    int r = session_id_check(id, err);
    if (r < 0) {
        return err_wrap(err, "failed prepared query lookup: index error");
    }
    buf_clear(key);
    store_key_uuid(key, id);
    return 0;
}

static int find_by_id(const struct store_view *v, struct str id,
                      const struct prepared_query **ret_query, struct err *err)
{
    struct buf key = {0};
    int r = id_key(id, &key, err);
    if (r >= 0) {
        *ret_query = store_get(v, INDEX_PREPARED_QUERIES_ID, buf_view(&key));
    }
    buf_deinit(&key);
    return r;
}

/* Eight, four, four, four and twelve digits: what is looked up as an id first. */
static bool is_uuid(struct str s)
{
    static const size_t hyphens[] = {8, 13, 18, 23};
    if (s.n != 36 || session_id_check(s, NULL) < 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(hyphens); i++) {
        if (s.p[hyphens[i]] != '-') {
            return false;
        }
    }
    return true;
}

/* The one whose name, in lower case and ended by a NUL, is `key`. A name with a NUL byte in it may
 * begin with another's key, so the row is asked. */
static const struct prepared_query *find_by_key(const struct store_view *v, enum store_index index,
                                                struct str key)
{
    struct tree_iter it;
    const struct prepared_query *query;
    store_iter(&it, v, index, key);
    while ((query = tree_next(&it, NULL)) != NULL && query->name.n != key.n - 1) {
    }
    return query;
}

static const struct prepared_query *find_by_name(const struct store_view *v, enum store_index index,
                                                 struct str name)
{
    struct buf key = {0};
    const struct prepared_query *query = find_by_key(v, index, store_key(&key, &name, 1));
    buf_deinit(&key);
    return query;
}

/* The template with the longest name that `name` begins with. */
static const struct prepared_query *find_by_prefix(const struct store_view *v, struct str name)
{
    char bytes[QUERY_TEMPLATE_NAME_SIZE_MAX + 2];
    struct buf key = {.p = bytes, .cap = sizeof(bytes), .max = sizeof(bytes)};
    const struct prepared_query *query = NULL;
    if (v->trees[INDEX_PREPARED_QUERIES_TEMPLATE].count == 0) {
        return NULL;
    }
    name = str_first(name, QUERY_TEMPLATE_NAME_SIZE_MAX);
    struct str whole = store_key(&key, &name, 1);
    for (size_t n = whole.n; n > 0 && query == NULL; n--) {
        bytes[n - 1] = '\0';
        query = find_by_key(v, INDEX_PREPARED_QUERIES_TEMPLATE, str_make(bytes, n));
    }
    return query;
}

/* --- writing --------------------------------------------------------------------------------- */

static bool is_other(const struct prepared_query *found, const struct prepared_query *existing)
{
    return found != NULL && found != existing;
}

static int check_name(const struct store_view *v, const struct prepared_query *query,
                      const struct prepared_query *existing, struct err *err)
{
    const struct prepared_query *other;
    if (query->name.n > TREE_KEY_SIZE_MAX / 2) {
        return err_set(err, ERR_TOO_LARGE, "name of %zu bytes is over the maximum of %u",
                       query->name.n, TREE_KEY_SIZE_MAX / 2);
    }
    if (query->name.n > 0) {
        if (is_other(find_by_name(v, INDEX_PREPARED_QUERIES_NAME, query->name), existing)) {
            return err_set(err, ERR_FAILED, "name '%.*s' aliases an existing query name",
                           STRF(query->name));
        }
    } else if (query_is_template(query) &&
               is_other(find_by_name(v, INDEX_PREPARED_QUERIES_TEMPLATE, STR("")), existing)) {
        return err_set(err, ERR_FAILED, "a query template with an empty name already exists");
    }
    /* Ids are looked up before names: nobody may take over another query by its id. */
    if (is_uuid(query->name)) {
        int r = find_by_id(v, query->name, &other, err);
        if (r < 0 || other != NULL) {
            return err_set(err, ERR_FAILED, "name '%.*s' aliases an existing query ID",
                           STRF(query->name));
        }
    }
    return 0;
}

static int check_session(const struct store_view *v, struct str id, struct err *err)
{
    const struct session *session;
    if (id.n == 0) {
        return 0;
    }
    if (session_id_check(id, err) < 0) {
        return err_wrap(err, "invalid session: index error");
    }
    int r = session_find(v, id, &session, err);
    if (r >= 0 && session == NULL) {
        struct buf quoted = {0};
        go_quote(&quoted, id);
        r = err_set(err, ERR_FAILED, "invalid session %.*s", STRF(buf_view(&quoted)));
        buf_deinit(&quoted);
    }
    return r;
}

static int check_template(const struct prepared_query *query, struct err *err)
{
    struct arena a = {0};
    int r = query_is_template(query) ? query_template_check(&a, query, err) : 0;
    arena_deinit(&a);
    return r < 0 ? err_wrap(err, "failed compiling template") : 0;
}

int prepared_query_set(struct store_txn *tx, struct prepared_query *query, struct err *err)
{
    const struct store_view *v = store_txn_view(tx);
    const struct prepared_query *existing;
    uint64_t index = store_txn_raft_index(tx);
    if (query->id.n == 0) {
        return err_set(err, ERR_FAILED, "Missing Query ID");
    }
    int r = find_by_id(v, query->id, &existing, err);
    if (r >= 0) {
        query->raft.create_index = existing != NULL ? existing->raft.create_index : index;
        query->raft.modify_index = index;
        r = check_name(v, query, existing, err);
    }
    if (r >= 0) {
        r = check_session(v, query->session, err);
    }
    if (r >= 0) {
        r = check_template(query, err);
    }
    if (r < 0) {
        return r;
    }
    store_insert(tx, TABLE_PREPARED_QUERIES, schema_clone(&prepared_query_schema, query, NULL));
    store_index_set(tx, INDEX_NAME_QUERIES, index);
    return 0;
}

int prepared_query_delete(struct store_txn *tx, struct str id, struct err *err)
{
    struct buf key = {0};
    int r = id_key(id, &key, err);
    if (r < 0) {
        r = err_wrap(err, "failed prepared query delete");
    } else if (store_delete(tx, TABLE_PREPARED_QUERIES, buf_view(&key))) {
        store_index_set(tx, INDEX_NAME_QUERIES, store_txn_raft_index(tx));
    }
    buf_deinit(&key);
    return r;
}

void prepared_query_delete_of_session(struct store_txn *tx, struct str session)
{
    VEC(const struct prepared_query *) bound = {0};
    struct buf key = {0};
    struct tree_iter it;
    const struct prepared_query *query;
    store_iter(&it, store_txn_view(tx), INDEX_PREPARED_QUERIES_SESSION,
               store_key(&key, &session, 1));
    while ((query = tree_next(&it, NULL)) != NULL) {
        vec_push(&bound, query);
    }
    for (size_t i = 0; i < bound.n; i++) {
        (void)!prepared_query_delete(tx, bound.v[i]->id, NULL);
    }
    buf_deinit(&key);
    vec_deinit(&bound);
}

int prepared_query_restore(struct store_txn *tx, const struct prepared_query *query,
                           struct err *err)
{
    const struct prepared_query *existing;
    int r = find_by_id(store_txn_view(tx), query->id, &existing, err);
    if (r >= 0) {
        r = check_name(store_txn_view(tx), query, existing, err);
    }
    if (r >= 0) {
        r = check_template(query, err);
    }
    if (r < 0) {
        return r;
    }
    store_insert(tx, TABLE_PREPARED_QUERIES, schema_clone(&prepared_query_schema, query, NULL));
    store_index_raise(tx, INDEX_NAME_QUERIES, query->raft.modify_index);
    return 0;
}

/* --- reading --------------------------------------------------------------------------------- */

int prepared_query_get(const struct store_view *v, struct watch_set *ws, struct str id,
                       uint64_t *ret_index, const struct prepared_query **ret_query,
                       struct err *err)
{
    struct buf key = {0};
    int r = id_key(id, &key, err);
    if (r >= 0) {
        watch_key(ws, TABLE_PREPARED_QUERIES, buf_view(&key));
        *ret_query = store_get(v, INDEX_PREPARED_QUERIES_ID, buf_view(&key));
        *ret_index = store_index(v, INDEX_NAME_QUERIES);
    }
    buf_deinit(&key);
    return r;
}

uint64_t prepared_query_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                             struct ptrlist *ret_queries)
{
    VEC(void *) rows = {0};
    struct tree_iter it;
    void *row;
    watch_prefix(ws, TABLE_PREPARED_QUERIES, STR(""));
    store_iter(&it, v, INDEX_PREPARED_QUERIES_ID, STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &rows, row);
    }
    *ret_queries = (struct ptrlist){rows.v, rows.n};
    return store_index(v, INDEX_NAME_QUERIES);
}

int prepared_query_resolve(const struct store_view *v, struct arena *a, struct str id_or_name,
                           struct str segment, const struct prepared_query **ret_query,
                           struct err *err)
{
    *ret_query = NULL;
    if (id_or_name.n == 0) {
        return err_set(err, ERR_FAILED, "Missing Query ID");
    }
    if (is_uuid(id_or_name)) {
        int r = find_by_id(v, id_or_name, ret_query, err);
        if (r < 0) {
            return r;
        }
        if (*ret_query != NULL && query_is_template(*ret_query)) {
            return err_set(err, ERR_FAILED,
                           "prepared query templates can only be resolved up by name, not by ID");
        }
    }
    if (*ret_query == NULL) {
        *ret_query = find_by_name(v, INDEX_PREPARED_QUERIES_NAME, id_or_name);
    }
    if (*ret_query == NULL) {
        *ret_query = find_by_prefix(v, id_or_name);
    }
    if (*ret_query != NULL && query_is_template(*ret_query)) {
        return query_template_render(a, *ret_query, id_or_name, segment, ret_query, err);
    }
    return 0;
}
