#include "test.h"

#include "base/arena.h"
#include "base/err.h"
#include "schema/filter.h"

#include "every.h"

#include <stdio.h>

#define PREFIX "Failed to create boolean expression evaluator: "

/* 1, 0, or negative with the error's text. */
static int run(const char *expression, char *error, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct every e = every_full(&a);
    struct filter *f;
    int r = filter_compile(&a, str_from_cstr(expression), &every_schema, &f, &err);
    if (r == 0) {
        r = filter_match(f, &e, &err);
    }
    snprintf(error, size, "%s", err.text);
    arena_deinit(&a);
    return r;
}

static void expressions_select(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool matches;
    } cases[] = {
        {"Flag == true", true},
        {"Flag != true", false},
        {"Integer == -5", true},
        {"Integer == \"-0x5\"", true},
        {"Natural == 18446744073709551615", true},
        {"Real == 0.25", true},
        {"Obj.Name == obj", true},
        {"Obj.Name contains \"b\"", true},
        {"\"x\" not in Obj.Name", true},
        {"Tags contains blue", true},
        {"v1 in Tags and blue in Tags", true},
        {"v2 in Tags", false},
        {"\"\" in Tags", true},
        {"Tags is empty", false},
        {"Tags is not empty", true},
        {"80 in Ports", true},
        {"Bytes contains 255", true},
        {"Meta.env == prod", true},
        {"Meta[\"env\"] == `prod`", true},
        {"rack in Meta and not Meta.rack == 1", true},
        {"Meta.nope == \"\"", false},
        {"Meta.nope != 1", true},
        {"Meta.nope matches \"x\"", true}, /* as in the reference: what is absent "matches" */
        {"Services.web contains blue", true},
        {"Services.db is empty", true},
        {"Services.none is empty", true},
        {"Votes.b == -2", true},
        {"list in Config", true},
        {"Ptr.Count == 200", true},
        {"Objs.Name == second", true}, /* any element */
        {"Objs.Name != second", true}, /* any element that is not */
        {"Ptrs.Name == ptr", true},
        {"Objs is not empty", true},
        {"ByName.key.Count == 200", true},
        {"key in ByName", true},
        {"Obj.Name matches \"^o.j$\"", true},
        {"Obj.Name not matches \"^o.j$\"", false},
        {"Wait == 1500000000", true},
        {"Limit == 0", true},
        {"Flag == false or Integer == -5 and Obj.Count == 1", true},
        {"(Flag == false or Integer == -5) and Obj.Count == 2", false},
        {"not Flag == false", true},
        {"not not Flag == true", true},
        {"  ( Flag==true )  ", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char error[ERR_TEXT_SIZE_MAX];
        int r = run(cases[i].text, error, sizeof(error));
        if (r != cases[i].matches) {
            fail_msg("%s gave %d %s", cases[i].text, r, error);
        }
    }
}

static void pointers_may_be_nil(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct every e;
    schema_zero(&every_schema, &e);
    struct filter *f;
    assert_ok(filter_compile(&a, STR("Ptr.Name == x"), &every_schema, &f, &err));
    assert_int_equal(filter_match(f, &e, &err), 0);
    assert_ok(filter_compile(&a, STR("Limit == 0"), &every_schema, &f, &err));
    assert_int_equal(filter_match(f, &e, &err), 0);
    assert_ok(filter_compile(&a, STR("Meta is empty and Objs.Name != x"), &every_schema, &f, &err));
    assert_int_equal(filter_match(f, &e, &err), 0); /* no element at all */
    arena_deinit(&a);
}

