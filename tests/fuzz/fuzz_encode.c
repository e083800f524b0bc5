/* base64, hex and uuid: what decodes must survive encoding and decoding again, and any bytes must
 * come back from their encoding. */
#include "base/arena.h"
#include "base/encode.h"
#include "base/gofmt.h"
#include "base/rand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*decode_fn)(struct arena *a, struct str text, struct str *ret_bytes);
typedef void (*encode_fn)(struct buf *to, struct str bytes);

static void check(encode_fn encode, decode_fn decode, struct str s)
{
    struct arena a = {0};
    struct buf b = {0};
    struct str bytes, again;
    encode(&b, s);
    ASSERT(!b.failed && decode(&a, buf_view(&b), &again) == 0 && str_eq(again, s));
    if (decode(&a, s, &bytes) == 0) {
        buf_clear(&b);
        encode(&b, bytes);
        ASSERT(decode(&a, buf_view(&b), &again) == 0 && str_eq(again, bytes));
    }
    buf_deinit(&b);
    arena_deinit(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_make(data, size);
    struct buf b = {0};
    uint8_t id[16];
    check(base64_encode, base64_decode, s);
    check(base64url_encode, base64url_decode, s);
    check(hex_encode, hex_decode, s);
    ASSERT(uuid_is_valid(s) == (uuid_parse(s, id) == 0));
    go_json_str(&b, s);
    ASSERT(str_is_utf8(buf_view(&b)));
    buf_clear(&b);
    go_quote(&b, s);
    ASSERT(str_is_utf8(buf_view(&b)));
    buf_deinit(&b);
    return 0;
}
