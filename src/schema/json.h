/* json.h - JSON as Go's encoding/json reads and writes it.
 *
 * Out: straight from objects and their field tables into a buffer, no tree. Strings are escaped as
 * Go does (<, >, & and U+2028/9 as \u00XX, invalid UTF-8 as \ufffd), maps are in key order, floats in
 * Go's format. Compact by default; indented by four spaces as Consul's ?pretty.
 *
 * In: text to a tree of values in an arena, bounded in depth. Invalid UTF-8 becomes U+FFFD, as in
 * Go; numbers keep 64-bit precision.
 *
 * Own code instead of jansson on both sides: unsigned 64-bit numbers (jansson has none), Go's
 * escapes and error positions, and no malloc per node. */
#pragma once
#include "base/buf.h"
#include "schema/field.h"

#define JSON_DEPTH_MAX 512u

struct json_writer {
    struct buf *to;
    int indent; /* < 0: compact; else the current depth of a pretty rendering */
    bool comma; /* an element went before in the current list or object */
    bool after_key; /* the next value belongs to a key: no separator before it */
};

static inline struct json_writer json_writer_make(struct buf *to, bool pretty)
{
    return (struct json_writer){.to = to, .indent = pretty ? 0 : -1};
}

/* Streaming calls; keys only inside objects. */
void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, struct str key);
void json_null(struct json_writer *w);
void json_bool(struct json_writer *w, bool b);
void json_i64(struct json_writer *w, int64_t i);
void json_u64(struct json_writer *w, uint64_t u);
void json_f64(struct json_writer *w, double f);
void json_str(struct json_writer *w, struct str s);
void json_base64(struct json_writer *w, struct str bytes);
void json_value(struct json_writer *w, const struct value *v); /* NULL: null; maps sorted by key */
void json_strlist(struct json_writer *w, struct strlist l);    /* nil: null */
void json_strmap(struct json_writer *w, struct strmap m);
/* Text that is already compact JSON. In a pretty rendering it is indented on the way. */
void json_raw(struct json_writer *w, struct str json);

/* One object by its table. */
void json_object(struct json_writer *w, const struct schema *schema, const void *object);
/* Only the members, into an object that is already open. */
void json_members(struct json_writer *w, const struct schema *schema, const void *object);
/* One member's value, as it would stand after its key. */
void json_field(struct json_writer *w, const struct field *field, const void *object);

/* An escaped, quoted string by itself. */
void json_quote(struct buf *to, struct str s);
/* Re-indent compact JSON by four spaces a level, as Go's json.Indent. */
void json_indent(struct buf *to, struct str compact);

/* Parse one JSON text with nothing but white space behind it. On failure err has Go's words
 * ("invalid character 'x' looking for beginning of value", "unexpected end of JSON input"). */
NODISCARD int json_parse(struct arena *a, struct str text, struct value **ret_value,
                         struct err *err);
/* Parse the first JSON text of *rest, as a streaming decoder would, and advance past it. Empty or
 * blank input is ERR_INVALID "EOF". */
NODISCARD int json_parse_next(struct arena *a, struct str *rest, struct value **ret_value,
                              struct err *err);
