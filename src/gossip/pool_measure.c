/* What the cores count, as the metrics of memberlist and Serf. */
#include "gossip/pool_internal.h"

#include "base/metrics.h"

#include <stdio.h>

#define NAME_SIZE_MAX 160u

static struct metric measures[] = {
#define X(name, kind, metric) [SERF_MEASURE_##name] = METRIC_##kind(metric),
    SERF_MEASURES(X)
#undef X
};

static struct metric metric_udp_sent = METRIC_COUNTER("memberlist.udp.sent"),
                     metric_udp_received = METRIC_COUNTER("memberlist.udp.received"),
                     metric_tcp_accept = METRIC_COUNTER("memberlist.tcp.accept"),
                     metric_tcp_connect = METRIC_COUNTER("memberlist.tcp.connect"),
                     metric_tcp_sent = METRIC_COUNTER("memberlist.tcp.sent"),
                     metric_alive = METRIC_COUNTER("memberlist.msg.alive"),
                     metric_suspect = METRIC_COUNTER("memberlist.msg.suspect"),
                     metric_dead = METRIC_COUNTER("memberlist.msg.dead"),
                     metric_degraded_probe = METRIC_COUNTER("memberlist.degraded.probe"),
                     metric_degraded_timeout = METRIC_COUNTER("memberlist.degraded.timeout"),
                     metric_health = METRIC_GAUGE("memberlist.health.score");

/* Of a name that may be anything, what a sink of metrics can take. */
static void put_name(char *to, size_t size, const char *prefix, struct str name)
{
    int n = snprintf(to, size, "%s.%.*s", prefix, STRF(name));
    for (char *p = to + strlen(prefix); n > 0 && *p != '\0'; p++) {
        bool is_plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                        (*p >= '0' && *p <= '9') || strchr("._:-", *p) != NULL;
        *p = is_plain ? *p : '_';
    }
}

void pool_measure(void *data, enum serf_measure what, struct str name, double value)
{
    struct metric *m = &measures[what];
    (void)data;
    if (m->kind == METRIC_KIND_SAMPLE) {
        metric_observe(m, value);
    } else {
        metric_add(m, value);
    }
    if (name.n > 0) {
        char text[NAME_SIZE_MAX];
        put_name(text, sizeof(text), m->name, name);
        metric_add(metric_labeled(METRIC_KIND_COUNTER, text, NULL, 0), value);
    }
}

/* As often as there were messages, with their sizes in all. */
static void count(struct metric *m, uint64_t times, uint64_t before, uint64_t size)
{
    times -= before;
    for (uint64_t i = 0; i < times; i++) {
        uint64_t share = size / (times - i);
        metric_add(m, (double)share);
        size -= share;
    }
}

void pool_count_traffic(struct pool *p)
{
    const struct swim *swim = serf_swim(p->core);
    const struct swim_stats *now = swim_stats(swim);
    struct swim_stats *was = &p->counted;
    count(&metric_udp_sent, now->udp_sent, was->udp_sent,
          now->udp_sent_bytes - was->udp_sent_bytes);
    count(&metric_udp_received, now->udp_received, was->udp_received,
          now->udp_received_bytes - was->udp_received_bytes);
    if (now->tcp_sent_bytes > was->tcp_sent_bytes) {
        metric_add(&metric_tcp_sent, (double)(now->tcp_sent_bytes - was->tcp_sent_bytes));
    }
    const struct {
        struct metric *metric;
        uint64_t count;
    } events[] = {
        {&metric_tcp_accept, now->tcp_accept - was->tcp_accept},
        {&metric_tcp_connect, now->tcp_connect - was->tcp_connect},
        {&metric_alive, now->msg_alive - was->msg_alive},
        {&metric_suspect, now->msg_suspect - was->msg_suspect},
        {&metric_dead, now->msg_dead - was->msg_dead},
        {&metric_degraded_probe, now->degraded_probe - was->degraded_probe},
        {&metric_degraded_timeout, now->degraded_timeout - was->degraded_timeout},
    };
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        count(events[i].metric, events[i].count, 0, events[i].count);
    }
    uint32_t score = swim_health_score(swim);
    if (score != p->health_score) {
        metric_set(&metric_health, (double)score);
        p->health_score = score;
    }
    *was = *now;
}
