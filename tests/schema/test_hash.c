/* The numbers wanted are what Go's hashstructure, of the version in 1.10.3, gave for structs of
 * these names. */
#include "test.h"

#include "schema/hash.h"

struct leaf {
    int64_t passing, warning;
};

static const struct field leaf_fields[] = {
    F_INT(struct leaf, passing, "Passing", 0),
    F_INT(struct leaf, warning, "Warning", 0),
    FIELDS_END,
};
static const struct schema leaf_schema = SCHEMA("Leaf", struct leaf, leaf_fields);

struct thing {
    struct str name;
    struct strlist tags;
    struct strmap meta;
    bool flag;
    const struct value *config;
    struct leaf *pointer;
    struct leaf inside;
    struct objlist list;
    uint64_t ignored;
};

#define T struct thing
static const struct field thing_fields[] = {
    F_STR(T, name, "Name", 0),
    F_STRLIST(T, tags, "Tags", 0),
    F_STRMAP(T, meta, "Meta", 0),
    F_BOOL(T, flag, "Flag", 0),
    F_VALUE(T, config, "Config", 0),
    F_PTR(T, pointer, struct leaf, "Pointer", 0, &leaf_schema),
    F_OBJ(T, inside, struct leaf, "Inside", F_NULLABLE, &leaf_schema),
    F_OBJLIST(T, list, "List", 0, &leaf_schema),
    F_UINT(T, ignored, "Ignored", F_NO_HASH),
    FIELDS_END,
};
#undef T
static const struct schema thing_schema = SCHEMA("Thing", struct thing, thing_fields);

static void test_hash(void **state)
{
    (void)state;
    static const struct str ab[] = {STR_INIT("a"), STR_INIT("b")},
                            ba[] = {STR_INIT("b"), STR_INIT("a")};
    static const struct strpair pairs[] = {{STR_INIT("k"), STR_INIT("v")},
                                           {STR_INIT("x"), STR_INIT("y")}};
    struct value items[] = {{.kind = VALUE_STR, .s = STR("p")}, {.kind = VALUE_NULL}};
    struct value_pair inner[] = {{STR("q"), {.kind = VALUE_BOOL, .b = false}}};
    struct value_pair outer[] = {
        {STR("s"), {.kind = VALUE_STR, .s = STR("x")}},
        {STR("n"), {.kind = VALUE_FLOAT, .f = 1.5}},
        {STR("i"), {.kind = VALUE_INT, .i = 3}},
        {STR("b"), {.kind = VALUE_BOOL, .b = true}},
        {STR("l"), {.kind = VALUE_LIST, .list = {items, ARRAY_SIZE(items)}}},
        {STR("m"), {.kind = VALUE_MAP, .map = {inner, ARRAY_SIZE(inner)}}},
    };
    const struct value config = {.kind = VALUE_MAP, .map = {outer, ARRAY_SIZE(outer)}};
    const struct value nothing = {.kind = VALUE_NULL};
    struct leaf zero = {0}, list[] = {{1, 2}, {3, 4}};
    const struct {
        struct thing thing;
        uint64_t hash;
    } cases[] = {
        {{.flag = false}, 0x8035e4e5cc47c3bc},
        {{.tags = {SCHEMA_EMPTY, 0}, .config = &nothing}, 0x8035e4e5cc47c3bc},
        {{.name = STR("web"), .ignored = 7}, 0x28e1fb86cd6905af},
        {{.tags = {ab, 2}}, 0x0a1b7752c42c0bd6},
        {{.tags = {ba, 2}}, 0x4cae4d920a4889b5},
        {{.meta = {pairs, 2}}, 0xb88fbd9495af63e0},
        {{.flag = true}, 0xde676c6b7fbd7b57},
        {{.config = &config}, 0xc47d50251189dbf8},
        {{.pointer = &zero}, 0x00362399c7855928},
        {{.inside = {1, -1}}, 0x361f80d733df5742},
        {{.list = {list, 2}}, 0x08ab14b8f33c5609},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(schema_hash(&thing_schema, &cases[i].thing), cases[i].hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hash)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
