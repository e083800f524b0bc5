/* test.h - what every unit test includes: cmocka with the headers it wants first, and checks for
 * slices. A failing check names both sides. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#define assert_str_equal(actual, expected) test_str_equal_((actual), (expected), __FILE__, __LINE__)
#define assert_str_lit(actual, literal) assert_str_equal((actual), STR(literal))
#define assert_ok(expr) assert_return_((expr), #expr, __FILE__, __LINE__)

UNUSED static void test_str_equal_(struct str actual, struct str expected, const char *file,
                                   int line)
{
    if (!str_eq(actual, expected)) {
        print_error("got  \"%.*s\" (%zu bytes)\nwant \"%.*s\" (%zu bytes)\n", STRF(actual),
                    actual.n, STRF(expected), expected.n);
        _fail(file, line);
    }
}

/* For calls that return 0 or more on success. */
UNUSED static void assert_return_(int r, const char *expr, const char *file, int line)
{
    if (r < 0) {
        print_error("%s gave %d\n", expr, r);
        _fail(file, line);
    }
}
