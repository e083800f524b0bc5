/* row.h - the JSON a row carries along.
 *
 * Rows never change, so the compact JSON of one is rendered at most once and then copied. The cache
 * is filled by the first reader that wants it (a race is settled by one compare-and-swap, the loser
 * frees its copy) and freed with the row. Rows that are written often and read rarely never pay. */
#pragma once
#include "base/buf.h"

#include <stdatomic.h>

struct schema;

struct rendered {
    uint32_t n;
    char p[];
};

/* The row's compact JSON, rendering it if need be; valid as long as the row. */
struct str row_json(_Atomic(struct rendered *) *cache, const struct schema *schema,
                    const void *object);
