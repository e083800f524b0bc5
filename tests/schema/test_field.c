#include "test.h"

#include "base/err.h"
#include "base/mem.h"
#include "schema/acl.h"
#include "schema/json.h"
#include "schema/msgpack.h"

#include "every.h"

struct fixture {
    struct arena a;
    struct buf out;
    struct err err;
};

static int setup(void **state)
{
    *state = xcalloc(1, sizeof(struct fixture));
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    arena_deinit(&f->a);
    buf_deinit(&f->out);
    mem_free(f);
    return 0;
}

static int decode(struct fixture *f, const char *json, struct every *e, unsigned flags)
{
    struct value *v;
    assert_ok(json_parse(&f->a, str_from_cstr(json), &v, &f->err));
    return schema_decode(&every_schema, v, e, &f->a, flags, &f->err);
}

static void clone_is_equal_and_independent(void **state)
{
    struct fixture *f = *state;
    struct every e = every_full(&f->a);
    size_t size;
    struct every *copy = schema_clone(&every_schema, &e, &size);
    assert_true(size > sizeof(e));
    assert_true(schema_equal(&every_schema, &e, copy));
    assert_ptr_not_equal(copy->text.p, e.text.p);
    assert_int_equal(copy->text.p[copy->text.n], 0);
    assert_ptr_not_equal(copy->ptr, e.ptr);
    e.ptr->count++;
    assert_false(schema_equal(&every_schema, &e, copy));
    mem_free(copy);

    struct every zero;
    schema_zero(&every_schema, &zero);
    assert_true(zero.at == TIME_ZERO);
    char *sized = schema_clone_sized(&every_schema, &zero, sizeof(zero) + 100, &size);
    assert_true(schema_equal(&every_schema, &zero, sized));
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(sized[sizeof(zero) + i], 0);
    }
    mem_free(sized);
    struct every *in_arena = schema_copy(&f->a, &every_schema, &e);
    assert_true(schema_equal(&every_schema, &e, in_arena));
}

/* Changing any one member makes the objects differ; indexes are left out. */
static void equal_sees_every_member(void **state)
{
    struct fixture *f = *state;
    struct every full = every_full(&f->a);
    struct every zero;
    schema_zero(&every_schema, &zero);
    for (const struct field *m = every_fields; m->name != NULL; m++) {
        size_t end = m[1].name != NULL && m[1].offset > m->offset ? m[1].offset : sizeof(full);
        struct every other = full;
        memcpy((char *)&other + m->offset, (char *)&zero + m->offset, end - m->offset);
        assert_int_equal(schema_equal(&every_schema, &full, &other), m->kind == FIELD_SPLICE);
    }
    struct every nil = zero;
    zero.tags.v = SCHEMA_EMPTY;
    zero.meta.v = SCHEMA_EMPTY;
    zero.objs.v = SCHEMA_EMPTY;
    static const struct value empty = {.kind = VALUE_MAP};
    zero.config = &empty;
    assert_true(schema_equal(&every_schema, &nil, &zero));
}

static void json_round_trip(void **state)
{
    struct fixture *f = *state;
    struct every e = every_full(&f->a);
    struct json_writer w = json_writer_make(&f->out, false);
    json_object(&w, &every_schema, &e);
    struct value *v;
    assert_ok(json_parse(&f->a, buf_view(&f->out), &v, &f->err));
    struct every back;
    schema_zero(&every_schema, &back);
    assert_ok(schema_decode(&every_schema, v, &back, &f->a, DECODE_STRICT, &f->err));
    assert_false(schema_equal(&every_schema, &e, &back)); /* Secret does not travel */
    assert_int_equal(back.secret.n, 0);
    back.secret = e.secret;
    assert_true(schema_equal(&every_schema, &e, &back));
    assert_true(back.index.modify_index == 12);
}

