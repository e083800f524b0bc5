#include "test.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/metrics.h"

#define TICK_NS (METRIC_INTERVAL_MS * (int64_t)NS_PER_MS)

static struct metric counter = METRIC_COUNTER("test.counter");
static struct metric gauge = METRIC_GAUGE("test.gauge");
static struct metric sample = METRIC_SAMPLE("test.sample");

static int64_t now_ns = 1632769970 * (int64_t)NS_PER_SEC;

static void tick(void)
{
    now_ns += TICK_NS;
    metrics_tick(now_ns);
}

static void configure(const char *hostname, struct str allow, struct str deny, bool filter_default)
{
    metrics_configure(&(struct metrics_options){.prefix = "consul",
                                                .hostname = hostname,
                                                .filter_default = filter_default,
                                                .allow = &allow,
                                                .allow_count = allow.n > 0,
                                                .deny = &deny,
                                                .deny_count = deny.n > 0});
}

static int setup(void **state)
{
    (void)state;
    configure(NULL, STR(""), STR(""), true);
    tick(); /* nothing of the test before is left in the running interval */
    tick();
    return 0;
}

static void assert_json(struct str want)
{
    struct buf b = {0};
    metrics_render_json(&b);
    assert_str_equal(buf_view(&b), want);
    buf_deinit(&b);
}

static bool prom_has(struct str text)
{
    struct buf b = {0};
    metrics_render_prometheus(&b);
    bool has = str_contains(buf_view(&b), text);
    buf_deinit(&b);
    return has;
}

static void test_json_of_an_interval(void **state)
{
    (void)state;
    metric_add(&counter, 1);
    metric_add(&counter, 4);
    metric_set(&gauge, 7);
    metric_set(&gauge, 0.1);
    metric_observe(&sample, 0);
    metric_observe(&sample, -2);
    tick();
    assert_json(
        STR("{\"Timestamp\":\"2021-09-27 19:13:10 +0000 UTC\","
            "\"Gauges\":[{\"Name\":\"consul.test.gauge\",\"Value\":0.1,\"Labels\":{}}],"
            "\"Points\":[],"
            "\"Counters\":[{\"Name\":\"consul.test.counter\",\"Count\":2,\"Rate\":0.5,\"Sum\":5,"
            "\"Min\":1,\"Max\":4,\"Mean\":2.5,\"Stddev\":2.1213203435596424,\"Labels\":{}}],"
            "\"Samples\":[{\"Name\":\"consul.test.sample\",\"Count\":2,\"Rate\":-0.2,\"Sum\":-2,"
            "\"Min\":-2,\"Max\":0,\"Mean\":-1,\"Stddev\":1.4142135623730951,\"Labels\":{}}]}"));
    tick();
    assert_json(STR("{\"Timestamp\":\"2021-09-27 19:13:20 +0000 UTC\",\"Gauges\":[],\"Points\":[],"
                    "\"Counters\":[],\"Samples\":[]}"));
}

static void test_labels_are_copied_and_sorted(void **state)
{
    (void)state;
    char value[] = "a b";
    struct metric_label labels[] = {{"zone", "x\"y"}, {"name", value}};
    struct metric *m = metric_labeled(METRIC_KIND_COUNTER, "test.labels", labels, 2);
    assert_ptr_equal(metric_labeled(METRIC_KIND_COUNTER, "test.labels", labels, 2), m);
    value[0] = 'q';
    assert_ptr_not_equal(metric_labeled(METRIC_KIND_COUNTER, "test.labels", labels, 2), m);
    metric_add(m, 1);
    tick();
    struct buf b = {0};
    metrics_render_json(&b);
    assert_true(
        str_contains(buf_view(&b), STR("\"Labels\":{\"name\":\"a b\",\"zone\":\"x\\\"y\"}")));
    buf_deinit(&b);
    assert_true(prom_has(STR("\nconsul_test_labels{name=\"a b\",zone=\"x\\\"y\"} 1\n"
                             "consul_test_labels{name=\"q b\",zone=\"x\\\"y\"} 0\n")));
}

