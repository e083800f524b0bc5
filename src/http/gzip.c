#include "http/front.h"

#include <zlib.h>

#include "base/mem.h"

/* Text of one shape compresses well at any level; the lowest costs a third of the default's time.
 */
#define GZIP_LEVEL 1
#define GZIP_WINDOW_BITS (15 + 16) /* with gzip's header */
#define GZIP_MEM_LEVEL 8

struct http_gzip {
    z_stream z;
};

struct http_gzip *http_gzip_free(struct http_gzip *g)
{
    if (g != NULL) {
        (void)deflateEnd(&g->z);
    }
    return mem_free(g);
}

/* "q" of one element's parameters; without one 1. Nothing sensible is 0: then we do not compress.
 */
static double quality(struct str parameters)
{
    struct str piece;
    double q = 1;
    while (str_split_next(&parameters, ';', &piece)) {
        piece = str_trim(piece);
        if (str_has_prefix(piece, STR("q=")) && str_parse_f64(str_from(piece, 2), &q) < 0) {
            return 0;
        }
    }
    return q;
}

bool http_accepts_gzip(struct str accept_encoding)
{
    struct str rest = accept_encoding, piece;
    while (accept_encoding.n > 0 && str_split_next(&rest, ',', &piece)) {
        struct str coding, parameters;
        bool has_parameters = str_cut(piece, ';', &coding, &parameters);
        if (str_eq_fold(str_trim(coding), STR("gzip"))) {
            return !has_parameters || quality(parameters) > 0;
        }
    }
    return false;
}

static struct http_gzip *gzip_new(void)
{
    struct http_gzip *g = xcalloc(1, sizeof(*g));
    if (deflateInit2(&g->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return mem_free(g);
    }
    return g;
}

bool http_gzip_body(struct http_gzip **g, struct str body, struct buf *ret_to)
{
    if (*g == NULL) {
        *g = gzip_new();
    }
    if (*g == NULL || body.n > UINT32_MAX / 2) {
        return false;
    }
    z_stream *z = &(*g)->z;
    (void)deflateReset(z);
    char *to = buf_reserve(ret_to, deflateBound(z, body.n));
    if (to == NULL) {
        return false;
    }
    z->next_in = (Bytef *)(uintptr_t)body.p; /* zlib does not write there */
    z->avail_in = (uInt)body.n;
    z->next_out = (Bytef *)to;
    z->avail_out = (uInt)(ret_to->cap - ret_to->n);
    if (deflate(z, Z_FINISH) != Z_STREAM_END) {
        return false;
    }
    ret_to->n += z->total_out;
    return true;
}
