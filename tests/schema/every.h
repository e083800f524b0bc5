/* every.h - a struct with a member of every kind, for the tests of schema/. */
#pragma once
#include "base/clock.h"
#include "schema/field.h"

struct inner {
    struct str name;
    int64_t count;
};

struct spliced {
    uint64_t create_index;
    uint64_t modify_index;
};

struct every {
    bool flag;
    int64_t integer;
    uint64_t natural;
    double real;
    struct str text;
    struct str bytes;
    int64_t wait;
    int64_t pause;
    int64_t at;
    int64_t expires;
    const int64_t *limit;
    const bool *choice;
    struct intlist ports;
    struct f64list vec;
    struct intmap votes;
    struct strlist tags;
    struct strmap meta;
    struct strlistmap services;
    struct inner obj;
    struct inner *ptr;
    struct objlist objs;
    struct ptrlist ptrs;
    struct objmap by_name;
    const struct value *config;
    struct spliced index;
    struct str secret;
    struct str omitted;
    struct str renamed;
};

/* clang-format off */
static const struct field inner_fields[] = {
    F_STR(struct inner, name, "Name", 0),
    F_INT(struct inner, count, "Count", 0),
    FIELDS_END,
};
static const struct schema inner_schema = SCHEMA("Inner", struct inner, inner_fields);

static const struct field spliced_fields[] = {
    F_UINT(struct spliced, create_index, "CreateIndex", F_INDEX | F_NO_FILTER),
    F_UINT(struct spliced, modify_index, "ModifyIndex", F_INDEX | F_NO_FILTER),
    FIELDS_END,
};
static const struct schema spliced_schema = SCHEMA("RaftIndex", struct spliced, spliced_fields);

static const struct field every_fields[] = {
    F_BOOL(struct every, flag, "Flag", 0),
    F_INT(struct every, integer, "Integer", 0),
    F_UINT(struct every, natural, "Natural", 0),
    F_FLOAT(struct every, real, "Real", 0),
    F_STR(struct every, text, "Text", 0),
    F_BYTES(struct every, bytes, "Bytes", 0),
    F_DURATION(struct every, wait, "Wait", 0),
    F_DURATION(struct every, pause, "Pause", F_DUR_TEXT),
    F_TIME(struct every, at, "At", 0),
    F_TIME(struct every, expires, "Expires", F_NULLABLE),
    F_INT_PTR(struct every, limit, "Limit", 0),
    F_BOOL_PTR(struct every, choice, "Choice", 0),
    F_INTLIST(struct every, ports, "Ports", 0),
    F_F64LIST(struct every, vec, "Vec", 0),
    F_INTMAP(struct every, votes, "Votes", 0),
    F_STRLIST(struct every, tags, "Tags", 0),
    F_STRMAP(struct every, meta, "Meta", 0),
    F_STRLISTMAP(struct every, services, "Services", 0),
    F_OBJ(struct every, obj, struct inner, "Obj", 0, &inner_schema),
    F_PTR(struct every, ptr, struct inner, "Ptr", 0, &inner_schema),
    F_OBJLIST(struct every, objs, "Objs", 0, &inner_schema),
    F_PTRLIST(struct every, ptrs, "Ptrs", 0, &inner_schema),
    F_OBJMAP(struct every, by_name, "ByName", 0, &inner_schema),
    F_VALUE(struct every, config, "Config", 0),
    F_SPLICE(struct every, index, struct spliced, &spliced_schema),
    F_STR(struct every, secret, "Secret", F_NO_JSON | F_NO_FILTER),
    F_STR(struct every, omitted, "Omitted", F_OMITEMPTY | F_NO_MSGPACK),
    FJ_STR(struct every, renamed, "Renamed", "new_name", 0),
    FJ_STR(struct every, renamed, "Renamed", "OldName", F_ALIAS),
    FIELDS_END,
};
static const struct schema every_schema = SCHEMA("Every", struct every, every_fields);
/* clang-format on */

/* Every member holds something. */
static inline struct every every_full(struct arena *a)
{
    struct every e;
    schema_zero(&every_schema, &e);
    e.flag = true;
    e.integer = -5;
    e.natural = UINT64_MAX;
    e.real = 0.25;
    e.text = STR("<a \"b\">\n");
    e.bytes = STR("\x00\x01\xff");
    e.wait = 1500000000;
    e.pause = 90000000000;
    e.at = 1600000000123456789;
    e.expires = 1600000001000000000;
    static const int64_t limit = 0;
    static const bool choice = false;
    e.limit = &limit;
    e.choice = &choice;
    static const int64_t ports[] = {80, -1, 70000};
    e.ports = (struct intlist){ports, 3};
    static const double vec[] = {0.5, -1e-7, 3};
    e.vec = (struct f64list){vec, 3};
    static const struct intmap_pair votes[] = {{STR_INIT("a"), 1}, {STR_INIT("b"), -2}};
    e.votes = (struct intmap){votes, 2};
    static const struct str tags[] = {STR_INIT("v1"), STR_INIT(""), STR_INIT("blue")};
    e.tags = (struct strlist){tags, 3};
    static const struct strpair meta[] = {{STR_INIT("env"), STR_INIT("prod")},
                                          {STR_INIT("rack"), STR_INIT("2")}};
    e.meta = (struct strmap){meta, 2};
    static const struct strlist_pair services[] = {{STR_INIT("db"), {NULL, 0}},
                                                   {STR_INIT("web"), {tags, 3}}};
    e.services = (struct strlistmap){services, 2};
    e.obj = (struct inner){STR("obj"), 1};
    e.ptr = ARENA_NEW(a, struct inner);
    *e.ptr = (struct inner){STR("ptr"), 200};
    e.objs = (struct objlist){ARENA_ARRAY(a, struct inner, 2), 2};
    ((struct inner *)e.objs.v)[0] = (struct inner){STR("first"), 1 << 20};
    ((struct inner *)e.objs.v)[1] = (struct inner){STR("second"), -40};
    e.ptrs = (struct ptrlist){ARENA_ARRAY(a, void *, 1), 1};
    e.ptrs.v[0] = e.ptr;
    e.by_name = (struct objmap){ARENA_ARRAY(a, struct objmap_pair, 1), 1};
    e.by_name.v[0] = (struct objmap_pair){STR("key"), e.ptr};
    struct value *list = ARENA_ARRAY(a, struct value, 5);
    list[0] = (struct value){.kind = VALUE_INT, .i = -7};
    list[1] = (struct value){.kind = VALUE_FLOAT, .f = 1.5};
    list[2] = (struct value){.kind = VALUE_BOOL, .b = true};
    list[3] = (struct value){.kind = VALUE_NULL};
    list[4] = (struct value){.kind = VALUE_STR, .s = STR("s")};
    struct value_pair *pair = ARENA_NEW(a, struct value_pair);
    *pair = (struct value_pair){STR("list"), {.kind = VALUE_LIST, .list = {list, 5}}};
    struct value *config = ARENA_NEW(a, struct value);
    *config = (struct value){.kind = VALUE_MAP, .map = {pair, 1}};
    e.config = config;
    e.index = (struct spliced){11, 12};
    e.secret = STR("hidden");
    e.omitted = STR("shown");
    e.renamed = STR("other name");
    return e;
}
