/* wire_fixture.h - reading the recorded streams of tests/data/rpc. */
#pragma once
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
