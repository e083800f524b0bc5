/* Recursors, played by sockets of the test on the same loop: who is asked, what counts as an
 * answer, when the next one is tried. */
#include "fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "loop/tcp.h"

#define GIVE_UP_MS 20000u

enum mode { MODE_ANSWER, MODE_SERVFAIL, MODE_NXDOMAIN, MODE_SILENT, MODE_GARBAGE, MODE_FORGED };

struct fake {
    struct udp_socket udp;
    struct address address;
    enum mode mode;
    unsigned seen;
    uint16_t type; /* of the last question */
    bool had_opt;
    struct arena arena;
    struct tcp_listener listener;
    struct tcp_stream stream;
    bool has_stream;
};

struct recursion {
    struct fixture *f;
    struct fake up[2];
    struct str texts[2];
    struct loop_timer poll, limit;
    unsigned want;
    bool gave_up;
};

static struct recursion *recursion;

static struct str fake_reply(struct fake *u, struct str question)
{
    static uint8_t bytes[1024];
    struct dns_msg m;
    assert_ok(dns_parse(&u->arena, question, &m));
    u->seen++;
    u->type = m.question.type;
    u->had_opt = dns_find_opt(&m) != NULL;
    m.additional.n = 0;
    m.flags = (uint16_t)(DNS_QR | DNS_RA | (m.flags & DNS_RD));
    switch (u->mode) {
    case MODE_SERVFAIL:
        m.flags |= DNS_SERVFAIL;
        break;
    case MODE_NXDOMAIN:
        m.flags |= DNS_NXDOMAIN;
        break;
    default: {
        struct dns_rr rr = {m.question.name, DNS_TYPE_A, DNS_CLASS_IN, 60, STR("\xc0\0\2\1")};
        dns_add(&u->arena, &m.answer, &rr);
        break;
    }
    }
    int n = dns_write(&m, false, NULL, bytes, sizeof(bytes));
    assert_ok(n);
    return str_make(bytes, (size_t)n);
}

static void fake_receive(struct udp_socket *udp, struct str data, const struct udp_peer *peer)
{
    struct fake *u = container_of(udp, struct fake, udp);
    struct str reply = fake_reply(u, data);
    if (u->mode == MODE_SILENT) {
        return;
    }
    if (u->mode == MODE_GARBAGE) {
        reply = str_first(reply, 15);
    }
    if (u->mode == MODE_FORGED) {
        /* Two that somebody else might send, with another id or question; then the real one. */
        char forged[1024];
        memcpy(forged, reply.p, reply.n);
        forged[reply.n - 1] = 66;
        forged[0] ^= 1;
        udp_send(udp, str_make(forged, reply.n), peer);
        forged[0] ^= 1;
        forged[13] ^= 1;
        udp_send(udp, str_make(forged, reply.n), peer);
    }
    udp_send(udp, reply, peer);
}

static void fake_read(struct tcp_stream *stream, const char *p, size_t n)
{
    struct fake *u = container_of(stream, struct fake, stream);
    struct str reply = fake_reply(u, str_make(p + 2, n - 2)); /* small: comes at once */
    char size[2];
    put_be16(size, (uint16_t)reply.n);
    struct iovec iov[] = {{size, 2}, {(void *)(uintptr_t)reply.p, reply.n}};
    assert_ok(tcp_write(stream, iov, 2));
}

static void fake_end(struct tcp_stream *stream)
{
    tcp_close(stream);
}

static void fake_fail(struct tcp_stream *stream, int code UNUSED)
{
    tcp_close(stream);
}

static void fake_closed(struct tcp_stream *stream)
{
    container_of(stream, struct fake, stream)->has_stream = false;
}

static const struct tcp_ops fake_ops = {
    .read = fake_read, .eof = fake_end, .fail = fake_fail, .closed = fake_closed};

static void fake_accept(struct tcp_listener *l, int fd, const struct address *peer UNUSED)
{
    struct fake *u = container_of(l, struct fake, listener);
    assert_false(u->has_stream);
    u->has_stream = true;
    tcp_start(&u->stream, l->loop, fd, &fake_ops);
}

