#include "test.h"

#include "base/arena.h"
#include "loop/file.h"
#include "server/peers_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct raft_configuration c;

static const char *parse_error(const char *text, int64_t protocol)
{
    static struct err err;
    err_clear(&err);
    assert_true(peers_json_parse(str_from_cstr(text), protocol, &c, &err) < 0);
    return err_text(&err);
}

static void test_new_format(void **state)
{
    struct err err = {0};
    (void)state;
    assert_ok(peers_json_parse(STR("[{\"id\": \"a\", \"address\": \"10.1.0.1:8300\"},\n"
                                   " {\"ID\": \"b\", \"address\": \"10.1.0.2:8300\", "
                                   "\"non_voter\": true, \"other\": 1}]\n"),
                               3, &c, &err));
    assert_int_equal(c.count, 2);
    assert_string_equal(c.servers[0].id, "a");
    assert_string_equal(c.servers[0].address, "10.1.0.1:8300");
    assert_int_equal(c.servers[0].suffrage, RAFT_VOTER);
    assert_string_equal(c.servers[1].id, "b");
    assert_int_equal(c.servers[1].suffrage, RAFT_NONVOTER);
}

static void test_old_format(void **state)
{
    struct err err = {0};
    (void)state;
    assert_ok(peers_json_parse(STR("[\"10.1.0.1:8300\", \"10.1.0.2:8300\"]"), 2, &c, &err));
    assert_int_equal(c.count, 2);
    assert_string_equal(c.servers[1].id, "10.1.0.2:8300");
    assert_string_equal(c.servers[1].address, "10.1.0.2:8300");
}

static void test_errors(void **state)
{
    static const char *const wrong[] = {
        "",
        "[",
        "{}",
        "[]",
        "null",
        "[{\"id\": \"a\", \"address\": \"10.1.0.1:8300\", \"non_voter\": true}]",
        "[{\"id\": \"a\"}]",
        "[{\"id\": \"a\", \"address\": \"x\"}, {\"id\": \"a\", \"address\": \"y\"}]",
        "[\"10.1.0.1:8300\"]",
        "[{\"id\": 3, \"address\": \"x\"}]",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        (void)parse_error(wrong[i], 3);
    }
    assert_string_equal(parse_error("", 3), "EOF");
    (void)parse_error("[{\"id\": \"a\", \"address\": \"10.1.0.1:8300\"}]", 2);
}

static void put(struct str dir, const char *name, const char *text)
{
    struct arena a = {0};
    struct err err = {0};
    assert_ok(file_replace(arena_printf(&a, "%.*s/%s", STRF(dir), name), str_from_cstr(text), false,
                           &err));
    arena_deinit(&a);
}

static bool is_there(struct str dir, const char *name)
{
    char path[256];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%.*s/%s", STRF(dir), name);
    return stat(path, &st) == 0;
}

static void test_files(void **state)
{
    char template[] = "/tmp/peers-json-XXXXXX";
    struct err err = {0};
    (void)state;
    assert_non_null(mkdtemp(template));
    struct str dir = str_from_cstr(template);
    const char *good = "[{\"id\": \"a\", \"address\": \"10.1.0.1:8300\"}]";

    /* What lies there the first time is a leftover. */
    put(dir, "peers.json", good);
    assert_int_equal(peers_json_load(dir, 3, &c, &err), 0);
    assert_false(is_there(dir, "peers.json"));
    assert_true(is_there(dir, "peers.info"));
    assert_int_equal(peers_json_load(dir, 3, &c, &err), 0);

    put(dir, "peers.json", "[{]");
    assert_true(peers_json_load(dir, 3, &c, &err) < 0);
    assert_true(str_has_prefix(str_from_cstr(err_text(&err)),
                               STR("recovery failed to parse peers.json: ")));
    assert_true(is_there(dir, "peers.json"));

    put(dir, "peers.json", good);
    err_clear(&err);
    assert_int_equal(peers_json_load(dir, 3, &c, &err), 1);
    assert_int_equal(c.count, 1);
    assert_true(is_there(dir, "peers.json")); /* until it has been used */
    assert_ok(peers_json_used(dir, &err));
    assert_false(is_there(dir, "peers.json"));
    assert_int_equal(peers_json_load(dir, 3, &c, &err), 0);

    struct arena a = {0};
    (void)unlink(arena_printf(&a, "%s/peers.info", template).p);
    arena_deinit(&a);
    assert_int_equal(rmdir(template), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_format),
        cmocka_unit_test(test_old_format),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
