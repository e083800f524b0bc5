/* The updating side and the registry; metrics_render.c prints. An update is a handful of atomic
 * operations on the metric itself. The registry's lock guards the list of metrics, their history
 * and the options. */
#include "base/metrics.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics_priv.h"

#define LABELS_MAX 16u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metrics_state state;
static struct map labeled; /* by kind, name and labels */

static struct metric overflow[] = {METRIC_COUNTER("metrics.overflow.counter"),
                                   METRIC_GAUGE("metrics.overflow.gauge"),
                                   METRIC_SAMPLE("metrics.overflow.sample")};

enum { STATE_NEW, STATE_REGISTERED };

struct metrics_state *metrics_lock(void)
{
    pthread_mutex_lock(&lock);
    return &state;
}

void metrics_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

static int64_t interval_start(int64_t wall_ns)
{
    int64_t interval_ns = METRIC_INTERVAL_MS * (int64_t)NS_PER_MS;
    return wall_ns - wall_ns % interval_ns;
}

/* Under the lock. */
static void register_locked(struct metric *m)
{
    if (atomic_load_explicit(&m->state, memory_order_relaxed) != STATE_NEW) {
        return;
    }
    m->history = xcalloc(1, sizeof(*m->history));
    if (m->kind == METRIC_KIND_SAMPLE) {
        m->history->recent = xcalloc(METRIC_RECENT_COUNT, sizeof(*m->history->recent));
    }
    m->next = state.first;
    state.first = m;
    state.count++;
    if (state.running_ns == 0) {
        state.running_ns = interval_start(clock_wall_ns());
    }
    atomic_store_explicit(&m->state, STATE_REGISTERED, memory_order_release);
}

static void metric_register(struct metric *m)
{
    if (UNLIKELY(atomic_load_explicit(&m->state, memory_order_acquire) == STATE_NEW)) {
        pthread_mutex_lock(&lock);
        register_locked(m);
        pthread_mutex_unlock(&lock);
    }
}

/* Bits 0 mean "none yet" for the minimum and maximum, so +0.0 is kept as -0.0. */
static uint64_t extreme_bits(double v)
{
    return metric_bits(v == 0 ? -0.0 : v);
}