/* One port that is free for TCP and for UDP. */
static void fake_open(struct fake *u, struct loop *loop)
{
    const struct udp_options options = {.size_max = 4096};
    const struct listen_options tcp = {.backlog = 1};
    struct err err = {0};
    for (int tries = 0; tries < 100; tries++) {
        u->address = (struct address){0};
        assert_ok(address_parse(&u->address, STR("127.0.0.1"), 0, &err));
        int fd = listen_socket(&u->address, &tcp, &err);
        assert_ok(fd);
        u->address.size = sizeof(u->address.sa);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&u->address.sa, &u->address.size), 0);
        if (udp_open(&u->udp, loop, &u->address, &options, fake_receive, &err) == 0) {
            tcp_listener_start(&u->listener, loop, fd, fake_accept);
            return;
        }
        (void)close(fd);
    }
    fail_msg("no free port: %s", err_text(&err));
}

static int setup(void **state)
{
    assert_int_equal(fixture_setup(state), 0);
    struct recursion *r = xcalloc(1, sizeof(*r));
    struct fixture *f = r->f = *state;
    for (int i = 0; i < 2; i++) {
        struct buf text = {0};
        fake_open(&r->up[i], f->worker.loop);
        address_format(&r->up[i].address, &text);
        r->texts[i] = arena_str(&r->up[i].arena, buf_view(&text));
        buf_deinit(&text);
    }
    f->config.dns.recursors = (struct strlist){r->texts, 2};
    fixture_configure(f);
    recursion = r;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct recursion *r = recursion;
    struct arena arenas[2] = {r->up[0].arena, r->up[1].arena};
    int rc = fixture_teardown(state);
    for (int i = 0; i < 2; i++) {
        arena_deinit(&arenas[i]);
    }
    recursion = mem_free(r);
    return rc;
}

static void poll_due(struct loop_timer *t)
{
    struct recursion *r = container_of(t, struct recursion, poll);
    if (r->f->answers >= r->want) {
        loop_stop(r->f->worker.loop);
        return;
    }
    loop_timer_start(r->f->worker.loop, t, 1, poll_due);
}

static void limit_due(struct loop_timer *t)
{
    struct recursion *r = container_of(t, struct recursion, limit);
    r->gave_up = true;
    loop_stop(r->f->worker.loop);
}

static void run_until_answers(unsigned want)
{
    struct recursion *r = recursion;
    struct loop *loop = r->f->worker.loop;
    r->want = want;
    loop_timer_start(loop, &r->poll, 0, poll_due);
    loop_timer_start(loop, &r->limit, GIVE_UP_MS, limit_due);
    loop_run(loop);
    loop_timer_stop(loop, &r->poll);
    loop_timer_stop(loop, &r->limit);
    assert_false(r->gave_up);
}

static const struct dns_msg *ask(const char *name, uint16_t type, uint16_t edns)
{
    struct fixture *f = recursion->f;
    unsigned before = f->answers;
    fixture_start(f, name, type, edns);
    run_until_answers(before + 1);
    assert_int_equal(f->dns->waits_count, 0);
    assert_int_equal(f->answer.id, 77);
    return &f->answer;
}

static void test_forwarded(void **state UNUSED)
{
    const struct dns_msg *m = ask("Www.example.com", DNS_TYPE_A, 1232);
    assert_int_equal(m->flags, DNS_QR | DNS_RA | DNS_RD);
    assert_int_equal(m->answer.n, 1);
    assert_name_is(m->answer.v[0].owner, "Www.example.com.");
    assert_true(recursion->up[0].had_opt);
    assert_int_equal(recursion->up[1].seen, 0);
    (void)ask("9.9.9.9.in-addr.arpa", DNS_TYPE_PTR, 0);
    assert_int_equal(recursion->up[0].type, DNS_TYPE_PTR);
}

static void test_next_one(void **state)
{
    static const enum mode modes[] = {MODE_SERVFAIL, MODE_GARBAGE, MODE_SILENT};
    struct fixture *f = *state;
    f->config.dns.recursor_timeout = 50000000;
    fixture_configure(f);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        recursion->up[0].mode = modes[i];
        const struct dns_msg *m = ask("www.example.com", DNS_TYPE_A, 0);
        assert_int_equal(m->answer.n, 1);
        assert_int_equal(recursion->up[0].seen, i + 1);
        assert_int_equal(recursion->up[1].seen, i + 1);
    }
}