static void test_hostname_is_not_in_declared_names(void **state)
{
    (void)state;
    metric_declare(METRIC_KIND_GAUGE, "test.declared.gauge", NULL);
    static struct metric m = METRIC_GAUGE("test.declared.gauge");
    metric_set(&m, 3);
    assert_true(prom_has(STR("consul_test_declared_gauge 3\n")));
    configure("box", STR(""), STR(""), true);
    assert_true(prom_has(STR("consul_box_test_declared_gauge 3\n")));
    assert_true(prom_has(STR("consul_test_declared_gauge 0\n")));
}

static void test_hostname_goes_into_gauges(void **state)
{
    (void)state;
    configure("box", STR(""), STR(""), true);
    metric_set(&gauge, 3);
    metric_add(&counter, 1);
    tick();
    struct buf b = {0};
    metrics_render_json(&b);
    assert_true(str_contains(buf_view(&b), STR("\"consul.box.test.gauge\"")));
    assert_true(str_contains(buf_view(&b), STR("\"consul.test.counter\"")));
    buf_deinit(&b);
}

static void test_filter(void **state)
{
    (void)state;
    metric_set(&gauge, 3);
    metric_add(&counter, 1);
    configure(NULL, STR("consul.test.g"), STR("consul.test"), true);
    assert_true(prom_has(STR("consul_test_gauge 3")));
    assert_false(prom_has(STR("consul_test_counter")));
    configure(NULL, STR(""), STR("consul.test.gauge"), false);
    assert_false(prom_has(STR("consul_test")));
    configure(NULL, STR("consul.test"), STR("consul.test"), true); /* deny wins */
    assert_false(prom_has(STR("consul_test")));
}

static void test_prometheus(void **state)
{
    (void)state;
    static struct metric s = METRIC_SAMPLE("prom.time-ms"), c = METRIC_COUNTER("prom.count");
    for (int i = 1; i <= 100; i++) {
        metric_observe(&s, i);
        metric_add(&c, 1e6);
        if (i == 50) {
            tick();
        }
    }
    assert_true(prom_has(STR("# HELP consul_prom_count consul_prom_count\n"
                             "# TYPE consul_prom_count counter\nconsul_prom_count 1e+08\n")));
    assert_true(prom_has(STR("# TYPE consul_prom_time_ms summary\n"
                             "consul_prom_time_ms{quantile=\"0.5\"} 50\n"
                             "consul_prom_time_ms{quantile=\"0.9\"} 90\n"
                             "consul_prom_time_ms{quantile=\"0.99\"} 99\n"
                             "consul_prom_time_ms_sum 5050\nconsul_prom_time_ms_count 100\n")));
    tick();
    tick(); /* what was observed is too old for quantiles, but still in the totals */
    assert_true(prom_has(STR("consul_prom_time_ms{quantile=\"0.99\"} NaN\n"
                             "consul_prom_time_ms_sum 5050\n")));
}

static void test_declared_and_doubled(void **state)
{
    (void)state;
    metric_declare(METRIC_KIND_COUNTER, "test.declared", "What it\ncounts");
    assert_true(prom_has(STR("# HELP consul_test_declared What it\\ncounts\n"
                             "# TYPE consul_test_declared counter\nconsul_test_declared 0\n")));
    static struct metric one = METRIC_COUNTER("test.declared"),
                         two = METRIC_COUNTER("test.declared");
    metric_add(&one, 2);
    metric_add(&two, 3);
    assert_true(prom_has(STR("# HELP consul_test_declared What it\\ncounts\n"
                             "# TYPE consul_test_declared counter\nconsul_test_declared 5\n#")));
}

static void *update_many(void *data)
{
    for (int i = 0; i < 5000; i++) {
        metric_observe(data, 1);
        metric_add(&counter, 1);
    }
    return NULL;
}

static void test_no_update_is_lost(void **state)
{
    (void)state;
    static struct metric m = METRIC_SAMPLE("test.threads");
    pthread_t threads[3];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, update_many, &m), 0);
    }
    for (int i = 0; i < 20; i++) {
        tick();
        assert_true(prom_has(STR("consul_test_gauge")));
    }
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(prom_has(STR("consul_test_threads_sum 15000\nconsul_test_threads_count 15000\n")));
}

