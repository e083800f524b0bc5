/* Which servers are told to workers, and in which order: on one loop, with servers that answer
 * pings or do not. */
#include "client_fixture.h"

#include "server/router.h"
#include "server/server_info.h"

struct fixture {
    struct client_servers servers;
    struct router *router;
    struct loop_timer begin;
    void (*step)(struct fixture *f);
    bool is_done;
    unsigned changes;
    unsigned first[CLIENT_SERVERS + 1]; /* how often each came first */
};

static size_t nodes(void *data)
{
    (void)data;
    return 3;
}

static void changed(void *data)
{
    struct fixture *f = data;
    struct route route;
    f->changes++;
    if (router_find_lan(f->router, &route)) {
        f->first[route.name.p[1] - '0']++;
    }
}

static void fixture_start(struct fixture *f, uint64_t rebalance_ms)
{
    const struct router_options options = {
        .rebalance_ms = rebalance_ms,
        .main = &f->servers.main,
        .datacenter = STR("dc1"),
        .nodes = nodes,
        .changed = changed,
        .data = f,
    };
    f->router = router_new(&options);
    router_add_reader(f->router, f->servers.main.loop);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    client_servers_init(&f->servers);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    router_stop(f->router);
    client_servers_deinit(&f->servers);
    f->router = router_free(f->router);
    mem_free(f);
    return 0;
}

static bool is_done(void *data)
{
    return ((struct fixture *)data)->is_done;
}

static void begin(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, begin);
    f->step(f);
    f->is_done = true;
}

/* Inside a turn of the loop, where the router may be read. */
static void run(struct fixture *f, void (*step)(struct fixture *f))
{
    f->step = step;
    f->is_done = false;
    loop_timer_start(f->servers.main.loop, &f->begin, 0, begin);
    client_run_until(&f->servers, is_done, f);
}

static void add(struct fixture *f, int n, enum router_area area, const char *datacenter)
{
    struct server_info info;
    assert_true(server_info_of(&f->servers.of[n - 1].member, &f->servers.arena, &info));
    info.datacenter = str_from_cstr(datacenter);
    router_add(f->router, area, &info);
}

static void drop(struct fixture *f, int n, enum router_area area, const char *datacenter)
{
    struct server_info info;
    assert_true(server_info_of(&f->servers.of[n - 1].member, &f->servers.arena, &info));
    info.datacenter = str_from_cstr(datacenter);
    router_remove(f->router, area, &info);
}

static uint32_t first_of(struct fixture *f, const char *datacenter)
{
    struct route route;
    return router_find(f->router, str_from_cstr(datacenter), 0, &route) == ROUTER_FOUND
               ? (uint32_t)(route.name.p[1] - '0')
               : 0;
}

/* --- lists ----------------------------------------------------------------------------------- */

static void step_lists(struct fixture *f)
{
    struct route route, same;
    assert_false(router_find_lan(f->router, &route));
    assert_int_equal(router_count_lan(f->router), 0);
    add(f, 1, ROUTER_LAN, "dc1");
    add(f, 2, ROUTER_LAN, "dc1");
    add(f, 3, ROUTER_WAN, "dc2");
    assert_true(router_find_lan(f->router, &route));
    assert_str_lit(route.name, "s1");
    assert_str_equal(route.address, str_from_cstr(f->servers.of[0].stub.address));
    assert_true(router_find_id(f->router, route.id, &same));
    assert_str_lit(same.name, "s1");
    assert_int_equal(router_count_lan(f->router), 2);
    assert_int_equal(first_of(f, "dc1"), 1);
    assert_int_equal(first_of(f, "dc2"), 3);
    assert_int_equal(first_of(f, "dc3"), 0);

    drop(f, 3, ROUTER_WAN, "dc2");
    assert_int_equal(first_of(f, "dc2"), 0);
    drop(f, 3, ROUTER_WAN, "dc9");
    drop(f, 1, ROUTER_LAN, "dc1");
    assert_false(router_find_id(f->router, route.id, &same));
    drop(f, 2, ROUTER_LAN, "dc1");
    assert_false(router_find_lan(f->router, &route)); /* its list stays */
    add(f, 2, ROUTER_LAN, "dc1");
    assert_true(router_find_lan(f->router, &route));
}

static void test_lists(void **state)
{
    struct fixture *f = *state;
    fixture_start(f, 0);
    run(f, step_lists);
}

