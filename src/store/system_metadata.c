#include "store/system_metadata.h"

#include "base/err.h"

#define INDEX_NAME_METADATA STR("system-metadata")

static const struct system_metadata_entry *find(const struct store_view *v, struct str key)
{
    struct buf b = {0};
    const struct system_metadata_entry *row =
        store_get(v, INDEX_SYSTEM_METADATA_ID, store_key(&b, &key, 1));
    buf_deinit(&b);
    return row;
}

struct str system_metadata_get(const struct store_view *v, struct str key)
{
    const struct system_metadata_entry *row = find(v, key);
    return row != NULL ? row->value : STR_NULL;
}

struct str system_metadata_read(const struct store_view *v, struct watch_set *ws, struct str key)
{
    struct buf b = {0};
    watch_key(ws, TABLE_SYSTEM_METADATA, store_key(&b, &key, 1));
    buf_deinit(&b);
    return system_metadata_get(v, key);
}

int system_metadata_set(struct store_txn *tx, struct system_metadata_entry *entry, struct err *err)
{
    uint64_t now = store_txn_raft_index(tx);
    if (entry->key.n == 0) {
        return err_set(err, ERR_FAILED, "missing key on system metadata");
    }
    if (entry->key.n > TREE_KEY_SIZE_MAX / 2) {
        return err_set(err, ERR_TOO_LARGE, "key of %zu bytes is over the maximum of %u",
                       entry->key.n, TREE_KEY_SIZE_MAX / 2);
    }
    const struct system_metadata_entry *old = find(store_txn_view(tx), entry->key);
    entry->raft.create_index = old != NULL ? old->raft.create_index : now;
    entry->raft.modify_index = now;
    store_insert(tx, TABLE_SYSTEM_METADATA,
                 schema_clone(&system_metadata_entry_schema, entry, NULL));
    store_index_set(tx, INDEX_NAME_METADATA, now);
    return 0;
}

void system_metadata_delete(struct store_txn *tx, struct str key)
{
    struct buf b = {0};
    if (store_delete(tx, TABLE_SYSTEM_METADATA, store_key(&b, &key, 1))) {
        store_index_set(tx, INDEX_NAME_METADATA, store_txn_raft_index(tx));
    }
    buf_deinit(&b);
}

void system_metadata_restore(struct store_txn *tx, const struct system_metadata_entry *entry)
{
    store_insert(tx, TABLE_SYSTEM_METADATA,
                 schema_clone(&system_metadata_entry_schema, entry, NULL));
    store_index_raise(tx, INDEX_NAME_METADATA, entry->raft.modify_index);
}

void intentions_are_config_entries(struct store_txn *tx)
{
    uint64_t now = store_txn_raft_index(tx);
    struct system_metadata_entry entry = {.key = SYSTEM_METADATA_INTENTION_FORMAT,
                                          .value = SYSTEM_METADATA_INTENTION_FORMAT_CONFIG};
    store_index_set(tx, STR("connect-intentions"), now);
    store_index_set(tx, STR("config-entries"), now); /* so that other data centers look */
    int r = system_metadata_set(tx, &entry, NULL);
    ASSERT(r == 0);
}
