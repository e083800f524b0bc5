/* kv.h - the key/value store: what its verbs do to a transaction, and how it is read.
 *
 *     struct dir_entry e = request->dir_ent;
 *     kv_set(tx, &e);                                   // e now says what is stored
 *     const struct dir_entry *found;
 *     uint64_t index = kv_get(v, ws, key, &found);      // found NULL: not there
 *
 * Writing. The entry given is the request's, strings borrowed; a verb that stores it leaves in it
 * the indexes and the session it was stored with, which transactions answer with. A write that changes
 * nothing (same value, flags, session and lock index) moves no index. Odd but Consul's: a plain set
 * takes the lock index of the request, which is 0 there, so it resets that of a key that was locked.
 *
 * Reading. Returned is the index to answer with: for one key its ModifyIndex, or that of the tables
 * when it is not there; for a prefix the largest of its entries and tombstones; for everything (prefix "")
 * or nothing that of the tables. 0 means the tables were never written; the server makes that 1. Rows are borrowed from the view, lists are
 * in the arena and nil when nothing was found. */
#pragma once
#include "schema/kv.h"
#include "store/store.h"

struct err;

/* A row of TABLE_TOMBSTONES: what remembers the index at which a key (or a tree) was deleted, so
 * that the index of a prefix does not slide backwards. */
struct tombstone {
    struct str key;
    uint64_t index;
};

void kv_set(struct store_txn *tx, struct dir_entry *entry);
/* entry->raft.modify_index is the one expected; 0: it must not exist yet. */
bool kv_cas(struct store_txn *tx, struct dir_entry *entry);
void kv_delete(struct store_txn *tx, struct str key);
/* True also when there was nothing to delete. */
bool kv_delete_cas(struct store_txn *tx, struct str key, uint64_t modify_index);
/* One tombstone stands for the whole tree; none is left when everything goes (prefix ""). */
void kv_delete_tree(struct store_txn *tx, struct str prefix);
/* 1 locked, 0 held by another session, negative: the session is missing or unknown. Lock delays are
 * not looked at: the leader does that before it lets the request into the log. */
NODISCARD int kv_lock(struct store_txn *tx, struct dir_entry *entry, struct err *err);
/* 1 unlocked, 0 not held by that session. */
NODISCARD int kv_unlock(struct store_txn *tx, struct dir_entry *entry, struct err *err);
/* As kv_set, with the session as it stands in the entry. */
void kv_set_session(struct store_txn *tx, struct dir_entry *entry);
/* Forget the tombstones up to this index. */
void kv_reap_tombstones(struct store_txn *tx, uint64_t up_to);

/* Rows of a snapshot: indexes are taken over, the tables' only raised. */
void kv_restore(struct store_txn *tx, const struct dir_entry *entry);
void kv_restore_tombstone(struct store_txn *tx, struct str key, uint64_t index);

uint64_t kv_get(const struct store_view *v, struct watch_set *ws, struct str key,
                const struct dir_entry **ret_entry);
/* struct dir_entry, by key. */
uint64_t kv_list(const struct store_view *v, struct watch_set *ws, struct arena *a,
                 struct str prefix, struct ptrlist *ret_entries);

/* Whether the asker may see an entry; NULL lets everything through. */
typedef bool (*kv_visible_fn)(void *data, const struct dir_entry *entry);
/* Keys; with a separator, what follows its first occurrence behind the prefix is cut off, and what
 * is then equal is given once. */
uint64_t kv_list_keys(const struct store_view *v, struct watch_set *ws, struct arena *a,
                      struct str prefix, struct str separator, struct strlist *ret_keys,
                      kv_visible_fn visible, void *visible_data);