/* The same data center in both pools: the first list that is not offline. */
static void step_two_pools(struct fixture *f)
{
    add(f, 1, ROUTER_WAN, "dc1");
    assert_int_equal(first_of(f, "dc1"), 1); /* nobody in the LAN's */
    add(f, 2, ROUTER_LAN, "dc1");
    assert_int_equal(first_of(f, "dc1"), 2);
}

static void test_two_pools(void **state)
{
    struct fixture *f = *state;
    fixture_start(f, 0);
    run(f, step_two_pools);
}

/* --- failures -------------------------------------------------------------------------------- */

static void step_fail_first(struct fixture *f)
{
    struct route route;
    add(f, 1, ROUTER_LAN, "dc1");
    add(f, 2, ROUTER_LAN, "dc1");
    add(f, 3, ROUTER_LAN, "dc1");
    assert_true(router_find_lan(f->router, &route));
    f->changes = 0;
    for (int i = 0; i < 100; i++) {
        router_failed(f->router, route.id);
    }
}

static bool has_changed(void *data)
{
    return ((struct fixture *)data)->changes > 0;
}

static void step_fail_others(struct fixture *f)
{
    struct route route;
    assert_int_equal(f->changes, 1);
    assert_true(router_find_lan(f->router, &route));
    assert_str_lit(route.name, "s2");
    router_failed(f->router, route.id + 100);
    drop(f, 3, ROUTER_LAN, "dc1");
    drop(f, 1, ROUTER_LAN, "dc1");
    f->changes = 0;
    router_failed(f->router, route.id); /* alone: there is no other one */
}

static void step_nothing(struct fixture *f)
{
    assert_int_equal(f->changes, 0);
}

static void test_failures(void **state)
{
    struct fixture *f = *state;
    fixture_start(f, 0);
    run(f, step_fail_first);
    client_run_until(&f->servers, has_changed, f);
    run(f, step_fail_others);
    run(f, step_nothing);
}

/* --- rebalancing ----------------------------------------------------------------------------- */

static void step_add_three(struct fixture *f)
{
    for (int n = 1; n <= 3; n++) {
        add(f, n, ROUTER_LAN, "dc1");
    }
    memset(f->first, 0, sizeof(f->first));
}

static bool everybody_was_first(void *data)
{
    const struct fixture *f = data;
    return f->first[1] > 0 && f->first[2] > 0 && f->first[3] > 0;
}

static void test_rebalance(void **state)
{
    struct fixture *f = *state;
    fixture_start(f, 1);
    run(f, step_add_three);
    client_run_until(&f->servers, everybody_was_first, f);
    assert_true(f->servers.of[0].pings + f->servers.of[1].pings + f->servers.of[2].pings > 0);
}

static bool second_was_pinged_often(void *data)
{
    return ((struct fixture *)data)->servers.of[1].pings > 20;
}

/* One that does not answer well is never chosen. */
static void test_rebalance_past_the_silent(void **state)
{
    struct fixture *f = *state;
    fixture_start(f, 1);
    f->servers.of[1].is_silent = true;
    run(f, step_add_three);
    client_run_until(&f->servers, second_was_pinged_often, f);
    assert_int_equal(f->first[2], 0);
    assert_true(f->first[1] > 0 && f->first[3] > 0);
}

static bool is_offline(void *data)
{
    struct fixture *f = data;
    return first_of(f, "dc1") == 0;
}

static bool is_online(void *data)
{
    return !is_offline(data);
}

static void step_still_there(struct fixture *f)
{
    struct route route;
    assert_true(router_find_lan(f->router, &route)); /* better than none */
}

static void test_offline(void **state)
{
    struct fixture *f = *state;
    fixture_start(f, 1);
    for (int i = 0; i < CLIENT_SERVERS; i++) {
        f->servers.of[i].is_silent = true;
    }
    run(f, step_add_three);
    client_run_until(&f->servers, is_offline, f);
    run(f, step_still_there);
    f->servers.of[2].is_silent = false;
    client_run_until(&f->servers, is_online, f);
    assert_true(f->first[3] > 0);
}

/* --- other data centers ---------------------------------------------------------------------- */

