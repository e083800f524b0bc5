#include "test.h"

#include "base/clock.h"
#include "base/err.h"
#include "schema/catalog.h"
#include "schema/json.h"
#include "schema/kv.h"
#include "schema/msgpack.h"
#include "schema/session.h"

#include <stdio.h>
#include <stdlib.h>

static void integers_take_the_shortest_form(void **state)
{
    (void)state;
    static const struct {
        int64_t i;
        const char *bytes;
        size_t n;
    } cases[] = {
        {0, "\x00", 1},
        {127, "\x7f", 1},
        {128, "\xcc\x80", 2},
        {255, "\xcc\xff", 2},
        {256, "\xcd\x01\x00", 3},
        {65536, "\xce\x00\x01\x00\x00", 5},
        {4294967296, "\xcf\x00\x00\x00\x01\x00\x00\x00\x00", 9},
        {-1, "\xff", 1},
        {-32, "\xe0", 1},
        {-33, "\xd0\xdf", 2},
        {-128, "\xd0\x80", 2},
        {-129, "\xd1\xff\x7f", 3},
        {-32769, "\xd2\xff\xff\x7f\xff", 5},
        {-2147483649, "\xd3\xff\xff\xff\xff\x7f\xff\xff\xff", 9},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct buf b = {0};
        msgpack_i64(&b, cases[i].i);
        assert_str_equal(buf_view(&b), str_make(cases[i].bytes, cases[i].n));
        struct cur c = cur_make(buf_view(&b));
        assert_true(msgpack_read_i64(&c) == cases[i].i);
        assert_false(c.failed);
        buf_deinit(&b);
    }
}

static void raws_are_of_the_old_kind(void **state)
{
    (void)state;
    static const struct {
        size_t size, head;
        uint8_t tag;
    } cases[] = {{0, 1, 0xa0}, {31, 1, 0xbf}, {32, 3, 0xda}, {65535, 3, 0xda}, {65536, 5, 0xdb}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *text = calloc(1, cases[i].size + 1);
        struct buf b = {0};
        msgpack_raw(&b, str_make(text, cases[i].size));
        assert_int_equal(b.n, cases[i].head + cases[i].size);
        assert_int_equal((uint8_t)b.p[0], cases[i].tag);
        struct cur c = cur_make(buf_view(&b));
        assert_int_equal(msgpack_read_raw(&c).n, cases[i].size);
        assert_int_equal(cur_left(&c), 0);
        buf_deinit(&b);
        free(text);
    }
    /* Readers know the newer forms. */
    struct cur c = cur_make(STR("\xd9\x02hi\xc4\x01x\xc5\x00\x01y\xc0"));
    assert_str_lit(msgpack_read_raw(&c), "hi");
    assert_str_lit(msgpack_read_raw(&c), "x");
    assert_str_lit(msgpack_read_raw(&c), "y");
    assert_int_equal(msgpack_read_raw(&c).n, 0);
    assert_false(c.failed);
}

static void times_are_gos_binary_form(void **state)
{
    (void)state;
    struct buf b = {0};
    msgpack_time(&b, 1600000000123456789);
    assert_str_equal(buf_view(&b),
                     STR("\xaf\x01\x00\x00\x00\x0e\xd6\xf0\x07\x00\x07\x5b\xcd\x15\xff\xff"));
    struct cur c = cur_make(buf_view(&b));
    assert_true(msgpack_read_time(&c) == 1600000000123456789);
    buf_clear(&b);
    msgpack_time(&b, TIME_ZERO);
    assert_str_equal(buf_view(&b),
                     STR("\xaf\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff"));
    c = cur_make(buf_view(&b));
    assert_true(msgpack_read_time(&c) == TIME_ZERO);
    /* Before 1970, and an offset of +60 minutes, which does not move the instant. */
    buf_clear(&b);
    msgpack_time(&b, -1);
    b.p[b.n - 2] = 0;
    b.p[b.n - 1] = 60;
    c = cur_make(buf_view(&b));
    assert_true(msgpack_read_time(&c) == -1);
    buf_deinit(&b);
}

