/* Questions and answers over a store: what the conformance scenarios see from outside, and what
 * they cannot provoke. */
#include "fixture.h"

#include "base/encode.h"

static void receive_hex(struct fixture *f, const char *hex)
{
    struct str bytes;
    assert_ok(hex_decode(&f->arena, str_from_cstr(hex), &bytes));
    dns_query_receive(f->dns, bytes, &f->client);
}

/* --- odd packets ------------------------------------------------------------------------------ */

#define QUESTION "056e6f646531046e6f646506636f6e73756c0000010001"

static void test_silence(void **state)
{
    struct fixture *f = *state;
    receive_hex(f, "");
    receive_hex(f, "12340100000100000000");
    receive_hex(f, "123481800001000000000000" QUESTION); /* a response */
    assert_int_equal(f->answers, 0);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *hex;
        uint16_t flags; /* of the answer */
        bool has_question;
    } cases[] = {
        {"123401000000000000000000", 0x8101, false}, /* no question */
        {"123401000002000000000000" QUESTION QUESTION, 0x8101, false} /* two */,
        {"123401000001000000000003" QUESTION, 0x8101, false}, /* three more records */
        {"123407b00002000000000000" QUESTION, 0x83b1, false},
        {"123411000001000000000000" QUESTION, 0x9104, false}, /* STATUS */
        {"123401000001000000000000", 0x8105, false},          /* a question that is not there */
        {"123401000001000000000001" QUESTION "0161", 0x8101, true},
        {"123401000001000000000000056e6f646531046e6f646503636f6d0000010001", 0x8105, true},
        {"123421000001000000000000056e6f646531046e6f646503636f6d0000010001", 0xa005, true},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        unsigned before = f->answers;
        receive_hex(f, cases[i].hex);
        if (f->answers != before + 1 || f->answer.flags != cases[i].flags ||
            (f->answer.question.name.n > 0) != cases[i].has_question) {
            fail_msg("case %zu: flags %04x", i, f->answer.flags);
        }
    }
}

static void test_mutated_questions(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("web"), STR(""), 80);
    static const char *const questions[] = {
        ("1234010000010000000000010377656207736572766963650" /* web.service.consul SRV, EDNS */
         "6636f6e73756c000021000100002904d0000000000000"),
        "123401000001000000000000026e31046e6f646506636f6e73756c0000ff0001", /* n1.node.consul ANY */
        ("123401000001000000000000013101300130023130" /* 1.0.0.10.in-addr.arpa PTR */
         "07696e2d61646472046172706100000c0001"),
    };
    rng_seed(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        struct str good;
        char bytes[128];
        assert_ok(hex_decode(&f->arena, str_from_cstr(questions[i % 3]), &good));
        memcpy(bytes, good.p, good.n);
        for (uint64_t k = rng_below(&rng, 4); k > 0; k--) {
            bytes[rng_below(&rng, good.n)] = (char)rng_u64(&rng);
        }
        size_t size = rng_below(&rng, 8) == 0 ? (size_t)rng_below(&rng, good.n + 1) : good.n;
        dns_query_receive(f->dns, str_make(bytes, size), &f->client);
        arena_reset(&f->arena);
    }
    assert_true(f->answers > 10000);
}

/* --- nodes and services ----------------------------------------------------------------------- */

static void test_node(void **state)
{
    struct fixture *f = *state;
    struct strpair meta[] = {{STR("k=y"), STR("v`")}, {STR("rfc1035-x"), STR("plain")}};
    const struct register_request req = {.datacenter = STR("dc1"),
                                         .node = STR("N.1"),
                                         .address = STR("10.0.0.1"),
                                         .node_meta = {meta, 2}};
    fixture_register(f, &req);
    const struct dns_msg *m = fixture_ask(f, "n.1.Node.consul", DNS_TYPE_A, 0);
    assert_int_equal(m->flags, DNS_QR | DNS_AA | DNS_RD);
    assert_int_equal(m->answer.n, 1);
    assert_name_is(m->answer.v[0].owner, "n.1.Node.consul.");
    assert_str_lit(m->answer.v[0].data, "\x0a\0\0\1");
    assert_int_equal(m->additional.n, 2);
    assert_str_lit(m->additional.v[0].data, "\x08k`=y=v``");
    assert_str_lit(m->additional.v[1].data, "\x05plain");

    m = fixture_ask(f, "n.1.node.consul", DNS_TYPE_AAAA, 0);
    assert_int_equal(fixture_rcode(m), DNS_NOERROR);
    assert_int_equal(m->answer.n + m->authority.n, 0);
    m = fixture_ask(f, "nobody.node.consul", DNS_TYPE_SRV, 0);
    assert_int_equal(fixture_rcode(m), DNS_NOERROR);
    m = fixture_ask(f, "nobody.node.consul", DNS_TYPE_A, 0);
    assert_int_equal(fixture_rcode(m), DNS_NXDOMAIN);
    assert_int_equal(m->authority.n, 1);
    assert_int_equal(m->authority.v[0].type, DNS_TYPE_SOA);
}