/* --- draining -------------------------------------------------------------------------------- */

static struct buf told;

static void tell(void *data, const struct metric_update *u)
{
    assert_ptr_equal(data, &told);
    buf_printf(&told, "%s=%g", u->metric->name, u->value);
    if (u->rate < 1) {
        buf_printf(&told, "@%g", u->rate);
    }
    buf_byte(&told, ' ');
}

static struct str drain(void)
{
    buf_clear(&told);
    metrics_drain(tell, &told);
    return buf_view(&told);
}

static int drained_setup(void **state)
{
    (void)setup(state);
    (void)drain();
    return 0;
}

static void test_drain_tells_each_update_once(void **state)
{
    (void)state;
    assert_str_equal(drain(), STR(""));
    metric_add(&counter, 2);
    metric_add(&counter, 3);
    metric_set(&gauge, 1);
    metric_set(&gauge, 8);
    metric_observe(&sample, 4);
    metric_observe(&sample, 5);
    struct str got = drain();
    assert_true(str_contains(got, STR("test.counter=5 ")));
    assert_true(str_contains(got, STR("test.gauge=8 ")));
    assert_true(str_contains(got, STR("test.sample=4 test.sample=5 ")));
    assert_str_equal(drain(), STR(""));
    /* The end of an interval is no update, and takes nothing away. */
    metric_add(&counter, 1);
    metric_set(&gauge, 8);
    metric_observe(&sample, 6);
    tick();
    got = drain();
    assert_true(str_contains(got, STR("test.counter=1 ")));
    assert_true(str_contains(got, STR("test.gauge=8 ")));
    assert_true(str_contains(got, STR("test.sample=6 ")));
    tick();
    assert_str_equal(drain(), STR(""));
}

static void test_drain_of_a_long_burst(void **state)
{
    (void)state;
    for (int i = 0; i < 1280; i++) {
        metric_observe(&sample, i);
    }
    struct str got = drain();
    assert_true(str_has_prefix(got, STR("test.sample=1152@0.1 test.sample=1153@0.1 ")));
    assert_true(str_contains(got, STR("test.sample=1279@0.1 ")));
    metric_observe(&sample, 7);
    assert_str_equal(drain(), STR("test.sample=7 "));
}

static void test_drain_is_filtered(void **state)
{
    (void)state;
    configure(NULL, STR(""), STR("consul.test.c"), true);
    metric_add(&counter, 1);
    metric_set(&gauge, 2);
    assert_str_equal(drain(), STR("test.gauge=2 "));
    configure(NULL, STR(""), STR(""), true);
    assert_str_equal(drain(), STR("")); /* what was filtered out does not come later */
}

static void test_steady_gauge(void **state)
{
    (void)state;
    static struct metric steady = METRIC_GAUGE_STEADY("test.steady");
    metric_set(&steady, 3);
    tick();
    (void)drain();
    tick();
    assert_str_equal(drain(), STR("test.steady=3 "));
    struct buf b = {0};
    metrics_render_json(&b);
    assert_true(str_contains(buf_view(&b), STR("{\"Name\":\"consul.test.steady\",\"Value\":3")));
    buf_deinit(&b);
    metric_set(&steady, 4);
    tick();
    assert_str_equal(drain(), STR("test.steady=4 "));
}

