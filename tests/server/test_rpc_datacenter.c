/* Calls for other data centers: whom they go to, and what becomes of those that fail. A real server
 * of dc1 on one loop, with stubs of servers of dc2 in a scripted WAN pool. */
#include "client_fixture.h"
#include "server_fixture.h"

#include "schema/config_entry.h"
#include "schema/prepared_query.h"
#include "server/call.h"
#include "server/router.h"
#include "server/server_info.h"
#include "store/acl.h"

#define CALLS_MAX 64u

struct answer {
    struct fixture *fixture;
    bool is_done, is_remote;
    int code;
    char text[256]; /* of the error, or the value */
};

struct fixture {
    struct server_fixture base;
    struct client_servers servers;
    struct rpc_call *to_start[CALLS_MAX];
    size_t to_start_count;
    struct loop_timer begin;
    struct answer answers[CALLS_MAX];
    size_t started, done;
    unsigned expected;
    struct str method; /* of the last call that a stub of no KVS.* was sent; or its token */
};

static struct client_server *server(struct fixture *f, int n)
{
    return &f->servers.of[n - 1];
}

/* --- fixture --------------------------------------------------------------------------------- */

static void setup_with(struct fixture *f, struct str primary)
{
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    options.primary_datacenter = primary;
    f->base.wants_wan = true;
    server_fixture_init(&f->base, &options);
    client_servers_listen(&f->servers, f->base.main.loop);
    server_fixture_start(&f->base);
}

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    setup_with(f, STR("dc1"));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    client_servers_hang_up(&f->servers);
    server_fixture_deinit(&f->base);
    arena_deinit(&f->servers.arena);
    mem_free(f);
    return 0;
}

static void hears_of(struct fixture *f, enum membership_event event, int n, const char *datacenter)
{
    struct arena *a = &f->servers.arena;
    struct member m = server(f, n)->member;
    struct strpair *tags = ARENA_ARRAY(a, struct strpair, m.tags.n);
    for (size_t i = 0; i < m.tags.n; i++) {
        tags[i] = m.tags.v[i];
        if (str_eq_lit(tags[i].key, "dc")) {
            tags[i].value = str_from_cstr(datacenter);
        }
    }
    m.tags = strmap_build(tags, m.tags.n);
    m.name = arena_printf(a, "s%d.%s", n, datacenter);
    scripted_member(f->base.wan, event, &m);
}

/* News of server n, as one of dc2. */
static void hears(struct fixture *f, enum membership_event event, int n)
{
    hears_of(f, event, n, "dc2");
}

