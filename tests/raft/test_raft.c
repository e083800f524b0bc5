#include "test.h"

#include "raft/raft.h"

#include <sched.h>

static _Atomic int leader, done_code, done_count;
static _Atomic uint64_t applied;

static void apply(void *fsm, uint64_t index, uint64_t term, struct str entry,
                  struct raft_proposal *proposal)
{
    (void)fsm, (void)term, (void)index;
    assert_non_null(proposal);
    assert_str_lit(entry, "abc");
    atomic_fetch_add(&applied, 1);
}
static void batch_end(void *fsm)
{
    (void)fsm;
}
static void leadership(void *data, bool is_leader)
{
    (void)data;
    atomic_store(&leader, is_leader);
}
static void done(struct raft_proposal *p, int code, uint64_t index)
{
    (void)p, (void)index;
    atomic_store(&done_code, code);
    atomic_fetch_add(&done_count, 1);
}

static void test_memory(void **state)
{
    (void)state;
    static const struct raft_fsm_ops ops = {.apply = apply, .batch_end = batch_end};
    struct raft_options o = {.in_memory = true,
                             .bootstrap = true,
                             .local_id = STR("id"),
                             .local_address = STR("127.0.0.1:8300"),
                             .ops = &ops,
                             .leadership = leadership};
    struct raft *r = NULL;
    struct err err = {0};
    assert_ok(raft_start(&o, &r, &err));
    while (!leader) {
        sched_yield();
    }
    assert_true(raft_is_leader(r));
    static struct raft_proposal p[1000];
    for (int i = 0; i < 1000; i++) {
        p[i] = (struct raft_proposal){.entry = STR_INIT("abc"), .done = done};
        raft_propose(r, &p[i]);
    }
    while (done_count < 1000) {
        sched_yield();
    }
    assert_int_equal(applied, 1000);
    assert_int_equal(done_code, 0);
    struct raft_status s;
    raft_status(r, &s);
    assert_int_equal(s.applied_index, 1002);
    assert_int_equal(s.term, 2);
    assert_string_equal(s.leader_address, "127.0.0.1:8300");
    raft_stop(r);
    assert_false(leader);
    raft_propose(r, &p[0]);
    assert_int_equal(done_code, -ERR_CLOSED);
    raft_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
