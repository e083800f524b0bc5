#include "store/kv.h"

#include "base/err.h"
#include "base/gofmt.h"
#include "base/vec.h"
#include "store/session.h"

#define INDEX_NAME_KVS STR("kvs")
#define INDEX_NAME_TOMBSTONES STR("tombstones")

/* A row: the struct with its strings behind it, in one block. */
static struct dir_entry *entry_new(const struct dir_entry *from)
{
    struct dir_entry *row = xmalloc(sizeof(*row) + from->key.n + from->value.n + from->session.n);
    char *p = (char *)(row + 1);
    *row = *from;
    struct str *parts[] = {&row->key, &row->value, &row->session};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (parts[i]->n > 0) {
            memcpy(p, parts[i]->p, parts[i]->n);
        }
        if (parts[i]->p != NULL) { /* an empty value is not a nil one */
            parts[i]->p = p;
        }
        p += parts[i]->n;
    }
    return row;
}

static const struct dir_entry *entry_find(const struct store_view *v, struct str key)
{
    return tree_get(&v->trees[INDEX_KVS_ID], key);
}

static const struct dir_entry *existing_entry(const struct store_txn *tx, struct str key)
{
    return entry_find(store_txn_view(tx), key);
}

/* --- writing -------------------------------------------------------------------------------- */

void kv_set_session(struct store_txn *tx, struct dir_entry *entry)
{
    uint64_t index = store_txn_raft_index(tx);
    const struct dir_entry *old = existing_entry(tx, entry->key);
    entry->raft.create_index = old != NULL ? old->raft.create_index : index;
    if (old != NULL && old->lock_index == entry->lock_index && old->flags == entry->flags &&
        str_eq(old->value, entry->value) && str_eq(old->session, entry->session)) {
        entry->raft.modify_index = old->raft.modify_index;
        return;
    }
    entry->raft.modify_index = index;
    store_insert(tx, TABLE_KVS, entry_new(entry));
    store_index_set(tx, INDEX_NAME_KVS, index);
}

void kv_set(struct store_txn *tx, struct dir_entry *entry)
{
    const struct dir_entry *old = existing_entry(tx, entry->key);
    entry->session = old != NULL ? old->session : STR_NULL;
    kv_set_session(tx, entry);
}

bool kv_cas(struct store_txn *tx, struct dir_entry *entry)
{
    const struct dir_entry *old = existing_entry(tx, entry->key);
    uint64_t current = old != NULL ? old->raft.modify_index : 0;
    if (current != entry->raft.modify_index) {
        return false;
    }
    kv_set(tx, entry);
    return true;
}

static void tombstone_put(struct store_txn *tx, struct str key, uint64_t index)
{
    struct tombstone *row = xmalloc(sizeof(*row) + key.n);
    char *p = (char *)(row + 1);
    if (key.n > 0) {
        memcpy(p, key.p, key.n);
    }
    *row = (struct tombstone){.key = str_make(p, key.n), .index = index};
    store_insert(tx, TABLE_TOMBSTONES, row);
}

static void bury(struct store_txn *tx, struct str key)
{
    uint64_t index = store_txn_raft_index(tx);
    tombstone_put(tx, key, index);
    store_index_set(tx, INDEX_NAME_TOMBSTONES, index);
    store_effect_tombstone(tx);
}

void kv_delete(struct store_txn *tx, struct str key)
{
    if (existing_entry(tx, key) == NULL) {
        return;
    }
    bury(tx, key);
    (void)store_delete(tx, TABLE_KVS, key);
    store_index_set(tx, INDEX_NAME_KVS, store_txn_raft_index(tx));
}

bool kv_delete_cas(struct store_txn *tx, struct str key, uint64_t modify_index)
{
    const struct dir_entry *old = existing_entry(tx, key);
    if (old == NULL || old->raft.modify_index != modify_index) {
        return old == NULL;
    }
    kv_delete(tx, key);
    return true;
}

void kv_delete_tree(struct store_txn *tx, struct str prefix)
{
    /* The rows, and so their keys, stay until the commit at least. */
    VEC(struct str) keys = {0};
    struct tree_iter it;
    const struct dir_entry *e;
    store_iter(&it, store_txn_view(tx), INDEX_KVS_ID, prefix);
    while ((e = tree_next(&it, NULL)) != NULL) {
        vec_push(&keys, e->key);
    }
    for (size_t i = 0; i < keys.n; i++) {
        (void)store_delete(tx, TABLE_KVS, keys.v[i]);
    }
    if (keys.n > 0) {
        if (prefix.n > 0) {
            bury(tx, prefix);
        }
        store_index_set(tx, INDEX_NAME_KVS, store_txn_raft_index(tx));
    }
    vec_deinit(&keys);
}

int kv_lock(struct store_txn *tx, struct dir_entry *entry, struct err *err)
{
    if (entry->session.n == 0) {
        return err_set(err, ERR_FAILED, "missing session");
    }
    const struct session *session;
    int r = session_find(store_txn_view(tx), entry->session, &session, err);
    if (r < 0) {
        return r;
    }
    if (session == NULL) {
        struct buf quoted = {0};
        go_quote(&quoted, entry->session);
        r = err_set(err, ERR_FAILED, "invalid session %.*s", STRF(buf_view(&quoted)));
        buf_deinit(&quoted);
        return r;
    }
    const struct dir_entry *old = existing_entry(tx, entry->key);
    if (old == NULL) {
        entry->lock_index = 1;
    } else if (str_eq(old->session, entry->session)) {
        entry->lock_index = old->lock_index; /* held already: an update */
    } else if (old->session.n > 0) {
        return 0;
    } else {
        entry->lock_index = old->lock_index + 1;
    }
    kv_set_session(tx, entry);
    return 1;
}

