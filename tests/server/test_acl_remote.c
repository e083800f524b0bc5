/* A client agent that asks its servers what a token may do, with a stub of a server. */
#include "client_fixture.h"

#include "schema/acl_request.h"
#include "server/acl_resolver.h"
#include "server/client_agent.h"
#include "store/acl.h"

#include <stdio.h>

#define SECRET STR("22222222-2222-2222-2222-222222222222")
#define POLICY_ID STR("11111111-1111-1111-1111-111111111111")
#define TTL_MS 60000u
#define WAITS 4u

struct fixture {
    struct client_servers servers; /* the first one is asked, by what stub_handle() says */
    struct scripted_membership *pool;
    struct client_agent *client;
    struct stub stub;
    unsigned tokens_asked, policies_asked;
    bool is_silent, is_failing, has_no_token, are_off;
    struct stub_call held[WAITS];
    unsigned held_count;
    struct waiter {
        struct acl_wait wait;
        struct fixture *fixture;
        bool is_done, may_read;
        char error[128];
    } waiters[WAITS];
    unsigned done, expected;
    uint64_t old_ms;
    void (*in_turn)(struct fixture *f);
};

/* --- the server ------------------------------------------------------------------------------ */

static void answer_token(const struct fixture *f, const struct stub_call *call)
{
    struct acl_link link = {.id = POLICY_ID, .name = STR("p")};
    struct acl_token token = {.accessor_id = STR("33333333-3333-3333-3333-333333333333"),
                              .secret_id = SECRET,
                              .policies = {&link, 1},
                              .expiration_time = TIME_ZERO};
    struct acl_token_response reply = {.token = f->has_no_token ? NULL : &token};
    stub_reply(call, rpc_acl_token_read.reply, &reply);
}

static void answer_policies(const struct stub_call *call)
{
    struct acl_policy_row row = {
        .id = POLICY_ID, .name = STR("p"), .rules = STR("key \"a\" { policy = \"read\" }")};
    void *list = &row;
    struct acl_policy_batch_response reply = {.policies = {&list, 1}};
    stub_reply(call, rpc_acl_policy_resolve.reply, &reply);
}

static void stub_handle(struct stub *stub, struct stub_call *call)
{
    struct fixture *f = container_of(stub, struct fixture, stub);
    if (str_eq_lit(call->method, "Status.Ping")) {
        stub_reply(call, NULL, NULL);
    } else if (str_eq_lit(call->method, "ACL.TokenRead")) {
        f->tokens_asked++;
        if (f->is_failing) {
            stub_error(call, "rpc error making call: no such luck");
        } else if (f->are_off) {
            stub_error(call, "ACL support disabled");
        } else if (f->is_silent) {
            assert_true(f->held_count < WAITS);
            f->held[f->held_count] = *call;
            f->held[f->held_count++].method = STR("ACL.TokenRead");
        } else {
            answer_token(f, call);
        }
    } else if (str_eq_lit(call->method, "ACL.PolicyResolve")) {
        f->policies_asked++;
        answer_policies(call);
    } else {
        fail_msg("%.*s", STRF(call->method));
    }
}

static void answer_held(struct fixture *f)
{
    for (unsigned i = 0; i < f->held_count; i++) {
        answer_token(f, &f->held[i]);
    }
    f->held_count = 0;
}

/* --- fixture --------------------------------------------------------------------------------- */

