#include "test.h"

#include "acl/translate.h"
#include "base/err.h"

static struct arena arena;

/* What the reference answers to /v1/acl/rules/translate. */
static void test_rules(void **state)
{
    static const struct {
        struct str legacy, rules;
    } cases[] = {
        {STR_INIT("key \"a\" { policy = \"read\" }"),
         STR_INIT("key_prefix \"a\" {\n  policy = \"read\"\n}")},
        {STR_INIT("{\"key\":{\"a\":{\"policy\":\"read\"}}}"),
         STR_INIT("key_prefix \"a\" {\n  policy = \"read\"\n}")},
        {STR_INIT("{\"key\":[{\"a\":{\"policy\":\"read\"}}],\"operator\":\"read\"}"),
         STR_INIT("key_prefix \"a\" {\n  policy = \"read\"\n}\n\n\"operator\" = \"read\"")},
        {STR_INIT("{\"x\":{\"y\":1}}"), STR_INIT("\"x\" = {\n  \"y\" = 1\n}")},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct str rules;
        struct err err = {0};
        assert_int_equal(acl_rules_translate(&arena, cases[i].legacy, &rules, &err), 0);
        assert_str_equal(rules, cases[i].rules);
    }
}

static void test_no_rules(void **state)
{
    struct str rules = STR("untouched");
    struct err err = {0};
    (void)state;
    assert_true(acl_rules_translate(&arena, STR("key = {"), &rules, &err) < 0);
    assert_true(str_has_prefix(str_from_cstr(err_text(&err)), STR("Failed to parse rules: ")));
    assert_str_equal(rules, STR("untouched"));
    assert_true(acl_rules_translate(&arena, STR("# \xee\x84\xa3"), &rules, &err) < 0);
    assert_string_equal(err_text(&err), "Failed to parse rules: At 1:3: unicode code point U+E123 "
                                        "reserved for internal use");
}

static int end(void **state)
{
    (void)state;
    arena_deinit(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_no_rules),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
