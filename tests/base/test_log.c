#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"

static void keep(void *data, enum log_level level, struct str line)
{
    (void)level;
    buf_str(data, line);
}

/* The kept lines without their times, which are checked for their form. */
static struct str without_time(struct buf *kept)
{
    struct str s = buf_view(kept);
    assert_true(s.n > 25);
    assert_int_equal(s.p[4], '-');
    assert_int_equal(s.p[10], 'T');
    assert_int_equal(s.p[19], '.');
    assert_int_equal(s.p[23], 'Z');
    return str_from(s, 25);
}

static void test_plain_lines(void **state)
{
    (void)state;
    struct buf kept = {0};
    struct log_sink *sink = log_sink_add(LOG_TRACE, false, keep, &kept);
    log_write(LOG_INFO, "agent.server", "New leader elected", LOG_CSTR("payload", "node1"));
    assert_str_lit(without_time(&kept),
                   "[INFO]  agent.server: New leader elected: payload=node1\n");
    buf_clear(&kept);
    log_write(LOG_WARN, "agent", "plain");
    assert_str_lit(without_time(&kept), "[WARN]  agent: plain\n");
    buf_clear(&kept);
    log_write(LOG_ERROR, "", "no module", LOG_INT("i", -5), LOG_UINT("u", UINT64_MAX),
              LOG_F64("f", 0.5), LOG_BOOL("b", true));
    assert_str_lit(without_time(&kept),
                   "[ERROR] no module: i=-5 u=18446744073709551615 f=0.5 b=true\n");
    buf_clear(&kept);
    log_write(LOG_DEBUG, "m", "values", LOG_CSTR("empty", ""), LOG_CSTR("space", "a b"),
              LOG_CSTR("quote", "a\"b"), LOG_CSTR("lines", "a\nb\r"));
    assert_str_lit(without_time(&kept),
                   "[DEBUG] m: values: empty= space=\"a b\" quote=a\"b lines=\"a\\nb\\r\"\n");
    buf_clear(&kept);
    log_write(LOG_TRACE, "m", "t");
    assert_str_lit(without_time(&kept), "[TRACE] m: t\n");
    log_sink_remove(sink);
    buf_deinit(&kept);
}

static void test_json_lines(void **state)
{
    (void)state;
    struct buf kept = {0};
    struct log_sink *sink = log_sink_add(LOG_INFO, true, keep, &kept);
    log_write(LOG_INFO, "agent", "<hello>", LOG_CSTR("zebra", "a \"b\"\n"), LOG_INT("Alpha", 1),
              LOG_INT("zebra", 2));
    struct str s = buf_view(&kept), start, end;
    start = STR("{\"@level\":\"info\",\"@message\":\"\\u003chello\\u003e\",\"@module\":\"agent\","
                "\"@timestamp\":\"");
    end = STR("Z\",\"Alpha\":1,\"zebra\":2}\n");
    assert_true(str_has_prefix(s, start));
    assert_true(str_has_suffix(s, end));
    assert_int_equal(s.n, start.n + sizeof("2006-01-02T15:04:05.000000") - 1 + end.n);
    log_sink_remove(sink);
    buf_deinit(&kept);
}

static void test_zone(void **state)
{
    (void)state;
    struct buf kept = {0};
    setenv("TZ", "XXX-05:30", 1); /* POSIX: west is positive */
    tzset();
    struct log_sink *plain = log_sink_add(LOG_INFO, false, keep, &kept);
    log_write(LOG_INFO, "m", "x");
    assert_str_lit(str_from(buf_view(&kept), 23), "+0530 [INFO]  m: x\n");
    log_sink_remove(plain);
    buf_clear(&kept);
    struct log_sink *json = log_sink_add(LOG_INFO, true, keep, &kept);
    log_write(LOG_INFO, "m", "x");
    assert_true(str_has_suffix(buf_view(&kept), STR("+05:30\"}\n")));
    log_sink_remove(json);
    setenv("TZ", "UTC", 1);
    tzset();
    buf_deinit(&kept);
}

static int evaluated;

static int count_evaluation(void)
{
    return ++evaluated;
}