/* What the real one answered to these. */
static void errors_are_the_references(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Text ==",
         "1:8 (7): no match found, expected: \"-\", \"0\", \"\\\"\", \"`\", [ \\t\\r\\n], [1-9] or "
         "[a-zA-Z]"},
        {"Text", "1:5 (4): no match found, expected: \"!=\", \".\", \"==\", \"[\", [ \\t\\r\\n] or "
                 "[a-zA-Z0-9_]"},
        {"((", "1:3 (2): no match found, expected: \"(\", \"-\", \"0\", \"\\\"\", \"`\", \"not\", "
               "[ \\t\\r\\n], [1-9] or [a-zA-Z]"},
        {"Obj is good", "1:8 (7): no match found, expected: \"empty\", \"not\" or [ \\t\\r\\n]"},
        {"(Text == a", "1:11 (10): rule \"grouping\": Unmatched parentheses"},
        {"Text == \"a", "1:11 (10): rule \"string\": Unterminated string literal"},
        {"Text == a && Text == b",
         "1:11 (10): no match found, expected: \"and\", \"or\", [ \\t\\r\\n] or EOF"},
        {"Text == 10.0.0.1", "1:13 (12): rule \"number\": Invalid number literal"},
        {"Text == \"\\q\"", "1:9 (8): rule \"string\": invalid syntax"},
        {"Meta[1] == a", "1:6 (5): rule \"index\": Invalid index"},
        {"Nope == 1", "Selector \"Nope\" is not valid"},
        {"Meta.a.b == 1", "Selector \"Meta.a.b\" is not valid"},
        {"CreateIndex == 1", "Selector \"CreateIndex\" is not valid"},
        {"Meta == x", "Invalid match operator \"Equal\" for selector \"Meta\""},
        {"Text is empty", "Invalid match operator \"Is Empty\" for selector \"Text\""},
        {"At == x", "Invalid match operator \"Equal\" for selector \"At\""},
        {"Integer == abc", "Failed to coerce value \"abc\" for selector \"Integer\": "
                           "strconv.ParseInt: parsing \"abc\": invalid syntax"},
        {"Natural == 18446744073709551616",
         "Failed to coerce value \"18446744073709551616\" for selector \"Natural\": "
         "strconv.ParseUint: parsing \"18446744073709551616\": value out of range"},
        {"Flag == yes", "Failed to coerce value \"yes\" for selector \"Flag\": "
                        "strconv.ParseBool: parsing \"yes\": invalid syntax"},
        {"Text matches \"(\"", "Failed to compile regular expression \"(\": error parsing regexp: "
                               "missing closing ): `(`"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char error[ERR_TEXT_SIZE_MAX];
        char want[ERR_TEXT_SIZE_MAX];
        assert_true(run(cases[i][0], error, sizeof(error)) < 0);
        snprintf(want, sizeof(want), "%s%s", PREFIX, cases[i][1]);
        assert_string_equal(error, want);
    }
}

/* Without its memory the grammar would take exponential time here. */
static void nesting_is_linear_and_bounded(void **state)
{
    (void)state;
    char text[9000];
    char error[ERR_TEXT_SIZE_MAX];
    size_t n = 0;
    for (int i = 0; i < 60; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "(");
    }
    n += (size_t)snprintf(text + n, sizeof(text) - n, "Flag == true");
    for (int i = 0; i < 60; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, ")");
    }
    assert_int_equal(run(text, error, sizeof(error)), 1);
    memset(text, '(', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_true(run(text, error, sizeof(error)) < 0);
    assert_string_equal(error, PREFIX "expression nests too deeply");
}

static void long_chains_work(void **state)
{
    (void)state;
    char text[20000];
    char error[ERR_TEXT_SIZE_MAX];
    size_t n = (size_t)snprintf(text, sizeof(text), "Obj.Count == 2");
    for (int i = 0; i < 400; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, " or Obj.Name == n%d", i);
    }
    snprintf(text + n, sizeof(text) - n, " or Obj.Name == obj");
    assert_int_equal(run(text, error, sizeof(error)), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_select),
        cmocka_unit_test(pointers_may_be_nil),
        cmocka_unit_test(errors_are_the_references),
        cmocka_unit_test(nesting_is_linear_and_bounded),
        cmocka_unit_test(long_chains_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
