#include "schema/hcl.h"

#include "base/buf.h"
#include "base/err.h"
#include "schema/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct example {
    const char *hcl;
    const char *want; /* JSON of the tree, or what the error says */
};

static void check_examples(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena a = {0};
        struct err err = {0};
        struct value *v = NULL;
        struct buf out = {0};
        if (hcl_parse(&a, str_from_cstr(examples[i].hcl), &v, &err) < 0) {
            buf_printf(&out, "%s", err_text(&err));
        } else {
            struct json_writer w = json_writer_make(&out, false);
            json_value(&w, v);
        }
        buf_byte(&out, '\0');
        if (strcmp(out.p, examples[i].want) != 0) {
            print_error("# in: %s\n", examples[i].hcl);
        }
        assert_string_equal(out.p, examples[i].want);
        buf_deinit(&out);
        arena_deinit(&a);
    }
}

static void test_values(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"", "{}"},
        {"# only\n// comments\n/* of every * kind */", "{}"},
        {"a = 1", "{\"a\":1}"},
        {"a = -12 b = 0x1F c = 010", "{\"a\":-12,\"b\":31,\"c\":8}"},
        {"a = 1.5\nb = 1e3", "{\"a\":1.5,\"b\":1000}"},
        {"a = true, b = false", "{\"a\":true,\"b\":false}"},
        {"a = \"x\\ty\\u00e9\\\"\\101\\x41\"", "{\"a\":\"x\\tyé\\\"AA\"}"},
        {"a = \"${foo(\"bar\\n\")} end\"", "{\"a\":\"${foo(\\\"bar\\\\n\\\")} end\"}"},
        {"\"quoted key\" = \"v\"", "{\"quoted key\":\"v\"}"},
        {"a = []", "{\"a\":[]}"},
        {"a = [1, \"b\", true,]", "{\"a\":[1,\"b\",true]}"},
        {"a = [[1], [2, 3]]", "{\"a\":[[1],[2,3]]}"},
        {"a = [{b = 1}, {b = 2}]", "{\"a\":[{\"b\":1},{\"b\":2}]}"},
        {"a-b.c = 1", "{\"a-b.c\":1}"},
        {"a = <<EOF\none\n  two\nEOF\n", "{\"a\":\"one\\n  two\\n\"}"},
        {"a = <<-EOF\n  one\n    two\n  EOF\nb = 1", "{\"a\":\"one\\n  two\\n\",\"b\":1}"},
        {"a = <<-EOF\n one\n    two\n  EOF\n", "{\"a\":\" one\\n    two\\n\"}"},
        {"a = <<EOF\nEOF\n", "{\"a\":\"\"}"},
        {"a = 1\r\nb = 2\r\n", "{\"a\":1,\"b\":2}"},
        {"a =", "{}"},
    };
    check_examples(examples, ARRAY_SIZE(examples));
}

static void test_blocks(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"ports { http = 1 }", "{\"ports\":[{\"http\":1}]}"},
        {"ports = { http = 1, dns = 2 }", "{\"ports\":[{\"dns\":2,\"http\":1}]}"},
        {"a {}", "{\"a\":[{}]}"},
        {"a { b = 1 } a { c = 2 }", "{\"a\":[{\"b\":1},{\"c\":2}]}"},
        {"key \"x\" { policy = \"read\" }", "{\"key\":[{\"x\":[{\"policy\":\"read\"}]}]}"},
        {"key \"x\" { p = 1 }\nb = 1\nkey \"\" { p = 2 }",
         "{\"b\":1,\"key\":[{\"x\":[{\"p\":1}]},{\"\":[{\"p\":2}]}]}"},
        {"a \"b\" \"c\" { d = 1 }", "{\"a\":[{\"b\":[{\"c\":[{\"d\":1}]}]}]}"},
        {"a { b { c { d = 1 } } }", "{\"a\":[{\"b\":[{\"c\":[{\"d\":1}]}]}]}"},
        {"a = [1] a = [2]", "{\"a\":[1,2]}"},
        {"a = 1 a = 2", "{\"a\":2}"},
        {"a = \"x\" a = 3", "{\"a\":\"3\"}"},
        {"a = 1 a = \"0x10\"", "{\"a\":16}"},
    };
    check_examples(examples, ARRAY_SIZE(examples));
}

