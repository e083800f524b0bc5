/* Calls that ask the main loop: by the example of Internal.EventFire. */
#include "server_fixture.h"

#include "schema/gossip.h"
#include "server/rpc_ask.h"
#include "server/user_events.h"

#include <stdio.h>

struct fixture {
    struct server_fixture base;
    struct membership_listener listener;
    char heard[64];
    uint32_t done;
    struct err err;
};

static void heard_member(struct membership_listener *l, enum membership_event event,
                         const struct member *member)
{
    (void)l;
    (void)event;
    (void)member;
}

static void heard_event(struct membership_listener *l, const struct serf_user_event *event)
{
    struct fixture *f = container_of(l, struct fixture, listener);
    if (str_has_prefix(event->name, USER_EVENT_PREFIX)) {
        (void)snprintf(f->heard, sizeof(f->heard), "%.*s=%.*s", STRF(event->name),
                       STRF(event->payload));
    }
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    server_fixture_init(&f->base, &options);
    f->listener.event = heard_member;
    f->listener.user_event = heard_event;
    membership_listen(&f->base.pool->pub, &f->listener);
    server_fixture_start(&f->base);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    server_fixture_deinit(&f->base);
    mem_free(f);
    return 0;
}

static void call_done(struct rpc_call *call)
{
    struct fixture *f = call->data;
    err_clear(&f->err);
    if (call->err != NULL) {
        f->err = *call->err;
    }
    f->done++;
    rpc_call_free(call);
}

static bool is_done(void *data)
{
    struct fixture *f = data;
    return f->done > 0;
}

static bool is_heard(void *data)
{
    struct fixture *f = data;
    return f->heard[0] != '\0';
}

static struct rpc_call *fire_call(struct fixture *f, struct str payload)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, &rpc_internal_event_fire);
    struct event_fire_request *args = call->args;
    args->datacenter = STR("dc1");
    args->name = STR("deploy");
    args->payload = payload;
    call->done = call_done;
    call->data = f;
    f->done = 0;
    return call;
}

/* What the arguments pointed to may go as soon as the call has begun. */
static void test_answered(void **state)
{
    struct fixture *f = *state;
    char payload[] = "now";
    rpc_start(fire_call(f, str_make(payload, 3)));
    memset(payload, 'x', sizeof(payload));
    assert_int_equal(f->done, 0);
    server_fixture_run_until(&f->base, is_done, f);
    assert_int_equal(f->err.code, 0);
    assert_string_equal(f->heard, "consul:event:deploy=now");
}

static void test_canceled(void **state)
{
    struct fixture *f = *state;
    struct rpc_call *call = fire_call(f, STR("all the same"));
    rpc_start(call);
    rpc_cancel(call);
    server_fixture_run_until(&f->base, is_heard, f);
    assert_int_equal(f->done, 0);
}

/* One that the main loop has begun, and one that it has not. */
static void test_the_server_stops(void **state)
{
    struct fixture *f = *state;
    rpc_start(fire_call(f, STR("a")));
    loop_stop(f->base.main.loop);
    loop_run(f->base.main.loop);
    f->done = 0;
    struct rpc_call *one = fire_call(f, STR("b")), *two = fire_call(f, STR("c"));
    rpc_start(one);
    server_stop(f->base.server);
    loop_stop(f->base.main.loop);
    loop_run(f->base.main.loop);
    assert_int_equal(f->done, 1);
    assert_int_equal(f->err.code, ERR_CLOSED);
    rpc_start(two);
    assert_int_equal(f->done, 2);
    assert_int_equal(f->err.code, ERR_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_canceled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_server_stops, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
