#include "store/config_entry.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/vec.h"
#include "store/config_graph.h"
#include "store/gateway_services.h"
#include "store/intention.h"
#include "store/row.h"

#define INDEX_NAME_CONFIG STR("config-entries")

/* --- reading --------------------------------------------------------------------------------- */

static struct str entry_key(struct buf *to, enum config_entry_kind type, struct str name)
{
    return store_key(to, (struct str[]){config_entry_kind_text(type), name}, 2);
}

struct str config_entry_prefix(struct buf *to, enum config_entry_kind type)
{
    struct str kind = config_entry_kind_text(type);
    return store_key(to, &kind, 1);
}

const struct config_entry *config_entry_find(const struct store_view *v,
                                             enum config_entry_kind type, struct str name)
{
    struct buf key = {0};
    const struct config_entry *entry =
        store_get(v, INDEX_CONFIG_ENTRIES_ID, entry_key(&key, type, name));
    buf_deinit(&key);
    return entry;
}

uint64_t config_entry_get(const struct store_view *v, struct watch_set *ws,
                          enum config_entry_kind type, struct str name,
                          const struct config_entry **ret_entry)
{
    struct buf key = {0};
    struct str k = entry_key(&key, type, name);
    watch_key(ws, TABLE_CONFIG_ENTRIES, k);
    *ret_entry = store_get(v, INDEX_CONFIG_ENTRIES_ID, k);
    buf_deinit(&key);
    return store_index(v, INDEX_NAME_CONFIG);
}

uint64_t config_entry_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                           struct str kind, struct ptrlist *ret_entries)
{
    VEC(void *) rows = {0};
    struct buf prefix = {0};
    struct tree_iter it;
    void *row;
    store_index_watch(ws, INDEX_NAME_CONFIG);
    store_iter(&it, v, INDEX_CONFIG_ENTRIES_ID,
               kind.n > 0 ? store_key(&prefix, &kind, 1) : STR_NULL);
    while ((row = tree_next(&it, NULL)) != NULL) {
        avec_push(a, &rows, row);
    }
    buf_deinit(&prefix);
    *ret_entries = (struct ptrlist){rows.v != NULL ? rows.v : SCHEMA_EMPTY, rows.n};
    return store_index(v, INDEX_NAME_CONFIG);
}

struct str config_entry_json(const struct config_entry *row)
{
    struct config_entry *cache = (struct config_entry *)(uintptr_t)row;
    return row_json(&cache->rendered, &config_entry_schema, row);
}

/* --- what an update keeps of intentions ------------------------------------------------------ */

static const struct source_intention *source_by_name(const struct service_intentions *e,
                                                     struct str name)
{
    for (size_t i = 0; i < e->sources.n; i++) {
        const struct source_intention *s = e->sources.v[i];
        if (str_eq(s->name, name)) {
            return s;
        }
    }
    return NULL;
}

static const struct source_intention *source_by_id(const struct service_intentions *e,
                                                   struct str id)
{
    for (size_t i = 0; i < e->sources.n; i++) {
        const struct source_intention *s = e->sources.v[i];
        if (str_eq(s->legacy_id, id)) {
            return s;
        }
    }
    return NULL;
}

/* Sources that come from the old intentions keep their ids and times of birth. */
static int update_intentions(struct service_intentions *e, const struct service_intentions *old,
                             struct err *err)
{
    for (size_t i = 0; i < e->sources.n; i++) {
        struct source_intention *s = e->sources.v[i];
        if (s->legacy_id.n == 0) {
            continue;
        }
        const struct source_intention *before = source_by_name(old, s->name);
        if (before != NULL && before->legacy_id.n == 0) {
            return err_set(err, ERR_FAILED, "Sources[%zu].LegacyID: cannot set this field", i);
        }
        if (before != NULL && !str_eq(before->legacy_id, s->legacy_id)) {
            return err_set(err, ERR_FAILED,
                           "Sources[%zu].LegacyID: cannot set this field to a different value", i);
        }
        before = source_by_id(old, s->legacy_id);
        if (before != NULL && before->legacy_create_time != TIME_ZERO) {
            s->legacy_create_time = before->legacy_create_time;
        }
    }
    return 0;
}

/* --- writing --------------------------------------------------------------------------------- */

static int insert(struct store_txn *tx, const struct config_entry *entry, uint64_t index,
                  struct err *err)
{
    if (entry->name.n > TREE_KEY_SIZE_MAX / 4) {
        return err_set(err, ERR_TOO_LARGE, "name of %zu bytes is over the maximum of %u",
                       entry->name.n, TREE_KEY_SIZE_MAX / 4);
    }
    if (entry->name.n == 0) {
        return err_set(err, ERR_FAILED,
                       "failed inserting config entry: object missing primary index");
    }
    int r = entry->type == CONFIG_SERVICE_INTENTIONS
                ? intention_rows_set(tx, (const struct service_intentions *)entry, err)
                : 0;
    if (r < 0) {
        return r;
    }
    gateway_services_update(tx, entry, index);
    struct config_entry *row = schema_clone(&config_entry_schema, entry, NULL);
    row->rendered = NULL;
    store_insert(tx, TABLE_CONFIG_ENTRIES, row);
    store_index_raise(tx, INDEX_NAME_CONFIG, index);
    return 0;
}

int config_entry_set(struct store_txn *tx, struct config_entry *entry, struct err *err)
{
    const struct store_view *v = store_txn_view(tx);
    uint64_t now = store_txn_raft_index(tx);
    const struct config_entry *old = config_entry_find(v, entry->type, entry->name);
    int r = 0;
    entry->raft.create_index = old != NULL ? old->raft.create_index : now;
    entry->raft.modify_index = now;
    if (old != NULL && entry->type == CONFIG_SERVICE_INTENTIONS) {
        r = update_intentions((struct service_intentions *)entry,
                              (const struct service_intentions *)old, err);
    }
    if (r >= 0) {
        r = config_graph_check(v, entry->type, entry->name, entry, err);
    }
    return r < 0 ? r : insert(tx, entry, now, err);
}

int config_entry_cas(struct store_txn *tx, struct config_entry *entry, uint64_t index,
                     struct err *err)
{
    const struct config_entry *old =
        config_entry_find(store_txn_view(tx), entry->type, entry->name);
    if (index != (old != NULL ? old->raft.modify_index : 0)) {
        return 0;
    }
    int r = config_entry_set(tx, entry, err);
    return r < 0 ? r : 1;
}

int config_entry_delete(struct store_txn *tx, enum config_entry_kind type, struct str name,
                        struct err *err)
{
    const struct store_view *v = store_txn_view(tx);
    if (config_entry_find(v, type, name) == NULL) {
        return 0;
    }
    int r = config_graph_check(v, type, name, NULL, err);
    if (r < 0) {
        return r;
    }
    if (type == CONFIG_TERMINATING_GATEWAY || type == CONFIG_INGRESS_GATEWAY) {
        gateway_services_delete(tx, name);
    }
    if (type == CONFIG_SERVICE_INTENTIONS) {
        intention_rows_delete(tx, name);
    }
    struct buf key = {0};
    (void)store_delete(tx, TABLE_CONFIG_ENTRIES, entry_key(&key, type, name));
    store_index_set(tx, INDEX_NAME_CONFIG, store_txn_raft_index(tx));
    buf_deinit(&key);
    return 0;
}

int config_entry_restore(struct store_txn *tx, const struct config_entry *entry, struct err *err)
{
    return insert(tx, entry, entry->raft.modify_index, err);
}
