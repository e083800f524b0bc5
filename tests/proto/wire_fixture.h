/* wire_fixture.h - reading the recorded streams of tests/data/rpc. */
#pragma once
#include "base/buf.h"
#include "base/mem.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

/* The bytes of a file, to be freed. */
UNUSED static struct str recorded(const char *name)
{
    char path[1024];
    const char *data = getenv("TEST_DATA");
    assert_non_null(data);
    (void)snprintf(path, sizeof(path), "%s/rpc/%s", data, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *p = xmalloc(1 << 20);
    size_t n = fread(p, 1, 1 << 20, f);
    (void)fclose(f);
    assert_true(n > 0 && n < 1 << 20);
    return str_make(p, n);
}

#define MUX_HEADER_SIZE 12u
#define MUX_STREAMS_MAX 64u

/* What the data frames of one direction of a multiplexed connection carry, by stream; the file
 * opens with `skip` bytes that are no frames. */
UNUSED static void recorded_streams(const char *name, size_t skip,
                                    struct buf streams[MUX_STREAMS_MAX])
{
    struct str all = recorded(name);
    struct str bytes = str_from(all, skip);
    while (bytes.n >= MUX_HEADER_SIZE) {
        uint32_t id = get_be32(bytes.p + 4), size = get_be32(bytes.p + 8);
        bool is_data = bytes.p[1] == 0;
        bytes = str_from(bytes, MUX_HEADER_SIZE);
        if (is_data) {
            assert_true(id < MUX_STREAMS_MAX);
            buf_str(&streams[id], str_first(bytes, size));
            bytes = str_from(bytes, size);
        }
    }
    (void)mem_free((void *)all.p);
}
