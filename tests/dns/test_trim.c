/* How many answers are left, and what is left with them. */
#include "dns/internal.h"

#include "test.h"

static struct arena arena;
static struct dns_names *names;
static uint8_t out[DNS_OUT_SIZE];

static int setup(void **state UNUSED)
{
    names = dns_names_new();
    return 0;
}

static int teardown(void **state UNUSED)
{
    arena_deinit(&arena);
    names = dns_names_free(names);
    return 0;
}

static struct str name(const char *text)
{
    uint8_t wire[DNS_NAME_SIZE_MAX];
    int n = dns_name_parse(str_from_cstr(text), wire);
    assert_ok(n);
    return arena_str(&arena, str_make(wire, (size_t)n));
}

static void add(struct dns_rrs *rrs, struct str owner, uint16_t type, struct str data)
{
    const struct dns_rr rr = {owner, type, DNS_CLASS_IN, 0, data};
    dns_add(&arena, rrs, &rr);
}

static struct dns_msg addresses(unsigned count)
{
    struct dns_msg m = {.flags = DNS_QR};
    m.question = (struct dns_question){name("web.service.consul"), DNS_TYPE_A, DNS_CLASS_IN};
    for (unsigned i = 0; i < count; i++) {
        uint8_t ip[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
        add(&m.answer, m.question.name, DNS_TYPE_A, arena_str(&arena, str_make(ip, 4)));
    }
    return m;
}

static struct dns_msg targets(unsigned count)
{
    struct dns_msg m = {.flags = DNS_QR};
    m.question = (struct dns_question){name("web.service.consul"), DNS_TYPE_SRV, DNS_CLASS_IN};
    for (unsigned i = 0; i < count; i++) {
        struct buf text = {0};
        buf_printf(&text, "Node%u.node.dc1.consul", i);
        buf_byte(&text, 0);
        struct str target = name(text.p);
        buf_deinit(&text);
        add(&m.answer, m.question.name, DNS_TYPE_SRV,
            arena_concat(&arena, str_make("\0\1\0\1\0\1", 6), target));
        add(&m.additional, target, DNS_TYPE_A, STR("\x0a\1\1\1"));
        add(&m.additional, target, DNS_TYPE_TXT, STR("\1x"));
    }
    return m;
}

static void add_opt(struct dns_msg *m, uint16_t size)
{
    struct dns_rr opt = dns_opt_make(&arena, size, NULL);
    dns_add(&arena, &m->additional, &opt);
}

static struct dns_msg run(struct dns_msg *m, const struct dns_trim *options, size_t *ret_size)
{
    struct dns_trim trim = *options;
    struct dns_msg back;
    trim.names = names;
    int n = dns_trim_write(m, &arena, &trim, out);
    assert_ok(n);
    assert_ok(dns_parse(&arena, arena_str(&arena, str_make(out, (size_t)n)), &back));
    *ret_size = (size_t)n;
    return back;
}

static void test_limit_without_edns(void **state UNUSED)
{
    static const struct {
        unsigned answers;
        int64_t limit;
        unsigned left;
    } cases[] = {{3, 3, 3}, {4, 3, 3}, {1, 3, 1}, {20, 20, 8}, {8, 20, 8},
                 {5, 0, 0}, {1, 0, 0}, {0, 3, 0}, {5, -1, 0}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct dns_msg m = addresses(cases[i].answers);
        const struct dns_trim options = {.compress = true,
                                         .set_truncated = true,
                                         .udp_size = DNS_UDP_SIZE,
                                         .answers_limit = cases[i].limit};
        size_t size;
        struct dns_msg back = run(&m, &options, &size);
        assert_int_equal(back.answer.n, cases[i].left);
        assert_int_equal((back.flags & DNS_TC) != 0, cases[i].left < cases[i].answers);
    }
}

/* As many as fit below the client's size, seven bytes of which stay free; the OPT record goes. */
static void test_edns_size(void **state UNUSED)
{
    static const uint16_t sizes[] = {513, 600, 1232, 4096, 65535};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct dns_msg m = addresses(5000);
        add_opt(&m, sizes[i]);
        const struct dns_trim options = {
            .compress = true, .udp_size = sizes[i], .answers_limit = 3};
        size_t size, head = 12 + m.question.name.n + 4;
        struct dns_msg back = run(&m, &options, &size);
        assert_int_equal(back.answer.n, ((size_t)sizes[i] - 7 - head) / 16);
        assert_int_equal(size, head + 16 * back.answer.n);
        assert_int_equal(back.flags & DNS_TC, 0); /* only on request */
        assert_null(dns_find_opt(&back));
        assert_str_equal(back.answer.v[back.answer.n - 1].data, m.answer.v[back.answer.n - 1].data);
    }
}

