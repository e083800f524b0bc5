#include "test.h"

#include "base/err.h"
#include "base/mem.h"
#include "schema/json.h"

#include "every.h"

static void expect_quoted(struct str in, const char *want)
{
    struct buf b = {0};
    json_quote(&b, in);
    assert_str_equal(buf_view(&b), str_from_cstr(want));
    buf_deinit(&b);
}

static void strings_are_escaped_as_in_go(void **state)
{
    (void)state;
    expect_quoted(STR(""), "\"\"");
    expect_quoted(STR("plain"), "\"plain\"");
    expect_quoted(STR("a long run of plain bytes, more than thirty-two of them"),
                  "\"a long run of plain bytes, more than thirty-two of them\"");
    expect_quoted(STR("<a href=\"x\">&amp;</a> and a tail of plain text"),
                  "\"\\u003ca href=\\\"x\\\"\\u003e\\u0026amp;\\u003c/a\\u003e and a tail of plain "
                  "text\"");
    expect_quoted(STR("\\ \n\r\t\b\f\x01\x1f\x7f"),
                  "\"\\\\ \\n\\r\\t\\u0008\\u000c\\u0001\\u001f\x7f\"");
    expect_quoted(str_make("a\0b", 3), "\"a\\u0000b\"");
    expect_quoted(STR("h\xc3\xa9 \xe2\x80\xa8\xe2\x80\xa9 \xf0\x9f\x98\x80"),
                  "\"h\xc3\xa9 \\u2028\\u2029 \xf0\x9f\x98\x80\"");
    expect_quoted(STR("\xff\xc0\x80\xed\xa0\x80\xc3"),
                  "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

/* Every length and position of one special byte, across the vector width. */
static void escapes_at_every_position(void **state)
{
    (void)state;
    for (size_t n = 1; n < 70; n++) {
        for (size_t at = 0; at < n; at++) {
            char in[80];
            char want[100];
            memset(in, 'x', n);
            in[at] = '<';
            memset(want, 'x', sizeof(want));
            want[0] = '"';
            memcpy(want + 1 + at, "\\u003c", 6);
            want[n + 6] = '"';
            want[n + 7] = '\0';
            expect_quoted(str_make(in, n), want);
        }
    }
}

static void object_compact(void **state)
{
    (void)state;
    struct arena a = {0};
    struct buf b = {0};
    struct every e = every_full(&a);
    struct json_writer w = json_writer_make(&b, false);
    json_object(&w, &every_schema, &e);
    assert_str_lit(
        buf_view(&b),
        "{\"Flag\":true,\"Integer\":-5,\"Natural\":18446744073709551615,\"Real\":0.25,"
        "\"Text\":\"\\u003ca \\\"b\\\"\\u003e\\n\",\"Bytes\":\"AAH/\",\"Wait\":1500000000,"
        "\"Pause\":\"1m30s\",\"At\":\"2020-09-13T12:26:40.123456789Z\","
        "\"Expires\":\"2020-09-13T12:26:41Z\",\"Limit\":0,\"Choice\":false,"
        "\"Ports\":[80,-1,70000],\"Vec\":[0.5,-1e-7,3],\"Votes\":{\"a\":1,\"b\":-2},"
        "\"Tags\":[\"v1\",\"\",\"blue\"],\"Meta\":{\"env\":\"prod\",\"rack\":\"2\"},"
        "\"Services\":{\"db\":null,\"web\":[\"v1\",\"\",\"blue\"]},"
        "\"Obj\":{\"Name\":\"obj\",\"Count\":1},\"Ptr\":{\"Name\":\"ptr\",\"Count\":200},"
        "\"Objs\":[{\"Name\":\"first\",\"Count\":1048576},{\"Name\":\"second\",\"Count\":-40}],"
        "\"Ptrs\":[{\"Name\":\"ptr\",\"Count\":200}],"
        "\"ByName\":{\"key\":{\"Name\":\"ptr\",\"Count\":200}},"
        "\"Config\":{\"list\":[-7,1.5,true,null,\"s\"]},\"CreateIndex\":11,\"ModifyIndex\":12,"
        "\"Omitted\":\"shown\",\"new_name\":\"other name\"}");
    buf_clear(&b);
    schema_zero(&every_schema, &e);
    w = json_writer_make(&b, false);
    json_object(&w, &every_schema, &e);
    assert_str_lit(
        buf_view(&b),
        "{\"Flag\":false,\"Integer\":0,\"Natural\":0,\"Real\":0,\"Text\":\"\",\"Bytes\":null,"
        "\"Wait\":0,\"Pause\":\"0s\",\"At\":\"0001-01-01T00:00:00Z\",\"Expires\":null,"
        "\"Limit\":null,\"Choice\":null,\"Ports\":null,\"Vec\":null,\"Votes\":null,\"Tags\":null,"
        "\"Meta\":null,\"Services\":null,\"Obj\":{\"Name\":\"\",\"Count\":0},\"Ptr\":null,"
        "\"Objs\":null,\"Ptrs\":null,\"ByName\":null,\"Config\":null,\"CreateIndex\":0,"
        "\"ModifyIndex\":0,\"new_name\":\"\"}");
    arena_deinit(&a);
    buf_deinit(&b);
}

static void pretty_is_marshal_indent(void **state)
{
    (void)state;
    struct buf b = {0};
    struct json_writer w = json_writer_make(&b, true);
    json_array_begin(&w);
    json_object_begin(&w);
    json_key(&w, STR("a"));
    json_i64(&w, 1);
    json_key(&w, STR("empty"));
    json_object_begin(&w);
    json_object_end(&w);
    json_key(&w, STR("list"));
    json_strlist(&w, (struct strlist){SCHEMA_EMPTY, 0});
    json_key(&w, STR("raw"));
    json_raw(&w, STR("{\"x\":[1,{\"y\":\"a,b:{\\\"}\"}],\"z\":[]}"));
    struct inner in = {STR("n"), 2};
    json_members(&w, &inner_schema, &in);
    json_object_end(&w);
    json_null(&w);
    json_array_end(&w);
    static const char want[] = "[\n"
                               "    {\n"
                               "        \"a\": 1,\n"
                               "        \"empty\": {},\n"
                               "        \"list\": [],\n"
                               "        \"raw\": {\n"
                               "            \"x\": [\n"
                               "                1,\n"
                               "                {\n"
                               "                    \"y\": \"a,b:{\\\"}\"\n"
                               "                }\n"
                               "            ],\n"
                               "            \"z\": []\n"
                               "        },\n"
                               "        \"Name\": \"n\",\n"
                               "        \"Count\": 2\n"
                               "    },\n"
                               "    null\n"
                               "]";
    assert_str_equal(buf_view(&b), str_from_cstr(want));
    buf_clear(&b);
    w = json_writer_make(&b, true);
    json_array_begin(&w);
    json_array_end(&w);
    assert_str_lit(buf_view(&b), "[]");
    buf_deinit(&b);
}

/* The pretty writer and json_indent() of the compact text agree. */
static void indent_equals_pretty(void **state)
{
    (void)state;
    struct arena a = {0};
    struct buf compact = {0};
    struct buf pretty = {0};
    struct buf indented = {0};
    struct every e = every_full(&a);
    struct json_writer w = json_writer_make(&compact, false);
    json_object(&w, &every_schema, &e);
    w = json_writer_make(&pretty, true);
    json_object(&w, &every_schema, &e);
    json_indent(&indented, buf_view(&compact));
    assert_str_equal(buf_view(&indented), buf_view(&pretty));
    buf_deinit(&compact);
    buf_deinit(&pretty);
    buf_deinit(&indented);
    arena_deinit(&a);
}

static void a_full_buffer_is_noticed(void **state)
{
    (void)state;
    struct arena a = {0};
    struct every e = every_full(&a);
    struct buf whole = {0};
    struct json_writer w = json_writer_make(&whole, false);
    json_object(&w, &every_schema, &e);
    for (size_t max = 1; max < whole.n; max += 7) {
        struct buf b;
        buf_init(&b, max);
        w = json_writer_make(&b, false);
        json_object(&w, &every_schema, &e);
        assert_true(b.failed);
        assert_true(b.n <= max);
        buf_deinit(&b);
    }
    buf_deinit(&whole);
    arena_deinit(&a);
}

/* Parse and print; NULL expects failure with `error`. */
static void expect_parsed(struct str in, const char *want, const char *error)
{
    struct arena a = {0};
    struct err err = {0};
    struct value *v;
    int r = json_parse(&a, in, &v, &err);
    if (want == NULL) {
        assert_true(r < 0);
        assert_string_equal(err.text, error);
    } else {
        assert_ok(r);
        struct buf b = {0};
        struct json_writer w = json_writer_make(&b, false);
        json_value(&w, v);
        assert_str_equal(buf_view(&b), str_from_cstr(want));
        buf_deinit(&b);
    }
    arena_deinit(&a);
}

static void values_are_parsed(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {" null ", "null"},
        {"[]", "[]"},
        {"[ 1 , -2,\t3.50 ]", "[1,-2,3.5]"},
        {"{ }", "{}"},
        {"{\"b\":1,\"a\":{\"x\":[true,false]}}", "{\"a\":{\"x\":[true,false]},\"b\":1}"},
        {"{\"a\":1,\"a\":2}", "{\"a\":2}"},
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "9223372036854775808"},
        {"18446744073709551616", "18446744073709552000"},
        {"1e3", "1000"},
        {"1E-7", "1e-7"},
        {"-0", "0"},
        {"\"\\u00e9\\ud83d\\ude00\\ud83d\\u0041\\udc00\\/\\b\"",
         "\"\xc3\xa9\xf0\x9f\x98\x80\\ufffd\""},
        {"\"a\xff"
         "b\"",
         "\"a\xef\xbf\xbd"
         "b\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        if (i == 12) {
            expect_parsed(str_from_cstr(cases[i][0]),
                          "\"\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd"
                          "A\xef\xbf\xbd/\\u0008\"",
                          NULL);
            continue;
        }
        expect_parsed(str_from_cstr(cases[i][0]), cases[i][1], NULL);
    }
}

