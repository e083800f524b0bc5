/* msgpack.h - msgpack as hashicorp/go-msgpack writes it, from the field tables.
 *
 * Structs are maps of Go field names (all of them, zero values too), sorted by name. Strings and byte slices use the
 * raw family (fixraw, raw 16, raw 32) of the old specification: no str 8, no bin. Integers take the
 * shortest form; signed non-negative ones are written as go-msgpack does. Readers accept the whole
 * of the new specification as well. Nil lists and maps are nil.
 *
 * Format: https://github.com/msgpack/msgpack/blob/master/spec-old.md; checked against recorded
 * traffic in tests/data. */
#pragma once
#include "base/buf.h"
#include "schema/field.h"

#define MSGPACK_DEPTH_MAX 64u

void msgpack_nil(struct buf *to);
void msgpack_bool(struct buf *to, bool b);
void msgpack_i64(struct buf *to, int64_t i);
void msgpack_u64(struct buf *to, uint64_t u);
void msgpack_f64(struct buf *to, double f);
void msgpack_f32(struct buf *to, float f);
void msgpack_raw(struct buf *to, struct str s);
void msgpack_raw_header(struct buf *to, size_t size); /* the caller appends the bytes */
void msgpack_array(struct buf *to, size_t count);
void msgpack_map(struct buf *to, size_t count);
void msgpack_time(struct buf *to, int64_t wall_ns); /* Go's time.Time as a raw; TIME_ZERO too */
void msgpack_value(struct buf *to, const struct value *v);
void msgpack_object(struct buf *to, const struct schema *schema, const void *object);
/* The map of its fields, also of a type with MarshalBinary: what stands within the raw. */
void msgpack_fields(struct buf *to, const struct schema *schema, const void *object);

/* Decode one object; unknown keys are skipped, missing ones leave the member alone. Strings are
 * borrowed from the input. Counts are checked against the bytes that are left before anything is
 * allocated. On failure the cursor has failed and err names the field. */
NODISCARD int msgpack_decode(struct cur *c, const struct schema *schema, void *object,
                             struct arena *a, struct err *err);
NODISCARD int msgpack_decode_fields(struct cur *c, const struct schema *schema, void *object,
                                    struct arena *a, struct err *err);
NODISCARD int msgpack_decode_value(struct cur *c, struct arena *a, struct value **ret_value,
                                   struct err *err);
NODISCARD int msgpack_skip(struct cur *c);

/* Single items, for headers and hand-written forms; a wrong type sets c->failed. */
enum msgpack_kind { MSGPACK_NIL, MSGPACK_BOOL, MSGPACK_INT, MSGPACK_FLOAT, MSGPACK_RAW,
                    MSGPACK_ARRAY, MSGPACK_MAP, MSGPACK_EXT, MSGPACK_END };
enum msgpack_kind msgpack_peek(const struct cur *c);
int64_t msgpack_read_i64(struct cur *c);
uint64_t msgpack_read_u64(struct cur *c);
bool msgpack_read_bool(struct cur *c);
struct str msgpack_read_raw(struct cur *c); /* nil reads as empty */
int64_t msgpack_read_time(struct cur *c);   /* nil reads as TIME_ZERO */
size_t msgpack_read_array(struct cur *c);   /* nil reads as 0 */
size_t msgpack_read_map(struct cur *c);