static void msgpack_round_trip(void **state)
{
    struct fixture *f = *state;
    struct every e = every_full(&f->a);
    msgpack_object(&f->out, &every_schema, &e);
    struct cur c = cur_make(buf_view(&f->out));
    struct every back;
    schema_zero(&every_schema, &back);
    assert_ok(msgpack_decode(&c, &every_schema, &back, &f->a, &f->err));
    assert_int_equal(cur_left(&c), 0);
    assert_int_equal(back.omitted.n, 0);
    back.omitted = e.omitted;
    assert_true(schema_equal(&every_schema, &e, &back));
    assert_true(back.index.create_index == 11);

    /* Every shorter input fails cleanly. */
    for (size_t n = 0; n < f->out.n; n++) {
        struct every partial;
        schema_zero(&every_schema, &partial);
        c = cur_make(str_first(buf_view(&f->out), n));
        assert_true(msgpack_decode(&c, &every_schema, &partial, &f->a, &f->err) < 0);
    }
}

static void names_match_as_in_go(void **state)
{
    struct fixture *f = *state;
    struct every e;
    schema_zero(&every_schema, &e);
    assert_ok(
        decode(f, "{\"TEXT\":\"a\",\"text\":\"b\",\"new_name\":\"c\",\"unknown\":{}}", &e, 0));
    assert_str_lit(e.text, "b");
    assert_str_lit(e.renamed, "c");
    assert_ok(decode(f, "{\"oldname\":\"alias\"}", &e, 0));
    assert_str_lit(e.renamed, "alias");
    assert_ok(decode(f, "{\"by_name\":{\"x\":{\"count\":3}}}", &e, DECODE_SNAKE));
    assert_int_equal(e.by_name.n, 1);
    assert_int_equal(((struct inner *)objmap_get(e.by_name, STR("x")))->count, 3);
    assert_true(decode(f, "{\"Obj\":{\"Nope\":1}}", &e, DECODE_STRICT) < 0);
    assert_string_equal(f->err.text, "json: unknown field \"Nope\"");
}

static void null_and_absent(void **state)
{
    struct fixture *f = *state;
    struct every e = every_full(&f->a);
    struct every before = e;
    assert_ok(
        decode(f, "{\"Text\":null,\"Tags\":null,\"At\":null,\"Obj\":null,\"Meta\":{},\"Objs\":[]}",
               &e, 0));
    assert_true(str_eq(e.text, before.text)); /* only what has a nil becomes it */
    assert_null(e.tags.v);
    assert_int_equal(e.at, before.at);
    assert_ok(decode(f, "null", &e, 0));
    assert_true(str_eq(e.text, before.text));
    assert_true(e.meta.v != NULL && e.meta.n == 0);
    assert_true(e.objs.v != NULL && e.objs.n == 0);
    assert_int_equal(e.integer, -5);
}

/* As the reference's agent answers them. */
static void types_are_named_as_in_go(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"[]", "json: cannot unmarshal array into Go value of type "
               "struct { ExpirationTTL interface {}; Hash string; *structs.Alias }"},
        {"{\"Policies\":5}", "json: cannot unmarshal number into Go struct field "
                             ".Policies of type []structs.ACLTokenPolicyLink"},
        {"{\"Policies\":[5]}", "json: cannot unmarshal number into Go struct field "
                               ".Policies of type structs.ACLTokenPolicyLink"},
        {"{\"ExpirationTime\":\"x\"}",
         "parsing time \"\\\"x\\\"\" as \"\\\"2006-01-02T15:04:05Z07:00\\\"\": "
         "cannot parse \"x\\\"\" as \"2006\""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct acl_token_body body = {0};
        struct value *v;
        struct err err = {0};
        assert_int_equal(json_parse(&f->a, str_from_cstr(cases[i].json), &v, &err), 0);
        assert_true(schema_decode(&acl_token_body_schema, v, &body, &f->a, 0, &err) < 0);
        assert_string_equal(err_text(&err), cases[i].text);
    }
}

