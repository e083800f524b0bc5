/* Questions that are answered by requests, as on an agent that must ask others: with ACLs every
 * answer is one. On a real server in memory. */
#include "fixture.h"

#include "base/metrics.h"
#include "server/rpc.h"
#include "server_fixture.h"

struct waiting {
    struct server_fixture base;
    struct dns_server *dns;
    struct dns_client client;
    struct agent_config config;
    struct arena arena;
    unsigned answers, registered;
    struct dns_msg answer;
};

static struct waiting *waiting;

static void receive(const struct dns_client *client UNUSED, uint8_t *message, size_t size)
{
    struct waiting *w = waiting;
    w->answers++;
    struct str bytes = arena_str(&w->arena, str_make(message, size));
    assert_ok(dns_parse(&w->arena, bytes, &w->answer));
}

static void run_until(struct waiting *w, bool (*until)(void *data))
{
    server_fixture_run_until(&w->base, until, w);
}

static bool is_registered(void *data)
{
    struct waiting *w = data;
    return w->registered > 0;
}

static bool is_answered(void *data)
{
    struct waiting *w = data;
    return w->answers > 0;
}

static void registered(struct rpc_call *call)
{
    struct waiting *w = call->data;
    assert_null(call->err);
    w->registered++;
    rpc_call_free(call);
}

static void register_web(struct waiting *w)
{
    struct node_service service = {
        .id = STR("web"), .service = STR("web"), .address = STR("10.0.0.9"), .port = 80};
    struct rpc_call *call = rpc_call_new(&w->base.main, &rpc_catalog_register);
    struct register_request *args = call->args;
    args->datacenter = STR("dc1");
    args->node = STR("n1");
    args->address = STR("10.0.0.1");
    args->service = &service;
    call->done = registered;
    call->data = w;
    rpc_start(call);
    run_until(w, is_registered);
}

static int setup(void **state)
{
    struct waiting *w = waiting = xcalloc(1, sizeof(*w));
    struct err err = {0};
    const struct server_options options = SERVER_FIXTURE_OPTIONS;
    server_fixture_init(&w->base, &options);
    server_fixture_start(&w->base);
    w->config.datacenter = STR("dc1");
    w->config.node_name = STR("node1");
    w->config.acl.enabled = true;
    w->config.dns = (struct config_dns){.domain = STR("consul."), .udp_answer_limit = 3};
    struct dns_settings *settings = dns_settings_new(&w->config, &err);
    assert_non_null(settings);
    w->dns = dns_server_new(&w->base.main, settings);
    w->client.send = receive;
    register_web(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct waiting *w = *state;
    dns_server_stop(w->dns);
    server_fixture_stop(&w->base);
    w->dns = dns_server_free(w->dns);
    (void)server_free(w->base.server);
    arena_deinit(&w->arena);
    waiting = mem_free(w);
    return 0;
}

static void start(struct waiting *w, const char *text, uint16_t type)
{
    uint8_t bytes[512], name[DNS_NAME_SIZE_MAX];
    int n = dns_name_parse(str_from_cstr(text), name);
    assert_ok(n);
    struct dns_msg m = {.id = 77, .flags = DNS_RD};
    m.question = (struct dns_question){str_make(name, (size_t)n), type, DNS_CLASS_IN};
    n = dns_write(&m, false, NULL, bytes, sizeof(bytes));
    assert_ok(n);
    dns_query_receive(w->dns, str_make(bytes, (size_t)n), &w->client);
}

static const struct dns_msg *ask(struct waiting *w, const char *text, uint16_t type)
{
    w->answers = 0;
    start(w, text, type);
    assert_int_equal(w->answers, 0); /* parked */
    run_until(w, is_answered);
    assert_int_equal(w->dns->waits_count, 0);
    assert_int_equal(w->answer.id, 77);
    return &w->answer;
}

static void test_requests(void **state)
{
    struct waiting *w = *state;
    const struct dns_msg *m = ask(w, "web.service.consul", DNS_TYPE_A);
    assert_int_equal(m->answer.n, 1);
    assert_str_lit(m->answer.v[0].data, "\x0a\0\0\x09");
    m = ask(w, "web.service.dc1.consul", DNS_TYPE_SRV);
    assert_int_equal(m->answer.n, 1);
    assert_int_equal(m->additional.n, 1);
    m = ask(w, "n1.node.consul", DNS_TYPE_A);
    assert_str_lit(m->answer.v[0].data, "\x0a\0\0\x01");
    m = ask(w, "1.0.0.10.in-addr.arpa", DNS_TYPE_PTR);
    assert_name_is(m->answer.v[0].data, "n1.node.dc1.consul.");
    m = ask(w, "9.0.0.10.in-addr.arpa", DNS_TYPE_PTR);
    assert_name_is(m->answer.v[0].data, "web.service.dc1.consul.");
    m = ask(w, "consul", DNS_TYPE_SOA);
    assert_int_equal(m->answer.n, 1);
}

static void count_questions(void *data, const struct metric_update *update)
{
    *(unsigned *)data += strcmp(update->metric->name, "dns.domain_query") == 0;
}

/* Once, when it is answered. */
static void test_a_question_counts_once(void **state)
{
    unsigned count = 0;
    metrics_configure(&(struct metrics_options){.prefix = "consul", .filter_default = true});
    metrics_drain(count_questions, &count);
    count = 0;
    (void)ask(*state, "web.service.consul", DNS_TYPE_A);
    metrics_drain(count_questions, &count);
    assert_int_equal(count, 1);
}

static void test_nothing_there(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        unsigned rcode;
    } cases[] = {
        {"missing.service.consul", DNS_TYPE_A, DNS_NXDOMAIN},
        {"missing.node.consul", DNS_TYPE_A, DNS_NXDOMAIN},
        {"web.ingress.consul", DNS_TYPE_A, DNS_NXDOMAIN},
        {"web.connect.consul", DNS_TYPE_SRV, DNS_NXDOMAIN},
        {"web.service.dc2.consul", DNS_TYPE_A, DNS_NXDOMAIN},
        {"8.0.0.10.in-addr.arpa", DNS_TYPE_PTR, DNS_SERVFAIL},
        {"web.service.consul", DNS_TYPE_AAAA, DNS_NOERROR},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct dns_msg *m = ask(*state, cases[i].name, cases[i].type);
        assert_int_equal(fixture_rcode(m), cases[i].rcode);
        assert_int_equal(m->answer.n, 0);
    }
}

static void test_too_many_wait(void **state)
{
    struct waiting *w = *state;
    for (unsigned i = 0; i < DNS_WAITS_MAX; i++) {
        start(w, "web.service.consul", DNS_TYPE_A);
    }
    assert_int_equal(w->dns->waits_count, DNS_WAITS_MAX);
    assert_int_equal(w->answers, 0);
    start(w, "web.service.consul", DNS_TYPE_A);
    assert_int_equal(w->answers, 1);
    assert_int_equal(fixture_rcode(&w->answer), DNS_SERVFAIL);
    /* The others are answered at the end of the turn, or not at all when the server stops first. */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_a_question_counts_once),
        TEST(test_nothing_there),
        TEST(test_too_many_wait),
    };
    return cmocka_run_group_tests_name("dns/wait", tests, NULL, NULL);
}
