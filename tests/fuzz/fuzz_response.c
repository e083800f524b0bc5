/* Any bytes as an answer: the same status, headers and content wherever the input is cut. */
#include <stddef.h>
#include <stdint.h>

#include "cli/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feed up to `cut`, then the rest, then the end; the result of it. */
static int feed(struct response_parser *p, struct str in, size_t cut)
{
    struct err err;
    int rc = response_feed(p, str_first(in, cut), &err);
    if (rc == 0 && cut < in.n) {
        rc = response_feed(p, str_from(in, cut), &err);
    }
    return rc == 0 && !p->done ? response_end(p, &err) : rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct arena a = {0};
    struct str in = str_make(data + 1, size - 1);
    struct response_parser whole, pieces;
    response_init(&whole, &a, false, NULL, NULL);
    response_init(&pieces, &a, false, NULL, NULL);
    int rc = feed(&whole, in, in.n);
    int rc_pieces = feed(&pieces, in, data[0] % (in.n + 1));
    ASSERT((rc < 0) == (rc_pieces < 0));
    if (rc == 0) {
        ASSERT(whole.response.status == pieces.response.status);
        ASSERT(whole.response.headers_count == pieces.response.headers_count);
        ASSERT(str_eq(whole.response.body, pieces.response.body));
    }
    response_deinit(&whole);
    response_deinit(&pieces);
    arena_deinit(&a);
    return 0;
}
