/* The calls of a client: which server they go to, what becomes of those that fail. On one loop,
 * with stubs of servers and a scripted pool. */
#include "client_fixture.h"

#include "server/client_agent.h"
#include "server/router.h"

#define CALLS_MAX 8u
#define HOLD_MS 2000u

struct answer {
    struct fixture *fixture;
    bool is_done;
    int code;
    char text[256]; /* of the error, or the value */
};

struct fixture {
    struct client_servers servers;
    struct scripted_membership *pool;
    struct client_agent *client;
    struct loop_timer begin;
    struct rpc_call *to_start[CALLS_MAX];
    size_t to_start_count;
    struct answer answers[CALLS_MAX]; /* in the order they were started */
    size_t started, done;
    unsigned expected;
    uint64_t moment_ms;
};

static struct client_server *server(struct fixture *f, int n)
{
    return &f->servers.of[n - 1];
}

/* --- fixture --------------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    client_servers_init(&f->servers);
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
        .rpc_hold_timeout_ms = HOLD_MS,
        .kv_max_value_size = 1024,
        .txn_max_req_len = 1024,
    };
    f->client = client_agent_new(&options, &f->servers.main);
    client_agent_start(f->client);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    client_agent_stop(f->client);
    client_servers_deinit(&f->servers);
    f->client = client_agent_free(f->client);
    mem_free(f);
    return 0;
}

static void joins(struct fixture *f, int n)
{
    scripted_member(f->pool, MEMBERSHIP_JOIN, &server(f, n)->member);
}

static void fails(struct fixture *f, int n)
{
    scripted_member(f->pool, MEMBERSHIP_FAILED, &server(f, n)->member);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void answered(struct rpc_call *call)
{
    struct answer *a = call->data;
    struct fixture *f = a->fixture;
    a->is_done = true;
    f->done++;
    a->code = call->err != NULL ? call->err->code : 0;
    if (call->err != NULL) {
        (void)snprintf(a->text, sizeof(a->text), "%s", err_text(call->err));
    } else if (call->method == &rpc_kvs_get) {
        const struct indexed_dir_entries *reply = call->reply;
        const struct dir_entry *e = reply->entries.v[0];
        assert_true(call->is_remote);
        (void)snprintf(a->text, sizeof(a->text), "%.*s", STRF(e->value));
    }
    rpc_call_free(call);
}

static struct rpc_call *call_make(struct fixture *f, const struct rpc_method *method)
{
    struct rpc_call *call = rpc_call_new(&f->servers.main, method);
    struct answer *a = &f->answers[f->started];
    *a = (struct answer){.fixture = f};
    f->started++;
    call->done = answered;
    call->data = a;
    f->to_start[f->to_start_count++] = call;
    return call;
}

static struct rpc_call *get(struct fixture *f, struct str key)
{
    struct rpc_call *call = call_make(f, &rpc_kvs_get);
    struct key_request *args = call->args;
    args->datacenter = STR("dc1");
    args->key = key;
    return call;
}

/* A blocking query. */
static struct rpc_call *watch(struct fixture *f, struct str key, uint64_t wait_ms)
{
    struct rpc_call *call = get(f, key);
    struct key_request *args = call->args;
    args->options.min_query_index = 5;
    args->options.max_query_time = (int64_t)(wait_ms * NS_PER_MS);
    return call;
}

static void put(struct fixture *f, struct str key)
{
    struct rpc_call *call = call_make(f, &rpc_kvs_apply);
    struct kvs_request *args = call->args;
    args->datacenter = STR("dc1");
    args->op = KV_SET;
    args->dir_ent.key = key;
}

static void begin(struct loop_timer *t)
{
    struct fixture *f = container_of(t, struct fixture, begin);
    size_t n = f->to_start_count;
    f->to_start_count = 0;
    for (size_t i = 0; i < n; i++) {
        rpc_start(f->to_start[i]);
    }
}

/* In the next turn of the loop. */
static void start(struct fixture *f)
{
    loop_timer_start(f->servers.main.loop, &f->begin, 0, begin);
}

static bool all_done(void *data)
{
    const struct fixture *f = data;
    return f->done == f->started;
}

static void run(struct fixture *f)
{
    start(f);
    client_run_until(&f->servers, all_done, f);
}

static unsigned held(const struct fixture *f)
{
    unsigned n = 0;
    for (int i = 0; i < CLIENT_SERVERS; i++) {
        n += f->servers.of[i].held_count;
    }
    return n;
}

