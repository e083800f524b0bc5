/* map.h - a hash map from bytes to pointers that remembers insertion order.
 *
 * Iteration gives the entries in the order they were put (a deleted and re-put key goes last), so
 * no behaviour depends on the hash. Keys are copied into the map unless it was made with
 * MAP_KEYS_BORROWED. Not shared between threads. A zeroed struct map is valid and empty. */
#pragma once
#include "base/str.h"

#define MAP_KEYS_BORROWED 1u

struct map_entry {
    struct str key;
    void *value; /* NULL marks a deleted entry: values are never NULL */
    uint64_t hash;
};

struct map {
    struct map_entry *entries; /* dense, in insertion order, with holes */
    uint32_t *table;           /* hash table of entry numbers + 1 */
    size_t n;                  /* live entries */
    size_t used, cap;          /* of entries */
    size_t table_size;         /* a power of two */
    unsigned flags;
};

void map_init(struct map *m, unsigned flags);
void map_deinit(struct map *m); /* values are the caller's */
void map_clear(struct map *m);
void *map_get(const struct map *m, struct str key); /* NULL: not there */
/* Insert or replace; the value that was there before, or NULL. A replaced entry keeps its place;
 * with MAP_KEYS_BORROWED its key becomes the new one, since the old value may own the old key. */
void *map_put(struct map *m, struct str key, void *value);
/* Remove; the value that was there, or NULL. */
void *map_remove(struct map *m, struct str key);
/* Start with *pos = 0; false at the end. Removing the current entry while iterating is fine,
 * inserting is not. */
bool map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value);
