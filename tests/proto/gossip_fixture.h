/* gossip_fixture.h - the recorded gossip of tests/data/gossip, taken apart down to messages. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "proto/memberlist.h"
#include "proto/seal.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

/* The keys of encrypted.bin: 00 01 02 … */
UNUSED static struct seal_ring *recorded_ring(void)
{
    struct seal_ring *r = seal_ring_new();
    struct err err = {0};
    uint8_t key[SEAL_KEY_SIZE_MAX];
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)i;
    }
    assert_ok(seal_ring_add(r, str_make(key, sizeof(key)), &err));
    return r;
}

/* The records of a file, each in a heap block of its own size. kind: 'd', 't', 'f'. */
UNUSED static size_t
recorded_each(const char *name, void (*each)(void *data, char kind, struct str bytes), void *data)
{
    char path[1024], header[5];
    const char *folder = getenv("TEST_DATA");
    size_t count = 0;
    assert_non_null(folder);
    (void)snprintf(path, sizeof(path), "%s/gossip/%s", folder, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    while (fread(header, 1, sizeof(header), f) == sizeof(header)) {
        size_t size = get_be32(header + 1);
        assert_true(size > 0 && size < 1 << 20);
        char *p = xmalloc(size);
        assert_int_equal(fread(p, 1, size, f), size);
        each(data, header[0], str_make(p, size));
        mem_free(p);
        count++;
    }
    (void)fclose(f);
    return count;
}
