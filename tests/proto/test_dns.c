/* DNS messages: what is read of good and bad ones, and that what is written reads the same. */
#include "proto/dns.h"

#include "test.h"

#include <stdio.h>

#include "base/encode.h"
#include "base/err.h"
#include "base/rand.h"

static struct arena arena;
static struct dns_names *names;

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

static struct str hex(const char *text)
{
    struct str bytes;
    assert_ok(hex_decode(&arena, str_from_cstr(text), &bytes));
    return bytes;
}

static struct str name(const char *text)
{
    uint8_t wire[DNS_NAME_SIZE_MAX];
    int n = dns_name_parse(str_from_cstr(text), wire);
    assert_ok(n);
    return arena_str(&arena, str_make(wire, (size_t)n));
}

static void assert_name(struct str wire, const char *text)
{
    char to[DNS_TEXT_SIZE_MAX];
    assert_str_equal(dns_name_text(wire, false, to), str_from_cstr(text));
}

/* node1.node.consul. IN A */
#define QUESTION "056e6f646531046e6f646506636f6e73756c0000010001"
#define RECORD "0161016200000100010000000000040102030" /* and a last digit */

static void test_a_question(void **state UNUSED)
{
    struct dns_msg m;
    assert_ok(dns_parse(&arena, hex("123401000001000000000000" QUESTION), &m));
    assert_int_equal(m.id, 0x1234);
    assert_int_equal(m.flags, DNS_RD);
    assert_name(m.question.name, "node1.node.consul.");
    assert_int_equal(m.question.type, DNS_TYPE_A);
    assert_int_equal(m.question.class, DNS_CLASS_IN);
    assert_null(dns_find_opt(&m));
}

static void test_odd_questions(void **state UNUSED)
{
    static const struct {
        const char *hex;
        bool good, has_question;
    } cases[] = {
        {"123401000001000000000000", true, false}, /* promised, not there */
        {"123401000002000000000000" QUESTION, false, false},
        {"123401000001000000000000056e6f646531046e6f646506636f6e73756c00000100", true, true},
        {"123401000001000000000000056e6f646531046e6f646506636f6e73756c0000", false, false},
        {"123401000001000000000000056e6f646531046e6f646506636f6e73756c00", true, true},
        {"1234010000010000000000003f61", false, false},         /* a label past the end */
        {"123401000001000000000000c00c00010001", false, false}, /* a pointer to itself */
        {"123401000001000000000000c0ff00010001", false, false}, /* a pointer past the end */
        {"123401000001000000000000800100010001", false, false}, /* no such label */
        {"123401000001000000000000" QUESTION "00", true, true}, /* something behind it */
        {"123401000001000100000000" QUESTION, true, true},      /* an answer, not there */
        {"123401000001000100000000" QUESTION RECORD "4", true, true},
        {"123401000001000000000001" QUESTION "016101620000010001", false, true}, /* cut short */
        {"123401000001000000000001" QUESTION "00002904d0000000000003000800", false, true},
        {"123401000001000000000001" QUESTION "00002904d000000000000b00080007000318000a0102", false,
         true}, /* a client subnet of family 3 */
        {"123401000001000000000001" QUESTION "00000100010000000000050102030405", false, true},
        {"12340100000100000000", false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct dns_msg m;
        int r = dns_parse(&arena, hex(cases[i].hex), &m);
        if ((r == 0) != cases[i].good || (m.question.name.n > 0) != cases[i].has_question) {
            fail_msg("case %zu: %d", i, r);
        }
    }
}

static void test_names(void **state UNUSED)
{
    uint8_t wire[DNS_NAME_SIZE_MAX];
    char label[70], text[300];
    assert_name(name("."), ".");
    assert_name(name("web.service.consul"), "web.service.consul.");
    assert_name(name("a\\.b.c"), "a\\.b.c.");
    assert_name(name("a\\004\\\\\\@b"), "a\\004\\\\\\@b.");
    assert_name(name("a b"), "a\\ b.");
    memset(label, 'x', sizeof(label));
    assert_int_equal(dns_name_parse(str_make(label, 63), wire), 65);
    assert_int_equal(dns_name_parse(str_make(label, 64), wire), -ERR_INVALID);
    assert_int_equal(dns_name_parse(STR(""), wire), -ERR_INVALID);
    assert_int_equal(dns_name_parse(STR("a..b"), wire), -ERR_INVALID);
    assert_int_equal(dns_name_parse(STR(".a"), wire), -ERR_INVALID);
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = i % 2 == 0 ? 'a' : '.';
    }
    assert_int_equal(dns_name_parse(str_make(text, 253), wire), 255);
    assert_int_equal(dns_name_parse(str_make(text, 254), wire), 255);
    assert_int_equal(dns_name_parse(str_make(text, 255), wire), -ERR_INVALID);
    assert_int_equal(dns_name_parse(str_make(text, 256), wire), -ERR_INVALID);

    char lower[DNS_TEXT_SIZE_MAX];
    assert_str_lit(dns_name_text(name("Web.Consul."), true, lower), "web.consul.");
    assert_true(dns_name_eq_fold(name("Web.Consul."), name("wEB.consul")));
    assert_name(dns_name_parent(name("a.b.c"), 2), "c.");
    assert_name(dns_name_parent(name("a.b.c"), 9), ".");
}