static void test_dump(void **state)
{
    (void)state;
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    for (unsigned i = 0; i < METRIC_INTERVALS_KEPT; i++) {
        tick(); /* an old interval falls out */
    }
    metric_add(&counter, 2);
    metric_set(&gauge, 0.5);
    tick();
    const struct metric_label labels[] = {{"a", "x y"}, {"b", ":z"}};
    struct metric *m = metric_labeled(METRIC_KIND_SAMPLE, "test.dumped", labels, 2);
    metric_observe(m, 1);
    metric_observe(m, 3);
    tick();
    struct civil t = time_civil(now_ns - 2 * TICK_NS);
    struct buf b = {0};
    metrics_dump(&b);
    struct arena a = {0};
    struct str start = arena_printf(&a, "[%04d-%02d-%02d %02d:%02d:%02d +0000 UTC]", t.year,
                                    t.month, t.day, t.hour, t.minute, t.second);
    struct str got = buf_view(&b);
    assert_true(
        str_contains(got, arena_printf(&a, "%.*s[G] 'consul.test.gauge': 0.500\n", STRF(start))));
    assert_true(
        str_contains(got, arena_printf(&a, "%.*s[C] 'consul.test.counter': Count: 1 Sum: 2.000\n",
                                       STRF(start))));
    assert_true(str_contains(
        got, STR("[S] 'consul.test.dumped.x_y._z': Count: 2 Min: 1.000 Mean: 2.000 Max: 3.000 "
                 "Stddev: 1.414 Sum: 4.000\n")));
    arena_deinit(&a);
    buf_deinit(&b);
}

static void test_prometheus_forgets(void **state)
{
    (void)state;
    const struct metric_label label = {"k", "v"};
    struct metric *m = metric_labeled(METRIC_KIND_COUNTER, "test.forget", &label, 1);
    static struct metric known = METRIC_COUNTER("test.remember");
    metric_declare(METRIC_KIND_COUNTER, "test.remember", NULL);
    metrics_configure(&(struct metrics_options){
        .prefix = "consul", .filter_default = true, .retention_ns = 2 * TICK_NS});
    metric_add(m, 5);
    metric_add(&known, 6);
    tick();
    tick();
    assert_true(prom_has(STR("consul_test_forget{k=\"v\"} 5\n")));
    tick();
    (void)drain();
    assert_false(prom_has(STR("consul_test_forget")));
    assert_true(prom_has(STR("consul_test_remember 6\n")));
    metric_add(m, 1); /* it begins anew */
    assert_true(prom_has(STR("consul_test_forget{k=\"v\"} 1\n")));
    assert_str_equal(drain(), STR("test.forget=1 "));
}

/* Last: it fills the table. */
static void test_labelled_metrics_are_bounded(void **state)
{
    (void)state;
    struct metric *last = NULL, *m = NULL;
    for (unsigned i = 0; i < METRICS_LABELED_MAX + 10; i++) {
        char value[12];
        struct metric_label label = {"n", value};
        for (unsigned k = 0, n = i; k < sizeof(value); k++, n /= 10) {
            value[k] = (char)(k + 1 < sizeof(value) ? '0' + n % 10 : 0);
        }
        last = m;
        m = metric_labeled(METRIC_KIND_SAMPLE, "test.many", &label, 1);
    }
    assert_ptr_equal(m, last);
    metric_observe(m, 1);
    assert_true(prom_has(STR("consul_metrics_overflow_sample_count 1\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_json_of_an_interval, setup),
        cmocka_unit_test_setup(test_labels_are_copied_and_sorted, setup),
        cmocka_unit_test_setup(test_hostname_goes_into_gauges, setup),
        cmocka_unit_test_setup(test_hostname_is_not_in_declared_names, setup),
        cmocka_unit_test_setup(test_filter, setup),
        cmocka_unit_test_setup(test_prometheus, setup),
        cmocka_unit_test_setup(test_declared_and_doubled, setup),
        cmocka_unit_test_setup(test_no_update_is_lost, setup),
        cmocka_unit_test_setup(test_drain_tells_each_update_once, drained_setup),
        cmocka_unit_test_setup(test_drain_of_a_long_burst, drained_setup),
        cmocka_unit_test_setup(test_drain_is_filtered, drained_setup),
        cmocka_unit_test_setup(test_steady_gauge, drained_setup),
        cmocka_unit_test_setup(test_dump, setup),
        cmocka_unit_test_setup(test_prometheus_forgets, drained_setup),
        cmocka_unit_test_setup(test_labelled_metrics_are_bounded, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_deinit(&told);
    return failed;
}
