/* table.h - rows in columns, as Consul prints them.
 *
 *     struct table t = {0};
 *     table_row(&t, 2, (struct str[]){STR("Node"), STR("Address")});
 *     table_print(&t);
 *     table_deinit(&t);
 *
 * Cells lose the blanks around them, columns are as wide as their widest cell (counted in bytes,
 * but padded by characters, as in Consul) plus a gap, and the last cell of a row is not padded.
 * Cells are borrowed until the table is printed. */
#pragma once
#include "base/buf.h"

#define TABLE_COLUMNS_MAX 16u

struct value;
struct arena;

struct table {
    struct str *cells; /* TABLE_COLUMNS_MAX a row */
    size_t n, cap;     /* of cells */
    size_t *columns;   /* of each row */
    size_t rows, rows_cap;
};

void table_row(struct table *t, size_t columns, const struct str *cells);
/* The rows with `gap` blanks between columns, each with a line end. */
void table_render(const struct table *t, struct buf *to, size_t gap);
/* To stdout with the usual gap of 2. */
void table_print(const struct table *t);
void table_deinit(struct table *t);
/* "k=v" of every member of a map, by key, with `joiner` between. */
struct str table_map_text(struct arena *a, const struct value *map, const char *joiner);