static void test_all_fail(void **state UNUSED)
{
    recursion->up[0].mode = recursion->up[1].mode = MODE_SERVFAIL;
    const struct dns_msg *m = ask("www.example.com", DNS_TYPE_A, 1232);
    assert_int_equal(m->flags, DNS_QR | DNS_RA | DNS_RD | DNS_SERVFAIL);
    assert_non_null(dns_find_opt(m));
    assert_int_equal(recursion->up[1].seen, 1);
}

static void test_no_such_name_is_an_answer(void **state UNUSED)
{
    recursion->up[0].mode = MODE_NXDOMAIN;
    assert_int_equal(fixture_rcode(ask("www.example.com", DNS_TYPE_A, 0)), DNS_NXDOMAIN);
    assert_int_equal(recursion->up[1].seen, 0);
}

static void test_forged_answers_are_ignored(void **state UNUSED)
{
    recursion->up[0].mode = MODE_FORGED;
    const struct dns_msg *m = ask("www.example.com", DNS_TYPE_A, 0);
    assert_str_lit(m->answer.v[0].data, "\xc0\0\2\1");
}

static void test_tcp_stays_tcp(void **state)
{
    struct fixture *f = *state;
    f->client.is_tcp = true;
    assert_int_equal(ask("www.example.com", DNS_TYPE_A, 0)->answer.n, 1);
    recursion->up[0].mode = MODE_SERVFAIL;
    assert_int_equal(ask("www.example.com", DNS_TYPE_A, 0)->answer.n, 1);
    assert_int_equal(recursion->up[0].seen, 2);
    assert_int_equal(recursion->up[1].seen, 1);
}

/* The address of a service is a name: it is asked for once, as A, and the question runs again. */
static void test_names_behind_services(void **state)
{
    struct fixture *f = *state;
    fixture_service(f, STR("n1"), STR("10.0.0.1"), STR("ext"), STR("www.example.com"), 80);
    fixture_service(f, STR("n2"), STR("10.0.0.2"), STR("ext"), STR("two.example.com"), 81);
    const struct dns_msg *m = ask("ext.service.consul", DNS_TYPE_SRV, 0);
    assert_int_equal(m->answer.n, 2);
    assert_int_equal(m->additional.n, 2);
    assert_int_equal(recursion->up[0].seen, 2);
    m = ask("ext.service.consul", DNS_TYPE_AAAA, 0);
    assert_int_equal(m->answer.n, 2);
    assert_int_equal(m->answer.v[0].type, DNS_TYPE_CNAME);
    assert_int_equal(recursion->up[0].seen, 3);
    assert_int_equal(recursion->up[0].type, DNS_TYPE_A);
    m = ask("n1.node.consul", DNS_TYPE_A, 0);
    assert_int_equal(recursion->up[0].seen, 3);
}

static void test_stop_while_waiting(void **state)
{
    struct fixture *f = *state;
    fixture_service(f, STR("n1"), STR("www.example.com"), STR("ext"), STR(""), 80);
    recursion->up[0].mode = MODE_SILENT;
    fixture_start(f, "www.example.com", DNS_TYPE_A, 0);
    fixture_start(f, "ext.service.consul", DNS_TYPE_A, 0);
    f->client.is_tcp = true;
    fixture_start(f, "www.example.com", DNS_TYPE_A, 0);
    assert_int_equal(f->dns->waits_count, 3);
    /* teardown stops the server: nothing leaks, nothing is answered */
}

/* Sockets take turns, and questions under way at once find their answers. */
static void test_many_at_once(void **state)
{
    struct fixture *f = *state;
    for (unsigned round = 1; round <= 8; round++) {
        for (unsigned i = 0; i < 100; i++) {
            fixture_start(f, "www.example.com", DNS_TYPE_A, 0);
        }
        run_until_answers(round * 100);
    }
    assert_int_equal(recursion->up[0].seen, 800);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_forwarded),
        TEST(test_next_one),
        TEST(test_all_fail),
        TEST(test_no_such_name_is_an_answer),
        TEST(test_forged_answers_are_ignored),
        TEST(test_tcp_stays_tcp),
        TEST(test_names_behind_services),
        TEST(test_stop_while_waiting),
        TEST(test_many_at_once),
    };
    return cmocka_run_group_tests_name("dns/recursor", tests, NULL, NULL);
}
