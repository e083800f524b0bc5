#include "test.h"

#include "raft/stable.h"
#include "sim_io.h"

#include <errno.h>

static struct raft_stable *stable_open(struct sim_io *s)
{
    struct raft_stable *stable = NULL;
    struct err err = {0};
    if (raft_stable_open(&s->io, "dir", &stable, &err) < 0) {
        print_error("%s\n", err_text(&err));
        fail();
    }
    return stable;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct sim_io *s = sim_io_new(1);
    struct raft_stable *stable = stable_open(s);
    assert_true(raft_stable_get(stable)->term == 0);
    struct err err = {0};
    for (uint64_t term = 1; term < 20; term++) {
        struct raft_stable_state v = {.term = term, .commit_index = term * 10};
        v.voted_for[0] = (char)('a' + term);
        uint64_t syncs = s->syncs;
        assert_ok(raft_stable_set(stable, &v, &err));
        assert_int_equal(s->syncs - syncs, term == 1 ? 2 : 1);
        assert_ok(raft_stable_set(stable, &v, &err)); /* nothing new costs nothing */
        assert_int_equal(s->syncs - syncs, term == 1 ? 2 : 1);
        raft_stable_free(stable);
        sim_io_crash(s);
        stable = stable_open(s);
        assert_true(raft_stable_get(stable)->term == term);
        assert_true(raft_stable_get(stable)->commit_index == term * 10);
        assert_int_equal(raft_stable_get(stable)->voted_for[0], 'a' + term);
    }
    raft_stable_free(stable);
    sim_io_free(s);
}

/* Whatever call fails, once or for good: after a crash it says what was set last, or what was being
 * set. */
static void test_every_call_fails(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct sim_io *s = sim_io_new(seed);
            s->fail_at = n;
            s->fail_stays = seed % 2;
            struct raft_stable *stable = stable_open(s);
            uint64_t set = 0, tried = 0;
            for (uint64_t term = 1; term < 6; term++) {
                struct raft_stable_state v = {.term = term};
                struct err err = {0};
                tried = term;
                if (raft_stable_set(stable, &v, &err) == 0) {
                    set = term;
                } else {
                    assert_true(err.code != 0);
                }
                assert_true(raft_stable_get(stable)->term == set);
            }
            failed = s->failed;
            raft_stable_free(stable);
            sim_io_crash(s);
            stable = stable_open(s);
            uint64_t term = raft_stable_get(stable)->term;
            assert_true(term >= set && term <= tried);
            raft_stable_free(stable);
            sim_io_free(s);
        }
    }
}

/* Room for every later vote is taken with the first: a disk that is full keeps votes. */
static void test_room(void **state)
{
    (void)state;
    struct sim_io *s = sim_io_new(1);
    struct raft_stable *stable = stable_open(s);
    struct err err = {0};
    assert_ok(raft_stable_set(stable, &(struct raft_stable_state){.term = 1}, &err));
    assert_int_equal(s->allocates, 1); /* its size alone says nothing: holes take room later */
    uint64_t size = sim_io_file(s, "dir/state")->size;
    assert_ok(raft_stable_set(stable, &(struct raft_stable_state){.term = 2}, &err));
    assert_ok(raft_stable_set(stable, &(struct raft_stable_state){.term = 3}, &err));
    assert_int_equal(sim_io_file(s, "dir/state")->size, size);
    raft_stable_free(stable);
    sim_io_free(s);
}

static void test_damage(void **state)
{
    (void)state;
    struct sim_io *s = sim_io_new(1);
    struct raft_stable *stable = stable_open(s);
    struct err err = {0};
    for (uint64_t term = 1; term < 3; term++) {
        assert_ok(raft_stable_set(stable, &(struct raft_stable_state){.term = term}, &err));
    }
    raft_stable_free(stable);
    sim_io_settle(s);
    struct sim_file *f = sim_io_file(s, "dir/state");
    assert_non_null(f);
    sim_io_flip(f, 16, 1); /* the newer slot: the older one counts */
    stable = stable_open(s);
    assert_true(raft_stable_get(stable)->term == 1);
    raft_stable_free(stable);
    sim_io_flip(f, 4096 + 40, 1);
    assert_int_equal(raft_stable_open(&s->io, "dir", &stable, &err), -ERR_CORRUPT);
    assert_non_null(strstr(err.text, "dir/state"));
    sim_io_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_call_fails),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