static struct dns_msg sample(void)
{
    struct dns_msg m = {.id = 7, .flags = DNS_QR | DNS_AA};
    m.question = (struct dns_question){name("web.service.consul."), DNS_TYPE_SRV, DNS_CLASS_IN};
    struct str target = name("w1.node.dc1.consul.");
    struct str srv = arena_concat(&arena, str_make("\0\1\0\1\x1f\x40", 6), target);
    struct str soa =
        arena_concat(&arena, arena_concat(&arena, name("ns.consul."), name("hostmaster.consul.")),
                     str_make("\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 20));
    struct dns_rr rrs[] = {
        {m.question.name, DNS_TYPE_SRV, DNS_CLASS_IN, 10, srv},
        {name("alias.consul."), DNS_TYPE_CNAME, DNS_CLASS_IN, 1, name("Web.service.consul.")},
        {name("consul."), DNS_TYPE_SOA, DNS_CLASS_IN, 0, soa},
        {target, DNS_TYPE_A, DNS_CLASS_IN, 10, str_make("\x0a\1\2\3", 4)},
        {target, DNS_TYPE_TXT, DNS_CLASS_IN, 10, dns_txt_data(&arena, STR("a=b"))},
    };
    dns_add(&arena, &m.answer, &rrs[0]);
    dns_add(&arena, &m.answer, &rrs[1]);
    dns_add(&arena, &m.authority, &rrs[2]);
    dns_add(&arena, &m.additional, &rrs[3]);
    dns_add(&arena, &m.additional, &rrs[4]);
    struct dns_subnet subnet = {1, 20, 0, {192, 0, 255, 1}};
    struct dns_rr opt = dns_opt_make(&arena, 1232, &subnet);
    dns_add(&arena, &m.additional, &opt);
    return m;
}

static void assert_same_rrs(const struct dns_rrs *a, const struct dns_rrs *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_str_equal(a->v[i].owner, b->v[i].owner);
        assert_int_equal(a->v[i].type, b->v[i].type);
        assert_int_equal(a->v[i].class, b->v[i].class);
        assert_int_equal(a->v[i].ttl, b->v[i].ttl);
        assert_str_equal(a->v[i].data, b->v[i].data);
    }
}

static void test_written_is_read(void **state UNUSED)
{
    uint8_t bytes[1024];
    struct dns_msg m = sample(), back;
    int plain = dns_write(&m, false, NULL, bytes, sizeof(bytes));
    assert_int_equal(plain, dns_size_uncompressed(&m));
    for (int compress = 0; compress < 2; compress++) {
        int n = dns_write(&m, compress, names, bytes, sizeof(bytes));
        assert_ok(n);
        assert_true(compress == 0 || n < plain - 50);
        assert_ok(dns_parse(&arena, str_make(bytes, (size_t)n), &back));
        assert_int_equal(back.flags, m.flags);
        assert_str_equal(back.question.name, m.question.name);
        assert_same_rrs(&back.answer, &m.answer);
        assert_same_rrs(&back.authority, &m.authority);
        assert_same_rrs(&back.additional, &m.additional);
        struct dns_subnet subnet;
        assert_true(dns_opt_subnet(dns_find_opt(&back), &subnet));
        assert_int_equal(subnet.source_bits, 20);
        assert_memory_equal(subnet.address, "\xc0\0\xf0\0", 4); /* the rest is masked */
    }
    assert_int_equal(dns_write(&m, false, NULL, bytes, (size_t)plain - 1), -ERR_TOO_LARGE);
}

/* The target of an SRV record is written out, but the address record behind it points to it. */
static void test_compression_of_targets(void **state UNUSED)
{
    uint8_t bytes[1024];
    struct dns_msg m = sample();
    m.answer.n = 1;
    m.authority.n = 0;
    m.additional.n = 1;
    int n = dns_write(&m, true, names, bytes, sizeof(bytes));
    /* header, question, SRV with its target in full, A with two pointers */
    assert_int_equal(n, 12 + (20 + 4) + (2 + 10 + 6 + 20) + (2 + 10 + 4));
    assert_int_equal(bytes[36], 0xc0);
    assert_int_equal(bytes[37], 12);
}

/* A big message passes the reach of pointers and the room for remembered names. */
static void test_big_message(void **state UNUSED)
{
    struct dns_msg m = {.flags = DNS_QR}, back;
    static uint8_t bytes[DNS_SIZE_MAX];
    m.question = (struct dns_question){name("q.consul."), DNS_TYPE_ANY, DNS_CLASS_IN};
    for (int i = 0; i < 1500; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "node-%d.x%d.consul.", i, i % 700);
        struct dns_rr rr = {name(text), DNS_TYPE_PTR, DNS_CLASS_IN, 0, name(text + 5)};
        dns_add(&arena, &m.answer, &rr);
    }
    int n = dns_write(&m, true, names, bytes, sizeof(bytes));
    assert_ok(n);
    assert_ok(dns_parse(&arena, str_make(bytes, (size_t)n), &back));
    assert_same_rrs(&back.answer, &m.answer);
}

/* No change of a good message makes the parser do anything but accept or refuse it. */
static void test_mutations(void **state UNUSED)
{
    uint8_t bytes[1024], changed[1024];
    struct rng rng;
    struct dns_msg m = sample(), back;
    int n = dns_write(&m, true, names, bytes, sizeof(bytes));
    assert_ok(n);
    rng_seed(&rng, 1);
    int refused = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy(changed, bytes, (size_t)n);
        for (uint64_t k = 1 + rng_below(&rng, 4); k > 0; k--) {
            changed[rng_below(&rng, (uint64_t)n)] = (uint8_t)rng_u64(&rng);
        }
        refused += dns_parse(&arena, str_make(changed, (size_t)rng_below(&rng, (uint64_t)n + 1)),
                             &back) < 0;
        if (i % 100 == 0) {
            arena_reset(&arena);
        }
    }
    assert_true(refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question),
        cmocka_unit_test(test_odd_questions),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_written_is_read),
        cmocka_unit_test(test_compression_of_targets),
        cmocka_unit_test(test_big_message),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests_name("proto/dns", tests, setup, teardown);
}
