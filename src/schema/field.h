/* field.h - one table describes a struct; everything else reads the table.
 *
 * Each struct that crosses an interface (API, RPC, Raft log, snapshot, configuration) has
 *
 *     static const struct field node_fields[] = {
 *         F_STR(struct node, id, "ID", 0),
 *         F_STRMAP(struct node, meta, "Meta", 0),
 *         FIELDS_END};
 *     const struct schema node_schema = SCHEMA("Node", struct node, node_fields);
 *
 * and from it come JSON out and in, msgpack out and in, filter selectors, deep copy and equality.
 * The macros check each member's C type against its kind at compile time. Order of the table is the
 * order of output, so it is Consul's.
 *
 * Representation. Strings are struct str. Go tells a nil list or map from an empty one and JSON
 * shows the difference (null, []): here nil is v == NULL, and an empty non-nil one has v != NULL
 * and n == 0 (point it at anything: SCHEMA_EMPTY). Maps are sorted by key, as Go prints them.
 * Pointers in a decoded object point into the arena it was decoded to; a clone (schema_clone) is
 * one single heap block, so free it with mem_free().
 *
 * Names. `name` is the Go field name: msgpack uses it, filters use it, and JSON does where `json`
 * is NULL. Decoding JSON matches names as Go does (exact first, then case-insensitive); with
 * DECODE_SNAKE underscores in the input's key are ignored too (enable_tag_override). msgpack names
 * match exactly. A table of one member named "" describes what is no struct in Go (a reply that is
 * a bool, a []string; the elements of a list of lists): msgpack and JSON have the member's value
 * alone, without a map around it. */
#pragma once
#include "schema/value.h"

#include <stddef.h>

struct buf;
struct cur;
struct err;
struct schema;
struct schema_plan;

struct strlist {
    const struct str *v;
    size_t n;
};

struct strpair {
    struct str key, value;
};

struct strmap { /* map[string]string, sorted by key, no key twice */
    const struct strpair *v;
    size_t n;
};

struct strlist_pair {
    struct str key;
    struct strlist values;
};

struct strlistmap { /* map[string][]string, sorted by key */
    const struct strlist_pair *v;
    size_t n;
};

struct f64list { /* []float64 */
    const double *v;
    size_t n;
};

struct intlist { /* []int */
    const int64_t *v;
    size_t n;
};

struct intmap_pair {
    struct str key;
    int64_t value;
};

struct intmap { /* map[string]int, sorted by key */
    const struct intmap_pair *v;
    size_t n;
};

struct objlist { /* elements of one struct type, side by side */
    void *v;
    size_t n;
};

struct ptrlist { /* pointers to structs of one type; none is NULL */
    void **v;
    size_t n;
};

struct objmap_pair {
    struct str key;
    void *value; /* one struct; never NULL */
};

struct objmap { /* map[string]T, sorted by key */
    struct objmap_pair *v;
    size_t n;
};

/* A non-nil empty list or map points here. */
extern const char schema_empty_[16];
#define SCHEMA_EMPTY ((void *)schema_empty_)

enum field_kind {
    FIELD_BOOL,       /* bool */
    FIELD_INT,        /* int64_t */
    FIELD_UINT,       /* uint64_t */
    FIELD_FLOAT,      /* double */
    FIELD_STR,        /* struct str */
    FIELD_BYTES,      /* struct str; JSON: base64, null when p is NULL; msgpack: raw */
    FIELD_DURATION,   /* int64_t nanoseconds; JSON in: number (ns) or "10s" */
    FIELD_TIME,       /* int64_t ns since 1970, TIME_ZERO for none; JSON: RFC 3339; msgpack: Go's
                         time.Time binary form */
    FIELD_INT_PTR,    /* const int64_t *; NULL is Go's nil *int */
    FIELD_BOOL_PTR,   /* const bool *; NULL is Go's nil *bool */
    FIELD_INTLIST,    /* struct intlist */
    FIELD_INTMAP,     /* struct intmap */
    FIELD_STRLIST,    /* struct strlist */
    FIELD_STRMAP,     /* struct strmap */
    FIELD_STRLISTMAP, /* struct strlistmap */
    FIELD_F64LIST,    /* struct f64list */
    FIELD_OBJ,        /* embedded struct */
    FIELD_PTR,        /* pointer to struct, NULL is null */
    FIELD_OBJLIST,    /* struct objlist */
    FIELD_PTRLIST,    /* struct ptrlist */
    FIELD_OBJMAP,     /* struct objmap */
    FIELD_VALUE,      /* const struct value *: anything; NULL is nil */
    FIELD_SPLICE,     /* embedded struct whose fields appear as this one's own (Go embedding) */
    FIELD_SPLICE_PTR, /* the same through a pointer; decoding makes the object when it is
                         NULL, and writes through the pointer when it is not */
};

