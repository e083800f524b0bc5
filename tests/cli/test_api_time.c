#include "test.h"

#include "base/arena.h"
#include "cli/api_time.h"

#include <stdlib.h>
#include <time.h>

static void zone_set(const char *zone)
{
    assert_int_equal(setenv("TZ", zone, 1), 0);
    tzset();
}

static void assert_text(const char *rfc3339, const char *expected)
{
    struct arena a = {0};
    assert_str_equal(api_time_text(&a, str_from_cstr(rfc3339)), str_from_cstr(expected));
    arena_deinit(&a);
}

static void assert_rfc850(const char *rfc3339, const char *expected)
{
    struct arena a = {0};
    assert_str_equal(api_time_rfc850(&a, str_from_cstr(rfc3339)), str_from_cstr(expected));
    arena_deinit(&a);
}

static void test_text(void **state)
{
    (void)state;
    zone_set("UTC0");
    assert_text("2021-10-01T12:00:00Z", "2021-10-01 12:00:00 +0000 UTC");
    assert_text("2021-10-01T12:00:00.120000001Z", "2021-10-01 12:00:00.120000001 +0000 UTC");
    assert_text("2021-10-01T12:00:00.5+02:00", "2021-10-01 12:00:00.5 +0200 +0200");
    assert_text("0001-01-01T00:00:00Z", "0001-01-01 00:00:00 +0000 UTC");
    assert_text("nonsense", "nonsense");
    zone_set("XYZ3:30"); /* west of Greenwich */
    assert_text("2021-10-01T12:00:00-03:30", "2021-10-01 12:00:00 -0330 XYZ");
    assert_text("2021-10-01T12:00:00Z", "2021-10-01 12:00:00 +0000 UTC");
}

static void test_rfc850(void **state)
{
    (void)state;
    zone_set("UTC0");
    assert_rfc850("2021-10-01T12:00:00.9Z", "Friday, 01-Oct-21 12:00:00 UTC");
    assert_rfc850("0001-01-01T00:00:00Z", "Monday, 01-Jan-01 00:00:00 UTC");
    zone_set("ABC-2");
    assert_rfc850("2021-10-01T23:00:00Z", "Saturday, 02-Oct-21 01:00:00 ABC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_rfc850),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
