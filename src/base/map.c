/* Entries lie densely in the order they were put; an open-addressing table of entry numbers finds
 * them. A removed entry stays as a hole (value NULL) that its table slot still names, so probing
 * goes on past it; holes go when the entries are full and everything is moved together anyway. */
#include "base/map.h"

#include "base/mem.h"

#define MAP_CAP_FIRST 8u

void map_init(struct map *m, unsigned flags)
{
    *m = (struct map){.flags = flags};
}

static void key_free(const struct map *m, struct map_entry *entry)
{
    if ((m->flags & MAP_KEYS_BORROWED) == 0) {
        mem_free((void *)entry->key.p);
    }
    entry->key = STR_NULL;
}

static struct str key_keep(const struct map *m, struct str key)
{
    if ((m->flags & MAP_KEYS_BORROWED) != 0) {
        return key;
    }
    return str_make(xmemdup(key.p, key.n), key.n);
}

static void keys_free(struct map *m)
{
    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].value != NULL) {
            key_free(m, &m->entries[i]);
        }
    }
}

void map_deinit(struct map *m)
{
    keys_free(m);
    mem_free(m->entries);
    mem_free(m->table);
    *m = (struct map){.flags = m->flags};
}

void map_clear(struct map *m)
{
    keys_free(m);
    m->n = m->used = 0;
    if (m->table != NULL) {
        memset(m->table, 0, m->table_size * sizeof(*m->table));
    }
}

static struct map_entry *find(const struct map *m, struct str key, uint64_t hash)
{
    if (m->n == 0) {
        return NULL;
    }
    size_t mask = m->table_size - 1;
    for (size_t at = hash & mask; m->table[at] != 0; at = (at + 1) & mask) {
        struct map_entry *entry = &m->entries[m->table[at] - 1];
        if (entry->hash == hash && entry->value != NULL && str_eq(entry->key, key)) {
            return entry;
        }
    }
    return NULL;
}

/* The table is never more than half full: there is a free slot. */
static void table_add(struct map *m, size_t number)
{
    size_t mask = m->table_size - 1;
    size_t at = m->entries[number].hash & mask;
    while (m->table[at] != 0) {
        at = (at + 1) & mask;
    }
    m->table[at] = (uint32_t)(number + 1);
}

/* Make place for one more entry: close the holes, and double unless that freed a quarter. */
static void grow(struct map *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].value != NULL) {
            m->entries[n++] = m->entries[i];
        }
    }
    ASSERT(n == m->n);
    m->used = n;
    if (m->cap == 0 || n > m->cap - m->cap / 4) {
        m->cap = m->cap == 0 ? MAP_CAP_FIRST : m->cap * 2;
        ASSERT(m->cap <= UINT32_MAX / 2);
        m->entries = xrealloc(m->entries, m->cap * sizeof(*m->entries));
        m->table_size = m->cap * 2;
        mem_free(m->table);
        m->table = xcalloc(m->table_size, sizeof(*m->table));
    } else {
        memset(m->table, 0, m->table_size * sizeof(*m->table));
    }
    for (size_t i = 0; i < n; i++) {
        table_add(m, i);
    }
}

void *map_get(const struct map *m, struct str key)
{
    if (m->n == 0) {
        return NULL;
    }
    struct map_entry *entry = find(m, key, str_hash(key));
    return entry != NULL ? entry->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
    ASSERT(value != NULL);
    uint64_t hash = str_hash(key);
    struct map_entry *entry = find(m, key, hash);
    if (entry != NULL) {
        void *before = entry->value;
        entry->value = value;
        if ((m->flags & MAP_KEYS_BORROWED) != 0) {
            entry->key = key;
        }
        return before;
    }
    if (m->used == m->cap) {
        grow(m);
    }
    m->entries[m->used] = (struct map_entry){key_keep(m, key), value, hash};
    table_add(m, m->used);
    m->used++;
    m->n++;
    return NULL;
}

void *map_remove(struct map *m, struct str key)
{
    struct map_entry *entry = m->n > 0 ? find(m, key, str_hash(key)) : NULL;
    if (entry == NULL) {
        return NULL;
    }
    void *value = entry->value;
    key_free(m, entry);
    entry->value = NULL;
    m->n--;
    return value;
}

bool map_next(const struct map *m, size_t *pos, struct str *ret_key, void **ret_value)
{
    while (*pos < m->used) {
        const struct map_entry *entry = &m->entries[(*pos)++];
        if (entry->value != NULL) {
            *ret_key = entry->key;
            *ret_value = entry->value;
            return true;
        }
    }
    return false;
}
