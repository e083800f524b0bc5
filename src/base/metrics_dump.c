/* What SIGUSR1 prints. */
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/metrics_priv.h"

#define TIME_TEXT_SIZE 64u

/* In the local time zone, as Go's %v prints it. */
static void time_text(int64_t wall_ns, char to[TIME_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall_ns / (int64_t)NS_PER_SEC);
    struct tm tm;
    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(to, TIME_TEXT_SIZE, "%Y-%m-%d %H:%M:%S %z %Z", &tm) == 0) {
        to[0] = '\0';
    }
}

/* The values of the labels, behind the name. */
static void put_name(struct buf *to, const struct metric_row *row)
{
    buf_str(to, row->name);
    for (size_t i = 0; i < row->m->labels_count; i++) {
        buf_byte(to, '.');
        for (const char *p = row->m->labels[i].value; *p != '\0'; p++) {
            buf_byte(to, *p == ' ' || *p == ':' ? '_' : (uint8_t)*p);
        }
    }
}

static void put_aggregate(struct buf *to, const struct metric_interval *v)
{
    double stddev = metric_stddev(v);
    buf_printf(to, "Count: %llu ", (unsigned long long)v->count);
    if (stddev != 0) {
        buf_printf(to, "Min: %0.3f Mean: %0.3f Max: %0.3f Stddev: %0.3f ", v->min + 0.0,
                   v->sum / (double)v->count, v->max + 0.0, stddev);
    }
    buf_printf(to, "Sum: %0.3f", v->sum);
}

static void put_kind(struct buf *to, const char *start, enum metric_kind kind,
                     const struct metric_row *rows, size_t count)
{
    static const char letters[] = {
        [METRIC_KIND_COUNTER] = 'C', [METRIC_KIND_GAUGE] = 'G', [METRIC_KIND_SAMPLE] = 'S'};
    for (size_t i = 0; i < count; i++) {
        const struct metric_row *row = &rows[i];
        if (row->m->kind != kind || row->interval.count == 0) {
            continue;
        }
        buf_printf(to, "[%s][%c] '", start, letters[kind]);
        put_name(to, row);
        buf_lit(to, "': ");
        if (kind == METRIC_KIND_GAUGE) {
            buf_printf(to, "%0.3f", row->interval.sum);
        } else {
            put_aggregate(to, &row->interval);
        }
        buf_byte(to, '\n');
    }
}

void metrics_dump(struct buf *to)
{
    struct arena a = {0};
    struct metrics_state *s = metrics_lock();
    for (uint32_t back = metrics_kept_count(s); back-- > 0;) {
        uint32_t kept = metrics_kept(s, back);
        size_t count;
        struct metric_row *rows = metric_rows(s, kept, " ", true, &a, &count);
        char start[TIME_TEXT_SIZE];
        time_text(s->finished_ns[kept], start);
        put_kind(to, start, METRIC_KIND_GAUGE, rows, count);
        put_kind(to, start, METRIC_KIND_COUNTER, rows, count);
        put_kind(to, start, METRIC_KIND_SAMPLE, rows, count);
        arena_reset(&a);
    }
    metrics_unlock();
    arena_deinit(&a);
}
