/* Metrics of requests: api.http with the labels method and path, and http.GET.v1.kv._ as it was
 * called before 1.9. */
#include "base/clock.h"
#include "base/metrics.h"
#include "http/front.h"

/* "/v1/kv/" is the path "v1_kv_" in labels, and "v1.kv._" in the old names. */
static char *join(struct http_flight *f, struct str pattern, const char *prefix, char separator)
{
    struct buf b = {0};
    struct str rest = str_from(pattern, 1), part;
    buf_str(&b, str_from_cstr(prefix));
    for (bool first = true; str_split_next(&rest, '/', &part); first = false) {
        if (!first) {
            buf_byte(&b, (uint8_t)separator);
        }
        buf_str(&b, part.n == 0 && separator == '.' ? STR("_") : part);
    }
    struct str joined = arena_str(&f->arena, buf_view(&b));
    buf_deinit(&b);
    return (char *)(uintptr_t)joined.p;
}

/* Several workers may come first: they get the same metric. */
static struct metric *make(struct http_flight *f, uint32_t i)
{
    struct http_entry *e = f->entry;
    const char *method = arena_str(&f->arena, f->req.method_text).p;
    const struct metric_label labels[] = {
        {"method", method},
        {"path", join(f, e->pattern, "", '_')},
    };
    struct metric *m = metric_labeled(METRIC_KIND_SAMPLE, "api.http", labels, ARRAY_SIZE(labels));
    if (!f->req.http->front->options.disable_compat_1_9) {
        const char *prefix = arena_printf(&f->arena, "http.%s.", method).p;
        atomic_store(&e->old_time[i],
                     metric_labeled(METRIC_KIND_SAMPLE, join(f, e->pattern, prefix, '.'), NULL, 0));
    }
    atomic_store(&e->time[i], m);
    return m;
}

void http_measure(struct http_flight *f)
{
    uint32_t i = (uint32_t)__builtin_ctz(f->req.method);
    if (f->entry == NULL || i >= HTTP_METHODS_MEASURED) {
        return;
    }
    struct metric *m = atomic_load_explicit(&f->entry->time[i], memory_order_acquire);
    if (m == NULL) {
        m = make(f, i);
    }
    double ms = (double)(clock_mono_ns() - f->started_ns) / (double)NS_PER_MS;
    metric_observe(m, ms);
    struct metric *old = atomic_load_explicit(&f->entry->old_time[i], memory_order_acquire);
    if (old != NULL) {
        metric_observe(old, ms);
    }
}