static void bits_add(_Atomic uint64_t *at, double v)
{
    uint64_t old = atomic_load_explicit(at, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(at, &old, metric_bits(metric_value(old) + v),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void bits_min(_Atomic uint64_t *at, double v)
{
    uint64_t old = atomic_load_explicit(at, memory_order_relaxed);
    while ((old == 0 || v < metric_value(old)) &&
           !atomic_compare_exchange_weak_explicit(at, &old, extreme_bits(v), memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

static void bits_max(_Atomic uint64_t *at, double v)
{
    uint64_t old = atomic_load_explicit(at, memory_order_relaxed);
    while ((old == 0 || v > metric_value(old)) &&
           !atomic_compare_exchange_weak_explicit(at, &old, extreme_bits(v), memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

static void ingest(struct metric *m, double v)
{
    bits_add(&m->sum_bits, v);
    bits_add(&m->sum_sq_bits, v * v);
    bits_min(&m->min_bits, v);
    bits_max(&m->max_bits, v);
    atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
}

void metric_add(struct metric *m, double value)
{
    metric_register(m);
    DASSERT(m->kind == METRIC_KIND_COUNTER);
    ingest(m, (double)(float)value);
}

void metric_set(struct metric *m, double value)
{
    metric_register(m);
    DASSERT(m->kind == METRIC_KIND_GAUGE);
    atomic_store_explicit(&m->sum_bits, metric_bits((double)(float)value), memory_order_relaxed);
    atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
}

void metric_observe(struct metric *m, double value)
{
    metric_register(m);
    DASSERT(m->kind == METRIC_KIND_SAMPLE);
    float narrow = (float)value;
    ingest(m, (double)narrow);
    uint32_t number = atomic_fetch_add_explicit(&m->history->recent_next, 1, memory_order_relaxed);
    uint32_t tick = atomic_load_explicit(&state.tick, memory_order_relaxed), bits;
    memcpy(&bits, &narrow, sizeof(bits));
    atomic_store_explicit(&m->history->recent[number % METRIC_RECENT_COUNT],
                          (uint64_t)(tick + 1) << 32 | bits, memory_order_relaxed);
}

static char *cstr_copy(const char *z)
{
    return z != NULL ? str_to_cstr(str_from_cstr(z)) : NULL;
}

static struct metric *labeled_new(enum metric_kind kind, const char *name, const char *help,
                                  const struct metric_label *labels, size_t labels_count)
{
    struct metric *m = xcalloc(1, sizeof(*m));
    struct metric_label *copy = xcalloc(labels_count, sizeof(*copy));
    for (size_t i = 0; i < labels_count; i++) {
        copy[i] = (struct metric_label){cstr_copy(labels[i].name), cstr_copy(labels[i].value)};
    }
    m->name = cstr_copy(name);
    m->help = cstr_copy(help);
    m->kind = kind;
    m->labels = copy;
    m->labels_count = labels_count;
    return m;
}

/* Registered metrics live as long as the process: their pointers are kept all over. */
static struct metric *find_or_make(enum metric_kind kind, const char *name, const char *help,
                                   const struct metric_label *labels, size_t labels_count)
{
    ASSERT(labels_count <= LABELS_MAX);
    struct buf key = {0};
    buf_byte(&key, (uint8_t)kind);
    buf_put(&key, name, strlen(name) + 1);
    for (size_t i = 0; i < labels_count; i++) {
        buf_put(&key, labels[i].name, strlen(labels[i].name) + 1);
        buf_put(&key, labels[i].value, strlen(labels[i].value) + 1);
    }
    pthread_mutex_lock(&lock);
    struct metric *m = map_get(&labeled, buf_view(&key));
    if (m == NULL && labeled.n >= METRICS_LABELED_MAX) {
        m = &overflow[kind];
        register_locked(m);
    } else if (m == NULL) {
        m = labeled_new(kind, name, help, labels, labels_count);
        register_locked(m);
        map_put(&labeled, buf_view(&key), m);
    }
    pthread_mutex_unlock(&lock);
    buf_deinit(&key);
    return m;
}

struct metric *metric_labeled(enum metric_kind kind, const char *name,
                              const struct metric_label *labels, size_t labels_count)
{
    return find_or_make(kind, name, NULL, labels, labels_count);
}

void metric_declare(enum metric_kind kind, const char *name, const char *help)
{
    (void)find_or_make(kind, name, help, NULL, 0);
}

static struct metric_interval interval_take(struct metric *m)
{
    struct metric_interval taken = {.count = atomic_exchange(&m->count, 0)};
    if (m->kind == METRIC_KIND_GAUGE) {
        taken.sum = metric_value(atomic_load(&m->sum_bits)); /* stays until set anew */
    } else {
        taken.sum = metric_value(atomic_exchange(&m->sum_bits, 0));
        taken.sum_sq = metric_value(atomic_exchange(&m->sum_sq_bits, 0));
        taken.min = metric_value(atomic_exchange(&m->min_bits, 0));
        taken.max = metric_value(atomic_exchange(&m->max_bits, 0));
    }
    return taken;
}

void metrics_tick(int64_t wall_ns)
{
    pthread_mutex_lock(&lock);
    for (struct metric *m = state.first; m != NULL; m = m->next) {
        struct metric_history *h = m->history;
        h->finished = interval_take(m);
        h->total_count += h->finished.count;
        h->total_sum += h->finished.sum;
    }
    state.finished_ns = state.running_ns != 0 ? state.running_ns : interval_start(wall_ns);
    state.running_ns = interval_start(wall_ns);
    state.has_finished = true;
    atomic_fetch_add_explicit(&state.tick, 1, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
}

static void prefixes_copy(struct str **to, size_t *to_count, const struct str *from, size_t count)
{
    for (size_t i = 0; i < *to_count; i++) {
        mem_free((void *)(*to)[i].p);
    }
    mem_free(*to);
    *to = xcalloc(count, sizeof(**to));
    *to_count = count;
    for (size_t i = 0; i < count; i++) {
        (*to)[i] = str_make(str_to_cstr(from[i]), from[i].n);
    }
}

void metrics_configure(const struct metrics_options *options)
{
    pthread_mutex_lock(&lock);
    mem_free(state.prefix);
    mem_free(state.hostname);
    state.prefix = cstr_copy(options->prefix);
    state.hostname = cstr_copy(options->hostname);
    state.filter_deny_default = !options->filter_default;
    prefixes_copy(&state.allow, &state.allow_count, options->allow, options->allow_count);
    prefixes_copy(&state.deny, &state.deny_count, options->deny, options->deny_count);
    if (state.running_ns == 0) {
        state.running_ns = interval_start(clock_wall_ns());
    }
    pthread_mutex_unlock(&lock);
}