static struct fixture *fixture_new(enum acl_down down, uint64_t ttl_ms)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    client_servers_init(&f->servers);
    stub_start(&f->stub, f->servers.main.loop, stub_handle, NULL);
    f->pool = scripted_membership_new(f->servers.main.loop);
    const struct extra_tag role[] = {{"role", "node"}};
    const struct member self = member_make(&f->servers.arena, 99, MEMBER_ALIVE, role, 1);
    scripted_member(f->pool, MEMBERSHIP_JOIN, &self);
    const struct client_agent_options options = {
        .datacenter = STR("dc1"),
        .primary_datacenter = STR("dc1"),
        .node_name = STR("s99"),
        .node_id = STR("id99"),
        .membership = &f->pool->pub,
        .max_query_time_ms = 600000,
        .default_query_time_ms = 300000,
        .rpc_hold_timeout_ms = 100,
        .acl = {.enabled = true,
                .down = down,
                .token_ttl_ms = ttl_ms,
                .policy_ttl_ms = ttl_ms,
                .role_ttl_ms = ttl_ms,
                .disabled_ttl_ms = TTL_MS},
    };
    f->client = client_agent_new(&options, &f->servers.main);
    client_agent_start(f->client);
    const struct member server = client_member(&f->servers, 1, f->stub.address);
    scripted_member(f->pool, MEMBERSHIP_JOIN, &server);
    return f;
}

static void fixture_free(struct fixture *f)
{
    client_agent_stop(f->client);
    stub_stop_listening(&f->stub);
    stub_hang_up(&f->stub);
    client_servers_deinit(&f->servers);
    f->client = client_agent_free(f->client);
    mem_free(f);
}

static struct acl_resolver *resolver(struct fixture *f)
{
    return f->servers.main.acl;
}

static void take(struct waiter *w, struct acl_who *take_who, const struct err *err)
{
    w->is_done = true;
    w->fixture->done++;
    w->may_read = err == NULL && take_who != NULL &&
                  acl_allows(take_who->rights, ACL_KEY_READ, STR("a")) &&
                  !acl_allows(take_who->rights, ACL_KEY_READ, STR("b"));
    (void)snprintf(w->error, sizeof(w->error), "%s", err != NULL ? err_text(err) : "");
    acl_who_unref(take_who);
}

static void done(struct acl_wait *wait)
{
    take(container_of(wait, struct waiter, wait), wait->who, wait->err);
}

static void start(struct fixture *f, unsigned i)
{
    struct waiter *w = &f->waiters[i];
    struct err err = {0};
    struct acl_who *who = NULL;
    *w = (struct waiter){.fixture = f, .wait = {.done = done}};
    int r = acl_resolve(resolver(f), SECRET, &w->wait, &who, &err);
    if (r != ACL_RESOLVE_WAITS) {
        take(w, who, r < 0 ? &err : NULL);
    }
}

static void start_one(struct fixture *f)
{
    start(f, 0);
}

static void start_all(struct fixture *f)
{
    for (unsigned i = 0; i < WAITS; i++) {
        start(f, i);
    }
}

static bool until(void *data)
{
    struct fixture *f = data;
    if (f->in_turn != NULL) {
        f->in_turn(f);
        f->in_turn = NULL;
        return false;
    }
    return f->done + f->held_count >= f->expected;
}

