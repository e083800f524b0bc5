#include "test.h"

#include "base/metrics_lines.h"

static struct buf sent; /* packets, each in brackets */

static void send_packet(void *data, struct str packet)
{
    assert_ptr_equal(data, &sent);
    buf_printf(&sent, "[%.*s]", STRF(packet));
}

static struct metrics_lines lines;

static void start(enum metrics_format format, size_t size_max, const char *host,
                  const struct str *tags, size_t tags_count)
{
    metrics_lines_init(&lines, &(struct metrics_lines_options){.format = format,
                                                               .packet_size_max = size_max,
                                                               .prefix = STR("consul"),
                                                               .hostname = str_from_cstr(host),
                                                               .tags = tags,
                                                               .tags_count = tags_count,
                                                               .send = send_packet,
                                                               .data = &sent});
}

static void put(const struct metric *m, double value, double rate)
{
    metrics_lines_put(&lines, &(struct metric_update){.metric = m, .value = value, .rate = rate});
}

static int teardown(void **state)
{
    (void)state;
    metrics_lines_deinit(&lines);
    buf_deinit(&sent);
    return 0;
}

static const struct metric_label labels[] = {{"method", "GET"}, {"path", "v1:kv x\ny"}};
static const struct metric_label empty_label[] = {{"pre release", ""}};
static const struct metric counter = METRIC_COUNTER("rpc.query");
static const struct metric gauge = METRIC_GAUGE("raft.peers");
static const struct metric sample = {
    .name = "api.http", .kind = METRIC_KIND_SAMPLE, .labels = labels, .labels_count = 2};
static const struct metric version = {
    .name = "version", .kind = METRIC_KIND_GAUGE, .labels = empty_label, .labels_count = 1};

/* The forms that 1.10.3 was seen to send. */
static void test_statsd(void **state)
{
    (void)state;
    start(METRICS_STATSD, STATSD_PACKET_SIZE_MAX, "my box", NULL, 0);
    put(&counter, 3, 1);
    put(&gauge, 1, 1);
    put(&sample, 0.25, 1);
    put(&sample, 1e6, 0.1);
    put(&version, 1, 1);
    assert_int_equal(sent.n, 0);
    metrics_lines_flush(&lines);
    assert_str_equal(buf_view(&sent), STR("[consul.rpc.query:3.000000|c\n"
                                          "consul.my_box.raft.peers:1.000000|g\n"
                                          "consul.api.http.GET.v1_kv_x_y:0.250000|ms\n"
                                          "consul.api.http.GET.v1_kv_x_y:1000000.000000|ms|@0.1\n"
                                          "consul.my_box.version.:1.000000|g\n]"));
    metrics_lines_flush(&lines); /* nothing more */
    assert_true(str_has_suffix(buf_view(&sent), STR("|g\n]")));
}

static void test_dogstatsd(void **state)
{
    (void)state;
    const struct str tags[] = {STR("env:test"), STR("so\nlo")};
    start(METRICS_DOGSTATSD, DOGSTATSD_PACKET_SIZE_MAX, "box", tags, 2);
    put(&counter, 3, 1);
    put(&gauge, 1.5, 1);
    put(&sample, 0.25, 0.5);
    put(&version, 1, 1);
    metrics_lines_flush(&lines);
    assert_str_equal(
        buf_view(&sent),
        STR("[consul.rpc.query:3|c|#env:test,solo\n"
            "consul.raft.peers:1.5|g|#env:test,solo\n"
            "consul.api.http:0.250000|ms|@0.5|#env:test,solo,method:GET,path:v1_kv_x_y\n"
            "consul.version:1|g|#env:test,solo,pre_release]"));
}

static void test_dogstatsd_without_tags(void **state)
{
    (void)state;
    start(METRICS_DOGSTATSD, DOGSTATSD_PACKET_SIZE_MAX, "", NULL, 0);
    put(&counter, 3, 1);
    put(&version, 1, 1);
    metrics_lines_flush(&lines);
    assert_str_equal(buf_view(&sent),
                     STR("[consul.rpc.query:3|c\nconsul.version:1|g|#pre_release]"));
}

/* The reference's way: the first part of the name that is the host's goes. */
static void test_dogstatsd_takes_the_host_out(void **state)
{
    (void)state;
    start(METRICS_DOGSTATSD, DOGSTATSD_PACKET_SIZE_MAX, "rpc", NULL, 0);
    put(&counter, 1, 1);
    metrics_lines_flush(&lines);
    metrics_lines_deinit(&lines);
    start(METRICS_DOGSTATSD, DOGSTATSD_PACKET_SIZE_MAX, "consul", NULL, 0);
    put(&counter, 1, 1);
    metrics_lines_flush(&lines);
    assert_str_equal(buf_view(&sent), STR("[consul.query:1|c][rpc.query:1|c]"));
}

static void test_packets_are_full_and_no_fuller(void **state)
{
    (void)state;
    size_t line = strlen("consul.rpc.query:1.000000|c\n");
    start(METRICS_STATSD, 2 * line, "", NULL, 0);
    for (int i = 0; i < 5; i++) {
        put(&counter, 1, 1);
    }
    assert_int_equal(sent.n, 2 * (2 * line + 2));
    metrics_lines_flush(&lines);
    assert_int_equal(sent.n, 2 * (2 * line + 2) + line + 2);
    assert_str_equal(str_from(buf_view(&sent), sent.n - line - 3),
                     STR("][consul.rpc.query:1.000000|c\n]"));
}

static void test_a_line_longer_than_a_packet(void **state)
{
    (void)state;
    start(METRICS_STATSD, 20, "", NULL, 0);
    put(&counter, 1, 1);
    put(&gauge, 1, 1);
    metrics_lines_flush(&lines);
    assert_str_equal(buf_view(&sent),
                     STR("[consul.rpc.query:1.000000|c\n][consul.raft.peers:1.000000|g\n]"));
    buf_clear(&sent);
    metrics_lines_deinit(&lines);
    start(METRICS_DOGSTATSD, 20, "", NULL, 0);
    put(&gauge, 123456, 1); /* too long: dropped, and what comes after is not */
    put(&counter, 1, 1);
    put(&counter, 2, 1);
    metrics_lines_flush(&lines);
    assert_str_equal(buf_view(&sent), STR("[consul.rpc.query:1|c][consul.rpc.query:2|c]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_statsd, teardown),
        cmocka_unit_test_teardown(test_dogstatsd, teardown),
        cmocka_unit_test_teardown(test_dogstatsd_without_tags, teardown),
        cmocka_unit_test_teardown(test_dogstatsd_takes_the_host_out, teardown),
        cmocka_unit_test_teardown(test_packets_are_full_and_no_fuller, teardown),
        cmocka_unit_test_teardown(test_a_line_longer_than_a_packet, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