static void step_add_others(struct fixture *f)
{
    struct route first, other;
    for (int n = 1; n <= 3; n++) {
        add(f, n, ROUTER_WAN, "dc2");
    }
    add(f, 1, ROUTER_WAN, "dc0");
    assert_int_equal(router_find(f->router, STR("dc2"), 0, &first), ROUTER_FOUND);
    assert_int_equal(first.siblings, 3);
    assert_int_equal(router_find(f->router, STR("dc2"), first.id, &other), ROUTER_FOUND);
    assert_str_lit(other.name, "s2");
    assert_int_equal(router_find(f->router, STR("dc2"), 12345, &other), ROUTER_FOUND);
    assert_str_lit(other.name, "s1");
    assert_int_equal(router_find(f->router, STR("dc0"), 0, &first), ROUTER_FOUND);
    assert_int_equal(router_find(f->router, STR("dc0"), first.id, &other), ROUTER_FOUND);
    assert_int_equal(other.id, first.id); /* there is no choice */
    assert_int_equal(router_find(f->router, STR("dc9"), 0, &other), ROUTER_UNKNOWN);
    struct arena a = {0};
    struct strlist names = router_datacenters(f->router, &a);
    assert_int_equal(names.n, 2);
    assert_str_lit(names.v[0], "dc0");
    assert_str_lit(names.v[1], "dc2");
    arena_deinit(&a);
}

/* As all calls do that fail together. */
static void step_not_reached(struct fixture *f)
{
    struct route route;
    assert_int_equal(router_find(f->router, STR("dc2"), 0, &route), ROUTER_FOUND);
    for (int i = 0; i < 100; i++) {
        router_unreachable(f->router, route.id);
    }
}

static bool third_is_first(void *data)
{
    return first_of(data, "dc2") == 3;
}

static unsigned pings(const struct fixture *f)
{
    return f->servers.of[0].pings + f->servers.of[1].pings + f->servers.of[2].pings;
}

/* The one that answers is found at once, by one round of pings. */
static void test_not_reached(void **state)
{
    struct fixture *f = *state;
    fixture_start(f, 0);
    f->servers.of[0].is_silent = f->servers.of[1].is_silent = true;
    run(f, step_add_others);
    run(f, step_not_reached);
    client_run_until(&f->servers, third_is_first, f);
    assert_in_range(pings(f), 1, 3);
}

static bool nobody_answers(void *data)
{
    struct fixture *f = data;
    struct route route;
    return router_find(f->router, STR("dc2"), 0, &route) == ROUTER_OFFLINE;
}

static bool somebody_answers(void *data)
{
    return !nobody_answers(data);
}

static void step_known(struct fixture *f)
{
    assert_true(router_has(f->router, STR("dc2")));
    assert_false(router_has(f->router, STR("dc9")));
}

/* And that nobody answers, until somebody does. */
static void test_nobody_reached(void **state)
{
    struct fixture *f = *state;
    fixture_start(f, 0);
    for (int i = 0; i < CLIENT_SERVERS; i++) {
        f->servers.of[i].is_silent = true;
    }
    run(f, step_add_others);
    run(f, step_not_reached);
    client_run_until(&f->servers, nobody_answers, f);
    run(f, step_known);
    f->servers.of[2].is_silent = false;
    client_run_until(&f->servers, somebody_answers, f);
}

static void step_failed_in_the_pool(struct fixture *f)
{
    struct server_info info;
    assert_true(server_info_of(&f->servers.of[0].member, &f->servers.arena, &info));
    info.datacenter = STR("dc2");
    router_fail(f->router, ROUTER_WAN, &info);
    assert_int_equal(first_of(f, "dc2"), 2);
    router_fail(f->router, ROUTER_WAN, &info); /* it is the last already */
    assert_int_equal(first_of(f, "dc2"), 2);
    info.datacenter = STR("dc9");
    router_fail(f->router, ROUTER_WAN, &info);
}

static void test_failed_in_the_pool(void **state)
{
    struct fixture *f = *state;
    fixture_start(f, 0);
    run(f, step_add_others);
    run(f, step_failed_in_the_pool);
}

#define ROUTED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROUTED(test_lists),
        ROUTED(test_two_pools),
        ROUTED(test_failures),
        ROUTED(test_rebalance),
        ROUTED(test_rebalance_past_the_silent),
        ROUTED(test_offline),
        ROUTED(test_not_reached),
        ROUTED(test_nobody_reached),
        ROUTED(test_failed_in_the_pool),
    };
    return cmocka_run_group_tests_name("server/router", tests, NULL, NULL);
}