static void wrong_types_are_named(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"{\"Integer\":\"1\"}",
         "json: cannot unmarshal string into Go struct field Every.Integer of type int"},
        {"{\"Integer\":1.5}",
         "json: cannot unmarshal number 1.5 into Go struct field Every.Integer of type int"},
        {"{\"Natural\":-1}",
         "json: cannot unmarshal number -1 into Go struct field Every.Natural of type uint64"},
        {"{\"Text\":1}",
         "json: cannot unmarshal number into Go struct field Every.Text of type string"},
        {"{\"Obj\":{\"Name\":[]}}",
         "json: cannot unmarshal array into Go struct field Inner.Obj.Name of type string"},
        {"{\"Tags\":{}}",
         "json: cannot unmarshal object into Go struct field Every.Tags of type []string"},
        {"{\"Flag\":\"yes\"}",
         "json: cannot unmarshal string into Go struct field Every.Flag of type bool"},
        {"[]", "json: cannot unmarshal array into Go value of type structs.Every"},
        {"{\"Wait\":\"soon\"}", "time: invalid duration \"soon\""},
        {"{\"Wait\":\"10\"}", "time: missing unit in duration \"10\""},
        {"{\"Wait\":\"\"}", "time: invalid duration \"\""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct every e;
        schema_zero(&every_schema, &e);
        assert_true(decode(f, cases[i].json, &e, 0) < 0);
        assert_string_equal(f->err.text, cases[i].text);
    }
}

/* In Go their type is interface{}: only text and numbers are looked at. */
static void durations_take_anything(void **state)
{
    static const struct {
        const char *json;
        int64_t ns;
    } cases[] = {
        {"{\"Wait\":\"-1.5s\"}", -1500000000},
        {"{\"Wait\":7}", 7},
        {"{\"Wait\":1.9}", 1},
        {"{\"Wait\":-1e3}", -1000},
        {"{\"Wait\":1e30}", INT64_MIN},
        {"{\"Wait\":18446744073709551615}", INT64_MIN},
        {"{\"Wait\":true}", 0},
        {"{\"Wait\":[1]}", 0},
        {"{\"Wait\":{\"a\":1}}", 0},
        {"{\"Wait\":null}", 5},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct every e;
        schema_zero(&every_schema, &e);
        e.wait = 5;
        assert_ok(decode(f, cases[i].json, &e, DECODE_STRICT));
        assert_int_equal(e.wait, cases[i].ns);
    }
}

static void weak_decoding(void **state)
{
    struct fixture *f = *state;
    struct every e;
    schema_zero(&every_schema, &e);
    assert_ok(decode(f,
                     "{\"Integer\":\"0x10\",\"Natural\":true,\"Real\":\"1.5\",\"Text\":12,"
                     "\"Flag\":\"true\",\"Tags\":\"one\",\"Meta\":[{\"a\":1},{\"b\":true}],"
                     "\"Wait\":\"1m\",\"Pause\":5,\"Objs\":{\"Name\":\"lone\"}}",
                     &e, DECODE_WEAK));
    assert_int_equal(e.integer, 16);
    assert_int_equal(e.natural, 1);
    assert_true(e.real > 1.4 && e.real < 1.6);
    assert_str_lit(e.text, "12");
    assert_true(e.flag);
    assert_int_equal(e.tags.n, 1);
    assert_str_lit(e.tags.v[0], "one");
    struct str value;
    assert_true(strmap_get(e.meta, STR("b"), &value));
    assert_str_lit(value, "1");
    assert_true(e.wait == 60000000000 && e.pause == 5);
    assert_int_equal(e.objs.n, 1);
    assert_true(decode(f, "{\"Integer\":\"x\"}", &e, DECODE_WEAK) < 0);
}

static void free_form_numbers_become_floats(void **state)
{
    struct fixture *f = *state;
    struct every e;
    schema_zero(&every_schema, &e);
    assert_ok(decode(f, "{\"Config\":{\"a\":[1,{\"b\":2}]}}", &e, DECODE_FLOATS));
    const struct value *a = value_get(e.config, STR("a"));
    assert_int_equal(a->list.v[0].kind, VALUE_FLOAT);
    assert_int_equal(value_get(&a->list.v[1], STR("b"))->kind, VALUE_FLOAT);
}