int kv_unlock(struct store_txn *tx, struct dir_entry *entry, struct err *err)
{
    if (entry->session.n == 0) {
        return err_set(err, ERR_FAILED, "missing session");
    }
    const struct dir_entry *old = existing_entry(tx, entry->key);
    if (old == NULL || !str_eq(old->session, entry->session)) {
        return 0;
    }
    entry->session = STR_NULL;
    entry->lock_index = old->lock_index;
    kv_set_session(tx, entry);
    return 1;
}

void kv_reap_tombstones(struct store_txn *tx, uint64_t up_to)
{
    VEC(struct str) keys = {0};
    struct tree_iter it;
    const struct tombstone *t;
    store_iter(&it, store_txn_view(tx), INDEX_TOMBSTONES_ID, STR_NULL);
    while ((t = tree_next(&it, NULL)) != NULL) {
        if (t->index <= up_to) {
            vec_push(&keys, t->key);
        }
    }
    for (size_t i = 0; i < keys.n; i++) {
        (void)store_delete(tx, TABLE_TOMBSTONES, keys.v[i]);
    }
    vec_deinit(&keys);
}

void kv_restore(struct store_txn *tx, const struct dir_entry *entry)
{
    store_insert(tx, TABLE_KVS, entry_new(entry));
    store_index_raise(tx, INDEX_NAME_KVS, entry->raft.modify_index);
}

void kv_restore_tombstone(struct store_txn *tx, struct str key, uint64_t index)
{
    tombstone_put(tx, key, index);
    store_index_raise(tx, INDEX_NAME_TOMBSTONES, index);
}

/* --- reading -------------------------------------------------------------------------------- */

static uint64_t tables_index(const struct store_view *v)
{
    return MAX(store_index(v, INDEX_NAME_KVS), store_index(v, INDEX_NAME_TOMBSTONES));
}

static uint64_t tombstones_index(const struct store_view *v, struct str prefix)
{
    uint64_t max = 0;
    struct tree_iter it;
    const struct tombstone *t;
    store_iter(&it, v, INDEX_TOMBSTONES_ID, prefix);
    while ((t = tree_next(&it, NULL)) != NULL) {
        max = MAX(max, t->index);
    }
    return max;
}

/* The index of an answer about a prefix, from the largest one of its entries. */
static uint64_t prefix_index(const struct store_view *v, struct str prefix, uint64_t entries_max)
{
    if (prefix.n == 0) {
        return tables_index(v);
    }
    uint64_t max = MAX(entries_max, tombstones_index(v, prefix));
    return max != 0 ? max : tables_index(v);
}

uint64_t kv_get(const struct store_view *v, struct watch_set *ws, struct str key,
                const struct dir_entry **ret_entry)
{
    watch_key(ws, TABLE_KVS, key);
    const struct dir_entry *e = *ret_entry = entry_find(v, key);
    return e != NULL ? e->raft.modify_index : tables_index(v);
}

uint64_t kv_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                 struct str prefix, struct ptrlist *ret_entries)
{
    VEC(void *) entries = {0};
    uint64_t max = 0;
    struct tree_iter it;
    struct dir_entry *e;
    watch_prefix(ws, TABLE_KVS, prefix);
    store_iter(&it, v, INDEX_KVS_ID, prefix);
    while ((e = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &entries, (void *)e);
        max = MAX(max, e->raft.modify_index);
    }
    *ret_entries = (struct ptrlist){.v = entries.v, .n = entries.n};
    return prefix_index(v, prefix, max);
}

uint64_t kv_list_keys(const struct store_view *v, struct watch_set *ws, struct arena *a,
                      struct str prefix, struct str separator, struct strlist *ret_keys,
                      kv_visible_fn visible, void *visible_data)
{
    VEC(struct str) keys = {0};
    uint64_t max = 0;
    struct tree_iter it;
    const struct dir_entry *e;
    watch_prefix(ws, TABLE_KVS, prefix);
    store_iter(&it, v, INDEX_KVS_ID, prefix);
    while ((e = tree_next(&it, NULL)) != NULL) {
        max = MAX(max, e->raft.modify_index);
        if (visible != NULL && !visible(visible_data, e)) {
            continue;
        }
        struct str key = e->key;
        ptrdiff_t at = separator.n > 0 ? str_find(str_from(key, prefix.n), separator) : -1;
        if (at >= 0) {
            key = str_first(key, prefix.n + (size_t)at + separator.n);
            /* The keys of one group follow each other. */
            if (keys.n > 0 && str_eq(keys.v[keys.n - 1], key)) {
                continue;
            }
            /* For everything the index is that of the tables: no need to see each row. */
            if (prefix.n == 0 && visible == NULL) {
                tree_iter_skip_prefix(&it, key);
            }
        }
        avec_push(a, &keys, key);
    }
    *ret_keys = (struct strlist){.v = keys.v, .n = keys.n};
    return prefix_index(v, prefix, max);
}