static void hostile_input_is_refused(void **state)
{
    (void)state;
    static const struct str cases[] = {
        STR_INIT("\xdd\xff\xff\xff\xff"),     /* a list of four billion */
        STR_INIT("\xdf\x7f\xff\xff\xff\x01"), /* a map as large */
        STR_INIT("\xdb\xff\xff\xff\xff"
                 "abc"),  /* a string as long */
        STR_INIT("\xc1"), /* never used */
        STR_INIT(""),     /* nothing */
        STR_INIT("\x81\xa1"
                 "a"),            /* a key alone */
        STR_INIT("\x81\x01\x01"), /* a key that is a number */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arena a = {0};
        struct err err = {0};
        struct value *v;
        struct cur c = cur_make(cases[i]);
        assert_true(msgpack_decode_value(&c, &a, &v, &err) < 0);
        assert_true(a.size < 100000);
        arena_deinit(&a);
    }
    char deep[1000];
    memset(deep, (char)0x91, sizeof(deep));
    struct cur c = cur_make(str_make(deep, sizeof(deep)));
    assert_true(msgpack_skip(&c) < 0);
    struct arena a = {0};
    struct err err = {0};
    struct value *v;
    c = cur_make(str_make(deep, sizeof(deep)));
    assert_true(msgpack_decode_value(&c, &a, &v, &err) < 0);
    arena_deinit(&a);
}

static void errors_name_the_field(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct node node;
    schema_zero(&node_schema, &node);
    struct cur c = cur_make(STR("\x82\xa7"
                                "Address\xa1x\xa4Node\x05"));
    assert_true(msgpack_decode(&c, &node_schema, &node, &a, &err) < 0);
    assert_string_equal(err.text, "msgpack: malformed field Node.Node");
    arena_deinit(&a);
}

/* A list of empty structs: a byte each on the wire, much more in memory. */
static void memory_is_bounded_by_the_input(void **state)
{
    (void)state;
    const size_t count = (size_t)1 << 20;
    struct buf b = {0};
    msgpack_map(&b, 1);
    msgpack_raw(&b, STR("Checks"));
    msgpack_array(&b, count);
    buf_fill(&b, (char)0x80, count);
    struct arena a = {0};
    struct err err = {0};
    struct register_request r;
    schema_zero(&register_request_schema, &r);
    struct cur c = cur_make(buf_view(&b));
    assert_true(msgpack_decode(&c, &register_request_schema, &r, &a, &err) < 0);
    assert_string_equal(err.text, "msgpack: malformed field RegisterRequest.Checks");
    assert_true(a.size < ((size_t)1 << 20));
    arena_deinit(&a);
    buf_deinit(&b);
}

static struct str file_read(const char *name, struct buf *to)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", getenv("TEST_DATA"), name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char chunk[4096];
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), f)) > 0;) {
        buf_put(to, chunk, n);
    }
    fclose(f);
    return buf_view(to);
}

/* A snapshot of Consul 1.10.3: a header, then a type byte and a value each. Reading every value and
 * writing it again gives the same bytes, so the forms we choose are the reference's. */
static void a_recorded_snapshot_reads_and_writes_the_same(void **state)
{
    (void)state;
    struct buf file = {0};
    struct cur c = cur_make(file_read("snapshot/state.bin", &file));
    struct arena a = {0};
    struct err err = {0};
    size_t count = 0;
    for (bool header = true; cur_left(&c) > 0; header = false, count++) {
        if (!header) {
            (void)cur_u8(&c);
        }
        const uint8_t *start = c.p;
        struct value *v;
        assert_ok(msgpack_decode_value(&c, &a, &v, &err));
        struct buf b = {0};
        msgpack_value(&b, v);
        assert_str_equal(buf_view(&b), str_make(start, (size_t)(c.p - start)));
        buf_deinit(&b);
        struct cur again = {.p = start, .end = c.p};
        assert_ok(msgpack_skip(&again));
        assert_int_equal(cur_left(&again), 0);
    }
    assert_true(count > 20);
    arena_deinit(&a);
    buf_deinit(&file);
}

/* The same records through our structs: nothing is lost, renamed or out of place. Maps of strings
 * are in no order in the recording, so values are compared, and the keys of the outermost struct.
 */
static void recorded_records_fit_the_tables(void **state)
{
    (void)state;
    static const struct schema *const schemas[] = {
        [0] = &register_request_schema, [2] = &dir_entry_schema, [3] = &session_schema};
    struct buf file = {0};
    struct cur c = cur_make(file_read("snapshot/state.bin", &file));
    struct arena a = {0};
    struct err err = {0};
    size_t count = 0;
    assert_ok(msgpack_skip(&c));
    while (cur_left(&c) > 0) {
        uint8_t type = cur_u8(&c);
        struct cur typed = c;
        struct value *recorded;
        assert_ok(msgpack_decode_value(&c, &a, &recorded, &err));
        if (type >= ARRAY_SIZE(schemas) || schemas[type] == NULL) {
            continue;
        }
        void *object = arena_alloc(&a, schemas[type]->size);
        schema_zero(schemas[type], object);
        assert_ok(msgpack_decode(&typed, schemas[type], object, &a, &err));
        assert_ptr_equal(typed.p, c.p);
        struct buf b = {0};
        msgpack_object(&b, schemas[type], object);
        struct cur again = cur_make(buf_view(&b));
        struct value *written;
        assert_ok(msgpack_decode_value(&again, &a, &written, &err));
        assert_true(value_eq(recorded, written));
        for (size_t i = 0; i < recorded->map.n; i++) {
            assert_str_equal(written->map.v[i].key, recorded->map.v[i].key);
        }
        buf_deinit(&b);
        count++;
    }
    assert_int_equal(count, 18);
    arena_deinit(&a);
    buf_deinit(&file);
}

