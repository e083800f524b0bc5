/* gossip_fields.h - the maps of gossip's messages, from one table each; private to proto/.
 *
 *     static const struct gossip_field ack_fields[] = {
 *         GOSSIP_RAW(struct memberlist_ack, payload, "Payload", SIZE_MAX),
 *         GOSSIP_UINT(struct memberlist_ack, seq, "SeqNo", UINT32_MAX),
 *     };
 *     gossip_fields_put(to, ack_fields, ARRAY_SIZE(ack_fields), m);
 *
 * Where schema/field.h serves structs of the API, this one has what gossip needs instead: members
 * of their true width, each with the most it may be, addresses, no allocation for anything but
 * lists. A table is sorted by name, as go-msgpack writes a struct. */
#pragma once
#include "base/err.h"
#include "proto/memberlist.h"
#include "schema/msgpack.h"

enum gossip_kind {
    GOSSIP_KIND_UINT, /* of the member's own size */
    GOSSIP_KIND_INT64,
    GOSSIP_KIND_BOOL,
    GOSSIP_KIND_STR,
    GOSSIP_KIND_RAW, /* a []byte of Go's: p NULL is nil */
    GOSSIP_KIND_IP,  /* of a struct gossip_address; size 0 is nil */
    GOSSIP_KIND_FORM,
};

/* A member written by hand. */
struct gossip_form {
    void (*put)(struct buf *to, const void *member);
    /* Whatever is wrong sets c->failed. */
    void (*read)(struct cur *c, void *member, struct arena *a);
};

#define GOSSIP_OMIT_EMPTY 1u /* codec:",omitempty" */

struct gossip_field {
    struct str name;
    uint8_t kind;
    uint8_t flags;
    uint8_t width; /* of UINT */
    uint16_t offset;
    uint64_t max; /* the largest number, the longest string */
    const struct gossip_form *form;
};

/* T: the struct, m: its member, C: the type that must have. */
#define GOSSIP_FIELD_(T, m, C, K, N, MAX, FL)                                          \
    {                                                                                  \
        .name = STR_INIT(N), .kind = (K), .flags = (FL), .width = sizeof(((T *)0)->m), \
        .offset = (uint16_t)(offsetof(T, m) + FIELD_CHECK_(T, m, C)), .max = (MAX)     \
    }
#define GOSSIP_UINT(T, m, N, MAX, FL) \
    GOSSIP_FIELD_(T, m, __typeof__(((T *)0)->m), GOSSIP_KIND_UINT, N, MAX, FL)
#define GOSSIP_INT64(T, m, N) GOSSIP_FIELD_(T, m, int64_t, GOSSIP_KIND_INT64, N, 0, 0)
#define GOSSIP_BOOL(T, m, N) GOSSIP_FIELD_(T, m, bool, GOSSIP_KIND_BOOL, N, 0, 0)
#define GOSSIP_STR(T, m, N, MAX, FL) GOSSIP_FIELD_(T, m, struct str, GOSSIP_KIND_STR, N, MAX, FL)
#define GOSSIP_RAW(T, m, N, MAX) GOSSIP_FIELD_(T, m, struct str, GOSSIP_KIND_RAW, N, MAX, 0)
#define GOSSIP_IP(T, m, N, FL) GOSSIP_FIELD_(T, m, struct gossip_address, GOSSIP_KIND_IP, N, 0, FL)
#define GOSSIP_FORM(T, m, N, F)                                                              \
    {                                                                                        \
        .name = STR_INIT(N), .kind = GOSSIP_KIND_FORM, .offset = offsetof(T, m), .form = (F) \
    }

void gossip_fields_put(struct buf *to, const struct gossip_field *fields, size_t count,
                       const void *object);
/* Into a zeroed object, unknown keys skipped, none twice; a may be NULL where no form needs it.
 * `what` is for the sentence. */
NODISCARD int gossip_fields_read(struct cur *c, const struct gossip_field *fields, size_t count,
                                 void *object, struct arena *a, const char *what, struct err *err);

/* The same for the read of a form: c->failed is the answer. */
void gossip_fields_read_within(struct cur *c, const struct gossip_field *fields, size_t count,
                               void *object, struct arena *a);

/* A string of at most size_max bytes; nil is STR_NULL. */
struct str gossip_read_raw(struct cur *c, size_t size_max);
/* The count of an array or map whose elements take size_min bytes or more each. */
size_t gossip_read_array(struct cur *c, size_t size_min);
size_t gossip_read_map(struct cur *c, size_t size_min);

/* A list of strings, never nil; nil reads as empty, more than count_max sets c->failed. */
void gossip_strs_put(struct buf *to, const struct str *v, size_t n);
struct str *gossip_read_strs(struct cur *c, size_t count_max, struct arena *a, size_t *ret_count);

/* A type byte and the map. */
#define GOSSIP_PUT(to, type, fields, m)                       \
    do {                                                      \
        buf_byte(to, type);                                   \
        gossip_fields_put(to, fields, ARRAY_SIZE(fields), m); \
    } while (0)

/* The map that begins s; *ret changes on success only. */
#define GOSSIP_READ(s, fields, ret, a, what, err)                                        \
    ({                                                                                   \
        __typeof__(*(ret)) m_ = {0};                                                     \
        struct cur c_ = cur_make(s);                                                     \
        int r_ = gossip_fields_read(&c_, fields, ARRAY_SIZE(fields), &m_, a, what, err); \
        if (r_ == 0) {                                                                   \
            *(ret) = m_;                                                                 \
        }                                                                                \
        r_;                                                                              \
    })
