#include "agent/user_event.h"

#include "agent_fixture.h"

#include "server/user_events.h"

static struct objlist list(struct fixture *f, struct str name)
{
    return user_events_list(f->agent->events, name, &f->arena);
}

static bool was_heard(void *data)
{
    struct fixture *f = data;
    return f->done > 0;
}

static void heard(void *data, const struct err *err)
{
    struct fixture *f = data;
    (void)err;
    f->done++;
}

/* As Internal.EventFire does, and until it has been heard here. */
static int fire(struct fixture *f, struct user_event event, struct err *err)
{
    int rc = user_event_complete(&event, &f->arena, err);
    if (rc >= 0) {
        struct str name = arena_concat(&f->arena, USER_EVENT_PREFIX, event.name);
        f->done = 0;
        membership_user_event(&f->base.pool->pub, name, user_event_encode(&event, &f->arena), false,
                              heard, f);
        run_until(f, was_heard);
    }
    return rc;
}

static void test_ring_keeps_the_last(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    assert_int_equal(user_events_index(list(f, STR(""))), 1);
    for (int i = 0; i < 300; i++) {
        struct str payload = arena_printf(&f->arena, "%d", i);
        assert_ok(fire(
            f, (struct user_event){.name = i % 2 ? STR("odd") : STR("even"), .payload = payload},
            &err));
    }
    struct objlist all = list(f, STR("")), odd = list(f, STR("odd"));
    const struct user_event *events = all.v;
    assert_int_equal(all.n, USER_EVENTS_MAX);
    assert_int_equal(odd.n, USER_EVENTS_MAX / 2);
    assert_str_lit(events[0].payload, "44");
    assert_str_lit(events[USER_EVENTS_MAX - 1].payload, "299");
    assert_true(events[0].ltime < events[1].ltime);
    assert_true(user_events_index(all) > 1);
    assert_true(user_events_index(all) == user_events_index(odd)); /* the same last event */
}

/* As in 1.10.3, where the new leader's own announcement has the first time. */
static void test_first_event_comes_after_the_leader(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    assert_ok(fire(f, (struct user_event){.name = STR("e")}, &err));
    const struct user_event *event = list(f, STR("e")).v;
    assert_int_equal(event->ltime, 2);
}

static void test_filters_decide_who_gets_it(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct str tags[] = {STR("v1"), STR("blue")};
    struct node_service web = {.service = STR("web"), .tags = {tags, 2}};
    assert_ok(add_service(f, web, NULL, 0, &err));
    static const struct {
        const char *node, *service, *tag;
        bool is_for_us;
    } cases[] = {
        {"^node1$", "", "", true}, {"^other", "", "", false}, {"", "we.", "", true},
        {"", "db", "", false},     {"", "web", "^v", true},   {"", "web", "^green", false},
    };
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_ok(fire(f,
                       (struct user_event){.name = STR("e"),
                                           .node_filter = str_from_cstr(cases[i].node),
                                           .service_filter = str_from_cstr(cases[i].service),
                                           .tag_filter = str_from_cstr(cases[i].tag)},
                       &err));
        count += cases[i].is_for_us;
        assert_int_equal(list(f, STR("")).n, count);
    }
}

static void test_what_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    assert_true(fire(f, (struct user_event){0}, &err) < 0);
    assert_string_equal(err.text, "User event missing name");
    assert_true(fire(f, (struct user_event){.name = STR("e"), .tag_filter = STR("t")}, &err) < 0);
    assert_string_equal(err.text, "Cannot provide tag filter without service filter");
    assert_true(fire(f, (struct user_event){.name = STR("e"), .node_filter = STR("(")}, &err) < 0);
    assert_string_equal(err.text, "Invalid node filter: error parsing regexp: missing closing ): "
                                  "`(`");
    assert_int_equal(list(f, STR("")).n, 0);
}

/* Of go-msgpack with its newer types (str 8, bin 8): what 1.10.3 sends. */
static void test_encoding(void **state)
{
    struct fixture *f = *state;
    struct user_event event = {.id = STR("12345678-1234-1234-1234-123456789012"),
                               .name = STR("deploy"),
                               .payload = STR("x"),
                               .tag_filter = STR("t"),
                               .version = 1};
    assert_str_equal(user_event_encode(&event, &f->arena),
                     STR("\x85\xa2ID\xd9\x24"
                         "12345678-1234-1234-1234-123456789012\xa1n\xa6"
                         "deploy\xa1p\xc4\x01x\xa2tf\xa1t\xa1v\x01"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ring_keeps_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_event_comes_after_the_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters_decide_who_gets_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_encoding, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
