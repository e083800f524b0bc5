/* The updating side and the registry; metrics_rows.c and its readers print. An update is a handful
 * of atomic operations on the metric itself. The registry's lock guards the list of metrics, their
 * history and the options. */
#include "base/metrics.h"

#include <pthread.h>

#include "base/arena.h"
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

/* What a metric is found by: kind, name and labels. */
static struct str key_of(struct buf *to, enum metric_kind kind, const char *name,
                         const struct metric_label *labels, size_t labels_count)
{
    buf_byte(to, (uint8_t)kind);
    buf_put(to, name, strlen(name) + 1);
    for (size_t i = 0; i < labels_count; i++) {
        buf_put(to, labels[i].name, strlen(labels[i].name) + 1);
        buf_put(to, labels[i].value, strlen(labels[i].value) + 1);
    }
    return buf_view(to);
}

/* A static metric, of a name that was declared before. */
static bool is_declared(const struct metric *m)
{
    struct buf key = {0};
    const struct metric *found =
        map_get(&labeled, key_of(&key, m->kind, m->name, m->labels, m->labels_count));
    buf_deinit(&key);
    return found != NULL && found->history->is_declared;
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
    m->history->is_declared = is_declared(m);
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
}

void metric_add(struct metric *m, double value)
{
    metric_register(m);
    DASSERT(m->kind == METRIC_KIND_COUNTER);
    if (value == 1) {
        atomic_fetch_add_explicit(&m->ones, 1, memory_order_relaxed);
    } else {
        ingest(m, (double)(float)value);
        atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
    }
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
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof(bits));
    atomic_store_explicit(&m->history->recent[number % METRIC_RECENT_COUNT],
                          (uint64_t)(number + 1) << 32 | bits, memory_order_relaxed);
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
    struct buf text = {0};
    struct str key = key_of(&text, kind, name, labels, labels_count);
    pthread_mutex_lock(&lock);
    struct metric *m = map_get(&labeled, key);
    if (m == NULL && labeled.n >= METRICS_LABELED_MAX) {
        m = &overflow[kind];
        register_locked(m);
    } else if (m == NULL) {
        m = labeled_new(kind, name, help, labels, labels_count);
        register_locked(m);
        map_put(&labeled, key, m);
    }
    pthread_mutex_unlock(&lock);
    buf_deinit(&text);
    return m;
}

struct metric *metric_labeled(enum metric_kind kind, const char *name,
                              const struct metric_label *labels, size_t labels_count)
{
    return find_or_make(kind, name, NULL, labels, labels_count);
}

void metric_declare(enum metric_kind kind, const char *name, const char *help)
{
    struct metric *declared = find_or_make(kind, name, help, NULL, 0);
    pthread_mutex_lock(&lock);
    declared->is_placeholder = true;
    for (struct metric *m = state.first; m != NULL; m = m->next) {
        if (m == declared ||
            (m->kind == kind && m->labels_count == 0 && strcmp(m->name, name) == 0)) {
            m->history->is_declared = true;
        }
    }
    pthread_mutex_unlock(&lock);
}

static uint64_t count_take(struct metric *m)
{
    struct metric_history *h = m->history;
    if (m->kind != METRIC_KIND_SAMPLE) {
        return atomic_exchange(&m->count, 0);
    }
    h->recent_finished = h->recent_running;
    h->recent_running = atomic_load_explicit(&h->recent_next, memory_order_relaxed);
    return h->recent_running - h->recent_finished;
}

static struct metric_interval interval_take(struct metric *m)
{
    struct metric_interval taken = {.count = count_take(m)};
    if (m->kind == METRIC_KIND_GAUGE) {
        taken.sum = metric_value(atomic_load(&m->sum_bits)); /* stays until set anew */
        if (m->is_steady && taken.count == 0 && m->history->total_count > 0) {
            taken.count = 1;
        }
    } else {
        taken.sum = metric_value(atomic_exchange(&m->sum_bits, 0));
        taken.sum_sq = metric_value(atomic_exchange(&m->sum_sq_bits, 0));
        taken.min = metric_value(atomic_exchange(&m->min_bits, 0));
        taken.max = metric_value(atomic_exchange(&m->max_bits, 0));
        metric_interval_add_ones(&taken, atomic_exchange(&m->ones, 0));
    }
    return taken;
}

/* What is updated no more is forgotten, and begins at nothing when it comes back. */
static void forget_or_keep(const struct metric *m, bool was_updated, int64_t now_ns)
{
    struct metric_history *h = m->history;
    if (was_updated) {
        h->updated_ns = now_ns;
        h->is_forgotten = false;
    } else if (state.retention_ns > 0 && !h->is_forgotten && !metric_is_kept(&state, m) &&
               now_ns - h->updated_ns >= state.retention_ns) {
        h->is_forgotten = true;
        h->forgotten_count = h->total_count;
        h->forgotten_sum = h->total_sum;
    }
}

