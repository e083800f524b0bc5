/* The metrics as rows with full names, filtered, sorted and merged: for whoever prints them. */
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/metrics_priv.h"

/* The longest of the prefix rules decides; of two that are equal, deny. */
static bool name_is_allowed(const struct metrics_state *s, struct str name)
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
    if (m->kind == METRIC_KIND_GAUGE && s->hostname != NULL && !m->is_placeholder) {
        return arena_printf(a, "%s.%s.%s", prefix, s->hostname, m->name);
    }
    return arena_printf(a, "%s.%s", prefix, m->name);
}

bool metric_is_allowed(const struct metrics_state *s, const struct metric *m, struct arena *a)
{
    return name_is_allowed(s, full_name(s, m, a));
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
    const struct metric_row *a = x, *b = y;
    int order = str_cmp(a->sort_key, b->sort_key);
    return order != 0 ? order : (int)a->m->kind - (int)b->m->kind;
}

static int row_cmp(const void *x, const void *y)
{
    const struct metric_row *a = x, *b = y;
    int order = str_cmp(a->name, b->name);
    return order != 0 ? order : row_cmp_key(x, y);
}

static struct metric_interval interval_running(const struct metric *m)
{
    struct metric_interval running = {
        .count = metric_count_running(m),
        .sum = metric_value(atomic_load_explicit(&m->sum_bits, memory_order_relaxed)),
        .sum_sq = metric_value(atomic_load_explicit(&m->sum_sq_bits, memory_order_relaxed)),
        .min = metric_value(atomic_load_explicit(&m->min_bits, memory_order_relaxed)),
        .max = metric_value(atomic_load_explicit(&m->max_bits, memory_order_relaxed)),
    };
    metric_interval_add_ones(&running, atomic_load_explicit(&m->ones, memory_order_relaxed));
    return running;
}

static struct metric_row row_make(const struct metrics_state *s, uint32_t interval,
                                  const struct metric *m, struct str name, struct arena *a)
{
    const struct metric_history *h = m->history;
    struct metric_interval running = interval_running(m);
    bool is_gauge = m->kind == METRIC_KIND_GAUGE;
    return (struct metric_row){
        .m = m,
        .name = name,
        .sort_key = sort_key(a, name, m),
        .help = m->help,
        .interval = interval != METRIC_ROWS_RUNNING ? h->finished[interval] : running,
        .total_count = h->total_count - h->forgotten_count + running.count,
        .total_sum = is_gauge ? running.sum : h->total_sum - h->forgotten_sum + running.sum,
        .is_kept = metric_is_kept(s, m),
        .is_forgotten = h->is_forgotten && running.count == 0,
    };
}

/* Two source files may each have a metric of the same name, or one was declared and another
 * updated: together they are one series. Of gauges the one updated more often counts. */
static void row_merge(struct metric_row *into, const struct metric_row *from)
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
    into->is_kept |= from->is_kept;
    into->is_forgotten &= from->is_forgotten;
}

struct metric_row *metric_rows(const struct metrics_state *s, uint32_t interval, const char *bad,
                               bool by_key, struct arena *a, size_t *ret_count)
{
    struct metric_row *rows = ARENA_ARRAY(a, struct metric_row, s->count);
    size_t all = 0, count = 0;
    for (struct metric *m = s->first; m != NULL; m = m->next) {
        struct str name = full_name(s, m, a);
        if (name_is_allowed(s, name)) {
            rows[all++] = row_make(s, interval, m, name_clean(name, bad), a);
        }
    }
    qsort(rows, all, sizeof(*rows), by_key ? row_cmp_key : row_cmp);
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

const struct metric_label **metric_labels_sorted(struct arena *a, const struct metric *m)
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

double metric_stddev(const struct metric_interval *v)
{
    double n = (double)v->count;
    double over = n * v->sum_sq - v->sum * v->sum;
    return v->count < 2 || over <= 0 ? 0 : sqrt(over / (n * (n - 1)));
}
