#include "store/session.h"

#include "base/err.h"
#include "base/vec.h"
#include "store/kv.h"
#include "store/prepared_query.h"

#define INDEX_NAME_SESSIONS STR("sessions")
#define UUID_TEXT_SIZE 36u

int session_id_check(struct str id, struct err *err)
{
    if (id.n != UUID_TEXT_SIZE) {
        return err_set(err, ERR_INVALID, "UUID must be 36 characters");
    }
    size_t hyphens = 0;
    for (size_t i = 0; i < id.n; i++) {
        hyphens += id.p[i] == '-';
    }
    if (hyphens > 4) {
        return err_set(err, ERR_INVALID, "UUID should have maximum of 4 \"-\"; got %zu", hyphens);
    }
    if ((id.n - hyphens) % 2 != 0) {
        return err_set(err, ERR_INVALID, "Input (without hyphens) must be even length");
    }
    for (size_t i = 0; i < id.n; i++) {
        unsigned char c = (unsigned char)id.p[i];
        bool hex = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        if (!hex && c != '-') {
            return err_set(err, ERR_INVALID,
                           "Invalid UUID: encoding/hex: invalid byte: U+%04X%s%.*s%s", c,
                           c >= 0x20 && c < 0x7f ? " '" : "", c >= 0x20 && c < 0x7f ? 1 : 0,
                           id.p + i, c >= 0x20 && c < 0x7f ? "'" : "");
        }
    }
    return 0;
}

int session_find(const struct store_view *v, struct str id, const struct session **ret_session,
                 struct err *err)
{
    int r = session_id_check(id, err);
    if (r < 0) {
        return err_wrap(err, "failed session lookup: index error");
    }
    struct buf key = {0};
    *ret_session = store_get(v, INDEX_SESSIONS_ID, store_key(&key, &id, 1));
    buf_deinit(&key);
    return 0;
}

/* --- writing -------------------------------------------------------------------------------- */

static size_t checks_count(const struct session *s)
{
    return s->checks.n + s->node_checks.n + s->service_checks.n;
}

/* The i-th of all checks the session depends on. */
static struct str checks_get(const struct session *s, size_t i)
{
    if (i < s->checks.n) {
        return s->checks.v[i];
    }
    i -= s->checks.n;
    if (i < s->node_checks.n) {
        return s->node_checks.v[i];
    }
    i -= s->node_checks.n;
    return ((const struct session_service_check *)s->service_checks.v)[i].id;
}

static int checks_validate(const struct store_view *v, const struct session *s, struct err *err)
{
    struct buf key = {0};
    int r = 0;
    for (size_t i = 0; i < checks_count(s) && r == 0; i++) {
        struct str id = checks_get(s, i);
        struct str parts[] = {s->node, id};
        const struct health_check *check = store_get(v, INDEX_CHECKS_ID, store_key(&key, parts, 2));
        if (check == NULL) {
            r = err_set(err, ERR_FAILED, "Missing check '%.*s' registration", STRF(id));
        } else if (str_eq(check->status, HEALTH_CRITICAL)) {
            r = err_set(err, ERR_FAILED, "Check '%.*s' is in %.*s state", STRF(id),
                        STRF(check->status));
        }
    }
    buf_deinit(&key);
    return r;
}

/* All rows of an index with a prefix. Rows stay until the commit, so they may be used while the
 * table changes. */
struct rows {
    VEC(void *) v;
};

static void rows_collect(struct rows *rows, const struct store_view *v, enum store_index index,
                         struct str prefix)
{
    struct tree_iter it;
    void *row;
    store_iter(&it, v, index, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        vec_push(&rows->v, row);
    }
}

