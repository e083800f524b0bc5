/* value.h - a tree of dynamic values: what JSON, HCL and msgpack say before a field table gives it
 * a type, and what free-form maps (proxy config, CA config) stay for good.
 *
 * Everything lives in one arena and is immutable once built. Maps keep the order of the source;
 * a key may occur twice (HCL blocks do): value_get() finds the last. */
#pragma once
#include "base/arena.h"

enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_INT,   /* i */
    VALUE_UINT,  /* u: only what does not fit VALUE_INT */
    VALUE_FLOAT, /* f; from JSON any number with a '.', an exponent, or beyond 64 bits */
    VALUE_STR,   /* s */
    VALUE_BYTES, /* s; msgpack bin only */
    VALUE_LIST,
    VALUE_MAP,
};

struct value_pair;

struct value {
    enum value_kind kind;
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double f;
        struct str s;
        struct {
            struct value *v;
            size_t n;
        } list;
        struct {
            struct value_pair *v;
            size_t n;
        } map;
    };
};

struct value_pair {
    struct str key;
    struct value value;
};

/* A deep copy into `a`. */
struct value *value_copy(struct arena *a, const struct value *v);
bool value_eq(const struct value *a, const struct value *b); /* maps compare regardless of order */
/* The last entry of that exact key, or NULL (also when v is no map). */
const struct value *value_get(const struct value *v, struct str key);
/* Absent (NULL), null, false, zero, or of no length. */
bool value_is_empty(const struct value *v);
/* "string", "number", "bool", "object", "array", "null": Go's words in its JSON errors. */
const char *value_kind_text(enum value_kind kind);
