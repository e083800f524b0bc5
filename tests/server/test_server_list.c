/* Which server is asked first: joining, leaving, failing, rebalancing. */
#include "test.h"

#include "base/arena.h"
#include "base/rand.h"
#include "server/server_list.h"

#include <stdio.h>

struct fixture {
    struct server_list list;
    struct arena arena;
    struct rng rng;
    char text[256];
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    server_list_init(&f->list);
    rng_seed(&f->rng, 5);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    server_list_deinit(&f->list);
    arena_deinit(&f->arena);
    mem_free(f);
    return 0;
}

static struct server_info info_at(struct fixture *f, const char *name, const char *address)
{
    return (struct server_info){
        .name = arena_str(&f->arena, str_from_cstr(name)),
        .address = arena_str(&f->arena, str_from_cstr(address)),
        .datacenter = STR("dc1"),
    };
}

static bool add(struct fixture *f, const char *name, uint32_t id)
{
    const struct server_info info = info_at(f, name, name);
    return server_list_add(&f->list, &info, id);
}

static void add_three(struct fixture *f)
{
    add(f, "a", 1);
    add(f, "b", 2);
    add(f, "c", 3);
}

/* "a1 b2 c3": names and ids, in order. */
static const char *shown(struct fixture *f)
{
    size_t n = 0;
    f->text[0] = '\0';
    for (size_t i = 0; i < f->list.servers.n; i++) {
        const struct server_entry *e = f->list.servers.v[i];
        n += (size_t)snprintf(f->text + n, sizeof(f->text) - n, "%s%.*s%u", i > 0 ? " " : "",
                              STRF(e->name), e->id);
    }
    return f->text;
}

static void test_join_update_leave(void **state)
{
    struct fixture *f = *state;
    assert_true(f->list.is_offline);
    add_three(f);
    assert_string_equal(shown(f), "a1 b2 c3");
    assert_false(f->list.is_offline);

    assert_true(add(f, "b", 4)); /* where it was: it keeps its id */
    assert_string_equal(shown(f), "a1 b2 c3");
    const struct server_info moved = info_at(f, "b", "elsewhere");
    assert_true(server_list_add(&f->list, &moved, 5));
    assert_string_equal(shown(f), "a1 b5 c3");
    assert_str_lit(f->list.servers.v[1]->address, "elsewhere");
    assert_str_lit(f->list.servers.v[1]->text, "b (Addr: tcp/elsewhere) (DC: dc1)");

    assert_true(server_list_remove(&f->list, STR("a")));
    assert_false(server_list_remove(&f->list, STR("a")));
    assert_string_equal(shown(f), "b5 c3");
    assert_true(server_list_remove(&f->list, STR("c")));
    assert_true(server_list_remove(&f->list, STR("b")));
    assert_string_equal(shown(f), "");
}

static void test_failure_turns_the_list(void **state)
{
    struct fixture *f = *state;
    add_three(f);
    assert_false(server_list_failed(&f->list, 2)); /* it is not asked anyway */
    assert_true(server_list_failed(&f->list, 1));
    assert_string_equal(shown(f), "b2 c3 a1");
    assert_false(server_list_failed(&f->list, 1)); /* of many calls that failed together */
    assert_true(server_list_failed(&f->list, 2));
    assert_string_equal(shown(f), "c3 a1 b2");
}

static void test_lone_server_stays(void **state)
{
    struct fixture *f = *state;
    add(f, "a", 1);
    assert_false(server_list_failed(&f->list, 1));
    assert_string_equal(shown(f), "a1");
}

static void test_bound(void **state)
{
    struct fixture *f = *state;
    char name[16];
    for (uint32_t i = 0; i < SERVER_LIST_MAX; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        assert_true(add(f, name, i + 1));
    }
    assert_false(add(f, "more", 1000));
    assert_true(add(f, "s7", 1000));
    assert_int_equal(f->list.servers.n, SERVER_LIST_MAX);
}

/* Every order comes up, and only the server that answered is first. */
static void test_rebalance(void **state)
{
    struct fixture *f = *state;
    unsigned first[4] = {0};
    add_three(f);
    for (unsigned round = 0; round < 300; round++) {
        assert_true(server_list_rebalance(&f->list, &f->rng));
        uint32_t chosen = server_list_candidate(&f->list)->id;
        assert_int_equal(server_list_pinged(&f->list, true), SERVER_LIST_REORDERED);
        assert_int_equal(f->list.servers.v[0]->id, chosen);
        assert_int_equal(f->list.servers.n, 3);
        first[chosen]++;
    }
    assert_true(first[1] > 50 && first[2] > 50 && first[3] > 50);
}