static void test_what_fits_stays_whole(void **state UNUSED)
{
    struct dns_msg m = targets(3);
    add_opt(&m, 4096);
    const struct dns_trim options = {.compress = true, .udp_size = 4096, .answers_limit = 3};
    size_t size;
    struct dns_msg back = run(&m, &options, &size);
    assert_int_equal(back.answer.n, 3);
    assert_int_equal(back.additional.n, 7);
    assert_non_null(dns_find_opt(&back));
}

static void check_targets(const struct dns_msg *back)
{
    assert_int_equal(back->additional.n, back->answer.n);
    for (size_t i = 0; i < back->answer.n; i++) {
        assert_str_equal(back->additional.v[i].owner, str_from(back->answer.v[i].data, 6));
        assert_int_equal(back->additional.v[i].type, DNS_TYPE_A);
    }
}

static void test_srv_keeps_its_addresses(void **state UNUSED)
{
    for (int compress = 0; compress < 2; compress++) {
        struct dns_msg m = targets(400);
        add_opt(&m, 1232);
        const struct dns_trim options = {
            .compress = compress, .udp_size = 1232, .answers_limit = 3};
        size_t size;
        struct dns_msg back = run(&m, &options, &size);
        assert_in_range(size, 1232 - 7 - 90, 1232 - 7);
        check_targets(&back);
    }
}

static void test_tcp(void **state UNUSED)
{
    const struct dns_trim options = {
        .compress = true, .is_tcp = true, .set_truncated = true, .answers_limit = 3};
    size_t size;
    struct dns_msg m = addresses(5000);
    struct dns_msg back = run(&m, &options, &size);
    assert_int_equal(back.answer.n, 4092); /* of 4096, for the head and the slack */
    assert_true((back.flags & DNS_TC) != 0);
    m = targets(1500);
    back = run(&m, &options, &size);
    assert_true(back.answer.n > 800 && back.answer.n <= 1024);
    assert_true(size <= 65523);
    check_targets(&back);
}

static void test_chains_are_followed(void **state UNUSED)
{
    struct dns_msg m = targets(1);
    struct str alias = str_from(m.answer.v[0].data, 6);
    m.additional.n = 0;
    add(&m.additional, alias, DNS_TYPE_CNAME, name("x.example."));
    add(&m.additional, name("y.example."), DNS_TYPE_A, STR("\1\2\3\4"));
    add(&m.additional, name("X.Example."), DNS_TYPE_A, STR("\1\2\3\5"));
    add(&m.answer, m.question.name, DNS_TYPE_SRV, m.answer.v[0].data);
    const struct dns_trim options = {.udp_size = DNS_UDP_SIZE, .answers_limit = 1};
    size_t size;
    struct dns_msg back = run(&m, &options, &size);
    assert_int_equal(back.answer.n, 1);
    assert_int_equal(back.additional.n, 2);
    assert_int_equal(back.additional.v[0].type, DNS_TYPE_CNAME);
    assert_str_lit(back.additional.v[1].data, "\1\2\3\5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_without_edns),
        cmocka_unit_test(test_edns_size),
        cmocka_unit_test(test_what_fits_stays_whole),
        cmocka_unit_test(test_srv_keeps_its_addresses),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_chains_are_followed),
    };
    return cmocka_run_group_tests_name("dns/trim", tests, setup, teardown);
}
