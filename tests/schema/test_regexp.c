#include "test.h"

#include "base/err.h"
#include "schema/regexp.h"

#include <stdio.h>

static void expressions_mean_what_re2_means(void **state)
{
    (void)state;
    static const struct {
        const char *expression, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"b", "abc", true},
        {"^b", "abc", false},
        {"^10\\.0\\.0\\.[12]$", "10.0.0.2", true},
        {"a$", "a\n", false}, /* $ is the very end */
        {"(?m)a$", "a\nb", true},
        {"\\s", "\v", false}, /* Perl's has it */
        {"[\\s]", "\v", false},
        {"[^\\S]", "\t", true},
        {"[\\S]", "a", true},
        {"^[]a-c-]+$", "]-b", true},
        {"(?i)HeLLo", "hello", true},
        {"x{2,3}?", "xx", true},
        {"x{,3}", "x{,3}", true}, /* not a repetition */
        {"\\Q.*\\E", "a.*b", true},
        {"\\Q.*\\E", "ab", false},
        {"(?P<name>a)b", "ab", true},
        {"\\x{e9}", "caf\xc3\xa9", true},
        {"\\p{Greek}", "\xce\xb1", true},
        {"^.$", "\xc3\xa9", true},
        {"^*a", "ba", true},
        {"\\101", "A", true},
        {"[[:alpha:]]", "1", false},
        {"a",
         "\xff"
         "a",
         true}, /* the text need not be UTF-8 */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a = {0};
        struct err err = {0};
        struct regexp *re;
        if (regexp_compile(&a, str_from_cstr(cases[i].expression), &re, &err) < 0 ||
            regexp_match(re, str_from_cstr(cases[i].text)) != cases[i].matches) {
            fail_msg("%s on \"%s\" %s", cases[i].expression, cases[i].text, err.text);
        }
        arena_deinit(&a);
    }
}

static void what_re2_refuses_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"(", "missing closing ): `(`"},
        {"a)", "unexpected ): `a)`"},
        {"[a", "missing closing ]: `[a`"},
        {"[z-a]", "invalid character class range: `z-a`"},
        {"[[:foo:]]", "invalid character class range: `[:foo:]`"},
        {"*a", "missing argument to repetition operator: `*`"},
        {"a|*", "missing argument to repetition operator: `*`"},
        {"a**", "invalid nested repetition operator: `**`"},
        {"a{2}{3}", "invalid nested repetition operator: `{2}{3}`"},
        {"a{1001}", "invalid repeat count: `{1001}`"},
        {"a{3,2}", "invalid repeat count: `{3,2}`"},
        {"\\1", "invalid escape sequence: `\\1`"},
        {"\\Z", "invalid escape sequence: `\\Z`"},
        {"\\C", "invalid escape sequence: `\\C`"},
        {"\\", "trailing backslash at end of expression: ``"},
        {"(?=a)", "invalid or unsupported Perl syntax: `(?=`"},
        {"(?<n>a)", "invalid or unsupported Perl syntax: `(?<`"},
        {"(?P<n", "invalid named capture: `(?P<n`"},
        {"x\\p{Foo}y", "invalid character class range: `\\p{Foo}`"},
        {"(*UTF)a", "missing argument to repetition operator: `*`"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a = {0};
        struct err err = {0};
        struct regexp *re;
        assert_true(regexp_compile(&a, str_from_cstr(cases[i][0]), &re, &err) < 0);
        char want[200];
        snprintf(want, sizeof(want), "error parsing regexp: %s", cases[i][1]);
        assert_string_equal(err.text, want);
        arena_deinit(&a);
    }
}

/* An expression that backtracks without end is an error, and takes no longer than its limit. */
static void nothing_is_an_expression(void **state)
{
    (void)state;
    struct arena a = {0};
    struct regexp *re;
    struct err err = {0};
    assert_ok(regexp_compile(&a, STR_NULL, &re, &err));
    assert_int_equal(regexp_match(re, STR_NULL), 1);
    arena_deinit(&a);
}

static void matching_is_limited(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct regexp *re;
    assert_ok(regexp_compile(&a, STR("^(a+)+$"), &re, &err));
    char text[200];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = 'b';
    assert_true(regexp_match(re, str_make(text, sizeof(text))) < 0);
    assert_int_equal(regexp_match(re, STR("aaa")), 1);
    size_t size = a.size;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(regexp_match(re, STR("aaa")), 1);
    }
    assert_int_equal(a.size, size);
    arena_deinit(&a);
}

static void groups_are_found(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct regexp *re;
    struct strlist groups;
    assert_ok(regexp_compile(&a, STR("^(a)|(b+)(c)?$"), &re, &err));
    assert_int_equal(regexp_match_groups(&a, re, STR("bb"), &groups), 1);
    assert_int_equal(groups.n, 4);
    assert_true(str_eq_lit(groups.v[0], "bb"));
    assert_int_equal(groups.v[1].n, 0);
    assert_true(str_eq_lit(groups.v[2], "bb"));
    assert_int_equal(groups.v[3].n, 0);
    assert_int_equal(regexp_match_groups(&a, re, STR("ca"), &groups), 0);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_mean_what_re2_means),
        cmocka_unit_test(what_re2_refuses_is_refused),
        cmocka_unit_test(nothing_is_an_expression),
        cmocka_unit_test(matching_is_limited),
        cmocka_unit_test(groups_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
