#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "schema/hcl_format.h"

static struct str key_to_k(struct str key)
{
    return str_eq_lit(key, "key") ? STR("k") : STR_NULL;
}

static void assert_formats(const char *text, const char *expected)
{
    struct arena a = {0};
    struct err err = {0};
    struct str out = STR_NULL;
    assert_ok(hcl_format(&a, str_from_cstr(text), key_to_k, &out, &err));
    assert_str_equal(out, str_from_cstr(expected));
    arena_deinit(&a);
}

static void test_blocks(void **state)
{
    (void)state;
    assert_formats("", "");
    assert_formats("key \"a\" { policy = \"read\" }", "k \"a\" {\n  policy = \"read\"\n}");
    assert_formats("\"key\" \"a\"\n{}\nnode \"b\" {}", "k \"a\" {}\n\nnode \"b\" {}");
    assert_formats("x \"a\" {}\ny \"b\" {}\n\n\nz {}", "x \"a\" {}\ny \"b\" {}\n\nz {}");
    assert_formats("a { b { key = 1 } }", "a {\n  b {\n    k = 1\n  }\n}");
    assert_formats("a=1\r\nb=2\r\n", "a = 1\n\nb = 2");
    assert_formats("a = ", "");
}

static void test_neighbours_are_aligned(void **state)
{
    (void)state;
    assert_formats("o {\n a = 1 # one\n longer = \"22\" # two\n\n c = 3\n}",
                   "o {\n  a      = 1    # one\n  longer = \"22\" # two\n\n  c = 3\n}");
}

static void test_comments_stay(void **state)
{
    (void)state;
    assert_formats(
        "# top\n\n# lead\nkey \"a\" { # inside\n # own\n policy = \"x\" # line\n # end\n}\n# last",
        "# top\n\n# lead\nk \"a\" {\n  # inside\n\n  # own\n  policy = \"x\" # line\n\n"
        "  # end\n}\n\n# last\n");
    assert_formats("a {\n # only\n}", "a {\n  # only\n}");
}

static void test_lists_and_texts(void **state)
{
    (void)state;
    assert_formats("l = [1,2 , \"x\"]\n", "l = [1, 2, \"x\"]");
    assert_formats("l = [\n1, # one\n22]", "l = [\n  1,  # one\n  22,\n]");
    assert_formats("l = [{a=1}]", "l = [\n  {\n    a = 1\n  },\n]");
    /* What is between the marks of a here-document keeps its place. */
    assert_formats("o {\n t = <<E\n one\ntwo\nE\n}", "o {\n  t = <<E\n one\ntwo\nE\n}");
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct str out = STR("untouched");
    assert_true(hcl_format(&a, STR("bad"), NULL, &out, &err) < 0);
    assert_non_null(strstr(err.text, "expected start of object ('{') or assignment ('=')"));
    assert_true(hcl_format(&a, STR("{\"key\": 1}"), NULL, &out, &err) < 0);
    assert_string_equal(err.text, "only HCL can be laid out, not JSON");
    assert_str_lit(out, "untouched");
    arena_deinit(&a);
}

/* Each level's layout once asked for that of the levels below, several times over. */
static void test_deep_nesting_takes_no_longer(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf text = {0};
    struct str out;
    for (int i = 0; i < 60; i++) {
        buf_lit(&text, "a {\nb = 1\nc = 2\n");
    }
    buf_fill(&text, '}', 60);
    assert_ok(hcl_format(&a, buf_view(&text), NULL, &out, &err));
    assert_true(str_has_suffix(out, STR("\n  }\n}")));
    buf_deinit(&text);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),          cmocka_unit_test(test_neighbours_are_aligned),
        cmocka_unit_test(test_comments_stay),   cmocka_unit_test(test_lists_and_texts),
        cmocka_unit_test(test_what_is_refused), cmocka_unit_test(test_deep_nesting_takes_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
