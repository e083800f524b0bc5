/* JSON: whatever parses prints to text that parses again, and from then on prints the same (only
 * -0.0, printed -0 and read as the integer, takes two rounds); what a struct takes of it survives a
 * clone and a round trip. */
#include "base/err.h"
#include "base/mem.h"
#include "schema/json.h"

#include "../schema/every.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(struct buf *to, const struct value *v, bool pretty)
{
    struct json_writer w = json_writer_make(to, pretty);
    json_value(&w, v);
}

static void object_check(struct arena *a, const struct value *v, unsigned flags)
{
    struct err err = {0};
    struct every e;
    schema_zero(&every_schema, &e);
    if (schema_decode(&every_schema, v, &e, a, flags, &err) < 0) {
        ASSERT(err.text[0] != '\0');
        return;
    }
    struct every *copy = schema_clone(&every_schema, &e, NULL);
    struct buf out = {0};
    struct json_writer w = json_writer_make(&out, false);
    json_object(&w, &every_schema, copy);
    struct value *again;
    ASSERT(json_parse(a, buf_view(&out), &again, &err) == 0);
    mem_free(copy);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct err err = {0};
    struct value *v;
    if (json_parse(&a, str_make(data, size), &v, &err) == 0) {
        struct buf first = {0};
        struct buf second = {0};
        struct buf pretty = {0};
        struct value *again;
        print(&second, v, false);
        ASSERT(json_parse(&a, buf_view(&second), &again, &err) == 0);
        print(&first, again, false);
        buf_clear(&second);
        ASSERT(json_parse(&a, buf_view(&first), &again, &err) == 0);
        print(&second, again, false);
        ASSERT(str_eq(buf_view(&first), buf_view(&second)));
        print(&pretty, again, true);
        buf_clear(&second);
        json_indent(&second, buf_view(&first));
        ASSERT(str_eq(buf_view(&pretty), buf_view(&second)));
        object_check(&a, v, 0);
        object_check(&a, v, DECODE_WEAK | DECODE_SNAKE | DECODE_FLOATS);
        buf_deinit(&first);
        buf_deinit(&second);
        buf_deinit(&pretty);
    }
    struct str rest = str_make(data, size);
    while (json_parse_next(&a, &rest, &v, &err) == 0) {
    }
    arena_deinit(&a);
    return 0;
}