static bool all_held(void *data)
{
    const struct fixture *f = data;
    return held(f) == f->expected;
}

static void run_until_held(struct fixture *f, unsigned count)
{
    f->expected = count;
    start(f);
    client_run_until(&f->servers, all_held, f);
}

static void expect(const struct fixture *f, size_t i, int code, const char *text)
{
    assert_true(f->answers[i].is_done);
    assert_string_equal(f->answers[i].text, text);
    assert_int_equal(f->answers[i].code, code);
}

/* --- well ------------------------------------------------------------------------------------ */

static void test_no_servers(void **state)
{
    struct fixture *f = *state;
    get(f, STR("a"));
    put(f, STR("a"));
    run(f);
    expect(f, 0, ERR_NO_SERVERS, "No known Consul servers");
    expect(f, 1, ERR_NO_SERVERS, "No known Consul servers");
}

static void test_first_server_is_asked(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    joins(f, 2);
    get(f, STR("a"));
    put(f, STR("a"));
    run(f);
    expect(f, 0, 0, "s1");
    expect(f, 1, 0, "");
    assert_int_equal(server(f, 2)->stub.accepted, 0);
}

static void test_other_members_are_not_asked(void **state)
{
    struct fixture *f = *state;
    const struct extra_tag dc2[] = {{"dc", "dc2"}}, node[] = {{"role", "node"}};
    const struct member elsewhere = member_make(&f->servers.arena, 7, MEMBER_ALIVE, dc2, 1);
    const struct member client = member_make(&f->servers.arena, 8, MEMBER_ALIVE, node, 1);
    scripted_member(f->pool, MEMBERSHIP_JOIN, &elsewhere);
    scripted_member(f->pool, MEMBERSHIP_JOIN, &client);
    get(f, STR("a"));
    run(f);
    expect(f, 0, ERR_NO_SERVERS, "No known Consul servers");
    assert_int_equal(router_count_lan(f->client->delegate.router), 0);
}

/* The servers know the way, or that there is none. */
static void test_other_data_centers_are_left_to_the_server(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    struct key_request *args = get(f, STR("a"))->args;
    args->datacenter = STR("dc2");
    run(f);
    expect(f, 0, 0, "s1");
}

/* --- failures -------------------------------------------------------------------------------- */

static void test_refused_for_want_of_a_leader(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    f->servers.refusals = 4;
    get(f, STR("no leader"));
    put(f, STR("no leader"));
    run(f);
    expect(f, 0, 0, "s1");
    expect(f, 1, 0, "");
    assert_int_equal(f->servers.refusals, 0);
}

static void test_no_leader_for_too_long(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    f->servers.refusals = UINT32_MAX;
    put(f, STR("no leader"));
    run(f);
    expect(f, 0, ERR_NO_LEADER, "rpc error making call: No cluster leader");
}

static void test_nobody_at_the_address(void **state)
{
    struct fixture *f = *state;
    stub_stop_listening(&server(f, 1)->stub);
    joins(f, 1);
    joins(f, 2);
    put(f, STR("a"));
    get(f, STR("a"));
    run(f);
    expect(f, 0, 0, "");
    expect(f, 1, 0, "s2");
    stub_start(&server(f, 1)->stub, f->servers.main.loop, client_handle, NULL);
}

/* Nobody knows whether it was carried out. */
static void test_connection_lost_with_a_write(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    joins(f, 2);
    f->servers.refusals = 1;
    put(f, STR("hang up"));
    run(f);
    expect(f, 0, ERR_CONNECTION, "rpc error making call: EOF");
    assert_int_equal(server(f, 2)->stub.calls, 0);
    put(f, STR("a"));
    run(f);
    assert_int_equal(server(f, 2)->stub.calls, 1); /* another one comes first now */
}

static void test_connection_lost_with_a_read(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    joins(f, 2);
    f->servers.refusals = 1;
    get(f, STR("hang up"));
    run(f);
    expect(f, 0, 0, "s2");
}

static void test_an_error_of_the_request(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    joins(f, 2);
    get(f, STR("error"));
    run(f);
    expect(f, 0, ERR_PERMISSION_DENIED, "rpc error making call: Permission denied");
    assert_int_equal(server(f, 1)->stub.calls + server(f, 2)->stub.calls, 1);
    get(f, STR("a"));
    run(f);
    expect(f, 1, 0, "s2");
}

/* --- blocking queries ------------------------------------------------------------------------ */

