/* decode.h - a tree of values into a struct, by its table: Go's encoding/json, and where a member
 * or the caller says "weak", what mapstructure's weak decoding adds to it. Private to schema/; the
 * way in is schema_decode() of field.h.
 *
 * Each function returns 0, or negative with decoder.err set. */
#pragma once
#include "base/arena.h"
#include "schema/field.h"

/* The names that lead to what is being decoded; joined only when an error wants them. */
struct path {
    const struct path *up;
    struct str name; /* of a member, or the key of a map's */
    size_t index;    /* of a list's element */
    enum { PATH_MEMBER, PATH_KEY, PATH_INDEX } kind;
};

struct decoder {
    struct arena *a;
    struct err *err;
    unsigned flags; /* enum decode_flag */
    unsigned depth;
    bool is_lenient;             /* the next object ignores what it does not know (F_LENIENT) */
    const struct schema *schema; /* being filled, for errors */
    const struct path *path;
    struct strlist *unused; /* where unknown keys go; NULL: nowhere */
};

/* --- scalars: strings may be the value's own, else they are the arena's ---------------------- */

NODISCARD int decode_bool(struct decoder *d, const struct value *v, bool weak, bool *ret);
NODISCARD int decode_int(struct decoder *d, const struct value *v, bool weak, int64_t *ret);
NODISCARD int decode_uint(struct decoder *d, const struct value *v, bool weak, uint64_t *ret);
NODISCARD int decode_float(struct decoder *d, const struct value *v, bool weak, double *ret);
NODISCARD int decode_str(struct decoder *d, const struct value *v, bool weak, struct str *ret);
NODISCARD int decode_bytes(struct decoder *d, const struct value *v, bool weak, struct str *ret);
NODISCARD int decode_duration(struct decoder *d, const struct value *v, bool weak, int64_t *ret);
NODISCARD int decode_time(struct decoder *d, const struct value *v, int64_t *ret);

/* --- errors: each sets decoder.err and returns its code -------------------------------------- */

#define DECODE_PATH_SIZE_MAX 256u

struct str decode_path_text(struct decoder *d);
/* What Go calls a struct, and a member's type, in errors. */
const char *decode_type_name(struct decoder *d, const struct schema *schema);
const char *decode_type_of(struct decoder *d, const struct field *f);
/* Another type was to come: json's words. */
int decode_fail_type(struct decoder *d, const struct value *v, const char *type);
/* A struct or a map was to come. */
int decode_fail_map(struct decoder *d, const struct value *v, const char *type);
/* The key is none of the struct's. */
int decode_fail_unknown(struct decoder *d);
/* A text that is no `type`. */
int decode_fail_parse(struct decoder *d, struct str text, const char *type);
/* As mapstructure says it, which tells several at once and so counts them. */
PRINTF(2, 3) int decode_fail_weakly(struct decoder *d, const char *format, ...);
