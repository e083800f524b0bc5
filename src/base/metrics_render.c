#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/gofmt.h"
#include "base/metrics.h"
#include "base/metrics_priv.h"

/* One metric with its full name, ready to be sorted. */
struct row {
    const struct metric *m;
    struct str name;     /* with prefix and host name */
    struct str sort_key; /* name and labels */
    const char *help;
    struct metric_interval interval; /* the one that JSON shows */
    uint64_t total_count;            /* of the whole run */
    double total_sum;                /* a gauge's value */
};

/* The longest of the prefix rules decides; of two that are equal, deny. */
static bool is_allowed(const struct metrics_state *s, struct str name)
{
    bool allowed = !s->filter_deny_default;
    size_t longest = 0;
    for (size_t i = 0; i < s->allow_count; i++) {
        if (s->allow[i].n >= longest && str_has_prefix(name, s->allow[i])) {
            longest = s->allow[i].n;
            allowed = true;
        }
    }
    for (size_t i = 0; i < s->deny_count; i++) {
        if (s->deny[i].n >= longest && str_has_prefix(name, s->deny[i])) {
            longest = s->deny[i].n;
            allowed = false;
        }
    }
    return allowed;
}

static struct str full_name(const struct metrics_state *s, const struct metric *m, struct arena *a)
{
    const char *prefix = s->prefix != NULL ? s->prefix : "consul";
    if (m->kind == METRIC_KIND_GAUGE && s->hostname != NULL) {
        return arena_printf(a, "%s.%s.%s", prefix, s->hostname, m->name);
    }
    return arena_printf(a, "%s.%s", prefix, m->name);
}

/* The name with every character of `bad` turned into '_'. */
static struct str name_clean(struct str name, const char *bad)
{
    char *p = (char *)name.p; /* the arena's copy, nobody else's yet */
    for (size_t i = 0; i < name.n; i++) {
        p[i] = (char)(strchr(bad, p[i]) != NULL ? '_' : p[i]);
    }
    return name;
}

static struct str sort_key(struct arena *a, struct str name, const struct metric *m)
{
    struct str key = name;
    for (size_t i = 0; i < m->labels_count; i++) {
        key = arena_printf(a, "%.*s;%s=%s", STRF(key), m->labels[i].name, m->labels[i].value);
    }
    return key;
}

static int row_cmp_key(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    int order = str_cmp(a->sort_key, b->sort_key);
    return order != 0 ? order : (int)a->m->kind - (int)b->m->kind;
}

static int row_cmp(const void *x, const void *y)
{
    const struct row *a = x, *b = y;
    int order = str_cmp(a->name, b->name);
    return order != 0 ? order : row_cmp_key(x, y);
}

static struct metric_interval interval_running(const struct metric *m)
{
    return (struct metric_interval){
        .count = atomic_load_explicit(&m->count, memory_order_relaxed),
        .sum = metric_value(atomic_load_explicit(&m->sum_bits, memory_order_relaxed)),
        .sum_sq = metric_value(atomic_load_explicit(&m->sum_sq_bits, memory_order_relaxed)),
        .min = metric_value(atomic_load_explicit(&m->min_bits, memory_order_relaxed)),
        .max = metric_value(atomic_load_explicit(&m->max_bits, memory_order_relaxed)),
    };
}

static struct row row_make(const struct metrics_state *s, const struct metric *m, struct str name,
                           struct arena *a)
{
    const struct metric_history *h = m->history;
    struct metric_interval running = interval_running(m);
    bool is_gauge = m->kind == METRIC_KIND_GAUGE;
    return (struct row){
        .m = m,
        .name = name,
        .sort_key = sort_key(a, name, m),
        .help = m->help,
        .interval = s->has_finished ? h->finished : running,
        .total_count = h->total_count + running.count,
        .total_sum = is_gauge ? running.sum : h->total_sum + running.sum,
    };
}

/* Two source files may each have a metric of the same name, or one was declared and another
 * updated: together they are one series. Of gauges the one updated more often counts. */
static void row_merge(struct row *into, const struct row *from)
{
    struct metric_interval *v = &into->interval;
    const struct metric_interval *w = &from->interval;
    const struct metric *busier = from->total_count > into->total_count ? from->m : into->m;
    if (into->m->kind == METRIC_KIND_GAUGE) {
        *v = w->count > v->count ? *w : *v;
        into->total_sum = busier == from->m ? from->total_sum : into->total_sum;
    } else if (w->count > 0) {
        v->min = v->count == 0 ? w->min : fmin(v->min, w->min);
        v->max = v->count == 0 ? w->max : fmax(v->max, w->max);
        v->count += w->count;
        v->sum += w->sum;
        v->sum_sq += w->sum_sq;
    }
    if (into->m->kind != METRIC_KIND_GAUGE) {
        into->total_sum += from->total_sum;
    }
    into->total_count += from->total_count;
    into->m = busier; /* for the quantiles */
    into->help = into->help != NULL ? into->help : from->help;
}