enum field_flag {
    F_OMITEMPTY = 1u << 0,      /* JSON: left out when zero, nil, empty; structs, too */
    F_NO_JSON = 1u << 1,        /* json:"-" */
    F_NO_MSGPACK = 1u << 2,     /* codec:"-" */
    F_NO_FILTER = 1u << 3,      /* bexpr:"-" */
    F_DUR_TEXT = 1u << 4,       /* duration printed as "10s" in JSON instead of nanoseconds */
    F_NIL_AS_EMPTY = 1u << 5,   /* a nil list or map is printed as [] or {} */
    F_ALIAS = 1u << 6,          /* input only: another accepted name of an earlier member */
    F_WEAK = 1u << 7,           /* decoding accepts "5" for 5, 1 for true, a lone item for a list */
    F_NO_HASH = 1u << 8,        /* hash:"ignore": schema_hash leaves it out */
    F_INDEX = 1u << 9,          /* a Raft index: schema_equal leaves it out */
    F_NO_EQUAL = 1u << 10,      /* schema_equal leaves it out */
    F_DUR_OMIT_ZERO = 1u << 11, /* duration text "" instead of "0s" for zero */
    F_MSGPACK_OMITEMPTY = 1u << 12, /* codec:",omitempty" */
    F_NULLABLE = 1u << 13, /* a pointer in Go (*string, *time.Time): zero stands for nil, which is
                              null in JSON and msgpack and empty for F_OMITEMPTY */
    F_MSGPACK_NIL_AS_EMPTY = 1u << 14, /* F_NIL_AS_EMPTY of msgpack: Go made a new list or map */
    F_FLOAT32 = 1u << 15, /* a float32 in Go: fewer digits in JSON, four bytes in msgpack */
    F_LENIENT = 1u << 16, /* a struct with an UnmarshalJSON of its own that ignores unknown keys:
                             DECODE_STRICT does not reach into it */
};

struct field {
    const char *name; /* NULL ends the table */
    const char *json; /* NULL: the same */
    uint32_t flags;   /* enum field_flag */
    uint32_t offset;
    uint16_t kind;            /* enum field_kind */
    const struct schema *sub; /* of struct kinds */
};

/* A type of Go's with MarshalBinary: its msgpack is one raw, and these are the bytes within. Plain
 * fields where a function is NULL. */
struct schema_binary {
    void (*put)(struct buf *to, const void *object);
    int (*read)(struct cur *c, void *object, struct arena *a, struct err *err);
};

struct schema {
    const char *name; /* Go's type name, for error texts */
    size_t size;
    const struct field *fields;
    struct schema_plan **plan; /* what was worked out from the table at first use; see plan.h */
    const struct schema_binary *binary; /* NULL: msgpack is a map of the fields */
    /* An interface of Go's: objects of several types that begin alike. This tells the type of one.
     * Such objects are behind pointers only; who decodes one makes it first. */
    const struct schema *(*actual)(const void *object);
};

static inline const struct schema *schema_actual(const struct schema *schema, const void *object)
{
    return schema->actual == NULL ? schema : schema->actual(object);
}

#define FIELD_CHECK_(T, m, C) \
    (0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->m), C) ? 1 : -1]))
#define FIELD_(T, m, C, K, N, J, FL, SUB)                                          \
    {                                                                              \
        .name = (N), .json = (J), .kind = (K), .flags = (FL),                      \
        .offset = (uint32_t)(offsetof(T, m) + FIELD_CHECK_(T, m, C)), .sub = (SUB) \
    }
