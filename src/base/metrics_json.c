/* The body of /v1/agent/metrics. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/gofmt.h"
#include "base/metrics_priv.h"

static void put_json_labels(struct buf *to, struct arena *a, const struct metric *m)
{
    const struct metric_label **labels = metric_labels_sorted(a, m);
    buf_lit(to, "{");
    for (size_t i = 0; i < m->labels_count; i++) {
        buf_str(to, i > 0 ? STR(",") : STR(""));
        go_json_str(to, str_from_cstr(labels[i]->name));
        buf_byte(to, ':');
        go_json_str(to, str_from_cstr(labels[i]->value));
    }
    buf_lit(to, "}");
}

static void put_json_number(struct buf *to, struct str key, double v)
{
    buf_byte(to, ',');
    go_json_str(to, key);
    buf_byte(to, ':');
    go_json_float(to, v);
}

static void put_json_row(struct buf *to, struct arena *a, const struct metric_row *row)
{
    const struct metric_interval *v = &row->interval;
    buf_lit(to, "{\"Name\":");
    go_json_str(to, row->name);
    if (row->m->kind == METRIC_KIND_GAUGE) {
        buf_lit(to, ",\"Value\":");
        go_json_float32(to, (float)v->sum);
    } else {
        buf_lit(to, ",\"Count\":");
        buf_u64(to, v->count);
        put_json_number(to, STR("Rate"), v->sum / (METRIC_INTERVAL_MS / 1000.0));
        put_json_number(to, STR("Sum"), v->sum);
        put_json_number(to, STR("Min"), v->min + 0.0); /* no -0 */
        put_json_number(to, STR("Max"), v->max + 0.0);
        put_json_number(to, STR("Mean"), v->sum / (double)v->count);
        put_json_number(to, STR("Stddev"), metric_stddev(v));
    }
    buf_lit(to, ",\"Labels\":");
    put_json_labels(to, a, row->m);
    buf_byte(to, '}');
}

static void put_json_kind(struct buf *to, struct arena *a, enum metric_kind kind,
                          const struct metric_row *rows, size_t count)
{
    bool first = true;
    buf_byte(to, '[');
    for (size_t i = 0; i < count; i++) {
        if (rows[i].m->kind == kind && rows[i].interval.count > 0) {
            buf_str(to, first ? STR("") : STR(","));
            put_json_row(to, a, &rows[i]);
            first = false;
        }
    }
    buf_byte(to, ']');
}

void metrics_render_json(struct buf *to)
{
    struct arena a = {0};
    struct metrics_state *s = metrics_lock();
    uint32_t interval = s->ticks > 0 ? metrics_kept(s, 0) : METRIC_ROWS_RUNNING;
    struct civil start = time_civil(s->ticks > 0 ? s->finished_ns[interval] : s->running_ns);
    size_t count;
    struct metric_row *rows = metric_rows(s, interval, " ", true, &a, &count);
    metrics_unlock();
    buf_printf(to,
               "{\"Timestamp\":\"%04d-%02d-%02d %02d:%02d:%02d +0000 UTC\",\"Gauges\":", start.year,
               start.month, start.day, start.hour, start.minute, start.second);
    put_json_kind(to, &a, METRIC_KIND_GAUGE, rows, count);
    buf_lit(to, ",\"Points\":[],\"Counters\":");
    put_json_kind(to, &a, METRIC_KIND_COUNTER, rows, count);
    buf_lit(to, ",\"Samples\":");
    put_json_kind(to, &a, METRIC_KIND_SAMPLE, rows, count);
    buf_byte(to, '}');
    arena_deinit(&a);
}
