/* When do servers that have met form a cluster? */
#include "test.h"

#include "member_make.h"
#include "server/bootstrap.h"

#define LISTED_MAX 8u

static struct bootstrap_input input(const struct member *members, size_t count)
{
    static const struct member *listed[LISTED_MAX];
    for (size_t i = 0; i < count; i++) {
        listed[i] = &members[i];
    }
    return (struct bootstrap_input){
        .expect = 3, .datacenter = STR("dc1"), .members = listed, .count = count};
}

static void test_waits_for_all(void **state)
{
    struct arena a = {0};
    static const struct extra_tag expect3[] = {{"expect", "3"}};
    static struct bootstrap_plan plan;
    struct member members[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        members[i] = member_make(&a, 3 - i, MEMBER_ALIVE, expect3, 1);
    }
    struct bootstrap_input in = input(members, 3);
    in.count = 2;
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_WAIT);
    in.count = 3;
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_ASK);
    assert_int_equal(plan.configuration.count, 3);
    /* In the same order everywhere. */
    for (int i = 0; i < 3; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "id%d", i + 1);
        assert_string_equal(plan.configuration.servers[i].id, id);
        assert_int_equal(plan.configuration.servers[i].suffrage, RAFT_VOTER);
    }
    assert_string_equal(plan.configuration.servers[0].address, "10.0.0.1:8300");
    members[0].status = MEMBER_LEFT;
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_WAIT);
    arena_deinit(&a);
}

static void test_readers_do_not_count(void **state)
{
    struct arena a = {0};
    static const struct extra_tag replica[] = {{"read_replica", "1"}};
    static struct bootstrap_plan plan;
    struct member members[4];
    (void)state;
    for (int i = 0; i < 4; i++) {
        members[i] = member_make(&a, i + 1, MEMBER_ALIVE, replica, i == 0);
    }
    struct bootstrap_input in = input(members, 4);
    in.count = 3;
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_WAIT);
    in.count = 4;
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_ASK);
    assert_int_equal(plan.configuration.count, 4);
    assert_int_equal(plan.configuration.servers[0].suffrage, RAFT_NONVOTER);
    arena_deinit(&a);
}

static void test_conflicts(void **state)
{
    struct arena a = {0};
    static const struct extra_tag five[] = {{"expect", "5"}}, boot[] = {{"bootstrap", "1"}};
    static const struct extra_tag dc2[] = {{"dc", "dc2"}}, client[] = {{"role", "node"}};
    static struct bootstrap_plan plan;
    struct member members[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        members[i] = member_make(&a, i + 1, MEMBER_ALIVE, NULL, 0);
    }
    const struct bootstrap_input in = input(members, 3);
    members[2] = member_make(&a, 3, MEMBER_ALIVE, five, 1);
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_CONFLICT);
    assert_str_lit(plan.member, "s3");
    assert_string_equal(
        plan.problem,
        "Member has a conflicting expect value. All nodes should expect the same number.");
    members[2] = member_make(&a, 3, MEMBER_ALIVE, boot, 1);
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_CONFLICT);
    assert_string_equal(plan.problem, "Member has bootstrap mode. Expect disabled.");
    /* Strangers are no conflict, and do not count. */
    members[2] = member_make(&a, 3, MEMBER_ALIVE, dc2, 1);
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_WAIT);
    members[2] = member_make(&a, 3, MEMBER_ALIVE, client, 1);
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_WAIT);
    arena_deinit(&a);
}

static void test_state_ends_it(void **state)
{
    struct arena a = {0};
    static struct bootstrap_plan plan;
    (void)state;
    struct member m = member_make(&a, 1, MEMBER_ALIVE, NULL, 0);
    struct bootstrap_input in = input(&m, 1);
    in.expect = 1;
    in.last_index = 1;
    bootstrap_decide(&in, &plan);
    assert_int_equal(plan.step, BOOTSTRAP_ENDED);
    arena_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_for_all),
        cmocka_unit_test(test_readers_do_not_count),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_state_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
