/* Prometheus' text format 0.0.4. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/gofmt.h"
#include "base/metrics_priv.h"

static void put_prom_escaped(struct buf *to, struct str s, bool quotes)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\') {
            buf_lit(to, "\\\\");
        } else if (s.p[i] == '\n') {
            buf_lit(to, "\\n");
        } else if (s.p[i] == '"' && quotes) {
            buf_lit(to, "\\\"");
        } else {
            buf_byte(to, (uint8_t)s.p[i]);
        }
    }
}

/* name_suffix{labels,quantile="…"} and a space */
static void put_prom_name(struct buf *to, struct arena *a, const struct metric_row *row,
                          struct str suffix, struct str quantile)
{
    const struct metric_label **labels = metric_labels_sorted(a, row->m);
    const char *sep = "{";
    buf_str(to, row->name);
    buf_str(to, suffix);
    for (size_t i = 0; i < row->m->labels_count; i++) {
        buf_printf(to, "%s%s=\"", sep, labels[i]->name);
        put_prom_escaped(to, str_from_cstr(labels[i]->value), true);
        buf_byte(to, '"');
        sep = ",";
    }
    if (quantile.n > 0) {
        buf_printf(to, "%squantile=\"%.*s\"", sep, STRF(quantile));
        sep = ",";
    }
    buf_str(to, sep[0] == ',' ? STR("} ") : STR(" "));
}

static int double_cmp(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* What came in during the running and the last finished interval. */
static size_t recent_values(const struct metric *m, double values[METRIC_RECENT_COUNT])
{
    const struct metric_history *h = m->history;
    uint32_t next = atomic_load_explicit(&h->recent_next, memory_order_relaxed);
    size_t count = 0;
    for (size_t i = 0; i < METRIC_RECENT_COUNT; i++) {
        uint64_t packed = atomic_load_explicit(&h->recent[i], memory_order_relaxed);
        uint32_t number = (uint32_t)(packed >> 32) - 1, bits = (uint32_t)packed;
        float v;
        memcpy(&v, &bits, sizeof(v));
        bool is_recent = number - h->recent_finished < next - h->recent_finished;
        if (packed >> 32 != 0 && is_recent && !isnan(v)) {
            values[count++] = (double)v;
        }
    }
    qsort(values, count, sizeof(values[0]), double_cmp);
    return count;
}

static void put_prom_summary(struct buf *to, struct arena *a, const struct metric_row *row)
{
    static const struct {
        struct str text;
        double share;
    } quantiles[] = {{STR_INIT("0.5"), 0.5}, {STR_INIT("0.9"), 0.9}, {STR_INIT("0.99"), 0.99}};
    double values[METRIC_RECENT_COUNT];
    size_t count = recent_values(row->m, values);
    for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++) {
        put_prom_name(to, a, row, STR(""), quantiles[i].text);
        size_t rank = (size_t)ceil(quantiles[i].share * (double)count);
        go_float_g(to, count > 0 ? values[rank - 1] : (double)NAN);
        buf_byte(to, '\n');
    }
    put_prom_name(to, a, row, STR("_sum"), STR(""));
    go_float_g(to, row->total_sum);
    buf_byte(to, '\n');
    put_prom_name(to, a, row, STR("_count"), STR(""));
    buf_u64(to, row->total_count);
    buf_byte(to, '\n');
}

static void put_prom_row(struct buf *to, struct arena *a, const struct metric_row *row)
{
    if (row->m->kind == METRIC_KIND_SAMPLE) {
        put_prom_summary(to, a, row);
        return;
    }
    put_prom_name(to, a, row, STR(""), STR(""));
    go_float_g(to, row->total_sum);
    buf_byte(to, '\n');
}

void metrics_render_prometheus(struct buf *to)
{
    static const char *const types[] = {[METRIC_KIND_COUNTER] = "counter",
                                        [METRIC_KIND_GAUGE] = "gauge",
                                        [METRIC_KIND_SAMPLE] = "summary"};
    struct arena a = {0};
    struct metrics_state *s = metrics_lock(); /* kept: the totals are read as they are printed */
    size_t count;
    struct metric_row *rows = metric_rows(s, METRIC_ROWS_RUNNING, " .=-/", false, &a, &count);
    const struct metric_row *family = NULL;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].is_forgotten && !rows[i].is_kept) {
            continue;
        }
        if (family == NULL || !str_eq(family->name, rows[i].name)) {
            family = &rows[i];
            buf_printf(to, "# HELP %.*s ", STRF(family->name));
            put_prom_escaped(to, family->help != NULL ? str_from_cstr(family->help) : family->name,
                             false);
            buf_printf(to, "\n# TYPE %.*s %s\n", STRF(family->name), types[family->m->kind]);
        }
        /* A name has one type; what else goes by it cannot be told in this format. */
        if (rows[i].m->kind == family->m->kind) {
            put_prom_row(to, &a, &rows[i]);
        }
    }
    metrics_unlock();
    arena_deinit(&a);
}