static bool a_moment_has_passed(void *data)
{
    const struct fixture *f = data;
    return loop_now_ms(f->servers.main.loop) > f->moment_ms + 1;
}

/* Its wait goes on, it does not begin anew. */
static void test_query_moves_when_its_server_fails(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    joins(f, 2);
    struct rpc_call *call = watch(f, STR("hold"), 60000);
    run_until_held(f, 1);
    assert_int_equal(server(f, 1)->held_count, 1);
    assert_int_equal(server(f, 1)->wait_ns, 60000 * NS_PER_MS);
    assert_true(rpc_is_parked(call));
    f->moment_ms = loop_now_ms(f->servers.main.loop);
    client_run_until(&f->servers, a_moment_has_passed, f);

    fails(f, 1);
    server(f, 1)->held_count = 0;
    client_run_until(&f->servers, all_held, f);
    assert_int_equal(server(f, 2)->held_count, 1);
    assert_true(server(f, 2)->wait_ns < (int64_t)(60000 * NS_PER_MS));
    assert_true(server(f, 2)->wait_ns > 0);
    client_answer_held(server(f, 2));
    client_run_until(&f->servers, all_done, f);
    expect(f, 0, 0, "s2");
}

/* Gossip may be what is broken. */
static void test_query_stays_with_the_last_server(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    watch(f, STR("hold"), 60000);
    run_until_held(f, 1);
    fails(f, 1);
    get(f, STR("a"));
    start(f);
    f->expected = 1;
    client_run_until(&f->servers, all_held, f);
    client_answer_held(server(f, 1));
    client_run_until(&f->servers, all_done, f);
    expect(f, 0, 0, "s1");
    expect(f, 1, ERR_NO_SERVERS, "No known Consul servers");
}

/* The hold time counts from the first attempt, but a query may wait besides. */
static void test_query_outlives_its_connection(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    watch(f, STR("hold"), 60000);
    run_until_held(f, 1);
    f->servers.refusals = 0;
    stub_hang_up(&server(f, 1)->stub);
    server(f, 1)->held_count = 0;
    client_run_until(&f->servers, all_held, f); /* it has come back */
    client_answer_held(server(f, 1));
    client_run_until(&f->servers, all_done, f);
    expect(f, 0, 0, "s1");
}

static bool is_reset(void *data)
{
    struct fixture *f = data;
    return server(f, 1)->stub.resets == 1;
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    struct rpc_call *call = watch(f, STR("hold"), 60000);
    run_until_held(f, 1);
    rpc_cancel(call);
    client_run_until(&f->servers, is_reset, f);
    assert_int_equal(f->done, 0);
    f->started = 0;
}

/* --- bounds ---------------------------------------------------------------------------------- */

static void test_rate_limit(void **state)
{
    struct fixture *f = *state;
    joins(f, 1);
    rate_limit_set(&f->client->delegate.rate, 0, 2);
    for (int i = 0; i < 3; i++) {
        get(f, STR("a"));
    }
    run(f);
    expect(f, 2, ERR_RATE_LIMIT, "RPC rate limit exceeded");
    assert_int_equal(server(f, 1)->stub.calls, 2);
}

static void left(void *data)
{
    ((struct fixture *)data)->expected = 1;
}

static bool has_left(void *data)
{
    return ((struct fixture *)data)->expected == 1;
}

static void test_leave(void **state)
{
    struct fixture *f = *state;
    f->expected = 0;
    delegate_leave(&f->client->delegate, left, f);
    client_run_until(&f->servers, has_left, f);
    assert_true(f->pool->has_left);
}

#define CLIENT(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT(test_no_servers),
        CLIENT(test_first_server_is_asked),
        CLIENT(test_other_members_are_not_asked),
        CLIENT(test_other_data_centers_are_left_to_the_server),
        CLIENT(test_refused_for_want_of_a_leader),
        CLIENT(test_no_leader_for_too_long),
        CLIENT(test_nobody_at_the_address),
        CLIENT(test_connection_lost_with_a_write),
        CLIENT(test_connection_lost_with_a_read),
        CLIENT(test_an_error_of_the_request),
        CLIENT(test_query_moves_when_its_server_fails),
        CLIENT(test_query_stays_with_the_last_server),
        CLIENT(test_query_outlives_its_connection),
        CLIENT(test_cancel),
        CLIENT(test_rate_limit),
        CLIENT(test_leave),
    };
    return cmocka_run_group_tests_name("server/client_agent", tests, NULL, NULL);
}