static void test_levels(void **state)
{
    (void)state;
    struct buf low = {0}, high = {0};
    enum log_level level = LOG_OFF;
    assert_false(log_is_on(LOG_ERROR));
    struct log_sink *a = log_sink_add(LOG_DEBUG, false, keep, &low);
    struct log_sink *b = log_sink_add(LOG_ERROR, false, keep, &high);
    assert_true(log_is_on(LOG_DEBUG));
    log_write(LOG_TRACE, "m", "x", LOG_INT("n", count_evaluation()));
    assert_int_equal(evaluated, 0);
    log_write(LOG_INFO, "m", "x");
    assert_true(low.n > 0);
    assert_int_equal(high.n, 0);
    log_sink_set_level(a, LOG_OFF);
    assert_false(log_is_on(LOG_WARN));
    log_write(LOG_ERROR, "m", "y");
    assert_true(str_has_suffix(buf_view(&low), STR("x\n")));
    assert_true(high.n > 0);
    log_sink_remove(a);
    log_sink_remove(b);
    assert_ok(log_level_parse(STR("err"), &level));
    assert_int_equal(level, LOG_ERROR);
    assert_ok(log_level_parse(STR("Trace"), &level));
    assert_int_equal(level, LOG_TRACE);
    assert_int_equal(log_level_parse(STR("bogus"), &level), -ERR_INVALID);
    assert_int_equal(log_level_parse(STR("OFF"), &level), -ERR_INVALID);
    assert_string_equal(log_level_text(LOG_WARN), "WARN");
    buf_deinit(&low);
    buf_deinit(&high);
}

static void test_long_values_are_cut(void **state)
{
    (void)state;
    static char big[LOG_VALUE_SIZE_MAX * 2];
    struct buf kept = {0};
    struct log_pair pairs[LOG_PAIRS_MAX * 2];
    memset(big, 'x', sizeof(big));
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        pairs[i] = LOG_STR("k", str_make(big, sizeof(big)));
    }
    struct log_sink *sink = log_sink_add(LOG_INFO, false, keep, &kept);
    log_line(LOG_INFO, "m", "x", pairs, ARRAY_SIZE(pairs));
    assert_in_range(kept.n, LOG_PAIRS_MAX * LOG_VALUE_SIZE_MAX,
                    LOG_PAIRS_MAX * (LOG_VALUE_SIZE_MAX + 4) + 100);
    log_sink_remove(sink);
    buf_deinit(&kept);
}

static void log_again(void *data, enum log_level level, struct str line)
{
    log_write(level, "sink", "must not come back");
    keep(data, level, line);
}

static void test_a_sink_that_logs_is_not_heard(void **state)
{
    (void)state;
    struct buf kept = {0};
    struct log_sink *sink = log_sink_add(LOG_INFO, false, log_again, &kept);
    log_write(LOG_INFO, "m", "x");
    assert_str_lit(without_time(&kept), "[INFO]  m: x\n");
    log_sink_remove(sink);
    buf_deinit(&kept);
}

static void *log_many(void *data)
{
    for (int i = 0; i < 200; i++) {
        log_write(LOG_INFO, "thread", "line", LOG_CSTR("name", data), LOG_INT("i", i));
    }
    return NULL;
}

static void test_lines_stay_whole_between_threads(void **state)
{
    (void)state;
    static char names[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];
    int next[4] = {0};
    struct buf kept = {0};
    struct log_sink *sink = log_sink_add(LOG_INFO, false, keep, &kept);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, names[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    log_sink_remove(sink);
    struct str rest = buf_view(&kept), line;
    while (str_split_next(&rest, '\n', &line) && line.n > 0) {
        struct str prefix = STR("[INFO]  thread: line: name=");
        int64_t i;
        line = str_from(line, 25);
        assert_true(str_has_prefix(line, prefix));
        line = str_from(line, prefix.n);
        int *want = &next[line.p[0] - 'a'];
        assert_ok(str_parse_i64(str_from(line, 4), &i));
        assert_int_equal(i, (*want)++);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(next[i], 200);
    }
    buf_deinit(&kept);
}

static int use_utc(void **state)
{
    (void)state;
    setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_lines),
        cmocka_unit_test(test_json_lines),
        cmocka_unit_test(test_zone),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_a_sink_that_logs_is_not_heard),
        cmocka_unit_test(test_lines_stay_whole_between_threads),
    };
    return cmocka_run_group_tests(tests, use_utc, NULL);
}