static void test_service_health(void **state)
{
    struct fixture *f = *state;
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("web"), STR(""), 80);
    fixture_service(f, STR("n2"), STR("10.0.0.2"), STR("web"), STR("fd00::2"), 81);
    assert_int_equal(fixture_ask(f, "web.service.consul", DNS_TYPE_ANY, 0)->answer.n, 2);
    fixture_check(f, STR("n1"), STR_NULL, HEALTH_WARNING);
    assert_int_equal(fixture_ask(f, "web.service.consul", DNS_TYPE_A, 0)->answer.n, 1);
    f->config.dns.only_passing = true;
    fixture_configure(f);
    const struct dns_msg *m = fixture_ask(f, "web.service.consul", DNS_TYPE_A, 0);
    assert_int_equal(fixture_rcode(m), DNS_NOERROR); /* there is one, but of the other family */
    assert_int_equal(m->answer.n, 0);
    assert_int_equal(m->authority.n, 1);
    m = fixture_ask(f, "web.service.consul", DNS_TYPE_SRV, 0);
    assert_int_equal(m->answer.n, 1);
    assert_name_is(str_from(m->answer.v[0].data, 6),
                   "fd000000000000000000000000000002.addr.dc1.consul.");
    fixture_check(f, STR("n2"), STR("web"), HEALTH_CRITICAL);
    m = fixture_ask(f, "web.service.consul", DNS_TYPE_SRV, 0);
    assert_int_equal(fixture_rcode(m), DNS_NXDOMAIN);
}

/* A node whose name no label can hold: the others are still answered. */
static void test_names_that_do_not_fit(void **state)
{
    struct fixture *f = *state;
    char longer[80];
    memset(longer, 'n', sizeof(longer));
    fixture_service(f, str_make(longer, sizeof(longer)), STR("10.0.0.1"), STR("web"), STR(""), 80);
    fixture_service(f, STR("n2"), STR("10.0.0.2"), STR("web"), STR(""), 80);
    assert_int_equal(fixture_ask(f, "web.service.consul", DNS_TYPE_A, 0)->answer.n, 2);
    assert_int_equal(fixture_ask(f, "web.service.consul", DNS_TYPE_SRV, 0)->answer.n, 1);
    (void)fixture_ask(f, "1.0.0.10.in-addr.arpa", DNS_TYPE_PTR, 0);
}

/* Names that lead to each other end. */
static void test_alias_loops(void **state)
{
    struct fixture *f = *state;
    fixture_service(f, STR("n1"), STR("b.service.consul"), STR("a"), STR(""), 80);
    fixture_service(f, STR("n2"), STR("a.service.consul"), STR("b"), STR(""), 80);
    const struct dns_msg *m = fixture_ask(f, "a.service.consul", DNS_TYPE_A, 4096);
    assert_int_equal(m->answer.n, 4);
    assert_int_equal(m->answer.v[0].type, DNS_TYPE_CNAME);
}

static void test_other_datacenter(void **state)
{
    struct fixture *f = *state;
    /* The dispatcher has no path there; it says so in the same turn, the answer comes at its end.
     */
    fixture_start(f, "web.service.dc2.consul", DNS_TYPE_A, 0);
    fixture_start(f, "n1.node.dc2.consul", DNS_TYPE_A, 0);
    assert_int_equal(f->answers, 0);
    assert_int_equal(f->dns->waits_count, 2);
    loop_stop(f->worker.loop);
    loop_run(f->worker.loop);
    assert_int_equal(f->answers, 2);
    assert_int_equal(fixture_rcode(&f->answer), DNS_NXDOMAIN);
    assert_int_equal(f->dns->waits_count, 0);
}