static void stops(struct fixture *f, int n)
{
    stub_stop_listening(&server(f, n)->stub);
    stub_hang_up(&server(f, n)->stub);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void answered(struct rpc_call *call)
{
    struct answer *a = call->data;
    a->is_done = true;
    a->is_remote = call->is_remote;
    a->fixture->done++;
    a->code = call->err != NULL ? call->err->code : 0;
    if (call->err != NULL) {
        (void)snprintf(a->text, sizeof(a->text), "%s", err_text(call->err));
    } else if (call->method == &rpc_kvs_get) {
        const struct indexed_dir_entries *reply = call->reply;
        const struct dir_entry *e = reply->entries.n > 0 ? reply->entries.v[0] : NULL;
        (void)snprintf(a->text, sizeof(a->text), "%.*s", STRF(e != NULL ? e->value : STR("")));
    }
    rpc_call_free(call);
}

static struct rpc_call *call_make(struct fixture *f, const struct rpc_method *method)
{
    struct rpc_call *call = rpc_call_new(&f->base.main, method);
    struct answer *a = &f->answers[f->started];
    *a = (struct answer){.fixture = f};
    f->started++;
    call->done = answered;
    call->data = a;
    f->to_start[f->to_start_count++] = call;
    return call;
}

static struct rpc_call *get(struct fixture *f, const char *datacenter, const char *key)
{
    struct rpc_call *call = call_make(f, &rpc_kvs_get);
    struct key_request *args = call->args;
    args->datacenter = str_from_cstr(datacenter);
    args->key = str_from_cstr(key);
    return call;
}

/* A blocking query. */
static struct rpc_call *watch(struct fixture *f, const char *key)
{
    struct rpc_call *call = get(f, "dc2", key);
    struct key_request *args = call->args;
    args->options.min_query_index = 5;
    args->options.max_query_time = (int64_t)(300 * NS_PER_SEC);
    return call;
}

static struct rpc_call *put(struct fixture *f, const char *datacenter, const char *key)
{
    struct rpc_call *call = call_make(f, &rpc_kvs_apply);
    struct kvs_request *args = call->args;
    args->datacenter = str_from_cstr(datacenter);
    args->op = KV_SET;
    args->dir_ent.key = str_from_cstr(key);
    return call;
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

static void start(struct fixture *f)
{
    loop_timer_start(f->base.main.loop, &f->begin, 0, begin);
}

static bool all_done(void *data)
{
    const struct fixture *f = data;
    return f->done == f->started;
}

static void run(struct fixture *f)
{
    start(f);
    server_fixture_run_until(&f->base, all_done, f);
    assert_int_equal(f->base.main.abroad, 0);
}

static bool held_as_expected(void *data)
{
    const struct fixture *f = data;
    unsigned n = 0;
    for (int i = 0; i < CLIENT_SERVERS; i++) {
        n += f->servers.of[i].held_count;
    }
    return n == f->expected;
}

static void run_until_held(struct fixture *f, unsigned count)
{
    f->expected = count;
    start(f);
    server_fixture_run_until(&f->base, held_as_expected, f);
}

static void expect(const struct fixture *f, size_t i, int code, const char *text)
{
    assert_true(f->answers[i].is_done);
    assert_string_equal(f->answers[i].text, text);
    assert_int_equal(f->answers[i].code, code);
}

/* --- well ------------------------------------------------------------------------------------ */

static void test_unknown(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    (void)get(f, "dc9", "a");
    (void)put(f, "dc9", "a");
    run(f);
    expect(f, 0, ERR_NO_DC_PATH, "No path to datacenter");
    expect(f, 1, ERR_NO_DC_PATH, "No path to datacenter");
}

static void test_there_and_here(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    (void)get(f, "dc2", "a");
    (void)put(f, "dc2", "a");
    (void)get(f, "dc1", "a");
    (void)get(f, "", "a");
    run(f);
    expect(f, 0, 0, "s1");
    expect(f, 1, 0, "");
    expect(f, 2, 0, "");
    assert_true(f->answers[0].is_remote);
    assert_false(f->answers[2].is_remote);
    assert_false(f->answers[3].is_remote);
    assert_int_equal(server(f, 1)->stub.calls, 2);
}

/* What goes wrong there is told as it is there, and is no reason to ask another one. */
static void test_errors_are_passed_on(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    hears(f, MEMBERSHIP_JOIN, 2);
    (void)get(f, "dc2", "error");
    run(f);
    expect(f, 0, ERR_PERMISSION_DENIED, "rpc error making call: Permission denied");
    assert_int_equal(server(f, 2)->stub.accepted, 0);
}

static void test_blocking(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    struct rpc_call *call = watch(f, "hold");
    run_until_held(f, 1);
    assert_true(rpc_is_parked(call));
    assert_int_equal(server(f, 1)->wait_ns, 300 * NS_PER_SEC);
    client_answer_held(server(f, 1));
    run(f);
    expect(f, 0, 0, "s1");
}

static bool is_reset(void *data)
{
    const struct fixture *f = data;
    return f->servers.of[0].stub.resets > 0;
}

static void test_canceled(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    struct rpc_call *call = watch(f, "hold");
    run_until_held(f, 1);
    rpc_cancel(call);
    server_fixture_run_until(&f->base, is_reset, f);
    assert_int_equal(f->done, 0);
    assert_int_equal(f->base.main.abroad, 0);
}

static void handle_token(struct stub *stub, struct stub_call *call)
{
    struct fixture *f = stub->data;
    struct arena a = {0};
    struct err err = {0};
    struct key_request args = {0};
    const struct indexed_dir_entries none = {.meta = {.index = 7}};
    assert_ok(rpc_body_decode(call->body, rpc_kvs_get.args, &args, &a, &err));
    f->method = arena_str(&f->servers.arena, args.options.token);
    stub_reply(call, rpc_kvs_get.reply, &none);
    arena_deinit(&a);
}

static void get_with_token(struct fixture *f, const char *token)
{
    struct key_request *args = get(f, "dc2", "a")->args;
    args->options.token = str_from_cstr(token);
    run(f);
}

/* A token of this data center alone does not leave it. */
static void test_local_tokens_stay(void **state)
{
    const char local[] = "aaaaaaaa-0000-0000-0000-000000000001";
    const char global[] = "aaaaaaaa-0000-0000-0000-000000000002";
    struct fixture *f = xcalloc(1, sizeof(*f));
    struct err err = {0};
    struct server_options options = SERVER_FIXTURE_OPTIONS;
    *state = f;
    f->base.wants_wan = true;
    server_fixture_init(&f->base, &options);
    struct store_txn *tx = store_txn_begin(f->base.server->store, 1);
    struct acl_token token = {.accessor_id = STR("bbbbbbbb-0000-0000-0000-000000000001"),
                              .secret_id = str_from_cstr(local),
                              .local = true,
                              .expiration_time = TIME_ZERO};
    assert_ok(acl_token_restore(tx, &token, &err));
    token.accessor_id = STR("bbbbbbbb-0000-0000-0000-000000000002");
    token.secret_id = str_from_cstr(global);
    token.local = false;
    assert_ok(acl_token_restore(tx, &token, &err));
    store_txn_commit(tx);
    client_servers_listen(&f->servers, f->base.main.loop);
    server_fixture_start(&f->base);
    hears(f, MEMBERSHIP_JOIN, 1);
    server(f, 1)->stub.handle = handle_token;
    server(f, 1)->stub.data = f;
    get_with_token(f, local);
    assert_str_lit(f->method, "");
    get_with_token(f, global);
    assert_str_equal(f->method, str_from_cstr(global));
    get_with_token(f, "of nobody here");
    assert_str_lit(f->method, "of nobody here");
}

/* --- failures -------------------------------------------------------------------------------- */

static void test_next_one_when_nothing_was_sent(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    hears(f, MEMBERSHIP_JOIN, 2);
    hears(f, MEMBERSHIP_JOIN, 3);
    stops(f, 1);
    stops(f, 2);
    (void)get(f, "dc2", "a");
    (void)put(f, "dc2", "a");
    run(f);
    expect(f, 0, 0, "s3");
    expect(f, 1, 0, "");
}

/* A read goes on elsewhere; nobody knows what became of a write. */
static void test_connection_lost(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    hears(f, MEMBERSHIP_JOIN, 2);
    f->servers.refusals = 1;
    (void)get(f, "dc2", "hang up");
    run(f);
    expect(f, 0, 0, "s2");
    f->servers.refusals = 1;
    (void)put(f, "dc2", "hang up");
    run(f);
    expect(f, 1, ERR_CONNECTION, "rpc error making call: EOF");
}

static bool is_offline(void *data)
{
    struct fixture *f = data;
    struct route route;
    return router_find(f->base.server->delegate.router, STR("dc2"), 0, &route) == ROUTER_OFFLINE;
}

/* Each is tried once; from then on nobody waits, until somebody there answers again. */
static void test_nobody_there(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    hears(f, MEMBERSHIP_JOIN, 2);
    stops(f, 1);
    stops(f, 2);
    (void)get(f, "dc2", "a");
    run(f);
    assert_int_equal(f->answers[0].code, ERR_UNREACHABLE);
    assert_non_null(strstr(f->answers[0].text, "rpc error getting client: failed to get conn: "));
    server_fixture_run_until(&f->base, is_offline, f);
    (void)get(f, "dc2", "a");
    (void)get(f, "dc1", "a");
    run(f);
    expect(f, 1, ERR_DC_NOT_AVAILABLE, "Remote DC has no server currently reachable");
    expect(f, 2, 0, "");
    hears(f, MEMBERSHIP_JOIN, 3);
    (void)get(f, "dc2", "a");
    run(f);
    expect(f, 3, 0, "s3");
}

/* One that the pool says has failed is asked last. */
static void test_failed_in_the_pool(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    hears(f, MEMBERSHIP_JOIN, 2);
    hears(f, MEMBERSHIP_FAILED, 1);
    (void)get(f, "dc2", "a");
    run(f);
    expect(f, 0, 0, "s2");
}

/* A server that leaves keeps no reads. */
static void test_leaves(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    (void)watch(f, "hold");
    run_until_held(f, 1);
    hears(f, MEMBERSHIP_JOIN, 2);
    hears(f, MEMBERSHIP_LEAVE, 1);
    run_until_held(f, 2);
    assert_int_equal(server(f, 2)->held_count, 1);
    client_answer_held(server(f, 2));
    run(f);
    expect(f, 0, 0, "s2");
}

static void test_as_many_as_may_be(void **state)
{
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    (void)get(f, "dc2", "a");
    run(f);
    f->base.main.abroad = RPC_ABROAD_CALLS_MAX;
    (void)get(f, "dc2", "a");
    (void)get(f, "dc1", "a");
    start(f);
    server_fixture_run_until(&f->base, all_done, f);
    f->base.main.abroad = 0;
    expect(f, 1, ERR_RATE_LIMIT,
           "RPC rate limit exceeded: too many calls to datacenter \"dc2\" are under way");
    expect(f, 2, 0, "");
}

/* --- the primary ----------------------------------------------------------------------------- */

static void handle_entry(struct stub *stub, struct stub_call *call)
{
    struct fixture *f = stub->data;
    struct arena a = {0};
    struct err err = {0};
    struct config_entry_request args = {0};
    const struct bool_reply yes = {true};
    assert_str_lit(call->method, "ConfigEntry.Apply");
    assert_ok(rpc_body_decode(call->body, &config_entry_request_schema, &args, &a, &err));
    assert_str_lit(args.datacenter, "dc2");
    assert_str_lit(args.entry->name, "web");
    f->method = arena_str(&f->servers.arena, call->method);
    stub_reply(call, &bool_reply_schema, &yes);
    arena_deinit(&a);
}

/* Entries are the primary's, whatever the request says. */
static void test_writes_of_the_primary(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    *state = f;
    setup_with(f, STR("dc2"));
    server(f, 1)->stub.handle = handle_entry;
    server(f, 1)->stub.data = f;
    hears(f, MEMBERSHIP_JOIN, 1);
    (void)call_make(f, &rpc_config_entry_apply);
    struct config_entry_request *args = f->to_start[0]->args;
    args->datacenter = STR("dc1");
    args->op = CONFIG_ENTRY_UPSERT;
    args->entry = config_entry_new(&f->to_start[0]->arena, CONFIG_SERVICE_DEFAULTS, STR("web"));
    run(f);
    expect(f, 0, 0, "");
    assert_str_lit(f->method, "ConfigEntry.Apply");
}

/* --- prepared queries ------------------------------------------------------------------------- */

/* s1 knows of no instance, s2 fails, s3 has one. */
static void handle_query(struct stub *stub, struct stub_call *call)
{
    struct fixture *f = stub->data;
    struct arena a = {0};
    struct err err = {0};
    struct prepared_query_execute_remote_request args = {0};
    assert_str_lit(call->method, "PreparedQuery.ExecuteRemote");
    assert_ok(rpc_body_decode(call->body, rpc_prepared_query_execute_remote.args, &args, &a, &err));
    assert_str_lit(args.query.service.service, "web");
    assert_int_equal(args.limit, 3);
    struct node node = {.node = STR("far"), .address = STR("10.0.0.9")};
    struct node_service service = {.id = STR("web"), .service = STR("web")};
    struct check_service_node instance = {.node = &node, .service = &service};
    struct prepared_query_execute_response reply = {
        .service = STR("web"), .datacenter = args.datacenter, .meta.index = 9};
    if (stub == &server(f, 2)->stub) {
        stub_error(call, "not now");
    } else {
        reply.nodes = (struct objlist){&instance, stub == &server(f, 3)->stub};
        stub_reply(call, &prepared_query_execute_response_schema, &reply);
    }
    arena_deinit(&a);
}

static void query_written(struct rpc_call *call)
{
    assert_null(call->err);
    ((struct answer *)call->data)->fixture->done++;
    rpc_call_free(call);
}

static void write_query(struct fixture *f, struct strlist datacenters)
{
    struct rpc_call *call = call_make(f, &rpc_prepared_query_apply);
    struct prepared_query_request *args = call->args;
    args->op = PREPARED_QUERY_CREATE;
    args->query = ARENA_NEW(&call->arena, struct prepared_query);
    args->query->name = STR("q");
    args->query->service.service = STR("web");
    args->query->service.failover.datacenters = datacenters;
    call->done = query_written;
    run(f);
}

static void query_answered(struct rpc_call *call)
{
    struct answer *a = call->data;
    const struct prepared_query_execute_response *reply = call->reply;
    assert_null(call->err);
    a->is_remote = call->is_remote;
    (void)snprintf(a->text, sizeof(a->text), "%.*s %zu %lld", STRF(reply->datacenter),
                   reply->nodes.n, (long long)reply->failovers);
    a->is_done = true;
    a->fixture->done++;
    rpc_call_free(call);
}

static struct rpc_call *execute(struct fixture *f)
{
    struct rpc_call *call = call_make(f, &rpc_prepared_query_execute);
    struct prepared_query_execute_request *args = call->args;
    args->query_id_or_name = STR("q");
    args->limit = 3;
    call->done = query_answered;
    return call;
}

static void answer_queries(struct fixture *f)
{
    for (int i = 1; i <= CLIENT_SERVERS; i++) {
        server(f, i)->stub.handle = handle_query;
        server(f, i)->stub.data = f;
    }
}

/* What fails counts as tried; who has nothing is not the last. */
static void test_queries_fail_over(void **state)
{
    static const struct str names[] = {STR_INIT("dc9"), STR_INIT("dc2"), STR_INIT("dc3"),
                                       STR_INIT("dc4"), STR_INIT("dc1")};
    struct fixture *f = *state;
    hears_of(f, MEMBERSHIP_JOIN, 1, "dc2");
    hears_of(f, MEMBERSHIP_JOIN, 2, "dc3");
    hears_of(f, MEMBERSHIP_JOIN, 3, "dc4");
    answer_queries(f);
    write_query(f, (struct strlist){names, ARRAY_SIZE(names)});
    (void)execute(f);
    run(f);
    expect(f, 1, 0, "dc4 1 3");
    assert_true(f->answers[1].is_remote);
    /* Nobody has any: where it was looked for last. */
    hears_of(f, MEMBERSHIP_LEAVE, 3, "dc4");
    (void)execute(f);
    run(f);
    expect(f, 2, 0, "dc2 0 2");
}

static void hold_query(struct stub *stub, struct stub_call *call)
{
    (void)call;
    ((struct fixture *)stub->data)->method = STR("held");
}

static bool query_is_held(void *data)
{
    return ((const struct fixture *)data)->method.n > 0;
}

/* With the query goes the call it waits for. */
static void test_a_query_is_canceled(void **state)
{
    static const struct str names[] = {STR_INIT("dc2")};
    struct fixture *f = *state;
    hears(f, MEMBERSHIP_JOIN, 1);
    server(f, 1)->stub.handle = hold_query;
    server(f, 1)->stub.data = f;
    write_query(f, (struct strlist){names, 1});
    struct rpc_call *call = execute(f);
    start(f);
    server_fixture_run_until(&f->base, query_is_held, f);
    rpc_cancel(call);
    server_fixture_run_until(&f->base, is_reset, f);
    assert_int_equal(f->done, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_unknown),
        T(test_there_and_here),
        T(test_errors_are_passed_on),
        T(test_blocking),
        T(test_canceled),
        T(test_next_one_when_nothing_was_sent),
        T(test_connection_lost),
        T(test_nobody_there),
        T(test_failed_in_the_pool),
        T(test_leaves),
        T(test_as_many_as_may_be),
        T(test_queries_fail_over),
        T(test_a_query_is_canceled),
        cmocka_unit_test_setup_teardown(test_writes_of_the_primary, NULL, teardown),
        cmocka_unit_test_setup_teardown(test_local_tokens_stay, NULL, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
