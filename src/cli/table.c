#include "cli/table.h"

#include "base/vec.h"
#include "schema/value.h"

#include <stdio.h>
#include <stdlib.h>

void table_row(struct table *t, size_t columns, const struct str *cells)
{
    ASSERT(columns <= TABLE_COLUMNS_MAX);
    if (t->rows == t->rows_cap) {
        t->columns = vec_grow_(t->columns, t->rows, &t->rows_cap, sizeof(*t->columns));
    }
    t->columns[t->rows++] = columns;
    struct {
        struct str *v;
        size_t n, cap;
    } all = {t->cells, t->n, t->cap};
    for (size_t i = 0; i < TABLE_COLUMNS_MAX; i++) {
        vec_push(&all, i < columns ? str_trim(cells[i]) : STR_NULL);
    }
    t->cells = all.v;
    t->n = all.n;
    t->cap = all.cap;
}

/* Characters, as far as padding goes: bytes that do not continue one. */
static size_t text_width(struct str s)
{
    size_t width = 0;
    for (size_t i = 0; i < s.n; i++) {
        width += ((uint8_t)s.p[i] & 0xc0) != 0x80 ? 1 : 0;
    }
    return width;
}

void table_render(const struct table *t, struct buf *to, size_t gap)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->n; i++) {
        widths[i % TABLE_COLUMNS_MAX] = MAX(widths[i % TABLE_COLUMNS_MAX], t->cells[i].n);
    }
    for (size_t row = 0; row < t->rows; row++) {
        const struct str *cells = &t->cells[row * TABLE_COLUMNS_MAX];
        for (size_t i = 0; i < t->columns[row]; i++) {
            buf_str(to, cells[i]);
            if (i + 1 < t->columns[row]) {
                buf_fill(to, ' ', widths[i] - text_width(cells[i]) + gap);
            }
        }
        buf_byte(to, '\n');
    }
}

void table_print(const struct table *t)
{
    struct buf text = {0};
    table_render(t, &text, 2);
    (void)fwrite(text.p != NULL ? text.p : "", 1, text.n, stdout);
    buf_deinit(&text);
}

void table_deinit(struct table *t)
{
    mem_free(t->cells);
    mem_free(t->columns);
    *t = (struct table){0};
}

static int pair_cmp(const void *x, const void *y)
{
    const struct value_pair *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

struct str table_map_text(struct arena *a, const struct value *map, const char *joiner)
{
    if (map == NULL || map->kind != VALUE_MAP) {
        return STR_NULL;
    }
    struct value_pair *pairs = ARENA_ARRAY(a, struct value_pair, map->map.n + 1);
    for (size_t i = 0; i < map->map.n; i++) {
        pairs[i] = map->map.v[i];
    }
    qsort(pairs, map->map.n, sizeof(*pairs), pair_cmp);
    struct buf text = {0};
    for (size_t i = 0; i < map->map.n; i++) {
        buf_str(&text, str_from_cstr(i > 0 ? joiner : ""));
        buf_str(&text, pairs[i].key);
        buf_byte(&text, '=');
        if (pairs[i].value.kind == VALUE_STR) {
            buf_str(&text, pairs[i].value.s);
        }
    }
    struct str copy = arena_str(a, buf_view(&text));
    buf_deinit(&text);
    return copy;
}
