#include "test.h"

#include "cli/complete.h"

/* The words, with a blank behind each. */
static void assert_completes(const char *line, size_t point, const char *expected)
{
    struct arena a = {0};
    struct strlist found = complete_line(&a, str_from_cstr(line), point);
    struct str text = STR("");
    for (size_t i = 0; i < found.n; i++) {
        text = arena_printf(&a, "%.*s%.*s ", STRF(text), STRF(found.v[i]));
    }
    assert_str_equal(text, str_from_cstr(expected));
    arena_deinit(&a);
}

static void test_commands(void **state)
{
    (void)state;
    assert_completes("consul mem", 99, "members ");
    assert_completes("consul kv ", 99, "delete export get import put ");
    assert_completes("consul  acl token\tc", 99, "clone create ");
    assert_completes("consul operator r", 99, "raft ");
    assert_completes("consul members ", 99, "");
    assert_completes("consul members -w", 99, "");
    assert_completes("consul xyz", 99, "");
}

/* What stands behind the cursor does not count; words that are no commands are passed over. */
static void test_the_rest_of_the_line(void **state)
{
    (void)state;
    assert_completes("consul kv get x", 12, "get ");
    assert_completes("consul -x kv ", 99, "delete export get import put ");
    assert_completes("consul kv g=i", 99, "import ");
}

static void test_flags_of_the_program(void **state)
{
    (void)state;
    assert_completes("consul -", 99,
                     "-autocomplete-install -autocomplete-uninstall -help -version ");
    assert_completes("consul kv -", 99, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_the_rest_of_the_line),
        cmocka_unit_test(test_flags_of_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
