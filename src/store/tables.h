/* tables.h - what tables there are and how their rows are found (private to store.c).
 *
 * An index is a function that appends a row's key to a buffer. The first index of a table is its
 * primary one; the keys of the others get the primary key appended by store.c, so that rows of equal
 * value stay apart and come in the order of the primary key. */
#pragma once
#include "store/store.h"

/* Append the key; false: the row is not in this index. */
typedef bool (*store_key_fn)(const void *row, struct buf *to);

struct index_def {
    enum store_index index;
    store_key_fn key;
    bool watched; /* changes are told under STORE_WATCH_INDEX() too; secondary ones only */
};

#define TABLE_INDEXES_MAX 6u

struct table_def {
    bool rendered;                               /* rows start with a `rendered` */
    uint8_t count;                               /* of indexes; 0: the table does not exist yet */
    struct index_def indexes[TABLE_INDEXES_MAX]; /* the primary one first */
};

extern const struct table_def table_defs[TABLE_COUNT];

/* Rows of TABLE_INDEX. */
struct index_row {
    uint64_t index;
    struct str name; /* lower case; points behind the struct */
};