static void checks_end(struct store_txn *tx, struct str session_key)
{
    struct rows checks = {0};
    struct buf key = {0};
    rows_collect(&checks, store_txn_view(tx), INDEX_SESSION_CHECKS_SESSION, session_key);
    for (size_t i = 0; i < checks.v.n; i++) {
        const struct session_check *c = checks.v.v[i];
        struct str parts[] = {c->node, c->check_id, c->session};
        (void)store_delete(tx, TABLE_SESSION_CHECKS, store_key(&key, parts, 3));
    }
    buf_deinit(&key);
    vec_deinit(&checks.v);
}

static void row_insert(struct store_txn *tx, const struct session *s)
{
    /* IDs are made anew for each session; should one come again, the checks of the old are not the
     * new one's. */
    struct buf key = {0};
    checks_end(tx, store_key(&key, &s->id, 1));
    buf_deinit(&key);
    store_insert(tx, TABLE_SESSIONS, schema_clone(&session_schema, s, NULL));
    for (size_t i = 0; i < checks_count(s); i++) {
        struct str parts[] = {s->node, checks_get(s, i), s->id};
        struct session_check *row = xmalloc(sizeof(*row) + parts[0].n + parts[1].n + parts[2].n);
        char *p = (char *)(row + 1);
        for (size_t j = 0; j < ARRAY_SIZE(parts); j++) {
            if (parts[j].n > 0) {
                memcpy(p, parts[j].p, parts[j].n);
            }
            parts[j].p = p;
            p += parts[j].n;
        }
        *row = (struct session_check){.node = parts[0], .check_id = parts[1], .session = parts[2]};
        store_insert(tx, TABLE_SESSION_CHECKS, row);
    }
}

int session_create(struct store_txn *tx, struct session *s, struct err *err)
{
    if (s->id.n == 0) {
        return err_set(err, ERR_FAILED, "Missing session ID");
    }
    if (s->behavior.n == 0) {
        s->behavior = SESSION_RELEASE;
    } else if (!str_eq(s->behavior, SESSION_RELEASE) && !str_eq(s->behavior, SESSION_DELETE)) {
        return err_set(err, ERR_FAILED, "Invalid session behavior: %.*s", STRF(s->behavior));
    }
    s->raft.create_index = s->raft.modify_index = store_txn_raft_index(tx);
    struct buf key = {0};
    bool has_node =
        store_get(store_txn_view(tx), INDEX_NODES_ID, store_key(&key, &s->node, 1)) != NULL;
    buf_deinit(&key);
    if (!has_node) {
        return err_set(err, ERR_FAILED, "Missing node registration");
    }
    int r = checks_validate(store_txn_view(tx), s, err);
    if (r < 0) {
        return r;
    }
    r = session_id_check(s->id, err);
    if (r < 0) {
        return err_wrap(err, "failed inserting session: failed to build index 'id'");
    }
    row_insert(tx, s);
    store_index_set(tx, INDEX_NAME_SESSIONS, s->raft.create_index);
    return 0;
}

void session_restore(struct store_txn *tx, const struct session *s)
{
    row_insert(tx, s);
    store_index_raise(tx, INDEX_NAME_SESSIONS, s->raft.modify_index);
}

void session_delete_row(struct store_txn *tx, struct str id)
{
    struct buf key = {0};
    (void)store_delete(tx, TABLE_SESSIONS, store_key(&key, &id, 1));
    buf_deinit(&key);
    store_index_set(tx, INDEX_NAME_SESSIONS, store_txn_raft_index(tx));
}

static void locks_end(struct store_txn *tx, const struct session *s, struct str session_key)
{
    struct rows held = {0};
    int64_t delay_ns = MIN(s->lock_delay, SESSION_LOCK_DELAY_NS_MAX);
    rows_collect(&held, store_txn_view(tx), INDEX_KVS_SESSION, session_key);
    for (size_t i = 0; i < held.v.n; i++) {
        const struct dir_entry *e = held.v.v[i];
        if (str_eq(s->behavior, SESSION_DELETE)) {
            kv_delete(tx, e->key);
        } else {
            struct dir_entry released = *e;
            released.session = STR_NULL;
            kv_set_session(tx, &released);
        }
        if (delay_ns > 0) {
            store_effect_lock_delay(tx, e->key, delay_ns);
        }
    }
    vec_deinit(&held.v);
}