#define F_BOOL(T, m, N, FL) FIELD_(T, m, bool, FIELD_BOOL, N, NULL, FL, NULL)
#define F_INT(T, m, N, FL) FIELD_(T, m, int64_t, FIELD_INT, N, NULL, FL, NULL)
#define F_UINT(T, m, N, FL) FIELD_(T, m, uint64_t, FIELD_UINT, N, NULL, FL, NULL)
#define F_FLOAT(T, m, N, FL) FIELD_(T, m, double, FIELD_FLOAT, N, NULL, FL, NULL)
#define F_STR(T, m, N, FL) FIELD_(T, m, struct str, FIELD_STR, N, NULL, FL, NULL)
#define F_BYTES(T, m, N, FL) FIELD_(T, m, struct str, FIELD_BYTES, N, NULL, FL, NULL)
#define F_DURATION(T, m, N, FL) FIELD_(T, m, int64_t, FIELD_DURATION, N, NULL, FL, NULL)
#define F_TIME(T, m, N, FL) FIELD_(T, m, int64_t, FIELD_TIME, N, NULL, FL, NULL)
#define F_INT_PTR(T, m, N, FL) FIELD_(T, m, const int64_t *, FIELD_INT_PTR, N, NULL, FL, NULL)
#define F_BOOL_PTR(T, m, N, FL) FIELD_(T, m, const bool *, FIELD_BOOL_PTR, N, NULL, FL, NULL)
#define F_INTLIST(T, m, N, FL) FIELD_(T, m, struct intlist, FIELD_INTLIST, N, NULL, FL, NULL)
#define F_INTMAP(T, m, N, FL) FIELD_(T, m, struct intmap, FIELD_INTMAP, N, NULL, FL, NULL)
#define F_STRLIST(T, m, N, FL) FIELD_(T, m, struct strlist, FIELD_STRLIST, N, NULL, FL, NULL)
#define F_STRMAP(T, m, N, FL) FIELD_(T, m, struct strmap, FIELD_STRMAP, N, NULL, FL, NULL)
#define F_STRLISTMAP(T, m, N, FL) \
    FIELD_(T, m, struct strlistmap, FIELD_STRLISTMAP, N, NULL, FL, NULL)
#define F_F64LIST(T, m, N, FL) FIELD_(T, m, struct f64list, FIELD_F64LIST, N, NULL, FL, NULL)
#define F_VALUE(T, m, N, FL) FIELD_(T, m, const struct value *, FIELD_VALUE, N, NULL, FL, NULL)
#define F_OBJ(T, m, C, N, FL, SUB) FIELD_(T, m, C, FIELD_OBJ, N, NULL, FL, SUB)
#define F_PTR(T, m, C, N, FL, SUB) FIELD_(T, m, C *, FIELD_PTR, N, NULL, FL, SUB)
#define F_OBJLIST(T, m, N, FL, SUB) FIELD_(T, m, struct objlist, FIELD_OBJLIST, N, NULL, FL, SUB)
#define F_PTRLIST(T, m, N, FL, SUB) FIELD_(T, m, struct ptrlist, FIELD_PTRLIST, N, NULL, FL, SUB)
#define F_OBJMAP(T, m, N, FL, SUB) FIELD_(T, m, struct objmap, FIELD_OBJMAP, N, NULL, FL, SUB)
#define F_SPLICE(T, m, C, SUB) FIELD_(T, m, C, FIELD_SPLICE, "", NULL, 0, SUB)
#define F_SPLICE_PTR(T, m, C, SUB) FIELD_(T, m, C *, FIELD_SPLICE_PTR, "", NULL, 0, SUB)
/* As F_x, with another JSON name: J(F_STR, struct x, m, "Name", "jsonName", 0) */
#define FJ_STR(T, m, N, J, FL) FIELD_(T, m, struct str, FIELD_STR, N, J, FL, NULL)
#define FJ_INT(T, m, N, J, FL) FIELD_(T, m, int64_t, FIELD_INT, N, J, FL, NULL)
#define FJ_BOOL(T, m, N, J, FL) FIELD_(T, m, bool, FIELD_BOOL, N, J, FL, NULL)
/* Any kind with another JSON name: K and C as in the list of kinds. */
#define FJ(T, m, C, K, N, J, FL, SUB) FIELD_(T, m, C, K, N, J, FL, SUB)
#define FJ_OBJ(T, m, C, N, J, FL, SUB) FIELD_(T, m, C, FIELD_OBJ, N, J, FL, SUB)
#define FIELDS_END   \
    {                \
        .name = NULL \
    }
