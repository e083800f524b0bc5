#include "proto/grpc_health.h"

#include "base/buf.h"
#include "base/err.h"

#define SERVICE_TAG 0x0a /* field 1, length-delimited */

static void put_varint(struct buf *to, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        buf_byte(to, (uint8_t)(v | 0x80));
    }
    buf_byte(to, (uint8_t)v);
}

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    for (; v >= 0x80; v >>= 7) {
        n++;
    }
    return n;
}

void grpc_health_put_request(struct buf *to, struct str service)
{
    size_t size = service.n > 0 ? 1 + varint_size(service.n) + service.n : 0;
    buf_byte(to, 0);
    buf_be32(to, (uint32_t)size);
    if (service.n > 0) {
        buf_byte(to, SERVICE_TAG);
        put_varint(to, service.n);
        buf_str(to, service);
    }
}

static bool get_varint(struct cur *c, uint64_t *ret_v)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cur_u8(c);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_v = v;
            return !c->failed;
        }
    }
    return false;
}

/* Past one field's value; a varint's value is told. */
static bool skip_value(struct cur *c, unsigned wire_type, uint64_t *ret_v)
{
    uint64_t size;
    switch (wire_type) {
    case 0:
        return get_varint(c, ret_v);
    case 1:
        (void)cur_take(c, 8);
        break;
    case 2:
        if (!get_varint(c, &size) || size > cur_left(c)) {
            return false;
        }
        (void)cur_take(c, (size_t)size);
        break;
    case 5:
        (void)cur_take(c, 4);
        break;
    default:
        return false; /* groups are long gone */
    }
    return !c->failed;
}

int64_t grpc_health_parse(struct str body)
{
    struct cur c = cur_make(body);
    uint8_t is_compressed = cur_u8(&c);
    struct cur m = cur_make(cur_take(&c, cur_be32(&c)));
    uint64_t status = 0, tag;
    if (c.failed || is_compressed != 0) {
        return -ERR_INVALID;
    }
    while (cur_left(&m) > 0) {
        uint64_t v = 0;
        if (!get_varint(&m, &tag) || !skip_value(&m, tag & 7, &v)) {
            return -ERR_INVALID;
        }
        if (tag == 8) { /* field 1, a varint */
            status = v;
        }
    }
    return (int64_t)(status & INT32_MAX);
}

const char *grpc_serving_text(int64_t serving)
{
    static const char *const texts[] = {"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"};
    return serving >= 0 && (size_t)serving < ARRAY_SIZE(texts) ? texts[serving] : NULL;
}

const char *grpc_code_text(uint64_t code)
{
    static const char *const texts[] = {
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    };
    return code < ARRAY_SIZE(texts) ? texts[code] : NULL;
}