static void metric_tick(struct metric *m, uint32_t slot, int64_t now_ns)
{
    struct metric_history *h = m->history;
    struct metric_interval *finished = &h->finished[slot];
    *finished = interval_take(m);
    h->total_count += finished->count;
    h->total_sum += finished->sum;
    forget_or_keep(m, finished->count > 0, now_ns);
}

void metrics_tick(int64_t wall_ns)
{
    pthread_mutex_lock(&lock);
    uint32_t slot = state.ticks % METRIC_INTERVALS_KEPT;
    for (struct metric *m = state.first; m != NULL; m = m->next) {
        metric_tick(m, slot, wall_ns);
    }
    state.finished_ns[slot] = state.running_ns != 0 ? state.running_ns : interval_start(wall_ns);
    state.running_ns = interval_start(wall_ns);
    state.ticks++;
    pthread_mutex_unlock(&lock);
}

/* --- what came since the last time ---------------------------------------------------------- */

struct drain {
    metric_update_fn fn;
    void *data;
    const struct metric *looked_at; /* is_allowed is of this one */
    bool is_allowed;
    struct arena arena;
};

/* The name is put together only for what has something to tell. */
static void tell(struct drain *d, const struct metric_update *update)
{
    if (d->looked_at != update->metric) {
        d->looked_at = update->metric;
        d->is_allowed = metric_is_allowed(&state, update->metric, &d->arena);
        arena_reset(&d->arena);
    }
    if (d->is_allowed) {
        d->fn(d->data, update);
    }
}

static void drain_gauge(struct metric *m, struct drain *d)
{
    struct metric_history *h = m->history;
    uint64_t count = h->total_count + atomic_load_explicit(&m->count, memory_order_relaxed);
    if (count != h->drained_count) {
        h->drained_count = count;
        double value = metric_value(atomic_load_explicit(&m->sum_bits, memory_order_relaxed));
        tell(d, &(struct metric_update){.metric = m, .value = value, .rate = 1});
    }
}

/* What is counted but not yet in the sum, or the other way round, comes with the next time. */
static void drain_counter(struct metric *m, struct drain *d)
{
    struct metric_history *h = m->history;
    uint64_t ones = atomic_load_explicit(&m->ones, memory_order_relaxed);
    uint64_t count = h->total_count + ones + atomic_load_explicit(&m->count, memory_order_relaxed);
    double sum = h->total_sum + (double)ones +
                 metric_value(atomic_load_explicit(&m->sum_bits, memory_order_relaxed));
    if (count != h->drained_count || sum != h->drained_sum) {
        double since = sum - h->drained_sum;
        h->drained_count = count;
        h->drained_sum = sum;
        tell(d, &(struct metric_update){.metric = m, .value = since, .rate = 1});
    }
}

static void drain_sample(struct metric *m, struct drain *d)
{
    struct metric_history *h = m->history;
    uint32_t next = atomic_load_explicit(&h->recent_next, memory_order_relaxed);
    uint32_t all = next - h->drained_recent, kept = MIN(all, METRIC_RECENT_COUNT);
    struct metric_update update = {.metric = m, .rate = (double)kept / (double)all};
    for (uint32_t number = next - kept; number != next; number++) {
        uint64_t packed =
            atomic_load_explicit(&h->recent[number % METRIC_RECENT_COUNT], memory_order_relaxed);
        int32_t ahead = (int32_t)((uint32_t)(packed >> 32) - (number + 1));
        if (ahead < 0) {
            next = number; /* it is just being written */
            break;
        }
        if (ahead == 0) {
            uint32_t bits = (uint32_t)packed;
            float value;
            memcpy(&value, &bits, sizeof(value));
            update.value = (double)value;
            tell(d, &update);
        }
    }
    h->drained_recent = next;
}

void metrics_drain(metric_update_fn fn, void *data)
{
    static void (*const drains[])(struct metric * m, struct drain * d) = {
        [METRIC_KIND_COUNTER] = drain_counter,
        [METRIC_KIND_GAUGE] = drain_gauge,
        [METRIC_KIND_SAMPLE] = drain_sample,
    };
    struct drain d = {.fn = fn, .data = data};
    pthread_mutex_lock(&lock);
    for (struct metric *m = state.first; m != NULL; m = m->next) {
        drains[m->kind](m, &d);
    }
    pthread_mutex_unlock(&lock);
    arena_deinit(&d.arena);
}

/* --- options -------------------------------------------------------------------------------- */

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
    state.retention_ns = options->retention_ns;
    state.filter_deny_default = !options->filter_default;
    prefixes_copy(&state.allow, &state.allow_count, options->allow, options->allow_count);
    prefixes_copy(&state.deny, &state.deny_count, options->deny, options->deny_count);
    if (state.running_ns == 0) {
        state.running_ns = interval_start(clock_wall_ns());
    }
    pthread_mutex_unlock(&lock);
}