static void errors_have_gos_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "unexpected end of JSON input"},
        {"  ", "unexpected end of JSON input"},
        {"{", "unexpected end of JSON input"},
        {"[1", "unexpected end of JSON input"},
        {"\"a", "unexpected end of JSON input"},
        {"tru", "unexpected end of JSON input"},
        {"-", "unexpected end of JSON input"},
        {"nope", "invalid character 'o' in literal null (expecting 'u')"},
        {"x", "invalid character 'x' looking for beginning of value"},
        {"'", "invalid character '\\'' looking for beginning of value"},
        {"\x01", "invalid character '\\x01' looking for beginning of value"},
        {"\xe9", "invalid character '\xc3\xa9' looking for beginning of value"},
        {"[1,]", "invalid character ']' looking for beginning of value"},
        {"[1 2]", "invalid character '2' after array element"},
        {"{1:2}", "invalid character '1' looking for beginning of object key string"},
        {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
        {"{\"a\" 1}", "invalid character '1' after object key"},
        {"{\"a\":1 \"b\"", "invalid character '\"' after object key:value pair"},
        {"1 2", "invalid character '2' after top-level value"},
        {"01", "invalid character '1' after top-level value"},
        {"-a", "invalid character 'a' in numeric literal"},
        {"1.a", "invalid character 'a' after decimal point in numeric literal"},
        {"1ea", "invalid character 'a' in exponent of numeric literal"},
        {"\"\\x\"", "invalid character 'x' in string escape code"},
        {"\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"},
        {"\"a\nb\"", "invalid character '\\n' in string literal"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        expect_parsed(str_from_cstr(cases[i][0]), NULL, cases[i][1]);
    }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    char text[2 * JSON_DEPTH_MAX + 4];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    struct arena a = {0};
    struct err err = {0};
    struct value *v;
    assert_ok(json_parse(&a, str_make(text, 2 * (size_t)JSON_DEPTH_MAX), &v, &err));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    assert_true(json_parse(&a, str_make(text, 2 * (size_t)JSON_DEPTH_MAX), &v, &err) < 0);
    assert_string_equal(err.text, "exceeded max depth");
    arena_deinit(&a);
}

static void streams_are_cut_into_values(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct value *v;
    struct str rest = STR("{\"a\":1} [2]3 \"x");
    assert_ok(json_parse_next(&a, &rest, &v, &err));
    assert_int_equal(value_get(v, STR("a"))->i, 1);
    assert_ok(json_parse_next(&a, &rest, &v, &err));
    assert_int_equal(v->kind, VALUE_LIST);
    assert_ok(json_parse_next(&a, &rest, &v, &err));
    assert_int_equal(v->i, 3);
    assert_true(json_parse_next(&a, &rest, &v, &err) < 0);
    assert_string_equal(err.text, "unexpected EOF");
    rest = STR(" \n");
    assert_true(json_parse_next(&a, &rest, &v, &err) < 0);
    assert_string_equal(err.text, "EOF");
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped_as_in_go),
        cmocka_unit_test(escapes_at_every_position),
        cmocka_unit_test(object_compact),
        cmocka_unit_test(pretty_is_marshal_indent),
        cmocka_unit_test(indent_equals_pretty),
        cmocka_unit_test(a_full_buffer_is_noticed),
        cmocka_unit_test(values_are_parsed),
        cmocka_unit_test(errors_have_gos_words),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(streams_are_cut_into_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