static void test_many_instances(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 600; i++) {
        struct str node = arena_printf(&f->arena, "n%u", i);
        struct str ip = arena_printf(&f->arena, "10.0.%u.%u", i / 256, i % 256);
        fixture_service(f, node, ip, STR("web"), STR(""), 80);
    }
    f->config.dns.enable_truncate = true;
    fixture_configure(f);
    const struct dns_msg *m = fixture_ask(f, "web.service.consul", DNS_TYPE_A, 0);
    assert_int_equal(m->answer.n, 3);
    assert_true((m->flags & DNS_TC) != 0);
    m = fixture_ask(f, "web.service.consul", DNS_TYPE_A, 4096);
    assert_true(m->answer.n > 240);
    assert_true(f->bytes.n <= 4096 - 7);
    assert_true((m->flags & DNS_TC) != 0);
    f->client.is_tcp = true;
    m = fixture_ask(f, "web.service.consul", DNS_TYPE_SRV, 0);
    assert_int_equal(m->answer.n, 600);
    assert_int_equal(m->additional.n, 600);
    assert_int_equal(m->flags & DNS_TC, 0);
    f->config.dns.a_record_limit = 5;
    fixture_configure(f);
    m = fixture_ask(f, "web.service.consul", DNS_TYPE_A, 0);
    assert_int_equal(m->answer.n, 5);
}

static void test_ttls(void **state)
{
    static const struct config_duration_pair ttls[] = {{STR_INIT("*"), 1000000000},
                                                       {STR_INIT("web*"), 2000000000},
                                                       {STR_INIT("web1"), 3999999999}};
    struct fixture *f = *state;
    f->config.dns.service_ttl = ttls;
    f->config.dns.service_ttl_count = ARRAY_SIZE(ttls);
    fixture_configure(f);
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("web1"), STR(""), 80);
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("web2"), STR(""), 80);
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("db"), STR(""), 80);
    assert_int_equal(fixture_ask(f, "web1.service.consul", DNS_TYPE_A, 0)->answer.v[0].ttl, 3);
    assert_int_equal(fixture_ask(f, "web2.service.consul", DNS_TYPE_A, 0)->answer.v[0].ttl, 2);
    assert_int_equal(fixture_ask(f, "db.service.consul", DNS_TYPE_A, 0)->answer.v[0].ttl, 1);
}

/* --- addresses to names ----------------------------------------------------------------------- */

static void test_reverse(void **state)
{
    struct fixture *f = *state;
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("web"), STR("fd00::2"), 80);
    const struct dns_msg *m = fixture_ask(f, "1.0.0.10.In-Addr.arpa", DNS_TYPE_PTR, 0);
    assert_int_equal(m->answer.n, 1);
    assert_name_is(m->answer.v[0].data, "n1.node.dc1.consul.");
    const char *v6 = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
    m = fixture_ask(f, v6, DNS_TYPE_PTR, 0);
    assert_name_is(m->answer.v[0].data, "web.service.dc1.consul.");
    /* The index follows. */
    fixture_service(f, STR("a0"), STR("10.0.0.1"), STR("web"), STR(""), 80);
    m = fixture_ask(f, "1.0.0.10.in-addr.arpa", DNS_TYPE_PTR, 0);
    assert_name_is(m->answer.v[0].data, "a0.node.dc1.consul.");
    static const char *const unknown[] = {"2.0.0.10.in-addr.arpa",
                                          "0.0.10.in-addr.arpa",
                                          "01.0.0.10.in-addr.arpa",
                                          "1.1.0.0.10.in-addr.arpa",
                                          "256.0.0.10.in-addr.arpa",
                                          "arpa",
                                          "x.ip6.arpa"};
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
        m = fixture_ask(f, unknown[i], DNS_TYPE_PTR, 0);
        assert_int_equal(m->flags, DNS_QR | DNS_RD | DNS_RA | DNS_SERVFAIL);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_silence),     TEST(test_refusals),         TEST(test_mutated_questions),
        TEST(test_node),        TEST(test_service_health),   TEST(test_names_that_do_not_fit),
        TEST(test_alias_loops), TEST(test_other_datacenter), TEST(test_many_instances),
        TEST(test_ttls),        TEST(test_reverse),
    };
    return cmocka_run_group_tests_name("dns/query", tests, NULL, NULL);
}
