#include "agent/telemetry.h"

#include <errno.h>
#include <unistd.h>

#include "agent/config.h"
#include "agent/process_metrics.h"
#include "agent/telemetry_names.h"
#include "agent/telemetry_sink.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "server/gauges.h"

#define SINKS_MAX 3u
#define HOSTNAME_SIZE 256u

struct telemetry {
    struct loop *loop;
    struct server *server; /* NULL on a client */
    struct arena strings;
    char hostname[HOSTNAME_SIZE]; /* "": none is known */
    bool has_hostname_in_gauges;
    struct loop_timer interval_timer, sample_timer, flush_timer;
    uint64_t samples;
    struct telemetry_sink *sinks[SINKS_MAX];
    uint32_t sinks_count;
};

/* --- the registry's options ------------------------------------------------------------------ */

static bool has_circonus(const struct config_telemetry *c)
{
    return c->circonus_api_token.n > 0 || c->circonus_submission_url.n > 0;
}

/* 1.10.3 puts the host's name into gauges only where metrics go to some sink, and counts
 * Prometheus' among them. */
static bool wants_hostname(const struct config_telemetry *c)
{
    bool has_sink = c->statsite_addr.n > 0 || c->statsd_addr.n > 0 || c->dogstatsd_addr.n > 0 ||
                    c->prometheus_retention_time > 0;
    return has_sink && !c->disable_hostname;
}

void telemetry_config_changed(struct telemetry *t, const struct agent_config *config)
{
    const struct config_telemetry *c = &config->telemetry;
    struct arena a = {0};
    metrics_configure(&(struct metrics_options){
        .prefix = arena_str(&a, c->metrics_prefix).p,
        .hostname = t->has_hostname_in_gauges ? t->hostname : NULL,
        .retention_ns = c->prometheus_retention_time,
        .filter_default = c->filter_default,
        .allow = c->allowed_prefixes.v,
        .allow_count = c->allowed_prefixes.n,
        .deny = c->blocked_prefixes.v,
        .deny_count = c->blocked_prefixes.n,
    });
    arena_deinit(&a);
}

/* --- timers ---------------------------------------------------------------------------------- */

static void interval_schedule(struct telemetry *t);

static void interval_due(struct loop_timer *timer)
{
    struct telemetry *t = container_of(timer, struct telemetry, interval_timer);
    metrics_tick(clock_wall_ns());
    interval_schedule(t);
}

/* Intervals end where the wall clock's tens of seconds do. */
static void interval_schedule(struct telemetry *t)
{
    loop_timer_start(t->loop, &t->interval_timer,
                     METRIC_INTERVAL_MS - clock_wall_ms() % METRIC_INTERVAL_MS, interval_due);
}

static void sample_due(struct loop_timer *timer)
{
    struct telemetry *t = container_of(timer, struct telemetry, sample_timer);
    process_metrics_update();
    if (t->server != NULL) {
        /* The tables are counted once in an interval, as in 1.10.3. */
        server_gauges_update(t->server, t->samples % (METRIC_INTERVAL_MS / TELEMETRY_SAMPLE_MS) ==
                                            METRIC_INTERVAL_MS / TELEMETRY_SAMPLE_MS - 1);
    }
    t->samples++;
    loop_timer_start(t->loop, &t->sample_timer, TELEMETRY_SAMPLE_MS, sample_due);
}

static void put_everywhere(void *data, const struct metric_update *update)
{
    const struct telemetry *t = data;
    for (uint32_t i = 0; i < t->sinks_count; i++) {
        telemetry_sink_put(t->sinks[i], update);
    }
}

static void telemetry_flush(struct telemetry *t)
{
    metrics_drain(put_everywhere, t);
    for (uint32_t i = 0; i < t->sinks_count; i++) {
        telemetry_sink_flush(t->sinks[i]);
    }
}

