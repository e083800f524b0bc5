#include "server/query_metrics.h"

#include "base/arena.h"
#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>

/* Looking a labelled metric up takes a lock and a walk; a worker remembers those it used last. Two
 * that share a place only take turns in it. */
#define REMEMBERED 256u
/* Requests with more tags than this count without them. */
#define TAGS_COUNTED_MAX 8u

struct remembered {
    uint64_t hash;
    struct metric *metric;
};

static _Thread_local struct remembered remembered[REMEMBERED];

static int by_text(const void *x, const void *y)
{
    const struct str *a = x, *b = y;
    return str_cmp(*a, *b);
}

/* parts: the metric's name, the service, the tags. */
static void count(const struct str *parts, size_t n)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < n; i++) {
        hash = hash * 0x9e3779b97f4a7c15u + str_hash(parts[i]);
    }
    struct remembered *r = &remembered[hash % REMEMBERED];
    if (r->metric == NULL || r->hash != hash) {
        struct arena a = {0};
        struct metric_label labels[1 + TAGS_COUNTED_MAX];
        for (size_t i = 1; i < n; i++) {
            labels[i - 1] =
                (struct metric_label){i == 1 ? "service" : "tag", arena_str(&a, parts[i]).p};
        }
        struct str name = arena_str(&a, parts[0]);
        r->metric = metric_labeled(METRIC_KIND_COUNTER, name.p, labels, n - 1);
        r->hash = hash;
        arena_deinit(&a);
    }
    metric_add(r->metric, 1);
}

void query_metrics_count(const char *area, const struct service_request *args, size_t found)
{
    const char *kind = args->connect                                                ? "connect"
                       : args->ingress && str_eq_lit(str_from_cstr(area), "health") ? "ingress"
                                                                                    : "service";
    struct str parts[2 + TAGS_COUNTED_MAX];
    char name[64];
    size_t tags = args->service_tags.n;
    parts[1] = args->service_name;
    parts[0] = str_make(name, (size_t)snprintf(name, sizeof(name), "%s.%s.query", area, kind));
    count(parts, 2);
    if (args->service_tag.n > 0) {
        parts[0] =
            str_make(name, (size_t)snprintf(name, sizeof(name), "%s.%s.query-tag", area, kind));
        parts[2] = args->service_tag;
        count(parts, 3);
    }
    if (tags > 0 && tags <= TAGS_COUNTED_MAX) {
        /* The same set in another order is the same metric. */
        memcpy(parts + 2, args->service_tags.v, tags * sizeof(parts[0]));
        qsort(parts + 2, tags, sizeof(parts[0]), by_text);
        parts[0] =
            str_make(name, (size_t)snprintf(name, sizeof(name), "%s.%s.query-tags", area, kind));
        count(parts, 2 + tags);
    }
    if (found == 0) {
        parts[0] =
            str_make(name, (size_t)snprintf(name, sizeof(name), "%s.%s.not-found", area, kind));
        count(parts, 2);
    }
}
