#include "test.h"

#include "raft/configuration.h"

static void add(struct raft_configuration *c, enum raft_suffrage suffrage, const char *id,
                const char *address)
{
    assert_ok(raft_configuration_add(c, suffrage, str_from_cstr(id), str_from_cstr(address), NULL));
}

/* The bytes are go-msgpack's: a map, its fields in the order of their names. */
static void test_bytes(void **state)
{
    (void)state;
    struct raft_configuration c = {0}, back;
    struct buf b = {0};
    struct err err = {0};
    add(&c, RAFT_VOTER, "id1", "1.2.3.4:8300");
    add(&c, RAFT_NONVOTER, "id2", "1.2.3.5:8300");
    raft_configuration_encode(&c, &b);
    assert_str_lit(buf_view(&b), "\x81\xa7"
                                 "Servers\x92"
                                 "\x83\xa7"
                                 "Address\xac"
                                 "1.2.3.4:8300\xa2ID\xa3id1\xa8Suffrage\x00"
                                 "\x83\xa7"
                                 "Address\xac"
                                 "1.2.3.5:8300\xa2ID\xa3id2\xa8Suffrage\x01");
    assert_ok(raft_configuration_decode(buf_view(&b), &back, &err));
    assert_true(raft_configuration_eq(&c, &back));
    for (size_t n = 0; n < b.n; n++) {
        assert_int_equal(raft_configuration_decode(str_first(buf_view(&b), n), &back, &err),
                         n == 0 ? -ERR_INVALID : -ERR_INVALID);
    }
    buf_byte(&b, 0);
    assert_int_equal(raft_configuration_decode(buf_view(&b), &back, &err), -ERR_INVALID);
    buf_deinit(&b);
}

static void test_bounds(void **state)
{
    (void)state;
    struct raft_configuration c = {0}, back;
    struct err err = {0};
    /* A list that says it has four billion servers. */
    assert_true(raft_configuration_decode(STR("\x81\xa7Servers\xdd\xff\xff\xff\xff"), &back, &err) <
                0);
    assert_true(
        raft_configuration_decode(STR("\x81\xa7Servers\x91\x81\xa8Suffrage\x07"), &back, &err) < 0);
    assert_non_null(strstr(err.text, "suffrage 7"));
    for (uint32_t i = 0; i < RAFT_SERVERS_MAX; i++) {
        char name[2] = {(char)('A' + i), '\0'};
        add(&c, RAFT_VOTER, name, name);
    }
    assert_int_equal(raft_configuration_add(&c, RAFT_VOTER, STR("x"), STR("y"), &err),
                     -ERR_TOO_LARGE);
    struct buf b = {0};
    raft_configuration_encode(&c, &b);
    assert_ok(raft_configuration_decode(buf_view(&b), &back, &err));
    assert_true(raft_configuration_eq(&c, &back));
    buf_deinit(&b);
    char name[RAFT_NAME_SIZE_MAX + 1];
    memset(name, 'n', sizeof(name));
    c.count = 0;
    assert_int_equal(
        raft_configuration_add(&c, RAFT_VOTER, str_make(name, sizeof(name)), STR("y"), &err),
        -ERR_TOO_LARGE);
    assert_ok(
        raft_configuration_add(&c, RAFT_VOTER, str_make(name, sizeof(name) - 1), STR("y"), &err));
}

static void test_rules(void **state)
{
    (void)state;
    struct raft_configuration c = {0};
    struct err err = {0};
    assert_int_equal(raft_configuration_check(&c, &err), -ERR_INVALID); /* no voter */
    add(&c, RAFT_NONVOTER, "a", "1");
    assert_int_equal(raft_configuration_check(&c, &err), -ERR_INVALID);
    add(&c, RAFT_VOTER, "b", "2");
    assert_ok(raft_configuration_check(&c, &err));
    struct raft_configuration d = c;
    add(&d, RAFT_VOTER, "b", "3");
    assert_int_equal(raft_configuration_check(&d, &err), -ERR_INVALID);
    d = c;
    add(&d, RAFT_VOTER, "c", "2");
    assert_int_equal(raft_configuration_check(&d, &err), -ERR_INVALID);
    d = c;
    add(&d, RAFT_VOTER, "c", "");
    assert_int_equal(raft_configuration_check(&d, &err), -ERR_INVALID);

    /* Changes: the cases of joining, leaving and moving to another address. */
    assert_ok(raft_configuration_change(&c, RAFT_ADD_VOTER, STR("a"), STR("9"), &d, &err));
    assert_true(raft_configuration_is_voter(&d, STR("a")));
    assert_string_equal(raft_configuration_find(&d, STR("a"))->address, "9");
    assert_ok(raft_configuration_change(&d, RAFT_ADD_NONVOTER, STR("a"), STR("8"), &d, &err));
    assert_true(raft_configuration_is_voter(&d, STR("a")));
    assert_ok(raft_configuration_change(&d, RAFT_DEMOTE_VOTER, STR("a"), STR_NULL, &d, &err));
    assert_false(raft_configuration_is_voter(&d, STR("a")));
    assert_int_equal(
        raft_configuration_change(&d, RAFT_REMOVE_SERVER, STR("b"), STR_NULL, &d, &err),
        -ERR_INVALID); /* the last voter */
    assert_ok(raft_configuration_change(&d, RAFT_REMOVE_SERVER, STR("a"), STR_NULL, &d, &err));
    assert_int_equal(d.count, 1);
    assert_ok(raft_configuration_change(&d, RAFT_REMOVE_SERVER, STR("zz"), STR_NULL, &d, &err));
    assert_int_equal(d.count, 1);
    assert_ok(raft_configuration_change(&d, RAFT_ADD_NONVOTER, STR("z"), STR("7"), &d, &err));
    assert_int_equal(raft_configuration_voters(&d), 1);
    assert_int_equal(raft_configuration_change(&d, RAFT_ADD_VOTER, STR("y"), STR("7"), &d, &err),
                     -ERR_INVALID); /* somebody's address */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