/* Until so many are answered, or held by the server. */
static void run(struct fixture *f, void (*in_turn)(struct fixture *f), unsigned expected)
{
    f->done = 0;
    f->expected = expected;
    f->in_turn = in_turn;
    client_run_until(&f->servers, until, f);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_asked_once_and_remembered(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(ACL_DOWN_EXTEND_CACHE, TTL_MS);
    run(f, start_all, WAITS);
    for (unsigned i = 0; i < WAITS; i++) {
        assert_true(f->waiters[i].may_read);
    }
    f->is_failing = true;
    run(f, start_one, 1);
    assert_true(f->waiters[0].may_read);
    assert_int_equal(f->tokens_asked, 1);
    assert_int_equal(f->policies_asked, 1);
    fixture_free(f);
}

static void cancel_some(struct fixture *f)
{
    acl_wait_cancel(&f->waiters[0].wait);
    acl_wait_cancel(&f->waiters[2].wait);
    f->is_silent = false;
    answer_held(f);
}

static void test_who_cancels_leaves_it_to_the_others(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(ACL_DOWN_EXTEND_CACHE, TTL_MS);
    f->is_silent = true;
    run(f, start_all, 1);
    assert_int_equal(f->held_count, 1);
    run(f, cancel_some, WAITS - 2);
    assert_true(f->waiters[1].may_read && f->waiters[3].may_read);
    assert_false(f->waiters[0].is_done || f->waiters[2].is_done);
    fixture_free(f);
}

static void cancel_all(struct fixture *f)
{
    for (unsigned i = 0; i < WAITS; i++) {
        acl_wait_cancel(&f->waiters[i].wait);
    }
}

static void test_nobody_waits_any_more(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(ACL_DOWN_EXTEND_CACHE, TTL_MS);
    f->is_silent = true;
    run(f, start_all, 1);
    run(f, cancel_all, 1);
    fixture_free(f); /* the lookup is still under way */
}

static void test_unknown_and_known_later(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(ACL_DOWN_EXTEND_CACHE, TTL_MS);
    f->has_no_token = true;
    run(f, start_one, 1);
    assert_string_equal(f->waiters[0].error, "ACL not found");
    run(f, start_one, 1); /* remembered as well */
    assert_string_equal(f->waiters[0].error, "ACL not found");
    assert_int_equal(f->tokens_asked, 1);
    fixture_free(f);
}

static void test_nobody_answers(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(ACL_DOWN_EXTEND_CACHE, TTL_MS);
    f->is_failing = true;
    run(f, start_one, 1); /* nothing is known: nothing is allowed, and nothing is remembered */
    assert_string_equal(f->waiters[0].error, "");
    assert_false(f->waiters[0].may_read);
    f->is_failing = false;
    run(f, start_one, 1);
    assert_true(f->waiters[0].may_read);
    assert_int_equal(f->tokens_asked, 2);
    fixture_free(f);
}

static bool is_old(void *data)
{
    struct fixture *f = data;
    return loop_now_ms(f->servers.main.loop) >= f->old_ms;
}

/* Until what is remembered is older than the TTL. */
static void grow_old(struct fixture *f)
{
    f->old_ms = loop_now_ms(f->servers.main.loop) + 5;
    client_run_until(&f->servers, is_old, f);
}

static void test_known_and_nobody_answers(void **state)
{
    (void)state;
    static const enum acl_down downs[] = {ACL_DOWN_EXTEND_CACHE, ACL_DOWN_DENY, ACL_DOWN_ALLOW};
    for (size_t i = 0; i < ARRAY_SIZE(downs); i++) {
        struct fixture *f = fixture_new(downs[i], 1);
        run(f, start_one, 1);
        assert_true(f->waiters[0].may_read);
        grow_old(f);
        f->is_failing = true;
        run(f, start_one, 1);
        assert_int_equal(f->tokens_asked, 2);
        assert_string_equal(f->waiters[0].error, "");
        assert_int_equal(f->waiters[0].may_read, downs[i] == ACL_DOWN_EXTEND_CACHE);
        fixture_free(f);
    }
}

static void test_nobody_waits_for_what_is_old(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(ACL_DOWN_ASYNC_CACHE, 1);
    run(f, start_one, 1);
    assert_true(f->waiters[0].may_read);
    grow_old(f);
    f->is_silent = true;
    run(f, start_one, 2); /* the answer, and the question that goes on behind it */
    assert_int_equal(f->done, 1);
    assert_true(f->waiters[0].may_read);
    fixture_free(f);
}

static void test_servers_without_acls(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(ACL_DOWN_ALLOW, TTL_MS);
    f->are_off = true;
    assert_true(acl_is_on(resolver(f)));
    run(f, start_one, 1);
    assert_string_equal(f->waiters[0].error, "");
    assert_false(acl_is_on(resolver(f)));
    run(f, start_one, 1);
    assert_int_equal(f->tokens_asked, 1);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked_once_and_remembered),
        cmocka_unit_test(test_who_cancels_leaves_it_to_the_others),
        cmocka_unit_test(test_nobody_waits_any_more),
        cmocka_unit_test(test_unknown_and_known_later),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_known_and_nobody_answers),
        cmocka_unit_test(test_nobody_waits_for_what_is_old),
        cmocka_unit_test(test_servers_without_acls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
