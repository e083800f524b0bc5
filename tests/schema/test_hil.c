/* Templates: what they evaluate to, and the words and places of what is wrong with them. The
 * expectations were compared with 1.10.3. */
#include "schema/hil.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"

static struct str group(const void *data, int64_t i)
{
    static const struct str groups[] = {STR_INIT("db-main"), STR_INIT("main")};
    (void)data;
    return i >= 0 && i < 2 ? groups[i] : STR("");
}

static const struct strpair variables[] = {
    {STR_INIT("name.full"), STR_INIT("db-main")},
    {STR_INIT("name.suffix"), STR_INIT("")},
};
static const struct hil_function functions[] = {{STR_INIT("match"), group, NULL}};
static const struct hil_scope scope = {variables, ARRAY_SIZE(variables), functions, 1};

static const struct {
    const char *text, *result;
} good[] = {
    {"", ""},
    {"plain $ text", "plain $ text"},
    {"$${x} $$", "${x} $"},
    {"${name.full}", "db-main"},
    {"a${ name.full }b${\"c\"}", "adb-mainbc"},
    {"${match(1)}.${match(9)}.${match(-1)}", "main.."},
    {"${match(\"1\")}", "main"},
    {"${match(1.9)}", "main"},
    {"${\"x${name.full}${\"y\"}\"}", "xdb-mainy"},
    {"${\"a\\\"b\\\\c\\nd\"}", "a\"b\\c\nd"},
    {"${1 + 2 * 3 - -4}", "11"},
    {"${(1 + 2) * 3}", "9"},
    {"${7 / 2}${-7 % 3}", "3-1"},
    {"${10 / 4.0}", "2.5"},
    {"${9223372036854775807 + 1}", "-9223372036854775808"},
    {"${-9223372036854775807 - 1}", "-9223372036854775808"},
    {"${(-9223372036854775807 - 1) / -1}", "-9223372036854775808"},
    {"${\"0x10\" + 1}", "17"},
    {"${true}${!true}${!!true}", "truefalsetrue"},
    {"${1 < 2 && 2.5 >= 2 || false}", "true"},
    {"${\"a\" == \"a\"}${\"a\" != \"a\"}", "truefalse"},
    {"${name.suffix == \"\" ? \"any\" : name.suffix}", "any"},
    {"${true ? 1 : 2.5}", "1"},
    {"${true ? \"7\" : 1}", "7"},
    {"${false || true ? \"y\" : \"n\"}", "y"},
};

static const struct {
    const char *text, *error;
} bad[] = {
    {"${name.full", "parse error at 1:12: expected \"}\" but found end of string"},
    {"${}", "parse error at 1:3: expected expression but found \"}\""},
    {"a\nb${1 2}", "parse error at 2:6: expected \"}\" but found integer 2"},
    {"${\"abc", "parse error at 1:4: expected \"${\" but found invalid sequence \"abc\""},
    {"${\"a\\qb\"}", "parse error at 1:5: invalid backslash escape sequence"},
    {"${@}", "parse error at 1:3: expected expression but found invalid sequence \"@\""},
    {"${(1}", "parse error at 1:5: expected \")\" but found \"}\""},
    {"${true ? 1}", "parse error at 1:11: expected : but found \"}\""},
    {"${99999999999999999999}",
     "parse error at 1:3: invalid integer: strconv.Atoi: parsing \"99999999999999999999\": value "
     "out of range"},
    {"${foo}", "1:3: unknown variable accessed: foo"},
    {"${foo(1)}", "1:3: unknown function called: foo"},
    {"${match()}", "1:3: match: expected 1 arguments, got 0"},
    {"${1 + true}", "At column 3, line 1: operand 2 should be TypeInt, got TypeBool"},
    {"${5.5 % 2}", "At column 3, line 1: modulo cannot be used with floats"},
    {"${1 && true}",
     "At column 3, line 1: logical operators require boolean operands, not TypeInt"},
    {"${1 ? 2 : 3}", "At column 3, line 1: condition must be type bool, not type int"},
    {"${true ? true : 1}", "At column 3, line 1: true and false expression types must match; have "
                           "type bool and type int"},
    {"${match(true)}", "At column 3, line 1: match: argument 1 should be type int, got type bool"},
    {"${name.full[0]}",
     "At column 12, line 1: invalid index operation into non-indexable type: TypeString"},
    {"${1 / 0}", "__builtin_IntMath: divide by zero"},
    {"${true ? 1 : 1 / 0}", "__builtin_IntMath: divide by zero"},
    {"${\"x\" + 1}", "__builtin_StringToInt: strconv.ParseInt: parsing \"x\": invalid syntax"},
};

static int evaluate(struct arena *a, struct str text, struct str *ret, struct err *err)
{
    struct hil_node *tree;
    int r = hil_parse(a, text, &tree, err);
    return r < 0 ? r : hil_eval(a, tree, &scope, ret, err);
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct arena a = {0};
        struct err err = {0};
        struct str result;
        if (evaluate(&a, str_from_cstr(good[i].text), &result, &err) < 0) {
            fail_msg("%s: %s", good[i].text, err_text(&err));
        }
        if (!str_eq(result, str_from_cstr(good[i].result))) {
            fail_msg("%s gives %.*s", good[i].text, STRF(result));
        }
        arena_deinit(&a);
    }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct arena a = {0};
        struct err err = {0};
        struct str result;
        assert_true(evaluate(&a, str_from_cstr(bad[i].text), &result, &err) < 0);
        assert_string_equal(err_text(&err), bad[i].error);
        arena_deinit(&a);
    }
}

/* A tree may be evaluated again, with other values. */
static void test_again(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct hil_node *tree;
    struct str result;
    assert_int_equal(hil_parse(&a, STR("${name.full + 1}"), &tree, &err), 0);
    struct strpair one = {STR("name.full"), STR("41")}, two = {STR("name.full"), STR("x")};
    struct hil_scope first = {&one, 1, NULL, 0}, second = {&two, 1, NULL, 0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hil_eval(&a, tree, &first, &result, &err), 0);
        assert_true(str_eq_lit(result, "42"));
        assert_true(hil_eval(&a, tree, &second, &result, &err) < 0);
    }
    arena_deinit(&a);
}

static void repeat(struct buf *to, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_str(to, str_from_cstr(text));
    }
}

static void test_bounds(void **state)
{
    static const char *const openers[] = {"(", "!", "-", "\"${", "match(", "true ? 1 : ", "1 + "};
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct str result;
    struct buf text = {0};
    for (size_t i = 0; i < ARRAY_SIZE(openers); i++) {
        buf_clear(&text);
        buf_lit(&text, "${");
        repeat(&text, openers[i], 5000);
        assert_true(evaluate(&a, buf_view(&text), &result, &err) < 0);
    }
    buf_clear(&text);
    repeat(&text, "x", HIL_SIZE_MAX + 1);
    assert_true(evaluate(&a, buf_view(&text), &result, &err) < 0);
    /* The result has a bound, too. */
    struct strpair big = {STR("v"), buf_view(&text)};
    struct hil_scope with_big = {&big, 1, NULL, 0};
    struct hil_node *tree;
    assert_int_equal(hil_parse(&a, STR("${v}"), &tree, &err), 0);
    assert_true(hil_eval(&a, tree, &with_big, &result, &err) < 0);
    buf_deinit(&text);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
