#include "agent_fixture.h"

static void test_registration_reaches_the_catalog(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct check_def ttl = {.ttl = 60 * (int64_t)NS_PER_SEC, .status = STR("passing")};
    assert_ok(
        add_service(f, (struct node_service){.service = STR("web"), .port = 80}, &ttl, 1, &err));
    assert_ok(add_check(f, (struct check_def){.name = STR("alone"), .ttl = ttl.ttl}, &err));
    run_until(f, is_in_step);
    assert_str_lit(catalog_services(f), "web:80 ");
    assert_str_lit(catalog_checks(f), "alone=critical() service:web=passing() ");

    /* A change of status is sent at once, and the removal of a service takes its checks along. */
    bool is_changed = false;
    assert_ok(
        check_ttl_report(f->agent, STR("alone"), STR("passing"), STR("fine"), &is_changed, &err));
    assert_true(is_changed);
    run_until(f, is_in_step);
    assert_str_lit(catalog_checks(f), "alone=passing(fine) service:web=passing() ");
    assert_ok(service_remove(f->agent, STR("web"), true, &err));
    run_until(f, is_in_step);
    assert_str_lit(catalog_services(f), "");
    assert_str_lit(catalog_checks(f), "alone=passing(fine) ");
    assert_null(map_get(&f->agent->local->services, STR("web")));
    assert_null(map_get(&f->agent->local->checks, STR("service:web")));
}

static bool foreign_is_gone(void *data)
{
    struct fixture *f = data;
    return map_get(&f->agent->local->services, STR("foreign")) == NULL && f->done > 0;
}

static void test_full_sync_repairs_the_catalog(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    assert_ok(
        add_service(f, (struct node_service){.service = STR("web"), .port = 80}, NULL, 0, &err));
    run_until(f, is_in_step);
    struct weights weights = {1, 1};
    struct node_service changed = {
        .id = STR("web"), .service = STR("web"), .port = 81, .weights = &weights};
    struct node_service foreign = {
        .id = STR("foreign"), .service = STR("foreign"), .port = 1, .weights = &weights};
    struct register_request req = {.datacenter = STR("dc1"),
                                   .node = STR("node1"),
                                   .id = FIXTURE_NODE_ID,
                                   .address = STR("127.0.0.1"),
                                   .service = &changed};
    catalog_write(f, &req);
    req.service = &foreign;
    catalog_write(f, &req);
    assert_str_lit(catalog_services(f), "foreign:1 web:81 ");

    agent_sync_soon(f->agent);
    catalog_becomes(f, "web:80 ");
    run_until(f, foreign_is_gone);
}

static bool tags_are_theirs(void *data)
{
    struct fixture *f = data;
    const struct service_entry *e = local_service(f->agent->local, STR("web"));
    return e->row->service.tags.n == 1 && str_eq_lit(e->row->service.tags.v[0], "theirs");
}

static void test_enable_tag_override_adopts_their_tags(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct str mine = STR("mine"), theirs = STR("theirs");
    struct node_service service = {
        .service = STR("web"), .tags = {&mine, 1}, .enable_tag_override = true};
    assert_ok(add_service(f, service, NULL, 0, &err));
    run_until(f, is_in_step);
    struct weights weights = {1, 1};
    service.id = STR("web");
    service.tags = (struct strlist){&theirs, 1};
    service.weights = &weights;
    catalog_write(f, &(struct register_request){.datacenter = STR("dc1"),
                                                .node = STR("node1"),
                                                .id = FIXTURE_NODE_ID,
                                                .address = STR("127.0.0.1"),
                                                .service = &service});
    agent_sync_soon(f->agent);
    run_until(f, tags_are_theirs);
}

/* --- waiting for the catalog ----------------------------------------------------------------- */

struct waiter {
    struct agent_call call;
    struct fixture *f;
};

static void waiter_run(struct agent_call *call)
{
    struct waiter *w = container_of(call, struct waiter, call);
    struct err err = {0};
    assert_ok(add_service(w->f, (struct node_service){.service = STR("waited"), .port = 7}, NULL, 0,
                          &err));
    agent_call_finish_synced(call);
}

static void waiter_done(struct agent_call *call)
{
    container_of(call, struct waiter, call)->f->done++;
}