struct numbers {
    struct intlist values;
};
static const struct field numbers_fields[] = {
    F_INTLIST(struct numbers, values, "", 0),
    FIELDS_END,
};
static const struct schema numbers_schema = SCHEMA("[]int", struct numbers, numbers_fields);

static void a_lone_member_without_a_name_is_a_plain_value(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};
    struct numbers in = {.values = {(const int64_t[]){1, -1}, 2}}, out = {0};
    msgpack_object(&b, &numbers_schema, &in);
    assert_str_equal(buf_view(&b), STR("\x92\x01\xff"));
    struct cur c = cur_make(buf_view(&b));
    assert_ok(msgpack_decode(&c, &numbers_schema, &out, &a, &err));
    assert_int_equal(out.values.n, 2);
    assert_int_equal(out.values.v[1], -1);
    buf_clear(&b);
    msgpack_object(&b, &numbers_schema, &(struct numbers){0});
    assert_str_equal(buf_view(&b), STR("\xc0"));
    c = cur_make(STR("\x81\xa0\x90"));
    assert_int_equal(msgpack_decode(&c, &numbers_schema, &out, &a, &err), -ERR_INVALID);
    buf_deinit(&b);
    arena_deinit(&a);
}

struct matrix {
    struct objlist rows; /* struct numbers */
};
static const struct field matrix_fields[] = {
    F_OBJLIST(struct matrix, rows, "Rows", 0, &numbers_schema),
    FIELDS_END,
};
static const struct schema matrix_schema = SCHEMA("Matrix", struct matrix, matrix_fields);

static void lists_of_lists(void **state)
{
    (void)state;
    struct arena a = {0};
    struct err err = {0};
    struct buf b = {0};
    struct numbers rows[] = {
        {{(const int64_t[]){1, 2}, 2}}, {{NULL, 0}}, {{(const int64_t *)SCHEMA_EMPTY, 0}}};
    struct matrix in = {{rows, 3}}, out = {0};
    msgpack_object(&b, &matrix_schema, &in);
    assert_str_equal(buf_view(&b), STR("\x81\xa4Rows\x93\x92\x01\x02\xc0\x90"));
    struct cur c = cur_make(buf_view(&b));
    assert_ok(msgpack_decode(&c, &matrix_schema, &out, &a, &err));
    assert_true(schema_equal(&matrix_schema, &in, &out));
    const struct matrix *copy = schema_copy(&a, &matrix_schema, &out);
    assert_true(schema_equal(&matrix_schema, &in, copy));

    /* JSON, too, has the lists alone, and tells nil from empty. */
    buf_clear(&b);
    struct json_writer w = json_writer_make(&b, false);
    json_object(&w, &matrix_schema, copy);
    assert_str_equal(buf_view(&b), STR("{\"Rows\":[[1,2],null,[]]}"));
    struct value *v;
    struct matrix again = {0};
    assert_ok(json_parse(&a, buf_view(&b), &v, &err));
    assert_ok(schema_decode(&matrix_schema, v, &again, &a, DECODE_STRICT, &err));
    assert_true(schema_equal(&matrix_schema, &in, &again));
    assert_null(((const struct numbers *)again.rows.v)[1].values.v);
    assert_ok(json_parse(&a, STR("{\"Rows\":[[1],{\"\":[2]}]}"), &v, &err));
    assert_true(schema_decode(&matrix_schema, v, &again, &a, DECODE_STRICT, &err) < 0);
    buf_deinit(&b);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_take_the_shortest_form),
        cmocka_unit_test(raws_are_of_the_old_kind),
        cmocka_unit_test(times_are_gos_binary_form),
        cmocka_unit_test(hostile_input_is_refused),
        cmocka_unit_test(errors_name_the_field),
        cmocka_unit_test(memory_is_bounded_by_the_input),
        cmocka_unit_test(a_recorded_snapshot_reads_and_writes_the_same),
        cmocka_unit_test(recorded_records_fit_the_tables),
        cmocka_unit_test(a_lone_member_without_a_name_is_a_plain_value),
        cmocka_unit_test(lists_of_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