static void flush_due(struct loop_timer *timer)
{
    struct telemetry *t = container_of(timer, struct telemetry, flush_timer);
    telemetry_flush(t);
    loop_timer_start(t->loop, &t->flush_timer, TELEMETRY_FLUSH_MS, flush_due);
}

/* --- life ------------------------------------------------------------------------------------ */

static void sink_add(struct telemetry *t, enum telemetry_kind kind, struct str address,
                     const struct config_telemetry *c)
{
    if (address.n == 0) {
        return;
    }
    bool is_dog = kind == TELEMETRY_DOGSTATSD;
    bool has_host = is_dog || t->has_hostname_in_gauges;
    t->sinks[t->sinks_count++] =
        telemetry_sink_new(t->loop, &(struct telemetry_sink_options){
                                        .kind = kind,
                                        .address = address,
                                        .prefix = c->metrics_prefix,
                                        .hostname = has_host ? str_from_cstr(t->hostname) : STR(""),
                                        .tags = is_dog ? c->dogstatsd_tags.v : NULL,
                                        .tags_count = is_dog ? c->dogstatsd_tags.n : 0,
                                    });
}

static void version_set(void)
{
    static const struct metric_label labels[] = {{"version", CONSUL_VERSION}, {"pre_release", ""}};
    metric_set(metric_labeled(METRIC_KIND_GAUGE, "version", labels, ARRAY_SIZE(labels)), 1);
}

struct telemetry *telemetry_new(const struct agent_config *config, struct loop *l,
                                struct server *server)
{
    const struct config_telemetry *c = &config->telemetry;
    struct telemetry *t = xcalloc(1, sizeof(*t));
    t->loop = l;
    t->server = server;
    if (gethostname(t->hostname, sizeof(t->hostname) - 1) < 0) {
        t->hostname[0] = '\0';
    }
    t->has_hostname_in_gauges = wants_hostname(c) && t->hostname[0] != '\0';
    telemetry_config_changed(t, config);
    if (c->prometheus_retention_time > 0) {
        telemetry_declare_names();
    }
    if (has_circonus(c)) {
        log_write(LOG_WARN, "agent",
                  "telemetry.circonus_*: sending metrics to Circonus is not available yet, these "
                  "keys have no effect");
    }
    version_set();
    sink_add(t, TELEMETRY_STATSITE, c->statsite_addr, c);
    sink_add(t, TELEMETRY_STATSD, c->statsd_addr, c);
    sink_add(t, TELEMETRY_DOGSTATSD, c->dogstatsd_addr, c);
    interval_schedule(t);
    loop_timer_start(l, &t->sample_timer, TELEMETRY_SAMPLE_MS, sample_due);
    if (t->sinks_count > 0) {
        loop_timer_start(l, &t->flush_timer, TELEMETRY_FLUSH_MS, flush_due);
    }
    return t;
}

void telemetry_dump(const struct telemetry *t)
{
    (void)t;
    struct buf text = {0};
    metrics_dump(&text);
    for (size_t done = 0; done < text.n;) {
        ssize_t n = write(STDERR_FILENO, text.p + done, text.n - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            break; /* nobody to tell */
        }
    }
    buf_deinit(&text);
}

void telemetry_stop(struct telemetry *t)
{
    if (t->sinks_count > 0) {
        telemetry_flush(t); /* the last ones */
    }
    loop_timer_stop(t->loop, &t->interval_timer);
    loop_timer_stop(t->loop, &t->sample_timer);
    loop_timer_stop(t->loop, &t->flush_timer);
    for (uint32_t i = 0; i < t->sinks_count; i++) {
        telemetry_sink_stop(t->sinks[i]);
    }
}

struct telemetry *telemetry_free(struct telemetry *t)
{
    if (t != NULL) {
        for (uint32_t i = 0; i < t->sinks_count; i++) {
            t->sinks[i] = telemetry_sink_free(t->sinks[i]);
        }
        arena_deinit(&t->strings);
    }
    return mem_free(t);
}