static void test_rebalance_passes_over_the_silent(void **state)
{
    struct fixture *f = *state;
    add_three(f);
    assert_true(server_list_rebalance(&f->list, &f->rng));
    uint32_t silent = server_list_candidate(&f->list)->id;
    assert_int_equal(server_list_pinged(&f->list, false), SERVER_LIST_PINGING);
    uint32_t chosen = server_list_candidate(&f->list)->id;
    assert_int_not_equal(chosen, silent);
    assert_int_equal(server_list_pinged(&f->list, true), SERVER_LIST_REORDERED);
    assert_int_equal(f->list.servers.v[0]->id, chosen);
    assert_int_equal(f->list.servers.v[2]->id, silent);
}

static void test_rebalance_with_nobody(void **state)
{
    struct fixture *f = *state;
    add_three(f);
    assert_true(server_list_rebalance(&f->list, &f->rng));
    assert_int_equal(server_list_pinged(&f->list, false), SERVER_LIST_PINGING);
    assert_int_equal(server_list_pinged(&f->list, false), SERVER_LIST_PINGING);
    assert_int_equal(server_list_pinged(&f->list, false), SERVER_LIST_OFFLINE);
    assert_true(f->list.is_offline);
    assert_string_equal(shown(f), "a1 b2 c3");
    add(f, "d", 4);
    assert_false(f->list.is_offline);

    struct server_list empty;
    server_list_init(&empty);
    assert_false(server_list_rebalance(&empty, &f->rng));
    assert_true(empty.is_offline);
    server_list_deinit(&empty);
}

static void test_changes_during_a_ping(void **state)
{
    struct fixture *f = *state;
    add_three(f);
    assert_true(server_list_rebalance(&f->list, &f->rng));
    const struct server_entry *chosen = server_list_candidate(&f->list);
    struct str name = arena_str(&f->arena, chosen->name);
    struct str other = str_eq_lit(name, "a") ? STR("b") : STR("a");
    add(f, "d", 4);
    server_list_remove(&f->list, other);
    struct server_info moved = info_at(f, arena_str(&f->arena, name).p, "elsewhere");
    server_list_add(&f->list, &moved, 5);
    assert_int_equal(server_list_pinged(&f->list, true), SERVER_LIST_REORDERED);
    assert_int_equal(f->list.servers.n, 3);
    assert_str_equal(f->list.servers.v[0]->name, name);
    assert_int_equal(f->list.servers.v[0]->id, 5);   /* as it is now */
    assert_str_lit(f->list.servers.v[2]->name, "d"); /* behind those that were shuffled */
}

static void test_the_chosen_one_leaves(void **state)
{
    struct fixture *f = *state;
    add_three(f);
    assert_true(server_list_rebalance(&f->list, &f->rng));
    struct str name = arena_str(&f->arena, server_list_candidate(&f->list)->name);
    server_list_remove(&f->list, name);
    char before[64];
    (void)snprintf(before, sizeof(before), "%s", shown(f));
    assert_int_equal(server_list_pinged(&f->list, true), SERVER_LIST_KEPT);
    assert_string_equal(shown(f), before);
    assert_false(f->list.is_offline);
}

static void test_delay(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 100; i++) {
        uint64_t ms = server_list_delay_ms(3, 100, &f->rng);
        assert_in_range(ms, 120000, 179999);
        ms = server_list_delay_ms(0, 100000, &f->rng);
        assert_in_range(ms, 120000, 179999);
    }
    assert_int_equal(server_list_delay_ms(5, 100000, &f->rng), 312500);
    assert_int_equal(server_list_delay_ms(1, 99996, &f->rng), 1562437);
}

#define LISTED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTED(test_join_update_leave),
        LISTED(test_failure_turns_the_list),
        LISTED(test_lone_server_stays),
        LISTED(test_bound),
        LISTED(test_rebalance),
        LISTED(test_rebalance_passes_over_the_silent),
        LISTED(test_rebalance_with_nobody),
        LISTED(test_changes_during_a_ping),
        LISTED(test_the_chosen_one_leaves),
        LISTED(test_delay),
    };
    return cmocka_run_group_tests_name("server/server_list", tests, NULL, NULL);
}