/* All series that the filter lets through, sorted. */
static struct row *rows_collect(const struct metrics_state *s, struct arena *a, const char *bad,
                                int (*cmp)(const void *, const void *), size_t *ret_count)
{
    struct row *rows = ARENA_ARRAY(a, struct row, s->count);
    size_t all = 0, count = 0;
    for (struct metric *m = s->first; m != NULL; m = m->next) {
        struct str name = full_name(s, m, a);
        if (is_allowed(s, name)) {
            rows[all++] = row_make(s, m, name_clean(name, bad), a);
        }
    }
    qsort(rows, all, sizeof(*rows), cmp);
    for (size_t i = 0; i < all; i++) {
        if (count > 0 && row_cmp_key(&rows[count - 1], &rows[i]) == 0) {
            row_merge(&rows[count - 1], &rows[i]);
        } else {
            rows[count++] = rows[i];
        }
    }
    *ret_count = count;
    return rows;
}

/* The labels in the order of their names, as a map's keys are printed. */
static const struct metric_label **labels_sorted(struct arena *a, const struct metric *m)
{
    const struct metric_label **sorted =
        ARENA_ARRAY(a, const struct metric_label *, m->labels_count);
    for (size_t i = 0; i < m->labels_count; i++) {
        size_t at = i;
        while (at > 0 && strcmp(sorted[at - 1]->name, m->labels[i].name) > 0) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = &m->labels[i];
    }
    return sorted;
}

static void put_json_labels(struct buf *to, struct arena *a, const struct metric *m)
{
    const struct metric_label **labels = labels_sorted(a, m);
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

static double stddev(const struct metric_interval *v)
{
    double n = (double)v->count;
    double over = n * v->sum_sq - v->sum * v->sum;
    return v->count < 2 || over <= 0 ? 0 : sqrt(over / (n * (n - 1)));
}

static void put_json_row(struct buf *to, struct arena *a, const struct row *row)
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
        put_json_number(to, STR("Stddev"), stddev(v));
    }
    buf_lit(to, ",\"Labels\":");
    put_json_labels(to, a, row->m);
    buf_byte(to, '}');
}

static void put_json_kind(struct buf *to, struct arena *a, enum metric_kind kind,
                          const struct row *rows, size_t count)
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
    size_t count;
    struct row *rows = rows_collect(s, &a, " ", row_cmp_key, &count);
    struct civil start = time_civil(s->has_finished ? s->finished_ns : s->running_ns);
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
static void put_prom_name(struct buf *to, struct arena *a, const struct row *row, struct str suffix,
                          struct str quantile)
{
    const struct metric_label **labels = labels_sorted(a, row->m);
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

/* What came in during the running and the last finished interval; `tick` is the running one's. */
static size_t recent_values(const struct metric *m, uint32_t tick,
                            double values[METRIC_RECENT_COUNT])
{
    size_t count = 0;
    for (size_t i = 0; i < METRIC_RECENT_COUNT; i++) {
        uint64_t packed = atomic_load_explicit(&m->history->recent[i], memory_order_relaxed);
        uint32_t age = tick + 1 - (uint32_t)(packed >> 32), bits = (uint32_t)packed;
        float v;
        memcpy(&v, &bits, sizeof(v));
        if (packed >> 32 != 0 && age <= 1 && !isnan(v)) {
            values[count++] = (double)v;
        }
    }
    qsort(values, count, sizeof(values[0]), double_cmp);
    return count;
}

static void put_prom_summary(struct buf *to, struct arena *a, const struct row *row, uint32_t tick)
{
    static const struct {
        struct str text;
        double share;
    } quantiles[] = {{STR_INIT("0.5"), 0.5}, {STR_INIT("0.9"), 0.9}, {STR_INIT("0.99"), 0.99}};
    double values[METRIC_RECENT_COUNT];
    size_t count = recent_values(row->m, tick, values);
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

static void put_prom_row(struct buf *to, struct arena *a, const struct row *row, uint32_t tick)
{
    if (row->m->kind == METRIC_KIND_SAMPLE) {
        put_prom_summary(to, a, row, tick);
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
    uint32_t tick = atomic_load_explicit(&s->tick, memory_order_relaxed);
    size_t count;
    struct row *rows = rows_collect(s, &a, " .=-/", row_cmp, &count);
    const struct row *family = NULL;
    for (size_t i = 0; i < count; i++) {
        if (family == NULL || !str_eq(family->name, rows[i].name)) {
            family = &rows[i];
            buf_printf(to, "# HELP %.*s ", STRF(family->name));
            put_prom_escaped(to, family->help != NULL ? str_from_cstr(family->help) : family->name,
                             false);
            buf_printf(to, "\n# TYPE %.*s %s\n", STRF(family->name), types[family->m->kind]);
        }
        /* A name has one type; what else goes by it cannot be told in this format. */
        if (rows[i].m->kind == family->m->kind) {
            put_prom_row(to, &a, &rows[i], tick);
        }
    }
    metrics_unlock();
    arena_deinit(&a);
}
