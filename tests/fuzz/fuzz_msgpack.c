/* msgpack: a value that decodes encodes to bytes that decode to an equal value; skipping ends where
 * decoding does; an object that decodes survives a round trip. */
#include "base/err.h"
#include "schema/msgpack.h"

#include "../schema/every.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void value_check(struct arena *a, const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct cur c = cur_make(str_make(data, size));
    struct value *v;
    if (msgpack_decode_value(&c, a, &v, &err) < 0) {
        return;
    }
    struct cur skipped = cur_make(str_make(data, size));
    ASSERT(msgpack_skip(&skipped) == 0 && skipped.p == c.p);
    struct buf first = {0};
    struct buf second = {0};
    struct value *again;
    msgpack_value(&first, v);
    c = cur_make(buf_view(&first));
    ASSERT(msgpack_decode_value(&c, a, &again, &err) == 0 && cur_left(&c) == 0);
    msgpack_value(&second, again);
    ASSERT(str_eq(buf_view(&first), buf_view(&second)));
    buf_deinit(&first);
    buf_deinit(&second);
}

static void object_check(struct arena *a, const uint8_t *data, size_t size)
{
    struct err err = {0};
    struct cur c = cur_make(str_make(data, size));
    struct every e;
    schema_zero(&every_schema, &e);
    if (msgpack_decode(&c, &every_schema, &e, a, &err) < 0) {
        ASSERT(err.text[0] != '\0');
        return;
    }
    struct buf first = {0};
    struct buf second = {0};
    msgpack_object(&first, &every_schema, &e);
    struct every again;
    schema_zero(&every_schema, &again);
    c = cur_make(buf_view(&first));
    ASSERT(msgpack_decode(&c, &every_schema, &again, a, &err) == 0 && cur_left(&c) == 0);
    msgpack_object(&second, &every_schema, &again);
    ASSERT(str_eq(buf_view(&first), buf_view(&second)));
    buf_deinit(&first);
    buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    value_check(&a, data, size);
    object_check(&a, data, size);
    arena_deinit(&a);
    return 0;
}