static void test_call_is_answered_when_the_catalog_has_it(void **state)
{
    struct fixture *f = *state;
    struct waiter w = {.call = {.run = waiter_run, .done = waiter_done}, .f = f};
    f->done = 0;
    agent_call(f->agent, f->base.main.loop, &w.call);
    run_until(f, call_is_done);
    assert_true(is_in_step(f));
    assert_str_lit(catalog_services(f), "waited:7 ");
}

/* Nobody leads: the write is answered all the same, and is not forgotten. */
static void test_without_a_leader(void **state)
{
    struct fixture *f = fixture_new(false);
    struct err err = {0};
    *state = f;
    fixture_start_server(f);
    assert_ok(fixture_start_agent(f, &err));
    struct waiter w = {.call = {.run = waiter_run, .done = waiter_done}, .f = f};
    agent_call(f->agent, f->base.main.loop, &w.call);
    run_until(f, call_is_done);
    assert_false(is_in_step(f));
    assert_non_null(local_root_service(local_root(f->agent->local), STR("waited")));
    assert_false(local_service(f->agent->local, STR("waited"))->in_sync);
}

/* The agent starts before there is a leader. */
static void test_leader_comes_late(void **state)
{
    struct fixture *f = fixture_new(true);
    struct err err = {0};
    *state = f;
    assert_ok(
        server_start(f->base.server, &err)); /* elects on the raft thread, told on this loop */
    assert_ok(fixture_start_agent(f, &err));
    struct waiter w = {.call = {.run = waiter_run, .done = waiter_done}, .f = f};
    agent_call(f->agent, f->base.main.loop, &w.call);
    run_until(f, is_in_step);
    assert_str_lit(catalog_services(f), "waited:7 ");
}

static void test_abort_while_waiting(void **state)
{
    struct fixture *f = fixture_new(false);
    struct err err = {0};
    *state = f;
    fixture_start_server(f);
    assert_ok(fixture_start_agent(f, &err));
    struct waiter w = {.call = {.run = waiter_run, .done = waiter_done}, .f = f};
    f->done = 0;
    agent_call(f->agent, f->base.main.loop, &w.call);
    agent_call_abort(&w.call);
    run_until(f, call_is_done);
    assert_int_equal(f->done, 1);
}

static void test_many_services(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    char name[32];
    for (int i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof(name), "s%03d", i);
        struct check_def ttl = {.ttl = 60 * (int64_t)NS_PER_SEC};
        assert_ok(add_service(f, (struct node_service){.service = str_from_cstr(name), .port = i},
                              &ttl, 1, &err));
    }
    run_until(f, is_in_step);
    struct str text = catalog_services(f);
    assert_true(str_has_prefix(text, STR("s000:0 s001:1 ")));
    assert_true(str_has_suffix(text, STR("s499:499 ")));
    for (int i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof(name), "s%03d", i);
        assert_ok(service_remove(f->agent, str_from_cstr(name), true, &err));
    }
    run_until(f, is_in_step);
    assert_str_lit(catalog_services(f), "");
    assert_str_lit(catalog_checks(f), "");
    assert_int_equal(f->agent->local->services.n, 0);
    assert_int_equal(f->agent->local->checks.n, 0);
}

static bool has_left(void *data)
{
    const struct fixture *f = data;
    return f->agent->has_left;
}

/* The leader takes a node that leaves out of the catalog: it must not come back. */
static void test_who_leaves_does_not_register(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    assert_ok(
        add_service(f, (struct node_service){.service = STR("web"), .port = 80}, NULL, 0, &err));
    run_until(f, is_in_step);
    agent_sync_soon(f->agent);
    agent_leave(f->agent);
    assert_ok(
        add_service(f, (struct node_service){.service = STR("late"), .port = 81}, NULL, 0, &err));
    run_until(f, has_left);
    assert_str_lit(catalog_services(f), "web:80 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_registration_reaches_the_catalog, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_sync_repairs_the_catalog, setup, teardown),
        cmocka_unit_test_setup_teardown(test_enable_tag_override_adopts_their_tags, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_call_is_answered_when_the_catalog_has_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_without_a_leader, NULL, teardown),
        cmocka_unit_test_setup_teardown(test_leader_comes_late, NULL, teardown),
        cmocka_unit_test_setup_teardown(test_abort_while_waiting, NULL, teardown),
        cmocka_unit_test_setup_teardown(test_many_services, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_leaves_does_not_register, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
