#include "test.h"

#include "base/err.h"
#include "cli/table.h"
#include "schema/json.h"

static void test_columns(void **state)
{
    (void)state;
    struct table t = {0};
    struct buf text = {0};
    table_row(&t, 3, (struct str[]){STR("Node"), STR("ID"), STR("DC")});
    table_row(&t, 3, (struct str[]){STR("a-long-name"), STR(""), STR("dc1")});
    table_row(&t, 3, (struct str[]){STR("  b "), STR("0f0f"), STR("")});
    table_row(&t, 1, (struct str[]){STR("alone, and wider than its column")});
    table_render(&t, &text, 2);
    assert_str_lit(buf_view(&text), "Node                              ID    DC\n"
                                    "a-long-name                             dc1\n"
                                    "b                                 0f0f  \n"
                                    "alone, and wider than its column\n");
    table_deinit(&t);
    buf_deinit(&text);
}

/* Widths are bytes and padding is characters: what is wrong about it is Consul's. */
static void test_characters(void **state)
{
    (void)state;
    struct table t = {0};
    struct buf text = {0};
    table_row(&t, 2, (struct str[]){STR("\xc3\xbc\xc3\xbc"), STR("x")});
    table_row(&t, 2, (struct str[]){STR("uu"), STR("y")});
    table_render(&t, &text, 1);
    assert_str_lit(buf_view(&text), "\xc3\xbc\xc3\xbc   x\nuu   y\n");
    table_deinit(&t);
    buf_deinit(&text);
}

static void test_many_rows(void **state)
{
    (void)state;
    struct table t = {0};
    struct buf text = {0};
    for (size_t i = 0; i < 1000; i++) {
        table_row(&t, 2, (struct str[]){STR("k"), STR("v")});
    }
    table_render(&t, &text, 6);
    assert_int_equal(text.n, 1000 * sizeof("k      v"));
    table_deinit(&t);
    table_render(&t, &text, 6); /* empty */
    assert_int_equal(text.n, 1000 * sizeof("k      v"));
    buf_deinit(&text);
}

static void test_map_text(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct value *v = NULL;
    assert_ok(json_parse(&a, STR("{\"wan\": \"2\", \"lan\": \"1\", \"odd\": 3}"), &v, &err));
    assert_str_lit(table_map_text(&a, v, ", "), "lan=1, odd=, wan=2");
    assert_str_lit(table_map_text(&a, NULL, ","), "");
    assert_ok(json_parse(&a, STR("null"), &v, &err));
    assert_str_lit(table_map_text(&a, v, ","), "");
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_map_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
