#include "gossip/key_file.h"

#include "test.h"

#include "base/arena.h"
#include "loop/file.h"
#include "proto/seal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_1 "cg8StVXbQJ0gPvMd9o7yrg=="
#define KEY_2 "pUqJrVyVRj5jsiYEkM/tFQ=="

struct fixture {
    struct arena arena;
    char dir[64];
    struct str path;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/consul-keys-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = arena_printf(&f->arena, "%s/serf/local.keyring", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    (void)unlink(f->path.p);
    (void)rmdir(arena_printf(&f->arena, "%s/serf", f->dir).p);
    (void)rmdir(f->dir);
    arena_deinit(&f->arena);
    test_free(f);
    return 0;
}

static void assert_file(struct fixture *f, const char *expected)
{
    struct err err;
    struct str bytes;
    struct stat st;
    assert_ok(file_read(f->path, KEY_FILE_SIZE_MAX, &f->arena, &bytes, &err));
    assert_str_equal(bytes, str_from_cstr(expected));
    assert_int_equal(stat(f->path.p, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* As 1.10.3 writes a new one, and a changed one. */
static void test_written(void **state)
{
    struct fixture *f = *state;
    struct err err;
    struct str keys[] = {STR(KEY_1), STR(KEY_2)};
    struct strlist read;
    assert_int_equal(key_file_read(f->path, &f->arena, &read, &err), -ENOENT);
    assert_ok(key_file_create(f->path, STR(KEY_1), &err));
    assert_file(f, "[\"" KEY_1 "\"]");
    assert_ok(key_file_write(f->path, (struct strlist){keys, 2}, &err));
    assert_file(f, "[\n  \"" KEY_1 "\",\n  \"" KEY_2 "\"\n]");
    assert_ok(key_file_read(f->path, &f->arena, &read, &err));
    assert_int_equal(read.n, 2);
    assert_str_lit(read.v[0], KEY_1);
    assert_str_lit(read.v[1], KEY_2);
}

static void test_what_is_no_key_file(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"", "{}", "[1]", "[\"" KEY_1 "\"", "\"" KEY_1 "\""};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct err err = {0};
        struct strlist read;
        assert_ok(file_replace(f->path, str_from_cstr(texts[i]), false, &err));
        assert_true(key_file_read(f->path, &f->arena, &read, &err) < 0);
        assert_true(err.text[0] != '\0');
        assert_null(strstr(err.text, "cg8S"));
    }
}

static void test_rings(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct str keys[] = {STR(KEY_2), STR(KEY_1), STR(KEY_2)};
    struct seal_ring *ring;
    assert_ok(gossip_keys_ring((struct strlist){keys, 3}, &ring, &err));
    struct strlist texts = gossip_keys_of(ring, &f->arena);
    assert_int_equal(texts.n, 2);
    assert_str_lit(texts.v[0], KEY_2);
    assert_str_lit(texts.v[1], KEY_1);
    (void)seal_ring_free(ring);
    struct str bad[] = {STR(KEY_1), STR("AAAA")};
    assert_true(gossip_keys_ring((struct strlist){bad, 2}, &ring, &err) < 0);
    assert_string_equal(err.text, "key size must be 16, 24 or 32 bytes");
    bad[1] = STR("a!");
    assert_true(gossip_keys_ring((struct strlist){bad, 2}, &ring, &err) < 0);
    assert_string_equal(err.text, "illegal base64 data");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_written),
        T(test_what_is_no_key_file),
        T(test_rings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