static void maps_are_built_sorted(void **state)
{
    (void)state;
    struct strpair pairs[] = {{STR_INIT("b"), STR_INIT("1")},
                              {STR_INIT("a"), STR_INIT("2")},
                              {STR_INIT("b"), STR_INIT("3")},
                              {STR_INIT(""), STR_INIT("4")}};
    struct strmap m = strmap_build(pairs, ARRAY_SIZE(pairs));
    assert_int_equal(m.n, 3);
    struct str value;
    assert_true(strmap_get(m, STR("b"), &value));
    assert_str_lit(value, "3");
    assert_true(strmap_get(m, STR(""), &value));
    assert_str_lit(value, "4");
    assert_false(strmap_get(m, STR("c"), &value));
    struct strpair wanted[] = {{STR_INIT("a"), STR_INIT("2")}};
    assert_true(strmap_has_all(m, (struct strmap){wanted, 1}));
    wanted[0].value = STR("x");
    assert_false(strmap_has_all(m, (struct strmap){wanted, 1}));
}

static void fields_are_found_by_name(void **state)
{
    (void)state;
    size_t offset;
    const struct field *m = schema_find(&every_schema, STR("ModifyIndex"), &offset);
    assert_non_null(m);
    assert_int_equal(offset, offsetof(struct every, index.modify_index));
    assert_null(schema_find(&every_schema, STR("modifyindex"), &offset));
}

struct by_pointer {
    const struct inner *inner;
    struct str last;
};

static const struct field by_pointer_fields[] = {
    F_SPLICE_PTR(struct by_pointer, inner, const struct inner, &inner_schema),
    F_STR(struct by_pointer, last, "Last", 0),
    FIELDS_END,
};
static const struct schema by_pointer_schema =
    SCHEMA("ByPointer", struct by_pointer, by_pointer_fields);

static void splices_through_pointers(void **state)
{
    struct fixture *f = *state;
    static const struct inner inner = {STR_INIT("n"), 5};
    struct by_pointer p = {&inner, STR("z")};
    struct json_writer w = json_writer_make(&f->out, false);
    json_object(&w, &by_pointer_schema, &p);
    assert_str_lit(buf_view(&f->out), "{\"Name\":\"n\",\"Count\":5,\"Last\":\"z\"}");
    struct value *v;
    struct by_pointer back = {0};
    assert_ok(json_parse(&f->a, buf_view(&f->out), &v, &f->err));
    assert_ok(schema_decode(&by_pointer_schema, v, &back, &f->a, DECODE_STRICT, &f->err));
    assert_true(schema_equal(&by_pointer_schema, &p, &back));

    buf_clear(&f->out);
    msgpack_object(&f->out, &by_pointer_schema, &p);
    assert_str_lit(buf_view(&f->out), "\x83\xa5"
                                      "Count\x05\xa4"
                                      "Last\xa1z\xa4"
                                      "Name\xa1n");
    struct cur c = cur_make(buf_view(&f->out));
    back = (struct by_pointer){0};
    assert_ok(msgpack_decode(&c, &by_pointer_schema, &back, &f->a, &f->err));
    assert_true(schema_equal(&by_pointer_schema, &p, &back));

    buf_clear(&f->out);
    p.inner = NULL;
    w = json_writer_make(&f->out, false);
    json_object(&w, &by_pointer_schema, &p);
    assert_str_lit(buf_view(&f->out), "{\"Last\":\"z\"}");
    struct by_pointer *copy = schema_clone(&by_pointer_schema, &back, NULL);
    assert_true(schema_equal(&by_pointer_schema, &back, copy));
    assert_ptr_not_equal(copy->inner, back.inner);
    mem_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clone_is_equal_and_independent, setup, teardown),
        cmocka_unit_test_setup_teardown(equal_sees_every_member, setup, teardown),
        cmocka_unit_test_setup_teardown(json_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(msgpack_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(names_match_as_in_go, setup, teardown),
        cmocka_unit_test_setup_teardown(null_and_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(types_are_named_as_in_go, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_types_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(durations_take_anything, setup, teardown),
        cmocka_unit_test_setup_teardown(weak_decoding, setup, teardown),
        cmocka_unit_test_setup_teardown(free_form_numbers_become_floats, setup, teardown),
        cmocka_unit_test_setup_teardown(splices_through_pointers, setup, teardown),
        cmocka_unit_test(maps_are_built_sorted),
        cmocka_unit_test(fields_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
