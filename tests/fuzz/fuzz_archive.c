/* Any bytes as a snapshot archive; and, without gzip around it, as a tar. */
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "fsm/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_all(struct str archive, size_t cut)
{
    struct err err;
    struct str meta;
    struct archive_reader *r = archive_reader_new(NULL, NULL);
    int rc = archive_reader_feed(r, str_first(archive, cut), &err);
    if (rc == 0) {
        rc = archive_reader_feed(r, str_from(archive, cut), &err);
    }
    if (rc == 0) {
        rc = archive_reader_finish(r, &meta, &err);
    }
    archive_reader_free(r);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char zipped[1 << 17];
    if (size == 0 || size > sizeof(zipped) / 2) {
        return 0;
    }
    struct str in = str_make(data + 1, size - 1);
    size_t cut = data[0] % (in.n + 1);
    ASSERT((read_all(in, cut) < 0) == (read_all(in, in.n) < 0));
    z_stream z = {0};
    ASSERT(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (unsigned char *)in.p;
    z.avail_in = (unsigned)in.n;
    z.next_out = zipped;
    z.avail_out = sizeof(zipped);
    ASSERT(deflate(&z, Z_FINISH) == Z_STREAM_END);
    (void)read_all(str_make(zipped, sizeof(zipped) - z.avail_out), cut);
    (void)deflateEnd(&z);
    return 0;
}
