/* kv.h - the key/value store's operations on a transaction or a view. */
#pragma once
#include "schema/kv.h"
#include "store/store.h"

/* A row of TABLE_TOMBSTONES: what remembers the index at which a key (or a tree) was deleted, so
 * that the index of a prefix does not slide backwards. */
struct tombstone {
    struct str key;
    uint64_t index;
};
