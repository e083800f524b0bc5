/* Any bytes as a connection's input: heads are found wherever the input is cut, parsed, and their
 * slices stay inside; chunked bodies decode the same whole and in two pieces. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "proto/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct str outer, struct str inner)
{
    ASSERT(inner.n == 0 || (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n));
}

static void check_chunked(struct str in, size_t cut)
{
    struct http1_chunked whole = {0}, pieces = {0};
    struct buf a = {.max = 1 << 16}, b = {.max = 1 << 16};
    ptrdiff_t n = http1_chunked_decode(&whole, in, &a);
    ptrdiff_t m = http1_chunked_decode(&pieces, str_first(in, cut), &b);
    if (m >= 0 && !pieces.done) {
        ptrdiff_t more = http1_chunked_decode(&pieces, str_from(in, cut), &b);
        m = more < 0 ? more : m + more;
    }
    ASSERT((n < 0) == (m < 0));
    if (n >= 0) {
        ASSERT(n == m && whole.done == pieces.done && str_eq(buf_view(&a), buf_view(&b)));
    }
    buf_deinit(&a);
    buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    const struct http1_limits limits = {4096, 32};
    struct str in = str_make(data + 1, size - 1);
    size_t cut = in.n * data[0] / 255;
    struct http1_scan one = {0}, two = {0};
    ptrdiff_t n = http1_head_size(&one, in, &limits);
    ptrdiff_t m = http1_head_size(&two, str_first(in, cut), &limits);
    if (m == 0) {
        m = http1_head_size(&two, in, &limits);
    }
    ASSERT(n == m);
    if (n > 0) {
        struct arena arena = {0};
        struct http1_head head;
        struct http1_error error;
        struct str bytes = arena_str(&arena, str_first(in, (size_t)n));
        if (http1_parse_head(bytes, &arena, &limits, &head, &error) == 0) {
            check_inside(bytes, head.method);
            check_inside(bytes, head.target);
            for (size_t i = 0; i < head.headers_count; i++) {
                check_inside(bytes, head.headers[i].name);
                check_inside(bytes, head.headers[i].value);
            }
            struct str path, query;
            if (http1_parse_target(head.target, &arena, &path, &query) == 0) {
                struct buf escaped = {0};
                http1_escape_path(&escaped, path);
                struct str again;
                ASSERT(http1_unescape(buf_view(&escaped), false, &arena, &again) == 0);
                ASSERT(str_eq(again, path));
                buf_deinit(&escaped);
            }
        } else {
            ASSERT(error.status >= 400 && error.text != NULL);
        }
        arena_deinit(&arena);
    }
    check_chunked(in, cut);
    return 0;
}