/* At file scope only: the plan's slot is a static object of its own. */
#define SCHEMA(N, T, F)                                                                \
    {                                                                                  \
        .name = (N), .size = sizeof(T), .fields = (F), .plan = &(struct schema_plan *) \
        {                                                                              \
            NULL                                                                       \
        }                                                                              \
    }

/* As SCHEMA, for a type with MarshalBinary. */
#define SCHEMA_BINARY(N, T, F, B)                                     \
    {                                                                 \
        .name = (N), .size = sizeof(T), .fields = (F), .binary = (B), \
        .plan = &(struct schema_plan *)                               \
        {                                                             \
            NULL                                                      \
        }                                                             \
    }

/* --- lists and maps ------------------------------------------------------------------------ */

static inline struct str strlist_get_or_empty(struct strlist l, size_t i)
{
    return i < l.n ? l.v[i] : STR_NULL;
}
bool strlist_contains(struct strlist l, struct str s);
bool strlist_contains_fold(struct strlist l, struct str s);
bool strlist_eq(struct strlist a, struct strlist b);
bool strmap_get(struct strmap m, struct str key, struct str *ret_value);
bool strmap_eq(struct strmap a, struct strmap b);
/* Every pair of `wanted` is in m. */
bool strmap_has_all(struct strmap m, struct strmap wanted);
void *objmap_get(struct objmap m, struct str key);
/* Build a map from pairs in any order; a later key replaces an earlier one. Sorts in place; the
 * strings stay borrowed. */
struct strmap strmap_build(struct strpair *pairs, size_t count);
struct objmap objmap_build(struct objmap_pair *pairs, size_t count);

/* --- whole objects ------------------------------------------------------------------------- */

/* Go's zero value: zero bytes, except that times are TIME_ZERO. */
void schema_zero(const struct schema *schema, void *object);

/* A deep copy as one heap block; *ret_size, when asked for, is the block's. Strings in it are
 * NUL-terminated. The struct itself comes first, aligned to 16; with _sized it has at least `size`
 * bytes, zero behind the struct: room for the caller's own trailer. */
void *schema_clone(const struct schema *schema, const void *object, size_t *ret_size);
void *schema_clone_sized(const struct schema *schema, const void *object, size_t size,
                         size_t *ret_size);
/* A deep copy into an arena. */
void *schema_copy(struct arena *a, const struct schema *schema, const void *object);
/* Equality of all fields except F_INDEX and F_NO_EQUAL; nil and empty lists and maps are equal. */
bool schema_equal(const struct schema *schema, const void *a, const void *b);
/* The field by Go name, splices searched; NULL when there is none. *ret_offset is from the start
 * of the outermost struct (splices by value only). */
const struct field *schema_find(const struct schema *schema, struct str name, size_t *ret_offset);

/* --- decoding from a tree of values (JSON, HCL) -------------------------------------------- */

enum decode_flag {
    DECODE_SNAKE = 1u << 0,  /* underscores in input keys are ignored */
    DECODE_STRICT = 1u << 1, /* unknown keys are errors that name them */
    DECODE_WEAK = 1u << 2,   /* F_WEAK everywhere */
    DECODE_FLOATS = 1u << 3, /* integers in free-form members (FIELD_VALUE) become floats, as Go's
                                encoding/json makes them */
};

#define DECODE_DEPTH_MAX 64u

/* Fill *object (already holding its defaults) from a map value. Absent keys leave members alone,
 * null leaves them alone, too, but for what is nil in Go then. Strings are borrowed from the
 * value's arena where possible. On failure err says what Go's encoding/json would: which field
 * wanted what. */
NODISCARD int schema_decode(const struct schema *schema, const struct value *value, void *object,
                            struct arena *a, unsigned flags, struct err *err);
/* The same, and the paths of keys that fit no member ("Sources[0].Bogus"): those within members
 * first, each level in the order of the input. */
NODISCARD int schema_decode_unused(const struct schema *schema, const struct value *value,
                                   void *object, struct arena *a, unsigned flags,
                                   struct strlist *ret_unused, struct err *err);
