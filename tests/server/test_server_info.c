#include "test.h"

#include "member_make.h"
#include "server/server_info.h"

static void test_a_server(void **state)
{
    struct arena a = {0};
    struct server_info info;
    static const struct extra_tag extra[] = {{"expect", "3"}, {"wan_join_port", "8302"}};
    (void)state;
    struct member m = member_make(&a, 1, MEMBER_ALIVE, extra, 2);
    assert_true(server_info_of(&m, &a, &info));
    assert_str_lit(info.name, "s1");
    assert_str_lit(info.id, "id1");
    assert_str_lit(info.address, "10.0.0.1:8300");
    assert_str_lit(info.version, "1.10.3");
    assert_int_equal(info.expect, 3);
    assert_int_equal(info.wan_join_port, 8302);
    assert_int_equal(info.raft_version, 3);
    assert_false(info.is_bootstrap);
    assert_false(info.is_read_replica);
    assert_str_lit(server_info_text(&info, &a), "s1 (Addr: tcp/10.0.0.1:8300) (DC: dc1)");
    m.addr = STR("::1");
    assert_true(server_info_of(&m, &a, &info));
    assert_str_lit(info.address, "[::1]:8300");
    arena_deinit(&a);
}

static void test_flags(void **state)
{
    struct arena a = {0};
    struct server_info info;
    static const struct extra_tag extra[] = {
        {"bootstrap", "1"}, {"nonvoter", "1"}, {"use_tls", "1"}, {"build", "v0.12.34-dev"}};
    (void)state;
    struct member m = member_make(&a, 1, MEMBER_FAILED, extra, 4);
    assert_true(server_info_of(&m, &a, &info));
    assert_true(info.is_bootstrap);
    assert_true(info.is_read_replica);
    assert_true(info.uses_tls);
    assert_str_lit(info.version, "0.12.34");
    assert_int_equal(info.status, MEMBER_FAILED);
    arena_deinit(&a);
}

static void test_no_server(void **state)
{
    static const struct extra_tag wrong[] = {
        {"role", "node"}, {"port", "x"},     {"port", "70000"},     {"vsn", ""},
        {"expect", "-"},  {"build", "1.10"}, {"raft_vsn", "three"}, {"wan_join_port", "1e3"},
    };
    struct arena a = {0};
    struct server_info info;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct member m = member_make(&a, 1, MEMBER_ALIVE, &wrong[i], 1);
        assert_false(server_info_of(&m, &a, &info));
    }
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_server),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