static void test_json_has_the_same_shape(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"{\"key\": {\"x\": {\"policy\": \"read\"}, \"y\": {\"policy\": \"write\"}}}",
         "{\"key\":[{\"x\":[{\"policy\":\"read\"}]},{\"y\":[{\"policy\":\"write\"}]}]}"},
        {" {\"a\": {\"b\": 1}, \"c\": [1, 2], \"d\": null}",
         "{\"a\":[{\"b\":1}],\"c\":[1,2],\"d\":\"\"}"},
        {"{\"a\": [{\"b\": 1}, {\"b\": 2}]}", "{\"a\":[{\"b\":1},{\"b\":2}]}"},
    };
    check_examples(examples, ARRAY_SIZE(examples));
}

static void test_errors(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"a = b", "At 1:5: Unknown token: 1:5 IDENT b"},
        {"a {", "At 1:5: object expected closing RBRACE got: EOF"},
        {"a", "At 1:3: key 'a' expected start of object ('{') or assignment ('=')"},
        {"a { b }", "At 1:7: key 'b' expected start of object ('{') or assignment ('=')"},
        {"\n= 1", "At 2:1: no object keys found!"},
        {"a b = 1", "At 1:5: nested object expected: LBRACE got: ASSIGN"},
        {"a = [1 2]", "At 1:8: error parsing list, expected comma or list end, got: NUMBER"},
        {"a = [b]", "At 1:6: unexpected token while parsing list: IDENT"},
        {"}", "At 1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE"},
        {"a = \"x", "At 1:7: literal not terminated"},
        {"a = \"\\q\"", "At 1:7: illegal char escape"},
        {"a = @", "At 1:5: illegal char"},
        {"a = 09", "strconv.ParseInt: parsing \"09\": invalid syntax"},
        {"a = 019", "At 1:8: illegal octal number"},
        {"a = 99999999999999999999",
         "strconv.ParseInt: parsing \"99999999999999999999\": value out of range"},
        {"a = <<EOF\nfoo", "At 2:4: heredoc not terminated"},
        {"/* x", "At 1:5: comment not terminated"},
        {"a = 1 a = [1]", "At 1:11: root.a: unknown type *ast.ListType"},
        {"a = [1] a = 1", "At 1:13: unknown slice type: *ast.LiteralType"},
        {"a {} a \"b\" {}", "At -: root.a[0]: map must have string keys"},
    };
    check_examples(examples, ARRAY_SIZE(examples));
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    static const char *const openings[] = {"a {", "[", "\"a\" ", "a \"b\" {"};
    for (size_t i = 0; i < ARRAY_SIZE(openings); i++) {
        struct arena a = {0};
        struct err err = {0};
        struct value *v = NULL;
        struct buf text = {0};
        buf_lit(&text, "x = 1\n");
        if (openings[i][0] == '[') {
            buf_lit(&text, "a = ");
        }
        for (unsigned j = 0; j < 100000; j++) {
            buf_printf(&text, "%s", openings[i]);
        }
        buf_lit(&text, "{ }");
        assert_true(hcl_parse(&a, buf_view(&text), &v, &err) < 0);
        assert_non_null(strstr(err_text(&err), "nested deeper than 64 levels"));
        buf_deinit(&text);
        arena_deinit(&a);
    }
}

static void test_many_blocks_are_quick(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct value *v = NULL;
    struct buf text = {0};
    for (unsigned i = 0; i < 50000; i++) {
        buf_printf(&text, "service \"s%u\" { port = %u }\n k%u = 1\n", i, i, i);
    }
    assert_int_equal(hcl_parse(&a, buf_view(&text), &v, &err), 0);
    assert_int_equal(value_get(v, STR("service"))->list.n, 50000);
    assert_int_equal(v->map.n, 50001);
    buf_deinit(&text);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_json_has_the_same_shape),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_many_blocks_are_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