/* `s` is a row: it stays until the commit. */
static void destroy(struct store_txn *tx, const struct session *s)
{
    struct buf key = {0};
    struct str session_key = store_key(&key, &s->id, 1);
    session_delete_row(tx, s->id);
    locks_end(tx, s, session_key);
    checks_end(tx, session_key);
    prepared_query_delete_of_session(tx, s->id);
    buf_deinit(&key);
}

int session_destroy(struct store_txn *tx, struct str id, struct err *err)
{
    const struct session *s;
    int r = session_find(store_txn_view(tx), id, &s, err);
    if (r == 0 && s != NULL) {
        destroy(tx, s);
    }
    return r;
}

void session_invalidate_for_node(struct store_txn *tx, uint64_t index, struct str node)
{
    ASSERT(index == store_txn_raft_index(tx));
    struct rows sessions = {0};
    struct buf key = {0};
    rows_collect(&sessions, store_txn_view(tx), INDEX_SESSIONS_NODE, store_key(&key, &node, 1));
    for (size_t i = 0; i < sessions.v.n; i++) {
        destroy(tx, sessions.v.v[i]);
    }
    buf_deinit(&key);
    vec_deinit(&sessions.v);
}

void session_invalidate_for_check(struct store_txn *tx, uint64_t index, struct str node,
                                  struct str check_id)
{
    ASSERT(index == store_txn_raft_index(tx));
    struct rows checks = {0};
    struct buf key = {0};
    struct str parts[] = {node, check_id};
    rows_collect(&checks, store_txn_view(tx), INDEX_SESSION_CHECKS_ID, store_key(&key, parts, 2));
    for (size_t i = 0; i < checks.v.n; i++) {
        const struct session_check *c = checks.v.v[i];
        const struct session *s =
            store_get(store_txn_view(tx), INDEX_SESSIONS_ID, store_key(&key, &c->session, 1));
        if (s != NULL) {
            destroy(tx, s);
        }
    }
    buf_deinit(&key);
    vec_deinit(&checks.v);
}

/* --- reading -------------------------------------------------------------------------------- */

int session_get(const struct store_view *v, struct watch_set *ws, struct str id,
                uint64_t *ret_index, const struct session **ret_session, struct err *err)
{
    int r = session_find(v, id, ret_session, err);
    if (r < 0) {
        return r;
    }
    struct buf key = {0};
    watch_key(ws, TABLE_SESSIONS, store_key(&key, &id, 1));
    buf_deinit(&key);
    *ret_index = store_index(v, INDEX_NAME_SESSIONS);
    return 0;
}

static struct ptrlist list_rows(const struct store_view *v, struct arena *a, enum store_index index,
                                struct str prefix)
{
    VEC(void *) rows = {0};
    struct tree_iter it;
    void *row;
    store_iter(&it, v, index, prefix);
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &rows, row);
    }
    return (struct ptrlist){.v = rows.v, .n = rows.n};
}

uint64_t session_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                      struct ptrlist *ret_sessions)
{
    watch_prefix(ws, TABLE_SESSIONS, STR_NULL);
    *ret_sessions = list_rows(v, a, INDEX_SESSIONS_ID, STR_NULL);
    return store_index(v, INDEX_NAME_SESSIONS);
}

uint64_t session_list_node(const struct store_view *v, struct watch_set *ws, struct arena *a,
                           struct str node, struct ptrlist *ret_sessions)
{
    struct buf key = {0};
    struct str prefix = store_key(&key, &node, 1);
    watch_prefix(ws, STORE_WATCH_INDEX(INDEX_SESSIONS_NODE), prefix);
    *ret_sessions = list_rows(v, a, INDEX_SESSIONS_NODE, prefix);
    buf_deinit(&key);
    return store_index(v, INDEX_NAME_SESSIONS);
}
